"""Command lines that are plain are read without Typer, and as Typer reads them."""

from __future__ import annotations

import inspect
from enum import Enum
from functools import wraps
from typing import Any, get_type_hints

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpwire.analyzer.commands import typer_app as tree
from smtpwire.analyzer.commands.plain_parser import Argument, Command, Group, _kind, plain
from smtpwire.analyzer.commands.registry import NAMES, called, known
from smtpwire.analyzer.enums import Redact, ReportFormat
from smtpwire.analyzer.run import FailOn


def every() -> dict[str, Command]:
    """Each command by its name, those of groups too."""
    found: dict[str, Command] = {}
    for name in NAMES:
        one = known(name)
        if isinstance(one, Group):
            found |= {f"{name} {within}": command for within, command in one.commands.items()}
        else:
            found[name] = one
    return found


EVERY = every()


def by_typer(command: Command, words: list[str]) -> dict[str, Any] | None:
    """What Typer calls the command with; None: it does not."""
    calls: list[dict[str, Any]] = []

    @wraps(command.call)
    def record(**values: Any) -> int:
        calls.append(values)
        return 0

    app = typer.Typer(callback=lambda: None, context_settings={"help_option_names": ["-h", "--help"]})
    tree._add(app, "command", Command(record))
    try:
        app(["command", *words], standalone_mode=False)
    except (typer.Exit, typer.BadParameter.__bases__[0]):  # type: ignore[misc]
        return None
    return calls[0] if calls else None


def by_us(command: Command, words: list[str]) -> dict[str, Any] | None:
    values = plain(command.call, words)
    if values is None:
        return None
    parameters = inspect.signature(command.call).parameters
    return {name: one.default for name, one in parameters.items() if one.default is not one.empty} | values


ODD = ("", "-", "--", "x.pcap", "-1", "0", "007", "1", "64", "65", "1.5", "1e3", "٣", "TEXT", "a=b", "--x", "-hx", "é")


@st.composite
def command_lines(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A command, and words that it mostly takes."""
    name = draw(st.sampled_from(sorted(EVERY)))
    hints = get_type_hints(EVERY[name].call, include_extras=True)
    kinds = {parameter: _kind(hint) for parameter, hint in hints.items() if parameter != "return"}
    words: list[str] = []
    for parameter in draw(st.lists(st.sampled_from(sorted(kinds)), max_size=5)) if kinds else ():
        kind = kinds[parameter]
        known_words = [one.value for one in kind.type] if issubclass(kind.type, Enum) else ["x.pcap", "7", "a,b"]
        value = draw(st.sampled_from([*known_words * 4, *ODD]))
        if isinstance(kind.declared, Argument):
            words.append(value)
            continue
        written = draw(st.sampled_from(kind.declared.names or (f"--{parameter.replace('_', '-')}",)))
        if kind.type is bool:
            words.append(written)
        else:
            words += draw(st.sampled_from([[written, value], [f"{written}={value}"], [written + value]]))
    if draw(st.integers(0, 3)) == 0:
        words.insert(draw(st.integers(0, len(words))), draw(st.sampled_from([*ODD, "--help", "-h", "--formats"])))
    return name, words


@settings(max_examples=300)
@given(command_lines())
def test_plain_words_mean_what_typer_takes_them_for(line: tuple[str, list[str]]) -> None:
    name, words = line
    ours = by_us(EVERY[name], words)
    if ours is not None:
        assert ours == by_typer(EVERY[name], words)


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("audit x.pcap", {"paths": ["x.pcap"]}),
        ("audit - --format ndjson", {"paths": ["-"], "format_": ReportFormat.NDJSON}),
        ("audit --read x.pcap -r y.pcap", {"read": ["x.pcap", "y.pcap"]}),
        (
            "audit x --fail-on=never --stats",
            {"paths": ["x"], "fail_on": FailOn.NEVER, "stats": True},
        ),
        ("audit -o a.html x -o json:b y", {"output": ["a.html", "json:b"], "paths": ["x", "y"]}),
        ("show x --connection 3", {"paths": ["x"], "connection": 3}),
        ("demo", {}),
        ("live -i eth0 --duration 5", {"interface": ["eth0"], "duration": 5.0}),
        ("annotate x -o -", {"path": "x", "output": "-"}),
        ("query select x y", {"sql": "select", "paths": ["x", "y"]}),
        ("rule SEQ101", {"rules": ["SEQ101"]}),
        ("baseline write b x y --redact pii", None),
        ("baseline write b x y", {"file": "b", "paths": ["x", "y"]}),
        ("extract x -o out", {"paths": ["x"], "output": "out"}),
        ("wireshark status", {}),
    ],
)
def test_ordinary_command_lines_are_plain(line: str, values: dict[str, Any] | None) -> None:
    command = called(line.split())
    assert command is not None
    assert plain(command[0].call, command[1]) == values


@pytest.mark.parametrize(
    "words",
    [
        *(["--help"], ["-h"], ["x", "--formats", "text"], ["x", "--format"], ["x", "--format", "TEXT"], ["x", "-j2"]),
        *(["x", "--jobs", "0"], ["x", "--jobs", "65"], ["x", "--jobs", "٣"], ["x", "--stats=yes"], ["--", "x"]),
        *(["x", "--config", "--stats"], ["x", "--jobs", "1" * 5000]),
    ],
)
def test_the_rest_is_left_to_typer(words: list[str]) -> None:
    assert plain(EVERY["audit"].call, words) is None


def test_what_is_missing_is_told_by_typer() -> None:
    assert plain(EVERY["annotate"].call, ["x"]) is None
    assert plain(EVERY["baseline write"].call, ["b"]) is None
    assert plain(EVERY["demo"].call, ["x"]) is None
    assert by_us(EVERY["audit"], ["x", "--redact", "pii"]) == by_typer(EVERY["audit"], ["x", "--redact", Redact.PII])


def test_what_is_no_command_is_left_to_typer() -> None:
    for words in ([], ["audi"], ["--help"], ["baseline"], ["baseline", "red"], ["x.pcap"]):
        assert called(words) is None
