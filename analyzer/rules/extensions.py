"""EXT: a client may use what the server offers in its EHLO reply, and the server must support what it offers."""

# The client is judged by the keywords that it could have received before it sent the command; in the profile rfc821
# there are none. These rules report nothing if the reply with the keywords was not captured, or if only one direction
# was.

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..exchanges.command_marks import judged_command
from ..exchanges.ehlo_offers import (
    announced_limit,
    announced_size,
    command_keyword,
    mechanisms,
    missing_command,
    missing_parameters,
)
from ..exchanges.exchange import Mark
from ..exchanges.state_table import Act
from .line_faults import at_fault
from .registry import Evidence, OnExchange, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange
    from ..exchanges.state_table import Hello

__all__: list[str] = []

_NOT_OFFERED = OnExchange(marks=Mark.NOT_OFFERED, unless=Mark.SKIPPED)
_EXTENDED = {"rfc821": "off"}  # RFC 821 knows no extensions
_INCONSISTENT = OnExchange(marks=Mark.INCONSISTENT_OFFER)
_ENDS_GROUP = frozenset({b"EHLO", b"LHLO", b"HELO", b"DATA", b"VRFY", b"EXPN", b"TURN", b"NOOP", b"ETRN", b"ATRN"})
_ONE_ROUND = frozenset({"PLAIN", "EXTERNAL", "XOAUTH2", "OAUTHBEARER"})
_IMPLEMENTED = frozenset(
    {b"STARTTLS", b"AUTH", b"BDAT", b"ETRN", b"EXPN", b"HELP", b"VRFY"}
    | {b"SEND", b"SOML", b"SAML", b"TURN", b"XCLIENT", b"XFORWARD"}
)


def _hello(x: Exchange, talk: Conversation) -> Hello | None:
    """What the client could know of the server's offer; None if that is not in the capture."""
    if x.state is None or x.state.hello.keywords is None or not talk.certain:
        return None
    return x.state.hello


def _answer(x: Exchange) -> str:
    return "the capture contains no reply" if x.reply is None else f"the server answered {x.code}"


