"""What a word of SMTP means: a reply code, an enhanced status code, a command, an EHLO keyword, a parameter."""

# Every fact comes from the tables of the dissectors and from the state table, which the rules use too.

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from ...dissectors.tables.codes import (
    ALWAYS_ALLOWED,
    CLIENT_ACTIONS,
    COMMAND_CODES,
    CONTENT,
    GREETING,
    KNOWN_CODES,
    LAST_CHUNK,
    SEVERITIES,
    SUBJECTS,
    UNAUTHENTICATED_EXEMPT,
    UNKNOWN_COMMAND,
)
from ...dissectors.tables.enhanced_codes import DETAILS, STATUS_CLASSES, STATUS_SUBJECTS, SUBJECT_SECTIONS
from ...dissectors.tables.keywords import (
    KEYWORD_MEANINGS,
    KEYWORDS,
    LINE_INCREMENTS,
    PARAMETER_KEYWORDS,
    PARAMETER_MEANINGS,
    command_of,
    keyword_for,
)
from ...dissectors.tables.sections import COMMAND_SECTIONS, PARAMETER_SECTIONS
from ...dissectors.tables.verbs import VERBS
from ..exchanges.state_table import ACTS, TABLE, Act, Phase

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ...dissectors.tables.verbs import Verb

__all__ = ["Explanation", "Fact", "Item", "TableRow", "code_rows", "explained", "known_words", "verb_rows"]

_CODE = re.compile(r"[0-9]{3}")
_STATUS = re.compile(r"([0-9X])\.([0-9]{1,3})(?:\.([0-9]{1,3}))?")
_USUAL = "RFC 5321 §4.3.2"
_EVENTS = {
    GREETING: "a new connection",
    CONTENT: "the end of the message",
    LAST_CHUNK: "the last chunk",
    UNKNOWN_COMMAND: "an unknown command",
}
# The states in which a client may send a command, in the order in which a session passes them.
_PHASES = {
    Phase.GREETED: "after the greeting",
    Phase.READY: "after an accepted hello",
    Phase.MAIL: "after an accepted MAIL",
    Phase.RCPT: "after an accepted RCPT",
    Phase.CHUNKS: "between chunks",
    Phase.BROKEN: "after a refused chunk",
}


class Item(Struct, frozen=True):
    """One line of a list: a word, and what it means."""

    word: str
    meaning: str


class Fact(Struct, frozen=True):
    """One fact, with the section that says so, and a list if it has one."""

    name: str
    text: str = ""
    reference: str = ""
    items: tuple[Item, ...] = ()


class Explanation(Struct, frozen=True):
    """All about one word in one of its meanings."""

    word: str
    kind: str
    meaning: str
    reference: str
    facts: tuple[Fact, ...]


class TableRow(Struct, frozen=True):
    """One line of the table of codes or of commands. ``retired``: the section that discourages the command."""

    word: str
    meaning: str
    reference: str
    since: str
    retired: str = ""


def explained(word: str) -> list[Explanation]:
    """Return what ``word`` means, once for each kind of word that it is; nothing if it is unknown."""
    wanted = word.upper()
    if _CODE.fullmatch(wanted):
        return [_code(int(wanted))]
    status = _STATUS.fullmatch(wanted)
    if status:
        return [_status(*status.groups())]
    found = []
    verb = VERBS.get(wanted.encode("ascii", "replace"))
    if verb is not None:
        found.append(_verb(verb))
    if wanted in KEYWORDS:
        found.append(_keyword(wanted))
    if wanted in PARAMETER_KEYWORDS:
        found.append(_parameter(wanted))
    return found


def known_words() -> list[str]:
    """Return all words that are in the tables, each once."""
    return list(
        dict.fromkeys(
            [
                *map(str, KNOWN_CODES),
                *(f"X.{subject}.{detail}" for subject, detail in DETAILS),
                *(verb.name for verb in VERBS.values()),
                *KEYWORDS,
                *PARAMETER_KEYWORDS,
            ]
        )
    )


def code_rows() -> list[TableRow]:
    """Return all reply codes, those of RFC 821 first."""
    rows = [TableRow(str(code), c.meaning, c.reference, c.since) for code, c in sorted(KNOWN_CODES.items())]
    return sorted(rows, key=_age)


def verb_rows() -> list[TableRow]:
    """Return all commands, those of RFC 821 first."""
    rows = [TableRow(v.name, v.meaning, v.reference, v.since, v.retired) for v in VERBS.values()]
    return sorted(rows, key=_age)


def _age(row: TableRow) -> tuple[bool, bool]:
    return row.since != "RFC 821", bool(row.retired)


# -- reply codes -------------------------------------------------------------------------------------------------------


