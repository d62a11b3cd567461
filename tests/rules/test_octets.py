"""BIT: bytes above 127, NUL and bare newlines, each at its offset, with and without the extensions that permit them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from scripts import GREETING, MESSAGE, by_byte, envelope, findings, hello, lines, play

if TYPE_CHECKING:
    from scripts import Script

    from smtpwire.analyzer.model import Finding

BIT = ("BIT",)
UTF8 = ("8BITMIME", "SMTPUTF8")
HEADER = "From: a@client.example\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\n"
MIME = HEADER + "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
E_ACUTE = "\xc3\xa9"  # in UTF-8


def bit(script: Script, *, profile: str | None = None, onesided: bool = False) -> list[Finding]:
    return findings(script, profile=profile, onesided=onesided, select=BIT)


def names(script: Script, profile: str | None = None) -> list[str]:
    return [finding.rule for finding in bit(script, profile=profile)]


def message(text: str, keywords: tuple[str, ...] = (), parameters: str = "") -> list[tuple[str, bytes | str]]:
    return [
        *hello(*keywords),
        *envelope(parameters),
        *lines("C DATA", "S 354 go ahead"),
        ("C", f"{text}.\r\n"),
        *lines("S 250 queued"),
    ]


def chunk(text: str, parameters: str = "", keywords: tuple[str, ...] = ()) -> list[tuple[str, bytes | str]]:
    return [
        *hello("CHUNKING", *keywords),
        *envelope(parameters),
        ("C", f"BDAT {len(text)} LAST\r\n{text}"),
        *lines("S 250 queued"),
    ]


def client_offset(script: Script, of: str) -> int:
    """The offset of ``of`` in the client's stream."""
    return "".join(str(text) for who, text in script if who == "C").index(of)


def server_offset(script: Script, of: str) -> int:
    return "".join(str(text) for who, text in script if who == "S").index(of)


# -- commands ----------------------------------------------------------------------------------------------------------

# rule, script, the bytes that the finding must point at
IN_COMMANDS: list[tuple[str, Script, str]] = [
    ("BIT201", [("S", GREETING), *lines("C EHLO caf\xe9.example", "S 501 no")], "\xe9"),
    ("BIT201", [*hello(), *lines("C NO\xd6P", "S 500 what")], "\xd6"),
    ("BIT201", [*hello(), *lines(f"C MAIL FROM:<{E_ACUTE}@x.example>", "S 501 no")], "\xc3"),
    ("BIT201", [*hello(*UTF8), *lines("C MAIL FROM:<a@x.example> S\xefZE=1 SMTPUTF8", "S 501 no")], "\xef"),
    ("BIT202", [*hello(*UTF8), *lines(f"C MAIL FROM:<{E_ACUTE}@x.example>", "S 550 no")], "\xc3"),
    ("BIT202", [*hello(*UTF8), *envelope(), *lines(f"C RCPT TO:<{E_ACUTE}@mx.example>", "S 553 no")], "\xc3"),
    ("BIT202", [*hello(*UTF8), *lines(f"C VRFY {E_ACUTE}", "S 252 perhaps")], "\xc3"),
    ("BIT203", [*hello(*UTF8), *lines("C MAIL FROM:<\xe9@x.example> SMTPUTF8", "S 501 no")], "\xe9"),
    (
        "BIT203",  # an overlong form of "/"
        [*hello(*UTF8), *envelope("SMTPUTF8"), *lines("C RCPT TO:<\xc0\xaf@mx.example>", "S 501 no")],
        "\xc0",
    ),
    ("BIT209", [("S", GREETING), *lines("C \xef\xbb\xbfEHLO x.example", "S 500 what")], "\xef\xbb\xbf"),
    ("BIT210", [*hello(), *lines("C NOOP x\0y", "S 250 ok")], "\0"),
    ("BIT221", [*hello(), *lines("C NOOP x\ny", "S 250 ok")], "\ny"),
    ("BIT222", [*hello(), *lines("C NOOP x\ry", "S 250 ok")], "\ry"),
]

