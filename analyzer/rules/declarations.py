"""CMD323, EXT520, EXT522: what BDAT and MAIL declare about a message, and what the message is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..content.octet_checks import Flaw
from ..exchanges.exchange import Mark
from ..exchanges.turns import shown
from .phrases import Count, Octets, Phrase, Verb
from .registry import Evidence, OnContent, OnExchange, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange, Transaction

__all__: list[str] = []


@rule(
    "CMD323",
    "bdat-size-wrong",
    "error",
    "client",
    "RFC 3030 §2",
    on=OnExchange(marks=Mark.WRONG_SIZE),
)
def bdat_size_wrong(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """BDAT declares another size than the chunk has.

    The size in BDAT alone says where the chunk ends and the next command begins. If it is too small, the server reads
    the rest of the chunk as the beginning of the next command; if it is too large, it takes the next command for part
    of the message, or waits for octets that never come. Fix the client: declare the octets that it sends, after all
    line ends have become CRLF.
    """
    wrong = None if talk.mail_tracking is None else talk.mail_tracking.wrong_size
    if wrong is None:
        return
    declared, octets = Octets(wrong.declared), abs(wrong.sent - wrong.declared)
    if wrong.swallowed:
        phrase = Phrase(
            "BDAT declares {declared} octets: the {verb} after the chunk was read as part of it.",
            declared=declared,
            verb=Verb(wrong.swallowed),
        )
    elif wrong.sent < wrong.declared:
        phrase = Phrase(
            "BDAT declares {declared} octets, but only {sent} were sent; the server waits for the rest.",
            declared=declared,
            sent=Octets(wrong.sent),
        )
    else:
        last = Phrase("the last one was") if octets == 1 else Phrase("the last {stray} were", stray=Count(octets))
        phrase = Phrase(
            "BDAT declares {declared} octets, but {sent} were sent: {last} read as a command.",
            declared=declared,
            sent=Octets(wrong.sent),
            last=last,
        )
    yield Evidence(phrase, series=0, unit="chunks")


def _at_mail(transaction: Transaction, message: Phrase | str) -> Evidence:
    """Evidence at the MAIL command of a message."""
    mail = transaction.mail
    return Evidence(
        message, offset=mail.offset, length=mail.length, frame=mail.frame, time_ns=mail.time_ns, evidence=shown(mail)
    )


@rule(
    "EXT520",
    "smtputf8-not-needed",
    "info",
    "client",
    "RFC 6531 §3.4",
    on=OnContent(flaws=Flaw.UTF8_NOT_NEEDED),
    severities={"rfc821": "off"},
)
def smtputf8_not_needed(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """SMTPUTF8 given although nothing needs it.

    The parameter SMTPUTF8 asks every server on the way for the extension. If an address or a header field is not ASCII,
    that is necessary; otherwise the message only fails at a server that has no SMTPUTF8. RFC 6531 says SHOULD NOT, but
    only to a client that knows that nothing needs it, so this is only an info. Fix the client: give the parameter only
    for messages that need it.
    """
    if x.transaction is not None:
        yield _at_mail(
            x.transaction,
            "SMTPUTF8 was given, but envelope and header are ASCII: a next hop without SMTPUTF8 will return it.",
        )


@rule(
    "EXT522",
    "size-understated",
    "info",
    "client",
    "RFC 1870 §5, §6.3",
    on=OnContent(flaws=Flaw.SIZE_UNDERSTATED),
    severities={"rfc821": "off"},
)
def size_understated(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Declared SIZE is far below what was sent.

    SIZE may be an estimate. If it is far too small, the 250 to MAIL promises nothing, and the server refuses the
    message only after it was sent, or stores more than it has room for. Fix the client: declare the size of the message
    as it is sent, with CRLF line ends.
    """
    if x.transaction is None or x.content is None:
        return
    size = x.transaction.parameters.get("SIZE")
    phrase = Phrase(
        "SIZE={declared} was declared, {sent} octets were sent.",
        declared=Octets(size or 0),
        sent=Octets(x.content.size),
    )
    yield _at_mail(x.transaction, phrase)
