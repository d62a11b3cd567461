"""No regular expression of the package takes time that grows faster than the text, whatever the text is."""

from __future__ import annotations

import ast
import importlib
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from backtracking import fault

from smtpwire.dissectors.grammar import parameters

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

pytestmark = pytest.mark.tree

ROOT = Path(__file__).parents[1]
METHODS = frozenset({"search", "match", "fullmatch", "sub", "subn", "split", "finditer", "findall"})
MAKERS = frozenset({"compile", "LazyPattern"})
NOT_OURS = frozenset({"LazyPattern", "Production"})  # the classes that compile what they are given
HARMFUL = [  # expression and method, each slow for another reason
    (rb"a*a*b", "match"),
    (rb"(?:a*)*b", "match"),
    (rb"(?:a|a)*b", "match"),
    (rb"(?:a|aa)+b", "match"),
    (rb"a*\*{8}[a*]*", "search"),
    (rb"[\r\n]+(?:VRFY|DATA)", "search"),
    (rb"\((?:[^()\\]|\\.)*\)", "search"),
    (rb"(?>a*a*c)", "match"),
    (rb"(?:(?>a*)b?)*c", "match"),
    (rb"a(?:[^x]*b)?", "finditer"),
    (rb"[0-9 *]*\*{8}[0-9 *]*", "fullmatch"),
    (rb"a{0,200}a{0,200}b", "match"),
    (rb"(?=a*b)a", "search"),
    (r"\w+@", "search"),
]
HARMLESS = [
    (rb"a*b*c", "match"),
    (rb"a*a*", "match"),
    (rb"(?<![\r\n])[\r\n]++(?:VRFY|DATA)", "search"),
    (rb"\n[^\n]*x", "search"),
    (rb'"(?:[^"\\]++|\\.)*+"', "match"),
    (rb"\A *x", "search"),
    (rb"(?m:^a*b)", "search"),
    (rb"([a-z])\1{6}x", "search"),
    (rb"(?:a,)*b", "match"),
    (rb"[a-z]++(?:\.[a-z]++)*@", "fullmatch"),
]


class Use(NamedTuple):
    """An expression in the source, and the methods that are called on it."""

    place: str
    pattern: str | bytes
    flags: int
    methods: frozenset[str]


class Source(NamedTuple):
    """One module of the package: its name in the package, its tree, and its parents by node."""

    name: str
    tree: ast.Module
    parents: dict[ast.AST, ast.AST]


