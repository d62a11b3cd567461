"""Make the samples that are derived from other samples: ``python samples/derive.py`` writes them next to this file."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

__all__ = ["DERIVED", "derive", "main"]

HERE = Path(__file__).parent
# Header of a little-endian pcap file with microseconds and Ethernet frames: the only kind among the samples.
HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
RECORD = struct.Struct("<IIII")
ETHERNET, TCP_PORTS = 14, struct.Struct(">HH")

DEMO = (
    "sendmail--rcpt-before-mail",
    "postfix--pipelined-refused-data",
    "postfix--mail-before-ehlo",
    "sendmail--eightbit-body-undeclared",
    "postfix--eightbit-header",
    "postfix--starttls-mail",
)


class Record(NamedTuple):
    """One frame with its record header."""

    seconds: int
    microseconds: int
    original_length: int
    frame: bytes

    @property
    def server_port(self) -> bool:
        """Whether the frame (IPv4, no VLAN) goes to port 25."""
        ports = ETHERNET + 4 * (self.frame[ETHERNET] & 0x0F)
        return bool(TCP_PORTS.unpack_from(self.frame, ports)[1] == 25)


def read(name: str) -> list[Record]:
    """Return the records of one sample."""
    data = (HERE / f"{name}.pcap").read_bytes()
    records, at = [], len(HEADER)
    while at < len(data):
        seconds, microseconds, size, original = RECORD.unpack_from(data, at)
        at += RECORD.size
        records.append(Record(seconds, microseconds, original, data[at : at + size]))
        at += size
    return records


def pcap(records: list[Record]) -> bytes:
    """Return the bytes of a capture file of ``records``."""
    blocks = [RECORD.pack(r.seconds, r.microseconds, len(r.frame), r.original_length) + r.frame for r in records]
    return HEADER + b"".join(blocks)


def demo() -> bytes:
    """Return six connections one after the other, in the order in which they were recorded."""
    return pcap(sorted((record for name in DEMO for record in read(name)), key=lambda r: r[:2]))


def gap() -> bytes:
    """Return a mail transaction with a gap in its message: the longest frame of the client is removed."""
    records = read("postfix--clean-esmtp")
    lost = max((r for r in records if r.server_port), key=lambda r: len(r.frame))
    return pcap([record for record in records if record is not lost])


def one_sided() -> bytes:
    """Return only the client's frames, as a tap on one direction of a link records them."""
    return pcap([record for record in read("sendmail--rcpt-before-mail") if record.server_port])


DERIVED = {"demo": demo, "gap": gap, "one-sided": one_sided}


def derive(name: str) -> bytes:
    """Return the bytes of one derived sample."""
    return DERIVED[name]()


def main() -> None:
    """Write all derived samples."""
    for name in DERIVED:
        (HERE / f"{name}.pcap").write_bytes(derive(name))


if __name__ == "__main__":
    main()
