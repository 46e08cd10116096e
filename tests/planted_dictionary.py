"""Layer whose units are a mixture of detectors, and the dictionary of latents that undoes it.

Run as a program, it dissects the dictionary and prints what it found, and its peak memory::

    python tests/planted_dictionary.py LATENTS IMAGES
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import reference
import torch
from torch import Tensor, nn

from nd_plugin import ConceptSet, Preprocess, open_concepts, open_model
from nd_plugin.bases.encoder import JUMP_RELU, Encoder
from nd_plugin.bases.opening import open_basis
from nd_plugin.contracts.provenance import Settings
from nd_plugin.experiments.rotation.rotate import RotationPlan, rotate
from nd_plugin.probe_data.batches import Feed

SIZE, MASK = 32, 16
UNITS = (
    512  # directions that are drawn at random are nearly orthogonal among so many
)
QUANTILE = 0.03  # a detector's concept may cover no more than this
MIN_IOU = 0.8  # latents disturb each other a little
HOW = Preprocess((SIZE, SIZE), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


class Mixture(nn.Module):
    """Network that recognises an image, and sums up the directions of the concepts in each cell."""

    def __init__(self, images: Tensor, truth: Tensor, directions: Tensor) -> None:
        super().__init__()
        self.register_buffer("images", images.flatten(1))
        self.register_buffer("truth", truth)
        self.mix = nn.Conv2d(truth.shape[1], directions.shape[1], 1, bias=False)
        self.mix.weight.data = directions.T[:, :, None, None].contiguous()

    def forward(self, x: Tensor) -> Tensor:
        nearest = torch.cdist(x.flatten(1), self.images).argmin(1)
        return self.mix(self.truth[nearest].float())


def truth_of(concepts: ConceptSet) -> Tensor:
    """(image, concept, row, column), bool."""
    truth = torch.zeros(
        len(concepts), len(concepts.concepts), MASK, MASK, dtype=torch.bool
    )
    for index in range(len(concepts)):
        annotation = concepts.annotation(index)
        masks = reference.annotation_masks(
            list(annotation.planes), annotation.labels, (MASK, MASK)
        )
        for concept, mask in masks.items():
            truth[index, concept] = torch.from_numpy(mask)
    return truth


def main(latents: int, images: int) -> None:
    """Dissect a planted dictionary; print how many detectors were planted and found again."""
    concepts = open_concepts(f"shapes?images={images}&size={SIZE}&seed=3")
    pixels = [HOW.resize(concepts.image(index)) for index in range(images)]
    truth = truth_of(concepts)
    coverage = truth.float().mean((0, 2, 3))
    planted = ((coverage > 0) & (coverage < QUANTILE)).nonzero()[:, 0]
    generator = torch.Generator().manual_seed(0)
    dictionary = torch.randn(latents, UNITS, generator=generator)
    dictionary /= dictionary.norm(dim=1, keepdim=True)
    places = torch.randperm(latents, generator=generator)[: len(planted)]
    model = Mixture(
        HOW.normalise(torch.stack(pixels)), truth[:, planted], dictionary[places]
    )
    encoder = Encoder(
        dictionary, activation=JUMP_RELU, threshold=torch.full((latents,), 0.5)
    )
    settings = Settings(quantile=QUANTILE, min_iou=MIN_IOU)
    device = torch.device("cpu")
    study = rotate(
        open_model(model.eval()),
        "mix@nchw",
        Feed.of(concepts, HOW, settings, device, workers=0),
        RotationPlan((0,), bases=(open_basis(encoder, "dictionary"),)),
    )
    dissection = study.bases["dictionary"]
    found = [score.unit for score in dissection.detectors()]
    exact = [
        int(dissection.labels[place]) == int(concept)
        for place, concept in zip(places, planted, strict=True)
    ]
    result = {
        "latents": dissection.units,
        "planted": len(planted),
        "found": len(set(found) & set(places.tolist())),
        "others": len(set(found) - set(places.tolist())),
        "named": sum(exact),
        "own": study.own.summary().detectors,
        "peak": peak_bytes(),
        "maps": latents * MASK * MASK * 4 * images,
    }
    print(json.dumps(result))  # noqa: T201


def peak_bytes() -> int:
    """Return this program's largest memory so far; what it was started from does not count."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    raise RuntimeError("the kernel does not tell the peak")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
