"""What a command line says by itself: one value, a pure function of its bytes."""

# Theory
# ------
# Everything that depends on the bytes of a line alone is decided here, once for each different line: the verb, the
# argument as text, the deviations from the grammar, and the marks that the line gets whatever came before it. What
# depends on the session is added to the exchange (`exchanges/command_marks.py`, `exchanges/attack_marks.py`); `needs`
# says which of these checks can find something, so that most lines need none.
#
# A line is remembered with its end, so a segment that holds one line is looked up as it is. A line that holds a secret
# is not remembered.

from __future__ import annotations

import re

from msgspec import Struct

from ...dissectors.deviations import Deviation, DeviationKind
from ...dissectors.grammar.host_names import is_qualified
from ...dissectors.lazy_regex import LazyPattern
from ...dissectors.lines.commands import Command, is_base64, parse_command
from ...dissectors.printable import printable
from ...dissectors.tables.keywords import BOUNDED_PARAMETERS, MAIL_PARAMETERS, RCPT_PARAMETERS
from ...dissectors.tables.verbs import VERBS
from .acts import ACTS, CHUNKS, HELLOS, Act
from .marks import Mark
from .secret_spans import hidden_parts, is_divided
from .shown_text import Span, shown_text

__all__ = [
    "ALWAYS",
    "KNOWN_LINES",
    "LONGEST_KNOWN",
    "MAX_LINE",
    "NO_LINE",
    "SIZES_LIMITED",
    "STARTTLS_OFFERED",
    "CommandLine",
    "command_of",
    "hidden_command",
    "judged_part",
    "line_of_auth",
    "octet_marks",
    "read_line",
    "remember_line",
    "rest_of_response",
    "says_quit",
    "shown_words",
]

MAX_LINE = 512  # octets of a command line with its CRLF, without extensions (RFC 5321 §4.5.3.1.4)

ALWAYS, STARTTLS_OFFERED, SIZES_LIMITED = 1, 2, 4
"""Bits of ``needs``: a check is needed always, if the server offers STARTTLS, or if it announced LIMITS."""

_SHORTEST_LONG = 65  # octets of the shortest name that may be too long: a local-part has 64 (RFC 5321 §4.5.3.1.1)
_HUGE_CHUNK = 1 << 31  # too large for a signed 32-bit integer
_NO_KINDS: frozenset[DeviationKind] = frozenset()
_NOT_BASE64 = frozenset({DeviationKind.BAD_AUTH_ENCODING})
_PLAIN_VERBS = frozenset({b"EHLO", b"HELO", b"MAIL", b"RCPT", b"DATA", b"RSET", b"QUIT"})
_LAST = frozenset({Act.BDAT, Act.BURL})
_SUSPECT = frozenset({Act.OTHER, Act.AUTH, Act.BURL, Act.XCLIENT})  # what follows them may be secret
_RARE_ON_MAIL = RCPT_PARAMETERS | BOUNDED_PARAMETERS
# Paths and names that get no mark: nothing quoted, and a last label that does not start like "local" or an address.
_QUALIFIED = r"(?:[A-Za-z0-9-]++\.)+[A-KM-Za-km-z][A-Za-z0-9-]*+"
_USUAL_PATH = LazyPattern(
    r"[^<]*+<(?![Pp][Oo][Ss][Tt][Mm])[A-Za-z0-9._+=-]++@" + _QUALIFIED + r">(?![^ ])[^@<>%!\"]*+\Z"
)
_USUAL_HELLO = LazyPattern(r"[A-Za-z]{4} " + _QUALIFIED + r"\Z")
# All of these lines is shown.
_USUAL_ENVELOPE = LazyPattern(
    r"[A-Za-z]{4} (?:FROM|TO):<[A-Za-z0-9._+=-]*+(?:@[A-Za-z0-9.-]++)?>"
    r"(?: (?:SIZE=[0-9]++|BODY=[A-Za-z0-9]++|SMTPUTF8|RET=[A-Za-z]++|NOTIFY=[A-Za-z,]++))*+\Z",
    re.IGNORECASE,
)
_ASKING = frozenset({b"VRFY", b"EXPN"})
_EMPTY = frozenset({None, b"", b"="})
_SERVER_FIRST = frozenset({"CRAM-MD5", "DIGEST-MD5"})  # mechanisms that start with a challenge (RFC 2195, RFC 2831)

