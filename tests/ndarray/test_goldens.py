"""NDArray programs find what they find on MXNet, up to the differences that are meant."""

from __future__ import annotations

import pytest

import symgraph as mx
from tests.goldens import programs
from tests.goldens.store import Goldens

GOLDENS = Goldens("ndarray")

#: Where we differ on purpose: the place in a program's findings, and why.
MEANT: dict[str, dict[str, str]] = {
    "dtypes": {"result[14]": "an element type that does not exist is a DTypeError, not a KeyError"},
    "functions-errors": {"result['unknown parameter']": "MXNet passes over unknown parameters of some operators"},
    "index-read-mixed": {"result['unequal lists']": "lists of indices that do not fit each other are an IndexError"},
    "index-write-mixed": {"result['overlap']": "MXNet reads elements that the same assignment has overwritten"},
    "out-argument": {"result[4]": "out that is no NDArray is an ArgumentError, not an AttributeError"},
    "scalars-without-axes": {"result[9]": "len() of an array without axes is a TypeError, as in Python"},
    "sharing-with-numpy": {"result[7]": "an element type that does not exist is a DTypeError"},
}


@pytest.mark.parametrize("name", GOLDENS.cases)
def test_program(name: str) -> None:
    assert programs.surprises(GOLDENS, name, mx, MEANT.get(name, ())) == []
