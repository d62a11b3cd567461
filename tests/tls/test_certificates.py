"""Certificates are read as `cryptography` reads them, damaged ones not at all; hosts are compared as in RFC 9525."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("cryptography")

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from smtpwire.analyzer.tls.certificates import Certificate, names_host, read_certificate

if TYPE_CHECKING:
    from collections.abc import Sequence

    Key = (
        rsa.RSAPrivateKey
        | ec.EllipticCurvePrivateKey
        | ed25519.Ed25519PrivateKey
        | ed448.Ed448PrivateKey
        | dsa.DSAPrivateKey
    )

ISSUER = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example CA")])
NOT_BEFORE, NOT_AFTER = datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)


@cache
def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


@cache
def curve_key(curve: type[ec.EllipticCurve] = ec.SECP256R1) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve())


def name(*attributes: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])


def made(
    key: Key | None = None,
    subject: x509.Name | None = None,
    names: Sequence[str] = (),
    *,
    issuer: x509.Name = ISSUER,
    algorithm: hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None = None,
    dates: tuple[datetime, datetime] = (NOT_BEFORE, NOT_AFTER),
    serial: int = 0x7FEE_0001,
    critical: bool = False,
    pss: bool = False,
) -> x509.Certificate:
    """Return a certificate; an address among ``names`` becomes an iPAddress."""
    key = key or curve_key()
    if subject is None:
        subject = name((NameOID.COMMON_NAME, "mx.example.net"))
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), serial, *dates).add_extension(
        x509.BasicConstraints(ca=False, path_length=None), critical=True
    )
    if names:
        general: list[x509.GeneralName] = [
            x509.IPAddress(ip_address(one)) if one[0].isdigit() or ":" in one else x509.DNSName(one) for one in names
        ]
        general.insert(1, x509.RFC822Name("postmaster@example.net"))
        builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=critical)
    simple = isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    return builder.sign(
        key,
        None if simple else algorithm or hashes.SHA256(),
        rsa_padding=padding.PSS(padding.MGF1(hashes.SHA256()), 32) if pss else None,
    )


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def read(certificate: x509.Certificate) -> Certificate:
    found = read_certificate(der(certificate))
    assert found is not None
    return found


KEYS = [
    (lambda: rsa_key(2048), "RSA", 2048),
    (lambda: rsa_key(1024), "RSA", 1024),
    (curve_key, "EC", 256),
    (lambda: curve_key(ec.SECP384R1), "EC", 384),
    (lambda: curve_key(ec.SECP521R1), "EC", 521),
    (lambda: curve_key(ec.BrainpoolP256R1), "EC", 256),
    (ed25519.Ed25519PrivateKey.generate, "Ed25519", 256),
    (ed448.Ed448PrivateKey.generate, "Ed448", 456),
    (lambda: dsa.generate_private_key(1024), "DSA", 1024),
]


@pytest.mark.parametrize(("key", "kind", "bits"), KEYS)
def test_every_field(key: object, kind: str, bits: int) -> None:
    assert callable(key)
    certificate = made(key(), names=["mx.example.net", "*.example.org", "192.0.2.25", "2001:db8::25"])
    found = read(certificate)
    assert found.subject == certificate.subject.rfc4514_string() == "CN=mx.example.net"
    assert found.issuer == certificate.issuer.rfc4514_string() == "O=Example CA"
    assert found.names == ("mx.example.net", "*.example.org", "192.0.2.25", "2001:db8::25")
    assert (found.dns_names, found.addresses) == (found.names[:2], found.names[2:])
    assert found.common_name == "mx.example.net"
    assert found.not_before == certificate.not_valid_before_utc.timestamp() == NOT_BEFORE.timestamp()
    assert found.not_after == certificate.not_valid_after_utc.timestamp() == NOT_AFTER.timestamp()
    assert (found.key_type, found.key_bits) == (kind, bits)
    assert int(found.serial, 16) == certificate.serial_number
    assert found.sha256 == certificate.fingerprint(hashes.SHA256()).hex()
    assert not found.self_issued


@pytest.mark.parametrize(
    ("certificate", "signature"),
    [
        (lambda: made(rsa_key(2048)), "sha256WithRSAEncryption"),
        (lambda: made(rsa_key(2048), algorithm=hashes.SHA512()), "sha512WithRSAEncryption"),
        (lambda: made(rsa_key(2048), pss=True), "RSASSA-PSS"),
        (made, "ecdsa-with-SHA256"),
        (lambda: made(algorithm=hashes.SHA384()), "ecdsa-with-SHA384"),
        (lambda: made(ed25519.Ed25519PrivateKey.generate()), "Ed25519"),
        (lambda: made(ed448.Ed448PrivateKey.generate()), "Ed448"),
        (lambda: made(dsa.generate_private_key(1024)), "dsa-with-sha256"),
    ],
)
def test_the_algorithm_of_the_signature(certificate: object, signature: str) -> None:
    assert callable(certificate)
    assert read(certificate()).signature == signature


@pytest.mark.parametrize(
    "years", [(1950, 1970), (1999, 2000), (2024, 2049), (2049, 2050), (2050, 2051), (2036, 9999)], ids=str
)
def test_dates_before_and_after_2050(years: tuple[int, int]) -> None:
    first, last = (datetime(year, 12, 31, 23, 59, 58, tzinfo=UTC) for year in years)
    found = read(made(dates=(first, last)))
    assert (found.not_before, found.not_after) == (first.timestamp(), last.timestamp())


@pytest.mark.parametrize(
    ("serial", "text"), [(1, "01"), (0x80, "80"), (0x1234, "1234"), (2**159 - 1, "7f" + "ff" * 19)]
)
def test_the_serial_number(serial: int, text: str) -> None:
    assert read(made(serial=serial)).serial == text


def test_a_certificate_that_its_subject_issued() -> None:
    subject = name((NameOID.COMMON_NAME, "mx.example.net"))
    assert read(made(subject=subject, issuer=subject)).self_issued


def test_a_certificate_without_names() -> None:
    found = read(made(subject=name()))
    assert (found.subject, found.common_name, found.names) == ("", None, ())


def test_a_critical_list_of_names() -> None:
    assert read(made(names=["mx.example.net"], critical=True)).names == ("mx.example.net",)


def test_at_most_100_names_are_listed_and_all_are_compared() -> None:
    found = read(made(names=[f"mx{number}.example.net" for number in range(150)]))
    assert found.names == tuple(f"mx{number}.example.net" for number in range(100))
    assert len(found.dns_names) == 150
    assert names_host(found, "mx149.example.net")


# Subjects in the form of RFC 4514


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Example Ltd.", "Example Ltd."),
        ('a "b", c+d; <e> \\ f=g', 'a \\"b\\"\\, c\\+d\\; \\<e\\> \\\\ f=g'),
        ("#1", "\\#1"),
        (" x ", "\\ x\\ "),
        (" ", "\\ "),
        ("Müller", "M\\C3\\BCller"),
        ("例え", "\\E4\\BE\\8B\\E3\\81\\88"),
        ("\x1b[31mred\x00\r\n", "\\1B[31mred\\00\\0D\\0A"),
        ("\u202egnp", "\\E2\\80\\AEgnp"),
    ],
)
def test_values_are_printable(value: str, text: str) -> None:
    found = read(made(subject=name((NameOID.ORGANIZATION_NAME, value))))
    assert found.subject == f"O={text}"
    assert found.subject.isascii()
    assert found.subject.isprintable()


def test_the_common_name_is_printable() -> None:
    assert read(made(subject=name((NameOID.COMMON_NAME, "ü\x07.example")))).common_name == r"\xc3\xbc\x07.example"


def test_the_last_common_name_is_the_most_specific_one() -> None:
    found = read(made(subject=name((NameOID.COMMON_NAME, "example"), (NameOID.COMMON_NAME, "mx.example"))))
    assert (found.subject, found.common_name) == ("CN=mx.example,CN=example", "mx.example")


def test_the_last_attribute_comes_first() -> None:
    subject = name(
        (NameOID.COUNTRY_NAME, "DE"),
        (NameOID.STATE_OR_PROVINCE_NAME, "Berlin"),
        (NameOID.ORGANIZATION_NAME, "Example, Inc."),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "Mail"),
        (NameOID.COMMON_NAME, "mx.example.net"),
    )
    text = read(made(subject=subject)).subject
    assert text == subject.rfc4514_string() == "CN=mx.example.net,OU=Mail,O=Example\\, Inc.,ST=Berlin,C=DE"


def test_attributes_of_one_set() -> None:
    one = x509.RelativeDistinguishedName(
        [x509.NameAttribute(NameOID.COMMON_NAME, "a"), x509.NameAttribute(NameOID.USER_ID, "b")]
    )
    subject = x509.Name([one])
    assert read(made(subject=subject)).subject == subject.rfc4514_string() == "CN=a+UID=b"


def test_attributes_with_longer_names() -> None:
    subject = name((NameOID.EMAIL_ADDRESS, "postmaster@example.net"), (NameOID.SERIAL_NUMBER, "17"))
    assert read(made(subject=subject)).subject == "serialNumber=17,emailAddress=postmaster@example.net"


def test_an_attribute_without_a_name_is_in_hexadecimal() -> None:
    oid = x509.ObjectIdentifier("2.999.40.1")
    value = "x" * 200
    subject = x509.Name([x509.NameAttribute(oid, value)])
    assert read(made(subject=subject)).subject == "2.999.40.1=#0c81c8" + value.encode().hex()


# DER that no tool makes


def element(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    if len(content) < 0x80:
        return bytes((tag, len(content))) + content
    digits = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 + len(digits))) + digits + content


CN, SAN, EC_KEY = b"\x06\x03\x55\x04\x03", b"\x06\x03\x55\x1d\x11", b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"
TIME = element(0x17, b"240229235959Z")
BITS = element(3, b"\0key")
P256 = b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"


def handmade(
    subject: bytes = element(0x0C, b"x"),
    not_after: bytes = TIME,
    algorithm: bytes = EC_KEY + P256,
    extensions: bytes = b"",
    version: bytes = b"\xa0\3\2\1\2",
) -> bytes:
    signature = element(0x30, b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02")
    names = element(0x30, element(0x31, element(0x30, CN, subject)))
    key = element(0x30, element(0x30, algorithm), BITS)
    signed = version + b"\2\1\5" + signature + names + element(0x30, TIME, not_after) + names + key + extensions
    return element(0x30, element(0x30, signed), signature, BITS)


def common_name(data: bytes) -> str | None:
    found = read_certificate(data)
    return None if found is None else found.common_name


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (element(0x13, b"printable"), "printable"),
        (element(0x16, b"ia5\xff"), r"ia5\xff"),
        (element(0x14, b"\xfc"), r"\xc3\xbc"),
        (element(0x1E, "ü".encode("utf-16-be")), r"\xc3\xbc"),
        (element(0x1E, b"\xd8\x00x"), r"\xef\xbf\xbd"),
        (element(0x1C, "ü".encode("utf-32-be")), r"\xc3\xbc"),
        (element(0x0C, b"\xc3"), r"\xc3"),
        (element(0x03, b"\0bits"), None),
    ],
)
def test_kinds_of_strings(value: bytes, text: str | None) -> None:
    assert common_name(handmade(value)) == text
    if text is None:
        found = read_certificate(handmade(value))
        assert found is not None
        assert found.subject == f"CN=#{value.hex()}"


def test_a_certificate_of_version_1() -> None:
    assert common_name(handmade(version=b"")) == "x"


def test_identifiers_before_the_extensions_are_skipped() -> None:
    block = element(0x30, element(0x30, SAN, element(4, element(0x30, element(0x82, b"a.example")))))
    found = read_certificate(handmade(extensions=element(0x81, b"\0id") + element(0xA3, block)))
    assert found is not None
    assert found.names == ("a.example",)


@pytest.mark.parametrize(
    ("names", "read_names"),
    [
        (element(0x82, b"good.example\0.evil.example"), (r"good.example\x00.evil.example",)),
        (element(0x87, b"\xc0\0\2\x19"), ("192.0.2.25",)),
        (element(0x87, bytes(15) + b"\1"), ("::1",)),
        (element(0x87, bytes(8)), ()),
        (element(0x86, b"https://example"), ()),
    ],
)
def test_kinds_of_names(names: bytes, read_names: tuple[str, ...]) -> None:
    block = element(0x30, element(0x30, SAN, element(4, element(0x30, names))))
    found = read_certificate(handmade(extensions=element(0xA3, block)))
    assert found is not None
    assert found.names == read_names
    assert not names_host(found, "good.example")


@pytest.mark.parametrize(
    ("algorithm", "kind", "bits"),
    [
        (EC_KEY + P256, "EC", 256),
        (EC_KEY + b"\x06\x01\x2a", "EC", None),
        (EC_KEY + element(0x30, b""), "EC", None),
        (EC_KEY, "EC", None),
        (b"\x06\x03\x2b\x65\x6e", "1.3.101.110", None),
        (b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x12", "2.16.840.1.101.3.4.3.18", None),
    ],
)
def test_kinds_of_keys(algorithm: bytes, kind: str, bits: int | None) -> None:
    found = read_certificate(handmade(algorithm=algorithm))
    assert found is not None
    assert (found.key_type, found.key_bits) == (kind, bits)


@pytest.mark.parametrize(
    "not_after",
    [
        element(0x17, b"2402292359Z"),
        element(0x17, b"240229235959+0100"),
        element(0x17, b"230229235959Z"),
        element(0x17, b"240229245959Z"),
        element(0x17, b"2402292359 9Z"),
        element(0x18, b"20240229235959.5Z"),
        element(0x18, b"00000229235959Z"),
        element(0x18, b"240229235959Z"),
        element(0x16, b"240229235959Z"),
        element(0x17),
    ],
)
def test_a_certificate_with_another_form_of_time_is_not_read(not_after: bytes) -> None:
    assert read_certificate(handmade(not_after=TIME)) is not None
    assert read_certificate(handmade(not_after=not_after)) is None


@pytest.mark.parametrize(
    "value",
    [
        b"\x0c\x81\x01x",  # a length in more octets than necessary
        b"\x0c\x82\x00\x81" + b"x" * 0x81,
        b"\x0c\x80x\0\0",  # a length that is not known at the start
        b"\x1f\x81\x01\x01x",  # a tag in several octets
        b"\x0c\x05x",
        b"\x0c\x84\xff\xff\xff\xffx",
        b"\x0c\xffx",
        b"\x0c",
        b"",
        element(0x0C, b"x") * 2,
    ],
)
def test_a_certificate_that_is_not_der_is_not_read(value: bytes) -> None:
    assert read_certificate(handmade(value)) is None


@pytest.mark.parametrize("algorithm", [b"", b"\x06\0", b"\x06\1\x80", b"\x06\2\x80\1", b"\x06\x41" + b"\1" * 65])
def test_a_certificate_with_a_broken_identifier_is_not_read(algorithm: bytes) -> None:
    assert read_certificate(handmade(algorithm=algorithm)) is None


def test_no_part_of_a_certificate_is_read() -> None:
    whole = der(made(rsa_key(1024), names=["mx.example.net"]))
    assert all(read_certificate(whole[:size]) is None for size in range(len(whole)))
    assert read_certificate(whole + b"\0") is None
    assert read_certificate(whole) is not None


def test_a_certificate_of_more_than_128_kib_is_not_read() -> None:
    assert read_certificate(handmade(element(0x0C, b"x" * 60_000))) is not None
    assert read_certificate(handmade(element(0x0C, b"x" * 70_000))) is None


@given(st.binary(max_size=300))
def test_no_bytes_raise(data: bytes) -> None:
    read_certificate(data)
    read_certificate(handmade(data))
    read_certificate(handmade(not_after=data))
    read_certificate(handmade(algorithm=data))
    read_certificate(handmade(extensions=element(0xA3, element(0x30, data))))


REAL = [
    der(made(rsa_key(1024), names=["mx.example.net", "192.0.2.25"])),
    der(made(subject=name((NameOID.COUNTRY_NAME, "DE"), (NameOID.COMMON_NAME, "Müller")))),
]


@given(
    st.sampled_from(REAL),
    st.lists(st.tuples(st.integers(0, 700), st.integers(0, 2), st.binary(max_size=3)), min_size=1, max_size=3),
)
def test_no_damage_to_a_real_certificate_raises(data: bytes, damage: list[tuple[int, int, bytes]]) -> None:
    for at, removed, inserted in damage:
        data = data[:at] + inserted + data[at + removed :]
    found = read_certificate(data)
    if found is not None:
        for text in (found.subject, found.issuer, found.common_name or "", *found.names):
            assert text.isascii()
            assert not text or text.isprintable()


@given(st.sampled_from(REAL), st.integers(0, 700), st.integers(0, 255))
def test_no_changed_octet_raises(data: bytes, at: int, octet: int) -> None:
    at %= len(data)
    read_certificate(data[:at] + bytes((octet,)) + data[at + 1 :])


# Hosts


@pytest.mark.parametrize(
    ("host", "named"),
    [
        ("mx.example.net", True),
        ("MX.Example.NET", True),
        ("mx.example.net.", True),
        ("mx.example.net..", False),
        ("example.net", False),
        ("a.mx.example.net", False),
        ("xmx.example.net", False),
        ("a.example.org", True),
        ("A.EXAMPLE.ORG.", True),
        ("a_b.example.org", True),
        ("xn--mller-kva.example.org", True),
        ("example.org", False),
        (".example.org", False),
        ("a.b.example.org", False),
        ("*.example.org", False),
        ("a.upper.example", True),
        ("mail.dot.example", True),
        ("part1.example.com", False),
        ("part*.example.com", False),
        ("a.middle.example.com", False),
        ("com", False),
        ("192.0.2.25", True),
        ("192.0.2.26", False),
        ("2001:db8::25", True),
        ("2001:0DB8:0:0::25", True),
        ("2001:db8::26", False),
        ("198.51.100.1", False),
        ("cn.example.net", False),
        ("", False),
        (".", False),
        ("*", False),
        ("mx.example.net\0", False),
        ("mx.example.net\n", False),
        ("mü.example.org", False),
    ],
)
def test_the_hosts_of_a_certificate(host: str, named: bool) -> None:
    found = read(
        made(
            subject=name((NameOID.COMMON_NAME, "cn.example.net")),
            names=[
                *("mx.example.net", "*.example.org", "*.UPPER.example", "mail.dot.example.", "part*.example.com"),
                *("a.*.example.com", "*", "192.0.2.25", "2001:db8::25"),
            ],
        )
    )
    assert names_host(found, host) is named


@pytest.mark.parametrize(
    ("common", "names", "host", "named"),
    [
        ("mx.example.net", [], "mx.example.net", True),
        ("*.example.net", [], "mx.example.net", True),
        ("mx.example.net", [], "mx.example.org", False),
        ("mx.example.net", ["mx.example.org"], "mx.example.net", False),
        ("mx.example.net", ["192.0.2.25"], "mx.example.net", False),
        ("192.0.2.25", [], "192.0.2.25", False),
        ("Example Mail", [], "example mail", False),
    ],
)
def test_the_common_name_counts_only_without_other_names(common: str, names: list[str], host: str, named: bool) -> None:
    assert names_host(read(made(subject=name((NameOID.COMMON_NAME, common)), names=names)), host) is named


def test_an_address_as_a_dns_name_does_not_count() -> None:
    block = element(0x30, element(0x30, SAN, element(4, element(0x30, element(0x82, b"192.0.2.25")))))
    found = read_certificate(handmade(extensions=element(0xA3, block)))
    assert found is not None
    assert found.names == ("192.0.2.25",)
    assert not names_host(found, "192.0.2.25")


def test_a_certificate_without_any_name_is_for_no_host() -> None:
    assert not names_host(read(made(subject=name())), "mx.example.net")
