"""The table of SMTP verbs: the single list from which everything about verbs is derived."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

__all__ = ["VERBS", "Argument", "Verb", "describe_verb"]


class Argument(StrEnum):
    """The form of the argument after a verb."""

    NONE = "none"
    HELLO = "hello"  # a domain or an address literal
    REVERSE_PATH = "reverse-path"  # FROM:<...> and mail-parameters
    FORWARD_PATH = "forward-path"  # TO:<...> and rcpt-parameters
    STRING = "string"  # some text, required
    OPTIONAL = "optional"  # some text, or none
    TEXT = "text"  # free text in which blanks are significant, or none
    CHUNK = "chunk"  # chunk-size and optionally LAST
    MECHANISM = "mechanism"  # SASL mechanism and optionally an initial response


class Verb(Struct, frozen=True):
    """One verb. ``keyword``: the EHLO keyword that the server must list before the verb is used; None: not required.
    ``since``: the document that brought it into SMTP. ``syntax``: its argument, as a manual writes it. ``retired``: the
    section that discourages it; "" if none does."""

    name: str
    argument: Argument
    reference: str
    keyword: str | None
    meaning: str
    since: str = ""
    syntax: str = ""
    retired: str = ""


_TABLE = (
    Verb("HELO", Argument.HELLO, "RFC 5321 §4.1.1.1", None, "greets the server without asking for extensions"),
    Verb("EHLO", Argument.HELLO, "RFC 5321 §4.1.1.1", None, "greets the server and asks what it supports"),
    Verb("LHLO", Argument.HELLO, "RFC 2033 §4.1", None, "greets an LMTP server and asks what it supports"),
    Verb("MAIL", Argument.REVERSE_PATH, "RFC 5321 §4.1.1.2", None, "opens a transaction and names the sender"),
    Verb("SEND", Argument.REVERSE_PATH, "RFC 821 §3.4", None, "opens a delivery to a terminal"),
    Verb("SOML", Argument.REVERSE_PATH, "RFC 821 §3.4", None, "opens a delivery to a terminal, else a mailbox"),
    Verb("SAML", Argument.REVERSE_PATH, "RFC 821 §3.4", None, "opens a delivery to a terminal and a mailbox"),
    Verb("RCPT", Argument.FORWARD_PATH, "RFC 5321 §4.1.1.3", None, "adds one recipient to the transaction"),
    Verb("DATA", Argument.NONE, "RFC 5321 §4.1.1.4", None, "announces the message, which a lone dot ends"),
    Verb("BDAT", Argument.CHUNK, "RFC 3030 §2", "CHUNKING", "sends one chunk of the message, of a stated size"),
    Verb("BURL", Argument.STRING, "RFC 4468 §3", "BURL", "adds to the message what a URL points at"),
    Verb("RSET", Argument.NONE, "RFC 5321 §4.1.1.5", None, "drops the transaction"),
    Verb("VRFY", Argument.STRING, "RFC 5321 §4.1.1.6", None, "asks whether a mailbox exists"),
    Verb("EXPN", Argument.STRING, "RFC 5321 §4.1.1.7", None, "asks who is on a mailing list"),
    Verb("HELP", Argument.TEXT, "RFC 5321 §4.1.1.8", None, "asks for help"),
    Verb("NOOP", Argument.TEXT, "RFC 5321 §4.1.1.9", None, "does nothing but ask for a reply"),
    Verb("QUIT", Argument.NONE, "RFC 5321 §4.1.1.10", None, "asks the server to close the connection"),
    Verb("TURN", Argument.NONE, "RFC 821 §3.8", None, "asks to swap the roles of client and server"),
    Verb("STARTTLS", Argument.NONE, "RFC 3207 §4", "STARTTLS", "asks to continue inside TLS"),
    Verb("AUTH", Argument.MECHANISM, "RFC 4954 §4", "AUTH", "starts to authenticate the client"),
    Verb("ETRN", Argument.STRING, "RFC 1985 §5", "ETRN", "asks the server to send what it holds for a host"),
    Verb("ATRN", Argument.OPTIONAL, "RFC 2645 §5", "ATRN", "asks an authenticated server to swap roles"),
    Verb("XCLIENT", Argument.TEXT, "Postfix XCLIENT", "XCLIENT", "overrides what the server knows of the client"),
    Verb("XFORWARD", Argument.TEXT, "Postfix XFORWARD", "XFORWARD", "passes on the origin of the message"),
)

_FORMS = {  # the document that brought it into SMTP, and the argument
    "HELO": ("RFC 821", "<domain>"),
    "EHLO": ("RFC 1425", "<domain> | [<address>]"),
    "LHLO": ("RFC 2033", "<domain> | [<address>]"),
    "MAIL": ("RFC 821", "FROM:<reverse-path> [<parameter>[=<value>] ...]"),
    "SEND": ("RFC 821", "FROM:<reverse-path>"),
    "SOML": ("RFC 821", "FROM:<reverse-path>"),
    "SAML": ("RFC 821", "FROM:<reverse-path>"),
    "RCPT": ("RFC 821", "TO:<forward-path> [<parameter>[=<value>] ...]"),
    "DATA": ("RFC 821", ""),
    "BDAT": ("RFC 1830", "<octets> [LAST]"),
    "BURL": ("RFC 4468", "<imap-url> [LAST]"),
    "RSET": ("RFC 821", ""),
    "VRFY": ("RFC 821", "<user or mailbox>"),
    "EXPN": ("RFC 821", "<list>"),
    "HELP": ("RFC 821", "[<word>]"),
    "NOOP": ("RFC 821", "[<text, ignored>]"),
    "QUIT": ("RFC 821", ""),
    "TURN": ("RFC 821", ""),
    "STARTTLS": ("RFC 2487", ""),
    "AUTH": ("RFC 2554", "<mechanism> [<initial-response in base64>]"),
    "ETRN": ("RFC 1985", "[@ | #]<node>"),
    "ATRN": ("RFC 2645", "[<domain>[,<domain> ...]]"),
    "XCLIENT": ("Postfix", "<attribute>=<value> ..."),
    "XFORWARD": ("Postfix", "<attribute>=<value> ..."),
}

_SEND_FAMILY, _TURN = "RFC 5321 App. F.6", "RFC 5321 App. F.1"
_RETIRED = {"SEND": _SEND_FAMILY, "SOML": _SEND_FAMILY, "SAML": _SEND_FAMILY, "TURN": _TURN}

# Keyed by the verb in upper case, as bytes.
VERBS: dict[bytes, Verb] = {
    verb.name.encode(): replace(
        verb, since=_FORMS[verb.name][0], syntax=_FORMS[verb.name][1], retired=_RETIRED.get(verb.name, "")
    )
    for verb in _TABLE
}


def describe_verb(name: str) -> str:
    """Return a one-line description of the verb ``name`` (any case), with its RFC section."""
    verb = VERBS.get(name.upper().encode("ascii", "replace"))
    if verb is not None:
        obsolete = " (obsolete)" if verb.retired else ""
        return f"{verb.name} {verb.meaning}{obsolete} ({verb.reference})"
    if name[:1] in {"X", "x"}:
        return f"{name} is a private command (RFC 5321 §4.1.5)"
    return f"{name} is not a registered command (RFC 5321 §4.2.4)"
