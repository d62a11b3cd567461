"""EXT: a client may use what the server offers in its EHLO reply, and the server must support what it offers."""

# The client is judged by the keywords that it could have received before it sent the command; in the profile rfc821
# there are none. These rules report nothing if the reply with the keywords was not captured, or if only one direction
# was.

from __future__ import annotations

from typing import TYPE_CHECKING

from ...dissectors.grammar.parameters import find_parameter
from ...dissectors.tables.sections import COMMAND_SECTIONS
from ..exchanges.command_marks import judged_command
from ..exchanges.early_talk import hello_awaited
from ..exchanges.ehlo_offers import (
    announced_limits,
    announced_size,
    command_keyword,
    mechanisms,
    misplaced_parameters,
    missing_command,
    missing_parameters,
)
from ..exchanges.exchange import Mark
from ..exchanges.state_table import Act
from .line_faults import at_fault
from .phrases import Code, Count, Keyword, Octets, Phrase, Term, Text
from .registry import Evidence, OnExchange, named, rule
from .reply_flaws import ReplyFlaw
from .reply_lines import keyword_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ...dissectors.lines.commands import Command
    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange
    from ..exchanges.state_table import Hello

__all__ = ["EXTENDED", "known_offer"]

_NOT_OFFERED = OnExchange(marks=Mark.NOT_OFFERED, unless=Mark.SKIPPED)
EXTENDED = {"rfc821": "off"}  # RFC 821 knows no extensions
_INCONSISTENT = Mark.INCONSISTENT_OFFER
_IMPLEMENTED = frozenset(
    {b"STARTTLS", b"AUTH", b"BDAT", b"ETRN", b"EXPN", b"HELP", b"VRFY"}
    | {b"SEND", b"SOML", b"SAML", b"TURN", b"XCLIENT", b"XFORWARD"}
)


def known_offer(x: Exchange, talk: Conversation) -> Hello | None:
    """What the client could know of the server's offer; None if that is not in the capture."""
    state = x.state
    if state is None or state.hello.keywords is None or not (talk.client_seen and talk.server_seen):
        return None
    return state.hello


def _listed_later(x: Exchange, talk: Conversation, missing: Callable[[Command, Hello], str | list[str] | None]) -> bool:
    """Whether the client sent ``x`` before the reply to its hello was complete, and that reply leaves nothing
    ``missing``. Then its only fault is that it did not wait (EXT504, SEC618)."""
    command = x.command
    if command is None or x.before is None:
        return False
    first = talk.session.causes.early or x
    early = hello_awaited(x) is not None or (x.marks | first.marks) & Mark.EARLY
    return bool(early) and not missing(command, x.before.hello)


def _no_offer(x: Exchange, talk: Conversation, hello: Hello) -> Phrase | None:
    """Why the client could know of no offer at all when it sent ``x``; None: it had the reply to an EHLO."""
    if hello_awaited(x) is not None:
        return Phrase("the reply to EHLO was not complete, so nothing had been offered yet")
    if hello.verb == b"HELO":
        return Phrase("the last hello was HELO, which offers no extension")
    if hello.verb is not None:
        return None
    sent = Term("accepted" if talk.session.causes.hello is not None else "sent")
    if hello.secure:
        return Phrase(
            "no EHLO had been {sent} since the TLS handshake, which makes earlier replies invalid (RFC 3207 §4.2)",
            sent=sent,
        )
    return Phrase("no EHLO had been {sent}", sent=sent)


def _answer(x: Exchange) -> Phrase:
    if x.reply is None:
        return Phrase("the capture contains no reply")
    return Phrase("the server answered {code}", code=Code(x.code))


