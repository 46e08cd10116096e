"""Tests of the concept set ``boxes``: as a user meets it, on small drawn data sets."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from nd_boxes.example import CLASSES, write_example
from nd_boxes.painting import Box, paint
from nd_boxes.reader import Boxes
from nd_plugin import (
    ConceptSet,
    ConceptSetInvalid,
    LayerDissection,
    NDError,
    Preprocess,
    open_concepts,
)
from nd_plugin.testing import check_concept_set

SIZE = (8, 6)  # width, height
CAT, DOG = 1, 2  # plane values
NAMES = ["cat", "dog"]


@pytest.fixture(autouse=True)
def no_progress_bars() -> None:
    datasets.disable_progress_bars()


def picture(orientation: int = 1) -> dict[str, Any]:
    content = BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", SIZE, "grey").save(content, "PNG", exif=exif)
    return {"bytes": content.getvalue(), "path": None}


def objects_feature(**fields: Any) -> Any:
    number = datasets.Value("float32")
    usual = {
        "bbox": datasets.List(number, length=4),
        "category": datasets.ClassLabel(names=NAMES),
    }
    return datasets.List(fields or usual)


def save(
    folder: Path,
    objects: Sequence[Sequence[tuple[Any, Any]]],
    feature: Any = None,
    fields: tuple[str, str] = ("bbox", "category"),
    orientation: int = 1,
) -> str:
    """Save a data set with an image for each list of (box, class)."""
    bbox, label = fields
    features = datasets.Features(
        {"image": datasets.Image(), "objects": feature or objects_feature()}
    )
    rows = [
        {
            "image": picture(orientation),
            "objects": [{bbox: box, label: value} for box, value in items],
        }
        for items in objects
    ]
    table = datasets.Dataset.from_list(rows, features=features)
    table.save_to_disk(str(folder))
    return f"boxes:{folder}"


def planes_of(concepts: ConceptSet, index: int = 0) -> list[list[str]]:
    """Planes as rows of characters: ``.`` nothing, ``c`` a cat, ``d`` a dog."""
    planes: Sequence[npt.NDArray[Any]] = concepts.annotation(index).planes
    return [["".join(".cd"[value] for value in row) for row in p] for p in planes]


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("example")
    assert write_example(folder) == f"boxes:{folder}"
    return folder


def test_the_set_keeps_the_contract(example: Path) -> None:
    check_concept_set(Boxes, str(example))


def test_the_set_keeps_the_contract_where_boxes_reach_beyond_images(
    example: Path,
) -> None:
    """As if the widths and heights were the right and lower edges."""
    check_concept_set(Boxes, str(example), format="xyxy")


def test_boxes_are_painted_to_the_pixel(tmp_path: Path) -> None:
    text = save(tmp_path, [[([1, 1, 3, 2], 0), ([5, 0, 3, 6], 1)]])
    concepts = open_concepts(text)
    assert [(c.name, c.category) for c in concepts.concepts] == [
        ("cat", "object"),
        ("dog", "object"),
    ]
    assert planes_of(concepts) == [
        [
            ".....ddd",
            ".ccc.ddd",
            ".ccc.ddd",
            ".....ddd",
            ".....ddd",
            ".....ddd",
        ]
    ]
    assert concepts.annotation(0).remarks == ()


@pytest.mark.parametrize(
    ("form", "box"),
    [
        ("xywh", [2, 1, 4, 3]),
        ("xyxy", [2, 1, 6, 4]),
        ("yolo", [4 / 8, 2.5 / 6, 4 / 8, 3 / 6]),
    ],
)
def test_formats_of_one_box_give_one_plane(
    tmp_path: Path, form: str, box: list[float]
) -> None:
    text = save(tmp_path, [[(box, 0)]])
    (plane,) = planes_of(open_concepts(f"{text}?format={form}"))
    assert plane == [
        "........",
        "..cccc..",
        "..cccc..",
        "..cccc..",
        "........",
        "........",
    ]


def test_a_smaller_box_inside_another_is_in_a_plane_of_its_own(
    tmp_path: Path,
) -> None:
    small, large = ([2, 2, 2, 2], 0), ([0, 0, 8, 6], 1)
    concepts = open_concepts(save(tmp_path, [[small, large]]))
    back, front = concepts.annotation(0).planes
    assert (np.asarray(back) == DOG).all()
    assert np.argwhere(np.asarray(front) == CAT).tolist() == [
        [2, 2],
        [2, 3],
        [3, 2],
        [3, 3],
    ]


def test_overlapping_boxes_of_one_class_share_a_plane(tmp_path: Path) -> None:
    concepts = open_concepts(
        save(tmp_path, [[([0, 0, 4, 4], 0), ([2, 2, 4, 4], 0)]])
    )
    (plane,) = concepts.annotation(0).planes
    assert int(np.count_nonzero(plane)) == 16 + 16 - 4


@pytest.mark.parametrize(
    ("box", "pixels", "remark"),
    [
        ([-3, -3, 5, 5], 4, "clipped: is format=xywh right?"),
        ([6, 4, 9, 9], 4, "clipped: is format=xywh right?"),
        ([20, 20, 5, 5], 0, "clipped: is format=xywh right?"),
        ([-0.4, 0, 1.4, 1], 1, None),  # rounding of an annotator
        ([1, 1, 0, 3], 0, "boxes without area"),
        ([1, 1, -2, 3], 0, "boxes without area"),
        ([1.6, 1, 0.3, 3], 0, "that no pixel is inside"),
        ([float("nan"), 1, 2, 2], 0, "boxes without area"),
        ([0, 0, float("inf"), 2], 0, "boxes without area"),
    ],
)
def test_boxes_that_are_not_as_they_should_be_are_remarked(
    tmp_path: Path, box: list[float], pixels: int, remark: str | None
) -> None:
    concepts = open_concepts(save(tmp_path, [[(box, 0)]]))
    annotation = concepts.annotation(0)
    assert sum(map(np.count_nonzero, annotation.planes)) == pixels
    if remark is None:
        assert annotation.remarks == ()
    else:
        assert any(remark in text for text in annotation.remarks)


def test_unknown_classes_are_remarked_and_ignored_ones_are_not(
    tmp_path: Path,
) -> None:
    feature = objects_feature(
        bbox=datasets.List(datasets.Value("float32")),
        category=datasets.Value("int64"),
    )
    names = tmp_path / "names.csv"
    names.write_text("value,name\n3,cat\n7,dog\n")
    boxes = [([0, 0, 2, 2], 3), ([4, 0, 2, 2], 7), ([0, 4, 2, 2], 9)]
    text = save(tmp_path / "set", [boxes], feature)
    concepts = open_concepts(f"{text}?names={names}")
    (remark,) = concepts.annotation(0).remarks
    assert remark == "boxes of classes without a name are left out: 9"
    without = open_concepts(f"{text}?names={names}&ignore=9,7")
    assert [concept.name for concept in without.concepts] == ["cat"]
    assert without.annotation(0).remarks == ()


@pytest.mark.parametrize("as_lists", [False, True])
def test_objects_are_read_box_by_box_or_as_lists(
    tmp_path: Path, as_lists: bool
) -> None:
    """Data sets of earlier versions of `datasets` have the fields as lists."""
    numbers = datasets.List(datasets.Value("float32"), length=4)
    classes = datasets.ClassLabel(names=NAMES)
    items: Any = [{"box": [0, 0, 2, 1], "label": 1}]
    feature: Any = datasets.List({"box": numbers, "label": classes})
    if as_lists:
        items = {"box": [[0, 0, 2, 1]], "label": [1]}
        feature = {"box": datasets.List(numbers), "label": datasets.List(classes)}
    row = {"photo": picture(), "things": items}
    features = {"photo": datasets.Image(), "things": feature}
    table = datasets.Dataset.from_list([row], features=datasets.Features(features))
    table.save_to_disk(str(tmp_path))
    (plane,) = planes_of(open_concepts(f"boxes:{tmp_path}"))
    assert plane[0] == "dd......"


def test_boxes_are_in_the_upright_image(tmp_path: Path) -> None:
    quarter_turn = 6
    text = save(tmp_path, [[([0, 7, 6, 1], 0)]], orientation=quarter_turn)
    annotation = open_concepts(text).annotation(0)
    (plane,) = annotation.planes
    assert plane.shape == (8, 6)
    assert np.asarray(plane)[7].all() and annotation.remarks == ()


def test_splits_are_told_apart_and_one_is_chosen(tmp_path: Path) -> None:
    box = [0, 0, 2, 2]
    for name, count in (("train", 3), ("validation", 2)):
        save(tmp_path / "parts" / name, [[(box, 0)]] * count)
    parts = {
        name: datasets.load_from_disk(str(tmp_path / "parts" / name))
        for name in ("train", "validation")
    }
    datasets.DatasetDict(parts).save_to_disk(str(tmp_path / "set"))
    both = open_concepts(f"boxes:{tmp_path}/set")
    assert [both.name(index) for index in range(len(both))] == [
        "train/000000",
        "train/000001",
        "train/000002",
        "validation/000000",
        "validation/000001",
    ]
    one = open_concepts(f"boxes:{tmp_path}/set?split=validation")
    assert len(one) == 2
    with pytest.raises(ConceptSetInvalid, match="splits are 'train', 'validation'"):
        open_concepts(f"boxes:{tmp_path}/set?split=val")


def test_a_split_without_boxes_is_left_out_with_a_note(tmp_path: Path) -> None:
    save(tmp_path / "train", [[([0, 0, 2, 2], 0)]])
    train = datasets.load_from_disk(str(tmp_path / "train"))
    test = train.remove_columns("objects")
    parts = datasets.DatasetDict({"test": test, "train": train})
    parts.save_to_disk(str(tmp_path / "set"))
    concepts = open_concepts(f"boxes:{tmp_path}/set")
    assert len(concepts) == 1
    assert any("'test' is left out" in note for note in notes_of(concepts))


def notes_of(concepts: ConceptSet) -> Sequence[str]:
    return getattr(concepts, "notes", ())


def test_the_columns_that_are_read_are_noted(tmp_path: Path) -> None:
    text = save(tmp_path, [[([0, 0, 2, 2], 0)]])
    (note,) = notes_of(open_concepts(f"{text}?format=xyxy"))
    assert "'image'" in note and "'objects' (bbox, category)" in note
    assert "Pascal VOC" in note


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("format=coco", "no format 'coco'; known are xywh: left, top, width"),
        ("objects=boxes", "objects=boxes is no column of objects with fields"),
        (
            "image=photo",
            r"image=photo is no column of pictures; there are image \(",
        ),
        ("bbox=corners", "bbox=corners is no field of 'objects'"),
        ("label=name", "label=name is no field of 'objects'; there are bbox"),
        ("ignore=cat", "ignore=cat are no whole numbers"),
        ("ignore=0,1", "every value that has a name is among those to ignore"),
        ("config=x", "config=x, but a folder of save_to_disk holds one"),
        ("names=nowhere.csv", "nowhere.csv"),
        ("colour=red", "no option 'colour'"),
    ],
)
def test_wrong_options_are_named(
    tmp_path: Path, options: str, message: str
) -> None:
    text = save(tmp_path, [[([0, 0, 2, 2], 0)]])
    with pytest.raises(NDError, match=message):
        open_concepts(f"{text}?{options}")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"objects": objects_feature()}, "no column of pictures that image= is"),
        ({"image": datasets.Image()}, "no column of objects with fields that"),
        (
            {
                "image": datasets.Image(),
                "objects": objects_feature(
                    bbox=datasets.List(datasets.Value("float32"))
                ),
            },
            "no field of 'objects' that label= is",
        ),
        (
            {
                "image": datasets.Image(),
                "objects": objects_feature(
                    bbox=datasets.List(datasets.Value("float32")),
                    category=datasets.Value("string"),
                ),
            },
            "are no ClassLabel and have no names: give names=FILE.csv",
        ),
        (
            {
                "left": datasets.Image(),
                "right": datasets.Image(),
                "objects": objects_feature(),
            },
            "several may be the column of pictures that image= is; choose one",
        ),
    ],
)
def test_missing_columns_are_named(
    tmp_path: Path, columns: Mapping[str, Any], message: str
) -> None:
    row = {name: None for name in columns}
    features = datasets.Features(dict(columns))
    table = datasets.Dataset.from_list([row], features=features)
    table.save_to_disk(str(tmp_path))
    with pytest.raises(ConceptSetInvalid, match=message):
        open_concepts(f"boxes:{tmp_path}")


def test_what_is_no_saved_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ConceptSetInvalid, match=r"no state\.json .* expected boxes"
    ):
        open_concepts(f"boxes:{tmp_path}")
    with pytest.raises(ConceptSetInvalid, match="no folder"):
        open_concepts(f"boxes:{tmp_path}/nowhere")
    with pytest.raises(ConceptSetInvalid, match="no data set given"):
        open_concepts("boxes:")


def test_files_outside_of_the_folder_are_not_read(tmp_path: Path) -> None:
    save(tmp_path / "set", [[([0, 0, 2, 2], 0)]])
    state = tmp_path / "set" / "state.json"
    content = json.loads(state.read_text())
    content["_data_files"] = [{"filename": "../other.arrow"}]
    state.write_text(json.dumps(content))
    with pytest.raises(ConceptSetInvalid, match="outside"):
        open_concepts(f"boxes:{tmp_path}/set")


def test_a_row_without_a_picture_or_with_a_broken_box_is_skipped(
    tmp_path: Path,
) -> None:
    feature = objects_feature(
        bbox=datasets.List(datasets.Value("float32")),
        category=datasets.ClassLabel(names=NAMES),
    )
    text = save(tmp_path, [[([0, 0, 2], 0)], [([0, 0, 2, 2], 1)]], feature)
    concepts = open_concepts(text)
    with pytest.raises(ValueError, match=r"000000 is .*, and not of four numbers"):
        concepts.annotation(0)
    assert planes_of(concepts, 1)[0][0] == "dd......"


def test_the_fingerprint_is_of_pixels_boxes_and_options(tmp_path: Path) -> None:
    text = save(tmp_path / "a", [[([0, 0, 2, 2], 0)]])
    moved = save(tmp_path / "b", [[([1, 0, 2, 2], 0)]])
    prints = [
        open_concepts(opened).identity.fingerprint
        for opened in (text, moved, f"{text}?format=xyxy", f"{text}?ignore=1")
    ]
    assert len(set(prints)) == 4
    assert open_concepts(text).identity.fingerprint == prints[0]


def test_workers_get_the_files_and_not_the_table(tmp_path: Path) -> None:
    rows = [[([0, 0, 2, 2], index % 2)] for index in range(400)]
    concepts = open_concepts(save(tmp_path, rows))
    pickled = pickle.dumps(concepts)
    assert len(pickled) < 20_000
    assert planes_of(pickle.loads(pickled), 399) == planes_of(concepts, 399)


def test_boxes_of_many_classes_need_as_few_planes_as_they_overlap() -> None:
    apart = [Box(x, 0, x + 1, 1, value=x + 1) for x in range(300)]
    planes, unpainted = paint(apart, (1, 300), 300)
    assert len(planes) == 1 and unpainted == 0
    assert np.array_equal(planes[0], np.arange(1, 301)[None])


def test_a_planted_detector_is_found(tmp_path: Path) -> None:
    """Unit 0 answers to red and unit 1 to blue, as the example's boxes are."""
    convolution = torch.nn.Conv2d(3, 2, 1, bias=False)
    weights = torch.tensor([[1.0, -1.0, -1.0], [-1.0, -1.0, 1.0]])
    convolution.weight.data = weights[:, :, None, None]
    model = torch.nn.Sequential(convolution)
    as_stored = Preprocess(
        mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), size=(64, 96), source="as stored"
    )
    # a fifth of the pixels may be above T_k: more than a box has, so T_k is the background's value
    dissection: Any = LayerDissection(model, "0").dissect(
        write_example(tmp_path),
        quantile=0.2,
        mask_size="64x96",
        preprocess=as_stored,
        workers=0,
    )
    scores = dissection.unit_scores()
    assert [score.concept for score in scores] == list(CLASSES)
    # but for what the other box hides
    assert all(score.detector and score.iou > 0.8 for score in scores)
    assert "'objects' (bbox, category)" in " ".join(dissection.notes)
