"""The packages, as they are found in the folders at the top; all else about the build is in pyproject.toml."""

from setuptools import find_packages, setup

found = find_packages(include=["analyzer*", "dissectors*", "samples"])
setup(packages=["smtpwire", *(f"smtpwire.{name}" for name in found)])
