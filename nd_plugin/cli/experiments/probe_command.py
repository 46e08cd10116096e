"""Options of ``nd probe``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nd_plugin.cli.options.groups import (
    Loading,
    ModelChoice,
    Preprocessing,
    Reading,
)
from nd_plugin.cli.options.shared import Json, LayersOfRun, Overwrite, Plot, Weights
from nd_plugin.shell.completion import complete_model


def probe(
    context: typer.Context,
    *,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help="FILE.onnx, torchvision:NAME, timm:NAME, package.module:factory …",
            autocompletion=complete_model,
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FOLDER]",
            help="Labelled images: FOLDER/train/CLASS/*.jpg and FOLDER/test/CLASS/*.jpg; without "
            "splits FOLDER/CLASS/*.jpg.",
        ),
    ] = None,
    layer: LayersOfRun = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FOLDER",
            help="Folder of the accuracies. [default: runs/MODEL-FOLDER-probe]",
        ),
    ] = None,
    overwrite: Overwrite = False,
    saved: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            metavar="FOLDER",
            help="Report saved accuracies, without the model; repeatable: several networks.",
        ),
    ] = None,
    svm_c: Annotated[
        float, typer.Option(help="C of the linear SVM, the paper's by default.")
    ] = 0.001,
    scaling: Annotated[
        str,
        typer.Option(
            help="Of features: layer (centred, one factor for the layer), unit (each "
            "standardised) or none."
        ),
    ] = "layer",
    rotate: Annotated[
        str | None,
        typer.Option(
            metavar="α,α…",
            help="Test rotations Q^α of each layer, too: numbers from 0 to 1.",
        ),
    ] = None,
    repeats: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="Number of random Q, of --rotate."),
    ] = 3,
    run: Annotated[
        list[Path] | None,
        typer.Option(
            "--run",
            metavar="RUN",
            help="Run of nd dissect of a network that is probed: its detectors stand beside its "
            "accuracy; repeatable.",
        ),
    ] = None,
    category: Annotated[
        str,
        typer.Option(help="Category of the detectors that are counted, or all."),
    ] = "object",
    weights: Weights = None,
    loading: Loading,
    choice: ModelChoice,
    preprocessing: Preprocessing,
    reading: Reading,
    plot: Plot = None,
    plot_kind: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="Kind of plot: accuracy, or detectors (accuracy against detectors). "
            "[default: with --run detectors, else accuracy]",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Tell classes of images by a layer's units: a linear SVM, tested, beside its detectors."""
    from nd_plugin.cli.experiments import probe
    from nd_plugin.cli.experiments.saved_results import refuse_run_options
    from nd_plugin.cli.views.plot_files import PlotFile
    from nd_plugin.contracts.provenance import Settings
    from nd_plugin.errors import BadInput
    from nd_plugin.experiments.probing.linear_svm import SvmSettings

    view = probe.ProbeView(run or (), category, PlotFile(plot, plot_kind), json)
    view.check()
    if saved:
        refuse_run_options(context, ("layer", "run", "category"))
        probe.show_saved(saved, layer or (), view)
        return
    if model is None or folder is None:
        raise BadInput(
            "model or images are missing: nd probe MODEL FOLDER -l LAYER, or "
            "nd probe --from FOLDER"
        )
    _refuse_idle_options(context, run, rotate)
    probe.probe(
        model,
        folder,
        layer or (),
        output=output,
        overwrite=overwrite,
        svm=SvmSettings(svm_c, scaling),
        rotations=probe.parse_rotations(rotate, repeats),
        options=choice.model_options(weights),
        settings=Settings(**reading.settings()),
        preprocess_values=preprocessing.values(),
        loading=loading,
        view=view,
    )


def _refuse_idle_options(
    context: typer.Context, runs: list[Path] | None, rotate: str | None
) -> None:
    """Raise BadInput for a given option that does nothing without another."""
    from nd_plugin.cli.experiments.saved_results import is_given
    from nd_plugin.errors import BadInput

    if not runs and is_given(context, "category"):
        raise BadInput(
            "--category is of the detectors of runs: give --run, too, a run of nd dissect"
        )
    if rotate is None and is_given(context, "repeats"):
        raise BadInput(
            "--repeats is the number of random rotations: give --rotate, too, such as --rotate 1"
        )
