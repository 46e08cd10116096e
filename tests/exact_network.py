"""Network whose arithmetic is exact in float32: the same on every device, in any order of sums.

Weights are multiples of powers of two, and so are the pixels; the sums stay below 24 bits. Strides
are as large as kernels: there, no library uses Winograd's or Fourier's algorithm, which round.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nd_plugin import Preprocess

SIZE = (64, 64)
LAYERS = ("near", "middle", "rectified")
# pixel / 128 - 1: a multiple of 1/128
PREPROCESS = Preprocess(
    size=SIZE, mean=(0.5,) * 3, std=(0.5,) * 3, scale=1 / 256, source="exact"
)


class ExactNetwork(nn.Module):
    """Three convolutions with live, sparse, saturated and dead units."""

    def __init__(self) -> None:
        super().__init__()
        self.near = nn.Conv2d(3, 12, 4, 4)
        self.middle = nn.Conv2d(12, 16, 2, 2)
        self.far = nn.Conv2d(16, 24, 1)
        self.rectified = nn.ReLU()
        generator = torch.Generator().manual_seed(0)
        _draw(self.near, 4, generator)
        _draw(self.middle, 2, generator)
        _draw(self.far, 1, generator)
        with torch.no_grad():
            # above 0 in one cell of a thousand; the same everywhere; at most 7, and often
            self.far.bias[:4] = torch.tensor([-25.0, -15.0, -4.0, -30.0])
            self.far.weight[4:6] = 0
            self.far.weight[6:8] = 0
            self.far.weight[6:8, 0] = 1

    def forward(self, images: Tensor) -> Tensor:
        near = self.near(images).relu()
        middle = self.middle(near).clamp(0, 8)
        return self.rectified(self.far(middle))


def _draw(layer: nn.Conv2d, parts: int, generator: torch.Generator) -> None:
    """Draw weights from the multiples of 1 / ``parts`` between -1 and 1."""
    for parameter in layer.parameters():
        steps = torch.randint(
            -parts, parts + 1, parameter.shape, generator=generator
        )
        parameter.data = steps.float() / parts


def check_exactness(images: Tensor) -> None:
    """Assert that float32 rounds nothing: float64 gives the same."""
    network = ExactNetwork().eval()
    with torch.no_grad():
        single = network(images)
        double = network.double()(images.double())
    assert single.double().equal(double)
    assert single.count_nonzero() > 0
