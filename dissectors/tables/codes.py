"""Reply codes: the meaning of their digits, the meaning of each code, and the codes allowed for each command."""

# The codes allowed for a command are those in the RFC's own table (RFC 821 §4.3, RFC 5321 §4.3.2, with the RFCs of
# extensions), plus codes that servers commonly send for reasons of policy, and codes that are tolerated because clients
# cope with them. RFC 5321 calls its list the usual replies, not the only ones.

from __future__ import annotations

from msgspec import Struct

__all__ = [
    "ALWAYS_ALLOWED",
    "CLIENT_ACTIONS",
    "COMMAND_CODES",
    "CONTENT",
    "GREETING",
    "INSIDE_TLS",
    "KNOWN_CODES",
    "LAST_CHUNK",
    "RFC821_CODES",
    "SEVERITIES",
    "SUBJECTS",
    "UNAUTHENTICATED_EXEMPT",
    "UNKNOWN_COMMAND",
    "CommandCodes",
    "ReplyCode",
    "allowed_codes",
    "describe_code",
]

# RFC 5321 §4.2.1, first digit
SEVERITIES = {
    2: "success",
    3: "go on, more is expected",
    4: "refused for now, try again",
    5: "refused for good",
}

CLIENT_ACTIONS = {
    2: "The client goes on with its next command.",
    3: "The client sends what the command announced: the message, or the answer to a challenge.",
    4: "The client keeps the message and tries again later; the same command may succeed then.",
    5: "The client does not repeat the same command. It returns the message to its sender, or changes what it sends.",
}
"""RFC 5321 §4.2.1: what the client does then, by the first digit."""

# RFC 5321 §4.2.1, second digit; the RFC leaves 3 and 4 unspecified, and AUTH took 3 (RFC 4954 §6)
SUBJECTS = {
    0: "syntax",
    1: "information",
    2: "connection",
    3: "authentication",
    5: "mail system",
}


class ReplyCode(Struct, frozen=True):
    """A code that a specification defines. ``since``: the RFC that brought it into SMTP."""

    meaning: str
    reference: str
    since: str

    @property
    def rfc821(self) -> bool:
        """Whether RFC 821 §4.2.2 already has it."""
        return self.since == _FIRST


_FIRST = "RFC 821"
_SMTP = "RFC 5321 §4.2.3"
_AUTH = "RFC 4954 §6"
_ETRN = "RFC 1985 §5.1"

