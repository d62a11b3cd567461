"""Tests in which a second user takes part: only root can give that user a file."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

__all__ = ["NOBODY", "for_everybody", "needs_root"]

NOBODY = 65534
"""The user and the group ``nobody``."""

needs_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a file to another user"
)


def for_everybody(*before: str) -> None:
    """Skip the test if the user nobody may not use this Python. ``before``: words before it in the command line.

    A Python in the home folder of root is one of these, and a Python that finds its library by LD_LIBRARY_PATH: with
    capabilities a program starts without that variable.
    """
    words = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *before]
    done = subprocess.run([*words, sys.executable, "-c", "import smtpwire.analyzer.audit"], check=False, cwd="/")
    if done.returncode:
        pytest.skip("needs a Python that everybody may use")
