"""SEQ: commands that the client sends out of order."""

# exchanges/state_table.py decides whether a command is out of order; these rules turn that into findings. The client is
# judged by what it could know when it sent the command. The rules report nothing while the state is uncertain: after
# lost bytes, if the capture starts in the middle of a connection, or if it has one direction only. How the server
# handled the command is judged in sequence_replies.py.

from __future__ import annotations

from typing import TYPE_CHECKING

from ..exchanges.exchange import Mark
from ..exchanges.state_table import Act, Phase
from .phrases import Code, Frame, Phrase, Term, Verb
from .registry import Evidence, OnExchange, named, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__ = ["TURNED_AWAY", "ended_by_last", "order_is_judged", "verb_of"]


def _breaks(*ids: str) -> OnExchange:
    return OnExchange(marks=Mark.CLIENT_ORDER, breaks=frozenset(ids))


def verb_of(x: Exchange) -> Verb | Term:
    """The verb of the command, for a phrase."""
    return named(x, "a command")


def _answer(x: Exchange) -> Phrase:
    """The server's answer, for the end of a phrase."""
    if x.reply is None:
        return Phrase("the capture contains no reply")
    if x.code == 503:
        return Phrase("the server correctly answered 503")
    if x.accepted:
        return Phrase("the server accepted it with {code}", code=Code(x.code))
    return Phrase("the server refused it with {code}", code=Code(x.code))


def _because(refused: Exchange | None) -> Phrase:
    """A sentence about the refused command that explains why no transaction is open; empty if there was none."""
    if refused is None or refused.reply is None:
        return Phrase("")
    return Phrase(
        " {refused}{required}, so it opened no transaction.",
        refused=_refused(refused, Verb("MAIL")),
        required=Phrase(", which requires AUTH or STARTTLS first" if refused.code == 530 else ""),
    )


def _refused(x: Exchange, verb: Verb | Term) -> Phrase:
    """The start of a sentence about a refused command."""
    return Phrase(
        "The {refused_verb}{refused_place} was refused with {refused_code}",
        refused_verb=verb,
        refused_place=Phrase(" in frame {refused_frame}", refused_frame=Frame(x.frame)) if x.frame else Phrase(""),
        refused_code=Code(x.code),
    )


def _early_hello(talk: Conversation) -> Exchange | None:
    """The last hello, if it was sent before the greeting was complete, and refused."""
    hello = talk.session.causes.hello
    return hello if hello is not None and hello.marks & Mark.EARLY else None


TURNED_AWAY = frozenset({Phase.TURNED_AWAY, Phase.CLOSING})


def ended_by_last(x: Exchange) -> bool:
    """Whether the server refused the BDAT LAST of the transaction that is open when MAIL comes. RFC 3030 §2 requires
    RSET after a failed BDAT, but the message has ended, as it has after a refused end of data."""
    state = x.state
    if x.breaks != "SEQ102" or state is None or state.phase is not Phase.BROKEN:
        return False
    content = getattr(state.transaction, "content", None)
    return content is not None and content.complete


def order_is_judged(x: Exchange) -> bool:
    """Whether the order of commands is judged: after a greeting of 554 or 521 neither side is at fault."""
    return x.before is None or x.before.phase not in TURNED_AWAY


