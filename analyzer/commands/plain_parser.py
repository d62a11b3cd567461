"""What commands take, as they declare it, and how plain command lines are read by that."""

# Typer knows everything about command lines, and takes a sixth of the time of a small audit to be loaded. Nearly all
# command lines need nothing of that: known options in full, with values that are valid. Those are read here; whatever
# is not plain (help, completion, mistakes, forms that are rare) is left to Typer, which is told the same declarations.
# So nobody sees which of both it was, and tests hold them together.

from __future__ import annotations

from types import UnionType
from typing import TYPE_CHECKING, Any, NamedTuple, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Argument", "Command", "Group", "Option", "plain"]

MAX_DIGITS = 9  # of a number that is plain


class Option:
    """As Typer's: ``names`` with their hyphens; none stands for the parameter's own. ``told``: all that Typer is
    told beside them."""

    def __init__(self, *names: str, **told: Any) -> None:
        self.names = names
        self.told = told


class Argument:
    """As Typer's."""

    def __init__(self, **told: Any) -> None:
        self.told = told


class Command(NamedTuple):
    """``call`` does the work, and gives the exit status. ``short``: of lists of commands; None: its first line."""

    call: Callable[..., int]
    short: str | None = None
    epilog: str | None = None


class Group(NamedTuple):
    """Commands behind one name."""

    help: str
    short: str
    commands: Mapping[str, Command]


class _Kind(NamedTuple):
    """What a parameter takes: of what type, whether several of it, and how it is declared."""

    type: Any
    several: bool
    declared: Option | Argument


class _NotPlainError(Exception):
    """Typer knows what to do, or what to say."""


def plain(call: Callable[..., int], words: list[str]) -> dict[str, Any] | None:
    """What Typer would call ``call`` with for the ``words`` behind the command's name, other than defaults; None: that
    is not plain."""
    kinds = {name: _kind(hint) for name, hint in get_type_hints(call, include_extras=True).items() if name != "return"}
    try:
        return _read(kinds, _required(call), words)
    except _NotPlainError:
        return None


def _kind(hint: Any) -> _Kind:
    meant, declared = get_args(hint)
    if isinstance(meant, UnionType):
        (meant,) = (one for one in get_args(meant) if one is not type(None))
    several = get_origin(meant) is list
    return _Kind(get_args(meant)[0] if several else meant, several, declared)


def _required(call: Callable[..., int]) -> set[str]:
    """Names of parameters without a default; without the module inspect, which takes long to load."""
    code, defaults = call.__code__, call.__defaults__ or ()
    return set(code.co_varnames[: code.co_argcount - len(defaults)])


def _read(kinds: dict[str, _Kind], required: set[str], words: list[str]) -> dict[str, Any]:
    named = {
        written: name
        for name, kind in kinds.items()
        if isinstance(kind.declared, Option)
        for written in kind.declared.names or ("--" + name.replace("_", "-"),)
    }
    found: dict[str, Any] = {}
    bare: list[str] = []
    rest = iter(words)
    for word in rest:
        if word[:1] != "-" or word == "-":
            bare.append(word)
            continue
        written, given, value = word.partition("=") if word.startswith("--") else (word, "", "")
        name = named.get(written)
        if name is None:
            raise _NotPlainError
        kind = kinds[name]
        if kind.type is bool:
            if given:
                raise _NotPlainError
            found[name] = True
            continue
        following = value if given else next(rest, None)
        if following is None:
            raise _NotPlainError
        _add(found, name, kind, following)
    _place(found, {name: kind for name, kind in kinds.items() if isinstance(kind.declared, Argument)}, bare)
    if required - found.keys():
        raise _NotPlainError
    return found


def _place(found: dict[str, Any], kinds: dict[str, _Kind], bare: list[str]) -> None:
    """Words without a name belong to the arguments in turn, all that are left to one that takes several."""
    words = iter(bare)
    for name, kind in kinds.items():
        for word in words:
            _add(found, name, kind, word)
            if not kind.several:
                break
    if next(words, None) is not None:
        raise _NotPlainError


def _add(found: dict[str, Any], name: str, kind: _Kind, word: str) -> None:
    value = _value(kind, word)
    if kind.several:
        found.setdefault(name, []).append(value)
    else:
        found[name] = value


def _value(kind: _Kind, word: str) -> Any:
    if kind.type is str:
        if word.startswith("-") and word != "-":
            raise _NotPlainError
        return word
    if kind.type in {int, float}:
        if not word.isascii() or not word.isdigit() or len(word) > MAX_DIGITS:
            raise _NotPlainError
        number = kind.type(word)
        if not kind.declared.told.get("min", number) <= number <= kind.declared.told.get("max", number):
            raise _NotPlainError
        return number
    try:
        return kind.type(word)  # one of the words that a StrEnum has
    except ValueError:
        raise _NotPlainError from None