def _code(code: int) -> Explanation:
    first, second, third = code // 100, code // 10 % 10, code % 10
    known = KNOWN_CODES.get(code)
    valid = first in SEVERITIES and second <= max(SUBJECTS)
    meaning = (
        known.meaning
        if known is not None
        else "not defined by any specification; only its digits say something"
        if valid
        else "not a reply code of SMTP"
    )
    digits = "RFC 5321 §4.2.1"
    facts = [
        Fact(f"first digit {first}", SEVERITIES.get(first, "not defined: SMTP has 2, 3, 4 and 5"), digits),
        Fact(f"second digit {second}", SUBJECTS.get(second, "not defined"), digits),
        Fact(f"third digit {third}", "tells codes of the same kind apart", digits),
    ]
    if first in CLIENT_ACTIONS:
        facts.append(Fact("then", CLIENT_ACTIONS[first], digits))
    if known is not None:
        facts.append(Fact("since", known.since))
        facts += _answers(code)
    items = tuple(
        Item(f"{first}.{subject}.{detail}", d.meaning) for (subject, detail), d in DETAILS.items() if code in d.codes
    )
    if items:
        facts.append(Fact("enhanced codes", "that the registry names for it", "RFC 5248 §2.4", items))
    return Explanation(str(code).zfill(3), "reply code", meaning, known.reference if known else "", tuple(facts))


def _answers(code: int) -> Iterator[Fact]:
    """Yield what a server may answer with ``code``, and what RFC 821 lists, if that is something else."""
    now = [_spoken(row) for row, codes in COMMAND_CODES.items() if code in codes.rfc5321]
    old = [_spoken(row) for row, codes in COMMAND_CODES.items() if codes.rfc821 and code in codes.rfc821]
    if code in ALWAYS_ALLOWED:
        now = ["any command"]
    elif code == 503:
        now = ["any command that is out of order"]
    elif code == 530:
        exempt = ", ".join(sorted(UNAUTHENTICATED_EXEMPT))
        now = [f"any command except {exempt}, if AUTH or STARTTLS is offered"]
    if now:
        yield Fact("answers", ", ".join(now), _USUAL if code in _LISTED else KNOWN_CODES[code].reference)
    if old and (old != now):
        yield Fact("in RFC 821", ", ".join(old), "RFC 821 §4.3")


# Codes that RFC 5321 itself lists.
_LISTED = frozenset(code for code, known in KNOWN_CODES.items() if known.reference == KNOWN_CODES[250].reference)


def _spoken(row: str) -> str:
    return _EVENTS.get(row, row)


# -- enhanced status codes ---------------------------------------------------------------------------------------------


