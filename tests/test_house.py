"""Imports go down only: the layers of both packages, checked in the source."""

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

# The lowest layer first, a row for each folder. A module imports only from its own row or from rows above it in this
# table; every module is in exactly one row. `x.*` means the modules of the package x and x itself.
LAYERS: list[tuple[str, ...]] = [
    ("_version", "_project", "_lazy"),
    # the grammar, from atoms to whole lines
    ("dissectors.printable", "dissectors.lazy_regex", "dissectors.deviations"),
    ("dissectors.tables.*",),
    ("dissectors.grammar.*",),
    ("dissectors.lines.*",),
    ("dissectors.scapy_layers.*",),
    ("dissectors",),  # the public names of all of them
    # what all folders share
    (
        *("analyzer", "analyzer.errors", "analyzer.limits", "analyzer.timestamps", "analyzer.model", "analyzer.enums"),
        *("analyzer.collector", "analyzer.interrupt", "analyzer.parent_process"),
    ),
    ("analyzer.console", "analyzer.files.*"),
    # from files to bytes in order, without SMTP
    ("analyzer.segments.*",),
    ("analyzer.frames.*",),
    ("analyzer.streams.*",),
    ("analyzer.tls.*",),  # what is inside TLS, of any protocol
    # from bytes to exchanges
    ("analyzer.content.*",),
    ("analyzer.lines.*",),
    ("analyzer.exchanges.*",),
    ("analyzer.connections.*",),
    # from exchanges to findings
    ("analyzer.rules.*",),
    ("analyzer.findings.*",),
    ("analyzer.redact.*",),
    ("analyzer.audit",),
    ("analyzer.scapy_session",),
    # from findings to reports, and the ways to run an audit
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

# Imports that the order of the layers allows: the module on the left must never import the one on the right.
FORBIDDEN = [
    ("analyzer.frames.*", "dissectors.*"),
    ("analyzer.segments.*", "dissectors.*"),
    ("analyzer.streams.*", "dissectors.*"),  # bytes in order, of any protocol
    ("analyzer.tls.*", "dissectors.grammar.*"),
    ("analyzer.tls.*", "dissectors.lines.*"),
    ("analyzer.rules.*", "analyzer.streams.*"),  # rules judge exchanges
    ("analyzer.rules.*", "analyzer.connections.*"),
    ("analyzer.rules.*", "analyzer.frames.*"),
    ("analyzer.reports.*", "analyzer.rules.?*"),  # for writers, rules are data
    ("analyzer.reports.*", "analyzer.exchanges.conversation*"),
    ("analyzer.reports.*", "analyzer.audit"),
    ("analyzer.parallel.*", "analyzer.live.*"),  # ways to run an audit do not import each other
    ("analyzer.live.*", "analyzer.commands.*"),
]


def matches(module: str, pattern: str) -> bool:
    return fnmatchcase(module, pattern) or (pattern.endswith(".*") and module == pattern[:-2])


def layer(module: str) -> int:
    found = [number for number, names in enumerate(LAYERS) if any(matches(module, name) for name in names)]
    assert len(found) == 1, f"{module} is in {len(found)} layers: it needs one row of LAYERS"
    return found[0]


def sources() -> dict[str, Path]:
    """Return the file of each module, by its name without ``smtpwire.``; a package has the name of its directory."""
    found = {}
    for top in ("analyzer", "dissectors"):
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(module: str, path: Path, known: set[str]) -> set[str]:
    """Return the modules of this project that ``module`` imports, also under TYPE_CHECKING and inside functions."""
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
    known = {*modules, "_version", "_project", "_lazy"}
    return {module: imports(module, path, known) for module, path in modules.items()}


def test_every_module_is_in_one_layer() -> None:
    modules = sources()
    assert len(modules) > 20
    for module in modules:
        layer(module)


def test_every_name_in_the_layers_matches_a_module() -> None:
    modules = {*sources(), "_version", "_project", "_lazy"}
    unmatched = [name for names in LAYERS for name in names if not any(matches(module, name) for module in modules)]
    assert not unmatched


def test_imports_go_down() -> None:
    edges = [(module, other) for module, others in graph().items() for other in others]
    assert len(edges) > 40
    upward = [f"{module} imports {other}" for module, other in edges if layer(other) > layer(module)]
    assert not upward


def test_imports_make_no_cycle() -> None:
    try:
        TopologicalSorter(graph()).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(error.args[1]))


@pytest.mark.parametrize(("pattern", "forbidden"), FORBIDDEN)
def test_forbidden_imports_do_not_exist(pattern: str, forbidden: str) -> None:
    edges = graph()
    assert any(matches(module, pattern) for module in edges)
    found = [
        f"{module} imports {other}"
        for module, others in edges.items()
        for other in others
        if matches(module, pattern) and matches(other, forbidden)
    ]
    assert not found


def test_the_test_sees_an_upward_import(tmp_path: Path) -> None:
    planted = tmp_path / "printable.py"
    planted.write_text("def f():\n    from ..analyzer.cli import main\n", "utf-8")
    (other,) = imports("dissectors.printable", planted, {"analyzer.cli"})
    assert other == "analyzer.cli"
    assert layer(other) > layer("dissectors.printable")


def loaded_by(statement: str) -> set[str]:
    """Return the top-level packages, and the modules of Scapy, that a new interpreter loads for ``statement``."""
    code = f"import sys; before = set(sys.modules); {statement}; print(*set(sys.modules) - before)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return {name for name in out.split() if "." not in name or name.startswith("scapy.")}


@pytest.mark.slow
def test_importing_smtpwire_loads_no_dependency() -> None:
    loaded = loaded_by("import smtpwire; assert smtpwire.__version__")
    assert "smtpwire" in loaded
    assert not loaded & {"scapy", "construct", "rich", "msgspec", "click"}


@pytest.mark.slow
def test_the_public_names_can_be_imported() -> None:
    code = "import smtpwire; [getattr(smtpwire, name) for name in smtpwire.__all__]; from smtpwire import audit"
    assert "scapy.all" not in loaded_by(code)
