"""Reader of Pascal VOC's segmentation (Everingham et al., IJCV 2010).

::

    VOCdevkit/VOC2012/JPEGImages/2007_000032.jpg
    VOCdevkit/VOC2012/SegmentationClass/2007_000032.png   palette: 1 to 20, 255 void
    VOCdevkit/VOC2012/ImageSets/Segmentation/train.txt    a name a line, without an ending
    VOCdevkit/VOC2012/SegmentationClassAug/, ImageSets/Segmentation/trainaug.txt    of others
"""

from __future__ import annotations

from pathlib import Path

from nd_pascal.classes import CLASSES, add_object
from nd_pascal.folders import (
    IMAGES,
    VOC_LAYOUT,
    annotated_images,
    find_voc,
    split_lists,
)
from nd_plugin import Annotation, Identity, check_mask_format, check_relative
from nd_plugin.reading import (
    LabelledFiles,
    ValueTable,
    Vocabulary,
    existing_root,
    image_entry,
    set_text,
    unlisted_remarks,
)

VERSION = "1"
MASKS = "SegmentationClass"
AUGMENTED = "trainaug.txt"  # images to train on that have masks of SBD (Hariharan et al., 2011)
VOID = 255  # outlines, and what is hard to tell


class Segmentation(LabelledFiles):
    """Images with masks of twenty classes of objects.

    ``year`` chooses a folder VOCyyyy where there are several; ``masks`` names another folder of
    masks with the same values, such as SegmentationClassAug, whose images to train on are those of
    trainaug.txt where it is there. Raises ConceptSetInvalid for a folder that is not in this
    layout.
    """

    def __init__(self, root: str, *, year: str = "", masks: str = MASKS) -> None:
        folder = existing_root(root, "voc:ROOT", VOC_LAYOUT)
        check_relative(masks, folder, f"voc: masks={masks}")
        folder, notes = find_voc(folder, (IMAGES, masks), year)
        vocabulary = Vocabulary()
        values = {
            number: add_object(vocabulary, name)
            for number, name in enumerate(CLASSES, start=1)
        }
        self._table = ValueTable.of(values)
        lists, notes_on_lists = _lists(folder / "ImageSets" / "Segmentation", masks)
        masked = annotated_images(folder, masks, ".png", folder / IMAGES, lists)
        options = {"year": year, "masks": masks}
        source = set_text("voc", root, options, {"masks": MASKS})
        super().__init__(
            folder,
            Identity("voc", source, VERSION, ""),
            vocabulary,
            masked.images,
            image_folder=folder / IMAGES,
            tables=masked.tables,
            notes=[*notes, *notes_on_lists, *masked.notes],
            follows_links=True,
        )
        path = self.images[0].label_files[0]
        check_mask_format(self.label_files.path(path), f"the mask {path}")

    def annotation(self, index: int) -> Annotation:
        """Return a plane of objects.

        Raises ValueError for a mask that is unreadable, in colour or of another aspect.
        """
        path = image_entry(self.images, index).label_files[0]
        pixels = self.mask(path, self.size(index), ("P", "L"))
        plane, unlisted = self._table.plane(pixels)
        where = f"masks of {path.rpartition('/')[0]}/"
        remarks = unlisted_remarks(unlisted - {VOID}, where, "Pascal VOC")
        return Annotation([plane], remarks=remarks)


def _lists(folder: Path, masks: str) -> tuple[dict[str, Path], list[str]]:
    """Return the lists of splits, and a note where other ``masks`` have a training list."""
    lists = split_lists(folder)
    augmented = folder / AUGMENTED
    if masks == MASKS or not augmented.is_file():
        return lists, []
    note = f"the split train is of {AUGMENTED}, as masks are those of {masks}"
    return {**lists, "train": augmented}, [note]
