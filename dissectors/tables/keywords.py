"""EHLO keywords: the RFCs that define them, their parameters, and how much longer lines they allow."""

from __future__ import annotations

__all__ = [
    "BOUNDED_PARAMETERS",
    "KEYWORDS",
    "KEYWORD_MEANINGS",
    "LINE_INCREMENTS",
    "MAIL_PARAMETERS",
    "PARAMETER_KEYWORDS",
    "PARAMETER_MEANINGS",
    "RCPT_PARAMETERS",
    "command_of",
    "keyword_for",
]

# Registered keywords (IANA "SMTP Service Extensions" as of early 2024), old ones included, with their definitions.
KEYWORDS: dict[str, str] = {
    "8BITMIME": "RFC 6152",
    "ATRN": "RFC 2645",
    "AUTH": "RFC 4954",
    "BINARYMIME": "RFC 3030",
    "BURL": "RFC 4468",
    "CHECKPOINT": "RFC 1845",
    "CHUNKING": "RFC 3030",
    "CONNEG": "RFC 4141",
    "CONPERM": "RFC 4141",
    "DELIVERBY": "RFC 2852",
    "DSN": "RFC 3461",
    "ENHANCEDSTATUSCODES": "RFC 2034",
    "ETRN": "RFC 1985",
    "EXPN": "RFC 5321",
    "FUTURERELEASE": "RFC 4865",
    "HELP": "RFC 5321",
    "LIMITS": "RFC 9422",
    "MT-PRIORITY": "RFC 6710",
    "MTRK": "RFC 3885",
    "NO-SOLICITING": "RFC 3865",
    "ONEX": "Eric Allman (registry)",
    "PIPELINING": "RFC 2920",
    "REQUIRETLS": "RFC 8689",
    "RRVS": "RFC 7293",
    "SAML": "RFC 821",
    "SEND": "RFC 821",
    "SIZE": "RFC 1870",
    "SMTPUTF8": "RFC 6531",
    "SOML": "RFC 821",
    "STARTTLS": "RFC 3207",
    "SUBMITTER": "RFC 4405",
    "TURN": "RFC 821",
    "UTF8SMTP": "RFC 5336",
    "VERB": "Eric Allman (registry)",
}

KEYWORD_MEANINGS: dict[str, str] = {
    "8BITMIME": "takes bodies with bytes above 127",
    "ATRN": "sends the waiting mail of a domain after a login, with the roles swapped",
    "AUTH": "lets the client log in; the parameters are the mechanisms",
    "BINARYMIME": "takes bodies of any bytes, in chunks only",
    "BURL": "fetches a part of the message from a URL",
    "CHECKPOINT": "continues a message that was broken off",
    "CHUNKING": "takes the message in chunks (BDAT)",
    "CONNEG": "says which kinds of content a recipient can read",
    "CONPERM": "may be permitted to convert the content",
    "DELIVERBY": "observes a time limit for the delivery",
    "DSN": "sends delivery reports as the sender wishes",
    "ENHANCEDSTATUSCODES": "puts an enhanced status code into each reply",
    "ETRN": "starts its queue for a host on request",
    "EXPN": "expands mailing lists",
    "FUTURERELEASE": "holds a message until a later time",
    "HELP": "has help texts",
    "LIMITS": "states its limits for commands of one session",
    "MT-PRIORITY": "observes a priority of the message",
    "MTRK": "lets the sender track the message",
    "NO-SOLICITING": "does not want some kinds of advertisement",
    "ONEX": "takes the hint that only one message comes",
    "PIPELINING": "lets the client send several commands without waiting",
    "REQUIRETLS": "passes a message on through TLS only, if the sender demands it",
    "RRVS": "checks that the mailbox still has the same owner",
    "SAML": "delivers to a terminal and a mailbox",
    "SEND": "delivers to a terminal",
    "SIZE": "states the largest message that it takes, in octets",
    "SMTPUTF8": "takes addresses and header fields in UTF-8",
    "SOML": "delivers to a terminal, else to a mailbox",
    "STARTTLS": "can continue inside TLS",
    "SUBMITTER": "takes the address that is responsible for the message",
    "TURN": "swaps the roles of client and server",
    "UTF8SMTP": "old experiment with UTF-8, replaced by SMTPUTF8",
    "VERB": "shows details of its work",
}
"""What a server that lists the keyword does."""

