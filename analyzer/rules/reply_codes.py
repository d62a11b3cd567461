"""RPL: which codes answer which command, and enhanced status codes (RFC 5321 §4.3.2, RFC 2034)."""

# RFC 5321 calls the codes in its table the usual replies, and clients can handle others: a refusal that it does not
# list is at most a warning. The first digit is different, because a client acts on it. A server may use any refusal for
# a line that breaks a rule itself, and for every command after a greeting that refused service.

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...dissectors.printable import printable
from ...dissectors.tables.codes import KNOWN_CODES, RFC821_CODES, describe_code
from ..content.message_flaws import flaws_of
from ..content.octet_checks import Flaw
from ..exchanges.exchange import Mark
from ..exchanges.state_table import Act, Phase
from ..exchanges.usual_replies import listed_codes
from .line_faults import at_fault, misnamed
from .phrases import Code, Count, EnhancedStatus, Phrase, Term, Verb
from .registry import REFUSALS, Evidence, OnExchange, named, rule
from .reply_flaws import ReplyFlaw, status_lines, without_status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...dissectors.lines.replies import ReplyLine
    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__ = ["NOT_JUDGED", "is_judged"]

_GARBLED = Mark.EIGHT_BIT | Mark.NUL | Mark.LF_INSIDE | Mark.BARE_CR | Mark.SKIPPED | Mark.FOREIGN
_TOO_EARLY = Mark.HASTY | Mark.AFTER_STARTTLS  # a server that does not offer PIPELINING may refuse such commands
_ORDER = Mark.CLIENT_ORDER | Mark.SERVER_ORDER
_MALFORMED = (
    _GARBLED | _TOO_EARLY | Mark.DEVIATION | Mark.NOT_OFFERED | Mark.LONG_LINE | Mark.OVER_SIZE | Mark.OVER_LIMIT
)
NOT_JUDGED = _MALFORMED | _ORDER
_NO_SERVICE = frozenset({Phase.TURNED_AWAY, Phase.CLOSING, Phase.QUIT})
_CODES = frozenset(range(1, 1000))
_POLICY = frozenset({450, 451, 550, 554})
_ODD_LINES = Flaw.LONG_LINE | Flaw.BARE_NEWLINE | Flaw.NUL
_ABOUT_COMMANDS = frozenset({500, 501, 502, 503, 504})
_FOR_A_NAME = frozenset({501, 504, 550, 554})
_ENVELOPE = frozenset({Act.MAIL, Act.RCPT})
_NO_COMMAND = frozenset({Act.GREETING, Act.NOTHING, Act.EVENT})


def is_judged(x: Exchange, talk: Conversation) -> bool:
    """Whether it is certain which command the reply answers, and in which state."""
    before = x.before
    return (
        before is not None
        and before.sure
        and x.sure
        and not x.doubted
        and not talk.replies_unreliable
        and x.act not in _NO_COMMAND
        and before.phase not in _NO_SERVICE
        and not (talk.session.due and talk.session.due[0].marks & _TOO_EARLY)
    )


def _end_in_doubt(x: Exchange) -> bool:
    """Whether this is the end of mail data, and the server may have seen its end elsewhere, or expected none, or found
    fault with a line of the message. After a look-alike of the end it may defend itself with any code (RFC 5321
    §7.8)."""
    if x.act is not Act.END:
        return False
    flaws = 0 if x.content is None else flaws_of(x.content)
    if flaws & Flaw.LOOKALIKE:
        return True
    empty = x.transaction is None or not x.transaction.accepted
    return x.code in _ABOUT_COMMANDS and (empty or bool(flaws & _ODD_LINES))


def _recipient_missing(x: Exchange) -> bool:
    """Whether this is a mail data command without an accepted recipient, and nothing else was out of order."""
    return "SEQ105" in {x.breaks, x.server_breaks} <= {"SEQ105", None}


def _name(x: Exchange) -> Verb | Term:
    """The name of what the server answered, for a phrase."""
    if x.act is Act.END:
        return Term("the end of mail data")
    if x.command is None:
        return Term("a line of the AUTH exchange")
    return named(x) if x.command.spec else Term("an unknown command")


