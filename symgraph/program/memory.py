"""The memory plan: which buffer holds each value, when each buffer is alive, and where it lies in the arena.

Input is a program and its schedule (steps, each one equation or one fused group); output is a `Layout`. Nothing is
allocated here. What is decided:

* rearrangements become views wherever strides can express them;
* a value that renews an input is computed in that input's own memory if everyone has read it by then;
* an elementwise result takes over the memory of an operand that nobody reads again;
* pieces of a join are computed where the join wants them, unless much else is alive then;
* inside a fused group, values that nobody else reads live in scratch of one block;
* all other buffers get offsets in one arena, packed by their lifetimes.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from symgraph.program.fusion import extent
from symgraph.program.passes import EXACT, layout_matters
from symgraph.program.values import Equation, Program, Value

__all__ = ["ALIGNMENT", "Buffer", "Layout", "Place", "Step", "contiguous_strides", "plan_memory"]

#: Bytes by which the peak may rise: less is worth neither a copy nor another packing.
_SLACK_BYTES = 1 << 14
#: Share by which the peak may rise, to save copies of the pieces of a join.
_RISE = 1 / 16
#: Bytes to which every buffer in the arena is aligned: a cache line, and the widest vector register.
ALIGNMENT = 64


@dataclass(eq=False, slots=True)
class Buffer:
    """A piece of memory.

    Attributes
    ----------
    kind
        ``"input"``, ``"constant"``, ``"hyper"`` or ``"output"`` (memory from outside); ``"arena"``.
    nbytes
        Size.
    value
        The value it was made for.
    first, last
        Steps in which it is first written and last used.
    offset
        Place in the arena.
    """

    kind: str
    nbytes: int
    value: Value | None = None
    first: int = -1
    last: int = -1
    offset: int = 0
    parent: Buffer | None = None
    parent_offset: int = 0


class Place(NamedTuple):
    """Where a value lies: buffer, byte offset in it, strides in bytes."""

    buffer: Buffer
    offset: int
    strides: tuple[int, ...]


@dataclass(eq=False, slots=True)
class Step:
    """One step of a schedule: an equation, or a group of equations run together block by block.

    Attributes
    ----------
    equations
        In order.
    blocked
        Whether it is a group run in blocks.
    part
        0 computes, 1 renews inputs, 2 belongs to the second half.
    axes
        The axes that the reductions of a group reduce.
    local
        Values that live in scratch of one block, each with the number of its scratch slot.
    slots
        Number of scratch slots.
    workspace
        Scratch memory of a single kernel or of all workers of a group, or None.
    """

    equations: list[Equation]
    blocked: bool = False
    part: int = 0
    axes: tuple[int, ...] = ()
    local: dict[int, int] = field(default_factory=dict)
    slots: int = 0
    workspace: Buffer | None = None


@dataclass
class Layout:
    """A memory plan.

    Attributes
    ----------
    steps
        The schedule without the equations that became views.
    places
        Where each value lies, by ``id(value)``; local values of groups are not in it.
    buffers
        All buffers.
    arena_bytes
        Size of the arena; what is allocated.
    live_bytes
        Most bytes of arena buffers alive at once: no plan with these lifetimes can need less.
    unplanned_bytes
        What the arena would need if nothing were shared.
    stored
        For each renewed input, whether its new value is computed in place (True) or copied at the end (False).
    """

    steps: list[Step]
    places: dict[int, Place]
    buffers: list[Buffer]
    arena_bytes: int
    live_bytes: int
    unplanned_bytes: int
    stored: list[bool]


def contiguous_strides(shape: Sequence[int], itemsize: int) -> tuple[int, ...]:
    """Return the strides in bytes of a row-major array."""
    return _row_major(tuple(shape), itemsize)


@lru_cache(maxsize=4096)
def _row_major(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    strides, step = [], itemsize
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def is_contiguous(shape: Sequence[int], strides: Sequence[int], itemsize: int) -> bool:
    """Return whether strides are row-major, axes of length one aside."""
    if strides == contiguous_strides(shape, itemsize):
        return True
    step = itemsize
    for n, stride in zip(reversed(shape), reversed(strides), strict=True):
        if n != 1 and stride != step:
            return False
        step *= n
    return True


def reshaped_strides(
    shape: Sequence[int], strides: Sequence[int], new: Sequence[int], itemsize: int
) -> tuple[int, ...] | None:
    """Return strides that show an array in another shape without a copy, or None if there are none."""
    if 0 in shape:
        return contiguous_strides(new, itemsize)
    # Merge axes that run through memory evenly, then cut the merged axes into the new ones.
    merged: list[tuple[int, int]] = []
    for n, stride in zip(shape, strides, strict=True):
        if n == 1:
            continue
        if merged and merged[-1][1] == stride * n:
            merged[-1] = (merged[-1][0] * n, stride)
        else:
            merged.append((n, stride))
    result: list[int] = []
    k = len(merged) - 1
    left, step = merged[k] if merged else (1, itemsize)
    for n in reversed(new):
        if n == 1:
            result.append(step)
            continue
        while left == 1 and k > 0:
            k -= 1
            left, step = merged[k]
        if left % n:
            return None
        result.append(step)
        left, step = left // n, step * n
    return tuple(reversed(result))


def _view(equation: Equation, source: Place, value: Value) -> Place | None:
    """Return the place of a rearrangement of `source` without a copy, or None."""
    name, params = equation.primitive.name, equation.params
    old = equation.inputs[0]
    if name == "stop_gradient":
        return source
    if name == "reshape":
        strides = reshaped_strides(old.shape, source.strides, value.shape, value.dtype.itemsize)
        return None if strides is None else Place(source.buffer, source.offset, strides)
    if name == "permute_dims":
        return Place(source.buffer, source.offset, tuple(source.strides[a] for a in params["axes"]))
    if name == "broadcast_to":
        extra = len(value.shape) - len(old.shape)
        strides = (0,) * extra + tuple(
            0 if n == 1 and m != 1 else s
            for n, m, s in zip(old.shape, value.shape[extra:], source.strides, strict=True)
        )
        return Place(source.buffer, source.offset, strides)
    if any(step < 0 for _, _, step in params["parts"]):
        return None  # a copy: see the kernel
    offset, strides_list = source.offset, []
    for n, stride, part in zip(old.shape, source.strides, params["parts"], strict=True):
        start, _, step = slice(*part).indices(n)
        offset += start * stride if 0 not in value.shape else 0
        strides_list.append(stride * step)
    return Place(source.buffer, offset, tuple(strides_list))


def plan_memory(
    program: Program,
    steps: Sequence[Step],
    stores: Sequence[tuple[Value, Value]],
    outputs: Sequence[Value],
    workspace: Callable[[Step, Layout], int],
    share: bool = True,
    pack: bool = True,
) -> Layout:
    """Plan the memory of a schedule.

    Parameters
    ----------
    program
        The program.
    steps
        All its equations in order of execution.
    stores
        Pairs (new value, input that it renews).
    outputs
        Values that must survive the run in memory of their own.
    workspace
        Tells the scratch bytes a step needs.
    share
        False gives each value its own memory, for comparison.
    pack
        False leaves out offsets and the size of the arena; what is alive is known without.
    """
    places: dict[int, Place] = {}
    buffers: list[Buffer] = []

    def fresh(kind: str, value: Value, step: int = -1) -> Place:
        buffer = Buffer(kind, value.nbytes, value, step, step)
        buffers.append(buffer)
        place = places[id(value)] = Place(buffer, 0, contiguous_strides(value.shape, value.dtype.itemsize))
        return place

    def place_of(value: Value) -> Place:
        found = places.get(id(value))
        return found if found is not None else fresh(value.kind, value)

    for v in (*program.inputs, *program.hypers):
        place_of(v)
    # What becomes a view is no step. Every value is placed before it is read, so views are known by then.
    kept: list[Step] = []
    for step in steps:
        rest = []
        t = len(kept)
        for equation in step.equations:
            out = equation.outputs[0]
            if equation.primitive.kind == "view":
                view = _view(equation, place_of(equation.inputs[0]), out)
                if view is not None:
                    places[id(out)] = view
                    continue
            rest.append(equation)
            for v in equation.inputs:
                place_of(v).buffer.last = t
            fresh("arena", out, t)
        if rest:
            kept.append(Step(rest, step.blocked, step.part, step.axes))
    for value in (*outputs, *(new for new, _ in stores)):
        place_of(value).buffer.last = len(kept)

    layout = Layout(kept, places, buffers, 0, 0, 0, [])
    apart = list(buffers)
    if share:
        _localize(layout, outputs, stores)
    _claim_outputs(layout, outputs)
    layout.unplanned_bytes = sum(_aligned(b.nbytes) for b in apart if b.kind == "arena")
    _store_in_place(layout, stores, share)
    for t, step in enumerate(layout.steps):
        need = workspace(step, layout)
        if need:
            step.workspace = Buffer("arena", need, first=t, last=t)
            layout.buffers.append(step.workspace)
            if not step.blocked:
                layout.unplanned_bytes += _aligned(need)
    if share:
        # What a join may want elsewhere waits for it; all else first, so that the join knows what is alive.
        joining = _joining(layout)
        _compute_in_place(layout, joining)
        if joining:
            _join_in_place(layout, program)
            _compute_in_place(layout)
    layout.live_bytes = int(_alive(_roots(layout), len(layout.steps)).max())
    if pack:
        _assign_offsets(layout, share)
    return layout


def _owners(layout: Layout) -> dict[int, list[int]]:
    """Return the ids of the values in each buffer, by the buffer's id."""
    owners: dict[int, list[int]] = {}
    for value_id, place in layout.places.items():
        owners.setdefault(id(place.buffer), []).append(value_id)
    return owners


