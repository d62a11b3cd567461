"""Read X.509 certificates: whom they name, how long they are valid, and which key they have."""

# Theory
# ------
# A certificate is a tree of DER elements (`der`). It is read here, without a library: the package `cryptography` is
# optional, and Scapy's ASN.1 takes seconds to import and raises on damaged bytes.
#
# The reader is strict and follows the fields that RFC 5280 §4.1 lists, one after another. It does not call itself for
# elements inside elements, so depth is no question, and it reads each octet a few times at most. If one field is
# broken, the whole certificate is not read. Nothing is verified: neither the signature nor who issued it.

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256
from ipaddress import ip_address
from typing import Final

from msgspec import Struct

from ...dissectors.printable import printable
from .der import (
    BIT_STRING,
    INTEGER,
    OCTET_STRING,
    OID,
    SEQUENCE,
    SET,
    Der,
    NotDerError,
    bits_of,
    element,
    read_oid,
    read_time,
    without_zeros,
)
from .hellos import read_certificate_list

__all__ = ["Certificate", "names_host", "read_certificate", "read_chain"]

_MOST_OCTETS: Final = 1 << 17  # a usual certificate has 1 to 5 KB; OpenSSL accepts 100 KB for all of one side
_MOST_NAMES: Final = 100
_REMEMBERED_OCTETS: Final = 4096  # of a certificate that is remembered: a server sends the same one each time

# Tags of the context (RFC 5280 §4.1 and §4.2.1.6)
_VERSION, _EXTENSIONS = 0xA0, 0xA3
_DNS_NAME, _IP_ADDRESS = 0x82, 0x87

_TEXTS: Final = {
    0x0C: "utf-8",
    0x12: "ascii",  # NumericString
    0x13: "ascii",  # PrintableString
    0x14: "latin-1",  # TeletexString, as it is used
    0x16: "ascii",  # IA5String
    0x1A: "ascii",  # VisibleString
    0x1C: "utf-32-be",  # UniversalString
    0x1E: "utf-16-be",  # BMPString
}
_SUBJECT_ALT_NAME: Final = "2.5.29.17"  # RFC 5280 §4.2.1.6
_COMMON_NAME: Final = "2.5.4.3"

# Short names of the attributes of a subject (RFC 4514 §3, and the registry of LDAP descriptors at IANA)
_ATTRIBUTES: Final = {
    _COMMON_NAME: "CN",
    "2.5.4.4": "SN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "STREET",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.12": "title",
    "2.5.4.15": "businessCategory",
    "2.5.4.17": "postalCode",
    "2.5.4.42": "givenName",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "emailAddress",
}
_RSA, _DSA, _EC = "RSA", "DSA", "EC"
_KEYS: Final = {
    "1.2.840.113549.1.1.1": _RSA,  # RFC 3279 §2.3.1
    "1.2.840.113549.1.1.10": _RSA,  # for RSASSA-PSS only, RFC 4055 §1.2
    "1.2.840.10040.4.1": _DSA,  # RFC 3279 §2.3.2
    "1.2.840.10045.2.1": _EC,  # RFC 5480 §2.1.1
    "1.3.101.112": "Ed25519",  # RFC 8410 §3
    "1.3.101.113": "Ed448",
}
_KEY_BITS: Final = {"Ed25519": 256, "Ed448": 456}  # RFC 8032 §5.1, §5.2
_CURVES: Final = {  # bits of each; RFC 5480 §2.1.1.1, RFC 5639 §4.1, SEC 2
    "1.2.840.10045.3.1.1": 192,  # secp192r1
    "1.3.132.0.33": 224,  # secp224r1
    "1.2.840.10045.3.1.7": 256,  # secp256r1
    "1.3.132.0.10": 256,  # secp256k1
    "1.3.132.0.34": 384,  # secp384r1
    "1.3.132.0.35": 521,  # secp521r1
    "1.3.36.3.3.2.8.1.1.7": 256,  # brainpoolP256r1
    "1.3.36.3.3.2.8.1.1.11": 384,  # brainpoolP384r1
    "1.3.36.3.3.2.8.1.1.13": 512,  # brainpoolP512r1
    "1.2.156.10197.1.301": 256,  # SM2
}
_SIGNATURES: Final = {  # RFC 3279 §2.2, RFC 4055 §5, RFC 5758 §3, RFC 8410 §3
    "1.2.840.113549.1.1.2": "md2WithRSAEncryption",
    "1.2.840.113549.1.1.4": "md5WithRSAEncryption",
    "1.2.840.113549.1.1.5": "sha1WithRSAEncryption",
    "1.2.840.113549.1.1.10": "RSASSA-PSS",
    "1.2.840.113549.1.1.11": "sha256WithRSAEncryption",
    "1.2.840.113549.1.1.12": "sha384WithRSAEncryption",
    "1.2.840.113549.1.1.13": "sha512WithRSAEncryption",
    "1.2.840.113549.1.1.14": "sha224WithRSAEncryption",
    "1.2.840.10040.4.3": "dsa-with-sha1",
    "2.16.840.1.101.3.4.3.1": "dsa-with-sha224",
    "2.16.840.1.101.3.4.3.2": "dsa-with-sha256",
    "1.2.840.10045.4.1": "ecdsa-with-SHA1",
    "1.2.840.10045.4.3.1": "ecdsa-with-SHA224",
    "1.2.840.10045.4.3.2": "ecdsa-with-SHA256",
    "1.2.840.10045.4.3.3": "ecdsa-with-SHA384",
    "1.2.840.10045.4.3.4": "ecdsa-with-SHA512",
    "1.3.101.112": "Ed25519",
    "1.3.101.113": "Ed448",
}

