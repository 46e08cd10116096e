"""Sources of a union: concept sets, the names of their images, and all of their labels."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath, PurePosixPath

from PIL import Image

from nd_plugin.concepts.broden_layout.tables import INDEX_COLUMNS
from nd_plugin.concepts.union.labels.label_names import (
    COLOR,
    LabelNames,
    normalise_category,
    normalise_concept,
)
from nd_plugin.contracts.concept_sets import Concept, ConceptSet
from nd_plugin.errors import BadInput, ConceptSetInvalid
from nd_plugin.results.folder_names import folder_of
from nd_plugin.storage.names import folded_name, unused_name

COLOR_SOURCE = "color names"  # of the labels that are computed from pixels
NO_LABEL = "-"  # Broden's name of 0
CATEGORY = re.compile(r"[^\W_][^\W_]*([ .&+-]+[^\W_]+)*")


@dataclass(frozen=True)
class Source:
    """Concept set as a part of a union."""

    name: str  # of its folder below images/
    concepts: ConceptSet
    first_image: int  # among the images of all sources
    first_label: int  # among the labels of all sources
    # "street/0001TP_006690": unique in any file system
    image_names: tuple[str, ...]


@dataclass(frozen=True)
class Label:
    """Label of a source as it takes part in the union."""

    source: str
    category: str
    original: str
    names: LabelNames

    @property
    def is_used(self) -> bool:
        """Whether the label has a name at all; others are "no label"."""
        return self.names.name not in ("", NO_LABEL)


@dataclass(frozen=True)
class Sources:
    """All sources of a union, and the names of colours that are computed from pixels."""

    sources: tuple[Source, ...]
    color_names: tuple[str, ...] = ()  # () where none are computed

    @cached_property
    def image_count(self) -> int:
        """Number of images of all sources."""
        return sum(len(source.image_names) for source in self.sources)

    @cached_property
    def labels(self) -> tuple[Label, ...]:
        """Labels of all sources, then the computed ones of colours."""
        labels = []
        for source in self.sources:
            labels += [
                self._label(source, concept) for concept in source.concepts.concepts
            ]
        for name in self.color_names:
            names = normalise_concept(Concept(name, COLOR))
            labels.append(Label(COLOR_SOURCE, COLOR, name, names))
        return tuple(labels)

    def _label(self, source: Source, concept: Concept) -> Label:
        category = normalise_category(concept.category)
        names = normalise_concept(concept)
        if category == COLOR and self.color_names:
            # computed for all images alike: a source's own would be a second opinion
            names = LabelNames("", ())
        return Label(source.name, category, concept.name, names)

    @property
    def first_color(self) -> int:
        """Index of the first computed colour among the labels."""
        return len(self.labels) - len(self.color_names)

    def locate(self, image: int) -> tuple[Source, int]:
        """Return the source of an image and its index there."""
        position = bisect_right(self._first_images, image) - 1
        source = self.sources[position]
        return source, image - source.first_image

    @cached_property
    def _first_images(self) -> list[int]:
        return [source.first_image for source in self.sources]

    def name(self, image: int) -> str:
        """Return the name of an image in the union, without an ending."""
        source, index = self.locate(image)
        return source.image_names[index]

    def notes(self) -> list[str]:
        """Return notes on labels that are left out by their kind, and on shared names."""
        return self._color_notes() + self._shared_name_notes()

    def _color_notes(self) -> list[str]:
        if not self.color_names:
            return []
        return [
            f"{source.name}: its own labels of category {COLOR} are replaced by computed ones"
            for source in self.sources
            if COLOR in map(normalise_category, source.concepts.categories)
        ]

    def _shared_name_notes(self) -> list[str]:
        """Return a note on images of several sources whose files are called the same."""
        sources_of_name: dict[str, dict[str, None]] = {}
        for source in self.sources:
            for name in map(_without_ending, _image_names(source.concepts)):
                file_name = name.rpartition("/")[2]
                sources_of_name.setdefault(file_name, {})[source.name] = None
        shared = {
            name: list(sources)
            for name, sources in sources_of_name.items()
            if len(sources) > 1
        }
        if not shared:
            return []
        name, sources = next(iter(shared.items()))
        return [
            f"{len(shared)} names of images are in several sources, for example {name!r} in "
            f"{' and '.join(sources)}: if they name the same pictures, the set has these once for "
            "each source, maybe in several splits; join sources of the same images by + into one"
        ]


def collect_sources(
    sets: Sequence[tuple[str, ConceptSet]], color_names: Sequence[str] = ()
) -> Sources:
    """Return concept sets as sources; each comes with a name, or "" for one of its own.

    Raises BadInput for two sources of one name, ConceptSetInvalid for a category whose name cannot
    be part of a table of Broden's layout.
    """
    if not sets:
        raise BadInput("no source is given; name the concept sets to be united")
    sources: list[Source] = []
    first_image = 0
    first_label = 0
    for name, concepts in sets:
        _check_categories(concepts)
        folder = _folder_name(name, concepts, [source.name for source in sources])
        images = tuple(
            f"{folder}/{stem}" for stem in unique_stems(_image_names(concepts))
        )
        sources.append(Source(folder, concepts, first_image, first_label, images))
        first_image += len(images)
        first_label += len(concepts.concepts)
    return Sources(tuple(sources), tuple(color_names))


def _image_names(concepts: ConceptSet) -> list[str]:
    return [concepts.name(index) for index in range(len(concepts))]


def _folder_name(name: str, concepts: ConceptSet, used: Sequence[str]) -> str:
    """Return the name of a source's folder, which no other has."""
    if name:
        if folded_name(name) in map(folded_name, used):
            raise BadInput(f"two sources are named {name!r}; rename one of them")
        return folder_of(name)
    identity = concepts.identity
    argument = identity.source.partition("?")[0].partition(":")[2]
    is_path = not set(argument) & set("(),[]+")
    own_name = PurePath(argument).name if is_path else ""
    return unused_name(folder_of(own_name or identity.name), used)


