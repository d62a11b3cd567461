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
)
TYPES: dict[str, str] = {
    "@timestamp": "date",
    "message": "match_only_text",
    "event.start": "date",
    "event.severity": "long",
    "email.message_id": "wildcard",
    **dict.fromkeys(("client.ip", "server.ip", "source.ip", "destination.ip"), "ip"),
    **dict.fromkeys(("client.port", "server.port", "source.port", "destination.port"), "long"),
    **dict.fromkeys(KEYWORDS, "keyword"),
}
ARRAYS = {
    "event.category",
    "event.type",
    "email.from.address",
    "email.to.address",
    "email.cc.address",
    "email.reply_to.address",
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


def test_names_and_types_are_those_of_the_schema(documents: list[dict[str, Any]]) -> None:
    assert documents
    for document in documents:
        for name, value in flat(document).items():
            if name.startswith("smtpwire."):
                continue
            kind = TYPES[name]
            assert isinstance(value, list) == (name in ARRAYS), name
            for one in value if isinstance(value, list) else [value]:
                if kind == "long":
                    assert type(one) is int, name
                elif kind == "ip":
                    ipaddress.ip_address(one)
                elif kind == "date":
                    assert one.endswith("Z"), name
                else:
                    assert isinstance(one, str), name


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
