"""Weights fitted to a model: names as wrappers and older versions wrote them, other classes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from nd_plugin import ModelNotFound, translating_errors
from nd_torch.weight_files.reading import unreadable
from nd_torch.weight_files.stored_tensors import StoredTensor, WeightsFile

NAMES_SHOWN = 3
# DataParallel around a model or a part of it, and torch.compile
WRAPPERS = ("module", "_orig_mod")
# in DenseNets of torchvision before 0.3: denselayer1.norm.1.weight
OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.(\d)\.")
# a count of batches that older files lack, and that no forward pass in evaluation reads
BATCH_COUNT = "num_batches_tracked"
MOST_CLASSIFIERS = 3  # GoogLeNet has two beside its own

Tensors = Mapping[str, StoredTensor]


@dataclass(frozen=True)
class Misfit:
    """Names and shapes in which a file differs from a model."""

    missing: tuple[str, ...]  # in the file
    unexpected: tuple[str, ...]  # in the model
    resized: tuple[str, ...]  # of another shape

    @classmethod
    def of(cls, tensors: Tensors, module: nn.Module) -> Misfit:
        """Compare a file's tensors with a model's parameters and buffers."""
        state = module.state_dict()
        missing = [name for name in state if name not in tensors]
        resized = [
            name
            for name, tensor in tensors.items()
            if name in state and _shape_of(state[name]) not in (None, tensor.shape)
        ]
        return cls(
            _without_counts(missing),
            _without_counts([name for name in tensors if name not in state]),
            tuple(resized),
        )


def _without_counts(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if not name.endswith(BATCH_COUNT))


def fit_weights(file: WeightsFile, module: nn.Module) -> tuple[str, ...]:
    """Load a file's weights into a model. Returns notes on what differs and is allowed to.

    A classifier of another number of classes takes the file's; one that the file lacks stays
    random. Raises ModelNotFound.
    """
    tensors = _renamed(file.tensors, module)
    misfit = Misfit.of(tensors, module)
    notes = [*_resize_classifiers(tensors, misfit, module)]
    notes = notes or [*_missing_classifier(misfit, module)]
    if not notes:
        _check_fit(file, misfit, tensors, module)
    _load(file, tensors, module)
    return tuple(notes)


def _renamed(tensors: Tensors, module: nn.Module) -> dict[str, StoredTensor]:
    """Return the tensors under the names that the model has most of."""
    names = module.state_dict().keys()
    best = dict(tensors)
    for rename in _renamings(list(tensors)):
        renamed = {rename(name): tensor for name, tensor in tensors.items()}
        is_clash = len(renamed) < len(tensors)
        if not is_clash and len(renamed.keys() & names) > len(best.keys() & names):
            best = renamed
    return best


def _renamings(names: Sequence[str]) -> Iterator[Callable[[str], str]]:
    """Yield functions from a name in the file to one that a model may have."""
    yield _without_wrappers
    yield _with_new_names
    heads = {_with_new_names(name).partition(".")[0] for name in names}
    # one attribute that holds the model, as Lightning's `model`
    if len(heads) == 1:
        prefix = f"{heads.pop()}."
        yield lambda name: _with_new_names(name).removeprefix(prefix)


def _without_wrappers(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def _with_new_names(name: str) -> str:
    return OLD_DENSENET.sub(r"\1\2.", _without_wrappers(name))


def _resize_classifiers(
    tensors: Tensors, misfit: Misfit, module: nn.Module
) -> Iterator[str]:
    """Give classifiers the file's number of classes, where nothing else differs; yield a note."""
    paths = list(dict.fromkeys(name.rpartition(".")[0] for name in misfit.resized))
    if (
        misfit.missing
        or misfit.unexpected
        or not 0 < len(paths) <= MOST_CLASSIFIERS
    ):
        return
    sizes: set[tuple[int, int]] = set()
    for path in paths:
        layer = module.get_submodule(path)
        if not isinstance(layer, nn.Linear | nn.Conv2d):
            return
        parameters = dict(layer.named_parameters(recurse=False))
        for name, parameter in parameters.items():
            shape = tensors[f"{path}.{name}".removeprefix(".")].shape
            if not shape or shape[1:] != tuple(parameter.shape[1:]):
                return
            sizes.add((len(parameter), shape[0]))
    if len(sizes) != 1:
        return
    ((model_classes, file_classes),) = sizes
    for path in paths:
        _resize(module.get_submodule(path), file_classes)
    yield (
        f"the weights are of {file_classes} classes, the model of {model_classes}: "
        f"{' and '.join(paths) or 'it'} was given {file_classes} outputs"
    )


