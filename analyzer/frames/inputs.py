"""Turn the paths that a user names into captures: files, folders, standard input, and gzip of any of them."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec import Struct

from ..errors import InputError, display_path
from ..files.reading import open_input
from ..limits import DEFAULT_LIMITS, Limits
from ..model import Capture
from ..segments.decode_tally import DecodeTally
from ..segments.decoder import SegmentDecoder
from ..segments.link_layers import link_name
from ..timestamps import format_time
from .input_window import BLOCK, GZIP_MAGIC, FileWindow, Gunzip, StreamWindow, Window
from .pcap import FILE_HEADER, MAGICS, PcapReader
from .pcapng import MAGIC, PcapngReader
from .reader import Reader

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence


__all__ = ["STDIN", "Progress", "Source", "open_inputs", "read_capture"]

STDIN = "-"

Progress = Callable[[int, int | None], None]
"""Called with (bytes of the input read so far, size of the input or None if unknown)."""

_PEEK = 1 << 16  # bytes: enough for the first frame of nearly every file

_CONVERT = "convert it with editcap -F pcapng"
_FOREIGN = (
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it first: zstd -d"),
    (b"\xfd7zXZ\x00", "compressed with xz", "unpack it first: unxz"),
    (b"BZh", "compressed with bzip2", "unpack it first: bunzip2"),
    (b"\x04\x22\x4d\x18", "compressed with lz4", "unpack it first: lz4 -d"),
    (b"PK\x03\x04", "a zip archive", "unpack it first: unzip"),
    (b"snoop\x00\x00\x00", "a snoop capture", _CONVERT),
    (b"TRSNIFF data", "a Sniffer capture", _CONVERT),
    (b"GMBU", "a Network Monitor capture", _CONVERT),
    (GZIP_MAGIC, "compressed twice", "unpack it first: gunzip"),
)
_CAPTURE_NAME = re.compile(r"\.(pcap(ng)?|p?cap|dmp)[0-9]*(\.gz)?$", re.IGNORECASE)


class _OpenInput(Struct, frozen=True):
    """An input that is a capture. ``file_window``: the window over the file itself, which shows how far it was read."""

    reader: Reader
    file_window: Window
    total: int | None
    gunzip: Gunzip | None


class Source:
    """One input. ``read_capture`` fills ``capture``, block by block.

    ``path`` is safe to display. ``digits``: decimals of a second in the times of the capture. ``found``: the input was
    found in a folder, not named, so only a regular file is opened.
    """

    def __init__(self, path: str | os.PathLike[str], *, found: bool = False) -> None:
        self._path = os.fspath(path)
        self._found = found
        self.path = display_path(self._path)
        self.capture = Capture(self.path)
        self.digits = 6

    @contextmanager
    def open(self, block: int = BLOCK, limits: Limits = DEFAULT_LIMITS) -> Iterator[_OpenInput]:
        """Open the input and yield it with its reader. Raises ``InputError`` if it holds no capture."""
        fd = self._descriptor()
        try:
            status = os.fstat(fd)
            if stat.S_ISDIR(status.st_mode):
                raise InputError(
                    "no captures in this folder", self.path, "name a folder that holds pcap or pcapng files"
                )
            regular = stat.S_ISREG(status.st_mode) and _is_seekable(fd)
            file_window = FileWindow(fd, block) if regular else StreamWindow(lambda count: os.read(fd, count), block)
            yield self._recognise(file_window, block, status.st_size if regular else None, limits.gzip_ratio)
        finally:
            if self._path != STDIN:
                os.close(fd)

    def _descriptor(self) -> int:
        try:
            if self._path != STDIN:
                return open_input(self._path, found=self._found)
            if not os.isatty(fd := sys.stdin.fileno()):
                return fd
        except FileNotFoundError:
            raise InputError("no such file", self.path, "check the path") from None
        except PermissionError:
            raise InputError("permission denied", self.path, "get read permission for the file") from None
        except (OSError, ValueError, AttributeError) as error:  # sys.stdin may be closed (ValueError) or None
            reason = getattr(error, "strerror", None) or "cannot be opened"
            raise InputError(reason, self.path, "check the path") from None
        raise InputError("nothing to read", "standard input", "pipe a capture into it: tcpdump -w - | smtpwire audit -")

    def _recognise(self, file_window: Window, block: int, total: int | None, most_ratio: int) -> _OpenInput:
        """Choose the reader by the first bytes. Raises ``InputError`` if there is none for them."""
        file_window.advance(0, FILE_HEADER)
        if file_window.fault:
            raise InputError(file_window.fault, self.path, "check the disk or the connection to it")
        if not file_window.size:
            raise InputError("the file is empty", self.path, "capture again: nothing was written to it")
        window, gunzip = file_window, None
        if file_window.data.startswith(GZIP_MAGIC):
            gunzip = Gunzip(lambda _: file_window.take(), most_ratio)
            window = StreamWindow(gunzip, block)
            window.advance(0, FILE_HEADER)
        start = window.data[: min(window.size, FILE_HEADER)]
        if start.startswith(MAGIC):
            return _OpenInput(PcapngReader(window), file_window, total, gunzip)
        if start[:4] in MAGICS and len(start) == FILE_HEADER:
            return _OpenInput(PcapReader(window), file_window, total, gunzip)
        if gunzip is not None and gunzip.fault:
            raise InputError(gunzip.fault, self.path, "fetch the file again: no capture can be unpacked from it")
        if start[:4] in MAGICS:
            raise InputError(
                "the file is too short", self.path, f"a pcap file starts with a header of {FILE_HEADER} bytes"
            )
        for magic, what, hint in _FOREIGN:
            if start.startswith(magic):
                raise InputError(f"the file is {what}", self.path, hint)
        raise InputError("not a capture", self.path, "pcap and pcapng can be read, also compressed with gzip")

    def first_time(self) -> int | None:
        """Return the time of the first frame that has one, in ns, or None. Reads only as far as needed.

        Raises ``InputError``.
        """
        with self.open(_PEEK) as opened:
            for _ in opened.reader.run(_NoDecoding()):
                if opened.reader.first_ns is not None:
                    break
            return opened.reader.first_ns


class _NoDecoding(SegmentDecoder):
    """Decodes nothing."""

    def __init__(self) -> None:
        super().__init__(lambda *_: None, decoder="scapy")  # so that every frame goes to frame()

    def frame(self, link_type: int, time_ns: int, data: bytes, original_length: int, number: int) -> None:
        pass


def open_inputs(paths: Sequence[str | os.PathLike[str]]) -> Iterator[Source]:
    """Yield a source for each path, in the given order. A folder becomes the captures in it, sorted by time.

    Opens files only to sort a folder. An input that cannot be read is reported later by ``read_capture``.
    """
    for path in paths:
        if os.fspath(path) != STDIN and os.path.isdir(path):  # noqa: PTH112  Path.is_dir raises for some names
            yield from _folder(path)
        else:
            yield Source(path)


def _folder(path: str | os.PathLike[str]) -> Iterator[Source]:
    """Yield the captures in a folder and below it, sorted by the time of the first frame, then by mtime, then by name.

    Captures are recognised by their content. A file that is not a capture is skipped, unless its name says that it
    should be one; so is a link that leads nowhere. Links to folders are followed, and each folder and file is read
    once. Hidden files and folders are skipped.
    """
    found: list[tuple[int, int, str, Source]] = []
    unreadable: list[Source] = []
    seen: set[tuple[int, int]] = set()
    walk = os.walk(path, onerror=lambda error: unreadable.append(Source(error.filename)), followlinks=True)
    for folder, folders, names in walk:
        if not _is_new(folder, seen):
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            place = os.path.join(folder, name)  # noqa: PTH118  os.walk uses strings
            if name.startswith("."):
                continue
            source = Source(place, found=True)
            status = _status(place)
            if status is None or not stat.S_ISREG(status.st_mode):
                if _CAPTURE_NAME.search(name):
                    unreadable.append(source)
                continue
            if not _is_new(place, seen):
                continue
            try:
                first = source.first_time()
            except InputError:
                if not _CAPTURE_NAME.search(name):
                    continue
                first = None
            changed = status.st_mtime_ns
            found.append((changed if first is None else first, changed, place, source))
    found.sort(key=lambda item: item[:3])
    yield from unreadable
    yield from (source for _, _, _, source in found)
    if not found and not unreadable:
        yield Source(path)


def _is_seekable(fd: int) -> bool:
    """Whether reading may start anywhere: some files that the kernel makes up look like regular ones and are not."""
    try:
        os.lseek(fd, 0, os.SEEK_CUR)
    except OSError:
        return False
    return True


def _status(place: str) -> os.stat_result | None:
    """Return the status of a file, also through a link. None for a link that leads nowhere."""
    try:
        return os.stat(place)  # noqa: PTH116
    except OSError:
        return None


def _is_new(place: str, seen: set[tuple[int, int]]) -> bool:
    """Add a file or folder to ``seen``. Returns whether it was not there under any name."""
    status = _status(place)
    if status is None or (status.st_dev, status.st_ino) in seen:
        return False
    seen.add((status.st_dev, status.st_ino))
    return True


def read_capture(
    source: Source,
    decoder: SegmentDecoder,
    progress: Progress | None = None,
    on_digits: Callable[[int], None] | None = None,
    skip_to: int = 0,
) -> Generator[tuple[int, int]]:
    """Read one input into ``decoder``. Yields the times of the last two frames, in ns, after each block.

    A block is about 1 MB, or less from a pipe. ``source.capture`` is up to date before each yield. At the end it also
    holds the problems, even if reading stops early. ``on_digits`` is called with the number of decimals of the times,
    before the first time that needs them. ``skip_to``: see ``Reader``. Raises ``InputError`` at the first step if the
    input cannot be read at all.
    """
    with source.open(BLOCK, decoder.limits) as opened:
        reader, capture = opened.reader, source.capture
        reader.skip_to = skip_to
        capture.format = reader.format
        decoder.tally = DecodeTally()
        if on_digits is not None:
            reader.on_digits = on_digits
            on_digits(reader.digits)
        try:
            for _ in reader.run(decoder):
                _update(source, reader)
                if progress is not None:
                    progress(opened.file_window.base + opened.file_window.size, opened.total)
                yield reader.prior_ns or 0, reader.last_ns or 0
        finally:
            _update(source, reader)
            faults = (opened.file_window.fault, opened.gunzip.fault if opened.gunzip else None)
            capture.problems = [*filter(None, faults), *reader.problems, *decoder.problems()]


def _update(source: Source, reader: Reader) -> None:
    capture = source.capture
    source.digits = reader.digits
    capture.link_types = list(dict.fromkeys(map(link_name, reader.link_types)))
    capture.frames = reader.frames
    capture.bytes = reader.octets
    capture.first = None if reader.first_ns is None else format_time(reader.first_ns, reader.digits)
    capture.last = None if reader.last_ns is None else format_time(reader.last_ns, reader.digits)
