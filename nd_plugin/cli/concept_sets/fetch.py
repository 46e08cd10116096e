"""Command ``nd concepts fetch``: a published concept set, from an archive into the cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from nd_plugin.cli import console
from nd_plugin.cli.console import print_json, print_notes
from nd_plugin.cli.options.shared import Json
from nd_plugin.cli.parsing import parse_bytes
from nd_plugin.errors import BadInput

if TYPE_CHECKING:
    from nd_plugin.concepts.fetch.archive.contents import Limits
    from nd_plugin.concepts.fetch.finishing import Fetched

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Set that was published: broden.")
]
Size = Annotated[
    int,
    typer.Option(
        "--size",
        help="Pixels of a side of its images: 224, 227 or 384.",
        rich_help_panel="Download",
    ),
]
Urls = Annotated[
    list[str] | None,
    typer.Option(
        "--url",
        metavar="URL",
        help="Fetch the archive from here, and from none of the known addresses; repeatable, "
        "tried in order.",
    ),
]
File = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="FILE.zip",
        help="Take an archive that is here already; nothing is fetched.",
        rich_help_panel="Download",
    ),
]
HashText = Annotated[
    str | None,
    typer.Option(
        "--hash",
        metavar="HASH",
        help="Hash of the archive, sha256:DIGITS or md5:DIGITS, in the place of the known one.",
    ),
]
Again = Annotated[
    bool, typer.Option("--again", help="Fetch a set that is there, and replace it.")
]
Timeout = Annotated[
    float,
    typer.Option(
        metavar="SECONDS", help="Time after which a silent server has failed."
    ),
]


@dataclass(frozen=True)
class ArchiveLimits:
    """Limits of what an archive may unpack to."""

    max_entries: Annotated[
        int, typer.Option(min=1, metavar="N", help="Most files of an archive.")
    ] = 1_000_000
    max_unpacked: Annotated[
        str,
        typer.Option(
            metavar="SIZE", help="Most bytes of an archive, and unpacked: 64GiB …"
        ),
    ] = "32GiB"
    max_ratio: Annotated[
        float,
        typer.Option(
            min=1,
            metavar="R",
            help="Most unpacked bytes for each byte of an archive, beyond 16 MiB.",
        ),
    ] = 100.0

    def limits(self) -> Limits:
        """Return them for unpacking. Raises BadInput."""
        from nd_plugin.concepts.fetch.archive.contents import Limits

        unpacked = parse_bytes(self.max_unpacked, "--max-unpacked")
        return Limits(self.max_entries, unpacked, self.max_ratio)


def fetch(
    name: Name,
    *,
    size: Size = 224,
    url: Urls = None,
    file: File = None,
    hash_text: HashText = None,
    again: Again = False,
    timeout: Timeout = 30.0,
    archive_limits: ArchiveLimits,
    json: Json = False,
) -> None:
    """Fetch a published concept set into the cache, where -c NAME finds it.

    An interrupted download is continued by the same command.
    """
    from nd_plugin.cli.concept_sets.byte_progress import Progress
    from nd_plugin.cli.concept_sets.fetched_folders import verify_with
    from nd_plugin.concepts.fetch.fetching import Fetch
    from nd_plugin.concepts.fetch.finishing import Finish
    from nd_plugin.concepts.fetch.hashes import Hash
    from nd_plugin.concepts.fetch.known_sets import known_set
    from nd_plugin.concepts.fetch.transfer.download import Download

    known = known_set(name)
    known.check_size(size)
    _check_source(url or [], file)
    _check_timeout(timeout)
    expected = None if hash_text is None else Hash.parse(hash_text)
    limits = archive_limits.limits()
    with Progress() as progress, console.results_only():
        finish = Finish(
            known=known,
            size=size,
            verify=verify_with(name),
            expected=expected,
            limits=limits,
            say=progress.say,
            show_progress=progress,
        )
        download = Download(
            timeout=timeout,
            largest=limits.unpacked,
            check_room=finish.check_room,
            say=progress.say,
            show_progress=progress,
        )
        work = Fetch(finish, download, progress.say, tuple(url or ()), file, again)
        fetched = work.run()
    _print(name, size, fetched, as_json=json)


def _check_source(urls: Sequence[str], file: Path | None) -> None:
    """Raise BadInput for addresses and files that are none."""
    from nd_plugin.concepts.fetch.transfer.answers import without_secrets
    from nd_plugin.concepts.fetch.transfer.network import check_url

    if urls and file is not None:
        raise BadInput("--url and --from are two sources; name one of the two")
    for url in urls:
        try:
            check_url(url)
        except ValueError as error:
            raise BadInput(f"--url {without_secrets(url)!r}: {error}") from error
    if file is None:
        return
    if file.is_dir():
        raise BadInput(
            f"--from {file} is a folder; an unpacked set needs no fetching: -c broden:{file}"
        )
    if not file.is_file():
        raise BadInput(f"--from {file}: there is no such file")


def _check_timeout(timeout: float) -> None:
    # sockets take no more than some years, and not NaN
    if not 0 < timeout <= 86_400:
        raise BadInput(
            f"--timeout {timeout:g} is no number of seconds above 0, up to a day"
        )


def _print(name: str, size: int, fetched: Fetched, *, as_json: bool) -> None:
    """Print where the set is, what it was made from, and how it is used."""
    notes = list(fetched.notes)
    if fetched.record is None:
        notes.append(
            "the note of where the set has come from is gone; --again writes it anew"
        )
    use = f"{name}?size={size}" if size != 224 else name
    if as_json:
        print_json({**_facts(name, size, fetched), "use": use, "notes": notes})
        return
    state = "fetched" if fetched.is_new else "there already (--again replaces it)"
    counts = (
        f"{fetched.verified.images} images, {fetched.verified.concepts} concepts"
    )
    lines = [f"{name} {size}: {state}; {counts}", f"folder   {fetched.folder}"]
    record = fetched.record
    if record is not None:
        lines += [
            f"from     {record.address}",
            f"archive  {record.archive_bytes} bytes, {record.files} files of "
            f"{record.unpacked_bytes} bytes",
            f"sha256   {record.sha256}",
            f"md5      {record.md5}",
            f"compared {record.checked or 'with nothing: no hash of it is known; recorded now'}",
        ]
    lines.append(f"use      -c {use}")
    for line in lines:
        console.show(Text(line), wrap_words=False)
    print_notes(notes)


def _facts(name: str, size: int, fetched: Fetched) -> dict[str, Any]:
    """Return a set as JSON; what its note says is null where it is gone."""
    archive = None
    if fetched.record is not None:
        archive = asdict(fetched.record)
        for field in ("set", "size", "images", "concepts"):
            del archive[field]
    return {
        "set": name,
        "size": size,
        "folder": str(fetched.folder),
        "fetched": fetched.is_new,
        "images": fetched.verified.images,
        "concepts": fetched.verified.concepts,
        "archive": archive,
    }
