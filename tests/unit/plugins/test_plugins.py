"""Plugins are found, loaded, chosen and called, from distributions on disk as pip leaves them."""

from __future__ import annotations

import importlib
import inspect
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pluggy
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from nd_plugin import (
    Annotation,
    BackendSpec,
    BadInput,
    Concept,
    ConceptSetInvalid,
    Dissection,
    Identity,
    LayerDissection,
    ModelNotFound,
    ModelOptions,
    Preprocess,
    SpecText,
    Unavailable,
    open_concepts,
    open_model,
)
from nd_plugin.cli.app import app
from nd_plugin.errors import PluginConflict
from nd_plugin.plugins import hookspecs
from nd_plugin.plugins.host import host
from nd_plugin.plugins.loading import DISABLE, HOOKS, Plugin

OURS = f"nd_plugin {version('nd_plugin')}"
OURS_LOADED = {
    "torch": "loaded",
    "masks": "loaded",
    "broden": "loaded",
    "reports": "loaded",
}
PUBLIC = (
    "from nd_plugin import Annotation, BackendSpec, Concept, ConceptSetSpec, Identity\n"
    "from nd_plugin import ReporterSpec, hookimpl\n"
)
Install = Callable[..., None]


@pytest.fixture
def install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_host: None
) -> Iterator[Install]:
    """Install a distribution; entry point ``plugin`` names its module ``<distribution>_plugin``."""
    monkeypatch.delenv(DISABLE, raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)
    modules: list[str] = []

    def install(
        distribution: str, plugin: str, source: str, metadata: str | None = None
    ) -> None:
        stem = distribution.replace("-", "_")
        modules.append(f"{stem}_plugin")
        (tmp_path / f"{stem}_plugin.py").write_text(PUBLIC + dedent(source))
        information = tmp_path / f"{stem}-1.0.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
            if metadata is None
            else metadata
        )
        (information / "entry_points.txt").write_text(
            f"[nd_plugin]\n{plugin} = {stem}_plugin\n"
        )
        importlib.invalidate_caches()

    monkeypatch.syspath_prepend(tmp_path)
    yield install
    for name in modules:
        sys.modules.pop(name, None)


def backend(name: str, match: str, factory: str = "nowhere:Backend") -> str:
    return f"""
        @hookimpl
        def nd_backends():
            return [BackendSpec({name!r}, "of a test", {factory!r}, lambda model: {match})]
    """


def concept_set(name: str, factory: str = "nowhere:Concepts") -> str:
    return f"""
        @hookimpl
        def nd_concept_sets():
            return [ConceptSetSpec({name!r}, "of a test", {factory!r})]
    """


WITNESS = """
    seen = []

    @hookimpl
    def nd_dissection_finished(dissection):
        seen.append((dissection.layer, dissection.units))
"""


def plugins() -> dict[str, Plugin]:
    """By distribution and name."""
    return {
        f"{plugin.distribution}/{plugin.name}": plugin for plugin in host().plugins
    }


def states() -> dict[str, str]:
    """By name, of those that no test installed."""
    return {
        plugin.name: plugin.state
        for plugin in host().plugins
        if plugin.distribution == "nd_plugin"
    }


def nd(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def stdout_of(result: Result) -> str:
    """What a command printed, its lines joined."""
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.split())


SPY = """
import sys
import nd_plugin

def heavy():
    found = {"captum", "matplotlib", "onnx", "onnxruntime", "pandas", "torch"} & set(sys.modules)
    print("heavy:", sorted(found), file=sys.stderr)

try:
    if len(sys.argv) > 1:
        from nd_plugin.cli import main
        main()
finally:
    heavy()
"""


