"""The secrets of one session, and the keys that they give for each direction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .key_files import decrypts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .ciphers import Keys
    from .direction import Direction, OlderParameters, Stage
    from .key_log import KeyLog
    from .suites import Suite

__all__ = ["SessionSecrets"]

_SSL3 = 0x0300
_EARLY = b"CLIENT_EARLY_TRAFFIC_SECRET"
_HANDSHAKE = {"client": b"CLIENT_HANDSHAKE_TRAFFIC_SECRET", "server": b"SERVER_HANDSHAKE_TRAFFIC_SECRET"}
_APPLICATION = {"client": b"CLIENT_TRAFFIC_SECRET_0", "server": b"SERVER_TRAFFIC_SECRET_0"}


class SessionSecrets:
    """What the key log knows of a session. ``client_random`` and ``suite``: None until they are known. ``may_come``:
    what is missing may still come; ``version``: of the key log at the last look."""

    __slots__ = ("_decrypts", "client_random", "log", "may_come", "suite", "version")

    def __init__(self, log: KeyLog | None) -> None:
        self.log = log
        self._decrypts = decrypts()
        self.may_come = self._decrypts and log is not None and log.may_grow
        self.client_random: bytes | None = None
        self.suite: Suite | None = None
        self.version = 0

    @property
    def changed(self) -> bool:
        """Whether the key log has grown since the last look."""
        if self.log is None:
            return False
        self.log.refresh()
        return self.log.version != self.version

    def look(self) -> None:
        """Note that what the key log holds now is known. Call it before the secrets are looked up."""
        self.version = 0 if self.log is None else self.log.version

    def note_use(self) -> None:
        """Note that the secrets of this session open records."""
        if self.log is not None and self.client_random is not None and self.log.knows(self.client_random):
            self.log.note_use(self.client_random)

    def why_none(self, *, server_hello: bool) -> str:
        """Return why the session has no keys, "" if there is no key log. ``server_hello``: it was read."""
        if self.log is None:
            return ""
        if not self._decrypts:
            return "the package cryptography is missing"
        if self.client_random is None:
            return "the ClientHello is not in the capture, so no key can be found"
        if server_hello and self.suite is None:
            return "this cipher suite cannot be decrypted"
        return "the key log does not have the keys of this session"

    def possible(self, one: Direction) -> Iterator[tuple[Stage, Keys, int]]:
        """Yield the keys that may protect the next record after a loss, and their first number."""
        if one.keys is not None:
            yield one.stage, one.keys, one.keys.sequence
        for stage, keys in one.candidates:
            yield stage, keys, 0
        if one.stage == "early":
            for keys in self._traffic(_HANDSHAKE[one.side]):
                yield "handshake", keys, 0
        if one.stage in {"early", "handshake"}:
            for keys in self._traffic(_APPLICATION[one.side]):
                yield "application", keys, 0
        elif one.stage == "application" and one.keys is not None:
            yield "application", self.updated(one.keys), 0
        elif one.next is not None:
            for keys in self._older(one, one.next):
                yield "older", keys, 0

    def arm(self, one: Direction) -> bool:
        """Set the keys that may open the next records of a direction. Return whether there are some."""
        one.keys = None
        one.candidates = [*self.candidates(one)]
        return bool(one.candidates)

    def candidates(self, one: Direction) -> Iterator[tuple[Stage, Keys]]:
        """Yield the keys that may open the first record of the stage of ``one``."""
        if one.stage == "early":
            for keys in self._traffic(_EARLY):
                yield "early", keys
        elif one.stage == "handshake":
            found = self._traffic(_HANDSHAKE[one.side])
            for keys in found:
                yield "handshake", keys
            for keys in () if found or self.may_come else self._traffic(_APPLICATION[one.side]):
                one.skipping = True  # the handshake, which cannot be read
                yield "application", keys
        elif one.stage == "application":
            for keys in self._traffic(_APPLICATION[one.side]):
                yield "application", keys
        elif one.stage == "older" and one.next is not None:
            for keys in self._older(one, one.next):
                yield "older", keys

    def _traffic(self, label: bytes) -> list[Keys]:
        """Return the keys of TLS 1.3 that the secrets with this label give."""
        if not self._decrypts or self.log is None or self.client_random is None or self.suite is None:
            return []
        secrets = self.log.secrets(label, self.client_random)
        if not secrets:
            return []
        from .ciphers import traffic_keys  # noqa: PLC0415  only if there are keys

        made = [traffic_keys(self.suite, secret) for secret in secrets]
        return [keys for keys in made if keys is not None]

    def updated(self, keys: Keys) -> Keys:
        """Return the keys after a KeyUpdate (RFC 8446 §7.2)."""
        from .ciphers import traffic_keys, updated_secret  # noqa: PLC0415

        assert self.suite is not None
        made = traffic_keys(self.suite, updated_secret(self.suite, keys))
        assert made is not None
        return made

    def _older(self, one: Direction, older: OlderParameters) -> list[Keys]:
        """Return the keys before TLS 1.3 that the master secrets in the key log give."""
        if not self._decrypts or self.log is None or older.suite is None or older.version <= _SSL3:
            return []
        secrets = self.log.secrets(b"CLIENT_RANDOM", older.client_random)
        if not secrets:
            return []
        from .ciphers import older_keys  # noqa: PLC0415

        which = 0 if one.side == "client" else 1
        return [
            older_keys(
                older.suite,
                older.version,
                master,
                older.client_random,
                older.server_random,
                encrypt_then_mac=older.encrypt_then_mac,
            )[which]
            for master in secrets
        ]
