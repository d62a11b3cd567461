"""The basic rules of the SMTP grammar as regular expressions over bytes.

All other grammar modules combine these strings; none is compiled here.
"""

# Each expression stands below its ABNF, with the RFC's own name. Two differences from the RFC apply everywhere:
#
# - In text (domain, local-part, quoted-string, parameter), bytes 0x80-0xFF are allowed, as RFC 6531 §3.3 does for
#   UTF-8. Other code decides whether they were allowed in this session. A grammar that refused them would hide exactly
#   the bytes that must be shown.
# - Repetitions of one byte class are possessive (`++`). Two neighbouring classes never share a byte, so backtracking
#   can never help, and a hostile line takes time linear in its length. Repeated *groups* stay greedy, because CPython
#   before 3.11.5 lost matches in possessive groups.

from __future__ import annotations

__all__ = [
    "ADDRESS_LITERAL",
    "ATOM",
    "BASE64",
    "DATE_TIME",
    "DATE_TIME_UTC",
    "DOMAIN",
    "DOT_STRING",
    "ESMTP_KEYWORD",
    "ESMTP_PARAM",
    "EXTENDED_STATUS",
    "LOCAL_PART",
    "QUOTED_STRING",
    "REPLY_CODE",
    "XTEXT",
]

# RFC 5321 §4.1.2:  Let-dig = ALPHA / DIGIT
_LET_DIG = rb"[A-Za-z0-9\x80-\xff]"

# RFC 5321 §4.1.2:  Domain = sub-domain *("." sub-domain)
#                   sub-domain = Let-dig [Ldh-str]
#                   Ldh-str = *( ALPHA / DIGIT / "-" ) Let-dig
# Written as an equivalent single loop: runs of Let-dig with one dot or any hyphens between them.
DOMAIN = _LET_DIG + rb"++(?:(?:\.|-++)" + _LET_DIG + rb"++)*"

# RFC 5321 §4.1.3:  Snum = 1*3DIGIT            ; 0 through 255
#                   IPv4-address-literal = Snum 3("." Snum)
_SNUM = rb"(?:25[0-5]|2[0-4][0-9]|[01]?[0-9]{1,2})"
_IPV4 = _SNUM + rb"(?:\." + _SNUM + rb"){3}"

# RFC 5321 §4.1.3:  IPv6-hex = 1*4HEXDIG
_HEX = rb"[0-9A-Fa-f]{1,4}"

# RFC 5321 §4.1.3:  IPv6-addr   = IPv6-full / IPv6-comp / IPv6v4-full / IPv6v4-comp
#                   IPv6-full   = IPv6-hex 7(":" IPv6-hex)
#                   IPv6-comp   = [IPv6-hex *5(":" IPv6-hex)] "::" [IPv6-hex *5(":" IPv6-hex)]
#                                 ; at most 6 groups beside the "::"
#                   IPv6v4-full = IPv6-hex 5(":" IPv6-hex) ":" IPv4-address-literal
#                   IPv6v4-comp = [IPv6-hex *3(":" IPv6-hex)] "::" [IPv6-hex *3(":" IPv6-hex) ":"]
#                                 IPv4-address-literal    ; at most 4 groups beside the "::" and the IPv4 part
# The look-aheads express what ABNF has only in a comment: no seventh group, no fifth one before the IPv4 part.
_IPV6 = b"|".join(
    [
        _HEX + rb"(?::" + _HEX + rb"){7}",
        rb"(?!:{0,2}" + _HEX + rb"(?::{1,2}" + _HEX + rb"){6})"
        rb"(?:" + _HEX + rb"(?::" + _HEX + rb"){0,5})?::(?:" + _HEX + rb"(?::" + _HEX + rb"){0,5})?",
        rb"(?:" + _HEX + rb":){6}" + _IPV4,
        rb"(?!:{0,2}" + _HEX + rb"(?::{1,2}" + _HEX + rb"){4}:)"
        rb"(?:" + _HEX + rb"(?::" + _HEX + rb"){0,3})?::(?:" + _HEX + rb":){0,4}" + _IPV4,
    ]
)

# RFC 5321 §4.1.3:  General-address-literal = Standardized-tag ":" 1*dcontent
#                   Standardized-tag = Ldh-str
#                   dcontent = %d33-90 / %d94-126
# A tag of up to four hexadecimal digits is not a standardised tag but an IPv6 address without a tag.
_GENERAL = rb"(?!(?:[0-9A-Fa-f]{1,4}|[Ii][Pp][Vv]6):)[A-Za-z0-9-]{0,62}[A-Za-z0-9]:[!-Z^-~\x80-\xff]++"

