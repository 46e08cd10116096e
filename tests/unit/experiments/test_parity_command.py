"""``nd parity``: what it leads with, its bounds, what it saves."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import onnx_files
import pytest
import torch
from parity_models import Files, Origin

from nd_plugin import Dissection, LayerDissection, Preprocess
from nd_plugin.experiments.detector_changes import compare_units, count_changes
from nd_plugin.report.layer_report import UnitScore
from nd_plugin.results.run_folder import load_run

CONCEPTS = "shapes?images=8&size=64"
RUN = (
    "-c", CONCEPTS, "--quantile", "0.05", "--input-size", "32", "--workers", "0",
    "--batch-size", "4",
)  # fmt: skip
IMAGENET = "mean 0.485 0.456 0.406, std 0.229 0.224 0.225"
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def permuted(files: Files) -> Files:
    """Origin whose units of conv1 are in another order: no unit is the one it was."""
    origin = Origin(Path(files.onnx))
    order = [1, 2, 3, 4, 5, 6, 7, 0]
    origin.conv1.weight.data = origin.conv1.weight.data[order]
    origin.conv1.bias.data = origin.conv1.bias.data[order]  # type: ignore[union-attr]
    torch.save(origin, files.folder / "origin.pt")
    return files


def dissected(model: Any, layer: str, preprocess: Preprocess) -> Dissection:
    dissection = LayerDissection(model, layer).dissect(
        CONCEPTS, quantile=0.05, preprocess=preprocess, batch_size=4, workers=0
    )
    assert isinstance(dissection, Dissection)
    return dissection


class TestDetectors:
    def test_each_unit_is_kept_lost_gained_or_renamed(self) -> None:
        def scores(*labels: tuple[str, bool]) -> Dissection:
            units = [
                UnitScore(unit, name, "object", 0.1, 1.0, 1, 1, 1, detector)
                for unit, (name, detector) in enumerate(labels)
            ]
            return cast(Dissection, SimpleNamespace(unit_scores=lambda: units))

        detector, none = True, False
        model = scores(
            ("sky", detector), ("sky", none), ("sky", detector), ("car", detector),
            ("car", none), ("sky", none),
        )  # fmt: skip
        origin = scores(
            ("sky", detector), ("sky", detector), ("car", none), ("sky", detector),
            ("sky", none), ("car", detector),
        )  # fmt: skip
        kept, changes = compare_units(model, origin)
        assert kept == (0,)
        assert [(change.unit, change.change) for change in changes] == [
            (1, "lost"),
            (2, "gained"),
            (3, "renamed"),
            (5, "lost"),
        ]
        assert (changes[2].origin.concept, changes[2].model.concept) == (
            "sky",
            "car",
        )
        counts = count_changes(kept, changes)
        assert (counts.origin, counts.model, counts.share_kept) == (4, 3, 0.25)

    def test_old_and_new_names_are_those_of_both_dissections(
        self, permuted: Files, nd: Command
    ) -> None:
        arguments = (permuted.onnx, permuted.origin, "-l", "conv1", *RUN)
        code, out, _ = nd("parity", *arguments, "--json")
        (layer,) = json.loads(out)["layers"]
        how = Preprocess((32, 32))
        module = torch.load(permuted.folder / "origin.pt", weights_only=False)
        model = list(dissected(permuted.onnx, "conv1", how).unit_scores())
        origin = list(dissected(module, "conv1", how).unit_scores())
        truth: dict[str, list[int]] = {
            "kept": [],
            "lost": [],
            "gained": [],
            "renamed": [],
        }
        for new, old in zip(model, origin, strict=True):
            if new.detector and old.detector:
                truth["kept" if new.concept == old.concept else "renamed"].append(
                    new.unit
                )
            elif new.detector or old.detector:
                truth["lost" if old.detector else "gained"].append(new.unit)
        assert code == 0 and len(truth["lost"] + truth["renamed"]) > 0
        assert layer["kept"] == truth["kept"]
        for kind in ("lost", "gained", "renamed"):
            units = [
                unit["unit"] for unit in layer["changes"] if unit["change"] == kind
            ]
            assert units == truth[kind] and layer["counted"][kind] == len(units)
        for unit in layer["changes"]:
            number = unit["unit"]
            for role, scores in (("model", model), ("origin", origin)):
                assert unit[role]["concept"] == scores[number].concept
                assert unit[role]["detector"] == scores[number].detector
                assert unit[role]["iou"] == pytest.approx(
                    scores[number].iou, abs=5e-3
                )

    def test_units_that_changed_are_named(
        self, permuted: Files, nd: Command
    ) -> None:
        arguments = (permuted.onnx, permuted.origin, "-l", "conv1", *RUN)
        change = json.loads(nd("parity", *arguments, "--json")[1])["layers"][0][
            "changes"
        ]
        best = max(
            change,
            key=lambda unit: max(unit["model"]["iou"], unit["origin"]["iou"]),
        )
        out = nd("parity", *arguments)[1]
        assert (
            f"{best['change']} unit {best['unit']}: {best['origin']['concept']} ("
            in out
        )
        assert f"-> {best['model']['concept']} (" in out


class TestLayers:
    def test_all_common_ones_by_default(self, files: Files, nd: Command) -> None:
        code, out, _ = nd("parity", files.onnx, files.origin, *RUN, "--json")
        layers = json.loads(out)["layers"]
        names = [layer["layers"] for layer in layers]
        assert code == 0
        for name in ("conv1", "relu1", "pool1", "conv2", "relu2"):
            assert [name, name] in names
        assert {layer["matched"] for layer in layers[:5]} == {"name"}
        assert all(layer["relative"] < 1e-5 for layer in layers)

    def test_of_two_exporters_are_matched_by_order_and_shape(
        self, files: Files, tmp_path: Path, nd: Command
    ) -> None:
        other = onnx_files.tf2onnx_names(tmp_path)
        code, out, _ = nd("parity", other, files.onnx, *RUN, "--json")
        content = json.loads(out)
        assert code == 0
        pairs = [layer["layers"] for layer in content["layers"]]
        for pair in (
            ["model/conv1/Relu:0", "relu1"],
            ["model/pool/MaxPool:0", "pool1"],
            ["model/conv2/Relu:0", "relu2"],
        ):
            assert pair in pairs
        assert {layer["matched"] for layer in content["layers"]} == {
            "order and shape"
        }
        assert all(layer["relative"] < 1e-5 for layer in content["layers"])
        assert any(
            "matched by order and shape" in note for note in content["notes"]
        )
        out = nd("parity", other, files.onnx, *RUN)[1]
        assert "matched by order and shape" in " ".join(out.split())


class TestSides:
    def test_an_assumed_preprocessing_is_said_everywhere(
        self, files: Files, nd: Command
    ) -> None:
        run = ("parity", files.onnx, files.origin, "-l", "relu1", *RUN)
        content = json.loads(nd(*run, "--json")[1])
        for side in ("model", "origin"):
            preprocess = content[side]["preprocess"]
            assert preprocess["assumed"] and preprocess["size"] == [32, 32]
            assert preprocess["mean"] == [0.485, 0.456, 0.406]
        message = "neither MODEL nor ORIGIN states its preprocessing; assumed for both: 32x32"
        assert (
            content["notes"][0].startswith(message)
            and IMAGENET in content["notes"][0]
        )
        assert content["layers"][0]["notes"][0].startswith(message)
        out = " ".join(nd(*run)[1].split())
        assert (
            f"! {message}" in out
            and "! assumed: ImageNet's (the file names none)" in out
        )

    def test_values_that_are_given_are_used_for_both(
        self, files: Files, nd: Command
    ) -> None:
        run = ("parity", files.onnx, files.origin, "-l", "relu1", *RUN)
        values = (
            "--mean", "104,117,123", "--std", "1,2,3", "--scale", "1",
            "--channel-order", "bgr", "--interpolation", "nearest",
        )  # fmt: skip
        content = json.loads(nd(*run, *values, "--json")[1])
        assert not any("states" in note for note in content["notes"])
        how = Preprocess(
            (32, 32), (104, 117, 123), (1, 2, 3), 1.0, "bgr", "nearest"
        )
        module = torch.load(files.folder / "origin.pt", weights_only=False)
        for side, model in (("model", files.onnx), ("origin", module)):
            preprocess = content[side]["preprocess"]
            assert not preprocess["assumed"]
            assert preprocess["source"].startswith("given: ")
            for name in ("scale", "channel_order", "interpolation"):
                assert preprocess[name] == getattr(how, name)
            scores = dissected(model, "relu1", how).unit_scores()
            index = 0 if side == "model" else 1
            detectors = sum(score.detector for score in scores)
            assert content["layers"][0]["counts"][index] == detectors
        assert "assumed" not in nd(*run, *values)[1]

    def test_the_size_is_one_that_both_take(
        self, files: Files, tmp_path: Path, nd: Command
    ) -> None:
        """The file takes images of 32x32 pixels only, the module any; it asks for 224x224."""
        run = ("-l", "relu1", "-c", CONCEPTS, "--workers", "0", "--json")
        for pair in ((files.onnx, files.origin), (files.origin, files.onnx)):
            code, out, _ = nd("parity", *pair, *run)
            content = json.loads(out)
            assert code == 0 and content["model"]["preprocess"]["size"] == [32, 32]
            assert any("both are fed 32x32" in note for note in content["notes"])

    @pytest.mark.parametrize(
        ("make", "precision"),
        [(onnx_files.dynamic_batch, "float32"), (onnx_files.fp16, "float16")],
    )
    def test_the_precision_is_that_of_the_weights(
        self, make: Any, precision: str, files: Files, tmp_path: Path, nd: Command
    ) -> None:
        run = ("-l", "relu2", *RUN)
        content = json.loads(
            nd("parity", make(tmp_path), files.origin, *run, "--json")[1]
        )
        assert content["model"]["precision"] == precision
        assert content["origin"]["precision"] == "float32"


class TestBounds:
    def test_of_detectors(self, permuted: Files, nd: Command) -> None:
        run = ("parity", permuted.onnx, permuted.origin, "-l", "conv1", *RUN)
        counts = json.loads(nd(*run, "--json")[1])["detectors"]
        lost, renamed = counts["lost"], counts["renamed"]
        assert counts["origin"] == counts["kept"] + lost + renamed
        for option, count, what in (
            ("--max-lost", lost, "lost"),
            ("--max-renamed", renamed, "renamed"),
        ):
            assert nd(*run, option, str(count))[0] == 0
            if count:
                code, out, err = nd(*run, option, str(count - 1))
                message = f"{count} of {counts['origin']} detectors are {what}, more than {option}"
                assert code == 1 and "kept" in out and message in err
        share = counts["share_kept"]
        assert share < 1
        assert nd(*run, "--fail-under", str(share))[0] == 0
        code, _, err = nd(*run, "--fail-under", "1")
        assert code == 1
        assert f"{counts['kept']} of {counts['origin']} detectors are kept" in err
        assert "less than --fail-under 1" in err

    def test_all_that_are_missed_are_named(
        self, permuted: Files, nd: Command
    ) -> None:
        run = ("parity", permuted.onnx, permuted.origin, "-l", "conv1", *RUN)
        _, _, err = nd(*run, "--fail-under", "1", "--tolerance", "0")
        assert (
            "activations differ by more than 0" in err and "--fail-under 1" in err
        )

    def test_the_same_model_keeps_within_all(
        self, files: Files, nd: Command
    ) -> None:
        bounds = (
            "--max-lost", "0", "--max-renamed", "0", "--fail-under", "1", "--tolerance", "0",
        )  # fmt: skip
        run = ("parity", files.onnx, files.onnx, "-l", "relu1", *RUN, *bounds)
        assert nd(*run)[0] == 0

    @pytest.mark.parametrize(
        "bound",
        [("--max-lost", "0"), ("--max-renamed", "0"), ("--fail-under", "0")],
    )
    def test_without_detectors_nothing_is_passed(
        self, bound: tuple[str, str], files: Files, nd: Command
    ) -> None:
        run = (
            "parity",
            files.onnx,
            files.onnx,
            "-l",
            "relu1",
            *RUN,
            "--min-iou",
            "0.99",
        )
        code, out, err = nd(*run, *bound)
        assert code == 1 and "no detectors in ORIGIN: nothing to keep" in out
        assert "ORIGIN has no detectors in these layers" in err


class TestOutput:
    def test_to_a_file_is_the_json(
        self, files: Files, tmp_path: Path, nd: Command
    ) -> None:
        target = tmp_path / "new" / "comparison.json"
        run = ("parity", files.onnx, files.origin, "-l", "relu1", *RUN)
        code, out, err = nd(*run, "--json", "-o", target)
        assert code == 0 and f"written to {target}" in err
        assert json.loads(target.read_text()) == json.loads(out)

    def test_to_a_folder_has_both_dissections(
        self, files: Files, tmp_path: Path, nd: Command
    ) -> None:
        """Each is the dissection of its model alone, and says so."""
        target = tmp_path / "comparison"
        layers = ("-l", "relu1=relu1", "-l", "relu2")
        run = ("parity", files.onnx, files.origin, *layers, *RUN, "-o", target)
        code, _, err = nd(*run, "--max-lost", "0")
        assert code == 0 and f"saved in {target}" in err
        content = json.loads((target / "parity.json").read_text())
        assert [layer["layers"][0] for layer in content["layers"]] == [
            "relu1",
            "relu2",
        ]
        module = torch.load(files.folder / "origin.pt", weights_only=False)
        for role, model in (("model", files.onnx), ("origin", module)):
            saved = load_run(target / role)
            assert [dissection.layer for dissection in saved] == ["relu1", "relu2"]
            alone = dissected(model, "relu1", Preprocess((32, 32)))
            assert np.array_equal(saved[0].thresholds, alone.thresholds)
            assert np.array_equal(saved[0].intersection, alone.intersection)
            assert saved[0].provenance.backend == alone.provenance.backend
            fingerprint = alone.provenance.model.fingerprint
            assert saved[0].provenance.model.fingerprint == fingerprint
            assert "first" not in saved[0].provenance.preprocess
            assert nd("report", target / role)[0] == 0
        code, _, err = nd(*run)
        assert code == 2 and "exists already" in err
        assert nd(*run, "--overwrite")[0] == 0

    @pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
    def test_never_replaces_what_is_no_comparison(
        self, overwrite: tuple[str, ...], files: Files, tmp_path: Path, nd: Command
    ) -> None:
        target = tmp_path / "mine"
        target.mkdir()
        (target / "thesis.txt").write_text("years of work")
        run = (
            "parity",
            files.onnx,
            files.origin,
            "-l",
            "relu1",
            *RUN,
            "-o",
            target,
        )
        assert nd(*run, *overwrite)[0] == 2
        assert [path.name for path in target.iterdir()] == ["thesis.txt"]

    def test_of_another_kind_is_refused_before_the_run(
        self, tmp_path: Path, nd: Command
    ) -> None:
        code, out, err = nd(
            "parity", "none.onnx", "none", *RUN, "-o", tmp_path / "x.png"
        )
        assert code == 2 and out == "" and ".png is neither" in err


class TestTerminal:
    @pytest.mark.parametrize("width", [40, 60, 80, 120])
    def test_leads_with_detectors_at_any_width(
        self,
        width: int,
        permuted: Files,
        nd: Command,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        run = ("parity", permuted.onnx, permuted.origin, *RUN, "-l", "conv1,relu1")
        monkeypatch.setenv("COLUMNS", "500")
        whole = nd(*run)[1]
        monkeypatch.setenv("COLUMNS", str(width))
        out = nd(*run)[1]
        assert max(map(len, out.splitlines())) <= width and "…" not in out
        words = " ".join(out.split())
        order = ["kept", "lost", "gained", "renamed", "labels", "activations"]
        headline, _, table = words.partition(" gained ")
        assert re.search(r"\d+ of \d+ detectors kept \(.*%\) · \d+ lost", headline)
        assert re.search(".* ".join(order), table)
        for line in whole.splitlines():
            if "unit " in line:
                assert " ".join(line.split()) in words, "nothing is cut off"
