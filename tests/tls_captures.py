"""Captures of SMTP inside TLS with their key logs, made by the OpenSSL of this Python and the package ``cryptography``.

``tls_capture`` writes one connection: both ends of TLS run in this process. Tests that use it begin with
``pytest.importorskip("cryptography")``. The package and ``ssl`` are used only here, not by the code under test::

    made = tls_capture(tmp_path / "a.pcap", [("C", b"EHLO c.example\\r\\n"), ...], keylog=tmp_path / "a.keys")

Random numbers of the handshake differ from run to run, and with them its bytes, and its length by an octet or two.
Frames, times, and all that is inside are the same each time.
"""

from __future__ import annotations

import ssl
import tempfile
import warnings
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from captures import START, Conversation, pcap, pcapng

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cryptography.x509 import Certificate

__all__ = [
    "BEFORE_TLS",
    "CLIENT_NAME",
    "HELLO_INSIDE",
    "HOST",
    "MESSAGE",
    "NOT_AFTER",
    "NOT_BEFORE",
    "QUIT",
    "TRANSACTION",
    "Certified",
    "TlsCapture",
    "certified",
    "tls_capture",
]

HOST, CLIENT_NAME = "mx.example", "carol"
NOT_BEFORE, NOT_AFTER = datetime(2025, 1, 1, tzinfo=UTC), datetime(2035, 1, 1, tzinfo=UTC)

BEFORE_TLS = [
    ("S", b"220 mx.example ESMTP\r\n"),
    ("C", b"EHLO client.example\r\n"),
    ("S", b"250-mx.example\r\n250 STARTTLS\r\n"),
    ("C", b"STARTTLS\r\n"),
    ("S", b"220 go ahead\r\n"),
]
"""What comes before the handshake of STARTTLS, if the script does not say it."""

HELLO_INSIDE = [("C", b"EHLO client.example\r\n"), ("S", b"250-mx.example\r\n250 SIZE 2000000\r\n")]
MESSAGE = (
    b"Date: Mon, 2 Nov 2026 10:00:00 +0000\r\nFrom: a@client.example\r\nTo: b@mx.example\r\nSubject: test\r\n"
    b"Message-ID: <1@client.example>\r\n\r\nhello\r\n"
)
"""A message in which no rule finds anything, without the end mark."""

TRANSACTION = [
    ("C", b"MAIL FROM:<a@client.example>\r\n"),
    ("S", b"250 ok\r\n"),
    ("C", b"RCPT TO:<b@mx.example>\r\n"),
    ("S", b"250 ok\r\n"),
    ("C", b"DATA\r\n"),
    ("S", b"354 go\r\n"),
    ("C", MESSAGE + b".\r\n"),
    ("S", b"250 queued\r\n"),
]
QUIT = [("C", b"QUIT\r\n"), ("S", b"221 bye\r\n"), ("FC", b""), ("FS", b"")]


@dataclass(frozen=True)
class Certified:
    """A certificate with its key, as PEM, and the certificate itself."""

    pem: bytes = field(repr=False)
    certificate: Certificate


class TlsCapture(NamedTuple):
    """What ``tls_capture`` wrote. ``keylog``: None if there is none."""

    path: Path
    keylog: Path | None
    server: Certificate
    client: Certificate | None


