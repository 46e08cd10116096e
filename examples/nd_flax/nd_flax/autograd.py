"""Functions of JAX in torch's graph of gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import torch
from torch import Tensor

from nd_flax.tensors import Device, to_jax, to_torch


def call_jax(function: Callable[..., Any], device: Device, *tensors: Tensor) -> Any:
    """Return what a function of arrays returns for tensors, as tensors of the same structure.

    It is differentiable by the tensors that ask for it, as torch's own functions are.
    """
    arrays = [to_jax(tensor, device) for tensor in tensors]
    if not (torch.is_grad_enabled() and any(t.requires_grad for t in tensors)):
        return jax.tree_util.tree_map(_own, function(*arrays))
    outputs, pull_back = jax.vjp(function, *arrays)
    leaves, structure = jax.tree_util.tree_flatten(outputs)
    results = _Graph.apply(leaves, pull_back, structure, device, *tensors)  # type: ignore[no-untyped-call]
    return jax.tree_util.tree_unflatten(structure, results)


class _Graph(torch.autograd.Function):
    """Node of torch's graph whose outputs and gradients JAX has computed."""

    @staticmethod
    def forward(
        ctx: Any,
        leaves: list[jax.Array],
        pull_back: Callable[[Any], tuple[jax.Array, ...]],
        structure: Any,
        device: Device,
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        ctx.pull_back = pull_back
        ctx.structure = structure
        ctx.device = device
        return tuple(_own(leaf) for leaf in leaves)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        arrays = [to_jax(gradient, ctx.device) for gradient in gradients]
        outputs = jax.tree_util.tree_unflatten(ctx.structure, arrays)
        results = ctx.pull_back(outputs)
        return (None, None, None, None, *map(_own, results))


def _own(array: jax.Array) -> Tensor:
    return to_torch(array).clone()
