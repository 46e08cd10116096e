"""Contributions of each kind against their definition, masks, and models where Captum fails."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from captum.attr import IntegratedGradients, LayerGradientXActivation, Occlusion
from networks import Call, ResNet18, ViT
from torch import Tensor, nn
from torch.nn import functional as F

from nd_plugin import (
    BadInput,
    Dissection,
    LayerAmbiguous,
    LayerDissection,
    LayerNotFound,
    open_model,
)

KINDS = ("linear", "gradient", "ablation")


@pytest.fixture
def images() -> Tensor:
    return torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def net() -> ResNet18:
    torch.manual_seed(0)
    model = ResNet18(width=4, classes=5).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return model


class Headed(nn.Module):
    """Maps and a given head; maps may be channels last, or tokens behind a class token."""

    def __init__(self, after: Any, before: Any = None) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.maps = nn.Conv2d(3, 6, 5, 4)
        self.before = Call(before or (lambda x: x))
        self.head = nn.Linear(6, 4)
        self.after = after

    def forward(self, x: Tensor) -> Any:
        return self.after(self, self.before(self.maps(x)))


def pooled(model: Headed, x: Tensor) -> Tensor:
    return model.head(x.mean((2, 3)))


HEADS: dict[str, Any] = {
    "pooled": pooled,
    "dropout": lambda m, x: m.head(
        F.dropout(F.adaptive_avg_pool2d(x, 1).flatten(1), 0.5, m.training)
    ),
    "convolution": lambda m, x: F.conv2d(
        x, m.head.weight[:, :, None, None], m.head.bias
    ).mean((2, 3)),
    "scaled": lambda m, x: 3 * m.head(x.mean((2, 3))) - 1,
}
NO_HEADS: dict[str, Any] = {
    "relu": lambda m, x: m.head(x.relu().mean((2, 3))),
    "relu6 of what is positive": lambda m, x: m.head(F.relu6(x.abs()).mean((2, 3))),
    "soft cap": lambda m, x: 30 * torch.tanh(m.head(x.mean((2, 3))) / 30),
    "largest": lambda m, x: m.head(x.amax((2, 3))),
    "softmax": lambda m, x: m.head(x.mean((2, 3))).softmax(1),
    "corner": lambda m, x: m.head(x[:, :, 0, 0]),
    "maps": lambda m, x: F.conv2d(x, m.head.weight[:, :, None, None]),
}


class TestLinear:
    @pytest.mark.parametrize("after", HEADS.values(), ids=list(HEADS))
    def test_sums_to_the_output(self, after: Any, images: Tensor) -> None:
        model = Headed(after)
        model.train()
        units = LayerDissection(model, "maps")
        found = units.attribute(images, target=[0, 3, 1])
        assert units.contribution == "linear" and model.training
        head = open_model(model).linear_head("maps", [images])
        outputs = model.eval()(images)
        assert found.shape == (3, 6, 15, 15)
        torch.testing.assert_close(
            found.sum((1, 2, 3)) + head.bias[[0, 3, 1]],
            outputs[range(3), [0, 3, 1]],
        )

    @pytest.mark.parametrize("after", NO_HEADS.values(), ids=list(NO_HEADS))
    def test_is_never_assumed(self, after: Any, images: Tensor) -> None:
        model = Headed(after)
        units = LayerDissection(model, "maps")
        target = (0, 1, 2) if after is NO_HEADS["maps"] else 0
        found = units.attribute(images, target)
        assert units.contribution == "gradient"
        expected = LayerGradientXActivation(model, model.maps).attribute(
            images, target
        )
        # two ways to the same gradients
        torch.testing.assert_close(found, expected)
        with pytest.raises(
            BadInput,
            match=r"'linear' is not possible .*; possible are gradient, ablation, activation",
        ):
            units.attribute(images, target, contribution="linear")

    def test_channels_last_and_tokens(self, images: Tensor) -> None:
        last = Headed(
            lambda m, x: m.head(x.mean((1, 2))), lambda x: x.permute(0, 2, 3, 1)
        )
        units = LayerDissection(last, "before")
        found = units.attribute(images, 1)
        assert units.contribution == "linear" and found.shape == (3, 15, 15, 6)
        expected = LayerDissection(last, "maps").attribute(
            images, 1, contribution="gradient"
        )
        torch.testing.assert_close(found, expected.permute(0, 2, 3, 1))

    def test_class_tokens_contribute_nothing(self, images: Tensor) -> None:
        def tokens(x: Tensor) -> Tensor:
            return torch.cat(
                [x.new_ones(len(x), 1, 6), x.flatten(2).transpose(1, 2)], 1
            )

        model = Headed(lambda m, x: m.head(x[:, 1:].mean(1)), tokens)
        units = LayerDissection(model, "before")
        found = units.attribute(images, 1)
        assert (
            units.contribution == "linear"
            and found.shape == (3, 226, 6)
            and not found[:, 0].any()
        )
        reads_class_token = Headed(lambda m, x: m.head(x[:, 0]), tokens)
        units = LayerDissection(reads_class_token, "before")
        units.attribute(images, 1)
        assert units.contribution == "gradient"

    def test_weights_that_change_afterwards(self, images: Tensor) -> None:
        model = Headed(pooled)
        units = LayerDissection(model, "maps")
        before = units.attribute(images, 0)
        with torch.no_grad():
            model.head.weight.mul_(2)
        torch.testing.assert_close(units.attribute(images, 0), 2 * before)
        model.after = NO_HEADS["relu"]
        units.attribute(images, 0)
        assert units.contribution == "gradient"

    def test_without_activations_it_is_the_weights(self, images: Tensor) -> None:
        model = Headed(pooled)
        found = LayerDissection(model, "maps", multiply_by_inputs=False).attribute(
            images, 2, contribution="linear"
        )
        torch.testing.assert_close(
            found.sum((2, 3)), model.head.weight[2].detach().expand(3, 6)
        )
        with pytest.raises(
            BadInput, match="ablation has no factor beside the activation"
        ):
            LayerDissection(model, "maps", multiply_by_inputs=False).attribute(
                images, 2, contribution="ablation"
            )


class TestAblation:
    def test_is_what_the_output_loses(self, net: ResNet18, images: Tensor) -> None:
        units = LayerDissection(net, "layer3.0")
        found = units.attribute(images, [4, 0, 2], contribution="ablation")
        with torch.no_grad():
            kept = net(images)[range(3), [4, 0, 2]]
            for unit in (0, 5, 15):

                def without(
                    _: Any, __: Any, output: Tensor, unit: int = unit
                ) -> Tensor:
                    return output.index_fill(1, torch.tensor([unit]), 0)

                handle = net.layer3[0].register_forward_hook(without)
                lost = kept - net(images)[range(3), [4, 0, 2]]
                handle.remove()
                torch.testing.assert_close(
                    found[:, unit].sum((1, 2)), lost, rtol=1e-4, atol=1e-5
                )

    def test_equals_the_linear_one_where_that_is_exact(
        self, net: ResNet18, images: Tensor
    ) -> None:
        units = LayerDissection(net, "layer4")
        expected = units.attribute(images, 1)
        assert units.contribution == "linear"
        for kind in ("gradient", "ablation"):
            torch.testing.assert_close(
                units.attribute(images, 1, contribution=kind),
                expected,
                rtol=1e-4,
                atol=1e-6,
            )

    def test_a_model_that_remembers_the_batch_size(self, images: Tensor) -> None:
        class Remembers(Headed):
            def forward(self, x: Tensor) -> Tensor:
                count = x.size(0)
                return self.head(self.maps(x).mean((2, 3)).view(count, -1))

        model = Remembers(None)
        units = LayerDissection(model, "maps")
        found = units.attribute(images, 1, contribution="ablation").sum((2, 3))
        torch.testing.assert_close(
            found, units.attribute(images, 1).sum((2, 3)), rtol=1e-4, atol=1e-6
        )

    def test_no_hook_remains_when_the_rest_fails(self, images: Tensor) -> None:
        def fails(model: Headed, x: Tensor) -> Tensor:
            assert x[:, 2].flatten(1).any(1).all(), "the third unit is needed"
            return pooled(model, x.relu())

        model = Headed(fails)
        with pytest.raises(AssertionError, match="the third unit is needed"):
            LayerDissection(model, "maps").attribute(
                images[:1], 0, contribution="ablation"
            )
        assert not any(
            module._forward_hooks or module._forward_pre_hooks
            for module in model.modules()
        )

    def test_features_and_other_inputs(self) -> None:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        units = LayerDissection(model, model[1])
        inputs = torch.randn(5, 3)
        found = units.attribute(inputs, 1, contribution="ablation")
        torch.testing.assert_close(
            found,
            units.attribute(inputs, 1, contribution="gradient"),
            rtol=1e-4,
            atol=1e-6,
        )

    def test_the_users_images_stay_as_they_are(self, images: Tensor) -> None:
        model = nn.Sequential(
            nn.Identity(), nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Flatten()
        )
        before, images = images.clone(), images - 0.5
        for kind in ("gradient", "ablation", "activation"):
            LayerDissection(model, "0").attribute(images, 0, contribution=kind)
            assert torch.equal(images, before - 0.5) and not images.requires_grad


class TestMasks:
    def test_the_images_own(self, net: ResNet18, images: Tensor) -> None:
        units = LayerDissection(net, "layer2")
        maps = units.attribute(images, 0, contribution="activation")
        kept = (
            units.attribute(
                images,
                0,
                contribution="activation",
                mask="image",
                image_quantile=0.25,
            )
            != 0
        )
        for image in range(3):
            for unit in range(8):
                values = maps[image, unit].flatten().sort(descending=True).values
                expected = maps[image, unit] > values[16]  # floor(0.25 * 64)
                assert torch.equal(
                    kept[image, unit], expected & (maps[image, unit] != 0)
                )

    def test_a_saturated_map(self) -> None:
        from nd_plugin.explain.unit_masks import active_cells, image_thresholds

        maps = torch.tensor(
            [
                [
                    [[6.0, 6, 6], [6, 1, 0], [0, 0, 0]],
                    [[0.0] * 3] * 3,
                    [[2.0] * 3] * 3,
                ]
            ]
        )
        kept = active_cells(maps, image_thresholds(maps, 0.2))
        assert kept[0, 0].tolist() == [
            [True] * 3,
            [True, False, False],
            [False] * 3,
        ]
        assert not kept[0, 1].any() and not kept[0, 2].any()

    def test_the_dissections(
        self, net: ResNet18, images: Tensor, dissection: Dissection
    ) -> None:
        from dataclasses import replace

        import numpy as np

        units = LayerDissection(net, "layer4")
        plain = units.attribute(images, 0)
        with pytest.raises(BadInput, match="no dissection: run dissect"):
            units.attribute(images, 0, mask="dissection")
        units.dissection = replace(dissection, layer="layer4")
        with pytest.raises(
            BadInput, match="the dissection has 5 units, and the layer has 32"
        ):
            units.attribute(images, 0, mask="dissection")
        levels = np.linspace(0, 2, 32)
        units.dissection = [
            dissection,
            replace(dissection, layer="layer4", thresholds=levels),
        ]
        found = units.attribute(images, 0, mask="dissection")
        maps = units.attribute(images, 0, contribution="activation")
        above = maps > torch.from_numpy(levels).float()[:, None, None]
        assert 0 < above.sum() < above.numel() and torch.equal(found, plain * above)
        assert torch.equal(units.attribute(images, 0), plain), (
            "without a mask nothing depends on it"
        )
        units.layer = "layer3"
        with pytest.raises(
            BadInput,
            match=r"no dissection of layer 'layer3': .dissection has block.1/relu, layer4",
        ):
            units.attribute(images, 0, mask="dissection")

    def test_what_cannot_be_masked(self, net: ResNet18, images: Tensor) -> None:
        units = LayerDissection(net, "layer4")
        with pytest.raises(
            BadInput, match="mask 'all' is none of none, dissection, image"
        ):
            units.attribute(images, 0, mask="all")
        with pytest.raises(BadInput, match="masks are defined on a layer's output"):
            units.attribute(images, 0, attribute_to_layer_input=True, mask="image")
        with pytest.raises(
            BadInput, match="image_quantile 2 is not between 0 and 1"
        ):
            units.attribute(images, 0, mask="image", image_quantile=2)


class Dicts(nn.Module):
    """A layer that gives a dict, a model that gives a dict, a module that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.conv = nn.Conv2d(3, 4, 3, 2)
        self.relu = nn.ReLU()
        self.table = Call(lambda x: {"plus": x, "minus": [-x, x + 1]})
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.relu(self.conv(x))
        table = self.table(x)
        x = self.relu(table["plus"] + table["minus"][0] / 2)
        return {"out": self.head(x.mean((2, 3))), "aux": x.sum((1, 2, 3))}


