"""The Elastic Common Schema: one document for each line, an alert for each finding and an event for each mail and each
TLS session."""

# Names and types are those of ECS (https://www.elastic.co/guide/en/ecs/current). It has fields for mail and none for
# SMTP; fields that it does not have are under `smtpwire.`, as custom fields should be under one name. Objects are
# nested instead of dotted: Elasticsearch reads both, other readers only nested objects. Every document of a connection
# has what ECS knows of its TLS session; the rest is in that of the session itself.

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from ...rules import RULES
from .identity import address_family, community_id, uid
from .mail_records import addresses, mails
from .tls_records import established, start_of_tls

if TYPE_CHECKING:
    from ...model import Capture, Connection, Endpoint, Finding, Severity, Summary, TlsCertificate, TlsSession
    from ..output import Output
    from .mail_records import MailRecord

__all__ = ["ECS_VERSION", "EcsWriter"]

ECS_VERSION = "8.17.0"
# event.severity is a number that each source defines; here a small number is severe, as in syslog (RFC 5424 §6.2.1).
_SEVERITY: dict[Severity, int] = {"error": 3, "warning": 4, "info": 6}


class EcsWriter:
    """Writes one document for each line, those of a connection when it has ended."""

    streams = True

    def __init__(self, output: Output, version: str) -> None:
        self._output = output
        self._observer = {"type": "sensor", "vendor": "smtpwire", "product": "smtpwire", "version": version}
        self._encode = msgspec.json.Encoder().encode

    def capture(self, capture: Capture) -> None:
        """Write nothing: ECS has no event for captures."""

    def connection(self, connection: Connection) -> None:
        """Write the documents of the connection."""
        common: dict[str, Any] = {
            "ecs": {"version": ECS_VERSION},
            "observer": self._observer,
            "client": _end(connection.client),
            "server": _end(connection.server),
            "network": {
                "transport": "tcp",
                "protocol": "smtp",
                "type": f"ipv{address_family(connection)}",
                "community_id": community_id(connection),
            },
        }
        documents = []
        if connection.tls_session is not UNSET:
            common["tls"] = _tls(connection.tls_session)
            documents.append(_session(connection, connection.tls_session))
        documents += [_mail(connection, mail) for mail in mails(connection) if mail.enveloped]
        documents += [_finding(connection, finding) for finding in connection.findings]
        if documents:
            self._output.write(b"".join([self._encode(_bare(common | one)) + b"\n" for one in documents]))

    def finish(self, summary: Summary) -> None:
        """Write nothing more."""


def _end(end: Endpoint) -> dict[str, Any]:
    return {"address": end.address, "ip": end.address, "port": end.port}


def _bare(document: dict[str, Any]) -> dict[str, Any]:
    """Return ``document`` without unknown values."""
    found = {}
    for name, value in document.items():
        kept = _bare(value) if isinstance(value, dict) else value
        if kept is not None and kept not in ([], {}):
            found[name] = kept
    return found


def _finding(connection: Connection, finding: Finding) -> dict[str, Any]:
    rule = RULES.get(finding.rule)
    cause = finding.caused_by
    source, target = connection.client, connection.server
    if finding.side == "server":
        source, target = target, source
    return {
        "@timestamp": finding.time,
        "message": finding.message,
        "event": {
            "kind": "alert",
            "category": ["network"],
            "type": ["protocol", "info"],
            "module": "smtpwire",
            "dataset": "smtpwire.finding",
            "provider": "smtpwire",
            "code": finding.rule,
            "action": finding.name,
            "severity": _SEVERITY[finding.severity],
        },
        "log": {"level": finding.severity},
        "rule": {
            "id": finding.rule,
            "name": finding.name,
            "description": rule.title if rule else None,
            "category": finding.rule[:3],
            "ruleset": "smtpwire",
        },
        "source": _end(source),
        "destination": _end(target),
        "smtpwire": {
            "connection": {"id": connection.id, "uid": uid(connection), "profile": connection.profile},
            "finding": {
                "side": finding.side,
                "certainty": finding.certainty,
                "rfc": finding.reference or None,
                "evidence": finding.evidence or None,
                "frame": finding.frame,
                "offset": finding.offset,
                "inside": None if finding.inside is UNSET else finding.inside,
                "length": finding.length,
                "count": finding.count,
                "follows_from": connection.findings[cause].rule if cause is not None else None,
            },
        },
    }


