"""Comparisons and explanations of real networks in a real browser: read, filtered, followed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from browsers import chromium, visit
from foreign_texts import EVIL, QUOTES

from nd_plugin import (
    Dissection,
    Explanations,
    LayerComparison,
    LayerDissection,
    compare_dissections,
    open_concepts,
)
from nd_plugin.report.layer_report import LayerReport
from nd_torch.zoo import efficientnet_lite0

LAYERS = ["_blocks.10", "_bn1"]
PHONE = 400  # pixels
# what sticks out of the page to the right, but for tables that scroll
TOO_WIDE = """() => document.documentElement.scrollWidth > window.innerWidth"""
# pictures that the browser could not decode, of those in view or loaded at once
BROKEN = """() => [...document.images]
  .filter((image) => image.complete && !image.naturalWidth).map((image) => image.src)"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as process:
        yield process


@pytest.fixture(scope="module")
def units() -> LayerDissection:
    """Two layers of EfficientNet-Lite0, dissected on shapes."""
    pytest.importorskip("efficientnet_lite_pytorch")
    units = LayerDissection(efficientnet_lite0(), LAYERS)
    units.dissect("shapes?images=120")
    return units


@pytest.fixture(scope="module")
def dissections(units: LayerDissection) -> list[Dissection]:
    assert isinstance(units.dissection, list)
    return list(units.dissection)


@pytest.fixture(scope="module")
def comparison(dissections: list[Dissection]) -> LayerComparison:
    """Both layers, the second at another quantile and with a foreign run's name."""
    first, second = dissections
    provenance = replace(second.provenance, notes=(EVIL,))
    settings = replace(second.settings, quantile=0.01)
    other = replace(second, provenance=provenance, settings=settings)
    sources: list[Dissection | LayerReport] = [first, other]
    return compare_dissections(sources, ["lite0", f"{EVIL} {QUOTES}"])


