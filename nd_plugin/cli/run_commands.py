"""Commands that save a run: ``nd dissect``, ``nd merge``, ``nd demo``."""

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
    Significance,
)
from nd_plugin.cli.options.shared import (
    Bases,
    ColorTable,
    Concepts,
    Device,
    Json,
    Limit,
    Memory,
    MinIoU,
    ModelText,
    Output,
    Overwrite,
    Plot,
    PlotKind,
    Quantiles,
    VerifyData,
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
    *,
    color_table: ColorTable = None,
    output: Output = None,
    weights: Weights = None,
    basis: Bases = None,
    quantile: Quantiles = None,
    min_iou: MinIoU = 0.04,
    limit: Limit = None,
    passes: Passes,
    choice: ModelChoice,
    masks: Masks,
    preprocessing: Preprocessing,
    pictures: Pictures,
    significance: Significance,
    reading: Reading,
    verify_data: VerifyData = False,
    checkpoints: Checkpoints,
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
    from nd_plugin.cli.checkpoints import RunOptions
    from nd_plugin.cli.views.plot_files import PlotRequest
    from nd_plugin.concepts.colours.table_option import with_color_table
    from nd_plugin.contracts.provenance import Settings

    inputs = dissect.RunInputs(
        model,
        with_color_table(concepts, color_table),
        choice.model_options(weights),
        Settings(
            quantiles=parsing.parse_quantiles(quantile or ()),
            min_iou=min_iou,
            limit=limit,
            **masks.settings(),
            verify_data=verify_data,
            **reading.settings(),
            **significance.settings(),
            **pictures.settings(),
        ),
        preprocessing.values(),
        RunOptions(**passes.limits(), **checkpoints.values(), shard=shard),
    )
    dissect.dissect(
        inputs,
        layer,
        output=output,
        overwrite=overwrite,
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
        memory=parsing.parse_memory(memory),
        as_json=json,
        bases=basis or (),
    )


def demo(
    images: Annotated[
        int, typer.Option(min=1, help="Number of images to draw.")
    ] = 400,
    *,
    output: Output = None,
    overwrite: Overwrite = False,
    device: Device = "auto",
    significance: Significance,
    json: Json = False,
) -> None:
    """Dissect EfficientNet-Lite0 (real ImageNet weights) on drawn shapes, in about a minute."""
    from nd_plugin.cli import dissect
    from nd_plugin.contracts.models import ModelOptions
    from nd_plugin.contracts.provenance import Settings

    inputs = dissect.RunInputs(
        "nd_torch.zoo:efficientnet_lite0",
        f"shapes?images={images}",
        ModelOptions(device),
        Settings(**significance.settings()),
    )
    dissect.dissect(
        inputs,
        ["_blocks.10", "_swish#1"],
        output=output,
        overwrite=overwrite,
        as_json=json,
    )
