"""Folders and files that are replaced: killed at any moment, the old or the new one is there."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from killing import contents, kill_everywhere, names

from nd_plugin import BadInput, NotSaved
from nd_plugin.results.atomic_files import (
    move_folder,
    recovered,
    write_file,
    write_folder,
)
from nd_plugin.storage import exchange, folder_swap
from nd_plugin.storage.swap_note import Note, note_path

OLD = {"run.json": b"old", "a/units.csv": b"old units", "b/units.csv": b"gone"}
NEW = {"run.json": b"new, and longer", "a/units.csv": b"new units", "c/x": b"1"}


def anything(folder: Path) -> bool:
    return True


def written(folder: Path, files: dict[str, bytes]) -> Path:
    return write_folder(folder, files, may_replace=anything)


@pytest.fixture(params=["one step", "two steps"])
def steps(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Exchange folders in one step, or as systems do that cannot."""
    if request.param == "two steps":
        monkeypatch.setattr(exchange, "exchange", lambda first, second: False)
        monkeypatch.setattr(folder_swap, "exchange", lambda first, second: False)
    return str(request.param)


def write_old(folder: Path) -> None:
    written(folder / "run", OLD)


def write_new(folder: Path) -> None:
    written(folder / "run", NEW)


def test_a_replaced_folder_is_old_or_new_at_every_moment(
    tmp_path: Path, steps: str
) -> None:
    versions = []
    for folder in kill_everywhere(tmp_path, write_old, write_new):
        run = recovered(folder / "run")
        versions.append(contents(run))
        assert versions[-1] in (OLD, NEW), folder
        assert names(folder) == ["run"], folder
    assert versions[0] == OLD and versions[-1] == NEW
    assert len(versions) > 30


def test_without_recovery_one_step_leaves_old_or_new(tmp_path: Path) -> None:
    """Programs that know nothing of notes find a run, too."""
    first = written(tmp_path / "a", OLD)
    second = written(tmp_path / "b", NEW)
    if not exchange.exchange(first, second):
        pytest.skip("this file system does not exchange folders")
    for folder in kill_everywhere(tmp_path, write_old, write_new):
        assert contents(folder / "run") in (OLD, NEW), folder


def test_the_next_run_ends_what_was_left(tmp_path: Path, steps: str) -> None:
    """Without a reader between: whoever writes next tidies."""
    for folder in kill_everywhere(tmp_path, write_old, write_new):
        written(folder / "run", {"run.json": b"the third"})
        assert contents(folder) == {"run/run.json": b"the third"}, folder


def test_a_new_folder_is_whole_or_not_there(tmp_path: Path, steps: str) -> None:
    for folder in kill_everywhere(tmp_path, lambda folder: None, write_new):
        run = contents(recovered(folder / "run"))
        assert run in ({}, NEW), folder
        assert names(folder) in ([], ["run"]), folder


def test_a_moved_shard_is_never_lost(tmp_path: Path, steps: str) -> None:
    """A finished state takes the place of an old one: it is here or there, and then there."""

    def prepare(folder: Path) -> None:
        written(folder / "run", OLD)
        written(folder / "state", NEW)

    def move(folder: Path) -> None:
        move_folder(folder / "state", folder / "run", may_replace=anything)

    for folder in kill_everywhere(tmp_path, prepare, move):
        run = contents(recovered(folder / "run"))
        state = contents(folder / "state")
        assert (run, state) in ((OLD, NEW), (NEW, {})), folder
    assert (run, state) == (NEW, {})


def test_a_replaced_file_is_old_or_new_at_every_moment(tmp_path: Path) -> None:
    for folder in kill_everywhere(
        tmp_path,
        lambda folder: write_file(folder / "units.csv", b"old"),
        lambda folder: write_file(folder / "units.csv", b"new"),
    ):
        assert (folder / "units.csv").read_bytes() in (b"old", b"new"), folder
        write_file(folder / "units.csv", b"newer")
        assert contents(folder) == {"units.csv": b"newer"}, "no draft of the dead"


