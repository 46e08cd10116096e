"""Arithmetic of a model's passes: the chosen precision, the weights' own, a live autocast's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from nd_plugin import BadInput, Unavailable
from nd_torch.float32_settings import EXACT, TF32, float32_as

FLOAT32 = "float32"
HALF = {"float16": torch.float16, "bfloat16": torch.bfloat16}
TF32_CAPABILITY = (8, 0)  # of the first GPUs that have TF32
PLAIN_WEIGHTS = ("", FLOAT32)


@dataclass(frozen=True)
class Arithmetic:
    """Precision of a model's passes on a device.

    Weights of other types than float32 decide themselves. Without a choice float32 is exact, and
    an autocast that is live around a pass is the user's choice.
    """

    device: torch.device
    weights: str = FLOAT32  # number types of the weights; "" for none
    chosen: str | None = None

    def __post_init__(self) -> None:
        """Check that the device has the chosen precision. Raises BadInput, Unavailable."""
        if self.chosen == "tf32":
            _check_tf32(self.device)
        if self.chosen in HALF and not _has_autocast(self.device):
            raise BadInput(
                f"torch has no autocast on {self.device.type}: choose float32, "
                f"or convert the model to {self.chosen} yourself"
            )

    @property
    def precision(self) -> str:
        """Precision of the passes, as results record it."""
        if self.weights not in PLAIN_WEIGHTS:
            return self.weights
        return self.chosen or self._live_autocast or FLOAT32

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks on what decides the precision, where that is not the choice alone."""
        notes: list[str] = []
        live = self._live_autocast
        if self.weights not in (*PLAIN_WEIGHTS, "float64"):
            notes.append(
                f"the weights are {self.weights}, which decides the precision"
            )
        if self.chosen is not None and self.chosen != self.precision:
            notes.append(
                f"precision {self.chosen} has no effect on weights of {self.weights}"
            )
        if live and self.chosen is None:
            notes.append(
                f"a live torch.autocast: the model computes in {live}; "
                "for full float32, choose precision float32"
            )
        elif live and live != self.precision:
            notes.append(
                f"a live torch.autocast to {live} is off during the model's passes: "
                f"precision {self.chosen} was chosen"
            )
        return tuple(notes)

    @property
    def tolerance_type(self) -> torch.dtype | None:
        """Number type whose rounding the passes have; None where their results have it too."""
        if self.weights in PLAIN_WEIGHTS and self.chosen == "tf32":
            # ten bits of a mantissa, as float16
            return torch.float16
        return HALF.get(self.precision)

    @property
    def casts(self) -> bool:
        """Whether passes compute float32 weights in half precision, by choice."""
        return self.chosen in HALF and self.weights in PLAIN_WEIGHTS

    def widened(self, tensor: Tensor) -> Tensor:
        """Return a result in float32 where passes cast, unchanged elsewhere."""
        is_half = tensor.dtype in HALF.values()
        return tensor.float() if self.casts and is_half else tensor

    @contextmanager
    def active(self, *, sets_autocast_aside: bool = True) -> Iterator[None]:
        """Compute in this precision; restore the user's settings on leaving.

        A live autocast of the user ends for as long where another precision is chosen, unless it
        is the caller's own affair.
        """
        with ExitStack() as stack:
            stack.enter_context(float32_as(self._float32_form))
            if self.casts:
                half = HALF[str(self.chosen)]
                stack.enter_context(torch.autocast(self.device.type, half))
            elif sets_autocast_aside and self.chosen and self._live_autocast:
                stack.enter_context(torch.autocast(self.device.type, enabled=False))
            yield

    @property
    def _float32_form(self) -> str:
        return TF32 if self.chosen == "tf32" else EXACT

    @property
    def _live_autocast(self) -> str:
        """Number type of a live autocast; "" where there is none."""
        kind = self.device.type
        if not _has_autocast(self.device) or not torch.is_autocast_enabled(kind):
            return ""
        return str(torch.get_autocast_dtype(kind)).removeprefix("torch.")


PLAIN = Arithmetic(torch.device("cpu"))


def _has_autocast(device: torch.device) -> bool:
    return bool(torch.amp.is_autocast_available(device.type))


def _check_tf32(device: torch.device) -> None:
    if device.type != "cuda":
        raise Unavailable(
            f"precision 'tf32' is of NVIDIA GPUs, and the model runs on {device}: choose float32"
        )
    capability = torch.cuda.get_device_capability(device)
    if capability < TF32_CAPABILITY:
        version = ".".join(map(str, capability))
        raise Unavailable(
            f"{torch.cuda.get_device_name(device)} has no TF32 (compute capability {version}, "
            "needed is 8.0): choose float32"
        )
