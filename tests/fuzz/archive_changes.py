"""Changes of archives of arrays, member by member: they fit archives of later formats."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from fuzz.mutators.archives import JSON_MEMBER, Members, read_zip, write_zip

PLAIN_NAME = re.compile(r"[\w-]+(/[\w-]+)*\.npy", re.ASCII)
Steps = list[Any]  # keys and indices that lead to a value


@dataclass
class ArchiveChange:
    """Members that are written anew, those that are left out, and values of the metadata."""

    written: Members = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    # where a value stands, and the value, or nothing where it is left out
    metadata: list[list[Any]] = field(default_factory=list)

    def apply(self, archive: bytes) -> bytes:
        """Return an archive with this change."""
        members = read_zip(archive)
        for name in self.missing:
            members.pop(name, None)
        if self.metadata:
            document = _document(members[JSON_MEMBER])
            for steps, *value in self.metadata:
                document = _changed(document, steps, value)
            members[JSON_MEMBER] = _member(document)
        return write_zip({**members, **self.written})

    def to_dict(self) -> dict[str, Any]:
        """Return plain values without the members."""
        return {
            name: value for name, value in asdict(self).items() if name != "written"
        }


def find_change(original: bytes, changed: bytes) -> ArchiveChange | None:
    """Return how an archive was changed; None where it has to be stored as a whole."""
    try:
        change = _find_change(original, changed)
        is_complete = read_zip(change.apply(original)) == read_zip(changed)
    except Exception:
        # damaged archives raise anything
        return None
    names = [*change.written, *change.missing]
    is_plain = all(PLAIN_NAME.fullmatch(name) for name in names)
    return change if is_complete and is_plain else None


def _find_change(original: bytes, changed: bytes) -> ArchiveChange:
    before, after = read_zip(original), read_zip(changed)
    change = ArchiveChange(missing=[name for name in before if name not in after])
    for name, content in after.items():
        if before.get(name) == content:
            continue
        if name == JSON_MEMBER and name in before:
            documents = _document(before[name]), _document(content)
            change.metadata = list(_differences(*documents, []))
            if _same_bytes(before[name], content, change.metadata):
                continue
            change.metadata = []
        change.written[name] = content
    return change


def _same_bytes(before: bytes, after: bytes, changes: list[list[Any]]) -> bool:
    document = _document(before)
    for steps, *value in changes:
        document = _changed(document, steps, value)
    return _member(document) == after


def _differences(before: Any, after: Any, steps: Steps) -> Iterator[list[Any]]:
    """Yield where two documents differ: the steps to the place, and the value if there is one."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before:
            if key not in after:
                yield [[*steps, key]]
        for key, value in after.items():
            if key in before:
                yield from _differences(before[key], value, [*steps, key])
            else:
                yield [[*steps, key], value]
    elif _are_lists_of_one_length(before, after):
        for index, value in enumerate(after):
            yield from _differences(before[index], value, [*steps, index])
    elif type(before) is not type(after) or before != after:
        yield [steps, after]


def _are_lists_of_one_length(before: Any, after: Any) -> bool:
    are_lists = isinstance(before, list) and isinstance(after, list)
    return are_lists and len(before) == len(after)


def _changed(document: Any, steps: Steps, value: list[Any]) -> Any:
    """Return a document with a value at a place, or without one."""
    if not steps:
        return value[0]
    container = document
    for step in steps[:-1]:
        container = container[step]
    if value:
        container[steps[-1]] = value[0]
    else:
        del container[steps[-1]]
    return document


def _document(member: bytes) -> Any:
    array = np.load(io.BytesIO(member), allow_pickle=False)
    return json.loads(array.tobytes())


def _member(document: Any) -> bytes:
    content = json.dumps(document).encode("utf-8", errors="surrogatepass")
    file = io.BytesIO()
    np.save(file, np.frombuffer(content, np.uint8))
    return file.getvalue()
