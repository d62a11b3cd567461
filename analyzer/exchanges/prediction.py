"""The answer of a server that follows the RFC to a command in its current state."""

# The tests are in the order in which a server would notice the problems: out of order (whatever the syntax), unknown
# verb, syntax, missing permission. If the RFC leaves the answer open, or the state is a guess, the prediction is
# "unknown": predictions are only useful if they are never guesses.

from __future__ import annotations

from typing import TYPE_CHECKING

from ...dissectors.lines.commands import DeviationKind
from ..lines.marks import Mark
from .ehlo_offers import command_keyword, mechanisms, missing_offer
from .state_table import Act, Phase

if TYPE_CHECKING:
    from collections.abc import Container

    from ..model import Predicted
    from .exchange import Exchange

__all__ = ["LAST_OPEN", "predict"]

_BAD_ARGUMENT = frozenset(
    {
        DeviationKind.BAD_HELLO_ARGUMENT,
        DeviationKind.MALFORMED_PATH,
        DeviationKind.SPACE_AROUND_COLON,
        DeviationKind.NULL_RECIPIENT,
        DeviationKind.BAD_PARAMETER_SYNTAX,
        DeviationKind.BAD_PARAMETER_VALUE,
        DeviationKind.DUPLICATE_PARAMETER,
        DeviationKind.ARGUMENT_NOT_ALLOWED,
        DeviationKind.ARGUMENT_MISSING,
        DeviationKind.BAD_BDAT_SYNTAX,
        DeviationKind.BAD_AUTH_ENCODING,
        DeviationKind.BAD_ADDRESS_LITERAL,
    }
)
_OPEN_IN_TRANSACTION = frozenset({Act.STARTTLS, Act.ATRN, Act.XCLIENT})
_TRANSACTION = frozenset({Phase.MAIL, Phase.RCPT})

LAST_OPEN = Phase.RCPT
"""Up to this phase, a plain command (see ``CommandLine.plain``) that is in order is certainly accepted."""


def predict(  # noqa: PLR0911 - one return for each reason
    x: Exchange, profile: str, disputed: Container[Act] = ()
) -> Predicted:
    """Return the expected reply to ``x`` in ``x.before``: "accept" or a code (RFC 5321 §4.3.2, §4.2.4).

    ``disputed``: commands that this server has earlier called out of order although they were not. Its view of the
    session evidently differs from the table, so its answer to the next one is unknown.
    """
    state, act, command = x.before, x.act, x.line.command
    assert state is not None
    assert command is not None
    phase = state.phase
    if phase is Phase.TURNED_AWAY:
        return "accept" if act is Act.QUIT else "503"  # RFC 5321 §3.1
    if not state.sure and act not in _ALWAYS:
        return "unknown"
    if phase in {Phase.CLOSING, Phase.QUIT, Phase.CONTENT}:
        return "unknown"
    if state.data_refused and act in _AFTER_REFUSED_DATA:
        return "unknown"  # RFC 5321 does not say whether a refused DATA ends the transaction
    if x.server_breaks is not None and not _not_offered(x):
        return "503"
    if command.spec is None:
        return "unknown" if command.verb.startswith(b"X") or state.hello.lists(command.name or "") else "500"
    if not command.raw.isascii() and not state.hello.lists("SMTPUTF8"):
        return "500"  # RFC 5321 §2.4
    if act is Act.AUTH and command.mechanism is not None and not _not_offered(x):
        return _by_form(x, profile)
    if (
        act in disputed
        or x.marks & Mark.MISPLACED
        or missing_offer(x, state.hello) is not None
        or (act in _OPEN_IN_TRANSACTION and phase in _TRANSACTION)
    ):
        return "unknown"
    return _by_form(x, profile)


def _by_form(x: Exchange, profile: str) -> Predicted:
    """Return the expected reply to a command that is in order: is it well-formed, implemented, permitted?"""
    state, act, command = x.before, x.act, x.line.command
    assert state is not None
    assert command is not None
    wrong_hello = (command.verb == b"LHLO") != (profile == "lmtp") if act in {Act.EHLO, Act.HELO} else False
    if wrong_hello:
        return "500"  # RFC 2033 §4.1
    if command.deviations and any(d.kind in _BAD_ARGUMENT for d in command.deviations):
        return "501"
    if act is Act.TURN:
        return "502"  # RFC 5321 App. F.1
    if act is Act.MAIL and command.verb != b"MAIL" and profile != "rfc821":
        return "accept" if state.hello.lists(command.verb.decode("ascii")) else "unknown"
    if act is Act.MAIL and profile == "submission" and not state.hello.authenticated:
        return "530"  # RFC 6409 §4.3
    if act is Act.AUTH and command.mechanism is not None and command.mechanism not in mechanisms(state.hello):
        return "504"  # RFC 4954 §4
    return "accept"


def _not_offered(x: Exchange) -> bool:
    """Whether the current EHLO reply does not list the command's extension: then 500, 502 and 503 are all in use."""
    assert x.command is not None
    assert x.before is not None
    keyword = command_keyword(x.command.verb)
    return keyword is not None and not x.before.hello.lists(keyword)


_ALWAYS = frozenset({Act.EHLO, Act.HELO, Act.RSET, Act.ANYTIME, Act.QUIT, Act.OTHER})
_AFTER_REFUSED_DATA = frozenset({Act.MAIL, Act.RCPT, Act.DATA, Act.BDAT, Act.LAST, Act.BURL})
