"""The report of a dialogue without its places, times and text that varies: taken from one, written for another."""

# A pattern refers to what is of its own connection by the step that it stands in: (step, place). In a step that is
# always the same bytes the place is an offset in them; in one that varies only the beginnings of its lines are certain,
# and place -n means the beginning of line n. 0 is the beginning of both.

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from msgspec.structs import replace

from ...dissectors.printable import printable
from .. import model
from .tokens import is_varied, spot_in

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..content.end_of_data import Content
    from .small_message import Letter

__all__ = ["Pattern", "Step", "derive", "write"]

MAX_EVIDENCE = 160  # bytes of a line that a finding quotes

_COMMAND, _REPLY, _MESSAGE, _TLS = range(4)
_NO_STEP = -1

Step = tuple[Literal["client", "server"], bytes, int, int, int, "Content | Letter | None"]
"""One step as it was taken: side, bytes, offset, frame, time in ns, and the content where it is mail data. The bytes
are empty for mail data and for the end of a stream. A plain tuple, for a hundred thousand are made in a second."""


class _Turn(NamedTuple):
    """``varied``: what it says stands in its line of the step. The rest as in the turns of the model."""

    kind: int
    step: int
    place: int
    varied: bool
    what: Any
    rest: Any
    more: Any
    answers: int | None


class _Letter(NamedTuple):
    """A message. A mailbox is text, or the (step, line) that it stands in."""

    step: int
    sender: str | tuple[int, int] | None
    recipients: tuple[tuple[str | tuple[int, int], int | None], ...]
    code: int | None


class _Fault(NamedTuple):
    """A finding. ``step``: its frame's; ``at``: the step that its offset stands in, -1: the end of stream ``place``.
    ``length`` and ``evidence`` are None where they are those of the line, the length with ``more``."""

    finding: model.Finding
    step: int
    at: int
    place: int
    length: int | None
    more: int
    evidence: str | None


class Pattern(NamedTuple):
    """Two patterns are equal if their reports say the same. ``many``: varied steps of several lines."""

    protocol: Literal["smtp", "lmtp"]
    profile: str
    tls: Literal["none", "starttls", "implicit"]
    closing: Literal["fin", "rst", "open"]
    notes: tuple[str, ...]
    turns: tuple[_Turn, ...]
    letters: tuple[_Letter, ...]
    faults: tuple[_Fault, ...]
    many: tuple[int, ...]
    calm: bool


class _Unexplained(Exception):
    """The report says something that the steps do not explain."""


def derive(
    record: model.Connection, steps: Sequence[Step], names: Sequence[bytes], clock: Callable[[int], str], *, calm: bool
) -> Pattern | None:
    """The pattern of ``record``, whose dialogue took ``tokens``, called ``names``. None: they do not explain it.

    ``calm``: the connection ended as it should, and no time was looked at.
    """
    if record.gaps:
        return None
    maker = _Maker(record, steps, names, clock)
    try:
        return Pattern(
            record.protocol,
            record.profile,
            record.tls,
            record.closing,
            tuple(record.notes),
            tuple(map(maker.turn, record.dialogue)),
            tuple(maker.letters()),
            tuple(map(maker.fault, record.findings)),
            tuple(n for n, name in enumerate(names) if is_varied(name) and steps[n][1].count(b"\n") > 1),
            calm,
        )
    except _Unexplained:
        return None


