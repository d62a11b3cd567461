"""Replies pair with commands, the client's bytes are read correctly, and a dialogue continues after a loss."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripts import MESSAGE, at_random, by_byte, connections, envelope, hello, lines, play, segments, talk
from strategies import dialogues

from smtpwire.analyzer.limits import Limits
from smtpwire.analyzer.model import (
    AuthTurn,
    CommandTurn,
    Connection,
    GapTurn,
    MalformedTurn,
    MessageTurn,
    ReplyTurn,
    TlsTurn,
)

if TYPE_CHECKING:
    from scripts import Script

    from smtpwire.analyzer.model import Turn

SENT = [*envelope(), *lines("C DATA", "S 354 go ahead"), ("C", f"{MESSAGE}.\r\n"), *lines("S 250 queued")]


def word(turn: Turn) -> str:
    """Return a turn in one word."""
    match turn:
        case ReplyTurn():
            return str(turn.code)
        case CommandTurn():
            return turn.verb or "?"
        case MessageTurn():
            return f"<{turn.size}{'' if turn.complete else ' cut'}>"
        case AuthTurn():
            return "***"
        case GapTurn():
            return f"gap {turn.side} {turn.length}"
        case TlsTurn():
            return "tls"
        case MalformedTurn():
            return "!"


def words(script: Script, **options: Any) -> list[str]:
    """Return the dialogue in words."""
    return [word(turn) for turn in play(script, **options).dialogue]


def pairs(connection: Connection) -> list[tuple[str, str | None]]:
    """Return each reply with the word of the turn that it answers, if any."""
    found = []
    for turn in connection.dialogue:
        if isinstance(turn, ReplyTurn):
            asked = None if turn.answers is None else word(connection.dialogue[turn.answers])
            found.append((word(turn), asked))
    return found


def answers(script: Script) -> list[tuple[str, str | None]]:
    """Return the same without greeting and EHLO, which ``hello`` wrote."""
    return pairs(play([*hello("PIPELINING"), *script]))[2:]


# -- pairing ----------------------------------------------------------------------------------------------------------


def test_the_greeting_answers_nothing() -> None:
    assert pairs(play(hello()))[0] == ("220", None)


def test_replies_pair_in_order_whatever_was_pipelined() -> None:
    group: Script = [("C", "MAIL FROM:<a@x.example>\r\nRCPT TO:<b@x.example>\r\nRCPT TO:<c@x.example>\r\nDATA\r\n")]
    replies = lines("S 250 ok", "S 550 no", "S 251 forwarded", "S 354 go")
    assert answers([*group, *replies]) == [("250", "MAIL"), ("550", "RCPT"), ("251", "RCPT"), ("354", "DATA")]


def test_unknown_verbs_and_lines_without_one_are_answered_too() -> None:
    script = lines("C FOO", "S 500 what", "C ", "S 500 what", "C \xe9", "S 500 what", "C NOOP", "S 250 ok")
    asked = [pair[1] for pair in answers(script)]
    assert asked[0] == "FOO"
    assert asked[-1] == "NOOP"
    assert None not in asked


def test_an_invalid_server_line_answers_nothing() -> None:
    assert answers(lines("C NOOP", "S hm", "S 250 ok")) == [("250", "NOOP")]


def test_a_superfluous_reply_answers_nothing() -> None:
    assert answers(lines("C NOOP", "S 250 ok", "S 250 ok")) == [("250", "NOOP"), ("250", None)]


def test_a_code_that_names_its_command_answers_it_whatever_waits_before_it() -> None:
    group: Script = [("C", "NOOP\r\nQUIT\r\n")]
    assert answers([*group, *lines("S 221 bye")]) == [("221", "QUIT")]
    assert answers([*group, *lines("S 250 ok", "S 221 bye")]) == [("250", "NOOP"), ("221", "QUIT")]


def test_the_reply_to_quit_is_paired_if_data_was_never_answered() -> None:
    script = [*envelope(), ("C", "DATA\r\n"), ("C", "QUIT\r\n"), *lines("S 221 bye")]
    assert answers(script)[-1] == ("221", "QUIT")


@pytest.mark.parametrize(
    ("group", "replies", "expected"),
    [
        ("DATA|QUIT", "250 x|354 go", [("250", None), ("354", "DATA")]),
        ("AUTH PLAIN AGEAYg==|NOOP", "250 x|235 ok|250 n", [("250", None), ("235", "AUTH"), ("250", "NOOP")]),
        ("STARTTLS|NOOP", "250 x|220 go", [("250", None), ("220", "STARTTLS")]),
        ("DATA|QUIT", "250 x|221 bye", [("250", "DATA"), ("221", "QUIT")]),
        ("DATA|QUIT", "554 no|221 bye", [("554", "DATA"), ("221", "QUIT")]),
    ],
)
def test_a_reply_is_surplus_also_if_the_client_went_on_at_once(
    group: str, replies: str, expected: list[tuple[str, str | None]]
) -> None:
    both = [(side, text.replace("|", "\r\n") + "\r\n") for side, text in (("C", group), ("S", replies))]
    connection = play([*hello("PIPELINING", "AUTH PLAIN", "STARTTLS"), *envelope(), *both])
    assert pairs(connection)[4:] == expected
    found = {finding.rule for finding in connection.findings}
    assert ("RPL411" in found) == (expected[0][1] is None)


def test_the_end_of_the_clients_stream_does_not_decide_what_a_waiting_reply_answers() -> None:
    assert answers(lines("C QUIT", "S 250 x", "FC", "S 221 bye", "FS")) == [("250", None), ("221", "QUIT")]
    assert answers(lines("C QUIT", "S 250 x", "FC", "FS")) == [("250", "QUIT")]


def test_only_so_many_replies_wait_for_the_one_that_decides() -> None:
    script = [*hello(), *lines("C QUIT", *["S 250 x"] * 12, "S 221 bye")]
    assert ("221", "QUIT") in pairs(play(script, limits=Limits(outstanding=20)))
    assert pairs(play(script, limits=Limits(outstanding=10)))[2] == ("250", "QUIT")


def test_a_greeting_whose_end_never_came_answers_nothing() -> None:
    connection = play([("S", "220-mx.example\r\n"), *lines("C EHLO c.example", "FS", "FC")])
    assert pairs(connection) == [("220", None)]


def test_an_unfinished_reply_answers_the_command_that_its_code_names() -> None:
    connection = play([*hello("PIPELINING"), ("C", "NOOP\r\nQUIT\r\n"), ("S", "221 by"), *lines("FS", "FC")])
    assert pairs(connection)[2:] == [("221", "QUIT")]


def test_an_ordinary_reply_is_surplus_if_the_code_of_the_command_comes_after_it() -> None:
    replies = lines("C QUIT", "S 250 ok", "S 554 refused in the end", "S 221 bye")
    assert answers(replies) == [("250", None), ("554", None), ("221", "QUIT")]
    assert answers(lines("C QUIT", "S 250 ok")) == [("250", "QUIT")]


def test_an_ordinary_reply_counts_once_the_client_goes_on() -> None:
    script = [*envelope(), *lines("C DATA", "S 451 later", "C RSET", "S 250 ok")]
    assert answers(script)[-2:] == [("451", "DATA"), ("250", "RSET")]


def test_an_ordinary_reply_that_waits_is_shown_where_it_came() -> None:
    script = [*hello(), *envelope(), *lines("C DATA", "S 451 later", "C RSET", "S 250 ok")]
    assert words(script)[-4:] == ["DATA", "451", "RSET", "250"]


def test_a_greeting_in_a_capture_that_starts_late_is_the_greeting() -> None:
    connection = play([*lines("S 220 mx.example ESMTP", "C MAIL FROM:<a@x.example>", "S 503 no")], midstream=True)
    assert pairs(connection) == [("220", None), ("503", "MAIL")]
    assert "SEQ101" in {finding.rule for finding in connection.findings}
    upgrade = play(lines("C STARTTLS", "S 220 go"), midstream=True)
    assert pairs(upgrade) == [("220", "STARTTLS")]


def test_a_command_line_without_its_end_is_shown_and_not_judged() -> None:
    connection = play([*hello(), ("C", "MAIL FRO")])
    last = connection.dialogue[-1]
    assert isinstance(last, CommandTurn)
    assert (last.verb, last.argument, last.complete) == ("MAIL", "FRO", False)
    assert all(turn.complete for turn in connection.dialogue[:-1] if isinstance(turn, CommandTurn))
    assert not [f for f in connection.findings if f.rule.startswith("CMD")]


def test_a_login_line_without_its_end_is_shown_without_its_text() -> None:
    connection = play([*hello("AUTH PLAIN"), *lines("C AUTH PLAIN", "S 334 "), ("C", "AGFsaWNl")])
    last = connection.dialogue[-1]
    assert isinstance(last, AuthTurn)
    assert (last.length, last.text, last.complete) == (8, None, False)


def test_a_reply_without_its_last_line_is_shown() -> None:
    connection = play([*hello(), *lines("C NOOP"), ("S", "250-a\r\n250-b\r\n25")])
    last = connection.dialogue[-1]
    assert isinstance(last, ReplyTurn)
    assert (last.code, last.complete, last.answers) == (250, False, len(connection.dialogue) - 2)


def test_421_can_come_without_a_command() -> None:
    connection = play([*hello(), *lines("S 421 time is up")])
    assert pairs(connection)[-1] == ("421", None)


def test_the_message_is_answered_and_listed() -> None:
    connection = play([*hello(), *SENT])
    assert pairs(connection)[-2:] == [("354", "DATA"), ("250", f"<{len(MESSAGE)}>")]
    (message,) = connection.messages
    assert (message.from_, message.code, message.size) == ("a@client.example", 250, len(MESSAGE))
    assert [(one.address, one.code) for one in message.recipients] == [("b@mx.example", 250)]
    assert (message.subject, message.message_id) == ("test", "<1@client.example>")


def test_a_refused_message_is_listed_with_its_refusal() -> None:
    (message,) = play([*hello(), *SENT[:-1], *lines("S 554 spam")]).messages
    assert message.code == 554


def test_lmtp_answers_once_for_each_accepted_recipient() -> None:
    script = [
        *lines("S 220 mx LMTP", "C LHLO x", "S 250 mx", "C MAIL FROM:<a@x>", "S 250 ok", "C RCPT TO:<b@x>", "S 250 ok"),
        *lines("C RCPT TO:<c@x>", "S 550 no", "C RCPT TO:<d@x>", "S 250 ok", "C DATA", "S 354 go"),
        ("C", f"{MESSAGE}.\r\n"),
        *lines("S 452 full", "S 250 ok", "C QUIT", "S 221 bye"),
    ]
    connection = play(script)
    assert (connection.protocol, connection.profile) == ("lmtp", "lmtp")
    size = f"<{len(MESSAGE)}>"
    assert pairs(connection)[-3:] == [("452", size), ("250", size), ("221", "QUIT")]
    assert len(connection.messages) == 1


REFUSED_LMTP: Script = [
    *lines("S 220 mx LMTP", "C LHLO c.example"),
    ("S", "250-mx.example\r\n250-PIPELINING\r\n250 CHUNKING\r\n"),
    *lines("C MAIL FROM:<a@x>", "S 250 ok", "C RCPT TO:<b@x>", "S 550 no"),
]


def test_in_lmtp_the_last_chunk_without_a_recipient_gets_no_reply_and_ends_the_transaction() -> None:
    chunk = "BDAT 7 LAST\r\nabcde\r\n"
    connection = play([*REFUSED_LMTP, ("C", chunk + chunk), *lines("C NOOP", "S 250 ok", "C QUIT", "S 221 bye")])
    assert pairs(connection)[-2:] == [("250", "NOOP"), ("221", "QUIT")]
    assert [message.code for message in connection.messages] == [None, None]
    closed = play([*REFUSED_LMTP, ("C", chunk), *lines("FS", "FC")])
    assert "RPL412" not in {finding.rule for finding in closed.findings}
    second = lines("C MAIL FROM:<a@x>", "S 250 ok", "C RCPT TO:<b@x>", "S 250 ok", "C RSET", "S 250 ok")
    followed = play([*REFUSED_LMTP, ("C", chunk), *second])
    assert not {"SEQ102", "SEQ120"} & {finding.rule for finding in followed.findings}


def test_in_lmtp_503_may_answer_the_last_chunk_without_a_recipient() -> None:
    connection = play([*REFUSED_LMTP, ("C", "BDAT 7 LAST\r\nabcde\r\n"), *lines("S 503 no", "C QUIT", "S 221 bye")])
    assert pairs(connection)[-2:] == [("503", "BDAT"), ("221", "QUIT")]


def test_354_shows_which_commands_were_never_answered() -> None:
    group: Script = [("C", "RSET\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n")]
    found = answers([*group, *lines("S 250 ok", "S 354 go"), ("C", f"{MESSAGE}.\r\n"), *lines("S 250 queued")])
    assert found == [("250", "RSET"), ("354", "DATA"), ("250", f"<{len(MESSAGE)}>")]


# -- the meaning of the client's bytes ---------------------------------------------------------------------------------


def test_commands_follow_a_refused_data() -> None:
    script: Script = [
        *hello("PIPELINING"),
        ("C", "DATA\r\nRSET\r\nQUIT\r\n"),
        *lines("S 503 no", "S 250 ok", "S 221 bye"),
    ]
    assert words(script)[3:] == ["DATA", "503", "RSET", "QUIT", "250", "221"]


def test_commands_in_a_message_are_text() -> None:
    text = f"{MESSAGE}QUIT\r\nMAIL FROM:<x@y>\r\n"
    script = [*hello(), *SENT[:-2], ("C", f"{text}.\r\n"), *lines("S 250 queued", "C QUIT", "S 221 bye")]
    assert words(script)[-4:] == [f"<{len(text)}>", "250", "QUIT", "221"]


def test_an_auth_exchange_is_never_shown() -> None:
    script = [
        *hello("AUTH LOGIN"),
        *lines("C AUTH LOGIN", "S 334 VXNlcm5hbWU6", "C c2VjcmV0", "S 334 UGFzc3dvcmQ6", "C c2VjcmV0", "S 235 ok"),
        *lines("C NOOP", "S 250 ok"),
    ]
    connection = play(script)
    assert [word(turn) for turn in connection.dialogue[3:]] == [
        *("AUTH", "334", "***", "334", "***", "235"),
        *("NOOP", "250"),
    ]
    assert "c2VjcmV0" not in str(connection.dialogue) + str(connection.findings)


def test_an_initial_response_is_not_shown_either() -> None:
    connection = play([*hello("AUTH PLAIN"), *lines("C AUTH PLAIN AHNlY3JldAB4", "S 535 no")])
    assert "AHNlY3JldAB4" not in str(connection.dialogue) + str(connection.findings)


def test_a_cancelled_auth_leads_back_to_commands() -> None:
    script = [
        *hello("AUTH LOGIN"),
        *lines("C AUTH LOGIN", "S 334 VXNlcm5hbWU6", "C *", "S 501 ok", "C NOOP", "S 250 ok"),
    ]
    assert words(script)[3:] == ["AUTH", "334", "***", "501", "NOOP", "250"]


def test_chunks_may_contain_any_bytes() -> None:
    script: Script = [
        *hello("CHUNKING"),
        *envelope(),
        ("C", "BDAT 6\r\nQUIT\r\n"),
        *lines("S 250 ok"),
        ("C", "BDAT 5 LAST\r\n\r\n.\r\n"),
        *lines("S 250 queued", "C QUIT", "S 221 bye"),
    ]
    connection = play(script)
    assert [word(turn) for turn in connection.dialogue[7:]] == [
        *("BDAT", "<6>", "250"),
        *("BDAT", "<5>", "250"),
        *("QUIT", "221"),
    ]
    (message,) = connection.messages
    assert message.size == 11


def test_an_empty_last_chunk_ends_the_message() -> None:
    script: Script = [
        *hello("CHUNKING"),
        *envelope(),
        ("C", "BDAT 3\r\nabc"),
        *lines("S 250 ok", "C BDAT 0 LAST", "S 250 ok"),
    ]
    connection = play(script)
    assert [message.size for message in connection.messages] == [3]


@pytest.mark.parametrize("size", ["x", "-1", "99999999999999999999999"])
def test_a_chunk_of_no_size_is_only_a_command(size: str) -> None:
    script = [*hello("CHUNKING"), *envelope(), *lines(f"C BDAT {size} LAST", "S 501 no", "C QUIT", "S 221 bye")]
    assert words(script)[-4:] == ["BDAT", "501", "QUIT", "221"]


# -- TLS ---------------------------------------------------------------------------------------------------------------

RECORD = b"\x16\x03\x01\0\x05\x01\0\0\x01\0"


def test_everything_after_starttls_is_opaque() -> None:
    script = [*hello("STARTTLS"), *lines("C STARTTLS", "S 220 go"), ("C", RECORD), ("S", RECORD), ("C", b"QUIT\r\n")]
    connection = play(script)
    assert connection.tls == "starttls"
    assert [word(turn) for turn in connection.dialogue[3:]] == ["STARTTLS", "220", "tls"]
    assert connection.client_bytes == len("EHLO client.example\r\nSTARTTLS\r\n") + len(RECORD) + 6


def test_tls_from_the_start_is_implicit() -> None:
    connection = play([("C", RECORD), ("S", RECORD), ("C", RECORD)], port=465)
    assert (connection.tls, connection.profile) == ("implicit", "submission")
    assert [word(turn) for turn in connection.dialogue] == ["tls"]


def test_a_refused_starttls_changes_nothing() -> None:
    script = [*hello("STARTTLS"), *lines("C STARTTLS", "S 454 later", "C NOOP", "S 250 ok")]
    connection = play(script)
    assert connection.tls == "none"
    assert [word(turn) for turn in connection.dialogue[3:]] == ["STARTTLS", "454", "NOOP", "250"]


def test_plain_text_is_no_fault_if_the_220_was_not_seen() -> None:
    script: Script = [*hello("STARTTLS"), *lines("C STARTTLS", "C NOOP")]
    connection = play(script, select=("SEC602",))
    assert [word(turn) for turn in connection.dialogue[3:]] == ["STARTTLS", "NOOP"]
    assert connection.findings == []


def test_a_capture_decrypted_in_place_is_read_to_the_end() -> None:
    script = [*hello("STARTTLS"), *lines("C STARTTLS", "S 220 go", "TLS ", "C EHLO x", "S 250 mx"), *SENT]
    assert len(play(script).messages) == 1


# -- ends that only the server saw -------------------------------------------------------------------------------------


def test_an_answered_bare_lf_ended_the_line() -> None:
    script: Script = [
        *hello(),
        ("C", "NOOP\n"),
        *lines("S 250 ok"),
        ("C", "RSET\n"),
        *lines("S 250 ok", "C QUIT", "S 221 bye"),
    ]
    assert words(script)[3:] == ["NOOP", "250", "RSET", "250", "QUIT", "221"]


SMUGGLED = "MAIL FROM:<admin@x.example>\r\nRCPT TO:<b@x.example>\r\nDATA\r\n"


@pytest.mark.parametrize("end", ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r"])
def test_a_lookalike_that_the_server_accepted_ends_the_message(end: str) -> None:
    script: Script = [
        *hello("PIPELINING"),
        *SENT[:-2],
        ("C", MESSAGE.rstrip() + end),
        *lines("S 250 queued"),
        ("C", SMUGGLED),
        *lines("S 250 ok", "S 250 ok", "S 354 go"),
    ]
    said = words(script)
    assert said[-6:] == ["MAIL", "RCPT", "DATA", "250", "250", "354"]
    assert said[-7] == "250"


def test_commands_smuggled_in_one_segment_are_seen_when_the_server_answers_them() -> None:
    script: Script = [
        *hello("PIPELINING"),
        *SENT[:-2],
        ("C", MESSAGE.rstrip() + "\n.\n" + SMUGGLED),
        *lines("S 250 queued", "S 250 ok", "S 250 ok", "S 354 go"),
        ("C", "forged\r\n.\r\n"),
        *lines("S 250 queued"),
    ]
    connection = play(script)
    assert [message.from_ for message in connection.messages] == ["a@client.example", "admin@x.example"]


def test_without_an_answer_a_lookalike_is_text() -> None:
    text = MESSAGE + "\n.\n" + SMUGGLED
    connection = play([*hello(), *SENT[:-2], ("C", text + ".\r\n"), *lines("S 250 queued")])
    assert [message.size for message in connection.messages] == [len(text)]


# -- gaps in the capture -----------------------------------------------------------------------------------------------


def test_a_gap_in_a_message_is_counted_and_the_dialogue_continues() -> None:
    script: Script = [
        *hello(),
        *SENT[:-2],
        ("C", MESSAGE),
        ("GC", "1000"),
        ("C", "end\r\n.\r\n"),
        *lines("S 250 queued", "C QUIT", "S 221 bye"),
    ]
    connection = play(script)
    (message,) = connection.messages
    assert (message.size, message.sha256) == (len(MESSAGE) + 1005, None)
    assert [word(turn) for turn in connection.dialogue][-3:] == ["250", "QUIT", "221"]
    assert [(gap.side, gap.length) for gap in connection.gaps] == [("client", 1000)]


def test_the_reply_shows_the_lost_end_of_a_message() -> None:
    script: Script = [
        *hello(),
        *SENT[:-2],
        ("C", MESSAGE),
        ("GC", "100"),
        *lines("S 250 queued", "C QUIT", "S 221 bye"),
    ]
    connection = play(script)
    assert [(message.code, message.sha256) for message in connection.messages] == [(250, None)]
    assert pairs(connection)[-1] == ("221", "QUIT")


def test_after_lost_commands_the_next_certain_one_counts() -> None:
    script: Script = [*hello(), ("GC", "30"), ("C", "x.example>\r\nRCPT TO:<b@x>\r\n"), *lines("S 250 ok")]
    assert words(script)[3:5] == ["gap client 30", "RCPT"]


def test_after_lost_replies_the_dialogue_pairs_again() -> None:
    script: Script = [*hello(), *lines("C NOOP"), ("GS", "8"), *lines("C RSET", "S 250 ok", "C QUIT", "S 221 bye")]
    assert pairs(play(script))[2:] == [("250", "RSET"), ("221", "QUIT")]


def test_a_lost_354_does_not_turn_the_message_into_commands() -> None:
    script: Script = [
        *hello(),
        *envelope(),
        *lines("C DATA"),
        ("GS", "14"),
        ("C", f"{MESSAGE}.\r\n"),
        *lines("S 250 queued"),
    ]
    assert [message.size for message in play(script).messages] == [len(MESSAGE)]


def test_in_mid_stream_the_rest_of_a_line_is_not_a_command() -> None:
    script = lines("C TO:<b@x.example>", "S 250 ok", "C RCPT TO:<c@x.example>", "S 250 ok")
    connection = play(script, midstream=True)
    assert connection.opening == "midstream"
    assert pairs(connection)[-1] == ("250", "RCPT")


def test_a_client_alone_is_read_as_if_all_commands_were_accepted() -> None:
    script = [("C", "EHLO x\r\n"), *SENT, *lines("C QUIT")]
    connection = play([entry for entry in script if entry[0] == "C"], onesided=True)
    assert [word(turn) for turn in connection.dialogue] == ["EHLO", "MAIL", "RCPT", "DATA", f"<{len(MESSAGE)}>", "QUIT"]
    assert [message.code for message in connection.messages] == [None]


def test_the_server_alone_is_a_list_of_replies() -> None:
    script = [entry for entry in [*hello(), *SENT] if entry[0] == "S"]
    assert {word(turn) for turn in play(script, onesided=True).dialogue} == {"220", "250", "354"}


def test_a_message_without_an_end_is_shown_but_not_listed() -> None:
    connection = play([*hello(), *SENT[:-2], ("C", MESSAGE), ("RC", "")])
    assert connection.closing == "rst"
    assert word(connection.dialogue[-1]) == f"<{len(MESSAGE)} cut>"
    assert connection.messages == []


@pytest.mark.parametrize(("end", "closing"), [("FC", "fin"), ("FS", "fin"), ("RS", "rst"), ("RC", "rst")])
def test_the_kind_of_close_is_reported(end: str, closing: str) -> None:
    assert play([*hello(), (end, "")]).closing == closing
    assert play(hello()).closing == "open"


# -- limits ------------------------------------------------------------------------------------------------------------


def test_a_long_dialogue_is_shortened_in_the_report_but_audited_to_the_end() -> None:
    script: Script = [*hello(), *(20 * lines("C NOOP", "S 250 ok")), *lines("C RCPT TO:<b@x>", "S 503 no")]
    connection = play(script, limits=Limits(turns=10), select=("SEQ",))
    assert len(connection.dialogue) == 10
    assert [finding.rule for finding in connection.findings] == ["SEQ103"]
    assert connection.notes == ["the dialogue is shown up to turn 10; the audit went on"]


def test_findings_of_one_rule_are_limited_and_a_note_says_so() -> None:
    script: Script = [*hello(), *(9 * lines("C RCPT TO:<b@x>", "S 503 no"))]
    connection = play(script, limits=Limits(findings_per_rule=3), select=("SEQ103",))
    assert len(connection.findings) == 3
    assert connection.notes == ["more than 3 findings of SEQ103: further ones are not listed"]


def test_bytes_that_wait_for_one_reply_are_limited() -> None:
    script: Script = [*hello(), *envelope(), ("C", "DATA\r\n" + MESSAGE + 50 * "more text\r\n" + ".\r\n")]
    connection = play(script, limits=Limits(undecided_bytes=100))
    assert any("bytes waited for one reply" in note for note in connection.notes)
    assert isinstance(connection.dialogue[-1], MessageTurn)


# -- one result, however the bytes arrive ------------------------------------------------------------------------------

whole_sessions = [
    [*hello("PIPELINING", "CHUNKING", "8BITMIME"), *SENT, *lines("C QUIT", "S 221 bye", "FS ", "FC ")],
    [*hello(), ("C", "NOOP\n"), *lines("S 250 ok", "C MAIL FROM:<caf\xe9@x>", "S 553 no", "C DATA", "S 503 no")],
    [
        *hello("AUTH LOGIN"),
        *lines("C AUTH LOGIN", "S 334 VXNlcm5hbWU6", "C c2VjcmV0", "S 535 no", "C QUIT", "S 221 bye"),
    ],
    [
        *hello("PIPELINING"),
        ("C", "MAIL FROM:<a@x.example>\r\nRCPT TO:<b@x.example>\r\nDATA\r\n"),
        *lines("S 250 ok", "S 550 no", "S 354 go"),
        ("C", MESSAGE + "a\rb\0\n.\nc\r\n..\r\n.\r\n"),
        *lines("S 250-queued\r\n250 as 1"),
    ],
    [
        *hello("CHUNKING"),
        *envelope(),
        ("C", "BDAT 7\r\na: b\r\n\rBDAT 4 LAST\r\n\nc\xe9\n"),
        *lines("S 250 ok", "S 250 ok"),
    ],
    [*hello("STARTTLS"), *lines("C STARTTLS", "S 220 go"), ("C", RECORD), ("S", RECORD)],
]


def essence(connection: Connection) -> tuple[object, ...]:
    """Return everything that must not depend on the segmentation: all but frames and times."""
    turns = [
        (
            word(turn),
            turn.side,
            getattr(turn, "offset", None),
            getattr(turn, "answers", None),
            getattr(turn, "predicted", None),
        )
        for turn in connection.dialogue
    ]
    found = [
        (
            f.rule,
            f.side,
            f.certainty,
            re.sub(r"frame [0-9]+|[0-9.]+ ms", "then", f.message),
            f.offset,
            f.length,
            f.turn,
            f.caused_by,
            f.evidence,
            f.count,
        )
        for f in connection.findings
    ]
    whole = (connection.client_bytes, connection.server_bytes, connection.closing, connection.tls, connection.notes)
    return turns, found, connection.messages, whole


TIMELESS = ("SEQ", "BIT", "CMD", "EXT", "LEN", "RPL", "MSG")


@pytest.mark.parametrize("script", whole_sessions)
def test_whole_segments_and_single_bytes_give_one_result(script: Script) -> None:
    whole = essence(play(script, select=TIMELESS))
    assert essence(play(script, cut=by_byte, select=TIMELESS)) == whole
    assert essence(talk(script, select=TIMELESS)) == whole
    assert essence(talk(script, cut=by_byte, select=TIMELESS)) == whole


@given(st.sampled_from(whole_sessions), st.integers(0, 1 << 30), st.data())
def test_any_segmentation_with_duplicates_gives_one_result(script: Script, seed: int, data: st.DataObject) -> None:
    sent = segments(script, cut=at_random(seed))
    again = data.draw(st.lists(st.integers(3, len(sent) - 1), max_size=5))
    doubled = [copy for n, one in enumerate(sent) for copy in [one] * (1 + again.count(n))]
    (connection,) = connections(doubled, select=TIMELESS)
    assert essence(connection) == essence(play(script, select=TIMELESS))


# -- arbitrary dialogues -----------------------------------------------------------------------------------------------


@given(dialogues(), st.booleans(), st.sampled_from([None, "rfc821", "submission", "lmtp"]))
def test_any_dialogue_is_audited_to_the_end(said: list[tuple[str, str]], midstream: bool, profile: str | None) -> None:
    connection = talk(said, midstream=midstream, profile=profile)
    total = {side: sum(len(text) for who, text in said if who == side) for side in "CS"}
    lost = {side: sum(int(text) for who, text in said if who == f"G{side}") for side in "CS"}
    assert connection.client_bytes == total["C"] + lost["C"]
    for turn in connection.dialogue:
        if isinstance(turn, ReplyTurn) and turn.answers is not None:
            assert 0 <= turn.answers < len(connection.dialogue)
            assert not isinstance(connection.dialogue[turn.answers], ReplyTurn)
    for finding in connection.findings:
        assert finding.turn is None or 0 <= finding.turn < len(connection.dialogue)
        assert finding.caused_by is None or 0 <= finding.caused_by < len(connection.findings)
        assert 0 <= finding.offset <= max(connection.client_bytes, connection.server_bytes)


def test_a_login_that_the_server_forgets_is_explained() -> None:
    offer = ("S", "250-mx\r\n250 AUTH PLAIN\r\n")
    script = [
        *lines("S 220 mx ESMTP", "C EHLO a.example"),
        offer,
        *lines("C AUTH PLAIN", "S 334 ", "C AGEAYg==", "S 235 ok", "C EHLO a.example"),
        offer,
        *lines("C MAIL FROM:<a@b.example>", "S 530 5.7.0 login", "C QUIT", "S 221 bye"),
    ]
    (note,) = play(script).notes
    assert "forgets a login at the next EHLO" in note
    first = [*script[:3], *script[-4:]]
    assert not play(first).notes


def test_lines_with_lf_alone_are_judged_like_others() -> None:
    script = [*hello(), ("C", "MAIL FROM:<a@b.example>\nRCPT TO:<c@mx.example>\nDATA\n")]
    connection = play(
        [*script, *lines("S 250 ok", "S 250 ok", "S 354 go"), ("C", f"{MESSAGE}.\r\n"), *lines("S 250 ok")]
    )
    assert "EXT504" in {one.rule for one in connection.findings}
    turns = list(enumerate(connection.dialogue))
    answered = {turn.answers: turn.code for _, turn in turns if isinstance(turn, ReplyTurn)}
    verbs = [(turn.verb, answered.get(place)) for place, turn in turns if isinstance(turn, CommandTurn)]
    assert verbs[1:] == [("MAIL", 250), ("RCPT", 250), ("DATA", 354)]
