"""One target under atheris: ``python engine.py TARGET [options of libFuzzer] CORPUS...``."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

__all__: list[str] = []

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    with atheris.instrument_imports(include=["smtpwire"]):
        from targets import target

        run = target(sys.argv.pop(1))
    atheris.Setup(sys.argv, run)
    atheris.Fuzz()
