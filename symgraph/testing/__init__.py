"""Checks for operators: what the package's own tests hold every operator to, for operators defined elsewhere, too.

    from symgraph.testing import assert_same_plan, check_gradient, check_operator

    check_operator(Swish)                            an operator, on its samples
    check_gradient(symbol, {"x": x})                 a symbol's gradient at a point
    assert_same_plan(one, other, x=(2, 3))           two ways to write the same thing

What does not belong here: expected numbers. A check compares an operator with itself: its definition with what it
does, its gradient with its values, one engine with another.
"""

from symgraph.testing.checks import (
    check_documentation,
    check_eager,
    check_operator,
    check_partial_shapes,
    check_sample_gradient,
    check_sample_second_gradient,
    check_shapes,
)
from symgraph.testing.graphs import check_json, check_optimized
from symgraph.testing.running import Use, uses
from symgraph.testing.symbols import assert_same_plan, check_gradient

__all__ = [
    "Use",
    "assert_same_plan",
    "check_documentation",
    "check_eager",
    "check_gradient",
    "check_json",
    "check_operator",
    "check_optimized",
    "check_partial_shapes",
    "check_sample_gradient",
    "check_sample_second_gradient",
    "check_shapes",
    "uses",
]
