"""A hook of MkDocs: makes the pages of the site that docs/ does not hold, and turns links into those of the site."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File, Files

import smtpwire
from smtpwire import RULES, dissectors, plugin
from smtpwire._project import URL, page
from smtpwire._version import __version__
from smtpwire.analyzer.reports.rule_docs import FAMILIES, as_markdown, as_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

    from smtpwire.analyzer.rules import Rule

__all__ = ["on_config", "on_files", "on_page_markdown"]

ROOT = Path(__file__).parents[1]
# Files of the repository that are pages of the site; those of docs/ have the same name there.
MOVED = {
    "README.md": "index.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "samples/README.md": "samples.md",
}
ORIGIN = {there: here for here, there in MOVED.items()}
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?![a-z]+:|#)([^)#\s]+)(#[^)]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Link to the repository, if its address is known."""
    config.repo_url = URL or None
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from other files and from the code."""
    made = {there: (ROOT / here).read_text("utf-8") for here, there in MOVED.items()}
    made["reference.md"] = _reference()
    made["rules.md"] = "\n".join(_rules((ROOT / "docs" / "rules.md").read_text("utf-8")))
    made |= {f"rules/{rule.id}.md": _rule(rule) for rule in RULES.values()}
    for name, text in made.items():
        old = files.get_file_from_path(name)
        if old is not None:
            files.remove(old)
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the repository into links between pages."""
    here = page.file.src_uri
    # Highlighting takes a line `#1 192.0.2.1:...` of our reports for a command of root.
    markdown = markdown.replace("\n```console\n", "\n```text\n")
    return LINK.sub(lambda found: _link(found, here), markdown)


def _link(found: re.Match[str], here: str) -> str:
    image, text, target, anchor = found.groups()
    origin = ORIGIN.get(here, f"docs/{here}")
    path = posixpath.normpath(posixpath.join(posixpath.dirname(origin), target))
    there = MOVED.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else None)
    if there is not None:
        return f"{image}[{text}]({posixpath.relpath(there, posixpath.dirname(here) or '.')}{anchor or ''})"
    if not (ROOT / path).exists():
        return found[0]  # which MkDocs reports
    address = page(path, __version__)
    return text if address is None else f"[{text}]({address})"


def _rules(whole: str) -> Iterator[str]:
    """Return the lines of the list of rules: what is before the first rule of docs/rules.md, and a table."""
    yield re.split(r"^(?:\*\*[A-Z]{3}: |\||## )", whole, maxsplit=1, flags=re.MULTILINE)[0]
    for family, what in FAMILIES.items():
        yield f"\n## {family}: {what}\n"
        members = [rule for _, rule in sorted(RULES.items()) if rule.family == family]
        yield as_table(members, "[{id}](rules/{id}.md) `{name}`")


def _rule(rule: Rule) -> str:
    """Return the page of one rule."""
    text = as_markdown([rule]).replace("### ", "# ", 1)
    return f"{text}\n[All rules](../rules.md)\n"


def _reference() -> str:
    """Return a page with a directive of mkdocstrings for each public name."""
    lines = ["# Reference of the API", "", "[The public API](api.md) shows these names in use.", ""]
    packages: tuple[ModuleType, ...] = (smtpwire, plugin, dissectors)
    for package in packages:
        lines += [f"## `{package.__name__}`", ""]
        lines += [f"::: {package.__name__}.{name}\n" for name in package.__all__ if _is_ours(getattr(package, name))]
    return "\n".join(lines)


def _is_ours(value: object) -> bool:
    """Whether to describe what a package exports: not its version, and no class of another distribution."""
    if isinstance(value, type):
        return value.__module__.startswith("smtpwire.")
    return not isinstance(value, str)
