"""Weights files of the kinds that are around, each read without running anything in it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from nd_plugin import ModelNotFound, describe_error, translating_errors
from nd_torch.weight_files.caffe_files import read_caffe_layers
from nd_torch.weight_files.caffe_names import caffe_tensors
from nd_torch.weight_files.pickle_records import BadPickle, Construction, Reference
from nd_torch.weight_files.protobuf import BadMessage
from nd_torch.weight_files.stored_tensors import StoredTensor, WeightsFile
from nd_torch.weight_files.tensor_records import is_tensor, tensor_of
from nd_torch.weight_files.torch_files import TorchFile, read_torch_file

# of training scripts
WRAPPER_KEYS = ("state_dict", "model_state_dict", "model", "state_dict_ema")
ARCHITECTURE_KEYS = ("arch", "architecture")
SAVE_INSTEAD = "save model.state_dict() instead"
SAVE_STATE = (
    "where you trust it, in an environment that it runs in, save "
    "torch.load(FILE, weights_only=False).state_dict() instead"
)
OTHER_ENDINGS = {
    ".h5": "an HDF5 file, of Keras or of Caffe",
    ".hdf5": "an HDF5 file",
    ".t7": "a file of Lua Torch",
    ".npz": "a NumPy archive",
    ".onnx": "an ONNX file, which is a model of its own: nd dissect FILE.onnx",
}


def read_weights_file(path: str, module: nn.Module) -> WeightsFile:
    """Read what a weights file holds for a model: names and shapes, the values when they are used.

    Safetensors and Caffe files are known by their endings, others are files of torch.save.
    Raises ModelNotFound, with what is wrong and what to do.
    """
    file = Path(path)
    ending = file.suffix.lower()
    # a damaged file may make readers raise anything
    with translating_errors(partial(unreadable, path)):
        if ending in OTHER_ENDINGS:
            raise BadPickle(f"it is {OTHER_ENDINGS[ending]}")
        if ending == ".safetensors":
            return WeightsFile(path, _safetensors(path))
        if ending == ".caffemodel":
            tensors = caffe_tensors(read_caffe_layers(file), module, path)
            return WeightsFile(path, tensors, is_caffe=True)
        return _from_torch(path, read_torch_file(file))


def unreadable(path: str, error: BaseException) -> ModelNotFound:
    """Return the error of a file that cannot be read, for the reason in ``error``."""
    is_known = isinstance(error, BadPickle | BadMessage | OSError)
    reason = str(error) if is_known else f"it is damaged ({describe_error(error)})"
    return ModelNotFound(
        f"{path!r} cannot be read as weights: {reason} (read are safetensors and Caffe files, "
        "known by their endings, and state dicts of plain tensors)"
    )


def _safetensors(path: str) -> dict[str, StoredTensor]:
    """Return the tensors of a safetensors file. Raises BadPickle."""
    tensors: dict[str, StoredTensor] = {}
    try:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118  # no mapping
                shape = tuple(file.get_slice(name).get_shape())
                tensors[name] = StoredTensor(shape, _safetensors_loader(path, name))
    except SafetensorError as error:
        raise BadPickle(f"SafetensorError: {error}") from error
    return tensors


def _safetensors_loader(path: str, name: str) -> Any:
    def load() -> Tensor:
        with safe_open(path, framework="pt") as file:
            tensor: Tensor = file.get_tensor(name)
        return tensor

    return load


def _from_torch(path: str, file: TorchFile) -> WeightsFile:
    content = file.content
    architecture = ""
    if isinstance(content, Mapping):
        names = [content.get(key) for key in ARCHITECTURE_KEYS]
        architecture = next((name for name in names if isinstance(name, str)), "")
    state = _state_dict_in(content)
    if not isinstance(state, Mapping):
        raise _no_state_dict(path, state)
    tensors: dict[str, StoredTensor] = {}
    for name, value in state.items():
        record = tensor_of(value)
        if record is None:
            tensors = _read_by_torch(path, state)
            break
        if not isinstance(name, str):
            raise BadPickle("its state dict has names that are no texts")
        tensors[name] = file.stored(record)
    return WeightsFile(path, tensors, architecture)


def _state_dict_in(content: Any) -> Any:
    """Return the state dict in a file's content, which training scripts put into a dict.

    The content is as the pickle describes it, or as torch has loaded it.
    """
    for key in WRAPPER_KEYS:
        part = content.get(key) if isinstance(content, Mapping) else None
        if isinstance(part, Mapping) or _is_module(part):
            content = part
    if not isinstance(content, Mapping):
        return content
    if any(map(_is_tensor, content.values())):
        return content
    candidates = [value for value in content.values() if _is_state_dict(value)]
    return candidates[0] if len(candidates) == 1 else content


def _is_state_dict(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(map(_is_tensor, value.values()))
    )


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor) or is_tensor(value)


def _read_by_torch(path: str, state: Mapping[Any, Any]) -> dict[str, StoredTensor]:
    """Read tensors of other kinds, such as quantised ones, by torch, which runs no pickle either.

    Raises ModelNotFound for anything that is no tensor.
    """
    foreign = [value for value in state.values() if not _is_tensor(value)]
    if foreign:
        raise _no_state_dict(path, foreign[0])
    try:
        with warnings.catch_warnings():
            # torch warns of classes that it uses itself
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    # of many classes: a damaged file, a kind that is not allowed
    except Exception as error:
        first_line = str(error).partition("\n")[0]
        raise unreadable(path, BadPickle(first_line)) from error
    state = _state_dict_in(content)
    return {str(name): StoredTensor.of(tensor) for name, tensor in state.items()}


def _no_state_dict(path: str, value: Any) -> ModelNotFound:
    """Return the error of a file whose content, or a part of it, is no tensor."""
    if isinstance(value, Construction | Reference):
        if _is_module(value):
            return ModelNotFound(
                f"{path!r} contains a whole pickled module ({value.path}), which is code to be run "
                f"and not only weights; it is never executed here: {SAVE_STATE}"
            )
        return ModelNotFound(
            f"{path!r} is not a state dict of plain tensors: it contains other pickled objects, "
            f"which are never executed; {SAVE_INSTEAD} (found: {value.path})"
        )
    return ModelNotFound(
        f"the weights file contains a {type(value).__name__}, not a state dict of tensors; "
        f"{SAVE_INSTEAD}"
    )


def _is_module(value: Any) -> bool:
    """Return whether an object is a module: its attributes hold modules by name."""
    state = value.state if isinstance(value, Construction) else None
    return isinstance(state, Mapping) and "_modules" in state
