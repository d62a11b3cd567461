"""RPL: which code answers which command, and enhanced status codes (RFC 5321 §4.3.2, RFC 2034)."""

# RFC 5321 calls its table the usual replies, and clients cope with others: a refusal that it does not list is at most a
# warning. The first digit is another matter, for a client acts on it. A line with a fault of its own may be answered
# with any refusal (guard G6), and so may everything once the server has turned the client away.

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...dissectors.grammar.abnf import EXTENDED_STATUS
from ...dissectors.printable import printable
from ...dissectors.tables.codes import KNOWN_CODES, RFC821_CODES, describe_code
from ..exchanges.exchange import Mark
from ..exchanges.expected_replies import listed_codes
from ..exchanges.state_table import Act, Phase
from .line_faults import at_fault
from .registry import Evidence, OnExchange, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...dissectors.lines.replies import ReplyLine
    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__: list[str] = []

_GARBLED = Mark.EIGHT_BIT | Mark.NUL | Mark.BARE_LF | Mark.BARE_CR | Mark.SKIPPED | Mark.FOREIGN
_HURRIED = Mark.HASTY | Mark.AFTER_STARTTLS  # a server that did not offer pipelining may refuse to be hurried
_ORDER = Mark.CLIENT_ORDER | Mark.SERVER_ORDER
_MALFORMED = _GARBLED | _HURRIED | Mark.DEVIATION | Mark.NOT_OFFERED | Mark.LONG_LINE | Mark.OVER_SIZE | Mark.OVER_LIMIT
_FAULTY = _MALFORMED | _ORDER
_NO_SERVICE = frozenset({Phase.TURNED_AWAY, Phase.CLOSING, Phase.QUIT})
_POLICY = frozenset({450, 451, 550, 554})
_NO_COMMAND = frozenset({Act.GREETING, Act.NOTHING, Act.EVENT})


def _judged(x: Exchange, talk: Conversation) -> bool:
    """Whether it is certain what the reply answers, and in which state."""
    before = x.before
    return (
        before is not None
        and before.sure
        and x.sure
        and not x.doubted
        and not talk.replies_unreliable
        and x.act not in _NO_COMMAND
        and before.phase not in _NO_SERVICE
        and not (talk.session.due and talk.session.due[0].marks & _HURRIED)
    )


def _lacks_recipient(x: Exchange) -> bool:
    """Whether it is mail data though no recipient had been accepted, and nothing else was out of order."""
    return "SEQ105" in {x.breaks, x.server_breaks} <= {"SEQ105", None}


def _what(x: Exchange) -> str:
    if x.act is Act.END:
        return "the end of mail data"
    return (
        "a line of the AUTH exchange" if x.command is None else "an unknown command" if not x.command.spec else x.name
    )


