"""CMD: the grammar of one command line."""

# The dissector has found what is wrong and where; each rule here says which RFC a kind of deviation breaks and what
# that means. A line with bare CR or LF in it is judged up to the first of them (`judged` in usage.py), and lines of
# mail data that were sent as if they were commands (SEQ113) not at all.

from __future__ import annotations

from typing import TYPE_CHECKING

from ...dissectors.deviations import Deviation, DeviationKind, quoted
from ...dissectors.grammar.parameters import is_legal_value
from ...dissectors.tables.keywords import keyword_for
from ..exchanges.command_marks import judged_command
from ..exchanges.exchange import Mark
from ..exchanges.state_table import Act
from .registry import Evidence, OnExchange, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange
    from ..model import Severity

__all__: list[str] = []

_MALFORMED = OnExchange(marks=Mark.DEVIATION, unless=Mark.SKIPPED)
_BOM = b"\xef\xbb\xbf"


def _deviations(x: Exchange, kind: DeviationKind) -> Iterator[Deviation]:
    return (d for d in x.deviations if d.kind is kind)


def _ascii(x: Exchange, kind: DeviationKind) -> Iterator[Deviation]:
    """As above, without what bytes above 127 bring about: BIT201 and BIT209 speak of them."""
    for d in _deviations(x, kind):
        spoilt = x.marks & Mark.EIGHT_BIT and (
            x.raw.startswith(_BOM)
            or (x.command is not None and not x.command.verb.isascii())
            or not x.raw[d.at : d.at + d.length].isascii()
        )
        if not spoilt:
            yield d


def _at(x: Exchange, d: Deviation, message: str, *, severity: Severity | None = None) -> Evidence:
    return Evidence(message, offset=x.offset + d.at, length=d.length, severity=severity)


def _part(x: Exchange, d: Deviation) -> str:
    """The bytes that are wrong, printable."""
    return quoted(x.raw[d.at : d.at + d.length])


