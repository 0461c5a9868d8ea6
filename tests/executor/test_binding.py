"""What `bind` and `simple_bind` take, and what they refuse, by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symgraph as mx
from symgraph.errors import ArgumentError, BindError

X, Y, W, G = map(mx.sym.Variable, "xywg")


def ones(*shape: int) -> mx.nd.NDArray:
    return mx.nd.ones(shape)


def update(name: str = "rmsprop_update", **hyper: Any) -> mx.sym.Symbol:
    """Return an update of `w` by `g` that renews `w`."""
    made = getattr(mx.sym, name)(W, G, lr=0.1, name="u", **hyper)
    made._set_attr(__renews__="w")
    return made


def frozen(x: mx.nd.NDArray) -> mx.nd.NDArray:
    x._data.flags.writeable = False
    return x


# -- what is missing or too much --------------------------------------------------------------------------------------


def test_missing_arrays_are_named_with_their_shapes() -> None:
    net = mx.sym.FullyConnected(X, num_hidden=3, name="fc")
    with pytest.raises(BindError, match="2 of 3 arrays are missing") as caught:
        net.bind(mx.cpu(), {"x": ones(4, 5)})
    assert "fc_weight: (3, 5)" in str(caught.value)
    assert "fc_bias: (3,)" in str(caught.value)
    with pytest.raises(BindError, match="1 of 3 arrays are missing"):
        net.bind(mx.cpu(), [ones(4, 5), ones(3, 5), None])


def test_labels_may_be_missing_where_only_training_reads_them() -> None:
    net = mx.sym.SoftmaxOutput(X, name="softmax")
    (probabilities,) = net.bind(mx.cpu(), {"x": ones(2, 4)}).forward()
    assert probabilities.asnumpy().tolist() == [[0.25] * 4] * 2


def test_missing_states_are_named() -> None:
    net = mx.sym.BatchNorm(X, name="bn")
    arrays = {"x": ones(2, 3), "bn_gamma": ones(3), "bn_beta": ones(3)}
    with pytest.raises(BindError, match="2 of 5 arrays are missing") as caught:
        net.bind(mx.cpu(), arrays)
    assert "bn_moving_var: (3,)" in str(caught.value)


def test_a_list_must_have_an_array_for_each_name() -> None:
    with pytest.raises(BindError, match="args holds 1 arrays, but there are 2") as caught:
        (X * Y).bind(mx.cpu(), [ones(2)])
    assert "names: x, y" in str(caught.value)
    with pytest.raises(BindError, match="args_grad holds 3 arrays, but there are 2"):
        (X * Y).bind(mx.cpu(), [ones(2)] * 2, [ones(2)] * 3)


def test_arrays_for_other_graphs_are_passed_over() -> None:
    executor = (X * 2).bind(mx.cpu(), {"x": ones(2), "another": ones(7)})
    assert executor.forward()[0].asnumpy().tolist() == [2, 2]


@pytest.mark.parametrize("where", ["args", "args_grad", "aux_states"])
def test_only_ndarrays_are_bound(where: str) -> None:
    given: dict[str, Any] = {"args": {"x": ones(2, 3), "bn_gamma": ones(3), "bn_beta": ones(3)}}
    given["args_grad"] = {"x": ones(2, 3)}
    given["aux_states"] = {"bn_moving_mean": ones(3), "bn_moving_var": ones(3)}
    first = next(iter(given[where]))
    given[where][first] = np.ones(3)
    with pytest.raises(ArgumentError, match=rf"{where}\['{first}'\] is ndarray; it must be NDArray"):
        mx.sym.BatchNorm(X, name="bn").bind(mx.cpu(), **given)


def test_simple_bind_takes_shapes() -> None:
    with pytest.raises(BindError, match="takes the shape of 'x' as a tuple, got NDArray"):
        (X * 2).simple_bind(mx.cpu(), x=ones(2))


def test_there_is_no_engine_for_other_devices() -> None:
    with pytest.raises(BindError, match="no engine for gpu"):
        (X * 2).simple_bind(mx.gpu(0), x=(2,))


# -- memory -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("renewed", ["w", "u_n"])
def test_what_is_renewed_must_be_writeable(renewed: str) -> None:
    arrays = {"w": ones(3), "g": ones(3)}
    states = {"u_n": ones(3)}
    (states if renewed in states else arrays)[renewed] = frozen(ones(3))
    with pytest.raises(BindError, match=f"the array of '{renewed}' is read-only, but the graph renews it"):
        update().bind(mx.cpu(), arrays, aux_states=states)


def test_what_is_only_read_may_be_read_only() -> None:
    executor = update().bind(mx.cpu(), {"w": ones(3), "g": frozen(ones(3))}, aux_states={"u_n": ones(3)})
    executor.forward(is_train=True)
    assert executor.arg_dict["w"].asnumpy()[0] < 1


def test_gradients_must_be_writeable() -> None:
    with pytest.raises(BindError, match="gradient of 'x' is read-only"):
        (X * 2).bind(mx.cpu(), {"x": ones(2)}, {"x": frozen(ones(2))})
    (X * 2).bind(mx.cpu(), {"x": ones(2)}, {"x": frozen(ones(2))}, grad_req="null")


def test_arrays_must_lie_in_one_piece() -> None:
    x = ones(3, 2)
    x._data = x._data.T
    with pytest.raises(BindError, match=r"the array of 'x' is not contiguous; bind a copy: x.copy\(\)") as caught:
        (X * 2).bind(mx.cpu(), {"x": x})
    assert "strides: (4, 8)" in str(caught.value)
    assert (X * 2).bind(mx.cpu(), {"x": x.copy()}).forward()[0].shape == (2, 3)


def test_a_gradient_need_not_lie_in_one_piece() -> None:
    whole = mx.nd.zeros((2, 6))
    part = mx.nd.zeros((2, 3))
    part._data = whole._data[:, ::2]
    for request in ("write", "add"):
        executor = (X * 2).bind(mx.cpu(), {"x": ones(2, 3)}, {"x": part}, grad_req=request)
        executor.forward(is_train=True)
        executor.backward(ones(2, 3))
    assert whole.asnumpy().tolist() == [[4, 0] * 3] * 2


@pytest.mark.parametrize(
    ("shared", "words"),
    [
        ({"w": "a", "g": "a"}, "'w' is renewed by the graph, but is one array with 'g'"),
        ({"w": "a", "u_n": "a"}, "is renewed by the graph, but is one array with"),
        ({"g": "a", "u_n": "a"}, "'u_n' is renewed by the graph, but is one array with 'g'"),
        ({"w": "b", "g": "c"}, "'w' is renewed by the graph, but shares memory with 'g'"),
        ({"u_n": "b", "g": "c"}, "'u_n' is renewed by the graph, but shares memory with 'g'"),
        ({"w": "b", "u_n": "c"}, "is renewed by the graph, but shares memory with"),
    ],
)
def test_memory_that_is_renewed_belongs_to_one_array(shared: dict[str, str], words: str) -> None:
    whole = ones(6)
    pieces = {"a": ones(4), "b": whole[0:4], "c": whole[2:6]}
    arrays = {name: pieces[shared[name]] if name in shared else ones(4) for name in ("w", "g", "u_n")}
    states = {"u_n": arrays.pop("u_n")}
    with pytest.raises(BindError, match=words):
        update().bind(mx.cpu(), arrays, aux_states=states)


def test_neighbours_in_memory_are_no_overlap() -> None:
    whole = mx.nd.array(np.arange(12, dtype=np.float32))
    arrays = {"w": whole[0:4], "g": whole[4:8]}
    executor = update().bind(mx.cpu(), arrays, aux_states={"u_n": whole[8:12]})
    executor.forward(is_train=True)
    assert whole.asnumpy()[4:8].tolist() == [4, 5, 6, 7]
    assert (whole.asnumpy()[:4] != np.arange(4)).all()


def test_one_array_may_be_read_under_two_names() -> None:
    x = mx.nd.array([2.0, 3.0])
    executor = (X * Y).bind(mx.cpu(), {"x": x, "y": x}, {"x": ones(2), "y": ones(2)})
    assert executor.forward(is_train=True)[0].asnumpy().tolist() == [4, 9]
    executor.backward(ones(2))
    assert [g.asnumpy().tolist() for g in executor.grad_arrays] == [[2, 3], [2, 3]]


def test_empty_arrays_share_nothing() -> None:
    empty = mx.nd.array(np.zeros((0, 3), np.float32))
    total = mx.sym.sum(X, axis=0)
    assert total.bind(mx.cpu(), {"x": empty}).forward()[0].asnumpy().tolist() == [0, 0, 0]


# -- requests ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "asked"),
    [
        ("write", [True, True]),
        ("null", [False, False]),
        (["write", "null"], [True, False]),
        (("null", "add"), [False, True]),
        (["add"], [True, False]),
        ({"y": "write"}, [False, True]),
        ({}, [False, False]),
        (None, [True, True]),
    ],
)
def test_gradients_are_asked_for_by_text_list_or_names(request_: Any, asked: list[bool]) -> None:
    executor = (X * Y).simple_bind(mx.cpu(), grad_req=request_, x=(2,), y=(2,))
    assert [g is not None for g in executor.grad_arrays] == asked
    assert list(executor.grad_dict) == ["x", "y"]


@pytest.mark.parametrize("request_", ["WRITE", "inplace", ["write", "added"], {"x": "writ"}, 3])
def test_other_requests_are_refused(request_: Any) -> None:
    with pytest.raises(ArgumentError, match="grad_req must be"):
        (X * Y).simple_bind(mx.cpu(), grad_req=request_, x=(2,), y=(2,))


def test_a_graph_that_renews_its_arguments_asks_for_no_gradients_by_itself() -> None:
    assert update().simple_bind(mx.cpu(), w=(2,), g=(2,)).grad_arrays == [None, None]