# Parameter of MAIL or RCPT: the EHLO keyword that allows it. BODY depends on its value, see keyword_for.
PARAMETER_KEYWORDS: dict[str, str] = {
    "AUTH": "AUTH",
    "BODY": "8BITMIME",
    "BY": "DELIVERBY",
    "CONNEG": "CONNEG",
    "CONPERM": "CONPERM",
    "ENVID": "DSN",
    "HOLDFOR": "FUTURERELEASE",
    "HOLDUNTIL": "FUTURERELEASE",
    "MT-PRIORITY": "MT-PRIORITY",
    "MTRK": "MTRK",
    "NOTIFY": "DSN",
    "ORCPT": "DSN",
    "REQUIRETLS": "REQUIRETLS",
    "RET": "DSN",
    "RRVS": "RRVS",
    "SIZE": "SIZE",
    "SMTPUTF8": "SMTPUTF8",
    "SOLICIT": "NO-SOLICITING",
    "SUBMITTER": "SUBMITTER",
    "TRANSID": "CHECKPOINT",
}

PARAMETER_MEANINGS: dict[str, str] = {
    "AUTH": "who submitted the message first, in xtext, or <>",
    "BODY": "7BIT, 8BITMIME or BINARYMIME: which bytes the body has",
    "BY": "seconds until the delivery, and what to do then (N: report, R: return)",
    "CONNEG": "which kinds of content the sender can make",
    "CONPERM": "permits the server to convert the content",
    "ENVID": "an identifier of the sender, repeated in delivery reports",
    "HOLDFOR": "seconds for which the server holds the message",
    "HOLDUNTIL": "the time until which the server holds the message",
    "MT-PRIORITY": "the priority, from -9 to 9",
    "MTRK": "a certificate with which the sender tracks the message",
    "NOTIFY": "NEVER, or SUCCESS, FAILURE, DELAY: when a report is sent",
    "ORCPT": "the address as the sender wrote it first",
    "REQUIRETLS": "passes the message on through TLS only",
    "RET": "FULL or HDRS: how much of the message a report returns",
    "RRVS": "a time; the mailbox must have had one owner since then",
    "SIZE": "the size of the message in octets, perhaps estimated",
    "SMTPUTF8": "addresses or header fields may be in UTF-8",
    "SOLICIT": "which kind of advertisement the message is",
    "SUBMITTER": "the address that is responsible for the message",
    "TRANSID": "an identifier with which a broken transfer goes on",
}
"""What each parameter of MAIL or RCPT says."""


MAIL_PARAMETERS = frozenset(
    {"AUTH", "BODY", "BY", "ENVID", "HOLDFOR", "HOLDUNTIL", "MT-PRIORITY", "REQUIRETLS", "RET", "SIZE", "SMTPUTF8"}
    | {"TRANSID"}
)
"""Parameters of MAIL that RCPT cannot have."""

RCPT_PARAMETERS = frozenset({"NOTIFY", "ORCPT", "RRVS"})
"""Parameters of RCPT that MAIL cannot have."""

_COMMANDS = {"CONNEG": "RCPT", "CONPERM": "MAIL", "MTRK": "MAIL", "SOLICIT": "MAIL", "SUBMITTER": "MAIL"}

BOUNDED_PARAMETERS = frozenset({"BY", "HOLDFOR", "HOLDUNTIL"})
"""Parameters for whose values the server announces a bound with the keyword (RFC 2852 §3, RFC 4865 §3)."""


def command_of(parameter: str) -> str:
    """Return the command (MAIL or RCPT) to which an extension adds a known parameter (upper case)."""
    return _COMMANDS.get(parameter) or ("RCPT" if parameter in RCPT_PARAMETERS else "MAIL")


def keyword_for(parameter: str, value: bytes | None) -> str | None:
    """Return the EHLO keyword that a parameter (upper case) requires; None for an unknown parameter."""
    if parameter == "BODY" and value is not None and value.upper() == b"BINARYMIME":
        return "BINARYMIME"
    return PARAMETER_KEYWORDS.get(parameter)


# RFC 5321 §4.5.3.1: octets by which a listed extension lengthens the longest line (512 with CRLF) of a verb. Those of
# DSN and RRVS follow from the syntax of their parameters, the others are the numbers in the RFCs of the extensions.
LINE_INCREMENTS: dict[str, dict[str, int]] = {
    "MAIL": {
        "8BITMIME": 17,
        "AUTH": 500,
        "BINARYMIME": 16,
        "CHECKPOINT": 88,
        "DELIVERBY": 17,
        "DSN": 119,
        "FUTURERELEASE": 34,
        "MT-PRIORITY": 15,
        "MTRK": 40,
        "NO-SOLICITING": 1007,
        "REQUIRETLS": 11,
        "SIZE": 26,
        "SMTPUTF8": 10,
        "UTF8SMTP": 460,
    },
    "RCPT": {"DSN": 529, "RRVS": 32, "UTF8SMTP": 460},
    "BURL": {"BURL": 8192 - 512},
    "XCLIENT": {"XCLIENT": 2048 - 512},
    "XFORWARD": {"XFORWARD": 2048 - 512},
}
