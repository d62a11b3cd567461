"""What of a dialogue is secret because of what came before it, or because it repeats a secret."""

# Theory
# ------
# A line says by itself which of its parts are shown (`lines/secret_spans.py`). Here the dialogue is read in order, for
# the lines that need more:
#
#   login   an AUTH command, a line about a login, a challenge (334) or a prompt: until the next command of a mail
#           transaction or a success, each line that is no command may be an answer. NOOP, RSET, EHLO and QUIT do not
#           end this: people type them between two attempts.
#   text    DATA, BDAT or BURL was refused: lines that are no commands are the text of the message. The server takes the
#           first word for a verb, so it is shown if it is one that every server knows.
#   parts   a line with a bare CR or LF inside is read twice: as one line, and as the lines that some servers read in
#           it. What either reading hides is hidden.
#   late    a line that a server answers like a login (235, 535) was one, even if the capture begins after the AUTH.
#
# What is hidden is kept (`secret_values.py`), and what repeats it is hidden too. That is decided when a turn is shown,
# so an echo that came before its secret is found as well.
#
# If nothing of the client was captured, or a refusal belongs to a line that was not (after a gap, or before the first
# line of a capture that begins in the middle), then only known words of it are shown.
#
# Nearly no dialogue needs any of this: `secret_context` looks once at each turn, and makes nothing.

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from ...dissectors.tables.verbs import VERBS
from ..lines.acts import ACTS, Act
from ..lines.announced_secrets import announced_secrets, decoded_base64, may_announce, unknown_words
from ..lines.marks import Mark
from ..lines.reply_words import PROMPTS
from ..lines.secret_spans import announces_secret, divided, is_divided
from ..lines.shown_text import Span, joined, shown_text
from .exchange import Exchange, ReplySeen
from .secret_values import Secrecy, SecretValues
from .turns import ChunkSeen, GapSeen, LineSeen, MessageSeen

if TYPE_CHECKING:
    from ...dissectors.lines.commands import Command
    from ...dissectors.lines.replies import Reply, ReplyLine
    from .turns import SeenTurn

__all__ = ["SecretContext", "secret_context", "shown_lines"]

_LOGIN_CODES = frozenset({235, 432, 534, 535, 538})  # only a login is answered like this (RFC 4954 §4, §6)
_NOT_CAPTURED = _LOGIN_CODES | {454, 500, 501, 502, 503, 504, 530}  # may quote a line of a login
_LEGAL = range(200, 600)
_PROMPTING = frozenset({331, 332, 381, 383})  # FTP and NNTP ask for a password like this
_SUSPECT = _LOGIN_CODES | {334}
_CHALLENGE = 334
_TEXT_BEGINS = frozenset({Act.DATA, Act.BDAT, Act.LAST, Act.BURL})
# Commands that end a login, and the text of a message.
_ENDS_LOGIN = frozenset({Act.MAIL, Act.RCPT, Act.DATA, Act.BDAT, Act.LAST, Act.BURL})
_PATHS = frozenset({Act.MAIL, Act.RCPT})
_NAMES_ONLY = frozenset({"CRAM-MD5", "DIGEST-MD5", "EXTERNAL"})  # mechanisms whose answers hold no password
_NOTHING = frozenset({b"", b".", b"*"})
_BARE = Mark.BARE_LF.value | Mark.BARE_CR.value


class Recorded(Protocol):
    """What has a dialogue: the record of a connection."""

    dialogue: list[SeenTurn]
    opening: Literal["handshake", "midstream"]
    secrets: SecretContext | None


def secret_context(record: Recorded, *, always: bool = False) -> SecretContext | None:
    """Return what is secret in the dialogue of ``record`` so far; None if nothing can be.

    ``always``: never return None. If more turns come and this is called again, it then looks only at those.
    """
    context = record.secrets
    if context is None:
        if not always and record.opening != "midstream" and not _is_suspect(record.dialogue):
            return None
        context = record.secrets = SecretContext(midstream=record.opening == "midstream")
    context.read(record.dialogue)
    return context


def _announced(reply: Reply) -> tuple[Span, ...]:
    """Return the parts of ``reply`` that are secret by themselves. They are kept in it."""
    spans = reply.secrets
    if spans is None:
        spans = reply.secrets = announced_secrets(reply.raw)
    return spans


