"""The content of a wheel: a package that setup.py does not find works in the tree but is missing from the wheel."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

import pytest

import smtpwire
from smtpwire._project import URL

pytestmark = pytest.mark.tree

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_every_directory_with_an_init_is_packaged(monkeypatch: pytest.MonkeyPatch) -> None:
    setuptools = pytest.importorskip("setuptools")
    packaged: list[str] = []
    monkeypatch.setattr(setuptools, "setup", lambda *, packages, project_urls: packaged.extend(packages))
    monkeypatch.chdir(ROOT)
    runpy.run_path("setup.py")
    found = {"smtpwire"}
    for top in ("analyzer", "dissectors", "samples"):
        for init in (ROOT / top).rglob("__init__.py"):
            found.add(".".join(["smtpwire", *init.parent.relative_to(ROOT).parts]))
    assert len(found) > 4
    assert sorted(packaged) == sorted(found)


def test_directories_of_modules_are_packages() -> None:
    for top in ("analyzer", "dissectors", "samples"):
        for module in (ROOT / top).rglob("*.py"):
            assert (module.parent / "__init__.py").is_file(), f"{module.parent} has modules but is no package"


def test_each_top_directory_is_mapped_where_the_links_point() -> None:
    mapped = PYPROJECT["tool"]["setuptools"]["package-dir"]
    for package, directory in mapped.items():
        assert (ROOT / directory / "__init__.py").is_file()
        link = ROOT / "src" / Path(*package.split("."))
        assert link.resolve() == (ROOT / directory).resolve()


def test_the_additional_files_exist() -> None:
    data = PYPROJECT["tool"]["setuptools"]["package-data"]
    mapped = PYPROJECT["tool"]["setuptools"]["package-dir"]
    for package, names in data.items():
        for name in names:
            assert (ROOT / mapped[package] / name).is_file()


def test_every_other_file_is_packaged() -> None:
    data = PYPROJECT["tool"]["setuptools"]["package-data"]
    mapped = PYPROJECT["tool"]["setuptools"]["package-dir"]
    listed = {ROOT / mapped[package] / name for package, names in data.items() for name in names}
    for top in ("analyzer", "dissectors"):
        found = {path for path in (ROOT / top).rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}}
        assert found <= listed, "some files are missing in package-data of pyproject.toml"


def test_the_licence_is_the_one_that_is_declared() -> None:
    assert PYPROJECT["project"]["license"] == "GPL-2.0-or-later"
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert "GNU GENERAL PUBLIC LICENSE" in text
    assert "Version 2, June 1991" in text


def test_the_changelog_knows_the_version_its_date_and_its_tag() -> None:
    version = smtpwire.__version__
    heading = rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d\n\nTag: `v{re.escape(version)}`\.$"
    assert re.search(heading, (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)


def test_the_pythons_that_are_supported_are_named() -> None:
    named = [name.rpartition(" ")[2] for name in PYPROJECT["project"]["classifiers"] if ":: Python :: 3." in name]
    assert PYPROJECT["project"]["requires-python"] == f">={named[0]}"
    assert named == [f"3.{number}" for number in range(11, 11 + len(named))]


def test_the_documents_name_the_address_of_the_project() -> None:
    assert not URL.endswith("/")
    for name in ("README.md", "docs/install.md"):
        named = re.findall(r"git\+(\S+?)(?:@\S+)?[`\s]", (ROOT / name).read_text("utf-8"))
        assert named
        assert set(named) == {URL or "URL"}, f"{name}: write {URL or 'URL'}"
