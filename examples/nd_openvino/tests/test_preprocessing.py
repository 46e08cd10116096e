"""Preprocessing that files state, or whose graphs begin with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import networks
from networks import MEAN, SCALE

from nd_openvino.backend import OpenVinoBackend
from nd_plugin import ModelOptions, Preprocess

MODEL_INFO = "model_info"


def preprocess_of(path: str) -> Preprocess:
    return OpenVinoBackend().open(path, ModelOptions()).preprocess


def stating(**entries: Any) -> Any:
    """Build a model with entries of ``model_info``."""
    model = networks.fixed_size()
    for name, value in entries.items():
        model.set_rt_info(value, [MODEL_INFO, name])
    return model


def test_nothing_stated_is_assumed(saved: Callable[..., str]) -> None:
    preprocess = preprocess_of(saved(networks.fixed_size(), "silent"))
    assert preprocess.assumed and preprocess.size == (32, 32)


def test_model_info_is_applied(saved: Callable[..., str]) -> None:
    texts = {
        "mean_values": "123.675 116.28 103.53",
        "scale_values": "58.395 57.12 57.375",
    }
    preprocess = preprocess_of(saved(stating(**texts), "info"))
    assert preprocess.mean == (123.675, 116.28, 103.53)
    assert preprocess.std == (58.395, 57.12, 57.375)
    assert preprocess.scale == 1 and not preprocess.assumed
    assert "model_info" in preprocess.source


def test_model_info_that_the_graph_applies_is_not_applied_twice(
    saved: Callable[..., str],
) -> None:
    texts = {"mean_values": "1 2 3", "embedded_processing": "True"}
    assert preprocess_of(saved(stating(**texts), "embedded")).assumed


def test_a_graph_that_begins_with_its_normalisation_takes_pixels(
    saved: Callable[..., str],
) -> None:
    model = networks.normalising(networks.many_operations())
    preprocess = preprocess_of(saved(model, "normalising"))
    assert (preprocess.mean, preprocess.std) == ((0, 0, 0), (1, 1, 1))
    assert preprocess.scale == 1 and not preprocess.assumed
    assert f"{MEAN[0]:g}" in preprocess.source


def test_channels_that_the_converter_has_reversed(
    saved: Callable[..., str],
) -> None:
    model = networks.fixed_size()
    model.set_rt_info("True", ["conversion_parameters", "reverse_input_channels"])
    preprocess = preprocess_of(saved(model, "reversed"))
    assert preprocess.channel_order == "bgr" and "BGR" in preprocess.source


def test_bytes_are_pixels_as_they_are(saved: Callable[..., str]) -> None:
    model = networks.taking_bytes(networks.many_operations())
    preprocess = preprocess_of(saved(model, "pixels"))
    assert (preprocess.scale, preprocess.std) == (1, (1, 1, 1)) and SCALE
    assert not preprocess.assumed
