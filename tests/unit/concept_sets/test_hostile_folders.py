"""Concept sets of files that lead out of their folder, lead back into it, or never end."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import png_writer
import pytest
from PIL import Image

from nd_plugin import (
    BadInput,
    ConceptSet,
    ConceptSetInvalid,
    call_with_options,
    open_concepts,
)
from nd_plugin.experiments.probing.labelled_images import find_labelled_images

SIZE = (6, 8)


def save_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(path.name)).integers(0, 256, (*SIZE, 3))
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def masks_set(root: Path, *names: str) -> Path:
    for name in names or ("a.png", "b.png"):
        save_image(root / "images" / name)
        png_writer.save_png(root / "masks/object" / name, np.full(SIZE, 3), 8)
    (root / "concepts.csv").write_text("category,value,name\nobject,3,car\n")
    return root


def broden_set(root: Path, row: str = "a.png,o.png") -> Path:
    save_image(root / "images/a.png")
    number = np.resize(np.array([1, 0, 0]), (*SIZE, 3))
    png_writer.save_png(root / "images/o.png", number, 8, png_writer.RGB)
    tables = {
        "index.csv": f"image,object\na.png,o.png\n{row}\n",
        "category.csv": "name\nobject\n",
        "label.csv": "number,name,category\n1,car,object\n",
        "c_object.csv": "number,coverage\n1,1\n",
    }
    for name, text in tables.items():
        (root / name).write_text(text)
    return root


def names(concepts: ConceptSet) -> list[str]:
    return [concepts.name(index) for index in range(len(concepts))]


def test_a_link_to_the_folder_itself_adds_no_images(tmp_path: Path) -> None:
    root = masks_set(tmp_path)
    plain = open_concepts(f"masks:{root}").identity.fingerprint
    (root / "images" / "loop").symlink_to(root / "images")
    (root / "masks/object" / "loop").symlink_to(root / "masks" / "object")
    concepts = open_concepts(f"masks:{root}")
    assert names(concepts) == ["a.png", "b.png"]
    assert concepts.identity.fingerprint == plain
    assert concepts.notes == (  # type: ignore[attr-defined]
        "1 left out of images, the same as others: for example loop is the same as images",
        "1 left out of masks/object, the same as others: for example loop is the same as "
        "masks/object",
    )


def test_masks_belong_to_images_by_name_whatever_they_are_links_to(
    tmp_path: Path,
) -> None:
    root = masks_set(
        tmp_path, "day/a.png", "day/b.png", "night/a.png", "night/b.png"
    )
    folder = root / "masks/object"
    for path in (folder / "night").iterdir():
        path.unlink()
    (folder / "night").rmdir()
    (folder / "night").symlink_to("day")
    (folder / "day/b.png").unlink()
    (folder / "day/b.png").symlink_to("a.png")
    concepts = open_concepts(f"masks:{root}")
    assert len(concepts) == 4 and concepts.notes == ()  # type: ignore[attr-defined]
    for index in range(4):
        assert (
            concepts.annotation(index).planes[0].tolist()
            == np.full(SIZE, 1).tolist()
        )


def test_a_label_of_an_image_under_its_second_name(tmp_path: Path) -> None:
    root = masks_set(tmp_path)
    (root / "images/c.png").symlink_to("a.png")
    (root / "image_labels.csv").write_text("image,category,name\nc.png,scene,sea\n")
    with pytest.raises(
        ConceptSetInvalid,
        match=r"line 2: the image 'c\.png' is the same file as 'a\.png'",
    ):
        open_concepts(f"masks:{root}")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_fifos_are_left_out_and_said(tmp_path: Path) -> None:
    root = masks_set(tmp_path)
    os.mkfifo(root / "images/c.png")
    os.mkfifo(root / "masks/object/d.png")
    concepts = open_concepts(f"masks:{root}")
    assert names(concepts) == ["a.png", "b.png"]
    assert concepts.notes == (  # type: ignore[attr-defined]
        "1 left out of images, no regular files: for example c.png is a FIFO",
        "1 left out of masks/object, no regular files: for example d.png is a FIFO",
    )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_fifo_that_a_table_names_is_an_image_that_cannot_be_read(
    tmp_path: Path,
) -> None:
    root = broden_set(tmp_path, "f.png,f.png")
    os.mkfifo(root / "images/f.png")
    concepts = open_concepts(f"broden:{root}")
    with pytest.raises(OSError, match="is a FIFO, and not a regular file"):
        concepts.image(1)
    with pytest.raises((OSError, ValueError), match="is a FIFO, and not a regular"):
        concepts.annotation(1)


@pytest.mark.parametrize(
    "category", ["..", "../images", "/etc", "object/../../images", "..\\images"]
)
def test_a_category_of_concepts_csv_stays_below_masks(
    category: str, tmp_path: Path
) -> None:
    root = masks_set(tmp_path)
    (root / "concepts.csv").write_text(f"category,value,name\n{category},3,car\n")
    with pytest.raises(
        ConceptSetInvalid, match=r"concepts\.csv, line 2: .* is outside"
    ):
        open_concepts(f"masks:{root}")


@pytest.mark.parametrize(
    "image", ["../concepts.csv", "/etc/passwd", "../images/a.png"]
)
def test_an_image_of_image_labels_csv_is_one_of_the_set(
    image: str, tmp_path: Path
) -> None:
    root = masks_set(tmp_path)
    (root / "image_labels.csv").write_text(
        f"image,category,name\n{image},scene,sea\n"
    )
    with pytest.raises(
        ConceptSetInvalid, match=r"image_labels\.csv, line 2: no image"
    ):
        open_concepts(f"masks:{root}")


@pytest.mark.parametrize(
    "row",
    [
        "../x.png,o.png",
        "a.png,../../x.png",
        "/etc/passwd,o.png",
        "a.png,o.png;/etc/passwd",
        "out/x.png,",
        "a.png,out/x.png",
    ],
)
def test_names_in_index_csv_stay_inside_the_set(row: str, tmp_path: Path) -> None:
    root = broden_set(tmp_path / "set", row)
    save_image(tmp_path / "secret/x.png")
    (root / "images/out").symlink_to(tmp_path / "secret")
    with pytest.raises(
        ConceptSetInvalid,
        match=r"index\.csv, line 3: .*outside .*, which is not read",
    ):
        open_concepts(f"broden:{root}")


def test_a_linked_file_is_refused_when_it_is_read_or_allowed(
    tmp_path: Path,
) -> None:
    root = broden_set(tmp_path / "set", "x.png,m.png")
    save_image(tmp_path / "secret/x.png")
    (root / "images/x.png").symlink_to(tmp_path / "secret/x.png")
    (root / "images/m.png").symlink_to("o.png")
    concepts = open_concepts(f"broden:{root}")
    with pytest.raises(
        ConceptSetInvalid, match=r"'x\.png' of .*links to lead anywhere"
    ):
        concepts.image(1)
    assert concepts.image(0).size == SIZE[::-1]
    allowed = open_concepts(f"broden:{root}?links=follow")
    assert allowed.image(1).size == SIZE[::-1]
    assert len(allowed.annotation(1).planes) == 1
    assert allowed.identity.source == f"broden:{root}?links=follow"
    with pytest.raises(
        ConceptSetInvalid, match="links=all is none of inside, follow"
    ):
        open_concepts(f"broden:{root}?links=all")


def test_the_images_of_a_set_may_lie_elsewhere(tmp_path: Path) -> None:
    root = broden_set(tmp_path / "set")
    (root / "images").rename(tmp_path / "elsewhere")
    (root / "images").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "link").symlink_to(root)
    concepts = open_concepts(f"broden:{tmp_path}/link")
    assert concepts.image(1).size == SIZE[::-1]
    assert len(concepts.annotation(1).planes) == 1


@pytest.mark.parametrize("index", ["../index.csv", "/etc/passwd", "out/index.csv"])
def test_another_index_stays_inside_the_set(index: str, tmp_path: Path) -> None:
    root = broden_set(tmp_path / "set")
    (tmp_path / "index.csv").write_text("image,object\na.png,o.png\n")
    (root / "out").symlink_to(tmp_path)
    with pytest.raises(ConceptSetInvalid, match=r"index=.*outside .*is not read"):
        open_concepts(f"broden:{root}?index={index}")


@pytest.mark.parametrize(
    ("text", "write"), [("masks", masks_set), ("broden", broden_set)]
)
def test_no_option_redirects_the_root(
    text: str, write: Callable[[Path], Path], tmp_path: Path
) -> None:
    root = write(tmp_path / "set")
    with pytest.raises(BadInput, match="has no option 'root'"):
        open_concepts(f"{text}:{root}?root=/etc")


def test_an_option_does_not_stand_for_the_text_in_front_of_it() -> None:
    def factory(root: str, **options: str) -> tuple[str, dict[str, str]]:
        return root, options

    assert call_with_options(factory, "a", {"b": "c"}, "it") == ("a", {"b": "c"})
    with pytest.raises(BadInput, match="it has no option 'root'"):
        call_with_options(factory, "a", {"root": "/etc", "b": "c"}, "it")


def test_an_option_is_given_once(tmp_path: Path) -> None:
    root = broden_set(tmp_path)
    with pytest.raises(BadInput, match="the option 'index' is given twice"):
        open_concepts(f"broden:{root}?index=index.csv&index=other.csv")


@pytest.mark.parametrize("category", ["x/../../../etc/passwd", "../label", "/etc"])
def test_a_category_of_broden_is_no_path(category: str, tmp_path: Path) -> None:
    root = broden_set(tmp_path)
    (root / "category.csv").write_text(f"name\n{category}\n")
    with pytest.raises(
        ConceptSetInvalid, match=r"category\.csv, line 2: .* is no plain name"
    ):
        open_concepts(f"broden:{root}")


def test_labelled_images_are_listed_once_and_stay_in_their_class(
    tmp_path: Path,
) -> None:
    for split in ("train", "test"):
        for name in ("cat", "cat-big", "dog"):
            save_image(tmp_path / split / name / f"{split}.png")
    plain = find_labelled_images(tmp_path)
    # a link to the folder above would make cats of dogs
    (tmp_path / "train/cat/0").symlink_to(tmp_path / "train")
    (tmp_path / "train/dog/loop").symlink_to(tmp_path)
    images = find_labelled_images(tmp_path)
    assert images.paths[:3] == (
        "train/cat/train.png",
        "train/cat-big/train.png",
        "train/dog/train.png",
    )
    assert images.paths == plain.paths and images.labels == plain.labels
    (note,) = images.notes
    assert note == (
        f"2 left out of {tmp_path}/, the same as others: for example train/cat/0 is the same as "
        "train"
    )


def test_a_split_that_is_a_link_to_the_other_has_no_images_of_its_own(
    tmp_path: Path,
) -> None:
    for name in ("cat", "dog"):
        save_image(tmp_path / "train" / name / "0.png")
    (tmp_path / "test").symlink_to("train")
    with pytest.raises(BadInput, match="no test image of"):
        find_labelled_images(tmp_path)
