"""docs/wireshark.md: its commands run in order, in a folder with the samples and an empty home."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.tree]

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "wireshark.md"
if not PAGE.exists() or shutil.which("tshark") is None:
    pytest.skip("needs the source tree and tshark", allow_module_level=True)


def test_the_documented_output_is_the_real_output(tmp_path: Path) -> None:
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"HOME": str(tmp_path), "PATH": path, "LC_ALL": "C.UTF-8"}
    blocks = re.findall(r"^```console\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    shown = [part for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    assert len(shown) > 5
    for command, _, expected in (part.partition("\n") for part in shown):
        run = subprocess.run(
            ["sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, check=False, timeout=60
        )
        literal = re.sub(r"([\[\]*?])", r"[\1]", expected)
        pattern = re.sub(r"\.\.\.\n?", "*", literal)
        assert fnmatchcase(run.stdout.decode(), pattern), (command, run.stdout.decode(), run.stderr.decode())
