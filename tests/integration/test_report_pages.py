"""Reports of a real network in a real browser: found, filtered, read and drawn exactly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from browsers import Visit, chromium, visit

from nd_plugin import Dissection, LayerDissection
from nd_torch.zoo import efficientnet_lite0

LAYER = "_bn1"
UNITS = 1280
SETS = ("shapes", "broden")
PHONE = 400  # pixels
ALPHA = """(canvas) => {
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const alpha = [];
  for (let index = 3; index < pixels.length; index += 4) {
    alpha.push(pixels[index].toString(16).padStart(2, "0"));
  }
  // one text: each number of a list crosses to Python as an object of its own
  return [canvas.height, canvas.width, alpha.join("")];
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as process:
        yield process


@pytest.fixture(scope="module", params=SETS)
def dissection(request: pytest.FixtureRequest) -> Dissection:
    """EfficientNet-Lite0 on CamVid, or on the shapes that are drawn."""
    pytest.importorskip("efficientnet_lite_pytorch")
    concepts = "shapes?images=120"
    if request.param == "broden":
        data: Path = request.getfixturevalue("real_data")
        concepts = f"broden:{data / 'broden_camvid'}"
    result = LayerDissection(efficientnet_lite0(), LAYER).dissect(
        concepts, limit=160
    )
    assert isinstance(result, Dissection)
    return result


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
    with visit(browser, folder / "index.html") as visiting:
        visiting.page.wait_for_selector(".card")
        paints = visiting.page.evaluate(
            "performance.getEntriesByName('first-contentful-paint')[0].startTime"
        )
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{UNITS} units: {size / 1e6:.1f} MB in {len(files)} files, "
            f"first paint after {paints:.0f} ms"
        )
    assert folder / "index.html" in files


def test_search_filter_and_order(
    folder: Path, dissection: Dissection, browser: Any
) -> None:
    scores = list(dissection.unit_scores())
    best = max(scores, key=lambda score: score.iou)
    with visit(browser, folder / "index.html") as visiting:
        status = visiting.page.locator(".status")
        assert status.inner_text() == f"{UNITS:,} units"
        assert f"unit {best.unit}" in visiting.text(".card")

        visiting.page.fill("[name=search]", best.concept.upper())
        named = [score for score in scores if best.concept in score.concept]
        assert status.inner_text() == f"{len(named):,} of {UNITS:,} units"

        visiting.page.fill("[name=search]", "unit 42")
        assert visiting.page.locator(".card").count() == 1
        assert "unit 42" in visiting.text(".card")

        visiting.page.click("text=Clear")
        category = visiting.page.locator(
            f".filters .chip:has-text('{best.category}')"
        )
        category.click()
        of_category = [score for score in scores if score.category == best.category]
        visiting.page.wait_for_function(
            "count => document.querySelector('.status').textContent.startsWith(count)",
            arg=f"{len(of_category):,} ",
        )
        visiting.page.fill("[name=low]", "0.03")
        above = [score for score in of_category if round(score.iou, 4) >= 0.03]
        assert status.inner_text() == f"{len(above):,} of {UNITS:,} units"

        visiting.page.click("text=Clear")
        visiting.page.check("[name=detectors]")
        detectors = sum(score.detector for score in scores)
        assert status.inner_text() == f"{detectors:,} of {UNITS:,} units"

        visiting.page.select_option("[name=order]", "number")
        first = min(score.unit for score in scores if score.detector)
        assert f"unit {first}" in visiting.text(".card")


def test_the_units_are_one_link_away(folder: Path, browser: Any) -> None:
    with visit(browser, folder / "index.html") as visiting:
        visiting.page.click(f"text='{UNITS:,} units'")
        visiting.page.wait_for_function(
            "document.querySelector('.filters').getBoundingClientRect().top < 200"
        )


def test_cards_come_as_they_are_asked_for(folder: Path, browser: Any) -> None:
    with visit(browser, folder / "index.html") as visiting:
        cards = visiting.page.locator(".card")
        first_count = cards.count()
        assert first_count < 200
        more = visiting.page.locator("button:has-text('Show more')")
        more.focus()
        visiting.page.keyboard.press("Enter")
        visiting.page.wait_for_function(
            "count => document.querySelectorAll('.card').length > count",
            arg=first_count,
        )


