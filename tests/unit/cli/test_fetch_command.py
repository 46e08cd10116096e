"""``nd concepts fetch``: its options, exit codes, output, and what it says to do by hand."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile_server import HostileServer, Served
from set_archives import TOP, make_zip, set_files

Nd = Callable[..., Any]


@pytest.fixture
def server() -> Iterator[HostileServer]:
    """Server of paths."""
    with HostileServer().running() as running:
        yield running


@pytest.fixture
def fetch(nd: Nd, tmp_path: Path) -> Nd:
    """Run ``nd concepts fetch broden`` with a cache of the test's own."""

    def run(*arguments: str | Path) -> Any:
        return nd(
            *("concepts", "fetch", "broden", *arguments),
            ND_CACHE=str(tmp_path / "cache"),
            NO_PROXY="127.0.0.1",
        )

    return run


@pytest.fixture(scope="module")
def archive() -> bytes:
    """Archive of a small set."""
    return make_zip(set_files())


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_a_set_is_fetched_and_dissected_with_by_its_name(
    server: HostileServer, fetch: Nd, nd: Nd, archive: bytes, tmp_path: Path
) -> None:
    url = server.serve("/a.zip", Served(archive))
    done = fetch("--url", url, "--hash", sha256(archive))
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "cache" / "concept_sets" / TOP
    lines = done.stdout.splitlines()
    assert lines[0] == "broden 224: fetched; 6 images, 1 concepts"
    assert lines[1] == f"folder   {folder}"
    assert lines[2] == f"from     {url}"
    assert lines[4] == f"sha256   {hashlib.sha256(archive).hexdigest()}"
    assert lines[6] == "compared sha256 as --hash says"
    assert lines[7] == "use      -c broden"
    assert f"fetching {url}" in done.stderr
    listed = nd("concepts", "broden", "--json", ND_CACHE=str(tmp_path / "cache"))
    assert json.loads(listed.stdout)["source"] == "broden?size=224"
    again = fetch("--json", "--quiet")
    facts = json.loads(again.stdout)
    assert again.stderr == ""
    assert facts["fetched"] is False
    assert facts["folder"] == str(folder)
    assert facts["use"] == "broden"
    assert facts["archive"]["sha256"] == hashlib.sha256(archive).hexdigest()
    assert (facts["images"], facts["concepts"], facts["notes"]) == (6, 1, [])


def test_another_size(server: HostileServer, fetch: Nd, archive: bytes) -> None:
    url = server.serve("/a.zip", Served(make_zip(
        {name.replace("224", "227"): data for name, data in set_files().items()}
    )))  # fmt: skip
    done = fetch("--size", "227", "--url", url)
    assert done.returncode == 0, done.stderr
    assert "with nothing: no hash of it is known; recorded now" in done.stdout
    assert "use      -c broden?size=227" in done.stdout


def test_a_file(fetch: Nd, archive: bytes, tmp_path: Path) -> None:
    path = tmp_path / "mine.zip"
    path.write_bytes(archive)
    refused = fetch("--from", path)
    assert refused.returncode == 1
    accept = f"--hash md5:{hashlib.md5(archive).hexdigest()}"
    assert accept in refused.stderr
    done = fetch("--from", path, *accept.split())
    assert done.returncode == 0, done.stderr
    assert f"from     {path}" in done.stdout


def test_failures_say_what_to_do(server: HostileServer, fetch: Nd) -> None:
    done = fetch("--url", f"{server.url}/a.zip", "--json")
    assert done.returncode == 1
    error = json.loads(done.stdout)["error"]
    assert (error["type"], error["exit_code"]) == ("RunFailed", 1)
    for remedy in (
        "404",
        "--from broden1_224.zip",
        "--url URL",
        "nd concepts build",
    ):
        assert remedy in error["message"]


def test_an_address_of_ones_own_fails_beside_the_known_ones(
    server: HostileServer, fetch: Nd
) -> None:
    url = f"{server.url}/a.zip"
    done = fetch("--size", "227", "--url", url)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    addresses = [line.split()[0] for line in lines if line.startswith("  http")]
    assert addresses == [
        f"{url}:",
        "http://netdissect.csail.mit.edu/data/broden1_227.zip:",
        "http://data.csail.mit.edu/soundnet/actions3/broden1_227.zip:",
        "https://web.archive.org/web/2024id_/"
        "http://netdissect.csail.mit.edu/data/broden1_227.zip:",
    ]
    assert done.stderr.count("not tried, as --url names another") == 3


