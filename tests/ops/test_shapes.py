"""Inference against computation: shapes and dtypes are what is computed, and rules conclude nothing false."""

from __future__ import annotations

import pytest

import symgraph.ops  # noqa: F401  (registers the operators)
from symgraph.op import all_operators
from symgraph.testing import Use, check_partial_shapes, check_shapes, uses

USES = uses(all_operators())


@pytest.mark.parametrize("use", USES, ids=str)
def test_inferred_is_computed(use: Use) -> None:
    check_shapes(use)


@pytest.mark.parametrize("use", USES, ids=str)
def test_rules_conclude_the_truth_from_parts_of_it(use: Use) -> None:
    check_partial_shapes(use)
