"""Concept set ``masks``: folders of images and masks, and the errors for malformed ones."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import reference
from PIL import Image
from spawned import Annotations
from torch.utils.data import DataLoader

from nd_plugin import (
    Annotation,
    Concept,
    ConceptSet,
    ConceptSetInvalid,
    open_concepts,
)

Values = npt.NDArray[np.integer]

CONCEPTS = (
    "category,value,name\n"
    "object,0,sky\nobject,3,car\npart,255,wheel\npart,1,door\nobject,65535,tree\nobject,7,car\n"
)
LABELS = "image,category,name\nb.jpg,scene,street\na/x.jpg,scene,sea\na/x.jpg,object,tree\n"
ALL = [
    ("sky", "object"),
    ("car", "object"),
    ("wheel", "part"),
    ("door", "part"),
    ("tree", "object"),
]
SIZE = (16, 24)


def plane(*values: int, size: tuple[int, int] = SIZE) -> Values:
    """A plane on which these values follow each other, pixel by pixel."""
    return np.resize(np.array(values, np.int64), size)


def save(path: Path, values: Values, kind: str = "L") -> None:
    """A mask of one of the kinds of PNG that hold one index per pixel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dtype = {"1": np.bool_, "I;16": np.uint16}.get(kind, np.uint8)
    image = Image.fromarray(values.astype(dtype))
    if kind.startswith("P"):
        image = Image.frombytes("P", image.size, image.tobytes())
        image.putpalette(
            np.random.default_rng(0).integers(0, 256, 768, dtype=np.uint8).tobytes()
        )
    image.save(
        path,
        "PNG",
        **({"bits": int(kind[1:])} if kind[1:] in ("1", "2", "4") else {}),
    )


def save_image(path: Path, size: tuple[int, int] = SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(path.name)).integers(
        0, 256, (*size, 3), dtype=np.uint8
    )
    Image.fromarray(noise).save(
        path, "PNG" if path.suffix.lower() == ".png" else "JPEG"
    )


def write(
    root: Path,
    images: Mapping[str, tuple[int, int]] | tuple[str, ...] = ("a/x.jpg", "b.jpg"),
    masks: Mapping[str, Values] | None = None,
    concepts: str | bytes | None = CONCEPTS,
    labels: str | bytes | None = None,
) -> Path:
    """A set on disk; without ``masks``, one for each category of CONCEPTS and each image's stem."""
    sizes = images if isinstance(images, Mapping) else dict.fromkeys(images, SIZE)
    for name, size in sizes.items():
        save_image(root / "images" / name, size)
    stems = [os.path.splitext(name)[0] for name in sizes]  # noqa: PTH122
    if masks is None:
        masks = {f"object/{s}": plane(0, 3, 9) for s in stems} | {
            f"part/{s}": plane(1, 255) for s in stems
        }
    for name, values in masks.items():
        save(root / "masks" / f"{name}.png", values)
    for table, text in (("concepts.csv", concepts), ("image_labels.csv", labels)):
        if text is not None:
            (root / table).write_bytes(
                text if isinstance(text, bytes) else text.encode()
            )
    return root


def opened(root: Path) -> ConceptSet:
    return open_concepts(f"masks:{root}")


def by_name(concepts: ConceptSet) -> dict[str, Annotation]:
    return {concepts.name(i): concepts.annotation(i) for i in range(len(concepts))}


def assert_planes(annotation: Annotation, *expected: Values) -> None:
    assert len(annotation.planes) == len(expected)
    for plane, expected_plane in zip(annotation.planes, expected, strict=True):
        assert np.array_equal(plane, expected_plane)


def test_vocabulary(tmp_path: Path) -> None:
    concepts = opened(write(tmp_path, labels=LABELS))
    assert [(c.name, c.category) for c in concepts.concepts] == [
        *ALL,
        ("street", "scene"),
        ("sea", "scene"),
    ]
    assert concepts.categories == ("object", "part", "scene")
    assert not concepts.native_masks


