"""Decide whether a TCP connection carries SMTP, by the port and the first bytes of both sides."""

# Theory
# ------
# On an SMTP port nearly everything counts as SMTP, even broken dialogues, because an auditor must report them. Only a
# connection that clearly speaks another protocol, or neither text nor TLS, is excluded. On any other port it is the
# opposite: FTP and NNTP also greet with "220" and "200", so the client's hello or a banner with the name of the
# protocol must confirm SMTP.
#
# The dialogue may go through a proxy (SOCKS 4 and 5, HTTP CONNECT). The lengths in the proxy's exchange say where it
# ends; it is skipped, and the bytes after it are judged as on any port. A PROXY header says nothing about the protocol
# either: the bytes after it are judged.

from __future__ import annotations

import re
from enum import Enum

from ...dissectors.lazy_regex import LazyPattern
from ..tls.records import begins_record
from .proxy_header import FIRST_OCTETS, may_begin, read_header

__all__ = ["Detection", "begins_with_reply", "judge_any", "judge_heads", "other_protocol", "preamble", "protocol_of"]


class Detection(Enum):
    """The decision from the first bytes."""

    SMTP = "smtp"
    OTHER = "other"
    UNDECIDED = "undecided"


_REPLY = LazyPattern(rb"[2-5][0-9][0-9](?:[ -]|\r?\n)")
_START_OF_REPLY = LazyPattern(rb"[2-5](?:[0-9](?:[0-9])?)?\r?")
_GREETING = LazyPattern(rb"(?:220|421|521|554)[ -]")
_NAMES_SMTP = LazyPattern(rb"^[0-9]{3}[ -][^\n]*(?:SMTP|LMTP)", re.IGNORECASE | re.MULTILINE)
_STATUS = LazyPattern(rb"^([245])[0-9]{2}[ -]\1\.[0-9]{1,3}\.[0-9]{1,3} ", re.MULTILINE)  # RFC 2034: only SMTP uses it
_HELLO = LazyPattern(rb"(?:EHLO|HELO|LHLO)(?:[ \t\r\n])", re.IGNORECASE)
_ENVELOPE = LazyPattern(rb"(?:MAIL FROM:|RCPT TO:|STARTTLS\r?\n)", re.IGNORECASE)
_VERB_LINE = LazyPattern(
    rb"(?:\A|\n)(?:EHLO|HELO|LHLO|MAIL FROM|RCPT TO|DATA\r?\n|QUIT\r?\n|RSET\r?\n|STARTTLS\r?\n|AUTH |BDAT [0-9])",
    re.IGNORECASE,
)
_OTHER_CLIENT = (
    ("HTTP", LazyPattern(rb"[A-Za-z]{2,20} [^ ]+ HTTP/[0-9]")),
    ("SIP", LazyPattern(rb"[A-Z]{2,20} [^ ]+ (?:SIP|RTSP)/[0-9]")),
    ("SSH", LazyPattern(rb"SSH-[12]\.")),
    ("FTP or IRC", LazyPattern(rb"(?:USER|NICK) [^ ]")),
)
_SERVER_NAMES = (
    *((b"HTTP/", "HTTP"), (b"SSH-", "SSH"), (b"+OK", "POP3"), (b"* OK", "IMAP"), (b"* PREAUTH", "IMAP")),
    *((b"* BYE", "IMAP"), (b"RFB ", "VNC"), (b":", "IRC"), (b"<", "XML")),
)
_OTHER_SERVER = tuple(start for start, _ in _SERVER_NAMES)
_TELNET = b"\xff"  # IAC (RFC 854): a terminal that negotiates first, as if SMTP were a remote login
_POSSIBLE_STARTS = (b"EHLO", b"HELO", b"LHLO", b"MAIL FROM:", b"RCPT TO:", b"STARTTLS")


def begins_with_reply(server: bytes) -> bool:
    """Return whether the first bytes of a server are a reply of SMTP. On an SMTP port that decides."""
    return _REPLY.match(server) is not None


def _is_tls(head: bytes) -> bool:
    return bool(head) and begins_record(head)


def _mostly_text(head: bytes) -> bool:
    """Return whether a person could have typed it: few bytes are outside printable ASCII."""
    odd = sum((byte < 0x20 and byte not in b"\t\r\n") or byte > 0x7E for byte in head[:256])
    return odd * 4 <= min(len(head), 256)


def judge_heads(client: bytes, server: bytes, *, smtp_port: bool, over: bool) -> Detection:
    """Decide by the first bytes of both sides. ``over``: no more bytes will come."""
    if client and client[0] in FIRST_OCTETS:
        whole, client = client, _after_header(client, over=over)
        if smtp_port and over and len(client) < len(whole) and not client and not server:
            return Detection.SMTP  # a proxy whose connection the server closed at once
    if smtp_port:
        return _on_smtp_port(client, server, over=over)
    return _on_any_port(client, server, over=over)


