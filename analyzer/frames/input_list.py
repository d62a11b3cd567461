"""List the captures that a user names: files, folders, URLs with patterns, standard input."""

# Theory
# ------
# Captures are read in the order of time of their first frames, whatever the order in which they are named: a shell
# sorts names, and "mx-10.pcap" comes before "mx-9.pcap". A pipe can only be read once, so its first frame cannot be
# looked at: with one of them, the order is the one given.

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING, NamedTuple

from ..errors import InputError
from ..files.urls import file_system, is_url
from .inputs import STDIN, Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["open_inputs"]

_CAPTURE_NAME = re.compile(r"\.(pcap(ng)?|p?cap|dmp)[0-9]*(\.gz)?$", re.IGNORECASE)
_PATTERN = re.compile(r"[*?\[]")


class _Found(NamedTuple):
    """A capture, and what decides its place in the order: the time of its first frame, when the file was changed, both
    in ns, and its name. Those that cannot be read come first."""

    readable: bool
    first_ns: int
    changed_ns: int
    name: str
    source: Source


def open_inputs(paths: Sequence[str | os.PathLike[str]]) -> Iterator[Source]:
    """Yield a source for each capture, sorted by the time of the first frame, then by mtime, then by name. A folder
    stands for the captures in it, a URL with a pattern or a slash at its end for all that it matches.

    Opens files only to sort several. An input that cannot be read is reported later by ``read_capture``.
    """
    names = [os.fspath(path) for path in paths]
    if len(names) > 1 and not any(map(_is_stream, names)):
        found = [one for name in names for one in _expanded(name)]
        yield from (one.source for one in sorted(found, key=lambda one: one[:-1]))
        return
    for name in names:
        if _is_many(name):
            yield from (one.source for one in sorted(_expanded(name), key=lambda one: one[:-1]))
        else:
            yield Source(name)


def _is_stream(name: str) -> bool:
    if name == STDIN:
        return True
    status = None if is_url(name) else _status(name)
    return status is not None and not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode))


def _is_many(name: str) -> bool:
    if is_url(name):
        return name.endswith("/") or _PATTERN.search(name) is not None
    return name != STDIN and os.path.isdir(name)  # noqa: PTH112  Path.is_dir raises for some names


def _expanded(name: str) -> list[_Found]:
    """Return the captures that a name stands for; itself, to report why, if there are none."""
    if not _is_many(name):
        found = [_looked_at(Source(name), _changed(name))]
    elif is_url(name):
        found = [_looked_at(Source(one), 0) for one in _matching(name)]
    else:
        found = list(_in_folder(name))
    return found or [_Found(False, 0, 0, "", Source(name))]


def _looked_at(source: Source, changed_ns: int) -> _Found:
    try:
        first = source.first_time()
    except InputError:
        return _Found(False, 0, 0, "", source)
    return _Found(True, changed_ns if first is None else first, changed_ns, source.name, source)


def _changed(name: str) -> int:
    status = None if is_url(name) else _status(name)
    return 0 if status is None else status.st_mtime_ns


def _matching(url: str) -> Iterable[str]:
    try:
        system, path = file_system(url)
        names = system.glob(path) if _PATTERN.search(url) else system.find(path)
    except Exception:
        return []
    return [system.unstrip_protocol(name) for name in sorted(names)]


def _in_folder(path: str) -> Iterator[_Found]:
    """Yield the captures in a folder and below it.

    Captures are recognised by their content. A file that is not a capture is skipped, unless its name says that it
    should be one; so is a link that leads nowhere. Links to folders are followed, and each folder and file is read
    once. Hidden files and folders are skipped.
    """
    errors: list[Source] = []
    seen: set[tuple[int, int]] = set()
    walk = os.walk(path, onerror=lambda error: errors.append(Source(error.filename)), followlinks=True)
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
                    yield _Found(False, 0, 0, "", source)
                continue
            if not _is_new(place, seen):
                continue
            found = _looked_at(source, status.st_mtime_ns)
            if found.readable:
                yield found
            elif _CAPTURE_NAME.search(name):
                yield _Found(True, status.st_mtime_ns, status.st_mtime_ns, place, source)
    yield from (_Found(False, 0, 0, "", source) for source in errors)


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
