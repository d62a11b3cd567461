"""Zeek's logs: Zeek's own analysis library reads them, and they equal the expectations of Zeek's own tests."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from captures import pcap
from msgspec import UNSET
from scripts import MESSAGE, Script, envelope, hello, lines, records, segments
from written import capture_of, written

from smtpwire.analyzer.audit import audit
from smtpwire.analyzer.enums import Redact, ReportFormat
from smtpwire.analyzer.reports.formats import Style
from smtpwire.analyzer.reports.siem.zeek_tls import SSL_COLUMNS, X509_COLUMNS, KnownCertificates

HERE = Path(__file__).parent
CAPTURES = Path(__file__).parents[4] / "shared" / "captures" / "zeek"
# The rows of Zeek's test baselines (testing/btest/Baseline/scripts.base.protocols.smtp.*), each value as the first
# digits of its SHA-256, because the values are private mail. If bytes of the header are missing in a capture, Zeek logs
# no field of it and smtpwire logs the fields it has: those fields are omitted here.
BASELINES: dict[str, list[dict[str, str]]] = json.loads((HERE / "zeek_baselines.json").read_text("utf-8"))

TALK: Script = [
    *hello(),
    *envelope(),
    *lines("C DATA", "S 354 go"),
    ("C", MESSAGE + ".\r\n"),
    *lines("S 250 2.0.0 queued", "C DATA", "S 503 no", "C QUIT", "S 221 bye"),
]


def rows(text: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    fields: list[str] = []
    for line in text.splitlines():
        if line.startswith("#fields"):
            fields = line.split("\t")[1:]
        elif not line.startswith("#"):
            found.append(dict(zip(fields, line.split("\t"), strict=True)))
    return found


def of(log: str, where: Path) -> str:
    return (where / "report-zeek" / log).read_text("utf-8")


@pytest.mark.parametrize("name", BASELINES)
def test_the_rows_of_zeeks_own_tests(name: str, tmp_path: Path) -> None:
    if not CAPTURES.exists():
        pytest.skip("the captures of Zeek's tests are not here")
    written(CAPTURES / name, ReportFormat.ZEEK, tmp_path, redact=Redact.NONE)

    def order(row: dict[str, str]) -> tuple[str, ...]:
        return row["id.orig_h"], row["id.orig_p"]

    found = [{field: _hash(field, value) for field, value in row.items()} for row in rows(of("smtp.log", tmp_path))]
    for mine, theirs in zip(sorted(found, key=order), sorted(BASELINES[name], key=order), strict=True):
        assert {field: mine[field] for field in theirs} == theirs


def _hash(field: str, value: str) -> str:
    if field in {"rcptto", "to", "cc"}:
        value = ",".join(sorted(value.split(",")))
    return hashlib.sha256(value.encode()).hexdigest()[:12]


@pytest.mark.parametrize("log", ["smtp.log", "smtp_audit.log"])
def test_zat_reads_it(log: str, tmp_path: Path) -> None:
    reader = pytest.importorskip("zat.zeek_log_reader")
    written(capture_of(tmp_path / "x.pcap", TALK), ReportFormat.ZEEK, tmp_path)
    found = list(reader.ZeekLogReader(str(tmp_path / "report-zeek" / log)).readrows())
    assert found
    assert found[0]["id.orig_h"] == "192.0.2.1"
    assert found[0]["id.resp_p"] == 25
    assert found[0]["ts"].year == 2026
    if log == "smtp.log":
        assert found[0]["mailfrom"] == "a@client.example"
        assert found[0]["trans_depth"] == 1
        assert found[0]["tls"] is False
    else:
        assert found[0]["rule"] == "SEQ104"
        assert found[0]["certain"] is True
        assert isinstance(found[0]["frame"], int)


def inside_tls(folder: Path, **how: Any) -> Path:
    """Write a capture of a session inside TLS with a finding, and its key log."""
    pytest.importorskip("cryptography")
    from tls_captures import HELLO_INSIDE, QUIT, TRANSACTION, tls_capture  # noqa: PLC0415

    early = [("C", b"RCPT TO:<b@mx.example>\r\n"), ("S", b"503 no\r\n")]
    script = [*HELLO_INSIDE, *early, *TRANSACTION, *QUIT]
    return tls_capture(folder / "tls.pcap", script, keylog=folder / "tls.keys", **how).path


def test_zat_reads_sessions_and_certificates(tmp_path: Path) -> None:
    reader = pytest.importorskip("zat.zeek_log_reader")
    pytest.importorskip("cryptography")
    from tls_captures import HOST, certified  # noqa: PLC0415

    written(inside_tls(tmp_path, client_certificate=certified("carol", ())), ReportFormat.ZEEK, tmp_path)
    (session,) = reader.ZeekLogReader(str(tmp_path / "report-zeek" / "ssl.log")).readrows()
    assert (session["version"], session["server_name"], session["curve"]) == ("TLSv13", HOST, "x25519")
    assert (session["established"], session["resumed"]) == (True, False)
    found = list(reader.ZeekLogReader(str(tmp_path / "report-zeek" / "x509.log")).readrows())
    server, client = found
    assert (server["certificate.subject"], server["san.dns"], server["client_cert"]) == (f"CN={HOST}", HOST, False)
    assert (client["certificate.subject"], client["client_cert"], client["host_cert"]) == ("CN=carol", True, True)
    assert server["certificate.not_valid_after"].year == 2035
    assert (server["certificate.key_type"], server["certificate.key_length"]) == ("ec", 256)
    assert session["cert_chain_fps"] == server["fingerprint"]
    assert session["client_cert_chain_fps"] == client["fingerprint"]
    (found_inside,) = reader.ZeekLogReader(str(tmp_path / "report-zeek" / "smtp_audit.log")).readrows()
    assert found_inside["inside"] == len("EHLO client.example\r\n")
    assert found_inside["uid"] == session["uid"]


def test_each_mail_inside_tls_has_its_row(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    from tls_captures import HELLO_INSIDE, QUIT, TRANSACTION, tls_capture  # noqa: PLC0415

    script = [*HELLO_INSIDE, *TRANSACTION, *TRANSACTION, *QUIT]
    made = tls_capture(tmp_path / "a.pcap", script, keylog=tmp_path / "a.keys")
    written(made.path, ReportFormat.ZEEK, tmp_path)
    found = [(row["mailfrom"], row["trans_depth"], row["tls"]) for row in rows(of("smtp.log", tmp_path))]
    assert found[:2] == [("a@client.example", "1", "T"), ("a@client.example", "2", "T")]


def test_columns_have_the_order_of_zeeks_own() -> None:
    # The lines #fields of ssl.log and x509.log in Zeek's baselines, without the columns of the connection
    ssl = "version cipher curve server_name resumed last_alert next_protocol established ssl_history cert_chain_fps"
    ssl += " client_cert_chain_fps sni_matches_cert"
    x509 = "ts fingerprint certificate.version certificate.serial certificate.subject certificate.issuer"
    x509 += " certificate.not_valid_before certificate.not_valid_after certificate.key_alg certificate.sig_alg"
    x509 += " certificate.key_type certificate.key_length certificate.exponent certificate.curve san.dns san.uri"
    x509 += " san.email san.ip basic_constraints.ca basic_constraints.path_len host_cert client_cert"
    for columns, theirs in ((SSL_COLUMNS, ssl.split()), (X509_COLUMNS, x509.split())):
        ours = [column.name for column in columns]
        assert ours == [name for name in theirs if name in ours]


def test_a_certificate_has_one_row(tmp_path: Path) -> None:
    path = inside_tls(tmp_path)
    (one,), known = list(audit(path)), KnownCertificates()
    assert one.tls_session is not UNSET
    assert len(list(known.rows(one, one.tls_session))) == 1
    assert list(known.rows(one, one.tls_session)) == []


def test_without_tls_the_logs_of_tls_have_no_rows(tmp_path: Path) -> None:
    written(capture_of(tmp_path / "x.pcap", TALK), ReportFormat.ZEEK, tmp_path)
    for log in ("ssl.log", "x509.log"):
        assert rows(of(log, tmp_path)) == []
        assert of(log, tmp_path).startswith("#separator")


def test_both_logs_name_the_same_connection(tmp_path: Path) -> None:
    written(capture_of(tmp_path / "x.pcap", TALK), ReportFormat.ZEEK, tmp_path)
    uids = {row["uid"] for log in ("smtp.log", "smtp_audit.log") for row in rows(of(log, tmp_path))}
    (uid,) = uids
    assert len(uid) == 18
    assert uid.isalnum()


def test_types_are_those_of_the_values(tmp_path: Path) -> None:
    written(capture_of(tmp_path / "x.pcap", TALK), ReportFormat.ZEEK, tmp_path)
    for log in ("smtp.log", "smtp_audit.log"):
        text = of(log, tmp_path)
        types = next(line for line in text.splitlines() if line.startswith("#types")).split("\t")[1:]
        fields = next(line for line in text.splitlines() if line.startswith("#fields")).split("\t")[1:]
        for row in rows(text):
            for field, kind in zip(fields, types, strict=True):
                value = row[field]
                if value == "-":
                    continue
                if kind in {"count", "port"}:
                    assert value.isdigit(), field
                elif kind == "bool":
                    assert value in {"T", "F"}, field
                elif kind == "time":
                    assert float(value) > 0, field


def test_as_json_each_line_names_its_log(tmp_path: Path) -> None:
    capture = capture_of(tmp_path / "x.pcap", TALK)
    text = written(capture, ReportFormat.ZEEK, tmp_path, style=Style(zeek_json=True))
    found = [json.loads(line) for line in text.splitlines() if line]
    assert {one["_path"] for one in found} == {"smtp", "smtp_audit"}
    mail = next(one for one in found if one["_path"] == "smtp")
    assert mail["rcptto"] == ["b@mx.example"]
    assert mail["id.resp_p"] == 25
    assert isinstance(mail["ts"], float)
    assert "cc" not in mail


def test_a_value_that_would_be_read_as_unset_is_escaped(tmp_path: Path) -> None:
    message = MESSAGE.replace("Subject: test", "Subject: -").replace(
        "To: b@mx.example", 'To: "b,c" <b@mx.example>, d@x'
    )
    script = [*hello(), *envelope(), *lines("C DATA", "S 354 go"), ("C", message + ".\r\n"), *lines("S 250 ok")]
    written(capture_of(tmp_path / "x.pcap", script), ReportFormat.ZEEK, tmp_path)
    (row,) = rows(of("smtp.log", tmp_path))
    assert row["subject"] == "\\x2d"
    assert row["to"] == '"b\\x2cc" <b@mx.example>,d@x'


def test_each_mail_is_a_row_of_its_own(tmp_path: Path) -> None:
    again = [*envelope(), *lines("C DATA", "S 354 go"), ("C", MESSAGE + ".\r\n"), *lines("S 250 ok")]
    refused = lines("C MAIL FROM:<x@client.example>", "S 550 go away")
    script = [*hello(), *again, *refused, *again, *lines("C QUIT", "S 221 bye")]
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap(records(segments(script))))
    written(path, ReportFormat.ZEEK, tmp_path)
    found = [(row["trans_depth"], row["mailfrom"], row["last_reply"]) for row in rows(of("smtp.log", tmp_path))]
    assert found == [
        ("1", "a@client.example", "250 ok"),
        ("2", "x@client.example", "550 go away"),
        ("2", "a@client.example", "250 ok"),
    ]
