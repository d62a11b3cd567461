"""Zeek's ``smtp.log``, ``ssl.log`` and ``x509.log``, and ``smtp_audit.log`` in the same form with the findings."""

# The columns of smtp.log are those of Zeek's base/protocols/smtp, in the same order, without `fuids`: there are no
# files here. Zeek's first Received field is the lowest, the oldest one. The path starts with the two ends of this
# connection and continues with one address of each Received field, from the top. A tab-separated log has one kind of
# row, so standard output gets only the audit; in JSON each line names its log, so it gets all.

from __future__ import annotations

import re
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING

from msgspec import UNSET

from ...errors import UsageError, display_path
from ...files.atomic_files import replacing
from ...files.folders import folder_of
from ..output import Output
from .identity import community_id, uid
from .mail_records import addresses, mails
from .zeek_log import LogColumn, ZeekLog
from .zeek_tls import SSL_COLUMNS, X509_COLUMNS, KnownCertificates, session_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ...model import Capture, Connection, Finding, Summary
    from .mail_records import MailRecord
    from .zeek_log import Value

__all__ = ["AUDIT_COLUMNS", "SMTP_COLUMNS", "ZeekWriter", "zeek_directory"]

_CONNECTION = (
    LogColumn("ts", "time"),
    LogColumn("uid", "string"),
    LogColumn("id.orig_h", "addr"),
    LogColumn("id.orig_p", "port"),
    LogColumn("id.resp_h", "addr"),
    LogColumn("id.resp_p", "port"),
)
SMTP_COLUMNS = (
    *_CONNECTION,
    LogColumn("trans_depth", "count"),
    LogColumn("helo", "string"),
    LogColumn("mailfrom", "string"),
    LogColumn("rcptto", "set[string]"),
    LogColumn("date", "string"),
    LogColumn("from", "string"),
    LogColumn("to", "set[string]"),
    LogColumn("cc", "set[string]"),
    LogColumn("reply_to", "string"),
    LogColumn("msg_id", "string"),
    LogColumn("in_reply_to", "string"),
    LogColumn("subject", "string"),
    LogColumn("x_originating_ip", "addr"),
    LogColumn("first_received", "string"),
    LogColumn("second_received", "string"),
    LogColumn("last_reply", "string"),
    LogColumn("path", "vector[addr]"),
    LogColumn("user_agent", "string"),
    LogColumn("tls", "bool"),
)
AUDIT_COLUMNS = (
    *_CONNECTION,
    LogColumn("community_id", "string"),
    LogColumn("rule", "string"),
    LogColumn("name", "string"),
    LogColumn("severity", "string"),
    LogColumn("side", "string"),
    LogColumn("certain", "bool"),
    LogColumn("message", "string"),
    LogColumn("reference", "string"),
    LogColumn("evidence", "string"),
    LogColumn("frame", "count"),
    LogColumn("offset", "count"),
    LogColumn("length", "count"),
    LogColumn("times", "count"),
    LogColumn("follows_from", "string"),
    LogColumn("inside", "count"),
)

# An address in brackets or between blanks, the forms that Zeek reads in a Received field.
_WRAPPED = re.compile(
    r"(?:(?<=\[)[0-9A-Fa-f:.]{2,45}(?=\])|(?<=\()[0-9A-Fa-f:.]{2,45}(?=\))|(?<= )[0-9A-Fa-f:.]{2,45}(?= ))"
)
_ADDRESS = re.compile(r"[0-9A-Fa-f:.]{2,45}")


