"""Several reports from one reading: a writer that hands each item to all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..model import Capture, Connection, Summary
    from .output import Output, Writer

__all__ = ["FanOut", "JoinedOutputs"]

_Item = TypeVar("_Item")


class JoinedOutputs:
    """The outputs of several writers as one. ``terminal``: one of them is. One whose reader has gone is left out from
    then on; the last one's going is told."""

    def __init__(self, outputs: Sequence[Output]) -> None:
        self._outputs = list(outputs)
        self.terminal = any(output.terminal for output in outputs)

    def be_patient(self) -> None:
        """See ``Output.be_patient``."""
        for output in self._outputs:
            output.be_patient()

    def settle(self) -> None:
        """See ``Output.settle``."""
        _each(self._outputs, lambda output: output.settle())

    def flush(self) -> None:
        """Write what is still held back. Raises as ``Output.flush`` does."""
        _each(self._outputs, lambda output: output.flush())


class FanOut:
    """Writers in a row. One whose reader has gone (``| head``) is left out from then on; the last one's going is told.

    ``streams``: the one on the terminal writes at once, so that a progress bar would be in its way.
    """

    def __init__(self, writers: Sequence[Writer], *, streams: bool) -> None:
        self._writers = list(writers)
        self.streams = streams

    def capture(self, capture: Capture) -> None:
        """Hand it on."""
        _each(self._writers, lambda writer: writer.capture(capture))

    def connection(self, connection: Connection) -> None:
        """Hand it on."""
        _each(self._writers, lambda writer: writer.connection(connection))

    def finish(self, summary: Summary) -> None:
        """Hand it on."""
        _each(self._writers, lambda writer: writer.finish(summary))


def _each(those: list[_Item], call: Callable[[_Item], None]) -> None:
    """Call for each of them, without those whose reader has gone; raises where that was the last."""
    for one in list(those):
        try:
            call(one)
        except BrokenPipeError:
            those.remove(one)
            if not those:
                raise
