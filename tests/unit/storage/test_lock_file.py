"""Locks: who holds one is told, a dead holder's is taken over, and nothing of others is touched."""

from __future__ import annotations

import errno
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nd_plugin import BadInput
from nd_plugin.storage import holder as holder_module
from nd_plugin.storage import lock_file
from nd_plugin.storage.holder import Holder
from nd_plugin.storage.lock_file import alone, is_lock_file, live_holder

NO_SUCH_PROCESS = 2**22 + 1  # beyond the largest number of a process on Linux


@contextmanager
def held_by_another(path: Path) -> Iterator[int]:
    """Hold a lock in a forked process until the block ends."""
    ready, done = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with alone(path):
                os.write(ready[1], b"x")
                os.read(done[0], 1)
        finally:
            os._exit(0)
    assert os.read(ready[0], 1) == b"x"
    try:
        yield child
    finally:
        os.write(done[1], b"x")
        os.waitpid(child, 0)
        for descriptor in (*ready, *done):
            os.close(descriptor)


def left_by(path: Path, **fields: Any) -> bytes:
    """Write the lock of a process that has ended, or of another machine."""
    line = Holder(**fields).line()
    path.write_bytes(line)
    return line


def test_the_holder_is_told_with_process_host_and_time(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with held_by_another(path) as process:
        expected = f"process {process} on {socket.gethostname()}, since 20"
        with pytest.raises(BadInput) as refused, alone(path):
            raise AssertionError
        assert expected in str(refused.value)
        assert str(live_holder(path)).startswith(expected)
    assert live_holder(path) is None and not path.exists()
    with alone(path):
        pass


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    left_by(path, process=NO_SUCH_PROCESS, host=socket.gethostname(), since="then")
    assert is_lock_file(path) and live_holder(path) is None
    with alone(path):
        assert json.loads(path.read_bytes())["process"] == os.getpid()
    assert not path.exists()


def test_a_lock_of_another_machine_whose_lock_is_free_is_taken_over(
    tmp_path: Path,
) -> None:
    """A scheduler starts an interrupted run on the next machine."""
    left_by(tmp_path / "lock", process=1, host="elsewhere", since="then")
    with alone(tmp_path / "lock"):
        pass


@pytest.mark.parametrize("options", ["nolock", "rw,local_lock=all"])
def test_where_locks_exclude_one_machine_alone_the_other_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"server:/x / ext4 rw 0 0\nserver:/x {tmp_path.resolve()} nfs4 {options} 0 0\n"
    )
    monkeypatch.setattr(holder_module, "MOUNTS", mounts)
    path = tmp_path / "lock"
    line = left_by(path, process=77, host="elsewhere", since="noon")
    with (
        pytest.raises(
            BadInput, match=r"in use by another machine \(process 77 on els"
        ),
        alone(path),
    ):
        raise AssertionError
    assert path.read_bytes() == line
    left_by(path, process=77, host=socket.gethostname(), since="noon")
    with alone(path):
        pass


class TestWithoutLocks:
    """A file system that has none: what the file says decides."""

    @pytest.fixture(autouse=True)
    def none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*arguments: object) -> None:
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        monkeypatch.setattr(lock_file.fcntl, "lockf", refuse)

    def test_a_living_process_is_told(self, tmp_path: Path) -> None:
        path = tmp_path / "lock"
        parent = Holder(os.getppid(), socket.gethostname(), "noon")
        path.write_bytes(parent.line())
        with (
            pytest.raises(BadInput, match=f"process {os.getppid()} on"),
            alone(path),
        ):
            raise AssertionError
        assert live_holder(path) == parent

    def test_another_machine_is_told_with_the_remedy(self, tmp_path: Path) -> None:
        path = tmp_path / "lock"
        left_by(path, process=7, host="elsewhere", since="noon")
        with (
            pytest.raises(BadInput, match=f"if it has ended, remove {path}"),
            alone(path),
        ):
            raise AssertionError
        assert live_holder(path) is not None

    @pytest.mark.parametrize(
        "fields",
        [
            {"process": NO_SUCH_PROCESS},
            # its number belongs to a later process by now
            {"process": os.getpid(), "started": "1"},
        ],
        ids=["no such process", "a later process"],
    )
    def test_a_dead_process_holds_nothing(
        self, tmp_path: Path, fields: dict[str, Any]
    ) -> None:
        path = tmp_path / "lock"
        left_by(path, host=socket.gethostname(), since="noon", **fields)
        if "started" in fields and not Path("/proc/self/stat").exists():
            pytest.skip("this system does not tell when a process began")
        assert live_holder(path) is None
        with alone(path):
            pass


@pytest.mark.parametrize("kind", ["link", "dangling", "text", "pipe", "folder"])
def test_what_is_no_lock_stays_as_it_is(tmp_path: Path, kind: str) -> None:
    path, mine = tmp_path / "lock", tmp_path / "mine"
    if kind != "dangling":
        mine.write_bytes(b"years of work")
    if kind in ("link", "dangling"):
        path.symlink_to(mine)
    elif kind == "text":
        path.write_bytes(b"years of work")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    assert not is_lock_file(path) and live_holder(path) is None
    with pytest.raises(Exception, match=r"lock") as refused, alone(path):
        raise AssertionError
    assert type(refused.value).__module__ == "nd_plugin.errors"
    assert os.path.lexists(path)
    assert mine.exists() == (kind != "dangling")
    if kind == "text":
        assert path.read_bytes() == b"years of work"


@pytest.mark.parametrize(
    "content",
    [
        b'{"kind": "nd_plugin lock"}',
        b'{"kind": "nd_plugin lock", "process": "x", "host": 1, "since": 2, "started": ""}',
        b"[" * 4000,
        b"\0" * 100,
        b'{"kind": "nd_plugin lock", "process": 1, "host": "h", "since": "", "started": ""}'
        + b" " * 5000,
    ],
)
def test_a_damaged_lock_is_no_lock(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "lock"
    path.write_bytes(content)
    assert not is_lock_file(path)
    with pytest.raises(BadInput, match="is no lock of nd_plugin"), alone(path):
        raise AssertionError
    assert path.read_bytes() == content


def test_control_characters_of_a_lock_are_not_shown() -> None:
    line = Holder(1, "\x1b[2Jhost", "now").line()
    read = Holder.read(line)
    assert read is not None and str(read).isprintable()


def test_a_thread_is_told_and_does_not_end_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    messages: list[str] = []

    def try_it() -> None:
        try:
            with alone(path):
                messages.append("nothing")
        except BadInput as error:
            messages.append(str(error))

    with alone(path):
        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join()
        assert is_lock_file(path) and str(live_holder(path)).startswith("process")
        child = os.fork()
        if child == 0:
            try_it()
            os._exit(len(messages) == 2 and "another process" in messages[1])
        _, status = os.waitpid(child, 0)
        assert os.WEXITSTATUS(status) == 1, "the system's lock is still held"
    assert messages == [f"this process is working in {tmp_path} already"]
