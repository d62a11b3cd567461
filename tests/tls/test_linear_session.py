"""Four times the records are about four times the work, whatever they are; little is kept; and each limit is said."""

from __future__ import annotations

import builtins
import sys
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

import counted_work
import pytest

pytest.importorskip("cryptography")

from counted_work import WORK, Finder
from tls_ends import (
    ALERT,
    CHANGE_CIPHER,
    DATA,
    HANDSHAKE,
    KINDS,
    OTHER_RANDOM,
    End,
    client_hello,
    encrypted_extensions,
    key_log,
    message,
    record,
    server_hello,
)

from smtpwire.analyzer import limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

PACKAGE = "smtpwire.analyzer.tls"
NEW, GCM, CBC, *_ = KINDS
COUNT = 150
Events = list[tuple[str, bytes | int]]
"""For each the side and its bytes; or the length of a gap."""


@pytest.fixture(scope="module")
def modules() -> Iterator[dict[str, Any]]:
    """The modules of TLS, imported once more, so that their work is counted."""

    def ours() -> dict[str, Any]:
        return {name: module for name, module in sys.modules.items() if name.startswith(PACKAGE)}

    with pytest.MonkeyPatch.context() as patch:
        for name in ("step", "made", "grown", "each", "called"):
            patch.setattr(builtins, f"_counted_{name}", getattr(counted_work, name), raising=False)
        parent, known = import_module("smtpwire.analyzer"), import_module(PACKAGE)
        before = ours()
        for name in before:
            del sys.modules[name]
        finder = Finder()
        sys.meta_path.insert(0, finder)
        names = ("session", "receiver", "records", "key_log", "ciphers", "certificates")
        made = {name: import_module(f"{PACKAGE}.{name}") for name in names}
        sys.meta_path.remove(finder)
        yield made
        for name in ours():
            del sys.modules[name]
        sys.modules.update(before)
        parent.tls = known  # type: ignore[attr-defined]


class Nobody:
    """What is inside goes to nobody; whatever becomes known, nobody wants to know it."""

    weight = 0

    def __getattr__(self, name: str) -> Callable[..., bool]:
        return lambda *_: False


class Played(NamedTuple):
    """``work``: what was counted. ``weight``: the most that was kept. ``places``: the most places of records."""

    work: int
    weight: int
    facts: Any
    places: int


def play(modules: dict[str, Any], events: Events, keys: bytes, *, piece: int = 1400, grows: bool = False) -> Played:
    """Play the events to a session, in segments of ``piece`` octets."""
    log = modules["key_log"].KeyLog()
    log.feed(keys)
    log.may_grow = grows
    session = modules["session"].TlsReader(log)
    receiver = modules["receiver"].TlsReceiver(Nobody(), session, Nobody())
    at, weight, frame = {"client": 0, "server": 0}, 0, 0
    before = WORK[0]
    for side, event in joined(events):
        if isinstance(event, int):
            receiver.gap(side, at[side], event, frame, frame)
            at[side] += event
            continue
        for start in range(0, len(event), piece):
            data = event[start : start + piece]
            frame += 1
            (getattr(receiver, side) if at[side] else partial(receiver.begin, side))(data, at[side], frame, frame, -1)
            at[side] += len(data)
            weight = max(weight, receiver.weight)
    work = WORK[0] - before
    return Played(work, weight, session.facts, max(len(one._texts) for one in receiver.places.values()))


def joined(events: Events) -> Events:
    """Return the events with the bytes of a side that follow each other as one."""
    found: Events = []
    for side, event in events:
        if found and isinstance(event, bytes) and found[-1][0] == side and isinstance(found[-1][1], list):
            found[-1][1].append(event)
        else:
            found.append((side, [event] if isinstance(event, bytes) else event))  # type: ignore[arg-type]
    return [(side, b"".join(event) if isinstance(event, list) else event) for side, event in found]


class Talk:
    """Both ends, after the handshake."""

    def __init__(self, kind: Any = NEW, *, early: bool = False) -> None:
        self.kind = kind
        self.client, self.server = End("client", kind), End("server", kind)
        self.events: Events = []
        client, server = self.client, self.server
        self.send(client, HANDSHAKE, client_hello(kind, early=early))
        if early:
            client.change("early")
            return
        self.send(server, HANDSHAKE, server_hello(kind))
        if kind is NEW:
            server.change("handshake")
            client.change("handshake")
            self.send(server, HANDSHAKE, encrypted_extensions() + message(20, bytes(32)))
            server.change("application")
            self.send(client, HANDSHAKE, message(20, bytes(32)))
            client.change("application")
        else:
            self.change_cipher()

    def send(self, end: End, kind: int, content: bytes) -> None:
        self.events.append((end.side, end.seal(kind, content)))

    def change_cipher(self, random: bytes | None = None) -> None:
        for end in (self.client, self.server):
            self.send(end, CHANGE_CIPHER, b"\1")
            end.random = end.random if random is None else random
            end.change("older")
            self.send(end, HANDSHAKE, message(20, bytes(12)))


def texts(count: int, kind: Any = NEW) -> Events:
    talk = Talk(kind)
    for _ in range(count):
        talk.send(talk.client, DATA, b"x")
        talk.send(talk.server, DATA, b"y")
    return talk.events


def of_client(kind: int, content: bytes) -> Callable[[int], Events]:
    def events(count: int) -> Events:
        talk = Talk()
        for _ in range(count):
            talk.send(talk.client, kind, content)
        return talk.events

    return events


def key_updates(count: int) -> Events:
    talk = Talk()
    for _ in range(count):
        talk.send(talk.client, HANDSHAKE, message(24, b"\0"))
        talk.client.update()
    return talk.events


