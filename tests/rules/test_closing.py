"""TCP and TIM: how connections end, how long sides wait, and what cannot be judged."""

from __future__ import annotations

import pytest
from scripts import GREETING, MESSAGE, Script, connections, envelope, findings, hello, lines, rules, segments

SECOND = 1_000_000_000
FAMILY = ("TCP", "TIM")
DATA = lines("C DATA", "S 354 go")
BYE = lines("C QUIT", "S 221 bye")


def ended(script: Script, **how: object) -> list[str]:
    """Ids of TCP and TIM rules that fire."""
    return rules(script, select=FAMILY, **how)  # type: ignore[arg-type]


def paused(before: Script, seconds: float, after: Script, **how: object) -> list[str]:
    """The same for ``before``, a pause and ``after``."""
    whole = segments([*before, *after])
    first = len(segments(before))
    late = [one._replace(time_ns=one.time_ns + round(seconds * SECOND)) for one in whole[first:]]
    (connection,) = connections([*whole[:first], *late], select=FAMILY, **how)  # type: ignore[arg-type]
    return [finding.rule for finding in connection.findings]


# -- which side closed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["FC", "RC"])
def test_a_client_that_closes_without_quit(end: str) -> None:
    (finding,) = findings([*hello(), *lines("C NOOP", "S 250 ok"), (end, "")], select=FAMILY)
    assert (finding.rule, finding.side) == ("TCP901", "client")


@pytest.mark.parametrize(
    "script",
    [
        [*hello(), *BYE, ("FC", ""), ("FS", "")],
        [*hello(), ("C", "QUIT\r\n"), ("FC", "")],
        [*hello(), ("C", "QUIT"), ("FC", "")],
        [*hello(), ("C", "QUIT\n"), ("S", "221 bye\r\n"), ("FC", "")],
        [*hello(), *envelope(), ("C", f"DATA\r\n{MESSAGE}.\r\nQUIT\r\n"), ("FC", ""), ("S", "354 go\r\n250 ok\r\n")],
        [*hello(), *lines("C NOOP", "S 421 bye"), ("FC", "")],
        [*hello("STARTTLS"), *lines("C STARTTLS", "S 220 go"), ("FC", "")],
        [*lines("S 521 mx.example no"), ("FC", "")],
        [*hello("AUTH XOAUTH2"), *lines("C AUTH XOAUTH2 =", "S 334 e30=", "C QUIT"), ("FC", "")],
        [*hello(), ("C", "NOOP\n\r"), *lines("S 250 ok"), ("C", "QUIT\n\r"), ("FC", "")],
        hello(),
    ],
)
def test_other_ends_are_not_reported(script: Script) -> None:
    assert "TCP901" not in rules(script)
    assert "TCP902" not in rules(script)


@pytest.mark.parametrize("end", ["FS", "RS"])
def test_a_server_that_closes_without_a_reply(end: str) -> None:
    assert ended([*hello(), *lines("C FOO", "S 500 what"), (end, "")]) == ["TCP902"]
    assert ended([*hello(), *lines("C FOO", "S 421 enough"), (end, "")]) == []
    assert ended([*hello(), *lines("C FOO", "S 500 what"), ("FC", ""), (end, "")]) == ["TCP901"]


def close(*entries: str) -> list[tuple[str, str]]:
    """Severity and message of TCP902 if the server closes after these lines in a session."""
    found = findings([*hello(), *lines(*entries), ("FS", "")], select=("TCP902",))
    return [(finding.severity, finding.message) for finding in found]


UNKNOWN = ("C FOO", "S 500 what")


def test_a_server_that_closes_after_a_refusal_has_said_why() -> None:
    blocked = "The server closed the connection after its 550 (5.7.1 blocked), without waiting for QUIT."
    assert close("C MAIL FROM:<a@c.example>", "S 550 5.7.1 blocked") == [("warning", blocked)]
    plain = "The server closed the connection during an open session without 221 or 421."
    assert close("C RSET", "S 250 ok") == [("error", plain)]


def test_one_or_two_unknown_commands_are_no_reason_to_close() -> None:
    assert [one[0] for one in close(*UNKNOWN)] == ["error"]
    assert [one[0] for one in close(*UNKNOWN, *UNKNOWN)] == ["error"]
    assert [one[0] for one in close(*UNKNOWN, *UNKNOWN, *UNKNOWN)] == ["warning"]
    assert [one[0] for one in close("C MAIL FROM:a", "S 501 no", *UNKNOWN, *UNKNOWN)] == ["warning"]
    assert [one[0] for one in close("C MAIL FROM:a", "S 501 no")] == ["warning"]
    assert [one[0] for one in close(*UNKNOWN, "C NOOP", "S 250 ok", *UNKNOWN, *UNKNOWN)] == ["error"]


