"""Files of plots: PNG, SVG, PDF and PGF, written whole or not at all, with text as text."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.backends import backend_pgf
from matplotlib.figure import Figure

from nd_plugin.borders.printable import utf8
from nd_plugin.errors import BadInput
from nd_plugin.plots.kinds import check_plot, tex_system
from nd_plugin.plots.latex import escape
from nd_plugin.plots.style import printable_texts
from nd_plugin.results.atomic_files import write_file

DOTS_PER_INCH = 300  # of PNG files, as printers ask for
# that measure the texts of a PGF file
TEX_SYSTEMS = ("lualatex", "xelatex", "pdflatex")
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
    figure = _figure_of(plot)
    check_plot(file, has_pictures=_has_pictures(figure))
    ending = file.suffix.lower()
    settings = dict(VECTOR_SETTINGS)
    if ending == ".pgf":
        settings["pgf.texsystem"] = tex_system(file)
        settings["pgf.rcfonts"] = False  # the document's own
    with plt.rc_context(settings), printable_texts():
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
        with _texts_escaped():
            figure.savefig(text, **options)
        return utf8(text.getvalue())
    content = io.BytesIO()
    figure.savefig(content, **options)
    return content.getvalue()


# annotated as any: matplotlib's renderers have no types
_Renderer: Any = backend_pgf.RendererPgf


class _EscapingRenderer(_Renderer):  # type: ignore[misc]
    """Renderer of PGF that escapes texts which are no mathematics, such as ``layer_1``."""

    def draw_text(
        self,
        gc: Any,
        x: float,
        y: float,
        s: str,
        prop: Any,
        angle: float,
        ismath: Any = False,
        mtext: Any = None,
    ) -> None:
        text = s if ismath else escape(s)
        super().draw_text(gc, x, y, text, prop, angle, ismath, mtext)

    def get_text_width_height_descent(
        self, s: str, prop: Any, ismath: Any
    ) -> tuple[float, float, float]:
        text = s if ismath else escape(s)
        size: tuple[float, float, float] = super().get_text_width_height_descent(
            text, prop, ismath
        )
        return size


@contextmanager
def _texts_escaped() -> Iterator[None]:
    """Let matplotlib write PGF with our renderer: its own takes any text for LaTeX."""
    setattr(backend_pgf, "RendererPgf", _EscapingRenderer)  # noqa: B010
    try:
        yield
    finally:
        setattr(backend_pgf, "RendererPgf", _Renderer)  # noqa: B010


def _has_pictures(figure: Figure) -> bool:
    axes = [child for ax in figure.axes for child in (ax, *ax.child_axes)]
    return any(ax.images for ax in axes)
