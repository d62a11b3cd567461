"""``smtpwire live`` on interfaces of a namespace: it finds in sent frames what an audit of their capture finds."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from captures import ACK, FIN, PSH, SYN, Conversation, ethernet, ipv4, ipv4_fragments, tcp
from netns import Live, Namespace, frames_of, needs_namespace
from other_user import for_everybody

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.slow, needs_namespace]

SAMPLES = Path(__file__).parents[2] / "samples"
LAST_PORT = 61_000  # of a client that comes last: when its connection is reported, all that came before has been read


@pytest.fixture(scope="module")
def space() -> Iterator[Namespace]:
    with Namespace() as one:
        yield one


def talk(port: int = 43210, *, quit: bool = True) -> Conversation:
    """MAIL before EHLO, accepted: SEQ101 for the client, SEQ120 for the server."""
    one = Conversation(port).open()
    one.server(b"220 mx.example ESMTP\r\n").client(b"MAIL FROM:<a@client.example>\r\n").server(b"250 ok\r\n")
    return one.client(b"QUIT\r\n").server(b"221 bye\r\n").close() if quit else one


def rules(items: list[dict[str, Any]]) -> list[str]:
    return sorted(item["rule"] for item in items)


def audited(path: Path, *arguments: str) -> dict[str, list[dict[str, Any]]]:
    done = subprocess.run(
        [sys.executable, "-m", "smtpwire", "audit", "--no-config", "--format", "ndjson", str(path), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    found: dict[str, list[dict[str, Any]]] = {"finding": [], "connection": [], "capture": [], "summary": []}
    for line in done.stdout.splitlines():
        item = json.loads(line)
        found[item.pop("type")].append(item)
    return found


@pytest.fixture
def public() -> Iterator[Path]:
    """Yield a directory in which the user nobody may write.

    It is not below ``tmp_path``: each pytest that starts makes the folder above it private again.
    """
    with tempfile.TemporaryDirectory(prefix="smtpwire-") as name:
        place = Path(name)
        place.chmod(0o777)
        yield place


def _timeless(connections: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Return the connections by number, without times, whose precision depends on the file, and without its name."""
    for one in connections:
        del one["captures"]
        for turn in (one, *one["dialogue"]):
            for name in ("started", "ended", "time"):
                turn.pop(name, None)
    return {one["id"]: one for one in connections}


