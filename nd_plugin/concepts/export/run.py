"""Export of a concept set: images in worker processes, tables at the end, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from nd_plugin.concepts.broden_layout.export import BrodenExport
from nd_plugin.concepts.export.images import ImageReader
from nd_plugin.concepts.export.layout import Layout, Tables
from nd_plugin.concepts.export.names import image_stems
from nd_plugin.concepts.export.new_folder import check_target, new_folder
from nd_plugin.concepts.export.note import NOTE, ExportNote
from nd_plugin.concepts.export.options import ExportOptions
from nd_plugin.concepts.export.pictures import PictureSource
from nd_plugin.concepts.export.planes import CategoryOfValues
from nd_plugin.concepts.masks_layout.export import MasksExport
from nd_plugin.contracts.concept_sets import ConceptSet
from nd_plugin.contracts.provenance import Skipped
from nd_plugin.errors import BadInput, RunFailed
from nd_plugin.machine.forked_workers import map_in_order
from nd_plugin.probe_data.grey_sample import GreySample
from nd_plugin.probe_data.loading import whole_number
from nd_plugin.probe_data.remarks import Remarks
from nd_plugin.probe_data.workers import default_workers
from nd_plugin.storage.durable_files import create_file

STAGE = "exporting"
# of an image and its masks, for the default number of workers
PICTURE_BYTES = 2**26
Progress = Callable[[str, int, int], None]  # stage, images done, images in all


@dataclass(frozen=True)
class ExportReport:
    """What was exported, and what was not."""

    folder: str
    format: str
    source: str
    images: int
    copied: int  # images whose file was copied byte for byte
    concepts: int
    categories: tuple[str, ...]
    native_masks: bool
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the values as plain types, for JSON."""
        return asdict(self)


class _Outcome(NamedTuple):
    """What became of an image."""

    written: Any  # see `Layout.write`
    is_written: bool  # False: it could not be decoded
    skipped: Skipped | None
    is_copied: bool
    remarks: Remarks