def test_images_masks_and_labels(tmp_path: Path) -> None:
    concepts = opened(write(tmp_path, labels=LABELS))
    annotations = by_name(concepts)
    assert list(annotations) == ["a/x.jpg", "b.jpg"]
    for annotation in annotations.values():
        assert_planes(annotation, plane(1, 2, 0), plane(4, 3))
    assert annotations["a/x.jpg"].labels == (7, 5) and annotations[
        "b.jpg"
    ].labels == (6,)
    assert concepts.image(0).size == SIZE[::-1]


def test_several_values_of_one_concept(tmp_path: Path) -> None:
    masks = {"object/b": plane(3, 7, 8), "part/b": plane(1)}
    assert_planes(
        opened(write(tmp_path, ("b.jpg",), masks)).annotation(0),
        plane(2, 2, 0),
        plane(4),
    )


def test_values_that_are_not_listed_are_unlabelled(tmp_path: Path) -> None:
    masks = {"object/b": plane(0, 1, 254, 255), "part/b": plane(0)}
    assert_planes(
        opened(write(tmp_path, ("b.jpg",), masks)).annotation(0),
        plane(1, 0, 0, 0),
        plane(0),
    )


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("1", (0, 1)),
        ("L", (0, 1, 3, 255)),
        ("I;16", (0, 1, 3, 255, 256, 65535)),
        ("P", (0, 1, 3, 255)),
        ("P4", (0, 1, 3, 15)),
        ("P2", (0, 1, 3)),
        ("P1", (0, 1)),
    ],
)
def test_kinds_of_masks(tmp_path: Path, kind: str, values: tuple[int, ...]) -> None:
    write(tmp_path, ("b.jpg",))
    save(tmp_path / "masks/object/b.png", plane(*values), kind)
    plane_values = {0: 1, 3: 2, 7: 2, 65535: 5}
    assert_planes(
        opened(tmp_path).annotation(0),
        plane(*(plane_values.get(v, 0) for v in values)),
        plane(4, 3),
    )


def test_a_transparent_palette_is_a_palette(tmp_path: Path) -> None:
    write(tmp_path, ("b.jpg",))
    mask = Image.frombytes("P", SIZE[::-1], plane(0, 3).astype(np.uint8).tobytes())
    mask.putpalette(bytes(768))
    mask.save(tmp_path / "masks/object/b.png", transparency=bytes(256))
    assert_planes(opened(tmp_path).annotation(0), plane(1, 2), plane(4, 3))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_a_mask_in_colour_is_no_mask(tmp_path: Path, mode: str) -> None:
    concepts = opened(write(tmp_path))
    Image.new(mode, SIZE[::-1]).save(tmp_path / "masks/object/b.png")
    with pytest.raises(
        ValueError,
        match=rf"the mask object/b\.png is of mode {mode}; a mask is 8 or 16 bit grey or",
    ):
        concepts.annotation(1)


def test_further_planes(tmp_path: Path) -> None:
    masks = {
        "object/b": plane(0),
        "object/b.1": plane(3),
        "object/b.2": plane(9, 0),
        "object/b.4": plane(3),  # 3 is missing: not reached
        "part/b.1": plane(1),  # without a first one
        "part/b.10": plane(255),
    }
    annotation = opened(write(tmp_path, ("b.jpg",), masks)).annotation(0)
    assert_planes(annotation, plane(1), plane(2), plane(0, 1), plane(4))


def test_eleven_planes_in_their_order(tmp_path: Path) -> None:
    masks = {
        f"object/b{'.' * (n > 0)}{n or ''}": plane(0 if n % 2 else 3)
        for n in range(12)
    }
    concept_set = opened(
        write(
            tmp_path,
            ("b.jpg",),
            masks,
            CONCEPTS.replace("part", "object").replace("1,door", "2,door"),
        )
    )
    assert_planes(
        concept_set.annotation(0), *(plane(1 if n % 2 else 2) for n in range(12))
    )


