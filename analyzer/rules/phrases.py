"""Phrases: what a rule says, as a template and typed values."""

# Theory
# ------
# A rule does not write a sentence with values inside. It yields a phrase: a template, which is a literal in the source
# of the rule, and a value for each name in it. The sentence is made once, after redaction. So the report has the values
# as data too, and redaction needs no search for them: the type of a value says what it can contain.
#
#   numbers                   Code, Count, Octets, Frame, Seconds, Milliseconds
#   words without a secret    EnhancedStatus, Term
#   names of people           Mailbox, Host, IpAddress
#   text from the wire        Keyword, Verb, Field, Text
#   a secret                  Secret
#
# Redaction leaves the first two groups as they are, and never changes the template. Names are replaced if the report
# must not show people. Text from the wire is treated like the line that it comes from: it may be a part of a login or
# of a message; in keywords, only echoes of secrets are hidden. A secret is always hidden, unless the report shows
# secrets.
#
# A value is an int, a float or a str with a type of its own, so a rule compares and formats it as usual. A phrase may
# be a value of another phrase. Then its template is put in, and its values are added: the result has one template and
# one set of values.

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Self, get_args

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = [
    "PLAIN",
    "Code",
    "Count",
    "EnhancedStatus",
    "Field",
    "Frame",
    "Host",
    "IpAddress",
    "Keyword",
    "Mailbox",
    "Milliseconds",
    "Octets",
    "Phrase",
    "Seconds",
    "Secret",
    "Term",
    "Text",
    "Value",
    "Verb",
]

_NAME = re.compile(r"\{([a-z][a-z0-9_]*)\}")
MAX_TEMPLATES = 1024  # templates that are remembered; all rules together have some three hundred


class Code(int):
    """A reply code, such as 250."""

    __slots__ = ()


class Count(int):
    """A number of things, or the number of one thing."""

    __slots__ = ()


class Octets(int):
    """A size in octets."""

    __slots__ = ()


class Frame(int):
    """The number of a frame in its capture."""

    __slots__ = ()


class Seconds(int):
    """A duration in whole seconds."""

    __slots__ = ()


class Milliseconds(float):
    """A duration in milliseconds. It is shown with all its digits, so a rule rounds it."""

    __slots__ = ()


class EnhancedStatus(str):
    """An enhanced status code, such as 5.7.1 (RFC 3463)."""

    __slots__ = ()


class Term(str):
    """A word of the protocol, or words of the rule itself. It must not contain text that a peer can choose."""

    __slots__ = ()


class Mailbox(str):
    """A mailbox, or the local part of one."""

    __slots__ = ()


class Host(str):
    """The name of a host."""

    __slots__ = ()


class IpAddress(str):
    """The address of a host."""

    __slots__ = ()


class Keyword(str):
    """Keywords or mechanisms that a server lists, as sent."""

    __slots__ = ()


class Verb(str):
    """The verb of a command line. A verb that no RFC defines is treated like any text of the client."""

    __slots__ = ()


class Field(str):
    """The name of a field in a message header, as sent."""

    __slots__ = ()


class Text(str):
    """Any other text from the wire, printable (``dissectors.printable``)."""

    __slots__ = ()


class Secret(str):
    """Text that is a secret: a password, a token, a challenge. The report shows its length only."""

    __slots__ = ()


Value = (
    Code
    | Count
    | Octets
    | Frame
    | Seconds
    | Milliseconds
    | EnhancedStatus
    | Term
    | Mailbox
    | Host
    | IpAddress
    | Keyword
    | Verb
    | Field
    | Text
    | Secret
)
"""A value of a phrase."""

_TYPES = frozenset(get_args(Value))
PLAIN: dict[type, Callable[[Value], str | int | float]] = {
    kind: next(plain for plain in (int, float, str) if issubclass(kind, plain)) for kind in _TYPES
}
"""For each type of value, the type that JSON has for it."""