class ZeekWriter:
    """Writes rows as connections end. ``others``: returns the output of another log by its name; None: only the audit
    is written."""

    streams = True

    def __init__(self, audit: Output, others: Callable[[str], Output] | None, *, as_json: bool) -> None:
        self._audit = ZeekLog(audit, "smtp_audit", AUDIT_COLUMNS, as_json=as_json)
        self._others: dict[str, ZeekLog] = {}
        self._certificates = KnownCertificates()
        if others is not None:
            columns = {"smtp": SMTP_COLUMNS, "ssl": (*_CONNECTION, *SSL_COLUMNS), "x509": X509_COLUMNS}
            self._others = {name: ZeekLog(others(name), name, of, as_json=as_json) for name, of in columns.items()}

    def capture(self, capture: Capture) -> None:
        """Write nothing: Zeek has no row for captures."""

    def connection(self, connection: Connection) -> None:
        """Write the rows of the connection."""
        end: dict[str, Value] = {
            "uid": uid(connection),
            "id.orig_h": connection.client.address,
            "id.orig_p": connection.client.port,
            "id.resp_h": connection.server.address,
            "id.resp_p": connection.server.port,
        }
        if self._others:
            session = connection.tls_session
            if session is not UNSET:
                self._others["ssl"].rows([end | session_row(connection, session)])
                self._others["x509"].rows(list(self._certificates.rows(connection, session)))
            records = [end | _mail(connection, mail) for mail in mails(connection) if mail.enveloped or mail.tls]
            if records:
                self._others["smtp"].rows(records)
        if connection.findings:
            end["community_id"] = community_id(connection)
            self._audit.rows([end | _finding(connection, finding) for finding in connection.findings])

    def finish(self, summary: Summary) -> None:
        """Close the logs."""
        for log in (self._audit, *self._others.values()):
            log.close()


@contextmanager
def zeek_directory(path: Path, *, as_json: bool) -> Iterator[ZeekWriter]:
    """Open the logs in the directory ``path``, which is created if it does not exist. The files appear when they are
    complete. Raises UsageError."""
    try:
        folder_of(path).close()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot write ({reason})", display_path(path), "name a directory with -o") from error
    with ExitStack() as stack:

        def log(name: str) -> Output:
            file = path / f"{name}.log"
            return Output(stack.enter_context(replacing(file)), name=display_path(file))

        yield ZeekWriter(log("smtp_audit"), log, as_json=as_json)


def _finding(connection: Connection, finding: Finding) -> dict[str, Value]:
    cause = finding.caused_by
    return {
        "ts": finding.time,
        "rule": finding.rule,
        "name": finding.name,
        "severity": finding.severity,
        "side": finding.side,
        "certain": finding.certainty == "certain",
        "message": finding.message,
        "reference": finding.reference or None,
        "evidence": finding.evidence or None,
        "frame": finding.frame,
        "offset": finding.offset,
        "length": finding.length,
        "inside": None if finding.inside is UNSET else finding.inside,
        "times": finding.count,
        "follows_from": connection.findings[cause].rule if cause is not None else None,
    }


def _mail(connection: Connection, mail: MailRecord) -> dict[str, Value]:
    path = [connection.server.address, connection.client.address]
    row: dict[str, Value] = {
        "ts": mail.started,
        "trans_depth": mail.depth,
        "helo": mail.helo,
        "mailfrom": mail.sender or None,
        "rcptto": list(dict.fromkeys(mail.recipients)) or None,
        "last_reply": mail.last_reply,
        "path": path,
        "tls": mail.tls,
    }
    message = mail.message
    if message is None:
        return row
    row |= {"msg_id": message.message_id, "subject": message.subject}
    header = message.header
    if header is None:
        return row
    received = header.received
    for text in received:
        ip = _passed(text)
        if ip is not None and ip != path[-1]:
            path.append(ip)
    return row | {
        "date": header.date,
        "from": header.from_,
        "to": _set(header.to),
        "cc": _set(header.cc),
        "reply_to": header.reply_to,
        "in_reply_to": header.in_reply_to,
        "x_originating_ip": next(iter(_valid(_ADDRESS.findall(header.x_originating_ip or ""))), None),
        "first_received": received[-1] if received else None,
        "second_received": received[-2] if len(received) > 1 else None,
        "user_agent": header.user_agent,
    }


def _set(field: str | None) -> list[str] | None:
    """Return the addresses of a field, with their display names, each once."""
    return list(dict.fromkeys(one for one in addresses(field) if "@" in one)) or None


def _passed(received: str) -> str | None:
    """Return the host that a Received field is about: the second address in it, because the first is what it called
    itself."""
    found = _valid(_WRAPPED.findall(received))
    return found[1] if len(found) > 1 else found[0] if found else None


def _valid(texts: list[str]) -> list[str]:
    found = []
    for text in texts:
        try:
            found.append(str(ip_address(text)))
        except ValueError:
            continue
    return found
