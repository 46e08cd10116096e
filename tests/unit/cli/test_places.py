"""Places of results: what cannot be written is refused before a model is opened."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nd_plugin.resuming.leftovers import remove_leftovers
from nd_plugin.storage.holder import Holder
from nd_plugin.storage.lock_file import alone

# It does not exist: whatever is said of a place is said before the model is looked for.
MODEL = ("nowhere:net", "-l", "1", "-c", "shapes?images=4")
COMMANDS = [
    ("dissect", *MODEL, "-o", "PLACE"),
    ("dissect", *MODEL, "-o", "PLACE", "--resume"),
    ("dissect", *MODEL, "-o", "PLACE", "--overwrite"),
    ("dissect", *MODEL, "-o", "PLACE", "--shard", "1/2"),
    ("dissect", *MODEL, "--plot", "PLACE.png"),
    ("merge", "nothing", "-o", "PLACE"),
    ("rotate", *MODEL, "-o", "PLACE"),
    ("rotate", *MODEL, "-o", "PLACE", "--overwrite"),
    ("probe", "nowhere:net", "RUN", "-l", "1", "-o", "PLACE"),
    ("parity", "nowhere:a", "nowhere:b", "-l", "1", "-c", "shapes", "-o", "PLACE"),
    (
        "parity",
        "nowhere:a",
        "nowhere:b",
        "-l",
        "1",
        "-c",
        "shapes",
        "-o",
        "PLACE.json",
    ),
    ("compare", "RUN", "RUN", "-o", "PLACE"),
    ("compare", "RUN", "RUN", "-o", "PLACE.json"),
    ("compare", "RUN", "RUN", "--fail-under", "0.5", "--junit", "PLACE"),
    ("compare", "RUN", "RUN", "--plot", "PLACE.svg"),
    ("report", "RUN", "--html", "PLACE"),
    ("report", "RUN", "--html", "PLACE.html"),
    ("report", "RUN", "--format", "csv", "-o", "PLACE"),
    ("report", "RUN", "--plot", "PLACE.pdf"),
    ("unit", "RUN", "0", "--plot", "PLACE.png"),
    ("explain", "RUN", "nowhere:net", "nothing.png", "--html", "PLACE"),
    ("evolve", "nowhere:net", "RUN", "-l", "1", "-c", "shapes", "-o", "PLACE"),
    ("rate", "RUN", "--votes", "PLACE"),
    ("rate", "RUN", "--export", "PLACE"),
    ("report", "RUN", "--log-file", "PLACE"),
]
LONG = "層" * 90  # 270 bytes


def with_place(command: tuple[str, ...], run: Path, place: Path) -> list[str]:
    texts = [text.replace("PLACE", str(place)) for text in command]
    return [str(run) if text == "RUN" else text for text in texts]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_name_that_is_too_long(
    command: tuple[str, ...], run: Path, nd: Any, tmp_path: Path
) -> None:
    done = nd(*with_place(command, run, tmp_path / LONG))
    assert done.returncode == 2, done.stderr
    assert (
        "choose a shorter one" in done.stderr or "File name too long" in done.stderr
    )
    assert "nowhere" not in done.stderr.replace(" ".join(command), "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_place_below_a_file(
    command: tuple[str, ...], run: Path, nd: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("years of work")
    done = nd(*with_place(command, run, tmp_path / "file" / "result"))
    assert done.returncode in (1, 2), done.stderr
    message = " ".join(done.stderr.split())
    assert (
        "file is a file, not a folder" in message
        or "Not a directory" in message
        or ("cannot be written" in message)
    )
    assert (tmp_path / "file").read_text() == "years of work"


def test_a_long_name_of_a_run_is_no_run(nd: Any) -> None:
    for command in (
        ("report", LONG),
        ("merge", LONG, "-o", "x"),
        ("unit", LONG, "1"),
    ):
        done = nd(*command)
        assert done.returncode == 2, done.stderr


def test_layers_with_long_names_are_saved_under_shorter_ones(
    nd: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that differ at their ends, and two that a Mac takes for one."""
    (tmp_path / "long_names.py").write_text(
        "import torch\nfrom torch import nn\n"
        "def net():\n"
        "    torch.manual_seed(0)\n"
        "    model = nn.Sequential()\n"
        f"    for name in ({LONG + 'a'!r}, {LONG + 'b'!r}, 'relu', 'ReLU', 'run_json'):\n"
        "        model.add_module(name, nn.Conv2d(3, 3, 3, 2, 1))\n"
        "    return model.eval()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    layers = [f"{LONG}a", f"{LONG}b", "relu", "ReLU"]
    options = [text for layer in layers for text in ("-l", layer)]
    done = nd("dissect", "long_names:net", *options, "-c", "shapes?images=4&size=64",
              "--input-size", "64", "-o", "run", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "run/run.json").read_text())
    folders = [layer["folder"] for layer in record["layers"]]
    assert len({folder.casefold() for folder in folders}) == 4
    assert all(len(folder.encode()) <= 130 for folder in folders)
    report = json.loads(nd("report", "run", "--json").stdout)
    assert [layer["layer"] for layer in report["layers"]] == layers


