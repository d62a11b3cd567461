"""LEN: how long lines and names may be, and how many recipients a server has to take."""

from __future__ import annotations

import pytest
from scripts import Script, envelope, findings, hello, lines

MINE = ("LEN001", "LEN002", "LEN004", "LEN005", "LEN006")


def rules(script: Script, **options: object) -> list[str]:
    return [f.rule for f in findings(script, select=MINE, **options)]  # type: ignore[arg-type]


def mail(octets: int) -> str:
    """A MAIL line of ``octets`` octets, CRLF included."""
    line = "MAIL FROM:<a@x.example> AUTH="
    return "C " + line + "y" * (octets - 2 - len(line))


@pytest.mark.parametrize(
    ("keywords", "most"),
    [
        (("SIZE",), 538),
        (("AUTH PLAIN",), 1012),
        (("AUTH PLAIN", "SIZE 5", "8BITMIME", "DSN", "SMTPUTF8"), 512 + 500 + 26 + 17 + 119 + 10),
        (("CHECKPOINT", "MTRK", "NO-SOLICITING", "UTF8SMTP"), 512 + 88 + 40 + 1007 + 460),
        ((), 512),
    ],
)
def test_extensions_make_the_line_of_mail_longer(keywords: tuple[str, ...], most: int) -> None:
    assert rules([*hello(*keywords), *lines(mail(most), "S 555 no")]) == []
    (finding,) = findings([*hello(*keywords), *lines(mail(most + 1), "S 500 no")], select=MINE)
    assert finding.message == f"The command line has {most + 1} octets; at most {most} are allowed here."


def test_the_line_of_another_command() -> None:
    assert rules([*hello("SIZE"), *lines("C NOOP " + "x" * 505, "S 250 ok")]) == []
    assert rules([*hello("SIZE"), *lines("C NOOP " + "x" * 506, "S 500 no")]) == ["LEN001"]


def test_one_direction_allows_whatever_could_be_listed() -> None:
    assert rules(lines("C EHLO c.example", mail(1000), "C QUIT"), onesided=True) == []
    assert rules(lines("C EHLO c.example", mail(3000), "C QUIT"), onesided=True) == ["LEN001"]


def test_each_line_of_a_reply_has_its_own_limit() -> None:
    start = [*hello("SIZE"), ("C", "NOOP\r\n")]
    assert rules([*start, ("S", "250-" + "x" * 400 + "\r\n250 " + "x" * 506 + "\r\n")]) == []
    (finding,) = findings([*start, ("S", "250-ok\r\n250 " + "x" * 507 + "\r\n")], select=MINE)
    greeted = sum(len(text) for who, text in hello("SIZE") if who == "S")
    assert (finding.rule, finding.offset, finding.length) == ("LEN002", greeted + len("250-ok\r\n"), 513)


@pytest.mark.parametrize(
    "line",
    [
        "MAIL FROM:<" + "x" * 65 + "@x.example>",
        "RCPT TO:<b@" + "x" * 60 + ".x" * 100 + ".example>",
        "MAIL FROM:<" + "x" * 30 + "@" + "y." * 110 + "example>",
        "EHLO " + "x." * 130 + "example",
        "VRFY " + "x" * 65,
    ],
)
def test_names_that_are_too_long(line: str) -> None:
    assert rules([*hello("SIZE"), *lines(f"C {line}", "S 501 no")]) == ["LEN004"]


@pytest.mark.parametrize(
    "line",
    [
        "MAIL FROM:<" + "x" * 64 + "@x.example>",
        "RCPT TO:<b@" + "x." * 70 + "example>",
        "VRFY " + "x" * 64,
        "MAIL FROM:" + "x" * 100,
        "NOOP " + "x" * 100,
        "RCPT TO:<b@x.example> ORCPT=rfc822;" + "x" * 100 + "@x.example",
    ],
)
def test_names_that_are_not(line: str) -> None:
    assert rules([*hello("DSN"), *lines(f"C {line}", "S 501 no")]) == []


def test_rfc_821_has_shorter_domains() -> None:
    script = [*hello(), *lines("C RCPT TO:<b@" + "x." * 30 + "example>", "S 550 no")]
    assert rules(script) == []
    assert rules(script, profile="rfc821") == ["LEN004"]


def many(reply: str, *keywords: str, accepted: int = 1) -> Script:
    more = [entry for _ in range(accepted - 1) for entry in ("C RCPT TO:<d@mx.example>", "S 250 ok")]
    return [*hello(*keywords), *envelope(), *lines(*more, "C RCPT TO:<c@mx.example>", f"S {reply}")]


def test_a_server_must_accept_a_hundred_recipients() -> None:
    (finding,) = findings(many("452 4.5.3 too many", accepted=12), select=MINE)
    assert (finding.rule, finding.side) == ("LEN005", "server")
    assert "accepted 12" in finding.message
    assert rules(many("452 4.5.3 too many", accepted=99)) == ["LEN005"]
    assert rules(many("452 4.5.3 too many", accepted=100)) == []
    assert rules(many("452 4.3.1 disk full")) == []
    assert rules(many("452 too many")) == []
    assert rules(many("452 4.5.3 too many", "LIMITS RCPTMAX=1")) == []


def test_lines_of_an_auth_exchange() -> None:
    start = [*hello("AUTH CRAM-MD5"), ("C", "AUTH CRAM-MD5\r\n")]
    challenge, answer = "334 PDE=\r\n", "A" * 12284 + "\r\n"
    assert rules([*start, ("S", challenge), ("C", answer), ("S", "535 no\r\n")]) == []
    (finding,) = findings([*start, ("S", challenge), ("C", "AAAA" + answer), ("S", "500 no\r\n")], select=MINE)
    assert (finding.rule, finding.side, finding.evidence) == ("LEN006", "client", "")
    (finding,) = findings([*start, ("S", "334 " + answer)], select=MINE)
    assert (finding.rule, finding.side) == ("LEN006", "server")
