"""Convolution kernels against loops over taps, in float64 and on small integers, so that results are exact."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from symgraph.backends.numpy import convolution, threads, unfolding
from symgraph.backends.numpy.kernel_plan import refresh
from symgraph.errors import BindError
from tests.backends.numpy.running import run

Array = npt.NDArray[Any]


class Case(NamedTuple):
    """What a plan is made from."""

    data: tuple[int, ...]
    weight: tuple[int, ...]
    stride: tuple[int, ...]
    dilate: tuple[int, ...]
    pad: tuple[int, ...]
    groups: int = 1

    @property
    def result(self) -> tuple[int, ...]:
        """Shape of the result."""
        axes = zip(self.data[2:], self.weight[2:], self.stride, self.dilate, self.pad, strict=True)
        return (self.data[0], self.weight[0], *((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, d, p in axes))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Small convolutions of all kinds: 1-D to 3-D, groups, depthwise, padding larger than needed, whole kernels."""
    rank = draw(st.sampled_from((1, 2, 2, 2, 3)))
    groups = draw(st.sampled_from((1, 1, 2, 3)))
    channels, filters = groups * draw(st.integers(1, 3)), groups * draw(st.sampled_from((1, 2, 5)))
    images = draw(st.sampled_from((1, 1, 2, 5)))
    axes = []
    for _ in range(rank):
        kernel, stride = draw(st.integers(1, 3)), draw(st.sampled_from((1, 1, 1, 2, 3)))
        dilate = draw(st.sampled_from((1, 1, 2)))
        pad = draw(st.sampled_from((0, 1, 2, (kernel - 1) * dilate // 2)))
        least = max(1, dilate * (kernel - 1) + 1 - 2 * pad)
        axes.append((draw(st.integers(least, least + 6)), kernel, stride, dilate, pad))
    size, kernel, stride, dilate, pad = zip(*axes, strict=True)
    return Case((images, channels, *size), (filters, channels // groups, *kernel), stride, dilate, pad, groups)


def numbers(shape: tuple[int, ...], seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(np.float64)


def naive(case: Case, x: Array, w: Array) -> Array:
    """Convolve tap by tap, by the definition."""
    y = np.zeros(case.result)
    padded = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in case.pad)])
    per_group = case.weight[1]
    windows = case.result[2:]
    for tap in itertools.product(*map(range, case.weight[2:])):
        at = tuple(
            slice(t * d, t * d + (n - 1) * s + 1, s)
            for t, d, s, n in zip(tap, case.dilate, case.stride, windows, strict=True)
        )
        for o in range(case.weight[0]):
            first = o // (case.weight[0] // case.groups) * per_group
            for c in range(per_group):
                y[:, o] += w[(o, c, *tap)] * padded[(slice(None), first + c, *at)]
    return y


def check(case: Case) -> None:
    """Hold forward to the definition, and both gradients to <conv(x, w), dy> == <x, dx> == <w, dw>.

    Each identity is tried in every direction at once, by making the other operand random: for a linear map, agreement
    with random vectors of small integers is agreement.
    """
    x, w = numbers(case.data, 1), numbers(case.weight, 2)
    dy, x2, w2 = numbers(case.result, 3), numbers(case.data, 4), numbers(case.weight, 5)
    forward, by_data, by_weight = (make for make, _ in PLANS.values())
    y = run(forward(*case, np.float64), x, w, shape=case.result)
    np.testing.assert_array_equal(y, naive(case, x, w))
    dx = run(by_data(*case, np.float64), dy, w, shape=case.data)
    assert np.vdot(dx, x2) == np.vdot(dy, naive(case, x2, w))
    dw = run(by_weight(*case, np.float64), x, dy, shape=case.weight)
    assert np.vdot(dw, w2) == np.vdot(dy, naive(case, x, w2))


def check_constant_weights(case: Case, dtype: Any, keeps: bool = True) -> type:
    """Hold forward with weights that lie anywhere to the definition, before and after they change; return its plan.

    If it `keeps` a form of them, they change for it only when they are refreshed.
    """
    x, y = numbers(case.data).astype(dtype), np.empty(case.result, dtype)
    w = np.asfortranarray(numbers(case.weight, 1).astype(dtype))
    plan = convolution.plan_forward(*case, dtype, inexact=True, constant=True)
    call = plan.bind(x, w, y, np.empty(plan.workspace, np.uint8))
    for _ in range(2):
        refresh(call)
        expected = naive(case, x.astype(float), w.astype(float))
        call()
        np.testing.assert_array_equal(y, expected)
        w += 1
        call()
        assert np.array_equal(y, expected) == keeps
    return type(plan)


@given(cases())
@settings(max_examples=300)
@example(Case((1, 2, 1), (1, 2, 3), (1,), (1,), (1,)))  # a single element, its neighbours all padding
@example(Case((2, 1, 6, 5), (5, 1, 3, 2), (2, 3), (1, 1), (2, 1)))  # phases of which some windows see only padding
@example(Case((2, 3, 1, 1), (4, 3, 3, 3), (1, 1), (2, 2), (2, 2)))  # dilated so far that only the middle tap sees data
def test_against_the_definition(case: Case) -> None:
    check(case)


#: Settings that force each way of computing on data small enough to check.
WAYS: dict[str, dict[str, int]] = {
    "tiny blocks": {"BLOCK_BYTES": 256, "SMALL_BLOCK_BYTES": 256},
    "small blocks": {"BLOCK_BYTES": 2048, "SMALL_BLOCK_BYTES": 1024, "RESULT_COLUMNS": 1},
    "no shared products": {"FEW_WINDOWS": 0, "FEW_WINDOWS_COPIED": 0, "SMALL_PRODUCT": 0},
    "all lanes": {"BLOCKS_TO_SPREAD": 0, "SMALL_BLOCK_BYTES": 512, "FEW_ROWS": 100},
    "no few rows": {"FEW_ROWS": 0},
    "always fold": {"ADD_COST": 0},
    "always turn": {"ADD_COST": 10**9},
    "images last": {"MANY_IMAGES": 2, "LAYOUT_COST": 0},
    "transposed products": {"TRANSPOSE_WINDOWS": 0, "BLOCK_BYTES": 2048, "FEW_ROWS": 0},
    "few summed windows": {"SUMMED_WINDOWS": 1, "BLOCK_BYTES": 512},
}


@pytest.mark.parametrize("way", WAYS)
@given(case=cases())
@settings(max_examples=60)
def test_every_way_of_computing(way: str, case: Case) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in WAYS[way].items():
            patch.setattr(convolution, name, value)
        check(case)


@given(case=cases())
@settings(max_examples=60)
def test_without_separable_unfolding(case: Case) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unfolding, "SHORT_ROW", 0)
        check(case)


@pytest.fixture
def three_workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Three workers that split everything."""
    before = threads.worker_count()
    threads.set_worker_count(3)
    monkeypatch.setattr(threads, "SPLIT_ELEMENTS", 1)
    yield
    threads.set_worker_count(before)


@pytest.mark.usefixtures("three_workers")
@pytest.mark.parametrize(
    "case",
    [
        Case((4, 3, 9, 9), (8, 3, 3, 3), (1, 1), (1, 1), (1, 1)),
        Case((1, 5, 9, 8), (7, 5, 3, 2), (2, 2), (1, 1), (1, 0)),
        Case((2, 6, 9, 9), (6, 1, 3, 3), (1, 1), (1, 1), (1, 1), 6),
    ],
)
def test_spread_over_workers(case: Case) -> None:
    check(case)


CASE = Case((2, 4, 7, 6), (6, 2, 3, 3), (1, 1), (1, 1), (1, 1), 2)
PLANS = {
    "forward": (convolution.plan_forward, ("data", "weight", "result")),
    "data gradient": (convolution.plan_data_gradient, ("result", "weight", "data")),
    "weight gradient": (convolution.plan_weight_gradient, ("data", "result", "weight")),
}


@pytest.mark.parametrize("kind", PLANS)
@pytest.mark.parametrize(
    ("position", "layout"),
    [
        *itertools.product(range(3), ("reversed", "transposed", "every other", "channels last")),
        (0, "broadcast"),
        (1, "broadcast"),
    ],
)
@pytest.mark.parametrize("kernel", [1, 3])
def test_any_memory_layout(kind: str, position: int, layout: str, kernel: int) -> None:
    case = CASE._replace(weight=(6, 2, kernel, kernel), pad=(kernel // 2, kernel // 2))
    make, names = PLANS[kind]
    shapes = [getattr(case, name) for name in names]
    plan = make(*case, np.float64)
    arrays = [numbers(shape, seed) for seed, shape in enumerate(shapes)]
    if layout == "broadcast":
        arrays[position] = np.broadcast_to(numbers(shapes[position][2:]), shapes[position]).copy()
    expected = arrays[2].copy()
    plan.run(arrays[0], arrays[1], expected, np.empty(plan.workspace, np.uint8))
    x = arrays[position]
    strided = {
        "reversed": lambda: x[::-1, :, ::-1].copy()[::-1, :, ::-1],
        "transposed": lambda: x.transpose(3, 2, 1, 0).copy().transpose(3, 2, 1, 0),
        "every other": lambda: np.repeat(x, 2, axis=1)[:, ::2],
        "channels last": lambda: np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1),
        "broadcast": lambda: np.broadcast_to(x[0, 0], x.shape),
    }[layout]()
    np.testing.assert_array_equal(strided, x)
    arrays[position] = strided
    plan.run(*arrays, np.empty(plan.workspace, np.uint8))
    np.testing.assert_array_equal(arrays[2], expected)


@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray])
@pytest.mark.parametrize("dtype", [np.float64, np.float16])
def test_operands_are_read_when_called_not_when_bound(layout: Any, dtype: Any) -> None:
    x, w, y = (layout(np.zeros(shape, dtype)) for shape in (CASE.data, CASE.weight, CASE.result))
    plan = convolution.plan_forward(*CASE, dtype)
    call = plan.bind(x, w, y, np.empty(plan.workspace, np.uint8))
    for seed in (1, 2):
        x[...], w[...] = numbers(CASE.data, seed), numbers(CASE.weight, seed)
        call()
        np.testing.assert_array_equal(y, naive(CASE, x.astype(np.float64), w.astype(np.float64)))


@pytest.mark.parametrize("kind", PLANS)
def test_half_precision_is_computed_in_single(kind: str) -> None:
    make, names = PLANS[kind]
    shapes = [getattr(CASE, name) for name in names]
    first, second = (numbers(shape, seed) / 8 for seed, shape in enumerate(shapes[:2]))
    outs = []
    for dtype in (np.float16, np.float32):
        plan = make(*CASE, dtype)
        out = np.empty(shapes[2], dtype)
        plan.run(first.astype(dtype), second.astype(dtype), out, np.empty(plan.workspace, np.uint8))
        outs.append(out)
    np.testing.assert_array_equal(outs[0], outs[1].astype(np.float16))


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.float32])
def test_other_dtypes(dtype: Any) -> None:
    x, w, y = numbers(CASE.data), numbers(CASE.weight), np.empty(CASE.result, dtype)
    plan = convolution.plan_forward(*CASE, dtype)
    plan.run(x.astype(dtype), w.astype(dtype), y, np.empty(plan.workspace, np.uint8))
    np.testing.assert_array_equal(y, naive(CASE, x, w))


def test_no_image() -> None:
    case = CASE._replace(data=(0, 4, 7, 6))
    assert (
        run(
            convolution.plan_forward(*case, np.float64), np.empty(case.data), numbers(case.weight), shape=case.result
        ).size
        == 0
    )
    dw = run(
        convolution.plan_weight_gradient(*case, np.float64),
        np.empty(case.data),
        np.empty(case.result),
        shape=case.weight,
    )
    np.testing.assert_array_equal(dw, np.zeros(case.weight))


def test_copyless_cases_need_no_workspace() -> None:
    pointwise = Case((1, 8, 5, 5), (4, 8, 1, 1), (1, 1), (1, 1), (0, 0))
    whole = Case((3, 8, 5, 5), (4, 8, 5, 5), (1, 1), (1, 1), (0, 0))
    for case in (pointwise, whole):
        for make, _ in PLANS.values():
            assert make(*case, np.float32).workspace == 0


def test_workspace_is_bounded_by_blocks_not_by_data() -> None:
    case = Case((64, 64, 56, 56), (64, 64, 3, 3), (1, 1), (1, 1), (1, 1))
    for make, _ in PLANS.values():
        assert make(*case, np.float32).workspace < 2 * convolution.BLOCK_BYTES


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((np.zeros(CASE.data), np.zeros(CASE.weight)), "2 arrays given"),
        ((np.zeros(CASE.data), np.zeros(CASE.weight), np.zeros(CASE.data)), "array 2 is float64"),
        ((np.zeros(CASE.data), np.zeros(CASE.weight, np.float32), np.zeros(CASE.result)), "array 1 is float32"),
        ((np.zeros(CASE.data), None, np.zeros(CASE.result)), "array 1 is None"),
    ],
)
def test_wrong_arrays_are_refused(arrays: tuple[Array, ...], message: str) -> None:
    plan = convolution.plan_forward(*CASE, np.float64)
    with pytest.raises(BindError, match=message):
        plan.bind(*arrays, np.empty(plan.workspace, np.uint8))


def test_a_small_workspace_is_refused() -> None:
    plan = convolution.plan_forward(*CASE, np.float64)
    arrays = np.zeros(CASE.data), np.zeros(CASE.weight), np.zeros(CASE.result)
    with pytest.raises(BindError, match=f"at least {plan.workspace} bytes"):
        plan.bind(*arrays, np.empty(plan.workspace - 1, np.uint8))
    with pytest.raises(BindError, match="workspace"):
        plan.bind(*arrays, None)
