"""An operator is traced once for inputs of equal shapes and element types."""

from __future__ import annotations

from typing import Any

import pytest

import symgraph as mx
from symgraph.graph import trace as room


def stacked(blocks: int, batch: int = 2, lr: float = 0.125) -> mx.sym.Symbol:
    net = mx.sym.Variable("data", shape=(batch, 4, 6, 6))
    for k in range(blocks):
        y = mx.sym.Convolution(net, num_filter=4, kernel=(3, 3), pad=(1, 1), name=f"conv{k}")
        net = net + mx.sym.relu(mx.sym.BatchNorm(y, name=f"bn{k}"))
    return mx.sym.training_step(mx.sym.MakeLoss(mx.sym.sum(net)), "sgd_mom_update", lr=lr, momentum=0.9)


@pytest.fixture(autouse=True)
def nothing_known() -> None:
    room._trace.cache_clear()


def traced(**network: Any) -> int:
    """Return how many operators are traced when a network is bound."""
    before = room._trace.cache_info().misses
    stacked(**network).simple_bind(mx.cpu())
    return room._trace.cache_info().misses - before


def test_a_repeated_block_is_traced_once() -> None:
    few = traced(blocks=3)
    assert few > 10
    room._trace.cache_clear()
    assert traced(blocks=12) <= few


def test_a_graph_bound_again_is_not_traced_again() -> None:
    assert traced(blocks=3) > 10
    assert traced(blocks=3) == 0
    assert traced(blocks=3, lr=0.5) == 0
    assert traced(blocks=3, batch=5) > 5
