"""``smtpwire show``: filters, a line for each connection, absolute times, a pager; and what `audit` has of them."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from importlib import resources
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

DEMO = str(resources.files("smtpwire.samples") / "demo.pcap")


def smtpwire(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "smtpwire", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "80", **environment},
        check=False,
        timeout=60,
        cwd=cwd,
    )


def on_terminal(*arguments: str, **environment: str) -> str:
    """Return what the command prints on a terminal."""
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "smtpwire", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=follower,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80", **environment},
    ) as process:
        os.close(follower)
        said = b""
        while True:
            try:
                part = os.read(leader, 65536)
            except OSError:  # Linux ends a terminal like this
                break
            if not part:
                break
            said += part
        process.wait(60)
    os.close(leader)
    return said.decode().replace("\r\n", "\n")


def numbers(text: str) -> list[str]:
    return [line.split()[0] for line in text.splitlines() if line.startswith("#")]


def test_the_list_has_a_line_of_the_terminals_width_for_each_connection() -> None:
    run = smtpwire("show", "--list", DEMO)
    assert numbers(run.stdout) == ["#1", "#2", "#3", "#4", "#5", "#6"]
    assert all(len(line) <= 80 for line in run.stdout.splitlines())
    assert "#1    2026-11-23 16:05:58 1E       503 sender@src.example→user@dst.example+1 12…" in run.stdout


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--connection", "1,3-4"], ["#1", "#3", "#4"]),
        (["--rule", "BIT"], ["#4", "#5"]),
        (["--code", "451,5"], ["#1", "#2"]),
        (["--verb", "starttls"], ["#6"]),
        (["--text", "mail-before-ehlo"], ["#3"]),
        (["--since", "2026-11-23 16:06:30"], ["#6"]),
        (["--since", "2026-11-23 17:06:30", "--zone", "+01:00"], ["#6"]),
        (["--from", "sender@src.example", "--rule", "SEQ"], ["#1", "#3"]),
    ],
)
def test_the_same_filters_choose_for_show_and_audit(options: list[str], found: list[str]) -> None:
    shown = smtpwire("show", "--list", *options, DEMO)
    assert numbers(shown.stdout) == found
    assert numbers(smtpwire("show", *options, DEMO).stdout) == found
    if "--zone" not in options:
        audited = json.loads(smtpwire("audit", *options, "--format", "json", DEMO).stdout)
        assert [f"#{one['id']}" for one in audited["connections"]] == found
        assert audited["summary"]["filtered"] == 6 - len(found)


def test_absolute_times_are_in_the_zone_that_was_asked_for() -> None:
    text = smtpwire("show", "--connection", "3", "--zone", "+05:30", DEMO).stdout
    assert "2026-11-23T21:36:02.289806+05:30" in text
    assert "     48 21:36:02.292271 → MAIL FROM:<sender@src.example>" in text


def test_a_number_that_does_not_exist_is_wrong_use() -> None:
    run = smtpwire("show", "--connection", "9", DEMO)
    assert run.returncode == 2
    assert run.stderr.endswith("no such connection: --connection 9: smtpwire show --list shows the numbers\n")


def test_filters_that_match_nothing_are_not_silent() -> None:
    run = smtpwire("show", "--code", "451", DEMO)
    assert run.returncode == 0
    assert "No connection matches the filters; 6 connections did not." in run.stdout


def test_what_was_refused_is_found_by_its_addresses() -> None:
    refused = str(resources.files("smtpwire.samples") / "demo.pcap")
    for option, word in (("--to", "nosuch@dst.example"), ("--from", "sender@src.example"), ("--code", "5.1.1")):
        assert "#2 " in smtpwire("show", "--list", refused, option, word).stdout


def test_local_times_follow_the_clocks_of_each_season(tmp_path: Path) -> None:
    text = smtpwire("show", "--connection", "3", "--zone", "local", DEMO, TZ="Europe/Berlin").stdout
    assert "2026-11-23T17:06:02.289806+01:00" in text


def test_a_dumb_terminal_gets_no_pager() -> None:
    assert "MAIL FROM:<sender@src.example>" in on_terminal("show", DEMO, SMTPWIRE_PAGER="false", TERM="dumb")


def test_a_pager_may_be_a_line_of_a_shell(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    on_terminal("show", DEMO, SMTPWIRE_PAGER=f"cat | head -n 3 > {kept}")
    assert kept.read_text().count("\n") == 3


def test_on_a_terminal_the_text_goes_through_the_pager(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    on_terminal("show", DEMO, SMTPWIRE_PAGER=f"tee {kept}")
    assert "MAIL FROM:<sender@src.example>" in kept.read_text()


def test_without_a_pager_it_is_printed() -> None:
    for options, pager in ((["--no-pager"], "false"), ([], ""), ([], "cat")):
        assert "MAIL FROM:<sender@src.example>" in on_terminal("show", *options, DEMO, SMTPWIRE_PAGER=pager)


@pytest.mark.parametrize("words", [["show", DEMO], ["rule", "--all"], ["explain", "--codes"]])
def test_a_pager_that_ends_early_is_no_error(words: list[str]) -> None:
    said = on_terminal(*words, SMTPWIRE_PAGER="true")
    assert said == ""


def test_a_pager_that_does_not_exist_is_named_once_and_left_out() -> None:
    said = on_terminal("show", "--list", DEMO, SMTPWIRE_PAGER="no-such-pager --x")
    assert said.startswith("smtpwire: no pager: no-such-pager --x")
    assert "127.0.0.1:44110" in said


class TestAudit:
    def test_what_was_written_is_said_on_a_terminal(self, tmp_path: Path) -> None:
        report = tmp_path / "r.html"
        said = on_terminal("audit", DEMO, "-o", str(report))
        assert f"wrote {report} (html): 5 errors, 2 warnings, 2 info in 6 connections" in " ".join(said.split())
        assert smtpwire("audit", DEMO, "-o", str(report)).stderr == ""

    def test_requirements_have_a_status_of_their_own(self, tmp_path: Path) -> None:
        run = smtpwire("audit", DEMO, "--require", "cleartext", "--fail-on", "never")
        assert run.returncode == 4
        assert "--require: 1 connection of 6 encrypted" in run.stderr
        assert smtpwire("audit", DEMO, "--require", "smtp", "--fail-on", "never").returncode == 0
        assert smtpwire("show", DEMO, "--require", "complete", "--list").returncode == 4

    def test_requirements_may_stand_in_the_settings(self, tmp_path: Path) -> None:
        (tmp_path / "smtpwire.toml").write_text('require = "complete"\nfail-on = "never"\n')
        assert smtpwire("audit", DEMO, cwd=tmp_path).returncode == 4
        assert smtpwire("audit", DEMO, "--require", "smtp", cwd=tmp_path).returncode == 0

    def test_formats_without_a_place_for_it_say_on_standard_error_what_limits_them(self, tmp_path: Path) -> None:
        (tmp_path / "smtpwire.toml").write_text('ignore = ["SEQ"]\n')
        inner = tmp_path / "a"
        inner.mkdir()
        for form, notices in (("csv", 2), ("json", 0)):
            run = smtpwire("audit", DEMO, "--format", form, cwd=inner)
            assert run.stderr.count("smtpwire: ") == notices, form

    def test_the_search_for_settings_ends_at_a_home_that_is_a_link(self, tmp_path: Path) -> None:
        inner = tmp_path / "real" / "captures"
        inner.mkdir(parents=True)
        (tmp_path / "home").symlink_to(tmp_path / "real")
        (tmp_path / "smtpwire.toml").write_text('ignore = ["SEQ"]\n')
        run = smtpwire("audit", DEMO, "--format", "json", cwd=inner, HOME=str(tmp_path / "home"))
        assert json.loads(run.stdout)["summary"]["settings"] is None
