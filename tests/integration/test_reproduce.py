"""The experiment of examples/reproduce at a tiny scale: from scenes to tables and figures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

FOLDER = Path(__file__).parents[2] / "examples" / "reproduce"
sys.path.append(str(FOLDER))
pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from nd_plugin import open_concepts  # noqa: E402
from reproduce import captions, command, tasks  # noqa: E402
from reproduce.dissections import Dissections  # noqa: E402
from reproduce.measures import Measures  # noqa: E402
from reproduce.networks import Architecture, Network  # noqa: E402
from reproduce.scales import Scale  # noqa: E402
from reproduce.scenes import DrawnScenes, draw_scenes  # noqa: E402
from reproduce.study import Study  # noqa: E402
from reproduce.trainings import VARIANTS, trainings  # noqa: E402

# two workers say that they are there, and have work for minutes
WORKING = """
import sys, time
sys.path.append(sys.argv[1])
from reproduce.processes import results_of

def work(name):
    print(name, flush=True)
    time.sleep(200)

if __name__ == "__main__":
    list(results_of(work, [("first",), ("second",)], 2))
"""

SIZE = 32
TINY = Scale(
    "tiny",
    size=SIZE,
    training_images=64,
    test_images=30,
    probe_images=30,
    epochs=1,
    tuning_epochs=1,
    batch=16,
    seeds=1,
    units=16,
    fewer_units=8,
    rotations=2,
    checkpoints=(),
)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> DrawnScenes:
    return draw_scenes(30, SIZE, 3, tmp_path_factory.mktemp("scenes"))


class TestScenes:
    def test_images_and_annotations_are_those_of_the_drawn_set(
        self, scenes: DrawnScenes
    ) -> None:
        concepts = open_concepts(f"shapes?images=30&size={SIZE}&seed=3")
        assert scenes.identity == concepts.identity
        assert len(scenes) == len(concepts) == 30
        for index in (0, 17, 29):
            assert scenes.name(index) == concepts.name(index)
            drawn = np.asarray(concepts.image(index))
            assert np.array_equal(np.asarray(scenes.image(index)), drawn)
            annotation = concepts.annotation(index)
            own_annotation = scenes.annotation(index)
            assert own_annotation.labels == annotation.labels
            planes = zip(own_annotation.planes, annotation.planes, strict=True)
            assert all(np.array_equal(own, drawn) for own, drawn in planes)


class TestTasks:
    def test_scenes_have_their_own_number_and_close_ups_none(
        self, scenes: DrawnScenes
    ) -> None:
        task = tasks.SceneTask(scenes)
        names = list(scenes.names_of("scene").values())
        targets = task.targets(scenes).tolist()
        assert task.outputs == len(names) == 12
        for index, target in enumerate(targets):
            kind = scenes.name(index).rpartition("-")[0]
            expected = -1 if kind == "closeup" else names.index(f"{kind}-s")
            assert target == expected
        assert -1 in targets

    def test_objects_are_present_where_they_take_a_hundredth(
        self, scenes: DrawnScenes
    ) -> None:
        task = tasks.ObjectTask(scenes)
        targets = task.targets(scenes)
        assert targets.shape == (30, task.outputs)
        for index in (0, 12):
            for column, label in enumerate(task.labels.tolist()):
                share = (scenes.planes[index, 0] == label).mean()
                assert bool(targets[index, column]) == bool(share >= 0.01)
        assert targets.sum(0).min() >= 1

    def test_rotation_turns_each_picture_by_its_target(
        self, scenes: DrawnScenes
    ) -> None:
        pictures = torch.from_numpy(scenes.pixels).permute(0, 3, 1, 2)
        dice = torch.Generator().manual_seed(0)
        turned, turns = tasks.RotationTask().present(
            pictures, torch.zeros(30), dice
        )
        assert set(turns.tolist()) == {0, 1, 2, 3}
        for picture, result, turn in zip(pictures, turned, turns, strict=True):
            upright = result.rot90(-int(turn), (1, 2))
            assert torch.equal(upright, picture)

    def test_colours_of_cells_are_bins_of_their_chroma(self) -> None:
        pictures = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
        pictures[0, 0, :, 2:] = 255  # red on the right, black on the left
        task = tasks.ColorTask(cells=2)
        _, bins = task.present(pictures, torch.zeros(1), torch.Generator())
        # black: (Cb, Cr) = (0, 0), bin 3 of 6 on both axes; red: (-0.17, 0.5), bins 1 and 5
        assert bins.tolist() == [[[21, 11], [21, 11]]]

    def test_a_network_of_grey_input_sees_no_colour(self) -> None:
        network = Network(Architecture(16, grey=True), SIZE, 4, False).eval()
        grey = torch.full((1, 3, SIZE, SIZE), 0.299)
        red = torch.zeros(1, 3, SIZE, SIZE)
        red[:, 0] = 1.0
        with torch.inference_mode():
            difference = network(grey) - network(red)
        # the luma of both is 0.299, summed in another order
        assert difference.abs().max() < 1e-5

    def test_captions_tell_scene_and_largest_objects(
        self, scenes: DrawnScenes
    ) -> None:
        words = captions.caption(scenes, 0)
        objects = scenes.planes[0, 0]
        areas = np.bincount(objects.ravel())
        areas[0] = 0
        largest = scenes.concepts[int(areas.argmax()) - 1].name
        assert words[0] == scenes.name(0).rpartition("-")[0]
        assert words[2] == largest and words[-1] == "."
        vocabulary = captions.Captions.of(scenes)
        numbers = [
            number for number in vocabulary.encode(scenes)[0].tolist() if number
        ]
        assert [vocabulary.words[number] for number in numbers] == words

    def test_the_next_word_depends_on_earlier_words_only(self) -> None:
        torch.manual_seed(0)
        decoder = tasks.CaptionDecoder(words=9, features=8).eval()
        features = torch.randn(1, 8)
        with torch.inference_mode():
            logits = decoder(features, torch.tensor([[1, 2, 3]]))
            changed = decoder(features, torch.tensor([[1, 2, 8]]))
        assert torch.equal(logits, changed)


def test_workers_end_with_a_first_process_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(WORKING)
    command_line = [sys.executable, str(script), str(FOLDER)]
    with subprocess.Popen(command_line, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        names = {process.stdout.readline(), process.stdout.readline()}
        assert names == {b"first\n", b"second\n"}
        process.kill()
        # workers have the same output: it ends with the last of them
        process.communicate(timeout=100)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return Study(TINY, tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def results(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of tables and figures of the whole experiment."""
    folder = tmp_path_factory.mktemp("results")
    command.run(study, command.STEPS, folder, processes=1)
    return folder


