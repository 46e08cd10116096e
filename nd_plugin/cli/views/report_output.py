"""Output of ``nd report``: a text or bytes to a file or stdout, a folder as a whole."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path, PurePath

from nd_plugin.borders.json_values import parse_json
from nd_plugin.borders.printable import utf8
from nd_plugin.cli import console
from nd_plugin.contracts.plugin_specs import ReportContent
from nd_plugin.errors import BadInput
from nd_plugin.report.content.checked_content import RECORD
from nd_plugin.results.atomic_files import recovered, write_file, write_folder
from nd_plugin.storage.durable_files import is_real_folder, is_regular
from nd_plugin.storage.targets import check_file, check_folder

KIND = "a report of several files"


def check_output(path: Path) -> None:
    """Check a file or folder before the report is made, which of them it needs is not known yet.

    Raises BadInput for a folder of other things, NotSaved where nothing can be written.
    """
    if recovered(path).is_dir():
        check_folder(path, KIND)
        _check_replaceable(path)
    else:
        check_file(path)


def write_content(content: ReportContent, output: Path | None) -> None:
    """Write a report to a file or folder; None: to stdout.

    Raises BadInput for a folder or bytes where the output takes none, NotSaved.
    """
    if isinstance(content, Mapping):
        _write_folder(content, output)
    elif output is None:
        _print(content)
    else:
        if output.is_dir():
            raise BadInput(
                f"{output} is a folder, and this format is one file; name a file, in it or "
                "elsewhere"
            )
        write_file(output, _as_bytes(content))
        console.say(f"written to {output}")


def _print(content: str | bytes) -> None:
    """Print a text; bytes go as they are to other programs."""
    if isinstance(content, str):
        console.write(content)
        return
    stdout = getattr(sys.stdout, "buffer", None)
    if stdout is None or sys.stdout.isatty():
        raise BadInput(
            "this format is no text, and is not printed to a terminal; write it to a file with "
            "-o FILE"
        )
    with console.failures_translated():
        stdout.write(content)
        stdout.flush()


def _write_folder(content: Mapping[str, str | bytes], output: Path | None) -> None:
    """Write a folder in the place of an earlier report, as a whole."""
    if output is None:
        raise BadInput(
            f"this format is a folder, of {_counted(content)}; name it with -o DIR"
        )
    check_folder(output, KIND)
    if recovered(output).is_dir():
        _check_replaceable(output)
    files = {path: _as_bytes(part) for path, part in content.items()}
    record = {"files": sorted(files)}
    files[RECORD] = utf8(json.dumps(record, indent=1) + "\n")
    write_folder(output, files, may_replace=_is_written_report)
    console.say(f"written to {output}: {_counted(content)}")


def _as_bytes(content: str | bytes) -> bytes:
    return utf8(content) if isinstance(content, str) else content


def _counted(content: Mapping[str, str | bytes]) -> str:
    return "1 file" if len(content) == 1 else f"{len(content)} files"


def _check_replaceable(folder: Path) -> None:
    if not _is_written_report(folder):
        raise BadInput(
            f"{folder} holds other things than a report, and is not overwritten; name a file in "
            "it, or another folder"
        )


def _is_written_report(folder: Path) -> bool:
    """Return whether a folder is empty, or holds nothing but a report that was written here."""
    if not any(folder.iterdir()):
        return True
    record = folder / RECORD
    if not is_regular(record):
        return False
    try:
        recorded = set(parse_json(record.read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
    allowed = recorded | {RECORD}
    folders = {
        str(parent) for name in recorded for parent in PurePath(name).parents
    }
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        is_ours = is_regular(path) and name.as_posix() in allowed
        is_our_folder = is_real_folder(path) and str(name) in folders
        if not (is_ours or is_our_folder):
            return False
    return True
