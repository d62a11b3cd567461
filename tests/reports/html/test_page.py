"""The page as an HTML parser reads it: complete, self-contained, bounded, and only text from the wire."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from handmade import at, capture, connection, finding, output, summary_of
from hostile import FILE_NAME, hostile_capture

from smtpwire.analyzer.audit import Audit
from smtpwire.analyzer.model import Capture, CommandTurn, Connection, Gap, ReplyTurn
from smtpwire.analyzer.reports.html import HtmlWriter
from smtpwire.analyzer.reports.html.ladder import MAX_ROWS, ladder
from smtpwire.analyzer.reports.html.selection import MAX_CHOSEN

if TYPE_CHECKING:
    from pathlib import Path

VOID = {"meta", "link", "input", "img", "br", "hr"}
# These SVG elements may be self-closing.
SHAPES = {"line", "path", "rect", "use"}


class Page(HTMLParser):
    """The elements, their text, and whether they are nested correctly."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"{tag} has an attribute twice"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in SHAPES, f"<{tag}/> is no element that closes itself"
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self.texts[tag][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts["body"]).split())


def html(*connections: Connection, captures: list[Capture] | None = None) -> str:
    out, stream = output()
    writer = HtmlWriter(out, "0.1.0")
    for one in captures if captures is not None else [capture()]:
        writer.capture(one)
    for number in connections:
        writer.connection(number)
    writer.finish(summary_of(*connections))
    return stream.getvalue().decode("utf-8")


def page(*connections: Connection, captures: list[Capture] | None = None) -> Page:
    return Page(html(*connections, captures=captures))


def audited(path: Path) -> str:
    out, stream = output()
    writer, audit = HtmlWriter(out, "0.1.0"), Audit()
    for item in audit.run([path]):
        if isinstance(item, Capture):
            writer.capture(item)
        else:
            writer.connection(item)
    writer.finish(audit.summary)
    return stream.getvalue().decode("utf-8")


# -- contents ----------------------------------------------------------------------------------------------------------


def test_the_state_of_the_captures_comes_before_the_findings() -> None:
    text = page(
        connection(1, gaps=[Gap("client", 100, 1460, 17)]),
        connection(2, [], server_bytes=0),
        captures=[capture(problems=["the last record is cut short at byte 45678"])],
    ).text
    order = [
        "1 error, 0 warnings and 0 info in 2 connections and 2 messages",
        "0 of 2 connections are complete and in clear text. What was not captured is not judged.",
        "1 with one side only",
        "1 with gaps (1,460 bytes not captured)",
        "pcap EN10MB, 1,234 frames, 45,678 bytes",
        "the last record is cut short at byte 45678",
        "By rule",
        "By host",
    ]
    places = [text.index(part) for part in order]
    assert places == sorted(places)


def test_a_ladder_has_every_turn_with_frame_time_and_prediction() -> None:
    text = page(connection(1, [])).text
    assert "frame 6 0.006000 s client: MAIL FROM:<a@a.example>" in text
    assert "frame 8 0.008000 s server: 250 2.1.0 Ok predicted: 503" in text
    assert "503-Already 503 identified predicted: accepted, as EHLO was in order" in text
    assert "(1,460 bytes not captured)" in text
    assert "(TLS handshake: what follows is encrypted)" in text
    assert "(a line of the AUTH exchange, 26 bytes, not shown)" in text


def test_a_finding_is_at_the_turn_that_it_is_about_and_names_its_cause() -> None:
    text = page(
        connection(
            1, [finding(turn=1), finding("SEQ120", name="out-of-order-accepted", side="server", turn=2, caused_by=0)]
        )
    ).text
    arrow, found = text.index("client: MAIL FROM:<a@a.example>"), text.index("MAIL came before any EHLO")
    reply, follows = text.index("server: 250 2.1.0 Ok"), text.index("follows from SEQ101 in frame 6")
    assert arrow < found < reply < follows


def test_text_that_a_row_already_shows_is_not_quoted_again() -> None:
    one = ladder(connection(1, [finding(turn=1), finding(turn=1, evidence="elsewhere"), finding(turn=None)]))
    assert [note.evidence for note in one.rows[1].notes] == ["", "elsewhere"]
    assert [note.evidence for note in one.notes] == ["MAIL FROM:<a@a.example>"]