class TestExperiment:
    def test_numbers_of_all_networks(self, results: Path) -> None:
        measures: dict[str, Any] = json.loads(
            (results / "measures.json").read_text()
        )
        networks = measures["networks"]
        assert [network["variant"] for network in networks] == list(VARIANTS)
        for network in networks:
            narrow = network["variant"] == "scenes-narrow"
            assert network["last_layer"]["units"] == (8 if narrow else 16)
            assert 0 <= network["linear_accuracy"] <= 1
            assert len(network["scores"]) == 2

    def test_rotations_begin_at_the_layer_itself(
        self, results: Path, study: Study
    ) -> None:
        measures = Measures(Dissections(study))
        for network in measures.networks["scenes"]:
            own = measures.rotated("scenes", 0.0)[0][0]
            assert np.array_equal(own.intersection, network.dissection.intersection)

    def test_tuned_networks_begin_with_the_units_of_their_source(
        self, results: Path, study: Study
    ) -> None:
        measures = Measures(Dissections(study))
        (source,) = measures.networks["scenes"]
        (tuned,) = measures.networks["scenes-to-objects"]
        before = tuned.stages[0].intersection
        assert np.array_equal(before, source.dissection.intersection)

    def test_tables_and_figures(self, results: Path) -> None:
        tables = (results / "tables.md").read_text()
        for variant in VARIANTS:
            assert f"\n| {variant} | " in tables
        pictures = {path.name for path in results.iterdir()}
        assert {"emergence.png", "rotation.png", "units.jpg"} <= pictures

    def test_what_is_computed_is_not_computed_again(
        self, results: Path, study: Study
    ) -> None:
        """Of one training the weights are lost, and nobody misses them."""
        (training, *_) = trainings(TINY)
        weights = sorted(study.folder_of(training).glob("*.safetensors"))
        contents = [path.read_bytes() for path in weights]
        for path in weights:
            path.unlink()
        try:
            command.run(study, ["train", "dissect"], results, processes=1)
            assert not any(path.exists() for path in weights)
        finally:
            for path, content in zip(weights, contents, strict=True):
                path.write_bytes(content)


def test_an_unknown_step_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["dream"])
    assert "no step 'dream'" in capsys.readouterr().err


def test_work_needs_a_process(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--processes", "0"])
    assert "--processes is 0; expected 1 or more" in capsys.readouterr().err
