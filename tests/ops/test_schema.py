"""What operators say of themselves: complete documentation, and MXNet's names, argument order, types and defaults."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import symgraph.ops  # noqa: F401  (registers the operators)
from symgraph.op import Param, all_operators, find
from symgraph.op.types import (
    BoolType,
    DTypeType,
    EnumType,
    FloatType,
    IntType,
    OptionalType,
    ParamType,
    TextType,
    TupleType,
)
from symgraph.testing import check_documentation
from tests.goldens.store import FOLDER

OPERATORS = {cls.op_name: cls for cls in all_operators()}
SCHEMA: dict[str, Any] = json.loads((FOLDER / "schema.json").read_text(encoding="utf-8"))

#: Operators that have other inputs than MXNet lists, and why.
OTHER_INPUTS = {
    "BatchNorm_v1": "MXNet does not list the states that it composes",
    "IdentityAttachKLSparseReg": "MXNet does not list the state that it composes",
}
#: Operators whose parameters are not those that MXNet lists, and why.
OTHER_PARAMETERS = {
    "_linspace": "MXNet lists the parameters of _arange, but takes num and endpoint",
}
#: Single parameters that differ, by operator and name, and why.
OTHER_TYPE: dict[tuple[str, str], str] = {
    ("smooth_l1", "scalar"): "MXNet lists it as required, but takes 1 if it is missing",
    ("Convolution", "layout"): "NWC, too, is taken for data with one axis of space",
    ("Deconvolution", "layout"): "NWC, too, is taken for data with one axis of space",
}


def each(names: Any) -> Any:
    return pytest.mark.parametrize("name", list(names))


def kind_of(kind: ParamType) -> dict[str, Any]:
    """Return a parameter's type in the words of the golden file."""
    if isinstance(kind, OptionalType):
        return {**kind_of(kind.inner), "none": True}
    if isinstance(kind, DTypeType | EnumType):
        return {"kind": "choice", "choices": sorted(kind.choices)}
    if isinstance(kind, TupleType):
        item = kind.item.inner if isinstance(kind.item, OptionalType) else kind.item
        return {"kind": "ints" if isinstance(item, IntType) else "floats"}
    if isinstance(kind, FloatType):
        return {"kind": "double" if kind.double else "float"}
    words = {BoolType: "bool", IntType: "int", TextType: "text"}
    return {"kind": words[type(kind)]}


def difference(ours: Param, theirs: dict[str, Any]) -> str | None:
    """Say how a parameter differs from MXNet's; None if it does not."""
    told = {k: v for k, v in theirs.items() if k not in ("name", "default")}
    if kind_of(ours.type) != told:
        return f"{ours.name} is {kind_of(ours.type)}, in MXNet {told}"
    if ours.required != ("default" not in theirs):
        return f"{ours.name} {'is' if ours.required else 'is not'} required, in MXNet the other way"
    if not ours.required and ours.parse(theirs["default"].replace("[", "(").replace("]", ")")) != ours.default:
        return f"{ours.name} is {ours.default!r} by default, in MXNet {theirs['default']}"
    return None


@each(OPERATORS)
def test_documentation_is_complete(name: str) -> None:
    check_documentation(OPERATORS[name])


@each(SCHEMA)
def test_names_are_those_of_mxnet(name: str) -> None:
    cls, told = find(name), SCHEMA[name]
    assert cls.op_name == name
    assert sorted(cls.aliases) == told["aliases"]
    if name not in OTHER_INPUTS:
        assert [i.name for i in cls.inputs] == told["inputs"]
    assert [i.counted_by for i in cls.inputs if i.variadic and i.counted_by == told["count"]] == (
        [told["count"]] if told["count"] else []
    )


@each(name for name in SCHEMA if name not in OTHER_PARAMETERS)
def test_parameters_are_those_of_mxnet(name: str) -> None:
    cls, told = find(name), SCHEMA[name]
    # MXNet does not list the number of inputs where it can count them itself.
    listed = {p["name"] for p in told["params"]}
    ours = [p for p in cls.params if p.name != told["count"] or p.name in listed]
    assert [p.name for p in ours] == [p["name"] for p in told["params"]]
    found = [difference(p, q) for p, q in zip(ours, told["params"], strict=True)]
    assert [text for p, text in zip(ours, found, strict=True) if text and (name, p.name) not in OTHER_TYPE] == []


@cache
def _mxnet(folder: Path) -> frozenset[str]:
    told = json.loads((folder / "oracle" / "ops.json").read_text(encoding="utf-8"))["ops"]
    return frozenset(told)


def test_the_extract_covers_every_operator(shared: Path) -> None:
    """Each operator that MXNet has, too, is in the extract; if not: ``python -m tests.goldens.make_schema``."""
    assert sorted(_mxnet(shared) & OPERATORS.keys() - SCHEMA.keys()) == []


def test_each_exception_is_one() -> None:
    for (name, parameter), why in OTHER_TYPE.items():
        ours = {p.name: p for p in find(name).params}[parameter]
        theirs = {p["name"]: p for p in SCHEMA[name]["params"]}[parameter]
        assert difference(ours, theirs), f"{name}: {why}, but there is no difference"
    for name, why in OTHER_INPUTS.items():
        assert [i.name for i in find(name).inputs] != SCHEMA[name]["inputs"], (
            f"{name}: {why}, but there is no difference"
        )
    for name, why in OTHER_PARAMETERS.items():
        names = [p["name"] for p in SCHEMA[name]["params"]]
        assert [p.name for p in find(name).params] != names, f"{name}: {why}, but there is no difference"


def test_a_wrong_schema_is_seen() -> None:
    """A parameter of another type, another default, or required: each is told."""
    told = {"name": "axis", "kind": "int", "default": "1"}
    axis = next(p for p in find("SliceChannel").params if p.name == "axis")
    assert difference(axis, told) is None
    assert "in MXNet 2" in str(difference(axis, {**told, "default": "2"}))
    assert "in MXNet {'kind': 'float'}" in str(difference(axis, {**told, "kind": "float"}))
    assert "not required" in str(difference(axis, {"name": "axis", "kind": "int"}))
    assert difference(axis, {**told, "none": True})
