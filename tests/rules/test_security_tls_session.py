"""What both sides negotiate in the handshake, the server's certificate, and handshakes that never come."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("cryptography")

from captures import START as START_NS
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from scripts import END, Cut, Script, at_random, by_byte, hello, lines, play, talk
from tls_captures import HELLO_INSIDE, QUIT, TRANSACTION, Certified, certified, tls_capture

from smtpwire.analyzer.audit import audit

if TYPE_CHECKING:
    from pathlib import Path

    from smtpwire.analyzer import model

V10, V12, V13 = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
NOW = datetime.fromtimestamp(START_NS // 1_000_000_000, UTC)
AGREED: Script = [*hello("STARTTLS"), *lines("C STARTTLS", "S 220 go")]
CLOSE: Script = [("FS", ""), ("FC", "")]
LEFT: Script = [("FC", ""), ("FS", "")]
NEW = {f"SEC{number}" for number in range(639, 648)}


# -- messages of TLS ---------------------------------------------------------------------------------------------------


def vector(size: int, data: bytes) -> bytes:
    return len(data).to_bytes(size, "big") + data


def record(kind: int, data: bytes) -> bytes:
    return bytes((kind, 3, 3)) + vector(2, data)


def message(kind: int, body: bytes) -> bytes:
    return record(22, bytes((kind,)) + vector(3, body))


def extensions(*pairs: tuple[int, bytes]) -> bytes:
    return vector(2, b"".join(kind.to_bytes(2, "big") + vector(2, data) for kind, data in pairs)) if pairs else b""


NAME = (0, vector(2, b"\0" + vector(2, b"mx.example")))
RENEGOTIATION = (0xFF01, b"\0")
GROUPS, SCHEMES, SHARE = (10, b"\0\2\0\x1d"), (13, b"\0\2\4\3"), (51, b"\0\0")
VERSIONS = (43, b"\2\3\4")
ECDHE, DHE = 0xC02F, 0x009E  # with RSA and AES-128-GCM


def client_hello(*pairs: tuple[int, bytes], suites: tuple[int, ...] = (ECDHE, 0x00FF)) -> tuple[str, bytes]:
    offered = vector(2, b"".join(suite.to_bytes(2, "big") for suite in suites))
    return "C", message(1, b"\3\3" + bytes(32) + b"\0" + offered + b"\2\1\0" + extensions(*pairs))


def server_hello(
    *pairs: tuple[int, bytes], suite: int = ECDHE, compression: int = 0, version: int = 0x0303
) -> tuple[str, bytes]:
    chosen = suite.to_bytes(2, "big") + bytes((compression,))
    return "S", message(2, version.to_bytes(2, "big") + bytes(32) + b"\0" + chosen + extensions(*pairs))


def certificate(*chain: bytes) -> tuple[str, bytes]:
    return "S", message(11, vector(3, b"".join(vector(3, der) for der in chain)))


def alert(description: int, side: str = "S", level: int = 2) -> tuple[str, bytes]:
    return side, record(21, bytes((level, description)))


OFFER, CHOICE = client_hello(NAME), server_hello(RENEGOTIATION)
BEGUN: Script = [*AGREED, OFFER, CHOICE]
ALL_13 = (VERSIONS, GROUPS, SCHEMES, SHARE)


# -- certificates ------------------------------------------------------------------------------------------------------


@cache
def key_of(kind: str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    if kind.isdigit():
        return rsa.generate_private_key(65537, int(kind))
    return ec.generate_private_key({"p192": ec.SECP192R1(), "p224": ec.SECP224R1(), "p256": ec.SECP256R1()}[kind])


def issued(
    *names: str, key: str = "p256", dates: tuple[datetime, datetime] | None = None, issuer: str = "CA", cn: str = ""
) -> Certified:
    """A certificate for ``names``; its signature is that of its own key."""
    private = key_of(key)
    subject = [x509.NameAttribute(x509.NameOID.COMMON_NAME, cn)] if cn else []
    issued_by = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]) if issuer else x509.Name(subject)
    begin, end = dates or (NOW - timedelta(30), NOW + timedelta(30))
    builder = x509.CertificateBuilder(issued_by, x509.Name(subject), private.public_key(), 1, begin, end)
    if names:
        hosts = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(hosts, critical=False)
    made = builder.sign(private, hashes.SHA256())
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + made.public_bytes(Encoding.PEM)
    return Certified(pem, made)


def der(*names: str, **options: Any) -> bytes:
    return issued(*names, **options).certificate.public_bytes(Encoding.DER)


# -- results -----------------------------------------------------------------------------------------------------------


def new(connection: model.Connection) -> dict[str, model.Finding]:
    """The findings of the rules in question, each at most once."""
    found = [finding for finding in connection.findings if finding.rule in NEW]
    assert len({finding.rule for finding in found}) == len(found)
    return {finding.rule: finding for finding in found}


def heard(rest: Script, *, port: int = 587, **options: Any) -> dict[str, model.Finding]:
    return new(play([*AGREED, *rest], port=port, **options))


def told(rest: Script, rule: str, **options: Any) -> str | None:
    found = heard(rest, **options)
    assert set(found) <= {rule}
    return found[rule].message if found else None


def captured(tmp_path: Path, script: Script, *, keys: bool = True, **options: Any) -> model.Connection:
    path = tmp_path / "a.pcap"
    tls_capture(path, list(script), keylog=tmp_path / "a.keys" if keys else None, **options)
    (connection,) = audit(path)
    return connection


# -- ordinary traffic --------------------------------------------------------------------------------------------------

WHOLE: Script = [*HELLO_INSIDE, *TRANSACTION, *QUIT]
GREETED: Script = [("S", b"220 mx.example ESMTP\r\n"), *HELLO_INSIDE, *QUIT]


@pytest.mark.parametrize("keys", [True, False], ids=["keys", "no keys"])
@pytest.mark.parametrize("version", [V12, V13])
@pytest.mark.parametrize("rsa_key", [True, False], ids=["RSA", "EC"])
def test_an_ordinary_handshake_has_no_finding(tmp_path: Path, version: Any, keys: bool, rsa_key: bool) -> None:
    options = {"version": version, "certificate": certified(rsa=rsa_key), "keys": keys}
    assert captured(tmp_path, WHOLE, **options).findings == []
    assert captured(tmp_path, [*HELLO_INSIDE, *QUIT], server_port=587, **options).findings == []
    assert captured(tmp_path, GREETED, implicit=True, **options).findings == []


@pytest.mark.parametrize("version", [V12, V13])
def test_a_resumed_session_has_no_finding(tmp_path: Path, version: Any) -> None:
    connection = captured(tmp_path, GREETED, version=version, resumed=True, implicit=True)
    assert connection.findings == []
    assert connection.tls_session
    assert connection.tls_session.resumed


@pytest.mark.parametrize("cut", [None, by_byte, at_random(7)], ids=["whole", "by octet", "at random"])
def test_a_handshake_made_by_hand_has_no_finding(cut: Cut | None) -> None:
    assert heard([OFFER, CHOICE, certificate(der("mx.example")), *LEFT], cut=cut) == {}


@pytest.mark.parametrize("port", [25, 587])
def test_a_connection_without_tls_has_no_finding(port: int) -> None:
    assert new(play([*hello("STARTTLS"), *END], port=port)) == {}


# -- SEC639 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("port", [25, 587])
@pytest.mark.parametrize(
    ("number", "name", "offered"),
    [(112, "unrecognized_name", ()), (109, "missing_extension", ()), (109, "missing_extension", ALL_13)],
)
def test_a_hello_without_a_name_is_refused(number: int, name: str, offered: Any, port: int) -> None:
    connection = play([*AGREED, client_hello(*offered), alert(number), *CLOSE], port=port)
    (finding,) = connection.findings
    assert (finding.rule, finding.side, finding.severity, finding.certainty) == (
        "SEC639",
        "client",
        "warning",
        "certain",
    )
    assert finding.message == (
        f"The server broke off the TLS handshake with the alert {name} ({number}): the client's hello has no "
        "server_name."
    )


@pytest.mark.parametrize(
    "rest",
    [
        [client_hello(NAME), alert(112)],
        [client_hello((0, b"\0")), alert(112)],
        [client_hello(), alert(40)],
        [client_hello(), alert(112, level=1), CHOICE],
        [client_hello(), CHOICE, alert(112, "C")],
        [client_hello(VERSIONS, GROUPS, SCHEMES), alert(109)],
        [client_hello(VERSIONS, GROUPS, SHARE), alert(109)],
        [client_hello(VERSIONS, SCHEMES, SHARE), alert(109)],
        [client_hello(*ALL_13, (41, b"")), alert(109)],
        [("C", b"\x80\x2e\x01\3\3" + bytes(43)), alert(112)],
        [client_hello(), ("GS", "5"), alert(112)],
        [client_hello()],
    ],
    ids=["name", "broken", "other", "mild", "client", "share", "schemes", "groups", "modes", "SSL 2", "gap", "closed"],
)
def test_the_name_is_not_why_it_was_refused(rest: Script) -> None:
    assert heard([*rest, *CLOSE]) == {}


def test_only_the_other_rule_is_asked() -> None:
    found = play([*AGREED, client_hello(), alert(112), *CLOSE], select=("SEC636",)).findings
    assert [finding.rule for finding in found] == ["SEC636"]


# -- SEC640 ------------------------------------------------------------------------------------------------------------


def name_fault(*names: str, **options: Any) -> str | None:
    return told([OFFER, CHOICE, certificate(der(*names, **options)), *LEFT], "SEC640")


def test_a_certificate_for_another_name() -> None:
    begin = "The client asked for mx.example, but the certificate names "
    assert name_fault("www.example") == f"{begin}www.example."
    assert name_fault("www.example", "*.mx.example", "mx.example.org") == f"{begin}www.example and 2 more."
    assert name_fault(cn="Example CA") == f"{begin}Example CA."
    assert name_fault() == f"{begin}no host."


@pytest.mark.parametrize("names", [("mx.example",), ("www.example", "MX.Example")])
def test_a_certificate_for_the_name(names: tuple[str, ...]) -> None:
    assert name_fault(*names) is None
    assert name_fault(cn="mx.example") is None


@pytest.mark.parametrize(
    "offer",
    [
        client_hello(),
        client_hello((0, vector(2, b"\0" + vector(2, b"m\xfc.example")))),
        client_hello(NAME, (65037, b"\0")),
    ],
    ids=["no name", "not ASCII", "encrypted hello"],
)
def test_what_the_client_asked_for_is_not_known(offer: tuple[str, bytes]) -> None:
    assert heard([offer, CHOICE, certificate(der("www.example")), *LEFT]) == {}


def test_relays_do_not_check_names() -> None:
    assert heard([OFFER, CHOICE, certificate(der("www.example")), *LEFT], port=25) == {}


def test_a_wrong_name_inside_real_sessions(tmp_path: Path) -> None:
    other = issued("www.example")
    for version, keys, seen in ((V12, True, True), (V12, False, True), (V13, True, True), (V13, False, False)):
        connection = captured(tmp_path, GREETED, version=version, keys=keys, certificate=other, implicit=True)
        assert [finding.rule for finding in connection.findings] == ["SEC640"] * seen
        connection = captured(tmp_path, HELLO_INSIDE, version=version, keys=keys, certificate=other, server_port=587)
        assert set(new(connection)) == ({"SEC640"} if seen else set())
    assert (
        new(captured(tmp_path, GREETED, version=V12, certificate=other, implicit=True, server_name="www.example")) == {}
    )


# -- SEC641 ------------------------------------------------------------------------------------------------------------


def dated(first: timedelta, last: timedelta, port: int = 587) -> model.Finding | None:
    made = der("mx.example", dates=(NOW + first, NOW + last))
    return heard([OFFER, CHOICE, certificate(made), *LEFT], port=port).get("SEC641")


@pytest.mark.parametrize(("port", "severity"), [(25, "info"), (587, "warning")])
def test_an_expired_certificate(port: int, severity: str) -> None:
    finding = dated(timedelta(-90), timedelta(-2), port)
    assert finding is not None
    assert (finding.severity, finding.side, finding.certainty) == (severity, "server", "certain")
    assert finding.message == "The server's certificate had expired: it was valid until 2025-12-31T03:04:05Z."


def test_a_certificate_of_the_future() -> None:
    finding = dated(timedelta(2), timedelta(90))
    assert finding is not None
    assert finding.message == "The server's certificate was not valid yet: it is valid from 2026-01-04T03:04:05Z on."


def test_a_day_may_be_the_fault_of_a_clock() -> None:
    for first, last in ((timedelta(-90), timedelta(hours=-2)), (timedelta(hours=2), timedelta(90))):
        finding = dated(first, last)
        assert finding is not None
        assert finding.certainty == "indeterminate"


def test_the_first_and_the_last_second_are_valid() -> None:
    assert dated(timedelta(0), timedelta(1)) is None
    assert dated(timedelta(-1), timedelta(0)) is None


def test_other_certificates_of_the_chain_are_not_judged() -> None:
    old = der(dates=(NOW - timedelta(90), NOW - timedelta(60)), key="1024", cn="CA")
    assert heard([OFFER, CHOICE, certificate(der("mx.example"), old), *LEFT]) == {}


def test_a_source_without_a_clock_is_not_judged() -> None:
    script = [*BEGUN, certificate(der("mx.example")), *LEFT]
    assert new(talk(script, port=587, places=False)) == {}


def test_an_alert_follows_from_the_certificate() -> None:
    old = certificate(der("mx.example", dates=(NOW - timedelta(90), NOW - timedelta(60))))
    found = play([*BEGUN, old, alert(45, "C"), *LEFT], port=587).findings
    assert [finding.rule for finding in found] == ["SEC641", "SEC636"]


def test_an_expired_certificate_in_a_real_session(tmp_path: Path) -> None:
    old = issued("mx.example", dates=(NOW - timedelta(90), NOW - timedelta(60)))
    for version in (V12, V13):
        connection = captured(tmp_path, WHOLE, version=version, certificate=old)
        assert [(finding.rule, finding.severity) for finding in connection.findings] == [("SEC641", "info")]


# -- SEC642 ------------------------------------------------------------------------------------------------------------


def suite_fault(suite: int, port: int = 587) -> str | None:
    return told([OFFER, server_hello(RENEGOTIATION, suite=suite), *LEFT], "SEC642", port=port)


@pytest.mark.parametrize(
    ("suite", "what"),
    [
        (0x0000, "TLS_NULL_WITH_NULL_NULL, which does not encrypt"),
        (0x0002, "TLS_RSA_WITH_NULL_SHA, which does not encrypt"),
        (0xC010, "TLS_ECDHE_RSA_WITH_NULL_SHA, which does not encrypt"),
        (0xC0B4, "TLS_SHA256_SHA256, which does not encrypt"),
        (0x0003, "TLS_RSA_EXPORT_WITH_RC4_40_MD5, which offers less than 112 bits of security"),
        (0x0006, "TLS_RSA_EXPORT_WITH_RC2_CBC_40_MD5, which offers less than 112 bits of security"),
        (0x0009, "TLS_RSA_WITH_DES_CBC_SHA, which offers less than 112 bits of security"),
        (0x0014, "TLS_DHE_RSA_EXPORT_WITH_DES40_CBC_SHA, which offers less than 112 bits of security"),
        (0x001E, "TLS_KRB5_WITH_DES_CBC_SHA, which offers less than 112 bits of security"),
        (0x0005, "TLS_RSA_WITH_RC4_128_SHA, which uses RC4"),
        (0xC011, "TLS_ECDHE_RSA_WITH_RC4_128_SHA, which uses RC4"),
        (0x0018, "TLS_DH_anon_WITH_RC4_128_MD5, which uses RC4"),
    ],
)
@pytest.mark.parametrize("port", [25, 587])
def test_a_suite_that_must_not_be_used(suite: int, what: str, port: int) -> None:
    assert suite_fault(suite, port) == f"The server chose {what}."


@pytest.mark.parametrize("suite", [0x000A, 0x002F, 0x0007, 0x0016, 0x009C, 0x00A8, 0xC012, 0xCCA8, 0x1301, 0x0A0A])
def test_other_suites_are_only_discouraged_or_good(suite: int) -> None:
    assert suite_fault(suite) is None


def test_anonymous_suites_are_for_relays_only() -> None:
    told_587 = "The server chose TLS_DH_anon_WITH_AES_128_GCM_SHA256, by which the server does not authenticate itself."
    assert suite_fault(0x00A6) == told_587
    assert suite_fault(0x00A6, port=25) is None


@pytest.mark.parametrize(("port", "severity"), [(25, "info"), (587, "warning")])
def test_the_severity_of_a_weak_suite(port: int, severity: str) -> None:
    finding = heard([OFFER, server_hello(RENEGOTIATION, suite=5), *LEFT], port=port)["SEC642"]
    assert (finding.side, finding.severity, finding.certainty) == ("server", severity, "certain")


# -- SEC643 ------------------------------------------------------------------------------------------------------------


def exchange(body: bytes) -> tuple[str, bytes]:
    """A ServerKeyExchange, signed with RSA and SHA-256."""
    return "S", message(12, body + b"\4\1" + vector(2, bytes(256)))


def dh(bits: int) -> tuple[str, bytes]:
    prime = b"\x80" + bytes(bits // 8 - 1)
    return exchange(vector(2, prime) + vector(2, b"\2") + vector(2, prime))


def curve(group: int) -> tuple[str, bytes]:
    return exchange(b"\3" + group.to_bytes(2, "big") + vector(1, b"\4" + bytes(48)))


def key_fault(key: str, *rest: tuple[str, bytes], suite: int = ECDHE) -> str | None:
    choice = server_hello(RENEGOTIATION, suite=suite)
    return told([OFFER, choice, certificate(der("mx.example", key=key)), *rest, *LEFT], "SEC643")


@pytest.mark.parametrize(
    ("key", "kind", "bits"), [("1024", "RSA", 1024), ("1536", "RSA", 1536), ("p192", "EC", 192)], ids=str
)
def test_a_short_key_of_the_certificate(key: str, kind: str, bits: int) -> None:
    assert key_fault(key) == f"The server uses a certificate with an {kind} key of {bits} bits: that is too short."


@pytest.mark.parametrize("key", ["2048", "p224", "p256"])
def test_a_key_that_is_long_enough(key: str) -> None:
    assert key_fault(key, curve(23)) is None


def test_a_short_prime() -> None:
    short = "a prime of 1024 bits for the key exchange"
    assert key_fault("2048", dh(1024), suite=DHE) == f"The server uses {short}: that is too short."
    both = f"The server uses a certificate with an RSA key of 1024 bits and {short}: that is too short."
    assert key_fault("1024", dh(1024), suite=DHE) == both
    assert key_fault("2048", dh(2048), suite=DHE) is None


def test_what_is_no_prime() -> None:
    assert key_fault("2048", dh(512), suite=0xC01E) is None  # SRP
    assert key_fault("2048", dh(512), suite=0x00AA) is None  # PSK: a hint comes first


def test_a_short_curve() -> None:
    assert key_fault("2048", curve(19)) == (
        "The server uses the curve secp192r1 for the key exchange: that is too short."
    )
    for group in (6, 7, 20, 21, 29):
        assert key_fault("2048", curve(group)) is None


@pytest.mark.parametrize(("port", "severity"), [(25, "info"), (587, "warning")])
def test_the_severity_of_a_short_key(port: int, severity: str) -> None:
    finding = heard([OFFER, CHOICE, certificate(der("mx.example", key="1024")), *LEFT], port=port)["SEC643"]
    assert (finding.side, finding.severity) == ("server", severity)


# -- SEC644 ------------------------------------------------------------------------------------------------------------

SHA256_RSA = bytes.fromhex("2a864886f70d01010b")


@pytest.mark.parametrize(
    ("oid", "name"),
    [("2a864886f70d010105", "sha1WithRSAEncryption"), ("2a864886f70d010104", "md5WithRSAEncryption")],
)
def test_a_signature_with_a_broken_hash(oid: str, name: str) -> None:
    made = der("mx.example", key="2048").replace(SHA256_RSA, bytes.fromhex(oid))
    found = told([OFFER, CHOICE, certificate(made), *LEFT], "SEC644")
    assert found == f"The server's certificate is signed with {name}."


def test_a_self_issued_certificate_proves_nothing_anyway() -> None:
    made = der("mx.example", key="2048", issuer="", cn="mx.example")
    made = made.replace(SHA256_RSA, bytes.fromhex("2a864886f70d010105"))
    assert heard([OFFER, CHOICE, certificate(made), *LEFT]) == {}


# -- SEC645 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "name"), [(1, "DEFLATE"), (64, "LZS"), (200, "unknown")])
def test_compression(number: int, name: str) -> None:
    choice = server_hello(RENEGOTIATION, compression=number)
    assert told([OFFER, choice, *LEFT], "SEC645") == f"The server chose the compression method {name} ({number})."
    assert heard([OFFER, choice, *LEFT], port=25)["SEC645"].severity == "info"
    assert heard([OFFER, choice, *LEFT])["SEC645"].severity == "warning"


def test_compression_that_is_only_offered() -> None:
    assert heard([OFFER, CHOICE, *LEFT]) == {}  # the client offers DEFLATE


# -- SEC646 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "offer", [OFFER, client_hello(NAME, RENEGOTIATION, suites=(ECDHE,))], ids=["suite", "extension"]
)
def test_no_secure_renegotiation(offer: tuple[str, bytes]) -> None:
    sentence = "The client offered secure renegotiation, but the server's hello has no renegotiation_info."
    for choice in (server_hello(), server_hello((23, b""))):
        assert told([offer, choice, *LEFT], "SEC646") == sentence
    assert heard([offer, server_hello(), *LEFT], port=25)["SEC646"].severity == "info"


@pytest.mark.parametrize(
    ("offer", "choice"),
    [
        (client_hello(NAME, suites=(ECDHE,)), server_hello()),
        (OFFER, server_hello((43, b"\3\4"), (51, b"\0\x1d\0\1x"), suite=0x1301)),
        (("C", record(22, b"\1\0\0\1\3")), server_hello()),
    ],
    ids=["not offered", "TLS 1.3", "not read"],
)
def test_renegotiation_is_not_judged(offer: tuple[str, bytes], choice: tuple[str, bytes]) -> None:
    assert heard([offer, choice, *LEFT]) == {}


def test_an_old_version_has_one_finding_for_each_fact() -> None:
    found = play([*AGREED, OFFER, server_hello(suite=5, compression=1, version=0x0301), *LEFT], port=587).findings
    assert [finding.rule for finding in found] == ["SEC637", "SEC642", "SEC645", "SEC646"]
    assert {(finding.frame, finding.certainty) for finding in found} == {(found[0].frame, "certain")}


# -- a handshake that is only partly seen ------------------------------------------------------------------------------

WEAK = server_hello(suite=5)
OLD = der("www.example", key="1024", dates=(NOW - timedelta(90), NOW - timedelta(60)))
ALL = {"SEC640", "SEC641", "SEC642", "SEC643", "SEC646"}


@pytest.mark.parametrize(
    "rest",
    [
        [],
        LEFT,
        CLOSE,
        [("RC", "")],
        [alert(42, "C"), *LEFT],
        [("GS", "100"), ("S", b"\x14\3\3\0\1\1"), *LEFT],
        [("C", b"\x14\3\3\0\1\1" + record(22, bytes(40))), ("S", b"\x14\3\3\0\1\1" + record(22, bytes(40))), *LEFT],
    ],
    ids=["open", "client", "server", "reset", "alert", "gap", "finished"],
)
def test_what_was_seen_is_judged_once(rest: Script) -> None:
    for cut in (None, by_byte):
        found = heard([OFFER, WEAK, certificate(OLD), *rest], cut=cut)
        assert set(found) == ALL
        assert {finding.certainty for finding in found.values()} == {"certain"}


def test_the_port_of_tls_is_one_for_submission() -> None:
    found = new(play([OFFER, WEAK, certificate(OLD), *LEFT], port=465))
    assert (set(found), {finding.severity for finding in found.values()}) == (ALL, {"warning"})
    assert set(new(play([client_hello(), alert(112), *CLOSE], port=465))) == {"SEC639"}


def test_what_was_not_seen_is_not_judged() -> None:
    size = str(len(WEAK[1]))
    assert heard([OFFER, ("GS", size), certificate(OLD), *LEFT]) == {}
    assert set(heard([OFFER, WEAK, ("GS", "500"), *LEFT])) == {"SEC642", "SEC646"}
    assert set(heard([("GC", str(len(OFFER[1]))), WEAK, certificate(OLD), *LEFT])) <= ALL - {"SEC640", "SEC646"}
    assert new(play([*AGREED, OFFER, WEAK, certificate(OLD), *LEFT], port=587, onesided=True)) == {}


# -- SEC647 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("end", "how"), [("FC", "closed"), ("RC", "reset")])
@pytest.mark.parametrize(("port", "severity"), [(25, "info"), (587, "warning")])
def test_no_handshake_follows(end: str, how: str, port: int, severity: str) -> None:
    connection = play([*AGREED, (end, ""), ("FS", "")], port=port)
    (finding,) = connection.findings
    assert (finding.rule, finding.side, finding.severity, finding.certainty) == (
        "SEC647",
        "client",
        severity,
        "certain",
    )
    assert finding.message == (f"The client {how} the connection after the 220 to STARTTLS, without a TLS handshake.")
    assert finding.offset == len("EHLO client.example\r\nSTARTTLS\r\n")


def test_the_client_is_silent() -> None:
    assert told([("wait", "300"), *CLOSE], "SEC647") == (
        "The client sent nothing after the 220 to STARTTLS; the server closed the connection after 300 s."
    )


@pytest.mark.parametrize(
    "rest",
    [
        [],
        [("wait", "300")],
        CLOSE,
        [("wait", "20"), *CLOSE],
        [OFFER, *LEFT],
        [("C", b"\x16"), *LEFT],
        [("GC", "100"), *LEFT],
        [("GS", "100"), *LEFT],
        [*lines("S 454 no TLS after all"), *LEFT],
        [*lines("C QUIT", "S 221 bye"), *LEFT],
        [("C", "QUI"), *LEFT],
    ],
    ids=["open", "silent", "server", "soon", "hello", "octet", "gap", "server gap", "more", "plain", "part"],
)
def test_it_is_not_known_that_none_follows(rest: Script) -> None:
    assert "SEC647" not in heard(rest)


def test_a_starttls_that_was_not_accepted_or_not_alone() -> None:
    for entries in (["C STARTTLS", "S 454 no"], ["C STARTTLS\r\nNOOP", "S 220 go"], ["C STARTTLS"], ["S 220 go"]):
        assert new(play([*hello("STARTTLS"), *lines(*entries), *LEFT])) == {}


def test_a_capture_that_does_not_hold_both_sides_or_the_start() -> None:
    assert new(play([*AGREED, *LEFT], onesided=True)) == {}
    assert new(play([*AGREED[2:], *LEFT], midstream=True)) == {}
