"""CMD and EXT: the parameters of MAIL and RCPT, their values, and the bounds that a server announces for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...dissectors.deviations import DeviationKind, quoted
from ...dissectors.grammar.parameters import find_parameter, is_legal_value
from ...dissectors.tables.keywords import MAIL_PARAMETERS, keyword_for
from ...dissectors.tables.sections import PARAMETER_SECTIONS, VALUE_SECTIONS
from ..exchanges.command_marks import judged_command
from ..exchanges.ehlo_offers import exceeded_bound, misplaced_parameters
from ..exchanges.exchange import Mark
from .command_deviations import ascii_deviations, deviations_of, evidence_at, malformed, part_of
from .extensions import EXTENDED, known_offer
from .phrases import Phrase, Term, Text
from .registry import Evidence, OnExchange, named, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__: list[str] = []


@rule(
    "CMD307",
    "bad-parameter-syntax",
    "error",
    "client",
    "RFC 5321 §4.1.2",
    on=malformed(DeviationKind.BAD_PARAMETER_SYNTAX),
)
def bad_parameter_syntax(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """MAIL or RCPT parameter does not follow the grammar.

    A parameter is a keyword of letters, digits and hyphens. It may be followed by "=" and a value that is not empty and
    contains no space, no control character and no other "=". One space comes before each parameter. Fix the client:
    encode such characters (xtext, RFC 3461 §4) or omit the parameter.
    """
    for d in ascii_deviations(x, DeviationKind.BAD_PARAMETER_SYNTAX):
        parameter = Text(part_of(x, d))
        yield evidence_at(
            x, d, Phrase('{verb} has a malformed parameter: "{parameter}".', verb=named(x), parameter=parameter)
        )


@rule(
    "CMD308",
    "bad-parameter-value",
    "error",
    "client",
    "RFC 1870 §3; RFC 6152 §2; RFC 3461 §4; RFC 4954 §5; RFC 2852 §4; RFC 4865 §3(4), §4.1(2); RFC 6710 §3(5), §7; "
    "RFC 7293 §3.1; RFC 6531 §3.4; RFC 8689 §2",
    on=malformed(DeviationKind.BAD_PARAMETER_VALUE),
)
def bad_parameter_value(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Known parameter with an illegal value.

    The RFC of each extension defines the values of its parameters. A server that lists the extension answers 501 to any
    other value. If the server does not list the extension, the parameter itself is wrong (EXT502), not its value. Fix
    the client: send a value that the RFC of the extension allows.
    """
    keywords = x.state.hello.keywords if x.state is not None and talk.server_seen else None
    command = judged_command(x)
    elsewhere = frozenset[str]()
    if x.marks & Mark.MISPLACED and command is not None and talk.profile != "rfc821":
        elsewhere = frozenset(misplaced_parameters(x.act, command))  # EXT519 is about these
    for d in deviations_of(x, DeviationKind.BAD_PARAMETER_VALUE):
        text = x.raw[d.at : d.at + d.length].strip(b" ")
        word, _, value = text.partition(b"=")
        name = word.decode("latin-1").upper()
        if name not in elsewhere and (keywords is None or keyword_for(name, value) in keywords):
            yield evidence_at(x, d, _illegal_value(x, text), reference=VALUE_SECTIONS.get(name))
            return
        for other, given in () if command is None else command.parameters.items():  # the deviation is at the first one
            known = keywords is None or keyword_for(other, given) in keywords
            if known and other not in elsewhere and not is_legal_value(other.encode("ascii", "replace"), given):
                text = other.encode("ascii", "replace") + (b"" if given is None else b"=" + given)
                yield Evidence(_illegal_value(x, text), reference=VALUE_SECTIONS.get(other))
                return


def _illegal_value(x: Exchange, parameter: bytes) -> Phrase:
    return Phrase(
        '{verb} has a parameter with an illegal value: "{parameter}".', verb=named(x), parameter=Text(quoted(parameter))
    )