@pytest.mark.parametrize(
    "arguments",
    [[], ["--help"], ["dissect", "--help"], ["plugins"], ["plugins", "--json"]],
)
def test_listing_imports_nothing_heavy(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SPY, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "heavy: []"


def test_every_hook_is_documented_and_tested_here() -> None:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    hooks = [name for name in vars(manager.hook) if not name.startswith("_")]
    assert set(HOOKS) < set(hooks)
    assert [
        hook for hook in hooks if not inspect.getdoc(getattr(hookspecs, hook))
    ] == []
    assert [
        hook
        for hook in hooks
        if not any(name.startswith(f"test_{hook}_") for name in globals())
    ] == []


def test_nd_backends_opens_what_it_matches_most_strongly(install: Install) -> None:
    opens = """
        class Toy:
            backend = "toys"
            preprocess = device = None
            notes = ()

            def __init__(self, model, options):
                source = f"{model} opened with {options.device}"
                self.identity = Identity("toy", source, "1", "")

            def layers(self, size):
                return []

            def probe(self, layers, size):
                raise NotImplementedError

        class Backend:
            def open(self, model, options):
                return Toy(model, options)
    """
    install(
        "nd-toys",
        "toys",
        opens
        + backend(
            "toys", "20 * str(model).startswith('toy:')", "nd_toys_plugin:Backend"
        ),
    )
    assert (
        open_model("toy:car?wheels=3", ModelOptions("cpu")).identity.source
        == "toy:car?wheels=3 opened with cpu"
    )
    # nobody's but nd_torch's, for which it is a module's factory
    best = host().best(BackendSpec, "toys:car")
    assert best is not None and best.plugin.name == "torch"


TOYS = """
    class Toys:
        native_masks = False
        categories = ("kind",)
        concepts = (Concept("car", "kind"),)

        def __init__(self, argument, *, images="2", seed="0"):
            self.identity = Identity("toys", argument, "1", seed)
            self.images = int(images)

        def __len__(self):
            return self.images

        def name(self, index):
            return str(index)

        def image(self, index):
            raise OSError

        def annotation(self, index):
            return Annotation([])

    @hookimpl
    def nd_concept_sets():
        claims = lambda text: 7 if text.endswith(".toy") else 0
        return [ConceptSetSpec(
            "toys", "of a test", "nd_toys_plugin:Toys", claims, ("toys:BOX", "FILE.toy")
        )]
"""


def test_nd_concept_sets_opens_by_name_with_argument_and_options(
    install: Install,
) -> None:
    install("nd-toys", "toys", TOYS)
    opened = open_concepts("toys:a/box?images=5")
    assert (len(opened), opened.identity.source, opened.identity.fingerprint) == (
        5,
        "a/box",
        "0",
    )
    assert open_concepts("toys").identity.source == ""
    assert open_concepts(opened) is opened


def test_nd_concept_sets_opens_by_match_with_the_whole_text(
    install: Install,
) -> None:
    install("nd-toys", "toys", TOYS)
    assert open_concepts("shelf:2?box=3.toy").identity.source == "shelf:2?box=3.toy"


def test_an_unknown_option_lists_those_that_are_known(install: Install) -> None:
    install("nd-toys", "toys", TOYS)
    with pytest.raises(
        BadInput,
        match="concept set 'toys' has no option 'image'; it takes images, seed",
    ):
        open_concepts("toys?image=5&seed=1")


def test_nd_reporters_writes_reports(install: Install, tmp_path: Path) -> None:
    loud = """
        def loud(reports):
            return " ".join(report.layer.upper() for report in reports)

        @hookimpl
        def nd_reporters():
            return [ReporterSpec("loud", "of a test", "nd_loud_plugin:loud")]
    """
    install("nd-loud", "loud", loud)
    csv = tmp_path / "conv5.csv"
    csv.write_text(
        "unit,category,label,score,object-label,object-iou\n1,object,dog,0.2,dog,0.2\n"
    )
    assert stdout_of(nd("report", str(csv), "--format", "loud")) == "CONV5"
    unknown = nd("report", str(csv), "--format", "quiet")
    assert isinstance(
        unknown.exception, BadInput
    ) and "known are csv, html, json, latex, loud" in str(unknown.exception)


LOUD = """
    def loud(reports):
        return " ".join(report.layer.upper() for report in reports)

    @hookimpl
    def nd_reporters():
        factory = "nd_{name}_plugin:loud"
        return [ReporterSpec("{name}", "of a test", factory, (".Loud.csv",))]
"""


@pytest.fixture
def conv5(tmp_path: Path) -> str:
    """A NetDissect CSV file of one unit."""
    path = tmp_path / "conv5.csv"
    head = "unit,category,label,score,object-label,object-iou"
    path.write_text(f"{head}\n1,object,dog,0.2,dog,0.2\n")
    return str(path)


def test_a_reporter_claims_endings_of_files(
    install: Install, conv5: str, tmp_path: Path
) -> None:
    install("nd-loud", "loud", LOUD.replace("{name}", "loud"))
    for name in ("r.loud.csv", "R.LOUD.CSV"):
        nd("report", conv5, "-o", str(tmp_path / name))
        assert (tmp_path / name).read_text() == "CONV5", (
            "the longest ending decides"
        )
    nd("report", conv5, "-o", str(tmp_path / "r.csv"))
    assert (tmp_path / "r.csv").read_text().startswith("layer,unit,")


def test_two_reporters_that_claim_one_ending(
    install: Install, conv5: str, tmp_path: Path
) -> None:
    install("nd-loud", "loud", LOUD.replace("{name}", "loud"))
    install("nd-rival", "rival", LOUD.replace("{name}", "rival"))
    conflict = nd("report", conv5, "-o", str(tmp_path / "x.loud.csv")).exception
    assert isinstance(conflict, PluginConflict)
    assert "the ending '.loud.csv' is claimed by" in str(conflict)
    assert "nd-loud" in str(conflict) and "nd-rival" in str(conflict)


class Dots:
    """Two images, one bright pixel each."""

    native_masks = True
    categories = ("thing",)
    concepts = (Concept("dot", "thing"),)
    identity = Identity("dots", "a test", "1", "1")

    def __len__(self) -> int:
        return 2

    def name(self, index: int) -> str:
        return f"dots-{index}"

    def image(self, index: int) -> Image.Image:
        return Image.fromarray(
            255 * np.asarray(self.annotation(index).planes[0], dtype=np.uint8)
        )

    def annotation(self, index: int) -> Annotation:
        plane = np.zeros((16, 16), np.int32)
        plane[index, index] = 1
        return Annotation([plane])


def dissect() -> Dissection:
    from torch import nn

    model = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU())
    found = LayerDissection(model, "1").dissect(
        Dots(), preprocess=Preprocess(size=(16, 16)), workers=0
    )
    assert isinstance(found, Dissection)
    return found


