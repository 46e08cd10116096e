"""Plugins of third parties, installed for one test: a module and its entry point in a folder."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import pytest

from nd_plugin.plugins import host

Install = Callable[[str, str], None]


@contextmanager
def plugin_folder(folder: Path) -> Iterator[Install]:
    """Install plugins by a name and a source; module and distribution have the name, too."""
    modules: list[str] = []

    def install(name: str, source: str) -> None:
        modules.append(name)
        (folder / f"{name}.py").write_text(dedent(source))
        information = folder / f"{name}-1.0.dist-info"
        information.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        (information / "METADATA").write_text(metadata)
        (information / "entry_points.txt").write_text(
            f"[nd_plugin]\n{name} = {name}\n"
        )
        importlib.invalidate_caches()
        host.host.cache_clear()

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield install
    for name in modules:
        sys.modules.pop(name, None)
    host.host.cache_clear()
