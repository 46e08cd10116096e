"""Probing: batches against single images, whose the maps are, and what of the graph is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import onnx_files
import pytest
import torch

from nd_onnxruntime.graph import Graph
from nd_onnxruntime.subgraph import extract_subgraph
from nd_plugin import Dissection, LayerDissection, open_model

SIZE = (32, 32)
ONE_AT_A_TIME = (
    "outputs depend on the rest of the batch; images were run one at a time"
)


def images_of(path: Path, count: int = 4) -> torch.Tensor:
    return torch.from_numpy(onnx_files.draw_images(path, count))


class TestBatches:
    @pytest.mark.parametrize(
        "make",
        [
            onnx_files.dynamic_batch,
            onnx_files.fixed_batch,
            onnx_files.fixed_batch_inside,
            onnx_files.fixed_batch_folded,
            onnx_files.mixing_batch,
            onnx_files.scalar_output,
        ],
    )
    def test_are_what_their_images_are_alone(
        self, make: Any, tmp_path: Path
    ) -> None:
        path = make(tmp_path)
        images = images_of(path)
        expected = torch.from_numpy(
            onnx_files.inner_values(path, images.numpy(), ["relu2"])["relu2"]
        )
        with open_model(str(path)).probe(["relu2"], SIZE) as probe:
            for batch in (slice(0, 4), slice(0, 1), slice(1, 4)):
                found = probe(images[batch])["relu2"]
                assert found.shape == expected[batch].shape
                torch.testing.assert_close(
                    found, expected[batch], rtol=0, atol=1e-5
                )

    def test_that_mix_their_images_are_said_to_in_the_result(
        self, tmp_path: Path
    ) -> None:
        mixing, apart = (
            onnx_files.mixing_batch(tmp_path),
            onnx_files.dynamic_batch(tmp_path),
        )
        run: Any = {"batch_size": 4, "workers": 0, "quantile": 0.1}
        notes = []
        for path in (mixing, apart):
            found = LayerDissection(str(path), "relu2").dissect(
                "shapes?images=6&size=32", **run
            )
            assert isinstance(found, Dissection)
            notes.append(found.provenance.notes)
        assert ONE_AT_A_TIME in notes[0] and ONE_AT_A_TIME not in notes[1]

    def test_before_the_mixing_go_together(self, tmp_path: Path) -> None:
        path = onnx_files.mixing_batch(tmp_path)
        with open_model(str(path)).probe(["relu1"], SIZE) as probe:
            assert getattr(probe, "notes", None) == ()

    def test_with_one_layer_that_mixes_are_run_one_by_one_for_all(
        self, tmp_path: Path
    ) -> None:
        path = onnx_files.mixing_batch(tmp_path)
        images = images_of(path)
        with open_model(str(path)).probe(["relu1", "relu2"], SIZE) as probe:
            found = probe(images)
            assert getattr(probe, "notes", None) == (ONE_AT_A_TIME,)
        assert {layer: tuple(maps.shape) for layer, maps in found.items()} == {
            "relu1": (4, 8, 32, 32),
            "relu2": (4, 12, 8, 8),
        }


class TestMaps:
    @pytest.mark.parametrize(
        ("make", "layer"),
        [
            (onnx_files.dynamic_batch, "relu2"),
            (onnx_files.nhwc, "relu2_nhwc"),
            (onnx_files.tokens, "tokens"),
            (onnx_files.fixed_batch_inside, "relu2"),
            (onnx_files.dynamic_batch, "logits"),
        ],
    )
    def test_are_the_callers_own(
        self, make: Any, layer: str, tmp_path: Path
    ) -> None:
        """Later batches, of other sizes too, change nothing; nor do changes to the images."""
        path = make(tmp_path)
        images = images_of(path)
        with open_model(str(path)).probe([layer], SIZE) as probe:
            first = probe(images)[layer]
            copy = first.clone()
            later_maps = [probe(1 - images)[layer], probe(images[:1] / 2)[layer]]
            images.zero_()
            assert torch.equal(first, copy)
            first.zero_()
            assert all(bool(maps.any()) for maps in later_maps)
        assert first.is_contiguous() and not first.requires_grad

    def test_stay_when_the_probe_is_closed(self, tmp_path: Path) -> None:
        path = onnx_files.dynamic_batch(tmp_path)
        with open_model(str(path)).probe(["relu2"], SIZE) as probe:
            found = probe(images_of(path))["relu2"]
        del probe
        expected = onnx_files.inner_values(
            path, images_of(path).numpy(), ["relu2"]
        )["relu2"]
        torch.testing.assert_close(
            found, torch.from_numpy(expected), rtol=0, atol=1e-5
        )

    def test_of_images_that_are_not_contiguous(self, tmp_path: Path) -> None:
        path = onnx_files.dynamic_batch(tmp_path)
        images = images_of(path)
        with open_model(str(path)).probe(["relu2"], SIZE) as probe:
            expected = probe(images)["relu2"]
            assert torch.equal(
                probe(images.contiguous(memory_format=torch.channels_last))[
                    "relu2"
                ],
                expected,
            )
            assert torch.equal(
                probe(images.flip(0).flip(0).mT.contiguous().mT)["relu2"], expected
            )

    def test_come_in_the_order_asked_for(self, tmp_path: Path) -> None:
        path = onnx_files.branches(tmp_path)
        layers = ["gated", "conv1", "squeezed", "wide", "relu1"]
        with open_model(str(path)).probe(layers, SIZE) as probe:
            assert (
                list(probe(images_of(path)))
                == layers
                == list(probe.layers)
                == list(probe.geometries)
            )


class TestSubgraphs:
    def test_hold_what_the_layer_needs_and_no_more(self, tmp_path: Path) -> None:
        model = onnx.load(onnx_files.branches(tmp_path))
        graph = Graph(model)
        subgraph = extract_subgraph(graph, ["narrow"], graph.inputs)
        assert [node.output[0] for node in subgraph.graph.node] == [
            "conv1",
            "relu1",
            "narrow",
        ]
        assert {tensor.name for tensor in subgraph.graph.initializer} == {
            "conv1.weight", "conv1.bias", "narrow.weight", "narrow.bias",
        }  # fmt: skip
        assert (subgraph.ir_version, list(subgraph.opset_import)) == (
            model.ir_version,
            list(model.opset_import),
        )
        assert [output.name for output in subgraph.graph.output] == ["narrow"]

    def test_hold_what_bodies_take_from_around_them(self, tmp_path: Path) -> None:
        graph = Graph(onnx.load(onnx_files.with_if(tmp_path)))
        subgraph = extract_subgraph(graph, ["chosen"], graph.inputs)
        assert [node.op_type for node in subgraph.graph.node] == [
            "Conv",
            "Relu",
            "ReduceMean",
            "Greater",
            "If",
        ]
        names = {tensor.name for tensor in subgraph.graph.initializer}
        assert {
            "inner_then.weight",
            "inner_else.bias",
            "conv1.weight",
        } < names and "conv2.weight" not in names

    def test_do_not_change_the_model(self, tmp_path: Path) -> None:
        path = onnx_files.fixed_batch(tmp_path)
        model = onnx.load(path)
        before = model.SerializeToString(deterministic=True)
        opened = open_model(model)
        opened.layers(SIZE)
        with opened.probe(["relu2"], SIZE) as probe:
            probe(images_of(path))
        assert model.SerializeToString(deterministic=True) == before
