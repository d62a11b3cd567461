"""Mail data in a conversation: where it starts and ends, and what is presumed if no reply can show it."""

# After DATA the client's bytes are mail data if the reply was 354. If no reply can come (only one direction captured,
# the connection over), the likely reply is presumed, and the bytes held back are read accordingly. After lost bytes,
# client lines count only from the next line that is certainly a command: mail data may quote one.

from __future__ import annotations

from typing import TYPE_CHECKING

from ...dissectors.lines.commands import DeviationKind, parse_command
from ..content.end_of_data import Content
from ..lines.client_reader import Mode
from .conversation_state import Ground
from .exchange import Exchange, Mark, Transaction
from .state_table import Act, Phase

if TYPE_CHECKING:
    from ...dissectors.lines.commands import Command

__all__ = ["DECIDING", "STRONG", "Contents"]

MAX_CHUNK = (1 << 63) - 1  # a larger BDAT size cannot be right (RFC 3030 §2 has no limit, but computers have)
MAX_ENDLESS = 2047  # bytes of a line without an end that do not count as an attack (RFC 5321 §4.5.3.1.4: 512)
MAX_TEXT = 1000  # lines of mail data sent as commands; after this many they are judged without waiting for the end

DECIDING = frozenset({Act.DATA, Act.AUTH, Act.STARTTLS, Act.ANSWER})
"""The replies to these decide what the client's next bytes are."""

_HELLOS = frozenset({b"EHLO", b"HELO", b"LHLO"})
STRONG = frozenset({*_HELLOS, b"MAIL", b"RCPT", b"DATA", b"QUIT", b"RSET", b"STARTTLS", b"BDAT"})
"""Verbs with which ordinary text does not start."""