def seen(distribution: str) -> Any:
    return sys.modules[f"{distribution}_plugin"].seen


def test_nd_dissection_finished_is_called_with_each_dissection(
    install: Install,
) -> None:
    counts = """
        seen = []

        @hookimpl
        def nd_dissection_finished():
            seen.append("finished")
    """
    install("nd-witness", "witness", WITNESS)
    install("nd-counts", "counts", counts)
    dissect()
    dissect()
    assert seen("nd_witness") == [("1", 2), ("1", 2)]
    assert seen("nd_counts") == ["finished", "finished"]


def test_nd_dissection_finished_may_fail_and_is_named(install: Install) -> None:
    grumpy = """
        @hookimpl
        def nd_dissection_finished(dissection):
            raise ValueError("not today")
    """
    install("nd-early", "early", WITNESS)
    install("nd-grumpy", "grumpy", grumpy)
    install("nd-late", "late", WITNESS)
    with pytest.warns(
        RuntimeWarning,
        match="'grumpy.*' failed after the dissection of 1: ValueError: not today",
    ):
        found = dissect()
    assert found.units == 2
    assert seen("nd_early") == seen("nd_late") == [("1", 2)]


def test_nd_dissection_finished_of_a_broken_plugin_is_not_called(
    install: Install,
) -> None:
    install(
        "nd-half",
        "half",
        WITNESS + "\n    @hookimpl\n    def nd_backend():\n        return []\n",
    )
    assert plugins()["nd-half/half"].state == "broken"
    dissect()
    assert seen("nd_half") == []


