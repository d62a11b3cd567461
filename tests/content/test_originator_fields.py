"""The authors in From, and the identifier in Message-ID."""

from __future__ import annotations

from itertools import pairwise
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpwire.analyzer.content.originator_fields import author_fault, message_id_fault, without_comments


@pytest.mark.parametrize(
    "body",
    [
        b" <1@client.example>\r",
        b"\r\n <1.2.x+y@[192.0.2.1]>\r",
        b" (a (nested) comment) <1@client.example> (another)",
        b' <"quoted part"@client.example>',  # RFC 5322 §4.5.4
        b" <a . b @ client . example>",
        b" <1@[IPv6:2001:db8::1]>",
        " <ü@client.example>".encode(),  # RFC 6532 §3.2
    ],
)
def test_identifiers_in_every_form_of_the_grammar(body: bytes) -> None:
    assert message_id_fault(body) is None


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        (b"\r", "is empty"),
        (b" (only a comment)", "is empty"),
        (b" 1@client.example", "has no angle brackets"),
        (b" <1@client.example", "has no angle brackets"),
        (b" <1@client.example> x", "has text outside its angle brackets"),
        (b" <20261120-1>", "has no @"),
        (b" <1@client.example> <2@client.example>", "is not of the form <left@right>"),
        (b" <a..b@client.example>", "is not of the form <left@right>"),
        (b" <1@client.example.>", "is not of the form <left@right>"),
        (b" <@client.example>", "is not of the form <left@right>"),
        (b" <a b@client.example>", "is not of the form <left@right>"),
    ],
)
def test_identifiers_that_are_none(body: bytes, wrong: str) -> None:
    assert message_id_fault(body) == wrong


@pytest.mark.parametrize(
    "body",
    [
        b" a@client.example\r",
        b" Jo Do <jo@client.example>",
        b' "Do, Jo" <jo@client.example>',
        b" =?utf-8?Q?Do,_Jo?= <jo@client.example>",
        b" jo@client.example (Jo, at work)",
        b" (one (nested, comment)) jo@client.example",
        b" <@relay.example,@other.example:jo@client.example>",  # RFC 5322 §4.4
        b" Team: jo@client.example, bo@client.example;",  # RFC 6854
        b" Nobody:;",
        b" jo@[192.0.2.1]",
        b' "jo@home"@client.example',
        b" , jo@client.example,",  # RFC 5322 §4.4: empty members
        " Jö <jö@bücher.example>".encode(),
    ],
)
def test_one_author_in_every_form_of_the_grammar(body: bytes) -> None:
    assert author_fault(body, sender=False) is None


@pytest.mark.parametrize(
    ("body", "what", "author"),
    [
        (b"\r", "is empty", ""),
        (b" ,", "is empty", ""),
        (b" root", "has no domain", "root"),
        (b" root (Cron Daemon)", "has no domain", "root"),
        (b" Jo <root>", "has no domain", "root"),
        (b" Jo <>", "has no domain", "<>"),
        (b" jo@", "has no domain", "jo@"),
        (b' "jo@client.example"', "has no domain", '"jo@client.example"'),
        (b" Do, Jo <jo@client.example>", "has no domain", "Do"),
        (b" a@client.example, root", "has no domain", "root"),
    ],
)
def test_authors_that_nobody_can_answer(body: bytes, what: str, author: str) -> None:
    fault = author_fault(body, sender=True)
    assert fault is not None
    assert (fault.what, fault.author, fault.authors) == (what, author, 0)


def test_several_authors_need_a_sender() -> None:
    body = b' "Do, Jo" <jo@client.example>, a@client.example'
    fault = author_fault(body, sender=False)
    assert fault is not None
    assert fault.authors == 2
    assert author_fault(body, sender=True) is None


def test_comments_are_removed_where_they_are_comments() -> None:
    assert without_comments(b'a(b(c)\\)d)e "(f)" (g') == b'ae "(f)" (g'


@given(st.text(alphabet=' "\\()<>@,:;=?aQ.[]', max_size=60), st.booleans())
def test_any_body_is_judged(body: str, sender: bool) -> None:
    author_fault(body.encode(), sender=sender)
    message_id_fault(body.encode())


PIECES = [b'"', b'\\"', b"[\\", b"(", b"(\\(", b"<", b"=?", b"=?a?Q?", b"a,", b"@a:", b'"a".', b"a ", b"a.", b"\\"]


@pytest.mark.parametrize("piece", PIECES)
def test_the_time_grows_no_faster_than_the_body(piece: bytes) -> None:
    """Four times as long may take eight times as long: with a pattern that reads octets again it would be sixteen."""
    times = []
    for count in (20_000, 80_000):
        body = b" <" + piece * count
        start = perf_counter()
        author_fault(body, sender=False)
        message_id_fault(body)
        times.append(perf_counter() - start)
    assert all(after < max(8 * before, 1.0) for before, after in pairwise(times))