@pytest.fixture(scope="module")
def folder(
    comparison: LayerComparison, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("pages") / "side"
    comparison.to_html(path)
    return path


@pytest.fixture(scope="module")
def why(
    units: LayerDissection,
    dissections: list[Dissection],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Explanations of two pictures, each by one of the layers; a class has a foreign name."""
    concepts = open_concepts("shapes?images=4")
    explanations = []
    for index, dissection in enumerate(dissections):
        layer = LayerDissection(units.forward_func, dissection.layer)
        layer.dissection = dissection
        classes = [f"{EVIL}{QUOTES}"] * 1000
        explanations += layer.explain(concepts.image(index), classes=classes)
    path = tmp_path_factory.mktemp("why") / "why"
    Explanations(explanations).to_html(path)
    return path / "index.html"


class TestComparison:
    def test_concepts_are_searched_and_filtered(
        self, folder: Path, comparison: LayerComparison, browser: Any
    ) -> None:
        total = len(comparison.concepts)
        shared = len(comparison.shared())
        assert total > shared > 0
        with visit(browser, folder / "index.html") as visiting:
            page = visiting.page
            rows = page.locator("#compared-concepts tbody tr:visible")
            assert rows.count() == total
            page.select_option("[name=group]", "all")
            assert rows.count() == shared
            count = visiting.text("#concept-count")
            assert count == f"{shared} of {total} concepts"
            page.select_option("[name=group]", "")
            name = comparison.concepts[0].concept
            page.fill("[name=search]", name.upper())
            named = [row for row in comparison.concepts if name in row.concept]
            assert rows.count() == len(named)
            category = comparison.categories.index(comparison.concepts[0].category)
            page.fill("[name=search]", "")
            page.select_option("[name=category]", str(category))
            of_category = [
                row
                for row in comparison.concepts
                if row.category == comparison.concepts[0].category
            ]
            assert rows.count() == len(of_category)

    def test_differences_are_said(self, folder: Path, browser: Any) -> None:
        with visit(browser, folder / "index.html") as visiting:
            assert "quantiles differ: 0.005 (lite0" in visiting.text(".notes")

    def test_a_concept_and_its_unit_are_reached_by_keyboard(
        self, folder: Path, comparison: LayerComparison, browser: Any
    ) -> None:
        concept = comparison.concepts[0]
        with visit(browser, folder / "index.html") as visiting:
            page = visiting.page
            page.keyboard.press("Tab")
            assert visiting.focused() == "Skip to content"
            page.focus("#compared-concepts tbody a")
            page.keyboard.press("Enter")
            page.wait_for_url("**/concepts/1.html")
            assert concept.concept in visiting.text("h1")
            page.keyboard.press("Tab")
            link = page.locator(".unit-line a").first
            unit = link.inner_text()
            link.press("Enter")
            page.wait_for_url("**/run-*/index.html#layer-1/unit-*")
            page.wait_for_selector(f"h1:has-text('{unit.removeprefix('unit ')}')")

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("width", [PHONE, 1280])
    def test_it_is_readable(
        self, folder: Path, browser: Any, width: int, scheme: str
    ) -> None:
        for name in ("index.html", "concepts/1.html"):
            with visit(
                browser, folder / name, width=width, scheme=scheme
            ) as visiting:
                visiting.check_readable()
                assert not visiting.page.evaluate(TOO_WIDE)

    def test_top_images_are_shown_with_regions(
        self, folder: Path, browser: Any
    ) -> None:
        with visit(browser, folder / "concepts/1.html") as visiting:
            images = visiting.page.locator(".still img")
            images.first.scroll_into_view_if_needed()
            visiting.page.wait_for_function(
                "() => document.images[0].naturalWidth > 0"
            )
            assert visiting.page.evaluate(BROKEN) == []
            regions = visiting.page.locator(".still .region")
            assert regions.count() == images.count() > 0
            image_box = images.first.bounding_box()
            region_box = regions.first.bounding_box()
            for side in ("x", "y", "width", "height"):
                assert region_box[side] == pytest.approx(image_box[side], abs=1)

    def test_one_file(
        self, comparison: LayerComparison, browser: Any, tmp_path: Path
    ) -> None:
        comparison.to_html(tmp_path / "side.html")
        with visit(browser, tmp_path / "side.html") as visiting:
            page = visiting.page
            page.click("#compared-concepts tbody a")
            assert page.url.endswith("#concept-1")
            assert page.evaluate(BROKEN) == []
            assert page.locator(".still .region").count() > 0
            assert len(visiting.requests) == 1 + sum(
                url.startswith("data:") for url in visiting.requests
            )


class TestExplanations:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("width", [PHONE, 1280])
    def test_it_is_readable(
        self, why: Path, browser: Any, width: int, scheme: str
    ) -> None:
        with visit(browser, why, width=width, scheme=scheme) as visiting:
            visiting.check_readable()
            assert not visiting.page.evaluate(TOO_WIDE)

    def test_units_have_masks_and_top_images(self, why: Path, browser: Any) -> None:
        with visit(browser, why) as visiting:
            page = visiting.page
            assert page.locator(".explanation").count() == 2
            assert page.locator(".explained > li").count() == 10
            # five top images of each of ten units
            assert page.locator(".strip .region").count() == 50
            assert page.evaluate(BROKEN) == []
            page.click(".contents li:nth-child(2) a")
            assert page.url.endswith("#explanation-2")
            assert EVIL in visiting.text("h1")

    @pytest.mark.parametrize("width", [PHONE, 1280])
    def test_masks_lie_on_the_image(
        self, why: Path, browser: Any, width: int
    ) -> None:
        with visit(browser, why, width=width) as visiting:
            first = visiting.page.locator(".explained > li").first
            image_box = first.locator("img").first.bounding_box()
            region_box = first.locator(".region").first.bounding_box()
            for side in ("x", "y", "width", "height"):
                assert region_box[side] == pytest.approx(image_box[side], abs=1)
