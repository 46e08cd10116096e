"""Records of explanations: units that contribute most to an output (paper, section 3.10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nd_plugin.report.json_text import document_text

if TYPE_CHECKING:
    from nd_plugin.results.dissection import Dissection

MaskPixels = npt.NDArray[np.bool_]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class RankedUnit:
    """Unit that contributes to an output, and the concept it detects."""

    unit: int  # 0-based
    concept: str  # "" where the unit's mask overlaps no concept
    category: str
    iou: float
    detector: bool  # whether the IoU is above the dissection's min_iou
    contribution: float
    share: float  # contribution / sum of all units' absolute contributions
    mask: MaskPixels  # (row, column) of the image

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(unit {self.unit}: {self.label}, "
            f"{self.contribution:+.3g}, share {self.share:.1%})"
        )

    @property
    def label(self) -> str:
        """Name of the concept, in parentheses if the unit is not a detector of it."""
        if self.detector:
            return self.concept
        return f"({self.concept or 'no concept'})"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; the mask in COCO's uncompressed run-length format."""
        return {
            "unit": self.unit,
            "concept": self.concept,
            "category": self.category,
            "iou": self.iou,
            "detector": self.detector,
            "contribution": self.contribution,
            "share": self.share,
            "mask": {
                "size": list(self.mask.shape),
                "counts": run_lengths(self.mask),
            },
        }


def run_lengths(mask: MaskPixels) -> list[int]:
    """Count the pixels of each run of equal pixels, column by column from the upper left.

    These are the uncompressed ``counts`` of COCO's run-length format: column-major (Fortran) order,
    runs of zeros and ones in turn, starting with zeros (0 of them if the first pixel is set).

        1 0 0
        1 1 0    column by column: 1 1 0 1 0 0   ->   [0, 2, 1, 1, 2]
    """
    pixels = mask.ravel(order="F")
    pixels_after_zero = np.concatenate([[False], pixels])
    run_starts = np.flatnonzero(pixels_after_zero[1:] != pixels_after_zero[:-1])
    boundaries = np.concatenate([[0], run_starts, [pixels.size]])
    lengths: list[int] = np.diff(boundaries).tolist()
    return lengths


@dataclass(frozen=True)
class Check:
    """Ablation check: change of the output when the named units are set to 0 together."""

    predicted: float  # decrease of the output according to the contributions
    measured: float  # decrease of the output in a forward pass without the units

    @property
    def error(self) -> float:
        """Predicted minus measured decrease."""
        return self.predicted - self.measured

    def to_dict(self) -> dict[str, float]:
        """Return plain values, ready for JSON."""
        return {
            "predicted": self.predicted,
            "measured": self.measured,
            "error": self.error,
        }


@dataclass(frozen=True, eq=False)
class ExplanationRecord:
    """Units that contribute most to one output for one image, largest contribution first."""

    layer: str
    image: Pixels  # (row, column, channel), as the model saw it
    target: Any
    name: str  # of the target
    predicted: str  # name of the class with the largest output; "" if the outputs are no classes
    output: float  # the target's output (logit)
    # of a linear head: contributions of all units + bias = output
    bias: float | None
    # of all units of the layer, named or not: what shares are fractions of
    absolute_sum: float
    contribution: str  # kind of contribution
    mask: str  # kind of mask
    units: tuple[RankedUnit, ...]
    check: Check | None  # None if the model cannot run without units
    notes: tuple[str, ...] = ()
    # that names the units, with their top images; None where only the record is left
    dissection: Dissection | None = field(default=None, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON, without the image's pixels."""
        return {
            "layer": self.layer,
            "target": _plain_target(self.target),
            "name": self.name,
            "predicted": self.predicted,
            "output": self.output,
            "bias": self.bias,
            "absolute_sum": self.absolute_sum,
            "contribution": self.contribution,
            "mask": self.mask,
            "units": [unit.to_dict() for unit in self.units],
            "check": None if self.check is None else self.check.to_dict(),
            "notes": list(self.notes),
        }

    def to_json(self) -> str:
        """Return `to_dict` as a JSON document."""
        return document_text(self.to_dict())

    def __repr__(self) -> str:
        units = [
            f"{unit.unit} {unit.label} {unit.contribution:+.3g}"
            for unit in self.units
        ]
        listing = ", ".join(units) or "no unit detects a concept"
        return f"{type(self).__name__}({self.name}: {self.output:.4g}; {listing})"


def to_json(records: Sequence[ExplanationRecord]) -> str:
    """Return a JSON document with the `to_dict` of each record under ``explanations``."""
    explanations = [record.to_dict() for record in records]
    return document_text({"explanations": explanations})


def _plain_target(target: Any) -> Any:
    if hasattr(target, "tolist"):
        return target.tolist()
    if isinstance(target, tuple):
        return list(target)
    return target
