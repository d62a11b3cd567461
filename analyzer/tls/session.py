"""One TLS session: who said hello, which keys protect each direction, and what is inside."""

# Theory
# ------
# Each direction has its own records, keys and sequence numbers, and changes its keys on its own:
#
#   TLS 1.3     ServerHello → handshake keys of both; Finished → application keys of its sender; KeyUpdate → the next
#               ones. A client that sends early data starts with a key of the old session, until EndOfEarlyData.
#   before it   ChangeCipherSpec → the keys of the last ServerHello, in a renegotiation too.
#
# A key log may give several secrets for one purpose, wrong ones among them, or none. So a change of keys only sets
# `candidates`, and the first record that one of them opens decides.
#
# After lost bytes, or a record that cannot be opened, the next records are tried with the numbers that may have come
# next, and with the keys that may have. The number that fits says how many records are missing. What cannot be opened
# is never passed on, and nothing is passed on before its tag or MAC was checked.
#
# If the server refuses early data, it was never said. So it is held until EncryptedExtensions show that.

from __future__ import annotations

from typing import TYPE_CHECKING

from ...dissectors.tables.tls_alerts import alert_name
from ..limits import TLS_EARLY_BYTES
from .certificates import read_chain
from .direction import Direction, OlderParameters
from .facts import CLOSE_NOTIFY, FATAL, Alert, Side, TlsFacts
from .hellos import (
    read_client_hello,
    read_encrypted_extensions,
    read_server_hello,
    read_server_key_exchange_bits,
    read_server_key_exchange_group,
)
from .opening import RecordOpener
from .records import ALERT, CHANGE_CIPHER, DATA, HANDSHAKE, HEADER, SSL2, Place
from .session_secrets import SessionSecrets
from .suites import SUITES

if TYPE_CHECKING:
    from .direction import Stage
    from .handler import TlsHandler
    from .hellos import ClientHello
    from .key_log import KeyLog

__all__ = ["TlsReader"]

TLS13 = 0x0304
_CLIENT_HELLO, _SERVER_HELLO, _END_OF_EARLY_DATA, _ENCRYPTED_EXTENSIONS = 1, 2, 5, 8
_CERTIFICATE, _SERVER_KEY_EXCHANGE, _FINISHED, _KEY_UPDATE = 11, 12, 20, 24
_RECORD = 200  # octets that a record takes beside its bytes


