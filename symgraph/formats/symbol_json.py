"""The text of a graph: MXNet's symbol JSON, read strictly and written byte for byte as MXNet 1.9.1 writes it.

A `Document` is what the text says: nodes with names, attribute texts and index triples. It knows no operators, so it
cannot tell how many outputs a node has or whether ``num_hidden`` may be "-3"; that is asked where a document becomes a
graph. Documents of older versions are read here into the same form; what else changed with the versions is in
`symgraph.formats.upgrade`.

Nothing here recurses: a file of one chain of a million nodes is as good as any.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from symgraph.errors import GraphFormatError, suggest
from symgraph.formats import atomic, collector
from symgraph.formats.foreign import looks_like
from symgraph.formats.text import MAX_NAME, name_fault, shown, value_fault

__all__ = ["WRITER_VERSION", "Document", "GraphAttr", "Limits", "NodeRecord", "Ref", "dump", "parse", "read", "write"]

#: The version this package writes, as ``10000 * major + 100 * minor + patch``: MXNet 1.9.1.
WRITER_VERSION: Final = 10901
#: The version of files that name none, which MXNet began to do in 0.9.
_VERSION_IF_ABSENT: Final = 800

#: An output of a node: (index of the node, index of the output, version of the variable).
Ref = tuple[int, int, int]
#: A graph attribute as written: (name of its type, value).
GraphAttr = tuple[str, int | str | list[int] | list[str]]


@dataclass(slots=True)
class NodeRecord:
    """A node as the text has it.

    Parameters
    ----------
    op
        The operator's name, possibly an alias; "null" for a variable.
    name
        The node's name. Names need not be unique.
    attrs
        Attribute texts, unparsed: ``param``, ``attr`` and ``attrs`` of all versions together.
    inputs
        The outputs of earlier nodes that the node reads, in order.
    control_deps
        Indices of earlier nodes that must run before.
    subgraphs
        The bodies of a loop, a condition or a fused node.
    """

    op: str
    name: str
    attrs: dict[str, str] = field(default_factory=dict)
    inputs: list[Ref] = field(default_factory=list)
    control_deps: list[int] = field(default_factory=list)
    subgraphs: list[Document] = field(default_factory=list)


@dataclass(slots=True)
class Document:
    """A graph as the text has it.

    Parameters
    ----------
    nodes
        In topological order: inputs stand before their readers.
    heads
        The outputs of the graph.
    node_row_ptr
        Running sum of the number of outputs of the nodes, ``len(nodes) + 1`` long; None if not known.
    attrs
        Graph attributes. A document without ``mxnet_version`` is of version 0.8; bodies in `NodeRecord.subgraphs` have
        none.
    """

    nodes: list[NodeRecord]
    heads: list[Ref]
    node_row_ptr: list[int] | None = None
    attrs: dict[str, GraphAttr] = field(default_factory=dict)

    @property
    def arg_nodes(self) -> list[int]:
        """Indices of the variables, auxiliary states included, ascending."""
        return [index for index, node in enumerate(self.nodes) if node.op == "null"]

    @property
    def version(self) -> int:
        """The version of MXNet that wrote it, as ``10000 * major + 100 * minor + patch``."""
        kind, value = self.attrs.get("mxnet_version", ("int", _VERSION_IF_ABSENT))
        assert kind == "int"
        assert isinstance(value, int)
        return value


@dataclass(frozen=True, slots=True)
class Limits:
    """What a text may demand before it is refused. All have room for any real model.

    Parameters
    ----------
    max_bytes
        Length of the text.
    max_depth
        Subgraphs inside subgraphs.
    max_name
        Characters of a name or an attribute's key.
    """

    max_bytes: int = 1 << 30
    max_depth: int = 32
    max_name: int = MAX_NAME


_LIMITS: Final = Limits()
_MAX_INT: Final = 2**31 - 1
_GRAPH_KEYS: Final = ("nodes", "arg_nodes", "node_row_ptr", "heads", "attrs")
_GRAPH_REQUIRED: Final = ("nodes", "arg_nodes", "heads")
_NODE_KEYS: Final = (
    "op",
    "name",
    "attrs",
    "inputs",
    "control_deps",
    "subgraphs",
    "attr",
    "param",
    "backward_source_id",
)
_NODE_REQUIRED: Final = ("op", "name", "inputs")
_GRAPH_KEY_SET, _NODE_KEY_SET = frozenset(_GRAPH_KEYS), frozenset(_NODE_KEYS)
_OLD_ATTR_KEYS: Final = frozenset({"attr", "param"})


# --------------------------------------------------------------------------------------------------------------------
# Reading
# --------------------------------------------------------------------------------------------------------------------


def read(path: str | os.PathLike[str], *, limits: Limits = _LIMITS) -> Document:
    """Read the document in the file `path`; see `parse`.

    Raises
    ------
    OSError
        If the file cannot be read.
    GraphFormatError
        If it is malformed.
    """
    source = os.path.basename(os.fspath(path))
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        content = b"" if size > limits.max_bytes else file.read()
    if size > limits.max_bytes:
        _refuse_size(size, limits, source)
    return parse(content, limits=limits, source=source)


def parse(text: str | bytes, *, limits: Limits = _LIMITS, source: str = "symbol JSON") -> Document:
    """Read the document in `text`.

    Nodes that refer to later ones are brought into topological order: as MXNet would write them, from the heads down,
    inputs first; nodes that no head needs come last, in their old order.

    Parameters
    ----------
    text
        JSON; bytes must be UTF-8.
    limits
        What a text may demand.
    source
        What to call the text in errors, usually the name of a file.

    Raises
    ------
    GraphFormatError
        If the text is malformed, with the place: line, column and byte, or node and input.
    """
    with collector.paused():
        return _Parser(limits, source).document(_decode(text, limits, source))


def _decode(text: str | bytes, limits: Limits, source: str) -> Any:
    """Parse JSON; refuse what Python's parser lets pass (repeated keys) and rename its errors."""
    if len(text) > limits.max_bytes:
        _refuse_size(len(text), limits, source)
    start = text[:64] if isinstance(text, bytes) else text[:64].encode("utf-8", "replace")
    if not text or text.isspace():
        _fail("the file holds only white space" if text else "the file is empty", source)
    if not start.lstrip().startswith(b"{"):
        foreign = looks_like(start, "symbol JSON")
        if foreign:
            _fail(foreign, source)
    try:
        text = text if isinstance(text, str) else text.decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        where = f"{source}, line {line}, byte {error.start}"
        _fail(f"0x{error.object[error.start]:02x} is not UTF-8 here; save the file as UTF-8", where)
    try:
        # Not strict: MXNet writes control characters in attribute texts as they are.
        return json.JSONDecoder(object_pairs_hook=_without_repeats, strict=False).decode(text)
    except json.JSONDecodeError as error:
        raise _json_error(error, source) from None
    except _RepeatedKeyError as error:
        owner = f", the one named {shown(error.name)}" if isinstance(error.name, str) else ""
        _fail(f"the key {shown(error.key)} stands twice in one object{owner}", source)
    except RecursionError:
        _fail(f"brackets are nested too deep; {limits.max_depth} subgraphs inside each other are the limit", source)
    except ValueError:  # an integer of more than 4,300 digits
        _fail("a number has thousands of digits", source)


