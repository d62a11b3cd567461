"""RPL and EXT: refusals of well-formed commands that a server has to accept, or for which it gives a wrong reason."""

# The exact text of a refusal is not judged. Its code says what the server finds wrong: 500 and 501 mean the syntax, 502
# that the command is not implemented, 504 and 555 the parameters. A server may have other reasons of its own, which
# its enhanced status code shows (RFC 3463): x.7.z is policy, x.1.2 and x.1.8 are about a domain that does not exist.

from __future__ import annotations

from typing import TYPE_CHECKING

from ...dissectors.printable import printable
from ...dissectors.tables.keywords import BOUNDED_PARAMETERS, keyword_for
from ...dissectors.tables.sections import extension_sections
from ..exchanges.exchange import Mark
from ..exchanges.state_table import Act, Phase
from .line_faults import at_fault, misnamed
from .phrases import Code, Mailbox, Phrase, Term, Text
from .registry import Evidence, OnExchange, named, rule
from .reply_codes import NOT_JUDGED, is_judged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__: list[str] = []

_REQUIRED = frozenset({b"HELO", b"MAIL", b"RCPT", b"DATA", b"RSET", b"NOOP", b"QUIT"})
_ENVELOPE = frozenset({Act.MAIL, Act.RCPT})
_TRANSACTION = frozenset({Phase.MAIL, Phase.RCPT})
_SYNTAX = frozenset({"1.3", "1.7", "5.2", "5.4"})  # RFC 3463: bad syntax of an address or a command, bad arguments
_NO_SUCH_DOMAIN = frozenset({"1.2", "1.8"})
_ABOUT_SENDER = frozenset({"1.7", "1.8"})


def _subject(x: Exchange) -> str:
    """Subject and detail of the enhanced status code, such as "5.4"; "" if there is none."""
    reply = x.reply
    return "" if reply is None or reply.enhanced is None else reply.enhanced[2:]


def _is_policy(x: Exchange) -> bool:
    """Whether the server says that its reason is policy."""
    return _subject(x).startswith("7.")


def _is_sound(x: Exchange, talk: Conversation) -> bool:
    """Whether the client did nothing wrong, and the reply certainly answers this command."""
    return x.breaks is None and x.server_breaks is None and is_judged(x, talk) and not at_fault(x, talk)


