"""Concept set ``broden``: the original layout, its variants, and the errors for malformed ones."""

from __future__ import annotations

import multiprocessing
import pickle
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import reference
from PIL import Image
from spawned import Annotations
from torch.utils.data import DataLoader
from written_sets import write_broden

from nd_broden.reader import Broden
from nd_plugin import (
    Annotation,
    Concept,
    ConceptSet,
    ConceptSetInvalid,
    open_concepts,
)

Numbers = npt.NDArray[np.integer]

TABLES = {
    "category.csv": "name,first,last,count,frequency\n"
    "color,1,2,2,9\nobject,3,6,3,9\npart,5,6,2,9\ntexture,7,8,2,9\n",
    "label.csv": "number,name,category,frequency,coverage,syns\n"
    "1,black-c,color(7),7,4.5,\n"
    "2,red-c,color(3),3,1.5,\n"
    "3,sky,object(5),5,3.25,heavens;firmament\n"
    "300,car,object(2),2,0.5,auto;automobile\n"
    "5,wheel,part(4);object(1),5,0.7,\n"
    '6,"leg, hind",part(2),2,0.1,"limb;leg, back"\n'
    "7,striped,texture(1),1,1.0,\n"
    "8,dotted,texture(1),1,1.0,\n",
    "c_color.csv": "code,number,name,frequency,coverage\n1,1,black-c,7,4.5\n2,2,red-c,3,1.5\n",
    "c_object.csv": "code,number,name,frequency,coverage\n"
    "1,3,sky,5,3.25\n2,300,car,2,0.5\n3,5,wheel,1,0.2\n",
    "c_part.csv": 'code,number,name,frequency,coverage\n1,5,wheel,4,0.5\n2,6,"leg, hind",2,1e-05\n',
    "c_texture.csv": "code,number,name,frequency,coverage\n1,7,striped,1,1.0\n2,8,dotted,1,1.0\n",
    "index.csv": "image,split,ih,iw,sh,sw,color,object,part,texture\n"
    "a/full.jpg,train,8,12,4,6,a/c.png,a/o.png,a/p1.png;a/p2.png,7;8\n"
    "a/object.jpg,val,8,12,4,6,,a/o.png,,\n"
    "a/texture.jpg,val,8,12,4,6,,,,8\n"
    "a/nothing.jpg,val,8,12,4,6,,,,\n",
}
ORDER = (
    "black-c",
    "red-c",
    "sky",
    "wheel",
    "leg, hind",
    "striped",
    "dotted",
    "car",
)  # by label number


def checkered(*numbers: int, size: tuple[int, int] = (4, 6)) -> Numbers:
    """A plane on which these label numbers follow each other, pixel by pixel."""
    return np.resize(np.array(numbers, np.int64), size)


def save_mask(path: Path, numbers: Numbers, mode: str = "RGB") -> None:
    """Save numbers as red + 256 * green; blue and alpha are to be ignored."""
    channels = [
        numbers % 256,
        numbers // 256,
        np.full_like(numbers, 200),
        np.full_like(numbers, 3),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.stack(channels[: len(mode)], axis=-1).astype(np.uint8)).save(
        path
    )


def save_image(path: Path, size: tuple[int, int] = (8, 12)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(path.name)).integers(
        0, 256, (*size, 3), dtype=np.uint8
    )
    Image.fromarray(noise).save(path)


def write(
    root: Path, changes: Mapping[str, str | bytes | None] | None = None
) -> Path:
    """The set of TABLES below ``root``, some tables changed (None: left out)."""
    for name in ("c.png", "o.png", "p1.png", "p2.png"):
        numbers = {"c": (1, 2, 0), "o": (3, 300, 0, 5), "p1": (5, 0), "p2": (0, 6)}[
            name[:-4]
        ]
        save_mask(root / "images" / "a" / name, checkered(*numbers))
    for name in ("full", "object", "texture", "nothing"):
        save_image(root / "images" / "a" / f"{name}.jpg")
    for table, text in {**TABLES, **(changes or {})}.items():
        if text is not None:
            (root / table).write_bytes(
                text if isinstance(text, bytes) else text.encode()
            )
    return root


