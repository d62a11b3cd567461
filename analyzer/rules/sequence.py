"""SEQ: commands of the client that are out of order."""

# Whether a command is out of order is decided by the table in states.py; these rules say what that means. The client is
# judged by what it could know when it sent. All of them keep silent while the state is a guess (after lost bytes, in
# mid-stream, with one direction only). What the server made of it is in sequence_replies.py.

from __future__ import annotations

from typing import TYPE_CHECKING

from ..exchanges.exchange import Mark
from ..exchanges.state_table import Act, Phase
from .registry import Evidence, OnExchange, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__ = ["TURNED_AWAY", "ended_by_last", "served", "verb_of"]


def _breaks(*ids: str) -> OnExchange:
    return OnExchange(marks=Mark.CLIENT_ORDER, breaks=frozenset(ids))


def verb_of(x: Exchange) -> str:
    """The verb for a message."""
    return "a command" if x.command is None or x.command.name is None else x.command.name


def _answer(x: Exchange) -> str:
    """How the server answered, for the end of a message."""
    if x.reply is None:
        return "no reply is in the capture"
    if x.code == 503:
        return "the server's 503 is right"
    if x.accepted:
        return f"the server accepted it with {x.code}"
    return f"the server refused it with {x.code}"


def _because(refused: Exchange | None, what: str) -> str:
    if refused is None or refused.reply is None:
        return ""
    asks = ", which asks for AUTH or STARTTLS first" if refused.code == 530 else ""
    return f" The {what} in frame {refused.frame} had been refused with {refused.code}{asks}, so it opened nothing."


TURNED_AWAY = frozenset({Phase.TURNED_AWAY, Phase.CLOSING})


def ended_by_last(x: Exchange) -> bool:
    """Whether the transaction that MAIL would be nested in had its BDAT LAST, which the server refused. RFC 3030 §2
    wants RSET behind a failed BDAT; but the message is over, as behind a refused end of data."""
    state = x.state
    if x.breaks != "SEQ102" or state is None or state.phase is not Phase.BROKEN:
        return False
    content = getattr(state.transaction, "content", None)
    return content is not None and content.complete


def served(x: Exchange) -> bool:
    """after a greeting of 554 or 521 the order of commands is nobody's fault."""
    return x.before is None or x.before.phase not in TURNED_AWAY


