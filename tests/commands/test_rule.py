"""``smtpwire rule``: lists of rules and the search in them."""

from __future__ import annotations

import json

import pytest

from smtpwire.analyzer.commands.registry import smtpwire
from smtpwire.analyzer.errors import UsageError
from smtpwire.analyzer.rules import RULES


def said(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> list[str]:
    monkeypatch.setenv("COLUMNS", "80")
    assert smtpwire.main(["rule", *words], standalone_mode=False) == 0
    return capfd.readouterr().out.splitlines()


def listed(lines: list[str]) -> list[str]:
    return [line.split()[0] for line in lines if line[0] != " "]


def test_a_list_has_every_rule_in_eighty_columns(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = said(capfd, monkeypatch, "--list")
    assert listed(lines) == sorted(RULES)
    assert max(map(len, lines)) <= 80
    assert "BIT207 error   client  8-bit body without BODY=8BITMIME although the server" in lines
    assert "                       offers it" in lines


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["SEQ101,mail-before-hello", "SEQ10"], [f"SEQ10{n}" for n in range(1, 10)]),
        (["LEN,data-without-recipient"], ["LEN001", "LEN002", "LEN003", "LEN004", "LEN005", "LEN006", "SEQ105"]),
    ],
)
def test_rules_are_named_by_lists(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str], found: list[str]
) -> None:
    assert listed(said(capfd, monkeypatch, "--list", *words)) == found
    explained = said(capfd, monkeypatch, "--format", "json", *words)
    assert [rule["id"] for rule in json.loads("".join(explained))] == found


def test_the_search_puts_names_before_titles_before_explanations(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = listed(said(capfd, monkeypatch, "--search", "Smuggl"))
    assert found == ["SEC612", "SEC614", "SEC615", "BIT223"]
    found = listed(said(capfd, monkeypatch, "--search", "pipelining"))
    assert found[:2] == ["EXT504", "EXT505"]
    assert found[2:] == ["MSG705", "SEC630"]


def test_the_search_wants_all_words(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    both = set(listed(said(capfd, monkeypatch, "--search", "starttls", "465")))
    one, other = (set(listed(said(capfd, monkeypatch, "--search", word))) for word in ("starttls", "465"))
    assert both
    assert both == one & other
    assert both < one


def test_markdown_lists_too(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    lines = said(capfd, monkeypatch, "--list", "SEQ103", "--format", "markdown")
    assert lines[2:] == ["| SEQ103 rcpt-before-mail | error | client | RCPT without an open transaction |"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "no rule is named"),
        (["--search"], "no word to search for"),
        (["--search", "xyzzy"], "no rule has this word: xyzzy"),
        (["--search", "mail", "\x1b"], "no rule has all these words: mail \\x1b"),
        (["--all", "SEQ101"], "rules and --all together"),
        (["--list", "SEQ10l"], "did you mean SEQ101?"),
    ],
)
def test_mistakes_are_named(words: list[str], says: str) -> None:
    with pytest.raises(UsageError) as error:
        smtpwire.main(["rule", *words], standalone_mode=False)
    assert says in str(error.value)
