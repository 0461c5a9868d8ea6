"""Symbols as JSON: what MXNet writes, what real and faulty files hold, and what is said about the faults."""

from __future__ import annotations

import copy
import gzip
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

import symgraph as mx
from symgraph.errors import ArgumentError, GraphFormatError, UnknownOperatorError
from symgraph.graph.node import Unknown
from tests.snapshots import Snapshots


def graph(*nodes: dict[str, Any], heads: list[list[int]] | None = None, **more: Any) -> str:
    """Return the text of a graph whose last node is its head."""
    listed = list(nodes)
    arguments = [k for k, node in enumerate(listed) if node["op"] == "null"]
    whole = {
        "nodes": listed,
        "arg_nodes": arguments,
        "heads": heads or [[len(listed) - 1, 0, 0]],
        "attrs": {"mxnet_version": ["int", 10901]},
    }
    return json.dumps({**whole, **more})


def variable(name: str, **attrs: str) -> dict[str, Any]:
    return {"op": "null", "name": name, "inputs": [], **({"attrs": attrs} if attrs else {})}


def node(op: str, name: str, inputs: list[list[int]], **attrs: str) -> dict[str, Any]:
    return {"op": op, "name": name, "inputs": inputs, **({"attrs": attrs} if attrs else {})}


# -- what MXNet writes ------------------------------------------------------------------------------------------------


def test_files_that_mxnet_wrote_come_back_byte_for_byte(shared: Path) -> None:
    for file in sorted((shared / "oracle" / "json_samples").glob("*-symbol.json")):
        text = file.read_text(encoding="utf-8")
        if "is_np_shape" in text:
            continue  # MXNet writes that only inside np_shape, which symgraph does not have
        assert mx.sym.load(file).tojson() == text, file.name


@pytest.fixture(scope="module")
def corpus(shared: Path) -> tuple[Path, dict[str, Any]]:
    """The folder of real files, and what MXNet finds in each."""
    folder = shared / "corpus" / "open"
    if not folder.is_dir():
        pytest.skip("the corpus of real files is absent")
    return folder / "files", json.loads(gzip.decompress((folder / "goldens" / "inspect.json.gz").read_bytes()))


def test_real_files_keep_their_names_attributes_and_order(corpus: tuple[Path, dict[str, Any]]) -> None:
    folder, facts = corpus
    for name, known in facts.items():
        symbol = mx.sym.load(folder / f"{name}.json")
        if any(isinstance(n.op, Unknown) for n in symbol._view.nodes):
            continue  # what its states and outputs are called, only the operator knows
        assert symbol.list_arguments() == known["arguments"]
        assert symbol.list_auxiliary_states() == known["auxiliary"]
        assert symbol.list_outputs() == known["outputs"]
        assert symbol.get_internals().list_outputs() == known["internals"]
        assert symbol.name == known["name"]
        attrs = symbol.attr_dict()
        assert len(attrs) == known["n_attr_dict"]
        assert {key: attrs[key] for key in known["attr_dict"]} == known["attr_dict"]


def test_real_files_have_the_shapes_that_mxnet_infers(corpus: tuple[Path, dict[str, Any]]) -> None:
    folder, facts = corpus
    inferred = 0
    for name, known in facts.items():
        symbol = mx.sym.load(folder / f"{name}.json")
        if not known.get("internal_shapes") or any(isinstance(n.op, Unknown) for n in symbol._view.nodes):
            continue
        given = {key: tuple(shape) for key, shape in known["input_shapes"].items()}
        shapes = symbol.get_internals().infer_shape(**given)
        for found, expected in zip(shapes, ("arg_shapes", "internal_shapes", "aux_shapes"), strict=True):
            assert [list(shape) for shape in found] == [list(shape) for shape in known[expected]], name
        inferred += 1
    assert inferred >= 176


# -- round trips ------------------------------------------------------------------------------------------------------


@pytest.fixture
def net() -> mx.sym.Symbol:
    data = mx.sym.Variable("data", shape=(0, 4))
    body = mx.sym.BatchNorm(mx.sym.FullyConnected(data, num_hidden=3, name="fc"), fix_gamma=False, name="bn")
    return mx.sym.Group([mx.sym.exp(body, name="e"), body * 2])


def test_saved_and_loaded(net: mx.sym.Symbol, tmp_path: Path) -> None:
    net.save(tmp_path / "net-symbol.json")
    again = mx.sym.load(tmp_path / "net-symbol.json")
    assert again.tojson() == net.tojson() == (tmp_path / "net-symbol.json").read_text(encoding="utf-8")
    assert again.list_auxiliary_states() == ["bn_moving_mean", "bn_moving_var"]


def test_copies_and_pickles_are_equal_but_apart(net: mx.sym.Symbol) -> None:
    for other in (copy.copy(net), copy.deepcopy(net), pickle.loads(pickle.dumps(net))):  # noqa: S301 - our own
        assert other.tojson() == net.tojson()
        other.get_internals()["fc_output"]._set_attr(__layer__="1")
        assert other.tojson() != net.tojson()


def test_gradients_are_saved_too() -> None:
    x = mx.sym.Variable("x")
    dx = mx.sym.sin(x * x, name="s").gradient("x")
    again = mx.sym.load_json(dx.tojson())
    assert again.tojson() == dx.tojson()
    assert again.infer_shape(x=(2, 3)) == ([(2, 3)], [(2, 3)], [])


