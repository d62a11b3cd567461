"""Find secrets that the words around them announce: in what a server says, and in the header of a message."""

# Theory
# ------
# A server may say anything, and nearly all of it is worth showing. So here it is the other way round than for a client
# (`secret_spans`): all of the text is shown, apart from what stands after words like `password=`, `token:`, `PASS`,
# `Authorization:` or `AUTH PLAIN`, and the user information of a URL. What repeats a secret of the client is found
# elsewhere (`exchanges/secret_values.py`).
#
# Each expression takes time in proportion to the text. Most texts hold none of the words in `_HINTS`: they cost one
# pass each, in C.
#
# `unknown_words` is for replies to a login that was not captured, where anything may be an echo: only words of a fixed
# vocabulary are shown.

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64

from ...dissectors.lazy_regex import LazyPattern
from .reply_words import PROMPTS, REPLY_WORDS
from .shown_text import Span, joined

__all__ = ["announced_secrets", "is_credential", "secrets_in_field", "unknown_words"]

# In lower case. One of them is in every text in which an expression below matches.
_HINTS = (b"pass", b"pw", b"secret", b"token", b"key", b"auth", b"bearer", b"basic", b"://", b"pin", b"cookie")

_NAMED = LazyPattern(
    rb"(?:passw(?:or)?[dt]e?|passwort|passphrase|pass|pwd|(?<![A-Za-z])p(?:w|in)|secret|token|key|urlauth|bearer|basic)"
    rb"[\"']?[=:][\"']?([^\s&;\"'<>]++)",
    re.IGNORECASE,
)
_COMMAND = LazyPattern(rb"(?<![^ :'\"\r\n(-])PASS[ \t]++([^\r\n]++)")
_LOGIN = LazyPattern(
    rb"(?<![A-Za-z0-9])AUTH[ \t=]++(?i:PLAIN|LOGIN|CRAM-MD5|XOAUTH2|OAUTHBEARER|NTLM)[ \t]++([^ \t\r\n]++)"
)
_USER_INFORMATION = LazyPattern(rb"://[^\s/@:]{0,128}+:([^\s/@]{1,256}+)@")
# Of a header field, or of a line that is no command: to the end of the line.
_FIELD = LazyPattern(
    rb"(?:authorization|cookie|x-api-key|x-auth-token|passw(?:or)?d|passwort|passphrase)"
    rb"\"?[ \t]*+[:=][ \t]*+([^\r\n]++)",
    re.IGNORECASE,
)
_FIELD_LOGIN = LazyPattern(rb"(?<![A-Za-z0-9-])(?:AUTH(?:ENTICATE)?|PASS|APOP|LOGIN)[ \t]++([^\r\n]++)")
_ENCODED = LazyPattern(rb"(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/_-]{12,}+={0,2}+")
_NOT_LETTERS = LazyPattern(rb"[0-9+/=!#%]")
_TOKEN = LazyPattern(rb"[^ \t\r\n]++")
_NEXT_WORDS = LazyPattern(rb"(?<![ \t])[ \t]++[^ \t\r\n]++")
_STATUS = LazyPattern(rb"[245]\.[0-9]{1,3}\.[0-9]{1,3}")
_HOST = LazyPattern(rb"(?:[a-z0-9-]{1,24}\.){1,8}[a-z]{2,12}")
_SIGNS = b"\"'<>()[]{},.;:!?-*#="


def announced_secrets(text: bytes) -> tuple[Span, ...]:
    """Return the secrets in ``text``, which a server said, in order."""
    low = text.lower()
    for hint in _HINTS:
        if hint in low:
            break
    else:
        return ()
    spans = [found.span(1) for pattern in (_COMMAND, _USER_INFORMATION) for found in pattern.finditer(text)]
    found = _NAMED.search(text)
    while found is not None:
        end = _end_of_value(text, found.end())
        spans.append((found.start(1), end))
        found = _NAMED.search(text, end)
    if b"auth" in low:
        spans += [found.span(1) for found in _LOGIN.finditer(text) if _looks_encoded(found[1])]
    return joined(tuple(spans)) if spans else ()


def secrets_in_field(text: bytes) -> tuple[Span, ...]:
    """Return the secrets in the value of a header field, or in a header line, in order."""
    spans = list(announced_secrets(text))
    low = text.lower()
    if b"auth" in low or b"pass" in low or b"cookie" in low or b"key" in low or b"login" in low or b"apop" in low:
        spans += [found.span(1) for pattern in (_FIELD, _FIELD_LOGIN) for found in pattern.finditer(text)]
    spans += [found.span() for found in _ENCODED.finditer(text) if is_credential(found[0])]
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


def _looks_encoded(word: bytes) -> bool:
    """Whether ``word`` is no word of a language: it has digits or signs, or mixes both cases."""
    bare = word.strip(_SIGNS)
    if _NOT_LETTERS.search(bare):
        return len(bare) > 3
    return len(bare) >= 8 and bare[1:] not in {bare[1:].lower(), bare[1:].upper()}


def is_credential(word: bytes) -> bool:
    """Whether ``word`` decodes to the first message of PLAIN (RFC 4616), OAUTHBEARER (RFC 7628), XOAUTH2 or SCRAM (RFC
    5802)."""
    try:
        data = b64decode(word + b"=" * (-len(word) % 4), altchars=b"-_" if b"-" in word or b"_" in word else None)
    except (NotBase64, ValueError):
        return False
    if data.count(b"\0") == 2 and all(c >= 0x20 for c in data.replace(b"\0", b"")):
        return True
    return data[:3] in {b"n,,", b"y,,", b"p=t"} or data[:4] == b"n,a=" or data[:5] == b"user=" or b"auth=Bearer" in data
