"""Every command pays for start-up: which modules small uses of the command load, and which they do not."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

DEMO = Path(str(resources.files("smtpwire.samples") / "demo.pcap"))
AUDIT = ("audit", str(DEMO), "--format", "ndjson", "--no-config")

# Each takes longer to load than a small audit, or is needed by one option, format or command only.
HEAVY = {
    *(
        "scapy",
        "rich",
        "jinja2",
        "markupsafe",
        "pydantic",
        "pyarrow",
        "numpy",
        "sqlite3",
        "xml",
        "http",
        "urllib.request",
    ),
    *(
        "asyncio",
        "multiprocessing",
        "concurrent",
        "ssl",
        "email",
        "tomllib",
        "hmac",
        "secrets",
        "tempfile",
    ),
    *(
        "importlib.metadata",
        "json",
        "logging",
        "unittest",
        "statistics",
        "zoneinfo",
        "prometheus_client",
        "cryptography",
        "construct",
        "dataclasses",
        "socket",
    ),
}
RARE = {
    *(
        "segments.scapy_decoder",
        "scapy_session",
        "findings.baseline",
        "wireshark.annotate",
        "exchanges.end_of_data_tap",
    ),
    *("content.lenient_readers", "redact.people", "redact.pseudonyms", "reports.text", "reports.html", "reports.sarif"),
    *("reports.rule_docs", "commands.run_stats", "stores", "live", "extract", "wireshark", "stores.sqlite"),
    *("stores.parquet", "parallel"),
}


def modules(*arguments: str) -> set[str]:
    """Return the modules that a fresh interpreter has loaded at the end of the command, beyond those of Python itself.

    Modules that the installation of the tests' environment loads at every start do not count.
    """
    code = (
        "import runpy, sys; before = set(sys.modules); sys.argv = sys.argv[1:]\n"
        "try: runpy.run_module('smtpwire', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print(*(set(sys.modules) - before), file=sys.stderr)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, "smtpwire", *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    return set(run.stderr.splitlines()[-1].split())


def ours(loaded: set[str]) -> set[str]:
    return {name.removeprefix("smtpwire.analyzer.") for name in loaded if name.startswith("smtpwire.analyzer.")}


def test_nothing_heavy_is_loaded() -> None:
    loaded = modules(*AUDIT)
    assert "msgspec" in loaded
    assert loaded & HEAVY == set()


def test_the_version_loads_no_command() -> None:
    loaded = modules("--version")
    assert {name for name in loaded if name.startswith("smtpwire.")} == {
        *("smtpwire._lazy", "smtpwire._version", "smtpwire.analyzer", "smtpwire.analyzer.cli"),
        *("smtpwire.analyzer.errors", "smtpwire.analyzer.commands", "smtpwire.analyzer.commands.registry"),
        "smtpwire.analyzer.commands.table",
    }
    assert not loaded & (HEAVY | {"msgspec"})


def test_a_command_loads_no_other_one() -> None:
    loaded = {name for name in ours(modules(*AUDIT)) if name.startswith("commands.")}
    assert loaded == {
        *("commands.registry", "commands.table", "commands.audit", "commands.options", "commands.option_types"),
        *("commands.settings", "commands.outputs", "commands.filter_options", "commands.parallel_audit"),
    }


def test_an_audit_loads_what_it_is_made_of_and_no_more() -> None:
    loaded = ours(modules(*AUDIT))
    assert {"audit", "frames.pcap", "connections.tracker", "connections.receivers"} <= loaded
    assert {"rules.sequence", "reports.json_"} <= loaded
    assert loaded & RARE == set()


def test_the_list_of_commands_fits_a_terminal() -> None:
    for words in ((), ("wireshark",), ("baseline",)):
        said = subprocess.run(
            [sys.executable, "-m", "smtpwire", *words, "--help"],
            env={**os.environ, "COLUMNS": "80"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        commands = said.partition("\nCommands:\n")[2].splitlines()
        assert commands
        assert not [line for line in commands if line.endswith("...") or not line.startswith("  ")]
