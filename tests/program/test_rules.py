"""Each rule of simplification, proved by evaluating both sides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from symgraph.backends.numpy import eager
from symgraph.errors import SymgraphError
from symgraph.program import Program, Recorder, Spec, Value
from symgraph.program.passes import optimize
from symgraph.program.rules import RULES, Rule, match, uniform_number
from tests.program.generate import SPECIAL, data, same_bits

Array = np.ndarray[Any, Any]
EXACT = [r for r in RULES if r.exact]
INEXACT = [r for r in RULES if not r.exact]
FLOATS = ("float16", "float32", "float64")
DTYPES = (*FLOATS, "int8", "uint8", "int32", "int64", "bool")


def sides(rule: Rule, dtype: str) -> Program | None:
    """Return a program whose outputs are the two sides; None if the rule is not for the dtype."""
    recorder = Recorder()
    variables = [recorder.input(Spec(tuple(s), np.dtype(dtype)), f"x{k}") for k, s in enumerate(rule.shapes)]
    try:
        before = rule.before(recorder, *variables)
    except SymgraphError:
        return None
    pattern, pattern_variables = rule.pattern()
    bound: dict[int, Value] = {}
    params: list[dict[str, Any]] = []
    if before.value.equation is None or not match(pattern.outputs[0], before.value, bound, params):
        return None
    matched = [bound[id(v)] for v in pattern_variables]
    after = rule.rewrite(recorder, matched, before.value.spec, params)
    recorder.program.outputs = [before.value, after]
    return recorder.program


def trials(rule: Rule, dtype: str) -> list[list[Array]]:
    """Return data: random numbers, and all pairs of special ones."""
    made = [[data(s, dtype, 10 * k + j, 0.5) for j, s in enumerate(rule.shapes)] for k in range(20)]
    if dtype in FLOATS:
        with np.errstate(all="ignore"):
            tiny = np.finfo(dtype).smallest_subnormal
            special = np.array([*SPECIAL, float(tiny), -float(tiny), float(np.finfo(dtype).max)]).astype(dtype)
        for k in range(len(special)):
            made.append([np.resize(np.roll(special, k * j), s) for j, s in enumerate(rule.shapes)])
            made.append([np.resize(np.roll(special, k * (1 - j)), s) for j, s in enumerate(rule.shapes)])
    elif dtype != "bool":
        bounds = np.iinfo(dtype)
        corners = np.array([bounds.min, bounds.max, bounds.min + 1, 0, 1], dtype)
        made.extend([np.resize(np.roll(corners, k * (j + 1)), s) for j, s in enumerate(rule.shapes)] for k in range(5))
    return made


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rule", EXACT, ids=lambda r: r.sentence)
def test_both_sides_of_an_exact_rule_agree_in_every_bit(rule: Rule, dtype: str) -> None:
    program = sides(rule, dtype)
    if program is None:
        assert dtype not in FLOATS, "every rule is for floating point numbers"
        return
    assert program.outputs[0].spec == program.outputs[1].spec
    for arrays in trials(rule, dtype):
        before, after = eager.run(program, arrays)
        assert same_bits(before, after), (arrays, before, after)


@pytest.mark.parametrize("rule", INEXACT, ids=lambda r: r.sentence)
def test_both_sides_of_an_inexact_rule_differ_somewhere_but_not_for_ordinary_numbers(rule: Rule) -> None:
    program = sides(rule, "float32")
    assert program is not None
    assert any(not same_bits(*eager.run(program, arrays)) for arrays in trials(rule, "float32"))
    ordinary = [data(s, "float32", k, special=0) for k, s in enumerate(rule.shapes)]
    # Equal as numbers: -0 and 0 are.
    np.testing.assert_array_equal(*eager.run(program, ordinary))


def simplified(program: Program, *, exact: bool = True) -> Program:
    """Return the program after the passes that rewrite by rules."""
    return optimize(program, eager.xp.apply, off=("fold",), on=() if exact else ("relax",))[0]


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.sentence)
def test_each_rule_is_applied_and_shortens_the_program_or_cheapens_it(rule: Rule) -> None:
    recorder = Recorder()
    variables = [recorder.input(Spec(tuple(s), np.dtype("float32")), f"x{k}") for k, s in enumerate(rule.shapes)]
    recorder.program.outputs = [rule.before(recorder, *variables).value]
    program = recorder.program
    found = simplified(program, exact=rule.exact)
    made = [e.primitive.name for e in found.equations]
    assert made != [e.primitive.name for e in program.equations]
    assert len(made) <= len(program.equations)
    arrays = [data(s, "float32", k) for k, s in enumerate(rule.shapes)]
    same = [same_bits(x, y) for x, y in zip(eager.run(program, arrays), eager.run(found, arrays), strict=True)]
    assert all(same) or not rule.exact
    assert simplified(found, exact=rule.exact).equations == found.equations, "once is enough"


def test_inexact_rules_are_off_unless_asked_for() -> None:
    recorder = Recorder()
    x = recorder.input(Spec((2,), np.dtype("float32")), "x")
    recorder.program.outputs = [(x + 0.0).value]
    assert [e.primitive.name for e in simplified(recorder.program).equations] == ["add"]
    assert simplified(recorder.program, exact=False).equations == []


def test_sentences_are_unique() -> None:
    assert len({r.sentence for r in RULES}) == len(RULES)
    assert all(r.root == r.pattern()[0].primitive.name for r in RULES)


Build = Callable[[Recorder, Any], Any]


@pytest.mark.parametrize(
    "build",
    [
        lambda xp, x: x * 2.0,
        lambda xp, x: x - xp.constant(np.asarray(-0.0, np.float32)),  # -0 - -0 is 0
        lambda xp, x: x - xp.constant(np.array([0.0, -0.0, 0.0], np.float32)),
        lambda xp, x: xp.maximum(xp.maximum(x, -0.0), -0.0),
        lambda xp, x: x * xp.constant(np.array([1.0, 1.0, 2.0], np.float32)),
        lambda xp, x: x * xp.constant(np.ones((4, 2, 3), np.float32)),  # broadcasts x: another shape
        lambda xp, x: 1.0 / x,
        lambda xp, x: 0.0 - x,
        lambda xp, x: x - xp.negative(xp.negative(x)) * 3.0,
        lambda xp, x: x * xp.exp(x),
        lambda xp, x: x * xp.constant(np.asarray(np.nan, np.float32)),
        lambda xp, x: xp.abs(xp.negative(x)),
    ],
)
def test_rules_do_not_fire_where_they_do_not_hold(build: Build) -> None:
    recorder = Recorder()
    x = recorder.input(Spec((2, 3), np.dtype("float32")), "x")
    recorder.program.outputs = [build(recorder, x).value]
    found = simplified(recorder.program)
    for arrays in trials(RULES[0], "float32"):
        before, after = eager.run(recorder.program, arrays)[0], eager.run(found, arrays)[0]
        assert same_bits(before, after)
    names = [e.primitive.name for e in recorder.program.equations]
    kept = [e.primitive.name for e in found.equations]
    assert kept == names or "negative" in names


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (np.ones((2, 3)), 1.0),
        (np.array([1.0, 2.0]), None),
        (np.array([0.0, -0.0]), None),
        (np.array([-0.0, -0.0]), -0.0),
        (np.array([np.nan, np.nan]), None),
        (np.full(3, np.inf), np.inf),
        (np.empty((0,)), None),
        (np.array([True, True]), None),
        (np.array(7), 7.0),
    ],
)
def test_a_constant_that_is_one_number_everywhere_is_known(value: Array, number: float | None) -> None:
    recorder = Recorder()
    constant = recorder.constant(value)
    spread = recorder.broadcast_to(recorder.reshape(constant, (*value.shape, 1)), (2, *value.shape, 4))
    for each in (constant, spread):
        found = uniform_number(each.value)
        assert found == number
        if number is not None:
            assert np.signbit(found) == np.signbit(number)
    assert uniform_number(recorder.input(Spec((2,), np.dtype("float32"))).value) is None


def rearranged() -> list[tuple[str, Build]]:
    """Return rearranged operands, which rules could put in place of row-major results."""
    return [
        ("transposed", lambda xp, x: xp.permute_dims(x, (1, 0))),
        ("every second", lambda xp, x: xp.slice(x, [(None, None, 2), (None, None, 2)])),
        ("broadcast", lambda xp, x: xp.broadcast_to(xp.slice(x, [(0, 1, 1)]), x.shape)),
        (
            "reshaped twice",
            lambda xp, x: xp.reshape(xp.reshape(xp.permute_dims(x, (1, 0)), (x.size,)), (x.shape[1], -1)),
        ),
        ("folded", lambda xp, x: xp.full(x.shape, 0.1) * 3.0),
    ]


@pytest.mark.parametrize(
    "read",
    [
        lambda xp, x: xp.sum(x, 0),
        lambda xp, x: xp.sum(x, 1),
        lambda xp, x: xp.sum(x),
        lambda xp, x: xp.prod(x, 0),
        lambda xp, x: xp.matmul(x, xp.swapaxes(x, 0, 1)),
        lambda xp, x: xp.sum(xp.reshape(x, (x.size,))),
        lambda xp, x: xp.power(xp.abs(x), x),
    ],
)
@pytest.mark.parametrize("neutral", [lambda x: x * 1.0, lambda x: x / 1.0, lambda x: x - 0.0])
@pytest.mark.parametrize("operand", [b for _, b in rearranged()], ids=[n for n, _ in rearranged()])
def test_simplification_does_not_change_the_order_in_which_sums_add(
    operand: Build, neutral: Callable[[Any], Any], read: Build
) -> None:
    recorder = Recorder()
    x = recorder.input(Spec((37, 53), np.dtype("float32")), "x")
    recorder.program.outputs = [read(recorder, neutral(operand(recorder, x))).value]
    program = recorder.program
    found = optimize(program, eager.xp.apply)[0]
    array = data((37, 53), "float32", 1, special=0) / 2
    assert same_bits(eager.run(found, [array])[0], eager.run(program, [array])[0])


def test_where_no_sum_reads_it_a_rearranged_operand_is_simplified() -> None:
    recorder = Recorder()
    x = recorder.input(Spec((3, 4), np.dtype("float32")), "x")
    recorder.program.outputs = [recorder.exp(recorder.permute_dims(x, (1, 0)) * 1.0).value]
    assert [e.primitive.name for e in simplified(recorder.program).equations] == ["permute_dims", "exp"]


def test_truth_values_have_no_square() -> None:
    recorder = Recorder()
    x = recorder.input(Spec((3,), np.dtype("bool")), "x")
    recorder.program.outputs = [(x * x).value]
    assert simplified(recorder.program).outputs == [x.value]


def test_a_wrong_rule_does_not_pass_these_tests() -> None:
    wrong: Sequence[Rule] = (
        Rule("x + 0 is x", lambda xp, x: x + 0.0, lambda xp, x: x),
        Rule("x / 3 * 3 is x", lambda xp, x: x / 3.0 * 3.0, lambda xp, x: x),
        Rule("x - x is 0", lambda xp, x: x - x, lambda xp, x: xp.zeros_like(x)),
    )
    for rule in wrong:
        with pytest.raises(AssertionError):
            test_both_sides_of_an_exact_rule_agree_in_every_bit(rule, "float32")
