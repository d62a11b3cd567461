"""Targets of TLS: key logs, and sessions whose records are really encrypted, in any order and with any loss."""

# The target `tls` is both ends of a session: it protects what the fuzzer says with the right keys. So it knows what was
# said, and whatever else the reader delivers is a fault.

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from material import Material
from tls_ends import (
    ALERT,
    CHANGE_CIPHER,
    CLIENT_RANDOM,
    DATA,
    HANDSHAKE,
    KINDS,
    OTHER_RANDOM,
    RETRY,
    SERVER_RANDOM,
    End,
    client_hello,
    encrypted_extensions,
    key_log,
    message,
    record,
    server_hello,
)

from smtpwire.analyzer.limits import KEY_LOG_LINE
from smtpwire.analyzer.tls.key_files import decrypts
from smtpwire.analyzer.tls.key_log import LABELS, KeyLog
from smtpwire.analyzer.tls.places import INSIDE
from smtpwire.analyzer.tls.receiver import TlsReceiver
from smtpwire.analyzer.tls.session import TlsReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tls_ends import Kind

    from smtpwire.analyzer.tls.facts import Alert, Side, TlsFacts

__all__ = ["keylog", "tls"]

_MOST_WEIGHT = 1 << 22  # of two unfinished records in pieces of one octet
_MOST_EVENTS = 100


# -- key logs ----------------------------------------------------------------------------------------------------------

_RANDOMS = tuple(bytes((number,)) * 32 for number in range(3))
_PARTS = (
    *(b"\n", b"\n", b"\n", b"\r\n", b" ", b" ", b"\t", b"#", b"RSA ", b"CLIENT_RANDOM", b"EXPORTER_SECRET", b"A" * 600),
    *(b" " * 600, b"\0", *LABELS, *[random.hex().encode() for random in _RANDOMS]),
    *(b"ab" * 48, b"AB" * 32, b"cd" * 48, b"12" * 32, b"34" * 31, b"5" * 65),
)


def _lines(take: Material) -> Iterator[bytes]:
    """Yield parts of a key log: whole lines, and anything."""
    while take:
        kind = take.number()
        if kind < 128:
            label = take.choice(LABELS)
            secret = bytes((take.number() & 7,)) * (48 if kind & 3 else 32)
            yield label + b" " + take.choice(_RANDOMS).hex().encode() + b" " + secret.hex().encode() + b"\n"
        elif kind < 240:
            yield take.choice(_PARTS)
        else:
            yield take.text(kind - 239)


def keylog(data: bytes) -> None:
    """A key log gives the same secrets in any pieces, keeps little, and shows none of them."""
    take = Material(data)
    size = 1 + take.number(2)
    text = b"".join(_lines(take))
    found = []
    for step in (len(text) + 1, size, 1 if len(text) < 5000 else 7):
        log = KeyLog()
        for at in range(0, len(text), step):
            log.feed(text[at : at + step])
            assert len(log._rest) <= KEY_LOG_LINE + 1
        log.end()
        secrets = [(label, random, log.secrets(label, random)) for label in LABELS for random in _RANDOMS]
        found.append((secrets, log.lines, log.invalid, log.left_out, log.version))
        assert log.invalid + log.left_out <= log.lines
        assert len(repr(log)) < 60
    assert found[0] == found[1] == found[2]
    block = KeyLog()
    block.feed(b"CLIENT_RANDOM ")
    block.read(text)
    assert [block.secrets(label, random) for label, random, _ in found[0][0]] == [one for *_, one in found[0][0]]


# -- both ends of a session --------------------------------------------------------------------------------------------


