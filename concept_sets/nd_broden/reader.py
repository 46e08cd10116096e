"""Reads images and annotations in Broden's layout."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from nd_broden.tables import Row, read_categories, read_index, read_vocabulary
from nd_plugin import Annotation, ConceptSetInvalid, Identity, check_aspect, read_mask

VERSION = "1"


@dataclass(frozen=True)
class Labels:
    """From label numbers to values of planes: 1 + the concept's index, 0 for no label."""

    values: npt.NDArray[np.int32]  # (number,); -1 where there is no such label

    @classmethod
    def of(cls, numbers: tuple[int, ...]) -> Labels:
        """For a vocabulary's numbers."""
        values = np.full(max(numbers, default=0) + 1, -1, dtype=np.int32)
        values[list(numbers)] = np.arange(1, len(numbers) + 1)
        values[0] = 0
        return cls(values)

    def of_plane(self, numbers: npt.NDArray[np.int32], where: str) -> npt.NDArray[np.int32]:
        """A plane of numbers as a plane of values. Raises ValueError for a number outside the vocabulary."""
        top = int(numbers.max(initial=0))
        values = self.values.take(numbers, mode="clip")
        if top >= len(self.values) or int(values.min(initial=0)) < 0:
            strange = top if top >= len(self.values) else int(numbers[values < 0][0])
            raise ValueError(f"label {strange} in {where} is not in label.csv")
        return values


class Broden:
    """A folder in Broden's layout (paper section 2.1; github.com/CSAILVision/NetDissect).

    ``index`` names another index file in the folder. Masks are RGB images whose label number is red + 256 * green.
    """

    native_masks = True

    def __init__(self, root: str, *, index: str = "index.csv") -> None:
        self.root = Path(root).expanduser()
        if not root or not self.root.is_dir():
            shown = f"no folder {root!r}" if root else "a folder is missing"
            raise ConceptSetInvalid(f"{shown}: say broden:ROOT, ROOT being the folder that holds index.csv")
        vocabulary = read_vocabulary(self.root)
        self.categories = vocabulary.categories
        self.concepts = vocabulary.concepts
        self._labels = Labels.of(vocabulary.numbers)
        self._rows = read_index(self.root / index, read_categories(self.root))
        source = f"broden:{root}" + (f"?index={index}" if index != "index.csv" else "")
        self.identity = Identity("broden", source, VERSION, _fingerprint(self.root, index))

    def __len__(self) -> int:
        return len(self._rows)

    def name(self, index: int) -> str:
        """The image's path below images/."""
        return self._rows[index].image

    def image(self, index: int) -> Image.Image:
        """The image, decoded."""
        with Image.open(self.root / "images" / self._rows[index].image) as image:
            image.load()
            return image

    def annotation(self, index: int) -> Annotation:
        """All planes and whole-image labels of the image. Raises ValueError for what index.csv and label.csv forbid."""
        row = self._rows[index]
        size = row.image_size or (self._image_size(row) if row.planes else None)
        planes = [self._plane(path, row, size) for path in row.planes]
        numbers = self._labels.of_plane(np.array(row.numbers, dtype=np.int32), "index.csv")
        return Annotation(planes, tuple(int(value) for value in numbers if value), row.size)

    def _image_size(self, row: Row) -> tuple[int, int]:
        with Image.open(self.root / "images" / row.image) as image:
            return image.height, image.width

    def _plane(self, path: str, row: Row, size: tuple[int, int] | None) -> npt.NDArray[np.int32]:
        mode, pixels = read_mask(self.root / "images" / path, f"the mask {path}")
        if mode not in ("RGB", "RGBA"):
            raise ValueError(f"the mask {path} is of mode {mode}, where RGB belongs (red + 256 * green)")
        if row.size is not None and pixels.shape[:2] != row.size:
            raise ValueError(f"the mask {path} is {pixels.shape[0]}x{pixels.shape[1]}, not {row.size[0]}x{row.size[1]}")
        if size is not None:
            check_aspect(pixels.shape[:2], size, f"the mask {path}")
        return self._labels.of_plane(pixels[:, :, 0] + np.int32(256) * pixels[:, :, 1], path)


def _fingerprint(root: Path, index: str) -> str:
    """SHA-256 over the tables, which name every image and mask; the first 16 digits."""
    digest = hashlib.sha256()
    for path in (root / index, root / "label.csv", root / "category.csv", *sorted(root.glob("c_*.csv"))):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]