# RFC 5321 §4.1.2:  address-literal = "[" ( IPv4-address-literal / IPv6-address-literal /
#                                           General-address-literal ) "]"
#      and §4.1.3:  IPv6-address-literal = "IPv6:" IPv6-addr
ADDRESS_LITERAL = rb"\[(?:" + _IPV4 + rb"|[Ii][Pp][Vv]6:(?:" + _IPV6 + rb")|" + _GENERAL + rb")\]"

# RFC 5321 §4.1.2:  Atom = 1*atext             ; atext: RFC 5322 §3.2.3
ATOM = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\xff-]++"

# RFC 5321 §4.1.2:  Dot-string = Atom *("." Atom)
DOT_STRING = ATOM + rb"(?:\." + ATOM + rb")*"

# RFC 5321 §4.1.2:  Quoted-string = DQUOTE *QcontentSMTP DQUOTE
#                   QcontentSMTP = qtextSMTP / quoted-pairSMTP      ; any number of either
#                   qtextSMTP = %d32-33 / %d35-91 / %d93-126
#                   quoted-pairSMTP = %d92 %d32-126
QUOTED_STRING = rb'"(?:[ !#-\[\]-~\x80-\xff]++|\\[ -~\x80-\xff])*"'

# RFC 5321 §4.1.2:  Local-part = Dot-string / Quoted-string
LOCAL_PART = rb"(?:" + DOT_STRING + rb"|" + QUOTED_STRING + rb")"

# RFC 5321 §4.1.2:  esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
#      and §4.1.1.1: ehlo-keyword, the same
ESMTP_KEYWORD = rb"[A-Za-z0-9\x80-\xff][A-Za-z0-9\x80-\xff-]*+"

# RFC 5321 §4.1.2:  esmtp-param = esmtp-keyword ["=" esmtp-value]
#                   esmtp-value = 1*(%d33-60 / %d62-126)
# RFC 1845:         TRANSID=<...>, whose value is an identifier in brackets that may hold "="
# The two forms exclude each other: a parameter that were both could be read in two ways, and a line of n in 2 to the n.
_TRANSID = rb"[Tt][Rr][Aa][Nn][Ss][Ii][Dd]=<"
ESMTP_PARAM = (
    rb"(?:" + _TRANSID + rb"[!-~\x80-\xff]*+"
    rb"|(?!" + _TRANSID + rb")" + ESMTP_KEYWORD + rb"(?:=[!-<>-~\x80-\xff]++)?)"
)

# RFC 3461 §4:      xtext = *( xchar / hexchar )
#                   xchar = any ASCII CHAR between "!" (33) and "~" (126) except "+" and "="
#                   hexchar = "+" and two upper case hexadecimal digits
XTEXT = rb"(?:[!-*,-<>-~\x80-\xff]++|\+[0-9A-F]{2})*"

# RFC 4954 §8:      base64 = base64-terminal / ( 1*(4base64-char) [base64-terminal] )
#                   base64-terminal = (2base64-char "==") / (3base64-char "=")
# (the empty string matches too; code that needs at least one byte must check that)
BASE64 = rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"

# RFC 3339 §5.6:    date-time = full-date "T" full-time, here without the fraction of a second and the offset from UTC
_DATE_TIME = (
    rb"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])[Tt]"
    rb"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)"
)

# RFC 7293 §3.1:    date-time, without a fraction of a second
DATE_TIME = _DATE_TIME + rb"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"

# RFC 4865 §3(4):   Internet-style-date-time-UTC
DATE_TIME_UTC = _DATE_TIME + rb"(?:\.[0-9]+)?[Zz]"

# RFC 5321 §4.2:    Reply-code = %x32-35 %x30-35 %x30-39
REPLY_CODE = rb"[2-5][0-5][0-9]"

# RFC 2034 §4, RFC 3463 §2:  status-code = class "." subject "." detail
#                   class = "2" / "4" / "5";  subject, detail = 1*3digit, no leading zeros
EXTENDED_STATUS = rb"[245]\.(?:0|[1-9][0-9]{0,2})\.(?:0|[1-9][0-9]{0,2})"
