"""What surrounds attributions in Captum, run with `LayerDissection` in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from captum.attr import (
    ClassSummarizer,
    LayerAttribution,
    NoiseTunnel,
    visualization,
)
from captum.attr._utils.stat import Count, Mean
from captum.attr._utils.summarizer import Summarizer
from captum.concept import TCAV, Classifier
from captum.metrics import infidelity, sensitivity_max
from networks import ResNet18
from opened_checks import check_opened_set
from torch import Tensor

from nd_plugin import (
    ConceptSetInvalid,
    Dissection,
    LayerDissection,
    Preprocess,
    concepts_from_captum,
    concepts_to_captum,
    open_concepts,
)

SIZE = 64
SHAPES = f"shapes?images=40&size={SIZE}"
HOW = Preprocess(size=(SIZE, SIZE))


@pytest.fixture(scope="module")
def net() -> ResNet18:
    torch.manual_seed(0)
    return ResNet18(width=4, classes=5).eval()


@pytest.fixture
def images() -> Tensor:
    return torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("layer", ["layer3", "layer4"])
def test_noise_tunnel(net: ResNet18, images: Tensor, layer: str) -> None:
    units = LayerDissection(net, layer)
    still = NoiseTunnel(units).attribute(images, target=1, nt_samples=4, stdevs=0.0)
    torch.testing.assert_close(still, units.attribute(images, 1))
    torch.manual_seed(0)
    noisy = NoiseTunnel(units).attribute(
        images,
        target=[1, 2],
        nt_type="smoothgrad_sq",
        nt_samples=4,
        nt_samples_batch_size=2,
        stdevs=0.1,
    )
    assert noisy.shape == still.shape and (noisy >= 0).all() and noisy.any()


class Ridge(Classifier):  # type: ignore[misc]  # captum is not typed
    """A linear classifier in closed form; Captum's own needs scikit-learn."""

    def __init__(self) -> None:
        self.known: list[int] = []
        self.found = torch.empty(0)

    def train_and_eval(self, dataloader: Any, **_: Any) -> dict[str, Tensor]:
        pairs = list(dataloader)
        inputs, labels = (
            torch.cat([x for x, _ in pairs]).double(),
            torch.cat([y for _, y in pairs]),
        )
        self.known = labels.unique().tolist()
        wanted = torch.stack(
            [(labels == label).double() * 2 - 1 for label in self.known], 1
        )
        self.found = torch.linalg.solve(
            inputs.T @ inputs + torch.eye(inputs.shape[1]), inputs.T @ wanted
        ).T.float()
        return {
            "accs": (inputs.float() @ self.found.T)
            .argmax(1)
            .eq(wanted.argmax(1))
            .float()
            .mean()
        }

    def weights(self) -> Tensor:
        return self.found

    def classes(self) -> list[int]:
        return list(self.known)


def test_tcav(net: ResNet18, images: Tensor, tmp_path: Path) -> None:
    red, blue = concepts_to_captum(
        SHAPES, ["red-c", "blue-c"], preprocess=HOW, batch_size=8
    )
    scores = {}
    for name, method in {
        "ours": LayerDissection(net, None, multiply_by_inputs=False),
        "captum's": None,
    }.items():
        tcav = TCAV(
            net,
            ["layer3", "layer4"],
            model_id=name,
            classifier=Ridge(),
            layer_attr_method=method,
            save_path=str(tmp_path),
        )
        scores[name] = tcav.interpret(images, [[red, blue]], target=1)
    key = f"{red.id}-{blue.id}"
    for layer in ("layer3", "layer4"):
        for score in ("sign_count", "magnitude"):
            found, expected = (
                scores[name][key][layer][score] for name in ("ours", "captum's")
            )
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
            assert expected.any()


def test_sensitivity(net: ResNet18, images: Tensor) -> None:
    for layer in ("layer3", "layer4"):
        units = LayerDissection(net, layer)
        still = sensitivity_max(
            units.as_explanation(),
            images,
            perturb_radius=0.0,
            n_perturb_samples=2,
            target=1,
        )
        assert still.shape == (2,) and still.abs().max() < 1e-4
        assert (
            sensitivity_max(
                units.as_explanation(), images, perturb_radius=0.1, target=[1, 2]
            )
            > 1e-3
        ).all()