def _tls(session: TlsSession) -> dict[str, Any]:
    protocol, _, number = (session.version or "").lower().partition(" ")
    group = session.group or ""
    return {
        "version": number or None,
        "version_protocol": protocol if number else None,
        "cipher": session.suite,
        "curve": None if group.startswith("ffdhe") else group or None,  # those are no curves
        "resumed": session.resumed,
        "established": established(session),
        "next_protocol": session.alpn,
        "client": {"server_name": session.sni, **_certificate(session.client_certificates)},
        "server": _certificate(session.certificates),
    }


def _certificate(chain: list[TlsCertificate]) -> dict[str, Any]:
    """Return what is said of the certificate of a side, the first of its ``chain``."""
    if not chain:
        return {}
    one = chain[0]
    return {
        "hash": {"sha256": one.sha256.upper()},
        "x509": {
            "subject": {"distinguished_name": one.subject},
            "issuer": {"distinguished_name": one.issuer},
            "alternative_names": one.names,
            "not_before": one.not_before,
            "not_after": one.not_after,
            "serial_number": one.serial.upper(),
            "signature_algorithm": one.signature,
            "public_key_algorithm": one.key_type,
            "public_key_size": one.key_bits,
        },
    }


def _session(connection: Connection, session: TlsSession) -> dict[str, Any]:
    time, frame = start_of_tls(connection)
    alert = session.alert
    return {
        "@timestamp": time,
        "event": {
            "kind": "event",
            "category": ["network"],
            "type": ["connection", "protocol"],
            "module": "smtpwire",
            "dataset": "smtpwire.tls",
            "provider": "smtpwire",
            "outcome": {True: "success", False: "failure", None: "unknown"}[established(session)],
            "start": time,
        },
        "source": _end(connection.client),
        "destination": _end(connection.server) | {"domain": session.sni},
        "smtpwire": {
            "connection": {"id": connection.id, "uid": uid(connection), "profile": connection.profile},
            "tls": {
                "how": connection.tls,
                "ja4": session.ja4,
                "group": session.group,
                "dh_bits": session.dh_bits,
                "alpn_offered": session.alpn_offered,
                "retried": session.retried,
                "early_data": session.early_data,
                "renegotiations": session.renegotiations,
                "key_updates": session.key_updates,
                "compressed": session.compressed,
                "alert": None if alert is None else {"side": alert.side, "description": alert.description},
                "decrypted": session.decrypted,
                "why": session.why,
                "frame": frame,
            },
        },
    }


def _mail(connection: Connection, mail: MailRecord) -> dict[str, Any]:
    message = mail.message
    header = message.header if message else None
    outcome = "unknown" if mail.code is None else "success" if mail.code < 400 else "failure"
    return {
        "@timestamp": mail.started,
        "event": {
            "kind": "event",
            "category": ["email", "network"],
            "type": ["info", "protocol"],
            "module": "smtpwire",
            "dataset": "smtpwire.mail",
            "provider": "smtpwire",
            "outcome": outcome,
            "start": mail.started,
        },
        "source": _end(connection.client),
        "destination": _end(connection.server),
        "email": {
            "from": {"address": _mailboxes(header.from_ if header else None)},
            "to": {"address": _mailboxes(header.to if header else None)},
            "cc": {"address": _mailboxes(header.cc if header else None)},
            "reply_to": {"address": _mailboxes(header.reply_to if header else None)},
            "subject": message.subject if message else None,
            "message_id": message.message_id.strip("<>") if message and message.message_id else None,
            "x_mailer": header.user_agent if header else None,
        },
        "smtpwire": {
            "connection": {"id": connection.id, "uid": uid(connection), "profile": connection.profile},
            "mail": {
                "helo": mail.helo,
                "reverse_path": mail.sender,
                "forward_paths": mail.recipients,
                "depth": mail.depth,
                "code": mail.code,
                "last_reply": mail.last_reply,
                "tls": mail.tls,
                "size": message.size if message else None,
                "sha256": message.sha256 if message else None,
                "complete": message.complete if message else None,
                "date": header.date if header else None,
            },
        },
    }


def _mailboxes(field: str | None) -> list[str]:
    """Return the addresses in a header field, without the display names."""
    return [one.rpartition("<")[2].partition(">")[0].strip() if "<" in one else one for one in addresses(field)]
