"""A table of a graph: each node with its operator, inputs, output shape, parameters and bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from symgraph.graph.infer import infer_dtypes, infer_shapes, show
from symgraph.graph.lower import RENEWS
from symgraph.graph.node import Entry, Node
from symgraph.graph.view import View
from symgraph.op.backward import Backward

__all__ = ["HasOutputs", "Summary", "summary"]


class HasOutputs(Protocol):
    """What `summary` needs of a symbol; symbols lie above inspection."""

    @property
    def _entries(self) -> tuple[Entry, ...]: ...


@dataclass
class Summary:
    """A graph as a table.

    Attributes
    ----------
    rows
        One mapping a node: ``name``, ``op``, ``inputs``, ``shape`` (text, ``?`` where unknown), ``dtype``, ``role``
        (input, parameter, state, operator, gradient, update), ``elements``, ``created``.
    parameters
        Number of elements of all parameters whose shape is known.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    parameters: int = 0

    def __str__(self) -> str:
        heads = ("name", "op", "inputs", "shape", "dtype", "role")
        cells = [tuple(str(r[h]) for h in heads) for r in self.rows]
        widths = [min(60, max(len(c[k]) for c in [heads, *cells])) for k in range(len(heads))]

        def line(row: Sequence[str]) -> str:
            cut = (c if len(c) <= w else c[: w - 3] + "..." for c, w in zip(row, widths, strict=True))
            return "  ".join(c.ljust(w) for c, w in zip(cut, widths, strict=True)).rstrip()

        rule = "-" * (sum(widths) + 2 * len(widths) - 2)
        counts: dict[str, int] = {}
        for r in self.rows:
            counts[r["role"]] = counts.get(r["role"], 0) + 1
        tally = ", ".join(f"{n} {role}{'s' if n > 1 else ''}" for role, n in counts.items())
        total = f"{len(self.rows)} nodes: {tally}; {self.parameters} parameter elements"
        return "\n".join([line(heads), rule, *(line(c) for c in cells), rule, total])


def summary(symbol: HasOutputs, shape: Mapping[str, Sequence[int]] | None = None) -> Summary:
    """Return a table of a symbol's graph; nothing needs to be bound, and unknown shapes show as ``?``.

    Parameters
    ----------
    symbol
        Any symbol, training graphs included.
    shape
        Shapes of some arguments. What follows from them is inferred.
    """
    view = View(symbol._entries)
    view_known = infer_shapes(view, {k: tuple(v) for k, v in (shape or {}).items()}, partial=True)
    dtypes = infer_dtypes(view).dtypes
    mutated = view.mutated()
    given = set(shape or {})
    result = Summary()
    for k, node in enumerate(view.nodes):
        first = view.offsets[k]
        shapes = [view_known.shapes[first + j] for j in range(node.num_visible)]
        known = shapes[0] is not None and None not in shapes[0]
        role = _role(node, mutated, given)
        elements = int(np.prod([n or 0 for n in shapes[0]])) if shapes[0] is not None and known else 0
        if role == "parameter":
            result.parameters += elements
        result.rows.append(
            {
                "name": node.name,
                "op": "" if node.op is None else node.op_name,
                "inputs": " ".join(e.name for e in node.inputs),
                "shape": " ".join(map(show, shapes)),
                "dtype": str(dtypes[first] or "?"),
                "role": role,
                "elements": elements,
                "created": node.created,
            }
        )
    return result


def _role(node: Node, mutated: frozenset[int], given: set[str]) -> str:
    if node.op is None:
        if id(node) in mutated:
            return "state"
        return "input" if node.name in given or node.name.endswith("label") or node.name == "data" else "parameter"
    if RENEWS in node.attrs:
        return "update"
    if isinstance(node.op, Backward):
        return "gradient"
    return "operator"
