"""Third-party rules: installed distributions that name a module under the entry point group ``smtpwire.rules``."""

# A plugin is third-party code inside an audit, so an error in it must affect only its own rules. A plugin that cannot
# be imported, or that declares an id that already exists, is skipped completely. A rule that raises an exception is
# disabled from then on, also one that wants to end the process. Both are reported once, by name. What a rule returns is
# checked, and its text is made safe to show. The rules of smtpwire itself are not wrapped, so they have no extra cost.
#
# The import of importlib.metadata takes as long as a small audit, and few installations have a plugin. The files that
# it would read are therefore first searched for the name of our group, which takes a tenth of that time.

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from msgspec.structs import replace

from ..errors import display_path, is_visible
from ..files.reading import read_whole
from ..limits import PLUGIN_FINDINGS, PLUGIN_TEXT, SETTINGS_BYTES
from ..model import Severity, Side
from . import RULES, Evidence, all_or_none, amend
from .phrases import Phrase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from importlib.metadata import EntryPoint

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange
    from . import Rule
    from .phrases import Value

__all__ = ["GROUP", "load_plugins", "skipped_plugins"]

GROUP = "smtpwire.rules"

_TEXTS = ("evidence", "reference", "unit")
_NUMBERS = ("offset", "length", "frame", "time_ns", "count")
_SIDES = frozenset({None, *get_args(Side)})
_SEVERITIES = frozenset({None, *get_args(Severity)})

_seen: set[tuple[str, str]] = set()


skipped_plugins: list[str] = []
"""Plugins of this process that could not be loaded: their rules are not asked, so each report names them."""


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
        return GROUP.encode() in read_whole(file, SETTINGS_BYTES, found=True)[0]
    except OSError:
        return False


def _load(point: EntryPoint, report: Callable[[str], None]) -> None:
    known = set(RULES)
    try:
        with all_or_none():
            point.load()
    except (Exception, SystemExit) as error:
        skipped_plugins.append(display_path(f"{point.name} of {_distribution(point)}"))
        report(f"plugin skipped: {skipped_plugins[-1]}: {_reason(error)}")
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
            found = [_checked(one) for one in islice(check(x, talk), PLUGIN_FINDINGS)]
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            broken = True
            report(f"rule disabled: {rule.id} {rule.name} ({origin}): {_reason(error)}")
            return
        yield from found

    guarded.__doc__ = check.__doc__  # the documentation of the rule
    return guarded


def _checked(one: object) -> Evidence:
    """Return what a rule of a plugin returned, with text that is safe to show. Raises TypeError or ValueError if a
    report could not be made of it."""
    if not isinstance(one, Evidence):
        raise TypeError(f"it returned {type(one).__name__}, not Evidence")
    message = one.message
    if isinstance(message, Phrase):
        message = message.changed(_shown)
        length = len(message.text())
    elif isinstance(message, str):
        length = len(message)
        message = display_path(message)
    else:
        raise TypeError(f"its message is {type(message).__name__}, not Phrase or str")
    evidence = one.evidence
    for name in _TEXTS:
        value = getattr(one, name)
        if not isinstance(value, str | None):
            raise TypeError(f"its {name} is {type(value).__name__}, not str")
        length += len(value or "")
    if length > PLUGIN_TEXT:
        raise ValueError(f"its text has {length:,} characters: at most {PLUGIN_TEXT:,} are shown")
    for name in _NUMBERS:
        value = getattr(one, name)
        if not isinstance(value, int | None):
            raise TypeError(f"its {name} is {type(value).__name__}, not int")
        if value is not None and not 0 <= value < 1 << 63:
            raise ValueError(f"its {name} is {value}")
    for name, known in (("side", _SIDES), ("severity", _SEVERITIES)):
        if getattr(one, name) not in known:
            raise ValueError(f"there is no {name} {getattr(one, name)!r}")
    return replace(
        one,
        message=message,
        evidence=None if evidence is None else display_path(evidence),
        reference=None if one.reference is None else display_path(one.reference),
        unit=display_path(one.unit),
    )


def _shown(value: Value) -> Value:
    """Return a value of a phrase with text that is safe to show."""
    if not isinstance(value, str) or is_visible(value):
        return value
    return type(value)(display_path(value))


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unnamed distribution"


def _reason(error: BaseException) -> str:
    try:
        text = " ".join(str(error).split())
    except Exception:  # of the plugin's own class of errors
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
