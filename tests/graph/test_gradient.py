"""Gradients of graphs: values against finite differences, structure, and what has none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from symgraph.backends.numpy.eager import run
from symgraph.errors import ArgumentError, GradientError
from symgraph.graph.gradient import gradient
from symgraph.graph.infer import infer
from symgraph.graph.lower import lower
from symgraph.graph.node import Entry, topological_order
from symgraph.graph.view import View
from tests.graph.build import apply, chain, variable
from tests.snapshots import Snapshots

Array = np.ndarray


def evaluate(entries: Sequence[Entry], values: dict[str, Array]) -> list[Array]:
    """Compute entries by the plain interpreter."""
    view = View(entries)
    names = {n.name for n in view.nodes if n.op is None}
    known = {name: v for name, v in values.items() if name in names}
    found = infer(view, {n: v.shape for n, v in known.items()}, {n: v.dtype for n, v in known.items()})
    lowered = lower(found, False)
    inputs = [np.zeros(2, np.uint64) if k is None else values[view.nodes[k].name] for k in lowered.inputs]
    return run(lowered.program, inputs, [h.value for h in lowered.hypers])[: len(entries)]


def check(head: Entry, values: dict[str, Array], *names: str) -> None:
    """Compare gradients with central differences."""
    leaves = {n.name: Entry(n) for n in topological_order([head]) if n.op is None}
    found = evaluate(gradient([head], [leaves[n] for n in names]), values)
    for name, dx in zip(names, found, strict=True):
        step = np.random.default_rng(1).normal(size=values[name].shape)
        up, down = ({**values, name: values[name] + sign * 1e-6 * step} for sign in (1, -1))
        slope = (evaluate([head], up)[0].sum() - evaluate([head], down)[0].sum()) / 2e-6
        np.testing.assert_allclose((dx * step).sum(), slope, rtol=1e-5, atol=1e-7)


@pytest.fixture
def values() -> dict[str, Array]:
    rng = np.random.default_rng(0)
    return {"x": rng.normal(size=(2, 3)), "y": rng.normal(size=(2, 3)), "row": rng.normal(size=(1, 3))}


def test_one_path(values: dict[str, Array]) -> None:
    check(apply("exp", "e", chain(2, variable("x"))), values, "x")


def test_many_paths_are_added(values: dict[str, Array]) -> None:
    x = variable("x")
    square = apply("elemwise_mul", "square", x, x)
    cube = apply("elemwise_mul", "cube", square, x)
    check(apply("elemwise_add", "sum", cube, apply("sin", "s", x)), values, "x")


def test_broadcasting(values: dict[str, Array]) -> None:
    product = apply("broadcast_mul", "m", apply("exp", "e", variable("x")), variable("row"))
    check(product, values, "x", "row")


def test_second_order(values: dict[str, Array]) -> None:
    x = variable("x")
    cube = apply("elemwise_mul", "cube", apply("square", "s", x), x)
    (first,) = gradient([cube], [x])
    (second,) = gradient([first], [x])
    np.testing.assert_allclose(evaluate([second], values)[0], 6 * values["x"], rtol=1e-12)
    check(first, values, "x")


def test_head_gradients_are_used(values: dict[str, Array]) -> None:
    x = variable("x")
    (dx,) = gradient([apply("square", "s", x)], [x], [variable("y")])
    np.testing.assert_allclose(evaluate([dx], values)[0], 2 * values["x"] * values["y"])


def test_several_heads_are_added(values: dict[str, Array]) -> None:
    x = variable("x")
    (dx,) = gradient([apply("square", "s", x), x], [x])
    np.testing.assert_allclose(evaluate([dx], values)[0], 2 * values["x"] + 1)


def test_some_outputs_of_an_operator(values: dict[str, Array]) -> None:
    x = variable("x")
    split = apply("SliceChannel", "parts", x, num_outputs=3, axis=1)
    (dx,) = gradient([apply("square", "s", Entry(split.node, 1))], [x])
    expected = np.zeros_like(values["x"])
    expected[:, 1] = 2 * values["x"][:, 1]
    np.testing.assert_allclose(evaluate([dx], values)[0], expected)


def test_by_an_inner_entry(values: dict[str, Array]) -> None:
    inner = apply("sin", "inner", variable("x"))
    (dx,) = gradient([apply("square", "s", inner)], [inner])
    np.testing.assert_allclose(evaluate([dx], values)[0], 2 * np.sin(values["x"]))


def test_unconnected_variables_have_zeros(values: dict[str, Array]) -> None:
    x, y = variable("x"), variable("y")
    dx, dy = gradient([apply("square", "s", x)], [x, y])
    assert not evaluate([dx, dy], values)[1].any()
    assert dy.node.op_name == "zeros_like"


def test_operators_without_slope_have_zeros(values: dict[str, Array]) -> None:
    x = variable("x")
    net = apply("elemwise_add", "sum", apply("sign", "s", x), apply("BlockGrad", "b", x))
    (dx,) = gradient([net], [x])
    assert not evaluate([dx], values)[0].any()


def test_equal_names_are_separate(values: dict[str, Array]) -> None:
    first, second = variable("x"), variable("x")
    product = apply("elemwise_mul", "p", first, second)
    dx, _ = gradient([product], [first, second])
    assert [source.node for source in dx.node.inputs[1:]] == [first.node, second.node]


def test_nodes_are_named_after_what_they_differentiate() -> None:
    x = variable("x")
    square = apply("elemwise_mul", "square", x, x)
    (dx,) = gradient([apply("sin", "s", square)], [x])
    names = {n.name: n for n in topological_order([dx])}
    assert {"s_backward", "square_backward", "x_grad_sum", "s_output_ones_like"} < set(names)
    backward = names["s_backward"]
    assert backward.op_name == "_backward_sin"
    assert backward.created == "net.py:7"


def test_parameters_are_kept_as_text() -> None:
    x = variable("x")
    (dx,) = gradient([apply("sum", "s", x, axis=1)], [x])
    node = next(n for n in topological_order([dx]) if n.name == "s_backward")
    assert node.attrs == {"axis": "1"}


def test_operators_without_gradient(snapshot: Snapshots) -> None:
    w = variable("w")
    new = apply("sgd_update", "update", w, variable("g"), lr=0.1)
    with snapshot.raises(GradientError, "gradient_none"):
        gradient([apply("square", "s", new)], [w])


def test_operators_without_gradient_beside_the_path(values: dict[str, Array]) -> None:
    x = variable("x")
    new = apply("sgd_update", "update", variable("y"), variable("row"), lr=0.1)
    (dx,) = gradient([apply("square", "s", x), new], [x])
    np.testing.assert_allclose(evaluate([dx], values)[0], 2 * values["x"])


def test_number_of_head_gradients() -> None:
    x = variable("x")
    with pytest.raises(ArgumentError, match="1 heads need as many head gradients, got 2"):
        gradient([apply("sin", "s", x)], [x], [None, None])


def test_a_long_chain_needs_no_recursion() -> None:
    x = variable("x")
    (dx,) = gradient([chain(20_000, x)], [x])
    assert len(topological_order([dx])) > 40_000
