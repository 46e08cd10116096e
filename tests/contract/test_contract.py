"""One suite over every backend and every concept set, ours and the examples'."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import made_sources_a
import made_sources_b
import networks
import onnx_files
import pytest
import torch
from torch import nn

from nd_onnxruntime.backend import OnnxBackend
from nd_plugin import BackendSpec, ConceptSetSpec, Unavailable, open_concepts
from nd_plugin.plugins.host import host, load_factory
from nd_plugin.testing import check_backend, check_concept_set
from nd_torch.backend import TorchBackend


@pytest.fixture(scope="module", autouse=True)
def scenes_are_drawn_once() -> None:
    """Draw them each time: a set must draw the same again."""


@pytest.mark.parametrize(
    "text", ["shapes?images=12&size=64", "shapes?images=3&size=48x96&seed=5"]
)
def test_shapes(text: str) -> None:
    check_concept_set(open_concepts, text)


@pytest.mark.parametrize(
    "text",
    [
        "masks:{}/camvid",
        "broden:{}/broden_camvid",
        "broden:{}/broden_camvid?index=index_sparse.csv",
        "broden:{}/broden_camvid[object,split=val]",
    ],
)
def test_sets_on_disk(real_data: Path, text: str) -> None:
    check_concept_set(open_concepts, text.format(real_data), images=4)


OF_BRODEN = {
    "ade20k, 2016": made_sources_a.write_ade20k_2016,
    "ade20k, 2021": made_sources_a.write_ade20k_2021,
    "ade20k, scene parsing": made_sources_a.write_scene_parsing,
    "dtd": made_sources_a.write_dtd,
    "opensurfaces": made_sources_a.write_opensurfaces,
    "pascal_context": made_sources_a.write_pascal_context,
    "pascal_part": made_sources_a.write_pascal_part,
    "voc": made_sources_a.write_voc,
}


@pytest.mark.parametrize("case", OF_BRODEN)
def test_sources_of_broden(case: str, tmp_path: Path) -> None:
    check_concept_set(open_concepts, OF_BRODEN[case](tmp_path), images=4)


NEEDS = {  # library that a source needs, and the extra that installs it
    "write_coco_instances": ("pycocotools", "coco"),
    "write_huggingface": ("datasets", "huggingface"),
}


@pytest.mark.parametrize(
    "writer",
    [
        "write_cityscapes",
        "write_coco_instances",
        "write_coco_panoptic",
        "write_dataset",
        "write_folders",
        "write_huggingface",
    ],
)
def test_sources_in_their_true_layout(tmp_path: Path, writer: str) -> None:
    if writer in NEEDS:
        library, extra = NEEDS[writer]
        pytest.importorskip(library, reason=f"pip install 'nd_plugin[{extra}]'")
    text = getattr(made_sources_b, writer)(tmp_path / "set")
    check_concept_set(open_concepts, text)


SETS = (
    "ade20k",
    "broden",
    "cityscapes",
    "coco",
    "dataset",
    "dtd",
    "folders",
    "huggingface",
    "masks",
    "opensurfaces",
    "pascal_context",
    "pascal_part",
    "shapes",
    "voc",
)
Size = tuple[int, int]
TORCH: dict[str, tuple[Callable[[], nn.Module], list[str], Size]] = {
    "resnet": (
        networks.ResNet18,
        ["layer1", "layer2.0.conv1", "layer4", "fc"],
        (64, 96),
    ),
    "alexnet, in place": (
        lambda: networks.alexnet(16),
        ["0", "8", "10"],
        (227, 227),
    ),
    "vit": (networks.ViT, ["embed", "block1", "block2.mlp", "head"], (48, 48)),
    "vit, tokens first": (
        lambda: networks.ViT(batch_first=False),
        ["block1", "norm"],
        (48, 48),
    ),
    "windows": (networks.Windows, ["embed", "last"], (64, 64)),
    "returns": (
        networks.Returns,
        ["relu#1", "pair[0]", "table[feat.1]", "one"],
        (32, 48),
    ),
}


@pytest.mark.parametrize("case", TORCH)
def test_torch(case: str) -> None:
    make, layers, size = TORCH[case]
    torch.manual_seed(0)  # the same weights whichever tests ran earlier
    check_backend(TorchBackend, make(), layers=layers, size=size)


ONNX: dict[str, tuple[Callable[[Path], Path], list[str]]] = {
    "of any batch": (onnx_files.dynamic_batch, ["conv1", "Relu_1", "logits"]),
    "one image at a time": (onnx_files.fixed_batch_inside, ["relu1", "relu2"]),
    "mixing a batch": (onnx_files.mixing_batch, ["relu1", "relu2"]),
    "channels last": (onnx_files.nhwc, ["relu1", "relu2_nhwc"]),
    "external data": (onnx_files.symlinked_external_data, ["relu2"]),
    "bytes": (onnx_files.uint8_input, ["relu2"]),
    "half precision": (onnx_files.fp16_inside, ["relu1"]),
    "tokens": (onnx_files.tokens_cls, ["patches", "tokens"]),
    "a Loop": (onnx_files.with_loop, ["relu1", "looped"]),
    "names of tf2onnx": (
        onnx_files.tf2onnx_names,
        ["model/conv1/Relu:0", "model/conv2/Relu"],
    ),
}


@pytest.mark.parametrize("case", ONNX)
def test_onnx(case: str, tmp_path: Path) -> None:
    make, layers = ONNX[case]
    text = str(make(tmp_path))
    check_backend(OnnxBackend, text, layers=layers, size=(32, 32))


BACKENDS = {"torch": TorchBackend, "onnxruntime": OnnxBackend}
WITHOUT_EXAMPLE = ["pascal_part"]


@pytest.mark.parametrize("name", BACKENDS)
def test_examples_of_backends(name: str, tmp_path: Path) -> None:
    offer = host().named(BackendSpec, name)
    assert offer is not None
    model = load_factory(offer, offer.spec.example)(tmp_path)
    check_backend(BACKENDS[name], model)


@pytest.mark.parametrize("name", SETS)
def test_examples_of_concept_sets(name: str, tmp_path: Path) -> None:
    offer = host().named(ConceptSetSpec, name)
    assert offer is not None
    if name in WITHOUT_EXAMPLE:
        assert not offer.spec.example
        return
    try:
        text = load_factory(offer, offer.spec.example)(tmp_path)
    except Unavailable as error:
        pytest.skip(str(error))
    check_concept_set(open_concepts, text)
