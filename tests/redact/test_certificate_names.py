"""Names in certificates of clients are names of people; what a server shows of itself stays."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("cryptography")

from tls_captures import HELLO_INSIDE, HOST, QUIT, TRANSACTION, Certified, certified, tls_capture
from written import everything, forms_of_secret, written

from smtpwire.analyzer.enums import Redact, ReportFormat

if TYPE_CHECKING:
    from pathlib import Path

# The server names the client whose certificate it has seen.
GREETED = [("C", b"NOOP\r\n"), ("S", b"250 hello Carol Danvers of carols-laptop.example\r\n")]
SCRIPT = [*HELLO_INSIDE, *GREETED, *TRANSACTION, *QUIT]


def carol() -> Certified:
    return certified("Carol Danvers", ("carols-laptop.example", "dialup7.example"))


def capture(folder: Path) -> Path:
    return tls_capture(
        folder / "a.pcap", SCRIPT, keylog=folder / "a.keys", client_certificate=carol(), alpn=["smtp"]
    ).path


def session(path: Path, where: Path, redact: Redact) -> dict[str, Any]:
    document = json.loads(written(path, ReportFormat.JSON, where, redact=redact))
    found: dict[str, Any] = document["connections"][0]["tls_session"]
    return found


def test_no_report_has_a_name_of_a_clients_certificate(tmp_path: Path) -> None:
    path = capture(tmp_path)
    made = carol().certificate
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    wanted = {"Carol Danvers", "carols-laptop", "dialup7", made.fingerprint(SHA256()).hex(), f"{made.serial_number:x}"}
    for which, text in everything(path, tmp_path, Redact.PII).items():
        for name in wanted:
            for form in forms_of_secret(name):
                assert form not in text.lower(), f"{which} tells {name} as {form}"


def test_without_redaction_they_are_there(tmp_path: Path) -> None:
    """The test above proves nothing if no report has them."""
    (own,) = session(capture(tmp_path), tmp_path, Redact.SECRETS)["client_certificates"]
    assert (own["subject"], own["names"]) == ("CN=Carol Danvers", ["carols-laptop.example", "dialup7.example"])


def test_what_the_server_shows_stays(tmp_path: Path) -> None:
    path = capture(tmp_path)
    before, after = (session(path, tmp_path, redact) for redact in (Redact.SECRETS, Redact.PII))
    assert after["sni"] == HOST
    assert after["ja4"] == before["ja4"]
    assert after["certificates"] == before["certificates"]
    del before["client_certificates"], after["client_certificates"]
    assert after == before


def test_one_name_has_one_pseudonym(tmp_path: Path) -> None:
    document = json.loads(written(capture(tmp_path), ReportFormat.JSON, tmp_path, redact=Redact.PII))
    (one,) = document["connections"]
    (own,) = one["tls_session"]["client_certificates"]
    assert own["subject"] == own["issuer"]  # it is self-signed
    assert own["subject"].startswith("CN=name-")
    reply = next(turn["lines"][0] for turn in one["dialogue"] if "hello" in str(turn.get("lines")))
    assert reply.split()[-1] == own["names"][0]
    assert own["names"][0].startswith("host-")
    assert (own["not_after"], own["key_type"]) == ("2035-01-01T00:00:00Z", "EC")
