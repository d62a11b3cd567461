"""Settings for all tests."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Restore SIGINT, so that Ctrl-C works in programs that the tests start. A background job starts with SIGINT
    ignored, and its children inherit this."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
