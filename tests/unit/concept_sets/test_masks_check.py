"""``nd concepts check`` on the masks format: planted faults are found and named."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nd_masks.checking import check
from nd_plugin import ConceptSetInvalid

IMAGES = 12
Place = tuple[str, str]  # rule and file of the finding


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of two masked categories and one of whole images."""
    root = tmp_path_factory.mktemp("masks") / "set"
    for folder in ("images", "masks/object", "masks/part"):
        (root / folder).mkdir(parents=True)
    (root / "concepts.csv").write_text(
        "category,value,name\nobject,1,left\nobject,2,right\npart,1,wheel\n"
    )
    labels = ["image,category,name"]
    for number in range(IMAGES):
        Image.new("RGB", (16, 8), (number, 0, 0)).save(
            root / f"images/{number:02}.bmp"
        )
        values = np.ones((4, 8), np.uint8)
        values[:, 4:] = 2
        Image.fromarray(values).save(root / f"masks/object/{number:02}.png")
        wheels = values % 2
        Image.fromarray(wheels).save(root / f"masks/part/{number:02}.png")
        labels.append(f"{number:02}.bmp,scene,street")
    (root / "image_labels.csv").write_text("\n".join(labels) + "\n")
    return root


def append(path: Path, line: str) -> str:
    text = f"{path.read_text()}{line}\n"
    path.write_text(text)
    return f"{path.name}:{text.count(chr(10))}"


def image_that_is_text(root: Path) -> Place:
    (root / "images/00.bmp").write_text("no picture")
    return "unreadable-image", "images/00.bmp"


def mask_that_is_text(root: Path) -> Place:
    (root / "masks/object/01.png").write_text("no picture")
    return "unreadable-mask", "masks/object/01.png"


def damaged_mask(root: Path) -> Place:
    path = root / "masks/object/02.png"
    content = bytearray(path.read_bytes())
    content[content.index(b"IEND") - 5] ^= 1
    path.write_bytes(content)
    return "mask-checksum", "masks/object/02.png"


def jpeg_as_mask(root: Path) -> Place:
    Image.new("L", (8, 4), 1).save(root / "masks/object/00.png", "JPEG")
    return "mask-format", "masks/object/00.png"


def coloured_mask(root: Path) -> Place:
    Image.new("RGB", (8, 4)).save(root / "masks/part/00.png")
    return "mask-mode", "masks/part/00.png"


def mask_of_another_aspect(root: Path) -> Place:
    Image.new("L", (4, 8), 1).save(root / "masks/part/03.png")
    return "mask-aspect", "masks/part/03.png"


def value_without_a_name(root: Path) -> Place:
    values = np.ones((4, 8), np.uint8)
    values[0, 0] = 9
    Image.fromarray(values).save(root / "masks/part/07.png")
    return "unlisted-label", "concepts.csv"


def mask_without_an_image(root: Path) -> Place:
    Image.new("L", (8, 4), 1).save(root / "masks/part/other.png")
    return "unmatched-mask", "masks/part/other.png"


def fifo(root: Path) -> Place:
    os.mkfifo(root / "images/pipe.bmp")
    return "irregular-file", "images/pipe.bmp"


def image_linked_twice(root: Path) -> Place:
    (root / "images/again.bmp").symlink_to("04.bmp")
    return "duplicate-image", "images/again.bmp"


def unlabelled_image(root: Path) -> Place:
    Image.new("RGB", (16, 8)).save(root / "images/alone.bmp")
    return "unlabelled-image", "images/alone.bmp"


def file_of_another_kind(root: Path) -> Place:
    (root / "masks/part/notes.txt").write_text("notes")
    return "unreferenced-file", "masks/part/notes.txt"


def category_without_masks(root: Path) -> Place:
    append(root / "concepts.csv", "material,1,wood")
    return "unused-category", "masks/material"


def folder_without_a_category(root: Path) -> Place:
    shutil.copytree(root / "masks/part", root / "masks/stuff")
    return "unlisted-category", "masks/stuff"


