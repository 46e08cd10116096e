"""HTML for notebooks: pictures with exact masks, small, without scripts, nothing unescaped."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from foreign_texts import EVIL, QUOTES, with_foreign_texts
from made_pictures import make_pictures
from PIL import Image

from nd_plugin import BadInput, Dissection, compare_dissections
from nd_plugin.notebook.fragments import thumbnail
from nd_plugin.notebook.unit_fragment import unit_html
from nd_plugin.report.colours import category_colour
from nd_plugin.report.mask_overlays import BRIGHTNESS_OUTSIDE
from nd_plugin.results.activation_histograms import BINS, ActivationHistograms
from nd_plugin.results.displayed_layers import DissectionList

LARGEST = 300_000  # characters


class Reader(HTMLParser):
    """Elements of a piece of HTML, its text, and pictures with their descriptions."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.pictures: list[tuple[str, str]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(
        self, tag: str, attributes: list[tuple[str, str | None]]
    ) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attributes]
        if tag == "img":
            values = dict(attributes)
            self.pictures.append((values["src"] or "", values["alt"] or ""))

    def handle_data(self, text: str) -> None:
        self.text += f" {text}"

    @property
    def words(self) -> str:
        """Text with single spaces."""
        return " ".join(self.text.split())


FRAGMENTS: dict[str, Callable[[Dissection], str]] = {
    "dissection": lambda dissection: dissection._repr_html_(),
    "list": lambda dissection: DissectionList([dissection] * 2)._repr_html_(),
    "unit": lambda dissection: unit_html(dissection, 0),
    "comparison": lambda dissection: compare_dissections(
        [dissection] * 2, [EVIL, QUOTES]
    )._repr_html_(),
}


@pytest.mark.parametrize("kind", FRAGMENTS)
def test_nothing_leaks_into_the_notebook(pictured: Dissection, kind: str) -> None:
    html = FRAGMENTS[kind](pictured)
    reader = Reader(html)
    assert not {"script", "style", "link", "body", "html"} & set(reader.tags)
    assert not {"class", "id"} & set(reader.attributes)
    assert not [name for name in reader.attributes if name.startswith("on")]
    assert not re.search(r"(?<!-)\bcolor:", html), "the notebook's own"
    assert len(html) < LARGEST


@pytest.mark.parametrize("kind", FRAGMENTS)
def test_no_text_becomes_markup(dissection: Dissection, kind: str) -> None:
    evil = with_foreign_texts(dissection)
    evil = replace(evil, stored_pictures=make_pictures(evil))
    html = FRAGMENTS[kind](evil)
    reader = Reader(html)
    assert "script" not in reader.tags and "b>" + "alert" not in html
    assert EVIL in reader.text
    sources = [source for source, _ in reader.pictures]
    assert sources and all(source.startswith("data:image/") for source in sources)
    assert not [name for name in reader.attributes if name.startswith("on")]


@pytest.mark.parametrize("kind", FRAGMENTS)
def test_without_pictures_all_else_is_shown(
    dissection: Dissection, kind: str
) -> None:
    reader = Reader(FRAGMENTS[kind](dissection))
    assert reader.pictures == []
    assert "cat" in reader.text
    if kind != "comparison":
        assert "has no pictures of its units' top images" in reader.words


def pixels_of(source: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    content = base64.b64decode(source.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(content)).convert("L"))


class TestThumbnails:
    def test_all_but_the_mask_is_dimmed(self) -> None:
        white = np.full((48, 64, 3), 255, np.uint8)
        mask = np.zeros((24, 32), np.bool_)
        mask[6:18, 8:24] = True
        grey = pixels_of(thumbnail(white, mask, 64))
        assert grey.shape == (48, 64)
        # JPEG is not exact, and the outline is yellow
        assert grey[16:32, 20:44].min() > 240
        most = 255 * BRIGHTNESS_OUTSIDE + 20
        assert grey[:8].max() < most and grey[:, 52:].max() < most

    def test_the_longer_side_is_as_asked_for(self) -> None:
        picture = np.zeros((50, 200, 3), np.uint8)
        assert pixels_of(thumbnail(picture, None, 100)).shape == (25, 100)

    def test_small_pictures_are_not_enlarged(self) -> None:
        picture = np.zeros((10, 20, 3), np.uint8)
        assert pixels_of(thumbnail(picture, None, 100)).shape == (10, 20)


