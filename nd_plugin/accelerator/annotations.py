"""Annotations of many images as small integers on a device, ready to be counted against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nd_plugin.receptive_fields.geometry import Size


@dataclass(frozen=True, eq=False)
class DeviceAnnotations:
    """Annotations of images whose masks have one size.

    A label is 1 + the index of a concept; 0 stands for none.
    """

    images: Tensor  # (image,) int64, indices into the probe data set
    # (image, row, column) unsigned or signed integers, indices into the image's `members`
    combinations: Tensor
    members: Tensor  # (image, combination, label) labels, each at most once, or 0
    categories: Tensor  # (image, category) bool, which the image has

    @property
    def size(self) -> Size:
        """Rows and columns of the masks."""
        return self.combinations.shape[1], self.combinations.shape[2]

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        tensors = (self.images, self.combinations, self.members, self.categories)
        return sum(tensor.nbytes for tensor in tensors)

    def row_of_image(self, image_count: int) -> Tensor:
        """Return the row of each image of the probe data set here, (image,) int64; -1 for none."""
        device = self.images.device
        rows = torch.full((image_count,), -1, dtype=torch.int64, device=device)
        rows[self.images] = torch.arange(len(self.images), device=device)
        return rows

    @classmethod
    def joined(cls, parts: Sequence[DeviceAnnotations]) -> DeviceAnnotations:
        """Join annotations of masks of one size; at least one."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            torch.cat([part.images for part in parts]),
            _cat_widest([part.combinations for part in parts]),
            _cat_padded([part.members for part in parts]),
            torch.cat([part.categories for part in parts]),
        )


def find_categories(
    members: Tensor, category_of: Tensor, categories: int
) -> Tensor:
    """Return which categories each image has, (image, category) bool.

    ``members`` (image, combination, label) are labels, ``category_of`` (concept,) int64 is on their
    device.
    """
    # behind the last category: no label
    no_category = category_of.new_full((1,), categories)
    category_of_label = torch.cat([no_category, category_of])
    categories_of_labels = category_of_label[members.flatten(1).long()]
    table = torch.zeros(
        len(members), categories + 1, dtype=torch.bool, device=members.device
    )
    table.scatter_(1, categories_of_labels, True)
    return table[:, :categories]


def _cat_widest(tensors: Sequence[Tensor]) -> Tensor:
    """Concatenate integer tensors along the images, in the widest of their types."""
    widest = max(
        (tensor.dtype for tensor in tensors), key=lambda dtype: dtype.itemsize
    )
    return torch.cat([tensor.to(widest) for tensor in tensors])


def _cat_padded(tensors: Sequence[Tensor]) -> Tensor:
    """Concatenate (image, combination, label) tensors, padded with 0."""
    combinations = max(tensor.shape[1] for tensor in tensors)
    labels = max(tensor.shape[2] for tensor in tensors)
    image_count = sum(len(tensor) for tensor in tensors)
    widest = max(
        (tensor.dtype for tensor in tensors), key=lambda dtype: dtype.itemsize
    )
    joined = tensors[0].new_zeros((image_count, combinations, labels), dtype=widest)
    start = 0
    for tensor in tensors:
        end = start + len(tensor)
        joined[start:end, : tensor.shape[1], : tensor.shape[2]] = tensor
        start = end
    return joined
