"""The session: which commands are in flight, which state the server is in, and what the client could know."""

# Theory
# ------
# `due` holds the commands that the server still has to answer. Replies pair with them strictly in order (RFC 2920
# §3.1), even if commands were pipelined, unknown or malformed. `state` is the server's state; each reply advances it.
#
# `_window` holds the commands whose replies the client could not have seen when it sent its last byte, judged by its
# ACK number. The client is judged by the state before that window (`_base`), under the presumption that all commands in
# the window succeed. If the client waits for each reply, the window is empty whenever a command is sent, and both
# views are the same object.

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from .ehlo_offers import contradicts
from .exchange import Exchange, Mark, Transaction
from .state_table import NO_KEYWORDS, START, Act, Hello, Phase, State, advance, broken_rule, unsure
from .usual_replies import odd_status

if TYPE_CHECKING:
    from ...dissectors.lines.replies import Reply

__all__ = ["Causes", "Session", "mark_reply"]

MAX_UNSEEN = 20_000  # commands kept in the window of a client that acknowledges nothing
MAX_PRESUMED = 256  # commands in flight for which the presumed state is computed again after a refusal

_ENDS_GROUP = frozenset(
    {Act.EHLO, Act.HELO, Act.DATA, Act.ANYTIME, Act.TURN, Act.ETRN, Act.AUTH, Act.ANSWER, Act.LAST, Act.STARTTLS}
)  # some of these may only be the last in a pipelined group; the rule checks in detail
_TOO_MANY = frozenset({"4.5.3", "5.5.3"})  # RFC 3463 §3.6: too many recipients
_OF_CODE = {500: Mark.NOT_IMPLEMENTED, 502: Mark.NOT_IMPLEMENTED, 503: Mark.REFUSED_503}
_CONTENT_ACTS = frozenset({Act.DATA, Act.BDAT, Act.LAST, Act.BURL})


class Causes:
    """Explanations why a session failed, for use as causes of later findings. None: no such problem.

    ``order``: the first command out of order since the last command that restored the order. ``disputed``: commands
    that the server called out of order although they were not (SEQ123).
    """

    __slots__ = ("data", "disputed", "hello", "mail", "order", "rcpt", "starttls")

    def __init__(self) -> None:
        self.hello: Exchange | None = None
        self.mail: Exchange | None = None
        self.rcpt: Exchange | None = None
        self.data: Exchange | None = None
        self.starttls: Exchange | None = None
        self.order: Exchange | None = None
        self.disputed: set[Act] = set()

    def remember(self, x: Exchange, code: int) -> None:
        """Update the causes: ``x`` was answered with ``code``."""
        act, refused = x.act, code >= 400
        if act in {Act.EHLO, Act.HELO}:
            self.hello = x if refused else None
        elif act is Act.MAIL:
            self.mail = x if refused else None
        elif act is Act.RCPT:
            self.rcpt = x if refused else self.rcpt
        elif act is Act.DATA:
            self.data = None if 300 <= code < 400 else x
        elif act is Act.STARTTLS:
            self.starttls = x if refused else None
        if not refused and act in _FRESH_START:
            self.mail = self.rcpt = self.order = None


_HELLOS = frozenset({Act.EHLO, Act.HELO})
_FRESH_START = frozenset({Act.EHLO, Act.HELO, Act.MAIL, Act.END, Act.RSET})


