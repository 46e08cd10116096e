"""Concept sets that are wrong in one thing each, as authors may write them, beside a right one."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nd_plugin import Annotation, Concept, ConceptSetInvalid, Identity, fingerprint

IMAGES = 4
LEFT, RIGHT, NIGHT = 1, 2, 3


class RightSet:
    """Set of a folder: ``N.png`` and, in the file's text, nothing; labels are left and right."""

    native_masks: Any = False
    categories: Any = ("object", "scene")
    concepts: Any = (
        Concept("left", "object"),
        Concept("right", "object"),
        Concept("night", "scene"),
    )
    notes: Any = ()

    def __init__(self, folder: str, *, flipped: str = "no") -> None:
        self.check(folder)
        self.folder = Path(folder)
        self.flipped = flipped == "yes"
        self.opened()

    def check(self, folder: str) -> None:
        if not Path(folder).is_dir():
            raise ConceptSetInvalid(f"there is no folder {folder}")

    def opened(self) -> None:
        """Do what a subclass does beside."""

    @property
    def identity(self) -> Identity:
        return Identity("halves", str(self.folder), "1", self.content())

    def content(self) -> Any:
        return fingerprint([f"{IMAGES} {self.flipped}".encode()])

    def __len__(self) -> int:
        return IMAGES

    def number(self, index: int) -> int:
        if not 0 <= index < IMAGES:
            raise IndexError(index)
        return index

    def name(self, index: int) -> str:
        return f"halves/{self.number(index)}"

    def split(self, index: int) -> Any:
        return "val" if self.number(index) else "train"

    def path(self, index: int) -> Path:
        return self.folder / f"{self.number(index)}.png"

    def mask_path(self, index: int) -> Path:
        return self.folder / f"{self.number(index)}_mask.png"

    def files(self, index: int) -> Any:
        return [self.path(index), self.mask_path(index)]

    def image(self, index: int) -> Any:
        with Image.open(self.path(index)) as picture:
            picture.load()
        return (
            picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            if self.flipped
            else picture
        )

    def plane(self, index: int) -> Any:
        with Image.open(self.mask_path(index)) as picture:
            values = np.array(picture, np.int32)
        return values[:, ::-1].copy() if self.flipped else values

    def annotation(self, index: int) -> Any:
        return Annotation([self.plane(index)], self.labels(index))

    def labels(self, index: int) -> Any:
        return (NIGHT,) if index == 0 else ()


def write_halves(folder: Path) -> str:
    """Write four images of 8 x 12 pixels with masks, and return the folder's name."""
    for number in range(IMAGES):
        pixels = np.random.default_rng(number).integers(
            1, 256, (8, 12, 3), np.uint8
        )
        Image.fromarray(pixels).save(folder / f"{number}.png")
        mask = np.full((8, 12), LEFT, np.uint8)
        mask[:, 6:] = RIGHT
        mask[0] = 0
        Image.fromarray(mask).save(folder / f"{number}_mask.png")
    return str(folder)


@dataclass(frozen=True)
class WrongSet:
    """Row of the table: what is wrong, and which check has to say so."""

    name: str
    fault: str
    check: str
    make: Callable[..., Any]
    # checks that cannot hold either, as they look at the same thing
    follows: tuple[str, ...] = ()


def wrong(**members: Any) -> Callable[..., Any]:
    """Return a class of sets with members replaced, which pickle finds in this module."""
    name = f"Wrong{next(NUMBERS)}"
    globals()[name] = type(name, (RightSet,), members)
    made: Callable[..., Any] = globals()[name]
    return made


NUMBERS = count()


# ---- members of wrong sets ----------------------------------------------------------------------


