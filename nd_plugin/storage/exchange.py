"""Exchange of two folders in one step of the system: Linux's ``renameat2``."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

RENAME_EXCHANGE = 2  # linux/fs.h
CURRENT_FOLDER = -100  # AT_FDCWD: paths are relative to it
# of kernels, and of file systems that cannot, such as NFS
NOT_SUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTTY)


def exchange(first: Path, second: Path) -> bool:
    """Exchange what two paths name; return False where the system cannot. Raises OSError."""
    function = _renameat2()
    if function is None:
        return False
    names = os.fsencode(first), os.fsencode(second)
    status = function(
        CURRENT_FOLDER, names[0], CURRENT_FOLDER, names[1], RENAME_EXCHANGE
    )
    if status == 0:
        return True
    code = _last_error()
    if code in NOT_SUPPORTED:
        return False
    raise OSError(code, os.strerror(code), str(second))


def _renameat2() -> Any:
    """Return the function of the C library; None where there is none."""
    import ctypes

    try:
        library = ctypes.CDLL(None, use_errno=True)
    except (OSError, TypeError):  # Windows
        return None
    function = getattr(library, "renameat2", None)
    if function is not None:
        path = ctypes.c_char_p
        integer = ctypes.c_int
        function.argtypes = [integer, path, integer, path, ctypes.c_uint]
    return function


def _last_error() -> int:
    import ctypes

    return ctypes.get_errno()
