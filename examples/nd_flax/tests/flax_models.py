"""Models of the tests, named by texts, and one that torch has, too."""

from __future__ import annotations

from typing import Any, ClassVar

import flax.linen as nn
import jax
import numpy as np
import torch
from flax import nnx
from jax import numpy as jnp
from torch.nn import functional as F

from nd_plugin import Preprocess

SIZE = (64, 64)  # of the images of ConvolutionalNetwork
PIXELS = Preprocess(SIZE, (0.0,) * 3, (1.0,) * 3, source="the tests'")


class ConvolutionalNetwork(nnx.Module):
    """Convolutions (SAME with stride, VALID with dilation), batch norm, pooling, dense layers."""

    preprocess: ClassVar[Preprocess] = PIXELS

    def __init__(self, width: int = 8, *, rngs: nnx.Rngs) -> None:
        self.first = nnx.Conv(3, width, (4, 3), strides=(2, 2), rngs=rngs)
        self.norm = nnx.BatchNorm(width, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.second = nnx.Conv(
            width, width, (3, 3), kernel_dilation=2, padding="VALID", rngs=rngs
        )
        self.hidden = nnx.Linear(5 * 5 * width, 12, rngs=rngs)
        self.head = nnx.Linear(12, 4, rngs=rngs)
        statistics = np.random.default_rng(0)
        self.norm.mean.set_value(
            jnp.asarray(statistics.normal(0, 0.1, width), "float32")
        )
        self.norm.var.set_value(
            jnp.asarray(statistics.uniform(0.1, 1, width), "float32")
        )

    def __call__(self, images: jax.Array) -> jax.Array:
        maps = nnx.relu(self.drop(self.norm(self.first(images))))
        maps = nnx.max_pool(maps, (2, 2), strides=(2, 2))
        maps = nnx.avg_pool(nnx.relu(self.second(maps)), (3, 3), (2, 2))
        return self.head(nnx.relu(self.hidden(maps.reshape(len(maps), -1))))


class TorchTwin(torch.nn.Module):
    """The same network in torch, with the same weights."""

    def __init__(self, twin: ConvolutionalNetwork) -> None:
        super().__init__()
        width = twin.first.out_features
        self.first = torch.nn.Conv2d(3, width, (4, 3), stride=2)
        self.norm = torch.nn.BatchNorm2d(width, eps=twin.norm.epsilon)
        self.second = torch.nn.Conv2d(width, width, 3, dilation=2)
        self.hidden = torch.nn.Linear(5 * 5 * width, 12)
        self.head = torch.nn.Linear(12, 4)
        self.load_state_dict(dict(torch_state(twin)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        # SAME with stride 2 pads the odd pixel at the end
        padded = F.pad(images, (0, 1, 1, 1))
        maps = F.max_pool2d(self.norm(self.first(padded)).relu(), 2)
        maps = F.avg_pool2d(self.second(maps).relu(), 3, 2)
        flat = maps.permute(0, 2, 3, 1).flatten(1)
        features = self.hidden(flat).relu()
        output: torch.Tensor = self.head(features)
        return output


def torch_state(twin: ConvolutionalNetwork) -> Any:
    for name in ("first", "second", "hidden", "head"):
        layer = getattr(twin, name)
        kernel = torch.tensor(np.asarray(layer.kernel[...]))
        # (row, column, in, out) and (in, out)
        axes = (3, 2, 0, 1) if kernel.dim() == 4 else (1, 0)
        yield f"{name}.weight", kernel.permute(axes)
        yield f"{name}.bias", torch.tensor(np.asarray(layer.bias[...]))
    norm = twin.norm
    names = {"weight": norm.scale, "bias": norm.bias}
    names |= {"running_mean": norm.mean, "running_var": norm.var}
    for name, variable in names.items():
        yield f"norm.{name}", torch.tensor(np.asarray(variable[...]))
    yield "norm.num_batches_tracked", torch.tensor(0)


class LinenBlock(nn.Module):
    width: int

    @nn.compact
    def __call__(self, maps: jax.Array, train: bool) -> jax.Array:
        residual = nn.Conv(self.width, (3, 3))(maps)
        residual = nn.BatchNorm(use_running_average=not train)(residual)
        residual = nn.Dropout(0.5, deterministic=not train)(residual)
        return nn.relu(maps + residual)


class LinenNetwork(nn.Module):
    """Linen network that is trained unless it is told otherwise."""

    width: int = 8
    preprocess: ClassVar[dict[str, Any]] = {"mean": (0.5,) * 3, "std": (0.25,) * 3}

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = True) -> jax.Array:
        maps = nn.Conv(self.width, (3, 3), strides=(2, 2), name="stem")(images)
        for _ in range(2):
            maps = LinenBlock(self.width)(maps, train)
        return nn.Dense(5, name="head")(maps.mean((1, 2)))


def linen_network(width: int = 8) -> Any:
    model = LinenNetwork(width)
    variables = model.init(
        jax.random.key(0), jnp.zeros((1, 16, 16, 3)), train=False
    )
    return model.bind(variables)


def unbound() -> Any:
    return LinenNetwork()


def no_model() -> str:
    return "text"


def broken() -> Any:
    raise ValueError("out of order")


class Reused(nnx.Module):
    """Modules that run twice, in jit and in remat, and that return two arrays or a constant."""

    def __init__(self, *, rngs: nnx.Rngs) -> None:
        self.first = nnx.Conv(3, 4, (3, 3), rngs=rngs)
        self.again = nnx.Conv(4, 4, (3, 3), rngs=rngs)
        self.compiled = nnx.Conv(4, 4, (3, 3), strides=2, rngs=rngs)
        self.hidden = nnx.Conv(4, 4, (3, 3), rngs=rngs)
        self.pair = Pair()
        self.table = Table(rngs=rngs)

    @nnx.jit
    def compiled_part(self, maps: jax.Array) -> jax.Array:
        return self.compiled(maps)

    def __call__(self, images: jax.Array) -> jax.Array:
        maps = self.again(self.again(self.first(images)))
        maps = nnx.remat(lambda module, maps: module(maps))(
            self.hidden, self.compiled_part(maps)
        )
        left, right = self.pair(maps)
        return left + right + self.table(maps)


class Pair(nnx.Module):
    def __call__(self, maps: jax.Array) -> tuple[jax.Array, jax.Array]:
        return maps, -maps


class Table(nnx.Module):
    """Layer whose output does not depend on the images."""

    def __init__(self, *, rngs: nnx.Rngs) -> None:
        self.values = nnx.Param(jax.random.normal(rngs.params(), (4, 4)))

    def __call__(self, maps: jax.Array) -> jax.Array:
        return self.values[...][0] * jnp.ones((1, 1, 4))


class BatchStatistics(nnx.Module):
    """Model that normalises by its batch, in evaluation mode, too."""

    def __init__(self, *, rngs: nnx.Rngs) -> None:
        self.conv = nnx.Conv(3, 4, (3, 3), rngs=rngs)
        self.centred = Centred()

    def __call__(self, images: jax.Array) -> jax.Array:
        return self.centred(self.conv(images)).mean((1, 2))


class Centred(nnx.Module):
    def __call__(self, maps: jax.Array) -> jax.Array:
        return maps - maps.mean((0, 1, 2))