def renegotiations(count: int) -> Events:
    talk = Talk(GCM)
    for _ in range(count // 4):
        talk.send(talk.client, HANDSHAKE, client_hello(GCM, random=OTHER_RANDOM))
        talk.send(talk.server, HANDSHAKE, server_hello(GCM) + message(11, b"\0\0\5\0\0\2ab"))
        talk.change_cipher(OTHER_RANDOM)
    return talk.events


def rubbish(unit: bytes, kind: Any = NEW) -> Callable[[int], Events]:
    """A gap, and then many times ``unit``."""

    def events(count: int) -> Events:
        talk = Talk(kind)
        talk.send(talk.client, DATA, b"x")
        return [*talk.events, ("client", 30), ("client", unit * (count * 40 // len(unit)))]

    return events


def gaps(count: int) -> Events:
    talk = Talk()
    for _ in range(count):
        talk.send(talk.client, DATA, b"lost")
        talk.events[-1] = ("client", len(talk.events[-1][1]))  # type: ignore[arg-type]
        talk.send(talk.client, DATA, b"x")
    return talk.events


def early_data(count: int) -> Events:
    talk = Talk(early=True)
    for _ in range(count):
        talk.send(talk.client, DATA, b"x" * 40)
    return talk.events


FLOODS: dict[str, Callable[[int], Events]] = {
    "texts": texts,
    "texts of TLS 1.2": lambda count: texts(count, GCM),
    "texts in CBC": lambda count: texts(count, CBC),
    "records without text": of_client(DATA, b""),
    "records of other types": of_client(99, b"x"),
    "KeyUpdates": key_updates,
    "renegotiations": renegotiations,
    "alerts": of_client(ALERT, b"\1\x5a"),
    "ChangeCipherSpec": lambda count: [*Talk().events, *[("client", record(CHANGE_CIPHER, b"\1"))] * count],
    "handshake messages": of_client(HANDSHAKE, message(4, b"ticket")),
    "handshake messages in one record": of_client(HANDSHAKE, message(4, b"") * 20),
    "parts of a handshake message": of_client(HANDSHAKE, b"\4\0\xff\xff"),
    "parts of handshake messages that are too long": of_client(HANDSHAKE, b"\4\xff\xff\xff" * 4),
    "gaps": gaps,
    "headers after a gap": rubbish(b"\x17\3\3\0\0"),
    "headers of long records after a gap": rubbish(b"\x17\3\3\2\xff"),
    "halves of headers after a gap": rubbish(b"\x17\3"),
    "records after a gap": rubbish(record(DATA, bytes(40))),
    "records of TLS 1.2 after a gap": rubbish(record(HANDSHAKE, bytes(60)), GCM),
    "early data": early_data,
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_the_work_is_linear_and_little_is_kept(modules: dict[str, Any], flood: Callable[[int], Events]) -> None:
    few, many = flood(COUNT), flood(4 * COUNT)
    for piece, keys in ((1400, key_log), (60_000, key_log), (1400, lambda kind: key_log(kind, 0b101010))):
        played = [play(modules, events, b"".join(map(keys, (NEW, GCM))), piece=piece) for events in (few, many)]
        assert played[1].work / played[0].work < 5, piece
        assert played[1].weight < 400_000


@pytest.mark.parametrize("piece", [1, 60_000])
def test_the_pieces_of_a_record_cost_no_more_than_it(modules: dict[str, Any], piece: int) -> None:
    def events(count: int) -> Events:
        talk = Talk()
        for _ in range(4):
            talk.send(talk.client, DATA, b"x" * 8 * count)
        return talk.events

    played = [play(modules, events(count), key_log(NEW), piece=piece) for count in (COUNT, 4 * COUNT)]
    assert played[1].work / played[0].work < 4.5
    assert played[1].weight < 40_000


def test_what_is_tried_after_gaps_has_a_limit_that_is_said(
    modules: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    opening = sys.modules[f"{PACKAGE}.opening"]
    monkeypatch.setattr(opening, "TLS_TRIED_BYTES", 200_000)
    for unit in (b"\x17\3\3\0\0", record(DATA, bytes(40)), b"\x17\3\3\x3f\xff"):
        facts = play(modules, rubbish(unit)(4 * COUNT), key_log(NEW)).facts
        assert facts.why_unread == "too many records were tried after lost bytes"
        assert facts.text["client"] == 1
        without = play(modules, rubbish(unit)(4 * COUNT), key_log(NEW, 0b101000)).facts  # of the server only
        assert without.why_unread


def test_early_data_above_the_limit_is_left_out_and_this_is_said(modules: dict[str, Any]) -> None:
    played = play(modules, early_data(limits.TLS_EARLY_BYTES // 50), key_log(NEW))
    assert played.weight < 5 * limits.TLS_EARLY_BYTES  # of records with 40 octets
    assert "early data" in played.facts.why_unread


def test_what_waits_for_keys_has_a_limit(modules: dict[str, Any]) -> None:
    events = of_client(DATA, b"x" * 1000)(limits.TLS_WAITING_BYTES // 900)
    for piece in (1, 1400):
        played = play(modules, events, b"", piece=piece, grows=True)
        assert played.weight < limits.TLS_WAITING_BYTES + 20_000  # what each event takes is counted too
        assert "does not have the keys" in played.facts.why_unread


def test_the_places_of_records_have_a_limit(modules: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    places = sys.modules[f"{PACKAGE}.places"]
    monkeypatch.setattr(places, "TLS_PLACES", 100)
    assert play(modules, texts(COUNT), key_log(NEW)).places <= 100
    assert play(modules, gaps(COUNT), key_log(NEW)).places <= 100
