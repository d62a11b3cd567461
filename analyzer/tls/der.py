"""Read DER, the encoding of certificates: elements of tag, length and content (ITU-T X.690 §8.1, §10.1)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

__all__ = [
    "BIT_STRING",
    "INTEGER",
    "OCTET_STRING",
    "OID",
    "SEQUENCE",
    "SET",
    "Der",
    "NotDerError",
    "bits_of",
    "element",
    "read_oid",
    "read_time",
    "without_zeros",
]

# Universal tags (ITU-T X.690 §8.1.2)
INTEGER, BIT_STRING, OCTET_STRING, OID = 0x02, 0x03, 0x04, 0x06
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
SEQUENCE, SET = 0x30, 0x31
_MANY: Final = 0x1F  # the tag number continues in the next octet
_MOST_OID_OCTETS: Final = 64  # one with a UUID has 20


class NotDerError(Exception):
    """The bytes are not DER, or not what was asked for. The caller handles it."""


class Der:
    """Reads the elements of one level in order."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def more(self) -> bool:
        """Whether another element follows."""
        return self._at < len(self._data)

    def any(self) -> tuple[int, bytes]:
        """Return tag and content of the next element."""
        data, at = self._data, self._at + 2
        if at > len(data) or data[at - 2] & _MANY == _MANY:
            raise NotDerError
        size = data[at - 1]
        if size >= 0x80:  # the length is in the next octets, in as few as possible (ITU-T X.690 §10.1)
            digits = data[at : at + (size & 0x7F)]
            size = int.from_bytes(digits[:5], "big")
            if not 0 < len(digits) < 5 or not digits[0] or size < 0x80:
                raise NotDerError
            at += len(digits)
        if at + size > len(data):
            raise NotDerError
        tag = data[self._at]
        self._at = at + size
        return tag, data[at : at + size]

    def take(self, tag: int) -> bytes:
        """Return the content of the next element, which has ``tag``."""
        found, content = self.any()
        if found != tag:
            raise NotDerError
        return content

    def inside(self, tag: int) -> Der:
        """Return the elements inside the next one, which has ``tag``."""
        return Der(self.take(tag))

    def has(self, tag: int) -> bool:
        """Return whether the next element has ``tag``."""
        return self._data[self._at : self._at + 1] == bytes((tag,))

    def end(self) -> None:
        """Require that no element follows."""
        if self.more:
            raise NotDerError


def without_zeros(number: bytes) -> bytes:
    """Return an INTEGER without the zeros at its start."""
    if not number:
        raise NotDerError
    return number.lstrip(b"\0")


def bits_of(number: bytes) -> int:
    """Return the length of an INTEGER in bits."""
    digits = without_zeros(number)
    return 8 * (len(digits) - 1) + digits[0].bit_length() if digits else 0


def read_oid(content: bytes) -> str:
    """Return an object identifier with dots (ITU-T X.690 §8.19)."""
    if not 0 < len(content) <= _MOST_OID_OCTETS or content[-1] >= 0x80:
        raise NotDerError
    numbers: list[int] = []
    number = 0
    begins = True
    for octet in content:
        if begins and octet == 0x80:
            raise NotDerError
        number = number << 7 | octet & 0x7F
        begins = octet < 0x80
        if begins:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))


def read_time(fields: Der) -> int:
    """Return a time in seconds since 1970 (RFC 5280 §4.1.2.5: with seconds, without fractions, in UTC)."""
    tag, content = fields.any()
    digits = content[:-1]
    size = {_UTC_TIME: 12, _GENERALIZED_TIME: 14}.get(tag)
    if len(digits) != size or not digits.isdigit() or content[-1:] != b"Z":
        raise NotDerError
    if tag == _UTC_TIME:  # years of two digits: 1950 to 2049
        digits = (b"19" if digits >= b"50" else b"20") + digits
    month, day, hour, minute, second = (int(digits[at : at + 2]) for at in range(4, 14, 2))
    try:
        return int(datetime(int(digits[:4]), month, day, hour, minute, second, tzinfo=UTC).timestamp())
    except ValueError:
        raise NotDerError from None


def element(tag: int, content: bytes) -> bytes:
    """Return an element as it was: the inverse of ``Der.any``."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(digits))) + digits + content
