"""The programs about symbols find what they find on MXNet 1.9.1, but for a list of differences that are meant."""

from __future__ import annotations

import pytest

import symgraph
from symgraph.errors import GraphFormatError, ShapeError
from tests.goldens import programs
from tests.goldens.store import Goldens

GOLDENS = Goldens("symbols")
CASES = GOLDENS.cases

#: What differs on purpose: the findings by place, and why.
MEANT: dict[str, tuple[tuple[str, ...], str]] = {
    "attr-values-accepted": (
        ("result['int'][5]", "result['float'][7]", "result['tuple'][11]"),
        "Python-2 longs are numbers everywhere, a tiny float is rounded, and () is an empty kernel until it is used",
    ),
    "iteration": (("result[5]",), "a slice with a negative step gives the outputs in reverse"),
    "json-load-errors": (("result['unknown operator']",), "unknown operators load, so that files can be inspected"),
    "type-cast": (("result[2]",), "what nothing tells is float32, here as when binding"),
    "type-mlp": (("result[3]",), "what nothing tells is float32, here as when binding"),
    "type-operators": (("result['pick']",), "what nothing tells is float32, here as when binding"),
}

#: Programs that raise on purpose where MXNet goes on.
RAISES: dict[str, tuple[type[Exception], str]] = {
    "json-escapes": (GraphFormatError, "control characters in names are refused"),
    "json-escapes-load": (GraphFormatError, "control characters in names are refused"),
    "shape-incomplete-full": (ShapeError, "MXNet warns and returns None"),
}

#: Programs that need rooms of the package that are still to be built.
WAITING = {name for name, case in CASES.items() if "mx.init" in case["source"] and not hasattr(symgraph, "init")}


@pytest.mark.parametrize("name", sorted(CASES))
def test_program(name: str) -> None:
    if name in WAITING:
        pytest.skip("initializers are not built yet")
    if name in RAISES:
        with pytest.raises(RAISES[name][0]):
            programs.run(CASES[name]["source"], symgraph)
        return
    places, _ = MEANT.get(name, ((), ""))
    assert programs.surprises(GOLDENS, name, symgraph, places) == []


def test_lists_name_programs() -> None:
    assert {*MEANT, *RAISES} <= set(CASES)
