"""Symbols: composition, views of outputs, arithmetic, gradients, and what is said when they are misused."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symgraph as mx
from symgraph.errors import (
    ArgumentError,
    GradientError,
    GraphError,
    GraphIndexError,
    ShapeError,
    SymgraphError,
    UnknownOperatorError,
    UnsupportedError,
)
from symgraph.op import Op, Tensor, arg, op, registry
from tests.snapshots import Snapshots

Symbol = mx.sym.Symbol


@pytest.fixture(autouse=True)
def fresh_names() -> Any:
    with mx.name.NameManager():
        yield


@pytest.fixture
def x() -> Symbol:
    return mx.sym.Variable("x")


# -- composition ------------------------------------------------------------------------------------------------------


def test_rmsprop_composes_by_position_and_by_name() -> None:
    w, g, n = (mx.sym.Variable(name) for name in "wgn")
    by_position = mx.sym.rmsprop_update(w, g, n, 0.01, 0.9, name="u")
    by_name = mx.sym.rmsprop_update(grad=g, n=n, weight=w, gamma1=0.9, lr=0.01, name="u")
    with_dots = mx.sym.rmsprop_update(w, g, n, lr=0.01, **{"gamma1": 0.9, "rescale.grad": 1}, name="u")
    assert by_position.list_arguments() == by_name.list_arguments() == ["w", "g"]
    assert by_position.list_auxiliary_states() == with_dots.list_auxiliary_states() == ["n"]
    assert with_dots.attr("rescale_grad") == "1"


def test_states_are_made_automatically() -> None:
    update = mx.sym.rmsprop_update(mx.sym.Variable("w"), lr=0.01, name="u")
    assert update.list_arguments() == ["w", "u_grad"]
    assert update.list_auxiliary_states() == ["u_n"]


def test_nodes_know_the_line_that_made_them(x: Symbol) -> None:
    symbol = mx.sym.relu(x + 1)
    inner = symbol.get_internals()["_plusscalar0_output"]
    for each in (symbol, inner, x):
        created = each._entries[0].node.created
        assert created is not None
        assert created.rsplit(":", 1)[0] == __file__


def test_the_counters_are_those_of_the_thread(x: Symbol) -> None:
    names = [mx.sym.relu(x).name]
    thread = threading.Thread(target=lambda: names.append(mx.sym.relu(x).name))
    thread.start()
    thread.join()
    assert names == ["relu0", "relu0"]


def test_scopes_are_those_of_the_thread() -> None:
    found = []
    with mx.AttrScope(__layer__="1"):
        thread = threading.Thread(target=lambda: found.append(mx.sym.Variable("v").list_attr()))
        thread.start()
        thread.join()
    assert found == [{}]


def test_replacing_variables_copies_the_graph(x: Symbol) -> None:
    net = mx.sym.FullyConnected(x, num_hidden=2, name="fc")
    other = net(x=mx.sym.Variable("y") * 2, name="gc")
    assert other.list_arguments() == ["y", "fc_weight", "fc_bias"]
    assert (net.name, other.name) == ("fc", "gc")
    assert mx.sym.Group([net, other]).list_arguments() == ["x", "fc_weight", "fc_bias", "y", "fc_weight", "fc_bias"]


def test_an_operator_registered_later_has_its_function(x: Symbol) -> None:
    @op("doubled_for_test")
    class Doubled(Op):
        """Twice the input."""

        data: Tensor = arg("Input.")

        def compute(self, xp: Any, data: Any) -> Any:
            return data + data

    try:
        assert mx.sym.doubled_for_test(x).infer_shape(x=(2,))[1] == [(2,)]
        assert "doubled_for_test" in dir(mx.sym)
    finally:
        del registry._OPERATORS["doubled_for_test"], registry._NAMES["doubled_for_test"]


def test_submodules_hold_operators() -> None:
    assert mx.sym.op.relu is mx.sym.relu
    assert mx.sym._internal._plus_scalar.__name__ == "_plus_scalar"
    assert "relu" in dir(mx.sym.op)
    assert "_plus_scalar" in dir(mx.sym._internal)
    assert not [name for name in dir(mx.sym.op) if name.startswith("_")]
    import symgraph.symbol.contrib as contrib

    assert contrib is mx.sym.contrib


def test_every_operator_has_a_documented_function() -> None:
    for name in [*dir(mx.sym.op), *dir(mx.sym._internal)]:
        function = getattr(mx.sym.op, name)
        assert function.__name__ == name
        assert "Parameters\n----------\n" in function.__doc__


# -- arithmetic -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "compute",
    [
        lambda a: a + None,
        lambda a: "x" - a,
        lambda a: a * np.array([2.0]),
        lambda a: np.array([2.0]) * a,
        lambda a: a == None,  # noqa: E711
        lambda a: a < "x",
        lambda a: a + True,
        lambda a: a // 2,
        lambda a: a @ a,
        lambda a: +a,
        lambda a: hash(a),
        lambda a: float(a),
    ],
)
def test_arithmetic_with_other_things_is_a_type_error(compute: Callable[[Any], Any], x: Symbol) -> None:
    with pytest.raises(TypeError):
        compute(x)


@pytest.mark.parametrize(
    "compute",
    [
        bool,
        lambda a: not a,
        lambda a: a and a,
        lambda a: a.__iadd__(1),
        lambda a: a.__isub__(1),
        lambda a: a.__imul__(1),
        lambda a: a.__itruediv__(1),
    ],
)
def test_symbols_have_no_truth_and_do_not_change(compute: Callable[[Any], Any], x: Symbol) -> None:
    with pytest.raises(GraphError):
        compute(x)


def test_numbers_of_numpy(x: Symbol) -> None:
    assert (np.float32(0.1) + x).attr("scalar") == "0.1"
    assert (np.float64(2) * x).attr("scalar") == "2.0"
    assert (x / np.int64(3)).attr("scalar") == "3"
    assert (2 - x).name == "_rminusscalar0"


@pytest.mark.parametrize("name", ["asnumpy", "asscalar", "copy", "detach", "backward", "wait_to_read"])
def test_symbols_have_no_values(name: str, x: Symbol) -> None:
    with pytest.raises(UnsupportedError, match=f"has no {name}\\(\\)"):
        getattr(x, name)()


def test_helpers_compute_on_numbers() -> None:
    assert mx.sym.pow(2, 3) == 8
    assert mx.sym.maximum(2, 3) == 3
    assert mx.sym.minimum(2, 3) == 2
    assert mx.sym.hypot(3, 4) == 5


# -- inference --------------------------------------------------------------------------------------------------------


def test_shapes_by_position(x: Symbol) -> None:
    net = mx.sym.FullyConnected(x, num_hidden=2, name="fc")
    assert net.infer_shape((3, 4)) == net.infer_shape(x=(3, 4))
    assert net.infer_shape((3, 4), None, (2,))[1] == [(3, 2)]


def test_a_label_follows_from_the_data(x: Symbol) -> None:
    net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(x, num_hidden=3), name="softmax")
    assert net.infer_shape(x=(5, 4))[0][-1] == (5,)


def test_a_label_follows_when_the_data_are_known_late(x: Symbol) -> None:
    # First only the number of classes is known; the batch comes from y, by way of the data.
    net = mx.sym.FullyConnected(x, num_hidden=3, name="fc")
    for loss in (mx.sym.SoftmaxOutput(net, name="loss"), mx.sym.LinearRegressionOutput(net, name="loss")):
        both = mx.sym.Group([loss, x + mx.sym.Variable("y")])
        shapes = dict(zip(both.list_arguments(), both.infer_shape(y=(5, 4))[0], strict=True))
        assert shapes["loss_label"][0] == 5


def test_types_by_position(x: Symbol) -> None:
    assert mx.sym.relu(x).infer_type("float16") == ([np.float16], [np.float16], [])
    assert mx.sym.relu(x).infer_type_partial() == ([None], [None], [])


# -- gradients --------------------------------------------------------------------------------------------------------


def test_gradient_of_gradient_is_a_symbol(x: Symbol) -> None:
    third = (x * x * x * x).gradient("x").gradient("x").gradient("x")
    assert third.list_arguments() == ["x"]
    values = {"x": mx.nd.array(np.arange(3.0))}
    np.testing.assert_allclose(third.eval(**values)[0].asnumpy(), 24 * np.arange(3.0))


def test_gradient_with_heads(x: Symbol) -> None:
    head = mx.sym.Variable("head")
    dx = mx.sym.square(x).gradient(x, head)
    assert sorted(dx.list_arguments()) == ["head", "x"]
    found = dx.eval(x=mx.nd.array([1.0, 2.0]), head=mx.nd.array([3.0, 4.0]))[0]
    np.testing.assert_allclose(found.asnumpy(), [6, 16])


def test_gradient_by_several_variables(x: Symbol) -> None:
    y = mx.sym.Variable("y")
    grads = (x * y).gradient(["x", y])
    assert len(grads) == 2
    dx, dy = grads.eval(x=mx.nd.array([2.0]), y=mx.nd.array([3.0]))
    assert (dx.asscalar(), dy.asscalar()) == (3, 2)


def test_losses_do_not_read_head_gradients(x: Symbol) -> None:
    loss = mx.sym.LinearRegressionOutput(x, mx.sym.Variable("label"), name="loss")
    dx = loss.gradient("x")
    found = dx.eval(x=mx.nd.array([[1.0], [5.0]]), label=mx.nd.array([[0.0], [1.0]]))[0]
    np.testing.assert_allclose(found.asnumpy(), [[1], [4]])


# -- errors -----------------------------------------------------------------------------------------------------------


def split(symbol: Symbol) -> Symbol:
    return mx.sym.SliceChannel(symbol, num_outputs=3, name="parts")


ERRORS: dict[str, tuple[type[SymgraphError], Callable[[Symbol], Any]]] = {
    "symbol_many_outputs": (GraphError, lambda x: mx.sym.relu(split(x))),
    "symbol_many_outputs_operand": (GraphError, lambda x: split(x) + 1),
    "symbol_index": (GraphIndexError, lambda x: split(x)[3]),
    "symbol_index_name": (GraphError, lambda x: split(x)["parts_outptu1"]),
    "symbol_index_kind": (ArgumentError, lambda x: x[1.5]),
    "symbol_truth": (GraphError, bool),
    "symbol_in_place": (GraphError, lambda x: x.__iadd__(x)),
    "symbol_compare": (ArgumentError, lambda x: x > "a"),
    "symbol_group": (ArgumentError, lambda x: mx.sym.Group([x, 3])),
    "symbol_group_empty": (ArgumentError, lambda x: mx.sym.Group([])),
    "symbol_out": (ArgumentError, lambda x: mx.sym.relu(x, out=x)),
    "symbol_state": (GraphError, lambda x: mx.sym.BatchNorm(x, moving_mean=x * 2, name="bn")),
    "symbol_attr": (ArgumentError, lambda x: mx.sym.FullyConnected(x, num_hidden=2, attr={"num_hiden": "3"})),
    "symbol_scope": (ArgumentError, lambda x: mx.AttrScope(layer=2)),
    "symbol_set_attr": (GraphError, lambda x: mx.sym.sum(x)._set_attr(axis="1")),
    "symbol_set_attr_own": (GraphError, lambda x: mx.sym.sum(x)._set_attr(mood="good")),
    "symbol_variable_name": (ArgumentError, lambda x: mx.sym.Variable(3)),
    "symbol_variable_argument": (ArgumentError, lambda x: mx.sym.Variable("v", shap=(2,))),
    "symbol_variable_stype": (ArgumentError, lambda x: mx.sym.Variable("v", stype="row_spares")),
    "symbol_unknown_operator": (UnknownOperatorError, lambda x: mx.sym.FullyConected(x)),
    "symbol_call_position": (ArgumentError, lambda x: mx.sym.relu(x)(x)),
    "symbol_call_name": (ArgumentError, lambda x: mx.sym.relu(x)(y=x)),
    "symbol_shape_kind": (ArgumentError, lambda x: x.infer_shape(x=5)),
    "symbol_shape_both": (ArgumentError, lambda x: x.infer_shape((2,), x=(2,))),
    "symbol_shape_conflict": (ShapeError, lambda x: (x + mx.sym.Variable("y")).infer_shape(x=(2, 3), y=(2, 4))),
    "symbol_gradient_kind": (ArgumentError, lambda x: x.gradient(3)),
    "symbol_gradient_name": (ArgumentError, lambda x: mx.sym.relu(x).gradient("y")),
    "symbol_gradient_state": (
        GradientError,
        lambda x: mx.sym.BatchNorm(x, name="bn").gradient("bn_moving_mean"),
    ),
    "symbol_random_mixed": (ArgumentError, lambda x: mx.sym.random.uniform(x, 1)),
    "symbol_helper_kind": (ArgumentError, lambda x: mx.sym.maximum(x, "a")),
    "symbol_values": (UnsupportedError, lambda x: x.asnumpy()),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(snapshot: Snapshots, name: str, x: Symbol) -> None:
    kind, misuse = ERRORS[name]
    with snapshot.raises(kind, name):
        misuse(x)
