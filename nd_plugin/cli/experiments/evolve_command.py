"""Options of ``nd evolve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nd_plugin.cli.experiments.options import Folds, Permutations, Seed
from nd_plugin.cli.options import (
    Anchor,
    BatchSize,
    ChannelOrder,
    CustomOps,
    Device,
    DeviceMemory,
    Feeds,
    Input,
    InputSize,
    Interpolation,
    Json,
    Limit,
    MaskSize,
    MaxPixels,
    Mean,
    Memory,
    NoPictures,
    PictureBudget,
    Plot,
    Precision,
    Scale,
    Std,
    Strict,
    TopImages,
    Workers,
)
from nd_plugin.shell.completion import complete_concepts, complete_layer


def evolve(
    context: typer.Context,
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
    layer: Annotated[
        list[str] | None,
        typer.Option(
            "-l",
            "--layer",
            help="Layer: a name, a pattern or all; several with commas; repeatable.",
            autocompletion=complete_layer,
        ),
    ] = None,
    concepts: Annotated[
        str | None,
        typer.Option(
            "-c",
            "--concepts",
            help="Concept set: broden:ROOT, masks:ROOT, shapes …",
            autocompletion=complete_concepts,
        ),
    ] = None,
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
    quantile: Annotated[
        float,
        typer.Option(help="Fraction τ of activations above each unit's threshold."),
    ] = 0.005,
    min_iou: Annotated[
        float | None,
        typer.Option(
            help="A unit with a higher IoU is a detector. [default: 0.04; with --from, "
            "as saved]",
        ),
    ] = None,
    anchor: Anchor = "rf",
    mask_size: MaskSize = "auto",
    folds: Folds = 0,
    permutations: Permutations = 0,
    seed: Seed = 0,
    limit: Limit = None,
    batch_size: BatchSize = None,
    workers: Workers = None,
    memory: Memory = None,
    device_memory: DeviceMemory = None,
    device: Device = "auto",
    precision: Precision = None,
    input_name: Input = None,
    feed: Feeds = None,
    custom_op_library: CustomOps = None,
    input_size: InputSize = None,
    mean: Mean = None,
    std: Std = None,
    scale: Scale = None,
    interpolation: Interpolation = None,
    channel_order: ChannelOrder = None,
    top_images: TopImages = None,
    no_pictures: NoPictures = False,
    picture_budget: PictureBudget = None,
    strict: Strict = False,
    max_pixels: MaxPixels = None,
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
    from nd_plugin.cli import parsing
    from nd_plugin.cli.experiments import evolve
    from nd_plugin.cli.experiments.saved_results import refuse_run_options
    from nd_plugin.contracts.provenance import Settings
    from nd_plugin.errors import BadInput

    request = evolve.TrainingPlot.of(plot, plot_kind)
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
    evolve.run_stages(
        [model, *(checkpoints or ())],
        layer or (),
        concepts,
        output=output,
        steps=steps,
        accuracy=accuracy,
        settings=Settings(
            quantiles=(quantile,),
            min_iou=0.04 if min_iou is None else min_iou,
            anchor=anchor,
            mask_size=mask_size,
            limit=limit,
            strict=strict,
            max_pixels=max_pixels,
            **parsing.significance_settings(folds, permutations, seed),
            **parsing.picture_settings(top_images, no_pictures, picture_budget),
        ),
        options=parsing.model_options(
            device, None, input_name, feed, custom_op_library, precision
        ),
        preprocess_values=parsing.preprocess_values(
            input_size, mean, std, scale, interpolation, channel_order
        ),
        batch_size=batch_size,
        workers=workers,
        memory=parsing.parse_bytes(memory) if memory else None,
        device_memory=parsing.parse_bytes(device_memory, "--device-memory")
        if device_memory
        else None,
        plot=request,
        as_json=json,
    )