# Bound once: reading a member of an enum takes longer than the test that uses it.
_EIGHT_BIT, _NUL, _BARE_LF, _BARE_CR = Mark.EIGHT_BIT.value, Mark.NUL.value, Mark.BARE_LF.value, Mark.BARE_CR.value
_DEVIATION, _LONG_PATH, _SOURCE_ROUTE = Mark.DEVIATION.value, Mark.LONG_PATH.value, Mark.SOURCE_ROUTE.value
_OBSOLETE, _ROUTED, _HUGE = Mark.OBSOLETE.value, Mark.ROUTED_RECIPIENT.value, Mark.HUGE_CHUNK.value
_HIDDEN = Mark.HIDDEN_COMMAND.value
_UNQUALIFIED, _ASKS_MAILBOX, _ODD_RESPONSE = Mark.UNQUALIFIED.value, Mark.ASKS_MAILBOX.value, Mark.ODD_RESPONSE.value
_MISPLACED, _BOUNDED, _POSTMASTER = Mark.MISPLACED.value, Mark.BOUNDED.value, Mark.POSTMASTER.value
_NOT_PLAIN = _DEVIATION | _EIGHT_BIT
_BARE, _LF_INSIDE = _BARE_LF | _BARE_CR, Mark.LF_INSIDE.value
_MAIL, _RCPT, _AUTH, _OTHER = Act.MAIL, Act.RCPT, Act.AUTH, Act.OTHER

_bare = re.compile(rb"[\r\n]").search
# A verb after a bare CR or LF, if the text continues like a command.
_HIDDEN_VERB = LazyPattern(rb"(?<![\r\n])[\r\n]++(" + rb"|".join(sorted(VERBS)) + rb")(?=[ :\r\n]|\Z)", re.IGNORECASE)


class CommandLine(Struct, frozen=True, gc=False):
    """One line of the client, or nothing if an exchange has no line.

    ``raw``: the line as sent, without its ``end``, at most the limit for the bytes of a line. ``length``: bytes of the
    whole line with its end. ``command``: None for a line of an AUTH exchange. ``argument``: as the report shows it,
    without secrets. ``deviations``: as far as the line can be judged. ``marks``: bits of ``Mark`` that the line has
    whatever came before it. ``needs``: see ``ALWAYS``. ``plain``: a well-formed command of the base protocol without
    parameters. ``secrets``: the parts of ``raw`` that are secret by themselves. ``harmless``: there are none, and
    nothing that comes after it is secret because of it. ``kinds``: of the deviations.
    """

    raw: bytes
    end: bytes
    length: int
    act: Act
    command: Command | None = None
    argument: str | None = None
    deviations: tuple[Deviation, ...] = ()
    marks: int = 0
    needs: int = 0
    plain: bool = False
    secrets: tuple[Span, ...] = ()
    kinds: frozenset[DeviationKind] = _NO_KINDS
    harmless: bool = False

    @property
    def name(self) -> str | None:
        """The verb, printable; None if there is none."""
        return None if self.command is None else self.command.name


KNOWN_LINES: dict[bytes, CommandLine] = {}
"""Command lines by their bytes with their end. Only ``remember_line`` adds to it: at most ``_MOST`` lines of at most
``LONGEST_KNOWN`` octets, half a megabyte. A full table starts again empty: to keep the order of use costs more."""

_MOST, LONGEST_KNOWN = 4096, 128

NO_LINE = CommandLine(b"", b"\r\n", 0, Act.NOTHING, harmless=True)
"""The line of an exchange without one: the end of mail data, a greeting."""


def remember_line(line: bytes) -> CommandLine:
    """Return the value of ``line``, which ends with CRLF, and remember it if it may be remembered."""
    length = len(line)
    value = read_line(line[:-2], b"\r\n", length)
    if length <= LONGEST_KNOWN and not value.secrets:
        if len(KNOWN_LINES) >= _MOST:
            KNOWN_LINES.clear()
        KNOWN_LINES[line] = value
    return value


def says_quit(raw: bytes) -> bool:
    """Whether the client meant QUIT by ``raw``, whatever is around the verb or missing after it."""
    return raw.strip().upper() == b"QUIT"


