"""Finish what the end of a connection interrupts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lines.client_reader import Mode
from ..lines.command_line import says_quit
from .chunk_sizes import check_rest
from .judging import judge_late, judge_masked_greeting, judge_replies_inside, settle
from .lost_bytes import presume
from .mail_data import end_of_input
from .postmasters import judge_postmasters
from .prediction import predict
from .reply_pairing import show_unfinished
from .text_as_commands import end_text
from .tls_upgrade import clear_text_first, handshake_over

if TYPE_CHECKING:
    from .conversation import Conversation

__all__ = ["finish_open"]

_UNREADABLE = frozenset({Mode.OPAQUE, Mode.TLS_EXPECTED, Mode.TLS})


def finish_open(talk: Conversation) -> None:
    """Finish lines, replies and mail data that have no end, and judge what waits for that. Most connections end between
    two commands, with nothing of that."""
    reader, server, course, session = talk.reader, talk.server_reader, talk.course, talk.session
    if (
        reader.mode is Mode.COMMAND
        and reader.partial_line is None
        and server.partial_line is None
        and server.open_reply is None
        and not (server.opaque or session.due or talk.mail_tracking or talk.watching or talk.tls)
        and talk.greeting is not None
    ):
        return
    course.hanging = server.incomplete_reply
    course.opaque = reader.mode in _UNREADABLE or server.opaque
    if reader.mode in {Mode.CONTENT, Mode.CHUNK}:
        course.inside = reader.content
    if says_quit(reader.partial):
        course.quit_sent = True  # without its line end, which other rules report
    if server.unfinished_holds_two:
        session.doubt()
    presume(talk)
    if talk.mail_tracking is not None:
        check_rest(talk, talk.mail_tracking)
        judge_late(talk, talk.mail_tracking)
    end_of_input(talk)
    show_unfinished(talk)
    if talk.mail_tracking is not None:
        end_text(talk)
        judge_replies_inside(talk)
    if talk.watching is not None:
        judge_masked_greeting(talk, talk.watching)
    if talk.tls is not None and reader.mode is Mode.TLS:
        handshake_over(talk, talk.tls.session.facts)
    if talk.greeting is None and talk.client_seen:
        clear_text_first(talk)
    while session.due:
        x = session.due.pop(0)
        if x.before is None:
            x.before = session.state
            if x.line.command is not None:
                x.predicted = predict(x, talk.profile, session.causes.disputed)
        settle(talk, x)
    judge_postmasters(talk)
