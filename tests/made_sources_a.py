"""Small samples of ADE20K, Pascal's annotations, OpenSurfaces and DTD in their true layouts.

Each function writes one data set below a folder, with the names of files and the conventions of
the real one, and returns the text that opens it. ``SIZE`` is (rows, columns).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import png_writer
from PIL import Image
from scipy.io import savemat

SIZE = (24, 32)
VOID = 255
Pixels = npt.NDArray[Any]


def save_photo(path: Path, seed: int = 0, size: tuple[int, int] = SIZE) -> None:
    """Save a JPEG of colours that depend on its place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    blocks = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), np.uint8)
    picture = Image.fromarray(blocks).resize(size[::-1], Image.Resampling.NEAREST)
    picture.save(path, "JPEG", quality=95)


def halves(left: int, right: int, size: tuple[int, int] = SIZE) -> Pixels:
    """Return a mask whose left half has one value, and the right half another."""
    mask = np.full(size, right, np.int64)
    mask[:, : size[1] // 2] = left
    return mask


def save_grey(path: Path, values: Pixels) -> None:
    png_writer.save_png(path, values, 8)


def save_palette(path: Path, values: Pixels) -> None:
    png_writer.save_png(path, values, 8, png_writer.PALETTE)


def save_colours(path: Path, channels: Sequence[Pixels]) -> None:
    png_writer.save_png(path, np.stack(channels, 2), 8, png_writer.RGB)


def write_lines(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def write_dtd(root: Path) -> str:
    """Write three textures of the Describable Textures Dataset, r1.0.1, below dtd/."""
    dtd = root / "dtd"
    names = [
        f"{texture}/{texture}_{number:04d}.jpg"
        for texture in ("banded", "dotted", "zigzagged")
        for number in (2, 5)
    ]
    for seed, name in enumerate(names):
        save_photo(dtd / "images" / name, seed)
    # comes with the real archive
    (dtd / "images" / "zigzagged" / ".directory").write_text("[Dolphin]\n")
    joint = [
        "banded lined ",
        "banded ",
        "dotted ",
        "dotted ",
        "zigzagged banded ",
        "",
    ]
    write_lines(
        dtd / "labels" / "labels_joint_anno.txt",
        [f"{name} {text}" for name, text in zip(names, joint, strict=True)],
    )
    for partition in (1, 2):
        ordered = names if partition == 1 else names[::-1]
        for number, split in enumerate(("train", "val", "test")):
            listed = ordered[2 * number : 2 * number + 2]
            write_lines(dtd / "labels" / f"{split}{partition}.txt", listed)
    return f"dtd:{dtd}"


MATERIALS = {"Carpet/rug": 3, "Glass": 14, "Granite": 15, "Granite/marble": 16}
MATERIALS["Plastic - clear"] = 28
SURFACES = {"Wall": 215, "Window": 220}


def write_opensurfaces(root: Path) -> str:
    """Write four photos of OpenSurfaces, release 0, as the release's script renders them."""
    folder = root / "opensurfaces"
    rows = [
        "photo_id,scene_category_name,scene_category_score,whitebalanced",
        "122,kitchen,1.5,True",
        "123,living room,1.2,False",
        "450,,,",
        "451,~unlabeled,,",
        "460,kitchen,0.9,True",  # its photo is gone from Flickr
    ]
    write_lines(folder / "photos.csv", rows)
    materials = [
        f"{7 * number},{name},{number}" for name, number in MATERIALS.items()
    ]
    write_lines(
        folder / "label-substance-colors.csv",
        ["substance_id,substance_name,red_color", *materials],
    )
    surfaces = [
        f"{number + 3},{name},{number}" for name, number in SURFACES.items()
    ]
    write_lines(
        folder / "label-name-colors.csv",
        ["name_id,name_name,green_color", *surfaces],
    )
    write_lines(
        folder / "label-scene-colors.csv",
        [
            "scene_category_id,scene_category_name,blue_color",
            "4,kitchen,5",
            "2,living room,6",
        ],
    )
    masks = {
        122: (halves(14, 16), halves(220, 215), halves(5, 5)),
        123: (halves(3, 0), halves(0, 215), halves(6, 6)),
        450: (halves(0, 0), halves(0, 0), halves(0, 0)),
    }
    for photo, channels in masks.items():
        save_photo(folder / "photos" / f"{photo}.jpg", photo, (48, 64))
        save_colours(folder / "photos-labels" / f"{photo}.png", channels)
    save_photo(folder / "photos" / "451.jpg", 451)
    return f"opensurfaces:{folder}"


VOC_NAMES = ("2007_000032", "2007_000039", "2007_000063", "2008_000008")


def write_voc(root: Path, year: int = 2012) -> str:
    """Write four images of Pascal VOC, three of them with masks: the kit's layout."""
    folder = root / "VOCdevkit" / f"VOC{year}"
    for seed, name in enumerate(VOC_NAMES):
        save_photo(folder / "JPEGImages" / f"{name}.jpg", seed)
    for name, mask in zip(
        VOC_NAMES,
        (halves(1, 0), halves(20, 15), halves(VOID, 12)),
        strict=False,
    ):
        save_palette(folder / "SegmentationClass" / f"{name}.png", mask)
        save_palette(folder / "SegmentationObject" / f"{name}.png", halves(1, 2))
    lists = folder / "ImageSets" / "Segmentation"
    write_lines(lists / "train.txt", VOC_NAMES[:2])
    write_lines(lists / "val.txt", VOC_NAMES[2:3])
    write_lines(lists / "trainval.txt", VOC_NAMES[:3])
    write_lines(folder / "ImageSets" / "Main" / "train.txt", VOC_NAMES[:2])
    write_lines(folder / "ImageSets" / "Main" / "val.txt", VOC_NAMES[2:])
    return f"voc:{root}"


CONTEXT_LABELS = {
    1: "accordion",
    2: "aeroplane",
    23: "bird",
    113: "cup",
    416: "tree",
    431: "unknown",
    445: "water",
    459: "wood",
}


def write_pascal_context(root: Path) -> str:
    """Write three images of Pascal-Context: MATLAB files, and masks of the 59 frequent labels."""
    write_voc(root, 2010)
    lines = [f"{number}: {name}" for number, name in CONTEXT_LABELS.items()]
    write_lines(root / "labels.txt", lines)
    write_lines(root / "59_labels.txt", ["0: empty", "1: aeroplane", "59: wood"])
    maps = (halves(2, 416), halves(459, 0), halves(431, 445))
    masks = (halves(1, 0), halves(59, 0), halves(0, 0))
    for name, labels, mask in zip(VOC_NAMES, maps, masks, strict=False):
        save_matlab(
            root / "trainval" / f"{name}.mat", LabelMap=labels.astype(np.uint16)
        )
        save_palette(root / "59_context_labels" / f"{name}.png", mask)
    return f"pascal_context:{root}"


def save_matlab(path: Path, **variables: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, variables, do_compression=True)


def structs(records: Sequence[dict[str, Any]]) -> Pixels:
    """Return a struct array (1, n); the empty matrix MATLAB has for none."""
    if not records:
        return np.zeros((0, 0))
    array = np.zeros((1, len(records)), [(name, object) for name in records[0]])
    for number, record in enumerate(records):
        array[0, number] = tuple(record.values())
    return array


def part(name: str, rows: slice, columns: slice) -> dict[str, Any]:
    mask = np.zeros(SIZE, np.uint8)
    mask[rows, columns] = 1
    return {"part_name": name, "mask": mask}


def instance(
    name: str, number: int, mask: Pixels, parts: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "class": name,
        "class_ind": np.uint8(number),
        "mask": mask.astype(np.uint8),
        "parts": structs(parts),
    }


def write_pascal_part(root: Path) -> str:
    """Write three images of Pascal-Part: overlapping parts, objects without parts, no objects."""
    write_voc(root, 2010)
    everything = slice(None)
    person = instance(
        "person",
        15,
        halves(1, 0),
        [
            part("head", slice(0, 10), slice(0, 16)),
            part("leye", slice(2, 4), slice(2, 4)),
            part("reye", slice(2, 4), slice(8, 10)),
            part("lfoot", slice(20, 24), slice(0, 4)),
        ],
    )
    train = instance(
        "train",
        19,
        halves(0, 1),
        [
            part("coach_1", everything, slice(16, 24)),
            part("coach_2", everything, slice(24, 32)),
            part("cfrontside_1", slice(0, 4), slice(16, 20)),
        ],
    )
    table = instance("table", 11, halves(0, 1), [])
    objects = {
        VOC_NAMES[0]: [person, train],
        VOC_NAMES[1]: [table],
        VOC_NAMES[3]: [],
    }
    for name, records in objects.items():
        anno = structs([{"imname": name, "objects": structs(records)}])
        save_matlab(root / "Annotations_Part" / f"{name}.mat", anno=anno)
    return f"pascal_part:{root}"


# of the classes that samples of ADE20K use: names, and how often they are parts
ADE_NAMES = {
    312: ("building, edifice", 0.0),
    401: ("car, auto, automobile, machine, motorcar", 0.01),
    774: ("door", 0.5),
    1762: ("handle, grip, handgrip, hold", 0.9),
    2420: ("sky", 0.0),
    3035: ("wheel", 1.0),
    3050: ("window", 1.0),
}
ADE_SIZE = 3148  # classes of 2016


def ade_channels(classes: Pixels) -> list[Pixels]:
    """Return red, green and blue of classes, with an instance for each half of the image."""
    return [classes // 256 * 10, classes % 256, halves(100, 255)]


def write_ade_masks(stem: Path, seed: int, levels: Sequence[Pixels]) -> None:
    """Write an image of the full ADE20K: the photo, its objects and its levels of parts."""
    save_photo(stem.with_name(f"{stem.name}.jpg"), seed, (48, 64))
    for level, classes in enumerate(levels):
        ending = f"parts_{level}" if level else "seg"
        save_colours(
            stem.with_name(f"{stem.name}_{ending}.png"), ade_channels(classes)
        )


def write_ade20k_2016(root: Path) -> str:
    """Write four images of the release of 2016, and its index."""
    folder = root / "ADE20K_2016_07_26"
    training = folder / "images" / "training"
    levels = {
        training / "a" / "airport_terminal" / "ADE_train_00000001": [
            halves(312, 401),
            halves(774, 3035),
            halves(1762, 0),
        ],
        training / "c" / "church" / "outdoor" / "ADE_train_00004711": [
            halves(312, 2420)
        ],
        training / "misc" / "ADE_train_00013001": [halves(774, 0)],
        folder / "images" / "validation" / "s" / "street" / "ADE_val_00001533": [
            halves(401, 2420),
            halves(3050, 0),
        ],
    }
    for seed, (stem, classes) in enumerate(levels.items()):
        write_ade_masks(stem, seed, classes)
        # instance # level # occluded # name # raw name # attributes
        write_lines(
            stem.with_name(f"{stem.name}_atr.txt"),
            ['001 # 0 # 0 # building, edifice # building # ""'],
        )
    names = np.full((1, ADE_SIZE), "-", object)
    shares = np.zeros((1, ADE_SIZE))
    for number, (name, share) in ADE_NAMES.items():
        names[0, number - 1] = name
        shares[0, number - 1] = share
    presence = np.zeros((ADE_SIZE, len(levels)))
    index = {
        "filename": np.array([[stem.name for stem in levels]], object),
        "objectPresence": presence,
        "objectnames": names,
        "proportionClassIsPart": shares,
    }
    save_matlab(folder / "index_ade20k.mat", index=index)
    return f"ade20k:{folder}"


def write_ade20k_2021(root: Path) -> str:
    """Write two images of the release of 2021, with their records and instances."""
    folder = root / "ADE20K_2021_17_01"
    ade = folder / "images" / "ADE"
    levels = {
        ade / "training" / "urban" / "street" / "ADE_train_00016869": [
            halves(312, 401),
            halves(3050, 3035),
        ],
        ade / "validation" / "home_or_hotel" / "bedroom" / "ADE_val_00000170": [
            halves(774, 0)
        ],
    }
    for seed, (stem, classes) in enumerate(levels.items()):
        write_ade_masks(stem, seed, classes)
        write_ade_record(stem, classes)
        instance_path = stem / f"instance_000_{stem.name}.png"
        save_grey(instance_path, halves(255, 0))
    (folder / "index_ade20k.pkl").write_bytes(b"a pickle, which is never loaded")
    return f"ade20k:{folder}"


def write_ade_record(stem: Path, levels: Sequence[Pixels]) -> None:
    """Write the JSON record of an image: an entry for each object and part."""
    entries: list[dict[str, Any]] = []
    for level, classes in enumerate(levels):
        for number in np.unique(classes[classes > 0]).tolist():
            name = ADE_NAMES[number][0]
            entries.append(
                {
                    "id": len(entries),
                    "name": name,
                    "name_ndx": number,
                    "hypernym": [],
                    "raw_name": name.partition(",")[0],
                    "attributes": [],
                    "depth_ordering_rank": len(entries) + 1,
                    "occluded": "no",
                    "crop": "0",
                    "parts": {"hasparts": [], "ispartof": [], "part_level": level},
                    "instance_mask": f"{stem.name}/instance_000_{stem.name}.png",
                    "polygon": {"x": [1, 2, 2], "y": [1, 1, 2], "click_date": []},
                    "saved_date": "18-Dec-2005 06:56:48",
                }
            )
    record = {
        "annotation": {
            "filename": f"{stem.name}.jpg",
            "imsize": [48, 64, 3],
            "scene": list(stem.parent.parts[-2:]),
            "object": entries,
        }
    }
    stem.with_name(f"{stem.name}.json").write_text(json.dumps(record))


def write_scene_parsing(root: Path) -> str:
    """Write three annotated images of ADEChallengeData2016, and one of its test set."""
    folder = root / "ADEChallengeData2016"
    masks = {
        "training/ADE_train_00000001": halves(1, 2),
        "training/ADE_train_00000002": halves(150, 0),
        "validation/ADE_val_00000001": halves(2, 3),
    }
    for seed, (name, mask) in enumerate(masks.items()):
        save_photo(folder / "images" / f"{name}.jpg", seed)
        save_grey(folder / "annotations" / f"{name}.png", mask)
    write_lines(
        folder / "objectInfo150.txt",
        [
            "Idx\tRatio\tTrain\tVal\tName",
            "1\t0.1576\t11664\t1172\twall",
            "2\t0.1072\t6046\t612\tbuilding, edifice",
            "3\t0.0878\t8265\t796\tsky",
            "150\t0.0003\t243\t24\tflag",
        ],
    )
    write_lines(
        folder / "sceneCategories.txt",
        [
            "ADE_train_00000001 airport_terminal",
            "ADE_train_00000002 misc",
            "ADE_val_00000001 abbey",
        ],
    )
    return f"ade20k:{folder}"
