"""Messages that wait for their files: bounded in memory, and never written through a file of another user."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from smtpwire.analyzer.errors import OutputError
from smtpwire.analyzer.extract import spooled_message
from smtpwire.analyzer.files.folders import Folder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooled_message, "WAITING_BYTES", 1000)
    monkeypatch.setattr(spooled_message, "ALL_WAITING_BYTES", 2500)


def test_the_memory_of_all_messages_is_bounded(tmp_path: Path) -> None:
    spool = spooled_message.Spool(Folder(str(tmp_path)))
    many = [spool.begin() for _ in range(10)]
    for _ in range(3):
        for one in many:
            one.append(b"x" * 300)
            assert spool.waiting <= 2500
    assert all(b"".join(one.chunks()) == b"x" * 900 for one in many)
    spool.close()
    assert not list(tmp_path.iterdir())


def test_a_replaced_file_is_not_written_to(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    spooled = spooled_message.Spool(Folder(str(tmp_path))).begin()
    spooled.append(b"x" * 2000)
    (part,) = tmp_path.glob(".smtpwire*")
    part.unlink()
    part.symlink_to(victim)
    with pytest.raises(OutputError, match="cannot write"):
        spooled.append(b"y" * 2000)
    part.unlink()
    part.hardlink_to(victim)
    with pytest.raises(OutputError, match="another file is in the place"):
        spooled.append(b"y" * 2000)
    assert victim.read_bytes() == b"mine"


@pytest.mark.parametrize("size", [0, 10, 1500, 2999])
def test_truncated_octets_are_gone_in_memory_and_on_disk(tmp_path: Path, size: int) -> None:
    folder = Folder(str(tmp_path))
    spool = spooled_message.Spool(folder)
    for step in (10, 700):
        spooled = spool.begin()
        for _ in range(3000 // step):
            spooled.append(b"x" * step)
        spooled.truncate(size)
        spooled.append(b"end")
        spooled.place(folder, f"{step}-{size}")
        assert (tmp_path / f"{step}-{size}").read_bytes() == b"x" * min(size, 3000 // step * step) + b"end"
    assert spool.waiting == 0
    assert len(list(tmp_path.iterdir())) == 2
