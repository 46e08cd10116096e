"""Every fenced block of the documents: it runs as it stands, in a folder made for its page.

Blocks of Python run from the top of a page to its bottom in one namespace, those of a shell command
by command. ``document_world`` says what a page finds in its folder, and what stands for what.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import document_models
import document_world
import pytest
from command_here import run_nd
from document_blocks import SHELLS, Block, blocks_of, commands_of, words_of
from hostile_server import HostileServer, Served
from set_archives import make_zip, set_files
from typer.main import get_command

from nd_plugin.cli.app import app
from nd_plugin.plugins.host import host
from nd_plugin.rating.server import RatingServer
from nd_shapes.scenes import Shapes

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if "generated" not in page.parts]
# programs whose commands are not run: they install, or another test runs them
PROGRAMS = {
    "pip": "installs",
    "uv": "installs",
    "python3": "installs; CI runs the commands of README.md",
    "ruff": "tests/integration/test_new_plugins.py",
    "echo": "writes the file that uv reads",
    "torchrun": "starts processes: tests/integration/test_processes.py",
    "tox": "CI runs it",
}
MOST_NOT_RUN = 6  # blocks of all pages that a comment says are not run
# with these, a command ends with 1 where something is missed
GATES = ("--fail-under", "--max-lost", "--strict", "--check", "check")
DATA = {"json": json.loads, "toml": tomllib.loads}


@contextmanager
def few_shapes() -> Iterator[None]:
    """Make the set ``shapes`` small inside of the block."""
    defaults = Shapes.__init__.__kwdefaults__
    with pytest.MonkeyPatch.context() as patch:
        for option, value in document_world.SHAPES.items():
            patch.setitem(defaults, option, value)
        yield


@pytest.fixture(scope="module", autouse=True)
def small_things() -> Iterator[None]:
    """Let names of large things mean small ones."""
    with few_shapes(), document_models.small_networks():
        yield


@pytest.fixture(scope="module")
def world(
    small_things: None, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Path, Path], None]:
    """Return what fills the folder of a page."""
    root = tmp_path_factory.mktemp("documents")
    document_world.write_world(root)
    finished = tmp_path_factory.mktemp("finished")

    def fill(page: Path, folder: Path) -> None:
        shutil.copytree(root, folder, dirs_exist_ok=True)
        for name in document_world.runs_before(page.relative_to(ROOT).as_posix()):
            run = finished / name
            if not run.exists():
                document_world.write_run(run, root)
            shutil.copytree(run, folder / "runs" / name)

    return fill


@pytest.fixture(scope="module")
def mirror() -> Iterator[document_world.Mirror]:
    """Serve an archive in Broden's layout, on this machine."""
    archive = make_zip(set_files())
    digest = hashlib.sha256(archive).hexdigest()
    with HostileServer().running() as server:
        url = server.serve("/broden1_224.zip", Served(archive))
        yield document_world.Mirror(url, f"sha256:{digest}")


@pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix()
)
def test_every_block_runs(
    page: Path,
    world: Callable[[Path, Path], None],
    mirror: document_world.Mirror,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = page.relative_to(ROOT).as_posix()
    blocks = [block for block in blocks_of(page, name) if not block.not_run]
    if not any(block.language in ("python", *SHELLS, *DATA) for block in blocks):
        return
    world(page, tmp_path)
    (tmp_path / "broden1_224.zip").write_bytes(make_zip(set_files()))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    host.cache_clear()
    # a server that people vote on ends at once, as by Ctrl-C
    monkeypatch.setattr(RatingServer, "serve_forever", interrupt)
    environment = {"ND_CACHE": str(tmp_path / "cache"), "NO_PROXY": "127.0.0.1"}
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    namespace = LazyNames(document_world.NAMES)
    for block in blocks:
        run_block(block, namespace, mirror)


def interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


class LazyNames(dict[str, Any]):
    """Namespace of a page: what it takes for granted is made when it is first used."""

    def __init__(self, makers: Mapping[str, Callable[[], Any]]) -> None:
        super().__init__(__name__="__main__")
        self._makers = makers

    def __missing__(self, name: str) -> Any:
        if name not in self._makers:
            raise KeyError(name)
        self[name] = self._makers[name]()
        return self[name]


def run_block(
    block: Block, namespace: dict[str, Any], mirror: document_world.Mirror
) -> None:
    """Run a block by its language; blocks of output and of layouts are read only."""
    if block.language == "python":
        run_python(block, namespace)
    elif block.language in SHELLS:
        for command in commands_of(block):
            run_command(command, block, mirror)
    elif block.language in DATA:
        DATA[block.language](block.text)


def run_python(block: Block, namespace: dict[str, Any]) -> None:
    """Run a block; an error in it names page and line."""
    source = "\n" * (block.line - 1) + block.text
    exec(compile(source, block.page, "exec"), namespace)


def run_command(command: str, block: Block, mirror: document_world.Mirror) -> None:
    """Run a command of ``nd``, which has to end well."""
    words = words_of(document_world.with_stand_ins(command, mirror))
    if words[:3] == ["python", "-m", "pytest"]:
        return  # tests/integration/test_new_plugins.py
    if words[0] in PROGRAMS or words[0].startswith(".venv"):
        return
    if "--import" in words:
        document_world.write_votes(Path(words[2]))
    if words[:4] == ["python", "-m", "pip", "install"]:
        document_world.install(Path(words[-1].partition("[")[0]))
        return
    if words[:2] == ["python", "-c"]:
        exec(words[2], {})
        return
    assert words[0] == "nd", f"{block.place}: {command!r} is no command of nd"
    done = run_nd(*expanded(words[1:]))
    allowed = {0, 1} if set(GATES) & set(words) else {0}
    assert done.returncode in allowed and "Traceback" not in done.stderr, (
        f"{block.place}: {command}\n{done.stderr[-2000:]}"
    )


def expanded(words: list[str]) -> list[str]:
    """Return words with patterns of files replaced by the files, as a shell does."""
    result: list[str] = []
    for word in words:
        files = [] if Path(word).is_absolute() else Path().glob(word)
        result += sorted(map(str, files)) or [word]
    return result


def test_few_blocks_are_not_run() -> None:
    left_out = []
    for page in PAGES:
        blocks = blocks_of(page, page.relative_to(ROOT).as_posix())
        left_out += [block.place for block in blocks if block.not_run]
    assert len(left_out) <= MOST_NOT_RUN, left_out


def test_blocks_name_their_language() -> None:
    """A command that a page shows is in a block that is run."""
    for page in PAGES:
        for block in blocks_of(page, page.relative_to(ROOT).as_posix()):
            if block.language == "":
                assert "\nnd " not in f"\n{block.text}", block.place


def options_of() -> dict[str, set[str]]:
    """Return the options of each command; of a group those of all its commands."""
    options: dict[str, set[str]] = {}
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        options[name] = set()
        for member in getattr(command, "commands", {name: command}).values():
            for option in member.params:
                options[name].update(option.opts, option.secondary_opts)
    return options


@pytest.mark.parametrize(
    "page",
    sorted((ROOT / "examples").glob("*/README.md")),
    ids=lambda page: page.parent.name,
)
def test_commands_of_the_examples_are_there(page: Path) -> None:
    """Examples need what is installed with them: their tests run them, their READMEs name it."""
    options = options_of()
    for block in blocks_of(page, page.parent.name):
        for command in commands_of(block):
            if not command.startswith("nd "):
                continue
            _, name, *words = words_of(command)
            used = {
                word.partition("=")[0] for word in words if word.startswith("-")
            }
            assert used <= options[name], command
