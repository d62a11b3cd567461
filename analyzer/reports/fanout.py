"""Several reports from one reading: a writer that hands each item to all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..model import Capture, Connection, Summary
    from .output import Output, Writer

__all__ = ["FanOut", "Flushed"]


class Flushed:
    """The outputs of several writers as one. ``terminal``: one of them is."""

    def __init__(self, outputs: Sequence[Output]) -> None:
        self._outputs = outputs
        self.terminal = any(output.terminal for output in outputs)

    def be_patient(self) -> None:
        """See ``Output.be_patient``."""
        for output in self._outputs:
            output.be_patient()

    def settle(self) -> None:
        """See ``Output.settle``."""
        for output in self._outputs:
            output.settle()

    def flush(self) -> None:
        """Write what is still held back. Raises as ``Output.flush`` does."""
        for output in self._outputs:
            output.flush()


class FanOut:
    """Writers in a row. One whose reader has gone (``| head``) is left out from then on; the last one's going is told.

    ``streams``: the one on the terminal writes at once, so that a progress bar would be in its way.
    """

    def __init__(self, writers: Sequence[Writer], *, streams: bool) -> None:
        self._writers = list(writers)
        self.streams = streams

    def capture(self, capture: Capture) -> None:
        """Hand it on."""
        self._each(lambda writer: writer.capture(capture))

    def connection(self, connection: Connection) -> None:
        """Hand it on."""
        self._each(lambda writer: writer.connection(connection))

    def finish(self, summary: Summary) -> None:
        """Hand it on."""
        self._each(lambda writer: writer.finish(summary))

    def _each(self, call: Callable[[Writer], None]) -> None:
        for writer in list(self._writers):
            try:
                call(writer)
            except BrokenPipeError:
                self._writers.remove(writer)
                if not self._writers:
                    raise