class TestWhereCaptumRaisesOrErrs:
    def test_dicts(self, images: Tensor) -> None:
        model = Dicts()
        units = LayerDissection(model, "conv")
        with pytest.raises(
            BadInput,
            match="a dict of tensors 'out', 'aux': the target must start with one of these keys",
        ):
            units.attribute(images, 1)
        found = units.attribute(images, ("out", 1))
        function = LayerGradientXActivation(lambda x: model(x)["out"], model.conv)
        torch.testing.assert_close(found, function.attribute(images, 1))
        assert units.attribute(images, "aux").shape == found.shape
        with pytest.raises(
            LayerAmbiguous,
            match=r"choose one: table\[plus\], table\[minus.0\], table\[minus.1\]",
        ):
            LayerDissection(model, "table").attribute(images, ("out", 1))
        plus, minus, unused = (
            LayerDissection(model, f"table[{entry}]").attribute(
                images, ("out", 1), grad_kwargs={"materialize_grads": True}
            )
            for entry in ("plus", "minus.0", "minus.1")
        )
        assert plus.any() and torch.allclose(minus, -plus / 2)
        assert not unused.any()

    def test_reused_modules(self, images: Tensor) -> None:
        model = Dicts()
        with pytest.raises(
            LayerAmbiguous,
            match="runs 2 times in one forward pass; choose one: relu#0, relu#1",
        ):
            LayerDissection(model, model.relu).attribute(images, ("out", 0))
        with pytest.raises(
            LayerNotFound,
            match="runs 2 times in one forward pass; its last run is relu#1",
        ):
            LayerDissection(model, "relu#2").attribute(images, ("out", 0))
        first, second = (
            LayerDissection(model, f"relu#{run}").attribute(images, ("out", 0))
            for run in (0, 1)
        )
        # the second relu gets half of what the first gave: all positive
        torch.testing.assert_close(first, second)
        assert not model.relu._forward_hooks

    def test_data_parallel_and_compiled(
        self, net: ResNet18, images: Tensor
    ) -> None:
        expected = LayerDissection(net, "layer3").attribute(images, 2)
        compiled = torch.compile(net, backend="eager")
        parallel = nn.DataParallel(net)
        for model in (
            compiled,
            parallel,
            torch.compile(parallel, backend="eager"),
            nn.DataParallel(compiled),
        ):
            for layer in ("layer3", "module.layer3", net.layer3):
                assert torch.equal(
                    LayerDissection(model, layer).attribute(images, 2), expected
                )

    def test_functions_texts_and_opened_models(
        self, net: ResNet18, images: Tensor
    ) -> None:
        expected = LayerDissection(net, "layer3").attribute(images, 2)
        assert torch.equal(
            LayerDissection(open_model(net), "layer3").attribute(images, 2),
            expected,
        )
        assert torch.equal(
            LayerDissection(lambda x: net(x), net.layer3).attribute(images, 2),
            expected,
        )
        assert torch.equal(
            LayerDissection(net.forward, "layer3").attribute(images, 2), expected
        )
        text = LayerDissection("networks:ResNet18?width=4", "layer4")
        assert (
            text.attribute(images, 2).shape == (3, 32, 2, 2)
            and text.contribution == "linear"
        )
        linear = LayerDissection(lambda x: net(x), net.layer4)
        linear.attribute(images, 2)
        assert linear.contribution == "linear"

    def test_modes_and_requirements_are_left_as_they_were(
        self, net: ResNet18, images: Tensor
    ) -> None:
        net.train()
        before = {name: value.clone() for name, value in net.state_dict().items()}
        for kind in (*KINDS, "activation"):
            LayerDissection(net, "layer4").attribute(images, 2, contribution=kind)
        assert net.training and all(module.training for module in net.modules())
        assert all(
            torch.equal(value, before[name])
            for name, value in net.state_dict().items()
        )
        with torch.inference_mode():
            inside = torch.rand(1, 3, 64, 64)
            assert LayerDissection(net, "layer3").attribute(inside, 2).shape == (
                1,
                16,
                4,
                4,
            )

    def test_a_layer_list_and_mixed_kinds(
        self, net: ResNet18, images: Tensor
    ) -> None:
        units = LayerDissection(net, ["layer3", net.layer4])
        first, second = units.attribute(images, 2)
        assert units.contribution == ["gradient", "linear"]
        assert first.shape == (3, 16, 4, 4) and second.shape == (3, 32, 2, 2)

    def test_a_model_that_fails_only_on_noise(self, images: Tensor) -> None:
        class One(Headed):
            def forward(self, x: Tensor) -> Tensor:
                assert len(x) == 3, "three images, please"
                return pooled(self, self.maps(x))

        units = LayerDissection(One(None), "maps")
        assert (
            units.attribute(images, 0).shape == (3, 6, 15, 15)
            and units.contribution == "gradient"
        )
        with pytest.raises(AssertionError, match="three images, please"):
            units.attribute(images[:1], 0)

    def test_a_backend_with_activations_alone(self, images: Tensor) -> None:
        class Bare:
            """A model as a third party's backend may have it."""

            def __init__(self, model: Any) -> None:
                self.probe, self.preprocess, self.identity = (
                    model.probe,
                    model.preprocess,
                    model.identity,
                )
                self.backend, self.device, self.notes, self.layers = (
                    "bare",
                    model.device,
                    (),
                    model.layers,
                )

        units = LayerDissection(Bare(open_model(Headed(pooled))), "maps")
        maps = units.attribute(images, contribution="activation")
        assert torch.allclose(maps, Headed(pooled).maps(images), atol=1e-6)
        with pytest.raises(BadInput, match=r"\(bare\).*; possible are activation"):
            units.attribute(images, 0)
        with pytest.raises(
            BadInput, match="the model has no gradients; possible are activation"
        ):
            units.attribute(images, 0, contribution="gradient")
        assert units.segment(images, [1, 2], mask="image").shape == (3, 2, 64, 64)
        assert units.to_input(maps, images).shape == (3, 6, 64, 64)
        with pytest.raises(BadInput, match="computes no outputs"):
            units.to_forward()
        with pytest.raises(
            BadInput,
            match="'guess' is none of auto, linear, gradient, ablation, activation",
        ):
            units.attribute(images, 0, contribution="guess")


