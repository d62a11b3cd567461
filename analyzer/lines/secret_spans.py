"""Which parts of a client's line the report does not show, whatever came before the line."""

# Theory
# ------
# A password can stand anywhere in a line: after AUTH, after a verb of another protocol, in a URL, in a parameter, or
# as a line of its own. No list of words finds them all. So a line is shown as far as the grammar of its verb matches,
# and nothing else of it is. Near AUTH, only registered verbs and mechanisms are shown.
#
#   EHLO HELO LHLO      one name or address literal
#   MAIL RCPT ...       the path without user information of a URL; registered parameters with their values (AUTH= only
#                       if it is a mailbox); the keywords of others, without values
#   VRFY EXPN           names and mailboxes
#   HELP NOOP           names of commands and topics
#   XCLIENT XFORWARD    registered attributes with their values, apart from LOGIN
#   DATA QUIT ...       words
#   AUTH                a registered mechanism
#   an unknown verb     the verb if it is a word, and words of SMTP, mailboxes and hosts; none of these in a line with a
#                       word like PASS
#
# A bare CR or LF ends a line for some servers, so the parts between them are read as lines of their own.
#
# `announces_secret` says whether a line is about a login: then the lines after it may be answers, and what is hidden of
# it is searched for in what the server says (`exchanges/secret_context.py`).

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from ...dissectors.lazy_regex import LazyPattern
from ...dissectors.lines.commands import parse_command
from ...dissectors.printable import printable
from ...dissectors.tables.keywords import PARAMETER_KEYWORDS
from ...dissectors.tables.verbs import VERBS, Argument
from .announced_secrets import announced_secrets, ends_in_credential, is_credential
from .reply_words import REPLY_WORDS
from .secret_nouns import ANNOUNCES, MECHANISM
from .shown_text import Span, hidden, joined

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...dissectors.lines.commands import Command

__all__ = [
    "LinePart",
    "announces_secret",
    "divided",
    "hidden_parts",
    "is_divided",
    "path_without_secrets",
    "shown_parameters",
]

_MECHANISM = LazyPattern(MECHANISM + rb"(?![^ \t])")

_WORD = rb"(?:[A-Za-z][a-z]{0,19}|[A-Z]{1,20})(?:-(?:[A-Za-z][a-z]{0,19}|[A-Z]{1,20})){0,3}"
_HOST = rb"(?:[A-Za-z0-9_-]{1,24}\.){1,8}[A-Za-z]{2,24}\.?(?::[0-9]{1,5})?"
_MAILBOX = rb"<?[A-Za-z0-9._+=-]{1,64}@" + _HOST + rb">?[,;]?"
_END = rb"(?![^ \t])"
_TOKEN = LazyPattern(rb"[^ \t]++")
_PIECE = LazyPattern(rb"[^\r\n]++")
_FULL_WORD = LazyPattern(_WORD)

