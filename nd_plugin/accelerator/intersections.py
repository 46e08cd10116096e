"""|M_k ∩ L_c| and |M_k| of equation 1, added up from the lit pixels of maps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType

import torch
from torch import Tensor

from nd_plugin.accelerator.kernels import DTypes, Kernel

MEMORY = 2**30  # bytes
LABEL_BYTES = 40  # of a label of a combination: five int64
COUNTS_BEFORE_COMPILING = 2**28


@dataclass(frozen=True)
class ImageLabels:
    """Combinations of labels in some images, and the images' categories."""

    members: Tensor  # (image, combination, label) integers, 1 + concept, each once; 0: no label
    has_category: Tensor  # (image, category) bool


@dataclass(frozen=True)
class UnitSums:
    """Sums over images, which grow."""

    # (unit, 1 + concept) int64, |M_k ∩ L_c|; column 0 stays as it is
    intersections: Tensor
    areas: Tensor  # (unit, category) int64, |M_k| over the images that have the category

    @classmethod
    def empty(
        cls, units: int, concepts: int, categories: int, device: torch.device
    ) -> UnitSums:
        """Return the sums over no image."""
        return cls(
            torch.zeros(units, concepts + 1, dtype=torch.int64, device=device),
            torch.zeros(units, categories, dtype=torch.int64, device=device),
        )


def add_intersections(
    lit_pixels: Tensor,
    images: Tensor,
    units: Tensor,
    labels: ImageLabels,
    sums: UnitSums,
    *,
    memory: int = MEMORY,
) -> None:
    """Add ``lit_pixels`` (map, combination) of ``images`` and ``units`` (map,) to ``sums``.

    ``images`` are indices into ``labels``. Intermediate results take at most ``memory`` bytes,
    unless those of a single map take more.

    Plain version, for each map, combination and label of the combination, other than 0:
    ``intersections[unit, label] += pixels``, and for each category that the image has:
    ``areas[unit, category] += pixels``.
    """
    label_count = labels.members.shape[1] * labels.members.shape[2]
    maps_at_once = max(memory // max(label_count * LABEL_BYTES, 1), 1)
    for start in range(0, len(lit_pixels), maps_at_once):
        piece = slice(start, start + maps_at_once)
        _add(lit_pixels[piece], images[piece], units[piece], labels, sums)


def _add(
    lit_pixels: Tensor,
    images: Tensor,
    units: Tensor,
    labels: ImageLabels,
    sums: UnitSums,
) -> None:
    """Add the lit pixels of some maps to ``sums``."""
    map_pixels = lit_pixels.sum(1)[:, None]
    has_category = labels.has_category.index_select(0, images)
    sums.areas.index_add_(0, units, map_pixels * has_category)
    members = labels.members.index_select(0, images)
    row_starts = units * sums.intersections.shape[1]
    entries = row_starts[:, None, None] + members
    label_pixels = lit_pixels[:, :, None] * (members > 0)
    flat_sums = sums.intersections.view(-1)
    flat_sums.index_add_(0, entries.flatten(), label_pixels.flatten().long())


@dataclass(frozen=True)
class IntersectionAdder:
    """Function that adds lit pixels to sums: the Triton kernel, or its plain version."""

    kernel: Kernel | None  # None: there is none for this device
    memory: int  # bytes for intermediate results of the plain version

    @property
    def note(self) -> str | None:
        """Reason why the plain version is used where a kernel was expected."""
        return self.kernel.note if self.kernel else None

    def __call__(
        self,
        lit_pixels: Tensor,
        images: Tensor,
        units: Tensor,
        labels: ImageLabels,
        sums: UnitSums,
    ) -> None:
        """Add lit pixels to ``sums``; see `add_intersections`."""
        arguments = lit_pixels, images, units, labels, sums
        module = None
        if self.kernel:
            module = self.kernel.module(
                lit_pixels.device, (labels.members.dtype,), lit_pixels.numel()
            )
        if module:
            module.add_intersections(*arguments)
        else:
            add_intersections(*arguments, memory=self.memory)


def intersection_adder(
    device: torch.device, memory: int = MEMORY
) -> IntersectionAdder:
    """Return the adder for counts on ``device``; all adders of a device share one kernel."""
    return IntersectionAdder(
        _kernel(device) if device.type == "cuda" else None, memory
    )


@lru_cache(maxsize=64)
def _kernel(device: torch.device) -> Kernel:
    return Kernel(
        "intersections were added up",
        "nd_plugin.accelerator.intersections_triton",
        equals_plain,
        COUNTS_BEFORE_COMPILING,
    )


def equals_plain(module: ModuleType, device: torch.device, dtypes: DTypes) -> bool:
    """Return whether the kernel adds random counts as the plain version does."""
    generator = torch.Generator(device="cpu").manual_seed(0)

    def draw(limit: int, *shape: int) -> Tensor:
        return torch.randint(limit, shape, generator=generator).to(device)

    labels = ImageLabels(draw(20, 4, 150, 3).to(dtypes[0]), draw(2, 4, 5).bool())
    lit_pixels = draw(3, 50, 150).int()
    images = draw(4, 50)
    units = draw(8, 50)
    sums = UnitSums.empty(8, 20, 5, device)
    expected = UnitSums.empty(8, 20, 5, device)
    module.add_intersections(lit_pixels, images, units, labels, sums)
    add_intersections(lit_pixels, images, units, labels, expected)
    return torch.equal(sums.intersections, expected.intersections) and torch.equal(
        sums.areas, expected.areas
    )
