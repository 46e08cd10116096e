"""Command ``nd compare``: options and arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nd_plugin.cli.options.shared import Json, Overwrite, Plot


def compare(
    result: Annotated[
        list[str],
        typer.Argument(
            metavar="RESULT...",
            help="Folder of a run; table of NetDissect, NetDissect-Lite, CLIP-Dissect or MILAN; "
            "the authors' summary of networks (.mat). PATH:NAME chooses layers or networks.",
        ),
    ],
    concept: Annotated[
        list[str] | None,
        typer.Option(
            "--concept",
            metavar="NAME",
            help="Show the best units of a concept in each result; repeatable.",
        ),
    ] = None,
    min_iou: Annotated[
        float | None,
        typer.Option(
            "--min-iou",
            help="Count a unit with a higher IoU as a detector. [default: as in the run; for "
            "tables 0.04]",
        ),
    ] = None,
    fail_under: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            metavar="SHARE",
            help="Exit with 1 if a layer has less than this share of the first RESULT's unique "
            "detectors, such as 0.95, and images do not explain it.",
        ),
    ] = None,
    junit: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the verdicts of --fail-under as JUnit's XML, a test case for each layer.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="OUT",
            help="Save the comparison: FILE.json; FILE.csv, a line for each layer; or a folder of "
            "JSON and two tables.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    plot: Plot = None,
    plot_kind: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="Kind of plot: networks, shares, top-concepts, widths, mean-iou, or one of "
            "nd report's. [default: networks; with --concept its units]",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Compare layers, networks and published results: unique detectors, and concepts of each."""
    from nd_plugin.cli.experiments import compare
    from nd_plugin.cli.views.plot_files import PlotFile

    compare.compare(
        result,
        compare.CompareOptions(
            concepts=tuple(concept or ()),
            min_iou=min_iou,
            fail_under=fail_under,
            junit=junit,
            output=output,
            overwrite=overwrite,
            plot=PlotFile(plot, plot_kind),
            as_json=json,
        ),
    )