def test_vision_transformers(images: Tensor) -> None:
    torch.manual_seed(0)
    model = ViT().eval()
    units = LayerDissection(model, "block1")
    by_gradient = units.attribute(images, 1)
    assert units.contribution == "gradient" and by_gradient.shape == (3, 69, 8)
    by_ablation = units.attribute(images, 1, contribution="ablation")
    outputs = model(images)[:, 1]

    def without(_: Any, __: Any, output: Tensor) -> Tensor:
        return output.index_fill(2, torch.tensor([3]), 0)

    handle = model.block1.register_forward_hook(without)
    lost = outputs - model(images)[:, 1]
    handle.remove()
    torch.testing.assert_close(
        by_ablation[:, :, 3].sum(1), lost.detach(), rtol=1e-4, atol=1e-5
    )
    batch_second = LayerDissection(ViT(batch_first=False).eval(), "block1")
    assert batch_second.attribute(images, 1, contribution="ablation").shape == (
        69,
        3,
        8,
    )


def test_forward_for_captums_other_methods(net: ResNet18, images: Tensor) -> None:
    forward = LayerDissection("networks:ResNet18?width=4", "layer4").to_forward()
    assert forward(images).shape == (3, 5)
    found = Occlusion(forward).attribute(
        images, (3, 32, 32), target=1, strides=(3, 32, 32)
    )
    assert found.shape == images.shape and found.abs().sum() > 0
    own = LayerDissection(net, "layer4").to_forward()
    expected = IntegratedGradients(net).attribute(images, target=1, n_steps=3)
    torch.testing.assert_close(
        IntegratedGradients(own).attribute(images, target=1, n_steps=3), expected
    )


