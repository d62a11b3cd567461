"""``smtpwire annotate``: the copy is the same capture, with each finding as a comment on its frame."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import struct
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from captures import (
    Conversation,
    Record,
    block,
    enhanced,
    ethernet,
    interface,
    ipv4,
    option,
    pcap,
    pcapng,
    section,
    simple,
    superseded,
    udp,
)

from smtpwire import audit
from smtpwire.analyzer.audit import Audit, Options
from smtpwire.analyzer.wireshark.annotate import annotate, find_comments
from smtpwire.analyzer.wireshark.comments import comment

if TYPE_CHECKING:
    from collections.abc import Sequence

needs_tshark = pytest.mark.skipif(
    shutil.which("tshark") is None or shutil.which("capinfos") is None, reason="needs tshark and capinfos"
)

STRANGER = Record(ethernet(ipv4(udp(53, 53, b"no mail"), protocol=17)))


def talk() -> Conversation:
    """Frames 4 to 9 have data; SEQ101 is on frame 5, BIT201 on frame 7."""
    said = Conversation().open()
    said.server(b"220 mx.example ESMTP\r\n").client(b"MAIL FROM:<a@b.example>\r\n").server(b"503 5.5.1 hello first\r\n")
    said.client(b"EHLO caf\xe9.example\r\n").server(b"250 mx.example\r\n").client(b"QUIT\r\n")
    return said.server(b"221 bye\r\n").close()


def run(*arguments: str | Path, expect: int = 0, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "smtpwire", "annotate", "--no-config", *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, check=False)
    assert done.returncode == expect, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    return done


def annotated(tmp_path: Path, data: bytes, *rules: str) -> bytes:
    """Return the copy, made without the command line."""
    source, copy = tmp_path / "in.cap", io.BytesIO()
    source.write_bytes(data)
    with closing(find_comments(str(source), Audit(Options(select=rules)))) as comments:
        copied = annotate(str(source), comments, copy)
    assert not copied.problems
    assert not copied.left
    return copy.getvalue()


def expected(path: Path) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for connection in audit(path):
        for finding in connection.findings:
            found.setdefault(finding.frame, []).append(comment(finding, connection.findings, connection.tls_session))
    return found


def comments_seen(path: Path) -> dict[int, list[str]]:
    """Return the comments as tshark shows them."""
    command = ["tshark", "-r", str(path), "-T", "json", "-e", "frame.number", "-e", "frame.comment"]
    out = subprocess.run(command, capture_output=True, check=True).stdout
    layers: list[dict[str, Any]] = [packet["_source"]["layers"] for packet in json.loads(out)]
    return {int(one["frame.number"][0]): one["frame.comment"] for one in layers if "frame.comment" in one}


def capinfos(path: Path) -> str:
    """Return the facts that do not depend on the format: counts, sizes, times, encapsulation."""
    out = subprocess.run(["capinfos", "-TmQr", "-csuadeE", str(path)], capture_output=True, check=True).stdout.decode()
    _, *rest = out.strip().split(",")
    return ",".join(rest)


def without_size(info: str) -> list[str]:
    fields = info.split(",")
    return [field for number, field in enumerate(fields) if number != 2]  # the size of the file itself differs


def dissected(path: Path) -> bytes:
    """Return tshark's dissection of the packets, without the fields of comments."""
    command = ["tshark", "-r", str(path), "-T", "fields", "-e", "frame.number", "-e", "frame.time_epoch"]
    command += ["-e", "frame.len", "-e", "frame.cap_len", "-e", "tcp.payload", "-e", "eth.src"]
    return subprocess.run(command, capture_output=True, check=True).stdout


# -- findings are on their frames --------------------------------------------------------------------------------------


@pytest.mark.slow
@needs_tshark
@pytest.mark.parametrize("form", ["pcap", "pcapng", "gzip", "big", "nanoseconds"])
def test_tshark_sees_exactly_the_findings(tmp_path: Path, form: str) -> None:
    records = talk().records
    data = {
        "pcap": lambda: pcap(records),
        "pcapng": lambda: pcapng(records),
        "gzip": lambda: gzip.compress(pcapng(records)),
        "big": lambda: pcapng(records, order=">"),
        "nanoseconds": lambda: pcap(records, magic=0xA1B23C4D, order=">"),
    }[form]()
    source, copy = tmp_path / "in.cap", tmp_path / "out.pcapng"
    source.write_bytes(data)
    done = run(source, "-o", copy)
    found = expected(source)
    assert {5, 7} <= found.keys()
    assert comments_seen(copy) == found
    total = sum(map(len, found.values()))
    assert done.stdout.decode() == f"{total} findings on {len(found)} frames: {copy}\n"
    assert dissected(copy) == dissected(source)
    assert without_size(capinfos(copy)) == without_size(capinfos(source))