# What RFC 4514 §2.4 escapes in a value: characters with a meaning, and those that may not be first or last
_ESCAPED = re.compile(rb'[^ -~]|["+,;<>\\]|\A[ #]| \Z')
_DNS = re.compile(r"(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")


class Certificate(Struct, frozen=True):
    """An X.509 certificate (RFC 5280 §4.1). All texts are printable ASCII.

    ``subject``, ``issuer``: distinguished names in the form of RFC 4514. ``names``: the DNS names and IP addresses of
    the extension subjectAltName in order, at most 100. ``dns_names``, ``addresses``: all of the one kind and of the
    other. ``common_name``: the most specific one of the subject. ``not_before``, ``not_after``: seconds since 1970,
    UTC. ``key_type``: RSA, EC, DSA, Ed25519 or Ed448, else the object identifier; ``key_bits``: of the modulus of RSA,
    the curve of EC, the prime of DSA, or the whole key of the last two; None for others and unknown curves.
    ``signature``: the algorithm with which the issuer signed, the object identifier if it is unknown. ``serial``,
    ``sha256``: in hexadecimal; the second is the fingerprint of the certificate. ``self_issued``: subject and issuer
    are equal."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    dns_names: tuple[str, ...]
    addresses: tuple[str, ...]
    common_name: str | None
    not_before: int
    not_after: int
    key_type: str
    key_bits: int | None
    signature: str
    serial: str
    sha256: str
    self_issued: bool


def read_certificate(der: bytes) -> Certificate | None:
    """Return the content of a certificate, None if it is broken or has more than 128 KiB."""
    if len(der) > _REMEMBERED_OCTETS:
        return _read_whole.__wrapped__(der) if len(der) <= _MOST_OCTETS else None
    return _read_whole(der)


def read_chain(body: bytes, *, tls13: bool) -> tuple[Certificate, ...]:
    """Return the certificates of a Certificate message, the sender's own first; none if that one cannot be read."""
    made = [*map(read_certificate, read_certificate_list(body, tls13=tls13))]
    if not made or made[0] is None:
        return ()
    return tuple([certificate for certificate in made if certificate is not None])


@lru_cache(maxsize=256)
def _read_whole(der: bytes) -> Certificate | None:
    try:
        return _read(der)
    except NotDerError:
        return None


def names_host(certificate: Certificate, host: str) -> bool:
    """Return whether a certificate is for ``host``, a DNS name or an IP address (RFC 9525 §6).

    A wildcard stands for the whole left-most label and for exactly one. The common name counts only if the certificate
    has no DNS name and no IP address (RFC 6125 §6.4.4); RFC 9525 §2 no longer uses it, but old clients do."""
    try:
        return str(ip_address(host)) in certificate.addresses
    except ValueError:
        pass
    wanted = _plain(host)
    if not _DNS.fullmatch(wanted) or wanted.startswith("*"):
        return False
    names = certificate.dns_names
    if not names and not certificate.addresses and certificate.common_name is not None:
        names = (certificate.common_name,)
    return any(_matches(_plain(name), wanted) for name in names)


def _plain(name: str) -> str:
    return name.lower().removesuffix(".")


def _matches(name: str, wanted: str) -> bool:
    if not _DNS.fullmatch(name):
        return False
    first, dot, rest = name.partition(".")
    return name == wanted or (first == "*" and dot + rest == wanted[len(wanted.partition(".")[0]) :])