def test_pipelined_commands_are_grouped_and_their_replies_name_the_command() -> None:
    one = connection(1, [])
    verbs = ["MAIL", "RCPT", "DATA"]
    one.dialogue = [
        ReplyTurn("server", 220, ["hi"], None, None, 1, at(1), 0),
        *(CommandTurn("client", verb, None, "accept", 2, at(2), n) for n, verb in enumerate(verbs)),
        *(ReplyTurn("server", 250, [verb], None, n, 3, at(3), n) for n, verb in enumerate(verbs, 1)),
        CommandTurn("client", "QUIT", None, "accept", 4, at(2500), 30),
        ReplyTurn("server", 221, ["bye"], None, 7, 5, at(2501), 30),
    ]
    rows = ladder(one).rows
    assert [(row.group, row.group_size) for row in rows[1:4]] == [("first", 3), ("middle", 3), ("last", 3)]
    assert [row.answers for row in rows[4:]] == ["MAIL", "RCPT", "DATA", "", ""]
    assert rows[7].group == ""
    assert rows[7].pause == "2.5 s"
    assert "pipelined: 3 commands without waiting" in page(one).text


def test_with_one_side_only_nothing_counts_as_pipelined() -> None:
    one = connection(1, [], server_bytes=0)
    one.dialogue = [CommandTurn("client", "NOOP", None, "unknown", n, at(n), n) for n in range(1, 5)]
    assert not any(row.group for row in ladder(one).rows)


def test_the_rules_that_fired_are_explained_and_linked() -> None:
    text = html(connection(1), connection(2, [finding("XYZ999", name="of-a-plugin")]))
    assert '<details class="rule" id="rule-SEQ101">' in text
    assert "S: 503" in text
    assert '<details class="rule" id="rule-XYZ999">' in text, "a rule that is known no longer has a place all the same"


def test_faults_are_counted_at_the_host_that_commits_them() -> None:
    theirs = finding("SEQ120", side="server", severity="warning")
    tables = page(connection(1, [finding(), theirs, theirs, finding("TCP905", side="path")])).texts["table"]
    clients, servers = (" ".join(table.split()) for table in tables if "Host" in table)
    assert clients.endswith("192.0.2.1 1 1 0 0")
    assert servers.endswith("2001:db8::2 1 0 2 0")
    assert "1 more finding is about the path" in page(connection(1, [finding("TCP905", side="path")])).text


def test_no_findings_is_reported_with_what_was_read() -> None:
    whole = page(connection(1, []))
    assert "No findings in 1 connection and 1 message." in whole.text
    assert "The only connection is complete and in clear text." in whole.text


def test_no_smtp_is_reported() -> None:
    assert "No SMTP was seen. Is it on another port?" in page().text


def test_the_same_run_gives_the_same_page() -> None:
    assert html(connection(1)) == html(connection(1))


# -- self-contained and strict -----------------------------------------------------------------------------------------