def _forget(layout: Layout, gone: set[int]) -> None:
    if gone:
        layout.buffers = [b for b in layout.buffers if id(b) not in gone]


def _whole(value: Value, place: Place) -> bool:
    """Return whether a value fills its buffer, row-major."""
    return (
        place.offset == 0
        and place.buffer.nbytes == value.nbytes
        and is_contiguous(value.shape, place.strides, value.dtype.itemsize)
    )


def _localize(layout: Layout, outputs: Sequence[Value], stores: Sequence[tuple[Value, Value]]) -> None:
    """Move values that only one blocked group knows into scratch slots of one block."""
    if not any(step.blocked for step in layout.steps):
        return
    readers: dict[int, int] = {}
    for step in layout.steps:
        for equation in step.equations:
            for v in equation.inputs:
                readers[id(v)] = readers.get(id(v), 0) + 1
    kept = {id(v) for v in (*outputs, *(new for new, _ in stores))}
    owners = _owners(layout)
    gone: set[int] = set()
    for step in layout.steps:
        if not step.blocked:
            continue
        inside: dict[int, int] = {}
        last: dict[int, int] = {}
        itemsize = {id(v): v.dtype.itemsize for equation in step.equations for v in equation.outputs}
        for k, equation in enumerate(step.equations):
            for v in equation.inputs:
                inside[id(v)] = inside.get(id(v), 0) + 1
                last[id(v)] = k
        free: list[int] = []
        for k, equation in enumerate(step.equations):
            out = equation.outputs[0]
            # An operand's slot may be reused by the same call, except `where`, whose first call destroys operands. The
            # slot of a reduced value is not reused: nowhere else are elements read in one place, written in another.
            dying = [v for v in dict.fromkeys(equation.inputs) if id(v) in step.local and last[id(v)] == k]
            dying = [v for v in dying if v.shape == extent(equation)]
            left = [step.local[id(v)] for v in dying if itemsize[id(v)] == out.dtype.itemsize]
            at_once = equation.primitive.name != "where" and out.shape == extent(equation)
            if at_once:
                free += left
            alone = (
                len(owners[id(layout.places[id(out)].buffer)]) == 1
                and id(out) not in kept
                and inside.get(id(out), 0) == readers.get(id(out), -1)
            )
            if alone:
                if free:
                    step.local[id(out)] = free.pop()
                else:
                    step.local[id(out)] = step.slots
                    step.slots += 1
            if not at_once:
                free += left
        for value_id in step.local:
            gone.add(id(layout.places.pop(value_id).buffer))
    _forget(layout, gone)


