"""``nd dissect --resume`` of a finished run: complete where the same is asked for, else refused."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from written_sets import save_image, write_broden, write_masks

from nd_plugin import Dissection, ModelOptions, open_model
from nd_plugin.contracts.provenance import ModelTraits
from nd_plugin.results.run_folder import RUN, load_run, save_run

CONCEPTS = "shapes?images=6&size=64&seed=0"
FACTORY = """
import torch
from torch import nn

batches = []

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.near, self.far = nn.Conv2d(3, 5, 5, 4, 2), nn.Conv2d(5, 6, 3, 2, 1)

    def forward(self, x):
        values = self.near(x)
        # not of a pass that ends at the first layer
        batches.append(len(x))
        return self.far(self.act(values)).relu()

def net(seed="0", act="relu"):
    torch.manual_seed(int(seed))
    made = Net()
    made.act = getattr(torch, act)
    return made
"""
MODEL = ["finished_net:net"]
LAYERS = ["-l", "near", "-l", "far"]
QUANTILES = ["--quantile", "0.05", "--quantile", "0.2"]
DATA = ["-c", CONCEPTS, "--input-size", "64", "--batch-size", "3", "--workers", "0"]


@pytest.fixture(scope="module", autouse=True)
def factory(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Make ``finished_net:net`` importable, for this module of tests."""
    folder = tmp_path_factory.mktemp("factory")
    (folder / "finished_net.py").write_text(FACTORY)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield
    sys.modules.pop("finished_net", None)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, nd: Any, factory: None) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    done = nd("dissect", *MODEL, *LAYERS, *QUANTILES, *DATA, "-o", folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def forward_passes(monkeypatch: pytest.MonkeyPatch, run: Path) -> list[int]:
    """Images of each forward pass during a test."""
    import finished_net

    batches: list[int] = []
    monkeypatch.setattr(finished_net, "batches", batches)
    return batches


@pytest.fixture(scope="module")
def opening_passes(run: Path) -> list[int]:
    """Images of each pass of a probe that is opened: noise, before any image."""
    import finished_net

    model = open_model(MODEL[0], ModelOptions("cpu"))
    with pytest.MonkeyPatch.context() as patch:
        batches: list[int] = []
        patch.setattr(finished_net, "batches", batches)
        with model.probe(["near", "far"], (64, 64)):
            return batches


def contents(folder: Path) -> dict[Path, tuple[int, int]]:
    """Identity and time of every file, which change with every replacement."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


SAME = {
    "the same words": [*MODEL, *LAYERS, *QUANTILES, *DATA],
    "options in another order": [*DATA, *QUANTILES, *LAYERS, *MODEL],
    "layers in another order": [*MODEL, "-l", "far", "-l", "near", *QUANTILES, *DATA],
    "quantiles in another order": [*MODEL, *LAYERS, "--quantile=0.2", "--quantile=.050", *DATA],
    "longer words": [*MODEL, "--layer=near", "--layer=far", *QUANTILES, *DATA],
    "other workers": [*MODEL, *LAYERS, *QUANTILES, *DATA[:-1], "1"],
    "differs in way through the model": [
        *MODEL, *LAYERS, *QUANTILES, "-c", CONCEPTS, "--input-size", "64x64", "--batch-size", "2",
        "--memory", "10MB", "--checkpoint-every", "3", "--device", "cpu",
    ],
    "defaults spelt out": [
        *MODEL, *LAYERS, *QUANTILES, *DATA, "--min-iou", "0.04", "--anchor", "rf",
        "--top-images", "50", "--interpolation", "bilinear",
    ],
    "a shorter name of the concept set": [
        *MODEL, *LAYERS, *QUANTILES, "-c", "shapes?seed=0&size=64&images=6", "--input-size", "64",
    ],
    "the same weights by another name": [f"{MODEL[0]}?seed=0", *LAYERS, *QUANTILES, *DATA],
    "ready to be replaced": [*MODEL, *LAYERS, *QUANTILES, *DATA, "--overwrite"],
}  # fmt: skip


@pytest.mark.parametrize("arguments", SAME.values(), ids=SAME)
def test_the_same_is_complete(
    arguments: list[str],
    run: Path,
    nd: Any,
    forward_passes: list[int],
    opening_passes: list[int],
) -> None:
    before = contents(run)
    done = nd("dissect", *arguments, "-o", run, "--resume")
    assert done.returncode == 0, done.stderr
    assert done.stdout == nd("report", run).stdout
    assert f"{run} is complete (nd report {run})" in done.stderr
    assert "could not be compared" not in done.stderr
    assert forward_passes == opening_passes and contents(run) == before


def test_its_report_is_json_where_asked_for(run: Path, nd: Any) -> None:
    done = nd(
        "dissect",
        *MODEL,
        *LAYERS,
        *QUANTILES,
        *DATA,
        "-o",
        run,
        "--resume",
        "--json",
    )
    assert (
        done.returncode == 0 and done.stdout == nd("report", run, "--json").stdout
    )


def test_a_layer_may_go_by_another_name(run: Path, nd: Any) -> None:
    """A backend may know several names of a layer; the run has the canonical one."""
    layers = ["-l", "module.near", "-l", "module.far"]
    done = nd("dissect", *MODEL, *layers, *QUANTILES, *DATA, "-o", run, "--resume")
    assert done.returncode == 0 and "is complete" in done.stderr, done.stderr


OTHER = {
    "another quantile": (
        [*MODEL, *LAYERS, "--quantile", "0.05", "--quantile", "0.1", *DATA],
        "differs in settings.quantiles: [0.05, 0.2], not [0.05, 0.1]",
    ),
    "fewer quantiles": (
        [*MODEL, *LAYERS, "--quantile", "0.05", *DATA],
        "differs in settings.quantiles: [0.05, 0.2], not [0.05]",
    ),
    "fewer layers": (
        [*MODEL, "-l", "near", *QUANTILES, *DATA],
        "differs in layers: ['far', 'near'], not ['near']",
    ),
    "other weights": (
        [f"{MODEL[0]}?seed=1", *LAYERS, *QUANTILES, *DATA],
        "model.fingerprint: ",
    ),
    "another function of the same weights": (
        [f"{MODEL[0]}?act=sigmoid", *LAYERS, *QUANTILES, *DATA],
        "differs in model.spec: 'finished_net:net?act=relu&seed=0.0', not "
        "'finished_net:net?act=sigmoid&seed=0.0'",
    ),
    "other settings": (
        [*MODEL, *LAYERS, *QUANTILES, *DATA, "--top-images", "3"],
        "settings.top_images: 50, not 3",
    ),
    "another concept set": (
        [
            *MODEL,
            *LAYERS,
            *QUANTILES,
            *DATA,
            "-c",
            "shapes?images=6&size=64&seed=1",
        ],
        "concept set.fingerprint: ",
    ),
    "another preprocessing": (
        [*MODEL, *LAYERS, *QUANTILES, *DATA, "--mean", "0,0,0"],
        "preprocessing.mean: ",
    ),
}


@pytest.mark.parametrize(("arguments", "difference"), OTHER.values(), ids=OTHER)
def test_something_else_is_refused(
    arguments: list[str], difference: str, run: Path, nd: Any
) -> None:
    before = contents(run)
    done = nd("dissect", *arguments, "-o", run, "--resume")
    assert done.returncode == 2 and done.stdout == ""
    assert f"{run} exists already" in done.stderr and difference in done.stderr, (
        done.stderr
    )
    assert (
        "choose another folder, or replace the run with --overwrite" in done.stderr
    )
    assert contents(run) == before


def test_an_edited_model_is_refused(
    run: Path, nd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The words, the weights and the modules are the same; what is computed is not."""
    import finished_net

    monkeypatch.setattr(finished_net.torch, "relu", finished_net.torch.sigmoid)
    before = contents(run)
    done = nd("dissect", *MODEL, *LAYERS, *QUANTILES, *DATA, "-o", run, "--resume")
    assert done.returncode == 2 and done.stdout == ""
    assert "differs in what the model computes" in done.stderr, done.stderr
    assert "layer 'far'" in done.stderr and contents(run) == before


def without_traits(dissection: Dissection) -> Dissection:
    """Return a result as earlier versions have saved it."""
    provenance = replace(dissection.provenance, traits=ModelTraits())
    return replace(dissection, provenance=provenance)


def test_a_run_of_an_earlier_version_is_complete_and_a_remark_says_what_is_unknown(
    run: Path, nd: Any, tmp_path: Path
) -> None:
    earlier = tmp_path / "run"
    save_run(earlier, [without_traits(layer) for layer in load_run(run)])
    done = nd(
        "dissect", *MODEL, *LAYERS, *QUANTILES, *DATA, "-o", earlier, "--resume"
    )
    assert done.returncode == 0 and "is complete" in done.stderr, done.stderr
    assert done.stderr.count("could not be compared") == 2
    other = f"{MODEL[0]}?seed=1"
    done = nd(
        "dissect", other, *LAYERS, *QUANTILES, *DATA, "-o", earlier, "--resume"
    )
    assert done.returncode == 2 and "model.fingerprint" in done.stderr


@pytest.fixture
def written(tmp_path: Path, nd: Any) -> Any:
    """Return a function that dissects a set on disk, and the folder of the set."""
    root = tmp_path / "set"

    def dissect(text: str, *options: str) -> Any:
        return nd(
            "dissect", *MODEL, "-l", "near", "-c", text, "--input-size", "32", "--batch-size", "3",
            "--workers", "0", "-o", tmp_path / "run", "--resume", *options,
        )  # fmt: skip

    return root, dissect


def edit_label(root: Path) -> None:
    (root / "label.csv").write_text("number,name,category\n1,right,object\n")


def edit_concept(root: Path) -> None:
    (root / "concepts.csv").write_text("category,value,name\nobject,1,right\n")


def delete_image(root: Path) -> None:
    (root / "images" / "3.bmp").unlink()


def replace_image(root: Path) -> None:
    save_image(root / "images" / "3.bmp", 99, side=40)


CHANGES = {
    "an edited label.csv": (write_broden, edit_label),
    "an edited concepts.csv": (write_masks, edit_concept),
    "a deleted image of Broden": (write_broden, delete_image),
    "a deleted image of masks": (write_masks, delete_image),
    "an image of Broden of another size": (write_broden, replace_image),
    "an image of masks of another size": (write_masks, replace_image),
}


@pytest.mark.parametrize(("write", "change"), CHANGES.values(), ids=CHANGES)
def test_other_data_are_refused(
    write: Callable[[Path], str], change: Callable[[Path], None], written: Any
) -> None:
    root, dissect = written
    text = write(root)
    assert dissect(text).returncode == 0
    assert "is complete" in dissect(text).stderr
    change(root)
    done = dissect(text)
    assert done.returncode == 2 and done.stdout == "", done.stderr
    assert (
        "differs in concept set.fingerprint" in done.stderr
        or "images" in done.stderr
    )


def test_contents_of_the_same_sizes_are_refused_where_they_are_verified(
    written: Any,
) -> None:
    root, dissect = written
    text = write_masks(root)
    done = dissect(text, "--verify-data")
    assert done.returncode == 0 and "contents verified" in done.stdout, done.stderr
    assert "verifying data: 6 images" in done.stderr
    assert "is complete" in dissect(text, "--verify-data").stderr
    save_image(root / "images" / "3.bmp", 99)
    unverified = dissect(text)
    assert unverified.returncode == 0
    assert "verified when the run was made, and are not now" in unverified.stderr
    done = dissect(text, "--verify-data")
    assert done.returncode == 2 and "contents of images or masks" in done.stderr


def test_a_run_that_was_not_verified_is_not_said_to_be(written: Any) -> None:
    root, dissect = written
    text = write_broden(root)
    assert dissect(text).returncode == 0
    done = dissect(text, "--verify-data")
    assert done.returncode == 2 and "begun without --verify-data" in done.stderr


def test_another_reader_s_fingerprint_is_not_compared_but_names_are(
    written: Any, tmp_path: Path
) -> None:
    root, dissect = written
    text = write_broden(root)
    assert dissect(text).returncode == 0
    (layer,) = load_run(tmp_path / "run")
    reader = replace(
        layer.provenance.concept_set, version="1", fingerprint="tables"
    )
    earlier = replace(
        layer, provenance=replace(layer.provenance, concept_set=reader)
    )
    save_run(tmp_path / "run", [earlier])
    done = dissect(text)
    assert done.returncode == 0, done.stderr
    assert "of version '1' in the run, and of '2' now" in done.stderr
    index = (root / "index.csv").read_text()
    (root / "images" / "3.bmp").rename(root / "images" / "9.bmp")
    (root / "index.csv").write_text(index.replace("3.bmp", "9.bmp"))
    done = dissect(text)
    assert (
        done.returncode == 2
        and "image 3 of the concept set: '3.bmp', not" in done.stderr
    )


def test_a_layer_that_there_is_not_is_named(run: Path, nd: Any) -> None:
    done = nd(
        "dissect", *MODEL, "-l", "nowhere", *QUANTILES, *DATA, "-o", run, "--resume"
    )
    assert done.returncode == 2 and "no layer 'nowhere' in Net" in done.stderr


def test_nothing_is_compared_without_resume(
    run: Path, nd: Any, forward_passes: list[int]
) -> None:
    done = nd("dissect", *MODEL, *LAYERS, *QUANTILES, *DATA, "-o", run)
    assert (
        done.returncode == 2
        and "exists already; choose another folder" in done.stderr
    )
    assert forward_passes == []


@pytest.mark.parametrize(
    "spoil", [lambda run: "{", lambda run: run], ids=["damaged", "another"]
)
def test_another_run_is_replaced_where_asked_for(
    spoil: Callable[[str], str], tmp_path: Path, nd: Any
) -> None:
    first = ["dissect", *MODEL, "-l", "near", *DATA, "-o", tmp_path / "run"]
    assert nd(*first).returncode == 0
    record = tmp_path / "run" / RUN
    record.write_text(spoil(record.read_text()))
    done = nd(
        "dissect", *MODEL, "-l", "far", *DATA, "-o", tmp_path / "run", "--resume"
    )
    assert done.returncode == 2, done.stderr
    done = nd("dissect", *MODEL, "-l", "far", *DATA, "-o", tmp_path / "run", "--resume",
              "--overwrite", "--json")  # fmt: skip
    assert done.returncode == 0 and f"saved in {tmp_path / 'run'}" in done.stderr, (
        done.stderr
    )
    assert '"layer": "far"' in done.stdout
