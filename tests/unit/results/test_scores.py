"""Scores beside IoU: their values, labels by them, what older runs lack."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from nd_plugin import BadInput, Concept, Dissection, Unavailable
from nd_plugin.report.layer_report import SCORE_NAMES
from nd_plugin.report.terminal import to_text
from nd_plugin.results import run_folder

PIXELS = 500
Bools = npt.NDArray[np.bool_]


def random_masks(seed: int, count: int, share: float) -> Bools:
    """(mask, pixel)"""
    return np.random.default_rng(seed).random((count, PIXELS)) < share


@pytest.fixture
def masks() -> tuple[Bools, Bools]:
    """Masks of five units, one of them empty, and of four concepts, one of them everywhere."""
    units = random_masks(0, 5, 0.3)
    units[3] = False
    concepts = random_masks(1, 4, 0.4)
    concepts[0] = units[0] ^ random_masks(2, 1, 0.02)[0]
    concepts[3] = True
    return units, concepts


@pytest.fixture
def counted(dissection: Dissection, masks: tuple[Bools, Bools]) -> Dissection:
    """Counts of these masks, all in images with both categories."""
    units, concepts = (array.astype(np.int64) for array in masks)
    return replace(
        dissection,
        intersection=units @ concepts.T,
        unit_area=np.repeat(units.sum(1)[:, None], 2, axis=1),
        concept_area=concepts.sum(1),
        category_pixels=np.array([PIXELS, PIXELS]),
    )


class TestValues:
    def test_they_are_those_of_the_pixels(
        self, counted: Dissection, masks: tuple[Bools, Bools]
    ) -> None:
        for unit, mask in enumerate(masks[0]):
            for index, concept in enumerate(masks[1]):
                expected = scores_of(mask, concept)
                for name in SCORE_NAMES:
                    value = counted.scores(name)[unit, index]
                    # sums of some hundred terms in float64
                    assert value == pytest.approx(expected[name], abs=1e-12), name

    def test_the_correlation_is_that_of_the_table(
        self, dissection: Dissection
    ) -> None:
        unit = next(dissection.unit_scores())
        # of two float64 formulas
        assert unit.correlation == pytest.approx(phi(50, 100, 200, 768), abs=1e-14)

    def test_a_unit_has_those_of_its_label(self, counted: Dissection) -> None:
        for unit, score in enumerate(counted.unit_scores()):
            label = counted.labels[unit]
            for name in SCORE_NAMES:
                assert getattr(score, name) == counted.scores(name)[unit, label]

    def test_f1_and_iou_order_pairs_alike(self, counted: Dissection) -> None:
        by_iou = np.argsort(counted.iou, axis=None, kind="stable")
        by_f1 = np.argsort(counted.scores("f1"), axis=None, kind="stable")
        assert by_iou.tolist() == by_f1.tolist()

    def test_another_name_is_refused(self, dissection: Dissection) -> None:
        known = "known are iou, f1, precision, recall, correlation"
        with pytest.raises(BadInput, match=f"no score 'dice'; {known}"):
            dissection.scores("dice")
        with pytest.raises(BadInput, match="no score 'dice'"):
            dissection.labelled_by("dice")


def scores_of(mask: Bools, concept: Bools) -> dict[str, float]:
    """Each score by its definition, on pixels."""
    both = int((mask & concept).sum())
    either = int((mask | concept).sum())
    precision = both / mask.sum() if mask.any() else 0.0
    recall = both / concept.sum() if concept.any() else 0.0
    is_constant = len(set(mask.tolist())) == 1 or len(set(concept.tolist())) == 1
    correlation = 0.0 if is_constant else np.corrcoef(mask, concept)[0, 1]
    harmonic = 2 * precision * recall / (precision + recall) if both else 0.0
    return {
        "iou": both / either,
        "precision": precision,
        "recall": recall,
        "f1": harmonic,
        "correlation": float(correlation),
    }


@pytest.fixture
def narrow(dissection: Dissection) -> Dissection:
    """Unit 0 covers half of cat (IoU 0.4), and lies within wall (IoU 0.03, precision 1)."""
    intersection = np.zeros((5, 4), np.int64)
    intersection[:, 0] = [50, 60, 70, 0, 1]
    intersection[0, 1] = 75
    return replace(
        dissection,
        concepts=(
            Concept("cat", "object"),
            Concept("wall", "object"),
            *dissection.concepts[2:],
        ),
        intersection=intersection,
        unit_area=np.array([[75, 0], [80, 0], [90, 0], [0, 0], [5, 0]]),
        concept_area=np.array([100, 2500, 90, 80]),
        category_pixels=np.array([10_000, 10_000]),
    )


class TestLabels:
    def test_iou_is_the_default(self, narrow: Dissection) -> None:
        assert narrow.labels.tolist() == [0, 0, 0, 0, 0]
        assert narrow.label_note == ""
        assert narrow.labelled_by("iou").to_json() == narrow.to_json()

    def test_precision_prefers_the_wide_concept(self, narrow: Dissection) -> None:
        by_precision = narrow.labelled_by("precision")
        assert by_precision.labels.tolist() == [1, 0, 0, 0, 0]
        unit = next(by_precision.unit_scores())
        assert (unit.concept, unit.precision, unit.iou) == ("wall", 1.0, 0.03)

    def test_iou_stays_the_definition_of_a_detector(
        self, narrow: Dissection
    ) -> None:
        by_precision = narrow.labelled_by("precision")
        assert [unit.unit for unit in by_precision.detectors()] == [2, 1]
        assert by_precision.summary().unique_detectors_per_category == 1
        assert "still a unit whose label has IoU > 0.04" in by_precision.notes[0]

    def test_a_limit_of_the_score_replaces_it(self, narrow: Dissection) -> None:
        by_precision = narrow.labelled_by("precision", min_score=0.76)
        assert [unit.unit for unit in by_precision.detectors()] == [0, 2]
        assert by_precision.summary().unique_detectors_per_category == 2
        assert "label has precision > 0.76" in by_precision.notes[0]
        with pytest.raises(BadInput, match="min_score 1 is not between -1 and 1"):
            narrow.labelled_by("precision", min_score=1)

    def test_no_overlap_is_no_match(self, narrow: Dissection) -> None:
        """A concept that is nowhere has a correlation of 0, above a negative one."""
        intersection = narrow.intersection.copy()
        intersection[0] = [0, 1, 0, 0]
        rare = replace(
            narrow,
            intersection=intersection,
            concept_area=np.array([0, 2500, 90, 80]),
        )
        assert rare.scores("correlation")[0, 1] < 0
        assert rare.labelled_by("correlation").labels[0] == 1
        lit_nowhere = rare.labelled_by("correlation", min_score=-1)
        assert not list(lit_nowhere.unit_scores())[3].detector

    def test_reports_are_ordered_by_it_and_say_so(self, narrow: Dissection) -> None:
        by_recall = narrow.labelled_by("recall")
        text = to_text([by_recall.report()])
        assert "recall" in text and "labelled and ordered by recall" in text
        (best, units), *_ = by_recall.report().best("object")
        assert (best.unit, best.recall, units) == (2, 0.7, 3)

    def test_categories_are_ranked_by_it_too(self, narrow: Dissection) -> None:
        scores = narrow.labelled_by("precision").report().category_scores
        assert scores["object"][0].concept == "wall"


class TestSaved:
    def test_as_columns_behind_the_others(
        self, dissection: Dissection, tmp_path: Path
    ) -> None:
        folder = dissection.save(tmp_path / "layer")
        rows = list(csv.DictReader((folder / "units.csv").read_text().splitlines()))
        assert list(rows[0])[-4:] == ["precision", "recall", "f1", "correlation"]
        assert float(rows[0]["precision"]) == 0.5
        assert float(rows[0]["recall"]) == 0.25

    def test_another_labelling_is_not_saved(
        self, narrow: Dissection, tmp_path: Path
    ) -> None:
        as_saved = (narrow.save(tmp_path / "iou") / "units.csv").read_bytes()
        view = narrow.labelled_by("precision", 0.5)
        folder = view.save(tmp_path / "precision")
        assert (folder / "units.csv").read_bytes() == as_saved
        assert Dissection.load(folder).label_score == "iou"


@pytest.fixture
def older(dissection: Dissection, tmp_path: Path) -> Path:
    """Run of a version that has not counted the pixels of categories."""
    earlier = replace(dissection, category_pixels=None)
    return run_folder.save_run(tmp_path / "older", [earlier])


class TestOlderRuns:
    def test_they_have_all_but_the_correlation(self, older: Path) -> None:
        (loaded,) = run_folder.load_run(older)
        assert loaded.scores("precision")[0, 0] == 0.5
        reason = "the run is of an earlier nd_plugin.*dissect again"
        with pytest.raises(Unavailable, match=reason):
            loaded.scores("correlation")
        with pytest.raises(Unavailable, match=reason):
            loaded.labelled_by("correlation")
        unit = next(loaded.unit_scores())
        assert unit.correlation is None and unit.f1 == pytest.approx(100 / 300)

    def test_its_column_is_empty(self, older: Path) -> None:
        (units,) = older.glob("*/units.csv")
        rows = list(csv.DictReader(units.read_text().splitlines()))
        assert {row["correlation"] for row in rows} == {""}


def phi(both: int, mask: int, concept: int, pixels: int) -> float:
    """Phi coefficient of a 2 x 2 table."""
    neither = pixels - mask - concept + both
    determinant = both * neither - (mask - both) * (concept - both)
    margins: Any = mask * concept * (pixels - mask) * (pixels - concept)
    return float(determinant / margins**0.5)
