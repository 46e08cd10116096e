"""Studies as folders: a page that needs no server, and tables for crowd platforms.

Neither tells where phrases come from. For crowd platforms this stands in a table of its own, the
answer key, which lies beside the folder and not in it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from nd_plugin.borders.csv_text import csv_text
from nd_plugin.borders.printable import utf8
from nd_plugin.rating.highlights import Highlights
from nd_plugin.rating.pages import rating_page
from nd_plugin.rating.study import Question, Study
from nd_plugin.results.atomic_files import write_file, write_folder
from nd_plugin.results.folder_names import is_our_page
from nd_plugin.storage.durable_files import regular_files

PAGE = "index.html"
TABLE = "questions.csv"
PICTURES = "pictures"
PICTURE_FILE = re.compile(rf"{PICTURES}/[^/]+-\d+\.jpg")
KEY_COLUMNS = ("question", "layer", "unit", "phrase", "is_label", "is_description")


def export_page(
    folder: Path, study: Study, study_name: str, highlights: Highlights
) -> None:
    """Write a folder with the rating page and its pictures. Raises NotSaved."""
    files = _picture_files(study.questions, highlights)
    page = rating_page(
        study_name,
        study.questions,
        _picture_names(study.questions, highlights),
        is_served=False,
    )
    files[PAGE] = utf8(page)
    write_folder(folder, files, may_replace=_is_export)


def export_for_crowd(
    folder: Path, study: Study, highlights: Highlights, url: str = ""
) -> Path:
    """Write a folder with a table of questions and its pictures; return the answer key's path.

    A row of ``questions.csv`` is a question: its identifier, its phrase, and the addresses of its
    pictures below ``url``, or their names in the folder. Raises NotSaved.
    """
    names = _picture_names(study.questions, highlights)
    most = max(map(len, names.values()), default=0)
    columns = ["question", "phrase", *(f"image_{n}" for n in range(1, most + 1))]
    rows = []
    prefix = f"{url.rstrip('/')}/" if url else ""
    for question in study.questions:
        addresses = [prefix + name for name in names[question.pictures]]
        padding = [""] * (most - len(addresses))
        rows.append([question.identifier, question.phrase, *addresses, *padding])
    files = _picture_files(study.questions, highlights)
    files[TABLE] = utf8(csv_text(columns, rows))
    write_folder(folder, files, may_replace=_is_export)
    key = folder.with_name(f"{folder.resolve().name}-key.csv")
    write_file(key, utf8(answer_key(study.questions)))
    return key


def answer_key(questions: Sequence[Question]) -> str:
    """Return, as CSV, what each question is about and where its phrase comes from."""
    rows = []
    for question in questions:
        flags = [int(question.is_label), int(question.is_description)]
        unit = [question.layer, question.unit, question.phrase]
        rows.append([question.identifier, *unit, *flags])
    return csv_text(KEY_COLUMNS, rows)


def _picture_names(
    questions: Sequence[Question], highlights: Highlights
) -> dict[str, list[str]]:
    """Return the names of the files of pictures, by `Question.pictures`."""
    names: dict[str, list[str]] = {}
    for name in dict.fromkeys(question.pictures for question in questions):
        count = highlights.count(name)
        names[name] = [f"{PICTURES}/{name}-{index}.jpg" for index in range(count)]
    return names


def _picture_files(
    questions: Sequence[Question], highlights: Highlights
) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for name, paths in _picture_names(questions, highlights).items():
        for index, path in enumerate(paths):
            files[path] = highlights.picture(name, index)
    return files


def _is_export(folder: Path) -> bool:
    """Return whether a folder is empty, or holds nothing but an earlier export."""
    names = {child.name for child in folder.iterdir()}
    if not names:
        return True
    has_mark = is_our_page(folder / PAGE) or _has_columns(folder / TABLE)
    files = regular_files(folder)
    pictures = [file for file in files if PICTURE_FILE.fullmatch(file)]
    return has_mark and {PAGE, TABLE, *pictures}.issuperset(files)


def _has_columns(table: Path) -> bool:
    """Return whether a table has the columns of `export_for_crowd`."""
    return table.is_file() and table.read_bytes().startswith(b"question,phrase")
