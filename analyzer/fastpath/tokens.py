"""What was said without what varies and means nothing: the steps by which two dialogues are the same."""

# Theory
# ------
# A step is what one segment says. Two segments are the same step if no rule, no prediction and no state could tell them
# apart: they are equal, or differ only in
#
# * mailboxes of MAIL and RCPT that are plain (an ordinary local-part and domain, far below every limit), the number
#   behind SIZE where it is small, and the name in a hello, where it is a plain domain;
# * the text behind 250, 354 or 221 in answers to commands of a transaction, behind the first words of a greeting, and
#   behind the server's name in the reply to a hello.
#
# These are replaced by a NUL, which therefore must not occur in what is taken as it is. Everything here is a function
# of the bytes alone.

from __future__ import annotations

import re

__all__ = [
    "ENDS",
    "MAX_STEP",
    "SMALL_SIZE",
    "client_step",
    "greeting_step",
    "hello_step",
    "is_varied",
    "reply_step",
    "spot_in",
]

MAX_STEP = 2048  # bytes of a segment that is compared; the longest EHLO replies have some 600
SMALL_SIZE = 10_000_000  # every number behind SIZE that is replaced is below this

ENDS = {(side, how): f"\0{side} {how}".encode() for side in ("client", "server") for how in ("fin", "rst", "unseen")}
"""Names of the steps that end a stream."""

_LOCAL = rb"(?=[^@\r\n]{1,60}@)[A-Za-z0-9_=+-]++(?:\.[A-Za-z0-9_=+-]++)*"
_DOMAIN = rb"(?=[A-Za-z0-9.-]{1,63}[>\r])(?:[A-Za-z0-9]++(?:-++[A-Za-z0-9]++)*\.)+[A-Za-z]{2,20}"
_client = re.compile(
    rb"(?m:^)(?:((?i:MAIL FROM:|RCPT TO:)<)" + _LOCAL + rb"@" + _DOMAIN + rb">( (?i:SIZE)=)?(?(2)[0-9]{1,7}(?=[ \r]))"
    rb"|((?i:EHLO|HELO|LHLO) )" + _DOMAIN + rb"(?=\r\n))"
).sub
_reply = re.compile(
    rb"(?m:^)((?:250|354|221) (?:[23]\.[0-9]{1,3}\.[0-9]{1,3} |(?![0-9]\.[0-9])))[ -~]{1,400}(?=\r\n)"
).sub
_greeting = re.compile(rb"\A(220 [A-Za-z0-9.-]{1,100} E?SMTP)(?: [ -~]{0,300})?(?=\r\n\Z)").sub
_hello = re.compile(rb"\A(250[ -][A-Za-z0-9.-]{1,100}) [ -~]{0,300}(?=\r\n)").sub


def _without_mailbox(found: re.Match[bytes]) -> bytes:
    hello = found[3]
    if hello is not None:
        return hello + b"\0"
    return found[1] + b"\0>" + (b"" if found[2] is None else found[2] + b"\0")


def spot_in(step: bytes) -> int:
    """Bytes in front of what a step of mail data tells of, see ``trie.spot_step``; -1: it tells of none."""
    parts = step.split(b" ")
    return int(parts[2]) if step.startswith(b"\0mail ") and len(parts) == 4 else -1


def is_varied(step: bytes) -> bool:
    """Whether ``step`` stands for more than one text."""
    return b"\0" in step


def client_step(data: bytes) -> bytes | None:
    """The step of whole command lines; None: none that is worth remembering, or a secret may be in it."""
    if len(data) > MAX_STEP or b"\0" in data or not data.endswith(b"\r\n") or b"AUTH" in data.upper():
        return None
    return _client(_without_mailbox, data)


def reply_step(data: bytes) -> bytes | None:
    """The step of replies to commands of a transaction."""
    if len(data) > MAX_STEP or b"\0" in data:
        return None
    return data if data[3:4] == b"-" else _reply(rb"\1\0", data)


def greeting_step(data: bytes) -> bytes | None:
    """The step of a greeting: host name and the word behind it count."""
    return None if len(data) > MAX_STEP or b"\0" in data else _greeting(rb"\1\0", data)


def hello_step(data: bytes) -> bytes | None:
    """The step of a reply to a hello: all but what follows the server's name."""
    return None if len(data) > MAX_STEP or b"\0" in data else _hello(rb"\1\0", data)
