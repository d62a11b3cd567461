"""Zeek's ``ssl.log`` and ``x509.log``: TLS sessions and their certificates."""

# The columns are those of Zeek's base/protocols/ssl and base/files/x509, in the same order. Those about which the
# report knows nothing are left out: `ssl_history` and `sni_matches_cert`; version, exponent and curve of a certificate,
# other kinds of names in it, and its basic constraints.

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from .tls_records import established, start_of_tls
from .zeek_log import LogColumn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...model import Connection, TlsCertificate, TlsSession
    from .zeek_log import Value

__all__ = ["SSL_COLUMNS", "X509_COLUMNS", "KnownCertificates", "session_row"]

MAX_KNOWN = 10_000  # certificates that are remembered, so that each has one row

SSL_COLUMNS = (
    LogColumn("version", "string"),
    LogColumn("cipher", "string"),
    LogColumn("curve", "string"),
    LogColumn("server_name", "string"),
    LogColumn("resumed", "bool"),
    LogColumn("last_alert", "string"),
    LogColumn("next_protocol", "string"),
    LogColumn("established", "bool"),
    LogColumn("cert_chain_fps", "vector[string]"),
    LogColumn("client_cert_chain_fps", "vector[string]"),
)
"""Those after the columns of the connection."""

X509_COLUMNS = (
    LogColumn("ts", "time"),
    LogColumn("fingerprint", "string"),
    LogColumn("certificate.serial", "string"),
    LogColumn("certificate.subject", "string"),
    LogColumn("certificate.issuer", "string"),
    LogColumn("certificate.not_valid_before", "time"),
    LogColumn("certificate.not_valid_after", "time"),
    LogColumn("certificate.key_alg", "string"),
    LogColumn("certificate.sig_alg", "string"),
    LogColumn("certificate.key_type", "string"),
    LogColumn("certificate.key_length", "count"),
    LogColumn("san.dns", "vector[string]"),
    LogColumn("san.ip", "vector[addr]"),
    LogColumn("host_cert", "bool"),
    LogColumn("client_cert", "bool"),
)

# OpenSSL's names of the algorithm of a key, which Zeek logs.
_KEYS = {"RSA": "rsaEncryption", "EC": "id-ecPublicKey", "DSA": "dsaEncryption", "Ed25519": "ED25519", "Ed448": "ED448"}


def session_row(connection: Connection, session: TlsSession) -> dict[str, Value]:
    """Return the row of a session in ``ssl.log``, without the columns of the connection."""
    time, _ = start_of_tls(connection)
    return {
        "ts": time,
        "version": _version(session.version),
        "cipher": session.suite,
        "curve": session.group,
        "server_name": session.sni,
        "resumed": session.resumed,
        "last_alert": None if session.alert is None else session.alert.description,
        "next_protocol": session.alpn,
        "established": established(session),
        "cert_chain_fps": [one.sha256 for one in session.certificates] or None,
        "client_cert_chain_fps": [one.sha256 for one in session.client_certificates] or None,
    }


def _version(name: str | None) -> str | None:
    """Return Zeek's name of a version: ``TLSv13`` of TLS 1.3."""
    return name and name.replace(" ", "v").replace(".", "")


class KnownCertificates:
    """The certificates that have a row in ``x509.log``, a limited number: Zeek logs each of them once too."""

    def __init__(self) -> None:
        self._known: set[tuple[str, bool, bool]] = set()

    def rows(self, connection: Connection, session: TlsSession) -> Iterator[dict[str, Value]]:
        """Return a row for each certificate that is new in its role."""
        time, _ = start_of_tls(connection)
        for is_client, chain in ((False, session.certificates), (True, session.client_certificates)):
            for number, one in enumerate(chain):
                role = one.sha256, not number, is_client
                if role in self._known:
                    continue
                if len(self._known) < MAX_KNOWN:
                    self._known.add(role)
                yield _certificate(one) | {"ts": time, "host_cert": not number, "client_cert": is_client}


def _certificate(one: TlsCertificate) -> dict[str, Value]:
    addresses = [name for name in one.names if _is_address(name)]
    return {
        "fingerprint": one.sha256,
        "certificate.serial": one.serial.upper(),
        "certificate.subject": one.subject,
        "certificate.issuer": one.issuer,
        "certificate.not_valid_before": one.not_before,
        "certificate.not_valid_after": one.not_after,
        "certificate.key_alg": _KEYS.get(one.key_type, one.key_type),
        "certificate.sig_alg": one.signature,
        "certificate.key_type": one.key_type.lower() if one.key_type in {"RSA", "EC", "DSA"} else None,
        "certificate.key_length": one.key_bits,
        "san.dns": [name for name in one.names if name not in addresses] or None,
        "san.ip": addresses or None,
    }


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
