"""No report passes as green if something was not looked at: each says what was left out, and what there was instead."""

from __future__ import annotations

import json
from io import BytesIO
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest
from captures import ACK, SYN, pcap
from scripts import WHOLE, WRONG, lines, records, segments

from smtpwire.analyzer.audit import Audit, Options, audit
from smtpwire.analyzer.enums import ReportFormat, Require
from smtpwire.analyzer.errors import UsageError
from smtpwire.analyzer.findings.filters import ConnectionFilter
from smtpwire.analyzer.findings.suppress import Peer
from smtpwire.analyzer.model import Capture, OtherTraffic, Summary
from smtpwire.analyzer.reports.formats import FORMATS, Style
from smtpwire.analyzer.reports.output import Output
from smtpwire.analyzer.reports.scope import contents, scope, unmet
from smtpwire.analyzer.reports.text import TextWriter
from smtpwire.analyzer.rules import RULES

if TYPE_CHECKING:
    from pathlib import Path

    from scripts import Script, Segment

HELLO_OF_TLS = bytes.fromhex("1603010200010001fc0303") + bytes(500)


def read(tmp_path: Path, *sent: list[Segment], options: Options | None = None) -> Audit:
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(records([one for part in sent for one in part])))
    run = Audit(options)
    for _ in run.run([path]):
        pass
    return run


def other(script: Script, port: int) -> list[Segment]:
    return segments(script, port=port, client_port=50000 + port)


@pytest.mark.parametrize(
    ("script", "port", "protocol"),
    [
        ([("C", HELLO_OF_TLS)], 443, "TLS"),
        ([("C", b"GET / HTTP/1.1\r\n\r\n"), ("S", b"HTTP/1.1 200 OK\r\n\r\n")], 80, "HTTP"),
        ([("S", b"SSH-2.0-OpenSSH_9\r\n"), ("C", b"SSH-2.0-x\r\n")], 22, "SSH"),
        (lines("S +OK ready", "C USER a"), 110, "POP3"),
        (lines("S * OK IMAP4rev1", "C a LOGIN x y"), 143, "IMAP"),
        (lines("S 220 ftp ready", "C USER a", "S 331 more"), 21, "FTP or IRC"),
        ([("C", bytes(range(1, 200)))], 5000, "unknown"),
    ],
)
def test_a_capture_without_smtp_says_what_it_holds(tmp_path: Path, script: Script, port: int, protocol: str) -> None:
    summary = read(tmp_path, other(script, port)).summary
    assert summary.other_traffic == [OtherTraffic(protocol, port, 1)]
    assert contents(summary) == f"No SMTP seen. TCP: 1 connection on {port} ({protocol})."


def test_connections_without_data_are_named(tmp_path: Path) -> None:
    opened = [one for one in segments([], client_port=40001) if one.flags & SYN or one.flags == ACK]
    asked = segments([], client_port=40002)[:1]
    summary = read(tmp_path, opened, asked).summary
    assert contents(summary) == (
        "No SMTP seen. TCP: 1 connection on 25 (only a SYN), 1 connection on 25 (only a handshake)."
    )


def test_other_traffic_beside_smtp_is_not_reported(tmp_path: Path) -> None:
    summary = read(tmp_path, segments(WHOLE), other([("C", HELLO_OF_TLS)], 443)).summary
    assert summary.other_traffic == []
    assert contents(summary) is None


def test_a_capture_that_is_all_tls_is_not_clean(tmp_path: Path) -> None:
    hello_of_server = bytes.fromhex("160303007a020000760303") + bytes(200)
    summary = read(tmp_path, segments([("C", HELLO_OF_TLS), ("S", hello_of_server)], port=465)).summary
    assert contents(summary) == "Nothing was readable: 1 connection, encrypted from the start."


def test_an_empty_set_of_rules_is_an_error() -> None:
    with pytest.raises(UsageError, match="no rule is left to ask"):
        Options(select=("SEQ101",), ignore=("SEQ",)).rules()


def test_one_selector_may_be_a_string(tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(records(segments(WRONG))))
    for select in ("SEQ103", "SEQ103,BIT", ["SEQ103"]):
        assert [finding.rule for one in audit(path, select=select) for finding in one.findings] == ["SEQ103"]
    assert [finding.rule for one in audit(path, ignore="SEQ") for finding in one.findings] == []


def test_what_was_not_asked_is_named_by_family() -> None:
    not_bit = sorted(rule for rule in RULES if rule.startswith("BIT"))
    assert scope(Summary(not_asked=[*not_bit, "SEQ101"])) == [f"Not asked: {len(not_bit) + 1} rules (BIT, SEQ101)"]


def test_a_plugin_that_could_not_be_loaded_is_named() -> None:
    (said,) = scope(Summary(not_loaded=["acme of acme-rules"]))
    assert said == "Not asked: the rules of plugins that could not be loaded (acme of acme-rules)"


def test_if_nothing_could_be_read_there_is_no_word_about_smtp(tmp_path: Path) -> None:
    run = Audit()
    for _ in run.run([tmp_path / "missing.pcap"]):
        pass
    assert contents(run.summary) == "Nothing could be read."


