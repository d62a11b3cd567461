"""Devices on the path that overwrite what the server says: what only follows from them is folded under that finding."""

from __future__ import annotations

import pytest
from scripts import END, MAIL, Script, lines, play

MASKED_GREETING = ("S", "220 " + "*" * 38 + "0*****0**0200 " + "*" * 18 + "\r\n")
GREETING = ("S", "220 mx.example ESMTP\r\n")
EHLO = ("C", "EHLO client.example\r\n")
MASKED_LIST = ("S", "250-mx.example\r\n250-SIZE 2000\r\n250-XXXXXXXA\r\n250 XXXB\r\n")
LIST = ("S", "250-mx.example\r\n250 SIZE 2000\r\n")
STARTTLS = lines("C STARTTLS", "S 500 5.3.3 what")


def found(script: Script) -> list[tuple[str, str, str | None]]:
    """Each finding with its side and the rule of its cause."""
    findings = play([*script, *MAIL, *END]).findings
    return [(f.rule, f.side, None if f.caused_by is None else findings[f.caused_by].rule) for f in findings]


def test_the_overwritten_keyword_explains_all_the_rest() -> None:
    assert found([MASKED_GREETING, EHLO, MASKED_LIST, *STARTTLS]) == [
        ("SEC605", "path", None),
        ("EXT501", "client", "SEC605"),
        ("RPL406", "path", "SEC605"),
    ]


def test_the_overwritten_greeting_explains_a_missing_keyword() -> None:
    assert found([MASKED_GREETING, EHLO, LIST, *STARTTLS]) == [
        ("RPL406", "path", None),
        ("EXT501", "client", "RPL406"),
    ]


def test_a_client_that_only_guesses_is_at_fault() -> None:
    assert found([GREETING, EHLO, LIST, *STARTTLS]) == [("EXT501", "client", None)]


def test_only_starttls_was_hidden_from_the_client() -> None:
    script = [MASKED_GREETING, EHLO, MASKED_LIST, *lines("C ETRN mx.example", "S 500 no")]
    assert ("EXT501", "client", None) in found(script)


@pytest.mark.parametrize("code", [500, 502])
def test_the_overwritten_greeting_explains_an_unknown_ehlo(code: int) -> None:
    refusal = lines(
        f'S {code} 5.5.1 no such command: "XXXX client.example"', "C HELO client.example", "S 250 mx.example"
    )
    assert found([MASKED_GREETING, EHLO, *refusal]) == [("RPL406", "path", None), ("RPL424", "server", "RPL406")]
    assert found([GREETING, EHLO, *refusal]) == [("RPL424", "server", None)]


def test_without_a_hello_the_greeting_is_judged_at_the_end() -> None:
    assert [f.rule for f in play([MASKED_GREETING, *END]).findings] == ["RPL406"]


@pytest.mark.parametrize(
    ("text", "side"),
    [
        ("*" * 8, "path"),
        ("0* ** ********2", "path"),
        ("*******", "server"),
        ("mx*********", "server"),
        ("* * * * * * * *", "server"),
    ],
)
def test_a_greeting_of_asterisks(text: str, side: str) -> None:
    (finding,) = play([("S", f"220 {text}\r\n"), EHLO, LIST, *END]).findings
    assert (finding.rule, finding.side) == ("RPL406", side)