CLEAN_COMMANDS: list[tuple[str, Script]] = [
    ("201 UTF-8 in an address, asked for", [*hello(*UTF8), *envelope("SMTPUTF8"), *lines(f"C RCPT TO:<{E_ACUTE}@x>")]),
    (
        "201 mail data",
        message(f"{MIME}\r\n{E_ACUTE}\r\n", UTF8, "BODY=8BITMIME"),
    ),
    ("203 UTF-8 that is right", [*hello(*UTF8), *lines(f"C MAIL FROM:<{E_ACUTE}@x.example> SMTPUTF8", "S 250 ok")]),
    ("209 no mark", [("S", GREETING), *lines("C EHLO x.example", "S 250 mx")]),
    ("209 a mark in the message", message(f"{MIME}\r\n\xef\xbb\xbftext\r\n", UTF8, "BODY=8BITMIME")),
    ("210 no NUL", [*hello(), *lines("C NOOP xy", "S 250 ok")]),
    ("210 NUL in a TLS record", [*hello("STARTTLS"), *lines("C STARTTLS", "S 220 go"), ("C", b"\x16\x03\x01\0\0")]),
    ("221 222 CRLF", [*hello(), *lines("C NOOP x", "S 250 ok")]),
    ("222 CR and LF in two segments", [*hello(), ("C", "NOOP x\r"), ("C", "\n"), *lines("S 250 ok")]),
]


@pytest.mark.parametrize(
    ("rule", "script", "place"), IN_COMMANDS, ids=[f"{rule}-{n}" for n, (rule, *_) in enumerate(IN_COMMANDS)]
)
def test_one_byte_of_a_command(rule: str, script: Script, place: str) -> None:
    (finding,) = bit(script)
    assert (finding.rule, finding.side, finding.certainty) == (rule, "client", "certain")
    assert finding.offset == client_offset(script, place)


@pytest.mark.parametrize(
    ("line", "section"),
    [(f"C MAIL FROM:<{E_ACUTE}@x.example>", "RFC 6531 §3.4"), (f"C VRFY {E_ACUTE}", "RFC 6531 §3.7.4.2")],
)
def test_only_the_section_about_the_command_is_cited(line: str, section: str) -> None:
    (one,) = bit([*hello(*UTF8), *lines(line, "S 550 no")])
    assert (one.rule, one.reference) == ("BIT202", section)


@pytest.mark.parametrize("script", [script for _, script in CLEAN_COMMANDS], ids=[name for name, _ in CLEAN_COMMANDS])
def test_commands_that_are_right(script: Script) -> None:
    assert names(script) == []


def test_evidence_of_a_command_is_printable_and_counts_the_bytes() -> None:
    (finding,) = bit([("S", GREETING), *lines("C EHLO caf\xe9\xe8.example", "S 501 no")])
    assert finding.evidence == r"EHLO caf\xe9\xe8.example"
    assert finding.count == 2
    assert finding.frame == 6  # SYN, SYN ACK, ACK, greeting, its ACK, EHLO


def test_the_offer_is_unknown_if_only_the_client_was_captured() -> None:
    script = lines("C EHLO x.example", f"C MAIL FROM:<{E_ACUTE}@x.example>", "C CAF\xc9")
    address, verb = bit(script, onesided=True)
    assert (address.rule, address.certainty) == ("BIT201", "indeterminate")
    assert (verb.rule, verb.offset) == ("BIT201", client_offset(script, "\xc9"))


def test_rfc_821_has_no_extension_that_permits_a_byte() -> None:
    script = [*hello(*UTF8), *lines(f"C MAIL FROM:<{E_ACUTE}@x.example> SMTPUTF8", "S 250 ok")]
    assert names(script) == []
    assert names(script, "rfc821") == ["BIT201"]


def test_a_bare_newline_that_the_server_accepts_as_line_end() -> None:
    script = [*hello(), ("C", "NOOP\n"), *lines("S 250 ok", "C QUIT", "S 221 bye")]
    client, server = bit(script)
    assert (client.rule, client.side) == ("BIT221", "client")
    assert client.offset == client_offset(script, "NOOP\n") + 4
    assert (server.rule, server.side, server.caused_by) == ("BIT225", "server", 0)
    assert server.offset == server_offset(script, "250 ok")


def test_a_bare_cr_that_the_server_accepts_as_line_end() -> None:
    assert names([*hello(), ("C", "NOOP\r"), *lines("S 250 ok")]) == ["BIT222", "BIT225"]


def test_a_bare_newline_without_a_reply_is_part_of_its_line() -> None:
    assert names([*hello(), ("C", "NOOP\nNOOP\r\n"), *lines("S 250 ok")]) == ["BIT221"]


def test_a_reply_to_the_command_before_accepts_no_newline() -> None:
    script = [*hello(), ("C", "NOOP\r\nNOOP\n"), *lines("S 250 ok", "C QUIT", "S 500 what")]
    assert names(script) == ["BIT221"]


