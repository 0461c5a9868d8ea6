"""Every operator inside a graph: through JSON and back, and as a plan with every optimisation on and off."""

from __future__ import annotations

import pytest

import symgraph.ops  # noqa: F401  (registers the operators)
from symgraph.op import all_operators
from symgraph.testing import Use, check_json, check_optimized, uses

USES = uses(all_operators())


@pytest.mark.parametrize("use", USES, ids=str)
def test_json_round_trip(use: Use) -> None:
    check_json(use)


@pytest.mark.parametrize("use", USES, ids=str)
def test_optimised_is_unoptimised(use: Use) -> None:
    check_optimized(use)
