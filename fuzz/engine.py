"""Run one target under atheris: ``python engine.py TARGET [options of libFuzzer] CORPUS...``."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

__all__: list[str] = []

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "tests")]
    name = sys.argv.pop(1)
    with atheris.instrument_imports(include=["smtpwire"]):
        from targets import target

        run = target(name)
        from mutators import cross, form, mutate
        from seeds import seeds

        for text in seeds()[name]:  # instruments also the modules that a target imports when it runs
            run(text)

    known = form(name)
    if known is None:
        atheris.Setup(sys.argv, run)
    else:
        shape = known

        def mutated(data: bytes, max_size: int, seed: int) -> bytes:
            """Mutate by form for odd seeds, with libFuzzer for even ones."""
            return mutate(data, max_size, seed >> 1, shape) if seed & 1 else bytes(atheris.Mutate(data, max_size))

        def crossed(data: bytes, other: bytes, max_size: int, seed: int) -> bytes:
            return cross(data, other, max_size, seed, shape)

        atheris.Setup(sys.argv, run, custom_mutator=mutated, custom_crossover=crossed)
    atheris.Fuzz()
