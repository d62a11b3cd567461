"""Who made a file, and whether that matters: in a folder where everybody may write, anybody may have put it there."""

# In /tmp a file, a link or a pipe with an expected name may wait for the program: it was planted. The kernel protects
# programs that open such names in the usual way (fs.protected_symlinks, _regular, _fifos), and only on Linux, and not
# those that look at a link themselves. So the rule stands here once: what another user put into a folder in which
# everybody may write is not used.

from __future__ import annotations

import os
import stat

__all__ = ["everybody_may_write", "is_ours", "was_planted"]


def _ourselves() -> frozenset[int]:
    """Return the users whom this process trusts as itself: its user, root, and under sudo the user who called it."""
    user = os.geteuid()
    caller = os.environ.get("SUDO_UID", "") if user == 0 else ""
    known = {0, user}
    if caller.isascii() and caller.isdigit():
        known.add(int(caller))
    return frozenset(known)


def is_ours(status: os.stat_result) -> bool:
    """Whether the file belongs to the user of this process, to root, or to the user who called sudo. True on systems
    whose files have no such owner."""
    return not hasattr(os, "geteuid") or status.st_uid in _ourselves()


def everybody_may_write(status: os.stat_result) -> bool:
    """Whether every user may write into the file or folder."""
    return bool(status.st_mode & stat.S_IWOTH) and hasattr(os, "geteuid")


def was_planted(folder: os.stat_result, status: os.stat_result) -> bool:
    """Whether another user may have put this into ``folder`` for us to find. ``status``: of the thing itself, not of
    what a link leads to."""
    return everybody_may_write(folder) and not is_ours(status)
