"""``smtpwire explain`` as a user calls it."""

from __future__ import annotations

import json

import pytest
from click.shell_completion import ShellComplete

from smtpwire.analyzer.commands.registry import COMPLETE, smtpwire
from smtpwire.analyzer.errors import UsageError


def said(capfd: pytest.CaptureFixture[str], *words: str) -> str:
    assert smtpwire.main(["explain", *words], standalone_mode=False) == 0
    return capfd.readouterr().out


def kinds(capfd: pytest.CaptureFixture[str], *words: str) -> list[str]:
    return [one.get("word") or one["id"] for one in json.loads(said(capfd, *words, "--format", "json"))]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["451", "RCPT"], ["451", "RCPT"]),
        (["MAIL", "FROM"], ["MAIL"]),
        (["rcpt to:"], ["RCPT"]),
        (["MAIL FROM:<a@b.example> BODY=8BITMIME"], ["MAIL", "BODY"]),
        (["RCPT TO: <a@b.example>", "NOTIFY=NEVER"], ["RCPT", "NOTIFY"]),
        (["550-5.7.1"], ["550", "5.7.1"]),
        (["550 5.7.1 you may not HELP here"], ["550", "5.7.1"]),
        (["451 try again"], ["451"]),
        (["dsn=5.7.1, status=bounced (host mx.example[192.0.2.1] said: 550 5.7.1 no)"], ["5.7.1", "550"]),
        (["4.7.1 try later"], ["4.7.1"]),
        (["seq101"], ["SEQ101"]),
        (["mail-before-hello,NO-SOLICITING"], ["SEQ101", "NO-SOLICITING"]),
    ],
)
def test_words_are_found(capfd: pytest.CaptureFixture[str], words: list[str], found: list[str]) -> None:
    assert kinds(capfd, *words) == found


def test_a_rule_is_explained_as_rule_does(capfd: pytest.CaptureFixture[str]) -> None:
    explained = said(capfd, "SEQ101")
    assert smtpwire.main(["rule", "SEQ101"], standalone_mode=False) == 0
    assert capfd.readouterr().out == explained


def test_text_and_markdown(capfd: pytest.CaptureFixture[str]) -> None:
    text = said(capfd, "354", "SEQ101")
    assert text.startswith("354  reply code\n  Send the message, end it with a lone dot.\n  RFC 5321 §4.2.3\n")
    assert "\n\nSEQ101 mail-before-hello\n" in text
    assert said(capfd, "354", "--format", "markdown").startswith("### 354\n")


def test_tables(capfd: pytest.CaptureFixture[str]) -> None:
    text = said(capfd, "--codes", "--verbs")
    assert "  554  transaction failed, or no service here            RFC 821\n" in text
    assert "  TURN  asks to swap the roles of client and server     RFC 5321 App. F.1\n" in text
    assert len(json.loads(said(capfd, "--verbs", "--format", "json"))) == 24
    assert "| 556 | domain takes no mail |" in said(capfd, "--codes", "--format", "markdown")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["RCTP"], "no such code, command, keyword or rule: RCTP: did you mean RCPT?"),
        (["8BITMIMES"], "did you mean 8BITMIME or "),
        (["SEQ10l"], "SEQ101"),
        (["\x1bfoo"], "\\x1bfoo"),
        ([], "no word is given"),
        ([""], "no word is given"),
        (["451", "--codes"], "words and a table together"),
    ],
)
def test_mistakes_are_named(words: list[str], says: str) -> None:
    with pytest.raises(UsageError) as error:
        smtpwire.main(["explain", *words], standalone_mode=False)
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("typed", "offered"), [("45", {"450", "451"}), ("rc", {"RCPT", "rcpt-before-mail"}), ("8", {"8BITMIME"})]
)
def test_a_shell_completes_words(typed: str, offered: set[str]) -> None:
    completions = ShellComplete(smtpwire, {}, "smtpwire", COMPLETE).get_completions(["explain"], typed)
    assert offered <= {item.value for item in completions}
