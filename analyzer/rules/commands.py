"""CMD: the grammar of one command line."""

# The dissector finds each deviation and its position. Each rule here reports one kind of deviation with the RFC that it
# breaks. A line with a bare CR or LF is judged up to the first one (`judged_command` in exchanges/command_marks.py).
# Lines of mail data that were sent in place of commands (SEQ113) are not judged.

from __future__ import annotations

from typing import TYPE_CHECKING

from ...dissectors.deviations import DeviationKind, quoted
from ...dissectors.grammar.host_names import is_untagged
from ..exchanges.command_marks import judged_command
from ..exchanges.exchange import Mark
from ..exchanges.state_table import Act
from .command_deviations import ascii_deviations, deviations_of, evidence_at, malformed, part_of
from .phrases import Host, Octets, Phrase, Term, Text, Verb
from .registry import Evidence, OnExchange, named, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange
    from ..model import Severity

__all__: list[str] = []


@rule(
    "CMD301",
    "unknown-command",
    "warning",
    "client",
    "RFC 5321 §2.2.2, §4.1.5, §4.2.4",
    on=malformed(DeviationKind.UNKNOWN_VERB),
)
def unknown_command(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Verb is neither registered nor an X- command.

    The client sent a verb that no RFC defines. Private verbs start with X and are not reported, nor are verbs that the
    server lists in its EHLO reply. Such lines are typing errors, probes for another protocol, or text that the server
    did not read in the way the client meant it. The server should answer 500. It is a warning although RFC 5321 says
    that verbs must be registered: the verb may be newer than this program. Fix the client: send only commands of SMTP
    and of the extensions that the server lists. Fix the server: list the verb in the EHLO reply, if it implements it.
    """
    if x.state is not None and x.state.hello.lists(x.name):
        return  # the server offers it
    for d in ascii_deviations(x, DeviationKind.UNKNOWN_VERB):
        verb = Verb(part_of(x, d))
        yield evidence_at(
            x, d, Phrase("{verb} is not a known command: it is not registered and does not start with X.", verb=verb)
        )


@rule(
    "CMD302",
    "bad-hello-argument",
    "error",
    "client",
    "RFC 5321 §4.1.1.1, §4.1.2",
    on=malformed(DeviationKind.BAD_HELLO_ARGUMENT),
)
def bad_hello_argument(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """EHLO, HELO or LHLO without a valid domain name.

    The argument of EHLO names the client. It must be a domain name (labels of letters, digits and inner hyphens,
    separated by dots) or, for a client without a name, its address in square brackets. The grammar does not allow
    underscores or a dot at the end. Fix the client: configure a valid host name. Fix the server: answer 501, or 250 to
    its own users if it does not need the name.
    """
    for d in ascii_deviations(x, DeviationKind.BAD_HELLO_ARGUMENT):
        if d.length:
            phrase = Phrase(
                '{verb} names the client "{client}", which is not a domain name.',
                verb=named(x),
                client=Host(part_of(x, d)),
            )
        else:
            phrase = Phrase(
                "{verb} was sent without the client's name; it needs a domain name or an address literal.",
                verb=named(x),
            )
        yield evidence_at(x, d, phrase)


@rule(
    "CMD304",
    "malformed-path",
    "error",
    "client",
    "RFC 5321 §4.1.1.2, §4.1.1.3, §4.1.2",
    on=malformed(DeviationKind.MALFORMED_PATH),
)
def malformed_path(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """MAIL or RCPT path does not follow the grammar.

    A path is a mailbox in angle brackets, local-part@domain. Only <> after FROM: and <Postmaster> after TO: have no
    domain. A local-part must be quoted if it contains characters that an atom cannot contain. A submission server may
    complete an address without a domain (RFC 6409 §4.2); there the finding is a warning if the server accepted the
    address. Fix the client: send complete addresses in angle brackets. Fix the server: refuse the address with 501 or
    553; if users submit their mail to it, it may complete the domain.
    """
    for d in ascii_deviations(x, DeviationKind.MALFORMED_PATH):
        path = x.raw[d.at : d.at + d.length]
        completed = talk.profile == "submission" and x.accepted and b"@" not in path and path[:1] + path[-1:] == b"<>"
        what = Phrase('"{path}"', path=Text(part_of(x, d))) if d.length else Phrase("An empty path")
        phrase = Phrase("{what} is not a valid path for {verb}: {why}.", what=what, verb=named(x), why=Term(d.detail))
        yield evidence_at(x, d, phrase, severity="warning" if completed else None)


@rule(
    "CMD305", "space-around-colon", "error", "client", "RFC 5321 §3.3", on=malformed(DeviationKind.SPACE_AROUND_COLON)
)
def space_around_colon(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """White space before or after the colon in MAIL FROM: or RCPT TO:.

    RFC 5321 names this error explicitly: no space is allowed on either side of the colon. Many servers accept the
    command, strict ones answer 501. If the server accepted it, the severity is a warning. Fix the client: remove the
    space. Fix the server: answer 501, or accept the space from its own users.
    """
    for d in deviations_of(x, DeviationKind.SPACE_AROUND_COLON):
        phrase = Phrase("{verb} has white space before or after the colon, where none is allowed.", verb=named(x))
        severity: Severity = "warning" if x.accepted else "error"
        yield evidence_at(x, d, phrase, severity=severity, series="colon", unit="commands")


@rule(
    "CMD306",
    "null-recipient",
    "error",
    "client",
    "RFC 5321 §4.1.1.3, §4.1.2",
    on=malformed(DeviationKind.NULL_RECIPIENT),
)
def null_recipient(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """RCPT with an empty path.

    The null path <> is only valid in MAIL, where it means that no bounce message should be sent. RCPT must name a
    recipient. Fix the client: do not send RCPT without an address.
    """
    for d in deviations_of(x, DeviationKind.NULL_RECIPIENT):
        yield evidence_at(x, d, "RCPT has the null path <>, which is not a forward-path; it must name a recipient.")


@rule(
    "CMD310",
    "argument-not-allowed",
    "error",
    "client",
    "RFC 5321 §4.1.1.4, §4.1.1.5, §4.1.1.10, §4.3.2; RFC 3207 §4",
    on=malformed(DeviationKind.ARGUMENT_NOT_ALLOWED),
)
def argument_not_allowed(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Argument on DATA, RSET, QUIT, TURN or STARTTLS.

    These commands have no argument. The server should answer 501. Fix the client: send the verb alone on its line.
    """
    for d in deviations_of(x, DeviationKind.ARGUMENT_NOT_ALLOWED):
        argument = Text(part_of(x, d))
        yield evidence_at(
            x, d, Phrase('{verb} takes no argument, but "{argument}" follows it.', verb=named(x), argument=argument)
        )


@rule(
    "CMD311",
    "argument-missing",
    "error",
    "client",
    "RFC 5321 §4.1.1.2, §4.1.1.3, §4.1.1.6, §4.1.1.7; RFC 4954 §4; RFC 1985 §5",
    on=malformed(DeviationKind.ARGUMENT_MISSING),
)
def argument_missing(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Required argument missing.

    MAIL needs FROM: and a path, and RCPT needs TO: and a path. VRFY and EXPN need a name, AUTH a mechanism, ETRN a node
    and BURL a URL. The server should answer 501. Fix the client: send the argument.
    """
    for d in deviations_of(x, DeviationKind.ARGUMENT_MISSING):
        word = {Act.MAIL: "FROM:", Act.RCPT: "TO:"}.get(x.act)
        missing = Phrase("its required argument") if word is None else Phrase("{word} and a path", word=Term(word))
        yield evidence_at(x, d, Phrase("{verb} was sent without {missing}.", verb=named(x), missing=missing))


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

    A path like <@a,@b:user@c> requests delivery through the hosts a and b. RFC 821 used source routes. Today clients
    should not send them, and servers may ignore or refuse them. Tests for open relays use them too. It is only an info
    although RFC 5321 says SHOULD NOT, because a server can ignore the route. Fix the client: send the plain address.
    Fix the server: ignore the route, or refuse the address with 550 or 553.
    """
    command = judged_command(x)
    if command is not None and command.path is not None and command.path.route:
        route = Text(quoted(b",".join(b"@" + hop for hop in command.path.route)))
        yield Evidence(Phrase("The path of {verb} has a source route through {route}.", verb=named(x), route=route))


@rule("CMD313", "bad-bdat-syntax", "error", "client", "RFC 3030 §2", on=malformed(DeviationKind.BAD_BDAT_SYNTAX))
def bad_bdat_syntax(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """BDAT arguments do not parse.

    BDAT has a decimal number of octets, optionally followed by the word LAST. Without the number the end of the chunk
    is unknown, so a server that continues reads message text as commands. Fix the client: send the size of the chunk.
    Fix the server: answer 501 and close, since the end of the chunk is unknown.
    """
    for d in deviations_of(x, DeviationKind.BAD_BDAT_SYNTAX):
        if d.length:
            phrase = Phrase(
                'BDAT has the arguments "{arguments}"; it needs a number of octets and, for the last chunk, LAST.',
                arguments=Text(part_of(x, d)),
            )
            yield evidence_at(x, d, phrase)
        else:
            yield evidence_at(x, d, "BDAT was sent without the number of octets in the chunk.")


@rule("CMD314", "bad-auth-encoding", "error", "client", "RFC 4954 §4", on=malformed(DeviationKind.BAD_AUTH_ENCODING))
def bad_auth_encoding(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """AUTH initial response or continuation is not base64.

    The data of the mechanism is encoded in base64: complete groups of four characters, with padding at the end. The
    initial response may be "=" instead, and a later line may be "*" to cancel. The server should answer 501. Fix the
    client: encode the response, and send it in one line, however long it is.
    """
    if x.marks & Mark.SPLIT_RESPONSE:
        message = Phrase(
            "The initial response of AUTH goes on in a second line ({length} bytes); it must be one line.",
            length=Octets(x.length),
        )
        yield Evidence(message)
        return
    if x.act is Act.ANSWER:
        if talk.server_seen:  # otherwise it is not certain that a challenge came before
            phrase = Phrase("A line of the AUTH exchange ({length} bytes) is not base64.", length=Octets(x.length))
            yield Evidence(phrase)
        return
    for d in deviations_of(x, DeviationKind.BAD_AUTH_ENCODING):
        length = Octets(d.length)
        yield evidence_at(x, d, Phrase("The initial response of AUTH ({length} bytes) is not base64.", length=length))


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

    These commands delivered messages to a user's terminal. RFC 5321 still lists them but advises against their use. If
    the server lists the verb in its EHLO reply, the severity is only info. Fix the client: use MAIL. Fix the server:
    answer 502, if it does not list the verb.
    """
    listed = x.state is not None and x.state.hello.lists(x.name)
    phrase = Phrase("{verb} is obsolete; the client should use MAIL.", verb=named(x))
    yield Evidence(phrase, severity="info" if listed else None)


_TRAILING = "blank at the end of the line"


@rule(
    "CMD316",
    "stray-whitespace",
    "info",
    "client",
    "RFC 5321 §4.1.1, §2.4",
    on=malformed(DeviationKind.STRAY_WHITESPACE),
)
def stray_whitespace(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Leading, trailing, repeated or TAB white space in a command line.

    The verb starts the line, one space separates two words, and no space comes before the line end. Servers should
    accept spaces at the end of the line; for the other cases the RFC does not say what a server does. It is only an
    info although the grammar allows none of them, because the meaning is clear all the same. Fix the client: send
    single spaces between words only. Fix the server: accept spaces at the end of the line.
    """
    for d in deviations_of(x, DeviationKind.STRAY_WHITESPACE):
        tolerated = Phrase("; servers should tolerate it" if d.detail == _TRAILING else "")
        phrase = Phrase(
            "{verb} has unexpected white space: {where}{tolerated}.",
            verb=named(x),
            where=Term(d.detail),
            tolerated=tolerated,
        )
        yield evidence_at(x, d, phrase)


@rule(
    "CMD317",
    "bad-address-literal",
    "error",
    "client",
    "RFC 5321 §4.1.3",
    on=malformed(DeviationKind.BAD_ADDRESS_LITERAL),
)
def bad_address_literal(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Malformed address literal.

    The brackets must contain an IPv4 address (four numbers up to 255), IPv6: and an IPv6 address, or another registered
    tag and a colon. The most common error is an IPv6 address without its tag. Fix the client: write the address in one
    of these forms.
    """
    for d in deviations_of(x, DeviationKind.BAD_ADDRESS_LITERAL):
        text = x.raw[d.at : d.at + d.length]
        why = Phrase("it must have the form [192.0.2.1] or [IPv6:2001:db8::1]")
        if is_untagged(text):
            why = Phrase("the tag IPv6: is missing before the address")
        phrase = Phrase("{literal} is not a valid address literal; {why}.", literal=Text(part_of(x, d)), why=why)
        yield evidence_at(x, d, phrase)


@rule(
    "CMD318", "empty-command", "warning", "client", "RFC 5321 §4.1.1, §2.4", on=malformed(DeviationKind.EMPTY_COMMAND)
)
def empty_command(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Empty command line.

    Where a command is expected, each line must start with a verb. Most empty lines follow a chunk with a wrong number
    of octets. The server should answer 500. It is a warning although the grammar has no such line, because an empty
    line does nothing. Fix the client: count the octets of the chunk, and send no empty lines.
    """
    for d in deviations_of(x, DeviationKind.EMPTY_COMMAND):
        yield evidence_at(x, d, "The client sent an empty line in place of a command.")
