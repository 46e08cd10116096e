"""Combinations of concept sets as texts of -c: opened, guarded, told apart by runs."""

from __future__ import annotations

import json
import pickle
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from made_sets import MadeSet, concepts_of, shown
from torch import nn
from typer.testing import CliRunner
from written_sets import write_broden, write_masks

from nd_plugin import (
    BadInput,
    ConceptSet,
    ConceptSetInvalid,
    ConceptSetSpec,
    LayerDissection,
    PluginFailed,
    concepts_to_captum,
    open_concepts,
)
from nd_plugin.cli.app import app
from nd_plugin.plugins import host as hosts
from nd_plugin.plugins.host import Host, Offer
from nd_plugin.plugins.loading import Plugin

PLUGIN = Plugin("claims", "nd-claims", "1.0", "loaded")


class Claimed(MadeSet):
    """Set of a third party, whose text is its argument."""

    def __init__(self, argument: str) -> None:
        concepts = concepts_of(object="car")
        without_images = MadeSet(argument, concepts, {})
        annotations = {"a": shown(without_images, "car")}
        super().__init__(argument, concepts, annotations)


class Failing(Claimed):
    """Set whose names fail."""

    def name(self, index: int) -> str:
        raise KeyError("no names")


def is_claimed(text: str) -> int:
    return 5 if text.startswith("//") else 0


@pytest.fixture
def third_party(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two sets of a third party: ``hub:…`` or any text that begins with ``//``, and ``failing``."""
    specs = [
        ConceptSetSpec("hub", "", f"{__name__}:Claimed", is_claimed, ("hub:NAME",)),
        ConceptSetSpec("failing", "", f"{__name__}:Failing"),
    ]
    own = hosts.load_plugins()
    offers = [*own.offers, *(Offer(spec, PLUGIN) for spec in specs)]
    changed = Host(own.plugins, tuple(offers), own.manager)
    hosts.host.cache_clear()
    monkeypatch.setattr(hosts, "load_plugins", lambda: changed)
    yield
    hosts.host.cache_clear()


def test_folders_with_operators_in_their_names_open_as_before(
    tmp_path: Path,
) -> None:
    for name in ("a+b", "[object]", "set (1), copy", "a+masks:b", 'say "x"'):
        text = write_masks(tmp_path / name)
        assert open_concepts(text).identity.source == text
        assert open_concepts(
            f"{text}[object]"
        ).identity.source == f'"{text}"[object]'.replace('say "x"', 'say ""x""')
        reopened = open_concepts(open_concepts(f"{text}[object]").identity.source)
        assert len(reopened) == 6


def test_a_path_is_a_single_set(tmp_path: Path) -> None:
    with pytest.raises(ConceptSetInvalid, match="no concept set"):
        open_concepts(Path("shapes[object]"))


@pytest.mark.parametrize(
    ("text", "source"),
    [
        # claimed as a whole, as ever
        ("//a+masks:b[object]", "//a+masks:b[object]"),
        ("//a[object]", "//a[object]"),
        ("hub:cats[0:10]", "cats[0:10]"),
        ('"hub:cats[object]"', "cats[object]"),
        ("(//a)[object]", "//a[object]"),
        ("(//a)+hub:b", "//a+b"),
        ("hub:a?+hub:b", "a+b"),
    ],
)
@pytest.mark.usefixtures("third_party")
def test_sets_of_third_parties(text: str, source: str) -> None:
    assert open_concepts(text).identity.source == source


def test_a_source_that_is_there_twice_is_opened_once(tmp_path: Path) -> None:
    text = write_masks(tmp_path / "set")
    joined: Any = open_concepts(f"concat({text}, {text}, {text}[object])")
    first, second, selected = joined.parts
    assert first is second
    assert selected.parts == (first,)


@pytest.mark.usefixtures("third_party")
def test_a_claim_of_the_whole_is_no_selection() -> None:
    assert isinstance(open_concepts("//a[object]").concepts, tuple)
    assert open_concepts("//a[object]").identity.name == "made"
    assert open_concepts("(//a)[object]").identity.name == "selection"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("shapes?images=3+masks:nowhere", "no folder 'nowhere'"),
        ("shapes?images=3+brodn:x", "the nearest is 'broden'"),
        ("shapes?images=3+shape", "shapes"),
        ("masks:nowhere[object]", "no folder 'nowhere'; expected masks:ROOT"),
        (
            "masks:nowhere+colour",
            "'colour' behind '+' is no concept set (the nearest is 'color')",
        ),
        ("color+shapes", "no concept set 'color'"),
        (
            "shapes?images=3[objects]",
            "no category 'objects'; the nearest is 'object'",
        ),
        ("shapes?images=3[name=xyz]", "no concept 'xyz'"),
    ],
)
def test_errors_name_what_is_wrong(text: str, problem: str) -> None:
    with pytest.raises(ConceptSetInvalid, match=re.escape(problem)):
        open_concepts(text)


@pytest.mark.usefixtures("third_party")
@pytest.mark.parametrize(
    "text",
    [
        "failing+shapes?images=1",
        "concat(shapes?images=1, failing)",
        "failing[object]",
    ],
)
def test_the_plugin_at_fault_is_named(text: str) -> None:
    problem = re.escape(
        "failed in name(0) of the concept set 'failing': KeyError: 'no names'"
    )
    with pytest.raises(
        PluginFailed, match=f"plugin 'claims' of nd-claims 1.0 {problem}"
    ):
        open_concepts(text).name(0)


