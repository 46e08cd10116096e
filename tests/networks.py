"""Small networks with layers of every form: geometry as in the originals, few channels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BasicBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            convolution = nn.Conv2d(inputs, outputs, 1, stride)
            self.downsample = nn.Sequential(convolution, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        x += shortcut
        return self.relu(x)


class ResNet18(nn.Module):
    """He et al. 2016, with ``width`` channels instead of 64."""

    def __init__(self, width: int = 4, classes: int = 5) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs = width
        for stage in range(4):
            outputs = width * 2**stage
            first = BasicBlock(inputs, outputs, 1 if stage == 0 else 2)
            setattr(
                self,
                f"layer{stage + 1}",
                nn.Sequential(first, BasicBlock(outputs, outputs, 1)),
            )
            inputs = outputs
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


def alexnet(width: int = 4) -> nn.Module:
    """Krizhevsky et al. 2012 as in the original Caffe model: 227 pixels, conv1 without padding."""
    return nn.Sequential(
        nn.Conv2d(3, width, 11, 4),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(width, width, 5, padding=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(width, width, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, width, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, width, 3, padding=1),
        nn.ReLU(inplace=True),
    )


def dilated() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1),
        nn.Conv2d(4, 4, 3, 1, 2, dilation=2),
        nn.Conv2d(4, 4, (3, 5), 1, (4, 8), dilation=(4, 4)),
    )


def same_and_asymmetric() -> nn.Module:
    return nn.Sequential(
        nn.ZeroPad2d((0, 1, 2, 0)),
        nn.Conv2d(3, 4, 4, padding="same"),
        nn.ReflectionPad2d((1, 0, 0, 3)),
        nn.Conv2d(4, 4, 3, 2),
        nn.ReplicationPad2d(1),
        nn.AvgPool2d(3, 2),
    )


class Inception(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, 2)
        self.one = nn.Conv2d(4, 2, 1)
        self.three = nn.Sequential(
            nn.Conv2d(4, 2, 1), nn.Conv2d(2, 2, 3, padding=1)
        )
        self.five = nn.Sequential(nn.Conv2d(4, 2, 1), nn.Conv2d(2, 2, 5, padding=2))
        self.pool = nn.AvgPool2d(3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return torch.cat(
            [self.one(x), self.five(x), self.three(x), self.pool(x)], 1
        )


class SqueezeExcite(nn.Module):
    """Branch pooled to 1x1 and broadcast back: it has no geometry and never wins."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 5, 3, 2)
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 4, 1), nn.Sigmoid()
        )
        self.after = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        pooled = F.interpolate(
            x.mean((2, 3), keepdim=True), size=x.shape[2:], mode="nearest"
        )
        return self.after(self.gate(x) * x + pooled)


class UNet(nn.Module):
    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode
        self.down1 = nn.Conv2d(3, 4, 3, padding=1)
        self.down2 = nn.Conv2d(4, 4, 3, padding=1)
        self.bottom = nn.Conv2d(4, 4, 3, padding=1)
        self.raise1 = (
            nn.ConvTranspose2d(4, 4, 2, 2) if mode == "transpose" else nn.Identity()
        )
        self.up1 = nn.Conv2d(8, 4, 3, padding=1)
        self.up2 = nn.Conv2d(8, 4, 3, padding=1)

    def upsample(self, x: Tensor) -> Tensor:
        if self.mode == "transpose":
            return self.raise1(x)
        if self.mode == "shuffle":
            return F.pixel_shuffle(x.repeat_interleave(4, 1), 2)
        return F.interpolate(x, scale_factor=2, mode=self.mode)

    def forward(self, x: Tensor) -> Tensor:
        full = self.down1(x)
        half = self.down2(F.avg_pool2d(full, 2))
        quarter = self.bottom(F.avg_pool2d(half, 2))
        half = self.up1(torch.cat([self.upsample(quarter), half], 1))
        return self.up2(torch.cat([self.upsample(half), full], 1))


