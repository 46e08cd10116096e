"""Command ``nd rate``: people judge the labels of units, as in section 3.1 of the paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nd_plugin.cli.options.shared import Json


def rate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    descriptions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Descriptions of units by people, mixed with the labels: a CSV file with the "
            "columns unit, description, and layer where there are several.",
        ),
    ] = None,
    units: Annotated[
        str | None,
        typer.Option(
            metavar="N|all",
            help="Units to choose, by importance, in all layers together. [default: 100]",
        ),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100,
            help="Top images beside a phrase. [default: 15, as in the paper]",
        ),
    ] = None,
    layer: Annotated[
        list[str] | None,
        typer.Option(
            "-l", "--layer", help="Layer to rate; repeatable. [default: all]"
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Seed of the choice of units. [default: 0]"),
    ] = None,
    votes: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File of questions and votes (SQLite). [default: RUN/ratings.sqlite]",
        ),
    ] = None,
    table: Annotated[
        bool,
        typer.Option(
            "--table", help="Print the paper's table 3 of the votes so far."
        ),
    ] = False,
    import_files: Annotated[
        list[Path] | None,
        typer.Option(
            "--import",
            metavar="FILE",
            help="Add votes that an exported page saved (.json) or a crowd platform returned "
            "(.csv: question, rater, answer); repeatable.",
        ),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write the page as a folder: it needs no server, and saves votes to a file.",
        ),
    ] = None,
    crowd: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write questions.csv and pictures for crowd platforms; the answer key is "
            "DIR-key.csv, beside the folder.",
        ),
    ] = None,
    image_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="With --crowd: address at which its folder will be published.",
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option(help="Address to listen at. [default: this machine alone]"),
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Port to listen at; 0: any free one. [default: 8642, else a free one]",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Let people judge labels: a blind rating page, its votes, and the paper's table 3."""
    from nd_plugin.cli.views import rate_actions
    from nd_plugin.cli.views.rate_study import StudyOptions

    rate_actions.perform(
        rate_actions.Request(
            run,
            rate_actions.votes_path(run, votes),
            StudyOptions(units, images, seed, descriptions, tuple(layer or ())),
            rate_actions.Address(host, port),
            page=export,
            crowd=crowd,
            image_url=image_url or "",
            import_files=tuple(import_files or ()),
            shows_table=table,
            as_json=json,
        )
    )
