"""The packages, as they are found in the folders at the top, and the addresses of the project; all else about the build
is in pyproject.toml."""

import runpy

from setuptools import find_packages, setup

found = find_packages(include=["analyzer*", "dissectors*", "samples"])
url = runpy.run_path("src/smtpwire/_project.py")["URL"]
addresses = {
    "Source": url,
    "Issues": f"{url}/issues",
    "Documentation": f"{url}/blob/main/README.md",
    "Changelog": f"{url}/blob/main/CHANGELOG.md",
}
setup(
    packages=["smtpwire", *(f"smtpwire.{name}" for name in found)],
    project_urls=addresses if url else {},
)
