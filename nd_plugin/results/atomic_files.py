"""Files and folders that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from nd_plugin.errors import BadInput, NotSaved

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def write_file(path: Path, content: bytes) -> None:
    """Write a file whole, or leave the file that is at ``path``. Raises NotSaved."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise _not_saved(path, error) from error
    try:
        with os.fdopen(handle, "wb") as file:
            _write_through(file, content)
        os.chmod(draft, 0o666 & ~_umask())
        os.replace(draft, path)
    except OSError as error:
        raise _not_saved(path, error) from error
    finally:
        Path(draft).unlink(missing_ok=True)


def write_folder(
    folder: Path, files: Mapping[str, bytes], *, may_replace: Callable[[Path], bool]
) -> Path:
    """Write a folder of files under a temporary name and rename it into place.

    Names of files may hold ``/``. An existing folder is replaced as a whole, only when the new
    one is complete, and only if ``may_replace`` returns True for it. Raises NotSaved.
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
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                _write_through(file, content)
        draft.chmod(0o777 & ~_umask())
        _move_into_place(draft, target, may_replace)
    except OSError as error:
        raise _not_saved(folder, error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _write_through(file: IO[bytes], content: bytes) -> None:
    """Write to the disk, not to a cache that a power cut loses."""
    file.write(content)
    file.flush()
    os.fsync(file.fileno())


def _move_into_place(
    draft: Path, folder: Path, may_replace: Callable[[Path], bool]
) -> None:
    if not folder.exists():
        draft.rename(folder)
        return
    if not (folder.is_dir() and may_replace(folder)):
        raise FileExistsError(
            errno.EEXIST, "it holds something other than such a result"
        )
    attic = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
    old = attic / "old"
    folder.rename(old)
    try:
        draft.rename(folder)
    except BaseException:
        old.rename(folder)
        raise
    finally:
        shutil.rmtree(attic, ignore_errors=True)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a lock file: no other process works in its folder meanwhile.

    The lock belongs to this process and not to processes it forks, and ends with the process,
    however that ends. Not to be nested: the inner block's end would release the lock. Systems
    without such locks (Windows) hold nothing. Raises BadInput if another process holds the lock,
    NotSaved if the file cannot be written.
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
        if not _lock(file, path):
            raise BadInput(
                f"another process is working in {path.parent}; wait for it, or stop it"
            )
        try:
            yield
        finally:
            # Removed while the lock is held, so that nobody removes a file that another holds.
            if _has_name(file, path):  # the folder may have been renamed meanwhile
                path.unlink(missing_ok=True)


def _lock(file: IO[bytes], path: Path) -> bool:
    """Lock a file; return whether it is locked by this process and still has its name."""
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return _has_name(file, path)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            return False
        raise _not_saved(path, error) from error


def _has_name(file: IO[bytes], path: Path) -> bool:
    """Return whether an open file is the one at ``path``."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _not_saved(path: Path, error: OSError) -> NotSaved:
    reason = error.strerror or error
    return NotSaved(
        f"{path} cannot be written: {reason}; choose another place, or make room"
    )
