"""The reason why a text is not a path is named, and nothing of the text is in it."""

from __future__ import annotations

import pytest

from smtpwire.dissectors.grammar.path_faults import path_fault

REASONS = [
    (b"", "there is nothing after the colon"),
    (b"a@x.example", "it has no angle brackets"),
    (b"jack", "it has no angle brackets"),
    (b"<a@x.example", "one of the angle brackets is missing"),
    (b"a@x.example>", "one of the angle brackets is missing"),
    (b"<<a@x.example>>", "it has more than one pair of angle brackets"),
    (b"<a@x.example,b@x.example>", "it has several addresses"),
    (b"<a@x.example>,<b@x.example>", "it has several addresses"),
    (b"<Jo>, <a@x.example>", "it has several addresses"),
    (b"Jo <a@x.example>", "it has a display name before the address"),
    (b'"Do, Jo" <a@x.example>', "it has a display name before the address"),
    (b"<jack>", "it has no domain"),
    (b"<a@>", "it has no domain"),
    (b"<@x.example>", "it has no local-part"),
    (b'<a"b"@x.example>', "it has a quote in the middle"),
    (b'<"a@x.example>', "a quote is not closed"),
    (b"<a@x_y.example>", "its domain is malformed"),
    (b"<a@x.example.>", "its domain is malformed"),
    (b"<a b@x.example>", "it has a space outside quotes"),
    (b"<a\x01@x.example>", "it has a control character"),
    (b"<a@b@x.example>", "it has more than one @"),
    (b"<a..b@x.example>", "a dot is at an end of its local-part, or two come in a row"),
    (b"<@r_.example:a@x.example>", "its source route is malformed"),
    (b"<a(b)@x.example>", "its local-part has a character that must be quoted"),
    (b"<" + b"a" * 2000 + b">", "it is far longer than a path may be"),
]


@pytest.mark.parametrize(("text", "reason"), REASONS, ids=[repr(text[:30]) for text, _ in REASONS])
def test_the_reason_is_named(text: bytes, reason: str) -> None:
    assert path_fault(text) == reason


@pytest.mark.parametrize("text", [b'<"' + b'\\"' * 400, b'<"a\\"@b>', b'<a"@b>'])
def test_a_quote_that_is_not_closed(text: bytes) -> None:
    assert "quote" in path_fault(text) or "bracket" in path_fault(text)
