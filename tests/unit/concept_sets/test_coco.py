"""COCO in its own layout: panoptic segments, instances, stuff."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_sources_b import (
    COCO_CATEGORIES,
    COCO_NAMES,
    SIZE,
    coco_table,
    compressed,
    instance,
    polygon,
    rectangle,
    run_lengths,
    save_photo,
    segment_colours,
    write_coco_images,
    write_coco_instances,
    write_coco_panoptic,
    write_json,
)
from PIL import Image

from nd_plugin import ConceptSetInvalid, Unavailable, open_concepts

PERSON, DOG, TREE, WALL = 1, 2, 3, 4  # values of planes
FIRST, SECOND, THIRD = COCO_NAMES
INSTANCES = "annotations/instances_val2017.json"
PANOPTIC = "annotations/panoptic_val2017.json"


@pytest.fixture
def masks() -> Any:
    """pycocotools.mask, which instances need."""
    return pytest.importorskip(
        "pycocotools.mask", reason="pip install 'nd_plugin[coco]'"
    )


def edit(path: Path, change: Callable[[Any], None]) -> None:
    """Change a table on disk."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def write_segmentations(root: Path, *segmentations: Any) -> str:
    """Write a table whose first image has persons with these segmentations."""
    annotations = [
        instance(number, FIRST, 1, segmentation)
        for number, segmentation in enumerate(segmentations, start=1)
    ]
    table = coco_table(COCO_NAMES, annotations, COCO_CATEGORIES[:2])
    write_json(root / INSTANCES, table)
    write_coco_images(root / "val2017")
    return f"coco:{root}"


# ---- panoptic ---------------------------------------------------------------------------------


def test_segments_are_red_plus_256_green_plus_256_squared_blue(
    tmp_path: Path,
) -> None:
    concepts = open_concepts(write_coco_panoptic(tmp_path))
    assert [concept.name for concept in concepts.concepts] == [
        "person",
        "dog",
        "tree",
        "wall",
    ]
    expected = np.zeros(SIZE, np.uint8)
    expected[4:, :8] = PERSON
    expected[4:, 8:16] = WALL
    (plane,) = concepts.annotation(0).planes
    assert np.array_equal(plane, expected)
    expected = np.zeros(SIZE, np.uint8)
    expected[4:, :16] = DOG  # two segments: 257 is (1, 1, 0), 513 is (1, 2, 0)
    expected[4:, 16:24] = TREE
    (plane,) = concepts.annotation(1).planes
    assert np.array_equal(plane, expected)
    (plane,) = concepts.annotation(2).planes
    assert not plane.any()


def test_names_are_without_cocos_own_suffixes_which_are_synonyms(
    tmp_path: Path,
) -> None:
    concepts = open_concepts(write_coco_panoptic(tmp_path)).concepts
    synonyms = {concept.name: concept.synonyms for concept in concepts}
    assert synonyms["tree"] == ("tree-merged",)
    assert synonyms["wall"] == ("wall-other-merged",)
    # a supercategory is none: dog and cat are no synonyms of animal
    assert synonyms["dog"] == ()


@pytest.mark.parametrize("name", ["wall", "wall-other"])
def test_categories_that_would_share_a_name_keep_their_own(
    tmp_path: Path, name: str
) -> None:
    text = write_coco_panoptic(tmp_path)

    def add_wall(table: Any) -> None:
        table["categories"].append(
            {"supercategory": "wall", "isthing": 0, "id": 300, "name": name}
        )

    edit(tmp_path / PANOPTIC, add_wall)
    synonyms = {c.name: c.synonyms for c in open_concepts(text).concepts}
    assert synonyms["wall-other-merged"] == synonyms[name] == ()


def test_a_name_that_is_a_suffix_only_stays(tmp_path: Path) -> None:
    text = write_coco_panoptic(tmp_path)

    def rename(table: Any) -> None:
        table["categories"][0]["name"] = "-other"

    edit(tmp_path / PANOPTIC, rename)
    assert open_concepts(text).concepts[0].name == "-other"


