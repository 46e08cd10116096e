"""Display of dissections in terminals, in notebooks and as figures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeVar, cast, overload

from rich.console import Group, RenderableType
from rich.padding import Padding

from nd_plugin.borders.printable import Printable, utf8
from nd_plugin.errors import BadInput
from nd_plugin.report.layer_report import LayerReport
from nd_plugin.report.terminal import render
from nd_plugin.results.atomic_files import (
    recovered,
    write_file,
    write_folder,
)
from nd_plugin.results.folder_names import REPORT_PAGE, is_report_folder
from nd_plugin.results.unit_view import TOP_IMAGES, UnitView, show_unit
from nd_plugin.site.report_pages import folder_files, to_html
from nd_plugin.storage.targets import check_file, check_folder

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from nd_plugin.results.dissection import Dissection

Entry = TypeVar("Entry")

PAGE_ENDINGS = (".html", ".htm")


class DisplayedLayer(ABC):
    """Layer that displays its report."""

    @abstractmethod
    def report(self) -> LayerReport:
        """Return what a report shows of this layer."""

    def plot(
        self, *, units: int | Sequence[int] | None = None, ax: Axes | None = None
    ) -> Figure:
        """Draw the number of units that detect each concept, in colours of categories.

        Args:
            units: Units to count; None: all.
            ax: Axes to draw into; None: of a new pyplot figure, shown by a notebook or by
                ``matplotlib.pyplot.show``.

        Returns:
            The figure.

        Raises:
            BadInput: A unit that the layer has not.
        """
        # matplotlib takes a second to import
        from nd_plugin.plots.concept_chart import plot_concepts

        axes = plot_concepts(self.report(), ax, units=units)
        return cast("Figure", axes.figure)

    def show(self, unit: int, *, images: int = TOP_IMAGES) -> UnitView:
        """Return a unit to look at: in a terminal (``rich.print``), in a notebook, as a figure.

        ``images`` is the number of top images. Raises BadInput for a unit that the layer has not.
        """
        return show_unit(cast("Dissection", self), unit, images)

    def to_latex(self, path: str | Path | None = None) -> str:
        r"""Return a table by category in LaTeX (booktabs), and write it to ``path``.

        One row, for this layer; ``nd_plugin.plots.latex_table`` makes one for several results.
        """
        from nd_plugin.plots.latex import latex_table

        text = latex_table(self)
        if path is not None:
            write_file(Path(path), utf8(text))
        return text

    def to_html(self, path: str | Path) -> None:
        """Write the report as pages: a folder, or one file where ``path`` ends in ``.html``.

        Both open from disk, without a network. An earlier report there is replaced. Raises BadInput
        for a folder that holds anything else, and where one file would be too large; NotSaved.
        """
        write_html([self.report()], Path(path))

    def __repr__(self) -> str:
        summary = self.report().summary
        return (
            f"{type(self).__name__}({summary.layer!r}: {summary.detectors} detectors of "
            f"{summary.unique_detectors} concepts among {summary.units} units, "
            f"{summary.images} images)"
        )

    def __rich__(self) -> RenderableType:
        return Printable(render(self.report()))

    def _repr_html_(self) -> str:
        return _fragment([self.report()])


class DissectionList(list[Entry]):
    """List of dissections, or of lists of them, that displays the report of each.

    One entry for each layer; where several quantiles were asked for, a list for each layer.
    """

    @overload
    def __getitem__(self, index: SupportsIndex) -> Entry: ...

    @overload
    def __getitem__(self, index: slice) -> DissectionList[Entry]: ...

    def __getitem__(self, index: SupportsIndex | slice) -> Any:
        if isinstance(index, slice):
            return DissectionList(super().__getitem__(index))
        return super().__getitem__(index)

    def to_html(self, path: str | Path) -> None:
        """Write one report of all layers, as `DisplayedLayer.to_html` does."""
        write_html(list(reports_of(self)), Path(path))

    def __repr__(self) -> str:
        """Return an entry on each line."""
        if not self:
            return "[]"
        entries = [repr(entry).replace("\n", "\n ") for entry in self]
        return "[" + ",\n ".join(entries) + "]"

    def __rich__(self) -> RenderableType:
        blank_line_below = (0, 0, 1, 0)
        blocks = [render(report) for report in reports_of(self)]
        return Printable(
            Group(*(Padding(block, blank_line_below) for block in blocks))
        )

    def _repr_html_(self) -> str:
        return _fragment(list(reports_of(self)))


def reports_of(entries: Iterable[Any]) -> Iterator[LayerReport]:
    """Yield the report of each layer, those of nested lists too."""
    for entry in entries:
        if isinstance(entry, DisplayedLayer):
            yield entry.report()
        elif isinstance(entry, list | tuple):
            yield from reports_of(entry)


def write_html(reports: Sequence[LayerReport], path: Path) -> None:
    """Write a report as a folder, or as one file where ``path`` ends in ``.html``.

    Raises BadInput for a folder of other things, and for a file that would be too large; NotSaved.
    """
    check_html_target(path)
    is_file = is_page_name(path)
    files = (
        {REPORT_PAGE: utf8(to_html(reports))} if is_file else folder_files(reports)
    )
    write_pages(files, path)


def write_pages(files: Mapping[str, bytes], path: Path) -> None:
    """Write pages as a folder; ``index.html`` alone where ``path`` ends in ``.html``.

    Raises BadInput for a folder of other things, NotSaved.
    """
    check_html_target(path)
    if is_page_name(path):
        write_file(path, files[REPORT_PAGE])
    else:
        write_folder(path, files, may_replace=is_report_folder)


def is_page_name(path: Path) -> bool:
    """Return whether a report at ``path`` is one file."""
    return path.suffix.lower() in PAGE_ENDINGS


def check_html_target(path: Path) -> None:
    """Raise BadInput where a report must not be written, NotSaved where it cannot be."""
    if is_page_name(path):
        if path.is_dir():
            raise BadInput(f"{path} is a folder; a name in .html is that of a file")
        check_file(path)
        return
    check_folder(path, "a report (or one file that ends in .html)")
    recovered(path)
    if path.is_dir():
        if not is_report_folder(path):
            raise BadInput(
                f"{path} holds other things than a report, and is not overwritten; "
                "choose another folder"
            )
    elif path.suffix[1:].isalpha():
        raise BadInput(
            f"an HTML report is a folder, or one file that ends in .html, and {path.name} ends in "
            f"{path.suffix}: choose another name"
        )


def _fragment(reports: Sequence[LayerReport]) -> str:
    """Return a piece of HTML, for notebooks."""
    # notebooks alone need its templates and pictures
    from nd_plugin.notebook.layer_fragment import layers_fragment

    return layers_fragment(reports)