# What each form of argument may show, at its start or anywhere.
_HELLO = LazyPattern(rb"(?:\[[\[\]A-Za-z0-9.:_-]*+|[A-Za-z0-9._\x80-\xff-]++\]?)")
_NAMES = LazyPattern(rb"(?<![^ \t])(?:" + _MAILBOX + rb"|<?[A-Za-z][A-Za-z0-9._'-]{0,63}+>?)" + _END)
_PLAIN_WORD = LazyPattern(rb"<?[A-Za-z][A-Za-z0-9._-]*+>?")
_NODE = LazyPattern(
    rb"(?<![^ \t])[@#]?[A-Za-z][A-Za-z0-9.-]*+(?![^ \t,:@])(?:,[ \t]*+[A-Za-z][A-Za-z0-9.-]*+(?![^ \t,]))*+"
)
_NUMBER = LazyPattern(rb"[ \t]*+-?[0-9]{1,40}+" + _END)
_PATH = LazyPattern(rb"[ \t]*+(?:FROM|TO)?+[ \t]*+:?+[ \t]*+(?:<[^>]*+>++(?:[,;]<[^>]*+>++)*+|[^ \t]*+)", re.IGNORECASE)
_PATH_WORD = LazyPattern(rb"[ \t]*+(?:FROM|TO)(?![A-Za-z0-9])[ \t]*+:?+[ \t]*+", re.IGNORECASE)
_PARAMETER = LazyPattern(rb"([A-Za-z0-9][A-Za-z0-9-]{0,31})(?:=(.*+))?+", re.DOTALL)
_ATTRIBUTE = LazyPattern(
    rb"(?:NAME|ADDR|PORT|PROTO|HELO|DESTADDR|DESTPORT|IDENT|SOURCE)=[A-Za-z0-9.:_\[\]-]*+" + _END, re.IGNORECASE
)
_URL = LazyPattern(rb"[ \t]*+[A-Za-z]{1,10}://(?:[^ \t/@:;]*+@)?+[A-Za-z0-9.-]++(?::[0-9]{1,5})?")
_LAST = LazyPattern(rb"[ \t]LAST[ \t]*\Z", re.IGNORECASE)
_MAILBOX_VALUE = LazyPattern(rb"<>|[A-Za-z0-9._+=-]{1,64}@[A-Za-z0-9.-]{1,255}")
_PLAIN_VALUE = LazyPattern(rb"[A-Za-z0-9,;:.+-]{0,64}")
_TEXT_VALUE = LazyPattern(rb"[!-<>-~\x80-\xff]*+")
_XTEXT = frozenset({"ENVID", "ORCPT", "SUBMITTER", "TRANSID", "RRVS", "SOLICIT"})
_WHOLE_WORD = LazyPattern(_WORD + rb"[.,;!?]?" + _END)
_SHOWN_TOKEN = LazyPattern(rb"(?:(?:FROM|TO):)?+(?:" + _MAILBOX + rb"|<>|" + _HOST + rb")" + _END, re.IGNORECASE)

# The first word of a line that is not an SMTP command.
_HEAD = LazyPattern(
    rb"[ \t]*+(?:" + _WORD + rb"|XEXCH50|HTTP/[0-9.]{1,3}|\.|[0-9]{3}|[A-Z\x80-\xff]{1,12}|[^!-~]{1,12})"
    rb"(?:(?=[ \t]|\Z)|:|=(?=[^=]))"
)
_VERB_AND_NUL = LazyPattern(rb"[A-Z\x00]{1,16}", re.IGNORECASE)
_HTTP = LazyPattern(
    rb"(?:GET|POST|HEAD|PUT|OPTIONS|DELETE|TRACE|PATCH|PRI|CONNECT)[ \t]++"
    rb"(?:[A-Za-z0-9./_~%*-]*+(?::[0-9]{1,5})?)(?![^ \t?#])(?:[ \t]++HTTP/[0-9.]{1,3})?+"
)
_HTTP_VERSION = LazyPattern(rb"[ \t]HTTP/[0-9.]{1,3}[ \t]*\Z")
_TAGGED = LazyPattern(
    rb"[A-Za-z]{0,4}-?[0-9]{1,16}[ \t]++(?:LOGIN|AUTHENTICATE|CAPABILITY|LOGOUT|NOOP|SELECT|STARTTLS|ID)" + _END,
    re.IGNORECASE,
)
_PROXY = LazyPattern(rb"PROXY (?:TCP[46]|UNKNOWN)(?: [0-9A-Fa-f.:]{1,45}){0,2}(?: [0-9]{1,5}){0,2}" + _END)


def _is_word(text: bytes) -> bool:
    """Whether ``text`` looks like a word of a language or a protocol: letters of one case, or a capital first."""
    return _FULL_WORD.fullmatch(text) is not None


def hidden_parts(command: Command) -> tuple[Span, ...]:
    """Return the parts of the line of ``command`` that are not shown, in order. Accepts any line; takes linear time."""
    raw = command.raw
    if not is_divided(raw):
        return _complement(raw, _shown_parts(command))
    return joined(*[part.hidden for part in divided(raw)])


