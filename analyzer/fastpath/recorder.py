"""Notes the way that a conversation takes, for others to find."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..connections.listeners import AttachedListener
from ..exchanges.lifecycle import SECOND, SLOW_DATA_NS
from ..exchanges.starttls_history import plain_offer
from ..lines.client_reader import Mode
from .tokens import ENDS
from .trie import (
    CLIENT,
    HELLOS,
    LINES,
    MAIL_DATA,
    OPAQUE,
    REPLY,
    TLS,
    Place,
    content_step,
    first_of_reply,
    fits,
    learned,
    look_around,
    spot_step,
    tls_step,
)

if TYPE_CHECKING:
    from ..connections.listeners import ListenerHost
    from ..content.end_of_data import Content
    from ..exchanges.conversation import Conversation
    from ..streams.stream import Flow, How, Stream
    from .report_template import Step

__all__ = ["Scout"]

MAX_STEPS = 512


class Scout(AttachedListener):
    """Notes the steps of a conversation; if it ends without a surprise, the way that it took is learned."""

    __slots__ = ("_client_ns", "_heard", "_kind", "_place", "_slow", "_steps", "_trail")

    def __init__(self, host: ListenerHost, flow: Flow, client: Stream, talk: Conversation, kind: object) -> None:
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
            if self._trail is not None and x.reply_frame != first_of_reply(self._steps)[3]:
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
        """See ``stream.Listener``."""
        self.stop()
        super().gap(stream, offset, length, frame, time_ns)

    def closed(self, stream: Stream, how: How, frame: int, time_ns: int, acked: int) -> None:
        """See ``stream.Listener``."""
        self._at(time_ns)
        super().closed(stream, how, frame, time_ns, acked)
        side = self._side(stream)
        name = ENDS[side, how]
        if side == "server" and acked < self.talk.readers[0].position:
            self.stop()
        self._note(False, name, (side, b"", -1, frame, time_ns, None))

    def conflict(self, stream: Stream, offset: int, frame: int, time_ns: int) -> None:
        """See ``stream.Listener``."""
        self.stop()
        super().conflict(stream, offset, frame, time_ns)

    def discard(self) -> bool:
        """See ``stream.Listener``. Others that come as far need not be judged before they go on, or end."""
        trail = self._trail
        gone = super().discard()
        if gone and trail is not None and not (self._host.early and self.talk.findings):
            self._host.ways.learn(self._kind, trail, None)
        return gone

    def finish(self, why: str) -> None:
        """See ``stream.Listener``."""
        super().finish(why)
        trail, talk = self._trail, self.talk
        if trail is None or talk.asked is None or why or not (talk.client_seen and talk.server_seen):
            return
        if self._slow and not talk.uneventful:
            return
        pattern = learned(talk, self._steps, [name for _, name, _ in trail])
        if pattern is None:
            trail = self._with_spots(trail)
            pattern = learned(talk, self._steps, [name for _, name, _ in trail])
        if pattern is not None:
            self._host.ways.learn(self._kind, trail, pattern)

    def _with_spots(self, trail: list[tuple[bool, bytes, Place]]) -> list[tuple[bool, bytes, Place]]:
        """``trail`` with messages as what they are where a rule tells of their bytes above 127."""
        found = []
        for (of_server, name, place), (*_, content) in zip(trail, self._steps, strict=True):
            spot = None if content is None else spot_step(content)
            found.append((of_server, spot or name, place))
        return found


_UNTOLD = frozenset({Mode.CHUNK, Mode.ANSWER})
