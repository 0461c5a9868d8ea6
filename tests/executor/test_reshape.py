"""Executors made from each other by `reshape`: what they share, what is remembered, and what that must not change."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import symgraph as mx
from symgraph import executor as room
from symgraph.errors import GradientError
from symgraph.executor import Executor, Options


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The plans made so far."""
    made: list[object] = []

    class Counted(room._Bound):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            made.append(self)

    monkeypatch.setattr(room, "_Bound", Counted)
    return made


def network() -> mx.sym.Symbol:
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=4, name="fc")
    return mx.sym.FullyConnected(mx.sym.tanh(net), num_hidden=3, name="out")


def bound(batch: int, net: mx.sym.Symbol | None = None, **options: Any) -> Executor:
    executor = (network() if net is None else net).simple_bind(mx.cpu(), data=(batch, 5), **options)
    for k, x in enumerate((*executor.arg_arrays, *executor.aux_arrays)):
        x[:] = np.random.default_rng(k).normal(size=x.shape)
    return executor


def to(executor: Executor, batch: int) -> Executor:
    return executor.reshape(allow_up_sizing=True, partial_shaping=True, data=(batch, 5))


def step(executor: Executor, seed: int = 0) -> list[list[float]]:
    """Train on random data and return outputs and gradients."""
    values = np.random.default_rng(seed)
    executor.forward(is_train=True, data=values.normal(size=executor.arg_dict["data"].shape))
    executor.backward([mx.nd.array(values.normal(size=y.shape)) for y in executor.outputs])
    return [x.asnumpy().tolist() for x in (*executor.outputs, *executor.grad_arrays)]


def test_coming_back_to_a_shape_makes_nothing_anew(plans: list[object]) -> None:
    executor = bound(4)
    expected = {batch: step(bound(batch)) for batch in (2, 4, 6)}
    small, large = to(executor, 2), to(executor, 6)
    before = len(plans)
    assert to(small, 4) is executor
    assert to(large, 2) is small
    assert to(executor, 6) is large
    for batch in (2, 6, 4, 2, 4):
        executor = to(executor, batch)
        assert step(executor) == expected[batch]
    assert len(plans) == before


def test_shapes_are_kept_though_nobody_has_their_executor(plans: list[object]) -> None:
    executor = bound(4)
    data, weight = executor.arg_dict["data"], executor.arg_dict["fc_weight"]
    first = step(executor)
    executor = to(executor, 2)
    before = len(plans)
    executor = to(to(executor, 4), 2)
    executor = to(executor, 4)
    assert len(plans) == before
    assert executor.arg_dict["data"] is data
    assert executor.arg_dict["fc_weight"] is weight
    assert step(executor) == first


def test_so_many_shapes_are_kept_and_no_more(plans: list[object]) -> None:
    executor = bound(1)
    for batch in range(2, room.KEPT_SHAPES + 1):
        executor = to(executor, batch)
    before = len(plans)
    executor = to(to(executor, 1), 2)
    assert len(plans) == before
    executor = to(executor, 100)  # 3 has not been used for the longest time
    assert len(plans) == before + 1
    executor = to(executor, 4)
    assert len(plans) == before + 1
    to(executor, 3)
    assert len(plans) == before + 2


def test_requests_that_are_remembered_have_an_end() -> None:
    executor = bound(1)
    for batch in range(2, 8):
        to(executor, batch)
    family = executor._family
    for number in range(3 * room.KEPT_REQUESTS):
        family.remember(number, ())
    assert len(family.requests) <= room.KEPT_REQUESTS


def test_memory_is_free_with_the_last_executor_of_a_family() -> None:
    gc.disable()
    try:
        executor = bound(4, options=Options(inputs={"data"}))
        smaller = to(executor, 2)
        for each in (executor, smaller):
            step(each)
            each.forward()
        gone = [weakref.ref(x._data) for each in (executor, smaller) for x in each.arg_arrays]
        gone += [weakref.ref(b.plan.arena.base) for each in (executor, smaller) for b in each._plans.values()]
        del executor
        assert gone[0]() is not None  # its shape is kept
        del smaller, each
        assert [ref() for ref in gone] == [None] * len(gone)
    finally:
        gc.enable()


def test_what_is_computed_on_the_way_lies_in_the_same_memory() -> None:
    executor = bound(40)
    executor.forward(is_train=True)
    executor.forward()
    smaller = to(executor, 20)
    smaller.forward(is_train=True)
    arenas = [b.plan.arena for each in (executor, smaller) for b in each._plans.values()]
    assert len(arenas) >= 3
    assert all(x.nbytes for x in arenas)
    assert all(np.shares_memory(x, arenas[0]) for x in arenas)
    apart = bound(20)
    assert not any(np.shares_memory(x, b.plan.arena) for x in arenas for b in apart._plans.values())


