"""What is still known after bytes were lost, or if the capture starts in the middle of a connection."""

# Theory
# ------
# Nothing is guessed after a loss. The state is unsure (`Session.doubt`). Client lines count only from the next one that
# is certainly a command, because mail data may quote a command. Replies pair again when it is certain what they answer.
#
# A `LossRecovery` exists only from the first loss on. Its flags change by the table `_CHANGES`: for each event, the
# flags that it clears and the flags that it sets.

from __future__ import annotations

from enum import Enum, IntFlag, auto
from typing import TYPE_CHECKING

from ..lines.acts import HELLO_VERBS, STRONG_VERBS

if TYPE_CHECKING:
    from ...dissectors.lines.commands import Command

__all__ = ["Doubt", "LossEvent", "LossRecovery"]


class Doubt(IntFlag):
    """What is not known, or has been learned again, after a loss."""

    SKIPPING = auto()  # client lines count only from the next line that is certainly a command
    LINE_STARTS = auto()  # the next bytes of the client start a line, or a reply came since skipping started
    REPLIED = auto()  # a reply came, and no client line since
    PASSED = auto()  # client bytes were lost or skipped, and no reply came since
    OLD_REPLIES = auto()  # skipped lines may still be answered: replies may not belong to the commands after them
    LOST_REPLIES = auto()  # some of the unanswered commands were answered in a gap


class LossEvent(Enum):
    """What changes the flags."""

    MIDSTREAM = auto()  # the capture starts in the middle of the connection
    CLIENT_GAP = auto()
    SERVER_GAP = auto()  # while commands were unanswered
    REPLY = auto()
    SKIPPED_LINE = auto()  # a line that may be no command
    LONE_DOT = auto()  # most likely the end of mail data: a command comes next
    RESUMED = auto()  # a line that is certainly a command, with nothing skipped since the last reply
    RESUMED_LATE = auto()  # the same, but skipped lines may still be answered
    MAIL_DATA = auto()  # mail data starts: its lines are no commands
    END_LOST = auto()  # the end of mail data or of a chunk cannot be found
    ALL_ANSWERED = auto()  # no command waits for a reply
    PAIRED = auto()  # it is certain again what a reply answers


_D = Doubt
_NONE = Doubt(0)
_CHANGES: dict[LossEvent, tuple[Doubt, Doubt]] = {  # cleared, set
    LossEvent.MIDSTREAM: (_D.LINE_STARTS | _D.REPLIED, _D.SKIPPING),
    LossEvent.CLIENT_GAP: (_D.REPLIED, _D.SKIPPING | _D.LINE_STARTS | _D.PASSED),
    LossEvent.SERVER_GAP: (_NONE, _D.LOST_REPLIES),
    LossEvent.REPLY: (_D.PASSED, _D.LINE_STARTS | _D.REPLIED),
    LossEvent.SKIPPED_LINE: (_D.LINE_STARTS | _D.REPLIED, _D.PASSED),
    LossEvent.LONE_DOT: (_NONE, _D.LINE_STARTS),
    LossEvent.RESUMED: (_D.SKIPPING | _D.OLD_REPLIES, _NONE),
    LossEvent.RESUMED_LATE: (_D.SKIPPING, _D.OLD_REPLIES),
    LossEvent.MAIL_DATA: (_D.SKIPPING, _NONE),
    LossEvent.END_LOST: (_NONE, _D.SKIPPING),
    LossEvent.ALL_ANSWERED: (_D.OLD_REPLIES, _NONE),
    LossEvent.PAIRED: (_D.LOST_REPLIES, _NONE),
}
# As plain numbers: operators of IntFlag are slow.
_STEPS = {event: (~int(cleared), int(added)) for event, (cleared, added) in _CHANGES.items()}
_SKIPPING, _LINE_STARTS, _REPLIED = int(_D.SKIPPING), int(_D.LINE_STARTS), int(_D.REPLIED)
_PASSED, _OLD, _LOST = int(_D.PASSED), int(_D.OLD_REPLIES), int(_D.LOST_REPLIES)


class LossRecovery:
    """The flags, and where the last gap of the server ends (an offset in its stream)."""

    __slots__ = ("flags", "lost_until")

    def __init__(self) -> None:
        self.flags = _LINE_STARTS | _REPLIED
        self.lost_until = 0

    def note(self, event: LossEvent) -> None:
        """Change the flags as the table says."""
        kept, added = _STEPS[event]
        self.flags = self.flags & kept | added

    @property
    def skipping(self) -> bool:
        """Whether client lines count only from the next certain command on."""
        return bool(self.flags & _SKIPPING)

    @property
    def replies_may_be_old(self) -> bool:
        """Whether a reply may belong to a line that was skipped."""
        return bool(self.flags & _OLD)

    @property
    def replies_lost(self) -> bool:
        """Whether some of the unanswered commands were answered in a gap."""
        return bool(self.flags & _LOST)

    def resumes(self, command: Command, raw: bytes) -> bool:
        """Return whether, while skipping, this line is certainly a command. Mail data may quote a command. So it must
        be well-formed, and either follow a reply or have a verb with which ordinary text does not start."""
        if raw == b".":
            self.note(LossEvent.LONE_DOT)
            return False
        flags, verb = self.flags, command.verb
        certain = command.spec is not None and (not command.deviations or verb in HELLO_VERBS or bool(flags & _REPLIED))
        if certain and (flags & _LINE_STARTS or (verb in STRONG_VERBS and verb == raw[: len(verb)])):
            self.note(LossEvent.RESUMED_LATE if flags & _PASSED else LossEvent.RESUMED)
            return True
        self.note(LossEvent.SKIPPED_LINE)
        return False
