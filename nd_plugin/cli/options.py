"""The options that several commands of ``nd`` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ModelText = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="FILE.onnx, torchvision:NAME, timm:NAME, package.module:factory?key=value …",
    ),
]


Weights = Annotated[str | None, typer.Option(help="A safetensors file or a state dict.")]


Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 …")]


Input = Annotated[
    str | None, typer.Option("--input", help="ONNX: which of several inputs takes the images.")
]


Feeds = Annotated[
    list[str] | None,
    typer.Option(
        "--feed", metavar="NAME=VALUE", help="ONNX: a number or .npy file for another input."
    ),
]


CustomOps = Annotated[
    list[str] | None,
    typer.Option("--custom-op-library", metavar="FILE", help="ONNX: operators that it needs."),
]


InputSize = Annotated[
    str | None, typer.Option(help="The model's input: N or HxW pixels. [default: the model's own]")
]


Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


Output = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", metavar="RUN", help="The run's folder. [default: runs/MODEL-CONCEPTS]"
    ),
]


Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace an earlier run in that folder.")
]


Strict = Annotated[
    bool, typer.Option("--strict", help="Stop at the first image that cannot be read.")
]


Memory = Annotated[
    str | None, typer.Option(help="For maps kept during the pass: 1GiB, 500MB … [default: 1GiB]")
]


BatchSize = Annotated[
    int | None, typer.Option(min=1, help="Images per forward pass. [default: by device]")
]


Workers = Annotated[
    int | None, typer.Option(min=0, help="Processes beside this one. [default: by cores]")
]