class _Maker:
    """Takes one report apart."""

    def __init__(
        self, record: model.Connection, steps: Sequence[Step], names: Sequence[bytes], clock: Callable[[int], str]
    ) -> None:
        self._record = record
        self._steps = steps
        self._varied = [is_varied(name) for name in names]
        self._spots = [spot_in(name) for name in names]
        self._clock = clock

    def _locate(self, side: str, offset: int) -> tuple[int, int]:
        """Step and place of a byte of ``side``."""
        for index, (whose, data, start, _, _, content) in enumerate(self._steps):
            rel = offset - start
            if content is not None and 0 < rel == self._spots[index]:
                return index, rel
            if whose != side or not (0 <= rel < len(data) or (rel == 0 and content is not None)):
                continue
            if not self._varied[index]:
                return index, rel
            before = data[:rel]
            if before and not before.endswith(b"\n"):
                break
            return index, -before.count(b"\n")
        raise _Unexplained

    def _line(self, index: int, place: int) -> bytes:
        return self._steps[index][1].split(b"\r\n")[-place]

    def turn(self, turn: model.Turn) -> _Turn:
        """A turn of the dialogue."""
        index, place = self._locate(turn.side, turn.offset)
        _, _, _, frame, time_ns, content = self._steps[index]
        if turn.frame != frame or turn.time != self._clock(time_ns):
            raise _Unexplained
        varied = self._varied[index] and content is None
        line = self._line(index, place) if varied else b""
        if isinstance(turn, model.CommandTurn):
            if varied and (turn.argument is None or not _says(line, turn.verb, turn.argument)):
                varied = False
            return _Turn(
                _COMMAND, index, place, varied, turn.verb, turn.argument if not varied else "", turn.predicted, None
            )
        if isinstance(turn, model.ReplyTurn):
            lines = tuple(turn.lines)
            if varied and lines[:1] != (line[4:].decode("latin-1"),):
                raise _Unexplained
            return _Turn(_REPLY, index, place, varied, turn.code, lines[varied:], turn.enhanced, turn.answers)
        if isinstance(turn, model.MessageTurn) and content is not None and turn.complete and not turn.chunked:
            return _Turn(_MESSAGE, index, 0, False, None, None, None, None)
        if isinstance(turn, model.TlsTurn):
            return _Turn(_TLS, index, place, False, turn.side, None, None, None)
        raise _Unexplained

    def letters(self) -> list[_Letter]:
        """The messages with the places of their envelopes."""
        contents = [index for index, step in enumerate(self._steps) if step[5] is not None]
        if len(contents) != len(self._record.messages):
            raise _Unexplained
        found = []
        for index, message in zip(contents, self._record.messages, strict=True):
            envelope = self._envelope(index)
            sender: str | tuple[int, int] | None = None
            if message.from_ is not None:
                sender = self._mailbox(envelope, b"FROM:<", message.from_, last=True)
            recipients = []
            for recipient in message.recipients:
                recipients.append((self._mailbox(envelope, b"TO:<", recipient.address), recipient.code))
            content = self._steps[index][5]
            if content is None or content.size != message.size or not message.complete or message.sha256 is None:
                raise _Unexplained
            found.append(_Letter(index, sender, tuple(recipients), message.code))
        return found

    def _envelope(self, end: int) -> list[tuple[int, int, bytes]]:
        """Lines of the client in front of step ``end``, back to the message before: (step, line, text)."""
        lines: list[tuple[int, int, bytes]] = []
        for index in range(end):
            side, data, _, _, _, content = self._steps[index]
            if content is not None:
                lines = []
            elif side == "client":
                lines += [(index, n, line) for n, line in enumerate(data.split(b"\r\n"))]
        return lines

    def _mailbox(
        self, lines: list[tuple[int, int, bytes]], mark: bytes, mailbox: str, *, last: bool = False
    ) -> str | tuple[int, int]:
        """Where ``mailbox`` stands: that line is taken from ``lines``, with what is in front of it."""
        wanted = mark + mailbox.encode("ascii", "replace") + b">"
        places = [n for n, (_, _, line) in enumerate(lines) if line[5:].upper().startswith(wanted.upper())]
        if not places:
            if any(self._varied[index] and mark in line.upper() for index, _, line in lines):
                raise _Unexplained
            return mailbox
        index, line, _ = lines[places[-1 if last else 0]]
        del lines[: places[-1 if last else 0] + 1]
        return (index, line) if self._varied[index] else mailbox

    def fault(self, finding: model.Finding) -> _Fault:
        """A finding."""
        if " frame " in finding.message:
            raise _Unexplained  # of this capture
        at, place = self._place(finding)
        step = self._frame(finding, at)
        length: int | None = finding.length
        more = 0
        evidence: str | None = finding.evidence
        if at != _NO_STEP and self._varied[at] and self._steps[at][5] is None:
            line = self._line(at, place)
            if length in {len(line), len(line) + 2}:
                more, length = length - len(line), None
            if evidence:
                if evidence != printable(line)[:MAX_EVIDENCE]:
                    raise _Unexplained
                evidence = None
        plain = replace(finding, frame=0, time="", offset=0, length=0, evidence="")
        return _Fault(plain, step, at, place, length, more, evidence)

    def _place(self, finding: model.Finding) -> tuple[int, int]:
        sides: list[str] = [finding.side] if finding.side != "path" else []
        if finding.turn is not None:
            sides.insert(0, self._record.dialogue[finding.turn].side)
        for side in (*sides, "client", "server"):
            try:
                index, place = self._locate(side, finding.offset)
            except _Unexplained:
                continue
            if self._steps[index][3] == finding.frame:
                return index, place
        ends = (self._record.client_bytes, self._record.server_bytes)
        for number, end in enumerate(ends):
            if finding.offset == end and finding.side == ("client", "server")[number]:
                return _NO_STEP, number
        raise _Unexplained

    def _frame(self, finding: model.Finding, at: int) -> int:
        for index in (at, *range(len(self._steps))):
            if index != _NO_STEP:
                _, _, _, frame, time_ns, _ = self._steps[index]
                if frame == finding.frame and self._clock(time_ns) == finding.time:
                    return int(index)
        raise _Unexplained


