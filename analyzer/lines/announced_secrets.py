"""Find secrets that the words around them announce: in what a server says, and in the header of a message."""

# Theory
# ------
# A server may say anything, and nearly all of it is worth showing. So here it is the other way round than for a client
# (`secret_spans`): all of the text is shown, apart from what stands after words like `password=`, `token:`, `PASS`,
# `Authorization:` or `AUTH PLAIN`, and the user information of a URL. What repeats a secret of the client is found
# elsewhere (`exchanges/secret_values.py`).
#
# Each expression takes time in proportion to the text. Most texts hold none of the words that it needs.
#
# `unknown_words` is for replies to a login that was not captured, where anything may be an echo: only words of a fixed
# vocabulary are shown.

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64

from ...dissectors.lazy_regex import LazyPattern
from ..limits import GLUED_BYTES
from .reply_words import PROMPTS, REPLY_WORDS
from .secret_nouns import MECHANISM, NOUN, PASSWORD
from .shown_text import Span, joined

__all__ = [
    "announced_secrets",
    "decoded_base64",
    "ends_in_credential",
    "is_credential",
    "may_announce",
    "secrets_in_field",
    "unknown_words",
]

_NAMED = LazyPattern(
    NOUN
    + rb"[A-Za-z0-9_-]{0,16}+[\"'\])]?(?:[ \t]++(?:is|was))?[ \t]*+(=>?|:=?|->|%3D|\+3D|>)"
    + rb"[ \t]*+[\"'<(\[]?([^ \t\r\n&;\"'<>,)]++)",
    re.IGNORECASE,
)
_SAID = LazyPattern(
    rb"(?<![A-Za-z])(?:(?i:bearer)|"
    + PASSWORD
    + rb")(?:[ \t]++(?i:is|was|for|by))?+[ \t(]++[\"'(]?([^ \t\r\n\"'<>(),;:]++)"
)
_COMMAND = LazyPattern(rb"(?<![A-Za-z0-9_])(?:PASS|APOP)[ \t]++([^\r\n>\]]++)")
_LOGIN = LazyPattern(
    rb"(?<![A-Za-z0-9])(?i:X?AUTH(?:ENTICATE)?)[ \t=]++"
    + MECHANISM
    + rb"[ \t]++([^ \t\r\n]++)|(?<![A-Za-z])LOGIN=([^ \t\r\n]++)"
)
_URL = LazyPattern(rb"://[^ \t\r\n<>\"']++")
# Of a header field: to the end of the line.
_FIELD = LazyPattern(
    rb"(?<![A-Za-z-])(?:(?:proxy-)?authorization|(?:set-)?cookie|x-(?:[a-z]{1,12}+-){0,2}+(?:token|secret|auth|key|pw))"
    rb"[ \t]*+:[ \t]*+([^\r\n]++)",
    re.IGNORECASE,
)
_FIELD_LOGIN = LazyPattern(
    rb"(?<![A-Za-z0-9-])(?:(?:AUTH(?:ENTICATE)?|PASS|APOP|LOGIN)[ \t]++|(?i:bearer|basic)[ \t]++)([^\r\n()]++)"
)
_ENCODED_WORD = LazyPattern(rb"=\?[A-Za-z0-9-]{1,40}\?[Bb]\?([A-Za-z0-9+/=]{1,200})\?=")
_ENCODED = LazyPattern(rb"(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/_-]{12,}+={0,2}+")
_MECHANISM_LIKE = LazyPattern(rb"[A-Z][A-Z0-9_-]*+")
_SURE = frozenset({b"=", b"=>", b"->", b"%3D", b"+3D", b":=", b">"})  # between a name and its value
_TOKEN = LazyPattern(rb"[^ \t\r\n]++")
_NEXT_WORDS = LazyPattern(rb"(?<![ \t])[ \t]++[^ \t\r\n]++")
_STATUS = LazyPattern(rb"[245]\.[0-9]{1,3}\.[0-9]{1,3}")
_HOST = LazyPattern(rb"(?:[a-z0-9-]{1,24}\.){1,8}[a-z]{2,12}")
_LEAST_GLUED = 8  # octets of base64 that may be a login
_SIGNS = b"\"'<>()[]{},.;:!?-*#="

# Nearly every server names the mechanisms that it offers, so AUTH counts only if more than these follows.
_OFFERED = (
    rb"(?:plain|login|(?:cram|digest)-md5|scram-sha-(?:1|256|512)(?:-plus)?|ntlm|gssapi|xoauth2?|oauthbearer|external)"
)
_AUTH = LazyPattern(rb"auth(?:enticate)?[ \t=]++" + MECHANISM + rb"[ \t]++(?!" + _OFFERED + rb"[ \t\r\n])")

# Words, in lower case: a text without them holds nothing that the expressions for it find. Most texts hold none at all.
_NOUNS = (
    *("pass", "pw", "pin", "pswd", "parola", "wort", "woord", "clave", "senha", "mdp", "contrase", "slo", "zugang"),
    *("key", "token", "secret", "cookie", "bearer", "basic", "credential", "urlauth"),
)
_LOGINS = ("auth", "login=")
_COMMANDS = ("pass", "apop")
_FIELDS = ("authorization", "cookie", "x-")
_WITH_AUTH = ("urlauth", "authorization")  # looked for only in texts with "auth"
_HINTS = (*[word for word in _NOUNS if word not in _WITH_AUTH], "apop", "login=", "x-", "://")


