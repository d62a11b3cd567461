"""MSG713 to MSG719: fields, labels and dots of a message. examples.toml has two dialogues for each rule too."""

from __future__ import annotations

import pytest
from examples import played
from scripts import MESSAGE, Script, by_byte, envelope, findings, hello, lines, play, rules

FAMILY = ("MSG", "LEN003", "BIT20", "BIT214")
DATE = "Date: Mon, 2 Nov 2026 10:00:00 +0000\r\n"
FROM = "From: a@client.example\r\n"
ID = "Message-ID: <1@client.example>\r\n"
MIME = "MIME-Version: 1.0\r\n"


def sent(message: str, parameters: str = "", *, chunked: bool = False) -> Script:
    """A session that sends ``message``."""
    start = [*hello("CHUNKING", "BINARYMIME", "8BITMIME"), *envelope(parameters)]
    if chunked:
        start += [("C", f"BDAT {len(message)} LAST\r\n{message}")]
    else:
        start += [*lines("C DATA", "S 354 go"), ("C", f"{message}.\r\n")]
    return [*start, *lines("S 250 queued", "C QUIT", "S 221 bye")]


def only(message: str, profile: str = "rfc5321") -> tuple[str, str, str, str]:
    """Rule, severity, message and evidence of the only finding."""
    script = sent(message)
    (finding,) = findings(script, profile=profile, select=FAMILY)
    wire = "".join(str(text) for who, text in script if who == "C")
    assert wire[finding.offset :].startswith(finding.evidence)
    return finding.rule, finding.severity, finding.message, finding.evidence


def test_a_missing_message_id() -> None:
    assert only(f"{DATE}{FROM}\r\n")[:2] == ("MSG713", "info")
    for profile in ("submission", "lmtp", "rfc821"):
        assert findings(sent(f"{DATE}{FROM}\r\n"), profile=profile, select=FAMILY) == []


def test_a_malformed_message_id() -> None:
    message = f"{DATE}{FROM}Message-Id: 1@client.example\r\n\r\n"
    told = "Message-ID: 1@client.example has no angle brackets."
    assert only(message) == ("MSG713", "warning", told, "Message-Id: 1@client.example")
    assert only(message, "submission")[:2] == ("MSG713", "info")
    assert findings(sent(message), profile="lmtp", select=FAMILY) == []
    assert only(f"{DATE}{FROM}Message-ID:\r\n\r\n")[2] == "Message-ID is empty."


def test_an_empty_message_needs_no_message_id() -> None:
    assert rules(sent(""), select=FAMILY) == ["MSG705"]


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("From: root\r\n", "From: root has no domain."),
        ("From: a@client.example, root (Cron)\r\n", "From: root has no domain."),
        ("From:\r\n", "From is empty."),
        ("From: a@client.example,\r\n b@client.example\r\n", "From has 2 authors, and there is no Sender."),
    ],
)
def test_an_author_who_cannot_be_used(field: str, told: str) -> None:
    rule, severity, message, evidence = only(f"{DATE}{field}{ID}\r\n")
    assert (rule, severity, message) == ("MSG714", "warning", told)
    assert field.startswith(evidence)


def test_a_return_path() -> None:
    message = f"{DATE}{FROM}{ID}Return-Path: <a@client.example>\r\n\r\n"
    assert only(message)[:2] == ("MSG716", "info")
    assert only(message, "submission")[:2] == ("MSG716", "warning")
    assert findings(sent(message), profile="lmtp", select=FAMILY) == []


@pytest.mark.parametrize(
    "field", ["Content-Type: text/html\r\n", "Content-Transfer-Encoding: base64\r\n", "content-type:\r\n"]
)
def test_fields_of_mime_without_a_version(field: str) -> None:
    rule, severity, message, evidence = only(f"{DATE}{FROM}{ID}{field}\r\n=\r\n")
    assert (rule, severity, evidence) == ("MSG717", "warning", field.strip())
    assert message.lower().startswith(field.partition(":")[0].lower())
    assert findings(sent(f"{DATE}{FROM}{ID}{MIME}Content-Type: text/html\r\n\r\n"), select=FAMILY) == []
    assert findings(sent(f"{DATE}{FROM}{ID}Content-ID: <1@x>\r\n\r\n"), select=FAMILY) == []


@pytest.mark.parametrize("name", ["MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Content-ID"])
def test_fields_of_mime_occur_once(name: str) -> None:
    assert rules(sent(f"{DATE}{FROM}{ID}{MIME}{name}: 7bit\r\n{name}: 7bit\r\n\r\n"), select=FAMILY) == ["MSG703"]


# -- labels ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", ["", "7bit", "quoted-printable", "BASE64"])
def test_an_untrue_label(label: str) -> None:
    field = f"Content-Transfer-Encoding: {label}\r\n" if label else ""
    script = sent(f"{DATE}{FROM}{ID}{MIME}{field}\r\naaa\r\n\xe9\xe9aa\r\n", "BODY=8BITMIME")
    for cut in (None, by_byte):
        first = next(one for one in findings(script, select=FAMILY, cut=cut) if one.rule == "MSG715")
        wire = "".join(str(text) for who, text in script if who == "C")
        assert (first.severity, first.offset, first.length) == ("warning", wire.index("\xe9"), 1)
        assert "0xE9" in first.message
        assert (label.lower() or "7bit") in first.message


@pytest.mark.parametrize("label", ["8bit", "binary", "x-own"])
def test_a_label_that_allows_all_octets(label: str) -> None:
    fields = f"{MIME}Content-Transfer-Encoding: {label}\r\n"
    assert rules(sent(f"{DATE}{FROM}{ID}{fields}\r\n\xe9\r\n", "BODY=8BITMIME"), select=FAMILY) == []


