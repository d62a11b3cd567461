"""The extcap, the Lua post-dissector and their installation: the queries of Wireshark, and what tshark then shows."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from captures import Conversation, pcap
from other_user import NOBODY

from smtpwire.analyzer.wireshark.extcap import main

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark")


def talk() -> bytes:
    """SEQ101 is on frame 5."""
    said = Conversation().open().server(b"220 mx.example ESMTP\r\n").client(b"MAIL FROM:<a@b.example>\r\n")
    said.server(b"503 5.5.1 hello first\r\n").client(b"QUIT\r\n").server(b"221 bye\r\n")
    return pcap(said.close().records)


class Home(NamedTuple):
    """A user with an empty home folder."""

    path: Path
    identity: dict[str, Any]

    def run(self, *command: str, expect: int = 0, timeout: int = 60) -> str:
        """Return the output of ``command``, run by this user."""
        environment = {"HOME": str(self.path), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        done: subprocess.CompletedProcess[str] = subprocess.run(
            command,
            env=environment,
            cwd=self.path,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            **self.identity,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout

    def smtpwire(self, *arguments: str, expect: int = 0) -> str:
        return self.run(sys.executable, "-m", "smtpwire", "wireshark", *arguments, expect=expect)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path, {})


@pytest.fixture
def ordinary_user() -> Iterator[Home]:
    """Yield an ordinary user, if the tests run as root and other users may run this Python."""
    if os.name != "posix" or os.geteuid():
        pytest.skip("needs root, to become another user")
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        os.chown(folder, NOBODY, NOBODY)
        user = Home(folder, {"user": NOBODY, "group": NOBODY, "extra_groups": []})
        try:
            user.run(sys.executable, "-c", "import smtpwire.analyzer.audit")
        except (OSError, AssertionError):
            pytest.skip("needs a Python that everybody may use")
        yield user
    finally:
        shutil.rmtree(folder)


# -- the queries of Wireshark ------------------------------------------------------------------------------------------


def answers(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(arguments) == 0
    return capsys.readouterr().out.splitlines()


def test_it_names_one_interface(capsys: pytest.CaptureFixture[str]) -> None:
    program, interface = answers(capsys, "--extcap-interfaces", "--extcap-version=4.4")
    assert program.startswith("extcap {version=")
    assert interface == "interface {value=smtpwire}{display=SMTP audit}"
    (link,) = answers(capsys, "--extcap-dlts", "--extcap-interface", "smtpwire")
    assert link.startswith("dlt {number=1}")


def test_it_can_be_configured(capsys: pytest.CaptureFixture[str]) -> None:
    lines = answers(capsys, "--extcap-config", "--extcap-interface", "smtpwire")
    calls = [line.split("{call=")[1].split("}")[0] for line in lines if line.startswith("arg ")]
    assert calls == ["--source", "--replay", "--select", "--ignore", "--ports"]
    offered = [line for line in lines if line.startswith("value {arg=0}")]
    assert sum("{default=true}" in line for line in offered) == 1
    assert {name for _, name in socket.if_nameindex()} <= {line.split("{value=")[1].split("}")[0] for line in offered}


def test_an_unknown_query_is_not_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert answers(capsys, "--extcap-interface=smtpwire", "--extcap-capture-filter=tcp", "--extcap-of-tomorrow") == []


def test_the_audit_is_not_imported_when_wireshark_starts() -> None:
    code = (
        "import sys; from smtpwire.analyzer.wireshark.extcap import main; main(['--extcap-interfaces'])\n"
        "print(*sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"scapy", "construct", "click", "msgspec", "rich", "smtpwire.analyzer.audit"} & set(out.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--capture"], "--capture without --fifo"),
        (["--capture", "--fifo", "out", "--replay", "missing.pcap"], "no such file: missing.pcap"),
        (["--capture", "--fifo", "out", "--replay", "in.pcap", "--select", "SEQ999"], "SEQ999"),
        (["--capture", "--fifo", "out", "--ports", "smtp"], "no such port: smtp"),
        (["--capture", "--fifo", "no/where", "--replay", "in.pcap"], "No such file or directory: no/where"),
        (["--capture", "--fifo", "out", "--source", "TCP@host:1"], "no such interface: TCP@host:1"),
    ],
)
def test_an_error_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.pcap").write_bytes(talk())
    Path("out").touch()
    assert main(arguments) == 1
    output = capsys.readouterr().err
    assert words in output
    assert output.startswith("smtpwire: ")
    assert output.count("\n") == 1


def test_a_file_is_replayed_with_comments(tmp_path: Path) -> None:
    source, fifo = tmp_path / "in.pcap", tmp_path / "fifo"
    source.write_bytes(talk())
    os.mkfifo(fifo)
    with subprocess.Popen(["cat", fifo], stdout=subprocess.PIPE) as reader:
        assert main(["--capture", "--fifo", str(fifo), "--replay", str(source), "--select", "SEQ101"]) == 0
        got = reader.communicate()[0]
    assert got.count(b"smtpwire: error SEQ101 client: MAIL was sent") == 1
    assert got.count(b"smtpwire: ") == 1


# -- installation -----------------------------------------------------------------------------------------------------


def test_it_is_installed_and_removed(home: Home) -> None:
    missing = home.smtpwire("status", expect=1)
    assert missing.count("not installed") == 2
    paths = [Path(line.split(None, 1)[1]) for line in home.smtpwire("install").splitlines() if str(home.path) in line]
    assert len(paths) == 2
    assert all(path.is_relative_to(home.path) for path in paths)
    launcher, script = paths
    assert os.access(launcher, os.X_OK)
    assert script.suffix == ".lua"
    output = home.smtpwire("status")
    assert output.count(": installed") == 2
    assert home.run(str(launcher), "--extcap-interfaces").startswith("extcap {version=")
    launcher.write_text(launcher.read_text() + "# an older one\n")
    assert "install again" in home.smtpwire("status", expect=1)
    assert home.smtpwire("uninstall").count(": removed") == 2
    assert not launcher.exists()
    assert not script.exists()
    assert home.smtpwire("uninstall") == "nothing was installed\n"


def test_a_file_of_another_program_is_not_changed(home: Home) -> None:
    output = home.smtpwire("status", expect=1)
    path = Path(output.split(": ", 1)[0].split(None, 1)[1])
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    home.smtpwire("install", expect=2)
    assert "a file of another program" in home.smtpwire("status", expect=1)
    home.smtpwire("uninstall")
    assert path.read_text() == "#!/bin/sh\n"


# -- in tshark --------------------------------------------------------------------------------------------------------


def fields_seen(home: Home, capture: Path) -> list[list[str]]:
    """Return frame, rule, severity, side, reference and expert info of the frames with findings."""
    names = ["frame.number", "smtpwire.rule", "smtpwire.severity", "smtpwire.side", "smtpwire.reference"]
    flags = [flag for name in names for flag in ("-e", name)]
    out = home.run("tshark", "-r", str(capture), "-Y", 'smtpwire.rule == "SEQ101"', "-T", "fields", *flags)
    return [line.split("\t") for line in out.splitlines()]


EXPECTED = [["5", "SEQ101", "error", "client", "RFC 5321 §4.1.1.1, §4.1.4"]]


def in_tshark(home: Home) -> None:
    source, copy = home.path / "in.pcap", home.path / "out.pcapng"
    source.write_bytes(talk())
    source.chmod(0o644)
    assert "extcap     seen by tshark\ndissector  seen by tshark\n" in home.smtpwire("install")
    listed = home.run("tshark", "-D")
    assert "smtpwire (SMTP audit)" in listed
    options = ["-o", f"extcap.smtpwire.replay:{source}", "-o", "extcap.smtpwire.select:SEQ"]
    home.run("tshark", "-i", "smtpwire", *options, "-w", str(copy))
    assert fields_seen(home, copy) == EXPECTED
    expert = home.run("tshark", "-r", str(copy), "-q", "-z", "expert,error")
    assert "SEQ101 MAIL was sent although no EHLO or HELO had been accepted" in expert
    home.smtpwire("uninstall")
    assert "smtpwire" not in home.run("tshark", "-D")


@needs_tshark
def test_it_works_in_tshark(home: Home) -> None:
    in_tshark(home)


@needs_tshark
def test_it_works_for_an_ordinary_user(ordinary_user: Home) -> None:
    in_tshark(ordinary_user)


@needs_tshark
def test_the_lua_script_parses_comments(home: Home) -> None:
    """Other comments, and those that only look similar, stay comments."""
    source, copy = home.path / "in.pcap", home.path / "out.pcapng"
    source.write_bytes(talk())
    home.smtpwire("install")
    comments = {
        1: "smtpwire: warning MSG701 client: not certain: no Date (at all) (RFC 5322 §3.6)",
        2: "smtpwire: info XYZ123 path: without a reference",
        3: "smtpwire: 12 more findings on this frame",
        4: "seen by me",
        5: "smtpwire: grave SEQ101 client: no such severity (RFC 1)",
    }
    flags = [flag for number, text in comments.items() for flag in ("-a", f"{number}:{text}")]
    subprocess.run(["editcap", *flags, source, copy], check=True)
    names = ["frame.number", "smtpwire.rule", "smtpwire.message", "smtpwire.reference"]
    out = home.run("tshark", "-r", str(copy), "-Y", "smtpwire.finding", "-T", "json", *(f"-e{name}" for name in names))
    found = [packet["_source"]["layers"] for packet in json.loads(out)]
    assert [[layers.get(name, [None])[0] for name in names] for layers in found] == [
        ["1", "MSG701", "not certain: no Date (at all)", "RFC 5322 §3.6"],
        ["2", "XYZ123", "without a reference", None],
    ]


# -- live -------------------------------------------------------------------------------------------------------------


def may_capture() -> bool:
    if shutil.which("dumpcap") is None or shutil.which("tshark") is None or not sys.platform.startswith("linux"):
        return False
    tried = subprocess.run(["dumpcap", "-L", "-i", "lo"], capture_output=True, check=False)
    return tried.returncode == 0


def converse(port: int) -> None:
    """A client that forgets EHLO, on the loopback interface."""
    with socket.create_server(("127.0.0.1", port)) as listening:

        def serve() -> None:
            end, _ = listening.accept()
            with end, end.makefile("rb") as lines:
                end.sendall(b"220 mx.example ESMTP\r\n")
                for line in lines:
                    end.sendall(b"221 bye\r\n" if line.startswith(b"QUIT") else b"503 5.5.1 hello first\r\n")
                    if line.startswith(b"QUIT"):
                        return

        server = threading.Thread(target=serve)
        server.start()
        with socket.create_connection(("127.0.0.1", port)) as end, end.makefile("rb") as replies:
            replies.readline()
            for command in (b"MAIL FROM:<a@b.example>\r\n", b"QUIT\r\n"):
                end.sendall(command)
                replies.readline()
        server.join()


@needs_tshark
@pytest.mark.skipif(not may_capture(), reason="needs dumpcap and the right to capture")
def test_a_live_capture_has_the_comments(home: Home) -> None:
    home.smtpwire("install")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    copy = home.path / "out.pcapng"
    command = ["tshark", "-i", "smtpwire", "-o", "extcap.smtpwire.source:lo", "-f", f"tcp port {port}"]
    command += ["-a", "duration:60", "-w", str(copy)]
    with subprocess.Popen(command, env={**os.environ, "HOME": str(home.path)}, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline:
            converse(port)  # until the capture has started
            time.sleep(0.1)
            if copy.exists() and b"smtpwire: error SEQ101 client: MAIL was" in copy.read_bytes():
                break
        process.terminate()
        process.wait(20)
    rules = {rule for _, rule, *_ in fields_seen(home, copy)}
    assert rules == {"SEQ101"}


def test_a_name_of_an_interface_cannot_add_to_the_answers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(socket, "if_nameindex", lambda: [(1, "lo"), (2, "x}{call=--evil"), (3, "y\x1b")])
    assert main(["--extcap-interface", "smtpwire", "--extcap-config"]) == 0
    out = capsys.readouterr().out
    assert "{value=lo}" in out
    assert "evil" not in out
    assert "\x1b" not in out
