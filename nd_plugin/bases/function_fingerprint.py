"""Fingerprints of functions: their code and what it depends on, as far as that can be seen."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    MethodType,
    ModuleType,
)
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nd_plugin.contracts.provenance import fingerprint

PLAIN = (str, bytes, int, float, complex, bool, type(None), torch.dtype)
DEPTH = 8  # of objects within objects


@dataclass
class FunctionIdentity:
    """Fingerprint of a function, and the parts whose content it leaves out."""

    fingerprint: str = ""
    unknown: list[str] = field(default_factory=list)


def fingerprint_function(function: Callable[..., Any]) -> FunctionIdentity:
    """Return the fingerprint of a function, module or other callable object.

    It covers the byte code, constants, defaults and closure of functions, the globals that they
    name, weights of modules, and attributes of objects.
    """
    identity = FunctionIdentity()
    content = _content(function, identity.unknown, DEPTH)
    identity.fingerprint = fingerprint(content)
    identity.unknown = list(dict.fromkeys(identity.unknown))
    return identity


def _content(value: Any, unknown: list[str], depth: int) -> Iterator[bytes]:
    """Yield the content of a value, piece by piece; ``unknown`` collects what is left out."""
    yield type(value).__qualname__.encode()
    if isinstance(value, PLAIN):
        yield repr(value).encode()
    elif depth == 0:
        unknown.append(type(value).__qualname__)
    elif isinstance(value, Tensor | np.ndarray):
        yield from _array_content(value)
    elif isinstance(value, CodeType):
        yield value.co_code
        yield from _items((*value.co_names, *value.co_consts), unknown, depth)
    elif isinstance(value, ModuleType | BuiltinFunctionType | type):
        yield value.__name__.encode()
    else:
        yield from _items(_parts(value, unknown), unknown, depth)


def _parts(value: Any, unknown: list[str]) -> Iterable[Any]:
    """Return what the content of a composed value consists of."""
    if isinstance(value, FunctionType):
        return _function_parts(value)
    if isinstance(value, MethodType):
        return value.__func__, value.__self__
    if isinstance(value, functools.partial):
        return value.func, value.args, value.keywords
    if isinstance(value, nn.Module):
        return repr(value), type(value).forward, dict(value.state_dict())
    if isinstance(value, dict):
        return [part for pair in value.items() for part in pair]
    if isinstance(value, set | frozenset):
        # their order differs from process to process
        return sorted(value, key=repr)
    if isinstance(value, list | tuple):
        return value
    return _object_parts(value, unknown)


def _object_parts(value: Any, unknown: list[str]) -> Iterable[Any]:
    """Return the method by which an object is called, and its attributes."""
    attributes = getattr(value, "__dict__", None)
    if attributes is None:
        unknown.append(type(value).__qualname__)
    call = inspect.getattr_static(type(value), "__call__", None)
    return call if isinstance(call, FunctionType) else None, attributes


def _function_parts(function: FunctionType) -> Iterable[Any]:
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    names = _named(function.__code__)
    namespace = function.__globals__
    known = [namespace[name] for name in names if name in namespace]
    globals_used = [_global_part(value, function) for value in known]
    return (
        function.__qualname__,
        function.__code__,
        function.__defaults__,
        function.__kwdefaults__,
        cells,
        globals_used,
    )


def _named(code: CodeType) -> Iterable[str]:
    """Return the names that code uses, each once, with those of functions defined in it."""
    names = dict.fromkeys(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names.update(dict.fromkeys(_named(constant)))
    return names


def _global_part(value: Any, function: FunctionType) -> Any:
    """Return what counts of a global: of another module's function, and of itself, the name."""
    is_function = isinstance(value, FunctionType)
    is_own = is_function and value.__module__ == function.__module__
    if is_function and (value is function or not is_own):
        return value.__qualname__
    return value


def _items(
    values: Iterable[Any], unknown: list[str], depth: int
) -> Iterator[bytes]:
    for value in values:
        yield from _content(value, unknown, depth - 1)


def _array_content(array: Tensor | np.ndarray[Any, Any]) -> Iterator[bytes]:
    tensor = torch.as_tensor(array).detach().cpu().contiguous()
    yield f"{tuple(tensor.shape)}{tensor.dtype}".encode()
    yield tensor.flatten().view(torch.uint8).numpy().tobytes()
