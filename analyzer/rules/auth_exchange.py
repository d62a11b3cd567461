"""CMD and RPL: the form of responses in an AUTH exchange, and the replies to those that are wrong (RFC 4954 §4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...dissectors.deviations import DeviationKind
from ..exchanges.attack_marks import plain_fault
from ..exchanges.exchange import Mark
from ..exchanges.state_table import Act
from .phrases import Code, Count, Phrase, Term, Text
from .registry import Evidence, OnExchange, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__: list[str] = []

_LOGIN = frozenset({Act.AUTH, Act.ANSWER})
_GOES_ON = frozenset({235, 334})
_CANCELLED = frozenset({421, 501})


@rule(
    "CMD322",
    "bad-plain-response",
    "error",
    "client",
    "RFC 4616 §2",
    on=OnExchange(marks=Mark.BAD_PLAIN, acts=_LOGIN, unless=Mark.SKIPPED),
)
def bad_plain_response(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """AUTH PLAIN response is not authzid NUL authcid NUL password.

    The response of PLAIN has three parts with a NUL between them: the authorization identity, which is mostly empty,
    the user and the password. User and password must not be empty. The server cannot find them in any other text. The
    report never shows the response. Fix the client: put a NUL before the user and one before the password, and encode
    all of it in base64. Fix the server: answer 501 or 535, and do not guess what was meant.
    """
    response = x.raw if x.command is None else x.command.initial
    fault = None if response is None else plain_fault(response)
    if fault is None:
        return
    if fault.empty:
        phrase = Phrase("The {part} in the response of AUTH PLAIN is empty.", part=Term(fault.empty))
    else:
        phrase = Phrase(
            "The response of AUTH PLAIN holds {nuls} NUL in place of 2: authorization identity, NUL, user, NUL, "
            "password.",
            nuls=Count(fault.nuls),
        )
    yield Evidence(phrase)


@rule(
    "RPL428",
    "auth-reply-wrong",
    "error",
    "server",
    "RFC 4954 §4",
    on=OnExchange(marks=Mark.ODD_RESPONSE | Mark.DEVIATION, acts=_LOGIN, unless=Mark.SKIPPED | Mark.SPLIT_RESPONSE),
    hides=("RPL408",),
)
def auth_reply_wrong(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """AUTH goes on where 501 was required.

    The client cancels the exchange with "*", and the server must answer 501; another refusal is only a warning, because
    the exchange has ended all the same. It must answer 501 also to a response that is not base64, and to an initial
    response for a mechanism in which the server sends the first challenge. A server that goes on or accepts such a
    login has not checked it. Fix the server: answer 501.
    """
    code, command = x.code, x.command
    if not code or not x.sure or x.doubted:
        return
    if command is None and x.raw == b"*":
        if code not in _CANCELLED and (code >= 400 or code in _GOES_ON):
            phrase = Phrase("* was answered {code}; a cancelled exchange is answered 501.", code=Code(code))
            yield Evidence(phrase, reply=True, severity="warning" if code >= 400 else None)
    elif code not in _GOES_ON:
        return
    elif DeviationKind.BAD_AUTH_ENCODING in x.line.kinds:
        phrase = Phrase("The server answered {code} to a response that is not base64.", code=Code(code))
        yield Evidence(phrase, reply=True)
    elif x.marks & Mark.ODD_RESPONSE and command is not None:
        phrase = Phrase(
            "The server answered {code} to an initial response for {mechanism}, in which it has to speak first.",
            code=Code(code),
            mechanism=Text(command.mechanism or ""),
        )
        yield Evidence(phrase, reply=True)