def _claim_outputs(layout: Layout, outputs: Sequence[Value]) -> None:
    """Let outputs be computed in the memory that is handed out, where they fill a buffer of their own."""
    claimed: set[int] = set()
    for v in outputs:
        place = layout.places[id(v)]
        buffer = place.buffer
        if buffer.kind == "arena" and _whole(v, place) and id(buffer) not in claimed:
            buffer.kind, buffer.value = "output", v
            claimed.add(id(buffer))


def _store_in_place(layout: Layout, stores: Sequence[tuple[Value, Value]], share: bool) -> None:
    """Compute renewed inputs where they lie, if everyone has read the old value by then."""
    if not stores:
        return
    writer: dict[int, tuple[int, int, Equation]] = {}
    for t, step in enumerate(layout.steps):
        for k, equation in enumerate(step.equations):
            for v in equation.outputs:
                writer[id(v)] = (t, k, equation)
    reads: dict[int, list[tuple[int, int, Value]]] = {}
    for t, step in enumerate(layout.steps):
        for k, equation in enumerate(step.equations):
            for v in equation.inputs:
                if id(v) in layout.places:
                    reads.setdefault(id(layout.places[id(v)].buffer), []).append((t, k, v))
    owners = _owners(layout)
    taken: set[int] = set()
    gone: set[int] = set()
    for new, old in stores:
        place = layout.places.get(id(new))
        target = layout.places[id(old)].buffer
        direct = False
        if (
            share
            and place is not None
            and place.buffer.kind == "arena"
            and place.buffer.nbytes == target.nbytes == new.nbytes
            and id(target) not in taken
            and id(new) in writer
            and target.kind == "input"
        ):
            t, k, equation = writer[id(new)]
            direct = layout.steps[t].part == 1  # what runs before can fail, and inputs must be as they were then
            for rt, rk, v in reads.get(id(target), []):
                if (rt, rk) > (t, k):
                    direct = False
                elif rt == t:
                    # Read by the same call, or earlier in the same blocked group: fine element by element.
                    direct &= equation.primitive.kind == "map" and _whole(v, layout.places[id(v)])
                    direct &= v.shape == new.shape
                    if rk == k and equation.primitive.name == "where":
                        direct &= v is equation.inputs[1] and v not in (equation.inputs[0], equation.inputs[2])
            direct &= equation.primitive.kind == "map" or all(
                layout.places[id(v)].buffer is not target for v in equation.inputs
            )
        if direct:
            assert place is not None
            old_buffer = place.buffer
            for value_id in owners[id(old_buffer)]:
                p = layout.places[value_id]
                layout.places[value_id] = Place(target, p.offset, p.strides)
            gone.add(id(old_buffer))
            target.last = max(target.last, old_buffer.last)
            taken.add(id(target))
        layout.stored.append(direct)
    _forget(layout, gone)


