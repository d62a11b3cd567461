"""The state machine of an SMTP session (RFC 5321 §4.1.4 and the extensions) as one table."""

# Theory
# ------
# This file contains everything that decides the order of commands; code elsewhere only applies the table.
#
# A mail server that gets an illegal command refuses it. An auditor must go on: it records the violation and then
# follows the server, because that is the real state of the session. So each cell of the table says two things: which
# rule the command violates here (None: legal), and the next phase for each class of reply, for illegal commands too. A
# class that a cell does not name leaves the state unchanged.
#
# There are two views of one session. The *server's* state is advanced reply by reply: it is the state of the server
# when it answered. The *client's* state is what the client could know when it sent: all replies visible to it are
# applied, and all commands without a visible reply are presumed to succeed. The client is at fault only if the command
# is illegal in that presumed state. So MAIL, RCPT, DATA in one pipelined group are legal even if MAIL is then refused,
# and the 503 to RCPT is right as well. Both views use the same table; `advance(state, ..., code=None)` makes the
# presumed step.
#
# `sure` is False if the state is a guess, after lost bytes or a start in mid-stream: rules that depend on it then
# report nothing. An accepted hello, RSET or MAIL makes it sure again; only an accepted EHLO gives the keywords
# (`Hello.keywords`).
#
# An AUTH exchange is not a phase: during it the client can only answer challenges, and it ends in the phase where it
# started.

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from msgspec import Struct
from msgspec.structs import force_setattr, replace

from ..lines.acts import ACTS, Act
from ..lines.command_line import ALWAYS, SIZES_LIMITED, STARTTLS_OFFERED

__all__ = [
    "ACTS",
    "BREAKS",
    "NO_KEYWORDS",
    "PRESUMED",
    "START",
    "TABLE",
    "TARGETS",
    "Act",
    "Hello",
    "Phase",
    "State",
    "Step",
    "advance",
    "broken_rule",
    "moved",
    "unsure",
]


class Phase(IntEnum):
    """The state of a session between two commands."""

    CONNECTED = 0  # the greeting has not been seen
    GREETED = 1  # 220 seen, no hello accepted
    READY = 2  # hello accepted, no transaction
    MAIL = 3  # MAIL accepted, no recipient yet
    RCPT = 4  # at least one recipient accepted
    CONTENT = 5  # 354 seen, mail data flows
    CHUNKS = 6  # BDAT or BURL accepted, LAST not seen
    BROKEN = 7  # a chunk was refused: RFC 3030 §2 leaves only RSET, a hello and QUIT
    TLS = 8  # 220 to STARTTLS seen, the handshake is expected
    QUIT = 9  # QUIT accepted
    TURNED_AWAY = 10  # greeting 554 or 521 (RFC 5321 §3.1, RFC 7504): only QUIT is useful
    CLOSING = 11  # 421: the server is about to close (RFC 5321 §3.8)


class Step(Struct, frozen=True):
    """One cell: the rule that the command violates, and the next phase for 2yz, 3yz and 4yz/5yz (None: unchanged)."""

    breaks: str | None = None
    done: Phase | None = None
    more: Phase | None = None
    refused: Phase | None = None


_P = Phase
_HELLO = Step(done=_P.READY)
_QUIT = Step(done=_P.QUIT)
_RESET = Step(done=_P.READY)
_LEGAL = Step()
_TLS = Step(done=_P.TLS)
_XCLIENT = Step(done=_P.GREETED)
_NO_MAIL = {Act.RCPT: Step("SEQ103", done=_P.RCPT), Act.DATA: Step("SEQ104", more=_P.CONTENT)}
_NO_MAIL_CHUNKS = {
    Act.BDAT: Step("SEQ104", done=_P.CHUNKS),
    Act.LAST: Step("SEQ104", done=_P.READY),
    Act.BURL: Step("SEQ104", done=_P.CHUNKS),
}
_NESTED = Step("SEQ102", done=_P.MAIL)
_QUEUE = Step("SEQ126")  # RFC 1985 §5: ETRN is not allowed inside a transaction

