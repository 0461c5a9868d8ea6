"""Autograd programs find what they find on MXNet, up to the differences that are meant."""

from __future__ import annotations

import pytest

import symgraph as mx
from tests.goldens import programs
from tests.goldens.store import Goldens

GOLDENS = Goldens("autograd")

#: Where we differ on purpose: the place in a program's findings, and why.
MEANT: dict[str, dict[str, str]] = {
    "head-gradients": {"result[3]": "a head gradient that is no NDArray is an ArgumentError, not an AttributeError"},
    "requests": {"result[4]": "an unknown grad_req is an ArgumentError, not a KeyError"},
}


@pytest.mark.parametrize("name", GOLDENS.cases)
def test_program(name: str) -> None:
    case = GOLDENS.cases[name]
    lines = programs.differences(GOLDENS.decode(case["result"]), programs.run(case["source"], mx))
    meant = MEANT.get(name, {})
    assert [line for line in lines if line.partition(":")[0] not in meant] == []
    assert {place for place in meant if not any(line.startswith(place + ":") for line in lines)} == set()