def _resize(layer: nn.Module, outputs: int) -> None:
    for name, parameter in list(layer.named_parameters(recurse=False)):
        size = (outputs, *parameter.shape[1:])
        setattr(layer, name, nn.Parameter(parameter.new_empty(size)))
    attribute = "out_features" if isinstance(layer, nn.Linear) else "out_channels"
    setattr(layer, attribute, outputs)


def _missing_classifier(misfit: Misfit, module: nn.Module) -> Iterator[str]:
    """Yield a note where a file lacks nothing but the model's last layer, a linear one."""
    if misfit.unexpected or misfit.resized:
        return
    paths = {name.rpartition(".")[0] for name in misfit.missing}
    last = next(reversed(module.state_dict()), "").rpartition(".")[0]
    is_part = last != ""  # a model that is one layer has no layers before it
    if (
        is_part
        and paths == {last}
        and isinstance(module.get_submodule(last), nn.Linear)
    ):
        yield (
            f"the weights file has no classifier: {last!r} keeps its random weights, and what the "
            "model predicts means nothing; the layers before it are the file's"
        )


def _check_fit(
    file: WeightsFile, misfit: Misfit, tensors: Tensors, module: nn.Module
) -> None:
    """Raise ModelNotFound where a file does not fit, with the first names and what looks wrong."""
    problems: list[str] = []
    if misfit.missing:
        problems.append(f"missing: {_shortened(misfit.missing)}")
    if misfit.unexpected:
        problems.append(f"not in the model: {_shortened(misfit.unexpected)}")
    if misfit.resized and not problems:
        name = misfit.resized[0]
        shape = _shape_of(module.state_dict()[name])
        problems.append(
            f"size mismatch for {name}: {tensors[name].shape} in the file, {shape} in the model "
            f"({len(misfit.resized)} in all)"
        )
    if not problems:
        return
    problems += _suspicions(file, misfit, module)
    raise ModelNotFound(
        f"the weights in {file.path!r} do not fit {type(module).__name__}: "
        f"{'; '.join(problems)}"
    )


def _suspicions(
    file: WeightsFile, misfit: Misfit, module: nn.Module
) -> Iterator[str]:
    """Yield what a misfit looks like."""
    if file.architecture:
        yield f"the file says that it is of {file.architecture!r}"
    heads = {name.partition(".")[0] for name in misfit.missing}
    if len(misfit.missing) == len(_without_counts(list(module.state_dict()))):
        yield "no name is the same: weights of another network, or of one with other names"
    elif heads and all(head.startswith("aux") for head in heads):
        yield "classifiers of training only: build the model without (?aux_logits=False)"
    elif any("running_mean" in name for name in misfit.missing):
        yield "the file is of a network without these batch normalisations"
    elif any("running_mean" in name for name in misfit.unexpected):
        yield "the file is of a network with batch normalisation"
    elif file.is_caffe and "conv1.blobs[0]" in misfit.unexpected:
        yield "Caffe's AlexNet is nd_torch.zoo:caffe_alexnet"


def _shape_of(value: object) -> tuple[int, ...] | None:
    """Return the shape of a tensor; None for what else a state dict holds, and lazy tensors."""
    if not isinstance(value, Tensor) or is_lazy(value):
        return None
    return tuple(value.shape)


def _load(file: WeightsFile, tensors: Tensors, module: nn.Module) -> None:
    """Read the values of what the model has, and put them into it. Raises ModelNotFound."""
    names = module.state_dict().keys()
    with translating_errors(partial(unreadable, file.path)):
        values = {
            name: tensor.load() for name, tensor in tensors.items() if name in names
        }
    try:
        with torch.no_grad():
            module.load_state_dict(values, strict=False)
    except RuntimeError as error:
        mismatches = [line.strip() for line in str(error).splitlines()[1:]]
        first_mismatch = mismatches[0] if mismatches else str(error)
        raise ModelNotFound(
            f"the weights in {file.path!r} do not fit {type(module).__name__}: {first_mismatch}"
        ) from error


def _shortened(names: Sequence[str]) -> str:
    """Join the first names, and count the others."""
    text = ", ".join(sorted(names)[:NAMES_SHOWN])
    hidden_count = len(names) - NAMES_SHOWN
    return f"{text} and {hidden_count} more" if hidden_count > 0 else text
