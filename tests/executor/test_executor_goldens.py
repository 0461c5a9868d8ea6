"""Executor programs find what they find on MXNet 1.9.1, up to the differences that are meant."""

from __future__ import annotations

import pytest

import symgraph as mx
from tests.goldens import programs
from tests.goldens.store import Goldens

GOLDENS = Goldens("executor")

#: Where we differ on purpose: the place in a program's findings, and why.
MEANT: dict[str, dict[str, str]] = {
    "backward-multi-output": {"result[3][1]": "each mention of an output in a group counts; in MXNet the last one"},
    "forward-ways": {"result['list']": "forward() takes whatever NumPy makes an array of"},
    "grad_req-errors": {"result['unknown in list']": "an unknown request is an ArgumentError everywhere"},
    "monitor-backward": {"result": "monitors see the forward pass; gradients are one program without nodes"},
}


@pytest.mark.parametrize("name", GOLDENS.cases)
def test_program(name: str) -> None:
    assert programs.surprises(GOLDENS, name, mx, MEANT.get(name, ())) == []
