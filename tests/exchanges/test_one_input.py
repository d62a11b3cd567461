"""A report does not depend on how the octets of a segment come."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from examples import played
from hypothesis import given, settings
from hypothesis import strategies as st
from octets import octet_by_octet
from scripts import WHOLE, WRONG, envelope, hello, lines, play, talk
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


@settings(max_examples=200)
@given(dialogues(), kinds)
def test_single_octets_give_the_same_report_of_any_dialogue(said: list[tuple[str, str]], kind: dict[str, Any]) -> None:
    assert words(talk(said, octets=True, **kind)) == words(talk(said, **kind))


@given(dialogues())
def test_single_octets_give_the_same_report_of_any_connection(said: list[tuple[str, str]]) -> None:
    whole = words(play(said))
    with octet_by_octet():
        assert words(play(said)) == whole
