"""Checks for operators: what the package's own tests hold every operator to, for operators defined elsewhere, too.

    from symgraph.testing import check_operator

    check_operator(Swish)

What does not belong here: expected numbers. A check compares an operator with itself: its definition with what it
does, its gradient with its values, one engine with another.
"""

from symgraph.testing.checks import (
    check_documentation,
    check_eager,
    check_gradient,
    check_gradient_of_gradient,
    check_operator,
    check_partial_shapes,
    check_shapes,
)
from symgraph.testing.running import Use, uses

__all__ = [
    "Use",
    "check_documentation",
    "check_eager",
    "check_gradient",
    "check_gradient_of_gradient",
    "check_operator",
    "check_partial_shapes",
    "check_shapes",
    "uses",
]
