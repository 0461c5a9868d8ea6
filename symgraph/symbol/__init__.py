"""Symbols: ``mx.sym``.

A function for every operator, under every name that MXNet has for it; variables, groups, files; submodules
``contrib``, ``linalg``, ``random``, ``sparse``, ``image``, ``op`` and ``_internal``.

What does not belong here: operators (`symgraph.ops`), graphs (`symgraph.graph`), running them (`symgraph.executor`).
"""

from __future__ import annotations

from typing import Any

from symgraph.op.modules import names, submodules
from symgraph.symbol import random
from symgraph.symbol.functions import (
    arange,
    eye,
    full,
    histogram,
    hypot,
    linspace,
    maximum,
    minimum,
    ones,
    operator_function,
    pow,
    power,
    split_v2,
    zeros,
)
from symgraph.symbol.symbol import Group, Symbol, Variable, load, load_json, loads, var
from symgraph.symbol.training import training_step

__all__ = [
    "Group",
    "Symbol",
    "Variable",
    "arange",
    "eye",
    "full",
    "histogram",
    "hypot",
    "linspace",
    "load",
    "load_json",
    "loads",
    "maximum",
    "minimum",
    "ones",
    "pow",
    "power",
    "random",
    "split_v2",
    "training_step",
    "var",
    "zeros",
]

globals().update(submodules(__name__, operator_function))


def __getattr__(name: str) -> Any:
    found = operator_function(name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *names()})
