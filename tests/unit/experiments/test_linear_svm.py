"""Accuracy averaged over classes, its interval, scaling, rotations; convergence is not lost."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from nd_plugin.bases.rotations import Geodesic, random_rotation
from nd_plugin.errors import BadInput, Unavailable
from nd_plugin.experiments.probing import linear_svm
from nd_plugin.experiments.probing.linear_svm import (
    ClassAccuracy,
    Split,
    SvmSettings,
    class_accuracy,
    load_classifier,
)


def gaussian_split(
    distance: float,
    counts: tuple[int, ...] = (60, 60, 60),
    units: int = 9,
    seed: int = 0,
) -> Split:
    """Draw classes whose centres lie ``distance`` standard deviations apart, in train and test."""
    random = np.random.default_rng(seed)
    parts = []
    for _ in range(2):
        labels = np.repeat(np.arange(len(counts)), counts)
        features = random.standard_normal((len(labels), units))
        features[np.arange(len(labels)), labels] += distance
        parts.append((features, labels))
    (train, train_labels), (test, test_labels) = parts
    return Split(train, train_labels, test, test_labels)


class TestAccuracy:
    def test_classes_count_alike(self) -> None:
        accuracy = ClassAccuracy(correct=(90, 0), images=(90, 10))
        assert accuracy.mean == 0.5 and accuracy.overall == 0.9

    def test_interval_of_equal_classes_is_wilson_s(self) -> None:
        # Wilson's interval of 45 of 50, from Newcombe (1998)'s formula by hand: 0.786 to 0.957
        low, high = ClassAccuracy((20, 25), (25, 25)).interval
        assert low == pytest.approx(0.7864, abs=1e-4)
        assert high == pytest.approx(0.9565, abs=1e-4)

    def test_a_small_class_widens_the_interval(self) -> None:
        balanced = ClassAccuracy((40, 40), (50, 50))
        unbalanced = ClassAccuracy((76, 4), (95, 5))
        assert balanced.mean == unbalanced.mean == 0.8
        assert unbalanced.effective_images == pytest.approx(19)
        assert unbalanced.interval[0] < balanced.interval[0]

    def test_an_interval_never_leaves_zero_and_one(self) -> None:
        low, high = ClassAccuracy((5, 5), (5, 5)).interval
        assert 0.6 < low < 0.9 and high == 1
        assert ClassAccuracy((0, 0), (5, 5)).interval[0] == 0

    def test_the_interval_covers_the_truth(self) -> None:
        random = np.random.default_rng(1)
        images = np.array([40, 25, 15, 60])
        shares = np.array([0.9, 0.6, 0.75, 0.5])
        covered = 0
        for correct in random.binomial(images, shares, (2000, 4)):
            accuracy = ClassAccuracy(
                tuple(correct.tolist()), tuple(images.tolist())
            )
            low, high = accuracy.interval
            covered += low <= shares.mean() <= high
        # three standard deviations of 2000 draws lie 0.015 around 0.95
        assert covered / 2000 > 0.935


class TestClassifier:
    @pytest.fixture(autouse=True)
    def sklearn(self) -> None:
        pytest.importorskip("sklearn")

    def test_separable_classes_are_told_apart(self) -> None:
        accuracy, notes = class_accuracy(gaussian_split(12), SvmSettings(), 3)
        assert accuracy.mean == 1 and notes == ()

    def test_classes_without_a_difference_are_guessed(self) -> None:
        split = gaussian_split(0, (200, 200, 200))
        accuracy, _ = class_accuracy(split, SvmSettings(), 3)
        low, high = accuracy.interval
        assert low < 1 / 3 < high

    def test_a_majority_is_no_accuracy(self) -> None:
        split = gaussian_split(0, (270, 30))
        accuracy, _ = class_accuracy(split, SvmSettings(), 2)
        assert accuracy.overall > 0.85 and accuracy.mean < 0.6

    @pytest.mark.parametrize("factor", [1e-4, 1e4])
    def test_a_factor_of_the_layer_changes_nothing(self, factor: float) -> None:
        split = gaussian_split(2)
        scaled = Split(
            split.train * factor,
            split.train_labels,
            split.test * factor,
            split.test_labels,
        )
        first, _ = class_accuracy(split, SvmSettings(), 3)
        second, _ = class_accuracy(scaled, SvmSettings(), 3)
        # the optimum is the same; the solver stops near it
        assert abs(first.mean - second.mean) < 0.02

    def test_a_constant_unit_is_harmless(self) -> None:
        split = gaussian_split(12)
        split.train[:, 5] = split.test[:, 5] = 3.0
        for scaling in linear_svm.SCALINGS:
            accuracy, _ = class_accuracy(split, SvmSettings(scaling=scaling), 3)
            assert accuracy.mean > 0.95

    @pytest.mark.parametrize("scaling", ["layer", "none"])
    @pytest.mark.parametrize("alpha", [0.5, 1.0])
    def test_a_rotation_is_as_discriminative(
        self, scaling: str, alpha: float
    ) -> None:
        split = gaussian_split(1.5)
        settings = SvmSettings(scaling=scaling)
        accuracy, _ = class_accuracy(split, settings, 3)
        low, high = accuracy.interval
        assert 0.5 < accuracy.mean < 0.95, "neither chance nor certain"
        for seed in range(3):
            rotation = Geodesic.of(random_rotation(9, seed)).power(alpha)
            rotated, _ = class_accuracy(split.rotated(rotation), settings, 3)
            assert low <= rotated.mean <= high
            # the margin is the same; images at it may fall to either side
            assert abs(rotated.mean - accuracy.mean) < 0.02

    def test_an_unfinished_training_is_said(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(linear_svm, "ITERATIONS", 1)
        split = gaussian_split(0.5, (20, 20), units=200)
        _, notes = class_accuracy(split, SvmSettings(c=1000.0), 2)
        (note,) = notes
        assert "did not converge in 1 iterations" in note and "--svm-c" in note


def test_without_scikit_learn_the_remedy_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.svm", None)
    with pytest.raises(Unavailable, match=r"pip install 'nd_plugin\[sklearn\]'"):
        load_classifier()


@pytest.mark.parametrize("c", [0.0, -1.0, float("nan"), float("inf")])
def test_c_is_positive(c: float) -> None:
    with pytest.raises(BadInput, match="is not a positive number"):
        SvmSettings(c)


def test_scalings_are_known() -> None:
    with pytest.raises(BadInput, match="none of layer, unit, none"):
        SvmSettings(scaling="whiten")