# Cells that are the same in every phase between greeting and QUIT.
_ANYWHERE = {
    Act.EHLO: _HELLO,
    Act.HELO: _HELLO,
    Act.RSET: _LEGAL,
    Act.ANYTIME: _LEGAL,
    Act.ETRN: _LEGAL,
    Act.ATRN: _LEGAL,
    Act.XCLIENT: _XCLIENT,
    Act.TURN: _LEGAL,
    Act.QUIT: _QUIT,
    Act.OTHER: _LEGAL,
    Act.END: Step(done=_P.READY, refused=_P.READY),  # whatever the reply, the buffers are cleared (§4.1.1.4)
    Act.ANSWER: _LEGAL,
    Act.GREETING: _LEGAL,
    Act.NOTHING: _LEGAL,
    Act.EVENT: _LEGAL,
    Act.AUTH: _LEGAL,
    Act.STARTTLS: _TLS,
}

_GREETED = {**_ANYWHERE, **_NO_MAIL, **_NO_MAIL_CHUNKS, Act.MAIL: Step("SEQ101", done=_P.MAIL)}

TABLE: Mapping[Phase, Mapping[Act, Step]] = {
    # Before the greeting the client presumes a 220, so it is judged as if the 220 had come (SEC618 reports the rest).
    _P.CONNECTED: _GREETED,
    _P.GREETED: _GREETED,
    _P.READY: {**_ANYWHERE, **_NO_MAIL, **_NO_MAIL_CHUNKS, Act.MAIL: Step(done=_P.MAIL)},
    _P.MAIL: {
        **_ANYWHERE,
        Act.MAIL: _NESTED,
        Act.ETRN: _QUEUE,
        Act.RCPT: Step(done=_P.RCPT),
        Act.DATA: Step("SEQ105", more=_P.CONTENT),
        Act.BDAT: Step("SEQ105", done=_P.CHUNKS),
        Act.LAST: Step("SEQ105", done=_P.READY),
        Act.BURL: Step("SEQ105", done=_P.CHUNKS),
        Act.RSET: _RESET,
        Act.AUTH: Step("SEQ111"),
    },
    _P.RCPT: {
        **_ANYWHERE,
        Act.MAIL: _NESTED,
        Act.ETRN: _QUEUE,
        Act.RCPT: _LEGAL,
        Act.DATA: Step(more=_P.CONTENT),
        Act.BDAT: Step(done=_P.CHUNKS, refused=_P.BROKEN),
        Act.LAST: Step(done=_P.READY, refused=_P.BROKEN),
        Act.BURL: Step(done=_P.CHUNKS, refused=_P.BROKEN),
        Act.RSET: _RESET,
        Act.AUTH: Step("SEQ111"),
    },
    _P.CHUNKS: {
        **_ANYWHERE,
        Act.MAIL: _NESTED,
        Act.ETRN: _QUEUE,
        Act.RCPT: Step("SEQ109"),
        Act.DATA: Step("SEQ106", more=_P.CONTENT, refused=_P.BROKEN),
        Act.BDAT: Step(refused=_P.BROKEN),
        Act.LAST: Step(done=_P.READY, refused=_P.BROKEN),
        Act.BURL: Step(refused=_P.BROKEN),
        Act.RSET: _RESET,
        Act.AUTH: Step("SEQ109"),
        Act.STARTTLS: Step("SEQ109", done=_P.TLS),
    },
    _P.BROKEN: {
        **_ANYWHERE,
        Act.MAIL: _NESTED,
        Act.RCPT: Step("SEQ109"),
        Act.DATA: Step("SEQ106", more=_P.CONTENT),
        Act.BDAT: Step("SEQ108", done=_P.CHUNKS),
        Act.LAST: Step("SEQ108", done=_P.READY),
        Act.BURL: Step("SEQ108", done=_P.CHUNKS),
        Act.RSET: _RESET,
        Act.AUTH: Step("SEQ109"),
        Act.STARTTLS: Step("SEQ109", done=_P.TLS),
    },
    _P.CONTENT: {**_GREETED, **_ANYWHERE, Act.MAIL: _NESTED},
    _P.TLS: _GREETED,
    _P.QUIT: dict.fromkeys(Act, Step("SEQ114")),
    _P.TURNED_AWAY: {**dict.fromkeys(Act, _LEGAL), Act.QUIT: _QUIT},
    _P.CLOSING: {**dict.fromkeys(Act, _LEGAL), Act.QUIT: _QUIT},
}


