"""The report as one HTML page. It needs no network and no script, and shows bytes from the wire only as text."""

from __future__ import annotations

from .writer import HtmlWriter

__all__ = ["HtmlWriter"]
