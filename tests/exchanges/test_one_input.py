"""A report does not depend on how the octets of a segment come, and what a source does not know is not invented."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from examples import played
from hypothesis import given, settings
from hypothesis import strategies as st
from octets import octet_by_octet
from scripts import END, MAIL, WHOLE, WRONG, by, connections, envelope, hello, lines, play, segments, talk
from secret_dialogues import SCRIPTS
from strategies import dialogues

from smtpwire.analyzer.audit import Audit
from smtpwire.analyzer.model import Connection
from smtpwire.analyzer.rules import example_ids, example_of

if TYPE_CHECKING:
    from scripts import Script

TREE = Path(__file__).parents[2]
SAMPLES = sorted((TREE / "samples").glob("*.pcap*"))
SHARED = TREE / ".." / "shared"
FIELD = SHARED / "field" / "field.jsonl"
TO_PCAP = SHARED / "tools" / "field_to_pcap.py"
LARGE = 600_000  # a capture above this size takes too long, octet by octet

TLS = b"\x16\x03\x01\0\x05\x01\0\0\x01\0"
# One dialogue for each place where the piece that a byte comes in could make a difference.
DIVIDED: dict[str, Script] = {
    "a transaction": WHOLE,
    "a wrong order": WRONG,
    "two replies in one line": [
        *lines("S 220 mx"),
        ("C", "EHLO x\r\n"),
        ("S", "250 mx"),
        *lines("C MAIL FROM:<a@x>", "S 250 ok", "C NOOP", "S 250 ok"),
    ],
    "one byte that may start TLS": [*hello("STARTTLS"), *lines("C STARTTLS", "S 220 go"), ("C", TLS), ("S", "\x15\n")],
    "plain text in place of TLS": [
        *hello("STARTTLS"),
        *lines("C STARTTLS", "S 220 go", "C EHLO x", "S 250 mx", "C QUIT", "S 221 bye"),
    ],
    "plain text without a line end": [*hello("STARTTLS"), *lines("C STARTTLS", "S 220 go"), ("C", "EHLO"), ("FC", "")],
    "a command after lost replies": [
        *hello("PIPELINING"),
        *lines("C DATA"),
        ("GS", "20"),
        *lines("C MAIL FROM:<a@x>", "S 250 ok"),
    ],
    "mail data after lost replies": [
        *hello(),
        *envelope(),
        *lines("C DATA"),
        ("GS", "8"),
        ("C", "Subject: x\r\n\r\nhi\r\n.\r\n"),
        *lines("S 250 ok"),
    ],
    "an unfinished chunk": [*hello("CHUNKING"), *envelope(), ("C", "BDAT 100 LAST\r\na: b\r\n\r\nc\r\nd"), ("RC", "")],
    "a reply that another line ends": [*hello(), ("S", "250-a\r\n"), *lines("C BDAT 3 LAST", "S 503 no")],
    "commands that end in LF": [*hello(), ("C", "NOOP\n"), *lines("S 250 ok"), ("C", "RSET\r"), *lines("S 250 ok")],
    "an end that only the server saw": [
        *hello("PIPELINING"),
        *envelope(),
        *lines("C DATA", "S 354 go"),
        ("C", "Subject: x\r\n\r\nhi\n.\nMAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\n"),
        *lines("S 250 ok", "S 250 ok", "S 250 ok"),
    ],
    "a PROXY header": [
        ("C", "PROXY TCP4 192.0.2.1 192.0.2.2 40000 25\r\n"),
        *WHOLE,
    ],
    "a binary PROXY header": [
        ("C", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12)),
        *WHOLE,
    ],
    "a proxy before the greeting": [
        ("C", b"\x05\x01\x00"),
        ("S", b"\x05\x00"),
        ("C", b"\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x19"),
        ("S", b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"),
        *WHOLE,
    ],
}


def words(*connections: Connection) -> bytes:
    """Return the reports as they are written."""
    return msgspec.json.format(msgspec.json.encode(connections), indent=1)


def audited(path: Path) -> bytes:
    """Return the reports of the connections in a capture."""
    return words(*(one for one in Audit().run([path]) if isinstance(one, Connection)))


# -- octet by octet ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DIVIDED)
def test_single_octets_give_the_same_report(name: str) -> None:
    script, port = DIVIDED[name], 1080 if "proxy" in name else 25
    whole = words(play(script, port=port))
    with octet_by_octet():
        assert words(play(script, port=port)) == whole


@pytest.mark.parametrize("rule_id", sorted(example_ids()))
def test_single_octets_give_the_same_report_of_each_example(rule_id: str) -> None:
    example = example_of(rule_id)
    assert example is not None
    for script in (example.fires, example.silent):
        whole = words(*played(script, profile=example.profile, port=example.port))
        with octet_by_octet():
            assert words(*played(script, profile=example.profile, port=example.port)) == whole


@pytest.mark.parametrize("name", SCRIPTS)
def test_single_octets_give_the_same_report_where_there_are_secrets(name: str) -> None:
    whole = words(play(SCRIPTS[name]))
    with octet_by_octet():
        assert words(play(SCRIPTS[name])) == whole


@pytest.mark.tree
@pytest.mark.skipif(not SAMPLES, reason="needs the source tree")
@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_single_octets_give_the_same_report_of_each_sample(path: Path) -> None:
    whole = audited(path)
    with octet_by_octet():
        assert audited(path) == whole


@pytest.mark.skipif(not (FIELD.exists() and TO_PCAP.exists()), reason="the dialogues are not here")
def test_single_octets_give_the_same_report_of_each_dialogue_from_the_field(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("field_to_pcap", TO_PCAP)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    cases = [json.loads(line) for line in FIELD.read_text("ascii").splitlines()]
    assert len(cases) > 100
    for number, case in enumerate(cases):
        for opened in case.get("captures") or [[{"events": case["events"]}]]:
            records = []
            for one in opened:
                start = module.START + int(one.get("at", 0) * 1_000_000)
                wire = module.Connection(number, case.get("port", 25), start, case.get("hosts"))
                wire.run(one["events"])
                records += wire.records
            path = tmp_path / "one.pcap"
            module.write(path, records)
            whole = audited(path)
            with octet_by_octet():
                assert audited(path) == whole, case["name"]


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["captures", "lab/captures", "attacks", "tls", "hops"])
def test_single_octets_give_the_same_report_of_each_capture(folder: str) -> None:
    found = [path for path in sorted((SHARED / folder).rglob("*")) if path.suffix in {".pcap", ".pcapng", ".cap"}]
    if not found:
        pytest.skip("the captures are not here")
    for path in found:
        if path.stat().st_size <= LARGE:
            whole = audited(path)
            with octet_by_octet():
                assert audited(path) == whole, path


kinds = st.fixed_dictionaries(
    {},
    optional={
        "profile": st.sampled_from(["rfc821", "submission", "lmtp"]),
        "midstream": st.booleans(),
        "onesided": st.booleans(),
        "acks": st.booleans(),
    },
)


@pytest.mark.parametrize("length", [1 << 16, (1 << 16) + 1, 150_000])
def test_a_line_longer_than_the_limit_is_cut_however_its_octets_come(length: int) -> None:
    said = [*hello(), ("C", f"NOOP {(length - 5) * 'x'}\r\n"), ("S", f"250 {(length - 4) * 'y'}\r\n"), *END]
    connection = talk(said, cut=by(1 << 20))
    assert any("line is longer" in note for note in connection.notes)
    assert words(connection) == words(talk(said, cut=by(1 << 20), octets=True))
    assert not [one.rule for one in connection.findings if one.rule.startswith("BIT")]


@settings(max_examples=200, deadline=None)
@given(dialogues(), kinds)
def test_single_octets_give_the_same_report_of_any_dialogue(said: list[tuple[str, str]], kind: dict[str, Any]) -> None:
    assert words(talk(said, octets=True, **kind)) == words(talk(said, **kind))


@settings(deadline=None)
@given(dialogues())
def test_single_octets_give_the_same_report_of_any_connection(said: list[tuple[str, str]]) -> None:
    whole = words(play(said))
    with octet_by_octet():
        assert words(play(said)) == whole


# -- sources that know less than TCP -----------------------------------------------------------------------------------

in_turn = st.lists(
    st.sampled_from(
        [
            *("NOOP|250 ok", "RSET|250 ok", "MAIL FROM:<a@x>|250 ok", "MAIL FROM:<a@x>|550 no", "RCPT TO:<b@x>|250 ok"),
            *(
                "RCPT TO:<b@x>|550 no",
                "DATA|503 no",
                "DATA|250 what",
                "EHLO y|250 mx",
                "VRFY b|252 maybe",
                "foo|500 no",
            ),
            *("BDAT x|501 no", "AUTH PLAIN AGEAYg==|235 ok", "STARTTLS|454 later", "|500 what", "NOOP|421 out"),
        ]
    ),
    max_size=12,
)


def found(connection: Connection) -> list[tuple[str, str, str, int, str]]:
    """Return the findings without what depends on frames and times."""
    place = re.compile(r" in frame [0-9]+| \(opened by MAIL in frame [0-9]+\)")
    return [(one.rule, one.side, one.certainty, one.offset, place.sub("", one.message)) for one in connection.findings]


@settings(deadline=None)
@given(in_turn)
def test_without_acks_times_and_frames_a_dialogue_in_turn_has_the_same_findings(said: list[str]) -> None:
    script = [
        *hello(),
        *lines(*(f"{who} {text}" for one in said for who, text in zip("CS", one.split("|"), strict=True))),
    ]
    assert found(talk(script, acks=False, places=False)) == found(talk(script))


@settings(deadline=None)
@given(dialogues())
def test_where_frames_and_times_are_not_known_no_finding_names_one(said: list[tuple[str, str]]) -> None:
    connection = talk(said, acks=False, places=False)
    assert {one.frame for one in [*connection.findings, *connection.dialogue]} <= {0}
    for finding in connection.findings:
        assert not finding.rule.startswith("TIM")
        assert not re.search(r"frame 0|[0-9] (ms|s|seconds)\b", finding.message), finding.message


@pytest.mark.parametrize(
    ("script", "place"),
    [
        ([*lines("C EHLO x", "S 220 mx", "S 250 mx"), *END], " 1.0 ms"),
        ([*hello(), *lines("C NOOP", "C NOOP", "S 250 ok", "S 250 ok"), *END], " (it came 1.0 ms later, in frame 6)"),
        ([*hello(), *envelope(), *lines("C MAIL FROM:<a@x>", "S 503 no"), *END], " (opened by MAIL in frame 4)"),
        ([*hello(), *lines("C MAIL FROM:<a@x>", "S 550 no", "C DATA", "S 503 no"), *END], " in frame 4"),
    ],
)
def test_a_message_names_a_time_or_a_frame_only_if_it_is_known(script: Script, place: str) -> None:
    (known,) = [one.message for one in talk(script).findings if place in one.message]
    assert known.replace(place, "") in [one.message for one in talk(script, places=False).findings]


def test_only_the_ack_shows_that_a_client_had_not_received_a_reply_that_was_captured_before() -> None:
    script = [*hello(), *lines("C NOOP", "S 250 ok", "C NOOP", "S 250 ok"), *END]
    sent = segments(script)
    commands = [n for n, one in enumerate(sent) if one.payload == b"NOOP\r\n"]
    late = [one._replace(ack=sent[commands[0]].ack) if n == commands[1] else one for n, one in enumerate(sent)]
    late = [one for n, one in enumerate(late) if n != commands[1] - 1]  # the ACK of the first reply
    assert [one.rule for one in connections(late)[0].findings] == ["EXT504"]
    assert found(talk(script, acks=False)) == []


def test_a_mail_from_a_source_without_times_starts_in_1970() -> None:
    connection = talk([*hello(), *MAIL], places=False)
    assert {one.time for one in connection.dialogue} == {"1970-01-01T00:00:00.000000Z"}
    assert [one.code for one in connection.messages] == [250]
