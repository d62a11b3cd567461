"""Two secrets of the same length and of the same kind of characters give the same report, whatever was said."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scripts import Script, hello, play
from secret_dialogues import SCRIPTS
from written import capture_of, everything

from smtpwire.analyzer.commands.registry import smtpwire as command_line
from smtpwire.analyzer.enums import Redact

if TYPE_CHECKING:
    from pathlib import Path

# Two of a kind: no word of a language, no base64 (their lengths are no multiples of four), no private verb (X). As sent
# and in base64 they begin and end alike, with a letter or with a digit.
PAIRS = [("q7#Kz!9", "w2!Jv#5"), ("jZ%4k", "vQ!7m"), ("Kq7+wJ2!vZ9#zzQkj8", "Wv3!zK8#qJ5+kkZwq7")]
USER = "bfghmpuy"

CLIENT = (
    *("AUTH LOGIN", "AUTH PLAIN", "AUTH PLAIN {PLAIN}", "AUTH CRAM-MD5", "AUTH LOGIN {U} {P}", "AUTH {P}"),
    *("{B64P}", "{P}", "{U} {P}", "{PLAIN}", "AUTG PLAIN {PLAIN}", "XAUTH", "X-EXPS LOGIN", "C: {P}", "*", "."),
    *(
        "PASS {P}",
        "PASS:{P}",
        "a1 LOGIN {U} {P}",
        "NOOP AUTH PLAIN {PLAIN}",
        "HELP {P}",
        "VRFY {P}",
        "XCLIENT LOGIN={P}",
    ),
    *("NOOP", "RSET", "EHLO client.example", "QUIT", "STARTTLS", "DATA", "BDAT 0 LAST", "RCPT TO:<b@mx.example>"),
    *("MAIL FROM:<a@client.example>", "MAIL FROM:<a@client.example> AUTH={P}", "MAIL FROM:<a@client.example> PASS={P}"),
    *("RCPT TO:<smtp://u:{P}@mx.example>", "BURL imap://u@mx.example/;urlauth=x:internal:{P} LAST"),
    *("Authorization: Basic {B64P}", "GET /?p={P} HTTP/1.1", "password: {P}", "curl -u {U}:{P} https://mx.example/"),
    *("NOOP\n{P}", "AUTH LOGIN\n{P}", "PASS\0{P}", "PASS \xe9{P}"),
)
SERVER = (
    *("250 ok", "235 ok", "220 go", "354 go", "334 ", "334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "334 {B64P}"),
    *("535 no", "504 no", "503 no", "500 what", "421 bye", "535 5.7.8 bad {P}", "500 what is '{P}'", "501 x{P}x"),
    *("500-unknown\r\n500 {B64P}", "501 {PLAIN}", "250 ok, though {P} is wrong", "{P}", "Password:", "250 token={P}"),
    *("501 no\n501 {P}", "500 {P} and {P}", "999 {P}", "501 a\0{P}"),
)


def filled(text: str, secret: str) -> str:
    plain = base64.b64encode(f"\0{USER}\0{secret}".encode()).decode()
    coded = base64.b64encode(secret.encode()).decode()
    return text.replace("{PLAIN}", plain).replace("{B64P}", coded).replace("{P}", secret).replace("{U}", USER)


def script_of(turns: list[tuple[str, str]], secret: str) -> Script:
    login = [("C", "AUTH PLAIN {PLAIN}"), ("S", "535 no")]  # so whatever the server repeats was a secret before
    return [
        *hello("AUTH PLAIN LOGIN CRAM-MD5", "PIPELINING", "XCLIENT LOGIN"),
        *[(side, filled(text, secret) + "\r\n") for side, text in [*login, *turns]],
    ]


def without_content(report: str) -> str:
    """The report without hashes: what a message holds may be in its hash."""
    return re.sub(r"[0-9a-f]{64}|[0-9a-f]{12}\.eml", "hash", report)


TURNS = st.lists(
    st.one_of(
        st.tuples(st.just("C"), st.sampled_from(CLIENT)),
        st.tuples(st.just("S"), st.sampled_from(SERVER)),
    ),
    max_size=12,
)


@given(TURNS, st.sampled_from(PAIRS), st.booleans())
@example([("C", "PASS {P}"), ("S", "500 what is '{P}'")], PAIRS[0], False)
@example([("C", "DATA"), ("C", "{P}"), ("S", "503 no"), ("S", "500 {P} and {P}")], PAIRS[1], False)
def test_any_dialogue(turns: list[tuple[str, str]], pair: tuple[str, str], midstream: bool) -> None:
    reports = [
        without_content(msgspec.json.encode(play(script_of(turns, secret), midstream=midstream)).decode())
        for secret in pair
    ]
    assert reports[0] == reports[1]
    for secret in pair:
        assert secret not in reports[0]


def other(script: Script) -> Script:
    """``script`` with another password in each place."""
    return [(side, _exchanged(text)) for side, text in script]


def _exchanged(text: bytes | str) -> bytes | str:
    from secret_dialogues import BODY, LOGIN, PASSWORD, PLAIN, b64  # noqa: PLC0415

    new = "kr0wz3lth+7/Bq4y"
    pairs = [(PLAIN, b64("\0correcthorse\0" + new)), (LOGIN[1], b64(new)), (PASSWORD, new), (BODY, BODY[::-1])]
    for old, fresh in pairs:
        if isinstance(text, bytes):
            text = text.replace(old.encode(), fresh.encode()).replace(old.upper().encode(), fresh.upper().encode())
        else:
            text = text.replace(old, fresh).replace(old.upper(), fresh.upper())
    return text


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_door(name: str, tmp_path: Path) -> None:
    """Reports in every format, a baseline, extracted envelopes, and comments in a copy of the capture."""
    doors: list[dict[str, str]] = []
    for number, script in enumerate((SCRIPTS[name], other(SCRIPTS[name]))):
        where = tmp_path / str(number)
        where.mkdir()
        capture = capture_of(where / "x.pcap", script)
        found = everything(capture, where, Redact.SECRETS)
        for argv in (
            ["baseline", "write", str(where / "b.json"), str(capture), "--no-config"],
            ["extract", str(capture), "-o", str(where / "mail"), "--no-config"],
            ["show", str(capture), "--end-of-data", "--all", "--no-config"],
        ):
            command_line.main(argv, standalone_mode=False)
        found["baseline"] = (where / "b.json").read_text()
        found |= {f"envelope {n}": one.read_text() for n, one in enumerate(sorted((where / "mail").rglob("*.json")))}
        doors.append({which: without_content(text).replace(str(where), "") for which, text in found.items()})
    assert doors[0].keys() == doors[1].keys()
    for which, text in doors[0].items():
        if not which.startswith(("parquet", "sqlite")):  # pages and times of a database differ for other reasons
            assert comparable(text) == comparable(doors[1][which]), which


def comparable(text: str) -> str:
    """``text`` without the times of the run."""
    return re.sub(r"20\d\d-\d\d-\d\d[T-]\d\d[:-]\d\d[:-]\d\d[.\dZ]*", "time", text)
