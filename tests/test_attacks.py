"""The audit survives every attack of the benchmark, and its work grows no faster than the attack."""

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
    import tricks  # noqa: F401  adds more attacks
    from attacks import ATTACKS
else:
    ATTACKS = []

# Low, so that small attacks reach the limits that large ones reach.
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
    """Return the number of function calls of an audit, also of C functions; other processes do not change it."""
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
    # The first run does not count: it includes work that is done only once.
    for size in (number, number, number * FACTOR):
        path.write_bytes(attack.make(size))
        counts.append(calls(path))
    assert counts[2] <= counts[1] * (FACTOR + 1) + 5000
