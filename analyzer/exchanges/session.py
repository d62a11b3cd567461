"""The session: which commands are in flight, which state the server is in, and what the client could know."""

# Theory
# ------
# `due` holds the commands that the server still has to answer. Replies pair with them in order (RFC 2920 §3.1;
# `reply_pairing` has the exceptions), even if commands were pipelined, unknown or malformed. `state` is the server's
# state; each reply advances it.
#
# `_window` holds the commands whose replies the client could not have seen when it sent its last byte, judged by its
# ACK number. The client is judged by the state before that window (`_base`), under the presumption that all commands in
# the window succeed. If the client waits for each reply, the window is empty whenever a command is sent, and both
# views are the same object.

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from ..lines.acts import HELLOS
from .causes import NO_CAUSES, Causes
from .early_talk import MAY_END_GROUP, must_wait_for
from .ehlo_offers import contradicts
from .exchange import Exchange, Mark, Transaction
from .state_table import (
    BREAKS,
    NO_KEYWORDS,
    PRESUMED,
    START,
    TARGETS,
    Act,
    Hello,
    Phase,
    State,
    advance,
    broken_rule,
    moved,
    unsure,
)
from .usual_replies import odd_status

if TYPE_CHECKING:
    from ...dissectors.lines.replies import Reply

__all__ = ["Session", "mark_reply"]

MAX_UNSEEN = 20_000  # commands kept in the window of a client that acknowledges nothing
MAX_PRESUMED = 256  # commands in flight for which the presumed state is computed again after a refusal

_TOO_MANY = frozenset({"4.5.3", "5.5.3"})  # RFC 3463 §3.6: too many recipients
_OF_CODE = {500: Mark.NOT_IMPLEMENTED.value, 502: Mark.NOT_IMPLEMENTED.value, 503: Mark.REFUSED_503.value}
_DATA_ACTS = frozenset({Act.DATA, Act.BDAT, Act.LAST, Act.BURL})
_MORE_RULES = frozenset({Act.AUTH, Act.STARTTLS, Act.DATA, Act.BDAT, Act.LAST})  # see `_broken`
_CAUSES = frozenset({Act.EHLO, Act.HELO, Act.MAIL, Act.RCPT, Act.DATA, Act.STARTTLS, Act.END, Act.RSET})
_OPEN = frozenset({Phase.MAIL, Phase.RCPT, Phase.CHUNKS, Phase.BROKEN})
_GREETED = replace(START, phase=Phase.GREETED)
# Bound once: reading a member of an enum takes longer than the test that uses it.
_CLIENT_ORDER, _SERVER_ORDER, _ODD_STATUS = Mark.CLIENT_ORDER.value, Mark.SERVER_ORDER.value, Mark.ODD_STATUS.value
_AFTER_STARTTLS, _AFTER_421 = Mark.AFTER_STARTTLS.value, Mark.AFTER_421.value
_EHLO, _MAIL, _RCPT, _DATA, _BURL, _LAST = Act.EHLO, Act.MAIL, Act.RCPT, Act.DATA, Act.BURL, Act.LAST
_CLOSING = Phase.CLOSING
_HAVE_OWN_CODES = frozenset({Act.QUIT, Act.DATA, Act.AUTH, Act.ANSWER, Act.STARTTLS, Act.XCLIENT})


