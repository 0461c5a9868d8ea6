"""Winograd's way against the definition: exactly on small integers, within the bound of its roundings on others."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgraph.backends.numpy import convolution, kernel_plan, threads, winograd
from tests.backends.numpy.running import MadeByNumPy, run
from tests.backends.numpy.test_convolution import PLANS, Case, check, check_constant_weights

Array = npt.NDArray[Any]
#: The matrices of the module's text.
B = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]).T
G = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]]) / 2
A = np.array([[1, 1, 1, 0], [0, 1, -1, -1]]).T


@pytest.fixture(autouse=True)
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take Winograd's way wherever it is one."""
    for name in ("WEIGHT_COST", "KEPT_COST", "GRADIENT_WEIGHT_COST"):
        monkeypatch.setattr(convolution, name, -(10**9))
    for module in (convolution, winograd):
        monkeypatch.setattr(module, "PART", 1)  # only vectors want more
    monkeypatch.setattr(kernel_plan, "Staged", MadeByNumPy)
    for kind, (make, names) in PLANS.items():
        monkeypatch.setitem(PLANS, kind, (functools.partial(make, inexact=True), names))


def case_of(images: int, channels: int, filters: int, height: int, width: int, pad: tuple[int, int] = (1, 1)) -> Case:
    return Case((images, channels, height, width), (filters, channels, 3, 3), (1, 1), (1, 1), pad)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    pad = draw(st.integers(0, 2)), draw(st.integers(0, 2))
    height, width = (draw(st.integers(max(1, 3 - 2 * p), 9)) for p in pad)
    images, channels, filters = draw(st.integers(1, 3)), draw(st.integers(1, 5)), draw(st.integers(1, 5))
    return case_of(images, channels, filters, height, width, pad)


#: Settings that cut small data in many ways.
CUTS: dict[str, dict[str, int]] = {
    "as it is": {},
    "small cells": {"TILES": 3, "FILTERS": 2, "CHANNELS": 2, "WEIGHTS": 3},
    "cells of several images": {"TILES": 20, "BLOCK_BYTES": 20000},
    "small blocks and products": {"TILES": 4, "BLOCK_BYTES": 0, "CHANNELS": 1},
}


@pytest.mark.parametrize("cut", CUTS)
@given(case=cases())
@settings(max_examples=80)
def test_against_the_definition(cut: str, case: Case) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CUTS[cut].items():
            patch.setattr(winograd, name, value)
        check(case)


@pytest.mark.parametrize("kind", PLANS)
def test_this_is_the_way_tested(kind: str) -> None:
    plan = PLANS[kind][0](*case_of(1, 2, 3, 6, 7), np.float32)
    assert isinstance(plan, (winograd.WinogradProduct, winograd.WinogradWeightGradient))


@pytest.mark.parametrize("kind", PLANS)
def test_integers_have_no_halves(kind: str) -> None:
    plan = PLANS[kind][0](*case_of(1, 2, 3, 6, 7), np.int64)
    assert not isinstance(plan, (winograd.WinogradProduct, winograd.WinogradWeightGradient))


