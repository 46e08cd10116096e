"""Layers of two models matched by name, and by order, shape and values where names differ."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from nd_plugin import BadInput, Settings, open_concepts, open_model
from nd_plugin.experiments import layer_matching
from nd_plugin.experiments.alignment import align
from nd_plugin.experiments.layer_choice import LayerChoice, LayerChooser
from nd_plugin.experiments.pair_preprocess import pair_preprocess
from nd_plugin.probe_data.batches import Feed

SIZE = (24, 24)
CONCEPTS = "shapes?images=2&size=32"


class Plain(nn.Module):
    """Convolution, BatchNorm and activation, twice; each module by its own name."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(8)
        self.act1 = nn.ReLU()
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(8)
        self.act2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.act1(self.bn1(self.conv1(x)))
        return self.act2(self.bn2(self.conv2(x)))  # type: ignore[no-any-return]


class Folded(nn.Module):
    """Modules of `Plain` under chosen names, each BatchNorm folded into its convolution."""

    def __init__(self, plain: Plain, names: Sequence[str]) -> None:
        super().__init__()
        modules = [
            fuse_conv_bn_eval(plain.conv1, plain.bn1),
            nn.ReLU(),
            fuse_conv_bn_eval(plain.conv2, plain.bn2),
            nn.ReLU(),
        ]
        self.order = list(names)
        for name, module in zip(names, modules, strict=True):
            self.add_module(name, module)

    def forward(self, x: Tensor) -> Tensor:
        for name in self.order:
            x = self.get_submodule(name)(x)
        return x


class Branches(nn.Module):
    """Two branches that meet, run in either order."""

    def __init__(self, names: tuple[str, str, str], *, swapped: bool) -> None:
        super().__init__()
        self.names = names
        self.swapped = swapped
        generator = torch.Generator().manual_seed(5)
        for name in names:
            conv = nn.Conv2d(3, 8, 3, padding=1)
            nn.init.normal_(conv.weight, generator=generator)
            nn.init.normal_(conv.bias, generator=generator)  # type: ignore[arg-type]
            self.add_module(name, conv)

    def forward(self, x: Tensor) -> Tensor:
        order = self.names[::-1] if self.swapped else self.names
        values = {name: self.get_submodule(name)(x) for name in order}
        x, y, z = (values[name] for name in self.names)
        return x + y + z  # type: ignore[no-any-return]


@pytest.fixture
def plain() -> Plain:
    torch.manual_seed(0)
    model = Plain()
    for norm in (model.bn1, model.bn2):
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
        nn.init.normal_(norm.running_mean)  # type: ignore[arg-type]
    return model.eval()


def chooser(first: Any, second: Any, size: tuple[int, int] = SIZE) -> LayerChooser:
    models = open_model(first), open_model(second)
    how = pair_preprocess(models[0].preprocess, models[1].preprocess, {}, size)
    device = models[0].device
    feed = Feed.of(open_concepts(CONCEPTS), how, Settings(), device, 2, 0)
    return LayerChooser(*models, feed)


def chosen(first: Any, second: Any, *texts: str) -> LayerChoice:
    return chooser(first, second).choose(texts)


def names(choice: LayerChoice) -> list[tuple[str, str]]:
    return [match.names for match in choice.matches]


