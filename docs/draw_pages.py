"""Take the README's pictures of a report's pages: ``python docs/draw_pages.py``.

Needs the extra ``demo``, Playwright and a Chromium (`tests/browsers.py` looks for it).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image, ImageColor

from nd_plugin import LayerDissection
from nd_plugin.report.colours import OF_CATEGORY
from nd_torch.zoo import efficientnet_lite0

HERE = Path(__file__).parent
PICTURES = HERE / "images"
COLOURS = 240  # of a picture's palette, beside those of categories
CONCEPT = "lighthouse"
TOP_OF_UNITS = (
    "window.scrollTo(0, document.querySelector('.filters').offsetTop - 12)"
)


def main() -> None:
    """Dissect a layer, write its report, and take pictures of three pages."""
    sys.path.insert(0, str(HERE.parent / "tests"))
    from browsers import chromium

    PICTURES.mkdir(exist_ok=True)
    dissection = LayerDissection(efficientnet_lite0(), "_bn1").dissect(
        "shapes?images=300"
    )
    score = next(unit for unit in dissection.detectors() if unit.concept == CONCEPT)
    concept = dissection.labels[score.unit]
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        folder = Path(name) / "report"
        dissection.to_html(folder)
        page = (folder / "index.html").as_uri()
        _take(browser, page, "layer", (1100, 820), "light", TOP_OF_UNITS)
        _take(
            browser,
            f"{page}#layer-1/unit-{score.unit}",
            "unit",
            (1100, 960),
            "dark",
        )
        _take(
            browser,
            f"{page}#layer-1/concept-{concept}",
            "concept",
            (400, 780),
            "light",
        )


def _take(
    browser: Any,
    address: str,
    name: str,
    size: tuple[int, int],
    scheme: str,
    step: str = "0",
) -> None:
    """Take a picture of what a window of a size, (width, height), shows."""
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme
    )
    page = context.new_page()
    page.goto(address)
    page.locator("h1:visible").first.wait_for()
    page.evaluate(step)
    page.locator("canvas").first.wait_for(state="attached")
    page.wait_for_timeout(3000)
    path = PICTURES / f"{name}-page.png"
    page.screenshot(path=path)
    context.close()
    _reduce_colours(path)


def _reduce_colours(path: Path) -> None:
    """Store a picture with a palette, in which the categories keep their colours."""
    picture = Image.open(path).convert("RGB")
    entries = list(picture.quantize(COLOURS).getpalette() or ())[: 3 * COLOURS]
    for colour in OF_CATEGORY.values():
        entries += ImageColor.getrgb(colour)
    palette = Image.new("P", (1, 1))
    palette.putpalette(entries)
    no_dither = Image.Dither.NONE
    picture.quantize(palette=palette, dither=no_dither).save(path, optimize=True)


if __name__ == "__main__":
    main()
