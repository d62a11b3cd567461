"""Suricata's EVE: an event of type ``alert`` for each finding, one of type ``smtp`` for each mail, and one of type
``tls`` for each TLS session."""

# Field names and types are those of Suricata's etc/schema.json, which allows no others. Facts that EVE has no field for
# go into alert.metadata, which is open, as lists of strings, the form in which rule metadata is logged. The rules have
# a generator id of their own (gid 5321), so that no signature of Suricata or of a rule set has the same pair of ids.
# Suricata's fingerprint of a certificate is its SHA-1. The report has the SHA-256, for which EVE has no field.

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from .identity import address_family, community_id, flow_id
from .mail_records import addresses, mails
from .tls_records import in_wire_order, start_of_tls, with_colons

if TYPE_CHECKING:
    from ...model import Capture, Connection, Finding, Severity, Summary, TlsCertificate, TlsSession
    from ..output import Output
    from .mail_records import MailRecord

__all__ = ["GID", "EveWriter", "signature_id", "timestamp"]

GID = 5321
# In Suricata 1 is the most severe.
_SEVERITY: dict[Severity, int] = {"error": 1, "warning": 2, "info": 3}
# Suricata's names of versions, those that differ.
_VERSIONS = {"SSL 2": "SSLv2", "SSL 3": "SSLv3", "TLS 1.0": "TLSv1"}
_DATE = re.compile(r"[12][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}")  # all that its schema allows
_CATEGORY = "Generic Protocol Command Decode"


def signature_id(rule: str) -> int:
    """Return the id of the rule as a number: its three capitals as digits of base 26, then its three digits."""
    family = 0
    for capital in rule[:3]:
        family = family * 26 + ord(capital) - ord("A")
    return family * 1000 + int(rule[3:])


class EveWriter:
    """Writes one event for each line, those of a connection when it has ended. The event of TLS comes first, then those
    of mails, then those of findings."""

    streams = True

    def __init__(self, output: Output) -> None:
        self._output = output
        self._encode = msgspec.json.Encoder().encode

    def capture(self, capture: Capture) -> None:
        """Write nothing: EVE has no event for captures."""

    def connection(self, connection: Connection) -> None:
        """Write the events of the connection."""
        events = [] if connection.tls_session is UNSET else [_tls(connection, connection.tls_session)]
        events += [_smtp(connection, mail, number) for number, mail in enumerate(mails(connection)) if _logged(mail)]
        events += [_alert(connection, finding) for finding in connection.findings]
        if events:
            self._output.write(b"".join([self._encode(event) + b"\n" for event in events]))

    def finish(self, summary: Summary) -> None:
        """Write nothing more."""


def _logged(mail: MailRecord) -> bool:
    return mail.enveloped or mail.helo is not None


def _common(connection: Connection, kind: str, time: str, frame: int, *, from_server: bool) -> dict[str, Any]:
    source, target = connection.client, connection.server
    if from_server:
        source, target = target, source
    return {
        "timestamp": timestamp(time),
        "flow_id": flow_id(connection),
        "pcap_cnt": frame,
        "event_type": kind,
        "src_ip": source.address,
        "src_port": source.port,
        "dest_ip": target.address,
        "dest_port": target.port,
        "proto": "TCP",
        "ip_v": address_family(connection),
        "pkt_src": "wire/pcap",
        "community_id": community_id(connection),
    }


def timestamp(time: str) -> str:
    """Return an RFC 3339 time that ends in Z in EVE's form: six decimals and ``+0000``."""
    whole, _, fraction = time.removesuffix("Z").partition(".")
    return f"{whole}.{fraction[:6]:0<6}+0000"


