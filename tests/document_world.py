"""Folder in which the blocks of documents run: small files under the names that the pages give.

What stands for what is in `MODELS` of ``document_models`` (networks), `write_sets` (data sets),
`RUNS` (finished runs) and `PLACEHOLDERS` (words in capitals).
"""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import made_sources_a
import made_sources_b
import numpy as np
import torch
from command_here import run_nd
from document_models import SIDE, build, write_package
from labelled_pictures import save_pictures
from PIL import Image
from published_files import LITE, write_summary

from nd_plugin import export_concepts, open_concepts

# words of pages that stand for what a reader has
PLACEHOLDERS = {
    "MODEL": "package.module:factory",
    "CONCEPTS": "shapes",
    "LAYER": "layer4",
    "FOLDER": "broden1_224",
    "dissect …": "dissect package.module:factory -l layer4 -c shapes",
    " …": " -c shapes",
}
# finished runs in ``runs/``: model, layers and further options
RESNET = ("torchvision:resnet18", "-l", "layer3,layer4")
RUN_COMMANDS = {
    "resnet18": RESNET,
    "base": RESNET,
    "new": RESNET,
    "a": RESNET,
    "b": ("torchvision:alexnet", "-l", "features.10"),
    "alexnet": ("torchvision:alexnet", "-l", "features.10"),
    "vgg16": ("torchvision:vgg16", "-l", "features.21,features.28"),
    "quantiles": (*RESNET, "--quantile", "0.005,0.01"),
    "r": RESNET,
}
# runs that a page takes for granted; others it makes itself
RUNS = {
    "README.md": ("vgg16",),
    "docs/captum.md": ("resnet18",),
    "docs/command-line.md": ("alexnet", "vgg16", "base", "new"),
    "docs/experiments.md": ("alexnet", "vgg16", "base", "new", "a", "b"),
    "docs/figures.md": ("resnet18", "alexnet", "quantiles", "a", "b"),
    "docs/rating.md": ("r",),
}
SHAPES = {"images": "16", "size": str(SIDE)}


def runs_before(page: str) -> Sequence[str]:
    """Return the runs that a page finds."""
    return RUNS.get(page, ())


def with_stand_ins(command: str, address: str) -> str:
    """Return a command with what a reader has in the place of words that stand for it."""
    for word, stand_in in PLACEHOLDERS.items():
        command = re.sub(rf"(?<![\w/]){re.escape(word)}(?!\w)", stand_in, command)
    command = command.replace("https://mirror.example/broden1_224.zip", address)
    if (
        "concepts fetch" in command
        and "--url" not in command
        and "--from" not in command
    ):
        command = command.replace(
            "concepts fetch broden", f"concepts fetch broden --url {address}"
        )
    return command


def write_world(root: Path) -> None:
    """Write everything that a page may name into an empty folder."""
    write_package(root)
    write_sets(root)
    write_models(root)
    write_results(root)


def write_sets(root: Path) -> None:
    """Write the concept sets, each a few images in its true layout."""
    export_concepts(open_concepts("shapes"), root / "broden1_224")
    for name in ("street", "my_concepts", "streets", "indoor"):
        write_street(root / name)
    write_street(root / "streets_materials", category="material")
    made_sources_a.write_ade20k_2016(root)
    made_sources_a.write_scene_parsing(root)
    made_sources_a.write_voc(root / "VOCdevkit")
    made_sources_a.write_opensurfaces(root)
    made_sources_a.write_dtd(root)
    made_sources_a.write_pascal_context(root / "pascal")
    made_sources_b.write_coco_instances(root / "coco")
    made_sources_b.write_cityscapes(root / "cityscapes")
    save_pictures(root / "places", {"train": 2, "val": 2})
    save_pictures(root / "images", {"train": 6, "test": 4})


def write_street(root: Path, category: str = "object") -> None:
    """Write a set in the masks format: a grey road below a blue car, in two splits."""
    masks = root / "masks" / category
    random = np.random.default_rng(0)
    rows = [f"{category},1,road", f"{category},2,car"]
    for split in ("train", "val"):
        (root / "images" / split).mkdir(parents=True)
        (masks / split).mkdir(parents=True)
        for number in range(6):
            pixels = random.integers(90, 110, (SIDE, SIDE, 3), np.uint8)
            values = np.zeros((SIDE, SIDE), np.uint8)
            values[SIDE // 2 :] = 1
            left = int(random.integers(0, SIDE // 2))
            values[10:26, left : left + 24] = 2
            pixels[values == 2] = (30, 60, 200)
            Image.fromarray(pixels).save(root / "images" / split / f"{number}.png")
            Image.fromarray(values).save(masks / split / f"{number}.png")
    lines = "\n".join(["category,value,name", *rows])
    (root / "concepts.csv").write_text(lines + "\n", encoding="utf-8")


def write_models(root: Path) -> None:
    """Write ONNX files, checkpoints of a training, and a photo."""
    resnet = build("resnet18")
    images = torch.zeros(1, 3, SIDE, SIDE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the quick exporter
        torch.onnx.export(
            resnet,
            (images,),
            str(root / "model.onnx"),
            dynamo=False,
            input_names=["images"],
            dynamic_axes={"images": {0: "N"}},
        )
    for name in ("net", "int8", "a", "b"):
        shutil.copy(root / "model.onnx", root / f"{name}.onnx")
    (root / "weights").mkdir()
    for step in (1, 10, 90):
        with torch.no_grad():
            for parameter in resnet.parameters():
                parameter.add_(0.01 * torch.randn_like(parameter))
        torch.save(resnet.state_dict(), root / "weights" / f"epoch_{step}.pt")
    for name in ("before.pt", "after.pt"):
        shutil.copy(root / "weights" / "epoch_1.pt", root / name)
    random = np.random.default_rng(5)
    pixels = random.integers(0, 255, (80, 100, 3), np.uint8)
    Image.fromarray(pixels).save(root / "photo.jpg")


def write_results(root: Path) -> None:
    """Write tables of others."""
    write_summary(root / "semantics_cvpr_release.mat")
    for name in ("netdissect", "caffe_reference_places365"):
        (root / f"{name}.csv").write_text(LITE, encoding="utf-8")


def write_run(folder: Path) -> None:
    """Write the finished run of a folder's name."""
    done = run_nd(
        "dissect", *RUN_COMMANDS[folder.name], "-c", "shapes", "-o", folder
    )
    assert done.returncode == 0, done.stderr


def images() -> torch.Tensor:
    """Return two images, normalised."""
    return torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


# what a page's Python takes for granted
NAMES: dict[str, Callable[[], Any]] = {
    "model": lambda: build("resnet18"),
    "resnet": lambda: build("resnet18"),
    "images": images,
    "names": lambda: [f"class {number}" for number in range(11)] + ["zebra"],
}
