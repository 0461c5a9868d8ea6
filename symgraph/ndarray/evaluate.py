"""Running one operator on NumPy arrays: checked, traced and compiled once for each set of shapes, then only run.

An operator's program (`symgraph.graph.trace`) becomes a `Routine`: a list of NumPy calls over numbered slots, in which
memory that is no longer read is used again. Results are always fresh, contiguous arrays.

What does not belong here: NDArray, contexts, the tape of autograd; they are built on this.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from symgraph.backends.numpy.kernels import KERNELS, UFUNCS, VIEWS, KeywordOut, workspace_bytes
from symgraph.errors import DTypeError, ShapeError
from symgraph.graph.infer import show
from symgraph.graph.trace import trace
from symgraph.op import Op
from symgraph.op.schema import asked
from symgraph.program import Equation, Program, Spec, Value

__all__ = ["Evaluator", "Routine", "evaluator"]

Array = np.ndarray[Any, Any]
Key = tuple[Any, ...]

#: Constants and values of hyper-parameters up to this size are computed once and kept, not anew in each run.
KEPT_ELEMENTS = 16
#: How many operators with their routines are kept; the cache starts anew when it is full.
MOST_KEPT = 4096


class _Quiet(threading.local):
    """A context in which NumPy's floating point warnings are off, for each thread: a tenth of the cost of errstate."""

    def __init__(self) -> None:
        self.context = contextvars.copy_context()
        self.context.run(np.seterr, all="ignore")


_QUIET = _Quiet()


class _Step(NamedTuple):
    """One equation over slots.

    Attributes
    ----------
    kind
        0: ``call(*operands, out=out)``, 1: ``call(operand, **params)`` makes a view, 2: ``call`` is a kernel.
    reads, writes
        Slots of the operands and of the result.
    shape, dtype
        Of the result.
    memory
        Slot of a dead array whose memory the result takes, or -1.
    dropped
        Slots of arrays that nothing reads or takes any more.
    """

    kind: int
    call: Callable[..., Any]
    params: dict[str, Any]
    reads: tuple[int, ...]
    writes: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    workspace: int
    memory: int
    dropped: tuple[int, ...]


