"""Draw the README's pictures of a report and of an explanation: ``python docs/draw_pictures.py``.

Needs the extra ``demo``: EfficientNet-Lite0 with its ImageNet weights, on the embedded concept set.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from nd_plugin import LayerDissection, open_concepts
from nd_plugin.report.terminal import to_svg
from nd_torch.zoo import efficientnet_lite0

HERE = Path(__file__).parent
LAYER = "_swish#1"
IMAGE = 3  # scene of the concept set to be explained
CLASSES = {907: "wine bottle"}  # of ImageNet, the one that the model predicts


def main() -> None:
    """Dissect the last feature layer, and explain an image."""
    concepts = open_concepts("shapes?images=400")
    model = efficientnet_lite0()
    units = LayerDissection(model, LAYER)
    dissection = units.dissect(concepts, show_progress=True)
    (HERE / "report.svg").write_text(
        to_svg([dissection.report()]), encoding="utf-8"
    )
    explanations = units.explain(
        concepts.image(IMAGE), top_k=4, detectors_only=True, classes=CLASSES
    )
    explanations.plot().savefig(HERE / "explanation.png", dpi=110)
    picture = Image.open(HERE / "explanation.png").convert("RGB")
    picture.quantize(256).save(HERE / "explanation.png", optimize=True)


if __name__ == "__main__":
    main()