class Phrase:
    """A template and its values. ``template``: text with names in braces; ``values``: the value of each name.

    A value is of one of the types above, or a phrase, which is put in with its own values.
    """

    __slots__ = ("template", "values")

    def __init__(self, template: str, /, **values: Value | Phrase) -> None:
        """Raises ValueError if ``values`` are not those that ``template`` names, or if two of them have one name;
        TypeError for a value of another type."""
        names = _names(template)
        if names != values.keys():
            raise ValueError(f"{template!r} names {sorted(names)}, but the values are {sorted(values)}")
        self.template = template
        self.values: dict[str, Value] = values  # type: ignore[assignment]  # phrases are put in below
        if not _TYPES.issuperset(map(type, values.values())):
            self._put_in_phrases(values)

    def _put_in_phrases(self, values: dict[str, Value | Phrase]) -> None:
        own: dict[str, Value] = {}
        templates: list[str] = []  # names, each with the template that takes its place
        inner: list[dict[str, Value]] = []
        for name, value in values.items():
            if isinstance(value, Phrase):
                templates += name, value.template
                if value.values:
                    inner.append(value.values)
            elif type(value) in _TYPES:
                own[name] = value
            else:
                raise TypeError(f"{name} is {type(value).__name__}, which is not a type of value")
        for more in inner:
            if own.keys().isdisjoint(more):
                own.update(more)
            else:
                _add(own, more)
        self.template = _filled(self.template, *templates)
        self.values = own

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Phrase) and (self.template, self.values) == (other.template, other.values)

    __hash__ = None  # type: ignore[assignment]  # it contains a dict

    def __repr__(self) -> str:
        return f"Phrase({self.template!r}, {self.values!r})"

    @classmethod
    def joined(cls, separator: str, phrases: Iterable[Phrase]) -> Self:
        """Return one phrase of all ``phrases``. Raises ValueError if two values have one name."""
        templates: list[str] = []
        values: dict[str, Value] = {}
        for phrase in phrases:
            templates.append(phrase.template)
            _add(values, phrase.values)
        return cls._of(separator.join(templates), values)

    def numbered(self, number: int) -> Self:
        """Return the phrase with ``number`` after each name, so that it can be joined with others of its kind."""
        return self._of(
            _numbered(self.template, number), {f"{name}_{number}": value for name, value in self.values.items()}
        )

    def changed(self, change: Callable[[Value], Value]) -> Self:
        """Return the phrase with ``change`` applied to each value."""
        return self._of(self.template, {name: change(value) for name, value in self.values.items()})

    def replaced(self, values: dict[str, Value]) -> Self:
        """Return the phrase with ``values`` in place of those of the same names."""
        return self._of(self.template, {**self.values, **values})

    def text(self) -> str:
        """Return the sentence."""
        return _format(self.template) % self.values

    @classmethod
    def _of(cls, template: str, values: dict[str, Value]) -> Self:
        made = cls.__new__(cls)
        made.template, made.values = template, values
        return made


def _add(values: dict[str, Value], more: Mapping[str, Value]) -> None:
    if not values.keys().isdisjoint(more):
        for name, value in more.items():
            if values.get(name, value) != value:
                raise ValueError(f"two values have the name {name}")
    values.update(more)


@lru_cache(maxsize=MAX_TEMPLATES)
def _names(template: str) -> frozenset[str]:
    return frozenset(_NAME.findall(template))


@lru_cache(maxsize=MAX_TEMPLATES)
def _numbered(template: str, number: int) -> str:
    return _NAME.sub(rf"{{\1_{number}}}", template)


@lru_cache(maxsize=MAX_TEMPLATES)
def _format(template: str) -> str:
    """Return the format string of ``template`` for the operator %, which leaves all other braces alone."""
    return _NAME.sub(r"%(\1)s", template.replace("%", "%%"))


@lru_cache(maxsize=MAX_TEMPLATES)
def _filled(template: str, *inner: str) -> str:
    """Return ``template`` with other templates in place of names. ``inner``: names and their templates in turn."""
    templates = dict(zip(inner[::2], inner[1::2], strict=True))
    return _NAME.sub(lambda found: templates.get(found[1], found[0]), template)
