"""Preprocessing of two models: each its own, what is assumed is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nd_plugin import Preprocess
from nd_plugin.experiments.pair_preprocess import PairPreprocess, pair_preprocess

SIZE = (20, 24)
ASSUMED = Preprocess(SIZE, source="ImageNet's (the file names none)", assumed=True)
STATED = Preprocess(
    SIZE, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), source="the model's pretrained_cfg"
)
BGR = Preprocess(
    SIZE,
    (104, 117, 123),
    (1, 1, 1),
    1.0,
    "bgr",
    "bicubic",
    source="the file's metadata",
)


def image() -> Image.Image:
    pixels = np.random.default_rng(3).integers(0, 256, (30, 50, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("first", [ASSUMED, STATED, BGR])
@pytest.mark.parametrize("second", [ASSUMED, STATED, BGR])
def test_each_model_gets_the_images_it_would_get_alone(
    first: Preprocess, second: Preprocess
) -> None:
    both = PairPreprocess.of(first, second)
    batch = both.normalise(both.resize(image())[None])
    for own, images in zip((first, second), both.split(batch), strict=True):
        alone = own.normalise(own.resize(image())[None])
        assert torch.equal(images, alone) and images.is_contiguous()


def test_where_both_state_one_each_is_fed_its_own() -> None:
    both = pair_preprocess(STATED, BGR, {}, SIZE)
    assert (both.first, both.second) == (STATED, BGR)
    (note,) = both.notes
    assert note.startswith(
        "MODEL and ORIGIN differ in preprocessing (mean, std, scale"
    )
    assert note.endswith("each is fed images in its own way")


def test_where_both_state_the_same_nothing_is_said() -> None:
    both = pair_preprocess(STATED, replace(STATED, source="weights"), {}, SIZE)
    assert both.notes == () and both.first.source != both.second.source


@pytest.mark.parametrize("stated_is_second", [False, True])
def test_where_one_states_none_it_is_fed_as_the_other_says(
    stated_is_second: bool,
) -> None:
    pair = (ASSUMED, BGR) if stated_is_second else (BGR, ASSUMED)
    both = pair_preprocess(*pair, {}, SIZE)
    role, other = ("MODEL", "ORIGIN") if stated_is_second else ("ORIGIN", "MODEL")
    borrowed = both.first if stated_is_second else both.second
    assert borrowed.mean == BGR.mean and borrowed.channel_order == "bgr"
    assert borrowed.assumed
    assert borrowed.source == f"{other}'s, the file's metadata ({role} names none)"
    (note,) = both.notes
    assert note.startswith(
        f"{role} states no preprocessing; it is fed what {other} states"
    )


def test_where_neither_states_one_the_values_are_said() -> None:
    both = pair_preprocess(ASSUMED, ASSUMED, {}, SIZE)
    (note,) = both.notes
    assert note.startswith(
        "neither MODEL nor ORIGIN states its preprocessing; assumed for"
    )
    assert "mean 0.485 0.456 0.406, std 0.229 0.224 0.225" in note
    assert "--mean, --std, --scale and --channel-order" in note


@pytest.mark.parametrize(
    ("values", "is_assumed"),
    [
        ({"size": SIZE}, True),
        ({"scale": 1.0}, True),
        ({"channel_order": "bgr"}, True),
        ({"mean": (0, 0, 0)}, True),
        ({"mean": (0, 0, 0), "std": (1, 1, 1)}, False),
        ({"mean": (0, 0, 0), "std": (1, 1, 1), "scale": 1.0, "size": SIZE}, False),
    ],
)
def test_values_that_are_given_are_no_assumption(
    values: dict[str, Any], is_assumed: bool
) -> None:
    both = pair_preprocess(ASSUMED, ASSUMED, values, SIZE)
    for side in (both.first, both.second):
        assert side.assumed == is_assumed
        assert all(getattr(side, name) == value for name, value in values.items())
        assert ("ImageNet" in side.source) == is_assumed
    assert bool(both.notes) == is_assumed


def test_values_that_are_given_replace_those_of_both() -> None:
    both = pair_preprocess(STATED, BGR, {"mean": (1, 2, 3)}, SIZE)
    assert both.first.mean == both.second.mean == (1, 2, 3)
    assert both.first.std == STATED.std and both.second.std == BGR.std
    assert both.second.source == "the file's metadata; given: mean"


def test_of_two_sizes_it_is_said_which_is_used() -> None:
    larger = replace(STATED, size=(30, 30))
    both = pair_preprocess(larger, STATED, {}, SIZE)
    assert both.first.size == both.second.size == both.size == SIZE
    assert both.notes == (
        "MODEL asks for images of 30x30 pixels and ORIGIN for 20x24: both are fed 20x24; "
        "--input-size chooses another size",
    )
    assert pair_preprocess(larger, STATED, {"size": SIZE}, SIZE).notes == ()
