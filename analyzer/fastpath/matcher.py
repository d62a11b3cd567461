"""A whole connection held against the beaten ways: what plain TCP it is, and where its dialogue leads."""

# Theory
# ------
# A walker is the list of a connection's segments as they came. `walk` goes on from where it stopped and takes only what
# is as plain as it can be: every segment the next of its stream, every client segment sent when all that the server had
# said was seen, every step on a way that is known. Then there is nothing that a reassembler or a conversation could
# add, and `finish` has the report. At the first thing that is not so plain it says False, and whoever holds the walker
# gives all of its segments to the reassembler, as if nobody had looked at them before.
#
# Numbers of TCP are 32 bits and wrap; an offset is the distance from the first byte of its stream (RFC 9293 §3.4). A
# connection of 4 GiB is not held that long.

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, Literal, Protocol

from ..connections.endpoints import endpoint
from ..content.end_of_data import Content
from ..exchanges.lifecycle import SECOND, SLOW_DATA_NS
from ..exchanges.starttls_history import ClearTextOffer, StartTlsOffer
from ..segments.decoder import WholeSegment
from ..streams.stream import HALF, M32
from .hit import Repeat
from .resequence import straightened
from .small_message import Letter, letter
from .tokens import ENDS, SMALL_SIZE
from .trie import CLIENT, LINES, MAIL_DATA, OPAQUE, TLS, Place, content_step, first_of_reply, fits, spot_step, tls_step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .hit import Guide
    from .report_template import Step

__all__ = ["Keeper", "Walker"]

_FIN, _RST, _ACK = 1, 4, 16
_ENDED = _FIN | _RST
MAX_SHUFFLES = 64  # of one walk: each goes over the list


class Keeper(Protocol):
    """Whoever holds walkers."""

    def went_on(self, walker: Walker) -> None:
        """``matcher`` has come to something that may not wait."""

    def follow(self, held: WholeSegment) -> None:
        """A segment came that is for the reassembler too."""


