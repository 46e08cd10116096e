"""Names under noise: python benchmarks/name_stability.py DATA [--sigma 0.02] [--seeds 2] …

DATA is a folder in the format of Broden. EfficientNet-Lite0 is dissected with folds, and again on
the same images with Gaussian noise of standard deviation sigma (white is 1). How many detectors
keep their label, and does the share of resamples in which they keep it, which needs no second run,
say which?
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from nd_plugin import Annotation, Dissection, LayerDissection, open_concepts

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]
EDGES = (0.0, 0.5, 0.75, 0.9, 0.99, 1.0)  # of the groups by stability


@dataclass(frozen=True)
class NoisyImages:
    """Concept set whose images have noise of their own, the same in each run."""

    clean: Any
    sigma: float
    seed: int

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # as pickle asks for before there is a clean set
            raise AttributeError(name)
        return getattr(self.clean, name)

    def __len__(self) -> int:
        return len(self.clean)

    def name(self, index: int) -> str:
        """Return the name of an image."""
        return str(self.clean.name(index))

    def annotation(self, index: int) -> Annotation:
        """Return the annotation of an image."""
        annotation: Annotation = self.clean.annotation(index)
        return annotation

    def image(self, index: int) -> Image.Image:
        """Return an image with noise."""
        pixels = np.asarray(self.clean.image(index).convert("RGB"), np.float64)
        random = np.random.default_rng((self.seed, index))
        noise = random.normal(0, 255 * self.sigma, pixels.shape)
        noisy = np.clip(np.rint(pixels + noise), 0, 255)
        return Image.fromarray(noisy.astype(np.uint8))


def area_under_curve(score: Floats, is_kept: Booleans) -> float:
    """Return the probability that a kept label has a higher score than a lost one."""
    kept, lost = score[is_kept], score[~is_kept]
    if not len(kept) or not len(lost):
        return float("nan")
    higher = (kept[:, None] > lost[None, :]).mean()
    equal = (kept[:, None] == lost[None, :]).mean()
    return float(higher + equal / 2)


def show(clean: Dissection, noisy: Dissection) -> None:
    """Print the share of labels that are kept, by their stability."""
    is_detector = clean.iou.max(axis=1) > clean.settings.min_iou
    is_kept = clean.labels == noisy.labels
    every_unit = np.full(clean.units, True)
    print(f"  {clean.layer} at {clean.settings.quantile:g}")
    for title, units in {"detectors": is_detector, "units": every_unit}.items():
        if units.any():
            show_group(
                title, clean.stability[units], clean.margins[units], is_kept[units]
            )


def show_group(
    title: str, stability: Floats, margins: Floats, is_kept: Booleans
) -> None:
    """Print how many of some units keep their label, and how well that is foreseen."""
    print(
        f"    {len(is_kept)} {title}: {100 * is_kept.mean():.1f} % keep their label; mean ",
        end="",
    )
    print(
        f"stability {100 * stability.mean():.1f} %; area under the curve ", end=""
    )
    print(f"{area_under_curve(stability, is_kept):.3f} by stability, ", end="")
    print(f"{area_under_curve(margins, is_kept):.3f} by margin")
    groups = np.digitize(stability, EDGES[1:-1])
    for group in np.unique(groups).tolist():
        kept_share = 100 * is_kept[groups == group].mean()
        low, high = EDGES[group], EDGES[group + 1]
        print(
            f"      stability {low:g} to {high:g}: {(groups == group).sum()}, ",
            end="",
        )
        print(f"{kept_share:.1f} % keep their label")


def main() -> None:
    """Dissect with and without noise, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument(
        "--layers", nargs="+", default=["_blocks.4", "_blocks.10", "_blocks.15"]
    )
    parser.add_argument("--quantiles", nargs="+", type=float, default=[0.005, 0.04])
    parser.add_argument("--sigma", type=float, default=0.02)
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()

    from nd_torch.zoo import efficientnet_lite0

    model = efficientnet_lite0().eval()
    concept_set = open_concepts(f"broden:{options.data}")

    def dissect(images: Any) -> list[Dissection]:
        layers = LayerDissection(model, options.layers).dissect(
            images, quantile=options.quantiles, folds=20, pictures=False
        )
        return [
            dissection
            for layer in layers
            for dissection in (layer if isinstance(layer, list) else [layer])
        ]

    clean = dissect(concept_set)
    for seed in range(options.seeds):
        print(f"noise of sigma {options.sigma:g}, seed {seed}")
        for pair in zip(
            clean,
            dissect(NoisyImages(concept_set, options.sigma, seed)),
            strict=True,
        ):
            show(*pair)


if __name__ == "__main__":
    main()
