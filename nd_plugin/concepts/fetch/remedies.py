"""What to do by hand where a set cannot be fetched: downloads of research data end."""

from __future__ import annotations

from collections.abc import Sequence

from nd_plugin.concepts.fetch.known_sets import KnownSet


def cannot_fetch(
    known: KnownSet, size: int, failures: Sequence[str], untried: Sequence[str]
) -> str:
    """Return the message of a set that no address has given, with what to do.

    ``untried`` are known addresses in whose place the user has named others.
    """
    name = known.archive_name(size)
    command = _command(known, size)
    lines = [
        f"{name} could not be fetched:",
        *(f"  {failure}" for failure in failures),
        *(f"  {url}: not tried, as --url names another" for url in untried),
        f"By hand: get {name} from wherever it can be had (a colleague, the data folder of a "
        f"cluster, a browser at one of these addresses), then",
        f"  {command} --from {name}",
        "An address that works is given by --url URL; a folder that is unpacked already needs no "
        f"fetching: -c {known.name}:FOLDER.",
        "Without any of that: nd concepts build makes a set in the same layout from data sets that "
        "you have (nd concepts build --help).",
    ]
    return "\n".join(lines)


def accept_command(known: KnownSet, size: int, archive: object, actual: str) -> str:
    """Return the command that takes an archive with another hash than the known one."""
    return f"{_command(known, size)} --from {archive} --hash {actual}"


def _command(known: KnownSet, size: int) -> str:
    usual_size = known.sizes[0]
    option = "" if size == usual_size else f" --size {size}"
    return f"nd concepts fetch {known.name}{option}"
