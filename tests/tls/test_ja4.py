"""JA4 as FoxIO publishes it: its examples, and each of its rules."""

from __future__ import annotations

import ssl

import pytest

from smtpwire.analyzer.tls.hellos import ClientHello, read_client_hello
from smtpwire.analyzer.tls.ja4 import ja4

# The example of the definition, with a GREASE value in each list
SUITES = "2a2a,1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035"
EXTENSIONS = "fafa,001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015"
SIGNATURES = "3a3a,0403,0804,0401,0503,0805,0501,0806,0601"
VERSIONS = "9a9a,0304,0303"
NOTHING = "000000000000"


def numbers(text: str) -> bytes:
    return bytes.fromhex(text.replace(",", ""))


def vector(size: int, content: bytes) -> bytes:
    return len(content).to_bytes(size, "big") + content


def hello(
    suites: str = SUITES,
    extensions: str = EXTENSIONS,
    signatures: str = SIGNATURES,
    versions: str = VERSIONS,
    protocols: tuple[bytes, ...] = (b"h2", b"http/1.1"),
    version: int = 0x0303,
) -> ClientHello:
    contents = {
        "000d": vector(2, numbers(signatures)),
        "0010": vector(2, b"".join(vector(1, protocol) for protocol in protocols)),
        "002b": vector(1, numbers(versions)),
    }
    block = b"".join(numbers(kind) + vector(2, contents.get(kind, b"")) for kind in extensions.split(",") if kind)
    body = version.to_bytes(2, "big") + bytes(32) + b"\0" + vector(2, numbers(suites)) + b"\1\0" + vector(2, block)
    read = read_client_hello(body)
    assert read is not None
    return read


def test_the_example_of_the_definition() -> None:
    assert ja4(hello()) == "t13d1516h2_8daaf6152771_e5627efa2ab1"


def test_chrome() -> None:
    extensions = EXTENSIONS.replace("0015", "fe0d")
    assert ja4(hello(extensions=extensions)) == "t13d1516h2_8daaf6152771_02713d6af862"


def test_a_hello_without_signature_algorithms() -> None:
    assert ja4(hello(signatures="")) == "t13d1516h2_8daaf6152771_6d807ffa2a79"
    assert ja4(hello(signatures="3a3a")) == "t13d1516h2_8daaf6152771_6d807ffa2a79"


def test_the_order_of_suites_and_extensions_does_not_count() -> None:
    suites, extensions = (",".join(reversed(text.split(","))) for text in (SUITES, EXTENSIONS))
    assert ja4(hello(suites, extensions)) == ja4(hello())


def test_the_order_of_signature_algorithms_counts() -> None:
    assert ja4(hello(signatures="0804,0403")) != ja4(hello(signatures="0403,0804"))


def test_host_name_and_protocol_are_only_in_the_first_part() -> None:
    bare = ja4(hello(extensions=EXTENSIONS.replace("0000,", "").replace("0010,", "")))
    assert bare == "t13i151400_8daaf6152771_e5627efa2ab1"


@pytest.mark.parametrize(
    ("protocol", "characters"),
    [
        (b"h2", "h2"),
        (b"http/1.1", "h1"),
        (b"smtp", "sp"),
        (b"q", "qq"),
        (b"", "00"),
        (b"\xab", "ab"),
        (b"\x20", "20"),
        (b"\xab\xcd", "ad"),
        (b"\x20\x61", "21"),
        (b"\x30\xab", "3b"),
        (b"\x61\x20", "60"),
        (b"\x30\x31\xab\xcd", "3d"),
        (b"\x30\xab\xcd\x31", "01"),
        ("ü2".encode("latin-1"), "f2"),
    ],
)
def test_the_ends_of_the_first_protocol(protocol: bytes, characters: str) -> None:
    assert ja4(hello(protocols=(protocol, b"h2")))[8:10] == characters


def test_no_protocol_in_alpn() -> None:
    assert ja4(hello(protocols=()))[8:10] == "00"


@pytest.mark.parametrize(
    ("versions", "version", "characters"),
    [
        ("0304,0303", 0x0303, "13"),
        ("0303,0304", 0x0303, "13"),
        ("0301,0302,0303", 0x0303, "12"),
        ("fafa,0302", 0x0303, "11"),
        ("0301", 0x0303, "10"),
        ("7f1c,0303", 0x0303, "00"),
        (None, 0x0303, "12"),
        (None, 0x0300, "s3"),
        (None, 0x0002, "s2"),
        (None, 0x1234, "00"),
    ],
)
def test_the_version(versions: str | None, version: int, characters: str) -> None:
    extensions = EXTENSIONS if versions is not None else EXTENSIONS.replace("002b,", "")
    assert ja4(hello(extensions=extensions, versions=versions or "", version=version))[1:3] == characters


def test_the_counts_have_two_digits() -> None:
    assert ja4(hello(suites="1301", extensions="0000"))[4:8] == "0101"
    many = ",".join(f"{number:04x}" for number in range(0x4000, 0x4078))
    assert ja4(hello(suites=many, extensions=many))[4:8] == "9999"


def test_scsv_values_are_counted() -> None:
    assert ja4(hello(suites="1301,00ff,5600"))[4:6] == "03"


def test_empty_lists_have_no_hash() -> None:
    assert ja4(hello(suites="", extensions="")) == f"t12i000000_{NOTHING}_{NOTHING}"
    assert ja4(hello(suites="0a0a", extensions="0000,0010")) == f"t12d0002h2_{NOTHING}_{NOTHING}"


def test_openssl_offers_the_same_to_each_host() -> None:
    context = ssl.create_default_context()
    seen = set()
    for host in ("mx1.example.net", "mx2.example.org"):
        out = ssl.MemoryBIO()
        client = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=host)
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        read = read_client_hello(out.read()[9:])
        assert read is not None
        seen.add(ja4(read))
    (fingerprint,) = seen
    assert fingerprint.startswith("t13d")
    assert [len(part) for part in fingerprint.split("_")] == [10, 12, 12]
