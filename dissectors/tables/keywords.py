"""EHLO keywords: the RFCs that define them, their parameters, and how much longer lines they allow."""

from __future__ import annotations

__all__ = [
    "BOUNDED_PARAMETERS",
    "KEYWORDS",
    "LINE_INCREMENTS",
    "MAIL_PARAMETERS",
    "PARAMETER_KEYWORDS",
    "RCPT_PARAMETERS",
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


MAIL_PARAMETERS = frozenset(
    {"AUTH", "BODY", "BY", "ENVID", "HOLDFOR", "HOLDUNTIL", "MT-PRIORITY", "REQUIRETLS", "RET", "SIZE", "SMTPUTF8"}
    | {"TRANSID"}
)
"""Parameters of MAIL that RCPT cannot have."""

RCPT_PARAMETERS = frozenset({"NOTIFY", "ORCPT", "RRVS"})
"""Parameters of RCPT that MAIL cannot have."""

BOUNDED_PARAMETERS = frozenset({"BY", "HOLDFOR", "HOLDUNTIL"})
"""Parameters for whose values the server announces a bound with the keyword (RFC 2852 §3, RFC 4865 §3)."""


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