class TlsReader:
    """Takes the bytes of both sides by ``take``, in the order in which they came, and calls its handler.

    ``waiting``: the session's secrets are not in the key log, but may still come; what comes meanwhile is kept by the
    caller, until ``go_on``.
    """

    __slots__ = (
        "_first",
        "_hello",
        "_opener",
        "_secrets",
        "_sides",
        "_unarmed",
        "facts",
        "handler",
        "waiting",
    )

    handler: TlsHandler

    def __init__(self, keys: KeyLog | None = None) -> None:
        self.facts = TlsFacts()
        self.waiting = False
        self._secrets = SessionSecrets(keys)
        self._sides: dict[Side, Direction] = {"client": Direction("client"), "server": Direction("server")}
        self._opener = RecordOpener(self, self._sides, self._secrets, self.facts)
        self._hello: ClientHello | None = None  # the last one
        self._unarmed: list[Direction] = []
        self._first = b""  # the first octet of a hello in the form of SSL 2, alone in its segment

    @property
    def weight(self) -> int:
        """About how many bytes are kept."""
        total = 0
        for one in self._sides.values():
            total += one.cutter.weight + one.messages.weight
            total += one.held + _RECORD * len(one.pending) if one.pending is not None else 0
        return total

    def detach(self) -> None:
        """Cut what refers back to the session, which is over."""
        del self.handler, self._opener

    def take(self, side: Side, data: bytes, place: Place) -> None:
        """Take the next bytes of ``side``."""
        one = self._sides[side]
        if one.over:
            self.facts.unread[side] += len(data)
            if one.hidden:
                self.handler.lost(side, len(data), place, 0)
            return
        if side == "client" and not (self.facts.saw_client_hello or one.cutter.unfinished or one.lost_at):
            data, place = self._pass_over_old_hello(one, data, place)
        one.cutter.add(data, place)
        one.rejected = False
        self._read(one)
        if one.rejected and not one.cutter.aligned:
            self._opener.lose(one, place, 0)  # none of it can be read, and the other side may answer it

    def gap(self, side: Side, place: Place, length: int) -> None:
        """``length`` bytes of ``side`` are missing at ``place``."""
        one = self._sides[side]
        if one.over:
            if one.hidden:
                self.handler.lost(side, length, place, length)
            return
        unfinished = one.cutter.gap(length)
        one.messages.clear()
        place = place._replace(offset=place.offset - unfinished)
        one.lost_at = one.lost_at or place
        one.lost += length + unfinished
        self._opener.skip(one, None)
        if one.stage == "clear":
            self.facts.note_unread(f"bytes of the {side}'s TLS handshake are missing from the capture")
            if one.next is None:
                return
        self._opener.lose(one, place, length + unfinished)

    @property
    def keys_changed(self) -> bool:
        """Whether the key log has grown since the last look."""
        return self._secrets.changed

    def cut(self, side: Side, offset: int) -> bool:
        """Forget the bytes of ``side`` from ``offset`` on. Return whether that is possible."""
        return self._sides[side].cutter.cut(offset)

    def go_on(self, *, final: bool) -> bool:
        """Look for the missing secrets again. Return whether the session goes on: they came, or (``final``) never
        will."""
        secrets = self._secrets
        secrets.may_come = secrets.may_come and not final
        if secrets.log is not None:
            secrets.log.refresh()
        secrets.look()
        missing = [one for one in self._unarmed if not secrets.arm(one)]
        if missing and not final:
            self._unarmed = missing
            return False
        self._unarmed = []
        self.waiting = False
        for one in self._sides.values():
            self._read(one)
        return not self.waiting

    # -- records ---------------------------------------------------------------------------------------------------

    def _pass_over_old_hello(self, one: Direction, data: bytes, place: Place) -> tuple[bytes, Place]:
        """Pass over a ClientHello in the form of SSL 2 (RFC 5246 §E.2): 15 bits of length, then the hello."""
        data, place = self._first + data, place._replace(offset=place.offset - len(self._first))
        self._first = b""
        if data[0] & SSL2:
            if len(data) == 1:
                self._first = data
                return b"", place
            self.facts.saw_client_hello = True
            one.cutter.drop(2 + (int.from_bytes(data[:2], "big") & 0x7FFF))
        return data, place

    def _read(self, one: Direction) -> None:
        """Read the whole records of one direction."""
        cutter = one.cutter
        while not (self.waiting or one.over):
            got = cutter.next()
            if got is None:
                if cutter.invalid:
                    self.end(one, f"the {one.side} sent bytes that are no TLS record")
                    self.handler.broken(self.facts.why_unread)
                return
            self._record(one, *got)

    def _record(self, one: Direction, record: bytes, place: Place) -> None:
        kind = record[0]
        facts = self.facts
        version = facts.version
        if kind == CHANGE_CIPHER and one.stage != "older":
            if version is None or version >= TLS13:
                return  # it means nothing there (RFC 8446 §5)
            if one.side == "server" and not facts.certificates and facts.server_hello is not None:
                facts.resumed = facts.server_hello.session_id != b""
            self._change_cipher(one)
            return
        if kind == DATA and one.stage == "clear" and one.next is not None:  # ChangeCipherSpec is lost
            one.lost_at = one.lost_at or place
            self._change_cipher(one)
            self.facts.finished.discard(one.side)
        unkeyed = one.keys is None and one.lost_at is None
        clear = one.stage == "clear" or (version == TLS13 and kind in {ALERT, HANDSHAKE} and unkeyed)
        if clear:
            one.cutter.aligned = True
            one.lost_at, one.lost = None, 0
            content = record[HEADER:]
            if kind == DATA:
                self._data_in_the_clear(one, record, place)
                return
        else:
            opened = self._opener.open(one, record, place)
            if opened is None:
                return
            kind, content = opened
        if kind == DATA:
            if content:
                facts.text[one.side] += len(content)
                self.handler.text(one.side, content, place, place.offset + len(record))
        elif kind == HANDSHAKE:
            for message, body in one.messages.take(content):
                self._message(one, message, body, place)
        elif kind == ALERT:
            self._alert(one, content, place)
        elif kind == CHANGE_CIPHER:
            self._change_cipher(one)

    def _data_in_the_clear(self, one: Direction, record: bytes, place: Place) -> None:
        """Take a record of data where no keys are known yet: early data of the client, or the capture missed the
        start."""
        if one.side == "client" and self._hello is not None and self._hello.offers_early_data:
            one.held += len(record)
            if one.held <= TLS_EARLY_BYTES:
                one.pending = [] if one.pending is None else one.pending
                one.pending.append((record, place))
                return
            self.facts.note_unread("too much early data came before the server's answer to it")
        self.facts.unread[one.side] += len(record)
        self.end(one, "the capture has no whole TLS handshake")
        self.handler.lost(one.side, len(record), place, 0)

    def settled(self, one: Direction) -> None:
        """See ``RecordOwner``."""
        if one.stage == "application" and one.side == "server" and self._sides["client"].stage == "clear":
            self._decide_early(accepted=False)  # the message that decides could not be read

    def end(self, one: Direction, why: str) -> None:
        """Read nothing more of this direction."""
        one.over = True
        one.hidden = bool(why)
        self.facts.unread[one.side] += one.cutter.unfinished
        one.keys, one.candidates, one.pending = None, [], None
        self.facts.note_unread(why)
        if all(side.over for side in self._sides.values()):
            self.handler.opaque()

    # -- keys ------------------------------------------------------------------------------------------------------

    def _change(self, one: Direction, stage: Stage) -> None:
        """The next records of this direction have the keys of ``stage``."""
        one.stage = stage
        secrets = self._secrets
        known = secrets.suite is not None and secrets.client_random is not None
        if not secrets.arm(one) and secrets.may_come and known:
            self._unarmed.append(one)
            self.waiting = True
            secrets.look()

    def _change_cipher(self, one: Direction) -> None:
        """The side changes to the keys of the last ServerHello (RFC 5246 §7.1)."""
        self.facts.finished.add(one.side)
        self._change(one, "older")
        one.next = None if one.candidates else one.next

    # -- handshake -------------------------------------------------------------------------------------------------

    def _message(self, one: Direction, kind: int, body: bytes, place: Place) -> None:
        facts = self.facts
        if one.side == "client":
            if kind == _CLIENT_HELLO:
                self._take_client_hello(body)
            elif kind == _END_OF_EARLY_DATA and one.stage == "early":
                self._change(one, "handshake")
        elif kind == _SERVER_HELLO:
            self._take_server_hello(body, place)
        elif kind == _ENCRYPTED_EXTENSIONS and facts.version == TLS13:
            self._take_encrypted_extensions(body)
        elif kind == _SERVER_KEY_EXCHANGE and facts.version != TLS13 and facts.group is None:
            facts.group = read_server_key_exchange_group(body)
            if facts.group is None:
                facts.dh_bits = read_server_key_exchange_bits(body)
        if kind == _CERTIFICATE:
            facts.add_chain(one.side, read_chain(body, tls13=facts.version == TLS13))
        elif kind == _FINISHED and facts.version == TLS13 and one.stage == "handshake":
            facts.finished.add(one.side)
            self._change(one, "application")
        elif kind == _KEY_UPDATE and one.stage == "application" and one.keys is not None:
            facts.key_updates += 1
            one.keys = self._secrets.updated(one.keys)

    def _take_client_hello(self, body: bytes) -> None:
        facts = self.facts
        facts.saw_client_hello = True
        hello = read_client_hello(body)
        if hello is None or facts.version == TLS13:  # there is no renegotiation (RFC 8446 §4.1.2)
            return
        self._hello = hello
        self._secrets.client_random = hello.random
        if facts.client_hello is None:
            facts.client_hello = hello
            if hello.offers_early_data:
                facts.early_data = False

    def _take_server_hello(self, body: bytes, place: Place) -> None:
        facts = self.facts
        facts.saw_server_hello = True
        hello = read_server_hello(body)
        if hello is None or facts.version == TLS13:
            return
        client, server = self._sides["client"], self._sides["server"]
        if hello.is_retry:
            facts.retried = True
            client.pending = None  # early data is refused then (RFC 8446 §4.2.10)
            return
        first = facts.server_hello is None
        self._secrets.suite = SUITES.get(hello.suite)
        if first:
            facts.server_hello, facts.chosen_at = hello, place
            facts.group, facts.alpn = hello.group, hello.alpn
            facts.resumed = hello.accepts_psk
        else:
            facts.renegotiations += 1
        if hello.version >= TLS13:
            if first:
                self._change(server, "handshake")
                if self._hello is None or not self._hello.offers_early_data:
                    client.pending = None
                    self._change(client, "handshake")
        elif self._secrets.client_random is not None:
            client.next = server.next = OlderParameters(self._secrets.suite, self._secrets.client_random, hello)
        if first:
            self.handler.chosen()

    def _take_encrypted_extensions(self, body: bytes) -> None:
        """Decide about early data (RFC 8446 §4.2.10)."""
        facts = self.facts
        read = read_encrypted_extensions(body)
        if read is None:
            return
        facts.alpn = read.alpn
        if self._sides["client"].stage == "clear":
            facts.early_data = None if facts.early_data is None else read.accepts_early_data
            self._decide_early(accepted=read.accepts_early_data)

    def _decide_early(self, *, accepted: bool) -> None:
        """Read the early data, or leave it out, because the server accepted it or not."""
        client = self._sides["client"]
        if accepted:
            self._change(client, "early")
        if not client.candidates:  # then it ends with EndOfEarlyData, which cannot be read either
            client.skipping = True
            self._change(client, "handshake")
        held, client.pending = client.pending, None
        for record, place in held or ():
            self._record(client, record, place)

    def _alert(self, one: Direction, content: bytes, place: Place) -> None:
        if len(content) != 2:
            return
        self.facts.answered = self.facts.answered or one.side == "server"
        alert = Alert(one.side, content[0], content[1], place)
        closes, fatal = alert.description == CLOSE_NOTIFY, alert.level == FATAL
        if fatal and not closes and self.facts.failed is None and not self.facts.text["server"]:
            self.facts.failed = alert
        self.handler.alerted(alert)
        if closes or fatal:
            self.end(one, "")
        if fatal and alert is not self.facts.failed:
            name = alert_name(alert.description)
            self.handler.broken(f"the {one.side} ended TLS with the alert {name} in frame {place.frame}")