def _status(first: str, second: str, third: str | None) -> Explanation:
    subject, detail = int(second), None if third is None else int(third)
    word = f"{first}.{subject}" + ("" if detail is None else f".{detail}")
    subject_known = STATUS_SUBJECTS.get(subject)
    known = None if detail is None else DETAILS.get((subject, detail))
    facts = [
        _class(first),
        Fact(f"subject {subject}", subject_known or "not defined", SUBJECT_SECTIONS.get(subject, "RFC 3463 §2")),
    ]
    if detail is not None:
        text = known.meaning if known else "not registered: only class and subject say something"
        facts.append(Fact(f"detail {detail}", text, known.reference if known else "RFC 5248 §2"))
    codes = [] if known is None else [c for c in known.codes if first in {"X", str(c // 100)}]
    if codes:
        facts.append(Fact("reply codes", "that the registry names for it", "RFC 5248 §2.4", _meanings(codes)))
    if detail is None:
        items = tuple(Item(f"{first}.{s}.{d}", row.meaning) for (s, d), row in DETAILS.items() if s == subject)
        facts.append(Fact("details", items=items))
    meaning = known.meaning if known else subject_known or "subject not defined"
    reference = known.reference if known else SUBJECT_SECTIONS.get(subject, "RFC 3463 §2")
    return Explanation(word, "enhanced status code", meaning, reference, tuple(facts))


def _class(first: str) -> Fact:
    if first == "X":
        every = "; ".join(f"{number} {meaning}" for number, meaning in STATUS_CLASSES.items())
        return Fact("class X", f"any of {every}", "RFC 3463 §2")
    if int(first) not in STATUS_CLASSES:
        return Fact(f"class {first}", "not defined: RFC 3463 has 2, 4 and 5", "RFC 3463 §2")
    text = f"{STATUS_CLASSES[int(first)]}; it stands in replies whose code begins with {first}"
    return Fact(f"class {first}", text, "RFC 3463 §2; RFC 2034 §4")


def _meanings(codes: Iterable[int]) -> tuple[Item, ...]:
    return tuple(Item(str(c), KNOWN_CODES[c].meaning if c in KNOWN_CODES else "not in use") for c in codes)


# -- commands ----------------------------------------------------------------------------------------------------------


def _verb(verb: Verb) -> Explanation:
    facts = [Fact("syntax", f"{verb.name} {verb.syntax}".rstrip(), verb.reference), Fact("since", verb.since)]
    if verb.retired:
        facts.append(Fact("discouraged", "use it no more", verb.retired))
    if verb.keyword:
        section = COMMAND_SECTIONS.get(verb.name, "")
        facts.append(Fact("needs", f"{verb.keyword} in the reply to EHLO", section))
    facts += _order(ACTS.get(verb.name.encode(), Act.OTHER))
    added = [p for p in PARAMETER_KEYWORDS if verb.name == command_of(p)]
    if added:
        items = tuple(Item(p, f"{PARAMETER_MEANINGS[p]} ({PARAMETER_KEYWORDS[p]})") for p in added)
        facts.append(Fact("parameters", "of extensions, in brackets", "", items))
    facts += _replies(verb)
    return Explanation(verb.name, "command", verb.meaning, verb.reference, tuple(facts))


def _order(act: Act) -> Iterator[Fact]:
    """Yield when a command is in order, and the rules that it breaks elsewhere."""
    broken = {phase: TABLE[phase][act].breaks for phase in _PHASES}
    allowed = [where for phase, where in _PHASES.items() if broken[phase] is None]
    text = "at any time after the greeting" if len(allowed) == len(_PHASES) else ", ".join(allowed)
    yield Fact("in order", text, "RFC 5321 §4.1.4")
    by_rule: dict[str, list[str]] = {}
    for phase, where in _PHASES.items():
        rule = broken[phase]
        if rule is not None:
            by_rule.setdefault(rule, []).append(where)
    if act is Act.AUTH:
        by_rule["SEQ112"] = ["after a login"]
    if act is Act.STARTTLS:
        by_rule["SEQ116"] = ["inside TLS"]
    if by_rule:
        items = tuple(Item(rule, ", ".join(places)) for rule, places in sorted(by_rule.items()))
        yield Fact("out of order", "breaks these rules", "", items)


def _replies(verb: Verb) -> Iterator[Fact]:
    row = COMMAND_CODES.get(verb.name)
    if row is None:
        yield Fact("replies", "no RFC lists any")
        return
    own = verb.reference.partition(" §")[0]
    yield Fact(
        "replies",
        "usual ones; 421, 500 and 501 may answer every command, 503 one that is out of order",
        _USUAL if own in {"RFC 5321", "RFC 821"} else f"{own}; {_USUAL}",
        _meanings(sorted(row.rfc5321)),
    )
    if row.rfc821 is not None:
        yield Fact("in RFC 821", " ".join(map(str, sorted(row.rfc821))), "RFC 821 §4.3")
    event = {"DATA": CONTENT, "BDAT": LAST_CHUNK}.get(verb.name)
    if event is not None:
        codes = _meanings(sorted(COMMAND_CODES[event].rfc5321))
        yield Fact("replies later", f"to {_spoken(event)}", _USUAL, codes)


# -- EHLO keywords and parameters --------------------------------------------------------------------------------------


def _keyword(keyword: str) -> Explanation:
    facts = []
    verbs = tuple(Item(v.name, v.meaning) for v in VERBS.values() if v.keyword == keyword)
    if verbs:
        facts.append(Fact("commands", "that a client may send then", "", verbs))
    added = [p for p in PARAMETER_KEYWORDS if keyword in {PARAMETER_KEYWORDS[p], _binary(p)}]
    if added:
        items = tuple(Item(p, f"{PARAMETER_MEANINGS[p]} (of {command_of(p)})") for p in added)
        facts.append(Fact("parameters", "that a client may send then", "", items))
    longer = [f"{name} by {of[keyword]:,} octets" for name, of in LINE_INCREMENTS.items() if keyword in of]
    if longer:
        facts.append(Fact("longer lines", ", ".join(longer), "RFC 5321 §4.5.3.1"))
    meaning = f"the server {KEYWORD_MEANINGS[keyword]}"
    return Explanation(keyword, "EHLO keyword", meaning, KEYWORDS[keyword], tuple(facts))


def _binary(parameter: str) -> str | None:
    """Return the keyword that the parameter needs for the value BINARYMIME."""
    return keyword_for(parameter, b"BINARYMIME")


def _parameter(parameter: str) -> Explanation:
    needed = list(dict.fromkeys([PARAMETER_KEYWORDS[parameter], _binary(parameter)]))
    facts = (
        Fact("command", command_of(parameter)),
        Fact("needs", f"{' or '.join(map(str, needed))} in the reply to EHLO"),
    )
    reference = PARAMETER_SECTIONS.get(parameter, KEYWORDS[PARAMETER_KEYWORDS[parameter]])
    return Explanation(parameter, "parameter", PARAMETER_MEANINGS[parameter], reference, facts)
