"""Configuration files: how they are found, what the settings mean, and the messages for mistakes."""

from __future__ import annotations

import os
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest
from other_user import NOBODY, needs_root

from smtpwire.analyzer.config import Config, find_config, read_config
from smtpwire.analyzer.errors import UsageError
from smtpwire.analyzer.limits import DEFAULT_LIMITS, SETTINGS_BYTES

if TYPE_CHECKING:
    from pathlib import Path

EVERYTHING = """\
profile = "lmtp"
select = ["SEQ", "bare-lf-in-command"]
ignore = ["SEQ101"]
fail-on = "warning"
format = "json"
ports = [2526, 10025]
known-codes = [541]
baseline = "known.json"

[limits]
line-bytes = 0
idle-seconds = 60

[[per-peer]]
client = "10.0.0.1/8"
ignore = ["BIT221"]

[[per-peer]]
server = "2001:db8::1"
ignore = ["nested-mail"]
"""


def written(directory: Path, text: str, name: str = "smtpwire.toml") -> Path:
    path = directory / name
    path.write_text(text, "utf-8")
    return path


def complaint(directory: Path, text: str, name: str = "smtpwire.toml") -> str:
    with pytest.raises(UsageError) as caught:
        read_config(written(directory, text, name))
    return str(caught.value).replace(f"{directory}/", "")


class TestValues:
    def test_everything_at_once(self, tmp_path: Path) -> None:
        config = read_config(written(tmp_path, EVERYTHING))
        assert (config.profile, config.fail_on, config.format) == ("lmtp", "warning", "json")
        assert config.select == ("SEQ", "bare-lf-in-command")
        assert config.ignore == ("SEQ101",)
        assert config.ports == (2526, 10025)
        assert config.known_codes == (541,)
        assert config.baseline == tmp_path / "known.json"
        assert (config.limits.line_bytes, config.limits.idle_seconds) == (0, 60)
        assert config.limits.turns == DEFAULT_LIMITS.turns
        first, second = config.peers
        assert (first.client, first.server, first.ignore) == (ip_network("10.0.0.0/8"), None, frozenset({"BIT221"}))
        assert (second.client, second.server, second.ignore) == (None, ip_network("2001:db8::1"), frozenset({"SEQ102"}))

    def test_the_same_in_a_project_file(self, tmp_path: Path) -> None:
        text = '[project]\nname = "x"\n\n[tool.smtpwire]\nprofile = "lmtp"\n[tool.smtpwire.limits]\nturns = 5\n'
        config = read_config(written(tmp_path, text, "pyproject.toml"))
        assert config.profile == "lmtp"
        assert config.limits.turns == 5
        assert config.origin("limits.turns") == f"{tmp_path}/pyproject.toml:7"

    def test_an_empty_file_gives_the_defaults(self, tmp_path: Path) -> None:
        path = written(tmp_path, "")
        assert read_config(path) == Config(path=path)

    def test_each_setting_knows_its_line(self, tmp_path: Path) -> None:
        path = written(tmp_path, EVERYTHING)
        config = read_config(path)
        lines = EVERYTHING.splitlines()
        for name in ("profile", "select", "fail-on", "ports", "baseline"):
            assert config.origin(name) == f"{path}:{next(n for n, t in enumerate(lines, 1) if t.startswith(name))}"
        assert config.origin("limits.idle-seconds") == f"{path}:{lines.index('idle-seconds = 60') + 1}"
        assert config.origin("limits.turns") == "default"


