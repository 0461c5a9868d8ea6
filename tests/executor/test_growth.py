"""Binding, explaining and differentiating take time linear in the graph."""

from __future__ import annotations

import symgraph as mx
from tests.counting import assert_linear
from tests.networks import lstm


def test_binding_many_outputs() -> None:
    def work(size: int) -> None:
        x = mx.sym.Variable("x")
        outputs = mx.sym.Group([mx.sym.sin(x) * float(k) for k in range(size)])
        outputs.simple_bind(mx.cpu(), x=(2,), grad_req="null").explain()

    assert_linear(work, 100)


def test_binding_many_states_and_gradients() -> None:
    def work(size: int) -> None:
        y = mx.sym.Variable("data")
        for k in range(size):
            y = mx.sym.BatchNorm(y, name=f"bn{k}")
        mx.sym.MakeLoss(mx.sym.sum(y)).simple_bind(mx.cpu(), data=(2, 3))

    assert_linear(work, 12)


def test_a_training_step_of_many_parameters() -> None:
    def work(size: int) -> None:
        weights = [mx.sym.Variable(f"w{k}") for k in range(size)]
        loss = mx.sym.MakeLoss(mx.sym.add_n(*[mx.sym.sum(w) for w in weights]))
        mx.sym.training_step(loss, "adam_update", lr=0.1)

    assert_linear(work, 20)


def test_a_training_step_of_many_layers_that_share_parameters() -> None:
    assert_linear(lambda size: lstm(batch=1, steps=size, width=2, words=2).step(), 4)
