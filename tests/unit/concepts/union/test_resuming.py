"""Interrupted builds: never taken for whole, and continued to the same bytes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from killing import contents, kill_everywhere, killed_before
from PIL import Image
from union_sets import MadeSet, made_set, objects

from nd_broden.reader import Broden
from nd_plugin.concepts.union.construction import build_union
from nd_plugin.concepts.union.passes import workspace as workspace_module
from nd_plugin.concepts.union.report import UnionReport
from nd_plugin.concepts.union.settings import BuildRun, BuildSettings
from nd_plugin.concepts.union.splits import Splits
from nd_plugin.errors import BadInput, ConceptSetInvalid
from nd_plugin.machine.forked_workers import can_fork
from nd_plugin.results.atomic_files import recovered

pytestmark = pytest.mark.skipif(not can_fork(), reason="no processes to kill here")

STEP = 17  # files take four calls each: so all four kinds are met
SETTINGS = BuildSettings(size=(8, 8), mask_size=(4, 4), min_samples=1)
SET = made_set("made:street", objects("car", "tree"), 2)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(workspace_module, "CHUNK_IMAGES", 1)
    yield


def build(
    output: Path,
    made: MadeSet = SET,
    settings: BuildSettings = SETTINGS,
    **run: Any,
) -> UnionReport:
    sets = [("", made)]
    options = BuildRun(**run)
    return build_union(output, sets, settings, options, None, lambda *_: None)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Files of the set, built without interruption."""
    output = tmp_path_factory.mktemp("whole") / "union"
    build(output)
    return contents(output)


def test_a_build_killed_at_any_moment_is_continued_to_the_same_bytes(
    tmp_path: Path, whole: dict[str, bytes]
) -> None:
    kills = 0
    for folder in kill_everywhere(
        tmp_path, lambda _: None, lambda folder: build(folder / "union"), STEP
    ):
        output = folder / "union"
        kills += 1
        if output.exists():
            assert contents(output) == whole
        else:
            with pytest.raises(ConceptSetInvalid):
                Broden(str(output))
        build(output, resume=True)
        assert contents(output) == whole
        assert [path.name for path in folder.iterdir()] == ["union"]
    assert kills > 5


def test_a_replacement_killed_at_any_moment_leaves_a_whole_set(
    tmp_path: Path, whole: dict[str, bytes]
) -> None:
    """The earlier set or the new one has the name at every moment."""
    earlier = made_set("made:lane", objects("path"), 1)
    build(tmp_path / "earlier", earlier)
    old = contents(tmp_path / "earlier")

    def prepare(folder: Path) -> None:
        shutil.copytree(tmp_path / "earlier", folder / "union")

    for folder in kill_everywhere(
        tmp_path,
        prepare,
        lambda folder: build(folder / "union", overwrite=True),
        STEP,
    ):
        output = folder / "union"
        assert contents(recovered(output)) in (old, whole)
        build(output, resume=True, overwrite=True)
        assert contents(output) == whole
        assert [path.name for path in folder.iterdir()] == ["union"]


class Counted(MadeSet):
    """Set that counts what is decoded, in files."""

    def image(self, index: int) -> Image.Image:
        with (Path(self.text.partition(":")[2]) / "decoded").open("a") as file:
            file.write("x")
        return super().image(index)


def test_what_is_done_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Counted(f"made:{tmp_path}", tuple(objects("car")), ((1,),) * 8)
    log = tmp_path / "decoded"

    def killed_in_second_pass(folder: Path) -> None:
        def stop(stage: str, done: int, total: int) -> None:
            if stage == "writing images" and done == 4:
                raise KeyboardInterrupt

        build_union(folder, [("", made)], SETTINGS, BuildRun(), None, stop)

    with pytest.raises(KeyboardInterrupt):
        killed_in_second_pass(tmp_path / "union")
    assert len(log.read_text()) == 8 + 4
    build(tmp_path / "union", made, resume=True)
    assert len(log.read_text()) == 8 + 8
    # a finished set is not built again
    build(tmp_path / "union", made, resume=True)
    assert len(log.read_text()) == 8 + 8


@pytest.fixture
def interrupted(tmp_path: Path) -> Path:
    """Set whose build was killed in the middle; an empty folder's path."""
    output = tmp_path / "union"
    assert killed_before(60, lambda _: build(output), tmp_path)
    assert not output.exists()
    return output


def test_an_interrupted_build_is_told_and_not_overwritten(
    interrupted: Path,
) -> None:
    with pytest.raises(BadInput, match="continue it with --resume, or discard"):
        build(interrupted)


def test_an_interrupted_build_is_discarded_on_request(
    interrupted: Path, whole: dict[str, bytes]
) -> None:
    build(interrupted, overwrite=True)
    assert contents(interrupted) == whole


@pytest.mark.parametrize(
    ("made", "settings", "name"),
    [
        (SET, replace(SETTINGS, size=(9, 8)), "size: 8, now 9"),
        (SET, replace(SETTINGS, min_samples=2), "min_samples: 1, now 2"),
        (SET, replace(SETTINGS, splits=Splits.parse("all=1")), "splits"),
        (made_set("made:street", objects("car"), 2), SETTINGS, "sources"),
    ],
)
def test_another_build_does_not_continue_it(
    interrupted: Path, made: MadeSet, settings: BuildSettings, name: str
) -> None:
    with pytest.raises(BadInput, match=f"another value of {name}"):
        build(interrupted, made, settings, resume=True)
    build(interrupted, resume=True)


def test_a_finished_set_is_not_another_one(tmp_path: Path) -> None:
    build(tmp_path / "union")
    with pytest.raises(BadInput, match="another value of min_samples: 1, now 2"):
        build(
            tmp_path / "union",
            settings=replace(SETTINGS, min_samples=2),
            resume=True,
        )


def test_a_damaged_chunk_is_told(interrupted: Path) -> None:
    chunk = interrupted.with_name("union.partial") / "survey" / "000000.json"
    chunk.write_text("{")
    with pytest.raises(Exception, match=r"000000\.json is damaged.*--overwrite"):
        build(interrupted, resume=True)
    build(interrupted, overwrite=True)


@pytest.mark.parametrize("content", [None, b"", b"\x89PNG"])
def test_files_that_a_power_cut_has_lost_are_written_again(
    tmp_path: Path, whole: dict[str, bytes], content: bytes | None
) -> None:
    output = tmp_path / "union"

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "writing images" and done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_union(output, [("", SET)], SETTINGS, BuildRun(), None, stop)
    images = output.with_name("union.partial") / "set" / "images" / "street"
    mask = images / "1_object.png"
    mask.unlink()
    if content is not None:
        mask.write_bytes(content)
    build(output, resume=True)
    assert contents(output) == whole
