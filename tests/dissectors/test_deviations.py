"""Deviations as data."""

from __future__ import annotations

from smtpwire.dissectors.deviations import DeviationKind, quoted


def test_kinds_are_kebab_case_words() -> None:
    assert DeviationKind("bad-hello-argument") is DeviationKind.BAD_HELLO_ARGUMENT
    assert all(kind == kind.lower() and kind.replace("-", "").isalpha() for kind in DeviationKind)


def test_quotes_are_safe_and_short() -> None:
    assert quoted(b"a\x1b[2J\xe9") == "a\\x1b[2J\\xe9"
    assert len(quoted(b"\0" * 10_000)) < 300
    assert quoted(b"x" * 10_000).endswith("...")
