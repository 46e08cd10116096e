"""Names of layers that were listed before, for completion: listing them may take long."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from nd_plugin.borders.json_values import parse_json
from nd_plugin.errors import NotSaved
from nd_plugin.storage.cache_folder import cache_folder


def remember(model: str, names: Sequence[str]) -> None:
    """Store the names of a model's layers; a cache that cannot be written does no harm."""
    # what completes words and shows help does not write
    from nd_plugin.results.atomic_files import write_file

    with suppress(NotSaved):
        write_file(_path(model), json.dumps(list(names)).encode())


def recall(model: str) -> list[str]:
    """Return the stored names; none for a model, or a file as it is now, that was not listed."""
    try:
        names = parse_json(_path(model).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [str(name) for name in names] if isinstance(names, list) else []


def _path(model: str) -> Path:
    key = "\n".join([model, str(Path.cwd()), *_state_of_file(model)])
    digest = hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()
    return cache_folder() / "layers" / f"{digest[:32]}.json"


def _state_of_file(model: str) -> list[str]:
    """Return size and time of a model's file; nothing for a model without one."""
    try:
        state = Path(model).stat()
    except (OSError, ValueError):
        return []
    return [str(state.st_size), str(state.st_mtime_ns)]