KNOWN_CODES: dict[int, ReplyCode] = {
    211: ReplyCode("status of the system, or help", _SMTP, _FIRST),
    214: ReplyCode("help for a human reader", _SMTP, _FIRST),
    220: ReplyCode("ready to serve", _SMTP, _FIRST),
    221: ReplyCode("closing the connection", _SMTP, _FIRST),
    235: ReplyCode("authenticated", _AUTH, "RFC 2554"),
    250: ReplyCode("done", _SMTP, _FIRST),
    251: ReplyCode("recipient is elsewhere, will forward", _SMTP, _FIRST),
    252: ReplyCode("cannot verify, but will try to deliver", _SMTP, "RFC 1123"),
    253: ReplyCode("messages for that host are being sent", _ETRN, "RFC 1985"),
    334: ReplyCode("SASL challenge, or waiting for a response", "RFC 4954 §4", "RFC 2554"),
    354: ReplyCode("send the message, end it with a lone dot", _SMTP, _FIRST),
    421: ReplyCode("service not available, closing the connection", _SMTP, _FIRST),
    432: ReplyCode("password has to be changed first", _AUTH, "RFC 2554"),
    450: ReplyCode("mailbox busy or held back by policy", _SMTP, _FIRST),
    451: ReplyCode("error while processing", _SMTP, _FIRST),
    452: ReplyCode("not enough storage, or too many recipients", _SMTP, _FIRST),
    453: ReplyCode("no mail is waiting", "RFC 2645 §5.2.1", "RFC 2645"),
    454: ReplyCode("TLS or authentication not available now", "RFC 3207 §4, RFC 4954 §6", "RFC 2487"),
    455: ReplyCode("parameters cannot be honoured now", _SMTP, "RFC 1869"),
    458: ReplyCode("cannot queue messages for that host", _ETRN, "RFC 1985"),
    459: ReplyCode("that host is not allowed", _ETRN, "RFC 1985"),
    500: ReplyCode("command not recognised, or line too long", _SMTP, _FIRST),
    501: ReplyCode("bad argument or parameter", _SMTP, _FIRST),
    502: ReplyCode("command not implemented", _SMTP, _FIRST),
    503: ReplyCode("commands out of order", _SMTP, _FIRST),
    504: ReplyCode("argument not implemented", _SMTP, _FIRST),
    521: ReplyCode("host takes no mail", "RFC 7504 §3", "RFC 1846"),
    523: ReplyCode("mechanism needs encryption", "RFC 5248 §2.4", "RFC 5248"),
    525: ReplyCode("account is disabled", "RFC 5248 §2.4", "RFC 5248"),
    530: ReplyCode("authentication or TLS is required first", "RFC 4954 §6, RFC 3207 §4", "RFC 2487"),
    534: ReplyCode("mechanism is too weak", _AUTH, "RFC 2554"),
    535: ReplyCode("credentials are not valid", _AUTH, "RFC 2554"),
    538: ReplyCode("mechanism needs encryption", "RFC 4954 §6", "RFC 2554"),
    550: ReplyCode("no such mailbox, no access, or refused by policy", _SMTP, _FIRST),
    551: ReplyCode("recipient is elsewhere, try there", _SMTP, _FIRST),
    552: ReplyCode("over the storage or size limit", _SMTP, _FIRST),
    553: ReplyCode("mailbox name not allowed", _SMTP, _FIRST),
    554: ReplyCode("transaction failed, or no service here", _SMTP, _FIRST),
    555: ReplyCode("parameter not recognised", _SMTP, "RFC 1869"),
    556: ReplyCode("domain takes no mail", "RFC 7504 §4", "RFC 7504"),
}

# RFC 821 §4.2.2
RFC821_CODES: frozenset[int] = frozenset(code for code, known in KNOWN_CODES.items() if known.rfc821)


class CommandCodes(Struct, frozen=True):
    """The codes allowed for a command: by RFC 821 §4.3, and by RFC 5321 §4.3.2 with the extensions. None: the RFC does
    not have the command. 421, 500 and 501 may follow every command (ALWAYS_ALLOWED); 503 is judged by the order of
    commands."""

    rfc821: frozenset[int] | None
    rfc5321: frozenset[int]


def _codes(rfc821: str | None, rfc5321: str) -> CommandCodes:
    old = None if rfc821 is None else frozenset(map(int, rfc821.split()))
    return CommandCodes(old, frozenset(map(int, rfc5321.split())))


# Names of rows that are not verbs.
GREETING = "(connection)"
CONTENT = "(content)"  # the end of mail data
LAST_CHUNK = "(last chunk)"  # BDAT with LAST
UNKNOWN_COMMAND = "(unknown)"

_MAIL = "250 552 451 452 550 553 503 455 555 450 554 530 454"  # 454: RFC 3207 §4, if TLS is required first
_RCPT = "250 251 550 551 552 553 450 451 452 503"
_CONTENT = "250 552 554 451 452 450 550 556"

