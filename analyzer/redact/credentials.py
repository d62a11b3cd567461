"""Hide credentials and message text in a connection, wherever they occur, including echoes by the server."""

# Every command and reply of every connection is checked here, and nearly none of them contains a secret. So the first
# check of a turn is one search for words that occur near secrets. Only a connection in which something was hidden is
# checked a second time, for echoes.

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..model import AuthTurn, CommandTurn, MalformedTurn, MessageTurn, ReplyTurn
from .secret_patterns import SecretHider, hidden

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..model import Connection, Finding, Turn

__all__ = ["VERBS", "hide_secrets", "is_plain_octets"]

# Verbs of lines that are always commands, regardless of the lines before them.
VERBS = frozenset(
    (
        *(
            "HELO",
            "EHLO",
            "LHLO",
            "MAIL",
            "SEND",
            "SOML",
            "SAML",
            "RCPT",
            "DATA",
            "BDAT",
            "BURL",
            "RSET",
            "VRFY",
            "EXPN",
        ),
        *("HELP", "NOOP", "QUIT", "TURN", "STARTTLS", "AUTH", "ETRN", "ATRN", "XCLIENT", "XFORWARD", "XEXCH50"),
    )
)
_PASSWORD_VERBS = frozenset(("PASS", "APOP", "LOGIN", "XAUTH", "AUTHINFO", "AUTHENTICATE"))
# Nearly every argument matches: a mailbox or a host name too short to contain a secret.
_PLAIN = (
    r"(?:FROM:<|TO:<)?[A-Za-z0-9._+-]{1,15}"
    r"(?:@[A-Za-z0-9.-]{1,60}>(?: SIZE=[0-9]{1,9}| BODY=(?:7BIT|8BITMIME)| SMTPUTF8){0,3}|\.[A-Za-z0-9.-]{1,60})"
)
_is_plain = re.compile(_PLAIN).fullmatch
is_plain_octets = re.compile(_PLAIN.encode()).fullmatch
_XCLIENT_LOGIN = re.compile(r"((?:^|[ \t])LOGIN=)(\S+)", re.IGNORECASE)
# Challenges without a secret: the empty one, and those of AUTH LOGIN ("Username:", "Password:", "User Name").
_PROMPTS = frozenset(
    ("", "VXNlcm5hbWU6", "UGFzc3dvcmQ6", "VXNlciBOYW1lAA==", "UGFzc3dvcmQA", "VXNlcm5hbWU=", "UGFzc3dvcmQ=")
)
# Findings quote only these parts of a message: header fields, dots that look like its end, and smuggled commands.
_QUOTABLE = re.compile(
    r"[!-9;-~]{1,76}[ \t]*:|(?:HELO|EHLO|LHLO|MAIL|RCPT|DATA|BDAT|RSET|QUIT|AUTH|STARTTLS|VRFY|NOOP)\b"
    r"|(?:\\x[0-9a-f]{2}|[. ])*$",
    re.IGNORECASE,
)


def hide_secrets(connection: Connection) -> None:
    """Replace credentials and message text in ``connection``, in place."""
    hider = SecretHider()
    stray, texts = _hide_in_commands(connection.dialogue, hider)
    _hide_in_replies(connection.dialogue, hider, stray)
    for finding in connection.findings:
        if finding.turn in texts:
            word, _, rest = finding.evidence.partition(" ")
            finding.evidence = f"{word} {hidden(rest)}" if rest else word
        else:
            _hide_in_finding(finding, connection.dialogue, hider, stray)
    if hider.words:
        echo = re.compile("|".join(map(re.escape, sorted(hider.words, key=len, reverse=True))), re.IGNORECASE)
        _change_quotations(connection, lambda text: echo.sub(lambda found: hidden(found[0]), text))


