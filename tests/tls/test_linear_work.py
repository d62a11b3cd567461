"""Twice the bytes of a hello or a certificate are about twice the work."""

from __future__ import annotations

import ast
import builtins
from pathlib import Path
from typing import TYPE_CHECKING

import counted_work
import pytest
from counted_work import WORK, Counting

from smtpwire.analyzer.tls import certificates, hellos, ja4

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any


@pytest.fixture(autouse=True)
def _counters(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("step", "made", "grown", "each", "called"):
        monkeypatch.setattr(builtins, f"_counted_{name}", getattr(counted_work, name), raising=False)


def counted(module: ModuleType) -> dict[str, Any]:
    """Return the names of ``module`` with functions that count their work."""
    assert module.__file__ is not None
    tree = Counting().visit(ast.parse(Path(module.__file__).read_text("utf-8")))
    names: dict[str, Any] = {"__name__": module.__name__, "__package__": module.__package__}
    exec(compile(ast.fix_missing_locations(tree), module.__file__, "exec", dont_inherit=True), names)
    return names


def growth(read: Callable[[bytes], object], body_of: Callable[[int], bytes]) -> float:
    """Return how many times the work grows if a part of the bytes comes four times as often."""
    counts = []
    for count in (1000, 4000):
        body = body_of(count)
        before = WORK[0]
        assert read(body)
        counts.append(WORK[0] - before)
    return counts[1] / counts[0]


def vector(size: int, content: bytes) -> bytes:
    return len(content).to_bytes(size, "big") + content


def element(tag: int, content: bytes) -> bytes:
    return bytes((tag, 0x83)) + vector(3, content) if len(content) > 0xFFFF else _short(tag, content)


def _short(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    return bytes((tag, 0x81)) + vector(1, content) if size < 0x100 else bytes((tag, 0x82)) + vector(2, content)


def extension(kind: int, content: bytes) -> bytes:
    return kind.to_bytes(2, "big") + vector(2, content)


def hello(extensions: bytes, suites: bytes = b"\x13\x01") -> bytes:
    return b"\3\3" + bytes(32) + b"\0" + vector(2, suites) + b"\1\0" + vector(2, extensions)


HELLOS: dict[str, Callable[[int], bytes]] = {
    "suites": lambda count: hello(b"", b"\x13\x01" * count),
    "extensions": lambda count: hello(b"\x4a\x4b\0\0" * count),
    "one long extension": lambda count: hello(extension(0x4A4B, bytes(8 * count))),
    "names that are no host names": lambda count: hello(extension(0, vector(2, b"\1\0\1x" * count))),
    "protocols": lambda count: hello(extension(16, vector(2, b"\1x" * count))),
    "empty protocols": lambda count: hello(extension(16, vector(2, b"\0" * count))),
    "groups": lambda count: hello(extension(10, vector(2, b"\0\x1d" * count))),
    "key shares": lambda count: hello(extension(51, vector(2, b"\0\x1d\0\0" * count))),
}


@pytest.mark.parametrize("body_of", HELLOS.values(), ids=HELLOS)
def test_hellos(body_of: Callable[[int], bytes]) -> None:
    names = counted(hellos)
    fingerprint = counted(ja4)["ja4"]
    assert growth(names["read_client_hello"], body_of) < 4.5
    assert growth(lambda body: fingerprint(hellos.read_client_hello(body)), body_of) < 4.5


@pytest.mark.parametrize("tls13", [False, True])
def test_certificate_lists(tls13: bool) -> None:
    read = counted(hellos)["read_certificate_list"]
    entry = b"\0\0\0" + b"\0\0" * tls13
    body_of = (b"\0" if tls13 else b"") + vector(3, b"\0\0\1x" + b"\0\0" * tls13)
    assert read(body_of, tls13=tls13)
    assert (
        growth(
            lambda body: read(body, tls13=tls13) == (),
            lambda count: (b"\0" if tls13 else b"") + vector(3, entry * count),
        )
        < 4.5
    )


OID = b"\x06\x03\x55\x04\x03"
ATTRIBUTE = element(0x31, element(0x30, OID + b"\x0c\1x"))
UNKNOWN = b"\x06\x03\x2a\x03\x04"


def certificate(subject: bytes = b"", extensions: bytes = b"", serial: bytes = b"\5") -> bytes:
    signature = element(0x30, b"\x06\x03\x2a\x03\x04")
    key = element(0x30, signature + b"\3\2\0k")
    time = element(0x17, b"240229235959Z")
    names = element(0x30, b"") + element(0x30, time * 2) + element(0x30, subject)
    block = element(0xA3, element(0x30, extensions))
    signed = element(0x30, element(2, serial) + signature + names + key + block)
    return element(0x30, signed + signature + b"\3\2\0k")


def alternative(names: bytes) -> bytes:
    return element(0x30, b"\x06\x03\x55\x1d\x11" + element(4, element(0x30, names)))


CERTIFICATES: dict[str, Callable[[int], bytes]] = {
    "attributes": lambda count: certificate(ATTRIBUTE * count),
    "attributes of one set": lambda count: certificate(element(0x31, element(0x30, OID + b"\x0c\1x") * count)),
    "one long text": lambda count: certificate(element(0x31, element(0x30, OID + element(0x0C, b" \xff," * count)))),
    "one long unknown value": lambda count: certificate(
        element(0x31, element(0x30, UNKNOWN + element(0x0C, b"\xff" * 8 * count)))
    ),
    "names": lambda count: certificate(extensions=alternative(b"\x82\1x" * count)),
    "addresses": lambda count: certificate(extensions=alternative(b"\x87\4abcd" * count)),
    "one long name": lambda count: certificate(extensions=alternative(element(0x82, b"\xff" * 8 * count))),
    "extensions": lambda count: certificate(extensions=element(0x30, UNKNOWN + b"\4\0") * count),
    "a long number": lambda count: certificate(serial=b"\0" * 8 * count + b"\1" * 8 * count),
}


@pytest.mark.parametrize("body_of", CERTIFICATES.values(), ids=CERTIFICATES)
def test_certificates(body_of: Callable[[int], bytes]) -> None:
    assert growth(counted(certificates)["read_certificate"], body_of) < 4.5


def test_hosts() -> None:
    names_host = counted(certificates)["names_host"]
    read = certificates.read_certificate

    def compare(body: bytes) -> bool:
        found = read(body)
        assert found is not None
        return not names_host(found, "x." * 100 + "y")

    assert growth(compare, CERTIFICATES["names"]) < 4.5
    assert growth(compare, lambda count: certificate(extensions=alternative(element(0x82, b"x." * 4 * count)))) < 4.5
