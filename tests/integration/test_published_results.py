"""The authors' tables and their summary of 27 networks, and those of NetDissect-Lite and others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scipy.io import loadmat

from nd_plugin import LayerComparison, LayerReport, compare_dissections
from nd_plugin.cli import main
from nd_plugin.experiments.comparing.results import read_results
from nd_plugin.report.foreign_tables.recognition import read_foreign_result

CATEGORIES = ("object", "part", "scene", "material", "texture", "color")
# table of units, and the name of the same network in the summary. The authors published five
# tables; the others are tested where they are beside these
TABLES = {
    "caffe_reference_places365": "caffe_reference_places365",
    "ResNet-152-model_imagenet": "resnet-152-torch-imagenet",
    "caffe_reference_places205": "caffe_reference_places205",
    "caffe_reference_imagenet": "caffe_reference_imagenet",
    "ResNet-152-model_places365": "resnet-152-torch-places365",
}


@pytest.fixture(scope="module")
def published(real_data: Path) -> Path:
    folder = real_data / "netdissect_published"
    if not (folder / "semantics_cvpr_release.mat").is_file():
        pytest.skip(f"no summary of the authors in {folder}")
    return folder


@pytest.fixture(scope="module")
def networks(published: Path) -> dict[str, LayerReport]:
    reports = read_foreign_result(published / "semantics_cvpr_release.mat")
    return {report.run: report for report in reports}


def test_every_number_is_the_files(
    published: Path, networks: dict[str, LayerReport]
) -> None:
    stat = loadmat(published / "semantics_cvpr_release.mat")["stat"][0, 0]
    assert len(networks) == 27
    for index, (name, report) in enumerate(networks.items()):
        assert stat["networks_name"][0, index].item() == name
        assert stat["layers_name"][index, 0].item() == report.layer
        counts = report.category_counts()
        unique = [counts.total, *(counts.unique[name] for name in CATEGORIES)]
        assert unique == stat["num_uniquedetectors"][index].tolist()
        units = [
            report.summary.detectors,
            *(counts.units[name] for name in CATEGORIES),
        ]
        assert units == stat["num_detectors"][index].tolist()
        ratio = report.summary.detectors / report.summary.units
        assert ratio == stat["ratio_detectors"][index, 0]


def test_random_weights(networks: dict[str, LayerReport]) -> None:
    random = networks["caffenet_random"].summary
    assert (random.unique_detectors_per_category, random.detectors) == (2, 9)
    assert random.units == 256


@pytest.mark.parametrize(("table", "network"), TABLES.items())
def test_tables_have_the_summarys_numbers(
    published: Path, networks: dict[str, LayerReport], table: str, network: str
) -> None:
    path = published / f"{table}.csv"
    if not path.is_file():
        pytest.skip(f"{path.name} is not among the published tables here")
    (report,) = read_foreign_result(path)
    expected = networks[network]
    assert report.category_counts() == expected.category_counts()
    assert report.summary.detectors == expected.summary.detectors
    assert report.summary.units == expected.summary.units
    per_category = expected.summary.unique_detectors_per_category
    assert report.summary.unique_detectors_per_category == per_category


def test_the_command_gives_the_same(
    published: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    summary = published / "semantics_cvpr_release.mat"
    table = published / "caffe_reference_places365.csv"
    arguments = ["nd", "compare", f"{summary}:caffe_reference_places365"]
    monkeypatch.setattr("sys.argv", [*arguments, str(table), "--json"])
    with pytest.raises(SystemExit) as exit_request:
        main()
    assert exit_request.value.code == 0
    first, second = json.loads(capsys.readouterr().out)["comparison"]["layers"]
    assert first["per_category"] == second["per_category"]
    for key in ("units", "detectors", "unique_detectors_per_category"):
        assert first[key] == second[key]
    assert first["unique_detectors_per_category"] == 91
    assert (first["unique_detectors"], second["unique_detectors"]) == (None, 72)


def test_figures_of_the_summary(
    published: Path, tmp_path: Path, networks: dict[str, LayerReport]
) -> None:
    from matplotlib import pyplot

    from nd_plugin.plots import plot_category_shares, plot_networks

    every_network = plot_networks(list(networks.values()))
    names = [label.get_text() for label in every_network.get_xticklabels()]
    assert (
        names[0] == "resnet-152-torch-places365" and names[-1] == "caffenet_random"
    )
    texts = [text.get_text() for text in every_network.texts]
    assert texts[:3] == ["347", "251", "242"] and texts[-1] == "2"
    self_supervised = [
        report for name, report in networks.items() if name.startswith("weakly_")
    ]
    shares = plot_category_shares(self_supervised)
    assert len(shares.get_xticklabels()) == 10
    pyplot.close("all")


@pytest.fixture(scope="module")
def others(real_data: Path) -> Path:
    folder = real_data / "published_others"
    if not folder.is_dir():
        pytest.skip(f"no results of others in {folder}")
    return folder


def test_netdissect_lite_has_a_concept_without_a_name(others: Path) -> None:
    path = others / "netdissect_lite_resnet18_places365_layer4.csv"
    (report,) = read_foreign_result(path)
    assert report.summary.units == 512 and report.summary.detectors == 434
    assert any(
        "texture (166 units); it is left out" in note for note in report.notes
    )
    assert all(score.concept for score in report.scores)
    (objects,) = read_foreign_result(
        others / "netdissect_lite_densenet161_places365_objects_tally.csv"
    )
    assert objects.categories == ("object",)
    assert (objects.summary.units, objects.summary.detectors) == (2208, 496)


def test_labels_of_one_network_by_two_methods(others: Path) -> None:
    lite, clip, milan = read_results(
        [
            str(others / "netdissect_lite_resnet18_places365_layer4.csv"),
            f"{others / 'clip_dissect_resnet18_places.csv'}:layer4",
            f"{others / 'milan_resnet18_places365.csv'}:layer4",
        ]
    )
    comparison = LayerComparison([*lite, *clip, *milan])
    assert [layer.units for layer in comparison.layers] == [512] * 3
    assert [layer.has_detectors for layer in comparison.layers] == [
        True,
        False,
        False,
    ]
    by_clip, by_milan, _ = comparison.name_overlaps
    # distinct labels in lower case, without Broden's endings: counted by hand from the files
    assert by_clip.second_labels == 317 and by_milan.second_labels == 206
    assert "bathroom" in by_clip.names and "water tower" in by_milan.names


def test_published_tables_stand_beside_each_other(published: Path) -> None:
    reports = [
        read_foreign_result(published / f"{name}.csv")[0]
        for name in ("caffe_reference_places365", "ResNet-152-model_imagenet")
    ]
    comparison = compare_dissections(reports)
    by_key = {concept.key: concept for concept in comparison.concepts}
    car = by_key["object", "car"].matches
    assert [len(match.detectors) for match in car] == [3, 39]
    assert [match.best.unit for match in car if match.best] == [78, 1090]
