"""One unit of a run: ``nd unit``. Needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nd_plugin.cli.options.shared import Json

RUN_HELP = "Folder of a run of nd dissect, or of one of its layers."


def unit(
    run: Annotated[Path, typer.Argument(metavar="RUN", help=RUN_HELP)],
    number: Annotated[
        int, typer.Argument(metavar="UNIT", help="Number of the unit, from 0.")
    ],
    layer: Annotated[
        str | None,
        typer.Option(
            "-l",
            "--layer",
            help="Layer of the run; needed where it has several.",
        ),
    ] = None,
    top_images: Annotated[
        int, typer.Option(min=1, metavar="N", help="Number of top images.")
    ] = 5,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Draw the top images with their masks: FILE.png, .svg or .pdf.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show one unit: its label, next concepts, activations and top images."""
    from nd_plugin.cli.views.unit_display import show_unit

    show_unit(run, number, layer, top_images, plot, as_json=json)