class _RepeatedKeyError(Exception):
    def __init__(self, key: str, name: object) -> None:
        self.key, self.name = key, name


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        raise _RepeatedKeyError(next(key for key in counts if counts[key] > 1), found.get("name"))
    return found


def _json_error(error: json.JSONDecodeError, source: str) -> GraphFormatError:
    text, position = error.doc, error.pos
    byte = len(text[:position].encode("utf-8", "surrogatepass"))
    where = f"{source}, line {error.lineno}, column {error.colno}, byte {byte}"
    if error.msg == "Extra data":
        rest = text[position : position + 64]
        return GraphFormatError(f"the graph ends before this, but the text goes on with {shown(rest, 20)}", where=where)
    if error.msg.startswith("Unterminated string"):
        return GraphFormatError("the text ends inside the string that begins here; the file is truncated", where=where)
    what = error.msg[:1].lower() + error.msg[1:]
    if not text[position:].strip():
        return GraphFormatError(f"the text ends here ({what}); the file is truncated", where=where)
    return GraphFormatError(f"{what}, found {shown(text[position : position + 64], 20)}", where=where)


def _refuse_size(size: int, limits: Limits, source: str) -> NoReturn:
    _fail(f"the text has {size:,} bytes; the limit is {limits.max_bytes:,} (Limits.max_bytes)", source)


