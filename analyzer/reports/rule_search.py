"""Rules that have certain words, the best first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .rule_docs import paragraphs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..rules import Rule

__all__ = ["search_rules"]


def search_rules(words: Sequence[str], rules: Iterable[Rule]) -> list[Rule]:
    """Return the rules in which each of ``words`` is, or begins a word: first those that have them in the name, then in
    the title, then in the explanation. Case does not matter."""
    wanted = [word.lower() for word in words]
    ranked = []
    for rule in rules:
        places = _places(rule)
        ranks = [next((n for n, text in enumerate(places) if _has(text, word)), len(places)) for word in wanted]
        if max(ranks) < len(places):
            ranked.append((sum(ranks), rule.id, rule))
    return [rule for _, _, rule in sorted(ranked, key=lambda one: one[:2])]


def _has(text: str, word: str) -> bool:
    """Whether ``word`` is in ``text``, not in the middle of another word."""
    at = text.find(word)
    while at > 0 and text[at - 1].isalnum():
        at = text.find(word, at + 1)
    return at >= 0


def _places(rule: Rule) -> list[str]:
    """Return the texts of a rule in lower case, those that say most about it first."""
    texts = [f"{rule.id} {rule.name}", rule.title, " ".join(paragraphs(rule)), rule.reference]
    return [text.lower() for text in texts]
