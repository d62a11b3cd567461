"""The page in a real browser: its display on a desktop and on a phone, with and without script, in light and dark."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

import pytest
from browser import Browser, available
from handmade import capture, connection, finding, output, summary_of
from hostile import hostile_capture

from smtpwire.analyzer.audit import Audit
from smtpwire.analyzer.model import Capture
from smtpwire.analyzer.reports.html import HtmlWriter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from smtpwire.analyzer.model import Connection

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not available(), reason="needs chromium and chromedriver")]

PHONE, DESK = 390, 1280
# WCAG 2.1, level AA: a contrast of 4.5 for text, against the nearest painted background.
CONTRAST = """
const luminance = ([r, g, b]) => [r, g, b].map(v => v / 255)
  .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const colour = text => text.match(/[0-9.]+/g).map(Number);
const background = at => {
  for (; at; at = at.parentElement) {
    const found = colour(getComputedStyle(at).backgroundColor);
    if (found.length < 4 || found[3] > 0.99) return found;
  }
  return [255, 255, 255];
};
const poor = [];
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const at = walk.currentNode.parentElement;
  if (!walk.currentNode.data.trim() || at.closest("script, style, svg, .unseen, .skip, option")) continue;
  const [a, b] = [luminance(colour(getComputedStyle(at).color)), luminance(background(at))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) poor.push(`${ratio.toFixed(2)} ${at.className} ${walk.currentNode.data.trim().slice(0, 40)}`);
}
return poor;
"""
OPEN_ALL = "for (const one of document.querySelectorAll('details')) one.open = true;"
# Elements that are wider than the page and do not scroll.
OVERFLOWING = """
const wide = document.documentElement.clientWidth;
return [...document.body.querySelectorAll("*")]
  .filter(one => !one.closest(".scroll, .unseen, .skip, .symbols, symbol, svg svg"))
  .filter(one => one.getBoundingClientRect().right > wide + 1 && one.getClientRects().length)
  .map(one => `${one.tagName} ${one.className.baseVal ?? one.className}`);
