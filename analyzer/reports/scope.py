"""What an audit did not look at, in sentences: "No findings" means nothing without them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ..enums import Require
from ..rules import RULES
from .output import plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ..model import Capture, LeftOut, OtherTraffic, Summary

__all__ = ["contents", "is_restricted", "remarks_on", "scope", "unmet"]

NAMED_RULES = 12
NAMED_KINDS = 8


def scope(summary: Summary) -> list[str]:
    """Return a sentence for each thing that limits what the report says: the settings file, rules not asked, findings
    left out, connections that do not match."""
    said = [] if summary.unmet is None else [f"Not what was required: {summary.unmet}"]
    if summary.settings is not None:
        said.append(f"Settings: {summary.settings}")
    if summary.not_asked:
        said.append(f"Not asked: {plural(len(summary.not_asked), 'rule')} ({_named(summary.not_asked)})")
    if summary.not_loaded:
        said.append(f"Not asked: the rules of plugins that could not be loaded ({', '.join(summary.not_loaded)})")
    said += [f"Left out: {sentence}" for sentence in _left_out(summary.left_out)]
    if summary.filtered and summary.connections:
        said.append(f"Not shown: {plural(summary.filtered, 'connection')} that the filters do not match")
    return said


def is_restricted(summary: Summary) -> bool:
    """Whether a report without findings says little: some were left out, or rules were not asked."""
    return bool(summary.suppressed or summary.not_asked or summary.not_loaded)


def _named(ids: list[str]) -> str:
    """Return names for ``ids``: the prefix of a family that is there as a whole, and the ids of the others."""
    sizes = Counter(rule.family for rule in RULES.values())
    absent: dict[str, list[str]] = {}
    for rule_id in ids:
        absent.setdefault(RULES[rule_id].family, []).append(rule_id)
    names = []
    for family, members in absent.items():
        names += [family] if 1 < len(members) == sizes[family] else members
    rest = len(names) - NAMED_RULES
    return ", ".join(names[:NAMED_RULES]) + (f" and {rest} more" if rest > 0 else "")


def _left_out(counted: Iterable[LeftOut]) -> Iterator[str]:
    by_place: dict[tuple[str, str], dict[str, int]] = {}
    for one in counted:
        by_place.setdefault((one.by, one.where), {})[one.rule] = one.findings
    for (by, where), counts in by_place.items():
        place = f"{by} {where}".rstrip()
        yield f"{plural(sum(counts.values()), 'finding')} by {place} ({_counts(counts)})"


def _counts(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    rest = len(ordered) - NAMED_RULES
    named = ", ".join(f"{rule} {count:,}" for rule, count in ordered[:NAMED_RULES])
    return named + (f" and {rest} more rules" if rest > 0 else "")


def contents(summary: Summary) -> str | None:
    """Return one line about a run in which nothing, or nothing readable, was SMTP; None if there was something to
    judge."""
    if not summary.connections:
        if summary.nothing_read:
            return "Nothing could be read."
        if summary.filtered:
            return f"No connection matches the filters; {plural(summary.filtered, 'connection')} did not."
        kinds = [_kind(one) for one in summary.other_traffic[:NAMED_KINDS]]
        rest = len(summary.other_traffic) - NAMED_KINDS
        kinds += [f"{rest} more kinds"] if rest > 0 else []
        return f"No SMTP seen. TCP: {', '.join(kinds) or 'no connections'}."
    opened = summary.decrypted or summary.partly_decrypted
    if summary.implicit_tls == summary.connections and not summary.messages and not opened:
        return f"Nothing was readable: {plural(summary.connections, 'connection')}, encrypted from the start."
    return None


def remarks_on(summary: Summary) -> list[str]:
    """Return what `scope` and `contents` have to say about a run."""
    nothing = contents(summary)
    return scope(summary) + ([] if nothing is None else [nothing])


def unmet(require: Require, summary: Summary, captures: Iterable[Capture]) -> str | None:
    """Return why the captures do not hold what was required; None if they do."""
    if not summary.connections:
        return "no connection matches the filters" if summary.filtered else "no SMTP was seen"
    encrypted = summary.encrypted - summary.decrypted
    if require is not Require.SMTP and encrypted > 0:
        opened = " and not wholly decrypted" if summary.decrypted or summary.partly_decrypted else ""
        whole = f"{plural(encrypted, 'connection')} of {summary.connections:,} encrypted, as a whole or in part"
        return whole + opened
    if require is Require.COMPLETE:
        parts = summary.connections - summary.complete
        if parts:
            return f"{plural(parts, 'connection')} of {summary.connections:,} not captured as a whole"
        damaged = [capture.path for capture in captures if capture.problems]
        if damaged:
            return f"problems with {damaged[0]}" + (f" and {len(damaged) - 1} more" if len(damaged) > 1 else "")
    return None


def _kind(one: OtherTraffic) -> str:
    return f"{plural(one.connections, 'connection')} on {one.port} ({one.protocol})"
