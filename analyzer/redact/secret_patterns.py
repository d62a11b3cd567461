"""Secrets inside one text: find where they start and end, and replace them."""

# Theory
# ------
# The content of an AUTH exchange that was recognised never enters the model. What remains are secrets in unexpected
# places: an AUTH command with a typing error, an initial response without its mechanism, the password that a client
# sends although the server has refused AUTH LOGIN, a user of POP3, IMAP or HTTP on the wrong port. There a secret is
# recognised by the words around it (AUTH, PASS, password=, Authorization:) or by its form: base64 of the
# messages of SASL PLAIN, OAUTHBEARER and SCRAM.
#
# If too much is hidden, the reader has to look into the capture. If too little is hidden, a password leaks. So in
# doubt the text is hidden, and its length is shown.

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64

from msgspec import Struct, field

from ...dissectors.lazy_regex import LazyPattern

__all__ = ["GUARD", "PASSWORD_VERBS", "PROMPTS", "VERBS", "XCLIENT_LOGIN", "SecretHider", "hidden"]

# Verbs of lines that are always commands, regardless of the lines before them.
VERBS = frozenset(
    (
        *(
            "HELO",
            "EHLO",
            "LHLO",
            "MAIL",
            "SEND",
            "SOML",
            "SAML",
            "RCPT",
            "DATA",
            "BDAT",
            "BURL",
            "RSET",
            "VRFY",
            "EXPN",
        ),
        *("HELP", "NOOP", "QUIT", "TURN", "STARTTLS", "AUTH", "ETRN", "ATRN", "XCLIENT", "XFORWARD", "XEXCH50"),
    )
)
# Commands of other protocols whose argument is a password.
PASSWORD_VERBS = frozenset(("PASS", "APOP", "LOGIN", "XAUTH", "AUTHINFO", "AUTHENTICATE"))
XCLIENT_LOGIN = LazyPattern(r"((?:^|[ \t])LOGIN=)(\S+)", re.IGNORECASE)
# Challenges without a secret: the empty one, and those of AUTH LOGIN ("Username:", "Password:", "User Name").
PROMPTS = frozenset(
    ("", "VXNlcm5hbWU6", "UGFzc3dvcmQ6", "VXNlciBOYW1lAA==", "UGFzc3dvcmQA", "VXNlcm5hbWU=", "UGFzc3dvcmQ=")
)

_ESCAPE = LazyPattern(r"\\x[0-9a-f]{2}")
_SHOWN_MARK = LazyPattern(r"\[\d+ bytes? not shown\]")

# Mechanism names of the IANA registry and of old servers. Another word after AUTH may be a response without its
# mechanism, unless all its letters have the same case: base64 and good passwords do not look like that.
_MECHANISM = LazyPattern(
    r"(?:PLAIN|LOGIN|CRAM-MD5|DIGEST-MD5|SCRAM-[A-Z0-9-]{1,16}|NTLM|MSN|GSSAPI|GSS-SPNEGO|GS2-[A-Z0-9-]{1,16}|XOAUTH2?"
    r"|OAUTHBEARER|OAUTH10A|EXTERNAL|ANONYMOUS|KERBEROS_V[45]|SKEY|OTP|SECURID|SXOVER-PLUS|EAP-AES128(?:-PLUS)?"
    r"|OPENID20|SAML20(?:EC)?|ECDSA-[A-Z0-9-]{1,16}|9798-[A-Z0-9-]{1,16}|PASSDSS-[A-Z0-9-]{1,16}|HT-[A-Z0-9-]{1,16}"
    r"|XYMCOOKIE(?:B64)?)(?![A-Z0-9+/=])",
    re.IGNORECASE,
)
_ONE_CASE = LazyPattern(r"(?:[A-Z][A-Z_-]{1,19}|[a-z][a-z_-]{1,19})(?![A-Za-z0-9+/=])")

_GAP = r"(?:[ \t:=,;\"'<(]|\\x[0-9a-f]{2})"
# AUTH and the text after it; after a host or mailbox of that name, other punctuation follows.
_AUTH = LazyPattern(rf"(?<![A-Za-z0-9-])(X?AUTH(?:ENTICATE|INFO)?)({_GAP}+)(.*)", re.IGNORECASE | re.DOTALL)
_AUTH_GLUED = LazyPattern(
    rf"(?<![A-Za-z0-9-])(AUTH)((?:PLAIN|LOGIN|CRAM-MD5|XOAUTH2|OAUTHBEARER|NTLM){_GAP}+)(.*)", re.IGNORECASE | re.DOTALL
)
# An HTTP header: the rest of the line.
_REST_OF_LINE = LazyPattern(r"((?:authorization|cookie|x-api-key|x-auth-token)[ \t]*[:=][ \t]*)(.+)", re.IGNORECASE)
# A named value: up to its end.
_NAMED = LazyPattern(
    r"((?:passw(?:or)?d|passwd|passphrase|pwd|passwort|secret|token|api_?key|urlauth|bearer|basic)"
    r"[\"']?[ \t]*[=:][ \t]*[\"']?)([^\s&;\"'<>]+)",
    re.IGNORECASE,
)
_USERINFO = LazyPattern(r"(://[^\s/@:]{0,128}:)([^\s/@]{1,256})(?=@)")
# Commands of POP3, IMAP, FTP and NNTP that contain a password, at the start of a line or after an IMAP tag.
_LOGIN = LazyPattern(r"^((?:[A-Za-z0-9.]{1,12}[ \t]+)?(?:PASS|APOP|LOGIN)[ \t]+)(.+)", re.IGNORECASE)
_ENCODED = LazyPattern(r"[A-Za-z0-9+/_-]{8,}={0,2}")
_SEPARATORS = LazyPattern(r"(?:[=:&;,\"'<>]|\\x[0-9a-f]{2})+")
_MAIL = LazyPattern(r"(?:MAIL|SEND|SAML|SOML)\b|FROM:", re.IGNORECASE)
_NOT_LETTERS = frozenset("0123456789+/=")  # of base64
_HARMLESS = frozenset(
    ("plain", "login", "basic", "bearer", "password", "passwd", "username", "token", "secret", "oauth2", "internal")
)
MIN_WORD = 5  # shorter words are part of too many other words
MAX_WORDS = 64
MAX_MARK = 64  # characters of a text that the dialogue has already replaced
# Words that occur near secrets, and what may be base64. Without a match, ``client`` finds no secret in a text.
GUARD = LazyPattern(
    r"auth|pass|pwd|secret|token|cookie|key|bearer|basic|login|://|[A-Za-z0-9+/]{16}|[A-Za-z0-9+/]{6}=", re.IGNORECASE
)