def test_421_accepts_no_newline() -> None:
    assert "BIT225" not in names([*hello(), ("C", "NOOP\n"), *lines("S 421 time is up")])


# -- replies -----------------------------------------------------------------------------------------------------------


def test_a_byte_above_127_in_a_reply() -> None:
    script = [*hello(), *lines("C NOOP", "S 250 Gr\xfc\xdf Gott")]
    (finding,) = bit(script)
    assert (finding.rule, finding.side, finding.count) == ("BIT204", "server", 2)
    assert finding.offset == server_offset(script, "\xfc")
    assert finding.evidence == r"250 Gr\xfc\xdf Gott"


def test_a_greeting_is_a_reply_too() -> None:
    (finding,) = bit(lines("S 220 caf\xe9.example ESMTP", "C QUIT", "S 221 bye"))
    assert (finding.rule, finding.offset) == ("BIT204", len("220 caf"))


@pytest.mark.parametrize(
    ("command", "reply", "expected"),
    [
        (f"VRFY {E_ACUTE} SMTPUTF8", f"250 <{E_ACUTE}@mx.example>", []),
        ("VRFY b", f"250 <{E_ACUTE}@mx.example>", ["BIT204"]),
        ("VRFY b SMTPUTF8", f"500 {E_ACUTE}", ["BIT204"]),
    ],
)
def test_a_reply_to_vrfy_may_be_utf8_if_that_was_declared(command: str, reply: str, expected: list[str]) -> None:
    assert names([*hello(*UTF8), *lines(f"C {command}", f"S {reply}")]) == expected


def test_251_may_name_a_utf8_address_in_a_smtputf8_transaction() -> None:
    forward = lines("C RCPT TO:<c@mx.example>", f"S 251 <{E_ACUTE}@mx.example>")
    assert names([*hello(*UTF8), *envelope("SMTPUTF8"), *forward]) == []
    assert names([*hello(*UTF8), *envelope(), *forward]) == ["BIT204"]


@pytest.mark.parametrize("reply", ["250 ok\n", "250-a\n250 b\r\n", "250 o\rk\r\n"])
def test_a_bare_newline_in_a_reply(reply: str) -> None:
    script = [*hello(), ("C", "NOOP\r\n"), ("S", reply)]
    (finding,) = bit(script)
    assert (finding.rule, finding.side) == ("BIT226", "server")
    bare = reply.index("\r" if "o\rk" in reply else "\n")
    assert finding.offset == server_offset(script, reply) + bare


def test_a_reply_whose_crlf_comes_in_two_segments_is_right() -> None:
    assert bit([*hello(), ("C", "NOOP\r\n"), ("S", "250 ok\r"), ("S", "\n")]) == []


# -- content -----------------------------------------------------------------------------------------------------------

IN_CONTENT: list[tuple[str, Script, str]] = [
    ("BIT205", message(f"{HEADER}Subject: Gr\xfc\xdfe\r\n\r\nhello\r\n", UTF8, "BODY=8BITMIME"), "\xfc"),
    ("BIT206", message(f"{MIME}\r\ncaf\xe9\r\n", ("SIZE",)), "\xe9"),
    ("BIT206", message(f"{MIME}\r\ncaf\xe9\r\n", ("SIZE",), "BODY=8BITMIME"), "\xe9"),
    ("BIT207", message(f"{MIME}\r\ncaf\xe9\r\n", UTF8), "\xe9"),
    ("BIT208", message(f"{MIME}\r\ncaf\xe9\r\n", UTF8, "BODY=7BIT"), "\xe9"),
    ("BIT203", message(f"{MIME}Subject: caf\xe9 \r\n\r\nx\r\n", UTF8, "SMTPUTF8 BODY=8BITMIME"), "\xe9"),
    ("BIT213", message(f"{MESSAGE}a\0b\r\n"), "\0"),
    ("BIT213", chunk(f"{MESSAGE}a\0b\r\n"), "\0"),
    ("BIT214", message(f"{HEADER}\r\ncaf\xe9\r\n", UTF8, "BODY=8BITMIME"), "\xe9"),
    ("BIT223", message(f"{MESSAGE}a\nb\r\n"), "\nb"),
    ("BIT223", chunk(f"{MESSAGE}a\nb\r\n"), "\nb"),
    ("BIT224", message(f"{MESSAGE}a\rb\r\n"), "\rb"),
    ("BIT224", chunk(f"{MESSAGE}a\rb\r\n"), "\rb"),
]

