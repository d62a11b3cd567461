"""Imports go down only: the floors of the house, held over the source of both packages."""

from __future__ import annotations

import ast
import subprocess
import sys
from fnmatch import fnmatchcase
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

pytestmark = pytest.mark.tree

ROOT = Path(__file__).parents[1]

# From the ground up, a row for each folder. A module imports from its own row or from rows below it; every module is in
# exactly one. `x.*` stands for the modules of the package x and for x itself.
FLOORS: list[tuple[str, ...]] = [
    ("_version",),
    # the grammar: from atoms to whole lines
    ("dissectors", "dissectors.printable", "dissectors.lazy_regex", "dissectors.deviations"),
    ("dissectors.tables.*",),
    ("dissectors.grammar.*",),
    ("dissectors.lines.*",),
    ("dissectors.scapy_layers.*",),
    # what all share
    (
        *("analyzer", "analyzer.errors", "analyzer.limits", "analyzer.timestamps", "analyzer.model", "analyzer.enums"),
        *("analyzer.atomic_files", "analyzer.interrupt"),
    ),
    # from files to bytes in order: knows no SMTP
    ("analyzer.segments.*",),
    ("analyzer.frames.*",),
    ("analyzer.streams.*",),
    # from bytes to exchanges
    ("analyzer.content.*",),
    ("analyzer.lines.*",),
    ("analyzer.exchanges.*",),
    # the verdict cache is a part of who follows a connection, until the core makes it needless
    ("analyzer.connections.*", "analyzer.fastpath.*"),
    # from exchanges to findings
    ("analyzer.rules.*",),
    ("analyzer.findings.*",),
    ("analyzer.redact.*",),
    ("analyzer.audit",),
    ("analyzer.scapy_session",),
    # from findings to people and programs
    ("analyzer.stores.*",),
    ("analyzer.reports.*",),
    ("analyzer.extract.*",),
    ("analyzer.parallel.*",),
    ("analyzer.run",),
    ("analyzer.config",),
    ("analyzer.live.*",),
    ("analyzer.wireshark.*",),
    ("analyzer.commands.*",),
    ("analyzer.cli",),
]

# What a floor alone does not forbid: the module on the left never imports the one on the right.
STRANGERS = [
    ("analyzer.frames.*", "dissectors.*"),
    ("analyzer.segments.*", "dissectors.*"),
    ("analyzer.streams.*", "dissectors.*"),  # bytes in order, of whatever protocol
    ("analyzer.rules.*", "analyzer.streams.*"),  # rules judge exchanges
    ("analyzer.rules.*", "analyzer.connections.*"),
    ("analyzer.rules.*", "analyzer.frames.*"),
    ("analyzer.reports.*", "analyzer.rules.?*"),  # rules are data to writers
    ("analyzer.reports.*", "analyzer.exchanges.conversation*"),
    ("analyzer.reports.*", "analyzer.audit"),
    ("analyzer.parallel.*", "analyzer.live.*"),  # ways to run it know nothing of each other
    ("analyzer.live.*", "analyzer.commands.*"),
]


def matches(module: str, pattern: str) -> bool:
    return fnmatchcase(module, pattern) or (pattern.endswith(".*") and module == pattern[:-2])


def floor(module: str) -> int:
    found = [number for number, names in enumerate(FLOORS) if any(matches(module, name) for name in names)]
    assert len(found) == 1, f"{module} is on {len(found)} floors: give it one in FLOORS"
    return found[0]


def sources() -> dict[str, Path]:
    """Modules by name without the leading ``smtpwire.``; packages by the name of the package."""
    found = {}
    for top in ("analyzer", "dissectors"):
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(module: str, path: Path, known: set[str]) -> set[str]:
    """What ``module`` imports of ours, under TYPE_CHECKING and inside functions too."""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            absolute = [alias.name for alias in node.names if alias.name.split(".")[0] == "smtpwire"]
            assert not absolute, f"{path}:{node.lineno}: relative imports only"
        elif isinstance(node, ast.ImportFrom):
            if not node.level:
                assert (node.module or "").split(".")[0] != "smtpwire", f"{path}:{node.lineno}: relative imports only"
                continue
            base = package[: len(package) - node.level + 1] + ([node.module] if node.module else [])
            for alias in node.names:
                inner = ".".join([*base, alias.name])
                found.add(inner if inner in known else ".".join(base))
    return found - {module}


@cache
def graph() -> dict[str, set[str]]:
    modules = sources()
    known = {*modules, "_version"}
    return {module: imports(module, path, known) for module, path in modules.items()}


def test_every_module_is_on_one_floor() -> None:
    modules = sources()
    assert len(modules) > 20
    for module in modules:
        floor(module)


def test_the_floors_name_no_module_that_is_gone() -> None:
    modules = {*sources(), "_version"}
    gone = [name for names in FLOORS for name in names if not any(matches(module, name) for module in modules)]
    assert not gone


def test_imports_go_down() -> None:
    edges = [(module, other) for module, others in graph().items() for other in others]
    assert len(edges) > 40
    upward = [f"{module} imports {other}" for module, other in edges if floor(other) > floor(module)]
    assert not upward


def test_imports_make_no_cycle() -> None:
    try:
        TopologicalSorter(graph()).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(error.args[1]))


@pytest.mark.parametrize(("pattern", "stranger"), STRANGERS)
def test_strangers_stay_strangers(pattern: str, stranger: str) -> None:
    graphed = graph()
    assert any(matches(module, pattern) for module in graphed)
    met = [
        f"{module} imports {other}"
        for module, others in graphed.items()
        for other in others
        if matches(module, pattern) and matches(other, stranger)
    ]
    assert not met


def test_the_test_sees_an_upward_import(tmp_path: Path) -> None:
    planted = tmp_path / "printable.py"
    planted.write_text("def f():\n    from ..analyzer.cli import main\n", "utf-8")
    (other,) = imports("dissectors.printable", planted, {"analyzer.cli"})
    assert other == "analyzer.cli"
    assert floor(other) > floor("dissectors.printable")


def loaded_by(statement: str) -> set[str]:
    """Top-level packages, and modules of Scapy, that a fresh interpreter has loaded after ``statement``."""
    code = f"import sys; before = set(sys.modules); {statement}; print(*set(sys.modules) - before)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return {name for name in out.split() if "." not in name or name.startswith("scapy.")}


@pytest.mark.slow
def test_importing_smtpwire_costs_nothing() -> None:
    loaded = loaded_by("import smtpwire; assert smtpwire.__version__")
    assert "smtpwire" in loaded
    assert not loaded & {"scapy", "construct", "rich", "msgspec", "typer"}


@pytest.mark.slow
def test_the_public_names_are_there_when_asked_for() -> None:
    code = "import smtpwire; [getattr(smtpwire, name) for name in smtpwire.__all__]; from smtpwire import audit"
    assert "scapy.all" not in loaded_by(code)
