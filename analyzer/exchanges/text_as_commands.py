"""Mail text that a client sends where the server reads commands."""

# Theory
# ------
# A server that has not answered 354 reads the lines of a message as commands, and so it reads what follows a line with
# a single dot. To report an unknown command for each line would hide the one fault behind them. So lines that may be
# text wait until it is known what they are:
#
#   REFUSED     DATA was not answered 3yz, the client had seen that, and goes on with lines that are no commands: the
#               first one is a header field, or a lone dot comes later
#   NO_DATA     a header field of a message in an open transaction, without DATA
#   AFTER_END   lines that are no commands directly after the end of mail data, up to another lone dot
#
# Each of these lines still gets a reply, as an unknown command. The rules SEQ113 and SEQ125 report the first line, and
# no other rule judges any of them (Mark.SKIPPED).

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...dissectors.lazy_regex import LazyPattern
from ..lines.acts import Act
from ..lines.marks import Mark
from .mail_data_tracking import TextAsCommands, TextKind
from .state_table import Phase

if TYPE_CHECKING:
    from .conversation import Conversation
    from .exchange import Exchange

__all__ = ["end_text", "follow_text"]

MAX_TEXT = 1000  # lines of mail text sent as commands; after this many they are judged without waiting for the end

_MAIL_FIELD = LazyPattern(
    rb"(?:Date|From|To|Cc|Bcc|Subject|Sender|Reply-To|Message-ID|In-Reply-To|References|MIME-Version|Received|"
    rb"Return-Path|Content-[!-9;-~]+|X-[!-9;-~]+):",
    re.IGNORECASE,
)
_OPEN = frozenset({Phase.MAIL, Phase.RCPT})


def follow_text(talk: Conversation, x: Exchange) -> None:
    """Detect mail text among command lines. ``x`` is the line that came now."""
    mail = talk.mail_tracking
    text = None if mail is None else mail.text
    if text is not None:
        if text.ends_before(x):
            end_text(talk)
            return
        text.lines.append(x)
        text.early = talk.session.causes.early
        if x.raw == b".":
            text.to_dot = len(text.lines)
        if len(text.lines) >= MAX_TEXT or (text.kind is TextKind.REFUSED and text.to_dot > 1):
            end_text(talk)
        return
    causes = talk.session.causes
    refused = causes.data
    if refused is not None:
        causes.data = None
    command, state = x.line.command, x.state
    if x.act is not Act.OTHER or command is None or command.spec is not None or state is None:
        return
    if refused is not None and talk.session.in_view(refused):
        talk.mail.text = TextAsCommands(TextKind.REFUSED, refused, [x], early=causes.early)
    elif x.ahead is not None and x.ahead.act is Act.END:
        content = x.ahead.content
        if content is None or content.lookalike is None:
            talk.mail.text = TextAsCommands(TextKind.AFTER_END, x.ahead, [x], int(x.raw == b"."), early=causes.early)
    elif state.sure and state.phase in _OPEN and _MAIL_FIELD.match(x.raw):
        talk.mail.text = TextAsCommands(TextKind.NO_DATA, None, [x], early=causes.early)


def end_text(talk: Conversation) -> None:
    """Judge the lines that waited: it is known now what they are."""
    mail = talk.mail
    text, mail.text = mail.text, None
    if text is None:
        return
    lines, text.count = text.lines, text.measure()
    causes, early = talk.session.causes, text.early
    if text.count:
        mail.texts[lines[0].offset] = text
        lines[0].marks |= Mark.TEXT_AFTER_END if text.kind is TextKind.AFTER_END else Mark.TEXT_AS_COMMANDS
        for line in lines[: text.count]:
            line.marks |= Mark.SKIPPED
        if early is not None and early.marks & Mark.SKIPPED:
            early = lines[0]
    text.lines = lines[:1]
    now = causes.early if causes.early is not text.early else early
    if early is not None:
        causes.early = early  # they are judged as of then
    for x in lines:
        if x.reply_end >= 0:
            talk.judge.exchange(x, talk)
    if early is not None:
        causes.early = now
    elif text.kind is TextKind.AFTER_END and text.count and lines[0].in_flight:
        talk.session.begin_run(lines[0])  # no pipelined group, and the client has not waited since
