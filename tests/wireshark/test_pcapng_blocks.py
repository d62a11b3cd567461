"""Blocks of hostile captures, and comments of many findings."""

from __future__ import annotations

import io
import struct
import tracemalloc
from contextlib import closing
from typing import TYPE_CHECKING, Literal

import pytest
from captures import Conversation, Record, block, enhanced, interface, option, pcap, pcapng, section, simple
from hypothesis import example, given
from hypothesis import strategies as st

from smtpwire.analyzer.frames.input_window import MAX_RECORD, StreamWindow
from smtpwire.analyzer.frames.inputs import Source
from smtpwire.analyzer.model import Finding, TlsSession
from smtpwire.analyzer.segments.decoder import SegmentDecoder
from smtpwire.analyzer.wireshark.comments import MAX_COMMENT, MAX_ON_FRAME, Comments, comment
from smtpwire.analyzer.wireshark.pcapng_blocks import OutputBlock, commented, pcap_blocks, pcapng_blocks, uncommented

if TYPE_CHECKING:
    from pathlib import Path


def split(data: bytes, piece: int = 1 << 16) -> tuple[list[OutputBlock], list[str]]:
    """Return the blocks of a capture that arrives in pieces."""
    stream = io.BytesIO(data)
    window = StreamWindow(lambda count: stream.read(min(count, piece)))
    problems: list[str] = []
    if data.startswith(b"\x0a\x0d\x0d\x0a"):
        return list(pcapng_blocks(window, problems)), problems
    return list(pcap_blocks(window, problems, "test")), problems


RECORDS = Conversation().open().server(b"220 mx\r\n").client(b"QUIT\r\n").close().records
PCAPNG = (
    section(">")
    + interface(order=">", snaplen=99)
    + b"".join(enhanced(record, order=">", comment=b"mine") for record in RECORDS[:3])
    + block(5, bytes(12), ">")
    + section()
    + interface()
    + b"".join(simple(record) for record in RECORDS[3:])
)


@given(
    at=st.integers(0, len(PCAPNG) - 1),
    damage=st.binary(min_size=1, max_size=8),
    piece=st.integers(1, 200),
    whole=st.booleans(),
)
@example(at=4, damage=b"\xff\xff\xff\xff", piece=50, whole=True)
def test_damage_never_raises_and_the_copied_bytes_are_unchanged(
    at: int, damage: bytes, piece: int, whole: bool
) -> None:
    damaged = PCAPNG[:at] + damage + PCAPNG[at + len(damage) :]
    if not whole:
        damaged = damaged[: at + len(damage)]
    if not damaged.startswith(b"\x0a\x0d\x0d\x0a"):
        return
    found, problems = split(damaged, piece)
    copy = b"".join(one.raw for one in found)
    unstated = bytearray(damaged)  # the copy of a section does not state its length
    for start in (0, PCAPNG.index(section())):
        if len(unstated) >= start + 24:
            unstated[start + 16 : start + 24] = b"\xff" * 8
    assert damaged.startswith(copy) or unstated.startswith(copy)
    assert problems or len(copy) == len(damaged)
    for one in found:
        if one.wide is not None:
            assert one.wide in {one.raw, commented(one.wide, one.order, [])}
            commented(one.wide, one.order, ["smtpwire: x"])


@given(data=st.binary(max_size=300), piece=st.integers(1, 100))
def test_any_records_never_raise(data: bytes, piece: int) -> None:
    found, _ = split(pcap([]) + data, piece)
    assert [one.number for one in found] == list(range(len(found)))


def numbers_of_the_reader(path: Path) -> int:
    with Source(path).open() as opened:
        for _ in opened.reader.run(SegmentDecoder(lambda *_: None)):
            pass
        return opened.reader.frames


def test_frames_have_the_numbers_of_the_reader(tmp_path: Path) -> None:
    extra = b"".join(block(kind, bytes(16)) for kind in (9, 0x204, 0xBAD, 0x40000BAD, 4, 10, 0x77))
    data = section() + interface() + extra + enhanced(RECORDS[0]) + extra + simple(RECORDS[1])
    (tmp_path / "a.pcapng").write_bytes(data)
    found, problems = split(data)
    assert not problems
    assert max(one.number for one in found) == numbers_of_the_reader(tmp_path / "a.pcapng") == 10
    assert [one.number for one in found if one.wide is not None] == [5, 10]


def test_a_long_block_is_not_kept() -> None:
    long = block(0x40000BAD, bytes(3 * MAX_RECORD))
    data = section() + interface() + long + enhanced(RECORDS[0])
    stream = io.BytesIO(data)
    window = StreamWindow(lambda count: stream.read(min(count, 1 << 16)))
    problems: list[str] = []
    taken, number = 0, 0
    tracemalloc.start()
    for one in pcapng_blocks(window, problems):
        taken, number = taken + len(one.raw), max(number, one.number)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (taken, number, problems) == (len(data), 2, [])
    assert peak < MAX_RECORD


def test_an_overlong_packet_is_damage() -> None:
    data = section() + interface() + struct.pack("<II", 6, MAX_RECORD + 4) + bytes(100)
    assert split(data)[1] == ["the block at byte 60 is damaged: the copy ends there"]
    record = struct.pack("<4I", 0, 0, MAX_RECORD + 1, MAX_RECORD + 1)
    assert split(pcap([]) + record)[1] == ["the record at byte 24 is damaged: the copy ends there"]


