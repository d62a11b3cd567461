"""JUnit XML: junitparser and the standard library can read it with any text in it; it fails when the run fails."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
from handmade import capture, connection, finding, output, summary_of
from hypothesis import given
from hypothesis import strategies as st

from smtpwire.analyzer.reports.junit import JunitWriter

if TYPE_CHECKING:
    from smtpwire.analyzer.model import Connection


def document(*connections: Connection, failing: tuple[str, ...] = ("error",), path: str = "a.pcap") -> str:
    out, stream = output()
    writer = JunitWriter(out, failing)
    for one in connections:
        writer.connection(one)
    seen = capture()
    seen.path = path
    writer.capture(seen)
    writer.finish(summary_of(*connections))
    return stream.getvalue().decode()


def test_junitparser_counts_the_same() -> None:
    junitparser = pytest.importorskip("junitparser")
    text = document(
        connection(1, findings=[finding(), finding(frame=9), finding("MSG701", name="x", severity="warning")]),
        connection(2, findings=[]),
    )
    first, second, read = junitparser.JUnitXml.fromstring(text.encode())
    assert (first.tests, first.failures) == (2, 1)
    assert (second.tests, second.failures) == (1, 0)
    assert read.name == "capture a.pcap"
    failed, passed = first
    assert failed.name == "SEQ101 mail-before-hello"
    assert failed.result[0].type == "error"
    assert "frame 9" in failed.result[0].text
    assert not passed.result


@pytest.mark.parametrize(("failing", "failures"), [((), 0), (("error",), 1), (("error", "warning"), 2)])
def test_it_fails_when_the_run_fails(failing: tuple[str, ...], failures: int) -> None:
    text = document(connection(findings=[finding(), finding("MSG701", severity="warning")]), failing=failing)
    found = ElementTree.fromstring(text)
    assert len(found.findall(".//failure")) == failures
    assert sum(int(suite.get("failures", "0")) for suite in found) == failures


def test_a_finding_that_passes_is_still_reported() -> None:
    text = document(connection(findings=[finding("MSG701", severity="warning", message="no date")]))
    assert "no date" in (ElementTree.fromstring(text).findtext(".//system-out") or "")


@given(st.text(), st.text())
def test_any_text_gives_a_valid_document(text: str, path: str) -> None:
    one = connection(findings=[finding(message=text, evidence=text)])
    found = ElementTree.fromstring(document(one, path=path))
    assert len(found) == 2


def test_characters_that_xml_cannot_contain_are_shown() -> None:
    found = ElementTree.fromstring(document(connection(findings=[finding(message="a\x00b\x1bc\ufffe]]>")])))
    failure = found.find(".//failure")
    assert failure is not None
    assert failure.get("message") == "a\\x00b\\x1bc\\ufffe]]>"


def test_a_capture_that_cannot_be_read_is_an_error() -> None:
    out, stream = output()
    writer = JunitWriter(out, ())
    seen = capture()
    seen.frames, seen.problems = 0, ["no capture file: name another one"]
    writer.capture(seen)
    writer.finish(summary_of())
    found = ElementTree.fromstring(stream.getvalue())
    assert found[0].get("errors") == "1"
    error = found.find(".//error")
    assert error is not None
    assert error.get("message") == "no capture file: name another one"


def test_an_empty_run_gives_a_valid_document() -> None:
    out, stream = output()
    JunitWriter(out, ()).finish(summary_of())
    assert ElementTree.fromstring(stream.getvalue()).tag == "testsuites"


@pytest.mark.parametrize(
    "mark", ["[[ATTACHMENT|/etc/passwd]]", "[[attachment|x]]", "[[ ATTACHMENT|x]]", "[[[ATTACHMENT|x]]"]
)
def test_no_text_attaches_a_file(mark: str) -> None:
    """GitLab and Jenkins publish the file that such a text in an output names."""
    for severity in ("error", "info"):
        one = connection(1, findings=[finding(severity=severity, message=mark, evidence=mark)])
        root = ElementTree.fromstring(document(one))
        for element in root.iter():
            if element.tag in {"system-out", "system-err", "failure", "error"}:
                assert not re.search(r"\[\[\s*attachment", element.text or "", re.IGNORECASE)
                assert "ATTACHMENT" in (element.text or "").upper()