@pytest.mark.slow
@needs_tshark
def test_comments_survive_editcap_and_a_second_run(tmp_path: Path) -> None:
    source, copy, again, edited = (tmp_path / name for name in ("in.pcap", "a.pcapng", "b.pcapng", "c.pcapng"))
    source.write_bytes(pcap(talk().records))
    run(source, "-o", copy)
    run(copy, "-o", again)
    assert again.read_bytes() == copy.read_bytes()
    subprocess.run(["editcap", copy, edited], check=True)
    assert comments_seen(edited) == comments_seen(copy)


@pytest.mark.slow
@pytest.mark.parametrize(("words", "shown"), [((), False), (("--redact", "none"), True)])
def test_no_comment_contains_a_secret(tmp_path: Path, words: tuple[str, ...], shown: bool) -> None:
    """The response to a challenge that never came is treated as a command, and rules name it."""
    said = Conversation().open().server(b"220 mx.example ESMTP\r\n").client(b"EHLO a.example\r\n")
    said.server(b"250-mx.example\r\n250 AUTH LOGIN\r\n").client(b"AUTH LOGIN\r\n").server(b"504 not that one\r\n")
    said.client(b"Y29ycmVjdGhvcnNl\r\n").server(b"500 unknown\r\n").client(b"QUIT\r\n").server(b"221 bye\r\n")
    path, copy = tmp_path / "a.pcap", tmp_path / "a.pcapng"
    path.write_bytes(pcap(said.close().records))
    run(path, "-o", copy, *words)
    texts = [piece.partition(b"\0")[0] for piece in copy.read_bytes().split(b"smtpwire: ")[1:]]
    assert texts
    assert any(b"y29ycmvjdghvcnnl" in text.lower() for text in texts) is shown


def test_a_comment_equals_the_report(tmp_path: Path) -> None:
    data = annotated(tmp_path, pcapng(talk().records), "SEQ")
    assert data.count(b"smtpwire: ") == 1
    text = data[data.index(b"smtpwire: ") :].split(b"\0")[0].decode()
    assert text.startswith("smtpwire: error SEQ101 client: MAIL was sent although no EHLO or HELO had been accepted")
    assert text.endswith("(RFC 5321 §4.1.1.1, §4.1.4)")


# -- nothing else changes ---------------------------------------------------------------------------------------------


def busy(order: Any, *, simple_too: bool = False) -> bytes:
    """Two sections with a block of every kind; SEQ101 and BIT201 are broken in packets of both."""
    records = talk().records
    first, rest = records[:5], records[5:]
    parts: list[bytes] = [
        section(order),
        interface(order=order, resolution=9, snaplen=262144),
        block(4, struct.pack(order + "HH", 1, 6) + b"\xc0\0\2\1a\0\0\0" + bytes(4), order),  # name resolution
        block(10, struct.pack(order + "II", 0x544C534B, 5) + b"KEYS\n\0\0\0", order),  # decryption secrets
        enhanced(STRANGER, order=order, comment=b"mine"),
    ]
    parts += [enhanced(record, order=order) for record in first]
    parts.append(block(5, struct.pack(order + "IIIHHQ", 0, 1, 2, 4, 8, 99) + bytes(4), order))  # statistics
    parts.append(block(0x40000BAD, struct.pack(order + "I", 32473) + b"any thing at all", order))
    parts += [section(order), interface(order=order), interface(101, order=order)]
    parts += [superseded(record, order=order) for record in rest[:2]]
    parts += [(simple if simple_too else enhanced)(record, order=order) for record in rest[2:]]
    parts.append(block(0x99, b"from the future", order))
    return b"".join(parts)


@pytest.mark.parametrize("order", ["<", ">"])
def test_every_block_is_kept(tmp_path: Path, order: Any) -> None:
    """The only differences are options in two blocks and the lengths of these blocks."""
    before = busy(order)
    after = annotated(tmp_path, before, "SEQ101", "BIT201")
    old, new = list(blocks(before, order)), list(blocks(after, order))
    assert [kind for kind, _ in new] == [kind for kind, _ in old]
    changed = [number for number, pair in enumerate(zip(old, new, strict=True)) if pair[0] != pair[1]]
    assert len(changed) == 2
    for number in changed:
        (_, was), (_, now) = old[number], new[number]
        assert now.startswith(was)
        added = now[len(was) :]
        code, size = struct.unpack(order + "HH", added[:4])
        assert code == 1
        assert added[4 : 4 + size].startswith(b"smtpwire: ")
        assert added[4 + size + -size % 4 :] == bytes(4)


