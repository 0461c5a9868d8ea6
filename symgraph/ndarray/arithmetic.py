"""Functions of two operands, of which one or both may be numbers: ``nd.add(x, 2)``.

What does not belong here: which operators they run (`symgraph.ndarray.ndarray.BINARY`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from symgraph.ndarray.ndarray import binary

__all__ = [
    "add",
    "divide",
    "equal",
    "greater",
    "greater_equal",
    "lesser",
    "lesser_equal",
    "logical_and",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "modulo",
    "multiply",
    "not_equal",
    "power",
    "subtract",
    "true_divide",
]


def _function(name: str, what: str) -> Callable[[Any, Any], Any]:
    def function(lhs: Any, rhs: Any) -> Any:
        return binary(name, lhs, rhs)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""{what}, element by element.

    Parameters
    ----------
    lhs, rhs
        NDArrays whose shapes broadcast, of one element type; or an NDArray and a number. The result has the NDArray's
        element type. Two numbers give a number.

    Raises
    ------
    ArgumentError
        If an operand is something else.
    """
    return function


add = _function("add", "Sum")
subtract = _function("subtract", "Difference")
multiply = _function("multiply", "Product")
divide = true_divide = _function("divide", "Quotient")
modulo = _function("modulo", "Remainder with the sign of the divisor")
power = _function("power", "Power")
maximum = _function("maximum", "Greater one")
minimum = _function("minimum", "Smaller one")
equal = _function("equal", "One where the operands are equal, else zero")
not_equal = _function("not_equal", "One where the operands differ, else zero")
greater = _function("greater", "One where `lhs` is greater, else zero")
greater_equal = _function("greater_equal", "One where `lhs` is not less, else zero")
lesser = _function("lesser", "One where `lhs` is less, else zero")
lesser_equal = _function("lesser_equal", "One where `lhs` is not greater, else zero")
logical_and = _function("logical_and", "One where both operands are nonzero, else zero")
logical_or = _function("logical_or", "One where an operand is nonzero, else zero")
logical_xor = _function("logical_xor", "One where exactly one operand is nonzero, else zero")
