"""CMD: names that only the client's own machine or network knows, in its hello and in its addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...dissectors.grammar.host_names import LOCAL_SUFFIXES, is_dotted_quad
from ...dissectors.printable import printable
from ..exchanges.exchange import Mark
from ..exchanges.state_table import Act
from .line_faults import not_qualified
from .phrases import Host, Mailbox, Phrase, Term
from .registry import Evidence, OnExchange, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__: list[str] = []

_PROFILES = {"submission": "info", "lmtp": "off"}
MAX_NAME = 64  # bytes of a name that are quoted


@rule(
    "CMD320",
    "hello-not-qualified",
    "warning",
    "client",
    "RFC 5321 §2.3.5, §4.1.1.1, §4.1.4",
    on=OnExchange(
        marks=Mark.UNQUALIFIED | Mark.SERVERS_NAME, acts=frozenset({Act.EHLO, Act.HELO}), unless=Mark.SKIPPED
    ),
    severities=_PROFILES,
)
def hello_not_qualified(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Hello name is no fully-qualified name.

    In EHLO the client names its host with the name by which the DNS knows it, or, if it has none, with its address in
    square brackets. A single label, a name like localhost, an address without brackets, or the server's own name says
    nothing about the client, and many servers refuse it or take the mail for spam. A server may refuse it. RFC 5321
    says MUST, but only if the client can know its full name, which no capture shows; so it is a warning. For submission
    it is an info, because the computers of users seldom have such a name. Fix the client: configure the full name of
    the host, or let it send its address in brackets. Fix the server: refuse only clients from outside for such a name,
    not its own users.
    """
    command = x.command
    name = None if command is None else command.hello_name
    if name is None or not not_qualified(x, talk):
        return
    shown = Host(printable(name[:MAX_NAME]))
    if x.marks & Mark.UNQUALIFIED:
        why, literal = _fault(name), Phrase(", or an address literal")
        if name[:1] == b"[":
            phrase = Phrase("{name} is not the address of any host.", name=shown)
        elif is_dotted_quad(name):
            phrase = Phrase("{name} has no brackets: an address is written [{name}].", name=shown)
        else:
            phrase = Phrase(
                "{name} {why}: the name has to be fully qualified{literal}.", name=shown, why=why, literal=literal
            )
    else:
        phrase = Phrase("The client gave the server's own name, {name}.", name=shown)
    yield Evidence(phrase, series=printable(name.lower()), unit="commands")


@rule(
    "CMD321",
    "domain-not-qualified",
    "warning",
    "client",
    "RFC 5321 §2.3.5, §4.1.2",
    on=OnExchange(marks=Mark.UNQUALIFIED, acts=frozenset({Act.MAIL, Act.RCPT}), unless=Mark.SKIPPED),
    severities=_PROFILES,
)
def domain_not_qualified(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Domain of an envelope address is not fully qualified.

    An address in MAIL or RCPT needs the full domain. No other host can send a reply or a delivery report to an address
    at localhost or at a name without a dot, so many servers refuse it. It is a warning although RFC 5321 says MUST NOT,
    because the address may come from another program. For submission it is an info, because the server may complete the
    domain (RFC 6409 §4.2). Fix the client: configure the domain that it adds to local addresses, and write the address
    of a host in brackets. Fix the server: if users submit their mail to it, let it complete the domain.
    """
    command = x.command
    local, domain = (None, None) if command is None else command.mailbox
    if local is None or domain is None or not not_qualified(x, talk):
        return
    address = Mailbox(printable((local + b"@" + domain)[:MAX_NAME]))
    shown = Host(printable(domain[:MAX_NAME]))
    if is_dotted_quad(domain):
        phrase = Phrase("{address}: an address is written in brackets, [{domain}].", address=address, domain=shown)
    else:
        phrase = Phrase(
            "{address}: {domain} {why} and is not fully qualified.", address=address, domain=shown, why=_fault(domain)
        )
    yield Evidence(phrase, series=printable(domain.lower()), unit="commands")


def _fault(name: bytes) -> Phrase:
    """What makes ``name`` not fully qualified."""
    last = name.rpartition(b".")[2].lower()
    if b"." in name and last in LOCAL_SUFFIXES:
        return Phrase("ends in .{suffix}, which only one network knows", suffix=Term(last.decode("ascii")))
    return Phrase("is a single label")
