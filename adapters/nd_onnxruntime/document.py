"""Reading ONNX files: what they hold, where their external data lies, and what is wrong with the unreadable ones."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from google.protobuf.message import DecodeError
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, inliner, numpy_helper

from nd_plugin import BadInput, ModelNotFound

LARGEST = 2**30  # bytes of weights inside one message
POINTER = b"version https://git-lfs"


@dataclass(frozen=True)
class Document:
    """A model as its file describes it, local functions inlined; external data stays where it is."""

    source: str
    model: ModelProto
    external: Mapping[str, Path]  # files, by the location that the model names
    fingerprint: str

    def array(self, tensor: TensorProto) -> npt.NDArray[np.generic]:
        """The values of an initializer, wherever they lie."""
        if tensor.data_location != TensorProto.EXTERNAL:
            return np.asarray(numpy_helper.to_array(tensor))
        inside = TensorProto()
        inside.CopyFrom(tensor)
        inside.data_location, inside.raw_data = TensorProto.DEFAULT, self._external_bytes(tensor)
        del inside.external_data[:]
        return np.asarray(numpy_helper.to_array(inside))

    def of_part(self, part: ModelProto) -> Document:
        """Of a part of this model, which is changed: the external data that it needs is brought into it.

        As long as it is no more than a message may hold; else it stays in its files.
        """
        tensors = [tensor for tensor in _tensors(part.graph) if tensor.data_location == TensorProto.EXTERNAL]
        if sum(prod(tensor.dims) * 8 for tensor in tensors) > LARGEST:
            needed = {_where(tensor)["location"] for tensor in tensors}
            return replace(self, model=part, external={key: self.external[key] for key in needed})
        for tensor in tensors:
            tensor.raw_data, tensor.data_location = self._external_bytes(tensor), TensorProto.DEFAULT
            del tensor.external_data[:]
        return replace(self, model=part, external={})

    def _external_bytes(self, tensor: TensorProto) -> bytes:
        where = _where(tensor)
        with self.external[where["location"]].open("rb") as file:
            file.seek(int(where.get("offset", 0)))
            return file.read(int(where["length"]) if "length" in where else -1)


def read(source: str | os.PathLike[str] | ModelProto) -> Document:
    """Read a file, or take a model that is loaded already.

    Raises ModelNotFound for what is not there or no ONNX model, BadInput for what is one and may not be read.
    """
    if isinstance(source, ModelProto):
        if any(tensor.data_location == TensorProto.EXTERNAL for tensor in _tensors(source.graph)):
            raise BadInput("the ModelProto was loaded without its external data: give the file's path")
        content = source.SerializeToString(deterministic=True)
        return _document(source.graph.name or "ModelProto", source, {}, content)
    path = Path(source).expanduser()
    content = _content(path)
    model = _parsed(path, content)
    return _document(str(source), model, _external_files(model, path.absolute().parent), content)


def _content(path: Path) -> bytes:
    if path.is_dir():
        raise ModelNotFound(f"{path} is a folder; a model is a file")
    if not path.is_file():
        raise ModelNotFound(f"no model file {str(path)!r}")
    content = path.read_bytes()
    if content[4:8] == b"ORTM":
        raise BadInput(
            f"{path} is in ONNX Runtime's own .ort format, whose inner values cannot be exposed: dissect the .onnx "
            "file that it was made from"
        )
    if content.startswith(POINTER):
        raise ModelNotFound(f"{path} is a pointer to a file in git-lfs, and not the file: run git lfs pull")
    if not content:
        raise ModelNotFound(f"{path} is empty")
    return content


def _parsed(path: Path, content: bytes) -> ModelProto:
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise ModelNotFound(
            f"{path} is no ONNX model, or a damaged one ({len(content)} bytes that are no such protobuf message)"
        ) from error
    if not model.graph.node:
        raise ModelNotFound(f"{path} is no ONNX model: it holds no graph")
    return model


def _document(source: str, model: ModelProto, external: Mapping[str, Path], content: bytes) -> Document:
    if model.functions:
        model = inliner.inline_local_functions(model)
    return Document(source, model, external, _fingerprint(content, external))


def _fingerprint(content: bytes, external: Mapping[str, Path]) -> str:
    """SHA-256 over the file and its external data; the first 16 digits."""
    digest = hashlib.sha256(content)
    for _, path in sorted(external.items()):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def _external_files(model: ModelProto, folder: Path) -> dict[str, Path]:
    """The files that hold external data. They may be links to anywhere, but are named as inside the model's folder."""
    found: dict[str, Path] = {}
    for tensor in _tensors(model.graph):
        if tensor.data_location == TensorProto.EXTERNAL:
            where = _where(tensor)
            location = where.get("location", "")
            path = found.setdefault(location, _inside(folder, location, tensor.name))
            end = int(where.get("offset", 0)) + int(where.get("length", 0))
            if path.stat().st_size < end:
                raise ModelNotFound(
                    f"{path} is cut short: the tensor {tensor.name!r} ends at byte {end} of {path.stat().st_size}"
                )
    return found


def _where(tensor: TensorProto) -> dict[str, str]:
    """File, offset and length of external data."""
    return {entry.key: entry.value for entry in tensor.external_data}


def _inside(folder: Path, location: str, tensor: str) -> Path:
    named = Path(os.path.normpath(location.replace("\\", "/")))
    if not location or named.is_absolute() or named.parts[:1] == ("..",) or ":" in location[1:2]:
        raise BadInput(
            f"the tensor {tensor!r} names {location!r} as its file, outside the model's folder {folder}: it is not "
            "read; put the data beside the model and save it again"
        )
    path = folder / named
    if not path.is_file():
        raise ModelNotFound(f"{path} is missing: it holds the data of the tensor {tensor!r}")
    return path


def _tensors(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield from (tensor for tensor in (attribute.t, *attribute.tensors) if tensor.ByteSize())
        for body in bodies(node):
            yield from _tensors(body)


def bodies(node: NodeProto) -> Iterator[GraphProto]:
    """The graphs inside a node: the branches of an If, the body of a Loop or Scan."""
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs
