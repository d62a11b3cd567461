"""Choose connections: by number, hosts, mailboxes, replies, commands, rules, text and time."""

# Theory
# ------
# A value of an option matches if one of the things that it is about does; a connection matches if each option that was
# given does. The filter sees what the report shows: after secrets were hidden, so that no search can find out a
# password, and before people are replaced by pseudonyms, so that their names can be searched for.

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import TYPE_CHECKING

from msgspec import Struct

from ..model import AuthTurn, CommandTurn, MalformedTurn, ReplyTurn
from ..timestamps import parse_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..model import Connection

__all__ = ["ConnectionFilter", "recipients_of", "senders_of"]

Network = IPv4Network | IPv6Network

_MAIL = frozenset({"MAIL", "SEND", "SOML", "SAML"})
_RCPT = frozenset({"RCPT"})


class ConnectionFilter(Struct, frozen=True):
    """What a connection must have to be shown.

    ``connections``: first and last number of ranges. ``hosts``: of either side. ``senders`` and ``recipients``: parts
    of a mailbox in the envelope or the header, in lower case. ``codes``: starts of reply codes (``5``, ``451``) or of
    enhanced ones (``5.7``).
    ``verbs``: in upper case. ``rules``: ids. ``texts``: in lower case, in any line, subject or finding. ``since_ns``
    and ``until_ns``: nanoseconds since 1970; the connection has a part in that time.
    """

    connections: tuple[tuple[int, int], ...] = ()
    hosts: tuple[Network, ...] = ()
    clients: tuple[Network, ...] = ()
    servers: tuple[Network, ...] = ()
    senders: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    verbs: frozenset[str] = frozenset()
    rules: frozenset[str] = frozenset()
    texts: tuple[str, ...] = ()
    since_ns: int | None = None
    until_ns: int | None = None

    @property
    def needs_headers(self) -> bool:
        """Whether the header fields of messages must be read."""
        return bool(self.senders or self.recipients)

    def matches(self, connection: Connection) -> bool:
        """Whether ``connection`` is wanted."""
        return (
            self._fits_number(connection.id)
            and self._fits_hosts(connection)
            and self._fits_time(connection)
            and (not self.rules or any(finding.rule in self.rules for finding in connection.findings))
            and (not self.codes or any(_has_code(code, self.codes) for code in _codes(connection)))
            and (not self.verbs or not self.verbs.isdisjoint(_verbs(connection)))
            and (not self.senders or _holds(_senders(connection), self.senders))
            and (not self.recipients or _holds(_recipients(connection), self.recipients))
            and (not self.texts or _holds(_texts(connection), self.texts))
        )

    def _fits_number(self, number: int) -> bool:
        return not self.connections or any(first <= number <= last for first, last in self.connections)

    def _fits_hosts(self, connection: Connection) -> bool:
        client, server = connection.client.address, connection.server.address
        wanted = ((self.hosts, (client, server)), (self.clients, (client,)), (self.servers, (server,)))
        return all(not networks or _is_in(networks, addresses) for networks, addresses in wanted)

    def _fits_time(self, connection: Connection) -> bool:
        if self.since_ns is not None and parse_time(connection.ended) < self.since_ns:
            return False
        return self.until_ns is None or parse_time(connection.started) <= self.until_ns


def _is_in(networks: Iterable[Network], addresses: Iterable[str]) -> bool:
    found = [ip_address(address) for address in addresses]
    return any(address in network for network in networks for address in found)


def _holds(texts: Iterable[str | None], parts: tuple[str, ...]) -> bool:
    return any(part in text.lower() for text in texts if text for part in parts)


def _codes(connection: Connection) -> Iterator[str]:
    for turn in connection.dialogue:
        if isinstance(turn, ReplyTurn):
            yield f"{turn.code:03}"
            if turn.enhanced is not None:
                yield turn.enhanced


def _has_code(code: str, wanted: tuple[str, ...]) -> bool:
    """Whether ``code`` is, or begins with, one of ``wanted``: ``5`` is no start of an enhanced code, ``5.7`` is one of
    ``5.7.1`` and not of ``5.70.1``."""
    if "." in code:
        return any("." in one and f"{code}.".startswith(f"{one}.") for one in wanted)
    return any(code.startswith(one) for one in wanted)


def _verbs(connection: Connection) -> Iterator[str]:
    for turn in connection.dialogue:
        if isinstance(turn, CommandTurn) and turn.verb:
            yield turn.verb.upper()


def senders_of(connection: Connection) -> Iterator[str]:
    """Yield the reverse-path of each MAIL, whether a message followed or not."""
    return _arguments(connection, _MAIL)


def recipients_of(connection: Connection) -> Iterator[str]:
    """Yield the forward-path of each RCPT, also if it was refused."""
    return _arguments(connection, _RCPT)


def _senders(connection: Connection) -> Iterator[str | None]:
    """Yield the senders, and those of the headers."""
    yield from senders_of(connection)
    for message in connection.messages:
        yield "<>" if message.from_ == "" else message.from_
        if message.header is not None:
            yield message.header.from_
            yield message.header.reply_to


def _recipients(connection: Connection) -> Iterator[str | None]:
    """Yield the recipients, and those of the headers."""
    yield from recipients_of(connection)
    for message in connection.messages:
        for recipient in message.recipients:
            yield recipient.address
        if message.header is not None:
            yield message.header.to
            yield message.header.cc


def _arguments(connection: Connection, verbs: frozenset[str]) -> Iterator[str]:
    """Yield the paths that these commands name."""
    for turn in connection.dialogue:
        if isinstance(turn, CommandTurn) and turn.verb in verbs and turn.argument:
            yield turn.argument.partition(":")[2].strip().partition(" ")[0]


def _texts(connection: Connection) -> Iterator[str | None]:
    for turn in connection.dialogue:
        match turn:
            case CommandTurn():
                yield " ".join([turn.verb or "", turn.argument or ""])
            case ReplyTurn():
                for line in turn.lines:
                    yield f"{turn.code:03} {line}"
                    yield f"{turn.code:03}-{line}"
            case AuthTurn() | MalformedTurn():
                yield turn.text
            case _:
                pass
    for message in connection.messages:
        yield from (message.subject, message.message_id)
    yield from _senders(connection)
    yield from _recipients(connection)
    for finding in connection.findings:
        yield from (finding.message, finding.evidence)
    yield from connection.notes
