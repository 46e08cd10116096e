"""A linear classifier on a network's layers and their rotations, beside the layers' detectors."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from labelled_pictures import MODEL, VALUES, build, save_pictures
from onnx import helper
from small_models import model_of

from nd_plugin import Dissection, Identity, Settings, open_model
from nd_plugin.contracts.models import ModelOptions
from nd_plugin.errors import (
    BadInput,
    LayerNotFound,
    NonFiniteActivation,
    RunFailed,
    RunInvalid,
    Unreadable,
)
from nd_plugin.experiments.probing.discrimination import (
    Discrimination,
    LayerAccuracy,
    Rotations,
    discriminate,
)
from nd_plugin.experiments.probing.discrimination_files import (
    discrimination_content,
    load_discrimination,
    save_discrimination,
)
from nd_plugin.experiments.probing.labelled_images import find_labelled_images
from nd_plugin.experiments.probing.linear_svm import ClassAccuracy, SvmSettings
from nd_plugin.experiments.probing.object_detectors import match_networks
from nd_plugin.experiments.probing.pooled_features import pooled_features
from nd_plugin.probe_data.batches import Feed

pytest.importorskip("sklearn")


def probe(
    folder: Path, layers: tuple[str, ...] = ("0",), **options: Any
) -> Discrimination:
    model = open_model(options.pop("model", MODEL), ModelOptions("cpu"))
    preprocess = model.preprocess.changed(VALUES)
    return discriminate(
        model, layers, folder, preprocess=preprocess, workers=0, **options
    )


class TestAccuracies:
    def test_separable_classes_on_several_layers(self, tmp_path: Path) -> None:
        passes: list[tuple[str, int, int]] = []
        result = probe(
            save_pictures(tmp_path, {"train": 20, "test": 8}),
            ("0", "1"),
            progress=lambda *step: passes.append(step),
        )
        assert [layer.layer for layer in result.layers] == ["0", "1"]
        assert [layer.units for layer in result.layers] == [6, 6]
        assert all(layer.accuracy.mean == 1 for layer in result.layers)
        assert (result.train_images, result.test_images) == (60, 24)
        assert passes[-1] == ("features", 84, 84), "one pass for both layers"
        assert result.chance == pytest.approx(1 / 3)
        assert result.svm == SvmSettings(0.001, "layer"), "the paper's C"

    def test_classes_that_look_alike_are_guessed(self, tmp_path: Path) -> None:
        folder = save_pictures(
            tmp_path, {"train": 60, "test": 60}, same_colour=True
        )
        (layer,) = probe(folder).layers
        low, high = layer.accuracy.interval
        assert low < 1 / 3 < high

    def test_rotations_are_as_discriminative(self, tmp_path: Path) -> None:
        folder = save_pictures(tmp_path, {"train": 40, "test": 40}, noise=45)
        rotations = Rotations((0.5, 1.0), (0, 1, 2))
        result = probe(folder, ("0", "2"), rotations=rotations)
        for layer in result.layers:
            assert 0.5 < layer.accuracy.mean < 0.99, "neither chance nor certain"
            rows = [(item.alpha, item.seed) for item in layer.rotated]
            assert rows == [
                (alpha, seed) for alpha in (0.5, 1.0) for seed in (0, 1, 2)
            ]
            assert layer.is_as_discriminative
            assert layer.largest_difference < 0.03

    def test_a_rotation_that_loses_is_seen(self) -> None:
        good = ClassAccuracy((90, 90), (100, 100))
        poor = ClassAccuracy((60, 60), (100, 100))
        result = LayerAccuracy("x", 4, good)
        assert result.is_as_discriminative and result.largest_difference == 0
        rotated = replace(result, rotated=(rotation_of(poor),))
        assert not rotated.is_as_discriminative
        assert rotated.largest_difference == pytest.approx(0.3)

    def test_the_split_is_said(self, tmp_path: Path) -> None:
        result = probe(save_pictures(tmp_path, {"": 60}))
        assert any("has no splits" in note for note in result.notes)
        assert result.train_images + result.test_images == 180

    def test_an_unreadable_image_is_named(self, tmp_path: Path) -> None:
        folder = save_pictures(tmp_path, {"train": 5, "test": 3})
        (folder / "train" / "red" / "3.png").write_bytes(b"no picture")
        result = probe(folder)
        assert result.train_images == 14
        (note,) = [note for note in result.notes if "could not be read" in note]
        assert "1 image" in note and "train/red/3.png" in note
        with pytest.raises(Unreadable, match=r"train/red/3\.png"):
            probe(folder, settings=Settings(strict=True))

    def test_a_class_whose_tests_are_unreadable(self, tmp_path: Path) -> None:
        folder = save_pictures(tmp_path, {"train": 5, "test": 1})
        (folder / "test" / "blue" / "0.png").write_bytes(b"no picture")
        with pytest.raises(RunFailed, match="no test image of 'blue' can be read"):
            probe(folder)

    def test_unknown_layers_and_alphas(self, tmp_path: Path) -> None:
        folder = save_pictures(tmp_path, {"train": 2, "test": 2})
        with pytest.raises(LayerNotFound, match="conv9"):
            probe(folder, ("conv9",))
        with pytest.raises(BadInput, match="not between 0"):
            Rotations((1.5,))


def rotation_of(accuracy: ClassAccuracy) -> Any:
    from nd_plugin.experiments.probing.discrimination import RotatedAccuracy

    return RotatedAccuracy(1.0, 0, accuracy)


class TestFeatures:
    def feed(self, folder: Path, model: Any, batch_size: int) -> Feed:
        preprocess = model.preprocess.changed(VALUES)
        images = find_labelled_images(folder)
        return Feed.of(images, preprocess, Settings(), model.device, batch_size, 0)

    def test_features_are_averages_of_maps(self, tmp_path: Path) -> None:
        folder = save_pictures(tmp_path, {"train": 3, "test": 2}, noise=40)
        model = open_model(build(), ModelOptions("cpu"))
        feed = self.feed(folder, model, 4)
        features = pooled_features(model, ["1"], feed)
        assert features.images.tolist() == list(range(15)), (
            "in the order of the images"
        )
        network = build()
        for index in (0, 7, 14):
            pixels = feed.preprocess.resize(feed.concepts.image(index))
            maps = network[1](network[0](feed.preprocess.normalise(pixels[None])))
            expected = maps.detach().double().mean((2, 3))[0].numpy()
            # the order of float32 sums inside of a convolution
            np.testing.assert_allclose(
                features.by_layer["1"][index], expected, rtol=1e-5
            )

    def test_batches_do_not_matter(self, tmp_path: Path) -> None:
        folder = save_pictures(tmp_path, {"train": 3, "test": 2}, noise=40)
        model = open_model(build(), ModelOptions("cpu"))
        first = pooled_features(model, ["2"], self.feed(folder, model, 1))
        second = pooled_features(model, ["2"], self.feed(folder, model, 7))
        np.testing.assert_allclose(
            first.by_layer["2"], second.by_layer["2"], rtol=1e-5
        )

    def test_activations_that_are_not_finite_are_named(
        self, tmp_path: Path
    ) -> None:
        folder = save_pictures(tmp_path, {"train": 2, "test": 2})
        network = build()
        with torch.no_grad():
            network[0].bias[4] = float("nan")
        with pytest.raises(
            NonFiniteActivation, match=r"layer '0', unit 4, image t"
        ):
            probe(folder, model=network)

    def test_onnx_files_give_the_same(self, tmp_path: Path) -> None:
        folder = save_pictures(
            tmp_path / "pictures", {"train": 20, "test": 20}, noise=45
        )
        weights = build()[0]
        nodes = [
            helper.make_node("Conv", ["image", "w", "b"], ["maps"], name="conv")
        ]
        arrays = {
            "w": weights.weight.detach().numpy(),
            "b": weights.bias.detach().numpy(),
        }
        path = tmp_path / "net.onnx"
        onnx.save(model_of(nodes, arrays, ("N", 3, 16, 16)), path)
        of_onnx = probe(folder, ("maps",), model=str(path)).layers[0].accuracy
        of_torch = probe(folder, ("0",)).layers[0].accuracy
        # images at the margin may fall to either side
        assert abs(of_onnx.mean - of_torch.mean) < 0.04


class TestOnDisk:
    @pytest.fixture
    def result(self, tmp_path: Path) -> Discrimination:
        folder = save_pictures(
            tmp_path / "pictures", {"train": 6, "test": 4}, noise=60
        )
        return probe(folder, ("0", "2"), rotations=Rotations((1.0,), (0, 1)))

    def test_saved_accuracies_are_the_same(
        self, result: Discrimination, tmp_path: Path
    ) -> None:
        folder = tmp_path / "probe"
        save_discrimination(folder, result)
        content = json.dumps(discrimination_content(result))
        for source in (folder, folder / "probe.json"):
            loaded = load_discrimination(source)
            assert json.dumps(discrimination_content(loaded)) == content
        lines = (folder / "probe.csv").read_text().splitlines()
        assert lines[0] == "layer,units,alpha,seed,accuracy,low,high,overall"
        assert [line.split(",")[:4] for line in lines[1:4]] == [
            ["0", "6", "", ""],
            ["0", "6", "1.0", "0"],
            ["0", "6", "1.0", "1"],
        ]

    @pytest.mark.parametrize("text", ["{", '{"format": 1}', '{"format": 7}', "[]"])
    def test_damaged_files(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "probe.json").write_text(text)
        with pytest.raises(RunInvalid, match=r"probe\.json"):
            load_discrimination(tmp_path)

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(RunInvalid, match="is no result of nd probe"):
            load_discrimination(tmp_path)


class TestDetectors:
    def network(self, dissection: Dissection, name: str) -> Dissection:
        identity = Identity("Net", f"pkg:{name}", "1", f"print of {name}")
        provenance = replace(dissection.provenance, model=identity)
        return replace(dissection, provenance=provenance)

    def result(self, name: str, correct: int, layer: str) -> Discrimination:
        accuracy = ClassAccuracy((correct, correct), (100, 100))
        return Discrimination(
            # another path to the same weights
            model=Identity("Net", f"elsewhere:{name}", "1", f"print of {name}"),
            images=Identity("images", "pictures", "1", "abc"),
            classes=("a", "b"),
            train_images=10,
            test_images=200,
            svm=SvmSettings(),
            layers=(LayerAccuracy(layer, 5, accuracy),),
        )

    def test_layers_are_matched_by_weights(self, dissection: Dissection) -> None:
        layer = dissection.layer
        first = self.network(dissection, "a")
        weaker = dissection.intersection * [0, 0, 1, 1]  # no objects
        second = self.network(replace(dissection, intersection=weaker), "b")
        results = [self.result("b", 60, layer), self.result("a", 80, layer)]
        points = match_networks(results, [first, second]).points
        assert [(point.network, point.detectors) for point in points] == [
            ("elsewhere:b", 0),
            ("elsewhere:a", 1),
        ]
        assert [point.accuracy for point in points] == [0.6, 0.8]
        parts = match_networks(results, [first, second], "all").points
        assert [point.detectors for point in parts] == [1, 2]

    def test_correlation(self, dissection: Dissection) -> None:
        layer = dissection.layer
        networks = [self.network(dissection, name) for name in "abc"]
        blank = replace(networks[0], intersection=dissection.intersection * 0)
        results = [
            self.result(name, correct, layer)
            for name, correct in zip("abc", (50, 80, 70), strict=True)
        ]
        points = match_networks(results, [blank, *networks[1:]], "all")
        # of 0, 2, 2 detectors and 0.5, 0.8, 0.7
        assert points.pearson == pytest.approx(0.9449, abs=1e-4)
        assert points.spearman == pytest.approx(0.8660, abs=1e-4)
        assert match_networks(results, networks).pearson is None, "all are equal"
        assert match_networks(results[:2], networks).pearson is None, "two"

    def test_what_does_not_match_is_said(self, dissection: Dissection) -> None:
        layer = dissection.layer
        network = self.network(dissection, "a")
        results = [self.result("a", 80, layer), self.result("b", 70, layer)]
        (note,) = match_networks(results, [network]).notes
        assert f"left out: elsewhere:b {layer}" in note
        with pytest.raises(
            BadInput, match="no probed layer is dissected: probed are e"
        ):
            match_networks(results[1:], [network])
        with pytest.raises(BadInput, match="no probed layer"):
            match_networks([self.result("a", 80, "other")], [network])
        with pytest.raises(BadInput, match="'texture'; they have object, part"):
            match_networks(results, [network], "texture")

    def test_other_images_are_said(self, dissection: Dissection) -> None:
        layer = dissection.layer
        networks = [self.network(dissection, name) for name in "ab"]
        first, second = (self.result(name, 80, layer) for name in "ab")
        second = replace(second, images=Identity("images", "other", "1", "def"))
        (note,) = match_networks([first, second], networks).notes
        assert "accuracies do not compare" in note
