"""SEQ: replies to commands out of order, and 503 replies to commands in order."""

# A reply is judged by the state that the server was in when it answered. A command out of order should be answered 503.
# A 503 to a command in order is reported unless something in the capture excuses it.

from __future__ import annotations

from typing import TYPE_CHECKING

from ..exchanges.exchange import Mark
from ..exchanges.state_table import Act, Phase
from .line_faults import at_fault
from .phrases import Code, Phrase
from .registry import Evidence, OnExchange, rule
from .sequence import TURNED_AWAY, ended_by_last, order_is_judged, verb_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__: list[str] = []

_ORDER = frozenset(
    {
        *("SEQ101", "SEQ102", "SEQ103", "SEQ104", "SEQ106", "SEQ107"),
        *("SEQ108", "SEQ109", "SEQ110", "SEQ111", "SEQ112", "SEQ116"),
    }
)


def _out_of_order(x: Exchange) -> bool:
    """Whether the command was out of order for the client and for the server. In a pipelined group after a refused
    command it may be out of order for the client only."""
    return x.breaks in _ORDER and x.server_breaks is not None and order_is_judged(x) and not ended_by_last(x)


_ORDER_TRIGGER = OnExchange(marks=Mark.CLIENT_ORDER, breaks=_ORDER)


@rule(
    "SEQ120",
    "out-of-order-accepted",
    "error",
    "server",
    "RFC 5321 §3.3, §4.1.4; RFC 3030 §2; RFC 4954 §4",
    on=_ORDER_TRIGGER,
)
def out_of_order_accepted(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Server accepted a command that the state forbids.

    A server must refuse a command out of order with 503. This server accepted it, so its state differs from the state
    that the RFC defines. From here on the audit follows the server. Fix the server: check the state before each
    command. Fix the client: send its commands in order; the finding that this one follows from says which.
    """
    if _out_of_order(x) and x.accepted and not _skips_refused_data(x):
        yield Evidence(
            Phrase(
                "The server accepted {verb} out of order with {code}; it should have answered 503.",
                verb=verb_of(x),
                code=Code(x.code),
            ),
            reply=True,
            caused_by=(x,),
        )


@rule("SEQ121", "out-of-order-wrong-code", "warning", "server", "RFC 5321 §4.1.4, §4.3.2", on=_ORDER_TRIGGER)
def out_of_order_wrong_code(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Out-of-order command refused with a code other than 503.

    Only 503 tells a client that its commands are out of order. With another code the client looks for the error
    somewhere else. It is a warning although RFC 5321 says that 503 must be returned: the command was refused all the
    same. Fix the server: answer 503. Fix the client: send its commands in order; the finding that this one follows from
    says which.
    """
    if not _out_of_order(x) or x.reply is None or x.code < 400 or x.code == 503 or _excused(x, talk):
        return
    yield Evidence(
        Phrase(
            "The server refused {verb}, which was out of order, with {code}; it should have answered 503.",
            verb=verb_of(x),
            code=Code(x.code),
        ),
        reply=True,
        caused_by=(x,),
    )


def _skips_refused_data(x: Exchange) -> bool:
    return x.breaks == "SEQ102" and x.state is not None and x.state.data_refused


def _excused(x: Exchange, talk: Conversation) -> bool:
    """Whether the code has a reason of its own even for a command out of order."""
    code = x.code
    if code in {421, 530, 538, 455, 555, 500, 502} or _skips_refused_data(x):
        return True
    if code == 501 and at_fault(x, talk):
        return True
    if code == 554 and x.act in {Act.DATA, Act.BDAT, Act.LAST}:
        return True
    return code == 550 and x.reply is not None and (x.reply.enhanced or "").startswith("5.7.")


@rule(
    "SEQ122",
    "empty-transaction-accepted",
    "warning",
    "server",
    "RFC 2920 §3.2(3); RFC 5321 §3.3; RFC 2033 §4.2",
    on=OnExchange(marks=Mark.EMPTY_TRANSACTION),
    severities={"lmtp": "error"},
)
def empty_transaction_accepted(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """DATA answered 354 although no recipient is valid.

    The server accepted mail data for a transaction without an accepted recipient, so the client sends the message in
    vain. The server should answer 503 or 554; in LMTP it must answer 503. Fix the server: refuse the command if the
    transaction has no recipient. Fix the client: do not send DATA when every recipient was refused; after a 354 all the
    same, send only the final dot.
    """
    before = x.before
    if before is None or not before.sure or before.phase is not Phase.MAIL:
        return
    if x.transaction is not None and x.transaction.session_known:
        phrase = Phrase(
            "The server answered {verb} with {code} although no recipient had been accepted.",
            verb=verb_of(x),
            code=Code(x.code),
        )
        yield Evidence(phrase, reply=True)


@rule(
    "SEQ123",
    "spurious-503",
    "warning",
    "server",
    "RFC 5321 §4.1.4, §4.2.3",
    on=OnExchange(marks=Mark.REFUSED_503, unless=Mark.SKIPPED),
)
def spurious_503(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """503 to a command that was in order.

    The dialogue shows that the command was in order. Either the server lost track of the session, or it has another
    reason (policy, a missing login) and did not send the code that belongs to that reason. No RFC forbids such a
    refusal, and the reason may not be in the capture, so the severity is a warning. Fix the server: use 503 only for
    commands out of order. Fix the client: read the text of the reply, which may name the true reason, such as a missing
    login.
    """
    if x.command is None or x.act is Act.ANYTIME or x.act is Act.RSET or not _in_order(x, talk):
        return
    yield Evidence(Phrase("The server answered 503 to {verb}, which was in order.", verb=verb_of(x)), reply=True)


_RECIPIENT_LIMIT = frozenset({452, 552})
_OPEN = frozenset({Act.STARTTLS, Act.ATRN, Act.XCLIENT})


def _in_order(x: Exchange, talk: Conversation) -> bool:
    """Whether nothing in the capture excuses a 503 (the "must not fire" list of SEQ123)."""
    before = x.before
    if before is None or not before.sure or talk.midstream or talk.record.gaps or not x.sure:
        return False
    if x.server_breaks is not None or x.breaks is not None or before.phase in {*TURNED_AWAY, Phase.QUIT}:
        return False
    if before.data_refused or before.phase is Phase.BROKEN or at_fault(x, talk):
        return False
    causes = talk.session.causes
    if causes.early is not None or causes.hello not in {None, x}:
        return False  # 503 is right after early talk (RFC 2920 §3.1), and after a hello that was refused
    if x.act is Act.TURN or (x.act is Act.OTHER and x.command is not None and x.command.verb.startswith(b"X")):
        return False  # when a private command is in order is not defined, and TURN never is
    if x.act in _OPEN and before.phase in {Phase.MAIL, Phase.RCPT}:
        return False
    if x.act in {Act.DATA, Act.RCPT} and _too_many(x):
        return False
    policy = x.reply is not None and ".7." in (x.reply.enhanced or "")
    return not (policy and x.act in {Act.MAIL, Act.RCPT})


def _too_many(x: Exchange) -> bool:
    """Whether the server may have reached a limit for recipients (RFC 5321 §4.5.3.1.10)."""
    asked = [] if x.transaction is None else [x, *x.transaction.recipients]
    return any(rcpt.marks & Mark.OVER_LIMIT or rcpt.code in _RECIPIENT_LIMIT for rcpt in asked)


@rule(
    "SEQ124",
    "session-free-command-503",
    "warning",
    "server",
    "RFC 5321 §4.1.4",
    on=OnExchange(marks=Mark.REFUSED_503, acts=frozenset({Act.ANYTIME, Act.RSET})),
)
def session_free_command_503(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """NOOP, HELP, EXPN, VRFY or RSET refused with 503.

    A client may send these five commands at any time in a session, even before EHLO, so they are never out of order.
    Fix the server: accept them in every state, or refuse them with another code. Fix the client: until then, send EHLO
    first.
    """
    before = x.before
    if before is None or before.phase in {*TURNED_AWAY, Phase.QUIT} or at_fault(x, talk):
        return
    if any(later.ahead is x and later.marks & Mark.HASTY for later in talk.session.due[:1]):
        return  # the client did not end its group there, and the server refuses the group (RFC 2920 §3.1)
    phrase = Phrase("The server answered 503 to {verb}, which is allowed at any time in a session.", verb=verb_of(x))
    yield Evidence(phrase, reply=True)