def _join_in_place(layout: Layout, program: Program) -> None:
    """Compute the pieces of a join where the join wants them; it copies what is left, and goes if nothing is."""
    gone: set[int] = set()
    moved: set[int] = set()
    owners = _owners(layout)
    values = {id(v): v for step in layout.steps for e in step.equations for v in (*e.inputs, *e.outputs)}
    steps = {id(v): step for step in layout.steps for e in step.equations for v in e.outputs}
    rigid = layout_matters(program)
    alive = _alive(_roots(layout), len(layout.steps))

    def relocated(buffer: Buffer, v: Value, target: Place) -> dict[int, Place] | None:
        """Return the places of all values of a buffer if `v`, which fills it, lies at `target`; None if it cannot."""
        places = {}
        for value_id in owners[id(buffer)]:
            w = values.get(value_id)
            if w is None or not _whole(w, layout.places[value_id]):
                return None
            strides = reshaped_strides(v.shape, target.strides, w.shape, w.dtype.itemsize)
            if strides is None:
                return None
            places[value_id] = Place(target.buffer, target.offset, strides)
        return places

    for t, step in enumerate(layout.steps):
        equation = step.equations[0]
        if len(step.equations) > 1 or equation.primitive.name != "concat":
            continue
        out = equation.outputs[0]
        whole = layout.places[id(out)]
        joined = whole.buffer
        axis = equation.params["axis"]
        if joined.kind == "input" or joined.parent is not None or not _whole(out, whole):
            continue
        even = all(n == 1 for n in out.shape[:axis])  # the pieces lie one behind the other
        start = 0
        pieces: list[tuple[Buffer, int, dict[int, Place] | None]] = []
        for v in equation.inputs:
            place = layout.places[id(v)]
            buffer = place.buffer
            offset = start * whole.strides[axis]
            start += v.shape[axis]
            if buffer.kind != "arena" or buffer.parent is not None or not _whole(v, place):
                continue
            # An output of the second half must not change before, so no earlier part may compute a piece there.
            if joined.kind == "output" and (layout.steps[buffer.first].part == 2) != (step.part == 2):
                continue
            if any(b is buffer for b, _, _ in pieces):
                continue
            if even:
                pieces.append((buffer, offset, None))
                continue
            # With gaps between its rows: where it has no consequence for any bit.
            made = None if buffer.value is None else steps.get(id(buffer.value))
            if made is None or made.blocked or made.equations[0].primitive.name not in EXACT:
                continue
            if any(value_id in rigid for value_id in owners[id(buffer)]):
                continue
            places = relocated(buffer, v, Place(joined, offset, whole.strides))
            if places is not None:
                pieces.append((buffer, offset, places))
        chosen = _affordable(pieces, joined, t, alive)
        for buffer, offset, places in chosen:
            if places is None:
                buffer.parent, buffer.parent_offset = joined, offset
            else:
                layout.places.update(places)
                owners[id(joined)] += owners.pop(id(buffer))
                moved.add(id(buffer))
            _count(alive, buffer, -1)
        _count(alive, joined, -1)
        for buffer, _, _ in chosen:
            joined.first = min(joined.first, buffer.first)
            joined.last = max(joined.last, buffer.last)
        _count(alive, joined, 1)
        if len(chosen) == len(equation.inputs):
            gone.add(t)
    _forget(layout, moved)
    if gone:
        _drop_steps(layout, gone)


