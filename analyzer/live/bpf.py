"""Classic BPF for the kernel: a program of our own for the ports of SMTP, Scapy's compiler for a user's expression."""

# Theory
# ------
# A filter in the kernel decides which frames reach the process at all, so it must not lose frames of a connection:
#
# - Fragments after the first have no ports. All fragments of TCP pass; the decoder reassembles them.
# - The kernel usually removes a VLAN tag from the frame; the frame then looks untagged. A second tag stays in the
#   frame. libpcap's `tcp port 25` does not look after that one, unless the expression says so for each tag.
# - The length of the link-layer header depends on the interface. The kernel knows the start of the network header, and
#   classic BPF can use addresses relative to it (negative offsets: linux/filter.h, SKF_NET_OFF). So one program fits
#   all interfaces.
#
# For these reasons the default filter is made here. It also works if libpcap is not installed. An expression given with
# --bpf is in libpcap's language and compiled as Scapy does it.
#
# On a loopback interface each frame appears twice, outgoing and incoming, and the outgoing copy is dropped. Jumps are
# relative, so the instructions for that can be put in front of any program.
#
# A jump of classic BPF reaches 255 instructions, except the unconditional one. So every conditional jump here skips one
# instruction, and the skipped one is a return or the far jump.

from __future__ import annotations

import ctypes
import socket
from struct import Struct
from typing import TYPE_CHECKING

from ..errors import UsageError, display_path
from ..segments.link_layers import VLAN_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["NOTHING", "attach", "compile_expression", "program_for_ports", "without_loopback_copies"]

Instruction = tuple[int, int, int, int]

_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE, _LOAD_HALF_AT_X = 0x20, 0x28, 0x30, 0x48
_AND, _SHIFT_LEFT, _TO_X = 0x54, 0x64, 0x07
_EQUAL, _ANY_BIT, _GO, _RETURN = 0x15, 0x45, 0x05, 0x06

_PROTOCOL = 0xFFFFF000  # SKF_AD_OFF + SKF_AD_PROTOCOL: the EtherType that the kernel found
_PACKET_TYPE, _HARDWARE = 0xFFFFF004, 0xFFFFF01C  # SKF_AD_PKTTYPE, SKF_AD_HATYPE
_OUTGOING, _LOOPBACK = 4, 772  # PACKET_OUTGOING, ARPHRD_LOOPBACK
_NETWORK = 0xFFF00000  # SKF_NET_OFF: offsets from here on are relative to the network header

_WHOLE = 0x40000  # bytes of a frame to keep: more than any frame has
_IPV4, _IPV6, _TCP = 0x0800, 0x86DD, 6
_EXTENSIONS = (0, 43, 44, 60)  # IPv6 headers in front of TCP, that of fragments among them
_MAX_TAGS = 2  # after the one that the kernel removes
_MAX_PORTS = 128  # more would not fit into the kernel's limit of 4096 instructions

_SO_ATTACH_FILTER = 26
_pack = Struct("=HBBI").pack


class _Program:
    """Instructions, and the labels that are the targets of far jumps."""

    def __init__(self) -> None:
        self.code: list[Instruction] = []
        self._jumps: list[tuple[int, str]] = []
        self._labels: dict[str, int] = {}

    def add(self, code: int, k: int = 0) -> None:
        self.code.append((code, 0, 0, k))

    def keep_if(self, test: int, values: Iterable[int]) -> None:
        """Keep the frame if the accumulator matches one of ``values``."""
        for value in values:
            self.code.append((test, 0, 1, value))
            self.add(_RETURN, _WHOLE)

    def unless_equal(self, value: int, label: str) -> None:
        """Jump to ``label`` unless the accumulator is ``value``."""
        self.code.append((_EQUAL, 1, 0, value))
        self.go(label)

    def go(self, label: str) -> None:
        self._jumps.append((len(self.code), label))
        self.add(_GO)

    def label(self, name: str) -> None:
        self._labels[name] = len(self.code)

    def assemble(self) -> bytes:
        for place, label in self._jumps:
            self.code[place] = (_GO, 0, 0, self._labels[label] - place - 1)
        return b"".join(_pack(*instruction) for instruction in self.code)


NOTHING = _pack(_RETURN, 0, 0, 0)
"""The program that passes no frame."""


