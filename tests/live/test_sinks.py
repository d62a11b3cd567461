"""The sinks: syslog, metrics, the screen; and the clock, users, and sizes of a ring."""

from __future__ import annotations

import io
import json
import os
import pwd
import re
import signal
import socket
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from captures import START, Conversation, ethernet, ipv4, ipv4_fragments, tcp

from smtpwire.analyzer.errors import UsageError
from smtpwire.analyzer.live.bpf import program_for_ports, without_loopback_copies
from smtpwire.analyzer.live.line_sinks import JsonLinesSink, TextLinesSink
from smtpwire.analyzer.live.packet_ring import BLOCK_BYTES, RingStatistics, ring_blocks
from smtpwire.analyzer.live.privileges import target
from smtpwire.analyzer.live.prometheus_sink import PrometheusSink
from smtpwire.analyzer.live.recorder import Recorder, Rotation, rotation
from smtpwire.analyzer.live.ring_frames import RingFrame
from smtpwire.analyzer.live.signals import Signals
from smtpwire.analyzer.live.sinks import Sink, SinkGroup, Totals
from smtpwire.analyzer.live.syslog_sink import NumericAddress, SyslogSink, parse_address
from smtpwire.analyzer.live.wall_clock import Clock
from smtpwire.analyzer.model import Summary
from smtpwire.analyzer.reports.output import Output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smtpwire.analyzer.model import Connection, Finding

from scripts import connections, lines, segments


@pytest.fixture
def reported() -> tuple[Finding, Connection]:
    (connection,) = connections(segments(lines("S 220 mx ESMTP", "C MAIL FROM:<a@c.example>", "S 250 ok")))
    return connection.findings[0], connection


