"""All limits of the audit in one place: what each one protects and why it has this value.

The limits in ``Limits`` can be set; 0 switches one off. Reaching a limit never stops the audit: the report mentions it
(in a capture's ``problems`` or a connection's ``notes``).
"""

from __future__ import annotations

from msgspec import Struct

__all__ = [
    "BASELINE_BYTES",
    "BLANK_BYTES",
    "BYTES_AFTER_QUIT",
    "BYTES_ASIDE",
    "COMMANDS_AFTER_HELLO",
    "DEFAULT_LIMITS",
    "DISPLACED_SYNS",
    "KEY_LOG_LINE",
    "KEY_LOG_LINES",
    "NOTES",
    "PLUGIN_FINDINGS",
    "PLUGIN_TEXT",
    "RECENT_BYTES",
    "SECRET_BYTES",
    "SECRET_VALUES",
    "SEGMENTS_ASIDE",
    "SETTINGS_BYTES",
    "STRANGERS",
    "STRANGER_SEGMENTS",
    "TLS_EARLY_BYTES",
    "TLS_LOST_RECORDS",
    "TLS_MESSAGE_BYTES",
    "TLS_PLACES",
    "TLS_TRIED_BYTES",
    "TLS_WAITING_BYTES",
    "TLS_WAITING_NS",
    "TURNS_INSIDE_FIRST",
    "WAITING_RESETS",
    "Limits",
]


class Limits(Struct, frozen=True):
    """The limits with their defaults. Sizes are bytes, times are seconds of capture time, counts are plain numbers."""

    record_bytes: int = 1 << 21
    """Longest record of a capture file that is accepted. The largest real frames are 512 KiB (Linux BIG TCP). A length
    of more than four times that means a damaged file, and no memory is allocated for it."""

    interfaces: int = 65_536
    """Interfaces described in one section of a pcapng file: as many as 16 bits can number. About 200 bytes each."""

    empty_records: int = 1 << 20
    """Records without a byte of a frame, or blocks of a pcapng file without a packet, that are read one after another.
    After so many the rest of the file is not read: it is filled with zeros, or made to keep the reader busy."""

    gzip_ratio: int = 100
    """How many times its size a gzip file may unpack to, once that is more than 256 MiB. Captures shrink to a third, to
    a thirtieth if all sessions are alike; a file made to waste time shrinks to a thousandth."""

    undecoded_kinds: int = 4096
    """Kinds of frames that could not be decoded (EtherTypes, protocols, ports) counted apart; further ones are counted
    together. A real capture has one or two, and a report names 16."""

    fragment_bytes: int = 4 << 20
    """Bytes of all fragmented IP datagrams held at once. The limit that Linux uses for a host."""

    fragment_seconds: int = 30
    """Time until a fragmented datagram must be complete. Linux waits this long for IPv4; RFC 8200 §4.5 allows 60."""

    loss_proof_frames: int = 8
    """Frames of a connection to wait after a peer acknowledged bytes that are not in the capture; then the bytes count
    as lost by the capture. Two taps on one cable differ by one or two frames, receive queues of a NIC by a few more."""

    compared_bytes: int = 8192
    """Bytes of each direction that are remembered to compare with retransmissions: the last five full segments. Every
    open connection keeps as many."""

    held_bytes: int = 1 << 20
    """Bytes of one direction held back after a gap. Above the largest receive window usual for mail (1 MiB)."""

    held_segments: int = 2048
    """Segments of one direction held back after a gap: limits the work for tiny segments."""

    all_held_bytes: int = 256 << 20
    """Bytes held back in all connections together: after gaps, until data of the other side arrives, and as incomplete
    lines, replies and headers. Hundreds of normal connections have a gap or something incomplete at the same time, each
    of some KB; more than this limit belongs to an attack. Above it, the connections that hold most no longer wait for
    the missing bytes. If that is not enough, they are no longer followed. For a short time an eighth more may be held,
    or 4 KB for each connection."""

    connections: int = 200_000
    """Connections followed at the same time; the ones idle for the longest time are closed first. A connection takes
    about 3 KB after the hello."""

    idle_seconds: int = 7200
    """A connection without a segment for this long is closed. RFC 5321 §4.5.3.2 asks for 10 minutes at most."""

    handshakes: int = 65_536
    """SYNs remembered until their connection carries data: limits the memory that a SYN flood can use."""

    closed_connections: int = 16_384
    """Closed connections remembered, so that a late retransmission does not create a new connection."""

    sniffed_bytes: int = 4096
    """Bytes of one direction examined to detect whether a connection carries SMTP. Longer than any preamble of a proxy
    and than a command line (RFC 5321 §4.5.3.1.4: 512)."""

    line_bytes: int = 65_536
    """A longer command or reply line is judged by its first bytes. RFC 4954 §4 allows 12288 for AUTH, the longest line
    that any RFC requires."""

    reply_bytes: int = 1 << 20
    """A longer multiline reply is treated as ended, and lines without a code after that are omitted. A HELP or EHLO
    reply has a few KB."""

    undecided_bytes: int = 1 << 20
    """Client bytes held back until the reply to DATA or AUTH shows what they are."""

    header_bytes: int = 1 << 18
    """Bytes of a message header kept to read its fields. Large mail providers cut off at 64 to 256 KB."""

    outstanding: int = 10_000
    """Commands kept while they wait for a reply. A pipelining client has as many as fit in a window: some hundred."""

    turns: int = 200_000
    """Turns kept in the dialogue of one connection."""

    harvest_probes: int = 10
    """VRFY and EXPN commands, or recipients that do not exist, in one session that count as a search for
    addresses. A mailing list with dead subscribers has a few."""

    unanswered_commands: int = 500
    """Commands in flight at once that count as a flood. A window of 64 KB holds more, but no normal client sends
    more."""

    remembered_servers: int = 16_384
    """Servers, each as seen from one client network, remembered because they offered STARTTLS: 8 MB."""

    server_memory_seconds: int = 86_400
    """How long such an offer is remembered. If an offer disappears within a day, an attacker has more likely removed it
    than the server withdrawn it."""

    findings_per_rule: int = 1000
    """Findings of one rule kept for one connection; further ones are only counted."""