def _hide_in_commands(dialogue: Iterable[Turn], hider: SecretHider) -> tuple[set[int], set[int]]:
    """Return two sets of turns. First: lines that answer a challenge that never came. Second: lines of message text
    that the client sent as if DATA had been accepted. Of these the first word stays: the server took it for a verb."""
    stray: set[int] = set()
    texts: set[int] = set()
    announced_by = ""  # AUTH, DATA or BDAT: a line after it that is not a command is what it announced
    for index, turn in enumerate(dialogue):
        if type(turn) is CommandTurn:  # isinstance takes twice as long, and every turn passes here
            verb, argument = turn.verb or "", turn.argument or ""
            if verb in VERBS:
                if verb in {"XCLIENT", "XFORWARD"}:
                    turn.argument = _XCLIENT_LOGIN.sub(lambda found: found[1] + hider.hide(found[2]), argument)
                elif verb == "AUTH":
                    turn.argument = hider.credentials("", argument) if argument else turn.argument
                elif argument and not _is_plain(argument):
                    turn.argument = hider.client(f"{verb} {argument}")[len(verb) + 1 :]
                announced_by = verb if verb in {"AUTH", "DATA", "BDAT"} else ""
            elif announced_by in {"DATA", "BDAT"}:
                turn.argument = hidden(argument) if argument else turn.argument
                texts.add(index)
            elif announced_by or _like_an_answer(verb, argument):
                stray.add(index)
                turn.verb, turn.argument = None, hider.hide(f"{verb} {argument}".strip())
            else:
                _hide_in_unknown(turn, verb, argument, hider)
        elif type(turn) is AuthTurn:
            announced_by = "AUTH"
        elif type(turn) is MessageTurn:
            announced_by = ""
    return stray, texts


def _hide_in_unknown(turn: CommandTurn, verb: str, argument: str, hider: SecretHider) -> None:
    """Hide secrets in a line that is not an SMTP command: of another protocol, or misspelled."""
    if verb in _PASSWORD_VERBS:
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


def _hide_in_replies(dialogue: list[Turn], hider: SecretHider, stray: set[int]) -> None:
    has_login = bool(stray) or any(_is_login(turn) for turn in dialogue)
    for turn in dialogue:
        if type(turn) is ReplyTurn:
            if turn.code == 334:
                turn.lines = [text if text.strip() in _PROMPTS else hider.hide(text) for text in turn.lines]
                continue
            answered = turn.answers
            if has_login and answered is not None and (answered in stray or _is_login(dialogue[answered])):
                turn.lines = [hider.echoed(text) for text in turn.lines]
        elif type(turn) is MalformedTurn:
            turn.text = hider.client(turn.text)


def _is_login(turn: Turn) -> bool:
    return type(turn) is AuthTurn or (type(turn) is CommandTurn and turn.verb == "AUTH")


def _hide_in_finding(finding: Finding, dialogue: list[Turn], hider: SecretHider, stray: set[int]) -> None:
    text = finding.evidence
    if not text:
        return
    turn = dialogue[finding.turn] if finding.turn is not None and finding.turn < len(dialogue) else None
    if isinstance(turn, MessageTurn):
        finding.evidence = hider.client(text) if _QUOTABLE.match(text) else hidden(text)
    elif finding.turn in stray or (isinstance(turn, AuthTurn) and text != "*"):
        word = text.partition(" ")[0]
        if word.isalnum():  # rules name what they took for a verb, and the hider does not remember short words
            finding.message = re.sub(rf"\b{word}\b", hidden(word), finding.message, flags=re.IGNORECASE)
        finding.evidence = hider.hide(text)
    elif isinstance(turn, ReplyTurn):
        if turn.code == 334:
            finding.evidence = " ".join([text[:3], *turn.lines[:1]]).rstrip()
        elif turn.answers is not None and (turn.answers in stray or _is_login(dialogue[turn.answers])):
            finding.evidence = hider.echoed(text)
    elif isinstance(turn, CommandTurn) and turn.verb in {"XCLIENT", "XFORWARD"}:
        finding.evidence = _XCLIENT_LOGIN.sub(lambda found: found[1] + hider.hide(found[2]), text)
    elif isinstance(turn, CommandTurn) and turn.verb in _PASSWORD_VERBS:
        verb, blank, argument = text.partition(" ")
        finding.evidence = verb + blank + (hider.hide(argument) if argument else "")
    else:
        finding.evidence = hider.client(text)


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
        finding.evidence = change(finding.evidence)
        finding.message = change(finding.message)
    connection.notes = [change(note) for note in connection.notes]
