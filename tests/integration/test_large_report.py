"""Report of 2,048 units whose names come from somebody who means harm, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsers import chromium, visit
from large_result import large_result

from nd_plugin import Dissection

UNITS = 2048
SCRIPT = "<script>alert(1)</script>"
NAMES = (
    SCRIPT,
    "</script><script>alert(2)</script>",
    '"><img src=x onerror=alert(3)>',
    "'quoted' \"name\".jpg",
    "../../etc/passwd",
    "javascript:alert(4)",
    "שלום עולם",
    "\u202egpj.exe",
    "{{ 7 * 7 }}",
    "tree",
)
CATEGORIES = ("object", "<b>bold</b>", "part")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as process:
        yield process


@pytest.fixture(scope="module")
def dissection() -> Dissection:
    return large_result(UNITS, NAMES, CATEGORIES)


@pytest.fixture(scope="module")
def folder(
    dissection: Dissection, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("pages") / "report"
    dissection.to_html(path)
    return path


def test_first_paint_and_size(
    folder: Path, browser: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    page_size = (folder / "index.html").stat().st_size
    with visit(browser, folder / "index.html") as visiting:
        visiting.page.wait_for_selector(".card")
        paints = visiting.page.evaluate(
            "performance.getEntriesByName('first-contentful-paint')[0].startTime"
        )
        assert visiting.text(".status") == f"{UNITS:,} units"
        loaded = [url for url in visiting.requests if "/images/" in url]
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{UNITS} units: {size / 1e6:.1f} MB in {len(files)} files, the page itself "
            f"{page_size / 1e6:.2f} MB, first paint after {paints:.0f} ms"
        )
    # thumbnails far below are not asked for
    assert len(loaded) < 200


def test_the_last_units_are_reached(folder: Path, browser: Any) -> None:
    with visit(browser, folder / "index.html") as visiting:
        visiting.page.select_option("[name=order]", "number")
        visiting.page.fill("[name=search]", str(UNITS - 1))
        visiting.page.click(".card h3 a")
        heading = visiting.page.locator("#view h1")
        assert heading.inner_text().startswith(f"Unit {UNITS - 1}:")
        visiting.page.locator(".top-images").scroll_into_view_if_needed()
        visiting.page.locator(".top-images canvas").first.wait_for()


@pytest.mark.parametrize("concept", range(len(NAMES)))
def test_foreign_texts_do_no_harm(
    folder: Path, dissection: Dissection, browser: Any, concept: int
) -> None:
    name = NAMES[concept]
    unit = int((dissection.labels == concept).argmax())
    with visit(browser, folder / "index.html") as visiting:
        visiting.page.fill("[name=search]", name)
        card = visiting.page.locator(".card h3").first
        assert card.inner_text() == name
        visiting.page.goto(
            f"{(folder / 'index.html').as_uri()}#layer-1/unit-{unit}"
        )
        assert visiting.text("#view h1") == f"Unit {unit}: {name}"
        figures = visiting.page.locator(".top-images figcaption")
        assert figures.count() == 15
        visiting.page.goto(
            f"{(folder / 'index.html').as_uri()}#layer-1/concept-{concept}"
        )
        assert visiting.text("#view h1") == name
        visiting.page.locator(".gallery").scroll_into_view_if_needed()
        visiting.page.locator(".gallery canvas").first.wait_for()
        assert visiting.page.locator("b:text('bold')").count() == 0
        assert visiting.page.locator("img[src=x]").count() == 0


def test_names_of_images_are_texts(
    folder: Path, dissection: Dissection, browser: Any
) -> None:
    """The first image is called like a script; a unit shows it with its name."""
    for image in range(4):
        unit, rank = (dissection.top_images == image).nonzero()
        fragment = f"#layer-1/unit-{unit[0]}"
        with visit(browser, folder / "index.html", fragment) as visiting:
            caption = visiting.page.locator(".top-images figcaption").nth(
                int(rank[0])
            )
            assert NAMES[image] in caption.inner_text()


def test_one_file_works_as_the_folder_does(
    dissection: Dissection, tmp_path: Path, browser: Any
) -> None:
    few_units = large_result(100, NAMES, CATEGORIES)
    few_units.to_html(tmp_path / "report.html")
    with visit(browser, tmp_path / "report.html", "#layer-1/unit-99") as visiting:
        visiting.page.locator(".top-images").scroll_into_view_if_needed()
        visiting.page.locator(".top-images canvas").first.wait_for()
        width = visiting.page.locator(".top-images img").first.evaluate(
            "image => image.decode().then(() => image.naturalWidth)"
        )
        assert width == 160
        asked = {url.split("#")[0] for url in visiting.requests if "file:" in url}
        assert asked == {(tmp_path / "report.html").as_uri()}
