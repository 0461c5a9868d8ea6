"""The schedule: in which order equations run, and which run together as one fused group.

Order: first what the outputs need, then what renews inputs, then what only the second half (gradients) needs. The
renewing part holds element-wise work alone, so all that can fail has run before the first weight is written. Within
these parts the order is the program's. What no output needs is left out.

Fusion: equations in a row over one large shape become a group that the engine runs block by block, so that their
intermediate results stay in cache; see `fusion` for what may join.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from symgraph.program.fusion import REDUCTIONS, Fusion, extent
from symgraph.program.memory import Step
from symgraph.program.values import Equation, Program, Value

__all__ = ["Schedule", "schedule"]

#: Least bytes of one operand for which blocks pay: below it everything is in the second-level cache anyway.
BLOCKED_BYTES = 1 << 18
#: Bytes for which cutting pays for a single equation, too: the pieces run on all cores.
SPREAD_BYTES = 1 << 22
#: An equation of at most this many elements is moved before a group that it stands in the middle of.
_SMALL = 1 << 12


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
    program: Program, first: Sequence[Value], stores: Sequence[tuple[Value, Value]], fuse: bool = True
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
    """
    needed = program.needed([*first, *(new for new, _ in stores)])
    wanted = needed | program.needed(program.outputs)
    renewing = {id(new) for new, _ in stores}
    part_of: dict[int, int] = {}
    for equation in program.equations:
        mine = [id(v) for v in equation.outputs]
        if not any(i in wanted for i in mine):
            continue  # nobody reads it: it has a place in no part
        if not any(i in needed for i in mine):
            part_of[id(equation)] = 2
        elif any(i in renewing for i in mine) or any(id(v) in renewing for v in equation.inputs):
            renewing.update(mine)
            part_of[id(equation)] = 1
        else:
            part_of[id(equation)] = 0
    # Only what cannot fail may run between two renewals: element-wise work, and what nothing else waits for.
    early: set[int] = set()
    for equation in reversed(program.equations):
        part = part_of.get(id(equation))
        if part == 1 and (equation.primitive.kind == "other" or id(equation.outputs[0]) in early):
            part = part_of[id(equation)] = 0
        if part == 0:
            early.update(id(v) for v in equation.inputs)
    # Element-wise work that only the renewing part reads joins it, so that one update is one fused group.
    kept = {id(v) for v in first}
    kept.update(id(v) for e in program.equations if part_of.get(id(e)) == 2 for v in e.inputs)
    for equation in reversed(program.equations):
        if part_of.get(id(equation)) == 0:
            if equation.primitive.kind == "map" and id(equation.outputs[0]) not in kept:
                part_of[id(equation)] = 1
            else:
                kept.update(id(v) for v in equation.inputs)
    parts: tuple[list[Equation], list[Equation], list[Equation]] = ([], [], [])
    for equation in program.equations:
        if id(equation) in part_of:
            parts[part_of[id(equation)]].append(equation)
    steps = [_grouped(part) if fuse else [Step([e]) for e in part] for part in parts]
    for number, part_steps in enumerate(steps):
        for step in part_steps:
            step.part = number
    return Schedule([*steps[0], *steps[1], *steps[2]], commit=len(steps[0]), second=len(steps[0]) + len(steps[1]))


def _grouped(equations: Sequence[Equation]) -> list[Step]:
    steps: list[Step] = []
    fusion = Fusion()

    def flush() -> Fusion:
        group = fusion.equations
        if group:
            steps.append(Step(group, len(group) > 1 or _bytes(group[0]) >= SPREAD_BYTES, axes=fusion.axes))
        return Fusion()

    for equation in equations:
        large = _bytes(equation) >= BLOCKED_BYTES
        if large and fusion.take(equation):
            continue
        small = equation.primitive.kind == "view" or equation.outputs[0].size <= _SMALL
        if fusion.equations and (large or not small or fusion.reads(equation)):
            fusion = flush()
        if not (large and fusion.take(equation)):
            steps.append(Step([equation]))
    flush()
    return steps


def _bytes(equation: Equation) -> int:
    """Return the bytes of the largest operand of an equation that may be in a group, broadcast to its extent."""
    if equation.primitive.kind != "map" and equation.primitive.name not in REDUCTIONS:
        return 0
    widest = max(v.dtype.itemsize for v in (*equation.inputs, *equation.outputs))
    return math.prod(extent(equation)) * widest
