"""Findings as packet comments: one line each, which the Lua post-dissector parses."""

# Theory
# ------
# The line is `smtpwire: error SEQ101 client: message (RFC 5321 §4.1.4)`: severity, rule, side, message, reference.
# People read it in Wireshark, and `smtpwire.lua` makes fields of it: its format must change in both places.
#
# Between the two passes of `annotate` the comments wait here, in the order of frames. Long texts go to a file; only two
# numbers for each finding stay in memory.

from __future__ import annotations

import tempfile
from array import array
from itertools import groupby
from typing import TYPE_CHECKING
from unicodedata import normalize

from msgspec import UNSET, UnsetType

from ..errors import display_path, is_visible
from ..model import Summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..model import Capture, Finding, TlsSession

__all__ = ["MAX_COMMENT", "Comments", "comment", "is_alike"]

MAX_COMMENT = 1000
"""Characters of one comment. The longest message of a rule in this package has about 300."""

MAX_ON_FRAME = 500
"""Comments on one frame: they must fit into one block, and more would not be useful to a reader."""

_MARK = "smtpwire:"
_IN_MEMORY = 8 << 20  # bytes of text that are kept in memory instead of a file


def comment(
    finding: Finding, findings: Sequence[Finding], session: TlsSession | UnsetType = UNSET, *, late: bool = False
) -> str:
    """Return the finding in one line. ``findings``: those of its connection, among them its cause; ``session``: of TLS
    in that.

    ``late``: the comment is on another frame than its own.
    """
    text = f"in frame {finding.frame}: {finding.message}" if late else finding.message
    if finding.certainty == "indeterminate":
        text = f"not certain: {text}"
    if finding.count > 1 and " times" not in finding.message:
        text += f" In {finding.count:,} places."
    if finding.inside is not UNSET:
        agreed = () if session is UNSET else (session.version, session.suite)
        text += f" Inside {', '.join(word for word in agreed if word) or 'TLS'}."
    if finding.caused_by is not None:
        cause = findings[finding.caused_by]
        text += f" Follows from {cause.rule} in frame {cause.frame}."
    head = f"smtpwire: {finding.severity} {finding.rule} {finding.side}: "
    tail = f" ({finding.reference})" if finding.reference else ""
    room = MAX_COMMENT - len(head) - len(tail)
    text = display_path(text)
    return head + (text if len(text) <= room else text[: room - 3] + "...") + tail


def is_alike(value: bytes) -> bool:
    """Whether a comment looks like one of ours: it has our mark, also in other letters of the same shape, with
    characters that are not seen between them, or after other text."""
    text = normalize("NFKC", value.decode("utf-8", "replace")).casefold()
    return _MARK in "".join(c for c in text if not c.isspace() and is_visible(c))


class Comments:
    """Comments by frame, added in any order. ``close`` it after they are written. ``summary`` and ``captures``: of the
    audit that made them."""

    def __init__(self) -> None:
        self.summary = Summary()
        self.captures: list[Capture] = []
        self._frames = array("Q")
        self._places = array("Q")
        self._texts = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  closed by close()

    def __len__(self) -> int:
        return len(self._frames)

    def close(self) -> None:
        """Drop the comments."""
        self._texts.close()

    def add(self, frame: int, text: str) -> None:
        """Add one line to ``frame``."""
        self._frames.append(frame)
        self._places.append(self._texts.tell())
        self._texts.write(text.encode() + b"\n")

    def by_frame(self) -> Iterator[tuple[int, list[str]]]:
        """Return the frames in order, each with its comments in the order of ``add``. Add nothing after this."""
        order = sorted(range(len(self)), key=self._frames.__getitem__)
        for frame, indexes in groupby(order, key=self._frames.__getitem__):
            texts: list[str] = []
            more = 0
            for index in indexes:
                if len(texts) < MAX_ON_FRAME:
                    texts.append(self._text(index))
                else:
                    more += 1
            if more:
                texts.append(f"smtpwire: {more:,} more findings on this frame")
            yield frame, texts

    def _text(self, index: int) -> str:
        self._texts.seek(self._places[index])
        return self._texts.readline()[:-1].decode()
