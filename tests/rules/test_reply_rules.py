"""RPL: each rule where it fires, and similar correct dialogues. examples.toml has two dialogues for each rule too."""

from __future__ import annotations

import pytest
from scripts import GREETING, MESSAGE, Script, envelope, findings, hello, lines, play, rules

from smtpwire.analyzer.model import CommandTurn, ReplyTurn

BYE = lines("C QUIT", "S 221 2.0.0 bye")


def rpl(script: Script, **how: object) -> list[str]:
    """Ids of RPL rules that fire."""
    return rules(script, select=("RPL",), **how)  # type: ignore[arg-type]


# -- form --------------------------------------------------------------------------------------------------------------


def test_a_line_without_code_between_replies_and_inside_one() -> None:
    script = [*hello(), *lines("C NOOP", "S debug: x", "S 250 ok"), *BYE]
    (finding,) = findings(script, select=("RPL",))
    assert (finding.rule, finding.evidence, finding.certainty) == ("RPL401", "debug: x", "certain")
    inside = [("S", GREETING), ("C", "EHLO c.example\r\n"), ("S", "250-mx.example\r\nSIZE\r\n250 DSN\r\n"), *BYE]
    (finding,) = findings(inside, select=("RPL",))
    assert (finding.rule, finding.evidence) == ("RPL401", "SIZE")


def test_a_line_without_code_is_reported_in_one_direction_too() -> None:
    assert "RPL401" in rules([("S", GREETING), ("S", "oops\r\n250 ok\r\n")], onesided=True)


def test_the_rest_of_a_reply_after_a_gap_is_not_a_malformed_line() -> None:
    script = [*hello(), ("C", "NOOP\r\n"), ("GS", "10"), ("S", "rest of it\r\n250 ok\r\n"), *BYE]
    assert "RPL401" not in rules(script)


@pytest.mark.parametrize("code", [150, 299, 260, 650, 199])
def test_codes_out_of_range_are_reported_alone(code: int) -> None:
    assert rpl([*hello(), *lines("C NOOP", f"S {code} x"), *BYE]) == ["RPL402"]


def test_codes_that_differ_within_a_reply() -> None:
    script = [*hello(), ("C", "HELP\r\n"), ("S", "214-a\r\n211-b\r\n211 c\r\n"), *BYE]
    (finding,) = findings(script, select=("RPL",))
    assert (finding.rule, finding.count, finding.evidence) == ("RPL403", 2, "211-b")


@pytest.mark.parametrize("end", ["FS", "RS"])
def test_a_reply_that_never_ends(end: str) -> None:
    script: Script = [("S", GREETING), ("C", "EHLO c.example\r\n"), ("S", "250-mx.example\r\n"), (end, "")]
    (finding,) = findings(script, select=("RPL",))
    assert (finding.rule, finding.evidence) == ("RPL404", "250-mx.example")
    assert "RPL404" not in rules(script[:-1])
    assert "RPL404" not in rules([*script[:-1], ("FC", "")])


def test_a_bare_code() -> None:
    assert rpl([*hello(), ("C", "NOOP\r\n"), ("S", "250\r\n"), *BYE]) == ["RPL405"]
    assert rpl([*hello(), ("C", "NOOP\r\n"), ("S", "250 \r\n"), *BYE]) == []


@pytest.mark.parametrize("name", ["", "**********", "mail_host ESMTP", "mx.example! hi", "mx.example. ESMTP"])
def test_greetings_without_a_host_name(name: str) -> None:
    assert rpl([("S", f"220 {name}\r\n"), *BYE]) == ["RPL406"]


@pytest.mark.parametrize("text", ["*" * 8, "*" * 64, "*********0*****0**0200 ******* 0"])
def test_a_greeting_of_asterisks_was_overwritten_on_the_path(text: str) -> None:
    (finding,) = findings([("S", f"220 {text}\r\n"), *BYE], select=("RPL",))
    assert (finding.rule, finding.side, finding.certainty) == ("RPL406", "path", "certain")
    assert finding.evidence == f"220 {text}"


@pytest.mark.parametrize("text", ["*" * 7, "**** ****", "******** ESMTP", "*" * 20 + ".", "_mx " + "*" * 8])
def test_other_greetings_without_a_name_are_the_servers_fault(text: str) -> None:
    (finding,) = findings([("S", f"220 {text}\r\n"), *BYE], select=("RPL",))
    assert (finding.rule, finding.side) == ("RPL406", "server")


@pytest.mark.parametrize("name", ["mx.example ESMTP", "[192.0.2.1] hi", "[IPv6:2001:db8::1]", "localhost", "a-b.c"])
def test_greetings_with_a_host_name(name: str) -> None:
    assert rpl([("S", f"220 {name}\r\n"), *BYE]) == []


