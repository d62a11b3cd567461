"""What words of SMTP mean: each explanation against the RFCs, and against the tables that the rules use."""

from __future__ import annotations

import pytest
from handmade import lines_of, output

from smtpwire.analyzer.reports.explanation_formats import explanation_lines, explanation_markdown, table_lines
from smtpwire.analyzer.reports.explanations import Explanation, Fact, code_rows, explained, known_words, verb_rows
from smtpwire.analyzer.reports.styled_text import paint
from smtpwire.analyzer.rules import RULES
from smtpwire.dissectors.tables.keywords import KEYWORD_MEANINGS, KEYWORDS, PARAMETER_KEYWORDS, PARAMETER_MEANINGS
from smtpwire.dissectors.tables.verbs import VERBS

RFC821_COMMANDS = "DATA EXPN HELO HELP MAIL NOOP QUIT RCPT RSET SAML SEND SOML TURN VRFY"
RFC821_CODES = "211 214 220 221 250 251 354 421 450 451 452 500 501 502 503 504 550 551 552 553 554"


def the(word: str, kind: str) -> Explanation:
    (found,) = [one for one in explained(word) if one.kind == kind]
    return found


def fact(explanation: Explanation, name: str) -> Fact:
    (found,) = [one for one in explanation.facts if one.name == name]
    return found


def words(found: Fact) -> list[str]:
    return [item.word for item in found.items]


def test_a_reply_code_digit_by_digit() -> None:
    code = the("451", "reply code")
    assert fact(code, "first digit 4").text == "refused for now, try again"
    assert fact(code, "second digit 5").text == "mail system"
    assert "tries again later" in fact(code, "then").text
    assert fact(code, "since").text == "RFC 821"
    assert "RCPT" in fact(code, "answers").text.split(", ")
    assert "4.3.0" in words(fact(code, "enhanced codes"))


@pytest.mark.parametrize(
    ("code", "answers", "old"),
    [
        ("354", "DATA", None),
        ("221", "QUIT", None),
        ("551", "RCPT, VRFY", None),
        ("503", "any command that is out of order", "RCPT, DATA, TURN"),
        ("252", "VRFY, EXPN, ETRN", None),
        ("455", "MAIL, SEND, SOML, SAML, RCPT", None),
    ],
)
def test_what_a_code_answers(code: str, answers: str, old: str | None) -> None:
    explanation = the(code, "reply code")
    assert fact(explanation, "answers").text == answers
    named = [one.text for one in explanation.facts if one.name == "in RFC 821"]
    assert named == ([] if old is None else [old])


def test_500_may_answer_every_command() -> None:
    code = the("500", "reply code")
    assert fact(code, "answers").text == "any command"
    assert fact(code, "in RFC 821").text.split(", ") == [
        *("HELO", "MAIL", "SEND", "SOML", "SAML", "RCPT", "DATA", "RSET", "VRFY", "EXPN", "HELP", "NOOP", "QUIT"),
        *("TURN", "an unknown command"),
    ]


def test_530_names_the_commands_that_it_never_answers() -> None:
    assert "except AUTH, EHLO, HELO, LHLO, NOOP, QUIT, RSET, STARTTLS" in fact(the("530", "reply code"), "answers").text


@pytest.mark.parametrize(("code", "says"), [("541", "not defined by any"), ("199", "not a reply code"), ("000", "not")])
def test_numbers_that_no_rfc_defines_are_explained_too(code: str, says: str) -> None:
    explanation = the(code, "reply code")
    assert explanation.word == code
    assert says in explanation.meaning
    assert not [one for one in explanation.facts if one.name in {"since", "answers"}]


def test_an_enhanced_code() -> None:
    status = the("5.7.8", "enhanced status code")
    assert status.meaning == "the credentials are not valid"
    assert status.reference == "RFC 4954 §6"
    assert fact(status, "class 5").text.startswith("permanent failure")
    assert fact(status, "subject 7").text == "security or policy"
    assert words(fact(status, "reply codes")) == ["535", "554"]


def test_the_class_selects_the_reply_codes_of_an_enhanced_code() -> None:
    assert words(fact(the("4.1.1", "enhanced status code"), "reply codes")) == ["451"]
    assert words(fact(the("x.1.1", "enhanced status code"), "reply codes")) == ["451", "550"]


def test_a_subject_lists_its_details() -> None:
    details = words(fact(the("5.2", "enhanced status code"), "details"))
    assert details == ["5.2.0", "5.2.1", "5.2.2", "5.2.3", "5.2.4"]


