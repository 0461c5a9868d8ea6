"""Kernels of functions that NumPy offers without `out`: their results, and what they allocate."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from symgraph.backends.numpy import kernels, random_bits, special
from symgraph.backends.numpy.kernels import KERNELS, workspace_bytes
from symgraph.program import PRIMITIVES, Spec
from tests.program.generate import data, same_bits

Array = np.ndarray[Any, Any]
Expected = Callable[..., Any]

STATE = np.array([5, 8], np.uint64)


def floats(*shape: int, dtype: str = "float32") -> Array:
    return data(shape, dtype, 1, special=0.05)


def indices(n: int, *shape: int) -> Array:
    return np.random.default_rng(2).integers(0, n, shape)


def _random(draw: Callable[..., Array]) -> Expected:
    return lambda state, key, shape, dtype: draw(state, key, shape, dtype)


#: Primitive, operands, parameters, and NumPy's way.
CASES: dict[str, tuple[str, list[Array], dict[str, Any], Expected]] = {
    "sort": ("sort", [floats(300, 400)], {"axis": 1}, lambda x, axis: np.sort(x, axis, "stable")),
    "sort along the first axis": ("sort", [floats(300, 400)], {"axis": 0}, lambda x, axis: np.sort(x, axis, "stable")),
    "argsort": ("argsort", [floats(300, 400)], {"axis": 1}, lambda x, axis: np.argsort(x, axis, "stable")),
    "argsort along the first axis": (
        "argsort",
        [floats(3, 400, 500)],
        {"axis": 0},
        lambda x, axis: np.argsort(x, axis, "stable"),
    ),
    "take_along_axis": ("take_along_axis", [floats(700, 50), indices(50, 700, 300)], {"axis": 1}, np.take_along_axis),
    "take_along_axis of a row": (
        "take_along_axis",
        [floats(1, 50), indices(50, 700, 300)],
        {"axis": 1},
        np.take_along_axis,
    ),
    "gather_nd": ("gather_nd", [floats(40, 300), indices(40, 1, 900)], {}, lambda x, i: x[tuple(i)]),
    "gather_nd of points": ("gather_nd", [floats(40, 300), indices(40, 2, 90, 1000)], {}, lambda x, i: x[tuple(i)]),
    "gather_nd of one point": ("gather_nd", [floats(40, 300), indices(40, 1)], {}, lambda x, i: x[tuple(i)]),
    "matmul of halves": (
        "matmul",
        [floats(300, 200, dtype="float16"), floats(200, 300, dtype="float16")],
        {},
        lambda x, y: np.matmul(x.astype("float32"), y.astype("float32")).astype("float16"),
    ),
    "erf of columns": ("erf", [floats(300, 400).T], {}, lambda x: special.erf(x.copy())),
    "random_uniform": (
        "random_uniform",
        [STATE],
        {"key": 3, "shape": (300, 401), "dtype": "float32"},
        _random(random_bits.uniform),
    ),
    "random_normal": (
        "random_normal",
        [STATE],
        {"key": 3, "shape": (301, 401), "dtype": "float64"},
        _random(random_bits.normal),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_results_come_in_parts_without_a_copy(name: str) -> None:
    primitive, operands, params, expected = CASES[name]
    specs = [Spec(x.shape, x.dtype) for x in operands]
    (result,) = PRIMITIVES[primitive].specs(specs, params)
    out = np.full(result.shape, 7, result.dtype)
    need = workspace_bytes(primitive, specs, result, params)
    workspace = np.full(need, 255, np.uint8) if need else None
    calls = KERNELS[primitive](operands, out, workspace, **params)

    def run() -> None:
        with np.errstate(all="ignore"):
            for function, *arguments in calls:
                function(*arguments)

    with np.errstate(all="ignore"):
        wanted = expected(*operands, **params)
    run()
    assert same_bits(out, wanted)
    out.fill(7)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        run()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert same_bits(out, wanted)
    assert peak - before < 3 * kernels._PART_BYTES // 2
    if out.nbytes > 2 * kernels._PART_BYTES:
        assert peak - before < 0.8 * out.nbytes


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_by_dot_have_the_bits_of_matmul(dtype: str) -> None:
    rng = np.random.default_rng(0)
    asked = 0
    for _ in range(300):
        m, k, n = rng.integers(0, 40, 3)
        x, y = (rng.standard_normal(s).astype(dtype) for s in ((m, k), (k, n)))
        x, y = (np.asfortranarray(v) if rng.random() < 0.5 else v for v in (x, y))
        out, expected = np.empty((m, n), dtype), np.empty((m, n), dtype)
        ((function, *arguments),) = KERNELS["matmul"]([x, y], out, None)
        asked += function is not np.matmul
        function(*arguments)
        np.matmul(x, y, expected)
        assert out.tobytes() == expected.tobytes()
    assert asked == 300


def test_products_of_other_layouts_are_left_to_matmul() -> None:
    x = np.ones((6, 8), np.float32)
    out = np.empty((3, 3), np.float32)
    for a, b, o in (
        (x[::2], x[:3].T, out),
        (x[:3], x[:3].T, np.empty((3, 3), np.float32).T),
        (x[:3], x[:3].T, np.empty((3, 3))),
    ):
        assert KERNELS["matmul"]([a, b], o, None)[0][0] is np.matmul
