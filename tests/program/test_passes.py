"""Passes: each alone and together change no bit; the runner names, times, verifies and switches them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from symgraph.backends.numpy import eager
from symgraph.errors import ArgumentError
from symgraph.program import Equation, Program, Recorded, Recorder, Spec, Value
from symgraph.program import passes as module
from symgraph.program.passes import PIPELINE, Pass, cse, dead, fold, optimize
from symgraph.program.primitives import PRIMITIVES
from tests.program.generate import Case, cases, same_bits

EVALUATE = eager.xp.apply
NAMES = [p.name for p in PIPELINE]
F32 = np.dtype("float32")


def recorded(*shapes: tuple[int, ...]) -> tuple[Recorder, list[Recorded]]:
    recorder = Recorder()
    return recorder, [recorder.input(Spec(s, F32), f"x{k}") for k, s in enumerate(shapes)]


def made(program: Program) -> list[str]:
    """Return the names of a program's primitives in order."""
    return [e.primitive.name for e in program.equations]


# -- nothing changes a bit --------------------------------------------------------------------------------------------


def assert_same(case: Case, program: Program) -> None:
    before = eager.run(case.program, case.arrays, case.hypers)
    after = eager.run(program, case.arrays, case.hypers)
    assert len(before) == len(after)
    for k, (x, y) in enumerate(zip(before, after, strict=True)):
        assert same_bits(x, y), (k, x, y)


@given(case=cases(stores=False), off=st.sets(st.sampled_from(NAMES)))
@settings(max_examples=150)
def test_any_set_of_passes_leaves_every_bit_as_it_was(case: Case, off: set[str]) -> None:
    text = str(case.program)
    program, _ = optimize(case.program, EVALUATE, off=off)
    note(f"{text}\n-> \n{program}")
    assert str(case.program) == text, "passes make new programs"
    assert program.inputs == case.program.inputs
    assert program.hypers == case.program.hypers
    assert [v.spec for v in program.outputs] == [v.spec for v in case.program.outputs]
    assert_same(case, program)


@given(case=cases(stores=False, large=True))
@settings(max_examples=100)
def test_all_passes_leave_every_bit_as_it_was(case: Case) -> None:
    program, _ = optimize(case.program, EVALUATE)
    assert_same(case, program)


@given(case=cases(stores=False))
@settings(max_examples=60)
def test_what_is_optimized_stays_as_it_is(case: Case) -> None:
    program, _ = optimize(case.program, EVALUATE)
    again, _ = optimize(program, EVALUATE)
    assert len(again.equations) <= len(program.equations)
    once_more, _ = optimize(again, EVALUATE)
    assert made(once_more) == made(again)


# -- the runner -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [p.name for p in PIPELINE if p.exact])
def test_each_pass_is_switched_off_by_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder, (x,) = recorded((2,))
    recorder.program.outputs = [(x * 1.0).value]
    calls: list[str] = []

    def spying(each: Pass) -> Pass:
        def run(program: Program, evaluate: Any) -> Program:
            calls.append(each.name)
            return each.run(program, evaluate)

        return Pass(each.name, each.doc, run, each.needs, each.gives, each.exact)

    monkeypatch.setattr(module, "PIPELINE", [spying(p) for p in PIPELINE])
    _, records = optimize(recorder.program, EVALUATE, off=[name])
    inexact = {p.name for p in PIPELINE if not p.exact}
    assert calls == [n for n in NAMES if n not in (name, *inexact)]
    assert [r.name for r in records] == NAMES
    assert [r.name for r in records if not r.ran] == sorted({name, *inexact}, key=NAMES.index)


def test_an_inexact_pass_runs_only_when_it_is_let_in() -> None:
    recorder, (x,) = recorded((2,))
    recorder.program.outputs = [(x + 0.0).value]
    assert made(optimize(recorder.program, EVALUATE)[0]) == ["add"]
    assert made(optimize(recorder.program, EVALUATE, on=["relax"])[0]) == []
    assert made(optimize(recorder.program, EVALUATE, on=["relax"], off=["relax"])[0]) == ["add"]


@pytest.mark.parametrize("switch", ["off", "on"])
def test_an_unknown_name_is_refused_with_a_hint(switch: str) -> None:
    recorder, _ = recorded((2,))
    with pytest.raises(ArgumentError, match="no pass is named 'simplfy'; did you mean 'simplify'") as caught:
        optimize(recorder.program, EVALUATE, **{switch: ["simplfy"]})  # type: ignore[arg-type]
    assert "dead, fold, cse, simplify" in str(caught.value)


