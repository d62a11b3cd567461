"""SEQ: whose fault a 503 is, and what a server must not accept."""

# A reply is judged by the state that the server was in when it answered. What it answers to a command out of order is
# held against the 503 that was due; a 503 to a command in order against everything that could excuse it.

from __future__ import annotations

from typing import TYPE_CHECKING

from ..exchanges.exchange import Mark
from ..exchanges.state_table import Act, Phase
from .line_faults import at_fault
from .registry import Evidence, OnExchange, rule
from .sequence import TURNED_AWAY, ended_by_last, served, verb_of

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
    """Whether the command was out of order to the client and to the server. In a group behind a refused command it may
    be so to the client alone."""
    return x.breaks in _ORDER and x.server_breaks is not None and served(x) and not ended_by_last(x)


_ORDER_TRIGGER = OnExchange(marks=Mark.CLIENT_ORDER, breaks=_ORDER)


@rule(
    "SEQ120",
    "out-of-order-accepted",
    "error",
    "server",
    "RFC 5321 §3.3, §4.1.4; RFC 3030 §2; RFC 4954 §4",
    on=_ORDER_TRIGGER,
    formal=True,
)
def out_of_order_accepted(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Server accepted a command that the state forbids.

    A command out of order must be refused with 503. This server took it, so its state is no longer what the RFC says;
    the audit follows the server from here on.
    """
    if x.breaks == "SEQ101" and talk.watch.tls_missing:
        return  # see there
    if _out_of_order(x) and x.accepted and not _skips_refused_data(x):
        yield Evidence(f"{verb_of(x)} was out of order and answered {x.code}; 503 was due.", reply=True, caused_by=(x,))


@rule(
    "SEQ121", "out-of-order-wrong-code", "warning", "server", "RFC 5321 §4.1.4, §4.3.2", on=_ORDER_TRIGGER, formal=True
)
def out_of_order_wrong_code(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Out-of-order command refused with a code other than 503.

    503 tells a client that its order of commands is wrong; another code makes it look for the fault elsewhere.
    """
    if not _out_of_order(x) or x.reply is None or x.code < 400 or x.code == 503 or _excused(x, talk):
        return
    yield Evidence(
        f"{verb_of(x)} was out of order and refused with {x.code}; 503 would have named the reason.",
        reply=True,
        caused_by=(x,),
    )


def _skips_refused_data(x: Exchange) -> bool:
    return x.breaks == "SEQ102" and x.state is not None and x.state.data_refused


def _excused(x: Exchange, talk: Conversation) -> bool:
    """Codes that have a reason of their own even for a command out of order."""
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

    A server that accepts mail data for nobody makes the client send it in vain; it should answer 503 or 554, and in
    LMTP it must answer 503.
    """
    before = x.before
    if before is None or not before.sure or before.phase is not Phase.MAIL:
        return
    if x.transaction is not None and x.transaction.session_known:
        yield Evidence(f"{verb_of(x)} was answered {x.code} though no recipient had been accepted.", reply=True)


@rule(
    "SEQ123",
    "spurious-503",
    "warning",
    "server",
    "RFC 5321 §4.1.4, §4.2.3",
    on=OnExchange(marks=Mark.REFUSED_503),
    formal=True,
)
def spurious_503(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """503 to a command that was in order.

    By all that both sides said on this connection the command was due. Either the server lost track of the session, or
    it hides another reason (policy, a missing login) behind a code that speaks of order.
    """
    if x.command is None or x.act is Act.FREE or x.act is Act.RSET or not _in_order(x, talk):
        return
    yield Evidence(f"{verb_of(x)} was in order, yet the server answered 503.", reply=True)


_RECIPIENT_LIMIT = frozenset({452, 552})
_OPEN = frozenset({Act.STARTTLS, Act.ETRN, Act.XCLIENT})


def _in_order(x: Exchange, talk: Conversation) -> bool:
    """Whether nothing in view excuses a 503 (the "must not fire" list of SEQ123)."""
    before = x.before
    if before is None or not before.sure or talk.midstream or talk.record.gaps or not x.sure:
        return False
    if x.server_breaks is not None or x.breaks is not None or before.phase in {*TURNED_AWAY, Phase.QUIT}:
        return False
    if before.data_refused or before.phase is Phase.BROKEN or at_fault(x, talk):
        return False
    if x.act is Act.TURN or (x.act is Act.OTHER and x.command is not None and x.command.verb.startswith(b"X")):
        return False  # nobody knows when a private command is in order, and TURN never is
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
    on=OnExchange(marks=Mark.REFUSED_503, acts=frozenset({Act.FREE, Act.RSET})),
)
def session_free_command_503(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """NOOP, HELP, EXPN, VRFY or RSET refused with 503.

    These five may be used at any time in a session, before the hello too, so their order can never be wrong.
    """
    before = x.before
    if before is None or before.phase in {*TURNED_AWAY, Phase.QUIT} or at_fault(x, talk):
        return
    yield Evidence(f"{verb_of(x)} may come at any time, yet the server answered 503.", reply=True)
