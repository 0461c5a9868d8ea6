"""Autograd programs find what they find on MXNet, up to the differences that are meant; and what MXNet cannot do."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest

import symgraph as mx
from symgraph.errors import ArgumentError, GradientError, UnsupportedError
from symgraph.ndarray import NDArray
from symgraph.ndarray.evaluate import evaluator
from symgraph.op import find
from symgraph.op.backward import backward_of
from tests.goldens import programs
from tests.goldens.store import Goldens
from tests.snapshots import Snapshots

ag, nd = mx.autograd, mx.nd

GOLDENS = Goldens("autograd")

#: Where we differ on purpose: the place in a program's findings, and why.
MEANT: dict[str, dict[str, str]] = {
    "head-gradients": {"result[3]": "a head gradient that is no NDArray is an ArgumentError, not an AttributeError"},
    "requests": {"result[4]": "an unknown grad_req is an ArgumentError, not a KeyError"},
}


@pytest.mark.parametrize("name", GOLDENS.cases)
def test_program(name: str) -> None:
    assert programs.surprises(GOLDENS, name, mx, MEANT.get(name, ())) == []


# -- beyond MXNet -----------------------------------------------------------------------------------------------------


def marked(values: object, dtype: str = "float32", **options: str) -> NDArray:
    x = nd.array(values, dtype=dtype)
    x.attach_grad(**options)
    return x


def test_gradients_of_any_order() -> None:
    # MXNet 1.9.1 cannot differentiate the gradient of a product.
    x = marked([1.0, 2.0], "float64")
    orders = []
    with ag.record():
        y = x * x * x * x
        for _ in range(4):
            (y,) = ag.grad(y, [x], create_graph=True)
            orders.append(y.asnumpy())
    for found, expected in zip(orders, ([4, 32], [12, 48], [24, 48], [24, 24]), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    y.backward()
    np.testing.assert_allclose(x.grad.asnumpy(), [0, 0], atol=1e-12)


def test_gradient_of_a_network_against_differences() -> None:
    rng = np.random.default_rng(3)
    data, label = nd.array(rng.normal(size=(4, 5)), dtype="float64"), nd.array([0, 2, 1, 2], dtype="float64")
    w1, b1 = marked(rng.normal(size=(6, 5)), "float64"), marked(rng.normal(size=6), "float64")
    w2 = marked(rng.normal(size=(3, 6)), "float64")

    def loss() -> NDArray:
        h = nd.tanh(nd.FullyConnected(data, w1, b1, num_hidden=6))
        scores = nd.log_softmax(nd.FullyConnected(h, w2, num_hidden=3, no_bias=True))
        return -nd.pick(scores, label).mean() + (w1 * w1).sum() * 0.01

    with ag.record():
        value = loss()
    value.backward()
    for x in (w1, b1, w2):
        direction = rng.normal(size=x.shape)
        kept, step = x.asnumpy(), 1e-6
        x[:] = kept + step * direction
        above = loss().asscalar()
        x[:] = kept - step * direction
        below = loss().asscalar()
        x[:] = kept
        assert np.sum(x.grad.asnumpy() * direction) == pytest.approx((above - below) / (2 * step), rel=1e-6)


def test_a_long_tape_needs_no_recursion() -> None:
    x = marked([1.0])
    with ag.record():
        y = x
        for _ in range(20_000):
            y = y + 1
    y.backward()
    assert x.grad.asscalar() == 1
    del y


def test_the_tape_goes_away_with_the_arrays() -> None:
    x = marked(np.ones(10))
    with ag.record():
        y = x * x
        z = y + 1
    memory = weakref.ref(y._data)
    z.backward(retain_graph=True)
    del y
    gc.collect()
    assert memory() is not None
    del z
    gc.collect()
    assert memory() is None


def test_released_arrays_are_let_go() -> None:
    x = marked(np.ones(10))
    with ag.record():
        y = nd.exp(x)
        z = nd.exp(y)
    memory = weakref.ref(y._data)
    z.backward()
    del y
    gc.collect()
    assert memory() is None
    assert z.shape == (10,)


def test_threads_record_for_themselves() -> None:
    seen = []
    with ag.record():
        thread = threading.Thread(target=lambda: seen.append((ag.is_recording(), ag.is_training())))
        thread.start()
        thread.join()
    assert seen == [(False, False)]


def test_modes_are_restored_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), ag.record():
        divmod(1, 0)
    assert not ag.is_recording()
    x = marked([1.0, 2.0])
    with ag.record():
        y = nd.sgd_update(x, x, lr=0.1)
        with pytest.raises(GradientError):
            y.backward()
        assert ag.is_recording()
        assert ag.is_training()


def test_backward_while_recording_is_not_recorded() -> None:
    x = marked([1.0, 2.0])
    with ag.record():
        y = x * x
        y.backward()
    assert x.grad._source is None


def test_the_mode_of_recording_counts_in_backward() -> None:
    x = marked(np.ones(1000))
    with ag.record(train_mode=False):
        y = nd.Dropout(x, p=0.5)
    y.backward()
    assert set(x.grad.asnumpy().tolist()) == {1.0}


def test_only_wanted_gradients_are_computed() -> None:
    x, w = marked(np.ones((2, 3))), nd.ones((4, 3))
    with ag.record():
        y = nd.FullyConnected(x, w, num_hidden=4, no_bias=True)
    y.backward()
    rule = backward_of(find("FullyConnected"))
    run = evaluator(rule.from_values(find("FullyConnected")(num_hidden=4, no_bias=True).values))
    assert {key[1] for key in run._routines} == {(0,)}


def test_an_array_that_is_a_head_and_on_the_way() -> None:
    x = marked([1.0, 2.0])
    with ag.record():
        y = x * 2
        z = y * y
    ag.backward([z, y, x])
    np.testing.assert_array_equal(x.grad.asnumpy(), [8 + 2 + 1, 16 + 2 + 1])


def test_error_texts(snapshot: Snapshots) -> None:
    x = marked([1.0, 2.0])
    with snapshot.raises(GradientError, "autograd_not_recorded"):
        (x * x).backward()
    with snapshot.raises(GradientError, "autograd_integers"):
        marked([1, 2], "int32")
    with snapshot.raises(ArgumentError, "autograd_request"):
        x.attach_grad("inplace")
    with snapshot.raises(UnsupportedError, "autograd_sparse"):
        x.attach_grad(stype="row_sparse")
    with snapshot.raises(GradientError, "autograd_mark"):
        ag.mark_variables(x, nd.zeros((3,)))
    with snapshot.raises(ArgumentError, "autograd_mark_count"):
        ag.mark_variables([x], [])
    with ag.record():
        y = x * x
        with snapshot.raises(GradientError, "autograd_write"):
            y += 1
        with snapshot.raises(GradientError, "autograd_write_part"):
            nd.zeros((2,))[0] = x[1]
        with snapshot.raises(GradientError, "autograd_write_out"):
            z = nd.zeros((2,))
            z += x
    with snapshot.raises(GradientError, "autograd_head_shape"):
        y.backward(nd.ones((3,)))
    with snapshot.raises(ArgumentError, "autograd_head_type"):
        y.backward(3)
    with snapshot.raises(ArgumentError, "autograd_head_count"):
        ag.backward([y], [None, None])
    with snapshot.raises(GradientError, "autograd_unreached"):
        ag.grad(y, marked([1.0]))
    with snapshot.raises(GradientError, "autograd_unmarked"):
        ag.grad(y, nd.ones((1,)))
    y.backward()
    with snapshot.raises(GradientError, "autograd_released"):
        y.backward()
    with ag.record():
        u = nd.sgd_update(x, x, lr=0.1)
    with snapshot.raises(GradientError, "autograd_no_gradient"):
        u.backward()
