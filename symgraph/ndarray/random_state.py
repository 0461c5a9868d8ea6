"""The seed of this process, and how often it was drawn from.

``symgraph.backends.numpy.random_bits`` turns (seed, step) into numbers. Every imperative draw, and every run of a graph
that draws, takes a step of its own.

What does not belong here: distributions.
"""

from __future__ import annotations

import contextlib
import itertools
import operator
from collections.abc import Iterator
from typing import Any, SupportsIndex

import numpy as np

from symgraph.errors import ArgumentError

__all__ = ["next_state", "rewound", "seed"]


class _Process:
    seed = 0
    steps = itertools.count()


def seed(seed_state: SupportsIndex, ctx: Any = "all") -> None:
    """Begin the random numbers of this process anew; without a call they begin as after ``seed(0)``.

    Parameters
    ----------
    seed_state
        A whole number; it counts modulo 2**64.
    ctx
        Accepted for MXNet's signature: there is one source of random numbers for all contexts.

    Raises
    ------
    ArgumentError
        If `seed_state` is no whole number.
    """
    if not isinstance(seed_state, SupportsIndex):
        raise ArgumentError(f"seed_state must be a whole number, got {seed_state!r}", where="seed()")
    _Process.seed = operator.index(seed_state) % 2**64
    _Process.steps = itertools.count()


def next_state() -> np.ndarray[Any, Any]:
    """Return (seed, step) for one draw, uint64 of shape (2,); the next one has the next step."""
    return np.array([_Process.seed, next(_Process.steps)], np.uint64)


@contextlib.contextmanager
def rewound() -> Iterator[None]:
    """Give the random numbers back at the end: what is drawn afterwards is what was drawn inside."""
    first, start = _Process.seed, next(_Process.steps)
    _Process.steps = itertools.count(start)
    try:
        yield
    finally:
        _Process.seed, _Process.steps = first, itertools.count(start)
