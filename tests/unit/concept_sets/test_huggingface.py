"""Data sets of Hugging Face: folders without network, and names on a hub that is played."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_sources_b import (
    MaskedBlocks,
    halves,
    hugging_face_rows,
    save_photo,
    write_huggingface,
)
from opened_checks import check_opened_set
from PIL import Image

from nd_plugin import ConceptSetInvalid, RunFailed, Unavailable, open_concepts

NAMES = '{"1": "left", "2": "right"}'


@pytest.fixture
def datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The library, with a cache of its own and without progress bars."""
    library = pytest.importorskip(
        "datasets", reason="pip install 'nd_plugin[huggingface]'"
    )
    cache = tmp_path / "cache"
    monkeypatch.setattr(library.config, "HF_DATASETS_CACHE", str(cache))
    library.disable_progress_bars()
    return library


def open_rows(
    rows: Any, folder: Path, options: str = "", names: str = NAMES
) -> Any:
    """Save rows with the names of values beside them, and open them."""
    rows.save_to_disk(folder)
    if names:
        (folder / "id2label.json").write_text(names)
    return open_concepts(f"huggingface:{folder}{options}")


def expected_map() -> Any:
    values = halves(1, 2)
    values[:2] = 0
    return values


# ---- folders ----------------------------------------------------------------------------------


def test_a_folder_of_save_to_disk(datasets: Any, tmp_path: Path) -> None:
    concepts: Any = open_concepts(write_huggingface(tmp_path / "set"))
    assert len(concepts) == 3 and concepts.categories == ("object",)
    assert [concept.name for concept in concepts.concepts] == ["left", "right"]
    assert np.array_equal(concepts.annotation(0).planes[0], expected_map())
    drawn, _ = MaskedBlocks()[1]
    assert np.array_equal(np.asarray(concepts.image(1)), np.asarray(drawn))
    assert [concepts.name(index) for index in range(2)] == ["000000", "000001"]
    assert concepts.notes == (
        "images are in the column 'image', labels in 'annotation' (label map)",
    )
    check_opened_set(concepts)


def test_splits_of_a_dictionary(datasets: Any, tmp_path: Path) -> None:
    splits = {"train": hugging_face_rows(2), "test": hugging_face_rows(3)}
    concepts = open_rows(datasets.DatasetDict(splits), tmp_path / "set")
    assert len(concepts) == 5
    assert [concepts.split(index) for index in (1, 2)] == ["train", "test"]
    assert concepts.name(2) == "test/000000"
    concepts = open_concepts(f"huggingface:{tmp_path / 'set'}?split=train")
    assert len(concepts) == 2
    with pytest.raises(ConceptSetInvalid, match="the splits are 'train', 'test'"):
        open_concepts(f"huggingface:{tmp_path / 'set'}?split=val")
    with pytest.raises(ConceptSetInvalid, match="leave the option out"):
        open_concepts(f"huggingface:{tmp_path / 'set'}?config=x")


@pytest.mark.parametrize(
    ("files", "options", "splits"),
    [
        (("data/train-00000-of-00001.parquet",), "", ["train"] * 3),
        (
            (
                "data/train-00000-of-00002.parquet",
                "data/train-00001-of-00002.parquet",
            ),
            "",
            ["train"] * 6,
        ),
        (
            (
                "data/train-00000-of-00001.parquet",
                "data/test-00000-of-00001.parquet",
            ),
            "?split=test",
            ["test"] * 3,
        ),
        (("default/train/0000.parquet",), "", ["train"] * 3),
        (
            ("a/train/0000.parquet", "b/train/0000.parquet"),
            "?config=b",
            ["train"] * 3,
        ),
        (
            ("a/train-00000-of-00001.parquet", "b/train-00000-of-00001.parquet"),
            "?config=b",
            ["train"] * 3,
        ),
        (("rows.parquet",), "", ["rows"] * 3),
        (("0000.parquet",), "", ["train"] * 3),
    ],
)
def test_parquet_files(
    datasets: Any, tmp_path: Path, files: Any, options: str, splits: list[str]
) -> None:
    rows = hugging_face_rows()
    folder = tmp_path / "set"
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        rows.to_parquet(folder / file)
    (folder / "id2label.json").write_text(NAMES)
    concepts: Any = open_concepts(f"huggingface:{folder}{options}")
    assert [concepts.split(index) for index in range(len(concepts))] == splits
    assert np.array_equal(concepts.annotation(0).planes[0], expected_map())
    assert all(path.is_file() for path in concepts.files(0))


