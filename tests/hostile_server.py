"""Local web server that serves files as badly as a test asks for; on 127.0.0.1 only."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BLOCK = 4096  # bytes that are sent at once


@dataclass
class Served:
    """How one path is served."""

    content: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    etag: str = '"one"'
    ranges: bool = True
    # bytes of each answer after which the connection ends; the last holds for all that follow
    breaks: list[int] = field(default_factory=list)
    length: int | None = None  # that is said, in the place of the true one
    chunked: bool = False
    silent: bool = False  # accepts, and never answers
    stalls_after: int | None = None  # bytes
    trickle: float = 0.0  # seconds after each byte
    then: Served | None = None  # how it is served the next time
    before_body: Callable[[], None] = lambda: None


@dataclass
class Asked:
    """Question that has arrived."""

    path: str
    range: str
    if_range: str
    accept_encoding: str


class HostileServer:
    """Server of paths; what has been asked is in `questions`."""

    def __init__(self) -> None:
        self.paths: dict[str, Served] = {}
        self.questions: list[Asked] = []
        self.ended = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        """Address of the server, without a slash at its end."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def serve(self, path: str, served: Served) -> str:
        """Serve a path, and return its address."""
        self.paths[path] = served
        return f"{self.url}{path}"

    @contextmanager
    def running(self) -> Iterator[HostileServer]:
        """Serve in a thread while the block runs."""
        thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        thread.start()
        try:
            yield self
        finally:
            self.ended.set()
            self._server.shutdown()
            self._server.server_close()
            thread.join()


def _handler(server: HostileServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.close_connection = True
            path = self.path.partition("?")[0]
            server.questions.append(
                Asked(
                    self.path,
                    self.headers.get("Range", ""),
                    self.headers.get("If-Range", ""),
                    self.headers.get("Accept-Encoding", ""),
                )
            )
            served = server.paths.get(path, Served(b"not here", status=404))
            if served.then is not None:
                server.paths[path] = served.then
            # whoever asked may have gone
            with suppress(BrokenPipeError, ConnectionResetError):
                _answer(self, served, server)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler


def _answer(
    handler: BaseHTTPRequestHandler, served: Served, server: HostileServer
) -> None:
    if served.silent:
        server.ended.wait(20)
        return
    content = served.content
    start = _start(handler, served)
    status = served.status
    headers = {"ETag": served.etag, **served.headers}
    if start:
        if start >= len(content):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(content)}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        status = 206
        headers.setdefault(
            "Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}"
        )
    body = content[start:]
    handler.send_response(status)
    for name, value in headers.items():
        if value:
            handler.send_header(name, value)
    if served.chunked:
        handler.send_header("Transfer-Encoding", "chunked")
    else:
        length = len(body) if served.length is None else served.length - start
        handler.send_header("Content-Length", str(length))
    handler.end_headers()
    served.before_body()
    _send(handler, served, body, server)


def _start(handler: BaseHTTPRequestHandler, served: Served) -> int:
    """Return the first byte that is asked for; 0 where the server does not continue."""
    asked = handler.headers.get("Range", "")
    condition = handler.headers.get("If-Range", "")
    is_other_version = condition and condition != served.etag
    if not served.ranges or is_other_version or not asked or served.status != 200:
        return 0
    return int(asked.removeprefix("bytes=").removesuffix("-"))


def _send(
    handler: BaseHTTPRequestHandler,
    served: Served,
    body: bytes,
    server: HostileServer,
) -> None:
    end = len(body)
    if served.breaks:
        end = served.breaks.pop(0) if len(served.breaks) > 1 else served.breaks[0]
    if served.stalls_after is not None:
        end = served.stalls_after
    size = 1 if served.trickle else BLOCK
    for position in range(0, min(end, len(body)), size):
        block = body[position : min(position + size, end)]
        if served.chunked:
            block = b"%x\r\n%s\r\n" % (len(block), block)
        handler.wfile.write(block)
        handler.wfile.flush()
        if served.trickle:
            time.sleep(served.trickle)
            if server.ended.is_set():
                return
    if served.stalls_after is not None:
        server.ended.wait(20)
    elif served.chunked and end >= len(body):
        handler.wfile.write(b"0\r\n\r\n")