def test_after_a_greeting_of_554_both_sides_have_to_wait_for_quit() -> None:
    greeting = lines("S 554 mx.example no service")
    assert ended([*greeting, ("FC", "")]) == ["TCP901"]
    (finding,) = findings([*greeting, ("FS", "")], select=FAMILY)
    assert (finding.rule, finding.severity) == ("TCP902", "warning")
    assert ended([*greeting, *BYE, ("FS", "")]) == []
    assert ended([*lines("S 521 mx.example no mail here"), ("FS", "")]) == []


@pytest.mark.parametrize("end", ["FC", "RC"])
def test_content_cut_off(end: str) -> None:
    start = [*hello("CHUNKING"), *envelope()]
    assert ended([*start, *DATA, ("C", MESSAGE), (end, "")]) == ["TCP903"]
    assert ended([*start, *DATA, (end, "")]) == ["TCP903"]
    assert ended([*start, ("C", "BDAT 100\r\nhello"), (end, "")]) == ["TCP903"]
    assert ended([*start, *DATA, ("C", f"{MESSAGE}.\r\n"), ("S", "250 ok\r\n"), (end, "")]) == ["TCP901"]
    assert "TCP903" not in rules([*start, *DATA, ("C", MESSAGE), ("FS", "")])
    assert "TCP903" not in rules([*start, *DATA, ("C", MESSAGE), ("GC", "100"), ("C", "x"), (end, "")])


# -- what cannot be judged ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "how", "what"),
    [
        ([*hello(), ("GC", "100"), *BYE], {}, "100 bytes of the client are missing"),
        (lines("C NOOP", "S 250 ok"), {"midstream": True}, "starts in the middle of the connection"),
        (lines("C EHLO c.example", "C QUIT"), {"onesided": True}, "only the client's direction"),
        (lines("S 220 mx.example", "S 221 bye"), {"onesided": True}, "only the server's direction"),
        ([*hello(), *lines("C TURN", "S 250 ok", "S EHLO mx.example")], {}, "TURN was accepted"),
        ([*hello(), *lines("C TURN", "S 250 ok", "C 220 client.example")], {}, "TURN was accepted"),
    ],
)
def test_the_limits_of_the_capture_are_named(script: Script, how: dict[str, bool], what: str) -> None:
    (finding,) = findings(script, select=("TCP906",), **how)  # type: ignore[arg-type]
    assert what in finding.message


@pytest.mark.parametrize(
    "script",
    [
        [*hello(), *BYE],
        [("S", GREETING)],
        [("S", GREETING), ("FC", "")],
        [*hello(), *lines("C TURN", "S 250 ok"), ("FC", ""), ("FS", "")],  # nothing follows
        [*hello("STARTTLS"), *lines("C STARTTLS", "S 220 go"), ("C", b"\x16\x03\x01\x00\x05hello")],
        [
            *hello("STARTTLS"),
            *lines("C STARTTLS", "S 220 go"),
            ("C", b"\x16\x03\x01\x00\x05hello"),
            ("GC", "500"),  # encrypted, so not needed
            ("C", b"\x17\x03\x03\x00\x05hello"),
        ],
    ],
)
def test_complete_sessions_and_starttls_are_not_reported(script: Script) -> None:
    assert "TCP906" not in rules(script)


# -- time --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "expected"), [(0.1, []), (30, ["TIM801"]), (310, [])])
def test_a_client_that_gives_up(seconds: float, expected: list[str]) -> None:
    waiting = [*hello(), *lines("C MAIL FROM:<a@c.example>")]
    assert [rule for rule in paused(waiting, seconds, [("FC", "")]) if rule != "TCP901"] == expected


def test_the_timeout_depends_on_the_command() -> None:
    data = [*hello(), *envelope(), ("C", "DATA\r\n")]
    assert "TIM801" in paused(data, 100, [("FC", "")])
    assert "TIM801" not in paused(data, 130, [("FC", "")])
    end = [*hello(), *envelope(), *DATA, ("C", f"{MESSAGE}.\r\n")]
    assert "TIM801" in paused(end, 500, [("FC", "")])
    assert "TIM801" not in paused(end, 610, [("FC", "")])


def test_who_closed_first_matters() -> None:
    waiting: Script = [*hello(), ("C", "NOOP\r\n")]
    assert "TIM801" not in paused(waiting, 30, [("FS", ""), ("FC", "")])
    assert "TIM801" not in paused([*hello(), ("C", "QUIT\r\n")], 30, [("FC", "")])


