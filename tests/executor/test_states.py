"""Gradients of operators that renew a state: taken at the value that the operator read."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import symgraph as mx
from symgraph.op import Op, Tensor, arg, op, registry


@pytest.fixture(scope="module", autouse=True)
def counted_scale() -> Iterator[None]:
    @op("_test_counted_scale")
    class CountedScale(Op):
        """The input times a state that grows by one each time."""

        data: Tensor = arg("Input, any shape.")
        count: Tensor = arg("The state, of the shape of `data`.", mutates=True)

        def compute(self, xp, data, count):  # type: ignore[no-untyped-def]
            return data * count, count + 1

    yield
    for table in (registry._OPERATORS, registry._NAMES):
        table.pop("_test_counted_scale")


def test_an_executors_gradient_reads_the_old_state() -> None:
    product = mx.sym._internal._test_counted_scale(mx.sym.Variable("x"), mx.sym.Variable("n"))
    grad, count = mx.nd.zeros((1,)), mx.nd.array([10])
    executor = product.bind(mx.cpu(), {"x": mx.nd.array([2])}, {"x": grad}, aux_states={"n": count})
    for step in range(3):
        executor.forward(is_train=True)
        executor.backward(mx.nd.ones((1,)))
        assert (grad.asscalar(), count.asscalar()) == (10 + step, 11 + step)


def test_the_gradient_in_one_graph_reads_the_old_state() -> None:
    product = mx.sym._internal._test_counted_scale(mx.sym.Variable("x"), mx.sym.Variable("n"))
    both = mx.sym.Group([product, product.gradient(["x"])])
    count = mx.nd.array([10])
    executor = both.bind(mx.cpu(), {"x": mx.nd.array([2])}, grad_req="null", aux_states={"n": count})
    outputs = [x.asscalar() for x in executor.forward(is_train=True)]
    assert (outputs, count.asscalar()) == ([20, 10], 11)


def test_a_state_that_no_gradient_reads_is_not_copied() -> None:
    executor = mx.sym.BatchNorm(mx.sym.Variable("x")).simple_bind(mx.cpu(), x=(4, 2))
    assert "embed" not in executor.explain()


def test_autograd_reads_the_old_state() -> None:
    x, count = mx.nd.array([2]), mx.nd.array([10])
    x.attach_grad()
    with mx.autograd.record():
        y = mx.nd._internal._test_counted_scale(x, count)
    y.backward()
    np.testing.assert_array_equal([x.grad.asscalar(), count.asscalar()], [10, 11])


def test_one_array_cannot_be_read_and_renewed() -> None:
    w = mx.nd.ones((2,))
    update = mx.sym.sgd_mom_update(mx.sym.Variable("a"), mx.sym.Variable("b"), mx.sym.Variable("m"), lr=0.1)
    with pytest.raises(mx.errors.BindError, match="'m' is renewed by the graph, but is one array with 'a'"):
        update.bind(mx.cpu(), {"a": w, "b": mx.nd.ones((2,))}, aux_states={"m": w})


def test_a_tensor_that_no_memory_holds_is_named() -> None:
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2**62, name="fc")
    with pytest.raises(mx.errors.BindError, match="no memory for 'fc_weight'"):
        net.simple_bind(mx.cpu(), data=(2, 4))


def test_an_unknown_pass_is_answered_with_all_of_them() -> None:
    net = mx.sym.relu(mx.sym.Variable("x"))
    with pytest.raises(mx.errors.ArgumentError, match="did you mean 'fuse'"):
        net.simple_bind(mx.cpu(), x=(2,), options=mx.executor.Options(off={"fused"}))
