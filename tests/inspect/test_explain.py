"""Plans shown as NumPy programs: what is shown is what runs."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

import symgraph as mx
from symgraph.errors import ArgumentError
from symgraph.program.passes import PIPELINE


def trainer(jit: str | None = None) -> mx.executor.Executor:
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc")
    loss = mx.sym.LinearRegressionOutput(mx.sym.tanh(net, name="act"), mx.sym.Variable("label"), name="loss")
    step = mx.sym.training_step(loss, "rmsprop_update", lr=0.01)
    options = mx.executor.Options() if jit is None else mx.executor.Options(jit=jit)
    executor = step.simple_bind(mx.cpu(), options=options, data=(4, 3), label=(4, 2))
    executor.arg_dict["fc_weight"][:] = 0.5
    return executor


def test_every_call_of_the_plan_is_shown_in_order() -> None:
    executor = trainer()
    plan = executor.bound(True).plan
    shown = json.loads(executor.explain(format="json"))
    equations = [e for step in plan.layout.steps for e in step.equations]
    assert len(shown["steps"]) == len(equations)
    for line, equation in zip(shown["steps"], equations, strict=True):
        assert line["node"] == equation.origin
        assert line["result"] == str(equation.outputs[0].spec)
        assert line["bytes"] == equation.outputs[0].nbytes
        assert line["call"].endswith(")")
        assert "out=" in line["call"]


def test_memory_is_what_is_allocated() -> None:
    executor = trainer()
    plan = executor.bound(True).plan
    shown = json.loads(executor.explain(format="json"))
    assert shown["memory"]["arena"] == plan.arena.nbytes
    assert shown["memory"]["live"] <= shown["memory"]["arena"] <= shown["memory"]["unshared"]
    for buffer in shown["buffers"]:
        assert 0 <= buffer["offset"] <= buffer["offset"] + buffer["bytes"] <= plan.arena.nbytes
        assert buffer["first"] <= buffer["last"]


def test_what_renews_comes_after_everything_that_can_fail() -> None:
    parts = [s["part"] for s in json.loads(trainer().explain(format="json"))["steps"]]
    assert parts == sorted(parts, key=["compute", "renew", "gradients"].index)
    assert {"compute", "renew"} == set(parts)


def test_names_are_those_of_the_graph() -> None:
    text = trainer("off").explain()  # compiled, the update would be one group
    assert re.search(r"matmul\(data, flat_weight\[:6\]\.reshape\(2, 3\)\.T, out=b\d+\)", text)
    assert re.search(r"subtract\(flat_weight, b\d+, out=flat_weight\)", text)
    assert "multiply((1.0 - gamma1)" in text
    assert "multiply(lr," in text


def test_a_fused_group_is_shown_with_its_scratch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMGRAPH_JIT", "off")
    x = mx.sym.Variable("x")
    net = mx.sym.sqrt(mx.sym.abs(x) + 1.0) * 3.0
    options = mx.executor.Options(jit="off")
    executor = net.simple_bind(mx.cpu(), grad_req="null", x=(400, 400), options=options)
    text = executor.explain()
    assert "in blocks, on" in text
    assert "out=s0)" in text
    groups = {s["group"] for s in json.loads(executor.explain(format="json"))["steps"]}
    assert groups == {0}


def test_measuring_changes_nothing() -> None:
    executor = trainer("off")
    executor.forward(is_train=True, data=np.ones((4, 3)), label=np.ones((4, 2)))
    arrays = {**executor.arg_dict, **executor.aux_dict}
    before = {n: x.asnumpy() for n, x in arrays.items()}
    text = executor.explain(analyze=True)
    assert re.search(r"total [\d.]+ us", text)
    for name, x in arrays.items():
        np.testing.assert_array_equal(x.asnumpy(), before[name])
    times = [s["microseconds"] for s in json.loads(executor.explain(analyze=True, format="json"))["steps"]]
    assert all(t > 0 for t in times)


def test_inference_has_a_plan_of_its_own() -> None:
    executor = trainer()
    steps = json.loads(executor.explain(format="json", training=False))["steps"]
    assert {s["part"] for s in steps} <= {"compute", "renew"}
    assert not any(re.search(r"out=(fc_|flat_)", s["call"]) for s in steps)


def test_passes_are_listed_with_those_that_are_off() -> None:
    net = mx.sym.relu(mx.sym.Variable("x"))
    options = mx.executor.Options(off={"cse", "fuse"})
    executor = net.simple_bind(mx.cpu(), grad_req="null", x=(2, 3), options=options)
    lines = executor.explain().splitlines()
    assert any(re.fullmatch(r"  cse +off", line) for line in lines)
    assert any(re.fullmatch(r"  fuse +off", line) for line in lines)
    assert any(line.startswith("  simplify") and "ms" in line for line in lines)


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ArgumentError, match="no format 'html'"):
        trainer().explain(format="html")


def test_passes_are_data() -> None:
    net = mx.sym.relu(mx.sym.Variable("x"))
    executor = net.simple_bind(mx.cpu(), grad_req="null", x=(2, 3), options=mx.executor.Options(off={"cse"}))
    passes = json.loads(executor.explain(format="json"))["passes"]
    assert [p["name"] for p in passes] == [*(p.name for p in PIPELINE), "mirror", "fuse", "memory"]
    left_out = {"cse", "mirror", *(p.name for p in PIPELINE if not p.exact)}
    for each in passes:
        assert each["ran"] == (each["name"] not in left_out)
        assert each["milliseconds"] >= 0
        assert each["before"] >= each["after"] >= 0


def test_text_and_data_show_the_same_calls() -> None:
    executor = trainer()
    text, steps = executor.explain(), json.loads(executor.explain(format="json"))["steps"]
    for number, each in enumerate(steps):
        line = next(line for line in text.splitlines() if line.split()[:1] == [str(number)])
        assert each["call"][:40] in line
        assert each["result"] in line


def test_times_are_there_only_if_asked_for() -> None:
    assert {s["microseconds"] for s in json.loads(trainer().explain(format="json"))["steps"]} == {None}
