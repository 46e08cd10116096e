"""Images of a concept set, read for an export; what cannot be read is left out, and said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nd_plugin.concepts.export.layout import ExportImage, Layout
from nd_plugin.concepts.export.options import ExportOptions
from nd_plugin.concepts.export.pictures import ExportPicture, PictureSource
from nd_plugin.concepts.export.planes import CategoryOfValues, Plane
from nd_plugin.contracts.concept_sets import Annotation, ConceptSet
from nd_plugin.contracts.provenance import Skipped
from nd_plugin.contracts.set_checks import read_annotation
from nd_plugin.errors import PluginFailed
from nd_plugin.foreign_code import is_failure, stopping_failure
from nd_plugin.method.annotations import check_plane
from nd_plugin.pictures.masks import check_aspect
from nd_plugin.pictures.pixel_limit import pixel_limit, reason_of
from nd_plugin.probe_data.items import check_labels, half, own_size
from nd_plugin.probe_data.remarks import Remarks
from nd_plugin.receptive_fields.geometry import Size

SEVERAL_SIZES = (
    "planes of several sizes brought to that of the first: a dissection may differ there, but does "
    "not with --size"
)
NO_SIZE = (
    "labels of the whole image alone, and nothing says the size of its masks: half of the image's "
    "is listed"
)


@dataclass(frozen=True)
class ReadImage:
    """Image as far as it could be read."""

    image: ExportImage | None  # None: it could not be decoded
    skipped: Skipped | None = None
    remarks: Remarks = field(default_factory=Remarks)


@dataclass(frozen=True)
class _Labels:
    """Annotation by category."""

    planes: Mapping[str, Sequence[Plane]] = field(default_factory=dict)
    labels: Mapping[str, Sequence[int]] = field(default_factory=dict)
    size: Size | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImageReader:
    """Reader of a concept set's images, for one layout."""

    concepts: ConceptSet
    options: ExportOptions
    layout: Layout
    pictures: PictureSource
    categories: CategoryOfValues
    stems: Sequence[str]

    def read(self, index: int) -> ReadImage:
        """Read an image and its annotation.

        An image that cannot be decoded is left out. One whose annotation cannot be read keeps no
        label: a dissection counts its activations, but compares it with nothing. What says nothing
        of the image stops the export: see `foreign_code.stopping_failure`.
        """
        try:
            picture = self.pictures.read(index, self.layout.may_copy)
        except BaseException as error:  # a concept set may raise anything
            return ReadImage(None, self._skipped(index, "image", error))
        skipped = None
        labels = _Labels()
        try:
            labels = self._labels(index, picture)
        except BaseException as error:  # a concept set may raise anything
            skipped = self._skipped(index, "annotation", error)
        image = ExportImage(
            picture,
            self.stems[index],
            self._split(index),
            labels.planes,
            labels.labels,
            labels.size,
        )
        texts = (*picture.remarks, *labels.remarks)
        remarks = Remarks.on_image(self.concepts.name(index), texts)
        return ReadImage(image, skipped, remarks)

    def _labels(self, index: int, picture: ExportPicture) -> _Labels:
        """Read the annotation. Raises ValueError for labels and planes that are none."""
        with pixel_limit(None):
            annotation = read_annotation(self.concepts, index)
        self._check_annotation(annotation, picture)
        size = self._size(annotation)
        planes = self.categories.sort(
            annotation.planes, self._plane_size(annotation)
        )
        labels: dict[str, list[int]] = {}
        for value in dict.fromkeys(annotation.labels):
            if value:
                labels.setdefault(self.categories.of(value), []).append(int(value))
        remarks = (*annotation.remarks, *self._remarks(annotation))
        return _Labels(planes, labels, size, remarks)

    def _check_annotation(
        self, annotation: Annotation, picture: ExportPicture
    ) -> None:
        """Check what is written to files. Raises ValueError."""
        count = len(self.concepts.concepts)
        check_labels(np.array(annotation.labels, np.int64), count)
        image_size = (picture.rgb.height, picture.rgb.width)
        for plane in annotation.planes:
            check_plane(plane)
            check_labels(np.asarray(plane), count)
            if self.options.size is None:
                check_aspect(np.shape(plane), image_size, "a plane")

    def _size(self, annotation: Annotation) -> Size | None:
        """Return the size of an annotation's masks; None where nothing says it."""
        if self.options.size is not None:
            return self.options.mask_size or half(self.options.size)
        return own_size(annotation)

    def _plane_size(self, annotation: Annotation) -> Size | None:
        """Return the size to which planes are brought; None: each keeps its own."""
        if self.options.size is not None or self.concepts.native_masks:
            return self._size(annotation)
        if self.layout.has_one_size and len(annotation.planes):
            rows, columns = np.shape(annotation.planes[0])
            return rows, columns
        return None

    def _remarks(self, annotation: Annotation) -> list[str]:
        """Return what becomes of sizes of masks in a layout that has one for each image."""
        if self.options.size is not None or not self.layout.has_one_size:
            return []
        shapes = {np.shape(plane) for plane in annotation.planes}
        if len(shapes) > 1 and not self.concepts.native_masks:
            return [SEVERAL_SIZES]
        if not shapes and annotation.size is None and annotation.labels:
            return [NO_SIZE]
        return []

    def _split(self, index: int) -> str:
        split_of: Any = getattr(self.concepts, "split", None)
        return "" if split_of is None else str(split_of(index))

    def _skipped(self, index: int, part: str, error: BaseException) -> Skipped:
        """Return what is left out, and why. Raises what does not say anything of the image."""
        if not is_failure(error) or isinstance(error, PluginFailed):
            raise error
        name = self.concepts.name(index)
        failure = stopping_failure(error, f"the {part} of {name}")
        if failure is not None:
            raise failure from error
        return Skipped(name, part, reason_of(error))
