"""Code of users that a text names: found in the current folder, imported and called."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nd_plugin.errors import NDError, Unavailable, nearest
from nd_plugin.foreign_code import describe_error, is_failure


def look_in_working_folder() -> None:
    """Let modules of the current folder be imported: after all that is installed.

    The folder stays on the path, last: what a module makes may import others when it runs. In front
    of it a file there that has the name of a library would be run in the library's place.
    """
    working_folder = str(Path.cwd())
    if working_folder not in sys.path and "" not in sys.path:
        sys.path.append(working_folder)


@contextmanager
def own_arguments(name: str) -> Iterator[None]:
    """Hide the arguments of this process: a script that parses arguments has none."""
    arguments = sys.argv
    sys.argv = [name]
    try:
        yield
    finally:
        sys.argv = arguments


@dataclass(frozen=True)
class UserCode:
    """Code that a text names: a module, and what is called in it."""

    text: str  # as in messages: "package.module:factory"
    kind: str  # of what is made: "model"
    not_found: type[NDError]  # raised where it does not exist, or cannot be made
    # libraries that an extra of nd_plugin installs, each built for one version of torch
    torch_libraries: Collection[str] = ()

    def import_module(self, name: str) -> Any:
        """Import a module. Raises `not_found`, Unavailable."""
        try:
            return importlib.import_module(name)
        except ImportError as error:
            if _is_missing(name, error):
                raise self._missing_module(name) from error
            raise self._failed_import(name, error) from error
        except BaseException as error:
            # third-party code may raise any while it is imported
            if not is_failure(error):
                raise
            hint = ""
            if name in self.torch_libraries:
                hint = "; torch and torchvision must be matching builds from the same package index"
            raise self._failed_import(name, error, hint) from error

    def _missing_module(self, name: str) -> NDError:
        if name in self.torch_libraries:
            return Unavailable(
                f"{self.text!r} needs {name}, which is not installed: "
                f"pip install 'nd_plugin[{name}]', from the package index that torch came from"
            )
        return self.not_found(
            f"no module {name!r} for the {self.kind} {self.text!r}; "
            f"it must lie in the current folder or be installed{shadow_hint(name)}"
        )

    def _failed_import(
        self, name: str, error: BaseException, hint: str = ""
    ) -> Unavailable:
        if isinstance(error, SystemExit):
            hint += (
                "; a script that runs when it is imported needs `if __name__ == '__main__':` "
                "around what it runs"
            )
        reason = f"{describe_error(error)}{hint}"
        return Unavailable(f"{name} cannot be imported for {self.text!r}: {reason}")

    def find(self, module_name: str, path: str) -> Any:
        """Import a module, and return what a dotted path names in it. Raises `not_found`."""
        target = self.import_module(module_name)
        for attribute in path.split("."):
            if not hasattr(target, attribute):
                public_names = [
                    name for name in dir(target) if not name.startswith("__")
                ]
                suggestions = ", ".join(nearest(attribute, public_names))
                hint = f"; the nearest are {suggestions}" if suggestions else ""
                raise self.not_found(
                    f"{module_name} has no {path!r}{hint}{shadow_hint(module_name)}"
                )
            target = getattr(target, attribute)
        return target

    def call(
        self, factory: Callable[..., Any], /, *arguments: Any, **options: Any
    ) -> Any:
        """Call a factory. Raises `not_found`, and Unavailable for a package that it lacks."""
        try:
            return factory(*arguments, **options)
        except ImportError as error:
            raise Unavailable(
                f"{self.text!r} needs a package that is not installed: {error}"
            ) from error
        except BaseException as error:  # a user's factory may raise any
            if not is_failure(error):
                raise
            raise self.not_found(
                f"{self.text!r} could not be created: {describe_error(error)}"
            ) from error


def _is_missing(name: str, error: ImportError) -> bool:
    """Return whether the module itself is missing, not something that it imports."""
    if error.name is None:
        return False
    package = name.partition(".")[0]
    missing_package = error.name.partition(".")[0]
    return missing_package == package and name in (package, error.name)


def shadow_hint(name: str) -> str:
    """Say where a module came from if the current folder has another of its name; else nothing."""
    package = name.partition(".")[0]
    file = getattr(sys.modules.get(package), "__file__", None)
    folder = Path.cwd()
    is_here = (folder / package).is_dir() or (folder / f"{package}.py").is_file()
    if not is_here or not file or Path(file).is_relative_to(folder):
        return ""
    return (
        f" (imported was {file}: what is installed comes before the current folder, so rename "
        f"{package!r} there)"
    )