class LinePart(NamedTuple):
    """A line that some servers read inside a line of the client. ``at``: where it begins there. ``hidden``: what of it
    is not shown."""

    command: Command
    at: int
    hidden: tuple[Span, ...]


def divided(line: bytes) -> list[LinePart]:
    """Return the lines between the bare CRs and LFs of ``line``. Their spans count from the start of ``line``."""
    parts: list[LinePart] = []
    announced = False
    for piece in _PIECE.finditer(line):
        command, at = parse_command(piece[0]), piece.start()
        shown = [] if announced and command.spec is None else _shown_parts(command)
        announced = announced or announces_secret(command)
        spans = tuple([(start + at, end + at) for start, end in _complement(piece[0], shown)])
        parts.append(LinePart(command, at, spans))
    return parts


def is_divided(line: bytes) -> bool:
    """Whether some servers read several lines in ``line``: a bare CR or LF is inside it."""
    return b"\n" in line or b"\r" in line


def announces_secret(command: Command) -> bool:
    """Whether the line is about a login, so that a secret may stand in it or in the lines after it."""
    spec = command.spec
    if spec is None:
        return ANNOUNCES.search(command.raw) is not None
    if spec.argument is Argument.MECHANISM or command.verb == b"BURL":
        return True
    argument = command.argument
    return argument is not None and ANNOUNCES.search(argument) is not None and hidden_parts(command) != ()


def shown_parameters(command: Command) -> dict[str, str | None]:
    """Return the parameters of MAIL or RCPT as the report shows them: keywords with their values, printable."""
    found: dict[str, str | None] = {}
    for name, value in command.parameters.items():
        raw = name.encode("latin-1", "replace")
        known = name in PARAMETER_KEYWORDS
        key = name if known or _is_word(raw) else hidden(len(raw))
        if value is None:
            found[key] = None
        else:
            found[key] = printable(value) if _shows_value(name, value) else hidden(len(value))
    return found


def path_without_secrets(path: bytes) -> tuple[Span, ...]:
    """Return the parts of a path, or of a mailbox, that are not shown: a password after the user, as in a URL, what
    follows a word for a secret, and a message of PLAIN."""
    spans = list(announced_secrets(path))
    blank = path.find(b" ")
    announced = ANNOUNCES.search(path) if blank >= 0 and path[:1] == b"<" else None
    if announced is not None:
        spans.append((announced.start(), len(path) - path.endswith(b">")))
    if is_credential(path.strip(b"<> \t")):
        spans.append((1, len(path) - 1))
    at = path.rfind(b"@")
    colon = path.find(b":", path.find(b"//") + 2 if b"//" in path else 0)
    routed = path[:1] == b"@" or path[:2] == b"<@"  # a source route: the colon ends it
    if at > 0 and 0 <= colon < at - 1 and b'"' not in path and not routed:
        spans.append((colon + 1, at))
    return joined(tuple(spans))


def _is_path(text: bytes, *, named: bool) -> bool:
    """Whether ``text`` looks like a path: it has brackets or an at sign, or is one plain word after FROM or TO, which
    ``named`` says. A line that was cut may end inside these."""
    bare = text.strip(b" \t")
    if b"FROM".startswith(bare.upper()) or bare.upper() == b"T":
        return True
    if b"@" in bare or (bare[:1] == b"<" and bare[-1:] == b">"):
        return True
    return named and _PLAIN_WORD.fullmatch(bare) is not None and ANNOUNCES.search(bare) is None


def _complement(raw: bytes, shown: list[Span]) -> tuple[Span, ...]:
    """Return the parts of ``raw`` between those that are shown, without the blanks around them."""
    spans: list[Span] = []
    at = 0
    for start, end in [*shown, (len(raw), len(raw))]:
        text = raw[at:start]
        inner = text.strip(b" \t")
        if inner:
            first = at + len(text) - len(text.lstrip(b" \t"))
            spans.append((first, first + len(inner)))
        at = max(at, end)
    return tuple(spans)


