"""Texts that name results: runs, layers of runs, files of others, networks of a summary."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from published_files import DESCRIPTIONS, LITE, NETWORKS, write_summary, write_text

from nd_plugin import BadInput, Dissection, LayerNotFound, RunInvalid
from nd_plugin.experiments.comparing.results import ResultSource, read_results
from nd_plugin.results.run_folder import save_run


@pytest.fixture
def run(dissection: Dissection, tmp_path: Path) -> Path:
    layers = [
        replace(dissection, layer=name) for name in ("conv1", "conv2", "fc:0")
    ]
    return save_run(tmp_path / "run", layers)


def layers_of(*texts: str) -> list[list[tuple[str, str]]]:
    return [
        [(layer.run, layer.layer) for layer in result]
        for result in read_results(texts)
    ]


class TestSource:
    def test_a_path_that_exists_is_taken_whole(self, tmp_path: Path) -> None:
        path = tmp_path / "a:b"
        path.mkdir()
        assert ResultSource.parse(str(path)) == ResultSource(path)
        source = ResultSource.parse(f"{path}:c:d")
        assert source == ResultSource(path, "c:d")

    def test_a_path_that_does_not(self) -> None:
        assert ResultSource.parse("no:where") == ResultSource(Path("no:where"))


class TestLayers:
    def test_of_a_run(self, run: Path) -> None:
        every_layer = [("run", name) for name in ("conv1", "conv2", "fc:0")]
        assert layers_of(str(run)) == [every_layer]
        assert layers_of(f"{run}:conv2", f"{run}:fc:0") == [
            [("run", "conv2")],
            [("run", "fc:0")],
        ]
        assert layers_of(f"{run}:conv*") == [every_layer[:2]]
        assert layers_of(f"{run}:conv2,conv1") == [every_layer[1::-1]]

    def test_of_a_summary_are_its_networks(self, tmp_path: Path) -> None:
        path = write_summary(tmp_path / "s.mat")
        assert [run for run, _ in layers_of(str(path))[0]] == list(NETWORKS)
        assert layers_of(f"{path}:net_wide,net_random") == [
            [("net_wide", "res5c"), ("net_random", "conv5")]
        ]
        assert layers_of(f"{path}:net_[rp]*") == [
            [("net_random", "conv5"), ("net_places", "conv5")]
        ]

    def test_of_tables(self, tmp_path: Path) -> None:
        lite = write_text(tmp_path / "tally.csv", LITE)
        clip = write_text(tmp_path / "clip.csv", DESCRIPTIONS)
        assert layers_of(str(lite), f"{clip}:layer2") == [
            [("tally", "tally")],
            [("clip", "layer2")],
        ]

    def test_of_equal_names_have_their_folders(self, tmp_path: Path) -> None:
        for folder in ("a", "b"):
            (tmp_path / folder).mkdir()
            write_text(tmp_path / folder / "tally.csv", LITE)
        texts = [str(tmp_path / folder / "tally.csv") for folder in ("a", "b")]
        names = [run for ((run, _),) in layers_of(*texts)]
        assert names == ["a/tally.csv", "b/tally.csv"]

    def test_detectors_are_counted_at_another_limit(
        self, run: Path, tmp_path: Path
    ) -> None:
        lite = write_text(tmp_path / "tally.csv", LITE)
        (layer,), (table,) = read_results([f"{run}:conv1", str(lite)], 0.26)
        assert (layer.detectors, table.detectors) == (1, 0)
        with pytest.raises(BadInput, match="min_iou"):
            read_results([str(lite)], 2.0)


class TestRefusals:
    def test_a_name_that_the_run_has_not(self, run: Path, tmp_path: Path) -> None:
        with pytest.raises(
            LayerNotFound, match="no layer or network 'conv3'; the nearest are conv"
        ):
            read_results([f"{run}:conv3"])
        with pytest.raises(LayerNotFound, match=r"no layer matches 'x\*' among 3"):
            read_results([f"{run}:x*"])
        path = write_summary(tmp_path / "s.mat")
        with pytest.raises(LayerNotFound, match="the nearest are net_places"):
            read_results([f"{path}:net_place"])
        with pytest.raises(BadInput, match="names no part; leave the colon out"):
            read_results([f"{run}:"])

    def test_a_part_that_is_given_twice(self, run: Path) -> None:
        with pytest.raises(BadInput, match=r"conv1 of .*run is given 2 times"):
            read_results([str(run), f"{run}:conv1"])

    def test_a_path_without_a_result(self, tmp_path: Path) -> None:
        with pytest.raises(RunInvalid, match="there is no such folder or file"):
            read_results([str(tmp_path / "absent")])
        with pytest.raises(RunInvalid, match=r"it has neither run\.json"):
            read_results([str(tmp_path)])
