"""Reader of the command line's texts: specs with options, sizes, quantiles, memory, patterns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from random import Random

import torch
from drawn import Net
from fuzz.cases import Files, Numbers, Reader, Sample, read_files
from fuzz.mutators.words import WORDS
from fuzz.readers.command_line import run_nd
from fuzz.readers.concept_sets import broden_files, masks_files
from fuzz.readers.made import colours, drawn, feed_of, png
from fuzz.readers.onnx_models import make_samples as make_onnx_samples

from nd_plugin import Settings, open_model
from nd_plugin.engine.run import run
from nd_plugin.results import run_folder

WORDS_FILE = "words.txt"
SMALL = "--workers 0 --input-size 16 --device cpu"
COMMANDS = (
    f"dissect drawn:Net -l near -c masks:set {SMALL} --quantile 0.05,0.1 --memory 1MiB --json",
    f"dissect drawn:Net?seed=3 -l * -c broden:broden/set {SMALL} --limit 2 --batch-size 2",
    f"dissect drawn:Net -l near,far -c masks:set {SMALL} --mean 0.5,0.4,0.3 --std 0.2 --scale 1",
    f"dissect drawn:Net -l far -c masks:set {SMALL} --mask-size 8x12 --anchor cell --min-iou 0.1",
    f"dissect drawn:Net -l far -c masks:set {SMALL} --folds 2 --permutations 3 --seed 5",
    f"dissect drawn:Net -l far -c masks:set {SMALL} --shard 1/2 --precision float32 --strict",
    f"dissect net.onnx -l r1 -c masks:set {SMALL} --device-memory 1GB --max-pixels 9999",
    f"dissect drawn:Net -l all -c shapes?images=2&size=16&seed=1 {SMALL} --top-images 2",
    "layers drawn:Net?seed=1 --input-size 16x24 --json",
    "layers net.onnx --input image --feed other=1.5 --feed more=array.npy",
    "concepts masks:set --json",
    "concepts broden:broden/set?index=index.csv",
    "concepts shapes?images=3&size=32",
    "report run --min-iou 0.1 --by iou",
    "report run --by f1 --min-score 0.2 --json",
    "report run --format csv",
    "report run run2 --json",
    "unit run 2 -l near --images 3 --json",
    "compare run run2:near --min-iou 0.1",
    "compare run:* run2:near,far --fail-under 0.5 --json",
    "explain run drawn:Net image.png -l near --target 1,2,2 --quantile 0.05 --top-k 3",
    "explain run drawn:Net image.png -l far --mask all --contribution gradient --json",
    "explain run drawn:Net image.png --classes classes.txt --target cat --image-quantile 0.9",
    f"parity drawn:Net drawn:Net?seed=1 -l near=near -c masks:set {SMALL} --tolerance 0.1",
    f"rotate drawn:Net -l near -c masks:set {SMALL} --alpha 0,0.5,1 --seeds 1 -o rotated",
)


def make_samples(folder: Path) -> Sequence[Sample]:
    """Return a sample for each command, all in one folder of inputs."""
    settings = Settings(quantiles=(0.05,), top_images=2)
    for seed, name in enumerate(("run", "run2")):
        model = open_model(Net(seed).eval())
        dissections = run(model, ["near", "far"], feed_of(drawn(), settings))
        run_folder.save_run(folder / name, dissections)
    files: Files = {**read_files(folder), **masks_files()}
    for path, content in broden_files().items():
        files[f"broden/{path}"] = content
    for sample in make_onnx_samples(folder):
        if sample.name == "convolutions":
            files["net.onnx"] = sample.files["net.onnx"]
    files["image.png"] = png(colours(9))
    files["classes.txt"] = b"cat\ndog\n"
    samples = []
    for command in COMMANDS:
        words = "\n".join(command.split()).encode()
        name = " ".join(command.split()[:2]) + f" {COMMANDS.index(command)}"
        samples.append(Sample(name, {**files, WORDS_FILE: words}))
    return samples


def read(folder: Path, random: Random) -> Numbers:
    """Run the command that a file of words holds."""
    if not (folder / WORDS_FILE).is_file():
        return {}
    torch.manual_seed(0)
    words = os.fsdecode((folder / WORDS_FILE).read_bytes()).split("\n")
    # an argument of a process holds no such character
    arguments = [word.replace("\0", "") for word in words]
    run_nd(arguments)
    return {}


COMMAND_TEXTS = Reader(
    "command-texts",
    make_samples,
    read,
    {WORDS_FILE: WORDS},
    fixed=(".csv", ".png", ".jpg", ".npz", ".json", ".onnx", "classes.txt"),
)