def _alert(connection: Connection, finding: Finding) -> dict[str, Any]:
    cause = finding.caused_by
    metadata = {
        "rule": [finding.rule],
        "name": [finding.name],
        "side": [finding.side],
        "certainty": [finding.certainty],
        "message": [finding.message],
        "evidence": [finding.evidence] if finding.evidence else None,
        "offset": [str(finding.offset)],
        "inside": None if finding.inside is UNSET else [str(finding.inside)],
        "length": [str(finding.length)],
        "count": [str(finding.count)],
        "follows_from": [connection.findings[cause].rule] if cause is not None else None,
    }
    from_server = finding.side == "server"
    event = _common(connection, "alert", finding.time, finding.frame, from_server=from_server)
    event["alert"] = {
        "action": "allowed",
        "gid": GID,
        "signature_id": signature_id(finding.rule),
        "rev": 1,
        "signature": f"smtpwire {finding.rule} {finding.name}",
        "category": _CATEGORY,
        "severity": _SEVERITY[finding.severity],
        "references": [finding.reference] if finding.reference else None,
        "metadata": {name: value for name, value in metadata.items() if value is not None},
    }
    if event["alert"]["references"] is None:
        del event["alert"]["references"]
    event["app_proto"] = "smtp"
    event["direction"] = "to_client" if from_server else "to_server"
    event["flow"] = {
        "start": timestamp(connection.started),
        "src_ip": connection.client.address,
        "dest_ip": connection.server.address,
        "src_port": connection.client.port,
        "dest_port": connection.server.port,
    }
    return event


def _tls(connection: Connection, session: TlsSession) -> dict[str, Any]:
    time, frame = start_of_tls(connection)
    event = _common(connection, "tls", time, frame, from_server=False)
    fields: dict[str, Any] = {}
    if session.certificates:
        fields |= _certificate(session.certificates[0])
    fields |= {
        "session_resumed": True if session.resumed else None,
        "sni": session.sni,
        "version": session.version and _VERSIONS.get(session.version, session.version),
        "from_proto": "smtp" if connection.tls == "starttls" else None,
        "ja4": session.ja4,
        "client_alpns": session.alpn_offered or None,
        "server_alpns": [session.alpn] if session.alpn else None,
        "client": _certificate(session.client_certificates[0]) if session.client_certificates else None,
    }
    event["tls"] = {name: value for name, value in fields.items() if value is not None}
    return event


def _certificate(one: TlsCertificate) -> dict[str, Any]:
    dates = {"notbefore": one.not_before.removesuffix("Z"), "notafter": one.not_after.removesuffix("Z")}
    return {
        "subject": in_wire_order(one.subject),
        "issuerdn": in_wire_order(one.issuer),
        "serial": with_colons(one.serial),
        **({"subjectaltname": one.names} if one.names else {}),
        **{name: date for name, date in dates.items() if _DATE.fullmatch(date)},
    }


def _smtp(connection: Connection, mail: MailRecord, number: int) -> dict[str, Any]:
    event = _common(connection, "smtp", mail.started, mail.frame, from_server=False)
    event["tx_id"] = number
    event["smtp"] = {
        name: value
        for name, value in {
            "helo": mail.helo,
            "mail_from": None if mail.sender is None else f"<{mail.sender}>",
            "rcpt_to": [f"<{address}>" for address in mail.recipients] or None,
        }.items()
        if value is not None
    }
    email = _email(mail)
    if email:
        event["email"] = email
    return event


def _email(mail: MailRecord) -> dict[str, Any]:
    message = mail.message
    if message is None:
        return {}
    header = message.header
    fields: dict[str, Any] = {"status": "PARSE_DONE" if message.complete else "BODY_STARTED"}
    if header is not None:
        fields["from"] = header.from_
        fields["to"] = addresses(header.to)
        fields["cc"] = addresses(header.cc)
    fields["subject"] = message.subject
    fields["message_id"] = message.message_id
    if header is not None:
        fields["date"] = header.date
        fields["x_mailer"] = header.user_agent
        fields["received"] = header.received
    return {name: value for name, value in fields.items() if value}
