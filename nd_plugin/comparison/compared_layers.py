"""Layers of a comparison: each with its report, its dissection and a name of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from nd_plugin.errors import BadInput
from nd_plugin.report.layer_report import LayerReport

if TYPE_CHECKING:
    from nd_plugin.results.dissection import Dissection

FEWEST_LAYERS = 2  # of a comparison


@dataclass(frozen=True, eq=False)
class ComparedLayer:
    """One layer of a run, or of a NetDissect CSV file."""

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
    def ratio(self) -> float:
        """Unique detectors divided by units; 0 for a layer without units."""
        summary = self.report.summary
        return summary.unique_detectors / summary.units if summary.units else 0.0


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
