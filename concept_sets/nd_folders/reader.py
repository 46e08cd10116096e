"""Reader of image folders, a folder for each class (torchvision's ``ImageFolder``).

::

    ROOT/CLASS/**/*.(jpg|png|…)
    ROOT/SPLIT/CLASS/**/*.(jpg|png|…)      SPLIT: train, val, test …
"""

from __future__ import annotations

from collections.abc import Collection

from nd_folders.layout import LAYOUT, SPLIT_CHOICES, find_images
from nd_plugin import (
    Annotation,
    ConceptSetInvalid,
    Identity,
    expanded_home,
    read_table,
)
from nd_plugin.reading import (
    LabelledFiles,
    LabelledImage,
    Vocabulary,
    existing_root,
    image_entry,
    set_text,
)

VERSION = "1"
CATEGORY = "scene"
DEFAULTS = {"category": CATEGORY, "splits": SPLIT_CHOICES[0]}


class Folders(LabelledFiles):
    """Images whose label is the name of their folder, on every pixel.

    ``category`` is that of all labels. ``names`` is a CSV file with the columns folder,name, for
    folders whose names are no words, as n01440764. ``splits`` says whether the first level of
    folders is splits; "auto": where all of them are named as such. Raises ConceptSetInvalid for a
    folder that is not in this layout.
    """

    def __init__(
        self,
        root: str,
        *,
        category: str = CATEGORY,
        names: str = "",
        splits: str = SPLIT_CHOICES[0],
    ) -> None:
        folder = existing_root(root, "folders:ROOT", LAYOUT)
        if not category.strip():
            raise ConceptSetInvalid(
                "folders: category= is empty; it may be texture"
            )
        class_images, notes = find_images(folder, splits)
        labels = sorted({image.label for image in class_images})
        names_of_folders = _read_names(names, labels) if names else {}
        unnamed = [label for label in labels if label not in names_of_folders]
        if names and unnamed:
            notes.append(
                f"{len(unnamed)} folders keep their names, which {names} does not list: for "
                f"example {unnamed[0]}"
            )
        vocabulary = Vocabulary()
        values = {
            label: vocabulary.add(names_of_folders.get(label, label), category)
            for label in labels
        }
        images = [
            LabelledImage(
                image.path, labels=(values[image.label],), split=image.split
            )
            for image in class_images
        ]
        options = {"category": category, "names": names, "splits": splits}
        source = set_text("folders", root, options, DEFAULTS)
        identity = Identity("folders", source, VERSION, "")
        super().__init__(
            folder,
            identity,
            vocabulary,
            images,
            tables=[expanded_home(names)] if names else (),
            notes=notes,
            follows_links=True,
        )

    def annotation(self, index: int) -> Annotation:
        """Return the image's label, on every pixel."""
        return Annotation((), image_entry(self.images, index).labels)


def _read_names(file: str, folders: Collection[str]) -> dict[str, str]:
    """Return the names of folders from a table. Raises ConceptSetInvalid for one of no folder."""
    path = expanded_home(file)
    names: dict[str, str] = {}
    for position, line in read_table(path, ("folder", "name")):
        if line["folder"] in names:
            raise ConceptSetInvalid(
                f"{position}: the folder {line['folder']!r} is there twice"
            )
        if not line["name"]:
            raise ConceptSetInvalid(
                f"{position}: the column 'name' is empty; fill it in or delete the line"
            )
        names[line["folder"]] = line["name"]
    if not set(names).intersection(folders):
        raise ConceptSetInvalid(
            f"{path} lists none of the folders, for example {min(folders)!r}; its lines are "
            "folder,name"
        )
    return names
