"""The text of connections that went one way, with blanks for what is each connection's own."""

# Theory
# ------
# Twenty thousand connections of one way differ in some sixty numbers and a few words. To make the objects of the model
# for each, to redact and to encode them takes three times as long as to fill sixty blanks in one text.
#
# Nothing here knows what the text looks like. The report is made once by `report_template.write`, from steps that have
# marks for words and numbers, and goes the way of all reports: through redaction and whatever encodes it. Where a mark
# shows in the text is a blank. Marks are random, so that nothing in a capture can pass for one; and a template is used
# only if it gives, for the connection that it was made for, what the long way gives.
#
# An offset inside a step is that of the step and some bytes more, so numbers are marked with room for that, and what
# was added tells where in the step it is.

from __future__ import annotations

import os
import re
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from msgspec.json import encode as to_json

from ...dissectors.printable import printable
from ..connections.endpoints import ends
from ..model import Endpoint
from .report_template import write

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..content.end_of_data import Content
    from ..model import Connection
    from .hit import Guide, Repeat
    from .report_template import Step
    from .small_message import Letter

__all__ = ["Template", "filled", "template"]

_ROOM = 20  # bits for what may be added to a marked number
_BASE = 1 << 60 | int.from_bytes(os.urandom(2), "big") << 43
_TOKEN = os.urandom(6).hex()
_MARKS = re.compile(
    r"(?<![0-9])(?P<number>[0-9]{19})(?![0-9])"
    rf'|"q(?P<maybe>[0-9]+)\.{_TOKEN}"'
    rf"|(?P<whole> ?FROM:<)?w(?P<word>[0-9]+)@{_TOKEN}\.test(?(whole)>)"
)

# Kinds of blanks. The first stand in one list as they are; what follows is worked out for each connection.
_OWN, _FRAME, _OFFSET, _TIME = range(4)
_INSIDE, _LINE, _ARGUMENT, _TEXT, _MAILBOX = range(4, 9)
_CONTENT = _SIZE, _LINES, _HASH, _SUBJECT, _MESSAGE_ID = range(9, 14)
_ARGUMENT_IN, _TEXT_IN = 14, 15  # the same in a segment of several lines
_IN_GROUP = frozenset({_LINE, _MAILBOX, _ARGUMENT_IN, _TEXT_IN})
_NUMBER_OWN, _CLIENT, _CLIENT_PORT, _SERVER, _SERVER_PORT, _SENT, _HEARD = range(7)
_FACTS = 7

_INSTANT = f"{{{_TOKEN}}}".encode()  # a time, until it is known how it is written
_SECOND = f"[{_TOKEN}]".encode()  # its second, where that is the same for all
_SECOND_NS = 1_000_000_000
_FORMATS = {
    _TIME: _INSTANT.decode(),
    **dict.fromkeys((_ARGUMENT, _ARGUMENT_IN, _TEXT, _TEXT_IN, _MAILBOX, _HASH, _SUBJECT, _MESSAGE_ID), "%b"),
}


class _Blank(NamedTuple):
    """``step`` and ``line``, or bytes behind its beginning, that it is about; of `_OWN`, which."""

    kind: int
    step: int
    line: int = 0


class _Marks:
    """Gives out marks, and knows what each is for."""

    def __init__(self) -> None:
        self.blanks: list[_Blank] = []

    def _next(self, *blank: int) -> int:
        self.blanks.append(_Blank(*blank))
        return len(self.blanks) - 1

    def number(self, *blank: int) -> int:
        """A number."""
        return _BASE + (self._next(*blank) << _ROOM)

    def word(self, *blank: int) -> str:
        """A mailbox."""
        return f"w{self._next(*blank)}@{_TOKEN}.test"

    def maybe(self, *blank: int) -> bytes:
        """A string of its own, or null."""
        return f"q{self._next(*blank)}.{_TOKEN}".encode()

    def found(self, match: re.Match[str]) -> tuple[_Blank, int] | None:
        """What a mark in the text is for, and what was added to it. None: it is no mark."""
        if match["number"] is None:
            blank = self.blanks[int(match["maybe"] or match["word"])]
            if match["whole"] is not None:  # all that stands behind the verb, or behind the code
                blank = blank._replace(kind=_TEXT if match["whole"][0] == " " else _ARGUMENT)
            return blank, 0
        place, more = divmod(int(match["number"]) - _BASE, 1 << _ROOM)
        return (self.blanks[place], more) if 0 <= place < len(self.blanks) else None


class _MarkedContent:
    """Stands for a message where the report is made of marks."""

    def __init__(self, marks: _Marks, step: int) -> None:
        self.size = marks.number(_SIZE, step)
        self.lines = marks.number(_LINES, step)
        self.sha256 = marks.word(_HASH, step)
        self.subject = marks.maybe(_SUBJECT, step)
        self.message_id = marks.maybe(_MESSAGE_ID, step)


