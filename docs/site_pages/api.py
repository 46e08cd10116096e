"""API reference: every public name of nd_plugin, nd_plugin.reading and nd_plugin.testing."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

# title of a page: packages of nd_plugin (or modules of its root) whose public names it has
PAGES = {
    "Dissecting": "captum_api explain",
    "Results": "results comparison report",
    "Opening models and concept sets": "plugins concepts",
    "What plugins implement": "contracts",
    "Preprocessing": "preprocess model_inputs",
    "Receptive fields": "receptive_fields",
    "Errors": "errors foreign_code",
}
OTHER_PAGE = "Files, pictures and the user's code"
FURTHER_PAGE = "Further types"
# what public names take and give, without being public themselves
FURTHER_TYPES = """\
nd_plugin.results.activation_histograms.ActivationHistograms
nd_plugin.receptive_fields.perturbation.AxisResponse
nd_plugin.bases.basis.Basis
nd_plugin.testing.conformance.BrokenCheck
nd_plugin.captum_api.concepts.CaptumConcepts
nd_plugin.report.foreign_tables.category_counts.CategoryCounts
nd_plugin.report.error_bars.records.ChanceCount
nd_plugin.report.error_bars.records.ChanceLevel
nd_plugin.comparison.concept_matches.ComparedConcept
nd_plugin.comparison.compared_layers.ComparedLayer
nd_plugin.report.error_bars.records.CountInterval
nd_plugin.report.error_bars.records.CountIntervals
nd_plugin.concepts.datasets.dataset_concepts.DatasetConcepts
nd_plugin.comparison.differences.Difference
nd_plugin.receptive_fields.layout.FeatureLayout
nd_plugin.model_inputs.input_range.InputRange
nd_plugin.report.error_bars.records.Interval
nd_plugin.report.error_bars.records.LayerIntervals
nd_plugin.receptive_fields.layout.MapLayout
nd_plugin.contracts.provenance.ModelTraits
nd_plugin.comparison.label_names.NameOverlap
nd_plugin.report.layer_report.NearestMiss
nd_plugin.receptive_fields.layout.TokenLayout
nd_plugin.report.mask_overlays.TopImage
nd_plugin.results.top_maps.TopMaps
nd_plugin.results.unit_view.UnitView
""".split()
# names whose docstring would be that of their type
CONSTANTS = {
    "ReportContent": "What a reporter gives: a text, a file's bytes, or a folder's files by path.",
    "Layout": "Layout of a layer's units: ``MapLayout``, ``TokenLayout`` or ``FeatureLayout``.",
    "TableLine": "Line of a table: the number of its line in the file, and its cells by column.",
    "COLOR_TERMS": "The eleven basic colour terms, in the order of a colour table's columns.",
    "ONE_AT_A_TIME": "Note of a result whose images went through the model one at a time.",
    "hookimpl": "Marker of a plugin's hooks: pluggy's, for the project ``nd_plugin``.",
}
# whose members are known, or described elsewhere
FOREIGN_BASES = (
    "object BaseException str tuple Sequence Mapping Attribution".split()
)
INTRODUCTIONS = {
    FURTHER_PAGE: """\