def _fail(what: str, where: str, *, hint: str | None = None, facts: dict[str, Any] | None = None) -> NoReturn:
    raise GraphFormatError(what, where=where, hint=hint, facts=facts) from None


#: A subgraph not read yet: (the node that holds it, its JSON, where it is).
_Body = tuple[NodeRecord, Any, str]


class _Parser:
    """Makes documents of decoded JSON, checking everything that can be checked without knowing operators."""

    def __init__(self, limits: Limits, source: str) -> None:
        self.limits, self.source = limits, source

    def document(self, raw: Any) -> Document:
        found: list[Document] = []
        # (what the JSON has, where it is, how deep, the list that the document belongs to)
        waiting: list[tuple[Any, str, int, list[Document]]] = [(raw, self.source, 0, found)]
        while waiting:
            raw, place, depth, owner = waiting.pop()
            if depth > self.limits.max_depth:
                _fail(f"subgraphs are nested more than {self.limits.max_depth} deep (Limits.max_depth)", place)
            graph, bodies = self.graph(raw, place)
            owner.append(graph)
            waiting += [(body, where, depth + 1, node.subgraphs) for node, body, where in reversed(bodies)]
        return found[0]

    def graph(self, raw: Any, place: str) -> tuple[Document, list[_Body]]:
        """Return the document, with empty `NodeRecord.subgraphs`, and what is to become these."""
        if type(raw) is not dict:
            _fail(f"a graph must be a JSON object, but this is {_kind(raw)}", place)
        self.check_keys(raw, _GRAPH_KEY_SET, _GRAPH_KEYS, _GRAPH_REQUIRED, place)
        raw_nodes, raw_heads, raw_args = raw["nodes"], raw["heads"], raw["arg_nodes"]
        for key in ("nodes", "heads", "arg_nodes"):
            if type(raw[key]) is not list:
                _fail(f"'{key}' must be a list, but it is {_kind(raw[key])}", place)
        if not raw_nodes:
            _fail("the graph has no nodes", place)
        if not raw_heads:
            _fail("the graph has no heads, so it computes nothing", place)

        nodes, bodies, ordered = self.nodes(raw_nodes, place)
        count = len(nodes)
        heads = []
        for slot, entry in enumerate(raw_heads):
            fault = _entry_fault(entry, count)
            if fault:
                _fail(fault, f"{place}, head {slot}")
            heads.append((entry[0], entry[1], entry[2] if len(entry) == 3 else 0))
        for slot, index in enumerate(raw_args):
            if type(index) is not int or not 0 <= index < count:
                _fail(f"node index {shown(index)}; the graph has nodes 0 to {count - 1}", f"{place}, arg_nodes[{slot}]")
            if nodes[index].op != "null":
                what = f"node {index} {shown(nodes[index].name)} is not a variable but {shown(nodes[index].op)}"
                _fail(what, f"{place}, arg_nodes[{slot}]")
        row_ptr = None
        if "node_row_ptr" in raw:
            row_ptr = self.row_ptr(raw["node_row_ptr"], nodes, heads, place)
        graph = Document(nodes, heads, row_ptr, self.graph_attrs(raw.get("attrs", {}), place))
        return (graph if ordered else self.in_order(graph, place)), bodies

    def nodes(self, raw_nodes: list[Any], place: str) -> tuple[list[NodeRecord], list[_Body], bool]:
        """Return the nodes, their unread subgraphs, and whether inputs stand before their readers."""
        nodes: list[NodeRecord] = []
        bodies: list[_Body] = []
        ordered = True
        count, max_name = len(raw_nodes), self.limits.max_name
        good_keys: set[str] = set()  # attribute keys repeat from node to node
        for index, raw in enumerate(raw_nodes):
            if type(raw) is not dict:
                _fail(f"a node must be a JSON object, but this is {_kind(raw)}", f"{place}, node {index}")
            if not raw.keys() <= _NODE_KEY_SET or not ("op" in raw and "name" in raw and "inputs" in raw):
                self.check_keys(raw, _NODE_KEY_SET, _NODE_KEYS, _NODE_REQUIRED, _at(place, index, raw))
            op, name, raw_inputs = raw["op"], raw["name"], raw["inputs"]
            # The usual case is decided in this line; `check_name` says what is wrong.
            if not (type(name) is str and len(name) <= max_name and name.isprintable()):
                self.check_name("name", name, f"{place}, node {index}")
            if not (type(op) is str and len(op) <= max_name and op.isprintable()):
                self.check_name("op", op, _at(place, index, raw))
            if type(raw_inputs) is not list:
                _fail(f"'inputs' must be a list, but it is {_kind(raw_inputs)}", _at(place, index, raw))

            if _OLD_ATTR_KEYS.isdisjoint(raw):
                attrs = raw.get("attrs", {})
            else:
                attrs = self.merged_attrs(raw, _at(place, index, raw))
            if type(attrs) is not dict:
                _fail(f"'attrs' must be an object, but it is {_kind(attrs)}", _at(place, index, raw))
            for key, value in attrs.items():
                if key not in good_keys:
                    self.check_name("attribute", key, _at(place, index, raw))
                    good_keys.add(key)
                if type(value) is not str or not value.isprintable():
                    self.check_value(key, value, _at(place, index, raw))

            inputs: list[Ref] = []
            for slot, entry in enumerate(raw_inputs):
                fault = _entry_fault(entry, count)
                if fault:
                    _fail(fault, f"{_at(place, index, raw)}, input {slot}")
                source = entry[0]
                if source >= index:
                    ordered = False
                    if source == index:
                        _fail("the node is its own input", f"{_at(place, index, raw)}, input {slot}")
                inputs.append((source, entry[1], entry[2] if len(entry) == 3 else 0))
            if op == "null" and inputs:
                where = _at(place, index, raw)
                _fail(f'a variable (op "null") has no inputs, but this one has {len(inputs)}', where)

            node = NodeRecord(op, name, attrs, inputs)
            if len(raw) > 4 or "attrs" not in raw:
                ordered &= self.rare_fields(raw, node, index, count, place)
                if "subgraphs" in raw:
                    where = _at(place, index, raw)
                    bodies += [(node, body, f"{where}, subgraph {n}") for n, body in enumerate(raw["subgraphs"])]
            nodes.append(node)
        return nodes, bodies, ordered

    def rare_fields(self, raw: dict[str, Any], node: NodeRecord, index: int, count: int, place: str) -> bool:
        """Read the fields that few nodes have; return whether the control dependencies stand before the node."""
        ordered = True
        if "control_deps" in raw:
            deps = raw["control_deps"]
            if type(deps) is not list:
                _fail(f"'control_deps' must be a list, but it is {_kind(deps)}", _at(place, index, raw))
            for slot, dep in enumerate(deps):
                where = f"{_at(place, index, raw)}, control_deps[{slot}]"
                if type(dep) is not int or not 0 <= dep < count:
                    _fail(f"node index {shown(dep)}; the graph has nodes 0 to {count - 1}", where)
                if dep == index:
                    _fail("the node waits for itself", where)
                ordered &= dep < index
            node.control_deps = deps
        if "backward_source_id" in raw:  # until 0.8; of no use
            where = f"{_at(place, index, raw)}, backward_source_id"
            if type(raw["backward_source_id"]) is not int or not -1 <= raw["backward_source_id"] <= _MAX_INT:
                _fail(f"{shown(raw['backward_source_id'])} is not a node index or -1", where)
        if "subgraphs" in raw and type(raw["subgraphs"]) is not list:
            _fail(f"'subgraphs' must be a list, but it is {_kind(raw['subgraphs'])}", _at(place, index, raw))
        return ordered

    def merged_attrs(self, raw: dict[str, Any], where: str) -> dict[str, Any]:
        """Put the attributes of a node of an older version together."""
        attrs: dict[str, Any] = {}
        for key in ("attr", "attrs", "param"):
            if key in raw and type(raw[key]) is not dict:
                _fail(f"'{key}' must be an object, but it is {_kind(raw[key])}", where)
        # MXNet: 'attr' and 'attrs' are one thing, the later one replaces; 'param' never overrides.
        for key, value in raw.items():
            if key in ("attr", "attrs"):
                attrs = value
        return {**raw.get("param", {}), **attrs}

    def check_keys(
        self, raw: dict[str, Any], known: frozenset[str], names: Sequence[str], required: Sequence[str], where: str
    ) -> None:
        missing = [key for key in required if key not in raw]
        if missing:
            found = ", ".join(shown(key) for key in list(raw)[:10]) or "none"
            keys = " and ".join(f"'{key}'" for key in missing)
            what = f"the key {keys} is missing" if len(missing) == 1 else f"the keys {keys} are missing"
            _fail(what, where, facts={"keys found": found})
        for key in raw:
            if key not in known:
                facts = {"known": ", ".join(names)}
                _fail(f"unknown key {shown(key)}", where, hint=suggest(key[:100], names), facts=facts)

    def check_name(self, what: str, name: Any, where: str) -> None:
        if type(name) is not str:
            _fail(f"'{what}' must be a string, but it is {_kind(name)}", where)
        fault = name_fault(name, self.limits.max_name)
        if fault:
            _fail(f"{'the ' if what != 'attribute' else ''}{what} {shown(name)} {fault}", where)

    def check_value(self, key: str, value: Any, where: str) -> None:
        if type(value) is not str:
            what = f"attribute {shown(key)} is {_kind(value)}, but must be a string"
            if type(value) in (int, float, bool):
                what += f'; write "{value}"'
            _fail(what, where)
        fault = value_fault(value)
        if fault:
            _fail(f"attribute {shown(key)} {fault}", where)

    def row_ptr(self, raw: Any, nodes: list[NodeRecord], heads: list[Ref], place: str) -> list[int]:
        """Check ``node_row_ptr``, which readers may ignore, against the graph: a difference means a damaged file."""
        where = f"{place}, node_row_ptr"
        remedy = "correct it or leave it out, it is optional"
        if type(raw) is not list or any(type(each) is not int for each in raw):
            _fail(f"this is not a list of whole numbers; {remedy}", where)
        if len(raw) != len(nodes) + 1:
            _fail(f"{len(nodes)} nodes need {len(nodes) + 1} numbers, but there are {len(raw)}; {remedy}", where)
        if raw[0] != 0 or raw[-1] > _MAX_INT:
            _fail(f"it goes from {shown(raw[0])} to {shown(raw[-1])}, not up from 0; {remedy}", where)
        for index, node in enumerate(nodes):
            outputs = raw[index + 1] - raw[index]
            if outputs < 0 or (node.op == "null" and outputs != 1):
                what = f"node {index} {shown(node.name)} cannot have {shown(outputs)} outputs; {remedy}"
                _fail(what, where)
        for index, node in enumerate(nodes):
            for slot, (source, output, _) in enumerate(node.inputs):
                if output >= raw[source + 1] - raw[source]:
                    self.no_such_output(source, output, nodes, raw, f"{_label(place, index, node)}, input {slot}")
        for slot, (source, output, _) in enumerate(heads):
            if output >= raw[source + 1] - raw[source]:
                self.no_such_output(source, output, nodes, raw, f"{place}, head {slot}")
        return raw

    def no_such_output(self, source: int, output: int, nodes: list[NodeRecord], row_ptr: list[int], where: str) -> None:
        have = row_ptr[source + 1] - row_ptr[source]
        node = f"node {source} {shown(nodes[source].name)}"
        _fail(f"output {output} of {node}, which by node_row_ptr has {have} output{'s' * (have != 1)}", where)

    def graph_attrs(self, raw: Any, place: str) -> dict[str, GraphAttr]:
        where = f"{place}, attrs"
        if type(raw) is not dict:
            _fail(f"'attrs' must be an object, but it is {_kind(raw)}", place)
        attrs: dict[str, GraphAttr] = {}
        for key, pair in raw.items():
            self.check_name("attribute", key, where)
            if type(pair) is not list or len(pair) != 2 or type(pair[0]) is not str:
                what = f'{shown(key)} must be a pair of a type and a value such as ["int", 10901], not {shown(pair)}'
                _fail(what, where)
            kind, value = pair
            if kind not in _GRAPH_ATTR_TYPES:
                known = ", ".join(_GRAPH_ATTR_TYPES)
                _fail(f"{shown(key)} has the unknown type {shown(kind)}", where, facts={"known": known})
            if not _is_of(kind, value):
                _fail(f"{shown(key)} is declared {kind}, but its value is {shown(value)}", where)
            attrs[key] = (kind, value)
        if "mxnet_version" in attrs and attrs["mxnet_version"][0] != "int":
            _fail('\'mxnet_version\' must be an "int", for example ["int", 10901]', where)
        return attrs

    def in_order(self, graph: Document, place: str) -> Document:
        """Bring nodes into topological order, or refuse the cycle that forbids one."""
        nodes = graph.nodes
        order: list[int] = []
        state = bytearray(len(nodes))  # 0 new, 1 on the path from a head to here, 2 placed
        for start in [*(index for index, _, _ in graph.heads), *range(len(nodes))]:
            if state[start]:
                continue
            state[start] = 1
            path: list[tuple[int, list[int]]] = [(start, _needs(nodes[start]))]
            while path:
                index, needs = path[-1]
                if not needs:
                    state[index] = 2
                    order.append(index)
                    path.pop()
                    continue
                need = needs.pop()
                if state[need] == 0:
                    state[need] = 1
                    path.append((need, _needs(nodes[need])))
                elif state[need] == 1:
                    on_path = [each for each, _ in path]
                    cycle = [need, *reversed(on_path[on_path.index(need) :])]
                    facts = _cycle_facts(cycle, nodes)
                    _fail("the nodes form a cycle, each needed by the next", place, facts=facts)

        new = [0] * len(nodes)
        for position, index in enumerate(order):
            new[index] = position
        for node in nodes:
            node.inputs = [(new[index], output, version) for index, output, version in node.inputs]
            node.control_deps = [new[index] for index in node.control_deps]
        row_ptr = None
        if graph.node_row_ptr is not None:
            row_ptr = [0]
            for index in order:
                row_ptr.append(row_ptr[-1] + graph.node_row_ptr[index + 1] - graph.node_row_ptr[index])
        heads = [(new[index], output, version) for index, output, version in graph.heads]
        return Document([nodes[index] for index in order], heads, row_ptr, graph.attrs)


