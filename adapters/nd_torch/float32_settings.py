"""Settings of torch that decide how exact float32 is: TF32 and bfloat16 in place of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from operator import attrgetter
from typing import Any

import torch

EXACT = "ieee"  # torch's word for full float32
TF32 = "tf32"


# Namespaces of torch.backends; those first from which others take their values.
NAMESPACES = (
    "",
    "cudnn",
    "cuda.matmul",
    "cudnn.conv",
    "cudnn.rnn",
    "mkldnn.matmul",
    "mkldnn.conv",
    "mkldnn.rnn",
)


@contextmanager
def float32_as(form: str) -> Iterator[None]:
    """Compute float32 operations as `EXACT` or `TF32` says; restore the user's values on leaving.

    Torch has two interfaces to the same settings, and refuses to read the older one after the newer
    has been used. Only the newer is used here, where there is one (torch 2.9).
    """
    has_newer_interface = hasattr(torch.backends, "fp32_precision")
    change = _change_newer if has_newer_interface else _change_older
    with ExitStack() as stack:
        change(form, stack)
        yield


def _change_newer(form: str, stack: ExitStack) -> None:
    """Set the form of all operations.

    An operation without a value of its own follows the namespaces above it, and is left alone: a
    value that it follows cannot be told from its own, and would be restored as its own.
    """
    for name in NAMESPACES:
        namespace = _namespace(name)
        setter = partial(setattr, namespace, "fp32_precision")
        _change(namespace.fp32_precision, form, setter, stack)


def _namespace(name: str) -> Any:
    return attrgetter(name)(torch.backends) if name else torch.backends


def _change_older(form: str, stack: ExitStack) -> None:
    cudnn = torch.backends.cudnn
    setter = partial(setattr, cudnn, "allow_tf32")
    _change(cudnn.allow_tf32, form == TF32, setter, stack)
    products = "high" if form == TF32 else "highest"
    _change(
        torch.get_float32_matmul_precision(),
        products,
        torch.set_float32_matmul_precision,
        stack,
    )


def _change(
    own: Any, value: Any, setter: Callable[[Any], None], stack: ExitStack
) -> None:
    """Change a setting where it differs; the stack restores it."""
    if own == value:
        return
    stack.callback(setter, own)
    setter(value)