class Session:
    """Pairs commands with replies and holds both views of the state."""

    def __init__(self, *, midstream: bool, extensions: bool = True) -> None:
        """``extensions``: False judges both sides by RFC 821, which has no extensions: keywords in the EHLO reply are
        ignored."""
        self._extensions = extensions
        self.state = State(Phase.READY, Hello(), sure=False) if midstream else START
        self.due: deque[Exchange] = deque()
        self.causes = Causes()
        self._window: deque[Exchange] = deque()
        self._base = self.state

    def sent(self, x: Exchange, seen: int) -> None:
        """Record ``x``, which expects a reply, and what the client could know when it sent it.

        ``seen``: bytes of the server that the client had acknowledged, -1: everything so far.
        """
        window = self._window
        state = self.state
        if window:
            stale = False
            crowded = len(window) > MAX_UNSEEN
            while window and window[0].reply_end >= 0 and (seen < 0 or window[0].reply_end <= seen or crowded):
                first = window.popleft()
                first.in_flight = False
                first.ahead = None  # not needed any more; the chain would keep all earlier exchanges in memory
                crowded = len(window) > MAX_UNSEEN
                assert first.after is not None
                self._base = first.after
                stale = stale or first.presumed not in (None, first.after)
            if window:
                x.ahead = window[-1]
                state = self._presumed_state(stale=stale)
                if (
                    x.ahead.act in _ENDS_GROUP
                    or x.ahead.marks & Mark.AFTER_STARTTLS
                    or not state.hello.lists("PIPELINING")
                ):
                    self._mark_hasty(x, x.ahead)
        if not window:
            self._base = state
        x.state = state
        x.sure = state.sure
        if x.act is Act.MAIL:
            x.opens = Transaction(x, state)
        if state.sure:
            x.breaks = _broken(state, x.act)
            if x.breaks is not None:
                x.marks |= Mark.CLIENT_ORDER
        window.append(x)
        x.in_flight = True
        self.due.append(x)

    def _mark_hasty(self, x: Exchange, ahead: Exchange) -> None:
        """Mark ``x``, sent although the client should have waited for the reply to ``ahead``."""
        if ahead.act is Act.STARTTLS or ahead.marks & Mark.AFTER_STARTTLS:
            ahead.marks |= Mark.AFTER_STARTTLS
            x.marks |= Mark.AFTER_STARTTLS
        elif x.act is not Act.END and self.state.phase is not Phase.CONNECTED and not ahead.doubted:
            x.marks |= Mark.HASTY

    def in_view(self, x: Exchange) -> bool:
        """Whether the client had seen the reply to ``x`` when it sent its last command."""
        return not x.in_flight

    def answered(self, x: Exchange, reply: Reply) -> State:
        """Advance the state: ``x`` got ``reply`` (or one of several). Return the state in which the server answered."""
        state, act, code = self.state, x.act, reply.code
        if x.before is None:
            x.before = state
            if state.sure:
                x.server_breaks = x.breaks if state is x.state else _broken(state, act)
                if x.server_breaks is not None:
                    x.marks |= Mark.SERVER_ORDER
        x.marks |= _OF_CODE.get(code, 0)
        mark_reply(x, state, reply)
        if x.due > 0:
            return state
        keywords = None
        if act is Act.EHLO and 200 <= code < 300:
            keywords = reply.keywords() if self._extensions else NO_KEYWORDS
            if keywords and contradicts(keywords, secure=state.hello.secure):
                x.marks |= Mark.INCONSISTENT_OFFER
        verb = b"" if x.command is None else x.command.verb
        after = advance(state, act, code, verb=verb, transaction=x.opens, keywords=keywords)
        if x.doubted:
            after = unsure(after)  # perhaps the reply answers another command
        self.state = x.after = after
        transaction = x.opens if act is Act.MAIL and code < 300 else state.transaction
        if x.transaction is None and isinstance(transaction, Transaction):
            x.transaction = transaction
        if x.transaction is not None:
            if act is Act.RCPT:
                x.transaction.recipients.append(x)
                x.transaction.accepted += 250 <= code < 260
                if code >= 400 and reply.enhanced in _TOO_MANY:
                    x.marks |= Mark.RECIPIENT_LIMIT
            elif act in _CONTENT_ACTS and code < 400 and not x.transaction.accepted:
                x.marks |= Mark.EMPTY_TRANSACTION
            if act is Act.BURL and code < 400:
                x.transaction.referred = True
        self.causes.remember(x, code)
        return state

    def dispute(self, x: Exchange) -> None:
        """Remember that the server called ``x`` out of order although it was not."""
        if x.marks & Mark.REFUSED_503 and x.before is not None and x.before.sure and x.server_breaks is None:
            self.causes.disputed |= _HELLOS if x.act in _HELLOS else {x.act}

    def greeted(self, x: Exchange, code: int) -> None:
        """Set the state after the greeting (RFC 5321 §3.1): 220, or the server refuses service."""
        x.before = self.state
        phase = Phase.CLOSING if code == 421 else Phase.TURNED_AWAY if code >= 400 else Phase.GREETED
        self.restart(self.state._replace(phase=phase))
        x.after = self.state

    def restart(self, state: State) -> None:
        """Set the server's state after a change that no command caused."""
        self.state = state
        if not self._window:
            self._base = state

    def doubt(self) -> None:
        """Make the state unsure: bytes were lost that it may depend on."""
        self.state = unsure(self.state)
        self._base = unsure(self._base)
        # If one is in doubt already, all before it are in doubt too.
        for x in reversed(self._window):
            if x.doubted and not x.sure and x.presumed is not None and not x.presumed.sure:
                break
            x.presumed = None if x.state is None else unsure(_presumed_after(x.state, x))
            x.sure = False
            x.without_order()
        for x in reversed(self.due):
            if x.doubted:
                break
            x.doubted = True
        if isinstance(self.state.transaction, Transaction):
            self.state.transaction.session_known = False

    def give_up(self, count: int) -> list[Exchange]:
        """Drop the oldest ``count`` commands in ``due``, whose replies are not in the capture; return them."""
        lost = [self.due.popleft() for _ in range(count)]
        for x in lost:
            x.reply_end = 0
            x.before = x.after = self.state
        if not self.due:
            for x in self._window:
                x.in_flight = False
            self._window.clear()
            self._base = self.state
        return lost

    def _presumed_state(self, *, stale: bool) -> State:
        """Return the state if all commands in flight succeed."""
        last = self._window[-1]
        if not stale and last.state is not None:
            if last.presumed is None:
                last.presumed = _presumed_after(last.state, last)
            return last.presumed
        state = self._base
        if len(self._window) > MAX_PRESUMED:
            return unsure(state)
        for one in self._window:
            one.presumed = state = _presumed_after(state, one)
        return state


def _broken(state: State, act: Act) -> str | None:
    """Return the rule of order that ``act`` violates, including the rule that depends on the transaction."""
    rule = broken_rule(state, act)
    transaction = state.transaction
    if rule is None and act is Act.DATA and isinstance(transaction, Transaction) and transaction.body == "BINARYMIME":
        return "SEQ110"  # RFC 3030 §3: an end mark could not be distinguished from the content
    return rule


def mark_reply(x: Exchange, state: State, reply: Reply) -> None:
    """Mark faults of ``reply``, given in ``state``, that do not depend on the command."""
    if state.phase is Phase.CLOSING:
        x.marks |= Mark.AFTER_421
    listed = state.hello.keywords
    if listed and "ENHANCEDSTATUSCODES" in listed and odd_status(reply):
        x.marks |= Mark.ODD_STATUS


def _presumed_after(state: State, x: Exchange) -> State:
    """Return the state if ``x`` succeeds; a command out of order is not presumed to succeed."""
    if x.breaks is not None:
        return state
    verb = b"" if x.command is None else x.command.verb
    return advance(state, x.act, None, verb=verb, transaction=x.opens)
