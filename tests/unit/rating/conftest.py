"""Dissection with pictures to rate, and the file of votes of a study of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from made_ratings import large_dissection

from nd_plugin import Dissection
from nd_plugin.rating.study import Plan, Study, plan_study
from nd_plugin.rating.votes import VoteFile


@pytest.fixture
def large(dissection: Dissection) -> Dissection:
    """Dissection of 12 units with pictures."""
    return large_dissection(dissection, 12)


@pytest.fixture
def study(large: Dissection) -> Study:
    """Study of all units, with descriptions of units 0 to 4."""
    descriptions = {(large.layer, unit): f"written {unit}" for unit in range(5)}
    return plan_study([large], Plan(units=None, descriptions=descriptions))


@pytest.fixture
def votes(study: Study, tmp_path: Path) -> Iterator[VoteFile]:
    with VoteFile.create(tmp_path / "votes.sqlite", study) as file:
        yield file
