"""Beaten ways: dialogues that were judged before, found again step by step."""

# Theory
# ------
# What is reported of a connection follows from what both sides said, in which order, and what the client had seen when
# it spoke; hardly ever from addresses, times and frames. And nearly all connections of a capture say the same as
# others. So a dialogue is judged in full (`conversation`) until two connections took the same steps (`tokens`) and
# their reports agreed in everything but text that varies, places and times. From then on the way is beaten: a
# connection that goes it to its end gets its report from the pattern (`matcher`). Where a step is not known, all of the
# connection is judged in full, and nothing is lost but a little time.
#
# A way is not learned where that would be a guess:
# * a rule was asked about text that varies, unless it is declared to look at the form only;
# * a rule from elsewhere was asked about anything;
# * a finding tells of more than the dialogue: times, frames, addresses, other connections;
# * the report says something whose place or text no step explains;
# * bytes were lost, held back, sent twice with other content, or sent before an answer was seen;
# * times could matter: a pause of a second where the end of the connection is judged, of three minutes anywhere.

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..content.end_of_data import Content
from ..content.octet_checks import Flaw
from ..exchanges.ehlo_offers import announced_size
from ..exchanges.state_table import Act, Phase
from ..lines.client_reader import Mode
from .report_template import derive
from .tokens import MAX_STEP, SMALL_SIZE, client_step, greeting_step, hello_step, is_varied, reply_step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange
    from ..exchanges.starttls_history import ClearTextOffer
    from .report_template import Pattern, Step
    from .small_message import Letter

__all__ = [
    "CLIENT",
    "HELLOS",
    "LINES",
    "MAIL_DATA",
    "NOWHERE",
    "OPAQUE",
    "REPLY",
    "TLS",
    "Place",
    "Ways",
    "content_step",
    "first_of_reply",
    "fits",
    "learned",
    "look_around",
    "spot_step",
    "tls_step",
]

MAX_MEMO = 4096  # segments whose step is remembered
MAX_MEMO_BYTES = 160
MAX_PLACES = 4096  # in all ways together; when there are more, all are forgotten and learned anew

# How the client's next bytes are read at a place; NOWHERE: in a way that no step tells.
LINES, MAIL_DATA, TLS, OPAQUE, NOWHERE = range(5)


class Names(dict[bytes, "bytes | None"]):
    """Steps by the bytes of a segment. What is one is remembered, since most of it comes again; a login is none."""

    def __init__(self, step: Callable[[bytes], bytes | None]) -> None:
        super().__init__()
        self._step = step

    def __missing__(self, data: bytes) -> bytes | None:
        name = self._step(data)
        if name is not None and len(data) <= MAX_MEMO_BYTES:
            if len(self) >= MAX_MEMO:
                self.clear()
            self[data] = name
        return name


class Place:
    """Where a dialogue stands after some steps: how to read on, and the ways from here.

    ``client`` is one of the ways to read above; ``server`` names the step of what the server says next, None: it is
    encrypted. ``room``: octets that a message may have, where a step tells no sizes. ``offer``: an EHLO reply led here,
    see ``starttls_history.ClearTextOffer``. ``opening``: no hello was accepted yet. ``pattern``: the report of a
    dialogue that ends here; ``beaten``: two connections agreed on it; ``steep``: two did not. ``faulty``: whoever
    comes as far has broken a rule on the way.
    """

    __slots__ = (
        "beaten",
        "client",
        "faulty",
        "offer",
        "opening",
        "pattern",
        "replies",
        "room",
        "server",
        "steep",
        "template",
        "ways",
    )

    def __init__(self, client: int, server: Names | None, room: int = SMALL_SIZE, *, opening: bool = False) -> None:
        self.client = client
        self.server = server
        self.room = room
        self.opening = opening
        self.faulty = False
        self.offer: ClearTextOffer | None = None
        self.ways: dict[bytes | None, Place] = {}  # by the steps of the client, and by ends
        self.replies: dict[bytes | None, Place] = {}  # by the steps of the server
        self.pattern: Pattern | None = None
        self.beaten = False
        self.steep = False
        self.template: tuple[object, object] | None = (
            None  # of what is written of connections in a capture: that, and it
        )


class Ways:
    """All that was learned: a tree of places for each kind of connection that is not judged alike."""

    def __init__(self) -> None:
        self._roots: dict[object, Place] = {}
        self._places = 0

    def root(self, kind: object) -> Place:
        """Where dialogues of ``kind`` begin."""
        place = self._roots.get(kind)
        if place is None:
            place = self._roots[kind] = Place(LINES, _GREETING, opening=True)
        return place

    def learn(self, kind: object, trail: Sequence[tuple[bool, bytes, Place]], pattern: Pattern | None) -> None:
        """A dialogue took the steps of ``trail`` (of the server, name, where it led) and ended as ``pattern``; None: it
        has not ended, so that others can only wait at that place."""
        if self._places > MAX_PLACES:
            self._roots.clear()
            self._places = 0
        here = self.root(kind)
        first_fault = min((fault.step for fault in pattern.faults), default=len(trail)) if pattern else len(trail)
        for number, (of_server, name, place) in enumerate(trail):
            ways = here.replies if of_server else here.ways
            ahead = ways.get(name)
            if ahead is None:
                ahead = ways[name] = place
                self._places += 1
            here = ahead
            here.faulty = here.faulty or number >= first_fault
        if pattern is None:
            return
        if here.pattern is None:
            here.pattern = pattern
        elif here.pattern == pattern:
            here.beaten = not here.steep
        else:
            here.beaten, here.steep = False, True