@pytest.mark.parametrize("gradients", ["write", "add"])
def test_gradients_survive_that_another_executor_has_run(gradients: str) -> None:
    net = mx.sym.Dropout(network(), p=0.5)
    results = []
    for other in (False, True):
        mx.random.seed(3)
        executor = bound(4, net, grad_req=gradients)
        smaller = to(executor, 2)
        smaller.arg_dict["data"][:] = 1
        executor.forward(is_train=True)
        if other:
            smaller.forward(is_train=True)
        executor.backward(mx.nd.ones((4, 3)))
        results.append([x.asnumpy().tolist() for x in (*executor.outputs, *executor.grad_arrays)])
    assert results[0] == results[1]


def test_gradients_of_what_has_been_renewed_since_are_refused() -> None:
    data, weight = mx.sym.Variable("data"), mx.sym.Variable("weight", shape=(1,))
    update = mx.sym.sgd_update(weight, mx.sym.Variable("g", shape=(1,)), lr=1.0, attr={"__renews__": "weight"})
    net = mx.sym.Group([mx.sym.broadcast_mul(mx.sym.exp(data), mx.sym.exp(weight)), update])
    executor = bound(4, net, grad_req={"data": "write"})
    smaller = to(executor, 2)
    heads = {batch: [mx.nd.ones((batch, 5)), mx.nd.ones(1)] for batch in (2, 4)}
    executor.forward(is_train=True)
    smaller.forward(is_train=True)
    with pytest.raises(GradientError, match="an executor that shares its memory has been called since the last forw"):
        executor.backward(heads[4])
    smaller.backward(heads[2])
    executor.forward(is_train=True)
    executor.backward(heads[4])


def test_added_gradients_of_what_changes_begin_with_zero() -> None:
    executor = bound(4, grad_req="add")
    step(executor)
    step(executor)
    twice = executor.grad_dict["fc_weight"].asnumpy()
    executor = to(to(executor, 2), 4)
    assert not executor.grad_dict["data"].asnumpy().any()
    np.testing.assert_array_equal(executor.grad_dict["fc_weight"].asnumpy(), twice)


def test_arrays_of_other_shapes_are_not_taken_for_those_that_are_shared() -> None:
    executor = bound(4)
    wide = executor.reshape(partial_shaping=True, allow_up_sizing=True, data=(4, 6))
    assert wide.arg_dict["fc_weight"] is not executor.arg_dict["fc_weight"]
    narrow = wide.reshape(partial_shaping=True, data=(2, 5))
    assert narrow.arg_dict["fc_weight"] is not executor.arg_dict["fc_weight"]
    # The kept one has the first executor's weights; these are the second's, whose shape stays.
    again = narrow.reshape(allow_up_sizing=True, data=(4, 5))
    assert again is not executor
    assert again.arg_dict["fc_weight"] is narrow.arg_dict["fc_weight"]


def test_hyper_parameters_come_along() -> None:
    loss = mx.sym.MakeLoss(mx.sym.square(mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc")))
    net = mx.sym.training_step(loss, "sgd_update", lr=0.5)
    changes = []
    executor = bound(4, net)
    other = to(executor, 2)
    other.set_hyper(lr=0.25)
    for each in (lambda: executor, lambda: to(other, 4)):
        executor.arg_dict["fc_weight"][:] = 0
        executor.arg_dict["fc_bias"][:] = 1
        each().forward(is_train=True, data=np.zeros((4, 5)))
        changes.append(1 - executor.arg_dict["fc_bias"].asnumpy()[0])
    np.testing.assert_allclose(changes, [0.5 * 2 * 4, 0.25 * 2 * 4])


def test_what_follows_from_constants_is_computed_anew_after_coming_back() -> None:
    executor = bound(4, options=Options(inputs={"data"}))
    other = to(executor, 2)
    before = executor.forward()[0].asnumpy()
    other.copy_params_from({"out_bias": np.full(3, 10)}, allow_extra_params=True)
    changed = executor.arg_dict["out_bias"].asnumpy()
    assert changed.tolist() == [10, 10, 10]
    after = to(other, 4).forward()[0].asnumpy()
    assert (after > before + 5).all()


def test_a_shape_is_kept_without_its_monitor() -> None:
    seen: list[str] = []
    executor = bound(4)
    executor.set_monitor_callback(lambda name, array: seen.append(name))
    executor.forward()
    count = len(seen)
    assert count
    executor = to(executor, 2)
    executor.forward()
    executor = to(executor, 4)
    executor.forward()
    assert len(seen) == count
