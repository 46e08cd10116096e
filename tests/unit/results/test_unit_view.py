"""View of a unit: in terminals, in notebooks, as JSON and as a figure."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure
from rich.console import Console

from nd_plugin import BadInput, Dissection
from nd_plugin.pictures.half_blocks import GAP, UPPER
from nd_plugin.results.activation_histograms import ActivationHistograms
from nd_plugin.results.unit_view import (
    NO_HISTOGRAM,
    THUMBNAIL_CELLS,
    UnitView,
)
from nd_plugin.site.top_images import NO_PICTURES

PLAIN = """\
block.1/relu: unit 2 of 5 ──────────────────────────────────────────────────────
cat (object), IoU 0.2727: a detector (IoU > 0.04)
T_k 7e-300, exceeded by at most 0.005 of the cells

next concepts  category     IoU
dog            object    0.0588
ear            part      0.0323
tail           part      0.0303

top images  activation
b.jpg                2
a.jpg                1
ü.jpg              0.5

! no histogram of activations in this run (an earlier nd_plugin)
! The run has no pictures of its units' top images (--no-pictures, or an earlier
nd_plugin): dissect the layer again to see them.
"""


def printed(view: UnitView, width: int = 80, **options: Any) -> str:
    console = Console(
        file=io.StringIO(), width=width, force_jupyter=False, **options
    )
    console.print(view)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def colourful(view: UnitView, width: int = 80) -> str:
    return printed(view, width, force_terminal=True, color_system="truecolor")


def lines(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


class TestTerminal:
    def test_text(self, dissection: Dissection) -> None:
        assert lines(printed(dissection.show(2))) == PLAIN

    def test_pictures_where_there_are_colours(self, pictured: Dissection) -> None:
        text = colourful(pictured.show(2))
        rows = [line for line in text.splitlines() if UPPER in line]
        # pictures are 48 x 36 pixels, thus 24 x 18, in 9 lines
        assert len(rows) == 9
        assert {row.count(UPPER) for row in rows} == {2 * THUMBNAIL_CELLS}
        assert NO_PICTURES not in text

    @pytest.mark.parametrize(
        ("width", "pictures"),
        [
            (THUMBNAIL_CELLS - 1, 0),
            (THUMBNAIL_CELLS, 1),
            (2 * THUMBNAIL_CELLS + GAP, 2),
        ],
    )
    def test_as_many_pictures_as_fit(
        self, pictured: Dissection, width: int, pictures: int
    ) -> None:
        text = colourful(pictured.show(2), width)
        rows = [line for line in text.splitlines() if UPPER in line]
        counts = {row.count(UPPER) for row in rows}
        assert counts == ({pictures * THUMBNAIL_CELLS} if pictures else set())

    def test_no_escape_codes_where_it_is_piped(self, pictured: Dissection) -> None:
        text = printed(pictured.show(2))
        assert "\x1b" not in text and UPPER not in text
        assert "b.jpg" in text and NO_PICTURES not in text

    def test_the_rest_of_the_mask_is_darker(self, pictured: Dissection) -> None:
        view = pictured.show(2, images=1)
        (thumbnail,) = view._thumbnails(80)
        mask = pictured.activation_mask(2, 0)
        assert mask is not None and mask.any() and not mask.all()
        levels = np.unique(thumbnail[..., 1])
        assert len(levels) == 2 and levels[0] < 0.45 * levels[1]

    def test_more_top_images_than_the_run_has(self, dissection: Dissection) -> None:
        stored = dissection.top_images.shape[1]
        names = tuple(f"{number}.jpg" for number in range(stored + 5))
        large = replace(dissection, image_names=names, skipped=())
        note = f"The run has the first {stored} of each unit's top images, not"
        assert not any(
            note in text for text in large.show(2, images=stored).remarks()
        )
        remarks = large.show(2, images=stored + 1).remarks()
        assert any(text.startswith(note) for text in remarks)

    def test_histogram(self, dissection: Dissection) -> None:
        sample = np.array([[0.0] * 5, [1.0] * 5, [1.0] * 5])
        histograms = ActivationHistograms.of(sample, np.full(5, 4.0))
        view = replace(dissection, histograms=histograms).show(0)
        text = printed(view)
        bars, mark, ends = text.split("logarithmic)")[1].splitlines()[1:4]
        # T_k of unit 0 is 1.5, of activations up to 4 in 32 cells; 1.0 is in cell 8
        assert bars.index("█") == 8 and bars.rstrip()[0] != " "
        assert mark.rstrip() == f"{' ' * 12}▲ T_k"
        assert ends.rstrip() == "0 to 4"
        assert NO_HISTOGRAM not in text

    def test_a_unit_without_overlap(self, dissection: Dissection) -> None:
        text = printed(dissection.show(3))
        assert "no concept that the unit's mask overlaps: no detector" in text
        assert "next concepts" not in text
        assert "! dead: constant everywhere" in text

    def test_narrow(self, pictured: Dissection) -> None:
        text = colourful(pictured.show(2), 20)
        plain = printed(pictured.show(2), 20)
        assert max(map(len, plain.splitlines())) <= 20
        assert UPPER not in text


class TestNotebook:
    def test_html(self, pictured: Dissection) -> None:
        html = pictured.show(2)._repr_html_()
        # two with the unit's mask, and beside each its annotation, if it has the label
        assert html.count('src="data:image/jpeg;base64,') in (2, 3, 4)
        assert html.count('alt="') == html.count("<img")
        assert "cat" in html and "0.2727" in html

    def test_names_are_escaped(self, pictured: Dissection) -> None:
        concepts = (
            replace(pictured.concepts[0], name="<script>alert(1)</script>"),
            *pictured.concepts[1:],
        )
        names = ('"><img onerror=x>', *pictured.image_names[1:])
        nasty = replace(pictured, concepts=concepts, image_names=names)
        html = nasty.show(2)._repr_html_()
        assert "<script" not in html and "<img onerror" not in html
        assert "&lt;script&gt;" in html

    def test_without_pictures(self, dissection: Dissection) -> None:
        html = dissection.show(2)._repr_html_()
        assert "<img" not in html and "The run has no pictures" in html


class TestContent:
    def test_as_plain_values(self, pictured: Dissection) -> None:
        content = pictured.show(2, images=1).content()
        assert json.loads(json.dumps(content)) == content
        assert content["concept"] == "cat" and content["unit"] == 2
        assert content["next_concepts"][0] == {
            "concept": "dog",
            "category": "object",
            "iou": 10 / 170,
        }
        assert content["top_images"] == [{"image": "b.jpg", "activation": 2.0}]
        assert content["histogram"] is None and content["notes"] == [NO_HISTOGRAM]

    def test_histogram(self, dissection: Dissection) -> None:
        histograms = ActivationHistograms.of(np.ones((3, 5)), np.full(5, 4.0))
        view = replace(dissection, histograms=histograms).show(0)
        histogram = view.content()["histogram"]
        assert sum(histogram["counts"]) == 3
        assert histogram["edges"][-1] == 4 and len(histogram["edges"]) == 65

    def test_text(self, dissection: Dissection) -> None:
        assert repr(dissection.show(1)) == (
            "UnitView(block.1/relu: unit 1 of 5; tail (part), IoU 0.2500: a detector "
            "(IoU > 0.04))"
        )


class TestFigure:
    def test_plot(self, pictured: Dissection) -> None:
        figure = pictured.show(2).plot()
        assert isinstance(figure, Figure) and len(figure.axes[0].images) == 1
        pyplot.close(figure)

    def test_without_pictures(self, dissection: Dissection) -> None:
        figures_before = pyplot.get_fignums()
        with pytest.raises(
            BadInput, match="cannot be drawn: the run has no pictures"
        ):
            dissection.show(2).plot()
        assert pyplot.get_fignums() == figures_before


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        (5, r"no unit 5: layer 'block\.1/relu' has 5, numbered from 0"),
        (-1, "no unit -1"),
        (1.0, r"unit is 1\.0; expected a unit's number"),
        (True, "unit is True"),
        ("1", "unit is '1'"),
    ],
)
def test_what_is_no_unit(dissection: Dissection, unit: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        dissection.show(unit)


def test_numbers_of_numpy(dissection: Dissection) -> None:
    assert dissection.show(np.int64(2)).unit == 2  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="images is 0; expected 1 or more"):
        dissection.show(0, images=0)
