"""What can be wrong with a line, as data: the kind, where it is and how long.

A deviation is a fact about bytes. Which rule it breaks, and how bad that is, is for the reader to say.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from .printable import printable

__all__ = ["Deviation", "DeviationKind", "quoted"]

MAX_QUOTED = 64  # bytes of the line that a detail repeats; the whole line is evidence anyway


class DeviationKind(StrEnum):
    """Every way in which a command or a reply departs from the grammar."""

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
    """One departure. ``at`` and ``length`` are bytes within the raw command line or reply; length 0 marks a place
    where something is missing. ``detail`` is printable text for a message."""

    kind: DeviationKind
    at: int
    length: int
    detail: str


def quoted(data: bytes) -> str:
    """``data`` as printable text for a detail, cut where it is long."""
    return printable(data) if len(data) <= MAX_QUOTED else printable(data[:MAX_QUOTED]) + "..."