def read_line(raw: bytes, end: bytes, length: int) -> CommandLine:
    """Return the value of a line in the place of a command. Accepts any bytes."""
    doubled = raw[-1:] == b"\r" and end == b"\r\n"  # CR CR LF is a wrong line end, and no part of the command
    command = parse_command(raw.rstrip(b"\r") if doubled else raw)
    verb, spec, argument, deviations = command.verb, command.spec, command.argument, command.deviations
    act = ACTS.get(verb, _OTHER)
    if act in _LAST and command.last:
        act = Act.LAST
    text = raw.decode("latin-1")  # "in" takes much less time for text than for bytes
    clean = text.isascii() and text.isprintable()
    marks = 0 if clean and end == b"\r\n" else octet_marks(raw, end)
    kinds = _NO_KINDS
    if deviations:
        marks |= _DEVIATION
        deviations = _judged(command, marks, cut=length - len(end) > len(raw))
        kinds = frozenset([d.kind for d in deviations])
    needs = ALWAYS if marks or spec is None or deviations or length > MAX_LINE else 0
    if act is _MAIL or act is _RCPT:
        if length > _SHORTEST_LONG or verb not in _PLAIN_VERBS or not _USUAL_PATH.match(text):
            marks |= _envelope_marks(act, command)
        given = command.parameters
        if given:
            needs |= ALWAYS
            if not (_RARE_ON_MAIL if act is _MAIL else MAIL_PARAMETERS).isdisjoint(given):
                marks |= _parameter_marks(act, given)
        needs |= SIZES_LIMITED | STARTTLS_OFFERED if act is _MAIL else SIZES_LIMITED
    elif spec is not None:
        if spec.keyword is not None:
            needs |= ALWAYS | STARTTLS_OFFERED if act is _AUTH else ALWAYS
        marks |= _verb_marks(act, command, text)
    if marks & _BARE and end == b"\r\n" and hidden_command(raw) is not None:
        marks |= _HIDDEN
    shown = None if argument is None else text[len(raw) - len(argument) :] if clean else printable(argument)
    plain = not marks & _NOT_PLAIN and verb in _PLAIN_VERBS and (shown is None or " " not in shown)
    secrets: tuple[Span, ...] = ()
    if not plain and (argument or spec is None) and not (clean and _shown_whole(command, text)):
        secrets = hidden_parts(command)
        if secrets:
            _, shown = shown_words(command, secrets)
    harmless = plain or (not secrets and act not in _SUSPECT and not (marks & _BARE and is_divided(command.raw)))
    return CommandLine(raw, end, length, act, command, shown, deviations, marks, needs, plain, secrets, kinds, harmless)


def shown_words(command: Command, secrets: tuple[Span, ...]) -> tuple[str | None, str | None]:
    """Return verb and argument as the report shows them without ``secrets``. If a part of the verb is not shown, there
    is no verb, and the argument is the whole line."""
    start = len(command.raw) - len(command.argument or b"")
    if secrets and secrets[0][0] < start:
        return None, shown_text(command.raw, secrets)
    return command.name, None if command.argument is None else shown_text(command.raw, secrets, start)


def line_of_auth(raw: bytes, end: bytes, length: int) -> CommandLine:
    """Return the value of a line that answers a challenge (RFC 4954 §4). All of it is secret, apart from
    the ``*`` that cancels."""
    marks, kinds = octet_marks(raw, end), _NO_KINDS
    secrets: tuple[Span, ...] = ((0, len(raw)),)
    if raw == b"*":
        marks |= _ODD_RESPONSE
        secrets = ()
    elif raw and not is_base64(raw):
        marks |= _DEVIATION
        kinds = _NOT_BASE64
    return CommandLine(raw, end, length, Act.ANSWER, marks=marks, secrets=secrets, kinds=kinds)


def rest_of_response(line: CommandLine) -> CommandLine:
    """Return ``line`` as the rest of an initial response of AUTH that the client broke into two lines. All of it is
    secret, as that of any other line of an AUTH exchange."""
    KNOWN_LINES.pop(line.raw + line.end, None)
    marks = line.marks | _DEVIATION | Mark.SPLIT_RESPONSE.value
    secrets = ((0, len(line.raw)),)
    return CommandLine(line.raw, line.end, line.length, Act.ANSWER, marks=marks, secrets=secrets, kinds=_NOT_BASE64)


def command_of(raw: bytes, act: Act) -> CommandLine:
    """Return ``raw`` as the line of an event that is no command: its command is known, but it has no marks."""
    return CommandLine(raw, b"", len(raw), act, parse_command(raw) if raw else None)