class TestSyslog:
    FORM = re.compile(rb"<(\d+)>1 (\S+) (\S+) smtpwire (\d+) (\S+) - (.*)", re.DOTALL)

    def test_a_datagram_is_a_message_of_rfc_5424(self, reported: tuple[Finding, Connection], tmp_path: Path) -> None:
        place = str(tmp_path / "log")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
            log.bind(place)
            log.settimeout(5)
            sink = SyslogSink(place)
            sink.open()
            sink.finding(*reported)
            sink.close()
            found = self.FORM.fullmatch(log.recv(4096))
        assert found is not None
        priority, stamp, host, process, kind, text = (part.decode() for part in found.groups())
        assert int(priority) == 2 * 8 + 3  # mail system, error
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", stamp)
        assert host
        assert int(process) == os.getpid()
        assert kind == reported[0].rule == "SEQ101"
        assert "rule=SEQ101 name=mail-before-hello severity=error side=client" in text
        assert "client=192.0.2.1:43210 server=192.0.2.2:25" in text

    def test_nanoseconds_are_cut_to_six_decimals(self, reported: tuple[Finding, Connection], tmp_path: Path) -> None:
        reported[0].time = "2026-01-02T03:04:05.123456789Z"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as log:
            log.bind(("127.0.0.1", 0))
            log.settimeout(5)
            sink = SyslogSink(f"udp:127.0.0.1:{log.getsockname()[1]}")
            sink.open()
            sink.finding(*reported)
            assert b" 2026-01-02T03:04:05.123456Z " in log.recv(4096)
            sink.close()

    def test_a_stream_counts_octets(self, reported: tuple[Finding, Connection]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as door:
            sink = SyslogSink(f"tcp:127.0.0.1:{door.getsockname()[1]}")
            sink.open()
            other, _ = door.accept()
            for _ in range(3):
                sink.finding(*reported)
            sink.finish(Summary())
            sink.close()
            with other:
                data = b"".join(iter(lambda: other.recv(65536), b""))
        count = 0
        while data:
            size, _, data = data.partition(b" ")
            assert self.FORM.fullmatch(data[: int(size)])
            data = data[int(size) :]
            count += 1
        assert count == 4

    def test_a_server_that_reads_nothing_delays_nothing(self, reported: tuple[Finding, Connection]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as door:
            sink = SyslogSink(f"tcp:127.0.0.1:{door.getsockname()[1]}")
            sink.open()
            other, _ = door.accept()
            while not sink.lost:
                sink.finding(*reported)
            other.close()
            for _ in range(3):
                sink.finding(*reported)
            sink.tick(Totals(0, 0, 0, 0, Summary()))
            sink.close()

    @pytest.mark.parametrize("target_", ["udp:nix:514", "udp:1.2.3.4", "tcp:1.2.3.4:0", "log", "tls:1.2.3.4:5"])
    def test_invalid_targets(self, target_: str) -> None:
        with pytest.raises(UsageError):
            SyslogSink(target_)

    def test_without_a_listening_server(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="no syslog"):
            SyslogSink(str(tmp_path / "nix")).open()

    def test_addresses(self) -> None:
        assert parse_address("[::1]:514", "--syslog") == NumericAddress("::1", 514)
        assert parse_address("localhost:514", "--syslog") == parse_address(":514", "--syslog")


def test_metrics_over_http(reported: tuple[Finding, Connection]) -> None:
    pytest.importorskip("prometheus_client")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    metrics = PrometheusSink(f"127.0.0.1:{port}")
    metrics.prepare()
    metrics.open()
    try:
        metrics.finding(*reported)
        metrics.finding(*reported)
        metrics.tick(Totals(123, 4567, 8, 9, Summary(connections=10)))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    finally:
        metrics.close()
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert values["smtpwire_frames_total"] == "123.0"
    assert values["smtpwire_dropped_frames_total"] == "8.0"
    assert values["smtpwire_open_connections"] == "9.0"
    assert values['smtpwire_findings_total{rule="SEQ101",severity="error",side="client"}'] == "2.0"


def test_the_screen_shows_rates_rules_hosts_and_the_latest(reported: tuple[Finding, Connection]) -> None:
    console = pytest.importorskip("rich.console")
    from smtpwire.analyzer.live.screen_sink import ScreenSink  # noqa: PLC0415

    shown = io.StringIO()
    screen = ScreenSink(
        Output(io.BytesIO()), console.Console(file=shown, force_terminal=True, width=140, height=40, color_system=None)
    )
    screen.open()
    screen.reading("eth0")
    reported[0].message = "[bold]no markup[/bold]"
    for _ in range(3):
        screen.finding(*reported)
    screen.notice("eth0: the kernel dropped 7 frames")
    screen.tick(Totals(100, 1000, 7, 2, Summary()))
    screen.finish(Summary())
    screen.close()
    text = shown.getvalue()
    for words in (
        "eth0",
        "2 open",
        "7 dropped",
        "3 errors",
        "mail-before-hello",
        "192.0.2.1",
        "[bold]no markup",
        "dropped 7",
    ):
        assert words in text, words


@pytest.mark.parametrize(("height", "latest"), [(24, 17), (60, 53)])
def test_the_screen_shows_as_many_findings_as_it_has_room_for(
    reported: tuple[Finding, Connection], height: int, latest: int
) -> None:
    console = pytest.importorskip("rich.console")
    from smtpwire.analyzer.live.screen_sink import ScreenSink  # noqa: PLC0415

    shown = io.StringIO()
    to = console.Console(file=shown, force_terminal=True, width=140, height=height, color_system=None)
    screen = ScreenSink(Output(io.BytesIO()), to)
    for _ in range(100):
        screen.finding(*reported)
    screen.open()
    screen.tick(Totals(100, 1000, 7, 2, Summary()))
    screen.close()
    assert shown.getvalue().count(reported[0].message[:20]) == 2 * latest  # at the end once more: it stays


def test_a_group_passes_everything_to_all_sinks(reported: tuple[Finding, Connection]) -> None:
    first, second = io.BytesIO(), io.BytesIO()
    both: Sink = SinkGroup([TextLinesSink(Output(first)), JsonLinesSink(Output(second))])
    both.open()
    both.reading("eth0")
    both.finding(*reported)
    both.ended(reported[1])
    both.standing([reported[1]], "2026-01-02T03:04:05.000000Z")
    both.tick(Totals(0, 0, 0, 0, Summary()))
    both.finish(Summary(connections=1))
    both.close()
    assert b"eth0:6: error SEQ101" in first.getvalue()
    assert [json.loads(line)["type"] for line in second.getvalue().splitlines()] == [
        *("finding", "connection", "open", "summary")
    ]


class TestClock:
    def test_a_step_is_reported_once(self) -> None:
        wall, steady = [1_000_000_000_000], [5_000_000_000]
        clock = Clock(lambda: wall[0], lambda: steady[0])
        assert clock.step() == 0
        wall[0] += 10_000_000_000
        steady[0] += 10_000_000_000
        assert clock.step() == 0
        wall[0] -= 3_600_000_000_000
        assert clock.step() == -3_600_000_000_000
        assert clock.step() == 0

    def test_slewing_is_not_a_step(self) -> None:
        wall, steady = [START], [0]
        clock = Clock(lambda: wall[0], lambda: steady[0])
        for _ in range(1000):
            wall[0] += 1_000_500_000
            steady[0] += 1_000_000_000
            assert clock.step() == 0


class TestUsers:
    @pytest.fixture(autouse=True)
    def _as_root(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.delenv("SUDO_UID", raising=False)

    def test_the_default_is_the_user_nobody(self) -> None:
        user = pwd.getpwnam("nobody")
        assert target() == (user.pw_uid, user.pw_gid, [])

    def test_who_called_sudo(self, monkeypatch: pytest.MonkeyPatch) -> None:
        daemon = pwd.getpwnam("daemon")
        monkeypatch.setenv("SUDO_UID", str(daemon.pw_uid))
        found = target()
        assert found is not None
        assert found[:2] == (daemon.pw_uid, daemon.pw_gid)

    def test_root_under_sudo_is_nobody(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SUDO_UID", "0")
        assert target() == (pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("nobody").pw_gid, [])

    def test_one_that_does_not_exist(self) -> None:
        with pytest.raises(UsageError, match="no such user"):
            target("nix-nix-nix")

    def test_only_root_can_become_another(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        assert target() is None
        with pytest.raises(UsageError):
            target("nobody")


class TestRecorder:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [("100MBx10", (100_000_000, 10)), ("5kx2", (5000, 2)), ("1gbX3", (10**9, 3)), ("4096x1", (4096, 1))],
    )
    def test_sizes(self, text: str, expected: tuple[int, int]) -> None:
        assert rotation(text) == expected

    @pytest.mark.parametrize("text", ["", "x", "100MB", "100MBx0", "1x1", "-5kx2", "5tbx2", "5kx2x2"])
    def test_invalid_sizes(self, text: str) -> None:
        with pytest.raises(UsageError, match="invalid ring size"):
            rotation(text)

    def test_only_the_latest_files_stay(self, tmp_path: Path) -> None:
        recorder = Recorder(str(tmp_path / "mail"), [("eth0", 1)], Rotation(5000, 2))
        for number in range(50):
            recorder.add(0, [RingFrame(START + number, bytes([number]) * 500, 500)])
        recorder.close([RingStatistics(50, 3)])
        names = sorted(path.name for path in tmp_path.iterdir())
        assert len(names) == 2
        assert re.fullmatch(r"mail_\d{5}_\d{14}\.pcapng", names[-1])
        assert bytes([49]) * 500 in (tmp_path / names[-1]).read_bytes()

    def test_a_full_disk_is_reported_and_does_not_end_the_audit(self, tmp_path: Path) -> None:
        if not Path("/dev/full").exists():
            pytest.skip("needs /dev/full")
        recorder = Recorder(str(tmp_path / "mail.pcapng"), [("eth0", 1)])
        assert recorder._file is not None
        recorder._file.close()
        with open("/dev/full", "wb", buffering=0) as recorder._file:  # noqa: PTH123
            recorder.add(0, [RingFrame(START, b"x" * 60, 60)])
            assert recorder.fault is not None
            assert recorder.fault.startswith("cannot write (No space left on device): ")
            recorder.add(0, [RingFrame(START, b"x" * 60, 60)])
            recorder.close()

    def test_a_file_that_cannot_be_created(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="cannot write"):
            Recorder(str(tmp_path / "nix" / "mail.pcapng"), [("eth0", 1)])


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="needs these signals")
def test_signals_set_flags_and_handlers_are_restored() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    before_ns = time.time_ns()
    with Signals() as signals:
        for number in (signal.SIGUSR1, signal.SIGHUP, signal.SIGTERM):
            os.kill(os.getpid(), number)
        assert (signals.snapshot, signals.reload, signals.stop) == (True, True, True)
        assert before_ns <= signals.stopped_ns <= time.time_ns()
        assert not signals.hurry
        assert os.read(signals.fileno(), 10)
        signals.drain()
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.hurry
        with pytest.raises(KeyboardInterrupt):  # the third, for a loop that does not return
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGUSR1) is before


# -- the filter, in an interpreter that works like the kernel's --------------------------------------------------------


def _run(
    program: bytes, frame: bytes, *, tagged_by_kernel: bool = False, outgoing: bool = False, loopback: bool = False
) -> int:
    """Return the result of classic BPF with the kernel's offsets for an Ethernet frame."""
    known = {0xFFFFF004: 4 if outgoing else 0, 0xFFFFF01C: 772 if loopback else 1}
    start = 18 if tagged_by_kernel else 14
    network = frame[start:]
    kind = int.from_bytes(frame[start - 2 : start], "big")
    acc = x = at = steps = 0
    while True:
        steps += 1
        assert steps < 5000
        code, jt, jf, k = (
            int.from_bytes(program[at * 8 : at * 8 + 2], "little"),
            program[at * 8 + 2],
            program[at * 8 + 3],
            int.from_bytes(program[at * 8 + 4 : at * 8 + 8], "little"),
        )
        at += 1
        if code in {0x20, 0x28, 0x30, 0x48}:
            if k == 0xFFFFF000:
                acc = kind
                continue
            if k in known:
                acc = known[k]
                continue
            offset = k - 0xFFF00000 + (x if code == 0x48 else 0)
            size = {0x20: 4, 0x28: 2, 0x30: 1, 0x48: 2}[code]
            if offset + size > len(network):
                return 0  # as the kernel does for a load after the end
            acc = int.from_bytes(network[offset : offset + size], "big")
        elif code == 0x54:
            acc &= k
        elif code == 0x64:
            acc <<= k
        elif code == 0x07:
            x = acc
        elif code == 0x15:
            at += jt if acc == k else jf
        elif code == 0x45:
            at += jt if acc & k else jf
        elif code == 0x05:
            at += k
        else:
            assert code == 0x06
            return k


def _frames() -> Iterator[tuple[str, bytes, bool]]:
    one, other = ipv4(tcp(43210, 25, b"x")), ipv4(tcp(43210, 80, b"x"))
    yield "to the port", ethernet(one), True
    yield "from the port", ethernet(ipv4(tcp(587, 40000))), True
    yield "another port", ethernet(other), False
    yield "with options", ethernet(ipv4(tcp(43210, 25), options=bytes(8))), True
    yield "options that look like the port", ethernet(ipv4(tcp(43210, 80), options=b"\0\x19" * 4)), False
    yield "UDP", ethernet(ipv4(tcp(43210, 25), protocol=17)), False
    yield "ARP", ethernet(bytes(28), 0x0806), False
    first, *rest = (ethernet(piece) for piece in ipv4_fragments(tcp(43210, 25, b"x" * 100), 40))
    yield "the first fragment", first, True
    for piece in rest:
        yield "a later fragment", piece, True
    for tags in ([0x8100], [0x88A8, 0x8100], [0x9100]):
        yield "tagged", ethernet(one, tags=tags), True
        yield "tagged, another port", ethernet(other, tags=tags), False


@pytest.mark.parametrize(("frame", "wanted"), [pytest.param(f, w, id=n) for n, f, w in _frames()])
def test_the_filter(frame: bytes, wanted: bool) -> None:
    program = program_for_ports({25, 587})
    assert bool(_run(program, frame)) is wanted


def test_the_filter_stays_within_the_limit_of_the_kernel() -> None:
    many = program_for_ports(range(1, 129))
    assert len(many) // 8 <= 4096
    frame = ethernet(ipv4(tcp(43210, 100)), tags=[0x8100, 0x8100])
    assert _run(many, frame)
    # More ports than fit: the filter passes TCP of all ports.
    assert _run(program_for_ports(range(1, 5000)), ethernet(ipv4(tcp(43210, 9999))))


def test_every_frame_of_a_conversation_passes() -> None:
    program = program_for_ports({25})
    talk = Conversation().open().server(b"220 mx\r\n").client(b"QUIT\r\n").server(b"221 bye\r\n").close()
    assert all(_run(program, record.data) for record in talk.records)


@pytest.mark.parametrize("program", [None, program_for_ports({25})], ids=["everything", "ports"])
def test_the_filter_drops_outgoing_copies_of_loopback_frames_only(program: bytes | None) -> None:
    whole = without_loopback_copies(program)
    frame = ethernet(ipv4(tcp(43210, 25)))
    assert not _run(whole, frame, outgoing=True, loopback=True)
    assert _run(whole, frame, loopback=True)
    assert _run(whole, frame, outgoing=True)
    assert _run(whole, frame)
    assert bool(_run(whole, ethernet(ipv4(tcp(43210, 80))))) is (program is None)


def test_a_ring_has_at_most_half_of_the_memory_and_at_least_tworing_blocks() -> None:
    assert ring_blocks(64 << 20, 8 << 30) * BLOCK_BYTES == 64 << 20
    assert ring_blocks(1 << 40, 8 << 30) * BLOCK_BYTES == 4 << 30
    assert ring_blocks(1, 8 << 30) == 2


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("planted", ["socket", "link"])
def test_findings_are_not_sent_to_a_socket_that_another_user_planted(tmp_path: Path, planted: str) -> None:
    place = tmp_path / "pub"
    place.mkdir()
    place.chmod(0o1777)
    log = place / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as theirs:
        theirs.bind(str(log if planted == "socket" else tmp_path / "theirs"))
        if planted == "link":
            log.symlink_to(tmp_path / "theirs")
        os.lchown(log, 65534, 65534)
        with pytest.raises(UsageError, match="belongs to another user"):
            SyslogSink(str(log)).open()
        os.lchown(log, 0, 0)
        sink = SyslogSink(str(log))
        sink.open()
        sink.close()


def test_a_name_is_looked_up_before_privileges_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []

    def look_up(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        asked.append((host, port))
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.9", port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert parse_address("Loghost:514", "--syslog") == ("192.0.2.9", 514, "loghost")
    assert asked == [("Loghost", 514)]


def test_a_name_without_an_address_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(UsageError, match=r"no address \(Name or service not known\): --metrics nowhere:9187"):
        parse_address("nowhere:9187", "--metrics")


def test_a_port_that_is_taken_is_reported_before_privileges_are_dropped() -> None:
    pytest.importorskip("prometheus_client")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        metrics = PrometheusSink(f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(UsageError, match="cannot listen"):
            metrics.prepare()
        metrics.close()
