"""Secrets inside one text: where they begin and end, and what stands there instead."""

# Theory
# ------
# The dialogue never takes the content of an AUTH exchange into the model, where it knows it for one. What is left are
# the places where nobody expects a secret: an AUTH command with a typing error, an initial response without its
# mechanism, the password that a client sends on although the server has refused AUTH LOGIN, a user of POP3, IMAP or
# HTTP on the wrong port. There the words around a secret give it away (AUTH, PASS, password=, Authorization:), or its
# form does: base64 of what SASL PLAIN, OAUTHBEARER and SCRAM send.
#
# Hiding a bit too much costs a reader a look at the capture; hiding too little costs somebody a password. So in doubt
# the text is hidden, but its length is told.

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64

from ...dissectors.lazy_regex import LazyPattern

__all__ = ["SecretHider", "hidden"]

_ESCAPE = LazyPattern(r"\\x[0-9a-f]{2}")
_SHOWN_MARK = LazyPattern(r"\[\d+ bytes? not shown\]")

# Mechanism names of the IANA registry and of old servers. Another word behind AUTH may be a response whose mechanism
# was left out, unless it is letters of one case, which base64 and good passwords are not.
_MECHANISM = LazyPattern(
    r"(?:PLAIN|LOGIN|CRAM-MD5|DIGEST-MD5|SCRAM-[A-Z0-9-]{1,16}|NTLM|MSN|GSSAPI|GSS-SPNEGO|GS2-[A-Z0-9-]{1,16}|XOAUTH2?"
    r"|OAUTHBEARER|OAUTH10A|EXTERNAL|ANONYMOUS|KERBEROS_V[45]|SKEY|OTP|SECURID|SXOVER-PLUS|EAP-AES128(?:-PLUS)?"
    r"|OPENID20|SAML20(?:EC)?|ECDSA-[A-Z0-9-]{1,16}|9798-[A-Z0-9-]{1,16}|PASSDSS-[A-Z0-9-]{1,16}|HT-[A-Z0-9-]{1,16}"
    r"|XYMCOOKIE(?:B64)?)(?![A-Z0-9+/=])",
    re.IGNORECASE,
)
_ONE_CASE = LazyPattern(r"(?:[A-Z][A-Z_-]{1,19}|[a-z][a-z_-]{1,19})(?![A-Za-z0-9+/=])")

_GAP = r"(?:[ \t:=,;\"'<(]|\\x[0-9a-f]{2})"
# AUTH and what follows it; a host or a mailbox of that name has other punctuation behind it.
_AUTH = LazyPattern(rf"(?<![A-Za-z0-9-])(X?AUTH(?:ENTICATE|INFO)?)({_GAP}+)(.*)", re.IGNORECASE | re.DOTALL)
_AUTH_GLUED = LazyPattern(
    rf"(?<![A-Za-z0-9-])(AUTH)((?:PLAIN|LOGIN|CRAM-MD5|XOAUTH2|OAUTHBEARER|NTLM){_GAP}+)(.*)", re.IGNORECASE | re.DOTALL
)
# A header of HTTP: all that follows.
_REST_OF_LINE = LazyPattern(r"((?:authorization|cookie|x-api-key|x-auth-token)[ \t]*[:=][ \t]*)(.+)", re.IGNORECASE)
# A named value: as far as it goes.
_NAMED = LazyPattern(
    r"((?:passw(?:or)?d|passwd|passphrase|pwd|passwort|secret|token|api_?key|urlauth|bearer|basic)"
    r"[\"']?[ \t]*[=:][ \t]*[\"']?)([^\s&;\"'<>]+)",
    re.IGNORECASE,
)
_USERINFO = LazyPattern(r"(://[^\s/@:]{0,128}:)([^\s/@]{1,256})(?=@)")
# Commands of POP3, IMAP, FTP and NNTP with a password in them, at the beginning of a line or behind an IMAP tag.
_LOGIN = LazyPattern(r"^((?:[A-Za-z0-9.]{1,12}[ \t]+)?(?:PASS|APOP|LOGIN)[ \t]+)(.+)", re.IGNORECASE)
_ENCODED = LazyPattern(r"[A-Za-z0-9+/_-]{8,}={0,2}")
_SEPARATORS = LazyPattern(r"(?:[=:&;,\"'<>]|\\x[0-9a-f]{2})+")
_MAIL = LazyPattern(r"(?:MAIL|SEND|SAML|SOML)\b|FROM:", re.IGNORECASE)
_HARMLESS = frozenset(
    ("plain", "login", "basic", "bearer", "password", "passwd", "username", "token", "secret", "oauth2", "internal")
)
MIN_WORD = 5  # shorter ones are in too many other words
MAX_WORDS = 64
MAX_MARK = 64  # characters of a text that the dialogue has shortened already
_GUARD = LazyPattern(
    r"auth|pass|pwd|secret|token|cookie|key|bearer|basic|login|://|[A-Za-z0-9+/]{16}|[A-Za-z0-9+/]{6}=", re.IGNORECASE
)