@pytest.mark.parametrize(("status", "name"), [("9.1.1", "class 9"), ("5.9.1", "subject 9"), ("5.1.99", "detail 99")])
def test_numbers_that_are_not_defined_are_named(status: str, name: str) -> None:
    text = fact(the(status, "enhanced status code"), name).text
    assert text.startswith("not ")


def test_a_command() -> None:
    rcpt = the("rcpt", "command")
    assert fact(rcpt, "syntax").text == "RCPT TO:<forward-path> [<parameter>[=<value>] ...]"
    assert fact(rcpt, "in order").text == "after an accepted MAIL, after an accepted RCPT"
    assert ("SEQ103", "after the greeting, after an accepted hello") in [
        (item.word, item.meaning) for item in fact(rcpt, "out of order").items
    ]
    assert words(fact(rcpt, "parameters")) == ["CONNEG", "NOTIFY", "ORCPT", "RRVS"]
    assert {"250", "251", "550", "556"} <= set(words(fact(rcpt, "replies")))
    assert "550" in fact(rcpt, "in RFC 821").text.split()


def test_a_command_of_an_extension_names_its_keyword() -> None:
    bdat = the("BDAT", "command")
    assert fact(bdat, "needs") == Fact("needs", "CHUNKING in the reply to EHLO", "RFC 3030 §2")
    assert "SEQ108" in words(fact(bdat, "out of order"))


def test_commands_that_are_in_order_at_any_time() -> None:
    assert fact(the("NOOP", "command"), "in order").text == "at any time after the greeting"
    assert fact(the("TURN", "command"), "discouraged").reference == "RFC 5321 App. F.1"


@pytest.mark.parametrize("command", sorted(name.decode() for name in VERBS))
def test_the_rules_that_a_command_can_break_exist(command: str) -> None:
    for one in the(command, "command").facts:
        if one.name == "out of order":
            assert set(words(one)) <= RULES.keys()


def test_a_keyword_names_its_commands_parameters_and_longer_lines() -> None:
    assert words(fact(the("CHUNKING", "EHLO keyword"), "commands")) == ["BDAT"]
    assert words(fact(the("DSN", "EHLO keyword"), "parameters")) == ["ENVID", "NOTIFY", "ORCPT", "RET"]
    assert words(fact(the("BINARYMIME", "EHLO keyword"), "parameters")) == ["BODY"]
    assert fact(the("SIZE", "EHLO keyword"), "longer lines").text == "MAIL by 26 octets"


def test_a_parameter_names_its_command_and_keyword() -> None:
    body = the("BODY", "parameter")
    assert fact(body, "command").text == "MAIL"
    assert fact(body, "needs").text == "8BITMIME or BINARYMIME in the reply to EHLO"
    assert the("MTRK", "parameter").reference == "RFC 3885"


def test_a_word_with_several_meanings_has_all_of_them() -> None:
    assert [one.kind for one in explained("AUTH")] == ["command", "EHLO keyword", "parameter"]
    assert explained("FROM") == []


def test_every_keyword_and_parameter_has_a_meaning() -> None:
    assert KEYWORD_MEANINGS.keys() == KEYWORDS.keys()
    assert PARAMETER_MEANINGS.keys() == PARAMETER_KEYWORDS.keys()


def test_the_tables_begin_with_all_of_rfc_821() -> None:
    for rows, listed in ((verb_rows(), RFC821_COMMANDS), (code_rows(), RFC821_CODES)):
        first = [row.word for row in rows if row.since == "RFC 821"]
        assert " ".join(sorted(first)) == listed
        assert first == [row.word for row in rows[: len(first)]]
    assert {row.word for row in verb_rows() if row.retired} == {"SEND", "SOML", "SAML", "TURN"}
    assert all(row.since and row.meaning and row.reference for row in code_rows() + verb_rows())


def test_everything_fits_eighty_columns() -> None:
    out, stream = output(width=80)
    for word in known_words():
        for one in explained(word):
            paint(out, explanation_lines(one, 80))
    paint(out, table_lines(code_rows()))
    paint(out, table_lines(verb_rows()))
    lines = lines_of(stream)
    assert len(lines) > 1000
    assert [line for line in lines if len(line) > 80] == []


def test_markdown_shows_angle_brackets_as_text() -> None:
    assert "MAIL FROM:\\<reverse-path>" in explanation_markdown(the("MAIL", "command"))
