"""Server of the rating page, of the standard library: on this machine alone unless told otherwise.

::

    GET  /?token=…                  sets the cookie and leads to /
    GET  /                          page
    GET  /pictures/NAME/RANK.jpg    top image of a unit, highlighted
    POST /session {rater}           answers of a rater so far
    POST /vote {rater, question, answer: "yes" | "no"}
"""

from __future__ import annotations

import json
import os
import re
import socket
import socketserver
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from nd_plugin.borders.json_values import parse_json
from nd_plugin.borders.printable import utf8
from nd_plugin.errors import BadInput, NDError, RunFailed
from nd_plugin.rating import access
from nd_plugin.rating.highlights import Highlights
from nd_plugin.rating.pages import page_policy, rating_page
from nd_plugin.rating.study import Study
from nd_plugin.rating.votes import Vote, VoteFile, now

PICTURE_PATH = re.compile(r"/pictures/([0-9a-f]{1,64})/(\d{1,3})\.jpg")
REQUEST_SECONDS = 30  # for a client to send its request
KEY_MISSING = "Open the address that nd rate printed; it ends with a key."
COOKIE_SECONDS = 60 * 60 * 24 * 30
IS_YES = {"yes": True, "no": False}


class Refused(Exception):
    """Request that is answered with an error; the message is for people."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class RatingServer(ThreadingHTTPServer):
    """Server of one study. Every request has a thread of its own."""

    daemon_threads = True
    # Another server on the same port is an error, not a rival.
    allow_reuse_address: bool = os.name != "nt"

    def __init__(
        self,
        address: tuple[str, int],
        study: Study,
        votes: VoteFile,
        highlights: Highlights,
    ) -> None:
        self.study = study
        self.votes = votes
        self.highlights = highlights
        self.token: str = votes.token
        if ":" in address[0]:
            self.address_family: int = socket.AF_INET6
        try:
            super().__init__(address, RatingHandler)
        except OSError as error:
            host, port = address
            reason = error.strerror or error
            raise RunFailed(
                f"cannot listen on {host}, port {port}: {reason}; choose another --host or --port"
            ) from error
        self.host: str = address[0]
        self.port: int = int(self.server_address[1])
        self.page: bytes = self._page()

    def server_bind(self) -> None:
        """Bind without asking for the machine's full name, which can take long offline."""
        socketserver.TCPServer.server_bind(self)
        self.server_name: str = str(self.server_address[0])
        self.server_port: int = int(self.server_address[1])

    @property
    def url(self) -> str:
        """Address to open; it holds the token."""
        host = "127.0.0.1" if access.is_any_address(self.host) else self.host
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{self.port}/?token={self.token}"

    def _page(self) -> bytes:
        urls: dict[str, list[str]] = {}
        for question in self.study.questions:
            name = question.pictures
            count = self.highlights.count(name)
            urls[name] = [f"/pictures/{name}/{rank}.jpg" for rank in range(count)]
        return rating_page(
            self.votes.name, self.study.questions, urls, is_served=True
        ).encode()


