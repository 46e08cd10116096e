"""Documents: ONNX models as read from a file or from memory, and their external data."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, TensorProto, inliner, numpy_helper

from nd_onnxruntime.damage import check_functions, check_values
from nd_onnxruntime.external_data import ExternalLocation, find_external_files
from nd_onnxruntime.proto import external_tensors
from nd_plugin import BadInput, ModelNotFound, expanded_home

ModelSource = str | os.PathLike[str] | ModelProto

# bytes of external data copied into one message; protobuf's limit is 2 GiB
INLINE_LIMIT = 2**30
BYTES_PER_ELEMENT = 8  # upper bound, over all types
LFS_POINTER = b"version https://git-lfs"


@dataclass(frozen=True)
class Document:
    """Model as its file describes it, local functions inlined; external data not read yet."""

    source: str  # path, or the graph's name
    model: ModelProto
    # files of external data, by the location written in the model
    external: Mapping[str, Path]

    def array(self, tensor: TensorProto) -> npt.NDArray[np.generic]:
        """Return the values of a tensor, stored in the model or in a file beside it."""
        if tensor.data_location == TensorProto.EXTERNAL:
            inlined = TensorProto()
            inlined.CopyFrom(tensor)
            self._inline(inlined)
            tensor = inlined
        return np.asarray(numpy_helper.to_array(tensor))

    def of_subgraph(self, model: ModelProto) -> Document:
        """Return the document of a model extracted from this one, ready for a session.

        External data are copied into ``model``, which is changed, unless they exceed
        ``INLINE_LIMIT`` bytes: then they stay in their files.
        """
        tensors = external_tensors(model.graph)
        if (
            sum(prod(tensor.dims) * BYTES_PER_ELEMENT for tensor in tensors)
            > INLINE_LIMIT
        ):
            locations = {ExternalLocation.of(tensor).location for tensor in tensors}
            files = {
                location: self.external[location] for location in sorted(locations)
            }
            return replace(self, model=model, external=files)
        for tensor in tensors:
            self._inline(tensor)
        return replace(self, model=model, external={})

    def _inline(self, tensor: TensorProto) -> None:
        """Move the external data of a tensor into the tensor itself."""
        data = ExternalLocation.of(tensor)
        tensor.raw_data = data.read(self.external[data.location])
        tensor.data_location = TensorProto.DEFAULT
        del tensor.external_data[:]


def model_bytes(source: ModelSource) -> bytes:
    """Return the bytes of a model file, or the serialised form of a loaded model.

    Raises ModelNotFound for a missing or empty file and for a git-lfs pointer, BadInput for ONNX
    Runtime's own format and for a ModelProto that was loaded without its external data.
    """
    if not isinstance(source, ModelProto):
        return _file_bytes(expanded_home(Path(source)))
    if external_tensors(source.graph):
        raise BadInput(
            "the ModelProto was loaded without its external data: give the file's path, or load it "
            "with load_external_data=True"
        )
    content: bytes = source.SerializeToString(deterministic=True)
    return content


def parse(source: ModelSource, content: bytes) -> Document:
    """Parse the ``content`` that `model_bytes` returned for ``source``.

    Raises ModelNotFound for content that is not an ONNX model and for missing external data,
    BadInput for external data outside the model's folder.
    """
    if isinstance(source, ModelProto):
        name = source.graph.name or "ModelProto"
        check_values(name, source)
        return Document(name, _inlined(name, source), {})
    path = expanded_home(Path(source))
    model = _parsed(path, content)
    check_values(str(source), model)
    external = find_external_files(model, path.absolute().parent)
    return Document(str(source), _inlined(str(source), model), external)


def _file_bytes(path: Path) -> bytes:
    if path.is_dir():
        raise ModelNotFound(f"{path} is a folder; give the path of an ONNX file")
    if not path.is_file():
        raise ModelNotFound(f"no model file {str(path)!r}")
    content = path.read_bytes()
    if content[4:8] == b"ORTM":
        raise BadInput(
            f"{path} is in ONNX Runtime's own .ort format, whose inner values cannot be read: use "
            "the .onnx file that it was converted from"
        )
    if content.startswith(LFS_POINTER):
        raise ModelNotFound(
            f"{path} is a git-lfs pointer, not the model itself: run git lfs pull"
        )
    if not content:
        raise ModelNotFound(f"{path} is empty")
    return content


def _parsed(path: Path, content: bytes) -> ModelProto:
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise ModelNotFound(
            f"{path} is not an ONNX model, or is damaged: its {len(content)} bytes are not a valid "
            "protobuf message"
        ) from error
    if not model.graph.node:
        raise ModelNotFound(f"{path} is not an ONNX model: it contains no graph")
    return model


def _inlined(source: str, model: ModelProto) -> ModelProto:
    """Return a model with its functions written out. Raises ModelNotFound."""
    if not model.functions:
        return model
    check_functions(source, model)
    return inliner.inline_local_functions(model)