def may_announce(text: bytes) -> bool:
    """Whether ``text``, which a server said, may hold a secret: a quick look, for several replies at once."""
    low = text.lower()
    words = low.decode("latin-1")  # a search in str is much quicker than in bytes
    for word in _HINTS:  # any() takes twice as long
        if word in words:
            return True
    return "auth" in words and (any(word in words for word in _WITH_AUTH) or _AUTH.search(low) is not None)


def announced_secrets(text: bytes) -> tuple[Span, ...]:
    """Return the secrets in ``text``, which a server said, in order."""
    if not may_announce(text):
        return ()
    words = text.lower().decode("latin-1")

    def has(hints: tuple[str, ...]) -> bool:
        return any(hint in words for hint in hints)

    spans: list[Span] = []
    if has(_NOUNS):
        spans += _values(_NAMED, text) + _values(_SAID, text)
    if has(_LOGINS):
        spans += _values(_LOGIN, text)
    if "://" in words:
        spans += _user_information(text)
    for hints, pattern in ((_COMMANDS, _COMMAND), (_FIELDS, _FIELD)):
        if has(hints):
            spans += [found.span(1) for found in pattern.finditer(text)]
    return joined(tuple(spans)) if spans else ()


def _values(pattern: LazyPattern[bytes], text: bytes) -> list[Span]:
    """Return what stands after the words that ``pattern`` finds, with the words after it that are not known."""
    spans: list[Span] = []
    found = pattern.search(text)
    while found is not None:
        start, end = found.span(found.lastindex or 0)
        if not (pattern is _NAMED and found[1] in _SURE) and _is_harmless(text[start:end], pattern is _LOGIN):
            found = pattern.search(text, start)
            continue
        end = _end_of_value(text, end)
        spans.append((start, end))
        found = pattern.search(text, end)
    return spans


def _is_harmless(word: bytes, after_mechanism: bool) -> bool:
    """Whether a word after one that announces a secret is none: it is known, or, after a mechanism, may be another."""
    return _is_known(word) or (after_mechanism and _MECHANISM_LIKE.fullmatch(word) is not None)


def _user_information(text: bytes) -> list[Span]:
    """Return the passwords in URLs: from the colon after the user to the last at sign of the word."""
    spans: list[Span] = []
    for url in _URL.finditer(text):
        start, end = url.start() + 3, text.rfind(b"@", url.start(), url.end())
        colon = text.find(b":", start, end)
        if end > 0 and colon > 0 and end > colon + 1 and b"/" not in text[start:colon]:
            spans.append((colon + 1, end))
    return spans


def secrets_in_field(text: bytes) -> tuple[Span, ...]:
    """Return the secrets in the value of a header field, or in a header line, in order."""
    spans = list(announced_secrets(text))
    for found in _FIELD_LOGIN.finditer(text):
        if unknown_words(found[1]):
            spans.append(found.span(1))
    for found in _ENCODED_WORD.finditer(text) if b"=?" in text else ():
        if _announces(found[1]):
            spans.append(found.span(1))
    for found in _ENCODED.finditer(text):
        if is_credential(found[0]):
            spans.append(found.span())
    return joined(tuple(spans)) if spans else ()


def unknown_words(text: bytes) -> tuple[Span, ...]:
    """Return the words of ``text``, a reply without its code, that are not in the vocabulary of replies."""
    return tuple([found.span() for found in _TOKEN.finditer(text) if not _is_known(found[0])])


def _end_of_value(text: bytes, end: int) -> int:
    """Return the end of a value that ends at ``end``, or in the words after it, if these are not known."""
    for word in _NEXT_WORDS.finditer(text, end):
        if word.start() != end or _is_known(word[0]):
            break
        end = word.end()
    return end


def _is_known(word: bytes) -> bool:
    bare = word.strip(_SIGNS + b" \t")
    if not bare or bare in PROMPTS or _STATUS.fullmatch(bare):
        return True
    low = bare.lower()
    if low in REPLY_WORDS or _HOST.fullmatch(low):
        return True
    parts = re.split(rb"[-/'=:.,]", low)
    return len(parts) > 1 and all(part in REPLY_WORDS for part in parts)


def _announces(word: bytes) -> bool:
    """Whether a base64 word of a header field (RFC 2047) holds a secret."""
    return announced_secrets(decoded_base64(word)) != ()


def is_credential(word: bytes) -> bool:
    """Whether ``word`` decodes to the first message of PLAIN (RFC 4616), OAUTHBEARER (RFC 7628), XOAUTH2 or SCRAM (RFC
    5802)."""
    data = decoded_base64(word)
    if data.count(b"\0") == 2 and all(c >= 0x20 for c in data.replace(b"\0", b"")):
        return True
    return data[:3] in {b"n,,", b"y,,", b"p=t"} or data[:4] == b"n,a=" or data[:5] == b"user=" or b"auth=Bearer" in data


def ends_in_credential(text: bytes) -> bool:
    """Whether the first word of ``text`` ends in what `is_credential` finds. Its first part may be a host name, and
    these have mostly no capitals and no equals signs."""
    word = text.split(None, 1)[0][-GLUED_BYTES:] if b"A" in text or b"=" in text else b""
    return any(is_credential(word[at:]) for at in range(len(word) - _LEAST_GLUED))


def decoded_base64(word: bytes) -> bytes:
    """Return what ``word`` encodes, empty if that is nothing. Its padding may be missing, and it may be for a URL (RFC
    4648 §5)."""
    try:
        return b64decode(word + b"=" * (-len(word) % 4), altchars=b"-_" if b"-" in word or b"_" in word else None)
    except (NotBase64, ValueError):
        return b""
