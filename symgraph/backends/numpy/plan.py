"""The plan: a program as NumPy calls over planned memory, made once and run over and over.

`Plan` optimises a program, schedules it, plans its memory, allocates the arena and binds every call. A run then makes
the calls and nothing else: no look-up, no allocation, no conversion. The calls of a run go through
``deque(map(call, calls))``, so that a row of NumPy functions is run by C alone: no bytecode in between, hence no place
where Ctrl-C could stop it between two of them.

What does not belong here: operators, graphs, and what inputs mean. That is the executor's.
"""

from __future__ import annotations

import contextvars
import functools
import itertools
import os
import time
import types
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from operator import call as invoke
from typing import Any

import numpy as np

from symgraph.backends.numba.compiler import available
from symgraph.backends.numba.forms import refusal
from symgraph.backends.numba.group import group
from symgraph.backends.numba.kernels import Kernel
from symgraph.backends.numba.tiered import Tiered
from symgraph.backends.numpy.blocks import Blocks, Lane, scratch_bytes
from symgraph.backends.numpy.eager import run, xp
from symgraph.backends.numpy.interrupts import shielded
from symgraph.backends.numpy.kernel_plan import aligned, refresh
from symgraph.backends.numpy.kernels import KERNELS, WORKSPACES, Call, KeywordOut, copyto, workspace_bytes
from symgraph.errors import ArgumentError, BindError, suggest
from symgraph.program import PRIMITIVES, Equation, Program, Value
from symgraph.program.early import split_constants, split_hypers
from symgraph.program.memory import Buffer, Layout, Place, Step, array_at, plan_memory
from symgraph.program.mirror import asked_by_environment, mirror
from symgraph.program.passes import PassRecord, optimize
from symgraph.program.schedule import Schedule, schedule

__all__ = ["Options", "Plan"]

Array = np.ndarray[Any, Any]
Prepared = Callable[[], object]

#: What can be switched off like a pass, though it makes no program.
_SWITCHES = frozenset({"mirror", "fuse", "memory"})


@dataclass(frozen=True)
class Options:
    """What to leave out of optimisation; everything is on by default, and nothing changes a bit of the results.

    Parameters
    ----------
    off
        Names of passes to switch off, see `symgraph.program.passes`; also ``"mirror"``, ``"fuse"`` and ``"memory"``.
    on
        Names of inexact passes to switch on; also ``"mirror"``, which trades time for memory: see
        `symgraph.program.mirror`. The environment variable MXNET_BACKWARD_DO_MIRROR switches it on, too.
    jit
        When fused groups are compiled, if the jit extra is installed: ``"background"``, after their first run, in
        another thread, while NumPy does the work; ``"now"``, when the graph is bound; ``"off"``, never. The
        environment variable `SYMGRAPH_JIT` sets the default.
    inputs
        For inference: the names of the arguments that change from run to run. All other arguments, and all states, are
        then taken as constants, and what follows from them alone is computed once. `Executor.refresh` computes it anew
        after they have changed. None: everything may change.
    budget
        By how much `mirror` may add to the operations of a step with matrix products and convolutions that it computes
        again, as a share: 0.35 is enough for all of the forward part of most networks.

    Raises
    ------
    ArgumentError
        If `jit` is another, `inputs` is a single string, or `budget` is negative or given without `mirror`.
    """

    off: Set[str] = frozenset()
    on: Set[str] = field(default_factory=lambda: frozenset({"mirror"} if asked_by_environment() else ()))
    jit: str = field(default_factory=lambda: os.environ.get("SYMGRAPH_JIT") or "background")
    inputs: Collection[str] | None = None
    budget: float = 0.0

    def __post_init__(self) -> None:
        if isinstance(self.inputs, str):
            raise ArgumentError(f"inputs is {self.inputs!r}, expected names in a list, such as [{self.inputs!r}]")
        modes = ("background", "now", "off")
        if self.jit not in modes:
            raise ArgumentError(
                f"jit is {self.jit!r}", hint=suggest(str(self.jit), modes), facts={"modes": ", ".join(modes)}
            )
        if not self.budget >= 0:
            raise ArgumentError(f"budget is {self.budget!r}; it is a share of a step's operations, 0 or more")
        if self.budget and "mirror" not in self.on - self.off:
            raise ArgumentError(
                f"budget={self.budget!r} is for computing values again, which is off; pass on={{'mirror'}}, too"
            )

    @classmethod
    def none(cls) -> Options:
        """Return options with every optimisation off."""
        from symgraph.program.passes import PIPELINE

        return cls(off=frozenset({*(p.name for p in PIPELINE), *_SWITCHES}), jit="off")


