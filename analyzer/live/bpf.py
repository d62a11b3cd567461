"""Classic BPF for the kernel: our own program for the ports of SMTP, Scapy's compiler for what a user writes."""

# Theory
# ------
# A filter in the kernel decides what reaches the process at all, so it must not lose what belongs to a connection:
#
# - Fragments behind the first have no ports. All fragments of TCP are let through; the decoder puts them together.
# - A VLAN tag is mostly taken out of the frame by the kernel, and then the frame is as if it had none; a second tag
#   stays in it. libpcap's `tcp port 25` does not look behind that one, unless told so for each tag.
# - How long the link-layer header is depends on the interface. The kernel knows where the network header begins, and
#   classic BPF can address from there (negative offsets: linux/filter.h, SKF_NET_OFF). So one program fits all.
#
# For these reasons the usual filter is made here, which also works where libpcap is not installed. What the user writes
# with --bpf is libpcap's language, compiled the way Scapy does it.
#
# The jumps of classic BPF reach 255 instructions, except for the unconditional one. So every conditional jump here goes
# over one instruction, and the one it goes over is a return or the far jump.

from __future__ import annotations

import ctypes
import socket
from struct import Struct
from typing import TYPE_CHECKING

from ..errors import UsageError, display_path
from ..segments.link_layers import VLAN_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["attach", "compile_expression", "program_for_ports"]

Instruction = tuple[int, int, int, int]

_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE, _LOAD_HALF_AT_X = 0x20, 0x28, 0x30, 0x48
_AND, _SHIFT_LEFT, _TO_X = 0x54, 0x64, 0x07
_EQUAL, _ANY_BIT, _GO, _RETURN = 0x15, 0x45, 0x05, 0x06

_PROTOCOL = 0xFFFFF000  # SKF_AD_OFF + SKF_AD_PROTOCOL: the EtherType that the kernel has found
_NETWORK = 0xFFF00000  # SKF_NET_OFF: from here on offsets count from the network header

_WHOLE = 0x40000  # bytes of a frame to keep: more than any frame has
_IPV4, _IPV6, _TCP = 0x0800, 0x86DD, 6
_EXTENSIONS = (0, 43, 44, 60)  # IPv6 headers in front of TCP, that of fragments among them
_MAX_TAGS = 2  # behind the one that the kernel takes out
_MAX_PORTS = 128  # more would not fit into the 4096 instructions that the kernel takes

_SO_ATTACH_FILTER = 26
_pack = Struct("=HBBI").pack


class _Program:
    """Instructions, and labels that far jumps go to."""

    def __init__(self) -> None:
        self.code: list[Instruction] = []
        self._jumps: list[tuple[int, str]] = []
        self._labels: dict[str, int] = {}

    def add(self, code: int, k: int = 0) -> None:
        self.code.append((code, 0, 0, k))

    def keep_if(self, test: int, values: Iterable[int]) -> None:
        """Take the frame where the accumulator fits one of ``values``."""
        for value in values:
            self.code.append((test, 0, 1, value))
            self.add(_RETURN, _WHOLE)

    def unless_equal(self, value: int, label: str) -> None:
        """Go to ``label`` unless the accumulator is ``value``."""
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


def program_for_ports(ports: Iterable[int]) -> bytes:
    """A program that lets through TCP from and to ``ports``, fragments of TCP, and both behind VLAN tags."""
    wanted = sorted(ports)
    program = _Program()
    program.add(_LOAD_WORD, _PROTOCOL)
    for tags in range(_MAX_TAGS + 1):
        _packet(program, tags, wanted if len(wanted) <= _MAX_PORTS else None)
    return program.assemble()


def _packet(p: _Program, tags: int, ports: list[int] | None) -> None:
    """The EtherType is in the accumulator, the packet behind ``tags`` VLAN tags."""
    at = _NETWORK + 4 * tags
    p.unless_equal(_IPV4, f"not IPv4 {tags}")
    p.add(_LOAD_BYTE, at + 9)
    p.unless_equal(_TCP, f"drop {tags}")
    p.add(_LOAD_HALF, at + 6)
    p.keep_if(_ANY_BIT, [0x1FFF])  # RFC 791 §3.1: a fragment behind the first
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
            p.go(f"behind tag {tags}")
    # Behind a tag, what is not understood is rather kept than lost.
    p.add(_RETURN, _WHOLE if tags else 0)
    p.label(f"behind tag {tags}")


def _either_port(p: _Program, load: int, at: int, ports: list[int] | None) -> None:
    if ports is None:
        p.add(_RETURN, _WHOLE)
        return
    for offset in (0, 2):
        p.add(load, at + offset)
        p.keep_if(_EQUAL, ports)
    p.add(_RETURN, 0)


def compile_expression(expression: str, link_type: int) -> bytes:
    """What libpcap makes of ``expression`` for frames of ``link_type``. Raises UsageError with libpcap's own words."""
    from scapy.arch.common import compile_filter  # noqa: PLC0415
    from scapy.error import Scapy_Exception  # noqa: PLC0415

    shown = f"--bpf {display_path(expression)}"
    try:
        compiled = compile_filter(expression, linktype=link_type)
    except ImportError:
        raise UsageError(
            "libpcap is not installed", shown, "install libpcap0.8, or leave --bpf out: --port needs no libpcap"
        ) from None
    except (Scapy_Exception, OSError) as error:
        said = str(error)
        said = said[said.rfind("(") + 1 :].rstrip(")") if "(" in said else said
        raise UsageError("no capture filter", shown, f"{said}: see man pcap-filter") from None
    return ctypes.string_at(compiled.bf_insns, compiled.bf_len * 8)


def attach(sock: socket.socket, program: bytes) -> None:
    """Give ``program`` to the kernel for ``sock``. Raises OSError where the kernel does not take it."""
    code = ctypes.create_string_buffer(program, len(program))
    head = Struct("@HP").pack(len(program) // 8, ctypes.addressof(code))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, head)
