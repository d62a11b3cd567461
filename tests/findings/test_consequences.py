"""Findings that only follow from others, in dialogues in which each of them alone would be found."""

from __future__ import annotations

import pytest
from scripts import GREETING, MESSAGE, Script, envelope, hello, lines, play

from smtpwire.analyzer.findings.consequences import AFTER_ABUSE, DEPTH, FOLDS, IN_RUN, PAIRS
from smtpwire.analyzer.rules import RULES


def together(*texts: str) -> tuple[str, str]:
    return ("C", "".join(f"{text}\r\n" for text in texts))


WHAT = "S 500 what"
EARLY = [("C", "EHLO client.example\r\n"), ("S", GREETING)]
TAKEN = [*EARLY, *lines("S 250 mx.example")]
RUN = [*hello(), ("C", "NOOP\r\nNOOP\r\n"), *lines("S 250 ok")]
LONG = ("C", "From: a@client.example\r\n\r\n" + "x" * 1500 + "\r\n")
ENVELOPE = ("MAIL FROM:<a@client.example>", "RCPT TO:<b@mx.example>")
BLAST = [
    together("EHLO client.example", *ENVELOPE, "DATA", "Subject: x", "", "hello", ".", "QUIT"),
    *lines("S 220 mx.example", "S 250 mx.example", "S 250 ok", "S 250 ok"),
]
INSIDE = [*hello(), *envelope(), *lines("C DATA", "S 354 go", "C Subject: x", "C ")]
LMTP = [
    *lines("S 220 mx.example LMTP", "C LHLO client.example", "S 250 mx.example"),
    *lines("C MAIL FROM:<a@client.example>", "S 250 ok"),
    *lines("C RCPT TO:<b@mx.example>", "S 250 ok", "C RCPT TO:<c@mx.example>", "S 250 ok"),
    *lines("C DATA", "S 354 go"),
    ("C", f"{MESSAGE}.\r\n"),
    ("S", "250 ok\r\n"),
]
UNSENT = [*hello(), *envelope(), *lines("C DATA", "S 451 no", "C Subject: x", WHAT, "C .", WHAT)]


def chains(script: Script) -> dict[str, list[str]]:
    """For each rule that has findings, the rules that cause its first one, nearest first."""
    findings = play(script).findings
    found: dict[str, list[str]] = {}
    for finding in findings:
        causes = []
        cause = finding.caused_by
        while cause is not None:
            causes.append(findings[cause].rule)
            cause = findings[cause].caused_by
        found.setdefault(finding.rule, causes)
    return found


CASES = [
    ("SEC618", "RPL408", [*TAKEN, *lines("C MAIL FROM:<a@client.example>", "S 535 no")]),
    ("SEC618", "RPL412", [*TAKEN, ("C", "NOOP\r\n"), ("FS", "")]),
    ("SEC618", "RPL423", [*TAKEN, *envelope(), *lines("C DATA", "S 502 no")]),
    ("SEC618", "RPL424", [*EARLY, *lines("S 502 no")]),
    ("SEC618", "SEQ101", [*EARLY, *lines("S 501 no", "C MAIL FROM:<a@client.example>", "S 503 hello")]),
    ("SEC618", "SEQ121", [*EARLY, *lines("S 501 no", "C RCPT TO:<b@mx.example>", "S 554 no")]),
    ("SEC618", "SEQ123", [*TAKEN, *lines("C MAIL FROM:<a@client.example>", "S 503 no")]),
    ("SEC618", "TCP902", [*TAKEN, ("FS", "")]),
    ("SEC618", "CMD301", [*BLAST, *lines("S 554 no", WHAT, WHAT, WHAT, WHAT, "S 221 bye")]),
    ("SEC618", "CMD318", [*BLAST, *lines("S 554 no", WHAT, WHAT, WHAT, WHAT, "S 221 bye")]),
    ("RPL411", "EXT504", [*INSIDE, *lines("S 552 too large", "C hello", "C .", "C QUIT", "S 221 bye")]),
    ("EXT504", "RPL412", [*RUN, ("FS", "")]),
    ("EXT504", "TCP902", [*RUN, *lines("S 250 ok"), ("FS", "")]),
    ("EXT504", "CMD301", [*hello(), together("NOOP", "FOO"), *lines("S 250 ok", WHAT)]),
    ("EXT504", "CMD318", [*hello(), together("NOOP", ""), *lines("S 250 ok", WHAT)]),
    ("EXT504", "EXT501", [*hello(), together("NOOP", "ETRN x.example"), *lines("S 250 ok", WHAT)]),
    ("EXT505", "CMD301", [*hello("PIPELINING"), together("NOOP", "FOO"), *lines("S 250 ok", WHAT)]),
    (
        "EXT504",
        "SEQ113",
        [*hello(), *envelope(), together("NOOP", "NOOP", "Subject: x"), *lines("S 250 ok", "S 250 ok", WHAT)],
    ),
    ("SEQ113", "TCP902", [*UNSENT, ("FS", "")]),
    ("RPL419", "TCP902", [*LMTP, ("FS", "")]),
    ("RPL419", "TCP901", [*LMTP, ("FC", "")]),
    ("LEN003", "RPL411", [*hello(), *envelope(), *lines("C DATA", "S 354 go"), LONG, ("S", "550 no\r\n"), ("FS", "")]),
    ("LEN003", "TCP902", [*hello(), *envelope(), *lines("C DATA", "S 354 go"), LONG, ("S", "550 no\r\n"), ("FS", "")]),
    ("SEC616", "TCP902", [*hello(), *lines("C GET / HTTP/1.1", "C Host: x", "C ", WHAT), ("FS", "")]),
]


