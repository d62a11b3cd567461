"""SEQ113 and SEQ125: message text that the server reads as commands."""

from __future__ import annotations

import pytest
from scripts import END, Script, envelope, hello, lines, play, rules

REFUSED = [*hello(), *envelope(), *lines("C DATA", "S 451 no")]
WHAT = "S 500 what"


def findings(script: Script) -> list[tuple[str, str, int]]:
    return [(one.rule, one.message, one.count) for one in play([*script, *END]).findings]


def blob(*texts: str) -> tuple[str, str]:
    return ("C", "".join(f"{text}\r\n" for text in texts))


@pytest.mark.parametrize("together", [True, False])
def test_text_after_a_refused_data_is_one_finding(together: bool) -> None:
    text = ["Subject: x", "", "Hello Bob", "see you", "."]
    sent = [blob(*text), *lines("|".join([WHAT] + ["500 what"] * 4))]
    if not together:
        sent = [entry for line in text for entry in lines(f"C {line}", WHAT)]
    (one,) = findings([*REFUSED, *sent])
    assert one[0] == "SEQ113"
    assert one[1].endswith("although DATA was answered 451: the server reads its 5 lines as commands.")
    assert one[2] == 5


def test_text_without_a_header_field_needs_a_dot() -> None:
    assert [one[0] for one in findings([*REFUSED, *lines("C Hello Bob", WHAT, "C .", WHAT)])] == ["SEQ113"]
    assert [one[0] for one in findings([*REFUSED, *lines("C Hello Bob", WHAT)])] == ["CMD301"]


def test_a_command_after_a_refused_data_is_no_text() -> None:
    assert findings([*REFUSED, *lines("C HELP", "S 214 ask", "C NOOP", "S 250 ok")]) == []


def test_a_header_field_without_data() -> None:
    script = [*hello(), *envelope(), *lines("C Date: today", WHAT, "C Subject: x", WHAT, "C DATA", "S 354 go")]
    found = findings([*script, *lines("C Subject: x", "C ", "C .", "S 250 ok")])
    assert found[0] == (
        "SEQ113",
        "A header field (Date:) was sent where a command belongs: no DATA came before it.",
        2,
    )
    assert "CMD301" not in {one[0] for one in found}


@pytest.mark.parametrize("line", ["FOO bar: x", "Date : today", "Hello: x"])
def test_what_is_no_header_field_of_a_message_is_an_unknown_command(line: str) -> None:
    assert [one[0] for one in findings([*hello(), *envelope(), *lines(f"C {line}", WHAT)])] == ["CMD301"]
    assert [one[0] for one in findings([*hello(), *lines("C Date: today", WHAT)])] == ["CMD301"]


def test_the_server_is_at_fault_if_it_answered_data_with_250() -> None:
    script = [*hello(), *envelope(), *lines("C DATA", "S 250 ok", "C Subject: x", WHAT, "C .", WHAT), *END]
    found = play(script).findings
    assert [(one.rule, one.caused_by) for one in found] == [("RPL410", None), ("SEQ113", 0)]
    assert "although DATA was answered 250" in found[1].message


def message(*text: str) -> Script:
    return [*hello(), *envelope(), *lines("C DATA", "S 354 go"), blob("From: a@b.example", "", *text)]


def test_a_lone_dot_inside_the_text() -> None:
    script = [*message("one", ".", "two", ".", "three", "."), ("S", "250 ok\r\n" + "500 what\r\n" * 4)]
    connection = play([*script, *END])
    found = [one for one in connection.findings if not one.rule.startswith("MSG")]
    assert [(one.rule, one.evidence, one.count) for one in found] == [("SEQ125", ".", 4)]
    assert found[0].message.endswith("The server read the 4 lines after it as commands.")
    stream = "".join(text for side, text in script if side == "C" and isinstance(text, str)).encode()
    assert stream[found[0].offset :].startswith(b".\r\ntwo")


def test_a_command_after_the_end_of_data_is_no_text() -> None:
    assert "SEQ125" not in rules([*message("one", ".", "QUIT"), ("S", "250 ok\r\n221 bye\r\n")])
    unknown = [*message("one", ".", "FOO"), ("S", "250 ok\r\n500 what\r\n"), *END]
    found = {one.rule: one.caused_by for one in play(unknown).findings}
    assert "SEQ125" not in found
    assert found["CMD301"] is not None
    seen = [*message("one", "."), *lines("S 250 ok", "C two", WHAT, "C .", WHAT), *END]
    assert "SEQ125" not in rules(seen)
