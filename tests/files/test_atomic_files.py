"""Files that are complete or missing: their mode, links, pipes, and the errors that name them."""

from __future__ import annotations

import os
import stat
import struct
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest
from other_user import NOBODY, needs_root

from smtpwire.analyzer.errors import UsageError
from smtpwire.analyzer.files.atomic_files import kept_open, replacing
from smtpwire.analyzer.files.folders import Folder

DEMO = Path(str(resources.files("smtpwire.samples") / "demo.pcap"))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_keeps_its_mode_and_its_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.txt", tmp_path / "link.txt"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    with replacing(link) as stream:
        stream.write(b"new")
        assert real.read_text() == "old"
    assert link.is_symlink()
    assert real.read_text() == "new"
    assert mode(real) == 0o640


def test_a_private_file_is_private_while_it_is_written(tmp_path: Path) -> None:
    private = tmp_path / "r"
    private.touch(mode=0o600)
    with replacing(private):
        (temporary,) = tmp_path.glob(".smtpwire-*")
        assert mode(temporary) == 0o600


def test_setuid_and_setgid_bits_are_dropped(tmp_path: Path) -> None:
    """The new file belongs to the user who writes it, who may be root."""
    old = tmp_path / "r"
    old.touch()
    old.chmod(0o6755)
    with replacing(old) as stream:
        stream.write(b"x")
    assert mode(old) == 0o755


