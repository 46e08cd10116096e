"""Readers of weights and of bases: files of torch, safetensors, Caffe and NumPy."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
import weight_writers as writers
from drawn import Net
from fuzz.cases import Mutation, Numbers, Reader, Sample
from fuzz.mutators.archives import ARCHIVES, ARRAYS, of_member
from fuzz.mutators.json_values import JSON
from fuzz.mutators.messages import MESSAGES
from fuzz.mutators.pickles import PICKLES
from fuzz.mutators.safetensors_header import SAFETENSORS
from safetensors.torch import save
from torch import Tensor, nn

from nd_plugin import ModelOptions, open_model
from nd_plugin.bases.opening import read_basis

TORCH_ARCHIVE = (
    *ARCHIVES,
    *(
        Mutation(of_member("data.pkl", mutation.mutate), repairs=True, weight=30)
        for mutation in PICKLES
    ),
)


class CaffeNet(nn.Module):
    """Two convolutions with Caffe's names."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3)
        self.conv2 = nn.Conv2d(4, 6, 3, groups=2)

    def forward(self, images: Tensor) -> Tensor:
        """Return maps."""
        result: Tensor = self.conv2(self.conv1(images))
        return result


def _torch_file(content: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def _caffe_file() -> bytes:
    state = writers.random_state(CaffeNet(), 1)
    new = [
        writers.layer(name, "Convolution", writers.affine_blobs(state, name, form))
        for name, form in (("conv1", "shape"), ("conv2", "double"))
    ]
    return writers.caffe_file(new)


def _old_caffe_file() -> bytes:
    state = writers.random_state(CaffeNet(), 2)
    old = [
        writers.v1_layer(name, 4, writers.affine_blobs(state, name, form))
        for name, form in (("conv1", "legacy"), ("conv2", "single"))
    ]
    return writers.caffe_file(old)


def weights_samples(folder: Path) -> Sequence[Sample]:
    """Return small files of weights of every kind."""
    net = Net()
    state = net.state_dict()
    float_state = {name: tensor.clone() for name, tensor in state.items()}
    wrapped = {
        "state_dict": state,
        "arch": "Net",
        "epoch": 3,
        "best": torch.tensor(0.5),
    }
    contents = {
        "plain.pt": _torch_file(state),
        "wrapped.pth": _torch_file(wrapped),
        "old.pth.tar": _torch_file(wrapped, _use_new_zipfile_serialization=False),
        "python2.pth.tar": writers.python2_file(
            float_state, {"arch": writers.text("net")}
        ),
        "net.safetensors": save(float_state, {"format": "pt"}),
        "new.caffemodel": _caffe_file(),
        "old.caffemodel": _old_caffe_file(),
    }
    return [
        Sample(name, {f"{name}": content}) for name, content in contents.items()
    ]


def read_weights(folder: Path, random: Random) -> Numbers:
    """Open a model with weights, as the command line does."""
    (path,) = list(folder.iterdir()) or [folder / "nothing.pt"]
    is_caffe = path.suffix == ".caffemodel"
    text = "fuzz.readers.weights:CaffeNet" if is_caffe else "drawn:Net"
    model = open_model(text, ModelOptions(device="cpu", weights=str(path)))
    return {"identity": model.identity.fingerprint}


def _npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def bases_samples(folder: Path) -> Sequence[Sample]:
    """Return small files of bases in every layout."""
    random = np.random.default_rng(0)
    weight = random.normal(size=(6, 5)).astype(np.float32)
    bias = random.normal(size=6).astype(np.float32)
    before = random.normal(size=5).astype(np.float32)
    tensors = {
        "W_enc": weight.T.copy(),
        "b_enc": bias,
        "b_dec": before,
        "threshold": bias**2,
    }
    torch_tensors = {
        name: torch.from_numpy(array) for name, array in tensors.items()
    }
    encoder = {"encoder.weight": weight, "encoder.bias": bias, "pre_bias": before}
    configuration = {
        "architecture": "standard",
        "activation_fn_str": "topk",
        "activation_fn_kwargs": {"k": 2},
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
    }
    return [
        Sample("matrix", {"basis.npz": _npz(directions=weight)}),
        Sample("encoder", {"basis.npz": _npz(**encoder, k=np.array(3))}),
        Sample("jump", {"basis.npz": _npz(**tensors)}),
        Sample(
            "saelens",
            {
                "basis.safetensors": save(torch_tensors, {"k": "2"}),
                "cfg.json": json.dumps(configuration).encode(),
            },
        ),
    ]


def read_bases(folder: Path, random: Random) -> Numbers:
    """Read a basis, and see maps in it."""
    paths = sorted(folder.glob("basis.*")) or [folder / "basis.npz"]
    basis = read_basis(
        f"{paths[0]}{random.choice(('', '', '?k=2', '?transpose=true'))}"
    )
    if basis.units is not None and basis.units < 100:
        basis.transform(torch.ones(2, basis.units, 3, 3))
    return {"basis": basis.fingerprint}


WEIGHTS = Reader(
    "weights",
    weights_samples,
    read_weights,
    {
        ".pt": TORCH_ARCHIVE,
        "wrapped.pth": TORCH_ARCHIVE,
        ".safetensors": SAFETENSORS,
        ".caffemodel": MESSAGES,
        ".tar": PICKLES,
    },
)
BASES = Reader(
    "bases",
    bases_samples,
    read_bases,
    {".npz": ARRAYS, ".safetensors": SAFETENSORS, ".json": JSON},
)