class Routine:
    """A program as NumPy calls, for arrays of the specs it was traced with.

    Parameters
    ----------
    program
        What to run.
    wanted
        Indices of the outputs to compute.

    Attributes
    ----------
    specs
        Shape and dtype of each result.
    """

    def __init__(self, program: Program, wanted: Iterable[int]) -> None:
        results = [program.outputs[k] for k in wanted]
        self.specs = [v.spec for v in results]
        needed = program.computing(results)
        kept, computed = _split(program, needed)
        self._constants = _constants(needed, results)
        self._dtypes = [v.dtype for v in program.hypers]
        self._given = len(program.inputs)
        # Slots: inputs; hyper-parameters, constants, and what follows from them alone; everything else.
        values = [*program.inputs, *program.hypers, *self._constants]
        values += [e.outputs[0] for e in (*kept, *computed)]
        self._slots = {id(v): k for k, v in enumerate(values)}
        self._kept_steps = [self._step(e) for e in kept]
        self._steps = self._share(computed, results)
        self._room = [None] * len(computed)
        self._results = tuple(self._slots[id(v)] for v in results)
        self._owned = _owned(results, computed)
        del self._slots  # known by id(), which is reused once the program is gone
        #: Hyper-parameters of the last run, and what followed from them.
        self._last: tuple[Sequence[float] | None, list[Any]] = None, []
        #: If one ufunc is all there is to do: it, its operands' slots, shape and dtype of the result, the constants.
        self._only: tuple[Any, ...] | None = None
        if len(self._steps) == 1 and not self._kept_steps and not self._dtypes:
            (step,) = self._steps
            if step.kind == 0 and self._results == (step.writes,) and self._owned == [True]:
                self._only = step.call, step.reads, step.shape, step.dtype, [v.data for v in self._constants]

    def _step(self, equation: Equation, memory: int = -1, dropped: tuple[int, ...] = ()) -> _Step:
        name, (result,), params = equation.primitive.name, equation.outputs, dict(equation.params)
        reads = tuple(self._slots[id(v)] for v in equation.inputs)
        kind = 0 if name in UFUNCS else 1 if name in VIEWS else 2
        call: Callable[..., Any] = UFUNCS[name] if kind == 0 else VIEWS[name] if kind == 1 else KERNELS[name]
        if isinstance(call, KeywordOut):
            call = call.ufunc
        need = workspace_bytes(name, [v.spec for v in equation.inputs], result.spec, params) if kind == 2 else 0
        return _Step(
            kind, call, params, reads, self._slots[id(result)], result.shape, result.dtype, need, memory, dropped
        )

    def _share(self, equations: Sequence[Equation], results: Sequence[Value]) -> list[_Step]:
        """Return the steps, with memory of dead values given to new ones of the same shape and dtype."""
        plain = [self._step(e) for e in equations]
        root: dict[int, int] = {}  # slot -> slot of the array whose memory it is a view of
        last: dict[int, int] = {}  # slot -> last step that reads it, or a view of it
        for t, step in enumerate(plain):
            root[step.writes] = root.get(step.reads[0], step.reads[0]) if step.kind == 1 else step.writes
            for slot in (step.writes, *step.reads):
                last[slot] = last[root.get(slot, slot)] = t
        for v in results:
            slot = self._slots[id(v)]
            last[slot] = last[root.get(slot, slot)] = len(plain)
        ends: dict[int, list[int]] = {}
        made = {step.writes for step in plain}
        for slot, t in last.items():
            if slot in made:
                ends.setdefault(t, []).append(slot)
        owners = {step.writes: (step.shape, step.dtype) for step in plain if step.kind != 1}
        pool: dict[Any, list[int]] = {}
        steps = []
        for t, step in enumerate(plain):
            dead = tuple(ends.get(t, ()))
            freed = [slot for slot in dead if slot in owners]
            # A ufunc may write over an operand of the same shape; another kernel only over what it does not read.
            early = freed if isinstance(step.call, np.ufunc) else []
            for slot in early:
                pool.setdefault(owners[slot], []).append(slot)
            fitting = pool.get((step.shape, step.dtype)) if step.kind != 1 else None
            memory = fitting.pop() if fitting else -1
            for slot in freed if not early else ():
                pool.setdefault(owners[slot], []).append(slot)
            steps.append(step._replace(memory=memory, dropped=dead))
        taken = {step.memory for step in steps}
        return [step._replace(dropped=tuple(k for k in step.dropped if k not in taken)) for step in steps]

    def __call__(self, arrays: Sequence[Array], hypers: Sequence[float]) -> list[Array]:
        """Return the wanted outputs as fresh, contiguous arrays.

        Parameters
        ----------
        arrays
            One for each input of the program; they are only read.
        hypers
            One number for each hyper-parameter of the program.
        """
        only = self._only
        if only is not None:
            call, reads, shape, dtype, constants = only
            slots = [*arrays, *constants] if constants else arrays
            out = np.empty(shape, dtype)
            _QUIET.context.run(call, *[slots[k] for k in reads], out=out)
            return [out]
        result: list[Array] = _QUIET.context.run(self._run, arrays, hypers)
        return result

    def _run(self, arrays: Sequence[Array], hypers: Sequence[float]) -> list[Array]:
        last, kept = self._last
        if hypers != last:
            given = [np.asarray(x, dtype) for x, dtype in zip(hypers, self._dtypes, strict=True)]
            known = [*[None] * self._given, *given, *(v.data for v in self._constants), *[None] * len(self._kept_steps)]
            _execute(self._kept_steps, known)
            kept = known[self._given :]
            self._last = hypers, kept
        slots = [*arrays, *kept, *self._room]
        _execute(self._steps, slots)
        return [
            slots[k] if owned else np.array(slots[k], order="C")
            for k, owned in zip(self._results, self._owned, strict=True)
        ]


