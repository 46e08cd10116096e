"""Plain counts of Network Dissection, and their variants in other tools, from recorded maps."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nd_plugin import ConceptSet, Model

# images that count for a unit and a concept
HAS_CATEGORY = "has category"  # the paper
CATEGORY_IS_LIT = (
    "category is lit"  # NetDissect-Lite: a pixel of it lies in the unit's mask
)
ALL_IMAGES = "all images"
SIZE = 224  # of the images
TAU = 0.005
Lit = Callable[[Tensor], Tensor]  # S_k (unit, row, column) to M_k


@dataclass
class Counts:
    """Areas of equation 1 (unit, concept), by which images count for a unit and a concept."""

    categories: list[str]  # of the concepts
    intersection: Tensor
    by_rule: dict[str, tuple[Tensor, Tensor]]  # of M_k, of L_c

    @classmethod
    def empty(cls, units: int, categories: list[str]) -> Counts:
        """Return counts of no image."""

        def zeros() -> Tensor:
            return torch.zeros(units, len(categories), dtype=torch.int64)

        rules = (HAS_CATEGORY, CATEGORY_IS_LIT, ALL_IMAGES)
        return cls(
            categories, zeros(), {rule: (zeros(), zeros()) for rule in rules}
        )

    def update(self, lit: Tensor, masks: dict[int, Tensor]) -> None:
        """Add an image: lit pixels (unit, pixel) as 0 and 1, and its concepts."""
        units = len(lit)
        both = torch.zeros_like(self.intersection)
        own = torch.zeros(len(self.categories), dtype=torch.int64)
        if masks:
            concepts = list(masks)
            pixels = torch.stack(
                [mask.flatten() for mask in masks.values()]
            ).float()
            both[:, concepts] = (
                lit @ pixels.T
            ).long()  # exact: counts are below 2^24
            own[concepts] = pixels.sum(1).long()
        self.intersection += both
        area = lit.sum(1).long()[:, None]
        for category in dict.fromkeys(self.categories):
            members = torch.tensor([name == category for name in self.categories])
            counting = {
                HAS_CATEGORY: (own * members).any().expand(units),
                CATEGORY_IS_LIT: (both * members).any(1),
                ALL_IMAGES: torch.ones(units, dtype=torch.bool),
            }
            for rule, counts in counting.items():
                unit_area, concept_area = self.by_rule[rule]
                weight = counts[:, None] & members
                unit_area += area * weight
                concept_area += own * weight

    def iou(self, rule: str = HAS_CATEGORY) -> np.ndarray:
        """Return IoU (unit, concept), over the images that count by a rule."""
        unit_area, concept_area = self.by_rule[rule]
        union = unit_area + concept_area - self.intersection
        return (self.intersection / union.clamp(min=1)).numpy()


@dataclass(frozen=True)
class Recorded:
    """Activations and annotations of the probe set, for counts that nd_plugin does not make."""

    maps: Tensor  # (image, unit, row, column)
    masks: list[
        dict[int, Tensor]
    ]  # of an image: pixels (row, column) of each concept
    categories: list[str]  # of the concepts
    geometry: Any
    thresholds: Tensor  # (unit,)

    def upsampled(self, image: int) -> Tensor:
        """Return S_k of an image: bilinear between centres of receptive fields."""
        masks = self.masks[image]
        size = next(iter(masks.values())).shape if masks else (SIZE // 2, SIZE // 2)
        maps = self.maps[image]
        axes = (self.geometry.rows, self.geometry.columns)
        first, second, share = _places(axes[0], maps.shape[1], size[0])
        rows = torch.lerp(maps[:, first], maps[:, second], share[:, None])
        first, second, share = _places(axes[1], maps.shape[2], size[1])
        return torch.lerp(rows[:, :, first], rows[:, :, second], share)

    def counted(self, limits: dict[str, Lit]) -> dict[str, Counts]:
        """Count with M_k as each function says of S_k, by name."""
        counts = {
            name: Counts.empty(self.maps.shape[1], self.categories)
            for name in limits
        }
        for image, masks in enumerate(self.masks):
            upsampled = self.upsampled(image)
            for name, lit in limits.items():
                counts[name].update(lit(upsampled).flatten(1).float(), masks)
        return counts


def _places(axis: Any, cells: int, mask: int) -> tuple[Tensor, Tensor, Tensor]:
    pixels = (torch.arange(mask, dtype=torch.float64) + 0.5) * SIZE / mask - 0.5
    places = ((pixels - axis.offset) / axis.stride).clamp(0, cells - 1)
    places = (places * 2**20).round() / 2**20
    first = places.floor().long()
    return first, (first + 1).clamp(max=cells - 1), (places - first).float()


def quantiles(values: Tensor, tau: float = TAU) -> Tensor:
    """Return v[floor(τ·n)] of each unit's values (unit, …), descending."""
    rank = math.floor(tau * values[0].numel() + 1e-9)
    # unit by unit: sorting takes several times the memory of the values
    return torch.stack(
        [unit.flatten().topk(rank + 1).values[-1] for unit in values]
    )


def record(
    model: Model, layer: str, concepts: ConceptSet, thresholds: np.ndarray
) -> Recorded:
    """Run the model over the set and keep all maps."""
    prepare = model.preprocess
    maps = []
    with model.probe([layer], (SIZE, SIZE)) as probe, torch.inference_mode():
        for image in range(len(concepts)):
            pixels = prepare.resize(concepts.image(image))[None]
            maps.append(probe(prepare.normalise(pixels))[layer].clone())
        geometry = probe.geometries[layer]
    return Recorded(
        torch.cat(maps),
        [_masks(concepts, image) for image in range(len(concepts))],
        [concept.category for concept in concepts.concepts],
        geometry,
        torch.from_numpy(thresholds).float(),
    )


def _masks(concepts: ConceptSet, image: int) -> dict[int, Tensor]:
    annotation = concepts.annotation(image)
    size = (SIZE // 2, SIZE // 2)
    if concepts.native_masks and annotation.planes:
        size = annotation.planes[0].shape
    masks: dict[int, Tensor] = {}
    for plane in annotation.planes:
        rows = (2 * np.arange(size[0]) + 1) * plane.shape[0] // (2 * size[0])
        columns = (2 * np.arange(size[1]) + 1) * plane.shape[1] // (2 * size[1])
        resized = torch.from_numpy(
            np.asarray(plane)[rows][:, columns].astype(np.int64)
        )
        for value in resized.unique().tolist():
            if value:
                empty = torch.zeros(size, dtype=torch.bool)
                masks[value - 1] = masks.get(value - 1, empty) | (resized == value)
    for value in annotation.labels:
        masks[value - 1] = torch.ones(size, dtype=torch.bool)
    return masks


def above(levels: Tensor) -> Lit:
    """Return the function that lights what is above each unit's level."""
    return lambda maps: maps > levels[:, None, None]


def drawn(values: Tensor, share: float) -> Tensor:
    """Return a share of the locations (unit, location), drawn with a fixed seed."""
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(values.shape[1], generator=generator)
    return values[:, order[: int(share * values.shape[1])]]
