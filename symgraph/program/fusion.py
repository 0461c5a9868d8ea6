"""What may run together in one fused group, and how such a group can be cut into blocks.

A group holds element-wise equations over one shape, and reductions of values of that shape. It runs block by block, so
that what only the group knows stays in cache. A block must leave every bit as it is, hence a reduction may join only
where the engine adds up a block's elements in the order in which it adds up the whole array's:

* Axes before the kept ones, as those of images in a batch norm, are gone through one by one: each block adds its sum.
* Axes after the kept ones, as those of a row or a plane, lie whole in each block.

So results are complete within a block only where no axis before the kept ones is reduced; such a result, if it keeps
its axes, may be read in the group itself. That makes a softmax one group.

What does not belong here: the order of equations (`schedule`), and how blocks are run (the engine).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from symgraph.program.values import Equation, Value

__all__ = ["REDUCTIONS", "Cut", "Fusion", "cut", "extent"]

#: Reductions that may join a group.
REDUCTIONS = frozenset({"sum", "max", "min"})
#: Most bytes of what lies whole in a block.
WHOLE_BYTES = 1 << 19


def extent(equation: Equation) -> tuple[int, ...]:
    """Return the shape over which an equation of a group runs: the operand's of a reduction, else the result's."""
    return (equation.inputs if equation.primitive.name in REDUCTIONS else equation.outputs)[0].shape


@dataclass(frozen=True)
class Cut:
    """The axes of a group: reduced ones before the kept ones, the kept ones, reduced ones after them."""

    before: tuple[int, ...]
    kept: tuple[int, ...]
    after: tuple[int, ...]


def cut(shape: Sequence[int], axes: Sequence[int]) -> Cut | None:
    """Return how the axes of a shape divide if `axes` are reduced, or None if blocks would change bits.

    >>> cut((8, 64, 7, 7), (0, 2, 3))
    Cut(before=(0,), kept=(1,), after=(2, 3))
    >>> cut((8, 64), (0,)) is None
    True
    """
    long = [k for k, n in enumerate(shape) if n > 1]
    kept = [k for k in long if k not in axes]
    # Without a kept axis NumPy adds up all as one run, which must not be cut; so it does without an axis after it.
    if not kept or any(kept[0] < k < kept[-1] and k in axes for k in long):
        return None
    first, last = kept[0], kept[-1] + 1
    if not any(k >= last for k in long):
        return None
    return Cut(tuple(range(first)), tuple(range(first, last)), tuple(range(last, len(shape))))


class Fusion:
    """A group in the making.

    Attributes
    ----------
    equations
        Its equations, in order.
    axes
        The axes that its reductions reduce.
    """

    def __init__(self) -> None:
        self.equations: list[Equation] = []
        self.axes: tuple[int, ...] = ()
        self._computed: set[int] = set()
        #: Results of reductions that nobody in the group may read.
        self._closed: set[int] = set()

    def reads(self, equation: Equation) -> bool:
        """Return whether an equation reads what the group computes."""
        return any(id(v) in self._computed for v in equation.inputs)

    def take(self, equation: Equation) -> bool:
        """Let an equation join, if it may; the first one may if it can be in a group at all."""
        if self.equations and extent(equation) != extent(self.equations[0]):
            return False
        if any(id(v) in self._closed for v in equation.inputs):
            return False
        if equation.primitive.name in REDUCTIONS:
            axes = tuple(sorted(equation.params["axes"]))
            parts = cut(extent(equation), axes)
            if parts is None or (self.axes and self.axes != axes) or not self._reducible(equation, parts):
                return False
            self.axes = axes
            if any(extent(equation)[k] > 1 for k in parts.before) or not equation.params["keepdims"]:
                self._closed.update(id(v) for v in equation.outputs)
        elif equation.primitive.kind != "map":
            return False
        self.equations.append(equation)
        self._computed.update(id(v) for v in equation.outputs)
        return True

    def _reducible(self, equation: Equation, parts: Cut) -> bool:
        (x,), out = equation.inputs, equation.outputs[0]
        # Results of several blocks are added; that of one is rounded before, where NumPy adds up halves as floats.
        adds_up = equation.primitive.name == "sum" and x.dtype != np.float16
        return (
            x.dtype == out.dtype
            and (adds_up or all(x.shape[k] == 1 for k in parts.before))
            and math.prod(x.shape[k] for k in parts.after) * x.dtype.itemsize <= WHOLE_BYTES
            and (id(x) in self._computed or _row_major(x))
        )


def _row_major(value: Value) -> bool:
    """Return whether a value lies in memory row by row for certain: the order of additions follows memory."""
    while value.equation is not None and value.equation.primitive.name in ("reshape", "stop_gradient"):
        value = value.equation.inputs[0]
    return value.equation is None or value.equation.primitive.kind != "view"
