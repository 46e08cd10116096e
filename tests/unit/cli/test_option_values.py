"""Values of the groups of options that commands share."""

from __future__ import annotations

from typing import Any

import pytest

from nd_plugin import BadInput, ModelOptions, Settings
from nd_plugin.cli.options.groups import (
    Checkpoints,
    Loading,
    Masks,
    ModelChoice,
    Passes,
    Pictures,
    Preprocessing,
    Reading,
    Significance,
)


def test_a_models_options() -> None:
    assert ModelChoice().model_options() == ModelOptions()
    choice = ModelChoice(
        "cuda:1", "float16", "image", ["scale=2", "file=a=b.npy"], ["ops.so"]
    )
    assert choice.model_options("net.pt") == ModelOptions(
        "cuda:1",
        "net.pt",
        "image",
        {"scale": "2", "file": "a=b.npy"},
        ("ops.so",),
        "float16",
    )


@pytest.mark.parametrize("text", ["scale", "scale=", "=2"])
def test_a_feed_without_name_or_value(text: str) -> None:
    with pytest.raises(BadInput, match="is not NAME=VALUE"):
        ModelChoice(feed=[text]).model_options()


def test_a_preprocessing_has_what_is_given() -> None:
    assert Preprocessing().values() == {}
    preprocessing = Preprocessing(
        "48x320", "0.5", "0.1,0.2,0.3", 1.0, "bicubic", "bgr"
    )
    assert preprocessing.values() == {
        "size": (48, 320),
        "mean": (0.5,),
        "std": (0.1, 0.2, 0.3),
        "scale": 1.0,
        "interpolation": "bicubic",
        "channel_order": "bgr",
    }


def test_a_factor_of_zero_is_given() -> None:
    assert Preprocessing(scale=0.0).values() == {"scale": 0.0}


def test_limits_of_passes() -> None:
    limits = Passes(8, 0, "1KiB", "2k").limits()
    assert limits == {
        "batch_size": 8,
        "workers": 0,
        "memory": 1024,
        "device_memory": 2000,
    }
    assert set(Passes().limits().values()) == {None}
    assert Passes(8, 0) == Passes(**vars(Loading(8, 0)))


@pytest.mark.parametrize(
    ("passes", "option"),
    [
        (Passes(memory="much"), "--memory 'much'"),
        (Passes(device_memory="much"), "--device-memory 'much'"),
    ],
)
def test_memory_that_is_no_amount(passes: Passes, option: str) -> None:
    with pytest.raises(BadInput, match=f"^{option} is not an amount"):
        passes.limits()


@pytest.mark.parametrize(
    ("pictures", "values"),
    [
        (Pictures(), {}),
        (Pictures(7), {"top_images": 7, "pictures": 7}),
        (Pictures(7, True), {"top_images": 7, "pictures": 0}),
        (Pictures(picture_budget="1MiB"), {"picture_budget": 2**20}),
    ],
)
def test_pictures(pictures: Pictures, values: dict[str, Any]) -> None:
    assert pictures.settings() == values


def test_groups_by_default_are_the_default_settings() -> None:
    settings = Settings(
        **Masks().settings(),
        **Reading().settings(),
        **Significance().settings(),
        **Pictures().settings(),
    )
    assert settings == Settings()


def test_groups_name_settings() -> None:
    settings = Settings(
        **Masks("cell", "native").settings(),
        **Reading(True, 99).settings(),
        **Significance(20, 3, 5).settings(),
    )
    expected = Settings(
        anchor="cell",
        mask_size="native",
        strict=True,
        max_pixels=99,
        folds=20,
        permutations=3,
        seed=5,
    )
    assert settings == expected


def test_a_seed_of_nothing() -> None:
    with pytest.raises(BadInput, match="--seed 3 is the seed of --folds and"):
        Significance(seed=3).settings()


def test_checkpoints() -> None:
    assert Checkpoints(True, 5).values() == {"resume": True, "every_images": 5}
