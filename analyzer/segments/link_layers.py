"""Link types of captures: their names, and the step that opens a frame of each (https://www.tcpdump.org/linktypes.html)."""

from __future__ import annotations

from struct import Struct

from .ip_tcp import by_version, ipv4, ipv6
from .layers import NO_TCP, Found, Next, Packet, Step, Undecoded
from .link_headers import cisco_hdlc, ethernet, ethertype, frame_relay, hdlc, llc, ppp, pppoe, wireless

__all__ = ["EN10MB", "FIXED", "LINKS", "RAW", "VLAN_TYPES", "link_name"]

EN10MB, RAW = 1, 101

# IEEE 802.1Q §9.6: customer tag, service tag; switches used 0x9100 to 0x9300 before the standard, and still offer them.
VLAN_TYPES = (0x8100, 0x88A8, 0x9100, 0x9200, 0x9300)

_number = Struct("!H").unpack_from
_little = Struct("<H").unpack_from
_little_long = Struct("<I").unpack_from
_big_long = Struct("!I").unpack_from

_AVS = 0x802110  # the start of its magic number
_NETLINK, _IEEE80211, _RADIOTAP = 824, 801, 803  # hardware types of Linux
_COOKED_LLC, _NOVELL = 4, 1  # protocols of Linux below the EtherTypes


def _cooked(packet: Packet, at: int) -> Next | Found:
    """LINKTYPE_LINUX_SLL: 16 bytes, the hardware type second, the protocol last."""
    (hardware,), (protocol,) = _number(packet.data, 2), _number(packet.data, 14)
    return _linux(packet, 16, hardware, protocol)


def _cooked_v2(packet: Packet, at: int) -> Next | Found:
    """LINKTYPE_LINUX_SLL2: 20 bytes, the protocol first."""
    (protocol,), (hardware,) = _number(packet.data, 0), _number(packet.data, 8)
    return _linux(packet, 20, hardware, protocol)


def _linux(packet: Packet, at: int, hardware: int, protocol: int) -> Next | Found:
    if protocol > 0x5FF:
        return ("EtherType", protocol, at) if hardware != _NETLINK else NO_TCP
    if hardware == _RADIOTAP:
        return _radiotap(packet, at)
    if hardware == _IEEE80211:
        return wireless(packet, at)
    if protocol == _COOKED_LLC:
        return llc(packet, at)
    return NO_TCP if protocol == _NOVELL or hardware == _NETLINK else Undecoded(f"cooked protocol 0x{protocol:04x}")


# LINKTYPE_NULL has the address family in the byte order of the capturing machine, LINKTYPE_LOOP in network order. Both
# orders are accepted. AF_INET is 2 everywhere; AF_INET6 is 10 on Linux, 23 on Windows, 24 on NetBSD and OpenBSD, 26 on
# Solaris, 28 on FreeBSD, 30 on macOS.
_FAMILIES: dict[bytes, Step] = {
    family.to_bytes(4, order): step
    for family, step in ((2, ipv4), *((six, ipv6) for six in (10, 23, 24, 26, 28, 30)))
    for order in ("little", "big")
}


def _family(packet: Packet, at: int, body: int) -> Next | Found:
    step = _FAMILIES.get(packet.data[at : at + 4])
    if step is not None:
        return step(packet, body)
    (family,) = _little_long(packet.data, at)
    return Undecoded(f"address family {min(family, int.from_bytes(packet.data[at : at + 4], 'big'))}")


def _loopback(packet: Packet, at: int) -> Next | Found:
    return _family(packet, at, at + 4)


def _encapsulated(packet: Packet, at: int) -> Next | Found:
    """LINKTYPE_ENC: the family and eight more bytes."""
    return _family(packet, at, at + 12)


def _radiotap(packet: Packet, at: int) -> Next | Found:
    return wireless(packet, at + _little(packet.data, at + 2)[0])


def _prism(packet: Packet, at: int) -> Next | Found:
    """The header of Prism cards has 144 bytes; AVS has a length after its magic number."""
    (magic,), (size,) = _big_long(packet.data, at), _big_long(packet.data, at + 4)
    return wireless(packet, at + (size if magic >> 8 == _AVS else 144))


def _per_packet(packet: Packet, at: int) -> Next | Found:
    """PPI: length of the header, link type of the frame."""
    return "link type", _little_long(packet.data, at + 4)[0], at + _little(packet.data, at + 2)[0]


def _pktap(packet: Packet, at: int) -> Next | Found:
    """macOS: length of the header, type, link type of the frame."""
    return "link type", _little_long(packet.data, at + 8)[0], at + _little_long(packet.data, at)[0]


def _fddi(packet: Packet, at: int) -> Next | Found:
    return llc(packet, at + 13) if packet.data[at] & 0x70 == 0x50 else NO_TCP