class TestAllLayers:
    def test_of_the_same_names(self, plain: Plain) -> None:
        choice = chosen(plain, plain)
        assert names(choice) == [
            (name, name)
            for name in ("conv1", "bn1", "act1", "conv2", "bn2", "act2")
        ]
        assert {match.by for match in choice.matches} == {"name"}
        assert choice.notes == ()

    def test_of_other_names_where_batchnorms_are_folded(self, plain: Plain) -> None:
        choice = chosen(Folded(plain, "abcd"), plain)
        assert names(choice) == [
            ("a", "bn1"),
            ("b", "act1"),
            ("c", "bn2"),
            ("d", "act2"),
        ]
        assert {match.by for match in choice.matches} == {"order and shape"}
        assert choice.second_only == ("conv1", "conv2")
        by_order, unmatched = choice.notes
        assert by_order.startswith(
            "4 layers are compared under two names, matched by order"
        )
        assert "a=bn1, b=act1, c=bn2 and 1 more" in by_order
        assert unmatched == (
            "2 layers of ORIGIN without a counterpart in MODEL, not compared: conv1, conv2"
        )

    def test_a_name_that_means_another_value_gives_way(self, plain: Plain) -> None:
        """The export's conv1 is what the origin has behind its BatchNorm."""
        choice = chosen(Folded(plain, ["conv1", "act1", "conv2", "act2"]), plain)
        assert names(choice) == [
            ("conv1", "bn1"),
            ("act1", "act1"),
            ("conv2", "bn2"),
            ("act2", "act2"),
        ]

    def test_so_does_a_name_whose_value_is_nearly_the_same(
        self, plain: Plain
    ) -> None:
        for norm in (plain.bn1, plain.bn2):
            nn.init.constant_(norm.weight, 1.2)
            nn.init.constant_(norm.bias, 0.01)
            nn.init.constant_(norm.running_mean, 0)  # type: ignore[arg-type]
        folded = Folded(plain, ["conv1", "act1", "conv2", "act2"])
        assert ("conv1", "bn1") in names(chosen(folded, plain))

    def test_a_name_that_stands_for_a_layer_that_is_compared_is_left_out(
        self, plain: Plain
    ) -> None:
        """The export has one value under both names, as torch.onnx's exporters record them."""
        layers = ["conv1", "bn1", "act1", "conv2", "bn2", "act2"]
        folded = [
            fuse_conv_bn_eval(plain.conv1, plain.bn1),
            nn.Identity(),
            nn.ReLU(),
            fuse_conv_bn_eval(plain.conv2, plain.bn2),
            nn.Identity(),
            nn.ReLU(),
        ]
        export = nn.Sequential(OrderedDict(zip(layers, folded, strict=True)))
        for pair in ((export.eval(), plain), (plain, export.eval())):
            choice = chosen(*pair)
            assert names(choice) == [
                (name, name) for name in ("bn1", "act1", "bn2", "act2")
            ]
            assert choice.first_only == choice.second_only == ()
            (note,) = choice.notes
            assert note.startswith(
                "2 layers are not compared: in one model the name"
            )
            assert "conv1, conv2" in note
            assert names(chosen(*pair, "conv1")) == [("conv1", "conv1")]

    def test_of_other_weights_go_by_name(self, plain: Plain) -> None:
        torch.manual_seed(1)
        other = Plain().eval()
        assert [
            first == second for first, second in names(chosen(plain, other))
        ] == [True] * 6

    def test_of_other_names_and_weights_go_by_kind(self, plain: Plain) -> None:
        torch.manual_seed(1)
        other = Folded(Plain().eval(), "abcd")
        assert [second for _, second in names(chosen(plain, other))] == list("abcd")

    @pytest.mark.parametrize("second_names", [("x", "y", "z"), ("k", "l", "m")])
    def test_of_branches_that_run_in_another_order(
        self, second_names: tuple[str, str, str]
    ) -> None:
        first = Branches(("x", "y", "z"), swapped=False)
        second = Branches(second_names, swapped=True)
        pairs = list(zip("xyz", second_names, strict=True))
        assert names(chosen(first, second)) == pairs

    def test_in_small_chunks_are_the_same(
        self, plain: Plain, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(layer_matching, "GROUP_BYTES", 1)
        assert len(chosen(Folded(plain, "abcd"), plain).matches) == 4

    def test_without_a_common_one_are_refused(self) -> None:
        first = nn.Sequential(nn.Conv2d(3, 5, 3))
        second = nn.Sequential(nn.Conv2d(3, 6, 3))
        with pytest.raises(
            BadInput, match="have no layer in common, neither by name"
        ):
            chosen(first.eval(), second.eval())


class TestSomeLayers:
    def test_a_name_of_one_model_is_matched(self, plain: Plain) -> None:
        folded = Folded(plain, "abcd")
        assert names(chosen(folded, plain, "a,d")) == [("a", "bn1"), ("d", "act2")]
        assert names(chosen(folded, plain, "act1")) == [("b", "act1")]
        assert (
            "1 layer is compared under two names"
            in chosen(folded, plain, "a").notes[0]
        )

    def test_a_name_of_both_is_that_layer(self, plain: Plain) -> None:
        """What is asked for by name is compared, whatever it means."""
        folded = Folded(plain, ["conv1", "act1", "conv2", "act2"])
        choice = chosen(folded, plain, "conv1")
        assert names(choice) == [("conv1", "conv1")] and not choice.notes

    def test_a_pattern_takes_common_layers(self, plain: Plain) -> None:
        folded = Folded(plain, ["conv1", "r1", "conv2", "r2"])
        assert names(chosen(folded, plain, "r?", "conv1=conv2")) == [
            ("r1", "act1"),
            ("r2", "act2"),
            ("conv1", "conv2"),
        ]
        with pytest.raises(BadInput, match=r"no layer matches 'x\*' among 4"):
            chosen(folded, plain, "x*")

    def test_one_that_is_named_twice_is_compared_once(self, plain: Plain) -> None:
        assert names(chosen(plain, plain, "act1", "act*")) == [
            ("act1", "act1"),
            ("act2", "act2"),
        ]

    def test_a_name_without_counterpart_is_refused(self, plain: Plain) -> None:
        wider = nn.Sequential(nn.Conv2d(3, 9, 3)).eval()
        message = (
            "layer '0' of MODEL has no counterpart in ORIGIN.* ORIGIN has conv1"
        )
        with pytest.raises(BadInput, match=message):
            chosen(wider, plain, "0")


def test_large_maps_make_small_batches(plain: Plain) -> None:
    many = chooser(plain, plain)
    choice = many.choose(())
    assert many.batch_size(choice) == 24
    stages = [nn.Conv2d(3, 64, 1), *(nn.Conv2d(64, 64, 1) for _ in range(11))]
    model = nn.Sequential(*stages).eval()
    wide = chooser(model, model, (512, 512))
    choice = LayerChoice(
        tuple(
            layer_matching.LayerMatch(str(index), str(index), "name")
            for index in range(len(stages))
        )
    )
    # 12 layers of two models, each of 64 maps of 512 x 512 float32: 1.5 GiB an image
    assert wide.batch_size(choice) == 1


@pytest.mark.parametrize("seed", range(20))
def test_alignments_are_the_best_ones(seed: int) -> None:
    """Against all alignments of small score tables, most of whose cells are 0."""
    random = np.random.default_rng(seed)
    scores = random.random((4, 5)) * (random.random((4, 5)) < 0.5)
    pairs = sorted(align(scores))
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(pairs))
    assert all(scores[row, column] > 0 for row, column in pairs)
    total = sum(scores[row, column] for row, column in pairs)
    sums = [
        scores[list(rows), list(columns)].sum()
        for count in range(5)
        for rows in combinations(range(4), count)
        for columns in combinations(range(5), count)
    ]
    assert total == pytest.approx(max(sums))