def opened(
    root: Path, changes: Mapping[str, str | bytes | None] | None = None
) -> ConceptSet:
    return open_concepts(f"broden:{write(root, changes)}")


def index_of(
    *rows: str, columns: str = "image,split,ih,iw,sh,sw,color,object,part,texture"
) -> dict[str, str]:
    return {"index.csv": "\n".join([columns, *rows]) + "\n"}


def values(concepts: ConceptSet, numbers: Sequence[int]) -> list[int]:
    """What planes hold for these label numbers of TABLES."""
    plane_values = {0: 0, 1: 1, 2: 2, 3: 3, 5: 4, 6: 5, 7: 6, 8: 7, 300: 8}
    assert [concept.name for concept in concepts.concepts] == list(ORDER)
    return [plane_values[number] for number in numbers]


def assert_same(annotation: Annotation, expected: reference.Annotation) -> None:
    planes, labels = expected
    assert len(annotation.planes) == len(planes)
    for plane, expected_plane in zip(annotation.planes, planes, strict=True):
        assert np.array_equal(plane, expected_plane)
    assert list(annotation.labels) == labels


def test_vocabulary(tmp_path: Path) -> None:
    concepts = opened(tmp_path)
    assert concepts.categories == ("color", "object", "part", "texture")
    assert concepts.concepts == (
        Concept("black-c", "color"),
        Concept("red-c", "color"),
        Concept("sky", "object", ("heavens", "firmament")),
        Concept("wheel", "part"),
        Concept("leg, hind", "part", ("limb", "leg, back")),
        Concept("striped", "texture"),
        Concept("dotted", "texture"),
        Concept("car", "object", ("auto", "automobile")),
    )
    assert concepts.native_masks


