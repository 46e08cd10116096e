"""Pages in a real browser: Chromium, driven by Playwright; nothing but files may be asked for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

COMMANDS = ("chromium", "chromium-browser", "google-chrome")
LOCAL = ("file:", "data:", "blob:")
PATIENCE = 60_000  # milliseconds: machines of tests can be busy

# texts whose contrast (WCAG 2) to what is behind them is below 4.5, with their contrast
FAINT_TEXTS = """() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const linear = (value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  };
  const luminance = ([red, green, blue]) =>
    0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  const behind = (node) => {
    for (let parent = node; parent; parent = parent.parentElement) {
      const colour = channels(getComputedStyle(parent).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const isText = (child) => child.nodeType === 3 && child.data.trim();
  const faint = [];
  for (const node of document.body.querySelectorAll("*")) {
    if (![...node.childNodes].some(isText) || !node.checkVisibility()) continue;
    if (node.matches("option, script, style, svg *")) continue;
    const own = luminance(channels(getComputedStyle(node).color));
    const other = luminance(behind(node));
    const ratio = (Math.max(own, other) + 0.05) / (Math.min(own, other) + 0.05);
    if (ratio < 4.5) faint.push([node.textContent.trim().slice(0, 40), ratio]);
  }
  return faint;
}"""
# controls that a screen reader has no name for
UNNAMED_CONTROLS = """() => [...document.querySelectorAll("input, select, button, a")]
  .filter((node) => node.checkVisibility() && !node.textContent.trim())
  .filter((node) => !node.labels?.length && !node.ariaLabel)
  .map((node) => node.outerHTML)"""


def find_chromium() -> str:
    """Return the path of a Chromium; without one, or without Playwright, skip the test."""
    pytest.importorskip("playwright", reason="playwright is not installed")
    paths = [os.environ.get("ND_CHROMIUM"), *map(shutil.which, COMMANDS)]
    for path in paths:
        if path:
            return path
    pytest.skip(
        "no Chromium: install Debian's chromium, or name one in ND_CHROMIUM"
    )


@contextmanager
def chromium() -> Iterator[Any]:
    """Start Chromium, and close it at the end."""
    path = find_chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"]
        )
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visit:
    """Page that is open, with what it asked for and complained of."""

    page: Any  # Playwright's
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)  # console, errors, dialogs

    def check(self) -> None:
        """Check that nothing but files was asked for, and that nothing went wrong."""
        foreign = [url for url in self.requests if not url.startswith(LOCAL)]
        assert foreign == []
        assert self.complaints == []

    def check_readable(self) -> None:
        """Check that texts stand out, that controls have names and pictures descriptions."""
        assert self.page.evaluate(FAINT_TEXTS) == []
        assert self.page.evaluate(UNNAMED_CONTROLS) == []
        undescribed = self.page.locator("img:not([alt]), img[alt='']")
        assert undescribed.count() == 0

    def text(self, selector: str) -> str:
        """Return the visible text of the first element."""
        return str(self.page.locator(selector).first.inner_text())

    def focused(self) -> str:
        """Return the text of the element that has the focus."""
        return str(self.page.evaluate("document.activeElement.textContent.trim()"))


@contextmanager
def visit(
    browser: Any,
    path: Path,
    fragment: str = "",
    *,
    width: int = 1280,
    scheme: str = "light",
) -> Iterator[Visit]:
    """Open a file in a window of its own, and check the visit at the end."""
    context = browser.new_context(
        viewport={"width": width, "height": 860}, color_scheme=scheme
    )
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    visiting = Visit(page)
    page.on("request", lambda request: visiting.requests.append(request.url))
    page.on("console", lambda message: visiting.complaints.append(message.text))
    page.on("pageerror", lambda error: visiting.complaints.append(str(error)))
    page.on("dialog", lambda dialog: _dismiss(visiting, dialog))
    context.route(
        lambda url: not url.startswith(LOCAL), lambda route: route.abort()
    )
    try:
        page.goto(path.resolve().as_uri() + fragment)
        yield visiting
        visiting.check()
    finally:
        context.close()


def _dismiss(visiting: Visit, dialog: Any) -> None:
    visiting.complaints.append(f"dialog: {dialog.message}")
    dialog.dismiss()
