"""The directory for extracted messages: only new files, under names that no message and no other program can choose."""

# Theory
# ------
# A name is a number and the first digits of the SHA-256 of the content, so it contains nothing from the wire. The
# directory above it is the result for the message, so that a refused mail is never mistaken for a delivered one. The
# name of an incomplete message says so. Every file is created with O_EXCL and O_NOFOLLOW: nothing is overwritten, no
# link is followed.

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ..errors import OutputError, UsageError, display_path
from .attachments import MAX_LISTED, AttachmentsUnlisted, attachments_of
from .spooled_message import Spool

if TYPE_CHECKING:
    from .envelope import Envelope
    from .spooled_message import SpooledMessage

__all__ = ["FATES", "MessageDirectory"]

FATES = ("accepted", "refused", "unknown")
_NUMBERED = re.compile(r"([0-9]{6,18})-")
_HINT = "name another directory with -o"


class MessageDirectory:
    """The directory for messages. Raises UsageError if the directory is not empty, unless ``force``; OutputError later.

    With ``force`` nothing in it is overwritten: numbers continue after the last one there.
    """

    def __init__(self, path: str, *, force: bool = False) -> None:
        self.path = Path(path)
        self.name = display_path(path)
        self.counts = dict.fromkeys(FATES, 0)
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not force and any(self.path.iterdir()):
                raise UsageError("the directory is not empty", self.name, "name another one, or add --force")
            self._number = 0
            for fate in FATES:
                inner = self.path / fate
                inner.mkdir(mode=0o700, exist_ok=True)
                if inner.is_symlink():
                    raise UsageError("a link is in the place of a directory", display_path(inner), _HINT)
                known = (_NUMBERED.match(one.name) for one in inner.iterdir())
                self._number = max(self._number, *(int(found[1]) for found in known if found), 0)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            reason = error.strerror if isinstance(error, OSError) else error
            raise UsageError(f"cannot write ({reason})", self.name, _HINT) from error
        self.spool = Spool(self.path)

    def keep(self, envelope: Envelope, spooled: SpooledMessage) -> None:
        """Write a message and its envelope. Raises OutputError."""
        try:
            digest = hashlib.sha256()
            for chunk in spooled.chunks():
                digest.update(chunk)
            envelope.octets, envelope.sha256 = spooled.size, digest.hexdigest()
            _list_attachments(envelope, spooled)
            self._number += 1
            self.counts[envelope.fate] += 1
            state = "" if envelope.complete and not envelope.truncated else "-partial"
            name = f"{self._number:06}-{envelope.sha256[:12]}{state}"
            envelope.file = f"{envelope.fate}/{name}.eml"
            place = self.path / envelope.fate
            spooled.place(place / f"{name}.eml")
            sidecar = self.spool.begin()
            sidecar.append(msgspec.json.format(msgspec.json.encode(envelope), indent=1) + b"\n")
            sidecar.place(place / f"{name}.json")
        except OSError as error:
            raise OutputError(f"cannot write ({error.strerror or error}): {self.name}: {_HINT}") from error

    def close(self) -> None:
        """Remove the temporary files that did not become messages."""
        self.spool.close()


def _list_attachments(envelope: Envelope, spooled: SpooledMessage) -> None:
    if spooled.size > MAX_LISTED:
        envelope.notes.append(f"attachments are not listed: the message is larger than {MAX_LISTED:,} octets")
        return
    try:
        envelope.attachments = attachments_of(b"".join(spooled.chunks()))
    except AttachmentsUnlisted as error:
        envelope.notes.append(f"attachments are not listed: {error}")