def test_greeting_codes() -> None:
    assert rpl([("S", "450 come back later\r\n"), *BYE]) == ["RPL407"]
    for code in (554, 521, 421):
        assert rpl([("S", f"{code} mx.example no\r\n"), ("FS", "")]) == []
    assert rpl([("S", "554 mx.example no\r\n"), *BYE], profile="rfc821") == ["RPL408"]
    assert rpl([("S", "541 mx.example no\r\n"), *BYE]) == ["RPL407", "RPL409"]


def test_a_list_of_keywords_for_helo() -> None:
    start = [("S", GREETING), ("C", "HELO c.example\r\n")]
    assert rpl([*start, ("S", "250-mx.example\r\n250 8bitmime\r\n"), *BYE]) == ["RPL413"]
    assert rpl([*start, ("S", "250-mx.example\r\n250 pleased to meet you\r\n"), *BYE]) == []


@pytest.mark.parametrize("line", ["AUTH=LOGIN", "", "PIPE_CONNECT", "SIZE\t1000", "-X"])
def test_invalid_ehlo_lines(line: str) -> None:
    assert rpl([*hello("DSN", line), *BYE]) == ["RPL414"]


@pytest.mark.parametrize("line", ["AUTH  LOGIN ", "X-EXPS GSSAPI", "8BITMIME", "NO-SOLICITING net.example:ADV"])
def test_valid_ehlo_lines(line: str) -> None:
    assert rpl([*hello("DSN", line), *BYE]) == []


def test_a_keyword_in_place_of_the_name() -> None:
    start: Script = [("S", GREETING), ("C", "EHLO c.example\r\n")]
    assert rpl([*start, ("S", "250-SIZE 1000\r\n250 DSN\r\n"), *BYE]) == ["RPL415"]
    assert rpl([*start, ("S", "250-mx.example SIZE\r\n250 DSN\r\n"), *BYE]) == []


def test_challenges() -> None:
    script = [*hello("AUTH LOGIN NTLM"), *lines("C AUTH LOGIN", "S 334 Password:", "C *", "S 501 cancelled"), *BYE]
    assert rpl(script) == ["RPL421"]
    script = [*hello("AUTH LOGIN NTLM"), *lines("C AUTH NTLM", "S 334 NTLM supported", "C *", "S 501 x"), *BYE]
    assert rpl(script) == []


# -- number ------------------------------------------------------------------------------------------------------------


def test_one_reply_too_many() -> None:
    script = [*hello(), *lines("C NOOP", "S 250 one", "S 250 two"), *BYE]
    (finding,) = findings(script, select=("RPL",))
    assert (finding.rule, finding.evidence, finding.certainty) == ("RPL411", "250 two", "certain")


def test_additional_replies_with_a_reason_are_allowed() -> None:
    chunk = "Subject: x\r\n\r\nfirst\r\n"
    reasons: list[Script] = [
        lines("S 421 mx.example closing"),
        [("C", "NOOP\nNOOP\r\n"), ("S", "250 ok\r\n250 ok\r\n")],  # two commands, to a server that accepts a bare LF
        [("C", "\n"), ("S", "500 what\r\n")],
        [("C", "NO"), ("S", "500 too long\r\n"), ("C", "OP\r\n"), ("S", "250 ok\r\n")],
        # octets of a chunk that a server without CHUNKING reads as commands
        [
            *envelope(),
            ("C", f"BDAT {len(chunk)}\r\n{chunk}"),
            ("S", "500 what\r\n500 what\r\n500 what\r\n500 what\r\n"),
        ],
    ]
    for reason in reasons:
        assert "RPL411" not in rules([*hello(), *reason, *BYE])


def test_no_reply_is_too_many_if_bytes_of_the_client_are_missing() -> None:
    assert "RPL411" not in rules([*hello(), ("GC", "6"), ("S", "250 ok\r\n250 ok\r\n"), *BYE])
    assert "RPL411" not in rules(lines("S 250 a", "S 250 b"), midstream=True)
    assert "RPL411" not in rules([("S", GREETING), ("S", "250 ok\r\n")], onesided=True)


