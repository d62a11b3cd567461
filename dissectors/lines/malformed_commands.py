"""Parse command lines that the strict grammar refuses: their likely meaning and their deviations."""

# Called for the few lines that do not match the expression of their verb. Each kind of deviation is reported once for
# each line, at its first place, so that a hostile line yields a bounded list. Text that a lenient server would still
# understand (a path without brackets, a blank after the colon) is parsed, because the session continues from there.

from __future__ import annotations

import re

from msgspec import Struct

from ..deviations import Deviation, DeviationKind, quoted
from ..grammar.abnf import DOMAIN, LOCAL_PART
from ..grammar.arguments import ARGUMENTS, MAY_BE_ABSENT
from ..grammar.parameters import scan_parameters
from ..grammar.path_faults import path_fault
from ..grammar.paths import Path, parse_path, parse_user
from ..lazy_regex import LazyPattern
from ..tables.verbs import VERBS, Argument, Verb

__all__ = ["Reading", "read_malformed"]

BOM = b"\xef\xbb\xbf"  # U+FEFF in UTF-8

_BLANKS = b" \t"
_SPLIT = LazyPattern(rb"([ \t]*+)([^ \t]*+)([ \t]*+)")
_AFTER_TOKEN = LazyPattern(rb"[^ \t]++[ \t]*+")
_TOKEN = LazyPattern(rb"[^ \t]++")
_UNEVEN = LazyPattern(rb"[ \t]{2,}|\t")
_is_literal_or_domain = ARGUMENTS[Argument.HELLO].check

# The word before a path, and its colon with any blanks around it.
_COLON = {
    Argument.REVERSE_PATH: (b"FROM", LazyPattern(rb"[Ff][Rr][Oo][Mm]([ \t]*+)(:?)([ \t]*+)")),
    Argument.FORWARD_PATH: (b"TO", LazyPattern(rb"[Tt][Oo]([ \t]*+)(:?)([ \t]*+)")),
}

# A path in which only the address literal may be wrong.
_LOOSE_LITERAL = (
    rb"<(?:@" + DOMAIN + rb"(?:,@" + DOMAIN + rb")*:)?(?P<local>" + LOCAL_PART + rb")@(?P<domain>\[[^ \t<>]*+)>"
)

_MISSING = {
    Argument.HELLO: DeviationKind.BAD_HELLO_ARGUMENT,
    Argument.CHUNK: DeviationKind.BAD_BDAT_SYNTAX,
}


class Reading(Struct, frozen=True):
    """The readable parts of a malformed line. ``verb``: empty if there is none."""

    verb: bytes
    spec: Verb | None
    argument: bytes | None
    deviations: tuple[Deviation, ...]
    path: Path | None
    parameters: dict[str, bytes | None]