_Piece = tuple[Buffer, int, dict[int, Place] | None]


def _affordable(pieces: Sequence[_Piece], joined: Buffer, t: int, alive: np.ndarray[Any, Any]) -> list[_Piece]:
    """Return the pieces of a join, from some step on, that are computed in it while the peak hardly rises.

    The result of a join is alive as soon as one piece is computed in it. Where the pieces come early, and much else is
    alive then, they better have memory of their own, though they are copied later.
    """
    if not pieces:
        return []
    if joined.kind != "arena":
        return list(pieces)
    pieces = sorted(pieces, key=lambda piece: piece[0].first)
    begin, end = pieces[0][0].first, max(joined.last, *(buffer.last for buffer, _, _ in pieces))
    now = alive[begin : end + 1].copy()
    _count(now, joined, -1, begin)
    for buffer, _, _ in pieces:
        _count(now, buffer, -1, begin)
    size = _aligned(joined.nbytes)
    now[t - begin : joined.last + 1 - begin] += size
    peaks = []
    for k, (buffer, _, _) in enumerate(pieces):
        # Piece number k is the first in place.
        now[buffer.first - begin : t - begin] += size
        extra = max([joined.last, *(b.last for b, _, _ in pieces[k:])])
        now[joined.last + 1 - begin : extra + 1 - begin] += size
        peaks.append(int(now.max()))
        now[buffer.first - begin : t - begin] -= size
        now[joined.last + 1 - begin : extra + 1 - begin] -= size
        _count(now, buffer, 1, begin)
    peaks.append(int(now.max()))
    elsewhere = max(int(part.max()) if part.size else 0 for part in (alive[:begin], alive[end + 1 :]))
    most = max(elsewhere, min(peaks)) * (1 + _RISE) + _SLACK_BYTES
    return list(pieces[next(k for k, peak in enumerate(peaks) if peak <= most) :])