@cache
def certified(
    name: str = HOST,
    names: tuple[str, ...] | None = None,
    *,
    not_before: datetime = NOT_BEFORE,
    not_after: datetime = NOT_AFTER,
    rsa: bool = False,
) -> Certified:
    """Make a self-signed certificate: of ``name`` (CN), for the hosts in ``names``. The same arguments give the same
    one. ``rsa``: an RSA key of 2048 bits, otherwise P-256."""
    from cryptography import x509  # noqa: PLC0415 - an optional package
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key  # noqa: PLC0415

    key = generate_private_key(65537, 2048) if rsa else ec.generate_private_key(ec.SECP256R1())
    whom = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    hosts = x509.SubjectAlternativeName([x509.DNSName(host) for host in ((name,) if names is None else names)])
    made = (
        x509.CertificateBuilder(whom, whom, key.public_key(), x509.random_serial_number(), not_before, not_after)
        .add_extension(hosts, critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Certified(private + made.public_bytes(serialization.Encoding.PEM), made)


def _der(who: Certified) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415 - an optional package

    return who.certificate.public_bytes(Encoding.DER)


def _load(context: ssl.SSLContext, who: Certified) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "certificate.pem"
        path.write_bytes(who.pem)
        context.load_cert_chain(path)


class _Ends:
    """Both ends of TLS, and the bytes that each wants to send."""

    def __init__(self, client: ssl.SSLContext, server: ssl.SSLContext, host: str | None) -> None:
        self._contexts, self._host = (client, server), host
        self.start(None)

    def start(self, session: ssl.SSLSession | None) -> None:
        client, server = self._contexts
        self._to = {"C": ssl.MemoryBIO(), "S": ssl.MemoryBIO()}  # what arrives at each side
        to_client, to_server = self._to["C"], self._to["S"]
        self.ends = {
            "C": client.wrap_bio(to_client, to_server, server_hostname=self._host, session=session),
            "S": server.wrap_bio(to_server, to_client, server_side=True),
        }
        self._sent = {"C": 0, "S": 0}

    def flush(self, who: str, send: Callable[[str, bytes], None]) -> None:
        """Send what ``who`` has written since the last call."""
        arrives = self._to["S" if who == "C" else "C"]
        data = arrives.read()
        if data:
            send(who, data)
            arrives.write(data)

    def handshake(self, send: Callable[[str, bytes], None]) -> bool:
        """Return whether both sides are done."""
        done = set()
        for who in "CSCSCSCS":
            if who in done:
                continue
            try:
                self.ends[who].do_handshake()
                done.add(who)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                self.flush(who, send)  # an alert
                return False
            self.flush(who, send)
        return done == {"C", "S"}

    def write(self, who: str, data: bytes, send: Callable[[str, bytes], None]) -> None:
        self.ends[who].write(data)
        self.flush(who, send)
        self.read("S" if who == "C" else "C")

    def read(self, who: str) -> None:
        with suppress(ssl.SSLError):  # nothing more is there; or a lost or damaged record before it
            while self.ends[who].read():
                pass

    def close(self, who: str, send: Callable[[str, bytes], None]) -> None:
        self.read(who)  # or the tickets of TLS 1.3 would be an error
        with suppress(ssl.SSLError):
            self.ends[who].unwrap()
        self.flush(who, send)
        self.read("S" if who == "C" else "C")


def tls_capture(
    path: Path,
    script: Sequence[tuple[str, bytes | str]],
    *,
    starttls: bool = True,
    implicit: bool = False,
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    ciphers: str | None = None,
    keylog: Path | None = None,
    server_name: str | None = HOST,
    alpn: Sequence[str] = (),
    certificate: Certified | None = None,
    client_certificate: Certified | None = None,
    refused: bool = False,
    resumed: bool = False,
    record_size: int = 16384,
    segment_size: int = 1400,
    port: int = 43210,
    server_port: int | None = None,
    start_ns: int = START,
) -> TlsCapture:
    """Write a capture of one connection: ``script`` inside TLS. A name that ends in .pcapng is of that kind.

    ``script``: turns in their order, ``("C" | "S", data)``; text is encoded as latin-1. With an entry ``("TLS", "")``
    the handshake is there, and the entries before it are in clear text. Without one it is at the start, with
    ``starttls`` after ``BEFORE_TLS``, so that the script is what is inside TLS. ``implicit``: there is no clear text,
    and the port is 465. Other entries inside TLS: ``LC``, ``LS``: data in records that are missing from the capture;
    ``XC``, ``XS``: data in records that were changed on the way, so that they cannot be opened. ``PC``, ``PS``: bytes
    that are sent as they are, in clear text. ``FC``, ``FS``: close_notify and FIN; without them the connection stays
    open.

    ``keylog``: where the key log is written; None: there is none. A capture NAME.pcap finds NAME.keys beside it by
    itself. ``ciphers``: for TLS 1.2 and older, in OpenSSL's words; TLS 1.3 takes AES-256-GCM. ``server_name``: SNI,
    None for none. ``alpn``: offered by the client; the server takes the first. ``certificate``: of the server, if not
    ``certified()``. ``client_certificate``: the server asks for it. ``refused``: the client does not trust the server,
    and ends the handshake with an alert; what would be inside is not sent. ``resumed``: the session is that of an
    earlier connection, which is not captured. ``record_size``: the most bytes of one entry in one record.
    """
    certificate = certificate or certified()
    contexts = _contexts(certificate, client_certificate, version, ciphers, alpn)
    client, server = contexts
    if refused:
        client.verify_mode = ssl.CERT_REQUIRED
    if keylog is not None:
        client.keylog_filename = str(keylog)
    ends = _Ends(client, server, server_name)
    if resumed:
        ends.start(_earlier_session(ends))
    turns = [(who, data.encode("latin-1") if isinstance(data, str) else data) for who, data in script]
    if not any(who == "TLS" for who, _ in turns):
        turns = [*(BEFORE_TLS if starttls and not implicit else ()), ("TLS", b""), *turns]
    wire = _Wire(Conversation(port, server_port or (465 if implicit else 25), start_ns), segment_size)
    _play(turns, ends, wire, record_size)
    path.write_bytes((pcapng if path.suffix == ".pcapng" else pcap)(wire.talk.records))
    other = None if client_certificate is None else client_certificate.certificate
    return TlsCapture(path, keylog, certificate.certificate, other)


def _contexts(
    certificate: Certified,
    client_certificate: Certified | None,
    version: ssl.TLSVersion,
    ciphers: str | None,
    alpn: Sequence[str],
) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    client, server = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    _load(server, certificate)
    if client_certificate is not None:
        _load(client, client_certificate)
        server.verify_mode = ssl.CERT_REQUIRED
        server.load_verify_locations(cadata=_der(client_certificate))
    for context in (client, server):
        context.set_ciphers(ciphers or ("DEFAULT" if version >= ssl.TLSVersion.TLSv1_2 else "DEFAULT@SECLEVEL=0"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # TLS 1.0 and 1.1
            context.minimum_version = context.maximum_version = version
        if alpn:
            context.set_alpn_protocols(list(alpn))
    return client, server


class _Wire:
    """What is captured of the connection."""

    def __init__(self, talk: Conversation, segment_size: int) -> None:
        self.talk, self._size = talk.open(), segment_size

    def send(self, who: str, data: bytes) -> None:
        side = self.talk.client if who == "C" else self.talk.server
        for at in range(0, len(data), self._size):
            side(data[at : at + self._size])

    def lose(self, who: str, data: bytes) -> None:
        before = len(self.talk.records)
        self.send(who, data)
        del self.talk.records[before:]

    def damage(self, who: str, data: bytes) -> None:
        self.send(who, data[:-1] + bytes((data[-1] ^ 1,)))


def _play(turns: Sequence[tuple[str, bytes]], ends: _Ends, wire: _Wire, record_size: int) -> None:
    inside = False
    for who, data in turns:
        side = who[-1]
        if who == "TLS":
            inside = True
            if not ends.handshake(wire.send):
                return
            ends.read("C")  # the tickets of TLS 1.3
        elif who[0] == "F":
            if inside:
                ends.close(side, wire.send)
            wire.talk.finish("client" if side == "C" else "server")
        elif not inside or who[0] == "P":
            wire.send(side, data)
        else:
            way = {"L": wire.lose, "X": wire.damage}.get(who[:-1], wire.send)
            for at in range(0, len(data), record_size):
                ends.write(side, data[at : at + record_size], way)


def _earlier_session(ends: _Ends) -> ssl.SSLSession:
    """Return the session of a connection that is not in the capture."""

    def nowhere(who: str, data: bytes) -> None:
        pass

    assert ends.handshake(nowhere)
    ends.write("S", b"220 ready\r\n", nowhere)
    session = ends.ends["C"].session
    assert session is not None
    return session