def hash_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_the_policy_allows_the_one_style_and_the_one_script_and_nothing_else() -> None:
    text = html(connection(1))
    (policy,) = (m["content"] for m in Page(text).all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    allowed = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert allowed["default-src"] == "'none'"
    assert allowed["style-src"] == hash_of(style)
    assert allowed["script-src"] == hash_of(script)
    assert "unsafe" not in policy


def test_nothing_is_fetched_and_nothing_runs_from_an_attribute() -> None:
    found = page(connection(1), connection(2, []))
    for tag, attributes in found.elements:
        assert tag not in {"img", "iframe", "object", "embed", "base", "audio", "video"}
        for name, value in attributes.items():
            assert not name.startswith("on"), f"{tag} {name}"
            assert name != "style", f"{tag} has a style of its own, which the policy forbids"
            if name in {"src", "href", "action", "xlink:href"}:
                assert value is not None
                assert value.startswith(("#", "data:image/svg+xml,")), f"{tag} {name}={value}"


def test_every_link_has_a_target_and_no_id_is_used_twice() -> None:
    found = page(connection(1, [finding(), finding("SEQ120", turn=2, caused_by=0)]), connection(2, []), connection(3))
    ids = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {a["href"] for tag, a in found.elements if tag in {"a", "use"}}
    assert len(links) > 8
    assert {link.removeprefix("#") for link in links if link} <= set(ids)


def test_the_page_can_be_read_aloud() -> None:
    found = page(connection(1), connection(2, []))
    assert found.all("html") == [{"lang": "en"}]
    assert len(found.all("h1")) == 1
    levels = [int(tag[1]) for tag, _ in found.elements if re.fullmatch("h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels)), levels
    assert all("scope" in attributes for attributes in found.all("th"))
    for drawing in found.all("svg"):
        assert drawing.get("aria-hidden") == "true" or drawing.get("role") == "img" or "x" in drawing


# -- hostile text ------------------------------------------------------------------------------------------------------


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    path = tmp_path / "hostile.pcap"
    path.write_bytes(hostile_capture())
    harmless, text = Page(html(connection(1))), audited(path)
    found = Page(text)
    assert {tag for tag, _ in found.elements} <= {tag for tag, _ in harmless.elements} | {"g", "title"}
    assert len(found.all("script")) == 1
    assert "<script>window.hacked = 1</script>" in found.text
    assert "{{ 7 * 7 }}" in found.text


def test_no_character_without_a_glyph_gets_through() -> None:
    text = html(connection(1), captures=[capture(path=FILE_NAME, problems=["\u202egnorw \x1b[2J"])])
    body = text.split("</style>")[1].split("<script>")[0]
    assert not [c for c in body if not c.isprintable() and c != "\n"]
    assert "\\u202e" in body
    assert "&lt;img src=x" in body


def test_a_name_that_is_not_utf_8_can_be_written() -> None:
    assert "caf\\xe9.pcap" in html(captures=[capture(path="caf\udce9.pcap")])


# -- bounds ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_worst_of_each_kind_come_first_and_the_rest_is_counted() -> None:
    clean = [connection(n, []) for n in range(1, 2001)]
    alike = [connection(n) for n in range(2001, 4001)]
    rare = connection(4001, [finding("SEC615", turn=None)])
    found = page(*clean, *alike, rare)
    shown = [attributes["id"] for attributes in found.all("details") if attributes.get("class") == "connection"]
    assert len(shown) == MAX_CHOSEN
    assert "c4001" in shown
    assert "c2001" in shown
    assert "3,801 connections not shown: 1,801 with findings" in found.text
    assert "and 2,000 without findings" in found.text
    assert "2,000 connections have the same findings: #2001, #2002" in found.text


def test_the_size_of_a_page_is_bounded() -> None:
    def long(number: int) -> Connection:
        one = connection(number)
        one.dialogue = [CommandTurn("client", "NOOP", "x" * 500, "accept", n, at(n % 1000), n) for n in range(300)]
        return one

    text = html(*(long(number) for number in range(1, 301)))
    assert len(text) < 16_000_000
    assert "The dialogue is omitted because the page would be too long" in text


def test_a_long_dialogue_shows_its_start_its_end_and_the_findings() -> None:
    one = connection(1, [finding(turn=5000), finding(turn=70_000)])
    one.dialogue = [CommandTurn("client", "NOOP", str(n), "accept", n, at(n % 1000), n) for n in range(100_000)]
    rows = ladder(one).rows
    assert len(rows) <= MAX_ROWS + 4
    said = [row.lines[0] for row in rows]
    assert {"NOOP 0", "NOOP 4999", "NOOP 5000", "NOOP 70000", "NOOP 99999"} <= set(said)
    shown = sum(row.kind != "left-out" for row in rows)
    missing = sum(int(row.lines[0].split()[0].replace(",", "")) for row in rows if row.kind == "left-out")
    assert shown + missing == 100_000


def test_findings_everywhere_do_not_lengthen_a_ladder() -> None:
    one = connection(1, [finding(turn=n, frame=n + 1) for n in range(0, 5000, 7)])
    one.dialogue = [CommandTurn("client", "NOOP", str(n), "accept", n, at(n % 1000), n) for n in range(5000)]
    made = ladder(one)
    assert sum(row.kind != "left-out" for row in made.rows) <= MAX_ROWS
    assert made.more_findings == 715 - sum(len(row.notes) for row in made.rows)
    assert "frame.number in {" in html(one)


@pytest.mark.parametrize("lines", [["x" * 60_000], ["y"] * 5000])
def test_a_long_reply_is_cut_and_this_is_shown(lines: list[str]) -> None:
    one = connection(1, [])
    one.dialogue = [ReplyTurn("server", 250, lines, None, None, 4, at(4), 0)]
    (row,) = ladder(one).rows
    assert sum(map(len, row.lines)) < 2000
    assert "more" in row.more


# -- cost for other formats --------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("form", ["text", "ndjson", "markdown"])
def test_no_other_format_imports_the_template_engine(form: str) -> None:
    code = (
        "import sys; from smtpwire.analyzer.commands.registry import smtpwire as command_line;"
        f"command_line(['demo', '--format', '{form}'], standalone_mode=False);"
        "print([name for name in ('jinja2', 'markupsafe') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_standard_input_has_a_name() -> None:
    assert page(captures=[capture(path="-")]).texts["h1"] == ["standard input"]
