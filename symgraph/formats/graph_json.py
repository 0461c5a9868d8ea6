"""Between documents and graphs: what the text of a symbol means, checked with knowledge of the operators.

`symgraph.formats.symbol_json` knows how a graph is written; here nodes get operators, parameters are parsed, inputs
counted and outputs resolved. Everything wrong with the nodes of a file is reported at once, by name.

What does not belong here: the text itself, and what changed between versions of it (`symgraph.formats.upgrade`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from symgraph.errors import ArgumentError, GraphFormatError
from symgraph.formats.collector import paused
from symgraph.formats.symbol_json import WRITER_VERSION, Document, NodeRecord, Ref
from symgraph.formats.text import shown
from symgraph.formats.upgrade import upgrade
from symgraph.graph.node import Entry, Node, Unknown
from symgraph.graph.view import View
from symgraph.op import Op, get
from symgraph.op.call import is_hidden

__all__ = ["from_document", "to_document"]

#: How many faulty nodes one error describes.
_MOST_SHOWN = 10


def to_document(view: View) -> Document:
    """Return the document of a graph."""
    position = view.position
    nodes = [
        NodeRecord(
            node.op_name,
            node.name,
            node.attrs,
            [(position[id(source)], index, version) for source, index, version in node.inputs],
            subgraphs=[body for body in node.subgraphs if isinstance(body, Document)],
        )
        for node in view.nodes
    ]
    heads = [(position[id(node)], index, version) for node, index, version in view.entries]
    return Document(nodes, heads, list(view.offsets), {"mxnet_version": ("int", WRITER_VERSION)})


def from_document(document: Document, source: str | None = "symbol JSON") -> list[Entry]:
    """Return the heads of the graph that a document describes.

    Operators that are not registered become `Unknown`, so that the graph can be inspected and saved; names that stand
    twice are kept, as they are in real files.

    Parameters
    ----------
    document
        Of any version.
    source
        What to call the document in errors and in the nodes' ``created``; None leaves `created` empty.

    Raises
    ------
    GraphFormatError
        Naming each node with a missing, unknown or ill-typed attribute, too few or too many inputs, or an input or head
        that is no output of the node it names.
    """
    document = upgrade(document, _SCHEMA)
    with paused():
        return _Builder(document, source).build()


class _Kind(NamedTuple):
    """What equal records share: operator, names of inputs, number of outputs, and what is wrong with the attributes."""

    op: Op | Unknown | None
    inputs: tuple[str, ...] | None
    outputs: int
    problem: str | None


class _Builder:
    def __init__(self, document: Document, source: str | None) -> None:
        self.document, self.source = document, source
        self.problems: dict[str, str] = {}
        self.places, self.last_place = 0, ""
        self._kinds: dict[tuple[str, tuple[tuple[str, str], ...]], _Kind] = {}

    def build(self) -> list[Entry]:
        nodes: list[Node] = []
        kinds: list[_Kind] = []
        variable = _Kind(None, (), 1, None)
        source, versions = self.source, False
        for k, record in enumerate(self.document.nodes):
            kind = variable if record.op == "null" else self.kind(k, record)
            inputs = [Entry(nodes[i], index, version) for i, index, version in record.inputs]
            if kind is not variable:
                if kind.problem:
                    self.complain(k, record, kind.problem)
                elif kind.inputs is not None and len(kind.inputs) != len(inputs):
                    self.complain(k, record, _wrong_inputs(kind, len(inputs)))
                if record.control_deps:
                    self.complain(k, record, "has control dependencies, which symgraph does not keep")
                for slot, (i, index, version) in enumerate(record.inputs):
                    versions = versions or version != 0
                    if index >= kinds[i].outputs:
                        self.complain(k, record, f"input {slot} is {self.beyond(i, index, kinds[i].outputs)}")
            created = None if source is None else f"{source}, node {k}"
            nodes.append(Node(kind.op, record.name, inputs, record.attrs, created, record.subgraphs))
            kinds.append(kind)
        heads = []
        for slot, (i, index, version) in enumerate(self.document.heads):
            if index >= kinds[i].outputs:
                self.problem(f"head {slot}", self.beyond(i, index, kinds[i].outputs))
            heads.append(Entry(nodes[i], index, version))
        if self.problems:
            raise self.error()
        if versions:
            _restore_versions(nodes)
        return heads

    def kind(self, k: int, record: NodeRecord) -> _Kind:
        key = (record.op, tuple(record.attrs.items()))
        found = self._kinds.get(key)
        cls = get(record.op)
        if cls is None:
            # Not shared: how many outputs such a node has is only known from those who read them.
            return _Kind(Unknown(record.op, self.outputs_read(k)), None, self.outputs_read(k), None)
        if found is None:
            try:
                op = cls.from_attrs(record.attrs)
                found = _Kind(op, op.input_names(), len(op.output_names()), None)
            except ArgumentError as error:
                found = _Kind(None, None, 2**31, error.what + _known_attributes(cls, record.attrs))
            self._kinds[key] = found
        return found

    def outputs_read(self, k: int) -> int:
        """Return the number of outputs of an unknown operator, as far as the document tells."""
        if self.document.node_row_ptr is not None:
            return self.document.node_row_ptr[k + 1] - self.document.node_row_ptr[k]
        return self._reads.get(k, 0) + 1

    @cached_property
    def _reads(self) -> dict[int, int]:
        """The highest output that is read of each node."""
        highest: dict[int, int] = {}
        refs: list[Ref] = [ref for node in self.document.nodes for ref in node.inputs]
        for i, index, _ in (*refs, *self.document.heads):
            highest[i] = max(highest.get(i, 0), index)
        return highest

    def beyond(self, i: int, index: int, outputs: int) -> str:
        """Return ``output 9 of 'conv' (Convolution), which has 1 output``."""
        node = self.document.nodes[i]
        what = "variable" if node.op == "null" else node.op
        return f"output {index} of {shown(node.name)} ({what}), which has {outputs} output{'s' * (outputs != 1)}"

    def complain(self, k: int, record: NodeRecord, problem: str) -> None:
        """Note what is wrong with a node."""
        self.problem(f"node {k} {shown(record.name)} ({record.op})", problem)

    def problem(self, where: str, what: str) -> None:
        """Note a problem; only the first places are described."""
        if where != self.last_place:
            self.places, self.last_place = self.places + 1, where
        if where in self.problems:
            self.problems[where] += f"; {what}"
        elif len(self.problems) < _MOST_SHOWN:
            self.problems[where] = what

    def error(self) -> GraphFormatError:
        """Return the error that tells all problems."""
        where = self.source or "symbol JSON"
        if self.places == 1:
            ((place, what),) = self.problems.items()
            return GraphFormatError(what, where=f"{where}, {place}")
        more = "" if self.places == len(self.problems) else f"; the first {len(self.problems)} are"
        return GraphFormatError(f"{self.places} places are faulty{more}", where=where, facts=self.problems)


def _known_attributes(cls: type[Op], attrs: Mapping[str, str]) -> str:
    """Return the attributes that an operator has, if one is given that it has not."""
    names = [p.name for p in cls.params]
    if all(key in names or is_hidden(key) for key in attrs) or len(names) > 12:
        return ""
    return f" (known: {', '.join(names)})"


def _wrong_inputs(kind: _Kind, given: int) -> str:
    names = kind.inputs or ()
    needs = f"{kind.op!r} has {given} input{'s' * (given != 1)}, but needs {len(names)}"
    if given < len(names):
        return f"{needs}; missing: {', '.join(names[given:])}"
    return f"{needs}: {', '.join(names)}" if names else needs


def _restore_versions(nodes: Sequence[Node]) -> None:
    """Let variables go on counting where the file stopped."""
    for node in nodes:
        for source, _, version in node.inputs:
            if source.op is None and version > source.version:
                source.version = version


class _Schema:
    """Answers what `symgraph.formats.upgrade` asks about operators; None where it cannot be told."""

    def _op(self, op: str, attrs: Mapping[str, str]) -> Op | None:
        cls = get(op)
        try:
            return None if cls is None else cls.from_attrs(attrs)
        except ArgumentError:
            return None  # the fault is reported when the node itself is read

    def input_names(self, op: str, attrs: Mapping[str, str]) -> tuple[str, ...] | None:
        found = self._op(op, attrs)
        return None if found is None else found.input_names()

    def initializers(self, op: str, attrs: Mapping[str, str]) -> Mapping[str, str] | None:
        found = self._op(op, attrs)
        if found is None:
            return None
        return {name: init for name in found.input_names() if (init := found.initializer(name)) is not None}


_SCHEMA = _Schema()
