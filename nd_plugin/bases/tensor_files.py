"""Tensors in files of others: .npz and .safetensors, read without running or trusting anything.

Sizes are read from the headers and checked before any memory is taken for the numbers.
"""

from __future__ import annotations

import math
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from nd_plugin.borders.archives import ENVIRONMENT, unpacked_limit
from nd_plugin.errors import BadInput
from nd_plugin.method.finite import at_least_float32

MOST_BYTES = 2**33  # of a file's tensors, 8 GiB
ENDINGS = (".npz", ".safetensors")
SAFETENSORS_BYTES = {
    "F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2,
    "U16": 2, "I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1,
}  # fmt: skip


@dataclass(frozen=True)
class TensorFile(ABC):
    """File of named tensors, whose shapes are known and whose numbers are not yet read."""

    path: Path
    shapes: Mapping[str, tuple[int, ...]]  # of numbers
    texts: Mapping[str, str]  # entries and metadata that are texts

    @abstractmethod
    def _read(self, name: str) -> Tensor: ...

    def tensor(self, name: str) -> Tensor:
        """Read a tensor, as float32, or float64 where the file has it. Raises BadInput."""
        try:
            tensor = self._read(name)
        except Exception as error:
            # damaged archives raise anything
            raise _damaged(self.path, error) from error
        return at_least_float32(tensor)

    def number(self, name: str) -> float | None:
        """Return a single number that is stored under a name, as a tensor or as text."""
        if name in self.texts:
            try:
                return float(self.texts[name])
            except ValueError as error:
                raise BadInput(
                    f"{self.path}: {name} is {self.texts[name]!r}, not a number"
                ) from error
        if name not in self.shapes or math.prod(self.shapes[name]) != 1:
            return None
        return float(self.tensor(name))


def open_tensors(path: Path) -> TensorFile:
    """Open a file of tensors by its ending. Raises BadInput."""
    if path.suffix not in ENDINGS:
        raise BadInput(
            f"{path} is no file of tensors: expected one that ends in {' or '.join(ENDINGS)}"
        )
    if not path.is_file():
        raise BadInput(f"no file {path}")
    try:
        return _open_npz(path) if path.suffix == ".npz" else _open_safetensors(path)
    except BadInput:
        raise
    except Exception as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> BadInput:
    reason = str(error).partition("\n")[0]
    return BadInput(
        f"{path} cannot be read as {path.suffix}: {type(error).__name__}: {reason}"
    )


def _check_size(path: Path, nbytes: int) -> None:
    if nbytes > MOST_BYTES:
        raise BadInput(
            f"{path} says that its tensors take {nbytes / 2**30:.1f} GiB; at most "
            f"{MOST_BYTES // 2**30} GiB are read"
        )


def _check_unpacked(path: Path, nbytes: int) -> None:
    """Raise BadInput for an archive of a few bytes that unpacks to gigabytes."""
    limit = max(unpacked_limit(), path.stat().st_size)
    if nbytes > limit:
        raise BadInput(
            f"{path} says that it unpacks to {nbytes / 2**20:.0f} MiB, more than the limit of "
            f"{limit / 2**20:.0f} MiB; if the file can be trusted, allow more: "
            f"{ENVIRONMENT}={nbytes} (bytes), or save it without compression"
        )


class NpzFile(TensorFile):
    """Archive of NumPy arrays; arrays of objects, which are pickles, are refused."""

    def _read(self, name: str) -> Tensor:
        with (
            zipfile.ZipFile(self.path) as archive,
            archive.open(f"{name}.npy") as file,
        ):
            return torch.from_numpy(_read_array(file))


def _read_array(file: IO[bytes]) -> np.ndarray[Any, Any]:
    array = np.lib.format.read_array(file, allow_pickle=False)
    # as torch takes them: in the machine's byte order, and contiguous
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return np.ascontiguousarray(native).reshape(array.shape)


def _open_npz(path: Path) -> TensorFile:
    shapes: dict[str, tuple[int, ...]] = {}
    texts: dict[str, str] = {}
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        headers = [_read_header(archive, member) for member in members]
        nbytes = 0
        for member, (shape, dtype) in zip(members, headers, strict=True):
            nbytes += max(math.prod(shape) * dtype.itemsize, member.file_size)
        _check_size(path, nbytes)
        _check_unpacked(path, nbytes)
        for member, (shape, dtype) in zip(members, headers, strict=True):
            name = member.filename.removesuffix(".npy")
            if dtype.kind == "U" and not shape:
                with archive.open(member) as file:
                    texts[name] = str(_read_array(file))
            elif dtype.kind in "fiub":
                shapes[name] = shape
            else:
                raise BadInput(
                    f"{path}: {name} is an array of {dtype}, not of numbers; save it as float32"
                )
    return NpzFile(path, shapes, texts)


def _read_header(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo
) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and type of an array, from the header alone."""
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(file)
    return shape, dtype


class SafetensorsFile(TensorFile):
    """File of safetensors."""

    def _read(self, name: str) -> Tensor:
        from safetensors import safe_open

        with safe_open(self.path, framework="pt") as file:
            tensor: Tensor = file.get_tensor(name)
        return tensor


def _open_safetensors(path: Path) -> TensorFile:
    from safetensors import safe_open

    shapes: dict[str, tuple[int, ...]] = {}
    nbytes = 0
    with safe_open(path, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118
            entry = file.get_slice(name)
            shapes[name] = tuple(entry.get_shape())
            itemsize = SAFETENSORS_BYTES.get(str(entry.get_dtype()), 8)
            nbytes += math.prod(shapes[name]) * itemsize
        texts = dict(file.metadata() or {})
    _check_size(path, nbytes)
    return SafetensorsFile(path, shapes, texts)
