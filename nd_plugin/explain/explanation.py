"""Why this answer: the units that an image's output rests on, and what they detect (the paper's section 3.10)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import RenderableType


MaskPixels = npt.NDArray[np.bool_]


Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class RankedUnit:
    """A unit that contributes to an output, and the concept it detects."""

    unit: int  # 0-based
    concept: str  # "" where its mask overlaps none
    category: str
    iou: float
    detector: bool  # whether its IoU is high enough for the name to be meant
    contribution: float
    share: float  # of the output
    mask: MaskPixels  # (row, column) of the image

    @property
    def label(self) -> str:
        """The concept; in parentheses where the unit is no detector of it."""
        return self.concept if self.detector else f"({self.concept or 'no concept'})"

    def to_dict(self) -> dict[str, Any]:
        """As plain values; the mask as run lengths, row by row, beginning with what lies outside."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "mask"}
        return {**plain, "mask": {"size": list(self.mask.shape), "counts": run_lengths(self.mask)}}


def run_lengths(mask: MaskPixels) -> list[int]:
    """How long the runs of equal pixels are, row by row; the first is outside, and may be 0."""
    flat = np.concatenate([[False], mask.ravel()])
    ends = np.flatnonzero(flat[1:] != flat[:-1])
    return [int(length) for length in np.diff(np.concatenate([[0], ends, [mask.size]]))]


@dataclass(frozen=True)
class Check:
    """Whether contributions tell the truth: the named units are set to 0 together, and the output is looked at."""

    said: float  # by how much it falls, from the contributions
    found: float  # by how much it falls

    @property
    def error(self) -> float:
        """Said minus found."""
        return self.said - self.found


@dataclass(frozen=True, eq=False)
class Explanation:
    """Of one image and one output: the units that contribute most, best first."""

    layer: str
    image: Pixels  # (row, column, channel), as the model saw it
    target: Any
    name: str  # of the target
    predicted: (
        str  # the name of the class that the model chose; "" where the outputs are no classes
    )
    output: float  # the logit
    bias: float | None  # of the linear head: contributions of all units + bias = output
    contribution: str  # which kind was taken
    mask: str  # which kind
    units: tuple[RankedUnit, ...]
    check: Check | None  # None where the model cannot be run without units
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As plain values, ready for JSON; the image itself is left out."""
        check = None if self.check is None else {**vars(self.check), "error": self.check.error}
        left = ("image", "units", "check", "notes")
        plain = {
            name: getattr(self, name) for name in self.__dataclass_fields__ if name not in left
        }
        units = [unit.to_dict() for unit in self.units]
        return {
            **plain,
            "target": _plain(self.target),
            "units": units,
            "check": check,
            "notes": list(self.notes),
        }

    def to_json(self) -> str:
        """What `to_dict` gives, as text."""
        return json.dumps(self.to_dict(), indent=1)

    def plot(self) -> Figure:
        """The image beside its units' masks, each with its concept; a matplotlib figure."""
        from nd_plugin.report.mask_overlays import plot

        return plot([self])

    def __repr__(self) -> str:
        units = ", ".join(
            f"{unit.unit} {unit.label} {unit.contribution:+.3g}" for unit in self.units
        )
        return f"Explanation({self.name}: {self.output:.4g}; {units or 'no unit that detects a concept'})"

    def __rich__(self) -> RenderableType:
        from nd_plugin.report.explanations import render

        return render(self)

    def _repr_html_(self) -> str:
        from nd_plugin.report.explanations import to_html_fragment

        return to_html_fragment([self])


class Explanations(Sequence[Explanation]):
    """One explanation for each image of a batch; shown and saved together."""

    def __init__(self, explanations: Sequence[Explanation]) -> None:
        self._each = tuple(explanations)

    @overload
    def __getitem__(self, place: int) -> Explanation: ...

    @overload
    def __getitem__(self, place: slice) -> Explanations: ...

    def __getitem__(self, place: int | slice) -> Explanation | Explanations:
        return Explanations(self._each[place]) if isinstance(place, slice) else self._each[place]

    def __len__(self) -> int:
        return len(self._each)

    def __iter__(self) -> Iterator[Explanation]:
        return iter(self._each)

    def __repr__(self) -> str:
        return f"Explanations({list(self._each)!r})"

    def to_json(self) -> str:
        """A list of what each explanation's `to_dict` gives."""
        return json.dumps([explanation.to_dict() for explanation in self], indent=1)

    def to_html(self) -> str:
        """A page of its own: pictures included, names escaped."""
        from nd_plugin.report.explanations import to_html

        return to_html(self)

    def plot(self) -> Figure:
        """A row for each image: the image beside its units' masks."""
        from nd_plugin.report.mask_overlays import plot

        return plot(self)

    def __rich__(self) -> RenderableType:
        from nd_plugin.report.explanations import render_all

        return render_all(self)

    def _repr_html_(self) -> str:
        from nd_plugin.report.explanations import to_html_fragment

        return to_html_fragment(self)


def _plain(target: Any) -> Any:
    if hasattr(target, "tolist"):
        return target.tolist()
    return list(target) if isinstance(target, tuple) else target
