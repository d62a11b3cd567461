"""Hypothesis strategies for the grammar, one for each production. Values are well-formed unless the name says not."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

__all__ = [
    "address_literals",
    "command_fields",
    "dialogues",
    "domains",
    "ehlo_lines",
    "hostile_lines",
    "local_parts",
    "parameter_lists",
    "paths",
    "replies",
]

LET_DIG = b"abcxyzABCXYZ0189\xc3\xa9"
ATEXT = LET_DIG + b"!#$%&'*+-/=?^_`{|}~"
VISIBLE = bytes(range(0x21, 0x7F))


def text(alphabet: bytes, low: int = 1, high: int = 8) -> st.SearchStrategy[bytes]:
    return st.lists(st.sampled_from(alphabet), min_size=low, max_size=high).map(bytes)


def sub_domains() -> st.SearchStrategy[bytes]:
    hyphens = st.sampled_from([b"-", b"--", b""])
    return st.builds(lambda a, hyphen, b: a + hyphen + b, text(LET_DIG), hyphens, text(LET_DIG))


def domains() -> st.SearchStrategy[bytes]:
    return st.lists(sub_domains(), min_size=1, max_size=4).map(b".".join)


def address_literals() -> st.SearchStrategy[bytes]:
    # In the RFC "::" replaces at least two groups; in Python's addresses it may replace one.
    ipv6 = st.ip_addresses(v=6).map(str).filter(lambda text: "::" not in text or text.count(":") < 7)
    general = st.builds(lambda tag, content: tag + b":" + content, text(b"ghxyz", 2), text(b"ab.:!^~09"))
    return st.one_of(
        st.ip_addresses(v=4).map(lambda address: str(address).encode()),
        ipv6.map(lambda address: b"IPv6:" + address.encode()),
        ipv6.map(lambda address: b"ipv6:" + address.upper().encode()),
        general,
    ).map(lambda content: b"[" + content + b"]")


def local_parts() -> st.SearchStrategy[bytes]:
    quoted = st.lists(
        st.one_of(text(bytes(set(VISIBLE) - set(b'"\\')) + b" ", 1, 3), st.sampled_from([b'\\"', b"\\\\", b"\\ "]))
    ).map(lambda pieces: b'"' + b"".join(pieces) + b'"')
    return st.one_of(st.lists(text(ATEXT), min_size=1, max_size=3).map(b".".join), quoted)


def paths() -> st.SearchStrategy[dict[str, bytes | None]]:
    """Fields of REVERSE_PATH, except the null path."""
    route = st.none() | st.lists(domains(), min_size=1, max_size=3).map(
        lambda hops: b",".join(b"@" + hop for hop in hops)
    )
    return st.fixed_dictionaries(
        {"route": route, "local": local_parts(), "domain": st.one_of(domains(), address_literals())}
    )


def parameter_lists() -> st.SearchStrategy[list[dict[str, bytes | None]]]:
    keyword = st.builds(lambda first, rest: first + rest, text(LET_DIG, 1, 1), text(LET_DIG + b"-", 0))
    value = st.none() | text(bytes(set(VISIBLE) - set(b"=")))
    one = st.fixed_dictionaries({"keyword": keyword, "value": value})
    transid = text(bytes(VISIBLE)).map(lambda value: {"keyword": b"TRANSID", "value": b"<" + value})
    return st.lists(st.one_of(one, transid), max_size=4)


NULL_PATH: dict[str, bytes | None] = {"route": None, "local": None, "domain": None}


def command_fields() -> st.SearchStrategy[dict[str, Any]]:
    """Fields of COMMAND for every form of argument, as parsing returns them."""

    def verbs(*names: bytes) -> st.SearchStrategy[bytes]:
        return st.sampled_from([*names, *(name.lower() for name in names), *(name.title() for name in names)])

    def inner_text(alphabet: bytes) -> st.SearchStrategy[bytes]:
        return st.builds(lambda a, b: a + b, text(VISIBLE), text(alphabet)).filter(
            lambda text: text.strip(b" \t") == text
        )

    def optional(strategy: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes | None]:
        return st.none() | strategy

    any_byte = bytes(set(range(256)) - set(b"\r\n"))
    text_field = {"text": inner_text(any_byte)}
    forward = paths().map(lambda path: {**path, "postmaster": None})
    postmaster = st.sampled_from([b"Postmaster", b"POSTMASTER"]).map(lambda word: {**NULL_PATH, "postmaster": word})
    base64 = text(b"ABCabc019+/", 4, 4).map(lambda group: group * 2 + group[:2] + b"==")
    return st.one_of(
        st.fixed_dictionaries({"verb": verbs(b"DATA", b"RSET", b"QUIT", b"STARTTLS", b"TURN")}),
        st.fixed_dictionaries(
            {
                "verb": verbs(b"EHLO", b"HELO", b"LHLO"),
                "name": st.one_of(domains(), address_literals()),
                "text": optional(inner_text(any_byte)),
            }
        ),
        st.fixed_dictionaries(
            {
                "verb": verbs(b"MAIL", b"SEND", b"SOML", b"SAML"),
                "word": st.sampled_from([b"FROM:", b"from:", b"From:"]),
                "path": st.one_of(st.just(NULL_PATH), paths()),
                "parameters": parameter_lists(),
            }
        ),
        st.fixed_dictionaries(
            {
                "verb": verbs(b"RCPT"),
                "word": st.sampled_from([b"TO:", b"to:"]),
                "path": st.one_of(forward, postmaster),
                "parameters": parameter_lists(),
            }
        ),
        st.fixed_dictionaries({"verb": verbs(b"VRFY", b"EXPN", b"ETRN", b"BURL"), **text_field}),
        st.fixed_dictionaries({"verb": verbs(b"ATRN"), "text": optional(inner_text(any_byte))}),
        st.fixed_dictionaries(
            {"verb": verbs(b"NOOP", b"HELP", b"XFOO", b"XCLIENT"), "text": optional(inner_text(any_byte))}
        ),
        st.fixed_dictionaries(
            {
                "verb": verbs(b"BDAT"),
                "size": text(b"0123456789", 1, 30),
                "last": st.sampled_from([None, b"LAST", b"last"]),
            }
        ),
        st.fixed_dictionaries(
            {
                "verb": verbs(b"AUTH"),
                "mechanism": text(b"ABCXYZ019-_", 1, 20),
                "initial": st.one_of(st.none(), st.just(b"="), base64),
            }
        ),
    )


def replies() -> st.SearchStrategy[tuple[int, list[bytes]]]:
    """A valid code and the text lines of a reply."""
    code = st.builds(lambda a, b, c: 100 * a + 10 * b + c, st.integers(2, 5), st.integers(0, 5), st.integers(0, 9))
    line = text(bytes(set(range(128)) - set(b"\r\n")), 0, 20)
    status = st.sampled_from([b"", b"2.0.0 ", b"5.1.1 ", b"4.99.999 ", b"2.00.0 "])
    return st.tuples(code, st.lists(st.builds(lambda s, t: s + t, status, line), min_size=1, max_size=5))


def ehlo_lines() -> st.SearchStrategy[tuple[bytes, list[bytes]]]:
    """A keyword and its parameters."""
    keyword = st.builds(lambda first, rest: first + rest, text(b"ABCxyz019", 1, 1), text(b"ABCxyz019-", 0))
    return st.tuples(keyword, st.lists(text(VISIBLE), max_size=4))


def hostile_lines() -> st.SearchStrategy[bytes]:
    """Any bytes, and random combinations of pieces of commands and replies."""
    pieces = st.sampled_from(
        [
            *(b"MAIL", b"RCPT", b"EHLO", b"BDAT", b"AUTH", b"VRFY", b"DATA", b"X", b"FROM:", b"TO:", b"LAST", b"FOO"),
            *(b"<", b">", b"@", b":", b"=", b"+", b'"', b"\\", b"[", b"]", b"IPv6:", b"a", b"x.example", b"-", b"."),
            *(b" ", b"  ", b"\t", b"\r", b"\n", b"\r\n", b"\0", b"\xe9", b"\xef\xbb\xbf", b"SIZE=", b"BODY=8BITMIME"),
            *(b"250", b"250-", b"250 ", b"599", b"2.1.0", b"AUTH=", b"9" * 5000),
        ]
    )
    return st.one_of(st.binary(max_size=60), st.lists(pieces, max_size=14).map(b"".join))


_CLIENT_LINES = [
    *("EHLO x", "HELO x", "LHLO x", "MAIL FROM:<a@x>", "RCPT TO:<b@x>", "DATA", "BDAT 5", "BDAT 3 LAST", "BDAT x"),
    *("RSET", "NOOP", "QUIT", "AUTH LOGIN", "AUTH PLAIN AGEAYg==", "STARTTLS", "TURN", "XCLIENT NAME=x", "VRFY b"),
    *(".", "..", "", "Subject: x", "c2VjcmV0", "*", "\x16\x03\x01", "\x16", "\x80.", "\0", "\xe9", "foo bar"),
]
_SERVER_LINES = [
    *("220 mx ESMTP", "250 ok", "250-mx\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 STARTTLS", "354 go", "334 eA=="),
    *("235 ok", "221 bye", "421 out", "451 later", "500 what", "503 no", "550 no", "554 no", "220 go", "250-hangs"),
    *("hm", "", "999 odd", "\x16\x03\x03", "\x15", "250 \xe9", "25", "550-a\r\n250 b"),
]
_LINE_ENDS = ["\r\n", "\r\n", "\r\n", "\n", "\r", ""]
_MAIL_DATA_ENDS = ["\r\n.\r\n", "\n.\n", "\r\n.\n", "\n.\r\n", "\r.\r", "\r\n.\r", "\r\n", ""]


def dialogues() -> st.SearchStrategy[list[tuple[str, str]]]:
    """Scripts (see ``scripts``) in which both sides send, in any order, what they may send somewhere, whole or not;
    bytes are lost, and either side may close."""

    def entry(who: str, texts: list[str], ends: list[str]) -> st.SearchStrategy[tuple[str, str]]:
        text = st.builds(lambda a, b: a + b, st.sampled_from(texts), st.sampled_from(ends)).filter(bool)
        return st.tuples(st.just(who), text)

    def lines(*said: str) -> list[tuple[str, str]]:
        return [(line[0], line[2:] + "\r\n") for line in said]

    group = st.lists(st.sampled_from(_CLIENT_LINES), min_size=2, max_size=4)
    any_entry = st.one_of(
        entry("C", _CLIENT_LINES, _LINE_ENDS),
        group.map(lambda said: ("C", "\r\n".join([*said, ""]))),
        entry("S", _SERVER_LINES, _LINE_ENDS),
        st.tuples(st.sampled_from(["GC", "GS"]), st.integers(1, 50).map(str)),
    )
    greeting = lines("S 220 mx ESMTP", "C EHLO x", "S 250-mx\r\n250-PIPELINING\r\n250-SIZE 10\r\n250 STARTTLS")
    envelope = lines("C MAIL FROM:<a@x>", "S 250 ok", "C RCPT TO:<b@x>", "S 250 ok")
    text = st.sampled_from(_MAIL_DATA_ENDS).map(
        lambda end: [*lines("C DATA", "S 354 go"), ("C", f"Subject: x\r\n\r\nhi{end}"), *lines("S 250 ok")]
    )
    close = st.sampled_from(["FC", "FS", "RC", "RS"]).map(lambda who: [(who, "")])
    return st.builds(
        lambda *parts: [one for part in parts for one in part],
        st.sampled_from([greeting, greeting, greeting[:1], lines("C EHLO x")]),
        st.sampled_from([envelope, []]),
        text | st.just([]),
        st.lists(any_entry, max_size=15),
        close | st.just([]),
    )
