"""The command line ``nd``: results to stdout, progress and logs to stderr.

Exit codes: 0 done, 1 the run failed, 2 usage, 3 backend or device not available, 130 interrupted.
Nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nd_plugin.cli import console
from nd_plugin.cli.options import (
    BatchSize,
    CustomOps,
    Device,
    Feeds,
    Input,
    InputSize,
    Json,
    Memory,
    ModelText,
    Output,
    Overwrite,
    Strict,
    Weights,
    Workers,
)

app = typer.Typer(
    name="nd",
    help="Network Dissection: names the units of a vision network by the concepts they detect.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """The entry point of ``nd``."""
    console.guarded(app)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as version_of

        typer.echo(f"nd_plugin {version_of('nd_plugin')}")
        raise typer.Exit


@app.command()
def dissect(
    model: ModelText,
    layer: Annotated[
        list[str], typer.Option("-l", "--layer", help="A layer's name; may be given several times.")
    ],
    concepts: Annotated[
        str, typer.Option("-c", "--concepts", help="broden:ROOT, masks:ROOT, shapes …")
    ],
    output: Output = None,
    weights: Weights = None,
    quantile: Annotated[
        list[float] | None,
        typer.Option(
            help="τ: activations above a threshold; several times at will. [default: 0.005]"
        ),
    ] = None,
    min_iou: Annotated[float, typer.Option(help="A unit above this is a detector.")] = 0.04,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N images.")] = None,
    batch_size: BatchSize = None,
    workers: Workers = None,
    memory: Memory = None,
    device: Device = "auto",
    input_name: Input = None,
    feed: Feeds = None,
    custom_op_library: CustomOps = None,
    anchor: Annotated[
        str, typer.Option(help="rf: receptive-field centres; cell: cells spread evenly.")
    ] = "rf",
    mask_size: Annotated[str, typer.Option(help="auto, native, N or HxW.")] = "auto",
    input_size: InputSize = None,
    mean: Annotated[str | None, typer.Option(help="Three numbers: 0.485,0.456,0.406")] = None,
    std: Annotated[str | None, typer.Option(help="Three numbers: 0.229,0.224,0.225")] = None,
    scale: Annotated[
        float | None, typer.Option(help="What pixels are multiplied by first. [default: 1/255]")
    ] = None,
    interpolation: Annotated[
        str | None, typer.Option(help="nearest, bilinear, bicubic, lanczos.")
    ] = None,
    channel_order: Annotated[str | None, typer.Option(help="rgb or bgr.")] = None,
    top_images: Annotated[
        int, typer.Option(min=1, help="Most activating images to keep for each unit.")
    ] = 50,
    strict: Strict = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run if it was interrupted.")
    ] = False,
    checkpoint_every: Annotated[
        int, typer.Option(min=1, metavar="N", help="Keep what is done after every N images.")
    ] = 2000,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Only the I-th of N parts, for nd merge.")
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Dissect layers of a model on a concept set: a report, and a run to keep."""
    from nd_plugin.cli import dissect, parsing
    from nd_plugin.contracts.provenance import Settings

    dissect.dissect(
        model,
        layer,
        concepts,
        output=output,
        overwrite=overwrite,
        options=parsing.model_options(device, weights, input_name, feed, custom_op_library),
        settings=Settings(
            (quantile or [0.005])[0], min_iou, anchor, mask_size, limit, strict, top_images
        ),
        quantiles=quantile or (),
        given=parsing.preprocess_values(input_size, mean, std, scale, interpolation, channel_order),
        work=dissect.RunOptions(
            batch_size,
            workers,
            parsing.parse_bytes(memory) if memory else None,
            checkpoint_every,
            resume,
            shard,
        ),
        as_json=json,
    )


@app.command()
def merge(
    shards: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Runs made with --shard, all of them.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="RUN", help="The merged run's folder.")
    ],
    concepts: Annotated[
        str | None,
        typer.Option(
            "-c", "--concepts", help="Where the concepts lie here. [default: as they lay there]"
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="The model, if a layer has to be seen again; you are told when."),
    ] = None,
    weights: Weights = None,
    device: Device = "auto",
    workers: Workers = None,
    memory: Memory = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Bring the shards of one dissection together: a report, and a run to keep."""
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
    )


@app.command()
def demo(
    images: Annotated[int, typer.Option(min=1, help="Scenes to draw.")] = 400,
    output: Output = None,
    overwrite: Overwrite = False,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Dissect EfficientNet-Lite0 (real ImageNet weights) on the embedded shapes set, in about a minute."""
    from nd_plugin.cli import dissect
    from nd_plugin.contracts.models import ModelOptions
    from nd_plugin.contracts.provenance import Settings

    dissect.dissect(
        "nd_torch.zoo:efficientnet_lite0",
        ["_blocks.10", "_swish#1"],
        f"shapes?images={images}",
        output=output,
        overwrite=overwrite,
        options=ModelOptions(device),
        settings=Settings(),
        as_json=json,
    )


@app.command()
def layers(
    model: ModelText,
    input_size: InputSize = None,
    weights: Weights = None,
    device: Device = "auto",
    input_name: Input = None,
    feed: Feeds = None,
    custom_op_library: CustomOps = None,
    json: Json = False,
) -> None:
    """List a model's layers in the order in which they run, with their shapes and receptive fields."""
    from nd_plugin.cli import dissect, parsing

    options = parsing.model_options(device, weights, input_name, feed, custom_op_library)
    dissect.layers(model, parsing.preprocess_values(input_size), options, as_json=json)