def _read(der: bytes) -> Certificate:
    whole = Der(der)
    outer = whole.inside(SEQUENCE)
    whole.end()
    signed = outer.inside(SEQUENCE)
    signature = read_oid(outer.inside(SEQUENCE).take(OID))
    outer.take(BIT_STRING)
    outer.end()
    if signed.has(_VERSION):
        signed.take(_VERSION)
    serial = signed.take(INTEGER)
    signed.take(SEQUENCE)  # the algorithm once more
    issuer = signed.take(SEQUENCE)
    validity = signed.inside(SEQUENCE)
    not_before, not_after = read_time(validity), read_time(validity)
    validity.end()
    subject = signed.take(SEQUENCE)
    key_type, key_bits = _key(signed.inside(SEQUENCE))
    names = _alternative_names(signed)
    subject_text, common_name = _distinguished_name(subject)
    return Certificate(
        subject=subject_text,
        issuer=_distinguished_name(issuer)[0],
        names=tuple(name for _, name in names[:_MOST_NAMES]),
        dns_names=tuple(name for kind, name in names if kind == _DNS_NAME),
        addresses=tuple(name for kind, name in names if kind == _IP_ADDRESS),
        common_name=common_name,
        not_before=not_before,
        not_after=not_after,
        key_type=key_type,
        key_bits=key_bits,
        signature=_SIGNATURES.get(signature, signature),
        serial=without_zeros(serial).hex() or "00",
        sha256=sha256(der).hexdigest(),
        self_issued=subject == issuer,
    )


def _key(fields: Der) -> tuple[str, int | None]:
    """Return kind and bits of a SubjectPublicKeyInfo (RFC 5280 §4.1.2.7)."""
    algorithm = fields.inside(SEQUENCE)
    oid = read_oid(algorithm.take(OID))
    key = fields.take(BIT_STRING)
    fields.end()
    kind = _KEYS.get(oid, oid)
    bits = _KEY_BITS.get(kind)
    if kind == _RSA:  # after the number of unused bits: modulus and exponent (RFC 3279 §2.3.1)
        bits = bits_of(Der(key[1:]).inside(SEQUENCE).take(INTEGER))
    elif kind == _EC and algorithm.has(OID):
        bits = _CURVES.get(read_oid(algorithm.take(OID)))
    elif kind == _DSA and algorithm.has(SEQUENCE):
        bits = bits_of(algorithm.inside(SEQUENCE).take(INTEGER))
    return kind, bits


def _alternative_names(signed: Der) -> list[tuple[int, str]]:
    """Return the DNS names and addresses in the extension subjectAltName, each with its tag. ``signed`` is after the
    key; two identifiers that nothing uses may come before the extensions."""
    while signed.more:
        tag, content = signed.any()
        if tag != _EXTENSIONS:
            continue
        extensions = Der(content).inside(SEQUENCE)
        while extensions.more:
            extension = extensions.inside(SEQUENCE)
            if read_oid(extension.take(OID)) != _SUBJECT_ALT_NAME:
                continue
            kind, value = extension.any()
            if kind != OCTET_STRING:  # it was the mark "critical"
                value = extension.take(OCTET_STRING)
            return _general_names(Der(value).inside(SEQUENCE))
    return []


def _general_names(fields: Der) -> list[tuple[int, str]]:
    names: list[tuple[int, str]] = []
    while fields.more:
        tag, content = fields.any()
        if tag == _DNS_NAME:
            names.append((tag, printable(content)))
        elif tag == _IP_ADDRESS and len(content) in (4, 16):
            names.append((tag, str(ip_address(content))))
    return names


def _distinguished_name(content: bytes) -> tuple[str, str | None]:
    """Return a name in the form of RFC 4514, and the last common name in it: that is the most specific one."""
    parts: list[str] = []
    common_name: str | None = None
    sets = Der(content)
    while sets.more:
        attributes = sets.inside(SET)
        texts: list[str] = []
        while attributes.more:
            attribute = attributes.inside(SEQUENCE)
            oid = read_oid(attribute.take(OID))
            tag, value = attribute.any()
            attribute.end()
            text = _text(tag, value)
            if oid == _COMMON_NAME and text is not None:
                common_name = printable(text)
            name = _ATTRIBUTES.get(oid)
            if name is None or text is None:  # in hexadecimal (RFC 4514 §2.4)
                texts.append(f"{name or oid}=#{element(tag, value).hex()}")
            else:
                texts.append(f"{name}={_ESCAPED.sub(_escape, text).decode('ascii')}")
        parts.append("+".join(texts))
    return ",".join(reversed(parts)), common_name


def _text(tag: int, value: bytes) -> bytes | None:
    """Return a string as UTF-8, None if it is another kind of value. Octets that the kind does not allow are kept."""
    charset = _TEXTS.get(tag)
    if charset is None:
        return None
    if charset in ("utf-8", "ascii"):
        return value
    return value.decode(charset, "replace").encode("utf-8")


def _escape(match: re.Match[bytes]) -> bytes:
    octet = match[0]
    return b"\\" + octet if b" " <= octet <= b"~" else b"\\%02X" % octet[0]
