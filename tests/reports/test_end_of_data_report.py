"""``smtpwire show --end-of-data``: where each reader sees the end, and what the server did."""

from __future__ import annotations

import re
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from captures import pcap
from scripts import MESSAGE, Script, by, by_byte, envelope, hello, lines, records, segments

from smtpwire.analyzer.audit import Audit, Options
from smtpwire.analyzer.commands.registry import smtpwire as command_line
from smtpwire.analyzer.enums import Redact
from smtpwire.analyzer.errors import UsageError
from smtpwire.analyzer.findings.filters import ConnectionFilter
from smtpwire.analyzer.model import Capture
from smtpwire.analyzer.reports.end_of_data import EndOfDataWriter, named
from smtpwire.analyzer.reports.output import Output

if TYPE_CHECKING:
    from pathlib import Path

    from scripts import Cut

SMUGGLED = "MAIL FROM:<e@x.example>"


@pytest.fixture(autouse=True)
def _one_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports have the width of a file, whatever runs the tests."""
    monkeypatch.setenv("COLUMNS", "100")


def shown(
    tmp_path: Path,
    script: Script,
    *,
    everything: bool = False,
    redact: Redact = Redact.SECRETS,
    cut: Cut | None = None,
    wanted: ConnectionFilter | None = None,
) -> str:
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(records(segments(script, cut=cut))))
    stream = BytesIO()
    writer = EndOfDataWriter(Output(stream), everything=everything, redact=redact)
    audit = Audit(Options(tap=writer.tap, redact=redact, wanted=wanted, passed_over=writer.passed_over))
    for item in audit.run([path]):
        writer.capture(item) if isinstance(item, Capture) else writer.connection(item)
    writer.finish(audit.summary)
    return stream.getvalue().decode()


def ends(text: str) -> dict[str, tuple[int, str, str]]:
    """Return, for each reader: byte, mark, text after it."""
    rows = re.findall(
        r"^    (strict|Postfix, lenient|Zeek|Suricata|Snort|Arkime) +\d+ +(\d+)  (\S+) *(.*)$", text, re.M
    )
    return {name: (int(at), mark, following) for name, at, mark, following in rows}


def mail(content: str, *replies: str) -> Script:
    return [
        *hello("PIPELINING"),
        *envelope(),
        *lines("C DATA", "S 354 go"),
        ("C", content + "\r\n.\r\n"),
        *lines(*(f"S {reply}" for reply in replies), "C QUIT", "S 221 bye"),
    ]


def text_with(mark: str) -> str:
    return f"Subject: x\r\n\r\nhi{mark}{SMUGGLED}\r\nRCPT TO:<b@mx.example>"


def offset_of_content() -> int:
    sent = [text for who, text in [*hello("PIPELINING"), *envelope(), *lines("C DATA")] if who == "C"]
    return sum(map(len, sent))


@pytest.mark.slow
@pytest.mark.parametrize("cut", [None, by_byte])
def test_readers_that_disagree_are_shown_with_position_mark_and_next_line(tmp_path: Path, cut: Cut | None) -> None:
    text = shown(tmp_path, mail(text_with("\n.\n"), "250 ok"), cut=cut)
    found = ends(text)
    start, content = offset_of_content(), text_with("\n.\n")
    assert found["Zeek"] == (start + content.index("."), "<LF>.<LF>", SMUGGLED)
    assert found["Postfix, lenient"] == found["Suricata"] == found["Snort"] == found["Zeek"]
    assert found["strict"] == found["Arkime"] == (start + len(content) + 2, "<CR><LF>.<CR><LF>", "")
    assert "accepted the message. Nothing shows that it treated a look-alike as the end" in text
    assert "readers disagree about the end of 1" in text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mark", "lenient"),
    [
        ("\r.\r", {"Zeek", "Suricata", "Arkime"}),
        ("\r\n.\r", {"Zeek", "Suricata", "Arkime"}),
        ("\r\n.\n", {"Postfix, lenient", "Zeek", "Suricata", "Snort"}),
        ("\r\n.\r\r\n", {"Postfix, lenient", "Zeek", "Suricata", "Snort", "Arkime"}),
    ],
    ids=lambda value: repr(
        value if isinstance(value, str) else sorted(value)
    ),  # a set has another order in each process
)
def test_the_command_follows_the_mark_for_readers_that_accept_it(tmp_path: Path, mark: str, lenient: set[str]) -> None:
    found = ends(shown(tmp_path, mail(text_with(mark), "250 ok")))
    assert {name for name, (_, _, following) in found.items() if following == SMUGGLED} == lenient


@pytest.mark.parametrize("size", [1, 7, 1400])
def test_the_frame_is_the_one_that_contains_the_dot(tmp_path: Path, size: int) -> None:
    body = "Subject: x\r\n\r\n" + ("y" * 70 + "\r\n") * 500 + text_with("\n.\n") + ("\r\n" + "z" * 70) * 300
    script = mail(body, "250 ok")
    text = shown(tmp_path, script, cut=by(size))
    places = re.findall(r"^    (?:strict|Zeek) +(\d+) +(\d+)", text, re.M)
    sent = [one for one in segments(script, cut=by(size)) if one.payload and one.key[-2:] == b"\0\x19"]
    first = sent[0].seq
    for frame, offset in places:
        (holding,) = (s for s in sent if s.seq <= first + int(offset) < s.seq + len(s.payload))
        assert holding.frame == int(frame)
    assert len(places) == 2


def test_plain_messages_are_counted_and_shown_only_on_request(tmp_path: Path) -> None:
    script = mail(MESSAGE.rstrip(), "250 ok")
    assert shown(tmp_path, script) == "1 message sent with DATA: every reader sees the same end.\n"
    text = shown(tmp_path, script, everything=True)
    assert len(set(ends(text).values())) == 1
    assert len(ends(text)) == 6
    assert "The server accepted the message." in text


def test_a_server_that_sends_extra_replies_accepted_the_look_alike(tmp_path: Path) -> None:
    text = shown(tmp_path, mail(text_with("\n.\n"), "250 stored", "250 sender ok", "250 rcpt ok"))
    assert "treated <LF>.<LF> as the end" in text


def test_a_refusal_and_a_missing_reply_are_distinguished(tmp_path: Path) -> None:
    assert "refused the message with 550" in shown(tmp_path, mail(text_with("\n.\n"), "550 bare newline"))
    unseen = [*mail(text_with("\n.\n"))[:-2], ("RC", "")]
    assert "sent no final reply that the capture contains" in shown(tmp_path, unseen)


@pytest.mark.parametrize("mark", ["\n.\n", "\r\n.\r"])
def test_if_the_server_ended_early_strict_readers_continue_to_the_next_real_end(tmp_path: Path, mark: str) -> None:
    first = f"Subject: x\r\n\r\nhi{mark}"
    second = f"{SMUGGLED}\r\n"
    third = "Subject: y\r\n\r\nother\r\n.\r\n"
    script = [
        *hello(),
        *envelope(),
        *lines("C DATA", "S 354 go"),
        ("C", first),
        *lines("S 250 stored"),
        ("C", second),
        *lines("S 250 ok", "C RCPT TO:<b@mx.example>", "S 250 ok", "C DATA", "S 354 go"),
        ("C", third),
        *lines("S 250 stored", "C QUIT", "S 221 bye"),
    ]
    text = shown(tmp_path, script)
    found = ends(text)
    between = len("RCPT TO:<b@mx.example>\r\nDATA\r\n")
    assert found["strict"][0] == offset_of_content() + len(first + second) + between + len(third) - 3
    assert found["Zeek"] == (offset_of_content() + first.index("."), named(mark.encode()), SMUGGLED)
    assert f"treated {named(mark.encode())} as the end" in text
    assert "2 messages sent with DATA: readers disagree about the end of 1" in text


def test_missing_bytes_are_reported(tmp_path: Path) -> None:
    script = [
        *hello(),
        *envelope(),
        *lines("C DATA", "S 354 go"),
        ("C", text_with("\n.\n")),
        ("GC", "100"),
        ("C", "more\r\n.\r\n"),
        *lines("S 250 ok", "C QUIT", "S 221 bye"),
    ]
    assert "not in the capture" in shown(tmp_path, script)


def test_text_of_a_message_is_shown_only_without_redaction(tmp_path: Path) -> None:
    script = mail("Subject: x\r\n\r\nhi\n.\nmy secret is 42", "250 ok")
    assert "42" not in shown(tmp_path, script)
    assert ends(shown(tmp_path, script))["Zeek"][2] == "(15 bytes of text)"
    assert ends(shown(tmp_path, script, redact=Redact.NONE))["Zeek"][2] == "my secret is 42"
    assert ends(shown(tmp_path, mail(text_with("\n.\n"), "250 ok"), redact=Redact.PII))["Zeek"][2] == "MAIL"
    login = mail("Subject: x\r\n\r\nhi\n.\nAUTH PLAIN AGEAYg==", "250 ok")
    assert ends(shown(tmp_path, login))["Zeek"][2] == "AUTH"


def test_hostile_text_cannot_move_a_cursor(tmp_path: Path) -> None:
    text = shown(tmp_path, mail("a: b\r\n\r\nhi\n.\n\x1b[2Jx", "250 ok"), redact=Redact.NONE)
    assert "\x1b" not in text


def test_a_connection_is_selected_by_number(tmp_path: Path) -> None:
    script, other = mail(text_with("\n.\n"), "250 ok"), ConnectionFilter(connections=((2, 2),))
    assert shown(tmp_path, script, wanted=ConnectionFilter(connections=((1, 1),))) == shown(tmp_path, script)
    assert shown(tmp_path, script, wanted=other) == "No connection matches the filters; 1 connection did not.\n"


def test_marks_are_named_and_runs_are_counted() -> None:
    assert named(b"\r\n.\r\r\r\r\n") == "<CR><LF>.<CR>×4<LF>"


def test_all_without_end_of_data_is_one_line() -> None:
    with pytest.raises(UsageError, match="--all needs --end-of-data"):
        command_line(["show", "x.pcap", "--all"], standalone_mode=False)
