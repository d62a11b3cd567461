"""Where the RFCs define commands and parameters of extensions: the sections that a message cites."""

from __future__ import annotations

__all__ = ["COMMAND_SECTIONS", "PARAMETER_SECTIONS", "VALUE_SECTIONS", "extension_sections"]

COMMAND_SECTIONS: dict[str, str] = {
    "STARTTLS": "RFC 3207 §3",
    "AUTH": "RFC 4954 §3",
    "BDAT": "RFC 3030 §2",
    "BURL": "RFC 4468 §3",
    "ETRN": "RFC 1985 §2",
    "ATRN": "RFC 2645 §5",
}
"""For each command of an extension, the section that says when a client may send it."""

PARAMETER_SECTIONS: dict[str, str] = {
    "AUTH": "RFC 4954 §3(5), §5",
    "BODY": "RFC 6152 §2",
    "BY": "RFC 2852 §4",
    "ENVID": "RFC 3461 §4",
    "HOLDFOR": "RFC 4865 §3(4)",
    "HOLDUNTIL": "RFC 4865 §3(4)",
    "MT-PRIORITY": "RFC 6710 §3(5)",
    "NOTIFY": "RFC 3461 §4",
    "ORCPT": "RFC 3461 §4",
    "REQUIRETLS": "RFC 8689 §2",
    "RET": "RFC 3461 §4",
    "RRVS": "RFC 7293 §3.1",
    "SIZE": "RFC 1870 §3",
    "SMTPUTF8": "RFC 6531 §3.1(4)",
    "TRANSID": "RFC 1845 §2",
}
"""For each parameter, the section that adds it to MAIL or to RCPT."""

VALUE_SECTIONS: dict[str, str] = {
    **PARAMETER_SECTIONS,
    "AUTH": "RFC 4954 §5",
    "MT-PRIORITY": "RFC 6710 §3(5), §7",
    "SMTPUTF8": "RFC 6531 §3.4",
}
"""For each parameter, the section that defines its values."""


def extension_sections(parameters: list[str]) -> str:
    """Return the sections that define ``parameters``, each once."""
    return "; ".join(dict.fromkeys(PARAMETER_SECTIONS[name] for name in parameters if name in PARAMETER_SECTIONS))
