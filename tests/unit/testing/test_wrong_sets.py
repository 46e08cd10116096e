"""Kit of concept sets: each check catches sets that are wrong in what it looks at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import wrong_sets
from PIL import Image
from wrong_sets import WRONG_SETS, RightSet, WrongSet, write_halves

from nd_plugin.testing import (
    ConformanceError,
    check_concept_set,
    concept_set_checks,
)
from nd_plugin.testing.concept_sets import CONCEPT_SET_RULES


@pytest.fixture(autouse=True)
def shared_things() -> Iterator[None]:
    """Undo what wrong sets do to this process."""
    limit = Image.MAX_IMAGE_PIXELS
    wrong_sets.IMAGES_OF_ALL.clear()
    wrong_sets.PLANES_OF_ALL.clear()
    yield
    Image.MAX_IMAGE_PIXELS = limit
    for file in wrong_sets.HANDLES:
        file.close()
    wrong_sets.HANDLES.clear()


@pytest.mark.parametrize("row", WRONG_SETS, ids=lambda row: row.name)
def test_a_wrong_set_breaks_its_check(row: WrongSet, tmp_path: Path) -> None:
    folder = write_halves(tmp_path)
    with pytest.raises(ConformanceError) as raised:
        check_concept_set(row.make, folder, flipped="yes")
    broken = {check.name: check.problem for check in raised.value.broken}
    assert set(broken) == {row.check, *row.follows}


def test_a_right_set_passes(tmp_path: Path) -> None:
    folder = write_halves(tmp_path)
    check_concept_set(RightSet, folder, flipped="yes")
    for check in concept_set_checks(RightSet, folder, images=1):
        check()


def test_every_check_has_a_set_that_breaks_it() -> None:
    caught = {row.check for row in WRONG_SETS}
    assert {rule.name for rule in CONCEPT_SET_RULES} == caught
    names = [row.name for row in WRONG_SETS]
    assert len(set(names)) == len(names)
