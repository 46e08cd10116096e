"""Completion of models, concept sets and layers, as shells ask for it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nd_plugin.shell import completion, layer_cache

TESTS = Path(__file__).parents[2]
Complete = Callable[..., list[str]]


@pytest.fixture
def complete(tmp_path: Path) -> Complete:
    """Complete the last word in bash, which splits words at colons; the folder has some files."""
    for name in ("street", "strange", ".hidden"):
        (tmp_path / name).mkdir()
    for name in ("net.onnx", "notes.txt"):
        (tmp_path / name).touch()

    def run(*words: str) -> list[str]:
        paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "COMP_WORDS": "\n".join(["nd", *words]),
            "COMP_CWORD": str(len(words)),
            "_ND_COMPLETE": "complete_bash",
        }
        code = (
            "import sys; sys.argv = ['nd']; from nd_plugin.cli import main; main()"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == ""
        return done.stdout.splitlines()

    return run


def test_models(complete: Complete) -> None:
    answers = complete("layers", "")
    assert {"net.onnx", "street/", "strange/"} <= set(answers)
    assert not {"notes.txt", ".hidden/"} & set(answers)
    assert complete("layers", "ne") == ["net.onnx"]


def test_concept_sets(complete: Complete) -> None:
    answers = set(complete("dissect", "net.onnx", "-c", ""))
    assert {"broden:", "masks:", "shapes", "coco:", "folders:"} <= answers
    assert not {"shapes:", "coco", "folders"} & answers
    assert complete("concepts", "masks", ":", "stre") == ["street/"]
    assert complete("concepts", "masks", ":") == ["strange/", "street/"]


def test_a_group_with_a_default(complete: Complete) -> None:
    """Its commands, and the options of the one that runs without being named."""
    assert "list" in complete("plugins", "")
    assert "--json" in complete("plugins", "--j")


def test_sets_of_a_combination(complete: Complete, tmp_path: Path) -> None:
    answers = complete("concepts", "shapes+")
    assert {"shapes+broden:", "shapes+masks:", "shapes+shapes"} <= set(answers)
    assert all(answer.startswith("shapes+") for answer in answers)
    assert complete("concepts", "masks", ":", "x+masks", ":", "stre") == ["street/"]
    assert "concat(shapes, shapes" in completion.complete_concepts(
        "concat(shapes, shap"
    )
    folder = tmp_path / "a+b"
    (folder / "inside").mkdir(parents=True)
    text = f"masks:{folder}/"
    assert completion.complete_concepts(text) == [f"{text}inside/"]


def test_layers_that_were_listed_before(
    complete: Complete, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    assert complete("dissect", "pkg", ":", "net", "-l", "") == []
    layer_cache.remember("pkg:net", ["conv1", "layer1", "layer1.relu", "layer2"])
    words = ("dissect", "pkg", ":", "net", "-l")
    assert complete(*words, "layer1") == ["layer1", "layer1.relu"]
    assert complete(*words, "conv1,layer2") == ["conv1,layer2"]


def test_layers_of_a_run(complete: Complete, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text(
        '{"layers": [{"layer": "near"}, {"layer": "far"}]}'
    )
    assert complete("explain", "run", "pkg", ":", "net", "-l", "f") == ["far"]


def test_a_file_is_listed_once_and_anew_when_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = tmp_path / "net.onnx"
    model.write_bytes(b"first")
    listings = []

    def list_layers(text: str) -> list[str]:
        listings.append(text)
        return ["conv1"]

    monkeypatch.setattr(completion, "_list_layers", list_layers)
    for _ in range(2):
        assert completion._layers_of_model(str(model)) == ["conv1"]
    assert len(listings) == 1
    model.write_bytes(b"another")
    assert completion._layers_of_model(str(model)) == ["conv1"]
    assert len(listings) == 2


def test_no_code_of_the_users_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(completion, "_list_layers", lambda text: ["never"])
    assert completion._layers_of_model("networks:ResNet18") == []
    assert completion._layers_of_model("torchvision:resnet18") == []


@pytest.mark.parametrize(
    ("words", "position", "joined", "new_position"),
    [
        (["nd", "a", ":", "b"], 3, ["nd", "a:b"], 1),
        (["nd", "a", ":"], 2, ["nd", "a:"], 1),
        (["nd", "a", ":", ""], 3, ["nd", "a:"], 1),
        (["nd", "a", ":", "b", "-l", "x"], 5, ["nd", "a:b", "-l", "x"], 3),
        (["nd", "a", "b"], 2, ["nd", "a", "b"], 2),
    ],
)
def test_words_that_bash_has_split(
    words: list[str], position: int, joined: list[str], new_position: int
) -> None:
    assert completion.join_at_colons(words, position) == (joined, new_position)
