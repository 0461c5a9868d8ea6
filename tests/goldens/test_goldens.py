"""The goldens hold together: indices, arrays, scripts and lists say the same."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tests.goldens import (
    autograd_programs,
    executor_programs,
    ndarray_programs,
    operator_cases,
    programs,
    symbol_programs,
)
from tests.goldens.store import Goldens, references

ELEMENTWISE = """
abs sign round rint ceil floor trunc fix square sqrt rsqrt cbrt rcbrt exp log log10 log2 log1p expm1
sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh degrees radians gamma gammaln erf erfinv
reciprocal relu sigmoid hard_sigmoid softsign negative logical_not _copy smooth_l1 add_n
""".split()
ARITHMETIC = "add sub mul div".split()
BINARY = """
mod power maximum minimum hypot equal not_equal greater greater_equal lesser lesser_equal
logical_and logical_or logical_xor
""".split()
SCALAR = "plus minus rminus mul div rdiv rmod rpower".split()
OTHERS = """
sum mean prod nansum nanprod max min norm argmax argmin argmax_channel broadcast_to broadcast_axis broadcast_like
dot batch_dot transpose Reshape Flatten expand_dims slice slice_axis Concat SliceChannel stack take one_hot where clip
Cast FullyConnected Convolution Pooling BatchNorm Activation LeakyReLU Dropout softmax log_softmax Embedding
SoftmaxOutput LinearRegressionOutput LogisticRegressionOutput MAERegressionOutput MakeLoss make_loss BlockGrad
_zeros _ones _arange _full zeros_like ones_like _random_uniform _random_normal
""".split()

ISSUE_2 = {
    *ELEMENTWISE,
    *(f"elemwise_{name}" for name in ARITHMETIC),
    *(f"_{name}" for name in BINARY),
    *(f"broadcast_{name}" for name in ARITHMETIC + BINARY),
    *(f"_{name}_scalar" for name in BINARY + SCALAR),
    *OTHERS,
}
"""The operators that issue 2 names, less the optimizer updates."""


@pytest.fixture(scope="module", params=["operators", "symbols", "executor", "ndarray", "autograd"])
def goldens(request: pytest.FixtureRequest) -> Goldens:
    return Goldens(request.param)


@pytest.fixture(scope="module")
def operators() -> Goldens:
    return Goldens("operators")


def test_references_cover_the_arrays_exactly(goldens: Goldens) -> None:
    covered = {name: np.zeros(member.shape, bool) for name, member in goldens.members.items()}
    for dtype, start, shape in references(goldens.cases):
        stop = start + math.prod(shape)
        assert 0 <= start <= stop <= covered[dtype].size
        covered[dtype][start:stop] = True
    assert {name: int((~mask).sum()) for name, mask in covered.items()} == dict.fromkeys(covered, 0)


def test_members_are_flat_and_named_by_their_dtype(goldens: Goldens) -> None:
    assert {name: (member.dtype.name, member.ndim) for name, member in goldens.members.items()} == {
        name: (name, 1) for name in goldens.members
    }


def test_every_listed_case_was_recorded(operators: Goldens) -> None:
    assert sorted(operators.cases) == sorted(case.id for case in operator_cases.CASES)


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        ("symbols", symbol_programs.PROGRAMS),
        ("executor", executor_programs.PROGRAMS),
        ("ndarray", ndarray_programs.PROGRAMS),
        ("autograd", autograd_programs.PROGRAMS),
    ],
)
def test_every_listed_program_was_recorded_as_it_stands(name: str, listed: dict[str, str]) -> None:
    assert {key: case["source"] for key, case in Goldens(name).cases.items()} == listed


def test_every_operator_of_issue_2_has_a_case_that_runs(operators: Goldens) -> None:
    run = {case["op"] for case in operators.cases.values() if "refused" not in case}
    assert ISSUE_2 - run == set()


def test_slice_flag_is_issue_2(operators: Goldens) -> None:
    flagged = {case["op"] for case in operators.cases.values() if case["slice"]}
    assert flagged == ISSUE_2


def test_cases_have_their_arrays(operators: Goldens) -> None:
    listed = {case.id: case for case in operator_cases.CASES}
    for name, case in operators.cases.items():
        roles = set(case["arrays"])
        assert {f"in.{key}" for key in case["inputs"]} <= roles, name
        if "refused" in case:
            assert roles == {f"in.{key}" for key in case["inputs"]}, name
            continue
        unwritten = operator_cases.UNWRITTEN.get(case["op"], set())
        outputs = {f"out.{index}" for index in range(len(case["shapes"])) if index not in unwritten}
        assert {role for role in roles if role.startswith("out.")} == (outputs if listed[name].values else set()), name
        gradients = {role for role in roles if role.startswith("grad.")}
        heads = {role for role in roles if role.startswith("head.")}
        assert len(heads) == (case["visible"] if gradients else 0), name
        if case["train"] and listed[name].grad and listed[name].values:
            floats = {key for key in case["inputs"] if case["arrays"][f"in.{key}"][0].startswith("float")}
            without = {*case["aux"], *case.get("grad_refused", ()), *case.get("grad_untouched", ())}
            assert gradients == {f"grad.{key}" for key in floats - without}, name


def test_shapes_and_dtypes_are_those_of_the_arrays(operators: Goldens) -> None:
    for name, case in operators.cases.items():
        for role, (dtype, _, shape) in case["arrays"].items():
            kind, _, which = role.partition(".")
            if kind in {"out", "head"}:
                assert [dtype, shape] == [case["dtypes"][int(which)], case["shapes"][int(which)]], name
            elif kind != "in":
                assert [dtype, shape] == [case["arrays"][f"in.{which}"][0], case["arrays"][f"in.{which}"][2]], name


def test_sums_were_recorded_right(operators: Goldens) -> None:
    arrays = operators.arrays("sum-axis-02")
    np.testing.assert_allclose(arrays["out.0"], arrays["in.data"].sum((0, 2)), rtol=1e-6)
    np.testing.assert_array_equal(arrays["grad.data"], np.broadcast_to(arrays["head.0"][None, :, None], (2, 3, 4)))


def test_findings_agree_with_themselves() -> None:
    for name in ("symbols", "executor", "ndarray", "autograd"):
        goldens = Goldens(name)
        for case in goldens.cases.values():
            found = goldens.decode(case["result"])
            assert programs.differences(found, found) == []


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        (1, 2),
        (1, 1.0),
        (1, True),
        ("a", "b"),
        (1.0, 1.1),
        ([1, 2], [1]),
        ({"a": 1}, {}),
        ({}, {"a": 1}),
        (None, 0),
        (np.ones(2), np.ones(3)),
        (np.ones(2), np.ones(2, "float32")),
        (np.ones(2), np.array([1.0, 1.1])),
        (np.array([1, 2]), np.array([1, 3])),
        ({"raises": "TypeError"}, {"raises": ["ValueError", "Exception"]}),
        ({"raises": "MXNetError"}, {"raises": []}),
        ({"raises": ""}, {"raises": ["ValueError"]}),
        ({"raises": "TypeError"}, 3),
    ],
)
def test_differences_are_found(expected: Any, actual: Any) -> None:
    assert programs.differences(expected, actual) != []


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ({"raises": "ValueError"}, {"raises": ["ShapeError", "SymgraphError", "ValueError", "Exception"]}),
        ({"raises": "MXNetError"}, {"raises": ["KeyError"]}),
        ({"raises": ""}, {"raises": []}),
        (float("nan"), float("nan")),
        (np.array([1.0, np.nan]), np.array([1.0 + 1e-9, np.nan])),
    ],
)
def test_what_is_no_difference(expected: Any, actual: Any) -> None:
    assert programs.differences(expected, actual) == []


def test_lower_bounds_allow_more_to_be_known() -> None:
    assert programs.differences([[0, 3], [], "refused"], [[2, 3], [4], [5]], lower_bound=True) == []
    assert programs.differences([[0, 3]], [[2, 4]], lower_bound=True) != []
