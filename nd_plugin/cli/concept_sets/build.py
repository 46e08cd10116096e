"""Command ``nd concepts build``: Broden's construction (section 2.1) from any concept sets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nd_plugin.cli import console
from nd_plugin.cli.concept_sets.build_options import (
    Colors,
    Construction,
    Labels,
    Sizes,
    Splitting,
)
from nd_plugin.cli.concept_sets.union_view import print_union, report_format
from nd_plugin.cli.options.shared import Json
from nd_plugin.errors import BadInput
from nd_plugin.shell.completion import complete_concepts

if TYPE_CHECKING:
    from nd_plugin.concepts.union.settings import BuildSettings
    from nd_plugin.contracts.concept_sets import ConceptSet

NAMED_SOURCE = re.compile(r"([A-Za-z0-9][A-Za-z0-9_-]*)=(.+)")


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
    sizes: Sizes,
    splitting: Splitting,
    colors: Colors,
    labels: Labels,
    construction: Construction,
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

    report_text = None if report is None else report_format(report)
    settings = _settings(sizes, splitting, labels)
    run = construction.run()
    color_names = colors.table()
    with console.results_only():
        sets = _open_sources(sources)
    with console.progress() as progress, _progress_kept(output, resume=run.resume):
        union = build_union(output, sets, settings, run, color_names, progress)
    if report is not None and report_text is not None:
        from nd_plugin.results.atomic_files import write_file

        write_file(report, report_text(union).encode())
    if json:
        console.print_json({"set": f"broden:{output}", **union.record()})
        return
    print_union(output, union)


def _settings(sizes: Sizes, splitting: Splitting, labels: Labels) -> BuildSettings:
    """Return the settings of a union. Raises BadInput, ConceptSetInvalid for the user's files."""
    from nd_plugin.concepts.union.settings import BuildSettings

    image_size, mask_size = sizes.of_images_and_masks()
    return BuildSettings(
        image_size,
        mask_size,
        labels.min_samples,
        labels.min_coverage,
        splitting.splits(),
        labels.rules(),
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