@pytest.mark.parametrize("case", [case_of(3, 4, 5, 7, 6), case_of(1, 4, 50, 7, 6)], ids=["by tiles", "by filters"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_constant_weights_are_transformed_when_they_change(case: Case, dtype: Any) -> None:
    assert check_constant_weights(case, dtype) is winograd.WinogradProduct


def operands(case: Case) -> tuple[Array, Array, Array]:
    """Return data, weight and head gradients of ordinary numbers."""
    rng = np.random.default_rng(0)
    x, w, dy = (rng.standard_normal(shape).astype(np.float32) for shape in (case.data, case.weight, case.result))
    return x, w, dy


def compute(kind: str, case: Case, dtype: Any = np.float32) -> Array:
    make, (first, second, result) = PLANS[kind]
    given = dict(zip(("data", "weight", "result"), operands(case), strict=True))
    plan = make(*case, dtype)
    return run(plan, given[first].astype(dtype), given[second].astype(dtype), shape=getattr(case, result))


@pytest.fixture
def workers() -> Iterator[None]:
    before = threads.worker_count()
    yield
    threads.set_worker_count(before)


@pytest.mark.usefixtures("workers")
@pytest.mark.parametrize("kind", PLANS)
@pytest.mark.parametrize("case", [case_of(5, 70, 40, 14, 14), case_of(2, 24, 130, 30, 31), case_of(3, 100, 300, 7, 7)])
def test_the_number_of_workers_changes_no_bit(kind: str, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winograd, "BLOCK_BYTES", 1 << 20)
    results = []
    for count in (1, 2, 5):
        threads.set_worker_count(count)
        results.append(compute(kind, case))
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)


def tiled(x: Array, pad: int, size: int) -> Array:
    """Return the `size` x `size` elements every second row and column, of data with `pad` zeros around it."""
    x = np.pad(x, [(0, 0), (0, 0), (pad, pad + 2), (pad, pad + 2)])
    return np.lib.stride_tricks.sliding_window_view(x, (size, size), (2, 3))[:, :, ::2, ::2]


def roundings(kind: str, case: Case) -> tuple[int, Array]:
    """Return how often a result is rounded on its way, and the sum of the absolute values of its summands.

    Each transform adds two pairs of numbers one after the other along each axis, at most: a term of a result is
    rounded 2 or 4 times in the transform of either factor and 4 times in that of the sums, once as a product, and in
    the sums once for each summand.
    """
    x, w, dy = (abs(v.astype(np.float64)) for v in operands(case))
    a, b, g = abs(A), abs(B), abs(G)
    pad = case.pad[0]
    if kind == "data gradient":
        x, w, pad = dy, w.swapaxes(0, 1)[:, :, ::-1, ::-1], 2 - pad
    height, width = (case.data if kind == "data gradient" else case.result)[2:]
    rows, columns = -(-height // 2), -(-width // 2)
    data = np.einsum("ku,ncijkl,lv->ncijuv", b, tiled(x, pad, 4)[:, :, :rows, :columns], b)
    if kind == "weight gradient":
        head = np.einsum("uk,noijkl,vl->noijuv", a, tiled(dy, 0, 2)[:, :, :rows, :columns], a)
        sums = np.einsum("noijuv,ncijuv->ocuv", head, data)
        return 11 + x.shape[0] * rows * columns, np.einsum("uk,ocuv,vl->ockl", g, sums, g)
    weight = np.einsum("uk,ockl,vl->ocuv", g, w, g)
    sums = np.einsum("ocuv,ncijuv->noijuv", weight, data)
    results = np.einsum("uk,noijuv,vl->noikjl", a, sums, a)
    return 11 + x.shape[1], results.reshape(*results.shape[:2], 2 * rows, -1)[:, :, :height, :width]


@pytest.mark.parametrize("kind", PLANS)
@pytest.mark.parametrize(
    "case", [case_of(1, 64, 8, 20, 21), case_of(2, 300, 5, 7, 7, (0, 0)), case_of(1, 3, 70, 9, 30)]
)
def test_rounding_errors(kind: str, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    count, size = roundings(kind, case)
    error = abs(compute(kind, case) - compute(kind, case, np.float64))
    # Rounding errors are of either sign, so they grow with the square root of their number (Higham and Mary, 2019).
    bound = np.sqrt(count) * np.finfo(np.float32).eps / 2 * size
    assert np.all(error < bound)
    # Sums of the definition are nine times as long, which makes up for the transforms' roundings.
    for name in ("WEIGHT_COST", "GRADIENT_WEIGHT_COST"):
        monkeypatch.setattr(convolution, name, 10**9)
    plain = abs(compute(kind, case) - compute(kind, case, np.float64))
    assert np.sqrt(np.mean(error**2)) < 2 * np.sqrt(np.mean(plain**2))
