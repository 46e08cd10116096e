"""Options of ``nd probe``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nd_plugin.cli.options import (
    BatchSize,
    ChannelOrder,
    CustomOps,
    Device,
    Feeds,
    Input,
    InputSize,
    Interpolation,
    Json,
    MaxPixels,
    Mean,
    Overwrite,
    Plot,
    Precision,
    Scale,
    Std,
    Strict,
    Weights,
    Workers,
)
from nd_plugin.shell.completion import complete_layer, complete_model


def probe(
    context: typer.Context,
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
    layer: Annotated[
        list[str] | None,
        typer.Option(
            "-l",
            "--layer",
            help="Layer: a name, a pattern or all; several with commas; repeatable.",
            autocompletion=complete_layer,
        ),
    ] = None,
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
    batch_size: BatchSize = None,
    workers: Workers = None,
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
    strict: Strict = False,
    max_pixels: MaxPixels = None,
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
    from nd_plugin.cli import parsing
    from nd_plugin.cli.experiments import probe
    from nd_plugin.cli.experiments.saved_results import is_given, refuse_run_options
    from nd_plugin.contracts.provenance import Settings
    from nd_plugin.errors import BadInput
    from nd_plugin.experiments.probing.discrimination import Rotations
    from nd_plugin.experiments.probing.linear_svm import SvmSettings

    view = probe.ProbeView(run or (), category, plot, plot_kind, json)
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
    if not run and is_given(context, "category"):
        raise BadInput(
            "--category is of the detectors of runs: give --run, too, a run of nd dissect"
        )
    if rotate is None and is_given(context, "repeats"):
        raise BadInput(
            "--repeats is the number of random rotations: give --rotate, too, such as --rotate 1"
        )
    alphas = parsing.parse_numbers(rotate, "--rotate") if rotate else ()
    probe.probe(
        model,
        folder,
        layer or (),
        output=output,
        overwrite=overwrite,
        svm=SvmSettings(svm_c, scaling),
        rotations=Rotations(tuple(alphas), tuple(range(repeats))),
        options=parsing.model_options(
            device, weights, input_name, feed, custom_op_library, precision
        ),
        settings=Settings(strict=strict, max_pixels=max_pixels),
        preprocess_values=parsing.preprocess_values(
            input_size, mean, std, scale, interpolation, channel_order
        ),
        batch_size=batch_size,
        workers=workers,
        view=view,
    )