def test_a_command_without_a_reply() -> None:
    script: Script = [*hello(), ("C", "NOOP\r\n"), ("FS", "")]
    (finding,) = findings(script, select=("RPL",))
    assert (finding.rule, finding.side, finding.evidence) == ("RPL412", "server", "NOOP")
    others: list[Script] = [
        [*hello(), ("C", "NOOP\r\n"), ("RS", "")],
        [*hello(), ("C", "NOOP\r\n"), ("FC", ""), ("FS", "")],
        [*hello(), ("C", "NOOP\r\n"), ("S", "421 mx.example bye\r\n"), ("FS", "")],
        [*hello(), ("FS", ""), ("C", "NOOP\r\n")],
        [*hello(), ("C", "NOOP\r\n")],
        [*hello(), ("C", "NOOP\r\n"), ("GS", "8"), ("FS", "")],
    ]
    for other in others:
        assert "RPL412" not in rules(other)


def test_a_command_that_the_server_had_not_received_is_not_unanswered() -> None:
    from scripts import connections, segments  # noqa: PLC0415 - only here segments are changed

    sent = segments([*hello(), ("C", "NOOP\r\n"), ("FS", "")])
    fin = sent[-1]
    crossing = [*sent[:-2], fin._replace(ack=fin.ack - 6)]  # the server sent its FIN before NOOP arrived
    (connection,) = connections(crossing, select=("RPL",))
    assert connection.findings == []


def test_plain_text_in_place_of_tls_needs_no_reply() -> None:
    script = [*hello("STARTTLS"), *lines("C STARTTLS", "S 220 go", "C EHLO c.example"), ("FS", "")]
    assert rules(script, select=("RPL", "TCP")) == []


# -- codes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "code", "expected"),
    [
        ("RSET", 450, ["RPL408"]),
        ("RSET", 500, ["RPL423"]),
        ("NOOP", 502, ["RPL423"]),
        ("NOOP hello", 500, ["RPL423"]),
        ("VRFY b", 502, []),
        ("VRFY b", 252, []),
        ("NOOP", 421, []),
        ("HELP", 250, ["RPL410"]),
        ("NOOP", 354, ["RPL410"]),
        ("MAIL FROM:<a@c.example>", 541, ["RPL409"]),
        ("MAIL FROM:<a@c.example>", 550, []),
        ("MAIL FROM:<a@c.example>", 235, ["RPL410"]),
        ("QUIT", 250, ["RPL410"]),
        ("FOO", 250, ["RPL410"]),
        ("FOO", 500, []),
        ("XFOO", 299, ["RPL402"]),
        ("XFOO", 259, []),
        ("VERB", 250, []),
        ("EHLO c.example", 502, ["RPL424"]),
        ("EHLO c.example", 550, []),
        ("EHLO _", 501, []),
    ],
)
def test_codes(command: str, code: int, expected: list[str]) -> None:
    assert rpl([*hello(), *lines(f"C {command}", f"S {code} x")]) == expected


def test_a_reply_with_different_codes_is_one_finding() -> None:
    hello_of = [("S", GREETING), ("C", "EHLO c.example\r\n")]
    assert rpl([*hello_of, ("S", "250-mx.example\r\n251 SIZE 1000\r\n"), *BYE]) == ["RPL403"]
    assert rpl([*hello_of, ("S", "252-mx.example\r\n251 SIZE 1000\r\n"), *BYE]) == ["RPL403", "RPL410"]


def test_lines_that_end_with_a_bare_lf_are_judged_as_others() -> None:
    script = [*hello(), ("C", "NOOP\n"), *lines("S 354 x"), ("C", "QUIT\n"), *lines("S 250 bye", "FS", "FC")]
    assert [finding.turn for finding in findings(script, select=("RPL410",))] == [4, 6]


def test_a_reply_to_a_line_with_a_bare_lf_inside_may_answer_either_part() -> None:
    assert rpl([*hello(), ("C", "NOOP\nDATA\r\n"), *lines("S 354 x")]) == []


def test_codes_of_rfc_821() -> None:
    start = [("S", GREETING), *lines("C HELO c.example", "S 250 mx.example")]
    assert rpl([*start, *lines("C MAIL FROM:<a@c.example>", "S 550 no")], profile="rfc821") == ["RPL408"]
    assert rpl([*start, *lines("C VRFY b", "S 252 perhaps")], profile="rfc821") == ["RPL409", "RPL410"]


def test_codes_for_policy_and_login() -> None:
    assert rpl([*hello("AUTH PLAIN"), *lines("C VRFY b", "S 530 log in first")]) == []
    assert rpl([*hello(), *lines("C VRFY b", "S 530 log in first")]) == ["RPL408"]
    assert rpl([*hello(), *lines("C VRFY b", "S 554 5.7.1 denied")]) == []


def test_an_invalid_line_may_be_refused_with_any_code() -> None:
    for line in ("NO\u00e9P", "RSET now", "MAIL FROM:a b"):
        assert not {"RPL408", "RPL423"} & set(rules([*hello(), *lines(f"C {line}", "S 502 no")]))