def test_an_image_whose_stem_ends_in_a_number_has_its_own_mask(
    tmp_path: Path,
) -> None:
    masks = {
        "object/b": plane(0),
        "object/b.1": plane(3),
        "object/b.1.1": plane(0, 3),
        "object/b.2": plane(3, 0),
    }
    masks |= {"part/b": plane(1), "part/b.2": plane(255)}
    annotations = by_name(
        opened(write(tmp_path, ("b.jpg", "b.1.jpg", "b.2.jpg"), masks))
    )
    assert_planes(annotations["b.jpg"], plane(1), plane(4))
    assert_planes(annotations["b.1.jpg"], plane(2), plane(1, 2))
    assert_planes(annotations["b.2.jpg"], plane(2, 1), plane(3))


def test_dots_unicode_spaces_and_upper_case(tmp_path: Path) -> None:
    names = ("v1.0/straße.left.final.JPG", "日本 語/空.jpeg", "C.Png", "b..jpg")
    concepts = opened(
        write(
            tmp_path, names, labels=f"image,category,name\n{names[1]},scene,höhe\n"
        )
    )
    assert {concepts.name(i) for i in range(len(concepts))} == set(names)
    for image in range(len(concepts)):
        assert_planes(concepts.annotation(image), plane(1, 2, 0), plane(4, 3))
        assert concepts.image(image).size == SIZE[::-1]
    assert by_name(concepts)[names[1]].labels == (6,)


def test_masks_with_an_upper_case_ending(tmp_path: Path) -> None:
    write(tmp_path)
    for name in ("a/x", "b"):
        (tmp_path / f"masks/object/{name}.png").rename(
            tmp_path / f"masks/object/{name}.PNG"
        )
    save(tmp_path / "masks/object/b.1.PnG", plane(3))
    annotations = by_name(opened(tmp_path))
    assert_planes(annotations["a/x.jpg"], plane(1, 2, 0), plane(4, 3))
    assert_planes(annotations["b.jpg"], plane(1, 2, 0), plane(2), plane(4, 3))


def test_images_may_lack_masks_and_labels(tmp_path: Path) -> None:
    masks = {"object/a/x": plane(0), "part/b": plane(1)}
    annotations = by_name(
        opened(write(tmp_path, ("a/x.jpg", "b.jpg", "c.jpg"), masks))
    )
    assert_planes(annotations["a/x.jpg"], plane(1))
    assert_planes(annotations["b.jpg"], plane(4))
    assert annotations["c.jpg"] == Annotation([], ())


@pytest.mark.parametrize("concepts", [None, "category,value,name\n"])
def test_only_whole_image_labels(tmp_path: Path, concepts: str | None) -> None:
    concept_set = opened(
        write(tmp_path, masks={}, concepts=concepts, labels=LABELS)
    )
    assert concept_set.concepts == (
        Concept("street", "scene"),
        Concept("sea", "scene"),
        Concept("tree", "object"),
    )
    assert concept_set.annotation(0) == Annotation([], (2, 3))


def test_a_listed_category_may_be_of_labels_alone(tmp_path: Path) -> None:
    concepts = opened(
        write(
            tmp_path,
            concepts=CONCEPTS + "scene,1,sea\nscene,2,street\n",
            labels=LABELS,
        )
    )
    assert [c.name for c in concepts.concepts if c.category == "scene"] == [
        "sea",
        "street",
    ]
    assert concepts.annotation(1).labels == (7,)


def test_hidden_files_and_other_files_are_no_images(tmp_path: Path) -> None:
    write(tmp_path)
    for name in (
        "images/._b.jpg",
        "images/.thumbs/b.jpg",
        "images/notes.txt",
        "images/b.pdf",
        "masks/object/._b.png",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"?")
    (tmp_path / "masks" / ".cache").mkdir()
    (tmp_path / "masks" / "notes").mkdir()  # holds no masks
    (tmp_path / "masks" / "README.txt").touch()
    assert len(opened(tmp_path)) == 2


