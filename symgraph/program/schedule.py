"""The schedule: in which order equations run, and which run together as one fused group.

Order: first what the outputs need, then what renews inputs, then what only the second half (gradients) needs. The
renewing part holds element-wise work alone, so all that can fail has run before the first weight is written. Within
these parts the order is the program's. What no output needs is left out.

Fusion: equations in a row over one large shape become a group that the engine runs block by block, so that their
intermediate results stay in cache; see `fusion` for what may join. Where the engine compiles, small ones do, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from symgraph.program.fusion import REDUCTIONS, Fusion, extent
from symgraph.program.memory import Step
from symgraph.program.values import Equation, Program, Value

__all__ = ["Schedule", "schedule"]

#: Least bytes of one operand for which blocks pay: below it everything is in the second-level cache anyway.
BLOCKED_BYTES = 1 << 18
#: Bytes for which cutting pays for a single equation, too: the pieces run on all cores.
SPREAD_BYTES = 1 << 22
#: Bytes of one operand below which a compiled group pays only if it has so many equations: what counts is the calls.
_TINY_BYTES, _MANY = 1 << 10, 5
#: Bytes of the widest element.
_WIDEST = 8
#: An equation of at most this many elements is moved before a group that it stands in the middle of.
_SMALL = 1 << 12

Compiles = Callable[[Equation], bool]


@dataclass
class Schedule:
    """Steps in order.

    Attributes
    ----------
    steps
        All steps.
    commit
        Where the steps that write renewed inputs begin.
    second
        Where the second half begins.
    """

    steps: list[Step]
    commit: int
    second: int


def schedule(
    program: Program,
    first: Sequence[Value],
    stores: Sequence[tuple[Value, Value]],
    fuse: bool = True,
    compiles: Compiles | None = None,
) -> Schedule:
    """Order the equations of a program.

    Parameters
    ----------
    program
        The program.
    first
        Values that the first half must compute.
    stores
        Pairs (new value, input that it renews); computed in the first half, after everything else in it.
    fuse
        Whether to form groups.
    compiles
        Tells which equations the engine compiles. Groups of these alone pay at any size: they are one call.
    """
    needed = program.needed([*first, *(new for new, _ in stores)])
    wanted = needed | program.needed(program.outputs)
    renewing = {id(new) for new, _ in stores}
    part_of: list[int] = []  # of each equation; -1 for one that nobody reads, which has a place in no part
    for equation in program.equations:
        mine = id(equation.outputs[0])
        if mine not in needed:
            part_of.append(2 if mine in wanted else -1)
        elif renewing and (mine in renewing or not renewing.isdisjoint(map(id, equation.inputs))):
            renewing.add(mine)
            part_of.append(1)
        else:
            part_of.append(0)
    if renewing:
        _settle_renewals(program.equations, first, part_of)
    steps: list[Step] = []
    begins = []
    for number in range(3):
        begins.append(len(steps))
        part = [e for e, p in zip(program.equations, part_of, strict=True) if p == number]
        steps += _grouped(part, number, compiles) if fuse else [Step([e], part=number) for e in part]
    return Schedule(steps, commit=begins[1], second=begins[2])


def _settle_renewals(equations: Sequence[Equation], first: Sequence[Value], part_of: list[int]) -> None:
    """Move equations between the computing part and the renewing one."""
    # Only what cannot fail may run between two renewals: element-wise work, and what nothing else waits for.
    early: set[int] = set()
    for k in reversed(range(len(equations))):
        equation = equations[k]
        if part_of[k] == 1 and (equation.primitive.kind == "other" or id(equation.outputs[0]) in early):
            part_of[k] = 0
        if part_of[k] == 0:
            early.update(map(id, equation.inputs))
    # Element-wise work that only the renewing part reads joins it, so that one update is one fused group.
    kept = {id(v) for v in first}
    kept.update(id(v) for e, part in zip(equations, part_of, strict=True) if part == 2 for v in e.inputs)
    for k in reversed(range(len(equations))):
        if part_of[k] == 0:
            equation = equations[k]
            if equation.primitive.kind == "map" and id(equation.outputs[0]) not in kept:
                part_of[k] = 1
            else:
                kept.update(map(id, equation.inputs))


def _grouped(equations: Sequence[Equation], part: int, compiles: Compiles | None) -> list[Step]:
    steps: list[Step] = []
    fusion = Fusion()

    def large(equation: Equation) -> bool:
        return _bytes(equation) >= BLOCKED_BYTES

    def flush() -> Fusion:
        group = fusion.equations
        if group and not large(group[0]) and len(group) < (2 if _bytes(group[0]) >= _TINY_BYTES else _MANY):
            steps.extend(Step([e], part=part) for e in group)
        elif group:
            steps.append(Step(group, len(group) > 1 or _bytes(group[0]) >= SPREAD_BYTES, part, fusion.axes))
        return Fusion()

    for equation in equations:
        fits = wide = large(equation)
        if not wide and compiles is not None:
            fits = equation.primitive.kind == "map" and equation.outputs[0].size > 0 and compiles(equation)
        if fits and fusion.take(equation):
            continue
        if fusion.equations:
            aside = equation.primitive.kind == "view" or equation.outputs[0].size <= _SMALL
            other = wide or (fits and not large(fusion.equations[0]))
            if other or not aside or fusion.reads(equation):
                fusion = flush()
        if not (fits and fusion.take(equation)):
            steps.append(Step([equation], part=part))
    flush()
    if compiles is not None and part == 1 and len(steps) > 1:
        # Updates that are one call of machine code cannot be cut in two; else NumPy's calls are cheaper to protect.
        return _grouped(equations, part, None)
    return steps


def _bytes(equation: Equation) -> int:
    """Return the bytes of the largest operand of an equation that may be in a group, broadcast to its extent."""
    if equation.primitive.kind != "map" and equation.primitive.name not in REDUCTIONS:
        return 0
    elements = math.prod(extent(equation))
    if elements * _WIDEST < BLOCKED_BYTES:
        return elements * _WIDEST  # most are far too small: how wide they are does not matter
    return elements * max(v.dtype.itemsize for v in (*equation.inputs, *equation.outputs))
