"""Dictionaries: what their encoders compute, and the files they come in."""

from __future__ import annotations

import contextlib
import json
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from nd_plugin import BadInput
from nd_plugin.bases import tensor_files
from nd_plugin.bases.basis import Basis
from nd_plugin.bases.encoder import Encoder
from nd_plugin.bases.opening import open_basis, read_basis

UNITS, LATENTS = 5, 12
MAPS = torch.randn(3, UNITS, 4, 2, generator=torch.Generator().manual_seed(0))
CELLS = MAPS.permute(0, 2, 3, 1)  # the units last, as autoencoders have them


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


W, B, PRE = noise(LATENTS, UNITS), noise(LATENTS, seed=2), noise(UNITS, seed=3)
THETA = noise(LATENTS, seed=4).abs()


def as_maps(codes: Tensor) -> Tensor:
    return codes.permute(0, 3, 1, 2)


def top_k(codes: Tensor, k: int) -> Tensor:
    """Plain version: the k largest of each cell, rectified."""
    kept = torch.zeros_like(codes)
    for index in np.ndindex(*codes.shape[:-1]):
        best = codes[index].argsort(descending=True)[:k]
        kept[index][best] = codes[index][best].clamp(min=0)
    return kept


def check(basis: Basis, codes: Tensor) -> None:
    latents = basis.transform(MAPS)
    assert latents.shape == (3, codes.shape[-1], 4, 2)
    assert basis.directions == codes.shape[-1] and basis.units == UNITS
    assert torch.allclose(latents, as_maps(codes), atol=1e-5)


def npz(path: Path, **arrays: Any) -> Path:
    np.savez(
        path,
        **{
            name: array.numpy() if isinstance(array, Tensor) else array
            for name, array in arrays.items()
        },
    )
    return path


def safetensors(
    path: Path, metadata: dict[str, str] | None = None, **tensors: Tensor
) -> Path:
    content = {name.replace("__", "."): tensor for name, tensor in tensors.items()}
    save_file(
        {name: t.clone().contiguous() for name, t in content.items()},
        path,
        metadata,
    )
    return path


@pytest.fixture(params=[".npz", ".safetensors"])
def save(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Path]:
    write = npz if request.param == ".npz" else safetensors
    return partial(write, tmp_path / f"basis{request.param}")


LINEAR = CELLS @ W.T


def test_a_matrix_has_directions_in_its_rows(save: Callable[..., Path]) -> None:
    basis = read_basis(save(anything=W))
    check(basis, LINEAR)
    assert basis.name.startswith("basis.") and basis.notes == ()
    transposed = save(anything=W.T.contiguous())
    check(read_basis(f"{transposed}?transpose=true"), LINEAR)


def test_principal_components_are_centred(save: Callable[..., Path]) -> None:
    check(read_basis(save(components_=W, mean_=PRE)), (CELLS - PRE) @ W.T)


def test_our_own_names(save: Callable[..., Path]) -> None:
    hidden = (CELLS - PRE) @ W.T + B
    path = save(weight=W, bias=B, pre_bias=PRE)
    basis = read_basis(path)
    check(basis, hidden.relu())
    assert "ReLU is assumed" in basis.notes[0]
    for option, codes in {
        "k=3": top_k(hidden, 3),
        "activation=topk&k=1": top_k(hidden, 1),
        "activation=linear": hidden,
        "activation=relu": hidden.relu(),
    }.items():
        stated = read_basis(f"{path}?{option}")
        check(stated, codes)
        assert stated.notes == ()
        assert (
            stated.fingerprint != basis.fingerprint or option == "activation=relu"
        )
    path = save(weight=W, bias=B, threshold=THETA)
    jumped = CELLS @ W.T + B
    check(read_basis(path), jumped.relu() * (jumped > THETA))
    path = save(weight=W, bias=B, k=torch.tensor(4))
    check(read_basis(path), top_k(CELLS @ W.T + B, 4))


def test_activation_is_read_from_texts_of_files(tmp_path: Path) -> None:
    hidden = CELLS @ W.T + B
    path = npz(tmp_path / "a.npz", weight=W, bias=B, activation="linear")
    check(read_basis(path), hidden)
    metadata = {"activation": "topk", "k": "2"}
    path = safetensors(tmp_path / "a.safetensors", metadata, weight=W, bias=B)
    check(read_basis(path), top_k(hidden, 2))


