"""One connection, same report from every source: a file, Scapy's sniff, packets in a list, the bytes themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from captures import Conversation as Dialogue
from captures import flow, pcap, pcapng

from smtpwire import audit
from smtpwire.analyzer.scapy_session import AuditedConnection, SMTPSession

if TYPE_CHECKING:
    from pathlib import Path

    from smtpwire.analyzer.model import Connection

LINES: list[tuple[str, bytes]] = [
    ("server", b"220 mx.example ESMTP\r\n"),
    ("client", b"MAIL FROM:<a@a.example>\r\n"),
    ("server", b"503 5.5.1 hello first\r\n"),
    ("client", b"EHLO caf\xe9.example\r\n"),
    ("server", b"250-mx.example\r\n250 PIPELINING\r\n"),
    ("client", b"MAIL FROM:<a@a.example>\r\nRCPT TO:<b@mx.example>\r\nDATA\r\n"),
    ("server", b"250 ok\r\n250 ok\r\n354 go ahead\r\n"),
    ("client", b"From: a@a.example\r\nSubject: Gr\xfc\xdfe\r\n\r\nhello\r\n.\r\nQUIT\r\n"),
    ("server", b"250 queued\r\n221 bye\r\n"),
]
EXPECTED = ["SEQ101", "BIT201", "BIT205"]


def capture() -> Dialogue:
    dialogue = Dialogue().open()
    for side, data in LINES:
        (dialogue.client if side == "client" else dialogue.server)(data)
    return dialogue.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "mail.pcap"
    made.write_bytes(pcap(capture().records))
    return made


def without_times(connection: Connection) -> Any:
    """Return the report without times: Scapy gives packets in a list the time of day, and no capture."""
    data = msgspec.to_builtins(connection)
    del data["captures"]
    for part in (data, *data["dialogue"], *data["findings"]):
        for field in ("time", "started", "ended"):
            part.pop(field, None)
    return data


def sniffed(source: Any) -> list[AuditedConnection]:
    from scapy.sendrecv import sniff  # noqa: PLC0415

    got: list[AuditedConnection] = []
    sniff(offline=source, session=SMTPSession(), store=False, prn=got.append)
    return got


def test_sniff_of_a_file_is_the_audit_of_the_file(path: Path) -> None:
    (expected,) = audit(path)
    (got,) = sniffed(str(path))
    assert got.connection == expected
    assert [f.rule for f in got.connection.findings if f.rule in EXPECTED] == EXPECTED
    assert got.summary().startswith("SMTP 192.0.2.1:43210 > 192.0.2.2:25 1 messages, ")


def test_sniff_of_a_pcapng_file(tmp_path: Path, path: Path) -> None:
    (tmp_path / "mail.pcapng").write_bytes(pcapng(capture().records))
    (got,) = sniffed(str(tmp_path / "mail.pcapng"))
    (expected,) = audit(path)
    for part in got.connection.captures:
        assert part.path == str(tmp_path / "mail.pcapng")
        part.path = str(path)
    assert got.connection == expected


def test_packets_in_a_list(path: Path) -> None:
    import scapy.layers.inet  # noqa: F401, PLC0415  so that Scapy knows the link type
    from scapy.utils import rdpcap  # noqa: PLC0415

    (expected,) = audit(path)
    (got,) = sniffed(rdpcap(str(path)))
    assert without_times(got.connection) == without_times(expected)


def test_the_bytes_alone(path: Path) -> None:
    """The conversation needs no frames and no segments, only the bytes of both sides."""
    from smtpwire.analyzer.exchanges.connection_report import TimeFormat  # noqa: PLC0415
    from smtpwire.analyzer.exchanges.conversation import Conversation, Run  # noqa: PLC0415
    from smtpwire.analyzer.exchanges.conversation_feed import ConversationFeed  # noqa: PLC0415
    from smtpwire.analyzer.exchanges.record import ConnectionRecord  # noqa: PLC0415
    from smtpwire.analyzer.findings.rulebook import RuleBook  # noqa: PLC0415
    from smtpwire.analyzer.limits import DEFAULT_LIMITS  # noqa: PLC0415
    from smtpwire.analyzer.rules import RULES  # noqa: PLC0415

    (expected,) = audit(path)
    key = flow("192.0.2.1", "192.0.2.2", 40_000, 25)
    record = ConnectionRecord(1, key, profile="rfc5321", opening="handshake", started_ns=0)
    talk = ConversationFeed(Conversation(record, Run(RuleBook(RULES, DEFAULT_LIMITS), DEFAULT_LIMITS, TimeFormat())))
    said = {"client": 0, "server": 0}
    for side, data in LINES:
        seen = said["server" if side == "client" else "client"]
        (talk.client if side == "client" else talk.server)(data, said[side], 0, 0, seen)
        said[side] += len(data)
    got = talk.finish()
    assert [(f.rule, f.side, f.offset) for f in got.findings] == [(f.rule, f.side, f.offset) for f in expected.findings]
    assert [type(turn) for turn in got.dialogue] == [type(turn) for turn in expected.dialogue]
    assert got.messages == expected.messages


def test_an_invalid_capture_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A session must not drop a damaged end silently, as Scapy itself does."""
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(pcap(capture().records)[:-5])
    with caplog.at_level("WARNING", logger="scapy.runtime"):
        assert len(sniffed(str(cut))) == 1
    assert "cut short" in caplog.text


def test_the_list_that_sniff_returns_can_be_displayed(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from scapy.sendrecv import sniff  # noqa: PLC0415

    found = sniff(offline=str(path), session=SMTPSession())
    assert "Sniffed" in repr(found)
    found.summary()
    found[0].show()
    said = capsys.readouterr().out
    assert "SMTP" in said
    assert "  SEQ101 client: MAIL was sent" in said