class _Collector:
    """Collects the deviations of one line, the first of each kind, and its path and parameters."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.found: dict[DeviationKind, Deviation] = {}
        self.path: Path | None = None
        self.parameters: dict[str, bytes | None] = {}

    def add(self, kind: DeviationKind, start: int, end: int, detail: str) -> None:
        self.found.setdefault(kind, Deviation(kind, start, end - start, detail))

    def quote(self, kind: DeviationKind, start: int, end: int) -> None:
        self.add(kind, start, end, quoted(self.raw[start:end]) or "nothing")

    def check(self, form: Argument, start: int, end: int) -> None:
        """Check the argument ``raw[start:end]``, which is not empty and has no blanks around it."""
        match form:
            case Argument.NONE:
                self.quote(DeviationKind.ARGUMENT_NOT_ALLOWED, start, end)
            case Argument.HELLO:
                self.hello(start, end)
            case Argument.REVERSE_PATH | Argument.FORWARD_PATH:
                self.word_and_path(form, start, end)
            case Argument.CHUNK:
                self.chunk(start, end)
            case Argument.MECHANISM:
                self.mechanism(start, end)
            case Argument.STRING | Argument.OPTIONAL | Argument.TEXT:
                pass  # free text: any byte is allowed

    def even(self, start: int, end: int) -> bytes:
        """Return the argument with one space for each run of blanks; add a deviation if that changes the text."""
        match = _UNEVEN.search(self.raw, start, end)
        if match is None:
            return self.raw[start:end]
        self.add(DeviationKind.STRAY_WHITESPACE, *match.span(), "TAB or several blanks between arguments")
        return re.sub(rb"[ \t]++", b" ", self.raw[start:end])

    def hello(self, start: int, end: int) -> None:
        match = _TOKEN.match(self.raw, start, end)
        stop = end if match is None else match.end()
        blanks = _UNEVEN.match(self.raw, stop, end)
        if blanks is not None:
            self.add(DeviationKind.STRAY_WHITESPACE, *blanks.span(), "TAB or several blanks between arguments")
        if _is_literal_or_domain(self.raw[start:stop]):
            return
        bracketed = self.raw.startswith(b"[", start)
        kind = DeviationKind.BAD_ADDRESS_LITERAL if bracketed else DeviationKind.BAD_HELLO_ARGUMENT
        self.quote(kind, start, stop)

    def word_and_path(self, form: Argument, start: int, end: int) -> None:
        word, pattern = _COLON[form]
        colon = pattern.match(self.raw, start, end)
        if colon is None:
            self.add(DeviationKind.ARGUMENT_MISSING, start, end, word.decode("ascii") + ": is missing")
            return
        if not colon[2]:
            self.add(DeviationKind.MALFORMED_PATH, start, end, "no colon after " + word.decode("ascii"))
            return
        begin = colon.end()
        stop = self.path_at(form, begin, end)
        blanks = colon[1] or colon[3]
        if blanks and (self.path is not None or parse_user(self.raw[begin:end]) is not None):
            at = colon.start(1) if colon[1] else colon.start(3)
            self.add(DeviationKind.SPACE_AROUND_COLON, at, at + len(blanks), "blank beside the colon")
        if stop < end:
            self.parameters, wrong = scan_parameters(self.raw, stop, end)
            for deviation in wrong:
                self.found.setdefault(deviation.kind, deviation)

    def path_at(self, form: Argument, start: int, end: int) -> int:
        """Check the path that starts at ``start`` and return its end: ``end`` if its end cannot be found."""
        production = ARGUMENTS[form]
        prefix = b"FROM:" if form is Argument.REVERSE_PATH else b"TO:"
        stop = _end_of_path(self.raw, start, end)
        text = self.raw[start:stop]
        if _MORE_ADDRESSES.match(self.raw, stop, end):
            stop, text = end, self.raw[start:end]  # a list of addresses
        elif _named(text, self.raw[stop:end]):
            stop = self.raw.rfind(b">", stop, end) + 1 or end
            text = self.raw[start:stop]
        if production.check(prefix + text):
            self.path = parse_path(text)
        elif text == b"<>":  # RCPT
            self.path = parse_path(text)
            self.quote(DeviationKind.NULL_RECIPIENT, start, stop)
        elif loose := re.fullmatch(_LOOSE_LITERAL, text, re.DOTALL):
            route = text[1 : loose.start("local")].rstrip(b":")
            hops = tuple(hop[1:] for hop in route.split(b",")) if route else ()
            self.path = Path(text, hops, loose["local"], loose["domain"])
            self.quote(DeviationKind.BAD_ADDRESS_LITERAL, start + loose.start("domain"), start + loose.end("domain"))
        else:
            self.add(DeviationKind.MALFORMED_PATH, start, stop, path_fault(text))
            bare = parse_user(text)
            if bare is not None and bare.domain is not None:
                self.path = bare  # a mailbox; only its brackets are missing
            elif not text.endswith(b">") or b"<" not in text:
                return end
        return stop

    def chunk(self, start: int, end: int) -> None:
        if not ARGUMENTS[Argument.CHUNK].check(self.even(start, end)):
            self.quote(DeviationKind.BAD_BDAT_SYNTAX, start, end)

    def mechanism(self, start: int, end: int) -> None:
        argument = self.even(start, end)
        if not ARGUMENTS[Argument.MECHANISM].check(argument):
            # It may be a password in clear text, so it is not quoted.
            response = _AFTER_TOKEN.match(self.raw, start, end)
            at = end if response is None else response.end()
            self.add(DeviationKind.BAD_AUTH_ENCODING, at, end, "the initial response is not base64")


def _end_of_path(raw: bytes, start: int, end: int) -> int:
    """Return the end of the path that starts at ``start``; quoted strings are skipped if they are closed."""
    if raw.startswith(b"<", start):
        closing = _CLOSING.match(raw, start, end)
        if closing is not None:
            return closing.end()
        at = raw.find(b">", start, end)
        return end if at < 0 else at + 1
    match = _TOKEN.match(raw, start, end)
    return start if match is None else match.end()


def _named(text: bytes, rest: bytes) -> bool:
    """Whether ``text`` is the start of a name before an address in brackets."""
    return b"@" not in text and b"<" not in text and b"<" in rest


# After a path: text that belongs to another one.
_MORE_ADDRESSES = LazyPattern(rb"(?:[ \t]*+[,;]|[ \t]*+<|(?<=[,;]))[^@]*+@")

# Includes superfluous closing brackets: they are part of the fault.
_CLOSING = LazyPattern(rb'<(?:[^">]++|"(?:[^"\\]++|\\.)*")*>++', re.DOTALL)


def read_malformed(raw: bytes) -> Reading:
    """Parse a command line that does not match its strict production, or whose verb is unknown. Never raises."""
    collector = _Collector(raw)
    start = 0
    if raw.startswith(BOM):
        start = len(BOM)
        collector.add(DeviationKind.BOM_BEFORE_COMMAND, 0, start, "UTF-8 byte order mark")
    pieces = _SPLIT.match(raw, start)
    if pieces is None or not pieces[2]:
        collector.add(DeviationKind.EMPTY_COMMAND, start, len(raw), "no verb")
        return _reading(collector, b"", None, None)
    if pieces[1]:
        collector.add(DeviationKind.STRAY_WHITESPACE, *pieces.span(1), "blank before the verb")
    verb = pieces[2].upper()
    spec = VERBS.get(verb)
    if spec is None and not verb.startswith(b"X") and verb.isascii():
        collector.quote(DeviationKind.UNKNOWN_VERB, *pieces.span(2))
    form = Argument.TEXT if spec is None else spec.argument
    begin = pieces.end()
    if begin == len(raw):
        if pieces[3]:
            collector.add(DeviationKind.STRAY_WHITESPACE, *pieces.span(3), "blank at the end of the line")
        if form not in MAY_BE_ABSENT:
            kind = _MISSING.get(form, DeviationKind.ARGUMENT_MISSING)
            collector.add(kind, pieces.end(2), pieces.end(2), quoted(verb) + " without its argument")
        return _reading(collector, verb, spec, None)
    if pieces[3] != b" ":
        collector.add(DeviationKind.STRAY_WHITESPACE, *pieces.span(3), "TAB or several blanks after the verb")
    end = len(raw)
    if form is not Argument.TEXT:
        end = len(raw.rstrip(_BLANKS))
        if end < len(raw):
            collector.add(DeviationKind.STRAY_WHITESPACE, end, len(raw), "blank at the end of the line")
    collector.check(form, begin, end)
    return _reading(collector, verb, spec, raw[begin:])


def _reading(collector: _Collector, verb: bytes, spec: Verb | None, argument: bytes | None) -> Reading:
    deviations = tuple(sorted(collector.found.values(), key=lambda deviation: (deviation.at, deviation.length)))
    return Reading(verb, spec, argument, deviations, collector.path, collector.parameters)
