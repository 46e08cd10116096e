"""Command ``nd concepts export``: a set as a folder in Broden's layout or in the masks format."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from nd_plugin.cli import console
from nd_plugin.cli.concept_sets.listing import ConceptsText
from nd_plugin.cli.console import print_json, print_notes
from nd_plugin.cli.options.shared import Json, Limit, Workers

if TYPE_CHECKING:
    from nd_plugin.concepts.export.options import ExportOptions
    from nd_plugin.concepts.export.run import ExportReport

REASONS_SHOWN = 3


def export(
    concepts: ConceptsText,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write.")],
    format: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="broden (index.csv, label.csv …) or masks (images/, masks/, concepts.csv).",
        ),
    ] = "broden",
    *,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Resize images, without cropping, to N or HxW pixels, and masks to half of it. "
            "[default: images and masks as they are]",
        ),
    ] = None,
    mask_size: Annotated[
        str | None,
        typer.Option(
            "--mask-size",
            metavar="SIZE",
            help="With --size: size of the masks, N or HxW. [default: half the images']",
        ),
    ] = None,
    interpolation: Annotated[
        str,
        typer.Option(
            help="With --size: nearest, bilinear, bicubic or lanczos, for images; masks are always "
            "nearest."
        ),
    ] = "bilinear",
    limit: Limit = None,
    workers: Workers = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier export there.")
    ] = False,
    json: Json = False,
) -> None:
    """Write a concept set as a folder in Broden's layout or in the masks format."""
    from nd_plugin.concepts.export.run import export_concepts
    from nd_plugin.plugins.opening import open_concepts

    options = _options(format, size, mask_size, interpolation)
    with console.results_only():
        concept_set = open_concepts(concepts)
        with console.progress() as progress:
            report = export_concepts(
                concept_set,
                out,
                options,
                limit=limit,
                overwrite=overwrite,
                workers=workers,
                progress=progress,
            )
    set_notes = list(getattr(concept_set, "notes", ()))
    if json:
        print_json({**report.to_dict(), "set_notes": set_notes})
        return
    _print_report(report)
    print_notes([*report.notes, *set_notes])


def _options(
    format_name: str, size: str | None, mask_size: str | None, interpolation: str
) -> ExportOptions:
    """Return the options of an export. Raises BadInput for a text that is no size."""
    from nd_plugin.concepts.export.options import ExportOptions
    from nd_plugin.preprocess import parse_size

    return ExportOptions(
        format_name,
        parse_size(size, "--size") if size else None,
        parse_size(mask_size, "--mask-size") if mask_size else None,
        interpolation,
    )


def _print_report(report: ExportReport) -> None:
    """Print what was written, and what was left out."""
    spec = f"{report.format}:{report.folder}"
    counts = f"{report.images} images, {report.concepts} concepts"
    origin = f"{spec}: {counts}; from {report.source}"
    console.show(Text(origin), wrap_words=False)
    written = report.images - report.copied
    files = f"{report.copied} image files copied, {written} written as PNG"
    own_size = "their own size" if report.native_masks else "half the model's input"
    comparison = f"{files}; masks are compared at {own_size}"
    console.show(Text(comparison), wrap_words=False)
    parts = Counter(skipped.part for skipped in report.skipped)
    for part, count in parts.items():
        fate = "left out" if part == "image" else "without its annotation"
        console.show(Text(f"{count} unreadable ({part}): {fate}", style="yellow"))
    for skipped in report.skipped[:REASONS_SHOWN]:
        line = f"  {skipped.image}: {skipped.reason}"
        console.show(Text(line, style="yellow"), wrap_words=False)
