"""The start of TLS: injected bytes, masked and removed keywords, and what is sent in plain text."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from scripts import GREETING, Script, by_byte, envelope, hello, lines, play, segments, talk

from smtpwire.analyzer import model
from smtpwire.analyzer.audit import Options
from smtpwire.analyzer.connections.tracker import Tracker
from smtpwire.analyzer.exchanges.starttls_history import StartTlsHistory, StartTlsOffer, network
from smtpwire.analyzer.findings.rulebook import RuleBook
from smtpwire.analyzer.limits import DEFAULT_LIMITS as LIMITS

CLIENT_TLS = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03"
SERVER_TLS = b"\x16\x03\x03\x00\x05\x02\x00\x00\x01\x03"
ALERT = b"\x15\x03\x03\x00\x02\x02\x0a"
OFFER = hello("STARTTLS")
START = lines("C STARTTLS", "S 220 go")
UPGRADED: Script = [*OFFER, *START, ("C", CLIENT_TLS), ("S", SERVER_TLS)]


def security(connection: model.Connection) -> list[str]:
    return sorted({f.rule for f in connection.findings if f.rule.startswith("SEC")})


def heard(script: Script, port: int = 25, profile: str | None = None) -> list[str]:
    return security(play(script, port=port, profile=profile))


def one(connection: model.Connection, rule: str) -> model.Finding:
    (finding,) = [f for f in connection.findings if f.rule == rule]
    return finding


def test_a_correct_upgrade_is_not_reported() -> None:
    assert heard(UPGRADED) == []


def test_bytes_after_starttls_are_an_injection() -> None:
    injected = ("C", b"STARTTLS\r\nRSET\r\nNOOP\r\n")
    connection = play([*OFFER, injected, *lines("S 220 go"), ("C", CLIENT_TLS), ("S", SERVER_TLS)])
    finding = one(connection, "SEC601")
    assert (finding.severity, finding.side, finding.evidence) == ("error", "path", "RSET")
    assert finding.message.startswith("12 bytes followed STARTTLS")
    assert finding.offset == len("EHLO client.example\r\nSTARTTLS\r\n")
    assert not [f for f in connection.findings if f.rule in {"EXT504", "EXT505"}]


def test_a_login_that_was_injected_is_not_shown() -> None:
    script = [*OFFER, ("C", b"STARTTLS\r\nAUTH PLAIN AGEAc2VjcmV0\r\n"), *lines("S 220 go"), ("C", CLIENT_TLS)]
    assert "AGEA" not in repr(play(script))


def test_an_early_handshake_is_not_an_injection() -> None:
    assert heard([*OFFER, ("C", b"STARTTLS\r\n" + CLIENT_TLS), *lines("S 220 go"), ("S", SERVER_TLS)]) == []


def test_bytes_after_a_refused_starttls_are_pipelining() -> None:
    script = [*OFFER, ("C", b"STARTTLS\r\nNOOP\r\n"), ("S", b"454 later\r\n250 ok\r\n"), *lines("C QUIT", "S 221 bye")]
    assert "SEC601" not in heard(script)


PLAIN = lines("C EHLO client.example", "S 250 mx.example")


def test_plain_text_after_220_that_is_answered_is_only_a_remark() -> None:
    connection = play([*OFFER, *START, *PLAIN, *lines("C QUIT", "S 221 bye")])
    assert security(connection) == ["SEC602"]
    finding = one(connection, "SEC602")
    assert (finding.severity, finding.certainty, finding.side) == ("info", "indeterminate", "client")
    assert "decrypted before it was saved" in finding.message
    turn = connection.dialogue[finding.turn or 0]
    assert isinstance(turn, model.CommandTurn)
    assert (turn.verb, finding.evidence, finding.offset) == ("EHLO", "EHLO client.example", turn.offset)


@pytest.mark.parametrize(
    "end",
    [
        [("S", ALERT), ("FS", "")],
        [("FS", "")],
        [],
        [*lines("S 421 no TLS"), ("FS", "")],
        [("S", "junk\r\n"), ("FS", "")],
    ],
    ids=["alert", "close", "silence", "421", "no reply"],
)
def test_plain_text_after_220_that_is_not_answered_is_an_error(end: Script) -> None:
    connection = play([*OFFER, *START, *PLAIN[:1], *end])
    finding = one(connection, "SEC602")
    assert (finding.severity, finding.certainty, finding.evidence) == ("error", "certain", "EHLO client.example")


def test_plain_text_after_220_may_have_no_line_end() -> None:
    connection = play([*OFFER, *START, ("C", "EHLO cl"), ("FS", "")])
    finding = one(connection, "SEC602")
    assert (finding.severity, finding.evidence) == ("error", "EHLO cl")


def test_plain_text_after_220_octet_by_octet() -> None:
    script = [*OFFER, *START, *PLAIN]
    finding = one(play(script, cut=by_byte), "SEC602")
    assert (finding.severity, finding.evidence) == ("info", "EHLO client.example")


def test_the_session_after_220_is_a_new_one_in_a_decrypted_capture() -> None:
    script = [*OFFER, *START, *hello("AUTH PLAIN")[1:], *lines("C AUTH PLAIN AGEAYg==", "S 235 ok")]
    assert security(play(script)) == ["SEC602"]  # neither SEC609 nor SEC610: the login is inside TLS
    again = [*OFFER, *START, *PLAIN, *lines("C AUTH PLAIN AGEAYg==", "S 503 no")]
    assert "EXT501" in {finding.rule for finding in play(again).findings}


def test_the_remark_comes_before_findings_about_later_bytes() -> None:
    script = [*OFFER, *START, *PLAIN, *lines("C MAIL FROM:a@client.example", "S 501 no", "C QUIT", "S 221 bye")]
    found = [(finding.rule, finding.frame) for finding in play(script).findings if finding.side == "client"]
    assert found == sorted(found, key=lambda one: one[1])
    assert found[0][0] == "SEC602"


def test_no_data_after_220_is_only_a_remark() -> None:
    assert heard([*OFFER, *START, ("FC", "")]) == ["SEC647"]


INJECTED: Script = [*OFFER, ("C", b"STARTTLS\r\nNOOP\r\n"), *lines("S 220 go"), ("TLS", "")]
INSIDE = lines("C EHLO client.example", "S 250 mx.example", "C QUIT", "S 221 bye")


def test_an_injected_command_answered_inside_tls() -> None:
    connection = talk([*INJECTED, *lines("S 250 ok"), *INSIDE])
    assert security(connection) == ["SEC601", "SEC603"]
    finding = one(connection, "SEC603")
    assert finding.side == "server"
    assert finding.caused_by is not None
    assert connection.findings[finding.caused_by].rule == "SEC601"
    assert "RPL411" not in {f.rule for f in connection.findings}


def test_a_server_that_discards_it_waits_for_the_client() -> None:
    assert security(talk([*INJECTED, *INSIDE])) == ["SEC601"]


def test_after_the_handshake_the_session_is_new() -> None:
    connection = talk([*OFFER, *START, ("TLS", ""), *lines("C MAIL FROM:<a@client.example>", "S 503 hello first")])
    assert [f.rule for f in connection.findings] == ["SEQ101"]
    assert connection.tls == "starttls"
    assert [turn.side for turn in connection.dialogue if isinstance(turn, model.TlsTurn)] == ["client"]


def test_decrypted_from_the_first_byte() -> None:
    script: Script = [("TLS", ""), *hello("AUTH PLAIN"), *lines("C AUTH PLAIN AGEAYg==", "S 235 ok")]
    connection = talk(script, port=465)
    assert security(connection) == []
    assert connection.tls == "implicit"


@pytest.mark.parametrize("after", [b"250 mx.example\r\n", b"junk\r\n"])
def test_plain_text_after_the_220(after: bytes) -> None:
    script = [*OFFER, *lines("C STARTTLS"), ("S", b"220 go\r\n" + after), ("C", CLIENT_TLS), ("S", SERVER_TLS)]
    connection = play(script)
    assert security(connection) == ["SEC604"]
    assert one(connection, "SEC604").side == "path"
    assert "RPL411" not in {f.rule for f in connection.findings}


def test_an_alert_after_the_220_is_tls() -> None:
    assert heard([*OFFER, *START, ("C", CLIENT_TLS), ("S", b"\x15\x03\x03\x00\x02\x01\x00")]) == []


@pytest.mark.parametrize("keyword", ["XXXXXXXX", "XXXXXXXA", "XXXXXXXXA", "STARTTLX", "starttxx"])
def test_a_masked_keyword(keyword: str) -> None:
    assert heard(hello("8BITMIME", keyword)) == ["SEC605"]


@pytest.mark.parametrize("keyword", ["XCLIENT NAME", "XXXX", "STARTXXX", "CHUNKING", "STARTTLS"])
def test_an_unmasked_keyword(keyword: str) -> None:
    assert heard(hello("8BITMIME", keyword)) == []


MAIL = lines("C MAIL FROM:<a@client.example>", "S 250 ok")


@pytest.mark.parametrize(("port", "severity"), [(25, "info"), (587, "warning")])
def test_mail_in_plain_text_although_starttls_was_offered(port: int, severity: str) -> None:
    connection = play([*OFFER, *MAIL, *lines("C RSET", "S 250 ok"), *MAIL], port=port)
    assert one(connection, "SEC606").severity == severity


def test_auth_in_plain_text_is_a_warning() -> None:
    connection = play([*hello("STARTTLS", "AUTH CRAM-MD5"), *lines("C AUTH CRAM-MD5", "S 504 no")])
    assert one(connection, "SEC606").severity == "warning"


def test_mail_after_a_refused_starttls_names_it() -> None:
    connection = play([*OFFER, *lines("C STARTTLS", "S 454 later"), *MAIL])
    assert security(connection) == ["SEC606", "SEC607"]
    assert "refused with 454" in one(connection, "SEC606").message


def test_mail_without_an_offer_is_not_reported() -> None:
    assert heard([*hello("8BITMIME"), *MAIL]) == []


def test_an_argument_explains_the_refusal() -> None:
    assert "SEC607" not in heard([*OFFER, *lines("C STARTTLS now", "S 501 no parameters")])


@pytest.mark.parametrize("port", [25, 587])
def test_passwords_offered_in_plain_text(port: int) -> None:
    finding = one(play(hello("SIZE 2000", "AUTH CRAM-MD5 LOGIN"), port=port), "SEC610")
    assert (finding.severity, finding.side, finding.evidence) == ("warning", "server", "250 AUTH CRAM-MD5 LOGIN")


LISTED = [
    "220 mx.example ESMTP\r\n",
    "250-mx.example\r\n",
    "250-SIZE 9\r\n250-",
    "AUTH=LOGIN\r\n250-DSN\r\n",
    "250 HELP\r\n",
]
"""Segments of a server: the third one ends inside the line that the fourth one ends."""


def test_a_finding_about_one_line_of_a_reply_names_its_place() -> None:
    greeting, *rest = LISTED
    finding = one(play([("S", greeting), ("C", "EHLO client.example\r\n"), *[("S", part) for part in rest]]), "SEC610")
    assert finding.evidence == "250-AUTH=LOGIN"
    assert finding.offset == len("".join(LISTED[:3])) - len("250-")
    assert finding.length == len("250-AUTH=LOGIN")
    assert finding.frame == 10  # the handshake has three frames, each line is acknowledged


@pytest.mark.parametrize(
    ("keywords", "rule", "line"),
    [
        (("DSN", "SMTPUTF8", "HELP"), "EXT509", "250-SMTPUTF8"),
        (("DSN", "binarymime"), "EXT510", "250 binarymime"),
        (("DSN", "XXXXXXXA", "HELP"), "SEC605", "250-XXXXXXXA"),
    ],
)
def test_the_evidence_is_the_line_in_question(keywords: tuple[str, ...], rule: str, line: str) -> None:
    finding = one(play(hello(*keywords)), rule)
    assert finding.evidence == line
    assert finding.length == len(line)


def test_the_line_that_lists_starttls_inside_tls() -> None:
    script = [*OFFER, *lines("C STARTTLS", "S 220 go"), ("TLS", ""), *hello("DSN", "STARTTLS")[1:]]
    assert one(talk(script), "EXT511").evidence == "250 STARTTLS"


def test_mechanisms_that_protect_the_password_may_be_offered() -> None:
    assert heard(hello("AUTH CRAM-MD5 SCRAM-SHA-256")) == []


def test_plain_text_on_the_port_of_tls() -> None:
    assert heard(hello(), port=465) == ["SEC631"]
    assert heard(hello(), port=587) == []


def together(
    scripts: list[Script], *, clients: list[int], select: tuple[str, ...] = ("SEC633",), ignore: tuple[str, ...] = ()
) -> list[list[str]]:
    """The rules that fire in each of several connections of one audit, from clients with the given third address
    byte."""
    return [
        [f.rule for f in one.findings] for one in audited(scripts, clients, RuleBook(rules(select, ignore), LIMITS))
    ]


def rules(select: tuple[str, ...], ignore: tuple[str, ...]) -> frozenset[str]:
    return Options(select=select, ignore=ignore).rules()


def audited(scripts: list[Script], clients: list[int], book: RuleBook) -> list[model.Connection]:
    tracker = Tracker(book)
    for number, (script, network_byte) in enumerate(zip(scripts, clients, strict=True)):
        for segment in segments(script, client_port=40000 + number):
            key = bytearray(segment.key)
            at = 2 if key[-4:-2] != b"\0\x19" else 6
            key[at] = network_byte
            later = segment.time_ns + number * 10**9
            tracker.segment(*segment._replace(key=bytes(key), time_ns=later))
    tracker.close()
    return sorted(tracker.done, key=lambda one: one.id)


def test_an_offer_that_vanished() -> None:
    assert together([OFFER, hello("8BITMIME")], clients=[7, 7]) == [[], ["SEC633"]]
    assert together([hello("8BITMIME"), OFFER], clients=[7, 7]) == [[], []]


def test_other_networks_and_other_servers_may_see_other_things() -> None:
    assert together([OFFER, hello("8BITMIME")], clients=[7, 8]) == [[], []]
    other = [("S", GREETING.replace("mx.example", "mx2.example")), *hello("8BITMIME")[1:]]
    assert together([OFFER, other], clients=[7, 7]) == [[], []]


def test_it_is_reported_once_in_a_connection() -> None:
    again = lines("C EHLO client.example", "S 250-mx.example", "S 250 8BITMIME")
    assert together([OFFER, [*hello("8BITMIME"), *again]], clients=[7, 7]) == [[], ["SEC633"]]


def test_no_other_finding_depends_on_the_rule() -> None:
    """The offers are remembered whether the rule is selected or not; all other findings are the same."""
    scripts: list[Script] = [
        OFFER,
        [*hello("8BITMIME"), *lines("C RCPT TO:<b@mx.example>", "S 503 no")],
        [*OFFER, *envelope()],
    ]
    every = together(scripts, clients=[7, 7, 7], select=())
    assert [rule for one in every for rule in one].count("SEC633") == 1
    without = together(scripts, clients=[7, 7, 7], select=(), ignore=("SEC633",))
    assert without == [[rule for rule in one if rule != "SEC633"] for one in every]
    assert together(scripts, clients=[7, 7, 7]) == [["SEC633"] * ("SEC633" in one) for one in every]
    for ignore in ((), ("SEC633",)):
        book = RuleBook(rules((), ignore), LIMITS)
        audited(scripts, [7, 7, 7], book)
        assert isinstance(book.servers, StartTlsHistory)
        assert len(book.servers) == 1


def test_a_helo_lists_nothing() -> None:
    assert together([OFFER, [("S", GREETING), *lines("C HELO client.example", "S 250 hi")]], clients=[7, 7]) == [[], []]


def test_the_number_of_remembered_servers_is_limited() -> None:
    servers = StartTlsHistory(replace(LIMITS, remembered_servers=2, server_memory_seconds=60))
    for number in range(5):
        servers.offered((str(number),), StartTlsOffer(number, number, 1))
    assert len(servers) == 2
    assert servers.last_offer(("0",), 9, 10) is None
    assert servers.last_offer(("4",), 9, 10) == StartTlsOffer(4, 4, 1)
    assert servers.last_offer(("4",), 4, 10) is None  # its own
    assert servers.last_offer(("4",), 9, 61 * 10**9) is None


def test_networks() -> None:
    assert network("192.0.2.1") == network("192.0.2.200") != network("192.0.3.1")
    assert network("2001:db8::1") == network("2001:db8::ffff:1") != network("2001:db8:0:1::1")


def test_loopback_is_not_reported() -> None:
    script = [*hello("STARTTLS", "AUTH PLAIN"), *envelope()]
    assert heard(script) == ["SEC606", "SEC610"]
    tracker = Tracker(RuleBook(Options(select=("SEC",)).rules(), LIMITS))
    for segment in segments(script):
        tracker.segment(*segment._replace(key=b"\x7f\0\0\1" * 2 + segment.key[-4:]))
    tracker.close()
    assert security(tracker.done[0]) == []
