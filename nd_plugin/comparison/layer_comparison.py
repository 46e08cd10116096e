"""Comparison of layers side by side: of several runs, of one run, and of the authors' CSV files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from nd_plugin.borders.printable import Printable, utf8
from nd_plugin.comparison.compared_layers import (
    FEWEST_LAYERS,
    ComparedLayer,
    check_comparable,
    named_layers,
)
from nd_plugin.comparison.concept_matches import ComparedConcept, compared_concepts
from nd_plugin.comparison.differences import (
    Difference,
    file_notes,
    find_differences,
    unrecorded_warnings,
)
from nd_plugin.comparison.label_names import NameOverlap, name_overlaps
from nd_plugin.comparison.tables import comparison_content
from nd_plugin.comparison.terminal import render
from nd_plugin.errors import BadInput
from nd_plugin.report.categories import all_categories
from nd_plugin.report.json_text import document_text
from nd_plugin.report.layer_report import LayerReport
from nd_plugin.results.atomic_files import write_file
from nd_plugin.results.dissection import Dissection


class LayerComparison:
    """Layers side by side: detectors by category, concepts that some have and others lack.

    Nothing is compared silently: `warnings` names the settings, images and concept sets that
    differ. Raises BadInput for fewer than two layers.
    """

    def __init__(self, layers: Sequence[ComparedLayer]) -> None:
        check_comparable(layers)
        self.layers: tuple[ComparedLayer, ...] = named_layers(layers)

    def __len__(self) -> int:
        return len(self.layers)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the layers."""
        return tuple(layer.name for layer in self.layers)

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """Categories of all layers: those of the paper in its order, then the others."""
        return tuple(all_categories([layer.report for layer in self.layers]))

    @cached_property
    def concepts(self) -> tuple[ComparedConcept, ...]:
        """Concepts that some unit detects: by category, the highest IoU first."""
        return compared_concepts(self.layers, self.categories)

    def only_in(self, layer: int) -> list[ComparedConcept]:
        """Return the concepts that units of this layer alone detect."""
        return [
            concept
            for concept in self.concepts
            if concept.detecting_layers == (layer,)
        ]

    def shared(self) -> list[ComparedConcept]:
        """Return the concepts that units of every layer detect."""
        return [concept for concept in self.concepts if concept.is_shared]

    @cached_property
    def differences(self) -> tuple[Difference, ...]:
        """Settings, images and concept sets in which the layers differ."""
        return find_differences(self.layers)

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """Differences in words, and what CSV files do not record."""
        differing = [difference.warning for difference in self.differences]
        return tuple(differing + unrecorded_warnings(self.layers))

    @cached_property
    def file_notes(self) -> tuple[str, ...]:
        """Notes of the files among the layers, each with the layers that it is of."""
        return tuple(file_notes(self.layers))

    @property
    def is_per_category(self) -> bool:
        """Whether a layer has counts alone, so that all are counted as in the authors' plots."""
        return any(layer.report.recorded == "counts" for layer in self.layers)

    @property
    def has_several_of_units(self) -> bool:
        """Whether concepts can be compared: two layers or more have units with IoU."""
        return sum(layer.has_units for layer in self.layers) >= FEWEST_LAYERS

    @cached_property
    def name_overlaps(self) -> tuple[NameOverlap, ...]:
        """Labels in common with layers whose labels have no IoU, by name alone."""
        return name_overlaps(self.layers)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        content = comparison_content(self.layers, self.concepts, self.differences)
        overlaps = [overlap.to_dict() for overlap in self.name_overlaps]
        return {**content, "by_name": overlaps, "notes": list(self.file_notes)}

    def to_json(self, path: str | Path | None = None) -> str:
        """Return `to_dict` as JSON under ``comparison``, and write it to ``path``."""
        text = document_text({"comparison": self.to_dict()})
        if path is not None:
            write_file(Path(path), utf8(text))
        return text

    def to_html(self, path: str | Path) -> None:
        """Write pages: a folder, or one file where ``path`` ends in ``.html``.

        The folder holds the comparison, a page for each concept with the best units of all layers
        and their top images, and each run's own report; it opens from disk, without a network. The
        file holds the comparison alone. Raises BadInput for a folder of other things, and for
        layers without units; NotSaved.
        """
        for layer in self.layers:
            if not layer.has_units:
                raise BadInput(
                    f"{layer.name} has no units with IoU, and pages show units; compare it in the "
                    "terminal, as JSON or in a plot (nd compare)"
                )
        # pages need templates and pictures
        from nd_plugin.comparison.pages import write_comparison

        write_comparison(self, Path(path))

    def __repr__(self) -> str:
        counts = [
            f"{layer.name}: {_unique_text(layer)} among {_units_text(layer)}"
            for layer in self.layers
        ]
        warnings = f"; {len(self.warnings)} warnings" if self.warnings else ""
        return f"{type(self).__name__}({', '.join(counts)}{warnings})"

    def __rich__(self) -> RenderableType:
        return Printable(render(self))

    def _repr_html_(self) -> str:
        # notebooks alone need its templates and pictures
        from nd_plugin.comparison.notebook_fragment import comparison_fragment

        return comparison_fragment(self)


def _unique_text(layer: ComparedLayer) -> str:
    """Return what is known of a layer's unique detectors, in words."""
    if not layer.has_detectors:
        return f"{layer.distinct_labels} distinct labels"
    if not layer.has_units:
        return f"{layer.unique_per_category} unique detectors counted per category"
    return f"{layer.unique_detectors} unique detectors"


def _units_text(layer: ComparedLayer) -> str:
    """Return the number of a layer's units in words."""
    return (
        "units of unknown number" if layer.units is None else f"{layer.units} units"
    )


def compare_dissections(
    dissections: Sequence[Dissection | LayerReport],
    names: Sequence[str] | None = None,
) -> LayerComparison:
    """Compare layers side by side.

    Args:
        dissections: Two or more; reports of files may stand among them: tables of units, counts
            of a network, labels without IoU.
        names: Name of each one's run; None: its model's.

    Raises:
        BadInput: Fewer than two dissections, or another number of names.
    """
    if names is not None and len(names) != len(dissections):
        raise BadInput(
            f"{len(names)} names for {len(dissections)} dissections: give one for each"
        )
    layers = []
    for index, source in enumerate(dissections):
        name = None if names is None else names[index]
        layers.append(_compared_layer(source, name))
    return LayerComparison(layers)


def _compared_layer(
    source: Dissection | LayerReport, name: str | None
) -> ComparedLayer:
    """Return a layer of a comparison. Raises BadInput for what is none."""
    report = source.report() if isinstance(source, Dissection) else source
    if not isinstance(report, LayerReport):
        raise BadInput(
            f"a {type(source).__name__} cannot be compared: give dissections, or reports of CSV "
            "files"
        )
    dissection = report.dissection
    model = "" if dissection is None else dissection.provenance.model.source
    return ComparedLayer(replace(report, run=name or report.run or model))
