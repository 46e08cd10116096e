"""Reader of the Describable Textures Dataset, release 1.0.1 (Cimpoi et al., CVPR 2014).

::

    ROOT/images/banded/banded_0002.jpg …      47 textures
    ROOT/labels/labels_joint_anno.txt         banded/banded_0002.jpg banded lined …
    ROOT/labels/train1.txt val1.txt test1.txt banded/banded_0002.jpg …; ten partitions
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from nd_plugin import Annotation, BadInput, ConceptSetInvalid, Identity, list_files
from nd_plugin.reading import (
    LabelledFiles,
    LabelledImage,
    Vocabulary,
    check_layout,
    existing_root,
    image_entry,
    inner_root,
    read_lines,
    read_splits,
    set_text,
)

VERSION = "1"
LAYOUT = "dtd/ with images/CLASS/NAME.jpg and labels/train1.txt, …"
NEEDED = ("images", "labels")
CATEGORY = "texture"
SPLITS = ("train", "val", "test")
PARTITIONS = 10
JOINT = "labels_joint_anno.txt"
ENDINGS = (".jpg", ".jpeg", ".png")


class Textures(LabelledFiles):
    """Images of textures, each labelled as a whole: by its folder and by the joint annotations.

    ``partition`` is the number of the data set's own partition, 1 to 10, that splits are of. Raises
    ConceptSetInvalid for a folder that is not in this layout.
    """

    def __init__(self, root: str, *, partition: str = "1") -> None:
        folder = existing_root(root, "dtd:ROOT", LAYOUT)
        folder, notes = inner_root(folder, NEEDED, ["dtd"])
        check_layout(folder, NEEDED, LAYOUT)
        number = _partition(partition)
        labels = folder / "labels"
        lists = {split: labels / f"{split}{number}.txt" for split in SPLITS}
        tables = [labels / JOINT, *lists.values()]
        listing = list_files(folder / "images", ENDINGS)
        notes += listing.notes("images")
        textures = _textures(labels / JOINT, listing.paths, notes)
        splits, notes_on_splits = read_splits(lists, listing.paths)
        vocabulary = Vocabulary()
        names = sorted({name for names in textures.values() for name in names})
        values = {name: vocabulary.add(name, CATEGORY) for name in names}
        images = []
        for path in listing.paths:
            plane_values = tuple(values[name] for name in textures[path])
            split = splits.get(path, "")
            images.append(LabelledImage(path, (), plane_values, split))
        source = set_text(
            "dtd", root, {"partition": str(number)}, {"partition": "1"}
        )
        super().__init__(
            folder,
            Identity("dtd", source, VERSION, ""),
            vocabulary,
            images,
            image_folder=folder / "images",
            tables=[path for path in tables if path.exists()],
            notes=[*notes, *notes_on_splits],
            follows_links=True,
        )

    def annotation(self, index: int) -> Annotation:
        """Return the image's textures, which cover every pixel."""
        return Annotation((), image_entry(self.images, index).labels)


def _partition(text: str) -> int:
    if (
        not text.isascii()
        or not text.isdecimal()
        or not 1 <= int(text) <= PARTITIONS
    ):
        raise BadInput(
            f"dtd: partition={text[:40]} is none of the data set's partitions, 1 to {PARTITIONS}"
        )
    return int(text)


def _textures(
    path: Path, images: Collection[str], notes: list[str]
) -> dict[str, tuple[str, ...]]:
    """Return the textures of each image: that of its folder first, then the joint annotations."""
    textures: dict[str, tuple[str, ...]] = {}
    for image in images:
        folder = image.rpartition("/")[0]
        if not folder:
            raise ConceptSetInvalid(
                f"the image {image} in {path.parent.parent / 'images'} is in no folder; its "
                f"folder names its texture: expected {LAYOUT}"
            )
        textures[image] = (folder.replace("/", "-"),)
    if not path.exists():
        notes.append(f"no {JOINT}: images have the texture of their folder alone")
        return textures
    unknown_images = []
    for _, line in read_lines(path):
        image, *names = line.split()
        if image in textures:
            textures[image] = tuple(dict.fromkeys((*textures[image], *names)))
        else:
            unknown_images.append(image)
    if unknown_images:
        notes.append(
            f"{len(unknown_images)} images of {JOINT} are not in images/, for example "
            f"{unknown_images[0]}"
        )
    return textures
