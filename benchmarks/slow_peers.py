"""Typical Python programs that read SMTP from a capture: ``python slow_peers.py dpkt|pyshark|scapy CAPTURE``."""

from __future__ import annotations

import sys


def with_dpkt(path: str) -> int:
    """Count line ends in the payloads of port 25; dpkt does not reassemble streams."""
    import dpkt  # noqa: PLC0415

    lines = 0
    with open(path, "rb") as file:  # noqa: PTH123
        for _, frame in dpkt.pcap.Reader(file):
            segment = getattr(dpkt.ethernet.Ethernet(frame).data, "data", None)
            if isinstance(segment, dpkt.tcp.TCP) and 25 in {segment.sport, segment.dport}:
                lines += segment.data.count(b"\r\n")
    return lines


def with_pyshark(path: str) -> int:
    """Count the SMTP packets of tshark's dissection, as objects."""
    import pyshark  # noqa: PLC0415

    with pyshark.FileCapture(path, display_filter="smtp", keep_packets=False) as capture:
        return sum(1 for packet in capture if hasattr(packet, "smtp"))


def with_scapy(path: str) -> int:
    """Count the packets of Scapy's own session, which reassembles streams."""
    from scapy.layers import inet, inet6  # noqa: F401, PLC0415
    from scapy.sendrecv import sniff  # noqa: PLC0415
    from scapy.sessions import TCPSession  # noqa: PLC0415

    seen = 0

    def count(packet: object) -> None:
        nonlocal seen
        seen += 1

    sniff(offline=path, session=TCPSession(), store=False, prn=count)
    return seen


if __name__ == "__main__":
    print({"dpkt": with_dpkt, "pyshark": with_pyshark, "scapy": with_scapy}[sys.argv[1]](sys.argv[2]))
