"""Link layers: where the network packet in a frame starts, and what it is.

Each function takes a whole frame and returns ``(network, offset)``. ``SCAPY``: the Scapy decoder must decode the frame.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["EN10MB", "FIXED", "IPV4", "IPV6", "LINKS", "OTHER", "RAW", "SCAPY", "VLAN_TYPES", "link_name"]

OTHER, IPV4, IPV6, SCAPY, _TAG = range(5)

EN10MB, RAW = 1, 101

# IEEE 802.1Q §9.6: customer tag, service tag; switches used 0x9100 and 0x9200 before the standard.
VLAN_TYPES = (0x8100, 0x88A8, 0x9100, 0x9200)

_ETHERTYPES: dict[bytes, int] = {
    b"\x08\x00": IPV4,
    b"\x86\xdd": IPV6,
    b"\x88\x47": SCAPY,  # MPLS unicast
    b"\x88\x48": SCAPY,  # MPLS multicast
    b"\x88\x64": SCAPY,  # PPPoE session
    **{kind.to_bytes(2, "big"): _TAG for kind in VLAN_TYPES},
}


def _by_type(data: bytes, at: int) -> tuple[int, int]:
    """Read the EtherType at ``at``, after any number of VLAN tags."""
    found = _ETHERTYPES.get(data[at : at + 2], OTHER)
    while found == _TAG:
        at += 4
        found = _ETHERTYPES.get(data[at : at + 2], OTHER)
    # IEEE 802.2: up to 1500 it is a length, and an LLC header follows. 0xAAAA in it means SNAP, which may contain IP.
    if found == OTHER and data[at + 2 : at + 4] == b"\xaa\xaa" and data[at : at + 2] <= b"\x05\xdc":
        return SCAPY, 0
    return found, at + 2


def _ethernet(data: bytes) -> tuple[int, int]:
    return _by_type(data, 12)


def _cooked(data: bytes) -> tuple[int, int]:
    """LINKTYPE_LINUX_SLL: 16 bytes, the protocol last."""
    return _by_type(data, 14)


def _cooked_v2(data: bytes) -> tuple[int, int]:
    """LINKTYPE_LINUX_SLL2: 20 bytes, the protocol first; VLAN tags follow the header."""
    found = _ETHERTYPES.get(data[:2], OTHER)
    return _by_type(data, 22) if found == _TAG else (found, 20)


def _raw(data: bytes) -> tuple[int, int]:
    """LINKTYPE_RAW: the first nibble is the version."""
    version = data[0] >> 4 if data else 0
    return (IPV4 if version == 4 else IPV6 if version == 6 else OTHER), 0


def _ipv4(data: bytes) -> tuple[int, int]:
    return IPV4, 0


def _ipv6(data: bytes) -> tuple[int, int]:
    return IPV6, 0


# LINKTYPE_NULL has the address family in the byte order of the capturing machine, LINKTYPE_LOOP in network order. Both
# orders are accepted. AF_INET is 2 everywhere; AF_INET6 is 10 on Linux, 23 on Windows, 24 on NetBSD and OpenBSD, 26 on
# Solaris, 28 on FreeBSD, 30 on macOS.
_FAMILIES: dict[bytes, int] = {
    family.to_bytes(4, order): network
    for family, network in ((2, IPV4), *((six, IPV6) for six in (10, 23, 24, 26, 28, 30)))
    for order in ("little", "big")
}


def _loopback(data: bytes) -> tuple[int, int]:
    return _FAMILIES.get(data[:4], OTHER), 4


def _through_scapy(data: bytes) -> tuple[int, int]:
    return SCAPY, 0


_Locate = Callable[[bytes], tuple[int, int]]

LINKS: dict[int, _Locate] = {
    0: _loopback,
    EN10MB: _ethernet,
    9: _through_scapy,
    12: _raw,
    14: _raw,
    50: _through_scapy,
    51: _through_scapy,
    RAW: _raw,
    108: _loopback,
    113: _cooked,
    228: _ipv4,
    229: _ipv6,
    276: _cooked_v2,
}
"""The link types that can be decoded, by number (https://www.tcpdump.org/linktypes.html)."""

FIXED: dict[int, tuple[int, int]] = {EN10MB: (12, 14), 113: (14, 16), 276: (0, 20)}
"""Link types with an EtherType at a fixed offset: that offset, and the offset of the packet if it is not a VLAN tag."""

_NAMES = {
    0: "NULL",
    EN10MB: "EN10MB",
    9: "PPP",
    12: "RAW",
    14: "RAW",
    50: "PPP_HDLC",
    51: "PPP_ETHER",
    RAW: "RAW",
    105: "IEEE802_11",
    108: "LOOP",
    113: "LINUX_SLL",
    127: "IEEE802_11_RADIOTAP",
    228: "IPV4",
    229: "IPV6",
    239: "NFLOG",
    258: "PKTAP",
    276: "LINUX_SLL2",
}


def link_name(link_type: int) -> str:
    """Return the name of a link type without ``LINKTYPE_``, or its number if the name is not in the table."""
    return _NAMES.get(link_type, str(link_type))
