"""Second pass: images and masks of the union, resized and under its numbers, with their rows."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from nd_plugin.concepts.broden_layout.samples import (
    IndexRow,
    LabelledImage,
    write_labelled_image,
)
from nd_plugin.concepts.union.labels.label_names import COLOR
from nd_plugin.concepts.union.labels.numbering import Numbering
from nd_plugin.concepts.union.passes.reading import ImageReader, LoadedImage
from nd_plugin.concepts.union.passes.resizing import (
    Pixels,
    nearest_pixels,
    present_values,
    resize_picture,
)
from nd_plugin.concepts.union.passes.workspace import ROWS, Progress, Workspace
from nd_plugin.concepts.union.sources import Source, Sources
from nd_plugin.concepts.union.splits import Splits
from nd_plugin.contracts.concept_sets import Annotation
from nd_plugin.errors import RunFailed, Unreadable
from nd_plugin.receptive_fields.geometry import Size
from nd_plugin.storage.durable_files import create_unsynced
from nd_plugin.storage.lock_file import not_saved

if TYPE_CHECKING:
    from nd_plugin.concepts.colours.colour_table import ColourTable

STAGE = "writing images"
Numbers = npt.NDArray[np.uint16]
Planes = dict[str, list[Pixels]]


@dataclass(frozen=True)
class RowChunk:
    """Rows of a file of written images, and the checksums of all their files."""

    rows: tuple[IndexRow, ...]
    numbers: tuple[int, ...]  # of the labels of each image, one after the other
    checksums: Mapping[str, int]  # CRC-32, by path below images/


class WrittenImages(NamedTuple):
    """All images of the set, as they were written."""

    rows: list[IndexRow]
    samples: Counter[int]  # images that carry a label at the masks' size, by number


@dataclass(frozen=True)
class SetSizes:
    """Sizes of images and masks of a set, (rows, columns)."""

    image: Size
    mask: Size


@dataclass(frozen=True)
class UnionWriter:
    """Writer of the union's images."""

    workspace: Workspace
    sources: Sources
    numbering: Numbering
    sizes: SetSizes
    splits: Splits
    colors: ColourTable | None
    # of images that carry a label: those are written
    images: tuple[int, ...]
    readers: Mapping[str, ImageReader]
    # number of each plane value by source and category; 0 for labels of other categories
    tables: Mapping[str, Mapping[str, Numbers]]
    color_numbers: Numbers  # of each colour name

    @classmethod
    def of(
        cls,
        workspace: Workspace,
        sources: Sources,
        numbering: Numbering,
        sizes: SetSizes,
        splits: Splits,
        colors: ColourTable | None,
        images: tuple[int, ...],
        strict: bool,
    ) -> UnionWriter:
        """Return the writer of a numbered union."""
        readers = {
            source.name: ImageReader.of(source, strict)
            for source in sources.sources
        }
        tables = {
            source.name: _number_tables(source, sources, numbering)
            for source in sources.sources
        }
        colour_numbers = [
            numbering.number_of.get(sources.first_color + color, 0)
            for color in range(len(sources.color_names))
        ]
        return cls(
            workspace,
            sources,
            numbering,
            sizes,
            splits,
            colors,
            images,
            readers,
            tables,
            np.array(colour_numbers, np.uint16),
        )

    def write_all(self, workers: int, progress: Progress) -> WrittenImages:
        """Write what an interrupted build has not; return all images.

        As in Broden, rows are in the order of the hashes of their names.
        """
        count = len(self.images)
        self._forget_lost_chunks(count)
        self.workspace.do_chunks(
            ROWS, count, self.write_chunk, workers, progress, STAGE
        )
        rows: list[IndexRow] = []
        samples: Counter[int] = Counter()
        for chunk in self.workspace.read_chunks(ROWS, count, RowChunk):
            rows += chunk.rows
            samples.update(chunk.numbers)
        if len(rows) != count:
            raise self.workspace.damaged(f"{len(rows)} rows of {count} images")
        rows.sort(key=lambda row: (self.splits.position(row.image), row.image))
        return WrittenImages(rows, samples)

    def _forget_lost_chunks(self, count: int) -> None:
        """Let chunks be written again of which a file is missing or another.

        Files are not written through to the disk one by one, so a power cut may lose some.
        """
        folder = self.workspace.new_set / "images"
        for number in self.workspace.done_chunks(ROWS, count):
            chunk = self.workspace.read_chunk(ROWS, number, RowChunk)
            for name, checksum in chunk.checksums.items():
                if _checksum(folder / name) != checksum:
                    self.workspace.forget_chunk(ROWS, number)
                    break

    def write_chunk(self, positions: range) -> dict[str, Any]:
        """Write some of the images; return the content of their file of rows."""
        folder = self.workspace.new_set / "images"
        checksums: dict[str, int] = {}

        def create(path: Path, content: bytes) -> None:
            create_unsynced(path, content)
            checksums[path.relative_to(folder).as_posix()] = zlib.crc32(content)

        rows = []
        numbers: list[int] = []
        for position in positions:
            sample = self._read(self.images[position])
            rows.append(self._write(sample, create))
            numbers += sorted(_label_numbers(sample))
        return asdict(RowChunk(tuple(rows), tuple(numbers), checksums))

    def _read(self, image: int) -> LabelledImage:
        """Read an image with its labels, resized. Raises RunFailed if it cannot be read now."""
        source, index = self.sources.locate(image)
        name = self.sources.name(image)
        try:
            loaded = self.readers[source.name].read(index)
        except Unreadable as error:
            raise RunFailed(
                f"{name}: {error}; it could be read when its labels were counted: the source has "
                "changed, build the set anew with --overwrite"
            ) from error
        return self._labelled_image(name, source, loaded)

    def _write(
        self, sample: LabelledImage, create: Callable[[Path, bytes], None]
    ) -> IndexRow:
        """Write an image and its masks. Raises NotSaved."""
        try:
            return write_labelled_image(
                self.workspace.new_set,
                sample,
                self.numbering.categories,
                create=create,
            )
        except OSError as error:
            raise not_saved(self.workspace.new_set, error) from error

    def _labelled_image(
        self, name: str, source: Source, loaded: LoadedImage
    ) -> LabelledImage:
        """Return an image of the set with its labels."""
        planes = self._planes(source, loaded.annotation)
        if self.colors is not None:
            planes |= self._color_planes(self.colors, loaded.rgb)
        return LabelledImage(
            resize_picture(loaded.rgb, self.sizes.image),
            name,
            # of the name in index.csv, with its ending, as Broden's
            self.splits.split(f"{name}.jpg"),
            planes,
            self._labels(source, loaded.annotation),
            self.sizes.mask,
        )

    def _planes(self, source: Source, annotation: Annotation) -> Planes:
        """Return the planes of each category, of those that carry a label of it."""
        planes: Planes = {}
        for plane in map(np.asarray, annotation.planes):
            values = present_values(plane)
            for category, table in self.tables[source.name].items():
                if table[values].any():
                    nearest = nearest_pixels(plane, self.sizes.mask)
                    numbers = table[nearest.astype(np.int64)]
                    planes.setdefault(category, []).append(numbers)
        return planes

    def _labels(
        self, source: Source, annotation: Annotation
    ) -> dict[str, list[int]]:
        """Return the numbers of the whole image's labels by category, the dominant one first."""
        labels: dict[str, list[int]] = {}
        for category, table in self.tables[source.name].items():
            numbers = [int(table[value]) for value in annotation.labels]
            distinct = [number for number in dict.fromkeys(numbers) if number]
            if distinct:
                labels[category] = distinct
        return labels

    def _color_planes(self, colors: ColourTable, rgb: Image.Image) -> Planes:
        """Return the colour names of the pixels that the masks' pixels are nearest to.

        They are those of the stored image: resizing mixes colours.
        """
        pixels = nearest_pixels(np.asarray(rgb), self.sizes.mask)
        plane = self.color_numbers[colors.indices(pixels.astype(np.uint8))]
        return {COLOR: [plane]} if COLOR in self.numbering.categories else {}


def _label_numbers(sample: LabelledImage) -> set[int]:
    """Return the numbers of the labels that an image carries."""
    numbers = {0}
    for labels in sample.labels.values():
        numbers.update(labels)
    for planes in sample.planes.values():
        for plane in planes:
            numbers.update(present_values(plane).tolist())
    return numbers - {0}


def _checksum(path: Path) -> int | None:
    """Return the checksum of a file; None for none."""
    try:
        return zlib.crc32(path.read_bytes())
    except OSError:
        return None


def _number_tables(
    source: Source, sources: Sources, numbering: Numbering
) -> dict[str, Numbers]:
    """Return the number of each plane value, (value,), by category; 0 for no label."""
    count = len(source.concepts.concepts)
    tables: dict[str, Numbers] = {}
    for value in range(1, count + 1):
        index = source.first_label + value - 1
        number = numbering.number_of.get(index)
        if number is None:
            continue
        category = sources.labels[index].category
        table = tables.setdefault(category, np.zeros(count + 1, np.uint16))
        table[value] = number
    return tables
