"""Options of ``nd explain`` beside run, model and image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from nd_plugin.cli.options.shared import MaxPixels
from nd_plugin.shell.completion import complete_layer


@dataclass(frozen=True)
class ExplainOptions:
    """What of an explanation is computed and shown."""

    target: Annotated[
        str | None,
        typer.Option(
            "-t",
            "--target",
            help="Class, by number or name. [default: the predicted class]",
        ),
    ] = None
    layer: Annotated[
        str | None,
        typer.Option(
            "-l",
            "--layer",
            help="A layer of the run, or several: a pattern such as 'layer?', all, names with "
            "commas. [default: the run's last]",
            autocompletion=complete_layer,
        ),
    ] = None
    quantile: Annotated[
        float | None,
        typer.Option(help="A quantile of the run. [default: the run's first]"),
    ] = None
    top_k: Annotated[
        int, typer.Option(min=1, metavar="K", help="Number of units to show.")
    ] = 5
    detectors_only: Annotated[
        bool,
        typer.Option("--detectors", help="Show only units that detect a concept."),
    ] = False
    contribution: Annotated[
        str,
        typer.Option(
            help="Measure of contribution: auto, linear, gradient, ablation, activation."
        ),
    ] = "auto"
    mask: Annotated[
        str,
        typer.Option(
            help="Mask of a unit: image (top of its map of this image) or dissection (S_k > T_k)."
        ),
    ] = "image"
    image_quantile: Annotated[
        float,
        typer.Option(help="For --mask image: fraction of the map in the mask."),
    ] = 0.2
    classes: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Names of the model's classes, one per line."
        ),
    ] = None
    max_pixels: MaxPixels = None  # of the image
