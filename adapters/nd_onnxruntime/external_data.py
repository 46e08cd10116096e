"""External data of ONNX models: weights in files beside the model, named by relative paths."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from onnx import ModelProto, TensorProto

from nd_onnxruntime.damage import bytes_of
from nd_onnxruntime.proto import external_tensors
from nd_plugin import BadInput, ModelNotFound

LONGEST_NUMBER = 20  # digits


@dataclass(frozen=True)
class ExternalLocation:
    """Byte range of a tensor's values in a file beside the model."""

    location: str  # file, relative to the model's folder, as written in the model
    offset: int  # bytes
    length: int | None  # bytes; None: up to the end of the file

    @classmethod
    def of(cls, tensor: TensorProto) -> ExternalLocation:
        """Read the entries of a tensor's ``external_data``."""
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        offset = _byte_count(tensor.name, "offset", entries.get("offset", "0"))
        length = None
        if "length" in entries:
            length = _byte_count(tensor.name, "length", entries["length"])
        return cls(location, offset, length)

    def read(self, path: Path) -> bytes:
        """Read the byte range from the file at ``path``."""
        with path.open("rb") as file:
            file.seek(self.offset)
            return file.read(-1 if self.length is None else self.length)


def _byte_count(tensor_name: str, key: str, text: str) -> int:
    """Read a number of bytes. Raises ModelNotFound."""
    if not (text.isascii() and text.isdecimal() and len(text) < LONGEST_NUMBER):
        raise ModelNotFound(
            f"the model is damaged: the {key} of the external data of the tensor {tensor_name!r} "
            f"is {text[:LONGEST_NUMBER]!r}, not a number of bytes"
        )
    return int(text)


def find_external_files(model: ModelProto, folder: Path) -> dict[str, Path]:
    """Find the files with a model's external data, keyed by the location written in the model.

    Files may be symbolic links to anywhere, but their names must lie inside the model's folder.
    Raises BadInput for a name outside it, ModelNotFound for a missing or truncated file.
    """
    files: dict[str, Path] = {}
    for tensor in external_tensors(model.graph):
        data = ExternalLocation.of(tensor)
        if data.location not in files:
            files[data.location] = _path_inside(folder, data.location, tensor.name)
        _check_length(files[data.location], data, tensor)
    return files


def _check_length(path: Path, data: ExternalLocation, tensor: TensorProto) -> None:
    """Check that a tensor's bytes lie in its file, and fill its shape. Raises ModelNotFound."""
    tensor_name = tensor.name
    expected = bytes_of(tensor)
    if None not in (expected, data.length) and data.length != expected:
        raise ModelNotFound(
            f"the model is damaged: the tensor {tensor_name!r} of shape {tuple(tensor.dims)} needs "
            f"{expected:,} bytes, and {data.length:,} bytes of {path} are said to be it"
        )
    end = data.offset + (data.length or expected or 0)
    size = path.stat().st_size
    if size < end:
        raise ModelNotFound(
            f"{path} is truncated: the tensor {tensor_name!r} ends at byte {end}, but the file has "
            f"{size} bytes; copy or download it again"
        )


def _path_inside(folder: Path, location: str, tensor_name: str) -> Path:
    relative = Path(os.path.normpath(location.replace("\\", "/")))
    leaves_folder = relative.is_absolute() or relative.parts[:1] == ("..",)
    has_drive_letter = ":" in location[1:2]
    if not location or leaves_folder or has_drive_letter:
        raise BadInput(
            f"the tensor {tensor_name!r} names {location!r} as its file, outside the model's "
            f"folder {folder}, which is not read for safety; put the data beside the model and "
            "save it again"
        )
    path = folder / relative
    if not path.is_file():
        raise ModelNotFound(
            f"{path} is missing: it holds the data of the tensor {tensor_name!r}"
        )
    return path
