"""The package with every step and every copied byte counted, so that work can be compared without a clock."""

# Theory
# ------
# Time depends on the machine and on what else it does, and the calls of a profiler do not show a text that is copied
# once more for each event. So the source is changed while it is imported: each function, each turn of a loop, each
# slice, each sum of two sequences, each search in one and each call that reads a whole text adds to `WORK`. What the
# code does stays the same. A byte counts less than a step, as it takes less time.
#
# An expression counts what it has read: up to the end of its match, or all of the text if it matches nothing. That it
# reads nothing twice is the subject of `backtracking`.
#
# `install` must come before the package is imported, so this runs in a process of its own: see `test_counted_work`.

from __future__ import annotations

import ast
import builtins
import re
import sys
from collections import deque
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["WORK", "install"]

PER_STEP = 16  # bytes or items that are read in the time of one step
PER_MOVE = 64  # items of a list that move up in the time of one byte that is read
PACKAGE = "smtpwire."
WORK = [0]
"""What was counted so far, in bytes: a step is PER_STEP of them."""

_COPIED = (bytes, str, tuple)  # a sum copies both sides
_SEQUENCES = (bytes, str, tuple, bytearray, list, deque)
_READS = {
    *(
        "find",
        "rfind",
        "index",
        "count",
        "split",
        "rsplit",
        "splitlines",
        "partition",
        "rpartition",
        "replace",
        "strip",
    ),
    *("lstrip", "rstrip", "translate", "upper", "lower", "casefold", "decode", "encode", "join", "hex", "isascii"),
    *("isprintable", "copy", "remove", "insert", "pop", "search", "match", "fullmatch", "sub", "findall"),
}
_COPIES = frozenset({"list", "tuple", "set", "frozenset", "dict", "sorted", "bytes", "bytearray", "sum", "max", "min"})


def step() -> None:
    """Count a step."""
    WORK[0] += PER_STEP


def made(value: Any) -> Any:
    """Count a sequence that was made."""
    if isinstance(value, _SEQUENCES):
        WORK[0] += len(value)
    return value


def grown(value: Any) -> None:
    """Count the target of ``+=``: a value that cannot change was copied."""
    if isinstance(value, _COPIED):
        WORK[0] += len(value)


def each(items: Iterable[Any]) -> Iterator[Any]:
    """Count the turns of a comprehension."""
    for item in items:
        WORK[0] += PER_STEP
        yield item


def called(owner: Any, name: str, *words: Any, **named: Any) -> Any:
    """Call a method, and count what it reads."""
    result = getattr(owner, name)(*words, **named)
    kind = type(owner)
    if name == "join":
        WORK[0] += len(result)
    elif name in ("pop", "insert") and kind is list:
        WORK[0] += (len(owner) - words[0]) // PER_MOVE if words and words[0] >= 0 else 0
    elif kind in _SEQUENCES and name == "rfind":
        WORK[0] += (words[2] if len(words) > 2 else len(owner)) - max(0, result)
    elif kind in _SEQUENCES and name != "pop":
        start = words[1] if name == "find" and len(words) > 1 else 0
        WORK[0] += max(0, (result if name == "find" and result >= 0 else len(owner)) - start)
    elif words and isinstance(words[-1 if name == "sub" else 0], _SEQUENCES) and hasattr(owner, "search"):
        start = words[1] if name in ("search", "match", "fullmatch") and len(words) > 1 else 0
        found = isinstance(result, re.Match)
        WORK[0] += max(0, (result.end() if found else len(words[1 if name == "sub" else 0])) - start)
    return result


class Counting(ast.NodeTransformer):
    """Adds the calls that count."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        after = 1 if ast.get_docstring(node) is not None else 0
        node.body.insert(after, ast.Expr(_call("step")))
        return node

    def visit_For(self, node: ast.For | ast.While) -> ast.AST:
        self.generic_visit(node)
        node.body.insert(0, ast.Expr(_call("step")))
        return node

    visit_While = visit_For

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        self.generic_visit(node)
        node.iter = _call("each", node.iter)
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        return _call("made", node) if isinstance(node.slice, ast.Slice) and isinstance(node.ctx, ast.Load) else node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        return _call("made", node) if isinstance(node.op, ast.Add) else node

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        self.generic_visit(node)
        if not isinstance(node.op, ast.Add) or isinstance(node.target, ast.Subscript):
            return node
        target = ast.parse(ast.unparse(node.target), mode="eval").body
        return [node, ast.Expr(_call("grown", target))]

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.ops[0], ast.In | ast.NotIn):
            node.comparators[0] = _call("made", node.comparators[0])
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        name = node.func
        if isinstance(name, ast.Attribute) and name.attr in _READS and not isinstance(name.value, ast.Constant):
            if ast.unparse(name.value) in ("re", "self._compiled"):
                return node
            return _call("called", name.value, ast.Constant(name.attr), *node.args, keywords=node.keywords)
        if isinstance(name, ast.Attribute) and name.attr == "join":
            return _call("made", node)
        if isinstance(name, ast.Name) and name.id in _COPIES and node.args:
            node.args[0] = _call("made", node.args[0]) if not isinstance(node.args[0], ast.Starred) else node.args[0]
        return node


def _call(name: str, *words: ast.expr, keywords: list[ast.keyword] | None = None) -> ast.Call:
    return ast.Call(ast.Name(f"_counted_{name}", ast.Load()), list(words), keywords or [])


class Loader(SourceFileLoader):
    """Compiles modules with the calls that count."""

    def get_code(self, fullname: str) -> Any:
        """Compile the source, and use no cache."""
        path = self.get_filename(fullname)
        tree = Counting().visit(ast.parse(self.get_data(path), path))
        return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)


class Finder(MetaPathFinder):
    """Finds the modules of the package."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        """Return how a module of the package is loaded; None for all others."""
        spec = PathFinder.find_spec(fullname, path, target) if fullname.startswith(PACKAGE) else None
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = Loader(fullname, spec.loader.path)
        return spec


def install() -> None:
    """Count the work of all modules of the package that are imported from now on."""
    for function in (step, made, grown, each, called):
        setattr(builtins, f"_counted_{function.__name__}", function)
    sys.meta_path.insert(0, Finder())
