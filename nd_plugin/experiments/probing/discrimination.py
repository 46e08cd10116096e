"""Discrimination: how well a linear classifier tells classes by a layer's units (section 3.9).

Section 3.2 does the same with a rotation of the layer: it is as discriminative as the layer,
although its directions are less interpretable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nd_plugin.bases.rotations import Geodesic, random_rotation
from nd_plugin.contracts.models import Model
from nd_plugin.contracts.precision import computed_precision
from nd_plugin.contracts.provenance import Identity, Settings
from nd_plugin.engine.part_run import Progress, silent
from nd_plugin.errors import BadInput, RunFailed
from nd_plugin.experiments.probing.labelled_images import (
    LabelledImages,
    classes_without,
    find_labelled_images,
)
from nd_plugin.experiments.probing.linear_svm import (
    ClassAccuracy,
    Floats,
    Split,
    SvmSettings,
    class_accuracy,
    load_classifier,
)
from nd_plugin.experiments.probing.pooled_features import (
    POOLING,
    PooledFeatures,
    pooled_features,
)
from nd_plugin.plugins.layer_patterns import choose_layers
from nd_plugin.plugins.opening import open_model
from nd_plugin.preprocess import Preprocess
from nd_plugin.probe_data.batches import Feed


@dataclass(frozen=True)
class Rotations:
    """Rotations Q^α of a layer to be tested beside it: α values, and seeds of Q."""

    alphas: tuple[float, ...] = ()
    seeds: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        """Check the range of α. Raises BadInput."""
        for alpha in self.alphas:
            if not 0 <= alpha <= 1:
                raise BadInput(
                    f"rotation α {alpha} is not between 0 (the layer) and 1 (Q)"
                )
        if self.alphas and not self.seeds:
            raise BadInput("rotations need one seed or more")


@dataclass(frozen=True)
class RotatedAccuracy:
    """Accuracy of a layer in a rotated basis."""

    alpha: float
    seed: int
    accuracy: ClassAccuracy


@dataclass(frozen=True)
class LayerAccuracy:
    """Accuracy of a layer, and of its rotations."""

    layer: str
    units: int
    accuracy: ClassAccuracy
    rotated: tuple[RotatedAccuracy, ...] = ()

    @property
    def largest_difference(self) -> float:
        """Largest difference between the accuracies of a rotation and of the layer; 0 of none."""
        return max(
            (abs(item.accuracy.mean - self.accuracy.mean) for item in self.rotated),
            default=0.0,
        )

    @property
    def is_as_discriminative(self) -> bool:
        """Whether all rotations lie within the interval of the layer's accuracy."""
        lowest, highest = self.accuracy.interval
        means = [item.accuracy.mean for item in self.rotated]
        return all(lowest <= mean <= highest for mean in means)


@dataclass(frozen=True)
class Discrimination:
    """Accuracies of layers of one model on one set of labelled images."""

    model: Identity
    images: Identity
    classes: tuple[str, ...]
    train_images: int
    test_images: int
    svm: SvmSettings
    layers: tuple[LayerAccuracy, ...]
    preprocess: Mapping[str, Any] = field(default_factory=dict)
    precision: str = ""
    pooling: str = POOLING
    notes: tuple[str, ...] = ()

    @property
    def chance(self) -> float:
        """Accuracy, averaged over classes, of a guess."""
        return 1 / len(self.classes)


