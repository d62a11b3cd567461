"""BIT221, BIT222, BIT225, BIT226: wrong line ends are one fact for each side of a connection."""

from __future__ import annotations

import pytest
from scripts import GREETING, Script, by_byte, findings, hello, lines, play, rules

from smtpwire.analyzer.model import ReplyTurn

FAMILY = ("BIT22",)


def told(script: Script) -> dict[str, str]:
    """The messages by rule; each rule has one finding at most."""
    found = findings(script, select=FAMILY)
    assert len({one.rule for one in found}) == len(found)
    return {one.rule: one.message for one in found}


def session(end: str) -> Script:
    """A session in which the client ends its lines with ``end``, and the server answers each one."""
    return [
        ("S", GREETING),
        ("C", f"EHLO client.example{end}"),
        ("S", "250 mx.example\r\n"),
        ("C", f"NOOP{end}"),
        ("S", "250 ok\r\n"),
        ("C", f"QUIT{end}"),
        ("S", "221 bye\r\n"),
    ]


@pytest.mark.parametrize(
    ("end", "rule", "name"),
    [
        ("\n", "BIT221", "A bare LF ends"),
        ("\n\r", "BIT221", "LF CR ends"),
        ("\0\n", "BIT221", "NUL LF ends"),
        ("\r\r\n", "BIT222", "CR CR LF ends"),
        ("\r\0\r\n", "BIT222", "CR NUL CR LF ends"),
        ("\r", "BIT222", "A bare CR ends"),
    ],
)
def test_each_line_ends_wrong(end: str, rule: str, name: str) -> None:
    found = told(session(end))
    assert found[rule].startswith(name)
    assert found[rule].endswith("It is the first of 3 such lines.")
    assert set(found) <= {rule, "BIT225"}


def test_the_finding_is_at_the_first_byte_that_is_wrong() -> None:
    script = session("\n")
    first, honoured = findings(script, select=FAMILY)
    assert (first.rule, first.offset, first.length, first.evidence) == ("BIT221", 19, 1, "EHLO client.example")
    assert (first.count, first.certainty) == (3, "certain")
    assert (honoured.rule, honoured.caused_by, honoured.count) == ("BIT225", 0, 3)


def test_lf_cr_that_the_server_does_not_accept_is_one_line() -> None:
    script = [*hello(), ("C", "NOOP\n\rNOOP\n\rQUIT\r\n"), ("S", "500 what\r\n")]
    assert told(script) == {"BIT221": "LF CR is inside the line."}


@pytest.mark.parametrize("line", ["NOOP a\rb\r\n", "\rNOOP\r\n"])
def test_a_cr_that_ends_nothing(line: str) -> None:
    assert told([*hello(), ("C", line), ("S", "250 ok\r\n")]) == {"BIT222": "A bare CR is inside the line."}


@pytest.mark.parametrize(
    ("end", "name"), [("\n", "A bare LF ends"), ("\r\r\n", "CR CR LF ends"), ("\r\0\r\n", "CR NUL CR LF ends")]
)
def test_each_line_of_the_server_ends_wrong(end: str, name: str) -> None:
    reply = f"250-mx.example{end}250 HELP{end}"
    script = [("S", f"220 mx.example ESMTP{end}"), ("C", "EHLO client.example\r\n"), ("S", reply)]
    for cut in (None, by_byte):
        (finding,) = findings(script, select=FAMILY, cut=cut)
        assert (finding.rule, finding.side, finding.certainty) == ("BIT226", "server", "certain")
        assert finding.message == f"{name} the line instead of CRLF. It is the first of 3 such lines."
        assert finding.offset == 20 + (end.index("\r\r\n") if "\r\r\n" in end else 0)


def test_the_line_with_the_byte_is_the_evidence() -> None:
    script = [("S", GREETING), ("C", "EHLO client.example\r\n"), ("S", "250-mx.example\r\n250-HELP\n250 SIZE\r\n")]
    (finding,) = findings(script, select=FAMILY)
    assert (finding.evidence, finding.offset) == ("250-HELP", len(GREETING) + 24)


