"""What the messages of a handshake offer and choose, by real ones of OpenSSL and by damaged ones."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpwire.analyzer.tls.hellos import (
    ClientHello,
    ServerHello,
    read_certificate_list,
    read_client_hello,
    read_encrypted_extensions,
    read_server_hello,
    read_server_key_exchange_bits,
    read_server_key_exchange_group,
)
from smtpwire.dissectors.tables.tls_names import group_name, suite_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOST = "mx.example.net"
CLIENT_HELLO, SERVER_HELLO, ENCRYPTED_EXTENSIONS, CERTIFICATE, SERVER_KEY_EXCHANGE = 1, 2, 8, 11, 12
RENEGOTIATION = 0x00FF
RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
READERS: list[Callable[[bytes], object]] = [
    read_client_hello,
    read_server_hello,
    read_encrypted_extensions,
    read_server_key_exchange_group,
    read_server_key_exchange_bits,
    lambda body: read_certificate_list(body, tls13=False),
    lambda body: read_certificate_list(body, tls13=True),
]


def vector(size: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return len(content).to_bytes(size, "big") + content


def extension(kind: int, content: bytes = b"") -> bytes:
    return kind.to_bytes(2, "big") + vector(2, content)


def client_hello(*extensions: bytes, suites: bytes = b"\x13\x01\xc0\x2f", after: bytes | None = None) -> ClientHello:
    end = vector(2, *extensions) if after is None else after
    read = read_client_hello(b"\3\3" + bytes(range(32)) + vector(1, b"id") + vector(2, suites) + b"\1\0" + end)
    assert read is not None
    return read


def server_hello(*extensions: bytes, random: bytes = bytes(32), version: bytes = b"\3\3") -> ServerHello:
    read = read_server_hello(version + random + vector(1, b"id") + b"\x13\x02\0" + vector(2, *extensions))
    assert read is not None
    return read


class Talk:
    """Both contexts of a handshake in one process, and what the client sends and receives: the bodies of the messages,
    by their type. Those of TLS 1.3 are here before they are encrypted."""

    def __init__(self, certificate: Path) -> None:
        self.client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.client.load_verify_locations(certificate)
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(certificate)
        self.bodies: dict[int, list[bytes]] = {}
        hook: Any = self.client
        hook._msg_callback = self._see
        self.session: ssl.SSLSession | None = None

    def _see(self, _: object, __: str, ___: int, content_type: int, message: int, data: bytes) -> None:
        if content_type == 22:
            self.bodies.setdefault(int(message), []).append(data[4:])

    def run(self) -> ssl.SSLObject:
        """Do the handshake, and return the client."""
        self.bodies.clear()
        one, other = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = self.client.wrap_bio(one, other, server_hostname=HOST, session=self.session)
        server = self.server.wrap_bio(other, one, server_side=True)
        for side in (client, server, client, server, client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
        server.write(b"220 ready\r\n")
        assert client.read() == b"220 ready\r\n"
        self.session = client.session
        return client


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("cryptography")
    from cryptography import x509  # noqa: PLC0415 - an optional package
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("certificate") / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def talk(certificate: Path) -> Talk:
    return Talk(certificate)


@cache
def openssl_hello() -> bytes:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["smtp", "http/1.1"])
    out = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=HOST).do_handshake()
    return out.read()[9:]


def test_the_hello_of_openssl() -> None:
    hello = read_client_hello(openssl_hello())
    assert hello is not None
    offered = {suite["id"] & 0xFFFF for suite in ssl.create_default_context().get_ciphers()}
    assert set(hello.suites) - {RENEGOTIATION} == offered
    assert (hello.version, len(hello.random), len(hello.session_id), hello.compressions) == (0x0303, 32, 32, b"\0")
    assert hello.sni == HOST.encode()
    assert hello.alpn == (b"smtp", b"http/1.1")
    assert hello.versions[:2] == (0x0304, 0x0303)
    assert {"x25519", "secp256r1"} <= set(map(group_name, hello.groups))
    assert hello.key_share_groups
    assert set(hello.key_share_groups) <= set(hello.groups)
    assert 0x0804 in hello.signature_algorithms
    assert hello.offers_renegotiation_info
    assert not hello.offers_psk
    assert not hello.offers_early_data


def test_a_client_of_tls_1_2_that_names_no_host() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    out = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), out).do_handshake()
    hello = read_client_hello(out.read()[9:])
    assert hello is not None
    assert (hello.sni, hello.alpn, hello.versions, hello.key_share_groups) == (None, (), (), ())
    assert hello.groups


def test_a_handshake_of_tls_1_3(talk: Talk) -> None:
    for context in (talk.client, talk.server):
        context.set_alpn_protocols(["smtp"])
    client = talk.run()
    (body,) = talk.bodies[SERVER_HELLO]
    hello = read_server_hello(body)
    assert hello is not None
    assert client.cipher() is not None
    assert (suite_name(hello.suite), hello.version) == (client.cipher()[0], 0x0304)  # type: ignore[index]
    offered = read_client_hello(talk.bodies[CLIENT_HELLO][0])
    assert offered is not None
    assert hello.session_id == offered.session_id
    assert hello.group in offered.key_share_groups
    assert (hello.is_retry, hello.accepts_psk, hello.alpn, hello.compression) == (False, False, None, 0)
    encrypted = read_encrypted_extensions(talk.bodies[ENCRYPTED_EXTENSIONS][0])
    assert encrypted is not None
    assert (encrypted.alpn, encrypted.accepts_early_data) == (b"smtp", False)
    assert read_certificate_list(talk.bodies[CERTIFICATE][0], tls13=True) == (client.getpeercert(binary_form=True),)


def test_a_handshake_of_tls_1_2(talk: Talk) -> None:
    talk.client.maximum_version = ssl.TLSVersion.TLSv1_2
    talk.server.set_ecdh_curve("secp384r1")
    for context in (talk.client, talk.server):
        context.set_alpn_protocols(["smtp"])
        context.set_ciphers("ECDHE-ECDSA-AES128-SHA256")
    client = talk.run()
    hello = read_server_hello(talk.bodies[SERVER_HELLO][0])
    assert hello is not None
    assert (suite_name(hello.suite), hello.version) == ("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", 0x0303)
    assert (hello.alpn, hello.group, hello.is_retry) == (b"smtp", None, False)
    assert (hello.encrypt_then_mac, hello.extended_master_secret, hello.renegotiation_info) == (True, True, True)
    (exchange,) = talk.bodies[SERVER_KEY_EXCHANGE]
    group = read_server_key_exchange_group(exchange)
    assert group is not None
    assert group_name(group) == "secp384r1"
    assert read_certificate_list(talk.bodies[CERTIFICATE][0], tls13=False) == (client.getpeercert(binary_form=True),)


def test_a_server_that_wants_another_group(talk: Talk) -> None:
    talk.server.set_ecdh_curve("secp521r1")
    talk.run()
    first, second = (read_client_hello(body) for body in talk.bodies[CLIENT_HELLO])
    retry, hello = (read_server_hello(body) for body in talk.bodies[SERVER_HELLO])
    assert first is not None
    assert second is not None
    assert retry is not None
    assert hello is not None
    assert (retry.is_retry, hello.is_retry) == (True, False)
    assert retry.version == hello.version == 0x0304
    assert group_name(retry.group or 0) == group_name(hello.group or 0) == "secp521r1"
    assert hello.group not in first.key_share_groups
    assert second.key_share_groups == (hello.group,)


def test_a_resumed_session(talk: Talk) -> None:
    talk.run()
    talk.run()
    offered = read_client_hello(talk.bodies[CLIENT_HELLO][0])
    chosen = read_server_hello(talk.bodies[SERVER_HELLO][0])
    assert offered is not None
    assert chosen is not None
    assert offered.offers_psk
    assert chosen.accepts_psk
    assert CERTIFICATE not in talk.bodies


def test_a_hello_of_ssl_3_has_no_extensions() -> None:
    hello = client_hello(after=b"")
    assert hello.extensions == ()
    assert (hello.sni, hello.alpn, hello.versions, hello.groups) == (None, (), (), ())
    assert not hello.offers_renegotiation_info
    chosen = read_server_hello(b"\3\0" + bytes(32) + b"\0\0\x0a\0")
    assert chosen is not None
    assert (chosen.version, chosen.suite, chosen.extensions) == (0x0300, 0x000A, ())


def test_extensions_stay_in_order() -> None:
    hello = client_hello(extension(23), extension(0xFF01, b"\0"), extension(0x0A0A), extension(23, b"again"))
    assert hello.extensions == ((23, b""), (0xFF01, b"\0"), (0x0A0A, b""), (23, b"again"))
    assert hello.session_id == b"id"


def test_the_first_of_two_extensions_counts() -> None:
    names = [vector(2, b"\0", vector(2, name)) for name in (b"first.example", b"second.example")]
    assert client_hello(*(extension(0, name) for name in names)).sni == b"first.example"


@pytest.mark.parametrize("suites", [b"\x13\x01", b"\x13\x01\0\xff"])
@pytest.mark.parametrize("sent", [True, False])
def test_secure_renegotiation_is_offered_in_two_ways(suites: bytes, sent: bool) -> None:
    hello = client_hello(*([extension(0xFF01, b"\0")] if sent else []), suites=suites)
    assert hello.offers_renegotiation_info is (sent or len(suites) > 2)


def test_early_data() -> None:
    assert client_hello(extension(42), extension(41)).offers_early_data
    taken = read_encrypted_extensions(vector(2, extension(42)))
    assert taken is not None
    assert taken.accepts_early_data


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (vector(2, b"\0", vector(2, b"mx.example")), b"mx.example"),
        (vector(2, b"\1", vector(2, b"other"), b"\0", vector(2, b"mx.example")), b"mx.example"),
        (vector(2, b"\0", vector(2, b"\xff\0\r\n")), b"\xff\0\r\n"),
        (vector(2, b"\0", vector(2)), None),
        (vector(2, b"\1", vector(2, b"other")), None),
        (vector(2, b"\0\0\xffshort"), None),
        (b"\0\x0f\0\0\x02mx", None),
        (b"\0", None),
        (b"", None),
    ],
)
def test_the_host_name(content: bytes, name: bytes | None) -> None:
    assert client_hello(extension(0, content)).sni == name


@pytest.mark.parametrize(
    ("content", "protocols"),
    [
        (vector(2, vector(1, b"smtp")), (b"smtp",)),
        (vector(2, vector(1, b"smtp"), vector(1, b"h2")), (b"smtp", b"h2")),
        (vector(2, vector(1, b""), vector(1, b"h2")), (b"", b"h2")),
        (vector(2, b"\x05smtp"), ()),
        (b"\0\x09\x04smtp", ()),
        (b"\0\0", ()),
        (b"", ()),
    ],
)
def test_the_protocols(content: bytes, protocols: tuple[bytes, ...]) -> None:
    assert client_hello(extension(16, content)).alpn == protocols
    assert server_hello(extension(16, content)).alpn == (protocols[0] if len(protocols) == 1 else None)


@pytest.mark.parametrize(
    ("content", "read"),
    [
        (vector(2, b"\0\x1d\0\x17"), (29, 23)),
        (vector(2, b"\0\x1d\0"), (29,)),
        (b"\0\x08\0\x1d", ()),
        (b"\0", ()),
        (b"", ()),
    ],
)
def test_lists_of_numbers(content: bytes, read: tuple[int, ...]) -> None:
    hello = client_hello(extension(10, content), extension(13, content))
    assert hello.groups == hello.signature_algorithms == read


@pytest.mark.parametrize(
    ("content", "groups"),
    [
        (vector(2, b"\x0a\x0a", vector(2, b"\0"), b"\0\x1d", vector(2, bytes(32))), (0x0A0A, 29)),
        (vector(2), ()),
        (vector(2, b"\0\x1d\0\x20short"), ()),
        (b"", ()),
    ],
)
def test_the_groups_of_the_key_shares(content: bytes, groups: tuple[int, ...]) -> None:
    assert client_hello(extension(51, content)).key_share_groups == groups


@pytest.mark.parametrize(
    ("content", "version"), [(b"\3\4", 0x0304), (b"\x7f\x1c", 0x7F1C), (b"\3", 0x0303), (b"\3\4\0", 0x0303)]
)
def test_the_chosen_version(content: bytes, version: int) -> None:
    assert server_hello(extension(43, content)).version == version


@pytest.mark.parametrize(("content", "group"), [(b"\0\x1d" + vector(2, bytes(32)), 29), (b"\0\x18", 24), (b"\0", None)])
def test_the_group_that_the_server_chose(content: bytes, group: int | None) -> None:
    hello = server_hello(extension(51, content), random=RETRY)
    assert (hello.group, hello.is_retry) == (group, True)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\3\3",
        b"\3\3" + bytes(31),
        b"\3\3" + bytes(32) + b"\x20short",
        b"\3\3" + bytes(32) + b"\0\0\2\x13\1\1\0" + b"\0\x04\0\0\0\5",
        b"\3\3" + bytes(32) + b"\0\0\2\x13\1\1\0" + b"\0\x03\0\0\0",
        b"\3\3" + bytes(32) + b"\0\0\2\x13\1\1\0" + b"\0\xff",
    ],
)
def test_a_hello_with_a_length_that_does_not_fit_is_not_read(body: bytes) -> None:
    assert read_client_hello(body) is None
    assert read_server_hello(body) is None
    assert read_encrypted_extensions(body[41:]) is None


def test_what_follows_the_extensions_is_ignored() -> None:
    assert client_hello(after=vector(2, extension(23)) + b"more").extensions == ((23, b""),)


def test_no_part_of_a_hello_is_taken_for_another_one() -> None:
    body = openssl_hello()
    whole = read_client_hello(body)
    assert whole is not None
    without_extensions = 34 + 33 + 2 + 2 * len(whole.suites) + 2
    read = [size for size in range(len(body)) if read_client_hello(body[:size]) is not None]
    assert read == [without_extensions]


# ECDHE: the kind named_curve, the group, the point, and a signature; with its algorithm since TLS 1.2
POINT = b"\3\0\x17" + vector(1, b"\4" + bytes(64))
SIGNATURE = vector(2, bytes(256))


@pytest.mark.parametrize("signature", [b"\x08\x04" + SIGNATURE, SIGNATURE, b""])
def test_the_group_of_a_key_exchange(signature: bytes) -> None:
    assert read_server_key_exchange_group(POINT + signature) == 23
    assert read_server_key_exchange_bits(POINT + signature) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\3\0\x17",
        b"\3\0\x17\0",
        b"\1" + POINT[1:] + SIGNATURE,
        POINT + SIGNATURE[:-1],
        POINT + SIGNATURE + b"\0",
        POINT + b"\0",
    ],
)
def test_a_key_exchange_without_a_named_group(body: bytes) -> None:
    assert read_server_key_exchange_group(body) is None


@pytest.mark.parametrize(
    ("prime", "bits"),
    [
        (b"\xff" * 128, 1024),
        (b"\xff" * 256, 2048),
        (b"\0" + b"\xff" * 256, 2048),
        (b"\x01" + bytes(128), 1025),
        (b"\xff" * 768, 6144),
        (bytes(128), None),
        (b"", None),
    ],
)
def test_the_prime_of_a_key_exchange(prime: bytes, bits: int | None) -> None:
    body = vector(2, prime) + vector(2, b"\2") + vector(2, prime) + b"\x08\x04" + SIGNATURE
    assert read_server_key_exchange_bits(body) == bits
    assert read_server_key_exchange_group(body) is None


CHAIN = (b"first certificate", b"second certificate")


def test_the_certificates_of_tls_1_2() -> None:
    assert read_certificate_list(vector(3, *(vector(3, one) for one in CHAIN)), tls13=False) == CHAIN
    assert read_certificate_list(vector(3), tls13=False) == ()


def test_the_certificates_of_tls_1_3() -> None:
    entries = [vector(3, one) + vector(2, extension(5, b"status")) for one in CHAIN]
    for context in (b"", b"request"):
        assert read_certificate_list(vector(1, context) + vector(3, *entries), tls13=True) == CHAIN
    assert read_certificate_list(b"\0" + vector(3, *entries)[:-1], tls13=True) == ()


def test_certificates_before_a_broken_one_are_returned() -> None:
    broken = vector(3, b"first certificate") + b"\0\1\0short"
    assert read_certificate_list(vector(3, broken), tls13=False) == (b"first certificate",)


def test_at_most_16_certificates_are_returned() -> None:
    assert read_certificate_list(vector(3, vector(3, b"x") * 40), tls13=False) == (b"x",) * 16
    assert read_certificate_list(b"\0" + vector(3, (vector(3, b"x") + b"\0\0") * 40), tls13=True) == (b"x",) * 16


@given(st.binary(max_size=300))
def test_no_bytes_raise(body: bytes) -> None:
    for read in READERS:
        read(body)


@given(st.lists(st.tuples(st.integers(0, 600), st.integers(0, 2), st.binary(max_size=3)), max_size=5), st.integers(0))
def test_no_damage_to_a_real_hello_raises(damage: list[tuple[int, int, bytes]], end: int) -> None:
    body = openssl_hello()
    for at, removed, inserted in damage:
        body = body[:at] + inserted + body[at + removed :]
    for changed in (body, body[: end % (len(body) + 1)]):
        for read in READERS:
            read(changed)
        hello = read_client_hello(changed)
        if hello is not None:
            assert sum(4 + len(content) for _, content in hello.extensions) <= len(changed)