def without_loopback_copies(program: bytes | None) -> bytes:
    """Return ``program`` (None: every frame passes) without the outgoing copies of loopback frames."""
    instructions = (
        (_LOAD_WORD, 0, 0, _PACKET_TYPE),
        (_EQUAL, 0, 3, _OUTGOING),
        (_LOAD_WORD, 0, 0, _HARDWARE),
        (_EQUAL, 0, 1, _LOOPBACK),
        (_RETURN, 0, 0, 0),
    )
    rest = _pack(_RETURN, 0, 0, _WHOLE) if program is None else program
    return b"".join(_pack(*one) for one in instructions) + rest


def program_for_ports(ports: Iterable[int]) -> bytes:
    """Return a program that passes TCP from and to ``ports``, fragments of TCP, and both after VLAN tags."""
    wanted = sorted(ports)
    program = _Program()
    program.add(_LOAD_WORD, _PROTOCOL)
    for tags in range(_MAX_TAGS + 1):
        _packet(program, tags, wanted if len(wanted) <= _MAX_PORTS else None)
    return program.assemble()


def _packet(p: _Program, tags: int, ports: list[int] | None) -> None:
    """Add the instructions for a packet after ``tags`` VLAN tags. Its EtherType is in the accumulator."""
    at = _NETWORK + 4 * tags
    p.unless_equal(_IPV4, f"not IPv4 {tags}")
    p.add(_LOAD_BYTE, at + 9)
    p.unless_equal(_TCP, f"drop {tags}")
    p.add(_LOAD_HALF, at + 6)
    p.keep_if(_ANY_BIT, [0x1FFF])  # RFC 791 §3.1: a fragment after the first
    p.add(_LOAD_BYTE, at)
    p.add(_AND, 15)
    p.add(_SHIFT_LEFT, 2)
    p.add(_TO_X)
    _either_port(p, _LOAD_HALF_AT_X, at, ports)
    p.label(f"not IPv4 {tags}")
    p.unless_equal(_IPV6, f"not IP {tags}")
    p.add(_LOAD_BYTE, at + 6)
    p.keep_if(_EQUAL, _EXTENSIONS)
    p.unless_equal(_TCP, f"drop {tags}")
    _either_port(p, _LOAD_HALF, at + 40, ports)
    p.label(f"drop {tags}")
    p.add(_RETURN, 0)
    p.label(f"not IP {tags}")
    if tags < _MAX_TAGS:
        for kind in VLAN_TYPES:
            p.code.append((_EQUAL, 0, 2, kind))
            p.add(_LOAD_HALF, at + 2)
            p.go(f"after tag {tags}")
    # After a tag, an unknown packet is kept, so that nothing is lost.
    p.add(_RETURN, _WHOLE if tags else 0)
    p.label(f"after tag {tags}")


def _either_port(p: _Program, load: int, at: int, ports: list[int] | None) -> None:
    if ports is None:
        p.add(_RETURN, _WHOLE)
        return
    for offset in (0, 2):
        p.add(load, at + offset)
        p.keep_if(_EQUAL, ports)
    p.add(_RETURN, 0)


def compile_expression(expression: str, link_type: int) -> bytes:
    """Return libpcap's program for ``expression`` on frames of ``link_type``. Raises UsageError with libpcap's
    message."""
    from scapy.arch.common import compile_filter  # noqa: PLC0415
    from scapy.error import Scapy_Exception  # noqa: PLC0415

    shown = f"--bpf {display_path(expression)}"
    try:
        compiled = compile_filter(expression, linktype=link_type)
    except ImportError:
        raise UsageError(
            "libpcap is not installed", shown, "install libpcap0.8, or omit --bpf: --port needs no libpcap"
        ) from None
    except (Scapy_Exception, OSError) as error:
        reason = str(error)
        reason = reason[reason.rfind("(") + 1 :].rstrip(")") if "(" in reason else reason
        raise UsageError("invalid capture filter", shown, f"{reason}: see man pcap-filter") from None
    return ctypes.string_at(compiled.bf_insns, compiled.bf_len * 8)


def attach(sock: socket.socket, program: bytes) -> None:
    """Set ``program`` as the filter of ``sock`` in the kernel. Raises OSError if the kernel rejects it."""
    code = ctypes.create_string_buffer(program, len(program))
    head = Struct("@HP").pack(len(program) // 8, ctypes.addressof(code))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, head)
