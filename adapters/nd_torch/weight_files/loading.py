"""Weights from a file, loaded into a model that a text names."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from torch import nn

from nd_plugin import Preprocess, SpecText
from nd_torch.weight_files.fitting import fit_weights
from nd_torch.weight_files.reading import read_weights_file

LIBRARIES = ("torchvision", "timm")
# of ImageNet, as the authors of VGG subtract it: blue, green, red
CAFFE_MEAN = (103.939, 116.779, 123.68)
CAFFE = "Caffe's (the weights are those of a .caffemodel)"
CAFFE_NOTE = (
    "the weights are Caffe's, so images are given as Caffe does: BGR from 0 to 255, less "
    "ImageNet's mean; a network of another data set may subtract its own (--mean B,G,R --std 1 "
    "--scale 1)"
)


@dataclass(frozen=True)
class LoadedWeights:
    """What is to be known of a model whose weights were loaded."""

    notes: tuple[str, ...]
    preprocess: Preprocess


def load_weights(
    module: nn.Module, preprocess: Preprocess, spec: SpecText, path: str
) -> LoadedWeights:
    """Load a file's weights into a model, whose text and preprocessing are given.

    Nothing in the file is run. Raises ModelNotFound.
    """
    file = read_weights_file(path, module)
    notes = [*fit_weights(file, module)]
    if file.architecture and _contradicts(file.architecture, spec, module):
        notes.append(
            f"the weights file says that it is of {file.architecture!r}; the model is "
            f"{spec.name}:{spec.argument}"
        )
    is_own = spec.name not in LIBRARIES and not preprocess.assumed
    if file.is_caffe and not is_own:
        preprocess = replace(
            preprocess,
            mean=CAFFE_MEAN,
            std=(1.0, 1.0, 1.0),
            scale=1.0,
            channel_order="bgr",
            source=CAFFE,
            assumed=False,
        )
        notes.append(CAFFE_NOTE)
    return LoadedWeights(tuple(notes), preprocess)


def _contradicts(architecture: str, spec: SpecText, module: nn.Module) -> bool:
    """Return whether a file's architecture is another than a model's.

    Names of torchvision and timm say what they are; of a user's factory, the name of the function
    or class may be a part of it.
    """
    claim = _plain(architecture)
    if spec.name in LIBRARIES:
        return claim != _plain(spec.argument.partition(".")[0])
    names = [
        _plain(spec.argument.rpartition(".")[2]),
        _plain(type(module).__name__),
    ]
    return not any(name in claim or claim in name for name in names)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