def category_outside(root: Path) -> Place:
    return "outside-set", append(root / "concepts.csv", "../part,1,spoke")


def value_that_is_none(root: Path) -> Place:
    return "mask-value", append(root / "concepts.csv", "part,-1,spoke")


def value_listed_twice(root: Path) -> Place:
    return "duplicate-value", append(root / "concepts.csv", "part,1,spoke")


def empty_cell(root: Path) -> Place:
    return "empty-cell", append(root / "concepts.csv", "part,2,")


def surplus_cell(root: Path) -> Place:
    return "table-line", append(root / "concepts.csv", "part,2,rim,black")


def label_of_no_image(root: Path) -> Place:
    line = "missing.bmp,scene,street"
    return "missing-image", append(root / "image_labels.csv", line)


def label_listed_twice(root: Path) -> Place:
    line = "05.bmp,scene,street"
    return "duplicate-line", append(root / "image_labels.csv", line)


def concept_without_pixels(root: Path) -> Place:
    return "label-without-pixels", append(root / "concepts.csv", "object,7,up")


def rare_concept(root: Path) -> Place:
    line = "06.bmp,scene,beach"
    return "few-samples", append(root / "image_labels.csv", line)


FAULTS = (
    image_that_is_text,
    mask_that_is_text,
    damaged_mask,
    jpeg_as_mask,
    coloured_mask,
    mask_of_another_aspect,
    value_without_a_name,
    mask_without_an_image,
    fifo,
    image_linked_twice,
    unlabelled_image,
    file_of_another_kind,
    category_without_masks,
    folder_without_a_category,
    category_outside,
    value_that_is_none,
    value_listed_twice,
    empty_cell,
    surplus_cell,
    label_of_no_image,
    label_listed_twice,
    concept_without_pixels,
    rare_concept,
)


def test_a_sound_set_has_no_faults(sound: Path) -> None:
    assert list(check(str(sound))) == []


def test_camvid_has_no_errors(real_data: Path) -> None:
    """Its value 11 is "void", which its table does not list."""
    (finding,) = check(str(real_data / "camvid"))
    assert finding.rule == "unlisted-label"
    assert "list 11 of category 'object', found in 4" in finding.problem
    assert not finding.is_error


@pytest.mark.parametrize("plant", FAULTS, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_named(
    sound: Path, tmp_path: Path, plant: Callable[[Path], Place]
) -> None:
    root = tmp_path / "set"
    shutil.copytree(sound, root)
    rule, file = plant(root)
    findings = list(check(str(root)))
    assert (rule, file) in {(finding.rule, finding.file) for finding in findings}
    assert {finding.rule for finding in findings if finding.is_error} <= {rule}


def test_values_without_a_name_are_counted(sound: Path, tmp_path: Path) -> None:
    root = tmp_path / "set"
    shutil.copytree(sound, root)
    for number in (3, 5):
        values = np.arange(8, dtype=np.uint8).repeat(4).reshape(4, 8)
        Image.fromarray(values).save(root / f"masks/part/{number:02}.png")
    (finding,) = check(str(root))
    assert finding.problem == (
        "it does not list 2, 3, 4, 5, 6 and 1 more of category 'part', "
        "found in 2 masks, such as masks/part/03.png"
    )


def test_all_of_them_at_once(sound: Path, tmp_path: Path) -> None:
    root = tmp_path / "set"
    shutil.copytree(sound, root)
    expected = {plant(root) for plant in FAULTS}
    places = {(finding.rule, finding.file) for finding in check(str(root))}
    assert expected - places == set()


def test_an_empty_folder_lacks_images_and_concepts(tmp_path: Path) -> None:
    places = {(finding.rule, finding.file) for finding in check(str(tmp_path))}
    assert places == {("no-concepts", "concepts.csv"), ("no-images", "images")}


def test_no_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        ConceptSetInvalid, match=r"no folder .*; expected masks:ROOT"
    ):
        list(check(str(tmp_path / "nowhere")))
