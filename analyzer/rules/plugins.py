"""Third-party rules: installed distributions that name a module under the entry point group ``smtpwire.rules``."""

# A plugin is third-party code inside an audit, so an error in it must affect only its own rules. A plugin that cannot
# be imported, or that declares an id that already exists, is skipped completely. A rule that raises an exception is
# disabled from then on. Both are reported once, by name. The rules of smtpwire itself are not wrapped, so they have no
# extra cost.
#
# The import of importlib.metadata takes as long as a small audit, and few installations have a plugin. The files that
# it would read are therefore first searched for the name of our group, which takes a tenth of that time.

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from . import RULES, Evidence, all_or_none, amend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from importlib.metadata import EntryPoint

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange
    from . import Rule

__all__ = ["GROUP", "load_plugins"]

GROUP = "smtpwire.rules"

_seen: set[tuple[str, str]] = set()


def load_plugins(report: Callable[[str], None]) -> tuple[str, ...]:
    """Import each plugin once per process; return the ids of the new rules.

    ``report`` gets one line for each plugin or rule that is skipped, with its name and the reason.
    """
    if not _any_installed():
        return ()
    from importlib.metadata import entry_points  # noqa: PLC0415

    before = set(RULES)
    for point in sorted(entry_points(group=GROUP), key=lambda p: (_distribution(p), p.name)):
        name = (_distribution(point), point.name)
        if name not in _seen:
            _seen.add(name)
            _load(point, report)
    return tuple(sorted(set(RULES) - before))


def _any_installed() -> bool:
    """Whether a distribution may have an entry point in our group; False is certain."""
    for entry in sys.path:
        directory = Path(entry)
        try:
            if directory.is_file():
                return True  # an archive: not searched
            found = [path for path in directory.iterdir() if path.suffix in {".dist-info", ".egg-info"}]
            if any(_names_group(path / "entry_points.txt") for path in found):
                return True
        except OSError:
            continue
    return False


def _names_group(file: Path) -> bool:
    try:
        return GROUP.encode() in file.read_bytes()
    except OSError:
        return False


def _load(point: EntryPoint, report: Callable[[str], None]) -> None:
    known = set(RULES)
    try:
        with all_or_none():
            point.load()
    except (Exception, SystemExit) as error:
        report(f"plugin skipped: {point.name} of {_distribution(point)}: {_reason(error)}")
        return
    for rule_id in set(RULES) - known:
        rule = RULES[rule_id]
        amend(replace(rule, check=_guarded(rule, f"{point.name} of {_distribution(point)}", report)))


def _guarded(
    rule: Rule, origin: str, report: Callable[[str], None]
) -> Callable[[Exchange, Conversation], Iterator[Evidence]]:
    """Wrap the function of ``rule``: it is not called again after it raised or returned anything but Evidence."""
    check, broken = rule.check, False

    def guarded(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
        nonlocal broken
        if broken:
            return
        try:
            found = list(check(x, talk))
            wrong = next((one for one in found if not isinstance(one, Evidence)), None)
            if wrong is not None:
                raise TypeError(f"it returned {type(wrong).__name__}, not Evidence")
        except Exception as error:
            broken = True
            report(f"rule disabled: {rule.id} {rule.name} ({origin}): {_reason(error)}")
            return
        yield from found

    guarded.__doc__ = check.__doc__  # the documentation of the rule
    return guarded


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unnamed distribution"


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
