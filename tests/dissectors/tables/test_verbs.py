"""The table of verbs."""

from __future__ import annotations

import pytest

from smtpwire.dissectors.tables.verbs import VERBS, Argument, describe_verb


def test_the_table_has_every_verb_of_the_specifications() -> None:
    names = (
        "HELO EHLO LHLO MAIL RCPT SEND SOML SAML DATA BDAT BURL RSET VRFY EXPN HELP NOOP QUIT TURN STARTTLS AUTH ETRN "
        "ATRN XCLIENT XFORWARD"
    )
    assert set(VERBS) == {name.encode() for name in names.split()}


@pytest.mark.parametrize(
    ("verb", "keyword"),
    [
        (b"BDAT", "CHUNKING"),
        (b"STARTTLS", "STARTTLS"),
        (b"AUTH", "AUTH"),
        (b"MAIL", None),
        (b"VRFY", None),
        (b"HELP", None),
    ],
)
def test_extension_commands_name_their_keyword(verb: bytes, keyword: str | None) -> None:
    assert VERBS[verb].keyword == keyword


def test_forms_of_argument() -> None:
    assert {verb for verb, spec in VERBS.items() if spec.argument is Argument.REVERSE_PATH} == {
        b"MAIL",
        b"SEND",
        b"SOML",
        b"SAML",
    }
    assert VERBS[b"RCPT"].argument is Argument.FORWARD_PATH
    assert VERBS[b"NOOP"].argument is Argument.TEXT
    assert VERBS[b"DATA"].argument is Argument.NONE


def test_verbs_are_described_to_a_reader() -> None:
    assert describe_verb("starttls") == "STARTTLS asks to continue inside TLS (RFC 3207 §4)"
    assert "private" in describe_verb("XFOO")
    assert "not a registered" in describe_verb("FOO")
    assert all(spec.reference and spec.meaning for spec in VERBS.values())
