"""Real sets exported and read back: the same dissection, every integer.

CamVid in the masks format and the same images in Broden's layout, which another script wrote, have
the same tallies of objects and scenes.
"""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nd_plugin import (
    Dissection,
    ExportOptions,
    LayerDissection,
    Preprocess,
    concepts_from_captum,
    concepts_to_captum,
    export_concepts,
    open_concepts,
)
from nd_plugin.concepts.broden_layout.samples import LabelledImage
from nd_plugin.concepts.broden_layout.tally import LabelCounts
from nd_plugin.concepts.export.planes import CategoryOfValues

IMAGES = 10
INTEGERS = ("intersection", "unit_area", "concept_area", "top_images")
# two names of the same concept, and the suffix of Broden's scenes
OTHER_NAMES = {"sign": "signsymbol", "day": "day-s", "dusk": "dusk-s"}


def network() -> nn.Module:
    """Return a small network of fixed random weights."""
    generator = torch.Generator().manual_seed(19)
    layers = nn.Sequential(
        nn.Conv2d(3, 16, 7, 4, 3), nn.ReLU(), nn.Conv2d(16, 24, 3, 2, 1), nn.ReLU()
    )
    with torch.no_grad():
        for parameter in layers.parameters():
            shape = parameter.shape
            parameter.copy_(torch.randn(shape, generator=generator))
    return layers.eval()


def dissect(text: str, **options: Any) -> Dissection:
    dissection = LayerDissection(network(), "2").dissect(
        text, limit=IMAGES, workers=0, **options
    )
    assert isinstance(dissection, Dissection)
    return dissection


def assert_same(first: Dissection, second: Dissection) -> None:
    assert first.images == second.images == IMAGES
    for name in INTEGERS:
        assert (getattr(first, name) == getattr(second, name)).all(), name
    assert (first.thresholds == second.thresholds).all()
    pairs = [
        [(concept.name, concept.category) for concept in dissection.concepts]
        for dissection in (first, second)
    ]
    assert pairs[0] == pairs[1]
    assert first.intersection.any()


@pytest.fixture(scope="module")
def exported_camvid(
    real_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """CamVid in Broden's layout, images and masks as they are."""
    folder = tmp_path_factory.mktemp("camvid") / "broden"
    camvid = open_concepts(f"masks:{real_data / 'camvid'}")
    export_concepts(camvid, folder, limit=IMAGES, workers=0)
    return folder


@pytest.mark.parametrize("mask_size", [None, "native", 57])
def test_camvid_in_broden_s_layout_gives_the_same_dissection(
    real_data: Path, exported_camvid: Path, mask_size: str | int | None
) -> None:
    assert_same(
        dissect(f"masks:{real_data / 'camvid'}", mask_size=mask_size),
        dissect(f"broden:{exported_camvid}", mask_size=mask_size),
    )


def test_camvid_resized_to_the_model_s_input_gives_the_same_dissection(
    real_data: Path, tmp_path: Path
) -> None:
    text = f"masks:{real_data / 'camvid'}"
    options = ExportOptions(size=(224, 224))
    export_concepts(
        open_concepts(text), tmp_path / "set", options, limit=IMAGES, workers=0
    )
    index = (tmp_path / "set" / "index.csv").read_text().splitlines()[1]
    assert ",224,224,112,112," in index
    assert_same(dissect(text), dissect(f"broden:{tmp_path / 'set'}"))


@pytest.mark.parametrize("index", ["index.csv", "index_sparse.csv"])
@pytest.mark.parametrize("format_name", ["broden", "masks"])
def test_broden_exported_gives_the_same_dissection(
    real_data: Path, tmp_path: Path, index: str, format_name: str
) -> None:
    text = f"broden:{real_data / 'broden_camvid'}?index={index}"
    folder = tmp_path / "set"
    options = ExportOptions(format_name)
    report = export_concepts(
        open_concepts(text), folder, options, limit=IMAGES, workers=0
    )
    assert report.copied == IMAGES
    original, copy = (
        dissect(spec, preprocess=Preprocess(size=(160, 160)))
        for spec in (text, f"{format_name}:{folder}")
    )
    assert_same(original, copy)


def test_tallies_of_camvid_are_those_of_its_set_in_broden_s_layout(
    real_data: Path,
) -> None:
    """All 468 images, at the masks' own size: coverage to the twelfth decimal of the tables."""
    concepts = open_concepts(f"masks:{real_data / 'camvid'}")
    categories = CategoryOfValues(concepts.concepts, concepts.categories)
    counts = LabelCounts()
    picture = concepts.image(0)
    for index in range(len(concepts)):
        annotation = concepts.annotation(index)
        planes = categories.sort(annotation.planes, None)
        labels = {"scene": annotation.labels}
        counts.add(LabelledImage(picture, concepts.name(index), "", planes, labels))
    coverages = counts.coverages()
    tallies = {}
    for number, concept in enumerate(concepts.concepts, start=1):
        key = (number, concept.category)
        name = OTHER_NAMES.get(concept.name, concept.name)
        coverage = f"{coverages[key]:.12f}"
        tallies[concept.category, name] = counts.frequency(*key), coverage
    assert tallies == published_tallies(real_data / "broden_camvid")


def published_tallies(folder: Path) -> dict[tuple[str, str], tuple[int, str]]:
    tallies = {}
    for category in ("object", "scene"):
        with (folder / f"c_{category}.csv").open(newline="") as file:
            for line in csv.DictReader(file):
                amounts = int(line["frequency"]), line["coverage"]
                tallies[category, line["name"]] = amounts
    return tallies


def test_a_set_to_captum_and_back_to_the_masks_format(tmp_path: Path) -> None:
    """Each concept's images come back as they were, labelled as a whole."""
    own = open_concepts("shapes?images=12&size=64")
    how = Preprocess(size=(64, 64))
    names = ["red-c", "sky", "grass"]
    shown = [
        name
        for name in names
        if any(concept.name == name for concept in own.concepts)
    ]
    captum_concepts = concepts_to_captum(own, shown[:2], preprocess=how)
    back = concepts_from_captum(captum_concepts, preprocess=how)
    folder = tmp_path / "set"
    options = ExportOptions("masks")
    report = export_concepts(back, folder, options, workers=0)
    copy = open_concepts(f"masks:{folder}")
    assert report.images == len(copy) == len(back) > 2
    assert [concept.name for concept in copy.concepts] == shown[:2]
    for index in range(len(copy)):
        name, number = copy.name(index).removesuffix(".png").split("/")
        source = int(number)
        assert copy.concepts[copy.annotation(index).labels[0] - 1].name == name
        assert copy.image(index).tobytes() == back.image(source).tobytes()
        assert copy.annotation(index).labels == back.annotation(source).labels
    originals = {own.image(index).tobytes() for index in range(len(own))}
    assert {copy.image(index).tobytes() for index in range(len(copy))} <= originals
    again = concepts_to_captum(f"masks:{folder}", preprocess=how)
    for concept, original in zip(again, captum_concepts, strict=True):
        first, second = (
            np.sort(torch.cat(list(each.data_iter)).numpy().reshape(-1))
            for each in (concept, original)
        )
        assert (first == second).all()


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nd_plugin", "concepts", "export"]
    arguments = ["shapes?images=4000&size=256", "set", "--workers", "1"]
    process = subprocess.Popen(
        [*command, *arguments],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        env=dict(os.environ),
    )
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob(".set.nd_export/images/*")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=300)
    assert process.returncode == 130
    assert b"nd: interrupted" in message
    assert list(tmp_path.iterdir()) == []