def test_links_are_followed(tmp_path: Path) -> None:
    write(tmp_path / "there")
    (tmp_path / "here" / "images").mkdir(parents=True)
    (tmp_path / "here" / "images" / "linked").symlink_to(
        tmp_path / "there" / "images"
    )
    (tmp_path / "here" / "masks" / "object").mkdir(parents=True)
    (tmp_path / "here" / "masks" / "object" / "linked").symlink_to(
        tmp_path / "there" / "masks" / "object"
    )
    (tmp_path / "here" / "concepts.csv").write_text(
        "category,value,name\nobject,0,sky\n"
    )
    annotations = by_name(opened(tmp_path / "here"))
    assert list(annotations) == ["linked/a/x.jpg", "linked/b.jpg"]
    assert_planes(annotations["linked/b.jpg"], plane(1, 0, 0))


def test_a_link_to_nowhere_is_an_image_that_cannot_be_read(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "images/c.jpg").symlink_to(tmp_path / "nowhere.jpg")
    concepts = opened(tmp_path)
    assert concepts.name(2) == "c.jpg"
    with pytest.raises(FileNotFoundError):
        concepts.image(2)


@pytest.mark.parametrize(
    "size", [SIZE, (32, 48), (8, 12), (1, 2), (1, 1), (7, 11), (15, 24), (3, 4)]
)
def test_masks_of_other_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    masks = {"object/b": plane(0, 3, size=size), "part/b": plane(1)}
    annotation = opened(write(tmp_path, ("b.jpg",), masks)).annotation(0)
    assert_planes(annotation, plane(1, 2, size=size), plane(4))


@pytest.mark.parametrize(
    "size", [SIZE[::-1], (16, 16), (16, 26), (8, 16), (48, 80), (1, 4)]
)
def test_a_mask_of_another_aspect(tmp_path: Path, size: tuple[int, int]) -> None:
    concepts = opened(
        write(
            tmp_path,
            ("b.jpg",),
            {"object/b": plane(0, size=size), "part/b": plane(1)},
        )
    )
    message = (
        rf"the mask object/b\.png is {size[1]}x{size[0]}, "
        "which has not the aspect of its image, 24x16"
    )
    with pytest.raises(ValueError, match=message):
        concepts.annotation(0)


@pytest.mark.parametrize("table", ["concepts.csv", "image_labels.csv"])
@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: text.replace("\n", "\n\n").encode(),
        lambda text: (text + ",,,\n , ,\n").encode(),
        lambda text: text.replace(",", ", ").replace(", ", ",", 2).encode(),
        lambda text: text.rstrip("\n").encode(),
    ],
    ids=["BOM", "CRLF", "CR", "empty lines", "lines of commas", "spaces", "no last line end"],
)  # fmt: skip
def test_dialects_of_csv(
    tmp_path: Path, table: str, change: Callable[[str], bytes]
) -> None:
    texts = {"concepts.csv": CONCEPTS.encode(), "image_labels.csv": LABELS.encode()}
    texts[table] = change(texts[table].decode())
    plain = opened(write(tmp_path / "plain", labels=LABELS))
    dialect = opened(
        write(
            tmp_path / "other",
            concepts=texts["concepts.csv"],
            labels=texts["image_labels.csv"],
        )
    )
    assert dialect.concepts == plain.concepts
    for image in range(2):
        assert_planes(
            dialect.annotation(image),
            *(np.asarray(p) for p in plain.annotation(image).planes),
        )
        assert dialect.annotation(image).labels == plain.annotation(image).labels


def test_columns_in_any_order_commas_and_unicode(tmp_path: Path) -> None:
    table = 'note,name,value,category\n"x, y","leg, hind",3,object\n,空,1,part\n'
    concepts = opened(write(tmp_path, concepts=table))
    assert concepts.concepts == (
        Concept("leg, hind", "object"),
        Concept("空", "part"),
    )


