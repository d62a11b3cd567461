"""What of a dialogue is hidden because of what came before it, or because it repeats a secret."""

from __future__ import annotations

import base64

import pytest
from scripts import END, GREETING, Script, envelope, hello, lines, play

from smtpwire.analyzer.exchanges.secret_values import Secrecy, SecretValues
from smtpwire.analyzer.limits import SECRET_BYTES, SECRET_VALUES
from smtpwire.analyzer.lines.shown_text import shown_text
from smtpwire.analyzer.model import AuthTurn, CommandTurn, Connection, MalformedTurn, ReplyTurn
from smtpwire.analyzer.redact.credentials import OVERFLOW

HELLO = hello("AUTH PLAIN LOGIN CRAM-MD5", "PIPELINING")
USER, SECRET = "bfghmpuy", "q7#Kz!9"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def said(connection: Connection) -> list[str]:
    """What the report shows of the lines of both sides."""
    shown: list[str] = []
    for turn in connection.dialogue:
        if isinstance(turn, CommandTurn):
            shown.append(" ".join(filter(None, (turn.verb, turn.argument))))
        elif isinstance(turn, ReplyTurn):
            shown.append(f"{turn.code} " + " / ".join(turn.lines))
        elif isinstance(turn, MalformedTurn):
            shown.append(turn.text)
        elif isinstance(turn, AuthTurn):
            shown.append(f"({turn.length})")
    return shown


def after_hello(*entries: str) -> list[str]:
    return said(play([*HELLO, *lines(*entries), *END]))[3:-2]


def test_lines_after_a_refused_login_are_answers_until_a_command_of_a_transaction() -> None:
    assert after_hello(
        *("C AUTH LOGIN", "S 504 no", "C NOOP", "S 250 ok", "C EHLO client.example", "S 250 mx", f"C {SECRET}"),
        *("S 500 what", "C RSET", "S 250 ok", "C some words", "S 500 what", "C VRFY postmaster", "S 252 ok"),
        *("C MAIL FROM:<a@client.example>", "S 250 ok", "C other words", "S 500 what"),
    ) == [
        *("AUTH LOGIN", "504 no", "NOOP", "250 ok", "EHLO client.example", "250 mx", "[7 bytes not shown]"),
        *("500 what", "RSET", "250 ok", "[10 bytes not shown]", "500 what", "VRFY [10 bytes not shown]", "252 ok"),
        *("MAIL FROM:<a@client.example>", "250 ok", "OTHER words", "500 what"),
    ]  # fmt: skip


def test_a_success_ends_a_login() -> None:
    shown = after_hello("C XAUTH", "S 334 UGFzc3dvcmQ6", f"C {SECRET}", "S 235 ok", "C some words", "S 500 what")
    assert shown == ["XAUTH", "334 UGFzc3dvcmQ6", "[7 bytes not shown]", "235 ok", "SOME words", "500 what"]


def test_a_prompt_of_a_terminal_starts_a_login() -> None:
    assert after_hello("S login:", "C jones", "S Password:", "C tiger", "S 500 what") == [
        "login:", "[5 bytes not shown]", "Password:", "[5 bytes not shown]", "500 what",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["secret merger", "Gentle readers"])
def test_text_after_a_refused_data_is_not_shown(text: str) -> None:
    for script in (
        lines("C DATA", "S 503 no", f"C {text}", f"S 500 unknown: {text}", "C .", "S 500 unknown: ."),
        [("C", f"DATA\r\n{text}\r\n.\r\n"), *lines("S 503 no", f"S 500 unknown: {text}", "S 500 unknown: .")],
    ):
        shown = said(play([*HELLO, *script, *END]))
        assert f"[{len(text)} bytes not shown]" in shown
        assert f"500 unknown: [{len(text)} bytes not shown]" in shown
        assert "." in shown


def test_the_first_word_of_text_after_a_refused_data_is_shown_if_servers_know_it() -> None:
    shown = after_hello(*("C DATA", "S 503 no", "C Hello, Alice (2)", "S 500 what") * 2)
    assert [line for line in shown if "HELLO" in line] == ["HELLO, [9 bytes not shown]"] * 2


@pytest.mark.parametrize("code", [235, 432, 534, 535, 538])
def test_a_line_that_is_answered_like_a_login_was_one(code: int) -> None:
    assert after_hello("C tiger", f"S {code} so: tiger") == ["[5 bytes not shown]", f"{code} so: [5 bytes not shown]"]


