"""Rules of third parties: installed distributions that name a module under the entry point group ``smtpwire.rules``."""

# A plugin is other people's code inside an audit, so it can cost the audit nothing but its own rules: one that cannot
# be imported, or takes an id that is taken, is left out whole; a rule that raises while it looks at a conversation is
# left out from then on. Both are told once, by name. Rules of ours are not wrapped and cost what they always did.
#
# importlib.metadata takes as long to import as a small audit, and hardly anybody has a plugin. So the files that it
# would read are first searched for the name of our group, which takes a tenth of that.

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


def load_plugins(tell: Callable[[str], None]) -> tuple[str, ...]:
    """Import every plugin, each once in a process; gives the ids of the rules that came.

    ``tell`` gets one line for each plugin or rule that is left out, with its name and the reason.
    """
    if not _any_installed():
        return ()
    from importlib.metadata import entry_points  # noqa: PLC0415

    before = set(RULES)
    for point in sorted(entry_points(group=GROUP), key=lambda p: (_distribution(p), p.name)):
        name = (_distribution(point), point.name)
        if name not in _seen:
            _seen.add(name)
            _load(point, tell)
    return tuple(sorted(set(RULES) - before))


def _any_installed() -> bool:
    """Whether some distribution may have an entry point of our group; False is certain."""
    for entry in sys.path:
        place = Path(entry)
        try:
            if place.is_file():
                return True  # an archive: not ours to open
            found = [path for path in place.iterdir() if path.suffix in {".dist-info", ".egg-info"}]
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


def _load(point: EntryPoint, tell: Callable[[str], None]) -> None:
    known = set(RULES)
    try:
        with all_or_none():
            point.load()
    except (Exception, SystemExit) as error:
        tell(f"plugin left out: {point.name} of {_distribution(point)}: {_reason(error)}")
        return
    for rule_id in set(RULES) - known:
        rule = RULES[rule_id]
        amend(replace(rule, check=_guarded(rule, f"{point.name} of {_distribution(point)}", tell)))


def _guarded(
    rule: Rule, origin: str, tell: Callable[[str], None]
) -> Callable[[Exchange, Conversation], Iterator[Evidence]]:
    """The function of ``rule``, which is never called again once it has raised or given anything but Evidence."""
    check, broken = rule.check, False

    def guarded(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
        nonlocal broken
        if broken:
            return
        try:
            found = list(check(x, talk))
            wrong = next((one for one in found if not isinstance(one, Evidence)), None)
            if wrong is not None:
                raise TypeError(f"it gave {type(wrong).__name__}, not Evidence")
        except Exception as error:
            broken = True
            tell(f"rule left out from here on: {rule.id} {rule.name} ({origin}): {_reason(error)}")
            return
        yield from found

    guarded.__doc__ = check.__doc__  # which explains the rule
    return guarded


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unnamed distribution"


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