def test_a_new_file_has_the_mode_that_the_user_wants(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with replacing(tmp_path / "r") as stream:
            stream.write(b"x")
    finally:
        os.umask(before)
    assert mode(tmp_path / "r") == 0o640


def test_a_name_of_any_length_that_the_file_system_accepts(tmp_path: Path) -> None:
    with replacing(tmp_path / ("x" * 255)) as stream:
        stream.write(b"x")
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(UsageError, match=r"cannot write \(File name too long\)"), replacing(tmp_path / ("x" * 256)):
        pass


def test_a_planted_link_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smtpwire.analyzer.files.atomic_files.os.urandom", bytes)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / f".smtpwire-{bytes(6).hex()}.tmp").symlink_to(victim)
    with pytest.raises(UsageError, match="cannot write"), replacing(tmp_path / "r") as stream:
        stream.write(b"x")
    assert victim.read_text() == "precious"


def test_a_pipe_is_written_directly(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with replacing(pipe) as stream:
        stream.write(b"x")
    assert os.read(reader, 9) == b"x"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_loop_of_links_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(UsageError, match=r"cannot write \(.*\): .*/a: name another file"), replacing(tmp_path / "a"):
        pass


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied", "input.pcap"), KeyboardInterrupt()])
def test_an_error_of_the_block_is_not_blamed_on_the_file(tmp_path: Path, error: BaseException) -> None:
    (tmp_path / "r").write_text("old")
    with pytest.raises(type(error)) as caught, replacing(tmp_path / "r"):
        raise error
    assert caught.value is error
    assert [path.name for path in tmp_path.iterdir()] == ["r"]
    assert (tmp_path / "r").read_text() == "old"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("size", [1, 1 << 20])
def test_a_failed_write_names_the_file(size: int) -> None:
    with (
        pytest.raises(UsageError, match=r"cannot write \(No space left on device\): /dev/full: name another file"),
        replacing("/dev/full") as stream,
    ):
        stream.write(bytes(size))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="the system has no /dev/stdout")
def test_standard_output_can_be_named_although_it_is_a_pipe() -> None:
    command = [sys.executable, "-m", "smtpwire", "audit", str(DEMO), "--no-config", "-o", "json:/dev/stdout"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (1, b"")
    assert done.stdout.startswith(b"{")


# -- what other users may have planted ---------------------------------------------------------------------------------


@needs_root
@pytest.mark.parametrize("kind", ["link", "file", "pipe"])
def test_what_another_user_planted_is_not_written(public: Path, tmp_path: Path, kind: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    place = public / "r.json"
    if kind == "link":
        place.symlink_to(victim)
    elif kind == "file":
        place.write_text("theirs")
        place.chmod(0o666)
    else:
        os.mkfifo(place)
    os.lchown(place, NOBODY, NOBODY)
    for use in (replacing, kept_open):
        refused = pytest.raises((UsageError, OSError), match=r"belongs to another user|No such device|symbolic links")
        with refused, use(place) as stream:
            stream.write(b"secret")
    assert victim.read_text() == "precious"
    assert kind != "file" or place.read_text() == "theirs"


@needs_root
def test_a_file_of_another_user_gets_no_bits_that_let_others_write(tmp_path: Path) -> None:
    theirs = tmp_path / "r"
    theirs.write_text("old")
    theirs.chmod(0o666)
    os.chown(theirs, NOBODY, NOBODY)
    with replacing(theirs) as stream:
        stream.write(b"new")
    assert mode(theirs) == 0o644


@needs_root
@pytest.mark.parametrize("bits", [0o600, 0o640, 0o660, 0o604, 0o400, 0o000])
def test_the_group_of_a_file_and_its_bits_stay_together(tmp_path: Path, bits: int) -> None:
    old = tmp_path / "r"
    old.touch()
    old.chmod(bits)
    os.chown(old, 0, 12345)
    with replacing(old) as stream:
        (temporary,) = tmp_path.glob(".smtpwire-*")
        assert (mode(temporary), temporary.stat().st_gid) == (bits, 12345)
        stream.write(b"x")
    assert (mode(old), old.stat().st_gid) == (bits, 12345)


def test_without_the_right_to_give_it_the_group_the_group_gets_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "r"
    old.touch()
    old.chmod(0o664)
    status = old.stat()
    other = os.stat_result((status.st_mode, *status[1:5], status.st_gid + 1, *status[6:]))
    monkeypatch.setattr(Folder, "status", lambda folder, name: other)

    def refuse(*_: int) -> None:
        raise PermissionError(1, "not allowed")

    monkeypatch.setattr(os, "fchown", refuse)
    with replacing(old) as stream:
        stream.write(b"x")
    assert mode(old) == 0o604


# -- files that are kept open ------------------------------------------------------------------------------------------


def test_a_recording_is_private_and_an_old_one_is_emptied(tmp_path: Path) -> None:
    place = tmp_path / "a.pcapng"
    for text in (b"first recording", b"second"):
        with kept_open(place) as stream:
            stream.write(text)
            assert place.read_bytes() == text  # nothing waits in a buffer
    assert mode(place) == 0o600


def test_a_recording_follows_no_link_and_empties_no_file_with_two_names(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "soft").symlink_to(victim)
    (tmp_path / "hard").hardlink_to(victim)
    for name in ("soft", "hard"):
        with pytest.raises(OSError, match=r"symbolic links|another name"):
            kept_open(tmp_path / name)
    assert victim.read_text() == "precious"


def test_a_pipe_that_nobody_reads_is_an_error_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="No such device"):
        kept_open(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with kept_open(tmp_path / "pipe") as stream:
        assert os.get_blocking(stream.fileno())
        stream.write(b"x")
    assert os.read(reader, 9) == b"x"
    os.close(reader)


def access_list(bits: int) -> bytes:
    """Return a list of Linux (version 2): the owner, user 1000, the group, the mask, others."""
    parts = ((1, 6, -1), (2, 4, 1000), (4, 0, -1), (0x10, bits, -1), (0x20, 0, -1))
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *part) for part in parts)


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="no lists of this kind on this system")
@pytest.mark.parametrize("whose", ["of the file", "of new files in the folder"])
def test_a_list_of_users_who_may_read_gives_nobody_else_the_right(tmp_path: Path, whose: str) -> None:
    """The bits of the group are the mask of the list, while the group itself may do nothing."""
    old = tmp_path / "r"
    old.write_text("old")
    old.chmod(0o600 if whose == "of the file" else 0o640)
    place, name = (old, "access") if whose == "of the file" else (tmp_path, "default")
    try:
        os.setxattr(place, f"system.posix_acl_{name}", access_list(4))
    except OSError:
        pytest.skip("no lists of this kind on this file system")
    with replacing(old) as stream:
        stream.write(b"new")
    assert "system.posix_acl_access" not in os.listxattr(old)
    assert mode(old) == (0o600 if whose == "of the file" else 0o640)
