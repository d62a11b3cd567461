from __future__ import annotations

import json
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpwire.analyzer.errors import InputError, UsageError, display_path, is_visible


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("a/b.pcap", "a/b.pcap"),
        ("Größe 大.pcap", "Größe 大.pcap"),
        ("a\x1b[31m\nb", "a\\x1b[31m\\x0ab"),
        (b"caf\xe9.pcap".decode("utf-8", "surrogateescape"), "caf\\xe9.pcap"),
        ("x\u202egnp.pcap", "x\\u202egnp.pcap"),
        ("x\U000e0041", "x\\U000e0041"),
    ],
)
def test_paths_are_shown_safely(path: str, shown: str) -> None:
    assert display_path(path) == shown
    assert json.dumps(display_path(path), ensure_ascii=False).encode()


def test_an_error_is_one_line_with_problem_place_and_hint() -> None:
    assert str(InputError("no such file", "a.pcap", "check the path")) == "no such file: a.pcap: check the path"
    assert str(UsageError("no such rule", "SEQ1x1", "did you mean SEQ101?")).startswith("no such rule: SEQ1x1: did")


@given(st.text(st.characters(), max_size=40))
def test_a_shown_name_is_seen_and_stays_the_same(text: str) -> None:
    shown = display_path(text)
    assert is_visible(shown)
    assert display_path(shown) == shown
    assert shown.isprintable()
    assert not [c for c in shown if category(c) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}]


@pytest.mark.parametrize(
    "hidden",
    [
        *("\u00ad", "\u034f", "\u061c", "\u115f", "\u1160", "\u17b4", "\u180b", "\u180e", "\u200b", "\u200d", "\u200f"),
        *("\u2028", "\u202e", "\u2060", "\u2066", "\u2800", "\u3164", "\ufe00", "\ufe0f", "\ufeff", "\uffa0", "\ufff9"),
        *(
            "\U0001d159",
            "\U0001d173",
            "\U000e0001",
            "\U000e0041",
            "\U000e0100",
            "\U000e01ef",
            "\u00a0",
            "\u3000",
            "\u0085",
        ),
    ],
)
def test_a_character_that_shows_nothing_is_an_escape(hidden: str) -> None:
    assert display_path(f"a{hidden}b") == f"a{_escape(ord(hidden))}b"
    assert not is_visible(hidden)


def _escape(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


@pytest.mark.parametrize(
    "name",
    [
        "Gro\u0308\u00dfe",
        "\u0939\u093f\u0928\u094d\u0926\u0940",
        "\u05e9\u05bc\u05c1\u05b8",
        "\u6f22\u5b57",
        "e\u0302\u0301",
    ],
)
def test_marks_on_letters_stay(name: str) -> None:
    assert display_path(name) == name


def test_marks_that_hide_their_neighbours_are_escapes() -> None:
    pile = "a" + "\u0336" * 50
    assert display_path(pile).count("\u0336") == 4
    for before in ("", "/", " ", "."):
        assert display_path(f"{before}\u0336x") == f"{before}\\u0336x"