def _execute(steps: Sequence[_Step], slots: list[Any]) -> None:
    """Fill the slots that the steps write."""
    for kind, call, params, reads, writes, shape, dtype, need, memory, dropped in steps:
        if kind == 1:
            slots[writes] = call(slots[reads[0]], **params)
        else:
            operands = [slots[k] for k in reads]
            if memory < 0:
                out = np.empty(shape, dtype)
            else:
                out, slots[memory] = slots[memory], None
            if kind == 0:
                call(*operands, out=out)
            else:
                workspace = np.empty(need, np.uint8) if need else None
                for function, *arguments in call(operands, out, workspace, **params):
                    function(*arguments)
            slots[writes] = out
        for k in dropped:
            slots[k] = None


def _owned(results: Sequence[Value], equations: Sequence[Equation]) -> list[bool]:
    """Return for each result whether its array belongs to it alone."""
    fresh = {id(e.outputs[0]) for e in equations if e.primitive.name not in VIEWS}
    viewed = {id(e.inputs[0]) for e in equations if e.primitive.name in VIEWS}
    seen: set[int] = set()
    owned = []
    for v in results:
        owned.append(id(v) in fresh and id(v) not in seen and id(v) not in viewed)
        seen.add(id(v))
    return owned


def _split(program: Program, equations: Sequence[Equation]) -> tuple[list[Equation], list[Equation]]:
    """Return the equations on small values that no array decides, and the others."""
    steady = {id(v) for v in program.hypers}
    kept, rest = [], []
    for e in equations:
        if all(v.kind == "constant" or id(v) in steady for v in e.inputs) and e.outputs[0].size <= KEPT_ELEMENTS:
            steady.add(id(e.outputs[0]))
            kept.append(e)
        else:
            rest.append(e)
    return kept, rest


def _constants(equations: Sequence[Equation], results: Sequence[Value]) -> list[Value]:
    found = {id(v): v for e in equations for v in e.inputs if v.kind == "constant"}
    found |= {id(v): v for v in results if v.kind == "constant"}
    return list(found.values())


class Evaluator:
    """An operator, up to its live parameters, and its routines.

    Parameters
    ----------
    op
        The operator; its live parameters do not matter here.

    Attributes
    ----------
    num_outputs, num_visible
        Outputs, with hidden ones and without. New values of mutated inputs follow them.
    renewed
        Positions of the mutated inputs.
    random
        Whether it draws random numbers, and so takes the random state as its last array.
    """

    __slots__ = ("_asks_training", "_live", "_routines", "num_outputs", "num_visible", "op", "random", "renewed")

    def __init__(self, op: Op) -> None:
        self.op = op
        names = op.input_names()
        self.num_outputs = len(op.output_names())
        self.num_visible = op.num_visible()
        self.renewed = tuple(names.index(name) for name in op.mutated())
        self.random, self._asks_training = op._asks_rng, op._asks_training
        self._live = tuple(p.name for p in op.params if p.live)
        self._routines: dict[Key, Routine] = {}

    def hypers(self, op: Op) -> tuple[float, ...]:
        """Return the live parameters of an operator of this structure."""
        return tuple([getattr(op, name) for name in self._live]) if self._live else ()

    def __call__(
        self,
        arrays: Sequence[Array],
        hypers: Sequence[float] = (),
        *,
        training: bool = False,
        wanted: tuple[int, ...] | None = None,
    ) -> list[Array]:
        """Return outputs and new values as fresh, contiguous arrays.

        Parameters
        ----------
        arrays
            The inputs, all there, in order; the random state, uint64 (2,), last if `random`.
        hypers
            See `hypers`.
        training
            Whether this is a training step.
        wanted
            Indices of the results to compute; None means all.

        Raises
        ------
        ShapeError, DTypeError
            If the arrays do not fit the operator.
        """
        return self.routine(arrays, training, wanted)(arrays, hypers)

    def specs(self, arrays: Sequence[Array], *, training: bool = False) -> list[Spec]:
        """Return shape and dtype of all results, without computing them; arguments as in a call."""
        return self.routine(arrays, training, None).specs

    def routine(self, arrays: Sequence[Array], training: bool, wanted: tuple[int, ...] | None) -> Routine:
        """Return the routine for arrays of these specs, compiled when first asked for; arguments as in a call."""
        key = (training and self._asks_training, wanted, *[(x.shape, x.dtype) for x in arrays])
        routine = self._routines.get(key)
        if routine is None:
            routine = self._compile(arrays, training, wanted)
            if len(self._routines) >= MOST_KEPT:
                self._routines.clear()
            self._routines[key] = routine
        return routine

    def _compile(self, arrays: Sequence[Array], training: bool, wanted: tuple[int, ...] | None) -> Routine:
        op = self.op
        specs = [Spec(x.shape, x.dtype) for x in arrays[: len(arrays) - self.random]]
        op = check(op, specs)
        try:
            program = trace(op, specs, training).program
        except (ShapeError, DTypeError) as error:
            raise _reworded(error, op, specs) from None
        return Routine(program, range(len(program.outputs)) if wanted is None else wanted)


