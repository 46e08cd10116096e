"""Identities of an index with the other tables, and the figures of Broden itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from nd_broden.checks.comparisons import Comparison, shown
from nd_broden.checks.findings import REMEDIES
from nd_broden.checks.index_values import IndexValues
from nd_broden.checks.table_values import TableValues
from nd_broden.vocabulary import Vocabulary
from nd_plugin import TableRule
from nd_plugin.reading import place_of

WHOLE_INDEX = "index.csv"  # others may be of a part of the images
# Broden's README.txt and tables, version 1_224: labels, and by category labels, images summed over
# labels, and labels whose primary category it is
LABELS = 1197
CATEGORIES = {
    "color": (11, 651776, 11),
    "object": (584, 271047, 536),
    "part": (234, 132414, 110),
    "material": (32, 54511, 25),
    "scene": (468, 17746, 468),
    "texture": (47, 6611, 47),
}
FEWEST_EQUAL = 4  # categories by whose frequency a set is taken for Broden 1_224
ADE_ROWS = 22210
ADE_ROWS_WITHOUT_SCENE = 1987  # rows whose scene is 0, "no label"


def index_identities(
    tables: TableValues, index: IndexValues
) -> Iterator[TableRule]:
    """Yield what each identity of an index says of it."""
    name = index.path.name
    yield _label_frequencies(tables, index)
    labels = Comparison(
        tables.root,
        "index-labels",
        f"{name}: whole-image labels are in the c_*.csv of their category",
    )
    _compare_labels(tables, index, labels)
    yield labels.result(f"{name} has no whole-image labels")
    images = Comparison(
        tables.root,
        "index-images",
        f"{name}: each image once",
        REMEDIES["duplicate-image"],
    )
    images.compared = len(index.lines)
    for line, first in index.repeated_images():
        images.fail(
            line.position,
            f"the image {line.row.image} is in {place_of(first, tables.root)}, too",
        )
    yield images.result(f"{name} has no lines that can be read")
    masks = Comparison(
        tables.root,
        "index-masks",
        f"{name}: each mask is of one image",
        REMEDIES["shared-mask"],
    )
    masks.compared = sum(len(line.row.planes) for line in index.lines)
    for line, mask, first in index.repeated_masks():
        masks.fail(
            line.position,
            f"the mask {mask} is that of {place_of(first, tables.root)}, too",
        )
    yield masks.result(f"{name} has no masks")


def no_index() -> TableRule:
    """Return the rule on frequencies of a set without an index."""
    return TableRule(
        "index-frequency",
        "index.csv: as many lines have a whole-image label as its frequency says",
        0,
        reason="there is no index.csv, nor another index*.csv",
    )


def _compare_labels(
    tables: TableValues, index: IndexValues, comparison: Comparison
) -> None:
    listed = {}
    for category, lines in tables.codes.items():
        listed[category] = {line.number for line in lines}
    for line in index.lines:
        for category, numbers in line.numbers.items():
            for number in numbers:
                if number:
                    comparison.expect(
                        number in listed.get(category, ()),
                        line.position,
                        f"the label {number} is not in c_{category}.csv",
                    )


def _label_frequencies(tables: TableValues, index: IndexValues) -> TableRule:
    """Compare frequencies of whole-image labels with the lines that have them.

    Of an index other than index.csv, only those of categories are compared of which most labels
    agree: such an index may list a part of the images.
    """
    name = index.path.name
    comparison = Comparison(
        tables.root,
        "index-frequency",
        f"{name}: as many lines have a whole-image label as its frequency says",
    )
    for category, counts in index.label_counts.items():
        lines = tables.codes.get(category, ())
        if index.mask_counts[category] or not any(counts):
            continue
        equal = [
            line for line in lines if counts[line.number or 0] == line.frequency
        ]
        if name != WHOLE_INDEX and 2 * len(equal) <= len(lines):
            continue
        for line in lines:
            lines_with_label = counts[line.number or 0]
            comparison.expect(
                lines_with_label == line.frequency,
                line.position,
                f"{line.name!r} has the frequency {shown(line.frequency)}, and "
                f"{lines_with_label} lines of {name} have it",
            )
    return comparison.result(
        f"{name} has no category of whole-image labels that it lists for all images"
    )


def is_broden(tables: TableValues) -> bool:
    """Return whether tables are those of Broden 1_224, or a copy with faults."""
    listed = {line.name: line.frequency for line in tables.categories}
    equal = 0
    for category, (_, frequency, _) in CATEGORIES.items():
        lines = tables.codes.get(category, ())
        total = sum(line.frequency or 0 for line in lines)
        equal += frequency in (total, listed.get(category))
    return equal >= FEWEST_EQUAL


def published_figures(
    tables: TableValues, vocabulary: Vocabulary, indexes: list[IndexValues]
) -> TableRule:
    """Compare the tables of Broden 1_224 with its published figures."""
    comparison = Comparison(
        tables.root,
        "published-figures",
        f"Broden 1_224: {LABELS} labels, by primary category {_primaries()}; of {ADE_ROWS} rows of "
        f"ADE20K {ADE_ROWS_WITHOUT_SCENE} have the scene 0, no label",
        "restore the table from Broden's archive",
    )
    if not is_broden(tables):
        return comparison.result("these are not the tables of Broden 1_224")
    comparison.expect(
        len(vocabulary.numbers) == LABELS,
        str(tables.root / "label.csv"),
        f"it has {len(vocabulary.numbers)} labels; Broden has {LABELS}",
    )
    primaries = Counter(concept.category for concept in vocabulary.concepts)
    for category, figures in CATEGORIES.items():
        lines = tables.codes.get(category, ())
        total = sum(line.frequency or 0 for line in lines)
        counted = (len(lines), total, primaries[category])
        comparison.expect(
            counted == figures,
            str(tables.root / f"c_{category}.csv"),
            f"{category!r} has {_category_text(counted)}; Broden has {_category_text(figures)}",
        )
    for index in indexes:
        _compare_sources(tables.root, index, comparison)
    return comparison.result()


def _primaries() -> str:
    """Return the published numbers of labels by their primary category, the largest first."""
    primaries = sorted(
        CATEGORIES.items(), key=lambda category: category[1][2], reverse=True
    )
    return ", ".join(f"{name} {figures[2]}" for name, figures in primaries)


def _category_text(figures: tuple[int, int, int]) -> str:
    labels, frequency, primary = figures
    return f"{labels} labels ({primary} of them primary) with the frequency {frequency}"


def _compare_sources(
    root: Path, index: IndexValues, comparison: Comparison
) -> None:
    """Compare the rows of ADE20K, unless the index has a part of them only."""
    rows = index.source_counts["ade20k"]
    if rows < 0.95 * ADE_ROWS:
        return
    comparison.expect(
        rows == ADE_ROWS,
        str(index.path),
        f"it has {rows} rows of ADE20K; Broden has {ADE_ROWS}",
    )
    without_scene = index.label_counts.get("scene", Counter())[0]
    comparison.expect(
        without_scene == ADE_ROWS_WITHOUT_SCENE,
        str(index.path),
        f"{without_scene} rows have the scene 0, no label; in Broden it is "
        f"{ADE_ROWS_WITHOUT_SCENE}",
    )
