"""An operator's `compute` on arrays and its traced program agree in every bit."""

from __future__ import annotations

import pytest

import symgraph.ops  # noqa: F401  (registers the operators)
from symgraph.op import all_operators
from symgraph.testing import Use, check_eager, uses


@pytest.mark.parametrize("use", uses(all_operators()), ids=str)
def test_eager_is_program(use: Use) -> None:
    check_eager(use)
