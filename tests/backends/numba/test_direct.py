"""Convolution in other ways, compiled: against the definition, on registers of all kinds."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

import symgraph as mx
from symgraph.backends.numba import compiler, contraction, kernels
from symgraph.backends.numba.kernels import Kernel
from symgraph.backends.numpy import convolution, direct, threads, winograd
from symgraph.backends.numpy.kernel_plan import StagedPlan, refresh
from symgraph.executor import Options
from tests.backends.numpy import test_direct as directs
from tests.backends.numpy import test_winograd
from tests.backends.numpy.test_convolution import (
    CASE,
    PLANS,
    Case,
    cases,
    check,
    check_constant_weights,
    naive,
    numbers,
)

#: Bytes of a register and how many there are: of this machine, and others.
REGISTERS = {"own": None, "few": (16, 16, False), "wide": (32, 16, True), "one": (64, 4, True)}


@pytest.fixture(autouse=True)
def always(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Compute without unfolding, and compiled, wherever that can be done."""
    for name, value in (
        ("DIRECT_FILTERS", 1),
        ("DIRECT_DEPTH", 1),
        ("TILE_COST", 10**9),
        ("GRADIENT_TILE_COST", 10**9),
    ):
        monkeypatch.setattr(convolution, name, value)
    monkeypatch.setattr(convolution.depthwise, "applies", lambda g: False)
    bind = StagedPlan.bind

    def compiled(plan: Any, *arrays: Any) -> Any:
        call = bind(plan, *arrays)
        states = [part.state for part in Kernel(call, "background").parts]
        assert set(states) <= {"compiled"}, states
        return call

    monkeypatch.setattr(StagedPlan, "bind", compiled)
    for kind, (plan, names) in PLANS.items():
        monkeypatch.setitem(PLANS, kind, (functools.partial(plan, inexact=True), names))
    yield
    compiler.wait()


@pytest.mark.parametrize(
    ("cut", "registers"),
    [
        ("one lane", "own"),
        ("two lanes", "few"),
        ("six lanes, small pieces", "own"),
        ("six lanes, small pieces", "wide"),
        ("three lanes, pieces of several images", "one"),
    ],
)
@given(case=cases())
@settings(max_examples=6)
@example(case=Case((2, 3, 9, 31), (37, 3, 3, 3), (1, 1), (1, 1), (1, 1)))
@example(case=Case((2, 4, 9, 8), (10, 2, 3, 2), (2, 1), (1, 2), (1, 2), 2))
@example(case=Case((3, 5, 6, 7), (40, 5, 1, 1), (1, 1), (1, 1), (0, 0)))
def test_against_the_definition(registers: str, cut: str, case: Case) -> None:
    workers, constants = directs.CUTS[cut]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "_count", workers)
        for name, value in constants.items():
            patch.setattr(direct, name, value)
        if REGISTERS[registers] is not None:
            patch.setattr(contraction, "registers", lambda: REGISTERS[registers])
        check(case)


@st.composite
def winograds(draw: st.DrawFn) -> Case:
    """Small convolutions whose gradients are computed like them, too: channels and filters are multiples of 16."""
    pad = draw(st.integers(0, 2)), draw(st.integers(0, 2))
    height, width = (draw(st.integers(max(1, 3 - 2 * p), 9)) for p in pad)
    images, channels, filters = (
        draw(st.integers(1, 3)),
        draw(st.sampled_from((16, 48))),
        draw(st.sampled_from((16, 32))),
    )
    return Case((images, channels, height, width), (filters, channels, 3, 3), (1, 1), (1, 1), pad)


@pytest.mark.parametrize(("cut", "registers"), [*zip(test_winograd.CUTS, REGISTERS, strict=True)])
@given(case=winograds())
@settings(max_examples=4)
def test_winograd_against_the_definition(registers: str, cut: str, case: Case) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("TILE_COST", "GRADIENT_TILE_COST"):
            patch.setattr(convolution, name, -(10**9))
        for name, value in test_winograd.CUTS[cut].items():
            patch.setattr(winograd, name, value)
        if REGISTERS[registers] is not None:
            patch.setattr(contraction, "registers", lambda: REGISTERS[registers])
        for plan, _ in PLANS.values():
            assert isinstance(plan(*case, np.float64), winograd._WinogradPlan)
        check(case)


