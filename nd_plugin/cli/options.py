"""Arguments and options that several commands of ``nd`` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nd_plugin.shell.completion import complete_concepts, complete_model

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
        help="Concept set: broden:ROOT, masks:ROOT, shapes …",
        autocompletion=complete_concepts,
    ),
]

Weights = Annotated[
    str | None,
    typer.Option(
        help="Weights: a safetensors file, a PyTorch state dict (.pt, .pth.tar) or a .caffemodel."
    ),
]

Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 …")]

Precision = Annotated[
    str | None,
    typer.Option(
        "--precision",
        help="Arithmetic of the model: float32, tf32, float16, bfloat16. [default: full float32]",
    ),
]

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

Mean = Annotated[
    str | None,
    typer.Option(
        help="Mean per channel, such as 0.485,0.456,0.406, or one for all channels."
    ),
]

Std = Annotated[
    str | None,
    typer.Option(
        help="Standard deviation per channel, such as 0.229,0.224,0.225, or one for all."
    ),
]

Scale = Annotated[
    float | None,
    typer.Option(
        help="Factor for pixels, before mean and std. [default: the model's, else 1/255]"
    ),
]

Interpolation = Annotated[
    str | None, typer.Option(help="nearest, bilinear, bicubic, lanczos.")
]

ChannelOrder = Annotated[str | None, typer.Option(help="rgb or bgr.")]

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

TopImages = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Number of most activating images saved per unit, as small pictures with their "
        "masks. [default: 50 names, pictures of the first 15]",
    ),
]

NoPictures = Annotated[
    bool,
    typer.Option(
        "--no-pictures", help="Save no pictures of the most activating images."
    ),
]

PictureBudget = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="Size of a layer's pictures: 8MiB, 1GB …; beyond it, fewer images have pictures. "
        "[default: 32MiB]",
    ),
]

Anchor = Annotated[
    str,
    typer.Option(
        help="Position of cells: rf (receptive-field centres) or cell (even grid)."
    ),
]

MaskSize = Annotated[
    str,
    typer.Option(help="Size at which masks are compared: auto, native, N or HxW."),
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

Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Stop at the first image that cannot be read, "
        "and refuse a layer that gives other activations from run to run.",
    ),
]

Memory = Annotated[
    str | None,
    typer.Option(
        help="Memory for activation maps; more go to disk: 1GiB, 500MB … [default: 1GiB]"
    ),
]

DeviceMemory = Annotated[
    str | None,
    typer.Option(
        help="Memory of a GPU for activation maps and annotations; more go to --memory. "
        "[default: 40 % of what is free]"
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