@pytest.mark.parametrize(
    ("echo", "shown"),
    [
        (f"bad password: {SECRET}", "bad password: [7 bytes not shown]"),
        (SECRET.upper(), "[7 bytes not shown]"),
        (f"x{SECRET}x", "x[7 bytes not shown]x"),
        (f"'{b64(SECRET)}'", "'[12 bytes not shown]'"),
        (f"user {USER}", "user [8 bytes not shown]"),
        ("bad password", "bad password"),
    ],
)
def test_an_echo_in_the_reply_to_a_login(echo: str, shown: str) -> None:
    login = ("C AUTH LOGIN", "S 334 VXNlcm5hbWU6", f"C {b64(USER)}", "S 334 UGFzc3dvcmQ6", f"C {b64(SECRET)}")
    assert after_hello(*login, f"S 535 {echo}")[-1] == f"535 {shown}"


def test_a_password_is_hidden_everywhere_and_a_user_name_only_in_the_login() -> None:
    plain = b64(f"\0{USER}\0{SECRET}")
    shown = after_hello(
        *(f"C AUTH PLAIN {plain}", "S 235 ok", f"C MAIL FROM:<{USER}@client.example>", f"S 550 {USER} sent {SECRET}"),
        *(f"C {SECRET}", "S 500 what", f"C RCPT TO:<{SECRET}@client.example>", "S 503 no"),
    )
    assert shown == [
        *("AUTH PLAIN [24 bytes not shown]", "235 ok"),
        *(f"MAIL FROM:<{USER}@client.example>", f"550 {USER} sent [7 bytes not shown]"),
        *("[7 bytes not shown]", "500 what", "RCPT TO:<[7 bytes not shown]@client.example>", "503 no"),
    ]  # fmt: skip


@pytest.mark.parametrize("newline", ["\r", "\n"])
def test_an_echo_after_a_bare_newline_is_not_read_as_a_part_of_the_path_before_it(newline: str) -> None:
    login = ("C AUTH PLAIN " + b64(f"\0{USER}\0{SECRET}"), "S 535 no")
    shown = after_hello(*login, f"C MAIL FROM:<a@client.example>{newline}EHLO client.example{SECRET}", "S 501 no")
    bare = "\\x0d" if newline == "\r" else "\\x0a"
    assert shown[2:] == [f"MAIL FROM:<a@client.example>{bare}EHLO client.example[7 bytes not shown]", "501 no"]


@pytest.mark.parametrize("newline", ["\r", "\n"])
def test_a_login_after_a_bare_newline_is_a_login(newline: str) -> None:
    shown = after_hello(f"C MAIL FROM:<a@client.example>{newline}AUTH LOGIN", "S 504 no", "C Tiger", "S 500 what")
    assert shown[2:] == ["[5 bytes not shown]", "500 what"]
    shown = after_hello(f"C MAIL FROM:<a@client.example>{newline}AUTH LOGIN{newline}NOOP tiger", "S 504 no")
    assert shown[0].endswith("NOOP [5 bytes not shown]")


def test_a_transaction_with_a_bare_newline_ends_no_login() -> None:
    shown = after_hello("C AUTH LOGIN", "S 504 no", "C MAIL FROM:<a@client.example>\rTiger", "S 501 no", "C Tiger")
    assert shown[2:] == ["MAIL FROM:<a@client.example>\\x0d[5 bytes not shown]", "501 no", "[5 bytes not shown]"]


@pytest.mark.parametrize(
    ("secret", "address", "shown"),
    [
        (SECRET, f"a@client.example{SECRET}", "a@client.example[7 bytes not shown]"),
        (SECRET, f"a@client.example{b64(SECRET)[:-2]}", "a@client.example[10 bytes not shown]"),
        ("jones", "jonesy@client.example", "jonesy@client.example"),
        ("jones", "a.jones@client.example", "a.[5 bytes not shown]@client.example"),
    ],
)
def test_a_password_within_a_word_of_an_address_is_hidden_if_no_name_is_like_it(
    secret: str, address: str, shown: str
) -> None:
    login = f"C AUTH PLAIN {b64(chr(0) + USER + chr(0) + secret)}"
    assert after_hello(login, "S 235 ok", f"C MAIL FROM:<{address}>")[2] == f"MAIL FROM:<{shown}>"


@pytest.mark.parametrize("line", [f"Debug : {'a ' * 44}{SECRET}", f"{b64(SECRET)}\rDebug: {'a ' * 38}{SECRET}"])
def test_no_part_of_an_echo_is_left_where_the_evidence_of_a_header_line_ends(line: str) -> None:
    login = lines("C AUTH PLAIN " + b64(f"\0{USER}\0{SECRET}"), "S 235 ok")
    message = [("C", f"{line}\r\n\r\n.\r\n"), *lines("S 250 ok")]
    shown = play([*HELLO, *login, *envelope(), *lines("C DATA", "S 354 go"), *message, *END])
    evidence = next(finding.evidence for finding in shown.findings if finding.name == "malformed-header-line")
    assert SECRET[:2] not in evidence


