"""The examples in docs/scapy.md run as one session, from top to bottom."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.tree]

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "scapy.md"
if not PAGE.exists():
    pytest.skip("needs the source tree", allow_module_level=True)

# A new interpreter, since Scapy's layers stay bound.
RUN = """
import doctest, re, sys
text = open(sys.argv[1], encoding="utf-8").read()
code = "".join(re.findall(r"^```pycon\\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))
test = doctest.DocTestParser().get_doctest(code, {}, sys.argv[1], sys.argv[1], 0)
result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test)
assert result.attempted > 15, result
sys.exit(result.failed > 0)
"""


def test_the_examples_give_the_shown_output() -> None:
    run = subprocess.run([sys.executable, "-c", RUN, PAGE], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