@rule(
    "RPL408",
    "code-not-listed-for-command",
    "warning",
    "server",
    "RFC 5321 §4.3.2; RFC 821 §4.3; RFC 2033 §4.2",
    on=OnExchange(unusual=True, codes=REFUSALS, unless=_MALFORMED),
)
def code_not_listed_for_command(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Known reply code that is not listed for this command.

    A client knows the meaning of the refusals that RFC 5321 lists for a command. For any other code it can only use the
    first digit. The end of mail data is no command, so 500 to 504, which are about commands, cannot answer it. Codes
    that servers commonly use for policy reasons are not reported. In LMTP, RFC 2033 demands 503 for DATA without a
    recipient; another refusal is a warning there too, because the client goes on in the same way. Fix the server: use a
    code that is listed for the command. Fix the client: act on the first digit of a code that it does not expect.
    """
    code = x.code
    if (code == 503 and x.act is not Act.END) or _end_in_doubt(x):
        return
    if x.act is Act.GREETING and code == 554 and talk.profile == "rfc821":
        phrase = Phrase("{code} is not a greeting of RFC 821, which lists 220 and 421.", code=Code(code))
        yield Evidence(phrase, reply=True, certain=True)
    if not is_judged(x, talk) or x.before is None:
        return
    if x.marks & _ORDER:
        if code == 554 and talk.profile == "lmtp" and _recipient_missing(x):
            phrase = Phrase(
                "The server answered {verb} without an accepted recipient with {code}; in LMTP it must answer 503.",
                verb=named(x),
                code=Code(code),
            )
            yield Evidence(phrase, reply=True)
        return
    keyword = None if x.command is None or x.command.spec is None else x.command.spec.keyword
    if code in {500, 502} and keyword is not None and x.before.hello.lists(keyword):
        return  # EXT512 reports this
    if code in _POLICY and x.reply is not None and (x.reply.enhanced or "")[1:3] == ".7":
        return  # its status code says that the reason is policy
    if code in _FOR_A_NAME and x.act in _ENVELOPE and misnamed(talk.session.causes.odd_name, talk):
        return  # many servers refuse a bad name only there
    codes = listed_codes(x, x.before.hello, talk.profile)
    known = RFC821_CODES if talk.profile == "rfc821" else KNOWN_CODES
    if codes is not None and code in known and code not in codes and not at_fault(x, talk):
        phrase = Phrase(
            "{code} is not a usual reply to {what} ({meaning}).",
            code=Code(code),
            what=_name(x),
            meaning=Term(describe_code(code)),
        )
        yield Evidence(phrase, reply=True)


@rule(
    "RPL409",
    "unregistered-code",
    "warning",
    "server",
    "RFC 5321 §4.2",
    on=OnExchange(unusual=True, codes=_CODES - RFC821_CODES, unless=Mark.SKIPPED | Mark.FOREIGN),
    hides=("RPL408",),
)
def unregistered_code(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Reply code not defined by any SMTP specification.

    A client that does not know a code can only use its first digit. In the profile rfc821 the codes of later
    specifications count as unknown too. Fix the server: use a defined code. Fix the client: act on the first digit of a
    code that it does not know.
    """
    known = RFC821_CODES if talk.profile == "rfc821" else KNOWN_CODES
    private = x.command is not None and x.command.verb.startswith(b"X")
    if x.act is Act.EVENT or x.code in known or private:
        return
    if talk.watching is not None and talk.watching.foreign == "TLS":
        return  # it answers the octets of a ClientHello
    to = Phrase("") if x.act in _NO_COMMAND else Phrase(", the reply to {what},", what=_name(x))
    certain = True if x.act is Act.GREETING and not talk.midstream else None
    phrase = Phrase("{code}{to} is not defined by any SMTP specification.", code=Code(x.code), to=to)
    yield Evidence(phrase, reply=True, certain=certain)


@rule(
    "RPL410",
    "success-class-mismatch",
    "error",
    "server",
    "RFC 5321 §4.3.2, §4.2.1",
    on=OnExchange(unusual=True, codes=_CODES - REFUSALS, unless=_GARBLED),
    explains=True,
)
def success_class_mismatch(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """2yz or 3yz code that cannot belong to this command.

    A client acts on success: after 354 it sends the message, after 334 it answers a challenge. If the command cannot
    have this positive reply, client and server no longer agree on the state of the session. So it is an error, unlike a
    refusal that is not listed (RPL408). Fix the server: answer with a code that belongs to the command.
    """
    code = x.code
    if not is_judged(x, talk) or x.before is None:
        return
    codes = listed_codes(x, x.before.hello, talk.profile)
    if codes is None or code in codes:
        return
    if x.reply is not None and not codes.isdisjoint(x.reply.codes or ()):
        return  # its lines have different codes, and one of them fits: RPL403 reports that
    positive = " or ".join(str(one) for one in sorted(codes) if one < 400)
    instead = Phrase("; the server should have refused it")
    if positive:
        instead = Phrase("; success would be {codes}", codes=Term(positive))
    phrase = Phrase("{code} is not a valid reply to {what}{instead}.", code=Code(code), what=_name(x), instead=instead)
    yield Evidence(phrase, reply=True)


@rule(
    "RPL420",
    "reply-after-421",
    "warning",
    "server",
    "RFC 5321 §3.8, §4.2.2",
    on=OnExchange(marks=Mark.AFTER_421),
)
def reply_after_421(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Server continues to serve after 421.

    421 means that the server provides no more service and closes the connection. Clients that rely on it have already
    closed the connection. It is a warning, because no RFC says how soon the connection has to close. Fix the server:
    close the connection after 421. Fix the client: close the connection after 421, and try again later.
    """
    if x.accepted and not (x.act is Act.QUIT and x.code == 221) and x.sure and x.act not in _NO_COMMAND:
        phrase = Phrase(
            "The server answered {what} with {code} after 421; it should have closed the connection.",
            what=_name(x),
            code=Code(x.code),
        )
        yield Evidence(phrase, reply=True)


# -- LMTP --------------------------------------------------------------------------------------------------------------


@rule(
    "RPL419",
    "lmtp-reply-count",
    "error",
    "server",
    "RFC 2033 §4.2, §4.3",
    on=OnExchange(marks=Mark.RECIPIENT_REPLIES, unless=Mark.BEYOND_END),
)
def lmtp_reply_count(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Number of LMTP end-of-data replies differs from the accepted recipients.

    After the message an LMTP server must send one reply for each recipient that it accepted, in the same order. With
    one reply too many or too few, a client assigns replies to the wrong recipients. Fix the server: send one reply for
    each accepted recipient. Fix the client: close the connection, and send the message again to recipients without a
    reply.
    """
    if talk.profile != "lmtp" or not x.sure:
        return
    if x.act is Act.NOTHING:
        if x.code != 421:
            phrase = Phrase(
                "{code} is one reply too many; there must be one for each accepted recipient.", code=Code(x.code)
            )
            yield Evidence(phrase, reply=True)
    elif x.act is Act.LAST and not (x.missing_replies or (x.transaction is not None and x.transaction.accepted)):
        yield Evidence(
            Phrase(
                "The server answered BDAT LAST without an accepted recipient with {code}; it gets no reply at all.",
                code=Code(x.code),
            ),
            reply=True,
        )
    elif x.missing_replies:
        accepted = 0 if x.transaction is None else x.transaction.accepted
        replies = accepted - x.missing_replies
        yield Evidence(
            Phrase(
                "{accepted} recipients were accepted, but the message got {replies} of {accepted} replies.",
                accepted=Count(accepted),
                replies=Count(replies),
            ),
            reply=True,
        )


# -- enhanced status codes ---------------------------------------------------------------------------------------------

_LIKE_STATUS = re.compile(rb"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9])").match
_NO_STATUS = Phrase("has no enhanced status code")
_WITH_STATUS = frozenset(Act) - {Act.EHLO, Act.HELO, Act.GREETING}
_STATUS_CLASS, _STATUS_MISSING, _STATUS_DIFFERS = (
    OnExchange(marks=Mark.ODD_STATUS, acts=_WITH_STATUS, reply=flaw)
    for flaw in (ReplyFlaw.STATUS_CLASS, ReplyFlaw.NO_STATUS, ReplyFlaw.STATUS_DIFFERS)
)


def _lines(x: Exchange) -> list[ReplyLine]:
    return [] if x.reply is None else status_lines(x.reply)


def _at(x: Exchange, line: ReplyLine, message: Phrase, count: int = 1, series: str | None = None) -> Evidence:
    return Evidence(
        message,
        reply=True,
        offset=x.reply_offset + line.at,
        length=len(line.text) + 4,
        evidence=f"{line.code}{line.separator.decode()}{printable(line.text[:150])}",
        count=count,
        series=series,
        unit="replies",
    )


@rule(
    "RPL416",
    "enhanced-class-mismatch",
    "error",
    "server",
    "RFC 2034 §4; RFC 3463 §2",
    on=_STATUS_CLASS,
)
def enhanced_class_mismatch(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Class of the enhanced code contradicts the reply code.

    The first number of the enhanced status code must have the same meaning as the first digit of the reply code: 2
    success, 4 temporary failure, 5 permanent failure. If they differ, some clients retry a message that others return.
    Fix the server: use the same class in both. Fix the client: act on the reply code, not on the enhanced one.
    """
    wrong = [line for line in _lines(x) if line.enhanced is not None and line.enhanced[0] != str(line.code)[0]]
    if wrong:
        first = wrong[0]
        phrase = Phrase(
            "The reply code is {code}, but its enhanced status code is {status}.",
            code=Code(first.code or 0),
            status=EnhancedStatus(first.enhanced),
        )
        yield _at(x, first, phrase, len(wrong))


@rule("RPL417", "enhanced-code-missing", "warning", "server", "RFC 2034 §4; RFC 3463 §2", on=_STATUS_MISSING)
def enhanced_code_missing(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Enhanced code missing or malformed although offered.

    A server that lists ENHANCEDSTATUSCODES must put an enhanced status code and a space before the text of each line of
    each 2yz, 4yz and 5yz reply, except the greeting and the replies to EHLO and HELO. Its numbers have no leading
    zeros. It is a warning although RFC 2034 says must, because the reply code still says what the result is. Fix the
    server: add the code, or do not list the keyword.
    """
    wrong = [] if x.answer is None else without_status(x.answer.reply)
    if wrong:
        like = _LIKE_STATUS(wrong[0].text)
        problem = _NO_STATUS
        if like is not None and like[0] == wrong[0].text and wrong[0].enhanced is not None:
            status = EnhancedStatus(wrong[0].enhanced)
            problem = Phrase("ends directly after its status code {status}, without a space", status=status)
        elif like is not None:
            status = EnhancedStatus(like[0].decode())
            problem = Phrase("starts with {status}, which is not a valid status code", status=status)
        phrase = Phrase(
            "The reply {code} {problem}, although the server offers ENHANCEDSTATUSCODES.",
            code=Code(x.code),
            problem=problem,
        )
        yield _at(x, wrong[0], phrase, len(wrong), "no code" if problem is _NO_STATUS else None)


@rule("RPL418", "enhanced-code-inconsistent", "error", "server", "RFC 2034 §4", on=_STATUS_DIFFERS)
def enhanced_code_inconsistent(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Enhanced code differs between lines of one reply.

    All lines of a reply describe one result, so they must have the same enhanced status code. Fix the server: repeat
    the code on each line.
    """
    first: ReplyLine | None = None
    for line in _lines(x):
        if line.enhanced is None:
            continue
        if first is None:
            first = line
        elif line.enhanced != first.enhanced:
            phrase = Phrase(
                "The lines of one reply have different status codes: {first} and {other}.",
                first=EnhancedStatus(first.enhanced),
                other=EnhancedStatus(line.enhanced),
            )
            yield _at(x, line, phrase)
            return
