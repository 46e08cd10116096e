"""Figures of results by matplotlib, and their table in LaTeX: ``from nd_plugin.plots import …``.

Names are loaded on first use: the table needs no matplotlib, which takes a second to import.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nd_plugin.plots.concept_chart import plot_concepts as plot_concepts
    from nd_plugin.plots.curves import plot_emergence as plot_emergence
    from nd_plugin.plots.curves import plot_quantiles as plot_quantiles
    from nd_plugin.plots.curves import plot_rotation as plot_rotation
    from nd_plugin.plots.detectors import plot_detectors as plot_detectors
    from nd_plugin.plots.detectors import plot_ratio as plot_ratio
    from nd_plugin.plots.experiments.concept_units import (
        plot_concept_units as plot_concept_units,
    )
    from nd_plugin.plots.experiments.networks import (
        plot_category_shares as plot_category_shares,
    )
    from nd_plugin.plots.experiments.networks import plot_networks as plot_networks
    from nd_plugin.plots.experiments.networks import plot_widths as plot_widths
    from nd_plugin.plots.experiments.repeats import plot_repeats as plot_repeats
    from nd_plugin.plots.experiments.thresholds import (
        plot_iou_over_quantiles as plot_iou_over_quantiles,
    )
    from nd_plugin.plots.experiments.thresholds import (
        plot_labels_over_quantiles as plot_labels_over_quantiles,
    )
    from nd_plugin.plots.experiments.top_concepts import (
        plot_top_concepts as plot_top_concepts,
    )
    from nd_plugin.plots.explanations import plot_explanations as plot_explanations
    from nd_plugin.plots.files import save_plot as save_plot
    from nd_plugin.plots.heat_map import plot_heat_map as plot_heat_map
    from nd_plugin.plots.iou import plot_iou as plot_iou
    from nd_plugin.plots.iou import plot_mean_iou as plot_mean_iou
    from nd_plugin.plots.latex import latex_table as latex_table
    from nd_plugin.plots.units import plot_unit as plot_unit
    from nd_plugin.plots.units import plot_units as plot_units

_HOMES = {
    "plot_concepts": "concept_chart",
    "plot_emergence": "curves",
    "plot_quantiles": "curves",
    "plot_rotation": "curves",
    "plot_detectors": "detectors",
    "plot_ratio": "detectors",
    "plot_iou_over_quantiles": "experiments.thresholds",
    "plot_labels_over_quantiles": "experiments.thresholds",
    "plot_repeats": "experiments.repeats",
    "plot_explanations": "explanations",
    "plot_concept_units": "experiments.concept_units",
    "plot_top_concepts": "experiments.top_concepts",
    "plot_category_shares": "experiments.networks",
    "plot_networks": "experiments.networks",
    "plot_widths": "experiments.networks",
    "save_plot": "files",
    "plot_heat_map": "heat_map",
    "plot_iou": "iou",
    "plot_mean_iou": "iou",
    "latex_table": "latex",
    "plot_unit": "units",
    "plot_units": "units",
}

__all__ = sorted(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
