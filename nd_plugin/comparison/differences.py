"""Differences between the runs of a comparison, other than model and layer: its warnings.

Two networks are comparable where images, concepts and settings are the same. What differs is named
with the value of each layer; what a CSV file does not record is named, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nd_plugin.comparison.compared_layers import ComparedLayer
from nd_plugin.report.foreign_tables.described_units import LABELS_NOTE
from nd_plugin.report.foreign_tables.network_summary import COUNTS_NOTE
from nd_plugin.results.dissection import Dissection

SAID_OF_ALL = (COUNTS_NOTE, LABELS_NOTE)
LAYERS_NAMED = 4  # of one value in a warning
# behind the second of different values that are described by the same text
OTHERS = {1: "", 2: ", others"}


@dataclass(frozen=True)
class Difference:
    """Setting or input in which the layers of a comparison differ."""

    subject: str
    values: Mapping[str, str]  # by the layer's name
    effect: str = ""  # on the comparison

    @property
    def warning(self) -> str:
        """Sentence with every value and the layers that have it."""
        layers_of: dict[str, list[str]] = {}
        for name, value in self.values.items():
            layers_of.setdefault(value, []).append(name)
        parts = [
            f"{value} ({_listed(names, LAYERS_NAMED)})"
            for value, names in layers_of.items()
        ]
        effect = f": {self.effect}" if self.effect else ""
        return f"{self.subject} differ: {'; '.join(parts)}{effect}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "subject": self.subject,
            "values": dict(self.values),
            "effect": self.effect or None,
        }


def _listed(names: Sequence[str], most: int) -> str:
    """List names, and how many there are beyond the first."""
    beyond = len(names) - most
    tail = f" and {beyond} more" if beyond > 0 else ""
    return ", ".join(names[:most]) + tail


@dataclass(frozen=True)
class _Subject:
    """Property of a dissection in which all layers of a comparison should agree."""

    name: str  # in the plural
    describe: Callable[[Dissection], str]
    effect: str = ""
    # what has to be equal, where the description is shorter
    identify: Callable[[Dissection], Any] | None = None

    def value(self, dissection: Dissection) -> Any:
        """Return what is compared."""
        identify = self.identify or self.describe
        return identify(dissection)


def find_differences(layers: Sequence[ComparedLayer]) -> tuple[Difference, ...]:
    """Return what differs between layers that have a dissection, and between all limits of IoU."""
    return tuple(_differences(layers))


def _differences(layers: Sequence[ComparedLayer]) -> Iterator[Difference]:
    limits = {
        layer.name: f"IoU > {layer.report.min_iou:g}"
        for layer in layers
        if layer.has_detectors
    }
    if len(set(limits.values())) > 1:
        yield Difference(
            "limits of detectors", limits, "--min-iou counts all at one limit"
        )
    dissections = {
        layer.name: layer.dissection
        for layer in layers
        if layer.dissection is not None
    }
    for subject in SUBJECTS:
        values = {
            name: subject.value(dissection)
            for name, dissection in dissections.items()
        }
        if len(set(values.values())) > 1:
            yield Difference(
                subject.name, _descriptions(subject, dissections), subject.effect
            )


def _descriptions(
    subject: _Subject, dissections: Mapping[str, Dissection]
) -> dict[str, str]:
    """Describe the property of each layer; different values never by the same text."""
    descriptions: dict[str, str] = {}
    values_of: dict[str, list[Any]] = {}
    for name, dissection in dissections.items():
        text = subject.describe(dissection)
        value = subject.value(dissection)
        values = values_of.setdefault(text, [])
        if value not in values:
            values.append(value)
        number = values.index(value) + 1
        descriptions[name] = text + OTHERS.get(number, f", others ({number})")
    return descriptions


def unrecorded_warnings(layers: Sequence[ComparedLayer]) -> list[str]:
    """Return warnings on the files among the layers, and on what they do not record."""
    files = [layer.name for layer in layers if layer.dissection is None]
    counted = [layer.name for layer in layers if layer.report.recorded == "counts"]
    labelled = [layer.name for layer in layers if layer.report.recorded == "labels"]
    warnings = []
    if files:
        warnings.append(
            f"{_recorders(files)} no concept set, images, quantile or preprocessing: "
            "whether they are the same is not known"
        )
    if counted:
        warnings.append(
            f"{_recorders(counted)} counts without units: categories are counted as in the "
            "authors' plots, for all layers (distinct best-in-category concepts)"
        )
    if labelled:
        warnings.append(
            f"{_recorders(labelled)} labels without IoU: there are no detectors, and labels are "
            "compared by name alone, without category"
        )
    return warnings


def _recorders(names: Sequence[str]) -> str:
    """Return layers as the subject of a sentence, with the verb."""
    verb = "record" if len(names) > 1 else "records"
    return f"{_listed(names, LAYERS_NAMED)} {verb}"


def file_notes(layers: Sequence[ComparedLayer]) -> list[str]:
    """Return the notes of files, each with the layers that it is of.

    Those that `unrecorded_warnings` says of all are left out.
    """
    layers_of: dict[str, list[str]] = {}
    for layer in layers:
        notes = layer.report.notes if layer.dissection is None else ()
        for note in notes:
            if note not in SAID_OF_ALL:
                layers_of.setdefault(note, []).append(layer.name)
    return [
        f"{_listed(names, LAYERS_NAMED)}: {note}"
        for note, names in layers_of.items()
    ]


def _concept_set(dissection: Dissection) -> str:
    concept_set = dissection.provenance.concept_set
    count = len(dissection.concepts)
    identity = f" {concept_set.fingerprint}" if concept_set.fingerprint else ""
    return f"{concept_set.source}, {count} concepts{identity}"


def _vocabulary(dissection: Dissection) -> tuple[Any, ...]:
    names = frozenset(
        (concept.category, concept.name) for concept in dissection.concepts
    )
    concept_set = dissection.provenance.concept_set
    return names, concept_set.name, concept_set.version, concept_set.fingerprint


def _images(dissection: Dissection) -> str:
    return f"{dissection.images} images"


def _images_read(dissection: Dissection) -> tuple[Any, ...]:
    skipped = frozenset((item.image, item.part) for item in dissection.skipped)
    return dissection.image_names, skipped


def _size(dissection: Dissection) -> str:
    size = dissection.provenance.preprocess.get("size")
    return "unknown" if size is None else "x".join(str(length) for length in size)


def _normalisation(dissection: Dissection) -> str:
    preprocess = dissection.provenance.preprocess
    mean = _numbers(preprocess.get("mean"))
    std = _numbers(preprocess.get("std"))
    scale = _numbers(preprocess.get("scale"))
    order = preprocess.get("channel_order", "unknown order")
    return f"mean {mean}, std {std}, scale {scale}, {order}"


def _numbers(value: Any) -> str:
    """Return a number or several in six digits, equal ones once; "unknown" for None."""
    if value is None:
        return "unknown"
    values = list(value) if isinstance(value, list | tuple) else [value]
    texts = [f"{number:.6g}" for number in values]
    return texts[0] if len(set(texts)) == 1 else " ".join(texts)


def _interpolation(dissection: Dissection) -> str:
    return str(dissection.provenance.preprocess.get("interpolation", "unknown"))


def _grid(dissection: Dissection) -> str:
    """Return where cells are taken to look, and how that was found."""
    anchors = {"rf": "receptive-field centres", "cell": "cells spread evenly"}
    anchor = anchors[dissection.settings.anchor]
    source = dissection.provenance.geometry.get("source", "unknown")
    return anchor if source == "receptive fields" else f"{anchor} ({source})"


def _version(dissection: Dissection) -> str:
    version = dissection.provenance.versions.get("nd_plugin", "unknown")
    return f"nd_plugin {version}"


SUBJECTS = (
    _Subject(
        "concept sets",
        _concept_set,
        "concepts are matched by category and name",
        _vocabulary,
    ),
    _Subject("images", _images, "IoUs are of different pictures", _images_read),
    _Subject(
        "quantiles",
        lambda dissection: f"{dissection.settings.quantile:g}",
        "masks are of different areas",
    ),
    _Subject("input sizes", _size),
    _Subject("normalisations", _normalisation),
    _Subject("interpolations", _interpolation),
    _Subject("mask sizes", lambda dissection: dissection.settings.mask_size),
    _Subject("places of cells", _grid),
    _Subject("versions", _version),
)