def test_a_server_that_refused_service_may_refuse_with_any_code() -> None:
    assert rpl([*lines("S 554 mx.example no", "C EHLO c.example", "S 554 no", "C NOOP", "S 500 no")]) == []


def test_a_server_without_pipelining_may_refuse_early_commands() -> None:
    script = [*hello(), ("C", "NOOP\r\nRSET\r\n"), ("S", "500 no pipelining\r\n500 no pipelining\r\n")]
    assert rpl(script) == []


def test_a_server_that_continues_after_421() -> None:
    assert rpl([*hello(), *lines("C NOOP", "S 421 bye", "C NOOP", "S 250 ok")]) == ["RPL420"]
    assert rpl([*hello(), *lines("C NOOP", "S 421 bye", "C NOOP", "S 421 bye", "C QUIT", "S 221 bye")]) == []


# -- enhanced status codes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("550 5.1.1 no", []),
        ("550 4.1.1 no", ["RPL416"]),
        ("550 no", ["RPL417"]),
        ("550 5.01.1 no", ["RPL417"]),
        ("550 5.1.1000 no", ["RPL417"]),
        ("550-5.1.1 a\r\n550 5.1.1 b", []),
        ("550-5.1.1 a\r\n550 5.1.2 b", ["RPL418"]),
        ("550-5.1.1 a\r\n550 b", ["RPL417"]),
    ],
)
def test_status_codes(reply: str, expected: list[str]) -> None:
    script = [*hello("ENHANCEDSTATUSCODES"), *lines("C VRFY b", f"S {reply}"), *BYE]
    assert rpl(script) == expected
    assert rpl([*hello("DSN"), *lines("C VRFY b", f"S {reply}"), *BYE]) == []  # not offered: not judged


def test_a_server_that_gives_no_status_codes_is_one_fact() -> None:
    found = findings([*hello("ENHANCEDSTATUSCODES"), *lines("C NOOP", "S 250 ok", "C RSET", "S 250 ok"), *BYE])
    assert [one.rule for one in found] == ["RPL417"]
    assert found[0].message.endswith("It is the first of 2 such replies.")


def test_replies_without_a_status_code() -> None:
    script = [*hello("ENHANCEDSTATUSCODES"), *lines("C EHLO c.example", "S 250 mx.example"), *BYE]
    assert rpl(script) == []
    script = [*hello("ENHANCEDSTATUSCODES"), *lines("C HELO c.example", "S 250 mx.example", "C NOOP", "S 250 ok")]
    assert rpl(script) == []  # HELO ended the offer


# -- LMTP --------------------------------------------------------------------------------------------------------------


def delivered(recipients: int, replies: int, *, data: str = "DATA") -> Script:
    """An LMTP session with this number of recipients and final replies."""
    script: list[tuple[str, bytes | str]] = [("S", GREETING), ("C", "LHLO c.example\r\n")]
    script += [("S", "250-mx.example\r\n250 CHUNKING\r\n")]
    script += lines("C MAIL FROM:<a@c.example>", "S 250 ok")
    for number in range(recipients):
        script += lines(f"C RCPT TO:<b{number}@mx.example>", "S 250 ok")
    if data == "DATA":
        script += [*lines("C DATA", "S 354 go"), ("C", f"{MESSAGE}.\r\n")]
    else:
        script += [("C", f"BDAT {len(MESSAGE)} LAST\r\n{MESSAGE}")]
    return [*script, ("S", "250 ok\r\n" * replies)]


def test_replies_inside_mail_data_are_one_finding() -> None:
    text = [entry for n in range(3) for entry in (("C", f"line {n}\r\n"), ("S", "552 too large\r\n"))]
    script = [*hello(), *envelope(), *lines("C DATA", "S 354 go"), ("C", "From: a@b.example\r\n\r\n"), *text]
    found = [one for one in findings([*script, ("C", ".\r\n"), ("S", "250 ok\r\n"), *BYE]) if one.rule == "RPL411"]
    assert [one.message for one in found] == [
        "The server sent 552 inside the mail data, before its end. It is the first of 3 such replies."
    ]


def test_replies_to_the_octets_of_a_refused_chunk_are_one_finding() -> None:
    chunk = ("C", "BDAT 12 LAST\r\nFOO\r\n\r\nBAR\r\n")
    script = [*hello("CHUNKING"), *lines("C MAIL FROM:<a@c.example>", "S 250 ok"), chunk, ("S", "503 no\r\n")]
    found = findings([*script, *lines("S 500 what", "S 500 what", "S 500 what"), *BYE], select=("RPL",))
    assert [(one.rule, one.reference, one.count) for one in found] == [("RPL411", "RFC 3030 §2", 3)]
    assert "refused BDAT with 503, and then read the octets of the chunk as commands (500)" in found[0].message