def _drop_steps(layout: Layout, gone: set[int]) -> None:
    """Remove steps that have nothing left to do, and count time anew."""
    mapping, now = [], 0
    for t in range(len(layout.steps)):
        mapping.append(now)
        now += t not in gone
    mapping.append(now)
    layout.steps = [s for t, s in enumerate(layout.steps) if t not in gone]
    for buffer in layout.buffers:
        if buffer.last >= 0:
            buffer.first, buffer.last = mapping[max(buffer.first, 0)], mapping[buffer.last]


def _joining(layout: Layout) -> set[int]:
    """Return ``id`` of the buffers of joins and of their pieces."""
    return {
        id(layout.places[id(v)].buffer)
        for step in layout.steps
        for e in step.equations
        if e.primitive.name == "concat"
        for v in (*e.inputs, *e.outputs)
    }


def _compute_in_place(layout: Layout, aside: Set[int] = frozenset()) -> None:
    """Let an element-wise result take over the memory of a value that dies with it.

    That is an operand, or what an earlier equation of the group has read: each block is done with it by then. Buffers
    `aside` stay as they are.
    """
    owners = _owners(layout)
    gone: set[int] = set()
    places = layout.places
    for t, step in enumerate(layout.steps):
        readers: dict[int, list[tuple[int, Value]]] | None = None
        for k, equation in enumerate(step.equations):
            if equation.primitive.kind != "map":
                continue
            out = equation.outputs[0]
            place = places.get(id(out))
            if place is None:
                continue
            mine = place.buffer
            if mine.kind != "arena" or mine.parent is not None or mine.first != t or id(mine) in aside:
                continue
            if not _whole(out, place):
                continue
            if readers is None and len(step.equations) > 1:
                readers = _readers(step, places)
            select = equation.primitive.name == "where"
            operands = equation.inputs[1:2] if select else equation.inputs
            kept = [places.get(id(v)) for v in (equation.inputs[0], equation.inputs[2])] if select else []
            earlier = [reads[0][1] for reads in readers.values() if reads[-1][0] < k] if readers is not None else []
            for v in (*operands, *earlier):
                source = places.get(id(v))
                if source is None:
                    continue
                buffer = source.buffer
                if (
                    buffer.last != t
                    or buffer.first >= t
                    or buffer.kind != "arena"
                    or buffer is mine
                    or buffer.parent is not None
                    or id(buffer) in aside
                    or v.shape != out.shape
                    or v.dtype.itemsize != out.dtype.itemsize
                    or not _whole(v, source)
                    or any(other is not None and other.buffer is buffer for other in kept)
                ):
                    continue
                reads = (_readers(step, places) if readers is None else readers).get(id(buffer), ())
                if all(j <= k and w.shape == out.shape and places[id(w)] == source for j, w in reads):
                    for value_id in owners[id(mine)]:
                        _, offset, strides = places[value_id]
                        places[value_id] = Place(buffer, offset, strides)
                    owners[id(buffer)] += owners.pop(id(mine))
                    buffer.last = mine.last
                    gone.add(id(mine))
                    if readers is not None:
                        readers.setdefault(id(buffer), []).extend(readers.pop(id(mine), ()))
                    break
    _forget(layout, gone)


