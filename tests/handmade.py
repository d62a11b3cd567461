"""Handmade reports, so that tests of writers depend on their input only and not on the findings of the audit."""

from __future__ import annotations

import io

from smtpwire.analyzer.model import (
    AuthTurn,
    Capture,
    CommandTurn,
    Connection,
    Endpoint,
    Finding,
    Gap,
    GapTurn,
    MalformedTurn,
    Message,
    MessageTurn,
    Part,
    Recipient,
    ReplyTurn,
    Severity,
    Side,
    Summary,
    TlsTurn,
    Turn,
)
from smtpwire.analyzer.reports.output import Output

__all__ = ["at", "capture", "connection", "every_turn", "finding", "lines_of", "output", "summary_of"]


def at(milliseconds: int) -> str:
    """Return a time in the one minute in which everything here happens."""
    return f"2026-01-02T03:04:{milliseconds // 1000:02}.{milliseconds % 1000 * 1000:06}Z"


def finding(
    rule: str = "SEQ101",
    *,
    name: str = "mail-before-hello",
    severity: Severity = "error",
    side: Side = "client",
    message: str = "MAIL came before any EHLO or HELO was accepted",
    turn: int | None = 1,
    caused_by: int | None = None,
    frame: int = 6,
    offset: int = 0,
    evidence: str = "MAIL FROM:<a@a.example>",
    count: int = 1,
    certain: bool = True,
) -> Finding:
    return Finding(
        rule=rule,
        name=name,
        severity=severity,
        side=side,
        certainty="certain" if certain else "indeterminate",
        message=message,
        reference="RFC 5321 §4.1.4",
        turn=turn,
        caused_by=caused_by,
        frame=frame,
        time=at(frame),
        offset=offset,
        length=len(evidence),
        evidence=evidence,
        count=count,
    )


def every_turn() -> list[Turn]:
    """One turn of each kind; the first three are a greeting, MAIL before EHLO, and its acceptance."""
    return [
        ReplyTurn("server", 220, ["mx.example ESMTP"], None, None, 4, at(4), 0),
        CommandTurn("client", "MAIL", "FROM:<a@a.example>", "503", 6, at(6), 0),
        ReplyTurn("server", 250, ["2.1.0 Ok"], "2.1.0", 1, 8, at(8), 22),
        CommandTurn("client", "EHLO", "a.example", "accept", 9, at(9), 25),
        ReplyTurn("server", 503, ["Already", "identified"], None, 3, 10, at(10), 36),
        CommandTurn("client", None, None, "500", 11, at(11), 41),
        MalformedTurn("server", "what?", 12, at(12), 70),
        AuthTurn("client", 26, 13, at(13), 43),
        MessageTurn("client", 1200, 30, False, True, 14, at(14), 71),
        MessageTurn("client", 50, 2, True, False, 15, at(15), 1280),
        GapTurn("client", 1460, 17, at(17), 1340),
        TlsTurn("client", 19, at(19), 2800),
    ]


def connection(
    number: int = 1,
    findings: list[Finding] | None = None,
    *,
    gaps: list[Gap] | None = None,
    server_bytes: int = 433,
    paths: tuple[str, ...] = ("a.pcap",),
) -> Connection:
    return Connection(
        id=number,
        client=Endpoint("192.0.2.1", 43210 + number),
        server=Endpoint("2001:db8::2", 25),
        protocol="smtp",
        profile="rfc5321",
        tls="none",
        opening="handshake",
        closing="fin",
        started=at(0),
        ended=at(99),
        client_bytes=812,
        server_bytes=server_bytes,
        gaps=gaps or [],
        dialogue=every_turn(),
        messages=[
            Message(
                from_="a@a.example",
                recipients=[Recipient("b@b.example", 250), Recipient("c@b.example", None)],
                size=1200,
                code=250,
                subject="hello",
                message_id="<1@a.example>",
                sha256="0" * 64,
                complete=True,
            )
        ],
        findings=findings if findings is not None else [finding()],
        captures=[Part(number, path, at(99 + 100 * number)) for number, path in enumerate(paths)],
    )


def capture(path: str = "a.pcap", problems: list[str] | None = None) -> Capture:
    return Capture(path, "pcap", ["EN10MB"], 1234, 45678, at(4), at(99), problems or [])


def summary_of(*connections: Connection) -> Summary:
    summary = Summary(connections=len(connections), messages=sum(len(c.messages) for c in connections))
    for one in connections:
        for found in one.findings:
            summary.findings[found.severity] += 1
            summary.rules[found.rule] = summary.rules.get(found.rule, 0) + 1
    return summary


def output(width: int = 100, encoding: str = "utf-8") -> tuple[Output, io.BytesIO]:
    stream = io.BytesIO()
    out = Output(stream, encoding=encoding)
    out.width = width
    out.colour = False
    return out, stream


def lines_of(stream: io.BytesIO, encoding: str = "utf-8") -> list[str]:
    return stream.getvalue().decode(encoding).splitlines()
