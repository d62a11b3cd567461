"""The directory for extracted messages: only new files, under names that no message and no other program can choose."""

# Theory
# ------
# A name is a number and the first digits of the SHA-256 of the content, so it contains nothing from the wire. The
# directory above it is the result for the message, so that a refused mail is never mistaken for a delivered one. The
# name of an incomplete message says so. The folders are held from the start (see `files.folders`), and every file in
# them is new: nothing is overwritten, no link is followed, also not one that is put there during the run.

from __future__ import annotations

import hashlib
import os
import re
import stat
from contextlib import ExitStack
from typing import TYPE_CHECKING

import msgspec

from ..errors import UsageError, display_path
from ..files.folders import Folder, folder_of
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
        self.name = display_path(path)
        self.counts = dict.fromkeys(FATES, 0)
        self._number = 0
        self._folders: dict[str, Folder] = {}
        with ExitStack() as stack:
            try:
                folder = stack.enter_context(folder_of(path, 0o700, parents=True))
                if not force and folder.names():
                    raise UsageError("the directory is not empty", self.name, "name another one, or add --force")
                for fate in FATES:
                    self._folders[fate] = inner = stack.enter_context(self._inner(folder, fate))
                    known = (_NUMBERED.match(name) for name in inner.names())
                    self._number = max(self._number, *(int(found[1]) for found in known if found), 0)
            except (OSError, ValueError) as error:  # ValueError: a NUL in the name
                reason = error.strerror if isinstance(error, OSError) else error
                raise UsageError(f"cannot write ({reason})", self.name, _HINT) from error
            self._held = stack.pop_all()
        self.spool = Spool(folder)

    @staticmethod
    def _inner(folder: Folder, fate: str) -> Folder:
        there = folder.status(fate)
        if there is not None and stat.S_ISLNK(there.st_mode):
            where = display_path(f"{folder.path}{os.sep}{fate}")
            raise UsageError("a link is in the place of a directory", where, _HINT)
        return folder.inner(fate, 0o700)

    def keep(self, envelope: Envelope, spooled: SpooledMessage) -> None:
        """Write a message and its envelope. Raises OutputError."""
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
        folder = self._folders[envelope.fate]
        spooled.place(folder, f"{name}.eml")
        sidecar = self.spool.begin()
        sidecar.append(msgspec.json.format(msgspec.json.encode(envelope), indent=1) + b"\n")
        sidecar.place(folder, f"{name}.json")

    def close(self) -> None:
        """Remove the temporary files that did not become messages, and release the folders."""
        with self._held:
            self.spool.close()


def _list_attachments(envelope: Envelope, spooled: SpooledMessage) -> None:
    if spooled.size > MAX_LISTED:
        envelope.notes.append(f"attachments are not listed: the message is larger than {MAX_LISTED:,} octets")
        return
    try:
        envelope.attachments = attachments_of(b"".join(spooled.chunks()))
    except AttachmentsUnlisted as error:
        envelope.notes.append(f"attachments are not listed: {error}")
