"""Damaged ONNX files: our error names the file and what is wrong; loops without end are ended."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import onnx_files
import pytest
import torch
from onnx import (
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    helper,
    numpy_helper,
)

from nd_onnxruntime import time_limit, trial
from nd_onnxruntime.time_limit import VARIABLE, TimeLimitExceeded
from nd_plugin import BadInput, ModelFailed, ModelNotFound, NDError, open_model

SIZE = (32, 32)


def network(folder: Path) -> ModelProto:
    """Two convolutions with ReLUs, pooled, and a classifier."""
    return onnx.load(onnx_files.dynamic_batch(folder))


def node_of(model: ModelProto, operator: str) -> NodeProto:
    return next(node for node in model.graph.node if node.op_type == operator)


def use(model: ModelProto, folder: Path, name: str = "damaged.onnx") -> None:
    """Open a file, list its layers, and probe the last of its maps."""
    path = folder / name
    path.write_bytes(model.SerializeToString())
    opened = open_model(str(path))
    assert opened.preprocess
    opened.layers(SIZE)
    with opened.probe(["relu2"], SIZE) as probe:
        probe(torch.zeros(1, 3, *SIZE))


def _circle(model: ModelProto) -> None:
    node_of(model, "Conv").input[0] = "relu2"


def _self_circle(model: ModelProto) -> None:
    node_of(model, "Relu").input[0] = "relu1"


def _two_producers(model: ModelProto) -> None:
    node_of(model, "MaxPool").output[0] = "relu1"


def _missing_input(model: ModelProto) -> None:
    node_of(model, "Relu").input[0] = "nowhere"


def _dangling_output(model: ModelProto) -> None:
    model.graph.output[0].name = "nowhere"


def _no_outputs_of_a_node(model: ModelProto) -> None:
    node_of(model, "Relu").output[:] = []


def _no_inputs_of_a_node(model: ModelProto) -> None:
    node_of(model, "Conv").input[:] = []


def _empty_graph(model: ModelProto) -> None:
    model.graph.ClearField("node")


def _no_graph(model: ModelProto) -> None:
    model.ClearField("graph")


def _negative_length(model: ModelProto) -> None:
    model.graph.initializer[0].dims[0] = -8


def _huge_length(model: ModelProto) -> None:
    model.graph.initializer[0].dims[0] = 2**62


def _other_shape(model: ModelProto) -> None:
    model.graph.initializer[0].dims[0] += 1


def _cut_bytes(model: ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.raw_data = tensor.raw_data[:-3]


def _no_numbers(model: ModelProto) -> None:
    model.graph.initializer[0].ClearField("raw_data")


def _other_type(model: ModelProto) -> None:
    model.graph.initializer[0].data_type = TensorProto.DOUBLE


def _unknown_type(model: ModelProto) -> None:
    model.graph.initializer[0].data_type = 99


def _huge_image(model: ModelProto) -> None:
    sides = model.graph.input[0].type.tensor_type.shape.dim
    sides[2].dim_value = 2**40
    sides[3].dim_value = 2**40


def _attribute_of_a_wrong_type(model: ModelProto) -> None:
    conv = node_of(model, "Conv")
    conv.attribute.append(helper.make_attribute("dilations", "text"))


def _attribute_without_a_value(model: ModelProto) -> None:
    for attribute in node_of(model, "Conv").attribute:
        attribute.type = onnx.AttributeProto.GRAPH


def _impossible_padding(model: ModelProto) -> None:
    for attribute in node_of(model, "Conv").attribute:
        if attribute.name == "pads":
            attribute.ints[:] = [-(2**40)] * 4


def _huge_padding(model: ModelProto) -> None:
    for attribute in node_of(model, "Conv").attribute:
        if attribute.name == "pads":
            attribute.ints[:] = [2**40] * 4


def _body_without_nodes(model: ModelProto) -> None:
    relu = node_of(model, "Relu")
    relu.op_type = "If"
    relu.attribute.append(helper.make_attribute("then_branch", GraphProto()))
    relu.attribute.append(helper.make_attribute("else_branch", GraphProto()))


def _opset_of_nothing(model: ModelProto) -> None:
    model.ClearField("opset_import")


def _text_that_is_no_text(model: ModelProto) -> None:
    model.graph.initializer[0].external_data.add(key="location", value="x")
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL


def _function(name: str, *calls: str) -> onnx.FunctionProto:
    nodes = [
        helper.make_node(
            called,
            ["x" if index == 0 else f"{index}"],
            [f"{index + 1}"],
            domain="own",
        )
        for index, called in enumerate(calls)
    ]
    last = helper.make_node("Identity", [f"{len(calls)}" if calls else "x"], ["y"])
    return helper.make_function(
        "own",
        name,
        ["x"],
        ["y"],
        [*nodes, last],
        [helper.make_opsetid("", 13), helper.make_opsetid("own", 1)],
    )


def _with_functions(*functions: onnx.FunctionProto) -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        relu = node_of(model, "Relu")
        relu.op_type, relu.domain = functions[0].name, "own"
        model.functions.extend(functions)
        model.opset_import.append(helper.make_opsetid("own", 1))

    return change


DOUBLING = [
    _function(f"f{depth}", f"f{depth + 1}", f"f{depth + 1}") for depth in range(40)
]

DAMAGES: dict[str, tuple[Callable[[ModelProto], None], str]] = {
    "a circle": (_circle, "its nodes depend on each other in a circle"),
    "a node that uses its own output": (_self_circle, "in a circle"),
    "two nodes that compute one value": (
        _two_producers,
        "two nodes compute the value 'relu1'",
    ),
    "a value that nothing computes": (_missing_input, "nowhere"),
    "an output that nothing computes": (_dangling_output, ""),
    "a node without outputs": (_no_outputs_of_a_node, ""),
    "a node without inputs": (_no_inputs_of_a_node, ""),
    "no nodes": (_empty_graph, "it contains no graph"),
    "no graph": (_no_graph, "it contains no graph"),
    "a negative length": (_negative_length, "has a negative length"),
    "a huge length": (_huge_length, "bytes where it needs"),
    "another shape": (_other_shape, "bytes where it needs"),
    "cut bytes": (_cut_bytes, "has 861 bytes where it needs 864"),
    "no numbers": (_no_numbers, "has 0 numbers where it needs 216"),
    "another type": (_other_type, "has 864 bytes where it needs 1,728"),
    "an unknown type": (_unknown_type, ""),
    "a huge image": (_huge_image, ""),
    "an attribute of a wrong type": (_attribute_of_a_wrong_type, ""),
    "an attribute without its value": (_attribute_without_a_value, ""),
    "an impossible padding": (_impossible_padding, ""),
    "a huge padding": (_huge_padding, ""),
    "bodies without nodes": (_body_without_nodes, ""),
    "no opset": (_opset_of_nothing, ""),
    "external data that are not there": (_text_that_is_no_text, "x is missing"),
    "a function that calls itself": (
        _with_functions(_function("f", "f")),
        "its functions call themselves (f → f)",
    ),
    "functions that call each other": (
        _with_functions(
            _function("f", "g"), _function("g", "h"), _function("h", "f")
        ),
        "its functions call themselves",
    ),
    "functions that call each other twice": (
        _with_functions(*DOUBLING, _function("f40")),
        "its functions stand for",
    ),
}
# whose sound parts can be used: layers before the damage, or a form that is allowed
MAY_WORK = {"an output that nothing computes", "no opset", "a node without outputs"}


@pytest.mark.parametrize("case", DAMAGES)
def test_damage_is_an_error_of_ours_with_the_file(
    case: str, tmp_path: Path
) -> None:
    change, message = DAMAGES[case]
    model = network(tmp_path)
    change(model)
    try:
        use(model, tmp_path)
    except (ModelNotFound, ModelFailed, BadInput) as error:
        assert message in str(error)
    else:
        assert case in MAY_WORK


def test_a_message_names_the_file(tmp_path: Path) -> None:
    model = network(tmp_path)
    _circle(model)
    with pytest.raises(ModelNotFound, match=r"broken\.onnx is damaged"):
        use(model, tmp_path, "broken.onnx")
    with pytest.raises(ModelNotFound, match="is damaged: its nodes"):
        open_model(model)


def _pieces_of_no_length(folder: Path) -> ModelProto:
    """Split the maps into pieces of 0 units: ONNX Runtime 1.27 divides by it and crashes."""
    model = onnx.load(onnx_files.sequence_values(folder))
    split = node_of(model, "SplitToSequence")
    split.input[1] = "zero"
    return model


def test_a_file_that_crashes_the_runtime_is_refused(tmp_path: Path) -> None:
    model = _pieces_of_no_length(tmp_path)
    path = tmp_path / "pieces.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(NDError, match=r"pieces\.onnx"):
        open_model(str(path)).layers(SIZE)


def test_a_crash_is_told_with_what_onnx_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "crash.py"
    script.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    monkeypatch.setattr(trial.trial_process, "__file__", str(script))
    model = _pieces_of_no_length(tmp_path)
    message = r"net is damaged: ONNX Runtime crashes on it \(SIGSEGV\); ONNX says: .*split"
    with pytest.raises(ModelNotFound, match=message):
        trial.try_out("net", model)


def test_sound_files_are_not_tried_out_in_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "_exit_code", lambda _: pytest.fail("a process"))
    for row in onnx_files.HARD_FILES:
        if row.works:
            folder = tmp_path / row.name
            folder.mkdir()
            model = onnx.load(row.make(folder), load_external_data=False)
            trial.try_out(row.name, model)


@pytest.mark.parametrize("key", ["offset", "length"])
@pytest.mark.parametrize("text", ["-1", "abc", "1e9", "9" * 50, "", "٣"])
def test_odd_external_data(key: str, text: str, tmp_path: Path) -> None:
    path = onnx_files.external_data(tmp_path)
    model = onnx.load(path, load_external_data=False)
    tensor = next(
        tensor for tensor in model.graph.initializer if len(tensor.external_data)
    )
    entries = {entry.key: entry for entry in tensor.external_data}
    entries.get(key, tensor.external_data.add(key=key)).value = text
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelNotFound, match="is damaged"):
        open_model(str(path))


def test_external_data_of_another_length(tmp_path: Path) -> None:
    path = onnx_files.external_data(tmp_path)
    model = onnx.load(path, load_external_data=False)
    tensor = next(
        tensor for tensor in model.graph.initializer if len(tensor.external_data)
    )
    tensor.dims[0] = 2**40
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelNotFound, match=r"needs .* bytes|is truncated"):
        open_model(str(path))


def test_every_single_flipped_bit_is_read_or_refused(tmp_path: Path) -> None:
    content = onnx_files.dynamic_batch(tmp_path).read_bytes()
    generator = random.Random(18)
    path = tmp_path / "flipped.onnx"
    for _ in range(60):
        flipped = bytearray(content)
        flipped[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        path.write_bytes(flipped)
        try:
            open_model(str(path)).layers(SIZE)
        except NDError as error:
            assert not type(error).__name__.startswith("Plugin"), error


def endless(inner: str, first: str = "relu1") -> Callable[[ModelProto], None]:
    """Put a loop without end behind a value; ``inner`` is what its body does."""

    def change(model: ModelProto) -> None:
        loop = helper.make_node(
            "Loop", ["most", "always", first], ["looped"], body=_body(inner)
        )
        if inner == "within a Loop":
            outer = _body("nothing")
            outer.node.append(
                helper.make_node(
                    "Loop",
                    ["most", "always", "state"],
                    ["inner"],
                    body=_body("Abs", "_"),
                )
            )
            outer.output[1].name = "inner"
            loop.attribute[0].g.CopyFrom(outer)
        for node in model.graph.node:
            if node.op_type == "MaxPool":
                node.input[0] = "looped"
        position = [node.op_type for node in model.graph.node].index("MaxPool")
        nodes = [*model.graph.node]
        nodes.insert(position, loop)
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        model.graph.initializer.append(
            numpy_helper.from_array(np.array(2**62, np.int64), "most")
        )
        model.graph.initializer.append(
            numpy_helper.from_array(np.array(True), "always")
        )

    return change


def _body(inner: str, suffix: str = "") -> GraphProto:
    """Return a body that goes on for ever, and computes nothing new."""
    step = helper.make_tensor_value_info(f"step{suffix}", TensorProto.INT64, [])
    keep = helper.make_tensor_value_info(f"keep{suffix}", TensorProto.BOOL, [])
    state = helper.make_tensor_value_info(f"state{suffix}", TensorProto.FLOAT, None)
    if inner == "nothing":
        return helper.make_graph([], "body", [step, keep, state], [keep, state])
    keep_on = helper.make_tensor_value_info(
        f"keep_on{suffix}", TensorProto.BOOL, []
    )
    after = helper.make_tensor_value_info(f"after{suffix}", TensorProto.FLOAT, None)
    nodes = [
        helper.make_node("Identity", [f"keep{suffix}"], [f"keep_on{suffix}"]),
        helper.make_node("Abs", [f"state{suffix}"], [f"after{suffix}"]),
    ]
    return helper.make_graph(nodes, "body", [step, keep, state], [keep_on, after])


@pytest.fixture
def short_limit(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(VARIABLE, "0.5")
    monkeypatch.setattr(time_limit, "GRACE", 0.5)
    yield


@pytest.mark.parametrize("inner", ["Abs", "within a Loop"])
def test_a_loop_without_end_is_an_error_with_the_remedy(
    inner: str, tmp_path: Path, short_limit: None
) -> None:
    model = network(tmp_path)
    endless(inner)(model)
    with pytest.raises(TimeLimitExceeded) as caught:
        use(model, tmp_path)
    assert isinstance(caught.value, ModelFailed)
    assert "did not end within 0.5 s" in str(caught.value)
    assert f"{VARIABLE}=SECONDS allows more" in str(caught.value)


def test_a_loop_with_an_empty_body_is_left_behind(tmp_path: Path) -> None:
    """Nothing ends it but the end of its process, which it must not hold."""
    model = network(tmp_path)
    endless("nothing")(model)
    path = tmp_path / "empty.onnx"
    path.write_bytes(model.SerializeToString())
    command = [sys.executable, "-m", "nd_plugin", "layers", str(path)]
    finished = subprocess.run(
        command,
        env=os.environ | {VARIABLE: "0.5"},
        stderr=subprocess.PIPE,
        text=True,
        timeout=600,
    )
    assert finished.returncode == 1, finished.stderr
    assert "did not end within 0.5 s" in finished.stderr
    assert f"{VARIABLE}=SECONDS allows more" in finished.stderr


def test_a_loop_of_constants_is_ended_too(
    tmp_path: Path, short_limit: None
) -> None:
    """Such a constant is computed when the file is opened, to tell the preprocessing."""
    model = network(tmp_path)
    endless("Abs", first="black")(model)
    model.graph.initializer.append(
        numpy_helper.from_array(np.zeros((1, 3, 1, 1), np.float32), "black")
    )
    node_of(model, "MaxPool").input[0] = "relu1"
    (loop,) = [node for node in model.graph.node if node.op_type == "Loop"]
    model.graph.node.remove(loop)
    subtraction = helper.make_node("Sub", ["image", "looped"], ["centred"])
    node_of(model, "Conv").input[0] = "centred"
    nodes = [loop, subtraction, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    with pytest.raises(
        TimeLimitExceeded, match="the constant 'looped' did not end"
    ):
        use(model, tmp_path)


def test_layers_before_a_loop_without_end_can_be_taken(
    tmp_path: Path, short_limit: None
) -> None:
    model = network(tmp_path)
    endless("Abs")(model)
    path = tmp_path / "loop.onnx"
    path.write_bytes(model.SerializeToString())
    with open_model(str(path)).probe(["relu1"], SIZE) as probe:
        assert probe(torch.zeros(1, 3, *SIZE))["relu1"].shape == (1, 8, 32, 32)


def test_a_loop_that_real_images_never_end_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of turns is the largest pixel: one for noise, endless for a bright image."""
    model = network(tmp_path)
    endless("Abs")(model)
    turns = [
        helper.make_node("ReduceMax", ["image"], ["largest"], keepdims=0),
        helper.make_node("Cast", ["largest"], ["turns"], to=TensorProto.INT64),
    ]
    nodes = [*turns, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    node_of(model, "Loop").input[0] = "turns"
    path = tmp_path / "bright.onnx"
    path.write_bytes(model.SerializeToString())
    opened = open_model(str(path))
    with opened.probe(["relu2"], SIZE) as probe:
        probe(torch.zeros(1, 3, *SIZE))
        monkeypatch.setenv(VARIABLE, "0.5")
        with pytest.raises(TimeLimitExceeded, match="1 images did not end within"):
            probe(torch.full((1, 3, *SIZE), 1e18))


@pytest.mark.parametrize("text", ["soon", "0", "-3", "nan", "inf"])
def test_a_limit_that_is_no_time_is_refused(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(BadInput, match=f"{VARIABLE}={text} is not a number"):
        use(network(tmp_path), tmp_path)


def test_ctrl_c_ends_a_run_that_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """The main thread waits where signals reach it; the run is told to end."""
    told: list[bool] = []
    started = threading.Event()

    def run(options: object) -> None:
        started.set()
        while not options.terminate:  # type: ignore[attr-defined]
            pass
        told.append(True)

    def interrupt(thread: threading.Thread, timeout: float | None = None) -> None:
        started.wait()
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "join", interrupt)
    with pytest.raises(KeyboardInterrupt):
        time_limit.run_within_limit(run, "a run")
    assert told == [True]