class Plan:
    """A bound program.

    Parameters
    ----------
    program
        What to run.
    arrays
        The array of each input; C-contiguous. They are read and, where renewed, written by every run.
    stores
        Pairs (index of an output, index of an input): the output is the input's new value and is stored there.
    targets
        For some outputs, arrays that receive them; others get memory of their own.
    accumulate
        Indices of outputs that are added to their target instead of replacing it.
    first
        Indices of the outputs that the first half computes; None means all.
    hypers
        Values of the hyper-parameters.
    options
        What to leave out.
    skip
        Indices of outputs that need no array: the caller finds their values in a renewed input.
    constant
        Indices of inputs that do not change between runs. What follows from them alone is computed by `refresh`,
        which must be called before the first run and after they have changed.
    mirrored
        Origins of equations that are to be computed again for the gradients, in place of keeping their results.
    memory
        Returns that many bytes, as `aligned` does, for the arena. Plans may share it if they run one at a time.

    Attributes
    ----------
    outputs
        The array of each output; that of a stored one is the input's, that of a skipped one None.
    passes
        What each optimisation pass did.
    repeatable
        Whether the first half can run again after it has renewed inputs: it computes from none of them.
    """

    def __init__(
        self,
        program: Program,
        arrays: Sequence[Array],
        *,
        stores: Sequence[tuple[int, int]] = (),
        targets: Mapping[int, Array] | None = None,
        accumulate: Iterable[int] = (),
        first: Iterable[int] | None = None,
        hypers: Sequence[float] = (),
        options: Options | None = None,
        skip: Iterable[int] = (),
        constant: Collection[int] = (),
        mirrored: Iterable[str] = (),
        memory: Callable[[int], Array] | None = None,
    ) -> None:
        options = options or Options()
        self._skip = frozenset(skip)
        targets = dict(targets or {})
        self.accumulate = frozenset(accumulate)
        self.options = options
        optimized, self.passes = optimize(
            program, xp.apply, options.off - _SWITCHES, options.on - _SWITCHES, known=_SWITCHES
        )
        start = time.perf_counter()
        rest, self.setup = split_constants(optimized, constant)
        if constant:
            self._record("constants", len(optimized.equations), len(rest.equations), start, "equations")
        self._given = arrays
        arrays = [*arrays, *(np.empty(v.shape, v.dtype) for v in self.setup.outputs)]
        self._kept = arrays[len(self._given) :]
        self.program, self.prologue = split_hypers(rest)
        self.program = _with_copies(self.program, stores)
        stored = dict(stores)
        count = len(program.outputs)
        self._half = frozenset(k for k in (range(count) if first is None else first) if k not in self._skip)
        self._mirror(stores, frozenset(mirrored))
        start = time.perf_counter()
        made = self._scheduled(self.program, stores)
        self._record("fuse", len(self.program.equations), len(made.steps), start, "steps")
        start = time.perf_counter()
        self.layout: Layout = self._laid_out(self.program, made, stores)
        self._record("memory", self.layout.unplanned_bytes, self.layout.arena_bytes, start, "bytes")
        self._refuse_late_reads(self._pairs(self.program, stores))
        self.arena = (memory or aligned)(self.layout.arena_bytes)
        self._bind(arrays, stored, targets, hypers)

    def _pairs(self, program: Program, stores: Sequence[tuple[int, int]]) -> list[tuple[Value, Value]]:
        return [(program.outputs[o], program.inputs[i]) for o, i in stores]

    def _scheduled(self, program: Program, stores: Sequence[tuple[int, int]]) -> Schedule:
        first = [v for k, v in enumerate(program.outputs) if k in self._half]
        compiles = _compiler() if self.options.jit != "off" and available() else None
        return schedule(program, first, self._pairs(program, stores), "fuse" not in self.options.off, compiles)

    def _laid_out(
        self, program: Program, made: Schedule, stores: Sequence[tuple[int, int]], pack: bool = True
    ) -> Layout:
        stored = dict(stores)
        kept = [v for k, v in enumerate(program.outputs) if k not in stored and k not in self._skip]
        share = "memory" not in self.options.off
        return plan_memory(program, made.steps, self._pairs(program, stores), kept, _workspace, share, pack)

    def _mirror(self, stores: Sequence[tuple[int, int]], asked: Set[str]) -> None:
        """Compute values again in place of keeping them, where the options, or nodes, ask for it."""
        on = "mirror" in self.options.on
        if "mirror" in self.options.off or not (on or asked):
            self.passes.append(PassRecord("mirror", 0, 0, 0.0, ran=False))
            return
        start, program = time.perf_counter(), self.program
        stored = dict(stores)
        halves = len(self._half | self._skip | stored.keys()) < len(program.outputs)

        def layout(program: Program, pack: bool) -> Layout:
            return self._laid_out(program, self._scheduled(program, stores), stores, pack)

        found = mirror(
            program,
            [v for k, v in enumerate(program.outputs) if k in self._half and k not in stored],
            lambda p: layout(p, False).live_bytes,
            # The second half comes when inputs have been renewed.
            fixed=[program.inputs[i] for i in stored.values()] if halves else (),
            asked=asked,
            cheap=on,
            budget=self.options.budget,
        )
        before, after = 0, 0
        if found.repeated:
            before, after = (layout(p, True).arena_bytes for p in (program, found.program))
        if after < before:
            found.program.verify(program)
            self.program = found.program
        self._record("mirror", before, min(before, after), start, "bytes", str(found) if after < before else "no gain")

    def _record(self, name: str, before: int, after: int, start: float, unit: str, remark: str = "") -> None:
        spent = (time.perf_counter() - start) * 1e3
        self.passes.append(PassRecord(name, before, after, spent, name not in self.options.off, unit, remark))

    def _refuse_late_reads(self, stores: Sequence[tuple[Value, Value]]) -> None:
        """Refuse a second half that reads an input which the first half has renewed."""
        places = self.layout.places
        copied = {
            id(places[id(old)].buffer): old
            for (_, old), direct in zip(stores, self.layout.stored, strict=True)
            if not direct
        }
        if not copied:
            return
        for step in self.layout.steps:
            for equation in step.equations if step.part == 2 else ():
                for v in equation.inputs:
                    old = copied.get(id(places[id(v)].buffer)) if id(v) in places else None
                    if old is not None:
                        raise BindError(
                            f"the gradients read {old.label!r}, which the forward half renews; bind the update apart "
                            "from the gradients, or with grad_req='null'",
                            where=equation.origin or None,
                        )

    # -- binding ------------------------------------------------------------------------------------------------------

    def _bind(
        self, arrays: Sequence[Array], stored: Mapping[int, int], targets: Mapping[int, Array], hypers: Sequence[float]
    ) -> None:
        program, layout = self.program, self.layout
        base: dict[int, Array] = {}
        for v, array in zip(program.inputs, arrays, strict=True):
            base[id(layout.places[id(v)].buffer)] = array
        claims = {
            id(v): k for k, v in reversed(list(enumerate(program.outputs))) if k not in stored and k not in self._skip
        }
        bounds = self.bounds()
        for buffer in layout.buffers:
            if buffer.kind == "output" and buffer.value is not None:
                k = claims[id(buffer.value)]
                # What belongs to the second half must not change before: the first half computes it elsewhere.
                early = k not in self._half and buffer.first < bounds[1]
                target = None if k in self.accumulate or early else targets.get(k)
                whole = target is not None and target.flags.c_contiguous
                base[id(buffer)] = target if whole and target is not None else _blank(buffer)
            elif buffer.kind == "constant" and buffer.value is not None:
                base[id(buffer)] = np.ascontiguousarray(buffer.value.data)
            elif buffer.kind == "hyper":
                base[id(buffer)] = _blank(buffer)
        self._base = base
        #: Arrays by id of the value and by place: those in one place are one object, so that NumPy need not look
        #: whether a result overlaps its operands.
        self._arrays: dict[Any, Array] = {}
        self._hyper_arrays = [self.array(v) for v in program.hypers[: self.prologue.given]]
        self._prologue_arrays = [self.array(v) for v in program.hypers[self.prologue.given :]]
        self.set_hypers(hypers)

        parts: tuple[list[Prepared], list[Prepared], list[Prepared]] = ([], [], [])
        #: The calls of each step, ready to be made.
        self.calls: list[list[Prepared]] = []
        #: The fused groups, by ``id`` of their step.
        self.groups: dict[int, Tiered] = {}
        #: What is compiled of other steps that are one call, by ``id`` of the step.
        self.kernels: dict[int, Kernel] = {}
        for t, step in enumerate(self.layout.steps):
            calls = self._group(step) if step.blocked else [_prepared(c) for c in self._single(step)]
            self.calls.append(calls)
            parts[0 if t < bounds[0] else 1 if t < bounds[1] else 2].extend(calls)
        # New values of inputs that could not be computed in place, and outputs that are inputs or views.
        self.outputs: list[Any] = []
        for (out, renews), direct in zip(stored.items(), layout.stored, strict=True):
            if not direct:
                parts[1].append(_prepared((copyto, arrays[renews], self.array(program.outputs[out]))))
        renewed = {id(arrays[target]) for target in stored.values()}
        for k, v in enumerate(program.outputs):
            if k in self._skip:
                self.outputs.append(None)
                continue
            if k in stored:
                self.outputs.append(arrays[stored[k]])
                continue
            array = self.array(v)
            target = targets.get(k)
            own = layout.places[id(v)].buffer.kind == "output" and claims[id(v)] == k
            # An input is copied before it can be renewed, a result after everything that computes it.
            source = _input_of(v)
            if source is None:
                part = parts[1 if k in self._half else 2]
            else:
                part = parts[
                    0 if k in self._half or id(base.get(id(layout.places[id(source)].buffer))) in renewed else 2
                ]
            if target is None:
                target = array if own else np.empty(v.shape, v.dtype)
            self.outputs.append(target)
            if k in self.accumulate:
                part.append(_prepared((np.add, target, array, target)))
            elif not _same(target, array):
                part.append(_prepared((copyto, target, array)))
        places = layout.places
        targets_of_stores = {id(places[id(program.inputs[i])].buffer) for i in stored.values()}
        self.repeatable = not any(
            id(v) in places and id(places[id(v)].buffer) in targets_of_stores
            for step in layout.steps[: bounds[0]]
            for e in step.equations
            for v in e.inputs
        )
        self._arrays.clear()
        self._runs = [_runner(parts[0]), _runner(parts[1], whole=True), _runner(parts[2])]
        self._context = contextvars.copy_context()
        self._context.run(np.seterr, all="ignore")
        #: Runs the first half, and renews inputs. If anything fails, or Ctrl-C arrives, either no input has been
        #: renewed or all have.
        self.run_first: Callable[[], None] = self._run_in_parts
        if _plain(parts[1]):
            self.run_first = functools.partial(self._context.run, _runner([*parts[0], *parts[1]]))

    def memory(self) -> list[Array]:
        """Return all arrays that a run writes or reads, the arena first."""
        return [self.arena, *self._base.values()]

    def bounds(self) -> tuple[int, int]:
        """Return where the renewing part and the second half begin, among the steps that are left."""
        parts = [step.part for step in self.layout.steps]
        return sum(p < 1 for p in parts), sum(p < 2 for p in parts)

    def array(self, value: Value) -> Array:
        """Return the array in which a value lies."""
        found = self._arrays.get(id(value))
        if found is not None:
            return found
        if not value.size:
            return np.empty(value.shape, value.dtype)
        root, offset, strides = self.layout.places[id(value)]
        while root.parent is not None:
            root, offset = root.parent, offset + root.parent_offset
        where = (id(root), offset)
        if root.kind == "arena":
            base, offset = self.arena, root.offset + offset
            where = (0, offset)
        else:
            base = self._base[id(root)]
            if base.shape == value.shape and offset == 0 and base.strides == strides:
                return base
        key = (*where, value.shape, strides, value.dtype)
        found = self._arrays.get(key)
        if found is None:
            found = self._arrays[key] = array_at(Place(root, offset, strides), value, base)
        self._arrays[id(value)] = found
        return found

    def _single(self, step: Step) -> list[Call]:
        (equation,) = step.equations
        result = equation.outputs[0]
        out = self.array(result)
        operands = [self.array(v) for v in equation.inputs]
        buffer = self.layout.places[id(result)].buffer
        if buffer.kind != "arena" or buffer.parent is not None:  # else they are one object already
            operands = [out if _same(x, out) else x for x in operands]
        if equation.primitive.name in _ARITHMETIC and any(x.shape == out.shape for x in operands) and out.size > 1:
            # Of an operand without axes NumPy knows at once that it is one number: faster by far for small arrays.
            operands = [x.reshape(()) if x.size == 1 else x for x in operands]
        scratch = None
        if step.workspace is not None:
            b = step.workspace
            scratch = self.arena[b.offset : b.offset + b.nbytes]
        calls = KERNELS[equation.primitive.name](operands, out, scratch, **equation.params)
        if len(calls) == 1 and not isinstance(calls[0][0], _NATIVE):
            kernel = Kernel(calls[0][0], self.options.jit)
            if kernel.parts:
                self.kernels[id(step)] = kernel
        return [c[0].bound(*c[1:]) if isinstance(c[0], KeywordOut) else c for c in calls]

    def _group(self, step: Step) -> list[Prepared]:
        """Return the call that runs a fused group on all workers, block by block or as a compiled loop.

        If it will always be few calls of NumPy, on one core, these are returned: a run of them needs no Python.
        """
        scratch = None
        if step.workspace is not None:
            scratch = self.arena[step.workspace.offset : step.workspace.offset + step.workspace.nbytes]
        call = group(Blocks(step, self.array, scratch), self.options.jit)
        self.groups[id(step)] = call
        lane = call.settled
        return [call] if not isinstance(lane, Lane) or lane.prepared is None else lane.prepared

    # -- running ------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Run the whole program."""
        self.run_first()
        self.run_second()

    def _run_in_parts(self) -> None:
        self._context.run(self._both)

    def _both(self) -> None:
        first, renewing, _ = self._runs
        first()
        renewing()

    def run_again(self) -> None:
        """Run the first half again without renewing anything, for a second half that is to run once more."""
        self._context.run(self._runs[0])

    def run_second(self) -> None:
        """Run the second half on what the first has left."""
        self._context.run(self._runs[2])

    def refresh(self) -> None:
        """Compute what follows from constant inputs alone."""
        if self._kept:
            for array, result in zip(self._kept, run(self.setup, self._given), strict=True):
                array[...] = result
        for call in itertools.chain.from_iterable(self.calls):
            refresh(call.func if isinstance(call, functools.partial) else call)

    def set_hypers(self, values: Sequence[float]) -> None:
        """Set the hyper-parameters; takes effect with the next run."""
        for array, value in zip(self._hyper_arrays, values, strict=True):
            array[...] = value
        if self.prologue.program.outputs:
            results = run(self.prologue.program, (), [v.item() for v in self._hyper_arrays])
            for array, result in zip(self._prologue_arrays, results, strict=True):
                array[...] = result