def unique_stems(names: Sequence[str]) -> list[str]:
    """Return names of images as file names on one level, without endings; each of them once.

    ``train/1.jpg`` becomes ``1``, as images are named in Broden; where another image of the source
    is called so, too, it becomes ``train_1``.
    """
    paths = [_without_ending(name) for name in names]
    file_names = [folder_of(path.rpartition("/")[2]) for path in paths]
    occurrences = Counter(map(folded_name, file_names))
    used: set[str] = set()
    numbers: dict[str, int] = {}  # the last that was added to a stem
    stems = []
    for path, file_name in zip(paths, file_names, strict=True):
        is_unique = occurrences[folded_name(file_name)] == 1
        stem = file_name if is_unique else folder_of(path.replace("/", "_"))
        unique_stem = stem
        while folded_name(unique_stem) in used:
            numbers[stem] = numbers.get(stem, 1) + 1
            unique_stem = f"{stem}-{numbers[stem]}"
        used.add(folded_name(unique_stem))
        stems.append(unique_stem)
    return stems


def _without_ending(name: str) -> str:
    """Return an image's name without the ending of a picture."""
    suffix = PurePosixPath(name).suffix
    is_picture = suffix.lower() in Image.registered_extensions()
    return (name.removesuffix(suffix) if is_picture else name).strip("/")


def _check_categories(concepts: ConceptSet) -> None:
    """Raise ConceptSetInvalid for names that columns and files of the layout cannot have."""
    for category in concepts.categories:
        name = normalise_category(category)
        is_number = name.isdecimal()
        if not CATEGORY.fullmatch(name) or name in INDEX_COLUMNS or is_number:
            raise ConceptSetInvalid(
                f"{concepts.identity.source} has the category {category!r}, which cannot be a "
                "column of index.csv and a part of file names; rename it, in letters and digits"
            )
