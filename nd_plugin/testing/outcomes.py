"""Values that several checks look at: made once, and their failures reported once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from nd_plugin.errors import NDError
from nd_plugin.foreign_code import describe_error, is_failure
from nd_plugin.testing.conformance import Unchecked

Value = TypeVar("Value")


class Outcome(Generic[Value]):
    """Value that a step has given, or what it raised instead."""

    def __init__(self, step: str, make: Callable[[], Value]) -> None:
        self._step = step
        self._error: BaseException | None = None
        self._is_reported = False
        self._values: list[Value] = []
        try:
            self._values.append(make())
        except BaseException as error:  # third-party code
            if not is_failure(error):
                raise
            self._error = error

    def get(self) -> Value:
        """Return the value.

        Raises AssertionError with the failure for the first check that asks, and Unchecked for all
        others.
        """
        if self._error is None:
            return self._values[0]
        problem = str(self._error)
        if not isinstance(self._error, AssertionError):
            problem = f"{self._step} raised {describe_error(self._error)}"
        if isinstance(self._error, Unchecked):
            raise Unchecked(problem) from self._error
        if self._is_reported:
            raise Unchecked(f"not checked, as {problem}")
        self._is_reported = True
        raise AssertionError(problem) from self._error

    @property
    def failed(self) -> bool:
        """Whether the step raised something."""
        return self._error is not None


class Once(Generic[Value]):
    """Value that is made, or requirement that is checked, when the first check asks for it."""

    def __init__(self, step: str, make: Callable[[], Value]) -> None:
        self._step = step
        self._make = make
        self._outcome: Outcome[Value] | None = None

    def get(self) -> Value:
        """Return the value, made at the first call. Raises as `Outcome.get` does."""
        if self._outcome is None:
            self._outcome = Outcome(self._step, self._make)
        return self._outcome.get()


def error_of(action: Callable[[], Any]) -> BaseException | None:
    """Return what an action raises; None where it returns."""
    try:
        action()
    except BaseException as error:  # third-party code
        if not is_failure(error):
            raise
        return error
    return None


def require_own_error(error: BaseException | None, named: str, place: str) -> None:
    """Require an error of nd_plugin whose message has a text; ``place`` says what was asked for.

    Raises AssertionError for no error, for one of another kind, and for one without the text.
    """
    if error is None:
        raise AssertionError(f"{place} raises nothing")
    if not isinstance(error, NDError):
        raise AssertionError(
            f"{place} raises {describe_error(error)}; raise an error of nd_plugin"
        ) from error
    if named not in str(error):
        raise AssertionError(
            f"{place} raises an error that does not name {named!r}: {error}"
        ) from error
