"""TLS sessions, their certificates and places inside them, in both stores."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("cryptography")

from msgspec import UNSET
from tls_captures import HELLO_INSIDE, HOST, QUIT, TRANSACTION, certified, tls_capture

from smtpwire.analyzer.audit import audit
from smtpwire.analyzer.commands.registry import smtpwire as command_line
from smtpwire.analyzer.stores.query import loaded
from smtpwire.analyzer.stores.tables import TABLES, connection_rows

if TYPE_CHECKING:
    from pathlib import Path

EARLY = [("C", b"RCPT TO:<b@mx.example>\r\n"), ("S", b"503 no\r\n")]
SCRIPT = [*HELLO_INSIDE, *EARLY, *TRANSACTION, *QUIT]


def stored(folder: Path, how: str, **options: Any) -> sqlite3.Connection:
    """Return the store of a capture as a database. ``how``: sqlite, parquet."""
    path = tls_capture(folder / "a.pcap", SCRIPT, keylog=folder / "a.keys", **options).path
    target = folder / ("a.db" if how == "sqlite" else "store")
    command_line(["audit", str(path), "-o", f"{how}:{target}", "--no-config"], standalone_mode=False)
    return sqlite3.connect(target) if how == "sqlite" else loaded(target)


@pytest.fixture(params=["sqlite", "parquet"])
def how(request: pytest.FixtureRequest) -> str:
    if request.param == "parquet":
        pytest.importorskip("pyarrow")
    return str(request.param)


def test_a_session_has_a_row_and_each_certificate_another(how: str, tmp_path: Path) -> None:
    options = {"client_certificate": certified("carol", ()), "alpn": ["smtp", "h2"]}
    with closing(stored(tmp_path, how, **options)) as database:
        columns = "version, suite, key_group, sni, alpn, alpn_offered, resumed, decrypted, why"
        assert database.execute(f"SELECT {columns} FROM tls").fetchall() == [
            ("TLS 1.3", "TLS_AES_256_GCM_SHA384", "x25519", HOST, "smtp", "smtp\nh2", 0, "all", None)
        ]
        found = database.execute("SELECT side, certificate, subject, names, not_after FROM certificates ORDER BY side")
        client, server = found.fetchall()
        assert client[:4] == ("client", 0, "CN=carol", "")
        assert server[:4] == ("server", 0, f"CN={HOST}", HOST)
        assert server[4].startswith("2035-01-01T00:00:00")


def test_places_inside_are_those_of_the_report(how: str, tmp_path: Path) -> None:
    with closing(stored(tmp_path, how)) as database:
        (connection,) = audit(tmp_path / "a.pcap")
        turns = database.execute("SELECT inside FROM turns ORDER BY turn").fetchall()
        places = [getattr(turn, "inside", UNSET) for turn in connection.dialogue]
        assert [place for (place,) in turns] == [None if place is UNSET else place for place in places]
        (found,) = database.execute("SELECT inside FROM findings WHERE rule = 'SEQ103'").fetchall()
        assert found == (len("EHLO client.example\r\n"),)
        assert database.execute("SELECT key_logs FROM captures").fetchall() == [(str(tmp_path / "a.keys"),)]


def test_an_alert_is_in_the_row_of_its_session(how: str, tmp_path: Path) -> None:
    with closing(stored(tmp_path, how, refused=True)) as database:
        assert database.execute("SELECT alert, alert_side, decrypted FROM tls").fetchall() == [
            ("unknown_ca", "client", "none")
        ]


def test_every_row_has_as_many_cells_as_its_table(tmp_path: Path) -> None:
    path = tls_capture(tmp_path / "a.pcap", SCRIPT, keylog=tmp_path / "a.keys").path
    (connection,) = audit(path)
    for name, rows in connection_rows(1, 1, connection).items():
        assert {len(row) for row in rows} == {len(TABLES[name].columns)}, name
