"""Files and folders that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from nd_plugin.errors import BadInput, NotSaved

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def write_file(path: Path, content: bytes) -> None:
    """Write a file whole, or leave what was there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise _not_saved(path, error) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except OSError as error:
        raise _not_saved(path, error) from error
    finally:
        Path(name).unlink(missing_ok=True)


def write_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write a folder of files (names may hold one ``/``) under a temporary name and rename it into place.

    What stood there is replaced as a whole, only when the new one is complete, and only by its like: a layer by a
    layer, a run by a run. Raises NotSaved.
    """
    target = folder.resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise _not_saved(folder, error) from error
    try:
        for name, content in files.items():
            path = draft / name
            path.parent.mkdir(exist_ok=True)
            with path.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        draft.chmod(0o777 & ~_umask())
        _swap(draft, target, nested=any("/" in name for name in files))
    except OSError as error:
        raise _not_saved(folder, error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _swap(draft: Path, folder: Path, *, nested: bool) -> None:
    if not folder.exists():
        draft.rename(folder)
        return
    if not (folder.is_dir() and is_ours(folder, nested=nested)):
        raise FileExistsError(errno.EEXIST, "it holds something other than such a result")
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent)) / "old"
    folder.rename(old)
    try:
        draft.rename(folder)
    except BaseException:
        old.rename(folder)
        raise
    finally:
        shutil.rmtree(old.parent, ignore_errors=True)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """No other process works in the file's folder meanwhile. Raises BadInput where one does, NotSaved.

    The file is held by this process and none that it forks, until the process ends, however it ends. Nothing is held
    where there is no such lock (Windows).
    """
    if fcntl is None:
        yield
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("wb")
    except OSError as error:
        raise _not_saved(path, error) from error
    with file:
        if not _held(file, path):
            raise BadInput(f"another process is at work in {path.parent}: wait for it, or end it")
        try:
            yield
        finally:
            path.unlink(
                missing_ok=True
            )  # while it is held: nobody removes what somebody else holds


def _held(file: IO[bytes], path: Path) -> bool:
    """Whether the file is this process's now, and still the one of that name."""
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            return False
        raise _not_saved(path, error) from error


def is_ours(folder: Path, *, nested: bool) -> bool:
    """Whether a folder is empty, or holds nothing but a layer's files (or, ``nested``, a run's)."""
    if _is_shard(folder):
        return True
    if not nested:
        return {child.name for child in folder.iterdir()} <= {"dissection.npz", "units.csv"}
    return all(
        child.name == "run.json" if child.is_file() else is_ours(child, nested=False)
        for child in folder.iterdir()
    )


def _is_shard(folder: Path) -> bool:
    return (folder / "state.npz").is_file() and all(
        child.is_file() and child.suffix in (".npz", ".maps", ".values")
        for child in folder.iterdir()
    )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _not_saved(path: Path, error: OSError) -> NotSaved:
    return NotSaved(
        f"{path} cannot be written: {error.strerror or error}; choose another place, or make room"
    )
