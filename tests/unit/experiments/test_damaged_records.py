"""Records of experiments with a wrong value at any key: refused, the file named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from changed_archives import WRONG_VALUES, places_of, with_value, without

from nd_plugin import Identity, RunInvalid
from nd_plugin.experiments.probing.discrimination import (
    Discrimination,
    LayerAccuracy,
    RotatedAccuracy,
)
from nd_plugin.experiments.probing.discrimination_files import (
    load_discrimination,
    save_discrimination,
)
from nd_plugin.experiments.probing.discrimination_text import render
from nd_plugin.experiments.probing.linear_svm import ClassAccuracy, SvmSettings
from nd_plugin.experiments.records import read_record
from nd_plugin.report.terminal import plain_text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    accuracy = ClassAccuracy((3, 4), (5, 5))
    rotated = (RotatedAccuracy(0.5, 0, ClassAccuracy((2, 4), (5, 5))),)
    result = Discrimination(
        model=Identity("Net", "pkg:Net", "1", "abc"),
        images=Identity("images", "here", "1", "def"),
        classes=("cat", "dog"),
        train_images=20,
        test_images=10,
        svm=SvmSettings(),
        layers=(LayerAccuracy("conv", 6, accuracy, rotated),),
        preprocess={"size": [8, 8]},
        precision="float32",
        pooling="mean",
        notes=("slow",),
    )
    save_discrimination(tmp_path / "probe", result)
    return tmp_path / "probe"


def test_each_key_with_each_wrong_value(folder: Path) -> None:
    path = folder / "probe.json"
    document = json.loads(path.read_text())
    for place in places_of(document):
        changes = [with_value(document, place, value) for value in WRONG_VALUES]
        changes += [without(document, place)] if place else []
        for changed in changes:
            path.write_text(json.dumps(changed))
            try:
                plain_text([render(load_discrimination(folder))])
            except RunInvalid as error:
                assert "probe.json" in str(error)
                continue
            is_text = isinstance(changed, dict) and isinstance(place[-1], str | int)
            assert is_text, place


@pytest.mark.parametrize(
    "text", ["[" * 10**5, "{}", "[]", "3", '{"format": "1"}', "NaN"]
)
def test_what_is_no_record(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rotation.json"
    path.write_text(text)
    with pytest.raises(RunInvalid, match=r"rotation\.json is damaged"):
        read_record(path, 1)
    path.write_text('{"format": 2}')
    with pytest.raises(
        RunInvalid, match="is of format 2, and this nd_plugin reads"
    ):
        read_record(path, 1)