def _blank(buffer: Buffer) -> Array:
    assert buffer.value is not None
    return np.zeros(buffer.value.shape, buffer.value.dtype)


def _input_of(value: Value) -> Value | None:
    """Return the input or constant that a value is a rearrangement of, if it is one."""
    while value.equation is not None and value.equation.primitive.kind == "view":
        value = value.equation.inputs[0]
    return value if value.equation is None else None


def _with_copies(program: Program, stores: Sequence[tuple[int, int]]) -> Program:
    """Let inputs that are to receive other renewed inputs, such as two that change places, receive copies."""
    renewed = {id(program.inputs[i]) for _, i in stores}
    outputs, copies = list(program.outputs), []
    for o, _ in stores:
        source = _input_of(outputs[o])
        if source is not None and id(source) in renewed:
            spec = outputs[o].spec
            copies.append(Equation(PRIMITIVES["astype"], (outputs[o],), {"dtype": spec.dtype.name}, [spec], "store"))
            outputs[o] = copies[-1].outputs[0]
    return program.replaced([*program.equations, *copies], outputs) if copies else program


def _same(x: Array, y: Array) -> bool:
    return x is y or (
        x.shape == y.shape
        and x.strides == y.strides
        and x.dtype == y.dtype
        and x.size > 0
        and x.__array_interface__["data"][0] == y.__array_interface__["data"][0]
    )


