"""The dialogue in the form that people read."""

from __future__ import annotations

import pytest
from handmade import capture, connection, every_turn, finding, lines_of, output, summary_of

from smtpwire.analyzer.model import CommandTurn, Connection, MessageTurn, ReplyTurn
from smtpwire.analyzer.reports.dialogue import DialogueWriter


def shown(*connections: Connection, width: int = 100) -> list[str]:
    out, stream = output(width)
    writer = DialogueWriter(out)
    for one in connections:
        writer.connection(one)
    writer.finish(summary_of(*connections))
    return lines_of(stream)


def test_both_sides_are_shown_in_order_with_frame_time_and_direction() -> None:
    lines = shown(connection(1, []))
    assert "      4    0.004000 ← 220 mx.example ESMTP" in lines
    assert "      6    0.006000 → MAIL FROM:<a@a.example>" in lines
    assert lines.index("      4    0.004000 ← 220 mx.example ESMTP") < lines.index(
        "      6    0.006000 → MAIL FROM:<a@a.example>"
    )


def test_a_finding_is_under_the_line_that_it_is_about() -> None:
    lines = shown(connection(1, [finding(turn=1), finding("SEQ120", turn=2, caused_by=0, side="server", frame=8)]))
    mail = lines.index("      6    0.006000 → MAIL FROM:<a@a.example>")
    assert lines[mail + 1].strip() == "error SEQ101 mail-before-hello (client)"
    reply = lines.index("      8    0.008000 ← 250 2.1.0 Ok")
    assert "error SEQ120" in lines[reply + 2]
    assert "(Follows from SEQ101 in frame 6.)" in " ".join(line.strip() for line in lines[reply + 3 : reply + 6])


def test_reply_and_prediction_are_compared() -> None:
    lines = [line.strip() for line in shown(connection(1, []))]
    assert lines[lines.index("8    0.008000 ← 250 2.1.0 Ok") + 1] == "predicted: 503"
    assert lines[lines.index("503 identified") + 1] == "predicted: accepted, as EHLO was in order"


def test_a_reply_that_is_not_below_its_command_names_it() -> None:
    one = connection(1, [])
    one.dialogue = [
        *(CommandTurn("client", verb, None, "accept", 5, one.started, 0) for verb in ("MAIL", "RCPT")),
        *(ReplyTurn("server", 250, ["ok"], None, n, 6, one.started, 0) for n in (0, 1, None)),
        CommandTurn("client", "BDAT", "5 LAST", "accept", 7, one.started, 0),
        MessageTurn("client", 5, 1, True, True, 7, one.started, 0),
        ReplyTurn("server", 250, ["done"], None, 5, 8, one.started, 0),
    ]
    replies = [line.partition("←")[2].strip() for line in shown(one) if "←" in line]
    assert replies == ["250 ok  (to MAIL)", "250 ok  (to RCPT)", "250 ok  (to no command)", "250 done"]


def test_bytes_that_the_line_does_not_show_are_quoted() -> None:
    lines = [line.strip() for line in shown(connection(1, [finding(turn=8, evidence="a\\x0ab"), finding(turn=1)]))]
    assert lines.count("│ a\\x0ab") == 1
    assert "│ MAIL FROM:<a@a.example>" not in lines


def predictions(verb: str, predicted: str, code: int) -> list[str]:
    """Return the text about the prediction below the reply ``code``."""
    one = connection(1, [])
    command = CommandTurn("client", verb, "TO:<b@b.example>", predicted, 5, one.started, 0)  # type: ignore[arg-type]
    one.dialogue = [command, ReplyTurn("server", code, ["x"], None, 0, 6, one.started, 0)]
    return [line.strip() for line in shown(one) if "predicted" in line]


@pytest.mark.parametrize(("predicted", "code"), [("accept", 250), ("accept", 550), ("unknown", 503)])
def test_an_ordinary_reply_has_no_remark(predicted: str, code: int) -> None:
    assert predictions("RCPT", predicted, code) == []


@pytest.mark.parametrize(
    ("verb", "predicted", "code", "expected"),
    [("RCPT", "503", 503, "503"), ("RCPT", "500", 500, "500"), ("DATA", "503", 554, "503 or 554")],
)
def test_an_expected_refusal_is_as_predicted(verb: str, predicted: str, code: int, expected: str) -> None:
    assert predictions(verb, predicted, code) == [f"as predicted: {expected}"]


@pytest.mark.parametrize(
    "text",
    [
        "← 503-Already",
        "  503 identified",
        "→ (an empty line)",
        "← what?",
        "→ (a line of the AUTH exchange, 26 bytes, not shown)",
        "→ (message: 1,200 bytes, 30 lines)",
        "→ (BDAT chunk: 50 bytes, 2 lines, incomplete)",
        "→ (1,460 bytes not captured)",
        "→ (TLS handshake: what follows is encrypted)",
    ],
)
def test_every_kind_of_turn_is_shown(text: str) -> None:
    assert any(line.endswith(text) for line in shown(connection(1, [])))


def test_messages_are_listed_with_their_results() -> None:
    text = " ".join(line.strip() for line in shown(connection(1, [])))
    assert "message 1: from <a@a.example> to <b@b.example> (250), <c@b.example> (no reply seen)" in text
    assert 'accepted (250), subject "hello"' in text


def test_a_hostile_line_is_cut() -> None:
    one = connection(1, [])
    one.dialogue = [CommandTurn("client", "NOOP", "x" * 60_000, "accept", 5, one.started, 0)]
    lines = shown(one, width=80)
    assert len(lines) < 20
    assert max(map(len, lines)) <= 100
    assert any("more characters" in line for line in lines)


def test_a_capture_with_a_problem_is_named() -> None:
    out, stream = output()
    DialogueWriter(out).capture(capture(problems=["cut short at byte 7"]))
    DialogueWriter(out).capture(capture())
    assert lines_of(stream) == ["a.pcap: cut short at byte 7"]


def test_the_handmade_dialogue_has_every_kind_of_turn() -> None:
    assert len({type(turn) for turn in every_turn()}) == 7