def test_a_segment_that_is_not_listed_is_unlabelled_and_said(
    tmp_path: Path,
) -> None:
    text = write_coco_panoptic(tmp_path)

    def drop_person(table: Any) -> None:
        del table["annotations"][0]["segments_info"][0]

    edit(tmp_path / PANOPTIC, drop_person)
    annotation = open_concepts(text).annotation(0)
    assert np.unique(annotation.planes[0]).tolist() == [0, WALL]
    assert "segments_info does not list" in annotation.remarks[0]


def test_an_image_without_panoptic_mask_has_no_plane(tmp_path: Path) -> None:
    text = write_coco_panoptic(tmp_path)
    edit(tmp_path / PANOPTIC, lambda table: table["annotations"].pop())
    annotation = open_concepts(text).annotation(2)
    assert len(annotation.planes) == 0 and annotation.labels == ()


def test_a_grey_panoptic_mask_is_refused(tmp_path: Path) -> None:
    concepts = open_concepts(write_coco_panoptic(tmp_path))
    mask = concepts.files(0)[1]  # type: ignore[attr-defined]
    Image.new("L", SIZE[::-1]).save(mask)
    with pytest.raises(ValueError, match="of mode L; a panoptic mask is RGB"):
        concepts.annotation(0)


def test_a_panoptic_mask_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    concepts = open_concepts(write_coco_panoptic(tmp_path))
    mask = concepts.files(0)[1]  # type: ignore[attr-defined]
    mask.write_bytes(b"no picture")
    with pytest.raises(
        ValueError, match=r"the mask 000000000139\.png cannot be read"
    ):
        concepts.annotation(0)
    mask.unlink()
    with pytest.raises(
        ValueError, match=r"the mask 000000000139\.png cannot be read"
    ):
        concepts.annotation(0)


def test_a_panoptic_mask_of_another_aspect_is_refused(tmp_path: Path) -> None:
    concepts = open_concepts(write_coco_panoptic(tmp_path))
    mask = concepts.files(0)[1]  # type: ignore[attr-defined]
    colours = segment_colours(np.zeros((24, 24), np.int32))
    Image.fromarray(colours).save(mask)
    with pytest.raises(ValueError, match="not the aspect of its image, 32x24"):
        concepts.annotation(0)


def test_panoptic_needs_its_folder_of_masks(tmp_path: Path) -> None:
    text = write_coco_panoptic(tmp_path)
    folder = tmp_path / "annotations" / "panoptic_val2017"
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(
        ConceptSetInvalid, match=r"unpack panoptic_val2017\.zip there"
    ):
        open_concepts(text)
    with pytest.raises(
        ConceptSetInvalid, match=r"unpack panoptic_val2017\.zip there"
    ):
        open_concepts(f"{text}?annotations={PANOPTIC}")


def test_masks_may_lie_beside_the_images_folder_as_detectron_has_them(
    tmp_path: Path,
) -> None:
    text = write_coco_panoptic(tmp_path)
    folder = tmp_path / "annotations" / "panoptic_val2017"
    folder.rename(tmp_path / "panoptic_val2017")
    (plane,) = open_concepts(text).annotation(0).planes
    assert np.unique(plane).tolist() == [0, PERSON, WALL]


# ---- instances --------------------------------------------------------------------------------


def test_instances_that_overlap_are_in_two_planes(
    tmp_path: Path, masks: Any
) -> None:
    concepts = open_concepts(write_coco_instances(tmp_path))
    persons = rectangle(slice(4, 12), slice(4, 12))
    persons |= rectangle(slice(4, 12), slice(16, 24))
    dog = rectangle(slice(8, 16), slice(8, 20))
    planes = concepts.annotation(0).planes
    assert len(planes) == 2
    assert np.array_equal(np.any([p == PERSON for p in planes], axis=0), persons)
    assert np.array_equal(np.any([p == DOG for p in planes], axis=0), dog)


def test_crowds_and_compressed_run_lengths(tmp_path: Path, masks: Any) -> None:
    concepts = open_concepts(write_coco_instances(tmp_path))
    planes = concepts.annotation(1).planes
    crowd = rectangle(slice(0, 24), slice(0, 10))
    dog = rectangle(slice(20, 24), slice(0, 32))
    assert np.array_equal(np.any([p == PERSON for p in planes], axis=0), crowd)
    assert np.array_equal(np.any([p == DOG for p in planes], axis=0), dog)
    assert len(concepts.annotation(2).planes) == 0