class Hello(Struct, frozen=True, gc=False):
    """The data of the last accepted hello, with later changes.

    ``keywords``: EHLO keyword -> parameters, in upper case; empty after HELO; None if the reply was not seen.
    ``concerns``: which checks of a command line can find something (see ``command_line.ALWAYS``), ``pipelining`` and
    ``statuses``: whether PIPELINING and ENHANCEDSTATUSCODES were offered. These three follow from the others.
    """

    verb: bytes | None = None
    keywords: Mapping[str, tuple[str, ...]] | None = None
    authenticated: bool = False
    secure: bool = False
    concerns: int = ALWAYS
    pipelining: bool = False
    statuses: bool = False

    def __post_init__(self) -> None:
        keywords = self.keywords
        if keywords:
            exposed = STARTTLS_OFFERED if "STARTTLS" in keywords and not self.secure else 0
            force_setattr(self, "concerns", ALWAYS | exposed | (SIZES_LIMITED if "LIMITS" in keywords else 0))
            force_setattr(self, "pipelining", "PIPELINING" in keywords)
            force_setattr(self, "statuses", "ENHANCEDSTATUSCODES" in keywords)

    def lists(self, keyword: str) -> bool:
        """Whether ``keyword`` was certainly offered."""
        return self.keywords is not None and keyword in self.keywords


class State(Struct, frozen=True):
    """One view of the session. ``transaction``: the object that the caller passed with the MAIL that started it."""

    phase: Phase
    hello: Hello
    transaction: object | None = None
    after_last: bool = False  # a BDAT LAST ended the transaction and no MAIL came since (SEQ107)
    data_refused: bool = False  # DATA was refused: RFC 5321 is silent on whether the transaction is still open
    sure: bool = True


NO_KEYWORDS: Mapping[str, tuple[str, ...]] = {}
START = State(Phase.CONNECTED, Hello(keywords=NO_KEYWORDS))


def unsure(state: State) -> State:
    """Return the state after bytes were lost: a guess, with unknown keywords."""
    return State(state.phase, Hello(None, None, secure=state.hello.secure), state.transaction, sure=False)


def broken_rule(state: State, act: Act) -> str | None:
    """Return the id of the sequence rule that ``act`` violates in ``state``; None if ``act`` is legal."""
    rule = TABLE[state.phase][act].breaks
    if rule is None:
        if act is Act.AUTH and state.hello.authenticated and state.phase is Phase.READY:
            return "SEQ112"
        if act is Act.STARTTLS and state.hello.secure and state.phase is not Phase.CONTENT:
            return "SEQ116"
    elif rule == "SEQ104" and state.after_last and act in {Act.BDAT, Act.LAST}:
        return "SEQ107"
    return rule


def advance(
    state: State,
    act: Act,
    code: int | None,
    verb: bytes = b"",
    transaction: object | None = None,
    keywords: Mapping[str, tuple[str, ...]] | None = None,
) -> State:
    """Return the state after ``act`` was answered with ``code``; None: no reply visible yet, success is presumed.

    ``transaction``: for MAIL, the object to remember. ``keywords``: for EHLO, the keywords in the reply; None: unknown.
    """
    if code == 421:
        return replace(state, phase=Phase.CLOSING)
    step = TABLE[state.phase][act]
    if code is None:
        success = step.more if step.done is None else step.done
        target = success
        accepted = True
    elif 200 <= code < 300:
        target, accepted = step.done, True
    elif 300 <= code < 400:
        target, accepted = step.more, False
    else:
        if act is Act.DATA and code >= 400 and state.phase in {Phase.MAIL, Phase.RCPT}:
            return replace(state, data_refused=True)
        if act in _CHUNK_KEYWORDS:
            if state.hello.keywords is None:
                return unsure(state)
            if _CHUNK_KEYWORDS[act].isdisjoint(state.hello.keywords):
                return state  # for this server it was not a chunk but an unknown command
        target, accepted = step.refused, False
    if act in _CHANGES_MORE:
        return _special(state, act, code, target, accepted, verb, transaction, keywords)
    if target is None or target is state.phase:
        return state
    return moved(state, target)


