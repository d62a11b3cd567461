"""What waits on its way to a file: bounded in memory, and never written through what others put in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from smtpwire.analyzer.extract import spooled_message as spill_module

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill_module, "WAITING_BYTES", 1000)
    monkeypatch.setattr(spill_module, "ALL_WAITING_BYTES", 2500)


def test_all_that_waits_in_memory_is_bounded(tmp_path: Path) -> None:
    spills = spill_module.Spool(tmp_path)
    many = [spills.begin() for _ in range(10)]
    for _ in range(3):
        for one in many:
            one.append(b"x" * 300)
            assert spills.waiting <= 2500
    assert all(b"".join(one.chunks()) == b"x" * 900 for one in many)
    spills.close()
    assert not list(tmp_path.iterdir())


def test_a_file_that_somebody_put_there_is_not_written_to(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    spill = spill_module.Spool(tmp_path).begin()
    spill.append(b"x" * 2000)
    (part,) = tmp_path.glob(".smtpwire*")
    part.unlink()
    part.symlink_to(victim)
    with pytest.raises(OSError, match=r".*"):
        spill.append(b"y" * 2000)
    part.unlink()
    part.hardlink_to(victim)
    with pytest.raises(FileExistsError):
        spill.append(b"y" * 2000)
    assert victim.read_bytes() == b"mine"


@pytest.mark.parametrize("size", [0, 10, 1500, 2999])
def test_what_is_cut_off_is_gone_in_memory_and_on_disk(tmp_path: Path, size: int) -> None:
    spills = spill_module.Spool(tmp_path)
    for step in (10, 700):
        spill = spills.begin()
        for _ in range(3000 // step):
            spill.append(b"x" * step)
        spill.truncate(size)
        spill.append(b"end")
        spill.place(tmp_path / f"{step}-{size}")
        assert (tmp_path / f"{step}-{size}").read_bytes() == b"x" * min(size, 3000 // step * step) + b"end"
    assert spills.waiting == 0
    assert len(list(tmp_path.iterdir())) == 2
