"""Reports in notebooks: colours for either background; texts of results."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from nd_plugin import Dissection
from nd_plugin.report.colours import OF_CATEGORY, category_colours

WHITE = (255, 255, 255)
DARK = (0x1E, 0x1E, 0x1E)  # of dark notebooks; JupyterLab's is darker


def luminance(colour: tuple[int, ...]) -> float:
    """Relative luminance as WCAG 2 defines it."""
    values = np.array(colour) / 255
    linear = np.where(
        values <= 0.03928, values / 12.92, ((values + 0.055) / 1.055) ** 2.4
    )
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_colours_are_read_on_dark_and_light(dissection: Dissection) -> None:
    categories = (*OF_CATEGORY, "a category without a colour")
    concepts = tuple(
        replace(dissection.concepts[0], name=category, category=category)
        for category in categories
    )
    count = len(concepts)
    diagonal = np.eye(count, dtype=np.int64) * 50
    colourful = replace(
        dissection,
        categories=categories,
        concepts=concepts,
        thresholds=np.ones(count),
        intersection=diagonal,
        unit_area=np.full((count, count), 100),
        concept_area=np.full(count, 100),
        category_images=np.full(count, 3),
        category_pixels=np.full(count, 768),
        dead=np.zeros(count, dtype=bool),
        sparse=np.zeros(count, dtype=bool),
        top_images=np.zeros((count, 1), dtype=np.int64),
        top_activations=np.ones((count, 1)),
    )
    html = colourful._repr_html_()
    assert not re.search(r"[^-]color:", html), "text has the notebook's own colour"
    backgrounds = set(re.findall(r"background:([^;\"]+)", html))
    assert backgrounds - {"none"} == set(category_colours(categories).values())
    for background in backgrounds - {"none"}:
        colour = tuple(bytes.fromhex(background.removeprefix("#")))
        assert min(contrast(colour, WHITE), contrast(colour, DARK)) >= 3.5


class TestTexts:
    def test_of_a_report(self, dissection: Dissection) -> None:
        assert repr(dissection.report()) == (
            "LayerReport('block.1/relu': 3 detectors of 2 concepts among 5 units, "
            "IoU > 0.04; 3 notes)"
        )

    def test_of_a_summary(self, dissection: Dissection) -> None:
        assert repr(dissection.summary()) == (
            "Summary('block.1/relu': 5 units, 3 detectors, 2 unique (object 1, part 1), "
            "2 unique counted per category, 1 dead, 1 sparse, 3 images, quantile 0.005)"
        )

    def test_of_units(self, dissection: Dissection) -> None:
        scores = list(dissection.unit_scores())
        assert repr(scores[1]) == (
            "UnitScore(unit 1: tail (part), IoU 0.2500, threshold 0.3, detector)"
        )
        assert repr(scores[3]).endswith("no detector, dead)")
        without_threshold = replace(scores[1], threshold=None)
        assert "threshold" not in repr(without_threshold)
