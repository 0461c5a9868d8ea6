"""Depthwise convolution as sums of shifted products: against the definition, on any number of threads."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgraph.backends.numpy import convolution, depthwise, threads
from tests.backends.numpy.running import run
from tests.backends.numpy.test_convolution import Case, cases, naive, numbers


@st.composite
def depthwise_cases(draw: st.DrawFn) -> Case:
    case = draw(cases())
    channels = draw(st.integers(2, 6))
    images, size, kernel = case.data[0] + 1, case.data[2:], case.weight[2:]
    return Case((images, channels, *size), (channels, 1, *kernel), case.stride, case.dilate, case.pad, channels)


def is_ours(case: Case) -> bool:
    return isinstance(convolution.plan_forward(*case, np.float64, inexact=True), depthwise.ShiftedProducts)


@given(case=depthwise_cases(), block_bytes=st.sampled_from((1, 500, 1 << 18)))
@settings(max_examples=120, deadline=None)
def test_against_the_definition(case: Case, block_bytes: int) -> None:
    assert is_ours(case) == (np.prod(case.weight[2:]) > 1)
    x, w = numbers(case.data, 1), numbers(case.weight, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(depthwise, "BLOCK_BYTES", block_bytes)
        y = run(convolution.plan_forward(*case, np.float64, inexact=True), x, w, shape=case.result)
    np.testing.assert_array_equal(y, naive(case, x, w))


@pytest.fixture
def workers() -> Iterator[None]:
    before = threads.worker_count()
    yield
    threads.set_worker_count(before)


@pytest.mark.usefixtures("workers")
def test_the_number_of_workers_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depthwise, "BLOCK_BYTES", 5000)
    case = Case((2, 13, 12, 11), (13, 1, 3, 3), (2, 1), (1, 1), (1, 1), 13)
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(s).astype(np.float32) for s in (case.data, case.weight))
    results = []
    for count in (1, 2, 5):
        threads.set_worker_count(count)
        results.append(run(convolution.plan_forward(*case, np.float32, inexact=True), x, w, shape=case.result))
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)


def test_others_are_not_taken() -> None:
    for case in (
        Case((1, 4, 5, 5), (4, 2, 3, 3), (1, 1), (1, 1), (1, 1), 2),
        Case((1, 4, 5, 5), (8, 1, 3, 3), (1, 1), (1, 1), (1, 1), 4),
        Case((1, 4, 5, 5), (4, 1, 1, 1), (1, 1), (1, 1), (0, 0), 4),
    ):
        assert not is_ours(case)
