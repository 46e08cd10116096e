"""Data sets of PyTorch that a text names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_sources_b import write_dataset

from nd_plugin import ConceptSetInvalid, Unavailable, open_concepts

CODE = """
import numpy as np

class Masks:
    classes = ["", "one", "two"]
    def __init__(self, count=2, shift=0, label="a"):
        assert isinstance(shift, float), shift
        self.count = count
    def __len__(self):
        return self.count
    def __getitem__(self, index):
        return np.full((4, 4, 3), index, np.uint8), np.ones((4, 4), np.int64)

def make(**options):
    return Masks(**options)

def fail():
    raise KeyError("nothing here")

def leave():
    raise SystemExit(3)

def needs():
    import a_package_that_is_missing

def number():
    return 3

ready = Masks(shift=0.5)
unnamed = [(np.zeros((4, 4), np.uint8), np.ones((4, 4), np.int64))]
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Write a module into the current folder; return its name."""
    name = f"made_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(CODE)
    (tmp_path / "names.csv").write_text("value,name\n1,square\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def names_of(concepts: Any) -> list[str]:
    return [concept.name for concept in concepts.concepts]


def test_a_class_is_called_with_the_options(module: str) -> None:
    text = f"dataset:{module}:Masks?count=5&shift=0.5&label=x&names=names.csv"
    concepts = open_concepts(text)
    assert len(concepts) == 5 and names_of(concepts) == ["square"]
    assert concepts.identity.name == "dataset"
    assert concepts.identity.source == text
    assert concepts.annotation(4).planes[0].all()


def test_a_function_a_data_set_and_its_own_classes(module: str) -> None:
    concepts = open_concepts(f"dataset:{module}:make?shift=0.5&category=part")
    assert names_of(concepts) == ["one", "two"]
    assert concepts.categories == ("part",)
    concepts = open_concepts(f"dataset:{module}:ready?ignore=1")
    assert names_of(concepts) == ["two"]
    assert not concepts.annotation(0).planes[0].any()


def test_values_to_ignore_are_numbers(module: str) -> None:
    concepts = open_concepts(f"dataset:{module}:ready?ignore=")
    assert names_of(concepts) == ["one", "two"]
    assert np.unique(concepts.annotation(0).planes[0]).tolist() == [1]
    with pytest.raises(ConceptSetInvalid, match="ignore=a are no whole numbers"):
        open_concepts(f"dataset:{module}:ready?ignore=a")


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("", "names no function of a module; expected dataset:package"),
        ("{}", "names no function of a module"),
        ("{}:Mask", "has no 'Mask'; the nearest are Masks"),
        ("{}_no:Masks", "no module '.*_no' for the data set"),
        ("{}:fail", "could not be created: KeyError: 'nothing here'"),
        ("{}:leave", "could not be created: SystemExit: 3"),
        ("{}:number?names=names.csv", "has no length and no numbered items"),
        ("{}:unnamed", "has no names of mask values: give names=FILE.csv"),
        ("{}:make?shift=1", "could not be created: AssertionError: 1"),
        ("{}:make?nothing=1&shift=0.5", "unexpected keyword argument 'nothing'"),
        ("{}:ready?names=nothing.csv", "no nothing.csv in"),
    ],
)
def test_what_cannot_be_opened_is_named(
    module: str, path: str, problem: str
) -> None:
    with pytest.raises(ConceptSetInvalid, match=problem):
        open_concepts(f"dataset:{path.format(module)}")


def test_a_package_that_is_missing_is_unavailable(module: str) -> None:
    with pytest.raises(Unavailable, match="needs a package that is not installed"):
        open_concepts(f"dataset:{module}:needs")


def test_the_sample_of_other_tests(tmp_path: Path) -> None:
    concepts = open_concepts(write_dataset(tmp_path))
    assert len(concepts) == 4 and names_of(concepts) == ["left", "right"]
    plane = concepts.annotation(0).planes[0]
    assert not plane[:2].any() and np.unique(plane[2:, :16]).tolist() == [1]
