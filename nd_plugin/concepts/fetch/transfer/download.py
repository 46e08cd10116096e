"""Transfer of one file by HTTP, continued where it broke off.

pooch's downloaders begin anew each time, and so lose a gigabyte at every broken connection: the
transfer is our own, by requests (RFC 9110, section 14: Range and If-Range).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

from nd_plugin.borders.printable import one_line
from nd_plugin.concepts.fetch.transfer.answers import (
    Answer,
    MirrorFailed,
    StaleRest,
    read_answer,
)
from nd_plugin.concepts.fetch.transfer.network import (
    ask,
    network_failures,
    open_session,
)
from nd_plugin.concepts.fetch.transfer.partial_file import PartialFile, Version

CHUNK = 2**18  # bytes that are read at most at once
ATTEMPTS = 4  # in succession that bring nothing new
PROGRESS = 2**20  # bytes that are something new
SLOWEST = 2**10  # bytes within the timeout, else the server has stalled
SHOWN = 60  # characters of what is no archive
ARCHIVE_HEADS = (b"PK\x03\x04", b"PK\x05\x06")  # of zip files; of empty ones

ShowProgress = Callable[[str, int, int | None], None]  # stage, done, total


@dataclass(frozen=True)
class Download:
    """How files are fetched."""

    timeout: float = 30.0  # seconds without an answer, or with less than `SLOWEST`
    largest: int = 2**35  # bytes
    # before the first byte: bytes that are still to come, and of the whole file
    check_room: Callable[[int, int], None] = lambda rest, total: None
    show_progress: ShowProgress = lambda stage, done, total: None
    say: Callable[[str], None] = lambda message: None
    pause: Callable[[float], None] = field(default=time.sleep)

    def run(self, partial: PartialFile) -> None:
        """Bring the whole file here.

        Raises MirrorFailed where the server does not give it, whose part stays, NotSaved.
        """
        failures = 0
        largest_part = partial.size()
        while True:
            try:
                self._attempt(partial)
                return
            except MirrorFailed as failure:
                size = partial.size()
                has_progress = size >= largest_part + PROGRESS
                largest_part = max(size, largest_part)
                failures = 1 if has_progress else failures + 1
                if not failure.may_pass or failures == ATTEMPTS:
                    if not size:
                        partial.discard()
                    raise
                self._wait(failure, failures, size)

    def _wait(self, failure: MirrorFailed, failures: int, size: int) -> None:
        seconds = max(failure.wait, 2.0 ** (failures - 1))
        self.say(
            f"{failure}; {size / 2**20:.1f} MiB are here, next attempt in {seconds:.0f} s"
        )
        self.pause(seconds)

    def _attempt(self, partial: PartialFile) -> None:
        """Ask for the file or its rest; once more for the whole file where the rest is no use."""
        version = partial.version()
        if version is None:
            partial.discard()
        try:
            self._receive(partial, version)
        except StaleRest:
            self.say("the file has changed there: it is fetched from its beginning")
            partial.discard()
            try:
                self._receive(partial, None)
            except StaleRest as error:
                raise MirrorFailed(
                    "it sends another part than the one asked for"
                ) from error

    def _receive(self, partial: PartialFile, version: Version | None) -> None:
        """Ask for what is missing, and append it."""
        offset = partial.size()
        with (
            open_session() as session,
            network_failures(self.timeout, has_part=bool(offset)),
        ):
            headers = _headers(offset, version)
            response = ask(session, partial.url, headers, self.timeout)
            with closing(response):
                answer = read_answer(
                    response.status_code,
                    one_line(response.reason or ""),
                    response.headers,
                    offset,
                )
                if version is not None and answer.start:
                    answer = _rest_of(version, answer)
                self._check_size(answer)
                self._append(partial, answer, response)

    def _check_size(self, answer: Answer) -> None:
        if answer.total is None:
            return
        if answer.total > self.largest:
            raise MirrorFailed(
                f"it says that the file has {answer.total} bytes, more than the limit of "
                f"{self.largest} (--max-unpacked)"
            )
        self.check_room(answer.total - answer.start, answer.total)

    def _append(self, partial: PartialFile, answer: Answer, response: Any) -> None:
        """Append the content of an answer to the part. Raises MirrorFailed."""
        if not answer.start:
            if partial.size():
                self.say(
                    "the server does not continue: the file is fetched from its start"
                )
            partial.begin(Version.of(partial.url, answer))
        done = answer.start
        if done != answer.total:
            for content in _contents(response, self.timeout):
                if not done:
                    _check_head(content, response.headers.get("Content-Type", ""))
                done += len(content)
                if done > self.largest:
                    partial.discard()
                    raise MirrorFailed(
                        f"it sends more than the limit of {self.largest} bytes (--max-unpacked)"
                    )
                partial.append(content)
                self.show_progress("download", done, answer.total)
        if not done:
            raise MirrorFailed("it sends an empty file")
        if answer.total is not None and done != answer.total:
            raise MirrorFailed(
                f"the connection ended after {done} of {answer.total} bytes",
                may_pass=True,
            )


def _headers(offset: int, version: Version | None) -> dict[str, str]:
    if not offset:
        return {}
    headers = {"Range": f"bytes={offset}-"}
    if version is not None and version.validator:
        headers["If-Range"] = version.validator
    return headers


def _rest_of(version: Version, answer: Answer) -> Answer:
    """Return the answer for the rest of a version, with its size where it is known.

    Raises StaleRest for the rest of another file than the one whose part is here.
    """
    if not version.allows(answer):
        raise StaleRest
    return replace(answer, total=answer.total or version.total)


def _check_head(content: bytes, kind: str) -> None:
    """Raise MirrorFailed for the beginning of what is no zip archive, such as a page of HTML."""
    if any(head.startswith(content[:4]) for head in ARCHIVE_HEADS):
        return
    beginning = one_line(content[:SHOWN].decode("utf-8", "replace")).strip()
    raise MirrorFailed(
        f"it sends no zip archive, but {one_line(kind)[:SHOWN] or 'something'} that begins with "
        f"{beginning!r}"
    )


def _contents(response: Any, timeout: float) -> Iterator[bytes]:
    """Yield what arrives, as it arrives. Raises MirrorFailed where hardly anything does."""
    start = time.monotonic()
    arrived = 0
    while True:
        # not `read`, which waits until a chunk is full: trickling bytes would never end
        content = response.raw.read1(CHUNK, decode_content=False)
        if not content:
            return
        yield content
        arrived += len(content)
        now = time.monotonic()
        if now - start > timeout:
            if arrived < SLOWEST:
                raise MirrorFailed(
                    f"it sent {arrived} bytes in {now - start:.0f} s", may_pass=True
                )
            start = now
            arrived = 0