def test_run_lengths_equal_pycocotools(tmp_path: Path, masks: Any) -> None:
    random = np.random.default_rng(0)
    drawn = [random.random(SIZE) < share for share in (0.02, 0.5, 0.98)]
    texts = [compressed(run_lengths(mask)) for mask in drawn]
    encoded = [masks.encode(np.asfortranarray(mask, np.uint8)) for mask in drawn]
    assert texts == [mask["counts"].decode() for mask in encoded]
    for number, (text, mask) in enumerate(zip(texts, drawn, strict=True)):
        root = tmp_path / str(number)
        set_text = write_segmentations(root, {"counts": text, "size": [*SIZE]})
        (plane,) = open_concepts(set_text).annotation(0).planes
        assert np.array_equal(plane == PERSON, mask)


@pytest.mark.parametrize(
    ("counts", "problem"),
    [
        # pycocotools itself returns memory that is not its own for these
        ([5, 5], "run lengths of 10 pixels in all, and its image 768"),
        ("", "run lengths of 0 pixels in all, and its image 768"),
        ([5, 5, 10_000], "run lengths of 10010 pixels in all"),
        ([768, -3, 3], "no run lengths"),
        ([700.0, 68], "no run lengths"),
        ("no!", "no compressed run lengths"),
        ("ooooooooooooooooo", "no compressed run lengths"),
        (None, "no run lengths"),
    ],
)
def test_run_lengths_that_do_not_cover_the_image_are_refused(
    tmp_path: Path, masks: Any, counts: Any, problem: str
) -> None:
    text = write_segmentations(tmp_path, {"counts": counts, "size": [*SIZE]})
    concepts = open_concepts(text)
    with pytest.raises(ValueError, match=problem) as caught:
        concepts.annotation(0)
    assert "annotation 1" in str(caught.value)
    assert len(concepts.annotation(1).planes) == 0  # other images are read


def test_run_lengths_of_another_size_are_refused(
    tmp_path: Path, masks: Any
) -> None:
    segmentation = {"counts": [16 * 48], "size": [16, 48]}
    concepts = open_concepts(write_segmentations(tmp_path, segmentation))
    with pytest.raises(ValueError, match=r"listed as \[24, 32\] \(height, width\)"):
        concepts.annotation(0)


@pytest.mark.parametrize(
    ("polygons", "problem"),
    [
        ([[0, 0, 5, 0, 5]], "no list of numbers"),
        ([["0", 0, 5, 0, 5, 5]], "no list of numbers"),
        ([{"x": 1}], "no list of numbers"),
        ([[0, 0, 1e9, 0, 5, 5]], "far outside its image of 32x24"),
        ([[0, 0, 640, 0, 640, 480]], "are they of another size"),
        ("text", "neither run lengths nor a list"),
    ],
)
def test_polygons_that_are_none_are_refused(
    tmp_path: Path, masks: Any, polygons: Any, problem: str
) -> None:
    concepts = open_concepts(write_segmentations(tmp_path, polygons))
    with pytest.raises(ValueError, match=problem):
        concepts.annotation(0)


def test_polygons_of_two_points_are_left_out_and_said(
    tmp_path: Path, masks: Any
) -> None:
    # pycocotools takes a list of four numbers for a box
    whole = polygon(slice(4, 12), slice(4, 12))
    concepts = open_concepts(write_segmentations(tmp_path, [[0, 0, 5, 5], whole]))
    annotation = concepts.annotation(0)
    assert np.array_equal(
        annotation.planes[0] == PERSON, rectangle(slice(4, 12), slice(4, 12))
    )
    assert annotation.remarks == ("polygons of fewer than three points left out",)


def test_polygons_that_reach_beyond_the_image_are_cut_off_and_said(
    tmp_path: Path, masks: Any
) -> None:
    segmentation = [polygon(slice(4, 12), slice(20, 40))]
    annotation = open_concepts(
        write_segmentations(tmp_path, segmentation)
    ).annotation(0)
    assert np.array_equal(
        annotation.planes[0] == PERSON, rectangle(slice(4, 12), slice(20, 32))
    )
    assert "beyond their image" in annotation.remarks[0]
    # COCO's own often touch the edge, or lie a fraction of a pixel beyond
    close = [polygon(slice(4, 12), slice(20, 32))]
    text = write_segmentations(tmp_path / "close", close)
    assert open_concepts(text).annotation(0).remarks == ()


