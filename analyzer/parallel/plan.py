"""What a run and its repetition must have in common: the spool, and the numbers by which work is divided."""

from __future__ import annotations

from hashlib import sha256
from secrets import token_bytes
from typing import TYPE_CHECKING, Any

from msgspec import DecodeError, Struct, json

from ..._version import __version__
from ..errors import UsageError
from ..findings.baseline import Baseline
from ..rules import RULES
from .pieces import share_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..audit import Options
    from ..files.storage import Storage
    from ..frames.inputs import Source

__all__ = ["Plan"]

_NAME = "plan"
_PARTITIONS = 2  # for each worker, so that all are busy to the end


class Plan(Struct):
    """``partitions`` of the connections; ``share``: bytes of the captures for one task; ``key``: of pseudonyms;
    ``digest``: of the inputs and the options."""

    partitions: int = 1
    share: int = 0
    key: bytes = b""
    digest: str = ""

    @classmethod
    def of(cls, options: Options, sources: Sequence[Source], workers: int, spool: Storage, *, resume: bool) -> Plan:
        """Return the plan of a new run in ``spool``, or of the one that began there. Raises UsageError if the spool
        holds another run, or cannot be written."""
        digest = _digest(options, sources)
        try:
            spool.prepare()
            if spool.has(_NAME):
                known = cls._read(spool)
                if known is not None and resume and known.digest == digest:
                    return known
                why = "holds another run" if resume else "holds a run that began earlier"
                hint = "name another folder with --spool" + ("" if resume else ", or add --resume")
                raise UsageError(f"the spool {why}", spool.name, hint)
            plan = cls(_PARTITIONS * workers, share_of(sources, workers), token_bytes(32), digest)
            with spool.write(_NAME) as stream:
                stream.write(json.encode(plan))
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise UsageError(
                f"the spool cannot be used: {why}", spool.name, "name another folder with --spool"
            ) from None
        return plan

    @classmethod
    def _read(cls, spool: Storage) -> Plan | None:
        try:
            return json.decode(spool.read(_NAME, 0, spool.size(_NAME)), type=cls)
        except DecodeError:
            return None


def _digest(options: Options, sources: Sequence[Source]) -> str:
    """Return what identifies a run: the program, its options, and its inputs with their sizes and times."""
    found = sha256(repr((__version__, sorted(RULES), _plain(options))).encode("utf-8", "surrogatepass"))
    for source in sources:
        found.update(f"\0{source.name}\0{source.state()}".encode("utf-8", "surrogatepass"))
    return found.hexdigest()


def _plain(value: Any) -> Any:
    """Return ``value`` in a form whose text is the same in every process: sets have no order."""
    if isinstance(value, set | frozenset):
        return sorted(map(repr, map(_plain, value)))
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if isinstance(value, Struct):
        return [(name, _plain(getattr(value, name))) for name in value.__struct_fields__]
    if isinstance(value, dict):
        return sorted((repr(key), repr(_plain(one))) for key, one in value.items())
    return _plain(vars(value)) if isinstance(value, Baseline) else repr(value)
