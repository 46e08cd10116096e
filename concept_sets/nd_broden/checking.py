"""Checks of a set in Broden's layout: all of its faults, also of one that cannot be opened."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from nd_broden.checks.findings import finding_of
from nd_broden.checks.identities import table_identities
from nd_broden.checks.index_identities import (
    index_identities,
    no_index,
    published_figures,
)
from nd_broden.checks.index_values import IndexValues, normal
from nd_broden.checks.picture_checks import LineResult, PictureChecker
from nd_broden.checks.split_names import find_split_faults
from nd_broden.checks.table_values import TableValues
from nd_broden.folders import find_folder
from nd_broden.index import no_image
from nd_broden.reader import LINKS, named_files, named_index
from nd_broden.vocabulary import Vocabulary, read_vocabulary
from nd_plugin import ConceptSetInvalid, NamedFiles, SetFinding, TableRule
from nd_plugin.reading import (
    FindingList,
    check_each,
    find_rare_concepts,
    find_unused_categories,
    looks_at_all,
    place_of,
)

INDEX = "index.csv"
# identities whose findings are faults of lines, each with a finding of its own
FAULTS_OF_LINES = ("index-images", "index-masks", "index-labels")
# of Broden's own tables; the order of another set's labels is its own
RULES_OF_ORDER = ("label-order", "code-order", "category-order")


def check(
    root: str = "", *, index: str = INDEX, links: str = LINKS[0], size: str = ""
) -> Iterator[SetFinding]:
    """Yield the faults of a set, its tables first; called as `nd_broden.reader.Broden` is.

    Identities of the tables are warnings here: what reads a set makes no use of them. Raises
    ConceptSetInvalid for no folder, and for an index outside it.
    """
    folder, _ = find_folder(root, size)
    files = named_files(folder, links)
    named_index(folder, index, links)
    report = FindingList(folder, finding_of)
    tables = TableValues.read(folder)
    vocabulary = read_vocabulary(folder, report)
    values = _read_index(folder / index, tables, report)
    yield from _once(report.findings)
    yield from _warnings(table_identities(tables), report.findings)
    yield from _warnings(index_identities(tables, values), report.findings)
    if not values.lines or not tables.codes:
        return  # the index, or category.csv, is the fault of all that would follow
    yield from _line_findings(values, files)
    yield from find_split_faults(values.lines, folder)
    yield from _picture_findings(values, files, vocabulary, tables)
    yield from _unreferenced(folder, values, tables)


def check_tables(
    root: str = "", *, index: str = "", links: str = LINKS[0], size: str = ""
) -> Iterator[TableRule]:
    """Yield the identities of a set's tables, which need no image.

    ``index`` names the index to check; without it, index.csv is, or else all files index*.csv.
    """
    folder, _ = find_folder(root, size)
    report = FindingList(folder, finding_of)
    tables = TableValues.read(folder)
    vocabulary = read_vocabulary(folder, report)
    indexes = []
    for name in _index_names(folder, index, links):
        indexes.append(_read_index(folder / name, tables, report))
    lines = len(tables.labels) + sum(len(values.lines) for values in indexes)
    yield TableRule(
        "tables", "lines can be read", lines, tuple(_once(report.findings))
    )
    yield from table_identities(tables)
    for values in indexes:
        yield from index_identities(tables, values)
    if not indexes:
        yield no_index()
    yield published_figures(tables, vocabulary, indexes)


def _index_names(folder: Path, index: str, links: str) -> list[str]:
    if index:
        named_index(folder, index, links)
        return [index]
    if (folder / INDEX).exists():
        return [INDEX]
    return sorted(path.name for path in folder.glob("index*.csv"))


def _read_index(
    path: Path, tables: TableValues, report: FindingList
) -> IndexValues:
    categories = list(tables.codes)
    faults_before = len(report.findings)
    values = IndexValues.read(path, categories, report)
    if not values.lines and len(report.findings) == faults_before:
        report("empty-table", str(path), no_image(path))
    return values


def _once(findings: Iterable[SetFinding]) -> Iterator[SetFinding]:
    """Yield each finding once: a cell may have a fault several times."""
    yield from dict.fromkeys(findings)


def _warnings(
    rules: Iterable[TableRule], faults: Sequence[SetFinding]
) -> Iterator[SetFinding]:
    """Yield the findings of identities as warnings; none at a place that has a fault already."""
    faulty_places = {finding.file for finding in faults}
    for rule in rules:
        if rule.rule in FAULTS_OF_LINES or rule.rule in RULES_OF_ORDER:
            continue
        for finding in rule.findings:
            if finding.file not in faulty_places:
                yield replace(finding, is_error=False)


def _line_findings(values: IndexValues, files: NamedFiles) -> Iterator[SetFinding]:
    """Yield the faults of the index's lines that need no picture."""
    for line, first in values.repeated_images():
        problem = (
            f"the image {line.row.image} is in {place_of(first, files.root)}, too"
        )
        place = place_of(line.position, files.root)
        yield finding_of("duplicate-image", place, problem)
    for line, mask, first in values.repeated_masks():
        problem = f"the mask {mask} is that of {place_of(first, files.root)}, too"
        place = place_of(line.position, files.root)
        yield finding_of("shared-mask", place, problem)
    for line in values.lines:
        place = place_of(line.position, files.root)
        if not line.row.planes and not line.row.numbers:
            problem = f"the image {line.row.image} has neither a mask nor a label"
            yield finding_of("unlabelled-image", place, problem)
        for name in (line.row.image, *line.row.planes):
            try:
                files.check(name, line.position)
            except ConceptSetInvalid as error:
                problem = str(error).removeprefix(f"{line.position}: ")
                yield finding_of("outside-set", place, problem)


