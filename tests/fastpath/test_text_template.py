"""Reports that are filled into a template: byte by byte what the encoder would have written."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import pytest
from repeats import dialogue
from scripts import END, MAIL, MESSAGE, WHOLE, hello, lines

from smtpwire.analyzer.audit import Audit, Options
from smtpwire.analyzer.enums import Redact
from smtpwire.analyzer.reports.json_ import NdjsonWriter

if TYPE_CHECKING:
    from scripts import Script, Segment

    from smtpwire.analyzer.fastpath.hit import Repeat
    from smtpwire.analyzer.redact.redactor import Redactor

GROUP = [
    *hello("PIPELINING", "SIZE 2000"),
    ("C", "MAIL FROM:<a@client.example>\r\nRCPT TO:<b@mx.example>\r\nDATA\r\n"),
    ("S", "250 ok\r\n250 fine\r\n354 go\r\n"),
    ("C", MESSAGE + ".\r\n"),
    *lines("S 250 queued"),
    *END,
]


class Written:
    """Takes what a writer writes."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.lines.append(data)


class Counting(NdjsonWriter):
    """Counts what was written from a template."""

    filled = 0

    def repeat(self, repeat: Repeat, redactor: Redactor) -> bool:
        written = super().repeat(repeat, redactor)
        self.filled += written
        return written


def both(sent: list[Segment], options: Options | None = None) -> int:
    """How many connections were filled in; all are written as they are without templates."""
    short, long = Written(), Written()
    counted = 0
    for output in (short, long):
        writer = Counting(output)
        audit = Audit(options or Options())
        if output is short:
            audit.attach(writer)
        for one in sent:
            audit.tracker.segment(*one)
        for connection in chain(audit.finished(), audit.close()):
            writer.connection(connection)
        counted += writer.filled
    assert short.lines == long.lines
    assert long.lines
    return counted


def four(script: Script, other: Script | None = None) -> list[Segment]:
    scripts = [script, script, script, other or script]
    return [one for number, s in enumerate(scripts) for one in dialogue(s, number)]


@pytest.mark.parametrize("script", [WHOLE, [*WHOLE[:-4], *MAIL, *END], [*hello(), *END]])
def test_the_third_and_the_fourth_are_filled_in(script: Script) -> None:
    assert both(four(script)) == 2


def test_a_group_of_commands_is_filled_in_line_by_line() -> None:
    assert both(four(GROUP)) == 2
    other = [(who, str(text).replace("a@client", "somebody@else").replace("fine", "as 1234 %d")) for who, text in GROUP]
    assert both(four(GROUP, other)) == 2
    quoted = [(who, str(text).replace("fine", 'as "1"')) for who, text in GROUP]
    assert both(four(GROUP, quoted)) == 1


def changed(old: str, new: str) -> Script:
    script = [(who, str(text).replace(old, new)) for who, text in WHOLE]
    assert script != WHOLE
    return script


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a@client.example", "somebody@else.example"),
        ("queued", "as 100% %s %d %(a)s"),
        ("Subject: test", 'Subject: "quoted" \\ 50% %s'),
        ("Subject: test\r\n", ""),
        ("Message-ID: <1@client.example>", "Message-ID: <\t%b>"),
        ("hello\r\n", "hello\r\nonce more\r\n"),
        ("EHLO client.example", "EHLO other.example"),
    ],
)
def test_what_is_the_connections_own_is_filled_in(old: str, new: str) -> None:
    assert both(four(WHOLE, changed(old, new))) == 2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("queued", 'as "1"'),
        ("queued", "as \\1"),
        ("a@client.example", "bounce-0123456789abcdef0123456789@client.example"),
    ],
)
def test_what_may_have_to_be_escaped_or_hidden_goes_the_long_way(old: str, new: str) -> None:
    assert both(four(WHOLE, changed(old, new))) == 1


def test_findings_are_filled_in_too() -> None:
    script = changed("Date: Mon, 2 Nov 2026 10:00:00 +0000\r\n", "")
    assert both(four(script)) == 2


def test_a_connection_that_goes_on_into_the_next_second() -> None:
    late = [one._replace(time_ns=one.time_ns + 700_000_000 * (n > 12)) for n, one in enumerate(dialogue(WHOLE, 3))]
    assert both([*four(WHOLE)[: -len(late)], *late]) == 2


@pytest.mark.parametrize("level", list(Redact))
def test_redaction_is_that_of_all_reports(level: Redact) -> None:
    """Where names are hidden, each is looked at; where nothing is, nothing is learned."""
    short = [one for number in range(4) for one in dialogue(WHOLE, number)]
    if level is Redact.PII:
        written = Written()
        writer = Counting(written)
        audit = Audit(Options(redact=level))
        audit.attach(writer)
        for one in short:
            audit.tracker.segment(*one)
        for connection in audit.close():
            writer.connection(connection)
        assert writer.filled == 0
        assert b"<a@client.example>" not in b"".join(written.lines)
    else:
        assert both(short, Options(redact=level)) == (2 if level is Redact.SECRETS else 0)


def test_nanoseconds_are_filled_in() -> None:
    written = Written()
    writer = Counting(written)
    audit = Audit()
    audit.attach(writer)
    audit.tracker.set_digits(9)
    for one in four(WHOLE):
        audit.tracker.segment(*one._replace(time_ns=one.time_ns + 7))
    for connection in audit.close():
        writer.connection(connection)
    assert writer.filled == 2
    assert all(line.count(b"456007Z") > 10 for line in written.lines)
