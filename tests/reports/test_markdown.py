"""Markdown as a parser reads it: tables are tables, code is code, nothing from the wire is markup."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from handmade import capture, connection, finding, output, summary_of
from hostile import ATTACKS, FILE_NAME, hostile_capture
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from smtpwire.analyzer.audit import Audit
from smtpwire.analyzer.model import Capture, Gap
from smtpwire.analyzer.reports.markdown import MarkdownWriter, code, prose
from smtpwire.dissectors.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it.token import Token

    from smtpwire.analyzer.model import Connection

# The dialect of the usual forges: CommonMark with tables and strikethrough.
READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
SAMPLES = Path(__file__).parents[2] / "samples"
WIRE = st.binary(max_size=80).map(printable)


def written(*connections: Connection, captures: list[Capture] | None = None) -> str:
    out, stream = output()
    writer = MarkdownWriter(out)
    for one in captures if captures is not None else [capture()]:
        writer.capture(one)
    for number in connections:
        writer.connection(number)
    writer.finish(summary_of(*connections))
    return stream.getvalue().decode()


def audited(path: Path) -> str:
    out, stream = output()
    writer, audit = MarkdownWriter(out), Audit()
    for item in audit.run([path]):
        if isinstance(item, Capture):
            writer.capture(item)
        else:
            writer.connection(item)
    writer.finish(audit.summary)
    return stream.getvalue().decode()


def tokens(text: str) -> Iterator[Token]:
    for block in READER.parse(text):
        yield block
        yield from block.children or ()


def kinds(text: str) -> set[str]:
    return {token.type for token in tokens(text)}


def cells(text: str) -> list[list[str]]:
    """Return the rows of all tables."""
    rows: list[list[str]] = []
    inside = False
    for token in READER.parse(text):
        if token.type == "tr_open":
            rows.append([])
        inside = inside or token.type in {"td_open", "th_open"}
        if token.type == "inline" and inside:
            rows[-1].append("".join(child.content for child in token.children or ()))
        if token.type in {"td_close", "th_close"}:
            inside = False
    return rows


def test_the_tables_have_the_captures_and_the_rules() -> None:
    rows = cells(written(connection(1), connection(2), connection(3, [finding("CMD301", name="unknown-command")])))
    assert ["a.pcap", "pcap EN10MB, 1,234 frames, 45,678 bytes", "2026-01-02 03:04:00", "2026-01-02 03:04:00"] in rows
    assert ["SEQ101", "mail-before-hello", "2"] in rows
    assert ["CMD301", "unknown-command", "1"] in rows


def test_a_finding_has_everything_that_is_needed_to_find_it() -> None:
    text = written(connection(1, [finding(frame=13, offset=1023)]))
    assert "- **error SEQ101** mail-before-hello (client), frame 13, byte 1,023" in text
    assert "`MAIL FROM:<a@a.example>`" in text
    assert "MAIL came before any EHLO or HELO was accepted (RFC 5321 §4.1.4)" in text
    assert "### Connection 1: `192.0.2.1:43211` → `[2001:db8::2]:25`" in text


def test_a_consequence_is_a_list_inside_its_cause() -> None:
    text = written(connection(1, [finding(), finding("SEQ120", side="server", caused_by=0)]))
    level = {
        child.content: token.level
        for token in READER.parse(text)
        for child in token.children or ()
        if token.type == "inline" and child.content.startswith("error ")
    }
    assert level["error SEQ120"] > level["error SEQ101"]


def test_the_limitations_of_the_captures_are_above_the_findings() -> None:
    text = written(
        connection(1, gaps=[Gap("client", 100, 1460, 17)]), captures=[capture(problems=["cut short at byte 7"])]
    )
    assert text.index("cut short at byte 7") < text.index("1 with gaps (1,460 bytes not captured)")
    assert text.index("1 with gaps") < text.index("SEQ101")


def test_alike_connections_are_shown_once() -> None:
    text = written(*(connection(number) for number in range(1, 1001)))
    assert text.count("**error SEQ101**") == 1
    assert "999 more connections with the same findings" in text


def test_it_fits_into_a_comment() -> None:
    many = [finding(f"ABC{n:03}", name="x", message="@word " * 100) for n in range(60)]
    text = written(*(connection(n, [many[n % 60], *many[: n % 50]]) for n in range(1, 200)))
    assert 40_000 < len(text) < 65_536
    listed = text.count("### Connection")
    alike = sum(map(int, re.findall(r"([0-9]+) more connections? with the same findings", text)))
    assert f"Not listed: {199 - listed - alike} more connections with findings of other kinds." in text


def test_omitted_findings_of_a_connection_are_counted() -> None:
    follow = [finding("SEQ120", caused_by=0, message=str(n), side="server", frame=n) for n in range(10, 14)]
    text = written(connection(1, [finding(f"ABC{n:03}") for n in range(100)]), connection(2, [finding(), *follow]))
    assert "- 80 more findings of this connection" in text
    assert text.count("**error SEQ120**") == 3


def test_no_findings_is_reported() -> None:
    assert "**0 errors, 0 warnings, 0 info** in 1 connection and 1 message." in written(connection(1, []))
    assert "No SMTP seen" in written()


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    path = tmp_path / "hostile.pcap"
    path.write_bytes(hostile_capture())
    text = audited(path)
    assert not kinds(text) & {"html_inline", "html_block", "link_open", "image", "em_open", "s_open", "fence", "hr"}
    assert "<script>window.hacked = 1</script>" in "".join(token.content for token in tokens(text))
    outside = [token.content for token in tokens(text) if token.type == "text"]
    assert not [words for words in outside if re.search(r"[@#<>|`]|://", words)]


def test_a_hostile_file_name_stays_in_its_cell() -> None:
    rows = cells(written(captures=[capture(path="a|b`c|d``.pcap"), capture(path="<b>@x</b>.pcap")]))
    assert rows[1][0] == r"a\x7cb`c\x7cd``.pcap"
    assert rows[2][0] == "<b>@x</b>.pcap"
    assert "html_inline" not in kinds(written(captures=[capture(path=FILE_NAME)]))


@given(WIRE)
def test_code_is_code_with_any_content(text: str) -> None:
    (block,) = [token for token in READER.parse(f"x {code(text)} y") if token.type == "inline"]
    assert block.children is not None
    before, span, after = block.children
    assert (before.content, span.type, after.content) == ("x ", "code_inline", " y")
    assert span.content == (text if text.strip() else text or " ")


@given(st.one_of(WIRE, st.sampled_from([printable(attack) for attack in ATTACKS])))
def test_prose_is_never_markup(text: str) -> None:
    line = prose(text)
    found = list(tokens(line))
    assert {token.type for token in found} <= {"paragraph_open", "inline", "text", "code_inline", "paragraph_close"}
    said = "".join(token.content for token in found if token.type in {"text", "code_inline"})
    assert said.split() == text.split()


@pytest.mark.parametrize(
    "text",
    [
        "RCPT was sent without an open transaction; the server correctly answered 503.",
        "The body contains bytes above 127 (7 times), but MAIL does not have BODY=8BITMIME, which the server offers.",
        "1460 bytes of the client are missing.",
    ],
)
def test_plain_sentences_are_unchanged(text: str) -> None:
    assert prose(text) == text


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("see http://evil.example/", "see `http://evil.example/`"),
        ("mail a@b.example now", "mail `a@b.example` now"),
        ("fixes #12", "fixes `#12`"),
        ("WWW.evil.example", "`WWW.evil.example`"),
        ("- not a list", "`-` not a list"),
        ("1. not a list", "`1.` not a list"),
    ],
)
def test_text_that_would_become_a_link_a_mention_or_a_list_is_code(text: str, quoted: str) -> None:
    assert prose(text) == quoted


@pytest.mark.tree
def test_every_sample_is_parsed_as_intended() -> None:
    for path in sorted(SAMPLES.glob("*.pcap")):
        found = kinds(audited(path))
        assert not found & {"html_inline", "html_block", "link_open", "image", "code_block", "em_open"}, path.name


@given(st.lists(st.integers(0, 120), max_size=4))
@example([80])
@example([81, 8, 9])
def test_no_fence_is_longer_than_renderers_know(rows: list[int]) -> None:
    """cmark, which GitHub and GitLab use, knows no code span with more than 80 backticks."""
    text = "<img src=x>".join("`" * row for row in rows)
    for made in (code(text), prose(f"x {text} y"), written(captures=[capture(path=text)])):
        assert max(map(len, re.findall("`+", made)), default=0) <= 10
        assert "html_inline" not in kinds(made)


def test_a_bar_after_a_backslash_does_not_end_a_cell() -> None:
    rows = cells(written(captures=[capture(path=r"a\|[x](http://evil.example/)|`b")]))
    assert rows[1][0] == r"a\\x7c[x](http://evil.example/)\x7c`b"
