"""Settings for all tests."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

# "ci" tries the same examples each time, so that a change is rejected only for its own faults. "random" tries new ones;
# what it finds is kept in .hypothesis and tried first the next time.
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("random", derandomize=False, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "random"))

_STARTS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"}


class _Now:
    """The test that runs now, if it must not start a process."""

    quick: str | None = None


def _refuse(event: str, _: tuple[object, ...]) -> None:
    if event in _STARTS and _Now.quick is not None:
        raise AssertionError(f"{_Now.quick} starts a process: mark it slow")


def pytest_configure() -> None:
    """Restore SIGINT, so that Ctrl-C works in programs that the tests start. A background job starts with SIGINT
    ignored, and its children inherit this."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.addaudithook(_refuse)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Only a test that is marked slow starts processes, so that the quick suite stays quick."""
    _Now.quick = None if item.get_closest_marker("slow") else item.nodeid
    try:
        return (yield)
    finally:
        _Now.quick = None


@pytest.fixture
def public(tmp_path: Path) -> Path:
    """Return a folder in which everybody may write, like /tmp."""
    place = tmp_path / "public"
    place.mkdir()
    place.chmod(0o1777)
    return place
