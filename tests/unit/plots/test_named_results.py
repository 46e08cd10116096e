"""Names that tell results side by side apart."""

from __future__ import annotations

from dataclasses import replace

from nd_plugin import Dissection, Identity, LayerReport
from nd_plugin.plots.named_results import named_reports
from nd_plugin.report.categories import all_categories


def with_model(dissection: Dissection, source: str) -> Dissection:
    model = Identity("Net", source, "1", source)
    return replace(
        dissection, provenance=replace(dissection.provenance, model=model)
    )


def test_layers_of_one_model(dissection: Dissection, later: Dissection) -> None:
    assert list(named_reports([dissection, later])) == ["block.1/relu", "block.2"]


def test_models(dissection: Dissection) -> None:
    models = ["torchvision:resnet18?weights=None", "nets/a.onnx", "pkg:Net"]
    results = [with_model(dissection, source) for source in models]
    assert list(named_reports(results)) == ["resnet18", "a.onnx", "Net"]


def test_models_and_layers(dissection: Dissection, later: Dissection) -> None:
    results = [with_model(dissection, "a:x"), with_model(later, "a:y")]
    assert list(named_reports(results)) == ["x block.1/relu", "y block.2"]


def test_quantiles_in_a_list_of_lists(dissection: Dissection) -> None:
    other = replace(
        dissection, settings=replace(dissection.settings, quantile=0.01)
    )
    assert list(named_reports([[dissection, other]])) == ["τ=0.005", "τ=0.01"]


def test_what_a_file_does_not_record_tells_nothing_apart(
    dissection: Dissection, file_report: LayerReport
) -> None:
    assert list(named_reports([dissection, file_report])) == [
        "block.1/relu",
        "conv5",
    ]


def test_runs_on_the_command_line(file_report: LayerReport) -> None:
    runs = [replace(file_report, run="conv5"), replace(file_report, run="b")]
    assert list(named_reports(runs)) == ["conv5", "b"]


def test_equal_results_are_numbered(dissection: Dissection) -> None:
    names = list(named_reports([dissection, dissection]))
    assert names == ["block.1/relu (1)", "block.1/relu (2)"]


def test_names_of_a_dict(dissection: Dissection) -> None:
    assert list(named_reports({"mine": dissection})) == ["mine"]
    assert list(named_reports(dissection)) == ["block.1/relu"]


def test_categories(dissection: Dissection) -> None:
    report = dissection.report()
    other = replace(report, categories=("animal", "color", "object"), scores=())
    assert all_categories([other, report]) == ["object", "part", "color", "animal"]
