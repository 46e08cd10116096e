"""Border between torch and JAX: devices, and arrays passed on without a copy by DLPack."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any

import jax
import torch
import torch.utils.dlpack
from torch import Tensor

from nd_plugin import BadInput, Unavailable

DEVICE = re.compile(r"(?P<kind>cpu|cuda|gpu)(:(?P<index>\d+))?")
# else JAX takes three quarters of a GPU's memory at once, and torch, which counts there, has none
PREALLOCATE = "XLA_PYTHON_CLIENT_PREALLOCATE"


@dataclass(frozen=True)
class Device:
    """One device, as torch and as JAX name it."""

    tensors: torch.device
    arrays: jax.Device


def choose_device(requested: str, arrays: Any = ()) -> Device:
    """Return the requested device; ``auto`` is that of ``arrays``, else JAX's own choice.

    Under ``auto`` the CPU takes the place of a device that torch cannot use. Raises BadInput for a
    text that names no device, and Unavailable; never falls back from a device that was named.
    """
    os.environ.setdefault(PREALLOCATE, "false")
    if requested == "auto":
        return _automatic(arrays)
    match = DEVICE.fullmatch(requested)
    if match is None:
        raise BadInput(
            f"no device {requested!r}; devices are auto, cpu, cuda, cuda:1 …"
        )
    index = int(match["index"] or 0)
    if match["kind"] == "cpu":
        return Device(torch.device("cpu"), _devices_of("cpu", requested, index))
    device = _devices_of("gpu", requested, index)
    if index >= torch.cuda.device_count():
        raise Unavailable(
            f"device {requested!r} was asked for, which JAX has, but torch {torch.__version__} "
            f"sees {torch.cuda.device_count()} CUDA devices; install a CUDA build of torch, or use "
            "--device cpu"
        )
    return Device(torch.device("cuda", index), device)


def _automatic(arrays: Any) -> Device:
    for array in jax.tree_util.tree_leaves(arrays):
        for device in array.devices():
            return _shared(device)
    return _shared(jax.devices()[0])


def _shared(device: jax.Device) -> Device:
    """Return a device of JAX's where torch can use it, too; else the CPU."""
    index = int(device.local_hardware_id or 0)
    if device.platform == "gpu" and index < torch.cuda.device_count():
        return Device(torch.device("cuda", index), device)
    return Device(torch.device("cpu"), _devices_of("cpu", "auto", 0))


def _devices_of(platform: str, requested: str, index: int) -> jax.Device:
    try:
        devices = jax.devices(platform)
    except RuntimeError as error:
        raise Unavailable(
            f"device {requested!r} is not available to JAX {jax.__version__}: {error}; install a "
            "JAX for it (pip install 'jax[cuda12]'), or use --device cpu"
        ) from error
    if index >= len(devices):
        raise Unavailable(
            f"device {requested!r} was asked for, but JAX sees {len(devices)} of its kind"
        )
    return devices[index]


def to_jax(tensor: Tensor, device: Device) -> jax.Array:
    """Return a tensor as an array on a device; it shares the tensor's memory where it can."""
    local = tensor.detach().to(device.tensors).contiguous()
    array: jax.Array = jax.device_put(jax.dlpack.from_dlpack(local), device.arrays)
    return array


def to_torch(array: jax.Array) -> Tensor:
    """Return an array as a tensor that shares its memory, which JAX takes to be constant.

    Whoever passes it on copies it: XLA may give the same memory to several outputs, or an input's.
    """
    return torch.utils.dlpack.from_dlpack(array.block_until_ready())
