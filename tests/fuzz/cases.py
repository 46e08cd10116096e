"""Cases of a fuzzer: valid files of a reader, changed in one to three steps that a seed decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

MOST_STEPS = 3

# path below the case's folder -> content; None: a folder of this name
Files = dict[str, bytes | None]
# what a reader has accepted, by the name of a part; equal values are equal numbers
Numbers = dict[str, Any]
Mutate = Callable[[bytes, Random], bytes]


@dataclass(frozen=True)
class Mutation:
    """Change of one file's content.

    ``repairs`` says that checksums and lengths are made to fit: no reader can tell such a file
    from one that was written so, unless its content is impossible.
    """

    mutate: Mutate
    repairs: bool = False
    weight: int = 1

    @property
    def name(self) -> str:
        """Name of the change, for reports."""
        return self.mutate.__name__


def repaired(weights: Mapping[Mutate, int]) -> tuple[Mutation, ...]:
    """Return changes after which checksums and lengths fit, by how often they are drawn."""
    return tuple(
        Mutation(mutate, repairs=True, weight=weight)
        for mutate, weight in weights.items()
    )


@dataclass(frozen=True)
class Sample:
    """Valid input of a reader: a few small files."""

    name: str
    files: Files


@dataclass(frozen=True)
class Case:
    """Changed sample; a seed decides it."""

    reader: str
    seed: int
    sample: str
    files: Files
    steps: tuple[str, ...]  # what was changed, for people
    is_repaired: bool  # a step has made checksums fit, or has replaced whole files

    def write(self, folder: Path) -> None:
        """Write the case's files into an empty folder."""
        write_files(self.files, folder)


@dataclass(frozen=True)
class Reader:
    """Reader under test: its samples, how they are changed, how they are read."""

    name: str
    # called once, in a folder of its own; torch and others may be imported here
    make_samples: Callable[[Path], Sequence[Sample]]
    # of the files below a folder; raises errors of nd_plugin alone
    read: Callable[[Path, Random], Numbers]
    # by the ending of a file's name, "" for all others; plain changes of bytes are added
    mutations: Mapping[str, Sequence[Mutation]]
    # whether unrepaired damage is noticed: what is accepted has the sample's numbers
    has_checksums: bool = False
    # problem of numbers that were accepted from changed files; "" for none
    find_problem: Callable[[Path, Numbers], str] = lambda folder, numbers: ""
    # files that are not changed, such as pictures beside a table
    fixed: Sequence[str] = field(default=())


def write_files(files: Files, folder: Path) -> None:
    """Write files below a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir(exist_ok=True)
        else:
            path.write_bytes(content)


def read_files(folder: Path) -> Files:
    """Return all files below a folder."""
    files: Files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            files[path.relative_to(folder).as_posix()] = path.read_bytes()
    return files


def random_of(reader: Reader, seed: int) -> Random:
    """Return the random numbers of a case, the same in every process."""
    return Random(f"{reader.name}/{seed}")


def make_case(
    reader: Reader,
    samples: Sequence[Sample],
    plain: Sequence[Mutation],
    seed: int,
    skipped_steps: Sequence[int] = (),
) -> Case:
    """Return the case of a seed; without some of its steps, to find out which are needed."""
    random = random_of(reader, seed)
    sample = random.choice(samples)
    files = dict(sample.files)
    steps: list[str] = []
    is_repaired = False
    for number in range(random.choice((1, 1, 1, 2, MOST_STEPS))):
        # each step draws from random numbers of its own
        step_random = Random(random.getrandbits(64))
        if number in skipped_steps:
            continue
        step, repairs = _change(reader, files, plain, step_random)
        steps.append(step)
        is_repaired = is_repaired or repairs
    return Case(reader.name, seed, sample.name, files, tuple(steps), is_repaired)


def make_case_of(
    reader: Reader, samples: Sequence[Sample], mutation_name: str, seed: int
) -> Case:
    """Return a case of a seed that is changed once, by a mutation of the reader's own."""
    random = random_of(reader, seed)
    candidates: list[tuple[Sample, str, Mutation]] = []
    for sample in samples:
        for name in sample.files:
            for mutation in _mutations_of(reader, name):
                if mutation.name == mutation_name:
                    candidates.append((sample, name, mutation))
    sample, name, mutation = random.choice(candidates)
    content = sample.files[name] or b""
    files = {**sample.files, name: mutation.mutate(content, random)}
    step = f"{name}: {mutation_name}"
    return Case(reader.name, seed, sample.name, files, (step,), mutation.repairs)


def _change(
    reader: Reader, files: Files, plain: Sequence[Mutation], random: Random
) -> tuple[str, bool]:
    """Change one file in place; return what was done, and whether it was repaired."""
    names = [
        name
        for name, content in files.items()
        if content is not None and not name.endswith(tuple(reader.fixed))
    ]
    if not names:
        return "nothing left", False
    name = random.choice(names)
    if random.random() < 0.02:
        return _change_whole_file(files, name, names, random), True
    content = files[name]
    assert content is not None
    own = _mutations_of(reader, name)
    mutations = plain if not own or random.random() < 0.25 else own
    weights = [mutation.weight for mutation in mutations]
    (mutation,) = random.choices(mutations, weights)
    try:
        files[name] = mutation.mutate(content, random)
    except Exception:
        # an earlier step has left what this change cannot take apart
        mutation = plain[0]
        files[name] = mutation.mutate(content, random)
    return f"{name}: {mutation.name}", mutation.repairs


def _mutations_of(reader: Reader, name: str) -> Sequence[Mutation]:
    for ending, mutations in reader.mutations.items():
        if ending and name.endswith(ending):
            return mutations
    return reader.mutations.get("", ())


def _change_whole_file(
    files: Files, name: str, names: Sequence[str], random: Random
) -> str:
    """Remove a file, empty it, put a folder or another file in its place."""
    kind = random.choice(("removed", "emptied", "folder", "exchanged"))
    if kind == "removed":
        del files[name]
    elif kind == "emptied":
        files[name] = b""
    elif kind == "folder":
        files[name] = None
    else:
        partner = random.choice(names)
        files[name], files[partner] = files[partner], files[name]
    return f"{name}: {kind}"
