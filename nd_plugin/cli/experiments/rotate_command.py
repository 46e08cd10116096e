"""Command ``nd rotate``: rotations of a layer's basis, section 3.2 of the paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
    Overwrite,
    PictureBudget,
    Plot,
    Precision,
    Scale,
    Std,
    Strict,
    TopImages,
    Weights,
    Workers,
)
from nd_plugin.shell.completion import (
    complete_concepts,
    complete_layer,
    complete_model,
)


def rotate(
    context: typer.Context,
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
    concepts: Annotated[
        str | None,
        typer.Option(
            "-c",
            "--concepts",
            help="Concept set: broden:ROOT, masks:ROOT, shapes …",
            autocompletion=complete_concepts,
        ),
    ] = None,
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
    quantile: Annotated[
        float,
        typer.Option(help="Fraction τ of activations above each unit's threshold."),
    ] = 0.005,
    min_iou: Annotated[
        float | None,
        typer.Option(
            help="A unit or direction with a higher IoU is a detector. [default: 0.04; with "
            "--from as in the study]",
        ),
    ] = None,
    anchor: Anchor = "rf",
    mask_size: MaskSize = "auto",
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
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Continue the run if it was interrupted."),
    ] = False,
    checkpoint_every: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Save progress after every N images; by default every 2000, and at most "
            "twice a minute.",
        ),
    ] = None,
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
    from nd_plugin.cli import parsing
    from nd_plugin.cli.dissect import RunOptions
    from nd_plugin.cli.experiments import rotate
    from nd_plugin.cli.experiments.saved_results import refuse_run_options

    request = rotate.RotationPlot.of(plot, plot_kind, max(len(source or ()), 1))
    if source:
        refuse_run_options(context, ("min_iou",))
        rotate.report_saved(source, min_iou, request, as_json=json)
        return
    rotate.run_study(
        model,
        layer,
        concepts,
        rotate.parse_plan(alpha, repeats, seed, basis),
        output=output,
        overwrite=overwrite,
        options=parsing.model_options(
            device, weights, input_name, feed, custom_op_library, precision
        ),
        settings=rotate.study_settings(
            quantile=quantile,
            min_iou=min_iou,
            anchor=anchor,
            mask_size=mask_size,
            limit=limit,
            strict=strict,
            max_pixels=max_pixels,
            **parsing.picture_settings(top_images, no_pictures, picture_budget),
        ),
        preprocess_values=parsing.preprocess_values(
            input_size, mean, std, scale, interpolation, channel_order
        ),
        run_options=RunOptions(
            batch_size,
            workers,
            parsing.parse_bytes(memory) if memory else None,
            parsing.parse_bytes(device_memory, "--device-memory")
            if device_memory
            else None,
            checkpoint_every,
            resume,
        ),
        plot=request,
        as_json=json,
    )
