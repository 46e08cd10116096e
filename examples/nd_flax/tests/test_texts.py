"""Models named by texts: factories, options, weights, and what is wrong with them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import flax_models
import numpy as np
import pytest
import torch
from flax import nnx, serialization
from safetensors.numpy import save_file

from nd_flax import match, nd_backends
from nd_plugin import (
    BadInput,
    ModelNotFound,
    ModelOptions,
    open_model,
)

NETWORK = "flax:flax_models:ConvolutionalNetwork"
BLOCKED = """
import sys
for name in ("jax", "flax"):
    sys.modules[name] = None
from nd_plugin import Unavailable, open_model
try:
    open_model("flax:flax_models:ConvolutionalNetwork")
except Unavailable as error:
    print(error)
"""
LISTING = """
import sys
import nd_flax
nd_flax.match("flax:a:b"), nd_flax.match(object()), nd_flax.nd_backends()
print([name for name in ("jax", "flax", "torch", "numpy") if name in sys.modules])
"""


def arrays_of(network: Any) -> dict[str, np.ndarray[Any, Any]]:
    state = nnx.state(network, nnx.Not(nnx.RngState))
    return {
        ".".join(map(str, path)): np.asarray(variable.get_value())
        for path, variable in nnx.to_flat_state(state)
    }


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("flax:", ModelNotFound, "names no factory"),
        ("flax:flax_models", ModelNotFound, "flax:package.module:factory"),
        ("flax:flax_modles:cnn", ModelNotFound, "no module 'flax_modles'"),
        ("flax:flax_models:ConvNetwork", ModelNotFound, "ConvolutionalNetwork"),
        (f"{NETWORK}?depth=3", ModelNotFound, "depth"),
        (f"{NETWORK}?width=8&width=9", BadInput, "given twice"),
        ("flax:flax_models:broken", ModelNotFound, "ValueError: out of order"),
        ("flax:flax_models:no_model", ModelNotFound, "returned a str"),
        ("flax:flax_models:unbound", BadInput, r"model\.bind\(variables\)"),
    ],
)
def test_wrong_texts_say_what_is_wrong(
    text: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        open_model(text)


def test_options_go_to_the_factory() -> None:
    model: Any = open_model(f"{NETWORK}?width=4")
    assert model.layers(flax_models.SIZE)[0].shape == (1, 4, 32, 32)
    assert model.spec == f"{NETWORK}?width=4"
    assert open_model(NETWORK).spec == f"{NETWORK}?width=8"  # type: ignore[attr-defined]
    assert any("random numbers" in note for note in model.notes)
    assert model.preprocess == flax_models.PIXELS


def test_weights_of_a_file_are_those_that_run(tmp_path: Path) -> None:
    trained = flax_models.ConvolutionalNetwork(rngs=nnx.Rngs(7))
    arrays = arrays_of(trained)
    save_file(arrays, tmp_path / "net.safetensors")
    nested = nnx.to_pure_dict(nnx.state(trained, nnx.Not(nnx.RngState)))
    (tmp_path / "net.msgpack").write_bytes(serialization.msgpack_serialize(nested))
    expected = open_model(trained)
    images = torch.rand(2, 3, *flax_models.SIZE)
    for file in ("net.safetensors", "net.msgpack"):
        options = ModelOptions(weights=str(tmp_path / file))
        model: Any = open_model(NETWORK, options)
        assert model.identity.fingerprint == expected.identity.fingerprint
        assert not any("random numbers" in note for note in model.notes)
        assert torch.equal(model.outputs(images), expected.outputs(images))  # type: ignore[attr-defined]
    assert open_model(NETWORK).identity.fingerprint != expected.identity.fingerprint


def test_linen_weights_may_be_the_parameters_alone_if_there_is_nothing_else(
    tmp_path: Path,
) -> None:
    bound = flax_models.linen_network()
    file = tmp_path / "linen.msgpack"
    file.write_bytes(serialization.to_bytes(bound.variables))
    text = "flax:flax_models:linen_network"
    model = open_model(text, ModelOptions(weights=str(file)))
    assert model.identity.fingerprint == open_model(bound).identity.fingerprint
    file.write_bytes(serialization.to_bytes(bound.variables["params"]))
    with pytest.raises(ModelNotFound, match=r"it lacks batch_stats\.LinenBlock_0"):
        open_model(text, ModelOptions(weights=str(file)))


def test_weights_that_do_not_fit_say_why(tmp_path: Path) -> None:
    arrays = arrays_of(flax_models.ConvolutionalNetwork(rngs=nnx.Rngs(7)))
    file = tmp_path / "net.safetensors"

    def refused(error: type[Exception] = ModelNotFound) -> str:
        with pytest.raises(error) as caught:
            open_model(NETWORK, ModelOptions(weights=str(file)))
        return str(caught.value)

    assert "no weights file" in refused()
    file.write_bytes(b"no tensors")
    assert "cannot be read" in refused()
    renamed = {**arrays, "first.kernal": arrays["first.kernel"]}
    del renamed["first.kernel"]
    save_file(renamed, file)
    assert "it lacks first.kernel; the model has no first.kernal" in refused()
    save_file({**arrays, "head.bias": np.zeros(5, "float32")}, file)
    assert "head.bias has the shape (5,), and the model's is (4,)" in refused()
    file = tmp_path / "net.pkl"
    file.write_bytes(b"")
    assert "pickles are not loaded" in refused(BadInput)
    with pytest.raises(BadInput, match="only into models named by a text"):
        network = flax_models.ConvolutionalNetwork(rngs=nnx.Rngs(0))
        open_model(network, ModelOptions(weights=str(file)))


def test_listing_imports_neither_jax_nor_torch() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LISTING], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_models_are_claimed_by_their_class() -> None:
    assert match(NETWORK) == 100
    assert match(flax_models.ConvolutionalNetwork(rngs=nnx.Rngs(0))) == 100
    assert match(flax_models.linen_network()) == 100
    assert match("package.module:factory") == match(torch.nn.Linear(1, 1)) == 0
    (spec,) = nd_backends()
    assert spec.name == "flax"


def test_without_jax_the_backend_is_unavailable() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED], capture_output=True, text=True, check=True
    )
    assert "'flax' cannot be loaded from" in done.stdout
    assert "reinstall nd_flax with what it depends on" in done.stdout


def test_nd_dissects_a_text(tmp_path: Path) -> None:
    arguments = ["dissect", "flax:nd_flax.example:SmallNetwork?width=8"]
    arguments += [
        "-l",
        "block",
        "-l",
        "attention",
        "-c",
        "shapes?images=20&size=64",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "nd_plugin", *arguments, "-o", "run", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    block, attention = json.loads(done.stdout)["layers"]
    assert (block["layer"], block["units"], block["images"]) == ("block", 8, 20)
    assert (attention["layer"], attention["units"]) == ("attention", 8)
    stored = json.loads((tmp_path / "run" / "run.json").read_text())
    assert "SmallNetwork's own" in json.dumps(stored)
    assert "evaluation mode" in json.dumps(stored)


def test_options_of_onnx_are_refused() -> None:
    with pytest.raises(BadInput, match="ONNX files only"):
        open_model(NETWORK, ModelOptions(input="x"))