def _entry_fault(entry: Any, count: int) -> str | None:
    """Say what is wrong with an input or a head in a graph of `count` nodes; None if nothing is."""
    if type(entry) is not list or not 2 <= len(entry) <= 3:
        return f"{shown(entry)} must be [node, output] or [node, output, version]"
    index, output = entry[0], entry[1]
    if not (type(index) is int and 0 <= index < count):
        return f"node index {shown(index)}; the graph has nodes 0 to {count - 1}"
    if not (type(output) is int and 0 <= output <= _MAX_INT):
        return f"output index {shown(output)}; it must be a whole number from 0 to {_MAX_INT}"
    if len(entry) == 3 and not (type(entry[2]) is int and 0 <= entry[2] <= _MAX_INT):
        return f"version {shown(entry[2])}; it must be a whole number from 0 to {_MAX_INT}"
    return None


def _needs(node: NodeRecord) -> list[int]:
    """Return the nodes that must come before `node`, the first one last."""
    needs = node.control_deps[::-1]
    needs += [index for index, _, _ in reversed(node.inputs)]
    return needs


def _cycle_facts(cycle: list[int], nodes: list[NodeRecord]) -> dict[str, str]:
    names = [shown(nodes[index].name) for index in cycle]
    if len(names) > 10:
        names[6:-3] = [f"({len(names) - 9:,} more)"]
    return {"cycle": " -> ".join(names)}