def test_several_configurations_are_asked_for(
    datasets: Any, tmp_path: Path
) -> None:
    for config in ("a", "b"):
        (tmp_path / config).mkdir()
        hugging_face_rows().to_parquet(
            tmp_path / config / "train-00000-of-00001.parquet"
        )
    with pytest.raises(ConceptSetInvalid, match="choose one: config=a"):
        open_concepts(f"huggingface:{tmp_path}")
    with pytest.raises(ConceptSetInvalid, match="is outside"):
        open_concepts(f"huggingface:{tmp_path}?config=../other")


def test_files_of_a_split_are_named_once(datasets: Any, tmp_path: Path) -> None:
    concepts: Any = open_concepts(write_huggingface(tmp_path / "set"))
    assert [path.name for path in concepts.files(0)] == [
        "data-00000-of-00001.arrow"
    ]
    assert concepts.files(1) == []


# ---- columns ----------------------------------------------------------------------------------


def test_classes_are_labels_of_whole_images(datasets: Any, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    concepts = open_rows(hugging_face_rows(), folder, "?label=scene_category")
    assert concepts.categories == ("scene",)
    assert [concept.name for concept in concepts.concepts] == ["kitchen", "street"]
    labels = [concepts.annotation(index).labels for index in range(3)]
    assert labels == [(1,), (2,), (1,)]
    assert len(concepts.annotation(0).planes) == 0
    texts = f"huggingface:{folder}?label=scene_category&category=texture"
    assert open_concepts(texts).categories == ("texture",)


def test_a_column_of_classes_is_found_where_there_is_no_label_map(
    datasets: Any, tmp_path: Path
) -> None:
    rows = hugging_face_rows().remove_columns("annotation")
    concepts = open_rows(rows, tmp_path / "set", names="")
    assert concepts.annotation(1).labels == (2,)


def test_several_classes_of_an_image_and_rows_without(
    datasets: Any, tmp_path: Path
) -> None:
    label = datasets.ClassLabel(names=["striped", "dotted", "woven"])
    features = datasets.Features(
        {"picture": datasets.Image(), "textures": [label], "main": label}
    )
    image, _ = MaskedBlocks()[0]
    rows = datasets.Dataset.from_dict(
        {
            "picture": [image] * 3,
            "textures": [[2, 0, 2], [], [1]],
            "main": [0, -1, None],
        },
        features=features,
    )
    options = "?label=textures&category=texture"
    concepts = open_rows(rows, tmp_path / "several", options)
    labels = [concepts.annotation(index).labels for index in range(3)]
    assert labels == [(3, 1), (), (2,)]
    # -1 stands for no label in splits for tests
    concepts = open_rows(rows, tmp_path / "one", "?label=main")
    labels = [concepts.annotation(index).labels for index in range(3)]
    assert labels == [(1,), (), ()]
    with pytest.raises(
        ConceptSetInvalid, match="several columns may hold the labels"
    ):
        open_concepts(f"huggingface:{tmp_path / 'one'}")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("?image=scene_category", "image=scene_category is no column of pictures"),
        (
            "?image=nothing",
            r"the columns are image \(Image\), annotation \(Image\)",
        ),
        (
            "?image=image&label=image",
            "label=image is no column of label maps or classes",
        ),
        ("?label=nothing", "label=nothing is no column of label maps"),
    ],
)
def test_columns_that_are_none(
    datasets: Any, tmp_path: Path, options: str, problem: str
) -> None:
    with pytest.raises(ConceptSetInvalid, match=problem):
        open_rows(hugging_face_rows(), tmp_path / "set", options)


