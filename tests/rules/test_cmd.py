"""CMD: what is wrong with one command line, and what only seems to be wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from scripts import envelope, findings, hello, lines

if TYPE_CHECKING:
    from smtpwire.analyzer.model import Finding

EVERYTHING = ("PIPELINING", "SIZE 10240000", "8BITMIME", "DSN", "AUTH PLAIN CRAM-MD5", "CHUNKING", "DELIVERBY", "ETRN")


def found(*entries: str, profile: str | None = None, keywords: tuple[str, ...] = EVERYTHING) -> list[Finding]:
    """CMD findings of a session that continues with ``entries``."""
    return findings([*hello(*keywords), *lines(*entries)], profile=profile, select=("CMD",))


def rules(*entries: str, profile: str | None = None, keywords: tuple[str, ...] = EVERYTHING) -> list[str]:
    return [finding.rule for finding in found(*entries, profile=profile, keywords=keywords)]


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("FOO bar", "CMD301"),
        ("EHLO", "CMD302"),
        ("HELO my_pc.example", "CMD302"),
        ("EHLO client.example.", "CMD302"),
        ("MAIL FROM:a@x.example", "CMD304"),
        ("MAIL FROM:<a@x.example", "CMD304"),
        ('MAIL FROM:<"a@x.example>', "CMD304"),
        ("MAIL FROM <a@x.example>", "CMD304"),
        ("MAIL FROM: <a@x.example>", "CMD305"),
        ("MAIL FROM :<a@x.example>", "CMD305"),
        ("RCPT TO:<>", "CMD306"),
        ("MAIL FROM:<a@x.example> SIZE=", "CMD307"),
        ("MAIL FROM:<a@x.example> SIZE=1=2", "CMD307"),
        ("MAIL FROM:<a@x.example> BODY=9BIT", "CMD308"),
        ("RCPT TO:<b@mx.example> NOTIFY=NEVER,DELAY", "CMD308"),
        ("MAIL FROM:<a@x.example> BY=0;R", "CMD308"),
        ("MAIL FROM:<a@x.example> SIZE=1 size=2", "CMD309"),
        ("RSET now", "CMD310"),
        ("VRFY", "CMD311"),
        ("MAIL", "CMD311"),
        ("RCPT b@mx.example", "CMD311"),
        ("RCPT TO:<@r.example:b@mx.example>", "CMD312"),
        ("AUTH PLAIN hunter2!", "CMD314"),
        ("SOML FROM:<a@x.example>", "CMD315"),
        ("RSET ", "CMD316"),
        ("NOOP\tx", "CMD316"),
        ("EHLO [192.0.2.300]", "CMD317"),
        ("EHLO [2001:db8::1]", "CMD317"),
        ("MAIL FROM:<a@[1.2.3]>", "CMD317"),
        ("", "CMD318"),
        ("  ", "CMD318"),
    ],
)
def test_one_fault_is_one_finding(line: str, rule: str) -> None:
    assert rules(f"C {line}", "S 501 no") == [rule]


@pytest.mark.parametrize(
    "line",
    [
        "XFOO bar",
        "EHLO [192.0.2.1]",
        "EHLO [IPv6:2001:db8::1]",
        'MAIL FROM:<"a b"@x.example>',
        "MAIL FROM:<>",
        "RCPT TO:<Postmaster>",
        "MAIL FROM:<a@x.example> SIZE=10 BODY=7BIT RET=HDRS ENVID=a+2Bb",
        "RCPT TO:<b@mx.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b@mx.example",
        "MAIL FROM:<a@x.example> BY=120;R",
        "HELP",
        "NOOP any   text ",
        "mail from:<a@x.example>",
        "AUTH PLAIN =",
        "BDAT 0 LAST",
    ],
)
def test_the_grammar_allows(line: str) -> None:
    assert rules(f"C {line}", "S 250 ok") == []


def test_a_bdat_without_a_number_has_no_end() -> None:
    script = [*hello(*EVERYTHING), *envelope(), *lines("C BDAT ten LAST", "S 501 what?", "C QUIT", "S 221 bye")]
    (finding,) = findings(script, select=("CMD",))
    assert (finding.rule, finding.evidence) == ("CMD313", "BDAT ten LAST")


def test_a_finding_points_at_the_bytes() -> None:
    (finding,) = found("C MAIL FROM:<a@x.example> BODY=9BIT", "S 501 no")
    before = len("EHLO client.example\r\n")
    assert (finding.offset, finding.length) == (before + len("MAIL FROM:<a@x.example> "), len("BODY=9BIT"))
    assert finding.message == 'MAIL has a parameter with an illegal value: "BODY=9BIT".'


def test_two_faults_are_two_findings() -> None:
    assert rules("C MAIL FROM: <a@x.example> BODY=9BIT", "S 501 no") == ["CMD305", "CMD308"]


def test_no_secret_is_shown() -> None:
    for finding in [
        *found("C AUTH PLAIN hunter2!", "S 501 no"),
        *found("C AUTH CRAM-MD5", "S 334 PDE=", "C hunter2!", "S 501 no"),
    ]:
        assert finding.rule == "CMD314"
        assert "hunter2" not in finding.message + finding.evidence


def test_an_auth_exchange_may_be_cancelled() -> None:
    assert rules("C AUTH CRAM-MD5", "S 334 PDE=", "C *", "S 501 ok") == []
    assert rules("C AUTH CRAM-MD5", "S 334 ", "C ", "S 535 no") == []


def test_the_value_of_a_parameter_that_is_not_offered_is_not_judged() -> None:
    assert rules("C MAIL FROM:<a@x.example> BODY=9BIT", "S 555 no", keywords=("SIZE",)) == []


def test_bytes_above_127_are_reported_by_bit_rules() -> None:
    assert rules("C F\xf6\xf6 bar", "S 500 no") == []
    assert rules("C \xef\xbb\xbfFOO", "S 500 no") == []
    assert rules("C MAIL FROM:<\xe9 @x.example>", "S 500 no") == []
    assert rules("C FOO caf\xe9", "S 500 no") == ["CMD301"]


def test_a_line_is_judged_up_to_a_bare_newline() -> None:
    assert rules("C NOOP\nMAIL FROM:<x", "S 250 ok") == []
    assert rules("C EHLO my_pc\rRSET x", "S 501 no") == ["CMD302"]
    assert rules("C \nFOO", "S 500 no") == []


def test_send_is_allowed_in_rfc_821_and_info_if_listed() -> None:
    assert rules("C SEND FROM:<a@x.example>", "S 250 ok", profile="rfc821") == []
    assert rules("C RCPT TO:<@r.example:b@mx.example>", "S 250 ok", profile="rfc821") == []
    (finding,) = found("C SEND FROM:<a@x.example>", "S 250 ok", keywords=("SEND",))
    assert (finding.rule, finding.severity) == ("CMD315", "info")


@pytest.mark.parametrize(
    ("profile", "reply", "severity"),
    [("submission", "250 ok", "warning"), ("submission", "501 no", "error"), ("rfc5321", "250 ok", "error")],
)
def test_a_submission_server_may_complete_an_address(profile: str, reply: str, severity: str) -> None:
    (finding,) = found("C MAIL FROM:<bob>", f"S {reply}", profile=profile)
    assert (finding.rule, finding.severity) == ("CMD304", severity)


def test_one_direction_is_enough() -> None:
    script = lines("C EHLO my_pc", "C MAIL FROM:<a@x.example> BODY=9BIT", "C QUIT")
    assert [f.rule for f in findings(script, onesided=True, select=("CMD",))] == ["CMD302", "CMD308"]


def test_mail_data_sent_as_commands_is_not_judged() -> None:
    text = ["C Date: today", "S 500 no", "C Subject: x", "S 500 no", "C ", "S 500 no", "C .", "S 500 no"]
    script = [*hello(*EVERYTHING), *envelope(), *lines("C DATA", "S 451 no", *text, "C QUIT", "S 221 bye")]
    assert [f.rule for f in findings(script, select=("CMD", "SEQ113"))] == ["SEQ113"]
