"""Compiled loops against NumPy, bit for bit: each operation on each dtype, and random groups."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

from symgraph.backends.numba import group as group_module
from symgraph.backends.numba.forms import _OPERATIONS, loop
from symgraph.backends.numpy import blocks, eager, threads
from symgraph.backends.numpy.plan import Options, Plan
from symgraph.errors import BindError
from symgraph.program import PRIMITIVES, Recorder, Spec
from symgraph.program import schedule as scheduling
from tests.program.generate import Case, cases, same_bits

Array = np.ndarray[Any, Any]
FLOATS = ("float32", "float64")
WHOLE = ("uint8", "int8", "int32", "int64")


@contextlib.contextmanager
def engine(workers: int = 1, task_elements: int = 1 << 15) -> Iterator[None]:
    """Make groups of everything element-wise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "_count", workers)
        patch.setattr(scheduling, "BLOCKED_BYTES", 1)
        patch.setattr(scheduling, "_SMALL", 0)
        patch.setattr(blocks, "BLOCK_BYTES", 64)
        patch.setattr(blocks, "FEW_BLOCKS", 1)
        patch.setattr(group_module, "_TASK_ELEMENTS", task_elements)
        yield


def numbers(dtype: str, size: int, seed: int) -> Array:
    """Return all sorts of numbers: any bits, ordinary ones, corners."""
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return rng.random(size) < 0.5
    bits = np.frombuffer(rng.bytes(size * kind.itemsize), kind)
    if kind.kind in "iu":
        info = np.iinfo(kind)
        corners = rng.choice(np.array([0, 1, info.min, info.max], kind), size)
        return np.where(rng.random(size) < 0.3, corners, bits)
    info_f = np.finfo(kind)
    special = [0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -2.5, np.inf, -np.inf, np.nan, info_f.max, info_f.tiny]
    corners = rng.choice(np.array([*special, info_f.smallest_subnormal, -info_f.tiny / 2], kind), size)
    ordinary = (rng.standard_normal(size) * 3).astype(kind)
    share = rng.random(size)
    return np.where(share < 0.4, ordinary, np.where(share < 0.8, corners, bits))


def run_both(xp: Recorder, arrays: Sequence[Array], workers: int = 2) -> None:
    """Run a program by NumPy and compiled, and compare."""
    with engine(workers, 16):
        plain = Plan(xp.program, arrays, options=Options.none())
        fast = Plan(xp.program, arrays, options=Options(jit="now", off={"fold", "simplify", "cse", "dead"}))
        assert fast.groups
        assert {g.state for g in fast.groups.values()} == {"compiled"}
        plain.run()
        fast.run()
    for x, y in zip(plain.outputs, fast.outputs, strict=True):
        assert same_bits(x, y), (x, y)


SIGNATURES = [
    (name, dtype)
    for name in sorted(_OPERATIONS)
    for dtype in (*FLOATS, *WHOLE, "bool")
    if not (dtype == "bool" and name in "negative sign square subtract divide".split())
    and not (dtype not in FLOATS and name in "sqrt floor ceil trunc rint reciprocal divide".split())
]


@pytest.mark.parametrize(("name", "dtype"), SIGNATURES)
def test_each_operation(name: str, dtype: str) -> None:
    size = 4099
    xp = Recorder()
    count = PRIMITIVES[name].rule.__code__.co_argcount
    arrays = [numbers(dtype, size, k) for k in range(count)]
    given_ = [xp.input(Spec(x.shape, x.dtype), f"x{k}") for k, x in enumerate(arrays)]
    result = xp.apply(PRIMITIVES[name], given_, {})
    xp.program.outputs = [result.value, xp.logical_not(result).value]
    run_both(xp, arrays)


@pytest.mark.parametrize("new", [*FLOATS, *WHOLE, "bool"])
@pytest.mark.parametrize("old", [*FLOATS, *WHOLE, "bool"])
def test_each_conversion(old: str, new: str) -> None:
    if old in FLOATS and new in WHOLE:
        pytest.skip("not compiled: C leaves it open")
    x = numbers(old, 4099, 5)
    xp = Recorder()
    source = xp.input(Spec(x.shape, x.dtype), "x")
    result = xp.apply(PRIMITIVES["astype"], [source], {"dtype": new})
    xp.program.outputs = [result.value, xp.logical_not(source).value]
    run_both(xp, [x])


