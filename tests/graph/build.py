"""Making graphs by hand, for tests of passes that do not need symbols."""

from __future__ import annotations

from typing import Any

import symgraph.ops  # noqa: F401 - registers the operators
from symgraph.graph.node import Entry, Node
from symgraph.op import find

__all__ = ["apply", "chain", "variable"]


def variable(name: str, **attrs: str) -> Entry:
    """Return a variable."""
    return Entry(Node(None, name, (), attrs))


def apply(op_name: str, name: str, *inputs: Entry, **params: Any) -> Entry:
    """Return the first output of an operator."""
    attrs = {key: str(value) for key, value in params.items()}
    return Entry(Node(find(op_name)(**params), name, inputs, attrs, "net.py:7"))


def chain(length: int, start: Entry) -> Entry:
    """Return `length` additions of 1, one after the other."""
    entry = start
    for k in range(length):
        entry = apply("_plus_scalar", f"n{k}", entry, scalar=1.0)
    return entry
