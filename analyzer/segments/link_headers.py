"""Headers of the link layer: Ethernet, its tags, LLC, MPLS, PPP and wireless frames.

Each function is a ``Step``. Those that stand after an EtherType begin after it.
"""

from __future__ import annotations

from struct import Struct

from .layers import BROKEN, NO_TCP, Found, Next, Packet, Undecoded

__all__ = [
    "ISL",
    "bridged",
    "cisco_hdlc",
    "cisco_metadata",
    "e_tag",
    "ethernet",
    "ethertype",
    "fabric_path",
    "frame_relay",
    "hdlc",
    "llc",
    "long_tag",
    "looks_like_ethernet",
    "macsec",
    "mpls",
    "multilink",
    "nlpid",
    "ppp",
    "pppoe",
    "service_instance",
    "snap",
    "snap_bridged",
    "tag",
    "trill",
    "wireless",
]

_MAX_LENGTH = 1500  # IEEE 802.3 §3.2.6: up to here it is a length, and an LLC header follows
ISL = (b"\x01\x00\x0c\x00\x00", b"\x03\x00\x0c\x00\x00")
"""Start of the destination address of a frame with Cisco's ISL header, 26 bytes before the Ethernet header."""

# EtherTypes by which an Ethernet header is recognised where nothing says that one follows, with what comes after them.
_SIGNS = {
    b"\x08\x00": b"\x45\x46\x47\x48\x49\x4a\x4b\x4c\x4d\x4e\x4f",
    b"\x86\xdd": bytes(range(0x60, 0x70)),
    b"\x08\x06": b"\0",
    **dict.fromkeys(
        (b"\x81\x00", b"\x88\xa8", b"\x88\x47", b"\x88\x64", b"\x88\xcc", b"\x88\x09", b"\x89\x02", b"\x88\x63"),
        bytes(range(256)),
    ),
}

_number = Struct("!H").unpack_from
_label = Struct("!I").unpack_from


def ethernet(packet: Packet, at: int) -> Next | Found:
    """IEEE 802.3: two addresses, then an EtherType."""
    (kind,) = _number(packet.data, at + 12)
    if kind > _MAX_LENGTH:
        return "EtherType", kind, at + 14
    return ethernet(packet, at + 26) if packet.data[at : at + 5] in ISL else llc(packet, at + 14)


def ethertype(packet: Packet, at: int) -> Next | Found:
    """An EtherType, or the length of an LLC frame."""
    (kind,) = _number(packet.data, at)
    return ("EtherType", kind, at + 2) if kind > _MAX_LENGTH else llc(packet, at + 2)


def tag(packet: Packet, at: int) -> Next | Found:
    """A VLAN tag (IEEE 802.1Q §9.6), or that of 802.1Qau: two bytes."""
    return ethertype(packet, at + 2)


def e_tag(packet: Packet, at: int) -> Next | Found:
    """IEEE 802.1BR §7.5: six bytes."""
    return ethertype(packet, at + 6)


def long_tag(packet: Packet, at: int) -> Next | Found:
    """A tag of four bytes: VN-tag, HSR (IEC 62439-3), redundancy (IEEE 802.1CB §7.8)."""
    return ethertype(packet, at + 4)


def service_instance(packet: Packet, at: int) -> Next | Found:
    """IEEE 802.1ah: four bytes, then the frame of the customer."""
    return ethernet(packet, at + 4)


def fabric_path(packet: Packet, at: int) -> Next | Found:
    """Cisco FabricPath: two bytes, then the frame."""
    return ethernet(packet, at + 2)


def cisco_metadata(packet: Packet, at: int) -> Next | Found:
    """Cisco metadata (security group tags): version, length in units of 4 bytes, options."""
    return ethertype(packet, at + 2 + 4 * packet.data[at + 1])


def trill(packet: Packet, at: int) -> Next | Found:
    """RFC 6325 §3: six bytes, options in units of 4 bytes, then the frame."""
    (first,) = _number(packet.data, at)
    return ethernet(packet, at + 6 + 4 * (first >> 6 & 31))


def macsec(packet: Packet, at: int) -> Next | Found:
    """IEEE 802.1AE §9.3. Frames may be signed without being encrypted."""
    control = packet.data[at]
    if control & 0x0C:  # encrypted, changed
        return Undecoded("MACsec (EtherType 0x88e5), which is encrypted")
    return ethertype(packet, at + (14 if control & 0x20 else 6))


def llc(packet: Packet, at: int) -> Next | Found:
    """IEEE 802.2."""
    data = packet.data
    target, source = data[at], data[at + 1]
    if target == source == 0xFF:
        return NO_TCP  # IPX without an LLC header
    if target != 0xAA or source & 0xFE != 0xAA:
        return "LLC SAP", target & 0xFE, at + 3
    return snap(packet, at + 3)


def snap(packet: Packet, at: int) -> Next | Found:
    """IEEE 802 §9.5: an organisation, and a number that it gave. For two of them that is an EtherType (RFC 1042)."""
    organisation = packet.data[at : at + 3]
    (kind,) = _number(packet.data, at + 3)
    if organisation in (b"\0\0\0", b"\0\0\xf8"):
        return "EtherType", kind, at + 5
    return "SNAP", int.from_bytes(organisation, "big"), at + 3


def snap_bridged(packet: Packet, at: int) -> Next | Found:
    """Bridged frames (RFC 2684 §5.2, RFC 2427 §4.2): Ethernet, after two bytes of padding on ATM."""
    (kind,) = _number(packet.data, at)
    if kind not in (1, 7):
        return NO_TCP if kind in (0x0E, 0x0F) else Undecoded(f"SNAP 00-80-C2, protocol 0x{kind:04x}", odd=True)
    return ethernet(packet, at + 2 if looks_like_ethernet(packet.data, at + 2) else at + 4)