def saelens(
    folder: Path, configuration: dict[str, Any] | None, **tensors: Tensor
) -> Basis:
    if configuration is not None:
        (folder / "cfg.json").write_text(json.dumps(configuration))
    weights = {
        "W_enc": W.T,
        "b_enc": B,
        "b_dec": PRE,
        "W_dec": noise(LATENTS, UNITS, seed=9),
    }
    return read_basis(
        safetensors(folder / "sae_weights.safetensors", **weights, **tensors)
    )


def test_saelens(tmp_path: Path) -> None:
    centred = (CELLS - PRE) @ W.T + B
    guessed = saelens(tmp_path, None)
    check(guessed, centred.relu())
    assert any("no cfg.json" in note for note in guessed.notes)
    assert any("ReLU is assumed" in note for note in guessed.notes)
    standard = {"architecture": "standard", "activation_fn_str": "relu"}
    stated = saelens(tmp_path, standard)
    check(stated, centred.relu())
    assert stated.notes == ()
    outside = saelens(tmp_path, {**standard, "apply_b_dec_to_input": False})
    check(outside, (CELLS @ W.T + B).relu())
    check(saelens(tmp_path, {"architecture": "topk", "k": 3}), top_k(centred, 3))
    old = {"activation_fn_str": "topk", "activation_fn_kwargs": {"k": 2}}
    check(saelens(tmp_path, old), top_k(centred, 2))
    jump = saelens(tmp_path, {"architecture": "jumprelu"}, threshold=THETA)
    check(jump, centred.relu() * (centred > THETA))
    scaled = {"architecture": "topk", "k": 3, "rescale_acts_by_decoder_norm": True}
    norms = noise(LATENTS, UNITS, seed=9).norm(dim=1)
    check(saelens(tmp_path, scaled), top_k(centred * norms, 3))


def test_saelens_normalises_activations(tmp_path: Path) -> None:
    norm = {"normalize_activations": "layer_norm"}
    mean, deviation = CELLS.mean(-1, keepdim=True), CELLS.std(-1, keepdim=True)
    normalised = (CELLS - mean) / (deviation + 1e-5)
    check(saelens(tmp_path, norm), ((normalised - PRE) @ W.T + B).relu())
    norm = {"normalize_activations": "constant_norm_rescale"}
    normalised = CELLS * UNITS**0.5 / CELLS.norm(dim=-1, keepdim=True)
    check(saelens(tmp_path, norm), ((normalised - PRE) @ W.T + B).relu())
    norm = {"normalize_activations": "expected_average_only_in"}
    basis = saelens(tmp_path, norm)
    check(basis, ((CELLS - PRE) @ W.T + B).relu())
    assert "scaled by a constant in training" in basis.notes[0]
    with pytest.raises(BadInput, match="normalisation 'new' is none of"):
        saelens(tmp_path, {"normalize_activations": "new"})
    with pytest.raises(BadInput, match="of the kind 'tanh-relu', which is not"):
        saelens(tmp_path, {"activation_fn_str": "tanh-relu"})
    with pytest.raises(BadInput, match="does not state k"):
        saelens(tmp_path, {"architecture": "topk"})
    with pytest.raises(BadInput, match="of the kind 'gated', which is not"):
        saelens(tmp_path, {"architecture": "gated"})