def hidden(text: str) -> str:
    """Return the replacement for ``text``: its length in bytes, counted before it was made printable."""
    count = len(_ESCAPE.sub(".", text))
    return f"[{count} {'byte' if count == 1 else 'bytes'} not shown]"


class SecretHider(Struct):
    """Hides secrets in the texts of one connection. ``words``: the hidden words, to find echoes of them."""

    words: set[str] = field(default_factory=set)

    def hide(self, text: str) -> str:
        """Hide all of ``text`` and remember its words."""
        if _SHOWN_MARK.search(text):
            return text if len(text) <= MAX_MARK else hidden(text)
        for word in text.split():
            self._remember(word)
            for part in _SEPARATORS.split(word):
                self._remember(part)
            for part in _decoded(word):
                self._remember(part)
        return hidden(text)

    def client(self, text: str) -> str:
        """Hide secrets in a client line or a quotation of one; most lines are returned unchanged."""
        if not GUARD.search(text):
            return text
        for pattern in (_AUTH, _AUTH_GLUED):
            found = pattern.search(text)
            if found and not (found[2][0] == "=" and _MAIL.match(text)):  # AUTH= is a parameter there (RFC 4954 §5)
                return self.credentials(text[: found.start()] + found[1] + found[2], found[3])
        for pattern in (_REST_OF_LINE, _NAMED, _USERINFO, _LOGIN):
            text = pattern.sub(self._second, text)
        return self.encoded(text)

    def credentials(self, before: str, text: str) -> str:
        """Return ``before``, which ends in AUTH, and ``text``, of which only a mechanism name is shown."""
        start = len(text) - len(text.lstrip(" "))
        found = _MECHANISM.match(text, start) or _ONE_CASE.match(text, start)
        end = found.end() if found else 0
        bare = text[end:].strip()
        if bare in {"", "=", "*"}:
            return before + text
        return f"{before}{text[:end]}{' ' if end else ''}{self.hide(bare)}"

    def encoded(self, text: str) -> str:
        """Hide the words of any text that decode to credentials."""
        return _ENCODED.sub(lambda found: self.hide(found[0]) if _is_credential(found[0]) else found[0], text)

    def echoed(self, text: str) -> str:
        """Hide words that look encoded in a reply to an AUTH exchange: they may be echoes."""
        return " ".join(self.hide(word) if looks_encoded(word) else word for word in text.split(" "))

    def _second(self, found: re.Match[str]) -> str:
        return found[1] + self.hide(found[2])

    def _remember(self, word: str) -> None:
        bare = word.strip("\"'<>()[]:,.;")
        if len(bare) >= MIN_WORD and len(self.words) < MAX_WORDS and bare.lower() not in _HARMLESS:
            self.words.add(bare)


def looks_encoded(word: str) -> bool:
    """Whether ``word`` may be base64 and not a natural word: it mixes both cases, or has digits or signs."""
    bare = word.strip("\"'<>()[]:,.;")
    if _ENCODED.fullmatch(bare) is None:
        return False
    return not _NOT_LETTERS.isdisjoint(bare) or bare[1:] not in {bare[1:].lower(), bare[1:].upper()}


def _is_credential(word: str) -> bool:
    """Whether it decodes to the first message of PLAIN (RFC 4616), OAUTHBEARER (RFC 7628), XOAUTH2 or SCRAM (RFC
    5802)."""
    try:
        data = b64decode(word + "=" * (-len(word) % 4), altchars=b"-_" if "-" in word or "_" in word else None)
    except NotBase64:
        return False
    if data.count(b"\0") == 2 and all(c >= 0x20 for c in data.replace(b"\0", b"")):
        return True
    return data[:3] in {b"n,,", b"y,,", b"p=t"} or data[:4] == b"n,a=" or data[:5] == b"user=" or b"auth=Bearer" in data


def _decoded(word: str) -> list[str]:
    try:
        data = b64decode(word + "=" * (-len(word) % 4), validate=True)
    except (NotBase64, ValueError):
        return []
    if data.count(b"\0") == 2:  # PLAIN: the user identities before the password are not secret (RFC 4616 §2)
        data = data.rpartition(b"\0")[2]
    parts = [part.decode("ascii", "ignore") for part in re.split(rb"[\x00-\x20\x7f-\xff]+", data)]
    return [part for part in parts if part.isprintable()]
