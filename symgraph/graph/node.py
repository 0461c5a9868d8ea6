"""Nodes and entries: what a graph is made of.

A graph has no object of its own: it is whatever can be reached from some entries. Nodes are immutable once composed,
so graphs share structure freely; results of inference and planning live beside the graph, never on nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from symgraph.op import Op

__all__ = ["Entry", "Node", "Unknown", "topological_order"]


class Unknown:
    """Stands for an operator that is not registered, so that a file that uses it can be inspected.

    A graph that holds one can be printed and saved; to infer or bind it is an error that lists all of them.

    Parameters
    ----------
    op_name
        The name.
    num_outputs
        How many outputs it has, as far as the file tells.
    """

    __slots__ = ("num_outputs", "op_name")

    def __init__(self, op_name: str, num_outputs: int = 1) -> None:
        self.op_name, self.num_outputs = op_name, num_outputs

    def __repr__(self) -> str:
        return f"{self.op_name}(unknown)"


class Entry(NamedTuple):
    """One output of a node.

    Attributes
    ----------
    node
        The node.
    index
        Which of its outputs.
    version
        How often the variable `node` had been renewed when the entry was made; 0 for operators.
    """

    node: Node
    index: int = 0  # type: ignore[assignment]  # tuple.index is of no use here
    version: int = 0

    @property
    def name(self) -> str:
        """The output's name, as `list_outputs` gives it."""
        return self.node.output_name(self.index)


class Node:
    """A variable, or one application of an operator.

    Attributes
    ----------
    op
        The operator with its parameters; None for a variable.
    name
        Its name; not necessarily unique in old files.
    inputs
        The entries it reads, in the order of the operator's inputs.
    attrs
        Attributes as text, just as they stand in JSON: the parameters that were given, and hidden ``__keys__``.
    created
        ``file:line`` of the user's code that made it, or None.
    subgraphs
        Graph documents nested in the node, for control flow and fused operators of other systems.
    version
        How often the operators composed so far renew this variable; new entries of it take this version.
    """

    __slots__ = ("__weakref__", "attrs", "created", "inputs", "name", "op", "subgraphs", "version")

    def __init__(
        self,
        op: Op | Unknown | None,
        name: str,
        inputs: Sequence[Entry] = (),
        attrs: dict[str, str] | None = None,
        created: str | None = None,
        subgraphs: Sequence[object] = (),
    ) -> None:
        self.op, self.name, self.inputs = op, name, tuple(inputs)
        self.attrs = attrs if attrs is not None else {}
        self.created, self.subgraphs = created, tuple(subgraphs)
        self.version = 0

    @property
    def is_variable(self) -> bool:
        """Whether it is a variable."""
        return self.op is None

    @property
    def op_name(self) -> str:
        """Canonical name of the operator; ``"null"`` for a variable, as in JSON."""
        return "null" if self.op is None else self.op.op_name

    @property
    def num_outputs(self) -> int:
        """Number of outputs, hidden ones included."""
        if self.op is None:
            return 1
        return len(self.op.output_names()) if isinstance(self.op, Op) else self.op.num_outputs

    @property
    def num_visible(self) -> int:
        """Number of outputs that a user sees."""
        return self.op.num_visible() if isinstance(self.op, Op) else self.num_outputs

    def output_name(self, index: int) -> str:
        """Return the name of an output: a variable's own name, or ``<node>_<output>``."""
        if self.op is None:
            return self.name
        if not isinstance(self.op, Op):
            return f"{self.name}_output{'' if self.op.num_outputs == 1 else index}"
        return f"{self.name}_{self.op.output_names()[index]}"

    def __repr__(self) -> str:
        return f"<Node {self.name}: {self.op_name}>"

    def __reduce__(self) -> str:
        # Chains of nodes are deeper than pickle's recursion: symbols pickle as JSON.
        raise TypeError("nodes do not pickle on their own; pickle the Symbol")


def topological_order(entries: Iterable[Entry]) -> list[Node]:
    """Return all nodes that the entries depend on, each after its inputs.

    The order is post-order depth-first from the first entry on, inputs in their order: the order in which MXNet
    writes nodes and lists arguments. It is computed without recursion, in time linear in the number of edges.
    """
    order: list[Node] = []
    seen: set[int] = set()
    for entry in entries:
        if id(entry.node) in seen:
            continue
        seen.add(id(entry.node))
        stack = [(entry.node, iter(entry.node.inputs))]
        while stack:
            node, inputs = stack[-1]
            for child, _, _ in inputs:
                if id(child) not in seen:
                    seen.add(id(child))
                    if not child.inputs:
                        order.append(child)
                        continue
                    stack.append((child, iter(child.inputs)))
                    break
            else:
                order.append(node)
                stack.pop()
    return order