class TestMistakes:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ('\nprofil = "lmtp"', "no such setting profil: smtpwire.toml:2: did you mean profile?"),
            ("fail_on = 1", "no such setting fail_on: smtpwire.toml:1: did you mean fail-on?"),
            ("zzz = 1", "no such setting zzz: smtpwire.toml:1: known settings: profile, select"),
            ('profile = "x400"', "wrong value of profile: smtpwire.toml:1: expected one of rfc5321, rfc821"),
            ("profile = 5", "wrong value of profile: smtpwire.toml:1"),
            ('select = "SEQ"', 'wrong value of select: smtpwire.toml:1: expected a list of rules: ["SEQ101", "BIT"]'),
            ('# a\n\nignore = ["SEQ10l"]', "no such rule SEQ10l: smtpwire.toml:3: did you mean SEQ101?"),
            ("ports = [0]", "wrong value of ports: smtpwire.toml:1: expected a list of numbers from 1 to 65535"),
            ("known-codes = [54]", "wrong value of known-codes: smtpwire.toml:1: expected a list of reply codes"),
            ("ports = [true]", "wrong value of ports"),
            ('baseline = ""', "wrong value of baseline: smtpwire.toml:1: expected the name of a file"),
            ("[limits]\nline-byte = 1", "no such setting line-byte: smtpwire.toml:2: did you mean line-bytes?"),
            ("[limits]\n\nline-bytes = -1", "wrong value of line-bytes: smtpwire.toml:3: expected a number"),
            ("[limits]\nturns = 1.5", "wrong value of turns: smtpwire.toml:2"),
            ("[limits]\nturns = true", "wrong value of turns: smtpwire.toml:2"),
            ("limits = 5", "wrong value of limits: smtpwire.toml:1: expected a table of numbers"),
            ('limits = {turns = "x"}', "wrong value of turns: smtpwire.toml:1"),
            ("limits.turns = false", "wrong value of turns: smtpwire.toml:1"),
            ("per-peer = 5", "wrong value of per-peer: smtpwire.toml:1: expected a list of tables: write [[per-peer]]"),
            ('[per-peer]\nclient = "::"', "wrong value of per-peer: smtpwire.toml:1"),
            ('[[per-peer]]\nclient = "::1"', "per-peer does not say what to ignore: smtpwire.toml:1"),
            ('[[per-peer]]\nignore = ["SEQ"]', "per-peer names no host: smtpwire.toml:1"),
            (
                '[[per-peer]]\nclient = "::1"\nignore = ["SEQ"]\n[[per-peer]]\nclient = "mx"\nignore = ["SEQ"]',
                "wrong value of client: smtpwire.toml:5: expected an address or a network",
            ),
            (
                '[[per-peer]]\nclient = "::1"\nignore = ["SEQ"]\n[[per-peer]]\nclients = "::1"',
                "no such setting clients: smtpwire.toml:5: did you mean client?",
            ),
            ("profile = \n", "invalid TOML: smtpwire.toml:1: invalid value"),
        ],
    )
    def test_the_message_names_the_line_and_a_solution(self, tmp_path: Path, text: str, said: str) -> None:
        assert complaint(tmp_path, text).startswith(said)

    def test_in_a_project_file_too(self, tmp_path: Path) -> None:
        text = "[tool.other]\nselct = 1\n[tool.smtpwire]\nselct = []\n"
        said = "no such setting selct: pyproject.toml:4: did you mean select?"
        assert complaint(tmp_path, text, "pyproject.toml") == said

    def test_bytes_that_are_not_text(self, tmp_path: Path) -> None:
        path = tmp_path / "smtpwire.toml"
        path.write_bytes(b"\xff\xfe")
        with pytest.raises(UsageError, match="not UTF-8"):
            read_config(path)

    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="No such file"):
            read_config(tmp_path / "smtpwire.toml")


class TestSearch:
    def test_the_nearest_file_upwards_is_used(self, tmp_path: Path) -> None:
        inner = tmp_path / "a" / "b"
        inner.mkdir(parents=True)
        outer = written(tmp_path, "")
        assert find_config(inner) == outer
        nearer = written(inner.parent, "[tool.smtpwire]\n", "pyproject.toml")
        assert find_config(inner) == nearer

    @pytest.mark.parametrize("mark", [".git", ".hg"])
    def test_the_search_ends_at_the_root_of_a_repository(self, tmp_path: Path, mark: str) -> None:
        inner = tmp_path / "clone" / "captures"
        inner.mkdir(parents=True)
        written(tmp_path, "")
        (tmp_path / "clone" / mark).mkdir()
        assert find_config(inner) is None
        own = written(tmp_path / "clone", "")
        assert find_config(inner) == own

    def test_the_search_ends_at_the_home_directory(self, tmp_path: Path) -> None:
        inner = tmp_path / "home" / "captures"
        inner.mkdir(parents=True)
        outer = written(tmp_path, "")
        assert find_config(inner, tmp_path / "home") is None
        assert find_config(inner) == outer

    def test_our_own_file_is_used_before_the_project_file(self, tmp_path: Path) -> None:
        written(tmp_path, "[tool.smtpwire]\n", "pyproject.toml")
        own = written(tmp_path, "")
        assert find_config(tmp_path) == own

    @pytest.mark.parametrize("text", ["", '[project]\nname = "smtpwire"\n', "smtpwire = [\n"])
    def test_project_files_without_our_table_are_ignored(self, tmp_path: Path, text: str) -> None:
        outer = written(tmp_path, "")
        inner = tmp_path / "a"
        inner.mkdir()
        written(inner, text, "pyproject.toml")
        assert find_config(inner) == outer


