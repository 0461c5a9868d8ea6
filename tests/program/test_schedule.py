"""The schedule: what runs before the first input is renewed, what after, and what runs together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from symgraph.program import Equation, Recorded, Recorder, Spec, Value
from symgraph.program import schedule as module
from symgraph.program.schedule import Schedule, schedule
from tests.program.generate import Case, cases

F32 = np.dtype("float32")


def inputs(*shapes: tuple[int, ...]) -> tuple[Recorder, list[Recorded]]:
    recorder = Recorder()
    return recorder, [recorder.input(Spec(s, F32), f"x{k}") for k, s in enumerate(shapes)]


def scheduled(
    recorder: Recorder,
    first: Sequence[Recorded],
    second: Sequence[Recorded] = (),
    stores: Any = (),
    fuse: bool = True,
    compiles: Any = None,
) -> Schedule:
    pairs = [(new.value, old.value) for new, old in stores]
    recorder.program.outputs = [*(x.value for x in (*first, *second)), *(new for new, _ in pairs)]
    return schedule(recorder.program, [x.value for x in first], pairs, fuse, compiles)


def part(made: Schedule, number: int) -> list[str]:
    return [e.primitive.name for s in made.steps if s.part == number for e in s.equations]


def _blocks(made: Schedule) -> list[list[str]]:
    return [[e.primitive.name for e in s.equations] for s in made.steps if s.blocked]


# -- any program ------------------------------------------------------------------------------------------------------


def _needed(case: Case, results: Sequence[Value]) -> set[int]:
    needed, stack = set(), list(results)
    while stack:
        made = stack.pop().equation
        if made is not None and id(made) not in needed:
            needed.add(id(made))
            stack.extend(made.inputs)
    return needed


def _arithmetic(equation: Equation) -> bool:
    return equation.primitive.name in ("add", "subtract", "multiply", "divide", "sqrt", "square")


@given(case=cases(), fuse=st.booleans(), small=st.booleans(), compiles=st.sampled_from([None, _arithmetic]))
@settings(max_examples=200)
def test_everything_needed_runs_once_and_after_what_it_reads(
    case: Case, fuse: bool, small: bool, compiles: Any
) -> None:
    program = case.program
    note(str(case))
    pairs = [(program.outputs[o], program.inputs[i]) for o, i in case.stores]
    halves = range(len(program.outputs)) if case.first is None else case.first
    first = [program.outputs[k] for k in halves]
    with pytest.MonkeyPatch.context() as patch:
        if small:
            patch.setattr(module, "BLOCKED_BYTES", 8)
            patch.setattr(module, "_SMALL", 4)
            patch.setattr(module, "_TINY_BYTES", 8)
        made = schedule(program, first, pairs, fuse, compiles)
    order: list[Equation] = [e for s in made.steps for e in s.equations]
    assert {id(e) for e in order} == _needed(case, program.outputs)
    assert len({id(e) for e in order}) == len(order)
    known: set[int] = set()
    for e in order:
        assert all(v.equation is None or id(v) in known for v in e.inputs), e
        known.update(id(v) for v in e.outputs)
    parts = [s.part for s in made.steps]
    assert parts == sorted(parts)
    assert (made.commit, made.second) == (sum(p < 1 for p in parts), sum(p < 2 for p in parts))
    # The first half is what it must compute, and no more.
    needed = _needed(case, [*first, *(new for new, _ in pairs)])
    assert {id(e) for s in made.steps if s.part < 2 for e in s.equations} == needed
    # Between the first renewal and the last nothing can fail.
    assert all(e.primitive.kind != "other" for s in made.steps if s.part == 1 for e in s.equations)
    for s in made.steps:
        assert s.blocked == (len(s.equations) > 1)
        if s.blocked:
            assert fuse
            assert all(e.primitive.kind == "map" for e in s.equations)
            assert len({e.outputs[0].shape for e in s.equations}) == 1


# -- parts ------------------------------------------------------------------------------------------------------------


def test_outputs_come_first_then_renewals_then_the_second_half() -> None:
    recorder, (w, x, dy) = inputs((4,), (4,), (4,))
    y = recorder.sum(w * x, 0)
    gradient = recorder.sum(dy * x, 0)
    made = scheduled(recorder, [y], [gradient], [(w - x * 0.5, w)])
    assert part(made, 0) == ["multiply", "sum"]
    assert part(made, 1) == ["multiply", "subtract"]
    assert part(made, 2) == ["multiply", "sum"]


def test_element_wise_work_for_an_update_alone_runs_with_it() -> None:
    recorder, (w, g) = inputs((4,), (4,))
    total = recorder.sum(g, 0)
    step = recorder.sqrt(recorder.exp(g) + total)
    made = scheduled(recorder, [total], [], [(w - step, w)])
    assert part(made, 0) == ["sum"]
    assert part(made, 1) == ["exp", "add", "sqrt", "subtract"]


def test_what_an_output_or_the_second_half_reads_does_not_wait_for_the_update() -> None:
    recorder, (w, g) = inputs((4,), (4,))
    shown, kept = recorder.exp(g), recorder.sin(g)
    made = scheduled(recorder, [shown], [recorder.sum(kept, 0)], [(w - shown * kept, w)])
    assert part(made, 0) == ["exp", "sin"]
    assert part(made, 1) == ["multiply", "subtract"]


def test_what_reads_a_new_value_and_can_fail_runs_before_anything_is_renewed() -> None:
    recorder, (w, v) = inputs((4,), (4,))
    new = w * 0.5
    scaled = v / recorder.sum(new, 0)
    made = scheduled(recorder, [], [], [(new, w), (scaled, v)])
    assert part(made, 0) == ["multiply", "sum"]
    assert part(made, 1) == ["divide"]


def test_a_new_value_that_is_no_element_wise_result_is_computed_before() -> None:
    recorder, (w,) = inputs((3, 3))
    made = scheduled(recorder, [], [], [(recorder.matmul(w, w), w)])
    assert part(made, 0) == ["matmul"]
    assert part(made, 1) == []


def test_what_no_output_needs_is_left_out() -> None:
    recorder, (w,) = inputs((3,))
    new = w * 2.0
    recorder.exp(w)
    recorder.exp(new)
    made = scheduled(recorder, [], [], [(new, w)])
    assert [e.primitive.name for s in made.steps for e in s.equations] == ["multiply"]


# -- groups -----------------------------------------------------------------------------------------------------------


LARGE = (module.BLOCKED_BYTES // 4,)


def test_large_element_wise_work_in_a_row_is_one_group() -> None:
    recorder, (x,) = inputs(LARGE)
    y = recorder.exp(recorder.sin(x)) + x
    made = scheduled(recorder, [y])
    assert _blocks(made) == [["sin", "exp", "add"]]
    assert _blocks(scheduled(recorder, [y], fuse=False)) == []


def test_small_element_wise_work_is_not_grouped() -> None:
    recorder, (x,) = inputs((LARGE[0] - 1,))
    assert _blocks(scheduled(recorder, [recorder.exp(recorder.sin(x))])) == []


def test_a_single_call_is_no_group() -> None:
    recorder, (x,) = inputs(LARGE)
    assert _blocks(scheduled(recorder, [recorder.sin(x)])) == []


def test_a_group_ends_where_something_else_reads_it() -> None:
    recorder, (x,) = inputs(LARGE)
    a = recorder.exp(recorder.sin(x))
    b = recorder.cos(recorder.tanh(a - recorder.cumsum(a, 0, False)))
    assert _blocks(scheduled(recorder, [b])) == [["sin", "exp"], ["subtract", "tanh", "cos"]]


def test_a_softmax_is_one_group() -> None:
    recorder, (x,) = inputs((256, 256))
    e = recorder.exp(x - recorder.max(x, [1], True))
    y = e / recorder.sum(e, [1], True)
    assert _blocks(scheduled(recorder, [y])) == [["max", "subtract", "exp", "sum", "divide"]]


def test_sums_over_images_and_planes_end_a_group() -> None:
    recorder, (x, y) = inputs((4, 64, 16, 16), (4, 64, 16, 16))
    product = x * y
    total = recorder.sum(product, [0, 2, 3], False)
    other = recorder.sum(recorder.exp(product), [0, 2, 3], True)
    made = scheduled(recorder, [total, product - other])
    assert _blocks(made) == [["multiply", "sum", "exp", "sum"]]
    assert made.steps[0].axes == (0, 2, 3)


def test_reductions_over_other_axes_are_groups_of_their_own() -> None:
    recorder, (x,) = inputs((64, 64, 64))
    y = recorder.exp(x)
    made = scheduled(recorder, [recorder.sum(y, [2], False), recorder.sum(y, [1, 2], False)])
    assert _blocks(made) == [["exp", "sum"]]


@pytest.mark.parametrize("axes", [[0], [1], [0, 1, 2], [0, 1]])
def test_a_reduction_whose_blocks_would_change_bits_joins_no_group(axes: list[int]) -> None:
    recorder, (x,) = inputs((64, 64, 64))
    assert _blocks(scheduled(recorder, [recorder.sum(recorder.exp(recorder.sin(x)), axes, False)])) == [["sin", "exp"]]


def test_a_reduction_of_a_turned_array_joins_no_group() -> None:
    recorder, (x,) = inputs((256, 256))
    turned = recorder.permute_dims(x, (1, 0))
    product = turned * turned
    made = scheduled(recorder, [recorder.sum(product, [1], False), recorder.sum(turned, [1], False)])
    assert _blocks(made) == [["multiply", "sum"]]


def test_a_large_single_call_is_spread_over_the_cores() -> None:
    recorder, (x, y) = inputs((module.SPREAD_BYTES // 4,), (module.SPREAD_BYTES // 4 - 1,))
    assert _blocks(scheduled(recorder, [recorder.sin(x), recorder.cos(y)])) == [["sin"]]


def test_small_work_between_is_done_before_the_group() -> None:
    recorder, (x, s) = inputs(LARGE, (1,))
    a = recorder.sin(x)
    factor = recorder.exp(s)
    b = recorder.cos(a * recorder.reshape(factor, ()))
    made = scheduled(recorder, [b])
    assert [[e.primitive.name for e in t.equations] for t in made.steps] == [
        ["exp"],
        ["reshape"],
        ["sin", "multiply", "cos"],
    ]


def test_a_group_has_one_shape() -> None:
    recorder, (x, y) = inputs(LARGE, (2, *LARGE))
    a, b = recorder.exp(recorder.sin(x)), recorder.exp(recorder.sin(y))
    assert _blocks(scheduled(recorder, [a, b])) == [["sin", "exp"], ["sin", "exp"]]
    shapes = {e.outputs[0].shape for e in scheduled(recorder, [a, b]).steps[0].equations}
    assert shapes == {LARGE}


def test_a_group_does_not_reach_across_parts() -> None:
    recorder, (w, g) = inputs(LARGE, LARGE)
    shown = recorder.exp(recorder.sin(g))
    made = scheduled(recorder, [shown], [], [(w - shown * 0.5, w)])
    assert _blocks(made) == [["sin", "exp"], ["multiply", "subtract"]]


# -- small groups that are compiled -----------------------------------------------------------------------------------


def _chain(x: Recorded, length: int) -> Recorded:
    for _ in range(length):
        x = x * x + x
    return x


def test_small_groups_are_formed_of_what_is_compiled_alone() -> None:
    recorder, (x,) = inputs((256,))
    y = recorder.exp(_chain(recorder.exp(_chain(x, 1)), 1))
    assert _blocks(scheduled(recorder, [y])) == []
    assert _blocks(scheduled(recorder, [y], compiles=_arithmetic)) == [["multiply", "add"]] * 2


def test_tiny_groups_need_many_equations() -> None:
    recorder, (x, y) = inputs((4,), (5,))
    made = scheduled(recorder, [_chain(x, 2), _chain(y, 3)], compiles=_arithmetic)
    assert _blocks(made) == [["multiply", "add"] * 3]
    assert [len(s.equations) for s in made.steps] == [1, 1, 1, 1, 6]


def test_nothing_small_takes_a_large_group_apart() -> None:
    recorder, (x, s) = inputs(LARGE, (256,))
    a, small = recorder.sin(x), _chain(s, 1)
    made = scheduled(recorder, [recorder.cos(a), small], compiles=_arithmetic)
    assert _blocks(made) == [["sin", "cos"]]
    assert [len(step.equations) for step in made.steps] == [1, 1, 2]


@pytest.mark.parametrize("sizes", [(256,), (256, 300)])
def test_small_renewals_are_compiled_if_they_are_one_call(sizes: tuple[int, ...]) -> None:
    recorder, weights = inputs(*((n,) for n in sizes))
    made = scheduled(recorder, [], stores=[(_chain(w, 1), w) for w in weights], compiles=_arithmetic)
    assert _blocks(made) == ([["multiply", "add"]] if len(sizes) == 1 else [])
