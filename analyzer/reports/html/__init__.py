"""The report as one HTML page: no network, no script needed, nothing from the wire but text."""

from __future__ import annotations

from .writer import HtmlWriter

__all__ = ["HtmlWriter"]