@app.command()
def parity(
    model: ModelText,
    origin: Annotated[
        str,
        typer.Argument(metavar="ORIGIN", help="What the model was made from, or any other model."),
    ],
    layer: Annotated[
        list[str],
        typer.Option(
            "-l", "--layer", help="A layer's name, or NAME=NAME_IN_ORIGIN; several times at will."
        ),
    ],
    concepts: Annotated[
        str, typer.Option("-c", "--concepts", help="broden:ROOT, masks:ROOT, shapes …")
    ],
    weights: Annotated[
        str | None, typer.Option(help="The origin's: a safetensors file or a state dict.")
    ] = None,
    device: Device = "auto",
    input_name: Input = None,
    feed: Feeds = None,
    custom_op_library: CustomOps = None,
    quantile: Annotated[float, typer.Option(help="τ: activations above a threshold.")] = 0.005,
    min_iou: Annotated[float, typer.Option(help="A unit above this is a detector.")] = 0.04,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N images.")] = None,
    batch_size: BatchSize = None,
    workers: Workers = None,
    input_size: InputSize = None,
    mean: Annotated[str | None, typer.Option(help="Three numbers: 0.485,0.456,0.406")] = None,
    std: Annotated[str | None, typer.Option(help="Three numbers: 0.229,0.224,0.225")] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(help="Exit with 1 where activations differ by more, relative to the largest."),
    ] = None,
    json: Json = False,
) -> None:
    """Is an export still the same network inside? Activations, thresholds, labels and detectors, layer by layer."""
    from nd_plugin.cli import parity, parsing
    from nd_plugin.contracts.models import ModelOptions
    from nd_plugin.contracts.provenance import Settings

    parity.compare_models(
        model,
        origin,
        layer,
        concepts,
        options=(
            parsing.model_options(device, None, input_name, feed, custom_op_library),
            ModelOptions(device, weights),
        ),
        settings=Settings(quantile, min_iou, limit=limit),
        given=parsing.preprocess_values(input_size, mean, std),
        batch_size=batch_size,
        workers=workers,
        tolerance=tolerance,
        as_json=json,
    )


@app.command()
def doctor(json: Json = False) -> None:
    """What this machine offers: torch, CUDA, ONNX Runtime's providers, and what to install."""
    from nd_plugin.cli import doctor

    doctor.doctor(as_json=json)


@app.command()
def concepts(
    concepts: Annotated[
        str, typer.Argument(metavar="CONCEPTS", help="broden:ROOT, masks:ROOT, shapes …")
    ],
    json: Json = False,
) -> None:
    """List a concept set's categories and concepts."""
    from nd_plugin.cli import listings
    from nd_plugin.plugins.opening import open_concepts

    with console.results_only():
        opened = open_concepts(concepts)
    listings.print_concepts(opened, as_json=json)


@app.command()
def plugins(json: Json = False) -> None:
    """List the plugins of this environment, the broken and the blocked ones too."""
    from nd_plugin.cli import listings
    from nd_plugin.plugins.host import host

    with console.results_only():
        found = host()
    listings.print_plugins(found, as_json=json)


@app.command()
def report(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="A run's folder, or a NetDissect CSV file.")
    ],
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write an HTML report.")] = None,
    form: Annotated[
        str | None, typer.Option("--format", help="text, html, svg, csv, json, or a plugin's.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write there.")
    ] = None,
    min_iou: Annotated[
        float | None, typer.Option(help="For CSV files: a unit above this is a detector.")
    ] = None,
    json: Json = False,
) -> None:
    """Report a run, or a NetDissect CSV file such as the authors' published ones."""
    from nd_plugin.cli import report

    report.report(run, html, report.one_form(form, json), output, min_iou)


@app.command()
def explain(
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="The run that names the units: nd dissect made it."),
    ],
    model: ModelText,
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="An image file.")],
    target: Annotated[
        str | None,
        typer.Option(
            "-t", "--target", help="A class, by number or name. [default: the one predicted]"
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option("-l", "--layer", help="One of the run's layers. [default: the run's last]"),
    ] = None,
    quantile: Annotated[
        float | None, typer.Option(help="One of the run's quantiles. [default: the run's first]")
    ] = None,
    top_k: Annotated[int, typer.Option(min=1, metavar="K", help="Units to name.")] = 5,
    detectors: Annotated[
        bool, typer.Option("--detectors", help="Only units that detect a concept.")
    ] = False,
    contribution: Annotated[
        str, typer.Option(help="auto, linear, gradient, ablation or activation.")
    ] = "auto",
    mask: Annotated[
        str, typer.Option(help="image: the top of the image's own map; dissection: S_k > T_k.")
    ] = "image",
    image_quantile: Annotated[float, typer.Option(help="For --mask image.")] = 0.2,
    classes: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Names of the model's classes, one a line.")
    ] = None,
    weights: Weights = None,
    device: Device = "auto",
    input_name: Input = None,
    feed: Feeds = None,
    custom_op_library: CustomOps = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page with pictures.")
    ] = None,
    json: Json = False,
) -> None:
    """Why this answer: the units that an image's class rests on, and what they detect."""
    from nd_plugin.cli import explain, parsing

    explain.explain(
        run,
        model,
        image,
        explain.ExplainOptions(
            layer, quantile, target, top_k, detectors, contribution, mask, image_quantile, classes
        ),
        options=parsing.model_options(device, weights, input_name, feed, custom_op_library),
        html=html,
        as_json=json,
    )
