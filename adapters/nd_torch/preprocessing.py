"""Preprocessing as models and their weights state it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from nd_plugin import BadInput, Preprocess

IMAGENET = "ImageNet's (the model names none)"


def preprocess_of(module: nn.Module) -> Preprocess:
    """Return the preprocessing in timm's ``pretrained_cfg`` of a module, else ImageNet's.

    Raises BadInput for values that are no preprocessing.
    """
    config = getattr(module, "pretrained_cfg", None) or getattr(
        module, "default_cfg", None
    )
    if not isinstance(config, Mapping):
        return Preprocess(source=IMAGENET, assumed=True)
    statistics: dict[str, Any] = {}
    for key in ("mean", "std"):
        if config.get(key):
            statistics[key] = tuple(config[key])
    # channels, height, width
    input_size = tuple(config.get("input_size") or (3, 224, 224))
    try:
        return Preprocess(
            input_size[1:],
            interpolation=config.get("interpolation", "bilinear"),
            source="the model's pretrained_cfg",
            **statistics,
        )
    except BadInput as error:
        raise BadInput(
            f"the model's pretrained_cfg is invalid: {error}; correct it, or remove the attribute"
        ) from error


def preprocess_of_torchvision(weights: Any, model_name: str) -> Preprocess:
    """Return the preprocessing of torchvision's weights (a member of a ``…_Weights`` enum)."""
    transform = weights.transforms()
    crop = getattr(transform, "crop_size", getattr(transform, "resize_size", [224]))
    size = (crop[0], crop[-1]) if isinstance(crop, list | tuple) else (crop, crop)
    interpolation = getattr(transform, "interpolation", None)
    statistics: dict[str, Any] = {}
    if hasattr(transform, "mean"):
        statistics = {"mean": tuple(transform.mean), "std": tuple(transform.std)}
    return Preprocess(
        size=size,
        interpolation=str(getattr(interpolation, "value", "bilinear")),
        source=f"torchvision's {model_name} weights",
        **statistics,
    )
