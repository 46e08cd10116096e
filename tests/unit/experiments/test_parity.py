"""``nd parity`` and ``nd doctor``, and ONNX files on the command line."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_files
import pytest
import torch
from parity_models import Files, Origin
from recording import clear_winners
from torch import nn

from nd_plugin import (
    BadInput,
    Dissection,
    LayerDissection,
    Preprocess,
    Settings,
    open_concepts,
    open_model,
)
from nd_plugin.errors import NDError
from nd_plugin.experiments.layer_choice import parse_layer_pair
from nd_plugin.experiments.pair_preprocess import pair_preprocess
from nd_plugin.experiments.parity import LayerParity, parity
from nd_plugin.probe_data.batches import Feed

CONCEPTS = "shapes?images=8&size=64"
SETTINGS = Settings(quantile=0.05, min_iou=0.04)
IOU_TOLERANCE = (
    5e-3  # a pixel or two of a mask may flip between two implementations
)
PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0), "input_size": (3, 32, 32)}


def compared(
    first: Any, second: Any, *layers: str, size: tuple[int, int] = (32, 32)
) -> list[LayerParity]:
    models = open_model(first), open_model(second)
    how = pair_preprocess(
        models[0].preprocess, models[1].preprocess, {"size": size}, size
    )
    feed = Feed.of(open_concepts(CONCEPTS), how, SETTINGS, models[0].device, 4, 0)
    pairs = [parse_layer_pair(layer) for layer in layers]
    return list(parity(*models, pairs, feed).layers)


def dissected(model: Any, layer: str) -> Dissection:
    dissection = LayerDissection(model, layer).dissect(
        CONCEPTS,
        quantile=SETTINGS.quantile,
        preprocess=replace(open_model(model).preprocess, size=(32, 32)),
        batch_size=4,  # as `compared`: kernels may differ by batch size
        workers=0,
    )
    assert isinstance(dissection, Dissection)
    return dissection


def clearly_labelled(model: nn.Module, result: LayerParity) -> set[int]:
    """Return the units whose label stays as IoUs move by the tolerance; most of them do."""
    clear = clear_winners(dissected(model, result.layers[1]).iou, IOU_TOLERANCE)
    units = set(np.flatnonzero(clear).tolist())
    assert units
    return units


def detector_states(dissection: Dissection) -> list[bool]:
    """Return which units are detectors."""
    return [score.detector for score in dissection.unit_scores()]


class TestParity:
    def test_of_an_export_and_its_origin(self, tmp_path: Path) -> None:
        path = onnx_files.dynamic_batch(tmp_path)
        results = compared(
            str(path), Origin(path), "conv1", "relu1", "pool1", "relu2"
        )
        assert [result.layers for result in results] == [
            (name, name) for name in ("conv1", "relu1", "pool1", "relu2")
        ]
        for result, units in zip(results, (8, 8, 8, 12), strict=True):
            assert result.units == units and result.geometry
            assert (
                result.relative <= 1e-5
                and result.threshold_difference <= 1e-5 * result.largest
            )
            assert result.iou_difference <= IOU_TOLERANCE
            assert not clearly_labelled(Origin(path), result) & set(result.labels)
        assert sum(result.counts[0] for result in results) > 0

    def test_says_how_far_two_models_are_apart(self, tmp_path: Path) -> None:
        """What is said of two models is what separate dissections of them show."""
        path = onnx_files.dynamic_batch(tmp_path)
        changed = Origin(path)
        changed.conv1.weight.data[3] *= -1
        with torch.no_grad():
            changed.conv1.bias[5] += 1  # type: ignore[index]
        (result,) = compared(changed, str(path), "conv1")
        first, second = dissected(changed, "conv1"), dissected(str(path), "conv1")
        assert (
            result.threshold_difference
            == float(np.abs(first.thresholds - second.thresholds).max())
            > 0.1
        )
        assert (
            result.iou_difference == float(np.abs(first.iou - second.iou).max()) > 0
        )
        assert (
            list(result.labels)
            == np.flatnonzero(first.labels != second.labels).tolist()
        )
        assert 3 in result.labels and set(result.labels) <= {3, 5}
        states = [detector_states(dissection) for dissection in (first, second)]
        assert list(result.detectors) == [
            unit for unit in range(8) if states[0][unit] != states[1][unit]
        ]
        assert result.counts == (sum(states[0]), sum(states[1]))
        assert set(result.detector_labels) <= set(result.labels)
        assert result.geometry

    def test_measures_the_largest_difference_of_all_images(
        self, tmp_path: Path
    ) -> None:
        path = onnx_files.dynamic_batch(tmp_path)
        shifted = Origin(path)
        with torch.no_grad():
            shifted.conv1.bias[5] += 0.25  # type: ignore[index]
        (result,) = compared(shifted, str(path), "conv1")
        assert result.difference == pytest.approx(0.25, rel=1e-4)
        images = open_concepts(CONCEPTS)
        how = replace(open_model(str(path)).preprocess, size=(32, 32))
        batch = how.normalise(
            torch.stack([how.resize(images.image(index)) for index in range(8)])
        )
        truth = onnx_files.inner_values(path, batch.numpy(), ["conv1"])["conv1"]
        assert result.largest == pytest.approx(float(np.abs(truth).max()), rel=1e-4)
        assert result.relative == result.difference / result.largest

    def test_of_layers_that_go_by_two_names(self, tmp_path: Path) -> None:
        path = onnx_files.tf2onnx_names(tmp_path)
        other = onnx_files.dynamic_batch(tmp_path)
        (result,) = compared(str(path), str(other), "model/conv1/Relu:0=Relu_0")
        assert (
            result.layers == ("model/conv1/Relu:0", "Relu_0") and result.units == 8
        )
        assert result.relative < 1e-5, "the two are of the same weights"

    def test_of_models_that_take_other_pixels(self, tmp_path: Path) -> None:
        """A file that takes bytes, and its origin that takes numbers: each is fed its own way."""
        path = onnx_files.uint8_input(tmp_path)
        origin = Origin(onnx_files.dynamic_batch(tmp_path))
        origin.pretrained_cfg = PLAIN  # type: ignore[assignment]
        (result,) = compared(str(path), origin, "relu2")
        assert result.relative < 1e-5
        assert not clearly_labelled(origin, result) & set(result.labels)
        (swapped,) = compared(origin, str(path), "relu2")
        assert swapped.relative < 1e-5 and swapped.largest == pytest.approx(
            result.largest
        )

    def test_of_half_precision_is_near(self, tmp_path: Path) -> None:
        (result,) = compared(
            str(onnx_files.fp16(tmp_path)),
            str(onnx_files.dynamic_batch(tmp_path)),
            "relu2",
        )
        assert 1e-5 < result.relative < 1e-2

    def test_of_other_receptive_fields_says_so(self, tmp_path: Path) -> None:
        path = onnx_files.dynamic_batch(tmp_path)
        (result,) = compared(
            str(onnx_files.with_loop(tmp_path)), str(path), "relu2"
        )
        assert not result.geometry

    def test_of_maps_of_two_shapes_is_refused(self, tmp_path: Path) -> None:
        path = onnx_files.dynamic_batch(tmp_path)
        with pytest.raises(BadInput) as raised:
            compared(str(path), Origin(path), "relu1", "relu1=relu2")
        assert str(raised.value) == (
            "layer 'relu1' has maps of shape (8, 32, 32) and 'relu2' of (12, 8, 8): "
            "they are not the same layer; name a pair of layers as FIRST=SECOND"
        )

    def test_notes_are_of_both(self, tmp_path: Path) -> None:
        mixing, plain = (
            str(onnx_files.mixing_batch(tmp_path)),
            str(onnx_files.dynamic_batch(tmp_path)),
        )
        for first, second in ((mixing, plain), (plain, mixing)):
            (result,) = compared(first, second, "relu2")
            assert any("one at a time" in note for note in result.notes)


@pytest.mark.parametrize(
    ("text", "pair"),
    [("a", ("a", "a")), ("a.b=c", ("a.b", "c")), ("x:0=y=z", ("x:0", "y=z"))],
)
def test_a_pair_is_one_name_or_two(text: str, pair: tuple[str, str]) -> None:
    assert parse_layer_pair(text) == pair


@pytest.mark.parametrize("text", ["", "=a", "a="])
def test_half_a_pair_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="is neither NAME nor NAME=NAME_IN_ORIGIN"):
        parse_layer_pair(text)


class TestCommand:
    def test_leads_with_detectors(self, files: Files, nd: Any) -> None:
        code, out, err = nd(
            "parity", files.onnx, files.origin, "-l", "relu1", "-l", "relu2=relu2", "-c", CONCEPTS,
            "--quantile", "0.05", "--input-size", "32", "--workers", "0",
        )  # fmt: skip
        assert code == 0
        lines = out.splitlines()
        assert lines[0].split()[0] == "model"
        assert "(float32; onnxruntime, cpu)" in " ".join(out.split())
        headline = next(line for line in lines if "detectors kept" in line)
        assert "0 lost · 0 gained · 0 renamed" in headline
        header = next(line for line in lines if line.startswith("layer "))
        assert header.split() == [
            "layer", "kept", "lost", "gained", "renamed", "labels", "activations",
        ]  # fmt: skip
        first, second = lines[lines.index(header) + 1 :][:2]
        kept = int(first.split()[1]) + int(second.split()[1])
        assert first.split()[0] == "relu1" and second.split()[0] == "relu2"
        assert first.split()[2:6] == ["0", "0", "0", "same"] and kept > 0
        assert headline.startswith(f"{kept} of {kept} detectors kept (100.0%)")
        assert float(first.split()[-1]) < 1e-5
        assert "relative to the largest activation" in err

    def test_names_the_units_that_changed(self, files: Files, nd: Any) -> None:
        changed = Origin(Path(files.onnx))
        changed.conv1.weight.data[3] *= -1
        torch.save(changed, files.folder / "origin.pt")
        run = (
            "parity", files.onnx, files.origin, "-l", "conv1", "-c", CONCEPTS,
            "--quantile", "0.05", "--input-size", "32", "--workers", "0",
        )  # fmt: skip
        code, out, _ = nd(*run)
        assert code == 0 and "1 of 8" in out
        code, out, err = nd(*run, "--tolerance", "0.01", "--json")
        assert (
            code == 1
            and "nd: activations differ by more than 0.01 of the largest activation in conv1"
            in err
        )
        (layer,) = json.loads(out)["layers"]
        assert layer["layers"] == ["conv1", "conv1"] and layer["labels"] == [3]
        assert layer["relative"] == layer["difference"] / layer["largest"] > 0.01
        assert set(layer) >= {
            "threshold_difference",
            "iou_difference",
            "detectors",
            "counts",
            "geometry",
            "notes",
        }
        assert nd(*run, "--tolerance", "9")[0] == 0

    def test_refuses_what_makes_no_sense(self, files: Files, nd: Any) -> None:
        rest = ("-c", CONCEPTS, "--input-size", "32", "--workers", "0")
        code, out, err = nd(
            "parity", files.onnx, files.origin, "-l", "relu1=relu2", *rest
        )
        assert code == 2 and out == "" and "they are not the same layer" in err
        code, _, err = nd("parity", files.onnx, files.origin, "-l", "relu9", *rest)
        assert (
            code == 2 and "no layer 'relu9' in this model; the nearest are " in err
        )
        code, _, err = nd("parity", files.onnx, files.origin, "-l", "relu1=", *rest)
        assert (
            code == 2 and "'relu1=' is neither NAME nor NAME=NAME_IN_ORIGIN" in err
        )


class TestLayers:
    def test_of_a_file(self, files: Files, nd: Any) -> None:
        code, out, _ = nd("layers", files.onnx)
        rows = [line.split() for line in out.splitlines()]
        assert code == 0
        assert rows[0] == ["layer", "kind", "shape", "stride", "receptive", "field"]
        assert rows[1] == ["conv1", "Conv", "8x32x32", "1", "3x3"]
        assert rows[5] == ["relu2", "Relu", "12x8x8", "4", "8x8"]

    def test_as_json_are_those_of_the_origin(self, files: Files, nd: Any) -> None:
        ours = {
            layer["name"]: layer
            for layer in json.loads(nd("layers", files.onnx, "--json")[1])["layers"]
        }
        arguments = ("layers", files.origin, "--json", "--input-size", "32")
        listed = json.loads(nd(*arguments)[1])["layers"]
        theirs = {layer["name"]: layer for layer in listed}
        for name in ("conv1", "relu1", "pool1", "conv2", "relu2", "fc"):
            assert (
                ours[name]["shape"] == theirs[name]["shape"]
                and ours[name]["geometry"] == theirs[name]["geometry"]
            )

    @pytest.mark.filterwarnings("default:.*may need --custom-op-library")
    def test_with_unknown_operators_are_those_before_them(
        self, tmp_path: Path, nd: Any
    ) -> None:
        code, out, err = nd("layers", onnx_files.unknown_domain_after(tmp_path))
        with_units, _, without_units = out.partition("\n\n")
        assert code == 0
        assert with_units.splitlines()[-1].split()[0] == "relu2"
        note = "com.example.ops:Sharpen may need --custom-op-library FILE"
        assert note in " ".join(without_units.split())
        assert f"{note}; layers from there on cannot be taken without it" in err

    def test_of_a_file_of_two_inputs(self, tmp_path: Path, nd: Any) -> None:
        path = onnx_files.two_inputs(tmp_path)
        code, _, err = nd("layers", path)
        assert code == 2 and "--feed scale=VALUE" in err
        code, out, _ = nd("layers", path, "--feed", "scale=0.5")
        assert code == 0 and "rescaled" in out
        code, _, err = nd("layers", path, "--feed", "scale")
        assert code == 2 and "--feed 'scale' is not NAME=VALUE" in err


class TestDissect:
    def test_a_file_to_the_end(
        self, files: Files, nd: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(files.folder)
        code, out, err = nd(
            "dissect", files.onnx, "-l", "relu1", "-l", "relu2", "-c", CONCEPTS,
            "--quantile", "0.05", "--workers", "0", "--device", "cpu",
        )  # fmt: skip
        assert code == 0 and "relu1" in out and "relu2" in out
        folder = files.folder / "runs" / "dynamic_batch-shapes"
        assert f"saved in {folder.relative_to(files.folder)}" in err
        record = json.loads((folder / "run.json").read_text())
        assert (
            record["backend"] == "onnxruntime"
            and "CPUExecutionProvider" in record["model"]["version"]
        )
        assert record["model"]["source"] == files.onnx
        assert record["preprocess"]["source"] == "ImageNet's (the file names none)"
        assert nd("report", folder)[1] == out
        origin = dissected(files.onnx, "relu2")
        saved = Dissection.load(folder / "relu2")
        assert (
            np.array_equal(saved.intersection, origin.intersection)
            and saved.intersection.sum() > 0
        )

    def test_what_a_reader_has_to_know_is_in_the_run(
        self, tmp_path: Path, nd: Any
    ) -> None:
        path = onnx_files.mixing_batch(tmp_path)
        code, out, _ = nd(
            "dissect", path, "-l", "relu2", "-c", CONCEPTS, "-o", tmp_path / "run",
            "--workers", "0", "--quantile", "0.05",
        )  # fmt: skip
        note = (
            "outputs depend on the rest of the batch; images were run one at a time"
        )
        assert code == 0 and note in " ".join(out.split())
        assert (
            note in json.loads((tmp_path / "run" / "run.json").read_text())["notes"]
        )

    @pytest.mark.parametrize(
        ("make", "arguments", "code", "says"),
        [
            (onnx_files.truncated_file, ["-l", "relu2"], 2, "is not an ONNX model, or is damaged"),
            (onnx_files.opset_too_new, ["-l", "relu2"], 3, "uses opset 99"),
            (onnx_files.external_data_outside, ["-l", "relu2"], 2, "outside the model's folder"),
            (onnx_files.dynamic_batch, ["-l", "relu2", "--device", "cuda"], 3,
             "device 'cuda' is not available: "),
            (onnx_files.two_image_inputs, ["-l", "relu2"], 2, "choose one (--input NAME)"),
            (onnx_files.dynamic_batch, ["-l", "relu2", "--weights", "x.pt"], 2,
             "an ONNX file holds its weights"),
            (onnx_files.dynamic_batch, ["-l", "relu2", "--input-size", "64"], 2,
             "images of 32x32 pixels only"),
        ],
    )  # fmt: skip
    def test_exit_codes(
        self, make: Any, arguments: list[str], code: int, says: str, tmp_path: Path, nd: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        from nd_onnxruntime import sessions

        monkeypatch.setattr(sessions, "cuda_problem", lambda: "there is none")
        run = (
            "dissect",
            make(tmp_path),
            *arguments,
            "-c",
            CONCEPTS,
            "-o",
            tmp_path / "run",
            "--workers",
            "0",
        )
        ended, out, err = nd(*run)
        assert (ended, out) == (code, "") and says in err and "Traceback" not in err
        assert not (tmp_path / "run").exists()

    def test_inputs_and_feeds(self, tmp_path: Path, nd: Any) -> None:
        path = onnx_files.two_image_inputs(tmp_path)
        run = (
            "dissect",
            path,
            "-l",
            "relu2",
            "-c",
            CONCEPTS,
            "--workers",
            "0",
            "--quantile",
            "0.05",
            "--json",
        )
        code, out, _ = nd(
            *run, "--input", "left", "--feed", "right=0.5", "-o", tmp_path / "run"
        )
        assert code == 0 and json.loads(out)["layers"][0]["units"] == 12


class TestDoctor:
    def test_says_what_is_there(self, nd: Any) -> None:
        import onnxruntime as ort

        code, out, _ = nd("doctor")
        assert code == 0
        for text in (f"{sys.version_info.major}.{sys.version_info.minor}", torch.__version__,
        ort.__version__,
                     "CPUExecutionProvider", onnx.__version__, "CUDA for torch",
                     "CUDA for ONNX Runtime"):  # fmt: skip
            assert text in out

    def test_as_json_is_the_same(self, nd: Any) -> None:
        code, out, _ = nd("doctor", "--json")
        findings = json.loads(out)["findings"]
        assert code == 0
        assert all(
            set(finding) == {"subject", "found", "remedy"} for finding in findings
        )
        assert [finding["subject"] for finding in findings][:2] == [
            "Python",
            "nd_plugin",
        ]

    @pytest.mark.parametrize("width", [40, 60])
    def test_fits_a_narrow_terminal(
        self, width: int, nd: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", str(width))
        _, out, _ = nd("doctor")
        assert max(map(len, out.splitlines())) <= width and "…" not in out
        monkeypatch.setenv("COLUMNS", "400")
        whole = nd("doctor")[1].partition("\n")[2]  # without the headers
        headers = re.compile("^  (found|what to do):", re.MULTILINE)
        cells = headers.sub("", out)  # each behind its header
        assert sorted("".join(cells.split())) == sorted("".join(whole.split())), (
            "nothing is cut off"
        )

    def test_survives_a_backend_that_does_not(
        self, nd: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from nd_onnxruntime import doctor

        def broken() -> None:
            raise NDError("libonnxruntime is of another planet")

        monkeypatch.setattr(doctor, "examine", broken)
        code, out, _ = nd("doctor", "--json")
        findings = json.loads(out)["findings"]
        by_subject = {finding["subject"]: finding for finding in findings}
        assert code == 0 and "torch" in by_subject
        assert "of another planet" in by_subject["onnxruntime"]["found"]
        assert by_subject["onnxruntime"]["remedy"] == "reinstall it"


@pytest.mark.parametrize("order", ["rgb", "bgr"])
@pytest.mark.parametrize("before", ["rgb", "bgr"])
def test_images_are_normalised_anew_as_if_from_their_pixels(
    order: str, before: str
) -> None:
    rgb = torch.randint(
        0,
        256,
        (2, 3, 5, 4),
        generator=torch.Generator().manual_seed(0),
        dtype=torch.uint8,
    )
    given, wanted = (
        Preprocess(channel_order=before),
        Preprocess(mean=(0, 0, 0), std=(1, 1, 1), channel_order=order),
    )
    pixels = {"rgb": rgb, "bgr": rgb.flip(1)}
    found = wanted.renormalised(given.normalise(pixels[before]), given)
    assert torch.equal(found, wanted.normalise(pixels[order]))
    same = given.normalise(rgb)
    assert given.renormalised(same, given) is same
