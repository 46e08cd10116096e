"""Network Dissection as a plugin for model-analysis work.

Public names are loaded on first use: ``import nd_plugin`` imports neither torch nor anything else
that is heavy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nd_plugin.captum_api.concepts import (
        concepts_from_captum as concepts_from_captum,
    )
    from nd_plugin.captum_api.concepts import (
        concepts_to_captum as concepts_to_captum,
    )
    from nd_plugin.captum_api.layer_dissection import (
        LayerDissection as LayerDissection,
    )
    from nd_plugin.captum_api.model_in_bases import in_bases as in_bases
    from nd_plugin.comparison.layer_comparison import (
        LayerComparison as LayerComparison,
    )
    from nd_plugin.comparison.layer_comparison import (
        compare_dissections as compare_dissections,
    )
    from nd_plugin.concepts.colours.coloured_set import with_colours as with_colours
    from nd_plugin.concepts.datasets.dataset_concepts import (
        concepts_from_dataset as concepts_from_dataset,
    )
    from nd_plugin.concepts.export.options import ExportOptions as ExportOptions
    from nd_plugin.concepts.export.run import ExportReport as ExportReport
    from nd_plugin.concepts.export.run import export_concepts as export_concepts
    from nd_plugin.contracts.concept_sets import Annotation as Annotation
    from nd_plugin.contracts.concept_sets import Concept as Concept
    from nd_plugin.contracts.concept_sets import ConceptSet as ConceptSet
    from nd_plugin.contracts.models import Backend as Backend
    from nd_plugin.contracts.models import LayerDescription as LayerDescription
    from nd_plugin.contracts.models import Model as Model
    from nd_plugin.contracts.models import ModelOptions as ModelOptions
    from nd_plugin.contracts.models import Probe as Probe
    from nd_plugin.contracts.noise_run import NoiseRun as NoiseRun
    from nd_plugin.contracts.plugin_specs import BackendSpec as BackendSpec
    from nd_plugin.contracts.plugin_specs import ConceptSetSpec as ConceptSetSpec
    from nd_plugin.contracts.plugin_specs import Finding as Finding
    from nd_plugin.contracts.plugin_specs import ReportContent as ReportContent
    from nd_plugin.contracts.plugin_specs import ReporterSpec as ReporterSpec
    from nd_plugin.contracts.plugin_specs import SetFinding as SetFinding
    from nd_plugin.contracts.plugin_specs import TableRule as TableRule
    from nd_plugin.contracts.provenance import Identity as Identity
    from nd_plugin.contracts.provenance import Provenance as Provenance
    from nd_plugin.contracts.provenance import Settings as Settings
    from nd_plugin.contracts.provenance import Skipped as Skipped
    from nd_plugin.contracts.provenance import fingerprint as fingerprint
    from nd_plugin.contracts.reproducibility import ONE_AT_A_TIME as ONE_AT_A_TIME
    from nd_plugin.contracts.reproducibility import (
        Reproducibility as Reproducibility,
    )
    from nd_plugin.contracts.reproducibility import (
        equals_single_images as equals_single_images,
    )
    from nd_plugin.contracts.reproducibility import (
        examine_reproducibility as examine_reproducibility,
    )
    from nd_plugin.contracts.reproducibility import nearly_equal as nearly_equal
    from nd_plugin.contracts.split_models import LinearHead as LinearHead
    from nd_plugin.contracts.split_models import Rest as Rest
    from nd_plugin.contracts.split_models import SplitModel as SplitModel
    from nd_plugin.contracts.split_models import Trace as Trace
    from nd_plugin.contracts.split_models import TracedModel as TracedModel
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
    from nd_plugin.errors import PluginFailed as PluginFailed
    from nd_plugin.errors import ProcessLost as ProcessLost
    from nd_plugin.errors import RunFailed as RunFailed
    from nd_plugin.errors import RunInvalid as RunInvalid
    from nd_plugin.errors import Unavailable as Unavailable
    from nd_plugin.errors import UnitsNotFound as UnitsNotFound
    from nd_plugin.errors import Unreadable as Unreadable
    from nd_plugin.errors import check_run as check_run
    from nd_plugin.errors import nearest as nearest
    from nd_plugin.explain.explanation import Explanation as Explanation
    from nd_plugin.explain.explanation import Explanations as Explanations
    from nd_plugin.foreign_code import Signal as Signal
    from nd_plugin.foreign_code import describe_error as describe_error
    from nd_plugin.foreign_code import is_failure as is_failure
    from nd_plugin.foreign_code import translating_errors as translating_errors
    from nd_plugin.machine.size_groups import groups_by_size as groups_by_size
    from nd_plugin.model_inputs.first_operations import (
        FirstOperations as FirstOperations,
    )
    from nd_plugin.pictures.files import PictureSize as PictureSize
    from nd_plugin.pictures.files import measure_picture as measure_picture
    from nd_plugin.pictures.files import read_picture as read_picture
    from nd_plugin.pictures.folder_listing import FolderListing as FolderListing
    from nd_plugin.pictures.folder_listing import list_files as list_files
    from nd_plugin.pictures.masks import check_aspect as check_aspect
    from nd_plugin.pictures.masks import check_mask_format as check_mask_format
    from nd_plugin.pictures.masks import read_mask as read_mask
    from nd_plugin.pictures.opening import open_picture as open_picture
    from nd_plugin.pictures.png_checksums import (
        checked_checksums as checked_checksums,
    )
    from nd_plugin.pictures.relative_names import NamedFiles as NamedFiles
    from nd_plugin.pictures.relative_names import check_relative as check_relative
    from nd_plugin.pictures.stored_integers import strips_of as strips_of
    from nd_plugin.plugins.combining.combinations import (
        concat_concepts as concat_concepts,
    )
    from nd_plugin.plugins.combining.combinations import (
        overlay_concepts as overlay_concepts,
    )
    from nd_plugin.plugins.combining.combinations import (
        select_concepts as select_concepts,
    )
    from nd_plugin.plugins.hookspecs import hookimpl as hookimpl
    from nd_plugin.plugins.opening import SpecText as SpecText
    from nd_plugin.plugins.opening import call_with_options as call_with_options
    from nd_plugin.plugins.opening import open_concepts as open_concepts
    from nd_plugin.plugins.opening import open_model as open_model
    from nd_plugin.preprocess import Preprocess as Preprocess
    from nd_plugin.probe_data.originals import Originals as Originals
    from nd_plugin.probe_data.tables import TableLine as TableLine
    from nd_plugin.probe_data.tables import read_table as read_table
    from nd_plugin.receptive_fields import composition as composition
    from nd_plugin.receptive_fields import geometry as geometry
    from nd_plugin.receptive_fields.chosen_layout import split_axes as split_axes
    from nd_plugin.receptive_fields.geometry import Axis as Axis
    from nd_plugin.receptive_fields.geometry import Geometry as Geometry
    from nd_plugin.receptive_fields.layout import Layout as Layout
    from nd_plugin.receptive_fields.layout import axes_of as axes_of
    from nd_plugin.receptive_fields.layout import find_layout as find_layout
    from nd_plugin.receptive_fields.layout import from_maps as from_maps
    from nd_plugin.receptive_fields.layout import geometry_of as geometry_of
    from nd_plugin.receptive_fields.perturbation import (
        PerturbedImages as PerturbedImages,
    )
    from nd_plugin.receptive_fields.perturbation import Response as Response
    from nd_plugin.receptive_fields.perturbation import perturb as perturb
    from nd_plugin.receptive_fields.placement import Measurement as Measurement
    from nd_plugin.receptive_fields.placement import Placement as Placement
    from nd_plugin.receptive_fields.placement import place as place
    from nd_plugin.receptive_fields.positions import Positions as Positions
    from nd_plugin.report.explanation_record import RankedUnit as RankedUnit
    from nd_plugin.report.layer_report import LayerReport as LayerReport
    from nd_plugin.report.layer_report import Summary as Summary
    from nd_plugin.report.layer_report import UnitScore as UnitScore
    from nd_plugin.results.dissection import Dissection as Dissection
    from nd_plugin.results.top_pictures import TopPictures as TopPictures
    from nd_plugin.storage.names import expanded_home as expanded_home
    from nd_plugin.user_code import UserCode as UserCode
    from nd_plugin.user_code import look_in_working_folder as look_in_working_folder
    from nd_plugin.user_code import own_arguments as own_arguments

_HOMES = {
    "captum_api.concepts": ["concepts_from_captum", "concepts_to_captum"],
    "captum_api.layer_dissection": ["LayerDissection"],
    "captum_api.model_in_bases": ["in_bases"],
    "comparison.layer_comparison": ["LayerComparison", "compare_dissections"],
    "concepts.colours.coloured_set": ["with_colours"],
    "concepts.datasets.dataset_concepts": ["concepts_from_dataset"],
    "concepts.export.options": ["ExportOptions"],
    "concepts.export.run": ["ExportReport", "export_concepts"],
    "contracts.concept_sets": ["Annotation", "Concept", "ConceptSet"],
    "contracts.models": [
        "Backend",
        "LayerDescription",
        "Model",
        "ModelOptions",
        "Probe",
    ],
    "contracts.noise_run": ["NoiseRun"],
    "contracts.plugin_specs": [
        "BackendSpec",
        "ConceptSetSpec",
        "Finding",
        "ReportContent",
        "ReporterSpec",
        "SetFinding",
        "TableRule",
    ],
    "contracts.provenance": [
        "Identity",
        "Provenance",
        "Settings",
        "Skipped",
        "fingerprint",
    ],
    "contracts.reproducibility": [
        "ONE_AT_A_TIME",
        "Reproducibility",
        "equals_single_images",
        "examine_reproducibility",
        "nearly_equal",
    ],
    "contracts.split_models": [
        "LinearHead",
        "Rest",
        "SplitModel",
        "Trace",
        "TracedModel",
    ],
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
        "PluginFailed",
        "ProcessLost",
        "RunFailed",
        "RunInvalid",
        "Unavailable",
        "UnitsNotFound",
        "Unreadable",
        "check_run",
        "nearest",
    ],
    "explain.explanation": ["Explanation", "Explanations"],
    "foreign_code": [
        "Signal",
        "describe_error",
        "is_failure",
        "translating_errors",
    ],
    "machine.size_groups": ["groups_by_size"],
    "model_inputs.first_operations": ["FirstOperations"],
    "pictures.files": ["PictureSize", "measure_picture", "read_picture"],
    "pictures.folder_listing": ["FolderListing", "list_files"],
    "pictures.masks": ["check_aspect", "check_mask_format", "read_mask"],
    "pictures.opening": ["open_picture"],
    "pictures.png_checksums": ["checked_checksums"],
    "pictures.relative_names": ["NamedFiles", "check_relative"],
    "pictures.stored_integers": ["strips_of"],
    "plugins.combining.combinations": [
        "concat_concepts",
        "overlay_concepts",
        "select_concepts",
    ],
    "plugins.hookspecs": ["hookimpl"],
    "plugins.opening": [
        "SpecText",
        "call_with_options",
        "open_concepts",
        "open_model",
    ],
    "preprocess": ["Preprocess"],
    "probe_data.originals": ["Originals"],
    "probe_data.tables": ["TableLine", "read_table"],
    "receptive_fields.chosen_layout": ["split_axes"],
    "receptive_fields.geometry": ["Axis", "Geometry"],
    "receptive_fields.layout": [
        "Layout",
        "axes_of",
        "find_layout",
        "from_maps",
        "geometry_of",
    ],
    "receptive_fields.perturbation": ["PerturbedImages", "Response", "perturb"],
    "receptive_fields.placement": ["Measurement", "Placement", "place"],
    "receptive_fields.positions": ["Positions"],
    "report.explanation_record": ["RankedUnit"],
    "report.layer_report": ["LayerReport", "Summary", "UnitScore"],
    "results.dissection": ["Dissection"],
    "results.top_pictures": ["TopPictures"],
    "storage.names": ["expanded_home"],
    "user_code": ["UserCode", "look_in_working_folder", "own_arguments"],
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}

# Rules of receptive fields, the same for every backend: modules, used as `geometry.convolve(…)`.
_RECEPTIVE_FIELD_RULES = ("composition", "geometry")

__all__ = sorted([*_MODULE_OF, *_RECEPTIVE_FIELD_RULES])  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _RECEPTIVE_FIELD_RULES:
        return import_module(f"nd_plugin.receptive_fields.{name}")
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"nd_plugin.{_MODULE_OF[name]}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return __all__