def nlpid(packet: Packet, at: int) -> Next | Found:
    """The identifier of a network layer protocol (RFC 2427 §3)."""
    data = packet.data
    if not data[at]:  # padding
        at += 1
    return snap(packet, at + 1) if data[at] == 0x80 else ("NLPID", data[at], at + 1)


def frame_relay(packet: Packet, at: int) -> Next | Found:
    """An address (Q.922 §3.3) whose last byte is odd, then RFC 2427, or Cisco's EtherType."""
    data = packet.data
    while not data[at] & 1:
        at += 1
    at += 1
    return nlpid(packet, at + 1) if data[at] == 3 else ethertype(packet, at)


def mpls(packet: Packet, at: int) -> Next | Found:
    """Labels up to the one with the bottom bit (RFC 3032 §2.1). Nothing says what follows: the first bits show it."""
    data = packet.data
    label = 0
    while not label & 0x100:
        (label,) = _label(data, at)
        at += 4
    if label >> 12 == _GAL:
        return NO_TCP
    first = data[at] >> 4
    if first == 4 and data[at] & 15 >= 5 and _number(data, at + 2)[0] <= packet.length - at:
        return "EtherType", 0x0800, at
    if first == 6 and not looks_like_ethernet(data, at):
        return "EtherType", 0x86DD, at
    if not first and (looks_like_ethernet(data, at + 4) or not looks_like_ethernet(data, at)):
        return ethernet(packet, at + 4)  # the control word of RFC 4385 §3
    if looks_like_ethernet(data, at):
        return ethernet(packet, at)
    return NO_TCP if first == 1 else Undecoded("MPLS with other content than IP and Ethernet")  # 1: RFC 5586


_GAL = 13  # the label of management messages, RFC 5586 §4


def looks_like_ethernet(data: bytes, at: int) -> bool:
    """Return whether an Ethernet header at ``at`` would make sense."""
    kind, first = data[at + 12 : at + 14], data[at + 14 : at + 15]
    if kind in _SIGNS:
        return first in _SIGNS[kind]
    return b"\0\x03" <= kind <= b"\x05\xdc" and first in (b"\x42", b"\xaa", b"\xfe")


def pppoe(packet: Packet, at: int) -> Next | Found:
    """RFC 2516 §4: version and type, code, session, length."""
    return ppp(packet, at + 6) if packet.data[at : at + 2] == b"\x11\0" else BROKEN


def ppp(packet: Packet, at: int) -> Next | Found:
    """RFC 1661: address and control may be left out, and so may the first byte of the protocol (§6.5, §6.6)."""
    data = packet.data
    if data[at : at + 2] == b"\xff\x03":
        at += 2
    if data[at] & 1:
        return "PPP protocol", data[at], at + 1
    (protocol,) = _number(data, at)
    # RFC 1661 §2: protocols that control the link and the network layers
    return ("PPP protocol", protocol, at + 2) if protocol < 0x8000 else NO_TCP


def multilink(packet: Packet, at: int) -> Next | Found:
    """RFC 1990 §3, with long or short sequence numbers. Only a packet in one piece is opened."""
    data = packet.data
    if data[at] & 0xC0 == 0xC0:
        for size in (4, 2):
            start = at + size + 2 * (data[at + size : at + size + 2] == b"\xff\x03")
            inner = data[start : start + 2].lstrip(b"\0")
            if inner[:1] in (b"\x21", b"\x57"):
                return ppp(packet, at + size)
    return Undecoded("PPP multilink (protocol 0x003d), as fragments")


def bridged(packet: Packet, at: int) -> Next | Found:
    """Bridged frames in PPP (RFC 3518 §4.2): flags, the type of the address, a frame."""
    return ethernet(packet, at + 2) if packet.data[at + 1] == 1 else Undecoded("PPP with bridged frames (0x0031)")


def hdlc(packet: Packet, at: int) -> Next | Found:
    """PPP in frames like HDLC (RFC 1662 §3.1), or Cisco HDLC."""
    return cisco_hdlc(packet, at) if packet.data[at] in (0x0F, 0x8F) else ppp(packet, at)


def cisco_hdlc(packet: Packet, at: int) -> Next | Found:
    """Address and control (RFC 1547 §4.3.1), then an EtherType."""
    (kind,) = _number(packet.data, at + 2)
    if kind == 0x8035:  # keep-alives of the link
        return NO_TCP
    return nlpid(packet, at + 4) if kind == 0xFEFE else ("EtherType", kind, at + 4)


def wireless(packet: Packet, at: int) -> Next | Found:
    """IEEE 802.11 §9.2: data frames have an LLC header, after 2 to 10 more bytes."""
    data = packet.data
    control, flags = data[at], data[at + 1]
    if control & 0x0C != 8 or control & 0x40:  # management and control frames, frames without data
        return NO_TCP
    if flags & 0x40:
        return Undecoded("802.11, which are encrypted")
    if flags & 4 or data[at + 22] & 15:
        return Undecoded("802.11, as fragments")
    body = at + (30 if flags & 3 == 3 else 24)
    if control & 0x80:  # quality of service
        several = data[body] & 0x80
        body += 6 if flags & 0x80 else 2
        if several:  # addresses and length before each
            (size,) = _number(data, body + 12)
            if body + 14 + size + 4 < packet.length - 4:
                return Undecoded("802.11 with several packets (A-MSDU)")
            body += 14
    if data[body : body + 2] != b"\xaa\xaa" and data[body + 2 : body + 4] == b"\xaa\xaa":
        body += 2  # padding of the receiver
    return llc(packet, body)