class TestInTheImage:
    def test_receptive_fields_anchor_what_is_shown(self) -> None:
        model = nn.Sequential(
            nn.Conv2d(3, 1, 1, stride=32, bias=False),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        units = LayerDissection(model, "0")
        images = torch.zeros(1, 3, 128, 128)
        attributions = torch.zeros(1, 1, 4, 4)
        attributions[0, 0, 1, 2] = 1
        shown = units.to_input(attributions, images)
        assert shown.shape == (1, 1, 128, 128) and shown.argmax() == 32 * 128 + 64
        assert shown[0, 0, 48, 64] == 0.5, "half way to the next cell's centre"

    def test_segments_are_the_masks_that_dissect_counts(
        self, net: ResNet18
    ) -> None:
        units = LayerDissection(net, "layer2")
        found = units.dissect(
            "shapes?images=6&size=64",
            quantile=0.1,
            mask_size="64",
            limit=6,
            workers=0,
        )
        assert isinstance(found, Dissection)
        from nd_plugin import open_concepts, open_model

        concepts, how = (
            open_concepts("shapes?images=6&size=64"),
            open_model(net).preprocess.changed({}),
        )
        images = how.normalise(
            torch.stack([how.resize(concepts.image(index)) for index in range(6)])
        )
        masks = units.segment(images, range(8))
        assert masks.dtype == torch.bool and masks.shape == (6, 8, 224, 224)
        with pytest.raises(
            BadInput, match="no unit 8: layer 'layer2' has 8 units, numbered from 0"
        ):
            units.segment(images, 8)
        again = units.segment(images, 3, mask="dissection")
        assert torch.equal(again[:, 0], masks[:, 3])
        from nd_plugin.method.upsampling import upsample

        with open_model(net).probe(["layer2"], (224, 224)) as probe:
            maps, geometry = probe(images)["layer2"], probe.geometries["layer2"]
        expected = (
            upsample(maps, geometry, (224, 224), (224, 224))
            > torch.from_numpy(found.thresholds).float()[:, None, None]
        )
        assert torch.equal(masks, expected) and 0 < masks.float().mean() < 0.5
        with pytest.raises(BadInput, match="mask 'none' has no threshold"):
            units.segment(images, 0, mask="none")
