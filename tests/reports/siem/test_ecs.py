"""ECS: the names and types of the Elastic Common Schema, and custom fields under one name."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from typing import Any

import pytest
from written import written

from smtpwire.analyzer.enums import ReportFormat

DEMO = Path(__file__).parents[3] / "samples" / "demo.pcap"

# Types in the schema's generated/csv/fields.csv; a field that may have several values is a list of that type.
KEYWORDS = (
    "ecs.version",
    "observer.type",
    "observer.vendor",
    "observer.product",
    "observer.version",
    "client.address",
    "server.address",
    "source.address",
    "destination.address",
    "network.transport",
    "network.protocol",
    "network.type",
    "network.community_id",
    "event.kind",
    "event.category",
    "event.type",
    "event.module",
    "event.dataset",
    "event.provider",
    "event.code",
    "event.action",
    "event.outcome",
    "log.level",
    "rule.id",
    "rule.name",
    "rule.description",
    "rule.category",
    "rule.ruleset",
    "email.from.address",
    "email.to.address",
    "email.cc.address",
    "email.reply_to.address",
    "email.subject",
    "email.x_mailer",
    "destination.domain",
    "tls.version",
    "tls.version_protocol",
    "tls.cipher",
    "tls.curve",
    "tls.next_protocol",
    "tls.client.server_name",
    *(
        f"tls.{side}.{name}"
        for side in ("client", "server")
        for name in (
            "hash.sha256",
            "x509.subject.distinguished_name",
            "x509.issuer.distinguished_name",
            "x509.alternative_names",
            "x509.serial_number",
            "x509.signature_algorithm",
            "x509.public_key_algorithm",
        )
    ),
)
TYPES: dict[str, str] = {
    "@timestamp": "date",
    "message": "match_only_text",
    "event.start": "date",
    "event.severity": "long",
    "email.message_id": "wildcard",
    **dict.fromkeys(("client.ip", "server.ip", "source.ip", "destination.ip"), "ip"),
    **dict.fromkeys(("client.port", "server.port", "source.port", "destination.port"), "long"),
    **dict.fromkeys(("tls.resumed", "tls.established"), "boolean"),
    **{f"tls.{side}.x509.{name}": "date" for side in ("client", "server") for name in ("not_before", "not_after")},
    **{f"tls.{side}.x509.public_key_size": "long" for side in ("client", "server")},
    **dict.fromkeys(KEYWORDS, "keyword"),
}
ARRAYS = {
    "event.category",
    "event.type",
    "email.from.address",
    "email.to.address",
    "email.cc.address",
    "email.reply_to.address",
    "tls.client.x509.alternative_names",
    "tls.server.x509.alternative_names",
}
# For each category, the types that the schema allows with it.
ALLOWED = {
    "network": {"access", "allowed", "connection", "denied", "end", "info", "protocol", "start"},
    "email": {"info"},
}


def flat(value: dict[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, inner in value.items():
        found |= flat(inner, f"{before}{name}.") if isinstance(inner, dict) else {before + name: inner}
    return found


@pytest.fixture
def documents(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written(DEMO, ReportFormat.ECS, tmp_path).splitlines()]


def check_names_and_types(documents: list[dict[str, Any]]) -> None:
    assert documents
    for document in documents:
        for name, value in flat(document).items():
            if not name.startswith("smtpwire."):
                assert isinstance(value, list) == (name in ARRAYS), name
                for one in value if isinstance(value, list) else [value]:
                    check_type(name, one)


def check_type(name: str, one: object) -> None:
    kind = TYPES[name]
    if kind == "long":
        assert type(one) is int, name
    elif kind == "boolean":
        assert type(one) is bool, name
    elif kind == "ip":
        ipaddress.ip_address(str(one))
    else:
        assert isinstance(one, str), name
        assert kind != "date" or one.endswith("Z"), name


def test_names_and_types_are_those_of_the_schema(documents: list[dict[str, Any]]) -> None:
    check_names_and_types(documents)


def test_a_session_and_its_certificates(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    from tls_captures import HELLO_INSIDE, HOST, QUIT, TRANSACTION, certified, tls_capture  # noqa: PLC0415

    client = certified("carol", ())
    script = [*HELLO_INSIDE, *TRANSACTION, *QUIT]
    made = tls_capture(
        tmp_path / "a.pcap", script, keylog=tmp_path / "a.keys", client_certificate=client, alpn=["smtp"]
    )
    found = [json.loads(line) for line in written(made.path, ReportFormat.ECS, tmp_path).splitlines()]
    check_names_and_types(found)
    own = next(one for one in found if one["event"]["dataset"] == "smtpwire.tls")
    tls = own["tls"]
    assert (tls["version"], tls["version_protocol"], tls["established"], tls["resumed"]) == ("1.3", "tls", True, False)
    assert (tls["client"]["server_name"], tls["next_protocol"]) == (HOST, "smtp")
    assert tls["server"]["x509"]["alternative_names"] == [HOST]
    assert tls["client"]["x509"]["subject"]["distinguished_name"] == "CN=carol"
    assert int(tls["server"]["x509"]["serial_number"], 16) == made.server.serial_number
    assert (own["event"]["outcome"], own["destination"]["domain"]) == ("success", HOST)
    assert own["smtpwire"]["tls"]["decrypted"] == "all"
    assert own["smtpwire"]["tls"]["ja4"].startswith("t13d")
    mail = next(one for one in found if one["event"]["dataset"] == "smtpwire.mail")
    assert mail["tls"] == tls


def test_a_handshake_that_failed_established_nothing(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    from tls_captures import QUIT, tls_capture  # noqa: PLC0415

    made = tls_capture(tmp_path / "a.pcap", QUIT, keylog=tmp_path / "a.keys", refused=True)
    found = [json.loads(line) for line in written(made.path, ReportFormat.ECS, tmp_path).splitlines()]
    own = next(one for one in found if one["event"]["dataset"] == "smtpwire.tls")
    assert (own["tls"]["established"], own["event"]["outcome"]) == (False, "failure")
    assert own["smtpwire"]["tls"]["alert"] == {"side": "client", "description": "unknown_ca"}


def test_the_values_are_allowed(documents: list[dict[str, Any]]) -> None:
    for document in documents:
        event = document["event"]
        assert event["kind"] in {"alert", "event"}
        allowed = set().union(*(ALLOWED[category] for category in event["category"]))
        assert set(event["type"]) <= allowed
        assert event.get("outcome", "unknown") in {"success", "failure", "unknown"}


def test_an_alert_for_each_finding_and_an_event_for_each_mail(documents: list[dict[str, Any]]) -> None:
    alerts = [document for document in documents if document["event"]["kind"] == "alert"]
    mails = [document for document in documents if document["event"]["dataset"] == "smtpwire.mail"]
    assert [one["rule"]["id"] for one in alerts if one["source"]["port"] == 25] == ["SEQ120"]  # the server's fault
    assert len(alerts) == 9
    accepted = [one for one in mails if one["event"].get("outcome") == "success"]
    assert len(accepted) == 4
    assert all(one["smtpwire"]["mail"]["code"] == 250 for one in accepted)
