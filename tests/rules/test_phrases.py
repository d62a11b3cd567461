"""What rules say: templates are literals, values have types, and a phrase in a phrase becomes one phrase."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from smtpwire.analyzer.rules.phrases import (
    Code,
    Count,
    EnhancedStatus,
    Frame,
    Milliseconds,
    Phrase,
    Seconds,
    Term,
    Text,
)

FOLDER = Path(__file__).parents[2] / "analyzer" / "rules"
MODULES = [path for path in sorted(FOLDER.glob("*.py")) if path.name not in {"phrases.py", "registry.py"}]


def calls(name: str) -> list[tuple[str, ast.Call]]:
    """All calls of ``name`` in the modules of rules, each with its place."""
    return [
        (f"{path.name}:{node.lineno}", node)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    ]


def literals(node: ast.expr) -> list[str] | None:
    """The strings that ``node`` may be, None if it is not written out."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.IfExp):
        both = literals(node.body), literals(node.orelse)
        return None if None in both else [text for one in both for text in one or ()]
    return None


@pytest.mark.tree
def test_every_template_is_a_literal_that_names_its_values() -> None:
    found = calls("Phrase")
    assert len(found) > 200
    for place, call in found:
        templates = literals(call.args[0])
        assert templates is not None, f"{place}: the template is not a literal"
        assert len(call.args) == 1, place
        names = {keyword.arg for keyword in call.keywords}
        for template in templates:
            assert set(Phrase(template, **dict.fromkeys(names, Count(1))).values) == names, place  # type: ignore[arg-type]


@pytest.mark.tree
def test_no_rule_puts_a_value_into_a_plain_sentence() -> None:
    found = calls("Evidence")
    assert len(found) > 100
    for place, call in found:
        message = call.args[0]
        plain = isinstance(message, ast.Constant)
        assert plain or isinstance(message, ast.Name | ast.Call), f"{place}: use a Phrase"


@pytest.mark.tree
def test_no_text_from_the_wire_is_called_a_term() -> None:
    found = calls("Term")
    assert len(found) > 30
    for place, call in found:
        used = {node.id for node in ast.walk(call) if isinstance(node, ast.Name)}
        assert not used & {"printable", "quoted"}, place


def test_a_phrase_is_a_sentence_with_its_values() -> None:
    phrase = Phrase("{verb} was answered {code} in frame {frame}.", verb=Term("MAIL"), code=Code(250), frame=Frame(7))
    assert phrase.text() == "MAIL was answered 250 in frame 7."
    assert phrase.values == {"verb": "MAIL", "code": 250, "frame": 7}


def test_durations_are_shown_with_the_digits_that_they_have() -> None:
    assert Phrase("{a} s, {b} ms", a=Seconds(300), b=Milliseconds(12.0)).text() == "300 s, 12.0 ms"


def test_a_value_may_contain_anything() -> None:
    for text in ("{code}", "%s", "%(text)s", "{", "100 %", "\\x00", "{0}"):
        assert Phrase("100 % of {text} {x y}", text=Text(text)).text() == f"100 % of {text} {{x y}}"


def test_a_phrase_in_a_phrase_becomes_a_part_of_it() -> None:
    answer = Phrase("the server answered {code}", code=Code(503))
    why = Phrase(" {verb} was refused.", verb=Term("MAIL"))
    phrase = Phrase(
        "RCPT in frame {frame}; {answer}.{why}{more}", frame=Frame(2), answer=answer, why=why, more=Phrase("")
    )
    assert phrase.text() == "RCPT in frame 2; the server answered 503. MAIL was refused."
    assert phrase.template == "RCPT in frame {frame}; the server answered {code}. {verb} was refused."
    assert phrase.values == {"frame": 2, "code": 503, "verb": "MAIL"}


def test_phrases_of_one_kind_are_numbered_and_joined() -> None:
    parts = [Phrase("{who}: {text}", who=Term(who), text=Text(who * 2)).numbered(n) for n, who in enumerate("ab", 1)]
    phrase = Phrase.joined("; ", parts)
    assert phrase.text() == "a: aa; b: bb"
    assert phrase.values == {"who_1": "a", "text_1": "aa", "who_2": "b", "text_2": "bb"}


def test_two_values_of_one_name_are_refused() -> None:
    code = Phrase("{code}", code=Code(250))
    assert Phrase("{code} {part}", code=Code(250), part=code).text() == "250 250"
    with pytest.raises(ValueError, match="two values have the name code"):
        Phrase("{code} {part}", code=Code(550), part=code)
    with pytest.raises(ValueError, match="two values have the name code"):
        Phrase.joined(", ", [code, Phrase("{code}", code=Code(550))])


def test_values_without_a_type_are_refused() -> None:
    for value in (250, "250", 1.5, None, b"x"):
        with pytest.raises(TypeError, match="which is not a type of value"):
            Phrase("{code}", code=value)  # type: ignore[arg-type]


def test_missing_and_surplus_values_are_refused() -> None:
    with pytest.raises(ValueError, match="names"):
        Phrase("{code}")
    with pytest.raises(ValueError, match="names"):
        Phrase("no value", status=EnhancedStatus("5.1.1"))
