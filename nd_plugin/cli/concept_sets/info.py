"""Command ``nd concepts info``: statistics of a set, and a sheet of samples."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from nd_plugin.cli import console
from nd_plugin.cli.concept_sets.listing import ConceptsText, heading_of
from nd_plugin.cli.console import new_table, print_json, print_notes
from nd_plugin.cli.options.shared import (
    ColorTable,
    Json,
    Limit,
    MaxPixels,
    Workers,
)

if TYPE_CHECKING:
    from nd_plugin.concepts.info.set_statistics import SetStatistics
    from nd_plugin.contracts.concept_sets import ConceptSet

MOST_LINES = 6  # of pictures in a sheet; few categories have two lines each


def info(
    concepts: ConceptsText,
    *,
    color_table: ColorTable = None,
    limit: Limit = None,
    max_pixels: MaxPixels = None,
    workers: Workers = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="FILE",
            help="Draw samples of each category with their annotation: FILE.png, .svg or .pdf.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Describe a concept set: classes, sources, samples, coverage; all annotations are read."""
    from nd_plugin.cli.views.plot_files import PlotFile
    from nd_plugin.concepts.colours.table_option import with_color_table
    from nd_plugin.concepts.info.samples import check_sheet
    from nd_plugin.concepts.info.set_statistics import measure_set
    from nd_plugin.plugins.opening import open_concepts

    file = PlotFile(plot)
    file.check(has_pictures=True)
    with console.results_only(), console.progress() as progress:
        concept_set = open_concepts(with_color_table(concepts, color_table))
        if plot is not None:
            check_sheet(concept_set)
        statistics = measure_set(
            concept_set,
            progress,
            limit=limit,
            workers=workers,
            max_pixels=max_pixels,
        )
    print_statistics(concept_set, statistics, as_json=json)
    with console.results_only():
        file.write(lambda: _draw(concept_set, statistics, max_pixels))


def print_statistics(
    concept_set: ConceptSet, statistics: SetStatistics, *, as_json: bool
) -> None:
    """Print the statistics of a set: table 1, and the most frequent and rarest concepts."""
    from nd_plugin.concepts.info import texts

    notes = [
        *getattr(concept_set, "notes", ()),
        *texts.statistics_notes(statistics),
    ]
    if as_json:
        content = texts.statistics_content(statistics)
        print_json({**asdict(concept_set.identity), **content, "notes": notes})
        return
    console.show(heading_of(concept_set))
    table = new_table(
        "category", "classes", "sources", "avg. samples", "of images", "of pixels"
    )
    for category in statistics.categories:
        row = texts.category_row(category, statistics.images_read)
        table.add_row(*map(Text, row))
    console.show(table)
    frequencies = new_table("category", "most frequent", "rarest")
    for category in statistics.categories:
        frequencies.add_row(*map(Text, texts.frequency_row(category)))
    console.show(frequencies)
    print_notes(notes)


def _draw(
    concept_set: ConceptSet, statistics: SetStatistics, max_pixels: int | None
) -> Any:
    """Draw the sample sheet of a set."""
    from nd_plugin.concepts.info.samples import SampleReader
    from nd_plugin.plots.concept_sets.sample_sheet import (
        COLUMNS,
        SheetRow,
        Tile,
        plot_samples,
    )

    lines = 2 if 2 * len(statistics.categories) <= MOST_LINES else 1
    reader = SampleReader(concept_set, max_pixels)
    rows = []
    for category, samples in reader.read(statistics, lines * COLUMNS):
        tiles = [
            Tile(sample.picture, sample.mask, _caption(sample.name, sample.samples))
            for sample in samples
        ]
        shown = f"{len(samples)} of {len(category.concepts)} concepts"
        heading = f"{shown}, the most frequent first; {category.images} images"
        rows.append(SheetRow(category.name, heading, tiles))
    return plot_samples(rows)


def _caption(name: str, samples: int) -> str:
    from nd_plugin.report.terminal import plural

    return f"{name}\n{samples} {plural(samples, 'image')}"
