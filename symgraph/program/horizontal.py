"""Passes over equations that stand side by side and do one job: the terms of a long sum, products with one matrix.

Such rows come from what a network repeats: the steps of a recurrent one share their weights, so each step multiplies by
the same matrices, and the gradient of a weight is a sum over the steps. Rows are found by structure alone.

What does not belong here: updates of arrays that lie side by side, which are merged when a graph is lowered; and what
runs together block by block (`schedule`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from symgraph.program.recorder import Recorded, Recorder
from symgraph.program.values import Equation, Program, Value

__all__ = ["accumulate", "stack"]

Evaluate = Callable[..., Any]

#: Additions from which on a sum is long. The terms of a shorter one fit in memory, and are added up in a fused group.
_LONG = 8
#: Rearrangements that are never copies.
_FREE = frozenset(("broadcast_to", "permute_dims", "stop_gradient"))
#: A product of fewer rows reads its matrix for little arithmetic.
_FEW_ROWS = 256


def _readers(program: Program) -> Counter[int]:
    """Return how often each value is read, by its id; being an output counts."""
    return Counter(map(id, chain(chain.from_iterable([e.inputs for e in program.equations]), program.outputs)))


def _sums(program: Program, readers: Counter[int]) -> list[list[Equation]]:
    """Return the additions of each sum, in order; what they compute, but for the last, is read by the next alone."""
    found: dict[int, list[Equation]] = {}  # by id of the sum so far
    for equation in program.equations:
        if equation.primitive.name == "add":
            out = equation.outputs[0]
            before = [v for v in equation.inputs if id(v) in found and readers[id(v)] == 1 and v.shape == out.shape]
            additions = found.pop(id(before[0])) if before else []
            additions.append(equation)
            found[id(out)] = additions
    return list(found.values())


def _terms(additions: Sequence[Equation]) -> Iterator[tuple[Equation, list[Value]]]:
    """Yield each addition of a sum and the terms that it adds: the first one adds two, the others one."""
    before: Value | None = None
    for addition in additions:
        yield addition, [v for v in addition.inputs if v is not before]
        before = addition.outputs[0]


# -- order ------------------------------------------------------------------------------------------------------------


def accumulate(program: Program, evaluate: Evaluate) -> Program:
    """Add the terms of long sums as soon as can be, and compute each just before: not all are in memory at once."""
    readers = _readers(program)
    together: dict[int, list[Equation]] = {}  # an addition after what makes its terms, by its id
    postponed: set[int] = set()
    for additions in _sums(program, readers):
        if len(additions) >= _LONG:
            for addition, terms in _terms(additions):
                made = [e for v in terms for e in _making(v, readers)]
                together[id(addition)] = [*made, addition]
                postponed.update(id(e) for e in made)
    if not together:
        return program
    # What can run after the same equation is one row; the first row is for what needs none.
    rows: list[list[Equation]] = [[]]
    ready: dict[int, int] = {}
    for equation in program.equations:
        moved = id(equation) in together or id(equation) in postponed
        if moved or equation.primitive.name in _FREE:
            row = max([ready.get(id(v), 0) for v in equation.inputs], default=0)
            if not moved:
                rows[row].append(equation)
            elif id(equation) in together:
                rows[row] += together[id(equation)]
        else:
            row = len(rows)
            rows.append([equation])
        for v in equation.outputs:
            ready[id(v)] = row
    return program.replaced([e for row in rows for e in row], program.outputs)


def _making(term: Value, readers: Counter[int]) -> list[Equation]:
    """Return the equations that make a term, if their operands take less memory than the term does."""
    made: list[Equation] = []
    value = term
    while value.equation is not None and readers[id(value)] == 1:
        made.append(value.equation)
        if value.equation.primitive.kind != "view":
            waiting = sum(v.nbytes for v in value.equation.inputs if v.kind == "computed")
            return made[::-1] if waiting < term.nbytes else []
        value = value.equation.inputs[0]
    return []


# -- one product for many ---------------------------------------------------------------------------------------------


def stack(program: Program, evaluate: Evaluate) -> Program:
    """Make one product of a sum of products, and one of products with the same matrix: numbers add in another order."""
    program = _sums_of_products(program)
    shared = Counter(id(e.inputs[1]) for e in program.equations if _is_product(e))
    # One matrix after the other: of two rows, each without a path inside, each may need what the other computes.
    for matrix in [m for m, count in shared.items() if count > 1]:
        program = _products_with(matrix, program)
    return program


def _is_product(equation: Equation) -> bool:
    return equation.primitive.name == "matmul" and all(len(v.shape) == 2 for v in equation.inputs)


#: Gives the value that now stands for one of the old program.
_Now = Callable[[Value], Recorded]


def _sums_of_products(program: Program) -> Program:
    """Make one product of joined matrices of each sum of products; other terms are added to it."""
    readers = _readers(program)
    by_place = _by_place(program)
    rows = []
    for additions in _sums(program, readers):
        terms = [v for _, each in _terms(additions) for v in each]
        made = [v.equation for v in terms if v.equation is not None and readers[id(v)] == 1]
        products = [
            e for e in made if _is_product(e) and _joins(e) and e.outputs[0].shape == additions[-1].outputs[0].shape
        ]
        if len(products) > 1:
            rows.append([*sorted(products, key=by_place), *additions])

    def build(recorder: Recorder, row: Sequence[Equation], now: _Now) -> list[Recorded]:
        products = [e for e in row if _is_product(e)]
        left = _joined(recorder, [e.inputs[0] for e in products], 1, now)
        total = recorder.matmul(left, _joined(recorder, [e.inputs[1] for e in products], 0, now))
        inside = {id(e.outputs[0]) for e in products}
        for _, terms in _terms(row[len(products) :]):
            for v in terms:
                total = total if id(v) in inside else total + now(v)
        return [total]

    return _contracted(program, rows, lambda row: row[-1:], build)


def _joins(product: Equation) -> bool:
    """Return whether it takes less to join the operands of a product with others than to add it to others."""
    return sum(v.size for v in product.inputs) < product.outputs[0].size


def _by_place(program: Program) -> Callable[[Equation], int]:
    """Return a key that sorts products by when their left operands are computed, so that all rows join them alike."""
    place = {id(v): k for k, e in enumerate(program.equations) for v in e.outputs}
    return lambda product: place.get(id(_untransposed(product.inputs[0])), -1)


def _untransposed(value: Value) -> Value:
    made = value.equation
    return made.inputs[0] if made is not None and made.primitive.name == "permute_dims" else value


def _joined(recorder: Recorder, matrices: Sequence[Value], axis: int, now: _Now) -> Any:
    """Join matrices; for transposed ones those that they show, for these may be computed where they are joined."""
    shown = [_untransposed(v) for v in matrices]
    if all(s is not v for s, v in zip(shown, matrices, strict=True)):
        return recorder.swapaxes(recorder.concat([now(v) for v in shown], 1 - axis), 0, 1)
    return recorder.concat([now(v) for v in matrices], axis)


def _products_with(matrix: int, program: Program) -> Program:
    """Make one product of all products with a matrix that do not need each other."""
    depth: dict[int, int] = {}  # most products with the matrix on a way to a value, by its id
    rows: defaultdict[int, list[Equation]] = defaultdict(list)
    for equation in program.equations:
        deep = max([depth.get(id(v), 0) for v in equation.inputs], default=0)
        if _is_product(equation) and id(equation.inputs[1]) == matrix:
            if equation.inputs[0].shape[0] < _FEW_ROWS:
                rows[deep].append(equation)
            deep += 1
        depth.update((id(v), deep) for v in equation.outputs)

    def build(recorder: Recorder, row: Sequence[Equation], now: _Now) -> list[Recorded]:
        product = recorder.matmul(recorder.concat([now(e.inputs[0]) for e in row], 0), now(row[0].inputs[1]))
        parts, start = [], 0
        for e in row:
            stop = start + e.inputs[0].shape[0]
            parts.append(recorder.slice_axis(product, 0, start, stop))
            start = stop
        return parts

    wide = [sorted(row, key=_by_place(program)) for row in rows.values() if len(row) > 1]
    return _contracted(program, wide, lambda row: row, build)


def _contracted(
    program: Program,
    rows: Iterable[Sequence[Equation]],
    results: Callable[[Sequence[Equation]], Sequence[Equation]],
    build: Callable[[Recorder, Sequence[Equation], _Now], Sequence[Recorded]],
) -> Program:
    """Replace rows of equations by what `build` records, and sort the program: each equation after what it reads.

    `results` names the equations of a row whose outputs others read; `build` returns as many values.
    """
    row_of = {id(e): row for row in rows for e in row}
    if not row_of:
        return program
    recorder = Recorder()
    renamed: dict[int, Value] = {}

    def emit(row: Sequence[Equation]) -> None:
        first = row[0]
        if id(first) in row_of:
            recorder.origin = f"{first.origin} and {len(row) - 1} more"
            values = build(recorder, row, lambda v: Recorded(recorder, renamed.get(id(v), v)))
            renamed.update((id(e.outputs[0]), x.value) for e, x in zip(results(row), values, strict=True))
            return
        inputs = tuple([renamed.get(id(v), v) for v in first.inputs])
        new = first
        if inputs != first.inputs:
            new = Equation(first.primitive, inputs, first.params, [v.spec for v in first.outputs], first.origin)
            renamed.update((id(v), w) for v, w in zip(first.outputs, new.outputs, strict=True))
        recorder.program.equations.append(new)

    done: set[int] = set()
    for root in program.equations:
        waiting = [root]
        while waiting:
            equation = waiting[-1]
            if id(equation) in done:
                waiting.pop()
                continue
            row = row_of.get(id(equation), [equation])
            members = {id(e) for e in row}
            needed = [v.equation for e in row for v in e.inputs if v.equation is not None]
            needed = [e for e in needed if id(e) not in done and id(e) not in members]
            if needed:
                waiting += reversed(needed)
            else:
                emit(row)
                done |= members
    return program.replaced(recorder.program.equations, [renamed.get(id(v), v) for v in program.outputs])
