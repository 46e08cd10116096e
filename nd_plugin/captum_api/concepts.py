"""Concept sets to and from `captum.concept.Concept`, for TCAV and for dissecting with what TCAV was given."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from captum import concept as captum
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from nd_plugin.contracts.concept_sets import Annotation, Concept, ConceptSet
from nd_plugin.contracts.provenance import Identity
from nd_plugin.errors import ConceptSetInvalid, nearest
from nd_plugin.plugins.opening import open_concepts
from nd_plugin.preprocess import Preprocess

CATEGORY = "concept"  # of what comes from Captum, where concepts have no categories


def concepts_to_captum(
    concept_set: str | ConceptSet,
    concepts: Sequence[str] | None = None,
    *,
    preprocess: Preprocess | None = None,
    batch_size: int = 16,
    limit: int | None = None,
    device: torch.device | str = "cpu",
) -> list[Any]:
    """A concept set as Captum's concepts, each with a loader of the images that show it, as the model takes them.

    Args:
        concept_set: What `open_concepts` takes.
        concepts: Names of those wanted, in that order; None: all that some image shows.
        preprocess: How images are brought to the model; None: ImageNet's.
        batch_size: Images at a time.
        limit: At most so many images of each concept, the first.
        device: Where the batches go.

    Returns:
        A list of `captum.concept.Concept`. Their ids are the concepts' numbers in the concept set.

    Raises:
        ConceptSetInvalid: A name that the set has not, or that no image shows.
    """
    opened = open_concepts(concept_set)
    shown = _images_of(opened)
    known = [concept.name for concept in opened.concepts]
    for name in concepts or ():
        if name not in known or not shown[known.index(name)]:
            close = ", ".join(nearest(name, [known[number] for number in shown if shown[number]]))
            raise ConceptSetInvalid(
                f"no image of {opened.identity.source} shows {name!r}; the nearest are {close}"
            )
    numbers = (
        [known.index(name) for name in concepts]
        if concepts is not None
        else [n for n in shown if shown[n]]
    )
    how = preprocess or Preprocess()
    return [
        captum.Concept(
            number,
            known[number].replace("/", "_"),  # Captum makes a folder's name of it
            DataLoader(
                _Shown(opened, shown[number][:limit], how, torch.device(device)), batch_size
            ),
        )
        for number in numbers
    ]


def _images_of(concepts: ConceptSet) -> dict[int, list[int]]:
    """For each concept, by its number, the images that show it."""
    shown: dict[int, list[int]] = {number: [] for number in range(len(concepts.concepts))}
    for image in range(len(concepts)):
        annotation = concepts.annotation(image)
        values = [np.unique(plane) for plane in annotation.planes] + [
            np.array(annotation.labels, dtype=np.int64)
        ]
        for value in np.unique(np.concatenate(values)).tolist():
            if value > 0:
                shown[int(value) - 1].append(image)
    return shown


class _Shown(Dataset[Tensor]):
    """The preprocessed images that show one concept."""

    def __init__(
        self, concepts: ConceptSet, images: Sequence[int], how: Preprocess, device: torch.device
    ) -> None:
        self._concepts, self._images, self._how, self._device = concepts, images, how, device

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, place: int) -> Tensor:
        pixels = self._how.resize(self._concepts.image(self._images[place]))
        return self._how.normalise(pixels[None])[0].to(self._device)


@dataclass(frozen=True)
class CaptumConcepts:
    """Captum's concepts as a concept set: each image carries its concept on every pixel."""

    identity: Identity
    concepts: tuple[Concept, ...]
    images: tuple[Image.Image, ...]
    values: tuple[int, ...]  # (image,), 1 + the concept's place
    categories: tuple[str, ...] = (CATEGORY,)
    native_masks: bool = False

    def __len__(self) -> int:
        return len(self.images)

    def name(self, index: int) -> str:
        """The concept and the image's number."""
        return f"{self.concepts[self.values[index] - 1].name}/{index}"

    def image(self, index: int) -> Image.Image:
        """The image, as it was before it was prepared for a model."""
        return self.images[index]

    def annotation(self, index: int) -> Annotation:
        """Its concept, as a label of the whole image."""
        size = self.images[index].height, self.images[index].width
        return Annotation((), (self.values[index],), size)


def concepts_from_captum(
    concepts: Sequence[Any], *, preprocess: Preprocess | None = None
) -> CaptumConcepts:
    """Captum's concepts as a concept set to dissect with; all go into one category, and their loaders are read once.

    Args:
        concepts: `captum.concept.Concept` objects whose loaders give batches of images (image, 3, row, column).
        preprocess: How these were prepared, which is undone; None: ImageNet's.

    Raises:
        ConceptSetInvalid: A concept without a loader, or whose loader gives something else than images.
    """
    how = preprocess or Preprocess()
    read = [(place, image) for place, one in enumerate(concepts) for image in _read(one)]
    images = tuple(
        Image.fromarray(how.denormalise(image).permute(1, 2, 0).numpy()) for _, image in read
    )
    digest = hashlib.sha256(b"".join(image.tobytes() for image in images)).hexdigest()[:16]
    names = tuple(Concept(str(one.name), CATEGORY) for one in concepts)
    source = f"captum.concept: {', '.join(concept.name for concept in names)}"
    return CaptumConcepts(
        Identity("captum", source, "1", digest),
        names,
        images,
        tuple(place + 1 for place, _ in read),
    )


def _read(concept: Any) -> list[Tensor]:
    if concept.data_iter is None:
        raise ConceptSetInvalid(
            f"the concept {concept.name!r} has no data_iter to read images from"
        )
    batches = [
        batch[0] if isinstance(batch, list | tuple) else batch for batch in concept.data_iter
    ]
    strange = [
        batch
        for batch in batches
        if not isinstance(batch, Tensor) or batch.dim() != 4 or batch.shape[1] != 3
    ]
    if strange:
        shape = (
            tuple(strange[0].shape) if isinstance(strange[0], Tensor) else type(strange[0]).__name__
        )
        raise ConceptSetInvalid(
            f"the concept {concept.name!r} gives {shape}, not images (image, 3, row, column)"
        )
    return [image.cpu() for batch in batches for image in batch]