BROKEN = {
    "module that is missing": (
        "import no_such_library",
        "ModuleNotFoundError: No module named 'no_such_library'",
    ),
    "no Python": ("def", "SyntaxError"),
    "hook that raises": (
        "@hookimpl\ndef nd_backends():\n    raise RuntimeError('out of order')",
        "RuntimeError: out of order",
    ),
    "hook that gives texts": (
        "@hookimpl\ndef nd_backends():\n    return ['torch']",
        "nd_backends() gave 'torch', which is no BackendSpec",
    ),
    "hook that gives another hook's": (
        "@hookimpl\ndef nd_backends():\n    return [ReporterSpec('x', '', 'y:z')]",
        "which is no BackendSpec",
    ),
    "hook that gives nothing": (
        "@hookimpl\ndef nd_concept_sets():\n    pass",
        "TypeError",
    ),
    "hook that is unknown": (
        "@hookimpl\ndef nd_backend():\n    return []",
        "unknown hook 'nd_backend'",
    ),
    "argument that is unknown": (
        "@hookimpl\ndef nd_dissection_finished(result):\n    pass",
        "{'result'}",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_plugin_is_named_and_the_others_work(
    install: Install, what: str
) -> None:
    source, problem = BROKEN[what]
    install("nd-brittle", "a-brittle", source)
    install("nd-toys", "z-toys", TOYS)
    brittle = plugins()["nd-brittle/a-brittle"]
    assert (brittle.state, brittle.offers) == ("broken", ())
    assert problem in brittle.problem
    assert OURS_LOADED.items() <= states().items()
    assert len(open_concepts("toys")) == 2
    assert "! plugin 'a-brittle' of nd-brittle 1.0: " in stdout_of(nd("plugins"))
    with pytest.raises(
        ConceptSetInvalid,
        match=r"'a-brittle' of nd-brittle 1\.0 is broken: see nd plugins",
    ):
        open_concepts("nonsense")


def test_an_entry_point_that_is_no_module_is_named(install: Install) -> None:
    install("nd-brittle", "brittle = no-module!\nfine", TOYS)
    assert plugins()["nd-brittle/brittle"].state == "broken"
    assert plugins()["nd-brittle/fine"].state == "loaded"


def test_a_plugin_that_exits_is_named_and_the_others_work(install: Install) -> None:
    install(
        "nd-leaver", "leaver", "raise SystemExit('this library needs a licence')"
    )
    try:
        found = plugins()
    except SystemExit:
        pytest.fail("the plugin took the host down")
    assert found["nd-leaver/leaver"].state == "broken"
    assert "needs a licence" in found["nd-leaver/leaver"].problem
    assert OURS_LOADED.items() <= states().items()


def test_a_spec_of_a_subclass_is_a_spec(install: Install) -> None:
    heirs = """
        class Spec(ConceptSetSpec):
            pass

        @hookimpl
        def nd_concept_sets():
            return [Spec("heirs", "of a test", "nowhere:Heirs")]
    """
    install("nd-heirs", "heirs", heirs)
    assert plugins()["nd-heirs/heirs"].offers == ("concept set heirs",)


def test_a_distribution_without_metadata_does_no_harm(install: Install) -> None:
    # an uninstallation that was cut short
    install("nd-remains", "torch", WITNESS, metadata="")
    assert OURS_LOADED.keys() <= states().keys()
    assert "torch" in stdout_of(nd("plugins"))


def test_two_concept_sets_of_one_name_are_an_error_that_names_both(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("nd-other-masks", "another", concept_set("masks"))
    assert {p.name for p in host().plugins if p.state == "conflict"} == {
        "another",
        "masks",
    }
    listed = stdout_of(nd("plugins"))
    assert (
        f"! plugin 'another' of nd-other-masks 1.0: concept set masks also comes from {OURS}"
        in listed
    )
    assert (
        f"! plugin 'masks' of {OURS}: concept set masks also comes from nd-other-masks 1.0"
        in listed
    )
    with pytest.raises(PluginConflict) as caught:
        open_concepts("masks:somewhere")
    assert "plugin 'another' of nd-other-masks 1.0" in str(caught.value)
    assert f"plugin 'masks' of {OURS}" in str(caught.value)
    remedy = f"{DISABLE}=nd-other-masks"
    assert remedy in str(caught.value)
    monkeypatch.setenv(*remedy.split("="))
    host.cache_clear()
    assert {plugin.state for plugin in host().plugins} == {"loaded", "blocked"}
    with pytest.raises(ConceptSetInvalid, match="no folder 'somewhere'"):
        open_concepts("masks:somewhere")


def test_a_conflict_leaves_everything_else_alone(install: Install) -> None:
    install("nd-other-masks", "other-masks", concept_set("masks"))
    install("nd-toys", "toys", TOYS)
    assert len(open_concepts("toys")) == 2
    assert open_model("torch.nn:Identity").backend == "torch"


def test_two_plugins_of_one_name_are_an_error_that_names_both(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("nd-toys", "toys", TOYS)
    install("nd-more-toys", "toys", concept_set("toys"))
    found = plugins()
    assert (
        found["nd-toys/toys"].state
        == found["nd-more-toys/toys"].state
        == "conflict"
    )
    assert (
        "plugin toys, concept set toys also comes from nd-more-toys 1.0"
        in found["nd-toys/toys"].problem
    )
    assert (
        "plugin toys, concept set toys also comes from nd-toys 1.0"
        in found["nd-more-toys/toys"].problem
    )
    with pytest.raises(
        PluginConflict,
        match=r"of nd-more-toys 1\.0 and plugin 'toys' of nd-toys 1\.0",
    ):
        open_concepts("toys")
    monkeypatch.setenv(DISABLE, "nd-more-toys")
    host.cache_clear()
    assert plugins()["nd-toys/toys"].state == "loaded", (
        "what is blocked is in nobody's way"
    )
    assert len(open_concepts("toys")) == 2


def test_two_plugins_of_one_name_are_listed_as_a_conflict_whatever_they_offer(
    install: Install,
) -> None:
    install("nd-toys", "extra", TOYS)
    install("nd-bricks", "extra", concept_set("bricks"))
    listed = stdout_of(nd("plugins"))
    assert (
        "! plugin 'extra' of nd-toys 1.0: plugin extra also comes from nd-bricks 1.0"
        in listed
    )
    assert (
        "! plugin 'extra' of nd-bricks 1.0: plugin extra also comes from nd-toys 1.0"
        in listed
    )


@pytest.mark.parametrize("rival", ["another guest", "nd_torch"])
def test_a_tie_is_an_error_that_names_both(install: Install, rival: str) -> None:
    ours = rival == "nd_torch"
    install("nd-toys", "toys", backend("toys", "10" if ours else "11"))
    if not ours:
        install("nd-bricks", "bricks", backend("bricks", "11"))
    assert {plugin.state for plugin in host().plugins} == {"loaded"}, (
        "each is fine for what it alone claims"
    )
    with pytest.raises(PluginConflict) as caught:
        open_model("some.module:factory")
    assert "'some.module:factory' is claimed by " in str(caught.value)
    assert "plugin 'toys' of nd-toys 1.0" in str(caught.value)
    assert (
        f"plugin 'torch' of {OURS}" if ours else "plugin 'bricks' of nd-bricks 1.0"
    ) in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_match_that_fails_is_named_and_out_of_the_choice(
    install: Install,
) -> None:
    install("nd-toys", "toys", backend("toys", "model.colour"))
    with pytest.warns(
        RuntimeWarning,
        match=r"plugin 'toys' of nd-toys 1\.0 failed to match: AttributeError",
    ):
        assert open_model("torch.nn:Identity").backend == "torch"


@pytest.mark.parametrize("blocked", ["toys", "nd-toys", " nothing, toys ,"])
def test_blocked_by_its_name_or_by_its_distribution(
    install: Install, monkeypatch: pytest.MonkeyPatch, blocked: str
) -> None:
    install("nd-toys", "toys", TOYS)
    monkeypatch.setenv(DISABLE, blocked)
    toys = plugins()["nd-toys/toys"]
    assert (toys.state, toys.offers, toys.problem) == (
        "blocked",
        (),
        f"blocked by {DISABLE}",
    )
    assert "nd_toys_plugin" not in sys.modules, (
        "what is blocked is not even imported"
    )
    assert OURS_LOADED.items() <= states().items()
    with pytest.raises(
        Unavailable, match=r"plugin 'toys' of nd-toys 1\.0, which is blocked"
    ):
        open_concepts("toys")


def test_blocking_a_distribution_blocks_all_its_plugins(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("nd-toys", "toys", TOYS)
    monkeypatch.setenv(DISABLE, "nd_plugin")
    assert set(states().values()) == {"blocked"}
    assert len(open_concepts("toys")) == 2
    with pytest.raises(ModelNotFound, match="known are none"):
        open_model("torch.nn:Identity")


def test_a_blocked_plugin_is_not_told_of_dissections(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(
        "nd-grumpy",
        "grumpy",
        "@hookimpl\ndef nd_dissection_finished(dissection):\n    raise ValueError",
    )
    monkeypatch.setenv(DISABLE, "grumpy")
    assert dissect().units == 2


def test_json_lists_every_plugin_with_its_state(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("nd-brittle", "brittle", "import no_such_library")
    install("nd-toys", "toys", TOYS)
    monkeypatch.setenv(DISABLE, "toys")
    listed = {
        plugin["name"]: plugin
        for plugin in json.loads(nd("plugins", "--json").stdout)["plugins"]
    }
    assert listed["masks"]["offers"] == ["concept set masks"]
    assert listed["torch"]["offers"] == ["backend torch"]
    assert listed["toys"]["state"] == "blocked"
    assert listed["brittle"] == {
        "name": "brittle",
        "distribution": "nd-brittle",
        "version": "1.0",
        "state": "broken",
        "problem": "ModuleNotFoundError: No module named 'no_such_library'",
        "offers": [],
    }


@pytest.mark.parametrize(
    "factory", ["no_such_library:Thing", "nd_toys_plugin:Missing", "nd_toys_plugin"]
)
def test_a_factory_that_cannot_be_loaded_names_the_plugin(
    install: Install, factory: str
) -> None:
    install(
        "nd-toys",
        "toys",
        concept_set("toys", factory) + backend("toys", "99", factory),
    )
    for choose in (lambda: open_concepts("toys"), lambda: open_model("anything")):
        with pytest.raises(
            Unavailable,
            match=r"'toys' cannot be loaded from plugin 'toys' of nd-toys 1\.0",
        ) as caught:
            choose()
        assert caught.value.exit_code == 3


def test_an_unknown_concept_set_lists_what_is_known(install: Install) -> None:
    install("nd-toys", "toys", TOYS)
    with pytest.raises(ConceptSetInvalid) as caught:
        open_concepts("mask:here")
    assert "no concept set 'mask:here'; the nearest is 'masks'; known are " in str(
        caught.value
    )
    assert "masks:ROOT" in str(caught.value) and "toys:BOX, FILE.toy" in str(
        caught.value
    )


@pytest.mark.parametrize(
    ("model", "shown"), [("no such model", "'no such model'"), (3, "a int")]
)
def test_an_unknown_model_lists_what_is_known(
    install: Install, model: object, shown: str
) -> None:
    install("nd-toys", "toys", backend("toys", "0"))
    with pytest.raises(ModelNotFound) as caught:
        open_model(model)
    assert (
        f"no backend opens {shown}; known are FILE.onnx, an onnx.ModelProto, torchvision:NAME"
        in str(caught.value)
    )
    assert str(caught.value).endswith(", toys"), (
        "a backend that says not what to type goes by its name"
    )


def changed(**members: object) -> object:
    return type("Changed", (Dots,), members)()


@pytest.mark.parametrize(
    ("concepts", "problem"),
    [
        (3, "int is no concept set"),
        (changed(__len__=lambda self: 0), "a test has no images"),
        (changed(concepts=()), "a test has no concepts"),
        (
            changed(categories=("thing", "place")),
            "no concept in 'place': leave it out",
        ),
        (
            changed(
                categories=("place",),
                concepts=(Concept("sea", "place"), Concept("dot", "thing")),
            ),
            "thing",
        ),
    ],
)
def test_what_is_no_sound_concept_set_is_refused(
    concepts: Any, problem: str
) -> None:
    with pytest.raises(ConceptSetInvalid, match=problem):
        open_concepts(concepts)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("shapes", ("shapes", "", {})),
        ("masks:/a/b c", ("masks", "/a/b c", {})),
        ("masks:C:\\a", ("masks", "C:\\a", {})),
        ("shapes?images=5&seed=1", ("shapes", "", {"images": "5", "seed": "1"})),
        (
            "broden:/a?index=a%26b.csv&quick",
            ("broden", "/a", {"index": "a&b.csv", "quick": ""}),
        ),
        ("", ("", "", {})),
    ],
)
def test_a_text_is_taken_apart(
    text: str, parts: tuple[str, str, dict[str, str]]
) -> None:
    found = SpecText.parse(text)
    assert (found.name, found.argument, found.options) == parts