def test_without_mime_there_is_no_label() -> None:
    assert rules(sent(f"{DATE}{FROM}{ID}\r\n\xe9\r\n", "BODY=8BITMIME"), select=FAMILY) == ["BIT214"]


def test_label_and_transport_are_judged_separately() -> None:
    assert rules(sent(f"{DATE}{FROM}{ID}{MIME}\r\n\xe9\r\n"), select=FAMILY) == ["BIT207", "MSG715"]


# -- dots --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("..a\r\n..\r\n", ["MSG718"]),
        ("..a\r\n", []),
        ("..a\r\n.b\r\n", []),
        ("...a\r\n...b\r\n", []),
        ("...a\r\n..b\r\n", ["MSG718"]),
    ],
)
def test_doubled_dots_in_a_chunk(body: str, expected: list[str]) -> None:
    message = f"{DATE}{FROM}{ID}\r\n{body}"
    for cut in (None, by_byte):
        assert rules(sent(message, chunked=True), select=FAMILY, cut=cut) == expected
    assert rules(sent(message, "BODY=BINARYMIME", chunked=True), select=FAMILY) == []


def test_doubled_dots_in_two_chunks() -> None:
    message = f"{DATE}{FROM}{ID}\r\nx\r\n..a\r\n..b\r\n..c\r\n"
    cut = message.index("..b") + 1
    start = [*hello("CHUNKING"), *envelope(), ("C", f"BDAT {cut}\r\n{message[:cut]}"), *lines("S 250 ok")]
    script = [*start, ("C", f"BDAT {len(message) - cut} LAST\r\n{message[cut:]}"), *lines("S 250 ok")]
    (finding,) = findings(script, select=FAMILY)
    assert finding.message.startswith("All 3 lines")


DATA: Script = [*hello(), *envelope(), *lines("C DATA", "S 354 go")]


@pytest.mark.parametrize("end", [[("FC", "")], [("S", "421 timeout\r\n"), ("FS", "")], [("FS", "")], [("RC", "")]])
@pytest.mark.parametrize("after", ["QUIT\r\n", "RSET\r\nQUIT\r\n"])
def test_a_glued_dot(after: str, end: Script) -> None:
    script = [*DATA, ("C", f"{MESSAGE[:-2]}.\r\n{after}"), *end]
    connection = play(script)
    first = connection.findings[0]
    assert (first.rule, first.severity, first.side) == ("MSG719", "error", "client")
    assert "[6 bytes not shown] is text" in first.message
    for verb in after.split():
        assert verb in first.message
    for other in connection.findings[1:]:
        assert (other.rule, other.caused_by) == ("TCP903", 0)


def test_a_glued_dot_in_a_segment_of_its_own() -> None:
    start = [*DATA, ("C", MESSAGE[:-2])]
    rest = lines("C RSET", "C MAIL FROM:<a@client.example>")
    assert rules([*start, ("C", ".\r\n"), *rest, ("FC", "")]) == ["MSG719", "TCP903"]
    assert rules([*DATA, ("C", MESSAGE[:-2] + ".\r\n"), *rest, ("FC", "")]) == ["TCP903"]


@pytest.mark.parametrize(("seconds", "expected"), [(4, ["TCP903"]), (6, ["MSG719", "TCP903"])])
def test_a_client_that_waits_after_the_dot(seconds: int, expected: list[str]) -> None:
    start = ["S: 220 mx.example", "C: EHLO client.example", "S: 250 mx.example", "C: MAIL FROM:<a@client.example>"]
    start += ["S: 250 ok", "C: RCPT TO:<b@mx.example>", "S: 250 ok", "C: DATA", "S: 354 go", "C: Subject: x", "C:"]
    (connection,) = played([*start, "C: hello.", f"wait {seconds}", "FC"], profile=None, port=25)
    assert [one.rule for one in connection.findings] == expected


@pytest.mark.parametrize(
    "text",
    [
        f"{MESSAGE}That is the end.\r\n.\r\n",  # the end of data comes after all
        f"{MESSAGE}That is the end.\r\nNo, there is more\r\n",
        f"{MESSAGE}That is the end.\r\nNo, there is",
        f"{MESSAGE}That is the end.\r\n",  # the client did not wait
        f"{MESSAGE}hello\n.\r\nQUIT\r\n",  # SEC612
    ],
)
def test_a_dot_that_is_not_glued(text: str) -> None:
    assert "MSG719" not in rules([*DATA, ("C", text), ("FC", "")])


def test_a_long_line_is_reported_before_the_reply_that_it_causes() -> None:
    long = f"{MESSAGE}{'x' * 1500}\r\n"
    for end in ([("S", "500 line too long\r\n"), ("FS", "")], [("FC", "")]):
        found = play([*DATA, ("C", long), *end]).findings
        assert [one.rule for one in found if one.rule == "LEN003"] == ["LEN003"]
        assert found[0].rule == "LEN003"
    script = [*DATA, ("C", long), ("S", "500 line too long\r\n"), ("C", ".\r\n"), ("S", "250 ok\r\n")]
    assert [one.rule for one in play(script).findings].count("LEN003") == 1


@pytest.mark.parametrize("last", ["", " LAST"])
def test_a_long_line_in_chunks_that_never_end(last: str) -> None:
    for parameter, expected in (("", ["LEN003"]), ("BODY=BINARYMIME", [])):
        start = [*hello("CHUNKING", "BINARYMIME"), *envelope(parameter)]
        script = [*start, ("C", f"BDAT {2000 if last else 1502}{last}\r\n{'x' * 1500}\r\n"), ("FC", "")]
        assert rules(script, select=("LEN003",)) == expected
