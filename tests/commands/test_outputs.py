"""Where reports go: what ``--format`` and ``--output`` mean together, and files that are complete or missing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from short_timeouts import IMPATIENT

from smtpwire.analyzer.commands.outputs import Destination, destinations, opened
from smtpwire.analyzer.enums import ReportFormat
from smtpwire.analyzer.errors import UsageError
from smtpwire.analyzer.reports.formats import FORMATS, Format, guessed

if TYPE_CHECKING:
    from collections.abc import Sequence

DEMO = Path(str(resources.files("smtpwire.samples") / "demo.pcap"))


def smtpwire(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "smtpwire", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        cwd=cwd,
        timeout=60,
    )


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


class TestMeaning:
    @pytest.mark.parametrize(
        ("outputs", "given", "found"),
        [
            ([], None, [("text", None)]),
            ([], "json", [("json", None)]),
            (["r.html"], None, [("html", "r.html")]),
            (["out.txt"], None, [("text", "out.txt")]),
            (["out"], None, [("text", "out")]),
            (["r.json"], None, [("json", "r.json")]),
            (["r.json"], "json", [("json", "r.json")]),
            (["r.json"], "sarif", [("sarif", "r.json")]),
            (["r.log"], "zeek", [("zeek", "r.log")]),
            (["r.dat"], "json", [("json", "r.dat")]),
            (["r.html"], "text", [("html", "r.html"), ("text", None)]),
            (["sarif:r.out"], None, [("sarif", "r.out")]),
            (["sarif:r.out"], "github", [("sarif", "r.out"), ("github", None)]),
            (["html:a", "JUNIT:b.xml"], None, [("html", "a"), ("junit", "b.xml")]),
            (["-"], "json", [("json", None)]),
            (["json:-", "html:r.html"], None, [("json", None), ("html", "r.html")]),
            (["./odd:name"], None, [("text", "./odd:name")]),
            (["C:\\r.html"], None, [("html", "C:\\r.html")]),
        ],
    )
    def test_each_output_is_one_report(
        self, outputs: Sequence[str], given: str | None, found: list[tuple[str, str | None]]
    ) -> None:
        wanted = [Destination(ReportFormat(form), path) for form, path in found]
        assert destinations(outputs, ReportFormat(given) if given else None, ReportFormat.TEXT) == wanted

    @pytest.mark.parametrize(
        ("outputs", "says"),
        [
            (["jsn:x"], "no such format: jsn: did you mean json?"),
            (["html:"], "the file name is missing: -o html:: write -o FORMAT:PATH"),
            (["a.html", "html:a.html"], "two reports in one place: a.html"),
            (["json:-", "-"], "two reports in one place: standard output"),
        ],
    )
    def test_a_mistake_is_one_line(self, outputs: Sequence[str], says: str) -> None:
        with pytest.raises(UsageError) as caught:
            destinations(outputs, None, ReportFormat.TEXT)
        assert str(caught.value).startswith(says)
        assert "\n" not in str(caught.value)

    def test_a_report_in_the_file_of_a_link_is_the_same_place(self, tmp_path: Path) -> None:
        (tmp_path / "link.html").symlink_to(tmp_path / "a.html")
        with pytest.raises(UsageError, match="two reports in one place"):
            destinations([str(tmp_path / "a.html"), str(tmp_path / "link.html")], None, ReportFormat.TEXT)


class TestRegistry:
    def test_every_name_has_a_writer(self) -> None:
        assert list(FORMATS) == list(ReportFormat)
        for form, chosen in FORMATS.items():
            assert chosen.form is form
            assert chosen.stream or chosen.place
            assert chosen.suffixes

    @pytest.mark.parametrize(
        ("name", "form"),
        [("a.HTML", "html"), ("a.sarif", "sarif"), ("a.json", "json"), ("a.jsonl", "ndjson"), ("a.md", "markdown")],
    )
    def test_names_of_files_stand_for_formats(self, name: str, form: str) -> None:
        assert guessed(Path(name)) is ReportFormat(form)

    def test_a_missing_extra_says_what_to_install(self) -> None:
        with pytest.raises(UsageError) as caught:
            Format(ReportFormat.TEXT, (".x",), module="no_such_module_here").check()
        assert "pip install no_such_module_here" in str(caught.value)

    @pytest.mark.slow
    @pytest.mark.parametrize("form", [form for form, chosen in FORMATS.items() if chosen.stream])
    def test_a_format_loads_nothing_of_another(self, form: ReportFormat) -> None:
        heavy = {"jinja2", "pyarrow", "rich", "scapy", "sqlite3", "xml"}
        allowed = {ReportFormat.HTML: {"jinja2"}, ReportFormat.JUNIT: {"xml"}}.get(form, set())
        code = (
            "import sys; from smtpwire.analyzer.cli import main\n"
            f"sys.argv = ['smtpwire', 'audit', {str(DEMO)!r}, '--format', {form.value!r}, '-o', {os.devnull!r}]\n"
            "try: main()\nexcept SystemExit: pass\n"
            "print(*{name.partition('.')[0] for name in sys.modules})"
        )
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert not set(run.stdout.split()) & (heavy - allowed)


class TestFiles:
    @pytest.mark.slow
    def test_several_reports_from_one_reading(self, tmp_path: Path) -> None:
        run = smtpwire(
            *("audit", DEMO, "-o", "r.html", "-o", "sarif:r.out", "-o", "zeek:logs", "-o", "json:r.json"),
            *("--format", "ndjson"),
            cwd=tmp_path,
        )
        assert run.returncode == 1
        assert json.loads(run.stdout.splitlines()[-1])["type"] == "summary"
        assert names(tmp_path) == ["logs", "r.html", "r.json", "r.out"]
        assert names(tmp_path / "logs") == ["smtp.log", "smtp_audit.log", "ssl.log", "x509.log"]
        assert len(json.loads((tmp_path / "r.json").read_bytes())["connections"]) == 6

    @pytest.mark.slow
    def test_the_status_is_the_same_for_every_format(self, tmp_path: Path) -> None:
        for form, chosen in FORMATS.items():
            if chosen.module is None:
                target = tmp_path / f"{form.value}{chosen.suffixes[0]}"
                assert smtpwire("audit", DEMO, "-o", f"{form.value}:{target}").returncode == 1, form
                assert smtpwire("audit", DEMO, "-o", f"{form.value}:{target}", "--fail-on", "never").returncode == 0

    @pytest.mark.slow
    def test_interrupted_the_report_is_whole_and_there(self, tmp_path: Path) -> None:
        target = tmp_path / "r.json"
        command = [*IMPATIENT, "audit", "-", "-o", str(target), "-o", "ndjson:-"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(DEMO.read_bytes())
            process.stdin.flush()
            assert process.stdout.readline()  # the first connection
            assert not target.exists()
            process.send_signal(signal.SIGINT)
            process.stdout.read()
            process.stdin.close()
        assert process.returncode == 130
        assert json.loads(target.read_bytes())["summary"]["connections"] == 6
        assert names(tmp_path) == ["r.json"]

    def test_after_an_error_the_old_report_is_there(self, tmp_path: Path) -> None:
        target = tmp_path / "r.json"
        target.write_text("old")
        with pytest.raises(RuntimeError), opened([Destination(ReportFormat.JSON, str(target))], []):
            raise RuntimeError("a bug")
        assert target.read_text() == "old"
        assert names(tmp_path) == ["r.json"]

    @pytest.mark.slow
    @pytest.mark.parametrize("more", [[], ["--select", "SEQ101"]], ids=["more than a buffer", "a few lines"])
    def test_a_reader_that_has_gone_does_not_stop_the_other_report(self, tmp_path: Path, more: list[str]) -> None:
        command = [sys.executable, "-m", "smtpwire", "audit", "-", "-o", "json:r.json", "--format", "ndjson", *more]
        with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdout.close()
            process.stdin.write(DEMO.read_bytes())
            process.stdin.close()
        assert process.returncode == 1
        assert len(json.loads((tmp_path / "r.json").read_bytes())["connections"]) == 6

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("output", "says"),
        [
            ("/nowhere/at/all.json", "cannot write (No such file or directory): /nowhere/at/all.json"),
            (".", "cannot write (Is a directory): ."),
            ("zeek:/nowhere/at/all", "cannot write (No such file or directory): /nowhere/at/all"),
            ("sqlite:-", "sqlite cannot be printed: standard output: add -o FILE.db"),
        ],
    )
    def test_an_output_that_cannot_be_written_is_reported_before_anything_is_read(self, output: str, says: str) -> None:
        run = smtpwire("audit", "/no/capture/here.pcap", "-o", output)
        assert run.returncode == 2
        (line,) = run.stderr.decode().splitlines()
        assert line.startswith(f"smtpwire: {says}")

    @pytest.mark.slow
    def test_a_capture_is_never_overwritten(self, tmp_path: Path) -> None:
        inner = tmp_path / "captures"
        inner.mkdir()
        copy = inner / "a.pcap"
        shutil.copy(DEMO, copy)
        (tmp_path / "link.json").symlink_to(copy)
        for paths, output in (
            ([copy], f"json:{copy}"),
            ([copy], f"html:{tmp_path / 'link.json'}"),
            ([inner], f"json:{copy}"),
        ):
            run = smtpwire("audit", *paths, "-o", "x.html", "-o", output, cwd=tmp_path)
            assert run.returncode == 2
            assert b"would overwrite a capture" in run.stderr
        assert copy.read_bytes() == DEMO.read_bytes()
        assert not (tmp_path / "x.html").exists()

    @pytest.mark.slow
    def test_the_report_of_the_last_run_is_replaced(self, tmp_path: Path) -> None:
        shutil.copy(DEMO, tmp_path / "a.pcap")
        for _ in range(2):
            run = smtpwire("audit", tmp_path, "-o", tmp_path / "r.json")
            assert (run.returncode, run.stderr) == (1, b"")


def test_a_loop_of_links_in_a_folder_that_is_read_is_a_one_line_error(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    wanted = [Destination(ReportFormat.JSON, str(tmp_path / "loop"))]
    with pytest.raises(UsageError, match="cannot write"), opened(wanted, [str(tmp_path)]):
        pass