class TestTrust:
    """A file that nobody named is used only if no other user can have made or changed it: it can switch off rules."""

    @needs_root
    @pytest.mark.parametrize("name", ["smtpwire.toml", "pyproject.toml"])
    def test_the_file_of_another_user_is_refused(self, tmp_path: Path, name: str) -> None:
        path = written(tmp_path, '[tool.smtpwire]\nselect = ["TIM"]\n' if name[0] == "p" else 'select = ["TIM"]', name)
        os.chown(path, NOBODY, NOBODY)
        with pytest.raises(
            UsageError, match=r"belongs to another user: .*--config if you trust it, or add --no-config"
        ):
            read_config(find_config(tmp_path) or tmp_path, found=True)
        assert read_config(path).select == ("TIM",)  # somebody named it

    @needs_root
    def test_the_link_of_another_user_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "smtpwire.toml").symlink_to(written(tmp_path, "", "mine.toml"))
        read_config(tmp_path / "smtpwire.toml", found=True)
        os.lchown(tmp_path / "smtpwire.toml", NOBODY, NOBODY)
        with pytest.raises(UsageError, match="belongs to another user"):
            read_config(tmp_path / "smtpwire.toml", found=True)

    @needs_root
    def test_under_sudo_the_file_of_the_caller_is_used(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = written(tmp_path, "")
        os.chown(path, NOBODY, NOBODY)
        monkeypatch.setenv("SUDO_UID", str(NOBODY))
        read_config(path, found=True)

    @pytest.mark.skipif(os.name != "posix", reason="needs modes of POSIX")
    @pytest.mark.parametrize(
        ("folder", "file", "what"),
        [
            (0o1777, 0o644, "in a folder where everybody"),
            (0o777, 0o644, "in a folder"),
            (0o755, 0o646, "everybody may"),
        ],
    )
    def test_a_file_that_everybody_may_write_or_replace_is_refused(
        self, tmp_path: Path, folder: int, file: int, what: str
    ) -> None:
        place = tmp_path / "pub"
        place.mkdir()
        path = written(place, "")
        path.chmod(file)
        place.chmod(folder)
        with pytest.raises(UsageError, match=what):
            read_config(path, found=True)

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
    def test_a_pipe_is_not_searched(self, tmp_path: Path) -> None:
        for name in ("smtpwire.toml", "pyproject.toml"):
            os.mkfifo(tmp_path / name)
        assert find_config(tmp_path) is None


class TestBounds:
    @pytest.mark.parametrize("text", ["a = " + "[" * 3000, "a = " + "{b=" * 3000, "a = [" * 3000])
    def test_brackets_in_brackets_are_an_error_of_one_line(self, tmp_path: Path, text: str) -> None:
        assert "invalid TOML" in complaint(tmp_path, text)
        written(tmp_path, f"# tool smtpwire\n{text}", "pyproject.toml")
        (tmp_path / "smtpwire.toml").unlink()
        assert find_config(tmp_path) is None or find_config(tmp_path).parent != tmp_path  # type: ignore[union-attr]

    def test_a_file_that_is_too_long_is_not_read(self, tmp_path: Path) -> None:
        assert f"longer than {SETTINGS_BYTES:,} bytes" in complaint(tmp_path, "#" * (SETTINGS_BYTES + 1))
        read_config(written(tmp_path, "#" * SETTINGS_BYTES))
