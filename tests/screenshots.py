"""The pictures in docs/images, created again: ``./dev screenshots``. Needs chromium and chromedriver."""

# Everything shown is real: the page is that of `smtpwire demo`, in the browser of the tests; the terminal is the output
# of the command itself, with its colours, drawn as SVG by Rich.

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from browser import Browser, available
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
COLUMNS = 96
# Rich loads the font from a network; a picture in a README must not do that, and would not be allowed to.
WEB_FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def smtpwire(*arguments: str) -> str:
    """Return the output of the command, with colours."""
    environment = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(COLUMNS), "PYTHONIOENCODING": "utf-8"}
    environment.pop("NO_COLOR", None)
    command = [sys.executable, "-c", "from smtpwire.analyzer.cli import main; main()", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False).stdout.decode()


def terminal(*arguments: str, lines: int) -> str:
    """Return an SVG of a terminal with the first ``lines`` lines of the output of the command."""
    shown = "\n".join(smtpwire(*arguments).splitlines()[:lines])
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True, color_system="standard")
        console.print(Text.from_ansi(f"$ smtpwire {' '.join(arguments)}\n{shown}"))
    return WEB_FONT.sub("", console.export_svg(title="smtpwire"))


def pages() -> dict[str, bytes]:
    """Write the report of the demo on a desktop and on a phone, and one of its ladders."""
    with TemporaryDirectory() as directory, Browser() as browser:
        page = Path(directory) / "demo.html"
        page.write_text(smtpwire("demo", "--format", "html"), "utf-8")
        browser.shape(1120)
        browser.open(page)
        desk = browser.picture(height=1300)
        browser.run("document.getElementById('c3').open = true")
        ladder = browser.picture("#c3")
        browser.shape(390, phone=True)
        browser.open(page)
        browser.run("document.getElementById('c3').open = true")
        return {"report.png": desk, "ladder.png": ladder, "ladder-phone.png": browser.picture("#c3")}


def main() -> None:
    """Write all pictures."""
    if not available():
        sys.exit("screenshots: chromium and chromedriver are needed: on Debian, apt install chromium chromium-driver")
    IMAGES.mkdir(exist_ok=True)
    for name, picture in pages().items():
        (IMAGES / name).write_bytes(picture)
    (IMAGES / "terminal.svg").write_text(terminal("demo", lines=48), "utf-8")
    dialogue = ("show", "samples/postfix--smuggle-lf-dot-lf.pcap")
    (IMAGES / "dialogue.svg").write_text(terminal(*dialogue, lines=60), "utf-8")
    print(*(f"{path.relative_to(ROOT)}  {path.stat().st_size:,} bytes" for path in sorted(IMAGES.iterdir())), sep="\n")


if __name__ == "__main__":
    main()
