"""Chart of the concepts that a layer's units detect."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from matplotlib import pyplot

from nd_plugin import BadInput, Dissection


@pytest.fixture(autouse=True)
def closed_figures() -> Iterator[None]:
    """Close all figures after a test."""
    pyplot.close("all")  # of other tests
    yield
    pyplot.close("all")


def test_bars(dissection: Dissection) -> None:
    figure = dissection.plot()
    (ax,) = figure.axes
    assert pyplot.gcf() is figure
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["cat", "tail"]
    assert [bar.get_width() for bar in ax.patches] == [2, 1]
    title = "block.1/relu: 3 detectors of 2 concepts among 5 units"
    assert ax.get_title() == title
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["object", "part"]
    colours = {bar.get_facecolor() for bar in ax.patches}
    assert len(colours) == 2


def test_chosen_units_and_axes(dissection: Dissection) -> None:
    figure, (left, right) = pyplot.subplots(1, 2)
    assert dissection.plot(units=[2, 2, 3], ax=left) is figure
    assert [bar.get_width() for bar in left.patches] == [1]
    assert left.get_title().endswith("1 detector of 1 concept among 2 units")
    assert not right.patches
    with pytest.raises(BadInput, match=r"no unit 5: layer 'block\.1/relu' has 5"):
        dissection.plot(units=5)


def test_no_detectors(dissection: Dissection) -> None:
    nothing = replace(dissection, intersection=dissection.intersection * 0)
    (ax,) = nothing.plot().axes
    assert [text.get_text() for text in ax.texts] == ["no detectors"]


def test_what_is_no_unit(dissection: Dissection) -> None:
    with pytest.raises(BadInput, match=r"units is 1\.0; expected a unit's number"):
        dissection.plot(units=1.0)  # type: ignore[arg-type]