def _token_ring(packet: Packet, at: int) -> Next | Found:
    """Two bytes, two addresses, and a route if the source address says so (IEEE 802.5)."""
    data = packet.data
    if data[at + 1] & 0xC0 != 0x40:
        return NO_TCP
    return llc(packet, at + 14 + (data[at + 14] & 31 if data[at + 8] & 0x80 else 0))


def _pflog(packet: Packet, at: int) -> Next | Found:
    """OpenBSD's log of the packet filter: its length first, then padding to 4 bytes."""
    return by_version(packet, at + (packet.data[at] + 3 & ~3))


def _nflog(packet: Packet, at: int) -> Next | Found:
    """Linux's log of the packet filter: fields, each with length and type; type 9 is the packet."""
    data, at = packet.data, at + 4
    while True:
        size, kind = _little(data, at)[0], _little(data, at + 2)[0]
        if kind == 9:
            return by_version(packet, at + 4)
        at += max(size + 3 & ~3, 4)


def _juniper_ethernet(packet: Packet, at: int) -> Next | Found:
    data, body = packet.data, at + 4
    if data[at : at + 3] != b"MGC":
        return Undecoded("JUNIPER_ETHER without its magic number")
    if data[at + 3] & 0x80:
        body += 2 + _number(data, body)[0]
    return by_version(packet, body) if data[at + 3] & 2 else ethernet(packet, body)


def _preemptable(packet: Packet, at: int) -> Next | Found:
    """IEEE 802.3br: eight bytes, of which the last says whether it is a whole frame."""
    return ethernet(packet, at + 8) if packet.data[at + 7] == 0xD5 else Undecoded("MPACKET, which are fragments")


def _after(size: int, step: Step) -> Step:
    """Return the step of a header of ``size`` bytes that says nothing."""

    def skip(packet: Packet, at: int) -> Next | Found:
        return step(packet, at + size)

    return skip


LINKS: dict[int, tuple[str, Step | None]] = {
    0: ("NULL", _loopback),
    EN10MB: ("EN10MB", ethernet),
    6: ("IEEE802_5", _token_ring),
    8: ("SLIP", _after(16, by_version)),
    9: ("PPP", ppp),
    10: ("FDDI", _fddi),
    12: ("RAW", by_version),
    14: ("RAW", by_version),
    50: ("PPP_HDLC", hdlc),
    51: ("PPP_ETHER", pppoe),
    100: ("ATM_RFC1483", llc),
    RAW: ("RAW", by_version),
    104: ("C_HDLC", cisco_hdlc),
    105: ("IEEE802_11", wireless),
    107: ("FRELAY", frame_relay),
    108: ("LOOP", _loopback),
    109: ("ENC", _encapsulated),
    113: ("LINUX_SLL", _cooked),
    117: ("PFLOG", _pflog),
    119: ("IEEE802_11_PRISM", _prism),
    122: ("IP_OVER_FC", _after(16, llc)),
    127: ("IEEE802_11_RADIOTAP", _radiotap),
    138: ("APPLE_IP_OVER_IEEE1394", _after(16, ethertype)),
    163: ("IEEE802_11_AVS", _prism),
    166: ("PPP_PPPD", _after(2, ppp)),
    178: ("JUNIPER_ETHER", _juniper_ethernet),
    192: ("PPI", _per_packet),
    195: ("IEEE802_15_4_WITHFCS", None),
    204: ("PPP_WITH_DIR", _after(1, ppp)),
    205: ("C_HDLC_WITH_DIR", _after(1, cisco_hdlc)),
    206: ("FRELAY_WITH_DIR", _after(1, frame_relay)),
    228: ("IPV4", ipv4),
    229: ("IPV6", ipv6),
    230: ("IEEE802_15_4_NOFCS", None),
    239: ("NFLOG", _nflog),
    240: ("NETANALYZER", _after(4, ethernet)),
    241: ("NETANALYZER_TRANSPARENT", _after(12, ethernet)),
    258: ("PKTAP", _pktap),
    274: ("ETHERNET_MPACKET", _preemptable),
    276: ("LINUX_SLL2", _cooked_v2),
}
"""The link types with a name: that name without ``LINKTYPE_``, and the step that opens a frame; None: it is not
opened."""

FIXED: dict[int, tuple[int, int]] = {EN10MB: (12, 14), 113: (14, 16), 276: (0, 20)}
"""Link types with an EtherType at a fixed offset: that offset, and the offset of the packet if it is not a VLAN tag."""


def link_name(link_type: int) -> str:
    """Return the name of a link type, or its number if the name is not in the table."""
    return LINKS[link_type][0] if link_type in LINKS else str(link_type)