@rule("SEQ101", "mail-before-hello", "error", "client", "RFC 5321 §4.1.1.1, §4.1.4", on=_breaks("SEQ101"))
def mail_before_hello(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Mail transaction started before any accepted EHLO or HELO.

    The client sent MAIL before the server had accepted EHLO or HELO. A client must send EHLO (or HELO) first. After a
    TLS handshake the session starts again from the beginning, and the client must repeat EHLO (RFC 3207 §4.2). The
    server must answer 503. Fix the client: send EHLO first, and again after STARTTLS.
    """
    if not order_is_judged(x):
        return
    refused = talk.session.causes.hello
    why = Phrase("")
    if refused is not None and refused.reply is not None:
        why = Phrase(" {refused}.", refused=_refused(refused, verb_of(refused)))
    yield Evidence(
        Phrase(
            "{verb} was sent although no EHLO or HELO had been accepted; {answer}.{why}",
            verb=verb_of(x),
            answer=_answer(x),
            why=why,
        ),
        caused_by=(refused, talk.session.causes.order),
    )


@rule("SEQ102", "nested-mail", "error", "client", "RFC 5321 §4.1.4", on=_breaks("SEQ102"))
def nested_mail(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """MAIL sent while a transaction is already open.

    The client sent a second MAIL before the transaction had ended. A transaction ends with the reply to the end of
    data, or with RSET, EHLO, HELO or QUIT. Until then the server must refuse another MAIL with 503. Fix the client:
    send RSET to abandon a transaction.
    """
    state = x.state
    if state is None or (state.data_refused and x.code != 503) or ended_by_last(x):
        return  # the RFC does not say whether a refused DATA ends the transaction; this server ended it
    if x.reply is not None and x.before is not None and x.before.sure and x.server_breaks is None:
        return  # pipelined with the MAIL before it, which was refused
    opened = getattr(state.transaction, "mail", None)
    where = Phrase("")
    if opened is not None and opened.frame:
        where = Phrase(" (opened by MAIL in frame {mail_frame})", mail_frame=Frame(opened.frame))
    kept = Phrase("")
    if state.data_refused:
        kept = Phrase(" DATA was refused, which leaves the transaction open; RSET ends it.")
    yield Evidence(
        Phrase(
            "{verb} was sent while a transaction was open{where}; {answer}.{kept}",
            verb=verb_of(x),
            where=where,
            answer=_answer(x),
            kept=kept,
        )
    )


@rule("SEQ103", "rcpt-before-mail", "error", "client", "RFC 5321 §3.3, §4.1.4", on=_breaks("SEQ103"))
def rcpt_before_mail(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """RCPT without an open transaction.

    RCPT adds a recipient to the transaction that an accepted MAIL opened. RCPT is out of order after a MAIL that was
    refused, if the client could already see the refusal, and after the end of a transaction. The server must answer
    503. Fix the client: send RCPT only after an accepted MAIL.
    """
    if order_is_judged(x):
        refused = talk.session.causes.mail
        yield Evidence(
            Phrase(
                "RCPT was sent without an open transaction; {answer}.{why}",
                answer=_answer(x),
                why=_because(refused),
            ),
            caused_by=(refused, talk.session.causes.order, _early_hello(talk)),
        )


@rule("SEQ104", "data-before-mail", "error", "client", "RFC 5321 §3.3, §4.1.4", on=_breaks("SEQ104"))
def data_before_mail(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """DATA, BDAT or BURL without an open transaction.

    Mail data belongs to a transaction with a reverse-path and at least one recipient. Without MAIL the server should
    answer 503. Fix the client: send MAIL and RCPT first.
    """
    if order_is_judged(x):
        refused = talk.session.causes.mail
        yield Evidence(
            Phrase(
                "{verb} was sent without an open transaction; {answer}.{why}",
                verb=verb_of(x),
                answer=_answer(x),
                why=_because(refused),
            ),
            caused_by=(refused, talk.session.causes.order, _early_hello(talk)),
        )


@rule(
    "SEQ105",
    "data-without-recipient",
    "warning",
    "client",
    "RFC 5321 §3.3, §4.1.4; RFC 2033 §4.2",
    on=_breaks("SEQ105"),
)
def data_without_recipient(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """DATA, BDAT or BURL although no recipient was accepted.

    The client had seen that the server refused every RCPT, or it had sent none, and still sent the mail data command.
    The server should answer 503 or 554. In one pipelined group with RCPT the command is allowed, because the client
    cannot know the replies yet (RFC 2920 §3.1). It is a warning, because after refused recipients no RFC forbids the
    command. Fix the client: send RSET or QUIT if no recipient was accepted.
    """
    if x.ahead is not None:
        return  # sent while replies were outstanding
    refused = talk.session.causes.rcpt
    why = Phrase("")
    if refused is not None:
        why = Phrase(" {refused}.", refused=_refused(refused, Verb("RCPT")))
    answer = _answer(x)
    if talk.profile == "lmtp" and x.act is Act.LAST:
        answer = Phrase("in LMTP it gets no reply then" if x.reply is None else "in LMTP it should get no reply then")
    elif x.code in {503, 554}:
        answer = Phrase("the server correctly refused it with {code}", code=Code(x.code))
    phrase = Phrase(
        "{verb} was sent although no recipient had been accepted; {answer}.{why}",
        verb=verb_of(x),
        answer=answer,
        why=why,
    )
    yield Evidence(phrase, caused_by=(refused,))


@rule("SEQ106", "data-bdat-mixed", "error", "client", "RFC 3030 §2", on=_breaks("SEQ106"))
def data_bdat_mixed(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """DATA and BDAT mixed in one transaction.

    A transaction carries its mail data either with DATA or with BDAT. The server must refuse DATA after BDAT with 503.
    Fix the client: use only one of the two in a transaction.
    """
    yield Evidence(Phrase("DATA was sent after BDAT in the same transaction; {answer}.", answer=_answer(x)))


@rule("SEQ107", "bdat-after-last", "error", "client", "RFC 3030 §2", on=_breaks("SEQ107"))
def bdat_after_last(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """BDAT sent after BDAT LAST of the same transaction.

    BDAT LAST ends the mail data and the transaction. Another chunk needs a new MAIL. The server must answer 503. Fix
    the client: put LAST on the last chunk only.
    """
    yield Evidence(Phrase("BDAT was sent after BDAT LAST without a new MAIL; {answer}.", answer=_answer(x)))


@rule("SEQ108", "bdat-after-failed-bdat", "error", "client", "RFC 3030 §2", on=_breaks("SEQ108"))
def bdat_after_failed_bdat(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """More BDAT chunks after a chunk was refused.

    A refused chunk leaves the transaction in an indeterminate state, and the client must send RSET before anything
    else. Chunks that the client had already sent in a pipelined group are not reported. Fix the client: send RSET after
    a refused chunk.
    """
    yield Evidence(
        Phrase(
            "{verb} was sent after a chunk was refused, without RSET in between; {answer}.",
            verb=verb_of(x),
            answer=_answer(x),
        )
    )


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

    After the first chunk the envelope is complete. Until BDAT LAST, the client must not add recipients, authenticate or
    start TLS. No RFC names STARTTLS there, but TLS would discard the chunks. Fix the client: send these commands before
    the first chunk.
    """
    yield Evidence(Phrase("{verb} was sent between BDAT chunks; {answer}.", verb=verb_of(x), answer=_answer(x)))


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

    Binary content has no lines, and the end mark of DATA could also occur inside it, so the client must send it with
    BDAT. The server must refuse DATA with 503. Fix the client: use BDAT, or convert the message.
    """
    yield Evidence(
        Phrase(
            "DATA was sent in a transaction declared BODY=BINARYMIME, which requires BDAT; {answer}.", answer=_answer(x)
        )
    )


@rule("SEQ111", "auth-inside-transaction", "error", "client", "RFC 4954 §4", on=_breaks("SEQ111"))
def auth_inside_transaction(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """AUTH during a mail transaction.

    AUTH is not permitted between MAIL and the end of the transaction. The server must answer 503. Fix the client:
    authenticate before MAIL.
    """
    yield Evidence(Phrase("AUTH was sent during a mail transaction; {answer}.", answer=_answer(x)))


@rule("SEQ112", "auth-after-auth", "error", "client", "RFC 4954 §4", on=_breaks("SEQ112"))
def auth_after_auth(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Second AUTH after a successful one.

    A session is authenticated at most once. After a 235 reply the server must refuse every further AUTH with 503. Fix
    the client: open a new connection to log in as another user.
    """
    yield Evidence(
        Phrase("AUTH was sent again although the session was already authenticated; {answer}.", answer=_answer(x))
    )


@rule(
    "SEQ114",
    "command-after-quit",
    "error",
    "client",
    "RFC 5321 §4.1.4, §4.1.1.10",
    on=_breaks("SEQ114"),
)
def command_after_quit(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Client sends more after QUIT.

    QUIT ends the session. The client must not send anything after it except the close of the connection. Fix the
    client: send QUIT last.
    """
    if x.act is Act.EVENT:
        yield Evidence("The client sent more data after QUIT, but no complete line.")
    elif x.before is None or x.before.phase is Phase.QUIT:
        yield Evidence(Phrase("{verb} was sent after QUIT.", verb=verb_of(x)))


@rule(
    "SEQ116",
    "tls-inside-tls",
    "error",
    "client",
    "RFC 3207 §4.2; RFC 5321 §4.1.4",
    on=_breaks("SEQ116"),
)
def tls_inside_tls(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """STARTTLS while TLS is already active.

    Inside TLS a server does not offer STARTTLS, and a client must not send it. The server should answer 503. Fix the
    client: send STARTTLS only once.
    """
    yield Evidence(Phrase("STARTTLS was sent inside TLS; {answer}.", answer=_answer(x)))


@rule(
    "SEQ117",
    "wrong-hello-verb",
    "error",
    "client",
    "RFC 2033 §4.1",
    on=OnExchange(acts=frozenset({Act.EHLO, Act.HELO})),
)
def wrong_hello_verb(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """LHLO sent to an SMTP server, or EHLO or HELO to an LMTP server.

    LMTP uses LHLO in place of EHLO and HELO, and neither protocol knows the verb of the other. Fix the client: use the
    protocol that the port serves. Fix the server: serve LMTP on a port of its own, so that no client meets it by
    mistake.
    """
    command, lmtp = x.line.command, talk.profile == "lmtp"
    if command is not None and command.verb != b"LHLO" and x.marks & Mark.LMTP_SERVER:
        lmtp = True  # its profile follows the hello that it accepted last
    if command is not None and (command.verb == b"LHLO") != lmtp:
        yield Evidence(
            Phrase(
                "{verb} was sent to {protocol} server; {answer}.",
                verb=verb_of(x),
                protocol=Term("an LMTP" if lmtp else "an SMTP"),
                answer=_answer(x),
            )
        )