def test_the_text_names_only_captures_with_connections_that_are_shown(tmp_path: Path) -> None:
    for name, script in (("a.pcap", WRONG), ("b.pcap", WHOLE)):
        (tmp_path / name).write_bytes(pcap(records(segments(script, client_port=40000 + len(script)))))
    stream = BytesIO()
    writer = TextWriter(Output(stream))
    run = Audit(Options(wanted=ConnectionFilter(verbs=frozenset({"DATA"}))))
    for item in run.run([tmp_path]):
        writer.capture(item) if isinstance(item, Capture) else writer.connection(item)
    writer.finish(run.summary)
    assert "b.pcap" in stream.getvalue().decode()
    assert "a.pcap" not in stream.getvalue().decode()


STATING = [form for form in ReportFormat if FORMATS[form].states_scope]


@pytest.mark.parametrize("form", STATING)
def test_each_report_says_what_limits_it(form: ReportFormat, tmp_path: Path) -> None:
    peer = Peer(None, ip_network("0.0.0.0/0"), frozenset({"SEQ103"}))
    options = Options(peers=(peer,), ignore=("BIT",), settings="above/smtpwire.toml")
    stream = BytesIO()
    make = FORMATS[form].stream
    assert make is not None
    writer = make(Output(stream), Style())
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(records(segments(WRONG))))
    run = Audit(options)
    for item in run.run([path]):
        writer.capture(item) if isinstance(item, Capture) else writer.connection(item)
    writer.finish(run.summary)
    report = stream.getvalue().decode()
    if form in {ReportFormat.JSON, ReportFormat.NDJSON}:
        document = json.loads(report.splitlines()[-1])
        summary = document.get("summary", document)
        assert summary["settings"] == "above/smtpwire.toml"
        assert summary["left_out"] == [
            {"by": "per-peer", "where": "server 0.0.0.0/0", "rule": "SEQ103", "findings": 1},
        ]
        assert "BIT201" in summary["not_asked"]
        assert summary["suppressed"] == 1
    else:
        for said in ("above/smtpwire.toml", "(BIT)", "1 finding by per-peer server 0.0.0.0/0", "SEQ103 1"):
            assert said in " ".join(report.split()), said


def test_only_connections_that_match_are_counted(tmp_path: Path) -> None:
    sent = segments(WRONG, client_port=40001), segments(WHOLE, client_port=40002)
    run = read(tmp_path, *sent, options=Options(wanted=ConnectionFilter(verbs=frozenset({"DATA"}))))
    assert (run.summary.connections, run.summary.filtered, run.summary.findings["error"]) == (1, 1, 0)
    assert scope(run.summary) == ["Not shown: 1 connection that the filters do not match"]


def test_filters_that_match_nothing_say_so(tmp_path: Path) -> None:
    run = read(tmp_path, segments(WHOLE), options=Options(wanted=ConnectionFilter(codes=("451",))))
    assert contents(run.summary) == "No connection matches the filters; 1 connection did not."


def test_a_filter_of_mailboxes_does_not_add_header_fields_to_the_report(tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(records(segments(WHOLE))))
    wanted = Options(wanted=ConnectionFilter(senders=("a@client.example",)))
    (one,) = [item for item in Audit(wanted).run([path]) if not isinstance(item, Capture)]
    assert one.messages[0].header is None


class TestRequire:
    @pytest.mark.parametrize("require", Require)
    def test_a_whole_connection_in_clear_text_holds_everything(self, tmp_path: Path, require: Require) -> None:
        run = read(tmp_path, segments(WHOLE))
        assert unmet(require, run.summary, run.captures) is None

    @pytest.mark.parametrize("require", Require)
    def test_no_smtp_holds_nothing(self, tmp_path: Path, require: Require) -> None:
        run = read(tmp_path, other([("C", HELLO_OF_TLS)], 443))
        assert unmet(require, run.summary, run.captures) == "no SMTP was seen"

    def test_an_encrypted_connection_is_not_in_clear_text(self) -> None:
        summary = Summary(connections=3, encrypted=1, complete=2)
        assert unmet(Require.SMTP, summary, []) is None
        for require in (Require.CLEARTEXT, Require.COMPLETE):
            assert unmet(require, summary, []) == "1 connection of 3 encrypted, as a whole or in part"

    def test_half_a_connection_is_not_complete(self, tmp_path: Path) -> None:
        run = read(tmp_path, segments(WHOLE, midstream=True))
        assert unmet(Require.CLEARTEXT, run.summary, run.captures) is None
        assert unmet(Require.COMPLETE, run.summary, run.captures) == "1 connection of 1 not captured as a whole"

    def test_nor_is_a_damaged_capture(self) -> None:
        damaged = Capture("a.pcap", problems=["the last record is cut short at byte 40"])
        assert unmet(Require.COMPLETE, Summary(connections=1, complete=1), [damaged]) == "problems with a.pcap"
