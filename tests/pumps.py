"""Every place where a sender puts bytes, each of which can be filled with any unit over and over."""

# Runs as a process of its own, because the package must be imported with its work counted (`counted_work`). It prints
# one line for each pump whose work grows faster than its size, and the number of pumps at the end.

from __future__ import annotations

import os
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from attacks import File, Talk
from counted_work import WORK, install

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIZE, TIMES = 1024, 4
OTHER_DOORS = 4  # every fourth pump goes through one of the other doors
MOST_GROWTH = 6
LEAST_WORK = 60_000  # below this the work that does not grow decides
# Work may grow faster once, where a limit is reached. So what seems to be a fault is looked at again at larger sizes.
QUIT = b"QUIT\r\n"
HEADER = b"From: a@client.example\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <1@client.example>\r\n"
MULTIPART = b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n'

VERBS = (
    b"HELO EHLO LHLO VRFY EXPN HELP NOOP QUIT RSET DATA BDAT ETRN ATRN STARTTLS TURN AUTH XCLIENT XFORWARD BURL PASS X"
).split()
# Text before and after the pump: of commands without and with a transaction, of replies to NOOP and EHLO, of messages.
COMMANDS = [
    *((verb + b" ", b"\r\n") for verb in VERBS),
    *((b"", b"NOOP\r\n"), (b"NO", b"OP\r\n"), (b"NOOP", b"\r\n"), (b"RSET ", b" x\r\n"), (b"", b"\r\n")),
    *((b"MAIL FROM:<", b"@a.example>\r\n"), (b"MAIL FROM:", b"\r\n"), (b"MAIL FROM:<a@", b">\r\n")),
    *((b"MAIL FROM:<a@[", b"]>\r\n"), (b"MAIL FROM:<@a", b":b@c.example>\r\n"), (b'SEND FROM:<"', b'"@c.example>\r\n')),
    *((b"MAIL FROM", b":<a@b.example>\r\n"), (b"MAIL FROM:<a@b.example>", b"\r\n"), (b"EHLO [", b"]\r\n")),
    *((b"MAIL FROM:<a@b.example> X=", b" Y\r\n"), (b"MAIL FROM:<a@b.example> SIZE=", b"\r\n")),
    *((b"MAIL FROM:<a@b.example> AUTH=", b"\r\n"), (b"AUTH PLAIN ", b"\r\n"), (b"EHLO [IPv6:", b"]\r\n")),
]
RECIPIENTS = [
    *((b"RCPT TO:<", b"@a.example>\r\n"), (b"RCPT TO:", b"\r\n"), (b'RCPT TO:<"', b'"@c.example>\r\n')),
    *((b"RCPT TO:<a@b.example> ORCPT=rfc822;", b"\r\n"), (b"RCPT TO:<a@b.example> NOTIFY=", b"\r\n")),
]
REPLIES = [
    *((b"250 ", b"\r\n"), (b"", b" ok\r\n"), (b"250 2.0.0 ", b"\r\n"), (b"250-x\r\n", b"\r\n250 ok\r\n"), (b"", b"")),
    *((b"250-x\r\n", b"250 ok\r\n"), (b"550 5.7.1 ", b"\r\n"), (b"334 ", b"\r\n"), (b"421 ", b"\r\n")),
]
OFFERS = [
    *((b"250-mx.example\r\n", b"250 HELP\r\n"), (b"250-mx.example\r\n250-", b"\r\n250 HELP\r\n")),
    *((b"250-mx.example\r\n250-AUTH ", b"\r\n250 HELP\r\n"), (b"250-mx.example\r\n250-SIZE ", b"\r\n250 HELP\r\n")),
    (b"250-mx.example ", b"\r\n250 HELP\r\n"),
]
FIELDS = (
    b"From To Cc Date Message-ID References Subject Received Return-Path Resent-Date MIME-Version Content-Type "
    b"Content-Transfer-Encoding Content-Disposition X-A"
).split()
_MIME = b"MIME-Version: 1.0\r\n"
MESSAGES = [
    *((field + b": ", b"\r\n\r\nx") for field in FIELDS),
    *((b"", b": x\r\n\r\nx"), (b"", b"\r\nx"), (b"X-A: x\r\n", b"\r\nx"), (b"From: <", b"@a.example>\r\n\r\nx")),
    *((b"\r\n", b""), (b"\r\nx\r\n", b"x"), (b"Date: Tue, 14 Nov 2023 22:13:20 +0000 ", b"\r\n\r\nx")),
    *((_MIME + b"Content-Transfer-Encoding: " + way + b"\r\n\r\n", b"") for way in (b"base64", b"quoted-printable")),
    *((_MIME + b"Content-Type: text/plain; ", b"\r\n\r\nx"), (b"Subject: =?utf-8?q?", b"?=\r\n\r\nx")),
    *((_MIME + b'Content-Type: multipart/mixed; boundary="', b'"\r\n\r\n--b\r\n\r\nx'), (MULTIPART, b"--b--")),
    *((MULTIPART + b"X: ", b"\r\n\r\nx\r\n--b--"), (MULTIPART + b"\r\n--b", b"\r\n--b--"), (b"\r\nx\r\n.", b"\r\nx")),
    (b"\r\n\n.\n", b""),
]
UNITS = [
    *(b"\n", b"\r", b"\0", b"\xff", b"<", b"@", b",", b'"', b"\\", b"(", b"[", b"=", b" ", b"\t", b".", b"a", b"-"),
    *(b"\r\n", b"\r\n ", b"=?", b"a.", b"<@", b'\\"', b"://", b"<a@b>,", b"%41", b"a b ", b"a:b\r\n", b"=\r\n", b";a="),
    *(b"\n.\n", b"\n.\r\n", b"\nRSET", b"NOOP\n", b"--b\r\n", b"\r\n\t", b"250-x\r\n", b"250 ok\r\n", b"x\r\n", b"%d "),
    *(b" X%d=1", b" TRANSID=<a", b"\x16\x03\x01", b"AUTH ", b"=?utf-8?q?a?= ", b"\r\n--b"),
]
STEPS = [
    *(b"NOOP\r\n", b"RSET\r\n", b"RCPT TO:<b@mx.example>\r\n", b"DATA\r\n", b"DATA\r\n.\r\n", b"BDAT 1\r\nx", b"X\r\n"),
    *(
        b"AUTH PLAIN QUJD\r\n",
        b"AUTH LOGIN\r\n",
        b"STARTTLS\r\n",
        b"EHLO a%d\r\n",
        b"VRFY a\r\n",
        b"NOOP\n",
        b"QUIT\r\n",
    ),
    *(
        b"MAIL FROM:<a@b.example>\r\n",
        b"Subject: x\r\n",
        b"XCLIENT LOGIN=x%d\r\n",
        b"GET / HTTP/1.0\r\n",
        b"NOOP\r",
        b"*\r\n",
    ),
    *(b"LHLO a\r\n", b"HELP\r\n", b"BDAT 0\r\n", b".\r\n", b"BDAT x\r\n"),
]
ANSWERS = [b"", *(b"%d x\r\n" % code for code in (220, 221, 235, 250, 334, 354, 421, 503, 530, 550)), b"x\r\n"]