_GRAPH_ATTR_TYPES: Final = ("int", "str", "list_int", "list_str")


def _is_of(kind: str, value: Any) -> bool:
    if kind.startswith("list_"):
        return type(value) is list and all(_is_of(kind.removeprefix("list_"), each) for each in value)
    if kind == "int":
        return type(value) is int and 0 <= value <= _MAX_INT
    return type(value) is str and value_fault(value) is None


def _kind(value: Any) -> str:
    """Say what a JSON value is."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return f"the {'string' if isinstance(value, str) else 'number'} {shown(value)}"


def _at(place: str, index: int, raw: dict[str, Any]) -> str:
    return f"{place}, node {index}" + (f" {shown(raw['name'])}" if isinstance(raw.get("name"), str) else "")


def _label(place: str, index: int, node: NodeRecord) -> str:
    return f"{place}, node {index} {shown(node.name)}"


# --------------------------------------------------------------------------------------------------------------------
# Writing
# --------------------------------------------------------------------------------------------------------------------


def write(path: str | os.PathLike[str], document: Document) -> None:
    """Save `document` as the file `path`, as a whole or not at all; see `dump` and `symgraph.formats.atomic`.

    Raises
    ------
    OSError
        If the file cannot be written; an old file is then as it was.
    GraphFormatError
        If a name or an attribute could not be read back.
    """
    atomic.write_bytes(path, dump(document).encode("utf-8"))


def dump(document: Document) -> str:
    """Return the text of `document`, byte for byte what MXNet 1.9.1 writes for that graph.

    Attributes are sorted by key; ``arg_nodes`` is made from the nodes; ``node_row_ptr`` and ``attrs`` are left out if
    the document has none.

    Raises
    ------
    GraphFormatError
        If a name or an attribute could not be read back, or subgraphs are nested too deep.
    """
    # Outer graphs first, so that in reverse each text is there before the one that holds it.
    graphs = [(document, 0)]
    for graph, depth in graphs:
        if depth > _LIMITS.max_depth:
            _fail(f"subgraphs are nested more than {_LIMITS.max_depth} deep", "dump()")
        for node in graph.nodes:
            if node.subgraphs:
                graphs += [(body, depth + 1) for body in node.subgraphs]
    texts: dict[tuple[int, int], str] = {}
    for graph, depth in reversed(graphs):
        if (id(graph), depth) not in texts:
            texts[id(graph), depth] = _graph_text(graph, depth, texts)
    return texts[id(document), 0]


def _graph_text(graph: Document, depth: int, bodies: dict[tuple[int, int], str]) -> str:
    margin = "        " * depth
    node_indent = f"{margin}    "
    key_indent = f"{margin}      "
    attr_indent = f"{margin}        "
    nodes = []
    good_keys: set[str] = set()
    for index, node in enumerate(graph.nodes):
        op, name = _name(node.op, index), _name(node.name, index)
        parts = [f'{node_indent}{{\n{key_indent}"op": "{op}", \n{key_indent}"name": "{name}"']
        if node.attrs:
            pairs = []
            for key in sorted(node.attrs):
                if key not in good_keys:
                    _name(key, index)
                    good_keys.add(key)
                pairs.append(f'"{_escaped(key)}": "{_value(node.attrs[key], key, index)}"')
            if len(pairs) == 1:
                parts.append(f'{key_indent}"attrs": {{{pairs[0]}}}')
            else:
                inner = f", \n{attr_indent}".join(pairs)
                parts.append(f'{key_indent}"attrs": {{\n{attr_indent}{inner}\n{key_indent}}}')
        parts.append(f'{key_indent}"inputs": {_list([f"[{i}, {j}, {v}]" for i, j, v in node.inputs], key_indent)}')
        if node.control_deps:
            parts.append(f'{key_indent}"control_deps": {_list(map(str, node.control_deps), key_indent)}')
        if node.subgraphs:
            inner = f", \n{attr_indent}".join(bodies[id(body), depth + 1] for body in node.subgraphs)
            parts.append(f'{key_indent}"subgraphs": [\n{attr_indent}{inner}\n{key_indent}]')
        nodes.append(", \n".join(parts) + f"\n{node_indent}}}")

    outer = f"{margin}  "
    parts = [f'{outer}"nodes": [\n' + ", \n".join(nodes) + f"\n{outer}]"]
    parts.append(f'{outer}"arg_nodes": {_list(map(str, graph.arg_nodes), outer)}')
    if graph.node_row_ptr is not None:
        parts.append(f'{outer}"node_row_ptr": {_list(map(str, graph.node_row_ptr), outer)}')
    parts.append(f'{outer}"heads": {_list([f"[{i}, {j}, {v}]" for i, j, v in graph.heads], outer)}')
    if graph.attrs:
        pairs = [f'"{_escaped(key)}": ["{kind}", {_graph_value(value)}]' for key, (kind, value) in graph.attrs.items()]
        if len(pairs) == 1:
            parts.append(f'{outer}"attrs": {{{pairs[0]}}}')
        else:
            parts.append(f'{outer}"attrs": {{\n{node_indent}' + f", \n{node_indent}".join(pairs) + f"\n{outer}}}")
    return "{\n" + ", \n".join(parts) + f"\n{margin}}}"


#: MXNet: only these five are escaped; all other characters stand as they are.
_ESCAPES: Final = str.maketrans({'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def _escaped(text: str) -> str:
    if text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return text.translate(_ESCAPES)


def _name(name: str, index: int) -> str:
    """Return `name` escaped, or refuse what could not be read back."""
    fault = name_fault(name)
    if fault:
        _fail(f"the name {shown(name)} {fault}", f"dump(), node {index}")
    return _escaped(name)


def _value(value: str, key: str, index: int) -> str:
    fault = value_fault(value)
    if fault:
        _fail(f"attribute {shown(key)} {fault}", f"dump(), node {index}")
    return _escaped(value)


def _graph_value(value: int | str | list[int] | list[str]) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_graph_value, value)) + "]"
    return f'"{_escaped(value)}"' if isinstance(value, str) else str(value)


def _list(items: Iterable[str], margin: str) -> str:
    """Lay out a list: on one line up to ten items, else each on its own."""
    items = list(items)
    if len(items) <= 10:
        return "[" + ", ".join(items) + "]"
    return f"[\n{margin}  " + f", \n{margin}  ".join(items) + f"\n{margin}]"