@rule(
    "CMD309",
    "duplicate-parameter",
    "error",
    "client",
    "RFC 1870 §6; RFC 6152 §3; RFC 3461 §4.5; RFC 6710 §4.1(1)",
    on=malformed(DeviationKind.DUPLICATE_PARAMETER),
)
def duplicate_parameter(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Same parameter twice in one command.

    A parameter may be given only once. With two values it is not defined which one counts. Fix the client: send each
    parameter once.
    """
    for d in deviations_of(x, DeviationKind.DUPLICATE_PARAMETER):
        name = Text(quoted(x.raw[d.at : d.at + d.length].partition(b"=")[0].upper()))
        yield evidence_at(
            x, d, Phrase("{verb} has the parameter {parameter} more than once.", verb=named(x), parameter=name)
        )


_BOUND_SECTIONS = {"BY": "RFC 2852 §3", "HOLDFOR": "RFC 4865 §4.1(3)", "HOLDUNTIL": "RFC 4865 §4.1(4)"}


@rule(
    "EXT518",
    "announced-bound-exceeded",
    "warning",
    "client",
    "RFC 4865 §4.1(3), §4.1(4); RFC 2852 §3",
    on=OnExchange(marks=Mark.BOUNDED, unless=Mark.SKIPPED),
    severities=EXTENDED,
)
def announced_bound_exceeded(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Parameter beyond the bound that the server announced.

    FUTURERELEASE in the EHLO reply announces how long the server holds a message, in seconds and as a date. DELIVERBY
    announces the shortest time in which the server promises delivery. The server will refuse a value beyond these
    bounds. It is a warning also where RFC 4865 says MUST (HOLDFOR, HOLDUNTIL), because the server refuses the value and
    nothing is lost. Fix the client: compare the value with the bound before MAIL. Fix the server: announce another
    bound, if it can serve it.
    """
    hello, command = known_offer(x, talk), judged_command(x)
    if hello is None or command is None or DeviationKind.BAD_PARAMETER_VALUE in x.line.kinds:
        return
    found = exceeded_bound(command, hello)
    if found is not None:
        name, value, side, bound = found
        parameter = name + "=" + value
        phrase = Phrase(
            "{parameter} is {side} the {bound} that the server announced.",
            parameter=Text(parameter),
            side=Term(side),
            bound=Text(bound),
        )
        yield _at_parameter(x, name, phrase, _BOUND_SECTIONS[name])


@rule(
    "EXT519",
    "parameter-on-wrong-command",
    "error",
    "client",
    "RFC 1870 §3; RFC 6152 §2; RFC 6531 §3.1(4); RFC 3461 §4; RFC 4954 §3(5), §5; RFC 2852 §4; RFC 4865 §3(4); "
    "RFC 6710 §3(5); RFC 8689 §2; RFC 7293 §3.1",
    on=OnExchange(marks=Mark.MISPLACED, unless=Mark.SKIPPED),
    severities=EXTENDED,
)
def parameter_on_wrong_command(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Parameter of MAIL on RCPT, or of RCPT on MAIL.

    An extension adds its parameter to one of the two commands only. A server may refuse the other command because of
    it, whether it offers the extension or not. Fix the client: put the parameter on the command that it belongs to.
    """
    command = judged_command(x)
    if command is None:
        return
    names = misplaced_parameters(x.act, command)
    if names:
        right, wrong = ("MAIL", "RCPT") if names[0] in MAIL_PARAMETERS else ("RCPT", "MAIL")
        phrase = Phrase(
            "{parameter} is a parameter of {right}, not of {wrong}.",
            parameter=Term(names[0]),
            right=Term(right),
            wrong=Term(wrong),
        )
        yield _at_parameter(x, names[0], phrase, PARAMETER_SECTIONS[names[0]], len(names))


def _at_parameter(x: Exchange, name: str, phrase: Phrase, reference: str, count: int = 1) -> Evidence:
    """Evidence at the parameter ``name``, upper case, of the line."""
    found = find_parameter(x.raw, name)
    if found is None:
        return Evidence(phrase, reference=reference, count=count)
    start, end = found
    return Evidence(phrase, offset=x.offset + start, length=end - start, reference=reference, count=count)
