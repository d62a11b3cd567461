"""The table of headers: what every EtherType, IP protocol, UDP port and link type stands for, and how to open it."""

# Theory
# ------
# All readers use this table: the loop over files and the ring, the raw decoder and the Scapy decoder. The loop skips a
# frame only if the table says that it holds no TCP. Everything else comes to `decode`, which walks from row to row.
# What has no row goes to Scapy, and what Scapy does not know either is counted by its name (`decode_tally`). So nothing
# is lost without a word, and a new tunnel is one row.

from __future__ import annotations

import struct

from .ip_tcp import EXTENSIONS, authentication, by_version, esp, extension, fragment, ipv4, ipv6, minimal, tcp
from .layers import BROKEN, NO_TCP, Found, Next, Packet, Row, Undecoded
from .link_headers import (
    bridged,
    cisco_metadata,
    e_tag,
    ethernet,
    fabric_path,
    llc,
    long_tag,
    macsec,
    mpls,
    multilink,
    nlpid,
    ppp,
    pppoe,
    service_instance,
    snap_bridged,
    tag,
    trill,
)
from .link_layers import LINKS, VLAN_TYPES
from .tunnel_headers import (
    capwap,
    erspan_2,
    erspan_3,
    ether_ip,
    geneve,
    gre,
    gtp,
    gtp_0,
    gue,
    l2tp,
    l2tp_session,
    lisp,
    mirrored,
    nsh,
    teredo,
    tzsp,
    udp_esp,
    vxlan,
    wccp,
    wireguard,
)

__all__ = ["NO_TCP_PROTOCOLS", "ROWS", "SERVICE_PORTS", "TUNNEL_PORTS", "decode", "number_name", "walk"]

_MOST_HEADERS = 128  # of one frame; ten are many


def _unopened(what: str) -> Row:
    """Return the row of a number whose content cannot be read."""
    return Row(what, found=Undecoded(what))


def _udp(packet: Packet, at: int) -> Next | Found:
    """RFC 768. The destination says which tunnel it is; servers of some tunnels answer to any port."""
    source, target = _ports(packet.data, at)
    if target not in TUNNEL_PORTS:
        if source not in SERVICE_PORTS or target <= _WELL_KNOWN:
            return NO_TCP
        target = source
    elif source <= _WELL_KNOWN:
        return NO_TCP  # the answer of another service, whose client has this port by chance
    return "UDP port", target, at + 8


_ports = struct.Struct("!HH").unpack_from
_WELL_KNOWN = 1023

_MPLS, _VLAN, _IPV4, _IPV6 = Row("MPLS", mpls), Row("VLAN", tag), Row("IPv4", ipv4), Row("IPv6", ipv6)
_ETHERNET, _NSH, _PPP = Row("Ethernet", ethernet), Row("NSH", nsh), Row("PPP", ppp)
_VXLAN = Row("VXLAN", vxlan)

