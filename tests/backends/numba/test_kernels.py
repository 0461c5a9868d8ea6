"""Compiled kernels against the NumPy steps they are made from, bit for bit."""

from __future__ import annotations

import contextlib
import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

import symgraph as mx
from symgraph.backends.numba import compiler, kernels
from symgraph.backends.numpy import convolution, pooling, threads
from symgraph.backends.numpy.kernel_plan import KernelPlan, Planewise, Step, chain, inside
from symgraph.executor import Options
from tests.backends.numpy import test_convolution as convolutions
from tests.backends.numpy import test_depthwise as depthwises
from tests.backends.numpy import test_pooling as poolings
from tests.program.generate import data, same_bits

Array = np.ndarray[Any, Any]
#: How kernels are cut: workers, bytes of a chunk.
CUTS = st.sampled_from(((1, 1 << 16), (1, 1), (3, 200)))


@contextlib.contextmanager
def cut(workers: int, chunk_bytes: int) -> Iterator[None]:
    """Cut small data as if it were large."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "_count", workers)
        patch.setattr(kernels, "CHUNK_BYTES", chunk_bytes)
        if workers > 1:
            patch.setattr(threads, "SPLIT_ELEMENTS", 1)
            patch.setattr(pooling, "BLOCK_BYTES", 64)
        yield


def numbers(shape: tuple[int, ...], dtype: str, seed: int) -> Array:
    """Special and ordinary numbers, and many ties."""
    few = np.random.default_rng(seed).integers(-2, 3, shape).astype(dtype)
    return np.where(np.random.default_rng(seed + 1).random(shape) < 0.5, few, data(shape, dtype, seed))


def compare(plan: KernelPlan, *operands: Array) -> Array:
    """Run a plan by NumPy and compiled, in the same memory."""
    workspace = np.empty(plan.workspace, np.uint8)
    out = np.empty(plan.shapes[-1], plan.dtype)
    results = []
    with np.errstate(all="ignore"):
        for compiled in (False, True):
            call = plan.bind(*operands, out, workspace)
            if compiled:
                states = {part.state for part in kernels.Kernel(call, "now").parts}
                assert states <= {"compiled", "NumPy: there is nothing to do"}
            for left_over in (255, 63):  # nothing may depend on what was in the workspace
                workspace.fill(left_over)
                out.fill(77)
                call()
                results.append(out.copy())
    for result in results[1:]:
        assert same_bits(results[0], result)
    return results[0]


@settings(max_examples=30)
@given(poolings.cases(), st.sampled_from(("float32", "float64")), CUTS)
@example(poolings.Case((1, 1, 7, 7), (7, 7), (1, 1), ((0, 0), (0, 0))), "float32", (1, 1))
@example(poolings.Case((2, 3, 40, 70), (3, 3), (2, 2), ((1, 1), (1, 1))), "float32", (3, 20000))
@example(poolings.Case((2, 3, 40, 70), (2, 2), (2, 2), ((0, 0), (0, 0))), "float64", (1, 1 << 16))
def test_pooling(case: poolings.Case, dtype: str, sizes: tuple[int, int]) -> None:
    a = (*case, np.dtype(dtype))
    x, dy, z = (numbers(shape, dtype, seed) for seed, shape in enumerate((case.data, case.result, case.data)))
    with cut(*sizes):
        y = compare(pooling.plan_forward("max", *a), x)
        compare(pooling.plan_forward("sum", *a), x)
        compare(pooling.plan_gradient("max", *a), x, y, dy)
        compare(pooling.plan_gradient("sum", *a), dy)
        compare(pooling.plan_gather(*a), x, y, z)


@settings(max_examples=25)
@given(convolutions.cases(), st.sampled_from(("float32", "float64")), CUTS)
@example(convolutions.Case((3, 4, 40, 50), (4, 4, 3, 3), (1, 1), (1, 1), (1, 1)), "float32", (1, 30000))
@example(convolutions.Case((3, 4, 40, 50), (4, 4, 3, 3), (2, 2), (1, 1), (1, 1)), "float32", (3, 30000))
@example(convolutions.Case((3, 4, 12, 12), (5, 4, 5, 5), (1, 1), (1, 1), (0, 0)), "float64", (1, 30000))
@example(convolutions.Case((2, 5, 9, 9), (5, 1, 3, 3), (1, 1), (1, 1), (1, 1), 5), "float32", (1, 1 << 16))
def test_convolution(case: convolutions.Case, dtype: str, sizes: tuple[int, int]) -> None:
    x, w, dy = (numbers(shape, dtype, seed) for seed, shape in enumerate((case.data, case.weight, case.result)))
    with cut(*sizes):
        compare(convolution.plan_forward(*case, np.dtype(dtype)), x, w)
        compare(convolution.plan_data_gradient(*case, np.dtype(dtype)), dy, w)
        compare(convolution.plan_weight_gradient(*case, np.dtype(dtype)), x, dy)


@settings(max_examples=20)
@given(depthwises.depthwise_cases(), st.sampled_from(("float32", "float64")), CUTS)
def test_depthwise(case: convolutions.Case, dtype: str, sizes: tuple[int, int]) -> None:
    x, w = (numbers(shape, dtype, seed) for seed, shape in enumerate((case.data, case.weight)))
    with cut(*sizes):
        compare(convolution.plan_forward(*case, np.dtype(dtype), inexact=True), x, w)


# -- steps ------------------------------------------------------------------------------------------------------------

Make = Callable[..., list[Step]]


def run_steps(make: Make, *arrays: Array, axes: int = 1, state: str = "compiled") -> None:
    """Run steps over planes by NumPy and compiled, and compare all arrays."""
    by_numpy, by_loops = [x.copy() for x in arrays], [x.copy() for x in arrays]
    with np.errstate(all="ignore"):
        chain(make(0, *by_numpy))()
        call = Planewise(chain(make(0, *by_loops)), by_loops, make, axes=axes)
        assert kernels.Kernel(call, "now").state == state
        call()
    for x, y in zip(by_numpy, by_loops, strict=True):
        assert same_bits(x, y)


def floats(*shape: int, seed: int = 0, dtype: str = "float32") -> Array:
    return numbers(shape, dtype, seed)


BINARY = (np.add, np.subtract, np.multiply, np.equal, np.not_equal)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8", "int8"])
@pytest.mark.parametrize("function", BINARY)
def test_functions(function: np.ufunc, dtype: str) -> None:
    x, y = numbers((5, 97), dtype, 0), numbers((5, 97), dtype, 1)
    out = np.empty((5, 97), "bool" if function in (np.equal, np.not_equal) else dtype)
    run_steps(lambda _, x, y, z: [(function, (x, y, z))], x, y, out)
    run_steps(lambda _, x, y, z: [(function, (x, 2, z))], x, y, out)


def test_a_copy_converts() -> None:
    x = numbers((5, 97), "int32", 0)
    run_steps(lambda _, x, y: [(np.copyto, (y, x))], x, np.empty((5, 97), np.float32))
    run_steps(lambda _, x: [(np.copyto, (x.view(np.float32), x))], x)


@pytest.mark.parametrize("function", [np.logical_and, np.logical_or, np.equal, np.not_equal])
def test_functions_of_truth_values(function: np.ufunc) -> None:
    x, y = (np.random.default_rng(k).random((5, 97)) < 0.5 for k in range(2))
    run_steps(lambda _, x, y: [(function, (x, y, y)), (np.logical_not, (x, x))], x, y)


def test_the_greater_one() -> None:
    x, y = floats(5, 97), floats(5, 97, seed=2)
    # Which of two zeros is taken is open.
    run_steps(lambda _, x, y: [(np.fmax, (x, y, x)), (np.add, (x, 0.0, x))], x, y)


def test_bits_are_chosen_by_a_product() -> None:
    x, hit = floats(5, 96), np.random.default_rng(0).random((5, 96)) < 0.5
    x[0] = np.frombuffer(np.arange(0x7F800000, 0x7F800000 + 96, dtype=np.uint32), np.float32)  # signalling NaN

    def make(_: int, x: Array, hit: Array, y: Array) -> list[Step]:
        bits = x.view(np.int32), y.view(np.int32)
        return [
            (np.multiply, (bits[0], hit, bits[1])),
            (np.bitwise_or, (*bits, bits[0])),
            (np.copyto, (y[:, ::2], x[:, 1::2])),
        ]

    y = np.empty_like(x)
    run_steps(make, x.view(np.int32), hit, y.view(np.int32))
    run_steps(make, x, hit, y)


def test_fused_lines_see_what_was_written_before_them() -> None:
    x, y, z = floats(5, 97), floats(5, 97, seed=1), floats(5, 97, seed=2)

    def make(_: int, x: Array, y: Array, z: Array) -> list[Step]:
        return [
            (np.add, (x, y, z)),
            (np.multiply, (z, z, z)),
            (np.subtract, (z, x, x)),
            (np.add, (x[:, 1:], x[:, :-1], y[:, 1:])),  # other elements than the line before has written
            (np.add, (y[:, 1:], x[:, 1:], y[:, 1:])),
            (np.copyto, (x[:, :-1], y[:, 1:])),
            (z[:, ::3].fill, (np.nan,)),
            (np.copyto, (z[:, 1::3], x[:, 1::3])),
        ]

    run_steps(make, x, y, z)


@pytest.mark.parametrize("step", [2, 3, 4, 5])
def test_phases_are_taken_apart_and_joined(step: int) -> None:
    x = floats(6, 4 * step, 7 * step)

    def make(_: int, x: Array, apart: Array, again: Array) -> list[Step]:
        steps: list[Step] = []
        for r in range(step):
            steps += [(np.copyto, (apart[:, r, s], x[:, r::step, s::step])) for s in range(step)]
        for r in range(step):
            steps += [(np.copyto, (again[:, r::step, s::step], apart[:, r, s])) for s in range(step)]
        return steps

    apart = np.zeros((6, step, step, 4, 7), np.float32)
    run_steps(make, x, apart, np.zeros_like(x))


@pytest.mark.parametrize("dtype", ["float32", "int64"])
@pytest.mark.parametrize("step", [1, 2, 3])
@pytest.mark.parametrize(("rows", "columns"), [(8, 8), (8, 17), (23, 9), (7, 20), (20, 7)])
@pytest.mark.parametrize("wide", ["source", "result"])
def test_transposing_copies(rows: int, columns: int, step: int, dtype: str, wide: str) -> None:
    def make(_: int, x: Array, y: Array) -> list[Step]:
        return [(np.copyto, (y[..., :columns], x[..., : rows * step : step].swapaxes(1, 2))), (y[:, :2, :3].fill, (7,))]

    # What lies after the last element read must not be touched: the source's rows are as short as they can be.
    length, more = rows * step - step + 1, 100
    x = numbers((3, columns, length + (more if wide == "source" else 0)), dtype, 0)
    run_steps(make, x, np.ones((3, rows, columns + (more if wide == "result" else 0)), dtype))


@pytest.mark.parametrize(("wide", "axes"), [("source", ["s2", "cs"]), ("result", ["2s", "sc"])])
def test_a_copy_is_seen_to_transpose(wide: str, axes: list[str]) -> None:
    x, y = np.empty((10, 40 if wide == "source" else 18)), np.empty((9, 10 if wide == "source" else 40))
    line = kernels._line((np.copyto, (y[:, :10], x[:, :18:2].T)), {})
    assert line is not None
    (group,) = kernels._fused([line])
    assert [memory.axes for memory in group.entry({}, {}).nest.arrays] == axes


@pytest.mark.parametrize("chunk_bytes", [1, 1000, 1 << 20])
def test_images_and_planes(chunk_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "CHUNK_BYTES", chunk_bytes)
    x = floats(3, 7, 5, 6)
    out = np.zeros((7, 5, 3, 6), np.float32).transpose(2, 0, 1, 3)
    run_steps(lambda _, x, y: [(np.add, (x, x[..., ::-1], y))], x[:, :, :, ::2], x[:, :, :, 1::2], axes=2)
    whole = Planewise(lambda: None, (x, out), lambda _, x, y: [(np.copyto, (y, x))], axes=2, lanes=2)
    with np.errstate(all="ignore"):
        assert kernels.Kernel(whole, "now").state == "compiled"
        whole()
    assert same_bits(out, x)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda _, x: [(np.exp, (x, x))], "exp is left to NumPy"),
        (lambda _, x: [(np.add.reduce, (x, 1, None, x[:, 0]))], "reduce is left to NumPy"),
        (lambda _, x: [(np.add, (x[:, 1:], x[:, :-1], x[:, 1:]))], "a result overlaps an operand"),
    ],
)
def test_what_is_left_to_numpy(make: Make, reason: str) -> None:
    run_steps(make, floats(3, 8), state=f"NumPy: {reason}")


def test_types_that_are_left_to_numpy() -> None:
    def make(_: int, x: Array, *out: Array) -> list[Step]:
        return [(np.add, (x, x, *(out or [x])))]

    run_steps(make, floats(3, 8), np.ones((3, 8)), state="NumPy: add of float32 into float64 is left to NumPy")
    run_steps(make, np.ones((3, 8), np.float16), state="NumPy: float16 is left to NumPy")
    run_steps(make, np.ones((3, 8), ">f4"), state="NumPy: >f4 is left to NumPy")
    run_steps(make, np.ones((0, 8)), state="NumPy: there is nothing to do")

    def compare(_: int, x: Array, y: Array, z: Array) -> list[Step]:
        return [(np.equal, (x, y, z))]

    few = [numbers((3, 8), dtype, k) for k, dtype in enumerate(("uint8", "int8", "bool"))]
    run_steps(compare, *few, state="NumPy: int16 is left to NumPy")


# -- runs between other calls -----------------------------------------------------------------------------------------


def run_chain(steps: Callable[..., list[Step]], *arrays: Array, state: str = "in part compiled", called: int) -> None:
    """Run a chain by NumPy and compiled, and compare all arrays; the compiled chain makes so many calls."""
    by_numpy, by_loops = [x.copy() for x in arrays], [x.copy() for x in arrays]
    with np.errstate(all="ignore"):
        chain(steps(*by_numpy))()
        call = chain(steps(*by_loops))
        kernel = kernels.Kernel(call, "now")
        assert kernel.state == state
        call()
    for x, y in zip(by_numpy, by_loops, strict=True):
        assert same_bits(x, y)
    fast: Any = kernel.parts[0]._fast
    assert (len(fast.steps) if fast else 0) == called


def test_runs_between_products() -> None:
    def steps(x: Array, y: Array, z: Array) -> list[Step]:
        return [
            (np.add, (x, y, x)),
            (np.multiply, (x, 0.5, y)),
            (np.matmul, (x, y, z)),
            (np.add, (z, z, z)),
            (np.matmul, (x, z, y)),
            (x.fill, (3,)),
            (np.exp, (y, y)),
            (np.subtract, (y, x, y)),
            (y[:, :0].fill, (3,)),
            (np.copyto, (x, y)),
        ]

    run_chain(steps, *(np.random.default_rng(k).random((9, 9)) for k in range(3)), called=7)


def test_a_step_that_is_left_to_numpy_parts_a_run() -> None:
    def steps(x: Array, half: Array) -> list[Step]:
        return [
            (np.add, (x, x, x)),
            (np.add, (x, 1, x)),
            (np.add, (half, half, half)),
            (x.fill, (1,)),
            (np.add, (x, x, x)),
        ]

    run_chain(steps, floats(5, 6), np.ones(7, np.float16), called=3)


def test_an_array_that_is_not_aligned_parts_a_run() -> None:
    raw = np.zeros(2 * 8 * 6 + 4, np.uint8)

    def steps(x: Array, raw: Array) -> list[Step]:
        pieces = [raw[48 * k + 4 * (k == 1) :][:48].view(np.float64) for k in range(2)]
        return [step for y in pieces for step in ((np.add, (x, 1, x)), (np.add, (y, x, y)), (np.exp, (x, x)))]

    run_chain(steps, np.ones(6), raw, called=5)


def test_runs_about_no_element() -> None:
    run_chain(
        lambda x: [(x.fill, (1,)), (np.add, (x, x, x))],
        np.ones((0, 3)),
        state="in part NumPy: there is nothing to do",
        called=0,
    )


@pytest.mark.parametrize("apart", [True, False])
def test_cells_alike_are_looked_into_once(apart: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[object] = []
    fused = kernels._fused
    monkeypatch.setattr(kernels, "_fused", lambda lines: looked.append(lines) or fused(lines))

    def steps(x: Array, y: Array, z: Array) -> list[Step]:
        made: list[Step] = []
        for k in range(5):
            # The fourth cell reads what its first step writes for other elements.
            other = z[k, :, 2:] if apart or k != 3 else y[k, :, 1:-1]
            made += [(np.add, (x[k, :, 2:], x[k, :, :-2], y[k, :, 2:])), (np.add, (x[k, :, 2:], other, z[k, :, 2:]))]
            made.append((np.exp, (y[k], y[k])))
        return made

    run_chain(steps, *(floats(5, 6, 9, seed=k) for k in range(3)), called=10)
    assert len(looked) == (1 if apart else 2)


# -- when -------------------------------------------------------------------------------------------------------------


def bound() -> tuple[Callable[[], object], Array, Array]:
    x = floats(2, 3, 20, 20)
    plan = pooling.plan_forward("max", x.shape, (2, 2), (2, 2), ((0, 0), (0, 0)), x.dtype)
    y = np.empty(plan.shapes[-1], np.float32)
    return plan.bind(x, y, np.empty(plan.workspace, np.uint8)), x, y


def test_numpy_runs_until_it_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    compiler.wait()
    monkeypatch.setattr(compiler, "_table", {})
    call, _, y = bound()
    kernel = kernels.Kernel(call, "background")
    assert kernel.state == "NumPy until compiled"
    call()
    first = y.copy()
    compiler.wait()
    assert kernel.state == "compiled"
    y.fill(0)
    call()
    assert same_bits(first, y)


def test_a_fault_while_describing_is_told() -> None:
    def make(_: int, x: Array) -> list[Step]:
        raise RuntimeError("no such plane")

    x = np.ones((2, 3))
    call = Planewise(lambda: x.fill(5), [x], make)
    kernel = kernels.Kernel(call, "background")
    call()
    compiler.wait()
    assert kernel.state == "NumPy: describing failed: RuntimeError('no such plane')"
    x.fill(0)
    call()
    assert (x == 5).all()


@pytest.mark.parametrize("mode", ["background", "now"])
def test_memory_is_free_when_the_call_is(mode: str) -> None:
    call, x, y = bound()
    kernel = kernels.Kernel(call, mode)
    if mode == "now":
        call()
    references = weakref.ref(x), weakref.ref(y)
    gc.disable()
    try:
        del call, kernel, x, y
        assert all(reference() is None for reference in references)
    finally:
        gc.enable()


def test_off() -> None:
    call, _, _ = bound()
    assert kernels.Kernel(call, "off").state == "NumPy"


def test_sizes_share_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    compiler.wait()
    monkeypatch.setattr(compiler, "_table", {})
    for rows in (20, 40):
        x = floats(2, 3, rows, 3 * rows)
        plan = pooling.plan_forward("max", x.shape, (3, 3), (2, 2), ((1, 1), (1, 1)), x.dtype)
        call = plan.bind(x, np.empty(plan.shapes[-1], np.float32), np.empty(plan.workspace, np.uint8))
        assert kernels.Kernel(call, "now").state == "compiled"
    assert len(compiler._table) == 1


def test_what_is_inside_is_found_everywhere() -> None:
    one, two = (Planewise(lambda: None, [np.ones(0)], lambda _, x: []) for _ in range(2))
    first, second = chain([(one, ()), (print, ())]), chain([(chain, ()), (two, ())])
    whole = chain([(threads.parallel([first, second]), ()), (print, ())])
    assert list(inside(whole)) == [whole, first, one, second, two]
    assert kernels.Kernel(whole, "off").state == "NumPy"
    assert kernels.Kernel(whole, "now").state == "in part NumPy: there is nothing to do"
    assert kernels.Kernel(print, "now").state == "NumPy"


def test_explain_says_how_a_kernel_runs() -> None:
    x = mx.sym.Variable("x")
    net = mx.sym.Pooling(mx.sym.exp(x), kernel=(2, 2), stride=(2, 2), pool_type="max")
    values = {"x": mx.nd.array(floats(2, 3, 20, 20))}
    for mode, how in (("off", ""), ("now", "  # compiled")):
        executor = net.bind(mx.cpu(), values, options=Options(jit=mode))
        (line,) = (line for line in executor.explain().splitlines() if "max_pool(" in line)
        assert f"out=out0){how}  float32" in line
