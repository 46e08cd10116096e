"""Concept sets of files: turned images, lossy masks, unlisted values, folders without a format."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from nd_plugin import ConceptSetInvalid, open_concepts
from nd_plugin.pictures.pixel_limit import ENVIRONMENT, pixel_limit
from nd_plugin.testing import check_concept_set

STORED = (16, 24)  # height, width


def save_image(path: Path, orientation: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    pixels = np.random.default_rng(0).integers(0, 256, (*STORED, 3), np.uint8)
    Image.fromarray(pixels).save(path, exif=exif)


def save_mask(
    path: Path,
    values: tuple[int, ...],
    size: tuple[int, int] = STORED,
    kind: str = "PNG",
    **options: Any,
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.resize(np.array(values, np.uint8), size)
    Image.fromarray(pixels).save(path, kind, **options)


def masks_set(root: Path, orientation: int = 1) -> Path:
    save_image(root / "images/a.jpg", orientation)
    save_mask(root / "masks/object/a.png", (0, 3))
    (root / "concepts.csv").write_text("category,value,name\nobject,3,car\n")
    return root


def broden_set(root: Path, orientation: int = 1, sizes: str = ",,,") -> Path:
    save_image(root / "images/a.jpg", orientation)
    numbers = np.zeros((*STORED, 3), np.uint8)
    numbers[..., 0] = 1
    Image.fromarray(numbers).save(root / "images/a_object.png")
    tables = {
        "index.csv": f"image,split,ih,iw,sh,sw,object\na.jpg,train,{sizes},a_object.png\n",
        "category.csv": "name,first,last,count,frequency\nobject,1,1,1,1\n",
        "label.csv": "number,name,category,frequency,coverage,syns\n1,car,object(1),1,1,\n",
        "c_object.csv": "code,number,name,frequency,coverage\n1,1,car,1,1\n",
    }
    for name, text in tables.items():
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["masks", "broden"])
def test_masks_belong_to_the_upright_image(
    kind: str, orientation: int, tmp_path: Path
) -> None:
    write = {"masks": masks_set, "broden": broden_set}[kind]
    concepts = open_concepts(f"{kind}:{write(tmp_path, orientation)}")
    assert concepts.image(0).size == STORED[::-1]
    if orientation < 5:
        assert concepts.annotation(0).planes[0].shape == STORED
        return
    # drawn on the image as it is stored
    with pytest.raises(
        ValueError,
        match=r"is 24x16, which has not the aspect of its image, 16x24: it fits the image as "
        r"stored, 24x16, but the image's EXIF orientation turns that",
    ):
        concepts.annotation(0)
    name = {"masks": "masks/object/a.png", "broden": "images/a_object.png"}[kind]
    with Image.open(tmp_path / name) as mask:
        mask.transpose(Image.Transpose.ROTATE_270).save(tmp_path / name)
    assert concepts.annotation(0).planes[0].shape == STORED[::-1]


@pytest.mark.parametrize("sizes", ["16,24,16,24", "16,24,,", ",,16,24"])
def test_sizes_in_brodens_index_are_of_the_upright_image(
    sizes: str, tmp_path: Path
) -> None:
    concepts = open_concepts(f"broden:{broden_set(tmp_path, 6, sizes)}")
    with pytest.raises(ValueError, match=r"in index\.csv is 24x16.* as stored"):
        concepts.image(0)
    upright = open_concepts(f"broden:{broden_set(tmp_path, 3, sizes)}")
    assert upright.image(0).size == STORED[::-1]


@pytest.mark.parametrize(
    ("kind", "options", "name"),
    [
        ("JPEG", {"quality": 100}, "JPEG"),
        ("WEBP", {"quality": 100}, "lossy WebP"),
        ("JPEG2000", {}, "JPEG 2000"),
    ],
)
def test_lossy_masks_are_refused_whatever_their_name(
    kind: str, options: dict[str, Any], name: str, tmp_path: Path
) -> None:
    masks_set(tmp_path)
    save_image(tmp_path / "images/b.jpg")
    save_mask(tmp_path / "masks/object/b.png", (0, 3), kind=kind, **options)
    message = (
        rf"object/[ab]\.png is a {name} file by its content; lossy compression"
    )
    # a later mask is refused when it is read, the first one at once
    concepts = open_concepts(f"masks:{tmp_path}")
    assert concepts.annotation(0).planes[0].max() == 1
    with pytest.raises(ValueError, match=message):
        concepts.annotation(1)
    save_mask(tmp_path / "masks/object/a.png", (0, 3), kind=kind, **options)
    with pytest.raises(ConceptSetInvalid, match=message):
        open_concepts(f"masks:{tmp_path}")


def test_lossy_masks_of_broden(tmp_path: Path) -> None:
    concepts = open_concepts(f"broden:{broden_set(tmp_path)}")
    with Image.open(tmp_path / "images/a_object.png") as mask:
        mask.load()
    mask.save(tmp_path / "images/a_object.png", "JPEG")
    message = r"the mask a_object\.png is a JPEG file by its content"
    with pytest.raises(ValueError, match=message):
        concepts.annotation(0)
    with pytest.raises(ConceptSetInvalid, match=message):
        open_concepts(f"broden:{tmp_path}")


@pytest.mark.parametrize("kind", ["masks", "broden"])
def test_a_mask_with_an_orientation_of_its_own_is_refused(
    kind: str, tmp_path: Path
) -> None:
    write = {"masks": masks_set, "broden": broden_set}[kind]
    name = {"masks": "masks/object/a.png", "broden": "images/a_object.png"}[kind]
    concepts = open_concepts(f"{kind}:{write(tmp_path, 3)}")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 3
    with Image.open(tmp_path / name) as mask:
        mask.save(tmp_path / name, exif=exif)
    with pytest.raises(
        ValueError, match=r"has an EXIF orientation \(3\), but masks"
    ):
        concepts.annotation(0)


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_the_contract_holds_for_turned_images(
    orientation: int, tmp_path: Path
) -> None:
    root = masks_set(tmp_path, orientation)
    if orientation == 6:
        save_mask(root / "masks/object/a.png", (0, 3), STORED[::-1])
    check_concept_set(open_concepts, f"masks:{root}")


def test_values_that_are_there_and_unlisted_are_named(tmp_path: Path) -> None:
    masks_set(tmp_path)
    concepts = open_concepts(f"masks:{tmp_path}")
    assert concepts.annotation(0).remarks == ()
    save_mask(tmp_path / "masks/object/a.png", (0, 3, 255, 7))
    annotation = concepts.annotation(0)
    where = "in masks of category 'object', and concepts.csv does not list"
    assert annotation.remarks == (f"7 occurs {where} it", f"255 occurs {where} it")
    assert annotation.planes[0][0, :4].tolist() == [0, 1, 0, 0]
    save_mask(tmp_path / "masks/object/a.png", tuple(range(90)))
    assert concepts.annotation(0).remarks == (
        f"more than 3 values of one mask occur {where} them",
    )
    wide = np.full(STORED, 60000, np.uint16)
    Image.fromarray(wide).save(tmp_path / "masks/object/a.png")
    assert concepts.annotation(0).remarks == (f"60000 occurs {where} it",)


def test_a_limit_of_pixels_holds_for_images_and_masks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENVIRONMENT, "100")
    for text in (
        f"masks:{masks_set(tmp_path / 'm')}",
        f"broden:{broden_set(tmp_path / 'b')}",
    ):
        concepts = open_concepts(text)
        for read in (concepts.image, concepts.annotation):
            with (
                pytest.raises(ValueError, match=r"384 pixels.*--max-pixels N"),
                pixel_limit(None),
            ):
                read(0)
            with pixel_limit(384):
                read(0)


def test_a_folder_without_a_format_is_looked_into(tmp_path: Path) -> None:
    street = masks_set(tmp_path / "street")
    hint = f"the folder can be opened as 'masks:{street}'"
    with pytest.raises(
        ConceptSetInvalid, match=f"no concept set '{street}'; {hint}"
    ):
        open_concepts(str(street))
    with pytest.raises(ConceptSetInvalid, match=hint):
        open_concepts(street)
    above = f"the folder above it can be opened as 'masks:{street}'"
    with pytest.raises(ConceptSetInvalid, match=above):
        open_concepts(str(street / "images"))
    broden = broden_set(tmp_path / "broden")
    with pytest.raises(ConceptSetInvalid, match=f"opened as 'broden:{broden}'"):
        open_concepts(str(broden))


def test_what_a_folder_lacks_is_said(tmp_path: Path) -> None:
    street = masks_set(tmp_path / "street")

    def reason() -> str:
        with pytest.raises(ConceptSetInvalid) as caught:
            open_concepts(str(street))
        text = str(caught.value)
        assert f"as broden:{street}: no category.csv in" in text
        after = text.partition(f"as masks:{street}: ")[2]
        return after.partition("\n")[0]

    (street / "masks/object").rename(street / "masks/objects")
    assert "lists the category 'object', but there is no folder" in reason()
    assert "has 'objects', which concepts.csv does not list: rename" in reason()
    (street / "masks/objects").rename(street / "masks/object")
    save_mask(street / "masks/part/a.png", (0, 3))
    assert "concepts.csv lists no concept of category 'part', only of" in reason()
    (street / "concepts.csv").unlink()
    assert reason().endswith("the folders of masks are 'object', 'part'")
    (street / "images").rename(street / "pictures")
    assert "it has no images/ either" in reason()
    rows = [("category", "value", "name"), ("object", "3", "car")]
    with (street / "concepts.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    assert (
        "no such folder; " in reason() and "concepts.csv, masks, pict" in reason()
    )


def test_what_a_folder_built_by_hand_lacks_is_said_with_what_it_holds(
    tmp_path: Path,
) -> None:
    street = masks_set(tmp_path / "street")

    def reason() -> str:
        with pytest.raises(ConceptSetInvalid) as caught:
            open_concepts(f"masks:{street}")
        return str(caught.value)

    masks = street / "masks"
    for mask in sorted((masks / "object").iterdir()):
        mask.rename(mask.with_name(f"{mask.stem}_mask.png"))
    assert "the folder holds a_mask.png, and images/ a.jpg" in reason()
    masks.rename(street / "mask")
    assert "and no masks/ either" in reason()
    assert reason().endswith("holds concepts.csv, images, mask")
    table = street / "concepts.csv"
    table.write_text(table.read_text().replace(",", ";"))
    assert "its first line is 'category;value;name'" in reason()
    assert reason().endswith("columns are separated by commas")


def test_a_name_that_is_no_folder_gets_no_such_hint(tmp_path: Path) -> None:
    with pytest.raises(ConceptSetInvalid) as caught:
        open_concepts("street")
    assert "known are" in str(caught.value)
    assert "it is a folder" not in str(caught.value)
