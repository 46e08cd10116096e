"""Runs whose files are whole, and whose content no dissection gives: refused, the file named."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from changed_archives import (
    WRONG_VALUES,
    duplicated,
    header_only,
    json_array,
    json_of,
    members_of,
    places_of,
    text_array,
    with_value,
    without,
    write_members,
    wrong_arrays,
)
from PIL import Image

from nd_plugin import Dissection, RunInvalid
from nd_plugin.results import run_folder

DEEP = "[" * 100_000 + "]" * 100_000


@pytest.fixture
def run(pictured: Dissection, tmp_path: Path) -> Path:
    """Folder of a run of one layer, with pictures."""
    return run_folder.save_run(tmp_path / "run", [pictured])


@pytest.fixture
def layer(run: Path) -> Path:
    return next(path for path in run.iterdir() if path.is_dir())


def look_at(folder: Path) -> None:
    """Read a layer and show everything of it."""
    dissection = Dissection.load(folder)
    pictures = dissection.pictures
    dissection.to_json()
    for unit in range(dissection.units):
        dissection.show(unit).content()
        dissection.activation_masks(unit)
    if pictures is not None:
        for image in pictures.images.tolist():
            pictures.picture(image)
            pictures.annotation(image)


def refused_or_shown(folder: Path) -> bool:
    """Return whether a layer is refused; raise whatever else showing it raises."""
    try:
        look_at(folder)
    except RunInvalid as error:
        assert ".npz" in str(error)
        return True
    return False


class TestRunJson:
    def test_each_key_with_each_wrong_value(self, run: Path) -> None:
        path = run / "run.json"
        document = json.loads(path.read_text())
        for place in places_of(document):
            changes = [with_value(document, place, value) for value in WRONG_VALUES]
            changes += [without(document, place)] if place else []
            is_read = place[:1] in ((), ("format",)) or place in (
                ("layers",),
                ("layers", 0),
                ("layers", 0, "folder"),
            )
            for changed in changes:
                path.write_text(json.dumps(changed))
                if changed == document:
                    continue
                if not is_read:
                    assert run_folder.load_run(run)[0].layer == "block.1/relu"
                    continue
                if place == ("format",) and changed.get("format") == -1:
                    continue
                with pytest.raises(
                    RunInvalid, match=r"run\.json|is of format|holds no dissection"
                ):
                    run_folder.load_run(run)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (DEEP, r"run\.json is damaged: values are nested more than 64 deep"),
            ('{"a": ' * 5000 + "1" + "}" * 5000, "nested more than 64 deep"),
            ('{"format": NaN, "layers": []}', "NaN is no number of JSON"),
            ('{"format": 2, "layers": []}', "it lists no layer"),
            ('{"format": 2, "layers": [{"folder": ".."}]}', "is no folder of"),
            ('{"format": 2, "layers": [{"folder": ""}]}', "is no folder of"),
            ('{"format": 2, "layers": [{"folder": "a/b"}]}', "is no folder of"),
            (
                '{"format": 2, "layers": [{"folder": 3}]}',
                "folder is 3, where a text",
            ),
            (
                '{"format": 2, "layers": [{"folder": "a"}, {"folder": "a"}]}',
                "it lists a folder twice",
            ),
            ('{"format": 2}', r"run\.json is damaged: layers is missing"),
            ("\udcff", r"run\.json is damaged: UnicodeDecodeError"),
        ],
    )
    def test_what_is_wrong_is_said(
        self, tmp_path: Path, text: str, message: str
    ) -> None:
        (tmp_path / "run.json").write_bytes(text.encode(errors="surrogateescape"))
        with pytest.raises(RunInvalid, match=message):
            run_folder.load_run(tmp_path)


@pytest.mark.parametrize("name", ["dissection", "pictures"])
class TestArchives:
    def test_each_entry_with_each_wrong_value(self, layer: Path, name: str) -> None:
        path = layer / f"{name}.npz"
        members = members_of(path)
        document = json_of(members)
        for place in places_of(document):
            changes = [with_value(document, place, value) for value in WRONG_VALUES]
            changes += [without(document, place)] if place else []
            for changed in changes:
                write_members(path, members, metadata=json_array(changed))
                if type(changed) is not dict:
                    assert refused_or_shown(layer)
                    continue
                # what can be read is shown without any other error
                refused_or_shown(layer)

    def test_each_array_of_each_wrong_kind(self, layer: Path, name: str) -> None:
        path = layer / f"{name}.npz"
        members = members_of(path)
        for array_name, array in members.items():
            if array_name == "metadata":
                continue
            write_members(path, members, **{array_name: None})
            is_optional = array_name == "category_pixels"
            assert refused_or_shown(layer) != is_optional
            for wrong in wrong_arrays(array):
                write_members(path, members, **{array_name: wrong})
                is_refused = refused_or_shown(layer)
                same_kind = (
                    wrong.dtype == array.dtype and wrong.shape == array.shape
                )
                assert is_refused or same_kind, (
                    array_name,
                    wrong.dtype,
                    wrong.shape,
                )

    def test_no_archive_of_arrays(self, layer: Path, name: str) -> None:
        path = layer / f"{name}.npz"
        content = path.read_bytes()
        for damaged in (b"", b"PK", content[:-30], content[: len(content) // 2]):
            path.write_bytes(damaged)
            assert refused_or_shown(layer)

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_an_array_that_is_there_twice(self, layer: Path, name: str) -> None:
        path = layer / f"{name}.npz"
        duplicated(path, "top_images")
        with pytest.raises(
            RunInvalid, match=r"is damaged: top_images is there twice"
        ):
            look_at(layer)

    def test_metadata_of_any_depth(self, layer: Path, name: str) -> None:
        path = layer / f"{name}.npz"
        members = members_of(path)
        write_members(path, members, metadata=text_array(DEEP))
        with pytest.raises(RunInvalid, match="nested more than 64 deep"):
            look_at(layer)


CHANGES: list[tuple[str, Callable[[Any], Any], str]] = [
    ("intersection", lambda a: a - 1, "intersection has a negative number"),
    (
        "intersection",
        lambda a: a + 10**6,
        "intersection has a number that is larger",
    ),
    ("unit_area", lambda a: a * 0, "intersection has a number that is larger"),
    ("unit_area", lambda a: a + 10**6, "unit_area has a number that is larger"),
    (
        "concept_area",
        lambda a: a + 10**6,
        "concept_area has a number that is larger",
    ),
    ("category_images", lambda a: a + 9, "category_images has a number that is"),
    ("category_images", lambda a: a * 0, "category_pixels has a number that is"),
    ("category_pixels", lambda a: a * 0, "unit_area has a number that is larger"),
    (
        "thresholds",
        lambda a: a - np.inf,
        "thresholds has a number that is not finite",
    ),
    (
        "thresholds",
        lambda a: a * np.nan,
        "thresholds has a number that is not finite",
    ),
    ("sparse", lambda a: ~a, "a unit is dead and sparse"),
    ("top_images", lambda a: a + 9, "top_images has a number that is larger"),
    ("top_images", lambda a: a * 0, "top_images has an image of a unit twice"),
    ("top_activations", lambda a: -a, "top_activations does not descend"),
    (
        "top_activations",
        lambda a: a + np.inf,
        "top_activations has a number that is",
    ),
]


@pytest.mark.parametrize(("name", "change", "message"), CHANGES)
def test_numbers_that_no_dissection_gives(
    layer: Path, name: str, change: Callable[[Any], Any], message: str
) -> None:
    path = layer / "dissection.npz"
    members = members_of(path)
    write_members(path, members, **{name: change(members[name])})
    with pytest.raises(
        RunInvalid,
        match=rf"dissection\.npz is damaged: {message}.*; dissect the layer",
    ):
        Dissection.load(layer)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("layer",), 3, "metadata.layer is 3, where a text belongs"),
        (("locations",), 0, "locations is 0"),
        (("locations",), 2**100, "locations is"),
        (("categories",), ["object", "object"], "a category is there twice"),
        (("concepts", 0, "category"), "sky", r"unknown categories \['sky'\]"),
        (("settings", "quantile"), 7, "quantile 7.0 is not between 0 and 1"),
        (("settings", "folds"), 1, "folds 1 leaves nothing to compare"),
        (("settings", "secret"), 1, "has the entry 'secret'"),
        (("provenance", "notes"), "abc", "provenance.notes is 'abc', where a list"),
        (("provenance", "model"), {}, "metadata.provenance.model lacks an entry"),
        (("image_names", 0), 5, r"image_names\[0\] is 5"),
    ],
)
def test_entries_that_no_dissection_has(
    layer: Path, place: tuple[Any, ...], value: Any, message: str
) -> None:
    path = layer / "dissection.npz"
    members = members_of(path)
    changed = with_value(json_of(members), place, value)
    write_members(path, members, metadata=json_array(changed))
    with pytest.raises(RunInvalid, match=message):
        Dissection.load(layer)


def test_pictures_of_another_layer(layer: Path) -> None:
    path = layer / "pictures.npz"
    members = members_of(path)
    changes = [
        {"mask_sizes": np.full_like(members["mask_sizes"], 2**31)},
        {"top_images": members["top_images"] * 0},
        {"values": members["values"] * np.float32(np.nan)},
        {"images": members["images"] + 100},
    ]
    for change in changes:
        write_members(path, members, **change)
        with pytest.raises(
            RunInvalid, match=r"pictures\.npz is damaged: .*; dissect"
        ):
            _ = Dissection.load(layer).pictures
    document = json_of(members)
    for place, value in (
        (("cells",), [2**20, 2**20]),
        (("cells",), [4]),
        (("image_size",), [0, 5]),
        (("geometry", "rows", "stride"), "1"),
        (("geometry", "rows"), None),
    ):
        changed = with_value(document, place, value)
        write_members(path, members, metadata=json_array(changed))
        with pytest.raises(RunInvalid, match=r"pictures\.npz is damaged"):
            _ = Dissection.load(layer).pictures


def test_a_small_file_that_claims_gigabytes(layer: Path) -> None:
    path = layer / "dissection.npz"
    members = members_of(path)
    write_members(path, members)
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents["thresholds.npy"] = header_only((2**40,), "<f8")
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    with pytest.raises(
        RunInvalid, match=r"is damaged: thresholds claims float64\(1099"
    ):
        Dissection.load(layer)


def test_unlucky_runs_are_plausible(pictured: Dissection, tmp_path: Path) -> None:
    """A run of one image, without annotations, of units that are constant."""
    empty = replace(
        pictured,
        intersection=np.zeros((5, 4), np.int64),
        unit_area=np.zeros((5, 2), np.int64),
        concept_area=np.zeros(4, np.int64),
        category_images=np.zeros(2, np.int64),
        category_pixels=np.zeros(2, np.int64),
        dead=np.ones(5, np.bool_),
        sparse=np.zeros(5, np.bool_),
        top_images=np.zeros((5, 1), np.int64),
        top_activations=np.full((5, 1), -3.0),
        stored_pictures=None,
        locations=1,
    )
    look_at(empty.save(tmp_path / "empty"))
    old = replace(empty, category_pixels=None, histograms=None)
    look_at(old.save(tmp_path / "old"))
    none = replace(empty, top_images=np.zeros((5, 0), np.int64),
                   top_activations=np.zeros((5, 0)))  # fmt: skip
    look_at(none.save(tmp_path / "none"))


@pytest.mark.parametrize("damage", ["begin", "end", "size"])
def test_a_damaged_picture_is_named_wherever_it_is_shown(
    pictured: Dissection, tmp_path: Path, damage: str
) -> None:
    pictures = pictured.pictures
    assert pictures is not None
    first, *others = pictures.encoded
    if damage == "size":
        content = io.BytesIO()
        Image.new("1", (2**14, 2**11)).save(content, "PNG")
        changed = content.getvalue()
    else:
        changed = bytes(9) + first[9:] if damage == "begin" else first[:40]
    pictures = replace(pictures, encoded=(changed, *others))
    folder = replace(pictured, stored_pictures=pictures).save(tmp_path / "layer")
    loaded = Dissection.load(folder)
    image = int(loaded.top_images[0].min())
    for show in (
        lambda: loaded.pictures and loaded.pictures.picture(image),
        lambda: loaded.to_html(tmp_path / "page.html"),
        lambda: loaded.show(0)._repr_html_(),
        loaded._repr_html_,
    ):
        with pytest.raises(RunInvalid, match=r"picture.* is damaged"):
            show()
