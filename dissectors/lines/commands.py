"""Parse one command line: verb, argument, their meaning, and all deviations from the grammar."""

# Hot path. A line is split at its first space, the verb is looked up in the table, and one match of that verb's strict
# production decides. If it matches, the line is well-formed, and fields are read from the match only on demand. All
# other lines go to malformed_commands.py. Nothing is remembered here: the reader of the client's lines does that.

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from ..deviations import Deviation, DeviationKind
from ..grammar.abnf import BASE64
from ..grammar.arguments import ARGUMENTS, MAY_BE_ABSENT, form_of
from ..grammar.parameters import scan_parameters
from ..grammar.paths import Path, parse_user, path_of
from ..printable import printable
from ..tables.verbs import VERBS, Argument, Verb
from .malformed_commands import read_malformed

if TYPE_CHECKING:
    from construct import Container

    from ..grammar.productions import Production

__all__ = [
    "Command",
    "Deviation",
    "DeviationKind",
    "is_base64",
    "parse_command",
]

_ASKING = frozenset({b"VRFY", b"EXPN"})
_NO_PARAMETERS: dict[str, bytes | None] = {}

_tokens = re.compile(rb"[ \t]+").split


class Command(Struct, eq=False, gc=False):
    """A command line as sent, without its line ending. Read-only; ``parse_command`` makes it.

    ``verb``: the first token in upper case, b"" if the line has none. ``name``: the same, printable, or None. ``spec``:
    its entry in the table, None if it is unknown. ``argument``: the text after the blanks after the verb, as sent, None
    if there is none. ``deviations``: in order of offset, empty if and only if the line is well-formed. ``parameters``:
    of MAIL and RCPT (and SMTPUTF8 of VRFY and EXPN, RFC 6531 §3.7.4.2), keyword in upper case to value as sent, None
    without a value; if a keyword is given twice, the first one counts.
    """

    raw: bytes
    verb: bytes
    name: str | None
    spec: Verb | None
    argument: bytes | None
    deviations: tuple[Deviation, ...] = ()
    parameters: dict[str, bytes | None] = _NO_PARAMETERS
    _match: re.Match[bytes] | None = None
    _path: Path | None = None

    def __repr__(self) -> str:
        return f"<Command {printable(self.raw[:80])}>"

    @property
    def path(self) -> Path | None:
        """The path of MAIL, RCPT, SEND, SOML, SAML, or the user that VRFY and EXPN name; None if it is unreadable."""
        if self._path is None:
            if self._match is not None:
                self._path = path_of(self._match, self._match["path"])
            elif self.verb in _ASKING and self.argument is not None:
                self._path = parse_user(_without_smtputf8(self.argument))
        return self._path

    @property
    def mailbox(self) -> tuple[bytes | None, bytes | None]:
        """Local-part and domain of ``path``; None for what it does not have, and if it is unreadable."""
        if self._match is not None:
            local, domain = self._match.group("local", "domain")
            if domain is not None:
                return local, domain
        path = self.path
        return (None, None) if path is None else (path.local, path.domain)

    @property
    def address(self) -> bytes | None:
        """The address in ``path`` without brackets and route, b"" for the null path; None if the path is unreadable."""
        if self._match is not None:
            local, domain = self._match.group("local", "domain")
            if domain is not None:
                return local + b"@" + domain
        path = self.path
        return None if path is None else path.address

    @property
    def fields(self) -> Container:
        """The line as COMMAND (grammar/constructs.py) parses it; if that fails, ``verb`` and ``argument`` as bytes."""
        from ..grammar.constructs import COMMAND, Container  # noqa: PLC0415  loaded only on demand

        end = len(self.raw) - len(self.argument or b"")
        verb = self.raw[:end].strip(b" \t")
        # Verbs with eight-bit characters have no deviation, but the grammar does not allow them either.
        if not self.deviations and form_of(self.verb) is not None:
            return COMMAND.fields(verb, self.argument)
        return Container(verb=verb, argument=self.argument)

    @property
    def hello_name(self) -> bytes | None:
        """The first word after EHLO, HELO or LHLO, whether it is a domain or not."""
        if self.spec is None or self.spec.argument is not Argument.HELLO or self.argument is None:
            return None
        return _tokens(self.argument, 1)[0]

    @property
    def chunk_size(self) -> int | None:
        """Octets that BDAT announces (RFC 3030 §2); None if that is not a decimal number, or for other verbs."""
        if self.name != "BDAT" or self.argument is None:
            return None
        digits = _tokens(self.argument, 1)[0]
        return _decimal(digits) if digits.isdigit() else None

    @property
    def last(self) -> bool:
        """Whether BDAT or BURL says LAST (RFC 3030 §2, RFC 4468 §3)."""
        if self.name not in {"BDAT", "BURL"} or self.argument is None:
            return False
        tokens = _tokens(self.argument, 2)
        return len(tokens) > 1 and tokens[1].upper() == b"LAST"

    @property
    def mechanism(self) -> str | None:
        """SASL mechanism that AUTH names, in upper case and printable."""
        if self.name != "AUTH" or self.argument is None:
            return None
        return printable(_tokens(self.argument, 1)[0].upper())

    @property
    def initial(self) -> bytes | None:
        """Initial response of AUTH as sent, ``=`` for an empty one; None if there is none (RFC 4954 §4)."""
        if self.name != "AUTH" or self.argument is None:
            return None
        tokens: list[bytes] = _tokens(self.argument.rstrip(b" \t"), 1)
        return tokens[1] if len(tokens) > 1 else None