@pytest.mark.parametrize("kind", PLANS)
def test_rounding_errors(kind: str) -> None:
    """Each sum is rounded once for a term: the error grows with the root of their number (Higham and Mary, 2019)."""
    case = Case((2, 60, 14, 15), (70, 60, 3, 3), (1, 1), (1, 1), (1, 1))
    make, names = PLANS[kind]
    rng = np.random.default_rng(0)
    first, second, shape = (getattr(case, name) for name in names)
    x, y = (rng.standard_normal(s).astype(np.float32) for s in (first, second))
    results = {}
    for dtype in (np.float32, np.float64):
        plan = make(*case, dtype)
        out = np.empty(shape, dtype)
        plan.run(x.astype(dtype), y.astype(dtype), out, np.empty(plan.workspace, np.uint8))
        results[dtype] = out
    sizes = np.empty(shape)
    plan = make(*case, np.float64)
    plan.run(abs(x).astype(float), abs(y).astype(float), sizes, np.empty(plan.workspace, np.uint8))
    terms = 2 * 14 * 15 if kind == "weight gradient" else 70 * 9
    error = abs(results[np.float32] - results[np.float64])
    assert error.max() > 0
    assert np.all(error < np.sqrt(terms) * np.finfo(np.float32).eps / 2 * sizes)


def test_constant_weights_are_packed_when_they_change() -> None:
    assert check_constant_weights(CASE, np.float64) is direct.DirectProduct


def test_what_cannot_be_packed_by_compiled_code_is_left_to_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the plan's bind, too
    for name in ("DIRECT_FILTERS", "DIRECT_DEPTH", "FLAT_WINDOWS"):
        monkeypatch.setattr(convolution, name, 1)
    x, w, y = numbers(CASE.data), numbers(CASE.weight, 1), np.empty(CASE.result)
    plan = convolution.plan_forward(*CASE, np.float64, inexact=True, constant=True)
    call = plan.bind(x, w, y, np.empty(plan.workspace, np.uint8))
    monkeypatch.setattr(kernels, "_known", lambda function: False)
    (part,) = Kernel(call, "now").parts
    assert part.state.startswith("NumPy: ")
    refresh(call)
    call()
    np.testing.assert_array_equal(y, naive(CASE, x, w))


def network() -> Any:
    x = mx.sym.Variable("data")
    for k in range(2):
        x = mx.sym.Convolution(x, kernel=(3, 3), pad=(1, 1), num_filter=20, name=f"conv{k}")
        x = mx.sym.Activation(x, act_type="relu")
    return mx.sym.Deconvolution(x, kernel=(3, 3), num_filter=3, name="back")


def test_inference_with_constant_weights() -> None:
    rng = np.random.default_rng(0)
    shape = (2, 3, 10, 10)
    values = {
        name: rng.standard_normal(s).astype(np.float32)
        for name, s in zip(network().list_arguments(), network().infer_shape(data=shape)[0], strict=True)
    }
    plain, packed = (
        network().simple_bind(mx.cpu(), grad_req="null", data=shape, options=options)
        for options in (Options(jit="off"), Options(jit="now", on={"convolution"}, inputs=["data"]))
    )
    for scale in (1.0, 2.0):
        for executor in (plain, packed):
            for name, value in values.items():
                executor.arg_dict[name][:] = value * (1.0 if name == "data" else scale)
        packed.refresh()
        outputs = [e.forward()[0].asnumpy() for e in (plain, packed)]
        # Three sums of at most 180 products of numbers near one.
        np.testing.assert_allclose(*outputs, rtol=0, atol=3e-5 * abs(outputs[0]).max())
    assert packed.explain(training=False).count("# compiled") >= 3


@pytest.mark.parametrize("kind", PLANS)
@pytest.mark.parametrize("filters", [40, 48])
def test_the_number_of_workers_changes_no_bit(kind: str, filters: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct, "LANE_PRODUCTS", 1)
    if filters == 48:  # Winograd's way
        for name in ("TILE_COST", "GRADIENT_TILE_COST"):
            monkeypatch.setattr(convolution, name, -(10**9))
    case = Case((3, 32, 14, 15), (filters, 32, 3, 3), (1, 1), (1, 1), (1, 1))
    make, names = PLANS[kind]
    rng = np.random.default_rng(0)
    first, second, shape = (getattr(case, name) for name in names)
    x, y = (rng.standard_normal(s).astype(np.float32) for s in (first, second))
    results = []
    for workers in (1, 2, 5):
        monkeypatch.setattr(threads, "_count", workers)
        plan, out = make(*case, np.float32), np.empty(shape, np.float32)
        assert isinstance(plan, winograd._WinogradPlan if filters == 48 else direct._DirectPlan)
        plan.run(x, y, out, np.empty(plan.workspace, np.uint8))
        results.append(out)
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)
