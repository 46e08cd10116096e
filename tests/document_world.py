"""Folder in which the blocks of documents run: small files under the names that the pages give.

What stands for what is in `MODELS` of ``document_models`` (networks), `write_sets` (data sets),
`RUNS` (finished runs) and `PLACEHOLDERS` (words in capitals).
"""

from __future__ import annotations

import csv
import json
import re
import shutil
import sys
import tomllib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import made_sources_a
import made_sources_b
import numpy as np
import onnx
import pytest
import torch
from command_here import run_nd
from document_models import SIDE, UNITS, build, write_package
from labelled_pictures import save_pictures
from matplotlib import pyplot
from onnx import helper
from PIL import Image
from published_files import LITE, cells, write_summary
from safetensors.torch import save_file
from small_models import model_of, random_weights

from nd_plugin import Dissection, export_concepts, open_concepts
from nd_plugin.concepts.colours.colour_table import ColourTable
from nd_plugin.plugins.host import host
from nd_plugin.rating.vote_import import FORMAT
from nd_plugin.rating.votes import VoteFile

# words of pages that stand for what a reader has
PLACEHOLDERS = {
    "MODEL": "package.module:factory",
    "CONCEPTS": "shapes",
    "LAYER": "layer4",
    "FOLDER": "broden1_224",
    "nd demo": "nd demo --images 8",
    "--folds 50": "--folds 10",  # no more than images
    "--permutations 100": "--permutations 10",
    "airplane": "car",
    "dissect …": "dissect package.module:factory -l layer4 -c shapes",
    "…": "-c shapes",
}
# what is finished in ``runs/``, and the command that makes it
RESNET = "dissect torchvision:resnet18 -l layer4 -c shapes"
ALEXNET = "dissect torchvision:alexnet -l features.10 -c shapes"
RUN_COMMANDS = {
    "resnet18": RESNET,
    "base": f"{RESNET} --folds 5 --permutations 5",
    "new": f"{RESNET} --folds 5 --permutations 5",
    "r": "dissect torchvision:resnet18 -l layer2 -c shapes",  # maps of 8 x 8
    "a": RESNET,
    "alexnet": ALEXNET,
    "b": ALEXNET,
    "vgg16": "dissect torchvision:vgg16 -l features.21,features.28 -c shapes",
    "quantiles": f"{RESNET} --quantile 0.005,0.01",
    "training": "evolve package.module:factory weights -l layer4 -c shapes",
    "seed0": "evolve package.module:factory weights -l layer4 -c shapes",
    "seed1": "evolve package.module:factory weights -l layer4 -c shapes",
    "seed2": "evolve package.module:factory weights -l layer4 -c shapes",
    "a-probe": "probe torchvision:resnet18 images -l layer3,layer4",
    "b-probe": "probe torchvision:alexnet images -l features.10",
}
# runs that a page takes for granted; others it makes itself
RUNS = {
    "README.md": ("vgg16",),
    "docs/captum.md": ("resnet18",),
    "docs/command-line.md": ("alexnet", "vgg16", "base", "new"),
    "docs/experiments.md": (
        *("alexnet", "vgg16", "base", "new", "a", "b", "b-probe"),
        *("seed0", "seed1", "seed2"),
    ),
    "docs/figures.md": (
        *("resnet18", "alexnet", "quantiles", "training"),
        *("a", "b", "a-probe", "b-probe"),
    ),
    "docs/rating.md": ("r",),
}
STREETS = """
import torch


class Streets(torch.utils.data.Dataset):
    \"\"\"Images (row, column, channel) and masks of a user.\"\"\"

    def __init__(self, split):
        self.count = 4

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        pixels = torch.randint(0, 255, (64, 64, 3), generator=torch.manual_seed(index))
        mask = torch.zeros(64, 64, dtype=torch.uint8)
        mask[:32] = 1
        mask[:, 40:] = 2
        return pixels.to(torch.uint8).numpy(), mask.numpy()
"""
SHAPES = {"images": "20", "size": str(SIDE)}


def runs_before(page: str) -> Sequence[str]:
    """Return the runs that a page finds."""
    return RUNS.get(page, ())


