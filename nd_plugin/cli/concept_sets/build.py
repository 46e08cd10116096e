"""Command ``nd concepts build``: Broden's construction (section 2.1) from any concept sets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nd_plugin.cli import console
from nd_plugin.cli.concept_sets.union_view import print_union, report_format
from nd_plugin.cli.options.shared import Json
from nd_plugin.errors import BadInput
from nd_plugin.shell.completion import complete_concepts

if TYPE_CHECKING:
    from nd_plugin.concepts.colours.colour_table import ColourTable
    from nd_plugin.concepts.union.settings import BuildSettings
    from nd_plugin.contracts.concept_sets import ConceptSet

NAMED_SOURCE = re.compile(r"([A-Za-z0-9][A-Za-z0-9_-]*)=(.+)")
MOST_WORKERS = 32
IMAGES = "Images and masks"


def build(
    output: Annotated[
        Path,
        typer.Argument(metavar="OUT", help="Folder of the new set: broden:OUT."),
    ],
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE…",
            help="Concept sets: broden:ROOT, masks:ROOT, shapes …; NAME=SOURCE names the folder "
            "of its images.",
            autocompletion=complete_concepts,
        ),
    ],
    *,
    size: Annotated[
        str,
        typer.Option(
            help="Size of images: 224, 227, 384, N or HxW pixels.",
            rich_help_panel=IMAGES,
        ),
    ] = "224",
    mask_size: Annotated[
        str | None,
        typer.Option(
            help="Size of masks: N or HxW pixels. [default: half the images']",
            rich_help_panel=IMAGES,
        ),
    ] = None,
    split: Annotated[
        str,
        typer.Option(
            metavar="NAME=SHARE,…",
            help="Splits and their shares, by a hash of each image's name.",
        ),
    ] = "train=0.7,val=0.3",
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            help="Seed of the splits; 0: Broden's own.",
            rich_help_panel=IMAGES,
        ),
    ] = 0,
    color_table: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.npy",
            help="Table of colour names by RGB, such as van de Weijer's. [default: our own]",
        ),
    ] = None,
    no_color: Annotated[
        bool,
        typer.Option(
            "--no-color",
            help="Compute no colour names; keep those of the sources.",
        ),
    ] = False,
    min_samples: Annotated[
        int,
        typer.Option(
            min=1,
            help="Leave out labels that fewer images carry.",
        ),
    ] = 10,
    min_coverage: Annotated[
        float,
        typer.Option(
            min=0.0,
            help="Leave out labels that cover less, in images' worth of pixels (Broden: 0.5).",
        ),
    ] = 0.0,
    synonyms: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="Labels to merge, whatever their sources: columns name,synonyms, several with ;",
        ),
    ] = None,
    keep_apart: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="Labels that no synonym merges: columns name,other.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Worker processes. [default: cores - 1]",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Continue an interrupted build.",
        ),
    ] = False,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Stop at an image that cannot be read, instead of skipping it.",
        ),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Replace an earlier set there, or discard an interrupted build.",
        ),
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write what was merged, and why: FILE.md, .csv or .json.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Unite concept sets into one in Broden's layout, with labels merged by name and synonym."""
    from nd_plugin.concepts.union.construction import build_union
    from nd_plugin.concepts.union.settings import BuildRun

    if no_color and color_table is not None:
        raise BadInput("--color-table and --no-color exclude each other; use one")
    report_text = None if report is None else report_format(report)
    settings = _settings(
        size,
        mask_size,
        min_samples,
        min_coverage,
        split,
        seed,
        synonyms,
        keep_apart,
    )
    run = BuildRun(
        workers=_worker_count(workers),
        strict=strict,
        resume=resume,
        overwrite=overwrite,
    )
    with console.results_only():
        sets = _open_sources(sources)
    colors = None if no_color else _colors(color_table)
    with console.progress() as progress, _progress_kept(output, resume=resume):
        union = build_union(output, sets, settings, run, colors, progress)
    if report is not None and report_text is not None:
        from nd_plugin.results.atomic_files import write_file

        write_file(report, report_text(union).encode())
    if json:
        console.print_json({"set": f"broden:{output}", **union.record()})
        return
    print_union(output, union)


def _settings(
    size: str,
    mask_size: str | None,
    min_samples: int,
    min_coverage: float,
    split: str,
    seed: int,
    synonyms: Path | None,
    keep_apart: Path | None,
) -> BuildSettings:
    """Return the settings of a union. Raises BadInput, ConceptSetInvalid for the user's files."""
    from nd_plugin.concepts.union.labels.merge_rules import MergeRules
    from nd_plugin.concepts.union.settings import BuildSettings
    from nd_plugin.concepts.union.splits import Splits
    from nd_plugin.preprocess import parse_size
    from nd_plugin.probe_data.items import half

    image_size = parse_size(size, "size", "N or HxW")
    masks = half(image_size)
    if mask_size is not None:
        masks = parse_size(mask_size, "mask size", "N or HxW")
    return BuildSettings(
        image_size,
        masks,
        min_samples,
        min_coverage,
        Splits.parse(split, seed),
        MergeRules.read(synonyms, keep_apart),
    )


def _open_sources(texts: Sequence[str]) -> list[tuple[str, ConceptSet]]:
    """Open concept sets, each with the name before its ``=``, or ""."""
    from nd_plugin.plugins.opening import open_concepts

    sets = []
    for text in texts:
        match = NAMED_SOURCE.fullmatch(text)
        name, spec = match.groups() if match else ("", text)
        sets.append((name, open_concepts(spec)))
    return sets


def _colors(path: Path | None) -> ColourTable:
    from nd_plugin.concepts.colours.colour_table import ColourTable

    return ColourTable.load(path)


def _worker_count(workers: int | None) -> int:
    """Return the number of worker processes beside the first one."""
    from nd_plugin.machine.forked_workers import can_fork
    from nd_plugin.probe_data.workers import cores

    if not can_fork():
        return 0
    return min(cores() - 1, MOST_WORKERS) if workers is None else workers


@contextmanager
def _progress_kept(output: Path, *, resume: bool) -> Iterator[None]:
    """Say, after whatever ends a build early, how to continue it."""
    from nd_plugin.concepts.union.passes.workspace import Workspace

    workspace = Workspace(output)
    if resume and not workspace.is_begun() and not output.exists():
        console.say("no interrupted build found; starting from scratch")
    try:
        yield
    except BadInput:
        raise
    except BaseException:
        if workspace.is_begun():
            console.say(
                f"nd: progress saved in {workspace.folder}; continue with --resume",
                "yellow",
            )
        raise
