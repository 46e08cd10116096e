"""Measure what each choice does to the numbers: ``python docs/measure_numbers.py SET …``.

A set is a concept set of ``nd``: ``shapes?images=100``, ``broden:DATA/broden_camvid``. The network
is EfficientNet-Lite0 with its ImageNet weights (the extra ``demo``); its units are those of the
last feature layer. One row of the table is one change from the definitions of docs/method.md.
Choices that nd_plugin has are run by it; those of other tools are computed here from its
activations, by a plain count that is first compared with nd_plugin's own.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from plain_counts import (
    ALL_IMAGES,
    CATEGORY_IS_LIT,
    Recorded,
    above,
    drawn,
    quantiles,
    record,
)

from nd_plugin import Dissection, LayerDissection, open_concepts, open_model

MODEL = "nd_torch.zoo:efficientnet_lite0"
LAYER = "_swish#1"
BEFORE_RELU = "_bn1"
MIN_IOU = 0.04
HEAD = "| change | detectors | unique | label kept | mean IoU |"


@dataclass(frozen=True)
class Scores:
    """IoU of each unit and concept, and what follows from it."""

    iou: np.ndarray  # (unit, concept)
    min_iou: float = MIN_IOU

    @property
    def labels(self) -> np.ndarray:
        """Concept with the highest IoU (unit,)."""
        return self.iou.argmax(1)

    @property
    def is_detector(self) -> np.ndarray:
        """Whether the label's IoU is above the limit (unit,)."""
        return self.iou.max(1) > self.min_iou

    def row(self, change: str, reference: Scores) -> str:
        """Return the line of the table; labels are those of the reference's detectors."""
        detectors = int(self.is_detector.sum())
        unique = len(set(self.labels[self.is_detector].tolist()))
        chosen = reference.is_detector
        kept = (self.labels == reference.labels)[chosen].mean()
        ratio = self.iou.max(1)[chosen].mean() / reference.iou.max(1)[chosen].mean()
        return (
            f"| {change} | {detectors} | {unique} | {kept:.0%} | {ratio - 1:+.1%} |"
        )


def measure(concept_set: str) -> None:
    """Print the table of one set."""
    units = LayerDissection(MODEL, LAYER)
    how = open_model(MODEL).preprocess
    options: dict[str, Any] = {"pictures": False, "top_images": 1, "workers": 0}

    def run(layer: str = LAYER, **changes: Any) -> Dissection:
        dissect = units if layer == LAYER else LayerDissection(MODEL, layer)
        return dissect.dissect(concept_set, **{**options, **changes})

    base = run()
    reference = Scores(np.asarray(base.iou))
    print(f"\n{concept_set}: {len(reference.iou)} units")
    print(
        "unique detectors per category:",
        base.report().summary.unique_detectors_per_category,
    )

    def show(change: str, scores: Scores | Dissection) -> None:
        if isinstance(scores, Dissection):
            scores = Scores(np.asarray(scores.iou))
        print(scores.row(change, reference), flush=True)

    thresholds = np.asarray(base.thresholds)
    concepts = open_concepts(concept_set)
    recorded = record(open_model(MODEL), LAYER, concepts, thresholds)
    print(f"{HEAD}\n|---|---|---|---|---|")
    show("none", reference)
    show("IoU above 0.05", replace(reference, min_iou=0.05))
    show_other_tools(recorded, reference, show)
    show("before the ReLU6", run(BEFORE_RELU))
    for size in (227, 384):
        show(
            f"input of {size} pixels",
            run(preprocess=replace(how, size=(size, size))),
        )
    show("masks of 56 pixels", run(mask_size=56))
    show("cells on an even grid (`--anchor cell`)", run(anchor="cell"))
    wrong = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    show("ImageNet's mean and deviation", run(preprocess=replace(how, **wrong)))
    unscaled = {"mean": (0.0,) * 3, "std": (1.0,) * 3}
    show("values of 0 to 1", run(preprocess=replace(how, **unscaled)))
    show(
        "blue and red exchanged", run(preprocess=replace(how, channel_order="bgr"))
    )
    show("bfloat16", run(precision="bfloat16"))


def show_other_tools(
    recorded: Recorded, reference: Scores, show: Callable[[str, Scores], None]
) -> None:
    """Show the choices that nd_plugin does not have."""
    own = recorded.thresholds
    values = recorded.maps.transpose(0, 1).flatten(1)
    upsampled = torch.stack(
        [
            recorded.upsampled(image)[:, ::4, ::4].clone()
            for image in range(len(recorded.maps))
        ]
    )
    thresholds = {
        "none": own,
        "quantile of upsampled maps": quantiles(upsampled.transpose(0, 1)),
        "quantile of 10 % of the values": quantiles(drawn(values, 0.1)),
        "quantile of 1 % of the values": quantiles(drawn(values, 0.01)),
    }
    limits = {change: above(levels) for change, levels in thresholds.items()}
    limits["≥ in place of >"] = lambda maps: maps >= own[:, None, None]
    counts = recorded.counted(limits)
    plain = counts.pop("none")
    difference = abs(plain.iou() - reference.iou).max()
    print(f"(largest difference of the plain count from nd_plugin's: {difference})")
    for change, variant in counts.items():
        show(change, Scores(variant.iou()))
    show(
        "an image counts where mask and category meet",
        Scores(plain.iou(CATEGORY_IS_LIT)),
    )
    show("all images count", Scores(plain.iou(ALL_IMAGES)))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for text in sys.argv[1:]:
        measure(text)
