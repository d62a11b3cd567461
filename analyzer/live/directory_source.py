"""A directory into which another program writes captures: each is read once, when it is finished, in order of time."""

# Theory
# ------
# dumpcap and tcpdump start a new file when one is full; with a ring they remove old files, or overwrite them under
# their old name. So a file is identified by the time of its first frame, whatever its name is (a copy that gzip made of
# it is the same file). It is finished when it no longer grows and a newer one exists. The newest one is finished when
# it has not grown for some time; if it grows after that, this is reported, because the rest is not read.
#
# All files go into one audit, in order of time: a connection may continue from one to the next.

from __future__ import annotations

import os
import re
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from ..errors import InputError, UsageError, display_path
from ..files.reading import kind_of
from ..frames.inputs import Source as CaptureFile
from ..frames.inputs import read_capture

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from ..model import Capture
    from ..segments.decoder import SegmentDecoder

__all__ = ["QUIET_SECONDS", "DirectorySource"]

QUIET_SECONDS = 10.0
"""The newest file is finished if it has not grown for so many seconds. dumpcap writes its data about every second."""

_SCAN_SECONDS = 0.5
_REMEMBERED = 100_000  # files that have been read: a ring of a few thousand at most, and copies of them
_CAPTURE_NAME = re.compile(r"\.(pcap(ng)?|p?cap|dmp)[0-9]*(\.gz)?$", re.IGNORECASE)


class _Seen(NamedTuple):
    """The state of a file at the last scan. ``first_ns``: None if it has no frame yet."""

    size: int
    changed_ns: int
    since: float
    first_ns: int | None
    problem: str


