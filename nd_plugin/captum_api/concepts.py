"""Conversion of concept sets to and from `captum.concept.Concept`, as TCAV uses it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from captum import concept as captum
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from nd_plugin.concepts.combine.sample_counts import distinct_concepts
from nd_plugin.contracts.concept_sets import (
    Annotation,
    Concept,
    ConceptSet,
    image_entry,
)
from nd_plugin.contracts.provenance import Identity, fingerprint
from nd_plugin.contracts.set_checks import read_annotation, read_image
from nd_plugin.errors import ConceptSetInvalid, NDError, Unreadable, nearest
from nd_plugin.pictures.conversion import convert_picture
from nd_plugin.pictures.pixel_limit import pixel_limit, reason_of
from nd_plugin.plugins.opening import open_concepts
from nd_plugin.preprocess import Preprocess
from nd_plugin.probe_data.grey_sample import GreySample

CATEGORY = "concept"  # of concepts from Captum, which have no categories
VERSION = "2"  # of the reader: 1 left the concepts of images out of the fingerprint


def concepts_to_captum(
    concept_set: str | ConceptSet,
    concepts: Sequence[str] | None = None,
    *,
    preprocess: Preprocess | None = None,
    batch_size: int = 16,
    limit: int | None = None,
    device: torch.device | str = "cpu",
) -> list[Any]:
    """Convert a concept set to Captum's concepts, each with a loader of the images that show it.

    Args:
        concept_set: Spec or object, as for `open_concepts`.
        concepts: Names of concepts, in the order of the result; None: all that some image shows.
        preprocess: Preprocessing for the model; None: ImageNet's.
        batch_size: Images per batch.
        limit: Maximum number of images of each concept, from the first.
        device: Device of the batches.

    Returns:
        A list of `captum.concept.Concept`. Their ids are the concepts' numbers in the concept set.

    Raises:
        ConceptSetInvalid: A name that the concept set lacks, or that no image shows.
    """
    opened = open_concepts(concept_set)
    images_by_concept = _images_by_concept(opened)
    numbers = _concept_numbers(opened, images_by_concept, concepts)
    captum_concepts = []
    for number in numbers:
        images = images_by_concept[number][:limit]
        dataset = _ConceptImages(
            opened, images, preprocess or Preprocess(), torch.device(device)
        )
        # Captum names folders by it
        folder_name = opened.concepts[number].name.replace("/", "_")
        loader = DataLoader(dataset, batch_size)
        captum_concepts.append(captum.Concept(number, folder_name, loader))
    return captum_concepts


def _images_by_concept(concepts: ConceptSet) -> list[list[int]]:
    """List the images that show each concept, by the concept's number."""
    images: list[list[int]] = [[] for _ in concepts.concepts]
    for image in range(len(concepts)):
        with _unreadable_named(concepts, image, "annotation"), pixel_limit(None):
            annotation = read_annotation(concepts, image)
            numbers = distinct_concepts(annotation, len(images))
        for number in numbers:
            images[number].append(image)
    return images


@contextmanager
def _unreadable_named(
    concepts: ConceptSet, image: int, part: str
) -> Iterator[None]:
    """Name an image that cannot be read. Raises Unreadable for whatever its set raises."""
    try:
        yield
    except NDError:
        raise
    except Exception as error:  # a concept set may raise anything
        raise Unreadable(
            f"the {part} of {concepts.name(image)} cannot be read: {reason_of(error)}"
        ) from error


def _concept_numbers(
    concept_set: ConceptSet,
    images_by_concept: list[list[int]],
    names: Sequence[str] | None,
) -> list[int]:
    """Return the numbers of named concepts, or of all that some image shows."""
    shown = [number for number, images in enumerate(images_by_concept) if images]
    if names is None:
        return shown
    number_of: dict[str, int] = {}
    for number in shown:
        # of two categories with the name, the first that an image shows
        number_of.setdefault(concept_set.concepts[number].name, number)
    for name in names:
        if name not in number_of:
            candidates = nearest(name, list(number_of))
            hint = (
                f"; the nearest are {', '.join(candidates)}" if candidates else ""
            )
            raise ConceptSetInvalid(
                f"no image of {concept_set.identity.source} shows {name!r}{hint}"
            )
    return [number_of[name] for name in names]


class _ConceptImages(Dataset[Tensor]):
    """Preprocessed images that show one concept."""

    def __init__(
        self,
        concepts: ConceptSet,
        images: Sequence[int],
        preprocess: Preprocess,
        device: torch.device,
    ) -> None:
        self._concepts = concepts
        self._images = images
        self._preprocess = preprocess
        self._device = device
        self._grey_sample = GreySample(concepts)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Tensor:
        number = self._images[index]
        with _unreadable_named(self._concepts, number, "image"), pixel_limit(None):
            image = read_image(self._concepts, number)
            picture = convert_picture(image, self._grey_sample.choose_range)
        pixels = self._preprocess.resize(picture.rgb)
        return self._preprocess.normalise(pixels[None])[0].to(self._device)