def test_the_log_says_what_each_pass_did() -> None:
    recorder, (x,) = recorded((2,))
    recorder.exp(x)
    recorder.program.outputs = [(x * 1.0).value]
    _, records = optimize(recorder.program, EVALUATE, off=["cse"])
    log = {r.name: r for r in records}
    assert (log["dead"].before, log["dead"].after) == (2, 1)
    assert (log["simplify"].before, log["simplify"].after) == (1, 0)
    assert all(r.milliseconds >= 0 for r in records)
    assert "2 -> 1 equations" in str(log["dead"])
    assert str(log["fold"]).endswith("unchanged")
    assert str(log["cse"]).split() == ["cse", "off"]


def test_a_pass_whose_need_is_switched_off_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder, _ = recorded((2,))
    late = Pass("late", "Needs what dead gives.", lambda p, _: p, needs=("live",))
    monkeypatch.setattr(module, "PIPELINE", [*PIPELINE, late])
    assert optimize(recorder.program, EVALUATE)[1][-1].ran
    with pytest.raises(ArgumentError, match="pass 'late' needs 'live', which pass 'dead' provides; leave it on"):
        optimize(recorder.program, EVALUATE, off=["dead"])


def test_every_need_is_given_by_an_earlier_pass_and_every_pass_is_described() -> None:
    given_so_far: set[str] = set()
    for each in PIPELINE:
        assert set(each.needs) <= given_so_far
        given_so_far.update(each.gives)
        assert each.doc.endswith(".")
    assert len(set(NAMES)) == len(NAMES)


def _reads_too_early(program: Program, _: Any) -> Program:
    return program.replaced(program.equations[::-1], program.outputs)


def _computes_twice(program: Program, _: Any) -> Program:
    return program.replaced([*program.equations, program.equations[0]], program.outputs)


def _loses_an_equation(program: Program, _: Any) -> Program:
    return program.replaced(program.equations[:-1], program.outputs)


def _changes_a_shape(program: Program, _: Any) -> Program:
    old = program.equations[-1]
    new = Equation(old.primitive, old.inputs, old.params, [Spec((9,), F32)])
    return program.replaced([*program.equations, new], program.outputs)


def _changes_a_dtype(program: Program, _: Any) -> Program:
    other = Value((3,), np.dtype("float64"), "constant", data=np.zeros(3))
    return program.replaced(program.equations, [other])


def _drops_an_output(program: Program, _: Any) -> Program:
    return program.replaced(program.equations, [])


