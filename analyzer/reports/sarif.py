"""SARIF 2.1.0 (OASIS), for code scanning and other tools that show the findings of linters."""

# A SARIF result points at lines of a text file, and a capture has none. So the report contains a transcript of the
# connections with findings, embedded as the contents of an artifact, and each result points at the line of the turn
# that it is about. All rules are declared, also those that found nothing: "ran and found nothing" is a result too.
#
# The fingerprint is the one of the baseline: the same violation has the same fingerprint in another run, with other
# ports, times and names. GitHub treats results with one fingerprint as one alert, so each result gets a second one with
# a counter.
#
# The text of a message has a small syntax: [text](link) and {0}. What is quoted from the wire must stay text, so every
# message is made by `_message`.

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from msgspec import UNSET

from ..._project import URL, page
from ..findings.baseline import fingerprint
from ..rules import RULES, example_of
from .capture_quality import is_unread
from .rule_docs import FAMILIES, paragraphs, scripts
from .scope import remarks_on
from .text import address
from .transcript import Transcript
from .wording import part_of

if TYPE_CHECKING:
    from ..model import Capture, Connection, Finding, Severity, Summary
    from ..rules import Rule
    from .output import Output

__all__ = ["SarifWriter"]

SCHEMA_URI = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
TRANSCRIPT = "smtp-transcript.txt"
# GitHub takes 25,000 results for each run, and 10 MB of gzipped text.
MAX_RESULTS = 25_000
MAX_TRANSCRIPT = 8_000_000
_LEVEL: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "note"}
# The severity that GitHub gives to alerts that are tagged `security`, as CVSS numbers.
_SECURITY: dict[Severity, str] = {"error": "7.5", "warning": "5.0", "info": "2.0"}


class SarifWriter:
    """Writes one document at the end of the run; results are kept in their encoded form."""

    streams = False

    def __init__(self, output: Output, version: str) -> None:
        self._output = output
        self._version = version
        self._encode = msgspec.json.Encoder().encode
        self._captures: list[Capture] = []
        self._results: list[msgspec.Raw] = []
        self._omitted = 0
        self._transcript = Transcript(MAX_TRANSCRIPT)
        self._index = {rule_id: number for number, rule_id in enumerate(sorted(RULES))}
        self._occurrences: dict[str, int] = {}

    def capture(self, capture: Capture) -> None:
        """Keep the capture."""
        self._captures.append(capture)

    def connection(self, connection: Connection) -> None:
        """Keep the results of its findings."""
        if not connection.findings:
            return
        room = MAX_RESULTS - len(self._results)
        self._omitted += max(len(connection.findings) - room, 0)
        lines = self._transcript.add(connection) if room > 0 else None
        for finding in connection.findings[: max(room, 0)]:
            self._results.append(msgspec.Raw(self._encode(self._result(finding, connection, lines))))

    def finish(self, summary: Summary) -> None:
        """Write the document."""
        document = {"$schema": SCHEMA_URI, "version": "2.1.0", "runs": [self._run(summary)]}
        self._output.write(self._encode(document) + b"\n")

    def _run(self, summary: Summary) -> dict[str, Any]:
        driver = {
            "name": "smtpwire",
            "version": self._version,
            "semanticVersion": self._version,
            "rules": [_declared(RULES[rule_id], self._version) for rule_id in sorted(RULES)],
        }
        if URL:
            driver["informationUri"] = URL
        transcript = {
            "location": {"uri": TRANSCRIPT},
            "mimeType": "text/plain",
            "encoding": "UTF-8",
            "contents": {"text": self._transcript.text()},
        }
        return {
            "tool": {"driver": driver},
            "columnKind": "unicodeCodePoints",
            "invocations": [
                {
                    "executionSuccessful": summary.unmet is None and not any(map(is_unread, self._captures)),
                    "toolExecutionNotifications": list(self._notifications(summary)),
                }
            ],
            "artifacts": [transcript, *map(_artifact, self._captures)],
            "results": self._results,
            "properties": {
                "connections": summary.connections,
                "messages": summary.messages,
                "findings": dict(summary.findings),
            },
        }

    def _notifications(self, summary: Summary) -> list[dict[str, Any]]:
        found = [
            {
                "level": "warning",
                "message": _message(problem),
                "locations": [{"physicalLocation": {"artifactLocation": {"uri": _uri(capture.path), "index": number}}}],
            }
            for number, capture in enumerate(self._captures, 1)
            for problem in capture.problems
        ]
        omissions = (
            (self._omitted, f"{self._omitted:,} findings are omitted: the report contains the first {MAX_RESULTS:,}."),
            (
                self._transcript.omitted,
                f"The transcript omits {self._transcript.omitted:,} connections: their findings point at its line 1.",
            ),
        )
        texts = [text for count, text in omissions if count] + remarks_on(summary)
        return found + [{"level": "note", "message": _message(text)} for text in texts]

    def _result(self, finding: Finding, connection: Connection, lines: list[int] | None) -> dict[str, Any]:
        known = fingerprint(finding, connection)
        count = self._occurrences[known] = self._occurrences.get(known, 0) + 1
        text = finding.message
        if finding.certainty == "indeterminate":
            text += " (Not certain: the capture does not show enough.)"
        result: dict[str, Any] = {
            "ruleId": finding.rule,
            "ruleIndex": self._index.get(finding.rule, -1),
            "kind": "fail",
            "level": _LEVEL[finding.severity],
            "message": _message(text),
            "locations": [self._location(finding, connection, lines)],
            "partialFingerprints": {
                "smtpwire/v1": known,
                "primaryLocationLineHash": f"{known[:16]}:{count}",
            },
            "occurrenceCount": max(finding.count, 1),
            "properties": {
                "name": finding.name,
                "side": finding.side,
                "certainty": finding.certainty,
                "reference": finding.reference,
                "connection": connection.id,
                "capture": None if (part := part_of(connection.captures, finding.time)) is None else part.path,
                "frame": finding.frame,
                "offset": finding.offset,
                "length": finding.length,
                "time": finding.time,
                "evidence": finding.evidence,
            },
        }
        if finding.inside is not UNSET:
            result["properties"]["inside"] = finding.inside
        cause = finding.caused_by
        if cause is not None and 0 <= cause < len(connection.findings):
            why = connection.findings[cause]
            related = self._location(why, connection, lines)
            related["id"] = 1
            related["message"] = _message(f"follows from {why.rule}: {why.message}")
            result["relatedLocations"] = [related]
        return result

    def _location(self, finding: Finding, connection: Connection, lines: list[int] | None) -> dict[str, Any]:
        region: dict[str, Any] = {"startLine": 1}
        if lines is not None:
            turn = finding.turn
            number = lines[turn] if turn is not None and 0 <= turn < len(lines) - 1 else lines[-1]
            region = {"startLine": number, "snippet": {"text": self._transcript.line(number)}}
        ends = f"{address(connection.client)} > {address(connection.server)}"
        return {
            "physicalLocation": {"artifactLocation": {"uri": TRANSCRIPT, "index": 0}, "region": region},
            "logicalLocations": [
                {
                    "name": f"frame {finding.frame}",
                    "fullyQualifiedName": f"{ends} frame {finding.frame}",
                    "kind": "frame",
                }
            ],
        }


