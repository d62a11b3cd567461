"""Turn TCP segments in any order into both byte streams of each connection, in the order in which they were sent."""

# Theory
# ------
# If each side waits for the other, nothing is out of order, and a segment costs a few comparisons: `feed`. A copy of
# bytes that were delivered is compared with them and dropped (`_take_again`). Everything else gives the connection a
# `Disorder` (see `flow`), until it is in order again.
#
# Bytes that an ACK proves to be lost become a gap (`gaps`).
#
# A RST without the expected sequence number counts only if its sender sends nothing after it (`resets`). A SYN to an
# open connection ends that connection only if the SYN is answered, or followed by the next segment (RFC 5961 §4.2).
#
# The SYN gives the start of a stream. If the SYN was lost, the ACK of the peer's handshake gives it.

from __future__ import annotations

from typing import TYPE_CHECKING

from ..limits import DEFAULT_LIMITS, Limits
from .causal_order import pump
from .ending import accept_reset, deliver_rest
from .flow_table import FlowTable
from .gaps import declare_gaps, record_ack, record_end
from .housekeeping import Housekeeping
from .memory_pressure import FLOW_COST
from .opening import open_flow
from .ordering import compare, is_probe, lose, put, reach_fin, take_fin
from .port_reuse import Lifetime, begins_another
from .receiver import IGNORING
from .resets import Ends, OrderlyRst, is_doubtful
from .rewinding import give_up_rewind, takes_part
from .strangers import Strangers
from .stream import ACK, FIN, HALF, M32, RST, SANE_AHEAD, SYN, URG, HeldSegment, SetAside
from .twins import differs

if TYPE_CHECKING:
    from .flow import Flow
    from .flow_host import FlowHost
    from .receiver import Side
    from .stream import Disorder, Segment, Stream

__all__ = ["Reassembler"]

_NOT_PLAIN = FIN | SYN | RST | URG
_LATE_NS = 1_000_000_000  # how late a SYN may be captured after its first segment; later it starts a new connection


