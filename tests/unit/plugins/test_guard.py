"""A plugin that fails anywhere is named, with the place; the original exception is chained."""

from __future__ import annotations

import importlib
import json
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest
import torch
from typer.testing import CliRunner

from nd_plugin import (
    Concept,
    ConceptSet,
    LayerDissection,
    LayerNotFound,
    Model,
    ModelOptions,
    NDError,
    PluginFailed,
    Preprocess,
    Settings,
    SplitModel,
    open_concepts,
    open_model,
)
from nd_plugin.cli.app import app
from nd_plugin.cli.listings import examine_installation
from nd_plugin.plugins.guard import Owner, guard
from nd_plugin.plugins.host import host
from nd_plugin.plugins.loading import DISABLE
from nd_plugin.plugins.suggestions import known_models
from nd_plugin.probe_data.batches import Feed
from nd_plugin.report.json_text import error_content

NAME = "faulty"
ORIGIN = "plugin 'faulty' of nd-faulty 1.0"
SIZE = (16, 16)

# A backend, a concept set and a reporter that fail at one place, in one way: `fail(place, value)`
# gives the value everywhere else.
SOURCE = """
import contextlib
import numpy as np
import torch
from PIL import Image
from nd_plugin import (
    Annotation, Axis, BackendSpec, Concept, ConceptSetSpec, Finding, Geometry, Identity,
    LayerDescription, Preprocess, ReporterSpec, hookimpl,
)

PLACE = ""
WAY = None  # an exception, or the value that is given instead


class OwnEnd(BaseException):
    pass


def fail(place, value):
    if place != PLACE:
        return value
    if isinstance(WAY, BaseException):
        raise WAY
    return WAY


def called(place):
    return property(lambda self: fail(place, self.values[place]))


class Faulty:
    native_masks = called("native_masks")
    categories = called("categories")
    concepts = called("concepts")
    identity = called("identity")
    notes = called("notes")
    values = {
        "native_masks": True,
        "categories": ("thing",),
        "concepts": (Concept("dot", "thing"),),
        "identity": Identity("dots", "a test", "1", "1"),
        "notes": ("a note",),
    }

    def __init__(self, argument):
        fail("opening", None)

    def __len__(self):
        return fail("__len__", 6)

    def name(self, index):
        return fail("name", f"dots-{index}")

    def image(self, index):
        return fail("image", Image.new("RGB", (16, 16), (40 * index, 0, 255)))

    def annotation(self, index):
        plane = np.zeros((16, 16), np.int32)
        plane[index] = 1
        return fail("annotation", Annotation([plane]))


class Probe:
    layers = property(lambda self: fail("probe layers", ("maps",)))
    notes = property(lambda self: fail("probe notes", ()))
    geometries = property(
        lambda self: fail("geometries", {"maps": Geometry(Axis(1, 0, 1), Axis(1, 0, 1))})
    )

    def __call__(self, images):
        return fail("probe call", {"maps": images.clone()})


class OpenModel:
    backend = property(lambda self: fail("backend", "faulty"))
    identity = property(lambda self: fail("model identity", Identity("m", "m", "1", "2")))
    preprocess = property(lambda self: fail("preprocess", Preprocess(size=(16, 16))))
    device = property(lambda self: fail("device", torch.device("cpu")))
    notes = property(lambda self: fail("model notes", ()))
    compute_precision = property(lambda self: fail("compute_precision", "float32"))

    def layers(self, size):
        return fail("layers", [LayerDescription("maps", "Images", (1, 3, 16, 16))])

    @contextlib.contextmanager
    def probe(self, layers, size):
        fail("entering probe", None)
        yield fail("probe", Probe())
        fail("leaving probe", None)


class Backend:
    def open(self, model, options):
        return fail("open", OpenModel())


def list_models(*, installed):
    return fail("known_models", ["faulty:a"])


def examine():
    return fail("doctor", [Finding("faulty", "well")])


def report(layers):
    return fail("report", "a report")


def match(model):
    return fail("match", 50 if str(model).startswith("faulty:") else 0)


@hookimpl
def nd_backends():
    fail("nd_backends", None)
    here = __name__
    return [BackendSpec(
        fail("spec name", "faulty"), "of a test", f"{here}:Backend", match, ("faulty:NAME",),
        f"{here}:examine", f"{here}:list_models",
    )]


@hookimpl
def nd_concept_sets():
    return fail("nd_concept_sets", [ConceptSetSpec("faulty", "of a test", f"{__name__}:Faulty")])


@hookimpl
def nd_reporters():
    return fail("nd_reporters", [
        ReporterSpec("faulty", "of a test", f"{__name__}:report", fail("endings", (".faulty",)))
    ])


@hookimpl
def nd_dissection_finished(dissection):
    fail("finished", None)
"""

