"""Forward passes with hooks: models of every state, which are as before afterwards."""

from __future__ import annotations

import networks
import pytest
import torch
from torch import Tensor, nn
from torch_maps import maps_of

from nd_plugin import ModelFailed, open_model


def hook_count(model: nn.Module) -> int:
    return sum(
        len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()
    )


@pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")
class TestCompiled:
    def test_a_wrapped_model(self, images: Tensor) -> None:
        model = networks.ResNet18().eval()
        expected = maps_of(model, "layer3", images)
        assert torch.equal(
            maps_of(torch.compile(model), "layer3", images), expected
        )

    def test_a_model_compiled_in_place(self, images: Tensor) -> None:
        model = networks.ResNet18().eval()
        expected = maps_of(model, "layer3", images)
        model.compile(backend="eager")
        model(images)  # compiled now: its graph would skip a hook added later
        assert torch.equal(maps_of(model, "layer3", images), expected)


class Merging(nn.Module):
    """Changes its weight with its mode, as LoRA and RepVGG layers do."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.merged = False

    def train(self, mode: bool = True) -> Merging:
        if mode == self.merged:
            self.weight.data += -1 if self.merged else 1
            self.merged = not self.merged
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


class TestRestored:
    def test_hooks_and_modes(self, images: Tensor) -> None:
        model = networks.ResNet18().train()
        model.layer1.eval()
        modes = [module.training for module in model.modules()]
        with open_model(model).probe(["layer1", "layer2"], (64, 64)) as probe:
            assert not any(module.training for module in model.modules())
            probe(images)
        assert [module.training for module in model.modules()] == modes
        assert hook_count(model) == 0
        assert torch.is_grad_enabled()

    def test_side_effects_of_modes(self) -> None:
        model = nn.Sequential(Merging()).train()
        with open_model(model).probe(["0"], (8, 8)):
            assert model[0].merged
        assert not model[0].merged
        assert model[0].weight.item() == 1

    def test_after_a_failure_in_the_model(self, images: Tensor) -> None:
        model = networks.ResNet18().train()
        opened = open_model(model)
        with (
            opened.probe(["layer4"], (64, 64)) as probe,
            pytest.raises(ModelFailed),
        ):
            probe(images[:, :2])
        with (
            pytest.raises(RuntimeError, match="mine"),
            opened.probe(["layer4"], (64, 64)),
        ):
            raise RuntimeError("mine")
        assert hook_count(model) == 0
        assert all(module.training for module in model.modules())

    def test_after_a_failure_that_does_not_come_again(self) -> None:
        run_count = 0

        def fail_once(x: Tensor) -> Tensor:
            nonlocal run_count
            run_count += 1
            # after the pass for the first operations, and the survey
            if run_count == 3:
                raise RuntimeError("out of memory")
            return x

        model = nn.Sequential(networks.Call(fail_once), nn.Identity())
        opened = open_model(model)
        failure = pytest.raises(ModelFailed, match="out of memory")
        with opened.probe(["1"], (8, 8)) as probe, failure:
            probe(torch.rand(1, 3, 8, 8))
        assert hook_count(model) == 0

    def test_the_pass_ends_after_the_deepest_layer(self, images: Tensor) -> None:
        model = networks.ResNet18().eval()
        ran: list[str] = []
        model.layer3.register_forward_hook(lambda *_: ran.append("layer3"))
        model.layer2.register_forward_hook(lambda *_: ran.append("layer2"))
        with open_model(model).probe(["layer2", "layer1"], (64, 64)) as probe:
            ran.clear()
            probe(images)
        assert ran == ["layer2"]

    def test_autocast_is_the_users(self, images: Tensor) -> None:
        model = networks.dilated().eval()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert maps_of(model, "1", images).dtype == torch.bfloat16
        assert maps_of(model, "1", images).dtype == torch.float32
