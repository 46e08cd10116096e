"""Models split at a layer: linear heads, gradients, and what units contribute."""

from __future__ import annotations

from typing import Any

import flax_models
import pytest
import torch
from flax import nnx

from nd_plugin import BadInput, LayerDissection, open_model


def test_a_linear_head_is_found_where_there_is_one() -> None:
    model: Any = open_model(flax_models.linen_network())
    images = torch.rand(2, 3, 16, 24)
    head = model.linear_head("LinenBlock_1", (images,))
    with model.probe(["LinenBlock_1"], (16, 24)) as probe:
        means = probe(images)["LinenBlock_1"].mean((2, 3))
    # sums in another order
    torch.testing.assert_close(
        means @ head.weight.T + head.bias,
        model.outputs(images),
        rtol=1e-4,
        atol=1e-5,
    )
    assert model.linear_head("stem", (images,)) is None


def test_gradients_flow_from_torch_through_jax_and_back() -> None:
    network = flax_models.ConvolutionalNetwork(rngs=nnx.Rngs(1))
    twin = flax_models.TorchTwin(network).eval()
    model: Any = open_model(network)
    images = torch.rand(2, 3, *flax_models.SIZE)
    with model.rest("second", (images,)) as rest:
        value = rest.layer(images).requires_grad_()
        rest(value, images)[:, 1].sum().backward()
        gradient = rest.layout.maps(value.grad)
    with open_model(twin).rest("second", (images,)) as rest:  # type: ignore[attr-defined]
        value = rest.layer(images).detach().requires_grad_()
        rest(value, images)[:, 1].sum().backward()
        torch.testing.assert_close(gradient, value.grad, rtol=1e-4, atol=1e-6)
    pixels = images.clone().requires_grad_()
    model.outputs(pixels).sum().backward()
    theirs = images.clone().requires_grad_()
    twin(theirs).sum().backward()
    torch.testing.assert_close(pixels.grad, theirs.grad, rtol=1e-4, atol=1e-5)


def test_units_are_explained_by_their_contributions() -> None:
    text = "flax:flax_models:linen_network"
    layer = LayerDissection(text, "LinenBlock_1")
    images = torch.randn(1, 3, 16, 24)
    outputs = open_model(text).outputs(images)  # type: ignore[attr-defined]
    # behind the layer come global average pooling and a linear map with a bias of 0: by each kind
    # of contribution, units add up to the output
    for kind in ("linear", "gradient", "ablation"):
        contributions = layer.attribute(images, target=1, contribution=kind)
        torch.testing.assert_close(
            contributions.sum(), outputs[0, 1], rtol=1e-4, atol=1e-5
        )
    with pytest.raises(BadInput, match="leave out attribute_to_layer_input"):
        layer.attribute(
            images, 1, attribute_to_layer_input=True, contribution="gradient"
        )
