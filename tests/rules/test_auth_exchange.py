"""CMD314, CMD322 and RPL428: responses in an AUTH exchange, and the replies to them."""

from __future__ import annotations

from base64 import b64encode

import pytest
from scripts import END, Script, findings, hello, lines, play, rules

from smtpwire.analyzer.lines.command_line import KNOWN_LINES

CHALLENGE = "S 334 PDEyMy40NTZAbXguZXhhbXBsZT4="


def encoded(response: bytes) -> str:
    return b64encode(response).decode()


def found(script: Script, *select: str) -> list[tuple[str, str]]:
    return [(one.rule, one.severity) for one in findings(script, select=select or ("CMD", "RPL", "EXT"))]


def session(mechanism: str, *entries: str) -> list[tuple[str, bytes | str]]:
    return [*hello(f"AUTH {mechanism}"), *lines(*entries), *END]


# -- CMD322 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("response", "part"),
    [
        (b"user:password", "holds 0 NUL in place of 2"),
        (b"user\0password", "holds 1 NUL in place of 2"),
        (b"\0user\0password\0", "holds 3 NUL in place of 2"),
        (b"\0\0password", "The user in the response of AUTH PLAIN is empty."),
        (b"user\0user\0", "The password in the response of AUTH PLAIN is empty."),
    ],
)
@pytest.mark.parametrize("initial", [True, False])
def test_a_response_of_plain_has_three_parts(response: bytes, part: str, initial: bool) -> None:
    text = encoded(response)
    entries = [f"C AUTH PLAIN {text}"] if initial else ["C AUTH PLAIN", "S 334 ", f"C {text}"]
    connection = play(session("PLAIN", *entries, "S 535 no"))
    (one,) = [one for one in connection.findings if one.rule == "CMD322"]
    assert part in one.message
    assert (one.severity, one.side) == ("error", "client")
    assert text not in repr(connection)
    assert "password" not in one.evidence


@pytest.mark.parametrize("response", [b"\0user\0password", b"admin\0user\0password"])
def test_a_right_response(response: bytes) -> None:
    assert "CMD322" not in rules(session("PLAIN", f"C AUTH PLAIN {encoded(response)}", "S 235 ok"))


@pytest.mark.parametrize("response", ["=", "user!"])
def test_what_is_no_response_of_plain(response: str) -> None:
    assert "CMD322" not in rules(session("PLAIN", f"C AUTH PLAIN {response}", "S 501 no"))


@pytest.mark.parametrize("response", ["*", "", "user!"])
def test_what_is_no_later_response_of_plain(response: str) -> None:
    assert "CMD322" not in rules(session("PLAIN", "C AUTH PLAIN", "S 334 ", f"C {response}", "S 501 no"))


def test_other_mechanisms_have_other_forms() -> None:
    entries = ("C AUTH LOGIN", "S 334 VXNlcm5hbWU6", "C dXNlcg==", "S 334 UGFzc3dvcmQ6", "C cGFzcw==", "S 235 ok")
    assert "CMD322" not in rules(session("LOGIN", *entries))


# -- a response in two lines -------------------------------------------------------------------------------------------

WHOLE = encoded(b"\0mailer@client.example\0" + b"a-very-long-secret-of-a-client-that-breaks-lines" * 2)


