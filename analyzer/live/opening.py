"""What a live audit opens, in two steps: sockets with the rights of the caller, everything else without them."""

from __future__ import annotations

import secrets
import socket
from typing import TYPE_CHECKING, Protocol

from ..console import notice
from ..errors import UsageError, display_path
from .directory_source import DirectorySource
from .privileges import User, is_root, target
from .recorder import rotation
from .scapy_source import ScapySource

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..frames.inputs import Source as CaptureFile
    from ..tls.key_log import KeyLog
    from .interfaces import Interfaces, Source

__all__ = ["OpenDirectory", "OpenInterfaces", "Opening"]


class Opening(Protocol):
    """A source that is not open yet. ``who``: the user to become between the two steps (see ``privileges.become``);
    ``drops``: whether privileges are dropped at all. Both steps raise UsageError."""

    who: User | None
    drops: bool

    def sockets(self) -> None:
        """Open what needs privileges."""

    def source(self) -> Source:
        """Open the rest, without privileges."""


class OpenDirectory:
    """The directory ``path``. Files in it may be readable for root only, so without ``user`` nothing is dropped."""

    def __init__(self, path: str, user: str | None) -> None:
        self._path = path
        self.keys_of: Callable[[CaptureFile], Callable[[bytes], None]] | None = None
        self.drops = user is not None
        self.who = target(user) if user is not None else None

    def sockets(self) -> None:
        """See ``Opening``: there is none."""

    def source(self) -> Source:
        """See ``Opening``."""
        if not self.drops and is_root():
            notice("captures are read as root: name a user with fewer rights with --user")
        return DirectorySource(self._path, keys_of=self.keys_of)


class OpenInterfaces:
    """Interfaces. ``write`` and ``ring``: the file of --write and its ring, if they were given; ``jobs``: how many
    processes share the frames; ``keys``: whose secrets go into the file of --write; for the others see
    ``PacketRing``."""

    drops = True

    def __init__(
        self,
        names: Sequence[str],
        ports: frozenset[int],
        bpf: str | None,
        size: int,
        promiscuous: bool,
        user: str | None,
        write: str | None,
        ring: str | None,
        jobs: int = 1,
        keys: KeyLog | None = None,
    ) -> None:
        self._names = names
        self._keys = keys
        self._ports = ports
        self._bpf = bpf
        self._size = size
        self._promiscuous = promiscuous
        self._write = write
        self._rotation = None if ring is None else rotation(ring)
        self._jobs = jobs
        self._rings: list[Interfaces] = []
        self._slow: ScapySource | None = None
        self.who = target(user)

    def sockets(self) -> None:
        """See ``Opening``: opens the interfaces."""
        if hasattr(socket, "AF_PACKET"):
            from .interfaces import Interfaces  # noqa: PLC0415  what it imports is not on every system

            group = None if self._jobs == 1 else secrets.randbelow(1 << 16)
            for _ in range(self._jobs):
                self._rings.append(
                    Interfaces(
                        *(self._names, self._ports, self._bpf),
                        size=self._size,
                        promiscuous=self._promiscuous,
                        group=group,
                    )
                )
            return
        if self._jobs > 1:
            raise UsageError("one process on this system", f"--jobs {self._jobs}", "remove --jobs")
        if self._write is not None:
            raise UsageError(
                "frames cannot be written on this system",
                f"--write {display_path(self._write)}",
                "use tcpdump -w for that",
            )
        self._slow = ScapySource(self._names, self._ports, self._bpf, promiscuous=self._promiscuous)

    def _chosen(self) -> str:
        """Return which frames are captured, in words."""
        if self._bpf is None:
            return f"TCP ports {', '.join(map(str, sorted(self._ports)))}"
        return f"filter {display_path(self._bpf)!r}" if self._bpf else "all frames"

    def source(self) -> Source:
        """See ``Opening``: opens the file of --write."""
        if self._slow is not None:
            return self._slow
        return self.sources()[0]

    def sources(self) -> list[Interfaces]:
        """Open the rest, and return a source for each process."""
        first = self._rings[0]
        processes = f" for each of {self._jobs} processes" if self._jobs > 1 else ""
        notice(f"capturing on {first.name}, {self._chosen()}: ring of {first.size >> 20} MB{processes}")
        if self._write is not None:
            first.record_to(self._write, self._rotation, self._keys)
            if self._keys is not None:
                what = "will hold the secrets of the TLS sessions in it: who has the file can read them"
                notice(f"{display_path(self._write)} {what}")
        if self._jobs > 1:
            for one in self._rings:
                one.start()
        return self._rings
