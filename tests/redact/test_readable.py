"""Redaction hides little of what other people's servers say: replies stay readable."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from smtpwire.analyzer.audit import audit
from smtpwire.analyzer.model import ReplyTurn

SHARED = Path(__file__).parents[3] / "shared"
MARK = re.compile(r"\[\d+ bytes? not shown\]")
# In these, the server repeats what it took for a command or a parameter. Nothing else of a reply is hidden.
HIDDEN = {
    "opensmtpd--bad-parameters.pcap": 2,
    "postfix--bad-parameters.pcap": 2,
    "sendmail--auth-login-bad.pcap": 1,
    "sendmail--auth-plain-bad.pcap": 1,
    "sendmail--pipelined-all.pcap": 7,
    "sendmail--unknown-command.pcap": 1,
}
PROMPTS = {"", "VXNlcm5hbWU6", "UGFzc3dvcmQ6", "VXNlciBOYW1lAA==", "UGFzc3dvcmQA"}


@pytest.mark.slow
@pytest.mark.parametrize(("folder", "hidden"), [("captures", {}), ("lab/captures", HIDDEN)])
def test_what_is_hidden_of_replies(folder: str, hidden: dict[str, int]) -> None:
    if not (SHARED / folder).is_dir():
        pytest.skip("other people's captures are not here")
    marks: Counter[str] = Counter()
    prompts, refusals = set[str](), set[str]()
    for capture in sorted((SHARED / folder).rglob("*.pcap*")):
        for connection in audit(capture):
            for turn in connection.dialogue:
                if isinstance(turn, ReplyTurn):
                    text = " ".join(turn.lines)
                    marks[capture.name] += len(MARK.findall(text))
                    prompts |= {text} if turn.code == 334 else set()
                    refusals |= {text} if turn.code == 535 else set()
    assert {name: count for name, count in marks.items() if count} == hidden
    assert prompts <= PROMPTS
    assert not any(MARK.search(text) for text in refusals)
