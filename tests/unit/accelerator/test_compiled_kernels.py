"""Triton's kernels compiled for a GPU: their instructions. Compiling needs no GPU."""

from __future__ import annotations

import re
from types import ModuleType

import pytest
import torch

from nd_plugin.receptive_fields.geometry import Size

TYPES = {
    torch.float32: "*fp32",
    torch.float64: "*fp64",
    torch.uint8: "*u8",
    torch.int16: "*i16",
    torch.int32: "*i32",
}
SIZES = (
    "map_rows",
    "map_columns",
    "mask_rows",
    "mask_columns",
    "combination_count",
)
FUSED = re.compile(r"\bfma\.")
ROUNDED_ADDITION = re.compile(r"\badd\.rn\.f(32|64)")


@pytest.fixture(scope="module")
def lit_pixels_triton() -> ModuleType:
    pytest.importorskip("triton", reason="Triton is not installed")
    from nd_plugin.accelerator import lit_pixels_triton

    return lit_pixels_triton


def compile_lit_pixels(
    module: ModuleType,
    dtype: torch.dtype,
    combinations_dtype: torch.dtype,
    options: dict[str, object],
    block: Size = (16, 64),
) -> str:
    """Return the PTX of the kernel for an H100."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    constants = {
        "LOWEST": torch.finfo(dtype).min,
        "BLOCK_ROWS": block[0],
        "BLOCK_COLUMNS": block[1],
        "CELLS_AT_ONCE": module.CELLS_AT_ONCE,
    }
    signature = dict.fromkeys(module.UNSPECIALIZED, "*i64")
    floats = ("maps", "thresholds", "row_weight", "column_weight")
    signature |= dict.fromkeys(floats, TYPES[dtype])
    signature |= dict.fromkeys(SIZES, "i32")
    signature |= dict.fromkeys(constants, "constexpr")
    signature["counts"] = "*i32"
    signature["combinations"] = TYPES[combinations_dtype]
    source = ASTSource(module.count_block_columns, signature, constexprs=constants)
    target = GPUTarget("cuda", 90, 32)
    compiled = triton.compile(source, target=target, options=options)
    return str(compiled.asm["ptx"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "combinations_dtype", [torch.uint8, torch.int16, torch.int32]
)
def test_multiplications_and_additions_are_rounded_apart(
    lit_pixels_triton: ModuleType,
    dtype: torch.dtype,
    combinations_dtype: torch.dtype,
) -> None:
    code = compile_lit_pixels(
        lit_pixels_triton,
        dtype,
        combinations_dtype,
        lit_pixels_triton.LAUNCH_OPTIONS,
    )
    assert FUSED.search(code) is None
    assert ROUNDED_ADDITION.search(code)
    # denormal numbers are not replaced by zero
    assert ".ftz" not in code


def test_without_the_option_they_would_be_fused(
    lit_pixels_triton: ModuleType,
) -> None:
    options = lit_pixels_triton.LAUNCH_OPTIONS | {"enable_fp_fusion": True}
    code = compile_lit_pixels(
        lit_pixels_triton, torch.float32, torch.uint8, options
    )
    assert FUSED.search(code)