def _shown_parts(command: Command) -> list[Span]:
    """Return the parts that are shown, in order."""
    raw, spec, argument = command.raw, command.spec, command.argument
    if spec is None:
        return _of_unknown(raw)
    if not argument:
        return [(0, len(raw))]
    start = len(raw) - len(argument)
    verb: Span = (0, start)
    form = spec.argument
    if form in _PATHS:
        return [verb, *_of_path(raw, start)]
    if form is Argument.MECHANISM:
        return [verb, *_of_auth(raw, start)]
    if spec.name in _BY_NAME:
        return [verb, *_BY_NAME[spec.name](raw, start)]
    if form in _WORDS:
        return [verb, *_of_words(raw, start)]
    matched = _BY_FORM.get(form)
    found = None if matched is None else matched(raw, start)
    if (
        found is None
        or (form is not Argument.HELLO and ANNOUNCES.search(raw, start))
        or is_credential(found[0].strip())
        or (form is Argument.HELLO and ends_in_credential(raw[start:]))  # a line end is missing between them
    ):
        return [verb]
    return [verb, found.span()]


def _of_path(raw: bytes, start: int) -> list[Span]:
    """Return what is shown of the argument of MAIL or RCPT."""
    found = _PATH.match(raw, start)
    assert found is not None  # it matches nothing too
    first, end = found.span()
    shown: list[Span] = []
    word = _PATH_WORD.match(raw, start)
    begin = start if word is None else word.end()
    odd = not _is_path(raw[begin:end], named=begin > start)  # a word is hidden, and the next ones may belong to it
    for one, last in ((0, end - begin),) if odd else path_without_secrets(raw[begin:end]):
        shown.append((first, begin + one))
        first = begin + last
    shown.append((first, end))
    for token in _TOKEN.finditer(raw, end):
        text = token[0]
        parameter = _PARAMETER.fullmatch(text)
        if parameter is None:
            odd = True
            if _SHOWN_TOKEN.match(text):
                shown.append(token.span())
            continue
        name, value = parameter[1].decode("latin-1").upper(), parameter[2]
        if value is None:
            if (name in PARAMETER_KEYWORDS and name != "AUTH") or (
                not odd and _is_word(text) and not ANNOUNCES.search(text)
            ):
                shown.append(token.span())
            else:
                odd = True
        elif _shows_value(name, value):
            shown.append(token.span())
            odd = odd or name == "AUTH"
        else:
            odd = True
            if name in PARAMETER_KEYWORDS or _is_word(parameter[1]):
                shown.append((token.start(), token.start() + len(name) + 1))
            if name == "AUTH" or ANNOUNCES.search(parameter[1]):
                break  # what follows may belong to it
    return shown


def _shows_value(name: str, value: bytes) -> bool:
    """Whether the value of a parameter is shown."""
    if name == "AUTH":
        return _MAILBOX_VALUE.fullmatch(value) is not None
    if name in _XTEXT:
        return _TEXT_VALUE.fullmatch(value) is not None and not announced_secrets(value)
    if name not in PARAMETER_KEYWORDS or name == "MTRK" or ANNOUNCES.search(value):
        return False
    return _PLAIN_VALUE.fullmatch(value) is not None


def _of_auth(raw: bytes, start: int) -> list[Span]:
    """Return what is shown of the argument of AUTH: a mechanism, and "=" for an empty response or "*"."""
    found = _MECHANISM.match(raw, start)
    end = start if found is None else found.end()
    rest = raw[end:].strip(b" \t")
    if rest in {b"=", b"*"}:
        return [(start, len(raw))]
    return [(start, end)] if found is not None else []


def _of_names(raw: bytes, start: int) -> list[Span]:
    """Return the names and mailboxes of VRFY or EXPN."""
    return [] if ANNOUNCES.search(raw, start) else _leading(raw, start, _NAMES.match)


