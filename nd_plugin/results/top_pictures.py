"""Pictures of a layer: its units' top images, small, with their annotations and maps.

Whatever is shown of a unit's top images follows from these, without model and data.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from nd_plugin.borders.damage import damage_refused
from nd_plugin.errors import BadInput
from nd_plugin.method.annotations import Counts, LabelCombinations
from nd_plugin.receptive_fields.geometry import Size
from nd_plugin.results.top_maps import Mask, TopMaps

PNG_SIGNATURE = b"\x89PNG"
# of a small picture, which has 2**17 at most; see `small_pictures`
MOST_PICTURE_PIXELS = 2**24


@dataclass(frozen=True, eq=False)
class TopPictures:
    """Small pictures of a layer's top images, their annotations, and the units' maps in them.

    Pictures keep the aspect of their image; masks have the size at which the run has compared
    them. An image is its index into `Dissection.image_names`, a rank the column of
    `Dissection.top_images`.
    """

    images: Counts  # (picture,) ascending
    encoded: tuple[bytes, ...]  # of each picture, a small JPEG or PNG file
    # of each picture, `LabelCombinations.pack`; b"" for an annotation that could not be read
    packed_labels: tuple[bytes, ...]
    mask_sizes: Counts  # (picture, 2) rows and columns
    top_images: Counts  # (unit, rank) the first top images of each unit
    maps: TopMaps
    path: Path | None = None  # file that these were read from
    # of the layer that they were read for; None: labels are not compared with it
    concept_count: int | None = None

    @property
    def units_top(self) -> int:
        """Number of top images of each unit that have pictures, from the first on."""
        return int(self.top_images.shape[1])

    @property
    def nbytes(self) -> int:
        """Bytes of pictures, annotations and maps, about as many as in a file."""
        files = sum(
            len(content) for content in (*self.encoded, *self.packed_labels)
        )
        return files + self.maps.values.nbytes + self.maps.positions.nbytes

    def __len__(self) -> int:
        return len(self.images)

    def __contains__(self, image: object) -> bool:
        if not isinstance(image, int | np.integer):
            return False
        index = int(np.searchsorted(self.images, int(image)))
        return index < len(self.images) and int(self.images[index]) == image

    def encoded_picture(self, image: int) -> bytes:
        """Return the small JPEG or PNG file of an image. Raises BadInput without a picture."""
        return self.encoded[self._index(image)]

    def suffix(self, image: int) -> str:
        """Return ``".jpg"`` or ``".png"``, as fits `encoded_picture`."""
        is_png = self.encoded_picture(image).startswith(PNG_SIGNATURE)
        return ".png" if is_png else ".jpg"

    def picture(self, image: int) -> Image.Image:
        """Decode the small picture of an image, RGB.

        Raises BadInput for an image without a picture, RunInvalid for a damaged one.
        """
        with self._opened(image) as picture:
            return picture.convert("RGB")

    def picture_size(self, image: int) -> Size:
        """Return rows and columns of the small picture of an image, which is not decoded.

        Raises BadInput for an image without a picture, RunInvalid for a damaged one.
        """
        with self._opened(image) as picture:
            return picture.height, picture.width

    @contextmanager
    def _opened(self, image: int) -> Iterator[Image.Image]:
        """Open the small picture of an image; errors within name the file."""
        encoded = self.encoded_picture(image)
        with (
            self._damage_refused(image, "picture"),
            Image.open(io.BytesIO(encoded), formats=("JPEG", "PNG")) as picture,
        ):
            if picture.width * picture.height > MOST_PICTURE_PIXELS:
                raise ValueError(f"it is {picture.width}x{picture.height}")
            yield picture

    def annotation(self, image: int) -> LabelCombinations | None:
        """Return the labels of an image at the size of the masks; None if they were unreadable.

        Raises BadInput for an image without a picture, RunInvalid for a damaged annotation.
        """
        packed = self.packed_labels[self._index(image)]
        if not packed:
            return None
        with self._damage_refused(image, "annotation"):
            labels = LabelCombinations.unpack(packed)
            self._check_labels(image, labels)
        return labels

    def _check_labels(self, image: int, labels: LabelCombinations) -> None:
        """Check that labels are of the masks' size, and of concepts that there are."""
        if labels.size != self.mask_size(image):
            raise ValueError(
                f"it has {labels.size}, where {self.mask_size(image)} belongs"
            )
        last_concept = int(labels.concepts.max(initial=-1))
        if self.concept_count is not None and last_concept >= self.concept_count:
            raise ValueError(
                f"it has concept {last_concept} of {self.concept_count}"
            )

    def concepts(self, image: int) -> Counts:
        """Return the indices of the concepts that an image carries, ascending; (concept,)."""
        labels = self.annotation(image)
        if labels is None:
            return np.zeros(0, np.int64)
        return labels.concepts

    def concept_mask(self, image: int, concept: int) -> Mask:
        """Return L_c (row, column), the pixels that carry a concept, at the size of the masks."""
        labels = self.annotation(image)
        if labels is None:
            return np.zeros(self.mask_size(image), np.bool_)
        carries = (labels.members == concept + 1).any(axis=1)
        mask: npt.NDArray[np.bool_] = carries[labels.combinations]
        return mask

    def mask_size(self, image: int) -> Size:
        """Return rows and columns of an image's masks."""
        rows, columns = self.mask_sizes[self._index(image)].tolist()
        return rows, columns

    def mask(self, unit: int, rank: int, threshold: float) -> Mask | None:
        """Compute M_k (row, column) in the top image ``rank`` of a unit, pixel by pixel exactly.

        ``threshold`` is T_k or higher: cells below T_k are not stored. None where there is no
        picture (``rank`` beyond `units_top`, an image that could not be read again), or where the
        map is not known.
        """
        if not self._can_draw(unit, rank):
            return None
        size = self.mask_size(int(self.top_images[unit, rank]))
        mask: Mask = self.maps.masks(unit, [rank], threshold, size)[0]
        return mask

    def masks(self, unit: int, threshold: float) -> list[Mask | None]:
        """Compute `mask` in each of a unit's first `units_top` top images, all at once."""
        masks: list[Mask | None] = [None] * self.units_top
        ranks_by_size: dict[Size, list[int]] = {}
        for rank, image in enumerate(self.top_images[unit].tolist()):
            if self._can_draw(unit, rank):
                ranks_by_size.setdefault(self.mask_size(image), []).append(rank)
        for size, ranks in ranks_by_size.items():
            drawn = self.maps.masks(unit, ranks, threshold, size)
            for rank, mask in zip(ranks, drawn, strict=True):
                masks[rank] = mask
        return masks

    def _can_draw(self, unit: int, rank: int) -> bool:
        """Return whether a unit's top image ``rank`` has a picture, and its map is known."""
        if not 0 <= rank < self.units_top or not self.maps.is_known(unit, rank):
            return False
        return int(self.top_images[unit, rank]) in self

    def _index(self, image: int) -> int:
        if image not in self:
            raise BadInput(
                f"image {image} has no picture: pictures are of the first {self.units_top} "
                "top images of each unit"
            )
        return int(np.searchsorted(self.images, image))

    def _damage_refused(
        self, image: int, part: str
    ) -> AbstractContextManager[None]:
        """Return the border of decoding a part: RunInvalid names it, and the file."""
        name = f"{self.path or 'pictures'}: the {part} of image {image}"
        return damage_refused(name, "dissect the layer again")
