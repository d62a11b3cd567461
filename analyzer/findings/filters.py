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

    from ..model import Connection, Message

__all__ = ["ConnectionFilter"]

Network = IPv4Network | IPv6Network


class ConnectionFilter(Struct, frozen=True):
    """What a connection must have to be shown.

    ``connections``: first and last number of ranges. ``hosts``: of either side. ``senders`` and ``recipients``: parts
    of a mailbox in the envelope or the header, in lower case. ``codes``: starts of reply codes (``5``, ``451``).
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
            and (not self.codes or any(code.startswith(self.codes) for code in _codes(connection)))
            and (not self.verbs or not self.verbs.isdisjoint(_verbs(connection)))
            and (not self.senders or any(_holds(_senders(one), self.senders) for one in connection.messages))
            and (not self.recipients or any(_holds(_recipients(one), self.recipients) for one in connection.messages))
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


def _verbs(connection: Connection) -> Iterator[str]:
    for turn in connection.dialogue:
        if isinstance(turn, CommandTurn) and turn.verb:
            yield turn.verb.upper()


def _senders(message: Message) -> Iterator[str | None]:
    yield message.from_
    if message.header is not None:
        yield message.header.from_
        yield message.header.reply_to


def _recipients(message: Message) -> Iterator[str | None]:
    for recipient in message.recipients:
        yield recipient.address
    if message.header is not None:
        yield message.header.to
        yield message.header.cc


def _texts(connection: Connection) -> Iterator[str | None]:
    for turn in connection.dialogue:
        match turn:
            case CommandTurn():
                yield " ".join([turn.verb or "", turn.argument or ""])
            case ReplyTurn():
                for line in turn.lines:
                    yield f"{turn.code:03} {line}"
            case AuthTurn() | MalformedTurn():
                yield turn.text
            case _:
                pass
    for message in connection.messages:
        yield from (message.subject, message.message_id, *_senders(message), *_recipients(message))
    for finding in connection.findings:
        yield from (finding.message, finding.evidence)
    yield from connection.notes
