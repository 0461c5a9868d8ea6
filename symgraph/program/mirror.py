"""Recomputation: values of the forward part that the gradients read are computed again, in place of being kept.

A training step keeps what it computes on the way to the loss until the gradients have read it. Here such values are
*dropped*: an equation is repeated just before its first late reader, on the same operands, so results keep every bit.

* Cheap equations (element-wise work, random numbers, copies, pooling) are repeated where all they read is there anyhow.
* Matrix products and convolutions are repeated only as far as a budget of operations goes, or where a node asks for
  it. Then the forward part is cut where little crosses, what crosses is kept, and each segment is computed again as a
  whole when its gradients begin (Chen, Xu, Zhang and Guestrin, 2016, "Training deep nets with sublinear memory cost").

How long the segments are is decided by the memory plan: plans of several lengths are made, and the smallest is taken,
if it is smaller than without. This is the last change of a program: a merge of common subexpressions would undo it.

What does not belong here: when equations run and where values lie; they are planned as for any program.
"""

from __future__ import annotations

import bisect
import itertools
import math
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Set
from dataclasses import dataclass

from symgraph.errors import ArgumentError
from symgraph.program.values import Equation, Program, Value

__all__ = ["Mirrored", "asked_by_environment", "mirror", "operations"]

#: MXNet's name; any integer but 0 asks for recomputation.
VARIABLE = "MXNET_BACKWARD_DO_MIRROR"

#: What the origins of repeated equations end with.
AGAIN = " (again)"

#: Primitives that are no maps and cheap to repeat all the same.
_CHEAP = frozenset(
    "random_uniform random_normal arange concat embed pad take take_along_axis gather_nd max_pool sum_pool".split()
)
#: Values of at most this share of all that could be dropped are kept: there is nothing to gain.
_SMALL = 1 / 4096
#: Less than this share of the bytes is no gain.
_GAIN = 1 / 64
#: Numbers of segments that are tried, until so many tries in a row have been in vain.
_SEGMENTS = (1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128)
_PATIENCE = 4


@dataclass(frozen=True)
class Mirrored:
    """A program with some of its equations repeated, and what that costs and brings.

    Attributes
    ----------
    program
        The program; the given one if nothing is gained.
    before, after
        Bytes alive at most in both.
    repeated
        How many equations stand in it twice, rearrangements aside.
    extra
        Their operations, as a share of those of the given program.
    """

    program: Program
    before: int
    after: int
    repeated: int = 0
    extra: float = 0.0

    def __str__(self) -> str:
        return f"{self.repeated} equations computed again, {self.extra:.1%} more operations"


def asked_by_environment() -> bool:
    """Return whether the environment variable MXNET_BACKWARD_DO_MIRROR asks for recomputation.

    Raises
    ------
    ArgumentError
        If it is no integer.
    """
    text = os.environ.get(VARIABLE, "").strip()
    try:
        return bool(int(text or "0"))
    except ValueError:
        raise ArgumentError(f"{VARIABLE} is {text!r}; it must be an integer, 1 to compute again, 0 not to") from None


def operations(equation: Equation) -> int:
    """Return about how many arithmetic operations an equation takes."""
    name, out, inputs = equation.primitive.name, equation.outputs[0], equation.inputs
    if equation.primitive.kind == "view":
        return 0
    if name == "matmul":
        return 2 * out.size * inputs[0].shape[-1]
    if name == "conv":
        return 2 * out.size * math.prod(inputs[1].shape[1:])
    if name == "conv_data_grad":
        return 2 * inputs[0].size * math.prod(inputs[1].shape[1:])
    if name == "conv_weight_grad":
        return 2 * inputs[1].size * math.prod(out.shape[1:])
    if "kernel" in equation.params:
        return min(out.size, *(v.size for v in inputs)) * int(math.prod(equation.params["kernel"]))
    return max([out.size, *(v.size for v in inputs)])


