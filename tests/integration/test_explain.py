"""Explaining real images with real weights: EfficientNet-Lite0 on CamVid."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from command_here import run_nd
from PIL import Image
from torch import Tensor, nn

from nd_plugin import Dissection, LayerDissection, open_model
from nd_plugin.results.run_folder import save_run

pytest.importorskip(
    "efficientnet_lite_pytorch", reason="the extra 'demo' is not installed"
)
MODEL = "nd_torch.zoo:efficientnet_lite0"


@pytest.fixture(scope="module")
def net() -> nn.Module:
    from nd_torch.zoo import efficientnet_lite0

    return efficientnet_lite0().eval()


@pytest.fixture(scope="module")
def files(real_data: Path) -> list[Path]:
    return sorted((real_data / "camvid" / "images").rglob("*.*"))[::101][:6]


@pytest.fixture(scope="module")
def images(net: nn.Module, files: list[Path]) -> Tensor:
    how = open_model(net).preprocess
    return how.normalise(
        torch.stack([how.resize(Image.open(file)) for file in files])
    )


@pytest.fixture(scope="module")
def run(
    net: nn.Module, real_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    found = LayerDissection(net, ["_blocks.10", "_swish#1"]).dissect(
        f"masks:{real_data / 'camvid'}", limit=60
    )
    return save_run(tmp_path_factory.mktemp("runs") / "run", found)  # type: ignore[arg-type]


def test_contributions_and_bias_are_the_logit(
    net: nn.Module, images: Tensor
) -> None:
    units = LayerDissection(net, "_swish#1")
    with torch.no_grad():
        logits = net(images)
    for target in (3, logits.argmax(1).tolist()):
        found = units.attribute(images, target)
        assert units.contribution == "linear" and found.shape == (
            len(images),
            1280,
            7,
            7,
        )
        chosen = torch.tensor(target).expand(len(images))
        expected = (
            logits.gather(1, chosen[:, None])[:, 0] - net._fc.bias.detach()[chosen]
        )
        torch.testing.assert_close(
            found.sum((1, 2, 3)), expected, rtol=1e-4, atol=1e-4
        )  # 1280 products in float32


@pytest.mark.filterwarnings("ignore")  # of the exporter
def test_the_same_of_an_onnx_file(
    net: nn.Module, images: Tensor, tmp_path: Path
) -> None:
    for needed in ("onnxscript", "onnxruntime"):
        pytest.importorskip(needed)
    path = tmp_path / "net.onnx"
    torch.onnx.export(net, (images[:1],), path, dynamo=True, verbose=False)
    units, own = (
        LayerDissection(str(path), "_swish#1"),
        LayerDissection(net, "_swish#1"),
    )
    found = units.attribute(images, 829)
    assert units.contribution == "linear"
    torch.testing.assert_close(
        found, own.attribute(images, 829), rtol=1e-3, atol=1e-5
    )
    with torch.no_grad():
        logits = units.to_forward()(images)[:, 829]
    sums = found.sum((1, 2, 3)) + net._fc.bias.detach()[829]
    torch.testing.assert_close(sums, logits, rtol=1e-4, atol=1e-4)


def test_ablation_finds_what_was_said(
    net: nn.Module, images: Tensor, run: Path
) -> None:
    units = LayerDissection(net, "_swish#1")
    units.dissection = run
    for found in units.explain(images, top_k=10):
        assert (
            found.check is not None
            and found.check.predicted > 0.5
            and abs(found.check.error) <= 1e-4
        )
    earlier = LayerDissection(net, "_blocks.10")
    earlier.dissection = run
    for found in earlier.explain(images[:2]):
        assert found.contribution == "gradient" and found.check is not None
        assert abs(found.check.error) > 1e-3, "of first order only, and said so"


def nd(
    *arguments: str | Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nd_plugin", *map(str, arguments)]
    known = {**os.environ, "COLUMNS": "80", **environment}
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=known,
        timeout=1200,
        check=False,
    )


class TestCommandLine:
    def test_names_its_units(
        self, run: Path, files: list[Path], tmp_path: Path
    ) -> None:
        done = nd("explain", run, MODEL, files[0], "--top-k", "8", "--detectors")
        assert done.returncode == 0, done.stderr
        detectors = {
            score.unit: score.concept
            for score in Dissection.load(run / "_swish#1").detectors()
        }
        lines = [line.split() for line in done.stdout.splitlines()]
        named = {
            int(line[0]): line[1] for line in lines if line and line[0].isdigit()
        }
        assert len(named) == 8 and named.items() <= detectors.items()
        assert max(map(len, done.stdout.splitlines())) <= 80
        assert (
            "explained by _swish#1, the last layer of the run; -l chooses another"
            in done.stderr
        )

    def test_targets_json_and_html(
        self, run: Path, files: list[Path], tmp_path: Path
    ) -> None:
        names = tmp_path / "classes.txt"
        names.write_text("\n".join(f"kind {number}" for number in range(1000)))
        page = tmp_path / "why.html"
        done = nd(
            "explain", run, MODEL, files[0], "-t", "kind 920", "--classes", names, "--json",
            "--html", page, "-l", "_blocks.10", "--mask", "dissection",
        )  # fmt: skip
        (found,) = json.loads(done.stdout)["explanations"]
        assert (
            found["target"] == 920
            and found["name"] == "kind 920"
            and found["layer"] == "_blocks.10"
        )
        assert (
            found["contribution"] == "gradient"
            and len(found["units"]) == 5
            and found["mask"] == "dissection"
        )
        assert (
            "kind 920" in page.read_text() and f"written to {page}" in done.stderr
        )

    def test_what_cannot_be_explained(
        self, run: Path, files: list[Path], tmp_path: Path
    ) -> None:
        broken = tmp_path / "broken.png"
        broken.write_bytes(b"\x89PNG")
        for arguments, code, message in [
            (
                (run, MODEL, files[0], "-l", "layer9"),
                2,
                "has no layer 'layer9'; it has _blocks.10, _swish#1",
            ),
            (
                (run, MODEL, files[0], "-t", "1000"),
                2,
                "target '1000' does not fit the model's output",
            ),
            ((run, MODEL, tmp_path / "none.png"), 2, "no image"),
            ((run, MODEL, broken), 1, "cannot be read"),
            (
                (run, MODEL, files[0], "--contribution", "guess"),
                2,
                "'guess' is none of auto, linear",
            ),
            ((tmp_path, MODEL, files[0]), 2, "is no run"),
            (
                (run, MODEL, files[0], "--classes", tmp_path / "no"),
                2,
                "cannot be read",
            ),
        ]:
            done = run_nd("explain", *arguments, COLUMNS="300")
            assert done.returncode == code and message in done.stderr, done.stderr
            assert done.stdout == "" and "Traceback" not in done.stderr
