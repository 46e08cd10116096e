"""Folder of the cache: the platform's, or the one that ND_CACHE names."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nd_plugin.storage.cache_folder import cache_folder


def test_the_environment_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ND_CACHE", "/data/nd")
    assert cache_folder() == Path("/data/nd")
    monkeypatch.setenv("ND_CACHE", "~/nd")
    assert cache_folder() == Path.home() / "nd"
    monkeypatch.setenv("ND_CACHE", "nd")
    assert cache_folder() == Path.cwd() / "nd"


@pytest.mark.skipif(sys.platform != "linux", reason="the folders of Linux")
def test_the_platform_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ND_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", "/data/cache")
    assert cache_folder() == Path("/data/cache/nd_plugin")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "nd_plugin"