def test_several_polygons_of_an_instance_are_its_parts(
    tmp_path: Path, masks: Any
) -> None:
    parts = [
        polygon(slice(0, 4), slice(0, 4)),
        polygon(slice(8, 12), slice(0, 4)),
    ]
    (plane,) = (
        open_concepts(write_segmentations(tmp_path, parts)).annotation(0).planes
    )
    expected = rectangle(slice(0, 4), slice(0, 4))
    expected |= rectangle(slice(8, 12), slice(0, 4))
    assert np.array_equal(plane == PERSON, expected)


def test_images_of_another_size_and_the_same_aspect_are_read(
    tmp_path: Path, masks: Any
) -> None:
    text = write_coco_instances(tmp_path)
    write_coco_images(tmp_path / "images" / "val2017", (12, 16))
    concepts = open_concepts(text)
    assert concepts.image(0).size == (16, 12)
    assert concepts.annotation(0).planes[0].shape == SIZE
    write_coco_images(tmp_path / "images" / "val2017", (24, 24))
    with pytest.raises(ValueError, match=r"the size of .* in the table is 32x24"):
        concepts.annotation(0)


def test_a_size_beyond_the_limit_of_pixels_takes_no_memory(
    tmp_path: Path, masks: Any
) -> None:
    text = write_segmentations(tmp_path, {"counts": [1], "size": [300000, 400000]})

    def enlarge(table: Any) -> None:
        table["images"][0].update(height=300_000, width=400_000)

    edit(tmp_path / INSTANCES, enlarge)
    with pytest.raises(ValueError, match="exceeds the limit"):
        open_concepts(text).annotation(0)


def test_instances_without_the_library_name_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(Unavailable, match=r"pip install 'nd_plugin\[coco\]'"):
        open_concepts(write_coco_instances(tmp_path / "instances"))
    # panoptic masks need none
    assert len(open_concepts(write_coco_panoptic(tmp_path / "panoptic"))) == 3


def test_boxes_and_captions_are_no_masks(tmp_path: Path, masks: Any) -> None:
    text = write_segmentations(tmp_path, [])
    with pytest.raises(ConceptSetInvalid, match="boxes, key points and captions"):
        open_concepts(text)


def test_annotations_without_a_mask_are_counted(tmp_path: Path, masks: Any) -> None:
    shape = [polygon(slice(0, 4), slice(0, 4))]
    concepts = open_concepts(write_segmentations(tmp_path, [], shape, []))
    assert concepts.notes == (  # type: ignore[attr-defined]
        f"{INSTANCES}: 2 annotations left out, without segmentation",
    )


# ---- stuff ------------------------------------------------------------------------------------


def test_stuff_has_no_label_for_all_things(tmp_path: Path, masks: Any) -> None:
    categories = [
        {"supercategory": "plant", "id": 94, "name": "branch"},
        {"supercategory": "other", "id": 183, "name": "other"},
    ]
    branch = rectangle(slice(0, 24), slice(0, 8))
    annotations = [
        instance(number, FIRST, category, {"counts": counts, "size": [*SIZE]})
        for number, category, counts in (
            (1, 94, compressed(run_lengths(branch))),
            (2, 183, compressed(run_lengths(~branch))),
        )
    ]
    table = coco_table(COCO_NAMES, annotations, categories)
    write_json(tmp_path / "annotations" / "stuff_val2017.json", table)
    write_coco_images(tmp_path / "val2017")
    concepts = open_concepts(f"coco:{tmp_path}")
    assert [concept.name for concept in concepts.concepts] == ["branch"]
    (plane,) = concepts.annotation(0).planes
    assert np.array_equal(plane == 1, branch)
    assert "'other', all things" in concepts.notes[0]  # type: ignore[attr-defined]


# ---- LVIS -------------------------------------------------------------------------------------


