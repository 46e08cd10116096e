"""Command ``nd rotate``: rotations of a layer's basis, section 3.2 of the paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nd_plugin.cli.options.groups import (
    Checkpoints,
    Masks,
    ModelChoice,
    Passes,
    Pictures,
    Preprocessing,
    Reading,
)
from nd_plugin.cli.options.shared import (
    ColorTable,
    ConceptsOfRun,
    Json,
    Limit,
    Overwrite,
    Plot,
    Quantile,
    Weights,
)
from nd_plugin.shell.completion import (
    complete_layer,
    complete_model,
)


def rotate(
    context: typer.Context,
    *,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="FILE.onnx, torchvision:NAME, timm:NAME, package.module:factory?key=value …",
            autocompletion=complete_model,
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(
            "-l",
            "--layer",
            help="Layer whose units are rotated.",
            autocompletion=complete_layer,
        ),
    ] = None,
    concepts: ConceptsOfRun = None,
    color_table: ColorTable = None,
    alpha: Annotated[
        str,
        typer.Option(
            metavar="A,A,…",
            help="Degrees of rotation: 0 is the layer's own basis, which is always dissected, "
            "1 a random one.",
        ),
    ] = "0,0.2,0.4,0.6,0.8,1",
    repeats: Annotated[
        int, typer.Option(min=1, help="Number of random rotations.")
    ] = 10,
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            help="Seed of the first rotation; the others follow.",
            rich_help_panel="Method",
        ),
    ] = 0,
    basis: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="Another basis to dissect: directions, or the encoder of a sparse autoencoder "
            "(.npz, .safetensors); repeatable.",
        ),
    ] = None,
    source: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            metavar="FOLDER",
            help="Report a saved study instead of running a model; repeatable.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FOLDER",
            help="Folder of the study. [default: runs/MODEL-CONCEPTS-rotation]",
        ),
    ] = None,
    weights: Weights = None,
    quantile: Quantile = 0.005,
    min_iou: Annotated[
        float | None,
        typer.Option(
            help="A unit or direction with a higher IoU is a detector. [default: 0.04; with "
            "--from as in the study]",
        ),
    ] = None,
    masks: Masks,
    limit: Limit = None,
    passes: Passes,
    choice: ModelChoice,
    preprocessing: Preprocessing,
    pictures: Pictures,
    reading: Reading,
    checkpoints: Checkpoints,
    overwrite: Overwrite = False,
    plot: Plot = None,
    plot_kind: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="Kind of plot: rotation (figure 6), concepts or pictures (figure 7), "
            "complete (figure 8). [default: rotation]",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Rotate a layer's basis: compare its units with random directions, and with other bases."""
    from nd_plugin.cli.checkpoints import RunOptions
    from nd_plugin.cli.dissect import RunInputs
    from nd_plugin.cli.experiments import rotate
    from nd_plugin.cli.experiments.saved_results import refuse_run_options
    from nd_plugin.concepts.colours.table_option import with_color_table
    from nd_plugin.errors import BadInput

    request = rotate.plot_file(plot, plot_kind, max(len(source or ()), 1))
    if source:
        refuse_run_options(context, ("min_iou",))
        rotate.report_saved(source, min_iou, request, as_json=json)
        return
    if model is None or layer is None or concepts is None:
        raise BadInput(
            "MODEL, --layer and --concepts are needed to run a study (--from FOLDER reports one)"
        )
    inputs = RunInputs(
        model,
        with_color_table(concepts, color_table),
        choice.model_options(weights),
        rotate.study_settings(
            quantile=quantile,
            min_iou=min_iou,
            limit=limit,
            **masks.settings(),
            **reading.settings(),
            **pictures.settings(),
        ),
        preprocessing.values(),
        RunOptions(**passes.limits(), **checkpoints.values()),
    )
    rotate.run_study(
        inputs,
        layer,
        rotate.parse_plan(alpha, repeats, seed, basis),
        output=output,
        overwrite=overwrite,
        plot=request,
        as_json=json,
    )