#: What is native code through and through. NumPy's dispatchers (`np.take`) are not: they call Python functions.
_NATIVE = (np.ufunc, types.BuiltinFunctionType, types.MethodWrapperType)


def _prepared(call: Call) -> Prepared:
    """Return a call that needs no arguments any more."""
    function: Prepared = call[0]
    return functools.partial(function, *call[1:]) if len(call) > 1 else function


#: What computes each element alone, so that it does not matter how NumPy goes through them.
_ARITHMETIC = frozenset(("add", "subtract", "multiply", "divide"))


def _plain(calls: Sequence[Prepared]) -> bool:
    """Return whether every call is one C function, never coming back to the interpreter."""
    return all(isinstance(c.func if isinstance(c, functools.partial) else c, _NATIVE) for c in calls)


def _runner(calls: Sequence[Prepared], whole: bool = False) -> Callable[[], None]:
    """Return a callable that makes the calls; with `whole`, all of them or none."""

    def run() -> None:
        deque(map(invoke, calls), 0)

    if not whole or not calls or _plain(calls):
        return run
    protected = shielded(_quiet(run))
    single = calls[0] if len(calls) == 1 else None
    if not isinstance(single, Tiered):
        return protected

    def run_single() -> None:
        single() if single.whole else protected()

    return run_single


def _compiler() -> Callable[[Equation], bool]:
    """Return what tells whether an equation is compiled; that depends on its primitive and element types alone."""
    known: dict[tuple[Any, ...], bool] = {}

    def compiles(equation: Equation) -> bool:
        key = (equation.primitive, equation.outputs[0].dtype, *[v.dtype for v in equation.inputs])
        found = known.get(key)
        if found is None:
            found = known[key] = refusal(equation) is None
        return found

    return compiles


def _quiet(run: Callable[[], None]) -> Callable[[], None]:
    def quiet() -> None:
        with np.errstate(all="ignore"):
            run()

    return quiet


def _workspace(step: Step, layout: Layout) -> int:
    """Return the scratch bytes of a step: a kernel's own, or the slots of a group for all workers."""
    if step.blocked:
        return scratch_bytes(step)
    (equation,) = step.equations
    if equation.primitive.name not in WORKSPACES:
        return 0
    specs = [v.spec for v in equation.inputs]
    return workspace_bytes(equation.primitive.name, specs, equation.outputs[0].spec, dict(equation.params))
