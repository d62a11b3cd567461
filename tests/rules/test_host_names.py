"""CMD320 and CMD321: names that only the client's own machine or network knows."""

from __future__ import annotations

import pytest
from captures import CLIENT, SERVER
from scripts import GREETING, Script, findings, hello, lines

CODES = (250, 501, 504, 550, 554)


def greeted(name: str, reply: str = "250 mx.example", verb: str = "EHLO") -> list[tuple[str, bytes | str]]:
    return [("S", GREETING), *lines(f"C {verb} {name}", f"S {reply}", "C QUIT", "S 221 bye")]


def found(script: Script, **options: object) -> list[tuple[str, str]]:
    return [(one.rule, one.severity) for one in findings(script, **options)]  # type: ignore[arg-type]


def messages(script: Script) -> list[str]:
    return [one.message for one in findings(script)]


def test_both_sides_have_different_addresses_here() -> None:
    assert CLIENT != SERVER


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("mailbox1", "mailbox1 is a single label: the name has to be fully qualified, or an address literal."),
        ("LOCALHOST", "LOCALHOST is a single label"),
        ("printer.Local", "printer.Local ends in .local, which only one network knows"),
        ("localhost.localdomain", "ends in .localdomain"),
        ("a.localhost", "ends in .localhost"),
        ("192.0.2.7", "192.0.2.7 has no brackets: an address is written [192.0.2.7]."),
        ("MX.example", "The client gave the server's own name, MX.example."),
        ("[0.0.0.0]", "[0.0.0.0] is not the address of any host."),
    ],
)
@pytest.mark.parametrize("verb", ["EHLO", "HELO"])
def test_the_name_is_not_qualified(name: str, part: str, verb: str) -> None:
    (message,) = messages(greeted(name, verb=verb))
    assert part in message


@pytest.mark.parametrize(
    "name", ["client.example", "[192.0.2.7]", "[IPv6:2001:db8::1]", "local.example", "1.2.3.example"]
)
def test_other_names_are_qualified(name: str) -> None:
    assert found(greeted(name)) == []


@pytest.mark.parametrize(
    ("name", "rule"), [("my_pc", "CMD302"), ("localhost.", "CMD302"), ("[192.0.2]", "CMD317"), ("caf\xe9", "BIT201")]
)
def test_a_name_that_breaks_the_grammar_is_another_finding(name: str, rule: str) -> None:
    assert [one for one, _ in found(greeted(name))] == [rule]


@pytest.mark.parametrize("code", CODES)
def test_the_refusal_is_right(code: int) -> None:
    assert found(greeted("mailbox1", f"{code} no")) == [("CMD320", "warning")]


@pytest.mark.parametrize("code", [500, 502, 503])
def test_other_refusals_are_not_judged_either(code: int) -> None:
    assert found(greeted("mailbox1", f"{code} no", "HELO")) == [("CMD320", "warning")]


@pytest.mark.parametrize(("profile", "severity"), [("rfc5321", ["warning"]), ("submission", ["info"]), ("lmtp", [])])
def test_profiles(profile: str, severity: list[str]) -> None:
    verb = "LHLO" if profile == "lmtp" else "EHLO"
    assert found(greeted("mailbox1", verb=verb), select=("CMD",), profile=profile) == [
        ("CMD320", one) for one in severity
    ]
    script = [("S", GREETING), *lines(f"C {verb} c.example", "S 250 mx.example", "C MAIL FROM:<a@host>", "S 250 ok")]
    assert found(script, select=("CMD",), profile=profile) == [("CMD321", one) for one in severity]


def test_each_name_is_one_finding() -> None:
    again = lines("C EHLO Mailbox1", "S 250 mx.example", "C EHLO other", "S 250 mx.example")
    script = [("S", GREETING), *lines("C EHLO mailbox1", "S 250 mx.example"), *again]
    first, second = messages(script)
    assert first.endswith("It is the first of 2 such commands.")
    assert second.startswith("other is a single label")


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("root@localhost", "root@localhost: localhost is a single label"),
        ("a@b.local", "a@b.local: b.local ends in .local"),
        ("ops@192.0.2.7", "ops@192.0.2.7: an address is written in brackets, [192.0.2.7]."),
    ],
)
@pytest.mark.parametrize("word", ["MAIL FROM", "RCPT TO"])
def test_the_domain_is_not_qualified(path: str, part: str, word: str) -> None:
    before = [] if word == "MAIL FROM" else lines("C MAIL FROM:<a@client.example>", "S 250 ok")
    (message,) = messages([*hello(), *before, *lines(f"C {word}:<{path}>", "S 550 no")])
    assert part in message


@pytest.mark.parametrize("path", ["<>", "<a@client.example>", "<a@[192.0.2.7]>"])
def test_other_senders_are_qualified(path: str) -> None:
    assert found([*hello(), *lines(f"C MAIL FROM:{path}", "S 250 ok")]) == []


@pytest.mark.parametrize(("path", "rule"), [("<a b@host>", "CMD304"), ("<a@[192.0.2]>", "CMD317")])
def test_a_path_that_breaks_the_grammar_is_another_finding(path: str, rule: str) -> None:
    assert [one for one, _ in found([*hello(), *lines(f"C MAIL FROM:{path}", "S 501 no")])] == [rule]


def test_each_domain_is_one_finding() -> None:
    script = [*hello(), *lines("C MAIL FROM:<a@host>", "S 250 ok", "C RCPT TO:<b@HOST>", "S 250 ok")]
    script += lines("C RCPT TO:<b@other>", "S 550 no")
    first, second = messages(script)
    assert first.endswith("It is the first of 2 such commands.")
    assert second.startswith("b@other")


@pytest.mark.parametrize("code", [501, 503, 553])
def test_a_refusal_of_such_a_domain_is_not_judged(code: int) -> None:
    assert found([*hello(), *lines("C MAIL FROM:<a@host>", f"S {code} no")]) == [("CMD321", "warning")]
