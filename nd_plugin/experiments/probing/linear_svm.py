"""Linear support vector machine on features, and its accuracy averaged over classes."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nd_plugin.errors import BadInput, Unavailable

PAPER_C = 0.001
SCALINGS = ("layer", "unit", "none")
ITERATIONS = 10_000
NORMAL_QUANTILE = 1.959963984540054  # of a two-sided interval of 95 %

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SvmSettings:
    """Settings of the classifier. Raises BadInput for values out of range."""

    c: float = PAPER_C  # the paper's: small, a strong regularisation
    # "layer": centred, and divided by one number for the layer; "unit": each unit standardised;
    # "none": as the layer gives them
    scaling: str = "layer"

    def __post_init__(self) -> None:
        """Check the values."""
        if not (math.isfinite(self.c) and self.c > 0):
            raise BadInput(
                f"C {self.c} is not a positive number (the paper's is 0.001)"
            )
        if self.scaling not in SCALINGS:
            raise BadInput(
                f"scaling {self.scaling!r} is none of {', '.join(SCALINGS)}"
            )


@dataclass(frozen=True)
class ClassAccuracy:
    """Test images of each class, and how many of them are classified correctly."""

    correct: tuple[int, ...]
    images: tuple[int, ...]

    @property
    def mean(self) -> float:
        """Accuracy averaged over classes: a large class counts as much as a small one."""
        shares = np.array(self.correct) / np.array(self.images)
        return float(shares.mean())

    @property
    def overall(self) -> float:
        """Share of all test images that are classified correctly."""
        return sum(self.correct) / sum(self.images)

    @property
    def effective_images(self) -> float:
        """Test images of which a single share would vary as much as the mean over classes."""
        reciprocals = sum(1 / count for count in self.images)
        return len(self.images) ** 2 / reciprocals

    @property
    def interval(self) -> tuple[float, float]:
        """Interval of 95 % of the accuracy averaged over classes, over test images (Wilson's)."""
        count = self.effective_images
        z = NORMAL_QUANTILE
        centre = (self.mean + z**2 / (2 * count)) / (1 + z**2 / count)
        spread = self.mean * (1 - self.mean) / count + z**2 / (4 * count**2)
        half_width = z * math.sqrt(spread) / (1 + z**2 / count)
        # rounding must not leave an accuracy of 0 or 1 outside
        low = min(max(centre - half_width, 0.0), self.mean)
        high = max(min(centre + half_width, 1.0), self.mean)
        return low, high


@dataclass(frozen=True, eq=False)
class Split:
    """Features and classes for training, and for tests."""

    train: Floats  # (image, unit)
    train_labels: Integers  # (image,)
    test: Floats
    test_labels: Integers

    def rotated(self, rotation: Floats) -> Split:
        """Return the features in a rotated basis (direction, unit).

        Averages over a map rotate as the map does.
        """
        return Split(
            self.train @ rotation.T,
            self.train_labels,
            self.test @ rotation.T,
            self.test_labels,
        )

    def scaled(self, scaling: str) -> Split:
        """Return features centred and scaled by what the training images say."""
        if scaling == "none":
            return self
        centre = self.train.mean(axis=0)
        deviations = self.train.std(axis=0)
        if scaling == "layer":
            deviations = np.full_like(deviations, np.sqrt(np.mean(deviations**2)))
        deviations[deviations == 0] = 1.0
        return Split(
            (self.train - centre) / deviations,
            self.train_labels,
            (self.test - centre) / deviations,
            self.test_labels,
        )


def load_classifier() -> Any:
    """Return scikit-learn's LinearSVC. Raises Unavailable where it is not installed."""
    try:
        from sklearn.svm import LinearSVC
    except ImportError as error:
        raise Unavailable(
            "the linear classifier needs scikit-learn, which is not installed: "
            "pip install 'nd_plugin[sklearn]'"
        ) from error
    return LinearSVC


def class_accuracy(
    split: Split, settings: SvmSettings, class_count: int
) -> tuple[ClassAccuracy, tuple[str, ...]]:
    """Train on one part, test on the other; return the accuracy, and notes about convergence.

    Raises Unavailable without scikit-learn.
    """
    scaled = split.scaled(settings.scaling)
    classifier = load_classifier()(
        C=settings.c, random_state=0, max_iter=ITERATIONS, dual="auto"
    )
    notes = _fit(classifier, scaled)
    predicted = classifier.predict(scaled.test)
    is_correct = predicted == scaled.test_labels
    accuracy = ClassAccuracy(
        correct=_counts(scaled.test_labels[is_correct], class_count),
        images=_counts(scaled.test_labels, class_count),
    )
    return accuracy, notes


def _fit(classifier: Any, split: Split) -> tuple[str, ...]:
    """Fit a classifier; return a note where it did not converge."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        classifier.fit(split.train, split.train_labels)
    notes: list[str] = []
    for warning in caught:
        if issubclass(warning.category, ConvergenceWarning):
            notes.append(
                f"the classifier did not converge in {ITERATIONS} iterations: its accuracy is "
                "that of an unfinished training; a smaller --svm-c or --scaling unit helps"
            )
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    return tuple(dict.fromkeys(notes))


def _counts(labels: Integers, class_count: int) -> tuple[int, ...]:
    return tuple(np.bincount(labels, minlength=class_count).tolist())