@pytest.mark.parametrize("dtype", [*FLOATS, *WHOLE, "bool"])
def test_where(dtype: str) -> None:
    arrays = [numbers("bool", 4099, 1), numbers(dtype, 4099, 2), numbers(dtype, 4099, 3)]
    xp = Recorder()
    c, x, y = (xp.input(Spec(a.shape, a.dtype), f"x{k}") for k, a in enumerate(arrays))
    xp.program.outputs = [xp.where(c, x, y).value, xp.where(x, y, x).value if dtype == "bool" else xp.equal(x, y).value]
    run_both(xp, arrays)


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_product_and_a_sum_are_rounded_apart(dtype: str) -> None:
    rng = np.random.default_rng(0)
    a, b, c = ((rng.random(100_003) + 0.5).astype(dtype) for _ in range(3))
    xp = Recorder()
    x, y, z = (xp.input(Spec(v.shape, v.dtype), n) for v, n in ((a, "a"), (b, "b"), (-c, "c")))
    xp.program.outputs = [(x * y + z).value]
    run_both(xp, [a, b, -c])
    if dtype == "float32":  # the data tell them apart
        exact = a.astype(np.float64) * b + -c.astype(np.float64)
        assert (exact.astype(np.float32) != a * b + -c).any()


@pytest.mark.parametrize(
    "shapes",
    [
        ((7, 33), (33,)),
        ((7, 33), (7, 1)),
        ((7, 33), ()),
        ((3, 5, 9), (5, 1)),
        ((3, 5, 9), (3, 1, 9)),
        ((1, 1), (1, 1)),
        ((2, 3, 1, 4, 5), (3, 1, 1, 5)),
    ],
)
@pytest.mark.parametrize("workers", [1, 3])
def test_broadcasts(shapes: tuple[tuple[int, ...], ...], workers: int) -> None:
    arrays = [numbers("float32", int(np.prod(s)), k).reshape(s) for k, s in enumerate(shapes)]
    xp = Recorder()
    x, y = (xp.input(Spec(a.shape, a.dtype), f"x{k}") for k, a in enumerate(arrays))
    total = x + y
    xp.program.outputs = [total.value, (total * x - y).value, xp.permute_dims(total, range(total.ndim)[::-1]).value]
    run_both(xp, arrays, workers)


def test_transposed_and_sliced_operands() -> None:
    a, b = numbers("float64", 35, 1).reshape(5, 7), numbers("float64", 140, 2).reshape(14, 10)
    xp = Recorder()
    x, y = xp.input(Spec(a.shape, a.dtype), "a"), xp.input(Spec(b.shape, b.dtype), "b")
    z = xp.permute_dims(x, (1, 0)) + xp.slice(y, [(None, None, 2), (1, None, 2)])
    xp.program.outputs = [(z * z).value]
    run_both(xp, [a, b])


def check(case: Case, workers: int) -> None:
    """Run a compiled plan several times beside plain evaluation."""
    note(str(case))
    arrays, wanted = [x.copy() for x in case.arrays], [x.copy() for x in case.arrays]
    totals = {k: np.full(case.program.outputs[k].shape, 2, case.program.outputs[k].dtype) for k in case.accumulate}
    with engine(workers, 4):
        keywords: dict[str, Any] = {"stores": case.stores, "accumulate": case.accumulate, "hypers": case.hypers}
        try:
            plan = Plan(case.program, arrays, targets=totals, first=case.first, options=Options(jit="now"), **keywords)
        except BindError:
            plan = Plan(case.program, arrays, targets=totals, options=Options(jit="now"), **keywords)
        for group in plan.groups.values():
            assert group.state == "compiled" or "left to NumPy" in group.state, group.state
        expected_totals = {k: x.copy() for k, x in totals.items()}
        for _ in range(2):
            outputs = [x.copy() for x in eager.run(case.program, wanted, case.hypers)]
            for k, j in case.stores:
                wanted[j][...] = outputs[k]
            plan.run()
            for k, expected in enumerate(outputs):
                if k in expected_totals:
                    with np.errstate(all="ignore"):
                        expected_totals[k] += expected
                    expected = expected_totals[k]
                if not any(k == o for o, _ in case.stores):
                    assert same_bits(plan.outputs[k], expected), k
            for x, y in zip(arrays, wanted, strict=True):
                assert same_bits(x, y)


@settings(max_examples=150)
@given(cases(), st.sampled_from((1, 2)))
def test_random_programs(case: Case, workers: int) -> None:
    check(case, workers)


@settings(max_examples=50)
@given(cases(large=True, steps=20), st.sampled_from((1, 3)))
def test_random_large_programs(case: Case, workers: int) -> None:
    check(case, workers)


def test_the_loop_uses_vectors() -> None:
    from llvmlite import binding

    from symgraph.backends.numba import compiler
    from symgraph.backends.numba.forms import Form

    form = Form(1, (("float32", "c"), ("float32", "0")), (("multiply", (0, 1), "float32", 0),))
    machine, _ = compiler._machine()
    module = binding.parse_assembly(loop(form))
    module.triple = machine.triple
    options = binding.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = True
    builder = binding.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    assert "x float>" in str(module)
    assert "fmuladd" not in str(module)
