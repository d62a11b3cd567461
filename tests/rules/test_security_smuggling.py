"""Text that one program reads as data and another as commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from scripts import MESSAGE, Script, by_byte, envelope, hello, lines, play, rules

if TYPE_CHECKING:
    from smtpwire.analyzer import model

FORMS = {
    "<LF>.<LF>": "\n.\n",
    "<LF>.<CR><LF>": "\n.\r\n",
    "<CR><LF>.<LF>": "\r\n.\n",
    "<CR>.<CR>": "\r.\r",
    "<CR>.<LF>": "\r.\n",
    "<CR>.<CR><LF>": "\r.\r\n",
    "<CR><LF>.<CR>": "\r\n.\r",
    "<LF>.<CR>": "\n.\r",
    "<CR><LF><NUL>.<CR><LF>": "\r\n\0.\r\n",
}
SMUGGLED = "MAIL FROM:<e@x.example>\r\nRCPT TO:<b@mx.example>\r\nDATA\r\nSubject: y\r\n\r\nboo"
BEFORE: Script = [*hello("PIPELINING"), *envelope(), *lines("C DATA", "S 354 go")]
QUIT = lines("C QUIT", "S 221 bye")


def message(text: str, *replies: str) -> Script:
    """A message with ``text``, sent completely with its end, and the replies in one segment."""
    answer = "".join(f"{reply}\r\n" for reply in replies)
    return [*BEFORE, ("C", MESSAGE + text + "\r\n.\r\n"), ("S", answer), *QUIT]


def security(connection: model.Connection) -> list[str]:
    return sorted({f.rule for f in connection.findings if f.rule.startswith("SEC")})


def one(connection: model.Connection, rule: str) -> model.Finding:
    (finding,) = [f for f in connection.findings if f.rule == rule]
    return finding


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("whole", [True, False])
def test_a_look_alike_of_the_end_has_its_offset_and_name(name: str, *, whole: bool) -> None:
    script = message("x" + FORMS[name] + "yz", "250 queued")
    connection = play(script, cut=None if whole else by_byte)
    assert security(connection) == ["SEC612"]
    finding = one(connection, "SEC612")
    assert finding.message == f"The mail data contains {name}; nothing shows that the server treated it as the end."
    sent = "".join(text for who, text in script if who == "C" and isinstance(text, str))
    assert sent[finding.offset :].startswith(FORMS[name])
    assert finding.length == len(FORMS[name])


@pytest.mark.parametrize("text", ["x\r\n..\r\nyz", "x\r\n.y\r\nz", "x.\r\n", "x\n.y\nz"])
def test_other_dots_are_not_an_end(text: str) -> None:
    assert security(play(message(text, "250 queued"))) == []


def test_octets_of_a_chunk_have_no_end_mark() -> None:
    text = "Date: x\r\n\r\nx\n.\nMAIL FROM:<e@x.example>\r\n"
    script = [*hello("CHUNKING"), *envelope(), ("C", f"BDAT {len(text)} LAST\r\n{text}"), *lines("S 250 ok")]
    assert security(play(script)) == []


def test_a_refusal_is_reported() -> None:
    finding = one(play(message("x\n.\nyz", "554 5.6.0 bare LF")), "SEC612")
    assert finding.message.endswith("the server refused the message with 554.")


def test_several_are_counted() -> None:
    assert one(play(message("x\n.\ny\n.\n.\nz", "250 queued")), "SEC612").count == 3


def test_one_direction_is_enough_for_the_look_alike() -> None:
    script = [entry for entry in message("x\n.\n" + SMUGGLED, "250 queued") if entry[0] == "C"]
    connection = play(script, onesided=True)
    assert security(connection) == ["SEC612", "SEC614"]
    assert one(connection, "SEC612").certainty == "indeterminate"


@pytest.mark.parametrize("text", [SMUGGLED, SMUGGLED.replace("\r\n", "\n"), "RSET\r\nx", "hm\r\n" + SMUGGLED])
def test_commands_after_a_look_alike(text: str) -> None:
    assert security(play(message("x\r\n.\n" + text, "250 queued"))) == ["SEC612", "SEC614"]


@pytest.mark.parametrize("text", ["x\r\n..\r\n" + SMUGGLED, "x\r\n" + SMUGGLED])
def test_quoted_commands_without_a_look_alike_are_text(text: str) -> None:
    assert security(play(message(text, "250 queued"))) == []


def test_text_after_a_look_alike_is_not_a_command() -> None:
    assert security(play(message("x\n.\nData are cheap.\r\nMail from: me", "250 queued"))) == ["SEC612"]


def test_a_server_that_sends_too_many_replies_executed_the_commands() -> None:
    replies = ["250 first", "250 sender ok", "250 recipient ok", "354 go", "250 second"]
    connection = play(message("x\n.\n" + SMUGGLED, *replies))
    assert security(connection) == ["SEC612", "SEC614", "SEC615"]
    finding = one(connection, "SEC615")
    assert (finding.side, finding.evidence) == ("server", "250 sender ok")
    assert finding.message.startswith("The server sent 4 replies more than expected")
    assert one(connection, "SEC612").message.endswith("the server treated it as the end of the mail data.")
    assert one(connection, "SEC614").message.endswith("the server executed them.")


def test_a_server_that_answers_before_the_end() -> None:
    script = [*BEFORE, ("C", MESSAGE + "x\r\n.\n"), *lines("S 250 queued"), *QUIT]
    connection = play(script)
    assert security(connection) == ["SEC612", "SEC615"]
    assert "before <CR><LF>.<CR><LF> arrived" in one(connection, "SEC615").message


def test_a_second_reply_without_a_look_alike_is_not_smuggling() -> None:
    assert security(play(message("hello", "250 queued", "250 queued"))) == []


def test_a_look_alike_without_a_reply() -> None:
    connection = play([*BEFORE, ("C", MESSAGE + "x\n.\n"), ("FC", "")])
    assert security(connection) == ["SEC612"]
    assert "TCP903" not in {f.rule for f in connection.findings}


@pytest.mark.parametrize("newline", ["\r", "\n", "\n\n"])
def test_a_command_inside_a_command(newline: str) -> None:
    script = [*hello(), ("C", f"NOOP x{newline}RSET\r\n"), *lines("S 501 no")]
    finding = one(play(script), "SEC617")
    assert finding.message.startswith(f"RSET follows a bare {'CR' if newline == chr(13) else 'LF'} inside")
    assert finding.offset == len("EHLO client.example\r\nNOOP x")


@pytest.mark.parametrize("line", ["NOOP a\nb", "NOOP a\nRSETTLE", "NOOP a RSET", "\nRSET"])
def test_no_second_command(line: str) -> None:
    assert "SEC617" not in rules([*hello(), ("C", f"{line}\r\n"), *lines("S 250 ok")])


def mail(header: str) -> list[str]:
    return [f.rule for f in play([*BEFORE, ("C", f"{header}\r\n.\r\n"), *lines("S 250 ok")]).findings]


@pytest.mark.parametrize("newline", ["\n", "\r"])
def test_a_field_after_a_bare_newline(newline: str) -> None:
    assert "SEC619" in mail(f"Subject: x{newline}Bcc: v@x.example\r\nFrom: a@x.example\r\n\r\nhello")
    assert "SEC619" in mail(f"Subject: x{newline}Bcc: v@x.example\r\n\r\nhello")


@pytest.mark.parametrize(
    "header",
    [
        "Subject: x\nyz\r\nFrom: a@x.example\r\n\r\nhello",
        "Subject: x\nFrom: a@x.example\n\nhello\r\nBcc: z",
        "Subject: x\r\nFrom: a@x.example\r\n\r\nhello\nBcc: v@x.example\r\n",
    ],
    ids=["no field", "all lines end so", "in the body"],
)
def test_no_field_was_injected(header: str) -> None:
    found = mail(header)
    assert "BIT223" in found
    assert "SEC619" not in found


def test_the_offset_of_an_injected_field() -> None:
    header = "Received: x\r\nSubject: x\nBcc: v@x.example\r\nFrom: a@x.example\r\n\r\nhello\r\n.\r\n"
    connection = play([*BEFORE, ("C", header), *lines("S 250 ok")])
    finding = one(connection, "SEC619")
    sent = "".join(text for who, text in BEFORE if who == "C" and isinstance(text, str))
    assert finding.offset == len(sent) + header.index("\nBcc")
    assert finding.evidence.startswith("Subject: x\\x0aBcc")


def causes(script: Script) -> dict[str, str | None]:
    findings = play(script).findings
    return {f.rule: None if f.caused_by is None else findings[f.caused_by].rule for f in findings}


SPLIT: Script = [*BEFORE, ("C", MESSAGE + "x\n.\nMAIL FROM:<e@x.example>\r\n")]
CLOSE = lines("FS ", "FC ")


@pytest.mark.parametrize("code", [250, 500, 501, 502, 503])
def test_a_reply_after_a_look_alike_that_only_a_command_can_have_shows_that_it_was_honoured(code: int) -> None:
    connection = play([*SPLIT, *lines(f"S {code} no"), *CLOSE])
    finding = one(connection, "SEC615")
    assert finding.side == "server"
    assert ("no reply to mail data" in finding.message) is (code != 250)
    found = causes([*SPLIT, *lines(f"S {code} no"), *CLOSE])
    assert found["TCP902"] in {"SEC612", "SEC614", "SEC615"}
    assert "RPL411" not in found
    assert found.get("RPL412", "SEC612") == "SEC612"


@pytest.mark.parametrize("code", [451, 452, 550, 552, 554])
def test_a_refusal_of_the_message_after_a_look_alike_does_not_show_it(code: int) -> None:
    found = causes([*SPLIT, *lines(f"S {code} no"), *CLOSE])
    assert "SEC615" not in found


@pytest.mark.parametrize("code", [451, 521, 550])
def test_a_server_that_refuses_a_bare_lf_at_once_is_not_at_fault(code: int) -> None:
    """As qmail (451) and Postfix (521) do, which then close."""
    connection = play([*BEFORE, ("C", MESSAGE + "\n.\n"), *lines(f"S {code} bare LF"), *CLOSE])
    assert security(connection) == ["SEC612"]
    assert one(connection, "SEC612").message.endswith(f"; the server refused the message with {code}.")
    assert [f.rule for f in connection.findings if f.side == "server" and f.caused_by is None] == []


@pytest.mark.parametrize(("code", "honoured"), [(500, True), (503, True), (250, False), (554, False), (451, False)])
def test_such_a_reply_after_the_real_end(code: int, honoured: bool) -> None:
    connection = play(message("x\n.\n" + SMUGGLED, f"{code} no"))
    assert ("SEC615" in security(connection)) is honoured
    if honoured:
        assert "no reply to mail data" in one(connection, "SEC615").message


def test_surplus_replies_and_the_close_follow_from_the_look_alike() -> None:
    found = causes(
        [*BEFORE, ("C", MESSAGE + "x\n.\nyz\r\n.\r\n"), *lines("S 250 ok", "C NOOP", "S 250 ok", "S 500 a"), *CLOSE]
    )
    assert found["TCP902"] == "SEC612"
    assert found.get("RPL411", "SEC612") == "SEC612"
    alone = causes([*BEFORE, ("C", MESSAGE + ".\r\n"), *lines("S 250 ok", "C NOOP", "S 250 ok", "S 500 a"), *CLOSE])
    assert alone == {"RPL411": None, "TCP902": None}
