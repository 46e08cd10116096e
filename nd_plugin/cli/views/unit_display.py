"""Display of one unit of a run, in the terminal, as JSON or as a plot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nd_plugin.cli import console
from nd_plugin.cli.views.plot_files import PlotFile
from nd_plugin.errors import BadInput, LayerNotFound, RunInvalid
from nd_plugin.results import run_folder
from nd_plugin.results.dissection import Dissection


def show_unit(
    run: Path,
    number: int,
    layer: str | None,
    images: int,
    plot: Path | None,
    *,
    as_json: bool,
) -> None:
    """Show a unit of a run. Raises BadInput for a layer or a unit that it has not."""
    file = PlotFile(plot)
    file.check(has_pictures=True)
    dissection = _chosen_layer(load_run(run), layer)
    view = dissection.show(number, images=images)
    file.write(view.plot)
    if as_json:
        console.print_json(view.content())
    elif plot is None:
        console.show(view)


def load_run(run: Path) -> list[Dissection]:
    """Load a run. Raises RunInvalid, also for a CSV file, which holds no more than labels."""
    if run.is_file():
        raise RunInvalid(
            f"{run} is a file; nd unit needs the folder of a run of nd dissect (nd report shows "
            "NetDissect CSV files)"
        )
    return run_folder.load_run(run)


def _chosen_layer(
    dissections: Sequence[Dissection], layer: str | None
) -> Dissection:
    """Return the layer of a name, or the only one. Raises BadInput."""
    names = [dissection.layer for dissection in dissections]
    listed = ", ".join(dict.fromkeys(names))
    if layer is not None and layer not in names:
        raise LayerNotFound(f"no layer {layer!r} in this run; it has {listed}")
    candidates = [
        dissection
        for dissection in dissections
        if layer is None or dissection.layer == layer
    ]
    if len(candidates) == 1:
        return candidates[0]
    if layer is None and len(set(names)) > 1:
        raise BadInput(f"the run has several layers; choose one with -l: {listed}")
    quantiles = [f"{dissection.settings.quantile:g}" for dissection in candidates]
    raise BadInput(
        f"the run has layer {candidates[0].layer!r} in several quantiles "
        f"({', '.join(quantiles)}); name the folder of one of them inside the run"
    )