@pytest.mark.parametrize(
    ("table", "text", "message"),
    [
        (
            "concepts.csv",
            "category,name\nobject,sky\n",
            r"concepts\.csv has no column 'value'",
        ),
        (
            "concepts.csv",
            "category;value;name\nobject;1;sky\n",
            "has no column 'category', 'value', 'name'",
        ),
        ("concepts.csv", "", "has no column 'category', 'value', 'name'"),
        (
            "concepts.csv",
            "category,value,name\n\nobject,-1,sky\n",
            r"line 3: the value '-1' is not a whole number from 0 to 65535",
        ),
        (
            "concepts.csv",
            "category,value,name\nobject,1.0,sky\n",
            r"line 2: the value '1\.0' is not a whole number from 0 to 65535",
        ),
        (
            "concepts.csv",
            "category,value,name\nobject,65536,sky\n",
            "the value '65536' is not a whole number from 0 to 65535",
        ),
        (
            "concepts.csv",
            f"category,value,name\nobject,{'9' * 5000},sky\n",
            "is not a whole number from 0 to 65535",
        ),
        (
            "concepts.csv",
            "category,value,name\nobject,1,a\nobject,01,b\n",
            "line 3: the value 1 of category 'object' is listed twice",
        ),
        (
            "concepts.csv",
            "category,value,name\nobject,1,a\nobject,1,a\n",
            "line 3: the value 1 of category 'object' is listed twice",
        ),
        (
            "concepts.csv",
            "category,value,name\nobject,1,leg, hind\n",
            "line 2: more cells than columns; .* in quotes",
        ),
        (
            "concepts.csv",
            "category,value,name\n,1,sky\n",
            "line 2: the column 'category' is empty",
        ),
        (
            "concepts.csv",
            "category,value,name\nobject,1\n",
            "line 2: it ends before the column 'name'; complete it, with commas for empty",
        ),
        (
            "concepts.csv",
            "category,value,name\nobject,1,\n",
            "line 2: the column 'name' is empty",
        ),
        (
            "concepts.csv",
            "category,value,name\nobject,,sky\n",
            "line 2: the column 'value' is empty",
        ),
        (
            "image_labels.csv",
            "image,category\nb.jpg,scene\n",
            r"image_labels\.csv has no column 'name'",
        ),
        (
            "image_labels.csv",
            "image,category,name\nz.jpg,scene,sea\n",
            r"line 2: no image 'z\.jpg' below images/",
        ),
        (
            "image_labels.csv",
            "image,category,name\nb.jpg,scene,\n",
            "line 2: the column 'name' is empty",
        ),
        (
            "image_labels.csv",
            "image,category,name\nb.jpg,scene,sea, rough\n",
            "line 2: more cells than columns",
        ),
    ],
)
def test_a_malformed_table(
    tmp_path: Path, table: str, text: str, message: str
) -> None:
    write(tmp_path, labels=LABELS)
    (tmp_path / table).write_text(text, encoding="utf-8")
    with pytest.raises(ConceptSetInvalid, match=message):
        opened(tmp_path)


@pytest.mark.parametrize("table", ["concepts.csv", "image_labels.csv"])
def test_a_table_that_is_no_text(tmp_path: Path, table: str) -> None:
    write(tmp_path, labels=LABELS)
    (tmp_path / table).write_bytes("category,value,name\n".encode("utf-16"))
    with pytest.raises(ConceptSetInvalid, match=f"{table} cannot be read: .*utf-8"):
        opened(tmp_path)
    (tmp_path / table).unlink()
    (tmp_path / table).mkdir()
    with pytest.raises(ConceptSetInvalid, match=f"{table} cannot be read: "):
        opened(tmp_path)


def test_an_empty_set(tmp_path: Path) -> None:
    with pytest.raises(
        ConceptSetInvalid, match=r"no folder '.*nowhere'; expected masks:ROOT"
    ):
        opened(tmp_path / "nowhere")
    with pytest.raises(
        ConceptSetInvalid, match="no folder given; expected masks:ROOT"
    ):
        open_concepts("masks:")
    no_concepts = (
        r"no concepts in .*; list them in concepts\.csv \(category,value,name\), "
        r"in image_labels\.csv \(image,category,name\), or in both"
    )
    with pytest.raises(ConceptSetInvalid, match=no_concepts):
        opened(tmp_path)
    (tmp_path / "concepts.csv").write_text("category,value,name\n")
    with pytest.raises(ConceptSetInvalid, match=no_concepts):
        opened(tmp_path)
    (tmp_path / "concepts.csv").write_text(CONCEPTS)
    with pytest.raises(ConceptSetInvalid, match=r"no images in .*images"):
        opened(tmp_path)
    (tmp_path / "images").mkdir()
    with pytest.raises(ConceptSetInvalid, match=r"no images in .*images"):
        opened(tmp_path)


