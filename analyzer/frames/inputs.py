"""Turn the paths that a user names into captures: files, folders, standard input, and gzip of any of them."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec import Struct

from ..errors import InputError, UsageError, display_path
from ..files.reading import open_input
from ..files.urls import file_system, is_url
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
    from collections.abc import Generator, Iterator


__all__ = ["STDIN", "OpenInput", "Progress", "Source", "read_capture"]

STDIN = "-"

Progress = Callable[[int, int | None], None]
"""Called with (bytes of the input read so far, size of the input or None if unknown)."""

_REMOTE_BLOCK = 8 << 20  # bytes of one request to a file system that is remote
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


class OpenInput(Struct, frozen=True):
    """An input that is a capture. ``file_window``: the window over the file itself, which shows how far it was read."""

    reader: Reader
    file_window: Window
    total: int | None
    gunzip: Gunzip | None


class Source:
    """One input. ``read_capture`` fills ``capture``, block by block.

    ``name`` is the path as it was given, ``path`` is safe to display. ``digits``: decimals of a second in the times of
    the capture. ``found``: the input was found in a folder, not named, so only a regular file is opened.
    """

    def __init__(self, path: str | os.PathLike[str], *, found: bool = False) -> None:
        self.name = os.fspath(path)
        self.found = found
        self.path = display_path(self.name)
        self.capture = Capture(self.path)
        self.digits = 6

    @contextmanager
    def open(self, block: int | None = None, limits: Limits = DEFAULT_LIMITS) -> Iterator[OpenInput]:
        """Open the input and yield it with its reader. ``block``: bytes to read at a time. Raises ``InputError`` if it
        holds no capture."""
        block = block or BLOCK
        if is_url(self.name):
            with _remote(self.name) as (read, size):
                yield self._recognise(StreamWindow(read, block), block, size, limits.gzip_ratio)
            return
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
            if self.name != STDIN:
                os.close(fd)

    def _descriptor(self) -> int:
        try:
            if self.name != STDIN:
                return open_input(self.name, found=self.found)
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

    def _recognise(self, file_window: Window, block: int, total: int | None, most_ratio: int) -> OpenInput:
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
            return OpenInput(PcapngReader(window), file_window, total, gunzip)
        if start[:4] in MAGICS and len(start) == FILE_HEADER:
            return OpenInput(PcapReader(window), file_window, total, gunzip)
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

    def state(self) -> str:
        """Return what changes if a file is written: its size and time; nothing for what is no regular file."""
        try:
            if is_url(self.name):
                system, path = file_system(self.name)
                about = system.info(path)
                return f"{about.get('size')} {about.get('ETag', about.get('mtime', ''))}"
            status = os.stat(self.name)  # noqa: PTH116
        except (OSError, ValueError):
            return ""
        return f"{status.st_size} {status.st_mtime_ns}" if stat.S_ISREG(status.st_mode) else ""

    def update(self, reader: Reader) -> None:
        """Bring counts and times of ``capture`` up to date."""
        capture = self.capture
        self.digits = reader.digits
        capture.format = reader.format
        capture.link_types = list(dict.fromkeys(map(link_name, reader.link_types)))
        capture.frames = reader.frames
        capture.bytes = reader.octets
        capture.first = None if reader.first_ns is None else format_time(reader.first_ns, reader.digits)
        capture.last = None if reader.last_ns is None else format_time(reader.last_ns, reader.digits)

    def describe(self, opened: OpenInput) -> Capture:
        """Bring ``capture`` up to date, with the problems of the file, and return it."""
        self.update(opened.reader)
        faults = (opened.file_window.fault, opened.gunzip.fault if opened.gunzip else None)
        self.capture.problems = [*filter(None, faults), *opened.reader.problems]
        return self.capture


class _NoDecoding(SegmentDecoder):
    """Decodes nothing."""

    def __init__(self) -> None:
        super().__init__(lambda *_: None, decoder="scapy")  # so that every frame goes to frame()

    def frame(self, link_type: int, time_ns: int, data: bytes, original_length: int, number: int) -> None:
        pass


@contextmanager
def _remote(url: str) -> Iterator[tuple[Callable[[int], bytes], int | None]]:
    """Open what a URL names; yield how to read from it, and its size. Raises ``InputError``."""
    try:
        system, path = file_system(url)
        stream = system.open(path, "rb", block_size=_REMOTE_BLOCK)
    except FileNotFoundError:
        raise InputError("no such object", display_path(url), "check the URL") from None
    except UsageError as error:
        raise InputError(error.what, error.where, error.hint) from None
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"cannot be opened: {reason}", display_path(url), "check the URL and the credentials"
        ) from None

    def read(count: int) -> bytes:
        try:
            return bytes(stream.read(count))
        except Exception as error:
            raise OSError(0, " ".join(str(error).split()) or type(error).__name__) from error

    with stream:
        yield read, getattr(stream, "size", None)


def _is_seekable(fd: int) -> bool:
    """Whether reading may start anywhere: some files that the kernel makes up look like regular ones and are not."""
    try:
        os.lseek(fd, 0, os.SEEK_CUR)
    except OSError:
        return False
    return True


def read_capture(
    source: Source,
    decoder: SegmentDecoder,
    progress: Progress | None = None,
    on_digits: Callable[[int], None] | None = None,
    on_secrets: Callable[[bytes], None] | None = None,
) -> Generator[tuple[int, int]]:
    """Read one input into ``decoder``. Yields the times of the last two frames, in ns, after each block.

    A block is about 1 MB, or less from a pipe. ``source.capture`` is up to date before each yield. At the end it also
    holds the problems, even if reading stops early. ``on_digits`` is called with the number of decimals of the times,
    before the first time that needs them; ``on_secrets`` with each key log in the capture. Raises ``InputError`` at the
    first step if the input cannot be read at all.
    """
    with source.open(limits=decoder.limits) as opened:
        reader = opened.reader
        source.capture.format = reader.format
        decoder.tally = DecodeTally()
        if on_digits is not None:
            reader.on_digits = on_digits
            on_digits(reader.digits)
        if on_secrets is not None:
            reader.on_secrets = on_secrets
        try:
            for _ in reader.run(decoder):
                source.update(reader)
                if progress is not None:
                    progress(opened.file_window.base + opened.file_window.size, opened.total)
                yield reader.prior_ns or 0, reader.last_ns or 0
        finally:
            source.describe(opened).problems += decoder.problems()
