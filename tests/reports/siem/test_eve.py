"""EVE: the fields and types of Suricata, and what Suricata's own tests expect of the same captures."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from handmade import connection, finding, lines_of, output
from scripts import MESSAGE, envelope, hello, lines
from written import capture_of, written

from smtpwire.analyzer.enums import Redact, ReportFormat
from smtpwire.analyzer.reports.siem.eve import GID, EveWriter, signature_id, timestamp
from smtpwire.analyzer.reports.siem.tls_records import in_wire_order, with_colons
from smtpwire.analyzer.rules import RULES

CAPTURES = Path(__file__).parents[4] / "shared" / "captures" / "suricata-verify"
DEMO = Path(__file__).parents[3] / "samples" / "demo.pcap"

# Names and types in Suricata's etc/schema.json of October 2026, those that are used here; it allows no others.
TOP: dict[str, type] = {
    **dict.fromkeys(("timestamp", "event_type", "src_ip", "dest_ip", "proto", "pkt_src", "community_id"), str),
    **dict.fromkeys(("app_proto", "direction"), str),
    **dict.fromkeys(("flow_id", "pcap_cnt", "src_port", "dest_port", "ip_v", "tx_id"), int),
    **dict.fromkeys(("alert", "smtp", "email", "flow", "tls"), dict),
}
ALERT: dict[str, type] = {
    **dict.fromkeys(("action", "category", "signature"), str),
    **dict.fromkeys(("gid", "signature_id", "rev", "severity"), int),
    "references": list,
    "metadata": dict,
}
SMTP: dict[str, type] = {"helo": str, "mail_from": str, "rcpt_to": list}
EMAIL: dict[str, type] = {
    **dict.fromkeys(("status", "from", "subject", "message_id", "date", "x_mailer"), str),
    **dict.fromkeys(("to", "cc", "received"), list),
}
CERTIFICATE: dict[str, type] = {
    **dict.fromkeys(("subject", "issuerdn", "serial", "fingerprint", "notbefore", "notafter"), str),
    "subjectaltname": list,
}
TLS: dict[str, type] = {
    **CERTIFICATE,
    **dict.fromkeys(("sni", "version", "from_proto", "ja4"), str),
    **dict.fromkeys(("client_alpns", "server_alpns"), list),
    "session_resumed": bool,
    "client": dict,
}
FLOW: dict[str, type] = {"start": str, "src_ip": str, "dest_ip": str, "src_port": int, "dest_port": int}
TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d+[+-]\d+")


def events(capture: Path, where: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written(capture, ReportFormat.EVE, where, redact=Redact.NONE).splitlines()]


def fits(value: dict[str, Any], table: dict[str, type]) -> None:
    for name, inner in value.items():
        assert type(inner) is table[name], name
        assert inner or inner == 0, f"{name} is empty"


def test_names_and_types_are_suricatas(tmp_path: Path) -> None:
    found = events(DEMO, tmp_path)
    assert {event["event_type"] for event in found} == {"alert", "smtp", "tls"}
    for event in found:
        fits(event, TOP)
        assert TIMESTAMP.fullmatch(event["timestamp"])
        for name, table in (("alert", ALERT), ("smtp", SMTP), ("email", EMAIL), ("flow", FLOW), ("tls", TLS)):
            fits(event.get(name, {}), table)
        for values in event.get("alert", {}).get("metadata", {}).values():
            assert all(isinstance(value, str) for value in values)


def inside_tls(folder: Path, **how: Any) -> Path:
    """Write a capture of a session inside TLS with a finding, and its key log."""
    pytest.importorskip("cryptography")
    from tls_captures import HELLO_INSIDE, QUIT, TRANSACTION, tls_capture  # noqa: PLC0415

    early = [("C", b"RCPT TO:<b@mx.example>\r\n"), ("S", b"503 no\r\n")]
    script = [*HELLO_INSIDE, *early, *TRANSACTION, *QUIT]
    return tls_capture(folder / "tls.pcap", script, keylog=folder / "tls.keys", **how).path


@pytest.mark.parametrize("capture", ["demo", "tls"])
def test_suricatas_schema(capture: str, tmp_path: Path) -> None:
    """SURICATA_SCHEMA: the path of etc/schema.json in a copy of Suricata."""
    path = os.environ.get("SURICATA_SCHEMA")
    if not path:
        pytest.skip("SURICATA_SCHEMA names no file")
    import jsonschema  # noqa: PLC0415

    schema = json.loads(Path(path).read_text("utf-8"))
    checker = jsonschema.validators.validator_for(schema)(schema)
    for event in events(DEMO if capture == "demo" else inside_tls(tmp_path, alpn=["smtp"]), tmp_path):
        checker.validate(event)


def test_a_session_is_an_event_with_its_certificates(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    from tls_captures import HOST, certified  # noqa: PLC0415

    client = certified("carol", ())
    found = events(inside_tls(tmp_path, client_certificate=client, alpn=["smtp"]), tmp_path)
    event = found[0]
    fits(event, TOP)
    fits(event["tls"], TLS)
    fits(event["tls"]["client"], CERTIFICATE)
    tls = event["tls"]
    assert (event["event_type"], tls["version"], tls["sni"], tls["from_proto"]) == ("tls", "TLS 1.3", HOST, "smtp")
    assert (tls["subject"], tls["issuerdn"], tls["subjectaltname"]) == (f"CN={HOST}", f"CN={HOST}", [HOST])
    assert (tls["notbefore"], tls["notafter"]) == ("2025-01-01T00:00:00", "2035-01-01T00:00:00")
    assert (tls["client_alpns"], tls["server_alpns"]) == (["smtp"], ["smtp"])
    assert tls["ja4"].startswith("t13d")
    assert int(tls["client"]["serial"].replace(":", ""), 16) == client.certificate.serial_number
    alert = next(one["alert"] for one in found if one["event_type"] == "alert")
    assert alert["metadata"]["inside"] == [str(len("EHLO client.example\r\n"))]


def test_names_and_numbers_are_written_as_suricata_writes_them() -> None:
    assert in_wire_order("CN=mx.example,O=One\\, Two,C=DE") == "C=DE, O=One\\, Two, CN=mx.example"
    assert in_wire_order("") == ""
    assert with_colons("a7d80") == "0A:7D:80"
    assert with_colons("serial-1f") == "serial-1f"


def test_a_resumed_session_says_so(tmp_path: Path) -> None:
    tls = events(inside_tls(tmp_path, resumed=True), tmp_path)[0]["tls"]
    assert tls["session_resumed"] is True
    assert "subject" not in tls


def test_an_alert_names_frame_rule_and_direction() -> None:
    one = connection(findings=[finding(side="server", frame=12)])
    out, stream = output()
    EveWriter(out).connection(one)
    alert = json.loads(lines_of(stream)[-1])
    assert (alert["pcap_cnt"], alert["direction"], alert["src_port"]) == (12, "to_client", one.server.port)
    assert alert["alert"]["gid"] == GID
    assert alert["alert"]["severity"] == 1
    assert alert["alert"]["metadata"]["rule"] == ["SEQ101"]


def test_every_rule_has_an_id_of_its_own() -> None:
    assert len({signature_id(rule) for rule in RULES}) == len(RULES)
    assert all(0 < signature_id(rule) < 1 << 32 for rule in RULES)


def test_times_have_six_decimals() -> None:
    assert timestamp("2026-01-02T03:04:05Z") == "2026-01-02T03:04:05.000000+0000"
    assert timestamp("2026-01-02T03:04:05.123456789Z") == "2026-01-02T03:04:05.123456+0000"


def test_a_mail_is_a_transaction(tmp_path: Path) -> None:
    mail = [*envelope(), *lines("C DATA", "S 354 go"), ("C", MESSAGE + ".\r\n"), *lines("S 250 ok")]
    script = [*hello(), *mail, *mail, *lines("C QUIT", "S 221 bye")]
    found = [one for one in events(capture_of(tmp_path / "x.pcap", script), tmp_path) if one["event_type"] == "smtp"]
    assert [one["tx_id"] for one in found] == [0, 1]
    assert found[1]["smtp"]["mail_from"] == "<a@client.example>"
    assert found[1]["email"]["subject"] == "test"


# The expectations in the test.yaml files of suricata-verify: for each smtp event the envelope and the header.
EXPECTED: dict[str, list[tuple[str, list[str] | None, str | None, list[str] | None]]] = {
    "smtp-bdat-last-next-mail": [
        ("<alice@example.com>", ["<bob@example.com>"], None, None),
        ("<bob@example.com>", ["<alice@example.com>"], "bob@example.com", ["alice@example.com"]),
    ],
    "smtp-ehlo-reset": [
        ("<alice@example.com>", None, None, None),
        ("<bob@example.com>", ["<alice@example.com>"], "bob@example.com", ["alice@example.com"]),
    ],
    "smtp-pipelined-rset-after-complete": [
        ("<alice@example.com>", ["<bob@example.com>"], "alice@example.com", ["bob@example.com"]),
        ("<bob@example.com>", ["<alice@example.com>"], "bob@example.com", ["alice@example.com"]),
    ],
}


@pytest.mark.parametrize("name", EXPECTED)
def test_the_transactions_of_suricatas_own_tests(name: str, tmp_path: Path) -> None:
    path = CAPTURES / f"{name}.pcap"
    if not path.exists():
        pytest.skip("the captures of Suricata's tests are not here")
    found = [event for event in events(path, tmp_path) if event["event_type"] == "smtp"]
    assert [event["tx_id"] for event in found] == list(range(len(EXPECTED[name])))
    for event, (sender, recipients, from_, to) in zip(found, EXPECTED[name], strict=True):
        assert event["smtp"].get("mail_from") == sender
        assert event["smtp"].get("rcpt_to") == recipients
        if from_ is not None:  # Suricata parses no header of a BDAT message
            assert (event["email"]["from"], event["email"]["to"]) == (from_, to)
            assert event["email"]["status"] == "PARSE_DONE"
