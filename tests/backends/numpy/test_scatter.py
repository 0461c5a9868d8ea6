"""Rows added at indices: the bits of adding one update after another, whatever the order in which it is done."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgraph.backends.numpy import eager, scatter
from symgraph.program import PRIMITIVES
from tests.program.generate import data, same_bits

Array = np.ndarray[Any, Any]


def one_by_one(n: int, rows: Array, updates: Array) -> Array:
    out = np.zeros((n, *updates.shape[1:]), updates.dtype)
    with np.errstate(all="ignore"):
        for row, update in zip(rows, updates, strict=True):
            out[row] += update
    return out


def added(n: int, rows: Array, updates: Array) -> Array:
    out = np.full((n, updates.shape[1]), np.nan).astype(updates.dtype)
    need = scatter.workspace_bytes(len(rows), updates.shape[1], updates.dtype.itemsize)
    with np.errstate(all="ignore"):
        scatter.add_rows(out, rows, updates, np.full(need, 255, np.uint8))
    return out


@given(
    n=st.integers(1, 12),
    count=st.integers(0, 120),
    width=st.integers(scatter.MIN_WIDTH, 20),
    dtype=st.sampled_from(["float32", "float64", "float16", "int32", "uint8"]),
    seed=st.integers(0, 10**6),
    block=st.sampled_from([1, 400, 1 << 17]),
)
@settings(max_examples=200)
def test_the_bits_are_those_of_one_addition_after_another(
    n: int, count: int, width: int, dtype: str, seed: int, block: int
) -> None:
    rows = np.random.default_rng(seed).integers(0, n, count) ** 2 // n  # some far more often than others
    updates = data((count, width), dtype, seed)
    with pytest.MonkeyPatch.context() as patch, np.errstate(all="ignore"):
        patch.setattr(scatter, "_BLOCK_BYTES", block)
        assert same_bits(added(n, rows, updates), one_by_one(n, rows, updates))


@pytest.mark.parametrize("most", [15, 16, 17, 18, 33])
def test_a_row_is_the_same_on_either_side_of_the_bound(most: int) -> None:
    rows = np.repeat([2, 0, 3], [most, 1, most - 1])
    updates = data((len(rows), 9), "float32", 5, special=0.0)
    assert same_bits(added(4, rows, updates), one_by_one(4, rows, updates))


def test_a_sum_of_negative_zeros_is_positive() -> None:
    for count in (1, 2, 40):
        assert not np.signbit(added(1, np.zeros(count, int), np.full((count, 8), -0.0, "float32"))).any()


@pytest.mark.parametrize("mode", ["clip", "wrap"])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("index_type", ["int32", "uint8", "int64"])
def test_the_primitive_adds_slices_of_any_shape(mode: str, axis: int, index_type: str) -> None:
    indices = np.array([[0, 3, 1], [5, 3, 9]], index_type)
    shape = (4, 5, 3)
    updates = data((2, 3, 5, 3) if axis == 0 else (4, 2, 3, 3), "float32", 3, special=0.0)
    params = {"shape": shape, "axis": axis, "mode": mode}
    found = eager.xp.apply(PRIMITIVES["take_add"], [indices, updates], params)
    expected = np.zeros(shape, "float32")
    for i, j in np.ndindex(2, 3):
        k = min(int(indices[i, j]), shape[axis] - 1) if mode == "clip" else int(indices[i, j]) % shape[axis]
        if axis == 0:
            expected[k] += updates[i, j]
        else:
            expected[:, k] += updates[:, i, j]
    assert same_bits(found, expected)


def test_updates_that_lie_otherwise_are_added_too() -> None:
    updates = data((9, 6), "float32", 1, special=0.0).T
    params = {"shape": (4, 9), "axis": 0, "mode": "clip"}
    found = eager.xp.apply(PRIMITIVES["take_add"], [np.array([1, 1, 0, 3, 1, 0]), updates], params)
    assert same_bits(found, one_by_one(4, np.array([1, 1, 0, 3, 1, 0]), updates))
