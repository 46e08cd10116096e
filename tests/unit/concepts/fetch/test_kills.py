"""Fetches that are killed at any moment, that run twice, and that are interrupted."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hostile_server import HostileServer, Served
from killing import MOST_CALLS, contents, killed_before, names
from set_archives import TOP, make_zip

from nd_plugin import BadInput, RunFailed, open_concepts
from nd_plugin.concepts.fetch.places import Place
from nd_plugin.reading import fetched_set

Fetcher = Any
Files = Mapping[str, bytes]


@pytest.fixture(scope="module")
def small() -> dict[str, bytes]:
    """Files of a set of one image."""
    from set_archives import set_files

    files = set_files()
    index = files[f"{TOP}/index.csv"].decode().splitlines()
    files[f"{TOP}/index.csv"] = "\n".join(index[:2]).encode()
    return {
        name: data
        for name, data in files.items()
        if "images" not in name or "/0" in name
    }


@pytest.fixture(autouse=True)
def no_power_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what only a power cut needs: a kill loses nothing that was written."""
    monkeypatch.setattr(os, "sync", lambda: None)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def killed_at_each_third_call(
    parent: Path,
    prepare: Callable[[Path], None],
    work: Callable[[Path], object],
) -> Iterator[Path]:
    """Yield folders in which ``work`` was killed before a call of the system; in the last never.

    Each third is a matter of time: `kill_everywhere` takes the same arguments.
    """
    for call in range(1, MOST_CALLS, 3):
        folder = parent / str(call)
        folder.mkdir()
        prepare(folder)
        was_killed = killed_before(call, work, folder)
        yield folder
        if not was_killed:
            # of writing, renaming and removing, all are among them
            assert call > 60
            return
    raise AssertionError("it never ends")


def below(folder: Path) -> dict[str, bytes]:
    return {f"{TOP}/{name}": data for name, data in contents(folder).items()}


def assert_absent_or_whole(files: Files, *others: Files) -> None:
    """Whoever asks finds nothing, or a whole set."""
    folder = fetched_set("broden", 224)
    if folder is not None:
        assert below(folder) in (files, *others)
        assert len(open_concepts("broden")) >= 1


