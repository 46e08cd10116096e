"""Meetings of the processes that torchrun started, in the store that it keeps for them.

A collective operation waits for good where a process is missing, deaf to signals. So processes
meet in the store first, and only then communicate::

    rank 0   ----- batches ----- meets . . . . . . . . . . all are there: the operation
    rank 1   ----- batches -------------- batches ----- meets

Whoever waits looks after those that are missing: one that has failed says why, one that has ended
is gone from the table of processes, and one that makes no progress for a time is stopped or hangs.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from nd_plugin import errors
from nd_plugin.errors import NDError, ProcessLost
from nd_plugin.machine import termination
from nd_plugin.machine.rank_store import (
    REMEDY,
    TIMEOUT,
    TIMEOUT_VARIABLE,
    SignOfLife,
    first_line,
    sign_key,
)

SECONDS_BETWEEN_SIGNS = 2.0  # of life
SECONDS_BETWEEN_LOOKS = 1.0  # at those that are missing
LONGEST_NAP = 0.2  # seconds
SECONDS_TO_LEAVE = 5.0
FAILURE = "failure"  # key of the first failure
LEFT = "left"  # key of the number of processes that are done
ENDS = ("Terminated", "Interrupted", "KeyboardInterrupt")  # by a signal


@dataclass
class LastSign:
    """Last sign of life of another process, and when it was seen."""

    sign: SignOfLife | None
    seconds: float  # of this process's clock


@dataclass
class Meetings:
    """Meetings of one process with the others."""

    store: Any  # `dist.Store`
    rank: int
    size: int
    timeout: float = TIMEOUT
    # saves state before a failure of another process ends this one, too
    before_end: Callable[[], None] = lambda: None
    own: SignOfLife = field(init=False)
    last_signs: dict[int, LastSign] = field(default_factory=dict, init=False)
    _last_sign_seconds: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.own = SignOfLife(os.getpid(), socket.gethostname())

    def note(self, work: str) -> None:
        """Give a sign of life, every `SECONDS_BETWEEN_SIGNS` at most: ``work`` goes on."""
        now = time.monotonic()
        if now - self._last_sign_seconds < SECONDS_BETWEEN_SIGNS:
            return
        with self._losses_translated():
            self._give_sign(self.own.meetings, work)
            self._raise_failure()

    def meet(self) -> None:
        """Wait until all processes have come here.

        Raises the error of a process that has failed, ProcessLost for one that has ended or makes
        no progress, and Terminated where a signal asks this one to end; after `before_end`.
        """
        try:
            with self._losses_translated():
                self._meet()
        except (NDError, termination.Terminated):
            self.before_end()
            raise

    def _meet(self) -> None:
        number = self.own.meetings + 1
        self._give_sign(number, self.own.work)
        if self.store.add(f"come/{number}", 1) == self.size:
            self.store.set(f"met/{number}", "")
        self.last_signs.clear()
        nap = 0.0005
        last_look = time.monotonic()
        while not self.store.check([f"met/{number}"]):
            if termination.is_due():
                self.look_after_others()
                termination.grant_request()
            time.sleep(nap)
            nap = min(1.5 * nap, LONGEST_NAP)
            if time.monotonic() - last_look > SECONDS_BETWEEN_LOOKS:
                self.look_after_others()
                last_look = time.monotonic()

    def _give_sign(self, meetings: int, work: str) -> None:
        self.own = replace(
            self.own, meetings=meetings, signs=self.own.signs + 1, work=work
        )
        self._last_sign_seconds = time.monotonic()
        self.store.set(sign_key(self.rank), json.dumps(asdict(self.own)))

    def look_after_others(self) -> None:
        """Raise the error of a failed process, or ProcessLost for one that is lost."""
        self._raise_failure()
        if termination.is_requested() and self._failure_type() in ENDS:
            # a signal ends all of them
            return
        for rank in range(self.size):
            if rank != self.rank:
                self._look_after(rank)

    def _look_after(self, rank: int) -> None:
        sign = self._sign_of(rank)
        if sign is not None and sign.meetings >= self.own.meetings:
            return
        now = time.monotonic()
        last = self.last_signs.get(rank)
        if last is None or last.sign != sign:
            self.last_signs[rank] = LastSign(sign, now)
        elif now - last.seconds > self.timeout:
            raise ProcessLost(self._describe_silence(rank, sign))
        if sign is not None and self._has_ended(sign):
            # it may have said why in the meantime
            self._raise_failure()
            raise ProcessLost(
                f"{self._name(rank, sign)} has ended without a result, most likely "
                f"killed for want of memory; {REMEDY}"
            )

    def _sign_of(self, rank: int) -> SignOfLife | None:
        key = sign_key(rank)
        if not self.store.check([key]):
            return None
        return SignOfLife(**json.loads(self.store.get(key)))

    def _has_ended(self, sign: SignOfLife) -> bool:
        """Return whether a process of this machine has ended; elsewhere it cannot be known."""
        if sign.host != self.own.host:
            return False
        try:
            os.kill(sign.process, 0)
        except ProcessLookupError:
            return True
        except OSError:
            pass
        return False

    def _describe_silence(self, rank: int, sign: SignOfLife | None) -> str:
        if sign is None:
            return (
                f"rank {rank} of {self.size} has not started within {self.timeout:g} s; "
                f"look for its messages, and {REMEDY} ({TIMEOUT_VARIABLE}=SECONDS: wait longer)"
            )
        work = f" (last: {sign.work})" if sign.work else ""
        return (
            f"{self._name(rank, sign)} has made no progress for {self.timeout:g} s{work}: it is "
            f"stopped or hangs; end it, and {REMEDY} ({TIMEOUT_VARIABLE}=SECONDS: wait longer)"
        )

    def _name(self, rank: int, sign: SignOfLife) -> str:
        return f"rank {rank} of {self.size} (process {sign.process} on {sign.host})"

    def publish(self, error: BaseException) -> None:
        """Tell the others what ends this process, unless one of them has failed before."""
        name = type(error).__name__
        message = str(error) or name
        failure = {"rank": self.rank, "type": name, "message": message}
        try:
            self.store.compare_set(FAILURE, "", json.dumps(failure))
        except RuntimeError:
            # the store has ended; then the others notice
            return

    def failure(self) -> NDError | None:
        """Return the error of another process that has failed, with its rank; None without."""
        if not self.store.check([FAILURE]):
            return None
        failure = json.loads(self.store.get(FAILURE))
        is_end = failure["type"] in ENDS
        if failure["rank"] == self.rank or (is_end and termination.is_requested()):
            return None
        kind = getattr(errors, failure["type"], ProcessLost)
        if not (isinstance(kind, type) and issubclass(kind, NDError)):
            kind = ProcessLost
        message = failure["message"]
        if kind is ProcessLost and message.startswith("rank "):
            return ProcessLost(message)
        return kind(f"rank {failure['rank']} of {self.size}: {message}")

    def _failure_type(self) -> str:
        if not self.store.check([FAILURE]):
            return ""
        return str(json.loads(self.store.get(FAILURE))["type"])

    def loss(self) -> NDError | None:
        """Return what has happened to another process that may be why this one has to end."""
        try:
            with self._losses_translated():
                self._expect_more()
                self.look_after_others()
        except NDError as error:
            return error
        return None

    def leave(self) -> None:
        """Leave the others; the first, which may keep the store, waits for them a moment."""
        with suppress(RuntimeError):
            self.store.add(LEFT, 1)
            deadline = time.monotonic() + SECONDS_TO_LEAVE
            while self.rank == 0 and time.monotonic() < deadline:
                if self.store.add(LEFT, 0) == self.size:
                    return
                time.sleep(LONGEST_NAP / 10)

    def _expect_more(self) -> None:
        """Expect all others at one more meeting than they have come to."""
        self.own = replace(self.own, meetings=self.own.meetings + 1)

    def _raise_failure(self) -> None:
        error = self.failure()
        if error is not None:
            raise error

    @contextmanager
    def _losses_translated(self) -> Iterator[None]:
        """Translate the errors of a store that has ended."""
        try:
            yield
        except NDError:
            raise
        except (RuntimeError, OSError) as error:
            raise ProcessLost(
                "the connection to the other processes is lost: torchrun, or the machine that "
                f"keeps its store, has ended ({first_line(error)}); {REMEDY}"
            ) from error

    @contextmanager
    def communication(self) -> Iterator[None]:
        """Meet, and then communicate; raise ProcessLost where another process ends meanwhile."""
        self.meet()
        try:
            yield
        except RuntimeError as error:
            self.before_end()
            with self._losses_translated():
                self._find_loss()
            raise ProcessLost(
                f"the connection to another process is lost ({first_line(error)}); {REMEDY}"
            ) from error

    def _find_loss(self) -> None:
        """Raise the error that says which process is lost, if one is found within a moment."""
        self._expect_more()
        for _ in range(5):
            time.sleep(SECONDS_BETWEEN_LOOKS / 2)
            self.look_after_others()