"""
SHOWN = "return [...document.querySelectorAll('details.connection:not([hidden])')].map(one => one.id)"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as started:
        yield started


def audited(tmp_path: Path, *captures: Path) -> Path:
    out, stream = output()
    writer, audit = HtmlWriter(out, "0.1.0"), Audit()
    for item in audit.run(captures):
        if isinstance(item, Capture):
            writer.capture(item)
        else:
            writer.connection(item)
    writer.finish(audit.summary)
    page = tmp_path / "report.html"
    page.write_bytes(stream.getvalue())
    return page


def written(tmp_path: Path, *connections: Connection) -> Path:
    out, stream = output()
    writer = HtmlWriter(out, "0.1.0")
    writer.capture(capture())
    for one in connections:
        writer.connection(one)
    writer.finish(summary_of(*connections))
    page = tmp_path / "report.html"
    page.write_bytes(stream.getvalue())
    return page


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    with resources.as_file(resources.files("smtpwire.samples") / "demo.pcap") as path:
        return audited(tmp_path, path)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [PHONE, DESK])
def test_it_fits_and_can_be_read(browser: Browser, demo: Path, width: int, dark: bool) -> None:
    browser.shape(width, dark=dark, phone=width == PHONE)
    browser.open(demo)
    browser.run(OPEN_ALL)
    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert browser.run(OVERFLOWING) == []
    assert browser.run(CONTRAST) == []
    assert browser.run("return getComputedStyle(document.body).backgroundColor") == (
        "rgb(17, 21, 26)" if dark else "rgb(244, 246, 248)"
    )
    assert browser.complaints() == []


def test_every_kind_of_turn_can_be_read_and_fits(browser: Browser, tmp_path: Path) -> None:
    one = connection(1, [finding(turn=n, evidence="x" * 200, message="a long word " + "y" * 300) for n in range(12)])
    page = written(tmp_path, one)
    for width in (PHONE, DESK):
        browser.shape(width, phone=width == PHONE)
        browser.open(page)
        browser.run(OPEN_ALL)
        assert browser.run(OVERFLOWING) == []
        assert browser.run(CONTRAST) == []


def test_what_was_inside_tls_can_be_read_and_fits(browser: Browser, tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    from tls_captures import HELLO_INSIDE, QUIT, certified, tls_capture  # noqa: PLC0415

    names = ("mx." + "long-label." * 18 + "example", *(f"mx{n}.example" for n in range(20)))
    host = certified("m" * 64, names)
    script = [*HELLO_INSIDE, ("C", b"RCPT TO:<b@mx.example>\r\n"), ("S", b"503 no\r\n"), *QUIT]
    keys = tmp_path / "a.keys"
    made = tls_capture(
        tmp_path / "a.pcap", script, keylog=keys, certificate=host, client_certificate=certified("carol", ())
    )
    page = audited(tmp_path, made.path)
    for width in (PHONE, DESK):
        for dark in (False, True):
            browser.shape(width, dark=dark, phone=width == PHONE)
            browser.open(page)
            browser.run(OPEN_ALL)
            assert browser.run("return document.documentElement.scrollWidth") <= width
            assert browser.run(OVERFLOWING) == []
            assert browser.run(CONTRAST) == []
    said = browser.run("return document.querySelector('.row.secured .when').innerText")
    assert said.startswith("in TLS")


def test_no_cell_is_squeezed_to_one_character_per_line(browser: Browser, tmp_path: Path) -> None:
    found = [finding(f"ABC{n}", name="a-name-of-several-words-in-a-row", frame=n) for n in range(100, 120)]
    one = connection(1, found)
    one.client = type(one.client)("2001:db8:1111:2222:3333:4444:5555:6666", 43210)
    page = written(tmp_path, one)
    browser.shape(PHONE, phone=True)
    browser.open(page)
    browser.run(OPEN_ALL)
    heights = browser.run("return [...document.querySelectorAll('td, th')].map(cell => cell.offsetHeight)")
    assert len(heights) > 50
    assert max(heights) < 130
    assert browser.run(OVERFLOWING) == []


def test_arrows_reach_from_lifeline_to_lifeline(browser: Browser, demo: Path) -> None:
    browser.shape(DESK)
    browser.open(demo)
    ends = browser.run(
        """return [...document.querySelectorAll("details[open] .row.client")].map(row => {
        const lane = row.querySelector(".lane").getBoundingClientRect();
        const arrow = row.querySelector(".arrow use").getBoundingClientRect();
        return [lane.left, lane.right, arrow.left, arrow.right];
        })"""
    )
    assert len(ends) > 4
    for left, right, start, end in ends:
        assert abs(start - left) < 4
        assert abs(end - right) < 4


def test_nothing_hostile_runs(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "hostile.pcap"
    path.write_bytes(hostile_capture())
    page = audited(tmp_path, path)
    browser.shape(DESK)
    browser.open(page)
    browser.run(OPEN_ALL)
    assert browser.run("return typeof window.hacked") == "undefined"
    assert browser.run("return document.querySelectorAll('img, iframe, a[href^=javascript]').length") == 0
    assert browser.run("return document.scripts.length") == 1
    assert browser.complaints() == []
    assert browser.run("return performance.getEntriesByType('resource').length") == 0


def test_the_policy_applies_to_elements_added_later(browser: Browser, demo: Path) -> None:
    browser.shape(DESK)
    browser.open(demo)
    browser.run("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.hacked=1\">')")
    browser.run("const s = document.createElement('script'); s.text = 'window.hacked=2'; document.body.append(s)")
    assert browser.run("return typeof window.hacked") == "undefined"
    assert any("Content Security Policy" in line for line in browser.complaints())


def test_search_and_filter(browser: Browser, tmp_path: Path) -> None:
    quiet = connection(2, [])
    quiet.client = type(quiet.client)("198.51.100.7", 4000)
    page = written(tmp_path, connection(1), quiet, connection(3, [finding("CMD301", severity="warning")]))
    browser.shape(DESK)
    browser.open(page)
    assert browser.run(SHOWN) == ["c1", "c3", "c2"]

    def choose(field: str, value: str) -> list[str]:
        browser.run(
            "const at = document.getElementById(arguments[0]); at.value = arguments[1];"
            "at.dispatchEvent(new Event('input', {bubbles: true}))",
            field,
            value,
        )
        shown: list[str] = browser.run(SHOWN)
        return shown

    assert choose("filter-severity", "warning") == ["c3"]
    assert browser.run("return document.getElementById('filter-count').textContent") == (
        "1 of 3 connections shown here match"
    )
    assert choose("filter-severity", "none") == ["c2"]
    assert choose("filter-severity", "") == ["c1", "c3", "c2"]
    assert choose("filter-rule", "SEQ101") == ["c1"]
    assert choose("filter-rule", "") == ["c1", "c3", "c2"]
    assert choose("filter-text", "198.51.100.7 ehlo") == ["c2"]
    assert choose("filter-text", "nothing-like-it") == []


def test_a_link_opens_its_target(browser: Browser, demo: Path) -> None:
    browser.shape(DESK)
    browser.open(demo, "#rule-SEQ103")
    assert browser.run("return document.getElementById('rule-SEQ103').open")
    browser.open(demo, "#c5-f0")
    assert browser.run("return document.getElementById('c5').open")


def test_without_script_the_page_is_complete(demo: Path) -> None:
    with Browser() as browser:
        browser.without_script()
        browser.shape(DESK)
        browser.open(demo)
        assert browser.run("return getComputedStyle(document.getElementById('filter')).display") == "none"
        assert browser.run("return document.querySelectorAll('details.connection').length") == 6
        closed = "document.querySelector('details.connection:not([open])')"
        assert browser.run(f"const at = {closed}; at.querySelector('summary').click(); return at.open")
        assert browser.run("return document.querySelector('a[href=\"#rules\"]') !== null")


def test_every_control_is_reachable_and_has_a_name(browser: Browser, demo: Path) -> None:
    browser.shape(DESK)
    browser.open(demo)
    nodes = browser.tools("Accessibility.getFullAXTree")["nodes"]
    usable = {"link", "button", "textbox", "searchbox", "combobox", "DisclosureTriangle"}
    found = [node for node in nodes if node.get("role", {}).get("value") in usable and not node["ignored"]]
    assert len(found) > 15
    for node in found:
        assert node["name"]["value"].strip(), node
        assert any(p["name"] == "focusable" and p["value"]["value"] for p in node["properties"]), node


def test_a_print_has_every_connection(browser: Browser, demo: Path) -> None:
    browser.shape(DESK)
    browser.open(demo)
    browser.tools("Emulation.setEmulatedMedia", media="print")
    heights = browser.run("return [...document.querySelectorAll('details .ladder')].map(one => one.offsetHeight)")
    assert len(heights) == 6
    assert all(height > 100 for height in heights)
    assert browser.run("return getComputedStyle(document.querySelector('nav')).display") == "none"
    browser.tools("Emulation.setEmulatedMedia", media="")


def test_the_checks_detect_a_bad_page(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text("<!DOCTYPE html><body><p>text<style>p{color:#999;background:#fff;width:3000px}</style>", "utf-8")
    browser.shape(DESK)
    browser.open(page)
    assert browser.run(CONTRAST)
    assert browser.run(OVERFLOWING)
