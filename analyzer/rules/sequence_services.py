"""SEQ 126 and 127: ETRN inside a transaction, and LMTP where SMTP is expected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..exchanges.exchange import Mark
from ..exchanges.state_table import Act
from .phrases import Frame, Phrase, Verb
from .registry import Evidence, OnExchange, named, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__: list[str] = []


@rule(
    "SEQ126",
    "etrn-inside-transaction",
    "error",
    "client",
    "RFC 1985 §5",
    on=OnExchange(marks=Mark.CLIENT_ORDER, breaks=frozenset({"SEQ126"})),
)
def etrn_inside_transaction(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """ETRN during a mail transaction.

    ETRN asks the server to start its queue for a host. A client may send it at any time except between MAIL and the end
    of the transaction. The server should answer 503. Fix the client: send ETRN before MAIL, or after the message.
    """
    if x.reply is not None and x.before is not None and x.before.sure and x.server_breaks is None:
        return  # pipelined with the MAIL before it, which was refused
    opened = None if x.state is None else getattr(x.state.transaction, "mail", None)
    where = Phrase("")
    if opened is not None and opened.frame:
        where = Phrase(" (MAIL in frame {mail_frame})", mail_frame=Frame(opened.frame))
    yield Evidence(
        Phrase(
            "{verb} was sent inside a mail transaction{where}; it is allowed only outside of one.",
            verb=named(x),
            where=where,
        )
    )


@rule(
    "SEQ127",
    "lmtp-out-of-place",
    "error",
    "server",
    "RFC 2033 §5, §4.1",
    on=OnExchange(marks=Mark.LMTP_SERVER, acts=frozenset({Act.EHLO, Act.HELO}), unless=Mark.SKIPPED),
)
def lmtp_out_of_place(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """LMTP on the SMTP port, or EHLO accepted by an LMTP server.

    LMTP and SMTP differ in the replies after a message, so a client must never take one for the other. An LMTP server
    must not listen on port 25, and it must refuse EHLO and HELO, which LMTP replaces by LHLO. Fix the server: use
    another port for LMTP, and refuse the hello of SMTP there. Fix the client: use LHLO where LMTP is spoken, and count
    the replies after the message by recipients.
    """
    command = x.command
    if command is None:
        return
    if command.verb == b"LHLO":
        yield Evidence("The server speaks LMTP on port 25.", reply=True, series="port", reference="RFC 2033 §5")
    else:
        phrase = Phrase("The LMTP server accepted {verb}, which LMTP does not have.", verb=Verb(x.name))
        yield Evidence(phrase, reply=True, series="hello", unit="commands", reference="RFC 2033 §4.1")
