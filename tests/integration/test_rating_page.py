"""Rating page in a real browser: votes survive a reload, a closed browser and a killed server."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from browsers import FAINT_TEXTS, PATIENCE, UNNAMED_CONTROLS, chromium
from made_ratings import large_dissection

from nd_plugin import (
    Concept,
    Dissection,
    Identity,
    Provenance,
    Settings,
)
from nd_plugin.rating.table import rating_table
from nd_plugin.rating.vote_import import read_votes
from nd_plugin.rating.votes import VoteFile
from nd_plugin.results.run_folder import save_run

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed"
)
UNITS = 6
TESTS = Path(__file__).parents[1]
Page = Any


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as process:
        yield process


@pytest.fixture
def context(browser: Any) -> Iterator[Any]:
    """Browser of one person, with storage and cookies of its own; errors fail the test."""
    problems: list[str] = []
    person = browser.new_context(accept_downloads=True)
    person.set_default_timeout(PATIENCE)
    watch(person, problems)
    yield person
    person.close()
    assert problems == []


def watch(person: Any, problems: list[str]) -> None:
    """Collect errors of scripts, violations of the policy, and requests that leave the machine."""

    def check_request(request: Any) -> None:
        host = urlsplit(request.url).hostname
        if host not in (None, "", "127.0.0.1"):
            problems.append(f"request to {request.url}")

    def check_message(message: Any) -> None:
        # A server that was killed on purpose cannot be reached.
        if message.type == "error" and "net::ERR_" not in message.text:
            problems.append(message.text)

    person.on("request", check_request)
    person.on("console", check_message)
    person.on("weberror", lambda error: problems.append(str(error.error)))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Run of six units with pictures."""
    empty: Any = np.zeros(0)
    small = Dissection(
        layer="conv",
        categories=(),
        concepts=(Concept("x", "object"),),
        thresholds=empty,
        intersection=empty,
        unit_area=empty,
        concept_area=empty,
        category_images=empty,
        dead=empty,
        sparse=empty,
        locations=1000,
        top_images=empty,
        top_activations=empty,
        image_names=("a.jpg", "b.jpg", "c.jpg", "d.jpg"),
        skipped=(),
        settings=Settings(),
        provenance=Provenance(
            model=Identity("Net", "pkg:Net", "1", "abc"),
            concept_set=Identity("masks", "masks:here", "1", "def"),
            backend="torch",
            device="cpu",
            preprocess={},
            geometry={},
            versions={},
            started="2026-01-01T00:00:00+00:00",
            seconds=1.0,
        ),
    )
    return save_run(tmp_path / "run", [large_dissection(small, UNITS)])


@pytest.fixture
def descriptions(tmp_path: Path) -> Path:
    """People's descriptions of all units; one of them is no harmless text."""
    path = tmp_path / "people.csv"
    lines = [f"{unit},description {unit}" for unit in range(UNITS - 1)]
    lines.append(f'{UNITS - 1},"</script><img src=x onerror=alert(1)>"')
    path.write_text("\n".join(["unit,description", *lines]))
    return path


