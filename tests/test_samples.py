"""The samples give exactly the findings that are listed for them."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from smtpwire import Audit, Connection

pytestmark = pytest.mark.tree

SAMPLES = Path(__file__).parents[1] / "samples"
if not SAMPLES.exists():
    pytest.skip("needs the source tree", allow_module_level=True)
EXPECTED: dict[str, list[str]] = json.loads((SAMPLES / "expected.json").read_text("utf-8"))


def listed(path: Path) -> list[str]:
    """Return the findings in the form of expected.json."""
    found = []
    for one in Audit().run([path]):
        if isinstance(one, Connection):
            for finding in one.findings:
                cause = "" if finding.caused_by is None else f", follows from {one.findings[finding.caused_by].rule}"
                doubt = "" if finding.certainty == "certain" else ", not certain"
                found.append(f"frame {finding.frame}: {finding.severity} {finding.rule} {finding.side}{cause}{doubt}")
    return sorted(found, key=lambda line: int(line.split()[1].rstrip(":")))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_findings(name: str) -> None:
    (path,) = SAMPLES.glob(f"{name}.pcap*")
    if "inside-tls" in name:
        pytest.importorskip("cryptography")
    assert sorted(listed(path)) == sorted(EXPECTED[name])


def test_every_capture_is_expected_and_described() -> None:
    names = {path.stem for path in SAMPLES.glob("*.pcap*")}
    assert len(names) > 12
    assert names == set(EXPECTED)
    readme = (SAMPLES / "README.md").read_text("utf-8")
    assert not [name for name in names if f"`{name}`" not in readme]


def test_findings_and_clean_traffic_are_both_among_them() -> None:
    assert any("SEQ1" in line for lines in EXPECTED.values() for line in lines)
    assert any("BIT2" in line for lines in EXPECTED.values() for line in lines)
    clean = [name for name, lines in EXPECTED.items() if not any(": error" in line for line in lines)]
    assert any(name.endswith("clean-esmtp") for name in clean)


def test_derived_samples_are_what_the_script_makes() -> None:
    spec = importlib.util.spec_from_file_location("derive", SAMPLES / "derive.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert set(module.DERIVED) == {"demo", "gap", "one-sided"}
    for name in module.DERIVED:
        assert (SAMPLES / f"{name}.pcap").read_bytes() == module.derive(name)
