"""What `explain` tells, as text and as data: the calls, their memory, and the passes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import symgraph as mx
from symgraph.errors import ArgumentError
from symgraph.executor import Executor, Options, simple_bind
from symgraph.program.passes import PIPELINE


def executor(**options: Any) -> Executor:
    """Bind a small training step."""
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="fc")
    loss = mx.sym.LinearRegressionOutput(mx.sym.tanh(net), mx.sym.Variable("label"), name="loss")
    step = mx.sym.training_step(loss, "rmsprop_update", lr=0.1)
    return simple_bind(step, mx.cpu(), data=(4, 5), label=(4, 3), options=Options(**options))


def data(bound: Executor, **choices: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bound.explain(format="json", **choices))
    return found


def test_passes_are_data() -> None:
    passes = data(executor(off={"cse"}))["passes"]
    assert [p["name"] for p in passes] == [*(p.name for p in PIPELINE), "fuse", "memory"]
    for each in passes:
        assert each["ran"] == (each["name"] not in {"cse", "relax"})
        assert each["milliseconds"] >= 0
        assert each["before"] >= each["after"] >= 0


def test_buffers_lie_in_the_arena() -> None:
    found = data(executor())
    memory = found["memory"]
    assert memory["live"] <= memory["arena"] <= memory["unshared"]
    assert max(b["offset"] + b["bytes"] for b in found["buffers"]) <= memory["arena"]
    assert sum(b["bytes"] for b in found["buffers"]) <= memory["unshared"]


def test_text_and_data_show_the_same_calls() -> None:
    bound = executor()
    text, steps = bound.explain(), data(bound)["steps"]
    assert steps
    for number, each in enumerate(steps):
        line = next(line for line in text.splitlines() if line.split()[:1] == [str(number)])
        assert each["call"][:40] in line
        assert each["result"] in line


def test_times_only_when_analyzed() -> None:
    bound = executor()
    assert {s["microseconds"] for s in data(bound)["steps"]} == {None}
    times = [s["microseconds"] for s in data(bound, analyze=True)["steps"]]
    assert any(t is not None and t > 0 for t in times)


def test_analyzing_changes_no_array() -> None:
    bound = executor()
    for array in bound.arg_dict.values():
        array[:] = 0.5
    before = [x.asnumpy().copy() for x in [*bound.arg_arrays, *bound.aux_arrays]]
    bound.explain(analyze=True, training=True)
    for old, new in zip(before, [*bound.arg_arrays, *bound.aux_arrays], strict=True):
        np.testing.assert_array_equal(old, new.asnumpy())


def test_unknown_format() -> None:
    with pytest.raises(ArgumentError, match="no format 'html'"):
        executor().explain(format="html")