DEFAULT_LIMITS = Limits()

# Bounds of single steps. No traffic of real programs comes near them, so they have no setting. Without them, one event
# could cost as much as all events before it.

RECENT_BYTES = 2 << 20
"""Bytes of the input that are kept to look up the checksum of a segment when a later copy of it differs."""

BYTES_ASIDE, SEGMENTS_ASIDE = 1 << 16, 512
"""Payload and segments of a connection that are set aside until a question about it is decided, for example whether
a RST counts."""

WAITING_RESETS = 16_384
"""RSTs that wait at the same time for a sign that their receiver refused them. More come from a scan, and the oldest
ones then count."""

DISPLACED_SYNS = 1024
"""SYNs that are remembered although the same ports sent another one after it."""

STRANGERS, STRANGER_SEGMENTS = 1024, 32
"""Pairs of addresses and ports with segments that fit no connection, and such segments of each. Two that fit each other
come together, so a few are enough."""

GLUED_BYTES = 256
"""Bytes at the end of a host name in which a login is looked for, from each byte on. The message of PLAIN with a long
password has 100."""

SECRET_VALUES, SECRET_BYTES = 4096, 1 << 17
"""Secrets of a connection that are searched for in the replies, and the bytes of the longer ones. A line of AUTH may
have 12,288 (RFC 4954 §4). After more, only known words of the replies are shown."""

OTHER_TRAFFIC = 1000
"""Protocols and ports of connections that are not SMTP which are counted apart. A port scan has more; a report names a
few."""

NOTES = 100
"""Remarks about one connection, which are for a person to read. The last one says that there are more."""

COMMANDS_AFTER_HELLO = 64
"""Commands in flight after a hello that can still be excused by it. A client that sends more without a reply has not
only forgotten to wait, and its commands are reported as if no hello were unanswered."""

BYTES_AFTER_QUIT = 512
"""Bytes at the end of what waits for a reply in which a QUIT is looked for: nothing comes after a QUIT."""

BLANK_BYTES = 64
"""Bytes at the start of a line that are examined: if all of them are line ends, it has no command."""

TURNS_INSIDE_FIRST = 64
"""Turns of the server inside TLS, before any of the client, that are compared to find out whose reply comes first."""

SETTINGS_BYTES = 1 << 20
"""Bytes of a settings file or of a pyproject.toml, which is searched for settings. The largest ones of projects have
some 100 KB; the parser of Python needs a hundred times the size in memory."""

BASELINE_BYTES = 64 << 20
"""Bytes of a baseline: half a million entries."""

PLUGIN_FINDINGS = 1000
"""Findings of a rule of a plugin about one exchange, as many as are kept of a rule for a connection. More come from a
loop without end."""

PLUGIN_TEXT = 20_000
"""Characters of one finding of a plugin: some lines of mail. A longer one comes from a fault, and every report would
contain it; the rule is disabled, and this is said."""

KEY_LOG_LINE, KEY_LOG_LINES = 1024, 1_000_000
"""Octets of a line of a key log, and lines: TLS 1.3 writes five for each session, so 200,000 sessions, about 250 MB."""

TLS_MESSAGE_BYTES = 1 << 17
"""Octets of a handshake message. The longest ones hold a chain of certificates of some KB; a longer one is not read."""

TLS_EARLY_BYTES = 1 << 17
"""Octets of early data that wait until the server accepts it. Servers announce 16 KB as what they take."""

TLS_LOST_RECORDS = 4096
"""Records that may be missing in a gap. A gap of 64 KB can hold 3000 of the smallest."""

TLS_TRIED_BYTES = 64 << 20
"""Octets of the records of one connection that were tried in vain after gaps: a second of work."""

TLS_WAITING_BYTES, TLS_WAITING_NS = 1 << 18, 10_000_000_000
"""Octets and time that a connection waits for its keys, if the key log grows. Programs write them during the
handshake."""

TLS_PLACES = 65_536
"""Records of one side of which the place is known exactly: a gigabyte in records of the usual size. Of more, the place
of one shortly before is given."""
