"""The functions of operators: how calls are read and remembered, what the modules hold."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import numpy as np
import pytest

import symgraph as mx
from symgraph.errors import ArgumentError, MXNetError, UnknownOperatorError
from symgraph.ndarray import NDArray, functions
from symgraph.op import all_names, find
from tests.snapshots import Snapshots

nd = mx.nd


def counted(*shape: int) -> NDArray:
    return nd.array(np.arange(np.prod(shape)).reshape(shape))


def test_every_operator_has_a_function() -> None:
    for name in all_names():
        function = getattr(nd, name)
        assert function.__name__ == name
        assert function.__doc__
        assert "out" in inspect.signature(function).parameters
    assert {name for name in all_names() if not name.startswith("_")} <= set(dir(nd))
    assert getattr(nd, "FullyConnected") is nd.FullyConnected  # noqa: B009 - made once


def test_submodules_hold_operators_by_prefix() -> None:
    x = counted(2, 3)
    assert nd.op.relu(x).shape == (2, 3)
    assert nd._internal._plus_scalar(x, scalar=1)[0, 0].asscalar() == 1
    assert "_plus_scalar" in dir(nd._internal)
    assert "relu" not in dir(nd._internal)
    assert "relu" in dir(nd.op)
    assert "arange_like" in dir(nd.contrib)
    np.testing.assert_array_equal(nd.contrib.arange_like(x, axis=1).asnumpy(), [0, 1, 2])
    assert importlib.import_module("symgraph.ndarray.linalg") is nd.linalg
    assert mx.nd is mx.ndarray
    with pytest.raises(AttributeError, match="'_linalg_nothing'"):
        nd.linalg.nothing  # noqa: B018
    assert not hasattr(nd, "__wrapped__")


def test_methods_are_functions_of_operators() -> None:
    x = counted(2, 3)
    assert x.sum(axis=1).asnumpy().tolist() == [3, 12]
    assert NDArray.sum(x, 1).asnumpy().tolist() == [3, 12]
    assert NDArray.sum.__doc__ == nd.sum.__doc__
    missing = [name for name in functions.FLUENT if name in all_names() and not hasattr(NDArray, name)]
    assert missing == []
    assert not hasattr(x, "no_such_method")


def test_calls_by_position_and_name_are_one() -> None:
    x, w = counted(2, 3), counted(4, 3)
    expected = x.asnumpy() @ w.asnumpy().T
    for found in (
        nd.FullyConnected(x, w, None, 4, True),
        nd.FullyConnected(x, w, num_hidden=4, no_bias=True),
        nd.FullyConnected(weight=w, data=x, no_bias=True, num_hidden="4"),
        nd.FullyConnected(x, **{"num.hidden": 4, "no.bias": True, "weight": w}),
    ):
        np.testing.assert_array_equal(found.asnumpy(), expected)


def test_a_remembered_call_is_told_from_one_that_looks_alike() -> None:
    x = counted(2, 3)
    assert nd.sum(x, axis=1).shape == (2,)
    for wrong in (1.5, "1.0", (0.0,)):
        with pytest.raises(ArgumentError):
            nd.sum(x, axis=wrong)
    assert (1 / nd._internal._mul_scalar(nd.ones((1,)), scalar=0.0)).asscalar() == np.inf
    assert (1 / nd._internal._mul_scalar(nd.ones((1,)), scalar=-0.0)).asscalar() == -np.inf


def test_the_same_array_twice_is_not_remembered_as_one() -> None:
    x, y = counted(2), nd.ones((2,))
    assert nd.elemwise_sub(rhs=x, lhs=x).asnumpy().tolist() == [0, 0]
    assert nd.elemwise_sub(rhs=x, lhs=y).asnumpy().tolist() == [1, 0]
    assert nd.elemwise_sub(lhs=x, rhs=y).asnumpy().tolist() == [-1, 0]


def test_parameters_need_not_be_hashable() -> None:
    x = counted(2, 3)
    assert nd.sum(x, axis=[0, 1]).shape == (1,)
    assert nd.reshape(x, shape=np.array([3, 2])).shape == (3, 2)
    assert nd.transpose(x, axes=[1, 0]).shape == (3, 2)


def test_remembered_calls_are_limited() -> None:
    x = nd.ones((2,))
    cls = find("_plus_scalar")
    for k in range(functions.MOST_KEPT + 10):
        nd._internal._plus_scalar(x, scalar=float(k))
    assert len(functions._READY[cls]) <= functions.MOST_KEPT


def test_context_is_given_by_object_or_text() -> None:
    assert nd._internal._zeros(shape=(2,), ctx=mx.cpu(2)).context == mx.cpu(2)
    assert nd._internal._zeros(shape=(2,), ctx="cpu(2)").context == mx.cpu(2)
    with mx.cpu(3):
        assert nd._internal._zeros(shape=(2,)).context == mx.cpu(3)
    assert nd._internal._zeros(shape=(2,)).context == mx.cpu(0)


def test_updates_change_states_and_only_out_the_weight() -> None:
    w, g, n = nd.array([1.0, 2.0]), nd.array([0.5, -0.5]), nd.zeros((2,))
    free = nd.rmsprop_update(w, g, n, lr=0.1, gamma1=0.9, epsilon=1e-6)
    assert w.asnumpy().tolist() == [1, 2]
    np.testing.assert_allclose(n.asnumpy(), [0.025, 0.025], rtol=1e-6)
    n[:] = 0
    back = nd.rmsprop_update(w, g, n, lr=0.1, gamma1=0.9, epsilon=1e-6, out=w)
    assert back is w
    np.testing.assert_array_equal(w.asnumpy(), free.asnumpy())
    same = nd.rmsprop_update(weight=w, grad=g, n=n, lr=0.1, **{"rescale.grad": 1, "clip.gradient": -1})
    assert same.shape == (2,)


def test_hyper_parameters_are_the_ones_of_the_call() -> None:
    w, g = nd.ones((2,)), nd.ones((2,))
    for lr in (0.5, 0.25, 0.125, 0.5):
        assert nd.sgd_update(w, g, lr=lr).asnumpy().tolist() == [1 - lr, 1 - lr]


def test_unknown_names() -> None:
    with pytest.raises(UnknownOperatorError, match="did you mean 'relu'"):
        nd.relu_(counted(2))
    with pytest.raises(AttributeError):
        nd.no_such_operator  # noqa: B018
    assert issubclass(UnknownOperatorError, MXNetError)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("nd_call_missing", lambda x: nd.FullyConnected(x, x, num_hidden=2)),
        ("nd_call_nothing", lambda x: nd.relu()),
        ("nd_call_number", lambda x: nd.relu(3)),
        ("nd_call_list", lambda x: nd.concat([x, x], dim=0)),
        ("nd_call_unknown", lambda x: nd.FullyConnected(x, x, num_hiden=2, no_bias=True)),
        ("nd_call_required", lambda x: nd.sgd_update(x, x)),
    ],
)
def test_error_texts(snapshot: Snapshots, name: str, call: Any) -> None:
    with snapshot.raises(ArgumentError, name):
        call(counted(2, 3))
