"""Who listens to a flow: first one that walks the beaten ways, then whoever judges what it carries."""

# Theory
# ------
# A flow goes from listener to listener, and each takes over all that came before it:
#
#   Walker  -> finds each step among the ways that are known; where it ends on a beaten one, it writes the report itself
#   Candidate  -> (only where the first step is not known) gathers the first bytes, until they tell whether it is SMTP
#   Scout  -> passes all on to a conversation and notes the steps, for others to find
#   Attached  -> passes all on to a conversation
#
# A flow whose beginning was not captured, or not on a port of SMTP, begins as a candidate.

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

from .beaten import (
    CLIENT,
    HELLOS,
    LINES,
    MAIL_DATA,
    OPAQUE,
    REPLY,
    TLS,
    Place,
    Ways,
    content_step,
    fits,
    learned,
    look_around,
    tls_step,
)
from .client import Mode
from .closing import SECOND, SLOW_DATA_NS
from .content import Content
from .detect import Verdict, judge_heads, preamble
from .endpoints import endpoint
from .pattern import write
from .servers import Offer, PlainOffer, plain_offer

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Sequence

    from . import model
    from .conversation import Conversation
    from .limits import Limits
    from .pattern import Step
    from .servers import Servers
    from .streams import Flow, How, Stream

__all__ = ["Attached", "Candidate", "Host", "Scout", "Walker"]

MAX_STEPS = 512


class Host(Protocol):
    """The tracker, as listeners know it."""

    done: deque[model.Connection]
    ways: Ways
    servers: Servers
    limits: Limits
    early: bool

    def clock(self, time_ns: int) -> str:
        """A time as the report shows it."""

    def clocks(self, times_ns: Sequence[int]) -> list[str]:
        """The same of many times."""

    def next_id(self) -> int:
        """The number of a new connection."""

    def record(self, flow: Flow, client: Stream, number: int) -> model.Connection:
        """A report with nothing in it yet."""

    def begin(self, flow: Flow, client: Stream, number: int = 0, kind: object = None) -> Attached:
        """``flow`` carries SMTP: let a conversation judge it. ``kind``: of the ways that it may be learned for."""

    def ignore(self, flow: Flow) -> None:
        """``flow`` carries something else."""


class Attached:
    """Listener of a flow whose conversation is known."""

    __slots__ = ("_client", "_flow", "_host", "talk")

    def __init__(self, host: Host, flow: Flow, client: Stream, talk: Conversation) -> None:
        self._host = host
        self._flow = flow
        self._client = client
        self.talk = talk
        client.deliver = talk.client
        client.peer.deliver = talk.server
        flow.listener = self

    def _side(self, stream: Stream) -> Literal["client", "server"]:
        return "client" if stream is self._client else "server"

    def mail(self, content: Content, seen: int) -> None:
        """Mail data that were read before, instead of their bytes."""
        self.talk.mail(content, seen)

    def gap(self, stream: Stream, offset: int, length: int, frame: int, time_ns: int) -> None:
        """See ``streams.Listener``."""
        self.talk.gap(self._side(stream), offset, length, frame, time_ns)

    def closed(self, stream: Stream, how: How, frame: int, time_ns: int, acked: int) -> None:
        """See ``streams.Listener``."""
        self.talk.closed(self._side(stream), how, frame, time_ns, acked)

    def conflict(self, stream: Stream, offset: int, frame: int, time_ns: int) -> None:
        """See ``streams.Listener``."""
        self.talk.conflict(self._side(stream), offset, frame, time_ns)

    def weight(self) -> int:
        """See ``streams.Listener``."""
        return self.talk.weight

    def finish(self, why: str) -> None:
        """See ``streams.Listener``."""
        record = self.standing()
        if why:
            record.notes.append(why)
        self.talk.course.captured = self._client.seen and self._client.peer.seen
        self.talk.overlaps = {"client": self._client.overlap, "server": self._client.peer.overlap}
        self._host.done.append(self.talk.finish())

    def standing(self) -> model.Connection:
        """The report as it stands; it goes on growing."""
        record = self.talk.record
        record.client_bytes = self._client.offset
        record.server_bytes = self._client.peer.offset
        record.ended = self._host.clock(self._flow.last_ns)
        return record