@rule("SEQ101", "mail-before-hello", "error", "client", "RFC 5321 §4.1.1.1, §4.1.4", on=_breaks("SEQ101"), formal=True)
def mail_before_hello(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Mail transaction started before any accepted EHLO or HELO.

    A client opens its session with EHLO (or HELO) and may begin a mail transaction once that was accepted. After a TLS
    handshake the session starts anew, and the hello must come again (RFC 3207 §4.2). The server has to answer 503.
    Fix the client: send EHLO first, and again after STARTTLS.
    """
    if not served(x) or (talk.watch.tls_missing and x.accepted):
        return  # the 220 to STARTTLS led to no handshake, and the server has forgotten nothing
    refused = talk.session.causes.hello
    why = ""
    if refused is not None and refused.reply is not None:
        why = f" The {verb_of(refused)} in frame {refused.frame} was refused with {refused.code}."
    yield Evidence(
        f"{verb_of(x)} was sent although no EHLO or HELO had been accepted; {_answer(x)}.{why}",
        caused_by=(refused, talk.session.causes.order),
    )


@rule("SEQ102", "nested-mail", "error", "client", "RFC 5321 §4.1.4", on=_breaks("SEQ102"), formal=True)
def nested_mail(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """MAIL sent while a transaction is already open.

    A transaction that MAIL opened ends with the reply to the end of data, with RSET, EHLO, HELO or QUIT. Until then a
    second MAIL must be refused with 503. Fix the client: send RSET to give a transaction up.
    """
    state = x.state
    if state is None or (state.data_refused and x.code != 503) or ended_by_last(x):
        return  # whether a refused DATA ends the transaction is left open; here the server took it so
    if x.reply is not None and x.before is not None and x.before.sure and x.server_breaks is None:
        return  # in one group with the MAIL before it, which was refused
    opened = getattr(state.transaction, "mail", None)
    where = f" that MAIL in frame {opened.frame} had opened" if opened is not None else ""
    kept = " DATA had been refused, which leaves the transaction open: RSET ends it." if state.data_refused else ""
    yield Evidence(f"{verb_of(x)} was sent inside the transaction{where}; {_answer(x)}.{kept}")


@rule("SEQ103", "rcpt-before-mail", "error", "client", "RFC 5321 §3.3, §4.1.4", on=_breaks("SEQ103"), formal=True)
def rcpt_before_mail(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """RCPT without an open transaction.

    RCPT names recipients for the transaction that an accepted MAIL opened. Behind a MAIL that was refused, once the
    client could see that, or after the end of a transaction it is out of order, and the reply is 503.
    """
    if served(x):
        refused = talk.session.causes.mail
        yield Evidence(
            f"RCPT was sent though no MAIL had opened a transaction; {_answer(x)}.{_because(refused, 'MAIL')}",
            caused_by=(refused, talk.session.causes.order),
        )


@rule("SEQ104", "data-before-mail", "error", "client", "RFC 5321 §3.3, §4.1.4", on=_breaks("SEQ104"), formal=True)
def data_before_mail(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """DATA, BDAT or BURL without an open transaction.

    Mail data belongs to a transaction with a reverse-path and at least one recipient. Without MAIL the reply is 503.
    """
    if served(x):
        refused = talk.session.causes.mail
        yield Evidence(
            f"{verb_of(x)} was sent though no MAIL had opened a transaction; {_answer(x)}.{_because(refused, 'MAIL')}",
            caused_by=(refused, talk.session.causes.order),
        )


@rule(
    "SEQ105",
    "data-without-recipient",
    "warning",
    "client",
    "RFC 5321 §3.3, §4.1.4; RFC 2033 §4.2",
    on=_breaks("SEQ105"),
    formal=True,
)
def data_without_recipient(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """DATA, BDAT or BURL although no recipient was accepted.

    The client had seen that every RCPT was refused, or had sent none, and went on to the mail data; the reply is 503 or
    554. In one pipelined group with RCPT this is allowed, for then the client could not know (RFC 2920 §3.1).
    """
    if x.ahead is not None:
        return  # sent while replies were outstanding
    refused = talk.session.causes.rcpt
    why = f" The RCPT in frame {refused.frame} was refused with {refused.code}." if refused is not None else ""
    answer = "the refusal is right" if x.code in {503, 554} else _answer(x)
    yield Evidence(f"{verb_of(x)} was sent though no recipient had been accepted; {answer}.{why}", caused_by=(refused,))


@rule("SEQ106", "data-bdat-mixed", "error", "client", "RFC 3030 §2", on=_breaks("SEQ106"), formal=True)
def data_bdat_mixed(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """DATA and BDAT mixed in one transaction.

    A transaction carries its mail data either by DATA or by BDAT. DATA behind a BDAT must be refused with 503.
    """
    yield Evidence(f"DATA was sent in a transaction that had begun with BDAT; {_answer(x)}.")


@rule("SEQ107", "bdat-after-last", "error", "client", "RFC 3030 §2", on=_breaks("SEQ107"))
def bdat_after_last(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """BDAT sent after BDAT LAST of the same transaction.

    LAST ends the mail data and with it the transaction; another chunk needs a new MAIL. The reply is 503.
    """
    yield Evidence(f"BDAT was sent behind BDAT LAST without a new MAIL; {_answer(x)}.")


@rule("SEQ108", "bdat-after-failed-bdat", "error", "client", "RFC 3030 §2", on=_breaks("SEQ108"))
def bdat_after_failed_bdat(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """More BDAT chunks after a chunk was refused.

    A refused chunk leaves the transaction indeterminate: the client must send RSET before anything else. Chunks that
    were already on their way in a pipelined group are excused.
    """
    yield Evidence(f"{verb_of(x)} was sent though a chunk had been refused and no RSET came between; {_answer(x)}.")


@rule(
    "SEQ109",
    "envelope-command-inside-bdat",
    "error",
    "client",
    "RFC 3030 §2; RFC 5321 §4.1.4",
    on=_breaks("SEQ109"),
)
def envelope_command_inside_bdat(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """RCPT, AUTH or STARTTLS between BDAT chunks.

    Once the first chunk was sent the envelope is closed, and neither identity nor channel may change until LAST.
    """
    yield Evidence(f"{verb_of(x)} was sent between BDAT chunks; {_answer(x)}.")


@rule(
    "SEQ110",
    "data-with-binarymime",
    "error",
    "client",
    "RFC 3030 §3",
    on=_breaks("SEQ110"),
)
def data_with_binarymime(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """DATA used for a BODY=BINARYMIME transaction.

    Binary content has no lines and no end mark that could not also stand inside it; it can only be sent by BDAT. The
    server must refuse DATA with 503.
    """
    yield Evidence(f"DATA was sent in a transaction declared BODY=BINARYMIME, which needs BDAT; {_answer(x)}.")


@rule("SEQ111", "auth-inside-transaction", "error", "client", "RFC 4954 §4", on=_breaks("SEQ111"))
def auth_inside_transaction(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """AUTH during a mail transaction.

    AUTH is not permitted between MAIL and the end of the transaction; the reply is 503. Authenticate before MAIL.
    """
    yield Evidence(f"AUTH was sent inside a mail transaction; {_answer(x)}.")


@rule("SEQ112", "auth-after-auth", "error", "client", "RFC 4954 §4", on=_breaks("SEQ112"))
def auth_after_auth(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Second AUTH after a successful one.

    A session is authenticated at most once; after a 235 every further AUTH must be refused with 503.
    """
    yield Evidence(f"AUTH was sent again though the session was authenticated already; {_answer(x)}.")


@rule(
    "SEQ113",
    "content-without-354",
    "error",
    "client",
    "RFC 5321 §3.3",
    on=OnExchange(marks=Mark.TEXT_AS_COMMANDS),
)
def content_without_354(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Message text sent although DATA was not answered 354.

    Only 354 asks for the mail data. A client that sends it after a refusal has its header lines taken for commands.
    """
    yield Evidence("The message was sent line by line though DATA had been refused: the server reads it as commands.")


@rule(
    "SEQ114",
    "command-after-quit",
    "error",
    "client",
    "RFC 5321 §4.1.4, §4.1.1.10",
    on=_breaks("SEQ114"),
)
def command_after_quit(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Client keeps talking after QUIT.

    QUIT ends the session: nothing may follow it but the close of the connection.
    """
    if x.act is Act.EVENT:
        yield Evidence("The client sent more behind QUIT, though no whole line.")
    elif x.before is None or x.before.phase is Phase.QUIT:
        yield Evidence(f"{verb_of(x)} was sent behind QUIT.")


@rule(
    "SEQ116",
    "tls-inside-tls",
    "error",
    "client",
    "RFC 3207 §4.2",
    on=_breaks("SEQ116"),
)
def tls_inside_tls(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """STARTTLS while TLS is already active.

    Inside TLS a server does not offer STARTTLS and a client must not ask for it; the reply is 503.
    """
    yield Evidence(f"STARTTLS was sent inside TLS; {_answer(x)}.")


@rule(
    "SEQ117",
    "wrong-hello-verb",
    "error",
    "client",
    "RFC 2033 §4.1",
    on=OnExchange(acts=frozenset({Act.EHLO, Act.HELO})),
    formal=True,
)
def wrong_hello_verb(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """LHLO sent to an SMTP server, or EHLO or HELO to an LMTP server.

    LMTP is told from SMTP by its hello: LHLO takes the place of EHLO and HELO, and neither protocol knows the other's.
    """
    assert x.command is not None
    lmtp = talk.profile == "lmtp"
    if (x.command.verb == b"LHLO") != lmtp:
        kind = "an LMTP" if lmtp else "an SMTP"
        yield Evidence(f"{verb_of(x)} was sent to {kind} server; {_answer(x)}.")
