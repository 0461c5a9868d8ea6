"""Operators are values: equal by their parameters, and the same program only if they compute the same."""

from __future__ import annotations

import symgraph.ops  # noqa: F401  (registers the operators)
from symgraph.op import find


def test_equal_parameters_make_equal_operators() -> None:
    update = find("sgd_update")
    assert update(lr=0.5) == update(lr="0.5", wd=0)
    assert hash(update(lr=0.5)) == hash(update(lr="0.5", wd=0))
    assert update(lr=0.5) != update(lr=0.25)
    assert update(lr=0.5).structure() == update(lr=0.25).structure()
    assert find("_plus_scalar")(scalar=1) != find("_minus_scalar")(scalar=1)


def test_a_negative_zero_is_another_number() -> None:
    times = find("_mul_scalar")
    assert times(scalar=0.0) == times(scalar=0)
    assert times(scalar=-0.0) == times(scalar="-0.0")
    assert times(scalar=-0.0) != times(scalar=0.0)
    assert times(scalar=-0.0).structure() != times(scalar=0.0).structure()