class DirectorySource:
    """A ``Source`` of the captures below ``path``; hidden files and directories are ignored.

    Raises UsageError if there is no such directory.
    """

    finished = False
    moving = False

    def __init__(
        self,
        path: str,
        quiet_seconds: float = QUIET_SECONDS,
        *,
        clock: Callable[[], float] = monotonic,
        keys_of: Callable[[CaptureFile], Callable[[bytes], None]] | None = None,
    ) -> None:
        """``keys_of``: reads the key logs that belong to a capture; returns what takes those in it."""
        if not os.path.isdir(path):  # noqa: PTH112  also for a name that is not valid text
            raise UsageError("no such directory", display_path(path), "name the directory that captures are written to")
        try:
            os.scandir(path).close()
        except OSError as error:
            hint = "name a user who may read it with --user"
            raise UsageError(f"cannot read ({error.strerror})", display_path(path), hint) from error
        self._path = path
        self._quiet = quiet_seconds
        self._clock = clock
        self._keys_of = keys_of
        self.name = display_path(path)
        self.digits = 6
        self.captures: list[Capture] = []
        self._files: dict[str, _Seen] = {}
        self._read: dict[int, str] = {}  # path by the time of the first frame
        self._ready: deque[tuple[int, str]] = deque()
        self._reading: Generator[object] | None = None
        self._file: CaptureFile | None = None
        self._scan_at = 0.0
        self._notices: list[str] = []
        self._unreadable: list[str] = []  # at the last scan
        self._frames = self._octets = 0

    def files(self) -> Sequence[int]:
        """See ``Source``: there is no descriptor to wait for."""
        return ()

    def take(self, decoder: SegmentDecoder, limit: int | None = None) -> int:
        """See ``Source``: reads a block of the current file, or of the next one."""
        if self._reading is None and not self._open(decoder):
            return 0
        assert self._reading is not None
        assert self._file is not None
        capture, problem = self._file.capture, None
        before = capture.frames
        try:
            next(self._reading)
            over = False
        except StopIteration:
            over = True
        except InputError as error:
            over, problem = True, error
        self.digits = self._file.digits
        if over:
            if problem is not None:
                self._notices.append(str(problem))
                capture.problems = [f"{problem.what}: {problem.hint}"]
            self._frames += capture.frames
            self._octets += capture.bytes
            self.captures.append(capture)
            self._reading = self._file = None
            return max(1, capture.frames - before)  # another file may be ready
        return capture.frames - before

    def notices(self) -> Iterator[str]:
        """See ``Source``: reports files that could not be read, or that came too late."""
        waiting, self._notices = self._notices, []
        yield from waiting

    def counts(self) -> tuple[int, int, int]:
        """See ``Source``."""
        now = None if self._file is None else self._file.capture
        return self._frames + (now.frames if now else 0), self._octets + (now.bytes if now else 0), 0

    def end(self, time_ns: int) -> None:
        """See ``Source``: no frame is lost, because the files stay."""

    def leave(self) -> None:
        """See ``Source``."""

    def close(self, decoder: SegmentDecoder) -> None:
        """See ``Source``."""
        if self._reading is not None and self._file is not None:
            self._reading.close()
            self._file.capture.problems.append("the run ended before the end of this file: the rest is not read")
            self.captures.append(self._file.capture)
            self._reading = self._file = None

    # -- which file is next ----------------------------------------------------------------------------------------

    def _open(self, decoder: SegmentDecoder) -> bool:
        now = self._clock()
        if not self._ready and now >= self._scan_at:
            self._scan_at = now + _SCAN_SECONDS
            self._scan(now)
        if not self._ready:
            return False
        first, path = self._ready.popleft()
        self._read[first] = path
        if len(self._read) > _REMEMBERED:
            del self._read[next(iter(self._read))]
        self._file = CaptureFile(path, found=True)
        self.name = self._file.path
        take_secrets = None if self._keys_of is None else self._keys_of(self._file)
        self._reading = read_capture(self._file, decoder, on_secrets=take_secrets)
        return True

    def _scan(self, now: float) -> None:
        """Check every file; those that are finished and were not read become ready, in order of time."""
        found: dict[str, _Seen] = {}
        before, self._unreadable = self._unreadable, []
        for folder, folders, names in os.walk(self._path, onerror=self._note_unreadable):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in names:
                place = os.path.join(folder, name)  # noqa: PTH118  os.walk gives strings
                if not name.startswith(".") and (seen := self._examine(place, now)) is not None:
                    found[place] = seen
        self._files = found
        self._notices += [text for text in self._unreadable if text not in before]
        unread = sorted(
            (seen.first_ns, place, seen)
            for place, seen in found.items()
            if seen.first_ns is not None and seen.first_ns not in self._read
        )
        ready: dict[int, str] = {}  # copies of one file share the time of their first frame
        for first, place, seen in unread:
            newest = first == unread[-1][0]
            if now - seen.since >= (self._quiet if newest else _SCAN_SECONDS):
                ready.setdefault(first, place)
            else:
                break  # files of a later time wait for those that are not finished
        self._ready.extend(ready.items())

    def _note_unreadable(self, error: OSError) -> None:
        """Report a directory that cannot be read, once until it can be read again or the reason changes."""
        text = f"{display_path(os.fsdecode(error.filename))}: cannot read ({error.strerror})"
        self._unreadable.append(text)

    def _examine(self, place: str, now: float) -> _Seen | None:
        try:
            status = os.stat(place)  # noqa: PTH116
        except OSError:
            return None  # it was just removed
        before = self._files.get(place)
        kind = kind_of(status)
        if kind is not None:
            if before is None and _CAPTURE_NAME.search(place):
                self._notices.append(f"{display_path(place)}: skipped: {kind}, not a file")
            return _Seen(0, 0, now, None, "")
        if before is not None and (before.size, before.changed_ns) == (status.st_size, status.st_mtime_ns):
            if before.problem and now - before.since >= self._quiet and _CAPTURE_NAME.search(place):
                self._notices.append(before.problem)
                return before._replace(problem="")
            return before
        problem, first = "", None
        try:
            first = CaptureFile(place, found=True).first_time()
        except InputError as error:
            problem = str(error)  # or its first frame is not written yet
        if first is not None and before is not None and before.first_ns == first and self._read.get(first) == place:
            self._notices.append(f"{display_path(place)}: it grew after it was read: the rest is not read")
        return _Seen(status.st_size, status.st_mtime_ns, now, first, problem)