def test_columns_of_other_names(datasets: Any, tmp_path: Path) -> None:
    rows = hugging_face_rows().rename_columns(
        {"image": "photo", "annotation": "seg"}
    )
    with pytest.raises(
        ConceptSetInvalid, match=r"several columns may hold the images"
    ):
        open_rows(rows, tmp_path / "set")
    concepts: Any = open_concepts(f"huggingface:{tmp_path / 'set'}?image=photo")
    assert np.array_equal(concepts.annotation(0).planes[0], expected_map())
    concepts = open_concepts(f"huggingface:{tmp_path / 'set'}?label=seg")
    assert concepts.notes[0].startswith("images are in the column 'photo'")


def test_a_split_without_labels_is_left_out_and_said(
    datasets: Any, tmp_path: Path
) -> None:
    splits = {
        "test": hugging_face_rows(2).select_columns(["image"]),
        "train": hugging_face_rows(2),
    }
    concepts = open_rows(datasets.DatasetDict(splits), tmp_path / "set")
    assert len(concepts) == 2 and concepts.split(0) == "train"
    assert "the split 'test' left out" in concepts.notes[1]


def test_pictures_whose_description_was_lost(datasets: Any, tmp_path: Path) -> None:
    rows = hugging_face_rows()
    plain = datasets.Features(
        {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}
    )
    rows = rows.cast_column("image", datasets.Image(decode=False))
    features = rows.features.copy()
    features["image"] = plain
    rows = datasets.Dataset.from_list(list(rows), features=features)
    concepts = open_rows(rows, tmp_path / "set")
    assert concepts.image(0).size == (32, 24)


# ---- names of values --------------------------------------------------------------------------


def test_names_of_values_from_a_file(datasets: Any, tmp_path: Path) -> None:
    names = tmp_path / "names.csv"
    names.write_text("value,name\n0,nothing\n2,second\n")
    concepts = open_rows(
        hugging_face_rows(), tmp_path / "set", f"?names={names}&ignore=0"
    )
    assert [concept.name for concept in concepts.concepts] == ["second"]
    annotation = concepts.annotation(0)
    assert np.array_equal(annotation.planes[0] == 1, expected_map() == 2)
    assert annotation.remarks == (
        "1 occurs in label maps, and names does not list it",
    )
    with pytest.raises(ConceptSetInvalid, match="ignore=x are no whole numbers"):
        open_concepts(f"huggingface:{tmp_path / 'set'}?names={names}&ignore=x")
    with pytest.raises(ConceptSetInvalid, match="is among those to ignore"):
        open_concepts(f"huggingface:{tmp_path / 'set'}?names={names}&ignore=0,2")


def test_label_maps_without_names_are_refused(
    datasets: Any, tmp_path: Path
) -> None:
    with pytest.raises(
        ConceptSetInvalid, match=r"'annotation' have no names: give"
    ):
        open_rows(hugging_face_rows(), tmp_path / "set", names="")


# ---- contents ---------------------------------------------------------------------------------


def stored(
    picture: Image.Image, file_format: str, **options: Any
) -> dict[str, Any]:
    content = io.BytesIO()
    picture.save(content, file_format, **options)
    return {"bytes": content.getvalue(), "path": None}


def rows_of(datasets: Any, image: Any, label_map: Any) -> Any:
    features = datasets.Features(
        {"image": datasets.Image(), "annotation": datasets.Image()}
    )
    columns = {"image": [image], "annotation": [label_map]}
    return datasets.Dataset.from_dict(columns, features=features)


