"""Samples of concepts: on how many images each one is, counted once and remembered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from nd_plugin.borders.json_values import parse_json
from nd_plugin.contracts.concept_sets import Annotation, ConceptSet
from nd_plugin.contracts.provenance import fingerprint
from nd_plugin.contracts.set_checks import read_annotation
from nd_plugin.errors import ConceptSetInvalid, NotSaved, PluginFailed
from nd_plugin.foreign_code import is_failure
from nd_plugin.pictures.pixel_limit import pixel_limit
from nd_plugin.probe_data.items import check_labels
from nd_plugin.storage.cache_folder import cache_folder

VERSION = "1"  # of what is remembered
# starting processes takes longer than to read the annotations of fewer images
FEWEST_FOR_WORKERS = 500
SECONDS_WITHOUT_PROGRESS = 2.0
LARGEST_COUNT = 2**40


@dataclass(frozen=True)
class SampleCounts:
    """Number of images that show each concept, (concept,)."""

    counts: tuple[int, ...]
    unreadable: tuple[str, ...] = ()  # images whose annotations could not be read

    @property
    def notes(self) -> list[str]:
        """Notes on images that were not counted."""
        if not self.unreadable:
            return []
        return [
            f"{len(self.unreadable)} annotations cannot be read and count for no concept's "
            f"number of samples, such as that of {self.unreadable[0]}"
        ]


def count_samples(concepts: ConceptSet, images: Sequence[int]) -> SampleCounts:
    """Count on how many of the images each concept is: in a pixel, or as a label of the image.

    Every annotation is read, at its own resolution. The counts are remembered in the user's cache
    as long as neither the set's fingerprint nor size and time of any file change; those of a set
    that does not name its files are counted each time. Raises what stops a run, too:
    ConceptSetInvalid and PluginFailed.
    """
    path = _path(concepts, images)
    remembered = _recall(path, len(concepts.concepts))
    if remembered is not None:
        return remembered
    samples = _count(concepts, images)
    if path is not None and not samples.unreadable:
        _remember(path, samples)
    return samples


def _count(concepts: ConceptSet, images: Sequence[int]) -> SampleCounts:
    from tqdm.auto import tqdm

    from nd_plugin.machine.forked_workers import map_in_order

    counts = np.zeros(len(concepts.concepts), np.int64)
    unreadable: list[str] = []
    shown_concepts = map_in_order(
        partial(_shown_concepts, concepts),
        images,
        _workers(len(images)),
        concepts.name,
    )
    # on a terminal only, and of a count that takes a while
    progress = tqdm(
        shown_concepts,
        "counting samples",
        len(images),
        leave=False,
        delay=SECONDS_WITHOUT_PROGRESS,
        disable=None,
    )
    for image, shown in zip(images, progress, strict=True):
        if shown is None:
            unreadable.append(concepts.name(image))
        else:
            counts[shown] += 1
    return SampleCounts(tuple(counts.tolist()), tuple(unreadable))


def _workers(images: int) -> int:
    """Return how many processes read annotations beside this one."""
    import torch

    from nd_plugin.probe_data.workers import default_workers

    if images < FEWEST_FOR_WORKERS:
        return 0
    return default_workers(torch.device("cpu"), 0)


def _shown_concepts(concepts: ConceptSet, image: int) -> list[int] | None:
    """Return the numbers of the concepts that an image shows; None for an unreadable annotation."""
    try:
        with pixel_limit(None):
            annotation = read_annotation(concepts, image)
            return distinct_concepts(annotation, len(concepts.concepts))
    except (ConceptSetInvalid, PluginFailed):
        raise
    except BaseException as error:  # a concept set may raise anything
        if not isinstance(error, Exception) or not is_failure(error):
            raise
        return None


def distinct_concepts(annotation: Annotation, concept_count: int) -> list[int]:
    """Return the numbers of an annotation's concepts, ascending.

    Raises ValueError for values outside the vocabulary.
    """
    values = [np.unique(plane) for plane in annotation.planes]
    values.append(np.array(annotation.labels, np.int64))
    distinct = np.unique(
        np.concatenate([value.astype(np.int64) for value in values])
    )
    check_labels(distinct, concept_count)
    numbers: list[int] = (distinct[distinct > 0] - 1).tolist()
    return numbers


def _path(concepts: ConceptSet, images: Sequence[int]) -> Path | None:
    """Return where the counts of these images are remembered; None where they cannot be."""
    files_of = getattr(concepts, "files", None)
    identity = concepts.identity
    if files_of is None or not identity.fingerprint:
        return None
    key = f"{VERSION} {identity.name} {identity.version} {identity.fingerprint}\n"
    chunks = [key.encode(errors="surrogateescape")]
    for image in images:
        states = [_state(path) for path in files_of(image)]
        chunks.append(f"{image} {' '.join(states)}\n".encode())
    return cache_folder() / "samples" / f"{fingerprint(chunks)}.json"


def _state(path: str | Path) -> str:
    """Return size and time of a file; "-" for one that cannot be looked at."""
    try:
        state = Path(path).stat()
    except (OSError, ValueError):
        return "-"
    return f"{state.st_size}:{state.st_mtime_ns}"


def _recall(path: Path | None, concept_count: int) -> SampleCounts | None:
    """Return remembered counts; None for none, and for what is damaged."""
    if path is None:
        return None
    try:
        counts = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    is_list = isinstance(counts, list) and len(counts) == concept_count
    if not is_list or not all(map(_is_count, counts)):
        return None
    return SampleCounts(tuple(counts))


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= LARGEST_COUNT


def _remember(path: Path, samples: SampleCounts) -> None:
    """Store counts; a cache that cannot be written does no harm."""
    from nd_plugin.results.atomic_files import write_file

    with suppress(NotSaved):
        write_file(path, json.dumps(list(samples.counts)).encode())
