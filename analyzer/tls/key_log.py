"""Secrets of TLS sessions from key logs, the files that ``SSLKEYLOGFILE`` names, and from pcapng captures."""

# Theory
# ------
# A line has a label, the random of the ClientHello, and a secret, both in hexadecimal (RFC 9850). The random finds the
# session, so one key log may hold any number of sessions. A line that cannot be read costs nothing but itself: it is
# counted. A label may occur several times for one session, with different secrets; they are kept in their order, at
# most ``SECRETS_OF_LABEL`` of them, and the first record that they open decides.
#
# Secrets leave this module only by `secrets`. Nothing here has a text that shows them.

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ..limits import KEY_LOG_LINE, KEY_LOG_LINES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["LABELS", "KeyLog"]

LABELS: Final = (
    b"CLIENT_RANDOM",
    b"CLIENT_EARLY_TRAFFIC_SECRET",
    b"CLIENT_HANDSHAKE_TRAFFIC_SECRET",
    b"SERVER_HANDSHAKE_TRAFFIC_SECRET",
    b"CLIENT_TRAFFIC_SECRET_0",
    b"SERVER_TRAFFIC_SECRET_0",
)
"""Labels that are used. Others are permitted, and ignored."""

SECRETS_OF_LABEL = 4
_NUMBERS = {label: number for number, label in enumerate(LABELS)}
_MASTER = 48  # octets of a master secret (RFC 5246 §8.1)
_HASHES = (32, 48)  # octets of a secret of TLS 1.3: of the hash of its suite

_line = re.compile(rb"([A-Z][A-Z0-9_]{0,63}+) ([0-9a-fA-F]{64}) ((?:[0-9a-fA-F]{2}){1,64}+)").fullmatch
_ignorable = re.compile(rb"[ \t]*+(?:#.*+)?", re.DOTALL).fullmatch
# Premaster secrets, from before RFC 9850: valid lines that are not used.
_premaster = re.compile(rb"(?:RSA|PMS_CLIENT_RANDOM) [0-9a-fA-F]{16,64}+ [0-9a-fA-F]{96}").fullmatch


def _nothing() -> None:
    pass


class KeyLog:
    """The secrets so far. ``lines``: how many were read; ``invalid``: how many of them were no lines of a key log;
    ``left_out``: how many were above the limit. ``version`` grows with each new secret. ``may_grow``: secrets may come
    later than the records that they open; ``refresh`` looks for new ones. ``notes``: what was wrong with files."""

    __slots__ = (
        "_rest",
        "_sessions",
        "_used",
        "invalid",
        "left_out",
        "lines",
        "may_grow",
        "notes",
        "refresh",
        "version",
    )

    def __init__(self) -> None:
        self._sessions: dict[bytes, tuple[tuple[int, bytes], ...]] = {}
        self._used: dict[bytes, int] | None = None  # secrets of each session that `take_used` has returned
        self._rest = b""  # the start of a line whose end has not come
        self.lines = self.invalid = self.left_out = self.version = 0
        self.may_grow = False
        self.notes: list[str] = []
        self.refresh: Callable[[], None] = _nothing

    def __repr__(self) -> str:
        return f"<KeyLog of {len(self._sessions)} sessions>"

    def __bool__(self) -> bool:
        return bool(self._sessions)

    def feed(self, data: bytes) -> None:
        """Take the next bytes of a key log. The last line waits for its end."""
        lines = (self._rest + data).split(b"\n")
        rest = lines.pop()
        self._add(lines)
        self._rest = rest[: KEY_LOG_LINE + 1]  # if that much: too long, whatever follows

    def end(self) -> None:
        """End the key log: its last line may have no line end."""
        rest, self._rest = self._rest, b""
        if rest:
            self._add([rest])

    def read(self, data: bytes) -> None:
        """Take a whole key log, such as a Decryption Secrets Block."""
        rest, self._rest = self._rest, b""
        self.feed(data)
        self.end()
        self._rest = rest

    def secrets(self, label: bytes, client_random: bytes) -> list[bytes]:
        """Return the secrets of a session, in the order of the key log. ``label``: one of ``LABELS``."""
        number = _NUMBERS[label]
        return [secret for one, secret in self._sessions.get(client_random, ()) if one == number]

    def note_use(self, client_random: bytes) -> None:
        """Note that the secrets of a session open records."""
        if self._used is not None and len(self._used) < KEY_LOG_LINES:
            self._used.setdefault(client_random, 0)

    def take_used(self) -> bytes:
        """Return the lines, not returned before, of the sessions whose secrets open records. From the first call on
        it is noted which these are."""
        if self._used is None:
            self._used = {}
        lines = []
        for client_random, known in self._used.items():
            secrets = self._sessions[client_random]
            for number, secret in secrets[known:]:
                lines.append(b"%b %b %b\n" % (LABELS[number], client_random.hex().encode(), secret.hex().encode()))
            self._used[client_random] = len(secrets)
        return b"".join(lines)

    def knows(self, client_random: bytes) -> bool:
        """Return whether there is any secret of this session."""
        return client_random in self._sessions

    def _add(self, lines: Iterable[bytes]) -> None:
        for whole in lines:
            # Of a longer line only so much is known if it came in pieces.
            line = whole[: KEY_LOG_LINE + 1] if len(whole) > KEY_LOG_LINE else whole.rstrip()
            match = _line(line)
            if match is None:
                if not _ignorable(line):
                    self.lines += 1
                    self.invalid += _premaster(line) is None
                continue
            self.lines += 1
            number = _NUMBERS.get(match[1])
            if number is None:
                continue
            secret = bytes.fromhex(match[3].decode())
            if not (len(secret) == _MASTER if number == 0 else len(secret) in _HASHES):
                self.invalid += 1
                continue
            if self.lines > KEY_LOG_LINES:
                self.left_out += 1
                continue
            self._keep(bytes.fromhex(match[2].decode()), number, secret)

    def _keep(self, client_random: bytes, number: int, secret: bytes) -> None:
        known = self._sessions.get(client_random, ())
        if (number, secret) in known or sum(one == number for one, _ in known) >= SECRETS_OF_LABEL:
            return
        self._sessions[client_random] = (*known, (number, secret))
        self.version += 1
