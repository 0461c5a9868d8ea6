"""Inference whose weights are declared constant: what follows from them alone is computed once, and anew when told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symgraph as mx
from symgraph.errors import ArgumentError

Options = mx.executor.Options


def network(groups: int = 1) -> Any:
    """Convolution, batch norm, dense layer."""
    x = mx.sym.Convolution(mx.sym.Variable("data"), kernel=(3, 3), num_filter=4, num_group=groups, name="conv")
    x = mx.sym.Activation(mx.sym.BatchNorm(x, fix_gamma=False, name="norm"), act_type="relu")
    return mx.sym.FullyConnected(x, num_hidden=3, name="dense")


def bound(net: Any, **options: Any) -> Any:
    executor = net.simple_bind(mx.cpu(), grad_req="null", options=Options(jit="off", **options), data=(2, 4, 6, 6))
    rng = np.random.default_rng(0)
    for x in (*executor.arg_arrays, *executor.aux_arrays):
        x[:] = rng.random(x.shape, np.float32) + 0.1
    return executor


def result(executor: Any) -> Any:
    return executor.forward()[0].asnumpy().tobytes()


def equations(executor: Any) -> list[str]:
    return [e.primitive.name for s in executor.bound(False).plan.layout.steps for e in s.equations]


def test_what_follows_from_constants_is_not_in_the_plan_and_changes_no_bit() -> None:
    plain, constant = bound(network()), bound(network(), inputs=["data"])
    assert "sqrt" in equations(plain)
    assert "sqrt" not in equations(constant)
    assert result(constant) == result(plain)
    assert result(constant) == result(plain)
    assert "constants" in constant.explain(training=False)


def test_new_inputs_count_in_every_run() -> None:
    plain, constant = bound(network()), bound(network(), inputs=["data"])
    for seed in range(2):
        data = np.random.default_rng(seed).random((2, 4, 6, 6), np.float32)
        outputs = [e.forward(data=data)[0].asnumpy().tobytes() for e in (plain, constant)]
        assert outputs[0] == outputs[1]
    for e in (plain, constant):
        e.arg_dict["data"][:] = 0.5
    assert result(plain) == result(constant)


def written(executor: Any) -> None:
    executor.aux_dict["norm_moving_var"][:] = 4.0
    executor.refresh()


def copied(executor: Any) -> None:
    executor.copy_params_from({"norm_gamma": mx.nd.full((4,), 2.0)})


def fed(executor: Any) -> None:
    executor.forward(norm_gamma=np.full(4, 3.0, np.float32))


@pytest.mark.parametrize("change", [written, copied, fed])
def test_changed_constants_are_taken_over(change: Any) -> None:
    plain, constant = bound(network()), bound(network(), inputs=["data"])
    before = result(constant)
    if change is not written:
        change(plain)
    else:
        plain.aux_dict["norm_moving_var"][:] = 4.0
    change(constant)
    assert result(constant) == result(plain) != before


def test_what_is_written_into_constants_counts_after_refresh() -> None:
    executor = bound(network(), inputs=["data"])
    before = result(executor)
    executor.aux_dict["norm_moving_mean"][:] = 9.0
    assert result(executor) == before
    executor.refresh()
    assert result(executor) != before


def test_training_steps_refresh() -> None:
    step = mx.sym.training_step(
        mx.sym.SoftmaxOutput(network(), mx.sym.Variable("label"), name="softmax"), "rmsprop_update", lr=0.1
    )
    executors = [
        step.simple_bind(mx.cpu(), options=Options(jit="off", **o), data=(2, 4, 6, 6), label=(2,))
        for o in ({}, {"inputs": ["data", "label"]})
    ]
    outputs = []
    for executor in executors:
        rng = np.random.default_rng(0)
        for x in executor.arg_arrays:
            x[:] = rng.random(x.shape, np.float32) + 0.1
        found = []
        for _ in range(2):
            found.append(executor.forward(is_train=False)[0].asnumpy().tobytes())
            executor.forward(is_train=True)
        outputs.append(found)
    assert outputs[0] == outputs[1]
    assert outputs[0][0] != outputs[0][1]


@pytest.mark.parametrize("groups", [1, 4])
def test_a_batch_norm_goes_into_the_filters(groups: int) -> None:
    plain = bound(network(groups))
    absorbed = bound(network(groups), inputs=["data"], on={"absorb"})
    assert "multiply" in equations(plain)
    assert "multiply" not in equations(absorbed)
    x, y = plain.forward()[0].asnumpy(), absorbed.forward()[0].asnumpy()
    # Each of 36 products is rounded once more, and so is each of 64 of the dense layer that reads their sums.
    assert np.abs(x - y).max() <= (36 + 64) * np.finfo(np.float32).eps * np.abs(x).max()
    assert (x != y).any()


def test_a_result_that_others_read_keeps_its_own_values() -> None:
    conv = mx.sym.Convolution(mx.sym.Variable("data"), kernel=(3, 3), num_filter=4, name="conv")
    scaled = mx.sym.broadcast_mul(conv, mx.sym.Variable("scale", shape=(1, 4, 1, 1)))
    absorbed = bound(mx.sym.Group([conv, scaled]), inputs=["data"], on={"absorb"})
    plain = bound(mx.sym.Group([conv, scaled]))
    for x, y in zip(plain.forward(), absorbed.forward(), strict=True):
        assert x.asnumpy().tobytes() == y.asnumpy().tobytes()


def test_names_of_inputs_are_checked() -> None:
    with pytest.raises(ArgumentError, match=r"Options\.inputs names 'dta', which is no argument"):
        bound(network(), inputs=["dta"])
    with pytest.raises(ArgumentError, match="expected names in a list"):
        Options(inputs="data")


def test_faster_convolutions_are_near_and_off_by_default() -> None:
    def run(**options: Any) -> Any:
        net = mx.sym.Convolution(mx.sym.Variable("data"), kernel=(3, 3), pad=(1, 1), num_filter=64, name="conv")
        executor = net.simple_bind(
            mx.cpu(), grad_req="write", options=Options(jit="off", **options), data=(4, 64, 28, 28)
        )
        rng = np.random.default_rng(0)
        for x in executor.arg_arrays:
            x[:] = rng.standard_normal(x.shape).astype(np.float32)
        executor.forward(is_train=True)
        executor.backward(mx.nd.ones((4, 64, 28, 28)))
        return [executor.outputs[0].asnumpy(), *(g.asnumpy() for g in executor.grad_arrays)]

    for x, y in zip(run(), run(on={"convolution"}), strict=True):
        # The transforms add a few roundings to sums of 576 products (3136 in the gradient by the weight).
        np.testing.assert_allclose(x, y, rtol=0, atol=np.abs(x).max() * 64 * np.finfo(np.float32).eps)