def test_opening_looks_at_no_file_of_an_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fingerprint does, of hundreds of thousands, when it is asked for."""
    measured: list[str] = []

    def size_in_bytes(folder: str, path: str) -> int:
        measured.append(path)
        return 0

    monkeypatch.setattr("nd_broden.reader._size_in_bytes", size_in_bytes)
    concepts = opened(tmp_path)
    assert measured == []
    assert concepts.identity.fingerprint
    assert measured


def test_rows(tmp_path: Path) -> None:
    concepts = opened(tmp_path)
    assert [concepts.name(i) for i in range(len(concepts))] == [
        f"a/{name}.jpg" for name in ("full", "object", "texture", "nothing")
    ]
    full = concepts.annotation(0)
    expected_numbers = [(1, 2, 0), (3, 300, 0, 5), (5, 0), (0, 6)]
    assert len(full.planes) == 4 and full.labels == (6, 7) and full.size == (4, 6)
    for plane, numbers in zip(full.planes, expected_numbers, strict=True):
        assert np.array_equal(plane, checkered(*values(concepts, numbers)))
    assert (
        len(concepts.annotation(1).planes) == 1
        and concepts.annotation(1).labels == ()
    )
    assert concepts.annotation(2) == Annotation([], (7,), (4, 6))
    assert concepts.annotation(3) == Annotation([], (), (4, 6))
    assert concepts.image(0).size == (12, 8)
    probe_set = reference.read_broden(tmp_path)
    for image in range(4):
        assert_same(concepts.annotation(image), probe_set.annotation(image))


def test_planes_and_numbers_mixed_in_one_field(tmp_path: Path) -> None:
    concepts = opened(
        tmp_path,
        index_of("a/full.jpg,train,8,12,4,6,2; a/c.png ;;1,a/o.png;300,,0;08;"),
    )
    annotation = concepts.annotation(0)
    assert [plane.max() for plane in annotation.planes] == [2, 8]
    assert sorted(annotation.labels) == sorted(values(concepts, (2, 1, 300, 8)))


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_numbers_are_red_and_green(tmp_path: Path, mode: str) -> None:
    write(tmp_path)
    save_mask(tmp_path / "images/a/o.png", checkered(300, 3, 0), mode)
    concepts = open_concepts(f"broden:{tmp_path}")
    assert np.array_equal(
        concepts.annotation(1).planes[0], checkered(*values(concepts, (300, 3, 0)))
    )


def test_all_sixteen_bits_of_a_number(tmp_path: Path) -> None:
    row = "65535,last,object(1),1,0.1,\n"
    concepts = opened(tmp_path, {"label.csv": TABLES["label.csv"] + row})
    save_mask(tmp_path / "images/a/o.png", checkered(65535, 255 * 256, 0))
    with pytest.raises(
        ValueError, match=r"label 65280 in a/o\.png is not in label\.csv"
    ):
        concepts.annotation(1)
    save_mask(tmp_path / "images/a/o.png", checkered(65535, 0))
    assert np.array_equal(
        concepts.annotation(1).planes[0], checkered(len(concepts.concepts), 0)
    )


def test_label_0_is_no_concept(tmp_path: Path) -> None:
    table = TABLES["label.csv"] + "0,-,color(3);object(9),9,9.0,\n"
    concepts = opened(
        tmp_path,
        {
            "label.csv": table,
            **index_of("a/full.jpg,train,8,12,4,6,a/c.png,0,,0;7"),
        },
    )
    assert [concept.name for concept in concepts.concepts] == list(ORDER)
    assert concepts.annotation(0).labels == (6,)
    assert concepts.annotation(0).planes[0].min() == 0


@pytest.mark.parametrize(
    ("listed", "color", "object", "primary"),
    [
        # coverage, not the number of images
        ("color(1);object(9)", "0.75", "0.5", "color"),
        # a tie: the later one in category.csv
        ("object(9);color(1)", "0.5", "0.5", "object"),
        ("color(9);object(9)", "0", "0", "object"),
        ("color(9);object(1)", "1e-05", "2e-05", "object"),
        # no coverage: the number of images stands in
        ("color(3);object(2)", None, "2.5", "color"),
        ("color(3);object(2)", "", "2.5", "color"),
        ("color;object", None, None, "object"),
        # label.csv leaves out one that c_color.csv has
        ("object(2)", "5", "1", "color"),
        ("", "5", None, "color"),
        (" color (4) ; unheard-of(9)", None, None, "color"),
    ],
)
def test_primary_category(
    tmp_path: Path, listed: str, color: str | None, object: str | None, primary: str
) -> None:
    covered = {"color": color, "object": object}
    changes = {"label.csv": f"{TABLES['label.csv']}9,both,{listed},9,0.1,\n"} | {
        f"c_{name}.csv": TABLES[f"c_{name}.csv"]
        + (f"9,9,both,9,{amount}\n" if amount is not None else "")
        for name, amount in covered.items()
    }
    concepts = opened(tmp_path, changes)
    assert {c.name: c.category for c in concepts.concepts}["both"] == primary
    if " " not in listed:
        assert reference.read_broden(tmp_path).concepts[-2] == ("both", primary)


def test_a_category_that_is_nowhere_primary_is_not_listed(tmp_path: Path) -> None:
    table = (
        TABLES["c_object.csv"].replace("5,wheel,1,0.2", "5,wheel,1,0.9")
        + "4,6,leg,1,0.9\n"
    )
    concepts = opened(tmp_path, {"c_object.csv": table})
    assert concepts.categories == ("color", "object", "texture")
    # the planes of 'part' carry labels all the same
    assert len(concepts.annotation(0).planes) == 4


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ((224, 224), (112, 112)),
        ((227, 227), (113, 113)),
        ((384, 384), (192, 192)),
        ((8, 12), (8, 12)),
        ((30, 20), (7, 5)),
    ],
)
def test_any_size(
    tmp_path: Path, image: tuple[int, int], mask: tuple[int, int]
) -> None:
    row = f"a/i.jpg,train,{image[0]},{image[1]},{mask[0]},{mask[1]},a/m.png,,,7"
    concepts = opened(tmp_path, index_of(row))
    save_image(tmp_path / "images/a/i.jpg", image)
    save_mask(tmp_path / "images/a/m.png", checkered(1, 2, 0, size=mask))
    annotation = concepts.annotation(0)
    assert concepts.image(0).size == image[::-1]
    assert annotation.planes[0].shape == mask == annotation.size


@pytest.mark.parametrize("sizes", ["ih,iw", "ih,iw,sh,sw"])
def test_without_mask_sizes_planes_keep_their_own(
    tmp_path: Path, sizes: str
) -> None:
    empty = "," * sizes.count(",")
    rows = index_of(
        f"a/full.jpg,train,{empty},a/c.png,a/o.png,,",
        columns=f"image,split,{sizes},color,object,part,texture",
    )
    concepts = opened(tmp_path, rows)
    save_mask(tmp_path / "images/a/o.png", checkered(3, 0, size=(2, 3)))
    assert [plane.shape for plane in concepts.annotation(0).planes] == [
        (4, 6),
        (2, 3),
    ]
    assert concepts.annotation(0).size is None


@pytest.mark.parametrize("table", sorted(TABLES))
@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: text.replace("\n", "\n\n").encode(),
        lambda text: (text + ",,,\n , ,\n").encode(),
        lambda text: text.rstrip("\n").encode(),
    ],
    ids=["BOM", "CRLF", "CR", "empty lines", "lines of commas", "no last line end"],
)
def test_dialects_of_csv(tmp_path: Path, table: str, change: object) -> None:
    assert callable(change)
    plain = opened(tmp_path / "plain")
    dialect = opened(tmp_path / "other", {table: change(TABLES[table])})
    assert (plain.concepts, plain.categories, len(plain)) == (
        dialect.concepts,
        dialect.categories,
        len(dialect),
    )
    for image in range(len(plain)):
        annotation = dialect.annotation(image)
        expected = plain.annotation(image)
        assert_same(
            annotation,
            (
                [np.asarray(plane, np.int32) for plane in expected.planes],
                list(expected.labels),
            ),
        )
        assert annotation.size == expected.size


def test_columns_in_any_order_and_further_ones(tmp_path: Path) -> None:
    columns = "note,texture,object,sw,sh,image,color,part"
    concepts = opened(
        tmp_path,
        index_of('"a, b",7;8,a/o.png,6,4,a/full.jpg,,a/p1.png', columns=columns),
    )
    assert len(concepts.annotation(0).planes) == 2 and concepts.annotation(
        0
    ).labels == (6, 7)


def test_one_category_alone(tmp_path: Path) -> None:
    tables = {
        "category.csv": "name\nmaterial\n",
        "label.csv": "number,name,category\n4,wood,material\n2,brick,material(3)\n",
        "c_material.csv": "number,coverage\n2,1.5\n4,\n",
        "index.csv": "image,material\na/full.jpg,a/m.png;4\n",
    }
    concepts = opened(tmp_path, tables)
    save_mask(tmp_path / "images/a/m.png", checkered(2, 0, 4))
    assert concepts.concepts == (
        Concept("brick", "material"),
        Concept("wood", "material"),
    )
    assert np.array_equal(concepts.annotation(0).planes[0], checkered(1, 0, 2))
    assert concepts.annotation(0).labels == (2,)


def test_unicode_and_dots_in_names(tmp_path: Path) -> None:
    row = "日本/straße.v1.2.JPG,train,8,12,4,6,日本/straße.v1.2_color.png,,,"
    concepts = opened(
        tmp_path,
        {
            **index_of(row),
            "label.csv": TABLES["label.csv"].replace("sky", "höhe – 空"),
        },
    )
    save_image(tmp_path / "images/日本/straße.v1.2.JPG")
    save_mask(tmp_path / "images/日本/straße.v1.2_color.png", checkered(1))
    assert concepts.concepts[2].name == "höhe – 空"
    assert concepts.name(0) == "日本/straße.v1.2.JPG"
    assert (
        concepts.image(0).size == (12, 8)
        and concepts.annotation(0).planes[0].max() == 1
    )


@pytest.mark.parametrize(
    ("table", "old", "new", "message"),
    [
        (
            "category.csv",
            "\nobject,",
            "\nobject,1,1,1,1\nobject,",
            "category.csv lists 'color', 'object', 'object'",
        ),
        (
            "category.csv",
            "\nobject,",
            "\n,",
            "lists 'color', '', 'part', 'texture'; expected one category a line",
        ),
        ("category.csv", "\nobject,", "\nobjects,", r"no c_objects\.csv in"),
        (
            "category.csv",
            "\npart,",
            "\nscene,1,1,1,1\npart,",
            r"no c_scene\.csv in",
        ),
        ("category.csv", "name,", "nom,", r"category\.csv has no column 'name'"),
        (
            "category.csv",
            TABLES["category.csv"],
            "name,first\n",
            r"category\.csv is empty",
        ),
        (
            "category.csv",
            TABLES["category.csv"],
            "",
            r"category\.csv has no column 'name'",
        ),
        (
            "label.csv",
            "\n3,sky",
            "\n1,sky",
            r"label\.csv, line 4: the number 1 is listed twice",
        ),
        (
            "label.csv",
            "\n3,sky",
            "\n-3,sky",
            r"label\.csv, line 4: '-3' is not a label number",
        ),
        (
            "label.csv",
            "\n3,sky",
            "\n3.5,sky",
            r"label\.csv, line 4: '3\.5' is not a label number",
        ),
        (
            "label.csv",
            "\n3,sky",
            "\n,sky",
            r"label\.csv, line 4: '' is not a label number",
        ),
        (
            "label.csv",
            "\n3,sky",
            "\n65536,sky",
            r"'65536' is not a label number \(0 to 65535\)",
        ),
        (
            "label.csv",
            "\n3,sky",
            "\n" + 5000 * "9" + ",sky",
            "is not a label number",
        ),
        ("label.csv", "\n3,sky", "\n3,red-c", None),  # same name, other category
        (
            "label.csv",
            "2,red-c",
            "2,black-c",
            "'black-c' of category 'color' is both 1 and 2; rename one of them",
        ),
        (
            "label.csv",
            '"leg, hind"',
            "leg, hind",
            r"label\.csv, line 7: more cells than columns; .* quotes",
        ),
        (
            "label.csv",
            "number,name,category",
            "number,label,kind",
            "has no column 'name', 'category'",
        ),
        (
            "label.csv",
            "2,red-c,color(3)",
            "9,red-c,colour(3)",
            r"label 9 \(red-c\) is of category 'colour\(3\)', which",
        ),
        (
            "label.csv",
            "number,name",
            "number;name",
            "has no column 'number', 'name'",
        ),
        (
            "c_color.csv",
            "4.5",
            "much",
            r"c_color\.csv, line 2: the coverage 'much' is not a number of images",
        ),
        (
            "c_color.csv",
            "4.5",
            "nan",
            "the coverage 'nan' is not a number of images",
        ),
        ("c_color.csv", "4.5", "-1", "the coverage '-1' is not a number of images"),
        (
            "c_color.csv",
            "1,1,black",
            "1,one,black",
            r"c_color\.csv, line 2: 'one' is not a label number",
        ),
        (
            "c_color.csv",
            ",coverage",
            ",cover",
            r"c_color\.csv has no column 'coverage'",
        ),
        ("index.csv", ",color,", ",colour,", r"index\.csv has no column 'color'"),
        ("index.csv", "image,", "file,", r"index\.csv has no column 'image'"),
        (
            "index.csv",
            "\na/object.jpg,",
            "\n,",
            r"index\.csv, line 3: the column 'image' is empty",
        ),
        (
            "index.csv",
            "8,12,4,6,,a/o.png",
            "8,12,4,0,,a/o.png",
            r"line 3: the size sh, sw is '4', '0'; expected two positive",
        ),
        (
            "index.csv",
            "8,12,4,6,,a/o.png",
            "8,12,4.5,6,,a/o.png",
            r"line 3: the size sh, sw is '4\.5', '6'",
        ),
        (
            "index.csv",
            "8,12,4,6,,a/o.png,,",
            "8,12,4,6,,a/o.png,,,7",
            r"line 3: more cells than columns",
        ),
        (
            "index.csv",
            TABLES["index.csv"][TABLES["index.csv"].index("\n") :],
            "\n",
            r"index\.csv lists no image",
        ),
    ],
)
def test_a_malformed_table(
    tmp_path: Path, table: str, old: str, new: str, message: str | None
) -> None:
    assert old in TABLES[table]
    changes = {table: TABLES[table].replace(old, new)}
    if message is None:
        assert len(opened(tmp_path, changes).concepts) == 8
        return
    with pytest.raises(ConceptSetInvalid, match=message):
        opened(tmp_path, changes)


def test_a_category_without_concepts(tmp_path: Path) -> None:
    changes = {
        "category.csv": TABLES["category.csv"] + "scene,0,0,0,0\n",
        "c_scene.csv": "code,number,name,frequency,coverage\n",
        **index_of(
            "a/full.jpg,train,8,12,4,6,,,,,",
            columns="image,split,ih,iw,sh,sw,color,object,part,texture,scene",
        ),
    }
    with pytest.raises(
        ConceptSetInvalid,
        match=r"category 'scene' has no concept in .*label\.csv; delete it from categ",
    ):
        opened(tmp_path, changes)


@pytest.mark.parametrize("table", sorted(TABLES))
def test_a_missing_table(tmp_path: Path, table: str) -> None:
    with pytest.raises(
        ConceptSetInvalid, match=f"no {table} in .*: it is not in Broden's layout"
    ):
        opened(tmp_path, {table: None})


@pytest.mark.parametrize("table", sorted(TABLES))
def test_a_table_that_is_no_text(tmp_path: Path, table: str) -> None:
    with pytest.raises(ConceptSetInvalid, match=f"{table} cannot be read: .*utf-8"):
        opened(tmp_path, {table: TABLES[table].encode("utf-16")})


def test_a_table_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "label.csv").mkdir()
    with pytest.raises(ConceptSetInvalid, match=r"label\.csv cannot be read"):
        opened(tmp_path, {"label.csv": None})


def test_no_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ND_CACHE", str(tmp_path))
    with pytest.raises(
        ConceptSetInvalid, match=r"no folder '.*nowhere'; expected broden:ROOT"
    ):
        open_concepts(f"broden:{tmp_path}/nowhere")
    with pytest.raises(
        ConceptSetInvalid, match="no folder given; expected broden:ROOT"
    ):
        open_concepts("broden:")
    (tmp_path / "file").touch()
    with pytest.raises(ConceptSetInvalid, match="no folder"):
        open_concepts(f"broden:{tmp_path}/file")


def test_another_index(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "short.csv").write_text(
        TABLES["index.csv"].rsplit("\n", 3)[0], encoding="utf-8"
    )
    concepts = open_concepts(f"broden:{tmp_path}?index=short.csv")
    assert len(concepts) == 2
    assert concepts.identity.source == f"broden:{tmp_path}?index=short.csv"
    assert (
        concepts.identity.fingerprint
        != open_concepts(f"broden:{tmp_path}").identity.fingerprint
    )
    with pytest.raises(ConceptSetInvalid, match=r"no none\.csv in"):
        open_concepts(f"broden:{tmp_path}?index=none.csv")


@pytest.mark.parametrize("path", ["images/3.bmp", "images/3_object.png"])
def test_sizes_of_images_and_masks_are_part_of_the_fingerprint(
    tmp_path: Path, path: str
) -> None:
    text = write_broden(tmp_path)
    before = open_concepts(text).identity
    assert open_concepts(text).identity == before
    file = tmp_path / path
    content = file.read_bytes()
    file.write_bytes(content + b"\0")
    assert open_concepts(text).identity.fingerprint != before.fingerprint
    file.unlink()
    assert open_concepts(text).identity.fingerprint != before.fingerprint
    file.write_bytes(content)
    assert open_concepts(text).identity == before


def test_the_files_of_an_image_are_it_and_its_masks(tmp_path: Path) -> None:
    concepts = Broden(str(write_broden(tmp_path)).removeprefix("broden:"))
    assert concepts.files(3) == [
        tmp_path / "images" / "3.bmp",
        tmp_path / "images" / "3_object.png",
    ]


def test_the_fingerprint_is_of_the_content(tmp_path: Path) -> None:
    first = opened(tmp_path / "here")
    second = opened(tmp_path / "there")
    assert first.identity.fingerprint == second.identity.fingerprint
    changed = opened(
        tmp_path / "there",
        {"label.csv": TABLES["label.csv"].replace("firmament", "welkin")},
    )
    assert first.identity.fingerprint != changed.identity.fingerprint


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
    concepts = opened(tmp_path)
    damage(tmp_path / "images/a/p2.png", how)
    with pytest.raises(ValueError, match=r"the mask a/p2\.png cannot be read: ."):
        concepts.annotation(0)
    assert concepts.image(0).size == (12, 8)
    assert len(concepts.annotation(1).planes) == 1


@pytest.mark.parametrize("how", ["missing", "empty", "truncated", "text"])
def test_an_image_that_cannot_be_read(tmp_path: Path, how: str) -> None:
    concepts = opened(tmp_path)
    damage(tmp_path / "images/a/full.jpg", how)
    with pytest.raises(OSError):
        concepts.image(0)
    assert len(concepts.annotation(0).planes) == 4


def test_a_mask_of_another_size_than_the_index_says(tmp_path: Path) -> None:
    concepts = opened(tmp_path)
    save_mask(tmp_path / "images/a/o.png", checkered(3, size=(6, 4)))
    with pytest.raises(
        ValueError,
        match=r"the mask a/o\.png is 6x4, but the index says 4x6 \(sh x sw\)",
    ):
        concepts.annotation(1)


@pytest.mark.parametrize("mode", ["L", "P", "LA", "1", "I;16"])
def test_a_mask_that_is_not_rgb(tmp_path: Path, mode: str) -> None:
    concepts = opened(tmp_path)
    Image.new(mode, (6, 4)).save(tmp_path / "images/a/o.png")
    with pytest.raises(
        ValueError, match=f"the mask a/o.png is of mode {mode}; expected RGB"
    ):
        concepts.annotation(1)


@pytest.mark.parametrize("number", [4, 299, 301, 65535])
def test_a_number_outside_the_vocabulary(tmp_path: Path, number: int) -> None:
    concepts = opened(
        tmp_path,
        index_of(
            "a/full.jpg,,,,4,6,,a/o.png,,", f"a/full.jpg,,,,4,6,,,,7;{number}"
        ),
    )
    save_mask(tmp_path / "images/a/o.png", checkered(3, 0, number, 300))
    with pytest.raises(
        ValueError, match=rf"label {number} in a/o\.png is not in label\.csv"
    ):
        concepts.annotation(0)
    with pytest.raises(
        ValueError, match=rf"label {number} in index\.csv is not in label\.csv"
    ):
        concepts.annotation(1)


def test_what_is_no_number_is_a_mask(tmp_path: Path) -> None:
    concepts = opened(tmp_path, index_of("a/full.jpg,,,,4,6,,²,,"))
    with pytest.raises(ValueError, match="the mask ² cannot be read"):
        concepts.annotation(0)


@pytest.mark.parametrize(
    "cell",
    [
        *(
            "-1",
            "+7",
            "7.5",
            "-0.0",
            "134.01",
            "1e2",
            "nan",
            "inf",
            "1_000",
            "None",
        ),
        *("[7]", "[ 7 8]", "['a/o.png']", "'a/o.png'", '"a/o.png"', "(7,)", "<NA>"),
        *("9" * 5000, f"{'9' * 10}.0"),
    ],
)
def test_a_number_that_is_no_label_number_is_neither_mask_nor_label(
    tmp_path: Path, cell: str
) -> None:
    quoted = cell.replace('"', '""')
    rows = index_of(
        "a/nothing.jpg,,,,4,6,,,,7", f'a/full.jpg,,,,4,6,,"a/o.png;{quoted}",,'
    )
    with pytest.raises(
        ConceptSetInvalid,
        match=rf"\.csv, line 3: {re.escape(repr(cell[:40]))} in the column 'object' is neither",
    ):
        opened(tmp_path, rows)


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"]
)
def test_modes_of_images(tmp_path: Path, mode: str) -> None:
    ending = ".tif" if mode == "CMYK" else ".png"
    concepts = opened(tmp_path, index_of(f"a/mode{ending},,,,4,6,,,,7"))
    Image.new(mode, (12, 8)).save(tmp_path / "images/a" / f"mode{ending}")
    image = concepts.image(0)
    assert image.mode == mode and image.convert("RGB").size == (12, 8)


@pytest.mark.filterwarnings(
    "ignore:.*multi-threaded, use of fork:DeprecationWarning"
)
@pytest.mark.parametrize(
    "context",
    sorted({"fork", "spawn"}.intersection(multiprocessing.get_all_start_methods())),
)
def test_workers_read_the_same(tmp_path: Path, context: str) -> None:
    concepts = opened(tmp_path)
    items = pickle.loads(pickle.dumps(Annotations(concepts)))
    loader = DataLoader(items, None, num_workers=2, multiprocessing_context=context)
    for image, planes in enumerate(loader):
        assert len(planes) == len(concepts.annotation(image).planes)
        assert all(
            np.array_equal(p, q)
            for p, q in zip(planes, concepts.annotation(image).planes, strict=True)
        )
    assert image == 3


def test_the_folder_may_move(tmp_path: Path) -> None:
    opened(tmp_path / "here")
    shutil.move(tmp_path / "here", tmp_path / "there")
    assert len(open_concepts(f"broden:{tmp_path}/there").annotation(0).planes) == 4


@pytest.mark.parametrize("index", ["index.csv", "index_sparse.csv"])
def test_real_data_as_the_slow_twin_reads_it(real_data: Path, index: str) -> None:
    root = real_data / "broden_camvid"
    concepts, probe_set = (
        open_concepts(f"broden:{root}?index={index}"),
        reference.read_broden(root, index),
    )
    assert [
        (concept.name, concept.category) for concept in concepts.concepts
    ] == probe_set.concepts
    assert list(concepts.categories) == probe_set.categories
    assert [concepts.name(i) for i in range(len(concepts))] == probe_set.names
    for image in range(0, len(concepts), 11):
        assert_same(concepts.annotation(image), probe_set.annotation(image))
        with Image.open(probe_set.images[image]) as expected:
            assert np.array_equal(
                np.asarray(concepts.image(image)), np.asarray(expected)
            )
