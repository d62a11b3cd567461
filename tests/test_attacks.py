"""Every attack of the benchmark is survived, with work that grows no faster than the attack."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from smtpwire.analyzer.audit import Audit, Options
from smtpwire.analyzer.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from types import FrameType

    from attacks import Attack

pytestmark = [pytest.mark.slow, pytest.mark.tree]

if (Path(__file__).parents[1] / "benchmarks").is_dir():
    import tricks  # noqa: F401  more of them
    from attacks import ATTACKS
else:
    ATTACKS = []

# Low, so that small attacks reach what large ones do.
LIMITS = replace(
    DEFAULT_LIMITS,
    held_segments=20,
    all_held_bytes=100_000,
    connections=50,
    handshakes=20,
    closed_connections=20,
    outstanding=40,
    unanswered_commands=20,
    findings_per_rule=10,
    undecided_bytes=2000,
    line_bytes=2000,
    reply_bytes=2000,
    header_bytes=2000,
    fragment_bytes=10_000,
)
FACTOR = 4


def calls(path: Path) -> int:
    """How many functions an audit calls, those of C too: a clock that no other process disturbs."""
    count = 0

    def note(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        for _ in Audit(Options(limits=LIMITS)).run([path]):
            pass
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_four_times_the_attack_is_at_most_five_times_the_work(attack: Attack, tmp_path: Path) -> None:
    number = max(4, attack.base // 50)
    path = tmp_path / "a.pcap"
    counts = []
    for size in (number, number, number * FACTOR):  # once before it counts: what is made at first use is made
        path.write_bytes(attack.make(size))
        counts.append(calls(path))
    assert counts[2] <= counts[1] * (FACTOR + 1) + 5000
