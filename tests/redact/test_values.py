"""Redaction of findings goes by the types of their values."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from handmade import finding
from msgspec.structs import asdict
from scripts import END, Script, envelope, hello, lines, segments
from secret_dialogues import BODY, LOGIN, PASSWORD, SCRIPTS, b64
from written import capture_of, everything, forms_of_secret, written

from smtpwire.analyzer.audit import audit
from smtpwire.analyzer.connections.tracker import Tracker
from smtpwire.analyzer.enums import Redact, ReportFormat
from smtpwire.analyzer.findings.rendering import RecordedFinding
from smtpwire.analyzer.findings.rulebook import RuleBook
from smtpwire.analyzer.limits import DEFAULT_LIMITS
from smtpwire.analyzer.model import MessageTurn
from smtpwire.analyzer.redact.redactor import Redactor
from smtpwire.analyzer.rules.phrases import (
    Code,
    Count,
    EnhancedStatus,
    Field,
    Frame,
    Host,
    IpAddress,
    Keyword,
    Mailbox,
    Milliseconds,
    Octets,
    Phrase,
    Seconds,
    Secret,
    Term,
    Text,
    Value,
    Verb,
)
from smtpwire.analyzer.rules.registry import Evidence, OnContent, OnExchange, all_or_none, rule
from smtpwire.dissectors.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from smtpwire.analyzer.connections.conversations import EndedConnection
    from smtpwire.analyzer.exchanges.conversation import Conversation
    from smtpwire.analyzer.exchanges.exchange import Exchange
    from smtpwire.analyzer.model import Finding

KEY = bytes(32)
# A challenge that was refused, so the next lines are the user name and the password as commands; an AUTH exchange; a
# message; a password in a command; and a command with names.
LOGIN_SCRIPT: Script = [
    *hello("AUTH PLAIN"),
    *lines("C AUTH LOGIN", "S 504 no such mechanism", "C SGVSBG8=", "S 500 what is SGVSBG8=, SGVSBG8=?"),
    *lines("C AUTH PLAIN", "S 334 ", "C AGEAdHIwdWI0ZG9y", "S 235 ok"),
    *envelope(),
    *lines("C DATA", "S 354 go"),
    ("C", "Subject: the merger\r\nX-Merger: the merger\r\n\r\nthe merger\r\n.\r\n"),
    *lines("S 250 ok", "C NOOP password=hunter2", "S 250 ok", "C EHLO janes-laptop", "S 250 mx.example"),
    *lines("C MAIL FROM:<x@client.example>", "S 250 ok", "C RCPT TO:<jane.roe@mx.example>", "S 250 ok"),
    *END,
]


def ended() -> EndedConnection:
    """The connection of the script before redaction."""
    tracker = Tracker(RuleBook((), DEFAULT_LIMITS))
    for segment in segments(LOGIN_SCRIPT):
        tracker.segment(*segment)
    tracker.close()
    return tracker.ended.popleft()


def turn_of(text: str, *, reply: bool = False) -> int:
    """The place of the turn whose line holds ``text``, or of the reply to it."""
    context = ended().secrets
    assert context is not None
    index = next(n for n in range(len(ended().report.dialogue)) if text.encode() in context.raw(n))
    return index + reply


STRAY, ECHO = turn_of("SGVSBG8="), turn_of("SGVSBG8=", reply=True)
ANSWER, LINE, GREETED = turn_of("AGEAdHIw"), turn_of("password="), turn_of("janes-laptop")
RECIPIENT = turn_of("jane.roe")
MESSAGE = next(n for n, turn in enumerate(ended().report.dialogue) if isinstance(turn, MessageTurn))


def about(turn: int | None, phrase: Phrase | str, redact: Redact, evidence: str = "") -> Finding:
    """The finding of the report for a rule that says ``phrase`` about ``turn``."""
    fields = asdict(finding(turn=turn, message=phrase if isinstance(phrase, str) else "", evidence=evidence))
    made = RecordedFinding(**fields, phrase=None if isinstance(phrase, str) else phrase)
    one = ended()
    one.report.findings = [made]
    (result,) = Redactor(redact, KEY)(*one).findings
    return result


def shown(turn: int | None, value: Value, redact: Redact = Redact.SECRETS) -> object:
    """What the report shows of ``value``; the message and ``values`` agree."""
    result = about(turn, Phrase("It is {value}.", value=value), redact)
    assert result.message == f"It is {result.values['value']}."
    assert type(result.values["value"]) in {str, int, float}
    return result.values["value"]


NUMBERS: list[Value] = [Code(250), Count(3), Octets(512), Frame(7), Seconds(300), Milliseconds(1.5)]
WORDS: list[Value] = [EnhancedStatus("5.7.8"), Term("janes-laptop")]
TEXTS = [Verb, Field, Text, Mailbox, Host, Keyword]


@pytest.mark.parametrize("value", [*NUMBERS, *WORDS], ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("turn", [None, STRAY, ANSWER, MESSAGE, LINE])
def test_numbers_and_terms_are_always_shown(value: Value, turn: int | None) -> None:
    for redact in Redact:
        assert shown(turn, value, redact) == value


@pytest.mark.parametrize("kind", TEXTS, ids=lambda kind: kind.__name__)
def test_text_in_a_login_is_hidden(kind: type[Text]) -> None:
    for turn, text in ((STRAY, "SGVSBG8="), (ANSWER, "AGEAdHIwdWI0ZG9y")):
        assert shown(turn, kind(text)) == f"[{len(text)} bytes not shown]"
        assert shown(turn, kind(text), Redact.NONE) == text


@pytest.mark.parametrize("kind", [Text, Verb], ids=lambda kind: kind.__name__)
def test_text_of_a_message_is_hidden(kind: type[Text]) -> None:
    assert shown(MESSAGE, kind("the merger")) == "[10 bytes not shown]"
    assert shown(MESSAGE, Field("X-Merger")) == "X-Merger"


@pytest.mark.parametrize("kind", TEXTS, ids=lambda kind: kind.__name__)
def test_a_finding_shows_no_more_of_a_line_than_the_turn_does(kind: type[Text]) -> None:
    assert shown(LINE, kind("NOOP password=hunter2")) == "NOOP [16 bytes not shown]"
    assert shown(LINE, kind("hunter2")) == "[16 bytes not shown]"
    assert shown(LINE, kind("NOOP")) == "NOOP"


@pytest.mark.parametrize("kind", [*TEXTS, IpAddress], ids=lambda kind: kind.__name__)
def test_a_secret_is_hidden_where_it_is_repeated(kind: type[Text]) -> None:
    """The NOOP line of the dialogue shows that hunter2 is a password, and PLAIN has another one in base64."""
    assert shown(GREETED, kind("hunter2")) == "[7 bytes not shown]"
    assert shown(GREETED, kind("Tr0ub4dor")) == "[9 bytes not shown]"


def test_an_echo_in_a_reply_to_a_login_is_hidden() -> None:
    assert shown(ECHO, Text("what is SGVSBG8=, SGVSBG8=?")) == "what is [8 bytes not shown], [8 bytes not shown]?"


def test_a_secret_is_hidden_wherever_it_is() -> None:
    for turn in (None, STRAY, MESSAGE, LINE):
        assert shown(turn, Secret("tr0ub4dor")) == "[9 bytes not shown]"
        assert shown(turn, Secret("tr0ub4dor"), Redact.PII) == "[9 bytes not shown]"
        assert shown(turn, Secret("tr0ub4dor"), Redact.NONE) == "tr0ub4dor"


def test_a_known_verb_is_shown_even_in_a_login() -> None:
    assert shown(STRAY, Verb("MAIL")) == "MAIL"


def test_names_of_people_are_replaced_in_values_only() -> None:
    for value in (Text("jane.roe"), Mailbox("jane.roe"), Verb("JANE.ROE"), Keyword("jane.roe"), Field("jane.roe")):
        assert shown(RECIPIENT, value, Redact.PII) == "user-" + str(shown(RECIPIENT, Text("jane.roe"), Redact.PII))[5:]
    assert str(shown(GREETED, Host("janes-laptop"), Redact.PII)).startswith("host-")
    assert shown(GREETED, IpAddress("192.0.2.1"), Redact.PII) != "192.0.2.1"
    result = about(GREETED, Phrase("janes-laptop is not {host}.", host=Host("janes-laptop")), Redact.PII)
    assert result.message == f"janes-laptop is not {result.values['host']}."


def test_a_mailbox_in_quotation_marks_is_replaced() -> None:
    result = about(RECIPIENT, Phrase('"{path}" is not a path.', path=Text("roe@mx.example")), Redact.PII)
    assert "roe@" not in result.message
    assert result.message.endswith('@mx.example" is not a path.')


def test_a_plain_sentence_is_searched_for_secrets_and_names() -> None:
    assert about(GREETED, "It is hunter2.", Redact.SECRETS).message == "It is [7 bytes not shown]."
    stray = about(STRAY, "SGVSBG8= is not a verb.", Redact.SECRETS, evidence="SGVSBG8=")
    assert (stray.message, stray.evidence) == ("[8 bytes not shown] is not a verb.", "[8 bytes not shown]")
    assert "jane.roe" not in about(RECIPIENT, "It is jane.roe.", Redact.PII).message
    result = about(GREETED, "{it} is 100 %.", Redact.SECRETS)
    assert (result.message, result.values) == ("{it} is 100 %.", {})


class Undo(Exception):
    """The rule of a test is no longer declared."""


@pytest.fixture
def quoting_rules() -> Iterator[None]:
    """Rules that quote every line and message, as each type of text that is."""

    def quoted(text: str) -> Phrase:
        return Phrase(
            "{verb} {field} {text} {mailbox} {host} {keyword} {secret}",
            verb=Verb(text),
            field=Field(text),
            text=Text(text),
            mailbox=Mailbox(text),
            host=Host(text),
            keyword=Keyword(text),
            secret=Secret(text),
        )

    with suppress(Undo), all_or_none():

        @rule("XQU001", "quoted-line", "error", "client", "", on=OnExchange())
        def quoted_line(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
            """A line."""
            if x.raw and (x.command is None or x.command.verb not in {b"AUTH", b"NOOP", b"BURL"}):
                yield Evidence(quoted(printable(x.raw)))

        @rule("XQU002", "quoted-message", "error", "client", "", on=OnContent(partial=True))
        def quoted_message(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
            """A message."""
            if x.content is not None:
                text = Text(printable(x.content.header[-200:]))
                yield Evidence(Phrase("{text} {secret}", text=text, secret=Secret(text)))

        yield
        raise Undo


@pytest.mark.parametrize(
    "name",
    ["exchange", "answer not base64", "mechanism refused and sent on", "pipelined before the refusal", "message"],
)
@pytest.mark.usefixtures("quoting_rules")
def test_no_secret_in_any_report_of_a_rule_that_quotes_everything(name: str, tmp_path: Path) -> None:
    capture = capture_of(tmp_path / "x.pcap", SCRIPTS[name])
    forms = [form for secret in (PASSWORD, LOGIN[1], BODY) for form in forms_of_secret(secret)]
    for which, text in everything(capture, tmp_path, Redact.SECRETS).items():
        for form in forms:
            assert form not in text.lower(), f"{which} contains {form}"
    assert "XQU00" in written(capture, ReportFormat.JSON, tmp_path)


def test_the_values_are_in_json_beside_the_message(tmp_path: Path) -> None:
    capture = capture_of(tmp_path / "x.pcap", [*hello(), *lines("C RCPT TO:<b@mx.example>", "S 550 no"), *END])
    text = written(capture, ReportFormat.JSON, tmp_path)
    assert "RCPT was sent without an open transaction; the server refused it with 550." in text
    assert '"values":{"code":550}' in text


def test_conflicting_copies_of_a_login_are_not_quoted(tmp_path: Path) -> None:
    """After a gap the line with the password is sent twice, with different bytes."""
    from captures import ACK, CLIENT, PSH, SERVER, Record, ethernet, ipv4, pcap, tcp  # noqa: PLC0415
    from scripts import records  # noqa: PLC0415

    script: Script = [*hello("AUTH LOGIN"), *lines("C AUTH LOGIN", "S 334 VXNlcm5hbWU6"), *lines(f"C {LOGIN[0]}")]
    script = [*script, *lines("S 334 UGFzc3dvcmQ6")]
    frames = list(records(segments(script)))
    sent = sum(len(text) for who, text in script if who == "C")
    answered = sum(len(text) for who, text in script if who == "S")
    line = (b64(PASSWORD) + "\r\n").encode()
    for ahead, text in ((4, line[4:]), (4, b"x" + line[5:]), (0, line[:4])):
        segment = tcp(43210, 25, text, seq=1001 + sent + ahead, ack=5001 + answered, flags=PSH | ACK)
        frames.append(Record(ethernet(ipv4(segment, CLIENT, SERVER)), frames[-1].time_ns + 1000))
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(frames))
    (one,) = audit(path)
    (conflict,) = [found for found in one.findings if found.rule == "TCP905"]
    assert "Receivers differ in what they read" in conflict.message
    assert line[6:14].decode() not in conflict.message
    assert not any(line[6:14].decode() in str(value) for value in conflict.values.values())


def test_the_rules_of_envelopes_name_no_person(tmp_path: Path) -> None:
    script = [*hello(), *envelope(), *lines("C RCPT TO:<jane.roe%mx.example@mx.example>", "S 250 ok"), *END]
    capture = capture_of(tmp_path / "x.pcap", script)
    assert "jane.roe" in written(capture, ReportFormat.JSON, tmp_path)
    for which, text in everything(capture, tmp_path, Redact.PII).items():
        assert "jane.roe" not in text.lower(), which


def test_a_challenge_in_the_evidence_has_its_whole_length(tmp_path: Path) -> None:
    challenge = "qwert base64! " * 40
    script = [*hello("AUTH CRAM-MD5"), *lines("C AUTH CRAM-MD5", f"S 334 {challenge}", "C *", "S 501 no"), *END]
    (one,) = audit(capture_of(tmp_path / "x.pcap", script))
    (found,) = [each for each in one.findings if each.rule == "RPL421"]
    assert found.evidence == "334 [559 bytes not shown]"
