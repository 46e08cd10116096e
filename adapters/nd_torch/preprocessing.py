"""Preprocessing as models and their weights state it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from nd_plugin import BadInput, Preprocess
from nd_torch.first_operations import CHANNELS, FirstPass

NAMES_NONE = "the model names none"
MODEL = "the model"
# of torchvision's transforms that do not normalise, such as those of detectors
BLACK = (0.0, 0.0, 0.0)
UNIT = (1.0, 1.0, 1.0)


def preprocess_of(module: nn.Module) -> Preprocess:
    """Return the preprocessing in timm's ``pretrained_cfg`` of a module, else assume ImageNet's.

    ``scale`` and ``channel_order``, which timm does not have, are read as well.

    Raises BadInput for values that are no preprocessing.
    """
    config = getattr(module, "pretrained_cfg", None) or getattr(
        module, "default_cfg", None
    )
    if not isinstance(config, Mapping):
        return Preprocess.imagenet(NAMES_NONE)
    statistics: dict[str, Any] = {}
    for key in ("mean", "std"):
        if config.get(key):
            statistics[key] = tuple(config[key])
    for key in ("scale", "channel_order"):
        if config.get(key):
            statistics[key] = config[key]
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


def complete(metadata_values: Preprocess, first_pass: FirstPass) -> Preprocess:
    """Complete the preprocessing that metadata state by what the model's first operations tell.

    They replace what is assumed, and the number of channels is that of the first convolution. What
    the metadata state is marked as assumed where the operations contradict it.

    Raises BadInput for a number of channels that images do not have.
    """
    channels = first_pass.layer_channels or metadata_values.channels
    if channels not in CHANNELS:
        raise BadInput(
            f"the first convolution takes {channels} channels: images have 3 (RGB) or 1 (grey)"
        )
    imagenet = Preprocess.imagenet(NAMES_NONE, metadata_values.size, channels)
    own_values = first_pass.operations.complete(imagenet, MODEL)
    if metadata_values.assumed:
        return own_values
    metadata_values = _for_channels(metadata_values, channels)
    if own_values.assumed or _normalise_alike(metadata_values, own_values):
        return metadata_values
    doubt = f"{metadata_values.source}, although {own_values.source}"
    return replace(metadata_values, source=doubt, assumed=True)


def _normalise_alike(first: Preprocess, second: Preprocess) -> bool:
    first_values = (first.mean, first.std, first.scale, first.channel_order)
    second_values = (second.mean, second.std, second.scale, second.channel_order)
    return first_values == second_values


def _for_channels(metadata_values: Preprocess, channels: int) -> Preprocess:
    """Return a stated preprocessing for images of one channel, where the model takes these."""
    if metadata_values.channels == channels or channels != 1:
        return metadata_values
    mean = sum(metadata_values.mean) / len(metadata_values.mean)
    std = sum(metadata_values.std) / len(metadata_values.std)
    return replace(
        metadata_values,
        mean=(mean,),
        std=(std,),
        source=f"{metadata_values.source}, averaged over the channels for a model of grey images",
        assumed=True,
    )


def preprocess_of_torchvision(weights: Any, model_name: str) -> Preprocess:
    """Return the preprocessing of torchvision's weights (a member of a ``…_Weights`` enum).

    A transform without mean and std scales to 0 … 1: detectors normalise inside.
    """
    transform = weights.transforms()
    crop = getattr(transform, "crop_size", getattr(transform, "resize_size", [224]))
    size = (crop[0], crop[-1]) if isinstance(crop, list | tuple) else (crop, crop)
    interpolation = getattr(transform, "interpolation", None)
    return Preprocess(
        size=size,
        mean=tuple(getattr(transform, "mean", BLACK)),
        std=tuple(getattr(transform, "std", UNIT)),
        interpolation=str(getattr(interpolation, "value", "bilinear")),
        source=f"torchvision's {model_name} weights",
    )
