"""Data sets of Hugging Face: from a folder without network, or by name from the hub.

::

    FOLDER/state.json, dataset_info.json, *.arrow      written by Dataset.save_to_disk
    FOLDER/dataset_dict.json, SPLIT/state.json …       written by DatasetDict.save_to_disk
    FOLDER/data/train-00000-of-00001.parquet …         as repositories on the hub hold them
    FOLDER/CONFIG/train/0000.parquet …                 as the hub converts them

Of a folder, only files in it are read, whatever its descriptions name. No code of a data set runs:
`datasets` does not from 4.0 on, and earlier versions are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nd_plugin import (
    ConceptSetInvalid,
    NDError,
    RunFailed,
    Unavailable,
    check_relative,
    describe_error,
    expanded_home,
    list_files,
    translating_errors,
)
from nd_plugin.reading import parse_json

OLDEST_MAJOR = 4
EXTRA = "pip install 'nd_plugin[huggingface]'"
FORM = (
    "expected huggingface:FOLDER, a folder that save_to_disk has written or that holds parquet "
    "files, or huggingface:NAME, a data set on the hub such as user/name"
)
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
SHARD = re.compile(r"-\d+-of-\d+$")
ONLY_SPLIT = "train"  # what `datasets` calls the split of files without one


def load_library() -> Any:
    """Return `datasets`. Raises Unavailable where it is absent, or runs code of data sets."""
    try:
        import datasets
    except ImportError as error:
        raise Unavailable(
            f"huggingface: needs the library datasets, which is not installed: {EXTRA}"
        ) from error
    major = int(datasets.__version__.partition(".")[0])
    if major < OLDEST_MAJOR:
        raise Unavailable(
            f"huggingface: needs datasets {OLDEST_MAJOR}.0 or later, as earlier ones run code of a "
            f"data set; installed is {datasets.__version__}: {EXTRA}"
        )
    return datasets


def load_splits(argument: str, config: str) -> dict[str, Any]:
    """Return the splits of a data set by name. Raises ConceptSetInvalid, Unavailable, RunFailed."""
    if not argument:
        raise ConceptSetInvalid(f"huggingface: no data set given; {FORM}")
    folder = expanded_home(argument)
    is_name = HUB_NAME.fullmatch(argument) is not None
    if not folder.is_dir() and not is_name:
        raise ConceptSetInvalid(f"no folder {argument!r}; {FORM}")
    library = load_library()

    def failure(error: BaseException) -> NDError:
        message = (
            f"huggingface:{argument} cannot be loaded: {describe_error(error)}"
        )
        is_network = isinstance(error, ConnectionError | TimeoutError)
        return (
            RunFailed(message)
            if is_network
            else ConceptSetInvalid(f"{message}; {FORM}")
        )

    with translating_errors(failure):
        if folder.is_dir():
            return _load_folder(library, folder, config)
        loaded = library.load_dataset(argument, name=config or None)
    return dict(loaded)


def _load_folder(library: Any, folder: Path, config: str) -> dict[str, Any]:
    if (folder / "dataset_dict.json").is_file():
        _check_no_config(config)
        return {
            name: _load_saved(library, folder / name)
            for name in _splits_of_dictionary(folder)
        }
    if (folder / "state.json").is_file():
        _check_no_config(config)
        return {"": _load_saved(library, folder)}
    return _load_parquet(library, folder, config)


def _check_no_config(config: str) -> None:
    if config:
        raise ConceptSetInvalid(
            f"huggingface: config={config}, but a folder of save_to_disk holds one configuration; "
            "leave the option out"
        )


def _splits_of_dictionary(folder: Path) -> list[str]:
    path = folder / "dataset_dict.json"
    content = _read_json(path)
    names = content.get("splits")
    if not isinstance(names, list) or not names:
        raise ConceptSetInvalid(f"{path} lists no splits")
    for name in names:
        check_relative(str(name), folder, str(path))
    return [str(name) for name in names]


def _load_saved(library: Any, folder: Path) -> Any:
    """Load a split that save_to_disk has written. Raises ConceptSetInvalid for files elsewhere."""
    path = folder / "state.json"
    files = _read_json(path).get("_data_files")
    if not isinstance(files, list):
        raise ConceptSetInvalid(f"{path} lists no files of data")
    for file in files:
        name = file.get("filename") if isinstance(file, dict) else None
        if not isinstance(name, str):
            raise ConceptSetInvalid(f"{path} lists a file of data without a name")
        check_relative(name, folder, str(path))
    return library.load_from_disk(str(folder))


def _read_json(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise ConceptSetInvalid(f"no {path.name} in {path.parent}; {FORM}")
    try:
        content = parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConceptSetInvalid(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ConceptSetInvalid(f"{path} is no object of JSON")
    return content


def _load_parquet(library: Any, folder: Path, config: str) -> dict[str, Any]:
    files = parquet_files(folder, config)
    return {
        name: library.Dataset.from_parquet([str(path) for path in paths])
        for name, paths in files.items()
    }


def parquet_files(folder: Path, config: str) -> dict[str, list[Path]]:
    """Return the parquet files of a folder by split. Raises ConceptSetInvalid for none.

    ``config`` names the folder of one of several configurations, as the hub lays them out.
    """
    if config:
        check_relative(config, folder, f"config={config}")
    top = folder / config
    paths = list_files(top, (".parquet",)).paths
    if not paths:
        raise ConceptSetInvalid(f"no parquet files in {top}; {FORM}")
    configs = {} if config else _configs(paths)
    if len(configs) > 1:
        raise ConceptSetInvalid(
            f"{folder} holds several configurations: {', '.join(configs)}; choose one: "
            f"config={min(configs)}"
        )
    splits: dict[str, list[Path]] = {}
    for path in paths:
        splits.setdefault(_split_of(path), []).append(top / path)
    return splits


def _configs(paths: Sequence[str]) -> dict[str, None]:
    """Return the folders of configurations: those of the first level, but data/ and splits."""
    folders = dict.fromkeys(path.split("/")[0] for path in paths if "/" in path)
    has_levels = any(path.count("/") > 1 for path in paths)
    has_splits_in_folders = any(
        not _is_number(path) for path in paths if "/" in path
    )
    return folders if has_levels or has_splits_in_folders else {}


def _is_number(path: str) -> bool:
    return Path(path).stem.isdecimal()


def _split_of(path: str) -> str:
    """Return the split of a parquet file: from its name, or from its folder where that counts."""
    stem = Path(path).stem
    folder = path.rpartition("/")[0].rpartition("/")[2]
    if stem.isdecimal():
        return folder or ONLY_SPLIT
    return SHARD.sub("", stem)
