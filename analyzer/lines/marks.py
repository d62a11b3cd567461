"""Facts about a line or an exchange that decide which rules it concerns."""

from __future__ import annotations

from enum import IntFlag

__all__ = ["Mark"]


class Mark(IntFlag):
    """Facts about an exchange that rules need. For clean traffic no bit is set.

    An exchange holds its marks as a plain number, and the operators are those of numbers: the operators of IntFlag are
    Python functions, which take longer than most rules. ``Mark(number)`` shows the names of its bits.
    """

    __and__ = __rand__ = int.__and__  # type: ignore[assignment]
    __or__ = __ror__ = int.__or__  # type: ignore[assignment]
    __invert__ = int.__invert__  # type: ignore[assignment]

    EIGHT_BIT = 1 << 0  # a byte above 127 in the client's line
    NUL = 1 << 1  # a NUL in the client's line
    BARE_LF = 1 << 2  # LF without CR in the client's line or at its end
    BARE_CR = 1 << 3  # CR without LF in the client's line
    DEVIATION = 1 << 4  # the dissector found the client's line malformed
    REPLY_EIGHT_BIT = 1 << 5
    REPLY_DEVIATION = 1 << 6
    CLIENT_ORDER = 1 << 7  # out of order, as far as the client could know
    SERVER_ORDER = 1 << 8  # out of order in the state in which the server answered
    REFUSED_503 = 1 << 9  # the reply is 503
    HONOURED = 1 << 10  # the server took a bare CR or LF for the end of the line
    EMPTY_TRANSACTION = 1 << 11  # mail data accepted without an accepted recipient
    TEXT_AS_COMMANDS = 1 << 12  # on the first line of mail data that was sent although DATA was refused
    SKIPPED = 1 << 13  # a line of mail data in a place for commands: not a command
    CONTENT_UTF8 = 1 << 14  # on the end of mail data: the header is not ASCII, and SMTPUTF8 declares it as UTF-8
    NOT_OFFERED = 1 << 15  # a command, mechanism or parameter that the server's EHLO reply does not list
    HASTY = 1 << 16  # sent before a reply that the client must wait for (RFC 5321 §4.3.1, RFC 2920 §3.1)
    HASTY_TEXT = 1 << 17  # on DATA: mail data was sent before the reply to it
    AFTER_STARTTLS = 1 << 18  # in one group with STARTTLS: text injected or to be injected, and STARTTLS itself
    OVER_SIZE = 1 << 19  # more octets declared or sent than the server's SIZE allows
    OVER_LIMIT = 1 << 20  # more MAIL or RCPT commands than the server's LIMITS allow
    OVER_DOMAINS = 1 << 21  # more recipient domains than the server's LIMITS allow
    REQUIRETLS_CLEAR = 1 << 22  # REQUIRETLS requested outside TLS
    INCONSISTENT_OFFER = 1 << 23  # an EHLO reply lists keywords that must not occur together, or not in this place
    NOT_IMPLEMENTED = 1 << 24  # the reply is 500 or 502
    RECIPIENT_LIMIT = 1 << 25  # RCPT was refused as one recipient too many
    SOURCE_ROUTE = 1 << 26  # something like a source route in MAIL or RCPT
    OBSOLETE = 1 << 27  # SEND, SOML or SAML
    LONG_LINE = 1 << 28  # the client's line is longer than its limit
    LONG_PATH = 1 << 29  # the path or name may be longer than its limit
    LONG_REPLY = 1 << 30  # the reply is longer than one reply line may be
    INJECTED = 1 << 31  # on a STARTTLS after which plain text was sent before the reply
    NO_TLS = 1 << 32  # plain text of the client where the TLS handshake was expected
    AFTER_220 = 1 << 33  # plain text of the server after its 220 to STARTTLS
    INSIDE_FIRST = 1 << 34  # a reply inside TLS before any command there, after commands were injected
    EXPOSED = 1 << 35  # MAIL or AUTH in the clear although STARTTLS is listed
    CLEAR_PASSWORD = 1 << 36  # an AUTH line outside TLS that carries a password or token as it is
    CLEAR_OFFER = 1 << 37  # an EHLO reply outside TLS that offers PLAIN or LOGIN
    FOREIGN = 1 << 38  # the client speaks another protocol
    HIDDEN_COMMAND = 1 << 39  # a verb after a bare CR or LF of the line
    EARLY = 1 << 40  # sent before the greeting
    HARVEST = 1 << 41  # the probe at which the count means a search for addresses
    ROUTED_RECIPIENT = 1 << 42  # a recipient that may be in a form for relaying
    HUGE_CHUNK = 1 << 43  # a BDAT size that overflows 32 bits
    FLOOD = 1 << 44  # sent when too many commands were in flight
    BEYOND_END = 1 << 45  # a reply to data after a look-alike of the end of data
    MASKED = 1 << 46  # an EHLO reply with a keyword that looks like STARTTLS overwritten
    ENDLESS = 1 << 47  # a command line without an end
    LF_INSIDE = 1 << 48  # LF without CR in the client's line, before its end: what follows may be another command
    UNANSWERED = 1 << 49  # the first command that the server received but did not answer before it closed
    AFTER_421 = 1 << 50  # answered after the server announced that it closes
    ODD_STATUS = 1 << 51  # the promised enhanced status code may be missing or wrong
    EXPLAINED = 1 << 52  # a reply without a command, for which there is an explanation
    TEXT_AFTER_END = 1 << 53  # on the first line of text after a lone dot that ended the message
    WRONG_SIZE = 1 << 54  # a BDAT that declares another size than its chunk has
    AFTER_WRONG_SIZE = 1 << 55  # the server read this command in another way: a chunk had the wrong size
    RECIPIENT_REPLIES = 1 << 56  # LMTP: not one reply for each recipient after the message
    PROXIED = 1 << 57  # a PROXY header, an event
    PROXY_REFUSED = 1 << 58  # the first reply of a server that took the PROXY header for commands
    TLS_BROKEN = 1 << 59  # an event: one side broke off the TLS handshake
    OLD_TLS = 1 << 60  # an event: the server chose an obsolete version of TLS
    CLEAR_TO_TLS = 1 << 61  # an event: the client's first bytes are plain text on the port of implicit TLS
    UNQUALIFIED = 1 << 62  # the name in a hello, or the domain of a path, is not fully qualified
    SERVERS_NAME = 1 << 63  # on a hello: the client gave the name that the server's greeting gives
    ASKS_MAILBOX = 1 << 64  # VRFY or EXPN
    ODD_RESPONSE = 1 << 65  # AUTH is cancelled, or has an initial response where the server speaks first
    MISPLACED = 1 << 66  # MAIL with a parameter of RCPT, or RCPT with one of MAIL
    BOUNDED = 1 << 67  # a parameter for whose value servers announce a bound
    POSTMASTER = 1 << 68  # RCPT with the local-part postmaster
    SPLIT_RESPONSE = 1 << 69  # the rest of an initial response of AUTH, sent as a line of its own
    BAD_PLAIN = 1 << 70  # a response of AUTH PLAIN that does not have the parts that it must have
    LMTP_SERVER = 1 << 71  # on an accepted hello: LMTP on the port of SMTP, or a hello of SMTP to an LMTP server
    KNOWN_POSTMASTER = 1 << 72  # RCPT to the postmaster of a domain that the server accepts mail for was refused
    CLEAR_GREETING = 1 << 73  # a greeting in plain text on a port where TLS comes first
    TLS_CHOSEN = 1 << 74  # an event: the server chose version, suite and compression of TLS
    TLS_PRESENTED = 1 << 75  # an event: no more of the TLS handshake will be seen
