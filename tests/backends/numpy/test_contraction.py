"""Sums of products over strided views against loops in Python."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from symgraph.backends.numpy.contraction import contract


@pytest.mark.parametrize("more", [False, True])
@pytest.mark.parametrize(("batch", "summed"), [((), (5,)), ((2,), (3, 2)), ((2, 1), (2, 2, 2))])
def test_against_loops(batch: tuple[int, ...], summed: tuple[int, ...], more: bool) -> None:
    rng = np.random.default_rng(0)
    source = rng.integers(-4, 5, (*batch, 2, 3, *summed)).astype(np.float64)
    vectors = rng.integers(-4, 5, (*batch, *summed, 4)).astype(np.float64)
    out = rng.integers(-4, 5, (*batch, 2, 3, 4)).astype(np.float64)
    expected = out.copy() if more else np.zeros_like(out)
    for b, i, j, f in itertools.product(np.ndindex(*batch), range(2), range(3), range(4)):
        for k in np.ndindex(*summed):
            expected[(*b, i, j, f)] += source[(*b, i, j, *k)] * vectors[(*b, *k, f)]
    contract(source, vectors, out, more)
    np.testing.assert_array_equal(out, expected)
