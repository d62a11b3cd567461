"""Digests are those of hashlib, whatever the blocks, and whoever works them out."""

from __future__ import annotations

import hashlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpwire.analyzer import digest
from smtpwire.analyzer.digest import LARGE, MAX_WAITING, Digest

sizes = st.lists(st.sampled_from([0, 1, 100, LARGE - 1, LARGE, 3 * LARGE]), max_size=8)


@given(sizes)
def test_it_is_the_digest_of_all_blocks(lengths: list[int]) -> None:
    one, known = Digest(), hashlib.sha256()
    for number, length in enumerate(lengths):
        block = bytes([number]) * length
        one.update(block)
        known.update(block)
    assert one.hexdigest() == known.hexdigest()


def test_more_blocks_than_the_queue_holds() -> None:
    digests = [Digest() for _ in range(3)]
    for _ in range(MAX_WAITING):
        for number, one in enumerate(digests):
            one.update(bytes([number]) * LARGE)
    wanted = [hashlib.sha256(bytes([number]) * LARGE * MAX_WAITING).hexdigest() for number in range(3)]
    assert [one.hexdigest() for one in digests] == wanted


def test_it_goes_on_behind_a_digest() -> None:
    one = Digest()
    one.update(b"a" * LARGE)
    assert one.hexdigest() == hashlib.sha256(b"a" * LARGE).hexdigest()
    one.update(b"b")
    assert one.hexdigest() == hashlib.sha256(b"a" * LARGE + b"b").hexdigest()


def test_without_threads_it_is_worked_out_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(digest, "_present", None)
    monkeypatch.setattr(digest, "_impossible", False)
    monkeypatch.setattr("_thread.start_new_thread", start)
    one = Digest()
    one.update(b"a" * LARGE)
    assert one.hexdigest() == hashlib.sha256(b"a" * LARGE).hexdigest()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_process_has_a_thread_of_its_own() -> None:
    Digest().update(b"a" * LARGE)
    child = os.fork()
    if not child:
        one = Digest()
        one.update(b"b" * LARGE)
        os._exit(one.hexdigest() != hashlib.sha256(b"b" * LARGE).hexdigest())
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