@pytest.mark.parametrize("line", [f"EHLO {SECRET}\rPASS tiger", f"{SECRET}\r{'NOOP a ' * 12}{SECRET}"])
def test_injected_text_that_repeats_a_secret_is_read_as_a_line_too(line: str) -> None:
    login = lines("C AUTH PLAIN " + b64(f"\0{USER}\0{SECRET}"), "S 535 no")
    shown = play([*HELLO, *login, ("C", f"STARTTLS\r\n{line}\r\n"), *lines("S 220 go")])
    evidence = next(finding.evidence for finding in shown.findings if finding.name == "starttls-command-injection")
    assert SECRET[:2] not in evidence
    assert "tiger" not in evidence


def test_no_part_of_an_echo_is_left_where_the_evidence_of_an_injected_field_ends() -> None:
    login = [*HELLO, *lines("C AUTH PLAIN " + b64(f"\0{USER}\0{SECRET}"), "S 235 ok"), *envelope()]
    text = f"Subject: a\rDebug: some words here {SECRET}\r\n\r\n.\r\n"
    findings = play([*login, *lines("C DATA", "S 354 go"), ("C", text), *lines("S 250 ok"), *END]).findings
    evidence = next(finding.evidence for finding in findings if finding.name == "header-injection-newline")
    assert evidence == "Subject: a\\x0dDebug: some words here"


def test_the_end_of_a_text_line_is_no_field_of_the_header() -> None:
    plain = b64(f"\0{USER}\0{SECRET}")
    text = f"HELP AUTH PLAIN {plain}Authorization: Basic {b64(SECRET)}.\r\n"
    login = [*HELLO, *lines(f"C AUTH PLAIN {plain}", "S 235 ok"), *envelope(), *lines("C DATA", "S 354 go")]
    findings = play([*login, ("C", text), *lines("C QUIT", "FC", "FS")]).findings
    message = next(finding.message for finding in findings if finding.name == "end-of-data-glued")
    assert "Authorization" not in message
    assert "bytes not shown] is text" in message


def test_a_user_name_is_measured_only_in_base64() -> None:
    line = f"AUTH PLAIN {b64(f'{chr(0)}{USER}{chr(0)}{SECRET}')}"
    for text, measured in ((line, True), (line + "\rab cd", False)):
        findings = play([*HELLO, *lines(f"C {text}", "S 501 no"), *END]).findings
        message = next(finding.message for finding in findings if finding.name == "cleartext-credentials")
        assert ("8 bytes" in message) is measured


def test_an_echo_before_its_secret_is_found() -> None:
    shown = after_hello(f"C {SECRET}", f"S 235 {SECRET}", "C NOOP", "S 250 ok")
    assert shown[:2] == ["[7 bytes not shown]", "235 [7 bytes not shown]"]


def test_a_short_secret_counts_only_as_a_word() -> None:
    shown = after_hello("C AUTH PLAIN", "S 334 ", "C AGEAMQ==", "S 535 5.7.1 password '1' is wrong, 11 left")
    assert shown[-1] == "535 5.7.1 password '[1 byte not shown]' is wrong, 11 left"


def test_the_words_of_servers_are_no_echo() -> None:
    shown = after_hello(
        "C AUTH PLAIN", "S 334 ", f"C {b64(chr(0) + 'password' + chr(0) + 'password')}", "S 535 bad password"
    )
    assert shown[-1] == "535 bad password"


def test_without_the_client_only_known_words_are_shown() -> None:
    script: Script = [
        ("S", GREETING),
        *lines("S 250 mx.example", "S 334 UGFzc3dvcmQ6", f"S 535 5.7.8 bad password: {SECRET}", "S 500 what is tiger"),
        *lines("S 550 no such user: jones"),
    ]
    shown = said(play(script, onesided=True))
    assert shown[2:] == [
        *("334 UGFzc3dvcmQ6", "535 5.7.8 bad password: [7 bytes not shown]", "500 what is [5 bytes not shown]"),
        "550 no such user: jones",
    ]  # fmt: skip


def test_a_result_without_its_login_shows_only_known_words() -> None:
    script = lines("S 535 no such password: tiger", "C QUIT", "S 221 bye")
    assert said(play(script, midstream=True))[0] == "535 no such password: [5 bytes not shown]"