def test_a_fetch_that_is_killed_before_any_call(
    server: HostileServer,
    fetcher: Fetcher,
    small: Files,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    archive = make_zip(small)
    url = server.serve("/a.zip", Served(archive))

    def prepare(folder: Path) -> None:
        monkeypatch.setenv("ND_CACHE", str(folder))

    for folder in killed_at_each_third_call(
        tmp_path, prepare, lambda _: fetcher.fetch(url)
    ):
        assert_absent_or_whole(small)
        fetched = fetcher.fetch(url)
        assert below(fetched.folder) == small, folder
        left = names(fetched.folder.parent)
        # a kill between note and end leaves the work folder, which the next fetch ends
        assert left == [TOP, f"{TOP}.json"], folder
        assert fetched.record.sha256 == hashlib.sha256(archive).hexdigest()


def test_a_replacement_that_is_killed_before_any_call(
    server: HostileServer,
    fetcher: Fetcher,
    small: Files,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    newer = {**small, f"{TOP}/README": b"newer"}
    url = server.serve("/a.zip", Served(make_zip(newer)))
    earlier = tmp_path / "earlier.zip"
    earlier.write_bytes(make_zip(small))
    cases = tmp_path / "cases"
    cases.mkdir()

    def prepare(folder: Path) -> None:
        monkeypatch.setenv("ND_CACHE", str(folder))
        fetcher.fetch(file=earlier)
        # so that another archive is taken
        fetcher.place.record.unlink()

    for folder in killed_at_each_third_call(
        cases, prepare, lambda _: fetcher.fetch(url, again=True)
    ):
        found = fetched_set("broden", 224)
        assert found is not None, folder
        assert_absent_or_whole(small, newer)
        fetched = fetcher.fetch(url, again=True)
        assert below(fetched.folder) == newer, folder
        assert names(fetched.folder.parent) == [TOP, f"{TOP}.json"], folder


def test_what_has_arrived_is_finished_without_a_network(
    server: HostileServer, fetcher: Fetcher, archive: bytes, files: Files
) -> None:
    def killed(folder: Path) -> Any:
        raise KeyboardInterrupt

    url = server.serve("/a.zip", Served(archive))
    with pytest.raises(KeyboardInterrupt):
        fetcher.fetch(url, verify=killed)
    assert "the archive is here" in fetcher.said[-1]
    assert fetched_set("broden") is None
    assert not fetcher.place.unpacked.exists()
    server.questions.clear()
    fetched = fetcher.fetch(url)
    assert server.questions == []
    assert fetched.record.address == url
    assert below(fetched.folder) == files


def test_an_archive_that_has_arrived_and_is_damaged(
    server: HostileServer, fetcher: Fetcher, archive: bytes, files: Files
) -> None:
    fetcher.place.work.mkdir(parents=True)
    fetcher.place.archive.write_bytes(archive[:-50])
    fetched = fetcher.fetch(server.serve("/a.zip", Served(archive)))
    assert "an earlier fetch: it is no zip archive" in "\n".join(fetcher.said)
    assert below(fetched.folder) == files


@pytest.mark.parametrize("note", ["", "[]", '{"url": 1}', "\0", None])
def test_a_part_with_a_note_of_another_kind(
    server: HostileServer,
    fetcher: Fetcher,
    archive: bytes,
    files: Files,
    note: str | None,
) -> None:
    url = server.serve("/a.zip", Served(archive, breaks=[5000, 0]))
    with pytest.raises(RunFailed):
        fetcher.fetch(url)
    (part,) = fetcher.place.partial_files()
    part.write_bytes(b"nonsense")
    part.with_suffix(".json").unlink()
    if note is not None:
        part.with_suffix(".json").write_text(note)
    server.questions.clear()
    server.serve("/a.zip", Served(archive))
    assert below(fetcher.fetch(url).folder) == files
    assert server.questions[0].range == ""


def test_a_part_whose_bytes_have_changed(
    server: HostileServer, fetcher: Fetcher, archive: bytes, files: Files
) -> None:
    url = server.serve("/a.zip", Served(archive, breaks=[5000, 0]))
    with pytest.raises(RunFailed):
        fetcher.fetch(url)
    (part,) = fetcher.place.partial_files()
    part.write_bytes(archive[:2000] + bytes(1000) + archive[3000:5000])
    server.serve("/a.zip", Served(archive))
    with pytest.raises(RunFailed, match="is damaged"):
        fetcher.fetch(url)
    assert fetched_set("broden") is None
    assert not fetcher.place.work.exists()
    assert below(fetcher.fetch(url).folder) == files


def test_a_part_that_was_exchanged_for_a_link(
    server: HostileServer,
    fetcher: Fetcher,
    archive: bytes,
    files: Files,
    tmp_path: Path,
) -> None:
    url = server.serve("/a.zip", Served(archive, breaks=[5000, 0]))
    with pytest.raises(RunFailed):
        fetcher.fetch(url)
    (part,) = fetcher.place.partial_files()
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    part.unlink()
    part.symlink_to(victim)
    server.serve("/a.zip", Served(archive))
    assert below(fetcher.fetch(url).folder) == files
    assert victim.read_bytes() == b"mine"


def fetch_in_process(fetcher: Fetcher, url: str, messages: Any) -> None:
    """Put into a queue what a fetch says."""
    try:
        messages.put(str(fetcher.fetch(url).is_new))
    except BadInput as error:
        messages.put(str(error))


def test_two_fetches_at_the_same_time(
    server: HostileServer, fetcher: Fetcher, archive: bytes, files: Files
) -> None:
    context = multiprocessing.get_context("fork")
    messages = context.Queue()
    answers: list[str] = []

    def fetch_too() -> None:
        process = context.Process(
            target=fetch_in_process, args=(fetcher, url, messages)
        )
        process.start()
        answers.append(messages.get(timeout=60))
        process.join()

    url = server.serve("/a.zip", Served(archive, before_body=fetch_too))
    fetched = fetcher.fetch(url)
    (answer,) = answers
    assert "another process is working in" in answer
    assert f"process {os.getpid()}" in answer
    assert below(fetched.folder) == files
    assert len(server.questions) == 1


def test_sizes_do_not_wait_for_each_other(
    server: HostileServer, fetcher: Fetcher, archive: bytes, files: Files
) -> None:
    of_227 = {name.replace("224", "227"): data for name, data in files.items()}
    other = server.serve("/227.zip", Served(make_zip(of_227)))
    url = server.serve(
        "/a.zip",
        Served(archive, before_body=lambda: fetcher.fetch(other, size=227)),
    )
    fetcher.fetch(url)
    assert fetched_set("broden", 224) is not None
    assert fetched_set("broden", 227) is not None
    assert fetched_set("broden", 384) is None


def test_an_interrupted_command_keeps_what_has_arrived(
    server: HostileServer,
    fetcher: Fetcher,
    archive: bytes,
    files: Files,
) -> None:
    url = server.serve("/a.zip", Served(archive, stalls_after=6000))
    command = [sys.executable, "-m", "nd_plugin", "concepts", "fetch", "broden"]
    command += ["--url", url, "--hash", hashlib.sha256(archive).hexdigest()]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        await_part(fetcher.place, 6000)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    assert (
        "0.0 MiB have arrived and stay: the same command fetches the rest" in stderr
    )
    assert "Traceback" not in stderr
    assert fetched_set("broden") is None
    server.serve("/a.zip", Served(archive))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert server.questions[-1].range == "bytes=6000-"
    assert below(fetcher.place.folder) == files


def await_part(place: Place, size: int) -> None:
    """Wait until so many bytes have arrived."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        sizes = [path.stat().st_size for path in place.partial_files()]
        if size in sizes:
            return
        time.sleep(0.02)
    raise AssertionError("nothing arrives")
