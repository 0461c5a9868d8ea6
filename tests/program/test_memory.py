"""The memory plan, checked by running it symbolically: every byte knows which element of which value it holds."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from symgraph.backends.numpy import blocks, threads
from symgraph.backends.numpy import plan as engine
from symgraph.backends.numpy.kernels import VIEWS
from symgraph.backends.numpy.plan import Plan
from symgraph.program import Equation, Program, Recorded, Recorder, Spec, Value, memory
from symgraph.program import schedule as scheduling
from symgraph.program.memory import (
    ALIGNMENT,
    Buffer,
    Layout,
    Place,
    Step,
    array_at,
    contiguous_strides,
    is_contiguous,
    plan_memory,
    reshaped_strides,
)
from symgraph.program.schedule import Schedule, schedule
from tests.program.generate import Case, cases

Array = np.ndarray[Any, Any]
F32 = np.dtype("float32")


# -- the symbolic machine ---------------------------------------------------------------------------------------------


class Machine:
    """Runs a layout on tags instead of numbers.

    Memory is one tag a byte. The tag of a value's element is written to the element's bytes by the step that computes
    it, and must still be there whenever the value is read.
    """

    def __init__(self, program: Program, layout: Layout) -> None:
        self.layout = layout
        self.next = 1
        self.memory: dict[int, Array] = {}
        self.expected: dict[int, Array] = {}
        for b in layout.buffers:
            if b.kind != "arena" and b.parent is None:
                self.memory[id(b)] = np.zeros(b.nbytes, np.int64)
        self.arena = np.zeros(layout.arena_bytes, np.int64)
        for v in (*program.inputs, *program.hypers):
            self.write(v)

    def tags(self, v: Value) -> Array:
        """Return the tags of a value's elements: those of the values it is made of, where it is a rearrangement."""
        found = self.expected.get(id(v))
        if found is None:
            made = v.equation
            if made is None:
                self.write(v)  # a constant
                return self.expected[id(v)]
            sources = [self.tags(x) for x in made.inputs]
            if made.primitive.kind == "view":
                found = VIEWS[made.primitive.name](sources[0], **made.params)
            else:
                assert made.primitive.name == "concat", f"{made} has not been computed"
                found = np.concatenate(sources, made.params["axis"])
            self.expected[id(v)] = found
        return found

    def bytes_of(self, v: Value) -> tuple[Array, Array]:
        """Return the memory a value lies in, and the position in it of each byte of each element."""
        place = self.layout.places[id(v)]
        root, offset = place.buffer, place.offset
        while root.parent is not None:
            root, offset = root.parent, offset + root.parent_offset
        address = np.full(v.shape, offset)
        for axis, (n, stride) in enumerate(zip(v.shape, place.strides, strict=True)):
            steps = np.arange(n) * stride
            address = address + steps.reshape([-1 if k == axis else 1 for k in range(len(v.shape))])
        where = address[..., None] + np.arange(v.dtype.itemsize)
        if v.size:
            assert where.min() >= 0
            assert where.max() < root.nbytes, f"{v} reaches beyond its buffer"
        if root.kind == "arena":
            return self.arena, where + root.offset
        return self.memory[id(root)], where

    def write(self, v: Value) -> None:
        """Put fresh tags where a value lies."""
        self.expected[id(v)] = np.arange(self.next, self.next + v.size).reshape(v.shape)
        self.next += v.size
        self.put(v)

    def put(self, v: Value) -> None:
        memory, where = self.bytes_of(v)
        memory[where] = self.tags(v)[..., None]

    def read(self, v: Value, why: str) -> None:
        """Hold that a value is still where it should lie."""
        tags = self.tags(v)
        memory, where = self.bytes_of(v)
        wrong = memory[where] != tags[..., None]
        assert not wrong.any(), f"{v} has been overwritten before {why}"

    def run_alone(self, step: Step) -> None:
        (equation,) = step.equations
        out = equation.outputs[0]
        for v in equation.inputs:
            self.read(v, str(equation))
        if step.workspace is not None:
            b = step.workspace
            self.arena[b.offset : b.offset + b.nbytes] = -1
        if equation.primitive.name == "concat":
            self.join(equation)
            return
        # The kernel may write the result in any order before it has read its operands, except over an operand that it
        # reads element by element in the same place, and that no other operand overlaps.
        memory, where = self.bytes_of(out)
        mapped = equation.primitive.kind == "map"
        replaced = equation.inputs[1:2] if equation.primitive.name == "where" else equation.inputs
        here = [v for v in replaced if mapped and self.same_place(v, out, out.shape)]
        memory[where] = -2
        for v in equation.inputs:
            if not any(v is w or self.same_place(v, w, out.shape) for w in here):
                self.read(v, f"{equation} has read it")
        self.write(out)

    def join(self, equation: Equation) -> None:
        """Copy the pieces that do not lie where they belong, in any order."""
        (out,), axis = equation.outputs, equation.params["axis"]
        memory, where = self.bytes_of(out)
        start = 0
        for v in equation.inputs:
            part = where[(*[slice(None)] * axis, slice(start, start + v.shape[axis]))]
            start += v.shape[axis]
            source, there = self.bytes_of(v)
            if not (memory is source and np.array_equal(part, there)):
                memory[part] = -2
        for v in equation.inputs:
            self.read(v, f"{equation} has read it")
        self.tags(out)
        self.put(out)

    def same_place(self, v: Value, w: Value, shape: tuple[int, ...]) -> bool:
        """Return whether two values, broadcast to a shape, lie in the same bytes element by element."""
        (memory, where), (other, there) = self.bytes_of(v), self.bytes_of(w)
        if memory is not other or v.dtype.itemsize != w.dtype.itemsize:
            return False
        full = (*shape, v.dtype.itemsize)
        return np.array_equal(np.broadcast_to(where, full), np.broadcast_to(there, full))

    def overlap(self, v: Value, w: Value) -> bool:
        (memory, where), (other, there) = self.bytes_of(v), self.bytes_of(w)
        return memory is other and bool(np.isin(where, there).any())

    def run_group(self, step: Step) -> None:
        shape = step.equations[0].outputs[0].shape
        slots: dict[int, tuple[Array, int]] = {}
        if step.workspace is not None:
            b = step.workspace
            self.arena[b.offset : b.offset + b.nbytes] = -1
        outer = {id(v): v for e in step.equations for v in (*e.inputs, *e.outputs) if id(v) not in step.local}
        written = [e.outputs[0] for e in step.equations if id(e.outputs[0]) in outer]
        # Blocks run one after another, each through all calls: what shares memory must share it element by element.
        for w in written:
            for v in outer.values():
                if v is not w and self.overlap(v, w):
                    assert self.same_place(v, w, shape), f"{w} overlaps {v} at other elements of a group"
        for equation in step.equations:
            out = equation.outputs[0]
            assert out.shape == shape
            for v in equation.inputs:
                if id(v) in step.local:
                    tags, itemsize = slots[step.local[id(v)]]
                    assert np.array_equal(tags, self.tags(v)), f"{v} is gone from its slot before {equation}"
                    assert itemsize == v.dtype.itemsize
                else:
                    self.read(v, str(equation))
            if equation.primitive.name == "where":
                first = [step.local[id(v)] for v in equation.inputs[:2] if id(v) in step.local]
                assert step.local.get(id(out)) not in first
            if id(out) in step.local:
                assert 0 <= step.local[id(out)] < step.slots
                self.expected[id(out)] = np.arange(self.next, self.next + out.size).reshape(shape)
                self.next += out.size
                slots[step.local[id(out)]] = (self.expected[id(out)], out.dtype.itemsize)
            else:
                self.write(out)