def judge_any(one: bytes, other: bytes, *, over: bool) -> Detection:
    """Decide on a port that is not one of SMTP, if it is not known which side is the client. OTHER: in both cases."""
    verdict = Detection.OTHER
    for client, server in ((one, other), (other, one)):
        skip = preamble(client, server)
        if skip is None or (skip != (0, 0) and not any((client[skip[0] :], server[skip[1] :]))):
            verdict = Detection.UNDECIDED
        elif (found := judge_heads(client[skip[0] :], server[skip[1] :], smtp_port=False, over=over)) is Detection.SMTP:
            return found
        elif found is Detection.UNDECIDED:
            verdict = found
    return verdict


def _after_header(client: bytes, *, over: bool) -> bytes:
    """Return the client's bytes without a PROXY header; nothing if they may still become one."""
    header = read_header(client)
    if header is not None:
        return client[header.length :]
    return b"" if not over and may_begin(client) else client


def _on_smtp_port(client: bytes, server: bytes, *, over: bool) -> Detection:
    if server.startswith(_OTHER_SERVER):
        return Detection.OTHER
    if _REPLY.match(server) or _is_tls(server) or _VERB_LINE.search(client):
        return Detection.SMTP
    if not over and (len(server) == 1 or (len(client) == 1 and not server)):
        return Detection.UNDECIDED
    if _is_tls(client):
        return Detection.SMTP if over or server else Detection.UNDECIDED
    if server and not over and (len(server) < 4 or b"\n" not in server) and _mostly_text(server):
        return Detection.UNDECIDED
    if server:
        return Detection.SMTP if _mostly_text(server) else Detection.OTHER
    if over or (client and not _mostly_text(client) and not client.startswith(_TELNET)):
        return Detection.OTHER
    return Detection.UNDECIDED


def _on_any_port(client: bytes, server: bytes, *, over: bool) -> Detection:
    if server and not (_REPLY.match(server) or (not over and _START_OF_REPLY.fullmatch(server))):
        return Detection.OTHER
    if client:
        if _HELLO.match(client):
            return Detection.SMTP if server or over else Detection.UNDECIDED
        if _ENVELOPE.match(client):
            return Detection.SMTP if _REPLY.match(server) else (Detection.OTHER if over else Detection.UNDECIDED)
        if over or not any(verb.startswith(client.upper()) for verb in _POSSIBLE_STARTS):
            named = _GREETING.match(server) and _NAMES_SMTP.search(server)
            return Detection.SMTP if named else Detection.OTHER
        return Detection.UNDECIDED
    if (
        _GREETING.match(server)
        and b"\n" in server
        and (_NAMES_SMTP.search(server) or (over and _STATUS.search(server)))
    ):
        return Detection.SMTP
    return Detection.OTHER if over else Detection.UNDECIDED


def other_protocol(line: bytes) -> str | None:
    """Return the protocol of a client's first line, if it is clearly not SMTP."""
    return next((name for name, pattern in _OTHER_CLIENT if pattern.match(line)), None)


def protocol_of(client: bytes, server: bytes) -> str:
    """Return the name of the protocol of a connection that is not SMTP, by its first bytes; ``unknown`` if these do not
    show it. Either side may be the client, if the capture does not show which."""
    for head in (client, server):
        if _is_tls(head):
            return "TLS"
        named = other_protocol(head) or next((name for start, name in _SERVER_NAMES if head.startswith(start)), None)
        if named is not None:
            return named
    return "FTP, NNTP or the like" if any(map(begins_with_reply, (client, server))) else "unknown"


def preamble(client: bytes, server: bytes) -> tuple[int, int] | None:
    """Return the lengths of a proxy's exchange before the dialogue: (client, server). None: it is not complete yet."""
    if client[:1] == b"\x05":
        return _socks5(client, server)
    if client[:2] == b"\x04\x01":
        end = client.find(b"\0", 8) + 1
        if client[4:7] == b"\0\0\0" and end:
            end = client.find(b"\0", end) + 1  # SOCKS 4a: a host name follows
        return (end, 8) if end and len(server) >= 8 else None
    if client[:8].upper() == b"CONNECT ":
        ends = client.find(b"\r\n\r\n"), server.find(b"\r\n\r\n")
        return (ends[0] + 4, ends[1] + 4) if min(ends) >= 0 else None
    if client == b"\x04" or (client and b"CONNECT ".startswith(client[:8].upper())):
        return None
    return 0, 0


def _socks5(client: bytes, server: bytes) -> tuple[int, int] | None:
    """RFC 1928: method negotiation, a password if required (RFC 1929), request and reply."""
    if len(client) < 2 or len(server) < 2:
        return None
    asked, answered = 2 + client[1], 2
    if server[1] == 2:
        user = client[asked + 1] if len(client) > asked + 1 else None
        if user is None or len(client) <= asked + 2 + user:
            return None
        asked += 3 + user + client[asked + 2 + user]
        answered += 2
    lengths = []
    for head, at in ((client, asked), (server, answered)):
        kind = head[at + 3 : at + 5]
        if len(kind) < 2:
            return None
        address = {1: 4, 4: 16}.get(kind[0], 1 + kind[1])
        lengths.append(at + 4 + address + 2)
        if len(head) < lengths[-1]:
            return None
    return lengths[0], lengths[1]