def drawn_mask(visiting: Visit, index: int, size: tuple[int, int]) -> Any:
    """Return which pixels of a mask the page shows undimmed, from all pixels of its canvas."""
    canvas = visiting.page.locator(".top-images canvas").nth(index)
    rows, columns, alpha = canvas.evaluate(ALPHA)
    scale = columns // size[1]
    values = np.frombuffer(bytes.fromhex(alpha), np.uint8)
    squares = values.reshape(size[0], scale, size[1], scale)
    assert rows == size[0] * scale
    assert columns == size[1] * scale
    lit = squares == 0
    # a pixel is clear as a whole, or not at its centre
    centres: npt.NDArray[np.bool_] = lit[:, scale // 2, :, scale // 2]
    assert (lit.all(axis=(1, 3)) == centres).all()
    return centres


def test_regions_are_the_activation_masks(
    folder: Path, dissection: Dissection, browser: Any
) -> None:
    pictures = dissection.pictures
    assert pictures is not None
    detectors = dissection.detectors()
    for unit in (detectors[0].unit, detectors[-1].unit, 7):
        with visit(
            browser, folder / "index.html", f"#layer-1/unit-{unit}"
        ) as visiting:
            for rank in range(3):
                image = int(dissection.top_images[unit, rank])
                mask = dissection.activation_mask(unit, rank)
                assert mask is not None
                figure = visiting.page.locator(".top-images figure").nth(rank)
                figure.scroll_into_view_if_needed()
                figure.locator("canvas").nth(1).wait_for()
                shown = drawn_mask(visiting, 2 * rank, mask.shape)
                assert (shown == mask).all(), (unit, rank)
                labels = pictures.concept_mask(image, int(dissection.labels[unit]))
                shown = drawn_mask(visiting, 2 * rank + 1, labels.shape)
                assert (shown == labels).all(), (unit, rank)


def test_a_units_page(folder: Path, dissection: Dissection, browser: Any) -> None:
    score = dissection.detectors()[0]
    with visit(browser, folder / "index.html") as visiting:
        visiting.page.click(".card h3 a")
        heading = visiting.page.locator("#view h1")
        assert heading.inner_text() == f"Unit {score.unit}: {score.concept}"
        body = visiting.text("#view")
        assert f"IoU\n{score.iou:.4f}, a detector" in body.replace("\n\n", "\n")
        above = (dissection.iou[score.unit] > 0.01).sum()
        assert visiting.page.locator("#view tbody tr").count() == above
        assert visiting.page.locator("svg.histogram rect").count() > 1
        drawing = str(visiting.page.locator("svg.histogram").text_content())
        assert f"Tk = {score.threshold:.4g}" in drawing
        name = dissection.image_names[int(dissection.top_images[score.unit, 0])]
        assert name in visiting.text(".top-images figure")
        visiting.page.go_back()
        visiting.page.wait_for_selector(".card:visible")
        assert heading.is_hidden()


def test_the_page_of_a_unit_far_from_all_concepts(
    dissection: Dissection, browser: Any, tmp_path: Path
) -> None:
    far = replace(dissection, intersection=dissection.intersection // 100)
    assert far.iou.max() < 0.01
    far.to_html(tmp_path / "far")
    page = tmp_path / "far" / "index.html"
    with visit(browser, page, "#layer-1/unit-7") as visiting:
        assert "none has an IoU above 0.01" in visiting.text("#view")
        assert visiting.page.locator("#view tbody tr").count() == 1


def test_a_concepts_page(
    folder: Path, dissection: Dissection, browser: Any
) -> None:
    score = dissection.detectors()[0]
    pictures = dissection.pictures
    assert pictures is not None
    concept = int(dissection.labels[score.unit])
    detecting = [
        other
        for other in dissection.detectors()
        if dissection.labels[other.unit] == concept
    ]
    carriers = [
        image
        for image in pictures.images.tolist()
        if concept in pictures.concepts(image)
    ]
    with visit(browser, folder / "index.html") as visiting:
        visiting.page.click(f".concepts bdi:text-is('{score.concept}')")
        assert visiting.text("#view h1") == score.concept
        body = visiting.text("#view")
        count = len(detecting)
        verb = "unit detects" if count == 1 else "units detect"
        assert f"{count} {verb} it; the highest IoU is {score.iou:.4f}." in body
        assert f"{len(carriers)} of the {len(pictures)} images" in body
        first_cards = visiting.page.locator("#view section").first.locator(".card")
        assert first_cards.count() == min(count, 24)
        visiting.page.locator(".gallery").scroll_into_view_if_needed()
        visiting.page.locator(".gallery canvas").first.wait_for()


def test_the_keyboard_is_enough(
    folder: Path, dissection: Dissection, browser: Any
) -> None:
    first, second = dissection.detectors()[:2]
    with visit(browser, folder / "index.html") as visiting:
        press = visiting.page.keyboard.press
        press("Tab")
        assert visiting.focused() == "Skip to content"
        press("/")
        visiting.page.keyboard.type(str(first.unit))
        assert visiting.page.input_value("[name=search]") == str(first.unit)
        visiting.page.fill("[name=search]", "")
        visiting.page.locator(".card a").first.focus()
        press("Enter")
        visiting.page.wait_for_selector("#view h1")
        visiting.page.wait_for_function("document.activeElement.tagName === 'H1'")
        assert visiting.focused().startswith(f"Unit {first.unit}:")
        press("ArrowRight")
        visiting.page.wait_for_selector(f"#view h1:has-text('Unit {second.unit}:')")
        press("ArrowLeft")
        visiting.page.wait_for_selector(f"#view h1:has-text('Unit {first.unit}:')")
        press("Escape")
        visiting.page.wait_for_selector(".card:visible")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_in_both_schemes(
    folder: Path, dissection: Dissection, browser: Any, scheme: str
) -> None:
    unit = dissection.detectors()[0].unit
    concept = int(dissection.labels[unit])
    for fragment in ("", f"#layer-1/unit-{unit}", f"#layer-1/concept-{concept}"):
        with visit(
            browser, folder / "index.html", fragment, width=PHONE, scheme=scheme
        ) as visiting:
            pictures = visiting.page.locator(".thumbnails, .top-images, .gallery")
            pictures.first.scroll_into_view_if_needed()
            visiting.page.locator("canvas").first.wait_for(state="attached")
            assert visiting.page.evaluate("document.body.scrollWidth") <= PHONE
            visiting.check_readable()
            background = visiting.page.evaluate(
                "getComputedStyle(document.body).backgroundColor"
            )
            assert (background == "rgb(255, 255, 255)") == (scheme == "light")
