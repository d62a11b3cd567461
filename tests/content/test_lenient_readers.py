"""The end of the mail data that each kind of reader sees."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpwire.analyzer.content.lenient_readers import READERS, differs, endings

HEADER = b"Subject: x\r\n\r\n"
END = b"\r\n.\r\n"
LENIENT = {
    b"\n.\n": {"Postfix, lenient", "Zeek", "Suricata", "Snort"},
    b"\n.\r\n": {"Postfix, lenient", "Zeek", "Suricata", "Snort"},
    b"\r\n.\n": {"Postfix, lenient", "Zeek", "Suricata", "Snort"},
    b"\r\n.\r\r\n": {"Postfix, lenient", "Zeek", "Suricata", "Snort", "Arkime"},
    b"\r.\r": {"Zeek", "Suricata", "Arkime"},
    b"\r\n.\r": {"Zeek", "Suricata", "Arkime"},
    b"\r.\r\n": {"Zeek", "Suricata", "Arkime"},
    b"\r.\n": {"Zeek", "Suricata"},
    b"\n.\r": {"Zeek", "Suricata"},
    b"\r\n\0.\r\n": set(),
    b"\r\n..\r\n": set(),
}


@pytest.mark.parametrize("mark", LENIENT, ids=repr)
def test_which_readers_accept_a_look_alike_in_a_body(mark: bytes) -> None:
    content = HEADER + b"hello" + mark + b"MAIL FROM:<e@x.example>\r\nmore" + END
    real = content.index(END) + len(END)
    found = endings(content)
    assert {ending.reader for ending in found if ending.end < real} == LENIENT[mark]
    assert {ending.end for ending in found if ending.reader not in LENIENT[mark]} == {real}
    assert differs(found) == bool(LENIENT[mark])


def test_the_bytes_after_the_mark() -> None:
    content = HEADER + b"hello\n.\nMAIL FROM:<e@x.example>\r\n" + END
    postfix = endings(content)[1]
    assert postfix.mark == b".\n"
    assert content[postfix.at : postfix.end] == b".\n"
    assert content[postfix.end :].startswith(b"MAIL FROM")


def test_all_agree_on_the_real_end_and_on_an_empty_message() -> None:
    assert {ending.end for ending in endings(HEADER + b"hello" + END)} == {len(HEADER) + 5 + len(END)}
    assert {ending.end for ending in endings(b".\r\n")} == {3}


def test_no_end_is_reported_as_such() -> None:
    found = endings(HEADER + b"hello")
    assert {(ending.at, ending.end, ending.mark) for ending in found} == {(-1, -1, b"")}
    assert not differs(found)


def test_in_the_header_one_reader_ends_lines_at_lf_only() -> None:
    found = {ending.reader: ending for ending in endings(b"Subject: x\r.\rMore: y\r\n\r\nhello" + END)}
    assert found["Zeek"].at == 11
    assert found["Suricata"].at == found["strict"].at


@given(st.lists(st.sampled_from([b"\r", b"\n", b".", b"a", b"\0", b":"]), max_size=60).map(b"".join))
def test_any_bytes_give_a_result_within_the_content(content: bytes) -> None:
    found = endings(content)
    assert [ending.reader for ending in found] == [reader.name for reader in READERS]
    for ending in found:
        if ending.end >= 0:
            assert content[ending.at : ending.end] == ending.mark
            assert ending.mark.startswith(b".")
    strict, zeek = found[0], found[2]
    assert strict.end < 0 or 0 <= zeek.at <= strict.at