def _readers(step: Step, places: Mapping[int, Place]) -> dict[int, list[tuple[int, Value]]]:
    """Return what a step reads of each buffer, by its id: the number of the equation, and the value."""
    readers: dict[int, list[tuple[int, Value]]] = {}
    for k, equation in enumerate(step.equations):
        for v in equation.inputs:
            place = places.get(id(v))
            if place is not None:
                readers.setdefault(id(place.buffer), []).append((k, v))
    return readers


def _roots(layout: Layout) -> list[Buffer]:
    """Return the buffers that need a place in the arena."""
    return [b for b in layout.buffers if b.kind == "arena" and b.parent is None]


def _assign_offsets(layout: Layout, share: bool) -> None:
    """Give arena buffers offsets, so that buffers alive at once never overlap."""
    arena = _roots(layout)
    if not share:
        end = 0
        for b in arena:
            b.offset, end = end, end + _aligned(b.nbytes)
        layout.arena_bytes = end
    else:
        _pack(arena, layout.live_bytes)
        layout.arena_bytes = _extent(arena)
    for b in layout.buffers:
        if b.parent is not None:
            root, offset = b, 0
            while root.parent is not None:
                offset += root.parent_offset
                root = root.parent
            b.offset = root.offset + offset


def _aligned(nbytes: int) -> int:
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


def _count(alive: np.ndarray[Any, Any], buffer: Buffer, sign: int, begin: int = 0) -> None:
    """Add or take away a buffer's bytes where it is alive; `alive` begins with step `begin`."""
    alive[max(buffer.first - begin, 0) : buffer.last + 1 - begin] += sign * _aligned(buffer.nbytes)


def _alive(buffers: Sequence[Buffer], steps: int) -> np.ndarray[Any, Any]:
    """Return how many bytes are alive in each step, and at the end."""
    change = [0] * (steps + 2)
    for b in buffers:
        size = _aligned(b.nbytes)
        change[max(b.first, 0)] += size
        change[b.last + 1] -= size
    return np.cumsum(np.array(change, np.int64))


def _best_fit(buffers: Sequence[Buffer]) -> None:
    """Allocate and free in order of time; each buffer goes into the tightest gap."""
    births = sorted(buffers, key=lambda b: b.first)
    deaths = sorted(buffers, key=lambda b: b.last)
    gaps: list[tuple[int, int]] = []  # (size, offset), sorted
    by_start: dict[int, int] = {}  # gap offset -> size
    by_end: dict[int, int] = {}  # gap end -> offset
    end, dead = 0, 0

    def add(offset: int, size: int) -> None:
        nonlocal end
        if offset in by_end:  # join the gap before
            start = by_end.pop(offset)
            gaps.remove((by_start.pop(start), start))
            offset, size = start, size + offset - start
        if offset + size in by_start:  # join the gap after
            after = by_start.pop(offset + size)
            gaps.remove((after, offset + size))
            del by_end[offset + size + after]
            size += after
        bisect.insort(gaps, (size, offset))
        by_start[offset], by_end[offset + size] = size, offset

    for b in births:
        while dead < len(deaths) and deaths[dead].last < b.first:
            gone = deaths[dead]
            if gone.nbytes:
                add(gone.offset, _aligned(gone.nbytes))
            dead += 1
        need = _aligned(b.nbytes)
        if not need:
            b.offset = 0
            continue
        k = bisect.bisect_left(gaps, (need, -1))
        if k < len(gaps):
            size, offset = gaps.pop(k)
            del by_start[offset], by_end[offset + size]
            b.offset = offset
            if size > need:
                add(offset + need, size - need)
        elif end in by_end:  # grow the gap at the end
            offset = by_end.pop(end)
            gaps.remove((by_start.pop(offset), offset))
            b.offset, end = offset, offset + need
        else:
            b.offset, end = end, end + need


