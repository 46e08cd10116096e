"""Small dissection, made by hand, without and with pictures."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_dissections import plain_dissection
from made_pictures import make_pictures

from nd_plugin import Dissection


@pytest.fixture
def dissection() -> Dissection:
    """Dissection of five units: detectors of cat, tail and cat, a dead unit and a sparse one.

    Four concepts in two categories.
    """
    return plain_dissection("block.1/relu")


@pytest.fixture
def pictured(dissection: Dissection) -> Dissection:
    """The same dissection with pictures of each unit's first two top images."""
    return replace(dissection, stored_pictures=make_pictures(dissection))