def blocks(data: bytes, order: Any) -> Any:
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from(order + "II", data, at)
        assert data[at + length - 4 : at + length] == data[at + 4 : at + 8]
        yield kind, data[at + 8 : at + length - 4]
        at += length
    assert at == len(data)


@pytest.mark.parametrize("order", ["<", ">"])
def test_without_findings_the_copy_is_the_same_but_for_the_length_of_a_section(tmp_path: Path, order: Any) -> None:
    before = busy(order, simple_too=True)
    stated = struct.pack(order + "q", len(before))
    unstated = struct.pack(order + "q", -1)
    assert annotated(tmp_path, before[:16] + stated + before[24:], "TCP") == before[:16] + unstated + before[24:]


@pytest.mark.slow
@pytest.mark.parametrize(
    "forged",
    [
        "smtpwire: error SEQ120 server: forged (RFC 5321)",
        " SMTPWIRE: error SEQ120 server: forged",
        "as seen:\nsmtpwire: error SEQ120 server: forged",
        "s\u200bmtpwire\u3164: error SEQ120 server: forged",
        "\uff53mtpwire\uff1a error SEQ120 server: forged",
    ],
)
def test_a_comment_that_looks_like_a_finding_is_not_copied(tmp_path: Path, forged: str) -> None:
    mine = "what smtpwire says of this"
    records = talk().records
    data = section() + interface() + enhanced(records[0], comment=mine.encode())
    data += b"".join(enhanced(record, comment=forged.encode()) for record in records[1:])
    (tmp_path / "in.pcapng").write_bytes(data)
    done = run(tmp_path / "in.pcapng", "-o", tmp_path / "out.pcapng")
    copy = (tmp_path / "out.pcapng").read_bytes()
    assert b"forged" not in copy
    assert mine.encode() in copy
    assert copy.count(b"smtpwire: ") == len(expected(tmp_path / "in.pcapng"))
    assert f"{len(records) - 1} comments of the input that looked like findings: not copied" in done.stderr.decode()


def test_the_options_that_a_packet_has_come_first(tmp_path: Path) -> None:
    records = talk().records
    mine = option(1, b"mine") + option(2, bytes((1, 0, 0, 0)))
    parts = [section(), interface()]
    for record in records:
        raw = enhanced(record)
        parts.append(block(6, raw[8:-4] + mine))  # an options list need not be closed
    after = annotated(tmp_path, b"".join(parts), "SEQ101")
    (body,) = (body for kind, body in blocks(after, "<") if kind == 6 and b"smtpwire: " in body)
    assert body.index(mine) < body.index(b"smtpwire: ")


def test_a_section_no_longer_states_a_wrong_length(tmp_path: Path) -> None:
    before = pcapng(talk().records)
    before = before[:16] + struct.pack("<q", len(before) - 28) + before[24:]
    after = annotated(tmp_path, before)
    assert after[16:24] == b"\xff" * 8
    assert len(after) > len(before)


def test_a_simple_packet_gets_room_for_a_comment(tmp_path: Path) -> None:
    records = talk().records
    before = section() + interface() + b"".join(map(simple, records))
    after = annotated(tmp_path, before, "SEQ101")
    kinds = [kind for kind, _ in blocks(after, "<")][2:]
    assert [number for number, kind in enumerate(kinds, 1) if kind == 6] == [5]
    assert set(kinds) == {3, 6}
    (body,) = (body for kind, body in blocks(after, "<") if kind == 6)
    assert body[20 : 20 + len(records[4].data)] == records[4].data


def test_the_facts_of_a_pcap_header_are_in_the_pcapng(tmp_path: Path) -> None:
    record = Record(talk().records[3].data, 1_767_323_045_123_456_789)
    head = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 4321, 1 | 1 << 26 | 2 << 28)
    seconds, nanoseconds = divmod(record.time_ns, 1_000_000_000)
    one = struct.pack("<4I", seconds, nanoseconds, len(record.data), 9999) + record.data
    after = list(blocks(annotated(tmp_path, head + one), "<"))
    (_, (_, described), (_, packet)) = after
    assert struct.unpack_from("<HHI", described) == (1, 0, 4321)
    assert option(9, b"\x09") in described
    assert option(13, b"\x04") in described
    _, high, low, captured, original = struct.unpack_from("<5I", packet)
    assert (high << 32 | low, captured, original) == (record.time_ns, len(record.data), 9999)