class RatingHandler(BaseHTTPRequestHandler):
    """One request. Nothing outside of the five addresses of this module is served."""

    server: RatingServer
    protocol_version = "HTTP/1.1"
    server_version = "nd"
    sys_version = ""
    close_connection: bool
    timeout: ClassVar[float | None] = REQUEST_SECONDS

    def do_GET(self) -> None:
        """Answer a GET request."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """Answer a POST request."""
        self._answer(self._post)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: addresses of requests hold the token."""

    def _answer(self, act: Callable[[], None]) -> None:
        """Check a request, act, and answer with an error where that fails."""
        try:
            self._check_sender()
            act()
        except Refused as refused:
            self._send_error_text(refused.status, str(refused))
        except BadInput as error:
            self._send_error_text(HTTPStatus.BAD_REQUEST, str(error))
        except NDError as error:
            self._send_error_text(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
        except ConnectionError:
            # The browser has left.
            self.close_connection = True

    def _check_sender(self) -> None:
        server = self.server
        host = self.headers.get("Host")
        if not access.is_known_host(host, server.host, server.port):
            raise Refused(
                HTTPStatus.FORBIDDEN, "This server has another address than that."
            )
        is_post = self.command == "POST"
        is_foreign = access.is_foreign_embedding(self.headers)
        if is_foreign or not access.is_own_page(self.headers, is_post=is_post):
            raise Refused(
                HTTPStatus.FORBIDDEN,
                "Pages of other sites may not use this server.",
            )

    def _get(self) -> None:
        parts = urlsplit(self.path)
        tokens = parse_qs(parts.query).get("token", [])
        if parts.path == "/" and tokens:
            self._welcome(tokens[0])
            return
        self._check_cookie()
        match = PICTURE_PATH.fullmatch(parts.path)
        if parts.path == "/":
            self._send(HTTPStatus.OK, "text/html; charset=utf-8", self.server.page)
        elif match:
            self._send_picture(match[1], int(match[2]))
        else:
            raise Refused(HTTPStatus.NOT_FOUND, "There is no such page.")

    def _welcome(self, token: str) -> None:
        """Give the cookie to who has the token, and lead to an address without it."""
        if not access.is_token(token, self.server.token):
            raise Refused(HTTPStatus.FORBIDDEN, KEY_MISSING)
        name = access.cookie_name(self.server.port)
        cookie = f"{name}={self.server.token}; Path=/; HttpOnly; SameSite=Lax"
        headers = {
            "Location": "/",
            "Set-Cookie": f"{cookie}; Max-Age={COOKIE_SECONDS}",
        }
        self._send(HTTPStatus.SEE_OTHER, "text/plain", b"", headers)

    def _check_cookie(self) -> None:
        if not access.has_cookie(self.headers, self.server.port, self.server.token):
            raise Refused(HTTPStatus.FORBIDDEN, KEY_MISSING)

    def _send_picture(self, name: str, index: int) -> None:
        try:
            picture = self.server.highlights.picture(name, index)
        except BadInput as error:
            raise Refused(
                HTTPStatus.NOT_FOUND, "There is no such picture."
            ) from error
        headers = {"Cache-Control": "private, max-age=86400"}
        self._send(HTTPStatus.OK, "image/jpeg", picture, headers)

    def _post(self) -> None:
        self._check_cookie()
        path = urlsplit(self.path).path
        if path not in ("/vote", "/session"):
            raise Refused(HTTPStatus.NOT_FOUND, "There is no such page.")
        content = self._json_body()
        rater = _text(content, "rater").strip()
        if path == "/vote":
            self._save_vote(rater, content)
            return
        self.server.votes.add_rater(rater)
        answers = {
            question: "yes" if is_yes else "no"
            for question, is_yes in self.server.votes.answers(rater).items()
        }
        self._send_json({"answers": answers})

    def _save_vote(self, rater: str, content: Mapping[str, Any]) -> None:
        is_yes = IS_YES.get(_text(content, "answer"))
        if is_yes is None:
            raise BadInput("The answer must be yes or no.")
        vote = Vote(rater, _text(content, "question"), is_yes, now())
        self.server.votes.save([vote])
        self._send_json({"saved": True})

    def _json_body(self) -> dict[str, Any]:
        """Return the object that the request carries. Raises Refused, BadInput."""
        kind = (self.headers.get("Content-Type") or "").partition(";")[0].strip()
        if kind != access.JSON_TYPE:
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Only JSON is taken.")
        length = self.headers.get("Content-Length") or ""
        if not (length.isascii() and length.isdigit()):
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "The length is missing.")
        if len(length) > 9 or int(length) > access.LARGEST_BODY:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "That is too long.")
        try:
            content = parse_json(self.rfile.read(int(length)))
        except ValueError as error:
            raise BadInput("That is no JSON.") from error
        if not isinstance(content, dict):
            raise BadInput("That is no JSON object.")
        return content

    def _send_json(self, content: Mapping[str, Any]) -> None:
        body = json.dumps(content).encode()
        self._send(HTTPStatus.OK, access.JSON_TYPE, body)

    def _send_error_text(self, status: HTTPStatus, message: str) -> None:
        # What is left of a refused request is not read as the next one.
        self.close_connection = True
        self._send(status, "text/plain; charset=utf-8", utf8(f"{message}\n"))

    def _send(
        self,
        status: HTTPStatus,
        kind: str,
        body: bytes,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        policy = page_policy(is_served=True)
        common = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Content-Security-Policy": f"{policy}; frame-ancestors 'none'",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cache-Control": "no-store",
        }
        self.send_response(status)
        for name, value in {**common, **(headers or {})}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)


def _text(content: Mapping[str, Any], name: str) -> str:
    value = content.get(name)
    if not isinstance(value, str):
        raise BadInput(f"{name} must be a text.")
    return value