class Template:
    """``fill`` it with a connection of the way that it was made for."""

    __slots__ = (
        *("_any_second", "_arguments", "_contents", "_digits", "_groups", "_one_second", "_pick", "_plain", "_replies"),
        *("_second", "_special", "_text"),
    )

    def __init__(
        self,
        text: bytes,
        places: list[int],
        extra: list[_Blank],
        plain: Callable[[bytes], object],
        digits: int,
    ) -> None:
        """``text`` has a blank ``_INSTANT`` for each time, and other blanks as bytes are formatted. ``places``: of what
        belongs into them, in a list of the connection's own facts, of frames, offsets and times of its steps, and of
        ``extra``."""
        self._any_second = text.replace(_INSTANT, b"%b")
        self._one_second = text.replace(_INSTANT, _SECOND + b".%%0%ddZ" % digits)
        self._second = -1  # the one that is written in `_text`
        self._text = b""
        self._pick = cast("Callable[[list[Any]], tuple[Any, ...]]", itemgetter(*places))
        # Steps of one line of which all behind the verb is asked for, or behind the code. They come first.
        self._arguments = [one.step for one in extra if one.kind == _ARGUMENT]
        self._replies = [one.step for one in extra if one.kind == _TEXT]
        self._special = [one for one in extra if one.kind not in {_ARGUMENT, _TEXT, *_CONTENT}]
        self._contents = sorted({one.step for one in extra if one.kind in _CONTENT})
        grouped = [one for one in self._special if one.kind in _IN_GROUP and (one.line or one.kind != _MAILBOX)]
        self._groups = {one.step for one in grouped}  # steps of several lines
        self._plain = plain
        self._digits = digits

    def fill(self, repeat: Repeat) -> bytes | None:
        """The text for ``repeat``; None: it says something that has to go the long way."""
        _, said, offsets, frames, times, contents = zip(*repeat.steps, strict=True)
        guide, client = repeat.guide, repeat.client
        if guide.digits != self._digits:
            return None
        source, target = ends(client)
        pool: list[Any] = [repeat.number, *source, *target, *repeat.octets, *frames, *offsets]
        started, ended = repeat.started_ns, repeat.ended_ns
        second = started - started % _SECOND_NS
        if ended < second + _SECOND_NS > max(times) and min(times) >= second:
            text = self._text if second == self._second else self._in_second(guide, second)
            unit = 10 ** (9 - self._digits)
            pool += [(at - second) // unit for at in (started, ended, *times)]
        else:
            text = self._any_second
            pool += [at.encode() for at in guide.clocks([started, ended, *times])]
        words = [said[step][5:-2] for step in self._arguments]
        if not all(map(self._plain, words)):
            return None
        words += [said[step][4:-2] for step in self._replies]
        whole = b"".join(words)
        if b'"' in whole or b"\\" in whole:
            return None
        pool += words
        for step in self._contents:
            pool += _of_content(contents[step])
        lines = {step: said[step].split(b"\r\n") for step in self._groups}
        for kind, step, line in self._special:
            if kind == _INSIDE:
                pool.append(offsets[step] + line)
            elif kind == _LINE:
                pool.append(offsets[step] + sum(map(len, lines[step][:line])) + 2 * line)
            else:
                data = lines[step][line] if step in lines else said[step]
                if kind == _MAILBOX:
                    data = data[data.index(b"<") + 1 : data.index(b">")]
                elif kind == _ARGUMENT_IN:
                    data = data[5:]
                    if b'"' in data or b"\\" in data or not self._plain(data):
                        return None
                else:
                    data = data[4:]
                    if b'"' in data or b"\\" in data:
                        return None
                pool.append(data)
        return text % self._pick(pool)

    def _in_second(self, guide: Guide, second: int) -> bytes:
        """The text for connections that lie within one second."""
        prefix = guide.clocks([second])[0].partition(".")[0].encode()
        self._second, self._text = second, self._one_second.replace(_SECOND, prefix)
        return self._text


def _of_content(content: Content | Letter | None) -> tuple[int, int, bytes, bytes, bytes]:
    """What belongs into the blanks of ``_CONTENT``."""
    assert content is not None
    subject, message_id = content.subject, content.message_id
    return (
        content.size,
        content.lines,
        (content.sha256 or "").encode(),
        b"null" if subject is None else to_json(printable(subject)),
        b"null" if message_id is None else to_json(printable(message_id)),
    )


def _rank(blank: _Blank) -> tuple[int, int, int]:
    """Where ``blank`` comes among those that are worked out: as ``Template.fill`` gathers them."""
    kind, step, line = blank
    if kind == _ARGUMENT:
        return 0, step, line
    if kind == _TEXT:
        return 1, step, line
    return (2, step, kind) if kind in _CONTENT else (3, 0, 0)


def template(
    repeat: Repeat, long_way: Callable[[Connection], bytes], plain: Callable[[bytes], object]
) -> Template | None:
    """The template of the way that ``repeat`` went, where there can be one.

    ``long_way``: redacts and encodes a report. ``plain``: whether redaction would leave a command's argument as it is.
    """
    pattern, count = repeat.pattern, len(repeat.steps)
    if any(fault.length is None or fault.evidence is None for fault in pattern.faults):
        return None  # they quote a line that varies
    marks = _Marks()
    steps, cuts = _marked(repeat, marks)
    record = repeat.guide.record(repeat.client, marks.number(_OWN, _NUMBER_OWN), 0, handshake=True)
    record.client = Endpoint(marks.word(_OWN, _CLIENT), marks.number(_OWN, _CLIENT_PORT))
    record.server = Endpoint(marks.word(_OWN, _SERVER), marks.number(_OWN, _SERVER_PORT))
    record.started, record.ended = marks.word(_TIME, 0), marks.word(_TIME, 1)
    record.client_bytes, record.server_bytes = marks.number(_OWN, _SENT), marks.number(_OWN, _HEARD)
    repeat.place_in_capture(record)
    write(pattern, steps, record, lambda times: [marks.word(_TIME, at + 2) for at in times])

    places: list[int] = []
    extra: dict[_Blank, int] = {}
    firsts = {_OWN: 0, _FRAME: _FACTS, _OFFSET: _FACTS + count, _TIME: _FACTS + 2 * count}
    behind = _FACTS + 3 * count + 2

    def blank(match: re.Match[str]) -> str:
        found = marks.found(match)
        if found is None:
            return match[0]
        one, more = found
        if one.kind in {_ARGUMENT, _TEXT} and one.step in cuts and cuts[one.step]:
            one = one._replace(kind=_ARGUMENT_IN if one.kind == _ARGUMENT else _TEXT_IN)
        if more:
            line = cuts.get(one.step, {}).get(more)
            one = _Blank(_INSIDE, one.step, more) if line is None else _Blank(_LINE, one.step, line)
        first = firsts.get(one.kind)
        places.append(extra.setdefault(one, len(extra)) + behind if first is None else first + one.step)
        return _FORMATS.get(one.kind, "%d") if one.kind != _OWN or one.step not in {_CLIENT, _SERVER} else "%b"

    text = _MARKS.sub(blank, long_way(record).decode().replace("%", "%%")).encode()
    letters = {one.step for one in extra if one.kind in _CONTENT}
    order = sorted({*extra, *(_Blank(kind, step) for step in letters for kind in _CONTENT)}, key=_rank)
    moved = {behind + at: behind + order.index(one) for one, at in extra.items()}
    made = Template(text, [moved.get(at, at) for at in places], order, plain, repeat.guide.digits)
    return made if made.fill(repeat) in (None, long_way(repeat.connection())) else None


def filled(repeat: Repeat, long_way: Callable[[Connection], bytes], plain: Callable[[bytes], object]) -> bytes | None:
    """The text for ``repeat`` from the template of its way, which is made when it is first asked for; None: the long
    way has to be gone. ``long_way``, ``plain``: as for ``template``, and the same each time."""
    place = repeat.place
    if place.template is None or place.template[0] != repeat.capture:
        place.template = repeat.capture, template(repeat, long_way, plain)
    made = place.template[1]
    return made.fill(repeat) if isinstance(made, Template) else None


def _marked(repeat: Repeat, marks: _Marks) -> tuple[list[Step], dict[int, dict[int, int]]]:
    """The steps with marks for all that they say; and, for steps of several lines that vary, which line begins behind
    how many bytes."""
    pattern = repeat.pattern
    varied = {turn.step for turn in pattern.turns if turn.varied} | set(pattern.many)
    for letter in pattern.letters:
        varied |= {who[0] for who in (letter.sender, *(to for to, _ in letter.recipients)) if isinstance(who, tuple)}
    steps: list[Step] = []
    cuts: dict[int, dict[int, int]] = {}
    for at, (side, data, _, _, _, content) in enumerate(repeat.steps):
        marked = content if content is None else cast("Content", _MarkedContent(marks, at))
        said = data
        if at in varied:
            lines = [f"XXXX FROM:<{marks.word(_MAILBOX, at, n)}>\r\n".encode() for n in range(data.count(b"\r\n"))]
            said = b"".join(lines)
            cuts[at] = {sum(map(len, lines[:n])): n for n in range(1, len(lines))}
        steps.append((side, said, marks.number(_OFFSET, at), marks.number(_FRAME, at), at, marked))
    return steps, cuts