class ViT(nn.Module):
    """Patch embedding, class and register tokens, pre-norm blocks (Dosovitskiy et al. 2021)."""

    def __init__(
        self,
        embed: str = "conv",
        patch: int = 8,
        registers: int = 4,
        dim: int = 8,
        batch_first: bool = True,
    ) -> None:
        super().__init__()
        self.embedding_kind = embed
        self.patch = patch
        self.batch_first = batch_first
        self.embed: nn.Module
        if embed == "conv":
            self.embed = nn.Conv2d(3, dim, patch, patch)
        else:
            self.embed = nn.Linear(3 * patch * patch, dim)
        self.cls = nn.Parameter(torch.randn(1, 1, dim))
        self.registers = nn.Parameter(torch.randn(1, registers, dim))
        self.block1 = ViTBlock(dim, batch_first)
        self.block2 = ViTBlock(dim, batch_first)
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, 5)

    def tokens(self, x: Tensor) -> Tensor:
        """(image, token, unit)"""
        n, c, h, w = x.shape
        p = self.patch
        if self.embedding_kind == "conv":
            return self.embed(x).flatten(2).transpose(1, 2)
        if self.embedding_kind == "unfold":
            return self.embed(F.unfold(x, p, stride=p).transpose(1, 2))
        blocks = x.reshape(n, c, h // p, p, w // p, p)
        patches = blocks.permute(0, 2, 4, 3, 5, 1).reshape(n, -1, p * p * c)
        return self.embed(patches)

    def forward(self, x: Tensor) -> Tensor:
        x = self.tokens(x)
        cls = self.cls.expand(len(x), -1, -1)
        registers = self.registers.expand(len(x), -1, -1)
        x = torch.cat([cls, registers, x], 1)
        if not self.batch_first:
            x = x.transpose(0, 1)
        x = self.norm(self.block2(self.block1(x)))
        return self.head(x[:, 0] if self.batch_first else x[0])


class ViTBlock(nn.Module):
    def __init__(self, dim: int, batch_first: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.attn = nn.MultiheadAttention(dim, 2, batch_first=batch_first)
        self.mlp = nn.Sequential(
            nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim)
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


class Windows(nn.Module):
    """Swin's operations: channels last, attention in shifted 4x4 windows, patch merging."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 4, 4, 4)
        self.mix = nn.Linear(4, 4)
        self.merge = nn.Linear(16, 8)
        self.inside = nn.Identity()
        self.last = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x).permute(0, 2, 3, 1)
        n, h, w, c = x.shape
        shifted = torch.roll(x, (-2, -2), (1, 2))
        blocks = shifted.view(n, h // 4, 4, w // 4, 4, c)
        windows = blocks.permute(0, 1, 3, 2, 4, 5).reshape(-1, 16, c)
        windows = self.inside(windows)
        attention = torch.softmax(windows @ windows.transpose(1, 2), -1)
        windows = attention @ self.mix(windows)
        blocks = windows.view(n, h // 4, w // 4, 4, 4, c).permute(0, 1, 3, 2, 4, 5)
        mixed = blocks.reshape(n, h, w, c)
        x = x + torch.roll(mixed, (2, 2), (1, 2))
        neighbours = x.reshape(n, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 2, 4, 5)
        return self.last(self.merge(neighbours.flatten(3)))


class Focus(nn.Module):
    """Pixels sliced into channels, as in YOLOv5."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(12, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        top_left = x[:, :, 0::2, 0::2]
        top_right = x[:, :, 0::2, 1::2]
        bottom_left = x[:, :, 1::2, 0::2]
        bottom_right = x[:, :, 1::2, 1::2]
        return self.conv(
            torch.cat([top_left, top_right, bottom_left, bottom_right], 1)
        )


class Returns(nn.Module):
    """Backbone whose layers return tuples, lists and dicts, and reuse a module."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 2, 1)
        self.relu = nn.ReLU()
        self.pair = Call(lambda x: (x, x + 1))
        self.table = Call(lambda x: {"feat": [x, -x], "count": torch.ones(3)})
        self.one = Call(lambda x: [x * 2])
        self.never = nn.Identity()

    def forward(self, x: Tensor) -> Any:
        x = self.relu(self.conv(x))
        x = self.pair(x)[1]
        x = self.relu(self.table(x)["feat"][1] + 3)
        return self.one(x)[0]


class Call(nn.Module):
    """Module that applies a function."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(x)


def made_positive(model: nn.Module) -> nn.Module:
    """Make weights positive, so that no contributions to a receptive field cancel out."""
    for parameter in model.parameters():
        parameter.data = parameter.data.abs() * 0.5 + 0.1
    return model.eval()