class TestLayers:
    def test_counts_and_best_detectors(self, pictured: Dissection) -> None:
        reader = Reader(pictured._repr_html_())
        assert "2 unique detectors · 3 detectors among 5 units" in reader.words
        assert "cat 0.2727 2 7e-300 2" in reader.words
        assert "tail 0.2500 1 0.3 1" in reader.words
        for note in pictured.notes:
            assert note in reader.text
        # two pictures of each of two units
        alts = [alt for _, alt in reader.pictures]
        assert len(alts) == 4
        assert "b.jpg, activation up to 2; bright where unit 2 is active" in alts

    def test_nearest_misses(self, dissection: Dissection) -> None:
        settings = replace(dissection.settings, min_iou=0.26)
        reader = Reader(replace(dissection, settings=settings)._repr_html_())
        assert "nearest misses: tail (part) 0.2500, unit 1" in reader.words

    def test_many_concepts_have_fewer_pictures(self, pictured: Dissection) -> None:
        several = DissectionList([pictured] * 7)
        reader = Reader(several._repr_html_())
        # 14 rows: two pictures each
        assert len(reader.pictures) == 28
        many = DissectionList([pictured] * 30)
        assert Reader(many._repr_html_()).pictures == []

    def test_many_notes_are_cut_with_a_count(self, dissection: Dissection) -> None:
        notes = tuple(f"note {number}" for number in range(30))
        provenance = replace(dissection.provenance, notes=notes)
        noted = replace(dissection, provenance=provenance)
        reader = Reader(noted._repr_html_())
        assert f"and {len(noted.notes) - 12} more notes" in reader.words


class TestUnits:
    def test_label_concepts_and_pictures(self, pictured: Dissection) -> None:
        reader = Reader(unit_html(pictured, 2))
        assert "block.1/relu: unit 2 of 5" in reader.words
        assert "cat (object), IoU 0.2727: a detector (IoU > 0.04)" in reader.words
        # its label, then those that follow
        bars = re.findall(
            r"(cat|dog|tail|ear) (?:object|part) ([\d.]+)", reader.words
        )
        assert [name for name, _ in bars] == ["cat", "dog", "ear", "tail"]
        ious = [float(iou) for _, iou in bars]
        assert ious == sorted(ious, reverse=True)
        masked = [alt for _, alt in reader.pictures if "is active" in alt]
        assert len(masked) == 2

    def test_annotations_stand_below(self, pictured: Dissection) -> None:
        pictures = pictured.pictures
        assert pictures is not None
        label = int(pictured.labels[2])
        annotated = [
            image
            for image in pictured.top_images[2, :2].tolist()
            if pictures.concept_mask(image, label).any()
        ]
        reader = Reader(unit_html(pictured, 2))
        below = [alt for _, alt in reader.pictures if "annotated as cat" in alt]
        assert len(below) == len(annotated)
        assert reader.words.count("without cat") == 2 - len(annotated)

    def test_a_unit_that_overlaps_nothing(self, pictured: Dissection) -> None:
        reader = Reader(unit_html(pictured, 3))
        assert "No concept overlaps the unit's mask: no detector" in reader.words
        assert "dead: constant everywhere" in reader.words
        assert all("annotated" not in alt for _, alt in reader.pictures)

    def test_activations_above_the_threshold_are_coloured(
        self, dissection: Dissection
    ) -> None:
        sample = np.tile(np.linspace(0, 2, 201)[:, None], (1, 5))
        histograms = ActivationHistograms.of(sample, np.full(5, 2.0))
        html = unit_html(replace(dissection, histograms=histograms), 0)
        bars = re.findall(r"min-width:1px;height:([\d.]+)%;background:(\S+);", html)
        assert len(bars) == BINS
        colours = [colour for _, colour in bars]
        above = colours.count(category_colour("object"))
        # T_k is 1.5 of 2
        assert above == BINS / 4 and colours.count("currentColor") == BINS - above
        assert colours == ["currentColor"] * (BINS - above) + [colours[-1]] * above
        assert "above T_k = 1.5" in html

    def test_a_unit_that_the_layer_has_not(self, pictured: Dissection) -> None:
        with pytest.raises(BadInput, match="no unit 5"):
            unit_html(pictured, 5)

    def test_what_show_displays(self, pictured: Dissection) -> None:
        assert pictured.show(2)._repr_html_() == unit_html(pictured, 2)
        one = Reader(pictured.show(2, images=1)._repr_html_())
        assert sum("is active" in alt for _, alt in one.pictures) == 1


class TestComparisons:
    def test_counts_groups_and_cells(self, pictured: Dissection) -> None:
        settings = replace(pictured.settings, min_iou=0.26)
        strict = replace(pictured, settings=settings)
        comparison = compare_dissections([pictured, strict], ["one", "two"])
        reader = Reader(comparison._repr_html_())
        assert "2 layers side by side" in reader.words
        assert "unique detectors 2 1" in reader.words
        assert "1 in every layer : cat" in reader.words
        assert "1 only in one : tail" in reader.words
        assert "0.2500, 1 unit" in reader.words
        assert "0.2500, nearest" in reader.words
        assert "limits of detectors differ: IoU > 0.04 (one)" in reader.words
        # two concepts in two layers, two pictures each
        assert len(reader.pictures) == 8