def octet_marks(raw: bytes, end: bytes) -> int:
    """Return the marks for bytes that a command line must not hold, and for a wrong end."""
    marks = 0 if raw.isascii() else _EIGHT_BIT
    if b"\0" in raw:
        marks |= _NUL
    if b"\n" in raw:
        marks |= _BARE_LF | _LF_INSIDE
    elif end == b"\n":
        marks |= _BARE_LF
    if b"\r" in raw or end == b"\r":
        marks |= _BARE_CR
    return marks


def judged_part(command: Command | None, marks: int) -> Command | None:
    """Return ``command`` as far as its grammar can be judged: up to the first bare CR or LF, because another command
    may follow there. None: nothing comes before it."""
    if command is None or not marks & _BARE:
        return command
    found = _bare(command.raw)
    if found is None:
        return command
    head = command.raw[: found.start()]
    return parse_command(head) if head.strip(b" \t") else None


def hidden_command(line: bytes) -> re.Match[bytes] | None:
    """Return the match of a verb (group 1) after a bare CR or LF of ``line`` that has a command before it."""
    found = _HIDDEN_VERB.search(line)
    return found if found is not None and line[: found.start()].strip() else None


def _judged(command: Command, marks: int, *, cut: bool) -> tuple[Deviation, ...]:
    """Return the deviations of a line, without those that exist only because it was cut: at a bare CR or LF, or at the
    limit for the bytes of a line."""
    judged = judged_part(command, marks)
    if judged is None:
        return ()
    if cut:
        size = len(command.raw)
        return tuple(d for d in judged.deviations if d.at + d.length < size)
    return judged.deviations


def _envelope_marks(act: Act, command: Command) -> int:
    """Return the marks for the path of MAIL, its obsolete variants, or RCPT."""
    marks = _OBSOLETE if act is _MAIL and command.verb != b"MAIL" else 0
    raw = command.raw
    if b"<@" in raw:
        marks |= _SOURCE_ROUTE
    if len(raw) > _SHORTEST_LONG and raw.rfind(b">") - raw.find(b"<") > _SHORTEST_LONG:
        marks |= _LONG_PATH
    if act is _RCPT and (b"%" in raw or b"!" in raw or raw.count(b"@") > 1):
        marks |= _ROUTED
    return marks | _mailbox_marks(act, command)


def _mailbox_marks(act: Act, command: Command) -> int:
    """Return the marks for the mailbox in the path of MAIL or RCPT."""
    local, domain = command.mailbox
    marks = _UNQUALIFIED if domain is not None and not is_qualified(domain) and _is_plain(domain) else 0
    if local is not None and act is _RCPT and local.strip(b'"').lower() == b"postmaster":
        marks |= _POSTMASTER
    return marks


def _parameter_marks(act: Act, given: dict[str, bytes | None]) -> int:
    """Return the marks for parameters of MAIL or RCPT that are on the wrong command, or have a bounded value."""
    if act is _RCPT:
        return 0 if MAIL_PARAMETERS.isdisjoint(given) else _MISPLACED
    marks = 0 if RCPT_PARAMETERS.isdisjoint(given) else _MISPLACED
    return marks if BOUNDED_PARAMETERS.isdisjoint(given) else marks | _BOUNDED


def _verb_marks(act: Act, command: Command, text: str) -> int:
    """Return the marks for the argument of another registered verb. ``text``: the line."""
    long = _LONG_PATH if len(command.raw) > _SHORTEST_LONG else 0
    if act in HELLOS:
        if _USUAL_HELLO.match(text):
            return long
        name = command.hello_name
        return long if name is None or is_qualified(name) or not _is_plain(name) else long | _UNQUALIFIED
    if command.verb in _ASKING:
        return _ASKS_MAILBOX | (long if command.verb == b"VRFY" else 0)
    if act in CHUNKS:
        return _HUGE if (command.chunk_size or 0) >= _HUGE_CHUNK else 0
    if act is _AUTH:
        return _ODD_RESPONSE if command.mechanism in _SERVER_FIRST and command.initial not in _EMPTY else 0
    return 0


def _is_plain(name: bytes) -> bool:
    """Whether ``name`` is ASCII without control characters; other rules are about the rest."""
    return name.isascii() and name.decode("ascii").isprintable()


def _shown_whole(command: Command, text: str) -> bool:
    """Whether the line is MAIL or RCPT of the usual form, of which all is shown."""
    return command.spec is not None and not command.deviations and _USUAL_ENVELOPE.match(text) is not None
