"""Several reports from one run: a writer that passes each item to several writers."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..model import Capture, Connection, Summary
    from .output import Output, Writer

__all__ = ["FanOut", "JoinedOutputs"]

_Item = TypeVar("_Item")


class JoinedOutputs:
    """The outputs of several writers as one. ``terminal``: one of them is a terminal. An output whose reader has gone
    is omitted from then on; BrokenPipeError is raised when the last one has gone."""

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
        """Write what is still buffered. Raises as ``Output.flush`` does."""
        _each(self._outputs, lambda output: output.flush())


class FanOut:
    """A list of writers. A writer whose reader has gone (``| head``) is omitted from then on; BrokenPipeError is raised
    when the last one has gone.

    ``streams``: the writer on the terminal writes at once, so a progress bar would disturb it.
    """

    def __init__(self, writers: Sequence[Writer], *, streams: bool) -> None:
        self._writers = list(writers)
        self.streams = streams

    def capture(self, capture: Capture) -> None:
        """Pass the capture to every writer."""
        _each(self._writers, lambda writer: writer.capture(capture))

    def connection(self, connection: Connection) -> None:
        """Pass the connection to every writer."""
        _each(self._writers, lambda writer: writer.connection(connection))

    def finish(self, summary: Summary) -> None:
        """Pass the summary to every writer."""
        _each(self._writers, lambda writer: writer.finish(summary))


def _each(items: list[_Item], call: Callable[[_Item], None]) -> None:
    """Call ``call`` for each item and remove those whose reader has gone. Raises BrokenPipeError if that was the
    last."""
    for one in list(items):
        try:
            call(one)
        except BrokenPipeError:
            items.remove(one)
            if not items:
                raise