# -- damaged input and failed output -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_truncated_capture_is_copied_up_to_its_end(tmp_path: Path) -> None:
    for whole in (pcap(talk().records), pcapng(talk().records)):
        source, copy = tmp_path / "in.cap", tmp_path / "out.pcapng"
        source.write_bytes(whole[:-5])
        done = run(source, "-o", copy)
        assert b"cut short" in done.stderr
        assert sum(kind == 6 for kind, _ in blocks(copy.read_bytes(), "<")) == len(talk().records) - 1


@pytest.mark.slow
def test_a_damaged_block_ends_the_copy(tmp_path: Path) -> None:
    whole = pcapng(talk().records)
    source, copy = tmp_path / "in.cap", tmp_path / "out.pcapng"
    source.write_bytes(whole + struct.pack("<II", 6, 33) + bytes(100))
    done = run(source, "-o", copy)
    assert f"the block at byte {len(whole)} is damaged" in done.stderr.decode()
    assert comments_of(copy) > 0
    assert sum(kind == 6 for kind, _ in blocks(copy.read_bytes(), "<")) == len(talk().records)


def comments_of(path: Path) -> int:
    return path.read_bytes().count(b"smtpwire: error") + path.read_bytes().count(b"smtpwire: warning")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["-", "-o", "out.pcapng"], 2, "reads its input twice: standard input: save it to a file first"),
        (["folder", "-o", "out.pcapng"], 2, "takes one capture file: folder: name a file"),
        (["missing.pcap", "-o", "out.pcapng"], 3, "no such file: missing.pcap"),
        (["text", "-o", "out.pcapng"], 3, "not a capture: text"),
        (["in.pcap", "-o", "in.pcap"], 2, "the copy would overwrite the capture: in.pcap"),
        (["in.pcap", "-o", "missing/out.pcapng"], 2, "cannot write (No such file or directory): missing/out.pcapng"),
        (["in.pcap", "-o", "out.pcapng", "--select", "SEQ999"], 2, "SEQ999"),
    ],
)
def test_wrong_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: Sequence[str], status: int, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("text").write_text("no capture at all, but some bytes more than a header")
    Path("in.pcap").write_bytes(pcap(talk().records))
    before = Path("in.pcap").read_bytes()
    done = run(*arguments, expect=status)
    assert words in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1
    assert not Path("out.pcapng").exists()
    assert not list(tmp_path.glob(".*"))
    assert Path("in.pcap").read_bytes() == before


@pytest.mark.slow
def test_an_old_copy_stays_until_the_new_one_is_complete(tmp_path: Path) -> None:
    copy = tmp_path / "out.pcapng"
    copy.write_bytes(b"old")
    run(tmp_path / "missing.pcap", "-o", copy, expect=3)
    assert copy.read_bytes() == b"old"


@pytest.mark.slow
def test_a_link_at_the_output_path_is_not_followed(tmp_path: Path) -> None:
    victim, source, copy = tmp_path / "victim", tmp_path / "in.pcap", tmp_path / "out.pcapng"
    victim.write_text("precious")
    source.write_bytes(pcap(talk().records))
    (tmp_path / ".out.pcapng.new").symlink_to(victim)
    run(source, "-o", copy)
    assert victim.read_text() == "precious"
    assert copy.read_bytes().startswith(b"\x0a\x0d\x0d\x0a")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_is_a_one_line_error(tmp_path: Path) -> None:
    source = tmp_path / "in.pcap"
    source.write_bytes(pcap(talk().records))
    done = run(source, "-o", "/dev/full", expect=2)
    assert done.stderr == b"smtpwire: cannot write (No space left on device): /dev/full: name another file\n"


@pytest.mark.slow
def test_the_copy_may_go_to_a_pipe(tmp_path: Path) -> None:
    source, copy = tmp_path / "in.pcap", tmp_path / "out.pcapng"
    source.write_bytes(pcap(talk().records))
    run(source, "-o", copy)
    assert run(source, "-o", "-").stdout == copy.read_bytes()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
        run(source, "-o", pipe)
        assert reader.communicate()[0] == copy.read_bytes()


def test_a_comment_on_what_was_inside_tls_says_so(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    from tls_captures import HELLO_INSIDE, QUIT, tls_capture  # noqa: PLC0415

    script = [*HELLO_INSIDE, ("C", b"RCPT TO:<b@mx.example>\r\n"), ("S", b"503 no\r\n"), *QUIT]
    path = tls_capture(tmp_path / "a.pcap", script, keylog=tmp_path / "a.keys").path
    with closing(find_comments(str(path), Audit(Options(select=("SEQ103",))))) as comments:
        ((_, (text,)),) = comments.by_frame()
    assert text.startswith("smtpwire: error SEQ103 client: ")
    assert " Inside TLS 1.3, TLS_AES_256_GCM_SHA384. (RFC 5321" in text