@cache
def sources() -> list[Source]:
    """Return every module of the package."""
    found = []
    for folder in ("analyzer", "dissectors"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
            found.append(Source(".".join(path.relative_to(ROOT).with_suffix("").parts), tree, parents))
    return found


@cache
def called_on(name: str) -> dict[str, frozenset[str]]:
    """Return the methods that are called on each name in the module ``name``, for other values under an empty name."""
    found: dict[str, set[str]] = {"": set()}
    for source in sources():
        if source.name == name:
            for node in ast.walk(source.tree):
                if isinstance(node, ast.Attribute) and node.attr in METHODS:
                    key = node.value.id if isinstance(node.value, ast.Name) and node.value.id.isupper() else ""
                    found.setdefault(key, set()).add(node.attr)
    return {key: frozenset(methods) for key, methods in found.items()}


def imported(name: str) -> ModuleType:
    """Import a module of the package."""
    return importlib.import_module(f"smtpwire.{name.removesuffix('.__init__')}")


def methods_of(call: ast.Call, source: Source) -> frozenset[str]:
    """Return what is called on the expression that ``call`` makes: at once, or on the name that it gets; anything if
    that is not plain."""
    parent = source.parents[call]
    if isinstance(parent, ast.Attribute):
        return frozenset({parent.attr})
    name = parent.targets[0].id if isinstance(parent, ast.Assign) and isinstance(parent.targets[0], ast.Name) else ""
    used = called_on(source.name)
    others = {one.name for one in sources() if not name.startswith("_") and name} - {source.name}
    elsewhere = frozenset[str]().union(*(called_on(one).get(name, frozenset()) for one in others))
    return used.get(name, frozenset()) | elsewhere or used[""] or METHODS


def calls() -> Iterator[tuple[Source, ast.Call, str]]:
    """Yield each call that makes or uses an expression, with the name of what is called."""
    for source in sources():
        for node in ast.walk(source.tree):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            called = node.func
            if isinstance(called, ast.Name) and called.id in NOT_OURS:
                yield source, node, called.id
            elif isinstance(called, ast.Attribute) and f"re.{called.attr}" == ast.unparse(called) != "re.escape":
                yield source, node, called.attr


def value_of(node: ast.expr, module: ModuleType) -> Any:
    """Return the value of an expression of constants and of names of the module; NameError if it needs others."""
    return eval(compile(ast.Expression(node), "<source>", "eval"), vars(module))


@cache
def uses() -> tuple[list[Use], list[str]]:
    """Return the expressions that the source names, and the places where one is built of other values."""
    found, built = [], []
    for source, call, made in calls():
        place = f"{source.name}:{call.lineno}"
        module = imported(source.name)
        try:
            pattern = value_of(call.args[0], module)
            given = {word.arg: word.value for word in call.keywords}
            if made == "Production":
                common = given.get("common", call.args[2] if len(call.args) > 2 else None)
                patterns = [pattern, None if common is None else value_of(common, module)]
                found += [Use(place, one, re.DOTALL, frozenset({"fullmatch"})) for one in patterns if one]
                continue
            other = call.args[1:2] if made in MAKERS else []
            flags = given.get("flags", other[0] if other else None)
            number = 0 if flags is None else int(value_of(flags, module))
        except NameError:
            built.append(place)
            continue
        assert isinstance(pattern, str | bytes)
        methods = methods_of(call, source) if made in MAKERS else frozenset({made})
        found.append(Use(place, pattern, number, methods & METHODS or METHODS))
    return found, built


# Where an expression is made of values that are not constants of the module, and why that bounds it.
BUILT = {
    "analyzer.content.header": "of names of fields, all of them in our own source",
    "analyzer.redact.credentials": "of secrets that were seen, without a repeat",
    "analyzer.redact.finding_texts": "of a word of a finding, without a repeat",
    "analyzer.redact.pseudonyms": "of names that were seen, without a repeat",
    "dissectors.grammar.parameters": "of a table: see the test of it below",
    "dissectors.grammar.productions": "of the production, which is found where it is made",
    "dissectors.lazy_regex": "of what the caller gives, which is found there",
}


@pytest.mark.parametrize(("pattern", "method"), HARMFUL)
def test_a_harmful_expression_is_found(pattern: str | bytes, method: str) -> None:
    assert fault(pattern, re.DOTALL, method)


@pytest.mark.parametrize(("pattern", "method"), HARMLESS)
def test_a_harmless_expression_is_not_found(pattern: str | bytes, method: str) -> None:
    assert fault(pattern, re.DOTALL, method) is None


def test_no_expression_backtracks_without_bound() -> None:
    found, _ = uses()
    assert len(found) > 150
    wrong = {
        f"{one.place}: {method} of {one.pattern!r}: {where}"
        for one in found
        for method in sorted({"search" if name not in ("match", "fullmatch") else name for name in one.methods})
        if (where := fault(one.pattern, one.flags, method)) is not None
    }
    assert not wrong, "\n".join(sorted(wrong))


def test_no_value_of_a_parameter_backtracks_without_bound() -> None:
    for keyword, pattern in parameters._VALUES.items():
        assert fault(pattern, re.DOTALL, "fullmatch") is None, keyword


def test_no_expression_is_built_where_its_size_is_not_known() -> None:
    _, built = uses()
    assert {place.rpartition(":")[0] for place in built} <= {*BUILT}
