"""Figures of explanations: pyplot's, or drawn into axes; chosen units."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure

from nd_plugin import BadInput, Explanation, Explanations, RankedUnit


@pytest.fixture(autouse=True)
def closed_figures() -> Iterator[None]:
    """Close all figures after a test."""
    pyplot.close("all")  # of other tests
    yield
    pyplot.close("all")


def explanation(name: str, *units: int) -> Explanation:
    """Explanation of a grey image; of each unit's mask the row of its number is set."""
    ranked = []
    for unit in units:
        mask = np.zeros((8, 8), dtype=bool)
        mask[unit] = True
        ranked.append(
            RankedUnit(unit, f"c{unit}", "object", 0.5, True, 1.0, 0.25, mask)
        )
    return Explanation(
        layer="layer",
        image=np.full((8, 8, 3), 100, dtype=np.uint8),
        target=0,
        name=name,
        predicted=name,
        output=3.0,
        bias=None,
        absolute_sum=4.0,
        contribution="linear",
        mask="image",
        units=tuple(ranked),
        check=None,
    )


def titles(figure: Any) -> list[str]:
    """First line of the title of each visible panel."""
    axes = [axis for axis in figure.axes if axis.get_visible()]
    return [axis.get_title().partition("\n")[0] for axis in axes]


class TestExplanations:
    both = Explanations([explanation("cat", 3, 1), explanation("$dog$", 1, 2, 0)])

    def test_pyplot_has_the_figure(self) -> None:
        figure = self.both.plot()
        assert isinstance(figure, Figure)
        assert pyplot.get_fignums() == [figure.number]
        assert pyplot.gcf() is figure
        assert titles(figure) == ["cat", "c3", "c1", "$dog$", "c1", "c2", "c0"]
        assert len(figure.axes) == 8
        image, unit = (figure.axes[place].images[0] for place in (0, 1))
        assert np.array_equal(image.get_array(), self.both[0].image)
        assert not np.array_equal(unit.get_array(), self.both[0].image)
        lines = figure.axes[1].get_title().splitlines()
        assert lines == ["c3", "unit 3, +1", "25.0% of Σ|contribution|"]
        figure.savefig(io.BytesIO(), dpi=40)

    def test_chosen_units(self) -> None:
        assert titles(self.both.plot(units=[2, 1])) == [
            "cat",
            "c1",
            "$dog$",
            "c2",
            "c1",
        ]
        for unit in (1, np.int64(1), range(1, 2), np.array([1])):
            figure = self.both[0].plot(units=unit)  # type: ignore[arg-type]
            assert titles(figure) == ["cat", "c1"]
        message = r"unit 7 is not among the explained units \(0, 1, 2, 3\): choose"
        with pytest.raises(BadInput, match=message):
            self.both.plot(units=[1, 7])

    @pytest.mark.parametrize("units", [1.0, "1", [True]])
    def test_what_is_no_unit(self, units: Any) -> None:
        with pytest.raises(BadInput, match="expected a unit's number"):
            self.both.plot(units=units)

    def test_into_one_axes(self) -> None:
        figure, (left, right) = pyplot.subplots(1, 2)
        assert self.both.plot(ax=left) is figure
        assert titles(left.figure)[:2] == ["", ""]
        panels = [axis for axis in left.child_axes if axis.get_visible()]
        names = [panel.get_title().partition("\n")[0] for panel in panels]
        assert names == ["cat", "c3", "c1", "$dog$", "c1", "c2", "c0"]
        assert not right.child_axes
        assert pyplot.get_fignums() == [figure.number], "no figure of its own"
        figure.savefig(io.BytesIO(), dpi=40)

    def test_panels_inside_of_axes_do_not_overlap(self) -> None:
        figure, ax = pyplot.subplots()
        self.both[1].plot(ax=ax)
        figure.canvas.draw()
        boxes = [panel.get_tightbbox() for panel in ax.child_axes]
        assert len(boxes) == 4
        for number, box in enumerate(boxes):
            assert not any(box.overlaps(further) for further in boxes[:number])

    def test_long_names_are_folded(self) -> None:
        name = "red-backed sandpiper, dunlin, Erolia alpina"
        figure = replace(self.both[0], name=name).plot()
        figure.canvas.draw()
        image, unit = figure.axes[:2]
        assert "".join(image.get_title().split()) == "".join(f"{name} 3".split())
        title = image.title.get_window_extent()
        assert not title.overlaps(unit.title.get_window_extent())

    def test_one_unit_into_one_axes(self) -> None:
        _, ax = pyplot.subplots()
        self.both[0].plot(units=[3], ax=ax)
        assert ax.get_title().startswith("c3\n")
        assert len(ax.images) == 1 and not ax.child_axes

    def test_into_axes_for_each_panel(self) -> None:
        figure, axes = pyplot.subplots(1, 3)
        assert self.both[0].plot(ax=axes) is figure
        assert titles(figure) == ["cat", "c3", "c1"]
        with pytest.raises(
            BadInput, match=r"3 objects of ndarray.* or 8 of them, .*\(2 x 4\)"
        ):
            self.both.plot(ax=axes)
        with pytest.raises(BadInput, match="expected one Axes"):
            self.both.plot(ax="left")

    def test_no_explanation(self) -> None:
        with pytest.raises(BadInput, match="no explanation to plot"):
            Explanations([]).plot()
