"""Pooling kernels against loops over windows, in float64 and on small integers, so that results are exact."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from symgraph.backends.numpy import pooling, threads
from tests.backends.numpy.running import run

Array = npt.NDArray[Any]
LOWEST = np.finfo(np.float64).min


class Case(NamedTuple):
    """What a plan is made from."""

    data: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pad: tuple[tuple[int, int], ...]

    @property
    def result(self) -> tuple[int, ...]:
        """Shape of the result."""
        axes = zip(self.data[2:], self.kernel, self.stride, self.pad, strict=True)
        return (*self.data[:2], *((n + sum(p) - k) // s + 1 for n, k, s, p in axes))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Small poolings of all kinds: overlapping or with gaps, padding on either side, global, wholly in the padding."""
    rank = draw(st.sampled_from((1, 2, 2, 2, 3)))
    axes = []
    for _ in range(rank):
        kernel, stride = draw(st.integers(1, 3)), draw(st.integers(1, 4))
        pad = draw(st.sampled_from((0, 0, 1, 2))), draw(st.sampled_from((0, 0, 1, 3)))
        least = max(1, kernel - sum(pad))
        axes.append((draw(st.integers(least, least + 4)), kernel, stride, pad))
    size, kernel, stride, pad = zip(*axes, strict=True)
    if draw(st.sampled_from((False, False, False, True))):
        kernel, pad = size, ((0, 0),) * rank
    return Case((draw(st.integers(1, 2)), draw(st.sampled_from((1, 3))), *size), kernel, stride, pad)


def windows(case: Case) -> Iterator[tuple[tuple[int, ...], list[tuple[int, ...]]]]:
    """Yield each element of the result with the elements of its window, in MXNet's order, the last axis fastest."""
    for at in itertools.product(*map(range, case.result)):
        axes = zip(at[2:], case.data[2:], case.kernel, case.stride, case.pad, strict=True)
        spans = [[i for i in range(o * s - p[0], o * s - p[0] + k) if 0 <= i < n] for o, n, k, s, p in axes]
        yield at, [(*at[:2], *element) for element in itertools.product(*spans)]


def numbers(shape: tuple[int, ...], seed: int) -> Array:
    """Few different numbers, so that there are ties."""
    return np.random.default_rng(seed).integers(-3, 3, shape).astype(np.float64)


def check(case: Case) -> None:
    x, dy, z = numbers(case.data, 1), numbers(case.result, 2), numbers(case.data, 3)
    greatest, total = np.full(case.result, LOWEST), np.zeros(case.result)
    to_first, to_all = np.zeros(case.data), np.zeros(case.data)
    gathered = np.zeros(case.result)
    for at, window in windows(case):
        if window:
            first = max(window, key=lambda i: x[i])  # of equal ones, `max` returns the first
            greatest[at], gathered[at] = x[first], z[first]
            total[at] = sum(x[i] for i in window)
            to_first[first] += dy[at]
            for i in window:
                to_all[i] += dy[at]
    a = (*case, np.float64)
    np.testing.assert_array_equal(run(pooling.plan_forward("max", *a), x, shape=case.result), greatest)
    np.testing.assert_array_equal(run(pooling.plan_forward("sum", *a), x, shape=case.result), total)
    np.testing.assert_array_equal(run(pooling.plan_gradient("max", *a), x, greatest, dy, shape=case.data), to_first)
    np.testing.assert_array_equal(run(pooling.plan_gradient("sum", *a), dy, shape=case.data), to_all)
    np.testing.assert_array_equal(run(pooling.plan_gather(*a), x, greatest, z, shape=case.result), gathered)


@given(cases())
@settings(max_examples=200)
@example(Case((1, 1, 1), (3,), (1,), ((1, 1),)))
@example(Case((1, 1, 3), (1,), (3,), ((1, 3),)))  # windows wholly in the padding, on both sides
@example(Case((1, 1, 7, 7), (7, 7), (1, 1), ((0, 0), (0, 0))))
def test_against_the_definition(case: Case) -> None:
    check(case)


@given(cases())
@settings(max_examples=60)
def test_in_tiny_blocks_on_three_workers(case: Case) -> None:
    before = threads.worker_count()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pooling, "BLOCK_BYTES", 64)
        threads.set_worker_count(3)
        try:
            check(case)
        finally:
            threads.set_worker_count(before)


def row(*x: float) -> Array:
    return np.array(x, np.float64)[None, None]


def pooled(x: Array, kernel: int, stride: int, pad: tuple[int, int]) -> tuple[Array, Array]:
    """Return the maximum of windows, and its gradient for the head gradients 1, 2, 3, ..."""
    case = Case(x.shape, (kernel,), (stride,), (pad,))
    y = run(pooling.plan_forward("max", *case, x.dtype), x, shape=case.result)
    dy = np.arange(1.0, y.size + 1).reshape(y.shape).astype(x.dtype)
    return y, run(pooling.plan_gradient("max", *case, x.dtype), x, y, dy, shape=x.shape)


def test_nan_loses_as_in_mxnet() -> None:
    # Recorded from MXNet 1.9.1 (its own kernels, oneDNN off): Pooling(kernel=(2,), pool_type="max").
    y, dx = pooled(row(1, np.nan, 3, 0, 2, 2), 2, 1, (0, 0))
    np.testing.assert_array_equal(y, row(1, 3, 3, 2, 2))
    np.testing.assert_array_equal(dx, row(1, 0, 5, 0, 9, 0))


