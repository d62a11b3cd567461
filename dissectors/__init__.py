"""The grammar of SMTP: command lines and replies as constructs and as Scapy layers, each parsed and built.

This package knows only bytes, no files, flows or findings. docs/api.md documents the names that are exported here. They
are imported when they are first used, since construct and Scapy take long to load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_exports

if TYPE_CHECKING:
    from .deviations import Deviation, DeviationKind
    from .grammar.constructs import (
        COMMAND,
        EHLO_LINE,
        FORWARD_PATH,
        MAILBOX,
        PARAMETERS,
        REPLY,
        REPLY_LINE,
        REVERSE_PATH,
        Container,
        SyntaxFault,
        build_command,
        build_reply,
    )
    from .grammar.parameters import xtext_decode, xtext_encode
    from .lines.commands import Command, parse_command
    from .lines.replies import Reply, ReplyLine, parse_reply
    from .scapy_layers.extension import bind
    from .scapy_layers.layers import SMTP, SMTPAuth, SMTPCommand, SMTPMessage, SMTPReply
    from .tables.codes import describe_code
    from .tables.enhanced_codes import describe_status
    from .tables.keywords import KEYWORDS
    from .tables.verbs import VERBS, Verb, describe_verb

__all__ = [
    "COMMAND",
    "EHLO_LINE",
    "FORWARD_PATH",
    "KEYWORDS",
    "MAILBOX",
    "PARAMETERS",
    "REPLY",
    "REPLY_LINE",
    "REVERSE_PATH",
    "SMTP",
    "VERBS",
    "Command",
    "Container",
    "Deviation",
    "DeviationKind",
    "Reply",
    "ReplyLine",
    "SMTPAuth",
    "SMTPCommand",
    "SMTPMessage",
    "SMTPReply",
    "SyntaxFault",
    "Verb",
    "bind",
    "build_command",
    "build_reply",
    "describe_code",
    "describe_status",
    "describe_verb",
    "parse_command",
    "parse_reply",
    "xtext_decode",
    "xtext_encode",
]

_CONSTRUCTS = ".grammar.constructs"
_LAYERS = ".scapy_layers.layers"
_getattr, __dir__ = lazy_exports(
    __name__,
    {
        "Deviation": ".deviations",
        "DeviationKind": ".deviations",
        "COMMAND": _CONSTRUCTS,
        "EHLO_LINE": _CONSTRUCTS,
        "FORWARD_PATH": _CONSTRUCTS,
        "MAILBOX": _CONSTRUCTS,
        "PARAMETERS": _CONSTRUCTS,
        "REPLY": _CONSTRUCTS,
        "REPLY_LINE": _CONSTRUCTS,
        "REVERSE_PATH": _CONSTRUCTS,
        "Container": _CONSTRUCTS,
        "SyntaxFault": _CONSTRUCTS,
        "build_command": _CONSTRUCTS,
        "build_reply": _CONSTRUCTS,
        "xtext_decode": ".grammar.parameters",
        "xtext_encode": ".grammar.parameters",
        "Command": ".lines.commands",
        "parse_command": ".lines.commands",
        "Reply": ".lines.replies",
        "ReplyLine": ".lines.replies",
        "parse_reply": ".lines.replies",
        "bind": ".scapy_layers.extension",
        "SMTP": _LAYERS,
        "SMTPAuth": _LAYERS,
        "SMTPCommand": _LAYERS,
        "SMTPMessage": _LAYERS,
        "SMTPReply": _LAYERS,
        "describe_code": ".tables.codes",
        "describe_status": ".tables.enhanced_codes",
        "KEYWORDS": ".tables.keywords",
        "VERBS": ".tables.verbs",
        "Verb": ".tables.verbs",
        "describe_verb": ".tables.verbs",
    },
)
if not TYPE_CHECKING:  # for type checkers the imports above are all: a misspelled name is an error
    __getattr__ = _getattr