What public names take and give without being public themselves: for reading, not for importing,
since their modules may move."""
}
OWN_PAGES = {
    "nd_plugin.reading": "Reading data sets",
    "nd_plugin.testing": "Checking plugins",
}


@dataclass(frozen=True)
class PublicName:
    """Public name, its module and what it stands for."""

    module: str  # that exports it
    name: str
    value: Any

    @property
    def summary(self) -> str:
        """First paragraph of the docstring; of a constant the line that says what it is."""
        text = CONSTANTS.get(self.name) or inspect.getdoc(self.value) or ""
        return text.partition("\n\n")[0].replace("\n", " ")


def public_names(module: str) -> list[PublicName]:
    """Return what a module exports."""
    exports = import_module(module)
    names = [
        PublicName(module, name, getattr(exports, name)) for name in exports.__all__
    ]
    return sorted(names, key=lambda public: public.name.lower())


def api_pages() -> dict[str, str]:
    """Return the pages in reStructuredText, by name; ``index`` lists them."""
    pages = {}
    for title, names in _names_by_page().items():
        file_name = (
            title.lower().replace(" ", "-").replace(",", "").replace("'", "")
        )
        pages[file_name] = "\n".join(_page(title, names))
    pages["further-types"] = "\n".join(_page(FURTHER_PAGE, list(_further_types())))
    return {"index": "\n".join(_index(pages)), **pages}


def described_classes() -> set[type]:
    """Return the classes of nd_plugin that the pages describe, and their bases."""
    names = [public for members in _names_by_page().values() for public in members]
    owners = [public.value for public in (*names, *_further_types())]
    bases = {
        base for owner in owners if inspect.isclass(owner) for base in owner.__mro__
    }
    return {base for base in bases if base.__module__.startswith("nd_plugin.")}


def _names_by_page() -> dict[str, list[PublicName]]:
    by_package = {
        package: title
        for title, packages in PAGES.items()
        for package in packages.split()
    }
    names: dict[str, list[PublicName]] = {
        title: [] for title in (*PAGES, OTHER_PAGE)
    }
    for public in public_names("nd_plugin"):
        title = by_package.get(_package_of(public), OTHER_PAGE)
        names[title].append(public)
    for module, title in OWN_PAGES.items():
        names[title] = public_names(module)
    return names


def _further_types() -> Iterator[PublicName]:
    for path in FURTHER_TYPES:
        module, _, name = path.rpartition(".")
        yield PublicName(module, name, getattr(import_module(module), name))


def _package_of(public: PublicName) -> str:
    import nd_plugin

    if isinstance(public.value, ModuleType):
        return public.value.__name__.split(".")[1]
    return nd_plugin._MODULE_OF[public.name].partition(".")[0]


def _index(pages: Iterable[str]) -> Iterator[str]:
    title = "API"
    yield from (title, "=" * len(title), "")
    yield from (
        "Every public name of ``nd_plugin``, and for plugin authors of ``nd_plugin.reading`` and",
        "``nd_plugin.testing``. ``import nd_plugin`` loads a name when it is first used. Other",
        "modules may change without notice.",
        "",
        ".. toctree::",
        "   :maxdepth: 2",
        "",
    )
    yield from (f"   {page}" for page in pages)
    yield ""


def _page(title: str, names: list[PublicName]) -> Iterator[str]:
    yield from (title, "=" * len(title), "")
    yield from (INTRODUCTIONS.get(title, f"Names of ``{names[0].module}``:"), "")
    for public in names:
        yield f"- {_reference(public)}: {public.summary}"
    yield ""
    for public in names:
        yield from (public.name, "-" * len(public.name), "")
        yield from _directive(public)
        yield ""


def _reference(public: PublicName) -> str:
    if isinstance(public.value, ModuleType):
        return f":py:mod:`{public.name} <{public.value.__name__}>`"
    return f":py:obj:`~{public.module}.{public.name}`"


def _directive(public: PublicName) -> Iterator[str]:
    path = f"{public.module}.{public.name}"
    if public.name in CONSTANTS:
        yield from (f".. py:currentmodule:: {public.module}", "")
        yield from (
            f".. py:data:: {public.name}",
            "",
            f"   {CONSTANTS[public.name]}",
        )
    elif isinstance(public.value, ModuleType):
        yield f".. automodule:: {public.value.__name__}"
        yield "   :members:"
        yield f"   :exclude-members: {', '.join(_public_members(public.value))}"
    elif inspect.isclass(public.value):
        yield f".. autoclass:: {path}"
        yield "   :members:"
        yield "   :undoc-members:"
        yield f"   :inherited-members: {', '.join(FOREIGN_BASES)}"
        yield "   :special-members: __call__"
    elif inspect.isroutine(public.value):
        yield f".. autofunction:: {path}"


def _public_members(module: ModuleType) -> list[str]:
    import nd_plugin

    return [name for name in vars(module) if name in nd_plugin.__all__]