class Walker(list[WholeSegment]):
    """The segments of one connection behind its ``handshake``, and how far they lead.

    ``client``, ``server``: keys of both streams. ``number``: of the connection, 0 until the server has said something.
    ``half``: key of the stream that ended, while the other goes on. ``followed``: the reassembler has the segments too.
    ``over``: nobody asks for it any more. ``seen``, ``weight``, ``rests``: how many segments there were when it was
    last looked at, the bytes that they held, and how often there were no more since.
    """

    __slots__ = (
        "_at",
        "_client_ns",
        "_content",
        "_fins",
        "_guide",
        "_heard",
        "_keeper",
        "_place",
        "_said",
        "_slow",
        "_steps",
        "client",
        "followed",
        "half",
        "handshake",
        "kind",
        "number",
        "over",
        "rests",
        "seen",
        "server",
        "weight",
    )

    def __init__(
        self, guide: Guide, keeper: Keeper, kind: object, handshake: tuple[WholeSegment, WholeSegment]
    ) -> None:
        """``handshake``: the SYN and its answer. Call ``restart`` next."""
        self._guide = guide
        self._keeper = keeper
        self.kind = kind
        self.handshake = handshake
        self.client, self.server = handshake[0][0], handshake[1][0]
        self.number = 0
        self.half: bytes | None = None
        self.over = self.followed = False
        self.seen = self.weight = self.rests = 0

    def restart(self, root: Place) -> None:
        """Nothing was looked at yet. ``root``: where dialogues of this kind begin."""
        syn, answer = self.handshake
        self._at = 0
        self._place = root
        self._said, self._heard = syn[1] + 1 & M32, answer[1] + 1 & M32  # next numbers of client and server
        self._client_ns = syn[6]
        self._slow = False  # the client was silent for a second
        self._content: Content | None = None
        self._steps: list[Step] = []
        self._fins = (0, 0)

    # -- gathering -------------------------------------------------------------------------------------------------

    def opened(self, held: WholeSegment) -> None:
        """Takes a segment before a hello was accepted: what the server says is looked at at once, and whoever speaks
        first."""
        self.append(held)
        if held[4] and (held[0] == self.server or not self.number):
            self._keeper.went_on(self)

    def follow(self, held: WholeSegment) -> None:
        """Takes a segment while the reassembler follows the connection as well."""
        self.append(held)
        self._keeper.follow(held)

    @property
    def opening(self) -> bool:
        """Whether no hello was accepted yet."""
        return self._place.opening

    @property
    def faulty(self) -> bool:
        """Whether a rule was broken, as far as it was walked."""
        return self._place.faulty

    @property
    def last_ns(self) -> int:
        """Time of the last segment."""
        return self[-1][6] if self else self.handshake[1][6]

    @property
    def started(self) -> tuple[int, int]:
        """Time and frame of the SYN."""
        return self.handshake[0][6], self.handshake[0][5]

    def greets(self) -> bool:
        """Whether the last segment is the server's first, with words that are known: there is no more to see in it."""
        _, seq, ack, _, payload, _, _ = self[-1]
        place = self._place
        if self.number or seq != self._heard or ack != self._said or len(self) > 2 or place.server is None:
            return False
        if len(self) == 2 and (self[0][0] != self.client or self[0][1] != self._said or self[0][4]):
            return False
        if self[-1][0] != self.server or place.server[payload] not in place.replies:
            return False
        self.number = self._guide.next_id(self.client, self.handshake[0][5])
        return True

    # -- walking ---------------------------------------------------------------------------------------------------

    def walk(self) -> bool:  # noqa: C901, PLR0911, PLR0912, PLR0915  one loop: calls cost more
        """Go on with the segments that came. False: they are not plain, or lead to nothing that is known."""
        client, place, steps, content = self.client, self._place, self._steps, self._content
        said, heard, silent_since = self._said, self._heard, self._client_ns
        first, first_heard = self.handshake[0][1] + 1, self.handshake[1][1] + 1
        ended, ended_there = self._fins
        segments: Iterator[WholeSegment] | None = islice(self, self._at, None)
        at, shuffles = len(self), 0
        while segments is not None:
            rest, segments = segments, None
            for key, seq, ack, flags, payload, frame, time_ns in rest:
                if key == client:
                    if seq != said and payload and content is not None and shuffles < MAX_SHUFFLES:
                        shuffles += 1
                        here = next(n for n, one in enumerate(self) if one[5] == frame and one[1] == seq)
                        straight = straightened(self, here, client, said, heard, self._guide.limits)
                        if straight is None:
                            return False
                        pieces, at = straight
                        if at > here:
                            segments, at = chain(pieces, islice(self, at, None)), len(self)
                        break
                    if seq != said or (ack != heard and heard - ack & M32 >= HALF and flags & _ACK):
                        return False
                    if payload:
                        idle = time_ns - silent_since
                        silent_since = time_ns
                        if idle >= SECOND:
                            self._slow = True
                        if ended:
                            return False
                        said = seq + len(payload) & M32
                        reads = place.client
                        if reads == LINES:
                            if ack != heard or idle >= SLOW_DATA_NS:
                                return False
                            ahead = place.ways.get(CLIENT[payload])
                            if ahead is None or (
                                place.room < SMALL_SIZE and not fits(CLIENT[payload], payload, place.room)
                            ):
                                return False
                            steps.append(("client", payload, seq - first & M32, frame, time_ns, None))
                            place = ahead
                        elif reads == MAIL_DATA:
                            if ack != heard or idle >= SLOW_DATA_NS:
                                return False
                            used = 0 if content is None else content.feed(payload, frame, time_ns)
                            if used >= 0:
                                ahead = self._mail(place, used, payload, seq - first & M32, frame, time_ns)
                                if ahead is None:
                                    return False
                                place, content = ahead, self._content
                        elif reads == TLS:
                            ahead = place.ways.get(tls_step(payload))
                            if ack != heard or idle >= SLOW_DATA_NS or ahead is None:
                                return False
                            steps.append(("client", payload, seq - first & M32, frame, time_ns, None))
                            place = ahead
                        elif reads != OPAQUE:
                            return False
                else:
                    if seq != heard or (ack != said and said - ack & M32 >= HALF and flags & _ACK):
                        return False
                    if payload:
                        idle = time_ns - silent_since
                        if idle >= SECOND:
                            self._slow = True
                        if ended_there:
                            return False
                        heard = seq + len(payload) & M32
                        names = place.server
                        if names is not None:
                            ahead = place.replies.get(names[payload])
                            if ahead is None or content is not None or idle >= SLOW_DATA_NS:
                                return False
                            self.number = self.number or self._guide.next_id(self.client, self.handshake[0][5])
                            steps.append(("server", payload, seq - first_heard & M32, frame, time_ns, None))
                            place = ahead
                            if ahead.offer is not None and not self._usual(ahead.offer):
                                return False
                if flags & _ENDED:
                    side: Literal["client", "server"] = "client" if key == client else "server"
                    # A server that ends has seen all that the client said, or it is another story.
                    if content is not None or (side == "server" and not (flags & _ACK and ack == said)):
                        return False
                    ahead = self._ends(place, side, flags, frame, time_ns, time_ns - silent_since)
                    if ahead is None:
                        return False
                    place = ahead
                    if flags & _RST:
                        break
                    if side == "client":
                        said, ended = said + 1 & M32, 1
                    else:
                        heard, ended_there = heard + 1 & M32, 1
        self._at = at
        self._place, self._client_ns = place, silent_since
        self._said, self._heard, self._fins = said, heard, (ended, ended_there)
        return True

    def _ends(
        self, place: Place, side: Literal["client", "server"], flags: int, frame: int, time_ns: int, idle_ns: int
    ) -> Place | None:
        """Where the end of a stream leads."""
        if idle_ns >= SECOND:
            self._slow = True
        ahead = place.ways.get(ENDS[side, "rst" if flags & _RST else "fin"])
        if ahead is not None and idle_ns < SLOW_DATA_NS:
            self._steps.append((side, b"", -1, frame, time_ns, None))
            return ahead
        return None

    def _mail(self, place: Place, used: int, data: bytes, offset: int, frame: int, time_ns: int) -> Place | None:
        """Take mail data that begins a message, or of which ``used`` bytes end the present one. ``_content`` is then
        the message that goes on, if any."""
        content = self._content
        if content is None:
            limit = self._guide.limits.header_bytes
            whole = letter(data, offset, frame, time_ns, limit)
            if whole is not None:
                return self._mail_ended(place, whole[0], data[whole[1] :], offset + whole[1], frame, time_ns)
            content = self._content = Content(offset, frame, time_ns, chunked=False, header_limit=limit)
            used = content.feed(data, frame, time_ns)
            if used < 0:
                return place
        self._content = None
        return self._mail_ended(place, content, data[used:], offset + used, frame, time_ns)

    def _mail_ended(
        self, place: Place, content: Content | Letter, rest: bytes, offset: int, frame: int, time_ns: int
    ) -> Place | None:
        """Where a message leads, and ``rest``, which stands behind it in the last segment."""
        ahead = place.ways.get(content_step(content)) or place.ways.get(spot_step(content))
        if ahead is None or content.size > place.room:
            return None
        self._steps.append(("client", b"", content.offset, content.frame, content.time_ns, content))
        if not rest:
            return ahead
        name = CLIENT[rest]
        further = ahead.ways.get(name)
        if further is None or not fits(name, rest, ahead.room):
            return None
        self._steps.append(("client", rest, offset, frame, time_ns, None))
        return further

    def _usual(self, offer: ClearTextOffer) -> bool:
        """Whether the server offers what it offered before."""
        _, _, _, frame, time_ns, _ = first_of_reply(self._steps)
        servers = self._guide.servers
        key = offer.key(endpoint(self.client, source=False), endpoint(self.client, source=True).address)
        if offer.listed:
            servers.offered(key, StartTlsOffer(self.number, time_ns, frame))
            return True
        return servers.last_offer(key, time_ns) is None

    def finish(self) -> Repeat | None:
        """Nothing more comes: the report, if all of it was known and two connections agreed on it."""
        if not self.walk():
            return None
        place = self._place
        pattern = place.pattern
        if pattern is None or not place.beaten or self._content is not None or (self._slow and not pattern.calm):
            return None
        (_, isn, _, _, _, _, started_ns), (_, isn_there, *_) = self.handshake
        octets = self._said - isn - 1 - self._fins[0] & M32, self._heard - isn_there - 1 - self._fins[1] & M32
        times = started_ns, self.last_ns
        steps, self._steps = self._steps, []
        return Repeat(self._guide, place, pattern, steps, self.number, self.client, times, octets)
