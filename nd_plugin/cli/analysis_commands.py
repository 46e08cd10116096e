"""Commands that answer questions about units: ``nd report``, ``nd explain``, ``nd parity``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nd_plugin.cli.options.explanations import ExplainOptions
from nd_plugin.cli.options.groups import Loading, ModelChoice, Preprocessing
from nd_plugin.cli.options.shared import (
    ColorTable,
    ComparisonOutput,
    Concepts,
    Html,
    Json,
    Limit,
    MinIoU,
    ModelText,
    OtherMinIoU,
    Overwrite,
    Plot,
    PlotKind,
    Quantile,
    Weights,
)
from nd_plugin.cli.views.score_options import By, MinScore
from nd_plugin.shell.completion import complete_layer, complete_model


def report(
    run: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...",
            help="Folder of a run, or a NetDissect CSV file; several are compared.",
        ),
    ],
    html: Html = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="text, html, svg, csv, json, latex, netdissect-csv (one layer), quantiles-csv, or "
            "a plugin's format. "
            "[default: by FILE's ending]",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Write to FILE instead of stdout; to a folder where a plugin's format is one.",
        ),
    ] = None,
    safe_csv: Annotated[
        bool,
        typer.Option(
            "--safe-csv",
            help="In CSV, put ' before cells that a spreadsheet would run as formulas.",
        ),
    ] = False,
    min_iou: OtherMinIoU = None,
    by: By = "iou",
    min_score: MinScore = None,
    plot: Plot = None,
    plot_kind: PlotKind = None,
    json: Json = False,
) -> None:
    """Report runs, or NetDissect CSV files such as the authors' published ones."""
    from nd_plugin.cli import report
    from nd_plugin.cli.views.plot_files import PlotRequest
    from nd_plugin.cli.views.report_sources import Labelling

    format_name = report.format_name(form, output, json)
    text_format = report.TextFormat(format_name, output, safe_csv)
    request = PlotRequest.of(plot, plot_kind)
    labelling = Labelling(min_iou, by, min_score)
    report.report(run, html, text_format, labelling, request, as_json=json)


def explain(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            help="Folder of a run of nd dissect, which names the units.",
        ),
    ],
    model: ModelText,
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="An image file.")],
    *,
    explain_options: ExplainOptions,
    weights: Weights = None,
    choice: ModelChoice,
    html: Html = None,
    json: Json = False,
) -> None:
    """Explain a prediction: the units that contribute most to a class, and their concepts."""
    from nd_plugin.cli import explain

    explain.explain(
        run,
        model,
        image,
        explain_options,
        options=choice.model_options(weights),
        html=html,
        as_json=json,
    )


def parity(
    model: ModelText,
    origin: Annotated[
        str,
        typer.Argument(
            metavar="ORIGIN",
            help="Model that MODEL was made from, or any other.",
            autocompletion=complete_model,
        ),
    ],
    concepts: Concepts,
    *,
    color_table: ColorTable = None,
    layer: Annotated[
        list[str] | None,
        typer.Option(
            "-l",
            "--layer",
            help="NAME, NAME=NAME_IN_ORIGIN, a pattern such as 'layer*', or several with commas; "
            "repeatable. [default: all layers that both have]",
            autocompletion=complete_layer,
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Weights of ORIGIN: a safetensors file or a PyTorch state dict."
        ),
    ] = None,
    choice: ModelChoice,
    quantile: Quantile = 0.005,
    min_iou: MinIoU = 0.04,
    limit: Limit = None,
    loading: Loading,
    preprocessing: Preprocessing,
    max_lost: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Exit with 1 if more of ORIGIN's detectors are lost, in all layers.",
        ),
    ] = None,
    max_renamed: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Exit with 1 if more detectors detect another concept, in all layers.",
        ),
    ] = None,
    fail_under: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            metavar="SHARE",
            help="Exit with 1 if a smaller share of ORIGIN's detectors is kept, such as 0.95.",
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            help="Exit with 1 if activations of a layer differ by more, relative to the largest "
            "activation."
        ),
    ] = None,
    output: ComparisonOutput = None,
    overwrite: Overwrite = False,
    plot: Plot = None,
    plot_kind: PlotKind = None,
    json: Json = False,
) -> None:
    """Compare an export with its origin: detectors kept, lost and renamed, layer by layer."""
    from nd_plugin.cli import parity
    from nd_plugin.cli.views.plot_files import PlotRequest
    from nd_plugin.concepts.colours.table_option import with_color_table
    from nd_plugin.contracts.models import ModelOptions
    from nd_plugin.contracts.provenance import Settings

    parity.compare_models(
        model,
        origin,
        layer or (),
        with_color_table(concepts, color_table),
        options=(
            choice.model_options(),
            ModelOptions(choice.device, weights, precision=choice.precision),
        ),
        settings=Settings(quantile, min_iou, limit=limit),
        preprocess_values=preprocessing.values(),
        loading=loading,
        gates=parity.Gates(tolerance, max_lost, max_renamed, fail_under),
        output=output,
        overwrite=overwrite,
        plot=PlotRequest.of(plot, plot_kind),
        as_json=json,
    )