class Contents(Ground):
    """Adds mail data, and the presumptions made without a reply."""

    def content_end(self, content: Content, seen: int) -> None:
        """Handle the end of mail data: the end mark was read, or presumed."""
        turn = self._dialogue.message(content, complete=content.complete)
        x = Exchange(Act.END, None, turn, content.offset, content.frame, content.time_ns)
        x.content = content
        transaction = self.session.state.transaction
        if isinstance(transaction, Transaction):
            x.transaction = transaction
            transaction.content = content
            if self.profile == "lmtp":
                x.due = max(1, transaction.accepted)
        self._sent(x, seen)

    def chunk_end(self, seen: int) -> None:
        """Handle the end of a BDAT chunk: its last octet was read."""
        x, self._chunk = self._chunk, None
        if x is None or x.content is None:
            return
        x.content.settle()
        if x.act is Act.LAST:
            x.content.flush()
            x.content.complete = not x.content.missing
        self._dialogue.end_chunk(self._chunk_turn, x.content)
        if x.act is Act.LAST and x.reply_end >= 0:
            self._content_over(x)

    def undecided(self) -> None:
        """Presume the likely reply: too many bytes wait for one reply."""
        self._note(
            f"more than {self.limits.undecided_bytes} bytes waited for one reply: they were read as if it had come"
        )
        self._lost_replies = True
        self.session.doubt()
        self._release_as_presumed()

    def _begin_content(self, offset: int, frame: int, time_ns: int) -> None:
        limit = self.limits.header_bytes
        content = self._reader.content = Content(offset, frame, time_ns, chunked=False, header_limit=limit)
        if self._tap is not None:
            content.sink = self._tap.begin(content, self.session.state.transaction)
        self._skipping = False
        self._reader.release(Mode.CONTENT)

    def _begin_chunk(self, x: Exchange, command: Command, offset: int, frame: int, time_ns: int) -> None:
        """Start a chunk: its octets follow whatever the reply to BDAT is (RFC 3030 §2). An invalid size starts none."""
        size = command.chunk_size
        bad = any(d.kind is DeviationKind.BAD_BDAT_SYNTAX for d in command.deviations)
        if size is None or bad or size > MAX_CHUNK:
            self._reader.mode = Mode.HOLD
            if self._presuming:
                self._reader.release(Mode.COMMAND)
            return
        assert x.state is not None
        transaction = x.state.transaction
        content = transaction.content if isinstance(transaction, Transaction) else None
        if content is None or content.complete or not content.chunked:
            content = Content(offset, frame, time_ns, chunked=True, header_limit=self.limits.header_bytes)
            if isinstance(transaction, Transaction):
                transaction.content = content
            if self._tap is not None:
                content.sink = self._tap.begin(content, transaction)
        self._usage.chunk(x, size)
        content.move_to(offset)
        x.content = content
        self._chunk = x
        self._chunk_turn = self._dialogue.chunk(content, size, frame, time_ns, offset)
        self._reader.content = content
        self._reader.chunk_left = size
        self._reader.mode = Mode.CHUNK if size else Mode.COMMAND
        if not size:
            self.chunk_end(-1)

    def _end_content(self) -> None:
        """Finish a message that the end of the connection interrupted."""
        content = self._reader.content
        if content is None:
            return
        if self._reader.mode is Mode.CONTENT:
            content.flush()
            turn = self._dialogue.message(content, complete=False) if content.size else -1
            x = Exchange(Act.EVENT, None, turn, content.offset, content.frame, content.time_ns)
            x.content = content
            if content.lookalike is not None:
                self.judge.content(x, self)
            if self._tap is not None:
                self._tap.over(content, x)
        elif self._reader.mode is Mode.CHUNK:
            self._dialogue.end_chunk(self._chunk_turn, content, self._reader.chunk_left)

    def _end_line(self) -> None:
        """Finish a line that the end of the connection interrupted."""
        length, offset, frame, time_ns = self._reader.unfinished
        if not length or self._reader.mode > Mode.ANSWER or self._skipping:
            return
        line, session = self._reader.partial, self.session
        marks = Mark.ENDLESS if length > MAX_ENDLESS and self._reader.mode is Mode.COMMAND else 0
        marks |= (Mark.BARE_LF if b"\n" in line else 0) | (Mark.BARE_CR if b"\r" in line[:-1] else 0)
        quitting = session.state.phase is Phase.QUIT or any(x.act is Act.QUIT for x in session.due)
        if quitting and not 0x14 <= line[0] <= 0x17:  # TLS may send a closing alert too
            marks |= Mark.CLIENT_ORDER
        if marks:
            self._event(marks, -1, offset, frame, time_ns, line[:MAX_ENDLESS], breaks="SEQ114" if quitting else None)

    def _follow_text(self, x: Exchange, command: Command) -> None:
        """Detect mail data sent as if DATA had been accepted (SEQ113): lines like header fields, up to a lone dot."""
        causes = self.session.causes
        refused, causes.data = causes.data, None
        if self._text:
            self._text.append(x)
            if x.raw == b".":
                self._text[0].marks |= Mark.TEXT_AS_COMMANDS
                for line in self._text:
                    line.marks |= Mark.SKIPPED
                self._end_text()
            elif len(self._text) > MAX_TEXT or (command.verb in STRONG and not command.deviations):
                self._end_text()
        elif refused is not None and self.session.in_view(refused) and command.spec is None and b":" in x.raw:
            name = x.raw.partition(b":")[0]
            if name and all(33 <= byte <= 126 for byte in name):
                self._text = [x]

    def _resumes(self, command: Command, raw: bytes) -> bool:
        """Whether, while skipping, this line is certainly a command. Mail data may quote a command. So it must be
        well-formed, and either follow a reply or have a verb with which ordinary text does not start."""
        if raw == b".":
            self._spoken = True  # most likely the end of mail data: a command comes next
            return False
        certain = command.spec is not None and (not command.deviations or command.verb in _HELLOS or self._replied)
        if certain and (self._spoken or (command.verb in STRONG and command.verb == raw[: len(command.verb)])):
            self._skipping = False
            self._replies_may_be_old = self._passed
            return True
        self._spoken = self._replied = False
        self._passed = True
        return False

    def _presume(self) -> None:
        """Read the held bytes as if the likely reply had come: no more replies come."""
        self._presuming = True
        if self._reader.mode is Mode.HOLD:
            self._release_as_presumed()
        if self._reader.mode <= Mode.ANSWER and not self.server_seen:
            while _begins_verb(self._reader.partial) and self._reader.cut_bare(verbs=True):
                pass

    def _release_as_presumed(self) -> None:
        last = next((x for x in reversed(self.session.due) if x.act in DECIDING), None)
        if last is None:
            self._reader.release(Mode.COMMAND)
        elif last.act is Act.DATA:
            self._begin_content(last.offset + last.length, last.frame, last.time_ns)
        elif last.act is Act.STARTTLS:
            self._reader.release(Mode.TLS_EXPECTED)
        elif last.act is Act.AUTH and last.command is not None and last.command.initial is not None:
            self._reader.release(Mode.COMMAND)
        else:
            self._reader.release(Mode.ANSWER)


def _begins_verb(line: bytes) -> bool:
    return parse_command(line.split(b"\n", 1)[0].rstrip(b"\r")).spec is not None