@rule(
    "EXT501",
    "command-not-offered",
    "error",
    "client",
    "RFC 5321 §2.2.1, §4.1.1.1; RFC 3207 §3; RFC 4954 §3; RFC 3030 §2; RFC 1985 §2; RFC 4468 §3",
    on=_NOT_OFFERED,
)
def command_not_offered(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Extension command used without its EHLO keyword.

    A client may use an extension only if the reply to its last EHLO lists the keyword; otherwise the command is no part
    of the protocol that the two speak. After HELO, after a TLS handshake and before EHLO it may use none. Fix the
    client: read the EHLO reply, and send EHLO again after STARTTLS. Fix the server: list what it implements.
    """
    hello, command = known_offer(x, talk), x.command
    if hello is None or command is None or x.breaks == "SEQ116":
        return
    keyword = missing_command(command, hello)
    if keyword is None:
        return
    if _listed_later(x, talk, missing_command):
        return
    guessed = hello_awaited(x) is not None
    why = _no_offer(x, talk, hello) or Phrase("the server does not list {keyword}", keyword=Term(keyword))
    veil = talk.watching.veil if x.act is Act.STARTTLS and talk.watching is not None else None
    section = COMMAND_SECTIONS.get(x.name)
    yield Evidence(
        Phrase("{verb} was sent, but {why}; {answer}.", verb=named(x), why=why, answer=_answer(x)),
        reference="RFC 5321 §4.1.1.1" + (f"; {section}" if section else ""),
        caused_by=(veil,) if veil is not None or not guessed else None,
    )


@rule("EXT502", "parameter-not-offered", "error", "client", "RFC 5321 §4.1.1.3, §2.2.1, §4.1.1.11", on=_NOT_OFFERED)
def parameter_not_offered(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """MAIL or RCPT parameter of an extension that the server does not offer.

    Each parameter belongs to an extension. The client may use it only if the reply to the last EHLO lists the
    extension. A server answers 555 to a parameter that it does not know. Fix the client: send only parameters of listed
    extensions. Fix the server: list the extension, if it implements the parameter.
    """
    hello, command = known_offer(x, talk), judged_command(x)
    if hello is None or command is None or x.act not in {Act.MAIL, Act.RCPT}:
        return
    if _listed_later(x, talk, missing_parameters):
        return
    missing = missing_parameters(command, hello)
    if x.marks & Mark.MISPLACED and talk.profile != "rfc821":
        elsewhere = misplaced_parameters(x.act, command)  # EXT519 is about these
        missing = [name for name in missing if name not in elsewhere]
    if missing:
        found = find_parameter(x.raw, missing[0])
        why = _no_offer(x, talk, hello)
        yield Evidence(
            Phrase(
                "{verb} uses {parameters}, {why}; {answer}.",
                verb=named(x),
                parameters=Text(" and ".join(missing[:4])),
                why=Phrase("which the server does not offer") if why is None else Phrase("but {why}", why=why),
                answer=_answer(x),
            ),
            offset=None if found is None else x.offset + found[0],
            length=None if found is None else found[1] - found[0],
            count=len(missing),
        )


@rule(
    "EXT503",
    "auth-mechanism-not-offered",
    "warning",
    "client",
    "RFC 4954 §3, §4",
    on=_NOT_OFFERED,
    severities=EXTENDED,
)
def auth_mechanism_not_offered(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """AUTH mechanism is not in the advertised list.

    The EHLO reply lists the accepted mechanisms after the keyword AUTH, and the server answers 504 to any other one.
    With PLAIN or LOGIN the client sends the password for nothing. No RFC forbids the attempt; it is a warning because
    it is bound to fail. Fix the client: choose a mechanism from the list. Fix the server: list all that it accepts.
    """
    hello, command = known_offer(x, talk), x.command
    if hello is None or command is None or x.act is not Act.AUTH or not hello.lists("AUTH"):
        return
    offered = mechanisms(hello)
    if command.mechanism is not None and command.mechanism not in offered:
        yield Evidence(
            Phrase(
                "AUTH requests {mechanism}, but the server offers {offered}; {answer}.",
                mechanism=Text(command.mechanism),
                offered=Keyword(" ".join(sorted(offered)) or "none"),
                answer=_answer(x),
            )
        )


@rule(
    "EXT506",
    "size-over-maximum",
    "warning",
    "client",
    "RFC 1870 §4, §6.1",
    on=OnExchange(marks=Mark.OVER_SIZE, unless=Mark.SKIPPED),
    severities=EXTENDED,
)
def size_over_maximum(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Declared or sent size exceeds the advertised maximum.

    The number after SIZE in the EHLO reply is the size of the largest message that the server accepts, in octets. A
    client that knows that its message is larger should return it to the sender. The server should answer 552. No RFC
    forbids the attempt; it is a warning because it is bound to fail. Fix the client: compare the size of the message
    with the number before MAIL. Fix the server: raise the maximum, if its users need larger messages.
    """
    transaction = x.opens or x.transaction
    if transaction is None:
        return
    hello = transaction.state.hello
    most = announced_size(hello)
    if most is None or not talk.certain:
        return
    if x.act is Act.MAIL and x.command is not None:
        size = (x.command.parameters.get("SIZE") or b"").decode("latin-1")
        yield Evidence(
            Phrase(
                "MAIL declares {size} octets, but the server accepts at most {limit}; {answer}.",
                size=Text(size),
                limit=Octets(most),
                answer=_answer(x),
            )
        )
    elif x.act is Act.END and x.content is not None:
        yield Evidence(
            Phrase(
                "The message has {size} octets, but the server accepts at most {limit}; {answer}.",
                size=Octets(x.content.size),
                limit=Octets(most),
                answer=_answer(x),
            )
        )
    else:
        yield Evidence(
            Phrase(
                "The chunks add up to more than the {limit} octets that the server accepts; {answer}.",
                limit=Octets(most),
                answer=_answer(x),
            )
        )


@rule(
    "EXT509",
    "smtputf8-without-8bitmime",
    "error",
    "server",
    "RFC 6531 §3.1",
    on=OnExchange(marks=_INCONSISTENT, reply=ReplyFlaw.LONE_SMTPUTF8),
    severities=EXTENDED,
)
def smtputf8_without_8bitmime(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """SMTPUTF8 offered without 8BITMIME.

    A server that accepts UTF-8 header fields must also accept 8-bit content and list 8BITMIME. Fix the server: offer
    both or neither. Fix the client: until then, do not use SMTPUTF8 with this server.
    """
    if x.answer is not None and x.accepted and talk.certain:
        place = keyword_line(x.answer, talk, "SMTPUTF8")
        sentence = "The server offers SMTPUTF8 without 8BITMIME, which SMTPUTF8 requires."
        yield Evidence(sentence, reply=True, **place._asdict())


@rule(
    "EXT510",
    "binarymime-without-chunking",
    "error",
    "server",
    "RFC 3030 §3",
    on=OnExchange(marks=_INCONSISTENT, reply=ReplyFlaw.LONE_BINARYMIME),
    severities=EXTENDED,
)
def binarymime_without_chunking(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """BINARYMIME offered without CHUNKING.

    Binary content can only be sent with BDAT, so a client cannot use BINARYMIME without CHUNKING. Fix the server: offer
    both or neither. Fix the client: until then, convert the message and use BODY=8BITMIME or 7BIT.
    """
    if x.answer is not None and x.accepted and talk.certain:
        place = keyword_line(x.answer, talk, "BINARYMIME")
        sentence = "The server offers BINARYMIME without CHUNKING, which BINARYMIME requires."
        yield Evidence(sentence, reply=True, **place._asdict())


@rule(
    "EXT511",
    "starttls-readvertised",
    "error",
    "server",
    "RFC 3207 §4.2",
    on=OnExchange(marks=_INCONSISTENT),
    severities=EXTENDED,
)
def starttls_readvertised(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """STARTTLS offered inside TLS.

    After the TLS handshake the EHLO reply must not list STARTTLS, because TLS is already active. Fix the server: omit
    the keyword inside TLS. Fix the client: ignore the keyword inside TLS.
    """
    before, answer = x.before, x.answer
    if before is None or answer is None or not before.hello.secure:
        return
    if x.accepted and talk.certain and "STARTTLS" in answer.reply.keywords():
        place = keyword_line(answer, talk, "STARTTLS")
        yield Evidence("The server offers STARTTLS inside TLS.", reply=True, **place._asdict())


@rule(
    "EXT512",
    "offered-command-unimplemented",
    "error",
    "server",
    "RFC 5321 §4.2.4",
    on=OnExchange(marks=Mark.NOT_IMPLEMENTED, unless=Mark.HASTY | Mark.AFTER_STARTTLS | Mark.SKIPPED),
    severities=EXTENDED,
)
def offered_command_unimplemented(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Listed capability answered 500 or 502.

    A server must not list a command in its EHLO reply that it does not implement, which is the meaning of 500 and 502.
    Other codes exist for a server that implements a command but refuses it. Fix the server: implement the command, or
    do not list it. Fix the client: until then, go on without the command.
    """
    if x.command is None or x.before is None or x.command.verb not in _IMPLEMENTED or not (x.sure and talk.certain):
        return
    if at_fault(x, talk) and not x.marks & Mark.OBSOLETE:
        return  # SEND, SOML and SAML are discouraged, but a server that lists them must implement them
    if x.command.verb == b"HELP" and x.command.argument is not None:
        return  # RFC 5321 §4.1.1.8: HELP may be supported without arguments only
    keyword = command_keyword(x.command.verb) or x.name
    if x.before.hello.lists(keyword):
        phrase = Phrase(
            "The server lists {keyword}, but answered {code} to a well-formed {verb}.",
            keyword=Term(keyword),
            code=Code(x.code),
            verb=named(x),
        )
        yield Evidence(phrase, reply=True)


@rule(
    "EXT515",
    "requiretls-in-clear",
    "error",
    "client",
    "RFC 8689 §2",
    on=OnExchange(marks=Mark.REQUIRETLS_CLEAR, unless=Mark.SKIPPED),
    severities=EXTENDED,
)
def requiretls_in_clear(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """REQUIRETLS parameter outside TLS.

    REQUIRETLS requires that a message is only sent inside TLS, and the client may use the parameter only inside TLS.
    Here the message would have been sent in plain text. Fix the client: send STARTTLS first. Fix the server: refuse the
    parameter outside TLS, and do not list the keyword there.
    """
    if known_offer(x, talk) is not None:
        yield Evidence(Phrase("MAIL requests REQUIRETLS on a connection without TLS; {answer}.", answer=_answer(x)))


@rule(
    "EXT516",
    "limits-exceeded",
    "warning",
    "client",
    "RFC 9422 §4",
    on=OnExchange(marks=Mark.OVER_LIMIT | Mark.OVER_DOMAINS, unless=Mark.SKIPPED),
    severities=EXTENDED,
)
def limits_exceeded(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Client exceeds an announced LIMITS value.

    LIMITS in the EHLO reply announces the maximum number of MAIL commands in a session (MAILMAX), of RCPT commands in a
    transaction (RCPTMAX), and of recipient domains in a session (RCPTDOMAINMAX). The server may refuse commands beyond
    these limits. RFC 9422 does not forbid that; it is a warning because the message is then delayed or refused. Fix the
    client: respect the limits, and use another transaction or connection. Fix the server: announce higher limits, if it
    can serve them.
    """
    hello = known_offer(x, talk)
    if hello is None:
        return
    names = []
    if x.marks & Mark.OVER_LIMIT:
        names.append("MAILMAX" if x.act is Act.MAIL else "RCPTMAX")
    if x.marks & Mark.OVER_DOMAINS:
        names.append("RCPTDOMAINMAX")
    limits = [
        Phrase("{name}={limit}", name=Term(name), limit=Count(announced_limits(hello).get(name, 0))).numbered(number)
        for number, name in enumerate(names, 1)
    ]
    yield Evidence(
        Phrase(
            "{verb} exceeds {announced}, which the server announced; {answer}.",
            verb=named(x),
            announced=Phrase.joined(" and ", limits),
            answer=_answer(x),
        )
    )
