"""The receiver of a connection from the start of TLS on: what is inside goes to the receiver that it had before."""

# Theory
# ------
# A connection that has started TLS gets a `TlsReceiver` in the place of its receiver. Each side is passed on unchanged
# until that side has sent its first record, because a server may still answer in plain text. After that the bytes go
# to the session, and what it opens goes to the old receiver, with the frame and time of the record, offsets inside TLS
# (`places`), and acknowledgements counted in what is inside.
#
# While the session waits for keys, everything that happens is kept and passed on later, in its order.

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from ..limits import TLS_WAITING_BYTES, TLS_WAITING_NS
from ..streams.receiver import IGNORING
from .places import INSIDE, RecordPlaces
from .records import Place

if TYPE_CHECKING:
    from ..streams.receiver import How, Receiver
    from .facts import Alert, Side, TlsFacts
    from .session import TlsReader

__all__ = ["TlsListener", "TlsReceiver"]

_EVENT = 200  # octets that an event takes beside its bytes
_OTHER: dict[Side, Side] = {"client": "server", "server": "client"}


class TlsListener(Protocol):
    """Is called when something about the session becomes known."""

    def begun(self, side: Side) -> None:
        """``side`` sends TLS from now on, although its first record is not in the capture."""

    def active(self, side: Side, time_ns: int) -> None:
        """``side`` sent bytes."""

    def chosen(self, facts: TlsFacts) -> None:
        """Version and suite are known."""

    def alerted(self, facts: TlsFacts, alert: Alert) -> None:
        """An alert came that could be read."""

    def secured(self, offset: int, frame: int, time_ns: int) -> None:
        """The first octets inside TLS follow. ``offset``: of the client's side, as for what follows."""

    def opaque(self) -> None:
        """Nothing more can be read."""

    def broken(self, why: str) -> None:
        """What was read inside TLS ends here."""