@rule(
    "EXT501",
    "command-not-offered",
    "error",
    "client",
    "RFC 5321 §2.2.1, §4.1.1.1; RFC 3207 §4; RFC 4954 §3; RFC 3030 §2; RFC 1985 §3; RFC 4468 §3",
    on=_NOT_OFFERED,
)
def command_not_offered(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Extension command used without its EHLO keyword.

    A client may use an extension only if the reply to its last EHLO lists the keyword. After HELO, after a TLS
    handshake and before EHLO it may use none. Fix the client: read the EHLO reply, and send EHLO again after STARTTLS.
    """
    hello, command = _hello(x, talk), x.command
    if hello is None or command is None or x.breaks == "SEQ116":
        return
    keyword = missing_command(command, hello)
    if keyword is None:
        return
    if hello.verb is None:
        why = "no reply to EHLO had arrived"
        if hello.secure:
            why += " since the TLS handshake, which makes earlier replies invalid (RFC 3207 §4.2)"
    elif hello.verb == b"HELO":
        why = "the session was opened with HELO, which offers no extensions"
    else:
        why = f"the server does not list {keyword}"
    yield Evidence(f"{x.name} was sent, but {why}; {_answer(x)}.")


@rule("EXT502", "parameter-not-offered", "error", "client", "RFC 5321 §4.1.1.3, §2.2.1, §4.1.1.11", on=_NOT_OFFERED)
def parameter_not_offered(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """MAIL or RCPT parameter of an extension that the server does not offer.

    Each parameter belongs to an extension. The client may use it only if the reply to the last EHLO lists the
    extension. A server answers 555 to a parameter that it does not know. Fix the client: send only parameters of listed
    extensions.
    """
    hello, command = _hello(x, talk), judged_command(x)
    if hello is None or command is None or x.act not in {Act.MAIL, Act.RCPT}:
        return
    missing = missing_parameters(command, hello)
    if missing:
        found = re.search(rb" (" + re.escape(missing[0].encode("ascii")) + rb"(?:=[^ ]*)?)", x.raw, re.IGNORECASE)
        yield Evidence(
            f"{x.name} uses {' and '.join(missing[:4])}, which the server does not offer; {_answer(x)}.",
            offset=None if found is None else x.offset + found.start(1),
            length=None if found is None else len(found[1]),
            count=len(missing),
        )


@rule(
    "EXT503",
    "auth-mechanism-not-offered",
    "warning",
    "client",
    "RFC 4954 §3, §4",
    on=_NOT_OFFERED,
    severities=_EXTENDED,
)
def auth_mechanism_not_offered(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """AUTH mechanism is not in the advertised list.

    The EHLO reply lists the accepted mechanisms after the keyword AUTH, and the server answers 504 to any other one.
    With PLAIN or LOGIN the client sends the password for nothing. Fix the client: choose a mechanism from the list.
    """
    hello, command = _hello(x, talk), x.command
    if hello is None or command is None or x.act is not Act.AUTH or not hello.lists("AUTH"):
        return
    offered = mechanisms(hello)
    if command.mechanism is not None and command.mechanism not in offered:
        listed = " ".join(sorted(offered)) or "none"
        yield Evidence(f"AUTH requests {command.mechanism}, but the server offers {listed}; {_answer(x)}.")


@rule(
    "EXT504",
    "pipelining-not-offered",
    "error",
    "client",
    "RFC 5321 §4.3.1; RFC 2920 §3",
    on=OnExchange(marks=Mark.HASTY | Mark.HASTY_TEXT, unless=Mark.SKIPPED),
)
def pipelining_not_offered(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Next command sent before the reply, without PIPELINING.

    If the server does not list PIPELINING, the client must wait for each reply before it sends the next command.
    Clients that do not wait are often spam bots or scripts. The acknowledgement numbers of the client show whether it
    had received the reply. Fix the client: wait for each reply.
    """
    hello = _hello(x, talk)
    if hello is None or hello.lists("PIPELINING"):
        return
    if x.marks & Mark.HASTY and x.ahead is not None:
        yield Evidence(
            f"{_sent(x)} before the reply to {_waited_for(x.ahead)} arrived{_delay(x)}, "
            "but the server does not offer PIPELINING."
        )
    if x.marks & Mark.HASTY_TEXT:
        yield _early_text(x, "but the server does not offer PIPELINING")


@rule(
    "EXT505",
    "pipelining-order",
    "error",
    "client",
    "RFC 2920 §3.1; RFC 4954 §4",
    on=OnExchange(marks=Mark.HASTY | Mark.HASTY_TEXT, unless=Mark.SKIPPED),
    severities=_EXTENDED,
)
def pipelining_order(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Command that must end a pipelined group is followed by more.

    The reply to some commands decides what the client may send next, so such a command must be the last one in a
    pipelined group: EHLO, HELO, DATA, VRFY, EXPN, TURN, NOOP, ETRN, a last BURL, and AUTH (unless its only
    message was the initial response). This client sent more without waiting for that reply. Fix the
    client: wait for the reply to such a command.
    """
    hello = _hello(x, talk)
    if hello is None or not hello.lists("PIPELINING"):
        return
    if x.marks & Mark.HASTY and x.ahead is not None and _ends_group(x.ahead):
        yield Evidence(
            f"{_sent(x)} before the reply to {_waited_for(x.ahead)} arrived{_delay(x)}; "
            f"{_waited_for(x.ahead)} must be the last in a pipelined group."
        )
    if x.marks & Mark.HASTY_TEXT:
        yield _early_text(x, "which must be the last in a pipelined group")


def _sent(x: Exchange) -> str:
    """The beginning of a message about ``x``."""
    known = x.command is None or x.command.spec is not None or x.command.verb.startswith(b"X")
    return f"{x.name} was sent" if known else "A line that is not a command was sent"


def _delay(x: Exchange) -> str:
    """How much later the reply arrived that the client did not wait for."""
    earlier = x.ahead
    if earlier is None or earlier.reply is None or earlier.reply_time_ns < x.time_ns:
        return ""
    return f" ({(earlier.reply_time_ns - x.time_ns) / 1e6:.1f} ms later, in frame {earlier.reply_frame})"


def _ends_group(earlier: Exchange) -> bool:
    """Whether ``earlier`` must be the last command of a pipelined group."""
    if earlier.act is Act.ANSWER:
        return True
    command = earlier.command
    if command is None:
        return False
    if earlier.act is Act.AUTH:
        return command.mechanism not in _ONE_ROUND or command.initial is None
    return command.verb in _ENDS_GROUP or (earlier.act is Act.LAST and command.verb == b"BURL")


def _waited_for(earlier: Exchange) -> str:
    """The name of what the client should have waited for a reply to."""
    if earlier.command is not None:
        return earlier.name if earlier.command.name is not None else "the line before it"
    return "the message" if earlier.act is Act.END else "the AUTH line before it"


def _early_text(x: Exchange, why: str) -> Evidence:
    return Evidence(
        f"Message text was sent before the reply to DATA, {why}.", offset=x.offset + x.length, length=0, evidence=""
    )


@rule(
    "EXT506",
    "size-over-maximum",
    "warning",
    "client",
    "RFC 1870 §4, §6.1",
    on=OnExchange(marks=Mark.OVER_SIZE, unless=Mark.SKIPPED),
    severities=_EXTENDED,
)
def size_over_maximum(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Declared or sent size exceeds the advertised maximum.

    The number after SIZE in the EHLO reply is the size of the largest message that the server accepts, in octets. A
    client that knows that its message is larger should return it to the sender. The server should answer 552. Fix the
    client: compare the size of the message with the number before MAIL.
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
        yield Evidence(f"MAIL declares {size} octets, but the server accepts at most {most}; {_answer(x)}.")
    elif x.act is Act.END and x.content is not None:
        yield Evidence(f"The message has {x.content.size} octets, but the server accepts at most {most}; {_answer(x)}.")
    else:
        yield Evidence(f"The chunks add up to more than the {most} octets that the server accepts; {_answer(x)}.")


def _listed(x: Exchange, talk: Conversation) -> frozenset[str]:
    """The keywords of the EHLO reply to ``x``."""
    known = x.reply is not None and x.accepted and talk.certain
    return frozenset(x.reply.keywords()) if known and x.reply is not None else frozenset()


@rule("EXT509", "smtputf8-without-8bitmime", "error", "server", "RFC 6531 §3.1", on=_INCONSISTENT, severities=_EXTENDED)
def smtputf8_without_8bitmime(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """SMTPUTF8 offered without 8BITMIME.

    A server that accepts UTF-8 header fields must also accept 8-bit content and list 8BITMIME. Fix the server: offer
    both or neither.
    """
    listed = _listed(x, talk)
    if "SMTPUTF8" in listed and "8BITMIME" not in listed:
        yield Evidence("The server offers SMTPUTF8 without 8BITMIME, which SMTPUTF8 requires.", reply=True)


@rule("EXT510", "binarymime-without-chunking", "error", "server", "RFC 3030 §3", on=_INCONSISTENT, severities=_EXTENDED)
def binarymime_without_chunking(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """BINARYMIME offered without CHUNKING.

    Binary content can only be sent with BDAT, so a client cannot use BINARYMIME without CHUNKING. Fix the server: offer
    both or neither.
    """
    listed = _listed(x, talk)
    if "BINARYMIME" in listed and "CHUNKING" not in listed:
        yield Evidence("The server offers BINARYMIME without CHUNKING, which BINARYMIME requires.", reply=True)


@rule("EXT511", "starttls-readvertised", "error", "server", "RFC 3207 §4.2", on=_INCONSISTENT, severities=_EXTENDED)
def starttls_readvertised(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """STARTTLS offered inside TLS.

    After the TLS handshake the EHLO reply must not list STARTTLS, because TLS is already active. Fix the server: omit
    the keyword inside TLS.
    """
    if x.before is not None and x.before.hello.secure and not talk.watch.tls_missing and "STARTTLS" in _listed(x, talk):
        yield Evidence("The server offers STARTTLS inside TLS.", reply=True)


@rule(
    "EXT512",
    "offered-command-unimplemented",
    "error",
    "server",
    "RFC 5321 §4.2.4",
    on=OnExchange(marks=Mark.NOT_IMPLEMENTED, unless=Mark.HASTY | Mark.AFTER_STARTTLS | Mark.SKIPPED),
    severities=_EXTENDED,
)
def offered_command_unimplemented(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Listed capability answered 500 or 502.

    A server must not list a command in its EHLO reply that it does not implement, which is the meaning of 500 and 502.
    Other codes exist for a server that implements a command but refuses it. Fix the server: implement the command, or
    do not list it.
    """
    if x.command is None or x.before is None or x.command.verb not in _IMPLEMENTED or not (x.sure and talk.certain):
        return
    if at_fault(x, talk) and not x.marks & Mark.OBSOLETE:
        return  # SEND, SOML and SAML are discouraged, but a server that lists them must implement them
    keyword = command_keyword(x.command.verb) or x.name
    if x.before.hello.lists(keyword):
        yield Evidence(f"The server lists {keyword}, but answered {x.code} to a well-formed {x.name}.", reply=True)


@rule(
    "EXT515",
    "requiretls-in-clear",
    "error",
    "client",
    "RFC 8689 §2",
    on=OnExchange(marks=Mark.REQUIRETLS_CLEAR, unless=Mark.SKIPPED),
    severities=_EXTENDED,
)
def requiretls_in_clear(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """REQUIRETLS parameter outside TLS.

    REQUIRETLS requires that a message is only sent inside TLS, and the client may use the parameter only inside TLS.
    Here the message would have been sent in plain text. Fix the client: send STARTTLS first.
    """
    if _hello(x, talk) is not None:
        yield Evidence(f"MAIL requests REQUIRETLS on a connection without TLS; {_answer(x)}.")


@rule(
    "EXT516",
    "limits-exceeded",
    "warning",
    "client",
    "RFC 9422 §4",
    on=OnExchange(marks=Mark.OVER_LIMIT | Mark.OVER_DOMAINS, unless=Mark.SKIPPED),
    severities=_EXTENDED,
)
def limits_exceeded(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Client exceeds an announced LIMITS value.

    LIMITS in the EHLO reply announces the maximum number of MAIL commands in a session (MAILMAX), of RCPT commands in a
    transaction (RCPTMAX), and of recipient domains in a session (RCPTDOMAINMAX). The server may refuse commands
    beyond these limits. Fix the client: respect the limits, and use another transaction or connection.
    """
    hello = _hello(x, talk)
    if hello is None:
        return
    names = []
    if x.marks & Mark.OVER_LIMIT:
        names.append("MAILMAX" if x.act is Act.MAIL else "RCPTMAX")
    if x.marks & Mark.OVER_DOMAINS:
        names.append("RCPTDOMAINMAX")
    announced = " and ".join(f"{name}={announced_limit(hello, name)}" for name in names)
    yield Evidence(f"{x.name} exceeds {announced}, which the server announced; {_answer(x)}.")