_EVALUATORS: dict[Key, Evaluator] = {}


def evaluator(op: Op) -> Evaluator:
    """Return the evaluator of an operator's structure."""
    key = op.structure()
    found = _EVALUATORS.get(key)
    if found is None:
        if len(_EVALUATORS) >= MOST_KEPT:
            _EVALUATORS.clear()
        found = _EVALUATORS[key] = Evaluator(op)
    return found


# -- checking ---------------------------------------------------------------------------------------------------------


def _concluded(rule: Callable[..., Any], op: Op, known: dict[str, Any]) -> dict[str, Any]:
    return rule(op, **asked(rule).of(known)) or {}


def check(op: Op, specs: Sequence[Spec]) -> Op:
    """Check by an operator's rules that inputs of the given specs fit it, and return it with its parameters settled.

    Raises
    ------
    ShapeError, DTypeError
        Naming the input and what it should be.
    """
    names, outputs = op.input_names(), op.output_names()
    cls = type(op)
    dtypes: dict[str, Any] = {n: s.dtype for n, s in zip(names, specs, strict=True)}
    shapes: dict[str, Any] = {n: s.shape for n, s in zip(names, specs, strict=True)}
    try:
        if cls.dtypes is None:
            needed = dict.fromkeys(names, specs[0].dtype) if specs else {}
        else:
            needed = _concluded(cls.dtypes, op, {**dtypes, **dict.fromkeys(outputs)})
        for name, dtype in dtypes.items():
            if needed.get(name) is not None and needed[name] != dtype:
                raise DTypeError(f"input {name!r} has element type {dtype}, but {op!r} needs {needed[name]} here")
        wanted = {} if cls.shapes is None else _concluded(cls.shapes, op, {**shapes, **dict.fromkeys(outputs)})
        for name, shape in shapes.items():
            if wanted.get(name) is not None and not _fits(shape, wanted[name]):
                raise ShapeError(f"input {name!r} has shape {shape}, but {op!r} needs {show(wanted[name])}")
        if op.settle is None:
            return op
        for name in outputs:
            if wanted.get(name) is None or None in wanted[name]:
                raise ShapeError(f"the shape of output {name!r} is not decided by {op!r}")
        return op.settle(**shapes, **{name: wanted[name] for name in outputs})
    except (ShapeError, DTypeError) as error:
        raise _reworded(error, op, specs) from None


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(shape) == len(wanted) and all(m is None or m == n for n, m in zip(shape, wanted, strict=True))


def _reworded(error: ShapeError | DTypeError, op: Op, specs: Sequence[Spec]) -> ShapeError | DTypeError:
    """Return an operator's complaint with its name and what it was given."""
    given = ", ".join(f"{n}={s}" for n, s in zip(op.input_names(), specs, strict=True))
    return type(error)(
        error.what, where=f"{op.op_name}()", hint=error.hint, facts={"given": given or "nothing", **error.facts}
    )