def first_of_reply(steps: Sequence[Step]) -> Step:
    """The first of the steps of the server that the last one belongs to."""
    number = len(steps) - 1
    while number and steps[number - 1][0] == "server":
        number -= 1
    return steps[number]


def fits(name: bytes | None, data: bytes, room: int) -> bool:
    """Whether no number behind SIZE in ``data``, whose step is ``name``, is more than ``room``."""
    if room >= SMALL_SIZE or name is None or b"=\0" not in name:
        return True
    return all(int(number) <= room for number in _SIZES(data))


_SIZES = re.compile(rb"(?i: SIZE)=([0-9]{1,7})(?=[ \r])").findall


def content_step(content: Content | Letter) -> bytes | None:
    """The step that a whole message is: what is wrong with it, where no more than that counts. None: none."""
    if content.size >= SMALL_SIZE or (isinstance(content, Content) and not _is_whole(content)):
        return None
    return _MAIL_STEPS.get(content.flaws)


def spot_step(content: Content | Letter) -> bytes | None:
    """The step that a message with bytes above 127 is where a rule tells of them: where the first is, and how many."""
    if not isinstance(content, Content) or content_step(content) is None:
        return None
    spot = content.body_8bit
    if spot is None or spot.frame != content.frame:
        return None
    return b"\0mail %d %d %d" % (content.flaws, spot.offset - content.offset, spot.count)


def _is_whole(content: Content) -> bool:
    return content.complete and not content.cut and not content.missing


_MAIL_STEPS = {
    a | b | c | d: b"\0mail %d" % (a | b | c | d)
    for a in (0, Flaw.NO_DATE)
    for b in (0, Flaw.NO_FROM)
    for c in (0, Flaw.EMPTY)
    for d in (0, Flaw.EIGHT_BIT_BODY)
}


def tls_step(data: bytes) -> bytes | None:
    """The first record of a TLS handshake (RFC 8446 §5.1)."""
    return b"\0tls" if data[:2] == b"\x16\x03" and len(data) > 5 else None


def _as_it_is(data: bytes) -> bytes | None:
    return data if len(data) <= MAX_STEP and b"\0" not in data else None


CLIENT = Names(client_step)
_AS_IT_IS = Names(_as_it_is)
_TLS = Names(tls_step)
_GREETING = Names(greeting_step)
_HELLO = Names(hello_step)
REPLY = Names(reply_step)

_READS = {Mode.COMMAND: LINES, Mode.CONTENT: MAIL_DATA, Mode.TLS_EXPECTED: TLS, Mode.OPAQUE: OPAQUE}
_FREE_TEXT = frozenset({Act.MAIL, Act.RCPT, Act.DATA, Act.END, Act.RSET, Act.QUIT})
_OPENING = frozenset({Phase.CONNECTED, Phase.GREETED})
HELLOS = frozenset({Act.EHLO, Act.HELO})


def look_around(talk: Conversation) -> Place:
    """The place that the dialogue has come to."""
    reader, server = talk.readers
    due = talk.session.due
    names: Names | None = _AS_IT_IS
    if server.opaque:
        names = None
    elif server.expect_tls:
        names = _TLS
    elif not talk.greeted:
        names = _GREETING
    elif due and not server.unfinished and all(x.act in _FREE_TEXT for x in due):
        names = REPLY
    elif len(due) == 1 and due[0].act in HELLOS and not server.unfinished:
        names = _HELLO
    most = announced_size(talk.session.state.hello)
    room = SMALL_SIZE if most is None else min(most, SMALL_SIZE)
    opening = talk.session.state.phase in _OPENING
    return Place(_READS.get(reader.mode, NOWHERE), names, room, opening=opening)


def learned(talk: Conversation, steps: Sequence[Step], names: Sequence[bytes]) -> Pattern | None:
    """The pattern of a conversation that is over, if nothing in it hung on what varies."""
    if talk.individual:
        return None
    for rules, x in talk.asked or ():
        if not all(rule.own for rule in rules):
            return None
        if x is not None and not all(rule.formal for rule in rules) and _hangs_on_text(x, steps, names):
            return None
    return derive(talk.record, steps, names, talk.time, calm=talk.uneventful)


def _hangs_on_text(x: Exchange, steps: Sequence[Step], names: Sequence[bytes]) -> bool:
    """Whether text of ``x`` is not the same in all dialogues that take these steps."""
    for (side, data, start, _, _, content), name in zip(steps, names, strict=True):
        if is_varied(name):
            place = x.offset if side == "client" else x.reply_offset
            said = side == "server" or (x.command is not None if content is None else x.content is not None)
            if said and start <= place < start + max(len(data), 1):
                return True
    return False
