"""Reply codes: the lists of the RFCs, the table by command, and the descriptions."""

from __future__ import annotations

import pytest

from smtpwire.dissectors.tables.codes import (
    CONTENT,
    GREETING,
    KNOWN_CODES,
    RFC821_CODES,
    UNAUTHENTICATED_EXEMPT,
    allowed_codes,
    describe_code,
)
from smtpwire.dissectors.tables.verbs import VERBS


def test_rfc_821_has_its_own_list() -> None:
    assert sorted(RFC821_CODES) == [
        *(211, 214, 220, 221, 250, 251, 354, 421, 450, 451, 452),
        *(500, 501, 502, 503, 504, 550, 551, 552, 553, 554),
    ]


def test_known_codes() -> None:
    extended = {235, 252, 253, 334, 432, 453, 454, 455, 458, 459, 521, 523, 525, 530, 534, 535, 538, 555, 556}
    assert set(KNOWN_CODES) == RFC821_CODES | extended


@pytest.mark.parametrize(
    ("command", "code", "rfc5321", "rfc821"),
    [
        ("RSET", 450, False, False),
        ("RCPT", 450, True, True),
        ("MAIL", 550, True, False),
        ("MAIL", 455, True, False),
        ("VRFY", 252, True, False),
        ("RSET", 504, False, True),
        ("QUIT", 250, False, False),
        ("DATA", 250, False, False),
        ("DATA", 354, True, True),
        ("NOOP", 421, True, True),
        ("QUIT", 501, True, True),
        (GREETING, 554, True, False),
        (GREETING, 250, False, False),
        (CONTENT, 250, True, True),
        ("FOO", 550, True, False),
        ("FOO", 250, False, False),
    ],
)
def test_the_codes_allowed_for_a_command(command: str, code: int, rfc5321: bool, rfc821: bool) -> None:
    modern, old = allowed_codes(command), allowed_codes(command, rfc821=True)
    assert modern is not None
    assert old is not None
    assert (code in modern, code in old) == (rfc5321, rfc821)


def test_private_commands_and_extensions_of_old_servers_are_not_judged() -> None:
    assert allowed_codes("XCLIENT") is None
    assert allowed_codes("XFOO") is None
    assert allowed_codes("EHLO", rfc821=True) is None


def test_lmtp_answers_the_content_for_each_recipient() -> None:
    smtp, lmtp = allowed_codes(CONTENT), allowed_codes(CONTENT, lmtp=True)
    assert smtp is not None
    assert lmtp is not None
    assert 553 in lmtp - smtp


def test_the_table_names_every_verb_and_known_codes_only() -> None:
    for verb in VERBS.values():
        codes = allowed_codes(verb.name)
        assert codes is None or codes <= set(KNOWN_CODES)
        assert verb.name.startswith("X") or codes is not None
    assert {verb for verb in UNAUTHENTICATED_EXEMPT if verb.encode() not in VERBS} == set()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (550, ["refused for good", "mail system", "no such mailbox", "RFC 5321"]),
        (454, ["try again", "TLS"]),
        (354, ["more is expected", "lone dot"]),
        (235, ["authentication"]),
        (341, ["unspecified"]),
        (541, ["not defined by any specification"]),
        (150, ["not an SMTP reply code"]),
        (299, ["not an SMTP reply code"]),
        (0, ["not an SMTP reply code"]),
    ],
)
def test_codes_are_described_to_a_reader(code: int, words: list[str]) -> None:
    description = describe_code(code)
    assert description.startswith(f"{code}: ")
    assert all(word in description for word in words)