class TestFindings:
    def test_they_equal_those_of_the_capture_that_was_written(self, space: Namespace, public: Path) -> None:
        path = public / "all.pcapng"
        with Live(space, "-i", "v1", "--write", str(path)) as live:
            live.started()
            for sample in sorted(SAMPLES.glob("*.pcap")):
                space.send(frames_of(sample))
            space.send(record.data for record in talk(LAST_PORT).records)
            live.connection(LAST_PORT)
            assert live.stop() == 0
        later = audited(path)
        assert len(later["finding"]) > 20
        reported = live.items("finding")
        for finding in reported:
            assert finding.pop("client")["address"]
            assert finding.pop("server")["address"]

        def order(finding: dict[str, Any]) -> tuple[Any, ...]:
            return finding["connection"], finding["frame"], finding["rule"], finding["offset"]

        for finding in (*reported, *later["finding"]):
            finding["time"] = finding["time"][:26]
        assert sorted(reported, key=order) == sorted(later["finding"], key=order)
        assert _timeless(live.items("connection")) == _timeless(later["connection"])
        assert live.items("summary") == later["summary"]
        (captured,), (read,) = live.items("capture"), later["capture"]
        assert captured["frames"] == read["frames"] > 600  # nearly all: some are on other ports than those of SMTP
        assert captured["problems"] == []

    def test_a_finding_is_reported_while_its_connection_is_open(self, space: Namespace) -> None:
        with Live(space, "-i", "v1") as live:
            live.started()
            space.send(record.data for record in talk(quit=False).records)
            first = json.loads(live.line("SEQ101"))
            second = json.loads(live.line("SEQ120"))
            assert first["type"] == "finding"
            assert (first["connection"], first["client"]["port"], first["frame"]) == (1, 43210, 5)
            assert second["caused_by"] == 0
            assert not live.items("connection")
            live.stop()
        assert len(live.items("finding")) == 2 + len(rules(live.items("finding"))[2:])
        assert rules(live.items("finding")).count("SEQ101") == 1
        (connection,) = live.items("connection")
        assert connection["id"] == 1
        assert connection["closing"] == "open"

    def test_it_is_reported_within_three_tenths_of_a_second(self, space: Namespace) -> None:
        with Live(space, "-i", "v1") as live:
            live.started()
            for number in range(20):
                space.send(record.data for record in talk(44000 + number, quit=False).records)
                finding = json.loads(live.line("SEQ101"))
                seen = time.time()
                then = time.mktime(time.strptime(finding["time"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
                assert seen - (then + float("0" + finding["time"][19:-1])) < 1.0  # the test is not about a busy machine

    def test_text_is_one_line_each_and_a_summary(self, space: Namespace) -> None:
        with Live(space, "-i", "v1", form="text") as live:
            live.started()
            space.send(record.data for record in talk().records)
            line = live.line("SEQ101")
            assert "v1:5: error SEQ101 client: MAIL was sent although no EHLO" in line
            assert "(#1 192.0.2.1:43210" in line
            assert live.stop() == 0
        assert live.lines[-1].startswith("2 errors, 0 warnings, 0 info in 1 connection and 0 messages.")

    def test_fail_on_makes_the_status(self, space: Namespace) -> None:
        with Live(space, "-i", "v1", "--fail-on", "error") as live:
            live.started()
            space.send(record.data for record in talk().records)
            live.line('"connection"')
            assert live.stop(signal.SIGTERM) == 1

    def test_select_and_redaction_apply_to_early_findings(self, space: Namespace) -> None:
        one = Conversation().open().server(b"220 mx ESMTP\r\n").client(b"AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n")
        one.server(b"503 no\r\n").client(b"AUTHH PLAIN AGFsaWNlAHNlY3JldA==\r\n").server(b"500 no\r\n")
        with Live(space, "-i", "v1", "--ignore", "SEQ101") as live:
            live.started()
            space.send(record.data for record in one.records)
            live.line('"finding"')
            live.stop()
        assert "AGFsaWNlAHNlY3JldA" not in "".join(live.lines)
        assert "SEQ101" not in rules(live.items("finding"))


class TestFilter:
    """The filter loses nothing that belongs to a connection, and no frame is read twice."""

    @pytest.mark.parametrize(
        "tags", [(0x8100,), (0x88A8, 0x8100), (0x8100, 0x8100, 0x8100)], ids=["one", "two", "three"]
    )
    def test_after_vlan_tags(self, space: Namespace, public: Path, tags: tuple[int, ...]) -> None:
        path = public / "vlan.pcapng"
        frames = [record.data for record in talk().records]
        with Live(space, "-i", "v1", "--write", str(path)) as live:
            live.started()
            space.send(frame[:12] + ethernet(frame[14:], tags=tags)[12:] for frame in frames)
            live.line('"connection"')
            live.stop()
        assert {"SEQ101", "SEQ120"} <= set(rules(live.items("finding")))
        (capture,) = live.items("capture")
        assert capture["frames"] == len(frames)
        # The tags that the kernel removed are in the file again.
        written = path.read_bytes()
        assert all(frame[:12] + ethernet(frame[14:], tags=tags)[12:] in written for frame in frames)

    def test_in_fragments(self, space: Namespace) -> None:
        one = talk()
        frames = []
        for record in one.records:
            segment = record.data[34:]
            around = record.data[:14], record.data[14:34]
            pieces = ipv4_fragments(segment, 16)
            addresses = around[1][12:20]
            frames += [around[0] + piece[:12] + addresses + piece[20:] for piece in pieces]
        with Live(space, "-i", "v1") as live:
            live.started()
            space.send(frames)
            live.line('"connection"')
            live.stop()
        assert {"SEQ101", "SEQ120"} <= set(rules(live.items("finding")))
        assert live.items("capture")[0]["frames"] == len(frames) > len(one.records)

    def test_other_ports_are_filtered_by_the_kernel(self, space: Namespace) -> None:
        with Live(space, "-i", "v1", "--port", "26") as live:
            live.started()
            space.send(record.data for record in talk().records)
            other = Conversation(LAST_PORT, server_port=26).open().server(b"220 mx\r\n").close().records
            space.send(record.data for record in other)
            live.connection(LAST_PORT)
            live.stop()
        assert live.items("capture")[0]["frames"] == len(other)

    def test_a_filter_of_libpcap(self, space: Namespace) -> None:
        with Live(space, "-i", "v1", "--bpf", "tcp port 43211") as live:
            live.started()
            space.send(record.data for record in talk(43210).records)
            space.send(record.data for record in talk(43211).records)
            live.line('"connection"')
            live.stop()
        assert [one["client"]["port"] for one in live.items("connection")] == [43211]

    def test_no_filter_at_all(self, space: Namespace) -> None:
        with Live(space, "-i", "v1", "--bpf", "") as live:
            live.started()
            space.send(record.data for record in Conversation(server_port=4025).open().records)
            space.send(
                record.data
                for record in Conversation(server_port=4025)
                .open()
                .server(b"220 mx ESMTP\r\n")
                .client(b"EHLO c.example\r\n")
                .server(b"250 mx\r\n")
                .client(b"QUIT\r\n")
                .server(b"221 bye\r\n")
                .close()
                .records
            )
            live.line('"connection"')
            live.stop()
        assert live.items("connection")[0]["server"]["port"] == 4025

    @pytest.mark.parametrize("name", ["lo", "any"])
    def test_loopback_frames_are_not_read_twice(self, space: Namespace, name: str) -> None:
        with Live(space, "-i", name, "--write", "/dev/null") as live:
            live.started()
            space.command(sys.executable, "-c", _SERVE)
            live.line('"connection"')
            live.stop()
        (capture,) = live.items("capture")
        assert 8 <= capture["frames"] <= 20  # those of a connection with four lines; if doubled, there would be more
        assert capture["link_types"] == (["EN10MB"] if name == "lo" else ["LINUX_SLL"])
        assert {"SEQ101", "SEQ120"} <= set(rules(live.items("finding")))
        assert live.items("connection")[0]["gaps"] == []

    def test_several_interfaces(self, space: Namespace) -> None:
        with Live(space, "-i", "v1", "-i", "lo") as live:
            live.started()
            space.send(record.data for record in talk().records)
            space.command(sys.executable, "-c", _SERVE)
            live.line('"connection"')
            live.line('"connection"')
            live.stop()
        assert {one["client"]["address"] for one in live.items("connection")} == {"192.0.2.1", "127.0.0.1"}

    def test_an_interface_without_link_layer(self, space: Namespace) -> None:
        script = (
            "import fcntl, os, struct, subprocess, sys\n"
            "tun = os.open('/dev/net/tun', os.O_RDWR)\n"
            "fcntl.ioctl(tun, 0x400454CA, struct.pack('16sH22x', b'tun7', 0x1001))\n"
            "subprocess.run(['ip', 'link', 'set', 'tun7', 'up'], check=True)\n"
            "print('up', flush=True)\n"
            "data = sys.stdin.buffer.read()\n"
            "at = 0\n"
            "while at < len(data):\n"
            "    size = struct.unpack_from('=I', data, at)[0]\n"
            "    os.write(tun, data[at + 4 : at + 4 + size])\n"
            "    at += 4 + size\n"
        )
        if not Path("/dev/net/tun").exists():
            pytest.skip("needs /dev/net/tun")
        command = space.inside(sys.executable, "-c", script)
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as tun:
            assert tun.stdin is not None
            assert tun.stdout is not None
            assert tun.stdout.readline() == b"up\n"
            with Live(space, "-i", "tun7") as live:
                live.started()
                packets = [record.data[14:] for record in talk().records]
                tun.stdin.write(b"".join(struct.pack("=I", len(one)) + one for one in packets))
                tun.stdin.close()
                live.line('"connection"')
                live.stop()
        assert live.items("capture")[0]["link_types"] == ["RAW"]
        assert {"SEQ101", "SEQ120"} <= set(rules(live.items("finding")))


_SERVE = """
import socket, threading
door = socket.create_server(("127.0.0.1", 25))
def serve():
    one, _ = door.accept()
    lines = one.makefile("rwb", 0)
    lines.write(b"220 mx.example ESMTP\\r\\n")
    lines.readline(); lines.write(b"250 ok\\r\\n")
    lines.readline(); lines.write(b"221 bye\\r\\n")
    one.close()
threading.Thread(target=serve).start()
client = socket.create_connection(("127.0.0.1", 25))
lines = client.makefile("rwb", 0)
lines.readline(); lines.write(b"MAIL FROM:<a@client.example>\\r\\n")
lines.readline(); lines.write(b"QUIT\\r\\n")
lines.readline(); client.close()
"""


class TestEnds:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_ends_it_with_a_summary(self, space: Namespace, number: signal.Signals) -> None:
        with Live(space, "-i", "v1") as live:
            live.started()
            space.send(record.data for record in talk(quit=False).records)
            assert live.stop(number) == 0  # at once: it waits for the frames that the kernel still has
        assert live.items("summary")[0]["connections"] == 1
        assert json.loads(live.lines[-1])["type"] == "summary"

    def test_frames_that_wait_at_the_end_are_read(self, space: Namespace) -> None:
        sent = [record.data for port in range(2000, 2500) for record in talk(port).records]
        with Live(space, "-i", "v1") as live:
            live.started()
            live.signal(signal.SIGSTOP)
            space.send(sent)
            live.signal(signal.SIGTERM)
            live.signal(signal.SIGCONT)
            assert live.wait() == 0
        (capture,) = live.items("capture")
        assert capture["frames"] == len(sent)
        assert capture["problems"] == []
        assert len(live.items("connection")) == 500

    def test_a_second_signal_leaves_them_and_says_how_many(self, space: Namespace) -> None:
        sent = [record.data for port in range(2000, 2500) for record in talk(port).records]
        with Live(space, "-i", "v1") as live:
            live.started()
            live.signal(signal.SIGSTOP)
            space.send(sent)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCONT):
                live.signal(number)
            assert live.wait() == 0
        (capture,) = live.items("capture")
        left = len(sent) - capture["frames"]
        assert left
        (problem,) = capture["problems"]
        assert problem == f"v1: {left:,} frames that came before the end of the run were left in the buffer, not read"
        assert live.said[-1] == f"smtpwire: {problem}\n"
        assert json.loads(live.lines[-1])["type"] == "summary"

    def test_it_ends_after_a_number_of_frames(self, space: Namespace) -> None:
        with Live(space, "-i", "v1", "--count", "5") as live:
            live.started()
            space.send(record.data for record in talk().records)
            assert live.wait() == 0
        assert live.items("capture")[0]["frames"] == 5

    def test_it_ends_after_a_number_of_seconds(self, space: Namespace) -> None:
        with Live(space, "-i", "v1", "--duration", "0.1", form="text") as live:
            live.started()
            assert live.wait(10) == 0
        assert live.lines[-1] == "No SMTP seen. TCP: no connections.\n"

    def test_it_ends_when_its_reader_has_gone(self, space: Namespace) -> None:
        read, write = os.pipe()
        words = ["nsenter", f"--net=/run/netns/{space.name}", sys.executable, "-m", "smtpwire", "live", "-i", "v1"]
        with subprocess.Popen([*words, "--no-config"], stdout=write, stderr=subprocess.PIPE, text=True) as process:
            os.close(write)
            os.close(read)
            assert process.stderr is not None
            assert "capturing" in process.stderr.readline()
            space.send(record.data for record in talk().records)
            assert process.wait(10) == 0
            assert process.stderr.read() == ""


class TestSignals:
    def test_open_connections_are_reported_in_their_current_state(self, space: Namespace) -> None:
        with Live(space, "-i", "v1") as live:
            live.started()
            space.send(record.data for record in talk(quit=False).records)
            live.line("SEQ120")
            live.signal(signal.SIGUSR1)
            standing = json.loads(live.line('"open"'))
            assert standing["type"] == "open"
            assert (standing["id"], standing["client_bytes"], standing["findings"]) == (1, 30, 2)
            assert [turn["kind"] for turn in standing["dialogue"]] == ["reply", "command", "reply"]
            space.send(record.data for record in talk().records[-6:])  # and continues
            live.line('"connection"')
            live.stop()
        assert rules(live.items("finding")).count("SEQ101") == 1

    def test_snapshots_at_an_interval(self, space: Namespace) -> None:
        with Live(space, "-i", "v1", "--snapshot", "0.2", form="text") as live:
            live.started()
            space.send(record.data for record in talk(quit=False).records)
            live.line("1 open connection")
            assert "30 and 30 bytes, 0 messages, 2 findings" in live.line("#1 ")
            live.line("1 open connection")

    def test_the_configuration_is_read_again_and_flows_are_kept(self, space: Namespace, public: Path) -> None:
        config = public / "smtpwire.toml"
        config.write_text('ignore = ["SEQ101", "SEQ120"]\n', "utf-8")
        items: list[dict[str, Any]] = []
        command = ["nsenter", f"--net=/run/netns/{space.name}", sys.executable, "-m", "smtpwire", "live", "-i", "v1"]
        with Live(space, "-i", "v1") as live:
            live.process.kill()
            live.process.wait()
        with (
            subprocess.Popen(
                [*command, "--format", "ndjson", "--snapshot", "0.1", "--config", str(config)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ) as process,
            ExitStack() as stack,
        ):
            stack.callback(process.kill)  # else a failure would wait for its end, which never comes
            assert process.stdout is not None
            assert process.stderr is not None
            assert "capturing" in process.stderr.readline()

            def until(turns: int) -> None:
                """Wait until the connection has this many turns."""
                assert process.stdout is not None
                end = time.monotonic() + 10
                for line in process.stdout:
                    assert time.monotonic() < end
                    items.append(json.loads(line))
                    if items[-1]["type"] == "open" and len(items[-1]["dialogue"]) == turns:
                        return

            one = talk(quit=False)
            space.send(record.data for record in one.records)
            until(3)
            config.write_text('select = ["SEQ"\n', "utf-8")
            process.send_signal(signal.SIGHUP)
            assert "the configuration is unchanged" in process.stderr.readline()
            config.write_text('select = ["SEQ"]\n', "utf-8")
            process.send_signal(signal.SIGHUP)
            assert "the configuration was read again" in process.stderr.readline()
            count = len(one.records)
            one.client(b"DATA\r\n").server(b"354 go on\r\n")
            space.send(record.data for record in one.records[count:])
            until(5)
            process.terminate()
            out, _ = process.communicate(timeout=20)
        items += [json.loads(line) for line in out.splitlines()]
        (connection,) = (item for item in items if item["type"] == "connection")
        assert len(connection["dialogue"]) == 5
        found = [item["rule"] for item in items if item["type"] == "finding"]
        assert found
        assert not {"SEQ101", "SEQ120"} & set(found[:1])
        assert all(rule.startswith("SEQ") for rule in found)


class TestInterfaces:
    def test_one_that_goes_down_and_comes_back(self, space: Namespace) -> None:
        with Live(space, "-i", "v1") as live:
            live.started()
            space.ip("link", "set", "v1", "down")
            live.hear("v1: the interface is down: waiting for it")
            space.ip("link", "set", "v1", "up")
            live.hear("v1: the interface is up again")
            space.send(record.data for record in talk().records)
            live.line('"connection"')

    def test_one_that_is_created_again(self) -> None:
        with Namespace() as own, Live(own, "-i", "v1") as live:
            live.started()
            own.ip("link", "del", "v0")
            live.hear("v1: the interface is down: waiting for it")
            own.pair()
            live.hear("v1: the interface is up again")
            own.send(record.data for record in talk().records)
            live.line('"connection"')

    def test_one_that_does_not_exist(self, space: Namespace) -> None:
        with Live(space, "-i", "nix0") as live:
            assert live.wait() == 2
        assert live.said == ["smtpwire: no such interface: nix0: there are lo, v1, v0, any\n"] or live.said[
            0
        ].startswith("smtpwire: no such interface: nix0: there are ")
        assert len(live.said) == 1

    def test_an_invalid_filter(self, space: Namespace) -> None:
        with Live(space, "-i", "lo", "--bpf", "tcp port") as live:
            assert live.wait() == 2
        assert len(live.said) == 1
        assert live.said[0].startswith("smtpwire: invalid capture filter: --bpf tcp port: ")


class TestNumbers:
    @pytest.mark.parametrize(
        ("option", "value", "reason"),
        [
            ("--duration", "nan", "'nan' is not a number of seconds"),
            ("--duration", "inf", "'inf' is not a number of seconds"),
            ("--snapshot", "nan", "'nan' is not a number of seconds"),
            ("--buffer", "99999999999", "99999999999 is not in the range 1<=x<=65536"),
        ],
    )
    def test_an_invalid_one_is_reported_in_a_line(self, space: Namespace, option: str, value: str, reason: str) -> None:
        with Live(space, "-i", "v1", option, value) as live:
            assert live.wait() == 2
        assert reason in live.said[-1]
        assert option in live.said[-1]
        assert not [line for line in live.said if "Traceback" in line]


class TestRights:
    def test_they_are_dropped(self, space: Namespace) -> None:
        with Live(space, "-i", "v1", env={"SUDO_UID": "", "SUDO_GID": ""}) as live:
            live.started()
            status = dict(
                line.split(":\t", 1)
                for line in Path(f"/proc/{live.process.pid}/status").read_text("utf-8").splitlines()
                if ":\t" in line
            )
        assert set(status["Uid"].split()) == set(status["Gid"].split()) == {"65534"}
        assert status["Groups"].strip() == ""
        assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
        assert status["NoNewPrivs"] == "1"

    def test_it_becomes_the_user_who_called_sudo(self, space: Namespace) -> None:
        with Live(space, "-i", "v1", env={"SUDO_UID": "1", "SUDO_GID": "1"}) as live:
            live.started()
            status = Path(f"/proc/{live.process.pid}/status").read_text("utf-8")
        assert "Uid:\t1\t1\t1\t1" in status

    def test_capabilities_without_root_are_dropped_too(self, space: Namespace) -> None:
        rights = ("--inh-caps=+net_raw", "--ambient-caps=+net_raw", "--bounding-set=-all,+net_raw")
        for_everybody(*rights)
        words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *rights]
        command = [*space.inside(*words), sys.executable, "-m", "smtpwire", "live", "-i", "v1", "--no-config"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
            assert process.stderr is not None
            assert "capturing on v1" in process.stderr.readline()
            status = Path(f"/proc/{process.pid}/status").read_text("utf-8")
            process.terminate()
        assert [line.split()[1] for line in status.splitlines() if line.startswith(("CapPrm", "CapEff", "CapAmb"))] == [
            "0" * 16
        ] * 3

    def test_without_any_the_error_says_what_to_do(self, space: Namespace) -> None:
        for_everybody()
        words = space.inside("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable)
        done = subprocess.run(
            [*words, "-m", "smtpwire", "live", "-i", "v1"], capture_output=True, text=True, check=False, cwd="/"
        )
        assert done.returncode == 2
        assert done.stdout == ""
        assert done.stderr.startswith("smtpwire: no permission to capture: v1: run it with sudo")
        assert "CAP_NET_RAW" in done.stderr
        assert done.stderr.count("\n") == 1


class TestLosses:
    def test_the_kernels_drops_are_counted_and_no_side_is_blamed(self, space: Namespace) -> None:
        frames = []
        for port in range(2000, 3000):
            one = Conversation(port).open().server(b"220 mx.example ESMTP\r\n").client(b"EHLO c.example\r\n")
            one.server(b"250 mx.example\r\n").client(b"MAIL FROM:<a@c.example>\r\n").server(b"250 ok\r\n")
            one.client(b"RCPT TO:<b@mx.example>\r\n").server(b"250 ok\r\n").client(b"DATA\r\n").server(b"354 go\r\n")
            one.client(
                b"From: <a@c.example>\r\nDate: Mon, 5 Jan 2026 10:00:00 +0000\r\n\r\n" + b"x" * 70 + b"\r\n.\r\n"
            )
            one.server(b"250 ok\r\n").client(b"QUIT\r\n").server(b"221 bye\r\n").close()
            frames.append([record.data for record in one.records])
        # Turn by turn, so that every connection loses a part.
        turns = [frame for turn in zip(*frames, strict=True) for frame in turn]
        with Live(space, "-i", "v1", "--buffer", "1") as live:
            live.started()
            live.signal(signal.SIGSTOP)
            space.send(turns)
            live.signal(signal.SIGCONT)
            line = live.hear("the kernel dropped", 30)
            assert line.startswith("smtpwire: v1: the kernel dropped ")
            last = [record.data for record in talk(LAST_PORT).records]
            late = [*(frame for turn in list(zip(*frames, strict=True))[-3:] for frame in turn), *last]
            space.send(late, pause=0.0001)
            live.connection(LAST_PORT, 30)
            live.stop()
        (capture,) = live.items("capture")
        (problem,) = capture["problems"]
        words = problem.split()
        dropped, passed = int(words[4].replace(",", "")), int(words[6].replace(",", ""))
        assert capture["frames"] + dropped == passed == len(turns) + len(late)
        found = [one for one in live.items("finding") if one["client"]["port"] != LAST_PORT]
        assert live.items("connection")
        assert not [one for one in found if one["side"] != "path" and one["certainty"] == "certain"]
        assert not {one["side"] for one in found} - {"path"}


def _written(folder: Path) -> dict[str, int]:
    """Return the sizes of the existing files; the oldest may be removed during the call."""
    sizes = {}
    for one in folder.iterdir():
        with suppress(FileNotFoundError):
            sizes[one.name] = one.stat().st_size
    return sizes


class TestWriting:
    def test_a_ring_of_files(self, space: Namespace, public: Path) -> None:
        with Live(space, "-i", "v1", "--write", str(public / "mail.pcapng"), "--ring", "5KBx3") as live:
            live.started()
            for port in range(5000, 5020):
                before = _written(public)
                space.send(record.data for record in talk(port).records)
                end = time.monotonic() + 10
                while _written(public) == before:  # the file changes between two blocks of frames
                    assert time.monotonic() < end, live.said
                    time.sleep(0.01)
            live.stop()
        files = sorted(public.iterdir())
        assert len(files) == 3
        assert all(one.name.startswith("mail_000") and one.suffix == ".pcapng" for one in files)
        assert all(one.stat().st_mode & 0o777 == 0o600 for one in files)
        later = audited(public)
        assert {one["rule"] for one in later["finding"]} >= {"SEQ101", "SEQ120"}
        assert all(not one["problems"] for one in later["capture"])

    def test_a_file_that_the_new_user_may_not_write(self, space: Namespace, tmp_path: Path) -> None:
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o700)
        with Live(space, "-i", "v1", "--write", str(closed / "mail.pcapng")) as live:
            assert live.wait() == 2
        assert live.said[-1].startswith("smtpwire: cannot write (Permission denied)")


def _segment(seq: int, ack: int, flags: int, payload: bytes = b"") -> bytes:
    return ethernet(ipv4(tcp(40000, 25, payload, seq=seq, ack=ack, flags=flags)))


def test_invalid_frames_do_not_stop_it(space: Namespace) -> None:
    hostile = [
        b"\xff" * 14,
        ethernet(b"\x45" + bytes(19)),
        ethernet(b"\x60" + bytes(39)),
        ethernet(b"\x00" * 60, 0x8847),
        _segment(1, 1, SYN | FIN | PSH | ACK, b"\0" * 40)[:50],
        ethernet(ipv4(tcp(40000, 25, b"x"), total=9000)),
        ethernet(ipv4(b"\0" * 8, protocol=47)),
    ]
    with Live(space, "-i", "v1", "--bpf", "") as live:
        live.started()
        space.send(hostile)
        space.send(record.data for record in talk().records)
        live.line('"connection"')
        assert live.stop() == 0
    assert {"SEQ101", "SEQ120"} <= set(rules(live.items("finding")))


def test_nothing_else_of_the_namespace_is_touched(space: Namespace) -> None:
    with Live(space, "-i", "v1", "-p") as live:
        live.started()
        done = subprocess.run(
            ["ip", "-n", space.name, "-d", "link", "show", "v1"], capture_output=True, text=True, check=True
        )
        assert "promiscuity 0" in done.stdout
    assert socket.gethostname()