@dataclass(frozen=True)
class Mirror:
    """Where an archive in Broden's layout is served."""

    url: str
    hash: str  # such as "sha256:…"


def with_stand_ins(command: str, mirror: Mirror) -> str:
    """Return a command with what a reader has in the place of words that stand for it."""
    for word, stand_in in PLACEHOLDERS.items():
        command = re.sub(rf"(?<![\w/]){re.escape(word)}(?!\w)", stand_in, command)
    if "concepts fetch" not in command:
        return command
    command = command.partition("#")[0]
    command = re.sub(r"--url \S+", "", command)
    source = "" if "--from" in command else f" --url {mirror.url}"
    return f"{command.strip()}{source} --hash {mirror.hash}"


def write_world(root: Path) -> None:
    """Write everything that a page may name into an empty folder."""
    write_package(root)
    write_sets(root)
    write_models(root)
    write_results(root)


def write_sets(root: Path) -> None:
    """Write the concept sets, each a few images in its true layout."""
    export_concepts(open_concepts("shapes"), root / "broden1_224")
    np.save(root / "w2c.npy", ColourTable.load().cells)
    add_splits(root / "broden1_224" / "index.csv")
    for name in ("street", "my_concepts", "streets", "indoor"):
        write_street(root / name)
    write_street(root / "streets_materials", category="material")
    made_sources_a.write_ade20k_2016(root)
    made_sources_a.write_scene_parsing(root)
    made_sources_a.write_voc(root)
    made_sources_a.write_opensurfaces(root)
    made_sources_a.write_dtd(root)
    made_sources_a.write_pascal_context(root / "pascal")
    made_sources_a.write_pascal_part(root / "pascal-part")
    made_sources_a.write_voc(root, 2010)
    (root / "scenes").mkdir()
    made_sources_b.write_huggingface(root / "scenes")
    shutil.copy(root / "scenes" / "id2label.json", root)
    (root / "my_data.py").write_text(STREETS, encoding="utf-8")
    (root / "names.csv").write_text("value,name\n1,road\n2,car\n", encoding="utf-8")
    made_sources_b.write_coco_instances(root / "coco")
    made_sources_b.write_cityscapes(root / "cityscapes")
    save_pictures(root / "places", {"train": 2, "val": 2})
    save_pictures(root / "images", {"train": 6, "test": 4})


def add_splits(index: Path) -> None:
    """Put the rows of an index into the splits train and val."""
    with index.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with index.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(
            file, list(dict.fromkeys(["image", "split", *rows[0]]))
        )
        writer.writeheader()
        for number, row in enumerate(rows):
            writer.writerow({**row, "split": ("train", "val")[number % 2]})


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
    for name in ("int8", "a", "b"):
        shutil.copy(root / "model.onnx", root / f"{name}.onnx")
    for name in ("net", "stage-1", "stage-2"):
        onnx.save(plain_network(), root / f"{name}.onnx")
    write_bases(root)
    torch.save(
        {"state_dict": resnet.state_dict()}, root / "resnet18_places365.pth.tar"
    )
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


def plain_network() -> onnx.ModelProto:
    """Return an ONNX model of the layers ``relu2`` and ``relu5``, of 8 units each."""
    nodes, weights, value = [], {}, "image"
    for number, inputs in ((2, 3), (5, 8)):
        weights[f"w{number}"] = random_weights(8, inputs, 3, 3)
        convolution, output = f"conv{number}", f"relu{number}"
        nodes.append(helper.make_node("Conv", [value, f"w{number}"], [convolution]))
        nodes.append(helper.make_node("Relu", [convolution], [output]))
        value = output
    nodes.append(helper.make_node("GlobalAveragePool", [value], ["logits"]))
    return model_of(nodes, weights, ("N", 3, SIDE, SIDE))


def write_bases(root: Path) -> None:
    """Write principal components of ``relu5``, and a dictionary of ``layer4``."""
    random = np.random.default_rng(0)
    components, _ = np.linalg.qr(random.standard_normal((8, 8)))
    np.savez(root / "pca.npz", components=components, mean=np.zeros(8))
    latents = torch.randn(24, UNITS, generator=torch.Generator().manual_seed(0))
    save_file(
        {"weight": latents, "bias": torch.zeros(24)}, root / "sae.safetensors"
    )


