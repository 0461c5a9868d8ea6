"""Rules of simplification, as data: a sentence, a before and an after, both written as ordinary expressions.

One test proves them all: it evaluates both sides and demands equal bits. A rule that could change rounding, the sign
of a zero, NaN or infinity is marked ``exact=False`` and is off by default.

A pattern's arrays match any value; its numbers match a constant that is that number everywhere. The parameters of a
rearrangement match anything: `after` reads what it needs from the result's spec (`out`) or from the matched
parameters (`params`, outermost first).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.program.recorder import Recorded, Recorder
from symgraph.program.values import Equation, Spec, Value

__all__ = ["RULES", "Rule", "match", "uniform_number"]

_FLOAT = np.dtype("float32")


@dataclass(frozen=True)
class Rule:
    """One rule of simplification.

    Parameters
    ----------
    sentence
        What it says.
    before, after
        The two sides, functions of (xp, arrays...); `after` may also ask for `out` and `params` by name.
    shapes
        Shapes of the arrays in the rule's own test.
    exact
        Whether both sides give the same bits for all operands.
    """

    sentence: str
    before: Callable[..., Any]
    after: Callable[..., Any]
    shapes: Sequence[tuple[int, ...]] = ((2, 3),)
    exact: bool = True

    @property
    def root(self) -> str:
        """Name of the outermost primitive of the pattern."""
        return self.pattern()[0].primitive.name

    def pattern(self) -> tuple[Equation, list[Value]]:
        """Return the pattern's outermost equation and its variables."""
        recorder = Recorder()
        variables = [recorder.input(Spec(shape, _FLOAT)) for shape in self.shapes]
        result = self.before(recorder, *variables)
        assert result.value.equation is not None
        return result.value.equation, [x.value for x in variables]

    def rewrite(self, recorder: Recorder, bound: Sequence[Value], out: Spec, params: list[dict[str, Any]]) -> Value:
        """Record the right side on the matched values."""
        asked = inspect.signature(self.after).parameters
        extra: dict[str, Any] = {k: v for k, v in (("out", out), ("params", params)) if k in asked}
        result: Recorded = self.after(recorder, *(Recorded(recorder, v) for v in bound), **extra)
        return result.value


_SPREADING = ("broadcast_to", "reshape")


def uniform_number(value: Value) -> float | None:
    """Return the number that a value is everywhere, if it is a constant of that kind."""
    while value.equation is not None and value.equation.primitive.name in _SPREADING:
        value = value.equation.inputs[0]
    if value.kind != "constant" or value.size == 0 or value.dtype.kind not in "fiu":
        return None
    first = value.data.flat[0]
    uniform = value.size == 1 or bool(((value.data == first) & (np.signbit(value.data) == np.signbit(first))).all())
    return float(first) if uniform else None


def match(pattern: Value, value: Value, bound: dict[int, Value], params: list[dict[str, Any]]) -> bool:
    """Match a value against a pattern, binding variables; `bound` and `params` are filled."""
    if pattern.kind == "input":
        known = bound.setdefault(id(pattern), value)
        return known is value
    if pattern.kind == "constant":
        number, wanted = uniform_number(value), float(pattern.data)
        return number == wanted and math.copysign(1.0, wanted) == math.copysign(1.0, number)  # 0 is not -0
    there, here = pattern.equation, value.equation
    if there is None or here is None or here.primitive is not there.primitive:
        return False
    for p, v in zip(there.inputs, here.inputs, strict=True):  # most operands can be told from the pattern's at a glance
        made = v.equation
        if p.equation is not None:
            if made is None or made.primitive is not p.equation.primitive:
                return False
        elif p.kind == "constant" and made is not None and made.primitive.name not in _SPREADING:
            return False
    params.append(dict(here.params))
    return all(match(p, v, bound, params) for p, v in zip(there.inputs, here.inputs, strict=True))


def _compose(xp: Any, x: Any, params: list[dict[str, Any]]) -> Any:
    outer, inner = params[0]["axes"], params[1]["axes"]
    return xp.permute_dims(x, tuple(inner[a] for a in outer))


def _square(xp: Any, x: Any) -> Any:
    return x if x.dtype == np.dtype(bool) else xp.square(x)  # truth values have no square


RULES: list[Rule] = [
    Rule("x * 1 is x", lambda xp, x: x * 1.0, lambda xp, x: x),
    Rule("1 * x is x", lambda xp, x: 1.0 * x, lambda xp, x: x),
    Rule("x / 1 is x", lambda xp, x: x / 1.0, lambda xp, x: x),
    Rule("x - 0 is x", lambda xp, x: x - 0.0, lambda xp, x: x),
    Rule("-(-x) is x", lambda xp, x: -(-x), lambda xp, x: x),  # noqa: B002 - two negations are meant
    Rule("x * -1 is -x", lambda xp, x: x * -1.0, lambda xp, x: -x),
    Rule("|(|x|)| is |x|", lambda xp, x: xp.abs(xp.abs(x)), lambda xp, x: xp.abs(x)),
    Rule("x + (-y) is x - y", lambda xp, x, y: x + (-y), lambda xp, x, y: x - y, [(2, 3)] * 2),
    Rule("x - (-y) is x + y", lambda xp, x, y: x - (-y), lambda xp, x, y: x + y, [(2, 3)] * 2),
    Rule("x * x is square(x)", lambda xp, x: x * x, _square),
    Rule("max(max(x, 0), 0) is max(x, 0)", lambda xp, x: xp.relu(xp.relu(x)), lambda xp, x: xp.relu(x)),
    Rule("stop_gradient(x) computes x", lambda xp, x: xp.stop_gradient(x), lambda xp, x: x),
    Rule(
        "a reshape of a reshape is one reshape",
        lambda xp, x: xp.reshape(xp.reshape(x, (6,)), (3, 2)),
        lambda xp, x, out: xp.reshape(x, out.shape),
    ),
    Rule(
        "a permutation of a permutation is one permutation",
        lambda xp, x: xp.permute_dims(xp.permute_dims(x, (1, 2, 0)), (1, 2, 0)),
        _compose,
        [(2, 3, 4)],
    ),
    Rule(
        "a broadcast of a broadcast is one broadcast",
        lambda xp, x: xp.broadcast_to(xp.broadcast_to(x, (4, 3)), (2, 4, 3)),
        lambda xp, x, out: xp.broadcast_to(x, out.shape),
        [(1, 3)],
    ),
    Rule("x + 0 is x", lambda xp, x: x + 0.0, lambda xp, x: x, exact=False),  # -0 + 0 is 0
    Rule("0 + x is x", lambda xp, x: 0.0 + x, lambda xp, x: x, exact=False),
    Rule("x * 0 is 0", lambda xp, x: x * 0.0, lambda xp, x: xp.zeros_like(x), exact=False),  # inf * 0 is NaN
]