def _of_words(raw: bytes, start: int) -> list[Span]:
    """Return the words of free text, unless one of them announces a secret; of BDAT also its number."""
    number = _NUMBER.match(raw, start) if raw[:4].upper() == b"BDAT" else None
    shown = [] if number is None else [number.span()]
    if ANNOUNCES.search(raw, start) and not all(word.lower() in REPLY_WORDS for word in raw[start:].split()):
        return shown
    return [*shown, *_leading(raw, start if number is None else number.end(), _WHOLE_WORD.match)]


def _of_attributes(raw: bytes, start: int) -> list[Span]:
    """Return the registered attributes of XCLIENT or XFORWARD."""
    shown: list[Span] = []
    for token in _TOKEN.finditer(raw, start):
        if _ATTRIBUTE.match(token[0]) and not ANNOUNCES.search(token[0].partition(b"=")[2]):
            shown.append(token.span())
        else:
            name, equals, _ = token[0].partition(b"=")
            if equals and _is_word(name):
                shown.append((token.start(), token.start() + len(name) + 1))
    return shown


def _of_url(raw: bytes, start: int) -> list[Span]:
    """Return the scheme and the host of the URL of BURL, and LAST."""
    found, last = _URL.match(raw, start), _LAST.search(raw, max(start, len(raw) - 20))
    return [one.span() for one in (found, last) if one is not None]


def _leading(raw: bytes, start: int, is_shown: Callable[[bytes], object]) -> list[Span]:
    """Return the words from ``start`` on that are shown, up to the first one that is not: the rest may belong to it."""
    shown: list[Span] = []
    for token in _TOKEN.finditer(raw, start):
        if not is_shown(token[0]):
            break
        shown.append(token.span())
    return shown


def _is_shown(token: bytes) -> bool:
    """Whether a word after an unknown verb is shown: one of SMTP, or a mailbox or host."""
    return token.rstrip(b".,;!?").lower() in REPLY_WORDS or _SHOWN_TOKEN.match(token) is not None


def _of_unknown(raw: bytes) -> list[Span]:
    """Return what is shown of a line without a known verb."""
    for pattern in (_TAGGED, _PROXY):
        found = pattern.match(raw)
        if found is not None:
            return [found.span()]
    found = _HTTP.match(raw)
    if found is not None:
        announced = ANNOUNCES.search(raw, found.start(), found.end())
        if announced is not None:
            return [(0, announced.end())]
        version = _HTTP_VERSION.search(raw, max(found.end(), len(raw) - 16))
        return [found.span()] if version is None else [found.span(), version.span()]
    head = _HEAD.match(raw)
    if head is None:
        whole = _VERB_AND_NUL.fullmatch(raw)
        return [whole.span()] if whole is not None and raw.replace(b"\0", b"").upper() in VERBS else []
    shown = [head.span()]
    if ANNOUNCES.search(raw):
        following = _MECHANISM.match(raw, head.end() + 1) if raw[head.end() : head.end() + 1] in {b" ", b"\t"} else None
        return shown if following is None else [*shown, following.span()]
    named = raw[head.end() - 1 : head.end()] in {b":", b"="}
    return [*shown, *_leading(raw, head.end(), _SHOWN_TOKEN.match if named else _is_shown)]


_PATHS = frozenset({Argument.REVERSE_PATH, Argument.FORWARD_PATH})
_BY_NAME = {
    "VRFY": _of_names,
    "EXPN": _of_names,
    "XCLIENT": _of_attributes,
    "XFORWARD": _of_attributes,
    "BURL": _of_url,
}
_BY_FORM: dict[Argument, Callable[..., re.Match[bytes] | None]] = {
    Argument.HELLO: _HELLO.match,
    Argument.STRING: _NODE.match,
    Argument.OPTIONAL: _NODE.match,
}
_WORDS = frozenset({Argument.NONE, Argument.TEXT, Argument.CHUNK})
