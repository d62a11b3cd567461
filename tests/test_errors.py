from __future__ import annotations

import json

import pytest

from smtpwire.analyzer.errors import InputError, UsageError, display_path


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