@pytest.mark.parametrize(
    ("cause", "consequence", "script"), CASES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_follows_from_a_finding_is_reported_under_it(cause: str, consequence: str, script: Script) -> None:
    found = chains(script)
    assert cause in found[consequence], found
    assert found[cause] == [], found


@pytest.mark.parametrize("replies", [("S 354 go", "S 250 queued"), ("S 554 no", WHAT, WHAT, WHAT, WHAT)])
def test_a_whole_session_before_the_greeting_is_one_fault(replies: tuple[str, ...]) -> None:
    alone = [rule for rule, causes in chains([*BLAST, *lines(*replies, "S 221 bye")]).items() if not causes]
    assert "SEC618" in alone
    assert not {"EXT504", "EXT505", "SEQ113", "CMD301", "CMD318"} & set(alone)


def test_text_after_a_refused_data_is_a_fault_of_its_own_once_the_client_is_in_step() -> None:
    assert chains([*TAKEN, *UNSENT[2:]])["SEQ113"] == []


def test_a_client_that_does_not_wait_for_the_reply_to_its_message_is_at_fault_itself() -> None:
    assert chains([*INSIDE, *lines("C hello", "C .", "C QUIT", "S 250 queued", "S 221 bye")])["EXT504"] == []


def test_after_the_client_is_in_step_again_the_server_is_at_fault_itself() -> None:
    found = chains([*RUN, *lines("S 250 ok", "C NOOP", "S 250 ok"), ("FS", "")])
    assert found == {"EXT504": [], "TCP902": []}


def test_a_fault_of_the_server_without_abuse_stands_alone() -> None:
    assert chains([*hello(), *lines("C NOOP", "S 502 no"), ("FS", "")]) == {"RPL423": [], "TCP902": []}


def test_an_extension_that_the_awaited_reply_does_not_list_is_a_fault_of_its_own() -> None:
    script = [("S", GREETING), together("EHLO client.example", "ETRN x.example"), *lines("S 250 mx.example", WHAT)]
    assert chains(script)["EXT501"] == []
    listed = [*script[:2], ("S", "250-mx.example\r\n250 ETRN\r\n"), *lines("S 250 ok")]
    assert "EXT501" not in chains(listed)


def test_the_table_names_rules_and_no_finding_explains_itself() -> None:
    named = {rule for parent, _, children in PAIRS for rule in (parent, *children)} | AFTER_ABUSE | IN_RUN
    assert sorted(named - RULES.keys()) == []
    for rule, causes in FOLDS.items():
        assert all(DEPTH.get(cause, 0) < DEPTH[rule] for cause, _ in causes), rule
