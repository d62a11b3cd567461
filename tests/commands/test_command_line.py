"""The command line as it is declared: the values of words, the messages for mistakes, and completion in a shell."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpwire.analyzer.audit import DEFAULT_PORTS
from smtpwire.analyzer.commands.options import PORTS
from smtpwire.analyzer.commands.registry import smtpwire
from smtpwire.analyzer.enums import Decoder, Profile, Redact, ReportFormat
from smtpwire.analyzer.rules import RULES
from smtpwire.analyzer.run import FailOn

DEMO = Path(str(resources.files("smtpwire.samples") / "demo.pcap"))


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "smtpwire", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **environment},
    )


def every_command() -> dict[str, click.Command]:
    """Each command by its words, those of groups too."""
    root = click.Context(smtpwire)
    found: dict[str, click.Command] = {}
    for name in smtpwire.list_commands(root):
        command = smtpwire.get_command(root, name)
        assert command is not None
        if isinstance(command, click.Group):
            found |= {f"{name} {inner}": one for inner, one in command.commands.items()}
        else:
            found[name] = command
    return found


EVERY = every_command()


def values(line: str) -> dict[str, Any]:
    """Return the values that the function of the command gets for ``line``."""
    words = line.split()
    name = words[0] if words[0] in EVERY else " ".join(words[:2])
    return EVERY[name].make_context(name, words[len(name.split()) :]).params


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("audit x.pcap", {"paths": ("x.pcap",), "format_": None, "decoder": Decoder.RAW, "jobs": None}),
        ("audit - --format ndjson", {"paths": ("-",), "format_": ReportFormat.NDJSON}),
        ("audit --read x.pcap -r y.pcap", {"read": ("x.pcap", "y.pcap")}),
        ("audit x --fail-on=never --stats", {"paths": ("x",), "fail_on": FailOn.NEVER, "stats": True}),
        ("audit -o a.html x -o json:b y", {"output": ("a.html", "json:b"), "paths": ("x", "y")}),
        ("audit x --profile lmtp --redact pii -j2", {"profile": Profile.LMTP, "redact": Redact.PII, "jobs": 2}),
        ("show x --connection 3 --all", {"paths": ("x",), "connection_": ("3",), "everything": True}),
        ("live -i eth0 --duration 5", {"interface": ("eth0",), "duration": 5.0, "fail_on": FailOn.NEVER}),
        ("annotate x -o -", {"path": "x", "output": "-"}),
        ("query select x y", {"sql": "select", "paths": ("x", "y")}),
        ("rule SEQ101", {"rules": ("SEQ101",)}),
        ("baseline write b x y", {"file": "b", "paths": ("x", "y"), "output": None}),
        ("baseline write -o b x y", {"file": "x", "paths": ("y",), "output": "b"}),
        ("extract x -o out --max-size 0", {"paths": ("x",), "output": "out", "max_size": 0}),
    ],
)
def test_words_become_values(line: str, expected: dict[str, Any]) -> None:
    found = values(line)
    assert {name: found[name] for name in expected} == expected
    assert {name: type(found[name]) for name in expected} == {name: type(one) for name, one in expected.items()}


def test_the_help_names_the_default_ports() -> None:
    assert {int(port) for port in re.findall("[0-9]+", PORTS)} == DEFAULT_PORTS


@pytest.mark.parametrize("name", sorted(EVERY))
def test_every_option_and_every_command_is_explained(name: str) -> None:
    command = EVERY[name]
    assert command.help
    assert len(command.get_short_help_str(200)) <= 65  # fits 80 columns beside the longest name
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
        else:
            assert parameter.make_metavar(click.Context(command)).strip("[].{}").split("|")[0] in command.help or (
                parameter.name == "shell"
            )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["audi"], "no such command: audi: did you mean audit?"),
        (["frobnicate"], "no such command: frobnicate: smtpwire --help lists the commands"),
        ([str(DEMO)], f"the command is missing: {DEMO}: write smtpwire audit {DEMO}"),
        (["audit", "--formt", "json"], "--formt"),
        (["audit", "--format", "TEXT", "x"], "'TEXT' is not one of 'text', 'json'"),
        (["audit", "x", "--jobs", "65"], "65 is not in the range 1<=x<=64"),
        (["audit", "x", "--format"], "'--format' requires an argument"),
        (["annotate", "x"], "Missing option '-o'"),
        (["baseline", "write", "b"], "no capture is named: b: write smtpwire baseline write FILE PATH..."),
        (["baseline", "red"], "No such command 'red'"),
        (["demo", "x"], "unexpected extra argument"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_word(words: list[str], said: str) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert not done.stdout
    assert done.stderr.startswith("smtpwire: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("words", [(), ("baseline",), ("wireshark",)])
def test_without_a_command_the_commands_are_listed(words: tuple[str, ...]) -> None:
    done = run(*words)
    assert (done.returncode, done.stderr) == (2, "")
    assert "\nCommands:\n" in done.stdout
    listed = [name for name in EVERY if name.startswith(" ".join(words))]
    assert listed
    assert all(f"\n  {name.split()[len(words)]} " in done.stdout for name in listed)
    asked = run(*words, "--help")
    assert (asked.returncode, asked.stdout) == (0, done.stdout)


WORDS = st.one_of(st.text(max_size=12).map(lambda text: text.encode("utf-8", "ignore")), st.binary(max_size=12)).map(
    lambda raw: os.fsdecode(raw.replace(b"\0", b""))
)
"""What a process can get as an argument: any bytes but NUL."""


@settings(max_examples=200)
@given(st.sampled_from(sorted(EVERY)), st.lists(WORDS, max_size=4))
def test_no_words_are_a_fault_of_ours(name: str, words: list[str]) -> None:
    """Whatever is typed is a value, a request for help, or a mistake that click reports."""
    with contextlib.suppress(click.ClickException, click.exceptions.Exit):
        EVERY[name].make_context(name, list(words))


def test_paths_are_not_checked_before_the_command_runs() -> None:
    """Else a file without permission would be wrong use (2) and not an input that cannot be read (3)."""
    for command in EVERY.values():
        for parameter in command.params:
            assert not isinstance(parameter.type, click.Path) or not (parameter.type.readable or parameter.type.exists)


def completed(line: str) -> list[str]:
    """Return the candidates that bash gets for the last word of ``line``."""
    words = line.split(" ")
    done = run(_SMTPWIRE_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1))
    assert done.stderr == ""
    return [one.partition(",")[2] for one in done.stdout.splitlines()]


@pytest.mark.slow
class TestCompletion:
    def test_commands(self) -> None:
        assert completed("smtpwire a") == ["audit", "annotate"]
        assert completed("smtpwire baseline ") == ["write"]

    def test_options(self) -> None:
        assert completed("smtpwire audit --se") == ["--select", "--server"]
        assert "--end-of-data" in completed("smtpwire show -")

    def test_formats(self) -> None:
        assert completed("smtpwire audit --format s") == ["sarif", "sqlite"]
        assert completed("smtpwire audit -o sar")[0] == "sarif:"
        assert completed("smtpwire audit --redact ") == [one.value for one in Redact]

    def test_values_after_an_equals_sign(self) -> None:
        """bash splits the word there."""
        assert completed("smtpwire audit --format = js") == ["json"]
        assert completed("smtpwire audit --redact =") == [one.value for one in Redact]

    def test_files_if_no_format_matches(self) -> None:
        done = run(_SMTPWIRE_COMPLETE="bash_complete", COMP_WORDS="smtpwire audit -o rep", COMP_CWORD="3")
        assert done.stdout == "file,rep\n"

    def test_rules(self) -> None:
        assert completed("smtpwire rule SEQ10") == [one for one in sorted(RULES) if one.startswith("SEQ10")]
        assert completed("smtpwire rule mail-before-h") == ["mail-before-hello"]
        assert completed("smtpwire audit --ignore BIT,seq101") == ["BIT,SEQ101"]
        families = completed("smtpwire audit --select ")
        assert "SEQ" in families

    def test_interfaces(self) -> None:
        names = {name for _, name in socket.if_nameindex()}
        assert names <= set(completed("smtpwire live -i "))
        assert completed("smtpwire live -i an") == ["any"]

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_the_script_of_a_shell(self, shell: str) -> None:
        done = run("completion", shell)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"_SMTPWIRE_COMPLETE={shell}_complete" in done.stdout