class Reassembler:
    """Takes segments, and delivers the bytes of each connection to its receiver.

    ``capture``: number of the capture that is read; one is added where the next one begins.
    """

    def __init__(self, host: FlowHost, limits: Limits = DEFAULT_LIMITS) -> None:
        self.table = FlowTable(limits)
        self.housekeeping = Housekeeping(self.table, limits, self._give_up)
        self.ends = Ends(self.feed, self.finish)
        self._strangers = Strangers(self.table)
        self.capture = 0
        self._host = host
        self._limits = limits
        self._flows = self.table.flows
        self.ignored = self.table.ignored
        self.clock = self.housekeeping.clock
        self._shared = self.housekeeping.shared
        self.recent = self._shared.recent
        self._compared = limits.compared_bytes or SANE_AHEAD

    def feed(
        self, key: bytes, seq: int, ack: int, flags: int, payload: bytes, missing: int, frame: int, time_ns: int
    ) -> None:
        """Take one segment.

        ``key``: source and destination address, source and destination port as they stand in the headers.
        ``missing``: payload bytes that followed ``payload`` on the wire but were not captured (snap length).
        """
        flow = self._flows.get(key)
        if flow is not None and not flow.state and not flags & _NOT_PLAIN and not missing:
            # in_flight: bytes of the peer that the sender has not acknowledged; mostly none
            if key == flow.key:
                in_flight = 0 if ack == flow.server_next else (flow.server_next - ack) & M32
                if seq == flow.client_next and in_flight < HALF:
                    flow.last_ns = time_ns
                    seen = flow.server_acked = flow.server_offset - in_flight
                    if payload:
                        offset, size = flow.client_offset, len(payload)
                        flow.client_offset = offset + size
                        flow.client_acked = -1
                        flow.client_next = (seq + size) & M32
                        recent = flow.client_recent + payload
                        flow.client_recent = recent if len(recent) <= self._compared else recent[-self._compared :]
                        flow.receiver.client(payload, offset, frame, time_ns, seen)
                    return
            else:
                in_flight = 0 if ack == flow.client_next else (flow.client_next - ack) & M32
                if seq == flow.server_next and in_flight < HALF:
                    flow.last_ns = time_ns
                    seen = flow.client_acked = flow.client_offset - in_flight
                    if payload:
                        offset, size = flow.server_offset, len(payload)
                        flow.server_offset = offset + size
                        flow.server_acked = -1
                        flow.server_next = (seq + size) & M32
                        recent = flow.server_recent + payload
                        flow.server_recent = recent if len(recent) <= self._compared else recent[-self._compared :]
                        flow.receiver.server(payload, offset, frame, time_ns, seen)
                    return
        self._segment(flow, (key, seq, ack, flags, payload, missing, frame, time_ns))

    def close(self) -> None:
        """End all open connections, because the source ended."""
        for flow in self.table:
            self._end(flow, "", flow.last_ns)
        self.table.handshakes.clear()

    def finish(self, flow: Flow) -> None:
        """End a connection, if it is still followed."""
        if self.table.has(flow):
            self._end(flow, "", flow.last_ns)

    def ignore(self, flow: Flow) -> None:
        """Stop following ``flow`` without a report, because it is not SMTP."""
        self._drop(flow, closed=False)
        self.table.ignore(flow)

    # -- segments that are not in order --------------------------------------------------------------------------------

    def _segment(self, flow: Flow | None, one: Segment) -> None:
        """Take a segment that ``feed`` did not take. ``flow``: the connection of its key."""
        key, seq, ack, flags, payload, missing, frame, time_ns = one
        if not self.clock.ticks_given:
            self.clock.tick(time_ns)
        expected = (
            flow is not None
            and flow.disorder is None
            and seq == (flow.client_next if key == flow.key else flow.server_next)
        )
        if not expected or flags & SYN:  # otherwise there is no doubt whose segment it is
            flow = self._connection_of(flow, one)
        if flow is None:
            return
        seq = (seq + (flags & SYN > 0)) & M32
        if flags & URG and not flow.noted.urgent:
            flow.noted.urgent = frame
        if flow.disorder is None and not missing and self._flows.get(key) is flow:
            take = self._take_end if flags & (FIN | SYN | RST) or flow.state else self._take_in_order
            if take(flow, key, seq, ack, flags, payload, frame, time_ns):
                return
        disorder = flow.disorder or flow.disordered(self._limits, self._shared)
        stream = disorder.client if key == flow.key else disorder.server
        if flow.capture == self.capture or time_ns > flow.last_ns:  # otherwise two captures recorded the same segment
            disorder.frames += 1
            flow.last_ns = time_ns
        if stream.next < 0:
            if not payload and not flags & (SYN | FIN) and not flow.handshake:
                return  # in mid-stream a bare ACK may be a keep-alive, which does not show a position
            stream.begin(seq)
        self._reassemble(flow, stream, seq, one)
        if flow.disorder is not None and (flow.receiver is IGNORING or disorder.over):
            flow.settle()

    def _connection_of(self, flow: Flow | None, one: Segment) -> Flow | None:
        """Return the connection that a segment belongs to: ``flow``, or another one that begins. None: none does, or
        the segment is dealt with."""
        key, seq, ack, flags, payload, missing, frame, time_ns = one
        table, handshakes = self.table, self.table.handshakes
        if (flow is not None or key in table.closed) and not self._strangers.fits(flow, one):
            flow = table.others.get(key)
            if flow is None:
                self._set_aside(one)
                return None
        if flow is not None and flow.disorder is not None and flow.disorder.later is not None:
            if self.ends.take(flow, flow.disorder, one):
                return None
            flow = self._flows.get(key)
        if flags & SYN:
            flow = self._syn(flow, key, seq, ack, flags, frame, time_ns)
            if flow is None and (key in self._flows or not (payload or missing)):
                return None  # an open connection continues for now
        elif flow is not None and key in handshakes and handshakes.begins_another(flow, key, seq, self.capture):
            self._replace(flow, key, time_ns)
            flow = None
        if flow is not None or key in table.closed:
            return flow
        if not (payload or missing or handshakes.concerns(key, seq, ack, flags, time_ns)):
            return None
        return self._open(key, (seq + (flags & SYN > 0)) & M32, ack if flags & ACK else -1, frame, time_ns)

    def _take_in_order(
        self, flow: Flow, key: bytes, seq: int, ack: int, flags: int, payload: bytes, frame: int, time_ns: int
    ) -> bool:
        """Take a segment of a connection in order that starts at most with the next byte: compare and drop what it
        repeats, deliver the rest. Returns whether that was possible."""
        side: Side
        if key == flow.key:
            side, number, offset, recent = "client", flow.client_next, flow.client_offset, flow.client_recent
            peer_number = flow.server_next
        else:
            side, number, offset, recent = "server", flow.server_next, flow.server_offset, flow.server_recent
            peer_number = flow.client_next
        behind = (number - seq) & M32
        if behind >= HALF or (peer_number - ack) & M32 >= HALF:
            return False
        if flow.capture == self.capture or time_ns > flow.last_ns:  # otherwise two captures recorded the same segment
            flow.last_ns = time_ns
        start = offset - behind
        if behind and len(payload) > 1 and flow.capture == self.capture:
            at, known = len(recent) - behind, payload[:behind]
            if (len(payload) < behind) if at < 0 else not recent.startswith(known, at):
                return False  # perhaps these bytes count, and not the first copy
        if behind and payload and not is_probe(payload, start, offset):
            compare(flow, side, recent, offset, start, payload[:behind], frame, time_ns)
        if len(payload) > behind:
            self.feed(key, number, ack, 0, payload[behind:], 0, frame, time_ns)
        return True

    def _take_end(
        self, flow: Flow, key: bytes, seq: int, ack: int, flags: int, payload: bytes, frame: int, time_ns: int
    ) -> bool:
        """Take a FIN or RST that comes in order, or a segment without data after one. Returns whether it is that."""
        if flags & (SYN | ACK) != ACK or flags & (FIN | RST) == FIN | RST or flow.capture != self.capture:
            return False
        if payload:
            if flow.state or flags & RST or seq != flow.expected(key):
                return False
            self.feed(key, seq, ack, ACK, payload, 0, frame, time_ns)
            self.feed(key, (seq + len(payload)) & M32, ack, flags, b"", 0, frame, time_ns)
            return True
        seen = flow.take_end(key, seq, ack, flags, frame, time_ns)
        if seen < 0:
            return False
        if flags & RST and flow.has_ended(flow.back if key == flow.key else flow.key):
            self._end(flow, "", time_ns, ("client" if key == flow.key else "server", seen, frame))
        elif flags & RST:
            disorder = flow.disordered(self._limits, self._shared)
            stream = disorder.client if key == flow.key else disorder.server
            self.ends.reset(flow, disorder, stream, stream.at(seq), (key, seq, ack, flags, b"", 0, frame, time_ns))
        elif flow.both_ended:
            self._end(flow, "", time_ns)
        return True

    def _reassemble(self, flow: Flow, stream: Stream, seq: int, one: Segment) -> None:
        """Take a segment of a connection that is not in order. ``seq``: of its first byte, after a SYN."""
        _, _, ack, flags, payload, missing, frame, time_ns = one
        disorder, peer = stream.disorder, stream.peer
        start = stream.offset if seq == stream.next else stream.at(seq)
        if disorder.twin is not None and self._splits(flow, stream, start, one):
            return
        doubtful = flags & RST or disorder.reset is not None
        if doubtful and is_doubtful(disorder, stream, start, flags, ack, frame, time_ns):
            return
        if disorder.rewind is not None or (start < stream.offset and flow.capture == self.capture):
            needs = peer.at(ack) if flags & ACK and peer.next >= 0 else -1
            held = HeldSegment(start, start + len(payload) + missing, payload, needs, frame, time_ns)
            if not missing and takes_part(disorder, stream, held, flags, ack):
                self._settle(flow, disorder, frame, time_ns)
                return
            start = stream.at(seq)
        if self.ends.follows_fin(disorder, stream, start, one):
            return
        needs = record_ack(peer, ack, frame) if flags & ACK else -1
        end = record_end(stream, start, start + len(payload) + missing, frame)
        if flags & RST:
            self.ends.reset(flow, disorder, stream, start, one)
            return
        if flags & FIN and end < stream.offset + SANE_AHEAD:
            take_fin(stream, end, needs, frame, time_ns)
        if payload or missing:
            before = stream.offset + stream.held_bytes
            put(stream, start, payload, needs, frame, time_ns)
            if flow.capture != self.capture and time_ns <= flow.last_ns and stream.offset + stream.held_bytes > before:
                flow.noted.add_filled(time_ns, self.capture)
            if missing and stream.peer.next < 0 and stream.offset < stream.top and not stream.held:
                # With one direction captured no ACK can show that these bytes arrived, so they are declared lost now.
                lose(stream, stream.top - stream.offset, frame, time_ns)
        if stream.fin >= 0:
            reach_fin(stream)
        self._settle(flow, disorder, frame, time_ns)

    def _settle(self, flow: Flow, disorder: Disorder, frame: int, time_ns: int) -> None:
        """Deliver what can be delivered now, declare proven losses, end the connection if it is over."""
        client, server = streams = disorder.client, disorder.server
        if disorder.waiting:
            pump(disorder, force=False)
            for stream in streams:
                if stream.top > stream.offset:
                    declare_gaps(stream, frame, time_ns)
            if client.queue and server.queue and client.top <= client.offset and server.top <= server.offset:
                pump(disorder, force=True)
            for stream in streams:
                if stream.queue and len(stream.queue) > self._limits.held_segments > 0:
                    pump(disorder, force=True)
        if client.finished and server.finished and not client.queue and not server.queue:
            self._end(flow, "", time_ns)

    # -- the start and the end of a connection -------------------------------------------------------------------------

    def _syn(
        self, flow: Flow | None, key: bytes, seq: int, ack: int, flags: int, frame: int, time_ns: int
    ) -> Flow | None:
        """Remember the SYN. If it is answered, end the open connection with the same ports."""
        table = self.table
        if flow is not None:
            disorder = flow.disordered(self._limits, self._shared)  # the next segment decides
            client = key == flow.key
            stream = disorder.client if client else disorder.server
            isn = flow.isn(client=client)
            if flags & ACK and table.handshakes.answers(flow, key, ack, self.capture):
                self._replace(flow, key, time_ns)
            elif isn == seq and not begins_another(flow.lifetime, time_ns, self.capture):
                if flow.capture != self.capture and not flags & ACK:
                    disorder.twin = SetAside()
                return flow
            elif (
                isn is None
                and stream.next in (-1, (seq + 1) & M32)
                and not stream.offset
                and abs(time_ns - flow.started_ns) <= _LATE_NS
            ):
                flow.note_syn(client=client, answers=False)
                if flow.capture != self.capture:
                    disorder.twin = SetAside()
                return flow
        if key in table.closed:
            if table.is_copy(key, seq, time_ns, self.capture):
                return None
            table.forget(key)
        table.handshakes.note(key, seq, ack, flags, frame, time_ns)
        return None

    def _splits(self, flow: Flow, stream: Stream, start: int, one: Segment) -> bool:
        """Return whether a segment of another capture shows that this holds another connection, which begins then."""
        twin = stream.disorder.twin
        if twin is None or not differs(stream.disorder, stream, start, one):
            return False
        self._end(flow, "", flow.last_ns)
        self.table.forget(flow.key)
        for each in twin.segments:
            self.feed(*each)
        return True

    def _replace(self, flow: Flow, key: bytes, time_ns: int) -> None:
        """End a connection, because another one uses the ports now."""
        self._end(flow, "a new connection started with the same addresses and ports", time_ns)
        self.table.forget(key)

    def _set_aside(self, one: Segment) -> None:
        """Set a segment aside that belongs to no known connection. If that is clear now, begin the connection."""
        segments = self._strangers.take(one)
        if segments is None:
            return
        key, seq, ack, _, _, _, frame, time_ns = segments[0]
        self.table.forget(key)
        other = self._open(key, seq, ack, frame, time_ns)
        for each in segments:
            self._segment(other if self.table.has(other) else None, each)

    def _open(self, key: bytes, seq: int, ack: int, frame: int, time_ns: int) -> Flow:
        """Open a connection at its first payload, or a second one between the same addresses and ports."""
        handshakes = self.table.handshakes
        flow = open_flow(handshakes, key, seq, ack, frame, time_ns, self.capture, self._limits, self._shared)
        self._shared.grown += FLOW_COST
        if key in self.table.others:
            self.finish(self.table.others[key])
        self.table.add(flow)
        self._host.accept(flow)
        return flow

    def _give_up(self, flow: Flow, why: str) -> None:
        """End a connection because of a limit."""
        self._host.giving_up(flow)
        self._end(flow, why, flow.last_ns)

    def _end(self, flow: Flow, why: str, time_ns: int, reset: OrderlyRst = None) -> None:
        """Deliver everything that is left, and forget the connection. ``reset``: its RST, if that came in order."""
        side, acked, frame = reset or (None, 0, 0)
        disorder, closed = flow.disorder, reset is not None or flow.both_ended
        if disorder is not None:
            if disorder.rewind is not None:
                give_up_rewind(disorder)
            if disorder.reset is not None:
                side, frame, time_ns = accept_reset(disorder.reset)
                self.ends.forget(flow)
            deliver_rest(disorder, time_ns)
            if side is not None:
                acked = (disorder.server if side == "client" else disorder.client).acked
            closed = side is not None or (disorder.client.finished and disorder.server.finished)
            flow.settle()
        if side is not None:
            flow.receiver.closed(side, "rst", frame, time_ns, acked)
        self._drop(flow, closed=closed)
        self._host.finished(flow, why)
        flow.receiver = IGNORING  # breaks a reference cycle, which would stay until the garbage collector runs

    def _drop(self, flow: Flow, *, closed: bool) -> None:
        self.table.drop(flow, Lifetime(flow.started_ns, flow.last_ns, closed, self.capture))
