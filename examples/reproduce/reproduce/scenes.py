"""Drawn scenes held in memory: drawn once, trained on and dissected many times."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from nd_plugin import Annotation, Concept, ConceptSet, Identity, open_concepts
from nd_plugin.results.atomic_files import write_file
from reproduce.processes import results_of

PORTION = 50  # images that a process draws at a time
OBJECTS = 0  # plane of ``shapes`` with objects
COLORS = 5  # plane with colours


@dataclass(frozen=True, eq=False)
class DrawnScenes:
    """Scenes of ``shapes`` in memory: a concept set, and what the training tasks come from.

    It has the identity of the set it was drawn from: image and annotation are the same.
    """

    identity: Identity
    categories: tuple[str, ...]
    concepts: tuple[Concept, ...]
    names: tuple[str, ...]
    pixels: npt.NDArray[np.uint8]  # (image, row, column, RGB)
    planes: npt.NDArray[np.uint8]  # (image, plane, row, column) labels, 0: none
    scene_labels: npt.NDArray[np.uint8]  # (image,) 0: a close-up without scene

    native_masks = False

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.pixels)

    def name(self, index: int) -> str:
        """Return the kind of scene and the number."""
        return self.names[index]

    def image(self, index: int) -> Image.Image:
        """Return the picture, RGB."""
        return Image.fromarray(self.pixels[index])

    def annotation(self, index: int) -> Annotation:
        """Return the labels of each pixel, and the scene as a whole-image label."""
        planes = tuple(self.planes[index].astype(np.int32))
        scene = int(self.scene_labels[index])
        return Annotation(planes, (scene,) if scene else ())

    def names_of(self, category: str) -> dict[int, str]:
        """Return the names of a category's concepts by their labels."""
        return {
            label: concept.name
            for label, concept in enumerate(self.concepts, start=1)
            if concept.category == category
        }


def draw_scenes(
    images: int, size: int, seed: int, folder: Path, processes: int = 1
) -> DrawnScenes:
    """Draw scenes, or read them from ``folder`` where they were drawn before."""
    source = f"shapes?images={images}&size={size}&seed={seed}"
    concepts = open_concepts(source)
    file = folder / f"{concepts.identity.fingerprint}.npz"
    if not file.exists():
        write_file(file, _packed(_drawn(source, images, processes)))
    with np.load(file) as arrays:
        return DrawnScenes(
            concepts.identity,
            concepts.categories,
            concepts.concepts,
            tuple(concepts.name(index) for index in range(images)),
            arrays["pixels"],
            arrays["planes"],
            arrays["scene_labels"],
        )


def _packed(arrays: dict[str, npt.NDArray[np.uint8]]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def _drawn(
    source: str, images: int, processes: int
) -> dict[str, npt.NDArray[np.uint8]]:
    """Draw the images of a set in several processes."""
    calls = [
        (source, start, min(start + PORTION, images))
        for start in range(0, images, PORTION)
    ]
    portions = list(results_of(draw_portion, calls, processes))
    return {
        name: np.concatenate([portion[name] for portion in portions])
        for name in portions[0]
    }


def draw_portion(
    source: str, start: int, end: int
) -> dict[str, npt.NDArray[np.uint8]]:
    """Draw some images of a set, with their annotations."""
    concepts = open_concepts(source)
    annotations = [concepts.annotation(index) for index in range(start, end)]
    pixels = [_picture(concepts, index) for index in range(start, end)]
    scenes = [annotation.labels or (0,) for annotation in annotations]
    planes = [np.stack(annotation.planes) for annotation in annotations]
    return {
        "pixels": np.stack(pixels),
        "planes": np.stack(planes).astype(np.uint8),
        "scene_labels": np.array(scenes, np.uint8)[:, 0],
    }


def write_pictures(scenes: DrawnScenes, folder: Path) -> None:
    """Write the pictures that have a scene into a folder for each scene, as PNG files."""
    names = scenes.names_of("scene")
    for index, label in enumerate(scenes.scene_labels.tolist()):
        if label:
            own_folder = folder / names[label]
            own_folder.mkdir(parents=True, exist_ok=True)
            scenes.image(index).save(own_folder / f"{scenes.name(index)}.png")


def _picture(concepts: ConceptSet, index: int) -> npt.NDArray[Any]:
    return np.asarray(concepts.image(index))
