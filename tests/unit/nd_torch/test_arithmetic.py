"""Arithmetic of passes: the chosen precision, the user's settings as before, and what is said."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import networks
import pytest
import torch
from noise_set import Noise
from torch import Tensor, nn

from nd_plugin import (
    ONE_AT_A_TIME,
    BadInput,
    Dissection,
    LayerDissection,
    ModelFailed,
    ModelOptions,
    Unavailable,
    open_model,
)
from nd_torch import float32_settings
from nd_torch.arithmetic import Arithmetic
from nd_torch.float32_settings import EXACT, TF32, float32_as

CPU = torch.device("cpu")
SIZE = (64, 64)
NAMESPACES = float32_settings.NAMESPACES
has_newer_interface = pytest.mark.skipif(
    not hasattr(torch.backends, "fp32_precision"), reason="torch before 2.9"
)


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, 2),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 5),
    ).eval()


def maps(network: nn.Module, images: Tensor, precision: str | None) -> Tensor:
    model = open_model(network, ModelOptions(precision=precision))
    with model.probe(["3"], SIZE) as probe:
        return probe(images)["3"]


def notes(network: Any, precision: str | None = None) -> tuple[str, ...]:
    return open_model(network, ModelOptions(precision=precision)).notes


def computed(network: Any, precision: str | None = None) -> str:
    model = open_model(network, ModelOptions(precision=precision))
    return str(model.compute_precision)  # type: ignore[attr-defined]


class TestMaps:
    @pytest.mark.parametrize("precision", ["bfloat16", "float16"])
    def test_of_half_precision_are_those_of_an_autocast_in_float32(
        self, network: nn.Module, images: Tensor, precision: str
    ) -> None:
        images_as_in_a_probe = images.contiguous(memory_format=torch.channels_last)
        with torch.no_grad(), torch.autocast("cpu", getattr(torch, precision)):
            expected = network[:4](images_as_in_a_probe)
        assert expected.dtype == getattr(torch, precision)
        actual = maps(network, images, precision)
        assert actual.dtype == torch.float32
        assert actual.equal(expected.float())
        assert not actual.equal(maps(network, images, "float32"))

    def test_without_a_choice_are_float32(
        self, network: nn.Module, images: Tensor
    ) -> None:
        plain = maps(network, images, None)
        assert plain.dtype == torch.float32
        assert plain.equal(maps(network, images, "float32"))

    @pytest.mark.parametrize("precision", ["bfloat16", "float16"])
    def test_may_differ_by_their_rounding_between_batches(
        self, precision: str
    ) -> None:
        """Images are not run one at a time for it, and nothing is called random."""
        torch.manual_seed(0)
        model = open_model(
            networks.ResNet18(width=8).eval(), ModelOptions(precision=precision)
        )
        with model.probe(["layer4"], SIZE) as probe:
            assert ONE_AT_A_TIME not in probe.notes  # type: ignore[attr-defined]
            assert not probe.unreliable  # type: ignore[attr-defined]

    def test_of_several_layers_are_copies(
        self, network: nn.Module, images: Tensor
    ) -> None:
        """A later operation in place does not reach them, though they were cast."""
        network[1] = nn.ReLU(inplace=True)
        model = open_model(network, ModelOptions(precision="bfloat16"))
        with model.probe(["0", "1", "3"], SIZE) as probe:
            before = probe(images)["0"]
        assert before.dtype == torch.float32 and bool((before < 0).any())

    def test_of_a_forward_function(
        self, network: nn.Module, images: Tensor
    ) -> None:
        def forward(x: Tensor) -> Tensor:
            return network(x)

        model = open_model(forward, ModelOptions(precision="bfloat16"))
        with model.probe([network[3]], SIZE) as probe:
            (actual,) = probe(images).values()
        assert actual.equal(maps(network, images, "bfloat16"))


class TestWeightsOfOtherTypes:
    @pytest.mark.parametrize("precision", [None, "float32", "float16", "bfloat16"])
    def test_decide_and_it_is_said(
        self, network: nn.Module, images: Tensor, precision: str | None
    ) -> None:
        half = network.bfloat16()
        assert computed(half, precision) == "bfloat16"
        expected = ["the weights are bfloat16, which decides the precision"]
        if precision in ("float32", "float16"):
            expected.append(
                f"precision {precision} has no effect on weights of bfloat16"
            )
        assert list(notes(half, precision)) == expected
        # the type of a layer's own output, as without a choice
        assert maps(half, images, precision).dtype == torch.bfloat16

    def test_double_needs_no_note(self, network: nn.Module) -> None:
        double = network.double()
        assert computed(double) == "float64" and notes(double) == ()
        assert notes(double, "bfloat16") == (
            "precision bfloat16 has no effect on weights of float64",
        )

    def test_a_network_without_weights_takes_any(self, images: Tensor) -> None:
        assert computed(nn.Sequential(nn.ReLU()), "bfloat16") == "bfloat16"


class TestLiveAutocast:
    def test_is_the_users_choice_and_is_said(
        self, network: nn.Module, images: Tensor
    ) -> None:
        with torch.autocast("cpu", torch.bfloat16):
            assert computed(network) == "bfloat16"
            assert notes(network) == (
                "a live torch.autocast: the model computes in bfloat16; "
                "for full float32, choose precision float32",
            )
            assert maps(network, images, None).dtype == torch.bfloat16
        assert computed(network) == "float32" and notes(network) == ()

    def test_ends_where_float32_is_chosen(
        self, network: nn.Module, images: Tensor
    ) -> None:
        expected = maps(network, images, "float32")
        with torch.autocast("cpu", torch.bfloat16):
            assert maps(network, images, "float32").equal(expected)
            assert computed(network, "float32") == "float32"
            assert notes(network, "float32") == (
                "a live torch.autocast to bfloat16 is off during the model's passes: "
                "precision float32 was chosen",
            )
            assert torch.is_autocast_enabled("cpu")
            assert torch.get_autocast_dtype("cpu") == torch.bfloat16
            assert notes(network, "bfloat16") == ()

    def test_stays_around_attributions(
        self, network: nn.Module, images: Tensor
    ) -> None:
        """Inputs may have been cast for it: they do not fit the weights without."""
        model = open_model(network, ModelOptions(precision="float32"))
        with torch.autocast("cpu", torch.bfloat16):
            outputs = model.outputs(images.bfloat16())  # type: ignore[attr-defined]
        assert outputs.dtype == torch.bfloat16

    def test_stands_in_the_result(self) -> None:
        units = LayerDissection(networks.dilated().eval(), "1")
        with torch.autocast("cpu", torch.bfloat16):
            live = units.dissect(Noise(), workers=0)
            chosen = units.dissect(Noise(), precision="float32", workers=0)
        assert isinstance(live, Dissection) and isinstance(chosen, Dissection)
        assert live.provenance.precision == "bfloat16"
        assert chosen.provenance.precision == "float32"
        assert any("a live torch.autocast:" in note for note in live.notes)
        assert any("is off during" in note for note in chosen.notes)


class TestRefused:
    def test_tf32_on_a_cpu(self, network: nn.Module) -> None:
        with pytest.raises(Unavailable) as refused:
            open_model(network, ModelOptions(precision="tf32"))
        assert refused.value.exit_code == 3
        assert str(refused.value) == (
            "precision 'tf32' is of NVIDIA GPUs, and the model runs on cpu: choose float32"
        )

    def test_tf32_on_a_gpu_without(self, monkeypatch: pytest.MonkeyPatch) -> None:
        gpu = torch.device("cuda:1")
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Tesla T4")
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
        with pytest.raises(
            Unavailable, match=r"Tesla T4 has no TF32 \(compute capability 7\.5"
        ):
            Arithmetic(gpu, chosen="tf32")
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
        assert Arithmetic(gpu, chosen="tf32").precision == "tf32"

    def test_half_precision_without_an_autocast(self) -> None:
        with pytest.raises(BadInput, match="torch has no autocast on meta"):
            Arithmetic(torch.device("meta"), chosen="float16")

    def test_what_is_no_precision(self) -> None:
        with pytest.raises(
            BadInput,
            match="precision 'fp16' is none of float32, tf32, float16, bfloat16",
        ):
            ModelOptions(precision="fp16")


class TestAttributions:
    @pytest.mark.parametrize("contribution", ["auto", "gradient", "ablation"])
    def test_have_the_precision_of_the_model(
        self, network: nn.Module, images: Tensor, contribution: str
    ) -> None:
        model = open_model(network, ModelOptions(precision="bfloat16"))
        assert model.outputs(images).dtype == torch.float32  # type: ignore[attr-defined]

        def contributions(forward: Any) -> Tensor:
            """Contributions of the units, (image, unit)."""
            units = LayerDissection(forward, "3")
            result = units.attribute(images, target=1, contribution=contribution)
            assert isinstance(result, Tensor)
            return result.float().sum((2, 3))

        difference = contributions(model) - contributions(network)
        # of seven bits of a mantissa: an ablation is a difference of two outputs
        bound = 2**-6 * float(network(images).detach().abs().max())
        assert 0 < float(difference.abs().max()) < bound

    def test_outputs_of_any_structure_are_float32(self, images: Tensor) -> None:
        class Several(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = nn.Conv2d(3, 4, 3)

            def forward(self, x: Tensor) -> dict[str, Any]:
                y = self.layer(x)
                return {"maps": y, "means": [y.mean((2, 3)), 3]}

        model = open_model(Several().eval(), ModelOptions(precision="bfloat16"))
        outputs = model.outputs(images)  # type: ignore[attr-defined]
        assert outputs["maps"].dtype == outputs["means"][0].dtype == torch.float32
        assert outputs["means"][1] == 3


def values() -> dict[str, Any]:
    """Return all settings of float32, as the newer interface has them."""
    found = {}
    for name in NAMESPACES:
        found[name] = float32_settings._namespace(name).fp32_precision
    return found


def older_values() -> tuple[Any, ...]:
    cudnn = torch.backends.cudnn.allow_tf32
    return cudnn, torch.get_float32_matmul_precision()


@pytest.fixture
def settings_as_before() -> Iterator[None]:
    yield
    torch.set_float32_matmul_precision("highest")
    for name in NAMESPACES:
        float32_settings._namespace(name).fp32_precision = "none"
    # the older interface reads it only if it agrees with the newer
    torch.backends.cudnn.allow_tf32 = True


def set_newer(name: str, value: str) -> Callable[[], None]:
    return lambda: setattr(
        float32_settings._namespace(name), "fp32_precision", value
    )


USERS_SETTINGS: dict[str, Callable[[], None]] = {
    "none": lambda: None,
    "convolutions in float32": lambda: setattr(
        torch.backends.cudnn, "allow_tf32", False
    ),
    "high": lambda: torch.set_float32_matmul_precision("high"),
    "medium": lambda: torch.set_float32_matmul_precision("medium"),
    "all tf32": set_newer("", "tf32"),
    "all ieee": set_newer("", "ieee"),
    "cudnn ieee": set_newer("cudnn", "ieee"),
    "products tf32": set_newer("cuda.matmul", "tf32"),
    "recurrent ieee": set_newer("cudnn.rnn", "ieee"),
    "oneDNN bf16": set_newer("mkldnn.conv", "bf16"),
}


@has_newer_interface
@pytest.mark.usefixtures("settings_as_before")
class TestSettings:
    @pytest.mark.parametrize("form", [EXACT, TF32])
    @pytest.mark.parametrize("choice", list(USERS_SETTINGS))
    def test_hold_for_all_operations_and_are_restored(
        self, choice: str, form: str
    ) -> None:
        USERS_SETTINGS[choice]()
        before = values()
        with float32_as(form):
            assert set(values().values()) == {form}
        assert values() == before
        failure = RuntimeError("a failure in the pass")
        with pytest.raises(RuntimeError, match="in the pass"), float32_as(form):
            raise failure
        assert values() == before

    @pytest.mark.parametrize("choice", ["none", "high", "medium"])
    def test_of_the_older_interface_can_still_be_read(self, choice: str) -> None:
        USERS_SETTINGS[choice]()
        before = older_values()
        with float32_as(EXACT):
            pass
        assert older_values() == before

    def test_that_are_inherited_stay_inherited(self) -> None:
        """Nothing is fixed that followed a namespace above: it goes on to follow."""
        with float32_as(TF32):
            pass
        torch.backends.fp32_precision = "ieee"  # type: ignore[attr-defined]
        assert torch.backends.cuda.matmul.fp32_precision == "ieee"
        torch.backends.fp32_precision = "tf32"  # type: ignore[attr-defined]
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"

    @pytest.mark.parametrize("fails", [False, True])
    @pytest.mark.parametrize("precision", [None, "float32", "bfloat16"])
    def test_surround_the_passes_only(
        self,
        network: nn.Module,
        images: Tensor,
        precision: str | None,
        fails: bool,
    ) -> None:
        torch.set_float32_matmul_precision("high")
        before = values()
        inside: list[dict[str, Any]] = []

        def look(*_: Any) -> None:
            inside.append(values())
            if fails and len(inside) > 1:
                raise ValueError("a failure in a layer")

        model = open_model(network, ModelOptions(precision=precision))
        with model.probe(["3"], SIZE) as probe:
            network[0].register_forward_hook(look)
            assert values() == before
            probe(images)
            if fails:
                with pytest.raises(ModelFailed, match="a failure in a layer"):
                    probe(images)
            assert values() == before
            assert not torch.is_autocast_enabled("cpu")
        assert values() == before
        for setting in inside:
            assert set(setting.values()) == {EXACT}

    def test_hold_in_surveys_too(self, network: nn.Module) -> None:
        torch.set_float32_matmul_precision("medium")
        before = values()
        inside: list[Any] = []
        network[0].register_forward_hook(lambda *_: inside.append(values()))
        model = open_model(network)
        inside.clear()
        model.layers(SIZE)
        with model.probe(["3"], SIZE):
            pass
        assert len(inside) > 2
        assert {value for each in inside for value in each.values()} == {EXACT}
        assert values() == before


@pytest.mark.parametrize("form", [EXACT, TF32])
@pytest.mark.parametrize(
    ("convolutions", "products"),
    list(itertools.product([False, True], ["highest", "high", "medium"])),
)
@pytest.mark.usefixtures("settings_as_before")
@has_newer_interface
def test_settings_of_torch_before_2_9(
    convolutions: bool, products: str, form: str
) -> None:
    torch.backends.cudnn.allow_tf32 = convolutions
    torch.set_float32_matmul_precision(products)
    before = older_values()
    with ExitStack() as stack:
        float32_settings._change_older(form, stack)
        expected = (True, "high") if form == TF32 else (False, "highest")
        assert older_values() == expected
    assert older_values() == before
