"""``smtpwire annotate``: a copy of a capture in which each finding is a comment on its packet."""

# There are two passes over the file: the audit, which stores the comments by frame, and the copy, which reads the
# frames in order. Neither keeps the capture. A finding may become known long after its frame, so one pass is not
# enough.
#
# A comment of the input that looks like a finding is not copied: whoever made the capture may have put it there, and
# the reader of the copy could not tell it from one of ours. Those of an earlier copy are made again.

from __future__ import annotations

import os
import stat
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from ..._version import __version__
from ..errors import UsageError, display_path
from ..frames.inputs import STDIN, Source
from ..model import Capture
from .comments import Comments, comment, is_alike
from .pcapng_blocks import commented, pcap_blocks, pcapng_blocks, uncommented

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..audit import Audit
    from ..parallel.engine import ParallelAudit

    Progress = Callable[[int, int | None], None]

__all__ = ["CopySummary", "annotate", "find_comments"]


_NEVER = 1 << 64  # after every frame
_NONE: tuple[int, list[str]] = (_NEVER, [])


class CopySummary(NamedTuple):
    """The result of the copy. ``frames``: those with comments; ``left``: findings on frames that were not copied;
    ``alike``: comments of the input that looked like findings, were none of these, and were omitted."""

    findings: int
    frames: int
    left: int
    alike: int
    problems: list[str]


def find_comments(path: str, audit: Audit | ParallelAudit, progress: Progress | None = None) -> Comments:
    """Run the first pass with ``audit``. The caller must close the returned comments.

    Raises InputError if the file cannot be read, UsageError if ``path`` is not a file.
    """
    if path == STDIN:
        raise UsageError("annotate reads its input twice", "standard input", "save it to a file first")
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116  as frames/inputs.py does, without a Path
            raise UsageError("annotate takes one capture file", display_path(path), "name a file")
    except OSError:
        pass  # the attempt to open it reports the reason
    with ExitStack() as stack:
        comments = stack.enter_context(closing(Comments()))
        for item in audit.run([path], progress):
            if isinstance(item, Capture):
                continue
            for finding in item.findings:
                comments.add(finding.frame, comment(finding, item.findings, item.tls_session))
        if audit.unreadable:
            raise audit.unreadable[0]
        comments.summary, comments.captures = audit.summary, audit.captures
        stack.pop_all()
    return comments


def annotate(path: str, comments: Comments, stream: BinaryIO, progress: Progress | None = None) -> CopySummary:
    """Run the second pass: write ``path`` as pcapng into ``stream``. Raises InputError if it can no longer be read."""
    problems: list[str] = []
    upcoming = comments.by_frame()
    wanted, texts = next(upcoming, _NONE)
    marked = left = reported = alike = 0
    with Source(path).open() as opened:
        window = opened.reader.window
        blocks = (
            pcapng_blocks(window, problems)
            if opened.reader.format == "pcapng"
            else pcap_blocks(window, problems, f"smtpwire {__version__}")
        )
        for block in blocks:
            raw, omitted = uncommented(block.raw, block.order, is_alike)
            if block.number >= wanted and block.number:
                if block.number == wanted and block.wide is not None:
                    raw = commented(raw if block.wide is block.raw else block.wide, block.order, texts)
                    marked += 1
                    omitted = [one for one in omitted if one.decode(errors="replace") not in texts]
                else:  # a frame that is not a packet, or that is not in the file
                    left += len(texts)
                wanted, texts = next(upcoming, _NONE)
            alike += len(omitted)
            stream.write(raw)
            if progress is not None and opened.file_window.base != reported:
                reported = opened.file_window.base
                progress(reported, opened.total)
        faults = (opened.file_window.fault, opened.gunzip.fault if opened.gunzip else None)
    if wanted != _NEVER:
        left += len(texts) + sum(len(more) for _, more in upcoming)
    return CopySummary(len(comments), marked, left, alike, [*filter(None, faults), *problems])