def shown_lines(turn: ReplySeen, spans: tuple[Span, ...]) -> list[str]:
    """Return the lines of a reply without their codes and without ``spans``, printable."""
    reply = turn.reply
    if not spans:
        return list(reply.lines)
    places = [(_text_start(part), len(part.text)) for part in reply.parts()]
    return [shown_text(reply.raw, spans, start, start + length) for start, length in places]


def _text_start(line: ReplyLine) -> int:
    """Return where the text of a line of a reply begins, in bytes of the reply."""
    return line.at if line.code is None else line.at + 3 + len(line.separator)


def _is_suspect(dialogue: list[SeenTurn]) -> bool:
    """Whether something in ``dialogue`` may be secret, or the lines of the client are missing."""
    client = False
    unread: list[Reply] = []
    for turn in dialogue:
        if type(turn) is Exchange:  # isinstance takes twice as long, and every turn passes here
            if not turn.line.harmless:
                return True
            client = True
        elif type(turn) is ReplySeen:
            reply = turn.reply
            if reply.secrets is None:
                unread.append(reply)
            elif reply.secrets:
                return True
            if reply.code in _SUSPECT:
                return True
        elif type(turn) is LineSeen or (type(turn) is GapSeen and turn.side == "client"):
            return True
    return (not client and bool(dialogue)) or (bool(unread) and _is_any_announced(unread))


def _is_any_announced(replies: list[Reply]) -> bool:
    """Whether one of ``replies``, in which nobody has looked for secrets yet, holds one by itself. One look at all of
    them is mostly enough."""
    if may_announce(b"\n".join([reply.raw for reply in replies])):
        return any(_announced(reply) for reply in replies)
    for reply in replies:
        reply.secrets = ()
    return False


