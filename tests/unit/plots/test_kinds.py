"""Kinds of plots on the command line."""

from __future__ import annotations

import subprocess
import sys

import pytest
from matplotlib.axes import Axes

from nd_plugin import BadInput, Dissection, LayerReport
from nd_plugin.plots import __all__ as public_names
from nd_plugin.plots.kinds import KINDS, plot_kind


@pytest.mark.parametrize(
    "name", [name for name in KINDS if not name.startswith("quantile")]
)
def test_each_draws_a_layer(pictured: Dissection, name: str) -> None:
    assert isinstance(KINDS[name].draw([pictured.report()]), Axes)


def test_each_is_a_public_function() -> None:
    assert {kind.function for kind in KINDS.values()} <= set(public_names)


def test_kinds_of_one_layer(pictured: Dissection, later: Dissection) -> None:
    for name in ("concepts", "units"):
        with pytest.raises(
            BadInput, match=r"these are 2 \(block\.1/relu, block\.2\)"
        ):
            plot_kind(name).draw([pictured, later])


def test_a_file_has_no_pictures(file_report: LayerReport) -> None:
    with pytest.raises(
        BadInput, match="conv5 is a CSV file, which has no pictures"
    ):
        plot_kind("units").draw([file_report])


def test_an_unknown_kind() -> None:
    with pytest.raises(
        BadInput, match="no kind of plot 'bars'; known are detectors"
    ):
        plot_kind("bars")


def test_names_are_checked_without_matplotlib() -> None:
    code = (
        "import sys; from nd_plugin.plots.kinds import plot_kind; plot_kind('iou'); "
        "from nd_plugin.plots import latex_table; latex_table; "
        "assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
