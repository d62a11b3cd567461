"""What is inside TLS is audited as if it were in the clear, with every version, cipher suite and way to send it."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("cryptography")

from msgspec import UNSET
from tls_captures import BEFORE_TLS, HELLO_INSIDE, MESSAGE, QUIT, TRANSACTION, certified, tls_capture

from smtpwire.analyzer.audit import Audit, Options, audit
from smtpwire.analyzer.enums import Redact
from smtpwire.analyzer.model import CommandTurn, Connection, GapTurn, ReplyTurn, TlsTurn

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

WHOLE = [*HELLO_INSIDE, *TRANSACTION, *QUIT]
SAID = ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"]
V10, V11 = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
OLD = "@SECLEVEL=0"
SUITES_12 = [
    *("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"),
    *("ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-AES128-SHA256"),
    *("ECDHE-ECDSA-AES128-CCM", "ECDHE-ECDSA-AES256-CCM8", "ECDHE-ECDSA-CAMELLIA128-SHA256"),
    "ECDHE-ECDSA-NULL-SHA",
]
SUITES_RSA = ["AES128-SHA", "AES256-SHA256", "AES256-CCM8", "AES128-GCM-SHA256", "CAMELLIA256-SHA", "NULL-SHA256"]


def one(path: Path, **options: Any) -> Connection:
    (connection,) = audit(path, **options)
    return connection


def verbs(connection: Connection, *, inside: bool | None = None) -> list[str | None]:
    commands = [turn for turn in connection.dialogue if isinstance(turn, CommandTurn)]
    return [turn.verb for turn in commands if inside is None or (turn.inside is not UNSET) is inside]


def made(tmp_path: Path, script: list[tuple[str, Any]], **options: Any) -> Connection:
    path = tmp_path / "a.pcap"
    tls_capture(path, script, keylog=tmp_path / "a.keys", **options)
    return one(path)


def check_whole(connection: Connection) -> None:
    assert verbs(connection, inside=True) == SAID
    assert [(m.size, m.code) for m in connection.messages] == [(len(MESSAGE), 250)]
    assert [f.rule for f in connection.findings if f.severity == "error"] == []
    session = connection.tls_session
    assert session is not UNSET
    assert session.decrypted == "all"


@pytest.mark.parametrize("implicit", [False, True], ids=["STARTTLS", "implicit"])
@pytest.mark.parametrize("version", [V10, V11, V12, V13])
def test_every_version(tmp_path: Path, version: ssl.TLSVersion, implicit: bool) -> None:
    script = [("S", b"220 mx.example ESMTP\r\n"), *WHOLE] if implicit else WHOLE
    connection = made(tmp_path, script, version=version, implicit=implicit)
    check_whole(connection)
    assert connection.tls == ("implicit" if implicit else "starttls")
    session = connection.tls_session
    assert session is not UNSET
    assert session.version == {V10: "TLS 1.0", V11: "TLS 1.1", V12: "TLS 1.2", V13: "TLS 1.3"}[version]
    assert session.sni == "mx.example"


@pytest.mark.parametrize("suite", SUITES_12)
def test_suites_with_an_ephemeral_key(tmp_path: Path, suite: str) -> None:
    check_whole(made(tmp_path, WHOLE, version=V12, ciphers=suite + OLD))


@pytest.mark.parametrize("suite", SUITES_RSA)
def test_suites_with_a_key_of_rsa(tmp_path: Path, suite: str) -> None:
    connection = made(tmp_path, WHOLE, version=V12, ciphers=suite + ":" + OLD, certificate=certified(rsa=True))
    check_whole(connection)


@pytest.mark.parametrize("size", [1, 3, 7, 100])
@pytest.mark.parametrize("version", [V10, V12, V13])
def test_segments_change_nothing(tmp_path: Path, size: int, version: ssl.TLSVersion) -> None:
    check_whole(made(tmp_path, WHOLE, segment_size=size, version=version))


@pytest.mark.parametrize("size", [1, 2, 17])
@pytest.mark.parametrize("version", [V10, V12, V13])
def test_records_change_nothing(tmp_path: Path, size: int, version: ssl.TLSVersion) -> None:
    check_whole(made(tmp_path, WHOLE, record_size=size, version=version))


@pytest.mark.parametrize("version", [V12, V13])
def test_a_session_that_is_resumed_has_no_certificate(tmp_path: Path, version: ssl.TLSVersion) -> None:
    connection = made(tmp_path, WHOLE, resumed=True, version=version)
    check_whole(connection)
    session = connection.tls_session
    assert session is not UNSET
    assert session.resumed
    assert session.certificates == []


@pytest.mark.parametrize("version", [V12, V13])
def test_a_certificate_of_the_client(tmp_path: Path, version: ssl.TLSVersion) -> None:
    connection = made(tmp_path, WHOLE, client_certificate=certified("carol"), version=version)
    check_whole(connection)
    session = connection.tls_session
    assert session is not UNSET
    assert [one.subject for one in session.client_certificates] == ["CN=carol"]


def test_places_inside_tls(tmp_path: Path) -> None:
    connection = made(tmp_path, WHOLE)
    inside = [
        turn for turn in connection.dialogue if not isinstance(turn, TlsTurn | GapTurn) and turn.inside is not UNSET
    ]
    assert inside[0].inside == 0
    sent = [turn for turn in inside if turn.side == "client"]
    said = [data for who, data in WHOLE if who == "C"]
    assert [turn.inside for turn in sent] == [sum(map(len, said[:n])) for n in range(len(said))]
    offsets = [turn.offset for turn in sent]
    assert offsets == sorted(set(offsets))  # each is in a record of its own
    assert all(0 < turn.offset < connection.client_bytes for turn in sent)


def test_a_breach_inside_is_reported_at_its_record(tmp_path: Path) -> None:
    script = [*HELLO_INSIDE, ("C", b"RCPT TO:<b@mx.example>\r\n"), ("S", b"503 no\r\n"), *QUIT]
    connection = made(tmp_path, script)
    (finding,) = [f for f in connection.findings if f.severity == "error"]
    assert finding.rule == "SEQ103"
    assert finding.inside == len(HELLO_INSIDE[0][1])
    turn = connection.dialogue[finding.turn or 0]
    assert isinstance(turn, CommandTurn)
    assert (turn.offset, turn.inside) == (finding.offset, finding.inside)


def test_the_state_begins_again_inside(tmp_path: Path) -> None:
    script = [("C", b"MAIL FROM:<a@client.example>\r\n"), ("S", b"503 hello first\r\n"), *WHOLE]
    assert [f.rule for f in made(tmp_path, script).findings if f.severity == "error"] == ["SEQ101"]


def test_starttls_inside_tls(tmp_path: Path) -> None:
    script = [*HELLO_INSIDE, ("C", b"STARTTLS\r\n"), ("S", b"503 no\r\n"), *QUIT]
    assert [f.rule for f in made(tmp_path, script).findings] == ["SEQ116"]
    script = [HELLO_INSIDE[0], ("S", b"250-mx.example\r\n250 STARTTLS\r\n"), *QUIT]
    assert [f.rule for f in made(tmp_path, script).findings] == ["EXT511"]


def test_a_password_inside_is_no_password_in_clear_text_and_is_hidden(tmp_path: Path) -> None:
    script = [
        ("C", b"EHLO client.example\r\n"),
        ("S", b"250-mx.example\r\n250 AUTH PLAIN\r\n"),
        ("C", b"AUTH PLAIN AGNhcm9sAHF1aXRlIHNlY3JldA==\r\n"),
        ("S", b"235 ok\r\n"),
        *QUIT,
    ]
    connection = made(tmp_path, script)
    assert [f.rule for f in connection.findings if f.rule.startswith("SEC")] == []
    assert "AGNhcm9s" not in repr(connection)
    path = tmp_path / "a.pcap"
    shown = [c for c in Audit(Options(redact=Redact.NONE)).run([path]) if isinstance(c, Connection)]
    assert "AGNhcm9s" in repr(shown)


def test_commands_injected_before_tls_are_reported_and_what_is_inside_is_read(tmp_path: Path) -> None:
    before = [*BEFORE_TLS[:3], ("C", b"STARTTLS\r\nRSET\r\n"), BEFORE_TLS[4], ("TLS", b"")]
    connection = made(tmp_path, [*before, *WHOLE])
    assert "SEC601" in [f.rule for f in connection.findings]
    assert verbs(connection, inside=True) == SAID


def test_without_keys_nothing_inside_is_reported_but_what_the_handshake_shows(tmp_path: Path) -> None:
    tls_capture(tmp_path / "b.pcap", WHOLE, version=V12)
    connection = one(tmp_path / "b.pcap")
    assert verbs(connection) == ["EHLO", "STARTTLS"]
    session = connection.tls_session
    assert session is not UNSET
    assert (session.version, session.sni, session.decrypted) == ("TLS 1.2", "mx.example", "none")
    assert [one.subject for one in session.certificates] == ["CN=mx.example"]
    assert session.ja4
    assert session.ja4.startswith("t12d")


@pytest.mark.parametrize("version", [V12, V13])
def test_keys_of_another_session_open_nothing(tmp_path: Path, version: ssl.TLSVersion) -> None:
    tls_capture(tmp_path / "a.pcap", WHOLE, version=version, keylog=tmp_path / "x")
    tls_capture(tmp_path / "b.pcap", WHOLE, version=version, keylog=tmp_path / "b.keys")
    (tmp_path / "b.keys").rename(tmp_path / "a.keylog")
    connection = one(tmp_path / "a.pcap")
    assert verbs(connection) == ["EHLO", "STARTTLS"]
    session = connection.tls_session
    assert session is not UNSET
    assert (session.decrypted, session.why) == ("none", "the key log does not have the keys of this session")


@pytest.mark.parametrize("suite", ["ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-NULL-SHA"])
def test_a_wrong_secret_opens_nothing(tmp_path: Path, suite: str) -> None:
    keys = tmp_path / "a.keys"
    tls_capture(tmp_path / "a.pcap", WHOLE, version=V12, ciphers=suite + OLD, keylog=keys)
    text = keys.read_text().split(" ")
    text[-1] = ("0" if text[-1][0] != "0" else "1") + text[-1][1:]
    keys.write_text(" ".join(text))
    connection = one(tmp_path / "a.pcap")
    assert verbs(connection) == ["EHLO", "STARTTLS"]
    assert connection.messages == []


def test_a_wrong_secret_before_the_right_one_costs_nothing(tmp_path: Path) -> None:
    keys = tmp_path / "a.keys"
    tls_capture(tmp_path / "a.pcap", WHOLE, keylog=keys)
    lines = keys.read_text().splitlines()
    wrong = [line[:-2] + ("00" if line[-2:] != "00" else "11") for line in lines]
    keys.write_text("\n".join(["rubbish", *wrong, *lines]))
    check_whole(one(tmp_path / "a.pcap"))


@pytest.mark.parametrize("version", [V10, V11, V12, V13])
@pytest.mark.parametrize("side", ["C", "S"])
def test_a_lost_record_is_a_gap_and_what_follows_is_read(tmp_path: Path, version: ssl.TLSVersion, side: str) -> None:
    script = [("L" + who, data) if who == side and b"RCPT" in data else (who, data) for who, data in WHOLE]
    if side == "S":
        at = next(n for n, (_, data) in enumerate(WHOLE) if b"RCPT" in data) + 1
        script[at] = ("LS", script[at][1])
    connection = made(tmp_path, script, version=version)
    assert [gap.side for gap in connection.gaps] == ["client" if side == "C" else "server"]
    expected = [verb for verb in SAID if side == "S" or verb not in {"RCPT"}]
    assert verbs(connection, inside=True)[: len(expected)] == expected
    assert [f.rule for f in connection.findings if f.severity == "error" and f.certainty == "certain"] == []


def test_a_record_that_is_not_authentic_ends_what_is_certain(tmp_path: Path) -> None:
    script = [*HELLO_INSIDE, ("XC", b"MAIL FROM:<a@client.example>\r\n")]
    connection = made(tmp_path, script)
    assert verbs(connection, inside=True) == ["EHLO"]
    session = connection.tls_session
    assert session is not UNSET
    assert session.decrypted == "part"
    assert "not authentic" in (session.why or "")


def test_clear_text_after_the_handshake_is_not_read_as_if_it_were_inside(tmp_path: Path) -> None:
    connection = made(tmp_path, [*HELLO_INSIDE, ("PC", b"MAIL FROM:<a@client.example>\r\n")])
    assert verbs(connection) == ["EHLO", "STARTTLS", "EHLO"]
    assert any("no TLS record" in note for note in connection.notes)


def test_secrets_in_the_capture(tmp_path: Path) -> None:
    tls_capture(tmp_path / "a.pcapng", WHOLE, keylog=tmp_path / "k")
    data = (tmp_path / "a.pcapng").read_bytes()
    log = (tmp_path / "k").read_bytes()
    body = b"KSLT" + len(log).to_bytes(4, "little") + log + bytes(-len(log) % 4)
    size = (len(body) + 12).to_bytes(4, "little")
    block = b"\n\0\0\0" + size + body + size
    first = int.from_bytes(data[4:8], "little")
    places = {"before": data[:first] + block + data[first:], "after": data + block}
    middle, half = first, len(data) // 2
    while middle < half:
        middle += int.from_bytes(data[middle + 4 : middle + 8], "little")
    places["between"] = data[:middle] + block + data[middle:]
    for name, content in places.items():
        path = tmp_path / f"{name}.pcapng"
        path.write_bytes(content)
        run = Audit()
        (connection,) = [item for item in run.run([path]) if isinstance(item, Connection)]
        check_whole(connection)
        assert run.captures[0].key_logs == ["(in the capture)"]


def test_a_key_log_that_grows_after_the_frames(tmp_path: Path) -> None:
    from smtpwire.analyzer.tls.key_log import KeyLog  # noqa: PLC0415

    tls_capture(tmp_path / "a.pcap", WHOLE, keylog=tmp_path / "k")
    lines = (tmp_path / "k").read_bytes().splitlines(keepends=True)
    keys = KeyLog()
    keys.may_grow = True
    looks = 0

    def refresh() -> None:
        nonlocal looks
        looks += 1
        if looks > 3 and lines:
            keys.feed(lines.pop(0))

    keys.refresh = refresh
    (connection,) = [
        item for item in Audit(Options(keys=keys)).run([tmp_path / "a.pcap"]) if isinstance(item, Connection)
    ]
    check_whole(connection)


def test_a_connection_does_not_wait_for_keys_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from smtpwire.analyzer.tls import receiver  # noqa: PLC0415
    from smtpwire.analyzer.tls.key_log import KeyLog  # noqa: PLC0415

    monkeypatch.setattr(receiver, "TLS_WAITING_BYTES", 2000)
    tls_capture(tmp_path / "a.pcap", [*HELLO_INSIDE, *TRANSACTION * 20, *QUIT], keylog=tmp_path / "k")
    keys = KeyLog()
    keys.may_grow = True
    run = Audit(Options(keys=keys))
    (connection,) = [item for item in run.run([tmp_path / "a.pcap"]) if isinstance(item, Connection)]
    assert verbs(connection) == ["EHLO", "STARTTLS"]
    session = connection.tls_session
    assert session is not UNSET
    assert session.decrypted == "none"


def test_a_reply_inside_before_a_command_answers_what_was_injected(tmp_path: Path) -> None:
    before = [*BEFORE_TLS[:3], ("C", b"STARTTLS\r\nNOOP\r\n"), BEFORE_TLS[4], ("TLS", b"")]
    connection = made(tmp_path, [*before, ("S", b"250 ok\r\n"), *WHOLE])
    assert {"SEC601", "SEC603"} <= {f.rule for f in connection.findings}
    first = next(t for t in connection.dialogue if isinstance(t, ReplyTurn) and t.inside is not UNSET)
    assert (first.code, first.inside) == (250, 0)
