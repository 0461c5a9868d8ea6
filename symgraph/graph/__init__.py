"""What a graph is: nodes and entries, views in numbers, inference, gradients, traces, and lowering to a program.

A graph is whatever can be reached from some entries; it has no object of its own. Nodes are not changed once composed,
and results of passes stand beside the graph. What does not belong here: particular operators, engines, files, and
`Symbol`, which is a user's view of all this.
"""

from symgraph.graph.node import Entry, Node, Unknown, topological_order
from symgraph.graph.view import View

__all__ = ["Entry", "Node", "Unknown", "View", "topological_order"]
