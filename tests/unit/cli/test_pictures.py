"""Turned, large and wide pictures at the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from nd_plugin.captum_api.layer_dissection import LayerDissection
from nd_plugin.pictures.conversion import TURNED

MODEL = "networks:ResNet18"
PIXELS = 48 * 64  # of an image of the probe set


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """The same photo, upright and stored on its side."""
    pixels = np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8)
    image = Image.fromarray(pixels)
    image.save(tmp_path / "upright.png")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    turned = image.transpose(Image.Transpose.ROTATE_90)
    turned.save(tmp_path / "turned.png", exif=exif)
    return tmp_path


def test_the_explanation_of_a_turned_photo_is_that_of_the_photo(
    run: Path, photo: Path, nd: Any
) -> None:
    explanations = []
    for name in ("upright.png", "turned.png"):
        # the network's weights are random
        torch.manual_seed(0)
        done = nd("explain", run, MODEL, photo / name, "-l", "layer1", "--json")
        assert done.returncode == 0, done.stderr
        (explanation,) = json.loads(done.stdout)["explanations"]
        explanations.append(explanation)
    upright, turned = explanations
    assert turned.pop("notes") == [f"image: {TURNED}", *upright.pop("notes")]
    assert turned == upright
    shown = nd("explain", run, MODEL, photo / "turned.png", "-l", "layer1")
    assert f"! image: {TURNED}" in " ".join(shown.stdout.split())


@pytest.mark.parametrize("detail", ["", "4 GiB"])
def test_too_little_memory_for_an_explanation_is_not_that_of_a_picture(
    detail: str, run: Path, photo: Path, nd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError(detail)

    monkeypatch.setattr(LayerDissection, "explain", fail)
    done = nd("explain", run, MODEL, photo / "upright.png", "-l", "layer1")
    assert done.returncode == 1
    reason = f"MemoryError: {detail or 'out of memory'}"
    assert f"nd: the explanation failed: {reason}; give" in done.stderr
    assert "decoding" not in done.stderr and "Traceback" not in done.stderr


def test_an_image_beyond_the_limit(run: Path, photo: Path, nd: Any) -> None:
    command = (
        "explain",
        run,
        MODEL,
        photo / "upright.png",
        "-l",
        "layer1",
        "--json",
    )
    remedy = "3072 pixels) exceeds limit of 3071 pixels; if the file can be trusted"
    done = nd(*command, "--max-pixels", PIXELS - 1, COLUMNS="400")
    assert done.returncode == 1 and remedy in done.stderr
    assert "--max-pixels N" in done.stderr and "Traceback" not in done.stderr
    done = nd(*command, ND_MAX_PIXELS=str(PIXELS - 1), COLUMNS="400")
    assert done.returncode == 1 and remedy in done.stderr
    done = nd(*command, "--max-pixels", PIXELS, ND_MAX_PIXELS="1")
    assert done.returncode == 0, done.stderr
    done = nd(*command, ND_MAX_PIXELS="many")
    assert done.returncode == 2 and "ND_MAX_PIXELS 'many' is not" in done.stderr


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_limit_holds_in_a_dissection(
    probe_set: Path, tmp_path: Path, nd: Any, workers: str
) -> None:
    street = tmp_path / "street"
    shutil.copytree(probe_set, street)
    with Image.open(street / "images/2.png") as image:
        image.resize((80, 60)).save(street / "images/2.png")
    command = ("dissect", MODEL, "-l", "layer1", "-c", f"masks:{street}", "--json",
               "--input-size", "64", "--workers", workers)  # fmt: skip
    torch.manual_seed(0)  # the network's weights are random
    limited = nd(*command, "-o", tmp_path / "a", "--max-pixels", PIXELS)
    assert limited.returncode == 0, limited.stderr
    (summary,) = json.loads(limited.stdout)["layers"]
    assert summary["images"] == 5
    assert "4800 pixels) exceeds limit of 3072 pixels" in summary["notes"][-1]
    assert "--max-pixels N" in summary["notes"][-1]
    torch.manual_seed(0)
    environment = nd(*command, "-o", tmp_path / "b", ND_MAX_PIXELS=str(PIXELS))
    assert environment.stdout == limited.stdout
    (summary,) = json.loads(nd(*command, "-o", tmp_path / "c").stdout)["layers"]
    assert summary["images"] == 6
    strict = nd(*command, "-o", tmp_path / "d", "--max-pixels", PIXELS, "--strict")
    assert strict.returncode == 1
    assert json.loads(strict.stdout)["error"]["type"] == "Unreadable"
    assert "the image of 2.png cannot be read" in " ".join(strict.stderr.split())
    bad = nd(*command, "-o", tmp_path / "e", ND_MAX_PIXELS="0")
    assert bad.returncode == 2 and "ND_MAX_PIXELS '0' is not" in bad.stderr


def test_grey_pictures_of_a_set_share_their_range(
    probe_set: Path, tmp_path: Path, nd: Any
) -> None:
    street = tmp_path / "street"
    shutil.copytree(probe_set, street)
    for path in sorted((street / "images").iterdir()):
        with Image.open(path) as image:
            values = np.asarray(image.convert("L")).astype(np.uint16) * 10
        Image.fromarray(values).save(path)
    done = nd("dissect", MODEL, "-l", "layer1", "-c", f"masks:{street}", "--json",
              "--input-size", "64", "--workers", "0", "-o", tmp_path / "a")  # fmt: skip
    assert done.returncode == 0, done.stderr
    (summary,) = json.loads(done.stdout)["layers"]
    assert (
        "16 bit grey values scaled from 0 … 4095, a guess by the largest value of the probe "
        "data set (6 images, for example 0.png)"
    ) in summary["notes"]
    # a dark picture is explained as the network saw it in the set
    dark = tmp_path / "dark.png"
    Image.fromarray(values // 20).save(dark)
    notes = notes_of_explanation(nd, tmp_path / "a", dark)
    assert (
        "image: 16 bit grey values scaled from 0 … 4095, a guess by the images of the "
        in notes[0]
    )
    Image.fromarray(values * 5).save(dark)
    bright = notes_of_explanation(nd, tmp_path / "a", dark)
    assert (
        "scaled from 0 … 16383, a guess by the picture's largest value" in bright[0]
    )


def notes_of_explanation(nd: Any, run: Path, image: Path) -> list[str]:
    done = nd("explain", run, MODEL, image, "--json")
    assert done.returncode == 0, done.stderr
    notes: list[str] = json.loads(done.stdout)["explanations"][0]["notes"]
    return notes


def test_a_folder_without_its_format(probe_set: Path, nd: Any) -> None:
    done = nd("dissect", MODEL, "-l", "layer1", "-c", probe_set, COLUMNS="400")
    assert done.returncode == 2
    assert f"can be opened as 'masks:{probe_set}'" in done.stderr
