"""Reading of one image of a source: upright RGB, and its annotation, checked."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from nd_plugin.concepts.union.sources import Source
from nd_plugin.contracts.concept_sets import Annotation
from nd_plugin.contracts.set_checks import read_annotation, read_image
from nd_plugin.errors import NDError, PluginFailed, Unreadable
from nd_plugin.foreign_code import is_failure, stopping_failure
from nd_plugin.pictures.conversion import convert_picture
from nd_plugin.pictures.pixel_limit import pixel_limit, reason_of
from nd_plugin.pictures.png_checksums import checked_checksums
from nd_plugin.probe_data.grey_sample import GreySample
from nd_plugin.probe_data.items import check_labels


@dataclass(frozen=True)
class LoadedImage:
    """Image of a source with its annotation."""

    rgb: Image.Image
    annotation: Annotation
    remarks: tuple[str, ...] = ()
    # largest values that were taken for white, see `probe_data.remarks`
    whites: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ImageReader:
    """Reader of a source's images; under ``strict`` checksums of masks are checked, too."""

    source: Source
    strict: bool
    grey_sample: GreySample

    @classmethod
    def of(cls, source: Source, strict: bool = False) -> ImageReader:
        """Return the reader of a source."""
        return cls(source, strict, GreySample(source.concepts))

    def read(self, index: int) -> LoadedImage:
        """Read an image. Raises Unreadable for one that cannot be read, with the part and why.

        What says nothing of the image stops a run: see `foreign_code.stopping_failure`.
        """
        part = "image"
        try:
            with pixel_limit(None), checked_checksums(self.strict):
                concepts = self.source.concepts
                set_size = len(self.source.image_names)
                stored = read_image(concepts, index, set_size)
                picture = convert_picture(stored, self.grey_sample.choose_range)
                part = "annotation"
                annotation = read_annotation(concepts, index, set_size)
                _check_labels(annotation, len(concepts.concepts))
        except BaseException as error:  # a concept set may raise anything
            if not is_failure(error) or isinstance(error, PluginFailed):
                raise
            raise self._failure(index, part, error) from error
        return LoadedImage(
            picture.rgb,
            annotation,
            (*picture.remarks, *annotation.remarks),
            picture.whites,
        )

    def _failure(self, index: int, part: str, error: BaseException) -> NDError:
        """Return what an exception means."""
        place = f"the {part} of {self.source.concepts.name(index)}"
        failure = stopping_failure(error, place)
        if failure is None:
            return Unreadable(f"its {part} cannot be read: {reason_of(error)}")
        # all that reaches the first process of where it was raised
        failure.add_note("".join(traceback.format_exception(error)))
        return failure


def _check_labels(annotation: Annotation, concept_count: int) -> None:
    """Raise ValueError unless planes are (row, column) of labels of the vocabulary, or 0."""
    check_labels(np.array(annotation.labels, np.int64), concept_count)
    for plane in map(np.asarray, annotation.planes):
        if plane.ndim != 2 or plane.size == 0:
            raise ValueError(
                f"annotation plane has shape {plane.shape}; expected (row, column), not empty"
            )
        check_labels(plane, concept_count)
