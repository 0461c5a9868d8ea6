"""Symbol JSON: what is read, and the bytes that are written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symgraph.errors import GraphFormatError
from symgraph.formats import symbol_json
from symgraph.formats.symbol_json import Document, NodeRecord, dump, parse
from tests.counting import assert_linear
from tests.formats.seeds import DOCUMENTS, TEXTS, UPDATE_TEXT, chain, graph, node, old, relu, text, variable


def nodes_of(document: Document) -> list[tuple[str, str, dict[str, str], list[tuple[int, int, int]]]]:
    return [(each.op, each.name, each.attrs, each.inputs) for each in document.nodes]


# -- the layout of the text ------------------------------------------------------------------------------------------


def test_layout() -> None:
    assert dump(DOCUMENTS["update"]) == UPDATE_TEXT


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_is_written_is_read_back(name: str) -> None:
    written = dump(DOCUMENTS[name])
    assert parse(written) == DOCUMENTS[name]
    assert parse(written.encode()) == DOCUMENTS[name]
    json.loads(written, strict=False)  # valid for other readers too


def test_a_list_of_eleven_has_a_line_for_each() -> None:
    lines = dump(DOCUMENTS["eleven"]).split("\n")
    at = lines.index('      "inputs": [')
    assert lines[at + 1] == "        [0, 0, 0], "
    assert lines[at + 11 : at + 13] == ["        [10, 0, 0]", "      ]"]
    at = lines.index('  "arg_nodes": [')
    assert lines[at + 1] == "    0, "
    assert lines[at + 11 : at + 13] == ["    10", "  ], "]


def test_subgraphs_are_indented_and_have_no_attributes_of_their_own() -> None:
    written = dump(DOCUMENTS["branches"])
    assert '      "subgraphs": [\n        {\n          "nodes": [\n            {\n' in written
    assert '          "heads": [[1, 0, 0]]\n        }, \n        {\n' in written
    assert written.count("mxnet_version") == 1


def test_keys_are_sorted_and_escaped() -> None:
    # MXNet escapes no keys, so that it cannot read such a file back; where nothing is to escape, the bytes are equal.
    document = Document([NodeRecord("null", 'a"b', {"z": "1", "\u00e9": "2", 'k"\\': "3"})], [(0, 0, 0)])
    assert '"attrs": {\n        "k\\"\\\\": "3", \n        "z": "1", \n        "\u00e9": "2"\n      }' in dump(document)
    assert parse(dump(document)) == document


def test_oracle_files_come_out_byte_for_byte(shared: Path) -> None:
    files = [*sorted((shared / "oracle/json_samples").glob("*.json")), shared / "oracle/nd_samples/ck-symbol.json"]
    assert len(files) == 19
    for file in files:
        content = file.read_bytes()
        assert dump(parse(content)).encode() == content, file.name


def test_published_files_come_out_byte_for_byte_where_mxnet_wrote_them_so(shared: Path) -> None:
    files = sorted((shared / "corpus/open/files").glob("*.json"))
    assert len(files) == 216
    equal = 0
    for file in files:
        content = file.read_bytes()
        document = parse(content)
        written = dump(document)
        assert parse(written) == document, file.name
        equal += written.encode() == content
    # The others are of older versions, or people passed them through another JSON writer.
    assert equal == 118


# -- the spellings of all versions -----------------------------------------------------------------------------------


def test_param_attr_and_index_pairs() -> None:
    document = parse(TEXTS["0.8"])
    assert nodes_of(document) == [
        ("null", "data", {}, []),
        ("FullyConnected", "fc", {"num_hidden": "3", "lr_mult": "2"}, [(0, 0, 0)]),
    ]
    assert (document.heads, document.version, document.node_row_ptr) == ([(1, 0, 0)], 800, None)


def test_attr() -> None:
    document = parse(TEXTS["0.9"])
    assert document.nodes[1].attrs == {"a_min": "0", "a_max": "1"}
    assert document.version == 904


def test_attrs_compact() -> None:
    document = parse(TEXTS["1.9 compact"])
    assert (document.version, document.arg_nodes) == (10901, [0])


def test_param_never_overrides_and_the_later_of_attr_and_attrs_replaces() -> None:
    both = {"attr": {"a_min": "1"}, "attrs": {"a_min": "0", "a_max": "2"}, "param": {"a_min": "3", "x": "4"}}
    document = parse(text(graph([variable("a"), node("clip", "r", [[0, 0, 0]], **both)])))
    assert document.nodes[1].attrs == {"a_min": "0", "a_max": "2", "x": "4"}
    swapped = {"attrs": {"a_min": "0", "a_max": "2"}, "attr": {"a_min": "1"}}
    document = parse(text(graph([variable("a"), node("clip", "r", [[0, 0, 0]], **swapped)])))
    assert document.nodes[1].attrs == {"a_min": "1"}


def test_control_characters_in_attribute_texts_are_kept() -> None:
    raw = text(relu()).replace('"inputs": []', '"attrs": {"note": "a\tb\x1b\u0085"}, "inputs": []')
    assert parse(raw).nodes[0].attrs == {"note": "a\tb\x1b\u0085"}


def test_escapes_of_json_are_read() -> None:
    raw = text(relu()).replace('"name": "a"', '"name": "\\u00e9\\ud83d\\ude00\\/"')
    assert parse(raw).nodes[0].name == "\u00e9\U0001f600/"


def test_names_may_repeat_and_hold_spaces() -> None:
    made = graph([variable("a b"), variable("a b"), node("elemwise_add", "a b", [[0, 0, 0], [1, 0, 0]])])
    assert [each.name for each in parse(text(made)).nodes] == ["a b"] * 3


def test_unused_nodes_are_kept() -> None:
    made = graph([variable("a"), variable("unused"), node("relu", "r", [[0, 0, 0]])])
    assert len(parse(text(made)).nodes) == 3


# -- order -----------------------------------------------------------------------------------------------------------


def test_forward_references_are_reordered_as_mxnet_would_write_them() -> None:
    made = graph(
        [
            variable("unused"),
            node("elemwise_add", "s", [[3, 0, 0], [2, 0, 0]]),
            variable("b"),
            node("SliceChannel", "c", [[4, 0, 0]], control_deps=[5]),
            variable("a"),
            node("relu", "r", [[2, 0, 0]]),
        ],
        heads=[[1, 0, 0], [3, 1, 0]],
        node_row_ptr=[0, 1, 2, 3, 6, 7, 8],
    )
    document = parse(text(made))
    # From the heads down, inputs before control dependencies, what no head needs last.
    assert [each.name for each in document.nodes] == ["a", "b", "r", "c", "s", "unused"]
    assert [each.inputs for each in document.nodes] == [[], [], [(1, 0, 0)], [(0, 0, 0)], [(3, 0, 0), (1, 0, 0)], []]
    assert [each.control_deps for each in document.nodes] == [[], [], [], [2], [], []]
    assert document.heads == [(4, 0, 0), (3, 1, 0)]
    assert document.node_row_ptr == [0, 1, 2, 3, 6, 7, 8]
    assert document.arg_nodes == [0, 1, 5]


def test_a_file_in_order_is_left_in_its_order() -> None:
    made = graph([variable("b"), variable("a"), node("elemwise_add", "s", [[1, 0, 0], [0, 0, 0]])])
    assert [each.name for each in parse(text(made)).nodes] == ["b", "a", "s"]


def test_a_chain_of_300000_nodes() -> None:
    document = chain(300_000)
    assert parse(dump(document)) == document


def test_a_long_chain_written_backwards() -> None:
    forward = chain(50_000)
    last = len(forward.nodes) - 1
    turned = [
        NodeRecord(each.op, each.name, each.attrs, [(last - i, j, v) for i, j, v in each.inputs])
        for each in reversed(forward.nodes)
    ]
    written = dump(Document(turned, [(0, 0, 0)], forward.node_row_ptr, forward.attrs))
    assert parse(written) == forward


def test_writing_and_reading_take_linear_effort() -> None:
    assert_linear(lambda size: dump(chain(size)), 500)
    assert_linear(lambda size: parse(dump(chain(size))), 500)


def test_an_expression_with_2_to_the_60_paths() -> None:
    nodes = [NodeRecord("null", "a")]
    nodes += [NodeRecord("elemwise_add", f"s{i}", {}, [(i, 0, 0), (i, 0, 0)]) for i in range(60)]
    document = Document(nodes, [(60, 0, 0)])
    assert parse(dump(document)) == document


# -- files -----------------------------------------------------------------------------------------------------------


def test_a_file_is_saved_and_read(tmp_path: Path) -> None:
    symbol_json.write(tmp_path / "net-symbol.json", DOCUMENTS["update"])
    assert (tmp_path / "net-symbol.json").read_bytes() == UPDATE_TEXT.encode()
    assert symbol_json.read(str(tmp_path / "net-symbol.json")) == DOCUMENTS["update"]


def test_what_could_not_be_read_back_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "net-symbol.json"
    for bad in (
        NodeRecord("null", "a\x1b"),
        NodeRecord("null", "a" * 5000),
        NodeRecord("null", "\ud800"),
        NodeRecord("null\0", "a"),
        NodeRecord("null", "a", {"k\n": "v"}),
        NodeRecord("null", "a", {"k": "\0"}),
        NodeRecord("null", "a", {"k": "\udfff"}),
    ):
        with pytest.raises(GraphFormatError):
            symbol_json.write(file, Document([bad], [(0, 0, 0)]))
        assert list(tmp_path.iterdir()) == []


def test_subgraphs_too_deep_are_not_written() -> None:
    document = body = Document([NodeRecord("null", "a")], [(0, 0, 0)])
    for _ in range(40):
        document = Document([NodeRecord("_cond", "c", subgraphs=[document])], [(0, 0, 0)])
    with pytest.raises(GraphFormatError, match="nested more than 32 deep"):
        dump(document)
    assert parse(dump(body)) == body


def test_a_body_used_twice_is_written_twice() -> None:
    inner = Document([NodeRecord("null", "a")], [(0, 0, 0)])
    middle = Document([NodeRecord("_cond", "m", subgraphs=[inner])], [(0, 0, 0)])
    document = Document([NodeRecord("_cond", "c", subgraphs=[inner, middle, inner])], [(0, 0, 0)])
    assert parse(dump(document)) == document


# -- any document ----------------------------------------------------------------------------------------------------

NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=8)
VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
NUMBERS = st.integers(0, 2**31 - 1)


@st.composite
def documents(draw: st.DrawFn, depth: int = 2) -> Document:
    count = draw(st.integers(1, 5))
    nodes: list[NodeRecord] = []
    for index in range(count):
        attrs = draw(st.dictionaries(NAMES, VALUES, max_size=3))
        name = draw(NAMES)
        if index == 0 or draw(st.booleans()):
            nodes.append(NodeRecord("null", name, attrs))
            continue
        earlier = st.integers(0, index - 1)
        inputs = draw(st.lists(st.tuples(earlier, NUMBERS, NUMBERS), max_size=3))
        deps = draw(st.lists(earlier, max_size=2))
        bodies = draw(st.lists(documents(depth=depth - 1), max_size=2)) if depth else []
        op = draw(NAMES.filter(lambda each: each != "null"))
        nodes.append(NodeRecord(op, name, attrs, inputs, deps, bodies))
    heads = draw(st.lists(st.tuples(st.integers(0, count - 1), NUMBERS, NUMBERS), min_size=1, max_size=3))
    values = st.one_of(
        st.tuples(st.just("int"), NUMBERS),
        st.tuples(st.just("str"), VALUES),
        st.tuples(st.just("list_int"), st.lists(NUMBERS, max_size=2)),
        st.tuples(st.just("list_str"), st.lists(VALUES, max_size=2)),
    )
    return Document(nodes, heads, None, draw(st.dictionaries(NAMES, values, max_size=2)))


@given(documents())
def test_any_document_survives(document: Document) -> None:
    written = dump(document)
    assert parse(written) == document
    assert dump(parse(written.encode())) == written


def test_old_nodes_become_new_ones() -> None:
    made = graph([old("null", "a", [], {}), old("relu", "r", [[0, 0]], {})], heads=[[1, 0]], version=None)
    assert dump(parse(text(made))) == dump(parse(text(relu() | {"attrs": {}})))