#: Up to so many buffers are placed one by one, too, and the largest so many in several orders: both cost the square of
#: the number.
_MANY, _FEW = 8192, 256
#: What is above the bound by less than this share is not worth another packing.
_SLACK = 1 / 128
#: Packings tried from each order.
_ROUNDS = 6

#: Orders in which buffers are placed one by one. None is best for every graph (Pisarchyk and Lee, 2020, compare such
#: orders). The first serves training: what lives longest into the gradients was made first.
_ORDERS: tuple[Callable[[Buffer], Any], ...] = (
    lambda b: (-b.last, -b.nbytes),
    lambda b: (-b.nbytes, b.first),
    lambda b: (-b.nbytes * (b.last - b.first + 1), b.first),
    lambda b: (b.first - b.last, -b.nbytes),
    lambda b: (b.first, -b.nbytes),
)


def _pack(buffers: Sequence[Buffer], least: int) -> None:
    """Give buffers offsets, by the best of several packings, or the first that needs hardly more than the bound."""
    enough = least + max(_SLACK_BYTES, int(least * _SLACK))
    best, kept = -1, list[int]()
    for _ in _packings(buffers, enough):
        size = _extent(buffers)
        if best < 0 or size < best:
            best, kept = size, [b.offset for b in buffers]
        if best <= enough:
            break
    for b, offset in zip(buffers, kept, strict=True):
        b.offset = offset


def _packings(buffers: Sequence[Buffer], enough: int) -> Iterator[None]:
    """Try one packing after the other."""
    _best_fit(buffers)
    yield
    if len(buffers) > _MANY:
        return
    _place(sorted(buffers, key=_ORDERS[0]))
    yield
    by_size = sorted(buffers, key=lambda b: -b.nbytes)
    large, rest = by_size[:_FEW], by_size[_FEW:]
    best, kept = -1, list[int]()
    for order in _ORDERS:
        sequence = sorted(large, key=order)
        for _ in range(_ROUNDS):
            if 0 <= best <= enough:
                break
            _place(sequence)
            size = _extent(large)
            if best < 0 or size < best:
                best, kept = size, [b.offset for b in large]
            # What ends up highest is placed first the next time.
            k = max(range(len(sequence)), key=lambda k: sequence[k].offset + sequence[k].nbytes)
            sequence.insert(0, sequence.pop(k))
    for b, offset in zip(large, kept, strict=True):
        b.offset = offset
    _place(rest, large)
    yield


def _extent(buffers: Sequence[Buffer]) -> int:
    return max((b.offset + _aligned(b.nbytes) for b in buffers), default=0)


def _place(buffers: Sequence[Buffer], among: Sequence[Buffer] = ()) -> None:
    """Place buffers one by one in the lowest gap that others, and those placed, leave during their life."""
    placed = np.empty((4, len(among) + len(buffers)), np.int64)  # offset, end, first and last, by offset
    for k, b in enumerate(sorted(among, key=lambda b: b.offset)):
        placed[:, k] = b.offset, b.offset + _aligned(b.nbytes), b.first, b.last
    for count, b in enumerate(buffers, len(among)):
        need = _aligned(b.nbytes)
        offsets, ends, firsts, lasts = placed[:, :count]
        rivals = (firsts <= b.last) & (lasts >= b.first)
        starts = np.maximum.accumulate(np.concatenate([[0], ends[rivals]]))
        fits = offsets[rivals] - starts[:-1] >= need
        b.offset = int(starts[fits.argmax() if fits.any() else -1])
        k = int(np.searchsorted(offsets, b.offset))
        placed[:, k + 1 : count + 1] = placed[:, k:count].copy()
        placed[:, k] = b.offset, b.offset + need, b.first, b.last


def array_at(place: Place, value: Value, base: Any) -> np.ndarray[Any, Any]:
    """Return the array of a value, given its buffer's bytes (or array) as `base`."""
    return np.ndarray(value.shape, value.dtype, base, place.offset, place.strides)
