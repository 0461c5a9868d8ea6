"""A graph in numbers: its nodes in topological order, its entries numbered, who reads what.

Passes that visit every node work on these lists of integers. A view is made once for some entries and never changed.

What does not belong here: shapes, dtypes, buffers. They live beside the graph, in lists indexed by entry number.
"""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.errors import UnknownOperatorError, suggest
from symgraph.graph.node import Entry, Node, Unknown, topological_order
from symgraph.op import Op, all_names

__all__ = ["View", "renews"]


def renews(cls: type[Op]) -> bool:
    """Return whether an operator may renew some of its inputs; most never do, and need not be asked."""
    return cls.mutated is not Op.mutated or any(i.mutates for i in cls.inputs)


class View:
    """The graph below some entries.

    Attributes
    ----------
    entries
        The outputs of the graph.
    nodes
        All nodes, each after its inputs, in the order in which MXNet writes them.
    position
        Position of each node in `nodes`, by ``id(node)``.
    offsets
        Number of each node's first entry; one more at the end: the number of entries. Output `i` of node `k` has the
        number ``offsets[k] + i``; hidden outputs count.
    sources
        For each node the numbers of the entries that it reads, in the order of its inputs.
    outputs
        The numbers of `entries`.
    """

    __slots__ = ("_mutated", "entries", "nodes", "offsets", "outputs", "position", "sources")

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = tuple(entries)
        self.nodes = topological_order(self.entries)
        first: dict[int, int] = {}
        self.offsets = offsets = [0]
        self.sources: list[tuple[int, ...]] = []
        total = 0
        counts: dict[int, int] = {}
        for node in self.nodes:
            self.sources.append(tuple([first[id(n)] + index for n, index, _ in node.inputs]))
            first[id(node)] = total
            op = node.op
            if op is None:
                total += 1
            else:
                # Operators without parameters are one object each, so counting is mostly a look-up.
                count = counts.get(id(op))
                if count is None:
                    count = counts[id(op)] = node.num_outputs
                total += count
            offsets.append(total)
        self.position = {id(node): k for k, node in enumerate(self.nodes)}
        self.outputs = tuple(first[id(n)] + index for n, index, _ in self.entries)
        self._mutated: frozenset[int] | None = None

    def number(self, entry: Entry) -> int:
        """Return the number of an entry."""
        return self.offsets[self.position[id(entry.node)]] + entry.index

    def __len__(self) -> int:
        return len(self.nodes)

    @property
    def num_entries(self) -> int:
        """How many entries there are, hidden ones included."""
        return self.offsets[-1]

    def variables(self) -> list[Node]:
        """Return the variables, in order."""
        return [node for node in self.nodes if node.op is None]

    def mutated(self) -> frozenset[int]:
        """Return ``id`` of each variable that some operator renews: the auxiliary states."""
        if self._mutated is None:
            renewed: set[int] = set()
            classes = {type(node.op) for node in self.nodes}
            renewing = {cls for cls in classes if issubclass(cls, Op) and renews(cls)}
            for node in self.nodes if renewing else ():
                op = node.op
                if isinstance(op, Op) and type(op) in renewing:
                    names, mutated = op.input_names(), op.mutated()
                    renewed.update(id(e.node) for name, e in zip(names, node.inputs, strict=False) if name in mutated)
            self._mutated = frozenset(renewed)
        return self._mutated

    def consumers(self) -> list[list[int]]:
        """Return for each entry the positions of the nodes that read it; a node that reads it twice stands twice."""
        readers: list[list[int]] = [[] for _ in range(self.num_entries)]
        for k, sources in enumerate(self.sources):
            for number in sources:
                readers[number].append(k)
        return readers

    def require_known(self) -> None:
        """Check that every operator is registered.

        Raises
        ------
        UnknownOperatorError
            Listing all operators that are not, with near names.
        """
        unknown: dict[str, Node] = {}
        for node in self.nodes:
            if isinstance(node.op, Unknown):
                unknown.setdefault(node.op.op_name, node)
        if not unknown:
            return
        names = list(all_names())
        facts = {}
        for name, node in unknown.items():
            near = suggest(name, names)
            facts[name] = f"first at node {node.name!r}" + (f"; did you mean {near!r}?" if near else "")
        count = f"{len(unknown)} operators are" if len(unknown) > 1 else "1 operator is"
        raise UnknownOperatorError(f"{count} not known", facts=facts)