Install = Callable[[str, str], None]
WAYS = {
    "an error": "ValueError('out of order')",
    "an exit": "SystemExit(0)",
    "an end of its own": "OwnEnd('enough')",
    "GeneratorExit": "GeneratorExit()",
    "RecursionError": "RecursionError('too deep')",
    "MemoryError": "MemoryError()",
    "a warning": "UserWarning('as an error')",
}


@pytest.fixture
def install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_host: None
) -> Iterator[Install]:
    """Install the plugin, which fails at a place in a way (Python code)."""
    monkeypatch.delenv(DISABLE, raising=False)
    monkeypatch.syspath_prepend(tmp_path)

    def install(place: str, way: str) -> None:
        source = dedent(SOURCE) + f"\nPLACE = {place!r}\nWAY = {way}\n"
        # the hooks are called when the module is loaded: the place is known by then
        (tmp_path / "faulty_plugin.py").write_text(source)
        information = tmp_path / "nd_faulty-1.0.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: nd-faulty\nVersion: 1.0\n"
        )
        (information / "entry_points.txt").write_text(
            "[nd_plugin]\nfaulty = faulty_plugin\n"
        )
        importlib.invalidate_caches()

    yield install
    sys.modules.pop("faulty_plugin", None)


def use_concepts() -> None:
    concepts = open_concepts("faulty:")
    assert concepts.identity.name
    assert [concepts.name(index) for index in range(len(concepts))]
    assert concepts.native_masks is True
    assert list(getattr(concepts, "notes", ())) == ["a note"]
    concepts.image(1)
    concepts.annotation(1)


def feed_of_plugin(workers: int) -> Feed:
    """Feed of the plugin's concept set, as a run opens it."""
    return Feed.of(
        open_concepts("faulty:"),
        Preprocess(size=SIZE),
        Settings(),
        torch.device("cpu"),
        batch_size=2,
        workers=workers,
    )


def decode(workers: int) -> None:
    """Load the probe data set as a run does."""
    for _ in feed_of_plugin(workers).batches(annotated=True):
        pass


def use_model() -> None:
    model = open_model("faulty:a", ModelOptions("cpu"))
    assert model.backend and model.identity and model.preprocess and model.device
    assert model.notes == ()
    assert getattr(model, "compute_precision", "")
    model.layers(SIZE)
    with model.probe(["maps"], SIZE) as probe:
        assert probe.layers and probe.geometries
        assert getattr(probe, "notes", ()) == ()
        probe(torch.zeros(2, 3, *SIZE))


CONCEPT_PLACES = {
    "opening": "failed to open 'faulty:'",
    "identity": "identity",
    "categories": "categories",
    "concepts": "concepts",
    "native_masks": "native_masks",
    "notes": "notes",
    "__len__": "__len__()",
    "name": "name(0)",
}
MODEL_PLACES = {
    "open": "failed to open 'faulty:a'",
    "backend": "backend",
    "model identity": "identity",
    "preprocess": "preprocess",
    "device": "device",
    "model notes": "notes",
    "compute_precision": "compute_precision",
    "layers": "layers()",
    "entering probe": "probe()",
    "probe": "probe()",
    "leaving probe": "leaving probe()",
    "probe layers": "layers",
    "geometries": "geometries",
    "probe notes": "notes",
    "probe call": "__call__()",
}
# where something is given, which may be of a wrong type
GIVING_PLACES = [
    place
    for place in MODEL_PLACES
    if place not in ("entering probe", "leaving probe")
]


def check_named(error: BaseException, place: str) -> None:
    assert isinstance(error, PluginFailed)
    assert ORIGIN in str(error) and place in str(error)
    assert error.exit_code == 1


def ways_at(places: Iterable[str], every_way_at: str) -> list[tuple[str, str]]:
    """Return an error and an exit at each place, and every other way at one."""
    pairs = [(place, way) for place in places for way in ("an error", "an exit")]
    pairs += [(every_way_at, way) for way in WAYS]
    return list(dict.fromkeys(pairs))


