"""Decode frames with Scapy's dissection: what the table of headers does not have, and the reference for the rest."""

# Theory
# ------
# Scapy gives the fields of a header; the table (`tunnels.ROWS`) says what their numbers mean. What Scapy does not
# dissect, the table opens; what the table does not have, Scapy's own bindings open. Scapy does not give lengths and
# contents: in Scapy a payload depends on the length fields of all headers around it, and offload and hostile senders
# set these to any value. So Scapy gets one header at a time. The offset of a header is the sum of the sizes of those
# before it, and the innermost IP header decides where a payload ends, exactly as in the raw decoder.
#
# Scapy does not see options and the content of extension headers: it would make a packet of each, and might fail. The
# length fields of those headers are used (RFC 791 §3.1, RFC 8200 §4.2).
#
# A TCP header that an ICMP error quotes is not a segment: the table says that ICMP holds no TCP.
#
# Importing this module imports Scapy's layers (about 0.3 s). Only `decoder` does so, at the first frame that needs it.

from __future__ import annotations

import struct
from contextlib import suppress
from socket import AF_INET, AF_INET6, inet_pton

from scapy.config import conf
from scapy.contrib.geneve import GENEVE
from scapy.contrib.nsh import NSH
from scapy.layers import dot11, pflog, ppi  # noqa: F401  they add link types
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    IPv6ExtHdrSegmentRouting,
)
from scapy.layers.l2 import CookedLinux, CookedLinuxV2, Dot1Q, Dot3, Ether
from scapy.packet import NoPayload, Packet, Padding, Raw

from .ip_tcp import MAX_DEPTH, TCP_HEADER, too_deep
from .layers import BROKEN, NO_TCP, Found, Fragment, Undecoded
from .layers import Packet as Frame
from .link_headers import ISL
from .tunnels import ROWS, number_name, walk

__all__ = ["decode"]

_SHORTEST_NSH = 2  # words: the base header and the service path (RFC 8300 §2.2)
_MAX_LAYERS = 128  # most headers around a segment; five are many
_MAX_HEADER = 64  # bytes that contain the longest header
_SIZED_EXTENSIONS = (IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, IPv6ExtHdrSegmentRouting)
_LINKS: dict[int, type[Packet]] = {1: Ether, 113: CookedLinux, 228: IP, 229: IPv6, 276: CookedLinuxV2}
_EXTENSIONS: dict[int, type[Packet]] = {
    0: IPv6ExtHdrHopByHop,
    43: IPv6ExtHdrRouting,
    44: IPv6ExtHdrFragment,
    60: IPv6ExtHdrDestOpt,
}
_CLASSES: dict[str, type[Packet]] = {
    "Ethernet": Ether, "VLAN": Dot1Q, "IPv4": IP, "IPv6": IPv6, "TCP": TCP, "Geneve": GENEVE, "NSH": NSH,
}  # fmt: skip
"""Scapy's classes for rows of the table; the other rows are opened by their steps."""
_NUMBERS: dict[type[Packet], tuple[str, str]] = {
    Ether: ("EtherType", "type"),
    Dot1Q: ("EtherType", "type"),
    CookedLinux: ("EtherType", "proto"),
    CookedLinuxV2: ("EtherType", "proto"),
    GENEVE: ("EtherType", "proto"),
    NSH: ("NSH or GPE protocol", "nextproto"),
    IP: ("IP protocol", "proto"),
    IPv6: ("IP protocol", "nh"),
    **dict.fromkeys((*_SIZED_EXTENSIONS, IPv6ExtHdrFragment), ("IP protocol", "nh")),
}
_LLC = ("EtherType", 0x8870)
_MAX_LENGTH, _LAST_COOKED = 1500, 0x5FF  # smaller numbers are no EtherTypes: lengths, and protocols of Linux
_KNOWN_LATER: dict[type[Packet], tuple[str, int]] = {
    Ether: ("EtherType", 0x6558), Dot3: ("EtherType", 0x6558), IP: ("EtherType", 0x0800), IPv6: ("EtherType", 0x86DD),
    TCP: ("IP protocol", 6), UDP: ("IP protocol", 17),
}  # fmt: skip
"""Rows of the table for layers that come after one of which only Scapy knows."""
_LATER_DATA = (Raw, Padding, NoPayload, None)