class _Script:
    """Says what the fuzzer wants, and makes events of it: side and bytes, or what else happens. ``accepted``: the
    server took early data."""

    def __init__(self, take: Material, kind: Kind) -> None:
        self.take = take
        self.kind = kind
        self.ends: dict[Side, End] = {"client": End("client", kind), "server": End("server", kind)}
        self.events: list[tuple[Any, ...]] = []
        self.accepted = False
        self._texts = 0
        self._after: dict[Side, list[bytes]] = {"client": [], "server": []}  # records that come after the next one

    def play(self) -> None:
        """Say everything."""
        for _ in range(_MOST_EVENTS):
            if not self.take:
                break
            op = self.take.number()
            end = self.ends["server" if op & 16 else "client"]
            self._way = op >> 5
            _STEPS[op & 15](self, end)

    def text(self, end: End) -> None:
        """Text, which is never said twice."""
        size = self.take.number()
        self._texts += 1
        more = bytes(4000) if size > 250 else self.take.text(size & 31)
        self._put(end, end.seal(DATA, b"%d:" % self._texts + more, size >> 5))

    def many(self, end: End) -> None:
        """Many records: texts, empty ones, KeyUpdates, alerts."""
        kind = self.take.number()
        for _ in range(self.take.number() >> 2):
            if kind & 3 == 0:
                self._texts += 1
                self._put(end, end.seal(DATA, b"%d." % self._texts))
            elif kind & 3 == 1:
                self._put(end, end.seal(DATA, b""))
            elif kind & 3 == 2:
                self._put(end, end.seal(HANDSHAKE, message(24, b"\0")))
                end.update()
            else:
                self._put(end, end.seal(ALERT, b"\1\x5a"))

    def hello(self, end: End) -> None:
        """The hello of a side; the server changes its keys then."""
        flags, kind = self.take.number(), self.kind
        new = kind.version == 0x0304
        if end.side == "client":
            self._next = OTHER_RANDOM if flags & 1 else CLIENT_RANDOM
            self._put(end, end.seal(HANDSHAKE, client_hello(kind, random=self._next, early=bool(flags & 2))))
            if flags & 6 == 6 and new:
                end.change("early")
            return
        suite = 0xC0A0 if flags & 2 else 0xEEEE if flags & 4 else None
        random = RETRY if flags & 1 else SERVER_RANDOM
        self._put(end, end.seal(HANDSHAKE, server_hello(kind, random=random, suite=suite, older=bool(flags & 8))))
        if new and not flags & 1 and end.stage == "clear":
            end.change("handshake")

    def extensions(self, end: End) -> None:
        """EncryptedExtensions of the server, EndOfEarlyData of the client."""
        if end.side == "client":
            self._put(end, end.seal(HANDSHAKE, message(5, b"")))
            end.change("handshake" if self.kind.version == 0x0304 else end.stage)
            return
        taken = bool(self.take.number() & 1)
        self.accepted = self.accepted or taken
        self._put(end, end.seal(HANDSHAKE, encrypted_extensions(accepts_early_data=taken)))

    def finished(self, end: End) -> None:
        """Finished, and the keys after it."""
        self._put(end, end.seal(HANDSHAKE, message(20, bytes(32))))
        if self.kind.version == 0x0304:
            end.change("application")

    def update(self, end: End) -> None:
        """KeyUpdate, and the keys after it."""
        self._put(end, end.seal(HANDSHAKE, message(24, self.take.text(1))))
        end.update()

    def change_cipher(self, end: End) -> None:
        """ChangeCipherSpec; before TLS 1.3 other keys follow."""
        self._put(end, record(CHANGE_CIPHER, b"\1") if end.stage == "clear" else end.seal(CHANGE_CIPHER, b"\1"))
        if self.kind.version != 0x0304:
            end.random = self._next
            end.change("older")

    def alert(self, end: End) -> None:
        """An alert."""
        self._put(end, end.seal(ALERT, self.take.text(2)))

    def message(self, end: End) -> None:
        """A handshake message of any type and length, or a part of one."""
        kind, size = self.take.number(), self.take.number()
        body = self.take.text(size & 63)
        length = self.take.number(3) if size & 64 else len(body)
        self._put(end, end.seal(HANDSHAKE, bytes((kind,)) + length.to_bytes(3, "big") + body))

    def other(self, end: End) -> None:
        """A protected record of any type, with any content."""
        kind, size = self.take.number(), self.take.number()
        if kind != DATA:
            self._put(end, end.seal(kind, self.take.text(size & 63), size >> 6))

    def raw(self, end: End) -> None:
        """Bytes that are not protected."""
        self._put(end, self.take.text(self.take.number() & 63))

    def stage(self, end: End) -> None:
        """Other keys, although nothing says so; or this side is in the handshake, as it should be."""
        if self.kind.version == 0x0304:
            end.change(self.take.choice(("handshake", "handshake", "application", "early", "clear")))

    def happens(self, end: End) -> None:
        """What is not a byte: the end of a side, other bytes in a retransmission, bytes that never arrived, a gap."""
        what, size = self.take.number(), self.take.number(2)
        if what & 3 == 0:
            self.events.append(("closed", end.side))
        elif what & 3 == 1:
            self.events.append(("conflict", end.side))
        elif what & 3 == 2:
            self.events.append(("revoke", end.side, size & 255))
        else:
            self.events.append(("gap", end.side, 1 + size))

    def keys(self, _: End) -> None:
        """The rest of the key log comes."""
        self.events.append(("keys", ""))

    def _put(self, end: End, record: bytes) -> None:
        way, events, side = self._way, self.events, end.side
        if not record:
            return
        if way == 4:
            events.append(("gap", side, len(record)))
        elif way == 5:
            at = self.take.number() % len(record)
            events.append(("take", side, record[:at] + bytes((record[at] ^ 1,)) + record[at + 1 :]))
        elif way == 6:
            self._after[side].append(record)
            return
        elif way == 7:
            at = self.take.number() % len(record)
            left = min(len(record), at + 1 + self.take.number())
            events.append(("take", side, record[:at]))
            events.append(("gap", side, left - at))
            events.append(("take", side, record[left:]))
        else:
            events.append(("take", side, record))
        waiting, self._after[side] = self._after[side], []
        events.extend(("take", side, one) for one in waiting)

    _way = 0
    _next = CLIENT_RANDOM


_S = _Script
_STEPS = (
    *(_S.text, _S.text, _S.many, _S.hello, _S.extensions, _S.finished, _S.update, _S.change_cipher, _S.alert),
    *(_S.message, _S.other, _S.raw, _S.stage, _S.happens, _S.keys, _S.text),
)


