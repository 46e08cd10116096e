"""Network Dissection as a plugin for model-analysis work.

The public names are loaded on first use, so that ``import nd_plugin`` imports neither torch nor anything else heavy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nd_plugin import composition as composition
    from nd_plugin import geometry as geometry
    from nd_plugin.captum_concepts import concepts_from_captum as concepts_from_captum
    from nd_plugin.captum_concepts import concepts_to_captum as concepts_to_captum
    from nd_plugin.datasets import TableLine as TableLine
    from nd_plugin.datasets import check_aspect as check_aspect
    from nd_plugin.datasets import read_mask as read_mask
    from nd_plugin.datasets import read_table as read_table
    from nd_plugin.dissection import Dissection as Dissection
    from nd_plugin.errors import BadInput as BadInput
    from nd_plugin.errors import ConceptSetInvalid as ConceptSetInvalid
    from nd_plugin.errors import LayerAmbiguous as LayerAmbiguous
    from nd_plugin.errors import LayerNotFound as LayerNotFound
    from nd_plugin.errors import ModelFailed as ModelFailed
    from nd_plugin.errors import ModelNotFound as ModelNotFound
    from nd_plugin.errors import NDError as NDError
    from nd_plugin.errors import NonFiniteActivation as NonFiniteActivation
    from nd_plugin.errors import NotSaved as NotSaved
    from nd_plugin.errors import PluginConflict as PluginConflict
    from nd_plugin.errors import RunFailed as RunFailed
    from nd_plugin.errors import RunInvalid as RunInvalid
    from nd_plugin.errors import Unavailable as Unavailable
    from nd_plugin.errors import UnitsNotFound as UnitsNotFound
    from nd_plugin.errors import Unreadable as Unreadable
    from nd_plugin.errors import nearest as nearest
    from nd_plugin.explanation import Explanation as Explanation
    from nd_plugin.explanation import Explanations as Explanations
    from nd_plugin.explanation import RankedUnit as RankedUnit
    from nd_plugin.geometry import Axis as Axis
    from nd_plugin.geometry import Geometry as Geometry
    from nd_plugin.hookspecs import hookimpl as hookimpl
    from nd_plugin.layer_dissection import LayerDissection as LayerDissection
    from nd_plugin.layout import Layout as Layout
    from nd_plugin.layout import find_layout as find_layout
    from nd_plugin.layout import geometry_of as geometry_of
    from nd_plugin.opening import SpecText as SpecText
    from nd_plugin.opening import call_with_options as call_with_options
    from nd_plugin.opening import open_concepts as open_concepts
    from nd_plugin.opening import open_model as open_model
    from nd_plugin.positions import Positions as Positions
    from nd_plugin.preprocess import Preprocess as Preprocess
    from nd_plugin.rest import LinearHead as LinearHead
    from nd_plugin.rest import Rest as Rest
    from nd_plugin.rest import SplitModel as SplitModel
    from nd_plugin.rest import Trace as Trace
    from nd_plugin.rest import TracedModel as TracedModel
    from nd_plugin.rest import axes_of as axes_of
    from nd_plugin.rest import from_maps as from_maps
    from nd_plugin.summary import LayerReport as LayerReport
    from nd_plugin.summary import Summary as Summary
    from nd_plugin.summary import UnitScore as UnitScore
    from nd_plugin.types import Annotation as Annotation
    from nd_plugin.types import Backend as Backend
    from nd_plugin.types import BackendSpec as BackendSpec
    from nd_plugin.types import Concept as Concept
    from nd_plugin.types import ConceptSet as ConceptSet
    from nd_plugin.types import ConceptSetSpec as ConceptSetSpec
    from nd_plugin.types import Finding as Finding
    from nd_plugin.types import Identity as Identity
    from nd_plugin.types import LayerDescription as LayerDescription
    from nd_plugin.types import Model as Model
    from nd_plugin.types import ModelOptions as ModelOptions
    from nd_plugin.types import Probe as Probe
    from nd_plugin.types import Provenance as Provenance
    from nd_plugin.types import ReporterSpec as ReporterSpec
    from nd_plugin.types import Settings as Settings
    from nd_plugin.types import Skipped as Skipped

_HOMES = {
    "captum_concepts": ["concepts_from_captum", "concepts_to_captum"],
    "datasets": ["TableLine", "check_aspect", "read_mask", "read_table"],
    "dissection": ["Dissection"],
    "errors": [
        "BadInput",
        "ConceptSetInvalid",
        "LayerAmbiguous",
        "LayerNotFound",
        "ModelFailed",
        "ModelNotFound",
        "NDError",
        "NonFiniteActivation",
        "NotSaved",
        "PluginConflict",
        "RunFailed",
        "RunInvalid",
        "Unavailable",
        "UnitsNotFound",
        "Unreadable",
        "nearest",
    ],
    "explanation": ["Explanation", "Explanations", "RankedUnit"],
    "geometry": ["Axis", "Geometry"],
    "hookspecs": ["hookimpl"],
    "layer_dissection": ["LayerDissection"],
    "layout": ["Layout", "find_layout", "geometry_of"],
    "opening": ["SpecText", "call_with_options", "open_concepts", "open_model"],
    "positions": ["Positions"],
    "preprocess": ["Preprocess"],
    "rest": ["LinearHead", "Rest", "SplitModel", "Trace", "TracedModel", "axes_of", "from_maps"],
    "summary": ["LayerReport", "Summary", "UnitScore"],
    "types": [
        "Annotation",
        "Backend",
        "BackendSpec",
        "Concept",
        "ConceptSet",
        "ConceptSetSpec",
        "Finding",
        "Identity",
        "LayerDescription",
        "Model",
        "ModelOptions",
        "Probe",
        "Provenance",
        "ReporterSpec",
        "Settings",
        "Skipped",
    ],
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

_MODULES = ("composition", "geometry")  # receptive fields: the same rules for every backend

__all__ = sorted([*_HOME_OF, *_MODULES])  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"nd_plugin.{name}")
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"nd_plugin.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
