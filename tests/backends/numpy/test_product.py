"""Matrix products of packed panels: their steps, made by NumPy and compiled, against `matmul` on small integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgraph.backends.numba import compiler
from symgraph.backends.numba.kernels import Kernel
from symgraph.backends.numpy import kernel_plan, product, threads
from symgraph.backends.numpy.kernels import KERNELS, workspace_bytes
from symgraph.program import Spec
from tests.backends.numpy.running import MadeByNumPy, run

Array = npt.NDArray[Any]
#: Settings that cut small matrices in many ways: workers, then the module's own.
CUTS: dict[str, tuple[int, dict[str, int]]] = {
    "one lane": (1, {}),
    "two lanes": (2, {}),
    "five lanes, few rows at a time": (5, {"ROWS_BYTES": 300, "WIDTH": 16}),
}


def numbers(rows: int, columns: int, across: bool, seed: int, dtype: str) -> Array:
    """Return whole numbers, with rows or columns next to each other."""
    x = np.random.default_rng(seed).integers(-4, 5, (columns, rows) if across else (rows, columns))
    return x.astype(dtype).T if across else x.astype(dtype)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Array, Array]:
    m, k, n = draw(st.integers(1, 40)), draw(st.integers(1, 40)), 16 * draw(st.integers(1, 5))
    dtype = draw(st.sampled_from(("float32", "float64")))
    return numbers(m, k, draw(st.booleans()), 1, dtype), numbers(k, n, draw(st.booleans()), 2, dtype)


def check(cut: str, case: tuple[Array, Array]) -> None:
    left, right = case
    workers, constants = CUTS[cut]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "_count", workers)
        for name, value in constants.items():
            patch.setattr(product, name, value)
        made = product.PackedProduct(left.shape, right.shape, left.dtype)
        np.testing.assert_array_equal(run(made, left, right, shape=(len(left), right.shape[1])), left @ right)


@pytest.mark.parametrize("cut", CUTS)
@given(case=cases())
@settings(max_examples=40)
def test_by_numpy(cut: str, case: tuple[Array, Array]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel_plan, "Staged", MadeByNumPy)
        check(cut, case)


@pytest.mark.skipif(not compiler.available(), reason="the jit extra is not installed")
@pytest.mark.parametrize("cut", CUTS)
@given(case=cases())
@settings(max_examples=15)
def test_compiled(cut: str, case: tuple[Array, Array]) -> None:
    bind = product.PackedProduct.bind

    def compiled(plan: Any, *arrays: Any) -> Any:
        call = bind(plan, *arrays)
        assert [part.state for part in Kernel(call, "background").parts] == ["compiled"]
        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(product.PackedProduct, "bind", compiled)
        check(cut, case)


@pytest.mark.parametrize(
    ("left", "right", "dtype", "yes"),
    [
        ((128, 1024), (1024, 1024), "float32", True),
        ((128, 1024), (1024, 1000), "float32", False),  # vectors want multiples of 16
        ((8, 1024), (1024, 1024), "float32", False),  # few rows
        ((128, 8192), (8192, 64), "float32", False),  # a panel does not fit a cache
        ((4096, 1024), (1024, 1024), "float32", False),  # a panel would be packed often
        ((32, 16), (16, 32), "float32", False),  # small
        ((128, 1024), (1024, 1024), "float16", False),
        ((2, 128, 1024), (1024, 1024), "float32", False),
    ],
)
def test_where_it_pays(left: tuple[int, ...], right: tuple[int, ...], dtype: str, yes: bool) -> None:
    assert product.pays(left, right, np.dtype(dtype)) is yes


def test_a_product_is_packed_if_it_may_round_otherwise() -> None:
    x, y, out = np.ones((64, 256), np.float32), np.ones((256, 128), np.float32), np.empty((64, 128), np.float32)
    specs = [Spec(v.shape, v.dtype) for v in (x, y)]
    assert workspace_bytes("matmul", specs, Spec(out.shape, out.dtype), {}) == 0
    size = workspace_bytes("matmul", specs, Spec(out.shape, out.dtype), {"inexact": True})
    ((call,),) = KERNELS["matmul"]([x, y], out, np.empty(size, np.uint8), inexact=True)
    assert isinstance(call, kernel_plan.Staged)
    call()
    np.testing.assert_array_equal(out, x @ y)