COMMAND_CODES: dict[str, CommandCodes] = {
    GREETING: _codes("220 421", "220 554 421 521"),
    "HELO": _codes("250 500 501 504 421", "250 504 550 502"),
    "EHLO": _codes(None, "250 504 550 502 554"),  # 554: policy, common
    "LHLO": _codes(None, "250 504 550 502 554"),
    "MAIL": _codes("250 552 451 452 500 501 421", _MAIL),
    "SEND": _codes("250 552 451 452 500 501 502 421", _MAIL + " 502"),
    "SOML": _codes("250 552 451 452 500 501 502 421", _MAIL + " 502"),
    "SAML": _codes("250 552 451 452 500 501 502 421", _MAIL + " 502"),
    "RCPT": _codes(_RCPT + " 500 501 421", _RCPT + " 455 555 554 556 530 454"),
    "DATA": _codes("354 451 554 500 501 503 421", "354 503 554 450 550 451 452 530 454"),
    CONTENT: _codes("250 552 554 451 452", _CONTENT),
    LAST_CHUNK: _codes(None, _CONTENT + " 503"),
    "BDAT": _codes(None, _CONTENT + " 503"),
    "BURL": _codes(None, _CONTENT + " 502 503 504"),
    "RSET": _codes("250 500 501 504 421", "250"),
    "VRFY": _codes("250 251 550 551 553 500 501 502 504 421", "250 251 252 550 551 553 502 504 450 451"),
    "EXPN": _codes("250 550 500 501 502 504 421", "250 252 550 500 502 504"),
    "HELP": _codes("211 214 500 501 502 504 421", "211 214 502 504"),
    "NOOP": _codes("250 500 421", "250"),
    "QUIT": _codes("221 500", "221"),
    "TURN": _codes("250 502 500 503", "250 502"),
    "STARTTLS": _codes(None, "220 501 454 502 503 554"),
    "AUTH": _codes(None, "334 235 432 454 500 501 503 504 530 534 535 538 421"),
    "ETRN": _codes(None, "250 251 252 253 458 459 500 501 530"),
    "ATRN": _codes(None, "250 453 450 451 502 503 530"),
    UNKNOWN_COMMAND: _codes("500", "500 502 501 550"),
}

ALWAYS_ALLOWED: frozenset[int] = frozenset({421, 500, 501})

# RFC 5321 §4.3.2: the end of mail data is no command, so it has neither syntax nor order.
_AFTER_CONTENT = frozenset({421})

# RFC 3207 §4.1: inside TLS, to any command, if the server finds the security insufficient.
INSIDE_TLS: frozenset[int] = frozenset({554})

# RFC 4954 §6, RFC 3207 §4: if AUTH or STARTTLS is listed, 530 may follow every command except these.
UNAUTHENTICATED_EXEMPT: frozenset[str] = frozenset({"EHLO", "LHLO", "HELO", "NOOP", "QUIT", "RSET", "AUTH", "STARTTLS"})

# RFC 2033 §4.2: each reply after the content is for one recipient, so the codes for RCPT are allowed too.
_LMTP = {
    CONTENT: COMMAND_CODES[CONTENT].rfc5321 | COMMAND_CODES["RCPT"].rfc5321 - {503},
    LAST_CHUNK: COMMAND_CODES[LAST_CHUNK].rfc5321 | COMMAND_CODES["RCPT"].rfc5321,
}


def allowed_codes(command: str, *, rfc821: bool = False, lmtp: bool = False) -> frozenset[int] | None:
    """Return the codes allowed for ``command`` (a verb in upper case, or a row name above), with those for all.

    None if no codes are defined: for private commands, and with ``rfc821`` for commands that RFC 821 does not have.
    """
    if command.startswith("X"):
        return None
    row = COMMAND_CODES.get(command, COMMAND_CODES[UNKNOWN_COMMAND])
    codes = row.rfc821 if rfc821 else row.rfc5321
    if lmtp:
        codes = _LMTP.get(command, codes)
    return None if codes is None else codes | (_AFTER_CONTENT if command == CONTENT else ALWAYS_ALLOWED)


def describe_code(code: int) -> str:
    """Return a one-line description of a reply code: "550: refused for good, mail system: no such mailbox, ..."."""
    severity = SEVERITIES.get(code // 100)
    if severity is None or code // 10 % 10 > 5:
        return f"{code}: not an SMTP reply code (RFC 5321 §4.2)"
    subject = SUBJECTS.get(code // 10 % 10, "unspecified")
    known = KNOWN_CODES.get(code)
    if known is None:
        return f"{code}: {severity}, {subject}: not defined by any specification"
    return f"{code}: {severity}, {subject}: {known.meaning} ({known.reference})"
