"""The store that torchrun keeps for its processes, and what they tell each other there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from torch import distributed as dist

from nd_plugin.errors import BadInput, ProcessLost

TIMEOUT_VARIABLE = "ND_RANK_TIMEOUT"
TIMEOUT = 600.0  # seconds without progress, by default
LONGEST_TIMEOUT = 366 * 86400.0  # seconds
REMEDY = "start as many processes again with --resume"


def rank_timeout() -> float:
    """Return the seconds after which a process without progress is given up. Raises BadInput."""
    text = os.environ.get(TIMEOUT_VARIABLE, "")
    if not text:
        return TIMEOUT
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= LONGEST_TIMEOUT:
        raise BadInput(
            f"{TIMEOUT_VARIABLE} is {text!r}, not a number of seconds above 0 and up to a year"
        )
    return seconds


@dataclass(frozen=True)
class SignOfLife:
    """What a process tells the others about itself."""

    process: int
    host: str
    meetings: int = 0  # so far, with the one that it waits for
    signs: int = 0
    work: str = ""


def sign_key(rank: int) -> str:
    """Return the key of a process's last sign of life."""
    return f"rank/{rank}"


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its class."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def open_store(timeout: float) -> tuple[Any, int, int]:
    """Return torchrun's store, and the rank and number of processes. Raises ProcessLost."""
    # not every build of torch has it
    from torch.distributed.rendezvous import rendezvous

    try:
        store, rank, size = next(
            rendezvous("env://", timeout=timedelta(seconds=timeout))
        )
    except (RuntimeError, ValueError) as error:
        raise ProcessLost(
            f"torchrun's store cannot be reached ({first_line(error)}); {REMEDY}"
        ) from error
    # which torch's types do not list
    distributed: Any = dist
    return distributed.PrefixStore("nd_plugin", store), rank, size
