"""Send segments to a reassembler, and note what it delivers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from captures import ACK, CLIENT, SERVER, SYN, flow

from smtpwire.analyzer.limits import DEFAULT_LIMITS, Limits
from smtpwire.analyzer.streams.reassembler import Reassembler

if TYPE_CHECKING:
    from smtpwire.analyzer.streams.flow import Flow
    from smtpwire.analyzer.streams.receiver import Side
    from smtpwire.analyzer.streams.stream import Disorder

__all__ = ["SECOND", "Heard", "Net", "open_net"]

SECOND = 1_000_000_000


class Heard:
    """The receiver of one flow. ``log`` has the events of both directions in order. Offsets must be contiguous, for any
    segments."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.bytes = {"C": b"", "S": b""}
        self.log: list[tuple[Any, ...]] = []
        self.gaps: list[tuple[str, int, int]] = []
        self.gap_frames: list[int] = []
        self.conflicts: list[tuple[str, int]] = []
        self.closed_by: list[tuple[str, str]] = []
        self.finished: list[str] = []
        self.ended: list[int] = []  # first frames of flows in the order in which they ended
        self.frames: list[int] = []
        self.seen: list[int] = []
        self._next = {"C": 0, "S": 0}
        flow.receiver = self

    @property
    def disorder(self) -> Disorder:
        """What is not in order in the flow."""
        assert self.flow.disorder is not None
        return self.flow.disorder

    def client(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        self._data("C", data, offset, frame, time_ns, seen)

    def server(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        self._data("S", data, offset, frame, time_ns, seen)

    def _data(self, side: str, payload: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        assert payload
        assert offset == self._next[side]
        assert not self.finished
        self._next[side] += len(payload)
        self.bytes[side] += payload
        self.log.append((side, payload))
        self.frames.append(frame)
        self.seen.append(seen)

    def gap(self, sender: Side, offset: int, length: int, frame: int, time_ns: int) -> None:
        side = sender[0].upper()
        assert length > 0
        assert offset == self._next[side]
        self._next[side] += length
        assert frame > 0
        self.gaps.append((side, offset, length))
        self.gap_frames.append(frame)
        self.log.append((side, length))

    def closed(self, sender: Side, how: str, frame: int, time_ns: int, acked: int) -> None:
        self.closed_by.append((sender[0].upper(), how))

    def revoke(self, sender: Side, offset: int) -> bool:
        return False

    def conflict(self, sender: Side, offset: int, frame: int, time_ns: int) -> None:
        self.conflicts.append((sender[0].upper(), offset))

    @property
    def weight(self) -> int:
        return 0

    def finish(self, why: str) -> None:
        self.finished.append(why)
        self.ended.append(self.flow.first_frame)


class Net:
    """Sends segments to a reassembler. Positions are offsets after the SYN."""

    def __init__(self, *, client: int = 1000, server: int = 5000, limits: Limits = DEFAULT_LIMITS) -> None:
        self.flows: list[Heard] = []
        self.reassembler = Reassembler(self, limits)
        self.first = {"C": client, "S": server}
        self.ports = (43210, 25)
        self.frame = 0
        self.time_ns = SECOND

    def accept(self, flow: Flow) -> None:
        self.flows.append(Heard(flow))

    def giving_up(self, flow: Flow) -> None:
        pass

    def finished(self, flow: Flow, why: str) -> None:
        for heard in self.flows:
            if flow.receiver is heard:
                heard.finish(why)

    @property
    def heard(self) -> Heard:
        return self.flows[-1]

    def send(
        self, side: str, at: int = 0, payload: bytes = b"", acks: int = 0, flags: int = ACK, missing: int = 0
    ) -> Net:
        """``at`` and ``acks`` count from the first byte after the SYN of either side."""
        self.frame += 1
        self.time_ns += 1_000_000
        peer = "S" if side == "C" else "C"
        here, there = self.ports
        key = flow(CLIENT, SERVER, here, there) if side == "C" else flow(SERVER, CLIENT, there, here)
        seq = (self.first[side] + 1 + at) & 0xFFFFFFFF
        ack = (self.first[peer] + 1 + acks) & 0xFFFFFFFF if flags & ACK else 0
        self.reassembler.feed(key, seq, ack, flags, payload, missing, self.frame, self.time_ns)
        return self

    def client(self, at: int, payload: bytes = b"", acks: int = 0, flags: int = ACK, missing: int = 0) -> Net:
        return self.send("C", at, payload, acks, flags, missing)

    def server(self, at: int, payload: bytes = b"", acks: int = 0, flags: int = ACK, missing: int = 0) -> Net:
        return self.send("S", at, payload, acks, flags, missing)

    def handshake(self) -> Net:
        self.client(-1, flags=SYN).server(-1, flags=SYN | ACK)
        return self.client(0)

    def idle(self, frames: int) -> Net:
        """Send frames of the client without new data; it has sent everything that the server acknowledged."""
        flow = self.heard.flow
        for _ in range(frames):
            top = flow.client_offset if flow.disorder is None else flow.disorder.client.top
            self.client(top, acks=flow.received[1])
        return self


def open_net(**options: Any) -> Net:
    return Net(**options).handshake()
