"""Every fuzz target passes with its seeds and with all inputs that ever found a fault; the fuzzer is not needed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytestmark = pytest.mark.tree

HOME = Path(__file__).parents[1] / "fuzz"
if HOME.is_dir():
    from material import Material
    from mutators import FORMS, cross, form, join, mutate, split
    from seeds import seeds
    from stream_targets import segments
    from targets import TARGETS, target

    CASES = [(name, f"seed {number}", text) for name, texts in seeds().items() for number, text in enumerate(texts)]
    CASES += [(path.parent.name, path.name, path.read_bytes()) for path in sorted((HOME / "found").glob("*/*"))]
else:
    CASES, TARGETS, FORMS = [], {}, {}


@pytest.mark.parametrize(("name", "text"), [pytest.param(c[0], c[2], id=f"{c[0]}: {c[1]}") for c in CASES])
def test_a_target_passes(name: str, text: bytes) -> None:
    target(name)(text)


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_has_a_seed(name: str) -> None:
    assert any(case[0] == name for case in CASES)
    target(name)(b"")


def test_the_script_is_executable() -> None:
    assert os.access(HOME / "run", os.X_OK)


def _inputs(name: str) -> list[bytes]:
    return [text for target_name, _, text in CASES if target_name == name][:5]


@pytest.mark.parametrize("name", FORMS)
def test_split_and_join_give_the_same_input(name: str) -> None:
    shape = form(name)
    assert shape is not None
    for text in _inputs(name):
        head, records = split(text, shape)
        assert records
        assert join(head, records, 1 << 20).startswith(text)


@pytest.mark.parametrize("name", FORMS)
def test_a_mutation_has_a_limit_and_depends_only_on_its_seed(name: str) -> None:
    shape = form(name)
    assert shape is not None
    for text in (b"", b"\0", *_inputs(name)):
        for seed in range(50):
            for most in (0, 1, 30, 4096):
                assert len(mutate(text, most, seed, shape)) <= most
                assert len(cross(text, text[::-1], most, seed, shape)) <= most
            assert mutate(text, 4096, seed, shape) == mutate(text, 4096, seed, shape)
        assert len({mutate(text, 4096, seed, shape) for seed in range(50)}) > 5


@pytest.mark.parametrize("name", ["tracker", "conversation"])
def test_a_mutated_dialogue_keeps_most_of_its_records(name: str) -> None:
    shape = form(name)
    assert shape is not None
    text = _inputs(name)[0]
    original = set(split(text, shape)[1])
    kept = [original.intersection(split(mutate(text, 4096, seed, shape), shape)[1]) for seed in range(50)]
    assert sum(len(one) > len(original) / 2 for one in kept) > len(kept) / 2


def test_segments_are_late_repeated_or_lost() -> None:
    def delivered(place: int) -> list[tuple[int, bytes]]:
        first, odd, last = bytes((0, 0, 0, 0, 204)), bytes((0, 0, place, 0, 203)), bytes((0, 0, 0, 0, 202))
        material = Material(first + b"abcd" + odd + b"efg" + last + b"hi")
        return [(seq - 1000, payload) for _, seq, _, _, payload, *_ in segments(material)]

    assert delivered(0) == [(0, b"abcd"), (4, b"efg"), (7, b"hi")]
    assert delivered(242) == [(0, b"abcd"), (0, b"efg"), (4, b"hi")]
    assert delivered(246) == [(0, b"abcd"), (7, b"hi"), (4, b"efg")]
    assert delivered(250) == [(0, b"abcd"), (7, b"hi")]