class Server:
    """``nd rate`` in a process of its own."""

    def __init__(self, run: Path, port: int, *options: str) -> None:
        command = [
            sys.executable,
            "-m",
            "nd_plugin",
            "rate",
            str(run),
            "--port",
            str(port),
        ]
        paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.process = subprocess.Popen(
            [*command, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
        assert self.process.stdout
        self.url = self.process.stdout.readline().strip()
        assert self.url.startswith("http://127.0.0.1:"), self.process.wait(60)

    def kill(self) -> None:
        """End the process without any chance to save something."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(60)
        assert self.process.stdout
        self.process.stdout.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def serve(run: Path, descriptions: Path) -> Iterator[Callable[[int], Server]]:
    """Start ``nd rate``; whatever still runs at the end is killed."""
    servers: list[Server] = []

    def start(port: int) -> Server:
        servers.append(Server(run, port, "--descriptions", str(descriptions)))
        return servers[-1]

    yield start
    for server in servers:
        with contextlib.suppress(ProcessLookupError):
            server.kill()


def join(page: Page, name: str) -> None:
    page.fill("#rater", name)
    page.click("text=Begin")
    page.wait_for_selector("#rating:not([hidden])")


def phrase(page: Page) -> str:
    return str(page.text_content("#phrase")).strip("“”")


def answer(page: Page, key: str) -> None:
    """Press a key when the page takes answers: all pictures are there."""
    wait_until_ready(page)
    page.keyboard.press(key)


def wait_until_ready(page: Page) -> None:
    section = page.locator("#rating")
    sync_api.expect(section).to_have_attribute(
        "data-ready", "true", timeout=PATIENCE
    )


def wait_until_saved(page: Page) -> None:
    wait_for_text(page, "#status", "All answers are saved.")


def wait_for_place(page: Page, text: str) -> None:
    wait_for_text(page, "#place", text)


def wait_for_text(page: Page, selector: str, text: str) -> None:
    sync_api.expect(page.locator(selector)).to_contain_text(text, timeout=PATIENCE)


def wait_for_pictures(page: Page, count: int) -> None:
    """Wait until pictures are there, each with its pixels."""
    pictures = page.locator("#pictures img")
    sync_api.expect(pictures).to_have_count(count, timeout=PATIENCE)
    for index in range(count):
        picture = pictures.nth(index)
        sync_api.expect(picture).to_have_js_property(
            "naturalWidth", 240, timeout=PATIENCE
        )


def answers_of(run: Path, rater: str) -> dict[str, bool]:
    """Return what the file of votes says, by phrase and unit."""
    with VoteFile.open(run / "ratings.sqlite") as votes:
        asked = {item.identifier: item for item in votes.study().questions}
        answers = votes.answers(rater)
    return {
        f"{asked[name].unit}: {asked[name].phrase}": is_yes
        for name, is_yes in answers.items()
    }


def test_votes_survive_a_reload_and_a_killed_server(
    context: Any, run: Path, serve: Callable[[int], Server]
) -> None:
    port = free_port()
    server = serve(port)
    page = context.new_page()
    page.goto(server.url)
    assert "token" not in page.url
    join(page, "Ann")
    wait_for_place(page, f"question 1 of {2 * UNITS}")
    wait_for_pictures(page, 3)
    shown = [phrase(page)]
    answer(page, "y")
    wait_for_place(page, "question 2 of")
    shown.append(phrase(page))
    wait_until_ready(page)
    page.click("#no")
    wait_for_place(page, "question 3 of")
    wait_until_saved(page)
    assert sorted(answers_of(run, "Ann").values()) == [False, True]

    # a reload continues at the same question, and the answers are there to be looked at
    third = phrase(page)
    page.reload()
    wait_for_place(page, "question 3 of")
    assert phrase(page) == third
    page.keyboard.press("ArrowLeft")
    assert phrase(page) == shown[1]
    assert page.get_attribute("#no", "aria-pressed") == "true"
    assert page.get_attribute("#yes", "aria-pressed") == "false"
    page.keyboard.press("ArrowRight")
    assert phrase(page) == third

    # the server is killed: an answer waits in the browser, and is not lost
    wait_until_ready(page)
    server.kill()
    answer(page, "y")
    wait_for_text(page, "#status", "1 answer is kept in this browser")
    wait_for_place(page, "question 4 of")
    assert len(answers_of(run, "Ann")) == 2
    server = serve(port)
    wait_until_saved(page)
    assert sorted(answers_of(run, "Ann").values()) == [False, True, True]

    # killed once more, and the browser closed: the next one has all that was answered
    wait_until_ready(page)
    server.kill()
    answer(page, "y")
    wait_for_place(page, "question 5 of")
    page.close()
    assert len(answers_of(run, "Ann")) == 3
    server = serve(port)
    page = context.new_page()
    page.goto(server.url)
    wait_for_place(page, "question 5 of")
    wait_until_saved(page)
    assert sorted(answers_of(run, "Ann").values()) == [False, True, True, True]
    # a changed mind
    page.keyboard.press("ArrowLeft")
    answer(page, "n")
    wait_for_place(page, "question 5 of")
    wait_until_saved(page)
    assert sum(answers_of(run, "Ann").values()) == 2


def test_a_double_tap_is_one_answer(
    context: Any, run: Path, serve: Callable[[int], Server]
) -> None:
    server = serve(0)
    page = context.new_page()
    page.goto(server.url)
    join(page, "Ann")
    wait_until_ready(page)
    # two clicks in one task: the next question cannot have been seen in between
    page.evaluate(
        "() => { const yes = document.getElementById('yes'); yes.click(); yes.click(); }"
    )
    wait_for_place(page, "question 2 of")
    wait_until_saved(page)
    wait_until_ready(page)
    assert list(answers_of(run, "Ann").values()) == [True]
    assert "question 2 of" in str(page.text_content("#place"))


def test_two_raters_rate_everything_and_the_table_follows(
    browser: Any, context: Any, run: Path, serve: Callable[[int], Server]
) -> None:
    server = serve(0)
    orders: dict[str, list[str]] = {}
    for name in ("Ann", "Bob"):
        person = context if name == "Ann" else browser.new_context()
        page = person.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(server.url)
        join(page, name)
        orders[name] = []
        for number in range(1, 2 * UNITS + 1):
            wait_for_place(page, f"question {number} of")
            orders[name].append(phrase(page))
            is_description = "description" in phrase(page)
            answer(page, "y" if is_description or name == "Ann" else "n")
        page.wait_for_selector("#done:not([hidden])")
        wait_until_saved(page)
        if name == "Bob":
            person.close()
    # each has an order of its own, in which labels and descriptions are mixed
    assert orders["Ann"] != orders["Bob"]
    assert sorted(orders["Ann"]) == sorted(orders["Bob"])
    for order in orders.values():
        kinds = ["description" in text for text in order]
        assert kinds != sorted(kinds) and kinds != sorted(kinds, reverse=True)
    # the phrase that looks like HTML was a text
    hostile = "</script><img src=x onerror=alert(1)>"
    assert hostile in orders["Ann"]
    with VoteFile.open(run / "ratings.sqlite") as votes:
        table = rating_table(votes.study(), votes.votes())
    total = table.rows[-1]
    assert (
        total.interpretable and total.human_consistency and total.network_dissection
    )
    assert (table.votes, table.raters) == (4 * UNITS, 2)
    # Ann, who joined first, accepts all; Bob accepts descriptions but the hostile one.
    assert total.interpretable.accepted == UNITS
    assert total.human_consistency.accepted == UNITS - 1
    assert total.network_dissection.accepted == 0


def test_the_same_name_continues_on_another_device(
    browser: Any, context: Any, serve: Callable[[int], Server]
) -> None:
    server = serve(0)
    page = context.new_page()
    page.goto(server.url)
    join(page, "Ann")
    answer(page, "y")
    wait_for_place(page, "question 2 of")
    wait_until_saved(page)
    second = phrase(page)
    phone = browser.new_context(
        viewport={"width": 390, "height": 800}, has_touch=True
    )
    page = phone.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(server.url)
    join(page, " Ann ")
    wait_for_place(page, "question 2 of")
    assert phrase(page) == second
    # on a phone: nothing is wider than the screen, and the buttons are in sight
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    bar = page.locator("#yes").bounding_box()
    assert bar and bar["y"] + bar["height"] <= 800 and bar["height"] >= 44
    wait_until_ready(page)
    page.tap("#no")
    wait_for_place(page, "question 3 of")
    phone.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_and_controls_have_names(
    browser: Any, serve: Callable[[int], Server], scheme: str
) -> None:
    server = serve(0)
    person = browser.new_context(color_scheme=scheme)
    page = person.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(server.url)
    assert page.evaluate(FAINT_TEXTS) == []
    assert page.evaluate(UNNAMED_CONTROLS) == []
    join(page, "Ann")
    answer(page, "y")
    wait_for_place(page, "question 2 of")
    wait_until_saved(page)
    page.keyboard.press("ArrowLeft")
    assert page.get_attribute("#yes", "aria-pressed") == "true"
    assert page.evaluate(FAINT_TEXTS) == []
    assert page.evaluate(UNNAMED_CONTROLS) == []
    assert page.locator("img:not([alt]), img[alt='']").count() == 0
    person.close()


def test_a_page_without_the_key_shows_nothing(
    context: Any, serve: Callable[[int], Server]
) -> None:
    server = serve(0)
    address = server.url.partition("?")[0]
    # not through a page, whose failed request would be an error on its console
    response = context.request.get(address)
    assert response.status == 403
    assert "Open the address that nd rate printed" in response.text()


def test_the_exported_page_saves_its_votes_to_a_file(
    context: Any, run: Path, descriptions: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "nd_plugin", "rate", str(run)]
    options = [
        "--descriptions",
        str(descriptions),
        "--export",
        str(tmp_path / "page"),
    ]
    subprocess.run([*command, *options], check=True, capture_output=True)
    address = (tmp_path / "page" / "index.html").as_uri()
    page = context.new_page()
    page.goto(address)
    join(page, "Zoë/1")
    wait_for_pictures(page, 3)
    for number in range(1, 5):
        wait_for_place(page, f"question {number} of")
        answer(page, "y" if number % 2 else "n")
    wait_for_place(page, "question 5 of")
    # nothing is lost when the page is closed before the file is saved; the browser has
    # written what the page stored when it has left it
    page.goto("about:blank")
    page.close()
    page = context.new_page()
    page.goto(address)
    wait_for_place(page, "question 5 of")
    assert "Not saved to a file yet" in str(page.text_content("#save-text"))
    with page.expect_download() as saving:
        page.click("#save")
    assert saving.value.suggested_filename == "votes-Zoë-1.json"
    saved = tmp_path / "votes.json"
    saving.value.save_as(saved)
    assert "All are saved in the file" in str(page.text_content("#save-text"))
    answer(page, "y")
    assert "Not saved to a file yet" in str(page.text_content("#save-text"))
    with VoteFile.open(run / "ratings.sqlite") as votes:
        read = read_votes(saved, votes.name)
    assert sorted(vote.is_yes for vote in read) == [False, False, True, True]
    done = subprocess.run(
        [*command, "--import", str(saved), "--table", "--json"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert '"votes": 4' in done.stdout
    assert len(answers_of(run, "Zoë/1")) == 4
