"""Code of users that makes a model: found in the current folder, imported and called."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nd_plugin import ModelNotFound, Unavailable, describe_error, is_failure

# each is compiled for, or depends on, one build of torch
TORCH_LIBRARIES = ("torchvision", "timm")


def look_in_working_folder() -> None:
    """Let modules of the current folder be imported: after all that is installed.

    The folder stays on the path, last: a model's modules may import others when it runs. In front
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


def import_module(name: str, model_text: str) -> Any:
    """Import a module. Raises ModelNotFound, Unavailable."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if _is_missing(name, error):
            raise _missing_module(name, model_text) from error
        raise _failed_import(name, model_text, error) from error
    except BaseException as error:
        # third-party code may raise any while it is imported
        if not is_failure(error):
            raise
        hint = ""
        if name in TORCH_LIBRARIES:
            hint = "; torch and torchvision must be matching builds from the same package index"
        raise _failed_import(name, model_text, error, hint) from error


def _is_missing(name: str, error: ImportError) -> bool:
    """Return whether the module itself is missing, not something that it imports."""
    if error.name is None:
        return False
    package = name.partition(".")[0]
    missing_package = error.name.partition(".")[0]
    return missing_package == package and name in (package, error.name)


def _missing_module(name: str, model_text: str) -> Exception:
    if name in TORCH_LIBRARIES:
        return Unavailable(
            f"{model_text!r} needs {name}, which is not installed: "
            f"pip install 'nd_plugin[{name}]', from the package index that torch came from"
        )
    return ModelNotFound(
        f"no module {name!r} for the model {model_text!r}; "
        f"it must lie in the current folder or be installed{shadow_hint(name)}"
    )


def _failed_import(
    name: str, model_text: str, error: BaseException, hint: str = ""
) -> Unavailable:
    if isinstance(error, SystemExit):
        hint += (
            "; a script that runs when it is imported needs `if __name__ == '__main__':` around "
            "what it runs"
        )
    reason = f"{describe_error(error)}{hint}"
    return Unavailable(f"{name} cannot be imported for {model_text!r}: {reason}")


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


def create_model(
    model_text: str, factory: Callable[..., Any], /, *arguments: Any, **options: Any
) -> Any:
    """Call a factory. Raises ModelNotFound, and Unavailable for a package that it lacks."""
    try:
        return factory(*arguments, **options)
    except ImportError as error:
        raise Unavailable(
            f"{model_text!r} needs a package that is not installed: {error}"
        ) from error
    except BaseException as error:  # a user's factory may raise any
        if not is_failure(error):
            raise
        raise ModelNotFound(
            f"{model_text!r} could not be created: {describe_error(error)}"
        ) from error
