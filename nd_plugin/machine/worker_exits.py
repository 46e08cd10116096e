"""Crashes of worker processes in words: what has most likely happened, and what to do."""

from __future__ import annotations

import signal

OUT_OF_MEMORY = "most likely out of memory"
NO_SHARED_MEMORY = "most likely for want of shared memory (/dev/shm)"
NATIVE_CODE = ("SIGSEGV", "SIGABRT", "SIGFPE", "SIGILL", "SIGTRAP", "SIGSYS")
REMEDY = (
    "use fewer workers, or none (--workers 0, workers=0), smaller batches (--batch-size, "
    "batch_size=) or less memory for maps (--memory, memory=)"
)


def describe_crash(worker: str, exit_code: int | None, work: str = "") -> str:
    """Return the message about a ``worker`` that has ended too early.

    ``work`` is what it was at, if that is known; ``exit_code`` is as `multiprocessing` has it.
    """
    advice = f"check {work}; {REMEDY}" if work else REMEDY
    return (
        f"{worker} crashed (exit code {exit_code}), {_cause(exit_code)}: {advice}"
    )


def _cause(exit_code: int | None) -> str:
    if exit_code is None:
        return "for an unknown reason"
    if exit_code >= 0:
        return "ended by a concept set or a library that it uses"
    name = _signal_name(-exit_code)
    if name == "SIGKILL":
        return OUT_OF_MEMORY
    if name == "SIGBUS":
        return NO_SHARED_MEMORY
    if name in NATIVE_CODE:
        return f"by {name}, in native code such as a decoder of images"
    return f"killed by {name}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
