"""Page of the kits: its tables are those of the code."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from wrong_backends import WRONG_BACKENDS
from wrong_sets import WRONG_SETS

DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture(scope="module")
def draw_checks() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "draw_checks", DOCS / "draw_checks.py"
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_are_drawn_from_this_code(draw_checks: ModuleType) -> None:
    text = (DOCS / "plugins.md").read_text(encoding="utf-8")
    drawn = draw_checks.with_tables(text, WRONG_BACKENDS, WRONG_SETS)
    assert drawn == text, "python docs/draw_checks.py"


def test_a_changed_row_is_drawn_anew(draw_checks: ModuleType) -> None:
    text = (DOCS / "plugins.md").read_text(encoding="utf-8")
    row = "| `maps-device` | maps are on the device of the images |\n"
    assert row in text
    changed = text.replace(row, "| `maps-device` | anything |\n")
    assert draw_checks.with_tables(changed, WRONG_BACKENDS, WRONG_SETS) == text
