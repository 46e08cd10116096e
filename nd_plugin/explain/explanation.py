"""Explanations that display themselves in terminals, notebooks and figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, overload

from rich.console import RenderableType

from nd_plugin.report.explanation_record import ExplanationRecord, to_json
from nd_plugin.report.explanations import (
    render,
    render_all,
    to_html,
    to_html_fragment,
)
from nd_plugin.report.mask_overlays import plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Explanation(ExplanationRecord):
    """Explanation of one output for one image: units that contribute most, in descending order."""

    def plot(self) -> Figure:
        """Draw the image and the masks of its units, each titled with its concept."""
        return plot([self])

    def __rich__(self) -> RenderableType:
        return render(self)

    def _repr_html_(self) -> str:
        return to_html_fragment([self])


class Explanations(Sequence[Explanation]):
    """Explanations of a batch, one for each image."""

    def __init__(self, explanations: Sequence[Explanation]) -> None:
        self._explanations = tuple(explanations)

    @overload
    def __getitem__(self, index: int) -> Explanation: ...

    @overload
    def __getitem__(self, index: slice) -> Explanations: ...

    def __getitem__(self, index: int | slice) -> Explanation | Explanations:
        if isinstance(index, slice):
            return Explanations(self._explanations[index])
        return self._explanations[index]

    def __len__(self) -> int:
        return len(self._explanations)

    def __iter__(self) -> Iterator[Explanation]:
        return iter(self._explanations)

    def __repr__(self) -> str:
        return f"Explanations({list(self._explanations)!r})"

    def to_json(self) -> str:
        """Return a JSON document: the `to_dict` of each explanation under ``explanations``."""
        return to_json(self)

    def to_html(self) -> str:
        """Return a complete HTML page with embedded images; names are escaped."""
        return to_html(self)

    def plot(self) -> Figure:
        """Draw a row for each image: the image and the masks of its units."""
        return plot(self)

    def __rich__(self) -> RenderableType:
        return render_all(self)

    def _repr_html_(self) -> str:
        return to_html_fragment(self)
