"""JUnit XML for build servers: a suite for each connection, and in it a case for each rule that found something."""

# The format has no standard; the subset written here is the one that all readers understand. A finding with a severity
# that makes the run fail is a failure. Any other is in the output of a case that passes, so that the build server and
# the exit status agree.

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from ..findings.counts import decrypted
from ..timestamps import parse_time
from .capture_quality import is_unread
from .scope import remarks_on
from .text import address
from .wording import place, remarks, where

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from ..model import Capture, Connection, Finding, Part, Summary
    from .output import Output

__all__ = ["JunitWriter"]

# Characters that XML 1.0 cannot contain, not even as a reference (§2.2).
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# GitLab and Jenkins take [[ATTACHMENT|PATH]] in an output as a file to publish.
_ATTACHMENT = re.compile(r"\[\[([ \t]*ATTACHMENT)", re.IGNORECASE)


_SKIPPED = '<skipped message="encrypted from the start"/>'


class JunitWriter:
    """Writes a suite as soon as its connection has ended. ``failing``: severities that are failures; ``several``: more
    than one capture is read."""

    streams = True

    def __init__(self, output: Output, failing: Collection[str], *, several: bool = False) -> None:
        self._output = output
        self._several = several
        self._failing = failing
        self._started = False

    def capture(self, capture: Capture) -> None:
        """Write a suite with one case: whether the capture was read."""
        content, errors = [], 0
        if is_unread(capture):  # the run ends with status 3
            errors = 1
            content = [_error(capture.problems[0], "unreadable")]
        elif capture.problems:
            content = [_element("system-out", "\n".join(capture.problems))]
        case = _case("read", capture.path, content)
        self._suite(f"capture {capture.path}", capture.first, [case], 0, 0.0, errors)

    def connection(self, connection: Connection) -> None:
        """Write the suite of the connection."""
        ends = f"{address(connection.client)} > {address(connection.server)}"
        parts = connection.captures
        by_rule: dict[str, list[Finding]] = {}
        for finding in connection.findings:
            by_rule.setdefault(finding.rule, []).append(finding)
        cases = [_case(f"{rule} {found[0].name}", ends, self._outcome(found, parts)) for rule, found in by_rule.items()]
        failures = sum(any(self._fails(finding) for finding in found) for found in by_rule.values())
        skipped = not cases and connection.tls == "implicit" and decrypted(connection) == "none"
        if not cases:
            cases = [_case("no finding", ends, [_SKIPPED] if skipped else [])]
        seconds = (parse_time(connection.ended) - parse_time(connection.started)) / 1e9
        location = f" {where(parts)}" if self._several and parts else ""
        name = f"connection {connection.id} {ends}{location}"
        self._suite(name, connection.started, cases, failures, seconds, skipped=int(skipped))

    def finish(self, summary: Summary) -> None:
        """Write what was not looked at, as the output of one more case, and close the document."""
        self._begin()
        remarks = remarks_on(summary)
        if remarks:
            said = _element("system-out", "\n".join(remarks))
            content = [said] if summary.unmet is None else [_error(summary.unmet, "required"), said]
            case = _case("what was not looked at", "smtpwire", content)
            self._suite("smtpwire", None, [case], 0, 0.0, int(summary.unmet is not None))
        self._output.write(b"</testsuites>\n")

    def _begin(self) -> None:
        if not self._started:
            self._started = True
            self._output.write(b'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="smtpwire">\n')

    def _suite(
        self,
        name: str,
        began: str | None,
        cases: list[str],
        failures: int,
        seconds: float,
        errors: int = 0,
        *,
        skipped: int = 0,
    ) -> None:
        self._begin()
        stamp = f" timestamp={_attribute(began[:19])}" if began else ""
        counts = f'tests="{len(cases)}" failures="{failures}" errors="{errors}" skipped="{skipped}"'
        counts += f' time="{max(seconds, 0):.6f}"'
        text = f"<testsuite name={_attribute(name)} {counts}{stamp}>\n{''.join(cases)}</testsuite>\n"
        self._output.write(text.encode("utf-8", "backslashreplace"))

    def _fails(self, finding: Finding) -> bool:
        return finding.severity in self._failing

    def _outcome(self, found: list[Finding], parts: Sequence[Part]) -> Iterator[str]:
        failing = [finding for finding in found if self._fails(finding)]
        others = [finding for finding in found if not self._fails(finding)]
        if failing:
            attributes = f"message={_attribute(failing[0].message)} type={_attribute(failing[0].severity)}"
            yield f"<failure {attributes}>{_text(_report(failing, parts))}</failure>"
        if others:
            yield _element("system-out", _report(others, parts))


def _report(found: list[Finding], parts: Sequence[Part]) -> str:
    return "\n".join(line for finding in found for line in _lines(finding, parts))


def _lines(finding: Finding, parts: Sequence[Part]) -> Iterator[str]:
    yield f"{finding.severity} {finding.rule} {finding.name} ({finding.side}) {place(finding, parts)}"
    if finding.evidence:
        yield f"  | {finding.evidence}"
    yield f"  {finding.message}"
    yield f"  {' · '.join(remarks(finding))}"


def _error(message: str, kind: str) -> str:
    return f"<error message={_attribute(message)} type={_attribute(kind)}/>"


def _case(name: str, of: str, content: Iterator[str] | list[str]) -> str:
    inner = "".join(content)
    opening = f"<testcase name={_attribute(name)} classname={_attribute(of)}"
    return f"{opening}>{inner}</testcase>\n" if inner else f"{opening}/>\n"


def _element(name: str, text: str) -> str:
    return f"<{name}>{_text(text)}</{name}>"


def _text(text: str) -> str:
    return escape(_ATTACHMENT.sub(r"[\\x5b\1", _FORBIDDEN.sub(_shown, text)))


def _attribute(text: str) -> str:
    # Line ends in an attribute would be read as blanks.
    return quoteattr(_FORBIDDEN.sub(_shown, text), {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})


def _shown(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