def test_a_set_that_is_there_says_what_was_not_looked_at(
    fetch: Nd, archive: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "mine.zip"
    path.write_bytes(archive)
    arguments = ("--from", path, "--hash", sha256(archive))
    assert json.loads(fetch(*arguments, "--json").stdout)["notes"] == []
    path.write_bytes(b"another file")
    again = fetch(*arguments)
    assert again.returncode == 0
    note = (
        f"! not looked at, as the set is there: --from {path}, --hash "
        f"{sha256(archive)} (--again fetches it anew)"
    )
    assert note in again.stdout.replace("\n", " ")
    with_url = fetch("--url", "http://me:secret@127.0.0.1:1/a.zip?key=1", "--json")
    (note,) = json.loads(with_url.stdout)["notes"]
    assert "--url http://127.0.0.1:1/a.zip?…" in note
    assert json.loads(fetch("--json").stdout)["notes"] == []


def test_quiet_failures_are_told_once(server: HostileServer, fetch: Nd) -> None:
    done = fetch("--url", f"{server.url}/a.zip", "--quiet")
    assert done.stderr.count("404") == 1
    done = fetch("--url", f"{server.url}/a.zip")
    assert done.stderr.count("404") == 1


def test_without_a_network_the_known_addresses_are_named(
    fetch: Nd, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def no_name(host: str, *_: Any, **__: Any) -> Any:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_name)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    done = fetch("--size", "384")
    assert done.returncode == 1
    assert asked == [
        "netdissect.csail.mit.edu",
        "data.csail.mit.edu",
        "web.archive.org",
    ]
    lines = done.stderr.splitlines()
    reason = "its name is not known here (is there a network?)"
    assert (
        f"  http://netdissect.csail.mit.edu/data/broden1_384.zip: {reason}" in lines
    )
    archive_copy = (
        "https://web.archive.org/web/2024id_/http://netdissect.csail.mit.edu/data/"
    )
    assert f"  {archive_copy}broden1_384.zip: {reason}" in lines


def test_a_proxy_that_is_not_there(
    nd: Nd, tmp_path: Path, server: HostileServer
) -> None:
    with HostileServer().running() as ended:
        proxy = ended.url
    done = nd(
        *("concepts", "fetch", "broden", "--url", "http://example.invalid/a.zip"),
        ND_CACHE=str(tmp_path),
        http_proxy=proxy,
        NO_PROXY="",
        no_proxy="",
    )
    assert "the proxy of the environment does not connect" in done.stderr


def test_a_proxy_is_asked(
    nd: Nd, tmp_path: Path, server: HostileServer, archive: bytes
) -> None:
    url = "http://example.invalid/a.zip"
    server.paths[url] = Served(archive)
    done = nd(
        *("concepts", "fetch", "broden", "--url", url, "--hash", sha256(archive)),
        ND_CACHE=str(tmp_path),
        http_proxy=server.url,
        NO_PROXY="",
        no_proxy="",
    )
    assert done.returncode == 0, done.stderr
    assert server.questions[0].path == url


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "225"], "--size 225: broden was published as 224, 227, 384"),
        (["--url", "ftp://x/a.zip"], "begins with http:// or https://"),
        (["--url", "broden.zip"], "begins with http:// or https://"),
        (["--url", "http://x:99999/a"], "Port out of range"),
        (["--hash", "abc"], "--hash 'abc' is no hash"),
        (["--hash", "md5:" + "0" * 40], "is no hash"),
        (["--hash", "sha256:" + "g" * 64], "is no hash"),
        (["--from", "nowhere.zip"], "--from nowhere.zip: there is no such file"),
        (["--from", "."], "an unpacked set needs no fetching: -c broden:."),
        (["--from", "a.zip", "--url", "http://x/a"], "are two sources"),
        (["--timeout", "0"], "is no number of seconds"),
        (["--timeout", "nan"], "is no number of seconds"),
        (["--timeout", "inf"], "is no number of seconds"),
        (["--max-unpacked", "much"], "--max-unpacked 'much' is not an amount"),
        (["--max-entries", "0"], "--max-entries"),
        (["--max-ratio", "0.5"], "--max-ratio"),
        (["--max-ratio", "nan"], "--max-ratio"),
    ],
)
def test_usage(fetch: Nd, arguments: list[str], message: str) -> None:
    done = fetch(*arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_an_unknown_set(nd: Nd) -> None:
    done = nd("concepts", "fetch", "brodn")
    assert done.returncode == 2
    assert "no set 'brodn' can be fetched; the nearest is 'broden'" in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        ["--max-entries", "3"],
        ["--max-unpacked", "1kB"],
    ],
)
def test_limits_are_options(
    fetch: Nd, archive: bytes, tmp_path: Path, options: list[str]
) -> None:
    path = tmp_path / "mine.zip"
    path.write_bytes(archive)
    arguments = ("--from", path, "--hash", sha256(archive))
    refused = fetch(*arguments, *options)
    assert refused.returncode == 1
    assert f"if it can be trusted: {options[0]} " in refused.stderr
    remedy = refused.stderr.rpartition("trusted: ")[2].split()
    assert fetch(*arguments, *remedy).returncode == 0


