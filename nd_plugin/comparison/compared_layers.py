"""Layers of a comparison: each with its report, its dissection and a name of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from nd_plugin.errors import BadInput
from nd_plugin.report.error_bars.records import CountInterval
from nd_plugin.report.error_bars.texts import unique_interval
from nd_plugin.report.foreign_tables.category_counts import CategoryCounts
from nd_plugin.report.layer_report import LayerReport

if TYPE_CHECKING:
    from nd_plugin.results.dissection import Dissection

FEWEST_LAYERS = 2  # of a comparison


@dataclass(frozen=True, eq=False)
class ComparedLayer:
    """One layer of a run, or of a file: of units, of counts alone, or of labels without IoU."""

    report: LayerReport  # with the name of its run
    name: str = ""  # unlike the names of all others in the comparison

    @property
    def run(self) -> str:
        """Name of the run or file."""
        return self.report.run

    @property
    def dissection(self) -> Dissection | None:
        """Result itself; None for a CSV file."""
        return self.report.dissection

    @property
    def layer(self) -> str:
        """Name of the layer in its model."""
        return self.report.layer

    @property
    def has_units(self) -> bool:
        """Whether the source records units with their IoU."""
        return self.report.recorded == "units"

    @property
    def has_detectors(self) -> bool:
        """Whether the source tells detectors: all but labels without IoU."""
        return self.report.recorded != "labels"

    @property
    def units(self) -> int | None:
        """Number of units; None where a source of counts does not tell it."""
        units = self.report.summary.units
        return None if self.report.recorded == "counts" and not units else units

    @property
    def detectors(self) -> int | None:
        """Number of detectors; None for labels without IoU."""
        return self.report.summary.detectors if self.has_detectors else None

    @property
    def unique_detectors(self) -> int | None:
        """Distinct labels among detectors; None where the source has no units with IoU."""
        return self.report.summary.unique_detectors if self.has_units else None

    @property
    def unique_interval(self) -> CountInterval | None:
        """Interval of the number of unique detectors; None for a run without folds."""
        return unique_interval(self.report)

    @property
    def unique_per_category(self) -> int | None:
        """Distinct best-in-category labels, summed over categories, as in the authors' plots."""
        if not self.has_detectors:
            return None
        return self.report.summary.unique_detectors_per_category

    @property
    def distinct_labels(self) -> int | None:
        """Distinct labels of all units without IoU; None where units have one."""
        if self.has_detectors:
            return None
        labels = {score.concept.casefold() for score in self.report.scores}
        return len(labels - {""})

    @property
    def ratio(self) -> float | None:
        """Unique detectors divided by units; 0 for a layer without units."""
        return self._share(self.unique_detectors)

    @property
    def ratio_per_category(self) -> float | None:
        """Unique detectors counted per category, divided by units."""
        return self._share(self.unique_per_category)

    def _share(self, count: int | None) -> float | None:
        if count is None or self.units is None:
            return None
        return count / self.units if self.units else 0.0

    def counted_report(self, *, per_category: bool) -> LayerReport:
        """Return the report with counts by category in either way of counting."""
        return self.report.counted_per_category() if per_category else self.report

    def category_counts(self, *, per_category: bool) -> CategoryCounts:
        """Return unique detectors and units by category, by either way of counting."""
        if per_category:
            return self.report.category_counts()
        summary = self.report.summary
        return CategoryCounts(
            summary.unique_detectors_by_category, summary.detectors_by_category
        )


def named_layers(layers: Sequence[ComparedLayer]) -> tuple[ComparedLayer, ...]:
    """Give each layer a name of what distinguishes it: run, layer, quantile, concept set.

    Quantile and concept set are left out where run and layer suffice. Names that are equal all the
    same are numbered.
    """
    subjects = [_subjects(layer) for layer in layers]
    names = [""] * len(layers)
    for column in range(len(subjects[0])):
        is_needed = column < 2 or len(set(names)) < len(names)
        values = [row[column] for row in subjects]
        if is_needed and len(set(values)) > 1:
            names = _extended(names, values)
    names = [name or layer.layer for name, layer in zip(names, layers, strict=True)]
    return tuple(
        replace(layer, name=name)
        for layer, name in zip(layers, _numbered(names), strict=True)
    )


def _subjects(layer: ComparedLayer) -> tuple[str, str, str, str]:
    """Return run, layer, quantile and concept set, as far as they are known."""
    # a CSV file, and the folder of one layer, are named like their layer
    run = layer.run or layer.layer
    own_name = "" if run == layer.layer else layer.layer
    if layer.dissection is None:
        return run, own_name, "", ""
    quantile = f"τ {layer.dissection.settings.quantile:g}"
    concept_set = layer.dissection.provenance.concept_set.source
    return run, own_name, quantile, concept_set


def _extended(names: Sequence[str], values: Sequence[str]) -> list[str]:
    """Append a value to each name, behind a space where both are there."""
    pairs = zip(names, values, strict=True)
    return [" ".join(filter(None, pair)) for pair in pairs]


def _numbered(names: Sequence[str]) -> list[str]:
    """Append a number to the second and further of equal names."""
    occurrences: Counter[str] = Counter()
    numbered = []
    for name in names:
        occurrences[name] += 1
        count = occurrences[name]
        numbered.append(name if count == 1 else f"{name} ({count})")
    return numbered


def run_names(paths: Sequence[Path]) -> list[str]:
    """Return the shortest endings of paths that are different, ``/`` between their parts.

    Raises BadInput for a path that is given twice.
    """
    absolute_paths = [path.absolute() for path in paths]
    path, occurrences = Counter(absolute_paths).most_common(1)[0]
    if occurrences > 1:
        raise BadInput(f"{path} is given {occurrences} times; name each run once")
    depth = 1
    names = [_ending(path, depth) for path in absolute_paths]
    while len(set(names)) < len(names):
        depth += 1
        names = [_ending(path, depth) for path in absolute_paths]
    return names


def _ending(path: PurePath, depth: int) -> str:
    return "/".join(path.parts[-depth:])


def check_comparable(layers: Sequence[ComparedLayer]) -> None:
    """Raise BadInput for fewer than two layers."""
    if len(layers) < FEWEST_LAYERS:
        raise BadInput(
            f"a comparison needs {FEWEST_LAYERS} layers or more, and got {len(layers)}"
        )
