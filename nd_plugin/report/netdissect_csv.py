"""CSV files of the original NetDissect code: those that the authors published, and new ones.

One line per unit, numbered from 1: ``unit,category,label,score`` and, for each category,
``{category}-label, -truth, -activation, -intersect, -iou``. A blank label is Broden's label 0, no
concept, which is left out: a unit that it matches best has the best of its named concepts as label.
A file holds one layer; it records neither thresholds nor the IoU above which a unit is a detector.
NetDissect-Lite writes the same columns.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from nd_plugin.borders.csv_text import csv_table
from nd_plugin.errors import BadInput, RunInvalid
from nd_plugin.report.categories import in_paper_order
from nd_plugin.report.layer_report import LayerReport, UnitScore, summarise

COLUMNS = ("unit", "category", "label", "score")
CATEGORY_COLUMNS = ("label", "truth", "activation", "intersect", "iou")
MOST_PIXELS = 2**63
MOST_UNITS = 2**31
FIRST_UNIT = 1  # number of unit 0 in these files
Row = Mapping[str, str]


class _ImpossibleNumber(Exception):
    """IoU or count that no dissection gives."""


def to_csv(reports: Sequence[LayerReport]) -> str:
    """Return a layer as a NetDissect CSV file, units with the highest IoU first.

    Raises BadInput for several layers.
    """
    if len(reports) != 1:
        layers = ", ".join(report.layer for report in reports)
        raise BadInput(
            f"a NetDissect CSV file holds one layer, and these are {len(reports)} ({layers}): "
            "report the folder of one layer inside the run"
        )
    (report,) = reports
    columns = list(COLUMNS)
    for category in report.categories:
        columns += [f"{category}-{name}" for name in CATEGORY_COLUMNS]
    return csv_table(columns, [_row(report, index) for index in _in_order(report)])


def _in_order(report: LayerReport) -> list[int]:
    """Return the indices of scores, best first."""
    keys = [report.sort_key(score) for score in report.scores]
    return sorted(range(len(keys)), key=lambda index: keys[index])


def _row(report: LayerReport, index: int) -> dict[str, str | int | float]:
    """Return the line of the unit at an index of the scores."""
    label = report.scores[index]
    row: dict[str, str | int | float] = {
        "unit": label.unit + FIRST_UNIT,
        "category": label.category,
        "label": label.concept,
        "score": label.iou,
    }
    for category, scores in report.category_scores.items():
        score = scores[index]
        values: tuple[str | int | float, ...] = (
            score.concept,
            score.concept_area,
            score.unit_area,
            score.intersection,
            score.iou,
        )
        for name, value in zip(CATEGORY_COLUMNS, values, strict=True):
            row[f"{category}-{name}"] = value
    return row


def read_netdissect_csv(path: str | Path, min_iou: float = 0.04) -> LayerReport:
    """Read the report of a layer from a NetDissect CSV file. Raises RunInvalid for others."""
    rows = _read_rows(Path(path))
    categories = _categories(rows[0])
    try:
        rows.sort(key=_number)
        numbers = [_number(row) for row in rows]
        first = _first_unit(path, numbers)
        recorded_labels = [_label(row, first, min_iou) for row in rows]
        category_scores = {
            name: tuple(_score(row, name, first, min_iou) for row in rows)
            for name in categories
        }
    except _ImpossibleNumber as error:
        raise RunInvalid(f"{path}: {error}; the file is damaged") from error
    except (KeyError, ValueError, TypeError) as error:
        raise RunInvalid(
            f"{path} is no NetDissect CSV file: {type(error).__name__}: {error}"
        ) from error
    units = [
        _named_label(label, [scores[index] for scores in category_scores.values()])
        for index, label in enumerate(recorded_labels)
    ]
    layer = Path(path).stem.removesuffix(".netdissect")
    per_category = sum(map(_count_labels, category_scores.values()))
    return LayerReport(
        layer=layer,
        categories=categories,
        scores=tuple(units),
        summary=summarise(layer, categories, units, per_category, None, None),
        min_iou=min_iou,
        facts={
            "source": f"{path}, a NetDissect CSV file",
            "settings": f"IoU > {min_iou:g}",
        },
        notes=(_numbering_note(first), *_nameless_notes(category_scores)),
        category_scores=category_scores,
        first_unit_in_source=first,
    )


def _number(row: Row) -> int:
    return int(row["unit"])


def _first_unit(path: str | Path, numbers: Sequence[int]) -> int:
    """Return the number of unit 0 in a file, 1 or 0. Raises RunInvalid for no such numbers."""
    number, occurrences = Counter(numbers).most_common(1)[0]
    if occurrences > 1:
        raise RunInvalid(
            f"{path} has unit {number} {occurrences} times; a file holds one layer"
        )
    if numbers[0] < 0 or numbers[-1] >= MOST_UNITS:
        impossible = numbers[0] if numbers[0] < 0 else numbers[-1]
        raise RunInvalid(f"{path} has unit {impossible}; units are numbered from 1")
    return min(numbers[0], FIRST_UNIT)


def _numbering_note(first: int) -> str:
    """Return the note on how units are numbered here and in the file."""
    if first == FIRST_UNIT:
        return "units are numbered from 0 here and from 1 in the file: unit 0 is the file's unit 1"
    return "the file numbers its units from 0, as they are here; NetDissect's begin with 1"


def _named_label(label: UnitScore, best: Sequence[UnitScore]) -> UnitScore:
    """Return a unit's label, or its best named concept where the label has no name.

    ``best`` are its best concepts of each category.
    """
    if label.concept.strip():
        return label
    named = [score for score in best if score.concept.strip()]
    return max(named, key=lambda score: score.iou, default=label)


def _nameless_notes(
    category_scores: Mapping[str, Sequence[UnitScore]],
) -> list[str]:
    """Return a note on the units that match a concept without a name best, by category."""
    counts = {
        category: sum(
            score.iou > 0 and not score.concept.strip() for score in scores
        )
        for category, scores in category_scores.items()
    }
    listed = [
        f"{category} ({count} units)" for category, count in counts.items() if count
    ]
    if not listed:
        return []
    return [
        f"a concept without a name, Broden's label 0, is the best of {', '.join(listed)}; it is "
        "left out"
    ]


def _categories(row: Row) -> tuple[str, ...]:
    """Return the categories of the file's columns, in the order of the paper's figures."""
    names = [
        column.removesuffix("-iou") for column in row if column.endswith("-iou")
    ]
    return in_paper_order(names)


def _read_rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            _check_columns(path, reader.fieldnames or ())
            rows = list(reader)
    except FileNotFoundError as error:
        raise RunInvalid(f"no file {path}") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RunInvalid(f"{path} cannot be read: {error}") from error
    if not rows:
        raise RunInvalid(f"{path} has no units")
    for line, row in enumerate(rows, start=2):
        if None in row.values() or None in row:
            raise RunInvalid(
                f"{path}, line {line}: the line is cut short or too long; the file is damaged"
            )
    return rows


# of units.csv in a run's folder
OWN_COLUMNS = {"unit", "concept", "category", "iou", "threshold"}


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    missing = [repr(column) for column in COLUMNS if column not in columns]
    if set(columns) >= OWN_COLUMNS:
        raise RunInvalid(
            f"{path} is a table of nd_plugin's own, not a NetDissect CSV file; give the folder of "
            "its run, or write one with -o FILE.netdissect.csv"
        )
    if missing:
        raise RunInvalid(
            f"{path} is no NetDissect CSV file: it has no column {', '.join(missing)}"
        )


def _label(row: Row, first_unit: int, min_iou: float) -> UnitScore:
    """Return a unit with its label, whatever the category."""
    return _unit_score(
        row, row["category"], row["label"], row["score"], first_unit, min_iou
    )


def _score(row: Row, category: str, first_unit: int, min_iou: float) -> UnitScore:
    """Return a unit with its best concept of a category."""
    concept = row[f"{category}-label"]
    iou = row[f"{category}-iou"]
    return _unit_score(row, category, concept, iou, first_unit, min_iou)


def _unit_score(
    row: Row, category: str, concept: str, iou: str, first_unit: int, min_iou: float
) -> UnitScore:
    score = float(iou or 0)
    if not 0 <= score <= 1:
        raise ValueError(
            f"unit {row['unit']} has the IoU {iou}, not between 0 and 1"
        )
    intersection, unit_area, concept_area = (
        _count(row, f"{category}-{name}")
        for name in ("intersect", "activation", "truth")
    )
    is_named = concept.strip() != ""
    # the authors' files have such counts for the concept without a name, which is left out
    if is_named and row.get(f"{category}-intersect"):
        _check_intersection(row, category, intersection)
    return UnitScore(
        unit=_number(row) - first_unit,
        concept=concept,
        category=category,
        iou=score,
        threshold=None,
        intersection=intersection,
        unit_area=unit_area,
        concept_area=concept_area,
        detector=score > min_iou and is_named,
    )


def _check_intersection(row: Row, category: str, intersection: int) -> None:
    """Raise _ImpossibleNumber for an intersection larger than an area that the row has."""
    for name in ("activation", "truth"):
        column = f"{category}-{name}"
        if row.get(column) and intersection > _count(row, column):
            raise _ImpossibleNumber(
                f"unit {row['unit']} has {row[f'{category}-intersect']} in "
                f"{category}-intersect, more than the {row[column]} in {column}"
            )


def _count(row: Row, column: str) -> int:
    count = float(row.get(column) or 0)
    if not 0 <= count < MOST_PIXELS:
        raise _ImpossibleNumber(f"unit {row['unit']} has {row[column]} in {column}")
    return int(count)


def _count_labels(scores: Sequence[UnitScore]) -> int:
    """Count the distinct concepts above the limit: unique detectors of the authors' plots."""
    return len({score.concept for score in scores if score.detector})