def mirror(
    program: Program,
    heads: Iterable[Value],
    planned: Callable[[Program], int],
    *,
    fixed: Iterable[Value] = (),
    asked: Collection[str] = (),
    cheap: bool = True,
    budget: float = 0.0,
) -> Mirrored:
    """Repeat equations of the forward part before their late readers, where that saves memory.

    Parameters
    ----------
    program
        The program, which no pass changes any more.
    heads
        What the forward part is for: the losses, and whatever else is shown of a step. What comes after the last
        equation that they need is late.
    planned
        Tells the bytes that are alive at most in a program.
    fixed
        Inputs that nothing late may read, because they are renewed before.
    asked
        Origins of equations that are to be repeated, whatever they cost.
    cheap
        Whether all cheap equations may be repeated.
    budget
        Operations that other equations may add, as a share of the program's.
    """
    forward = _Forward(program, heads, fixed)
    before = planned(program) if forward.saved else 0
    best = Mirrored(program, before, before)
    free = {
        k
        for k, e in enumerate(forward.equations)
        if e.origin in asked or (cheap and (e.primitive.kind == "map" or e.primitive.name in _CHEAP))
    }
    total = sum(operations(e) for e in program.equations)
    tried: set[frozenset[int]] = set()
    shares = (budget / 4, budget / 2, budget) if budget else ()
    for choices in (forward.without_products(free), *(forward.by_segments(free, share * total) for share in shares)):
        in_vain = 0
        for dropped in choices:
            if dropped in tried:
                continue
            tried.add(dropped)
            made, repeated = forward.repeated(dropped)
            if not repeated:
                continue
            after = planned(made)
            if after < best.after * (1 - _GAIN):
                extra = sum(operations(e) for e in repeated) / max(total, 1)
                count = sum(e.primitive.kind != "view" for e in repeated)
                best, in_vain = Mirrored(made, before, after, count, extra), 0
            else:
                in_vain += 1
                if in_vain == _PATIENCE:
                    break
    return best


