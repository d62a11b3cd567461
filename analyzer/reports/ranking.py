"""The end of a text report: which rules fired how often, and in a long report the hosts with most errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .output import plural
from .styled_text import SIDE_STYLE, clip

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..model import Side
    from .host_counts import HostTally
    from .styled_text import Line

__all__ = ["LONG_REPORT", "ranked_hosts", "ranked_rules"]

# A report with more findings is long: its reader begins with what is most frequent.
LONG_REPORT = 20
# Lines of a table in a long report.
SHOWN = 10


def ranked_rules(counts: Mapping[str, int], names: Mapping[str, str]) -> Iterator[Line]:
    """Return a line for each rule, the most frequent first; in a long report at most SHOWN."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = SHOWN if sum(counts.values()) > LONG_REPORT else len(ranked)
    width = max(map(len, names.values()), default=0)
    for rule, count in ranked[:shown]:
        yield [("", f"  {rule} {names.get(rule, ''):{width}} {count:>6,}")]
    rest = ranked[shown:]
    if rest:
        yield [("dim", f"  {plural(len(rest), 'more rule'):{width + 7}} {sum(count for _, count in rest):>6,}")]


def ranked_hosts(tally: HostTally, width: int) -> Iterator[Line]:
    """Return a table of the hosts with most errors and warnings of their own, with a heading; nothing if there is no
    such host."""
    sides: tuple[Side, ...] = ("client", "server")
    hosts = [(host, side) for side in sides for host in tally.hosts[side].values()]
    at_fault = sorted((one for one in hosts if any(one[0].worth[:2])), key=lambda one: one[0].worth, reverse=True)
    if not at_fault:
        return
    shown = at_fault[:SHOWN]
    numbers = [
        [f"{n:,}" for n in (host.counts["error"], host.counts["warning"], host.connections)] for host, _ in shown
    ]
    heads = ["errors", "warnings", "connections"]
    widths = [max(map(len, column)) for column in zip(heads, *numbers, strict=True)]
    longest = max(len(host.address) for host, _ in shown)
    room = max(min(longest, width - sum(widths) - 15), 13)

    def cells(row: list[str]) -> str:
        return "".join(f"  {cell:>{size}}" for cell, size in zip(row, widths, strict=True))

    yield []
    yield [("bold", f"{'Hosts with most errors':{room + 9}}"), ("dim", cells(heads))]
    for (host, side), row in zip(shown, numbers, strict=True):
        yield [
            ("", "  "),
            (SIDE_STYLE[side], side),
            ("", f" {clip(host.address, room):{room}}"),
            ("", cells(row)),
        ]
    more = len(at_fault) - len(shown)
    if more:
        yield [("dim", f"  and {plural(more, 'more host')} with errors or warnings")]
    uncounted = sum(tally.uncounted.values())
    if uncounted:
        yield [("dim", f"  {plural(uncounted, 'connection')} of further hosts, which are not counted separately")]
