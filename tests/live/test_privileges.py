"""Rights are dropped, and checked; afterwards nothing has to be loaded any more."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from other_user import NOBODY

from smtpwire.analyzer.errors import UsageError
from smtpwire.analyzer.live import privileges
from smtpwire.analyzer.live.privileges import DECRYPTING, LATE, User, become, target

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples"

needs_root = pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.geteuid() != 0, reason="only root on Linux has rights to drop"
)

# Runs in a process of its own: there is no way back.
_DROP = """
import re
from smtpwire.analyzer.live.privileges import User, become
become(User({user}, {group}, []))
status = open("/proc/self/status").read()
names = ("Uid", "Gid", "Groups", "CapEff", "CapPrm", "CapAmb", "NoNewPrivs")
print({{name: re.search(name + ":(.*)", status)[1].split() for name in names}})
"""


@needs_root
@pytest.mark.slow
@pytest.mark.parametrize("user", [NOBODY, 0])
def test_nothing_is_left(user: int) -> None:
    code = _DROP.format(user=user, group=user)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = ast.literal_eval(done.stdout)
    assert found["Uid"] == found["Gid"] == [str(user)] * 4
    assert found["Groups"] == []
    assert {found[name][0].strip("0") for name in ("CapEff", "CapPrm", "CapAmb")} == {""}
    assert found["NoNewPrivs"] == ["1"]


@needs_root
@pytest.mark.slow
@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("os.setuid = lambda _: None", "it is still another user"),
        ("os.setgid = lambda _: None", "it still has other groups"),
        ("p._drop_capabilities = lambda: None", "it can still get new ones"),
        ("os.setuid = lambda one: one and os.setresuid(one, one, one)", "it can become root again"),
    ],
)
def test_a_step_that_has_no_effect_is_noticed(broken: str, reason: str) -> None:
    code = f"""
import os
import smtpwire.analyzer.live.privileges as p
{broken}
try:
    p.become(p.User({NOBODY}, {NOBODY}, []))
    print(None)
except Exception as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert reason in done.stdout


def test_a_system_that_refuses_is_a_one_line_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "setgroups", refuse)
    with pytest.raises(UsageError, match=r"cannot be dropped \(Operation not permitted\): smtpwire live: run it as"):
        become(User(NOBODY, NOBODY, []))


def test_a_user_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privileges, "is_root", lambda: True)
    monkeypatch.delenv("SUDO_UID", raising=False)
    for name in ("no-such-user", "x" * 5000, ""):
        with pytest.raises(UsageError, match="no such user"):
            target(name)
    for called in ("4294967295", "99999999999999999999", "1" * 5000):
        monkeypatch.setenv("SUDO_UID", called)
        with pytest.raises(UsageError, match="no such user"):
            target()


# -- everything is loaded before ---------------------------------------------------------------------------------------

# Modules that a live audit does not run after the rights are dropped: commands, and formats of reports.
_OTHERS = (
    *("cli", "commands/", "parallel/", "reports/formats", "reports/html", "reports/progress_bar", "run", "stores/"),
    *("wireshark/", "rules/plugins", "rules/examples", "rules/registry", "live/opening", "live/privileges"),
)
# What these modules import is loaded when the source or the sink is made, or is part of the interpreter.
_BEFORE = {"live/bpf.py", "live/scapy_source.py", "live/prometheus_sink.py"}


def imported_late() -> set[str]:
    """Return the modules that functions of a live audit import, relative to the folder `live`."""
    found = set()
    for path in sorted((ROOT / "analyzer").rglob("*.py")):
        module = path.relative_to(ROOT / "analyzer").as_posix()
        if module.startswith(_OTHERS) or module in _BEFORE:
            continue
        for function in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(function, ast.FunctionDef):
                continue
            for node in ast.walk(function):
                if isinstance(node, ast.Import):
                    found |= {alias.name for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.level:
                    package = module.split("/")[:-1]
                    package = package[: len(package) - node.level + 1]
                    found.add("..".join(["", ".".join([*package, node.module or ""])]))
                elif isinstance(node, ast.ImportFrom):
                    found.add(node.module or "")
    return found


@pytest.mark.tree
def test_every_late_import_is_in_the_list() -> None:
    found = imported_late() - {"fsspec.core"}  # a live audit reads no URLs
    assert len(found) > 8
    known = (*LATE, *DECRYPTING)
    assert found <= {*known, *(f"..{name.removeprefix('..')}" for name in known)}


_WATCHED = """
import os, sys
import smtpwire.analyzer.live.privileges as p
real = p.become
def become(who):
    real(who)
    def hook(event, arguments):
        name = arguments[0] if arguments else None
        if event == "import" and name not in sys.modules:
            os.write(2, f"loaded {name}\\n".encode())
        if event == "open" and isinstance(name, str) and name.endswith((".py", ".pyc", ".so")):
            os.write(2, f"loaded {name}\\n".encode())
    sys.addaudithook(hook)
p.become = become
sys.argv = ["smtpwire", *sys.argv[1:]]
from smtpwire.analyzer.cli import main
main()
"""


@needs_root
@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "terminal"),
    [((), True), (("--format", "ndjson"), False), (("--metrics", "PORT", "--redact", "pii"), True)],
)
def test_nothing_is_loaded_afterwards(words: tuple[str, ...], terminal: bool, tmp_path: Path) -> None:
    """The user may not be allowed to read Python's files, as where they are below root's folder."""
    if words[:1] == ("--metrics",):
        import socket  # noqa: PLC0415

        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            words = ("--metrics", f"127.0.0.1:{probe.getsockname()[1]}", *words[2:])
    place = Path("/tmp") / f"smtpwire-{os.getpid()}-{os.urandom(4).hex()}"
    place.mkdir()
    try:
        place.chmod(0o755)
        for name in ("demo.pcap", "gap.pcap"):
            (place / name).write_bytes((SAMPLES / name).read_bytes())
        command = [sys.executable, "-c", _WATCHED, "live", "--watch", str(place), "--user", "nobody"]
        command += ["--no-config", "--duration", "12", *words]
        if terminal:
            import pty  # noqa: PLC0415

            parent, child = pty.openpty()
            run = subprocess.Popen(command, stdout=child, stderr=subprocess.PIPE, text=True)
            os.close(child)
            out = b""
            while True:
                try:
                    piece = os.read(parent, 65536)
                except OSError:
                    break
                if not piece:
                    break
                out += piece
            os.close(parent)
            errors = run.communicate()[1]
        else:
            done = subprocess.run(command, capture_output=True, check=False)
            out, errors = done.stdout, done.stderr.decode()
        assert "loaded" not in errors
        assert "Traceback" not in errors
        assert re.search(rb"SEQ1|7 connections|summary", out)
    finally:
        for path in place.iterdir():
            path.unlink()
        place.rmdir()
