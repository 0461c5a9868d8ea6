"""Gradients against central differences in float64, along a random direction; of first and second order."""

from __future__ import annotations

import pytest

import symgraph.ops  # noqa: F401  (registers the operators)
from symgraph.op import all_operators
from symgraph.testing import Use, check_sample_gradient, check_sample_second_gradient, uses

USES = uses(cls for cls in all_operators() if cls.differentiable)


@pytest.mark.parametrize("use", USES, ids=str)
def test_gradient(use: Use) -> None:
    check_sample_gradient(use)


@pytest.mark.parametrize("use", USES, ids=str)
def test_gradient_of_gradient(use: Use) -> None:
    check_sample_second_gradient(use)
