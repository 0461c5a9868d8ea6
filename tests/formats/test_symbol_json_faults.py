"""Malformed symbol JSON: each fault has its own message, which says where it is and what was expected."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symgraph.errors import GraphFormatError
from symgraph.formats import symbol_json
from symgraph.formats.symbol_json import Limits, dump, parse
from tests.formats.seeds import DOCUMENTS, PARAMS, TEXTS, graph, node, old, relu, text, variable
from tests.snapshots import Snapshots


def changed(**fields: Any) -> dict[str, Any]:
    """relu(a), its operator node with other fields."""
    return graph([variable("a"), node("relu", "r", [[0, 0, 0]]) | fields])


def loop(*names: str) -> dict[str, Any]:
    """Nodes that are each the input of the next, and the last of the first."""
    return graph(
        [node("relu", name, [[index - 1 if index else len(names) - 1, 0, 0]]) for index, name in enumerate(names)]
    )


#: By what is wrong: the text.
FAULTS: dict[str, str | bytes] = {
    "empty": "",
    "empty bytes": b"",
    "white space": " \n",
    "truncated": text(relu())[:-1],
    "truncated in a string": '{"nodes": [\n  {"op": "nu',
    "position counts bytes": '{"\u00e9\u20ac": ]',
    "not JSON": "hello",
    "trailing text": text(relu()) + "\n}",
    "not UTF-8": b'{"nodes":\n"\xff"}',
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": text(relu()).encode("utf-16"),
    "web page": b"<!DOCTYPE html>",
    "parameters": PARAMS["V2"],
    "huge number": '{"nodes": ' + "1" * 5000 + "}",
    "nested": '{"x": ' + "[" * 100_000,
    "repeated key": text(relu()).replace('"name": "r"', '"name": "r", "op": "exp"'),
    "repeated attribute": text(changed(attrs={"a": "1", "b": "2"})).replace('"b"', '"a"'),
    "a list": "[1]",
    "null": "null",
    "no nodes key": '{"heads": [], "class_name": 1}',
    "nothing": "{}",
    "no nodes": text(relu(nodes=[])),
    "no heads": text(relu(heads=[])),
    "nodes an object": text(relu(nodes={})),
    "unknown key": text(relu(node_row_pt=[0])),
    "head 99": text(relu(heads=[[99, 0, 0]])),
    "head of one number": text(relu(heads=[[1, 0, 0], [1]])),
    "arg_nodes": text(relu(arg_nodes=[2])),
    "arg_nodes an operator": text(relu(arg_nodes=[0, 1])),
    "version a string": text(relu(attrs={"mxnet_version": ["str", "1.9"]})),
    "version bare": text(relu(attrs={"mxnet_version": 10901})),
    "graph attribute of unknown type": text(relu(attrs={"note": ["float", 1]})),
    "graph attribute of another type": text(relu(attrs={"note": ["list_int", [1, "2"]]})),
    "graph attributes null": text(relu(attrs=None)),
    "node a list": text(relu(nodes=[[]])),
    "node without inputs": text(relu(nodes=[{"op": "null", "name": "a"}])),
    "node without name": text(relu(nodes=[{"op": "null", "inputs": []}])),
    "unknown key of a node": text(changed(input=[])),
    "name a number": text(changed(name=3)),
    "op null": text(changed(op=None)),
    "NUL in a name": text(changed(name="a\0b")),
    "terminal escape in a name": text(changed(name="\x1b[31mred")),
    "control character of Latin-1 in a name": text(changed(name="a\x85")),
    "surrogate in a name": text(changed()).replace('"r"', '"\\ud800"'),
    "long name": text(changed(name="n" * 100_000)),
    "line break in an operator's name": text(changed(op="re\nlu")),
    "attribute a number": text(changed(attrs={"num_hidden": 10})),
    "attribute a list": text(changed(attrs={"kernel": [3, 3]})),
    "attribute with NUL": text(changed(attrs={"a": "x\0"})),
    "attribute with a surrogate": text(changed(attrs={"a": "\ufffd"})).replace("\ufffd", "\\udc00"),
    "attribute's key": text(changed(attrs={"a\x07": "1"})),
    "attrs a list": text(changed(attrs=[])),
    "param a string": text(changed(param="")),
    "inputs a number": text(changed(inputs=0)),
    "variable with inputs": text(changed(op="null")),
    "subgraphs an object": text(changed(subgraphs={})),
    "backward_source_id": text(graph([old("null", "a", [], {}) | {"backward_source_id": "x"}], heads=[[0, 0]])),
    "fault in a subgraph": text(
        changed(subgraphs=[relu(), graph([variable("a"), node("relu", "q", [[0, 0, 0]], oops=1)])])
    ),
    **{
        f"input {wrong}": text(changed(inputs=[[0, 0, 0], [wrong, 0, 0]]))
        for wrong in (7, -1, 1.5, float("nan"), float("inf"), 2**40, "0", None, True, [[[]]])
    },
    "entry of four numbers": text(changed(inputs=[[0, 0, 0, 0]])),
    "negative output": text(changed(inputs=[[0, -1, 0]])),
    "version 0.5": text(changed(inputs=[[0, 0, 0.5]])),
    "own input": text(changed(inputs=[[0, 0], [1, 0]])),
    "waits for itself": text(changed(control_deps=[1])),
    "control_deps an object": text(changed(control_deps={})),
    "control_deps": text(changed(control_deps=[0, "a"])),
    "cycle": text(loop("a", "b")),
    "cycle of many": text(loop(*"abcdefghijklmnop")),
    "cycle through a control dependency, beside the heads": text(
        graph(
            [variable("a"), node("relu", "r", [[2, 0, 0]]), node("relu", "s", [[0, 0, 0]], control_deps=[1])],
            heads=[[0, 0, 0]],
        )
    ),
    "output 9 of 1": text(changed(inputs=[[0, 9, 0]]) | {"node_row_ptr": [0, 1, 2]}),
    "head output 7 of 3": text(relu(heads=[[1, 7, 0]], node_row_ptr=[0, 1, 4])),
    "node_row_ptr too short": text(relu(node_row_ptr=[0, 1])),
    "node_row_ptr from 1": text(relu(node_row_ptr=[1, 2, 3])),
    "node_row_ptr downwards": text(relu(node_row_ptr=[0, 1, 0])),
    "node_row_ptr with two outputs of a variable": text(relu(node_row_ptr=[0, 2, 3])),
    "node_row_ptr with a text": text(relu(node_row_ptr=[0, "1", 2])),
}


def message(made: str | bytes) -> str:
    """Return the text of the error that `made` must raise."""
    with pytest.raises(GraphFormatError) as caught:
        parse(made)
    assert caught.type is GraphFormatError
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


def test_each_fault_has_its_own_words(snapshot: Snapshots) -> None:
    found = [f"{what}\n    " + message(made).replace("\n", "\n    ") for what, made in FAULTS.items()]
    snapshot.check("symbol_json_faults", "\n\n".join(found))


def test_the_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "net-symbol.json"
    file.write_text("[]")
    with pytest.raises(GraphFormatError) as caught:
        symbol_json.read(file)
    assert str(caught.value) == "net-symbol.json: a graph must be a JSON object, but this is a list"


# -- limits ----------------------------------------------------------------------------------------------------------


def test_limit_of_bytes(tmp_path: Path) -> None:
    limits = Limits(max_bytes=100)
    message = "the text has 190 bytes; the limit is 100 \\(Limits.max_bytes\\)"
    with pytest.raises(GraphFormatError, match=message):
        parse(text(relu()), limits=limits)
    file = tmp_path / "it.json"
    file.write_text(text(relu()))
    with pytest.raises(GraphFormatError, match=f"it.json: {message}"):
        symbol_json.read(file, limits=limits)


def test_limit_of_names() -> None:
    limits = Limits(max_name=5)
    parse(text(graph([variable("abcde")], version=None)), limits=limits)
    with pytest.raises(GraphFormatError, match="has 6 characters; the limit is 5"):
        parse(text(graph([variable("abcdef")], version=None)), limits=limits)


def nested(depth: int) -> dict[str, Any]:
    made = graph([variable("a")])
    for _ in range(depth):
        made = graph([node("_cond", "c", [], subgraphs=[made])])
    return made


def test_limit_of_nesting() -> None:
    parse(text(nested(32)))
    with pytest.raises(GraphFormatError) as caught:
        parse(text(nested(33)))
    place = "symbol JSON" + ", node 0 'c', subgraph 0" * 33
    assert str(caught.value) == f"{place}: subgraphs are nested more than 32 deep (Limits.max_depth)"


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="the parser's own limit of nesting differs")
@pytest.mark.parametrize("depth", [100, 900, 2000, 100_000])
def test_nesting_in_odd_places(depth: int) -> None:
    for made in (changed(inputs=[]), relu(heads=[]), changed(attrs={}), relu(attrs={}), changed(x=[]), relu(nodes=[])):
        bad = text(made).replace("[]", "[" * depth + "]" * depth).replace("{}", '{"a":' * depth + "1" + "}" * depth)
        with pytest.raises(GraphFormatError):
            parse(bad)


def test_a_million_repeated_keys_take_linear_time() -> None:
    bad = '{"a": {' + ", ".join(f'"k{i}": 1' for i in range(200_000)) + ', "k199999": 1}}'
    with pytest.raises(GraphFormatError, match="the key 'k199999' stands twice"):
        parse(bad)


# -- truncation and change -------------------------------------------------------------------------------------------

SEEDS = {**TEXTS, **{name: dump(document) for name, document in DOCUMENTS.items()}}


def hold_truncation(content: bytes) -> None:
    content = content.rstrip()
    parse(content)
    for length in range(len(content)):
        with pytest.raises(GraphFormatError):
            parse(content[:length])


@pytest.mark.parametrize("name", SEEDS)
def test_truncation_at_every_byte(name: str) -> None:
    hold_truncation(SEEDS[name].encode())


def test_truncation_of_oracle_files(shared: Path) -> None:
    for file in sorted((shared / "oracle/json_samples").glob("*.json")):
        hold_truncation(file.read_bytes())


def survives(made: str | bytes) -> None:
    """Hold that a text is read, and then survives being written, or is refused with an error of this room."""
    try:
        document = parse(made)
    except GraphFormatError as error:
        str(error).encode()  # printable anywhere
        return
    assert parse(dump(document)) == document


@given(st.sampled_from(sorted(SEEDS)), st.data())
def test_changed_bytes(name: str, data: st.DataObject) -> None:
    content = bytearray(SEEDS[name].encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        end = data.draw(st.integers(at, min(at + 8, len(content))))
        content[at:end] = data.draw(
            st.binary(max_size=4) | st.sampled_from([b'"', b"[", b"]", b"{", b"}", b",", b"-1"])
        )
    survives(bytes(content))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-3, 12)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["null", "op", "attrs", "int", "list_int", "\0", "\x1b", "\ud800"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return all (container, key) in a JSON value."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict | list):
            keys = list(each) if isinstance(each, dict) else list(range(len(each)))
            found += [(each, key) for key in keys]
            waiting += [each[key] for key in keys]
    return found


@given(st.sampled_from(sorted(SEEDS)), st.data())
def test_changed_structure(name: str, data: st.DataObject) -> None:
    made = json.loads(SEEDS[name], strict=False)
    for _ in range(data.draw(st.integers(1, 3))):
        found = places(made)
        if not found:
            break
        owner, key = data.draw(st.sampled_from(found))
        other, other_key = data.draw(st.sampled_from(found))
        kind = data.draw(st.sampled_from(["replace", "remove", "copy", "add", "number"]))
        if kind == "replace":
            owner[key] = data.draw(JSON)
        elif kind == "remove":
            del owner[key]
        elif kind == "copy":
            owner[key] = copy.deepcopy(other[other_key])
        elif kind == "add" and isinstance(owner, list):
            owner.insert(key, data.draw(JSON))
        elif kind == "add":
            owner[data.draw(st.text(max_size=5) | st.sampled_from(["attr", "param", "subgraphs", "control_deps"]))] = (
                data.draw(JSON)
            )
        else:
            owner[key] = data.draw(st.integers(-1, 13))
    survives(json.dumps(made))
