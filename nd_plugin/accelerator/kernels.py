"""Choice between a Triton kernel and its plain version, and the reason for it."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import ModuleType

import torch
from torch import Tensor

DTypes = tuple[torch.dtype, ...]


class Kernel:
    """Kernel in a module of its own, used where it works and pays.

    It is compiled when it is first needed, for each combination of data types, and compared with
    its plain version on a sample. Whatever fails is noted; the plain version then does the work,
    with the same result.
    """

    def __init__(
        self,
        name: str,
        module_name: str,
        equals_plain: Callable[[ModuleType, torch.device, DTypes], bool],
        work_before_compiling: int,
    ) -> None:
        """Prepare the choice; nothing is imported yet.

        ``name`` is for notes; ``equals_plain`` compares the kernel, compiled for some data types,
        with the plain version. The kernel is not compiled before ``work_before_compiling`` units
        of work, which the plain version does in about the time of compiling.
        """
        self.note: str | None = None  # why the plain version is used on a GPU
        self._name = name
        self._module_name = module_name
        self._equals_plain = equals_plain
        self._work_left = work_before_compiling
        self._compiled: set[DTypes] = set()

    def module(
        self, device: torch.device, dtypes: DTypes, work: int
    ) -> ModuleType | None:
        """Return the kernel's module if the kernel is to do the next piece of work, else None."""
        if self.note:
            return None
        if dtypes not in self._compiled:
            self._work_left -= work
            if self._work_left > 0:
                return None
            self._compile(device, dtypes)
        return None if self.note else importlib.import_module(self._module_name)

    def _compile(self, device: torch.device, dtypes: DTypes) -> None:
        """Compile the kernel and compare it with the plain version, or note why it is not used."""
        if importlib.util.find_spec("triton") is None:
            self._reject("Triton is not installed")
            return
        try:
            module = importlib.import_module(self._module_name)
            is_equal = self._equals_plain(module, device, dtypes)
        except torch.OutOfMemoryError:
            raise
        # compilers and drivers raise errors of many classes
        except Exception as error:
            first_line = str(error).strip().partition("\n")[0]
            self._reject(f"{type(error).__name__}: {first_line}")
            return
        if is_equal:
            self._compiled.add(dtypes)
        else:
            self._reject("its results on a sample differ")

    def _reject(self, reason: str) -> None:
        self.note = (
            f"{self._name} by plain torch operations, which is slower and gives the same result: "
            f"the Triton kernel is not used ({reason})"
        )


def device_of(tensor: Tensor) -> AbstractContextManager[None]:
    """Make the GPU that holds a tensor the current one, on which Triton launches kernels.

    Nothing changes for a tensor on the CPU.
    """
    guard: AbstractContextManager[None] = torch.cuda.device_of(tensor)  # type: ignore[no-untyped-call]
    return guard
