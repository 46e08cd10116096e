"""``--precision``: what is computed in it, where it is said, and that it belongs to a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx_files
import pytest
from PIL import Image

from nd_plugin import Dissection
from nd_plugin.results.run_folder import load_run, save_run

Command = Callable[..., Any]
MODEL = "drawn:Net"  # the same weights each time
LAYER = "far"


@pytest.fixture(scope="module")
def arguments(probe_set: Path) -> list[Any]:
    return [
        "dissect", MODEL, "-l", LAYER, "-c", f"masks:{probe_set}", "--input-size", "64",
        "--quantile", "0.2", "--batch-size", "4", "--workers", "0",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def half_run(
    arguments: list[Any], nd: Command, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Run in bfloat16."""
    folder = tmp_path_factory.mktemp("half") / "run"
    done = nd(*arguments, "-o", folder, "--precision", "bfloat16")
    assert done.returncode == 0, done.stderr
    assert "(torch, cpu, bfloat16)" in done.stdout
    return folder


@pytest.fixture(scope="module")
def full_run(
    arguments: list[Any], nd: Command, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Run without a choice."""
    folder = tmp_path_factory.mktemp("full") / "run"
    done = nd(*arguments, "-o", folder)
    assert done.returncode == 0, done.stderr
    return folder


class TestSaid:
    def test_in_the_record_of_the_run(self, half_run: Path, full_run: Path) -> None:
        for folder, precision in ((half_run, "bfloat16"), (full_run, "float32")):
            record = json.loads((folder / "run.json").read_text())
            assert record["precision"] == precision
            assert load_run(folder)[0].provenance.precision == precision

    def test_in_reports_of_every_format(
        self, half_run: Path, nd: Command, tmp_path: Path
    ) -> None:
        page = tmp_path / "report.html"
        done = nd("report", half_run, "--html", page, "--json")
        assert done.returncode == 0, done.stderr
        (layer,) = json.loads(done.stdout)["layers"]
        assert layer["precision"] == "bfloat16"
        assert "cpu, bfloat16)" in page.read_text()
        assert "cpu, bfloat16)" in nd("report", half_run, COLUMNS="100").stdout

    def test_as_not_recorded_of_an_earlier_run(
        self, dissection: Dissection, nd: Command, tmp_path: Path
    ) -> None:
        provenance = replace(dissection.provenance, precision="")
        folder = tmp_path / "run"
        save_run(folder, [replace(dissection, provenance=provenance)])
        without_precision(folder)
        text = nd("report", folder, COLUMNS="100").stdout
        assert "pkg:Net (torch, cpu, precision not recorded)" in text
        done = nd("report", folder, "--json")
        assert json.loads(done.stdout)["layers"][0]["precision"] is None

    def test_by_dissect_as_json(
        self, arguments: list[Any], nd: Command, tmp_path: Path
    ) -> None:
        done = nd(
            *arguments, "-o", tmp_path / "run", "--json", "--precision", "float16"
        )
        assert json.loads(done.stdout)["layers"][0]["precision"] == "float16"


def without_precision(folder: Path) -> None:
    """Rewrite a run as an earlier version would have saved it."""
    (layer_file,) = folder.glob("*/dissection.npz")
    with np.load(layer_file) as stored:
        arrays = dict(stored)
    metadata = json.loads(arrays["metadata"].tobytes().decode())
    del metadata["provenance"]["precision"]
    text = json.dumps(metadata).encode()
    arrays["metadata"] = np.frombuffer(text, dtype=np.uint8)
    np.savez_compressed(layer_file, **arrays)


class TestUsed:
    def test_numbers_differ_by_rounding_only(
        self, half_run: Path, full_run: Path
    ) -> None:
        half = load_run(half_run)[0]
        full = load_run(full_run)[0]
        assert not np.array_equal(half.thresholds, full.thresholds)
        # seven bits of a mantissa, in every layer up to this one
        np.testing.assert_allclose(half.thresholds, full.thresholds, rtol=0.1)

    def test_tf32_is_not_available_on_a_cpu(
        self, arguments: list[Any], nd: Command, tmp_path: Path
    ) -> None:
        done = nd(
            *arguments,
            "--precision",
            "tf32",
            "--device",
            "cpu",
            "-o",
            tmp_path / "run",
        )
        assert done.returncode == 3
        assert "'tf32' is of NVIDIA GPUs" in done.stderr

    def test_what_is_none_is_refused(
        self, arguments: list[Any], nd: Command, tmp_path: Path
    ) -> None:
        done = nd(*arguments, "--precision", "half", "-o", tmp_path / "run")
        assert done.returncode == 2
        expected = "precision 'half' is none of float32, tf32, float16, bfloat16"
        assert expected in " ".join(done.stderr.split())

    def test_in_explanations(
        self, half_run: Path, probe_set: Path, nd: Command
    ) -> None:
        image = probe_set / "images" / "0.png"
        outputs = {}
        for precision in ("float32", "bfloat16"):
            done = nd(
                "explain", half_run, MODEL, image, "-t", "1,5,5", "--json",
                "--precision", precision, "--contribution", "gradient",
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            (explanation,) = json.loads(done.stdout)["explanations"]
            outputs[precision] = explanation["output"]
            notes = [note for note in explanation["notes"] if "computed in" in note]
            expected = (
                "the dissection was computed in bfloat16, and this explanation in "
                "float32: activations and thresholds differ by their rounding"
            )
            assert notes == ([expected] if precision == "float32" else [])
        full, half = outputs["float32"], outputs["bfloat16"]
        assert full != half and half == pytest.approx(full, rel=0.05, abs=0.05)


class TestBelongsToARun:
    def test_a_finished_run_in_another_is_another_run(
        self, half_run: Path, arguments: list[Any], nd: Command
    ) -> None:
        done = nd(*arguments, "-o", half_run, "--resume")
        assert done.returncode == 2
        expected = "it differs in precision: 'bfloat16', not 'float32'"
        assert expected in " ".join(done.stderr.split())
        same = nd(*arguments, "-o", half_run, "--resume", "--precision", "bfloat16")
        assert same.returncode == 0 and "is complete" in same.stderr

    def test_shards_in_two_precisions_do_not_belong_together(
        self, arguments: list[Any], nd: Command, tmp_path: Path
    ) -> None:
        for shard, precision in (("1/2", "float32"), ("2/2", "bfloat16")):
            done = nd(
                *arguments, "--shard", shard, "-o", tmp_path / shard[0],
                "--precision", precision,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
        done = nd("merge", tmp_path / "1", tmp_path / "2", "-o", tmp_path / "run")
        assert done.returncode == 2
        assert "it differs in precision: 'bfloat16'" in " ".join(
            done.stderr.split()
        )

    def test_a_merger_keeps_it(
        self, arguments: list[Any], nd: Command, tmp_path: Path, half_run: Path
    ) -> None:
        for shard in ("1/2", "2/2"):
            done = nd(
                *arguments, "--shard", shard, "-o", tmp_path / shard[0],
                "--precision", "bfloat16",
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
        done = nd(
            "merge", tmp_path / "1", tmp_path / "2", "-o", tmp_path / "run",
            "--model", MODEL,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        (merged,) = load_run(tmp_path / "run")
        (whole,) = load_run(half_run)
        assert merged.provenance.precision == "bfloat16"
        np.testing.assert_array_equal(merged.thresholds, whole.thresholds)
        np.testing.assert_array_equal(merged.intersection, whole.intersection)


class TestParity:
    @pytest.fixture
    def images(self, tmp_path: Path) -> Path:
        """Set of small images, all with one concept."""
        random = np.random.default_rng(0)
        root = tmp_path / "set"
        (root / "images").mkdir(parents=True)
        (root / "masks" / "object").mkdir(parents=True)
        for index in range(4):
            pixels = random.integers(0, 255, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / "images" / f"{index}.png")
            mask = (pixels[:, :, 0] > 128).astype(np.uint8)
            Image.fromarray(mask).save(root / "masks" / "object" / f"{index}.png")
        (root / "concepts.csv").write_text("category,value,name\nobject,1,red\n")
        return root

    def test_is_of_both_sides(self, images: Path, nd: Command) -> None:
        arguments = [
            "parity", MODEL, MODEL, "-l", LAYER, "-c", f"masks:{images}",
            "--input-size", "32", "--workers", "0",
        ]  # fmt: skip
        done = nd(*arguments, "--precision", "bfloat16", "--json")
        content = json.loads(done.stdout)
        for side in ("model", "origin"):
            assert content[side]["compute_precision"] == "bfloat16"
            assert content[side]["precision"] == "float32"
        assert content["layers"][0]["difference"] == 0
        text = nd(*arguments, "--precision", "bfloat16", COLUMNS="120").stdout
        assert text.count("(float32, computed in bfloat16; torch, cpu)") == 2
        plain = nd(*arguments, COLUMNS="120").stdout
        assert plain.count("(float32; torch, cpu)") == 2

    def test_of_a_file_is_the_files(
        self, images: Path, nd: Command, tmp_path: Path
    ) -> None:
        """A file in float32 cannot be compared in another precision."""
        file = onnx_files.dynamic_batch(tmp_path)
        done = nd(
            "parity", file, file, "-c", f"masks:{images}", "--precision", "float16",
            "--workers", "0",
        )  # fmt: skip
        assert done.returncode == 2
        assert "export the model so" in " ".join(done.stderr.split())
