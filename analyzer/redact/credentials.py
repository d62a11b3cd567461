"""Hide credentials and message text in a connection, wherever they occur, including echoes by the server."""

# Every turn of every connection is checked here, and nearly none of them contains a secret. So a connection without one
# is read once, with one cheap test for each turn. Its replies are searched only if it has a login, a challenge or a
# malformed line, and only a connection in which something was hidden is checked a second time, for echoes.

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..model import AuthTurn, CommandTurn, MalformedTurn, MessageTurn, ReplyTurn
from .finding_texts import SecretTurns, change_quotations, hide_in_finding
from .secret_patterns import GUARD, PASSWORD_VERBS, PROMPTS, VERBS, XCLIENT_LOGIN, SecretHider, hidden

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..model import Connection, Turn

__all__ = [
    "hide_secrets",
]

# Nearly every argument matches: a mailbox or a host name too short to contain a secret.
_PLAIN = (
    r"(?:FROM:<|TO:<)?[A-Za-z0-9._+-]{1,15}"
    r"(?:@[A-Za-z0-9.-]{1,60}>(?: SIZE=[0-9]{1,9}| BODY=(?:7BIT|8BITMIME)| SMTPUTF8){0,3}|\.[A-Za-z0-9.-]{1,60})"
)
_is_plain = re.compile(_PLAIN).fullmatch
MAX_HEAD = 64  # characters of a secret that an expression looks for


def hide_secrets(connection: Connection) -> None:
    """Replace credentials and message text in ``connection``, in place."""
    hider, secret = SecretHider(), SecretTurns()
    dialogue = connection.dialogue
    if _hide_in_commands(dialogue, hider, secret) or secret.logins or secret.stray:
        _hide_in_replies(dialogue, hider, secret.stray | secret.logins)
    for finding in connection.findings:
        hide_in_finding(finding, dialogue, hider, secret)
    if hider.words:
        _change_quotations(connection, _Echoes(hider.words).hide)


class _Echoes:
    """Finds secrets that were sent before, in any case. An expression of whole secrets would take the square of their
    length where a text is nearly one of them over and over, so it has only their first characters."""

    def __init__(self, words: Iterable[str]) -> None:
        self._by_head: dict[str, list[str]] = {}
        for word in sorted(map(str.lower, words), key=len, reverse=True):
            self._by_head.setdefault(word[:MAX_HEAD], []).append(word)
        heads = sorted(self._by_head, key=len, reverse=True)
        self._heads = re.compile("|".join(map(re.escape, heads)), re.IGNORECASE)

    def hide(self, text: str) -> str:
        """Return ``text`` without the secrets in it, and without what starts like a long one."""
        parts, at, lower = [], 0, text.lower()
        while (found := self._heads.search(text, at)) is not None:
            start = found.start()
            words = self._by_head.get(found[0].lower(), [found[0].lower()])
            whole = next((len(word) for word in words if lower.startswith(word, start)), 0)
            end = start + (whole or max(_alike(word, lower[start : start + len(word)]) for word in words))
            parts += [text[at:start], hidden(text[start:end])]
            at = end
        return "".join((*parts, text[at:])) if parts else text


def _alike(one: str, other: str) -> int:
    """Return how many characters at the start of both are the same."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _hide_in_commands(dialogue: list[Turn], hider: SecretHider, secret: SecretTurns) -> bool:
    """Hide secrets in the client's lines and note in ``secret`` where they are. Return whether a line of the server may
    contain a secret by itself.

    After a refused AUTH, DATA or BDAT the client may send what it announced as if it were commands. Of message text the
    first word stays: the server took it for a verb.
    """
    server_may = False
    announced_by = ""  # AUTH, DATA or BDAT: a line after it that is not a command is what it announced
    for index, turn in enumerate(dialogue):
        if type(turn) is CommandTurn:  # isinstance takes twice as long, and every turn passes here
            verb, argument = turn.verb or "", turn.argument or ""
            if verb in VERBS:
                if verb in {"XCLIENT", "XFORWARD"}:
                    turn.argument = XCLIENT_LOGIN.sub(lambda found: found[1] + hider.hide(found[2]), argument)
                elif verb == "AUTH":
                    secret.logins.add(index)
                    turn.argument = hider.credentials("", argument) if argument else turn.argument
                elif argument and not _is_plain(argument) and GUARD.search(argument):
                    turn.argument = hider.client(f"{verb} {argument}")[len(verb) + 1 :]
                announced_by = verb if verb in {"AUTH", "DATA", "BDAT"} else ""
            elif announced_by in {"DATA", "BDAT"}:
                turn.argument = hidden(argument) if argument else turn.argument
                secret.texts.add(index)
            elif announced_by or _like_an_answer(verb, argument):
                secret.stray.add(index)
                turn.verb, turn.argument = None, hider.hide(f"{verb} {argument}".strip())
            else:
                _hide_in_unknown(turn, verb, argument, hider)
        elif type(turn) is ReplyTurn:
            server_may = server_may or turn.code == 334
        elif type(turn) is AuthTurn:
            announced_by = "AUTH"
            secret.logins.add(index)
        elif type(turn) is MessageTurn:
            announced_by = ""
        elif type(turn) is MalformedTurn:
            server_may = True
    return server_may


def _hide_in_unknown(turn: CommandTurn, verb: str, argument: str, hider: SecretHider) -> None:
    """Hide secrets in a line that is not an SMTP command: of another protocol, or misspelled."""
    if verb in PASSWORD_VERBS:
        turn.argument = hider.hide(argument) if argument else turn.argument
        return
    whole = f"{verb} {argument}".strip()
    shown = hider.client(whole)
    if shown == whole:
        return
    if verb and shown.startswith(verb):
        turn.argument = shown[len(verb) :].lstrip() or None
    else:
        turn.verb, turn.argument = None, shown


def _like_an_answer(verb: str, argument: str) -> bool:
    """Whether a line of one word looks like base64, for example if the capture starts inside an AUTH exchange.

    The verb is in upper case here, so only digits and padding can show that it is base64.
    """
    if argument or len(verb) < 8 or len(verb) % 4 or not verb.strip("=+/").replace("+", "").replace("/", "").isalnum():
        return False
    return verb.endswith("=") or (len(verb) >= 12 and any(c.isdigit() for c in verb))


def _hide_in_replies(dialogue: list[Turn], hider: SecretHider, logins: set[int]) -> None:
    """Hide secrets in replies. ``logins``: turns that are or may be part of a login."""
    for turn in dialogue:
        if type(turn) is ReplyTurn:
            if turn.code == 334:
                turn.lines = [text if text.strip() in PROMPTS else hider.hide(text) for text in turn.lines]
                continue
            if turn.answers in logins:
                turn.lines = [hider.echoed(text) for text in turn.lines]
        elif type(turn) is MalformedTurn:
            turn.text = hider.client(turn.text)


def _change_quotations(connection: Connection, change: Callable[[str], str]) -> None:
    """Apply ``change`` to every server text and finding; known client commands were already checked one by one."""
    for turn in connection.dialogue:
        if isinstance(turn, ReplyTurn):
            turn.lines = [change(text) for text in turn.lines]
        elif isinstance(turn, MalformedTurn):
            turn.text = change(turn.text)
        elif isinstance(turn, CommandTurn) and turn.verb not in VERBS and turn.argument:
            turn.argument = change(turn.argument)
    for finding in connection.findings:
        change_quotations(finding, change)
    connection.notes = [change(note) for note in connection.notes]