class SecretContext:
    """What is secret in one dialogue. ``values``: the secrets themselves. ``read`` takes the turns in order; then
    ``spans`` returns what of a turn is not shown."""

    __slots__ = (
        *("_client", "_dialogue", "_levels", "_login", "_logins", "_lost", "_next", "_spans", "_text", "_unasked"),
        "values",
    )

    def __init__(self, *, midstream: bool = False) -> None:
        self.values = SecretValues()
        self._dialogue: list[SeenTurn] = []
        self._next = 0
        self._client = False  # a line of the client was captured
        self._lost = midstream  # lines of the client are missing before the next reply
        self._unasked: set[int] = set()  # turns of the server that may answer a line that was not captured
        self._login: Secrecy | None = None  # a login is under way: how secret its next line is
        self._text = False  # a message may come as commands
        self._logins: set[int] = set()  # turns that belong to a login, or of which a part is hidden
        self._levels: dict[int, Secrecy] = {}  # turns of the server in which names count too
        self._spans: dict[int, list[Span]] = {}  # of the lines, what is hidden because of the dialogue

    def read(self, dialogue: list[SeenTurn]) -> None:
        """Take the turns that are new."""
        self._dialogue = dialogue
        unread: list[Reply] = []
        for index in range(self._next, len(dialogue)):
            turn = dialogue[index]
            if type(turn) is Exchange:
                self._client = True
                self._take_line(index, turn)
            elif type(turn) is ReplySeen:
                self._take_reply(index, turn)
                if turn.reply.secrets is None:
                    unread.append(turn.reply)
            elif type(turn) is LineSeen:
                self._take_prompt(index, turn.raw)
            elif type(turn) is MessageSeen or type(turn) is ChunkSeen:
                self._text = False
            elif type(turn) is GapSeen and turn.side == "client":
                self._lost = True
        self._next = len(dialogue)
        if unread:
            _is_any_announced(unread)

    def turn(self, index: int) -> SeenTurn:
        """Return a turn that was read."""
        return self._dialogue[index]

    def raw(self, index: int) -> bytes:
        """Return the bytes of a line or reply; none of anything else."""
        turn = self._dialogue[index] if 0 <= index < len(self._dialogue) else None
        if isinstance(turn, Exchange):
            return turn.line.raw
        if isinstance(turn, ReplySeen):
            return turn.reply.raw
        return turn.raw if isinstance(turn, LineSeen) else b""

    def spans(self, index: int) -> tuple[Span, ...]:
        """Return the parts of the bytes of a turn that are not shown, in order."""
        turn = self._dialogue[index] if 0 <= index < len(self._dialogue) else None
        if isinstance(turn, Exchange):
            return self._of_line(index, turn)
        if isinstance(turn, ReplySeen):
            return self._of_reply(index, turn)
        if isinstance(turn, LineSeen):
            raw = turn.raw
            if not self._client or self.values.overflow or index in self._unasked:
                return unknown_words(raw)
            return joined(announced_secrets(raw), self.values.find(raw, self._level(index)))
        return ()

    def replies(self) -> list[int]:
        """Return the places of all replies."""
        return [index for index, turn in enumerate(self._dialogue) if type(turn) is ReplySeen]

    def _take_line(self, index: int, x: Exchange) -> None:
        line = x.line
        command = line.command
        if command is None:
            self._logins.add(index)
            self.values.add(line.raw, self._login or Secrecy.ANSWER)
            return
        if not line.marks & _BARE or not is_divided(command.raw):
            self._take_command(index, command, line.act, line.secrets)
            return
        self._take_command(index, command, line.act, line.secrets, whole=False)
        for part in divided(command.raw):
            act = ACTS.get(part.command.verb, Act.OTHER)
            self._take_command(index, part.command, act, part.hidden, part.at, whole=False)

    def _take_command(
        self, index: int, command: Command, act: Act, secrets: tuple[Span, ...], at: int = 0, *, whole: bool = True
    ) -> None:
        """Take a line, or what some servers read as one: it begins at ``at`` of the line. ``whole``: every server reads
        the same."""
        raw = command.raw  # without a CR before the end
        unknown = command.spec is None
        if unknown and (self._login is not None or self._text):
            if raw in _NOTHING:
                self._logins.add(index)
            elif self._login is None:
                self._hide_text(index, raw, at)
            else:
                self._hide(index, raw, self._login, at)
            return
        if self._login is not None and act is Act.ANYTIME and command.argument is not None:
            self._hide_argument(index, command.argument, at + len(raw) - len(command.argument))
            return
        about_login = act is Act.AUTH or ((unknown or secrets != ()) and announces_secret(command))
        if secrets:
            self._logins.add(index)
            bare = secrets[0][0] == at  # not even a word at the start is shown
            secrecy = Secrecy.ANSWER if about_login or bare else Secrecy.NAME
            if act is Act.AUTH and (command.mechanism in _NAMES_ONLY or _is_name(command.mechanism, raw)):
                secrecy = Secrecy.NAME
            for start, end in secrets:
                self.values.add(raw[start - at : end - at], secrecy)
        if about_login:
            self._logins.add(index)
            named = act is Act.AUTH and command.mechanism in _NAMES_ONLY
            self._login = Secrecy.NAME if named else Secrecy.ANSWER
        elif whole and act in _ENDS_LOGIN and not command.deviations:
            self._login, self._text, self._lost = None, False, False

    def _take_reply(self, index: int, turn: ReplySeen) -> None:
        code, answered = turn.reply.code, turn.answers
        asked = self._dialogue[answered] if 0 <= answered < len(self._dialogue) else None
        if self._login is not None or answered in self._logins:
            self._levels[index] = Secrecy.NAME
        if self._lost and (answered < 0 or self._login is not None or answered in self._logins):
            self._unasked.add(index)
        if code == _CHALLENGE:
            self._levels[index] = Secrecy.NAME
            self._take_challenge(turn.reply)
            return
        said = turn.reply.texts[-1].rstrip(b" ")
        if code in _PROMPTING or said.endswith(b":"):
            self._login = _asked_for(said) or (Secrecy.ANSWER if code in _PROMPTING else self._login)
        if not isinstance(asked, Exchange):
            return
        if answered in self._logins or code in _LOGIN_CODES:
            command = asked.line.command
            if code in _LOGIN_CODES and command is not None and command.spec is None:
                self._hide(answered, command.raw, Secrecy.ANSWER, 0)
                self._levels[index] = Secrecy.NAME
            if code == 235:
                self._login = None
        if (asked.act in _TEXT_BEGINS and code >= 400) or (code == 354 and asked.act is Act.OTHER):
            self._text = True  # no line of it came before: `ClientReader` holds what follows DATA until this reply

    def _take_challenge(self, reply: Reply) -> None:
        """Note what a challenge asks for (RFC 4954 §4), and keep it if it is more than a prompt."""
        words = b" ".join(reply.texts).strip()
        known = words in PROMPTS
        asked = _asked_for(words) if known or not unknown_words(words) else self._login
        self._login = asked or Secrecy.ANSWER
        if not known:
            for text in reply.texts:
                if unknown_words(text):
                    self.values.add(text, Secrecy.ANSWER)

    def _take_prompt(self, index: int, raw: bytes) -> None:
        """Note what a line that is no reply asks for: the server may be a terminal."""
        self._login = _asked_for(raw) or self._login
        if self._login is not None:
            self._levels[index] = Secrecy.NAME
        if self._lost:
            self._unasked.add(index)

    def _hide(self, index: int, text: bytes, secrecy: Secrecy, at: int) -> None:
        """Hide and keep ``text``, which begins at ``at`` of the line."""
        self._spans.setdefault(index, []).append((at, at + len(text)))
        self._logins.add(index)
        self.values.add(text, secrecy)

    def _hide_text(self, index: int, raw: bytes, at: int) -> None:
        """Hide a line of a message, apart from a known word at its start."""
        first = len(raw) - len(raw.split(None, 1)[-1]) if len(raw.split(None, 1)) > 1 else len(raw)
        if unknown_words(raw[:first]):
            self._hide(index, raw, Secrecy.NAME, at)
        elif first < len(raw):
            self._hide(index, raw[first:], Secrecy.NAME, at + first)

    def _hide_argument(self, index: int, argument: bytes, at: int) -> None:
        """Hide what follows HELP, NOOP, VRFY or EXPN in the middle of a login, unless it is an address or a verb."""
        if b"@" not in argument and argument.strip().upper() not in VERBS:
            self._hide(index, argument, Secrecy.ANSWER, at)

    def _level(self, index: int) -> Secrecy:
        return self._levels.get(index, Secrecy.ANSWER)

    def _of_line(self, index: int, x: Exchange) -> tuple[Span, ...]:
        line = x.line
        own = tuple(self._spans.get(index, ()))
        command = line.command
        if command is None:
            return own or line.secrets
        raw = command.raw
        in_parts = bool(line.marks & _BARE) and is_divided(raw)
        if own and not in_parts:
            return joined(own)  # what the line hides by itself does not count: here the dialogue knows more of it
        at = 0 if command.spec is None else len(raw) - len(command.argument or b"")
        if command.spec is None or in_parts:  # parts may have any verb, or none
            echoes = self.values.find(raw[at:], Secrecy.ANSWER)
        else:
            echoes = self.values.find(raw[at:], Secrecy.PASSWORD, apart=line.act in _PATHS)
        if own or echoes:
            return joined(line.secrets, own, tuple([(start + at, end + at) for start, end in echoes]))
        return line.secrets

    def _of_reply(self, index: int, turn: ReplySeen) -> tuple[Span, ...]:
        reply = turn.reply
        found = [self._in_text(index, turn, text) for text in reply.texts]
        if not any(found):
            return _announced(reply)
        moved = []
        for part, spans in zip(reply.parts(), found, strict=True):
            at = _text_start(part)
            moved.append(tuple([(start + at, end + at) for start, end in spans]))
        return joined(_announced(reply), *moved)

    def _in_text(self, index: int, turn: ReplySeen, text: bytes) -> tuple[Span, ...]:
        """Return what one line of a reply hides because of the dialogue."""
        code = turn.reply.code
        if code == _CHALLENGE:
            return () if text.strip() in PROMPTS or not unknown_words(text) else _all_of(text)
        if self.values.overflow or (not self._client and (code in _NOT_CAPTURED or code not in _LEGAL)):
            return unknown_words(text)
        if code >= 400 and index in self._unasked:
            return unknown_words(text)
        if code in _LOGIN_CODES and turn.answers not in self._logins:
            return unknown_words(text)
        level = self._level(index)
        found = self.values.find(text, level)
        return joined(found, self.values.parts(text)) if level is Secrecy.NAME else found


def _all_of(text: bytes) -> tuple[Span, ...]:
    start = len(text) - len(text.lstrip(b" \t"))
    end = len(text.rstrip(b" \t"))
    return ((start, end),) if start < end else ()


def _asked_for(prompt: bytes) -> Secrecy | None:
    """Return how secret the answer to a prompt is; None if it asks neither for a name nor for a password."""
    low = (prompt + decoded_base64(prompt)).lower()
    if b"pass" in low:
        return Secrecy.PASSWORD
    return Secrecy.NAME if b"user" in low or b"login" in low else None


def _is_name(mechanism: str | None, raw: bytes) -> bool:
    """Whether the initial response of AUTH LOGIN is a user name: it is one word."""
    return mechanism == "LOGIN" and len(raw.split()) == 3
