"""Stages of a training with planted changes: dissected once by content, compared unit by unit."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from staged_training import (
    MODEL,
    SETTINGS,
    STAGES,
    VALUES,
    concepts_of,
    save_onnx,
    save_probe_set,
    save_stages,
    save_weights,
)

from nd_plugin.errors import BadInput, LayerNotFound, ModelNotFound, RunInvalid
from nd_plugin.experiments.evolution.evolution import Evolution, evolve
from nd_plugin.experiments.evolution.evolution_files import (
    check_folder,
    load_evolution,
    save_evolution,
)
from nd_plugin.experiments.evolution.evolution_tables import evolution_content
from nd_plugin.resuming import checkpoint


class Training:
    """Checkpoints, a folder of results, and the stages that a run has dissected."""

    def __init__(self, root: Path, concepts: str) -> None:
        self.weights = root / "weights"
        self.folder = root / "evolution"
        self.concepts = concepts
        self.dissected: list[str] = []

    def evolve(self, **options: Any) -> Evolution:
        """Evolve; `dissected` has the stages whose images went through the model."""
        self.dissected = []
        stage = ""

        def say(message: str) -> None:
            nonlocal stage
            if message.startswith("stage "):
                stage = message.partition(": ")[2]

        def progress(name: str, done: int, total: int) -> None:
            if name == "activations" and done == total:
                self.dissected.append(stage)

        arguments: dict[str, Any] = {
            "settings": SETTINGS,
            "preprocess_values": VALUES,
            "workers": 0,
            "progress": progress,
            "say": say,
            **options,
        }
        model = arguments.pop("model", MODEL)
        checkpoints = arguments.pop("checkpoints", [self.weights])
        layers = arguments.pop("layers", ["0"])
        return evolve(
            model, checkpoints, layers, self.concepts, self.folder, **arguments
        )


@pytest.fixture(scope="module")
def concepts(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_probe_set(tmp_path_factory.mktemp("probe") / "set")


@pytest.fixture
def training(tmp_path: Path, concepts: str) -> Training:
    training = Training(tmp_path, concepts)
    save_stages(training.weights)
    return training


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, concepts: str) -> Evolution:
    training = Training(tmp_path_factory.mktemp("finished"), concepts)
    save_stages(training.weights)
    return training.evolve()


class TestUnits:
    def test_stages_come_by_their_steps(self, finished: Evolution) -> None:
        assert finished.steps == tuple(STAGES) == (2, 10, 100)
        assert finished.unit == "epoch"

    def test_histories_are_as_planted(self, finished: Evolution) -> None:
        by_unit = finished.layers[0].histories
        for index, channels in enumerate(STAGES.values()):
            labels = [history[index] for history in by_unit]
            detected = [label.concept if label.detector else "" for label in labels]
            assert detected == concepts_of(channels)

    def test_emergence_counts_unique_detectors(self, finished: Evolution) -> None:
        summaries = [report.summary for report in finished.layers[0].reports]
        assert [summary.detectors for summary in summaries] == [3, 4, 3]
        assert [summary.unique_detectors for summary in summaries] == [2, 3, 3]
        colours = [item.unique_detectors_by_category["color"] for item in summaries]
        assert colours == [1, 1, 1]

    def test_kept_among_detectors_of_both(self, finished: Evolution) -> None:
        first, second = finished.layers[0].transitions
        assert (first.kept, first.lost, first.gained) == ((0, 2), (), (3,))
        assert (second.kept, second.lost, second.gained) == ((0, 1), (3,), ())
        assert first.of_both == 3 and first.share_kept == pytest.approx(2 / 3)
        overall = finished.layers[0].overall
        assert overall.kept == (0,) and overall.share_kept == pytest.approx(1 / 3)
        assert finished.layers[0].always_kept == (0,)

    def test_changes_tell_what_is_in_common(self, finished: Evolution) -> None:
        changes = {item.unit: item for item in finished.layers[0].overall.changed}
        assert set(changes) == {1, 2}
        one, two = changes[1], changes[2]
        assert (one.before.concept, one.after.concept) == ("square", "circle")
        assert one.kind == "shape", "both are shapes"
        assert (two.before.concept, two.after.concept) == ("red", "square")
        assert (two.before.category, two.after.category) == ("color", "shape")
        assert two.kind == "none", "nothing of the colour is left"
        assert finished.layers[0].overall.kinds == {"shape": 1, "none": 1}

    def test_that_kinds_are_derived_is_said(self, finished: Evolution) -> None:
        (note,) = [note for note in finished.notes if "derived" in note]
        assert "judged by people" in note
        assert "keep texture cannot be told" in note, "the set has no textures"


class TestOnce:
    def test_renamed_checkpoints_are_not_dissected_again(
        self, training: Training
    ) -> None:
        first = training.evolve()
        assert training.dissected == ["epoch_2.pt", "epoch_10.pt", "epoch_100.pt"]
        (training.weights / "epoch_10.pt").rename(training.weights / "epoch_11.pt")
        shutil.copy(
            training.weights / "epoch_2.pt", training.weights / "epoch_3.pt"
        )
        second = training.evolve()
        assert training.dissected == []
        assert second.steps == (2, 3, 11, 100)
        assert second.keys[2] == first.keys[1]
        assert second.keys[0] == second.keys[1], "the same weights"

    def test_another_format_of_the_same_weights_is_the_same(
        self, training: Training
    ) -> None:
        training.evolve()
        (training.weights / "epoch_2.pt").unlink()
        save_weights(training.weights / "epoch_2.safetensors", STAGES[2])
        training.evolve()
        assert training.dissected == []

    def test_changed_content_is_dissected(self, training: Training) -> None:
        training.evolve()
        save_weights(training.weights / "epoch_10.pt", "GGGG")
        evolution = training.evolve()
        assert training.dissected == ["epoch_10.pt"]
        history = evolution.layers[0].histories[0]
        assert [label.concept for label in history] == ["red", "square", "red"]

    def test_settings_decide(self, training: Training) -> None:
        training.evolve()
        higher = training.evolve(settings=replace(SETTINGS, min_iou=0.999))
        assert training.dissected == [], "detectors are counted afterwards"
        assert [item.summary.detectors for item in higher.layers[0].reports] == [
            0
        ] * 3
        training.evolve(settings=replace(SETTINGS, quantile=0.29))
        assert len(training.dissected) == 3

    def test_pictures_are_added_when_asked_for(self, training: Training) -> None:
        training.evolve()
        pictured = training.evolve(settings=replace(SETTINGS, pictures=2))
        assert len(training.dissected) == 3
        assert pictured.layers[0].dissections[0].pictures is not None
        training.evolve()
        assert training.dissected == [], "what has pictures serves those without"

    def test_another_concept_set_is_another_content(
        self, training: Training, tmp_path: Path
    ) -> None:
        training.evolve()
        training.concepts = save_probe_set(tmp_path / "other", images=5)
        training.evolve()
        assert len(training.dissected) == 3

    def test_another_layer_is_dissected_alone(self, training: Training) -> None:
        first = training.evolve()
        second = training.evolve(layers=["all"])
        assert len(training.dissected) == 3
        assert [layer.layer for layer in second.layers] == ["0", "1"]
        assert [keys["0"] for keys in second.keys] == [
            keys["0"] for keys in first.keys
        ]

    def test_an_interrupted_run_continues(self, training: Training) -> None:
        def interrupt(message: str) -> None:
            if message.startswith("stage 3"):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            training.evolve(say=interrupt)
        training.evolve()
        assert training.dissected == ["epoch_100.pt"]

    def test_a_stage_continues_at_its_checkpoint(
        self, training: Training, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(checkpoint, "IMAGES_BETWEEN_CHECKPOINTS", 1)
        monkeypatch.setattr(checkpoint, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)

        def interrupt(name: str, done: int, total: int) -> None:
            if name == "activations" and done == 4:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            training.evolve(batch_size=2, progress=interrupt)
        starts: list[int] = []
        training.evolve(
            batch_size=2, progress=lambda name, done, total: starts.append(done)
        )
        assert starts[0] >= 2, "the first stage does not begin again"
        assert not (training.folder / "partial").exists()

    def test_a_damaged_run_is_dissected_again(self, training: Training) -> None:
        key = training.evolve().keys[1]["0"]
        run = training.folder / "runs" / key
        next(run.glob("*/dissection.npz")).write_bytes(b"damaged")
        training.evolve()
        assert training.dissected == ["epoch_10.pt"]


class TestFailures:
    def test_an_unreadable_checkpoint_is_named_and_the_others_are_done(
        self, training: Training
    ) -> None:
        (training.weights / "epoch_50.pt").write_bytes(b"no weights")
        evolution = training.evolve()
        assert evolution.steps == (2, 10, 100)
        (failed,) = evolution.failed
        assert failed.stage.name == "epoch_50.pt"
        assert isinstance(failed.error, ModelNotFound)
        assert any(
            note.startswith("epoch_50.pt is left out:") for note in evolution.notes
        )

    def test_where_all_fail_the_first_error_is_raised(
        self, training: Training
    ) -> None:
        with pytest.raises(LayerNotFound, match="conv9"):
            training.evolve(layers=["conv9"])

    def test_weights_of_another_network(self, training: Training) -> None:
        torch.save({"a": torch.zeros(1)}, training.weights / "epoch_20.pt")
        (failed,) = training.evolve().failed
        assert "do not fit" in str(failed.error)

    def test_several_quantiles_are_refused(self, training: Training) -> None:
        settings = replace(SETTINGS, quantile=0.3, quantiles=(0.3, 0.2))
        with pytest.raises(BadInput, match="one quantile"):
            training.evolve(settings=settings)

    def test_accuracies_are_checked_before_the_run(
        self, training: Training, tmp_path: Path
    ) -> None:
        path = tmp_path / "accuracy.csv"
        path.write_text("epoch,top1\n1,0.5\n")
        with pytest.raises(
            BadInput, match="columns epoch, top1; expected checkpoint"
        ):
            training.evolve(accuracy=path)
        assert training.dissected == []


class TestFilesThatAreModels:
    def test_onnx_files_are_stages(
        self, training: Training, tmp_path: Path
    ) -> None:
        folder = tmp_path / "onnx"
        for step, channels in STAGES.items():
            save_onnx(folder / f"net-{step}.onnx", channels)
        options = {"model": None, "checkpoints": [folder], "layers": ["maps"]}
        evolution = training.evolve(**options)
        assert evolution.steps == (2, 10, 100) and evolution.model == ""
        of_torch = Training(tmp_path / "torch", training.concepts)
        save_stages(of_torch.weights)
        expected = of_torch.evolve().layers[0].histories
        assert evolution.layers[0].histories == expected
        (folder / "net-2.onnx").rename(folder / "net-3.onnx")
        training.evolve(**options)
        assert training.dissected == []

    def test_models_beside_weights_are_refused(
        self, training: Training, tmp_path: Path
    ) -> None:
        model = save_onnx(tmp_path / "1.onnx", "RGB-")
        mixed = [training.weights, model]
        with pytest.raises(BadInput, match="files of one kind"):
            training.evolve(checkpoints=mixed)
        with pytest.raises(BadInput, match="leave the model out"):
            training.evolve(checkpoints=[model])
        with pytest.raises(BadInput, match="name the model"):
            training.evolve(model=None)


class TestOnDisk:
    def test_a_saved_evolution_is_the_same(self, training: Training) -> None:
        path = training.folder.parent / "accuracy.csv"
        path.write_text("checkpoint, accuracy\nepoch_2, 0.25\nepoch_100.pt, 0.75\n")
        evolution = training.evolve(accuracy=path)
        save_evolution(training.folder, evolution)
        shutil.rmtree(training.weights)
        loaded = load_evolution(training.folder)
        # texts: NaN, the accuracy of epoch 10, equals nothing
        assert json.dumps(evolution_content(loaded)) == json.dumps(
            evolution_content(evolution)
        )
        assert loaded.accuracies[0] == 0.25 and loaded.accuracies[2] == 0.75
        assert f"{path} has no accuracy of epoch_10.pt" in loaded.notes

    def test_min_iou_is_the_evolution_s_own(self, training: Training) -> None:
        training.evolve()
        strict = training.evolve(settings=replace(SETTINGS, min_iou=0.999))
        save_evolution(training.folder, strict)
        assert load_evolution(training.folder).min_iou == 0.999
        loaded = load_evolution(training.folder, 0.04)
        assert loaded.layers[0].reports[0].summary.detectors == 3

    def test_tables(self, training: Training) -> None:
        save_evolution(training.folder, training.evolve())
        rows = read_rows(training.folder / "emergence.csv")
        assert [row["unique_detectors"] for row in rows] == ["2", "3", "3"]
        assert [row["shape"] for row in rows] == ["1", "2", "2"]
        histories = read_rows(training.folder / "histories.csv")
        of_unit = [row["concept"] for row in histories if row["unit"] == "2"]
        assert of_unit == ["red", "red", "square"]
        changes = read_rows(training.folder / "changes.csv")
        overall = [row for row in changes if row["span"] == "overall"]
        assert [(row["unit"], row["kind"]) for row in overall] == [
            ("1", "shape"),
            ("2", "none"),
        ]

    @pytest.mark.parametrize(
        "damage",
        [
            lambda folder: (folder / "evolution.json").unlink(),
            lambda folder: (folder / "evolution.json").write_text("{"),
            lambda folder: (folder / "evolution.json").write_text('{"format": 1}'),
            lambda folder: (folder / "evolution.json").write_text('{"format": 9}'),
            lambda folder: shutil.rmtree(folder / "runs"),
        ],
    )
    def test_a_damaged_folder(
        self, training: Training, damage: Callable[[Path], Any]
    ) -> None:
        save_evolution(training.folder, training.evolve())
        damage(training.folder)
        with pytest.raises(RunInvalid):
            load_evolution(training.folder)

    def test_a_key_leads_nowhere_else(self, training: Training) -> None:
        save_evolution(training.folder, training.evolve())
        record = training.folder / "evolution.json"
        content = json.loads(record.read_text())
        content["stages"][0]["runs"]["0"] = "../../elsewhere"
        record.write_text(json.dumps(content))
        with pytest.raises(RunInvalid, match="is no run"):
            load_evolution(training.folder)

    def test_a_folder_of_others_is_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "thesis.tex").write_text("")
        with pytest.raises(BadInput, match=r"such as thesis\.tex"):
            check_folder(tmp_path)


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


class TestErrorBars:
    def test_folds_and_permutations_of_each_stage(self, training: Training) -> None:
        settings = replace(SETTINGS, folds=3, permutations=4)
        evolution = training.evolve(settings=settings)
        assert len(training.dissected) == 3
        save_evolution(training.folder, evolution)
        rows = read_rows(training.folder / "emergence.csv")
        for row in rows:
            unique = int(row["unique_detectors"])
            assert int(row["unique_low"]) <= unique <= int(row["unique_high"])
            assert float(row["unique_by_chance"]) >= 0
        emergence = evolution_content(evolution)["layers"][0]["emergence"]
        assert {"intervals", "chance"} <= set(emergence[0])
        training.evolve()
        assert len(training.dissected) == 3, "runs without folds are others"