def _parameters_of_asking(argument: bytes) -> dict[str, bytes | None]:
    """Return the parameters of VRFY or EXPN."""
    stripped = argument.rstrip(b" \t")
    return {"SMTPUTF8": None} if _without_smtputf8(stripped) != stripped else _NO_PARAMETERS


def _without_smtputf8(argument: bytes) -> bytes:
    stripped = argument.rstrip(b" \t")
    return stripped[:-9].rstrip(b" \t") if stripped[-9:].upper() == b" SMTPUTF8" else stripped


MAX_CHUNK_DIGITS = 40  # above 2**128: too large for every integer type of a peer


def _decimal(digits: bytes) -> int:
    """Return the number. If it has more digits than MAX_CHUNK_DIGITS, return the smallest such number: a line of ten
    thousand digits then costs little and the number can still be printed (Python refuses more than 4300 digits)."""
    digits = digits.lstrip(b"0")
    return int(digits or b"0") if len(digits) <= MAX_CHUNK_DIGITS else 10**MAX_CHUNK_DIGITS


_is_base64 = re.compile(BASE64).fullmatch


def is_base64(data: bytes) -> bool:
    """Whether ``data`` is base64 as SASL requires: whole groups of four, padding only at the end, no blanks (RFC 4954
    §4). The empty string is."""
    return _is_base64(data) is not None


_PATHS = frozenset({Argument.REVERSE_PATH, Argument.FORWARD_PATH})


class _VerbParser(NamedTuple):
    """The data that parse_command needs about a verb, in one look-up."""

    spec: Verb
    production: Production | None
    may_be_absent: bool
    has_path: bool


_VERB_PARSERS = {
    verb: _VerbParser(
        spec,
        ARGUMENTS.get(spec.argument),
        spec.argument in MAY_BE_ABSENT,
        spec.argument in _PATHS,
    )
    for verb, spec in VERBS.items()
}


def parse_command(line: bytes) -> Command:
    """Parse one command line, given without its line ending. Any bytes are accepted; faults become ``deviations``.
    Bytes above 0x7F, NUL, bare CR and bare LF count as faults only if they violate the grammar."""
    space = line.find(b" ")
    verb = (line if space < 0 else line[:space]).upper()
    parser = _VERB_PARSERS.get(verb)
    if parser is None:
        return _parse_malformed(line)
    spec, production, may_be_absent, has_path = parser
    if space < 0:
        if not may_be_absent:
            return _parse_malformed(line)
        return Command(line, verb, spec.name, spec, None)
    match = None if production is None else production.usual(line, space + 1) or production.fullmatch(line, space + 1)
    if match is None:
        return _parse_malformed(line)
    argument = line[space + 1 :]
    if not has_path:
        given = _parameters_of_asking(argument) if verb in _ASKING else _NO_PARAMETERS
        return Command(line, verb, spec.name, spec, argument, (), given)
    start = match.end("path")
    if start == len(line):
        return Command(line, verb, spec.name, spec, argument, (), _NO_PARAMETERS, match)
    parameters, wrong = scan_parameters(line, start, len(line))
    return Command(line, verb, spec.name, spec, argument, wrong, parameters, match)


def _parse_malformed(line: bytes) -> Command:
    reading = read_malformed(line)
    asking = reading.verb in _ASKING and reading.argument is not None
    return Command(
        line,
        reading.verb,
        reading.spec.name if reading.spec is not None else printable(reading.verb) or None,
        reading.spec,
        reading.argument,
        reading.deviations,
        _parameters_of_asking(reading.argument or b"") if asking else reading.parameters,
        None,
        reading.path,
    )
