"""Actions of ``nd rate``: a study is begun once, and goes on until it is rated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nd_plugin.cli import console
from nd_plugin.cli.views.rate_table import show_table, table_content
from nd_plugin.errors import BadInput, RunFailed
from nd_plugin.rating import access
from nd_plugin.rating.exports import export_for_crowd, export_page
from nd_plugin.rating.highlights import Highlights
from nd_plugin.rating.phrases import read_descriptions
from nd_plugin.rating.server import RatingServer
from nd_plugin.rating.study import Plan, Study, fingerprint, plan_study
from nd_plugin.rating.table import rating_table
from nd_plugin.rating.vote_import import read_votes
from nd_plugin.rating.votes import VoteFile
from nd_plugin.results import run_folder
from nd_plugin.results.dissection import Dissection

VOTES = "ratings.sqlite"  # in the folder of the run
DEFAULT_PORT = 8642


@dataclass(frozen=True)
class StudyOptions:
    """Options that say what a study asks; None: not given."""

    units: str | None = None  # a number, or "all"
    images: int | None = None
    seed: int | None = None
    descriptions: Path | None = None
    layers: Sequence[str] = ()

    @property
    def are_given(self) -> bool:
        """Whether any of them is given."""
        values = (self.units, self.images, self.seed, self.descriptions)
        return bool(self.layers) or any(value is not None for value in values)


@dataclass(frozen=True)
class Address:
    """Where the server listens."""

    host: str
    port: int | None  # None: `DEFAULT_PORT`, or a free one where that is taken


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


def export(
    run: Path,
    path: Path,
    options: StudyOptions,
    *,
    page: Path | None,
    crowd: Path | None,
    image_url: str,
) -> None:
    """Write the study as a page without a server, and as tables for crowd platforms."""
    for folder in filter(None, (page, crowd)):
        if folder.resolve() == Path.cwd():
            raise BadInput(
                f"{folder} is the current folder, which cannot be replaced; name one below it"
            )
    dissections = _load(run)
    with _opened_study(dissections, path, options) as votes:
        study = votes.study()
        highlights = Highlights(dissections, study.questions, study.images)
        if page is not None:
            export_page(page, study, votes.name, highlights)
            console.say(
                f"{len(study.questions)} questions written to {page}/index.html"
            )
            console.say(
                "add the votes that it saves with nd rate RUN --import FILE"
            )
        if crowd is not None:
            key = export_for_crowd(crowd, study, highlights, image_url)
            console.say(f"{len(study.questions)} questions written to {crowd}")
            console.say(f"the answer key is {key}: raters must not see it")


def serve(run: Path, path: Path, options: StudyOptions, address: Address) -> None:
    """Serve the rating page until Ctrl-C."""
    dissections = _load(run)
    with _opened_study(dissections, path, options) as votes:
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


def _load(run: Path) -> list[Dissection]:
    """Load a run that has pictures. Raises BadInput for one without."""
    dissections = run_folder.load_run(run)
    if all(dissection.pictures is None for dissection in dissections):
        raise BadInput(
            f"{run} has no pictures to rate: it was made with --no-pictures or by an earlier "
            "version; dissect the layer again"
        )
    return dissections


def _opened_study(
    dissections: Sequence[Dissection], path: Path, options: StudyOptions
) -> VoteFile:
    """Open the study in ``path``, or begin it.

    Raises BadInput where it belongs to another run, or asks other things than ``options`` say.
    """
    if not path.exists():
        study = plan_study(*_plan(dissections, options))
        votes = VoteFile.create(path, study)
        console.say(
            f"{len(study.questions)} questions about {len(study.units)} units; "
            f"votes are kept in {path}"
        )
        return votes
    votes = VoteFile.open(path)
    try:
        _check_same(votes, dissections, options)
    except BaseException:
        votes.close()
        raise
    return votes


def _plan(
    dissections: Sequence[Dissection], options: StudyOptions
) -> tuple[list[Dissection], Plan]:
    """Return the layers to rate, and what to ask about them."""
    chosen = _chosen_layers(dissections, options.layers)
    descriptions = None
    if options.descriptions is not None:
        units = {dissection.layer: dissection.units for dissection in chosen}
        descriptions = read_descriptions(options.descriptions, units)
    default = Plan()
    plan = Plan(
        _unit_count(options.units, default.units),
        default.images if options.images is None else options.images,
        default.seed if options.seed is None else options.seed,
        descriptions,
    )
    return chosen, plan


def _chosen_layers(
    dissections: Sequence[Dissection], layers: Sequence[str]
) -> list[Dissection]:
    names = [dissection.layer for dissection in dissections]
    if len(set(names)) < len(names):
        raise BadInput(
            "the run has a layer at several quantiles; rate the folder of one of them"
        )
    for layer in layers:
        if layer not in names:
            raise BadInput(
                f"no layer {layer!r} in the run; it has {', '.join(names)}"
            )
    return [item for item in dissections if not layers or item.layer in layers]


def _unit_count(text: str | None, default: int | None) -> int | None:
    """Return the number of units that ``--units`` asks for; None for all."""
    if text is None:
        return default
    if text == "all":
        return None
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise BadInput(f"--units {text!r} is neither a number above 0 nor 'all'")
    return int(text)


def _check_same(
    votes: VoteFile, dissections: Sequence[Dissection], options: StudyOptions
) -> None:
    study = votes.study()
    layers = {stratum.layer for stratum in study.strata}
    rated = [item for item in dissections if item.layer in layers]
    if fingerprint(rated) != study.fingerprint:
        raise BadInput(
            f"{votes.path} holds votes on another run, or on labels that have changed since; "
            "begin anew with another --votes FILE"
        )
    if not options.are_given:
        return
    planned = plan_study(*_plan(dissections, options))
    if _asked(planned) != _asked(study):
        raise BadInput(
            f"{votes.path} was begun with other questions; leave out --units, --images, --seed, "
            "--descriptions and --layer to continue it, or begin another with --votes FILE"
        )


def _asked(study: Study) -> tuple[int, list[tuple[str, int, str, bool, bool]]]:
    """Return what a study asks, without its identifiers, which differ each time."""
    questions = sorted(
        (
            item.layer,
            item.unit,
            item.phrase,
            bool(item.is_label),
            bool(item.is_description),
        )
        for item in study.questions
    )
    return study.images, questions


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
