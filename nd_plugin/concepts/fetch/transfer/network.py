"""Questions to HTTP servers, through requests, and the ways in which a network fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from nd_plugin.borders.printable import one_line
from nd_plugin.concepts.fetch.transfer.answers import MirrorFailed, without_secrets

if TYPE_CHECKING:
    import requests

MOST_REDIRECTS = 10
LONGEST_REASON = 200  # characters
DEEPEST = 10  # errors within errors


def check_url(url: str) -> None:
    """Raise ValueError for what is no address that can be fetched from."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("expected an address that begins with http:// or https://")
    _ = parts.port  # raises where it is none


def open_session() -> requests.Session:
    """Return a session that asks for files as they are; variables of proxies hold."""
    import requests

    session = requests.Session()
    version = metadata.version("nd_plugin")
    session.headers["User-Agent"] = f"nd_plugin/{version}"
    # a coding would change offsets and lengths
    session.headers["Accept-Encoding"] = "identity"
    # it would read the content of a redirect, however long that is, to prepare the next question
    session.get_redirect_target = lambda resp: None  # type: ignore[method-assign]
    return session


def ask(
    session: requests.Session, url: str, headers: Mapping[str, str], timeout: float
) -> requests.Response:
    """Return the answer for a file, whose content is not read yet. Raises MirrorFailed.

    Redirects are followed here (see `open_session`).
    """
    import requests

    address = url
    for _ in range(MOST_REDIRECTS + 1):
        response = session.get(
            address,
            headers=dict(headers),
            stream=True,
            timeout=timeout,
            allow_redirects=False,
        )
        target = requests.Session.get_redirect_target(session, response)
        if target is None:
            return response
        response.close()
        address = _redirected(address, target)
    raise MirrorFailed(f"it redirects more than {MOST_REDIRECTS} times")


def _redirected(address: str, target: str) -> str:
    """Return the address that an answer names. Raises MirrorFailed for what is none."""
    try:
        joined = urljoin(address, target)
        check_url(joined)
    except ValueError as error:
        shown = one_line(without_secrets(target))[:LONGEST_REASON]
        raise MirrorFailed(f"it redirects to {shown!r}: {error}") from error
    return joined


@contextmanager
def network_failures(timeout: float, *, has_part: bool) -> Iterator[None]:
    """Raise MirrorFailed for what requests and urllib3 raise.

    A server that cannot be reached is asked again only where a part of the file is here: it was
    there before.
    """
    import requests
    import urllib3

    try:
        yield
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        errors = _chain(error)
        may_pass = has_part or not _is_unreachable(errors)
        raise MirrorFailed(
            _reason(errors, timeout), may_pass=may_pass and not _is_final(errors)
        ) from error


def _chain(error: BaseException) -> list[BaseException]:
    """Return an error and those within it: both libraries wrap what they catch."""
    errors = [error]
    for outer in errors:
        inner = [*outer.args, getattr(outer, "reason", None), outer.__cause__]
        inner += [outer.__context__]
        errors += [
            item
            for item in inner
            if isinstance(item, BaseException) and not _is_among(item, errors)
        ]
        if len(errors) > DEEPEST:
            break
    return errors


def _is_among(error: BaseException, errors: list[BaseException]) -> bool:
    return any(error is known for known in errors)


def _is_unreachable(errors: list[BaseException]) -> bool:
    from urllib3.exceptions import NewConnectionError, ProxyError

    return _holds(errors, NewConnectionError, ProxyError)


def _is_final(errors: list[BaseException]) -> bool:
    """Return whether another attempt would end in the same way."""
    from requests import exceptions

    # of the outermost alone: a chunk that breaks off has a ValueError within
    return isinstance(errors[0], exceptions.SSLError | ValueError)


def _reason(errors: list[BaseException], timeout: float) -> str:
    """Return what has failed, without the address: its query may be a key."""
    from requests import exceptions
    from urllib3.exceptions import NameResolutionError, ProxyError, TimeoutError

    if _holds(errors, NameResolutionError):
        return "its name is not known here (is there a network?)"
    detail = _detail(errors)
    if _holds(errors, exceptions.SSLError):
        return f"its certificate is not accepted: {detail}"
    if _holds(errors, ProxyError):
        return f"the proxy of the environment does not connect: {detail}"
    # some versions take it for a kind of timeout
    if _is_unreachable(errors):
        return f"it cannot be reached: {detail}"
    if _holds(errors, exceptions.Timeout, TimeoutError):
        return f"nothing has come within {timeout:g} s"
    return f"the connection broke off: {detail}"


def _detail(errors: list[BaseException]) -> str:
    """Return the reason of the system if there is one, else of the innermost error."""
    from urllib3.exceptions import IncompleteRead

    for error in errors:
        if isinstance(error, IncompleteRead):
            return f"{error.expected} bytes more were to come"
    for error in reversed(errors):
        if isinstance(error, OSError) and error.strerror:
            return one_line(str(error.strerror))[:LONGEST_REASON]
    return type(errors[-1]).__name__


def _holds(errors: list[BaseException], *kinds: Any) -> bool:
    return any(isinstance(error, kinds) for error in errors)