def test_a_window_in_the_padding_holds_the_lowest_number_as_in_mxnet() -> None:
    # Recorded from MXNet 1.9.1: Pooling(kernel=(2,), stride=(3,), pad=(1,), pooling_convention="full") of 1 to 7.
    y, dx = pooled(row(1, 2, 3, 4, 5, 6, 7), 2, 3, (1, 3))
    np.testing.assert_array_equal(y, row(1, 4, 7, LOWEST))
    np.testing.assert_array_equal(dx, row(1, 0, 0, 2, 0, 0, 3))


def test_the_first_of_equal_elements_takes_the_gradient_as_in_mxnet() -> None:
    # Recorded from MXNet 1.9.1: kernel 2 x 2, stride 1, head gradients 1, 2, 3, 4.
    x = np.array([[1.0, 2, 2], [2, 2, 1], [0, 0, 2]])[None, None]
    case = Case(x.shape, (2, 2), (1, 1), ((0, 0), (0, 0)))
    dy = np.arange(1.0, 5).reshape(1, 1, 2, 2)
    dx = run(pooling.plan_gradient("max", *case, np.float64), x, np.full(case.result, 2.0), dy, shape=x.shape)
    np.testing.assert_array_equal(dx[0, 0], [[0, 3, 0], [3, 4, 0], [0, 0, 0]])


@pytest.mark.parametrize("special", [np.inf, -np.inf, np.nan])
def test_a_gradient_that_is_no_number_stays_where_it_belongs(special: float) -> None:
    x = row(0, 1, 2, 1)
    for stride, heads in ((1, 3), (2, 2)):
        case = Case(x.shape, (2,), (stride,), ((0, 0),))
        y = run(pooling.plan_forward("max", *case, np.float64), x, shape=case.result)
        dy = np.ones((1, 1, heads))
        dy[0, 0, 0] = special
        dx = run(pooling.plan_gradient("max", *case, np.float64), x, y, dy, shape=x.shape)
        np.testing.assert_array_equal(dx, row(0, special, 2 if stride == 1 else 1, 0))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_other_float_dtypes(dtype: Any) -> None:
    case = Case((2, 3, 7, 6), (3, 3), (2, 2), ((1, 1), (0, 1)))
    x, dy = numbers(case.data, 1), numbers(case.result, 2)
    y = run(pooling.plan_forward("max", *case, np.float64), x, shape=case.result)
    for plan, operands, shape in (
        (lambda t: pooling.plan_forward("max", *case, t), (x,), case.result),
        (lambda t: pooling.plan_forward("sum", *case, t), (x,), case.result),
        (lambda t: pooling.plan_gradient("sum", *case, t), (dy,), case.data),
        (lambda t: pooling.plan_gradient("max", *case, t), (x, y, dy), case.data),
        (lambda t: pooling.plan_gather(*case, t), (x, y, x), case.result),
    ):
        expected = run(plan(np.float64), *operands, shape=shape)
        narrow = run(plan(dtype), *(o.astype(dtype) for o in operands), shape=shape)
        assert narrow.dtype == dtype
        np.testing.assert_array_equal(narrow, expected)


def test_half_precision_sums_are_rounded_once() -> None:
    # 2048 + 1 is 2048 in float16, whose neighbours there are 2 apart; summed in float32 it is 2052.
    x = np.array([2048, 1, 1, 1, 1], np.float16)[None, None]
    y = np.empty((1, 1, 1), np.float16)
    plan = pooling.plan_forward("sum", x.shape, (5,), (1,), [(0, 0)], np.float16)
    plan.run(x, y, np.empty(plan.workspace, np.uint8))
    assert y.item() == 2052


def test_integers() -> None:
    x = np.array([[[3, -5, 2, -7]]], np.int32)
    y = np.empty((1, 1, 3), np.int32)
    plan = pooling.plan_forward("max", x.shape, (2,), (2,), [(0, 2)], np.int32)
    plan.run(x, y, np.empty(plan.workspace, np.uint8))
    assert y.tolist() == [[[3, 2, np.iinfo(np.int32).min]]]


def test_strided_arrays() -> None:
    case = Case((2, 3, 5, 5), (2, 2), (1, 1), ((0, 1), (1, 0)))
    x = numbers(case.data, 1)
    expected = run(pooling.plan_forward("max", *case, np.float64), x, shape=case.result)
    out = np.empty(case.result[::-1]).T
    plan = pooling.plan_forward("max", *case, np.float64)
    plan.run(x.T.copy().T, out, np.empty(plan.workspace, np.uint8))
    np.testing.assert_array_equal(out, expected)


def test_no_image() -> None:
    case = Case((0, 3, 5, 5), (2, 2), (1, 1), ((0, 0), (0, 0)))
    x, y = np.empty(case.data), np.empty(case.result)
    for plan, arrays in (
        (pooling.plan_forward("max", *case, np.float64), (x, y)),
        (pooling.plan_forward("sum", *case, np.float64), (x, y)),
        (pooling.plan_gradient("sum", *case, np.float64), (y, x)),
        (pooling.plan_gradient("max", *case, np.float64), (x, y, y, x)),
        (pooling.plan_gather(*case, np.float64), (x, y, x, y)),
    ):
        plan.run(*arrays, np.empty(plan.workspace, np.uint8))
