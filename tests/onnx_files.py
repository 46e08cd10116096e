"""Hard ONNX files, written by the tests themselves, and a reference for the inner values of files.

Unless a function says otherwise, its file holds one small network for images of 32 x 32, with the
values image -> conv1 -> relu1 (8 units, 32 x 32) -> pool1 -> conv2 -> relu2 (12 units, 8 x 8)
-> pooled -> flat -> logits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, inliner, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

Array = NDArray[Any]
Dimensions = Sequence[int | str | None]

IMAGE: Dimensions = ("N", 3, 32, 32)
PADS = (1, 1, 1, 1)
SCALE = 0.5  # what the tests feed to an input that is no image


@dataclass
class Network:
    """A graph in the making: its nodes and its seeded random weights."""

    dtype: type[np.generic] = np.float32  # of the weights
    named: bool = True
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[TensorProto] = field(default_factory=list)
    random: np.random.Generator = field(
        default_factory=lambda: np.random.default_rng(4)
    )

    def node(
        self,
        op: str,
        inputs: str | Sequence[str],
        output: str,
        name: str | None = None,
        **attributes: Any,
    ) -> str:
        """Append a node with one output, and return the name of that.

        Without a name of its own, the node is called Conv_0, Conv_1 …
        """
        count = sum(node.op_type == op for node in self.nodes)
        name = f"{op}_{count}" if name is None and self.named else name
        inputs = [inputs] if isinstance(inputs, str) else inputs
        self.nodes.append(
            helper.make_node(op, inputs, [output], name=name, **attributes)
        )
        return output

    def weight(self, name: str, value: Any) -> str:
        """Append an initializer, of the network's type where it holds floats."""
        array = np.asarray(value)
        array = array.astype(self.dtype) if array.dtype.kind == "f" else array
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def draw(self, name: str, *shape: int, scale: float = 0.2) -> str:
        """Append an initializer of normally distributed values."""
        return self.weight(name, self.random.standard_normal(shape) * scale)

    def conv(
        self,
        x: str,
        shape: tuple[int, int],
        output: str,
        *,
        kernel: int = 3,
        **attributes: Any,
    ) -> str:
        """Append a convolution with bias, of ``shape`` (units, channels)."""
        weight = self.draw(f"{output}.weight", *shape, kernel, kernel)
        bias = self.draw(f"{output}.bias", shape[0])
        return self.node(
            "Conv",
            [x, weight, bias],
            output,
            kernel_shape=[kernel, kernel],
            **attributes,
        )

    def first(self, x: str = "image") -> str:
        """Append conv1 and relu1."""
        return self.node("Relu", self.conv(x, (8, 3), "conv1", pads=PADS), "relu1")

    def second(self, x: str = "relu1", channels: int = 8, units: int = 12) -> str:
        """Append pool1, conv2 and relu2."""
        x = self.node("MaxPool", x, "pool1", kernel_shape=[2, 2], strides=[2, 2])
        return self.node(
            "Relu",
            self.conv(x, (units, channels), "conv2", pads=PADS, strides=[2, 2]),
            "relu2",
        )

    def head(self, x: str = "relu2", channels: int = 12) -> str:
        """Append the global pooling and the classifier."""
        return self.gemm(
            self.node(
                "Flatten", self.node("GlobalAveragePool", x, "pooled"), "flat"
            ),
            channels,
        )

    def gemm(self, x: str, channels: int = 12, output: str = "logits") -> str:
        """Append the classifier of ``channels`` features into 5 classes."""
        return self.node(
            "Gemm",
            [x, self.draw("fc.weight", channels, 5), self.draw("fc.bias", 5)],
            output,
        )

    def whole(self, x: str = "image") -> str:
        """Append the whole network."""
        return self.head(self.second(self.first(x)))

    def model(
        self,
        inputs: Mapping[str, Dimensions] | None = None,
        outputs: Mapping[str, Dimensions] | None = None,
        *,
        types: Mapping[str, int] | None = None,
        opset: int = 17,
        ir: int = 8,
        domains: Sequence[str] = (),
        functions: Sequence[onnx.FunctionProto] = (),
    ) -> onnx.ModelProto:
        """The model; what ``types`` does not name is float."""
        types = types or {}
        graph = helper.make_graph(
            self.nodes,
            "hard",
            [
                _value(name, shape, types)
                for name, shape in (inputs or {"image": IMAGE}).items()
            ],
            [
                _value(name, shape, types)
                for name, shape in (outputs or {"logits": ("N", 5)}).items()
            ],
            self.weights,
        )
        opsets = [
            helper.make_opsetid("", opset),
            *(helper.make_opsetid(domain, 1) for domain in domains),
        ]
        return helper.make_model(
            graph,
            opset_imports=opsets,
            ir_version=ir,
            functions=functions,
            producer_name="tests",
        )


def _value(
    name: str, shape: Dimensions, types: Mapping[str, int]
) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(
        name, types.get(name, TensorProto.FLOAT), shape
    )


