"""Grammar, replies and order: what the second edition of the rule book added to older rules, and SEQ126, SEQ127."""

from __future__ import annotations

import pytest
from scripts import END, GREETING, MAIL, Script, envelope, findings, hello, lines, play, rules

SENDER = "C MAIL FROM:<a@client.example>"
RCPT = "C RCPT TO:<b@mx.example>"


def found(script: Script, **options: object) -> list[tuple[str, str]]:
    return [(one.rule, one.severity) for one in findings(script, **options)]  # type: ignore[arg-type]


def session(keywords: tuple[str, ...], *entries: str) -> list[tuple[str, bytes | str]]:
    return [*hello(*keywords), *lines(*entries), *END]


# -- CMD301, CMD304, CMD305 --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reply", ["250 ok", "354 go", "450 no", "502 no", "554 no"])
@pytest.mark.parametrize("verb", ["VERB", "onex", "FROBNICATE"])
def test_a_verb_that_the_server_lists_is_known(verb: str, reply: str) -> None:
    assert found(session((verb.upper(),), f"C {verb}", f"S {reply}")) == []
    assert ("CMD301", "warning") in found(session((), f"C {verb}", "S 500 no"))


def test_an_offer_ends_with_the_next_hello() -> None:
    assert rules(session(("VERB",), "C HELO client.example", "S 250 mx.example", "C VERB", "S 500 no")) == ["CMD301"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("a@client.example", "it has no angle brackets"),
        ("<a@client.example>,<b@client.example>", "it has several addresses"),
        ("<a@client.example> <b@client.example>", "it has several addresses"),
        ("Jo <a@client.example>", "it has a display name before the address"),
        ("<jack>", "it has no domain"),
        ('<"Jo" Do@client.example>', "it has a quote in the middle"),
    ],
)
def test_the_message_says_what_is_wrong_with_a_path(path: str, reason: str) -> None:
    for script in ([f"C MAIL FROM:{path}", "S 501 no"], [SENDER, "S 250 ok", f"C RCPT TO:{path}", "S 501 no"]):
        (one,) = findings(session((), *script))
        assert one.rule == "CMD304"
        assert one.message.endswith(f": {reason}.")


def test_blanks_around_the_colon_are_one_finding_as_severe_as_the_worst_answer() -> None:
    taken = lines("C MAIL FROM: <a@client.example>", "S 250 ok", "C RCPT TO :<b@mx.example>", "S 250 ok")
    assert found([*hello(), *taken, *END]) == [("CMD305", "warning")]
    (one,) = findings([*hello(), *taken, *lines("C RCPT TO: <c@mx.example>", "S 550 no"), *END])
    assert one.severity == "error"
    assert one.message.endswith("It is the first of 3 such commands.")


def test_a_blank_and_no_brackets_are_two_faults() -> None:
    assert found(session((), "C MAIL FROM: a@client.example", "S 501 no")) == [("CMD304", "error"), ("CMD305", "error")]
    assert rules(session((), "C MAIL FROM: Jo <a@client.example>", "S 501 no")) == ["CMD304"]


def test_cmd316_and_cmd317_say_more() -> None:
    (blank,) = findings(session((), "C RSET ", "S 250 ok"))
    assert "servers should tolerate it" in blank.message
    (inner,) = findings(session((), "C  RSET", "S 250 ok"))
    assert "tolerate" not in inner.message
    (tag,) = findings([("S", GREETING), *lines("C EHLO [2001:db8::1]", "S 501 no"), *END])
    assert tag.rule == "CMD317"
    assert "the tag IPv6: is missing" in tag.message


# -- replies -----------------------------------------------------------------------------------------------------------


def test_334_needs_its_space() -> None:
    assert ("RPL405", "warning") in found(session(("AUTH LOGIN",), "C AUTH LOGIN", "S 334"))
    assert ("RPL405", "info") in found(session((), "C NOOP", "S 250"))


@pytest.mark.parametrize("first", ["250-", "250- good day", "250-\tgood day"])
@pytest.mark.parametrize("verb", ["EHLO", "LHLO"])
def test_the_reply_to_ehlo_names_the_host(first: str, verb: str) -> None:
    script = [("S", GREETING), ("C", f"{verb} client.example\r\n"), ("S", f"{first}\r\n250 SIZE\r\n"), *END]
    (one,) = findings(script, port=24 if verb == "LHLO" else 25, select=("RPL406",))
    assert (one.side, one.severity, one.reference) == ("server", "warning", "RFC 5321 §4.1.1.1")


@pytest.mark.parametrize("first", ["250-mx.example", "250-mx_1 greets you", "250-*** hidden"])
def test_another_name_in_the_reply_is_not_judged(first: str) -> None:
    script = [("S", GREETING), ("C", "EHLO client.example\r\n"), ("S", f"{first}\r\n250 SIZE\r\n"), *END]
    assert rules(script, select=("RPL406",)) == []


