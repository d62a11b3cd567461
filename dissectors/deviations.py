"""Deviations of a line from the grammar, as data: the kind, the place and the length.

A deviation is a fact about bytes. Which rule it violates, and how serious that is, other code decides.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from .printable import printable

__all__ = ["Deviation", "DeviationKind", "quoted"]

MAX_QUOTED = 64  # bytes of the line that a detail quotes; the report has the whole line as evidence


class DeviationKind(StrEnum):
    """Every kind of deviation of a command or a reply from the grammar."""

    # Commands
    UNKNOWN_VERB = "unknown-verb"
    BAD_HELLO_ARGUMENT = "bad-hello-argument"
    MALFORMED_PATH = "malformed-path"
    SPACE_AROUND_COLON = "space-around-colon"
    NULL_RECIPIENT = "null-recipient"
    BAD_PARAMETER_SYNTAX = "bad-parameter-syntax"
    BAD_PARAMETER_VALUE = "bad-parameter-value"
    DUPLICATE_PARAMETER = "duplicate-parameter"
    ARGUMENT_NOT_ALLOWED = "argument-not-allowed"
    ARGUMENT_MISSING = "argument-missing"
    BAD_BDAT_SYNTAX = "bad-bdat-syntax"
    BAD_AUTH_ENCODING = "bad-auth-encoding"
    STRAY_WHITESPACE = "stray-whitespace"
    BAD_ADDRESS_LITERAL = "bad-address-literal"
    EMPTY_COMMAND = "empty-command"
    BOM_BEFORE_COMMAND = "bom-before-command"

    # Replies
    MALFORMED_LINE = "malformed-line"
    CODE_OUT_OF_RANGE = "code-out-of-range"
    CODE_MISMATCH = "code-mismatch"
    BARE_CODE = "bare-code"
    BARE_NEWLINE = "bare-newline"
    EIGHT_BIT = "eight-bit"


class Deviation(Struct, frozen=True):
    """One deviation. ``at`` and ``length``: bytes within the raw command line or reply; length 0 marks the place where
    something is missing. ``detail``: printable text for a message."""

    kind: DeviationKind
    at: int
    length: int
    detail: str


def quoted(data: bytes) -> str:
    """Return ``data`` as printable text for a detail, shortened if it is long."""
    return printable(data) if len(data) <= MAX_QUOTED else printable(data[:MAX_QUOTED]) + "..."
