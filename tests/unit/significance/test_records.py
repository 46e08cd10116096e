"""Counts by fold and the chance level: sums, and their arrays in dissection.npz."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nd_plugin import BadInput, Dissection, RunInvalid, Settings
from nd_plugin.results.folder_names import DISSECTION
from nd_plugin.significance.chance_counts import ChanceCounts
from nd_plugin.significance.fold_counts import FoldCounts

FOLDS = 3


def split(total: Any, rng: np.random.Generator) -> Any:
    """Random non-negative parts that add up to ``total``, on a first axis."""
    cuts = np.sort(rng.integers(0, total + 1, (FOLDS - 1, *total.shape)), axis=0)
    zeros = np.zeros_like(total)[None]
    return np.diff(cuts, axis=0, prepend=zeros, append=total[None])


def folds_of(dissection: Dissection) -> tuple[FoldCounts, Any]:
    """Random folds of a dissection, and their intersections (fold, unit, concept)."""
    rng = np.random.default_rng(4)
    intersection = split(dissection.intersection, rng)
    pairs = np.flatnonzero(intersection)
    folds = FoldCounts(
        pairs,
        intersection.ravel()[pairs],
        split(dissection.unit_area, rng),
        split(dissection.concept_area, rng),
        split(dissection.category_images, rng),
    )
    return folds, intersection


def with_counts(dissection: Dissection) -> Dissection:
    folds, _ = folds_of(dissection)
    iou = np.linspace(0, 1, 2 * dissection.units).reshape(2, -1)
    labels = np.arange(2 * dissection.units).reshape(2, -1) % 4
    chance = ChanceCounts(iou, labels, 1)
    return replace(dissection, folds=folds, chance=chance)


class TestFoldCounts:
    def test_weighted_sums(self, dissection: Dissection) -> None:
        folds, intersection = folds_of(dissection)
        assert (folds.folds, folds.units, folds.concepts) == (FOLDS, 5, 4)
        for weights in ([1, 1, 1], [0, 3, 0], [2, 0, 1]):
            parts = (intersection, folds.unit_area, folds.concept_area)
            for total, part in zip(folds.weighted(weights), parts, strict=True):
                expected = sum(
                    weight * of_fold
                    for weight, of_fold in zip(weights, part, strict=True)
                )
                assert total.dtype == np.int64
                assert np.array_equal(total, expected)

    def test_all_once_are_the_dissection(self, dissection: Dissection) -> None:
        folds, _ = folds_of(dissection)
        intersection, unit_area, concept_area = folds.weighted([1] * FOLDS)
        assert np.array_equal(intersection, dissection.intersection)
        assert np.array_equal(unit_area, dissection.unit_area)
        assert np.array_equal(concept_area, dissection.concept_area)

    @pytest.mark.parametrize("weights", [[1, 1], [0.5, 0.5, 2.0], 1])
    def test_weights_are_integers_of_all_folds(
        self, dissection: Dissection, weights: Any
    ) -> None:
        folds, _ = folds_of(dissection)
        with pytest.raises(BadInput, match="an integer for each of the 3 folds"):
            folds.weighted(weights)


class TestStorage:
    def test_what_is_saved_is_loaded(
        self, dissection: Dissection, tmp_path: Path
    ) -> None:
        saved = with_counts(dissection)
        loaded = Dissection.load(saved.save(tmp_path / "d"))
        assert loaded.folds is not None and saved.folds is not None
        for name, array in vars(saved.folds).items():
            stored = getattr(loaded.folds, name)
            assert stored.dtype == np.int64 and np.array_equal(stored, array), name
        assert loaded.chance is not None and saved.chance is not None
        assert np.array_equal(loaded.chance.iou, saved.chance.iou)
        assert np.array_equal(loaded.chance.labels, saved.chance.labels)
        assert loaded.chance.fixed_images == 1
        assert loaded.chance.permutations == 2

    def test_earlier_runs_have_none(
        self, dissection: Dissection, tmp_path: Path
    ) -> None:
        loaded = Dissection.load(dissection.save(tmp_path / "d"))
        assert loaded.folds is None and loaded.chance is None

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"fold_pixels": None}, "fold_pixels is missing beside fold_gaps"),
            ({"chance_labels": None}, "chance_labels is missing beside chance_iou"),
            ({"fold_unit_area": 0}, "the folds do not add up to unit_area"),
            ({"fold_concept_area": 0}, "the folds do not add up to concept_area"),
            ({"fold_category_images": 0}, "do not add up to category_images"),
            ({"fold_pixels": 1}, "the folds do not add up to intersection"),
            ({"fold_pixels": -1}, "fold_pixels has a negative number"),
            ({"fold_gaps": 0}, "fold_gaps do not lead through pairs up to 60"),
            ({"fold_gaps": 100}, "fold_gaps do not lead through pairs up to 60"),
            (
                {"fold_gaps": "too far"},
                "fold_gaps do not lead through pairs up to 60",
            ),
            ({"fold_gaps": 0.5}, r"fold_gaps is float64\("),
            ({"fold_gaps": "first"}, r"fold_gaps is uint8\(\), where integers"),
            ({"fold_unit_area": "first"}, r"fold_unit_area is int64\(5, 2\)"),
            ({"chance_labels": 4}, "chance_labels has concept 4 of 4"),
            ({"chance_labels": "first"}, r"chance_labels is int64\(5,\)"),
            ({"chance_iou": 1.5}, "chance_iou is .* out of range"),
            ({"chance_iou": np.nan}, "chance_iou is .* out of range"),
            ({"chance_iou": "first"}, r"chance_iou is float64\(5,\)"),
            ({"chance_fixed_images": -2}, "chance_fixed_images has a negative"),
            (
                {"chance_iou": "none", "chance_labels": "none"},
                "chance_iou has no permutation",
            ),
        ],
    )
    def test_damaged_arrays(
        self,
        dissection: Dissection,
        tmp_path: Path,
        change: dict[str, Any],
        message: str,
    ) -> None:
        """An array without (None), with its first row alone or none, or filled with one number.

        Or with a last number that leads beyond int64.
        """
        file = with_counts(dissection).save(tmp_path / "d") / DISSECTION
        with np.load(file) as stored:
            arrays = dict(stored)
        for name, value in change.items():
            array = arrays.pop(name)
            if value == "first":
                arrays[name] = array[0]
            elif value == "none":
                arrays[name] = array[:0]
            elif value == "too far":
                arrays[name] = np.append(array[:-1].astype(np.int64), 2**63 - 1)
            elif value is not None:
                arrays[name] = np.full(array.shape, value)
        np.savez(file, **arrays)
        with pytest.raises(RunInvalid, match=message):
            Dissection.load(file.parent)

    def test_one_fold_is_none(self, dissection: Dissection, tmp_path: Path) -> None:
        file = with_counts(dissection).save(tmp_path / "d") / DISSECTION
        with np.load(file) as stored:
            arrays = dict(stored)
        for name in ("unit_area", "concept_area", "category_images"):
            arrays[f"fold_{name}"] = arrays[name][None]
        pairs = np.flatnonzero(arrays["intersection"])
        arrays["fold_gaps"] = np.diff(pairs, prepend=0)
        arrays["fold_pixels"] = arrays["intersection"].ravel()[pairs]
        np.savez(file, **arrays)
        with pytest.raises(RunInvalid, match="has 1 folds, where 2 or more belong"):
            Dissection.load(file.parent)


class TestSettings:
    def test_numbers_of_any_type(self) -> None:
        numbers: dict[str, Any] = {"folds": np.int32(5), "permutations": np.int8(3)}
        settings = Settings(**numbers)
        assert (settings.folds, settings.permutations) == (5, 3)
        assert type(settings.folds) is int

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"folds": 1}, "folds 1 leaves nothing to compare: give at least 2"),
            ({"folds": -2}, "folds -2 leaves nothing to compare"),
            ({"folds": 2.5}, "folds 2.5 is no whole number"),
            ({"permutations": -1}, "permutations -1 is a number of permutations"),
            ({"seed": -1}, "seed -1 is negative"),
        ],
    )
    def test_what_cannot_be_meant(
        self, change: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(BadInput, match=message):
            Settings(**change)