def test_files_are_read_as_they_are_stored(datasets: Any, tmp_path: Path) -> None:
    # `datasets` itself would turn the picture, and lose that it did
    exif = Image.Exif()
    exif[274] = 6
    photo, _ = MaskedBlocks()[0]
    label_map = Image.fromarray(
        np.arange(32 * 24).reshape(32, 24).astype(np.uint16)
    )
    rows = rows_of(
        datasets, stored(photo, "JPEG", exif=exif), stored(label_map, "PNG")
    )
    names = {str(value): f"name {value}" for value in range(1, 768)}
    concepts = open_rows(rows, tmp_path / "set", names=json.dumps(names))
    assert concepts.image(0).size == (32, 24)  # as it is stored; the host turns it
    (plane,) = concepts.annotation(0).planes
    assert np.array_equal(plane, np.arange(32 * 24).reshape(32, 24))
    check_opened_set(concepts)


def test_label_maps_that_are_none(datasets: Any, tmp_path: Path) -> None:
    photo, label_map = MaskedBlocks()[0]
    cases = {
        "JPEG": (
            stored(label_map, "JPEG"),
            "lossy compression changes label numbers",
        ),
        "colour": (stored(photo, "PNG"), "of mode RGB; a label map has one index"),
        "aspect": (
            stored(label_map.crop((0, 0, 8, 24)), "PNG"),
            "not the aspect of its image",
        ),
        "none": (None, "the label map of 000000 is empty"),
        "no picture": ({"bytes": b"hello", "path": None}, "cannot be read"),
    }
    for name, (label, problem) in cases.items():
        rows = rows_of(datasets, stored(photo, "PNG"), label)
        concepts = open_rows(rows, tmp_path / name)
        with pytest.raises(ValueError, match=problem):
            concepts.annotation(0)


def test_files_outside_of_the_folder_are_not_read(
    datasets: Any, tmp_path: Path
) -> None:
    save_photo(tmp_path / "secret.png", 0)
    folder = tmp_path / "set"
    save_photo(folder / "pictures" / "inside.png", 1)
    for name in (str(tmp_path / "secret.png"), "../secret.png"):
        rows = rows_of(datasets, None, stored(MaskedBlocks()[0][1], "PNG"))
        rows = rows.cast_column("image", datasets.Image(decode=False))
        rows = rows.map(
            lambda row, name=name: {"image": {"bytes": None, "path": name}}
        )
        file = folder / "data" / "train-00000-of-00001.parquet"
        file.parent.mkdir(exist_ok=True)
        import pyarrow.parquet

        pyarrow.parquet.write_table(rows.data.table, file)
        (folder / "id2label.json").write_text(NAMES)
        concepts = open_concepts(f"huggingface:{folder}")
        with pytest.raises(ValueError, match="only inside the data set's folder"):
            concepts.image(0)


def test_descriptions_that_lead_out_of_the_folder_are_refused(
    datasets: Any, tmp_path: Path
) -> None:
    text = write_huggingface(tmp_path / "set")
    state = tmp_path / "set" / "state.json"
    content = json.loads(state.read_text())
    content["_data_files"] = [{"filename": "../other/data.arrow"}]
    state.write_text(json.dumps(content))
    with pytest.raises(ConceptSetInvalid, match="is outside"):
        open_concepts(text)
    state.write_text("{}")
    with pytest.raises(ConceptSetInvalid, match="lists no files of data"):
        open_concepts(text)
    (tmp_path / "set" / "dataset_dict.json").write_text('{"splits": ["../x"]}')
    with pytest.raises(ConceptSetInvalid, match="is outside"):
        open_concepts(text)


def test_a_split_that_is_missing_is_named(datasets: Any, tmp_path: Path) -> None:
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train"]}')
    with pytest.raises(ConceptSetInvalid, match=r"no state\.json in .*train"):
        open_concepts(f"huggingface:{tmp_path}")