@pytest.fixture
def colours(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """Stand-in for the colours of pixels; return what is asked for."""
    calls: list[tuple[str, Any]] = []

    def with_colours(concepts: ConceptSet, table: Any = None) -> ConceptSet:
        calls.append((concepts.identity.source, table))
        without_images = MadeSet(
            f"{concepts.identity.source}+color", concepts_of(color="red"), {}
        )
        annotations = {
            concepts.name(index): shown(without_images, "red")
            for index in range(len(concepts))
        }
        return MadeSet(without_images.source, without_images.concepts, annotations)

    module = ModuleType("nd_plugin.concepts.colours.coloured_set")
    module.with_colours = with_colours  # type: ignore[attr-defined]
    monkeypatch.setitem(
        sys.modules, "nd_plugin.concepts.colours", ModuleType("colours")
    )
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return calls


def test_colours_are_added(tmp_path: Path, colours: list[tuple[str, Any]]) -> None:
    text = write_masks(tmp_path / "set")
    assert open_concepts(f"{text}+color").categories == ("color",)
    open_concepts(f"{text}+color?table=own/table.npy")
    selected = open_concepts(f"({text}[object]+color)[color]")
    assert colours == [
        (text, None),
        (text, "own/table.npy"),
        (f"{text}[object]", None),
    ]
    assert selected.identity.source == f"({text}[object]+color)[color]"
    assert open_concepts(selected.identity.source).identity == selected.identity


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU()).eval()


def dissect(text: str, **options: Any) -> Any:
    return LayerDissection(network(), "0").dissect(text, quantile=0.05, **options)


def test_workers_decode_combinations(tmp_path: Path) -> None:
    text = f"{write_masks(tmp_path / 'm')}+{write_broden(tmp_path / 'b')}"
    alone = dissect(text, workers=0)
    assert (dissect(text, workers=2).intersection == alone.intersection).all()
    assert alone.provenance.concept_set.source == text
    unpickled = pickle.loads(pickle.dumps(open_concepts(text)))
    assert unpickled.identity == open_concepts(text).identity


invoke: Callable[..., Any] = CliRunner().invoke


@pytest.fixture
def onnx_model(tmp_path: Path) -> str:
    import onnx_files

    return str(onnx_files.dynamic_batch(tmp_path))


def run(*words: str) -> Any:
    return invoke(app, list(words))


def test_shards_of_different_combinations_are_not_merged(
    tmp_path: Path, onnx_model: str
) -> None:
    masks, broden = write_masks(tmp_path / "m"), write_broden(tmp_path / "b")
    folders = []
    for number, text in enumerate(
        (f"concat({masks}, {broden})", f"concat({broden}, {masks})")
    ):
        folder = tmp_path / f"shard{number}"
        folders.append(str(folder))
        words = [
            "dissect",
            onnx_model,
            "-l",
            "conv1",
            "-c",
            text,
            "-o",
            str(folder),
        ]
        done = run(*words, "--shard", f"{number + 1}/2", "--batch-size", "2")
        assert done.exit_code == 0, done.output
    done = run("merge", *folders, "-o", str(tmp_path / "run"))
    assert isinstance(done.exception, BadInput)
    assert "it differs in concept set.fingerprint" in str(done.exception)


def test_shards_of_a_combination_are_merged_by_its_own_text(
    tmp_path: Path, onnx_model: str
) -> None:
    text = f"{write_masks(tmp_path / 'm+x')}[object]+{write_broden(tmp_path / 'b')}"
    words = ["dissect", onnx_model, "-l", "conv1", "-c", text, "--batch-size", "2"]
    folders = []
    for number in (1, 2):
        folders.append(str(tmp_path / f"shard{number}"))
        done = run(*words, "-o", folders[-1], "--shard", f"{number}/2")
        assert done.exit_code == 0, done.output
    merged = run("merge", *folders, "-o", str(tmp_path / "merged"), "--json")
    whole = run(*words, "-o", str(tmp_path / "whole"), "--json")
    assert merged.exit_code == whole.exit_code == 0, merged.output
    (merged_layer,) = json.loads(merged.stdout)["layers"]
    (whole_layer,) = json.loads(whole.stdout)["layers"]
    assert merged_layer.pop("notes") == [
        *whole_layer.pop("notes"),
        "merged from 2 shards",
    ]
    assert merged_layer == whole_layer


def test_a_finished_run_of_another_combination_is_not_continued(
    tmp_path: Path, onnx_model: str
) -> None:
    masks = write_masks(tmp_path / "m")
    folder = str(tmp_path / "run")
    words = ["dissect", onnx_model, "-l", "conv1", "-o", folder, "--resume", "-c"]
    assert run(*words, f"{masks}+{masks}").exit_code == 0
    assert run(*words, f"{masks}+{masks}").exit_code == 0
    done = run(*words, f"concat({masks}, {masks})")
    assert isinstance(done.exception, BadInput)
    assert "it differs in concept set" in str(done.exception)


def test_commands_take_combinations(tmp_path: Path, onnx_model: str) -> None:
    masks = write_masks(tmp_path / "m")
    text = f"{masks}[object]+{masks}"
    layer = ["-l", "conv1"]
    out = str(tmp_path / "out")
    listed = run("concepts", "list", text, "--json")
    assert json.loads(listed.stdout)["source"] == text
    for words in (
        [
            "rotate",
            onnx_model,
            *layer,
            "-c",
            text,
            "-o",
            f"{out}1",
            "--repeats",
            "1",
        ],
        ["parity", onnx_model, onnx_model, *layer, "-c", text],
    ):
        done = run(*words)
        assert done.exit_code == 0, (words, done.output)
    (concept,) = concepts_to_captum(text)
    assert concept.name == "left"
