"""Files with the names of ours that are somebody's own: neither removed nor written to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from drawn import Drawn, Net

from nd_plugin import (
    BadInput,
    Dissection,
    NotSaved,
    Preprocess,
    Settings,
    open_model,
)
from nd_plugin.candidates.map_file import CandidateFile
from nd_plugin.engine.run import run
from nd_plugin.probe_data.batches import Feed
from nd_plugin.results.folder_names import (
    is_layer_folder,
    is_run_folder,
    is_state_folder,
)
from nd_plugin.results.run_folder import save_run
from nd_plugin.resuming.checkpoint import CheckpointFolder
from nd_plugin.resuming.saved_state import is_ours
from nd_plugin.storage.holder import Holder

PREPROCESS = Preprocess((64, 64), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


def dissect(folder: Path, *, resume: bool = False) -> list[Dissection]:
    feed = Feed.of(
        Drawn.of("shapes?images=4&size=64&seed=3"),
        PREPROCESS,
        Settings(0.05),
        torch.device("cpu"),
        batch_size=2,
        workers=0,
    )
    saved = CheckpointFolder(folder, feed, 1, resume)
    with saved.guarded():
        result = run(
            open_model(Net().eval()), ["near"], feed, open_state=saved.open_state
        )
    saved.remove()
    return result


@pytest.mark.parametrize("name", ["0.values", "12.maps", "state.npz"])
@pytest.mark.parametrize("resume", [True, False])
def test_a_users_folder_with_such_files_is_refused(
    tmp_path: Path, name: str, resume: bool
) -> None:
    """Someone names the folder of another experiment as that of the checkpoints."""
    folder = tmp_path / "mine"
    folder.mkdir()
    with (folder / name).open("wb") as file:
        np.savez(file, weights=np.arange(3))
    content = (folder / name).read_bytes()
    assert not is_ours(folder)
    with pytest.raises(BadInput):
        dissect(folder, resume=resume)
    assert (folder / name).read_bytes() == content
    assert [path.name for path in folder.iterdir()] == [name]


@pytest.mark.parametrize("proof", ["lock", "part"])
def test_what_a_killed_run_has_left_is_used(tmp_path: Path, proof: str) -> None:
    folder = tmp_path / "run.partial" / "1-of-1"
    if proof == "lock":
        folder = tmp_path / "mine"
    folder.mkdir(parents=True)
    (folder / "0.maps").write_bytes(b"ours")
    if proof == "lock":
        (folder / "lock").write_bytes(Holder(2**22 + 1, "here", "noon").line())
    dissect(folder)
    assert not folder.exists()


def test_candidates_are_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"years of work")
    (tmp_path / "0.maps").symlink_to(tmp_path / "mine")
    with pytest.raises(OSError, match="symbolic links"):
        CandidateFile.create(tmp_path / "0.maps")
    assert (tmp_path / "mine").read_bytes() == b"years of work"
    with pytest.raises(BadInput, match=r"no checkpoint, such as"):
        dissect(tmp_path)


class TestWhichFoldersMayBeReplaced:
    def test_a_result(self, tmp_path: Path) -> None:
        dissections = dissect(tmp_path / "state")
        folder = save_run(tmp_path / "run", dissections)
        assert is_run_folder(folder) and is_layer_folder(folder / "near")
        (folder / "near" / "link").symlink_to(tmp_path)
        assert not is_run_folder(folder)
        with pytest.raises(NotSaved, match="something other than such a result"):
            save_run(folder, dissections)

    @pytest.mark.parametrize(
        "files", [["units.csv"], ["layer/units.csv"], ["a/b/c"], ["lock"]], ids=str
    )
    def test_such_names_alone(self, tmp_path: Path, files: list[str]) -> None:
        dissections = dissect(tmp_path / "state")
        folder = tmp_path / "mine"
        for name in files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("mine")
        assert not is_run_folder(folder) and not is_state_folder(folder)
        for save in (
            lambda: save_run(folder, dissections),
            lambda: dissections[0].save(folder),
        ):
            with pytest.raises(NotSaved):
                save()
        for name in files:
            assert (folder / name).read_text() == "mine"
