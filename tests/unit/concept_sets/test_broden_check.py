"""``nd concepts check`` on Broden's layout: planted faults are found and named, sound sets pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from planted_faults import FAULTS, BrodenFiles, Place, copied, small_camvid

from nd_broden.checking import check
from nd_plugin import SetFinding

Fault = Callable[[BrodenFiles], Place]
# other errors that a fault has as its consequence
CONSEQUENCES = {
    "turned_image": {"mask-aspect"},
    "category_without_a_table": {"category-without-concepts"},
    "category_without_a_column": {"unused-category"},
}


@pytest.fixture(scope="module")
def small(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some of CamVid's images with tables of their own."""
    root = tmp_path_factory.mktemp("small") / "camvid"
    return small_camvid(real_data / "broden_camvid", root)


def places(findings: list[SetFinding]) -> set[Place]:
    return {(finding.rule, finding.file) for finding in findings}


def test_there_are_thirty_faults_and_more() -> None:
    assert len(FAULTS) >= 40


def test_the_small_set_is_sound(small: Path) -> None:
    assert list(check(str(small))) == []


@pytest.mark.parametrize("index", ["index.csv", "index_sparse.csv"])
def test_the_original_has_no_faults(real_data: Path, index: str) -> None:
    root = str(real_data / "broden_camvid")
    assert list(check(root, index=index)) == []


@pytest.mark.parametrize("plant", FAULTS, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_named(
    small: Path, tmp_path: Path, plant: Fault
) -> None:
    files = copied(small, tmp_path / "set")
    place = plant(files)
    files.save()
    findings = list(check(str(files.root)))
    assert place in places(findings)
    assert all(finding.problem and finding.remedy for finding in findings)
    error_rules = {finding.rule for finding in findings if finding.is_error}
    consequences = CONSEQUENCES.get(plant.__name__, set())
    assert error_rules - {place[0]} <= consequences


def test_all_of_them_at_once_in_a_copy_of_the_original(
    real_data: Path, tmp_path: Path
) -> None:
    files = copied(real_data / "broden_camvid", tmp_path / "set")
    expected = {plant(files) for plant in FAULTS}
    files.save()
    assert expected - places(list(check(str(files.root)))) == set()
