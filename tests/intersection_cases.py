"""Lit pixels of maps and labels of images, and their sums by plain loops."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nd_plugin.accelerator.intersections import ImageLabels, UnitSums

CPU = torch.device("cpu")


@dataclass(frozen=True)
class IntersectionCase:
    """Arguments of `add_intersections`, but for the sums; and the sums' sizes."""

    lit_pixels: Tensor
    images: Tensor
    units: Tensor
    labels: ImageLabels
    sizes: tuple[int, int, int]  # units, concepts, categories

    @property
    def arguments(self) -> tuple[Tensor, Tensor, Tensor, ImageLabels]:
        return self.lit_pixels, self.images, self.units, self.labels

    def begun_sums(self) -> UnitSums:
        """Return sums that are not 0."""
        sums = UnitSums.empty(*self.sizes, CPU)
        sums.intersections[:] = torch.arange(sums.intersections.shape[1])
        sums.areas[:] = 2**40
        return sums

    def expected(self) -> UnitSums:
        """Add pixel count by pixel count."""
        sums = self.begun_sums()
        for index, (image, unit) in enumerate(
            zip(self.images.tolist(), self.units.tolist(), strict=True)
        ):
            self._add(sums, index, image, unit)
        return sums

    def _add(self, sums: UnitSums, index: int, image: int, unit: int) -> None:
        counts = self.lit_pixels[index].tolist()
        for members, pixels in zip(
            self.labels.members[image].tolist(), counts, strict=True
        ):
            for label in members:
                if label:
                    sums.intersections[unit, label] += pixels
        for category, has in enumerate(self.labels.has_category[image].tolist()):
            if has:
                sums.areas[unit, category] += sum(counts)


def draw_case(
    maps: int = 30,
    combinations: int = 9,
    labels: int = 3,
    *,
    categories: int = 5,
    images: int = 4,
    units: int = 6,
    concepts: int = 20,
    members_dtype: torch.dtype = torch.int16,
    seed: int = 0,
) -> IntersectionCase:
    """Draw counts of which a third is 0, and combinations with some labels each."""
    generator = torch.Generator().manual_seed(seed)

    def draw(limit: int, *shape: int) -> Tensor:
        return torch.randint(limit, shape, generator=generator)

    noise = torch.rand(images, combinations, concepts, generator=generator)
    members = noise.argsort(dim=2)[:, :, :labels] + 1
    members *= draw(2, *members.shape)
    return IntersectionCase(
        draw(3, maps, combinations).int() * 2000,
        draw(images, maps),
        draw(units, maps),
        ImageLabels(members.to(members_dtype), draw(2, images, categories).bool()),
        (units, concepts, categories),
    )


def special_cases() -> dict[str, IntersectionCase]:
    """Return cases that are easily got wrong."""
    return {
        "some": draw_case(),
        "one map": draw_case(maps=1),
        "one image": draw_case(images=1),
        "one category": draw_case(categories=1),
        "no label": draw_case(labels=0),
        "one combination": draw_case(combinations=1),
        "many combinations": draw_case(maps=5, combinations=300),
        "many concepts": draw_case(concepts=1197, members_dtype=torch.int32),
        "int64": draw_case(members_dtype=torch.int64),
        "uint8": draw_case(members_dtype=torch.uint8),
    }


def assert_same_sums(sums: UnitSums, expected: UnitSums) -> None:
    assert torch.equal(sums.intersections.cpu(), expected.intersections)
    assert torch.equal(sums.areas.cpu(), expected.areas)
