"""Replace the names of people in a connection by pseudonyms."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import UNSET

from ...dissectors.tables.verbs import VERBS
from ..findings.rendering import RecordedFinding
from ..model import AuthTurn, CommandTurn, Endpoint, MalformedTurn, MessageTurn, ReplyTurn
from ..rules.phrases import IpAddress, Text
from .finding_texts import changed_value
from .pseudonyms import KnownPeople
from .report_texts import hidden_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from ..model import Connection, Finding, Header, TlsCertificate, Turn
    from ..rules.phrases import Value
    from .pseudonyms import Pseudonyms

__all__ = ["hide_people"]

MAX_FIELD = 8192  # characters of an address field that are searched
# What names a person or a machine in a distinguished name (RFC 4514 §3): common name, user id, mailbox.
_NAMED = re.compile(r"(?:^|[,+])(?:CN|UID|SN|givenName|emailAddress)=((?:[^,+\\]|\\.)+)")
_ESCAPED = re.compile(r"\\(.)")
_FIELD = re.compile(r"([!-9;-~]{1,76}[ \t]*:)(.*)", re.DOTALL)


def hide_people(connection: Connection, pseudonyms: Pseudonyms) -> None:
    """Replace mailboxes, subjects, message ids, and names, addresses and certificates of clients by pseudonyms, in
    place."""
    people = _known_people(connection, pseudonyms)
    pattern = people.pattern()

    def change(text: str) -> str:
        text = pseudonyms.mailboxes(text)
        return pattern.sub(people.replaced, text) if pattern is not None else text

    connection.client = Endpoint(pseudonyms.address(connection.client.address), connection.client.port)
    dialogue = connection.dialogue
    private: set[int] = set()  # replies to commands that ask for people
    for index, turn in enumerate(dialogue):
        if isinstance(turn, CommandTurn):
            if turn.argument:
                turn.argument = change(turn.argument)
            if turn.verb and turn.verb.encode() not in VERBS:
                turn.verb = change(turn.verb)
        elif isinstance(turn, ReplyTurn):
            answered = dialogue[turn.answers] if turn.answers is not None and turn.answers < len(dialogue) else None
            names_people = isinstance(answered, CommandTurn) and answered.verb in {"VRFY", "EXPN", "AUTH"}
            if names_people or isinstance(answered, AuthTurn):
                turn.lines = [hidden_text(text) if text else text for text in turn.lines]
                private.add(index)
            else:
                turn.lines = [change(text) for text in turn.lines]
        elif isinstance(turn, MalformedTurn):
            turn.text = change(turn.text)
    for message in connection.messages:
        message.from_ = _address(message.from_, pseudonyms)
        for recipient in message.recipients:
            recipient.address = _address(recipient.address, pseudonyms) or ""
        message.subject = pseudonyms.of("subject", message.subject) if message.subject else message.subject
        message.message_id = pseudonyms.message_id(message.message_id) if message.message_id else message.message_id
        if message.header is not None:
            _hide_in_header(message.header, pseudonyms)
    for certificate in _of_client(connection):
        _hide_certificate(certificate, pseudonyms)
    for finding in connection.findings:
        _hide_people_in_finding(finding, dialogue, change, private)
    connection.notes = [change(note) for note in connection.notes]


_MAILBOX = re.compile(r"(?<![A-Za-z0-9!#$%&'*+/=?^_`{|}~.-])[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]++@[A-Za-z0-9.-]{1,255}")


def _hide_in_header(header: Header, pseudonyms: Pseudonyms) -> None:
    """Replace addresses by pseudonyms and drop the display names; the Received fields are dropped too."""

    def mailboxes(text: str | None) -> str | None:
        return None if text is None else ", ".join(map(pseudonyms.mailboxes, _MAILBOX.findall(text[:MAX_FIELD])))

    header.from_, header.to, header.cc = map(mailboxes, (header.from_, header.to, header.cc))
    header.reply_to = mailboxes(header.reply_to)
    header.in_reply_to = None if header.in_reply_to is None else pseudonyms.message_id(header.in_reply_to)
    header.x_originating_ip = None
    header.received = []


def _of_client(connection: Connection) -> list[TlsCertificate]:
    return [] if connection.tls_session is UNSET else connection.tls_session.client_certificates


def _collect_of_certificate(certificate: TlsCertificate, pseudonyms: Pseudonyms, people: KnownPeople) -> None:
    """Add the names in a certificate of the client to ``people``."""
    people.add(certificate.subject, _distinguished(certificate.subject, pseudonyms))
    named = [_ESCAPED.sub(r"\1", value) for value in _NAMED.findall(certificate.subject)]
    for name in (*certificate.names, *named):
        local, at, _ = name.partition("@")
        is_host = not at and "." in name and " " not in name
        people.add(local, pseudonyms.address(name) if is_host else pseudonyms.of("user", local))


def _hide_certificate(certificate: TlsCertificate, pseudonyms: Pseudonyms) -> None:
    """Replace what says whose certificate it is. The issuer too: it may be the same person, or the next of the
    chain."""
    certificate.subject = _distinguished(certificate.subject, pseudonyms)
    certificate.issuer = _distinguished(certificate.issuer, pseudonyms)
    certificate.names = [pseudonyms.address(name) for name in certificate.names]
    certificate.serial = pseudonyms.of("serial", certificate.serial)
    certificate.sha256 = pseudonyms.of("certificate", certificate.sha256)


def _distinguished(name: str, pseudonyms: Pseudonyms) -> str:
    return f"CN={pseudonyms.of('name', name)}" if name else name


def _address(address: str | None, pseudonyms: Pseudonyms) -> str | None:
    if not address:
        return address
    return pseudonyms.mailboxes(address) if "@" in address else pseudonyms.of("user", address)


def _known_people(connection: Connection, pseudonyms: Pseudonyms) -> KnownPeople:
    """Return all names that this connection uses for people and their machines."""
    people = KnownPeople()
    for certificate in _of_client(connection):
        _collect_of_certificate(certificate, pseudonyms, people)
    _collect_names(connection, pseudonyms, people)
    return people


def _collect_names(connection: Connection, pseudonyms: Pseudonyms, people: KnownPeople) -> None:
    """Add to ``people`` the names in the dialogue and the findings."""
    address = connection.client.address
    people.add(address, pseudonyms.address(address))
    for finding in connection.findings:
        if isinstance(finding, RecordedFinding) and finding.phrase is not None:
            for known in finding.phrase.values.values():
                if isinstance(known, IpAddress):  # that of a proxy's client is nowhere else in the report
                    people.add(known, pseudonyms.address(known))
    for turn in connection.dialogue:
        if not isinstance(turn, CommandTurn) or not turn.argument:
            continue
        if turn.verb in {"EHLO", "HELO", "LHLO"}:
            name = turn.argument.strip()
            people.add(name, pseudonyms.of("host", name))
            people.add(name.strip("[]"), pseudonyms.of("host", name.strip("[]")))
        elif turn.verb in {"MAIL", "RCPT", "SEND", "SOML", "SAML"}:
            path = turn.argument.partition(":")[2].strip().partition(" ")[0].strip("<>")
            local = path.rpartition("@")[0] or path
            people.add(local, pseudonyms.of("user", local.strip('"')))
        elif turn.verb in {"VRFY", "EXPN"}:
            for word in turn.argument.strip("<>").split():
                local = word.strip("<>").partition("@")[0]
                people.add(local, pseudonyms.of("user", local))
        elif turn.verb in {"XCLIENT", "XFORWARD"}:
            for name, _, value in (word.partition("=") for word in turn.argument.split()):
                if name.upper() in {"NAME", "ADDR", "HELO", "LOGIN", "IDENT"}:
                    kind = "user" if name.upper() in {"LOGIN", "IDENT"} else "host"
                    people.add(value, pseudonyms.of(kind, value))


def _hide_people_in_finding(
    finding: Finding, dialogue: list[Turn], change: Callable[[str], str], private: Collection[int]
) -> None:
    turn = dialogue[finding.turn] if finding.turn is not None and finding.turn < len(dialogue) else None
    field = _FIELD.match(finding.evidence)
    if isinstance(turn, MessageTurn) and field:
        value = field[2].strip()
        finding.evidence = f"{field[1]} {hidden_text(value)}" if value else field[1]
    elif isinstance(turn, ReplyTurn) and finding.evidence and turn.lines and turn.lines[0].startswith("["):
        finding.evidence = f"{turn.code:03} {turn.lines[0]}"
    else:
        finding.evidence = change(finding.evidence)
    if not isinstance(finding, RecordedFinding) or finding.phrase is None:
        finding.message = change(finding.message)
    elif finding.turn in private:
        finding.phrase = finding.phrase.changed(_without_text)
    else:
        finding.phrase = finding.phrase.changed(lambda value: changed_value(value, change))


def _without_text(value: Value) -> Value:
    return Text(hidden_text(value)) if isinstance(value, Text) else value
