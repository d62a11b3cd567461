"""The command as a user meets it: what it prints where, and the status that it ends with."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from short_timeouts import IMPATIENT, until_read

from smtpwire import __version__
from smtpwire.analyzer.commands.settings import options_of
from smtpwire.analyzer.config import Config

pytestmark = pytest.mark.slow

DEMO = Path(str(resources.files("smtpwire.samples") / "demo.pcap"))


def smtpwire(
    *arguments: str | Path, stdin: bytes | None = None, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "smtpwire", *map(str, arguments)],
        input=stdin,
        stdin=None if stdin is not None else subprocess.DEVNULL,
        capture_output=True,
        env={**os.environ, "COLUMNS": "100", **environment},
        check=False,
        timeout=60,
    )


def document(*arguments: str | Path, stdin: bytes | None = None) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(smtpwire("audit", *arguments, "--format", "json", stdin=stdin).stdout)
    return report


def but_for_the_path(report: dict[str, Any]) -> list[Any]:
    """Return the connections, and what was read of the only capture."""
    for place in [*report["captures"], *(part for one in report["connections"] for part in one["captures"])]:
        del place["path"]
    return [report["connections"], report["summary"]]


def only_line(run: subprocess.CompletedProcess[bytes]) -> str:
    (line,) = run.stderr.decode().splitlines()
    return line


class TestUse:
    def test_the_version(self) -> None:
        run = smtpwire("--version")
        assert (run.stdout, run.returncode) == (f"smtpwire {__version__}\n".encode(), 0)

    def test_without_arguments_it_explains_itself(self) -> None:
        run = smtpwire()
        assert run.returncode == 2
        assert b"audit" in run.stdout
        assert not run.stderr

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["frob"], "frob"),
            (["audit"], "PATH"),
            (["audit", "--frob", "x.pcap"], "--frob"),
            (["audit", "--format", "xml", "x.pcap"], "'text', 'json', 'ndjson'"),
            (["audit", "--profile", "x400", "x.pcap"], "x400"),
            (["audit", "--port", "smtp", "x.pcap"], "--port smtp"),
            (["audit", "--port", "25,70000", "x.pcap"], "--port 70000"),
            (["audit", "--fail-on", "often", "x.pcap"], "often"),
            (["audit", "--select", "SEQ101x", str(DEMO)], "SEQ101"),
            (["audit", "--ignore", "mail-before-helo", str(DEMO)], "mail-before-hello"),
            (["audit", "-o", "/nowhere/at/all", str(DEMO)], "/nowhere/at/all"),
            (["show", "--connection", "99", str(DEMO)], "99"),
        ],
    )
    def test_wrong_use_is_one_line_that_names_the_word(self, arguments: list[str], says: str) -> None:
        run = smtpwire(*arguments)
        assert run.returncode == 2
        line = only_line(run)
        assert line.startswith("smtpwire: ")
        assert says in line

    def test_help_lists_the_exit_statuses(self) -> None:
        text = smtpwire("audit", "--help").stdout.decode()
        for number in ("0", "1", "2", "3", "130"):
            assert f" {number}" in text[text.index("Exit status") :]


class TestAudit:
    def test_json_is_one_document_and_nothing_else(self) -> None:
        run = smtpwire("audit", DEMO, "--format", "json")
        report = json.loads(run.stdout)
        assert not run.stderr
        assert run.returncode == 1
        assert report["generator"] == {"name": "smtpwire", "version": __version__}
        assert report["captures"][0]["path"] == str(DEMO)
        assert report["captures"][0]["frames"] == 135
        assert report["summary"]["connections"] == len(report["connections"]) == 6

    def test_the_summary_counts_what_the_report_holds(self) -> None:
        report = document(DEMO)
        found = [finding for one in report["connections"] for finding in one["findings"]]
        assert found
        assert report["summary"]["rules"] == Counter(finding["rule"] for finding in found)
        severities = Counter(finding["severity"] for finding in found)
        assert report["summary"]["findings"] == {name: severities[name] for name in ("error", "warning", "info")}
        assert report["summary"]["messages"] == sum(len(one["messages"]) for one in report["connections"])

    def test_references_inside_a_report_point_at_something(self) -> None:
        for one in document(DEMO)["connections"]:
            turns, found = one["dialogue"], one["findings"]
            for turn in turns:
                if turn["kind"] == "reply" and turn["answers"] is not None:
                    assert turns[turn["answers"]]["side"] == "client"
            for finding in found:
                assert finding["turn"] is None or finding["turn"] < len(turns)
                assert finding["caused_by"] is None or finding["caused_by"] < len(found)

    def test_ndjson_says_the_same(self) -> None:
        lines = [json.loads(line) for line in smtpwire("audit", DEMO, "--format", "ndjson").stdout.splitlines()]
        report = document(DEMO)
        kinds = Counter(line["type"] for line in lines)
        assert kinds["connection"] == 6
        assert kinds["capture"] == kinds["summary"] == 1
        assert kinds["finding"] == sum(report["summary"]["findings"].values())
        assert lines[-1] == {"type": "summary", **report["summary"]}
        by_id = {one["id"]: one for one in report["connections"]}
        for line in lines:
            if line["type"] == "connection":
                assert line["dialogue"] == by_id[line["id"]]["dialogue"]

    def test_the_same_from_a_path_an_option_a_pipe_and_a_gzip_file(self, tmp_path: Path) -> None:
        zipped = tmp_path / "demo.pcap.gz"
        zipped.write_bytes(gzip.compress(DEMO.read_bytes()))
        plain = but_for_the_path(document(DEMO))
        assert but_for_the_path(document("-r", DEMO)) == plain
        assert but_for_the_path(document("-", stdin=DEMO.read_bytes())) == plain
        assert but_for_the_path(document(zipped)) == plain
        assert but_for_the_path(document(tmp_path)) == plain

    def test_scapy_decodes_to_the_same(self) -> None:
        assert document(DEMO, "--decoder", "scapy")["connections"] == document(DEMO)["connections"]

    def test_a_report_in_a_file(self, tmp_path: Path) -> None:
        target = tmp_path / "report.json"
        run = smtpwire("audit", DEMO, "--format", "json", "-o", target)
        assert (run.stdout, run.stderr, run.returncode) == (b"", b"", 1)
        assert json.loads(target.read_bytes()) == document(DEMO)

    def test_a_capture_is_never_overwritten(self, tmp_path: Path) -> None:
        copy = tmp_path / "demo.pcap"
        shutil.copy(DEMO, copy)
        run = smtpwire("audit", copy, "-o", copy)
        assert run.returncode == 2
        assert copy.read_bytes() == DEMO.read_bytes()

    def test_select_and_ignore(self) -> None:
        assert set(document(DEMO, "--select", "SEQ")["summary"]["rules"]) == {
            rule for rule in document(DEMO)["summary"]["rules"] if rule.startswith("SEQ")
        }
        assert "SEQ101" not in document(DEMO, "--ignore", "mail-before-hello,BIT")["summary"]["rules"]

    def test_a_profile_for_all(self) -> None:
        assert {one["profile"] for one in document(DEMO, "--profile", "rfc821")["connections"]} == {"rfc821"}

    def test_text_is_plain_where_it_is_no_terminal(self) -> None:
        run = smtpwire("audit", DEMO)
        assert b"\x1b" not in run.stdout
        assert b"SEQ101" in run.stdout

    def test_an_ascii_locale_is_served(self) -> None:
        run = smtpwire("audit", DEMO, PYTHONIOENCODING="ascii")
        assert run.returncode == 1
        assert run.stdout.isascii()


class TestStatus:
    @pytest.mark.tree
    @pytest.mark.parametrize(
        ("sample", "fail_on", "status"),
        [
            ("postfix--mail-before-ehlo", "error", 1),
            ("postfix--mail-before-ehlo", "never", 0),
            ("opensmtpd--ehlo-mid-transaction", "error", 0),
            ("opensmtpd--ehlo-mid-transaction", "warning", 1),
            ("opensmtpd--ehlo-mid-transaction", "info", 1),
            ("postfix--pipelined-refused-data", "info", 0),
        ],
    )
    def test_fail_on_is_inclusive(self, sample: str, fail_on: str, status: int) -> None:
        # Of the order of commands: the first breaks it with errors, the second with a warning, the third not at all.
        path = DEMO.parent / f"{sample}.pcap"
        assert smtpwire("audit", path, "--select", "SEQ", "--fail-on", fail_on).returncode == status

    @pytest.mark.parametrize("format_", ["text", "json", "ndjson"])
    def test_an_unreadable_input_is_reported_and_the_others_are_read(self, format_: str, tmp_path: Path) -> None:
        (tmp_path / "empty.pcap").touch()
        (tmp_path / "notes.txt").write_text("no capture")
        missing = tmp_path / "missing.pcap"
        run = smtpwire("audit", missing, tmp_path / "empty.pcap", DEMO, tmp_path / "notes.txt", "--format", format_)
        assert run.returncode == 3
        told = run.stderr.decode().splitlines()
        assert len(told) == 3
        assert all(line.startswith("smtpwire: ") for line in told)
        for name in ("missing.pcap", "empty.pcap", "notes.txt"):
            assert sum(name in line for line in told) == 1
        assert b"SEQ101" in run.stdout

    def test_a_damaged_input_is_read_up_to_the_damage(self, tmp_path: Path) -> None:
        cut = tmp_path / "cut.pcap"
        cut.write_bytes(DEMO.read_bytes()[:-40])
        run = smtpwire("audit", cut, "--format", "json")
        assert run.returncode == 1
        (capture,) = json.loads(run.stdout)["captures"]
        assert capture["frames"] >= 134
        assert len(capture["problems"]) == 1

    def test_hostile_file_names_reach_no_terminal(self, tmp_path: Path) -> None:
        hostile = tmp_path / "a\x1b[31m\u202e\n.pcap"
        shutil.copy(DEMO, hostile)
        undecodable = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.pcap")
        shutil.copy(DEMO, undecodable)
        for format_ in ("text", "json", "ndjson"):
            run = smtpwire("audit", hostile, undecodable, "--format", format_)
            assert run.returncode == 1, run.stderr
            assert b"\x1b" not in run.stdout
            assert "\u202e" not in run.stdout.decode()
            assert b"xff.pcap" in run.stdout

    @pytest.mark.parametrize("format_", ["text", "json", "ndjson"])
    def test_a_closed_pipe_is_not_an_error(self, format_: str) -> None:
        command = [sys.executable, "-m", "smtpwire", "audit", str(DEMO), "--format", format_]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            assert process.stderr.read() == b""
        assert process.returncode in {0, 1}

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
    @pytest.mark.parametrize("format_", ["text", "json", "ndjson"])
    def test_a_full_disk_is_one_line(self, format_: str) -> None:
        with Path("/dev/full").open("wb") as full:
            run = subprocess.run(
                [sys.executable, "-m", "smtpwire", "audit", str(DEMO), "--format", format_],
                stdout=full,
                stderr=subprocess.PIPE,
                check=False,
            )
        assert run.returncode == 2
        assert run.stderr.decode().splitlines() == [
            "smtpwire: cannot write (No space left on device): standard output: name another file with -o"
        ]

    @pytest.mark.parametrize(
        ("command", "size", "connections", "closing"),
        [
            ([sys.executable, "-m", "smtpwire"], None, 6, "fin"),
            (IMPATIENT, None, 6, "fin"),
            (IMPATIENT, 1500, 1, "open"),
        ],
        ids=["as it is", "whole", "cut"],
    )
    def test_interrupted_it_reports_what_it_has_read(
        self, command: list[str], size: int | None, connections: int, closing: str
    ) -> None:
        words = [*command, "audit", "-", "--format", "ndjson"]
        pipe = subprocess.PIPE
        with subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdin.write(DEMO.read_bytes()[:size])
            process.stdin.flush()
            if size is None:
                assert json.loads(process.stdout.readline())["type"] == "connection"
                connections -= 1
            else:
                until_read(process.stdin)
            process.send_signal(signal.SIGINT)
            lines = [json.loads(line) for line in process.stdout.read().splitlines()]
            told = process.stderr.read().decode()
            process.stdin.close()
        assert process.returncode == 130
        assert lines[-1]["type"] == "summary"
        assert [line["closing"] for line in lines if line["type"] == "connection"] == [closing] * connections
        assert told == "smtpwire: interrupted: the report covers the input that was read until then\n"


class TestShow:
    def test_both_sides_and_the_findings(self) -> None:
        run = smtpwire("show", DEMO)
        text = run.stdout.decode()
        assert run.returncode == 0
        assert text.count("\n#") + text.startswith("#") == 6
        assert "→ RCPT TO:<user@dst.example>" in text
        assert "← 503 5.0.0 Need MAIL before RCPT" in text
        assert "error SEQ103 rcpt-before-mail (client)" in text

    def test_one_connection(self) -> None:
        text = smtpwire("show", DEMO, "--connection", "3").stdout.decode()
        assert text.startswith("#3 ")
        assert text.count("#") == 1


class TestDemo:
    def test_it_shows_findings_and_succeeds(self) -> None:
        run = smtpwire("demo")
        text = run.stdout.decode()
        assert run.returncode == 0
        assert text.startswith("samples/demo.pcap: pcap EN10MB, 135 frames")
        for rule in ("SEQ101", "SEQ103", "SEQ120", "BIT205", "BIT207"):
            assert rule in text

    def test_it_is_audited_as_any_capture_is(self) -> None:
        demo = json.loads(smtpwire("demo", "--format", "json").stdout)
        assert demo["captures"][0]["path"] == "samples/demo.pcap"
        assert {part["path"] for one in demo["connections"] for part in one["captures"]} == {"samples/demo.pcap"}
        assert but_for_the_path(demo) == but_for_the_path(document(DEMO))


def test_a_capture_without_a_command_is_answered_with_the_command() -> None:
    run = smtpwire(DEMO)
    assert run.returncode == 2
    assert only_line(run).endswith(f": write smtpwire audit {DEMO}")


class TestStartUp:
    def loaded(self, *arguments: str) -> set[str]:
        code = (
            "import sys; from smtpwire.analyzer.cli import main\n"
            f"sys.argv = ['smtpwire', *{list(arguments)!r}]\n"
            "try: main()\n"
            "except SystemExit: pass\n"
            "print(*sys.modules, file=sys.stderr)"
        )
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert run.stdout
        return set(run.stderr.split())

    def test_the_version_loads_nothing_heavy(self) -> None:
        loaded = self.loaded("--version")
        assert "smtpwire.analyzer.cli" in loaded
        assert not loaded & {"rich", "scapy", "construct", "smtpwire.analyzer.audit"}

    @pytest.mark.parametrize("format_", ["text", "json", "ndjson"])
    def test_an_audit_in_the_fast_lane_loads_neither_rich_nor_scapy(self, format_: str) -> None:
        loaded = self.loaded("audit", str(DEMO), "--format", format_)
        assert "smtpwire.analyzer.audit" in loaded
        assert not loaded & {"rich", "scapy", "scapy.all"}


class TestRule:
    def test_by_id_name_and_family(self) -> None:
        by_id = smtpwire("rule", "SEQ101").stdout
        assert by_id.startswith(b"SEQ101 mail-before-hello\n")
        assert smtpwire("rule", "mail-before-hello").stdout == by_id
        family = json.loads(smtpwire("rule", "SEQ", "--format", "json").stdout)
        assert {rule["id"][:3] for rule in family} == {"SEQ"}
        assert len(json.loads(smtpwire("rule", "--all", "--format", "json").stdout)) > len(family)
        assert smtpwire("rule", "SEQ101", "--format", "markdown").stdout.startswith(b"### SEQ101 mail-before-hello\n")

    @pytest.mark.parametrize(
        ("arguments", "says"), [(["rule", "SEQ10l"], "did you mean SEQ101?"), (["rule"], "no rule is named")]
    )
    def test_wrong_use_is_one_line(self, arguments: list[str], says: str) -> None:
        run = smtpwire(*arguments)
        assert run.returncode == 2
        assert says in only_line(run)


class TestConfiguration:
    def settings(self, tmp_path: Path, text: str) -> Path:
        path = tmp_path / "smtpwire.toml"
        path.write_text(text, "utf-8")
        return path

    def test_the_file_sets_and_the_command_line_wins(self, tmp_path: Path) -> None:
        path = self.settings(tmp_path, 'select = ["SEQ"]\nformat = "json"\nfail-on = "never"\nprofile = "lmtp"\n')
        run = smtpwire("audit", DEMO, "--config", path)
        report = json.loads(run.stdout)
        assert run.returncode == 0
        assert {rule[:3] for rule in report["summary"]["rules"]} == {"SEQ"}
        assert {one["profile"] for one in report["connections"]} == {"lmtp"}
        run = smtpwire(
            *("audit", DEMO, "--config", path, "--select", "BIT", "--profile", "rfc5321"),
            *("--fail-on", "error", "--format", "ndjson"),
        )
        assert run.returncode == 1
        summary = json.loads(run.stdout.splitlines()[-1])
        assert {rule[:3] for rule in summary["rules"]} == {"BIT"}

    def test_it_is_found_from_the_working_directory(self, tmp_path: Path) -> None:
        self.settings(tmp_path, 'profil = "lmtp"')
        inner = tmp_path / "captures"
        inner.mkdir()
        command = [sys.executable, "-m", "smtpwire", "audit", str(DEMO)]
        run = subprocess.run(command, cwd=inner, capture_output=True, text=True, check=False)
        assert run.returncode == 2
        assert run.stderr.strip().endswith("smtpwire.toml:1: did you mean profile?")
        run = subprocess.run([*command, "--no-config"], cwd=inner, capture_output=True, text=True, check=False)
        assert (run.returncode, run.stderr) == (1, "")

    def test_limits_reach_the_audit(self, tmp_path: Path) -> None:
        path = self.settings(tmp_path, "[limits]\nfindings-per-rule = 1\n")
        report = document(DEMO, "--config", path, "--select", "BIT205,BIT207,SEQ")
        assert (
            max(
                Counter(f["rule"] for f in one["findings"]).most_common(1)[0][1]
                for one in report["connections"]
                if one["findings"]
            )
            == 1
        )

    def test_ports_of_the_file_are_added_and_those_of_the_command_line_replace(self) -> None:
        config = Config(ports=(2526,))
        assert options_of(config).ports == {24, 25, 465, 587, 2525, 2526}
        assert options_of(config, port=["26"]).ports == {26}

    def test_peers(self, tmp_path: Path) -> None:
        path = self.settings(tmp_path, '[[per-peer]]\nserver = "127.0.0.0/8"\nignore = ["SEQ", "BIT207"]\n')
        report = document(DEMO, "--config", path, "--select", "SEQ,BIT")
        assert set(report["summary"]["rules"]) == {"BIT205"}

    def test_config_prints_what_it_would_read_again(self, tmp_path: Path) -> None:
        path = self.settings(
            tmp_path,
            'fail-on = "info"\nbaseline = "b.json"\n[limits]\nturns = 7\n'
            '[[per-peer]]\nclient = "10.0.0.1/8"\nignore = ["SEQ101"]\n',
        )
        run = smtpwire("config", "--config", path)
        text = run.stdout.decode()
        assert f'fail-on = "info"                          # {path}:1\n' in text
        assert f"turns = 7                                 # {path}:4\n" in text
        assert 'format = "text"                           # default\n' in text
        again = tmp_path / "again.toml"
        again.write_text(text, "utf-8")
        rows = json.loads(smtpwire("config", "--config", again, "--format", "json").stdout)
        first = json.loads(smtpwire("config", "--config", path, "--format", "json").stdout)
        assert [(row["name"], row["value"]) for row in rows] == [(row["name"], row["value"]) for row in first]

    def test_both_or_none_is_wrong_use(self, tmp_path: Path) -> None:
        run = smtpwire("audit", DEMO, "--config", tmp_path / "x.toml", "--no-config")
        assert run.returncode == 2
        assert "--no-config" in only_line(run)


class TestBaseline:
    def test_what_is_known_is_left_out_and_counted(self, tmp_path: Path) -> None:
        known = tmp_path / "known.json"
        select = ("--select", "SEQ,BIT")
        written = smtpwire("baseline", "write", known, DEMO, *select)
        assert (written.returncode, written.stderr) == (0, b"")
        total = sum(document(DEMO, *select)["summary"]["findings"].values())
        assert written.stdout.startswith(f"{total} findings in ".encode())
        run = smtpwire("audit", DEMO, "--baseline", known, "--format", "json", *select)
        assert run.returncode == 0
        assert only_line(run) == f"smtpwire: baseline: {total} known findings omitted, 0 entries are stale"
        summary = json.loads(run.stdout)["summary"]
        assert summary["suppressed"] == total
        assert summary["rules"] == {}

    def test_the_file_may_be_named_with_o(self, tmp_path: Path) -> None:
        first, second = tmp_path / "a.json", tmp_path / "b.json"
        smtpwire("baseline", "write", first, DEMO)
        smtpwire("baseline", "write", DEMO, "-o", second)
        assert first.read_bytes() == second.read_bytes()

    def test_what_is_new_shows_and_what_is_gone_is_stale(self, tmp_path: Path) -> None:
        known = tmp_path / "known.json"
        smtpwire("baseline", "write", known, DEMO, "--select", "SEQ101,SEQ120")
        run = smtpwire("audit", DEMO, "--baseline", known, "--format", "json", "--select", "SEQ101,SEQ103")
        assert json.loads(run.stdout)["summary"]["rules"] == {"SEQ103": 1}
        assert only_line(run).endswith("1 known finding omitted, 0 entries are stale")  # SEQ120 was not asked
        assert run.returncode == 1
        other = tmp_path / "other.pcap"
        other.write_bytes(DEMO.read_bytes()[:24])
        assert only_line(smtpwire("audit", other, "--baseline", known)).endswith("2 entries are stale")

    def test_it_is_not_written_over_a_capture_nor_from_half_of_the_inputs(self, tmp_path: Path) -> None:
        copy = tmp_path / "demo.pcap"
        shutil.copy(DEMO, copy)
        run = smtpwire("baseline", "write", copy, DEMO)
        assert run.returncode == 2
        assert copy.read_bytes() == DEMO.read_bytes()
        known = tmp_path / "known.json"
        run = smtpwire("baseline", "write", known, DEMO, tmp_path / "missing.pcap")
        assert run.returncode == 3
        assert not known.exists()
        assert b"not written" in run.stderr

    def test_a_baseline_that_is_not_there_is_wrong_use(self, tmp_path: Path) -> None:
        run = smtpwire("audit", DEMO, "--baseline", tmp_path / "none.json")
        assert run.returncode == 2
        assert "baseline write" in only_line(run)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_do_not_stop_an_audit(tmp_path: Path, closed: str) -> None:
    report = tmp_path / "r.json"
    command = f"{sys.executable} -m smtpwire audit {DEMO} --no-config -o {report} --fail-on never {closed}"
    assert subprocess.run(["sh", "-c", command], check=False, timeout=60).returncode == 0
    assert json.loads(report.read_bytes())["summary"]["connections"] == 6


def test_an_input_with_an_impossible_name_is_one_that_cannot_be_read(tmp_path: Path) -> None:
    for words in (["audit", "x" * 300], ["annotate", "x" * 300, "-o", tmp_path / "y"]):
        run = smtpwire(*words)
        assert run.returncode == 3
        assert only_line(run).startswith("smtpwire: File name too long: xxx")


@pytest.mark.parametrize(("words", "status"), [(["rule", "--all"], 0), (["config"], 1), (["explain", "451"], 0)])
def test_a_reader_that_has_gone_is_not_reported(words: list[str], status: int) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        run = subprocess.run(
            [sys.executable, "-m", "smtpwire", *words], stdout=closed, stderr=subprocess.PIPE, check=False, timeout=60
        )
    assert run.stderr == b""
    assert run.returncode == status