@pytest.mark.parametrize("order", ["<", ">"])
def test_comments_are_taken_out_of_every_block_that_may_have_one(order: Literal["<", ">"]) -> None:
    name: Literal["little", "big"] = "little" if order == "<" else "big"
    mine, theirs = option(1, b"mine", order), option(1, b"theirs", order)
    blocks = [
        block(0x0A0D0D0A, section(order)[8:-4] + theirs + mine, order),
        block(1, struct.pack(order + "HHI", 1, 0, 0) + mine + theirs + mine, order),
        enhanced(RECORDS[0], order=order, comment=b"theirs"),
        block(5, bytes(12) + mine + theirs, order),
    ]
    for raw in blocks:
        kept, dropped = uncommented(raw, name, lambda value: value == b"theirs")
        assert dropped == [b"theirs"]
        assert b"theirs" not in kept
        assert kept.count(b"mine") == raw.count(b"mine")
        assert int.from_bytes(kept[4:8], name) == int.from_bytes(kept[-4:], name) == len(kept)
        assert uncommented(raw, name, lambda _: False) == (raw, [])


def test_broken_options_are_kept_after_the_comment() -> None:
    raw = enhanced(Record(b"abcd"))
    broken = struct.pack("<HH", 2, 9999) + b"junk"
    wide = block(6, raw[8:-4] + option(1, b"fine") + broken)
    after = commented(wide, "little", ["smtpwire: x"])
    assert after == block(6, raw[8:-4] + option(1, b"fine") + option(1, b"smtpwire: x") + broken)


# -- comments ---------------------------------------------------------------------------------------------------------


TLS = TlsSession(
    version="TLS 1.3",
    suite="TLS_AES_128_GCM_SHA256",
    group="x25519",
    dh_bits=None,
    sni="mx.example",
    alpn=None,
    alpn_offered=[],
    resumed=False,
    retried=False,
    early_data=None,
    renegotiations=0,
    key_updates=0,
    compressed=False,
    ja4=None,
    alert=None,
    certificates=[],
    client_certificates=[],
    decrypted="all",
    why=None,
)


def finding(message: str = "what happened", **changes: object) -> Finding:
    fields = {
        **{"rule": "SEQ101", "name": "x", "severity": "error", "side": "client", "certainty": "certain"},
        **{"message": message, "reference": "RFC 5321 §3.3", "turn": None, "caused_by": None, "frame": 7},
        **{"time": "", "offset": 0, "length": 0, "evidence": "", **changes},
    }
    return Finding(**fields)  # type: ignore[arg-type]


def test_a_comment_is_one_line_of_bounded_length() -> None:
    plain = finding()
    assert comment(plain, [plain]) == "smtpwire: error SEQ101 client: what happened (RFC 5321 §3.3)"
    long = finding("line\nline\x1b[2J" * 1000)
    text = comment(long, [long])
    assert text.isprintable()
    assert len(text) == MAX_COMMENT
    assert text.endswith("... (RFC 5321 §3.3)")


def test_a_comment_has_its_certainty_and_its_cause() -> None:
    cause = finding()
    effect = finding("then that", caused_by=0, certainty="indeterminate", count=3, rule="SEQ120", reference="")
    assert comment(effect, [cause, effect]) == (
        "smtpwire: error SEQ120 client: not certain: then that In 3 places. Follows from SEQ101 in frame 7."
    )


def test_a_comment_says_what_was_inside_tls() -> None:
    inside, outside = finding(inside=7), finding()
    assert comment(inside, [inside], TLS) == (
        "smtpwire: error SEQ101 client: what happened Inside TLS 1.3, TLS_AES_128_GCM_SHA256. (RFC 5321 §3.3)"
    )
    assert comment(inside, [inside]).endswith("what happened Inside TLS. (RFC 5321 §3.3)")
    assert "Inside" not in comment(outside, [outside], TLS)


def test_comments_come_back_by_frame() -> None:
    with closing(Comments()) as comments:
        for frame, text in ((9, "a"), (2, "b"), (9, "c"), (1, "d"), (2, "ü")):
            comments.add(frame, text)
        assert list(comments.by_frame()) == [(1, ["d"]), (2, ["b", "ü"]), (9, ["a", "c"])]
        assert len(comments) == 5


def test_the_comments_on_a_frame_are_bounded() -> None:
    with closing(Comments()) as comments:
        for number in range(MAX_ON_FRAME + 12):
            comments.add(3, str(number))
        ((_, texts),) = comments.by_frame()
    assert len(texts) == MAX_ON_FRAME + 1
    assert texts[-1] == "smtpwire: 12 more findings on this frame"


def test_many_comments_are_not_kept_in_memory() -> None:
    tracemalloc.start()
    with closing(Comments()) as comments:
        text = "x" * 200
        for frame in range(100_000):
            comments.add(frame, text)
        held, _ = tracemalloc.get_traced_memory()
        assert sum(1 for _ in comments.by_frame()) == 100_000
    tracemalloc.stop()
    assert held < 12 << 20


def test_a_capture_without_frames() -> None:
    assert [one.number for one in split(pcap([]))[0]] == [0]
    assert split(pcapng([]))[1] == []