@pytest.mark.parametrize(("place", "way"), ways_at(CONCEPT_PLACES, "name"))
def test_a_concept_set_that_raises_is_named(
    install: Install, place: str, way: str
) -> None:
    install(place, WAYS[way])
    with pytest.raises(PluginFailed) as caught:
        use_concepts()
    check_named(caught.value, CONCEPT_PLACES[place])
    cause = caught.value.__cause__
    assert cause is not None and type(cause).__name__ in WAYS[way]
    assert type(cause).__name__ in str(caught.value)


@pytest.mark.parametrize(("place", "way"), ways_at(MODEL_PLACES, "probe call"))
def test_a_backend_that_raises_is_named(
    install: Install, place: str, way: str
) -> None:
    install(place, WAYS[way])
    with pytest.raises(PluginFailed) as caught:
        use_model()
    check_named(caught.value, MODEL_PLACES[place])
    cause = caught.value.__cause__
    assert cause is not None and type(cause).__name__ in WAYS[way]


@pytest.mark.parametrize("way", ["an exit", "an end of its own", "GeneratorExit"])
@pytest.mark.parametrize("place", ["image", "annotation", "name"])
@pytest.mark.parametrize("workers", [0, 1])
def test_what_would_end_the_process_is_a_failure_in_workers_too(
    install: Install, workers: int, place: str, way: str
) -> None:
    install(place, WAYS[way])
    with pytest.raises(PluginFailed) as caught:
        decode(workers)
    check_named(caught.value, f"{place}(")
    told = str(caught.value.__cause__) + repr(caught.value.__cause__)
    assert WAYS[way].partition("(")[0] in told


@pytest.mark.parametrize("place", ["image", "annotation", "name"])
@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("value", ["None", "[1, 2]"])
def test_an_item_of_a_wrong_type_is_a_failure_in_workers_too(
    install: Install, workers: int, place: str, value: str
) -> None:
    install(place, value)
    with pytest.raises(PluginFailed) as caught:
        decode(workers)
    check_named(caught.value, f"{place}(")


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_cannot_be_read_is_still_skipped(
    install: Install, workers: int
) -> None:
    install("image", "OSError('gone')")
    batches = feed_of_plugin(workers).batches(annotated=True)
    skipped = [item for batch in batches for item in batch.skipped]
    assert [item.reason for item in skipped] == ["gone"] * 6


@pytest.mark.parametrize("value", ["None", "[3]"])
@pytest.mark.parametrize("place", [*CONCEPT_PLACES][1:])
def test_a_concept_set_of_wrong_types_is_named(
    install: Install, place: str, value: str
) -> None:
    install(place, value)
    with pytest.raises(PluginFailed) as caught:
        use_concepts()
    check_named(caught.value, place)


@pytest.mark.parametrize("value", ["None", "[3]"])
@pytest.mark.parametrize("place", GIVING_PLACES)
def test_a_backend_of_wrong_types_is_named(
    install: Install, place: str, value: str
) -> None:
    install(place, value)
    with pytest.raises(PluginFailed) as caught:
        use_model()
    check_named(caught.value, "")


def test_a_concept_set_that_lacks_members_says_which(install: Install) -> None:
    install("", "None")
    host()
    module = sys.modules["faulty_plugin"]
    del module.Faulty.annotation
    with pytest.raises(PluginFailed, match="it lacks annotation") as caught:
        open_concepts("faulty:")
    check_named(caught.value, "concept set 'faulty'")


@pytest.mark.parametrize("way", WAYS)
def test_a_plugin_that_fails_to_register_is_broken_and_named(
    install: Install, way: str
) -> None:
    install("nd_backends", WAYS[way])
    plugins = {plugin.name: plugin for plugin in host().plugins}
    assert plugins[NAME].state == "broken"
    assert WAYS[way].partition("(")[0] in plugins[NAME].problem
    assert plugins["torch"].state == "loaded"


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("spec name", "None"),
        ("endings", "None"),
        ("endings", "'.faulty'"),
        ("nd_concept_sets", "3"),
        ("nd_concept_sets", "[3]"),
        ("nd_reporters", "None"),
    ],
)
def test_specs_of_wrong_types_are_broken_and_named(
    install: Install, place: str, value: str
) -> None:
    install(place, value)
    plugins = {plugin.name: plugin for plugin in host().plugins}
    assert plugins[NAME].state == "broken" and plugins[NAME].problem


@pytest.mark.parametrize("way", ["an error", "an exit", "an end of its own"])
def test_a_match_that_fails_warns_and_is_left_out(
    install: Install, way: str
) -> None:
    install("match", WAYS[way])
    with (
        pytest.warns(RuntimeWarning, match=f"{ORIGIN} failed to match"),
        pytest.raises(NDError, match=r"cannot be imported|no module"),
    ):
        open_model("faulty:a")