def test_versions_of_renewed_variables_go_on_from_a_file() -> None:
    weight, state = mx.sym.Variable("w"), mx.sym.Variable("n")
    first = mx.sym.rmsprop_update(weight, mx.sym.Variable("g"), state, lr=0.1, name="u")
    again = mx.sym.load_json(first.tojson())
    state = again.get_internals()["n"]
    second = mx.sym.rmsprop_update(again, mx.sym.Variable("h"), state, lr=0.1, name="v")
    inputs = json.loads(second.tojson())["nodes"][-1]["inputs"]
    assert [version for _, _, version in inputs] == [0, 0, 2]


def test_subgraphs_are_kept() -> None:
    body = json.loads(graph(variable("x-0"), node("relu", "r", [[0, 0, 0]])))
    del body["attrs"]
    text = graph(variable("x"), {**node("_foreach", "loop", [[0, 0, 0]], num_args="2"), "subgraphs": [body]})
    symbol = mx.sym.load_json(text)
    assert mx.sym.load_json(symbol.tojson()).tojson() == symbol.tojson()
    assert json.loads(symbol.tojson())["nodes"][1]["subgraphs"][0]["nodes"] == body["nodes"]


def test_unknown_operators_keep_their_outputs() -> None:
    text = graph(
        variable("x"),
        node("MyLayer", "my", [[0, 0, 0]], colour="red"),
        node("elemwise_add", "sum", [[1, 0, 0], [1, 2, 0]]),
    )
    symbol = mx.sym.load_json(text)
    assert symbol.get_internals().list_outputs() == ["x", "my_output0", "my_output1", "my_output2", "sum_output"]
    assert mx.sym.load_json(symbol.tojson()).tojson() == symbol.tojson()
    with pytest.raises(UnknownOperatorError):
        symbol.infer_shape(x=(2,))


def test_nodes_know_the_file_they_come_from(tmp_path: Path) -> None:
    file = tmp_path / "bad-symbol.json"
    file.write_text(graph(variable("x"), variable("y"), node("elemwise_add", "sum", [[0, 0, 0], [1, 0, 0]])))
    with pytest.raises(mx.errors.ShapeError) as caught:
        mx.sym.load(file).infer_shape(x=(2,), y=(3,))
    assert caught.value.created == "bad-symbol.json, node 2"


# -- faults -----------------------------------------------------------------------------------------------------------

X, Y = variable("x"), variable("y")
FC = {"num_hidden": "3"}

FAULTS: dict[str, str] = {
    # The numbers are those of the table of bad inputs, research/reliability.md section D3.
    "json_head_output": graph(X, node("relu", "r", [[0, 0, 0]]), heads=[[1, 7, 0]]),  # 6
    "json_edge_output": graph(X, node("relu", "r", [[0, 0, 0]]), node("exp", "e", [[1, 9, 0]])),  # 7
    "json_variable_output": graph(X, node("relu", "r", [[0, 1, 0]])),  # 7
    "json_missing_attribute": graph(X, Y, variable("b"), node("FullyConnected", "fc", [[k, 0, 0] for k in range(3)])),
    "json_unknown_attribute": graph(X, node("clip", "c", [[0, 0, 0]], a_min="0", a_max="1", a_mid="2")),  # 12
    "json_bad_attributes": graph(
        X, Y, node("FullyConnected", "fc", [[0, 0, 0], [1, 0, 0]], num_hidden="3.5", no_bias="yes")
    ),
    "json_huge_number": graph(X, node("sum", "s", [[0, 0, 0]], axis=str(2**80))),  # 14
    "json_malformed_tuple": graph(X, node("Reshape", "r", [[0, 0, 0]], shape="(3, 3")),  # 14
    "json_code_for_tuple": graph(X, node("Reshape", "r", [[0, 0, 0]], shape="(__import__('os'),)")),  # 14
    "json_too_few_inputs": graph(X, Y, node("FullyConnected", "fc", [[0, 0, 0], [1, 0, 0]], **FC)),  # 15
    "json_too_many_inputs": graph(X, Y, node("relu", "r", [[0, 0, 0], [1, 0, 0]])),  # 15
    "json_wrong_count": graph(X, Y, node("Concat", "c", [[0, 0, 0], [1, 0, 0]], num_args="3")),  # 15
    "json_many_faults": graph(
        X,
        node("FullyConnected", "fc", [[0, 0, 0]], num_hidden="0"),
        node("relu", "r", [[0, 0, 0], [0, 4, 0]]),
        node("clip", "c", [[2, 1, 0]], a_min="0"),
    ),
    "json_control_deps": graph(X, {**node("relu", "r", [[0, 0, 0]]), "control_deps": [0]}),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_named(snapshot: Snapshots, name: str) -> None:
    with snapshot.raises(GraphFormatError, name):
        mx.sym.load_json(FAULTS[name])


def test_only_some_of_many_faults_are_described() -> None:
    text = graph(X, *(node("relu", f"r{k}", []) for k in range(100)))
    with pytest.raises(GraphFormatError, match="100 places are faulty; the first 10 are") as caught:
        mx.sym.load_json(text)
    assert len(caught.value.facts) == 10


def test_equal_names_are_kept() -> None:  # row 16: real files have them
    symbol = mx.sym.load_json(graph(X, variable("x"), node("elemwise_add", "x", [[0, 0, 0], [1, 0, 0]])))
    assert symbol.list_arguments() == ["x", "x"]


def test_attributes_of_operators_without_parameters_are_kept() -> None:
    symbol = mx.sym.load_json(graph(X, node("relu", "r", [[0, 0, 0]], mood="good")))
    assert symbol.attr("mood") == "good"


def test_text_is_text() -> None:
    with pytest.raises(ArgumentError):
        mx.sym.load_json(3)  # type: ignore[arg-type]
