"""Key logs: what is read, what a bad line costs, and that nothing shows a secret."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smtpwire.analyzer import limits
from smtpwire.analyzer.tls import key_log
from smtpwire.analyzer.tls.key_log import LABELS, KeyLog

RANDOM, OTHER = bytes(range(32)), bytes(32)
MASTER, TRAFFIC = b"m" * 48, b"t" * 32


def line(label: bytes = b"CLIENT_RANDOM", client_random: bytes = RANDOM, secret: bytes = MASTER) -> bytes:
    return label + b" " + client_random.hex().encode() + b" " + secret.hex().encode() + b"\n"


def read(*parts: bytes) -> KeyLog:
    keys = KeyLog()
    for part in parts:
        keys.feed(part)
    keys.end()
    return keys


def test_a_secret_is_found_by_label_and_random() -> None:
    keys = read(line(), line(b"SERVER_TRAFFIC_SECRET_0", OTHER, TRAFFIC))
    assert keys.secrets(b"CLIENT_RANDOM", RANDOM) == [MASTER]
    assert keys.secrets(b"CLIENT_RANDOM", OTHER) == []
    assert keys.secrets(b"SERVER_TRAFFIC_SECRET_0", OTHER) == [TRAFFIC]
    assert (keys.lines, keys.invalid) == (2, 0)


def test_forms_that_programs_write() -> None:
    upper = line().replace(RANDOM.hex().encode(), RANDOM.hex().upper().encode())
    for written in (line()[:-1], line()[:-1] + b"\r\n", b"# a comment\n\n   \n" + line(), upper, line() + line()):
        keys = read(written)
        assert keys.secrets(b"CLIENT_RANDOM", RANDOM) == [MASTER]
        assert keys.invalid == 0


def test_a_bad_line_costs_nothing_but_itself_and_is_counted() -> None:
    bad = [
        b"CLIENT_RANDOM 00 11\n",
        b"\x00\xff\xfe binary\n",
        line(secret=b"m" * 47),
        line(b"CLIENT_TRAFFIC_SECRET_0", secret=b"t" * 31),
        line()[:-2] + b"\n",
        b"CLIENT_RANDOM  " + line()[14:],
        b"x" * 5000 + b"\n",
    ]
    keys = read(b"".join(bad) + line())
    assert keys.secrets(b"CLIENT_RANDOM", RANDOM) == [MASTER]
    assert keys.invalid == len(bad)


def test_other_labels_are_permitted() -> None:
    keys = read(line(b"EXPORTER_SECRET", secret=TRAFFIC) + line(b"SOMETHING_NEW", secret=TRAFFIC))
    assert not keys
    assert (keys.lines, keys.invalid) == (2, 0)


def test_premaster_secrets_are_valid_lines_that_are_not_used() -> None:
    log = KeyLog()
    log.read(b"RSA 0123456789abcdef %b\nPMS_CLIENT_RANDOM %b %b\n" % (b"ab" * 48, b"01" * 32, b"ab" * 48))
    assert (log.lines, log.invalid, bool(log)) == (2, 0, False)
    log.read(b"RSA 0123456789abcdef abcd\n")
    assert (log.lines, log.invalid) == (3, 1)


def test_several_secrets_for_one_purpose_are_kept_in_their_order_up_to_a_limit() -> None:
    secrets = [bytes([n]) * 48 for n in range(9)]
    keys = read(*[line(secret=secret) for secret in secrets])
    assert keys.secrets(b"CLIENT_RANDOM", RANDOM) == secrets[: key_log.SECRETS_OF_LABEL]


def test_lines_above_the_limit_are_counted(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(key_log, "KEY_LOG_LINES", 2)
    keys = read(*[line(client_random=bytes([n]) * 32) for n in range(5)])
    assert keys.left_out == 3
    assert keys.secrets(b"CLIENT_RANDOM", bytes([1]) * 32) == [MASTER]
    assert keys.secrets(b"CLIENT_RANDOM", bytes([2]) * 32) == []


def test_a_line_without_end_is_not_kept_whole() -> None:
    keys = KeyLog()
    for _ in range(100):
        keys.feed(b"x" * 10_000)
    assert len(keys._rest) <= limits.KEY_LOG_LINE + 10_001


def test_a_block_of_a_capture_does_not_disturb_a_growing_file() -> None:
    keys = KeyLog()
    keys.feed(line()[:50])
    keys.read(line(client_random=OTHER)[:-1])
    keys.feed(line()[50:])
    assert keys.secrets(b"CLIENT_RANDOM", RANDOM) == keys.secrets(b"CLIENT_RANDOM", OTHER) == [MASTER]


def test_the_version_grows_with_new_secrets_only() -> None:
    keys = read(line())
    before = keys.version
    keys.read(line())
    assert keys.version == before
    keys.read(line(client_random=OTHER))
    assert keys.version > before


def test_its_text_shows_no_secret() -> None:
    keys = read(line())
    assert MASTER.hex() not in repr(keys)
    assert repr(MASTER) not in f"{keys!r} {keys}"


@given(st.lists(st.sampled_from([line(), b"# x\n", b"bad\n", line(LABELS[1], OTHER, TRAFFIC), b"\r\n"])), st.data())
def test_pieces_change_nothing(lines: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)))))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    one, other = read(whole), read(*pieces)
    assert (one.lines, one.invalid, one.version) == (other.lines, other.invalid, other.version)
    for label in LABELS:
        assert one.secrets(label, RANDOM) == other.secrets(label, RANDOM)


@given(st.binary(max_size=2000))
def test_any_bytes_are_read_without_an_error(data: bytes) -> None:
    read(data)