@rule("CMD301", "unknown-command", "warning", "client", "RFC 5321 §2.2.2, §4.1.5, §4.2.4", on=_MALFORMED)
def unknown_command(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Verb is neither registered nor an X- command.

    A command is one that an RFC defines, or a private one whose name begins with X. Others are typing errors, probes of
    another protocol, or the rest of something that the server did not read as the client meant it. The reply is 500.
    """
    for d in _ascii(x, DeviationKind.UNKNOWN_VERB):
        yield _at(x, d, f"{_part(x, d)} is no command: it is not registered and does not begin with X.")


@rule("CMD302", "bad-hello-argument", "error", "client", "RFC 5321 §4.1.1.1, §4.1.2", on=_MALFORMED)
def bad_hello_argument(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """EHLO, HELO or LHLO without a valid domain name.

    The hello names the client: by its domain name (labels of letters, digits and inner hyphens, joined by dots) or, if
    it has none, by its address in brackets. Underscores and a dot at the end are not part of that grammar.
    Fix the client: give it a proper host name.
    """
    for d in _ascii(x, DeviationKind.BAD_HELLO_ARGUMENT):
        if d.length:
            yield _at(x, d, f'{x.name} names the client "{_part(x, d)}", which is not a domain name.')
        else:
            yield _at(x, d, f"{x.name} was sent without the name of the client.")


@rule("CMD304", "malformed-path", "error", "client", "RFC 5321 §4.1.1.2, §4.1.1.3, §4.1.2", on=_MALFORMED)
def malformed_path(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """MAIL or RCPT path does not follow the grammar.

    A path is a mailbox in angle brackets, local-part@domain; only <> behind FROM: and <Postmaster> behind TO: have no
    domain. A local-part with other characters than atoms have must be quoted. A submission server may complete an
    address that lacks its domain (RFC 6409 §4.2); there this is a warning if the server accepted it.
    """
    for d in _ascii(x, DeviationKind.MALFORMED_PATH):
        path = x.raw[d.at : d.at + d.length]
        completed = talk.profile == "submission" and x.accepted and b"@" not in path and path[:1] + path[-1:] == b"<>"
        text = f'"{_part(x, d)}"' if d.length else "An empty path"
        yield _at(x, d, f"{text} is no valid path for {x.name}.", severity="warning" if completed else None)


@rule("CMD305", "space-around-colon", "error", "client", "RFC 5321 §3.3", on=_MALFORMED)
def space_around_colon(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Blank before or after the colon in MAIL FROM: or RCPT TO:.

    RFC 5321 names this breach: no space stands on either side of that colon. Many servers let it pass, strict ones
    answer 501.
    """
    for d in _deviations(x, DeviationKind.SPACE_AROUND_COLON):
        yield _at(x, d, f"{x.name} has a blank beside the colon, where none may stand.")


@rule("CMD306", "null-recipient", "error", "client", "RFC 5321 §4.1.1.3, §4.1.2", on=_MALFORMED)
def null_recipient(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """RCPT with an empty path.

    The null path belongs to MAIL, where it says that nobody wants a bounce. A recipient has to be named.
    """
    for d in _deviations(x, DeviationKind.NULL_RECIPIENT):
        yield _at(x, d, "RCPT names nobody: the null path <> is no forward-path.")


@rule("CMD307", "bad-parameter-syntax", "error", "client", "RFC 5321 §4.1.2", on=_MALFORMED)
def bad_parameter_syntax(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """MAIL or RCPT parameter does not follow the grammar.

    A parameter is a keyword of letters, digits and hyphens, and perhaps "=" with a value that is not empty and holds no
    blank, no control character and no other "=". One space stands before each.
    """
    for d in _ascii(x, DeviationKind.BAD_PARAMETER_SYNTAX):
        yield _at(x, d, f'{x.name} has a malformed parameter: "{_part(x, d)}".')


@rule(
    "CMD308",
    "bad-parameter-value",
    "error",
    "client",
    "RFC 1870 §3; RFC 6152 §2; RFC 3461 §4; RFC 4954 §5; RFC 2852 §4; RFC 4865 §4; RFC 6710 §4; RFC 7293 §3; "
    "RFC 6531 §3.4; RFC 8689 §2",
    on=_MALFORMED,
)
def bad_parameter_value(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Known parameter with an illegal value.

    The RFC of each extension says which values its parameters may have; a server that lists the extension answers 501
    to another one. Where the server does not list it the parameter itself is wrong (EXT502), not its value.
    """
    keywords = x.state.hello.keywords if x.state is not None and talk.server_seen else None
    for d in _deviations(x, DeviationKind.BAD_PARAMETER_VALUE):
        text = x.raw[d.at : d.at + d.length]
        word, _, value = text.strip(b" ").partition(b"=")
        if keywords is None or keyword_for(word.decode("latin-1").upper(), value) in keywords:
            yield _at(x, d, f'{x.name} has a parameter with an illegal value: "{quoted(text.strip(b" "))}".')
            return
        command = judged_command(x)
        for name, given in () if command is None else command.parameters.items():  # the deviation is the first of them
            if keyword_for(name, given) in keywords and not is_legal_value(name.encode("ascii"), given):
                text = name.encode("ascii") + (b"" if given is None else b"=" + given)
                yield Evidence(f'{x.name} has a parameter with an illegal value: "{quoted(text)}".')
                return


@rule("CMD309", "duplicate-parameter", "error", "client", "RFC 1870 §6; RFC 6152 §3; RFC 5321 §4.1.2", on=_MALFORMED)
def duplicate_parameter(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Same parameter twice in one command.

    A parameter is given at most once; with two values nobody can say which of them counts.
    """
    for d in _deviations(x, DeviationKind.DUPLICATE_PARAMETER):
        name = quoted(x.raw[d.at : d.at + d.length].partition(b"=")[0].upper())
        yield _at(x, d, f"{x.name} has the parameter {name} more than once.")


@rule(
    "CMD310",
    "argument-not-allowed",
    "error",
    "client",
    "RFC 5321 §4.1.1.4, §4.1.1.5, §4.1.1.10, §4.3.2; RFC 3207 §4",
    on=_MALFORMED,
)
def argument_not_allowed(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Argument on DATA, RSET, QUIT, TURN or STARTTLS.

    These verbs stand alone on their line. The reply is 501.
    """
    for d in _deviations(x, DeviationKind.ARGUMENT_NOT_ALLOWED):
        yield _at(x, d, f'{x.name} takes no argument, but "{_part(x, d)}" follows it.')


@rule(
    "CMD311",
    "argument-missing",
    "error",
    "client",
    "RFC 5321 §4.1.1.2, §4.1.1.3, §4.1.1.6, §4.1.1.7; RFC 4954 §4; RFC 1985 §5",
    on=_MALFORMED,
)
def argument_missing(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Required argument missing.

    MAIL needs FROM: and a path, RCPT needs TO: and a path; VRFY and EXPN ask for somebody, AUTH names its mechanism,
    ETRN a node and BURL a URL. The reply is 501.
    """
    for d in _deviations(x, DeviationKind.ARGUMENT_MISSING):
        word = {Act.MAIL: "FROM:", Act.RCPT: "TO:"}.get(x.act)
        what = "the argument that it needs" if word is None else f"{word} and a path"
        yield _at(x, d, f"{x.name} lacks {what}.")


@rule(
    "CMD312",
    "source-route",
    "info",
    "client",
    "RFC 5321 §4.1.1.3, App. C, App. F.2",
    on=OnExchange(marks=Mark.SOURCE_ROUTE, unless=Mark.SKIPPED),
    severities={"rfc821": "off"},
)
def source_route(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Source route in a path.

    <@a,@b:user@c> asks for delivery by way of a and b. RFC 821 used that; today clients should not send it, and servers
    may ignore or refuse it. It also tests relays.
    """
    command = judged_command(x)
    if command is not None and command.path is not None and command.path.route:
        route = quoted(b",".join(b"@" + hop for hop in command.path.route))
        yield Evidence(f"{x.name} asks for a source route by way of {route}.")


@rule("CMD313", "bad-bdat-syntax", "error", "client", "RFC 3030 §2", on=_MALFORMED)
def bad_bdat_syntax(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """BDAT arguments do not parse.

    BDAT has a decimal number of octets and perhaps the word LAST. Without the number nobody knows where the chunk ends,
    so a server that continues reads message text as commands.
    """
    for d in _deviations(x, DeviationKind.BAD_BDAT_SYNTAX):
        if d.length:
            yield _at(x, d, f'BDAT has "{_part(x, d)}" where a number of octets, and perhaps LAST, must stand.')
        else:
            yield _at(x, d, "BDAT lacks the number of octets that follow it.")


@rule("CMD314", "bad-auth-encoding", "error", "client", "RFC 4954 §4", on=_MALFORMED)
def bad_auth_encoding(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """AUTH initial response or continuation is not base64.

    What the mechanism says travels as base64: whole groups of four characters, padding at the end. The initial response
    may be "=" instead, and a later line "*" to give up. The reply is 501.
    """
    if x.act is Act.ANSWER:
        if talk.server_seen:  # else it is a guess that a challenge came before
            yield Evidence(f"A line of the AUTH exchange ({x.length} bytes) is not base64.")
        return
    for d in _deviations(x, DeviationKind.BAD_AUTH_ENCODING):
        yield _at(x, d, f"The initial response of AUTH ({d.length} bytes) is not base64.")


@rule(
    "CMD315",
    "obsolete-send-family",
    "warning",
    "client",
    "RFC 5321 App. F.6; RFC 821 §3.4",
    on=OnExchange(marks=Mark.OBSOLETE, unless=Mark.SKIPPED),
    severities={"rfc821": "off"},
)
def obsolete_send_family(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """SEND, SOML or SAML used.

    These delivered to a user's terminal. RFC 5321 keeps their names and advises against them: a client uses MAIL. Where
    the server lists the verb in its EHLO reply it is mentioned only.
    """
    listed = x.state is not None and x.state.hello.lists(x.name)
    yield Evidence(f"{x.name} is obsolete: MAIL opens a transaction.", severity="info" if listed else None)


@rule("CMD316", "stray-whitespace", "info", "client", "RFC 5321 §4.1.1, §2.4", on=_MALFORMED)
def stray_whitespace(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Leading, trailing, repeated or TAB white space in a command line.

    The verb begins the line, one space stands between two words, and none before the line end. Servers are told to
    tolerate blanks at the end; for the others each does as it likes.
    """
    for d in _deviations(x, DeviationKind.STRAY_WHITESPACE):
        yield _at(x, d, f"{x.name} has white space where none belongs: {d.detail}.")


@rule("CMD317", "bad-address-literal", "error", "client", "RFC 5321 §4.1.3", on=_MALFORMED)
def bad_address_literal(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Malformed address literal.

    In brackets stands an IPv4 address of four numbers up to 255, or IPv6: and an address, or another registered tag
    with a colon. An IPv6 address without its tag is the usual mistake.
    """
    for d in _deviations(x, DeviationKind.BAD_ADDRESS_LITERAL):
        yield _at(x, d, f"{_part(x, d)} is no valid address literal.")


@rule("CMD318", "empty-command", "warning", "client", "RFC 5321 §4.1.1, §2.4", on=_MALFORMED)
def empty_command(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Empty command line.

    Each line in command position begins with a verb. An empty one mostly follows a chunk whose octets were counted
    wrongly; the reply is 500.
    """
    for d in _deviations(x, DeviationKind.EMPTY_COMMAND):
        yield _at(x, d, "An empty line was sent where a command was due.")