class Scout(Attached):
    """Notes the steps of a conversation; if it ends without a surprise, the way that it took is learned."""

    __slots__ = ("_client_ns", "_heard", "_kind", "_place", "_slow", "_steps", "_trail")

    def __init__(self, host: Host, flow: Flow, client: Stream, talk: Conversation, kind: object) -> None:
        super().__init__(host, flow, client, talk)
        self._kind = kind
        self._place = host.ways.root(kind)
        self._trail: list[tuple[bool, bytes, Place]] | None = []
        self._steps: list[Step] = []
        self._heard = 0
        self._client_ns = flow.started_ns
        self._slow = False
        talk.asked = []
        client.deliver = self._from_client
        client.peer.deliver = self._from_server

    def _from_client(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        talk, reads = self.talk, self._place.client
        self._at(time_ns)
        self._client_ns = time_ns
        if reads == OPAQUE:
            talk.client(data, offset, frame, time_ns, seen)
            return
        reader = talk.readers[0]
        content = reader.content
        talk.client(data, offset, frame, time_ns, seen)
        step: Step = ("client", data, offset, frame, time_ns, None)
        if seen != self._heard:
            self.stop()
        elif reads == MAIL_DATA and content is not None:
            if content.complete:
                self._mail_ended(content, data, offset, frame, time_ns)
        elif reads == LINES:
            told = not reader.partial and not reader.held_size and reader.mode not in _UNTOLD
            name = CLIENT[data] if told else None
            self._note(False, name if fits(name, data, self._place.room) else None, step)
        else:
            self._note(False, tls_step(data) if reads == TLS else None, step)

    def mail(self, content: Content, seen: int) -> None:
        """See ``Attached.mail``."""
        end, self._client_ns = content.reach
        super().mail(content, seen)
        if content.complete:
            self._mail_ended(content, b"", end, content.frame, self._client_ns)

    def _mail_ended(self, content: Content, data: bytes, offset: int, frame: int, time_ns: int) -> None:
        """The end of ``content`` stands in ``data``, perhaps with commands behind it."""
        used = content.reach[0] - offset
        step: Step = ("client", b"", content.offset, content.frame, content.time_ns, content)
        room = self._place.room
        name = content_step(content) if content.size <= room else None
        if used == len(data):
            self._note(False, name, step)
            return
        self._note(False, name, step, Place(LINES, REPLY, room))
        rest = data[used:]
        if not fits(CLIENT[rest], rest, room):
            self.stop()
        self._note(False, CLIENT[rest] if used > 0 else None, ("client", rest, offset + used, frame, time_ns, None))

    def _from_server(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        talk, names = self.talk, self._place.server
        self._at(time_ns)
        self._heard = offset + len(data)
        if names is None:
            talk.server(data, offset, frame, time_ns, seen)
            return
        last = talk.last
        talk.server(data, offset, frame, time_ns, seen)
        self._note(True, names[data], ("server", data, offset, frame, time_ns, None))
        x = talk.last
        if x is not None and x is not last and x.act in HELLOS:
            self._place.offer = plain_offer(x, talk.watch.greeting)
            if self._trail is not None and x.reply_frame != _first_of_reply(self._steps)[3]:
                self.stop()

    def _at(self, time_ns: int) -> None:
        idle = time_ns - self._client_ns
        self._slow = self._slow or idle >= SECOND
        if idle >= SLOW_DATA_NS:
            self.stop()

    def _note(self, of_server: bool, name: bytes | None, step: Step, place: Place | None = None) -> None:
        trail = self._trail
        if trail is None:
            return
        place = place or look_around(self.talk)
        if name is None or len(trail) >= MAX_STEPS:
            self.stop()
            return
        trail.append((of_server, name, place))
        self._steps.append(step)
        self._place = place

    def stop(self) -> None:
        """This way is not for others."""
        self._trail = None
        self._steps = []
        self.talk.asked = None
        self._client.deliver = self.talk.client
        self._client.peer.deliver = self.talk.server

    def gap(self, stream: Stream, offset: int, length: int, frame: int, time_ns: int) -> None:
        """See ``streams.Listener``."""
        self.stop()
        super().gap(stream, offset, length, frame, time_ns)

    def closed(self, stream: Stream, how: How, frame: int, time_ns: int, acked: int) -> None:
        """See ``streams.Listener``."""
        self._at(time_ns)
        super().closed(stream, how, frame, time_ns, acked)
        side = self._side(stream)
        name = _ENDS[side, how]
        if side == "server" and acked < self.talk.readers[0].position:
            self.stop()
        self._note(False, name, (side, b"", -1, frame, time_ns, None))

    def conflict(self, stream: Stream, offset: int, frame: int, time_ns: int) -> None:
        """See ``streams.Listener``."""
        self.stop()
        super().conflict(stream, offset, frame, time_ns)

    def finish(self, why: str) -> None:
        """See ``streams.Listener``."""
        super().finish(why)
        trail, talk = self._trail, self.talk
        if trail is None or talk.asked is None or why or not (talk.client_seen and talk.server_seen):
            return
        if (self._slow and not talk.uneventful) or (self._host.early and talk.findings):
            return
        pattern = learned(talk, self._steps, [name for _, name, _ in trail])
        if pattern is not None:
            self._host.ways.learn(self._kind, trail, pattern)


def _first_of_reply(steps: list[Step]) -> Step:
    """The first of the steps of the server that the last one belongs to."""
    number = len(steps) - 1
    while number and steps[number - 1][0] == "server":
        number -= 1
    return steps[number]


_UNTOLD = frozenset({Mode.CHUNK, Mode.ANSWER})
_Said = tuple[Literal["client", "server"], bytes, int, int, int, None]
_End = tuple["How", int, int, int]
_Event = tuple[Literal["client", "server"], bytes, int, int, int, "Content | _End | None"]
_ENDS = {(side, how): f"\0{side} {how}".encode() for side in ("client", "server") for how in ("fin", "rst", "unseen")}


class Walker:
    """Listener that finds each step of a flow among the ways that are known."""

    __slots__ = (
        "_client",
        "_client_ns",
        "_content",
        "_flow",
        "_heard",
        "_host",
        "_kept",
        "_kind",
        "_number",
        "_place",
        "_server",
        "_slow",
        "_steps",
        "_tails",
    )

    def __init__(self, host: Host, flow: Flow, kind: object, root: Place) -> None:
        self._host = host
        self._flow = flow
        self._kind = kind
        self._client = flow.a
        self._server = flow.b
        self._place = root
        self._number = 0
        self._heard = 0  # bytes of the server so far
        self._client_ns = flow.started_ns
        self._slow = False  # the client was silent for a second
        self._content: Content | None = None
        self._steps: list[Step] = []
        self._kept: list[_Event] = []
        self._tails: dict[str, _Event] | None = None  # the last encrypted segment of either side
        flow.a.deliver = self._from_client
        flow.b.deliver = self._from_server
        flow.listener = self

    def _from_client(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        place = self._place
        reads = place.client
        idle = time_ns - self._client_ns
        self._client_ns = time_ns
        if idle >= SECOND:
            self._slow = True
        step: _Said = ("client", data, offset, frame, time_ns, None)
        if reads == OPAQUE:
            self._encrypted(step)
            return
        usual = seen == self._heard and idle < SLOW_DATA_NS
        if usual and reads == MAIL_DATA:
            if not self._mail(data, offset, frame, time_ns):
                self.leave(seen)
            return
        self._kept.append(step)
        if usual:
            name = CLIENT[data] if reads == LINES else tls_step(data) if reads == TLS else None
            ahead = place.ways.get(name)
            if ahead is not None and fits(name, data, place.room):
                self._steps.append(step)
                self._place = ahead
                return
        self.leave(seen)

    def _mail(self, data: bytes, offset: int, frame: int, time_ns: int) -> bool:
        """Whether these bytes of a message, and what stands behind it, lead on."""
        content = self._content
        if content is None:
            limit = self._host.limits.header_bytes
            content = self._content = Content(offset, frame, time_ns, chunked=False, header_limit=limit)
            self._kept.append(("client", b"", offset, frame, time_ns, content))
        used = content.feed(data, frame, time_ns)
        if used < 0:
            if content.in_header:
                self._flow.kept.grown += len(data)
            return True
        self._content = None
        if used < len(data):
            self._kept.append(("client", data[used:], offset + used, frame, time_ns, None))
        ahead = self._place.ways.get(content_step(content))
        if ahead is None or content.size > self._place.room:
            return False
        self._steps.append(("client", b"", content.offset, content.frame, content.time_ns, content))
        self._place = ahead
        if used == len(data):
            return True
        rest = data[used:]
        name = CLIENT[rest]
        further = ahead.ways.get(name)
        if further is None or not fits(name, rest, ahead.room):
            return False
        self._steps.append(("client", rest, offset + used, frame, time_ns, None))
        self._place = further
        return True

    def _from_server(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        place = self._place
        names = place.server
        step: _Said = ("server", data, offset, frame, time_ns, None)
        self._heard = offset + len(data)
        idle = time_ns - self._client_ns
        if idle >= SECOND:
            self._slow = True
        if names is None:
            self._encrypted(step)
            return
        self._kept.append(step)
        ahead = place.replies.get(names[data])
        if ahead is not None and self._content is None and idle < SLOW_DATA_NS:
            if not self._number:
                self._number = self._host.next_id()
            self._steps.append(step)
            self._place = ahead
            if ahead.offer is None or self._usual(ahead.offer):
                return
        self.leave(seen)

    def _usual(self, offer: PlainOffer) -> bool:
        """Whether the server offers what it offered before."""
        _, _, _, frame, time_ns, _ = _first_of_reply(self._steps)
        servers = self._host.servers
        key = offer.key(endpoint(self._client.key, source=False), endpoint(self._client.key, source=True).address)
        if offer.listed:
            servers.offered(key, Offer(self._number, time_ns, frame))
            return True
        return servers.last_offer(key, time_ns) is None

    def leave(self, seen: int = -1) -> None:
        """Judge what came so far, and what comes. ``seen``: of the last event."""
        flow, kept = self._flow, self._kept
        if self._steps:
            attached = self._host.begin(flow, self._client, self._number, self._kind)
        else:
            Candidate(self._host, flow, self._kind, smtp_port=True)
        self._flush_tails()
        heard = 0
        last = len(kept) - 1
        for number, (side, data, offset, frame, time_ns, end) in enumerate(kept):
            stream = self._client if side == "client" else self._server
            if isinstance(end, tuple):
                flow.listener.closed(stream, *end)
            elif end is not None:
                attached.mail(end, seen if number == last else heard)
            elif side == "client":
                stream.deliver(data, offset, frame, time_ns, seen if number == last else heard)
            else:
                heard = offset + len(data)
                stream.deliver(data, offset, frame, time_ns, -1)

    def _encrypted(self, said: _Said) -> None:
        tails = self._tails
        if tails is None:
            tails = self._tails = {}
        tails.pop(said[0], None)
        tails[said[0]] = said

    def _flush_tails(self) -> None:
        if self._tails is not None:
            self._kept += self._tails.values()
            self._tails = None

    def gap(self, stream: Stream, offset: int, length: int, frame: int, time_ns: int) -> None:
        """See ``streams.Listener``."""
        self.leave()
        self._flow.listener.gap(stream, offset, length, frame, time_ns)

    def closed(self, stream: Stream, how: How, frame: int, time_ns: int, acked: int) -> None:
        """See ``streams.Listener``."""
        self._flush_tails()
        side: Literal["client", "server"] = "client" if stream is self._client else "server"
        self._kept.append((side, b"", -1, frame, time_ns, (how, frame, time_ns, acked)))
        idle = time_ns - self._client_ns
        if idle >= SECOND:
            self._slow = True
        ahead = self._place.ways.get(_ENDS[side, how])
        lagging = side == "server" and acked < self._client.sent
        if ahead is None or idle >= SLOW_DATA_NS or lagging or self._content is not None:
            self.leave()
            return
        self._steps.append((side, b"", -1, frame, time_ns, None))
        self._place = ahead

    def conflict(self, stream: Stream, offset: int, frame: int, time_ns: int) -> None:
        """See ``streams.Listener``."""
        self.leave()
        self._flow.listener.conflict(stream, offset, frame, time_ns)

    def weight(self) -> int:
        """See ``streams.Listener``."""
        return sum(len(event[1]) for event in self._kept) + (0 if self._content is None else self._content.weight)

    def finish(self, why: str) -> None:
        """See ``streams.Listener``."""
        place, host, flow = self._place, self._host, self._flow
        pattern = place.pattern
        if why or pattern is None or not place.beaten or self._content is not None or (self._slow and not pattern.calm):
            self.leave()
            flow.listener.finish(why)
            return
        record = host.record(flow, self._client, self._number)
        record.client_bytes = self._client.offset
        record.server_bytes = self._server.offset
        record.ended = host.clock(flow.last_ns)
        write(pattern, self._steps, record, host.clocks)
        host.done.append(record)


class Candidate:
    """Listener of a flow that may carry SMTP: keeps what comes until the first bytes tell, then hands it on."""

    __slots__ = ("_events", "_flow", "_heads", "_host", "_kind", "_limits", "_smtp_port", "_swapped")

    def __init__(self, host: Host, flow: Flow, kind: object, *, smtp_port: bool, swapped: bool = False) -> None:
        """``smtp_port``: the port of the server is one of SMTP. ``swapped``: the server seems to be ``flow.a``."""
        self._host = host
        self._flow = flow
        self._kind = kind
        self._limits = host.limits
        self._events: list[tuple[str, Stream, tuple[Any, ...]]] = []
        self._heads = {flow.a: b"", flow.b: b""}
        self._swapped = swapped
        self._smtp_port = smtp_port
        flow.listener = self
        flow.a.deliver = self._deliver_a
        flow.b.deliver = self._deliver_b

    def _deliver_a(self, payload: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        self._data(self._flow.a, payload, offset, frame, time_ns, seen)

    def _deliver_b(self, payload: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        self._data(self._flow.b, payload, offset, frame, time_ns, seen)

    def _data(self, stream: Stream, payload: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        self._events.append(("data", stream, (payload, offset, frame, time_ns, seen)))
        if len(self._heads[stream]) < self._limits.sniffed_bytes or not self._limits.sniffed_bytes:
            self._heads[stream] += payload
        self._decide(over=False)

    def gap(self, stream: Stream, offset: int, length: int, frame: int, time_ns: int) -> None:
        """See ``streams.Listener``."""
        self._events.append(("gap", stream, (offset, length, frame, time_ns)))

    def closed(self, stream: Stream, how: How, frame: int, time_ns: int, acked: int) -> None:
        """See ``streams.Listener``."""
        self._events.append(("closed", stream, (how, frame, time_ns, acked)))

    def conflict(self, stream: Stream, offset: int, frame: int, time_ns: int) -> None:
        """See ``streams.Listener``."""
        self._events.append(("conflict", stream, (offset, frame, time_ns)))

    def weight(self) -> int:
        """See ``streams.Listener``."""
        return sum(map(len, self._heads.values())) + sum(len(e[0]) for kind, _, e in self._events if kind == "data")

    def finish(self, why: str) -> None:
        """See ``streams.Listener``."""
        if self._decide(over=True):
            self._flow.listener.finish(why)

    def _decide(self, *, over: bool) -> bool:
        """Whether it is SMTP; False also while that is open."""
        flow = self._flow
        first = flow.b if self._swapped else flow.a
        orders = [(first, first.peer)]
        if not flow.handshake and not self._smtp_port:
            orders.append((first.peer, first))  # neither SYN nor port tells who is the client
        full = any(len(head) >= self._limits.sniffed_bytes > 0 for head in self._heads.values())
        undecided = False
        for client, server in orders:
            heads = self._heads[client], self._heads[server]
            skip = (0, 0) if self._smtp_port else preamble(*heads)
            if skip is None:
                undecided = True
                continue
            rest = heads[0][skip[0] :], heads[1][skip[1] :]
            if skip != (0, 0) and not any(rest):
                undecided = True
                continue
            verdict = judge_heads(*rest, smtp_port=self._smtp_port, over=over or full)
            if over and self._smtp_port and not any(rest) and self._events:
                verdict = Verdict.SMTP  # all of it was lost: that is worth a line in the report
            if verdict is Verdict.SMTP:
                self._hand_on(client, skip)
                return True
            undecided = undecided or verdict is Verdict.UNDECIDED
        if not over and (full or not undecided):
            self._host.ignore(flow)
        return False

    def _hand_on(self, client: Stream, skip: tuple[int, int]) -> None:
        flow, events = self._flow, self._events
        left = {client: skip[0], client.peer: skip[1]}
        # Where it took a second look the dialogue began later than its first step: no way for others.
        followed = self._host.begin(flow, client, kind=self._kind if len(events) == 1 and skip == (0, 0) else None)
        for kind, stream, event in events:
            if kind == "data":
                payload, offset, frame, time_ns, seen = event
                cut = min(left[stream], len(payload))
                left[stream] -= cut
                if cut < len(payload):
                    stream.deliver(payload[cut:], offset + cut, frame, time_ns, seen)
            elif kind == "gap":
                followed.gap(stream, *event)
            elif kind == "closed":
                followed.closed(stream, *event)
            else:
                followed.conflict(stream, *event)