@dataclass(frozen=True)
class CaptumConcepts:
    """Concept set of Captum's concepts: each image carries its concept on every pixel."""

    identity: Identity
    concepts: tuple[Concept, ...]
    images: tuple[Image.Image, ...]
    values: tuple[int, ...]  # (image,), 1 + the concept's number
    categories: tuple[str, ...] = (CATEGORY,)
    native_masks: bool = False
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    def name(self, index: int) -> str:
        """Return the concept and the image's number."""
        return f"{self.concepts[image_entry(self.values, index) - 1].name}/{index}"

    def files(self, index: int) -> tuple[()]:
        """Return no files: the fingerprint is of the images themselves."""
        return ()

    def image(self, index: int) -> Image.Image:
        """Return the image as it was before preprocessing."""
        return image_entry(self.images, index).copy()

    def annotation(self, index: int) -> Annotation:
        """Return the image's concept, as a label of the whole image."""
        image = image_entry(self.images, index)
        return Annotation(
            (), (image_entry(self.values, index),), (image.height, image.width)
        )


def concepts_from_captum(
    concepts: Sequence[Any], *, preprocess: Preprocess | None = None
) -> CaptumConcepts:
    """Convert Captum's concepts to a concept set with one category; their loaders are read once.

    Concepts of the same name get numbers behind it, and a note says so.

    Args:
        concepts: `captum.concept.Concept` objects; loaders yield (image, channel, row, column).
        preprocess: Preprocessing of these images, which is undone; None: ImageNet's.

    Raises:
        ConceptSetInvalid: No concept; one without a loader, or whose loader yields no images, or
            images with NaN or infinite values.
    """
    if not concepts:
        raise ConceptSetInvalid("no concepts were given: a concept set needs some")
    preprocess = preprocess or Preprocess()
    images: list[Image.Image] = []
    values = []
    for value, concept in enumerate(concepts, start=1):
        for tensor in _loaded_images(concept, preprocess.channels):
            pixels = preprocess.denormalise(tensor).permute(1, 2, 0).numpy()
            # Pillow takes grey images as (row, column)
            grey_or_rgb = pixels[:, :, 0] if preprocess.channels == 1 else pixels
            images.append(Image.fromarray(grey_or_rgb))
            values.append(value)
    names, notes = _distinct_names([str(concept.name) for concept in concepts])
    vocabulary = tuple(Concept(name, CATEGORY) for name in names)
    source = f"captum.concept: {', '.join(names)}"
    content = fingerprint(_contents(images, values))
    identity = Identity("captum", source, VERSION, content)
    return CaptumConcepts(
        identity, vocabulary, tuple(images), tuple(values), notes=notes
    )


def _contents(
    images: Sequence[Image.Image], values: Sequence[int]
) -> Iterator[bytes]:
    """Yield what a set consists of: the concept, size and pixels of each image."""
    for image, value in zip(images, values, strict=True):
        yield f"{value} {image.mode} {image.size}".encode() + image.tobytes()


def _distinct_names(names: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Return names that are all different, and a note on those that were changed."""
    distinct: list[str] = []
    changed = []
    for name in names:
        number = 1
        candidate = name
        while candidate in distinct or (number > 1 and candidate in names):
            number += 1
            candidate = f"{name}-{number}"
        if candidate != name:
            changed.append(candidate)
        distinct.append(candidate)
    if not changed:
        return distinct, ()
    listed = ", ".join(changed)
    return distinct, (f"concepts of the same name were numbered: {listed}",)


def _loaded_images(concept: Any, channels: int) -> list[Tensor]:
    """Read all images (channel, row, column) of a Captum concept."""
    if concept.data_iter is None:
        raise ConceptSetInvalid(
            f"concept {concept.name!r} has no data_iter to read images from"
        )
    images: list[Tensor] = []
    for loaded in concept.data_iter:
        batch = loaded[0] if isinstance(loaded, list | tuple) else loaded
        is_batch = isinstance(batch, Tensor) and batch.dim() == 4
        if not is_batch or batch.shape[1] != channels:
            shape = (
                tuple(batch.shape)
                if isinstance(batch, Tensor)
                else type(batch).__name__
            )
            raise ConceptSetInvalid(
                f"concept {concept.name!r} yields {shape}, not images "
                f"(image, {channels}, row, column), as the preprocessing has them"
            )
        if not bool(torch.isfinite(batch).all()):
            raise ConceptSetInvalid(
                f"concept {concept.name!r} yields images with NaN or infinite values"
            )
        images.extend(image.cpu() for image in batch)
    if not images:
        raise ConceptSetInvalid(
            f"concept {concept.name!r} has a data_iter that yields no images; a generator can be "
            "read only once: give a DataLoader"
        )
    return images
