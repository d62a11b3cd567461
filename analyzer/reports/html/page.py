"""The page from its parts: templates, one style sheet and one script, and a policy that allows only these."""

# The bytes of a capture are hostile, and a report is forwarded by mail and opened in a browser. There are three
# protections. Jinja's autoescaping is on for every template. Every printed value goes through `visible`, so that no
# character can hide or reorder text. The policy allows one style sheet and one script, by their hashes, and no request
# to any host. So the templates have no style attributes and no event handlers: variable graphics use SVG's own
# attributes.

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from ...errors import display_path
from ..output import plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jinja2 import Environment

__all__ = ["render", "visible"]


def render(**values: object) -> Iterator[str]:
    """Return the page in pieces, in order; ``values`` are the variables of report.html.jinja."""
    style, script = _part("style.css"), _part("enhance.js")
    policy = "; ".join(
        [
            "default-src 'none'",
            f"style-src '{_hash(style)}'",
            f"script-src '{_hash(script)}'",
            "img-src data:",  # the page's own icon
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    from markupsafe import Markup  # noqa: PLC0415

    template = _environment().get_template("report.html.jinja")
    return template.generate(style=Markup(style), script=Markup(script), policy=policy, **values)


def visible(value: object) -> object:
    """Return text with each invisible character (controls, reordering, zero width) as an escape; other values
    unchanged.

    Markup (the output of a macro) has already been through this function piece by piece.
    """
    return display_path(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _part(name: str) -> str:
    return (resources.files(__package__) / name).read_text("utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _environment() -> Environment:
    # Only this writer needs Jinja, and its import takes as long as a small audit.
    from jinja2 import Environment, FunctionLoader, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        loader=FunctionLoader(_part),
        autoescape=True,
        finalize=visible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = lambda count: f"{count:,}"
    environment.filters["plural"] = plural
    environment.filters["code_parts"] = lambda text: text.split("`")
    return environment
