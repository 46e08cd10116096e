"""Border of files that are loaded: whatever a damaged one raises names the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeGuard

from nd_plugin.errors import NDError, RunFailed, RunInvalid, Unavailable


@contextmanager
def damage_refused(name: object, remedy: str = "") -> Iterator[None]:
    """Raise RunInvalid, which names a file and what is wrong with it, for errors of reading it.

    Archives, arrays, pictures and JSON of strangers raise errors of many kinds. Lack of memory is
    no fault of the file.
    """
    try:
        yield
    except (RunInvalid, RunFailed, Unavailable, MemoryError):
        raise
    except Exception as error:
        if _is_lack_of_memory(error):
            raise
        if _is_of_system(error):
            raise RunInvalid(
                f"{name} cannot be read: {_system_reason(error)}"
            ) from error
        raise RunInvalid(
            f"{name} is damaged: {_reason(error)}{_then(remedy)}"
        ) from error


def refuse_newer(name: object, version: int, newest: int) -> None:
    """Raise RunInvalid for a file whose format is of a later nd_plugin."""
    if version > newest:
        raise RunInvalid(
            f"{name} is of format {version}, and this nd_plugin reads up to {newest}: "
            "upgrade nd_plugin"
        )


def _is_lack_of_memory(error: Exception) -> bool:
    """Return whether a device lacks memory, by the name of the error: torch is not imported."""
    return any(kind.__name__ == "OutOfMemoryError" for kind in type(error).mro())


def _is_of_system(error: Exception) -> TypeGuard[OSError]:
    """Return whether the system refuses to read; Pillow raises OSError of damaged pictures."""
    return isinstance(error, OSError) and error.errno is not None


def _system_reason(error: OSError) -> str:
    """Return what the system says, with the name of the file that it says it of."""
    reason = error.strerror or str(error)
    return f"{reason}: {error.filename}" if error.filename else reason


def _reason(error: Exception) -> str:
    """Return what is wrong in words; the kind of error, too, where it is not our own."""
    if isinstance(error, KeyError) and error.args:
        return f"{error.args[0]} is missing"
    message = str(error).partition("\n")[0]
    if isinstance(error, NDError) or (type(error) is ValueError and message):
        return message
    return f"{type(error).__name__}: {message}"


def _then(remedy: str) -> str:
    return f"; {remedy}" if remedy else ""
