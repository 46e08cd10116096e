"""Splits of a data set: from a folder without network, or by name from the hub.

::

    FOLDER/state.json, dataset_info.json, *.arrow      written by Dataset.save_to_disk
    FOLDER/dataset_dict.json, SPLIT/state.json …       written by DatasetDict.save_to_disk

No code of a data set runs: `datasets` does not from 4.0 on, which this plugin needs. Of a folder,
only files in it are read, whatever its descriptions name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nd_plugin import (
    ConceptSetInvalid,
    NDError,
    RunFailed,
    check_relative,
    describe_error,
    expanded_home,
    translating_errors,
)
from nd_plugin.reading import parse_json, read_bytes

FORM = (
    "expected boxes:FOLDER, a folder that save_to_disk has written, or boxes:NAME, a data set on "
    "the hub such as user/name"
)


def load_splits(argument: str, config: str) -> dict[str, Any]:
    """Return the splits of a data set by name; "" names the only one of a folder without splits.

    Raises ConceptSetInvalid, and RunFailed where the network fails.
    """
    if not argument:
        raise ConceptSetInvalid(f"boxes: no data set given; {FORM}")
    folder = expanded_home(argument)
    if folder.is_dir():
        check_saved(folder)
        if config:
            raise ConceptSetInvalid(
                f"boxes: config={config}, but a folder of save_to_disk holds one configuration; "
                "leave the option out"
            )
    elif argument.startswith(("/", ".", "~")) or argument.count("/") > 1:
        raise ConceptSetInvalid(f"boxes: no folder {argument!r}; {FORM}")

    def failure(error: BaseException) -> NDError:
        message = f"boxes:{argument} cannot be loaded: {describe_error(error)}"
        if isinstance(error, ConnectionError | TimeoutError):
            return RunFailed(message)
        return ConceptSetInvalid(f"{message}; {FORM}")

    with translating_errors(failure):
        # imported here: it takes a second
        import datasets

        if folder.is_dir():
            loaded: Any = datasets.load_from_disk(str(folder))
        else:
            loaded = datasets.load_dataset(argument, name=config or None)
    if isinstance(loaded, datasets.Dataset):
        return {"": loaded}
    return dict(loaded)


def check_saved(folder: Path) -> None:
    """Check that a folder is what save_to_disk writes, and names only files inside it.

    Raises ConceptSetInvalid.
    """
    for split in _split_folders(folder):
        path = split / "state.json"
        for file in _entries(path, "_data_files"):
            name = file.get("filename") if isinstance(file, dict) else None
            check_relative(str(name), split, str(path))


def _split_folders(folder: Path) -> list[Path]:
    path = folder / "dataset_dict.json"
    if not path.is_file():
        return [folder]
    names = [str(name) for name in _entries(path, "splits")]
    for name in names:
        check_relative(name, folder, str(path))
    return [folder / name for name in names]


def _entries(path: Path, key: str) -> list[Any]:
    """Return a list that a JSON file has under a key. Raises ConceptSetInvalid."""
    if not path.is_file():
        raise ConceptSetInvalid(f"boxes: no {path.name} in {path.parent}; {FORM}")
    try:
        content = parse_json(read_bytes(path))
    except (OSError, ValueError) as error:
        raise ConceptSetInvalid(f"{path} cannot be read: {error}") from error
    entries = content.get(key) if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise ConceptSetInvalid(f"{path} has no list {key!r}")
    return entries
