"""Captum's perturbation methods, and NoiseTunnel, on ONNX files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_files
import pytest
import torch
from captum.attr import FeatureAblation, KernelShap, NoiseTunnel, Occlusion
from captum.metrics import infidelity

from nd_plugin import LayerDissection


@pytest.fixture
def units(tmp_path: Path) -> LayerDissection:
    return LayerDissection(str(onnx_files.dynamic_batch(tmp_path)), "relu2")


@pytest.fixture
def images(tmp_path: Path) -> torch.Tensor:
    return torch.from_numpy(
        onnx_files.draw_images(onnx_files.dynamic_batch(tmp_path), 2, 7)
    ).float()


def logit(path: Path, images: torch.Tensor, target: int) -> torch.Tensor:
    """By onnx's reference evaluator."""
    return torch.from_numpy(
        onnx_files.inner_values(path, images.numpy(), ["logits"])["logits"]
    )[:, target]


def test_occlusion_and_ablation_say_what_the_reference_evaluator_says(
    units: LayerDissection, images: torch.Tensor, tmp_path: Path
) -> None:
    path, half = tmp_path / "dynamic_batch.onnx", images.clone()
    half[:, :, :, :16] = 0
    lost = logit(path, images, 3) - logit(path, half, 3)
    occluded = Occlusion(units.to_forward()).attribute(
        images, (3, 32, 16), target=3, strides=(3, 32, 16)
    )
    mask = torch.zeros(1, 3, 32, 32, dtype=torch.int64)
    mask[..., 16:] = 1
    ablated = FeatureAblation(units.to_forward()).attribute(
        images, target=3, feature_mask=mask
    )
    for attributions in (occluded, ablated):
        torch.testing.assert_close(
            attributions[:, 0, 0, 0], lost, rtol=1e-3, atol=1e-4
        )
    assert lost.abs().min() > 1e-3


def test_kernel_shap_shares_the_whole_difference_out(
    units: LayerDissection, images: torch.Tensor, tmp_path: Path
) -> None:
    pytest.importorskip("sklearn", reason="Captum's KernelShap needs scikit-learn")
    path, image = tmp_path / "dynamic_batch.onnx", images[:1]
    mask = torch.zeros(1, 3, 32, 32, dtype=torch.int64)
    mask[..., 16:] = 1
    torch.manual_seed(0)
    np.random.seed(0)
    attributions = KernelShap(units.to_forward()).attribute(
        image, target=1, feature_mask=mask, n_samples=64
    )
    difference = logit(path, image, 1) - logit(path, torch.zeros_like(image), 1)
    shared = attributions[0, 0, 0, 0] + attributions[0, 0, 0, 31]
    torch.testing.assert_close(shared, difference[0], rtol=1e-2, atol=1e-2)


def test_infidelity_of_nothing_is_the_mean_square_of_what_changes(
    units: LayerDissection, images: torch.Tensor
) -> None:
    forward = units.to_forward()

    def darken(inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return inputs / 2, inputs / 2

    scores = infidelity(
        forward,
        darken,
        images,
        torch.zeros_like(images),
        target=2,
        n_perturb_samples=2,
    )
    changed = (forward(images) - forward(images / 2))[:, 2]
    torch.testing.assert_close(scores, changed**2, rtol=1e-4, atol=1e-6)


def test_noise_tunnel_smooths_linear_contributions(
    units: LayerDissection, images: torch.Tensor
) -> None:
    torch.manual_seed(0)
    attributions = NoiseTunnel(units).attribute(
        images, nt_samples=4, stdevs=0.0, target=1
    )
    torch.testing.assert_close(
        attributions, units.attribute(images, 1), rtol=1e-4, atol=1e-6
    )
    assert units.contribution == "linear"
