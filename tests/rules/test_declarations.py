"""CMD323, EXT520, EXT522: what BDAT and MAIL declare, and what the client sends."""

from __future__ import annotations

import pytest
from examples import played
from scripts import MESSAGE, Script, by_byte, envelope, findings, hello, lines, play, rules

SIZE = len(MESSAGE)
START: Script = [*hello("CHUNKING", "BINARYMIME", "8BITMIME", "PIPELINING"), *envelope()]
BINARY: Script = [*hello("CHUNKING", "BINARYMIME", "8BITMIME", "PIPELINING"), *envelope("BODY=BINARYMIME")]


def chunk(declared: int, text: str = MESSAGE, last: str = " LAST") -> tuple[str, str]:
    return ("C", f"BDAT {declared}{last}\r\n{text}")


def outcome(script: Script) -> list[tuple[str, str | None]]:
    """The findings, each with the rule of its cause."""
    found = play(script).findings
    return [(one.rule, None if one.caused_by is None else found[one.caused_by].rule) for one in found]


# -- too small ---------------------------------------------------------------------------------------------------------


def test_one_octet_more_than_declared() -> None:
    script = [*START, chunk(SIZE - 1), *lines("S 250 queued", "C QUIT", "S 500 what", "FC")]
    assert outcome(script) == [("CMD323", None), ("BIT224", "CMD323"), ("RPL423", "CMD323")]
    first = play(script).findings[0]
    assert [one.rule for one in play(script, cut=by_byte).findings] == ["CMD323", "BIT224", "RPL423"]
    told = f"BDAT declares {SIZE - 1} octets, but {SIZE} were sent: the last one was read as a command."
    assert (first.message, first.evidence) == (told, f"BDAT {SIZE - 1} LAST")


def test_the_stray_octet_may_come_after_the_reply() -> None:
    script = [*START, chunk(SIZE - 1, MESSAGE[:-1]), *lines("S 250 queued"), ("C", "\nQUIT\r\n"), *lines("S 500 what")]
    assert outcome(script) == [("CMD323", None), ("BIT224", "CMD323"), ("RPL423", "CMD323")]


def test_a_whole_line_end_more_is_an_empty_command() -> None:
    script = [*START, chunk(SIZE - 2), *lines("S 250 queued", "S 500 what", "C QUIT", "S 221 bye")]
    connection = play(script)
    assert [one.rule for one in connection.findings] == ["CMD323"]
    assert f"{SIZE} were sent: the last 2 were" in connection.findings[0].message


def test_a_server_may_skip_the_empty_command() -> None:
    script = [*START, chunk(SIZE - 2), ("C", "MAIL FROM:<a@client.example>\r\n"), *lines("S 250 queued", "S 250 ok")]
    assert outcome([*script, *lines("C QUIT", "S 221 bye")]) == [("CMD323", None)]


def test_stray_octets_are_the_last_bytes_of_the_client() -> None:
    script = [*START, chunk(SIZE - 1), *lines("S 250 queued", "FC")]
    assert outcome(script) == [("CMD323", None), ("BIT224", "CMD323"), ("TCP901", "CMD323")]


def test_each_chunk_has_the_wrong_size() -> None:
    first = [chunk(9, "Subject: x\r\n", ""), *lines("S 250 ok"), chunk(SIZE), *lines("S 250 queued")]
    found = play([*START, *first, *lines("C NOOP", "S 250 ok")], select=("CMD323",)).findings
    assert found == []  # the first one has text after it
    script = [*START, chunk(11, "Subject: x\r\n", ""), ("C", f"BDAT {SIZE - 1} LAST\r\n{MESSAGE}")]
    (finding,) = findings([*script, *lines("S 250 ok", "S 250 ok", "C QUIT", "S 500 no")], select=("CMD323",))
    assert finding.message.endswith("It is the first of 2 such chunks.")


