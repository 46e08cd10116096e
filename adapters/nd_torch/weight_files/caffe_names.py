"""Parameters of a model that the layers of a Caffe file belong to, by the names of the layers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from nd_plugin import ModelNotFound
from nd_torch.weight_files.caffe_files import Blob, CaffeLayer
from nd_torch.weight_files.stored_tensors import StoredTensor

HIDDEN_LAYERS = ("fc6", "fc7", "fc8")
# fine-tuned and Places' networks call the last layer fc8a, fc8_places …
LAST_LAYER = re.compile(r"fc8.*")
SCALE = re.compile(r"scale(\d.*)")
NAMES_SHOWN = 6


def caffe_tensors(
    layers: Sequence[CaffeLayer], module: nn.Module, path: str
) -> dict[str, StoredTensor]:
    """Return the blobs of layers by the names of a model's parameters.

    The model's modules are called as Caffe's layers, or it is a VGG as in torchvision or timm.
    Raises ModelNotFound where no layer belongs to the model.
    """
    modules = _modules_by_layer(module)
    tensors: dict[str, StoredTensor] = {}
    for layer in layers:
        name = _module_name(layer.name, modules)
        target = modules.get(name)
        if target is None:
            tensors |= _unknown(layer)
        elif isinstance(target[1], nn.modules.batchnorm._BatchNorm):
            tensors |= _batch_norm(layer, target[0])
        else:
            tensors |= _affine(layer, *target)
    if not tensors.keys() & module.state_dict().keys():
        names = ", ".join(layer.name for layer in layers[:NAMES_SHOWN])
        raise ModelNotFound(
            f"{path!r} is a Caffe file whose layers ({names} …) are none of "
            f"{type(module).__name__}: such files go with nd_torch.zoo:caffe_alexnet and its "
            "variants, torchvision's and timm's VGGs, and models that call their modules as Caffe "
            "does"
        )
    return tensors


def _modules_by_layer(module: nn.Module) -> dict[str, tuple[str, nn.Module]]:
    """Return path and module of each Caffe layer that a model has."""
    modules = dict(_vgg_modules(module))
    for path, child in module.named_modules():
        if path and "." not in path:
            modules[path] = (path, child)
    return modules


def _vgg_modules(module: nn.Module) -> Iterator[tuple[str, tuple[str, nn.Module]]]:
    """Yield the layers of a VGG by Caffe's names: conv1_1 … conv5_3, fc6, fc7, fc8."""
    features = getattr(module, "features", None)
    if not isinstance(features, nn.Sequential):
        return
    block, number = 1, 0
    for index, child in features.named_children():
        if isinstance(child, nn.MaxPool2d):
            block, number = block + 1, 0
        elif isinstance(child, nn.Conv2d):
            number += 1
            yield f"conv{block}_{number}", (f"features.{index}", child)
    hidden = [
        (path, child)
        for path, child in module.named_modules()
        if not path.startswith("features.")
        and isinstance(child, nn.Linear | nn.Conv2d)
    ]
    yield from zip(HIDDEN_LAYERS, hidden, strict=False)


def _module_name(layer: str, modules: Mapping[str, object]) -> str:
    if layer in modules:
        return layer
    scale = SCALE.fullmatch(layer)
    if scale and f"bn{scale[1]}" in modules:
        return f"bn{scale[1]}"
    return "fc8" if LAST_LAYER.fullmatch(layer) else layer


def _affine(
    layer: CaffeLayer, path: str, target: nn.Module
) -> Iterator[tuple[str, StoredTensor]]:
    """Yield weight and bias of a convolution or an inner product."""
    names = ("weight", "bias")
    for name, blob in zip(names, layer.blobs, strict=False):
        parameter = getattr(target, name, None)
        expected = tuple(parameter.shape) if isinstance(parameter, Tensor) else ()
        yield f"{path}.{name}", _in_shape(blob, expected)
    yield from _further_blobs(layer, path, len(names))


def _batch_norm(layer: CaffeLayer, path: str) -> Iterator[tuple[str, StoredTensor]]:
    """Yield the statistics of a BatchNorm layer, or the weight and bias of the Scale after it.

    Caffe keeps sums of the statistics, and the factor that they are to be divided by.
    """
    if len(layer.blobs) == 3:
        *statistics, factor = layer.blobs
        for name, blob in zip(
            ("running_mean", "running_var"), statistics, strict=True
        ):
            load = partial(_divided, blob, factor)
            yield f"{path}.{name}", StoredTensor(_plain_shape(blob), load)
        return
    for name, blob in zip(("weight", "bias"), layer.blobs, strict=False):
        yield f"{path}.{name}", _in_shape(blob, _plain_shape(blob))
    yield from _further_blobs(layer, path, 2)


def _divided(blob: Blob, factor: Blob) -> Tensor:
    divisor = float(factor.load().flatten()[0]) if math.prod(factor.shape) else 0.0
    values = blob.load().flatten()
    return values / divisor if divisor else torch.zeros_like(values)


def _unknown(layer: CaffeLayer) -> Iterator[tuple[str, StoredTensor]]:
    """Yield the blobs of a layer that the model lacks, which are reported by these names."""
    yield from _further_blobs(layer, layer.name, 0)


def _further_blobs(
    layer: CaffeLayer, path: str, start: int
) -> Iterator[tuple[str, StoredTensor]]:
    for number, blob in enumerate(layer.blobs[start:], start):
        yield f"{path}.blobs[{number}]", StoredTensor(blob.shape, blob.load)


def _in_shape(blob: Blob, expected: tuple[int, ...]) -> StoredTensor:
    """Return a blob in the shape of a parameter, where it holds its numbers in the same order.

    Legacy blobs have four sizes; the weights of inner products are those of a convolution over the
    whole map. Of a classifier only the number of outputs may differ.
    """
    if blob.shape == expected:
        return StoredTensor(blob.shape, blob.load)
    shape = _plain_shape(blob)
    inputs = math.prod(shape[1:])
    if len(shape) > 1 and inputs == math.prod(expected[1:]):
        shape = (shape[0], *expected[1:])
    return StoredTensor(shape, partial(_reshaped, blob, shape))


def _plain_shape(blob: Blob) -> tuple[int, ...]:
    """Return the shape of a blob, a legacy one without the sizes of 1 at its beginning."""
    shape = blob.shape
    while blob.is_legacy and len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return shape


def _reshaped(blob: Blob, shape: tuple[int, ...]) -> Tensor:
    return blob.load().reshape(shape)