class _Forward:
    """The forward part of a program: who computes what, and who reads it when."""

    def __init__(self, program: Program, heads: Iterable[Value], fixed: Iterable[Value]) -> None:
        self.program = program
        needed = program.needed(heads)
        steps = [k for k, e in enumerate(program.equations) if any(id(v) in needed for v in e.outputs)]
        self.end = steps[-1] + 1 if steps else 0
        self.equations = program.equations[: self.end]
        self.maker = {id(v): k for k, e in enumerate(self.equations) for v in e.outputs}
        self.fixed = {id(v) for v in fixed}
        #: For a rearrangement what it is one of, else the value itself; by ``id``.
        self.root: dict[int, int] = {}
        #: Last equation of the forward part that reads a value or a rearrangement of it, by root.
        self.last_read: dict[int, int] = {}
        for k, e in enumerate(self.equations):
            roots = [self.root.setdefault(id(v), id(v)) for v in e.inputs]
            view = e.primitive.kind == "view"
            self.root.update({id(v): roots[0] if view else id(v) for v in e.outputs})
            if not view:
                self.last_read.update(dict.fromkeys(roots, k))
        #: Roots of what is alive in any case, and of what is alive because late equations read it.
        self.shown = {self.root.get(id(v)) for v in program.outputs}
        late = {self.root.get(id(v)) for e in program.equations[self.end :] for v in e.inputs}
        self.saved = {i for i in late if i in self.maker}

    def _nbytes(self, k: int) -> int:
        return sum(v.nbytes for v in self.equations[k].outputs)

    def without_products(self, free: set[int]) -> Iterator[frozenset[int]]:
        """Yield what can be dropped if equations `free` may be repeated, in more and more segments."""
        for segments in _SEGMENTS:
            yield self._dropped(free, self._crossing(free, self._cuts(free, segments)))

    def by_segments(self, free: set[int], operations_left: float) -> Iterator[frozenset[int]]:
        """Yield what can be dropped if segments may be repeated as a whole, too, as far as a number of operations goes.

        The first segments go first: their values wait longest. The last one is not repeated: its gradients come next,
        and find it as it is.
        """
        every = set(range(self.end))
        for number in _SEGMENTS[1:]:
            cuts = self._cuts(every, number)
            chosen, left = set(free), operations_left
            for start, end in itertools.pairwise([0, *cuts]):
                left -= sum(operations(self.equations[k]) for k in range(start, end) if k not in free)
                if left < 0:
                    break
                chosen.update(range(start, end))
            yield self._dropped(chosen, self._crossing(every, cuts))

    def _dropped(self, allowed: Set[int], kept: Set[int] = frozenset()) -> frozenset[int]:
        """Return the values that need not be kept if equations `allowed` may be repeated, and some are kept.

        A value can be dropped if all that its equation reads is there late: an input, or kept, or dropped itself.
        """
        small = _SMALL * sum(self._nbytes(self.maker[i]) for i in self.saved)
        dropped: set[int] = set()
        there: set[int] = set()
        for k, e in enumerate(self.equations):
            mine = {id(v) for v in e.outputs}
            at_hand = all(
                (id(v) in there or id(v) not in self.maker) and self.root[id(v)] not in self.fixed for v in e.inputs
            )
            if e.primitive.kind == "view":
                if at_hand:
                    there |= mine
                if id(e.inputs[0]) in dropped:
                    dropped |= mine
            elif mine & self.shown or mine & kept or self._nbytes(k) <= small:
                there |= mine
            elif at_hand and k in allowed:
                there |= mine
                dropped |= mine
            elif mine & self.saved:
                there |= mine
        return frozenset(dropped)

    def _cuts(self, allowed: set[int], segments: int) -> list[int]:
        """Return where to cut the forward part, so that each segment drops about as many bytes.

        A cut lies before the equation of its number, where few bytes cross.
        """
        if segments < 2:
            return []
        dropped = self._dropped(allowed)
        crossing, lost = [0] * (self.end + 1), [0] * self.end
        for k, e in enumerate(self.equations):
            for v in e.outputs if e.primitive.kind != "view" else ():
                if id(v) in dropped:
                    crossing[k + 1] += v.nbytes
                    crossing[self.last_read.get(id(v), k) + 1] -= v.nbytes
                    lost[k] += v.nbytes * (id(v) in self.saved)
        crossing = list(itertools.accumulate(crossing))
        size = sum(lost) / segments
        cuts: list[int] = []
        since, best = 0.0, -1
        for k in range(1, self.end):
            since += lost[k - 1]
            if since >= size / 2 and (best < 0 or crossing[k] <= crossing[best]):
                best = k
            if since >= size:
                cuts.append(best)
                since, best = float(sum(lost[best:k])), -1
        return cuts

    def _crossing(self, allowed: set[int], cuts: list[int]) -> set[int]:
        """Return the values that could be dropped and are made before a cut and read after it."""
        dropped = self._dropped(allowed) if cuts else frozenset[int]()
        found: set[int] = set()
        for k, e in enumerate(self.equations):
            after = bisect.bisect_right(cuts, k)
            if after < len(cuts):
                found |= {id(v) for v in e.outputs if self.last_read.get(id(v), -1) >= cuts[after]} & dropped
        return found

    def repeated(self, dropped: frozenset[int]) -> tuple[Program, list[Equation]]:
        """Return the program in which late readers read copies of dropped values, and the equations repeated."""
        copies: dict[int, Value] = {}
        again: list[Equation] = []
        equations = list(self.equations)

        def copy(e: Equation, origin: str) -> Equation:
            inputs = tuple([copies.get(id(v), v) for v in e.inputs])
            made = Equation(e.primitive, inputs, e.params, [v.spec for v in e.outputs], origin)
            copies.update({id(v): w for v, w in zip(e.outputs, made.outputs, strict=True)})
            equations.append(made)
            return made

        for e in self.program.equations[self.end :]:
            wanted: set[int] = set()
            stack = list(e.inputs)
            while stack:
                v = stack.pop()
                if id(v) in dropped and id(v) not in copies and self.maker[id(v)] not in wanted:
                    wanted.add(self.maker[id(v)])
                    stack += self.equations[self.maker[id(v)]].inputs
            for k in sorted(wanted):
                old = self.equations[k]
                again.append(copy(old, f"{old.origin}{AGAIN}"))
            if any(id(v) in copies for v in e.inputs):
                copy(e, e.origin)
            else:
                equations.append(e)
        late = {id(v) for e in self.program.equations[self.end :] for v in e.outputs}
        outputs = [copies[id(v)] if id(v) in late and id(v) in copies else v for v in self.program.outputs]
        return self.program.replaced(equations, outputs), again