def test_files_of_others_are_left_wherever_they_are(
    tmp_path: Path, steps: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody writes into the old run while it is replaced."""
    run = written(tmp_path / "run", OLD)
    place = folder_swap._place

    def late(*arguments: Any) -> None:
        (run / "notes.txt").write_bytes(b"mine")
        (run / "link").symlink_to(tmp_path)
        place(*arguments)

    monkeypatch.setattr(folder_swap, "_place", late)
    with pytest.warns(
        RuntimeWarning, match="holds files that are not of the folder"
    ):
        written(run, NEW)
    assert contents(run) == NEW
    (rest,) = [path for path in tmp_path.iterdir() if path != run]
    assert rest.name.startswith(".run.")
    assert names(rest) == ["link", "notes.txt"]


def test_drafts_are_written_through_before_they_get_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """File, folder, then the name: what a power cut leaves is whole."""
    run = written(tmp_path / "run", OLD)
    events: list[str] = []
    fsync = os.fsync
    place = folder_swap.exchange

    def record_sync(descriptor: int) -> None:
        events.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    def record_exchange(first: Path, second: Path) -> bool:
        events.append("exchange")
        return place(first, second)

    if not Path("/proc/self/fd").exists():
        pytest.skip("no /proc")
    monkeypatch.setattr(os, "fsync", record_sync)
    monkeypatch.setattr(folder_swap, "exchange", record_exchange)
    written(run, NEW)
    step = events.index("exchange")
    before = [event.replace(str(tmp_path), "") for event in events[:step]]
    assert before[0] == f"/{note_path(run).name}" and before[1] == ""
    for name in NEW:
        assert any(event.endswith(f".nd_draft/{name}") for event in before)
    folders = [
        event for event in before if event.endswith(("nd_draft", "/a", "/c"))
    ]
    assert len(folders) == 3 and before[-1].endswith(".nd_draft")
    assert events[step + 1] == str(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"kind": "nd_plu',
        b'{"kind": "nd_plugin swap"',
        b'{"kind": "nd_plugin swap", "draft": "../x", "files": [], "complete": null}',
        b'{"kind": "nd_plugin swap", "draft": ".run.00000000.nd_draft", '
        b'"files": ["../../mine"], "complete": null}',
        b'{"kind": "nd_plugin swap", "draft": 7, "files": 7, "complete": []}',
    ],
)
def test_a_note_that_says_nothing_is_removed(
    tmp_path: Path, content: bytes
) -> None:
    run = written(tmp_path / "run", OLD)
    (tmp_path / "mine").write_bytes(b"mine")
    (tmp_path / ".run.00000000.nd_draft/x").mkdir(parents=True)
    note_path(run).write_bytes(content)
    recovered(run)
    assert not note_path(run).exists()
    assert contents(run) == OLD and (tmp_path / "mine").exists()
    written(run, NEW)
    assert contents(run) == NEW


@pytest.mark.parametrize("kind", ["text", "link", "folder", "pipe"])
def test_what_is_no_note_stays(tmp_path: Path, kind: str) -> None:
    run = written(tmp_path / "run", OLD)
    note = note_path(run)
    mine = tmp_path / "mine"
    mine.write_bytes(b"years of work")
    if kind == "text":
        note.write_bytes(b"years of work")
    elif kind == "link":
        note.symlink_to(mine)
    elif kind == "folder":
        note.mkdir()
    else:
        os.mkfifo(note)
    assert contents(recovered(run)) == OLD
    with pytest.raises(BadInput, match="another process is writing"):
        written(run, NEW)
    assert contents(run) == OLD and mine.read_bytes() == b"years of work"
    assert os.path.lexists(note)


def test_a_reader_that_may_not_tidy_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = written(tmp_path / "run", OLD)
    note_path(run).write_bytes(b"")

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as patches:
        patches.setattr(Path, "unlink", refuse)
        assert contents(recovered(run)) == OLD
    assert note_path(run).exists()
    recovered(run)
    assert not note_path(run).exists()


def test_two_writers_at_once_are_one(tmp_path: Path) -> None:
    run = written(tmp_path / "run", OLD)

    def busy(folder: Path) -> bool:
        with pytest.raises(
            BadInput, match=r"another process is writing .*run: wait"
        ):
            written(run, NEW)
        assert contents(recovered(run)) == OLD
        return True

    write_folder(run, NEW, may_replace=busy)
    assert contents(tmp_path) == {f"run/{name}": data for name, data in NEW.items()}


def test_a_reader_that_removes_a_note_does_not_stop_its_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the writer's opening of the note and its lock."""
    run = written(tmp_path / "run", OLD)
    hold = Note.hold
    opened: list[Path] = []

    def late(note: Note) -> bool:
        opened.append(note.path)
        if len(opened) == 1:
            note.path.unlink()
        return hold(note)

    monkeypatch.setattr(Note, "hold", late)
    written(run, NEW)
    assert len(opened) == 2
    assert contents(tmp_path) == {f"run/{name}": data for name, data in NEW.items()}


def test_a_folder_without_a_name_that_cannot_have_one_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the two steps, on a disk that can only be read by now."""
    monkeypatch.setattr(exchange, "exchange", lambda first, second: False)
    monkeypatch.setattr(folder_swap, "exchange", lambda first, second: False)
    run = next(
        folder / "run"
        for folder in kill_everywhere(tmp_path, write_old, write_new)
        if not (folder / "run").exists()
    )

    def refuse(path: Path, target: Path) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patches:
        patches.setattr(Path, "rename", refuse)
        with pytest.raises(NotSaved, match="Read-only file system"):
            recovered(run)
    assert contents(recovered(run)) == NEW
