"""A headless Chromium that displays pages, driven over the WebDriver protocol. Standard library only.

Needs the programs ``chromium`` and ``chromedriver`` (Debian: chromium, chromium-driver)::

    with Browser() as browser:
        browser.open(path)
        assert browser.run("return document.title") == "..."
        assert not browser.complaints()
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

__all__ = ["Browser", "available"]

# No request leaves the machine: a page that tries fails the test and reaches no server.
_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps"),
    *("--hide-scrollbars", "--force-color-profile=srgb", "--host-resolver-rules=MAP * ~NOTFOUND"),
)
_PORT = re.compile(r"started successfully on port ([0-9]+)")


def available() -> bool:
    """Whether both programs are there."""
    return bool(_chromium() and shutil.which("chromedriver"))


def _chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """One session with its own profile, which is deleted at the end."""

    def __enter__(self) -> Browser:
        with ExitStack() as stack:
            profile = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
            driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True)
            stack.callback(_end, driver)
            self._base = f"http://127.0.0.1:{_port(driver)}/session"
            options = {"binary": _chromium(), "args": [*_FLAGS, f"--user-data-dir={profile}"]}
            wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
            started = self._call("POST", "", {"capabilities": {"alwaysMatch": wanted}})
            self._base += f"/{started['sessionId']}"
            stack.callback(self._call, "DELETE", "")
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def open(self, page: Path, fragment: str = "") -> None:
        """Load the file ``page``."""
        self._call("POST", "/url", {"url": page.resolve().as_uri() + fragment})

    def run(self, script: str, *arguments: object) -> Any:
        """Return the result of ``script``, the body of a function, in the page."""
        return self._call("POST", "/execute/sync", {"script": script, "args": arguments})

    def tools(self, command: str, **parameters: object) -> Any:
        """Run a command of the DevTools protocol."""
        return self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def shape(self, width: int, height: int = 900, *, dark: bool = False, phone: bool = False) -> None:
        """Set the size of the window in CSS pixels, and the preferences of its user."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
        self.tools("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.tools("Emulation.setEmulatedMedia", media="", features=[scheme])

    def without_script(self) -> None:
        """Disable scripts from the next page on."""
        self.tools("Emulation.setScriptExecutionDisabled", value=True)

    def picture(self, selector: str = "html", *, height: int | None = None) -> bytes:
        """Return a PNG of the first element that ``selector`` finds: its first ``height`` pixels, or all of it."""
        box = self.run(
            "const box = document.querySelector(arguments[0]).getBoundingClientRect();"
            "return [box.left + scrollX, box.top + scrollY, box.width, box.height]",
            selector,
        )
        clip = dict(zip(("x", "y", "width", "height"), box, strict=True)) | {"scale": 1}
        clip["height"] = height or clip["height"]
        shot = self.tools("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        return base64.b64decode(shot["data"])

    def complaints(self) -> list[str]:
        """Return the console messages since the last call: errors of scripts, violations of the page's policy."""
        return [entry["message"] for entry in self._call("POST", "/se/log", {"type": "browser"})]

    def _call(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = Request(self._base + path, data, {"Content-Type": "application/json"}, method=method)
        with urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]


def _port(driver: subprocess.Popen[str]) -> int:
    assert driver.stdout is not None
    for line in driver.stdout:
        found = _PORT.search(line)
        if found:
            return int(found[1])
    raise RuntimeError("chromedriver did not start")


def _end(driver: subprocess.Popen[str]) -> None:
    driver.terminate()
    driver.wait(10)
    if driver.stdout is not None:
        driver.stdout.close()
