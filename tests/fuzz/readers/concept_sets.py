"""Readers of concept sets: Broden's layout, the masks format, masks and pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import numpy as np
from fuzz.cases import Files, Numbers, Reader, Sample
from fuzz.mutators.pictures import PNG
from fuzz.mutators.tables import TABLES
from fuzz.readers.made import colours, feed_of, picture, png

from nd_plugin import Settings, open_concepts

MOST_IMAGES = 6


def read_set(spec: str, *, strict: bool = False) -> Numbers:
    """Open a set and decode its first images, as a run does."""
    concepts = open_concepts(spec)
    feed = feed_of(concepts, Settings(limit=MOST_IMAGES, strict=strict))
    numbers: Numbers = {"concepts": concepts.concepts}
    batches = feed.images_from(0, annotated=True, small_pictures=True)
    for batch in batches:
        for image, pixels in zip(batch.indices.tolist(), batch.pixels, strict=True):
            numbers[f"image {concepts.name(image)}"] = pixels.numpy().tobytes()
        for image, labels in batch.packed_labels.items():
            numbers[f"labels of {concepts.name(image)}"] = labels
    return numbers


def reader_of(
    spec: str, *, strict: bool = False
) -> Callable[[Path, Random], Numbers]:
    """Return the reading of a set in the current folder."""

    def read(folder: Path, random: Random) -> Numbers:
        return read_set(spec, strict=strict)

    return read


def masks_files() -> Files:
    """Return a small set in the masks format."""
    random = np.random.default_rng(1)
    files: Files = {
        "set/concepts.csv": b"category,value,name\nobject,0,cat\nobject,1,dog\nobject,300,car\n"
        b"part,1,tail\npart,2,ear\n",
        "set/image_labels.csv": b"image,category,name\na.png,scene,street-s\n"
        b"sub/b.jpg,scene,beach-s\n",
        "set/images/a.png": png(colours(1)),
        "set/images/sub/b.jpg": picture(colours(2), "JPEG"),
    }
    for name in ("a", "sub/b"):
        values = random.integers(0, 3, (12, 16)).astype(np.uint8)
        files[f"set/masks/object/{name}.png"] = png(values.astype(np.uint16) * 150)
        files[f"set/masks/part/{name}.png"] = png(values)
        files[f"set/masks/part/{name}.1.png"] = png(values[::-1], "P")
    return files


def broden_files() -> Files:
    """Return a small set in Broden's layout."""
    random = np.random.default_rng(2)
    files: Files = {
        "set/category.csv": b"name,first,last,count,frequency\nobject,1,3,3,5\npart,2,4,2,3\n"
        b"scene,5,5,1,1\n",
        "set/label.csv": b"number,name,category,frequency,coverage,syns\n"
        b"1,cat,object(3),3,1.5,puss\n2,tail,part(2);object(1),3,0.5,\n"
        b"3,dog,object,2,1.0,hound;pup\n4,ear,part(1),1,0.1,\n5,street-s,scene(1),1,1,\n",
        "set/c_object.csv": b"code,number,name,frequency,coverage\n1,1,cat,3,1.5\n"
        b"2,2,tail,1,0.1\n3,3,dog,2,1.0\n",
        "set/c_part.csv": b"code,number,name,frequency,coverage\n1,2,tail,2,0.4\n2,4,ear,1,0.1\n",
        "set/c_scene.csv": b"code,number,name,frequency,coverage\n1,5,street-s,1,1\n",
        "set/index.csv": b"image,split,ih,iw,sh,sw,object,part,scene\n"
        b"a.png,train,24,32,12,16,a_object.png,a_part.png;a_part_2.png,5\n"
        b"sub/b.jpg,val,24,32,12,16,sub/b_object.png,,\n",
        "set/images/a.png": png(colours(3)),
        "set/images/sub/b.jpg": picture(colours(4), "JPEG"),
    }
    masks = {"a_object": (0, 1, 3), "a_part": (0, 2, 4), "a_part_2": (0, 4, 2)}
    for name, labels in {**masks, "sub/b_object": (0, 3, 1)}.items():
        values = np.array(labels, np.uint8)[random.integers(0, 3, (12, 16))]
        blank = np.zeros_like(values)
        files[f"set/images/{name}.png"] = png(np.stack([values, blank, blank], 2))
    return files