def discriminate(
    model: Any,
    layers: Sequence[str],
    images: str | Path | LabelledImages,
    *,
    svm: SvmSettings | None = None,
    rotations: Rotations | None = None,
    preprocess: Preprocess | None = None,
    settings: Settings | None = None,
    batch_size: int | None = None,
    workers: int | None = None,
    progress: Progress = silent,
) -> Discrimination:
    """Train and test a linear classifier on each layer, all with one forward pass over the images.

    Args:
        model: An opened model, or whatever `open_model` takes.
        layers: Names and patterns of layers.
        images: A folder, see `find_labelled_images`, or what it returns.
        svm: Of the classifier; None: the paper's C, features scaled by one number for the layer.
        rotations: Tested beside the layers; None: none.
        preprocess: None: the model's own.
        settings: ``strict`` and ``max_pixels`` are used.
        batch_size: Images per forward pass; None: by device.
        workers: Processes that decode images; None: by the number of cores.
        progress: Called with the stage, images done, images in all.

    Returns:
        Accuracies averaged over classes, with intervals over the test images.

    Raises:
        BadInput: No such folder or layer; a class without images for training or tests.
        Unavailable: scikit-learn is not installed.
    """
    load_classifier()  # refused before the model runs
    labelled = images
    if not isinstance(labelled, LabelledImages):
        labelled = find_labelled_images(labelled)
    opened = model if _is_opened(model) else open_model(model)
    preprocess = preprocess or opened.preprocess
    feed = Feed.of(
        labelled,
        preprocess,
        settings or Settings(),
        opened.device,
        batch_size,
        workers,
    )
    names = choose_layers(opened, layers, preprocess.size)
    features = pooled_features(opened, names, feed, progress)
    svm = svm or SvmSettings()
    return _classified(
        opened, labelled, features, svm, rotations or Rotations(), preprocess
    )


def _is_opened(model: Any) -> bool:
    return hasattr(model, "probe") and hasattr(model, "identity")


def _classified(
    model: Model,
    labelled: LabelledImages,
    features: PooledFeatures,
    svm: SvmSettings,
    rotations: Rotations,
    preprocess: Preprocess,
) -> Discrimination:
    _check_classes(labelled, features)
    layers: list[LayerAccuracy] = []
    notes = [*labelled.notes, *preprocess.notes, *model.notes, *features.notes]
    for layer, matrix in features.by_layer.items():
        split = split_features(labelled, features, matrix)
        accuracy, layer_notes = layer_accuracy(
            layer, split, len(labelled.classes), svm, rotations
        )
        layers.append(accuracy)
        notes += [f"{layer}: {note}" for note in layer_notes]
    for_test = np.array(labelled.for_test)[features.images]
    return Discrimination(
        model=model.identity,
        images=labelled.identity,
        classes=labelled.classes,
        train_images=int((~for_test).sum()),
        test_images=int(for_test.sum()),
        svm=svm,
        layers=tuple(layers),
        preprocess=preprocess.describe(),
        precision=computed_precision(model),
        notes=tuple(dict.fromkeys(notes)),
    )


def _check_classes(labelled: LabelledImages, features: PooledFeatures) -> None:
    """Raise RunFailed where all images of a class in a split are unreadable."""
    readable = LabelledImages(
        labelled.root,
        tuple(labelled.paths[image] for image in features.images),
        labelled.classes,
        tuple(labelled.labels[image] for image in features.images),
        tuple(labelled.for_test[image] for image in features.images),
    )
    for is_test, split in ((True, "test"), (False, "training")):
        missing = classes_without(readable, is_test)
        if missing:
            raise RunFailed(
                f"no {split} image of {', '.join(map(repr, missing))} can be read "
                f"({'; '.join(features.notes)})"
            )


def split_features(
    labelled: LabelledImages, features: PooledFeatures, matrix: Floats
) -> Split:
    """Return a layer's features (row, unit) for training and for tests."""
    labels = np.array(labelled.labels, dtype=np.int64)[features.images]
    for_test = np.array(labelled.for_test)[features.images]
    return Split(
        matrix[~for_test], labels[~for_test], matrix[for_test], labels[for_test]
    )


def layer_accuracy(
    layer: str,
    split: Split,
    class_count: int,
    svm: SvmSettings,
    rotations: Rotations,
) -> tuple[LayerAccuracy, tuple[str, ...]]:
    """Return the accuracy of a layer's features and of their rotations, and notes."""
    units = split.train.shape[1]
    accuracy, notes = class_accuracy(split, svm, class_count)
    rotated: list[RotatedAccuracy] = []
    for seed in rotations.seeds if rotations.alphas else ():
        geodesic = Geodesic.of(random_rotation(units, seed))
        for alpha in rotations.alphas:
            in_basis = split.rotated(geodesic.power(alpha))
            of_rotation, more_notes = class_accuracy(in_basis, svm, class_count)
            rotated.append(RotatedAccuracy(alpha, seed, of_rotation))
            notes = (*notes, *more_notes)
    rotated.sort(key=lambda item: (item.alpha, item.seed))
    result = LayerAccuracy(layer, units, accuracy, tuple(rotated))
    return result, tuple(dict.fromkeys(notes))
