"""The captured frames written as pcapng: one file, or a ring of the latest files."""

# A file of the ring is named as dumpcap does it: mail_00001_20260102030405.pcapng. Captured mail is private, so files
# are readable for their owner only. A full disk ends the recording, never the audit: this is reported at once, and the
# file ends with its last whole block.

from __future__ import annotations

import re
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from ..._version import __version__
from ..errors import UsageError, display_path
from ..files.atomic_files import kept_open
from .privileges import user_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from io import FileIO

    from .packet_ring import RingStatistics
    from .ring_frames import RingFrame

__all__ = ["Recorder", "Rotation", "rotation"]

_enhanced = Struct("<IIIIIII").pack
_block = Struct("<II").pack
_SECTION, _INTERFACE, _ENHANCED, _STATISTICS, _SECRETS = 0x0A0D0D0A, 1, 6, 5, 10
_TLS_KEY_LOG = 0x544C534B
_MOST_SECRETS = 1 << 20  # octets of secrets that are written again into each file of a ring
_USER_APPLICATION = 4  # options of a section; of an interface; of its statistics
_NAME, _TIME_RESOLUTION = 2, 9
_RECEIVED, _DROPPED = 4, 5
_NANOSECONDS = 9

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_ROTATION = re.compile(r"([0-9]{1,9})([kmg]?)b?x([0-9]{1,6})", re.IGNORECASE)
_LEAST = 4096


class Rotation(NamedTuple):
    """A ring of ``files`` files of about ``size`` bytes."""

    size: int
    files: int


def rotation(text: str) -> Rotation:
    """Parse a ring size such as ``100MBx10``: ten files. Raises UsageError for anything else."""
    found = _ROTATION.fullmatch(text.replace(" ", ""))
    if found is not None:
        size, files = int(found[1]) * _UNITS[found[2].lower()], int(found[3])
        if size >= _LEAST and files:
            return Rotation(size, files)
    raise UsageError(
        "invalid ring size", f"--ring {display_path(text)}", "write the size and number of files: 100MBx10"
    )


class Recorder:
    """Writes frames of ``interfaces`` (names and link types) to ``path``. ``fault``: why it stopped, if it did.

    Raises UsageError if the first file cannot be created.
    """

    def __init__(self, path: str, interfaces: Sequence[tuple[str, int]], ring: Rotation | None = None) -> None:
        self._path = Path(path)
        self._ring = ring
        self._head = _section() + b"".join(_interface(name, link) for name, link in interfaces)
        self._secrets = b""  # for the next files of the ring
        self._written = 0
        self._number = 0
        self._kept: deque[Path] = deque()
        self._file: FileIO | None = None
        self.fault: str | None = None
        try:
            self._next()
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            if self._file is not None:
                self._file.close()
            reason = getattr(error, "strerror", None) or error
            raise UsageError(
                f"cannot write ({reason})",
                display_path(self._path),
                f"it is written as user {user_name()}: name a folder where that user may write, or another --user",
            ) from error

    def add(self, interface: int, frames: Iterable[RingFrame]) -> None:
        """Write frames of the interface with this index."""
        if self._file is None:
            return
        pieces: list[bytes] = []
        size = 0
        for time_ns, data, length in frames:
            captured = len(data)
            padding = -captured % 4
            total = 32 + captured + padding
            size += total
            pieces += (
                _enhanced(_ENHANCED, total, interface, time_ns >> 32, time_ns & 0xFFFFFFFF, captured, length),
                data,
                bytes(padding) + total.to_bytes(4, "little"),
            )
        try:
            if self._ring is not None and self._written > len(self._head) and self._written + size > self._ring.size:
                self._file.close()
                self._next()
            self._write(b"".join(pieces))
        except OSError as error:
            self._stop(error)

    def add_secrets(self, key_log: bytes) -> None:
        """Write lines of a key log, so that programs can decrypt the TLS sessions in the file."""
        if self._file is None or not key_log:
            return
        if self._ring is not None:
            self._secrets += key_log
            if len(self._secrets) > _MOST_SECRETS:
                self._secrets = self._secrets[self._secrets.index(b"\n", len(self._secrets) - _MOST_SECRETS) + 1 :]
        try:
            self._write(_key_log_block(key_log))
        except OSError as error:
            self._stop(error)

    def close(self, statistics: Sequence[RingStatistics] = ()) -> None:
        """End the last file with the counters of the kernel."""
        if self._file is None:
            return
        try:
            self._write(b"".join(_counted(number, one) for number, one in enumerate(statistics)))
            self._file.close()
        except OSError as error:
            self._stop(error)
        self._file = None

    def _write(self, blocks: bytes) -> None:
        """Write whole blocks at once, so that a program that follows the file sees no part of one."""
        assert self._file is not None
        rest = memoryview(blocks)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        finally:
            self._written += _whole(blocks, len(blocks) - len(rest))

    def _stop(self, error: OSError) -> None:
        file, self._file = self._file, None
        self.fault = f"cannot write ({error.strerror}): {display_path(self._path)}: nothing was recorded after that"
        if file is not None:
            with suppress(OSError):  # a pipe has no size
                file.truncate(self._written)
            with suppress(OSError):
                file.close()

    def _next(self) -> None:
        path = self._path
        if self._ring is not None:
            self._number += 1
            now = time.strftime("%Y%m%d%H%M%S", time.gmtime())
            path = path.with_name(f"{path.stem}_{self._number:05}_{now}{path.suffix or '.pcapng'}")
            self._kept.append(path)
            if len(self._kept) > self._ring.files:
                self._kept.popleft().unlink(missing_ok=True)
        self._file = kept_open(path)
        self._written = 0
        self._write(self._head + (_key_log_block(self._secrets) if self._secrets else b""))


def _whole(blocks: bytes, size: int) -> int:
    """Return the bytes of the blocks that are whole in the first ``size`` bytes of ``blocks``."""
    at = 0
    while size < len(blocks) and (end := at + int.from_bytes(blocks[at + 4 : at + 8], "little")) <= size:
        at = end
    return at if size < len(blocks) else size


def _option(code: int, value: bytes) -> bytes:
    return code.to_bytes(2, "little") + len(value).to_bytes(2, "little") + value + bytes(-len(value) % 4)


def _built(kind: int, body: bytes) -> bytes:
    total = len(body) + 12
    return _block(kind, total) + body + total.to_bytes(4, "little")


def _section() -> bytes:
    head = Struct("<IHHq").pack(0x1A2B3C4D, 1, 0, -1)
    return _built(_SECTION, head + _option(_USER_APPLICATION, f"smtpwire {__version__}".encode()) + bytes(4))


def _interface(name: str, link_type: int) -> bytes:
    options = _option(_NAME, name.encode("utf-8", "replace")) + _option(_TIME_RESOLUTION, bytes([_NANOSECONDS]))
    return _built(_INTERFACE, Struct("<HxxI").pack(link_type, 0) + options + bytes(4))


def _key_log_block(key_log: bytes) -> bytes:
    return _built(_SECRETS, Struct("<II").pack(_TLS_KEY_LOG, len(key_log)) + key_log + bytes(-len(key_log) % 4))


def _counted(interface: int, one: RingStatistics) -> bytes:
    now = time.time_ns()
    counts = _option(_RECEIVED, one.frames.to_bytes(8, "little")) + _option(_DROPPED, one.dropped.to_bytes(8, "little"))
    return _built(_STATISTICS, Struct("<III").pack(interface, now >> 32, now & 0xFFFFFFFF) + counts + bytes(4))