@contextmanager
def live(output: Path) -> Iterator[int]:
    """Hold the lock of a run's checkpoint in another process."""
    ready, done = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with alone(
                output.with_name(f"{output.name}.partial") / "1-of-1" / "lock"
            ):
                os.write(ready[1], b"x")
                os.read(done[0], 1)
        finally:
            os._exit(0)
    os.read(ready[0], 1)
    try:
        yield child
    finally:
        os.write(done[1], b"x")
        os.waitpid(child, 0)


@pytest.mark.parametrize("option", [(), ("--resume",), ("--overwrite",)])
@pytest.mark.parametrize("has_state", [False, True])
def test_a_second_run_is_told_that_the_first_is_live(
    nd: Any, tmp_path: Path, option: tuple[str, ...], has_state: bool
) -> None:
    output = tmp_path / "run"
    with live(output) as process:
        if has_state:
            (tmp_path / "run.partial/1-of-1/state.npz").write_bytes(b"anything")
        for command in (("dissect", *MODEL), ("rotate", *MODEL)):
            done = nd(*command, "-o", output, *option)
            message = " ".join(done.stderr.split())
            assert done.returncode == 2
            assert (
                f"process {process} on {socket.gethostname()}, since 20" in message
            )
            assert "is being made by a live process" in message
            assert "interrupted" not in message and "--resume" not in message
        assert (tmp_path / "run.partial/1-of-1/lock").exists()
        assert (tmp_path / "run.partial/1-of-1/state.npz").exists() == has_state


def test_the_lock_of_a_dead_run_is_no_live_run(nd: Any, tmp_path: Path) -> None:
    lock = tmp_path / "run.partial/1-of-1/lock"
    lock.parent.mkdir(parents=True)
    lock.write_bytes(Holder(2**22 + 1, socket.gethostname(), "noon").line())
    done = nd("dissect", *MODEL, "-o", tmp_path / "run")
    assert "live" not in done.stderr and "nowhere" in done.stderr


class TestLeftovers:
    """Beside a run there may be files of others: they stay, whatever is asked for."""

    def test_of_a_finished_run(self, run: Path, nd: Any, tmp_path: Path) -> None:
        partial = tmp_path / "run.partial"
        state = partial / "1-of-1"
        state.mkdir(parents=True)
        for name in ("0.maps", "1.values", ".state.npz.0123abcd.nd_draft"):
            (state / name).write_bytes(b"ours")
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "state.npz").write_bytes(b"mine")
        mine = {
            partial / "notes.txt",
            state / "thesis.tex",
            state / "mine.maps",
            partial / "2-of-2-old/state.npz",
            partial / "backup/0.maps",
        }
        for path in mine:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"mine")
        (partial / "2-of-2").symlink_to(elsewhere)
        (state / "7.maps").symlink_to(elsewhere / "state.npz")
        remove_leftovers(tmp_path / "run", {})
        left = {path for path in partial.rglob("*") if path.is_file()}
        assert left >= mine and left - mine <= {state / "7.maps"}
        assert (elsewhere / "state.npz").read_bytes() == b"mine"
        assert (partial / "2-of-2").is_symlink()

    def test_a_folder_of_checkpoints_that_is_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "mine/1-of-1").mkdir(parents=True)
        (tmp_path / "mine/1-of-1/0.maps").write_bytes(b"mine")
        (tmp_path / "run.partial").symlink_to(tmp_path / "mine")
        remove_leftovers(tmp_path / "run", {})
        assert (tmp_path / "mine/1-of-1/0.maps").exists()

    @pytest.mark.parametrize(
        ("arguments", "files"),
        [
            (("compare", "RUN", "RUN", "--overwrite", "-o", "PLACE"), ["layers.csv"]),
            (("rate", "RUN", "--votes", "VOTES", "--export", "PLACE"),
             ["index.html", "pictures/me.jpg"]),
            (("rate", "RUN", "--votes", "VOTES", "--crowd", "PLACE"),
             ["index.html", "questions.csv", "pictures/a-1.jpg"]),
            (("report", "RUN", "--html", "PLACE"), ["index.html"]),
        ],
        ids=str,
    )  # fmt: skip
    def test_folders_with_such_names(
        self,
        arguments: tuple[str, ...],
        files: list[str],
        run: Path,
        nd: Any,
        tmp_path: Path,
    ) -> None:
        for name in files:
            path = tmp_path / "place" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("mine")
        command = with_place(arguments, run, tmp_path / "place")
        command = [
            text.replace("VOTES", str(tmp_path / "votes")) for text in command
        ]
        done = nd(*command)
        assert done.returncode in (1, 2), done.stderr
        for name in files:
            assert (tmp_path / "place" / name).read_text() == "mine"


@pytest.mark.parametrize("text", ["a" * 5000, f"{LONG}:{LONG}", f"{LONG}.onnx"])
def test_a_model_and_concepts_with_long_names(nd: Any, text: str) -> None:
    """The default folder of the run is named after them."""
    for arguments in (
        (text, "-c", "shapes"),
        ("nowhere:net", "-c", f"masks:{text}"),
    ):
        done = nd("dissect", *arguments, "-l", "1")
        # 1: what opens the concepts has failed, and says so
        assert done.returncode in (1, 2), done.stderr
        assert done.stderr.startswith("nd: ")