@pytest.mark.parametrize("width", [76, 75])
def test_a_response_that_goes_on_in_more_lines(width: int) -> None:
    first, *rest = [WHOLE[at : at + width] for at in range(0, len(WHOLE), width)]
    sent = "".join(line + "\r\n" for line in [f"AUTH PLAIN {first}", *rest])
    replies = "535 5.7.8 no\r\n" + "500 5.5.1 what\r\n" * len(rest)
    connection = play([*hello("AUTH PLAIN"), ("C", sent), ("S", replies), *END])
    ids = [one.rule for one in connection.findings]
    assert "CMD301" not in ids
    assert "CMD322" not in ids
    split = ids.index("CMD314") if width == 76 else ids.index("CMD314", ids.index("CMD314") + 1)
    assert connection.findings[split].message.startswith("The initial response of AUTH goes on in a second line")
    early = [one for one in connection.findings if one.rule == "EXT504"]
    assert early
    assert early[0].caused_by == split
    for piece in rest:
        assert piece not in repr(connection)
        assert not any(piece.encode() in line for line in KNOWN_LINES)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("AUTH PLAIN =", "A" * 20),  # no initial response
        ("AUTH PLAIN", "A" * 20),
        ("NOOP", "A" * 20),
        (f"AUTH PLAIN {WHOLE[:76]}", "A" * 12),  # too short
        (f"AUTH PLAIN {WHOLE[:76]}", "not base64 at all"),
    ],
)
def test_other_lines_are_commands(first: str, second: str) -> None:
    sent = f"{first}\r\n{second}\r\n"
    ids = rules([*hello("AUTH PLAIN"), ("C", sent), ("S", "535 no\r\n500 what\r\n"), *END])
    assert "CMD314" not in ids or "CMD301" in ids


def test_a_line_after_the_final_reply_is_a_command() -> None:
    entries = (f"C AUTH PLAIN {WHOLE[:76]}", "S 535 no", "C " + "A" * 20, "S 500 what")
    assert "CMD301" in rules(session("PLAIN", *entries))


# -- RPL428 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "severity"), [("535 no", "warning"), ("454 no", "warning"), ("550 no", "warning"), ("334 ", "error")]
)
def test_a_cancelled_exchange_is_answered_501(reply: str, severity: str) -> None:
    script = session("CRAM-MD5", "C AUTH CRAM-MD5", CHALLENGE, "C *", f"S {reply}")
    assert found(script, "RPL") == [("RPL428", severity)]


@pytest.mark.parametrize("reply", ["501 cancelled", "421 closing"])
def test_right_answers_to_a_cancelled_exchange(reply: str) -> None:
    assert found(session("CRAM-MD5", "C AUTH CRAM-MD5", CHALLENGE, "C *", f"S {reply}"), "RPL428") == []


def test_235_to_a_cancelled_exchange_is_an_error() -> None:
    script = session("CRAM-MD5", "C AUTH CRAM-MD5", CHALLENGE, "C *", "S 235 welcome")
    assert found(script, "RPL428") == [("RPL428", "error")]


@pytest.mark.parametrize(
    ("reply", "expected"), [("235 ok", ["RPL428"]), ("334 ", ["RPL428"]), ("535 no", []), ("501 no", [])]
)
def test_a_response_that_is_no_base64_must_be_refused(reply: str, expected: list[str]) -> None:
    later = session("PLAIN", "C AUTH PLAIN", "S 334 ", "C not!base64", f"S {reply}")
    assert [one for one, _ in found(later, "RPL428")] == expected
    initial = session("LOGIN", "C AUTH LOGIN user!", f"S {reply}")
    assert [one for one, _ in found(initial, "RPL428")] == expected


@pytest.mark.parametrize("mechanism", ["CRAM-MD5", "DIGEST-MD5", "cram-md5"])
@pytest.mark.parametrize(("reply", "expected"), [("235 ok", ["RPL428"]), ("334 YQ==", ["RPL428"]), ("501 no", [])])
def test_the_server_speaks_first(mechanism: str, reply: str, expected: list[str]) -> None:
    script = session("CRAM-MD5 DIGEST-MD5", f"C AUTH {mechanism} YWJj", f"S {reply}")
    assert [one for one, _ in found(script, "RPL428")] == expected
    assert found(session("CRAM-MD5 DIGEST-MD5", f"C AUTH {mechanism} =", f"S {reply}"), "RPL428") == []


@pytest.mark.parametrize("mechanism", ["LOGIN", "PLAIN", "EXTERNAL", "XOAUTH2", "SCRAM-SHA-1", "GSSAPI", "NTLM"])
def test_in_other_mechanisms_the_client_may_speak_first(mechanism: str) -> None:
    assert found(session(mechanism, f"C AUTH {mechanism} YWJj", "S 334 YQ=="), "RPL428") == []
