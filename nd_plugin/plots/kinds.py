"""Kinds of plots that ``--plot-kind`` names, and endings of their files.

Both are checked before a run, and before matplotlib is imported, which takes a second.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from nd_plugin.errors import BadInput, Unavailable
from nd_plugin.plots.named_results import Result, report_of
from nd_plugin.storage.targets import check_file

ENDINGS = (".png", ".svg", ".pdf", ".pgf")
TEX_SYSTEMS = ("lualatex", "xelatex", "pdflatex")
DEFAULT_KIND = "detectors"


@dataclass(frozen=True)
class PlotKind:
    """One kind of plot: a function of results, and how many layers it shows."""

    summary: str
    module: str  # of `nd_plugin.plots`
    function: str
    is_of_one_layer: bool = False
    has_pictures: bool = False  # of one layer, with the top images of its units

    def check_layers(self, count: int) -> None:
        """Raise BadInput where ``count`` results are more than are shown; before a run."""
        if count > 1 and (self.is_of_one_layer or self.has_pictures):
            raise BadInput(
                f"this kind of plot shows one layer, and there will be {count} results; save the "
                "run, then nd report RUN/LAYER --plot FILE"
            )

    def draw(self, results: Sequence[Result]) -> Any:
        """Draw results; return the axes. Raises BadInput for more layers than are shown."""
        function: Callable[..., Any] = getattr(
            import_module(f"nd_plugin.plots.{self.module}"), self.function
        )
        if self.has_pictures:
            return function(_dissection_of(_only(results)))
        if self.is_of_one_layer:
            return function(_only(results))
        return function(list(results))


KINDS = {
    "detectors": PlotKind(
        "unique detectors by category, a bar for each layer",
        "detectors",
        "plot_detectors",
    ),
    "ratio": PlotKind(
        "unique detectors divided by units", "detectors", "plot_ratio"
    ),
    "iou": PlotKind("distribution of the units' IoU", "iou", "plot_iou"),
    "mean-iou": PlotKind(
        "mean IoU against number of detectors, by concept", "iou", "plot_mean_iou"
    ),
    "heat-map": PlotKind("concepts against layers", "heat_map", "plot_heat_map"),
    "concepts": PlotKind(
        "units that detect each concept, of one layer",
        "concept_chart",
        "plot_concepts",
        is_of_one_layer=True,
    ),
    "units": PlotKind(
        "top images of the best detectors, of one layer",
        "units",
        "plot_units",
        has_pictures=True,
    ),
    "networks": PlotKind(
        "unique detectors by category, a column for each network, the most first",
        "experiments.networks",
        "plot_networks",
    ),
    "shares": PlotKind(
        "share of each category in the unique detectors",
        "experiments.networks",
        "plot_category_shares",
    ),
    "top-concepts": PlotKind(
        "best concepts of the three largest categories of each network",
        "experiments.top_concepts",
        "plot_top_concepts",
    ),
    "widths": PlotKind(
        "unique detectors against the number of units",
        "experiments.networks",
        "plot_widths",
    ),
    "quantiles": PlotKind(
        "unique detectors against τ, of layers in several quantiles",
        "experiments.thresholds",
        "plot_labels_over_quantiles",
    ),
    "quantile-iou": PlotKind(
        "IoU of each unit against τ, of layers in several quantiles",
        "experiments.thresholds",
        "plot_iou_over_quantiles",
    ),
}


def plot_kind(name: str) -> PlotKind:
    """Return a kind of plots. Raises BadInput for a name that none has."""
    if name not in KINDS:
        raise BadInput(f"no kind of plot {name!r}; known are {', '.join(KINDS)}")
    return KINDS[name]


def check_plot_name(path: Path) -> str:
    """Return the ending of a plot's file, in lower case. Raises BadInput for another."""
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        known = ", ".join(ENDINGS)
        reason = f"ends in {path.suffix}" if path.suffix else "has no ending"
        raise BadInput(
            f"a plot is written as one of {known}, and {path.name} {reason}"
        )
    return ending


def check_plot(path: Path, *, has_pictures: bool = False) -> None:
    """Check before a run that a plot can be written to a file.

    Raises BadInput for another ending, and for pictures in a PGF file, which would need files
    beside it; NotSaved; Unavailable for a PGF file without LaTeX.
    """
    ending = check_plot_name(path)
    check_file(path)
    if ending != ".pgf":
        return
    if has_pictures:
        raise BadInput(
            f"{path}: a PGF file holds no pictures, and this plot has some; "
            f"write {path.stem}.pdf"
        )
    tex_system(path)


def tex_system(path: Path) -> str:
    """Return the LaTeX that measures the texts of a PGF file. Raises Unavailable."""
    for name in TEX_SYSTEMS:
        if shutil.which(name) is not None:
            return name
    raise Unavailable(
        f"{path}: a PGF file needs LaTeX, which measures its texts, and none of "
        f"{', '.join(TEX_SYSTEMS)} is installed; install TeX Live, or write {path.stem}.pdf"
    )


def _dissection_of(result: Result) -> Any:
    """Return the dissection of a result. Raises BadInput for a CSV file, which has no pictures."""
    report = report_of(result)
    if report.dissection is None:
        raise BadInput(
            f"{report.title} is a CSV file, which has no pictures of units"
        )
    return report.dissection


def _only(results: Sequence[Result]) -> Result:
    if len(results) != 1:
        layers = ", ".join(report_of(result).title for result in results)
        raise BadInput(
            f"this kind of plot shows one layer, and these are {len(results)} ({layers}): "
            "name the folder of one layer inside the run"
        )
    return results[0]