def test_a_category_without_masks(tmp_path: Path) -> None:
    write(tmp_path, concepts=CONCEPTS + "material,1,wood\n")
    with pytest.raises(
        ConceptSetInvalid,
        match=r"lists the category 'material', but there is no folder .*masks/material; "
        r".*masks has 'object', 'part'$",
    ):
        opened(tmp_path)
    (tmp_path / "masks/materials").mkdir()
    with pytest.raises(
        ConceptSetInvalid,
        match=r"no folder .*; .*masks has 'materials', which concepts.csv does not list",
    ):
        opened(tmp_path)
    (tmp_path / "masks/material").mkdir()
    save_image(tmp_path / "masks/material/b.jpg")
    with pytest.raises(
        ConceptSetInvalid,
        match=r"no mask in .*material belongs to an image; a mask has the path of its"
        r".* with the ending \.png; the folder holds b\.jpg",
    ):
        opened(tmp_path)
    save(tmp_path / "masks/material/z.png", plane(1))
    (tmp_path / "image_labels.csv").write_text(
        "image,category,name\nb.jpg,material,wood\n"
    )
    with pytest.raises(
        ConceptSetInvalid, match=r"no mask in .*material belongs to an image"
    ):
        opened(tmp_path)


def test_a_category_without_concepts(tmp_path: Path) -> None:
    write(tmp_path)
    save(tmp_path / "masks/Object/b.png", plane(1))
    with pytest.raises(
        ConceptSetInvalid,
        match=r"Object holds masks, but concepts\.csv lists no concept of category 'Object'",
    ):
        opened(tmp_path)


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(
            {
                "empty": b"",
                "truncated": content[: len(content) * 2 // 3],
                "text": b"not an image",
            }[how]
        )


@pytest.mark.parametrize("how", ["missing", "empty", "truncated", "text"])
def test_a_mask_that_cannot_be_read_is_named(tmp_path: Path, how: str) -> None:
    concepts = opened(write(tmp_path))
    damage(tmp_path / "masks/part/b.png", how)
    with pytest.raises(ValueError, match=r"the mask part/b\.png cannot be read: ."):
        concepts.annotation(1)
    assert len(concepts.annotation(0).planes) == 2
    assert concepts.image(1).size == SIZE[::-1]


@pytest.mark.parametrize("how", ["missing", "empty", "truncated", "text"])
def test_an_image_that_cannot_be_read(tmp_path: Path, how: str) -> None:
    concepts = opened(write(tmp_path))
    damage(tmp_path / "images/b.jpg", how)
    with pytest.raises(OSError):
        concepts.image(1)
    assert len(opened(tmp_path)) == (1 if how == "missing" else 2)


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"]
)
def test_modes_of_images(tmp_path: Path, mode: str) -> None:
    name = "images/b.tif" if mode == "CMYK" else "images/b.png"
    write(
        tmp_path,
        ("a/x.jpg",),
        {"object/b": plane(0), "part/b": plane(1)} | {"object/a/x": plane(0)},
    )
    Image.new(mode, SIZE[::-1]).save(tmp_path / name)
    image = opened(tmp_path).image(1)
    assert image.mode == mode and image.convert("RGB").size == SIZE[::-1]


