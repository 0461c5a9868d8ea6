"""Graphs as tables."""

from __future__ import annotations

import symgraph as mx
from symgraph.inspect import summary


def training_step() -> mx.sym.Symbol:
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc")
    loss = mx.sym.LinearRegressionOutput(net, mx.sym.Variable("label"), name="loss")
    return mx.sym.training_step(loss, "rmsprop_update", lr=0.01)


def test_each_node_has_a_row_with_its_role() -> None:
    step = training_step()
    table = summary(step, {"data": (4, 3)})
    roles = {row["name"]: row["role"] for row in table.rows}
    assert len(table.rows) == len(step.get_internals().list_outputs()) - 3  # two gradients have several outputs
    assert roles["data"] == roles["label"] == "input"
    assert roles["fc_weight"] == roles["fc_bias"] == "parameter"
    assert roles["fc_weight_n"] == "state"
    assert roles["fc"] == "operator"
    assert roles["fc_backward"] == "gradient"
    assert roles["fc_weight_update"] == "update"
    assert table.parameters == 2 * 3 + 2


def test_shapes_follow_from_what_is_given() -> None:
    rows = {row["name"]: row for row in summary(training_step(), {"data": (4, 3)}).rows}
    assert rows["fc_weight"]["shape"] == "(2, 3)"
    assert rows["fc_backward"]["shape"] == "(4, 3) (2, 3) (2,)"
    assert rows["fc_weight"]["dtype"] == "float32"


def test_unknown_shapes_show_as_such() -> None:
    table = summary(training_step())
    rows = {row["name"]: row for row in table.rows}
    assert rows["data"]["shape"] == "?"
    assert rows["fc_bias"]["shape"] == "(2,)"
    assert "?" in rows["fc_weight"]["shape"]
    assert str(table).splitlines()[-1].endswith("2 parameter elements")


def test_the_line_that_made_a_node_is_kept() -> None:
    rows = {row["name"]: row for row in summary(training_step()).rows}
    assert "test_summary.py:" in rows["fc"]["created"]