@pytest.mark.parametrize(
    ("seconds", "end", "expected"),
    [
        (60, lines("S 421 4.4.2 mx.example timeout"), ["TIM802"]),
        (60, lines("S 421 4.3.2 mx.example shutting down"), []),
        (301, lines("S 421 4.4.2 mx.example timeout"), []),
        (60, [("FS", "")], ["TCP902", "TIM802"]),
        (301, [("FS", "")], []),
        (0.1, [("FS", "")], ["TCP902"]),
        (60, [("FC", "")], ["TCP901"]),
    ],
)
def test_a_server_that_does_not_wait(seconds: float, end: Script, expected: list[str]) -> None:
    assert sorted(paused(hello(), seconds, end)) == expected


def test_a_server_that_does_not_wait_for_the_rest_of_a_message() -> None:
    start = [*hello(), *envelope(), *DATA, ("C", MESSAGE)]
    assert paused(start, 60, lines("S 421 4.4.2 mx.example timeout")) == ["TIM802"]
    assert paused(start, 301, lines("S 421 4.4.2 mx.example timeout")) == []


def test_a_server_may_close_after_many_refusals() -> None:
    refused = [*hello(), *lines(*["C FOO", "S 500 what"] * 10)]
    assert "TIM802" not in paused(refused, 60, lines("S 421 mx.example enough"))
    assert "TIM802" not in paused([*hello(), *lines("C NOOP")], 60, lines("S 421 mx.example busy"))


def test_a_slow_line() -> None:
    assert paused([*hello(), ("C", "NO")], 400, [("C", "OP\r\n"), ("S", "250 ok\r\n"), *BYE]) == ["TIM804"]
    assert paused(hello(), 400, [*lines("C NOOP", "S 250 ok"), *BYE]) == []
    assert paused([*hello(), ("C", "NO")], 200, [("C", "OP\r\n"), ("S", "250 ok\r\n"), *BYE]) == []


@pytest.mark.parametrize("end", ["FS", "FC"])
def test_letters_in_place_of_a_line_end_are_a_fault_however_long_the_line_waits(end: str) -> None:
    assert "TIM804" in paused([*hello(), ("C", "NOOP\\r\\n")], 60, [(end, "")])
    assert "TIM804" not in paused([*hello(), ("C", "NOOP")], 60, [(end, "")])
    assert "TIM804" not in paused([*hello(), ("C", "NOOP\\r\\n")], 60, [("C", "\r\n"), ("S", "250 ok\r\n"), *BYE])


def test_a_line_of_the_login_that_never_gets_its_end_is_slow_and_secret() -> None:
    login = lines("C AUTH LOGIN", "S 334 VXNlcm5hbWU6")
    script = [*hello("AUTH LOGIN"), *login, ("C", "aHVudGVyMjI="), ("wait", "400"), *lines("S 421 timeout"), ("FS", "")]
    (found,) = (one for one in findings(script, select=FAMILY) if one.rule == "TIM804")
    assert found.message == "A line of the login was still incomplete after 400 s."
    assert "aHVudGVyMjI" not in str(found)


def test_slow_mail_data_may_come_from_a_full_window() -> None:
    start = [*hello(), *envelope(), *DATA]
    rest: Script = [("C", "x\r\n.\r\n"), ("S", "250 queued\r\n"), *BYE]
    assert paused([*start, ("C", MESSAGE)], 200, rest) == ["TIM804"]
    assert paused([*start, ("C", MESSAGE)], 170, rest) == []
    assert paused(start, 200, [("C", MESSAGE), *rest]) == []


@pytest.mark.parametrize(
    ("line", "part"),
    [
        (
            "EHLO client.example\\r\\n",
            r": EHLO client.example; the four characters \r\n stand in place of CR and LF.",
        ),
        ("QUIT\\n", r": QUIT; the two characters \n stand in place of CR and LF."),
        ("EHLO client.example", ": EHLO client.example."),
    ],
)
def test_a_line_that_never_ended_is_shown(line: str, part: str) -> None:
    whole = segments([*hello(), ("C", line), *lines("S 421 too slow"), ("FS", "")])
    late = [one._replace(time_ns=one.time_ns + 300 * SECOND) for one in whole[-2:]]
    (connection,) = connections([*whole[:-2], *late], select=("TIM804",))
    (one,) = connection.findings
    assert one.message == f"A command line was still incomplete after 300 s{part}"