@pytest.mark.parametrize(
    "script",
    [
        [*START, chunk(SIZE), *lines("S 250 queued", "C QUIT", "S 221 bye")],
        [*START, chunk(SIZE - 1, MESSAGE[:-1], ""), *lines("S 250 ok"), chunk(1, "\n"), *lines("S 250 queued")],
        [*START, chunk(SIZE - 1), ("C", "FOO\r\n"), *lines("S 250 queued", "S 500 what")],  # what follows is no command
        [*START, chunk(SIZE), *lines("S 250 queued", "C NOOP"), ("C", "\nNOOP\r\n"), *lines("S 250 ok", "S 500 what")],
    ],
)
def test_line_ends_that_do_not_follow_on_a_chunk(script: Script) -> None:
    assert "CMD323" not in rules(script)


# -- too large ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["QUIT", "rset", "MAIL FROM:<a@client.example>", "BDAT 10 LAST"])
def test_the_next_command_became_part_of_the_chunk(command: str) -> None:
    declared = SIZE + len(command) + 2
    start = [*START, chunk(declared), ("C", f"{command}\r\n"), *lines("S 250 queued", "FC")]
    assert outcome(start) == [("CMD323", None), ("TCP901", "CMD323")]
    told = f"BDAT declares {declared} octets: the {command[:4].upper()} after the chunk was read as part of it."
    assert play(start).findings[0].message == told
    assert "CMD323" not in rules(
        [*START, ("C", f"BDAT {declared} LAST\r\n{MESSAGE}{command}\r\n"), ("S", "250 ok\r\n")]
    )


def test_binary_content_may_end_like_a_command() -> None:
    script = [*BINARY, chunk(SIZE + 6), ("C", "QUIT\r\n"), *lines("S 250 queued", "C QUIT", "S 221 bye")]
    assert "CMD323" not in rules(script)


@pytest.mark.parametrize("missing", [1, 4])
def test_the_client_closes_although_octets_are_missing(missing: int) -> None:
    script = [*START, chunk(SIZE + missing), ("FC", "")]
    assert outcome(script) == [("CMD323", None), ("TCP903", "CMD323")]
    told = f"BDAT declares {SIZE + missing} octets, but only {SIZE} were sent; the server waits for the rest."
    assert play(script).findings[0].message == told


def paused(declared: int, *after: str) -> list[tuple[str, str | None]]:
    """The findings if the client is silent for six seconds after its chunk."""
    text = [f"C: {line}" if line else "C:" for line in MESSAGE.split("\r\n")[:-1]]
    start = ["S: 220 mx.example", "C: EHLO client.example", "S: 250-mx.example", "S: 250 CHUNKING"]
    start += ["C: MAIL FROM:<a@client.example>", "S: 250 ok", "C: RCPT TO:<b@mx.example>", "S: 250 ok"]
    (connection,) = played([*start, f"C: BDAT {declared} LAST", *text, "wait 6", *after], profile=None, port=25)
    found = connection.findings
    return [(one.rule, None if one.caused_by is None else found[one.caused_by].rule) for one in found]


def test_the_client_waits_and_then_goes_on() -> None:
    assert paused(SIZE + 1, "C: QUIT", "S: 250 queued", "S: 500 what", "FS", "FC") == [
        ("CMD323", None),
        ("EXT504", "CMD323"),
        ("CMD301", "CMD323"),
        ("TCP902", "CMD323"),
    ]


def test_the_server_gives_up() -> None:
    assert paused(SIZE + 1, "FS", "FC") == [("CMD323", None), ("TCP902", "CMD323")]
    assert paused(SIZE + 1, "FC") == [("CMD323", None), ("TCP903", "CMD323"), ("TIM801", "CMD323")]


@pytest.mark.parametrize(
    "script",
    [
        [*START, chunk(SIZE + 5), ("FC", "")],
        [*START, chunk(SIZE + 1), ("FS", "")],
        [*START, chunk(SIZE + 101), ("GC", "100"), ("FC", "")],
    ],
)
def test_a_chunk_that_was_cut(script: Script) -> None:
    assert "CMD323" not in rules(script)