def masks_samples(folder: Path) -> Sequence[Sample]:
    """Return the set in the masks format."""
    return [Sample("masks", masks_files())]


def broden_samples(folder: Path) -> Sequence[Sample]:
    """Return the set in Broden's layout."""
    return [Sample("broden", broden_files())]


def mask_samples(folder: Path) -> Sequence[Sample]:
    """Return sets of one image and a mask, of every kind."""
    random = np.random.default_rng(3)
    values = random.integers(0, 2, (12, 16)).astype(np.uint8)
    kinds = {
        "grey": png(values),
        "grey16": png(values.astype(np.uint16) * 300),
        "palette": png(values, "P"),
        "bits": png(values * 255, "1"),
        "colour": png(np.stack([values] * 3, 2)),
    }
    tables: Files = {
        "set/concepts.csv": b"category,value,name\nobject,1,cat\nobject,300,dog\n",
        "set/images/a.png": png(colours(5)),
    }
    return [
        Sample(name, {**tables, "set/masks/object/a.png": content})
        for name, content in kinds.items()
    ]


def strict_mask_samples(folder: Path) -> Sequence[Sample]:
    """Return those sets of one mask that are read."""
    return [sample for sample in mask_samples(folder) if sample.name != "colour"]


def picture_samples(folder: Path) -> Sequence[Sample]:
    """Return sets whose image is of one of many formats."""
    pixels = colours(6)
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\x06\0\0\0\0\0\0"
    kinds = {
        "a.png": png(pixels),
        "b.png": png(pixels[:, :, 0].astype(np.uint16) * 257),
        "c.png": png(pixels, "P"),
        "d.png": png(pixels, "RGBA"),
        "a.jpg": picture(pixels, "JPEG", exif=exif),
        "b.jpg": picture(pixels, "JPEG", "CMYK", progressive=True),
        "a.gif": picture(pixels, "GIF"),
        "a.bmp": picture(pixels, "BMP"),
        "a.tif": picture(pixels, "TIFF"),
        "b.tif": picture(pixels, "TIFF", compression="tiff_lzw"),
        "c.tif": picture(pixels[:, :, 0].astype(np.float32), "TIFF"),
        "a.webp": picture(pixels, "WEBP"),
        "a.ppm": picture(pixels, "PPM"),
        "a.tga": picture(pixels, "TGA"),
        "a.ico": picture(pixels, "ICO"),
        "a.jp2": picture(pixels, "JPEG2000"),
        "a.dds": picture(pixels, "DDS"),
        "a.pcx": picture(pixels, "PCX"),
    }
    labels = "image,category,name\n{},scene,street\n"
    return [
        Sample(
            name,
            {
                "set/image_labels.csv": labels.format(name).encode(),
                f"set/images/{name}": content,
            },
        )
        for name, content in kinds.items()
    ]


TABLE_KINDS = {".csv": TABLES, ".png": PNG}
READ_MASKS = reader_of("masks:set")
BRODEN = Reader(
    "broden", broden_samples, reader_of("broden:set"), TABLE_KINDS, fixed=(".jpg",)
)
MASKS = Reader("masks", masks_samples, READ_MASKS, TABLE_KINDS, fixed=(".jpg",))
MASK_PICTURES = Reader(
    "mask-pictures",
    mask_samples,
    READ_MASKS,
    {".png": PNG},
    fixed=(".csv", "images/a.png"),
)
# under --strict the checksums of masks are checked
STRICT_MASKS = Reader(
    "strict-masks",
    strict_mask_samples,
    reader_of("masks:set", strict=True),
    {".png": PNG},
    has_checksums=True,
    fixed=(".csv", "images/a.png"),
)
PICTURES = Reader(
    "pictures", picture_samples, READ_MASKS, {".png": PNG}, fixed=(".csv",)
)
