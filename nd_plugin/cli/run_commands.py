"""Commands that save a run: ``nd dissect``, ``nd merge``, ``nd demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nd_plugin.cli.experiments.options import Bases, Folds, Permutations, Seed
from nd_plugin.cli.options import (
    Anchor,
    BatchSize,
    ChannelOrder,
    Concepts,
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
    MinIoU,
    ModelText,
    NoPictures,
    Output,
    Overwrite,
    PictureBudget,
    Plot,
    PlotKind,
    Precision,
    Quantiles,
    Scale,
    Std,
    Strict,
    TopImages,
    Weights,
    Workers,
)
from nd_plugin.shell.completion import complete_concepts, complete_layer


def dissect(
    model: ModelText,
    layer: Annotated[
        list[str],
        typer.Option(
            "-l",
            "--layer",
            help="Layer: a name, a pattern such as 'layer?' or '*.relu', all, or paper (the one "
            "that the paper dissects); several with commas; repeatable.",
            autocompletion=complete_layer,
        ),
    ],
    concepts: Concepts,
    output: Output = None,
    weights: Weights = None,
    basis: Bases = None,
    quantile: Quantiles = None,
    min_iou: MinIoU = 0.04,
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
    anchor: Anchor = "rf",
    mask_size: MaskSize = "auto",
    input_size: InputSize = None,
    mean: Mean = None,
    std: Std = None,
    scale: Scale = None,
    interpolation: Interpolation = None,
    channel_order: ChannelOrder = None,
    top_images: TopImages = None,
    no_pictures: NoPictures = False,
    picture_budget: PictureBudget = None,
    folds: Folds = 0,
    permutations: Permutations = 0,
    seed: Seed = 0,
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
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Process every N-th batch, from the I-th on; see nd merge.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    plot: Plot = None,
    plot_kind: PlotKind = None,
    json: Json = False,
) -> None:
    """Dissect layers of a model on a concept set: print a report and save the run."""
    from nd_plugin.cli import dissect, parsing
    from nd_plugin.cli.views.plot_files import PlotRequest
    from nd_plugin.contracts.provenance import Settings

    dissect.dissect(
        model,
        layer,
        concepts,
        output=output,
        overwrite=overwrite,
        options=parsing.model_options(
            device, weights, input_name, feed, custom_op_library, precision
        ),
        settings=Settings(
            quantiles=parsing.parse_quantiles(quantile or ()),
            min_iou=min_iou,
            anchor=anchor,
            mask_size=mask_size,
            limit=limit,
            strict=strict,
            max_pixels=max_pixels,
            **parsing.significance_settings(folds, permutations, seed),
            **parsing.picture_settings(top_images, no_pictures, picture_budget),
        ),
        preprocess_values=parsing.preprocess_values(
            input_size, mean, std, scale, interpolation, channel_order
        ),
        run_options=dissect.RunOptions(
            batch_size,
            workers,
            parsing.parse_bytes(memory) if memory else None,
            parsing.parse_bytes(device_memory, "--device-memory")
            if device_memory
            else None,
            checkpoint_every,
            resume,
            shard,
        ),
        plot=PlotRequest.of(plot, plot_kind, shard),
        as_json=json,
        bases=basis or (),
    )


def merge(
    shards: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="All the runs made with --shard."),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="RUN", help="Folder of the merged run."
        ),
    ],
    concepts: Annotated[
        str | None,
        typer.Option(
            "-c",
            "--concepts",
            help="Concept set, if it is elsewhere here. [default: as recorded in the shards]",
            autocompletion=complete_concepts,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Model; only where a layer needs a second forward pass."),
    ] = None,
    weights: Weights = None,
    basis: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="With --model: the basis of the shards; repeatable.",
        ),
    ] = None,
    device: Device = "auto",
    workers: Workers = None,
    memory: Memory = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Merge the shards of one dissection: print a report and save the run."""
    from nd_plugin.cli import dissect, parsing
    from nd_plugin.contracts.models import ModelOptions

    dissect.merge(
        shards,
        output=output,
        overwrite=overwrite,
        concepts=concepts,
        model=model,
        options=ModelOptions(device, weights),
        workers=workers,
        memory=parsing.parse_bytes(memory) if memory else None,
        as_json=json,
        bases=basis or (),
    )


def demo(
    images: Annotated[
        int, typer.Option(min=1, help="Number of images to draw.")
    ] = 400,
    output: Output = None,
    overwrite: Overwrite = False,
    device: Device = "auto",
    folds: Folds = 0,
    permutations: Permutations = 0,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Dissect EfficientNet-Lite0 (real ImageNet weights) on drawn shapes, in about a minute."""
    from nd_plugin.cli import dissect, parsing
    from nd_plugin.contracts.models import ModelOptions
    from nd_plugin.contracts.provenance import Settings

    dissect.dissect(
        "nd_torch.zoo:efficientnet_lite0",
        ["_blocks.10", "_swish#1"],
        f"shapes?images={images}",
        output=output,
        overwrite=overwrite,
        options=ModelOptions(device),
        settings=Settings(
            **parsing.significance_settings(folds, permutations, seed)
        ),
        as_json=json,
    )
