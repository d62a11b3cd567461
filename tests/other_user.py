"""Tests in which a second user takes part: only root can give that user a file."""

from __future__ import annotations

import os

import pytest

__all__ = ["NOBODY", "needs_root"]

NOBODY = 65534
"""The user and the group ``nobody``."""

needs_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a file to another user"
)