CLEAN_CONTENT: list[tuple[str, Script]] = [
    ("205 an encoded word", message(f"{HEADER}Subject: =?iso-8859-1?q?Gr=FC=DFe?=\r\n\r\nhello\r\n")),
    ("205 SMTPUTF8", message(f"{MIME}Subject: {E_ACUTE}\r\n\r\nhello\r\n", UTF8, "SMTPUTF8 BODY=8BITMIME")),
    ("206 207 offered and declared", message(f"{MIME}\r\ncaf\xe9\r\n", UTF8, "BODY=8BITMIME")),
    ("208 an ASCII body", message(MESSAGE, UTF8, "BODY=7BIT")),
    (
        "213 223 224 binary content",
        chunk(f"{MIME}\r\n\0\ra\nb\xe9", "BODY=BINARYMIME", ("BINARYMIME", "8BITMIME")),
    ),
    ("223 224 CRLF only", message(f"{MESSAGE}a\r\nb\r\n")),
]


@pytest.mark.parametrize(
    ("rule", "script", "place"), IN_CONTENT, ids=[f"{rule}-{n}" for n, (rule, *_) in enumerate(IN_CONTENT)]
)
def test_one_byte_of_a_message(rule: str, script: Script, place: str) -> None:
    (finding,) = bit(script)
    assert (finding.rule, finding.side) == (rule, "client")
    assert finding.offset == client_offset(script, place)


@pytest.mark.parametrize(
    ("rule", "script", "place"), IN_CONTENT, ids=[f"{rule}-{n}" for n, (rule, *_) in enumerate(IN_CONTENT)]
)
def test_the_frame_is_the_one_that_holds_the_byte(rule: str, script: Script, place: str) -> None:
    whole = play(script, select=BIT).findings
    single = play(script, cut=by_byte, select=BIT).findings
    assert [(f.rule, f.offset, f.count) for f in single] == [(f.rule, f.offset, f.count) for f in whole]
    # byte by byte each byte of the client has a frame of its own, and so has what the server said before
    position = client_offset(script, place)
    sent = 0
    frame = 3
    for who, text in script:
        if who == "C" and sent + len(text) > position:
            frame += position - sent + 1
            break
        sent += len(text) if who == "C" else 0
        frame += len(text) + 1
    assert single[0].frame == frame


@pytest.mark.parametrize("script", [script for _, script in CLEAN_CONTENT], ids=[name for name, _ in CLEAN_CONTENT])
def test_messages_that_are_right(script: Script) -> None:
    assert names(script) == []


def test_a_message_has_one_finding_of_a_kind_with_the_count() -> None:
    (finding,) = bit(message(f"{MIME}\r\ncaf\xe9\r\n\xe9\xe9\r\n", UTF8))
    assert finding.count == 3


def test_header_and_body_are_judged_separately() -> None:
    assert names(message(f"{MIME}Subject: \xe9\r\n\r\n\xe9\r\n", UTF8)) == ["BIT205", "BIT207"]


def test_smtputf8_does_not_permit_an_eight_bit_body() -> None:
    assert names(message(f"{MIME}\r\n{E_ACUTE}\r\n", UTF8, "SMTPUTF8")) == ["BIT207"]


def test_rfc_821_permits_no_eight_bit_body() -> None:
    assert names(message(f"{MIME}\r\ncaf\xe9\r\n", UTF8, "BODY=8BITMIME"), "rfc821") == ["BIT206"]


def test_a_message_with_a_gap_is_not_judged() -> None:
    script: Script = [
        *hello(),
        *envelope(),
        *lines("C DATA", "S 354 go ahead"),
        ("C", f"{HEADER}\r\ncaf\xe9"),
        ("GC", "100"),
        ("C", "\xe9\r\n.\r\n"),
        *lines("S 250 queued"),
    ]
    assert names(script) == []


def test_a_refused_message_is_judged_too() -> None:
    script = [*message(f"{HEADER}\r\ncaf\xe9\r\n")[:-1], *lines("S 554 spam")]
    assert names(script) == ["BIT206"]


EVERY_RULE = {f"BIT{n}" for n in (*range(201, 211), 213, 214, *range(221, 227))}


def test_every_rule_has_a_case() -> None:
    here = {"BIT204", "BIT225", "BIT226"}  # in separate functions
    assert {rule for rule, *_ in (*IN_COMMANDS, *IN_CONTENT)} | here == EVERY_RULE