@pytest.mark.parametrize(
    ("line", "expected"), [("AUTH", ["RPL414"]), ("auth ", ["RPL414"]), ("AUTH X", []), ("SIZE", [])]
)
def test_auth_needs_a_mechanism(line: str, expected: list[str]) -> None:
    assert rules(session((line, "8BITMIME")), select=("RPL414",)) == expected


def test_the_frame_is_that_of_the_line() -> None:
    script = [("S", GREETING), ("C", "EHLO client.example\r\n"), ("S", "250-mx.example\r\n"), ("S", "250-AUTH\r\n")]
    connection = play([*script, ("S", "250 SIZE\r\n"), *END], select=("RPL414",))
    (one,) = connection.findings
    assert one.evidence == "250-AUTH"
    assert one.turn is not None
    assert one.frame > connection.dialogue[one.turn].frame
    assert one.offset == len(GREETING) + len("250-mx.example\r\n")


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        (("SIZE 1000", "8BITMIME", "size 500"), "SIZE is listed twice, as 1000 and as 500."),
        (("SIZE", "SIZE 500"), "SIZE is listed twice, without a parameter and as 500."),
        (("AUTH PLAIN", "AUTH LOGIN"), "AUTH is listed twice, as PLAIN and as LOGIN."),
    ],
)
def test_a_keyword_twice(keywords: tuple[str, ...], message: str) -> None:
    (one,) = findings(session(keywords), select=("RPL429",))
    assert (one.message, one.severity, one.side) == (message, "warning", "server")
    assert rules(session(keywords), select=("RPL429",), profile="rfc821") == []


@pytest.mark.parametrize(
    "keywords", [("SIZE 9", "SIZE 9"), ("size  9", "SIZE 9"), ("AUTH X", "AUTH=X"), ("SIZE 9", "X 9")]
)
def test_the_same_line_twice(keywords: tuple[str, ...]) -> None:
    assert rules(session(keywords), select=("RPL429",)) == []


def test_each_keyword_is_one_finding() -> None:
    again = lines("C EHLO client.example", "S 250-mx.example", "S 250-SIZE 1", "S 250 SIZE 2")
    (one,) = findings([*hello("SIZE 1", "SIZE 2"), *again, *END], select=("RPL429",))
    assert one.message.endswith("It is the first of 2 such replies.")


def test_the_larger_size_counts() -> None:
    assert rules(session(("SIZE 500", "SIZE 1000"), f"{SENDER} SIZE=900", "S 250 ok"), select=("EXT506",)) == []
    assert rules(session(("SIZE 1000", "SIZE 500"), f"{SENDER} SIZE=1001", "S 250 ok"), select=("EXT506",)) == [
        "EXT506"
    ]


def test_only_the_rfc_of_the_command_is_cited() -> None:
    (one,) = findings(session((), "C STARTTLS", "S 502 no"))
    assert (one.rule, one.reference) == ("EXT501", "RFC 5321 §4.1.1.1; RFC 3207 §3")


# -- SEQ101, SEQ106 to SEQ109, SEQ126, SEQ127 --------------------------------------------------------------------------

LOGIN = lines(
    "C AUTH CRAM-MD5",
    "S 334 PDEyMy40NTZAbXguZXhhbXBsZT4=",
    "C YSBiOTEzYTYwMmM3ZWRhN2E0OTViNGU2ZTczMzRkMzg5MA==",
    "S 235 ok",
)


def test_auth_is_no_hello() -> None:
    before = [*lines("S 220 mx.example"), *LOGIN, *lines(SENDER, "S 503 hello first"), *END]
    assert "SEQ101" in rules(before)
    inside = [*hello("STARTTLS"), *lines("C STARTTLS", "S 220 go"), ("TLS", ""), *LOGIN, *lines(SENDER, "S 503 no")]
    assert "SEQ101" in rules(inside)
    assert "SEQ101" not in rules([*hello("AUTH CRAM-MD5"), *LOGIN, *lines(SENDER, "S 250 ok"), *END])


CHUNK = "BDAT 6 LAST\r\nX: y\r\n"


