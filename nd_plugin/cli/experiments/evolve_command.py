"""Options of ``nd evolve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nd_plugin.cli.options.groups import (
    Masks,
    ModelChoice,
    Passes,
    Pictures,
    Preprocessing,
    Reading,
    Significance,
)
from nd_plugin.cli.options.shared import (
    ColorTable,
    ConceptsOfRun,
    Json,
    LayersOfRun,
    Limit,
    Plot,
    Quantile,
)


def evolve(
    context: typer.Context,
    *,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help="Model that the weights are loaded into; leave it out where each checkpoint is "
            "an ONNX file.",
        ),
    ] = None,
    checkpoints: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CHECKPOINT...",
            help="Files of weights (safetensors, state dicts) or ONNX files, or folders of them.",
        ),
    ] = None,
    layer: LayersOfRun = None,
    concepts: ConceptsOfRun = None,
    color_table: ColorTable = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FOLDER",
            help="Folder of the evolution; stages that it holds are not dissected again. "
            "[default: runs/MODEL-CONCEPTS-evolution]",
        ),
    ] = None,
    saved: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            metavar="FOLDER",
            help="Report a saved evolution, without the model; repeatable: several trainings.",
        ),
    ] = None,
    steps: Annotated[
        str | None,
        typer.Option(
            metavar="N,N…",
            help="Step of each checkpoint, in their order. [default: from their names]",
        ),
    ] = None,
    accuracy: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="Accuracies: columns checkpoint or step, and accuracy.",
        ),
    ] = None,
    quantile: Quantile = 0.005,
    min_iou: Annotated[
        float | None,
        typer.Option(
            help="A unit with a higher IoU is a detector. [default: 0.04; with --from, "
            "as saved]",
        ),
    ] = None,
    masks: Masks,
    significance: Significance,
    limit: Limit = None,
    passes: Passes,
    choice: ModelChoice,
    preprocessing: Preprocessing,
    pictures: Pictures,
    reading: Reading,
    plot: Plot = None,
    plot_kind: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="Kind of plot: emergence, histories or changes. [default: emergence]",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Follow a training: dissect its checkpoints, each once, and compare units over the stages."""
    from nd_plugin.cli.experiments import evolve
    from nd_plugin.cli.experiments.saved_results import refuse_run_options
    from nd_plugin.concepts.colours.table_option import with_color_table
    from nd_plugin.contracts.provenance import Settings
    from nd_plugin.errors import BadInput

    request = evolve.plot_file(plot, plot_kind)
    if saved:
        refuse_run_options(context, ("layer", "min_iou", "accuracy"))
        evolve.show_saved(
            saved,
            layer or (),
            min_iou=min_iou,
            accuracy=accuracy,
            plot=request,
            as_json=json,
        )
        return
    if model is None:
        raise BadInput(
            "no model: nd evolve MODEL CHECKPOINT… -l LAYER -c CONCEPTS, or "
            "nd evolve --from FOLDER"
        )
    settings = Settings(
        quantiles=(quantile,),
        min_iou=0.04 if min_iou is None else min_iou,
        limit=limit,
        **masks.settings(),
        **reading.settings(),
        **significance.settings(),
        **pictures.settings(),
    )
    if concepts is not None:
        concepts = with_color_table(concepts, color_table)
    evolve.run_stages(
        [model, *(checkpoints or ())],
        layer or (),
        concepts,
        output=output,
        steps=steps,
        dissecting={
            "accuracy": accuracy,
            "settings": settings,
            "options": choice.model_options(),
            "preprocess_values": preprocessing.values(),
            **passes.limits(),
        },
        plot=request,
        as_json=json,
    )
