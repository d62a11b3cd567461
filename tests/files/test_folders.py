"""Folders that are held: what is put into a path during the run, or was planted before it, is not used."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest
from other_user import NOBODY, needs_root

from smtpwire.analyzer.files.folders import NEW, Folder, folder_of, locate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def plant(link: Path, target: Path | str) -> None:
    link.symlink_to(target)
    os.lchown(link, NOBODY, NOBODY)


def written(path: Path, text: bytes) -> None:
    folder, name = locate(path)
    with folder, os.fdopen(folder.open(name, os.O_WRONLY | NEW), "wb") as stream:
        stream.write(text)


def test_a_path_is_followed_as_the_system_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "to-b").symlink_to("a/b")
    (tmp_path / "a" / "up").symlink_to("..")
    (tmp_path / "a" / "absolute").symlink_to(tmp_path / "a" / "b")
    (tmp_path / "file").symlink_to("a/up/to-b/real")
    monkeypatch.chdir(tmp_path)
    paths = ["x", "./a//x", "to-b/x", "to-b/../x", "a/up/a/absolute/x", "file", str(tmp_path / "a" / "up" / "x")]
    for path in paths:
        folder, name = locate(path)
        with folder:
            assert os.path.join(folder.path, name)  # noqa: PTH118
            real = os.path.realpath(path)
            assert name == os.path.basename(real)  # noqa: PTH119
            assert os.path.samestat(folder.own_status(), os.stat(os.path.dirname(real)))  # noqa: PTH116, PTH120


@pytest.mark.parametrize("path", ["missing/x", "loop/x", "loop", "", "x/", ".", ".."])
def test_a_path_without_a_file_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match=r"."):
        locate(path)


@needs_root
@pytest.mark.parametrize("path", ["link", "link/x", "to/link/x"])
def test_a_planted_link_is_not_followed_wherever_it_is(public: Path, tmp_path: Path, path: str) -> None:
    (tmp_path / "mine").mkdir()
    plant(public / "link", tmp_path / "mine")
    (public / "to").symlink_to(".")
    with pytest.raises(PermissionError, match="belongs to another user"):
        locate(public / path)
    locate(public / "link", follow=False)[0].close()  # the link itself may be named
    public.chmod(0o755)  # here only its owner can have put it
    locate(public / path)[0].close()


@needs_root
def test_a_planted_folder_is_not_used(public: Path) -> None:
    (public / "theirs").mkdir()
    os.chown(public / "theirs", NOBODY, NOBODY)
    with pytest.raises(PermissionError, match="the folder belongs to another user"):
        folder_of(public / "theirs")
    with pytest.raises(PermissionError, match="the folder belongs to another user"):
        folder_of(f"{public / 'theirs'}/")


@needs_root
def test_under_sudo_the_files_of_the_caller_are_his_own(public: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(public / "link", public)
    monkeypatch.setenv("SUDO_UID", str(NOBODY))
    locate(public / "link" / "x")[0].close()


@pytest.mark.parametrize("swap", [lambda path: path.symlink_to(path.parent / "evil"), lambda path: path.mkdir()])
def test_a_folder_in_the_place_of_the_open_one_gets_nothing(tmp_path: Path, swap: Callable[[Path], None]) -> None:
    (tmp_path / "evil").mkdir()
    held = folder_of(tmp_path / "mail", 0o700)
    (tmp_path / "mail").rename(tmp_path / "moved")
    swap(tmp_path / "mail")
    with held:
        os.close(held.open("one", os.O_WRONLY | NEW))
        held.inner("deep").close()
        held.rename("one", "two")
        assert held.names() == ["deep", "two"] or held.names() == ["two", "deep"]
        assert held.status("one") is None
    assert sorted(path.name for path in (tmp_path / "moved").iterdir()) == ["deep", "two"]
    assert not list((tmp_path / "evil").iterdir())


def test_nothing_in_a_folder_is_opened_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "link").symlink_to("victim")
    with folder_of(tmp_path) as folder:
        for flags in (os.O_RDONLY, os.O_WRONLY | os.O_TRUNC, os.O_WRONLY | NEW, os.O_WRONLY | os.O_CREAT):
            with pytest.raises(OSError, match=r"."):
                folder.open("link", flags)
        with pytest.raises(OSError, match=r"."):
            Folder("link", within=folder)
        folder.remove("link")
        folder.remove("link")
    assert (tmp_path / "victim").read_bytes() == b"precious"


def test_missing_folders_are_made_with_the_mode_of_the_last(tmp_path: Path) -> None:
    folder_of(tmp_path / "a" / "b" / "c", 0o700, parents=True).close()
    assert stat.S_IMODE((tmp_path / "a" / "b" / "c").stat().st_mode) == 0o700
    with pytest.raises(FileNotFoundError):
        folder_of(tmp_path / "x" / "y")
    folder_of(f"{tmp_path}/a/").close()
    folder_of(".").close()


def test_files_are_written_where_the_path_leads(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "to").symlink_to("a/file")
    written(tmp_path / "to", b"here")
    assert (tmp_path / "a" / "file").read_bytes() == b"here"
