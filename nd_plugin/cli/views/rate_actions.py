"""Actions of ``nd rate``: a study is begun once, and goes on until it is rated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nd_plugin.cli import console
from nd_plugin.cli.views.rate_study import StudyOptions, load_pictured, open_study
from nd_plugin.cli.views.rate_table import show_table, table_content
from nd_plugin.errors import BadInput, RunFailed
from nd_plugin.rating import access
from nd_plugin.rating.exports import export_for_crowd, export_page
from nd_plugin.rating.highlights import Highlights
from nd_plugin.rating.server import RatingServer
from nd_plugin.rating.study import Study
from nd_plugin.rating.table import rating_table
from nd_plugin.rating.vote_import import read_votes
from nd_plugin.rating.votes import VoteFile
from nd_plugin.storage.targets import check_folder

VOTES = "ratings.sqlite"  # in the folder of the run
DEFAULT_PORT = 8642


@dataclass(frozen=True)
class Address:
    """Where the server listens."""

    host: str
    port: int | None  # None: `DEFAULT_PORT`, or a free one where that is taken


@dataclass(frozen=True)
class Request:
    """What ``nd rate`` is asked to do; without an export, an import or the table it serves."""

    run: Path
    votes: Path
    options: StudyOptions
    address: Address
    page: Path | None = None
    crowd: Path | None = None
    image_url: str = ""
    import_files: tuple[Path, ...] = ()
    shows_table: bool = False
    as_json: bool = False

    @property
    def exports(self) -> bool:
        """Whether anything is exported."""
        return self.page is not None or self.crowd is not None

    @property
    def reads_votes(self) -> bool:
        """Whether votes are read that a study has already."""
        return self.shows_table or bool(self.import_files)


def perform(request: Request) -> None:
    """Do what is asked for. Raises BadInput for options that do not go together."""
    _check_options(request)
    if request.exports:
        export(request)
    if request.import_files:
        import_votes(request.votes, request.import_files, as_json=request.as_json)
    if request.shows_table:
        print_table(request.votes, as_json=request.as_json)
    if not (request.exports or request.reads_votes):
        serve(request.run, request.votes, request.options, request.address)


def _check_options(request: Request) -> None:
    if request.image_url and request.crowd is None:
        raise BadInput("--image-url is for --crowd DIR")
    if request.as_json and not request.reads_votes:
        raise BadInput("--json is for --table and --import")
    if request.reads_votes and request.options.are_given and not request.exports:
        raise BadInput(
            "options that choose questions do not go with --table and --import: "
            "the questions are in the file of votes"
        )


def votes_path(run: Path, option: Path | None) -> Path:
    """Return the file of votes: that of ``--votes``, else the one in the run's folder."""
    return run / VOTES if option is None else option


def print_table(path: Path, *, as_json: bool) -> None:
    """Print table 3 of the votes so far."""
    with VoteFile.open(path) as votes:
        table = rating_table(votes.study(), votes.votes())
    if as_json:
        console.print_json(table_content(table))
    else:
        show_table(table)


def import_votes(path: Path, files: Sequence[Path], *, as_json: bool) -> None:
    """Add votes from files; all of a file's or none."""
    imported: dict[str, int] = {}
    with VoteFile.open(path) as votes:
        for file in files:
            imported[str(file)] = votes.save(read_votes(file, votes.name))
    for file_name, count in imported.items():
        console.say(f"{file_name}: {count} new votes")
    if as_json:
        console.print_json({"imported": imported})


def export(request: Request) -> None:
    """Write the study as a page without a server, and as tables for crowd platforms."""
    for folder in filter(None, (request.page, request.crowd)):
        check_folder(folder, "an export")
    dissections = load_pictured(request.run)
    with open_study(dissections, request.votes, request.options) as votes:
        study = votes.study()
        highlights = Highlights(dissections, study.questions, study.images)
        if request.page is not None:
            export_page(request.page, study, votes.name, highlights)
            _say_exported(study, request.page)
            console.say(
                "add the votes that it saves with nd rate RUN --import FILE"
            )
        if request.crowd is not None:
            key = export_for_crowd(
                request.crowd, study, highlights, request.image_url
            )
            _say_exported(study, request.crowd)
            console.say(f"the answer key is {key}: raters must not see it")


def _say_exported(study: Study, folder: Path) -> None:
    console.say(f"{len(study.questions)} questions written to {folder}")


def serve(run: Path, path: Path, options: StudyOptions, address: Address) -> None:
    """Serve the rating page until Ctrl-C."""
    dissections = load_pictured(run)
    with open_study(dissections, path, options) as votes:
        study = votes.study()
        highlights = Highlights(dissections, study.questions, study.images)
        server = _server(address, study, votes, highlights)
        try:
            _announce(server, votes)
            server.serve_forever()
        except KeyboardInterrupt:
            console.say("stopped")
        finally:
            server.server_close()
            _say_saved(votes)


def _server(
    address: Address, study: Study, votes: VoteFile, highlights: Highlights
) -> RatingServer:
    """Open the server; without ``--port``, at a free port where the usual one is taken."""
    if address.port is not None:
        return RatingServer((address.host, address.port), study, votes, highlights)
    try:
        return RatingServer((address.host, DEFAULT_PORT), study, votes, highlights)
    except RunFailed:
        server = RatingServer((address.host, 0), study, votes, highlights)
        console.say(f"port {DEFAULT_PORT} is taken; using {server.port}")
        return server


def _announce(server: RatingServer, votes: VoteFile) -> None:
    if not access.is_loopback(server.host):
        console.warn(
            [
                f"the server listens on {server.host}, not only on this machine: whoever has "
                "the address can see the pictures and vote, and nothing is encrypted"
            ]
        )
    tally = votes.tally()
    if tally.votes:
        console.say(
            f"continued: {tally.votes} votes of {tally.raters} raters so far"
        )
    console.say("open this address in a browser; Ctrl-C stops the server")
    console.write(server.url)


def _say_saved(votes: VoteFile) -> None:
    tally = votes.tally()
    console.say(
        f"{tally.votes} votes of {tally.raters} raters are saved in {votes.path}; "
        "run the same command to continue, and nd rate RUN --table for the results"
    )