@pytest.mark.parametrize("way", ["ValueError()", "SystemExit(0)", "[3]", "None"])
def test_names_of_models_that_fail_warn_and_are_left_out(
    install: Install, way: str
) -> None:
    install("known_models", way)
    with pytest.warns(
        RuntimeWarning, match=rf"{ORIGIN} failed in known_models\(\)"
    ):
        texts = known_models(installed=True)
    assert "nd_torch.zoo:caffe_alexnet" in texts


@pytest.mark.parametrize("way", ["ValueError()", "SystemExit(0)", "[3]", "None"])
def test_a_doctor_that_fails_is_a_finding(install: Install, way: str) -> None:
    install("doctor", way)
    findings = {finding.subject: finding for finding in examine_installation()}
    assert ORIGIN in findings[NAME].found and "doctor()" in findings[NAME].found


@pytest.mark.parametrize("way", ["ValueError()", "SystemExit(0)", "[3]", "None"])
def test_a_reporter_that_fails_is_named(
    install: Install, way: str, tmp_path: Path
) -> None:
    install("report", way)
    table = tmp_path / "netdissect.csv"
    table.write_text(
        "unit,category,label,score,object-label,object-iou\n1,object,cat,0.2,cat,0.2\n"
    )
    command = ["report", str(table), "--format", NAME]
    result = CliRunner().invoke(app, command)
    assert isinstance(result.exception, PluginFailed), result.output
    check_named(result.exception, "report() of the report format 'faulty'")


@pytest.mark.parametrize("way", ["an error", "an exit", "an end of its own"])
def test_a_listener_that_fails_warns(install: Install, way: str) -> None:
    install("finished", WAYS[way])
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 1))
    concepts = open_concepts("faulty:")
    with pytest.warns(RuntimeWarning, match="'faulty@nd-faulty' failed after"):
        result = LayerDissection(module, "0").dissect(
            concepts, preprocess=Preprocess(size=SIZE), workers=0
        )
    assert result.units == 2  # type: ignore[union-attr]


def test_a_sound_plugin_works_through_its_guard(install: Install) -> None:
    install("", "None")
    use_concepts()
    use_model()
    decode(0)
    decode(1)
    concepts = open_concepts("faulty:")
    assert isinstance(concepts, ConceptSet)
    assert open_concepts(concepts) is concepts
    assert concepts.concepts == (Concept("dot", "thing"),)
    unpickled = pickle.loads(pickle.dumps(concepts))
    assert unpickled.name(3) == "dots-3" and len(unpickled) == 6
    model: Model = open_model("faulty:a")
    assert not isinstance(model, SplitModel), "its backend cannot split"
    assert not hasattr(model, "in_precision")


def test_errors_of_ours_pass_a_guard_as_they_are(install: Install) -> None:
    install("layers", "None")
    host()
    sys.modules["faulty_plugin"].WAY = LayerNotFound("no such layer")  # type: ignore[attr-defined]
    with pytest.raises(LayerNotFound, match="no such layer"):
        use_model()


def test_ctrl_c_in_a_plugin_stays_what_it_is(install: Install) -> None:
    install("name", "KeyboardInterrupt()")
    with pytest.raises(KeyboardInterrupt):
        use_concepts()


def test_an_exception_of_the_block_passes_a_context_unchanged() -> None:
    class Context:
        def __enter__(self) -> int:
            return 3

        def __exit__(self, *_: object) -> None:
            return None

    problem = ValueError("of the block")
    owner = Owner(ORIGIN, "model")
    model = guard(_WithMembers(Context()), owner, "model")
    with pytest.raises(ValueError) as caught, model.computing():
        raise problem
    assert caught.value is problem


class _WithMembers:
    """Model whose members are only there."""

    backend = identity = preprocess = device = notes = layers = probe = None

    def __init__(self, context: object) -> None:
        self._context = context

    def computing(self) -> object:
        return self._context


def test_the_command_line_tells_it_in_a_line_and_as_json(
    install: Install, tmp_path: Path
) -> None:
    install("identity", "SystemExit('arguments are missing')")
    result = CliRunner().invoke(app, ["concepts", "faulty:"])
    assert isinstance(result.exception, PluginFailed)
    content = error_content(result.exception)
    assert json.loads(json.dumps(content))["error"]["type"] == "PluginFailed"
    assert "SystemExit: arguments are missing" in content["error"]["message"]
