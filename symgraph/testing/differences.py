"""Central differences: a claimed gradient against the slope of a function along one direction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["STEP", "TOLERANCE", "disagreement"]

#: Step of the central differences. In float64 their error is about ``STEP**2`` from the third derivative and
#: ``2**-52 / STEP`` from rounding, both near 1e-11 for functions of order one.
STEP = 1e-5
#: Allowed relative error of a gradient, of the sum of the absolute values of its terms. The largest that was found is a
#: third of it (a logarithm near its pole), half of all are below 1e-12; a wrong slope is off by far more.
TOLERANCE = 1e-8


def disagreement(
    evaluate: Callable[[dict[str, Any]], Sequence[Any]],
    at: Mapping[str, Any],
    direction: Mapping[str, Any],
    heads: Sequence[Any],
    grads: Mapping[str, Any],
    tolerance: float = TOLERANCE,
) -> str | None:
    """Return how a gradient disagrees with central differences, or None if it does not.

    Parameters
    ----------
    evaluate
        The function: arrays by name to a list of arrays.
    at
        Where; its floating point arrays should be float64.
    direction
        Where to go, for the names that move; the others stay.
    heads
        Weight of each element of the results; those of integers do not count.
    grads
        The claimed gradient of the weighted sum of the results, for the names that move.
    tolerance
        Allowed difference, relative to the sum of the absolute values of the slope's terms.
    """
    weights = [h for h in heads if h.dtype.kind == "f"]

    def moved(step: float) -> list[Any]:
        there = {n: x + step * direction[n] if n in direction else x for n, x in at.items()}
        results = evaluate(there)
        return [y.astype(np.float64) for y, h in zip(results, heads, strict=True) if h.dtype.kind == "f"]

    higher, lower = moved(STEP), moved(-STEP)
    slope = sum(float(np.sum(h * (a - b))) for h, a, b in zip(weights, higher, lower, strict=True)) / (2 * STEP)
    parts = [grads[n] * direction[n] for n in direction]
    claimed = sum(float(np.sum(part)) for part in parts)
    size = sum(float(np.sum(np.abs(part))) for part in parts)
    # The values themselves are rounded, too: their differences carry that error, divided by the step.
    size += STEP * sum(float(np.sum(np.abs(h * a))) for h, a in zip(weights, higher, strict=True))
    if abs(slope - claimed) <= tolerance * (1e-3 + size):
        return None
    return f"says {claimed!r} along a random direction, central differences {slope!r}"