def hidden(text: str) -> str:
    """What stands for ``text``: its length in bytes, as they were before they were made printable."""
    count = len(_ESCAPE.sub(".", text))
    return f"[{count} {'byte' if count == 1 else 'bytes'} not shown]"


class SecretHider:
    """Hides secrets in the texts of one connection. ``words``: what was hidden, to be found where it is echoed."""

    def __init__(self) -> None:
        self.words: set[str] = set()

    def hide(self, text: str) -> str:
        """All of ``text``; remembered."""
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
        """A line of the client, or what quotes it; mostly ``text`` itself."""
        if not _GUARD.search(text):
            return text
        for pattern in (_AUTH, _AUTH_GLUED):
            found = pattern.search(text)
            if found and not (found[2][0] == "=" and _MAIL.match(text)):  # AUTH= is a parameter there (RFC 4954 §5)
                return self.credentials(text[: found.start()] + found[1] + found[2], found[3])
        for pattern in (_REST_OF_LINE, _NAMED, _USERINFO, _LOGIN):
            text = pattern.sub(self._second, text)
        return self.encoded(text)

    def credentials(self, before: str, text: str) -> str:
        """``before``, which ends in AUTH, and what follows it as far as it is shown: the mechanism, if it is one."""
        start = len(text) - len(text.lstrip(" "))
        found = _MECHANISM.match(text, start) or _ONE_CASE.match(text, start)
        end = found.end() if found else 0
        bare = text[end:].strip()
        if bare in {"", "=", "*"}:
            return before + text
        return f"{before}{text[:end]}{' ' if end else ''}{self.hide(bare)}"

    def encoded(self, text: str) -> str:
        """Any text: what decodes to credentials."""
        return _ENCODED.sub(lambda found: self.hide(found[0]) if _is_credential(found[0]) else found[0], text)

    def echoed(self, text: str) -> str:
        """A server's text that answers an AUTH exchange: words that look encoded may be echoes."""
        return " ".join(self.hide(word) if looks_encoded(word) else word for word in text.split(" "))

    def _second(self, found: re.Match[str]) -> str:
        return found[1] + self.hide(found[2])

    def _remember(self, word: str) -> None:
        bare = word.strip("\"'<>()[]:,.;")
        if len(bare) >= MIN_WORD and len(self.words) < MAX_WORDS and bare.lower() not in _HARMLESS:
            self.words.add(bare)


def looks_encoded(word: str) -> bool:
    """Whether ``word`` may be base64 rather than a word of a language: letters of both cases, digits, signs mixed."""
    bare = word.strip("\"'<>()[]:,.;")
    if _ENCODED.fullmatch(bare) is None:
        return False
    return any(c.isdigit() or c in "+/=" for c in bare) or bare[1:] not in {bare[1:].lower(), bare[1:].upper()}


def _is_credential(word: str) -> bool:
    """Whether it decodes to what PLAIN (RFC 4616), OAUTHBEARER (RFC 7628), XOAUTH2 or SCRAM (RFC 5802) send first."""
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
    if data.count(b"\0") == 2:  # PLAIN: what identifies the user is no secret (RFC 4616 §2)
        data = data.rpartition(b"\0")[2]
    parts = [part.decode("ascii", "ignore") for part in re.split(rb"[\x00-\x20\x7f-\xff]+", data)]
    return [part for part in parts if part.isprintable()]
