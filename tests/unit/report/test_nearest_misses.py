"""Nearest misses: the best match of each category that no unit detects."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from nd_plugin import Dissection
from nd_plugin.report.tables import to_json
from nd_plugin.report.terminal import to_text


def at(dissection: Dissection, min_iou: float) -> Dissection:
    """The dissection with another limit for detectors."""
    return replace(
        dissection, settings=replace(dissection.settings, min_iou=min_iou)
    )


@pytest.fixture
def parts_missed(dissection: Dissection) -> Dissection:
    """Without a detector of parts: the best, unit 2, has 5 of 155 pixels of the ear."""
    intersection = dissection.intersection.copy()
    intersection[1, 2] = 0
    return replace(dissection, intersection=intersection)


class TestNearestMisses:
    def test_no_detectors_at_all(self, dissection: Dissection) -> None:
        report = at(dissection, 0.5).report()
        misses = report.nearest_misses()
        assert report.summary.detectors == 0
        assert [
            (miss.score.category, miss.score.concept, miss.score.unit, miss.label)
            for miss in misses
        ] == [("object", "cat", 2, ""), ("part", "tail", 1, "")]
        assert [miss.score.iou for miss in misses] == [60 / 220, 30 / 120]
        lines = [line.split() for line in to_text([report]).splitlines()]
        assert ["nearest", "miss", "concept", "IoU", "unit", "threshold"] in lines
        assert ["object", "cat", "0.2727", "2", "7e-300"] in lines
        assert ["part", "tail", "0.2500", "1", "0.3"] in lines

    def test_only_categories_without_detectors(
        self, parts_missed: Dissection
    ) -> None:
        report = parts_missed.report()
        (miss,) = report.nearest_misses()
        assert (miss.score.concept, miss.score.unit) == ("ear", 2)
        assert miss.score.iou == 5 / 155
        lines = [line.split() for line in to_text([report]).splitlines()]
        assert lines.count(["part", "0"]) == 1
        # Unit 2 is a detector of cats: the table says so.
        header = [
            "nearest",
            "miss",
            "concept",
            "IoU",
            "unit",
            "threshold",
            "detects",
        ]
        assert header in lines
        assert ["part", "ear", "0.0323", "2", "7e-300", "cat"] in lines

    def test_every_category_detected(self, dissection: Dissection) -> None:
        report = dissection.report()
        assert report.nearest_misses() == []
        assert "nearest miss" not in to_text([report])

    def test_no_overlap(self, dissection: Dissection) -> None:
        intersection = dissection.intersection.copy()
        intersection[:, 2:] = 0
        report = replace(dissection, intersection=intersection).report()
        assert report.nearest_misses() == []
        lines = [line.split() for line in to_text([report]).splitlines()]
        assert ["part", "no", "unit", "overlaps", "any"] in lines

    def test_nothing_lit_anywhere(self, dissection: Dissection) -> None:
        zeros = np.zeros_like(dissection.intersection)
        report = replace(dissection, intersection=zeros).report()
        assert to_text([report]).count("no unit overlaps any") == 2

    def test_as_json(self, parts_missed: Dissection) -> None:
        (layer,) = json.loads(to_json([parts_missed.report()]))["layers"]
        assert layer["nearest_misses"] == [
            {
                "category": "part",
                "concept": "ear",
                "iou": 5 / 155,
                "unit": 2,
                "detects": "cat",
            }
        ]

    @pytest.mark.parametrize("width", [40, 80])
    def test_whole_at_any_width(self, parts_missed: Dissection, width: int) -> None:
        text = to_text([parts_missed.report()], width)
        assert max(map(len, text.splitlines())) <= width
        words = text.replace(":", " ").replace(",", " ").split()
        for word in ("nearest", "ear", "0.0323", "7e-300", "detects", "threshold"):
            assert word in words, word
