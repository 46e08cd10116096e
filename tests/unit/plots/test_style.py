"""Style of plots: what it sets is undone, and what a notebook's backend sets is not."""

from __future__ import annotations

import matplotlib
import pytest
from matplotlib import pyplot as plt

from nd_plugin.plots.style import house_style


def draw_first_figure() -> None:
    """Do what Jupyter's inline backend does when it draws its first figure."""
    plt.rcParams["font.size"] = 23.0
    matplotlib.interactive(True)


@pytest.mark.parametrize("error", [None, ValueError("a plot that fails")])
def test_figures_of_later_cells_are_shown(error: ValueError | None) -> None:
    with plt.rc_context({"font.size": 11.0, "interactive": False}):
        try:
            with house_style():
                draw_first_figure()
                if error:
                    raise error
        except ValueError:
            assert error
        assert plt.isinteractive()
        assert plt.rcParams["font.size"] == 11.0
