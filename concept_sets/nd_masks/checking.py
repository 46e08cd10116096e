"""Checks of a set in the masks format: all of its faults, also of one that cannot be opened."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nd_masks.entries import Entry, match_masks, unmatched_masks
from nd_masks.files import existing_folder, find_masks, folder_names, image_endings
from nd_masks.mask_checks import EntryChecker, UnlistedValues
from nd_masks.tables import CONCEPT_COLUMNS, LABEL_COLUMNS, concept_of, mask_value
from nd_plugin import (
    Concept,
    ConceptSetInvalid,
    FolderListing,
    SetFinding,
    TableLine,
    check_relative,
    list_files,
)
from nd_plugin.reading import (
    FindingList,
    check_each,
    find_rare_concepts,
    iterate_table,
    looks_at_all,
    place_of,
)

CONCEPTS = "concepts.csv"
LABELS = "image_labels.csv"
WARNINGS = frozenset(
    {
        "duplicate-line",
        "duplicate-image",
        "unmatched-mask",
        "unlabelled-image",
        "unreferenced-file",
        "unlisted-label",  # such as 255, "void" in many data sets
    }
)
REMEDIES = {
    "missing-table": "restore the table",
    "missing-column": "add the column, or correct its name in the first line",
    "repeated-column": "rename or delete all but one of the columns",
    "unreadable-table": "save the table as plain CSV text in UTF-8",
    "table-line": "correct the line",
    "empty-cell": "fill the cell in, or delete the line",
    "no-concepts": "list concepts in concepts.csv, in image_labels.csv, or in both",
    "mask-value": "write a whole number from 0 to 65535",
    "duplicate-value": "delete one of the lines: a value stands for one concept",
    "outside-set": "write the name of a folder below masks/",
    "missing-image": "correct the path, or put the image there",
    "duplicate-line": "delete one of the lines",
    "duplicate-image": "make the file a copy, or delete it",
    "irregular-file": "put a regular file there, or delete it",
    "unreadable-folder": "allow this user to read the folder",
    "no-images": "put the images below images/",
    "unused-category": "put masks into its folder, named as their images, or delete the category",
    "unlisted-category": "list its values in concepts.csv, or move the folder away",
    "unmatched-mask": "give it the path of its image, with the ending .png, or delete it",
    "unlabelled-image": "add masks or labels, or delete the image: it counts for no concept",
    "unreferenced-file": "delete it: it is no picture that is read",
    "unreadable-image": "copy or export the image again, or delete it",
    "unreadable-mask": "copy or export the mask again, or delete it",
    "mask-checksum": "copy or export the mask again",
    "mask-format": "export the mask again, as PNG",
    "mask-mode": "save the mask as 8 or 16 bit grey or palette, with one index per pixel",
    "unlisted-label": "list the value in concepts.csv, or set its pixels to 0",
    "mask-aspect": "export the mask of the whole image, in the image's aspect",
}


@dataclass
class Tables:
    """What can be read of both tables."""

    label_lines: list[TableLine] = field(default_factory=list)
    # where a concept is listed first
    positions: dict[Concept, str] = field(default_factory=dict)
    # concepts by category and mask value
    values: dict[str, dict[int, Concept]] = field(default_factory=dict)

    @property
    def concepts(self) -> list[Concept]:
        """Concepts of both tables, each once."""
        return list(self.positions)


def check(root: str) -> Iterator[SetFinding]:
    """Yield the faults of a set, its tables first; called as `nd_masks.reader.Masks` is.

    Raises ConceptSetInvalid for no folder.
    """
    folder = existing_folder(root)
    report = FindingList(folder, finding_of)
    tables = _read_tables(folder, report)
    images = list_files(folder / "images", image_endings())
    entries = _entries(folder, tables, images, report)
    _check_folders(folder, tables, entries, report)
    yield from report.findings
    yield from _unreferenced(folder)
    yield from _entry_findings(folder, tables, entries)


def finding_of(rule: str, place: str, problem: str) -> SetFinding:
    """Return the finding of a rule, with its remedy."""
    return SetFinding(rule, place, problem, REMEDIES[rule], rule not in WARNINGS)


def _read_tables(folder: Path, report: FindingList) -> Tables:
    tables = Tables()
    for position, cells in _lines(folder / CONCEPTS, CONCEPT_COLUMNS, report):
        _add_concept(position, cells, tables, folder, report)
    first_positions: dict[tuple[str, ...], str] = {}
    for position, cells in _lines(folder / LABELS, LABEL_COLUMNS, report):
        tables.label_lines.append((position, cells))
        tables.positions.setdefault(concept_of(cells), position)
        first = first_positions.setdefault(tuple(cells.values()), position)
        if first != position:
            problem = f"it is the same as {place_of(first, folder)}"
            report("duplicate-line", position, problem)
    if not tables.positions and not report.findings:
        report("no-concepts", str(folder / CONCEPTS), "no concepts are listed")
    return tables


def _lines(
    path: Path, columns: tuple[str, ...], report: FindingList
) -> Iterator[TableLine]:
    """Yield the lines of a table, cut down to its columns; none of one that is absent."""
    if not path.exists() and not path.is_symlink():
        return
    for position, line in iterate_table(path, columns, report=report):
        cells = {column: line[column] for column in columns}
        empty = [repr(column) for column, cell in cells.items() if not cell]
        if not empty:
            yield position, cells
        elif len(empty) < len(columns):
            problem = f"the column {', '.join(empty)} is empty"
            report("empty-cell", position, problem)


def _add_concept(
    position: str,
    cells: dict[str, str],
    tables: Tables,
    folder: Path,
    report: FindingList,
) -> None:
    """Add a line of concepts.csv to the tables, and report its faults."""
    category = cells["category"]
    try:
        check_relative(category, folder / "masks", position)
    except ConceptSetInvalid as error:
        report("outside-set", position, str(error))
        return
    concept = concept_of(cells)
    tables.positions.setdefault(concept, position)
    values = tables.values.setdefault(category, {})
    try:
        value = mask_value(cells["value"], position)
    except ConceptSetInvalid as error:
        report("mask-value", position, str(error))
        return
    if value in values:
        problem = f"the value {value} of category {category!r} is {values[value].name!r} already"
        report("duplicate-value", position, problem)
    values.setdefault(value, concept)


def _entries(
    folder: Path, tables: Tables, images: FolderListing, report: FindingList
) -> list[Entry]:
    """Return the images with their masks and labels; report lines and files without one."""
    _report_listing(images, "images", folder, report)
    if not images.paths:
        report("no-images", str(folder / "images"), "no images are there")
    values = {concept: value for value, concept in enumerate(tables.concepts, 1)}
    labels: dict[str, list[int]] = {image: [] for image in images.paths}
    for position, line in tables.label_lines:
        if line["image"] in labels:
            labels[line["image"]].append(values[concept_of(line)])
        else:
            problem = f"no image {line['image']!r} below images/"
            report("missing-image", position, problem)
    masks, _ = find_masks(folder, tables.values, images.paths)
    entries = match_masks(labels, masks)
    for path in unmatched_masks(entries, masks):
        place = str(folder / "masks" / path)
        report("unmatched-mask", place, "no image below images/ has this path")
    for entry in entries:
        if not entry.masks and not entry.labels:
            place = str(folder / "images" / entry.image)
            report("unlabelled-image", place, "it has neither a mask nor a label")
    return entries


def _report_listing(
    listing: FolderListing, name: str, folder: Path, report: FindingList
) -> None:
    """Report the entries of a folder that a set leaves out."""
    kinds: tuple[tuple[str, Mapping[str, str], str], ...] = (
        ("duplicate-image", listing.repeated, "it is the same file as {}"),
        ("irregular-file", listing.irregular, "it is {}"),
        ("unreadable-folder", listing.unreadable, "{}"),
    )
    for rule, paths, text in kinds:
        for path, reason in sorted(paths.items()):
            if path or (folder / name).exists():
                report(rule, str(folder / name / path), text.format(reason))


def _check_folders(
    folder: Path, tables: Tables, entries: list[Entry], report: FindingList
) -> None:
    """Report categories without masks and labels, and folders of masks without a category."""
    used: set[str] = set()
    concepts = tables.concepts
    for entry in entries:
        used.update(category for category, _ in entry.masks)
        used.update(concepts[value - 1].category for value in entry.labels)
    for category in dict.fromkeys(concept.category for concept in concepts):
        if category not in used:
            problem = f"no image has a mask or a label of category {category!r}"
            report("unused-category", str(folder / "masks" / category), problem)
    for name in folder_names(folder / "masks"):
        masks = list_files(folder / "masks" / name, [".png"])
        _report_listing(masks, f"masks/{name}", folder, report)
        if name not in tables.values and masks.paths:
            problem = f"it holds masks, and {CONCEPTS} has no category {name!r}"
            report("unlisted-category", str(folder / "masks" / name), problem)


def _unreferenced(folder: Path) -> Iterator[SetFinding]:
    """Yield a warning for each file below images/ and masks/ that is no picture by its ending."""
    for name, endings in (("images", image_endings()), ("masks", [".png"])):
        read_endings = {ending.lower() for ending in endings}
        for parent, folders, files in os.walk(folder / name):
            folders.sort()
            for file in sorted(files):
                path = Path(parent) / file
                if file.startswith(".") or path.suffix.lower() in read_endings:
                    continue
                place = path.relative_to(folder).as_posix()
                problem = "its ending is none of those that are read"
                yield finding_of("unreferenced-file", place, problem)


def _entry_findings(
    folder: Path, tables: Tables, entries: list[Entry]
) -> Iterator[SetFinding]:
    """Yield the faults of images and masks, and of concepts that too few of them have."""
    concepts = tables.concepts
    numbers = {concept: value for value, concept in enumerate(concepts, start=1)}
    plane_values = {
        category: {value: numbers[concept] for value, concept in values.items()}
        for category, values in tables.values.items()
    }
    counts: Counter[int] = Counter()
    unlisted: dict[str, UnlistedValues] = {}
    for result in check_each(EntryChecker(folder, plane_values), entries):
        for rule, place, problem in result.faults:
            yield finding_of(rule, place, problem)
        counts.update(result.values)
        for category, place, values in result.unlisted:
            of_category = unlisted.setdefault(category, UnlistedValues(place))
            of_category.add(values)
    for category, of_category in unlisted.items():
        yield finding_of("unlisted-label", CONCEPTS, of_category.problem(category))
    if looks_at_all(len(entries)) and entries:
        samples = [counts[value] for value in numbers.values()]
        places = [
            place_of(position, folder) for position in tables.positions.values()
        ]
        yield from find_rare_concepts(concepts, samples, places)