def test_a_challenge_is_hidden_and_a_prompt_is_not() -> None:
    """A password can be guessed offline from the challenge and the last answer of SCRAM (RFC 5802 §9)."""
    challenge = "cj1meWtvLHM9UVNYQ1IrUTZzZWs4YmY5MixpPTQwOTY="
    shown = after_hello(
        "C AUTH SCRAM-SHA-1", f"S 334 {challenge}", "C *", "S 501 cancelled", "C AUTH LOGIN", "S 334 VXNlcm5hbWU6"
    )
    assert shown[1] == "334 [44 bytes not shown]"
    assert shown[5] == "334 VXNlcm5hbWU6"


WORDS = [
    *(
        "clave",
        "PIN",
        "secret",
        "Wachtwoord",
        "PASS",
        "APOP",
        "password is",
        "Passphrase",
        "pwd",
        "pswd",
        "senha",
        "mdp",
    ),
    *(
        "contrasena",
        "mot de passe",
        "heslo",
        "Kennwort",
        "parola",
        "zugangscode",
        "pw",
        "bearer",
        "LOGIN=",
        "AUTH PLAIN",
    ),
    *("token:", "api_key=", "credentials=", "URLAUTH=", "cookie:", "Authorization:", "X-Auth-Token:", "basic:"),
]


@pytest.mark.parametrize("announced", WORDS)
def test_a_reply_that_announces_a_secret_is_found_in_a_dialogue_without_a_login(announced: str) -> None:
    text = announced if announced.endswith("=") else f"{announced} "
    assert after_hello("C NOOP", f"S 250 {text}{SECRET}")[-1] == f"250 {text}[7 bytes not shown]"


def test_the_mechanisms_that_a_server_offers_are_no_secret() -> None:
    offered = "AUTH PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256 XOAUTH2 OAUTHBEARER"
    assert after_hello("C NOOP", f"S 250 {offered}")[-1] == f"250 {offered}"


def test_a_clean_dialogue_is_not_changed() -> None:
    script = [*hello("SIZE"), *envelope(), *lines("C RSET", "S 250 ok", "C QUIT", "S 221 bye")]
    assert not any("not shown" in text for text in said(play(script)))


def test_the_values_that_are_kept_have_a_bound() -> None:
    values = SecretValues()
    for number in range(SECRET_VALUES + 1):
        assert not values.overflow
        values.add(f"{number:05}!value".encode(), Secrecy.ANSWER)
    assert values.overflow
    values = SecretValues()
    for number in range(SECRET_BYTES // 20_000 + 1):
        assert not values.overflow
        values.add(bytes([33 + number]) * 19_999, Secrecy.ANSWER)
    assert values.overflow


def test_a_long_value_is_found_whole_and_cut() -> None:
    values = SecretValues()
    long = "".join(f"{number:03}!" for number in range(200))
    values.add(long.encode(), Secrecy.ANSWER)
    assert shown_text(f"no {long} no".encode(), values.find(f"no {long} no".encode(), Secrecy.ANSWER)) == (
        "no [800 bytes not shown] no"
    )
    assert values.parts(f"no {long[10:40]}".encode()) == ((3, 33),)


def test_many_guesses_of_one_user_are_all_found() -> None:
    values = SecretValues()
    guesses = [f"\0{USER}\0{number:04}-{SECRET}" for number in range(500)]
    for guess in guesses:
        values.add(b64(guess).encode(), Secrecy.ANSWER)
    assert not values.overflow
    for guess in guesses:
        text = f"no: {b64(guess)} {guess[-12:]}".encode()
        assert shown_text(text, values.find(text, Secrecy.ANSWER)).count("not shown") == 2


def test_more_secrets_than_are_kept_are_reported_and_only_known_words_are_shown() -> None:
    login = ["C AUTH LOGIN", "S 504 no"]
    for number in range(SECRET_VALUES):
        login += [f"C {number:06}!w", "S 500 what"]
    connection = play([*HELLO, *lines(*login, f"C {SECRET}", f"S 500 what is {SECRET}"), *END])
    assert OVERFLOW in connection.notes
    assert "500 what is [7 bytes not shown]" in said(connection)


def test_a_value_at_the_end_of_a_text_has_its_own_length_among_many_values() -> None:
    values = SecretValues()
    for number in range(100):
        values.add(b"w2!jv#5 and more %d" % number, Secrecy.PASSWORD)
    values.add(b"w2!jv#5", Secrecy.PASSWORD)
    assert values.find(b"token=w2!Jv#5", Secrecy.PASSWORD) == ((6, 13),)