ROWS: dict[str, dict[int, Row]] = {
    "EtherType": {
        0x0800: _IPV4,
        0x86DD: _IPV6,
        **dict.fromkeys(VLAN_TYPES, _VLAN),
        0x22E9: Row("802.1Qau", tag),
        0x22EB: Row("ERSPAN III", erspan_3),
        0x22F3: Row("TRILL", trill),
        0x6558: _ETHERNET,
        0x880B: _PPP,
        0x883E: Row("WCCP", wccp),
        0x8847: _MPLS,
        0x8848: _MPLS,
        0x8864: Row("PPPoE", pppoe),
        0x8870: Row("LLC", llc),
        0x88E5: Row("MACsec", macsec),
        0x88E7: Row("802.1ah", service_instance),
        0x8903: Row("FabricPath", fabric_path),
        0x8909: Row("Cisco metadata", cisco_metadata),
        0x8926: Row("VN-tag", long_tag),
        0x892F: Row("HSR", long_tag),
        0x893F: Row("802.1BR", e_tag),
        0x894F: _NSH,
        0xF1C1: Row("802.1CB", long_tag),
    },
    "IP protocol": {
        4: _IPV4,
        6: Row("TCP", tcp),
        17: Row("UDP", _udp),
        41: _IPV6,
        44: Row("IPv6 fragment", fragment),
        **dict.fromkeys(EXTENSIONS, Row("IPv6 extension", extension)),
        47: Row("GRE", gre),
        50: Row("ESP", esp),
        51: Row("AH", authentication),
        55: Row("minimal encapsulation", minimal),
        94: Row("IP in IP", by_version),
        97: Row("EtherIP", ether_ip),
        108: _unopened("IPComp (IP protocol 108), which is compressed"),
        115: Row("L2TPv3", l2tp_session),
        137: _MPLS,
        142: _unopened("ROHC (IP protocol 142), which is compressed"),
        143: _ETHERNET,
        144: _unopened("IP-TFS (IP protocol 144), which is encrypted"),
        145: _NSH,
    },
    "UDP port": {
        1701: Row("L2TP", l2tp),
        2152: Row("GTP-U", gtp),
        3386: Row("GTP", gtp_0),
        3544: Row("Teredo", teredo),
        4341: Row("LISP", lisp),
        4500: Row("ESP in UDP", udp_esp),
        4754: Row("GRE in UDP", gre),
        4789: _VXLAN,
        4790: Row("VXLAN-GPE", vxlan),
        5247: Row("CAPWAP", capwap),
        6080: Row("GUE", gue),
        6081: Row("Geneve", geneve),
        6635: Row("MPLS in UDP", mpls),
        8472: _VXLAN,  # the first port of Linux; OTV has the same header
        30030: Row("Juniper packet mirror", mirrored),
        37008: Row("TZSP", tzsp),
        48879: Row("VXLAN of Cisco ACI", vxlan),
        51820: Row("WireGuard", wireguard),
    },
    "ERSPAN type": {1: _ETHERNET, 2: Row("ERSPAN II", erspan_2)},
    "NSH or GPE protocol": {1: _IPV4, 2: _IPV6, 3: _ETHERNET, 4: _NSH, 5: _MPLS},
    "PPP protocol": {
        0x21: _IPV4,
        0x57: _IPV6,
        0x31: Row("bridged", bridged),
        0x3D: Row("multilink", multilink),
        0x281: _MPLS,
        0x283: _MPLS,
        0x2D: _unopened("PPP protocol 0x002d, which is compressed TCP"),
        0x2F: _unopened("PPP protocol 0x002f, which is compressed TCP"),
        0x53: _unopened("PPP protocol 0x0053, which is encrypted"),
        0xFD: _unopened("PPP protocol 0x00fd, which is compressed"),
    },
    "LLC SAP": {0x06: _IPV4, 0xFE: Row("OSI", nlpid)},
    "NLPID": {0xCC: _IPV4, 0x8E: _IPV6, 0xCF: _PPP},
    "SNAP": {0x0080C2: Row("bridged", snap_bridged)},
    "link type": {number: Row(name, step) for number, (name, step) in LINKS.items() if step is not None},
}
"""What each number stands for, by its kind. A number that is not here may hold anything."""

