"""What reports say of TLS sessions, and of what was inside them."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("cryptography")

from ssl import TLSVersion

from handmade import output
from msgspec import UNSET
from tls_captures import BEFORE_TLS, HELLO_INSIDE, HOST, QUIT, TRANSACTION, certified, tls_capture
from written import written

from smtpwire.analyzer.audit import Audit, Options
from smtpwire.analyzer.commands.registry import smtpwire as command_line
from smtpwire.analyzer.enums import ReportFormat, Require
from smtpwire.analyzer.model import Capture, Connection, MessageTurn, Summary
from smtpwire.analyzer.reports.dialogue import DialogueWriter
from smtpwire.analyzer.reports.formats import Style
from smtpwire.analyzer.reports.html.ladder import ladder
from smtpwire.analyzer.reports.scope import contents, unmet
from smtpwire.analyzer.reports.tls_wording import tls_facts, tls_lines

if TYPE_CHECKING:
    from pathlib import Path

    from smtpwire.analyzer.model import Finding, TlsSession

GOOD = [*HELLO_INSIDE, *TRANSACTION, *QUIT]
# RCPT before MAIL (SEQ103) inside TLS
WRONG = [*HELLO_INSIDE, ("C", b"RCPT TO:<b@mx.example>\r\n"), ("S", b"503 no\r\n"), *QUIT]


def made(folder: Path, script: Any = WRONG, *, keys: bool = True, **how: Any) -> Path:
    """Write a capture, and its key log beside it."""
    return tls_capture(folder / "mail.pcap", script, keylog=folder / "mail.keys" if keys else None, **how).path


def audited(path: Path, options: Options | None = None) -> tuple[list[Connection], Summary, list[Capture]]:
    run = Audit(options or Options())
    found = [item for item in run.run([str(path)]) if isinstance(item, Connection)]
    return found, run.summary, run.captures


def session(path: Path) -> TlsSession:
    ((one,), _, _) = audited(path)
    assert one.tls_session is not UNSET
    return one.tls_session


def wrong(path: Path) -> Finding:
    """Return the finding about RCPT."""
    ((one,), _, _) = audited(path)
    return next(finding for finding in one.findings if finding.rule == "SEQ103")


def shown(path: Path, *, encoding: str = "utf-8") -> list[str]:
    out, stream = output(encoding=encoding)
    writer = DialogueWriter(out)
    for one in audited(path)[0]:
        writer.connection(one)
    return stream.getvalue().decode(encoding).splitlines()


def text(path: Path, where: Path, form: ReportFormat = ReportFormat.TEXT, style: Style | None = None) -> str:
    return written(path, form, where, style=style or Style())


# -- for people -------------------------------------------------------------------------------------------------------


def test_what_was_inside_has_other_arrows_than_clear_text(tmp_path: Path) -> None:
    said = shown(made(tmp_path))
    assert any(line.endswith("→ EHLO client.example") for line in said)
    assert any(line.endswith("⇒ EHLO client.example") for line in said)
    assert any(line.endswith("← 220 go ahead") for line in said)
    assert any(line.endswith("⇐ 503 no") for line in said)
    assert any(line.endswith("→ (TLS handshake: what follows was inside TLS)") for line in said)


def test_without_these_arrows_the_terminal_gets_ascii(tmp_path: Path) -> None:
    said = shown(made(tmp_path), encoding="ascii")
    assert any(line.endswith("=> EHLO client.example") for line in said)
    assert any(line.endswith("<= 503 no") for line in said)


def test_without_a_key_log_what_follows_is_encrypted(tmp_path: Path) -> None:
    said = "\n".join(shown(made(tmp_path, keys=False)))
    assert "(TLS handshake: what follows is encrypted)" in said
    assert "not decrypted" in said
    assert "⇒" not in said
    assert "RCPT" not in said


def test_the_session_is_described(tmp_path: Path) -> None:
    said = " ".join(line.strip() for line in shown(made(tmp_path, GOOD, alpn=["smtp"])))
    assert f"TLS 1.3, TLS_AES_256_GCM_SHA384, x25519, SNI {HOST}, ALPN smtp" in said
    assert f"certificate of CN={HOST}: 2025-01-01 to 2035-01-01, EC 256 bits, by CN={HOST}" in said
    assert re.search(r"JA4 t13[a-z0-9]+_[0-9a-f]{12}_[0-9a-f]{12} decrypted", said)


def test_a_session_that_was_resumed_shows_no_certificate(tmp_path: Path) -> None:
    first, *rest = tls_lines(session(made(tmp_path, GOOD, resumed=True)))
    assert first.endswith(", resumed")
    assert not any("certificate" in line for line in rest)


def test_without_a_name_and_with_an_offer_that_was_not_taken(tmp_path: Path) -> None:
    facts = dict(tls_facts(session(made(tmp_path, GOOD, server_name=None))))
    assert facts["SNI"] == "none"
    assert "ALPN" not in facts


def test_protocols_that_were_not_taken_are_named_in_part(tmp_path: Path) -> None:
    one = session(made(tmp_path, GOOD))
    one.alpn_offered = [f"p{number}" for number in range(20)]
    assert dict(tls_facts(one))["ALPN"].endswith(", p7 and 12 more")


def test_the_certificate_of_the_client_is_named_as_such(tmp_path: Path) -> None:
    found = list(tls_lines(session(made(tmp_path, GOOD, client_certificate=certified("carol")))))
    assert any(line.startswith(f"certificate of CN={HOST}") for line in found)
    assert any(line.startswith("client certificate of CN=carol: ") for line in found)


def test_a_handshake_that_failed_is_no_encrypted_text(tmp_path: Path) -> None:
    said = "\n".join(shown(made(tmp_path, GOOD, refused=True)))
    assert "(TLS handshake: it failed)" in said
    assert "alert unknown_ca, sent by the client" in said
    assert "decrypted" not in said


def test_a_record_that_cannot_be_opened_is_not_called_missing(tmp_path: Path) -> None:
    path = made(tmp_path, [*HELLO_INSIDE, ("XC", b"NOOP\r\n"), *GOOD])
    said = "\n".join(shown(path))
    assert "⇒ (a TLS record that cannot be opened)" in said
    assert "0 bytes" not in said
    assert "decrypted in part: the TLS record of the client" in said.replace("\n    ", " ")
    assert "what follows was inside TLS, and not all of it could be read" in said


def test_a_lost_record_is_missing(tmp_path: Path) -> None:
    said = "\n".join(shown(made(tmp_path, [*HELLO_INSIDE, ("LC", b"NOOP\r\n"), *TRANSACTION, *QUIT])))
    assert re.search(r"⇒ \([0-9]+ bytes not captured\)", said)


def test_a_place_inside_is_that_of_the_record_and_the_byte_in_it(tmp_path: Path) -> None:
    path = made(tmp_path)
    found = wrong(path)
    assert found.inside == len("EHLO client.example\r\n")
    place = f"frame {found.frame}, byte {found.offset:,} (inside TLS: byte {found.inside})"
    people = (ReportFormat.TEXT, ReportFormat.MARKDOWN, ReportFormat.HTML, ReportFormat.JUNIT, ReportFormat.GITHUB)
    for form in people:
        assert place in text(path, tmp_path, form), form


def test_key_logs_are_named_with_their_capture(tmp_path: Path) -> None:
    path = made(tmp_path)
    keys = str(tmp_path / "mail.keys")
    assert f"  key log {keys}" in text(path, tmp_path).splitlines()
    assert f"key log {keys}" in text(path, tmp_path, ReportFormat.HTML)
    assert "key log" in text(path, tmp_path, ReportFormat.MARKDOWN)
    assert "key log" not in text(path.rename(tmp_path / "other.pcap"), tmp_path)


def test_decrypted_connections_are_counted(tmp_path: Path) -> None:
    ((one,), summary, _) = audited(made(tmp_path, GOOD))
    assert (summary.encrypted, summary.decrypted, summary.complete) == (1, 1, 1)
    said = text(tmp_path / "mail.pcap", tmp_path)
    assert "  all complete, and in clear text or decrypted" in said
    assert "  1 encrypted (from the start, or after STARTTLS), 1 of them decrypted" in said
    assert one.tls == "starttls"
    concise = text(tmp_path / "mail.pcap", tmp_path, style=Style(concise=True))
    assert "All connections are complete, and in clear text or decrypted: 1 encrypted" in concise


def test_what_was_not_decrypted_is_not_complete(tmp_path: Path) -> None:
    _, summary, _ = audited(made(tmp_path, GOOD, keys=False))
    assert (summary.encrypted, summary.decrypted, summary.partly_decrypted, summary.complete) == (1, 0, 0, 0)
    assert "1 encrypted (from the start, or after STARTTLS)\n" in text(tmp_path / "mail.pcap", tmp_path)


def test_a_part_is_counted_as_a_part(tmp_path: Path) -> None:
    _, summary, _ = audited(made(tmp_path, [*HELLO_INSIDE, ("XC", b"NOOP\r\n"), *GOOD]))
    assert (summary.decrypted, summary.partly_decrypted, summary.complete) == (0, 1, 0)
    assert "1 of them decrypted in part" in text(tmp_path / "mail.pcap", tmp_path)


@pytest.mark.parametrize("require", [Require.CLEARTEXT, Require.COMPLETE])
def test_what_could_be_read_is_as_good_as_clear_text(require: Require, tmp_path: Path) -> None:
    _, summary, captures = audited(made(tmp_path, GOOD))
    assert unmet(require, summary, captures) is None
    _, summary, captures = audited(made(tmp_path, [*HELLO_INSIDE, ("XC", b"NOOP\r\n"), *GOOD]))
    assert unmet(require, summary, captures) == (
        "1 connection of 1 encrypted, as a whole or in part and not wholly decrypted"
    )
    (tmp_path / "mail.keys").unlink()
    _, summary, captures = audited(tmp_path / "mail.pcap")
    assert unmet(require, summary, captures) == "1 connection of 1 encrypted, as a whole or in part"


def test_a_session_without_mail_was_readable(tmp_path: Path) -> None:
    script = [BEFORE_TLS[0], *HELLO_INSIDE, *QUIT]
    _, summary, _ = audited(made(tmp_path, script, implicit=True))
    assert contents(summary) is None
    junit = text(tmp_path / "mail.pcap", tmp_path, ReportFormat.JUNIT)
    assert "encrypted from the start" not in junit
    (tmp_path / "mail.keys").unlink()
    assert "Nothing was readable" in str(contents(audited(tmp_path / "mail.pcap")[1]))
    assert "encrypted from the start" in text(tmp_path / "mail.pcap", tmp_path, ReportFormat.JUNIT)


def test_the_page_shows_session_and_certificate_and_marks_rows_inside(tmp_path: Path) -> None:
    path = made(tmp_path, client_certificate=certified("carol"))
    ((one,), _, _) = audited(path)
    drawn = ladder(one)
    assert dict(drawn.session)["version"] == "TLS 1.3"
    assert [(of.of, of.subject) for of in drawn.certificates] == [("server", f"CN={HOST}"), ("client", "CN=carol")]
    handshake = next(n for n, row in enumerate(drawn.rows) if row.kind == "tls")
    assert not any(row.secured for row in drawn.rows[: handshake + 1])
    assert all(row.secured for row in drawn.rows[handshake + 1 :])
    page = text(path, tmp_path, ReportFormat.HTML)
    assert "Certificate of the client" in page
    assert page.count('class="within"') == len(drawn.rows) - handshake - 1
    assert "STARTTLS, decrypted" in page


def test_a_page_of_a_hostile_name_has_it_as_text(tmp_path: Path) -> None:
    name = '<img src=x onerror="x">'
    page = text(made(tmp_path, certificate=certified(name, (HOST,))), tmp_path, ReportFormat.HTML)
    assert "<img" not in page
    assert "&lt;img src=x" in page


def test_tls_1_2_has_its_own_names(tmp_path: Path) -> None:
    facts = dict(tls_facts(session(made(tmp_path, GOOD, version=TLSVersion.TLSv1_2))))
    assert facts["version"] == "TLS 1.2"
    assert facts["suite"].startswith("TLS_ECDHE_ECDSA_WITH_")


def test_end_of_data_has_the_byte_inside(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = made(tmp_path, GOOD)
    ((one,), _, _) = audited(path)
    message = next(turn for turn in one.dialogue if isinstance(turn, MessageTurn))
    command_line(["show", str(path), "--end-of-data", "--all", "--no-pager", "--no-config"], standalone_mode=False)
    said = capfd.readouterr().out
    assert (
        f"message in frame {message.frame}, from byte {message.offset} (inside TLS: byte {message.inside}) on" in said
    )
    assert all(len(number) < 6 for number in re.findall(r"[0-9]+", said.partition("\n    reader")[2]))


# -- for programs -----------------------------------------------------------------------------------------------------


def test_csv_and_sarif_have_the_byte_inside(tmp_path: Path) -> None:
    path = made(tmp_path)
    found = wrong(path)
    rows = list(csv.DictReader(io.StringIO(text(path, tmp_path, ReportFormat.CSV))))
    assert list(rows[0])[-1] == "inside"
    assert {row["rule"]: row["inside"] for row in rows}["SEQ103"] == str(found.inside)
    (run,) = json.loads(text(path, tmp_path, ReportFormat.SARIF))["runs"]
    (result,) = (one for one in run["results"] if one["ruleId"] == "SEQ103")
    assert result["properties"]["inside"] == found.inside
    assert result["locations"][0]["physicalLocation"]["region"]["snippet"]["text"].endswith(
        "C in TLS: RCPT TO:<b@mx.example>"
    )


def test_outside_there_is_no_byte_inside(tmp_path: Path) -> None:
    early = [("C", b"RCPT TO:<b@mx.example>\r\n"), ("S", b"503 no\r\n")]
    path = made(tmp_path, [*BEFORE_TLS[:3], *early, *BEFORE_TLS[3:], ("TLS", b""), *GOOD])
    assert wrong(path).inside is UNSET
    rows = list(csv.DictReader(io.StringIO(text(path, tmp_path, ReportFormat.CSV))))
    assert {row["rule"]: row["inside"] for row in rows}["SEQ103"] == ""
    (run,) = json.loads(text(path, tmp_path, ReportFormat.SARIF))["runs"]
    assert all("inside" not in result["properties"] for result in run["results"])


def test_json_fits_its_schema(tmp_path: Path) -> None:
    import jsonschema  # noqa: PLC0415

    from smtpwire.analyzer.reports.json_schema import report_schema  # noqa: PLC0415

    path = made(tmp_path, client_certificate=certified("carol"))
    document = json.loads(text(path, tmp_path, ReportFormat.JSON))
    jsonschema.validate(document, report_schema())
    (one,) = document["connections"]
    assert one["tls_session"]["client_certificates"][0]["subject"] == "CN=carol"
    assert document["captures"][0]["key_logs"] == [str(tmp_path / "mail.keys")]
    del one["tls_session"]["version"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, report_schema())