class TlsReceiver:
    """A ``Receiver``. ``inner``: the one that receives what is inside."""

    __slots__ = (
        "_begun",
        "_inside",
        "_kept",
        "_kept_bytes",
        "_listener",
        "_missing",
        "_since_ns",
        "inner",
        "places",
        "session",
    )

    def __init__(self, inner: Receiver, session: TlsReader, listener: TlsListener) -> None:
        self.inner = inner
        self.session = session
        self.places: dict[Side, RecordPlaces] = {"client": RecordPlaces(), "server": RecordPlaces()}
        session.handler = self
        self._listener = listener
        self._begun: set[Side] = set()
        self._inside = False  # the first octets inside were passed on
        self._missing: list[tuple[Side, int, Place, int]] = []  # lost before that
        self._kept: deque[tuple[Any, ...]] | None = None  # what happened while the session waits for keys
        self._kept_bytes = 0
        self._since_ns = 0

    # -- what came from the network --------------------------------------------------------------------------------

    def begin(self, side: Side, data: bytes, offset: int, frame: int, time_ns: int, seen: int = -1) -> None:
        """Take the first records of ``side``: from here on all it sends is TLS."""
        self._begun.add(side)
        self._take(side, data, offset, frame, time_ns, seen)

    def client(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        """See ``Receiver``."""
        self._take("client", data, offset, frame, time_ns, seen)

    def server(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        """See ``Receiver``."""
        self._take("server", data, offset, frame, time_ns, seen)

    def gap(self, side: Side, offset: int, length: int, frame: int, time_ns: int) -> None:
        """See ``Receiver``."""
        if self._keeps("gap", side, offset, length, frame, time_ns):
            return
        if not self._inside:
            self.inner.gap(side, offset, length, frame, time_ns)
        if side == "server" and "client" in self._begun and side not in self._begun:
            self._begun.add(side)  # the client has started TLS, so this is the server's hello
            self._listener.begun(side)
        if side in self._begun:
            self.session.gap(side, Place(offset, frame, time_ns, -1), length)

    def closed(self, side: Side, how: How, frame: int, time_ns: int, acked: int) -> None:
        """See ``Receiver``."""
        if not self._keeps("closed", side, how, frame, time_ns, acked):
            self.inner.closed(side, how, frame, time_ns, self._seen(side, acked))

    def conflict(self, side: Side, offset: int, frame: int, time_ns: int) -> None:
        """See ``Receiver``."""
        if not self._keeps("conflict", side, offset, frame, time_ns):
            self.inner.conflict(side, offset, frame, time_ns)

    def revoke(self, side: Side, offset: int) -> bool:
        """See ``Receiver``."""
        if self._kept is not None:
            return False
        if side not in self._begun:
            return self.inner.revoke(side, offset)
        return self.session.cut(side, offset)

    @property
    def weight(self) -> int:
        """See ``Receiver``."""
        return self.inner.weight + self.session.weight + self._kept_bytes

    def finish(self) -> None:
        """Go on without the keys that did not come: the connection is over."""
        if self._kept is not None:
            self._release(final=True)

    def detach(self) -> None:
        """Cut what refers back to something that refers to it: nothing more comes, and only ``facts`` are read."""
        self.session.detach()
        self.inner = IGNORING

    # -- what the session shows ------------------------------------------------------------------------------------

    def chosen(self) -> None:
        """See ``TlsHandler``."""
        self._listener.chosen(self.session.facts)

    def alerted(self, alert: Alert) -> None:
        """See ``TlsHandler``."""
        self._listener.alerted(self.session.facts, alert)

    def text(self, side: Side, data: bytes, place: Place, end: int) -> None:
        """See ``TlsHandler``."""
        if not self._inside:
            self._enter(place)
        places = self.places[side]
        offset = INSIDE[side] + places.size
        places.add(len(data), place.offset, end)
        take = self.inner.client if side == "client" else self.inner.server
        take(data, offset, place.frame, place.time_ns, self._seen(side, place.seen))

    def lost(self, side: Side, length: int, place: Place, missing: int) -> None:
        """See ``TlsHandler``."""
        if not self._inside:
            self._missing.append((side, length, place, missing))
            del self._missing[1000:]
            return
        places = self.places[side]
        offset = INSIDE[side] + places.size
        places.add_gap(length, place.offset, missing)
        if length:
            self.inner.gap(side, offset, length, place.frame, place.time_ns)

    def opaque(self) -> None:
        """See ``TlsHandler``."""
        if not self._inside:
            self._listener.opaque()

    def broken(self, why: str) -> None:
        """See ``TlsHandler``."""
        if self._inside:
            self._listener.broken(why)

    # -- pieces ----------------------------------------------------------------------------------------------------

    def _take(self, side: Side, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        if self._keeps("take", side, data, offset, frame, time_ns, seen):
            return
        if side not in self._begun:
            take = self.inner.client if side == "client" else self.inner.server
            take(data, offset, frame, time_ns, seen)
            return
        self._listener.active(side, time_ns)
        self.session.take(side, data, Place(offset, frame, time_ns, seen))
        if self.session.waiting and self._kept is None:
            self._kept = deque()
            self._since_ns = time_ns

    def _enter(self, place: Place) -> None:
        self._inside = True
        self._listener.secured(INSIDE["client"], place.frame, place.time_ns)
        missing, self._missing = self._missing, []
        for side, length, lost_at, _ in missing:
            self.lost(side, length, lost_at, 0)  # that bytes are missing was reported when it happened

    def _seen(self, side: Side, seen: int) -> int:
        """Return ``seen``, bytes of the other side, as an offset inside TLS, if there is something inside."""
        if not self._inside or seen < 0:
            return seen
        other = _OTHER[side]
        return INSIDE[other] + self.places[other].seen(seen)

    def _keeps(self, *event: Any) -> bool:
        """Return whether the session waits for keys; then ``event`` is kept."""
        if self._kept is None:
            return False
        frame_time = event[5] if event[0] in {"take", "gap"} else event[4]
        self._kept.append(event)
        self._kept_bytes += _EVENT + (len(event[2]) if event[0] == "take" else 0)
        too_long = self._kept_bytes > TLS_WAITING_BYTES or frame_time - self._since_ns > TLS_WAITING_NS
        if too_long or self.session.keys_changed:
            self._release(final=too_long)
        return True

    def _release(self, *, final: bool) -> None:
        """Look for the keys again, and pass on what was kept if they came."""
        if not self.session.go_on(final=final):
            return
        kept, self._kept, self._kept_bytes = self._kept, None, 0
        for kind, *event in kept or ():
            if kind == "take":
                self._take(*event)
            elif kind == "gap":
                self.gap(*event)
            elif kind == "closed":
                self.closed(*event)
            else:
                self.conflict(*event)
