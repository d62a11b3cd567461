"""Key logs of TLS that belong to a capture: files beside it, and blocks at the end of a pcapng file."""

# A Decryption Secrets Block may stand anywhere in a pcapng file. One before the packets, or between them, is found when
# the file is read. One after the packets would come too late. So the last blocks of a file are looked at first,
# backwards by the length at the end of each, up to the last packet.

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from ..errors import InputError
from ..files.reading import open_input, size_of
from ..files.urls import is_url
from .pcapng import MAGIC, ORDERS, SECRETS, TLS_KEY_LOG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..model import Capture
    from .inputs import Source

__all__ = ["IN_CAPTURE", "companions_of", "last_secrets", "note_key_log"]

IN_CAPTURE: Final = "(in the capture)"
"""What stands for a key log in a pcapng file."""

_ENDINGS: Final = (".keys", ".keylog")
_CAPTURES: Final = (".gz", ".pcap", ".pcapng", ".cap", ".ntar")
_PACKETS: Final = frozenset((2, 3, 6, 0x0A0D0D0A))  # blocks that end the search: packets, and a section
_MOST_BLOCKS: Final = 1000  # after the last packet
_LARGEST: Final = 64 << 20  # octets of a key log
_STDIN: Final = "-"


def companions_of(source: Source) -> list[str]:
    """Return the key logs beside a capture: NAME.keys and NAME.keylog, for NAME.pcap or NAME.pcap.gz."""
    if source.name == _STDIN or is_url(source.name):
        return []
    folder, name = os.path.split(source.name)
    stems = [name]
    for ending in _CAPTURES:
        if stems[-1].lower().endswith(ending):
            stems.append(stems[-1][: -len(ending)])
    paths = [os.path.join(folder, stem + ending) for stem in reversed(stems) if stem for ending in _ENDINGS]  # noqa: PTH118
    return [path for path in paths if path != source.name and size_of(path)]


def note_key_log(capture: Capture) -> None:
    """Note that there is a key log in a capture."""
    if IN_CAPTURE not in capture.key_logs:
        capture.key_logs.append(IN_CAPTURE)


def last_secrets(source: Source) -> Iterator[bytes]:
    """Yield the key logs after the last packet of a pcapng file. Nothing is reported: what is wrong is found again when
    the file is read."""
    size = 0 if source.name == _STDIN or is_url(source.name) else size_of(source.name)
    if not size:
        return
    try:
        fd = open_input(source.name, found=source.found)
    except (OSError, ValueError, InputError):
        return
    try:
        start = os.pread(fd, 12, 0)
        order = ORDERS.get(start[8:12])
        if not start.startswith(MAGIC) or order is None:
            return
        at = size
        for _ in range(_MOST_BLOCKS):
            length = int.from_bytes(os.pread(fd, 4, at - 4), order)
            head = os.pread(fd, 16, at - length) if 12 <= length <= at and not length % 4 else b""
            kind = int.from_bytes(head[:4], order)
            if len(head) < 12 or int.from_bytes(head[4:8], order) != length or kind in _PACKETS:
                return
            if kind == SECRETS and int.from_bytes(head[8:12], order) == TLS_KEY_LOG and length <= _LARGEST:
                count = min(int.from_bytes(head[12:16], order), length - 20)
                yield os.pread(fd, max(0, count), at - length + 16)
            at -= length
    except OSError:
        return
    finally:
        os.close(fd)
