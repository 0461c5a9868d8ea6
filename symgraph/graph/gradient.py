"""Differentiation of a graph: reverse mode over operators, to a graph of operators.

Each node on a path from the variables to the heads gets one node ``_backward_X`` beside it, an ordinary operator; sums
and zeros are ordinary operators too. So a gradient is saved, inspected and differentiated again like any other graph.

What does not belong here: the rules of particular operators; they are in `symgraph.op.backward` and
`symgraph.program.gradients`.
"""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.errors import ArgumentError, GradientError
from symgraph.graph.node import Entry, Node, topological_order
from symgraph.op import Op, find
from symgraph.op.backward import backward_of

__all__ = ["gradient"]

_Key = tuple[int, int]


def gradient(
    heads: Sequence[Entry], wrt: Sequence[Entry], head_grads: Sequence[Entry | None] | None = None
) -> list[Entry]:
    """Return the gradients of some heads by some entries.

    Parameters
    ----------
    heads
        The entries to differentiate; their gradients are added up.
    wrt
        The entries to differentiate by, usually variables.
    head_grads
        Gradient of a loss by each head. None, or None for a head, stands for ones. Operators that are losses
        (`Op.is_loss`) do not read it.

    Returns
    -------
    list of Entry
        One gradient for each of `wrt`; zeros where no head depends on it.

    Raises
    ------
    GradientError
        If an operator that has no gradient lies between the heads and `wrt`.
    ArgumentError
        If the number of head gradients is not that of the heads.
    """
    given = list(head_grads) if head_grads is not None else [None] * len(heads)
    if len(given) != len(heads):
        raise ArgumentError(f"{len(heads)} heads need as many head gradients, got {len(given)}")
    order = topological_order(heads)
    needed = _depending(order, wrt)
    sums: dict[_Key, list[Entry]] = {}
    for head, dy in zip(heads, given, strict=True):
        if id(head.node) in needed:
            sums.setdefault(_key(head), []).append(dy if dy is not None else _like("ones_like", head))
    found: dict[_Key, Entry] = {}
    wanted = {_key(entry) for entry in wrt}
    rules: dict[int, _Rule] = {}
    for node in reversed(order):
        if id(node) not in needed:
            continue
        dys: dict[int, Entry] = {}
        for index in range(node.num_outputs):
            terms = sums.pop((id(node), index), None)
            if terms is not None:
                dys[index] = _total(node, index, terms)
                if (id(node), index) in wanted:
                    found[(id(node), index)] = dys[index]
        if node.op is not None and dys:
            _step_back(node, dys, needed, sums, rules)
    return [found[_key(entry)] if _key(entry) in found else _like("zeros_like", entry) for entry in wrt]


def _key(entry: Entry) -> _Key:
    # Versions are one tensor each, but a variable has one gradient.
    return id(entry.node), entry.index


def _depending(order: Sequence[Node], wrt: Sequence[Entry]) -> set[int]:
    """Return ``id`` of each node that some entry of `wrt` reaches."""
    needed = {id(entry.node) for entry in wrt}
    for node in order:
        for source, _, _ in node.inputs:
            if id(source) in needed:
                needed.add(id(node))
                break
    return needed


class _Rule:
    """How the nodes of one operator are differentiated."""

    __slots__ = ("backward", "outputs", "reads", "visible")

    def __init__(self, op: Op) -> None:
        self.backward = backward_of(type(op)).from_values(op.values)
        self.visible = op.num_visible()
        self.outputs = op.output_names()
        number = {name: k for k, name in enumerate(op.input_names())}
        #: What the gradient reads beside head gradients: number of an input, or -1 - number of an output.
        self.reads = [number[n] if n in number else -1 - self.outputs.index(n) for n in self.backward.reads()]


def _step_back(
    node: Node, dys: dict[int, Entry], needed: set[int], sums: dict[_Key, list[Entry]], rules: dict[int, _Rule]
) -> None:
    """Add the gradients of a node's inputs, given those of its outputs, to the sums."""
    slots = [slot for slot, (source, _, _) in enumerate(node.inputs) if id(source) in needed]
    if not slots:
        return
    op = node.op
    if not isinstance(op, Op) or not op.differentiable:
        raise GradientError(
            f"operator {node.op_name} has no gradient, and lies between the heads and the variables asked for",
            where=node.name,
            facts={"if the graph holds its gradients already": "bind it with grad_req='null'"},
            created=node.created,
        )
    rule = rules.get(id(op))
    if rule is None:
        rule = rules[id(op)] = _Rule(op)
    hidden = [index for index in dys if index >= rule.visible]
    if hidden:
        raise GradientError(
            f"output {rule.outputs[hidden[0]]!r} of {op!r} is hidden and has no gradient",
            where=node.name,
            created=node.created,
        )
    heads = [dys[index] if index in dys else _like("zeros_like", Entry(node, index)) for index in range(rule.visible)]
    reads = [node.inputs[k] if k >= 0 else Entry(node, -1 - k) for k in rule.reads]
    attrs = {key: text for key, text in node.attrs.items() if key in op._param_index}
    made = Node(rule.backward, f"{node.name}_backward", [*heads, *reads], attrs, node.created)
    for slot in slots:
        sums.setdefault(_key(node.inputs[slot]), []).append(Entry(made, slot))


def _total(node: Node, index: int, terms: list[Entry]) -> Entry:
    """Return the sum of the gradients that reach one entry."""
    if len(terms) == 1:
        return terms[0]
    name = f"{node.output_name(index)}_grad_sum"
    if len(terms) == 2:
        return Entry(Node(find("elemwise_add")(), name, terms, {}, node.created))
    count = len(terms)
    return Entry(Node(find("add_n")(num_args=count), name, terms, {"num_args": str(count)}, node.created))


def _like(op_name: str, entry: Entry) -> Entry:
    """Return ones or zeros of the shape and dtype of an entry."""
    return Entry(Node(find(op_name)(), f"{entry.name}_{op_name}", [entry], {}, entry.node.created))