def test_a_ratio_is_an_option(fetch: Nd, tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    bomb = make_zip({**set_files(), f"{TOP}/zeros": bytes(2**24)})
    path.write_bytes(bomb)
    arguments = ("--from", path, "--hash", sha256(bomb))
    refused = fetch(*arguments)
    assert "the limit is 100 times" in refused.stderr
    assert fetch(*arguments, "--max-ratio", "1000").returncode == 0


def test_a_reader_that_is_blocked(
    fetch: Nd, nd_process: Nd, tmp_path: Path
) -> None:
    done = nd_process(
        *("concepts", "fetch", "broden", "--url", "http://127.0.0.1:1/a.zip"),
        ND_CACHE=str(tmp_path),
        ND_PLUGIN_DISABLE="broden",
    )
    assert done.returncode == 3
    assert "has no reader here" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_written(nd: Nd, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = nd(
        *("concepts", "fetch", "broden", "--url", "http://127.0.0.1:1/a.zip"),
        ND_CACHE=str(tmp_path / "file"),
    )
    assert done.returncode == 1
    assert "cannot be written" in done.stderr


def test_a_damaged_note_is_named(
    server: HostileServer, fetch: Nd, archive: bytes, tmp_path: Path
) -> None:
    note = tmp_path / "cache" / "concept_sets" / f"{TOP}.json"
    note.parent.mkdir(parents=True)
    note.write_text('{"format": 1, "set": 3}')
    url = server.serve("/a.zip", Served(archive))
    done = fetch("--url", url)
    assert done.returncode == 2
    assert f"{note} is damaged" in done.stderr
    assert "remove it; the next fetch writes it anew" in done.stderr
    assert server.questions == []


def test_help_and_imports_stay_light() -> None:
    code = (
        "import sys, nd_plugin.cli.app, nd_plugin, nd_broden\n"
        "heavy = {'pooch', 'requests', 'urllib3', 'platformdirs', 'torch'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_progress_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from nd_plugin.cli.concept_sets.byte_progress import Progress

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with Progress() as progress:
        progress("download", 2**20, 2**21)
        progress.say("something")
        progress("download", 2**21, None)
        progress("unpack", 1, 2)
    text = capsys.readouterr().err
    assert "download:  50%" in text
    assert "something" in text
    assert "unpack:  50%" in text


def test_progress_elsewhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from nd_plugin.cli.concept_sets import byte_progress

    monkeypatch.setattr(byte_progress, "LINE_INTERVAL", -1.0)
    with byte_progress.Progress() as progress:
        progress("download", 2**20, 2**21)
        progress("download", 2**20, None)
        progress("unpack", 1, 2)
    assert capsys.readouterr().err.splitlines() == [
        "download: 1.0 MiB of 2.0 MiB",
        "download: 1.0 MiB of an unknown number",
        "unpack: 1 files of 2 files",
    ]