@rule(
    "RPL408",
    "code-not-listed-for-command",
    "warning",
    "server",
    "RFC 5321 §4.3.2; RFC 821 §4.3; RFC 2033 §4.2",
    on=OnExchange(unusual=True, unless=_MALFORMED),
)
def code_not_listed_for_command(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Known reply code that the table does not list for this command.

    A client knows the refusals that RFC 5321 lists for a command; for another it can only go by the first digit. What
    servers commonly answer for reasons of policy is not reported.
    """
    code = x.code
    if x.act is Act.GREETING and code == 554 and talk.profile == "rfc821":
        yield Evidence(f"{code} is no greeting of RFC 821, which has 220 and 421.", reply=True, certain=True)
    if code < 400 or code == 503 or not _judged(x, talk) or x.before is None:
        return
    if x.marks & _ORDER:
        if code == 554 and talk.profile == "lmtp" and _lacks_recipient(x):
            yield Evidence(f"{x.name} had no accepted recipient; LMTP has 503 for that, not {code}.", reply=True)
        return
    keyword = None if x.command is None or x.command.spec is None else x.command.spec.keyword
    if code in {500, 502} and keyword is not None and x.before.hello.lists(keyword):
        return  # EXT512 says so
    if code in _POLICY and x.reply is not None and (x.reply.enhanced or "")[1:3] == ".7":
        return  # it says itself that the reason is policy
    codes = listed_codes(x, x.before.hello, talk.profile)
    known = RFC821_CODES if talk.profile == "rfc821" else KNOWN_CODES
    if codes is not None and code in known and code not in codes and not at_fault(x, talk):
        yield Evidence(f"{code} is no usual reply to {_what(x)} ({describe_code(code)}).", reply=True)


@rule(
    "RPL409",
    "unregistered-code",
    "warning",
    "server",
    "RFC 5321 §4.2",
    on=OnExchange(unusual=True, unless=Mark.SKIPPED | Mark.FOREIGN),
    hides=("RPL408",),
    formal=True,
)
def unregistered_code(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Reply code not defined by any SMTP specification.

    A client that does not know a code can only go by its first digit. In the profile rfc821 the codes of later
    specifications count as unknown too.
    """
    known = RFC821_CODES if talk.profile == "rfc821" else KNOWN_CODES
    private = x.command is not None and x.command.verb.startswith(b"X")
    if x.act is Act.EVENT or not x.code or x.code in known or private:
        return
    to = "" if x.act in _NO_COMMAND else f", in answer to {_what(x)},"
    certain = True if x.act is Act.GREETING and not talk.midstream else None
    yield Evidence(f"{x.code}{to} is defined by no specification of SMTP.", reply=True, certain=certain)


@rule(
    "RPL410",
    "success-class-mismatch",
    "error",
    "server",
    "RFC 5321 §4.3.2, §4.2.1",
    on=OnExchange(unusual=True, unless=_GARBLED),
    formal=True,
)
def success_class_mismatch(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """2yz or 3yz code that cannot belong to this command.

    A client acts on success: behind 354 it sends its message, behind 334 it answers a challenge. A positive reply that
    the command cannot have means that the two sides no longer agree on where they are.
    """
    code = x.code
    if code >= 400 or not _judged(x, talk) or x.before is None:
        return
    codes = listed_codes(x, x.before.hello, talk.profile)
    if codes is None or code in codes:
        return
    due = sorted(one for one in codes if one < 400)
    instead = f"; {' or '.join(map(str, due))} says success here" if due else "; a refusal is due"
    yield Evidence(f"{code} cannot answer {_what(x)}{instead}.", reply=True)


@rule(
    "RPL420",
    "reply-after-421",
    "warning",
    "server",
    "RFC 5321 §3.8, §4.2.2",
    on=OnExchange(marks=Mark.AFTER_421),
)
def reply_after_421(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Server goes on serving after 421.

    421 says that the server gives no more service and closes the connection. Whoever believed it has gone.
    """
    if x.accepted and not (x.act is Act.QUIT and x.code == 221) and x.sure and x.act not in _NO_COMMAND:
        yield Evidence(f"The server had said 421, yet it answered {_what(x)} with {x.code}.", reply=True)


_REQUIRED = frozenset({b"HELO", b"MAIL", b"RCPT", b"DATA", b"RSET", b"NOOP", b"QUIT"})


@rule(
    "RPL423",
    "required-command-refused",
    "error",
    "server",
    "RFC 5321 §4.5.1, §4.3.2, §4.2.4",
    on=OnExchange(codes=frozenset({500, 502}), unless=_FAULTY),
    hides=("RPL408",),
)
def required_command_refused(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Mandatory command answered 500 or 502.

    HELO, MAIL, RCPT, DATA, RSET, NOOP and QUIT are the least that every server implements, so a well-formed one is
    never unknown (500) or not implemented (502). A server that does not want it has other codes.
    """
    if talk.profile == "lmtp" and x.act is Act.HELO:
        return  # there it is no command at all (RFC 2033 §4.1)
    if x.command is not None and x.command.verb in _REQUIRED and _judged(x, talk) and not at_fault(x, talk):
        word = "unknown" if x.code == 500 else "not implemented"
        yield Evidence(f"{x.name} is well-formed, and the server calls it {word} ({x.code}).", reply=True)


@rule(
    "RPL424",
    "ehlo-unsupported",
    "info",
    "server",
    "RFC 5321 §4.1.1.1, §2.2.1",
    on=OnExchange(acts=frozenset({Act.EHLO}), codes=frozenset({500, 501, 502, 504}), unless=_FAULTY),
    severities={"rfc821": "off", "lmtp": "off"},
    hides=("RPL408",),
)
def ehlo_unsupported(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Server does not know EHLO.

    Servers have had to accept EHLO since 2001. Without it no extension can be used; the client goes on with HELO.
    """
    if x.command is not None and x.command.verb == b"EHLO" and _judged(x, talk) and not at_fault(x, talk):
        yield Evidence(f"The server refused a well-formed EHLO with {x.code}.", reply=True)


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

    Behind the message an LMTP server answers once for each recipient that it had accepted, in their order. With one
    reply more or less a client takes the outcome of one recipient for that of another.
    """
    if talk.profile != "lmtp" or not x.sure:
        return
    if x.act is Act.NOTHING:
        if x.code != 421:
            yield Evidence(f"{x.code} is one reply more than recipients were accepted.", reply=True)
    elif x.missing_replies:
        accepted = 0 if x.transaction is None else x.transaction.accepted
        yield Evidence(
            f"{accepted} recipients were accepted, and the message got "
            f"{accepted - x.missing_replies} of {accepted} replies.",
            reply=True,
        )


# -- enhanced status codes ---------------------------------------------------------------------------------------------

_STATUS = re.compile(EXTENDED_STATUS + rb" ").match
_LIKE_STATUS = re.compile(rb"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9])").match
_ODD_STATUS = OnExchange(marks=Mark.ODD_STATUS)
_HELLOS = frozenset({Act.EHLO, Act.HELO})


def _lines(x: Exchange) -> list[ReplyLine]:
    """Lines of the reply that must carry a status code (RFC 2034 §4)."""
    if x.reply is None or x.act in _HELLOS or x.act is Act.GREETING:
        return []
    return [line for line in x.reply.parts() if line.code is not None and line.code // 100 in {2, 4, 5}]


def _at(x: Exchange, line: ReplyLine, message: str, count: int = 1) -> Evidence:
    return Evidence(
        message,
        reply=True,
        offset=x.reply_offset + line.at,
        length=len(line.text) + 4,
        evidence=f"{line.code}{line.separator.decode()}{printable(line.text[:150])}",
        count=count,
    )


@rule(
    "RPL416",
    "enhanced-class-mismatch",
    "error",
    "server",
    "RFC 2034 §4; RFC 3463 §2",
    on=_ODD_STATUS,
    formal=True,
)
def enhanced_class_mismatch(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Class of the enhanced code contradicts the reply code.

    The first number of the status code says the same as the first digit of the reply: 2 success, 4 try again, 5 never.
    Where they differ, one client retries what another returns.
    """
    wrong = [line for line in _lines(x) if line.enhanced is not None and line.enhanced[0] != str(line.code)[0]]
    if wrong:
        first = wrong[0]
        yield _at(x, first, f"The reply is {first.code}, its status code {first.enhanced}.", len(wrong))


@rule("RPL417", "enhanced-code-missing", "warning", "server", "RFC 2034 §4; RFC 3463 §2", on=_ODD_STATUS, formal=True)
def enhanced_code_missing(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Enhanced code missing or malformed although offered.

    A server that lists ENHANCEDSTATUSCODES puts one, and a space, in front of the text of each line of each 2yz, 4yz
    and 5yz reply, those to the greeting and the hello excepted. Its numbers have no superfluous zeros.
    """
    wrong = [line for line in _lines(x) if _STATUS(line.text) is None]
    if wrong:
        like = _LIKE_STATUS(wrong[0].text)
        what = "has no status code"
        if like is not None and like[0] == wrong[0].text and wrong[0].enhanced is not None:
            what = f"ends right behind its status code {wrong[0].enhanced}; a space must follow"
        elif like is not None:
            what = f"begins with {like[0].decode()}, which is no status code"
        yield _at(x, wrong[0], f"The reply {x.code} {what}, though the server offers ENHANCEDSTATUSCODES.", len(wrong))


@rule("RPL418", "enhanced-code-inconsistent", "error", "server", "RFC 2034 §4", on=_ODD_STATUS, formal=True)
def enhanced_code_inconsistent(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Enhanced code differs between lines of one reply.

    All lines of a reply speak of one outcome, so they carry the same status code.
    """
    first: ReplyLine | None = None
    for line in _lines(x):
        if line.enhanced is None:
            continue
        if first is None:
            first = line
        elif line.enhanced != first.enhanced:
            yield _at(x, line, f"One reply carries the status codes {first.enhanced} and {line.enhanced}.")
            return
