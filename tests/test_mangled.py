"""Variants of real conversations, made by an external tool: each gives the same result as the original capture."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from readback import read

SHARED = Path(__file__).parents[1] / ".." / "shared"
MANGLE = SHARED / "tools" / "mangle.py"
CLEAN = SHARED / "lab" / "captures" / "postfix--pipelined-two-mails.pcap"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (MANGLE.exists() and CLEAN.exists()), reason="the tool is not here"),
]

# Changes of the encapsulation only: the same segments in the same order.
SAME = [
    "vlan",
    "qinq",
    "8021ad",
    "sll",
    "sll2",
    "raw",
    "raw-ipv4",
    "raw-ipv6",
    "null",
    "null-big",
    "null-ipv6",
    "loop",
    "ipv6",
    "ipv6-hop-by-hop",
    "ip-options",
    "fragments",
    "fragments-reversed",
    "fragments-ipv6",
    "gre",
    "vxlan",
    "mpls",
    "pppoe",
    "padding",
    "fcs",
    "bad-checksum",
    "nanosecond",
    "big-endian",
    "nanosecond-big-endian",
    "modified",
    "gzip",
    "pcapng",
    "pcapng-interfaces",
    "pcapng-simple",
    "pcapng-sections",
    "pcapng-gzip",
    "files-5",
    "noise",
]
DAMAGED = ("cut-in-record", "cut-in-header", "absurd-length", "cut-gzip")


@pytest.fixture(scope="module")
def variants(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("variants")
    subprocess.run([sys.executable, MANGLE, CLEAN, folder], check=True, capture_output=True)
    return folder, json.loads((folder / "index.json").read_text())


def files(variants: tuple[Path, dict[str, Any]], name: str) -> list[Path]:
    folder, index = variants
    names = index[name]["file"]
    return [folder / file for file in ([names] if isinstance(names, str) else names)]


def essence(paths: list[Path], decoder: Any = "raw", addresses: bool = True) -> list[tuple[Any, ...]]:
    """Return the parts of each segment that do not depend on the encapsulation."""
    return [(s.flow if addresses else s.flow[-4:], *s[1:6]) for s in read(*paths, decoder=decoder).segments]


@pytest.mark.parametrize("decoder", ["raw", "scapy"])
@pytest.mark.parametrize("name", SAME)
def test_wrapping_changes_nothing(variants: tuple[Path, dict[str, Any]], name: str, decoder: str) -> None:
    addresses = variants[1][name].get("addresses") != "changed"
    assert essence(files(variants, name), decoder, addresses) == essence([CLEAN], addresses=addresses)


def test_every_variant_is_the_same_with_both_decoders(variants: tuple[Path, dict[str, Any]]) -> None:
    for name in variants[1]:
        raw, scapy = (read(*files(variants, name), decoder=decoder) for decoder in ("raw", "scapy"))
        assert raw.segments == scapy.segments, name
        assert len(raw.segments) > 0, name


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_reported_and_everything_before_it_is_read(variants: tuple[Path, dict[str, Any]], name: str) -> None:
    result = read(*files(variants, name))
    assert result.capture.problems != []
    truth = variants[1][name].get("truth", {})
    if "frames" in truth:
        assert result.capture.frames == truth["frames"]
    whole = essence([CLEAN])
    assert essence(files(variants, name)) == whole[: len(result.segments)]
    assert len(result.segments) > 5


def test_every_byte_beyond_the_snap_length_is_counted_as_missing(variants: tuple[Path, dict[str, Any]]) -> None:
    clean, cut = read(CLEAN).segments, read(*files(variants, "snaplen-96")).segments
    assert [len(s.payload) for s in clean] == [len(s.payload) + s.missing for s in cut]
    assert sum(s.missing for s in cut) > 0
