"""Explanations that display themselves in terminals, notebooks and figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from rich.console import RenderableType

from nd_plugin.borders.printable import Printable, utf8
from nd_plugin.notebook.explanation_fragment import explanations_fragment
from nd_plugin.report.explanation_record import ExplanationRecord, to_json
from nd_plugin.report.explanations import render, render_all
from nd_plugin.results.atomic_files import write_file
from nd_plugin.results.displayed_layers import write_pages
from nd_plugin.results.folder_names import REPORT_PAGE
from nd_plugin.site.explanation_page import explanation_page

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Explanation(ExplanationRecord):
    """Explanation of one output for one image: units that contribute most, in descending order."""

    def to_json(self, path: str | Path | None = None) -> str:
        """Return `Explanation.to_dict` as JSON text, and write it to ``path``."""
        return _written(super().to_json(), path)

    @overload
    def to_html(self, path: None = None) -> str: ...

    @overload
    def to_html(self, path: str | Path) -> None: ...

    def to_html(self, path: str | Path | None = None) -> str | None:
        """Return a complete HTML page with embedded images, or write it to ``path``.

        A name that ends in ``.html`` is a file, any other a folder, which gets ``index.html``.
        Names are escaped. Raises BadInput for a folder of other things, NotSaved.
        """
        return _page([self], path)

    def plot(
        self, *, units: int | Sequence[int] | None = None, ax: Any = None
    ) -> Figure:
        """Draw the image and the masks of its units, each titled with its concept.

        Args:
            units: Units to draw, in this order; None: all that the explanation names.
            ax: Axes to draw into: one, which is divided into panels (with one unit in ``units`` it
                shows that unit alone), or one for each panel. None: of a new pyplot figure, shown
                by a notebook or by ``matplotlib.pyplot.show``.

        Returns:
            The figure.

        Raises:
            BadInput: A unit that the explanation does not name, or another number of axes.
        """
        return _plotted([self], units, ax)

    def __rich__(self) -> RenderableType:
        return Printable(render(self))

    def _repr_html_(self) -> str:
        return explanations_fragment([self])


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
        """Return an explanation on each line."""
        listing = ",\n ".join(repr(explanation) for explanation in self)
        return f"Explanations([{listing}])"

    def to_json(self, path: str | Path | None = None) -> str:
        """Return a JSON document, and write it to ``path``.

        It holds the `Explanation.to_dict` of each explanation under ``explanations``.
        """
        return _written(to_json(self), path)

    @overload
    def to_html(self, path: None = None) -> str: ...

    @overload
    def to_html(self, path: str | Path) -> None: ...

    def to_html(self, path: str | Path | None = None) -> str | None:
        """Return a complete HTML page with embedded images, or write it to ``path``.

        A name that ends in ``.html`` is a file, any other a folder, which gets ``index.html``.
        Names are escaped. Raises BadInput for a folder of other things, NotSaved.
        """
        return _page(self, path)

    def plot(
        self, *, units: int | Sequence[int] | None = None, ax: Any = None
    ) -> Figure:
        """Draw a row for each image: the image and the masks of its units.

        Arguments are those of `Explanation.plot`. A chosen unit that is not among those of an image
        is left out of its row.
        """
        return _plotted(self, units, ax)

    def __rich__(self) -> RenderableType:
        return Printable(render_all(self))

    def _repr_html_(self) -> str:
        return explanations_fragment(self)


def _written(text: str, path: str | Path | None) -> str:
    """Write a text to a path, if there is any, and return it."""
    if path is not None:
        write_file(Path(path), utf8(text))
    return text


def _page(
    explanations: Sequence[ExplanationRecord], path: str | Path | None
) -> str | None:
    """Return a page; None if it is written, so that no notebook displays its source."""
    text = explanation_page(explanations)
    if path is None:
        return text
    write_pages({REPORT_PAGE: utf8(text)}, Path(path))
    return None


def _plotted(
    explanations: Sequence[ExplanationRecord],
    units: int | Sequence[int] | None,
    ax: Any,
) -> Figure:
    # matplotlib takes a second to import
    from nd_plugin.plots.explanations import plot_explanations

    return plot_explanations(explanations, units, ax)