def export_concepts(
    concepts: ConceptSet,
    folder: str | Path,
    options: ExportOptions | None = None,
    *,
    limit: int | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> ExportReport:
    """Write a concept set to a folder in Broden's layout or in the masks format.

    Args:
        concepts: Concept set, as `open_concepts` opens it.
        folder: Folder to write, which is complete or not there at all.
        options: Format and sizes; None: Broden's layout, images and masks as they are.
        limit: Maximum number of images, from the first.
        overwrite: Replace an earlier export there; anything else is never replaced.
        workers: Worker processes; None: one fewer than there are cores, at most four.
        progress: Is called with the stage, the number of images done, and of all.

    Raises:
        BadInput: A folder that holds something else; names that the format cannot hold.
        NotSaved: The folder cannot be written.
        RunFailed: No image can be read.
    """
    _check_is_open(concepts)
    options = options or ExportOptions()
    target = Path(folder)
    check_target(target, overwrite=overwrite)
    layout = _layout(concepts, options.format)
    notes = layout.check_vocabulary()
    count = len(concepts) if limit is None else min(limit, len(concepts))
    names = [concepts.name(index) for index in range(count)]
    stems = image_stems(names, layout.suffixes)
    notes += _notes_on_names(names, stems)
    reader = _reader(concepts, options, layout, stems)
    worker_count = _worker_count(workers)
    with new_folder(target) as draft:
        images = _write_images(reader, draft, range(count), worker_count, progress)
        tables = layout.new_tables()
        outcomes = _add_images(tables, images)
        image_count = sum(outcome.is_written for outcome in outcomes)
        if not image_count:
            raise RunFailed(_nothing_read(concepts, outcomes))
        note = _note(concepts, options)
        create_file(draft / NOTE, note.content())
        notes += Remarks.total(outcome.remarks for outcome in outcomes).notes()
        notes += tables.write(draft)
    return ExportReport(
        str(target),
        options.format,
        concepts.identity.source,
        image_count,
        sum(outcome.is_copied for outcome in outcomes),
        len(concepts.concepts),
        tuple(concepts.categories),
        note.native_masks,
        tuple(outcome.skipped for outcome in outcomes if outcome.skipped),
        tuple(notes),
    )


def _add_images(
    tables: Tables, images: Generator[_Outcome, None, None]
) -> list[_Outcome]:
    """Add images to the tables as they are written; return what became of each."""
    outcomes = []
    with closing(images):
        for outcome in images:
            if outcome.is_written:
                tables.add(outcome.written)
            # the tables have taken what they need of it
            outcomes.append(outcome._replace(written=None))
    return outcomes


def _check_is_open(concepts: Any) -> None:
    if isinstance(concepts, str):
        raise BadInput(
            f"{concepts!r} is the text of a concept set; open it: open_concepts({concepts!r})"
        )


def _layout(concepts: ConceptSet, name: str) -> Layout:
    return BrodenExport(concepts) if name == "broden" else MasksExport(concepts)


def _reader(
    concepts: ConceptSet,
    options: ExportOptions,
    layout: Layout,
    stems: Sequence[str],
) -> ImageReader:
    """Return the reader of a set's images."""
    pictures = PictureSource(concepts, options, GreySample(concepts))
    categories = CategoryOfValues(concepts.concepts, concepts.categories)
    return ImageReader(concepts, options, layout, pictures, categories, stems)


def _notes_on_names(names: Sequence[str], stems: Sequence[str]) -> list[str]:
    """Return a note on images whose names were changed; an ending is no part of a name."""
    changed = [
        (name, stem)
        for name, stem in zip(names, stems, strict=True)
        if not name.startswith(stem)
    ]
    if not changed:
        return []
    name, stem = changed[0]
    return [
        f"{len(changed)} images have other names than in the set, for example {stem!r} for "
        f"{name!r}: two names would meet, or a system does not take them"
    ]


def _worker_count(workers: int | None) -> int:
    number = whole_number("workers", workers, 0)
    return (
        default_workers(torch.device("cpu"), PICTURE_BYTES)
        if number is None
        else number
    )


def _write_images(
    reader: ImageReader,
    draft: Path,
    numbers: Sequence[int],
    workers: int,
    progress: Progress | None,
) -> Generator[_Outcome, None, None]:
    """Write all images into a folder, and yield what became of each, in their order."""

    def write(index: int) -> _Outcome:
        read_image = reader.read(index)
        image = read_image.image
        skipped, remarks = read_image.skipped, read_image.remarks
        if image is None:
            return _Outcome(None, False, skipped, False, remarks)
        written = reader.layout.write(draft, image)
        is_copied = image.picture.content is not None
        return _Outcome(written, True, skipped, is_copied, remarks)

    report_progress = progress or _say_nothing
    report_progress(STAGE, 0, len(numbers))
    results = map_in_order(write, numbers, workers, reader.concepts.name)
    # closed when it is left: workers end before the folder is removed
    with closing(results):
        for done, outcome in enumerate(results, start=1):
            report_progress(STAGE, done, len(numbers))
            yield outcome


def _say_nothing(stage: str, done: int, total: int) -> None:
    """Show no progress."""


def _note(concepts: ConceptSet, options: ExportOptions) -> ExportNote:
    """Return the note of an export: masks that were brought to a size are compared at it."""
    identity = concepts.identity
    return ExportNote(
        options.format,
        concepts.native_masks or options.size is not None,
        identity.name,
        identity.source,
        identity.version,
        identity.fingerprint,
    )


def _nothing_read(concepts: ConceptSet, outcomes: Sequence[_Outcome]) -> str:
    source = concepts.identity.source
    reasons = [outcome.skipped.reason for outcome in outcomes if outcome.skipped]
    if not reasons:
        return f"{source} has no images"
    return (
        f"none of the {len(outcomes)} images of {source} can be read: {reasons[0]}"
    )
