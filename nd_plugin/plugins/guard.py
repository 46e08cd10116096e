"""Guard at the host's border: what a plugin raises or returns is checked, and the plugin is named.

Objects of plugins are wrapped once, when they are opened. A failure is a PluginFailed that says
which plugin failed, and in which member; the original exception is chained to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, NoReturn

from nd_plugin.errors import NDError, PluginFailed
from nd_plugin.foreign_code import describe_error, is_failure
from nd_plugin.plugins.guarded_members import KINDS, Expected, Kind

# members of Python's own that are looked up on the class; others are not handed through
SPECIAL = ("__len__", "__call__", "__getitem__", "__iter__", "__contains__")


@dataclass(frozen=True)
class Owner:
    """Plugin that an object belongs to, for messages."""

    origin: str  # plugin, distribution and version
    subject: str  # "concept set 'dots'"
    # a model that the caller has given as an object: exceptions in running it are the caller's
    is_callers_own: bool = False

    def fail(
        self, place: str, error: BaseException, *, translates: bool = True
    ) -> NoReturn:
        """Raise PluginFailed for what a member has raised, chained to the original.

        Errors of nd_plugin pass. Without ``translates`` exceptions pass, too, and only what would
        end the process is translated: SystemExit and its like.
        """
        passes = isinstance(error, Exception) and not translates
        if passes or isinstance(error, NDError) or not is_failure(error):
            raise error
        raise PluginFailed(
            f"{self.origin} failed in {place} of the {self.subject}: "
            f"{describe_error(error)}"
        ) from error

    def check(self, place: str, value: Any, expected: Expected) -> None:
        """Check what a member has given. Raises PluginFailed, with what was expected."""
        try:
            is_valid = expected.is_valid(value)
        except BaseException as error:
            self.fail(place, error)
        if not is_valid:
            raise PluginFailed(
                f"{self.origin} failed in {place} of the {self.subject}: it gives "
                f"{_named(value)}, not {expected.words}"
            )

    def call(
        self,
        name: str,
        expected: Expected,
        function: Callable[..., Any],
        /,
        *arguments: Any,
        **options: Any,
    ) -> Any:
        """Call a function of the plugin, and check what it returns. Raises PluginFailed."""
        try:
            value = function(*arguments, **options)
        except BaseException as error:
            translates = self._translates(expected)
            self.fail(_call_text(name, arguments), error, translates=translates)
        self.check(f"{name}()", value, expected)
        return self._wrapped(f"{name}()", value, expected)

    def _translates(self, expected: Expected) -> bool:
        """Return whether exceptions of a member are failures of the plugin."""
        is_model_error = expected.runs_model and self.is_callers_own
        return expected.translates and not is_model_error

    def _wrapped(self, place: str, value: Any, expected: Expected) -> Any:
        """Return what a member has given, guarded if it is an object of a kind."""
        if expected.is_context:
            return GuardedContext(
                value, self, place, expected.kind, self._translates(expected)
            )
        return guard(value, self, expected.kind) if expected.kind else value


def _call_text(name: str, arguments: tuple[Any, ...]) -> str:
    """Return a call as a message names it: with an index, without other arguments."""
    has_index = arguments and type(arguments[0]) is int
    return f"{name}({arguments[0] if has_index else ''})"


def _named(value: Any) -> str:
    """Return a value as a message names it: None, or its class."""
    return "None" if value is None else f"a {type(value).__name__}"


def guard(target: Any, owner: Owner, kind: str) -> Any:
    """Return an object of a plugin with every member guarded.

    Raises PluginFailed for None, and for an object that lacks members of its kind.
    """
    if isinstance(target, Guarded):
        return target
    missing = KINDS[kind].missing(target)
    if target is None or missing:
        lacking = f": it lacks {', '.join(missing)}" if missing else ""
        raise PluginFailed(
            f"{owner.origin} gives {_named(target)} as the {owner.subject}{lacking}"
        )
    members: dict[str, Any] = {"__module__": __name__}
    for name in dir(target):
        if not name.startswith("_"):
            members[name] = GuardedMember(name)
    for name in SPECIAL:
        if hasattr(type(target), name):
            members[name] = special_method(name)
    guarded_class = type(f"Guarded{type(target).__name__}", (Guarded,), members)
    return guarded_class(target, owner, kind)


class GuardedMember:
    """Attribute or method of a guarded object, looked up on the plugin's own."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, guarded: Guarded | None, guarded_class: type) -> Any:
        """Return the attribute's value, or the method, guarded."""
        return self if guarded is None else guarded._read(self._name)


def special_method(name: str) -> Callable[..., Any]:
    """Return a special method that calls the plugin's own, guarded."""

    def method(guarded: Guarded, *arguments: Any, **options: Any) -> Any:
        function = partial(getattr(type(guarded._target), name), guarded._target)
        expected = guarded._kind.expected(name)
        return guarded._owner.call(name, expected, function, *arguments, **options)

    return method


class Guarded:
    """Object of a plugin whose members name the plugin when they fail.

    The first value of each attribute is checked; what methods return is checked each time.
    """

    def __init__(self, target: Any, owner: Owner, kind: str) -> None:
        self._target = target
        self._owner = owner
        self._kind: Kind = KINDS[kind]
        self._kind_name = kind
        self._checked: set[str] = set()

    def __repr__(self) -> str:
        return f"Guarded({type(self._target).__name__})"

    def __reduce__(self) -> tuple[Any, ...]:
        return guard, (self._target, self._owner, self._kind_name)

    def __getattr__(self, name: str) -> Any:
        """Return a member that the object did not list when it was opened."""
        if name.startswith("_"):
            raise AttributeError(name)
        return self._read(name)

    def _read(self, name: str) -> Any:
        expected = self._kind.expected(name)
        try:
            value = getattr(self._target, name)
        except BaseException as error:
            is_absent = isinstance(error, AttributeError)
            if is_absent and name not in dir(self._target):
                raise
            self._owner.fail(name, error)
        if self._is_method(name, value):
            return GuardedMethod(self, name, value)
        if name not in self._checked:
            self._owner.check(name, value, expected)
            self._checked.add(name)
        return value

    def _is_method(self, name: str, value: Any) -> bool:
        if getattr(value, "__self__", None) is self._target:
            return True
        is_named = name in self._kind.required or name in self._kind.optional
        return is_named and callable(value)


@dataclass(frozen=True)
class GuardedMethod:
    """Method of a guarded object."""

    guarded: Guarded
    name: str
    method: Callable[..., Any]

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Call the plugin's method, and check what it returns. Raises PluginFailed."""
        expected = self.guarded._kind.expected(self.name)
        return self.guarded._owner.call(
            self.name, expected, self.method, *arguments, **options
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self.guarded, self.name)


class GuardedContext:
    """Context manager of a plugin; what it gives is guarded, and so are its entry and its exit."""

    def __init__(
        self, context: Any, owner: Owner, place: str, kind: str, translates: bool
    ) -> None:
        self._context = context
        self._owner = owner
        self._place = place
        self._kind = kind
        self._translates = translates

    def __enter__(self) -> Any:
        """Enter the plugin's context. Raises PluginFailed."""
        try:
            value = self._context.__enter__()
        except BaseException as error:
            self._owner.fail(self._place, error, translates=self._translates)
        return guard(value, self._owner, self._kind) if self._kind else value

    def __exit__(
        self,
        error_class: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Leave the plugin's context; an exception of the block passes through it."""
        try:
            return bool(self._context.__exit__(error_class, error, traceback))
        except BaseException as raised:
            if raised is error:
                raise
            self._owner.fail(f"leaving {self._place}", raised)