@rule(
    "RPL423",
    "required-command-refused",
    "error",
    "server",
    "RFC 5321 §4.5.1, §4.3.2, §4.2.4",
    on=OnExchange(codes=frozenset({500, 502}), unless=NOT_JUDGED),
    hides=("RPL408",),
)
def required_command_refused(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Mandatory command answered 500 or 502.

    Every server must implement HELO, MAIL, RCPT, DATA, RSET, NOOP and QUIT, so a well-formed one is never unknown (500)
    or not implemented (502). Other codes exist for a server that refuses the command for another reason. If the server
    knows the command and refuses only its argument, or if the command is VRFY, the severity is a warning: a server
    should ignore the argument of NOOP, and one that does not verify addresses may answer VRFY with 252 or 502. Fix the
    server: implement the command.
    """
    command, subject = x.command, _subject(x)
    if command is None or (talk.profile == "lmtp" and x.act is Act.HELO):
        return  # LMTP has no HELO (RFC 2033 §4.1)
    asks = command.verb == b"VRFY" and x.code == 500 and x.before is not None and not x.before.hello.lists("VRFY")
    if not (asks or command.verb in _REQUIRED) or not is_judged(x, talk) or at_fault(x, talk):
        return
    if x.code == 500 and x.act in _ENVELOPE and subject in _SYNTAX:
        return  # RPL425 and EXT521 are about that
    argument = x.code == 500 and command.argument is not None and (subject == "5.4" or command.verb == b"NOOP")
    if argument:
        phrase = Phrase(
            "The server refuses the argument of {verb} with {code}; it should ignore it."
            if command.verb == b"NOOP"
            else "The server refuses the argument of a well-formed {verb} as unknown ({code}).",
            verb=named(x),
            code=Code(x.code),
        )
    else:
        phrase = Phrase(
            "The server refused a well-formed {verb} as {meaning} ({code}); every server must implement it.",
            verb=named(x),
            meaning=Term("unknown" if x.code == 500 else "not implemented"),
            code=Code(x.code),
        )
    milder = argument or asks or (x.code == 500 and subject == "5.4")
    reference = "RFC 5321 §4.5.1, §3.5.3, §7.3" if asks else None
    if command.verb == b"NOOP" and argument:
        reference = "RFC 5321 §4.1.1.9"
    yield Evidence(phrase, reply=True, severity="warning" if milder else None, reference=reference)


@rule(
    "RPL424",
    "ehlo-unsupported",
    "info",
    "server",
    "RFC 5321 §4.1.1.1, §2.2.1",
    on=OnExchange(acts=frozenset({Act.EHLO}), codes=frozenset({500, 502}), unless=NOT_JUDGED),
    severities={"rfc821": "off", "lmtp": "off"},
)
def ehlo_unsupported(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Server does not support EHLO.

    Servers have had to accept EHLO since 2001. Without it no extension can be used, and the client continues with HELO.
    Other refusals of EHLO are about the name, or policy. It is only an info although RFC 5321 says MUST, because mail
    can be sent after HELO too. Fix the server: implement EHLO. Fix the client: go on with HELO, without extensions.
    """
    if x.command is not None and x.command.verb == b"EHLO" and is_judged(x, talk) and not at_fault(x, talk):
        veil = None if talk.watching is None else talk.watching.veil
        phrase = Phrase("The server refused a well-formed EHLO with {code}.", code=Code(x.code))
        yield Evidence(phrase, reply=True, caused_by=(veil,))


@rule(
    "RPL425",
    "well-formed-called-syntax-error",
    "warning",
    "server",
    "RFC 5321 §4.2.2, §4.1.1.1, §4.1.2, §4.1.3",
    on=OnExchange(
        acts=frozenset({Act.EHLO, Act.HELO, Act.MAIL, Act.RCPT}), codes=frozenset({500, 501}), unless=NOT_JUDGED
    ),
)
def well_formed_called_syntax_error(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """A well-formed command refused as a syntax error.

    The name or the address follows the grammar of RFC 5321, but the server says that its syntax is wrong. Keywords, the
    tag IPv6: and hexadecimal digits may have any case, and a local-part may be quoted. A server that does not accept
    the name or the address for another reason has other codes, such as 504, 550 or 553. It is a warning, because a
    server may refuse them, and only the code is wrong. Fix the server: accept all that the grammar allows. Fix the
    client: until then, write the name or the address in its plainest form, in lower case and without quotation marks.
    """
    command = x.command
    if command is None or not _is_sound(x, talk):
        return
    subject = _subject(x)
    if _is_policy(x) or subject in _NO_SUCH_DOMAIN:
        return
    if x.act in _ENVELOPE:
        odd_name = misnamed(talk.session.causes.odd_name, talk)
        if command.parameters or odd_name or (x.code == 500 and subject not in _SYNTAX):
            return
    elif x.code == 500 or (command.verb == b"LHLO") != (talk.profile == "lmtp") or b" " in (command.argument or b""):
        return  # text after the name is an old form that a server need not accept
    argument = printable((command.argument or b"")[:80])
    phrase = Phrase(
        "{verb} {argument} is well-formed, but was answered {code} (syntax error).",
        verb=named(x),
        argument=Text(argument),
        code=Code(x.code),
    )
    yield Evidence(phrase, reply=True, series=printable(command.verb), unit="commands")


_NO_MAILBOX = frozenset({550, 551, 553})


@rule(
    "RPL426",
    "postmaster-refused",
    "error",
    "server",
    "RFC 5321 §4.5.1, §2.3.5, §4.1.1.3",
    on=OnExchange(
        marks=Mark.POSTMASTER | Mark.KNOWN_POSTMASTER, codes=_NO_MAILBOX | {500, 501, 554}, unless=NOT_JUDGED
    ),
    severities={"lmtp": "off"},
    hides=("RPL423", "RPL425"),
)
def postmaster_refused(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Postmaster is refused.

    Every server that accepts mail must accept it for the address <Postmaster> without a domain, and for postmaster at
    each domain for which it accepts mail. Problems with its mail are reported there. Fix the server: create the
    mailbox, and except it from tests of recipients.
    """
    command = x.command
    domain = None if command is None else command.mailbox[1]
    again = x.act is Act.EVENT  # judged once more, at the end of the connection: the server accepts mail for the domain
    ours = domain is not None and domain.lower() == _greeting_name(talk)
    if (domain is not None and (x.code not in _NO_MAILBOX or again == ours)) or (again and domain is None):
        return
    before = x.before
    if before is None or before.phase not in _TRANSACTION or not before.sure or not x.sure:
        return
    if not again and not _is_sound(x, talk):
        return
    if _is_policy(x) or _subject(x) in _ABOUT_SENDER:
        return
    address = b"" if command is None else command.address or b""
    phrase = Phrase(
        "The server refused <{address}> with {code}; every server has to accept mail for it.",
        address=Mailbox(printable(address[:80])),
        code=Code(x.code),
    )
    yield Evidence(phrase, reply=True)


def _greeting_name(talk: Conversation) -> bytes | None:
    """The name that the server gave in its greeting, in lower case."""
    greeting = talk.greeting
    if greeting is None or greeting.reply.code != 220:
        return None
    return greeting.reply.texts[0].split(b" ", 1)[0].lower()


@rule(
    "RPL427",
    "null-sender-refused",
    "warning",
    "server",
    "RFC 5321 §4.5.5, §3.6.3, §6.1; RFC 1123 §5.2.9",
    on=OnExchange(acts=frozenset({Act.MAIL}), codes=_NO_MAILBOX | {500, 501, 554, 555}, unless=NOT_JUDGED),
    severities={"submission": "off"},
    hides=("RPL423", "RPL425"),
)
def null_sender_refused(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """MAIL FROM:<> is refused.

    Delivery reports have the null reverse-path, so that a report that cannot be delivered does not cause another one. A
    server that refuses it gets no reports about its own mail. It is a warning although RFC 1123 says MUST, because the
    refusal may be meant for this client only. Fix the server: accept <> as the sender.
    """
    command = x.command
    if command is None or command.verb != b"MAIL" or command.address != b"" or not _is_sound(x, talk):
        return
    if _is_policy(x) or (x.code == 555 and command.parameters):
        return
    phrase = Phrase(
        "The server refused the null sender with {code}: delivery reports cannot reach it.", code=Code(x.code)
    )
    yield Evidence(phrase, reply=True)


_OPTIONAL = BOUNDED_PARAMETERS | {"REQUIRETLS", "MT-PRIORITY"}  # a server that offers these may refuse single values


@rule(
    "EXT521",
    "offered-parameter-refused",
    "error",
    "server",
    "RFC 5321 §2.2.1, §4.1.1.11; RFC 1870 §3; RFC 6152 §2; RFC 3461 §3; RFC 4954 §3(5), §5; RFC 6531 §3.1",
    on=OnExchange(
        acts=_ENVELOPE,
        codes=frozenset({500, 501, 504, 555}),
        unless=NOT_JUDGED | Mark.REQUIRETLS_CLEAR | Mark.OVER_DOMAINS | Mark.MISPLACED,
    ),
    severities={"rfc821": "off"},
    hides=("RPL408", "RPL423"),
)
def offered_parameter_refused(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Parameter of an extension that the server offers is refused.

    The EHLO reply lists the extension, so the server must accept its parameters with any legal value. Clients rely on
    the list, and cannot find out which parameter the server does not want. Fix the server: implement the parameter, or
    do not list the keyword. Fix the client: until then, send the command again without the parameter.
    """
    command, before = x.command, x.before
    if command is None or before is None or not command.parameters or not _is_sound(x, talk):
        return
    if _is_policy(x) or _subject(x) in _NO_SUCH_DOMAIN or not _OPTIONAL.isdisjoint(command.parameters):
        return
    names = list(command.parameters)
    keywords = [keyword_for(name, command.parameters[name]) for name in names]
    listed = [keyword for keyword in keywords if keyword is not None and before.hello.lists(keyword)]
    if len(listed) < len(names):
        return
    given = [name if value is None else f"{name}={printable(value[:40])}" for name, value in command.parameters.items()]
    phrase = Phrase(
        "The server offers {keywords}, but answered {code} to {verb} with {parameters}.",
        keywords=Term(", ".join(dict.fromkeys(listed))),
        code=Code(x.code),
        verb=named(x),
        parameters=Text(" and ".join(given)),
    )
    sections = extension_sections(names)
    reference = "RFC 5321 §2.2.1, §4.1.1.11" + (f"; {sections}" if sections else "")
    yield Evidence(phrase, reply=True, reference=reference)