def run_symbolically(program: Program, made: Schedule, layout: Layout, pairs: Any, outputs: Sequence[Value]) -> None:
    """Execute a layout as the engine does, and check everything that is read."""
    machine = Machine(program, layout)
    part = 0
    early = [v for v in outputs if layout.places[id(v)].buffer.kind == "input" and _root(v).equation is None]
    for step in [*layout.steps, None]:
        now = 3 if step is None else step.part
        if part == 0 and now > 0:
            for v in early:  # outputs that are inputs are copied before an input is renewed
                machine.read(v, "it is copied out")
        if part <= 1 < now:
            for (new, old), direct in zip(pairs, layout.stored, strict=True):
                machine.read(new, "it is stored")
                if not direct:
                    machine.expected[id(old)] = machine.tags(new)
                    machine.put(old)
        part = max(part, now)
        if step is None:
            break
        (machine.run_group if step.blocked else machine.run_alone)(step)
    for v in outputs:
        if v not in early:
            machine.read(v, "it is copied out")
    for (new, old), direct in zip(pairs, layout.stored, strict=True):
        if direct:
            assert machine.same_place(new, old, new.shape)
        memory, where = machine.bytes_of(old)
        assert (memory[where] == machine.tags(new)[..., None]).all(), f"{old} does not end as {new}"