class Pump(NamedTuple):
    """Bytes in one place: ``make`` returns a capture in which they are ``size`` bytes."""

    name: str
    make: Callable[[int], bytes]


def _filled(unit: bytes, size: int) -> bytes:
    """Return ``size`` bytes of the unit; "%d" in it is a number that counts."""
    times = max(1, size // len(unit))
    return b"".join(unit % number for number in range(times)) if b"%d" in unit else unit * times


def _command(before: bytes, after: bytes, unit: bytes, size: int) -> bytes:
    talk = Talk().envelope() if (before, after) in RECIPIENTS else Talk().hello()
    return talk.c(before + _filled(unit, size) + after).s(b"500 no\r\n").c(QUIT).s(b"221 bye\r\n").over()


def _reply(before: bytes, after: bytes, unit: bytes, size: int) -> bytes:
    if (before, after) in OFFERS:
        talk = Talk().s(b"220 mx.example ESMTP\r\n").c(b"EHLO client.example\r\n")
    else:
        talk = Talk().hello().c(b"NOOP\r\n")
    return talk.s(before + _filled(unit, size) + after).c(QUIT).s(b"221 bye\r\n").over()


def _message(before: bytes, after: bytes, unit: bytes, size: int) -> bytes:
    text = HEADER + before + _filled(unit, size) + after + b"\r\n.\r\n"
    return Talk().data().c(text).s(b"250 ok\r\n").c(QUIT).s(b"221 bye\r\n").over()


def _many(unit: bytes, answer: bytes, size: int) -> bytes:
    """Pipelined commands, which are answered at the end."""
    number = max(1, size // len(unit))
    return Talk().hello().c(_filled(unit, size)).s(answer * number).c(QUIT).s(b"221 bye\r\n").over()


def _turns(unit: bytes, answer: bytes, size: int) -> bytes:
    """Commands, each of which is answered before the next one."""
    talk = Talk().hello()
    for number in range(max(1, size // (len(unit) + len(answer)))):
        talk.c(unit % number if b"%d" in unit else unit).s(answer)
    return talk.over()


def _one_side(unit: bytes, answer: bytes, size: int) -> bytes:
    talk = Talk()
    return (talk.s(_filled(answer, size)) if answer else talk.c(_filled(unit, size))).over()


def _segments(order: str, unit: bytes, length: int, size: int) -> bytes:
    """A message in short segments in some order."""
    talk = Talk().data()
    places = list(range(0, size, length))
    data = _filled(unit, size)
    turned = {"back": places[::-1], "odd": places[1::2] + places[::2], "twice": places * 2, "late": [*places[1:], 0]}
    for at in turned.get(order, places[1:]):
        talk.send("c", 16, data[at : at + length], ahead=at or 1 << 32)
    talk.seq["c"] += len(data)
    return talk.c(b"\r\n.\r\n").s(b"250 ok\r\n").over()


def _connections(unit: bytes, answer: bytes, size: int) -> bytes:
    file = File()
    for number in range(max(1, size // 200)):
        talk = Talk(file, 1024 + number, 1000 + number * 100_000)
        talk.s(b"220 mx.example ESMTP\r\n").c(unit)
        if answer:
            talk.s(answer).over()
    return file.done()


def pumps() -> Iterator[Pump]:
    """Yield all pumps."""
    texts = [*product([_command], [*COMMANDS, *RECIPIENTS]), *product([_reply], [*REPLIES, *OFFERS])]
    for (make, (before, after)), unit in product([*texts, *product([_message], MESSAGES)], UNITS):
        name = f"{make.__name__} {before[-40:]!r} {unit!r} {after[:20]!r}"
        yield Pump(name, lambda size, m=make, b=before, a=after, u=unit: m(b, a, u, size))  # type: ignore[misc]
    for play, unit, answer in product([_many, _turns, _one_side, _connections], STEPS, ANSWERS):
        name = f"{play.__name__} {unit!r} {answer!r}"
        yield Pump(name, lambda size, m=play, u=unit, a=answer: m(u, a, size))  # type: ignore[misc]
    for order, unit, length in product(("back", "odd", "twice", "late", "lost"), (b"a b ", b"\n.\n"), (1, 8, 100)):
        name = f"segments of {length} {order} {unit!r}"
        yield Pump(name, lambda size, o=order, u=unit, n=length: _segments(o, u, n, size))  # type: ignore[misc]


# Low, so that small pumps reach the limits that large ones reach.
LIMITS = {
    "outstanding": 100,
    "unanswered-commands": 50,
    "findings-per-rule": 10,
    "held-segments": 20,
    "connections": 50,
    "handshakes": 20,
    "closed-connections": 20,
    "compared-bytes": 100,
    "sniffed-bytes": 200,
}
DOORS = [
    [],  # the audit alone
    *(
        ["audit", "--format", form]
        for form in ("json", "text", "html", "markdown", "eve", "ecs", "zeek", "sarif", "csv")
    ),
    *(["audit", "--format", "json", "--redact", "pii"], ["show"], ["show", "--redact", "pii"]),
    *(["show", "--end-of-data", "--all"], ["extract", "-o", "{out}"], ["annotate", "-o", "{out}.pcapng"]),
    *(["baseline", "write", "{out}.toml"], ["audit", "--format", "sqlite", "-o", "{out}.db"]),
]
"""Ways by which what was read leaves."""


def main(part: int, of: int) -> None:
    """Run every ``of``-th pump through one door after the other, from the ``part``-th on."""
    install()
    from smtpwire.analyzer.audit import Audit, Options  # noqa: PLC0415 - imported with its work counted
    from smtpwire.analyzer.cli import _run  # noqa: PLC0415
    from smtpwire.analyzer.limits import Limits  # noqa: PLC0415

    folder = Path(tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    (folder / "limits.toml").write_text("[limits]\n" + "".join(f"{key} = {LIMITS[key]}\n" for key in LIMITS))
    options = Options(limits=Limits(**{key.replace("-", "_"): LIMITS[key] for key in LIMITS}))
    out = sys.stdout
    sys.stdout = (folder / "shown").open("w")
    number = 0

    def work(door: list[str], capture: bytes) -> int:
        nonlocal number
        number += 1
        path = folder / f"{number}.pcap"
        path.write_bytes(capture)
        before = WORK[0]
        if door:
            words = [word.format(out=folder / f"out{number}") for word in door]
            status = _run([*words, str(path), "--config", str(folder / "limits.toml")])
            if status not in (0, 1):
                print(f"status {status}: {door}", file=out)
        else:
            for _ in Audit(options).run([path]):
                pass
        path.unlink()
        sys.stdout.seek(0)
        sys.stdout.truncate()
        return WORK[0] - before

    small = Talk().data().c(HEADER + b"\r\nx\r\n.\r\n").s(b"250 ok\r\n").over()
    least = [min(work(door, small) for _ in range(3)) for door in DOORS]
    chosen = list(pumps())[part::of]
    for place, pump in enumerate(chosen):
        door = 0 if place % OTHER_DOORS else 1 + (part + place // OTHER_DOORS) % (len(DOORS) - 1)
        last = work(DOORS[door], pump.make(SIZE * TIMES)) - least[door]
        if last <= MOST_GROWTH * LEAST_WORK:
            continue
        first = max(work(DOORS[door], pump.make(SIZE)) - least[door], LEAST_WORK)
        if last <= MOST_GROWTH * first:
            continue
        near, far = (work(DOORS[door], pump.make(SIZE * TIMES**power)) - least[door] for power in (2, 3))
        if far > MOST_GROWTH * near:
            print(f"{far / near:.1f} times: {' '.join(DOORS[door])}: {pump.name}", file=out)
    print(len(chosen), file=out)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
