"""Sessions of TLS that are rare: on other ports, with LMTP, with a client that does not wait."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("cryptography")

from msgspec import UNSET
from tls_captures import HELLO_INSIDE, MESSAGE, QUIT, TRANSACTION, tls_capture

from smtpwire.analyzer.audit import audit
from smtpwire.analyzer.model import CommandTurn

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from smtpwire.analyzer.model import Connection

GREETING = [("S", b"220 mx.example ESMTP\r\n")]
WHOLE = [*HELLO_INSIDE, *TRANSACTION, *QUIT]


def made(tmp_path: Path, script: list[tuple[str, Any]], **options: Any) -> Connection:
    path = tmp_path / "a.pcap"
    tls_capture(path, script, keylog=tmp_path / "a.keys", **options)
    (connection,) = audit(path)
    return connection


def verbs(connection: Connection) -> list[str | None]:
    return [turn.verb for turn in connection.dialogue if isinstance(turn, CommandTurn)]


@pytest.mark.parametrize("port", [25, 587, 2525, 465])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_from_the_first_byte_on_any_port(tmp_path: Path, port: int, version: ssl.TLSVersion) -> None:
    connection = made(tmp_path, [*GREETING, *WHOLE], implicit=True, server_port=port, version=version)
    assert connection.tls == "implicit"
    assert verbs(connection) == ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"]
    assert [one.size for one in connection.messages] == [len(MESSAGE)]
    assert {finding.rule for finding in connection.findings} <= {"SEC634"}  # no login


def test_the_hello_of_tls_excuses_nothing_inside(tmp_path: Path) -> None:
    script = [*GREETING, *HELLO_INSIDE, ("C", b"RCPT TO:<b@mx.example>\r\n"), ("S", b"503 no\r\n"), *QUIT]
    for port in (25, 465):
        connection = made(tmp_path, script, implicit=True, server_port=port)
        assert "SEQ103" in [finding.rule for finding in connection.findings]


def test_a_client_that_does_not_wait_for_the_greeting_inside(tmp_path: Path) -> None:
    script = [HELLO_INSIDE[0], *GREETING, *WHOLE[1:]]
    connection = made(tmp_path, script, implicit=True, server_port=25)
    assert "SEC618" in [finding.rule for finding in connection.findings]


def test_lmtp_inside(tmp_path: Path) -> None:
    script = [("S", b"220 mx LMTP\r\n"), ("C", b"LHLO client.example\r\n"), *WHOLE[1:]]
    connection = made(tmp_path, script, implicit=True, server_port=24)
    assert (connection.profile, verbs(connection)[0]) == ("lmtp", "LHLO")
    assert [finding.rule for finding in connection.findings] == []


def test_without_keys_implicit_tls_on_another_port_is_seen(tmp_path: Path) -> None:
    tls_capture(tmp_path / "b.pcap", [*GREETING, *WHOLE], implicit=True, server_port=2525)
    (connection,) = audit(tmp_path / "b.pcap")
    assert connection.tls == "implicit"
    session = connection.tls_session
    assert session is not UNSET
    assert (session.version, session.sni, session.decrypted) == ("TLS 1.3", "mx.example", "none")
    assert {finding.rule for finding in connection.findings} <= {"TCP906"}
