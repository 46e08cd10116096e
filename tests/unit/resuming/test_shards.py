"""Shards: parts that were run apart, brought together in any order, are one run to the last bit."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from drawn import Drawn, Net
from made_pictures import pictures_as_bytes
from torch import nn

from nd_plugin import (
    BadInput,
    ConceptSet,
    Dissection,
    ModelOptions,
    Preprocess,
    RunFailed,
    RunInvalid,
    Settings,
    open_concepts,
    open_model,
)
from nd_plugin.cli import dissect
from nd_plugin.cli.checkpoints import RunOptions
from nd_plugin.engine.part_run import Progress, silent
from nd_plugin.engine.run import observe, run
from nd_plugin.probe_data.batches import Feed
from nd_plugin.probe_data.parts import WHOLE, Part, parse_part
from nd_plugin.results import run_folder
from nd_plugin.results.folder_names import STATE
from nd_plugin.results.npz_format import ARRAYS
from nd_plugin.resuming import shards
from nd_plugin.resuming.checkpoint import CheckpointFolder

IMAGES, SIZE, BATCH = 30, 64, 4  # eight batches, the last one smaller
BATCHES = 8
TEXT = f"shapes?images={IMAGES}&size={SIZE}&seed=3"
HOW = Preprocess((SIZE, SIZE), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


@pytest.fixture(scope="module")
def shapes() -> Drawn:
    return Drawn.of(TEXT)


@pytest.fixture(scope="module")
def net() -> Net:
    return Net().eval()


@dataclass(frozen=True)
class Plan:
    """One dissection, that can be run whole and in shards."""

    net: nn.Module
    concepts: ConceptSet
    place: Path
    layers: Sequence[str] = ("near", "far")
    quantiles: Sequence[float] = (0.05, 0.2)
    settings: Settings = Settings(0.05, top_images=7)  # noqa: RUF009  # frozen
    how: Preprocess = HOW
    batch_size: int = BATCH
    memory: int | None = None

    def feed(self, part: Part = WHOLE) -> Feed:
        cpu = torch.device("cpu")
        return Feed.of(
            self.concepts,
            self.how,
            replace(self.settings, quantiles=tuple(self.quantiles)),
            cpu,
            self.batch_size,
            0,
            self.memory,
            part,
        )

    def whole(self) -> list[Dissection]:
        return run(open_model(self.net), self.layers, self.feed())

    def shard(self, text: str, name: str = "", progress: Progress = silent) -> Path:
        """The folder of a part such as 1/3, made as the command line makes it."""
        folder = self.place / (name or text.replace("/", "-of-"))
        feed = self.feed(parse_part(text))
        kept = CheckpointFolder(
            folder.with_name(f"{folder.name}.partial"),
            feed,
            every_images=2 * BATCH,
        )
        with kept.guarded():
            observe(
                open_model(self.net),
                self.layers,
                feed,
                progress,
                kept.open_state,
            )
            kept.hand_over(folder)
        return folder

    def merged(self, folders: Sequence[Path], **how: Any) -> list[Dissection]:
        found = shards.load(folders)
        try:
            return shards.merge(
                found, self.concepts, workers=0, memory=self.memory, **how
            )
        finally:
            shards.close(found)


@pytest.fixture(scope="module")
def plan(net: Net, shapes: Drawn, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return Plan(net, shapes, tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="module")
def expected(plan: Plan) -> list[Dissection]:
    found = plan.whole()
    assert all(one.intersection.any() for one in found) and found[-1].dead.tolist()[
        4:
    ] == [
        True,
        True,
    ]
    return found


@pytest.fixture(scope="module")
def made(plan: Plan) -> Callable[[str], Path]:
    """Shards of the plan, each made once."""
    return lambda text: (
        found
        if (found := plan.place / text.replace("/", "-of-")).exists()
        else plan.shard(text)
    )


@pytest.fixture
def mine(plan: Plan, tmp_path: Path) -> Plan:
    """The same plan with folders of its own."""
    return replace(plan, place=tmp_path)


def assert_same(
    found: Sequence[Dissection], expected: Sequence[Dissection]
) -> None:
    assert [(one.layer, one.settings) for one in found] == [
        (one.layer, one.settings) for one in expected
    ]
    for one, other in zip(found, expected, strict=True):
        for name in ARRAYS:
            mine, its = getattr(one, name), getattr(other, name)
            assert (mine.dtype, mine.shape) == (its.dtype, its.shape), name
            assert mine.tobytes() == its.tobytes(), (
                f"{name} of {one.layer} at {one.settings.quantile}"
            )
        assert pictures_as_bytes(one) == pictures_as_bytes(other)
        assert (one.skipped, one.locations, one.image_names) == (
            other.skipped,
            other.locations,
            other.image_names,
        )
        assert one.provenance.geometry == other.provenance.geometry


PARTITIONS = [
    ["1/1"],
    ["1/2", "2/2"],
    ["1/3", "2/3", "3/3"],
    [f"{index}/7" for index in range(1, 8)],
    ["1/2", "2/4", "4/4"],
    ["2/2", "1/4", "3/8", "7/8"],
    ["3/3", "1/6", "4/6", "2/6", "5/6"],
    [f"{index}/8" for index in range(1, 9)],
]


@pytest.mark.parametrize("partition", PARTITIONS, ids=",".join)
def test_in_any_order_the_bits_are_those_of_one_run(
    plan: Plan,
    expected: list[Dissection],
    made: Callable[[str], Path],
    partition: list[str],
) -> None:
    orders = (
        list(itertools.permutations(partition))
        if len(partition) < 4
        else [partition, partition[::-1]]
    )
    if len(partition) >= 4:
        orders += [
            random.Random(seed).sample(partition, len(partition))
            for seed in range(3)
        ]
    for order in orders:
        found = plan.merged([made(text) for text in order])
        assert_same(found, expected)
        assert found[0].provenance.notes == (
            f"merged from {len(partition)} shards",
        )


@pytest.mark.parametrize("partition", PARTITIONS[1:5:3], ids=",".join)
def test_with_all_maps_on_the_disk(
    mine: Plan, expected: list[Dissection], partition: list[str]
) -> None:
    spilled = replace(mine, memory=0)
    assert_same(
        spilled.merged([spilled.shard(text) for text in partition]), expected
    )


def test_shards_can_be_merged_again(
    plan: Plan, expected: list[Dissection], made: Callable[[str], Path]
) -> None:
    folders = [made("1/2"), made("2/2")]
    before = {
        path: path.read_bytes() for folder in folders for path in folder.iterdir()
    }
    for _ in range(2):
        assert_same(plan.merged(folders), expected)
    assert {
        path: path.read_bytes() for folder in folders for path in folder.iterdir()
    } == before


def test_a_shard_that_was_interrupted_is_continued(
    mine: Plan, expected: list[Dissection], made: Callable[[str], Path]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        mine.shard("1/2", progress=cut_off)
    partial = mine.place / "1-of-2.partial"
    with pytest.raises(
        BadInput,
        match=r"1-of-2\.partial is not finished: 2 of 4 batches; run it with --resume",
    ):
        mine.merged([partial, made("2/2")])
    told: list[int] = []
    again = mine.shard("1/2", progress=lambda _, done, __: told.append(done))
    assert told[0] == 2 * BATCH
    assert_same(mine.merged([again, made("2/2")]), expected)


def test_a_shard_holds_no_half_written_state(mine: Plan) -> None:
    """What is left of a process that was killed while it wrote its state."""
    with pytest.raises(KeyboardInterrupt):
        mine.shard("1/2", progress=cut_off)
    (mine.place / "1-of-2.partial" / f".{STATE}.k3j4x").write_bytes(b"half")
    folder = mine.shard("1/2")
    assert sorted(path.name for path in folder.iterdir()) == [
        "0.maps",
        "1.maps",
        STATE,
    ]


def cut_off(stage: str, done: int, total: int) -> None:
    """A progress callback that ends the run after three batches."""
    if done >= 3 * BATCH:
        raise KeyboardInterrupt


def test_what_cannot_be_read_is_told_once(mine: Plan, shapes: Drawn) -> None:
    spoiled = replace(
        mine, concepts=replace(shapes, bad_images=(0, 7), bad_annotations=(7, 8, 9))
    )
    expected = spoiled.whole()
    assert len(expected[0].skipped) == 4
    assert_same(
        spoiled.merged(
            [spoiled.shard("2/3"), spoiled.shard("1/3"), spoiled.shard("3/3")]
        ),
        expected,
    )


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("seen_again", [False, True])
def test_a_shard_of_which_no_image_can_be_read(
    mine: Plan,
    shapes: Drawn,
    first: bool,
    seen_again: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    part = mine.feed(parse_part("2/4"))
    lost = tuple(
        image for number in part.batch_numbers() for image in part.order[number]
    )
    spoiled = replace(mine, concepts=replace(shapes, bad_images=lost))
    expected = spoiled.whole()
    if seen_again:
        monkeypatch.setattr(
            "nd_plugin.method.lower_bound.poisson_upper_bound", lambda _: 1
        )
    folders = [spoiled.shard(text) for text in ("2/4", "1/4", "3/4", "4/4")]
    assert_same(
        spoiled.merged(
            folders if first else folders[::-1], model=open_model(spoiled.net)
        ),
        expected,
    )


def test_nothing_that_can_be_read_in_any_shard(mine: Plan, shapes: Drawn) -> None:
    spoiled = replace(
        mine, concepts=replace(shapes, bad_images=tuple(range(IMAGES)))
    )
    folders = [spoiled.shard("1/2"), spoiled.shard("2/2")]
    with pytest.raises(
        RunFailed,
        match=r"none of the 30 images can be read; scene .*: image file is truncated",
    ):
        spoiled.merged(folders)


COARSE = replace(HOW, interpolation="nearest")


class TestRefused:
    @pytest.mark.parametrize(
        ("partition", "told"),
        [
            (["1/2"], r"shards are missing: 2/2"),
            (["2/2"], r"shards are missing: 1/2"),
            (["7/7", "2/7"], r"shards are missing: 1/7, 3/7, 4/7, 5/7, 6/7"),
            (["1/2", "4/4"], r"shards are missing: 2/4"),
            (
                ["1/2", "1/2", "2/2"],
                r"1-of-2 \(shard 1/2\) overlaps with .*1-of-2 \(shard 1/2\); merge each part once",
            ),
            (
                ["1/2", "2/2", "3/4"],
                r"3-of-4 \(shard 3/4\) overlaps with .*1-of-2 \(shard 1/2\); merge each part once",
            ),
            (
                ["1/1", "8/8"],
                r"8-of-8 \(shard 8/8\) overlaps with .*1-of-1 \(shard 1/1\); merge each part once",
            ),
            (
                ["1/3", "2/2"],
                r"2-of-2 \(shard 2/2\) overlaps with .*1-of-3 \(shard 1/3\); merge each part once",
            ),
        ],
    )
    def test_missing_repeated_and_overlapping(
        self,
        plan: Plan,
        made: Callable[[str], Path],
        partition: list[str],
        told: str,
    ) -> None:
        with pytest.raises(BadInput, match=told) as refused:
            plan.merged([made(text) for text in partition])
        assert not isinstance(refused.value, RunInvalid), "nothing is damaged"

    @pytest.mark.parametrize(
        ("told", "changed"),
        [
            (r"differs in layers: \['far'\], not \['near', 'far'\]", {"layers": ["far"]}),
            (
                r"differs in settings\.quantiles: \[0\.05\], not \[0\.05, 0\.2\]",
                {"quantiles": [0.05]},
            ),
            (
                r"differs in settings\.min_iou: 0\.1, not 0\.04",
                {"settings": Settings(0.05, 0.1, top_images=7)},
            ),
            (
                r"differs in settings\.anchor: 'cell', not 'rf'",
                {"settings": Settings(0.05, anchor="cell", top_images=7)},
            ),
            (r"differs in preprocessing\.interpolation: 'nearest', not 'b", {"how": COARSE}),
            (r"differs in batch size: 5, not 4", {"batch_size": 5}),
            (r"differs in model\.fingerprint", {"net": Net(seed=1).eval()}),
            (
                r"differs in concept set\.",
                {"concepts": open_concepts(f"shapes?images={IMAGES}&size={SIZE}&seed=4")},
            ),
        ],
    )  # fmt: skip
    def test_what_does_not_belong_together(
        self,
        mine: Plan,
        made: Callable[[str], Path],
        told: str,
        changed: dict[str, Any],
    ) -> None:
        other, ours = replace(mine, **changed).shard("2/2"), made("1/2")
        with pytest.raises(BadInput, match=told) as refused:
            mine.merged([ours, other])
        assert str(refused.value).startswith(
            f"{other} does not belong to {ours}: it differs in "
        )

    def test_no_shard(
        self, plan: Plan, made: Callable[[str], Path], tmp_path: Path
    ) -> None:
        for folder in (tmp_path, tmp_path / "nowhere"):
            with pytest.raises(
                RunInvalid,
                match=r"is not a shard: it has no state\.npz; nd dissect --shard 1/2 writes one",
            ):
                plan.merged([made("1/2"), folder])

    def test_a_whole_run_is_no_shard(
        self,
        plan: Plan,
        made: Callable[[str], Path],
        expected: list[Dissection],
        tmp_path: Path,
    ) -> None:
        run_folder.save_run(tmp_path / "run", expected)
        with pytest.raises(RunInvalid, match="run is not a shard"):
            plan.merged([made("1/2"), tmp_path / "run"])

    def test_another_model_to_see_again_with(
        self, plan: Plan, made: Callable[[str], Path]
    ) -> None:
        with pytest.raises(BadInput, match=r"the model differs in fingerprint"):
            plan.merged([made("1/1")], model=open_model(Net(seed=1).eval()))

    def test_other_concepts(self, plan: Plan, made: Callable[[str], Path]) -> None:
        other = open_concepts(f"shapes?images={IMAGES}&size={SIZE}&seed=4")
        with pytest.raises(
            BadInput, match=r"the concept set differs in fingerprint"
        ):
            replace(plan, concepts=other).merged([made("1/1")])

    def test_a_damaged_shard(self, mine: Plan, made: Callable[[str], Path]) -> None:
        broken = mine.shard("2/2")
        (broken / "1.maps").write_bytes(b"")
        with pytest.raises(
            RunInvalid, match=r"2-of-2.*damaged.*1\.maps is 0 bytes long"
        ):
            mine.merged([made("1/2"), broken])


def test_where_the_concepts_lie_does_not_matter(
    mine: Plan,
    expected: list[Dissection],
    shapes: Drawn,
    made: Callable[[str], Path],
) -> None:
    """Two machines have the same data set in different folders."""
    elsewhere = replace(
        shapes, identity=replace(shapes.identity, source="shapes on another disk")
    )
    there = replace(mine, concepts=elsewhere)
    other = there.shard("2/2")
    assert_same(mine.merged([made("1/2"), other]), expected)
    assert_same(there.merged([made("1/2"), other]), expected)


@pytest.mark.parametrize(
    "text",
    ["", "3", "a/b", "1/", "/3", "1/0", "1/2/3", "-1/3", "1.0/3", "1 of 3", "²/3"],
)
def test_what_is_no_part(text: str) -> None:
    with pytest.raises(
        BadInput, match=r"is not of the form 3/16, the third of sixteen"
    ) as refused:
        parse_part(text)
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [("0/3", "shard 0/3: shards are 1/3 to 3/3"), ("4/3", "shard 4/3: ")],
)
def test_parts_that_there_are_not(text: str, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        parse_part(text)


@pytest.mark.parametrize("text", ["1/1", "3/16", "16/16"])
def test_a_part_says_what_was_typed(text: str) -> None:
    assert str(parse_part(text)) == text


def test_parts_of_parts_cover_everything_once() -> None:
    parts = [
        Part(index, 3).part(rank, 4) for index in range(3) for rank in range(4)
    ]
    assert sorted(
        number for part in parts for number in range(part.index, 50, part.of)
    ) == list(range(50))


def test_more_shards_than_batches(mine: Plan) -> None:
    with pytest.raises(
        BadInput, match="9 parts are more than the 8 batches of 4 images"
    ):
        mine.shard("1/9")
    assert list(mine.place.iterdir()) == []


@pytest.mark.parametrize("trouble", ["no room", "a bound that was passed"])
def test_a_layer_that_has_to_be_seen_again_needs_the_model(
    mine: Plan,
    expected: list[Dissection],
    trouble: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tight = mine
    if trouble == "no room":
        tight = replace(mine, memory=0)
        monkeypatch.setattr(
            "nd_plugin.candidates.layer_candidates.free_bytes", lambda _: 0
        )
    else:
        monkeypatch.setattr(
            "nd_plugin.method.lower_bound.poisson_upper_bound", lambda _: 1
        )
    folders = [tight.shard(text) for text in ("1/3", "2/3", "3/3")]
    with pytest.raises(
        RunFailed,
        match=r"layer 'near' needs a second forward pass: .*; merge with --model MODEL",
    ):
        tight.merged(folders)
    found = tight.merged(folders, model=open_model(tight.net))
    assert_same(found, expected)
    assert all(
        any("second forward pass" in note for note in one.provenance.notes)
        for one in found
    )
    if trouble == "no room":
        assert sorted(path.name for path in folders[0].iterdir()) == [
            "0.values",
            "1.values",
            STATE,
        ]


def test_only_one_shard_had_no_room(
    mine: Plan, expected: list[Dissection], monkeypatch: pytest.MonkeyPatch
) -> None:
    ample = mine.shard("1/2")
    with monkeypatch.context() as tight:
        tight.setattr(
            "nd_plugin.candidates.layer_candidates.free_bytes", lambda _: 0
        )
        poor = replace(mine, memory=0).shard("2/2")
    for folders in ([ample, poor], [poor, ample]):
        with pytest.raises(RunFailed, match="merge with --model MODEL"):
            mine.merged(folders)
        found = mine.merged(folders, model=open_model(mine.net))
        assert_same(found, expected)
        assert any(
            "did not fit on disk" in note for note in found[0].provenance.notes
        )


def test_a_shard_is_not_taken_for_a_run(made: Callable[[str], Path]) -> None:
    with pytest.raises(
        RunInvalid,
        match="is a shard, or an unfinished run: nd merge combines the shards of a run",
    ):
        run_folder.load_run(made("1/2"))


class TestCommands:
    """What `nd dissect --shard` and `nd merge` do, in this process."""

    def dissect(self, folder: Path, shard: str | None, **how: Any) -> None:
        work = RunOptions(BATCH, 0, resume=how.pop("resume", False), shard=shard)
        inputs = dissect.RunInputs(
            "networks:dilated",
            TEXT,
            ModelOptions("cpu"),
            Settings(0.05),
            {"size": (SIZE, SIZE)},
            work,
        )
        options = {"as_json": True, "overwrite": False}
        dissect.dissect(inputs, ["1"], output=folder, **{**options, **how})

    def merge(self, folders: Sequence[Path], output: Path, **how: Any) -> None:
        given = {
            "concepts": None,
            "model": None,
            "options": ModelOptions("cpu"),
            "workers": 0,
            "memory": None,
        }
        dissect.merge(
            folders,
            output=output,
            as_json=True,
            **{"overwrite": False, **given, **how},
        )

    @pytest.fixture(autouse=True)
    def seeded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The same weights whenever the factory is called."""
        import networks

        build = networks.dilated
        monkeypatch.setattr(
            networks, "dilated", lambda: (torch.manual_seed(0), build())[1]
        )

    def test_shards_and_their_merger(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.dissect(tmp_path / "whole", None)
        (whole,) = json.loads(capsys.readouterr().out)["layers"]
        for index in (1, 2):
            self.dissect(tmp_path / str(index), f"{index}/2")
            said = capsys.readouterr()
            assert said.out == "", "a shard has no report"
            assert (
                f"saved shard {index}/2 in {tmp_path / str(index)} (nd merge"
                in said.err.replace("\n", "")
            )
        self.merge([tmp_path / "2", tmp_path / "1"], tmp_path / "merged")
        (merged,) = json.loads(capsys.readouterr().out)["layers"]
        assumed, few = whole.pop("notes")
        assert assumed.startswith("the preprocessing is assumed: ")
        assert "concepts label no pixel of these images: " in few
        assert merged.pop("notes") == [assumed, "merged from 2 shards", few]
        assert merged == whole
        assert_same(
            run_folder.load_run(tmp_path / "merged"),
            run_folder.load_run(tmp_path / "whole"),
        )
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "1",
            "2",
            "merged",
            "whole",
        ]

    def test_a_shard_is_no_place_for_another_run(self, tmp_path: Path) -> None:
        self.dissect(tmp_path / "1", "1/2")
        with pytest.raises(BadInput, match="exists already"):
            self.dissect(tmp_path / "1", "1/2")
        with pytest.raises(BadInput, match="exists already"):
            self.merge([tmp_path / "1"], tmp_path / "1")
        assert (tmp_path / "1" / STATE).is_file()

    def test_a_shard_is_overwritten_where_asked_for(self, tmp_path: Path) -> None:
        self.dissect(tmp_path / "1", "1/3")
        self.dissect(tmp_path / "1", "1/2", overwrite=True)
        self.dissect(tmp_path / "2", "2/2")
        self.merge([tmp_path / "1", tmp_path / "2"], tmp_path / "merged")
        assert len(run_folder.load_run(tmp_path / "merged")) == 1

    def test_resuming_a_shard_does_not_replace_those_of_several_processes(
        self, tmp_path: Path
    ) -> None:
        """Two processes wrote into the folder that one is to resume in."""
        self.dissect(tmp_path / "1", "1/2")
        (tmp_path / "both").mkdir()
        (tmp_path / "1").rename(tmp_path / "both" / "1-of-2")
        with pytest.raises(BadInput, match="exists already"):
            self.dissect(tmp_path / "both", "1/2", resume=True)
        assert (tmp_path / "both" / "1-of-2" / STATE).is_file()

    def test_a_finished_shard_is_not_run_again_by_resume(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A queue that starts every job again, with --resume."""
        self.dissect(tmp_path / "1", "1/2")
        capsys.readouterr()
        self.dissect(tmp_path / "1", "1/2", resume=True)
        said = capsys.readouterr()
        assert "is complete" in said.err and "activations" not in said.err