def test_overcomplete(tmp_path: Path) -> None:
    block = "encoder__final_block__"
    path = tmp_path / "a.safetensors"
    hidden = CELLS @ W.T + B
    weights = {
        f"{block}0__weight": W,
        f"{block}0__bias": B,
        "dictionary___weights": W,
    }
    basis = read_basis(safetensors(path, **weights))
    check(basis, hidden.relu())
    assert "do not tell a top-k" in basis.notes[0]
    check(read_basis(f"{path}?k=3"), top_k(hidden, 3))
    jump = read_basis(safetensors(path, **weights, thresholds=THETA.log()))
    check(jump, hidden.relu() * (hidden > THETA))
    norm = nn.BatchNorm1d(LATENTS).eval()
    norm.running_mean, norm.running_var = noise(LATENTS, seed=5), THETA
    norm.weight.data, norm.bias.data = (
        noise(LATENTS, seed=6),
        noise(LATENTS, seed=7),
    )
    state = {
        f"{block}1__{name}": value for name, value in norm.state_dict().items()
    }
    with torch.no_grad():
        normed = norm(hidden.flatten(0, 2)).view_as(hidden)
    check(read_basis(safetensors(path, **weights, **state)), normed.relu())
    deep = {"encoder__mlp_blocks__0__0__weight": noise(4, UNITS)}
    with pytest.raises(BadInput, match="several layers"):
        read_basis(safetensors(path, **weights, **deep))
    with pytest.raises(BadInput, match="layer norm"):
        read_basis(safetensors(path, **weights, encoder__final_block__1__weight=B))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"first": W, "second": W}, "no basis that is known: it has first, second"),
        (
            {"weight": noise(2, 2, 2)},
            "weight has shape \\(2, 2, 2\\), not two axes",
        ),
        (
            {"weight": W, "bias": noise(UNITS)},
            r"bias has shape \(5,\); expected \(12,\)",
        ),
        (
            {"weight": W, "pre_bias": B},
            r"pre_bias has shape \(12,\); expected \(5,\)",
        ),
        ({"weight": W * torch.nan}, "not finite"),
        (
            {"weight": W, "k": torch.tensor(13)},
            "between 1 and the number of latents, 12",
        ),
        ({"weight": torch.zeros(0, 4)}, "a row for each direction"),
    ],
)
def test_files_that_hold_no_basis(
    save: Callable[..., Path], arrays: dict[str, Tensor], message: str
) -> None:
    path = save(**arrays)
    with pytest.raises(BadInput, match=message) as raised:
        read_basis(path)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("missing.npz", "no file missing.npz"),
        ("sae.pt", "ends in .npz or .safetensors"),
        ("a.npz?l=3", "no option 'l' of a basis"),
        ("a.npz?activation=tanh", "activation 'tanh' is none of"),
        ("a.npz?transpose=yes", "not true or false"),
    ],
)
def test_texts_that_name_no_basis(text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        read_basis(text)


def test_pickles_are_never_run(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "exploded",))

    path = tmp_path / "bomb.npz"
    np.savez(path, weight=np.array([Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(BadInput, match="array of object, not of numbers"):
        read_basis(path)
    assert not (tmp_path / "exploded").exists()


def test_sizes_are_checked_before_memory_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "huge.npz"
    header = {"descr": "<f4", "fortran_order": False, "shape": (10**9, 10**6)}
    with (
        zipfile.ZipFile(path, "w") as archive,
        archive.open("weight.npy", "w") as file,
    ):
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(BadInput, match="at most 8 GiB are read"):
        read_basis(path)
    monkeypatch.setattr(tensor_files, "MOST_BYTES", 100)
    for name in ("a.npz", "a.safetensors"):
        write = npz if name.endswith("npz") else safetensors
        with pytest.raises(BadInput, match="tensors take"):
            read_basis(write(tmp_path / name, weight=W))


def test_a_small_file_that_unpacks_to_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "zeros.npz"
    np.savez_compressed(path, weight=np.zeros((400, UNITS), np.float32))
    assert read_basis(path).directions == 400
    monkeypatch.setenv("ND_MAX_UNPACKED", "5000")
    with pytest.raises(BadInput, match=r"unpacks to .*ND_MAX_UNPACKED=8128"):
        read_basis(path)
    monkeypatch.setenv("ND_MAX_UNPACKED", "8128")
    assert read_basis(path).directions == 400
    zeros = np.zeros((400, UNITS), np.float32)
    np.savez_compressed(path, weight=zeros, bias=zeros)
    # what all arrays need, not those up to the first that is too large
    with pytest.raises(BadInput, match=r"ND_MAX_UNPACKED=16256 \(bytes\)"):
        read_basis(path)
    # a file is never larger than the limit for what it holds as it is
    monkeypatch.setenv("ND_MAX_UNPACKED", "10")
    np.savez(path, weight=np.ones((400, UNITS), np.float32))
    assert read_basis(path).directions == 400


@pytest.mark.parametrize("name", ["a.npz", "a.safetensors"])
def test_damaged_files(tmp_path: Path, name: str) -> None:
    write = npz if name.endswith("npz") else safetensors
    path = write(tmp_path / name, weight=noise(100, 50))
    content = path.read_bytes()
    for part in (b"", b"nonsense", content[: len(content) // 2]):
        path.write_bytes(part)
        with pytest.raises(BadInput, match="cannot be read as"):
            read_basis(path)


def test_whole_numbers_and_half_precision_are_converted(tmp_path: Path) -> None:
    path = npz(tmp_path / "a.npz", m=np.eye(UNITS, dtype=np.int16)[::-1])
    check(read_basis(path), CELLS.flip(-1))
    path = safetensors(tmp_path / "a.safetensors", m=torch.eye(UNITS).bfloat16())
    check(read_basis(path), CELLS)
    path = npz(tmp_path / "b.npz", m=np.eye(UNITS).astype(">f8"))
    check(read_basis(path), CELLS)


def test_bases_from_python() -> None:
    check(open_basis(W), LINEAR)
    check(open_basis(W.numpy().astype(np.float64)), LINEAR)
    check(open_basis(Encoder(W, B, activation="relu")), (LINEAR + B).relu())
    exact = open_basis(W.double()).transform(MAPS.double())
    assert exact.dtype == torch.float64
    basis = open_basis(W, name="mine")
    assert basis.name == "mine" and open_basis(basis) is basis
    with pytest.raises(BadInput, match="not a int"):
        open_basis(3)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="JumpReLU needs a threshold"):
        Encoder(W, activation="jumprelu")


FACTOR = torch.tensor([2.0])


def doubled(maps: Tensor) -> Tensor:
    return maps * FACTOR


def twice_doubled(maps: Tensor) -> Tensor:
    return doubled(doubled(maps))


def added_twice(maps: Tensor) -> Tensor:
    return torch.stack([maps * FACTOR for _ in range(2)]).sum(0)


def test_functions_are_told_apart_by_what_they_compute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def scaled(factor: float) -> Callable[[Tensor], Tensor]:
        return lambda maps: maps * factor

    def of(function: Callable[..., Any]) -> str:
        return open_basis(function).fingerprint

    assert of(scaled(2)) == of(scaled(2)) != of(scaled(3))
    assert of(partial(torch.mul, W)) != of(partial(torch.mul, W + 1))
    first, second = nn.Conv2d(5, 5, 1), nn.Conv2d(5, 5, 1)
    assert of(first) != of(second)
    second.load_state_dict(first.state_dict())
    assert of(first) == of(second)
    assert of(lambda maps: maps + 1) != of(lambda maps: maps - 1)
    assert of(torch.relu) != of(torch.tanh)
    # sets iterate in another order after another history, and in another process
    in_set = partial(torch.mul, W, among={0, 8})
    assert of(in_set) == of(partial(torch.mul, W, among={8, 0}))
    assert of(in_set) != of(partial(torch.mul, W, among={0, 9}))
    before, before_twice = of(doubled), of(twice_doubled)
    before_nested = of(added_twice)
    monkeypatch.setitem(globals(), "FACTOR", FACTOR * 2)
    assert of(doubled) != before
    assert of(twice_doubled) != before_twice
    assert of(added_twice) != before_nested, "in a comprehension, too"
    assert open_basis(doubled).name == "doubled"
    assert open_basis(lambda maps: maps).name == "function"
    assert open_basis(first).name == "Conv2d"


def test_what_a_function_hides_is_noted() -> None:
    file = zipfile.ZipInfo("opaque")  # has slots, and no attributes to look at
    basis = open_basis(lambda maps: maps * file.file_size)
    assert "depends on ZipInfo, whose content is not seen" in basis.notes[0]
    assert open_basis(doubled).notes == ()


@pytest.mark.parametrize(
    "configuration",
    [
        '{"activation_fn_kwargs": 3}',
        '{"activation_fn_kwargs": [1]}',
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"architecture": "topk", "k": {}}',
        '{"architecture": ["topk"]}',
        '{"normalize_activations": [[]], "apply_b_dec_to_input": {}}',
        "[]",
        "3",
    ],
)
def test_a_configuration_that_nobody_wrote_is_an_error_of_ours(
    tmp_path: Path, configuration: str
) -> None:
    saelens(tmp_path, None)
    (tmp_path / "cfg.json").write_text(configuration)
    (path,) = tmp_path.glob("*.safetensors")
    # some are read, as a configuration that says nothing
    with contextlib.suppress(BadInput):
        assert isinstance(read_basis(path), Basis)
