"""What the readers of both sides report about limits, for the handler of both."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conversation import Conversation

__all__ = ["LimitNotes"]


class LimitNotes:
    """Counts what the readers keep, and notes in the report of ``talk`` where a limit cut something off."""

    __slots__ = ("talk",)

    talk: Conversation

    def keeps(self, count: int) -> None:
        """Count ``count`` more bytes that a reader keeps for later."""
        if self.talk.shared is not None:
            self.talk.shared.grown += count

    def long_line(self) -> None:
        """Note that a line of either side is longer than the limit."""
        self.talk.note(f"a line is longer than {self.talk.limits.line_bytes} bytes: only these were examined")

    def long_reply(self) -> None:
        """Note that a reply is longer than the limit."""
        limit = self.talk.limits.reply_bytes
        text = f"a reply is longer than {limit} bytes: it was read as several, lines without a code were omitted"
        self.talk.note(text)