def _adds_an_input(program: Program, _: Any) -> Program:
    return Program([*program.inputs, Value((1,), F32, "input")], program.hypers, program.equations, program.outputs)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (_reads_too_early, "before it is computed"),
        (_computes_twice, "a second time"),
        (_loses_an_equation, "computed nowhere"),
        (_changes_a_shape, "says float32\\[9\\]"),
        (_changes_a_dtype, "output 0 .*float64\\[3\\]"),
        (_drops_an_output, "0 outputs"),
        (_adds_an_input, "inputs"),
    ],
)
def test_a_pass_that_breaks_the_program_is_caught_and_named(
    broken: Any, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder, (x,) = recorded((3,))
    recorder.program.outputs = [recorder.exp(recorder.sin(x)).value]
    monkeypatch.setattr(module, "PIPELINE", [Pass("broken", "Breaks the program.", broken)])
    with pytest.raises(AssertionError, match=f"pass 'broken'.*{words}"):
        optimize(recorder.program, EVALUATE)


# -- dead -------------------------------------------------------------------------------------------------------------


def test_dead_keeps_what_an_output_needs_and_no_more() -> None:
    recorder, (x, y) = recorded((2,), (2,))
    recorder.exp(recorder.sin(y))
    a = recorder.tanh(x)
    recorder.cos(a)
    recorder.program.outputs = [a.value, y.value]
    assert made(dead(recorder.program, EVALUATE)) == ["tanh"]


# -- fold -------------------------------------------------------------------------------------------------------------


def test_fold_computes_what_depends_on_constants_alone() -> None:
    recorder, (x,) = recorded((2,))
    table = recorder.exp(recorder.constant(np.array([1.0, 2.0], np.float32))) + recorder.arange(2, dtype="float32")
    recorder.program.outputs = [(x * table).value, recorder.sum(table).value]
    found = fold(recorder.program, EVALUATE)
    assert made(found) == ["multiply"]
    assert found.outputs[1].kind == "constant"
    assert not found.outputs[1].data.flags.writeable
    arrays = [np.array([3.0, 4.0], np.float32)]
    for a, b in zip(eager.run(found, arrays), eager.run(recorder.program, arrays), strict=True):
        assert same_bits(a, b)


def test_fold_leaves_large_tables_to_be_computed() -> None:
    recorder, _ = recorded()
    recorder.program.outputs = [recorder.arange(1 << 20, dtype="float32").value, recorder.arange(8).value]
    assert made(fold(recorder.program, EVALUATE)) == ["arange"]


def test_fold_leaves_what_hyper_parameters_decide() -> None:
    recorder, _ = recorded()
    rate = recorder.hyper(("node", "lr"), "float32")
    recorder.program.outputs = [(rate * 2.0).value]
    assert made(fold(recorder.program, EVALUATE)) == ["multiply"]


def test_fold_keeps_a_number_spread_over_an_array_one_number() -> None:
    recorder, (x,) = recorded((300, 300))
    ones = recorder.ones((300, 300))
    recorder.program.outputs = [recorder.maximum(x, -(ones * 2.0) + 1.0).value]
    found = dead(fold(recorder.program, EVALUATE), EVALUATE)
    assert made(found) == ["broadcast_to", "maximum"]
    assert found.equations[0].inputs[0].data == -1


def test_fold_raises_no_warning() -> None:
    recorder, _ = recorded()
    zero = recorder.constant(np.zeros(2, np.float32))
    recorder.program.outputs = [recorder.divide(recorder.log(zero), zero).value]
    with np.errstate(all="raise"):
        found = fold(recorder.program, EVALUATE)
    assert np.isneginf(found.outputs[0].data).all()


# -- common subexpressions --------------------------------------------------------------------------------------------


def test_equal_equations_are_computed_once() -> None:
    recorder, (x,) = recorded((2, 3))
    a = recorder.exp(x) * recorder.constant(np.ones(3, np.float32))
    b = recorder.exp(x) * recorder.constant(np.ones(3, np.float32))
    recorder.program.outputs = [a.value, b.value, recorder.sum(a, 0).value, recorder.sum(b, -2).value]
    found = cse(recorder.program, EVALUATE)
    assert made(found) == ["exp", "multiply", "sum"]
    assert found.outputs[0] is found.outputs[1]
    assert found.outputs[2] is found.outputs[3]


def test_what_differs_in_a_parameter_an_operand_or_a_dtype_is_not_the_same() -> None:
    recorder, (x, y) = recorded((2, 3), (2, 3))
    pairs = [
        (recorder.sum(x, 0), recorder.sum(x, 1)),
        (recorder.sum(x, 0), recorder.sum(x, 0, keepdims=True)),
        (x - y, y - x),
        (recorder.astype(x, "float16"), recorder.astype(x, "float64")),
        (recorder.pad(x, [(1, 0), (0, 0)], 0.0), recorder.pad(x, [(1, 0), (0, 0)], -0.0)),
        (recorder.arange(3, 0, 1), recorder.arange(3, 0.0, 1)),
        (x * recorder.constant(np.float32(0.0).reshape(())), x * recorder.constant(np.float32(-0.0).reshape(()))),
    ]
    recorder.program.outputs = [v.value for pair in pairs for v in pair]
    found = cse(recorder.program, EVALUATE)
    for k in range(len(pairs)):
        assert found.outputs[2 * k] is not found.outputs[2 * k + 1], k


def test_random_numbers_of_one_key_are_one_and_of_two_keys_two() -> None:
    recorder = Recorder()
    state = recorder.input(Spec((2,), np.dtype("uint64")), "state")

    def drawn(key: int) -> Recorded:
        params = {"key": key, "shape": (3,), "dtype": "float32"}
        return recorder.apply(PRIMITIVES["random_uniform"], (state,), params)  # type: ignore[no-any-return]

    recorder.program.outputs = [drawn(1).value, drawn(1).value, drawn(2).value]
    found = cse(recorder.program, EVALUATE)
    assert found.outputs[0] is found.outputs[1]
    assert found.outputs[0] is not found.outputs[2]


# -- the form ---------------------------------------------------------------------------------------------------------


def test_a_program_prints_as_equations() -> None:
    recorder, (x,) = recorded((2, 3))
    rate = recorder.hyper(("sgd", "lr"), "float32")
    recorder.program.outputs = [recorder.sum(x * rate * 2.0, 1).value]
    assert str(recorder.program).splitlines() == [
        "inputs x0: float32[2, 3]",
        "v2: float32[2, 3] = multiply(x0, ('sgd', 'lr'))",
        "v3: float32[2, 3] = multiply(v2, 2.0)",
        "v4: float32[2] = sum(v3, axes=(1,), keepdims=False)",
        "outputs v4",
    ]


def test_programs_that_hold_their_promises_pass_verification() -> None:
    recorder, (x,) = recorded((2,))
    recorder.program.outputs = [x.value, recorder.constant(np.ones(2)).value, recorder.exp(x).value]
    recorder.program.verify()


def test_faster_convolutions_are_asked_for_by_a_pass() -> None:
    recorder, (x, w) = recorded((1, 4, 16, 16), (4, 4, 3, 3))
    parameters: dict[str, Any] = {"stride": (1, 1), "dilate": (1, 1), "pad": (1, 1), "groups": 1}
    recorder.program.outputs = [recorder.apply(PRIMITIVES["conv"], [x, w], parameters).value]
    for on in ((), ("convolution",)):
        (equation,) = optimize(recorder.program, EVALUATE, on=on)[0].equations
        assert equation.params.get("inexact", False) == bool(on)