@pytest.mark.parametrize("result", ["250 queued", "452 full", "554 no"])
@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("MAIL FROM:<a@client.example>\r\nRCPT TO:<b@mx.example>\r\n" + CHUNK, []),
        ("RCPT TO:<b@mx.example>\r\n", ["SEQ103"]),
        ("DATA\r\n", ["SEQ104"]),
        (CHUNK, ["SEQ107"]),
    ],
)
def test_the_last_chunk_ends_the_transaction_for_the_rest_of_the_group(
    after: str, expected: list[str], result: str
) -> None:
    group = "MAIL FROM:<a@client.example>\r\nRCPT TO:<b@mx.example>\r\n" + CHUNK + after
    count = after.count("\r\n") - after.count("X: y")
    replies = f"250 ok\r\n250 ok\r\n{result}\r\n" + "503 no\r\n" * count
    assert rules([*hello("PIPELINING", "CHUNKING"), ("C", group), ("S", replies), *END], select=("SEQ1",)) in (
        expected,
        sorted([*expected, "SEQ123"]) if not expected and result == "250 queued" else expected,
    )


@pytest.mark.parametrize("reply", ["250 ok", "503 no", "458 no", "500 no"])
@pytest.mark.parametrize("state", ["MAIL", "RCPT", "BDAT"])
def test_etrn_inside_a_transaction(state: str, reply: str) -> None:
    opened = {
        "MAIL": lines(SENDER, "S 250 ok"),
        "RCPT": envelope(),
        "BDAT": [*envelope(), ("C", "BDAT 6\r\nX: y\r\n"), *lines("S 250 ok")],
    }[state]
    script = [
        *hello("ETRN", "CHUNKING"),
        *opened,
        *lines("C ETRN client.example", f"S {reply}", "C RSET", "S 250 ok"),
        *END,
    ]
    (one,) = findings(script, select=("SEQ", "RPL"))
    assert (one.rule, one.severity, one.side) == ("SEQ126", "error", "client")
    assert one.message.startswith("ETRN was sent inside a mail transaction (MAIL in frame ")


def test_etrn_outside_a_transaction() -> None:
    asked = lines("C ETRN client.example", "S 250 ok")
    reset = [*lines(SENDER, "S 250 ok", "C RSET", "S 250 ok"), *asked]
    assert rules([*hello("ETRN"), *asked, *MAIL, *asked, *reset, *END]) == []
    refused = [("C", "MAIL FROM:<a@client.example>\r\nETRN client.example\r\n"), ("S", "550 no\r\n250 ok\r\n")]
    assert rules([*hello("ETRN", "PIPELINING"), *refused, *END], select=("SEQ",)) == []


LMTP = lines("S 220 mx.example LMTP", "C LHLO client.example", "S 250 mx.example")


def test_lmtp_on_the_port_of_smtp() -> None:
    (one,) = findings([*LMTP, *END])
    assert (one.rule, one.severity, one.side, one.message) == (
        "SEQ127",
        "error",
        "server",
        "The server speaks LMTP on port 25.",
    )
    assert play([*LMTP, *END]).notes == []
    assert rules([*LMTP, *END], port=24) == []
    assert rules([*LMTP, *END], port=2003) == []
    assert rules([*LMTP, *END], profile="lmtp") == []


@pytest.mark.parametrize("verb", ["EHLO", "HELO"])
def test_an_lmtp_server_that_accepts_the_hello_of_smtp(verb: str) -> None:
    more = lines(f"C {verb} client.example", "S 250 mx.example")
    assert rules([*LMTP, *more, *END], port=24) == ["SEQ117", "SEQ127"]
    chosen = lines("S 220 mx.example LMTP", f"C {verb} client.example", "S 250 mx.example")
    assert rules([*chosen, *END], profile="lmtp", select=("SEQ",)) == ["SEQ117", "SEQ127"]
    assert rules([*chosen, *END], port=24, select=("SEQ127",)) == []
    refused = lines(f"C {verb} client.example", "S 500 no")
    assert rules([*LMTP, *refused, *END], port=24) == ["SEQ117"]


# -- SEC638, TIM804 ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "reply", "expected"),
    [
        ("VRFY jo", "250 Jo Do <jo@mx.example>", ["SEC638"]),
        ("VRFY jo", "251 elsewhere: <jo@far.example>", ["SEC638"]),
        ("EXPN all", "250 <jo@mx.example>", ["SEC638"]),
        ("VRFY jo", "252 perhaps jo@mx.example", []),
        ("VRFY jo", "550 no jo@mx.example", []),
        ("VRFY jo", "250 he exists", []),
        ("NOOP jo", "250 jo@mx.example", []),
    ],
)
def test_a_mailbox_is_disclosed(command: str, reply: str, expected: list[str]) -> None:
    script = session(("AUTH CRAM-MD5",), f"C {command}", f"S {reply}", f"C {command}", f"S {reply}")
    assert [one.rule for one in findings(script, select=("SEC638",))] == expected
    known = [*hello("AUTH CRAM-MD5"), *LOGIN, *lines(f"C {command}", f"S {reply}"), *END]
    assert rules(known, select=("SEC638",)) == []
    assert rules(script, select=("SEC638",), profile="lmtp") == []
