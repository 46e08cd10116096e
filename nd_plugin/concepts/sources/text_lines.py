"""Text files of sources: lists of images and of labels, a line each."""

from __future__ import annotations

from pathlib import Path

from nd_plugin.errors import ConceptSetInvalid
from nd_plugin.pictures.opening import check_regular

MOST_BYTES = 2**26  # of a list; the longest of the sources' own have a megabyte


def read_lines(path: Path, encoding: str = "utf-8-sig") -> list[tuple[str, str]]:
    """Return file and line number for messages, and text, of each line that is not empty.

    Raises ConceptSetInvalid for what cannot be read as text.
    """
    text = read_text(path, encoding)
    lines = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            lines.append((f"{path}, line {number}", line.strip()))
    return lines


def read_text(path: Path, encoding: str = "utf-8-sig") -> str:
    """Return the text of a file. Raises ConceptSetInvalid."""
    content = read_bytes(path)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ConceptSetInvalid(
            f"{path} is no text in {encoding}: {error}; save it as UTF-8"
        ) from error
    if "\0" in text:
        raise ConceptSetInvalid(
            f"{path} holds a NUL character: it is no text, or not UTF-8; save it as UTF-8"
        )
    return text


def read_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """Return the content of a file of a source.

    Raises ConceptSetInvalid for none, for what is no regular file, and for more than ``most``
    bytes.
    """
    try:
        check_regular(path)
        with path.open("rb") as file:
            content = file.read(most + 1)
    except FileNotFoundError as error:
        raise ConceptSetInvalid(f"no {path.name} in {path.parent}") from error
    except (OSError, ValueError) as error:
        raise ConceptSetInvalid(f"{path} cannot be read: {error}") from error
    if len(content) > most:
        raise ConceptSetInvalid(
            f"{path} is not read: it has more than {most} bytes"
        )
    return content
