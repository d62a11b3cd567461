"""Start a conversation for each connection that is SMTP, and take its report when it is over."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from .. import model
from ..exchanges.conversation import Conversation
from ..exchanges.turns import NO_DETAIL, TurnDetail
from ..streams.reassembler import Reassembler
from .endpoints import endpoint
from .receivers import Candidate, TappedConversation
from .report_clock import ReportClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..exchanges.conversation import ContentTap, Judge
    from ..limits import Limits
    from ..streams.flow import Flow
    from ..streams.receiver import Receiver
    from .partition import Places

__all__ = ["PROFILE_OF_PORT", "Conversations"]

PROFILE_OF_PORT = {587: "submission", 465: "submission", 24: "lmtp"}


class Conversations:
    """Decides what becomes of each connection in ``streams``. The reports of those that are over are in ``ended``."""

    def __init__(
        self,
        judge: Judge,
        limits: Limits,
        *,
        ports: frozenset[int],
        profile: str | None = None,
        detail: TurnDetail = NO_DETAIL,
        tap: Callable[[model.Connection], ContentTap] | None = None,
    ) -> None:
        """``tap``: returns the receiver of a new connection's messages."""
        self.streams = Reassembler(self, limits)
        self.ended: deque[model.Connection] = deque()
        self.clock = ReportClock()
        self.places: Places | None = None
        self._judge = judge
        self._limits = limits
        self._port_bytes = frozenset(port.to_bytes(2, "big") for port in ports)
        self._profile = profile
        self._detail = detail
        self._tap = tap
        self._last_id = 0

    def accept(self, flow: Flow) -> None:
        """See ``FlowHost``."""
        from_port, to_port = flow.key[-4:-2], flow.key[-2:]
        ports = self._port_bytes
        swapped = not flow.handshake and from_port in ports and to_port not in ports
        if swapped:
            flow.swap()
        flow.receiver = Candidate(self, flow, self._limits, smtp_port=swapped or to_port in ports)

    def ignore(self, flow: Flow) -> None:
        """See ``CandidateHost``."""
        self.streams.ignore(flow)

    def begin(self, flow: Flow) -> Receiver:
        """See ``CandidateHost``."""
        self._last_id += 1
        if self.places is not None:
            self.places.numbered.append((self.places.here, flow.key, flow.first_frame, flow.handshake))
        record = self._record(flow, self._last_id)
        fixed = self._profile is not None
        tap = None if self._tap is None else self._tap(record)
        talk = Conversation(
            record, self._judge, self._limits, self.clock, profile_fixed=fixed, detail=self._detail, tap=tap
        )
        talk.kept = self.streams.housekeeping.kept
        if flow.handshake and not flow.server_start_known:
            talk.server_syn_missing = True
        flow.receiver = talk if tap is None else TappedConversation(talk, tap)
        return flow.receiver

    def finished(self, flow: Flow, why: str, *, given_up: bool) -> None:
        """See ``FlowHost``."""
        if isinstance(flow.receiver, Candidate):
            flow.receiver.conclude()
        talk = _conversation(flow)
        if talk is None:
            return
        record = self._standing(flow, talk)
        if flow.remarks is not None:
            talk.overlaps = dict(flow.remarks.overlaps.items())
            record.notes += [_not_compared(side, *bytes_) for side, bytes_ in flow.remarks.uncompared.items()]
        if why:
            record.notes.append(why)
        talk.course.captured = flow.captured
        record = talk.finish()
        talk.detach()
        if self.places is not None:
            self.places.note_end(flow if given_up else None)
        self.ended.append(record)

    def standing(self) -> Iterator[model.Connection]:
        """Yield the reports of the open connections so far. They will still grow."""
        for flow in self.streams.table:
            talk = _conversation(flow)
            if talk is not None:
                yield self._standing(flow, talk)

    def _standing(self, flow: Flow, talk: Conversation) -> model.Connection:
        record = talk.record
        record.client_bytes, record.server_bytes = flow.received
        record.ended = self.clock(flow.last_ns)
        return record

    def _record(self, flow: Flow, number: int) -> model.Connection:
        """Return the empty report of a new connection."""
        server_end = endpoint(flow.key, source=False)
        started = self.clock(flow.started_ns)
        return model.Connection(
            id=number,
            client=endpoint(flow.key, source=True),
            server=server_end,
            protocol="smtp",
            profile=self._profile or PROFILE_OF_PORT.get(server_end.port, "rfc5321"),
            tls="none",
            opening="handshake" if flow.handshake else "midstream",
            closing="open",
            started=started,
            ended=started,
            client_bytes=0,
            server_bytes=0,
            gaps=[],
            dialogue=[],
            messages=[],
            findings=[],
        )


def _not_compared(side: str, offset: int, count: int) -> str:
    """Return the note on bytes that came again, too far back to be compared."""
    return f"{count} bytes of the {side} came again or late, from offset {offset} on, and were not compared"


def _conversation(flow: Flow) -> Conversation | None:
    """Return the conversation of ``flow``, None if it has none."""
    receiver = flow.receiver
    if isinstance(receiver, TappedConversation):
        return receiver.talk
    return receiver if isinstance(receiver, Conversation) else None