def test_a_row_that_cannot_be_read_leaves_the_others(
    datasets: Any, tmp_path: Path
) -> None:
    features = datasets.Features(
        {"image": datasets.Image(), "annotation": datasets.Image()}
    )
    photo, _ = MaskedBlocks()[0]
    label_map = stored(Image.fromarray(expected_map().astype(np.uint8)), "PNG")
    columns = {"image": [photo, None], "annotation": [label_map, label_map]}
    rows = datasets.Dataset.from_dict(columns, features=features)
    concepts = open_rows(rows, tmp_path / "set")
    assert concepts.identity.fingerprint
    assert np.array_equal(concepts.annotation(0).planes[0], expected_map())
    with pytest.raises(ValueError, match="the image of 000001 is empty"):
        concepts.image(1)


def test_damaged_files_are_named(datasets: Any, tmp_path: Path) -> None:
    text = write_huggingface(tmp_path / "set")
    (tmp_path / "set" / "data-00000-of-00001.arrow").write_bytes(b"no arrow")
    with pytest.raises(ConceptSetInvalid, match="cannot be loaded"):
        open_concepts(text)


def test_the_fingerprint_is_of_contents_and_names(
    datasets: Any, tmp_path: Path
) -> None:
    rows = hugging_face_rows()
    before = open_rows(rows, tmp_path / "a").identity.fingerprint
    assert open_rows(rows, tmp_path / "b").identity.fingerprint == before
    other = open_rows(hugging_face_rows(4), tmp_path / "c")
    assert other.identity.fingerprint != before
    renamed = open_rows(rows, tmp_path / "d", names='{"1": "left", "2": "up"}')
    assert renamed.identity.fingerprint != before
    many = open_rows(hugging_face_rows(20), tmp_path / "e")
    assert "of 16 of 20 rows" in many.notes[-1]


# ---- the hub, and the library -----------------------------------------------------------------


def test_a_name_is_loaded_from_the_hub(
    datasets: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def load_dataset(path: str, **options: Any) -> Any:
        calls.append((path, options))
        return datasets.DatasetDict({"validation": hugging_face_rows()})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    text = "huggingface:user/some-set?config=full&label=scene_category"
    concepts: Any = open_concepts(text)
    # code of a data set is never trusted
    assert calls == [("user/some-set", {"name": "full"})]
    assert concepts.name(0) == "validation/000000"
    assert concepts.files(0) == []  # in memory
    assert concepts.identity.source == text


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (ConnectionError("no network"), RunFailed),
        (FileNotFoundError("no such data set"), ConceptSetInvalid),
        (
            RuntimeError("Dataset scripts are no longer supported"),
            ConceptSetInvalid,
        ),
    ],
)
def test_failures_of_the_hub_are_named(
    datasets: Any,
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
    error: type[Exception],
) -> None:
    def load_dataset(path: str, **options: Any) -> Any:
        raise failure

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(
        error, match=f"huggingface:a/b cannot be loaded: .*{failure}"
    ):
        open_concepts("huggingface:a/b")


@pytest.mark.parametrize(
    "argument", ["", "../nothing", "/nothing/here", "a/b/c", "http://x/y"]
)
def test_what_is_neither_a_folder_nor_a_name(argument: str) -> None:
    with pytest.raises(ConceptSetInvalid, match=r"expected huggingface:FOLDER"):
        open_concepts(f"huggingface:{argument}")


def test_an_empty_folder_is_told_the_layouts(datasets: Any, tmp_path: Path) -> None:
    with pytest.raises(
        ConceptSetInvalid, match=r"no parquet files in .*save_to_disk"
    ):
        open_concepts(f"huggingface:{tmp_path}")


def test_without_the_library_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        Unavailable, match=r"pip install 'nd_plugin\[huggingface\]'"
    ):
        open_concepts(f"huggingface:{tmp_path}")


def test_a_version_that_runs_code_of_data_sets_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Earlier:
        __version__ = "3.6.0"

    monkeypatch.setitem(sys.modules, "datasets", Earlier)
    with pytest.raises(Unavailable, match=r"installed is 3\.6\.0"):
        open_concepts(f"huggingface:{tmp_path}")