def test_both_sides_have_a_finding_each() -> None:
    script = [(who, str(text).replace("\r\n", "\n")) for who, text in session("\r\n")]
    found = play(script, select=FAMILY).findings
    assert [(one.rule, one.side, one.count) for one in found] == [
        ("BIT226", "server", 4),
        ("BIT221", "client", 3),
        ("BIT225", "server", 3),
    ]


@pytest.mark.parametrize(
    ("command", "reply", "severity"),
    [
        ("RCPT TO:<b@mx.example>", "550 5.1.1 <jos\xc3\xa9@mx.example> unknown", "info"),
        ("RCPT TO:<b@mx.example>", "250 jos\xc3\xa9", "info"),
        ("RCPT TO:<b@mx.example>", "551 jos\xc3\xa9", None),
        ("RSET", "250 jos\xc3\xa9", "info"),
        ("NOOP", "250 jos\xc3\xa9", "info"),
    ],
)
def test_utf8_in_a_reply_of_a_smtputf8_transaction(command: str, reply: str, severity: str | None) -> None:
    for parameter, expected in (("SMTPUTF8", severity), ("", "error")):
        mail = lines(f"C MAIL FROM:<a@client.example> {parameter}".rstrip(), "S 250 ok")
        script = [*hello("SMTPUTF8", "8BITMIME"), *mail, *lines(f"C {command}", f"S {reply}")]
        found = findings(script, select=("BIT204",))
        assert [one.severity for one in found] == ([expected] if expected else [])
        if found:
            assert "\\xc3" in found[0].evidence


def test_after_the_transaction_utf8_is_an_error_again() -> None:
    script = [*hello("SMTPUTF8"), *lines("C MAIL FROM:<a@client.example> SMTPUTF8", "S 250 ok", "C RSET", "S 250 ok")]
    (finding,) = findings([*script, *lines("C NOOP", "S 250 jos\xc3\xa9")], select=("BIT204",))
    assert finding.severity == "error"


@pytest.mark.parametrize(
    ("octets", "name"),
    [
        (b"\xff\xfb\x1f\xff\xfb\x20", "IAC WILL ..., 6 octets"),
        (b"\xff\xfa\x18\x00xterm\xff\xf0", "IAC SB ..., 11 octets"),
        (b"\xff\xf1", "IAC F1 ..., 2 octets"),
    ],
)
def test_a_telnet_negotiation(octets: bytes, name: str) -> None:
    script = [*hello(), ("C", octets + b"NOOP\r\n"), ("S", "500 what\r\n")]
    (finding,) = findings(script, select=("BIT201",))
    assert f"Telnet negotiation ({name})" in finding.message
    assert finding.length == len(octets)


def test_a_wrong_line_end_of_the_server_is_no_part_of_its_text() -> None:
    reply = "250-mx.example\r\r\n250-PIPELINING\r\r\n250 SIZE 1000\r\r\n"
    script = [("S", "220 mx.example\r\r\n"), ("C", "EHLO client.example\r\n"), ("S", reply)]
    script += [("C", "MAIL FROM:<a@client.example> SIZE=100\r\nRCPT TO:<b@mx.example>\r\n")]
    script += [("S", "250 ok\r\r\n250 ok\r\r\n"), ("C", "QUIT\r\n"), ("S", "221 bye\r\r\n")]
    assert [one.rule for one in findings(script)] == ["BIT226"]


def test_a_server_that_ends_each_line_with_lf_cr_has_one_fault_and_its_replies_are_read() -> None:
    script: Script = [
        ("S", "220 mx.example ESMTP\n\r"),
        ("C", "EHLO client.example\r\n"),
        ("S", "250-mx.example\n\r250 SIZE 1000\n\r"),
        ("C", "QUIT\r\n"),
        ("S", "221 bye\n\r"),
        ("FS", ""),
    ]
    connection = play(script)
    assert [(one.rule, one.count) for one in connection.findings] == [("BIT226", 4)]
    codes = [turn.code for turn in connection.dialogue if isinstance(turn, ReplyTurn)]
    assert codes == [220, 250, 221]
    assert len(connection.dialogue) == 5


def test_a_cr_before_a_reply_after_a_whole_line_end_is_no_part_of_a_line_end() -> None:
    script = [("S", GREETING), *lines("C NOOP"), ("S", "\r250 ok\r\n"), ("FS", "")]
    assert "RPL401" in rules(script)