def moved(state: State, phase: Phase) -> State:
    """Return the state in another phase, if nothing else changes."""
    return State(phase, state.hello, state.transaction, state.after_last, state.data_refused, state.sure)


_CHANGES_MORE = frozenset(
    {Act.EHLO, Act.HELO, Act.MAIL, Act.RSET, Act.LAST, Act.END, Act.AUTH, Act.ANSWER, Act.STARTTLS, Act.XCLIENT}
)


_CHUNK_KEYWORDS = {
    Act.BDAT: frozenset({"CHUNKING"}),
    Act.LAST: frozenset({"CHUNKING", "BURL"}),
    Act.BURL: frozenset({"BURL"}),
}


_LOGIN = frozenset({Act.AUTH, Act.ANSWER})
_MAIL, _END = Act.MAIL, Act.END  # bound once: reading a member of an enum takes longer than the test that uses it


def _special(  # noqa: PLR0911 - one return for each row of the table
    state: State,
    act: Act,
    code: int | None,
    target: Phase | None,
    accepted: bool,
    verb: bytes,
    transaction: object | None,
    keywords: Mapping[str, tuple[str, ...]] | None,
) -> State:
    """Return the state after a step that changes more than the phase."""
    hello = state.hello
    if act is _MAIL and accepted and target is not None:
        return State(Phase.MAIL, hello, transaction)
    if act is _END:
        return State(Phase.READY, hello, sure=state.sure) if target is not None else state
    if act in _LOGIN:
        if accepted and code in {None, 235}:
            return replace(state, hello=Hello(hello.verb, hello.keywords, True, hello.secure))
        return state
    if not accepted or (target is None and act is not Act.RSET):
        return state if target is None else replace(state, phase=target)
    match act:
        case Act.EHLO | Act.HELO:
            if state.phase in {Phase.QUIT, Phase.TURNED_AWAY, Phase.CLOSING}:
                return state
            listed = NO_KEYWORDS if act is Act.HELO else keywords
            if code is None:
                listed = hello.keywords  # reply not seen yet: the client may rely on the earlier keywords
            return State(Phase.READY, Hello(verb, listed, hello.authenticated, hello.secure))
        case Act.RSET:
            if target is None and state.sure:
                return replace(state, after_last=False, data_refused=False)
            return State(Phase.READY, hello)
        case Act.LAST:
            return State(Phase.READY, hello, None, True, sure=state.sure)
        case Act.XCLIENT if code != 220:
            return state
        case Act.STARTTLS if code not in {None, 220}:
            return state
        case _:  # XCLIENT 220: a new greeting; STARTTLS: the handshake comes first
            assert target is not None
            return State(target, hello, sure=state.sure)


# -- look-ups ----------------------------------------------------------------------------------------------------------

BREAKS: tuple[tuple[str | None, ...], ...] = tuple(tuple(TABLE[phase][act].breaks for act in Act) for phase in Phase)
"""By phase and act: the rule that a command violates, apart from what ``broken_rule`` adds for some acts."""


def _target(phase: Phase, act: Act, digit: int) -> Phase | None:
    """Return the phase after a reply with this first digit, None if only ``advance`` can say what it changes."""
    if act in _CHANGES_MORE or act in _CHUNK_KEYWORDS or (act is Act.DATA and digit > 3):
        return None
    step = TABLE[phase][act]
    target = {2: step.done, 3: step.more}.get(digit, step.refused)
    return phase if target is None else target


TARGETS: tuple[tuple[tuple[Phase | None, ...], ...], ...] = tuple(
    tuple(tuple(_target(phase, act, digit) for digit in range(10)) for act in Act) for phase in Phase
)
"""By phase, act and first digit of the reply: the next phase if nothing else changes, unless the code is 421; None: see
``advance``."""


def _presumed_target(phase: Phase, act: Act) -> Phase | None:
    """Return the phase if the command succeeds, None if only ``advance`` can say what changes."""
    if act in _CHANGES_MORE:
        return None
    step = TABLE[phase][act]
    target = step.more if step.done is None else step.done
    return phase if target is None else target


PRESUMED: tuple[tuple[Phase | None, ...], ...] = tuple(
    tuple(_presumed_target(phase, act) for act in Act) for phase in Phase
)
"""By phase and act: the next phase if the command succeeds and nothing else changes; None: see ``advance``."""
