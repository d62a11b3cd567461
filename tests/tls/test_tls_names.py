"""Names of suites, groups and versions are those of IANA."""

from __future__ import annotations

import ssl

import pytest

from smtpwire.dissectors.tables.tls_names import VERSIONS, group_name, suite_name, version_name


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (0x0000, "TLS_NULL_WITH_NULL_NULL"),
        (0x0005, "TLS_RSA_WITH_RC4_128_SHA"),
        (0x000A, "TLS_RSA_WITH_3DES_EDE_CBC_SHA"),
        (0x002F, "TLS_RSA_WITH_AES_128_CBC_SHA"),
        (0x009F, "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384"),
        (0x00FF, "TLS_EMPTY_RENEGOTIATION_INFO_SCSV"),
        (0x1301, "TLS_AES_128_GCM_SHA256"),
        (0x1303, "TLS_CHACHA20_POLY1305_SHA256"),
        (0x1307, "TLS_AEGIS_128L_SHA256"),
        (0x5600, "TLS_FALLBACK_SCSV"),
        (0xC02F, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
        (0xC0AB, "TLS_PSK_DHE_WITH_AES_256_CCM_8"),
        (0xC106, "TLS_GOSTR341112_256_WITH_MAGMA_MGM_S"),
        (0xCCA8, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
        (0xD005, "TLS_ECDHE_PSK_WITH_AES_128_CCM_SHA256"),
        (0xD004, "0xd004"),
        (0x0A0A, "0x0a0a"),
        (0xFFFF, "0xffff"),
    ],
)
def test_the_name_of_a_suite(number: int, name: str) -> None:
    assert suite_name(number) == name


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (1, "sect163k1"),
        (23, "secp256r1"),
        (24, "secp384r1"),
        (25, "secp521r1"),
        (29, "x25519"),
        (30, "x448"),
        (31, "brainpoolP256r1tls13"),
        (256, "ffdhe2048"),
        (260, "ffdhe8192"),
        (4588, "X25519MLKEM768"),
        (25497, "X25519Kyber768Draft00"),
        (0, "0x0000"),
        (0x1234, "0x1234"),
    ],
)
def test_the_name_of_a_group(number: int, name: str) -> None:
    assert group_name(number) == name


def test_the_names_of_versions() -> None:
    assert [version_name(number) for number in range(0x0300, 0x0305)] == [
        "SSL 3",
        "TLS 1.0",
        "TLS 1.1",
        "TLS 1.2",
        "TLS 1.3",
    ]
    assert version_name(0x7F1C) == "0x7f1c"


def test_no_two_numbers_have_one_name() -> None:
    for name_of in (suite_name, group_name):
        known = [name for number in range(0x10000) if not (name := name_of(number)).startswith("0x")]
        assert len(set(known)) == len(known) > 50
    assert len(set(VERSIONS.values())) == len(VERSIONS)


def test_every_suite_has_a_method_and_every_name_begins_alike() -> None:
    known = [name for number in range(0x10000) if not (name := suite_name(number)).startswith("0x")]
    assert len(known) == 356
    assert all(name.startswith("TLS_") and name.replace("_", "").isalnum() for name in known)


def test_openssl_knows_its_suites_of_tls_1_3_by_the_same_names() -> None:
    suites = [suite for suite in ssl.create_default_context().get_ciphers() if suite["protocol"] == "TLSv1.3"]
    assert suites
    assert [suite_name(suite["id"] & 0xFFFF) for suite in suites] == [suite["name"] for suite in suites]
