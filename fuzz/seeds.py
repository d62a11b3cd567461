"""The first inputs of every target, all made by this project: ``python seeds.py DIRECTORY`` writes them there."""

# Targets that read files start with the samples of the project and with captures that the tests generate. Targets of
# the streams start with dialogues in the form that they read (see `stream_targets.segments`).

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(Path(__file__).parent)]

from captures import (  # noqa: E402  after the path is set
    Conversation,
    Record,
    enhanced,
    ethernet,
    interface,
    ipv4,
    ipv4_fragments,
    ipv6,
    ipv6_fragments,
    pcap,
    pcapng,
    section,
    simple,
    superseded,
    tcp,
)
from spoken import number_of  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DIALOGUES", "TALK", "seeds", "write"]

_COMMANDS = (
    *(b"EHLO client.example", b"EHLO [192.0.2.1]", b"HELO [IPv6:2001:db8::1]", b"MAIL FROM:<> SIZE=100 BODY=8BITMIME"),
    *(b"MAIL FROM:<@a.example,@b.example:c@d.example> RET=HDRS ENVID=a+2Bb", b"RCPT TO:<Postmaster>", b"BDAT 10 LAST"),
    *(b'RCPT TO:<"a b"@x.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a@b', b"AUTH PLAIN AGEAYg==", b"VRFY a SMTPUTF8"),
    *(b"rcpt to: <a@b>", b"DATA \t", b"\xef\xbb\xbfQUIT", b"XCLIENT NAME=a", b"MAIL FROM:<a@b> BY=10;R MT-PRIORITY=3"),
)
_REPLIES = (
    *(b"250 2.1.0 ok\r\n", b"250-mx\r\n250-SIZE 10\r\n250 AUTH=LOGIN PLAIN\r\n", b"250\r\n", b"554-a\n554 b\r\n"),
    *(b"250-a\r\n251 b\r\n", b"999 x\r\n", b"hello\r\n", b"421 4.3.2 \xff\r\n"),
)
_PARTS = (b"a.b@c.example", b"<a@b.example>", b"<@x:a@b>", b" SIZE=1 FOO", b"SIZE 10 20", b"<Postmaster>", b"<>")
_MAIL = (  # server and client alternate
    *(b"220 mx ESMTP\r\n", b"EHLO c.example\r\n", b"250-mx\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 STARTTLS\r\n"),
    *(b"MAIL FROM:<a@x.example>\r\n", b"250 ok\r\n", b"RCPT TO:<b@y.example>\r\n", b"250 ok\r\n", b"DATA\r\n"),
    *(b"354 go\r\n", b"Subject: x\r\n\r\nhello\r\n.\r\n", b"250 ok\r\n", b"QUIT\r\n", b"221 bye\r\n"),
)
_AGAIN, _LATE = 242, 246  # how a segment is delivered; see `stream_targets`
_DATE = b"Date: Mon, 2 Nov 2026 10:00:00 +0000\r\nFrom: a@x.example\r\n"
_DATA = (b"DATA\r\n", b"354 go\r\n")
_SPECIAL: tuple[tuple[bytes | str, ...], ...] = (  # messages in pieces, sizes, groups of commands, TLS, chunks
    (*_MAIL[:7], *_DATA, _DATE + b"\r\nhel", b"lo\r\n", b"\r\n.\r\nQUIT\r\n", b"250 ok\r\n", b"221 bye\r\n"),
    (
        *_MAIL[:7],
        *_DATA,
        _DATE,
        "late",
        b"\r\n",
        b"lo\r\n",
        "again",
        b"lo\r\n",
        b".\r\n",
        b"250 ok\r\n",
    ),
    (
        *_MAIL[:7],
        *_DATA,
        _DATE + b"\r\n\xe9\r\n.\r\n",
        b"250 ok\r\n",
        *_MAIL[3:8],
        b"354 go\r\n",
        _DATE,
        b"\r\n",
        b".\r\n",
    ),
    (
        *(
            *_MAIL[:2],
            b"250-mx\r\n250-PIPELINING\r\n250 SIZE 100\r\n",
            b"MAIL FROM:<a@x.example> SIZE=50\r\n",
            b"250 ok\r\n",
        ),
        *(b"RCPT TO:<b@y.example>\r\nDATA\r\n", b"250 ok\r\n354 go\r\n", _DATE + b"\r\nhello\r\n.\r\n", b"250 ok\r\n"),
    ),
    (
        *(*_MAIL[:2], b"250-mx\r\n250 PIPELINING\r\n", b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n"),
        *(b"250 ok\r\n250 ok\r\n354 go\r\n", _DATE + b"\r\nhel", b"lo\r\n.\r\n", b"250 ok\r\n", b"RSET\r\nQUIT\r\n"),
    ),
    (
        *(
            *_MAIL[:3],
            b"STARTTLS\r\n",
            b"220 go ahead\r\n",
            b"\x16\x03\x01\x00\x05hello",
            "S",
            b"\x16\x03\x03\x00\x05world",
        ),
        *(b"\x17\x03\x03\x00\x05again", "S", b"\x17\x03\x03\x00\x05again", b"\x15\x03\x03\x00\x02\1\0"),
    ),
    (*_MAIL[:2], b"250-mx\r\n250-SIZE 2000\r\n250 AUTH PLAIN LOGIN\r\n", b"AUTH PLAIN\r\n", b"334 \r\n", b"*\r\n"),
    (*_MAIL[:7], b"BDAT 5\r\nabcde", b"250 ok\r\n", b"BDAT 10 LAST\r\n0123456789", b"250 ok\r\n", *_MAIL[-2:]),
)


def _talk() -> Conversation:
    talk = Conversation().open().server(b"220 mx ESMTP\r\n").client(b"EHLO c.example\r\n")
    talk.server(b"250-mx\r\n250 PIPELINING\r\n").client(b"MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n")
    talk.server(b"250 ok\r\n250 ok\r\n354 go\r\n").client(b"Subject: x\r\n\r\n\xe9\n.\r\nx\r\n.\r\nQUIT\r\n")
    return talk.server(b"250 ok\r\n221 bye\r\n").close()


def _captures() -> Iterator[bytes]:
    """Yield whole capture files."""
    records = _talk().records
    segment = tcp(40_000, 25, b"QUIT\r\n" * 20)
    odd: list[Record | bytes] = [ethernet(part) for part in ipv4_fragments(segment, 64) + ipv6_fragments(segment, 64)]
    odd += [Record(records[8].data[:60], original=len(records[8].data)), ethernet(ipv6(segment), tags=(0x8100,))]
    odd.append(ethernet(ipv4(ipv4(segment), protocol=4)))
    yield pcap(records)
    yield pcap(odd)
    yield pcap(records, order=">", magic=0xA1B23C4D)
    yield pcap([ipv4(segment)], link_type=101)
    yield pcapng(records)
    yield (
        section(">")
        + interface(order=">", resolution=9)
        + enhanced(records[4], order=">")
        + section()
        + interface(snaplen=60)
        + simple(records[3])
        + superseded(records[5])
        + interface(offset=5, resolution=0x8A)
        + enhanced(records[6], 1)
    )
    for path in sorted((ROOT / "samples").glob("*.pcap")):
        if path.stat().st_size < 4096:
            yield path.read_bytes()


def _segment(who: int, flags: int = 0, text: bytes = b"") -> bytes:
    """Return a segment with the expected numbers. Bit 0 of ``who``: the server; bit 2: another connection."""
    return bytes((who, flags, 0, 0, number_of(text) if text else 0))


def _dialogues() -> Iterator[bytes]:
    """Yield inputs of the stream targets: limits, then one segment after another."""

    def opening(who: int = 0) -> bytes:
        return _segment(who, 11) + _segment(who + 1, 12) + _segment(who)

    def mail(who: int = 0) -> bytes:
        return b"".join(_segment(who + (n % 2 == 0), 0, line) for n, line in enumerate(_MAIL))

    def said(turns: tuple[bytes | str, ...], who: int = 0) -> bytes:
        """Return the lines as segments. The first bytes of a line show its side. A text in front of a line is a note:
        "S" means a line of the server; "late" and "again" are its delivery in every connection except the first."""
        segments, note = [], ""
        for turn in turns:
            if isinstance(turn, str):
                note = turn
                continue
            of_server = note == "S" or (turn[:3].isdigit() and turn[3:4] in {b" ", b"-"})
            place = {"late": _LATE, "again": _AGAIN}.get(note, 0) if who else 0
            if note != "again" or who:
                segments.append(bytes((who + of_server, 0, place, 0, number_of(turn))))
            note = ""
        return b"".join(segments)

    def closing(who: int = 0, flags: int = 13) -> bytes:
        return _segment(who, flags) + _segment(who + 1, flags)

    yield b"\0" + opening() + mail() + closing()
    yield b"\2" + opening() + mail() + closing(flags=14)
    yield b"\0" + mail()
    yield b"\1" + opening() + mail() + opening(4) + mail(4) + closing(4)
    yield b"\0" + opening(8) + opening(4) + mail(4) + closing(4) + _segment(9, 0, _MAIL[0])  # one connection waits
    for special in _SPECIAL:
        yield b"\0" + opening() + said(special) + closing() + opening(4) + said(special, 4) + closing(4)
    for extra in range(20, 47):
        other = bytes((0, 0, 0, 0, extra, 1, 0, 0, 0, extra, 0, 0, 0, 2, 210))
        yield b"\0" + opening() + mail()[:20] + other + b"freetext"


DIALOGUES = list(_dialogues())
TALK = bytes(byte for n, line in enumerate(_MAIL) for byte in (n % 2 == 0, number_of(line)))
"""The lines of both sides in order, in the form that ``conversation`` reads."""


def _tls_sessions() -> Iterator[bytes]:
    """Yield inputs of the target ``tls``: a head, then what each side does; see ``tls_targets``."""
    server, lost, changed, swapped, torn = 16, 4 << 5, 5 << 5, 6 << 5, 7 << 5
    text, many, hello, extensions, finished, update, change, alert, message, other, raw, stage, happens, keys = (
        *(0, 2, 3, 4, 5, 6, 7, 8),
        *(9, 10, 11, 12, 13, 14),
    )

    def head(kind: int, late: int = 0) -> bytes:
        return bytes((kind, 63, late, 3, 0, 40))

    def said(way: int = 0) -> bytes:
        at = bytes((9, 20)) if way in (changed, torn) else b""
        return bytes((way | text, 5)) + b"EHLO " + at + bytes((server | way | text, 68)) + b"250 " + at

    begun = bytes((hello, 0, server | hello, 0, server | extensions, 0, server | message, 11, 3)) + b"abc"
    begun += bytes((server | finished, stage, 0, finished))
    older = bytes((hello, 0, server | hello, 0, server | message, 11, 3)) + b"abc"
    older += bytes((change, finished, server | change, server | finished))
    for kind, start in ((0, begun), *((kind, older) for kind in range(1, 6))):
        yield head(kind) + start + said() + bytes((alert, 1, 0, server | alert, 1, 0))
        yield head(kind) + start + said() + said(lost) + said() + said(torn) + said() + said(changed) + said()
        yield head(kind) + start + said() + said(swapped) + said() + bytes((happens, 3, 0, 9, raw, 5)) + b"hello"
        yield head(kind, 63) + start + said() + bytes((keys,)) + said()
        yield head(kind) + start + b"".join(bytes((many, what, 255, server | many, what, 80)) for what in range(4))
        yield head(kind) + start + said() + older + said() + bytes((other, 20, 3)) + b"abc" + said()
    yield head(0) + begun + bytes((update, 1)) + said() + bytes((server | lost | update, 0)) + said()
    for accepted in (0, 1):
        early = bytes((hello, 6)) + said()[:7] + bytes((server | hello, 0, server | extensions, accepted))
        ending = bytes((extensions,)) if accepted else bytes((stage, 0))
        yield head(0) + early + bytes((server | finished,)) + said()[:7] + ending + bytes((finished,)) + said()
    yield head(0) + bytes((hello, 6)) + said()[:7] + bytes((server | hello, 1, stage, 4)) + begun + said()


def _key_logs() -> Iterator[bytes]:
    """Yield inputs of the target ``keylog``."""
    lines = b"".join(bytes((number, number, number >> 1, number)) for number in range(12))
    yield b"\0\3" + lines
    yield (
        b"\0\x40" + bytes((130, 131, 132, 138, 141, 130, 246)) + b"# notes" + lines + bytes((140, 139, 130)) + lines[:8]
    )


def seeds() -> dict[str, list[bytes]]:
    """Return the inputs by the name of their target."""
    files = list(_captures())
    talks = [b"\0" + TALK, b"\2" + TALK]
    whole = [
        b"\x08" + data for data in (*files, gzip.compress(files[0], mtime=0))
    ]  # 8: no magic number is added in front
    return {
        "pcap": [b"\0\4\0" + data[4:] for data in files if data[:1] != b"\n"],
        "pcapng": [b"\0\x40" + data[4:] for data in files if data[:1] == b"\n"],
        "gunzip": [b"\7\0\x40" + gzip.compress(b"smtp" * 50, mtime=0) + gzip.compress(files[0], mtime=0) + b"\0\0"],
        "frame": [bytes((1, 0)) + record.data for record in _talk().records[:6]]
        + [bytes((1, 0)) + ethernet(part) for part in ipv6_fragments(tcp(1, 25, b"x" * 90), 64)],
        "command": list(_COMMANDS),
        "reply": list(_REPLIES),
        "parts": [bytes((n % 5,)) + text for n, text in enumerate(_PARTS * 5)],
        "reassembler": DIALOGUES,
        "tracker": DIALOGUES,
        "client": [
            b"\0abcd\0" + b"".join(line + b"\r\n" for line in _COMMANDS),
            b"\2abcd\2" + b"x" * 20 + b"\r\nQUIT\r\n",
        ],
        "conversation": talks,
        "audit": whole,
        "decoders": whole,
        "files": [b"\1" + text for text in whole[:6]],
        "secrets": [bytes((pair, 0, *range(120))) for pair in range(3)] + [bytes((0, 1, 1, 7, 0, 0, 13, 0, 1, 8, 0))],
        "keylog": [*_key_logs()],
        "tls": [*_tls_sessions()],
    }


def write(directory: Path) -> None:
    """Write a directory of files for each target."""
    for name, texts in seeds().items():
        (directory / name).mkdir(parents=True, exist_ok=True)
        for number, text in enumerate(texts):
            (directory / name / f"seed-{number:03d}").write_bytes(text)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