def _says(line: bytes, verb: str | None, argument: str) -> bool:
    """Whether a varied line is read as all of its kind are: a verb of four letters, a space and the argument."""
    return line[4:5] == b" " and line[:4].decode("latin-1").upper() == verb and line[5:].decode("latin-1") == argument


def write(
    pattern: Pattern, steps: Sequence[Step], record: model.Connection, clocks: Callable[[Sequence[int]], list[str]]
) -> None:
    """Fill ``record``, which knows its ends and its bytes, as ``pattern`` says. ``clocks``: times as the report shows
    them."""
    record.protocol, record.profile, record.tls, record.closing = pattern[:4]
    if pattern.notes:
        record.notes.extend(pattern.notes)
    times = clocks([step[4] for step in steps])
    lines = {index: steps[index][1].split(b"\r\n") for index in pattern.many}
    add = record.dialogue.append
    for kind, index, place, varied, what, rest, more, answers in pattern.turns:
        _, data, offset, frame, _, content = steps[index]
        if place:
            offset += place if place > 0 else sum(map(len, lines[index][:-place])) - 2 * place
        text = ""
        if varied:
            line = lines[index][-place] if index in lines else data[:-2]
            text = line[5 if kind == _COMMAND else 4 :].decode("ascii")
        if kind == _REPLY:
            said = [text, *rest] if varied else list(rest)
            add(_ReplyTurn("server", what, said, more, answers, frame, times[index], offset))
        elif kind == _COMMAND:
            add(_CommandTurn("client", what, text if varied else rest, more, frame, times[index], offset))
        elif content is not None:
            add(_MessageTurn("client", content.size, content.lines, False, True, frame, times[index], offset))
        else:
            add(model.TlsTurn(what, frame, times[index], offset))
    for letter in pattern.letters:
        record.messages.append(_message(letter, steps))
    for fault in pattern.faults:
        record.findings.append(_finding(fault, steps, record, times, lines))


# Bound once: these are made by the hundred thousand.
_ReplyTurn, _CommandTurn, _MessageTurn = model.ReplyTurn, model.CommandTurn, model.MessageTurn


def _message(letter: _Letter, steps: Sequence[Step]) -> model.Message:
    index, sender, recipients, code = letter
    content = steps[index][5]
    assert content is not None
    subject, message_id = content.subject, content.message_id
    return model.Message(
        _mailbox(steps, sender) if isinstance(sender, tuple) else sender,
        [model.Recipient(_mailbox(steps, to) if isinstance(to, tuple) else to, said) for to, said in recipients],
        content.size,
        code,
        None if subject is None else printable(subject),
        None if message_id is None else printable(message_id),
        content.sha256,
        True,
    )


def _mailbox(steps: Sequence[Step], place: tuple[int, int]) -> str:
    index, number = place
    data = steps[index][1]
    line = data.split(b"\r\n")[number] if number else data
    start = line.index(b"<") + 1
    return line[start : line.index(b">", start)].decode("ascii")


def _finding(
    fault: _Fault, steps: Sequence[Step], record: model.Connection, times: list[str], lines: dict[int, list[bytes]]
) -> model.Finding:
    plain, index, at, place, length, more, evidence = fault
    if at == _NO_STEP:
        offset = record.server_bytes if place else record.client_bytes
    else:
        _, data, start, _, _, _ = steps[at]
        offset = start + max(place, 0)
        if place < 0:
            offset += sum(map(len, lines[at][:-place])) - 2 * place
        if length is None or evidence is None:
            line = lines[at][-place] if at in lines else data.split(b"\r\n", 1)[0]
            length = len(line) + more if length is None else length
            evidence = printable(line)[:MAX_EVIDENCE] if evidence is None else evidence
    return replace(
        plain, frame=steps[index][3], time=times[index], offset=offset, length=length or 0, evidence=evidence or ""
    )