# A brace starts a placeholder and is doubled (SARIF 2.1.0 §3.11.5). A bracket starts a link and gets a backslash
# (§3.11.6); backslashes before it are doubled, or the last one would be escaped instead of the bracket.
_SYNTAX = re.compile(r"[{}]|(?<!\\)\\*+[\[\]]|[\[\]]")


def _message(text: str) -> dict[str, str]:
    """Return a message object in which nothing of ``text`` is a link or a placeholder."""
    return {"text": _SYNTAX.sub(_escaped, text)}


def _escaped(found: re.Match[str]) -> str:
    return found[0] * 2 if found[0] in "{}" else found[0][:-1] * 2 + "\\" + found[0][-1]


def _declared(rule: Rule, version: str) -> dict[str, Any]:
    tags = [FAMILIES.get(rule.family, rule.family), rule.side]
    properties: dict[str, Any] = {"tags": tags, "precision": "very-high"}
    properties["problem.severity"] = "recommendation" if rule.severity == "info" else rule.severity
    if rule.family == "SEC":
        tags.append("security")
        properties["security-severity"] = _SECURITY[rule.severity]
    text, markdown = _help(rule)
    declared = {
        "id": rule.id,
        "name": rule.name,
        "shortDescription": {"text": f"{rule.title}."},
        "fullDescription": {"text": " ".join(paragraphs(rule)) or f"{rule.title}."},
        "help": {"text": text, "markdown": markdown},
        "defaultConfiguration": {"level": _LEVEL[rule.severity]},
        "properties": properties,
    }
    address = page("docs/rules.md", version)
    if address is not None and example_of(rule.id) is not None:  # rules of plugins have none
        declared["helpUri"] = f"{address}#{rule.id.lower()}-{rule.name}"
    return declared


def _help(rule: Rule) -> tuple[str, str]:
    """Return the same help as text and as Markdown."""
    text, markdown = [f"{rule.title}."], [f"**{rule.title}.**"]
    if rule.reference:
        text.append(rule.reference)
        markdown.append(rule.reference)
    text += paragraphs(rule)
    markdown += paragraphs(rule)
    for heading, script in scripts(rule):
        text.append("\n".join([f"{heading}:", *(f"  {line}" for line in script)]))
        markdown.append("\n".join([f"{heading}:", "", *(f"    {line}" for line in script)]))
    return "\n\n".join(text), "\n\n".join(markdown)


def _artifact(capture: Capture) -> dict[str, Any]:
    return {
        "location": {"uri": _uri(capture.path)},
        "roles": ["analysisTarget"],
        "mimeType": "application/vnd.tcpdump.pcap",
        "properties": {"frames": capture.frames, "bytes": capture.bytes, "format": capture.format},
    }


def _uri(path: str) -> str:
    """Return a path as a URI reference (RFC 3986): a relative path stays relative."""
    if path.startswith("/"):
        return "file://" + quote(path)
    return quote(path) or "stdin"
