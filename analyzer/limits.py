"""Every bound of the audit in one place: what it protects, why it has this value.

0 switches a limit off. Reaching one never stops the audit: it is said in the report (a capture's ``problems`` or a
connection's ``notes``).
"""

from __future__ import annotations

from msgspec import Struct

__all__ = ["DEFAULT_LIMITS", "Limits"]


class Limits(Struct, frozen=True):
    """Bounds with their defaults. Sizes are bytes, times are seconds of capture time, counts are plain numbers."""

    record_bytes: int = 1 << 21
    """Longest record of a capture file that is believed. The largest real frames are 512 KiB (Linux BIG TCP); a length
    above four times that is damage, and no memory is asked for on its word."""

    interfaces: int = 65_536
    """Interfaces described in one section of a pcapng file: as many as 16 bits name. About 200 bytes each."""

    fragment_bytes: int = 4 << 20
    """Bytes of all fragmented IP datagrams held at once. What Linux allows for a host."""

    fragment_seconds: int = 30
    """Time that a fragmented datagram may take to become whole. What Linux waits for IPv4; RFC 8200 §4.5 allows 60."""

    loss_proof_frames: int = 8
    """Frames of a connection to wait, once a peer has acknowledged bytes that were not captured, before they count as
    lost by the capture. Two taps on one cable skew by one or two frames; receive queues of a NIC by a few more."""

    held_bytes: int = 1 << 20
    """Bytes of one direction held back behind a hole. Above the largest receive window usual for mail (1 MiB)."""

    held_segments: int = 2048
    """Segments of one direction held back behind a hole: bounds the work for tiny segments."""

    all_held_bytes: int = 256 << 20
    """Bytes held back over all connections: behind holes, for the peer, and as halves of lines, replies and headers.
    Hundreds of honest connections have a hole or a half at the same time, each of some KB; what is above belongs to an
    attack. Holes of the connections that hold most are then waited for no longer, and if that does not help they are
    followed no further. An eighth more may be held for a moment, or 4 KB for each connection."""

    connections: int = 200_000
    """Connections followed at once; the longest idle ones are closed first. One that said hello takes about 1 KB while
    nothing more is said, 12 KB while it is judged."""

    idle_seconds: int = 7200
    """A connection without a segment for so long is closed. RFC 5321 §4.5.3.2 asks for 10 minutes at most."""

    handshakes: int = 65_536
    """SYNs remembered until their connection carries data: bounds what a SYN flood can fill."""

    closed_connections: int = 16_384
    """Closed connections remembered, so that a late retransmission does not open a ghost."""

    gathered_bytes: int = 1 << 24
    """Bytes of connections that are looked at only when they end. Beyond it they are judged as they go on, which takes
    longer; the report is the same, so that it says nothing of this limit."""

    sniffed_bytes: int = 4096
    """Bytes of one direction looked at to tell whether a connection carries SMTP. Longer than any preamble of a proxy
    and than a command line (RFC 5321 §4.5.3.1.4: 512)."""

    line_bytes: int = 65_536
    """A line of command or reply that is longer is judged by its first bytes. RFC 4954 §4 allows 12288 for AUTH, the
    longest that any RFC asks for."""

    reply_bytes: int = 1 << 20
    """A reply of many lines that is longer is taken as ended, and lines without a code behind that are left out. A HELP
    or EHLO reply has a few KB."""

    undecided_bytes: int = 1 << 20
    """Client bytes held back while only the reply to DATA or AUTH can say what they are."""

    header_bytes: int = 1 << 18
    """Message header kept to read its fields. Large mail providers cut off at 64 to 256 KB."""

    outstanding: int = 10_000
    """Commands without a reply that are kept for pairing. A pipelining client has a window's worth: some hundred."""

    turns: int = 200_000
    """Turns kept for the dialogue of one connection."""

    harvest_probes: int = 10
    """VRFY and EXPN commands, or recipients that do not exist, in one session before it counts as a search for
    addresses. A mailing list with dead subscribers has a few."""

    unanswered_commands: int = 500
    """Commands in flight at once that are noticed as a flood. A window of 64 KB holds more, no honest group does."""

    remembered_servers: int = 16_384
    """Servers, each as seen from one client network, of which it is remembered that they offered STARTTLS: 8 MB."""

    server_memory_seconds: int = 86_400
    """How long such an offer counts. Within a day, an offer that is gone is rather hidden than withdrawn."""

    findings_per_rule: int = 1000
    """Findings of one rule kept for one connection; further ones are counted."""


DEFAULT_LIMITS = Limits()