def write_lvis(root: Path) -> str:
    """Write a table of LVIS: images of two folders, named by their URL only."""
    write_coco_instances(root / "coco")
    table = json.loads((root / "coco" / INSTANCES).read_text())
    for entry, folder in zip(
        table["images"], ("train2017", "val2017", "val2017"), strict=True
    ):
        entry["coco_url"] = (
            f"http://images.cocodataset.org/{folder}/{entry['file_name']}"
        )
        del entry["file_name"]
        entry["neg_category_ids"] = [7]
        entry["not_exhaustive_category_ids"] = []
    write_json(root / "annotations" / "lvis_v1_val.json", table)
    write_coco_images(root / "train2017")
    write_coco_images(root / "val2017")
    return f"coco:{root}?annotations=annotations/lvis_v1_val.json&images=."


def test_images_of_lvis_are_named_by_their_urls(tmp_path: Path, masks: Any) -> None:
    concepts = open_concepts(write_lvis(tmp_path))
    assert [concepts.name(index) for index in range(3)] == [
        f"train2017/{FIRST}",
        f"val2017/{SECOND}",
        f"val2017/{THIRD}",
    ]
    whole = open_concepts(f"coco:{tmp_path / 'coco'}")
    for index in range(3):
        planes = concepts.annotation(index).planes
        expected = whole.annotation(index).planes
        assert np.array_equal(planes, expected)
    table = "annotations/lvis_v1_val.json"
    assert concepts.notes == (  # type: ignore[attr-defined]
        f"{table}: images are named by the end of their coco_url, as they have no file_name",
        f"{table}: each image is labelled for some of the categories only; what is not labelled "
        "counts as absent",
    )


def test_urls_that_lead_out_of_the_folder_are_refused(
    tmp_path: Path, masks: Any
) -> None:
    text = write_lvis(tmp_path)

    def lead_out(table: Any) -> None:
        table["images"][0]["coco_url"] = "http://images.cocodataset.org/../a.jpg"

    edit(tmp_path / "annotations" / "lvis_v1_val.json", lead_out)
    with pytest.raises(ConceptSetInvalid, match="is outside"):
        open_concepts(text)


# ---- layout -----------------------------------------------------------------------------------


def test_panoptic_is_read_before_instances_and_said(tmp_path: Path) -> None:
    text = write_coco_panoptic(tmp_path)
    write_coco_instances(tmp_path)
    concepts = open_concepts(text)
    assert len(concepts.concepts) == 4
    assert concepts.notes == (  # type: ignore[attr-defined]
        "panoptic annotations are read, and instances annotations are not: "
        f"annotations={INSTANCES} chooses them",
    )


def test_all_splits_are_read_and_named(tmp_path: Path) -> None:
    text = write_coco_panoptic(tmp_path)
    folder = tmp_path / "annotations"
    table = json.loads((tmp_path / PANOPTIC).read_text())
    # of the same names under other ids: concepts are matched by name
    renumbered = {1: 7, 18: 8, 184: 9, 199: 10}
    for category in table["categories"]:
        category["id"] = renumbered[category["id"]]
    for annotation in table["annotations"]:
        for segment in annotation["segments_info"]:
            segment["category_id"] = renumbered[segment["category_id"]]
    write_json(folder / "panoptic_train2017.json", table)
    (folder / "panoptic_train2017").symlink_to(folder / "panoptic_val2017")
    write_coco_images(tmp_path / "train2017")
    concepts = open_concepts(text)
    assert len(concepts) == 6 and len(concepts.concepts) == 4
    assert [concepts.split(index) for index in (0, 3)] == ["train", "val"]  # type: ignore[attr-defined]
    assert concepts.name(0) == f"train2017/{FIRST}"
    assert concepts.name(3) == f"val2017/{FIRST}"
    first, second = (concepts.annotation(index).planes[0] for index in (0, 3))
    assert np.array_equal(first, second)


def test_a_split_without_images_is_left_out_and_said(tmp_path: Path) -> None:
    text = write_coco_panoptic(tmp_path)
    folder = tmp_path / "annotations"
    (folder / "panoptic_train2017.json").write_text(
        (folder / "panoptic_val2017.json").read_text()
    )
    concepts = open_concepts(text)
    assert len(concepts) == 3
    (note,) = concepts.notes  # type: ignore[attr-defined]
    assert note.startswith(
        "annotations/panoptic_train2017.json left out: no folder"
    )


