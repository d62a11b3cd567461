"""Third-party rules: installed as a distribution with an entry point, used like any rule, skipped if broken."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from importlib import resources
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

DEMO = Path(str(resources.files("smtpwire.samples") / "demo.pcap"))
TUTORIAL = Path(__file__).parents[2] / "docs" / "plugins.md"

GOOD = '''
from smtpwire.plugin import Act, Evidence, OnExchange, rule

@rule("XAA001", "xaa-quit", "info", "client", "house rules", on=OnExchange(acts=frozenset({Act.QUIT})))
def quits(x, talk):
    """QUIT seen."""
    yield Evidence("There was a QUIT.")
'''


def install(site: Path, name: str, code: str) -> None:
    """The files that an installer writes."""
    (site / f"{name}.py").write_text(code, "utf-8")
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", "utf-8")
    (info / "entry_points.txt").write_text(f"[smtpwire.rules]\nhouse = {name}\n", "utf-8")


def smtpwire(site: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "smtpwire", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(site), "COLUMNS": "100"},
        cwd=site,
        capture_output=True,
        text=True,
        check=False,
    )


def rules_found(run: subprocess.CompletedProcess[str]) -> dict[str, int]:
    found: dict[str, int] = json.loads(run.stdout)["summary"]["rules"]
    return found


def test_rules_of_a_plugin_work_like_any_other(tmp_path: Path) -> None:
    install(tmp_path, "one", GOOD)
    run = smtpwire(tmp_path, "audit", DEMO, "--format", "json", "--select", "XAA,SEQ103")
    assert run.stderr == ""
    assert rules_found(run)["XAA001"] >= 4
    assert rules_found(run)["SEQ103"] == 1
    assert "QUIT seen." in smtpwire(tmp_path, "rule", "XAA001").stdout
    assert "XAA001" in rules_found(smtpwire(tmp_path, "audit", DEMO, "--format", "json"))
    ignored = smtpwire(tmp_path, "audit", DEMO, "--format", "json", "--ignore", "xaa-quit")
    assert "XAA001" not in rules_found(ignored)
    assert "QUIT seen." in smtpwire(tmp_path, "rule", "xaa-quit").stdout


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise RuntimeError('no\\nluck')", "plugin skipped: house of bad: RuntimeError: no luck"),
        ("import sys; sys.exit(3)", "plugin skipped: house of bad: SystemExit: 3"),
        ("def (:", "plugin skipped: house of bad: SyntaxError"),
        (GOOD.replace("XAA001", "SEQ101"), "ValueError: SEQ101 xaa-quit: the id or the name is taken"),
        (GOOD.replace("xaa-quit", "nested-mail"), "ValueError: XAA001 nested-mail: the id or the name is taken"),
        (GOOD.replace('"""QUIT seen."""', ""), "XAA001 has no docstring"),
        (GOOD + "\nraise KeyError('late')", "KeyError: 'late'"),
    ],
)
def test_a_broken_plugin_is_named_and_skipped_completely(tmp_path: Path, code: str, message: str) -> None:
    install(tmp_path, "bad", code)
    run = smtpwire(tmp_path, "audit", DEMO, "--format", "json")
    (line,) = run.stderr.splitlines()
    assert line.startswith("smtpwire: plugin skipped: house of bad: ")
    assert message in line
    assert "XAA001" not in rules_found(run)
    assert json.loads(run.stdout)["summary"]["not_loaded"] == ["house of bad"]
    assert rules_found(run)["SEQ101"] == 1
    assert run.returncode == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("yield Evidence(x.nothing)", "AttributeError"),
        ("yield 'a finding'", "TypeError: it returned str, not Evidence"),
        ("return 5", "TypeError"),
        ("import sys; sys.exit(0)", "SystemExit: 0"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("class Odd(Exception):\n        __str__ = None\n    raise Odd", "Odd"),
        ("def again(): again()\n    again()", "RecursionError"),
        ("yield Evidence(5)", "TypeError: its message is int"),
        ('yield Evidence("x", offset="1")', "TypeError: its offset is str"),
        ('yield Evidence("x", length=-1)', "ValueError: its length is -1"),
        ('yield Evidence("x", frame=10**30)', "ValueError: its frame is 1000"),
        ('yield Evidence("x", evidence=b"y")', "TypeError: its evidence is bytes"),
        ('yield Evidence("x", side="nobody")', "ValueError: there is no side 'nobody'"),
        ('yield Evidence("x", severity="fatal")', "ValueError: there is no severity 'fatal'"),
        ('yield Evidence("x" * 100_000)', "ValueError: its text has 100,005 characters"),
    ],
)
def test_a_rule_that_fails_is_disabled(tmp_path: Path, body: str, message: str) -> None:
    install(tmp_path, "bad", GOOD.replace('yield Evidence("There was a QUIT.")', body))
    run = smtpwire(tmp_path, "audit", DEMO, "--format", "json")
    (line,) = run.stderr.splitlines()
    assert line.startswith("smtpwire: rule disabled: XAA001 xaa-quit (house of bad): ")
    assert message in line
    assert "XAA001" not in rules_found(run)
    assert rules_found(run)["SEQ101"] == 1


def test_a_rule_without_end_ends(tmp_path: Path) -> None:
    install(tmp_path, "one", GOOD.replace("yield Evidence", "while True: yield Evidence"))
    run = smtpwire(tmp_path, "audit", DEMO, "--format", "json", "--select", "XAA")
    assert rules_found(run)["XAA001"] > 0


@pytest.mark.parametrize("message", ["'\\x1b[2J\\u202e'", "Phrase('{what}', what=Text('\\x1b[2J\\u202e'))"])
@pytest.mark.parametrize("form", ["text", "json", "markdown", "html", "csv"])
def test_text_of_a_rule_is_safe_to_show(tmp_path: Path, message: str, form: str) -> None:
    code = GOOD.replace("import Act,", "import Phrase, Text, Act,").replace('"There was a QUIT."', message)
    install(tmp_path, "one", code.replace('QUIT"', "QUIT"))
    run = smtpwire(tmp_path, "audit", DEMO, "--select", "XAA", "--format", form)
    assert "x1b[2J" in run.stdout
    assert not {"\x1b", "\u202e"} & set(run.stdout + run.stderr)


def test_a_broken_plugin_does_not_affect_the_others(tmp_path: Path) -> None:
    install(tmp_path, "abad", "1/0")
    install(tmp_path, "good", GOOD)
    run = smtpwire(tmp_path, "audit", DEMO, "--format", "json")
    assert len(run.stderr.splitlines()) == 1
    assert "XAA001" in rules_found(run)


def test_version_loads_no_plugin(tmp_path: Path) -> None:
    install(tmp_path, "bad", "1/0")
    run = smtpwire(tmp_path, "--version")
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.tree
def test_the_tutorial_works(tmp_path: Path) -> None:
    text = TUTORIAL.read_text("utf-8")
    code, use = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    (project,) = re.findall(r"^```toml\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    (points,) = tomllib.loads(project)["project"]["entry-points"].values()
    assert points == {"acme": "acme_smtpwire"}
    install(tmp_path, "acme_smtpwire", code)
    run = smtpwire(tmp_path, "audit", DEMO, "--format", "json", "--select", "XAC")
    assert run.stderr == ""
    assert set(rules_found(run)) == {"XAC001"}
    assert "MAIL accepted without a login." in smtpwire(tmp_path, "rule", "XAC001").stdout
    ran = subprocess.run(
        [sys.executable, "-c", use + "from smtpwire import RULES; print(*RULES)"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "XAC001" in ran.stdout.split()
