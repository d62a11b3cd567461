"""The code itself: files are opened, lines printed and rights dropped in the modules for that, and nowhere else."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.tree

ROOT = Path(__file__).parents[2]

# Calls that open, make, rename or remove files, by the last part of their name. Those that are also names of other
# things (`open` of a class of ours, `replace` of msgspec) are told apart by what is before it.
_OF_OS = {
    "open",
    "mkdir",
    "makedirs",
    "rename",
    "replace",
    "unlink",
    "remove",
    "rmdir",
    "link",
    "symlink",
    "chmod",
    "chown",
}
_OF_OS |= {"fchmod", "fchown", "truncate", "ftruncate", "mkfifo", "mknod", "readlink"}
_OF_PATH = {"read_text", "read_bytes", "write_text", "write_bytes", "touch", "hardlink_to", "symlink_to"}
_OF_PATH |= {"mkdir", "unlink", "rmdir", "chmod", "rename"}

_MODULES = {"io", "os", "gzip", "bz2", "lzma", "shutil", "codecs"}

_DOORS = {"files/folders.py", "files/atomic_files.py", "files/reading.py", "files/storage.py"}

# What is left, each with its reason.
_EXCEPTIONS = {
    ("cli.py", "open"): "the standard streams that the caller has closed, on /dev/null",
    ("cli.py", "os.open"): "the standard streams that the caller has closed, on /dev/null",
    ("console.py", "os.open"): "/dev/null",
    ("reports/output.py", "os.open"): "/dev/null",
    ("commands/annotate.py", "open"): "standard output, by its descriptor",
    ("commands/run_stats.py", "read_bytes"): "/proc/self/status",
    ("rules/examples.py", "read_text"): "a file of this package",
    ("reports/html/page.py", "read_text"): "a file of this package",
    ("wireshark/install.py", "read_text"): "a file of this package",
    ("wireshark/install.py", "chmod"): "the user's own files, in folders of Wireshark",
    ("wireshark/install.py", "unlink"): "the user's own files, in folders of Wireshark",
    ("live/recorder.py", "unlink"): "the oldest file of a ring, which this process has made",
    ("live/recorder.py", "truncate"): "the file that is open",
    ("extract/spooled_message.py", "truncate"): "the file that is open",
}


def calls(path: Path) -> Iterator[tuple[str, int]]:
    """Return the name of each function that the module calls, dotted, and the line."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node.lineno


def modules() -> Iterator[tuple[str, Path]]:
    for top in ("analyzer", "dissectors"):
        for path in sorted((ROOT / top).rglob("*.py")):
            yield path.relative_to(ROOT / top).as_posix(), path


def opens(name: str) -> str | None:
    """Return the call in the form of the table of exceptions; None if it is about no file."""
    before, _, last = name.rpartition(".")
    if name == "open" or (
        before in {"io", "os", "gzip", "bz2", "lzma", "shutil", "codecs"} and last in _OF_OS | {"FileIO"}
    ):
        return name
    if last in _OF_PATH and before != "os":
        return None if "folder" in before else last  # a Folder of ours has methods of these names
    if last == "open" and "path" in before.lower() and not before.startswith("Source("):
        return "open"
    if last in {"copyfile", "copy2", "move", "rmtree", "NamedTemporaryFile", "mkstemp", "mkdtemp", "mktemp"}:
        return last
    return None


def test_files_are_opened_in_four_modules() -> None:
    found = {
        (module, called): f"{module}:{line}: {name}"
        for module, path in modules()
        if module not in _DOORS
        for name, line in calls(path)
        if (called := opens(name)) is not None and not is_own_truncate(module, name)
    }
    assert [place for key, place in found.items() if key not in _EXCEPTIONS] == []
    used = {key for key in found if key in _EXCEPTIONS}
    assert used == {key for key in _EXCEPTIONS if key[1] != "truncate"}, "an exception that is no longer needed"


def is_own_truncate(module: str, name: str) -> bool:
    return name.endswith(".truncate") and not name.startswith("os.")


@pytest.mark.parametrize(
    "name", ["open", "os.open", "Path(x).read_text", "path.open", "os.replace", "tempfile.mkstemp"]
)
def test_the_walk_would_see_it(name: str) -> None:
    assert opens(name) is not None


def test_lines_are_printed_in_one_module() -> None:
    """Every other text goes through an Output, whose writers are tested with hostile captures."""
    allowed = {
        "console.py": {"print"},
        "reports/rule_docs.py": {"sys.stdout.write"},  # makes docs/rules.md
        "commands/man_page.py": {"sys.stdout.write"},  # makes docs/smtpwire.1
        "reports/json_schema.py": {"sys.stdout.write"},  # makes docs/report.schema.json
        "wireshark/extcap.py": {"sys.stdout.write"},  # answers of a fixed form
        "live/screen_sink.py": {"self._live.console.print", "memory.print"},  # text of its own, with counts
    }
    for module, path in modules():
        for name, line in calls(path):
            if name in {"print", "click.echo", "sys.stdout.write", "sys.stderr.write"} or name.endswith(".print"):
                assert name in allowed.get(module, ()), f"{module}:{line}: {name}: use console.say or console.notice"


def test_rights_are_dropped_in_one_module() -> None:
    dropping = {"setuid", "setgid", "setgroups", "setresuid", "setresgid", "seteuid", "setegid", "setreuid", "capset"}
    places = {module for module, path in modules() for name, _ in calls(path) if name.rpartition(".")[2] in dropping}
    assert places == {"live/privileges.py"}
    callers = {module for module, path in modules() for name, _ in calls(path) if name == "become"}
    assert callers == {"commands/live.py"}


def test_every_command_that_is_live_drops_them_before_it_opens_its_source() -> None:
    tree = ast.parse((ROOT / "analyzer" / "commands" / "live.py").read_text("utf-8"))
    order = [
        ast.unparse(node.func)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef) and function.name == "_guarded"
        for node in sorted(
            (node for node in ast.walk(function) if isinstance(node, ast.Call)), key=lambda node: node.lineno
        )
    ]
    assert order.index("opening.sockets") < order.index("become") < order.index("sink.open") < order.index("go")
    opened = {
        function.name
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for statement in function.body
        if not isinstance(statement, ast.FunctionDef) and "opening.source" in ast.unparse(statement)
    }
    assert opened == {"go"}  # which `_guarded` calls