def decode(link_type: int, data: bytes, length: int) -> Found:
    """Decode a frame like ``tunnels.decode``, with every layer that Scapy can open. Raises nothing."""
    frame = Frame(data, max(length, len(data)))
    try:
        return _Walk(frame).run(link_type)
    except (struct.error, IndexError):
        return BROKEN if frame.addresses or frame.length > len(data) else NO_TCP


class _Walk:
    """One frame, layer by layer. ``kind`` and ``number``: the row of the table at ``at``. ``own``: the class of a layer
    there that the table does not have. ``outer``: the layer before it, if Scapy dissected it."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.data = frame.data
        self.kind, self.number, self.at = "link type", 0, 0
        self.own: type[Packet] | None = None
        self.outer: Packet | None = None

    def run(self, link_type: int) -> Found:
        self.number = link_type
        if link_type not in ROWS[self.kind]:
            self.own = conf.l2types.num2layer.get(link_type)
        for _ in range(_MAX_LAYERS):
            layer_class = self.own or self._class()
            found = self._step() if layer_class is None else self._dissect(layer_class)
            if found is not None:
                return found
        return Undecoded(f"more than {_MAX_LAYERS} headers")

    def _step(self) -> Found | None:
        """Let the table open a header. Returns a result that ends the frame, else None."""
        row = ROWS[self.kind].get(self.number)
        if row is None:
            return Undecoded(number_name(self.kind, self.number), odd=True)
        if row.step is None:
            return row.found
        found = row.step(self.frame, self.at)
        if isinstance(found, tuple) and len(found) == 3:
            (self.kind, self.number, self.at), self.outer = found, None
            return None
        return found

    def _dissect(self, layer_class: type[Packet]) -> Found | None:
        """Let Scapy open a header. Returns a result that ends the frame, else None."""
        at = self.at
        layer = self._open(layer_class, at, self.outer)
        if layer is None:
            whole = self.frame.length == len(self.data)
            return NO_TCP if self.own is not None or (not at and whole) else BROKEN
        if type(layer) is TCP:
            return self._segment(layer, at)
        if isinstance(layer, IP | IPv6 | IPv6ExtHdrFragment):
            end = self._network(layer, at)
            if end is not None:
                return end
        if isinstance(layer, _SIZED_EXTENSIONS) and min(len(self.data), self.frame.end) < at + 8:
            return BROKEN  # RFC 8200 §4: it is part of the payload, which is shorter
        if isinstance(layer, NSH) and layer.length < _SHORTEST_NSH:
            return BROKEN
        self.at, self.outer, self.own = at + _size(layer), layer, None
        if type(layer) in (CookedLinux, CookedLinuxV2) and layer.proto <= _LAST_COOKED:
            return walk("link type", 113 if type(layer) is CookedLinux else 276, self.frame, 0)
        if type(layer) is Dot3 and self.data[at : at + 5] in ISL:
            (self.kind, self.number), self.at, self.outer = _KNOWN_LATER[Ether], at + 26, None
            return None
        return self._follow(layer)

    def _follow(self, layer: Packet) -> Found | None:
        """Find what comes after ``layer``: the number in it says it, or else Scapy's bindings. Returns a result if
        neither does."""
        named = _NUMBERS.get(type(layer))
        if named is not None:
            self.kind, self.number = named[0], int(getattr(layer, named[1]))
        if type(layer) is Dot3 or (self.kind == "EtherType" and self.number <= _MAX_LENGTH):
            self.kind, self.number = _LLC
        elif named is None or (self.kind == "EtherType" and self.number not in ROWS[self.kind]):
            following = layer.guess_payload_class(self.data[self.at : self.at + _MAX_HEADER])
            if following in _LATER_DATA:
                return NO_TCP if named is None else Undecoded(number_name(self.kind, self.number), odd=True)
            if following in _KNOWN_LATER:
                self.kind, self.number = _KNOWN_LATER[following]
            else:
                self.own = following
        return None

    def _class(self) -> type[Packet] | None:
        """Return Scapy's class for the row, None if the table opens it."""
        kind, number = self.kind, self.number
        if kind == "link type":
            return _LINKS.get(number)
        if kind == "IP protocol" and number in _EXTENSIONS:
            return _EXTENSIONS[number] if len(self.frame.addresses) == 32 else None
        row = ROWS[kind].get(number)
        return None if row is None else _CLASSES.get(row.name)

    def _open(self, kind: type[Packet], at: int, outer: Packet | None) -> Packet | None:
        """Return the header at ``at``, None if there is none."""
        data = self.data[at : at + _MAX_HEADER]
        if kind in _SIZED_EXTENSIONS:
            data = data[:2] + bytes(6)
        elif kind in (IP, TCP):
            data = data[:20]
        with suppress(Exception):  # the header is cut or invalid
            layer = kind(data, stop_dissection_after=Packet, _underlayer=outer) if data else None
            return layer if layer is not None and layer.raw_packet_cache is not None else None
        return None

    def _network(self, layer: Packet, at: int) -> Found | None:
        """Note an IP header. Returns a result that ends the frame: a fragment, or an invalid header; else None."""
        frame = self.frame
        if isinstance(layer, IPv6ExtHdrFragment):
            body = at + 8
            if min(len(self.data), frame.end) < body:
                return BROKEN
            if not layer.offset and not layer.m:
                return None
            return self._fragment(layer.nh, layer.id, layer.offset * 8, bool(layer.m), body)
        frame.depth += 1
        if isinstance(layer, IPv6):
            if layer.version != 6:
                return BROKEN
            frame.addresses = inet_pton(AF_INET6, layer.src) + inet_pton(AF_INET6, layer.dst)
            length = int.from_bytes(self.data[at + 4 : at + 6], "big")
            frame.end = at + 40 + length if length else frame.length
            return too_deep if frame.depth > MAX_DEPTH and layer.nh != 6 else None
        if layer.version != 4 or layer.ihl < 5:
            return BROKEN
        frame.addresses = inet_pton(AF_INET, layer.src) + inet_pton(AF_INET, layer.dst)
        frame.end = at + layer.len if layer.len else frame.length
        if not layer.frag and not layer.flags.MF:
            return too_deep if frame.depth > MAX_DEPTH and layer.proto != 6 else None
        body = at + layer.ihl * 4
        if frame.end < body:
            return BROKEN
        return self._fragment(layer.proto, layer.id, layer.frag * 8, bool(layer.flags.MF), body)

    def _fragment(self, protocol: int, identification: int, offset: int, more: bool, body: int) -> Fragment:
        end = self.frame.end
        return Fragment(self.frame.addresses, protocol, identification, offset, more, self.data[body:end], end - body)

    def _segment(self, tcp: Packet, at: int) -> Found:
        captured, end, addresses = len(self.data), self.frame.end, self.frame.addresses
        start = at + tcp.dataofs * 4
        if not addresses or captured < at + TCP_HEADER or tcp.dataofs < 5 or start > end:
            return BROKEN
        flow = addresses + tcp.sport.to_bytes(2, "big") + tcp.dport.to_bytes(2, "big")
        missing = end - max(start, captured) if end > captured else 0
        return flow, tcp.seq, tcp.ack, int(tcp.flags) & 0xFF, self.data[start:end], missing


def _size(layer: Packet) -> int:
    """Return the bytes of a header, options included."""
    if isinstance(layer, IP):
        return int(layer.ihl) * 4
    if isinstance(layer, NSH):
        return 4 * int(layer.length)
    if isinstance(layer, GENEVE):
        return 8 + 4 * int(layer.optionlen)
    return 8 * int(layer.len) + 8 if isinstance(layer, _SIZED_EXTENSIONS) else len(layer.raw_packet_cache or b"")