def plane_of(change: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return a method ``plane`` that changes the right plane."""

    def plane(self: Any, index: int) -> Any:
        return change(RightSet.plane(self, index))

    return plane


def void_as_minus_one(plane: Any) -> Any:
    return np.where(plane == 0, -1, plane)


def void_as_255(plane: Any) -> Any:
    return np.where(plane == 0, 255, plane).astype(np.uint8)


def one_category_twice(self: Any) -> Iterator[str]:
    return (name for name in ("object", "scene"))


def annotation_with(**changes: Any) -> Callable[..., Any]:
    def annotation(self: Any, index: int) -> Annotation:
        return replace(RightSet.annotation(self, index), **changes)

    return annotation


def as_dictionary(self: Any, index: int) -> dict[str, Any]:
    return {"planes": [self.plane(index)], "labels": ()}


def as_array(self: Any, index: int) -> Any:
    return np.asarray(RightSet.image(self, index))


def random_crop(self: Any, index: int) -> Image.Image:
    image = RightSet.image(self, index)
    column = int(CROPS.integers(0, 4))
    cropped: Image.Image = image.crop((column, 0, column + 8, 8))
    return cropped.resize((12, 8))


CROPS = np.random.default_rng(0)


def random_labels(self: Any, index: int) -> Any:
    return (
        (1 + int(CROPS.integers(0, 1000)) % 3,) if index else (NIGHT, LEFT, RIGHT)
    )


def one_image_for_all(self: Any, index: int) -> Image.Image:
    if "kept" not in self.__dict__:
        self.kept = RightSet.image(self, index)
    self.number(index)
    return self.kept.copy()  # type: ignore[no-any-return]


def shared_image(self: Any, index: int) -> Image.Image:
    return IMAGES_OF_ALL.setdefault(self.number(index), RightSet.image(self, index))


IMAGES_OF_ALL: dict[int, Image.Image] = {}


def shared_planes(self: Any, index: int) -> Any:
    return PLANES_OF_ALL.setdefault(self.number(index), RightSet.plane(self, index))


PLANES_OF_ALL: dict[int, Any] = {}


def plane_in_a_buffer(self: Any, index: int) -> Any:
    BUFFER[:] = RightSet.plane(self, index)
    BUFFER[1, 0] = index % 2
    return BUFFER


BUFFER = np.zeros((8, 12), np.int32)


def kept_lambda(self: Any) -> None:
    self.translate = lambda value: value


def kept_file(self: Any) -> None:
    self.file = (self.folder / "0.png").open("rb")
    HANDLES.append(self.file)


HANDLES: list[io.BufferedReader] = []


def unclosed_image(self: Any, index: int) -> Image.Image:
    file = self.path(index).open("rb")
    HANDLES.append(file)
    picture = Image.open(file)
    picture.load()
    return picture


def images_kept(self: Any, index: int) -> Image.Image:
    decoded = self.__dict__.setdefault("decoded", {})
    if index not in decoded:
        decoded[index] = RightSet.image(self, index)
    return decoded[index].copy()  # type: ignore[no-any-return]


def number_as_lists_have_it(self: Any, index: int) -> int:
    return range(IMAGES)[index]


def number_as_dictionaries_have_it(self: Any, index: int) -> int:
    return {number: number for number in range(IMAGES)}[index]


def mask_missing(self: Any, index: int) -> list[Path]:
    return [self.path(index)]


def old_folder(self: Any, index: int) -> list[Path]:
    return [self.path(index), Path("/no/such/folder") / f"{index}_mask.png"]


def image_and_size(self: Any, index: int) -> Image.Image:
    image: Image.Image = RightSet.image(self, index)
    self.image_size = image.size
    return image


def plane_of_last_image(self: Any, index: int) -> Any:
    columns, rows = self.image_size
    return RightSet.plane(self, index)[:rows, :columns]


def no_limit_of_pillow(self: Any) -> None:
    Image.MAX_IMAGE_PIXELS = None


def image_with_a_seed(self: Any, index: int) -> Image.Image:
    np.random.seed(self.number(index))
    image: Image.Image = RightSet.image(self, index)
    return image


def file_error(self: Any, folder: str) -> None:
    if not Path(folder).is_dir():
        raise FileNotFoundError(folder)


class AnyOptions(RightSet):
    def __init__(self, folder: str, **options: str) -> None:
        super().__init__(folder, flipped=options.get("flipped", "no"))


WRONG_SETS = (
    WrongSet(
        "empty", "the set has no images", "opens", wrong(__len__=lambda self: 0)
    ),
    WrongSet(
        "no-version",
        "version is empty",
        "identity",
        wrong(identity=property(lambda self: Identity("halves", "here", "", ""))),
    ),
    WrongSet(
        "fingerprint-none",
        "the fingerprint is None",
        "identity",
        wrong(content=lambda self: None),
    ),
    WrongSet(
        "names-as-concepts",
        "concepts are texts",
        "concepts",
        wrong(concepts=("left", "right", "night")),
        follows=("categories",),
    ),
    WrongSet(
        "concept-twice",
        "a concept is in the vocabulary twice",
        "concepts",
        wrong(concepts=(*RightSet.concepts, RightSet.concepts[0])),
    ),
    WrongSet(
        "categories-as-list",
        "categories is a list",
        "categories",
        wrong(categories=["object", "scene"]),
    ),
    WrongSet(
        "categories-as-generator",
        "categories can be read once",
        "categories",
        wrong(categories=property(one_category_twice)),
        follows=("second-opening", "pickles"),
    ),
    WrongSet(
        "empty-category",
        "a category has no concept",
        "categories",
        wrong(categories=("object", "scene", "part")),
    ),
    WrongSet(
        "native-masks-as-number",
        "native_masks is 0",
        "native-masks",
        wrong(native_masks=0),
    ),
    WrongSet("note-as-text", "notes is one text", "notes", wrong(notes="a note")),
    WrongSet(
        "names-twice",
        "names are those of files in several folders",
        "names",
        wrong(name=lambda self, index: f"{self.number(index) // 2}.png"),
    ),
    WrongSet(
        "absolute-names",
        "names are absolute paths",
        "names",
        wrong(name=lambda self, index: str(self.path(index))),
    ),
    WrongSet(
        "images-as-arrays",
        "images are NumPy arrays",
        "images",
        wrong(image=as_array),
    ),
    WrongSet(
        "random-crop",
        "images are cropped at random",
        "image-repeats",
        wrong(image=random_crop),
    ),
    WrongSet(
        "shared-images",
        "an image that is kept is given to every caller",
        "own-images",
        wrong(image=shared_image),
        follows=(
            "second-opening",
            "pickles",
        ),
    ),
    WrongSet(
        "unclosed-files",
        "files of images stay open",
        "files-closed",
        wrong(image=unclosed_image),
    ),
    WrongSet(
        "annotation-as-dictionary",
        "annotations are dictionaries",
        "annotations",
        wrong(annotation=as_dictionary),
        follows=("something-labelled",),
    ),
    WrongSet(
        "remarks-as-list",
        "remarks are a list",
        "annotations",
        wrong(annotation=annotation_with(remarks=["dark"])),
    ),
    WrongSet(
        "planes-of-bool",
        "planes are of type bool",
        "planes",
        wrong(plane=plane_of(lambda plane: plane > 0)),
    ),
    WrongSet(
        "planes-of-floats",
        "planes are floats (torchvision's ToTensor)",
        "planes",
        wrong(plane=plane_of(lambda plane: plane / 255)),
    ),
    WrongSet(
        "planes-with-channels",
        "planes are (channel, row, column)",
        "planes",
        wrong(plane=plane_of(lambda plane: plane[None])),
    ),
    WrongSet(
        "planes-as-lists",
        "planes are lists of lists",
        "planes",
        wrong(plane=plane_of(lambda plane: plane.tolist())),
    ),
    WrongSet(
        "planes-transposed",
        "planes are (column, row)",
        "plane-aspect",
        wrong(plane=plane_of(lambda plane: plane.T.copy())),
    ),
    WrongSet(
        "values-one-too-large",
        "values are 2 + the index of a concept",
        "plane-values",
        wrong(plane=plane_of(lambda plane: plane + 2)),
    ),
    WrongSet(
        "void-as-minus-one",
        "no label is -1",
        "plane-values",
        wrong(plane=plane_of(void_as_minus_one)),
    ),
    WrongSet(
        "void-as-255",
        "no label is 255",
        "plane-values",
        wrong(plane=plane_of(void_as_255)),
    ),
    WrongSet(
        "label-zero",
        "labels count concepts from 0",
        "labels",
        wrong(labels=lambda self, index: (0,)),
    ),
    WrongSet(
        "labels-as-list",
        "labels is a list",
        "labels",
        wrong(labels=lambda self, index: [NIGHT]),
    ),
    WrongSet(
        "labels-of-numpy",
        "labels are NumPy numbers",
        "labels",
        wrong(labels=lambda self, index: tuple(np.array([NIGHT]))),
    ),
    WrongSet(
        "label-twice",
        "a label of the whole image is there twice",
        "labels",
        wrong(labels=lambda self, index: (NIGHT, NIGHT)),
    ),
    WrongSet(
        "nothing-labelled",
        "concepts start at 0, and the only one is no label",
        "something-labelled",
        wrong(
            plane=plane_of(lambda plane: plane * 0), labels=lambda self, index: ()
        ),
    ),
    WrongSet(
        "random-labels",
        "labels are drawn at random",
        "annotation-repeats",
        wrong(labels=random_labels),
    ),
    WrongSet(
        "shared-planes",
        "planes that are kept are given to every caller",
        "own-planes",
        wrong(plane=shared_planes),
        follows=(
            "second-opening",
            "pickles",
        ),
    ),
    WrongSet(
        "planes-in-a-buffer",
        "planes lie in a buffer that the next call overwrites",
        "own-planes",
        wrong(plane=plane_in_a_buffer),
    ),
    WrongSet(
        "first-image-for-all",
        "the first image that was read is given for all",
        "second-opening",
        wrong(image=one_image_for_all),
    ),
    WrongSet(
        "image-before-annotation",
        "annotation() needs that image() was called before",
        "second-opening",
        wrong(image=image_and_size, plane=plane_of_last_image),
    ),
    WrongSet(
        "lambda",
        "the set keeps a lambda",
        "pickles",
        wrong(opened=kept_lambda),
    ),
    WrongSet(
        "open-file",
        "the set keeps an open file",
        "pickles",
        wrong(opened=kept_file),
    ),
    WrongSet(
        "images-kept",
        "all images that were read are kept in the set",
        "does-not-grow",
        wrong(image=images_kept),
    ),
    WrongSet(
        "mask-not-listed",
        "files() leaves out the mask",
        "files",
        wrong(files=mask_missing),
    ),
    WrongSet(
        "files-elsewhere",
        "files() names files of the author's machine",
        "files",
        wrong(files=old_folder),
    ),
    WrongSet(
        "no-split",
        "split() gives None",
        "splits",
        wrong(split=lambda self, index: None),
    ),
    WrongSet(
        "no-pixel-limit",
        "opening lifts Pillow's limit of pixels",
        "process-as-found",
        wrong(opened=no_limit_of_pillow),
    ),
    WrongSet(
        "seed",
        "image() seeds NumPy's random numbers",
        "process-as-found",
        wrong(image=image_with_a_seed),
    ),
    WrongSet(
        "negative-index",
        "-1 is the last image",
        "index-errors",
        wrong(number=number_as_lists_have_it),
    ),
    WrongSet(
        "key-error",
        "an image that there is not is a KeyError",
        "index-errors",
        wrong(number=number_as_dictionaries_have_it),
    ),
    WrongSet(
        "file-error",
        "a folder that does not exist is a FileNotFoundError",
        "unknown-argument",
        wrong(check=file_error),
    ),
    WrongSet(
        "any-options",
        "options that do not exist are swallowed",
        "unknown-option",
        AnyOptions,
    ),
    WrongSet(
        "one-fingerprint",
        "the fingerprint is the same for all options",
        "fingerprint",
        wrong(
            content=lambda self: "0123456789abcdef", files=lambda self, index: ()
        ),
        follows=("files",),
    ),
)
