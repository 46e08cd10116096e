"""Answers of HTTP servers to the question for a file, or for the rest of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
WHOLE_SIZE = re.compile(r"bytes \*/(\d{1,18})")
LENGTH = re.compile(r"\d{1,18}")
OK, PARTIAL, RANGE_NOT_SATISFIABLE = 200, 206, 416
# of servers that may answer later: request timeout, too early, too many requests
MAY_PASS = (408, 425, 429)
LONGEST_WAIT = 30.0  # seconds, of those that a server asks for


class MirrorFailed(Exception):
    """Address that did not give the file.

    Where it ``may_pass``, another attempt may succeed, after ``wait`` seconds.
    """

    def __init__(
        self, reason: str, *, may_pass: bool = False, wait: float = 0.0
    ) -> None:
        super().__init__(reason)
        self.may_pass = may_pass
        self.wait = wait


class StaleRest(Exception):
    """Rest of a file that does not belong to the part that is here: it has to be fetched anew."""


@dataclass(frozen=True)
class Answer:
    """What a server says it sends."""

    start: int  # offset of the first byte
    total: int | None  # bytes of the whole file, where it says so
    etag: str = ""  # of a kind that identifies bytes
    last_modified: str = ""


def read_answer(
    status: int, reason: str, headers: Mapping[str, str], offset: int
) -> Answer:
    """Return what an answer to the question for the bytes from ``offset`` on says.

    An answer that starts at 0 all the same replaces what is here. Raises MirrorFailed for answers
    without the file, StaleRest for those that do not fit the part that is here.
    """
    if status == RANGE_NOT_SATISFIABLE and offset:
        size = WHOLE_SIZE.fullmatch(headers.get("Content-Range", ""))
        if size and int(size[1]) == offset:
            return _answer(offset, offset, headers)
        raise StaleRest
    if status not in (OK, PARTIAL):
        raise MirrorFailed(
            f"{status} {reason or 'without a reason'}",
            may_pass=status >= 500 or status in MAY_PASS,
            wait=_wait(headers.get("Retry-After", "")),
        )
    coding = headers.get("Content-Encoding", "").strip().lower()
    if coding not in ("", "identity"):
        raise MirrorFailed(f"it sends the file in another coding, {coding[:40]!r}")
    if status == PARTIAL:
        return _partial_answer(headers, offset)
    length = headers.get("Content-Length", "")
    total = int(length) if LENGTH.fullmatch(length) else None
    return _answer(0, total, headers)


def _partial_answer(headers: Mapping[str, str], offset: int) -> Answer:
    sent = RANGE.fullmatch(headers.get("Content-Range", ""))
    if sent is None:
        raise MirrorFailed("it sends a part of the file, and does not say which")
    total = None if sent[3] == "*" else int(sent[3])
    if int(sent[1]) != offset:
        raise StaleRest
    return _answer(offset, total, headers)


def _answer(start: int, total: int | None, headers: Mapping[str, str]) -> Answer:
    etag = headers.get("ETag", "")
    # weak ones (W/) may stand for other bytes with the same meaning
    strong_etag = etag if etag.startswith('"') else ""
    return Answer(start, total, strong_etag, headers.get("Last-Modified", ""))


def _wait(text: str) -> float:
    """Return the seconds that a server asks to wait; dates are taken for none."""
    if not LENGTH.fullmatch(text):
        return 0.0
    return min(float(text), LONGEST_WAIT)


def without_secrets(url: str) -> str:
    """Return an address without user, password and query, which may be a key: for messages."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return url.partition("?")[0]
    query = "…" if parts.query else ""
    return urlunsplit((parts.scheme, host, parts.path, query, ""))
