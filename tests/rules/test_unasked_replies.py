"""Replies that nobody asked for before the client has sent a byte, and 503 to a group that goes on too early."""

from __future__ import annotations

import pytest
from pairs.case import CLOSED, heard, turns
from scripts import GREETING, Script, hello, play

START: Script = [("S", GREETING)]
SESSION: Script = [*turns("C EHLO client.example", "S 250 mx.example", "C QUIT", "S 221 bye"), *CLOSED]


def test_a_reply_between_the_greeting_and_the_first_command_answers_nothing() -> None:
    (found,) = (one for one in heard([*START, *turns("S 250 hi"), *SESSION]) if one.rule == "RPL411")
    assert (found.side, found.severity, found.certainty) == ("server", "error", "certain")


def test_a_greeting_in_two_lines_is_one_reply() -> None:
    assert "RPL411" not in {one.rule for one in heard([*turns("S 220-mx.example|220 ready"), *SESSION])}


def test_nothing_is_said_of_it_without_a_segment_of_the_client() -> None:
    script = [*START, *turns("S 250 hi"), *turns("S 221 bye"), ("FS", "")]
    assert "RPL411" not in {one.rule for one in play(script, onesided=True).findings}


def test_a_server_that_gives_up_a_silent_client_has_to_use_421() -> None:
    found = {one.rule: one for one in heard([*START, *turns("wait 60", "S 451 timeout"), *CLOSED])}
    assert found["RPL411"].severity == "warning"
    assert "421" in found["RPL411"].message
    assert found["TCP902"].caused_by == 0


@pytest.mark.parametrize(("group", "blamed"), [("NOOP|MAIL FROM:<a@client.example>", False), ("NOOP", True)])
def test_503_to_the_first_command_of_a_group_that_goes_on_too_early(group: str, blamed: bool) -> None:
    replies = "|".join(["503 bad"] * (group.count("|") + 1))
    script = [*hello("PIPELINING"), *turns(f"C {group}", f"S {replies}", "C QUIT", "S 221 bye"), *CLOSED]
    found = {one.rule for one in heard(script)}
    assert ("SEQ124" in found) is blamed
    assert ("EXT505" in found) is not blamed
