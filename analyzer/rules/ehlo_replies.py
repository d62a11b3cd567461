"""RPL: what the replies to EHLO and HELO list (RFC 5321 §4.1.1.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...dissectors.printable import printable
from ...dissectors.tables.keywords import KEYWORDS
from ..exchanges.state_table import Act
from .phrases import Keyword, Phrase, Term, Text
from .registry import Evidence, OnExchange, rule
from .reply_flaws import ReplyFlaw, bad_ehlo_lines, first_word, listed_twice
from .reply_lines import line_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__: list[str] = []


@rule(
    "RPL413",
    "extended-reply-to-helo",
    "error",
    "server",
    "RFC 5321 §3.2",
    on=OnExchange(acts=frozenset({Act.HELO}), codes=frozenset({250}), reply=ReplyFlaw.KEYWORDS),
)
def extended_reply_to_helo(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """HELO answered with an EHLO-style capability list.

    A client that sends HELO may not know extensions, so a server must not list any in its reply. Fix the server: send
    one line with its name. Fix the client: send EHLO first, and use no extension after HELO.
    """
    if x.reply is not None:
        listed = [word for word in map(first_word, x.reply.texts[1:]) if word in KEYWORDS]
        phrase = Phrase(
            "The reply to HELO lists {keywords}, as if the client had sent EHLO.", keywords=Term(", ".join(listed))
        )
        yield Evidence(phrase, reply=True)


@rule(
    "RPL414",
    "bad-ehlo-line",
    "warning",
    "server",
    "RFC 5321 §4.1.1.1; RFC 4954 §3(3)",
    on=OnExchange(acts=frozenset({Act.EHLO}), codes=frozenset({250}), reply=ReplyFlaw.BAD_EHLO_LINE),
)
def bad_ehlo_line(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """EHLO reply line does not match ehlo-line.

    Each line after the first one is a keyword of letters, digits and hyphens, optionally followed by parameters after
    spaces. AUTH=LOGIN, which some very old clients expect, does not match this grammar; a server that sends it should
    also send AUTH LOGIN. AUTH without a mechanism is of no use to a client. It is a warning although the grammar is
    broken, because clients skip lines that they do not know. Fix the server: list keywords and parameters separated by
    spaces. Fix the client: skip lines that it does not know.
    """
    if x.answer is not None:
        bad = bad_ehlo_lines(x.answer.reply)
        text = bad[0].text
        phrase = Phrase(
            "The EHLO reply lists {line}, which is not a keyword with optional parameters.",
            line=Text(printable(text[:60])) if text else Term("an empty line"),
        )
        no_mechanism = text.strip().upper() == b"AUTH"
        if no_mechanism:
            phrase = Phrase("The EHLO reply lists AUTH without any mechanism.")
        yield Evidence(
            phrase,
            reference="RFC 4954 §3(3)" if no_mechanism else "RFC 5321 §4.1.1.1",
            reply=True,
            count=len(bad),
            **line_at(x.answer, talk, bad[0].at)._asdict(),
        )


@rule(
    "RPL415",
    "keyword-in-ehlo-greeting",
    "error",
    "server",
    "RFC 5321 §4.1.1.1",
    on=OnExchange(acts=frozenset({Act.EHLO}), codes=frozenset({250}), reply=ReplyFlaw.KEYWORD_FIRST),
)
def keyword_in_ehlo_greeting(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Capability keyword on the first line of the EHLO reply.

    The first line contains the name of the server. Clients read keywords from the second line on, so they miss this
    one. Fix the server: send its name on the first line.
    """
    if x.reply is not None and x.sure:  # after a gap it may not be the first line
        phrase = Phrase(
            "The EHLO reply starts with the keyword {keyword}; its first line should name the server.",
            keyword=Keyword(first_word(x.reply.texts[0])),
        )
        yield Evidence(phrase, reply=True)


@rule(
    "RPL429",
    "keyword-listed-twice",
    "warning",
    "server",
    "RFC 5321 §4.1.1.1",
    on=OnExchange(acts=frozenset({Act.EHLO}), codes=frozenset({250}), reply=ReplyFlaw.KEYWORD_TWICE),
    severities={"rfc821": "off"},
)
def keyword_listed_twice(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """EHLO reply lists a keyword twice with different parameters.

    No RFC forbids that, and none says which of the two lines holds, so it is a warning: some clients take the first
    one, some the last one. Fix the server: list each keyword once, with all its parameters. Fix the client: join the
    parameters of both lines.
    """
    answer = x.answer
    if answer is None:
        return
    for first, second in listed_twice(answer.reply):
        keyword = first_word(second.text)
        phrase = Phrase(
            "{keyword} is listed twice, {first} and {second}.",
            keyword=Keyword(keyword),
            first=_parameters(first.text).numbered(1),
            second=_parameters(second.text).numbered(2),
        )
        place = line_at(answer, talk, second.at)
        yield Evidence(phrase, reply=True, series=keyword, unit="replies", **place._asdict())


def _parameters(line: bytes) -> Phrase:
    """How a line of an EHLO reply lists its keyword."""
    words = line.split(maxsplit=1)
    listed = printable(words[1].strip()[:60]) if len(words) > 1 else ""
    return Phrase("as {listed}", listed=Keyword(listed)) if listed else Phrase("without a parameter")
