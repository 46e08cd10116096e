"""Findings on disk: the files in which a case differs from its sample, and a description.

::

    READER/NAME/case.json        the sample, what was changed, files that are missing
    READER/NAME/…                files in place of the sample's
    READER/NAME/…/some.npz/…     members in place of those of the sample's archive

Of an archive only what was changed is stored: the rest is the sample's, of whatever format.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fuzz.archive_changes import ArchiveChange, find_change
from fuzz.cases import Case, Files, Reader, Sample, read_files, write_files
from fuzz.harness import Outcome

CORPUS = Path(__file__).parent / "corpus"
DESCRIPTION = "case.json"
OUTCOME = "outcome.txt"  # for people; not part of the corpus
ARCHIVE = ".npz"
# of a finding: what is done with what was read is chosen at random
READINGS = 6


def corpus_entries(reader: str) -> list[Path]:
    """Return the folders of a reader's findings."""
    return sorted(
        path.parent for path in (CORPUS / reader).glob(f"*/{DESCRIPTION}")
    )


def corpus_case(
    reader: Reader, samples: Sequence[Sample], entry: Path, seed: int
) -> Case:
    """Return the case of a finding: a sample, with the finding's files in place of its own."""
    description = json.loads((entry / DESCRIPTION).read_text(encoding="utf-8"))
    files = _sample_files(samples, description["sample"])
    for name in description["missing"]:
        files.pop(name, None)
    for name in description["folders"]:
        files[name] = None
    stored = read_files(entry)
    del stored[DESCRIPTION]
    for name, plain_change in description["archives"].items():
        members = _taken_out(stored, f"{name}/")
        original = files[name]
        assert original is not None
        files[name] = ArchiveChange(members, **plain_change).apply(original)
    files.update(stored)
    steps = tuple(description["steps"])
    is_repaired = bool(description["is_repaired"])
    return Case(reader.name, seed, description["sample"], files, steps, is_repaired)


def _sample_files(samples: Sequence[Sample], name: str) -> Files:
    return dict(next(sample.files for sample in samples if sample.name == name))


def _taken_out(files: Files, prefix: str) -> dict[str, bytes]:
    """Take the files below a prefix out of others; return them by the rest of their names."""
    names = [name for name in files if name.startswith(prefix)]
    return {name.removeprefix(prefix): files.pop(name) or b"" for name in names}


def save_finding(
    folder: Path, case: Case, samples: Sequence[Sample], outcome: Outcome
) -> None:
    """Save what differs from a finding's sample."""
    originals = _sample_files(samples, case.sample)
    target = folder / case.reader / _folder_name(outcome)
    stored: Files = {}
    archives: dict[str, Any] = {}
    for path, content in case.files.items():
        original = originals.get(path)
        if content is None or content == original:
            continue
        change = None
        if path.endswith(ARCHIVE) and original is not None:
            change = find_change(original, content)
        if change is None:
            stored[path] = content
            continue
        archives[path] = change.to_dict()
        for member, data in change.written.items():
            stored[f"{path}/{member}"] = data
    write_files(stored, target)
    description = {
        "sample": case.sample,
        "steps": list(case.steps),
        "is_repaired": case.is_repaired,
        "missing": [path for path in originals if path not in case.files],
        "folders": [
            path for path, content in case.files.items() if content is None
        ],
        "archives": archives,
    }
    target.mkdir(parents=True, exist_ok=True)
    (target / DESCRIPTION).write_text(json.dumps(description, indent=1) + "\n")
    texts = (outcome.kind, outcome.root, f"seed {outcome.seed}", outcome.text)
    (target / OUTCOME).write_text("\n".join(texts) + "\n")


def _folder_name(outcome: Outcome) -> str:
    text = f"{outcome.kind}_{outcome.root}"
    letters = [letter if letter.isalnum() else "_" for letter in text]
    return f"{''.join(letters)[:80]}_{outcome.seed}"
