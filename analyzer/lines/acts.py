"""Kinds of commands, and of the other events of a session. They decide what a command changes."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ACTS", "CHUNKS", "DECIDING", "ENDS_MESSAGE", "HELLOS", "HELLO_VERBS", "STRONG_VERBS", "Act"]


class Act(IntEnum):
    """The kind of a command, or of another event in the session; it decides the state change."""

    EHLO = 0
    HELO = 1
    MAIL = 2
    RCPT = 3
    DATA = 4
    BDAT = 5
    LAST = 6  # BDAT LAST, BURL LAST
    BURL = 7
    RSET = 8
    ANYTIME = 9  # VRFY EXPN HELP NOOP: legal at any time (RFC 5321 §4.1.4)
    AUTH = 10
    STARTTLS = 11
    ETRN = 12
    XCLIENT = 13
    TURN = 14
    QUIT = 15
    OTHER = 16  # an unregistered verb, or no verb
    END = 17  # the end of mail data
    ANSWER = 18  # a line of an AUTH exchange
    GREETING = 19  # nothing was sent: the server speaks first (RFC 5321 §3.1)
    NOTHING = 20  # nothing was sent that the server could answer
    EVENT = 21  # neither command nor reply, but an event for the rules to judge
    ATRN = 22


ACTS: Mapping[bytes, Act] = {
    b"EHLO": Act.EHLO,
    b"LHLO": Act.EHLO,
    b"HELO": Act.HELO,
    b"MAIL": Act.MAIL,
    b"SEND": Act.MAIL,
    b"SOML": Act.MAIL,
    b"SAML": Act.MAIL,
    b"RCPT": Act.RCPT,
    b"DATA": Act.DATA,
    b"BDAT": Act.BDAT,
    b"BURL": Act.BURL,
    b"RSET": Act.RSET,
    b"VRFY": Act.ANYTIME,
    b"EXPN": Act.ANYTIME,
    b"HELP": Act.ANYTIME,
    b"NOOP": Act.ANYTIME,
    b"AUTH": Act.AUTH,
    b"STARTTLS": Act.STARTTLS,
    b"ETRN": Act.ETRN,
    b"ATRN": Act.ATRN,
    b"XCLIENT": Act.XCLIENT,
    b"TURN": Act.TURN,
    b"QUIT": Act.QUIT,
}

HELLOS = frozenset({Act.EHLO, Act.HELO})
CHUNKS = frozenset({Act.BDAT, Act.LAST})
ENDS_MESSAGE = frozenset({Act.END, Act.LAST})

DECIDING = frozenset({Act.DATA, Act.AUTH, Act.STARTTLS, Act.ANSWER})
"""The replies to these decide what the client's next bytes are."""

HELLO_VERBS = frozenset({b"EHLO", b"HELO", b"LHLO"})
STRONG_VERBS = frozenset({*HELLO_VERBS, b"MAIL", b"RCPT", b"DATA", b"QUIT", b"RSET", b"STARTTLS", b"BDAT"})
"""Verbs with which ordinary text does not start."""
