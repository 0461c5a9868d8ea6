"""Gradients against central differences in float64, along a random direction; of first and second order."""

from __future__ import annotations

import json

import numpy as np
import pytest

import symgraph as mx
from symgraph.op import all_operators
from symgraph.testing import Use, check_sample_gradient, check_sample_second_gradient, uses

USES = uses(cls for cls in all_operators() if cls.differentiable)


@pytest.mark.parametrize("use", USES, ids=str)
def test_gradient(use: Use) -> None:
    check_sample_gradient(use)


@pytest.mark.parametrize("use", USES, ids=str)
def test_gradient_of_gradient(use: Use) -> None:
    check_sample_second_gradient(use)


@pytest.mark.parametrize("cut", [{"num_outputs": 3}, {"num_outputs": 3, "squeeze_axis": True}])
def test_the_gradient_of_a_split_is_its_heads_joined(cut: dict[str, object]) -> None:
    parts = mx.sym.SliceChannel(mx.sym.Variable("x"), axis=1, **cut)
    executor = parts.simple_bind(mx.cpu(), x=(2, 3))
    heads = [mx.nd.array(np.full(y.shape, -0.0, "float32")) for y in executor.forward(is_train=True)]
    executor.backward(heads)
    assert np.signbit(executor.grad_dict["x"].asnumpy()).all()  # nothing has been added up
    assert {s["call"].split("(")[0] for s in json.loads(executor.explain(format="json"))["steps"]} == {"concat"}