# -- what MAIL declares ------------------------------------------------------------------------------------------------


def message(parameters: str, text: str, reply: str = "250 queued") -> Script:
    start = [*hello("SIZE 100000", "SMTPUTF8", "8BITMIME"), *envelope(parameters)]
    return [*start, *lines("C DATA", "S 354 go"), ("C", f"{text}.\r\n"), *lines(f"S {reply}")]


def of_size(octets: int) -> str:
    """A message of this size, at least 60 octets larger than MESSAGE."""
    whole, rest = divmod(octets - SIZE, 60)
    return MESSAGE + ("z" * 58 + "\r\n") * (whole - 1) + "z" * (58 + rest) + "\r\n"


@pytest.mark.parametrize(
    ("declared", "size", "reply", "fires"),
    [
        (16, 1200, "250 queued", True),
        (1000, 2001, "250 queued", True),
        (1000, 2000, "250 queued", False),  # a thousand octets
        (20000, 21999, "250 queued", False),  # a tenth
        (150, 200, "250 queued", False),
        (150, 200, "552 too large", True),
        (190, 200, "552 too large", False),
        (0, 2000, "250 queued", False),  # SIZE=0: not known
    ],
)
def test_a_size_that_is_too_small(declared: int, size: int, reply: str, fires: bool) -> None:
    text = of_size(size)
    found = findings(message(f"SIZE={declared}", text, reply), select=("EXT522",))
    assert bool(found) is fires
    if found:
        assert found[0].evidence == f"MAIL FROM:<a@client.example> SIZE={declared}"
        assert found[0].severity == "info"
    assert rules(message(f"SIZE={declared}", text, reply), profile="rfc821", select=("EXT522",)) == []


MIME = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
EIGHT = "Content-Transfer-Encoding: 8bit\r\n"
IN_BODY = f"{MIME}{EIGHT}{MESSAGE}--b\r\n{EIGHT}\r\ngr\xc3\xbc\xc3\x9fe\r\n--b--\r\n"


@pytest.mark.parametrize(
    ("parameters", "text", "fires"),
    [
        ("SMTPUTF8", MESSAGE, True),
        ("", MESSAGE, False),
        ("SMTPUTF8", f"Subject: gr\xc3\xbc\xc3\x9fe\r\n{MESSAGE}", False),
        ("BODY=8BITMIME SMTPUTF8", f"{MESSAGE}gr\xc3\xbc\xc3\x9fe\r\n", True),
        ("BODY=8BITMIME SMTPUTF8", IN_BODY, True),
        ("BODY=8BITMIME SMTPUTF8", IN_BODY.replace(f"--b\r\n{EIGHT}", f"--b\r\nX: \xc3\xbc\r\n{EIGHT}"), False),
    ],
)
def test_smtputf8_that_nothing_needs(parameters: str, text: str, fires: bool) -> None:
    found = findings(message(parameters, text), select=("EXT520",))
    assert [(one.severity, one.evidence[:4]) for one in found] == ([("info", "MAIL")] if fires else [])


def test_an_address_may_need_smtputf8() -> None:
    for path in ("MAIL FROM:<jos\xc3\xa9@client.example> SMTPUTF8", "MAIL FROM:<a@client.example> SMTPUTF8"):
        start = [*hello("SMTPUTF8", "8BITMIME"), *lines(f"C {path}", "S 250 ok")]
        start += lines("C RCPT TO:<jos\xc3\xa9@mx.example>", "S 550 no", "C RCPT TO:<b@mx.example>", "S 250 ok")
        script = [*start, *lines("C DATA", "S 354 go"), ("C", f"{MESSAGE}.\r\n"), *lines("S 250 ok")]
        assert "EXT520" not in rules(script)
