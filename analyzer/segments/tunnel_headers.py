"""Headers of tunnels over IP and UDP.

Each function is a ``Step``. Those of UDP tunnels begin after the UDP header. Where the port may carry something else, a
header that does not fit gives ``not_here``.
"""

from __future__ import annotations

from struct import Struct

from .ip_tcp import by_version, esp, ipv4
from .layers import BROKEN, NO_TCP, Found, Next, Packet, Undecoded
from .link_headers import ethernet, looks_like_ethernet, ppp, wireless

__all__ = [
    "capwap",
    "erspan_2",
    "erspan_3",
    "ether_ip",
    "geneve",
    "gre",
    "gtp",
    "gtp_0",
    "gue",
    "l2tp",
    "l2tp_session",
    "lisp",
    "mirrored",
    "nsh",
    "teredo",
    "tzsp",
    "udp_esp",
    "vxlan",
    "wccp",
    "wireguard",
]

_number = Struct("!H").unpack_from
_two_numbers = Struct("!HH").unpack_from
_word = Struct("!I").unpack_from

_PPP = 0x880B


def gre(packet: Packet, at: int) -> Next | Found:
    """RFC 2784, RFC 2890, with the routing of RFC 1701; version 1 is PPTP's (RFC 2637 §4.1)."""
    data = packet.data
    flags, kind = _two_numbers(data, at)
    sequenced = flags & 0x1000
    if flags & 7 == 1:
        if not sequenced:
            return NO_TCP  # an acknowledgment
        return "EtherType", kind, at + (16 if flags & 0x80 else 12)
    if flags & 7:
        return Undecoded(f"GRE version {flags & 7}")
    at += 4
    if flags:
        if flags & 0xC000:
            at += 4
        if flags & 0x2000:
            at += 4
        if sequenced:
            at += 4
        while flags & 0x4000:
            family, size = _two_numbers(data, at)
            at += 4 + (size & 255)
            if not family and not size & 255:
                break
    return ("ERSPAN type", 2 if sequenced else 1, at) if kind == _ERSPAN else ("EtherType", kind, at)


_ERSPAN = 0x88BE  # types I and II


def erspan_2(packet: Packet, at: int) -> Next | Found:
    """Eight bytes (draft-foschiano-erspan §4.2)."""
    return ethernet(packet, at + 8)


def erspan_3(packet: Packet, at: int) -> Next | Found:
    """Twelve bytes, eight more if the last bit is set; a field says whether an IP packet follows (§4.3)."""
    (last,) = _number(packet.data, at + 10)
    body = at + (20 if last & 1 else 12)
    return by_version(packet, body) if last >> 10 & 31 == 2 else ethernet(packet, body)


def wccp(packet: Packet, at: int) -> Next | Found:
    """Version 1 has no header, version 2 one of four bytes (draft-mclaggan-wccp-v2rev1 §4.12)."""
    return ipv4(packet, at if packet.data[at] & 0xF0 == 0x40 and packet.data[at] & 15 >= 5 else at + 4)


def nsh(packet: Packet, at: int) -> Next | Found:
    """RFC 8300 §2.2: the length is in units of 4 bytes."""
    size = 4 * (packet.data[at + 1] & 63)
    return ("NSH or GPE protocol", packet.data[at + 3], at + size) if size >= 8 else BROKEN


def ether_ip(packet: Packet, at: int) -> Next | Found:
    """RFC 3378 §3: version 3."""
    return ethernet(packet, at + 2) if packet.data[at] >> 4 == 3 else Undecoded("EtherIP of an unknown version")


def vxlan(packet: Packet, at: int) -> Next | Found:
    """RFC 7348 §5; with the P bit, the next protocol is given (RFC 9638 §4.4, draft-ietf-nvo3-vxlan-gpe)."""
    data = packet.data
    if not data[at] & 8:
        return not_here("VXLAN")
    return ("NSH or GPE protocol", data[at + 3], at + 8) if data[at] & 4 else ethernet(packet, at + 8)


def geneve(packet: Packet, at: int) -> Next | Found:
    """RFC 8926 §3.4: options in units of 4 bytes."""
    data = packet.data
    if data[at] & 0xC0:
        return not_here("Geneve")
    (kind,) = _number(data, at + 2)
    return "EtherType", kind, at + 8 + 4 * data[at]


def gtp(packet: Packet, at: int) -> Next | Found:
    """GTP-U, version 1 (3GPP TS 29.281 §5)."""
    data = packet.data
    flags = data[at]
    if flags & 0xF0 != 0x30:
        return not_here("GTP-U")
    if data[at + 1] != 0xFF:
        return NO_TCP  # a message of the protocol itself
    at += 8
    if flags & 7:
        at += 4
        following = data[at - 1] if flags & 4 else 0
        while following:
            size = 4 * data[at]
            if not size:
                return BROKEN
            at += size
            following = data[at - 1]
    return _user_packet(packet, at, "GTP-U")


def gtp_0(packet: Packet, at: int) -> Next | Found:
    """GTP version 0 (3GPP TS 09.60 §6): 20 bytes."""
    data = packet.data
    if data[at] & 0xF0 != 0x10:
        return not_here("GTP")
    return _user_packet(packet, at + 20, "GTP") if data[at + 1] == 0xFF else NO_TCP


def _user_packet(packet: Packet, at: int, name: str) -> Next | Found:
    if packet.data[at] >> 4 in (4, 6):
        return by_version(packet, at)
    if packet.data[at : at + 2] == b"\xff\x03":
        return ppp(packet, at)
    return ethernet(packet, at) if looks_like_ethernet(packet.data, at) else not_here(name)