def test_a_server_that_closes_with_a_4yz_reply_should_have_sent_421() -> None:
    found = findings([*hello(), *lines("C NOOP", "S 250 ok", "S 451 timeout"), ("FS", "")])
    assert [(one.rule, one.severity, one.caused_by) for one in found] == [
        ("RPL411", "warning", None),
        ("TCP902", "warning", 0),
    ]
    assert found[0].message == "The server closed the connection with 451, where 421 is required."
    stays = findings([*hello(), *lines("C NOOP", "S 250 ok", "S 451 timeout"), *BYE])
    assert [(one.rule, one.severity) for one in stays] == [("RPL411", "error")]


def test_a_client_that_waits_in_vain_for_lmtp_replies_is_not_at_fault() -> None:
    found = {
        one.rule: one.caused_by for one in findings([*delivered(2, 1), ("FC", "")]) if not one.rule.startswith("MSG")
    }
    assert found["RPL419"] is None
    assert found["TCP901"] is not None
    assert set(found) == {"RPL419", "TCP901", "SEQ127"}


@pytest.mark.parametrize("data", ["DATA", "BDAT"])
@pytest.mark.parametrize(("replies", "expected"), [(1, ["RPL419"]), (2, []), (3, ["RPL419"])])
def test_one_reply_for_each_recipient(data: str, replies: int, expected: list[str]) -> None:
    assert rpl([*delivered(2, replies, data=data), *BYE]) == expected


def test_a_last_chunk_without_a_recipient_gets_no_reply() -> None:
    script = [*delivered(0, 0, data="BDAT"), ("S", "503 no\r\n"), *BYE]
    found = [one for one in findings(script) if one.rule in {"SEQ105", "RPL419"}]
    assert [(one.rule, one.side) for one in found] == [("SEQ105", "client"), ("RPL419", "server")]
    assert found[1].message.endswith("with 503; it gets no reply at all.")
    assert [one.rule for one in findings([*delivered(0, 0, data="BDAT"), *BYE], select=("RPL",))] == []


def test_a_series_of_replies_that_ends_early() -> None:
    (finding,) = findings([*delivered(3, 1), ("FS", "")], select=("RPL",))
    assert (finding.rule, finding.message.endswith("got 1 of 3 replies.")) == ("RPL419", True)
    assert rpl([*delivered(3, 1), *lines("S 421 mx.example closing"), ("FS", "")]) == []
    assert rpl(delivered(3, 1)) == []  # the capture ends, so more may follow


def test_a_client_that_goes_on_after_a_line_without_a_code_is_not_at_fault() -> None:
    script = [*hello(), *lines("C MAIL FROM:<a@c.example>", "S OK", "C RCPT TO:<b@mx.example>", "S 250 ok"), *BYE]
    assert rules(script) == ["RPL401"]


def test_a_bad_name_may_be_refused_at_the_recipient() -> None:
    start = [("S", GREETING), *lines("C EHLO pc", "S 250 mx.example", "C MAIL FROM:<a@c.example>", "S 250 ok")]
    assert rules([*start, *lines("C RCPT TO:<b@mx.example>", "S 504 5.5.2 pc: not a full name"), *BYE]) == ["CMD320"]


@pytest.mark.parametrize("command", ["RSET", "MAIL FROM:<a@client.example>"])
def test_a_client_that_goes_on_after_too_few_lmtp_replies_gets_its_own_replies(command: str) -> None:
    script = [*delivered(2, 1), *lines(f"C {command}", "S 250 for this command"), *BYE]
    found = {one.rule: one.caused_by for one in findings(script) if not one.rule.startswith("MSG")}
    assert found["RPL419"] is None
    assert all(cause is not None for rule, cause in found.items() if rule not in {"RPL419", "SEQ127"})
    dialogue = play(script).dialogue
    (reply,) = (one for one in dialogue if isinstance(one, ReplyTurn) and one.lines == ["for this command"])
    assert reply.answers is not None
    asked = dialogue[reply.answers]
    assert isinstance(asked, CommandTurn)
    assert asked.verb == command[:4]


def test_lmtp_replies_that_come_after_a_pipelined_command_still_belong_to_the_message() -> None:
    *before, (_, message), reply = delivered(2, 1)
    assert isinstance(message, str)
    script = [*before, ("C", f"{message}RSET\r\n"), reply, *lines("S 250 ok", "S 250 reset"), *BYE]
    assert rpl(script) == []
