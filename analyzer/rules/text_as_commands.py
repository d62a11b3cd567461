"""SEQ 113 and 125: mail text that the server reads as commands."""

# Each of these findings is about all the lines of the text; no other rule judges them (exchanges/text_as_commands.py).

from __future__ import annotations

from typing import TYPE_CHECKING

from ..exchanges.exchange import Mark
from ..exchanges.mail_data_tracking import TextKind
from .phrases import Code, Count, Field, Phrase
from .registry import Evidence, OnExchange, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange
    from ..exchanges.mail_data_tracking import TextAsCommands

__all__: list[str] = []


def _text_of(x: Exchange, talk: Conversation) -> TextAsCommands | None:
    """The text that starts with the line ``x``."""
    mail = talk.mail_tracking
    return None if mail is None else mail.texts.get(x.offset)


@rule(
    "SEQ113",
    "content-without-354",
    "error",
    "client",
    "RFC 5321 §3.3",
    on=OnExchange(marks=Mark.TEXT_AS_COMMANDS),
    explains=True,
)
def content_without_354(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Message text sent although DATA was not answered 354.

    Only 354 asks for the mail data. This client sent the message although the server had not answered DATA with 354, or
    without DATA, and the server reads each line of it as a command. If the server answered DATA with a success code
    other than 354, the server is at fault. Fix the client: send DATA, wait for the reply, and send the message only
    after 354. Fix the server: answer DATA with 354 or with a refusal.
    """
    text = _text_of(x, talk)
    if text is None:
        return
    if text.about is None:
        name = Field(x.raw.split(b":", 1)[0].decode("latin-1"))
        phrase = Phrase(
            "A header field ({field}:) was sent where a command belongs: no DATA came before it.", field=name
        )
        yield Evidence(phrase, count=text.count)
        return
    lines = Phrase("its {lines} lines as commands", lines=Count(text.count))
    if text.count == 1:
        lines = Phrase("this line as a command")
    yield Evidence(
        Phrase(
            "The text of the message was sent although DATA was answered {code}: the server reads {as_commands}.",
            code=Code(text.about.code),
            as_commands=lines,
        ),
        count=text.count,
        caused_by=(text.about,) if text.about.accepted else (),
    )


@rule(
    "SEQ125",
    "text-after-end-of-data",
    "error",
    "client",
    "RFC 5321 §4.5.2, §4.1.1.4",
    on=OnExchange(marks=Mark.TEXT_AFTER_END),
    explains=True,
)
def text_after_end_of_data(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """A line with a single dot inside the text ended the message early.

    A line that contains only a dot ends the mail data. If the text itself has such a line, the client must put a second
    dot in front of it, which the server removes. This client did not, so the server took the text up to there for the
    whole message, and read the rest of it as commands. A sender of text can use that to send commands to the server.
    Fix the client: put a dot in front of each line of the text that starts with a dot. Fix the server: close the
    connection if the lines after a message are no commands.
    """
    text = _text_of(x, talk)
    if text is None or text.about is None or text.about.content is None or text.kind is not TextKind.AFTER_END:
        return
    content = text.about.content
    dot = content.end_offset
    frame, time_ns = content.where(dot)
    lines = Phrase("the line after it as a command")
    if text.count > 1:
        lines = Phrase("the {lines} lines after it as commands", lines=Count(text.count))
    yield Evidence(
        Phrase(
            "A line with a single dot inside the text ended the message: a second dot has to be in front of it. The "
            "server read {as_commands}.",
            as_commands=lines,
        ),
        offset=dot,
        length=len(b".\r\n"),
        frame=frame,
        time_ns=time_ns,
        evidence=".",
        count=text.count,
    )
