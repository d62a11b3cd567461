"""What someone may send to mislead the reader of TLS: nothing raises, and nothing false is delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.importorskip("cryptography")

from tls_ends import (
    ALERT,
    CHANGE_CIPHER,
    DATA,
    HANDSHAKE,
    KINDS,
    End,
    Kind,
    client_hello,
    encrypted_extensions,
    key_log,
    message,
    server_hello,
)

from smtpwire.analyzer.limits import KEY_LOG_LINE
from smtpwire.analyzer.tls.key_log import LABELS, KeyLog
from smtpwire.analyzer.tls.records import Place
from smtpwire.analyzer.tls.session import TlsReader

if TYPE_CHECKING:
    from smtpwire.analyzer.tls.facts import Alert, Side

NEW, CHAINED = KINDS[0], KINDS[-1]


class Heard:
    """The handler of a session."""

    def __init__(self) -> None:
        self.texts: list[bytes] = []
        self.missing = 0

    def chosen(self) -> None: ...

    def alerted(self, alert: Alert) -> None: ...

    def text(self, side: Side, data: bytes, place: Place, end: int) -> None:
        self.texts.append(data)

    def lost(self, side: Side, length: int, place: Place, missing: int) -> None:
        self.missing += length

    def opaque(self) -> None: ...

    def broken(self, why: str) -> None: ...


class Talk:
    """Both ends after the handshake, and the session that reads them."""

    def __init__(self, kind: Kind) -> None:
        log = KeyLog()
        log.read(key_log(kind))
        self.heard = Heard()
        self.session = TlsReader(log)
        self.session.handler = self.heard
        self.client, self.server = End("client", kind), End("server", kind)
        self._at = {"client": 0, "server": 0}
        client, server = self.client, self.server
        self.send(client, HANDSHAKE, client_hello(kind))
        self.send(server, HANDSHAKE, server_hello(kind))
        if kind is NEW:
            server.change("handshake")
            client.change("handshake")
            self.send(server, HANDSHAKE, encrypted_extensions() + message(20, bytes(32)))
            self.send(client, HANDSHAKE, message(20, bytes(32)))
            server.change("application")
            client.change("application")
            return
        for end in (client, server):
            self.send(end, CHANGE_CIPHER, b"\1")
            end.change("older")
            self.send(end, HANDSHAKE, message(20, bytes(12)))

    def send(self, end: End, kind: int, content: bytes) -> None:
        self.raw(end, end.seal(kind, content))

    def raw(self, end: End, data: bytes) -> None:
        self.session.take(end.side, data, Place(self._at[end.side], 1, 1, -1))
        self._at[end.side] += len(data)

    def lose(self, end: End, record: bytes) -> None:
        self.session.gap(end.side, Place(self._at[end.side], 1, 1, -1), len(record))
        self._at[end.side] += len(record)


@pytest.mark.parametrize("suite", [0x1302, 0xC02F, 0xEEEE])
def test_hellos_inside_tls_1_3_change_nothing(suite: int) -> None:
    talk = Talk(NEW)
    talk.send(talk.server, HANDSHAKE, server_hello(NEW, suite=suite))
    talk.send(talk.client, HANDSHAKE, client_hello(NEW, random=bytes(32)))
    for end in (talk.client, talk.server):
        talk.send(end, HANDSHAKE, message(24, b"\0"))
        end.update()
        talk.send(end, DATA, b"said")
    assert talk.heard.texts == [b"said", b"said"]
    assert talk.session.facts.renegotiations == 0


def test_after_a_loss_the_block_that_needs_the_lost_one_is_not_shown() -> None:
    talk = Talk(CHAINED)  # the MAC is that of the encrypted octets
    talk.send(talk.client, DATA, b"first")
    talk.lose(talk.client, talk.client.seal(DATA, b"lost"))
    for text in (b"its first block cannot be decrypted", b"third", b"fourth"):
        talk.send(talk.client, DATA, text)
    assert talk.heard.texts == [b"first", b"third", b"fourth"]
    assert talk.heard.missing


@pytest.mark.parametrize("false", [b"\x17\3\3\x48\x01", b"\x17\3\3\xff\xff", b"\x16\3\1\0\x05", b"\x17\x03"])
def test_what_looks_like_a_header_after_a_loss(false: bytes) -> None:
    talk = Talk(NEW)
    talk.send(talk.client, DATA, b"first")
    record = talk.client.seal(DATA, b"lost" * 10)
    talk.lose(talk.client, record[:20])
    talk.raw(talk.client, false + record[20 + len(false) :])
    talk.send(talk.client, DATA, b"next")
    assert talk.heard.texts == [b"first", b"next"]
    assert talk.heard.missing == 40


def test_what_looks_like_a_clear_message_after_a_loss_before_the_first_text() -> None:
    talk = Talk(NEW)
    record = talk.client.seal(DATA, b"lost" * 10)
    talk.lose(talk.client, record[:20])
    talk.raw(talk.client, b"\x16\3\1\0\x05" + record[25:])
    talk.send(talk.client, DATA, b"next")
    assert talk.heard.texts == [b"next"]
    assert talk.heard.missing


@pytest.mark.parametrize("first", [1, 2, 7])
def test_a_hello_in_the_form_of_ssl_2_is_passed_over_in_any_pieces(first: int) -> None:
    hello = b"\x80\x2e\1\3\1" + bytes(43)
    session = TlsReader()
    session.handler = Heard()
    for at, piece in ((0, hello[:first]), (first, hello[first:])):
        session.take("client", piece, Place(at, 1, 1, -1))
    session.take("client", b"\x15\3\1\0\2\2\x28", Place(len(hello), 1, 1, -1))
    assert session.facts.saw_client_hello
    assert session.facts.failed is not None
    assert session.facts.failed.description == 40


def test_bytes_after_the_end_are_counted_in_any_pieces() -> None:
    for together in (False, True):
        talk = Talk(NEW)
        alert = talk.client.seal(ALERT, b"\1\0")
        for piece in (alert + b"more",) if together else (alert, b"more"):
            talk.raw(talk.client, piece)
        assert talk.session.facts.unread["client"] == 4


@pytest.mark.parametrize("size", [1, 100, 10_000])
def test_a_line_that_is_too_long_is_invalid_in_any_pieces(size: int) -> None:
    line = b"CLIENT_RANDOM " + b"ab" * 32 + b" " + b"cd" * 48
    text = line + b" " * KEY_LOG_LINE + b"x\n"
    log = KeyLog()
    for at in range(0, len(text), size):
        log.feed(text[at : at + size])
    assert (log.invalid, log.secrets(LABELS[0], b"\xab" * 32)) == (1, [])
