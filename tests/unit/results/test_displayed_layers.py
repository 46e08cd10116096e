"""Lists of dissections: texts, slices, and the report of each in a notebook."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nd_plugin import Dissection
from nd_plugin.results.displayed_layers import DissectionList


def test_entries_are_a_line_each(dissection: Dissection) -> None:
    line = repr(dissection)
    several = DissectionList([dissection, dissection])
    assert repr(several) == f"[{line},\n {line}]"
    nested = DissectionList([several, several])
    assert repr(nested) == (f"[[{line},\n  {line}],\n [{line},\n  {line}]]")
    assert repr(DissectionList([])) == "[]"


def test_it_is_a_list(dissection: Dissection) -> None:
    several = DissectionList([dissection, dissection])
    assert isinstance(several, list)
    assert several == [dissection, dissection]
    assert several[0] is dissection
    assert isinstance(several[1:], DissectionList) and len(several[1:]) == 1


@pytest.mark.parametrize("depth", [1, 2])
def test_each_report_is_displayed(dissection: Dissection, depth: int) -> None:
    entries = DissectionList([dissection, replace(dissection, layer="later")])
    several = DissectionList([entries]) if depth == 2 else entries
    html = several._repr_html_()
    assert html.count("unique detectors") == 2
    assert "block.1/relu" in html and "later" in html
