"""Base of concept sets that are image files in folders, with labels beside them."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from nd_plugin.concepts.sources.vocabulary import Vocabulary
from nd_plugin.contracts.concept_sets import Annotation, Concept, image_entry
from nd_plugin.contracts.provenance import Identity, fingerprint
from nd_plugin.errors import ConceptSetInvalid
from nd_plugin.pictures.files import PictureSize, measure_picture, read_picture
from nd_plugin.pictures.masks import check_aspect, read_mask
from nd_plugin.pictures.relative_names import NamedFiles


@dataclass(frozen=True)
class LabelledImage:
    """Image of a source with what belongs to it."""

    path: str  # below the folder of images; also its name
    # files with its labels, below the set's root: masks, tables of its own
    label_files: tuple[str, ...] = ()
    labels: tuple[int, ...] = ()  # of the whole image, as values of planes
    split: str = ""


class LabelledFiles(ABC):
    """Concept set of image files; a subclass reads their annotations.

    Images are below ``image_folder``, their labels below ``root``; neither paths nor links lead out
    of them. ``follows_links`` allows links to anywhere, for paths that were listed and not named by
    a table. ``identity`` comes without its fingerprint, which is of ``tables`` and of the names,
    labels and sizes of all files.
    """

    native_masks = False

    def __init__(
        self,
        root: Path,
        identity: Identity,
        vocabulary: Vocabulary,
        images: Sequence[LabelledImage],
        *,
        image_folder: Path | None = None,
        tables: Sequence[Path] = (),
        notes: Sequence[str] = (),
        follows_links: bool = False,
    ) -> None:
        self.root = root
        self.concepts: tuple[Concept, ...] = vocabulary.concepts
        self.categories: tuple[str, ...] = vocabulary.categories
        self.notes: tuple[str, ...] = tuple(notes)
        self.images: tuple[LabelledImage, ...] = tuple(images)
        self._identity = identity
        self._tables = tuple(tables)
        folder = image_folder or root
        is_inside = folder.is_relative_to(root)
        self.image_files: NamedFiles = NamedFiles(
            root if is_inside else folder, folder, follows_links
        )
        self.label_files: NamedFiles = NamedFiles(root, root, follows_links)
        if not images:
            raise ConceptSetInvalid(f"{identity.source} has no images in {folder}")
        for image in images:
            self.image_files.check(image.path, identity.source)
            for path in image.label_files:
                self.label_files.check(path, identity.source)

    @abstractmethod
    def annotation(self, index: int) -> Annotation:
        """Return the annotation of an image."""

    @cached_property
    def identity(self) -> Identity:
        """Identity; the sizes of many files take a while, at the first look at it."""
        chunks = [path.name.encode() + path.read_bytes() for path in self._tables]
        images = os.fspath(self.image_files.folder)
        root = os.fspath(self.root)
        for image in self.images:
            chunks.append(_path_and_size(images, image.path))
            chunks += [_path_and_size(root, path) for path in image.label_files]
            chunks.append(f"{image.labels} {image.split}\n".encode())
        return replace(self._identity, fingerprint=fingerprint(chunks))

    def __len__(self) -> int:
        return len(self.images)

    def name(self, index: int) -> str:
        """Return the image's path below the folder of images."""
        return image_entry(self.images, index).path

    def split(self, index: int) -> str:
        """Return the image's part of the set, such as train or val."""
        return image_entry(self.images, index).split

    def files(self, index: int) -> list[Path]:
        """Return the files of the image and of its labels."""
        image = image_entry(self.images, index)
        labels = [self.root / path for path in image.label_files]
        return [self.image_files.folder / image.path, *labels]

    def image(self, index: int) -> Image.Image:
        """Return the image, decoded, as it is stored."""
        return read_picture(
            self.image_files.path(image_entry(self.images, index).path)
        )

    def size(self, index: int) -> PictureSize:
        """Return the size of an image, without decoding it."""
        return measure_picture(
            self.image_files.path(image_entry(self.images, index).path)
        )

    def mask(
        self, path: str, size: PictureSize, modes: Collection[str]
    ) -> npt.NDArray[np.integer[Any]]:
        """Return the stored integers of a mask, (row, column) or (row, column, channel).

        ``size`` is that of its image, ``modes`` are Pillow's of the source's masks. Raises
        ValueError for a mask that is unreadable, of another mode or of another aspect.
        """
        what = f"the mask {path}"
        mode, pixels = read_mask(self.label_files.path(path), what)
        if mode not in modes:
            raise ValueError(
                f"{what} is of mode {mode}; expected {' or '.join(modes)}, as the data set has it"
            )
        check_aspect(pixels.shape[:2], size.upright, what, size.stored)
        return pixels


def _path_and_size(folder: str, path: str) -> bytes:
    """Return a path with its file's size, -1 for none: reading that file is what reports it."""
    try:
        # not a Path for each: sources have tens of thousands
        size = os.stat(f"{folder}/{path}").st_size  # noqa: PTH116
    except (OSError, ValueError):
        size = -1
    return os.fsencode(f"{path} {size}\n")