class Session:
    """Holds the commands without a reply and both views of the state."""

    __slots__ = ("_base", "_extensions", "_named", "_window", "causes", "due", "state", "transactions")

    def __init__(self, *, midstream: bool, extensions: bool = True) -> None:
        """``extensions``: False judges both sides by RFC 821, which has no extensions: keywords in the EHLO reply are
        ignored."""
        self._extensions = extensions
        self.state = State(Phase.READY, Hello(), sure=False) if midstream else START
        self.due: list[Exchange] = []
        self.causes: Causes = NO_CAUSES
        self.transactions: list[Transaction] = []  # that began with a MAIL of the dialogue
        self._window: list[Exchange] = []
        self._base = self.state
        # The last command with a code of its own of each kind that was sent while others waited, so that no reply looks
        # for one in vain. None: there was none.
        self._named: dict[Act, Exchange] | None = None

    def sent(self, x: Exchange, seen: int) -> None:
        """Record ``x``, which expects a reply, and what the client could know when it sent it.

        ``seen``: bytes of the server that the client had acknowledged, -1: everything so far.
        """
        window = self._window
        state = self.state
        stale = False
        if window and window[0].reply_end >= 0:
            if len(window) == 1 and (seen < 0 or window[0].reply_end <= seen):
                first = window.pop()
                first.in_flight, first.ahead = False, None
            else:
                stale = self._drop_seen(seen)
        if window:
            x.ahead = window[-1]
            state = self._presumed_state(stale=stale)
            ahead = x.ahead
            if x.act in _HAVE_OWN_CODES:
                self.note_own_code(x)
            if ahead.act in MAY_END_GROUP or ahead.marks & _AFTER_STARTTLS or not state.hello.pipelining:
                self._mark_hasty(x, ahead, state)
        else:
            self._base = state
            if self.causes is not NO_CAUSES:
                self.causes.early = None  # the client is in step
        x.state = state
        act = x.act
        if act is _MAIL:
            x.opens = Transaction(x, state)
            if x.turn >= 0:
                self.transactions.append(x.opens)
        if not state.sure:
            x.sure = False
        else:
            rule = BREAKS[state.phase][act]
            if rule is not None or act in _MORE_RULES:
                rule = x.breaks = _broken(state, act)
                if rule is not None:
                    x.marks |= _CLIENT_ORDER
        window.append(x)
        x.in_flight = True
        self.due.append(x)

    def _drop_seen(self, seen: int) -> bool:
        """Drop the commands at the front of the window whose replies the client has seen. Return whether one of them
        did not have the presumed result."""
        window, stale, count = self._window, False, 0
        crowded = len(window) - MAX_UNSEEN
        for x in window:
            if x.reply_end < 0 or (0 <= seen < x.reply_end and count >= crowded):
                break
            count += 1
            x.in_flight = False
            x.ahead = None  # not needed any more; the chain would keep all earlier exchanges in memory
            assert x.after is not None
            self._base = x.after
            stale = stale or (x.presumed is not None and x.presumed is not x.after and x.presumed != x.after)
        del window[:count]
        return stale

    def _mark_hasty(self, x: Exchange, ahead: Exchange, state: State) -> None:
        """Mark ``x`` if the client should have waited for the reply to ``ahead``. ``state``: the client's view."""
        if ahead.act is Act.STARTTLS or ahead.marks & Mark.AFTER_STARTTLS:
            ahead.marks |= Mark.AFTER_STARTTLS
            x.marks |= Mark.AFTER_STARTTLS
        elif x.act is Act.END or ahead.doubted or self.state.phase is Phase.CONNECTED:
            return
        elif must_wait_for(ahead, state.hello):
            x.marks |= Mark.HASTY
            self.begin_run(x)

    def begin_run(self, x: Exchange) -> None:
        """Record that the client sent ``x`` too early, so that it is out of step."""
        causes = self.own_causes()
        if causes.early is None:
            causes.early = x

    @property
    def quitting(self) -> bool:
        """Whether the client has sent QUIT."""
        return self.state.phase is Phase.QUIT or any(x.act is Act.QUIT for x in self.due)

    def in_view(self, x: Exchange) -> bool:
        """Whether the client had seen the reply to ``x`` when it sent its last command."""
        return not x.in_flight

    def answered(self, x: Exchange, reply: Reply) -> None:  # noqa: C901, PLR0912 - one test for each case that is rare
        """Advance the state: ``x`` got ``reply`` (or one of several)."""
        state, act, code = self.state, x.act, reply.code
        if x.before is None:
            x.before = state
            if state.sure:
                rule = x.breaks if state is x.state else _broken(state, act)
                if rule is not None:
                    x.server_breaks = rule
                    x.marks |= _SERVER_ORDER
        if code in _OF_CODE:
            x.marks |= _OF_CODE[code]
        if (state.hello.statuses and not reply.status_fits) or state.phase is _CLOSING:
            mark_reply(x, state, reply)
        if x.replies_due > 0:
            return
        target = TARGETS[state.phase][act][code // 100] if code != 421 else None
        if target is state.phase:
            after = state
        elif target is not None:
            after = moved(state, target)
        else:
            keywords = None
            if act is _EHLO and 200 <= code < 300:
                keywords = reply.keywords() if self._extensions else NO_KEYWORDS
                if keywords and contradicts(keywords, secure=state.hello.secure):
                    x.marks |= Mark.INCONSISTENT_OFFER
            command = x.line.command
            after = advance(state, act, code, b"" if command is None else command.verb, x.opens, keywords)
        if x.doubted:
            after = unsure(after)  # perhaps the reply answers another command
        self.state = x.after = after
        if x.transaction is None:
            transaction = x.opens if act is _MAIL and code < 300 else state.transaction
            if isinstance(transaction, Transaction):
                x.transaction = transaction
        if act is _RCPT and x.transaction is not None:
            x.transaction.recipients.append(x)
            if 250 <= code < 260:
                x.transaction.accepted += 1
            elif code >= 400 and reply.enhanced in _TOO_MANY:
                x.marks |= Mark.RECIPIENT_LIMIT
        elif act in _DATA_ACTS and x.transaction is not None and code < 400:
            _note_data(x, x.transaction, code)
        if act in _CAUSES and (
            code >= 400 or (self.causes is not NO_CAUSES and act is not _RCPT) or (act is _DATA and code < 300)
        ):
            causes = self.causes  # an accepted RCPT changes none of them
            if causes is NO_CAUSES:
                causes = self.causes = Causes()
            causes.remember(x, code)

    def own_causes(self) -> Causes:
        """Return the causes of this session, to be changed."""
        if self.causes is NO_CAUSES:
            self.causes = Causes()
        return self.causes

    def note_abuse(self, x: Exchange) -> None:
        """Remember ``x`` if it is the first abuse of the protocol: a server may defend itself from now on."""
        causes = self.own_causes()
        causes.abuse = causes.abuse or x

    def dispute(self, x: Exchange) -> None:
        """Remember that the server called ``x`` out of order although it was not."""
        if x.marks & Mark.REFUSED_503 and x.before is not None and x.before.sure and x.server_breaks is None:
            causes = self.own_causes()
            causes.disputed = causes.disputed | (HELLOS if x.act in HELLOS else {x.act})

    def greeted(self, x: Exchange, code: int) -> None:
        """Set the state after the greeting (RFC 5321 §3.1): 220, or the server refuses service."""
        x.before = self.state
        phase = Phase.CLOSING if code == 421 else Phase.TURNED_AWAY if code >= 400 else Phase.GREETED
        shared = phase is Phase.GREETED and self.state is START
        self.restart(_GREETED if shared else replace(self.state, phase=phase))
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

    def withdraw(self, x: Exchange) -> None:
        """Forget ``x``, which was sent last: it never arrived."""
        due = self.due
        due.pop()
        if self._named is not None and self._named.get(x.act) is x:
            before = next((one for one in reversed(due) if one.act is x.act), None)
            self._named = {act: one for act, one in (*self._named.items(), (x.act, before)) if one is not None}
        if self._window and self._window[-1] is x:
            self._window.pop()

    def note_own_code(self, x: Exchange) -> None:
        """Note that ``x``, which was sent while others waited, has a code of its own."""
        if self._named is None:
            self._named = {}
        self._named[x.act] = x

    def next_of(self, acts: frozenset[Act]) -> int:
        """Return the place in ``due`` of the first command of ``acts``, which have codes of their own; -1: there is
        none."""
        due = self.due
        if due and due[0].act in acts:
            return 0
        if self._named is None or not any(act in acts and x.reply_end < 0 for act, x in self._named.items()):
            return -1
        return next((n for n, x in enumerate(due) if x.act in acts), -1)

    def give_up(self, count: int) -> list[Exchange]:
        """Drop the oldest ``count`` commands in ``due``, whose replies are not in the capture; return them."""
        lost = self.due[:count]
        del self.due[:count]
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


def _note_data(x: Exchange, transaction: Transaction, code: int) -> None:
    """Note that a command for mail data was accepted in its transaction."""
    if not transaction.accepted and code != 221:  # 221 answers QUIT only
        x.marks |= Mark.EMPTY_TRANSACTION
    if x.act is _BURL:
        transaction.referred = True


def _broken(state: State, act: Act) -> str | None:
    """Return the rule of order that ``act`` violates, including the rule that depends on the transaction."""
    if act is not _DATA:
        return broken_rule(state, act)
    rule, transaction = BREAKS[state.phase][act], state.transaction
    if rule is not None or not isinstance(transaction, Transaction):
        return rule
    if not transaction.mail.line.plain and transaction.body == "BINARYMIME":
        return "SEQ110"  # RFC 3030 §3: an end mark could not be distinguished from the content
    return None


def mark_reply(x: Exchange, state: State, reply: Reply) -> None:
    """Mark faults of ``reply``, given in ``state``, that do not depend on the command."""
    if state.phase is _CLOSING:
        x.marks |= _AFTER_421
    if state.hello.statuses and odd_status(reply):
        x.marks |= _ODD_STATUS


def _presumed_after(state: State, x: Exchange) -> State:
    """Return the state if ``x`` succeeds; a command out of order is not presumed to succeed. But what the client sends
    after the last chunk belongs to another transaction, even if the server refuses the chunk."""
    if x.breaks is not None and (x.act is not _LAST or state.phase not in _OPEN):
        return state
    target = PRESUMED[state.phase][x.act]
    if target is not None:
        return state if target is state.phase else moved(state, target)
    command = x.line.command
    return advance(state, x.act, None, b"" if command is None else command.verb, x.opens)
