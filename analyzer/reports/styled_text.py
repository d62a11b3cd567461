"""Lines of styled text, and their output: with Rich if there is colour, without it otherwise."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..model import Severity, Side
    from .output import Output

__all__ = ["SEVERITIES", "SEVERITY_STYLE", "SIDE_STYLE", "Line", "Span", "clip", "paint", "wrapped"]

# A style, in Rich's syntax ("" for none), and the text that has it.
Span = tuple[str, str]
Line = list[Span]

# Worst first, with their plurals.
SEVERITIES: tuple[tuple[Severity, str], ...] = (("error", "errors"), ("warning", "warnings"), ("info", "info"))
SEVERITY_STYLE: dict[Severity, str] = {"error": "bold red", "warning": "bold yellow", "info": "bold cyan"}
SIDE_STYLE: dict[Side, str] = {"client": "blue", "server": "magenta", "path": "cyan"}


def paint(output: Output, lines: Iterable[Line]) -> None:
    """Write ``lines`` in one piece. Rich is imported only if there is colour: the import costs as much as a small
    audit."""
    if not output.colour:
        output.text("".join("".join(text for _, text in line).rstrip() + "\n" for line in lines))
        return
    from rich.color import ColorSystem  # noqa: PLC0415
    from rich.style import Style  # noqa: PLC0415

    parse, standard = Style.parse, ColorSystem.STANDARD
    painted = [
        "".join(parse(style).render(text, color_system=standard) if style else text for style, text in line)
        for line in lines
    ]
    output.text("".join(line + "\n" for line in painted))


def wrapped(text: str, width: int, indent: str, style: str = "", *, first: str | None = None) -> Iterator[Line]:
    """Wrap prose into lines of at most ``width`` columns, each after ``indent`` (the first after ``first``, if
    given)."""
    start = indent if first is None else first
    room = max(width, len(indent) + 20)
    for line in textwrap.wrap(text, room, initial_indent=start, subsequent_indent=indent, break_on_hyphens=False):
        yield [(style, line)]


def clip(text: str, room: int) -> str:
    """Return quoted bytes in ``room`` columns; an ellipsis replaces what is cut off."""
    return text if len(text) <= room else text[: max(room - 1, 1)] + "…"
