"""Files of plots: PNG, SVG, PDF and PGF, written whole or not at all, with text as text."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nd_plugin.errors import BadInput, Unavailable
from nd_plugin.plots.kinds import check_plot_name
from nd_plugin.results.atomic_files import write_file

DOTS_PER_INCH = 300  # of PNG files, as printers ask for
TEX_SYSTEMS = (
    "lualatex",
    "xelatex",
    "pdflatex",
)  # that measure the texts of a PGF file
# Of files with vectors: text is text, and nothing in them tells when they were written.
VECTOR_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "nd_plugin",
    "pdf.fonttype": 42,
}
UNDATED: dict[str, dict[str, None]] = {
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}


def save_plot(plot: Axes | Figure, path: str | Path) -> Path:
    """Write the figure of a plot to a file whose ending names the format, and close it in pyplot.

    PNG has 300 dots per inch and the background of the figure; SVG, PDF and PGF hold texts as
    texts. PGF, for LaTeX, needs LaTeX here to measure them. The same plot gives the same file.

    Raises:
        BadInput: Another ending; pictures in a PGF file.
        NotSaved: The file cannot be written.
        Unavailable: PGF without LaTeX.
    """
    file = Path(path)
    ending = check_plot_name(file)
    figure = _figure_of(plot)
    settings = dict(VECTOR_SETTINGS)
    if ending == ".pgf":
        _check_no_pictures(figure, file)
        settings["pgf.texsystem"] = _tex_system(file)
        settings["pgf.rcfonts"] = False  # the document's own
    with plt.rc_context(settings):
        content = _content(figure, ending)
    write_file(file, content)
    plt.close(figure)
    return file


def _figure_of(plot: Axes | Figure) -> Figure:
    figure = plot if isinstance(plot, Figure) else plot.get_figure(root=True)
    if not isinstance(figure, Figure):
        raise BadInput(
            f"a plot is of type {type(plot).__name__}; expected Axes or a Figure"
        )
    return figure


def _content(figure: Figure, ending: str) -> bytes:
    options: dict[str, Any] = {"format": ending[1:], "bbox_inches": "tight"}
    if ending == ".png":
        options["dpi"] = DOTS_PER_INCH
    if ending in UNDATED:
        options["metadata"] = UNDATED[ending]
    if ending == ".pgf":
        text = io.StringIO()
        figure.savefig(text, **options)
        return text.getvalue().encode()
    content = io.BytesIO()
    figure.savefig(content, **options)
    return content.getvalue()


def _tex_system(path: Path) -> str:
    """Return a LaTeX that is installed. Raises Unavailable."""
    for name in TEX_SYSTEMS:
        if shutil.which(name) is not None:
            return name
    raise Unavailable(
        f"{path}: a PGF file needs LaTeX, which measures its texts, and none of "
        f"{', '.join(TEX_SYSTEMS)} is installed; install TeX Live, or write {path.stem}.pdf"
    )


def _check_no_pictures(figure: Figure, path: Path) -> None:
    """Raise BadInput for pictures: PGF would need files beside it for them."""
    for axes in figure.axes:
        if axes.images or axes.child_axes:
            raise BadInput(
                f"{path}: a PGF file holds no pictures, and this plot has some; "
                f"write {path.stem}.pdf"
            )