def install(project: Path) -> None:
    """Make the plugin of a project importable and known, as ``pip install`` does."""
    settings = tomllib.loads(
        (project / "pyproject.toml").read_text(encoding="utf-8")
    )
    name = settings["project"]["name"]
    points = settings["project"]["entry-points"]["nd_plugin"].items()
    information = project / "src" / f"{name.replace('-', '_')}-0.1.0.dist-info"
    information.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n"
    (information / "METADATA").write_text(metadata, encoding="utf-8")
    lines = [f"{point} = {module}" for point, module in points]
    text = "\n".join(["[nd_plugin]", *lines, ""])
    (information / "entry_points.txt").write_text(text, encoding="utf-8")
    sys.path.insert(0, str((project / "src").resolve()))
    host.cache_clear()


def write_votes(run: Path) -> None:
    """Write what raters and crowd platforms give back, of the questions that a run has."""
    with VoteFile.open(run / "ratings.sqlite") as votes:
        questions = [item.identifier for item in votes.study().questions]
        name = votes.name
    time = "2026-01-01T00:00:00Z"
    cast = [{"question": q, "answer": "yes", "time": time} for q in questions]
    content = {"format": FORMAT, "study": name, "rater": "ann", "votes": cast}
    Path("votes-ann.json").write_text(json.dumps(content), encoding="utf-8")
    lines = [f"{question},W1,no" for question in questions]
    text = "\n".join(["question,rater,answer", *lines])
    Path("results.csv").write_text(text, encoding="utf-8")


def write_results(root: Path) -> None:
    """Write tables of others."""
    names = cells("caffenet_random", "caffenet_places365", "weakly_audio")
    write_summary(root / "semantics_cvpr_release.mat", networks_name=names)
    tables = (
        "netdissect",
        "caffe_reference_places365",
        "ResNet-152-model_imagenet",
    )
    for name in tables:
        (root / f"{name}.csv").write_text(LITE, encoding="utf-8")
    lines = [f"layer2,{unit},thing {unit}" for unit in range(UNITS // 4)]
    people = "\n".join(["layer,unit,description", *lines])
    (root / "people.csv").write_text(people, encoding="utf-8")
    accuracy = "step,accuracy\n1,0.1\n10,0.3\n90,0.5\n"
    (root / "accuracy.csv").write_text(accuracy, encoding="utf-8")


def write_run(folder: Path, world: Path) -> None:
    """Write the finished run of a folder's name, from what the world has."""
    command = [*RUN_COMMANDS[folder.name].split(), "-o", str(folder)]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(world)
        patch.syspath_prepend(world)
        done = run_nd(*command)
    assert done.returncode == 0, done.stderr


def images() -> torch.Tensor:
    """Return two images, normalised."""
    return torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def dissection(run: str = "") -> Dissection:
    """Return a dissection of a run that the page has."""
    run = run or ("resnet18" if Path("runs/resnet18").exists() else "base")
    return Dissection.load(Path("runs") / run / "layer4")


def streets() -> Any:
    """Return a data set of the user's."""
    return import_module("my_data").Streets("val")


# what a page's Python takes for granted
NAMES: dict[str, Callable[[], Any]] = {
    "model": lambda: build("resnet18"),
    "resnet": lambda: build("resnet18"),
    "images": images,
    "names": lambda: [f"class {number}" for number in range(11)] + ["zebra"],
    "dataset": streets,
    "components": lambda: np.eye(UNITS),
    "dissection": dissection,
    "base": lambda: dissection("base"),
    "new": lambda: dissection("new"),
    "before": lambda: dissection("base"),
    "after": lambda: dissection("new"),
    "ax": lambda: pyplot.figure().add_subplot(),
}
for name in ("epoch_1", "epoch_10", "epoch_90"):
    NAMES[name] = dissection
for name in ("first_at_0", "second_at_0", "first_at_1", "second_at_1"):
    NAMES[name] = dissection
