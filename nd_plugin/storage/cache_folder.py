"""Folder of what can be fetched or computed again: the platform's cache, or ``ND_CACHE``."""

from __future__ import annotations

import os
from pathlib import Path

from nd_plugin.storage.names import expanded_home

ENVIRONMENT = "ND_CACHE"


def cache_folder() -> Path:
    """Return the folder of nd_plugin's cache, which need not exist.

    On Linux it is ``$XDG_CACHE_HOME/nd_plugin``, else ``~/.cache/nd_plugin``.
    """
    # what completes words and shows help looks for the cache at most once
    from platformdirs import user_cache_path

    folder = os.environ.get(ENVIRONMENT, "")
    if folder:
        return expanded_home(folder).absolute()
    return user_cache_path("nd_plugin", appauthor=False)
