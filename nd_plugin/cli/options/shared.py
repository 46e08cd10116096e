"""Arguments and options that several commands of ``nd`` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nd_plugin.shell.completion import (
    complete_concepts,
    complete_layer,
    complete_model,
)

ModelText = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="FILE.onnx, torchvision:NAME, timm:NAME, package.module:factory?key=value …",
        autocompletion=complete_model,
    ),
]

Concepts = Annotated[
    str,
    typer.Option(
        "-c",
        "--concepts",
        help="Concept set: broden:ROOT, masks:ROOT, shapes …, a part SET[object], a+b.",
        autocompletion=complete_concepts,
    ),
]

ConceptsOfRun = Annotated[
    str | None,
    typer.Option(
        "-c",
        "--concepts",
        help="Concept set: broden:ROOT, masks:ROOT, shapes …, a part SET[object], a+b.",
        autocompletion=complete_concepts,
    ),
]

ColorTable = Annotated[
    Path | None,
    typer.Option(
        "--color-table",
        metavar="FILE.npy",
        help="Table of colour names for +color in the concept set, such as van de Weijer's. "
        "[default: nd_plugin's own]",
    ),
]

LayersOfRun = Annotated[
    list[str] | None,
    typer.Option(
        "-l",
        "--layer",
        help="Layer: a name, a pattern or all; several with commas; repeatable.",
        autocompletion=complete_layer,
    ),
]

Weights = Annotated[
    str | None,
    typer.Option(
        help="Weights: a safetensors file, a PyTorch state dict (.pt, .pth.tar) or a .caffemodel."
    ),
]

Bases = Annotated[
    list[str] | None,
    typer.Option(
        "--basis",
        metavar="FILE",
        help="Basis in which layers are seen, in place of their own units: directions, or the "
        "encoder of a sparse autoencoder (.npz, .safetensors); repeatable.",
    ),
]

Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 …")]

Input = Annotated[
    str | None,
    typer.Option(
        "--input",
        help="ONNX: name of the image input, if the model has several inputs.",
    ),
]

Feeds = Annotated[
    list[str] | None,
    typer.Option(
        "--feed",
        metavar="NAME=VALUE",
        help="ONNX: value of another input, a number or an .npy file; repeatable.",
    ),
]

CustomOps = Annotated[
    list[str] | None,
    typer.Option(
        "--custom-op-library",
        metavar="FILE",
        help="ONNX: library of custom operators; repeatable.",
    ),
]

InputSize = Annotated[
    str | None,
    typer.Option(
        help="Size of the model's input: N or HxW pixels. [default: the model's own]"
    ),
]

MinIoU = Annotated[
    float, typer.Option(help="A unit with a higher IoU is a detector.")
]

OtherMinIoU = Annotated[
    float | None,
    typer.Option(
        "--min-iou",
        help="Count a unit with a higher IoU as a detector. [default: as in the run; for "
        "CSV files 0.04]",
    ),
]

Quantiles = Annotated[
    list[str] | None,
    typer.Option(
        "--quantile",
        metavar="QUANTILE",
        help="Fraction τ of activations above each unit's threshold; several with commas; "
        "repeatable. [default: 0.005]",
    ),
]

Quantile = Annotated[
    float,
    typer.Option(help="Fraction τ of activations above each unit's threshold."),
]

Limit = Annotated[
    int | None,
    typer.Option(min=1, help="Use only the first N images of the concept set."),
]

MaxPixels = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Largest number of pixels of an image or mask. "
        "[default: ND_MAX_PIXELS, else Pillow's limit of 179 million]",
    ),
]

VerifyData = Annotated[
    bool,
    typer.Option(
        "--verify-data",
        help="Hash the contents of all images and masks first: a run is then continued and merged "
        "with the same contents only, and the report says so.",
    ),
]

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

Html = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Write pages with pictures: a folder, or one file where DIR ends in .html.",
    ),
]

Plot = Annotated[
    Path | None,
    typer.Option(
        "--plot",
        metavar="FILE",
        help="Draw a plot: FILE.png, .svg, .pdf or .pgf (for LaTeX).",
    ),
]

PlotKind = Annotated[
    str | None,
    typer.Option(
        metavar="KIND",
        help="Kind of plot: detectors, ratio, iou, mean-iou, heat-map, concepts, units, "
        "quantiles or quantile-iou. [default: detectors]",
    ),
]

Output = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="RUN",
        help="Folder of the run. [default: runs/MODEL-CONCEPTS]",
    ),
]

ComparisonOutput = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE|DIR",
        help="Save the comparison: FILE.json, or a folder with both dissections beside it.",
    ),
]

Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace an earlier run there.")
]

Memory = Annotated[
    str | None,
    typer.Option(
        help="Memory for activation maps; more go to disk: 1GiB, 500MB … [default: 1GiB]"
    ),
]

BatchSize = Annotated[
    int | None,
    typer.Option(min=1, help="Images per forward pass. [default: by device]"),
]

Workers = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Data-loading worker processes. [default: cores - 1, at most 4 on a CPU]",
    ),
]
