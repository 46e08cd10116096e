"""Who may use the rating server: requests with the token, to a known name, from its own pages.

A page of another site can make a browser send requests to this machine. It cannot read the token,
its ``Origin`` differs, and a name that it makes point here (DNS rebinding) is no known ``Host``.
"""

from __future__ import annotations

import hmac
import ipaddress
import socket
from email.message import Message
from http.cookies import CookieError, SimpleCookie

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
JSON_TYPE = "application/json"
LARGEST_BODY = 16 * 1024  # bytes
# values of Sec-Fetch-Site of foreign pages
CROSS_SITE = ("cross-site", "same-site")


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_known_host(header: str | None, listening: str, port: int) -> bool:
    """Return whether a ``Host`` header names this server.

    A server on all addresses is also named by any numeric address, and by the machine's name; a
    rebound name is neither.
    """
    if header is None:
        return False
    name, _, text = header.rpartition(":")
    if text != str(port) or not name:
        return False
    names = {*LOOPBACK_NAMES, listening, f"[{listening}]"}
    if name.lower() in names:
        return True
    if not is_any_address(listening):
        return False
    return _is_address(name) or name.lower() == socket.gethostname().lower()


def is_any_address(host: str) -> bool:
    """Return whether a server that listens on ``host`` listens on all addresses."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def is_own_page(headers: Message, *, is_post: bool) -> bool:
    """Return whether a request comes from a page of this server, or from no page at all.

    Browsers add ``Origin`` to every POST; one without it is refused.
    """
    origin = headers.get("Origin")
    if origin is None:
        return not is_post
    return origin == f"http://{headers.get('Host')}"


def is_foreign_embedding(headers: Message) -> bool:
    """Return whether a foreign page embeds something of this server; a link to it is none."""
    is_foreign = headers.get("Sec-Fetch-Site") in CROSS_SITE
    return is_foreign and headers.get("Sec-Fetch-Mode") != "navigate"


def cookie_name(port: int) -> str:
    """Return the name of the cookie: browsers share cookies among the ports of a machine."""
    return f"nd-rate-{port}"


def has_cookie(headers: Message, port: int, token: str) -> bool:
    """Return whether the token is in the cookie."""
    try:
        cookie = SimpleCookie(headers.get("Cookie", ""))
    except CookieError:
        return False
    morsel = cookie.get(cookie_name(port))
    return morsel is not None and is_token(morsel.value, token)


def is_token(text: str, token: str) -> bool:
    """Compare in a time that does not depend on where the texts differ."""
    return hmac.compare_digest(text.encode(), token.encode())


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
