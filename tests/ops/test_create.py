"""Arrays made from nothing: lengths that their readers decide, and random numbers of the right distributions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symgraph.ops  # noqa: F401  (registers the operators)
from symgraph.backends.numpy.eager import run
from symgraph.errors import ArgumentError, ShapeError
from symgraph.graph.infer import infer
from symgraph.graph.node import Entry, Node
from symgraph.graph.trace import STATE_SPEC, trace
from symgraph.op import Op, find
from symgraph.testing.running import forward


def settled(op: Op, shape: tuple[int, ...]) -> Op:
    """Return what inference makes of an operator whose result is added to an array of some shape."""
    made, data = Node(op, "made"), Node(None, "data")
    entry = Entry(Node(find("elemwise_add")(), "sum", [Entry(made), Entry(data)]))
    found = infer([entry], {"data": shape})
    assert found.shapes[found.view.number(Entry(made))] == shape
    return found.op(found.view.position[id(made)])


@pytest.mark.parametrize("name", ["_zeros", "_ones", "_random_uniform", "_random_normal"])
def test_readers_decide_open_lengths(name: str) -> None:
    op = settled(find(name)(shape=(0, 3)), (5, 3))
    assert forward(op, {}).outputs["output"].shape == (5, 3)


def test_readers_decide_the_whole_shape() -> None:
    op = settled(find("_full")(value=2), (5, 3))
    assert forward(op, {}).outputs["output"].tolist() == [[2.0] * 3] * 5


@pytest.mark.parametrize(("repeat", "numbers"), [(1, [1, 1.5, 2, 2.5]), (2, [1, 1, 1.5, 1.5])])
def test_readers_decide_how_far_a_range_goes(repeat: int, numbers: list[float]) -> None:
    op = settled(find("_arange")(start=1, step=0.5, repeat=repeat, infer_range=True), (4,))
    assert forward(op, {}).outputs["output"].tolist() == numbers


@pytest.mark.parametrize("name", ["_zeros", "_random_normal"])
def test_no_shape_at_all_is_an_error(name: str) -> None:
    with pytest.raises(ShapeError, match="shape must be given"):
        forward(find(name)(), {})


# -- random numbers --------------------------------------------------------------------------------------------------

COUNT = 40_000


def draw(name: str, seed: int = 3, step: int = 0, **params: Any) -> np.ndarray:
    op = find(name)(shape=(COUNT,), **params)
    (numbers,) = run(trace(op, [], False).program, [np.array([seed, step], STATE_SPEC.dtype)])
    return numbers


#: Name, parameters, and the distribution's mean and variance.
DISTRIBUTIONS: list[tuple[str, dict[str, Any], float, float]] = [
    ("_random_uniform", {}, 0.5, 1 / 12),
    ("_random_uniform", {"low": -1, "high": 3, "dtype": "float64"}, 1.0, 16 / 12),
    ("_random_normal", {}, 0.0, 1.0),
    ("_random_normal", {"loc": 2, "scale": 0.5, "dtype": "float64"}, 2.0, 0.25),
    ("_random_exponential", {}, 1.0, 1.0),
    ("_random_exponential", {"lam": 4}, 0.25, 1 / 16),
    ("_random_randint", {"low": -2, "high": 5}, 1.0, (7**2 - 1) / 12),
]


@pytest.mark.parametrize(("name", "params", "mean", "variance"), DISTRIBUTIONS)
def test_moments(name: str, params: dict[str, Any], mean: float, variance: float) -> None:
    """Mean and variance lie within five standard errors; the kurtosis of none is above 9, the exponential's."""
    numbers = draw(name, **params).astype(np.float64)
    assert abs(numbers.mean() - mean) < 5 * np.sqrt(variance / COUNT)
    assert abs(numbers.var() - variance) < 5 * variance * np.sqrt((9 - 1) / COUNT)


def test_ranges() -> None:
    uniform = draw("_random_uniform", low=2, high=3)
    assert uniform.min() >= 2
    assert uniform.max() <= 3
    assert set(draw("_random_randint", low=-2, high=2).tolist()) == {-2, -1, 0, 1}
    assert draw("_random_exponential").min() >= 0
    large = draw("_random_randint", low=0, high=1 << 40, dtype="int64")
    assert large.max() > 1 << 39


@pytest.mark.parametrize("name", ["_random_uniform", "_random_normal", "_random_exponential"])
def test_seed_and_step_decide_the_numbers(name: str) -> None:
    numbers = draw(name)
    assert (draw(name) == numbers).all()
    assert (draw(name, seed=4) != numbers).mean() > 0.99
    assert (draw(name, step=1) != numbers).mean() > 0.99


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("_random_uniform", {"low": 2, "high": 1}),
        ("_random_normal", {"scale": 0}),
        ("_random_exponential", {"lam": -1}),
        ("_random_randint", {"low": 3, "high": 3}),
    ],
)
def test_impossible_parameters_are_refused(name: str, params: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError):
        draw(name, **params)