# -- what the reader makes of it ---------------------------------------------------------------------------------------


class _Inner:
    """Receives what is inside, in the order of its offsets. ``events``: what must not depend on the pieces, so not how
    many octets may be missing; ``texts``: what was delivered."""

    weight = 0

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.texts: dict[Side, list[bytes]] = {"client": [], "server": []}
        self._at = dict(INSIDE)

    def client(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        self._take("client", data, offset, frame, seen)

    def server(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        self._take("server", data, offset, frame, seen)

    def _take(self, side: Side, data: bytes, offset: int, frame: int, seen: int) -> None:
        assert data
        assert offset == self._at[side]
        self._at[side] += len(data)
        other: Side = "server" if side == "client" else "client"
        assert seen <= self._at[other]
        self.texts[side].append(data)
        self.events.append((side, data, frame))

    def gap(self, side: Side, offset: int, length: int, frame: int, time_ns: int) -> None:
        assert length > 0
        if offset >= INSIDE["client"]:
            assert offset == self._at[side]
            self._at[side] += length
        else:
            self.events.append(("gap", side, offset, length, frame))

    def closed(self, side: Side, how: str, frame: int, time_ns: int, acked: int) -> None:
        self.events.append(("closed", side, frame))

    def conflict(self, side: Side, offset: int, frame: int, time_ns: int) -> None:
        self.events.append(("conflict", side, offset, frame))

    def revoke(self, side: Side, offset: int) -> bool:
        return False


class _Listener:
    """Notes what becomes known."""

    def __init__(self, events: list[tuple[Any, ...]]) -> None:
        self._events = events

    def begun(self, side: Side) -> None:
        self._events.append(("begun", side))

    def active(self, side: Side, time_ns: int) -> None:
        pass

    def chosen(self, facts: TlsFacts) -> None:
        self._events.append(("chosen", facts.version))

    def alerted(self, facts: TlsFacts, alert: Alert) -> None:
        self._events.append(("alerted", alert))

    def secured(self, offset: int, frame: int, time_ns: int) -> None:
        self._events.append(("secured", frame))

    def opaque(self) -> None:
        self._events.append(("opaque",))

    def broken(self, why: str) -> None:
        self._events.append(("broken", why))


def _read(events: list[tuple[Any, ...]], early_lines: bytes, late_lines: bytes, sizes: bytes) -> _Inner:
    """Play the events to a reader, each in pieces of ``sizes``."""
    log = KeyLog()
    log.feed(early_lines)
    log.may_grow = bool(late_lines)
    inner = _Inner()
    session = TlsReader(log)
    receiver = TlsReceiver(inner, session, _Listener(inner.events))
    at: dict[str, int] = {"client": 0, "server": 0}
    begun: set[str] = set()
    pieces = 0
    for frame, (what, side, *more) in enumerate(events, 1):
        other = "server" if side == "client" else "client"
        if what == "take":
            data, done = more[0], 0
            while done < len(data):
                size = 1 + (sizes[pieces % len(sizes)] if sizes else len(data))
                piece = data[done : done + size]
                take = getattr(receiver, side)
                if side not in begun:
                    begun.add(side)
                    receiver.begin(side, piece, at[side], frame, frame, at[other])
                else:
                    take(piece, at[side], frame, frame, at[other])
                at[side] += len(piece)
                done += size
                pieces += 1
        elif what == "gap":
            receiver.gap(side, at[side], more[0], frame, frame)
            at[side] += more[0]
        elif what == "closed":
            receiver.closed(side, "fin", frame, frame, at[other])
        elif what == "conflict":
            receiver.conflict(side, at[side], frame, frame)
        elif what == "revoke":
            if receiver.revoke(side, max(0, at[side] - more[0])):
                at[side] = max(0, at[side] - more[0])
                inner.events.append(("revoked", side))
        elif what == "keys":
            log.feed(late_lines)
        assert receiver.weight < _MOST_WEIGHT
    receiver.finish()
    facts = session.facts
    assert facts.text == {side: sum(map(len, texts)) for side, texts in inner.texts.items()}
    inner.events.append((facts.why_unread, facts.unread, facts.key_updates, facts.renegotiations, facts.early_data))
    return inner


def tls(data: bytes) -> None:
    """Only what was really said is delivered, in its order, and the pieces that carry it change nothing."""
    if not decrypts():
        return
    take = Material(data)
    kind = take.choice(KINDS)
    wanted, late, sizes = take.number(), take.number(), take.text(3)
    script = _Script(take, kind)
    script.play()
    if late:
        sizes = b""  # what waits has a limit, and each segment counts
    early_lines, late_lines = key_log(kind, wanted & ~late), key_log(kind, wanted & late)
    results = [_read(script.events, early_lines, late_lines if late else b"", cut) for cut in (b"", sizes)]
    assert results[0].events == results[1].events
    for side, texts in results[0].texts.items():
        said = iter([text for text, early in script.ends[side].said if script.accepted or not early])
        assert all(text in said for text in texts), "not said, or not in this order"
