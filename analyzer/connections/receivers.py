"""The receivers of a connection before it is known to be SMTP, and of one whose messages are taken by a tap."""

# Theory
# ------
# A connection begins with a `Candidate`, which keeps all events until the first bytes show whether it is SMTP. Then a
# conversation gets these events, and is the receiver itself from then on. Only if a tap takes the messages, a
# `TappedConversation` passes the events on.

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ..lines.protocol_detection import Detection, begins_with_reply, judge_heads, preamble

if TYPE_CHECKING:
    from ..exchanges.conversation_feed import ConversationFeed
    from ..exchanges.interfaces import ContentTap
    from ..limits import Limits
    from ..streams.flow import Flow
    from ..streams.receiver import How, Receiver, Side

__all__ = ["Candidate", "CandidateHost", "TappedConversation"]


class CandidateHost(Protocol):
    """What becomes of a candidate."""

    def begin(self, flow: Flow) -> Receiver:
        """Start a conversation for ``flow``, which is SMTP, as its receiver, and return that."""

    def leave_out(self, flow: Flow, client: bytes, server: bytes, *, over: bool) -> None:
        """Stop following ``flow``, which is not SMTP. ``client`` and ``server``: its first bytes. ``over``: it has
        ended."""


class TappedConversation:
    """Passes the events of a connection to its conversation; a tap sees the bytes of the client first."""

    __slots__ = ("client", "closed", "conflict", "feed", "gap", "revoke", "server")

    def __init__(self, feed: ConversationFeed, tap: ContentTap) -> None:
        self.feed = feed
        self.client = tap.wrap_client(feed.client)
        self.server = feed.server
        self.gap = feed.gap
        self.closed = feed.closed
        self.conflict = feed.conflict
        self.revoke = feed.revoke

    @property
    def weight(self) -> int:
        """See ``Receiver``."""
        return self.feed.weight


class Candidate:
    """The receiver of a connection that may be SMTP."""

    __slots__ = ("_client", "_events", "_flow", "_host", "_limits", "_server", "_smtp_port")

    def __init__(self, host: CandidateHost, flow: Flow, limits: Limits, *, smtp_port: bool) -> None:
        """``smtp_port``: the server's port is an SMTP port."""
        self._host = host
        self._flow = flow
        self._limits = limits
        self._smtp_port = smtp_port
        self._events: list[tuple[str, bool, tuple[Any, ...]]] = []  # kind, whether it is the client's, what it says
        self._client = self._server = b""  # the first bytes of both sides

    def client(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        """See ``Receiver``."""
        self._events.append(("data", True, (data, offset, frame, time_ns, seen)))
        if len(self._client) < self._limits.sniffed_bytes or not self._limits.sniffed_bytes:
            self._client += data
        self._decide(over=False)

    def server(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        """See ``Receiver``."""
        if self._smtp_port and not self._events and begins_with_reply(data):  # as nearly all connections begin
            self._host.begin(self._flow).server(data, offset, frame, time_ns, seen)
            return
        self._events.append(("data", False, (data, offset, frame, time_ns, seen)))
        if len(self._server) < self._limits.sniffed_bytes or not self._limits.sniffed_bytes:
            self._server += data
        self._decide(over=False)

    def gap(self, side: Side, offset: int, length: int, frame: int, time_ns: int) -> None:
        """See ``Receiver``."""
        self._events.append(("gap", side == "client", (offset, length, frame, time_ns)))

    def closed(self, side: Side, how: How, frame: int, time_ns: int, acked: int) -> None:
        """See ``Receiver``."""
        self._events.append(("closed", side == "client", (how, frame, time_ns, acked)))

    def conflict(self, side: Side, offset: int, frame: int, time_ns: int) -> None:
        """See ``Receiver``."""
        self._events.append(("conflict", side == "client", (offset, frame, time_ns)))

    def revoke(self, side: Side, offset: int) -> bool:
        """See ``Receiver``."""
        head = self._client if side == "client" else self._server
        if any(kind == "gap" for kind, _, _ in self._events) or len(head) < offset:
            return False
        for number, (kind, of_first, event) in enumerate(self._events):
            if kind == "data" and of_first is (side == "client") and event[1] + len(event[0]) > offset:
                cut = event[0][: max(0, offset - event[1])]
                self._events[number] = kind, of_first, (cut, *event[1:])
        ended = "closed", side == "client"
        self._events = [one for one in self._events if (one[0] != "data" or one[2][0]) and one[:2] != ended]
        if side == "client":
            self._client = head[:offset]
        else:
            self._server = head[:offset]
        return True

    @property
    def weight(self) -> int:
        """See ``Receiver``."""
        data = sum(len(event[0]) for kind, _, event in self._events if kind == "data")
        return len(self._client) + len(self._server) + data

    def conclude(self) -> None:
        """Decide now, because the connection is over."""
        self._decide(over=True)

    def _decide(self, *, over: bool) -> None:
        """Decide whether the connection is SMTP, if its first bytes suffice."""
        heads = self._client, self._server
        smtp_port = self._smtp_port
        # Whether client and server may be exchanged: if neither SYN nor port shows which side is the client.
        orders = (False,) if smtp_port or self._flow.handshake else (False, True)
        full = len(max(heads, key=len)) >= self._limits.sniffed_bytes > 0
        undecided = False
        for swapped in orders:
            client, server = reversed(heads) if swapped else heads
            skip = (0, 0) if smtp_port else preamble(client, server)
            if skip is None:
                undecided = True
                continue
            rest = client[skip[0] :], server[skip[1] :]
            if skip != (0, 0) and not any(rest):
                undecided = True
                continue
            verdict = judge_heads(*rest, smtp_port=smtp_port, over=over or full)
            if over and smtp_port and not any(rest) and self._events:
                verdict = Detection.SMTP  # all data were lost: report the connection anyway
            if verdict is Detection.SMTP:
                self._start_conversation(skip, swapped=swapped)
                return
            undecided = undecided or verdict is Detection.UNDECIDED
        if over or full or not undecided:
            self._host.leave_out(self._flow, *heads, over=over)

    def _start_conversation(self, skip: tuple[int, int], *, swapped: bool) -> None:
        """Pass everything so far to a conversation, except ``skip`` bytes of client and server."""
        if swapped:
            self._flow.swap()
        receiver = self._host.begin(self._flow)
        left = {True: skip[0], False: skip[1]}
        for kind, of_first, event in self._events:
            client = of_first is not swapped
            if kind == "data":
                data, offset, frame, time_ns, seen = event
                cut = min(left[client], len(data))
                left[client] -= cut
                if cut < len(data):
                    take = receiver.client if client else receiver.server
                    take(data[cut:], offset + cut, frame, time_ns, seen)
                continue
            side: Side = "client" if client else "server"
            if kind == "gap":
                receiver.gap(side, *event)
            elif kind == "closed":
                receiver.closed(side, *event)
            else:
                receiver.conflict(side, *event)