def test_infidelity(net: ResNet18, images: Tensor) -> None:
    units = LayerDissection(net, "layer4")
    explained = units.as_explanation(contribution="linear")(images, target=1)
    assert explained.shape == images.shape
    # the sum stays: the cells' values are interpolated and shared out over pixels and channels
    torch.testing.assert_close(
        explained.sum((1, 2, 3)),
        units.attribute(images, 1).sum((1, 2, 3)),
        rtol=0.2,
        atol=1e-3,
    )

    noise = 0.01 * torch.randn(
        6, *images.shape[1:], generator=torch.Generator().manual_seed(1)
    )

    def perturb(inputs: Tensor) -> tuple[Tensor, Tensor]:
        return noise, inputs - noise

    found = infidelity(
        units.to_forward(),
        perturb,
        images,
        explained,
        target=1,
        n_perturb_samples=3,
    )
    with torch.no_grad():
        changed = (
            net(images)[:, 1].repeat_interleave(3)
            - net(images.repeat_interleave(3, 0) - noise)[:, 1]
        )
    said = (noise * explained.repeat_interleave(3, 0)).sum((1, 2, 3))
    torch.testing.assert_close(
        found, (said - changed).square().view(2, 3).mean(1), rtol=1e-3, atol=1e-12
    )


def test_summarizers(net: ResNet18, images: Tensor) -> None:
    units = LayerDissection(net, "layer4")
    attributions = units.attribute(images, [1, 2])
    by_class: Any = ClassSummarizer(stats=[Mean(), Count()])
    by_class.update(attributions, [1, 2])
    torch.testing.assert_close(
        by_class.class_summaries[2][0]["mean"], attributions[1]
    )
    whole = Summarizer([Mean()])
    for one in attributions:
        whole.update(one)
    torch.testing.assert_close(whole.summary["mean"], attributions.mean(0))


def test_visualization(net: ResNet18, images: Tensor) -> None:
    units = LayerDissection(net, "layer4")
    shown = units.to_input(units.attribute(images, 1).sum(1, keepdim=True), images)
    figure, axis = visualization.visualize_image_attr(
        shown[0].permute(1, 2, 0).numpy(),
        images[0].permute(1, 2, 0).numpy(),
        method="blended_heat_map",
        sign="all",
        use_pyplot=False,
    )
    assert [image.get_array().shape[:2] for image in axis.images] == [
        (SIZE, SIZE)
    ] * 2
    assert figure is axis.figure
    resized = LayerAttribution.interpolate(units.attribute(images, 1), (SIZE, SIZE))
    assert resized.shape == (2, 32, SIZE, SIZE)


class TestConcepts:
    def test_images_that_show_them(self) -> None:
        own = open_concepts(SHAPES)
        found = concepts_to_captum(SHAPES, preprocess=HOW, batch_size=16)
        names = [concept.name for concept in own.concepts]
        red = next(concept for concept in found if concept.name == "red-c")
        assert names[red.id] == "red-c" and red.identifier == f"red-c-{red.id}"
        showing = [
            index
            for index in range(len(own))
            if any(
                (plane == red.id + 1).any()
                for plane in own.annotation(index).planes
            )
            or red.id + 1 in own.annotation(index).labels
        ]
        batches = list(red.data_iter)
        assert 0 < len(showing) < 40 and sum(map(len, batches)) == len(showing)
        assert batches[0].shape[1:] == (3, SIZE, SIZE)
        torch.testing.assert_close(
            batches[0][0], HOW.normalise(HOW.resize(own.image(showing[0]))[None])[0]
        )
        (few,) = concepts_to_captum(SHAPES, ["red-c"], preprocess=HOW, limit=3)
        assert sum(map(len, few.data_iter)) == 3

    def test_a_name_that_nothing_shows(self) -> None:
        with pytest.raises(
            ConceptSetInvalid, match=r"shows 'red'; the nearest are .*red-c"
        ):
            concepts_to_captum(SHAPES, ["red"])

    def test_there_and_back(self, net: ResNet18) -> None:
        names = ["red-c", "blue-c"]
        back = concepts_from_captum(
            concepts_to_captum(SHAPES, names, preprocess=HOW), preprocess=HOW
        )
        check_opened_set(back)
        own = open_concepts(SHAPES)
        originals = {own.image(index).tobytes() for index in range(len(own))}
        assert {image.tobytes() for image in back.images} <= originals, (
            "to the last bit"
        )
        found = LayerDissection(net, "layer2").dissect(
            back, preprocess=HOW, workers=0
        )
        assert (
            isinstance(found, Dissection)
            and [c.name for c in found.concepts] == names
        )
        assert (
            found.provenance.concept_set.source == "captum.concept: red-c, blue-c"
        )

    def test_what_is_no_set_of_images(self) -> None:
        from captum.concept import Concept

        with pytest.raises(ConceptSetInvalid, match="'empty' has no data_iter"):
            concepts_from_captum([Concept(0, "empty", None)])
        flat: Iterator[Tensor] | Any = [torch.zeros(2, 5)]
        with pytest.raises(
            ConceptSetInvalid, match=r"'flat' yields \(2, 5\), not images"
        ):
            concepts_from_captum([Concept(0, "flat", flat)])