def test_images_that_are_missing_are_left_out_and_counted(tmp_path: Path) -> None:
    text = write_coco_panoptic(tmp_path)
    (tmp_path / "val2017" / SECOND).unlink()
    concepts = open_concepts(text)
    assert [concepts.name(index) for index in range(2)] == [
        f"val2017/{FIRST}",
        f"val2017/{THIRD}",
    ]
    assert concepts.notes == (  # type: ignore[attr-defined]
        f"{PANOPTIC}: 1 of 3 images left out, which are not in val2017/, for example {SECOND}",
    )


def test_tables_and_images_of_other_names(tmp_path: Path, masks: Any) -> None:
    write_coco_instances(tmp_path / "coco")
    root = tmp_path / "mine"
    (root / "train").mkdir(parents=True)
    table = (tmp_path / "coco" / INSTANCES).read_text()
    (root / "train" / "_annotations.coco.json").write_text(table)
    write_coco_images(root / "train")
    text = f"coco:{root}?annotations=train/_annotations.coco.json&images=train"
    concepts = open_concepts(text)
    assert concepts.identity.source == text
    assert concepts.name(0) == f"train/{FIRST}"
    assert concepts.split(0) == "train"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("annotations=../other.json", "is outside"),
        ("annotations=/etc/passwd", "is outside"),
        ("annotations=nothing.json", "is no file in"),
        (f"annotations={PANOPTIC}&images=../images", "is outside"),
        (f"annotations={PANOPTIC}&images=nothing", "no folder of its images"),
    ],
)
def test_options_that_lead_nowhere(
    tmp_path: Path, options: str, problem: str
) -> None:
    text = write_coco_panoptic(tmp_path)
    with pytest.raises(ConceptSetInvalid, match=problem):
        open_concepts(f"{text}?{options}")


def test_an_empty_folder_is_told_the_layout(tmp_path: Path) -> None:
    layout = "annotations/instances_val2017.json"
    with pytest.raises(
        ConceptSetInvalid, match="has no annotations; it holds"
    ) as caught:
        open_concepts(f"coco:{tmp_path}")
    assert layout in str(caught.value)
    (tmp_path / "annotations").mkdir()
    with pytest.raises(ConceptSetInvalid, match="no such table in") as caught:
        open_concepts(f"coco:{tmp_path}")
    assert layout in str(caught.value)
    with pytest.raises(ConceptSetInvalid, match="no folder given"):
        open_concepts("coco:")


def test_a_bare_folder_is_told_that_it_is_coco(tmp_path: Path) -> None:
    with pytest.raises(ConceptSetInvalid) as caught:
        open_concepts(str(tmp_path))
    assert "coco" in str(caught.value) and "panoptic" not in str(caught.value)
    write_coco_panoptic(tmp_path)
    with pytest.raises(ConceptSetInvalid, match="can be opened as 'coco:"):
        open_concepts(str(tmp_path))


def test_no_image_at_all_is_an_error(tmp_path: Path) -> None:
    text = write_coco_panoptic(tmp_path)
    for name in COCO_NAMES:
        (tmp_path / "val2017" / name).unlink()
    with pytest.raises(ConceptSetInvalid, match="3 of 3 images left out"):
        open_concepts(text)


def rename_image(table: Any) -> None:
    table["images"][0]["file_name"] = "../../secret.jpg"


def rename_mask(table: Any) -> None:
    table["annotations"][0]["file_name"] = "../../secret.png"


def repeat_image(table: Any) -> None:
    table["images"][1]["id"] = table["images"][0]["id"]


def repeat_file(table: Any) -> None:
    table["images"][1]["file_name"] = table["images"][0]["file_name"]


def repeat_category(table: Any) -> None:
    table["categories"][1]["id"] = 1


def repeat_mask(table: Any) -> None:
    table["annotations"].append(table["annotations"][0])


def unknown_category(table: Any) -> None:
    table["annotations"][0]["segments_info"][0]["category_id"] = 77


def no_file(table: Any) -> None:
    del table["images"][1]["file_name"], table["images"][1]["coco_url"]


def no_size(table: Any) -> None:
    del table["images"][1]["height"]


