"""The target of what is written to files: stores, folders, extracted messages, copies of captures, baselines."""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path

from audit_targets import HEADS
from capture_targets import memory
from material import Material
from written import STYLES, written

from smtpwire.analyzer.commands.registry import smtpwire as command_line
from smtpwire.analyzer.errors import is_visible
from smtpwire.analyzer.reports.formats import FORMATS

__all__ = ["files"]

_COMMANDS = (
    ("extract", "{path}", "-o", "{to}/mail", "--no-config"),
    ("annotate", "{path}", "-o", "{to}/a.pcapng", "--no-config"),
    ("baseline", "write", "{to}/b.json", "{path}", "--no-config"),
    ("show", "{path}", "--end-of-data", "--all", "--no-config"),
)


def files(data: bytes) -> None:
    """Each writer of files ends without an exception of its own; names of files have no invisible character."""
    take = Material(data)
    which = take.number()
    content = take.choice(HEADS) + take.rest()
    with tempfile.TemporaryDirectory(dir=memory()) as folder:
        path, to = Path(folder, "x.pcap"), Path(folder, "to")
        path.write_bytes(content)
        to.mkdir()
        with (
            contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO(), "utf-8")),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            for form, style in STYLES if which & 1 else ():
                if FORMATS[form].stream is None:
                    written(path, form, to, style=style)
            for words in _COMMANDS:
                argv = [word.format(path=path, to=to) for word in words]
                with contextlib.suppress(SystemExit):
                    command_line.main(argv, standalone_mode=False)
        names = [str(one.relative_to(to)) for one in to.rglob("*")]
        assert all(map(is_visible, names)), names
