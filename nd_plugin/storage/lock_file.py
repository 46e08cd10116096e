"""Lock files: a folder or a file has one process that works on it, and others learn which.

A lock is the system's (``fcntl``), which ends with its process however that ends. The file says
who holds it: a line of JSON, which matters alone where a file system has no locks.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nd_plugin.errors import BadInput, NotSaved
from nd_plugin.storage.durable_files import is_regular
from nd_plugin.storage.holder import Holder, is_of_this_machine, locks_are_local

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

HAS_NO_LOCKS = fcntl is None  # nor can open files be renamed and removed: Windows
LOCK_FILE = "lock"  # usual name, in a folder that one process works in
LONGEST = 4096  # bytes of a lock file
OPEN = (
    os.O_RDWR
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)
)
HELD_ELSEWHERE = (errno.EACCES, errno.EAGAIN)
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)

# Files (device, inode) that this process holds: its number, as a forked process holds none, and the
# descriptor. The system's locks do not exclude threads, and end where any descriptor is closed.
_held: dict[tuple[int, int], tuple[int, int]] = {}
_guard = threading.Lock()


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a lock file: nobody else works in its folder meanwhile, in any process or thread.

    The lock belongs to this process and not to processes it forks, and ends with the process,
    however that ends. Links are not followed, and a file of something else stays as it is. Systems
    without such locks (Windows) hold nothing. Raises BadInput if another process holds the lock,
    NotSaved if the file cannot be written.
    """
    if fcntl is None:
        yield
        return
    if is_held_here(path):
        raise BadInput(f"this process is working in {path.parent} already")
    descriptor = _open(path)
    try:
        _acquire(descriptor, path)
        try:
            yield
        finally:
            # Removed while the lock is held, so that nobody removes a file that another holds;
            # the folder may have been renamed meanwhile.
            if has_name(descriptor, path):
                path.unlink(missing_ok=True)
    finally:
        release(descriptor)


def live_holder(path: Path) -> Holder | None:
    """Return who holds a lock file now; None where nobody does, or where there is none."""
    if fcntl is None or not is_lock_file(path):
        return None
    if is_held_here(path):
        return Holder.of_this_process()
    try:
        descriptor = os.open(path, OPEN)
    except OSError:
        return None
    try:
        if hold(descriptor):
            return None
        return _read_holder(descriptor) or Holder()
    except OSError:  # no locks on this file system
        return _living(_read_holder(descriptor))
    finally:
        release(descriptor)


def is_lock_file(path: Path) -> bool:
    """Return whether a file is a lock of ours: who holds or held it, or empty."""
    if is_held_here(path):
        return True
    try:
        if not is_regular(path):
            return False
        with path.open("rb") as file:
            content = file.read(LONGEST + 1)
    except (OSError, ValueError):
        return False
    if len(content) > LONGEST:
        return False
    return not content or Holder.read(content) is not None


def hold(descriptor: int) -> bool:
    """Lock an open file; return False where another holds it. Raises OSError."""
    if fcntl is None:
        return True
    key = _key(os.fstat(descriptor))
    with _guard:
        if _holds(key):
            return False
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in HELD_ELSEWHERE:
                return False
            raise
        _held[key] = (os.getpid(), descriptor)
    return True


def release(descriptor: int) -> None:
    """Close a file, which releases its lock.

    Left open where another thread holds the same file, whose lock would end.
    """
    key = _key(os.fstat(descriptor))
    with _guard:
        if _holds(key) and _held[key][1] != descriptor:
            return
        os.close(descriptor)
        _held.pop(key, None)


def has_name(descriptor: int, path: Path) -> bool:
    """Return whether an open file is the one at ``path``."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def is_held_here(path: Path) -> bool:
    """Return whether this process holds a file: opening and closing it would end the lock."""
    try:
        return _holds(_key(path.lstat()))
    except (OSError, ValueError):
        return False


def _holds(key: tuple[int, int]) -> bool:
    return _held.get(key, (0, 0))[0] == os.getpid()


def _key(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _open(path: Path) -> int:
    """Open a lock file, or create it, as it is. Raises BadInput for a link, NotSaved."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_CREAT | OPEN, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP and path.is_symlink():
            raise BadInput(
                f"{path} is a link, and a lock is none; remove it"
            ) from error
        raise not_saved(path, error) from error
    return descriptor


def _acquire(descriptor: int, path: Path) -> None:
    """Lock the file and write who holds it. Raises BadInput where another does."""
    if not is_lock_file(path) and has_name(descriptor, path):
        raise BadInput(
            f"{path} is no lock of nd_plugin: it holds something else; remove it, or choose "
            "another folder"
        )
    try:
        is_locked = hold(descriptor)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise not_saved(path, error) from error
        _check_by_content(descriptor, path)
        is_locked = True
    if not (is_locked and has_name(descriptor, path)):
        raise _working(path, None if is_locked else _read_holder(descriptor))
    earlier = _read_holder(descriptor)
    if earlier and not is_of_this_machine(earlier) and locks_are_local(path):
        raise _maybe_working(path, earlier)
    content = Holder.of_this_process().line()
    with suppress(OSError):  # a full disk: the lock is held all the same
        os.pwrite(descriptor, content, 0)
        os.ftruncate(descriptor, len(content))


def _check_by_content(descriptor: int, path: Path) -> None:
    """Raise BadInput where a file system without locks may have a process at work."""
    holder = _read_holder(descriptor)
    if holder is None:
        return
    if not is_of_this_machine(holder):
        raise _maybe_working(path, holder)
    if holder.is_alive():
        raise _working(path, holder)


def _living(holder: Holder | None) -> Holder | None:
    """Return a holder that may be alive, by what its lock file says."""
    if holder is None or (is_of_this_machine(holder) and not holder.is_alive()):
        return None
    return holder


def _read_holder(descriptor: int) -> Holder | None:
    return Holder.read(os.pread(descriptor, LONGEST, 0))


def _working(path: Path, holder: Holder | None) -> BadInput:
    name = f" ({holder})" if holder is not None and holder.process else ""
    return BadInput(
        f"another process is working in {path.parent}{name}; wait for it, or stop it"
    )


def _maybe_working(path: Path, holder: Holder) -> BadInput:
    return BadInput(
        f"{path.parent} is in use by another machine ({holder}), and its file system does not "
        f"tell whether that still works; if it has ended, remove {path}"
    )


def not_saved(path: Path, error: OSError) -> NotSaved:
    """Return the error of a file or folder that cannot be written."""
    reason = error.strerror or error
    return NotSaved(
        f"{path} cannot be written: {reason}; choose another place, or make room"
    )
