"""Sources of images: the data sets that a concept set has them from, as in the paper's table 1."""

from __future__ import annotations

from nd_plugin.concepts.colours.coloured_set import ColouredConcepts
from nd_plugin.concepts.combine.combined_set import CombinedConcepts, split_of
from nd_plugin.contracts.concept_sets import ConceptSet

# of layouts in which names begin above the images: COCO's and Cityscapes'
FOLDERS_OF_IMAGES = ("images", "leftImg8bit")
# folders of splits that data sets name in another way: ADE20K
SPLITS_OF_FOLDERS = {"training": "train", "validation": "val", "testing": "test"}
DIGITS = "0123456789"  # of the year behind a split's name: COCO's val2017


class ImageSources:
    """Namer of the sources of images; it remembers the concepts of the sets that it has seen."""

    def __init__(self) -> None:
        # by the id of their set, which may have no hash
        self._concept_names: dict[int, frozenset[str]] = {}

    def source_of(self, concepts: ConceptSet, image: int, category: str) -> str:
        """Return where an image's labels of a category are from.

        It is the first folder of the image's name, else the name of its set: Broden's images lie in
        folders of the sets that it joins (ade20k, pascal, opensurfaces, dtd). A folder of all
        images, of the image's split, or with the name of a concept of the set is no source. In a
        combination, both names are those of the part that has the category.
        """
        part, part_image = labelled_part(concepts, image, category)
        folder, slash, _ = part.name(part_image).partition("/")
        is_source = (
            slash
            and folder not in ("", *FOLDERS_OF_IMAGES)
            and not _is_split(folder, split_of(part, part_image))
            and folder not in self._names_of(part)
        )
        return folder if is_source else part.identity.name

    def _names_of(self, concepts: ConceptSet) -> frozenset[str]:
        """Return the names and synonyms of a set's concepts."""
        key = id(concepts)
        if key not in self._concept_names:
            names: set[str] = set()
            for concept in concepts.concepts:
                names.update((concept.name, *concept.synonyms))
            self._concept_names[key] = frozenset(names)
        return self._concept_names[key]


def labelled_part(
    concepts: ConceptSet, image: int, category: str
) -> tuple[ConceptSet, int]:
    """Return the set behind combinations that labels an image with a category, and its index there.

    Computed colours are of the image: of the first set that has it.
    """
    if isinstance(concepts, ColouredConcepts):
        return labelled_part(concepts.base, image, category)
    if not isinstance(concepts, CombinedConcepts):
        return concepts, image
    places = concepts.places(image)
    labelled = [place for place in places if category in place[0].categories]
    part, part_image = (labelled or places)[0]
    return labelled_part(part, part_image, category)


def _is_split(folder: str, split: str) -> bool:
    """Return whether a folder is that of a split, such as val, val2017 or validation."""
    name = folder.rstrip(DIGITS)
    return bool(split) and split in (folder, name, SPLITS_OF_FOLDERS.get(name))