def test_the_fingerprint_is_of_the_content(tmp_path: Path) -> None:
    def fingerprint(folder: str) -> str:
        return opened(tmp_path / folder).identity.fingerprint

    write(tmp_path / "here", labels=LABELS)
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    assert fingerprint("here") == fingerprint("there")
    assert opened(tmp_path / "here").identity.source == f"masks:{tmp_path}/here"
    fingerprints = {fingerprint("there")}
    save_image(tmp_path / "there/images/c.jpg")
    fingerprints.add(fingerprint("there"))
    save(tmp_path / "there/masks/object/c.png", plane(0))
    fingerprints.add(fingerprint("there"))
    save(
        tmp_path / "there/masks/object/c.png",
        np.random.default_rng(0).integers(0, 9, SIZE),
    )
    fingerprints.add(fingerprint("there"))
    (tmp_path / "there/concepts.csv").write_text(CONCEPTS.replace("door", "gate"))
    fingerprints.add(fingerprint("there"))
    (tmp_path / "there/image_labels.csv").write_text(LABELS.replace("sea", "bay"))
    fingerprints.add(fingerprint("there"))
    assert len(fingerprints) == 6


@pytest.mark.skipif(os.name == "nt", reason="file names are Unicode there")
def test_a_file_name_that_is_no_unicode(tmp_path: Path) -> None:
    write(tmp_path)
    try:
        shutil.copy(
            tmp_path / "images/b.jpg",
            tmp_path / "images" / os.fsdecode(b"\xff.jpg"),
        )
    except OSError:
        pytest.skip("this file system holds Unicode names only")
    concepts = opened(tmp_path)
    assert len(concepts) == 3 and concepts.image(2).size == SIZE[::-1]


@pytest.mark.filterwarnings(
    "ignore:.*multi-threaded, use of fork:DeprecationWarning"
)
@pytest.mark.parametrize(
    "context",
    sorted({"fork", "spawn"}.intersection(multiprocessing.get_all_start_methods())),
)
def test_workers_read_the_same(tmp_path: Path, context: str) -> None:
    concepts = opened(write(tmp_path, labels=LABELS))
    items = pickle.loads(pickle.dumps(Annotations(concepts)))
    batches = list(
        DataLoader(items, None, num_workers=2, multiprocessing_context=context)
    )
    assert len(batches) == 2
    for planes in batches:
        assert_planes(Annotation(planes), plane(1, 2, 0), plane(4, 3))


@pytest.mark.parametrize("source", ["made", "real"])
def test_as_the_slow_twin_reads_it(
    tmp_path: Path, request: pytest.FixtureRequest, source: str
) -> None:
    if source == "real":
        root = request.getfixturevalue("real_data") / "camvid"
    else:
        root = write(
            tmp_path, ("a/x.jpg", "b.jpg", "b.1.jpg", "c.d.JPG"), labels=LABELS
        )
        save(root / "masks/part/b.2.png", plane(1))
        save(root / "masks/part/c.d.1.png", plane(1))
    concepts, probe_set = opened(root), reference.read_masks(root)
    assert [
        (concept.name, concept.category) for concept in concepts.concepts
    ] == probe_set.concepts
    assert list(concepts.categories) == probe_set.categories
    assert [concepts.name(i) for i in range(len(concepts))] == probe_set.names
    for image in range(0, len(concepts), 1 + len(concepts) // 48):
        planes, labels = probe_set.annotation(image)
        assert_planes(concepts.annotation(image), *planes)
        assert list(concepts.annotation(image).labels) == labels
        with Image.open(probe_set.images[image]) as expected:
            assert np.array_equal(
                np.asarray(concepts.image(image)), np.asarray(expected)
            )


def test_what_does_not_belong_together_is_noted(tmp_path: Path) -> None:
    masks = {
        "object/a/x": plane(0),
        "object/b": plane(3),
        "object/b.1": plane(7),
        "object/c": plane(3),
        "part/a/x": plane(1),
        "part/old/x": plane(1),
    }
    root = write(tmp_path, masks=masks, labels=LABELS)
    assert opened(root).notes == (  # type: ignore[attr-defined]
        "1 of 2 images have no mask of category part, for example b.jpg",
        "2 masks match no image, for example object/c.png",
    )
    assert opened(write(tmp_path / "whole")).notes == ()  # type: ignore[attr-defined]
