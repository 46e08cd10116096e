"""Labels compared by name alone, where a source has labels without IoU.

Such labels have no category, and other spellings than Broden's: case does not count, ``_`` is a
blank, and Broden's endings of scenes (``-s``) and colours (``-c``) are dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nd_plugin.comparison.compared_layers import ComparedLayer
from nd_plugin.report.layer_report import UnitScore

BRODEN_ENDINGS = {"scene": "-s", "color": "-c"}


@dataclass(frozen=True)
class NameOverlap:
    """Labels that two layers have in common, of which one or both have no IoU."""

    first: str  # name of a layer
    second: str
    names: tuple[str, ...]  # those of most units first
    first_labels: int  # distinct labels of each layer
    second_labels: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "layers": [self.first, self.second],
            "names": list(self.names),
            "labels": [self.first_labels, self.second_labels],
        }


def plain_name(score: UnitScore) -> str:
    """Return a label as it is compared with labels of other spellings."""
    return plain_concept_name((score.category, score.concept))


def plain_concept_name(key: tuple[str, str]) -> str:
    """Return a concept, category and name, as it is compared with labels of other spellings."""
    category, concept = key
    ending = BRODEN_ENDINGS.get(category, "")
    name = concept.removesuffix(ending) if ending else concept
    return " ".join(name.replace("_", " ").casefold().split())


def label_names(layer: ComparedLayer) -> dict[str, int]:
    """Return the number of units of each label: of all units without IoU, else of detectors."""
    counts: dict[str, int] = {}
    for score in layer.report.scores:
        name = plain_name(score)
        if name and (score.detector or not layer.has_detectors):
            counts[name] = counts.get(name, 0) + 1
    return counts


def name_overlaps(layers: Sequence[ComparedLayer]) -> tuple[NameOverlap, ...]:
    """Return what each layer with labels without IoU has in common with each other layer."""
    names = [label_names(layer) for layer in layers]
    overlaps = []
    for second, layer in enumerate(layers):
        for first in range(second):
            pair = (layers[first], layer)
            if all(part.has_detectors for part in pair):
                continue
            if any(part.report.recorded == "counts" for part in pair):
                continue
            overlaps.append(_overlap(pair, (names[first], names[second])))
    return tuple(overlaps)


def _overlap(
    layers: tuple[ComparedLayer, ComparedLayer],
    counts: tuple[dict[str, int], dict[str, int]],
) -> NameOverlap:
    first, second = counts
    common = set(first) & set(second)
    names = sorted(common, key=lambda name: (-first[name] - second[name], name))
    return NameOverlap(
        layers[0].name, layers[1].name, tuple(names), len(first), len(second)
    )
