"""Checkpoints: found, in order, with their steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from nd_plugin.errors import BadInput, ModelNotFound
from nd_plugin.experiments.evolution.stages import find_stages
from nd_plugin.experiments.evolution.step_names import parse_steps


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return folder


class TestSteps:
    @pytest.mark.parametrize(
        ("names", "steps", "unit"),
        [
            (["epoch_2.pt", "epoch_10.pt", "epoch_100.pt"], [2, 10, 100], "epoch"),
            (["net-ep1.pth.tar", "net-ep12.pth.tar"], [1, 12], "epoch"),
            (
                ["iter_500.pt", "iter_1k.pt", "iter_2M.pt"],
                [500, 1000, 2e6],
                "iteration",
            ),
            # Lightning's: the step is finer than the epoch
            (
                ["epoch=0-step=100.ckpt", "epoch=0-step=200.ckpt"],
                [100, 200],
                "step",
            ),
            (
                ["checkpoint-5/model.bin", "checkpoint-50/model.bin"],
                [5, 50],
                "step",
            ),
            (["2.pt", "10.pt"], [2, 10], "step"),
            (["resnet18_7.pt", "resnet18_8.pt"], [7, 8], "step"),
            (["resnet18_v2_7.pt", "resnet18_v2_8.pt"], [7, 8], "step"),
            # the accuracy in a name is no step
            (["epoch_1_acc_0.51.pt", "epoch_2_acc_0.62.pt"], [1, 2], "epoch"),
            (["init.pt", "epoch_1.pt", "epoch_2.pt"], [0, 1, 2], "epoch"),
            (["epoch_7.pt"], [7], "epoch"),
        ],
    )
    def test_names_tell_steps(
        self, names: list[str], steps: list[float], unit: str
    ) -> None:
        reading = parse_steps(names)
        assert reading is not None
        assert (list(reading.steps), reading.unit) == (steps, unit)

    @pytest.mark.parametrize(
        "names",
        [
            ["best.pt", "last.pt"],
            ["epoch_1.pt", "epoch_2.pt", "best.pt"],
            ["a1_b2.pt", "a3_b4.pt"],  # which of the two?
            ["epoch_1_a.pt", "epoch_1_b.pt"],
            ["init.pt", "epoch_0.pt"],
        ],
    )
    def test_names_that_tell_no_steps(self, names: list[str]) -> None:
        assert parse_steps(names) is None

    def test_what_is_guessed_is_said(self, tmp_path: Path) -> None:
        touch(tmp_path, "init.pt", "epoch_1.pt")
        assert find_stages([tmp_path]).notes == (
            "init.pt has no number: taken as epoch 0",
        )
        touch(tmp_path, "best.pt")
        stages = find_stages([tmp_path])
        assert [stage.step for stage in stages.stages] == [1, 2, 3]
        assert stages.unit == "stage"
        assert "do not tell their steps" in stages.notes[0]
        assert "--steps" in stages.notes[0]


class TestOrder:
    def test_numbers_are_sorted_as_numbers(self, tmp_path: Path) -> None:
        touch(tmp_path, "100.pt", "10.pt", "2.pt", "notes.txt", ".3.pt")
        stages = find_stages([tmp_path]).stages
        assert [stage.name for stage in stages] == ["2.pt", "10.pt", "100.pt"]

    def test_names_without_numbers_that_count_are_sorted_naturally(
        self, tmp_path: Path
    ) -> None:
        touch(tmp_path, "a1_b10.pt", "a1_b2.pt", "a2_b1.pt")
        names = [stage.name for stage in find_stages([tmp_path]).stages]
        assert names == ["a1_b2.pt", "a1_b10.pt", "a2_b1.pt"]

    def test_files_in_an_order_of_their_own_keep_it(self, tmp_path: Path) -> None:
        touch(tmp_path, "before.pt", "after.pt", "run-a_10.pt", "run-a_9_b.pt")
        transfer = [tmp_path / "before.pt", tmp_path / "after.pt"]
        names = [stage.name for stage in find_stages(transfer).stages]
        assert names == ["before.pt", "after.pt"]
        # as a shell lists them
        listed = [tmp_path / "run-a_10.pt", tmp_path / "run-a_9_b.pt"]
        names = [stage.name for stage in find_stages(listed).stages]
        assert names == ["run-a_9_b.pt", "run-a_10.pt"]

    def test_steps_are_in_the_order_of_the_files(self, tmp_path: Path) -> None:
        touch(tmp_path, "last.pt", "first.pt")
        files = [tmp_path / "last.pt", tmp_path / "first.pt"]
        stages = find_stages(files, [90, 1]).stages
        assert [(stage.name, stage.step) for stage in stages] == [
            ("first.pt", 1),
            ("last.pt", 90),
        ]

    def test_a_file_counts_once(self, tmp_path: Path) -> None:
        touch(tmp_path, "1.pt", "2.pt")
        stages = find_stages([tmp_path, tmp_path / "1.pt"]).stages
        assert [stage.name for stage in stages] == ["1.pt", "2.pt"]

    def test_a_folder_for_each_checkpoint(self, tmp_path: Path) -> None:
        touch(
            tmp_path, *(f"checkpoint-{step}/model.safetensors" for step in (5, 40))
        )
        stages = find_stages([tmp_path]).stages
        assert [stage.step for stage in stages] == [5, 40]
        assert stages[0].name == "checkpoint-5/model.safetensors"
        touch(tmp_path, "checkpoint-5/optimizer.pt", "checkpoint-40/rng_state.pth")
        assert find_stages([tmp_path]).stages == stages


class TestRefused:
    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(ModelNotFound, match=r"no checkpoint '.*none\.pt'"):
            find_stages([tmp_path / "none.pt"])
        with pytest.raises(
            ModelNotFound, match=r"no file ends in one of \.safetensors"
        ):
            find_stages([touch(tmp_path, "readme.md")])
        with pytest.raises(BadInput, match="no checkpoint is given"):
            find_stages([])

    @pytest.mark.parametrize(
        ("steps", "message"),
        [([1.0], "1 steps for 2 checkpoints"), ([3.0, 3.0], "not all different")],
    )
    def test_wrong_steps(
        self, tmp_path: Path, steps: list[float], message: str
    ) -> None:
        with pytest.raises(BadInput, match=message):
            find_stages([touch(tmp_path, "a.pt", "b.pt")], steps)