def negative_size(table: Any) -> None:
    table["images"][1]["width"] = -4


def text_id(table: Any) -> None:
    table["categories"][0]["id"] = "one"


def large_segment(table: Any) -> None:
    table["annotations"][0]["segments_info"][0]["id"] = 256**3


def no_categories(table: Any) -> None:
    del table["categories"]


def images_of_texts(table: Any) -> None:
    table["images"] = ["a.jpg"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (rename_image, "is outside"),
        (rename_mask, "is outside"),
        (repeat_image, r"images\[1\]: the id 139 is there twice"),
        (repeat_file, r"images\[1\]: the file '000000000139.jpg' is there twice"),
        (repeat_category, r"categories\[1\]: the id 1 is there twice"),
        (repeat_mask, r"annotations\[3\]: the image has two panoptic masks"),
        (
            unknown_category,
            r"annotations\[0\].segments_info\[0\]: the category_id 77 is not",
        ),
        (no_file, r"images\[1\] has no entry 'file_name'"),
        (no_size, r"images\[1\] has no entry 'height'"),
        (negative_size, r"images\[1\] is -4x24: a size is at least 1x1"),
        (text_id, r"categories\[0\].id is 'one', where an integer belongs"),
        (large_segment, "is no colour of a pixel"),
        (no_categories, "has no list 'categories'"),
        (images_of_texts, r"images\[0\] is no object"),
    ],
)
def test_malformed_tables_are_refused_by_their_entry(
    tmp_path: Path, change: Callable[[Any], None], problem: str
) -> None:
    text = write_coco_panoptic(tmp_path)
    edit(tmp_path / PANOPTIC, change)
    with pytest.raises(ConceptSetInvalid, match=problem):
        open_concepts(text)


@pytest.mark.parametrize(
    "content", ["", "{", "[1, 2]", "[" * 100 + "]" * 100, '{"images": NaN}', "\x00"]
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: str) -> None:
    text = write_coco_panoptic(tmp_path)
    (tmp_path / PANOPTIC).write_text(content)
    with pytest.raises(
        ConceptSetInvalid, match=r"panoptic_val2017\.json cannot be read"
    ):
        open_concepts(text)


def test_annotations_of_unknown_images_are_counted(tmp_path: Path) -> None:
    text = write_coco_panoptic(tmp_path)

    def rename(table: Any) -> None:
        table["annotations"][2]["image_id"] = 777

    edit(tmp_path / PANOPTIC, rename)
    (note,) = open_concepts(text).notes  # type: ignore[attr-defined]
    assert note == (
        f"{PANOPTIC}: 1 annotations left out, of image ids that images does not list"
    )


def test_a_table_that_is_no_regular_file_is_not_read(tmp_path: Path) -> None:
    text = write_coco_panoptic(tmp_path)
    os.mkfifo(tmp_path / "annotations" / "panoptic_train2017.json")
    assert len(open_concepts(text)) == 3
    with pytest.raises(ConceptSetInvalid, match="is no file in"):
        open_concepts(f"{text}?annotations=annotations/panoptic_train2017.json")


def test_an_image_that_is_a_link_out_of_the_set_is_not_read(tmp_path: Path) -> None:
    text = write_coco_panoptic(tmp_path / "set")
    save_photo(tmp_path / "outside.jpg", 0)
    image = tmp_path / "set" / "val2017" / FIRST
    image.unlink()
    image.symlink_to(tmp_path / "outside.jpg")
    with pytest.raises(ConceptSetInvalid, match="leads through a link"):
        open_concepts(text).image(0)


def test_the_fingerprint_is_of_tables_and_of_sizes_of_files(tmp_path: Path) -> None:
    text = write_coco_panoptic(tmp_path)
    before = open_concepts(text).identity.fingerprint
    assert open_concepts(text).identity.fingerprint == before
    save_photo(tmp_path / "val2017" / FIRST, 7, (48, 64))
    resized = open_concepts(text).identity.fingerprint
    assert resized != before

    def rename(table: Any) -> None:
        table["categories"][0]["name"] = "human"

    edit(tmp_path / PANOPTIC, rename)
    assert open_concepts(text).identity.fingerprint not in (before, resized)