def _root(v: Value) -> Value:
    while v.equation is not None and v.equation.primitive.kind == "view":
        v = v.equation.inputs[0]
    return v


def check_layout(layout: Layout) -> None:
    """Check what must hold of any layout."""
    arena = [b for b in layout.buffers if b.kind == "arena" and b.parent is None]
    for b in arena:
        assert b.offset % ALIGNMENT == 0
        assert b.offset + b.nbytes <= layout.arena_bytes
        assert -1 <= b.first <= b.last <= len(layout.steps)
    for k, x in enumerate(arena):
        for y in arena[:k]:
            together = x.first <= y.last and y.first <= x.last
            apart = x.offset + x.nbytes <= y.offset or y.offset + y.nbytes <= x.offset
            assert apart or not together, (x, y)
    assert layout.arena_bytes >= layout.live_bytes
    assert layout.arena_bytes == max((b.offset + -(-b.nbytes // ALIGNMENT) * ALIGNMENT for b in arena), default=0)
    for b in layout.buffers:
        if b.parent is not None:
            assert b.parent.first <= b.first
            assert b.last <= b.parent.last
            assert b.parent_offset + b.nbytes <= b.parent.nbytes
    alive = {id(p.buffer) for p in layout.places.values()}
    assert all(id(b) in alive or b in [s.workspace for s in layout.steps] for b in layout.buffers), (
        "a buffer of nothing"
    )


def planned(case: Case, share: bool = True, fuse: bool = True) -> tuple[Program, Schedule, Layout, Any, list[Value]]:
    """Plan the memory of a case as the engine does, stores that exchange inputs aside."""
    program = case.program
    pairs = [(program.outputs[o], program.inputs[i]) for o, i in case.stores if _root(program.outputs[o]).equation]
    stored = {o for o, _ in case.stores}
    outputs = [v for k, v in enumerate(program.outputs) if k not in stored]
    halves = range(len(program.outputs)) if case.first is None or pairs else case.first
    made = schedule(program, [program.outputs[k] for k in halves], pairs, fuse)
    return program, made, plan_memory(program, made.steps, pairs, outputs, engine._workspace, share), pairs, outputs


@contextlib.contextmanager
def small_blocks() -> Iterator[None]:
    """Make groups of everything element-wise, in blocks of a few elements."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scheduling, "BLOCKED_BYTES", 1)
        patch.setattr(scheduling, "_SMALL", 3)
        patch.setattr(blocks, "BLOCK_BYTES", 64)
        patch.setattr(blocks, "FEW_BLOCKS", 1)
        patch.setattr(threads, "_count", 2)
        yield


def check(case: Case, share: bool = True, fuse: bool = True) -> None:
    program, made, layout, pairs, outputs = planned(case, share, fuse)
    check_layout(layout)
    run_symbolically(program, made, layout, pairs, outputs)


@given(case=cases())
@settings(max_examples=200)
def test_no_value_is_overwritten_before_its_last_reader(case: Case) -> None:
    note(str(case))
    check(case)


@given(case=cases())
@settings(max_examples=200)
def test_no_value_of_a_blocked_group_is_overwritten_before_its_last_reader(case: Case) -> None:
    note(str(case))
    with small_blocks():
        check(case)


@given(case=cases(large=True, steps=20))
@settings(max_examples=40)
def test_no_value_of_a_long_program_is_overwritten_before_its_last_reader(case: Case) -> None:
    check(case)


@given(case=cases(), fuse=st.booleans())
@settings(max_examples=60)
def test_without_sharing_every_value_has_memory_of_its_own(case: Case, fuse: bool) -> None:
    program, made, layout, pairs, outputs = planned(case, share=False, fuse=fuse)
    check_layout(layout)
    run_symbolically(program, made, layout, pairs, outputs)
    assert not any(layout.stored)
    owners = [id(p.buffer) for k, p in layout.places.items()]
    computed = [v for s in layout.steps for e in s.equations for v in e.outputs]
    mine = [id(layout.places[id(v)].buffer) for v in computed]
    assert len(set(mine)) == len(mine)
    assert set(mine) <= set(owners)


@given(case=cases())
@settings(max_examples=60)
def test_what_sharing_saves_is_told(case: Case) -> None:
    shared, apart = planned(case)[2], planned(case, share=False)[2]
    assert shared.unplanned_bytes == apart.unplanned_bytes == apart.arena_bytes
    assert shared.arena_bytes <= shared.unplanned_bytes


@given(case=cases())
@settings(max_examples=60)
def test_what_is_alive_is_known_without_packing(case: Case) -> None:
    program, made, layout, pairs, outputs = planned(case)
    loose = plan_memory(program, made.steps, pairs, outputs, engine._workspace, pack=False)
    assert loose.live_bytes == layout.live_bytes
    assert loose.arena_bytes == 0


@given(case=cases())
@settings(max_examples=40)
def test_the_planned_peak_is_what_is_allocated(case: Case) -> None:
    plan = Plan(case.program, case.arrays, hypers=case.hypers)
    assert plan.arena.nbytes == plan.layout.arena_bytes
    assert plan.arena.ctypes.data % ALIGNMENT == 0 or not plan.arena.nbytes
    for v in [v for s in plan.layout.steps for e in s.equations for v in e.outputs if id(v) in plan.layout.places]:
        array = plan.array(v)
        assert (array.shape, array.dtype) == (v.shape, v.dtype)


# -- the machine can fail ---------------------------------------------------------------------------------------------


def chain() -> tuple[Program, list[Value]]:
    recorder = Recorder()
    x = recorder.input(Spec((5, 5), F32), "x")
    a = recorder.matmul(x, x)
    b = recorder.matmul(a, x)
    c = recorder.matmul(b, a)
    recorder.program.outputs = [recorder.sum(c + b).value]
    return recorder.program, [a.value, b.value, c.value]


def test_the_symbolic_machine_sees_two_values_in_one_place() -> None:
    program, (a, b, _) = chain()
    made = schedule(program, program.outputs, [])
    layout = plan_memory(program, made.steps, [], program.outputs, engine._workspace)
    run_symbolically(program, made, layout, [], program.outputs)
    layout.places[id(b)] = layout.places[id(a)]
    with pytest.raises(AssertionError, match="has been overwritten"):
        run_symbolically(program, made, layout, [], program.outputs)


def test_the_checks_see_buffers_that_overlap() -> None:
    program, _ = chain()
    made = schedule(program, program.outputs, [])
    layout = plan_memory(program, made.steps, [], program.outputs, engine._workspace)
    check_layout(layout)
    for b in layout.buffers:
        b.offset = 0
    with pytest.raises(AssertionError):
        check_layout(layout)


# -- single decisions -------------------------------------------------------------------------------------------------


def inputs(*shapes: tuple[int, ...]) -> tuple[Recorder, list[Recorded]]:
    recorder = Recorder()
    return recorder, [recorder.input(Spec(s, F32), f"x{k}") for k, s in enumerate(shapes)]


def layout_of(recorder: Recorder, outputs: Sequence[Recorded], stores: Any = (), share: bool = True) -> Layout:
    program = recorder.program
    pairs = [(new.value, old.value) for new, old in stores]
    program.outputs = [*(y.value for y in outputs), *(new for new, _ in pairs)]
    made = schedule(program, program.outputs, pairs)
    kept = [y.value for y in outputs]
    layout = plan_memory(program, made.steps, pairs, kept, engine._workspace, share)
    check_layout(layout)
    run_symbolically(program, made, layout, pairs, kept)
    return layout


def names(layout: Layout) -> list[str]:
    return [e.primitive.name for s in layout.steps for e in s.equations]


def test_an_element_wise_chain_runs_in_one_buffer() -> None:
    recorder, (x,) = inputs((100,))
    y = recorder.sum(recorder.tanh(recorder.exp(recorder.sin(x) + 1.0)))
    assert layout_of(recorder, [y]).arena_bytes == 448  # 400 bytes, in whole cache lines


def test_an_operand_that_is_read_again_keeps_its_memory() -> None:
    recorder, (x,) = inputs((100,))
    a = recorder.sin(x)
    b = recorder.exp(a)
    assert layout_of(recorder, [recorder.sum(a * b)]).arena_bytes == 2 * 448


def test_an_update_is_computed_in_the_weights_own_memory() -> None:
    recorder, (w, g) = inputs((100,), (100,))
    layout = layout_of(recorder, [], [(w - g * 0.1, w)])
    assert layout.stored == [True]
    assert layout.arena_bytes == 448


def test_a_weight_that_is_read_later_is_not_overwritten_early() -> None:
    recorder, (w, g) = inputs((100,), (100,))
    new = w - g
    other = recorder.exp(w) + new
    layout = layout_of(recorder, [], [(new, w), (other, g)])
    assert layout.stored == [False, True]


def test_what_can_fail_does_not_write_into_an_input() -> None:
    recorder, (w,) = inputs((8, 8))
    assert layout_of(recorder, [], [(recorder.matmul(w, w), w)]).stored == [False]
    recorder, (w, n) = inputs((8,), (8,))
    new = w * 0.5
    assert layout_of(recorder, [], [(new, w), (n - recorder.sum(new), n)]).stored == [False, True]


def test_where_writes_over_its_second_operand_only() -> None:
    recorder, (c, w) = inputs((9,), (9,))
    assert layout_of(recorder, [], [(recorder.where(c > 0, w, c), w)]).stored == [True]
    recorder, (c, w) = inputs((9,), (9,))
    assert layout_of(recorder, [], [(recorder.where(c > 0, c, w), w)]).stored == [False]
    recorder, (c, w) = inputs((9,), (9,))
    assert layout_of(recorder, [], [(recorder.where(c > 0, recorder.stop_gradient(w), w), w)]).stored == [False]


def test_a_rearranged_operand_is_not_overwritten() -> None:
    recorder, (w,) = inputs((5, 5))
    assert layout_of(recorder, [], [(w + recorder.permute_dims(w, (1, 0)), w)]).stored == [False]
    recorder, (w,) = inputs((5, 5))
    assert layout_of(recorder, [], [(w + recorder.slice_axis(w, 0, 0, 1), w)]).stored == [False]


def test_one_new_value_for_two_inputs_is_stored_in_both() -> None:
    recorder, (w, v) = inputs((9,), (9,))
    new = w * v
    assert sorted(layout_of(recorder, [], [(new, w), (new, v)]).stored) == [False, True]


def test_a_slice_in_the_place_of_the_whole_is_not_taken_for_it() -> None:
    recorder, (x,) = inputs((6, 6))
    a = recorder.matmul(x, x)
    first = recorder.slice_axis(a, 0, 0, 1)  # same buffer, offset and strides as `a`, other shape
    b = a * 2.0
    c = a + first
    with small_blocks():
        layout_of(recorder, [recorder.sum(c * b), recorder.sum(c, 0)])


def grouped(recorder: Recorder, outputs: Sequence[Recorded], stores: Any = ()) -> Layout:
    """Plan with everything element-wise in groups; at least one there must be."""
    with small_blocks():
        layout = layout_of(recorder, outputs, stores)
    assert any(s.blocked for s in layout.steps)
    return layout


def test_a_result_of_a_group_does_not_take_what_a_later_call_of_it_reads() -> None:
    recorder, (x,) = inputs((6, 6))
    a = recorder.matmul(x, x)
    b, c = recorder.sin(a), recorder.cos(a)
    grouped(recorder, [recorder.sum(b, 0), recorder.sum(c, 1)])


def test_a_value_that_a_rearrangement_shows_outside_is_not_kept_in_scratch() -> None:
    recorder, (x,) = inputs((6, 6))
    a = recorder.sin(x)
    b = recorder.cos(a)
    grouped(recorder, [recorder.sum(recorder.permute_dims(a, (1, 0)), 0), recorder.sum(b, 0)])


def test_where_does_not_write_over_what_it_still_reads() -> None:
    for chosen in (0, 1, 2):
        recorder, (x,) = inputs((40,))
        operands = [recorder.sin(x), recorder.cos(x), recorder.tanh(x)]
        condition = operands[0] > 0 if chosen else recorder.isnan(x)
        y = recorder.exp(recorder.where(condition, operands[1], operands[2] if chosen < 2 else x)) + operands[0]
        grouped(recorder, [recorder.sum(y)])


def test_a_piece_that_is_read_after_the_join_keeps_its_memory() -> None:
    recorder, (x, y) = inputs((8, 8), (16, 8))
    a = recorder.exp(x)
    joined = recorder.sum(recorder.concat([a, recorder.sin(x)]), 0)
    other = recorder.sum(recorder.matmul(y, x), 0)  # as large as the join, and made when that is read no more
    assert "concat" not in names(layout_of(recorder, [joined, other, recorder.sum(a, 0)]))


def test_pieces_are_computed_where_the_join_wants_them() -> None:
    recorder, (x, y) = inputs((20,), (30,))
    joined = recorder.concat([recorder.exp(x), recorder.sin(y)])
    layout = layout_of(recorder, [recorder.sum(joined)])
    assert names(layout) == ["exp", "sin", "sum"]
    assert layout.arena_bytes == 256


def test_pieces_of_a_join_within_a_join_are_in_place_too() -> None:
    recorder, (x,) = inputs((16,))
    inner = recorder.concat([recorder.exp(x), recorder.sin(x)])
    outer = recorder.concat([recorder.cos(x), inner])
    layout = layout_of(recorder, [recorder.sum(outer)])
    assert names(layout) == ["exp", "sin", "cos", "sum"]


def copied(recorder: Recorder, layout: Layout) -> list[int]:
    """Return which operands of the only join do not lie where the join wants them."""
    (join,) = [e for e in recorder.program.equations if e.primitive.name == "concat"]
    whole, start, found = layout.places[id(join.outputs[0])], 0, []
    for k, v in enumerate(join.inputs):
        place = layout.places[id(v)]
        root, offset = place.buffer, place.offset
        while root.parent is not None and root is not whole.buffer:
            root, offset = root.parent, offset + root.parent_offset
        wanted = whole.offset + start * whole.strides[join.params["axis"]]
        start += v.shape[join.params["axis"]]
        long = [m for m, n in enumerate(v.shape) if n > 1]
        if root is not whole.buffer or offset != wanted or any(place.strides[m] != whole.strides[m] for m in long):
            found.append(k)
    assert bool(found) == ("concat" in names(layout))
    return found


@pytest.mark.parametrize(
    ("join", "left"),
    [
        (lambda xp, x: xp.concat([xp.exp(x), x, xp.sin(x)]), [1]),  # an input is where it is
        (lambda xp, x: xp.concat([xp.exp(x), xp.sin(x), xp.exp(x + 0.0)]), []),
        (lambda xp, x: xp.concat([y := xp.exp(x), y, xp.sin(x)]), [1]),  # one value cannot be in two places
        (lambda xp, x: xp.concat([xp.permute_dims(xp.exp(x), (1, 0)), xp.sin(x)]), [0]),  # it lies transposed
        (lambda xp, x: xp.concat([-x, x * 2.0, x + x], 1), []),  # columns: with gaps between the rows
        (lambda xp, x: xp.concat([-x, xp.exp(x)], 1), [1]),  # NumPy may compute it otherwise with gaps
        (lambda xp, x: xp.concat([-x, xp.permute_dims(x * 2.0, (1, 0))], 1), [1]),
        (lambda xp, x: xp.concat([-x, xp.reshape(xp.reshape(x * 2.0, (2, 8)), (4, 4))], 1), [1]),  # rows cut in two
        (lambda xp, x: xp.concat([-x, xp.matmul(x, x)], 1), [1]),
    ],
)
def test_pieces_that_cannot_be_in_place_are_copied(join: Callable[..., Any], left: list[int]) -> None:
    recorder, (x,) = inputs((4, 4))
    assert copied(recorder, layout_of(recorder, [recorder.sum(join(recorder, x))])) == left


def test_a_piece_that_is_summed_has_no_gaps() -> None:
    # In which order a sum adds depends on the strides of what it reads.
    recorder, (x,) = inputs((4, 4))
    pieces = [-x, x * 2.0]
    joined = recorder.concat(pieces, 1)
    layout = layout_of(recorder, [recorder.sum(joined), recorder.sum(pieces[0])])
    assert copied(recorder, layout) == [0]


def test_pieces_of_a_join_along_an_inner_axis_may_be_reshaped_and_read_element_wise() -> None:
    recorder, (x, y) = inputs((3, 5), (3, 5))
    pieces = [recorder.reshape(v, (3, 1, 5)) for v in (x * y, x + y)]
    joined = recorder.concat(pieces, 1)
    layout = layout_of(recorder, [recorder.sum(joined), recorder.exp(recorder.reshape(pieces[1], (3, 5)))])
    assert copied(recorder, layout) == []


def test_a_join_does_not_keep_its_memory_busy_at_the_peak() -> None:
    recorder, (x,) = inputs((4096,))
    early, peak = recorder.exp(x), recorder.broadcast_to(x, (4, 4096)) * 2.0
    peak = recorder.reshape(recorder.sum(recorder.matmul(peak, recorder.permute_dims(peak, (1, 0)))), (1,))
    late = [recorder.sin(x) * peak, recorder.cos(x) * peak]
    joined = recorder.concat([early, *late])
    layout = layout_of(recorder, [recorder.sum(joined)])
    assert copied(recorder, layout) == [0]
    assert layout.live_bytes == (4 + 1) * 4 * 4096 + 64  # the operand and the product of matmul, and the early piece


def test_a_result_takes_what_an_earlier_call_of_its_group_has_read() -> None:
    recorder, (x,) = inputs((8, 200))
    a = recorder.matmul(x, recorder.broadcast_to(recorder.sum(x), (200, 200)))
    y = recorder.exp(a) + 1.0
    other = recorder.matmul(recorder.square(y), recorder.permute_dims(x, (1, 0)))
    layout = grouped(recorder, [recorder.sum(other)])
    (square,) = [v for s in layout.steps for e in s.equations for v in e.outputs if e.primitive.name == "square"]
    assert layout.places[id(square)].buffer is layout.places[id(a.value)].buffer


def test_a_result_does_not_take_what_a_later_call_of_its_group_reads() -> None:
    recorder, (x,) = inputs((8, 200))
    a = recorder.matmul(x, recorder.broadcast_to(recorder.sum(x), (200, 200)))
    b = recorder.exp(x)
    c = recorder.sin(a) * b
    layout = grouped(recorder, [recorder.sum(b, 0), recorder.sum(c, 0)])
    assert layout.places[id(b.value)].buffer is not layout.places[id(a.value)].buffer


def test_rearrangements_are_no_steps() -> None:
    recorder, (x,) = inputs((4, 6))
    y = recorder.permute_dims(recorder.reshape(x, (2, 2, 6)), (2, 0, 1))
    z = recorder.broadcast_to(recorder.slice(y, [(1, 6, 2), (0, 1, 1)]), (5, 3, 1, 2))
    layout = layout_of(recorder, [recorder.sum(z)])
    assert names(layout) == ["sum"]
    assert layout.arena_bytes == 0


def test_rearrangements_that_strides_cannot_express_are_copies() -> None:
    recorder, (x,) = inputs((4, 6))
    flat = recorder.reshape(recorder.permute_dims(x, (1, 0)), (24,))
    back = recorder.flip(x, 1)  # NumPy is slow backwards, and rounds otherwise
    assert names(layout_of(recorder, [recorder.sum(flat), recorder.sum(back)])) == ["reshape", "slice", "sum", "sum"]


def test_outputs_are_computed_in_the_memory_that_is_handed_out() -> None:
    recorder, (x,) = inputs((50,))
    y = recorder.exp(x)
    layout = layout_of(recorder, [y, recorder.reshape(y, (5, 10))])
    assert layout.arena_bytes == 0
    assert [b.kind for b in layout.buffers] == ["input", "output"]


def test_values_inside_a_group_live_in_few_slots() -> None:
    recorder, (x,) = inputs((64,))
    y = x
    for _ in range(10):
        y = recorder.tanh(y) * x
    with small_blocks():
        layout = layout_of(recorder, [recorder.sum(y)])
    (group,) = [s for s in layout.steps if s.blocked]
    assert len(group.equations) == 20
    assert group.slots == 1
    assert len(group.local) == 19


# -- strides ----------------------------------------------------------------------------------------------------------


def strided(rng: np.random.Generator) -> Array:
    """Return an array that lies in memory in some irregular way."""
    shapes = [(2, 3, 16), (96,), (2, 3, 4, 4), (1, 6, 1, 16)]
    x = np.arange(96).reshape(shapes[rng.integers(len(shapes))])
    for _ in range(rng.integers(4)):
        kind = rng.integers(4)
        if kind == 0:
            x = x.transpose(rng.permutation(x.ndim))
        elif kind == 1:
            x = x[tuple(slice(rng.integers(2), None, rng.integers(1, 3)) for _ in x.shape)]
        elif kind == 2:
            x = np.broadcast_to(x[..., None], (*x.shape, rng.integers(1, 3)))
        else:
            x = x[None]
    return x


@given(seed=st.integers(0, 10**6))
@settings(max_examples=500)
def test_a_reshape_is_a_view_just_where_numpy_makes_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = strided(rng)
    new: list[int] = []
    left = x.size
    while left > 1:
        n = int(rng.choice([d for d in range(1, left + 1) if left % d == 0]))
        new.append(n)
        left //= n
    if x.size == 0:
        new = [0, *x.shape]
    strides = reshaped_strides(x.shape, x.strides, new, x.itemsize)
    expected = x.reshape(new)
    assert (strides is not None) == (np.shares_memory(x, expected) or not x.size)
    if strides is not None:
        assert np.array_equal(np.lib.stride_tricks.as_strided(x, new, strides), expected)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=200)
def test_row_major_is_what_numpy_calls_contiguous(seed: int) -> None:
    x = strided(np.random.default_rng(seed))
    if x.size:
        assert is_contiguous(x.shape, x.strides, x.itemsize) == x.flags.c_contiguous
        assert contiguous_strides(x.shape, 4) == np.empty(x.shape, np.int32).strides


def test_an_array_is_shown_at_its_place() -> None:
    buffer = Buffer("arena", 24)
    value = Value((2,), F32, "computed")
    raw = np.arange(6, dtype=F32)
    assert array_at(Place(buffer, 8, (8,)), value, raw).tolist() == [2, 4]


# -- offsets ----------------------------------------------------------------------------------------------------------

LIVES = st.lists(
    st.tuples(st.integers(0, 2000), st.integers(0, 30), st.integers(0, 12)).map(
        lambda t: Buffer("arena", t[0], first=t[1], last=t[1] + t[2])
    ),
    max_size=40,
)


@given(buffers=LIVES)
@settings(max_examples=200)
def test_offsets_keep_the_living_apart(buffers: list[Buffer]) -> None:
    steps = [Step([]) for _ in range(50)]
    layout = Layout(steps, {}, buffers, 0, int(memory._alive(buffers, 50).max()), 0, [])
    memory._assign_offsets(layout, True)
    layout.buffers = [b for b in layout.buffers if b.nbytes]
    for k, x in enumerate(layout.buffers):
        for y in layout.buffers[:k]:
            if x.first <= y.last and y.first <= x.last:
                assert x.offset + x.nbytes <= y.offset or y.offset + y.nbytes <= x.offset
    alive = [sum(-(-b.nbytes // ALIGNMENT) * ALIGNMENT for b in buffers if b.first <= t <= b.last) for t in range(50)]
    assert layout.live_bytes == max(alive)
    assert layout.live_bytes <= layout.arena_bytes <= sum(-(-b.nbytes // ALIGNMENT) * ALIGNMENT for b in buffers)


def test_buffers_one_after_another_share_one_place() -> None:
    buffers = [Buffer("arena", 640, first=t, last=t) for t in range(2000)]
    layout = Layout([Step([]) for _ in range(2000)], {}, buffers, 0, int(memory._alive(buffers, 2000).max()), 0, [])
    memory._assign_offsets(layout, True)
    assert layout.arena_bytes == layout.live_bytes == 640