def _picture_findings(
    values: IndexValues,
    files: NamedFiles,
    vocabulary: Vocabulary,
    tables: TableValues,
) -> Iterator[SetFinding]:
    """Yield the faults of images and masks, and of labels that too few of them have."""
    lines = values.lines
    checker = PictureChecker(files, frozenset(vocabulary.numbers))
    image_counts: Counter[int] = Counter()
    counts: dict[str, Counter[int]] = {}
    for result in check_each(checker, lines):
        yield from result.findings
        _count(result, image_counts, counts)
    if not looks_at_all(len(lines)):
        return
    numbers = vocabulary.numbers
    places = [
        place_of(vocabulary.positions[number], files.root) for number in numbers
    ]
    samples = [image_counts[number] for number in numbers]
    yield from find_rare_concepts(vocabulary.concepts, samples, places)
    yield from find_unused_categories(
        vocabulary.categories, vocabulary.concepts, samples, "category.csv"
    )
    yield from _code_samples(tables, counts)


def _count(
    result: LineResult, image_counts: Counter[int], counts: dict[str, Counter[int]]
) -> None:
    """Count the labels of an image, and those of each category."""
    labels: set[int] = set()
    for category, numbers in result.labels.items():
        labels.update(numbers)
        counts.setdefault(category, Counter()).update(numbers)
    image_counts.update(labels)


def _code_samples(
    tables: TableValues, counts: dict[str, Counter[int]]
) -> Iterator[SetFinding]:
    """Yield a warning for each table whose labels are on more images than it says.

    They may be on fewer: tables are counted before masks are made smaller, which loses small parts.
    """
    for category, lines in tables.codes.items():
        category_counts = counts.get(category, Counter())
        exceeded = [
            line
            for line in lines
            if line.frequency is not None
            and category_counts[line.number or 0] > line.frequency
        ]
        if exceeded:
            line = exceeded[0]
            problem = (
                f"{len(exceeded)} labels are on more images than it says, for example "
                f"{line.name!r} on {category_counts[line.number or 0]}, and not {line.frequency}"
            )
            place = place_of(line.position, tables.root)
            yield finding_of("code-samples", place, problem)


def _unreferenced(
    folder: Path, values: IndexValues, tables: TableValues
) -> Iterator[SetFinding]:
    """Yield a warning for each file below images/ that no index names."""
    named = _named_paths(values)
    for path in sorted(folder.glob("*.csv")):
        if path != values.path and path.name.startswith("index"):
            other = IndexValues.read(
                path, list(tables.codes), FindingList(folder, finding_of)
            )
            named |= _named_paths(other)
    for name in _paths_below(folder / "images"):
        if name not in named:
            problem = f"{values.path.name} does not name it"
            yield finding_of("unreferenced-file", f"images/{name}", problem)


def _paths_below(folder: Path) -> Iterator[str]:
    """Yield the relative paths of all files below a folder, without following links."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            yield (Path(parent) / name).relative_to(folder).as_posix()


def _named_paths(values: IndexValues) -> set[str]:
    named: set[str] = set()
    for line in values.lines:
        paths = (line.row.image, *line.row.planes)
        named.update(map(normal, paths))
    return named
