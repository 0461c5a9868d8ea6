"""Convolution without unfolding: its steps, made by NumPy, against the definition on small integers.

What is compiled of them is held to the same in ``tests/backends/numba/test_direct.py``.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings

from symgraph.backends.numpy import convolution, direct, kernel_plan, threads
from symgraph.backends.numpy.kernel_plan import Staged, inside
from tests.backends.numpy.running import MadeByNumPy
from tests.backends.numpy.test_convolution import (
    CASE,
    PLANS,
    Case,
    cases,
    check,
    check_constant_weights,
    numbers,
)

#: Settings that cut small data in many ways: workers, then the module's own.
CUTS: dict[str, tuple[int, dict[str, int]]] = {
    "one lane": (1, {}),
    "two lanes": (2, {"LANE_PRODUCTS": 1}),
    "six lanes, small pieces": (
        6,
        {"LANE_PRODUCTS": 1, "IMAGE_BYTES": 1, "BLOCK": 2, "SUMMED": 2, "PADDED_BYTES": 1},
    ),
    "three lanes, pieces of several images": (3, {"LANE_PRODUCTS": 1, "BLOCK": 30, "SUMMED": 30, "PADDED_BYTES": 2000}),
    "small panels": (2, {"LANE_PRODUCTS": 1, "WIDTH": 2, "PART": 1}),
}


@pytest.fixture(autouse=True)
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute without unfolding wherever that can be done."""
    for name, value in (
        ("DIRECT_FILTERS", 1),
        ("DIRECT_DEPTH", 1),
        ("TILE_COST", 10**9),
        ("GRADIENT_TILE_COST", 10**9),
    ):
        monkeypatch.setattr(convolution, name, value)
    monkeypatch.setattr(convolution.depthwise, "applies", lambda g: False)
    monkeypatch.setattr(kernel_plan, "Staged", MadeByNumPy)
    for kind, (plan, names) in PLANS.items():
        monkeypatch.setitem(PLANS, kind, (functools.partial(plan, inexact=True), names))


@pytest.mark.parametrize("cut", CUTS)
@given(case=cases())
@settings(max_examples=60)
@example(case=Case((2, 3, 9, 8), (37, 3, 3, 3), (1, 1), (1, 1), (1, 1)))  # a panel and a part of one
@example(case=Case((2, 4, 9, 8), (10, 2, 3, 2), (2, 1), (1, 2), (1, 2), 2))
@example(case=Case((3, 5, 6, 7), (4, 5, 1, 1), (1, 1), (1, 1), (0, 0)))
@example(case=Case((3, 5, 6, 7), (4, 5, 1, 1), (2, 2), (1, 1), (0, 0)))
@example(case=Case((1, 2, 5, 5), (3, 2, 2, 2), (3, 3), (1, 1), (0, 0)))  # rows that no window reads
@example(case=Case((1, 2, 3, 3), (3, 2, 2, 2), (1, 1), (1, 1), (3, 3)))  # windows of padding alone
def test_against_the_definition(cut: str, case: Case) -> None:
    workers, constants = CUTS[cut]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "_count", workers)
        for name, value in constants.items():
            patch.setattr(direct, name, value)
        check(case)


@pytest.mark.parametrize("workers", [1, 2, 7, 11, 13, 64])
def test_no_number_of_workers_leaves_most_of_them_idle(workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_count", workers)
    monkeypatch.setattr(direct, "LANE_PRODUCTS", 1)
    case = Case((1, 256, 7, 7), (256, 256, 3, 3), (1, 1), (1, 1), (1, 1))  # one image, 7 rows, 8 panels
    plan = PLANS["forward"][0](*case, np.float32)
    assert workers / 2 < len(plan.cells) <= workers


@pytest.mark.parametrize("kind", PLANS)
def test_this_is_the_way_tested(kind: str) -> None:
    assert isinstance(PLANS[kind][0](*CASE._replace(stride=(1, 1)), np.float32), direct._DirectPlan)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_constant_weights_are_packed_when_they_change(dtype: Any) -> None:
    assert check_constant_weights(CASE, dtype) is direct.DirectProduct


@pytest.mark.parametrize("kind", PLANS)
def test_half_precision_is_computed_in_single(kind: str) -> None:
    case = CASE._replace(stride=(1, 1))
    plan, names = PLANS[kind]
    shapes = [getattr(case, name) for name in names]
    first, second = (numbers(shape, seed) / 8 for seed, shape in enumerate(shapes[:2]))
    outs = []
    for dtype in (np.float16, np.float32):
        made = plan(*case, dtype)
        out = np.empty(shapes[2], dtype)
        call = made.bind(first.astype(dtype), second.astype(dtype), out, np.empty(made.workspace, np.uint8))
        assert any(isinstance(part, Staged) for part in inside(call))
        call()
        outs.append(out)
    np.testing.assert_array_equal(outs[0], outs[1].astype(np.float16))