_QUIET: dict[str, tuple[int, ...]] = {
    # IEEE 802 numbers (https://www.iana.org/assignments/ieee-802-numbers): configuration test, Wake on LAN, stream
    # reservation, audio and video, TRILL's routing, DECnet, RARP, AppleTalk, IPX, powerline, control of the link and of
    # aggregates, discovery of PPPoE, HomePlug, PROFINET, EtherCAT, POWERLINK, GOOSE and sampled values, 802.1X, ATA
    # over Ethernet, LLDP, SERCOS, RSN, multiple registration, time, maintenance, Fibre Channel, RoCE, IEEE 1905, PRP.
    "EtherType": (
        0x0060, 0x0842, 0x22EA, 0x22F0, 0x22F4, *range(0x6000, 0x6008), 0x0806, 0x8035, 0x809B, 0x80F3, 0x8102, 0x8137,
        0x8138, 0x8204, 0x8808, 0x8809, 0x8819, 0x8863, 0x887B, 0x888E, 0x8892, 0x8899, 0x889A, 0x88A2, 0x88A4, 0x88AB,
        *range(0x88B8, 0x88BB), 0x88BF, 0x88C7, 0x88CA, 0x88CC, 0x88CD, 0x88D9, 0x88DC, 0x88E1, 0x88E3, 0x88F5, 0x88F6,
        0x88F7, 0x88F8, 0x88FB, 0x8902, 0x8906, 0x890D, 0x8914, 0x8915, 0x8917, 0x891D, 0x8929, 0x893A, 0x8940, 0x9000,
    ),
    # https://www.iana.org/assignments/protocol-numbers: ICMP, IGMP, GGP, EGP, IGP, DCCP, RSVP, ICMPv6, no next header,
    # EIGRP, OSPF, PIM, PNNI, VRRP, PGM, DDX, SRP, IS-IS, FIRE, SCTP, Fibre Channel, RSVP-E2E-IGNORE, UDP-Lite, MANET
    "IP protocol": (
        1, 2, 3, 8, 9, 33, 46, 58, 59, 88, 89, 102, 103, 112, 113, 116, 119, 124, 125, 132, 133, 134, 136, 138,
    ),
    # null, SNA, spanning tree, IPX, NetBIOS, OSI
    "LLC SAP": (0x00, 0x04, 0x08, 0x0C, 0x42, 0xE0, 0xF0, 0xF4, 0xF8, 0xFC),
    # OSI and its routing
    "NLPID": (0x00, 0x08, 0x09, 0x80, 0x81, 0x82, 0x83, 0xB0, 0xB1),
    # Cisco, AppleTalk, Extreme, Foundry, Hewlett-Packard, Nortel, IEEE 802.1
    "SNAP": (0x00000C, 0x080007, 0x00E02B, 0x00E052, 0x080009, 0x000081, 0x0180C2),
    # OSI, DECnet, AppleTalk, IPX, NetBIOS, CDP, header compression's feedback
    "PPP protocol": (0x01, 0x23, 0x25, 0x27, 0x29, 0x2B, 0x3F, 0x0207),
}  # fmt: skip
for _kind, _numbers in _QUIET.items():
    ROWS[_kind].update(dict.fromkeys(_numbers, Row("no TCP")))

NO_TCP_PROTOCOLS = frozenset(_QUIET["IP protocol"])
"""IP protocols that carry no TCP."""

TUNNEL_PORTS = frozenset(ROWS["UDP port"])
"""Destination ports of UDP tunnels."""

SERVICE_PORTS = frozenset((1701, 3544, 4500, 5247, 51820))
"""Those whose server answers from this port to any other one."""


def decode(link_type: int, data: bytes, length: int) -> Found:
    """Decode the frame ``data``, which had ``length`` bytes on the wire. Raises nothing."""
    return walk("link type", link_type, Packet(data, max(length, len(data))), 0)


def walk(kind: str, number: int, packet: Packet, at: int) -> Found:
    """Follow the headers of ``packet`` from ``number`` at ``at`` on."""
    first = at
    try:
        for _ in range(_MOST_HEADERS):
            row = ROWS[kind].get(number)
            if row is None:
                return Undecoded(number_name(kind, number), odd=True)
            if row.step is None:
                return row.found
            found = row.step(packet, at)
            if isinstance(found, tuple) and len(found) == 3:
                kind, number, at = found
            else:
                return found
    except (struct.error, IndexError):
        # A whole frame that is too short for its first header cannot hold a packet.
        return NO_TCP if at == first and packet.length == len(packet.data) else BROKEN
    return Undecoded(f"more than {_MOST_HEADERS} headers")


def number_name(kind: str, number: int) -> str:
    """Return how a report names a number that is not in the table."""
    if kind in ("IP protocol", "UDP port", "link type"):
        return f"{kind} {number}"
    if kind == "SNAP":
        return f"SNAP organisation {number >> 16:02x}-{number >> 8 & 255:02x}-{number & 255:02x}"
    return f"{kind} 0x{number:04x}"
