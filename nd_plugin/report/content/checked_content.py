"""Content that a reporter gives: its type, and the paths of a folder's files.

A folder has to come out the same wherever it is written or unpacked, so that its paths are those
that every file system takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from nd_plugin.contracts.plugin_specs import ReportContent
from nd_plugin.storage.names import NAME_BYTES, folded_name, is_device

CONTENT_WORDS = "a text, bytes, or a mapping of paths to texts or bytes"
# file that the host adds to a folder, by which it knows the folder again
RECORD = ".nd_report.json"
REFUSED = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\\ud800-\udfff]')
PATH_BYTES = 1024


def plain_content(content: Any) -> Any:
    """Return what a reporter gives; a mapping of any class as a dict."""
    return dict(content) if isinstance(content, Mapping) else content


def is_report_content(content: Any) -> bool:
    """Return whether a value is a `ReportContent`, whatever the paths are."""
    if not isinstance(content, Mapping):
        return isinstance(content, str | bytes)
    are_paths = all(isinstance(path, str) for path in content)
    return are_paths and all(
        isinstance(part, str | bytes) for part in content.values()
    )


def find_fault(content: ReportContent) -> str:
    """Return what is wrong with a folder's paths, for a message; nothing if all is well."""
    if not isinstance(content, Mapping):
        return ""
    if not content:
        return "no file"
    for path in content:
        fault = _fault_of_path(path)
        if fault:
            return f"the path {path!r}: {fault}"
    return _find_clash(content)


def _fault_of_path(path: str) -> str:
    parts = path.split("/")
    if not all(parts) or {".", ".."} & set(parts):
        return "write it relative to the folder, with / and without . and .."
    refused = REFUSED.search(path)
    if refused:
        return f"not every file system takes {refused[0]!r} in a name"
    for part in parts:
        if is_device(part) or part.endswith(" "):
            return f"Windows takes no name {part!r}"
        if len(part.encode()) > NAME_BYTES:
            return f"a name has at most {NAME_BYTES} bytes"
    if len(path.encode()) > PATH_BYTES:
        return f"a path has at most {PATH_BYTES} bytes"
    return f"{RECORD} is the host's" if folded_name(path) == RECORD else ""


def _find_clash(paths: Iterable[str]) -> str:
    """Return a clash of two paths: the same file, or a file where the other needs a folder."""
    # names that differ in case alone are one on some file systems
    path_of_folded: dict[str, str] = {}
    for path in paths:
        folded_path = folded_name(path)
        if folded_path in path_of_folded:
            other = path_of_folded[folded_path]
            return f"{other!r} and {path!r}, which are one file on some systems"
        path_of_folded[folded_path] = path
    for folded_path, path in path_of_folded.items():
        parent = folded_path.rpartition("/")[0]
        while parent:
            if parent in path_of_folded:
                return f"{path_of_folded[parent]!r} as a file, and as a folder for {path!r}"
            parent = parent.rpartition("/")[0]
    return ""