def teredo(packet: Packet, at: int) -> Next | Found:
    """RFC 4380 §5.1.1: an authentication and an origin may come before the IPv6 packet."""
    data = packet.data
    if data[at : at + 2] == b"\0\1":
        at += 13 + data[at + 2] + data[at + 3]
    if data[at : at + 2] == b"\0\0":
        at += 8
    return ("EtherType", 0x86DD, at) if data[at] >> 4 == 6 else not_here("Teredo")


def l2tp(packet: Packet, at: int) -> Next | Found:
    """RFC 2661 §3.1; version 3 is that of RFC 3931 §4.1.2."""
    data = packet.data
    (flags,) = _number(data, at)
    if flags & 15 == 3 and not flags & 0x8000:
        return l2tp_session(packet, at + 4)
    if flags & 15 not in (2, 3):
        return not_here("L2TP")
    if flags & 0x8000:
        return NO_TCP  # a control message
    at += 8 if flags & 0x4000 else 6
    if flags & 0x0800:
        at += 4
    if flags & 0x0200:
        (offset,) = _number(data, at)
        at += 2 + offset
    return ppp(packet, at)


def l2tp_session(packet: Packet, at: int) -> Next | Found:
    """RFC 3931 §4.1: a session, then up to 12 bytes (a cookie, a sublayer) of which only both ends know whether they
    are there. The frame is found by its look."""
    data = packet.data
    if data[at : at + 4] == bytes(4):
        return NO_TCP  # a control message
    for body in range(at + 4, at + 20, 4):
        if looks_like_ethernet(data, body):
            return ethernet(packet, body)
    for body in range(at + 4, at + 20, 4):
        if data[body : body + 4] in (b"\xff\x03\0\x21", b"\xff\x03\0\x57"):
            return ppp(packet, body)
        if data[body] == 0x45 and _number(data, body + 2)[0] == packet.end - body:
            return ipv4(packet, body)
    return Undecoded("L2TPv3 with an unknown content")


def lisp(packet: Packet, at: int) -> Next | Found:
    """RFC 9300 §5.3; with the P bit, the next protocol is given (RFC 9305 §3)."""
    flags, data = packet.data[at], packet.data
    if flags & 3:
        return Undecoded("LISP (UDP port 4341), which are encrypted")
    if flags & 4:
        return "NSH or GPE protocol", data[at + 3], at + 8
    return by_version(packet, at + 8) if data[at + 8] >> 4 in (4, 6) else not_here("LISP")


def capwap(packet: Packet, at: int) -> Next | Found:
    """RFC 5415 §4.3: the length is in units of 4 bytes. The frame is one of Ethernet or of 802.11."""
    (word,) = _word(packet.data, at)
    if word >> 24 == 1:
        return Undecoded("CAPWAP (UDP port 5247), which are encrypted")
    if word >> 24:
        return not_here("CAPWAP")
    if word & 0x08:  # a keep-alive
        return NO_TCP
    if word & 0x80:
        return Undecoded("CAPWAP (UDP port 5247), as fragments")
    body = at + 4 * (word >> 19 & 31)
    if not word & 0x100:
        return ethernet(packet, body)
    data = packet.data
    if data[body] & 0x0C != 8 and data[body + 1] & 0x0F == 8:  # some controllers exchange the two bytes
        swapped = Packet(data[:body] + data[body + 1 : body + 2] + data[body : body + 1] + data[body + 2 :], 0)
        swapped.length = packet.length
        return wireless(swapped, body)
    return wireless(packet, body)


def gue(packet: Packet, at: int) -> Next | Found:
    """Generic UDP encapsulation (draft-ietf-intarea-gue §3): version 0 has a header, version 1 none."""
    data = packet.data
    if data[at] & 0xC0 == 0x40:
        return by_version(packet, at)
    if data[at] & 0xE0:
        return NO_TCP if data[at] & 0xC0 == 0 else not_here("GUE")
    return "IP protocol", data[at + 1], at + 4 + 4 * data[at]


def udp_esp(packet: Packet, at: int) -> Next | Found:
    """RFC 3948 §2: ESP, or four zero bytes and IKE, or a keep-alive."""
    data = packet.data
    return NO_TCP if data[at : at + 4] == bytes(4) or packet.end - at < 8 else esp(packet, at)


def mirrored(packet: Packet, at: int) -> Next | Found:
    """Juniper packet mirror: eight bytes, then an IP packet."""
    return by_version(packet, at + 8) if packet.data[at + 8] in (0x45, 0x60) else NO_TCP


def tzsp(packet: Packet, at: int) -> Next | Found:
    """TaZmen Sniffer Protocol: version 1, type, protocol, then fields up to one of type 1."""
    data = packet.data
    version, kind, protocol = data[at], data[at + 1], data[at + 3]
    if version != 1 or kind > 1 or data[at + 2]:
        return NO_TCP
    at += 4
    while data[at] != 1:
        at += 2 + data[at + 1] if data[at] else 1
    at += 1
    if protocol == 1:
        return ethernet(packet, at)
    return wireless(packet, at) if protocol == 18 else Undecoded(f"TZSP with protocol {protocol}")


def wireguard(packet: Packet, at: int) -> Next | Found:
    """Messages 1 to 3 make the keys, message 4 carries packets."""
    kind = packet.data[at : at + 4]
    return Undecoded("WireGuard, which are encrypted") if kind == b"\4\0\0\0" else NO_TCP


def not_here(name: str) -> Undecoded:
    """Return the result for a port of tunnel ``name`` where the bytes are something else."""
    return Undecoded(f"the UDP port of {name} that hold something else")