def _write(model: onnx.ModelProto, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return path


def _plain() -> onnx.ModelProto:
    network = Network()
    network.whole()
    return network.model()


def dynamic_batch(folder: Path) -> Path:
    """The network as it is, its batch dimension symbolic."""
    return _write(_plain(), folder / "dynamic_batch.onnx")


def dynamic_size(folder: Path) -> Path:
    """Of any image size: batch, height and width are symbolic."""
    network = Network()
    network.whole()
    return _write(
        network.model({"image": ("N", 3, "H", "W")}), folder / "dynamic_size.onnx"
    )


def fixed_batch(folder: Path) -> Path:
    """Batch 1 in the input, the value infos and the head's Reshape; batches work up to the head."""
    network = Network()
    network.second(network.first())
    target = network.weight("target", np.array([1, -1], np.int64))
    network.gemm(
        network.node(
            "Reshape",
            [network.node("GlobalAveragePool", "relu2", "pooled"), target],
            "flat",
        )
    )
    model = network.model({"image": (1, 3, 32, 32)}, {"logits": (1, 5)})
    shapes = {
        "relu1": (1, 8, 32, 32),
        "pool1": (1, 8, 16, 16),
        "relu2": (1, 12, 8, 8),
        "pooled": (1, 12, 1, 1),
    }
    model.graph.value_info.extend(
        _value(name, shape, {}) for name, shape in shapes.items()
    )
    return _write(model, folder / "fixed_batch.onnx")


def _reshaped(shape: Sequence[int], path: Path) -> Path:
    network = Network()
    network.node(
        "Reshape",
        [network.first(), network.weight("target", np.array(shape, np.int64))],
        "reshaped",
    )
    network.head(network.second("reshaped"))
    return _write(
        network.model({"image": (1, 3, 32, 32)}, {"logits": (1, 5)}), path
    )


def fixed_batch_inside(folder: Path) -> Path:
    """Batch 1 in a Reshape between relu1 and relu2: two images at once fail there."""
    return _reshaped((1, 8, 32, 32), folder / "fixed_batch_inside.onnx")


def fixed_batch_folded(folder: Path) -> Path:
    """Two images do not fail: the Reshape stacks them into one tall image, relu2 has batch 1."""
    return _reshaped((1, 8, -1, 32), folder / "fixed_batch_folded.onnx")


def mixing_batch(folder: Path) -> Path:
    """Each image's relu2 depends on the other images of the batch, whose mean is subtracted."""
    network = Network()
    mean = network.node("ReduceMean", network.first(), "mean", axes=[0], keepdims=1)
    half = network.node(
        "Mul", [mean, network.weight("half", np.float32(0.5))], "half_mean"
    )
    network.head(network.second(network.node("Sub", ["relu1", half], "centred")))
    return _write(network.model(), folder / "mixing_batch.onnx")


def _nhwc(path: Path, units: int) -> Path:
    network = Network()
    network.first(
        network.node("Transpose", "image", "image_nchw", perm=[0, 3, 1, 2])
    )
    network.node(
        "Transpose", network.second(units=units), "relu2_nhwc", perm=[0, 2, 3, 1]
    )
    network.gemm(
        network.node("ReduceMean", "relu2_nhwc", "pooled", axes=[1, 2], keepdims=0),
        units,
    )
    return _write(network.model({"image": ("N", 32, 32, 3)}), path)


def nhwc(folder: Path) -> Path:
    """Channels last, as from Keras: relu1, relu2 are (N, C, h, w), relu2_nhwc is (N, h, w, C)."""
    return _nhwc(folder / "nhwc.onnx", 12)


def nhwc_cube(folder: Path) -> Path:
    """Channels last, and relu2_nhwc is (N, 8, 8, 8): the shape does not tell the channel axis."""
    return _nhwc(folder / "nhwc_cube.onnx", 8)


def _externalise(
    model: onnx.ModelProto, file: Path, location: str
) -> onnx.ModelProto:
    """The model without its weights: they go to the file, which the model names as ``location``."""
    stored = bytearray()
    for tensor in model.graph.initializer:
        entries = {
            "location": location,
            "offset": str(len(stored)),
            "length": str(len(tensor.raw_data)),
        }
        stored += tensor.raw_data
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.extend(
            onnx.StringStringEntryProto(key=key, value=text)
            for key, text in entries.items()
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(stored)
    return model


def external_data(folder: Path) -> Path:
    """The weights in model.onnx.data, beside the model."""
    return _write(
        _externalise(_plain(), folder / "model.onnx.data", "model.onnx.data"),
        folder / "model.onnx",
    )


def symlinked_external_data(folder: Path) -> Path:
    """As in a hub's cache: model and weights are links to files of other names elsewhere."""
    blobs, snapshot = folder / "blobs", folder / "snapshots" / "x"
    snapshot.mkdir(parents=True)
    _write(
        _externalise(_plain(), blobs / "5e1f2d", "model.onnx.data"),
        blobs / "0ab9c3",
    )
    (snapshot / "model.onnx.data").symlink_to("../../blobs/5e1f2d")
    (snapshot / "model.onnx").symlink_to("../../blobs/0ab9c3")
    return snapshot / "model.onnx"


def external_data_outside(folder: Path) -> Path:
    """The weights in a file that exists, but outside of the model's folder."""
    return _write(
        _externalise(_plain(), folder / "weights.bin", "../weights.bin"),
        folder / "inside" / "model.onnx",
    )


def external_data_roundabout(folder: Path) -> Path:
    """As before, by a path that first goes down into a folder that exists."""
    (folder / "inside" / "sub").mkdir(parents=True)
    model = _externalise(_plain(), folder / "weights.bin", "sub/../../weights.bin")
    return _write(model, folder / "inside" / "model.onnx")


def external_data_absolute(folder: Path) -> Path:
    """The weights in a file that exists, by its absolute path."""
    weights = (folder / "weights.bin").resolve()
    return _write(
        _externalise(_plain(), weights, str(weights)),
        folder / "inside" / "model.onnx",
    )


def external_data_missing(folder: Path) -> Path:
    """The weights in a file that was not copied along."""
    path = external_data(folder)
    (folder / "model.onnx.data").unlink()
    return path


def external_data_short(folder: Path) -> Path:
    """The weights in a file whose second half is missing."""
    path = external_data(folder)
    weights = folder / "model.onnx.data"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    return path


def _branch(network: Network, name: str) -> onnx.GraphProto:
    inner = Network(random=network.random)
    inner.node(
        "Relu",
        inner.conv("relu1", (8, 8), f"inner_{name}", pads=PADS),
        f"{name}_out",
    )
    network.weights.extend(inner.weights)
    return helper.make_graph(
        inner.nodes, name, [], [_value(f"{name}_out", ("N", 8, 32, 32), {})]
    )


def with_if(folder: Path) -> Path:
    """An If on the image's brightness; relu1 and the weights are used inside its branches alone."""
    network = Network()
    network.first()
    mean = network.node("ReduceMean", "image", "brightness", keepdims=0)
    condition = network.node(
        "Greater", [mean, network.weight("darkest", np.float32(-9))], "bright"
    )
    then, other = _branch(network, "then"), _branch(network, "else")
    network.node("If", condition, "chosen", then_branch=then, else_branch=other)
    network.head(network.second("chosen"))
    return _write(network.model(), folder / "with_if.onnx")


def with_loop(folder: Path) -> Path:
    """A Loop that convolves twice; its body's value is body_relu, the result looped."""
    network, body = Network(), Network()
    body.node(
        "Relu", body.conv("state", (8, 8), "body_conv", pads=PADS), "body_relu"
    )
    body.node("Identity", "keep", "keep_on")
    network.weights.extend(body.weights)
    types = {
        "step": TensorProto.INT64,
        "keep": TensorProto.BOOL,
        "keep_on": TensorProto.BOOL,
    }
    state: Dimensions = ("N", 8, 32, 32)
    given: dict[str, Dimensions] = {"step": (), "keep": (), "state": state}
    made: dict[str, Dimensions] = {"keep_on": (), "body_relu": state}
    starts, ends = (
        [_value(name, shape, types) for name, shape in values.items()]
        for values in (given, made)
    )
    twice, keep = (
        network.weight("twice", np.array(2, np.int64)),
        network.weight("always", np.array(True)),
    )
    graph = helper.make_graph(body.nodes, "body", starts, ends)
    network.node("Loop", [twice, keep, network.first()], "looped", body=graph)
    network.head(network.second("looped"))
    return _write(network.model(), folder / "with_loop.onnx")


def with_local_function(folder: Path) -> Path:
    """Local function, called twice with different strides; its inner value is convolved."""
    inner = Network()
    inner.node("Conv", ["x", "weight", "bias"], "convolved", pads=PADS)
    strides = onnx.AttributeProto(
        name="strides", ref_attr_name="strides", type=onnx.AttributeProto.INTS
    )
    inner.nodes[0].attribute.append(strides)
    inner.node("Relu", "convolved", "y")
    domain = "custom.local"
    function = helper.make_function(
        domain,
        "ConvRelu",
        ["x", "weight", "bias"],
        ["y"],
        inner.nodes,
        [helper.make_opsetid("", 17)],
        ["strides"],
    )
    network = Network()
    weights = [
        network.draw("conv1.weight", 8, 3, 3, 3),
        network.draw("conv1.bias", 8),
    ]
    network.node(
        "ConvRelu", ["image", *weights], "relu1", domain=domain, strides=[1, 1]
    )
    network.node("MaxPool", "relu1", "pool1", kernel_shape=[2, 2], strides=[2, 2])
    weights = [
        network.draw("conv2.weight", 12, 8, 3, 3),
        network.draw("conv2.bias", 12),
    ]
    network.node(
        "ConvRelu", ["pool1", *weights], "relu2", domain=domain, strides=[2, 2]
    )
    network.head()
    model = network.model(domains=[domain], functions=[function])
    return _write(model, folder / "with_local_function.onnx")


def _uint8(path: Path, image: Dimensions) -> Path:
    network = Network()
    x = network.node("Cast", "image", "cast", to=TensorProto.FLOAT)
    x = network.node("Div", [x, network.weight("white", np.float32(255))], "scaled")
    network.whole(
        network.node("Transpose", x, "image_nchw", perm=[0, 3, 1, 2])
        if image[-1] == 3
        else x
    )
    return _write(
        network.model({"image": image}, types={"image": TensorProto.UINT8}), path
    )


def uint8_input(folder: Path) -> Path:
    """Takes pixels of 0 to 255, and scales them itself."""
    return _uint8(folder / "uint8_input.onnx", IMAGE)


def uint8_nhwc_input(folder: Path) -> Path:
    """Takes pixels of 0 to 255, channels last."""
    return _uint8(folder / "uint8_nhwc_input.onnx", ("N", 32, 32, 3))


def _scaled(path: Path, shape: Dimensions) -> Path:
    network = Network()
    factor = "scale"
    if len(shape) > 1:
        target = network.weight("target", np.array([-1, 1, 1, 1], np.int64))
        factor = network.node("Reshape", ["scale", target], "factor")
    network.head(
        network.second(network.node("Mul", [network.first(), factor], "rescaled"))
    )
    return _write(network.model({"scale": shape, "image": IMAGE}), path)


def two_inputs(folder: Path) -> Path:
    """Takes a number beside the image, and before it."""
    return _scaled(folder / "two_inputs.onnx", (1,))


def two_inputs_batched(folder: Path) -> Path:
    """Takes a number for each image."""
    return _scaled(folder / "two_inputs_batched.onnx", ("N", 1))


def two_image_inputs(folder: Path) -> Path:
    """Takes two images, left and right: which of them is the probed one is not to be guessed."""
    network = Network()
    network.whole(network.node("Sub", ["left", "right"], "difference"))
    return _write(
        network.model({"left": IMAGE, "right": IMAGE}),
        folder / "two_image_inputs.onnx",
    )


def fp16(folder: Path) -> Path:
    """All in half precision: image, weights, output."""
    network = Network(np.float16)
    network.whole()
    types = {"image": TensorProto.FLOAT16, "logits": TensorProto.FLOAT16}
    return _write(network.model(types=types), folder / "fp16.onnx")


def fp16_inside(folder: Path) -> Path:
    """Half precision between an image and an output of single precision."""
    network = Network(np.float16)
    network.whole(network.node("Cast", "image", "image16", to=TensorProto.FLOAT16))
    network.node("Cast", "logits", "logits32", to=TensorProto.FLOAT)
    return _write(
        network.model(outputs={"logits32": ("N", 5)}), folder / "fp16_inside.onnx"
    )


def paddle_names(folder: Path) -> Path:
    """As paddle2onnx writes: dots in every name, weights as unnamed Constant nodes.

    All dimensions but the channels are dynamic.
    """
    net = Network()
    w1, w2 = (
        net.draw("conv2d_0.w_0", 8, 3, 3, 3),
        net.draw("conv2d_1.w_0", 12, 8, 3, 3),
    )
    norm = [
        net.draw("batch_norm_3.w_0", 8),
        net.draw("batch_norm_3.b_0", 8),
        net.draw("batch_norm_3.w_1", 8),
    ]
    norm.append(net.weight("batch_norm_3.w_2", np.linspace(0.5, 2, 8)))
    net.node(
        "Conv",
        ["x", w1],
        "conv2d_0.tmp_0",
        "p2o.Conv.0",
        kernel_shape=[3, 3],
        pads=PADS,
    )
    net.node(
        "BatchNormalization",
        ["conv2d_0.tmp_0", *norm],
        "batch_norm_3.tmp_2",
        "p2o.BatchNormalization.0",
    )
    net.node("Relu", "batch_norm_3.tmp_2", "relu_0.tmp_0", "p2o.Relu.0")
    net.node(
        "MaxPool",
        "relu_0.tmp_0",
        "pool2d_0.tmp_0",
        "p2o.MaxPool.0",
        kernel_shape=[2, 2],
        strides=[2, 2],
    )
    net.node(
        "Conv",
        ["pool2d_0.tmp_0", w2],
        "conv2d_1.tmp_0",
        "p2o.Conv.1",
        strides=[2, 2],
        pads=PADS,
    )
    net.node("Relu", "conv2d_1.tmp_0", "relu_1.tmp_0", "p2o.Relu.1")
    net.node("Sigmoid", "relu_1.tmp_0", "sigmoid_0.tmp_0", "p2o.Sigmoid.0")
    constants = [
        helper.make_node("Constant", [], [weight.name], value=weight)
        for weight in net.weights
    ]
    net.nodes, net.weights = constants + net.nodes, []
    free = [f"p2o.DynamicDimension.{index}" for index in range(6)]
    image: Dimensions = (free[0], 3, free[1], free[2])
    output: Dimensions = (free[3], 12, free[4], free[5])
    return _write(
        net.model({"x": image}, {"sigmoid_0.tmp_0": output}, opset=12),
        folder / "paddle_names.onnx",
    )


def tf2onnx_names(folder: Path) -> Path:
    """As tf2onnx writes: slashes and colons in names, channels last, batch 'unk__6'.

    Transposes enclose the network.
    """
    net = Network()
    w1, b1 = (
        net.draw("model/conv1/Conv2D/ReadVariableOp:0", 8, 3, 3, 3),
        net.draw("const_fold_opt__1", 8),
    )
    w2, b2 = (
        net.draw("model/conv2/Conv2D/ReadVariableOp:0", 12, 8, 3, 3),
        net.draw("const_fold_opt__2", 12),
    )
    x = net.node(
        "Transpose", "input_1:0", "Conv2D__6:0", "Conv2D__6", perm=[0, 3, 1, 2]
    )
    net.node(
        "Conv",
        [x, w1, b1],
        "model/conv1/BiasAdd:0",
        "model/conv1/BiasAdd",
        pads=PADS,
    )
    net.node(
        "Relu", "model/conv1/BiasAdd:0", "model/conv1/Relu:0", "model/conv1/Relu"
    )
    window: dict[str, Any] = {"kernel_shape": [2, 2], "strides": [2, 2]}
    net.node(
        "MaxPool",
        "model/conv1/Relu:0",
        "model/pool/MaxPool:0",
        "model/pool/MaxPool",
        **window,
    )
    net.node(
        "Conv",
        ["model/pool/MaxPool:0", w2, b2],
        "model/conv2/BiasAdd:0",
        "model/conv2/BiasAdd",
        strides=[2, 2],
        pads=PADS,
    )
    net.node(
        "Relu", "model/conv2/BiasAdd:0", "model/conv2/Relu:0", "model/conv2/Relu"
    )
    net.node(
        "Transpose",
        "model/conv2/Relu:0",
        "Identity:0",
        "Relu__12",
        perm=[0, 2, 3, 1],
    )
    model = net.model(
        {"input_1:0": ("unk__6", 32, 32, 3)},
        {"Identity:0": ("unk__6", None, None, 12)},
        opset=13,
    )
    return _write(model, folder / "tf2onnx_names.onnx")


def odd_names(folder: Path) -> Path:
    """Names that read like the choices 'relu#1' (a run), 'out[0]' (an output); one with a blank."""
    network = Network()
    names = {"relu1": "relu#1", "conv2": "out[0]", "relu2": "second relu"}
    network.whole()
    for node in network.nodes:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    return _write(network.model(), folder / "odd_names.onnx")


def unnamed_nodes(folder: Path) -> Path:
    """No node has a name."""
    network = Network(named=False)
    network.whole()
    return _write(network.model(), folder / "unnamed_nodes.onnx")


def same_node_names(folder: Path) -> Path:
    """All nodes of a kind have one name.

    ONNX Runtime refuses such a file; the subgraph up to relu1 has no two nodes of a kind.
    """
    network = Network()
    network.whole()
    for node in network.nodes:
        node.name = node.op_type
    return _write(network.model(), folder / "same_node_names.onnx")


def truncated_file(folder: Path) -> Path:
    """A download that stopped at 60 %."""
    path = _write(_plain(), folder / "truncated_file.onnx")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    return path


def _bytes(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def not_a_protobuf(folder: Path) -> Path:
    """A web page that was saved in place of the model."""
    page = b"<!DOCTYPE html>\n<html><head><title>404</title></head><body>Not found</body></html>\n"
    return _bytes(folder / "not_a_protobuf.onnx", page)


def empty_file(folder: Path) -> Path:
    """A file of no bytes, which is a valid protobuf."""
    return _bytes(folder / "empty_file.onnx", b"")


def git_lfs_pointer(folder: Path) -> Path:
    """What git leaves in place of a large file where git-lfs is not installed."""
    lines = [
        "version https://git-lfs.github.com/spec/v1",
        f"oid sha256:{'4d7a2146' * 8}",
        "size 18614599",
        "",
    ]
    return _bytes(folder / "git_lfs_pointer.onnx", "\n".join(lines).encode())


def ort_format(folder: Path) -> Path:
    """ONNX Runtime's own format, a flat buffer: nothing can be added to its outputs."""
    import onnxruntime  # type: ignore[import-untyped]

    path = folder / "ort_format.ort"
    options = onnxruntime.SessionOptions()
    options.log_severity_level = (
        3  # it warns that what it writes is for this machine
    )
    options.optimized_model_filepath = str(path)
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(
        _plain().SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return path


def unknown_domain(folder: Path) -> Path:
    """An operator that no one but its author has, before relu2."""
    network = Network()
    domain = "com.example.ops"
    network.head(
        network.second(
            network.node("Sharpen", network.first(), "sharp", domain=domain)
        )
    )
    return _write(network.model(domains=[domain]), folder / "unknown_domain.onnx")


def unknown_domain_after(folder: Path) -> Path:
    """An operator that no one but its author has, after relu2, which can be had without it."""
    network = Network()
    domain = "com.example.ops"
    network.head(
        network.node(
            "Sharpen", network.second(network.first()), "sharp", domain=domain
        )
    )
    return _write(
        network.model(domains=[domain]), folder / "unknown_domain_after.onnx"
    )


def opset_too_new(folder: Path) -> Path:
    """Of an operator set that no runtime knows yet."""
    network = Network()
    network.whole()
    return _write(network.model(opset=99), folder / "opset_too_new.onnx")


def ir_too_new(folder: Path) -> Path:
    """Of a file format that no runtime knows yet."""
    network = Network()
    network.whole()
    return _write(network.model(ir=99), folder / "ir_too_new.onnx")


def old_opset(folder: Path) -> Path:
    """Opset 9, as of 2019: BatchNormalization without the training outputs, and Upsample."""
    network = Network()
    network.conv("image", (8, 3), "conv1", pads=PADS)
    norm = [network.draw(f"bn.{part}", 8) for part in ("scale", "shift", "mean")]
    norm.append(network.weight("bn.variance", np.linspace(0.5, 2, 8)))
    network.node(
        "Relu",
        network.node("BatchNormalization", ["conv1", *norm], "bn1", epsilon=1e-3),
        "relu1",
    )
    scales = network.weight("scales", np.array([1, 1, 2, 2], np.float32))
    network.node(
        "Upsample", [network.second(), scales], "upsampled", mode="nearest"
    )
    network.head("upsampled")
    return _write(network.model(opset=9, ir=4), folder / "old_opset.onnx")


def initializers_as_inputs(folder: Path) -> Path:
    """IR 3: weights are graph inputs too, and conv1's is 4-D with 3 channels, like an image."""
    network = Network()
    network.whole()
    inputs: dict[str, Dimensions] = {
        weight.name: tuple(weight.dims) for weight in network.weights
    }
    return _write(
        network.model({**inputs, "image": IMAGE}, opset=8, ir=3),
        folder / "initializers_as_inputs.onnx",
    )


def dead_nodes(folder: Path) -> Path:
    """A convolution that no output needs, a weight that no node needs."""
    network = Network()
    network.first()
    network.node("Relu", network.conv("relu1", (4, 8), "dead_conv"), "dead_relu")
    network.draw("unused", 4, 4)
    network.head(network.second())
    return _write(network.model(), folder / "dead_nodes.onnx")


def no_image_input(folder: Path) -> Path:
    """Takes a table of features."""
    network = Network()
    x = network.node(
        "Gemm", ["features", network.draw("in.weight", 48, 12)], "hidden"
    )
    network.gemm(network.node("Relu", x, "relu1"))
    return _write(
        network.model({"features": ("N", 48)}), folder / "no_image_input.onnx"
    )


def _patches(network: Network) -> str:
    x = network.conv("image", (12, 3), "patches", kernel=8, strides=[8, 8])
    target = network.weight("target", np.array([0, 12, -1], np.int64))
    return network.node(
        "Transpose",
        network.node("Reshape", [x, target], "flat_patches"),
        "sequence",
        perm=[0, 2, 1],
    )


def _norm(network: Network, x: str) -> str:
    scale, shift = (
        network.weight("norm.scale", np.linspace(0.5, 1.5, 12)),
        network.draw("norm.shift", 12),
    )
    return network.node("LayerNormalization", [x, scale, shift], "tokens", axis=-1)


def tokens(folder: Path) -> Path:
    """Patch embedding, positions, LayerNormalization: tokens is (N, 16, 12), on a 4 x 4 grid."""
    network = Network()
    position = network.draw("position", 1, 16, 12)
    _norm(network, network.node("Add", [_patches(network), position], "placed"))
    network.gemm(
        network.node("ReduceMean", "tokens", "mean_token", axes=[1], keepdims=0)
    )
    return _write(network.model(), folder / "tokens.onnx")


def tokens_cls(folder: Path) -> Path:
    """As tokens, with a class token in front: (N, 17, 12)."""
    network = Network()
    _patches(network)
    one = network.weight("one", np.array([1], np.int64))
    start = network.weight("start", np.array([0], np.int64))
    batch = network.node(
        "Slice", [network.node("Shape", "sequence", "shape"), start, one], "batch"
    )
    rest = network.weight("rest", np.array([1, 12], np.int64))
    shape = network.node("Concat", [batch, rest], "class_shape", axis=0)
    expanded = network.node(
        "Expand", [network.draw("class", 1, 1, 12), shape], "class_token"
    )
    x = network.node("Concat", [expanded, "sequence"], "with_class", axis=1)
    _norm(
        network,
        network.node("Add", [x, network.draw("position", 1, 17, 12)], "placed"),
    )
    network.gemm(
        network.node(
            "Gather",
            ["tokens", network.weight("zero", np.array(0, np.int64))],
            "class_out",
            axis=1,
        )
    )
    return _write(network.model(), folder / "tokens_cls.onnx")


def branches(folder: Path) -> Path:
    """3 x 3 and 1 x 1 branches added (sum), then multiplied by squeeze-and-excitation (gated)."""
    network = Network()
    network.first()
    wide = network.conv("relu1", (12, 8), "wide", pads=PADS, strides=[2, 2])
    narrow = network.conv("relu1", (12, 8), "narrow", kernel=1, strides=[2, 2])
    network.node("Relu", network.node("Add", [narrow, wide], "sum"), "relu2")
    excited = network.conv(
        network.node("GlobalAveragePool", "relu2", "squeezed"),
        (12, 12),
        "excited",
        kernel=1,
    )
    network.node(
        "Mul", [network.node("Sigmoid", excited, "gate"), "relu2"], "gated"
    )
    network.head("gated")
    return _write(network.model(), folder / "branches.onnx")


def _resize(
    network: Network, x: str, output: str, factor: float, **attributes: Any
) -> str:
    scales = network.weight(
        f"{output}.scales", np.array([1, 1, factor, factor], np.float32)
    )
    return network.node("Resize", [x, "", scales], output, **attributes)


def resize_ops(folder: Path) -> Path:
    """All operators that move cells, in sequence; values are named after them (see ``RESIZED``)."""
    network = Network()
    x = network.conv(
        "image", (4, 3), "dilated", dilations=[2, 2], pads=[2, 2, 2, 2]
    )
    x = network.conv(x, (4, 4), "same_upper", strides=[2, 2], auto_pad="SAME_UPPER")
    x = network.conv(x, (4, 4), "same_lower", strides=[2, 2], auto_pad="SAME_LOWER")
    floor = {
        "coordinate_transformation_mode": "asymmetric",
        "nearest_mode": "floor",
    }
    x = _resize(network, x, "nearest", 2, mode="nearest", **floor)
    x = _resize(
        network,
        x,
        "half_pixel",
        2,
        mode="linear",
        coordinate_transformation_mode="half_pixel",
    )
    x = _resize(
        network,
        x,
        "align_corners",
        1.5,
        mode="linear",
        coordinate_transformation_mode="align_corners",
    )
    x = _resize(
        network,
        x,
        "asymmetric",
        0.5,
        mode="linear",
        coordinate_transformation_mode="asymmetric",
    )
    kernel = network.draw("transposed.weight", 4, 4, 4, 4)
    x = network.node(
        "ConvTranspose", [x, kernel], "transposed", strides=[2, 2], pads=PADS
    )
    kernel = network.draw("transposed_odd.weight", 4, 4, 3, 3)
    odd: dict[str, Any] = {
        "strides": [2, 2],
        "pads": PADS,
        "output_padding": [1, 1],
    }
    x = network.node("ConvTranspose", [x, kernel], "transposed_odd", **odd)
    x = network.node(
        "Pad",
        [x, network.weight("pads", np.array([0, 0, 2, 1, 0, 0, 4, 3], np.int64))],
        "padded",
    )
    # some versions of ONNX Runtime fuse a Pad with the pooling behind it, wrongly
    x = network.node("Abs", x, "apart")
    x = network.node(
        "AveragePool",
        x,
        "averaged",
        kernel_shape=[3, 3],
        strides=[2, 2],
        ceil_mode=1,
    )
    network.head(x, 4)
    return _write(network.model(), folder / "resize_ops.onnx")


RESIZED = (
    *(
        "dilated",
        "same_upper",
        "same_lower",
        "nearest",
        "half_pixel",
        "align_corners",
        "asymmetric",
        "transposed",
    ),
    *("transposed_odd", "padded", "averaged"),
)


def duplicate_use(folder: Path) -> Path:
    """relu2 is an output of the graph already, and is used inside it, too."""
    network = Network()
    network.whole()
    return _write(
        network.model(outputs={"relu2": ("N", 12, 8, 8), "logits": ("N", 5)}),
        folder / "duplicate_use.onnx",
    )


def int_output(folder: Path) -> Path:
    """Integers: best is the index of the strongest unit at each cell; best_float, as floats."""
    network = Network()
    best = network.node(
        "ArgMax", network.second(network.first()), "best", axis=1, keepdims=1
    )
    network.head(network.node("Cast", best, "best_float", to=TensorProto.FLOAT), 1)
    return _write(network.model(), folder / "int_output.onnx")


def scalar_output(folder: Path) -> Path:
    """The value level is one number for all images, levels is one for each: neither has units."""
    network = Network()
    level = network.node("ReduceMean", network.first(), "level", keepdims=0)
    levels = network.node(
        "ReduceMean", "relu1", "levels", axes=[1, 2, 3], keepdims=0
    )
    target = network.weight("target", np.array([-1, 1, 1, 1], np.int64))
    network.node(
        "Reshape",
        [network.node("Add", [levels, level], "level_sum"), target],
        "factor",
    )
    network.head(
        network.second(network.node("Mul", ["relu1", "factor"], "rescaled"))
    )
    return _write(network.model(), folder / "scalar_output.onnx")


def sequence_values(folder: Path) -> Path:
    """The value pieces is a sequence of tensors."""
    network = Network()
    sizes, zero = (
        network.weight("sizes", np.array([4, 4], np.int64)),
        network.weight("zero", np.array(0, np.int64)),
    )
    pieces = network.node(
        "SplitToSequence", [network.first(), sizes], "pieces", axis=1
    )
    network.head(
        network.second(
            network.node("SequenceAt", [pieces, zero], "piece"), channels=4
        )
    )
    return _write(network.model(), folder / "sequence_values.onnx")


def image_input(path: Path) -> onnx.ValueInfoProto:
    """The first 4-D input that is no weight."""
    graph = onnx.load(path, load_external_data=False).graph
    weights = {weight.name for weight in graph.initializer}
    inputs: list[onnx.ValueInfoProto] = [
        value for value in graph.input if value.name not in weights
    ]
    return next(
        value for value in inputs if len(value.type.tensor_type.shape.dim) == 4
    )


def as_fed(path: Path, images: Array) -> Array:
    """Return images (N, 3, H, W) in the layout and type that the file takes, not scaled."""
    kind = image_input(path).type.tensor_type
    last = kind.shape.dim[-1].dim_value == 3 and kind.shape.dim[1].dim_value != 3
    fed = images.transpose(0, 2, 3, 1) if last else images
    return fed.astype(helper.tensor_dtype_to_np_dtype(kind.elem_type))


def filled(path: Path, feed: Sequence[tuple[str, float]]) -> dict[str, Array]:
    """Each named input, for one image, full of one number."""
    inputs = {
        value.name: value.type.tensor_type
        for value in onnx.load(path, load_external_data=False).graph.input
    }
    shapes = {
        name: [dim.dim_value or 1 for dim in inputs[name].shape.dim]
        for name, _ in feed
    }
    dtypes = {
        name: helper.tensor_dtype_to_np_dtype(inputs[name].elem_type)
        for name, _ in feed
    }
    return {
        name: np.full(shapes[name], number, dtypes[name]) for name, number in feed
    }


def draw_images(path: Path, count: int = 2, seed: int = 0) -> Array:
    """Draw random images (count, 3, 32, 32) of float32.

    Whole numbers up to 255 for a file that takes bytes, else numbers up to 1.
    """
    pixels = (
        np.random.default_rng(seed)
        .integers(0, 256, (count, 3, 32, 32))
        .astype(np.float32)
    )
    return (
        pixels
        if image_input(path).type.tensor_type.elem_type == TensorProto.UINT8
        else pixels / np.float32(255)
    )


class BatchNormalization(OpRun):
    """Batch normalisation with the trained statistics.

    The evaluator's own, for opsets before 14, uses those of the batch (as of onnx 1.23).
    """

    op_domain = ""

    def _run(
        self,
        x: Array,
        scale: Array,
        shift: Array,
        mean: Array,
        variance: Array,
        epsilon: float,
        **_: Any,
    ) -> tuple[Array]:
        scale, shift, mean, variance = (
            per_channel.reshape(1, -1, *[1] * (x.ndim - 2))
            for per_channel in (scale, shift, mean, variance)
        )
        return (
            ((x - mean) / np.sqrt(variance + epsilon) * scale + shift).astype(
                x.dtype
            ),
        )


def inner_values(
    path: Path,
    images: Array,
    names: Iterable[str],
    feed: Mapping[str, Array] | None = None,
) -> dict[str, Array]:
    """Compute values for images (N, 3, H, W), one at a time, by onnx's reference evaluator.

    ``feed`` gives the other inputs, for one image. The values are the reference even for files that
    mix the images of a batch, or take one at a time.
    """
    model = inliner.inline_local_functions(_load(path))
    names = list(names)
    present = {output.name for output in model.graph.output}
    model.graph.output.extend(
        onnx.ValueInfoProto(name=name) for name in names if name not in present
    )
    _keep_what_is_needed(model.graph, names)
    evaluator = ReferenceEvaluator(model, new_ops=[BatchNormalization])
    image, fed = image_input(path).name, as_fed(path, images)
    singles = [{image: fed[i : i + 1], **(feed or {})} for i in range(len(fed))]
    runs: list[list[Any]] = [
        list(evaluator.run(names, single)) for single in singles
    ]
    return {
        name: np.concatenate([np.atleast_1d(run[i]) for run in runs])
        for i, name in enumerate(names)
    }


def _keep_what_is_needed(graph: onnx.GraphProto, names: Iterable[str]) -> None:
    """Drop the nodes and outputs that the named values do not need.

    They may need inputs or operators that are not available.
    """
    wanted = set(names)
    for place in reversed(range(len(graph.node))):
        if wanted.intersection(graph.node[place].output):
            wanted |= _used(graph.node[place])
        else:
            del graph.node[place]
    for place in reversed(range(len(graph.output))):
        if graph.output[place].name not in wanted:
            del graph.output[place]


def _used(node: onnx.NodeProto) -> set[str]:
    """The values that a node names as its inputs, and any that the bodies inside it name."""
    bodies = [
        attribute.g
        for attribute in node.attribute
        if attribute.type == onnx.AttributeProto.GRAPH
    ]
    inside = [_used(inner) for body in bodies for inner in body.node]
    return set(node.input).union(
        *inside, *({output.name for output in body.output} for body in bodies)
    )


def _load(path: Path) -> onnx.ModelProto:
    """The model with its weights; onnx itself follows no symbolic link to them."""
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL:
            where = {entry.key: entry.value for entry in tensor.external_data}
            stored = (path.parent / where["location"]).read_bytes()
            start = int(where.get("offset", 0))
            tensor.raw_data = stored[
                start : start + int(where.get("length", len(stored)))
            ]
            tensor.data_location = TensorProto.DEFAULT
            del tensor.external_data[:]
    return model


@dataclass(frozen=True)
class HardFile:
    """A file, the layer to probe in it, and what must come of it."""

    name: str
    make: Callable[[Path], Path]
    layer: str
    error: str = (
        ""  # kind and text of the error, where the file or layer is refused
    )
    value: str = (
        ""  # the value that is meant, where the layer is the name of a node
    )
    image: str = ""  # the input that takes the image, where that has to be said
    # the inputs beside the image, and the number that fills each
    feed: tuple[tuple[str, float], ...] = ()

    @property
    def works(self) -> bool:
        """Whether the layer can be probed."""
        return not self.error


HARD_FILES: tuple[HardFile, ...] = (
    HardFile("dynamic batch", dynamic_batch, "relu2"),
    HardFile("dynamic size", dynamic_size, "relu2"),
    HardFile("fixed batch", fixed_batch, "relu2"),
    HardFile("fixed batch, the head", fixed_batch, "logits"),
    HardFile("fixed batch inside", fixed_batch_inside, "relu2"),
    HardFile("fixed batch inside, before it", fixed_batch_inside, "relu1"),
    HardFile("fixed batch folded", fixed_batch_folded, "relu2"),
    HardFile("mixing batch", mixing_batch, "relu2"),
    HardFile("NHWC", nhwc, "relu2_nhwc"),
    HardFile("NHWC, inside", nhwc, "relu2"),
    HardFile("NHWC cube", nhwc_cube, "relu2_nhwc"),
    HardFile("external data", external_data, "relu2"),
    HardFile("symlinked external data", symlinked_external_data, "relu2"),
    HardFile(
        "external data outside",
        external_data_outside,
        "relu2",
        error="BadInput: outside the model's folder",
    ),
    HardFile(
        "external data roundabout",
        external_data_roundabout,
        "relu2",
        error="BadInput: names 'sub/../../weights.bin' as its file, outside the model's folder",
    ),
    HardFile(
        "external data absolute",
        external_data_absolute,
        "relu2",
        error="BadInput: outside the model's folder",
    ),
    HardFile(
        "external data missing",
        external_data_missing,
        "relu2",
        error="ModelNotFound: model.onnx.data is missing: it holds the data of the tensor "
        "'conv1.weight'",
    ),
    HardFile(
        "external data short",
        external_data_short,
        "relu2",
        error="ModelNotFound: is truncated",
    ),
    HardFile("If", with_if, "relu2"),
    HardFile("If, its result", with_if, "chosen"),
    HardFile("If, captured by it", with_if, "relu1"),
    HardFile(
        "If, inside",
        with_if,
        "inner_then",
        error="UnitsNotFound: inside the body of the If 'If_0' and cannot be read",
    ),
    HardFile("Loop", with_loop, "relu2"),
    HardFile("Loop, its result", with_loop, "looped"),
    HardFile(
        "Loop, inside",
        with_loop,
        "body_relu",
        error="UnitsNotFound: choose an output of that node: looped",
    ),
    HardFile("local function", with_local_function, "relu2"),
    HardFile(
        "local function, inside the first call", with_local_function, "convolved__1"
    ),  # as onnx.inliner names it
    HardFile("uint8 input", uint8_input, "relu2"),
    HardFile("uint8 NHWC input", uint8_nhwc_input, "relu2"),
    HardFile("two inputs", two_inputs, "relu2", feed=(("scale", SCALE),)),
    HardFile("two inputs, the layer before the second", two_inputs, "relu1"),
    HardFile(
        "two inputs, not fed",
        two_inputs,
        "relu2",
        error="BadInput: the layers need scale (1) float: give a value with --feed scale=VALUE",
    ),
    HardFile(
        "two inputs, batched", two_inputs_batched, "relu2", feed=(("scale", SCALE),)
    ),
    HardFile(
        "two image inputs",
        two_image_inputs,
        "relu2",
        error="BadInput: choose one (--input NAME) and give values for the others "
        "(--feed NAME=VALUE)",
    ),
    HardFile(
        "two image inputs, named",
        two_image_inputs,
        "relu2",
        image="left",
        feed=(("right", SCALE),),
    ),
    HardFile("fp16", fp16, "relu2"),
    HardFile("fp16 inside", fp16_inside, "relu2"),
    HardFile("Paddle's names", paddle_names, "batch_norm_3.tmp_2"),
    HardFile(
        "Paddle's names, a node", paddle_names, "p2o.Relu.1", value="relu_1.tmp_0"
    ),
    HardFile("tf2onnx's names", tf2onnx_names, "model/conv1/Relu:0"),
    HardFile(
        "tf2onnx's names, a node",
        tf2onnx_names,
        "model/conv2/Relu",
        value="model/conv2/Relu:0",
    ),
    HardFile("odd names, a run", odd_names, "relu#1"),
    HardFile("odd names, an output", odd_names, "out[0]"),
    HardFile("odd names, a blank", odd_names, "second relu"),
    HardFile("unnamed nodes", unnamed_nodes, "relu2"),
    HardFile("same node names", same_node_names, "relu2"),
    HardFile("same node names, before the second", same_node_names, "relu1"),
    HardFile(
        "truncated",
        truncated_file,
        "relu2",
        error="ModelNotFound: is not an ONNX model, or is damaged",
    ),
    HardFile(
        "not a protobuf",
        not_a_protobuf,
        "relu2",
        error="ModelNotFound: is not an ONNX model",
    ),
    HardFile("empty", empty_file, "relu2", error="ModelNotFound: is empty"),
    HardFile(
        "git-lfs pointer",
        git_lfs_pointer,
        "relu2",
        error="ModelNotFound: run git lfs pull",
    ),
    HardFile(
        "ORT format",
        ort_format,
        "relu2",
        error="BadInput: use the .onnx file that it was converted from",
    ),
    HardFile(
        "unknown domain",
        unknown_domain,
        "relu2",
        error="BadInput: needs the operator Sharpen of the domain 'com.example.ops'",
    ),
    HardFile("unknown domain, before it", unknown_domain, "relu1"),
    HardFile("unknown domain after", unknown_domain_after, "relu2"),
    HardFile(
        "opset too new",
        opset_too_new,
        "relu2",
        error="Unavailable: uses opset 99, which ONNX Runtime",
    ),
    HardFile(
        "IR too new",
        ir_too_new,
        "relu2",
        error="Unavailable: uses IR version 99, which ONNX Runtime",
    ),
    HardFile("old opset", old_opset, "upsampled"),
    HardFile("initializers as inputs", initializers_as_inputs, "relu2"),
    HardFile("dead nodes", dead_nodes, "relu2"),
    HardFile("dead nodes, a dead one", dead_nodes, "dead_relu"),
    HardFile(
        "no image input",
        no_image_input,
        "relu1",
        error="BadInput: no input takes images",
    ),
    HardFile("tokens", tokens, "tokens"),
    HardFile("tokens with class token", tokens_cls, "tokens"),
    HardFile("branches", branches, "gated"),
    *(HardFile(f"resize: {value}", resize_ops, value) for value in RESIZED),
    HardFile("an output already", duplicate_use, "relu2"),
    HardFile("an output already, the last", duplicate_use, "logits"),
    HardFile(
        "integers",
        int_output,
        "best",
        error="UnitsNotFound: holds integers or booleans",
    ),
    # an index jumps: its places cannot be measured
    HardFile("after integers", int_output, "best_float@nchw", value="best_float"),
    HardFile(
        "a number",
        scalar_output,
        "level",
        error="UnitsNotFound: returns a tensor of shape ()",
    ),
    HardFile(
        "a number for each image",
        scalar_output,
        "levels",
        error="UnitsNotFound: units are found in maps (N, C, h, w)",
    ),
    HardFile("after numbers", scalar_output, "relu2"),
    HardFile(
        "a sequence",
        sequence_values,
        "pieces",
        error="UnitsNotFound: is not a tensor",
    ),
    HardFile("after a sequence", sequence_values, "relu2"),
)
